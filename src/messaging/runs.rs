//! The record of each drip run, and how a run that was cut off is told from one
//! that lives: a living run holds an advisory lock, which Postgres frees with
//! its connection, however the process ended. No clock decides.

use super::outbox;
use crate::{
    channels::Channel,
    db::{Tx, locks},
    error::Result,
    ids::DripRunId,
};
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, PgPool};

/// Who started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The built-in scheduler.
    Scheduler,
    /// `POST /internal/drip`.
    Http,
    /// `llovizna drip run`, or `llovizna job run drip`.
    CommandLine,
    /// A page: a test message, or the job run by hand.
    Panel,
}

impl Trigger {
    fn code(self) -> &'static str {
        match self {
            Trigger::Scheduler => "SCHEDULER",
            Trigger::Http => "HTTP",
            Trigger::CommandLine => "CLI",
            Trigger::Panel => "PANEL",
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages looked at: let go, put off or refused.
    pub claimed: u32,
    /// Taken by the provider.
    pub sent: u32,
    /// Never to be taken.
    pub failed: u32,
    /// To be tried later, by the gate or after a temporary answer.
    pub deferred: u32,
    /// Refused by the gate.
    pub blocked: u32,
    /// Not known.
    pub unconfirmed: u32,
}

/// A living run. Dropping it frees its locks.
#[derive(Debug)]
pub struct Live {
    /// Its record.
    pub id: DripRunId,
    connection: PgConnection,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did what there was to do.
    Done,
    /// It stopped early.
    Failed,
}

/// Start a run. `alone`: only if no other run of the channel lives, on any machine; none: one does.
///
/// # Errors
/// When the database fails.
pub async fn start(
    db: &PgPool,
    now: DateTime<Utc>,
    channel: Channel,
    trigger: Trigger,
    alone: bool,
) -> Result<Option<Live>> {
    // A connection of its own, outside the pool: closing it is what frees the locks.
    let mut connection = db.acquire().await?.detach();
    if alone {
        let place = Channel::ALL.iter().position(|it| *it == channel).unwrap_or_default();
        let free = sqlx::query_scalar!(
            r#"select pg_try_advisory_lock($1, $2) as "free!""#,
            locks::DRIP,
            i32::try_from(place).unwrap_or_default()
        )
        .fetch_one(&mut connection)
        .await?;
        if !free {
            connection.close().await.ok();
            return Ok(None);
        }
    }
    // In one transaction, so that no one sees the record without the lock.
    let mut tx = connection.begin().await?;
    let id = sqlx::query_scalar!(
        "insert into drip_runs (trigger, communication_type, started_at) values ($1, $2, $3) returning id",
        trigger.code(),
        channel.code(),
        now
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!("select pg_advisory_lock($1, $2)", locks::DRIP_RUN, locks::key(id))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Some(Live { id: DripRunId(id), connection }))
}

impl Live {
    /// Close the record, give back what was set apart and not begun, and free the locks.
    ///
    /// # Errors
    /// When the database fails; the run then counts as cut off.
    pub async fn end(
        mut self,
        db: &PgPool,
        now: DateTime<Utc>,
        counts: &Counts,
        ending: Ending,
        error: Option<&str>,
    ) -> Result<()> {
        let mut tx = db.begin().await?;
        // What it sets out to begin at this moment, it has begun or has lost after this.
        outbox::release(&mut tx, self.id).await?;
        // Whatever is still being sent was not written down: nobody knows if it left.
        let cut = outbox::cut_off(&mut tx, now, self.id).await?;
        let unconfirmed = counts.unconfirmed + u32::try_from(cut).unwrap_or(u32::MAX);
        close(&mut tx, now, self.id, &Counts { unconfirmed, ..*counts }, ending, error).await?;
        tx.commit().await?;
        // Freed by word, since the server notices a closed connection only a moment later.
        sqlx::query!("select pg_advisory_unlock_all()").fetch_one(&mut self.connection).await.ok();
        self.connection.close().await.ok();
        Ok(())
    }
}

async fn close(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    id: DripRunId,
    counts: &Counts,
    ending: Ending,
    error: Option<&str>,
) -> Result<()> {
    let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    sqlx::query!(
        "update drip_runs set status = $2, finished_at = $3, claimed = $4, sent = $5, failed = $6, deferred = $7,
             blocked = $8, unconfirmed = $9, error = $10
         where id = $1",
        id.0,
        match ending {
            Ending::Done => "DONE",
            Ending::Failed => "FAILED",
        },
        now,
        int(counts.claimed),
        int(counts.sent),
        int(counts.failed),
        int(counts.deferred),
        int(counts.blocked),
        int(counts.unconfirmed),
        error
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Close the runs that were cut off: what they were handing over becomes UNCONFIRMED,
/// what they had only set apart goes back. Returns how many messages are UNCONFIRMED.
///
/// # Errors
/// When the database fails.
pub async fn bury_the_dead(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let open = sqlx::query_scalar!("select id from drip_runs where status = 'RUNNING' order by id")
        .fetch_all(db)
        .await?;
    let mut unconfirmed = 0;
    for id in open {
        let mut tx = db.begin().await?;
        let dead = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock($1, $2) as "dead!""#,
            locks::DRIP_RUN,
            locks::key(id)
        )
        .fetch_one(&mut *tx)
        .await?;
        if !dead {
            continue;
        }
        outbox::release(&mut tx, DripRunId(id)).await?;
        let cut = outbox::cut_off(&mut tx, now, DripRunId(id)).await?;
        // What it counted died with it: its messages tell what it had done. They are looked for from its beginning on,
        // by whatever clock it wrote them down.
        sqlx::query!(
            "update drip_runs r set status = 'INTERRUPTED', finished_at = $2, claimed = told.claimed, sent = told.sent,
                 failed = told.failed, deferred = told.deferred, blocked = told.blocked, unconfirmed = told.unconfirmed
             from (
                 select (count(distinct communication_log_id) filter (where kind in ('ALLOWED', 'DEFERRED', 'BLOCKED')))::int as claimed,
                        (count(*) filter (where kind = 'SENT'))::int as sent,
                        (count(*) filter (where kind = 'FAILED'))::int as failed,
                        (count(*) filter (where kind in ('DEFERRED', 'RETRY', 'REQUEUED')))::int as deferred,
                        (count(*) filter (where kind = 'BLOCKED'))::int as blocked,
                        (count(*) filter (where kind = 'UNCONFIRMED'))::int as unconfirmed
                 from communication_events
                 where drip_run_id = $1 and at >= (select started_at - interval '1 hour' from drip_runs where id = $1)
             ) told
             where r.id = $1 and r.status = 'RUNNING'",
            id,
            now
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if cut > 0 {
            tracing::warn!(
                drip_run.id = id,
                messages = cut,
                "A drip run was cut off while handing messages over"
            );
        }
        unconfirmed += cut;
    }
    Ok(unconfirmed)
}

/// One run, for the list of runs.
#[derive(Clone, Debug)]
pub struct Record {
    /// Row.
    pub id: DripRunId,
    /// Who started it, as stored.
    pub trigger: String,
    /// Who ran the job of the drip by hand, where it was that and the audit knows.
    pub asked_by: Option<String>,
    /// Channel.
    pub channel: Option<Channel>,
    /// RUNNING, DONE, FAILED or INTERRUPTED.
    pub status: String,
    /// When.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it did.
    pub counts: Counts,
    /// Why it stopped early, in Spanish.
    pub error: Option<String>,
}

/// When the last run of `channel` began and what stopped it early; none if it went well, or goes on.
///
/// # Errors
/// When the database fails.
pub async fn trouble(db: &mut PgConnection, channel: Channel) -> Result<Option<(DateTime<Utc>, String)>> {
    // Few other channels' runs lie between: they end where this one's do.
    let last = sqlx::query!(
        "select started_at, status, error from drip_runs where communication_type = $1 order by id desc limit 1",
        channel.code()
    )
    .fetch_optional(db)
    .await?;
    Ok(last.filter(|it| it.status == "FAILED").and_then(|it| Some((it.started_at, it.error?))))
}

/// The newest runs below `before`.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &mut PgConnection, before: Option<i64>, limit: i64) -> Result<Vec<Record>> {
    let rows = sqlx::query!(
        // Whoever ran the job by hand has the first run of that kind since, while the job went on; a test message is of
        // nobody's. Records of jobs are forgotten before the audit is, which is why one may be missing.
        r#"select d.*, case when d.trigger in ('PANEL', 'CLI') then (
                select a.actor from audit_events a
                left join job_runs j on j.name = 'drip' and j.trigger = 'MANUAL' and j.slot = a.at
                where a.subject_kind = 'job' and a.action = 'job.run' and a.after = '"drip"' and a.at <= d.started_at
                  and (a.staff_user_id is null) = (d.trigger = 'CLI')
                  and case when j.id is null then d.started_at <= a.at + interval '1 minute'
                           else d.started_at <= coalesce(j.finished_at, d.started_at) end
                  and not exists (
                      select from drip_runs o where o.id < d.id and o.trigger = d.trigger and o.started_at >= a.at)
                order by a.id desc limit 1
           ) end as asked_by
           from drip_runs d where d.id < coalesce($1, 9223372036854775807) order by d.id desc limit $2"#,
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    let count = |n: i32| u32::try_from(n).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|it| Record {
            id: DripRunId(it.id),
            trigger: it.trigger,
            asked_by: it.asked_by,
            channel: Channel::from_code(&it.communication_type),
            status: it.status,
            started_at: it.started_at,
            finished_at: it.finished_at,
            counts: Counts {
                claimed: count(it.claimed),
                sent: count(it.sent),
                failed: count(it.failed),
                deferred: count(it.deferred),
                blocked: count(it.blocked),
                unconfirmed: count(it.unconfirmed),
            },
            error: it.error,
        })
        .collect())
}
