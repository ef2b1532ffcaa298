//! How a campaign stands: its messages counted from the log itself, never from counters.

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
    /// When the last one left.
    pub last_sent_at: Option<DateTime<Utc>>,
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
    // One statement, so that all parts tell of one moment. States are counted in the index alone, since a campaign may
    // have a million messages; the rest looks only at the rows that it is about.
    let rows = sqlx::query!(
        r#"select 'STATUS' as "what!", status as code, count(*) as "count!", max(sent_at) as at
           from communication_logs where campaign_id = $1 and origin = 'CAMPAIGN' group by status
           union all
           select 'BLOCKED', block_reason, count(*), null
           from communication_logs where campaign_id = $1 and origin = 'CAMPAIGN' and status = 'BLOCKED' group by block_reason
           union all
           select 'DEFERRED', defer_reason, count(*), null
           from communication_logs where campaign_id = $1 and origin = 'CAMPAIGN' and status = 'PENDING'
               and defer_reason is not null group by defer_reason
           union all
           select 'NEXT', null, 0, (
               select next_attempt_at from communication_logs
               where communication_type = (select communication_type from campaigns where id = $1)
                   and campaign_id = $1 and status = 'PENDING' and origin = 'CAMPAIGN'
               order by next_attempt_at limit 1)
           union all
           select 'UNSUBSCRIBED', null, count(*), null
           from communication_logs where campaign_id = $1 and origin = 'CAMPAIGN' and unsubscribed_at is not null"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let mut progress = Progress::default();
    for row in rows {
        let count = u64::try_from(row.count).unwrap_or_default();
        let code = row.code.as_deref().unwrap_or_default();
        match row.what.as_str() {
            "STATUS" => {
                if let Some(status) = Status::from_code(code) {
                    progress.by_status.insert(status, count);
                }
                progress.last_sent_at = progress.last_sent_at.max(row.at);
            }
            "BLOCKED" => progress.blocked.extend(BlockReason::from_code(code).map(|it| (it, count))),
            "DEFERRED" => progress.deferred.extend(DeferReason::from_code(code).map(|it| (it, count))),
            "NEXT" => progress.next_attempt_at = row.at,
            _ => progress.unsubscribed = count,
        }
    }
    Ok(progress)
}
