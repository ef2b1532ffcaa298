//! What is due, asked of the gate page by page, and set apart for one run.

use super::{
    addressee,
    gate::{self, Asked, Decision, Facts, Rules},
    industry_texts,
    kinds::{BlockReason, DeferReason, MessageType, OriginKind},
    limits::{self, Cap, Counted},
    outbox::{self, Deferral, Refusal},
    pace, patience, room,
    sample::{self, Lots},
    streams::{Sendout, Stream},
    texts::{Text, Texts},
    values::Recipient,
};
use crate::{
    channels::Channel,
    chile::{business_hours::BusinessHours, holidays::Calendar, time},
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, DripRunId, MessageId, TemplateId},
};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Messages looked at in one transaction, at most.
const PAGE: u32 = 1000;

/// A message that the gate let go.
#[derive(Clone)]
pub(super) struct Claimed {
    pub(super) id: i64,
    pub(super) token: Uuid,
    pub(super) campaign: Option<i64>,
    /// What asked for it, together with others.
    pub(super) sendout: Option<Sendout>,
    pub(super) origin: OriginKind,
    pub(super) kind: MessageType,
    pub(super) destination: String,
    pub(super) recipient: Recipient,
    pub(super) template: TemplateId,
    pub(super) text: Text,
    pub(super) attempts: u32,
    /// Its first temporary answer; none: it had none.
    pub(super) tried_since: Option<DateTime<Utc>>,
    /// When the window closes; from then on it waits for the next. None: it may leave at any hour.
    pub(super) not_after: Option<DateTime<Utc>>,
}

/// How messages of one run follow on each other.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Messages a minute, at most.
    pub(super) per_minute: Option<u32>,
    /// Servers asked to go slowly: one connection is enough.
    pub(super) is_slow: bool,
}

/// The rules of one run.
pub(super) struct Book {
    /// When the run began. What becomes due while it lasts is for the next one, so that no message comes up twice.
    pub(super) begun: DateTime<Utc>,
    pub(super) channel: Channel,
    pub(super) calendar: Calendar,
    pub(super) hours: BusinessHours,
    pub(super) caps: Vec<Cap>,
    pub(super) channel_cap: Option<u32>,
    /// Messages that the channel's pace still allows in this run; none: it has none. What people asked for is not held back.
    pub(super) run_left: Option<u32>,
    pub(super) pace: Pace,
    pub(super) texts: Texts,
}

impl Book {
    /// How many of `stream` may leave in this run, where `turns` have theirs before it ends.
    pub(super) fn room(&self, stream: &Stream, turns: u32) -> u32 {
        let left = self.run_left.filter(|_| pace::holds(stream.sendout())).unwrap_or(u32::MAX);
        stream.batch.min(turns).min(left)
    }

    /// So many more leave.
    pub(super) fn take(&mut self, page: &Page) -> u32 {
        let taken = u32::try_from(page.allowed.len()).unwrap_or(u32::MAX);
        self.run_left = self.run_left.map(|it| it.saturating_sub(taken));
        taken
    }

    /// As they stand for one message; `left`: of the caps of the channel and of the campaign.
    fn rules<'a>(
        &'a self,
        hours: &'a BusinessHours,
        left: (Option<u32>, Option<u32>),
        winner_at: Option<DateTime<Utc>>,
    ) -> Rules<'a> {
        let (calendar, caps) = (&self.calendar, &self.caps);
        Rules { calendar, hours, caps, channel_left: left.0, campaign_left: left.1, winner_at }
    }
}

/// What one page came to.
#[derive(Default)]
pub(super) struct Page {
    pub(super) allowed: Vec<Claimed>,
    pub(super) deferred: u32,
    pub(super) blocked: u32,
    /// Put off for a reason that holds for the whole stream, so that looking further is idle.
    pub(super) stream_is_shut: bool,
    pub(super) looked_at: u32,
}

struct Due {
    id: i64,
    token: Uuid,
    origin: OriginKind,
    kind: MessageType,
    contact: Option<ContactId>,
    destination: Option<String>,
    template: Option<TemplateId>,
    attempts: u32,
    scheduled_at: DateTime<Utc>,
}

