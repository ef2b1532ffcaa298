//! The time after a launch in which nothing leaves: how long it is, and taking the launch back as if it had not been.

use super::{
    campaign::{self, Status},
    status,
};
use crate::{
    access::{Actor, Permission},
    chile::{business_hours::BusinessHours, holidays::Calendar},
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::CampaignId,
    settings::{self, Launching},
};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
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

/// From when something leaves; none: never, as the hours stand.
pub type Opening = Option<DateTime<Utc>>;

/// From when a campaign leaves that is held until `until`; `hours`: those it keeps to.
#[must_use]
pub fn leaves(until: DateTime<Utc>, hours: Option<&BusinessHours>, calendar: &Calendar) -> Opening {
    let full = full_minute(until);
    hours.map_or(Some(full), |it| it.next_open(full, calendar))
}

/// The first full minute in which `at` is past.
fn full_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    let minute = TimeDelta::minutes(1);
    let begun = at.duration_trunc(minute).unwrap_or(at);
    if begun < at { begun + minute } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn nobody_is_told_a_minute_in_which_it_is_still_held() {
        let (hours, calendar) = (BusinessHours::default(), Calendar::default());
        let check = |until: &str, expected: &str| {
            assert_eq!(leaves(at(until), Some(&hours), &calendar), Some(at(expected)), "{until}");
        };
        check("2026-11-23T12:02:00-03:00", "2026-11-23T12:02:00-03:00");
        check("2026-11-23T12:02:01-03:00", "2026-11-23T12:03:00-03:00");
        check("2026-11-23T17:59:30-03:00", "2026-11-24T09:00:00-03:00");
        check("2026-11-21T11:02:00-03:00", "2026-11-23T09:00:00-03:00");
        // Service messages keep to no hours.
        let saturday = at("2026-11-21T11:02:00-03:00");
        assert_eq!(leaves(saturday, None, &calendar), Some(saturday));
    }
}
