//! The engine that adds seals to the chain. Many processes may call it; one of them seals at a time.

use super::digest::{self, DIGEST, Event, Key};
use crate::{
    db::locks,
    error::{Error, Result},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// Events of one seal, at most.
pub const EVENTS: i64 = 1000;

/// How long fewer events than that wait for others to be sealed with.
const PATIENCE: TimeDelta = TimeDelta::minutes(1);

/// The newest seal.
struct Head {
    position: i64,
    last_event: i64,
    hash: Vec<u8>,
}

async fn head(db: &mut sqlx::PgConnection) -> Result<Head> {
    let newest = sqlx::query_as!(
        Head,
        "select position, last_event, hash from evidence_seals order by position desc limit 1"
    )
    .fetch_optional(db)
    .await?;
    Ok(newest.unwrap_or_else(|| Head { position: 0, last_event: 0, hash: digest::ORIGIN.to_vec() }))
}

/// What came of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// There was nothing to do.
    Idle,
    /// Somebody is writing, or the table is being tidied: later.
    Busy,
    /// So many events were sealed.
    Sealed(usize),
}

/// Seal the next events, if there are many or the oldest waits for long.
///
/// # Errors
/// When the database fails.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>, key: &Key) -> Result<Pass> {
    seal(db, now, key, Some(PATIENCE)).await
}

/// Seal the next events, however few and new.
///
/// # Errors
/// When the database fails.
pub async fn now(db: &PgPool, now: DateTime<Utc>, key: &Key) -> Result<Pass> {
    seal(db, now, key, None).await
}

async fn seal(db: &PgPool, now: DateTime<Utc>, key: &Key, patience: Option<TimeDelta>) -> Result<Pass> {
    let mut tx = db.begin().await?;
    let alone =
        sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1, 0) as "alone!""#, locks::EVIDENCE)
            .fetch_one(&mut *tx)
            .await?;
    if !alone {
        return Ok(Pass::Busy);
    }
    let head = head(&mut tx).await?;
    let waiting = sqlx::query!(
        r#"select count(*) as "count!", min(at) as oldest
           from (select at from communication_events where id > $1 order by id limit $2) as waiting"#,
        head.last_event,
        EVENTS
    )
    .fetch_one(&mut *tx)
    .await?;
    let Some(oldest) = waiting.oldest else { return Ok(Pass::Idle) };
    // A clock that was set back makes events of the future: they wait no longer for it.
    if waiting.count < EVENTS && patience.is_some_and(|it| (now - oldest).abs() < it) {
        return Ok(Pass::Idle);
    }
    let Some(bound) = settled_through(db).await? else { return Ok(Pass::Busy) };
    let events = sqlx::query_as!(
        Event,
        "select id, communication_log_id, at, kind, reason, until, attempt, answer, drip_run_id, staff_user_id, facts
         from communication_events where id > $1 and id <= $2 order by id limit $3",
        head.last_event,
        bound,
        EVENTS
    )
    .fetch_all(&mut *tx)
    .await?;
    let Some(last) = events.last() else { return Ok(Pass::Idle) };
    // Were there more, the next seal begins right after the last one of this.
    let full = i64::try_from(events.len()).is_ok_and(|it| it == EVENTS);
    let last_event = if full { last.id } else { bound };
    let ids: Vec<i64> = events.iter().map(|it| it.id).collect();
    let mut digests = Vec::with_capacity(DIGEST * events.len());
    for event in &events {
        digests.extend_from_slice(&event.digest());
    }
    let position = head.position + 1;
    let hash = digest::seal(&head.hash, position, last_event, &ids, &digests);
    sqlx::query!(
        "insert into evidence_seals
             (position, last_event, event_ids, digests, previous, hash, key_fingerprint, signature, sealed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        position,
        last_event,
        &ids,
        digests,
        head.hash,
        hash,
        key.fingerprint(),
        key.sign(&hash),
        now
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Pass::Sealed(events.len()))
}

/// The id through which no event can appear any more. Whoever writes one holds a lock on the table until they commit,
/// so for the instant in which nobody does, all ids that were given out are decided. Never waits, since those who
/// write would wait behind; none: somebody is writing.
async fn settled_through(db: &PgPool) -> Result<Option<i64>> {
    let mut tx = db.begin().await?;
    let locked = sqlx::query("lock table communication_events in share mode nowait").execute(&mut *tx).await;
    match locked.map_err(Error::from) {
        Err(error) if error.may_pass() && !error.is_database_away() => return Ok(None),
        other => other?,
    };
    let last = sqlx::query_scalar!("select max(id) from communication_events").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(last)
}
