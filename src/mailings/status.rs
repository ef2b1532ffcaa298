//! The life of a mailing: one function for each arrow drawn in `migrations/0036_mailings.sql`. What stands still, for
//! whatever reason, goes on in the name of who says so.

use super::{get, record};
use crate::{
    access::{Actor, Permission},
    codes::codes,
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::MailingId,
    messaging::{cancellation, legal, versions},
    settings::{self, Business},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

codes! {
    /// Where a mailing stands. The arrows are drawn in `migrations/0036_mailings.sql`.
    Status {
        /// Its people are being queued.
        Running = "RUNNING", "En marcha";
        /// Nothing of it leaves until a person mends what its reason says.
        Paused = "PAUSED", "En pausa";
        /// All were queued.
        Done = "DONE", "En la cola";
        /// Taken back by a person.
        Cancelled = "CANCELLED", "Cancelado";
        /// Not everybody could be queued.
        Failed = "FAILED", "Fallido";
    }
}

impl Status {
    /// Whether what has not left can be taken back.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        self != Status::Cancelled
    }

    /// Whether it stands still until a person lets it go on.
    #[must_use]
    pub fn can_go_on(self) -> bool {
        matches!(self, Status::Paused | Status::Failed)
    }
}

/// A mailing that was paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// The mailing.
    pub mailing_id: MailingId,
    /// Why, in Spanish.
    pub reason: String,
}

/// RUNNING, DONE, FAILED -> PAUSED because nothing can leave; `reason` is Spanish and says what to do. None when nothing of it
/// is left to leave, or it stands still anyway.
///
/// # Errors
/// When the database fails.
pub async fn pause_for_trouble(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    id: MailingId,
    reason: String,
) -> Result<Option<Paused>> {
    let done = sqlx::query!(
        "update mailings m set status = 'PAUSED', failure = $2, finished_at = null
         where id = $1 and sends and (status = 'RUNNING' or exists (
             select from communication_logs l where l.mailing_id = m.id and l.status in ('PENDING', 'SENDING')))",
        id.0,
        reason
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    record(tx, now, &Actor::System, "mailing.pause", id, json!({ "reason": reason })).await?;
    Ok(Some(Paused { mailing_id: id, reason }))
}

/// Pause the mailings whose text or sender no longer is what the law asks, before their people are blocked for good.
///
/// # Errors
/// When the database fails.
pub async fn pause_the_unfit(db: &PgPool, now: DateTime<Utc>, config: &Config) -> Result<Vec<Paused>> {
    let under_way = sqlx::query_scalar!(
        "select id from mailings m
         where status = 'RUNNING' or (status in ('DONE', 'FAILED')
             and exists (select from communication_logs l where l.mailing_id = m.id and l.status = 'PENDING'))
         order by id"
    )
    .fetch_all(db)
    .await?;
    let mut paused = Vec::new();
    for id in under_way.into_iter().map(MailingId) {
        let mut tx = db.begin().await?;
        if let Some(problem) = problem(&mut tx, config, id).await? {
            let reason = format!("Se pausó antes de enviar: {problem}");
            paused.extend(pause_for_trouble(&mut tx, now, id, reason).await?);
        }
        tx.commit().await?;
    }
    Ok(paused)
}

/// The first thing that keeps it from leaving as things stand.
async fn problem(tx: &mut Tx<'_>, config: &Config, id: MailingId) -> Result<Option<String>> {
    let mailing = get(&mut **tx, id).await?;
    let (source, _) = versions::version(&mut *tx, mailing.template).await?;
    let business: Business = settings::load(&mut **tx, &config.first_values).await?;
    let found = legal::unsendable(&source, mailing.message_type, &business);
    Ok(found.into_iter().next().map(|it| it.message))
}

/// PAUSED, FAILED -> RUNNING: who is not queued yet is queued from the checkpoint on, in the name of `actor`.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] unless it stands still; or the database's.
pub async fn resume(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: MailingId) -> Result<()> {
    actor.require(Permission::SendCampaigns)?;
    let done = sqlx::query!(
        "update mailings set status = 'RUNNING', failure = null, finished_at = null, resumed_by = $2, resumed_by_name = $3, resumed_at = $4
         where id = $1 and status in ('PAUSED', 'FAILED')",
        id.0,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::refused("Este envío no está detenido: no se cambió nada."));
    }
    record(tx, now, actor, "mailing.resume", id, json!({})).await
}

/// RUNNING -> FAILED: `sentence` says in Spanish why not everybody could be queued.
pub(super) async fn fail(db: &PgPool, now: DateTime<Utc>, id: MailingId, sentence: &str) -> Result<()> {
    sqlx::query!(
        "update mailings set status = 'FAILED', failure = $2, finished_at = $3 where id = $1 and status = 'RUNNING'",
        id.0,
        sentence,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Any -> CANCELLED: take back what has not left, and queue nobody else. Gives how many messages were taken back.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when it was cancelled already; or the database's.
pub async fn cancel(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: MailingId) -> Result<u64> {
    actor.require(Permission::SendCampaigns)?;
    let cancelled = sqlx::query!(
        "update mailings set status = 'CANCELLED', failure = null, finished_at = $2 where id = $1 and status <> 'CANCELLED'",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if cancelled == 0 {
        return Err(Error::refused("Este envío ya se canceló: no se cambió nada."));
    }
    let taken_back = cancellation::of_mailing(tx, now, actor, id).await?;
    record(tx, now, actor, "mailing.cancel", id, json!({ "messages": taken_back })).await?;
    Ok(taken_back)
}
