//! Public links of a message: their tokens, and what following them does.

use super::{
    kinds::{MessageType, OriginKind, Scope, SuppressionReason},
    suppression::{self, Entry},
    tracking::code::Codes,
    values::Links,
};
use crate::{
    access::Actor,
    channels::Channel,
    chile::time,
    contacts::{
        consent, merge, preferences,
        rhythm::{self, Rhythm},
        vocabulary::Basis,
    },
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, MessageId, TemplateId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use std::collections::HashSet;
use uuid::Uuid;

/// The token as links carry it: 22 characters.
#[must_use]
pub fn encode(token: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(token.as_bytes())
}

/// The token that a link carries; none: it is no token of ours.
#[must_use]
pub fn decode(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Uuid::from_slice(&bytes).ok()
}

/// The links of the message with `token`.
#[must_use]
pub fn of(public_url: &str, token: Uuid) -> Links {
    let token = encode(token);
    Links {
        unsubscribe: format!("{public_url}/baja/{token}"),
        preferences: format!("{public_url}/preferencias/{token}"),
        ..Links::default()
    }
}

/// What the links of a message carry that nobody but its recipient may use: by the token one speaks in their name, and
/// by the code one is taken for them. Empty: the log knows no such message.
///
/// # Errors
/// When the database fails.
pub async fn carried(db: impl PgExecutor<'_>, codes: &Codes, message: MessageId) -> Result<Vec<String>> {
    let row = sqlx::query!("select token, template_id from communication_logs where id = $1", message.0)
        .fetch_optional(db)
        .await?;
    Ok(row.map_or_else(Vec::new, |it| {
        let code = it.template_id.map(|version| codes.of(message, TemplateId(version)));
        [encode(it.token)].into_iter().chain(code).collect()
    }))
}

/// Who holds a link: the message that carried it, and its recipient.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The message.
    pub message: MessageId,
    /// Who asked for it; a test's link changes nothing.
    pub origin: OriginKind,
    /// Channel of the message.
    pub channel: Channel,
    /// Kind of the message.
    pub message_type: MessageType,
    /// The person, where they are in the address book.
    pub contact: Option<ContactId>,
    /// Their address.
    pub destination: String,
    /// Whether promotions to that address are suppressed already.
    pub unsubscribed: bool,
}

/// Who holds the link with `token`, for ever.
///
/// # Errors
/// [`Error::NotFound`] for a token that was never given out, or the database's.
pub async fn holder(db: &mut PgConnection, token: Uuid) -> Result<Holder> {
    let it = sqlx::query!(
        r#"select l.id, l.origin, l.communication_type, l.message_type, l.contact_id, l.destination,
               exists (select 1 from suppressions s
                       where s.communication_type = l.communication_type and s.destination = l.destination
                         and s.reason = 'UNSUBSCRIBED' and s.lifted_at is null)
                   or exists (select 1 from suppressions h
                       where h.communication_type = l.communication_type and h.destination is null
                         and h.address_hash = suppression_hash((select key from suppression_key), l.destination)
                         and h.reason = 'UNSUBSCRIBED' and h.lifted_at is null) as "unsubscribed!"
           from communication_logs l where l.token = $1"#,
        token
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Error::NotFound)?;
    // What a person says by an old link counts for who they are today.
    let contact = match it.contact_id {
        Some(id) => match merge::survivor(db, ContactId(id)).await {
            Ok(who) => Some(who),
            // Deleted: their no still counts, for the address.
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        },
        None => None,
    };
    Ok(Holder {
        message: MessageId(it.id),
        origin: OriginKind::from_code(&it.origin).ok_or(Error::NotFound)?,
        channel: Channel::from_code(&it.communication_type).ok_or(Error::NotFound)?,
        message_type: MessageType::from_code(&it.message_type).ok_or(Error::NotFound)?,
        contact,
        destination: it.destination.ok_or(Error::NotFound)?,
        unsubscribed: it.unsubscribed,
    })
}

/// Stop all promotions to the holder's address on the message's channel: the list,
/// the ledger of consent and the story of the message. Doing it twice changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn unsubscribe(tx: &mut Tx<'_>, now: DateTime<Utc>, holder: &Holder) -> Result<()> {
    unsubscribe_as_told(tx, now, holder, "Enlace de baja").await
}

/// The same, told in another way, which `source` says in words.
///
/// # Errors
/// When the database fails.
pub(super) async fn unsubscribe_as_told(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    holder: &Holder,
    source: &str,
) -> Result<()> {
    if holder.origin == OriginKind::Test {
        return Ok(());
    }
    let entry = Entry {
        channel: holder.channel,
        destination: &holder.destination,
        scope: Scope::Promotional,
        reason: SuppressionReason::Unsubscribed,
        detail: None,
        message: Some(holder.message),
    };
    suppression::suppress(tx, now, &Actor::System, &entry).await?;
    if let Some(contact) = still(tx, holder).await?
        && (has_basis(tx, contact, holder.channel).await?
            || !consent::said_no(tx, contact, holder.channel.code()).await?)
    {
        consent::withdraw(tx, now, &Actor::System, contact, holder.channel, source, Some(holder.message))
            .await?;
    }
    sqlx::query!(
        "with marked as (
             update communication_logs set unsubscribed_at = $2 where id = $1 and unsubscribed_at is null returning id
         )
         insert into communication_events (communication_log_id, at, kind) select id, $2, 'UNSUBSCRIBED' from marked",
        holder.message.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Who the holder is today, held: they may have been joined into another since their link was read. Their message is
/// held first, as by whoever tells what became of it and then counts the person again.
async fn still(tx: &mut Tx<'_>, holder: &Holder) -> Result<Option<ContactId>> {
    sqlx::query!("select id from communication_logs where id = $1 for key share", holder.message.0)
        .fetch_one(&mut **tx)
        .await?;
    match holder.contact {
        Some(contact) => match merge::hold_survivor(tx, contact).await {
            Ok(id) => Ok(Some(id)),
            // Deleted since.
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        },
        None => Ok(None),
    }
}

/// Whether promotions to the contact have a lawful basis on `channel` as it stands.
async fn has_basis(db: &mut PgConnection, contact: ContactId, channel: Channel) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select case $2 when 'EMAIL' then email_basis when 'SMS' then sms_basis else whatsapp_basis end is not null as "has!"
           from contacts where id = $1"#,
        contact.0,
        channel.code()
    )
    .fetch_one(db)
    .await?)
}

