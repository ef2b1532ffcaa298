//! What came back, as people look at it: listed, looked into, and decided on where
//! nobody could match it.

use super::apply;
use crate::{
    access::{Actor, Permission},
    audit,
    channels::{
        Channel,
        email::blame::Blame,
        feedback::{Kind, Source},
    },
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, MessageId},
    messaging::kinds,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// Which events to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that came back, deliveries aside.
    Returned,
    /// Those that wait for a person.
    Unmatched,
    /// Of these kinds.
    Of(&'static [Kind]),
}

/// An event in a list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Row.
    pub id: i64,
    /// Who told.
    pub source: Source,
    /// What.
    pub kind: Kind,
    /// Whose fault.
    pub cause: Option<Blame>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// The address that it is about; of an answer, who wrote.
    pub recipient: Option<String>,
    /// The receiving server's words.
    pub diagnostic: Option<String>,
    /// Subject of an answer.
    pub subject: Option<String>,
    /// NEW, APPLIED, UNMATCHED or SET_ASIDE.
    pub status: String,
    /// The message that it is about.
    pub message: Option<MessageId>,
    /// That message's subject.
    pub message_subject: Option<String>,
    /// Its recipient.
    pub contact: Option<ContactId>,
    /// Their name.
    pub contact_name: Option<String>,
}

impl Line {
    /// Whether it waits for a person: nobody could match it, and that would change something.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.status == "UNMATCHED" && !matches!(self.kind, Kind::Delivered | Kind::Deferred)
    }
}

/// The newest events below `before`.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &mut PgConnection, which: Which, before: Option<i64>, limit: i64) -> Result<Vec<Line>> {
    let before = before.unwrap_or(i64::MAX);
    // Each by an index that is in order already.
    let ids = match which {
        Which::Returned => sqlx::query_scalar!(
            "select id from inbound_events where kind <> 'DELIVERED' and id < $1 order by id desc limit $2",
            before,
            limit
        )
        .fetch_all(&mut *db)
        .await?,
        Which::Unmatched => {
            sqlx::query_scalar!(
                r#"select id as "id!" from unmatched_inbound_events where id < $1 order by id desc limit $2"#,
                before,
                limit
            )
            .fetch_all(&mut *db)
            .await?
        }
        Which::Of(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|it| it.code().to_owned()).collect();
            sqlx::query_scalar!(
                r#"select e.id as "id!" from unnest($3::text[]) as wanted (kind) cross join lateral (
                       select id from inbound_events where kind = wanted.kind and id < $1 order by id desc limit $2
                   ) e order by e.id desc limit $2"#,
                before,
                limit,
                &kinds
            )
            .fetch_all(&mut *db)
            .await?
        }
    };
    lines(db, &ids).await
}

async fn lines(db: &mut PgConnection, ids: &[i64]) -> Result<Vec<Line>> {
    let rows = sqlx::query!(
        r#"select e.id, e.source, e.kind, e.cause, e.occurred_at, e.recipient, e.diagnostic, e.subject, e.status,
               e.communication_log_id, l.subject as "message_subject?", coalesce(c.merged_into, c.id) as contact,
               trim(coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '')) as name
           from inbound_events e
           left join communication_logs l on l.id = e.communication_log_id
           left join contacts c on c.id = l.contact_id
           where e.id = any($1) order by e.id desc"#,
        ids
    )
    .fetch_all(db)
    .await?;
    let unknown = || Error::Internal("a stored code that this build does not know".to_owned());
    rows.into_iter()
        .map(|it| {
            Ok(Line {
                id: it.id,
                source: Source::from_code(&it.source).ok_or_else(unknown)?,
                kind: Kind::from_code(&it.kind).ok_or_else(unknown)?,
                cause: it.cause.as_deref().and_then(Blame::from_code),
                occurred_at: it.occurred_at,
                recipient: it.recipient,
                diagnostic: it.diagnostic,
                subject: it.subject,
                status: it.status,
                message: it.communication_log_id.map(MessageId),
                message_subject: it.message_subject,
                contact: it.contact.map(ContactId),
                contact_name: it.name.filter(|it| !it.is_empty()),
            })
        })
        .collect()
}

/// Whether anything came back yet, deliveries too.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(db: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select not exists (select from inbound_events) as "empty!""#)
        .fetch_one(db)
        .await?)
}

/// An event, whole.
#[derive(Clone, Debug)]
pub struct Event {
    /// As in a list.
    pub line: Line,
    /// When we learned of it.
    pub received_at: DateTime<Utc>,
    /// Enhanced status code.
    pub status_code: Option<String>,
    /// Text of an answer.
    pub body: Option<String>,
    /// As it came.
    pub raw: String,
    /// MESSAGE_ID, RECIPIENT or HAND.
    pub matched_by: Option<String>,
    /// Why applying it failed the last time.
    pub trouble: Option<String>,
    /// Who decided on it.
    pub decided_by: Option<String>,
}

