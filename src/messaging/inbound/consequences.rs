//! What came back, for the address and the person: whom it excludes, and what enters
//! their log. Doing it twice changes nothing. A mail that nobody could match does
//! nothing to anybody, but for a no: anybody can write a mail.

use crate::{
    access::Actor,
    channels::{
        Channel,
        email::blame::Blame,
        feedback::{Kind, Source},
    },
    contacts::{
        consent, contact,
        interactions::{self, Details},
        merge,
        vocabulary::InteractionKind,
    },
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, MessageId},
    messaging::{
        kinds::{Scope, SuppressionReason},
        links,
        suppression::{self, Entry},
    },
};
use chrono::{DateTime, Utc};

/// Mailboxes that were full so often, over so many days, are left alone; in days, what lies further back is forgiven.
const FULL: (i64, i32, i32) = (5, 14, 60);

/// A mailbox that was closed for so many messages stays so.
const DISABLED: i64 = 2;

struct Told {
    source: Source,
    kind: Kind,
    cause: Option<Blame>,
    channel: Channel,
    occurred_at: DateTime<Utc>,
    /// The address that it is about.
    address: Option<String>,
    /// Who wrote, of an answer.
    sender: Option<String>,
    subject: Option<String>,
    body: Option<String>,
    diagnostic: Option<String>,
    message: Option<MessageId>,
    contact: Option<ContactId>,
}

/// Let the events `ids` have their consequences, one after the other.
pub(super) async fn of(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    for it in read(tx, ids).await? {
        let is_sure = it.message.is_some() || it.source != Source::Mailbox;
        match it.kind {
            Kind::HardBounce if is_sure => exclude(tx, now, &it, it.diagnostic.as_deref()).await?,
            Kind::SoftBounce | Kind::Deferred if it.message.is_some() => weak(tx, now, &it).await?,
            Kind::Complaint if is_sure => complaint(tx, now, &it).await?,
            Kind::OptOut => opt_out(tx, now, &it).await?,
            Kind::Reply if it.message.is_some() => reply(tx, now, &it).await?,
            _ => (),
        }
    }
    Ok(())
}

/// Those of the events that may have any, in order.
async fn read(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<Told>> {
    let rows = sqlx::query!(
        r#"select e.source, e.kind, e.cause, e.communication_type, e.occurred_at, e.recipient, e.subject, e.body,
               coalesce(e.diagnostic, e.status_code) as diagnostic, e.communication_log_id, l.destination as "destination?",
               l.contact_id as "contact_id?"
           from inbound_events e left join communication_logs l on l.id = e.communication_log_id
           where e.id = any($1) and (e.kind in ('HARD_BOUNCE', 'COMPLAINT', 'OPT_OUT', 'REPLY') or e.cause in ('FULL', 'DISABLED'))
           order by e.id"#,
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Told {
                source: Source::from_code(&it.source)?,
                kind: Kind::from_code(&it.kind)?,
                cause: it.cause.as_deref().and_then(Blame::from_code),
                channel: Channel::from_code(&it.communication_type)?,
                occurred_at: it.occurred_at,
                address: it.destination.or_else(|| it.recipient.clone()),
                sender: it.recipient,
                subject: it.subject,
                body: it.body,
                diagnostic: it.diagnostic,
                message: it.communication_log_id.map(MessageId),
                contact: it.contact_id.map(ContactId),
            })
        })
        .collect())
}

/// The address is dead.
async fn exclude(tx: &mut Tx<'_>, now: DateTime<Utc>, it: &Told, detail: Option<&str>) -> Result<()> {
    let Some(address) = &it.address else { return Ok(()) };
    let entry = Entry {
        channel: it.channel,
        destination: address,
        scope: Scope::All,
        reason: SuppressionReason::HardBounce,
        detail,
        message: it.message,
    };
    suppression::suppress(tx, now, &Actor::System, &entry).await?;
    Ok(())
}

/// A mailbox that is full or closed is left alone once that happened often enough, in whatever order it is told.
async fn weak(tx: &mut Tx<'_>, now: DateTime<Utc>, it: &Told) -> Result<()> {
    let (Some(address), Some(cause)) = (&it.address, it.cause) else { return Ok(()) };
    let (most, days, memory) = FULL;
    let over = sqlx::query!(
        r#"with weak as (
               select communication_log_id as message, cause, occurred_at as at from inbound_events
               where recipient = $1 and communication_type = $2 and cause in ('FULL', 'DISABLED')
                 and communication_log_id is not null and status <> 'SET_ASIDE'
           )
           select (select count(distinct message) >= $3 from weak where cause = 'DISABLED') as "disabled!",
                  exists (select from weak last where cause = 'FULL' and (
                      select count(distinct message) >= $4 and max(at) - min(at) >= make_interval(days => $5) from weak
                      where cause = 'FULL' and at <= last.at and at > last.at - make_interval(days => $6))) as "full!""#,
        address,
        it.channel.code(),
        DISABLED,
        most,
        days,
        memory
    )
    .fetch_one(&mut **tx)
    .await?;
    let detail = match cause {
        Blame::Disabled if over.disabled => "La casilla está desactivada: rebotaron dos mensajes.",
        Blame::Full if over.full => "La casilla lleva más de dos semanas llena.",
        _ => return Ok(()),
    };
    exclude(tx, now, it, Some(detail)).await
}

