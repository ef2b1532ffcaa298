//! Campaigns and mailings that are refused for a fault of ours: they are paused before
//! more of them is. Who was written to is not to blame.

use super::{drip::Paused, status};
use crate::{
    chile::format,
    db::Tx,
    error::Result,
    mailings,
    messaging::{inbound, refusals::Fault, streams::Sendout},
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
    for (sendout, fault) in inbound::take_refused(&mut tx, now).await? {
        let reason = |what: &str| {
            by_rule(&fault, what).unwrap_or_else(|| {
                format!(
                    "Un servidor devolvió un mensaje por una falta nuestra, no de la persona: «{}». Revisa el remitente (SPF, DKIM, DMARC) y el contenido, y reanuda {what}. Nadie quedó excluido por esto.",
                    words(&fault)
                )
            })
        };
        stopped.pause(&mut tx, now, sendout, reason).await?;
    }
    tx.commit().await?;
    Ok(stopped)
}

/// Why the server's refusal in a run pauses what it is called, and how to go on.
pub(super) fn in_a_run(fault: &Fault, what: &str) -> String {
    by_rule(fault, what).unwrap_or_else(|| {
        format!(
            "El servidor de correo nos rechazó a nosotros, no a la persona: «{}». Corrige el remitente o el servidor en Ajustes y reanuda {what}. No se perdió ningún mensaje.",
            words(fault)
        )
    })
}

/// The same where only the number of those who refuse tells; none: the answer leaves no doubt.
fn by_rule(fault: &Fault, what: &str) -> Option<String> {
    let people = i64::try_from(fault.people?).unwrap_or(i64::MAX);
    Some(format!(
        "Los servidores de {} rechazaron el mensaje por sus reglas, así que parece una falta nuestra. El último dijo: «{}». Revisa en Ajustes, Entregabilidad, si el dominio está bien firmado (SPF, DKIM, DMARC) y si figura en una lista de bloqueo, y mira el texto. Después reanuda {what}: a quienes fueron rechazados los puedes reintentar desde sus mensajes fallidos. Nadie quedó excluido por esto.",
        format::count(people, "persona distinta", "personas distintas"),
        words(fault)
    ))
}

fn words(fault: &Fault) -> &str {
    if fault.answer.is_empty() { "sin más palabras" } else { &fault.answer }
}
