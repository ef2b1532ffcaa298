//! What the text of a campaign under way must hold, for what the gate blocks is blocked for good.

use super::variants;
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
    let mut found = Vec::new();
    for (field, text, what) in
        [("subject", &source.subject, "El asunto"), ("body", &source.body, "El cuerpo")]
    {
        if text.trim().is_empty() {
            found.push(FieldError::new(
                field,
                format!("{what} está vacío y la campaña ya está en curso: escríbelo."),
            ));
        }
    }
    found.extend(legal::problems(source, message_type, &business));
    Ok(found)
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
    for source in variants::plan(db, id).await?.sources(&campaign.source) {
        let problems = problems(db, config, campaign.message_type, &source).await?;
        if let Some(problem) = problems.into_iter().next() {
            return Ok(Some(format!("Se pausó antes de enviar: {}", problem.message)));
        }
    }
    let business: Business = settings::load(&mut *db, &config.first_values).await?;
    Ok((campaign.message_type.is_promotional() && !business.is_legal_sender()).then(|| {
        "Se pausó antes de enviar: faltan datos del remitente legal. Complétalos en Ajustes, Negocio, y reanúdala."
            .to_owned()
    }))
}