/// Who complains gets no more promotions on any channel.
async fn complaint(tx: &mut Tx<'_>, now: DateTime<Utc>, it: &Told) -> Result<()> {
    const WORDS: &str = "Marcó un mensaje como spam";
    let reason = SuppressionReason::Complaint;
    let entry = |channel, destination| Entry {
        channel,
        destination,
        scope: Scope::Promotional,
        reason,
        detail: None,
        message: it.message,
    };
    let Some(address) = &it.address else { return Ok(()) };
    suppression::suppress(tx, now, &Actor::System, &entry(it.channel, address)).await?;
    let Some(contact) = person(tx, it).await? else { return Ok(()) };
    for channel in Channel::ALL {
        if !consent::said_no(tx, contact, channel.code()).await? {
            consent::withdraw(tx, now, &Actor::System, contact, channel, WORDS, it.message).await?;
        }
    }
    let who = contact::get(&mut **tx, contact).await?;
    for channel in Channel::ALL {
        if let Some(destination) = who.destination(channel) {
            suppression::suppress(tx, now, &Actor::System, &entry(channel, destination)).await?;
        }
    }
    Ok(())
}

/// Who is meant, held, as they stand today: the recipient of the message, or whose the address is.
async fn person(tx: &mut Tx<'_>, it: &Told) -> Result<Option<ContactId>> {
    let contact = match (it.contact, &it.address) {
        (Some(contact), _) => Some(contact.0),
        (None, Some(address)) if it.message.is_none() => {
            sqlx::query_scalar!("select id from contacts where email = $1", address)
                .fetch_optional(&mut **tx)
                .await?
        }
        _ => None,
    };
    let Some(contact) = contact else { return Ok(None) };
    match merge::hold_survivor(tx, ContactId(contact)).await {
        Ok(id) => Ok(Some(id)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same as following the link in the message.
async fn opt_out(tx: &mut Tx<'_>, now: DateTime<Utc>, it: &Told) -> Result<()> {
    let words = match it.source {
        Source::Mailbox => "Lo pidió respondiendo el correo".to_owned(),
        provider => format!("Lo informó {}", provider.label()),
    };
    if let Some(message) = it.message {
        let token = sqlx::query_scalar!("select token from communication_logs where id = $1", message.0)
            .fetch_one(&mut **tx)
            .await?;
        let holder = links::holder(tx, token).await?;
        return links::unsubscribe_as_told(tx, now, &holder, &words).await;
    }
    let Some(address) = &it.address else { return Ok(()) };
    let contact = person(tx, it).await?;
    // A mail from nobody we know is for a person to read.
    if contact.is_none() && it.source == Source::Mailbox {
        return Ok(());
    }
    let entry = Entry {
        channel: it.channel,
        destination: address,
        scope: Scope::Promotional,
        reason: SuppressionReason::Unsubscribed,
        detail: Some(&words),
        message: None,
    };
    suppression::suppress(tx, now, &Actor::System, &entry).await?;
    if let Some(contact) = contact
        && !consent::said_no(tx, contact, it.channel.code()).await?
    {
        consent::withdraw(tx, now, &Actor::System, contact, it.channel, &words, None).await?;
    }
    Ok(())
}

/// An answer enters the log of its person.
async fn reply(tx: &mut Tx<'_>, now: DateTime<Utc>, it: &Told) -> Result<()> {
    let Some(contact) = person(tx, it).await? else { return Ok(()) };
    let subject = it.subject.as_deref().map(str::trim).filter(|it| !it.is_empty()).unwrap_or("sin asunto");
    let from = match &it.sender {
        Some(sender) if it.address.as_ref() != Some(sender) => format!(" desde {sender}"),
        _ => String::new(),
    };
    let details = Details {
        kind: InteractionKind::Email,
        summary: format!("Respondió{from}: {subject}").chars().take(200).collect(),
        detail: it.body.clone().filter(|it| !it.trim().is_empty()),
        at: it.occurred_at,
    };
    interactions::add(tx, now, &Actor::System, contact, &details).await?;
    Ok(())
}
