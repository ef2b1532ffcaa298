//! The statement that puts messages into the log. Which ones, and what they say, is [`super::outbox`]'s.

use super::{
    kinds::BlockReason,
    outbox::{Draft, Enqueued, Origin},
};
use crate::{access::Actor, channels::Channel, db::Tx, error::Result, ids::ContactId};
use chrono::{DateTime, Utc};
use sqlx::Connection as _;

/// Rows to be.
#[derive(Default)]
pub(super) struct NewRows {
    pub(super) contacts: Vec<i64>,
    keys: Vec<Option<String>>,
    destinations: Vec<Option<String>>,
    reasons: Vec<Option<String>>,
    details: Vec<Option<String>>,
}

impl NewRows {
    pub(super) fn push(
        &mut self,
        contact: ContactId,
        key: Option<String>,
        destination: Option<String>,
        refusal: Option<(BlockReason, String)>,
    ) {
        let (reason, detail) = refusal.unzip();
        self.contacts.push(contact.0);
        self.keys.push(key);
        self.destinations.push(destination);
        self.reasons.push(reason.map(|it| it.code().to_owned()));
        self.details.push(detail.filter(|it| !it.is_empty()));
    }

    pub(super) fn block_all(&mut self, reason: BlockReason) {
        self.reasons = vec![Some(reason.code().to_owned()); self.contacts.len()];
        self.details = vec![None; self.contacts.len()];
    }
}

/// What became of them.
#[derive(Default)]
pub(super) struct Inserted {
    pub(super) inserted: usize,
    pub(super) enqueued: Enqueued,
}

impl Inserted {
    fn of(counts: Vec<(Option<String>, i64)>) -> Inserted {
        let mut result = Inserted::default();
        for (reason, count) in counts {
            let count = u64::try_from(count).unwrap_or_default();
            result.inserted += usize::try_from(count).unwrap_or_default();
            match reason.as_deref().and_then(BlockReason::from_code) {
                None => result.enqueued.queued += count,
                Some(reason) => *result.enqueued.blocked.entry(reason).or_default() += count,
            }
        }
        result
    }

    pub(super) fn add(&mut self, other: &Inserted) {
        self.inserted += other.inserted;
        self.enqueued.add(&other.enqueued);
    }
}

/// The statement that puts rows into the log, with what becomes of those that are there already.
macro_rules! insertion {
    ($conflict:literal, $now:expr, $actor:expr, $draft:expr, $rows:expr) => {
        sqlx::query!(
            "with wanted as (
                 select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
                     as w (contact_id, dedupe_key, destination, reason, detail)
             ), made as (
                 insert into communication_logs
                     (origin, campaign_id, workflow_step_id, contact_id, dedupe_key, destination, communication_type,
                      message_type, template_id, status, block_reason, scheduled_at, next_attempt_at, requested_by, created_at,
                      mailing_id)
                 select $6, $7, $8, contact_id, dedupe_key, destination, $9, $10, $11,
                        case when reason is null then 'PENDING' else 'BLOCKED' end, reason, $12, $12, $13, $14, $15
                 from wanted "
                + $conflict
                + " returning id, contact_id, block_reason,
                     case when block_reason is not null then message_proof(communication_logs) end as facts
             ), told as (
                 insert into communication_events (communication_log_id, at, kind, reason, answer, staff_user_id, facts)
                 select made.id, $14, case when made.block_reason is null then 'QUEUED' else 'BLOCKED' end,
                        made.block_reason, wanted.detail, $13, made.facts
                 from made join wanted using (contact_id)
                 returning reason
             )
             select reason, count(*) as \"count!\" from told group by reason",
            &$rows.contacts,
            &$rows.keys as &[Option<String>],
            &$rows.destinations as &[Option<String>],
            &$rows.reasons as &[Option<String>],
            &$rows.details as &[Option<String>],
            $draft.origin.kind().code(),
            $draft.origin.campaign(),
            if let Origin::Workflow { step, .. } = $draft.origin { Some(step) } else { None },
            $draft.channel.code(),
            $draft.message_type.code(),
            $draft.template.0,
            $draft.scheduled_at,
            $actor.staff_id().map(|it| it.0),
            $now,
            $draft.origin.mailing()
        )
        .map(|it| (it.reason, it.count))
    };
}

/// Put `rows` into the log, those that are not there already, each with the first event of its story.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    draft: &Draft<'_>,
    rows: &NewRows,
) -> Result<Inserted> {
    // No two people share an address of email, so that nobody of a campaign's next page is there already, but for
    // those of a page whose checkpoint was lost. Looking first for each would be a sixth of the work.
    if draft.channel == Channel::Email && draft.origin.campaign().is_some() {
        let mut attempt = tx.begin().await?;
        match insertion!("", now, actor, draft, rows).fetch_all(&mut *attempt).await {
            Ok(counts) => {
                attempt.commit().await?;
                return Ok(Inserted::of(counts));
            }
            Err(error)
                if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) =>
            {
                attempt.rollback().await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let counts = insertion!("on conflict do nothing", now, actor, draft, rows).fetch_all(&mut **tx).await?;
    Ok(Inserted::of(counts))
}