/// Look at the next page of `stream`, decide, and write the decisions down. `room`: how many more may leave.
///
/// # Errors
/// When the database fails; nothing is then written.
pub(super) async fn page(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    book: &mut Book,
    stream: &Stream,
    room: u32,
) -> Result<Page> {
    let due = lock_due(tx, book.begun, book.channel, stream, PAGE).await?;
    decide_and_write(tx, now, run, book, stream, due, room).await
}

/// The same for one message, wherever it stands in the queue.
///
/// # Errors
/// When the database fails; nothing is then written.
pub(super) async fn only(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    book: &mut Book,
    id: MessageId,
) -> Result<Page> {
    let rows = sqlx::query_as!(
        Row,
        "select id, token, origin, message_type, contact_id, destination, template_id, attempts, scheduled_at
         from communication_logs
         where id = $1 and communication_type = $2 and status = 'PENDING'
         for update skip locked",
        id.0,
        book.channel.code()
    )
    .fetch_all(&mut **tx)
    .await?;
    let due = unreserved(tx, rows).await?;
    // As its campaign has it, so that a test leaves as the others will.
    let tracks = sqlx::query_scalar!(
        "select c.tracks from communication_logs l join campaigns c on c.id = l.campaign_id where l.id = $1",
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .unwrap_or_default();
    let stream = Stream { tracks, ..Stream::plain(1) };
    decide_and_write(tx, now, run, book, &stream, due, 1).await
}

/// A message that waits, as its row has it.
struct Row {
    id: i64,
    token: Uuid,
    origin: String,
    message_type: String,
    contact_id: Option<i64>,
    destination: Option<String>,
    template_id: Option<i64>,
    attempts: i32,
    scheduled_at: DateTime<Utc>,
}

impl Row {
    fn due(self) -> Option<Due> {
        Some(Due {
            id: self.id,
            token: self.token,
            origin: OriginKind::from_code(&self.origin)?,
            kind: MessageType::from_code(&self.message_type)?,
            contact: self.contact_id.map(ContactId),
            destination: self.destination,
            template: self.template_id.map(TemplateId),
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            scheduled_at: self.scheduled_at,
        })
    }
}

async fn lock_due(
    tx: &mut Tx<'_>,
    begun: DateTime<Utc>,
    channel: Channel,
    stream: &Stream,
    limit: u32,
) -> Result<Vec<Due>> {
    // Three statements, for the indexes serve "=" and "is null" but not both in one.
    let rows = if let Some(campaign) = stream.campaign {
        sqlx::query_as!(
            Row,
            "select id, token, origin, message_type, contact_id, destination, template_id, attempts, scheduled_at
             from communication_logs
             where communication_type = $1 and campaign_id = $2 and status = 'PENDING' and origin <> 'TEST'
               and next_attempt_at <= $3
               and (select drip_run_id from communication_reservations where communication_log_id = communication_logs.id) is null
             order by next_attempt_at, id limit $4 for update skip locked",
            channel.code(),
            campaign.0,
            begun,
            i64::from(limit)
        )
        .fetch_all(&mut **tx)
        .await?
    } else if let Some(mailing) = stream.mailing {
        sqlx::query_as!(
            Row,
            "select id, token, origin, message_type, contact_id, destination, template_id, attempts, scheduled_at
             from communication_logs
             where communication_type = $1 and campaign_id is null and mailing_id = $2 and status = 'PENDING'
               and next_attempt_at <= $3
               and (select drip_run_id from communication_reservations where communication_log_id = communication_logs.id) is null
             order by next_attempt_at, id limit $4 for update skip locked",
            channel.code(),
            mailing.0,
            begun,
            i64::from(limit)
        )
        .fetch_all(&mut **tx)
        .await?
    } else {
        sqlx::query_as!(
            Row,
            "select id, token, origin, message_type, contact_id, destination, template_id, attempts, scheduled_at
             from communication_logs
             where communication_type = $1 and campaign_id is null and mailing_id is null and status = 'PENDING'
               and next_attempt_at <= $2
               and (select drip_run_id from communication_reservations where communication_log_id = communication_logs.id) is null
             order by next_attempt_at, id limit $3 for update skip locked",
            channel.code(),
            begun,
            i64::from(limit)
        )
        .fetch_all(&mut **tx)
        .await?
    };
    unreserved(tx, rows).await
}

/// Of the messages that are locked now, those that no run has reserved: asked anew, for another may have done so and
/// let go of them since the statement that locked them set out.
async fn unreserved(tx: &mut Tx<'_>, rows: Vec<Row>) -> Result<Vec<Due>> {
    let due: Vec<Due> = rows.into_iter().filter_map(Row::due).collect();
    let ids: Vec<i64> = due.iter().map(|it| it.id).collect();
    let taken = sqlx::query_scalar!(
        "select communication_log_id from communication_reservations where communication_log_id = any($1)",
        &ids
    )
    .fetch_all(&mut **tx)
    .await?;
    let taken: HashSet<i64> = taken.into_iter().collect();
    Ok(due.into_iter().filter(|it| !taken.contains(&it.id)).collect())
}

async fn decide_and_write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    book: &mut Book,
    stream: &Stream,
    due: Vec<Due>,
    room: u32,
) -> Result<Page> {
    let mut page = Page::default();
    if due.is_empty() {
        return Ok(page);
    }
    let people: Vec<i64> = due.iter().filter_map(|it| it.contact.map(|id| id.0)).collect();
    addressee::lock(tx, &people).await?;
    let asked: Vec<Asked> = due
        .iter()
        .map(|it| Asked {
            contact: it.contact,
            destination: it.destination.clone(),
            kind: it.kind,
            is_test: it.origin == OriginKind::Test,
            asked_for: Some(it.scheduled_at),
        })
        .collect();
    let facts = gate::facts(tx, book.channel, &asked, Some(limits::counts_since(&book.caps, now))).await?;
    let messages: Vec<i64> = due.iter().map(|it| it.id).collect();
    let seconds = addressee::second_messages(tx, &messages).await?;
    let again: Vec<i64> = due.iter().filter(|it| it.attempts > 0).map(|it| it.id).collect();
    let tried = patience::tried_since(tx, &again).await?;
    let caps = room::Caps { channel: book.channel_cap, campaign: stream.campaign.zip(stream.daily_cap) };
    let lots = lots(tx, now, stream, &messages).await?;
    let (mut channel_left, mut campaign_left) = room::held(tx, now, book.channel, caps).await?;
    // What this page itself lets go counts for the same person's next message.
    let mut let_go: HashMap<ContactId, Vec<Counted>> = HashMap::new();
    let (mut deferrals, mut refusals) = (Vec::new(), Vec::new());
    let mut moved = Vec::new();
    let hours = stream.hours.clone().unwrap_or_else(|| book.hours.clone());
    let closes = hours.window(time::local_date(now), &book.calendar).map(|(_, closes)| closes);
    for (it, mut facts) in due.into_iter().zip(facts) {
        // The rest of the page stays as it is: its turn comes with the next batch.
        if page.allowed.len() >= room as usize {
            break;
        }
        page.looked_at += 1;
        if seconds.contains(&it.id) {
            let what = if stream.mailing.is_some() { "el envío" } else { "la campaña" };
            let detail = format!("Su ficha se unió con otra que también está en {what}");
            refusals.push(Refusal { id: it.id, reason: BlockReason::DuplicateAddress, detail });
            continue;
        }
        let person = facts.person;
        if let Some(more) = person.and_then(|id| let_go.get(&id)) {
            facts.history.extend(more);
        }
        if it.origin == OriginKind::Test && it.contact.is_none() {
            // A test goes to someone on the staff, filled as for an invented person.
            facts.recipient = Recipient::sample();
        }
        let template = lots
            .text(it.id)
            .or(stream.template)
            .or(it.template)
            .ok_or_else(|| Error::Internal("a message without text".into()))?;
        let text = book.texts.get(tx, template, stream.tracks).await?;
        let required: &[&str] = text.0.as_ref().map_or(&[], |it| it.required.as_slice());
        let rules = book.rules(&hours, (channel_left, campaign_left), lots.waits_until(it.id));
        match gate::decide(it.origin, it.kind, required, &facts, &rules, now) {
            Decision::Allow => {
                if it.kind.is_promotional() && it.origin != OriginKind::Test {
                    channel_left = channel_left.map(|n| n.saturating_sub(1));
                    campaign_left = campaign_left.map(|n| n.saturating_sub(1));
                    if let Some(person) = person {
                        let_go.entry(person).or_default().push(Counted { message_type: it.kind, at: now });
                    }
                }
                let not_after = closes.filter(|_| it.kind.is_promotional() && it.origin != OriginKind::Test);
                if it.contact.is_some() && facts.destination != it.destination {
                    moved.extend(facts.destination.clone().map(|address| (it.id, address)));
                }
                let claimed = claimed(&it, facts, template, text, stream, not_after);
                page.allowed
                    .extend(claimed.map(|one| Claimed { tried_since: tried.get(&it.id).copied(), ..one }));
            }
            Decision::Defer { until, reason, detail } => {
                page.stream_is_shut |= matches!(
                    reason,
                    DeferReason::OutsideWindow
                        | DeferReason::Holiday
                        | DeferReason::DailyCap
                        | DeferReason::CampaignDailyCap
                );
                deferrals.push(Deferral { id: it.id, until, reason, detail });
            }
            Decision::Block { reason, detail } => refusals.push(Refusal { id: it.id, reason, detail }),
        }
    }
    page.deferred = u32::try_from(deferrals.len()).unwrap_or(u32::MAX);
    page.blocked = u32::try_from(refusals.len()).unwrap_or(u32::MAX);
    moved.sort_unstable();
    let refused = addressee::follow_changes(tx, now, run, &moved).await?;
    page.blocked += u32::try_from(refused.len()).unwrap_or(u32::MAX);
    page.allowed.retain(|it| !refused.contains(&it.id));
    lots.keep(tx, page.allowed.iter().map(|it| it.id)).await?;
    write(tx, now, run, &page, &deferrals, &refusals).await?;
    Ok(page)
}

