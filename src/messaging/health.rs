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
    /// End of the last run that did its work.
    pub last_success: Option<DateTime<Utc>>,
}

/// The queue of each channel at `now`.
///
/// # Errors
/// When the database fails.
pub async fn queue(db: &PgPool, now: DateTime<Utc>) -> Result<Vec<Queue>> {
    let rows = sqlx::query!(
        r#"select c.code as "code!",
               (select count(*) from communication_logs l where l.communication_type = c.code and l.status = 'PENDING') as "pending!",
               (select count(*) from communication_logs l where l.communication_type = c.code and l.status = 'PENDING'
                    and l.next_attempt_at <= $1) as "due!",
               (select count(*) from communication_logs l where l.communication_type = c.code and l.status = 'UNCONFIRMED') as "unconfirmed!",
               (select coalesce(sum(r.sent), 0) from drip_runs r where r.communication_type = c.code) as "sent!",
               (select coalesce(sum(r.failed), 0) from drip_runs r where r.communication_type = c.code) as "failed!",
               (select max(r.finished_at) from drip_runs r where r.communication_type = c.code and r.status = 'DONE') as last_success
           from (values ('EMAIL'), ('SMS'), ('WHATSAPP')) as c (code)"#,
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
                last_success: it.last_success,
            })
        })
        .collect())
}
