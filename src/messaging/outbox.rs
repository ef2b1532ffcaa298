//! The state machine of messages: one function for each arrow drawn in
//! `migrations/0006_messaging.sql`, each of which also appends to the story. Knows
//! no channel and no rule: the gate decides, the drain sends, this writes down.
//! PENDING -> SENDING is [`super::leaving`]'s, which asks the gate's questions once more.

pub use super::verdicts::{Verdict, excluded, retry_failed, settle, settle_all};
use super::{
    cancellation,
    gate::{self, Asked},
    insertion::{self, NewRows},
    kinds::{BlockReason, DeferReason, MessageType, OriginKind},
    streams::Sendout,
};
use crate::{
    access::Actor,
    channels::{Channel, feedback::Report},
    db::Tx,
    error::Result,
    ids::{CampaignId, ContactId, DripRunId, MailingId, MessageId, TemplateId},
};

use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

/// Who asks for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A campaign.
    Campaign(CampaignId),
    /// A step of a workflow; asking twice with one key makes one message a contact.
    Workflow {
        /// The step.
        step: i64,
        /// What makes it one.
        key: String,
    },
    /// Something that people asked for; asking twice with one key makes one message a contact.
    Transactional {
        /// What makes it one.
        key: String,
    },
    /// Someone on the staff, by hand: a mailing.
    Manual(MailingId),
}

impl Origin {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> OriginKind {
        match self {
            Origin::Campaign(_) => OriginKind::Campaign,
            Origin::Workflow { .. } => OriginKind::Workflow,
            Origin::Transactional { .. } => OriginKind::Transactional,
            Origin::Manual(_) => OriginKind::Manual,
        }
    }

    pub(super) fn campaign(&self) -> Option<i64> {
        match self {
            Origin::Campaign(id) => Some(id.0),
            _ => None,
        }
    }

    pub(super) fn mailing(&self) -> Option<i64> {
        match self {
            Origin::Manual(id) => Some(id.0),
            _ => None,
        }
    }

    fn dedupe_key(&self, contact: ContactId) -> Option<String> {
        match self {
            Origin::Campaign(_) => None,
            Origin::Workflow { step, key } => Some(format!("workflow:{step}:{key}:{contact}")),
            Origin::Transactional { key } => Some(format!("transactional:{key}:{contact}")),
            Origin::Manual(mailing) => Some(format!("manual:mailing:{mailing}:{contact}")),
        }
    }
}

/// Messages that have yet to be addressed.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Who asks.
    pub origin: Origin,
    /// How they travel.
    pub channel: Channel,
    /// What they are for.
    pub message_type: MessageType,
    /// The text as it stands; a campaign's is looked up again when sending.
    pub template: TemplateId,
    /// Personal variables that the text can't do without ([`super::template::Compiled::required`]).
    pub required: &'a [&'a str],
    /// Not before.
    pub scheduled_at: DateTime<Utc>,
}

/// What became of a request to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// Messages in the queue.
    pub queued: u64,
    /// Messages refused, by reason; each has its row too.
    pub blocked: BTreeMap<BlockReason, u64>,
}

impl Enqueued {
    /// Add another page's counts.
    pub fn add(&mut self, other: &Enqueued) {
        self.queued += other.queued;
        for (reason, count) in &other.blocked {
            *self.blocked.entry(*reason).or_default() += count;
        }
    }
}

/// Queue `draft` for each of `contacts`: a PENDING row for who may get it, a
/// BLOCKED row with its reason for who may not. The only way into the log; asking
/// twice for the same origin adds nothing.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    draft: &Draft<'_>,
    contacts: &[ContactId],
) -> Result<Enqueued> {
    let asked: Vec<Asked> = contacts
        .iter()
        .map(|id| Asked {
            contact: Some(*id),
            destination: None,
            kind: draft.message_type,
            is_test: false,
            asked_for: Some(draft.scheduled_at),
        })
        .collect();
    let facts = gate::facts(tx, draft.channel, &asked, None).await?;
    let mut rows = NewRows::default();
    let mut people = HashSet::new();
    for facts in &facts {
        // Two who were joined are asked for once.
        let Some(person) = facts.person.filter(|it| people.insert(*it)) else { continue };
        let refusal =
            gate::eligible(draft.origin.kind(), draft.message_type, draft.required, facts, now).err();
        rows.push(person, draft.origin.dedupe_key(person), facts.destination.clone(), refusal);
    }
    let mut done = insertion::insert(tx, now, actor, draft, &rows).await?;
    if draft.origin.campaign().is_some() && done.inserted < rows.contacts.len() {
        // Left over are those already there, and those whose address another recipient has.
        rows.block_all(BlockReason::DuplicateAddress);
        done.add(&insertion::insert(tx, now, actor, draft, &rows).await?);
    }
    Ok(done.enqueued)
}