/// Which of several texts of its campaign each of `messages` gets.
async fn lots(tx: &mut Tx<'_>, now: DateTime<Utc>, stream: &Stream, messages: &[i64]) -> Result<Lots> {
    let Some(campaign) = stream.campaign.filter(|_| stream.has_several_texts) else {
        return Ok(Lots::default());
    };
    match sample::of_campaign(tx, now, campaign).await? {
        Some(sample) => Lots::of(tx, &sample, messages).await,
        None => industry_texts::lots(tx, campaign, messages).await,
    }
}

fn claimed(
    it: &Due,
    facts: Facts,
    template: TemplateId,
    text: Text,
    stream: &Stream,
    not_after: Option<DateTime<Utc>>,
) -> Option<Claimed> {
    Some(Claimed {
        id: it.id,
        token: it.token,
        campaign: stream.campaign.map(|it| it.0),
        sendout: stream.sendout(),
        origin: it.origin,
        kind: it.kind,
        destination: facts.destination?,
        recipient: facts.recipient,
        template,
        text,
        attempts: it.attempts,
        tried_since: None,
        not_after,
    })
}

async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    page: &Page,
    deferrals: &[Deferral],
    refusals: &[Refusal],
) -> Result<()> {
    if !page.allowed.is_empty() {
        let ids: Vec<i64> = page.allowed.iter().map(|it| it.id).collect();
        outbox::reserve(tx, now, run, &ids).await?;
    }
    if !deferrals.is_empty() {
        outbox::defer(tx, now, run, deferrals).await?;
    }
    if !refusals.is_empty() {
        outbox::block(tx, now, run, refusals).await?;
    }
    Ok(())
}
