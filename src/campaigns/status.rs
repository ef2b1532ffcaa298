//! The life of a campaign: one function for each arrow drawn in
//! `migrations/0005_campaigns.sql`. An end is derived from the rows that are
//! still open, never from a counter.

use super::campaign::{self, Status};
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, Result},
    ids::CampaignId,
    messaging::cancellation,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

impl Status {
    /// Why what a draft allows is not done any more, to begin a sentence with.
    #[must_use]
    pub fn why_fixed(self) -> &'static str {
        match self {
            Status::Draft => "La campaña es un borrador",
            Status::Running | Status::Paused | Status::Finished => "La campaña ya se inició",
            Status::Cancelled => "La campaña se canceló",
        }
    }
}

/// Why a campaign rests that somebody paused without saying why.
pub const BY_SOMEBODY: &str = "La pausó una persona del equipo.";

/// RUNNING -> PAUSED by a person.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] unless it runs, or the database's.
pub async fn pause(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    reason: &str,
) -> Result<()> {
    actor.require(Permission::SendCampaigns)?;
    let reason = match reason.trim() {
        "" => BY_SOMEBODY,
        reason => reason,
    };
    if set_paused(tx, now, actor, id, reason).await? {
        return Ok(());
    }
    Err(not_now(tx, id, "pausar").await)
}

/// RUNNING -> PAUSED because nothing can leave; `reason` is Spanish and says what to do. Does nothing
/// when it no longer runs.
///
/// # Errors
/// When the database fails.
pub async fn pause_for_trouble(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    id: CampaignId,
    reason: &str,
) -> Result<bool> {
    set_paused(tx, now, &Actor::System, id, reason).await
}

async fn set_paused(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    reason: &str,
) -> Result<bool> {
    let done = sqlx::query!(
        "update campaigns set status = 'PAUSED', pause_reason = $2, paused_by = $3, updated_at = $4
         where id = $1 and status = 'RUNNING'",
        id.0,
        reason,
        actor.staff_id().map(|it| it.0),
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    record(tx, now, actor, "campaign.pause", id, Some(json!({ "reason": reason }))).await?;
    Ok(true)
}

/// PAUSED -> RUNNING.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] unless it is paused, or the database's.
pub async fn resume(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: CampaignId) -> Result<()> {
    actor.require(Permission::SendCampaigns)?;
    let done = sqlx::query!(
        "update campaigns set status = 'RUNNING', pause_reason = null, paused_by = null, updated_at = $2
         where id = $1 and status = 'PAUSED'",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(not_now(tx, id, "reanudar").await);
    }
    record(tx, now, actor, "campaign.resume", id, None).await
}

/// DRAFT, RUNNING or PAUSED -> CANCELLED, with all that was still queued. Returns how many messages that was.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] when it ended already, or the database's.
pub async fn cancel(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: CampaignId) -> Result<u64> {
    actor.require(Permission::SendCampaigns)?;
    let done = sqlx::query!(
        "update campaigns set status = 'CANCELLED', finished_at = $2, updated_at = $2,
                              pause_reason = null, paused_by = null
         where id = $1 and status in ('DRAFT', 'RUNNING', 'PAUSED')",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(not_now(tx, id, "cancelar").await);
    }
    let dropped = cancellation::of_campaign(tx, now, actor, id).await?;
    record(tx, now, actor, "campaign.cancel", id, Some(json!({ "messages": dropped }))).await?;
    Ok(dropped)
}

/// Who cancelled the campaign `id`, as the subject of a sentence; none: nobody did.
///
/// # Errors
/// When the database fails.
pub async fn cancelled_by(db: &mut PgConnection, id: CampaignId) -> Result<Option<String>> {
    let name = sqlx::query_scalar!(
        r#"select coalesce(s.name, a.actor) as "name!" from audit_events a
           left join staff_users s on s.id = a.staff_user_id
           where a.subject_kind = 'campaign' and a.subject_id = $1 and a.action = 'campaign.cancel'
           order by a.id desc limit 1"#,
        id.0
    )
    .fetch_optional(db)
    .await?;
    let shell = Actor::CommandLine.label();
    Ok(name.map(|it| if it == shell { format!("la {it}") } else { it }))
}

/// RUNNING -> FINISHED for each campaign that has all its rows and none open, and
/// FINISHED -> RUNNING where a person put a failed or unconfirmed message back. Returns how many finished.
///
/// # Errors
/// When the database fails.
pub async fn settle(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    sqlx::query!(
        "update campaigns c set status = 'RUNNING', finished_at = null, updated_at = $1
         where c.status = 'FINISHED' and exists (
             select 1 from communication_logs l
             where l.campaign_id = c.id and l.origin = 'CAMPAIGN' and l.status in ('PENDING', 'SENDING'))",
        now
    )
    .execute(db)
    .await?;
    let done = sqlx::query!(
        "update campaigns c set status = 'FINISHED', finished_at = $1, updated_at = $1
         where c.status = 'RUNNING' and c.enqueue_done and not exists (
             select 1 from communication_logs l
             where l.campaign_id = c.id and l.origin = 'CAMPAIGN' and l.status in ('PENDING', 'SENDING'))",
        now
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Why `verb` can't be done to the campaign as it stands.
async fn not_now(tx: &mut Tx<'_>, id: CampaignId, verb: &str) -> Error {
    match campaign::get(tx, id).await {
        Ok(it) => Error::refused(format!(
            "No se puede {verb} una campaña que está «{}». No se cambió nada.",
            it.status.label().to_lowercase()
        )),
        Err(error) => error,
    }
}

pub(super) async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: CampaignId,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change =
        audit::Change { action, subject_kind: "campaign", subject_id: Some(id.0), before: None, after };
    audit::record(tx, now, actor, change).await
}

/// The live campaigns that run now, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn running(db: &PgPool) -> Result<Vec<CampaignId>> {
    let ids =
        sqlx::query_scalar!("select id from campaigns where status = $1 order by id", Status::Running.code())
            .fetch_all(db)
            .await?;
    Ok(ids.into_iter().map(CampaignId).collect())
}
