//! How a campaign stands: its messages by status and reason, summed from what each statement that moved some wrote
//! down about it (`campaign_tallies`, kept by the database itself).

use crate::{
    error::Result,
    ids::CampaignId,
    messaging::kinds::{BlockReason, DeferReason, Status},
};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use std::collections::BTreeMap;

/// The counts of one campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Messages by status.
    pub by_status: BTreeMap<Status, u64>,
    /// BLOCKED ones by reason.
    pub blocked: BTreeMap<BlockReason, u64>,
    /// PENDING ones that wait for a stated reason.
    pub deferred: BTreeMap<DeferReason, u64>,
    /// When the next PENDING one is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Recipients who unsubscribed by a message of it.
    pub unsubscribed: u64,
}

impl Progress {
    /// Messages with `status`.
    #[must_use]
    pub fn count(&self, status: Status) -> u64 {
        self.by_status.get(&status).copied().unwrap_or_default()
    }

    /// All messages, the blocked ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_status.values().sum()
    }

    /// Messages that were asked for and not blocked.
    #[must_use]
    pub fn recipients(&self) -> u64 {
        self.total() - self.count(Status::Blocked)
    }

    /// Messages in the queue or at this moment on their way.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.count(Status::Pending) + self.count(Status::Sending)
    }

    /// Messages that left, whatever became of them.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.by_status.iter().filter(|(status, _)| status.has_left()).map(|(_, count)| count).sum()
    }

    /// PENDING messages that wait for a stated reason.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.deferred.values().sum()
    }

    /// What part of the recipients `settled` are, 0 to 100.
    #[must_use]
    pub fn percent(&self, settled: u64) -> u64 {
        match self.recipients() {
            0 => 100,
            all => settled * 100 / all,
        }
    }
}

/// The counts of the campaign `id`.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, id: CampaignId) -> Result<Progress> {
    // One statement, so that all parts tell of one moment.
    let rows = sqlx::query!(
        r#"select status, reason, unsubscribed, sum(messages)::bigint as "count!", null::timestamptz as next
           from campaign_tallies where campaign_id = $1 group by status, reason, unsubscribed
           union all
           select null, null, null, 0, (
               select next_attempt_at from communication_logs
               where communication_type = (select communication_type from campaigns where id = $1)
                   and campaign_id = $1 and status = 'PENDING' and origin = 'CAMPAIGN'
               order by next_attempt_at limit 1)"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let mut progress = Progress::default();
    for row in rows {
        progress.next_attempt_at = progress.next_attempt_at.or(row.next);
        let count = u64::try_from(row.count).unwrap_or_default();
        let (Some(status), 1..) = (row.status.as_deref().and_then(Status::from_code), count) else {
            continue;
        };
        *progress.by_status.entry(status).or_default() += count;
        if row.unsubscribed == Some(true) {
            progress.unsubscribed += count;
        }
        let reason = row.reason.as_deref().unwrap_or_default();
        match status {
            Status::Blocked => {
                if let Some(reason) = BlockReason::from_code(reason) {
                    *progress.blocked.entry(reason).or_default() += count;
                }
            }
            Status::Pending => {
                if let Some(reason) = DeferReason::from_code(reason) {
                    *progress.deferred.entry(reason).or_default() += count;
                }
            }
            _ => {}
        }
    }
    Ok(progress)
}

/// Add up what has gathered of each campaign, status and reason, so that reading a sum stays short. May run beside
/// senders and beside itself: what another transaction has just written or is adding up is left to a later one.
///
/// # Errors
/// When the database fails.
pub async fn fold(db: impl PgExecutor<'_>) -> Result<()> {
    sqlx::query!(
        "with held as (
             select id from campaign_tallies
             where (campaign_id, status, reason, unsubscribed) in (
                 select campaign_id, status, reason, unsubscribed from campaign_tallies
                 group by campaign_id, status, reason, unsubscribed having count(*) > 1)
             for update skip locked
         ), gone as (
             delete from campaign_tallies t using held where t.id = held.id
             returning t.campaign_id, t.status, t.reason, t.unsubscribed, t.messages
         )
         insert into campaign_tallies (campaign_id, status, reason, unsubscribed, messages)
         select campaign_id, status, reason, unsubscribed, sum(messages) from gone
         group by campaign_id, status, reason, unsubscribed having sum(messages) <> 0"
    )
    .execute(db)
    .await?;
    Ok(())
}