/// Queue a test of a campaign's text to `destination`, as `contact` would get it. It leaves at the next chance,
/// whatever the window and the caps.
///
/// # Errors
/// When the database fails.
pub async fn enqueue_test(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    campaign: CampaignId,
    draft: &Draft<'_>,
    destination: &str,
) -> Result<MessageId> {
    let id = sqlx::query_scalar!(
        "with made as (
             insert into communication_logs
                 (origin, campaign_id, destination, communication_type, message_type, template_id, status,
                  scheduled_at, next_attempt_at, requested_by, created_at)
             values ('TEST', $1, $2, $3, $4, $5, 'PENDING', $6, $6, $7, $6)
             returning id
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id)
         select id, $6, 'QUEUED', $7 from made
         returning communication_log_id",
        campaign.0,
        destination,
        draft.channel.code(),
        draft.message_type.code(),
        draft.template.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(MessageId(id))
}

/// PENDING, reserved for `run` so that no other run takes it and caps count it.
pub(super) async fn reserve(tx: &mut Tx<'_>, now: DateTime<Utc>, run: DripRunId, ids: &[i64]) -> Result<()> {
    sqlx::query!(
        "with held as (
             insert into communication_reservations (communication_log_id, drip_run_id, reserved_at, newest_rhythm)
             select id, $2, $3, (select coalesce(max(id), 0) from contact_rhythms) from unnest($1::bigint[]) as given (id)
             returning communication_log_id
         )
         insert into communication_events (communication_log_id, at, kind, drip_run_id)
         select communication_log_id, $3, 'ALLOWED', $2 from held",
        ids,
        run.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One message that the gate put off.
#[derive(Clone, Debug)]
pub(super) struct Deferral {
    pub(super) id: i64,
    pub(super) until: DateTime<Utc>,
    pub(super) reason: DeferReason,
    pub(super) detail: String,
}

/// PENDING -> PENDING at a later time, for the gate's reasons.
pub(super) async fn defer(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    all: &[Deferral],
) -> Result<()> {
    let ids: Vec<i64> = all.iter().map(|it| it.id).collect();
    let until: Vec<DateTime<Utc>> = all.iter().map(|it| it.until).collect();
    let reasons: Vec<String> = all.iter().map(|it| it.reason.code().to_owned()).collect();
    let details: Vec<Option<String>> =
        all.iter().map(|it| Some(it.detail.clone()).filter(|it| !it.is_empty())).collect();
    sqlx::query!(
        "with given as (
             select * from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[]) as g (id, until, reason, detail)
         ), put as (
             update communication_logs l set next_attempt_at = g.until, defer_reason = g.reason
             from given g where l.id = g.id and l.status is not distinct from 'PENDING'
             returning l.id
         )
         insert into communication_events (communication_log_id, at, kind, reason, until, answer, drip_run_id)
         select g.id, $5, 'DEFERRED', g.reason, g.until, g.detail, $6 from given g join put using (id)",
        &ids,
        &until,
        &reasons,
        &details as &[Option<String>],
        now,
        run.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One message that the gate refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) id: i64,
    pub(super) reason: BlockReason,
    pub(super) detail: String,
}

/// PENDING -> BLOCKED.
pub(super) async fn block(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    all: &[Refusal],
) -> Result<()> {
    let ids: Vec<i64> = all.iter().map(|it| it.id).collect();
    let reasons: Vec<String> = all.iter().map(|it| it.reason.code().to_owned()).collect();
    let details: Vec<Option<String>> =
        all.iter().map(|it| Some(it.detail.clone()).filter(|it| !it.is_empty())).collect();
    sqlx::query!(
        "with given as (
             select * from unnest($1::bigint[], $2::text[], $3::text[]) as g (id, reason, detail)
         ), put as (
             update communication_logs l set status = 'BLOCKED', block_reason = g.reason, defer_reason = null
             from given g where l.id = g.id and l.status is not distinct from 'PENDING'
             returning l.id, message_proof(l) as facts
         )
         insert into communication_events (communication_log_id, at, kind, reason, answer, drip_run_id, facts)
         select g.id, $4, 'BLOCKED', g.reason, g.detail, $5, put.facts from given g join put using (id)",
        &ids,
        &reasons,
        &details as &[Option<String>],
        now,
        run.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What came of handing one message over.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The provider took it.
    Sent { external_id: String, answer: String },
    /// It surely did not; again at `until`.
    Retry { until: DateTime<Utc>, answer: String },
    /// It surely did not, and not for its own fault: back as it was, not before `until` where that is told.
    Untouched { until: Option<DateTime<Utc>>, answer: String },
    /// It never will; `dead`: the address, where it does not exist; `told`: what its server says of the mailbox or of us.
    Failed { answer: String, dead: Option<String>, told: Option<Box<Report>> },
    /// It may have.
    Unconfirmed { answer: String },
}

