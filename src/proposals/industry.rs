//! The industry that proposals were asked for. What companies call it may name somebody, and nothing that does is kept with
//! what was asked: it is known again by its SHA-256, among those that there are.

use crate::{campaigns::own_texts, contacts::company_list, error::Result, ids::CampaignId};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

/// As a request keeps it.
pub(super) fn digest(industry: &str) -> Vec<u8> {
    Sha256::digest(industry).to_vec()
}

/// As companies have it; none: no company has it any more, and `campaign` has no text of it.
///
/// # Errors
/// When the database fails.
pub(super) async fn named(
    db: &mut PgConnection,
    campaign: CampaignId,
    digest: &[u8],
) -> Result<Option<String>> {
    let mut known: Vec<String> =
        own_texts::of(&mut *db, campaign).await?.into_iter().map(|it| it.industry).collect();
    known.extend(company_list::industries(db).await?);
    Ok(known.into_iter().find(|it| self::digest(it) == digest))
}
