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
    let rows = sqlx::query!(
        r#"select status, block_reason, case when status = 'PENDING' then defer_reason end as defer_reason,
                  count(*) as "count!", count(unsubscribed_at) as "unsubscribed!",
                  min(next_attempt_at) filter (where status = 'PENDING') as next_attempt_at, max(sent_at) as last_sent_at
           from communication_logs where campaign_id = $1 and origin = 'CAMPAIGN' group by 1, 2, 3"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let mut progress = Progress::default();
    for row in rows {
        let count = u64::try_from(row.count).unwrap_or_default();
        if let Some(status) = Status::from_code(&row.status) {
            *progress.by_status.entry(status).or_default() += count;
        }
        if let Some(reason) = row.block_reason.as_deref().and_then(BlockReason::from_code) {
            *progress.blocked.entry(reason).or_default() += count;
        }
        if let Some(reason) = row.defer_reason.as_deref().and_then(DeferReason::from_code) {
            *progress.deferred.entry(reason).or_default() += count;
        }
        progress.unsubscribed += u64::try_from(row.unsubscribed).unwrap_or_default();
        progress.next_attempt_at =
            [progress.next_attempt_at, row.next_attempt_at].into_iter().flatten().min();
        progress.last_sent_at = progress.last_sent_at.max(row.last_sent_at);
    }
    Ok(progress)
}
