//! The time after a launch in which nothing leaves: how long it is, and taking the launch back as if it had not been.

use super::{
    campaign::{self, Status},
    status,
};
use crate::{
    access::{Actor, Permission},
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::CampaignId,
    settings::{self, Launching},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgExecutor;

/// How long a launch from the panel is held.
///
/// # Errors
/// When the database fails.
pub async fn time(db: impl PgExecutor<'_>, config: &Config) -> Result<TimeDelta> {
    let launching: Launching = settings::load(db, &config.first_values).await?;
    Ok(TimeDelta::seconds(launching.hold_seconds.into()))
}

/// RUNNING, PAUSED -> DRAFT while the launch is held and nobody has a row in the queue: the draft is as it was.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] once its time is over, or the database's.
pub async fn take_back(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: CampaignId) -> Result<()> {
    actor.require(Permission::SendCampaigns)?;
    let done = sqlx::query!(
        "update campaigns set status = 'DRAFT', launched_at = null, launched_by = null, held_until = null,
                              pause_reason = null, paused_by = null, updated_at = $2
         where id = $1 and status in ('RUNNING', 'PAUSED') and held_until > $2
             and enqueued_through = 0 and not enqueue_done",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        return Err(too_late(tx, id).await);
    }
    status::record(tx, now, actor, "campaign.take_back", id, None).await
}

async fn too_late(tx: &mut Tx<'_>, id: CampaignId) -> Error {
    match campaign::get(tx, id).await {
        Ok(it) if it.status == Status::Draft => {
            Error::refused("Esta campaña no está iniciada: no había nada que detener.")
        }
        Ok(_) => Error::refused(
            "Ya pasó el tiempo para detenerla y empezó a salir. Puedes pausarla o cancelarla; lo que salió no se puede devolver.",
        ),
        Err(error) => error,
    }
}
