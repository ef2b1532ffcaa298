//! Messages as people look at them: lists behind every number, and the whole
//! story of one. Reads only.

use super::{
    kinds::{BlockReason, DeferReason, EventKind, MessageType, Milestone, OriginKind, Status},
    reached,
    streams::Sendout,
    tracking::signs::Sign,
};
use crate::{
    channels::Channel,
    contacts::contact::full_name,
    error::{Error, Result},
    ids::{CampaignId, ContactId, MailingId, MessageId, TemplateId},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

/// Which messages to list. Every field narrows.
#[expect(clippy::struct_excessive_bools, reason = "each narrows by itself")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// Of this text to people chosen by hand.
    pub mailing: Option<MailingId>,
    /// To this person.
    pub contact: Option<ContactId>,
    /// To one of these people; none: to anyone.
    pub recipients: Option<Vec<ContactId>>,
    /// In this state.
    pub status: Option<Status>,
    /// Refused for this reason.
    pub block_reason: Option<BlockReason>,
    /// Pending and put off, for this reason or for any.
    pub deferred: Option<Deferred>,
    /// That have left, whatever became of them: SENT and all that follows it.
    pub left: bool,
    /// By this channel.
    pub channel: Option<Channel>,
    /// That sell: those that the daily caps count.
    pub promotional: bool,
    /// That left at this instant or later.
    pub sent_since: Option<DateTime<Utc>>,
    /// That failed after this instant, whenever they were asked for.
    pub failed_since: Option<DateTime<Utc>>,
    /// Whose recipient unsubscribed by its link.
    pub unsubscribed: bool,
    /// That got so far.
    pub reached: Option<Milestone>,
    /// And did so, or left where nothing is said of how far, from the first instant on and before the second.
    pub between: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// To an address of this domain.
    pub domain: Option<String>,
    /// Whose recipient followed the link that has this number in this version, or one in another that leads there too.
    pub link: Option<(TemplateId, i32)>,
    /// Of a campaign that tries several texts: in its sample, with the text at this place; or with the winner.
    pub variant: Option<Drawn>,
    /// Of a campaign: after which its recipient bought something.
    pub bought: bool,
    /// Tests too; else only messages to others.
    pub tests: bool,
}

/// What somebody buys is a campaign's for so many days from the one on which its message left.
pub const BUYS_WITHIN_DAYS: i32 = 30;

/// How a message came to its text, where its campaign tries several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// By chance, within the sample: the text at this place.
    InSample(i16),
    /// As one of the rest: the winner.
    Winner,
    /// Either way: the text at this place.
    Any(i16),
}

/// Whether a pending message waits for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    /// For no reason: only its turn.
    No,
    /// For any reason.
    Any,
    /// For this one.
    For(DeferReason),
}

/// A message in a list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Row.
    pub id: MessageId,
    /// Recipient's name, where they are in the address book.
    pub contact_name: String,
    /// Recipient.
    pub contact: Option<ContactId>,
    /// Campaign.
    pub campaign: Option<CampaignId>,
    /// Its name.
    pub campaign_name: Option<String>,
    /// Address.
    pub destination: Option<String>,
    /// Subject, once filled.
    pub subject: Option<String>,
    /// Before that, the subject as its text has it, tags and all; none: several texts are tried, or there is none.
    pub written_subject: Option<String>,
    /// Channel.
    pub channel: Channel,
    /// State.
    pub status: Status,
    /// Who asked.
    pub origin: OriginKind,
    /// Why it was refused.
    pub block_reason: Option<BlockReason>,
    /// Why it waits.
    pub defer_reason: Option<DeferReason>,
    /// When it is tried next, while pending.
    pub next_attempt_at: DateTime<Utc>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the provider took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// What the provider said, or the fault.
    pub error: Option<String>,
}