/// One message and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) id: i64,
    pub(super) sendout: Option<Sendout>,
    pub(super) at: DateTime<Utc>,
    pub(super) outcome: Outcome,
}

/// SENDING -> SENT, PENDING, FAILED or UNCONFIRMED. Also UNCONFIRMED -> the same, for a
/// run that lost its database for a while and was taken for dead, but knows better.
pub(super) async fn finish(tx: &mut Tx<'_>, run: DripRunId, all: &[Finished]) -> Result<()> {
    let mut rows = OutcomeRows::default();
    for it in all {
        rows.push(it);
    }
    sqlx::query!(
        "with given as (
             select * from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
                 as g (id, at, status, kind, answer, until, external_id)
         ), put as (
             update communication_logs l set
                 status = g.status,
                 sent_at = case when g.status = 'SENT' then g.at end,
                 external_id = coalesce(g.external_id, l.external_id),
                 error = case when g.status = 'SENT' then null else g.answer end,
                 next_attempt_at = coalesce(g.until, l.next_attempt_at),
                 defer_reason = case when g.kind = 'RETRY' then 'RETRY' end,
                 attempts = case when g.kind = 'REQUEUED' then greatest(l.attempts - 1, 0) else l.attempts end,
                 drip_run_id = case when g.status = 'PENDING' then null else l.drip_run_id end,
                 claimed_at = case when g.status = 'PENDING' then null else l.claimed_at end
             from given g
             where l.id = g.id and l.drip_run_id is not distinct from $8
               and (l.status is not distinct from 'SENDING'
                    or (l.status is not distinct from 'UNCONFIRMED' and g.status <> 'UNCONFIRMED'))
             returning l.id, l.attempts, case when l.status in ('SENT', 'FAILED') then message_proof(l) end as facts
         )
         insert into communication_events (communication_log_id, at, kind, attempt, answer, until, drip_run_id, facts)
         select g.id, g.at, g.kind, put.attempts, g.answer, g.until, $8, put.facts from given g join put using (id)",
        &rows.ids,
        &rows.at,
        &rows.statuses,
        &rows.kinds,
        &rows.answers,
        &rows.until as &[Option<DateTime<Utc>>],
        &rows.external as &[Option<String>],
        run.0
    )
    .execute(&mut **tx)
    .await?;
    let back: Vec<i64> =
        rows.ids.iter().zip(&rows.statuses).filter(|(_, it)| *it == "PENDING").map(|(id, _)| *id).collect();
    match all.first() {
        Some(first) if !back.is_empty() => cancellation::of_returned(tx, first.at, &back).await,
        _ => Ok(()),
    }
}

#[derive(Default)]
struct OutcomeRows {
    ids: Vec<i64>,
    at: Vec<DateTime<Utc>>,
    statuses: Vec<String>,
    kinds: Vec<String>,
    answers: Vec<String>,
    until: Vec<Option<DateTime<Utc>>>,
    external: Vec<Option<String>>,
}

impl OutcomeRows {
    fn push(&mut self, it: &Finished) {
        let (status, kind, answer, until, external) = match &it.outcome {
            Outcome::Sent { external_id, answer } => {
                ("SENT", "SENT", answer, None, Some(external_id.clone()))
            }
            Outcome::Retry { until, answer } => ("PENDING", "RETRY", answer, Some(*until), None),
            Outcome::Untouched { until, answer } => ("PENDING", "REQUEUED", answer, *until, None),
            Outcome::Failed { answer, .. } => ("FAILED", "FAILED", answer, None, None),
            Outcome::Unconfirmed { answer } => ("UNCONFIRMED", "UNCONFIRMED", answer, None, None),
        };
        self.ids.push(it.id);
        self.at.push(it.at);
        self.statuses.push(status.to_owned());
        self.kinds.push(kind.to_owned());
        self.answers.push(answer.clone());
        self.until.push(until);
        self.external.push(external);
    }
}

/// PENDING and reserved -> PENDING and free: what a run set apart and did not begin.
pub(super) async fn release(tx: &mut Tx<'_>, run: DripRunId) -> Result<u64> {
    let done = sqlx::query!("delete from communication_reservations where drip_run_id = $1", run.0)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected())
}

/// SENDING -> UNCONFIRMED for a run that was cut off. Returns how many.
pub(super) async fn cut_off(tx: &mut Tx<'_>, now: DateTime<Utc>, run: DripRunId) -> Result<u64> {
    let done = sqlx::query!(
        "with cut as (
             update communication_logs set status = 'UNCONFIRMED' where drip_run_id = $1 and status = 'SENDING'
             returning id, attempts
         )
         insert into communication_events (communication_log_id, at, kind, attempt, answer, drip_run_id)
         select id, $2, 'UNCONFIRMED', attempts, 'El programa se detuvo mientras entregaba este mensaje.', $1 from cut",
        run.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
