//! What the text of a campaign under way must hold, for what the gate blocks is blocked for good.

use super::wordings::Wordings;
use crate::{
    config::Config,
    error::{FieldError, Result},
    ids::CampaignId,
    messaging::{kinds::MessageType, legal, template::Source},
    settings::{self, Business},
};
use sqlx::PgConnection;

/// What the text of a campaign that is already under way lacks, at its fields.
///
/// # Errors
/// When the database fails.
pub async fn problems(
    db: &mut PgConnection,
    config: &Config,
    message_type: MessageType,
    source: &Source,
) -> Result<Vec<FieldError>> {
    let business: Business = settings::load(db, &config.first_values).await?;
    Ok(legal::unfit(source, message_type, &business))
}

/// Why the running campaigns may not go on sending as things stand: the legal
/// sender is gone. Asked before each run, for what the gate blocks is blocked for good.
///
/// # Errors
/// When the database fails.
pub(super) async fn stop_reason(
    db: &mut PgConnection,
    config: &Config,
    id: CampaignId,
) -> Result<Option<String>> {
    let campaign = super::campaign::get(db, id).await?;
    let business: Business = settings::load(&mut *db, &config.first_values).await?;
    let texts = Wordings::of(db, id).await?.all(&campaign.source);
    let problem =
        texts.iter().flat_map(|it| legal::unsendable(&it.source, campaign.message_type, &business)).next();
    Ok(problem.map(|it| format!("Se pausó antes de enviar: {}", it.message)))
}