/// The newest messages below `before` that pass `filter`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut PgConnection,
    filter: &Filter,
    before: Option<MessageId>,
    limit: i64,
) -> Result<Vec<Line>> {
    let mut sql = QueryBuilder::new(
        "select l.id, c.id as contact_id, l.campaign_id, l.destination, l.subject, l.communication_type, l.status, l.origin,
                l.block_reason, l.defer_reason, l.next_attempt_at, l.created_at, l.sent_at, l.error,
                trim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')) as contact_name,
                k.name as campaign_name, nullif(btrim(w.subject), '') as written_subject
         from communication_logs l
         left join contacts c on c.id = l.contact_id
         left join campaigns k on k.id = l.campaign_id
         left join lateral (",
    );
    sql.push(WRITTEN).push(") w on true where true");
    narrow(&mut sql, filter);
    if let Some(before) = before {
        sql.push(" and l.id < ").push_bind(before.0);
    }
    sql.push(" order by l.id desc limit ").push_bind(limit);
    let rows = sql.build().fetch_all(db).await?;
    rows.iter().map(line).collect()
}

/// The text of a message that has no subject of its own yet. Of a campaign's that waits, the one in force, which is told
/// where it is chosen; which of several that are tried with other subjects, nobody knows before it is let go.
const WRITTEN: &str = "select t.subject from message_templates t
    where l.subject is null and t.id = case
        when l.campaign_id is null or l.origin = 'TEST' or l.status <> 'PENDING' then l.template_id
        when exists (select from campaign_variants v where v.campaign_id = l.campaign_id and btrim(v.subject) <> '') then null
        else (select it.template_id from text_by_industry(l.campaign_id, l.contact_id, l.variant) it)
    end";

/// How many messages pass `filter`, counted up to `most`.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut PgConnection, filter: &Filter, most: i64) -> Result<i64> {
    let mut sql = QueryBuilder::new("select count(*) from (select from ");
    match filter.failed_since {
        // From those that failed to their messages, each by its key: messages that failed at any time may be a million.
        Some(since) => {
            // Twice as many events are enough unless most of those messages were tried again.
            sql.push(
                "(select distinct communication_log_id as id from (
                    select communication_log_id from communication_events where kind = 'FAILED' and at > ",
            );
            sql.push_bind(since).push(" order by at desc limit ").push_bind(2 * most);
            sql.push(") latest) failed cross join lateral (select * from communication_logs where id = failed.id offset 0) l");
        }
        None => {
            sql.push("communication_logs l");
        }
    }
    sql.push(" where true");
    narrow(&mut sql, &Filter { failed_since: None, ..filter.clone() });
    sql.push(" limit ").push_bind(most).push(") counted");
    Ok(sql.build_query_scalar().fetch_one(db).await?)
}

