//! The record of each run of a job. A slot is taken once over all replicas; a
//! run that was cut off is told by its advisory lock, which dies with its process.

use crate::{db::locks, error::Result};
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, PgPool};

/// Who started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its time had come.
    Scheduler,
    /// Someone asked.
    Manual,
}

impl Trigger {
    fn code(self) -> &'static str {
        match self {
            Trigger::Scheduler => "SCHEDULER",
            Trigger::Manual => "MANUAL",
        }
    }
}

/// A living run. Dropping it frees its lock.
pub(super) struct Live {
    id: i64,
    connection: PgConnection,
}

/// Take the slot of a job; none: someone else has.
pub(super) async fn take(
    db: &PgPool,
    now: DateTime<Utc>,
    name: &str,
    slot: DateTime<Utc>,
    trigger: Trigger,
) -> Result<Option<Live>> {
    // Asked first without a connection of its own, since the answer is nearly always yes.
    let taken = sqlx::query_scalar!(
        r#"select exists (select 1 from job_runs where name = $1 and slot = $2 and trigger = $3) as "taken!""#,
        name,
        slot,
        trigger.code()
    )
    .fetch_one(db)
    .await?;
    if taken {
        return Ok(None);
    }
    let mut connection = db.acquire().await?.detach();
    let mut tx = connection.begin().await?;
    let id = sqlx::query_scalar!(
        "insert into job_runs (name, slot, trigger, started_at) values ($1, $2, $3, $4)
         on conflict on constraint job_runs_slot_once do nothing returning id",
        name,
        slot,
        trigger.code(),
        now
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = id else {
        return Ok(None);
    };
    sqlx::query!("select pg_advisory_lock($1, $2)", locks::JOB, locks::key(id)).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(Live { id, connection }))
}

impl Live {
    /// Close the record with its outcome, or why it failed, in Spanish.
    pub(super) async fn end(
        self,
        db: &PgPool,
        now: DateTime<Utc>,
        result: std::result::Result<String, String>,
    ) -> Result<()> {
        let (status, outcome) = match result {
            Ok(outcome) => ("DONE", outcome),
            Err(reason) => ("FAILED", reason),
        };
        sqlx::query!(
            "update job_runs set status = $2, finished_at = $3, outcome = $4 where id = $1",
            self.id,
            status,
            now,
            outcome
        )
        .execute(db)
        .await?;
        self.connection.close().await.ok();
        Ok(())
    }
}

/// Close the runs whose process is gone.
pub(super) async fn bury_the_dead(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    let open = sqlx::query_scalar!("select id from job_runs where status = 'RUNNING' order by id")
        .fetch_all(db)
        .await?;
    for id in open {
        let mut tx = db.begin().await?;
        let dead = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock($1, $2) as "dead!""#,
            locks::JOB,
            locks::key(id)
        )
        .fetch_one(&mut *tx)
        .await?;
        if dead {
            sqlx::query!(
                "update job_runs set status = 'INTERRUPTED', finished_at = $2,
                     outcome = 'El programa se detuvo mientras corría. Se retoma en la próxima corrida.'
                 where id = $1 and status = 'RUNNING'",
                id,
                now
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Forget the runs that ended before `before`. Returns how many.
pub(super) async fn forget(db: &PgPool, before: DateTime<Utc>) -> Result<u64> {
    let gone = sqlx::query!("delete from job_runs where started_at < $1 and status <> 'RUNNING'", before)
        .execute(db)
        .await?;
    Ok(gone.rows_affected())
}

/// One run, as shown.
#[derive(Clone, Debug)]
pub struct Record {
    /// Job.
    pub name: String,
    /// Its time had come, or someone asked.
    pub by_hand: bool,
    /// Who, where the audit knows.
    pub asked_by: Option<String>,
    /// When.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// RUNNING, DONE, FAILED or INTERRUPTED.
    pub status: String,
    /// What it came to, in Spanish.
    pub outcome: Option<String>,
}

/// The latest `limit` runs of a job, newest first.
///
/// # Errors
/// When the database fails.
pub async fn latest(db: &PgPool, name: &str, limit: i64) -> Result<Vec<Record>> {
    Ok(sqlx::query_as!(
        Record,
        r#"select r.name, r.trigger = 'MANUAL' as "by_hand!", r.started_at, r.finished_at, r.status, r.outcome,
                  case when r.trigger = 'MANUAL' then (
                      select a.actor from audit_events a
                      where a.subject_kind = 'job' and a.action = 'job.run' and a.at = r.slot and a.after = to_jsonb(r.name)
                      order by a.id limit 1
                  ) end as asked_by
           from job_runs r where r.name = $1 order by r.id desc limit $2"#,
        name,
        limit
    )
    .fetch_all(db)
    .await?)
}
