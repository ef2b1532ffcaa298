//! How the queue is doing, for those who operate the program. Reads only.

use crate::{channels::Channel, error::Result};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// One channel's queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Channel.
    pub channel: Channel,
    /// Messages in it.
    pub pending: i64,
    /// Those whose time has come.
    pub due: i64,
    /// Messages that wait for a decision.
    pub unconfirmed: i64,
    /// Messages taken by the provider, ever.
    pub sent: i64,
    /// Messages refused for good, ever.
    pub failed: i64,
    /// Since when the one of them whose time came first is due.
    pub oldest_due: Option<DateTime<Utc>>,
    /// End of the last run that did its work.
    pub last_success: Option<DateTime<Utc>>,
    /// How long it took, in seconds.
    pub last_duration: Option<i64>,
}

/// What came back, and how far the proof of what happened lags behind.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// News of each kind but deliveries, ever: code and count.
    pub by_kind: Vec<(String, i64)>,
    /// Those that wait to be applied.
    pub waiting: i64,
    /// Those that nobody could match: they wait for a person.
    pub unmatched: i64,
    /// Events of messages that no seal covers yet.
    pub unsealed: i64,
    /// When the first of those happened.
    pub unsealed_since: Option<DateTime<Utc>>,
}

/// What came back so far.
///
/// # Errors
/// When the database fails.
pub async fn returned(db: &PgPool) -> Result<Returned> {
    let by_kind = sqlx::query!(
        r#"select kind, count(*) as "count!" from inbound_events
           where kind in ('DEFERRED', 'HARD_BOUNCE', 'SOFT_BOUNCE', 'SENDER_REFUSED', 'COMPLAINT', 'OPT_OUT', 'REPLY', 'AUTO_REPLY')
           group by kind order by kind"#
    )
    .fetch_all(db)
    .await?;
    let rest = sqlx::query!(
        r#"with sealed as (select coalesce(max(last_event), 0) as through from evidence_seals),
                open as (select at from communication_events, sealed where id > sealed.through)
           select (select count(*) from inbound_events where status = 'NEW') as "waiting!",
                  (select count(*) from unmatched_inbound_events) as "unmatched!",
                  (select count(*) from open) as "unsealed!", (select min(at) from open) as since"#
    )
    .fetch_one(db)
    .await?;
    Ok(Returned {
        by_kind: by_kind.into_iter().map(|it| (it.kind, it.count)).collect(),
        waiting: rest.waiting,
        unmatched: rest.unmatched,
        unsealed: rest.unsealed,
        unsealed_since: rest.since,
    })
}

/// The queue of each channel at `now`.
///
/// # Errors
/// When the database fails.
pub async fn queue(db: &PgPool, now: DateTime<Utc>) -> Result<Vec<Queue>> {
    let rows = sqlx::query!(
        r#"select c.code as "code!",
               queue.pending as "pending!", queue.due as "due!", queue.oldest as oldest_due,
               (select count(*) from communication_logs l where l.communication_type = c.code and l.status = 'UNCONFIRMED') as "unconfirmed!",
               (select coalesce(sum(r.sent), 0) from drip_runs r where r.communication_type = c.code) as "sent!",
               (select coalesce(sum(r.failed), 0) from drip_runs r where r.communication_type = c.code) as "failed!",
               done.finished_at as "last_success?", extract(epoch from done.finished_at - done.started_at)::bigint as "last_duration?"
           from (values ('EMAIL'), ('SMS'), ('WHATSAPP')) as c (code)
           cross join lateral (
               select count(*) as pending, count(*) filter (where l.next_attempt_at <= $1) as due,
                   min(l.next_attempt_at) filter (where l.next_attempt_at <= $1) as oldest
               from communication_logs l where l.communication_type = c.code and l.status = 'PENDING'
           ) queue
           left join lateral (
               select r.started_at, r.finished_at from drip_runs r
               where r.communication_type = c.code and r.status = 'DONE' order by r.finished_at desc nulls last limit 1
           ) done on true"#,
        now
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Queue {
                channel: Channel::from_code(&it.code)?,
                pending: it.pending,
                due: it.due,
                unconfirmed: it.unconfirmed,
                sent: it.sent,
                failed: it.failed,
                oldest_due: it.oldest_due,
                last_success: it.last_success,
                last_duration: it.last_duration,
            })
        })
        .collect())
}