fn narrow(sql: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if let Some(id) = filter.campaign {
        sql.push(" and l.campaign_id = ").push_bind(id.0);
    }
    if let Some(id) = filter.mailing {
        sql.push(" and l.mailing_id = ").push_bind(id.0);
    }
    if let Some(id) = filter.contact {
        // Theirs are also those of whoever was joined into them.
        sql.push(" and l.contact_id = any(array(select ").push_bind(id.0);
        sql.push("::bigint union all select id from contacts where merged_into = ")
            .push_bind(id.0)
            .push("))");
    }
    if let Some(recipients) = &filter.recipients {
        let ids: Vec<i64> = recipients.iter().map(|it| it.0).collect();
        // Theirs are also those of whoever was joined into them.
        sql.push(" and l.contact_id = any(array(select unnest(").push_bind(ids.clone());
        sql.push("::bigint[]) union all select id from contacts where merged_into = any(")
            .push_bind(ids)
            .push(")))");
    }
    if let Some(status) = filter.status {
        sql.push(" and l.status = ").push_bind(status.code());
    }
    if let Some(reason) = filter.block_reason {
        sql.push(" and l.block_reason = ").push_bind(reason.code());
    }
    match filter.deferred {
        None => (),
        Some(Deferred::No) => {
            sql.push(" and l.status = 'PENDING' and l.defer_reason is null");
        }
        Some(Deferred::Any) => {
            sql.push(" and l.status = 'PENDING' and l.defer_reason is not null");
        }
        Some(Deferred::For(reason)) => {
            sql.push(" and l.status = 'PENDING' and l.defer_reason = ").push_bind(reason.code());
        }
    }
    if filter.left {
        sql.push(" and l.status in ('SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'REPLIED', 'BOUNCED')");
    }
    if let Some(channel) = filter.channel {
        sql.push(" and l.communication_type = ").push_bind(channel.code());
    }
    if filter.promotional {
        sql.push(" and l.message_type = any(").push_bind(MessageType::promotional_codes()).push(")");
    }
    if let Some(since) = filter.sent_since {
        sql.push(" and l.sent_at >= ").push_bind(since);
    }
    if let Some(since) = filter.failed_since {
        sql.push(
            " and exists (select from communication_events e
                where e.communication_log_id = l.id and e.kind = 'FAILED' and e.at > ",
        );
        sql.push_bind(since).push(")");
    }
    if filter.unsubscribed {
        sql.push(" and l.unsubscribed_at is not null");
    }
    match filter.variant {
        None => (),
        Some(Drawn::InSample(place)) => {
            sql.push(" and l.in_sample and l.variant = ").push_bind(place);
        }
        Some(Drawn::Any(place)) => {
            sql.push(" and l.variant = ").push_bind(place);
        }
        Some(Drawn::Winner) => {
            sql.push(" and not l.in_sample and l.variant is not null");
        }
    }
    reached::narrow(sql, filter);
    if !filter.tests {
        sql.push(" and l.origin <> 'TEST'");
    }
}

fn line(row: &PgRow) -> Result<Line> {
    let code = |column: &str| -> Result<String> { Ok(row.try_get::<String, _>(column)?) };
    let optional = |column: &str| -> Result<Option<String>> { Ok(row.try_get::<Option<String>, _>(column)?) };
    Ok(Line {
        id: MessageId(row.try_get("id")?),
        contact_name: code("contact_name")?,
        contact: row.try_get::<Option<i64>, _>("contact_id")?.map(ContactId),
        campaign: row.try_get::<Option<i64>, _>("campaign_id")?.map(CampaignId),
        campaign_name: optional("campaign_name")?,
        destination: optional("destination")?,
        subject: optional("subject")?,
        written_subject: optional("written_subject")?,
        channel: known(Channel::from_code(&code("communication_type")?))?,
        status: known(Status::from_code(&code("status")?))?,
        origin: known(OriginKind::from_code(&code("origin")?))?,
        block_reason: optional("block_reason")?.as_deref().and_then(BlockReason::from_code),
        defer_reason: optional("defer_reason")?.as_deref().and_then(DeferReason::from_code),
        next_attempt_at: row.try_get("next_attempt_at")?,
        created_at: row.try_get("created_at")?,
        sent_at: row.try_get("sent_at")?,
        error: optional("error")?,
    })
}

pub(super) fn known<T>(code: Option<T>) -> Result<T> {
    code.ok_or_else(|| Error::Internal("a stored code that this build does not know".to_owned()))
}

/// One message, whole.
#[derive(Clone, Debug)]
pub struct Message {
    /// As in a list.
    pub line: Line,
    /// Public token.
    pub token: Uuid,
    /// What it is for.
    pub message_type: MessageType,
    /// The text that it carried, or will.
    pub template: Option<TemplateId>,
    /// Version of that text.
    pub template_version: Option<i32>,
    /// Place of its text among several, and whether it is in the sample.
    pub variant: Option<(i16, bool)>,
    /// Provider's id.
    pub external_id: Option<String>,
    /// Tries so far.
    pub attempts: i32,
    /// What asked for it; none: one person, or somebody who tries it out.
    pub sendout: Option<Sendout>,
    /// Who asked, where it was a person.
    pub requested_by: Option<String>,
    /// When its recipient unsubscribed by it.
    pub unsubscribed_at: Option<DateTime<Utc>>,
    /// Whom its recipient was joined into since: row and name.
    pub joined_into: Option<(ContactId, String)>,
}

