//! Campaigns whose messages come back for a fault of ours: they are paused before
//! more of them do. Who was written to is not to blame.

use super::{drip::Paused, status};
use crate::{error::Result, messaging::inbound};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Pause the campaigns that a receiver refused since this was asked last. Gives which.
///
/// # Errors
/// When the database fails.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<Vec<Paused>> {
    let mut paused = Vec::new();
    let mut tx = db.begin().await?;
    for it in inbound::take_refused(&mut tx, now).await? {
        let answer = if it.answer.is_empty() { "sin más palabras" } else { &it.answer };
        let reason = format!(
            "Un servidor devolvió un mensaje por una falta nuestra, no de la persona: «{answer}». Revisa el remitente (SPF, DKIM, DMARC) y el contenido, y reanuda la campaña. Nadie quedó excluido por esto."
        );
        if status::pause_for_trouble(&mut tx, now, it.campaign, &reason).await? {
            paused.push(Paused { campaign_id: it.campaign, reason });
        }
    }
    tx.commit().await?;
    Ok(paused)
}
