//! Campaigns and mailings that are refused for a fault of ours: they are paused before
//! more of them is. Who was written to is not to blame.

use super::{drip::Paused, status};
use crate::{
    db::Tx,
    error::Result,
    mailings,
    messaging::{inbound, streams::Sendout},
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// What was paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Campaigns.
    pub campaigns: Vec<Paused>,
    /// Mailings.
    pub mailings: Vec<mailings::Paused>,
}

impl Stopped {
    /// Pause `sendout`, unless nothing of it leaves any more. `reason` is told how to call it, and says in Spanish what to do.
    pub(super) async fn pause(
        &mut self,
        tx: &mut Tx<'_>,
        now: DateTime<Utc>,
        sendout: Sendout,
        reason: impl FnOnce(&str) -> String,
    ) -> Result<()> {
        match sendout {
            Sendout::Campaign(id) => {
                let reason = reason("la campaña");
                if status::pause_for_trouble(tx, now, id, &reason).await? {
                    self.campaigns.push(Paused { campaign_id: id, reason });
                }
            }
            Sendout::Mailing(id) => {
                let reason = reason("el envío");
                self.mailings.extend(mailings::pause_for_trouble(tx, now, id, reason).await?);
            }
        }
        Ok(())
    }
}

/// Pause what a receiver sent back for a fault of ours since this was asked last. Gives which.
///
/// # Errors
/// When the database fails.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<Stopped> {
    let mut stopped = Stopped::default();
    let mut tx = db.begin().await?;
    for it in inbound::take_refused(&mut tx, now).await? {
        let answer = if it.answer.is_empty() { "sin más palabras" } else { &it.answer };
        let reason = |what: &str| {
            format!(
                "Un servidor devolvió un mensaje por una falta nuestra, no de la persona: «{answer}». Revisa el remitente (SPF, DKIM, DMARC) y el contenido, y reanuda {what}. Nadie quedó excluido por esto."
            )
        };
        stopped.pause(&mut tx, now, it.sendout, reason).await?;
    }
    tx.commit().await?;
    Ok(stopped)
}