/// One thing that happened to a message.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
    /// Why, in words; empty: no reason.
    pub reason: String,
    /// Until when, for what was put off.
    pub until: Option<DateTime<Utc>>,
    /// Which try.
    pub attempt: Option<i32>,
    /// What the provider said, or the detail of the reason.
    pub answer: Option<String>,
    /// In which run.
    pub drip_run: Option<i64>,
    /// Who, where it was a person.
    pub staff_name: Option<String>,
}

/// One message, whole.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn message(db: &mut PgConnection, id: MessageId) -> Result<Message> {
    let mut found = list_by_id(db, id).await?;
    let line = found.pop().ok_or(Error::NotFound)?;
    let it = sqlx::query!(
        r#"select l.token, l.message_type, l.template_id, t.version as "version?", l.external_id, l.attempts, l.variant, l.in_sample,
               l.mailing_id, s.name as "requested_by?", l.unsubscribed_at, k.id as "survivor?", k.first_name as "first_name?",
               k.last_name as "last_name?", k.email, k.phone
           from communication_logs l
           left join message_templates t on t.id = l.template_id
           left join staff_users s on s.id = l.requested_by
           left join contacts c on c.id = l.contact_id
           left join contacts k on k.id = c.merged_into
           where l.id = $1"#,
        id.0
    )
    .fetch_one(db)
    .await?;
    let joined_into = it.survivor.map(|survivor| {
        let (first, last) = (it.first_name.unwrap_or_default(), it.last_name.unwrap_or_default());
        (ContactId(survivor), full_name(&first, &last, it.email.as_deref(), it.phone.as_deref()))
    });
    let campaign = line.campaign.filter(|_| line.origin != OriginKind::Test);
    Ok(Message {
        sendout: Sendout::of(campaign, it.mailing_id.map(MailingId)),
        line,
        token: it.token,
        message_type: known(MessageType::from_code(&it.message_type))?,
        template: it.template_id.map(TemplateId),
        template_version: it.version,
        variant: it.variant.map(|place| (place, it.in_sample)),
        external_id: it.external_id,
        attempts: it.attempts,
        requested_by: it.requested_by,
        unsubscribed_at: it.unsubscribed_at,
        joined_into,
    })
}

async fn list_by_id(db: &mut PgConnection, id: MessageId) -> Result<Vec<Line>> {
    let filter = Filter { tests: true, ..Filter::default() };
    let next = id.0.checked_add(1).ok_or(Error::NotFound)?;
    let mut lines = list(db, &filter, Some(MessageId(next)), 1).await?;
    lines.retain(|it| it.id == id);
    Ok(lines)
}

/// What happened to a message, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn events(db: &mut PgConnection, id: MessageId) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        r#"select e.at, e.kind, e.reason, e.until, e.attempt, e.answer, e.drip_run_id, s.name as "staff_name?"
           from communication_events e
           left join staff_users s on s.id = e.staff_user_id
           where e.communication_log_id = $1 order by e.id"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            Ok(Event {
                at: it.at,
                kind: known(EventKind::from_code(&it.kind))?,
                reason: reason_in_words(it.reason.as_deref()).to_owned(),
                until: it.until,
                attempt: it.attempt,
                answer: it.answer,
                drip_run: it.drip_run_id,
                staff_name: it.staff_name,
            })
        })
        .collect()
}

/// The reason of an event, of any list; empty: none.
pub(super) fn reason_in_words(code: Option<&str>) -> &'static str {
    let code = code.unwrap_or_default();
    let put_off = || DeferReason::from_code(code).map(DeferReason::label);
    let machine = || Sign::from_code(code).map(Sign::label);
    BlockReason::from_code(code).map(BlockReason::label).or_else(put_off).or_else(machine).unwrap_or_default()
}