/// What a person may choose on the preferences page, and how it stands.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Promotions may be sent to the holder's address.
    pub subscribed: bool,
    /// Channels on which the person has an address; empty: not in the address book.
    pub channels: Vec<Channel>,
    /// What was declined.
    pub declined: HashSet<(Channel, MessageType)>,
    /// How often they want promotions on the message's channel, and until when none.
    pub rhythm: Rhythm,
}

/// One box of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Channel.
    pub channel: Channel,
    /// Kind of message.
    pub kind: MessageType,
    /// Wanted.
    pub allowed: bool,
}

/// How the holder's choices stand.
///
/// # Errors
/// When the database fails.
pub async fn choices(db: &mut PgConnection, holder: &Holder) -> Result<Known> {
    let Some(contact) = holder.contact else {
        return Ok(Known { subscribed: !holder.unsubscribed, ..Known::default() });
    };
    let it = sqlx::query!(
        r#"select email is not null as "email!", phone is not null as "phone!" from contacts where id = $1"#,
        contact.0
    )
    .fetch_one(&mut *db)
    .await?;
    let has = |channel: &Channel| if *channel == Channel::Email { it.email } else { it.phone };
    let declined = preferences::of(&mut *db, contact)
        .await?
        .into_iter()
        .filter(|it| !it.allowed)
        .filter_map(|it| Some((it.channel, MessageType::from_code(&it.message_type)?)))
        .collect();
    Ok(Known {
        subscribed: !holder.unsubscribed && has_basis(db, contact, holder.channel).await?,
        channels: Channel::ALL.into_iter().filter(has).collect(),
        declined,
        rhythm: rhythm::of(db, holder.channel, contact).await?,
    })
}

/// Keep the holder's choices.
///
/// # Errors
/// When the database fails.
pub async fn choose(tx: &mut Tx<'_>, now: DateTime<Utc>, holder: &Holder, choices: &[Choice]) -> Result<()> {
    if holder.origin == OriginKind::Test {
        return Ok(());
    }
    let Some(contact) = still(tx, holder).await? else {
        return Ok(());
    };
    let holder = &Holder { contact: Some(contact), ..holder.clone() };
    let before = self::choices(tx, holder).await?.declined;
    for it in choices {
        // No row means yes, so of the yeses only those that change something are written; a no is said again.
        if !it.allowed || before.contains(&(it.channel, it.kind)) {
            preferences::set(tx, now, contact, it.channel, it.kind.code(), it.allowed).await?;
        }
    }
    Ok(())
}

/// Keep how often the holder wants promotions on the message's channel, and until when none.
///
/// # Errors
/// When the database fails.
pub async fn pace(tx: &mut Tx<'_>, now: DateTime<Utc>, holder: &Holder, rhythm: Rhythm) -> Result<()> {
    if holder.origin == OriginKind::Test {
        return Ok(());
    }
    if let Some(contact) = still(tx, holder).await? {
        let source = "Página de preferencias";
        rhythm::say(tx, now, contact, holder.channel, rhythm, source, Some(holder.message)).await?;
    }
    Ok(())
}

/// The holder wants promotions again, by their own hand: their own unsubscribing is
/// taken back, which is written down as a consent. An address that is dead, or that someone else put on the list, stays there.
///
/// # Errors
/// When the database fails.
pub async fn resubscribe(tx: &mut Tx<'_>, now: DateTime<Utc>, holder: &Holder) -> Result<()> {
    if holder.origin == OriginKind::Test || choices(tx, holder).await?.subscribed {
        return Ok(());
    }
    sqlx::query!(
        "update suppressions set lifted_at = $3
         where communication_type = $1 and reason = 'UNSUBSCRIBED' and lifted_at is null
           and (destination = $2
                or destination is null and address_hash = suppression_hash((select key from suppression_key), $2))",
        holder.channel.code(),
        holder.destination,
        now
    )
    .execute(&mut **tx)
    .await?;
    if let Some(contact) = still(tx, holder).await? {
        let grant = consent::Grant {
            channel: holder.channel,
            basis: Basis::Consent,
            source: "Página de preferencias".to_owned(),
            obtained_on: time::local_date(now),
        };
        consent::grant(tx, now, &Actor::System, contact, &grant).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_anything_else_is_not() {
        let token = Uuid::new_v4();
        let text = encode(token);
        assert_eq!((text.len(), decode(&text)), (22, Some(token)));
        for wrong in ["", "1", "../../etc", &text[1..], "AAAA", "ñ"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