/// One event.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: &mut PgConnection, id: i64) -> Result<Event> {
    let line = lines(db, &[id]).await?.pop().ok_or(Error::NotFound)?;
    let it = sqlx::query!(
        r#"select e.received_at, e.status_code, e.body, e.raw, e.matched_by, e.trouble, s.name as "decided_by?"
           from inbound_events e left join staff_users s on s.id = e.decided_by where e.id = $1"#,
        id
    )
    .fetch_one(db)
    .await?;
    Ok(Event {
        line,
        received_at: it.received_at,
        status_code: it.status_code,
        body: it.body,
        raw: it.raw,
        matched_by: it.matched_by,
        trouble: it.trouble,
        decided_by: it.decided_by,
    })
}

/// A message that an event may be about.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Row.
    pub message: MessageId,
    /// Its subject.
    pub subject: Option<String>,
    /// Its campaign.
    pub campaign: Option<String>,
    /// Where it stands.
    pub status: kinds::Status,
    /// When it left.
    pub sent_at: Option<DateTime<Utc>>,
}

/// The last messages to the address of an event that may be meant.
///
/// # Errors
/// When the database fails.
pub async fn candidates(db: &mut PgConnection, event: &Event, limit: i64) -> Result<Vec<Candidate>> {
    let Some(address) = &event.line.recipient else { return Ok(Vec::new()) };
    let rows = sqlx::query!(
        r#"select l.id, l.subject, l.status, l.sent_at, k.name as "campaign?"
           from contacts c
           cross join lateral (select c.id union all select id from contacts where merged_into = c.id) person
           cross join lateral (select * from communication_logs where contact_id = person.id offset 0) l
           left join campaigns k on k.id = l.campaign_id
           where c.email = $1 and l.communication_type = $2 and coalesce(l.sent_at, l.claimed_at) <= $3
           order by l.id desc limit $4"#,
        address,
        Channel::Email.code(),
        event.line.occurred_at + TimeDelta::minutes(5),
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Candidate {
                message: MessageId(it.id),
                subject: it.subject,
                campaign: it.campaign,
                status: kinds::Status::from_code(&it.status)?,
                sent_at: it.sent_at,
            })
        })
        .collect())
}

/// UNMATCHED or SET_ASIDE -> APPLIED: a person says which message the event is about, and it does what it means.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] where there is no such message; [`Error::Refused`] when
/// the event is matched already; or the database's.
pub async fn assign(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
    message: MessageId,
) -> Result<()> {
    actor.require(Permission::DecideMessages)?;
    hold(tx, id).await?;
    let fits = sqlx::query_scalar!(
        r#"select l.status not in ('PENDING', 'SENDING', 'BLOCKED', 'CANCELLED') and l.communication_type = e.communication_type as "fits!"
           from communication_logs l, inbound_events e where l.id = $1 and e.id = $2"#,
        message.0,
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    if fits != Some(true) {
        return Err(Error::invalid(
            "message",
            "No hay un mensaje enviado con ese número. Búscalo en Mensajes.",
        ));
    }
    sqlx::query!(
        "update inbound_events set status = 'NEW', communication_log_id = $2, matched_by = 'HAND', decided_by = $3 where id = $1",
        id,
        message.0,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    apply::events(tx, now, &[id]).await?;
    record(tx, now, actor, "inbound_event.assign", id, json!({ "message": message.0 })).await
}

/// UNMATCHED -> SET_ASIDE: it concerns nobody here.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Refused`] when it does not wait; or the database's.
pub async fn set_aside(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: i64) -> Result<()> {
    actor.require(Permission::DecideMessages)?;
    hold(tx, id).await?;
    sqlx::query!(
        "update inbound_events set status = 'SET_ASIDE', decided_by = $2 where id = $1",
        id,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    record(tx, now, actor, "inbound_event.set_aside", id, json!({})).await
}

/// Hold an event that a person may still decide on.
async fn hold(tx: &mut Tx<'_>, id: i64) -> Result<()> {
    let status = sqlx::query_scalar!("select status from inbound_events where id = $1 for update", id)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    if matches!(status.as_str(), "UNMATCHED" | "SET_ASIDE") {
        return Ok(());
    }
    Err(Error::refused("Eso ya tiene su mensaje. No se cambió nada."))
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: i64,
    after: serde_json::Value,
) -> Result<()> {
    let change = audit::Change {
        action,
        subject_kind: "inbound_event",
        subject_id: Some(id),
        before: None,
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await
}

/// When `source` told something last.
///
/// # Errors
/// When the database fails.
pub async fn last_of(db: &mut PgConnection, source: Source) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!(
        "select received_at from inbound_events where source = $1 order by id desc limit 1",
        source.code()
    )
    .fetch_optional(db)
    .await?)
}
