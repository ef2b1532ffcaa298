//! A person is deleted from the address book. What was sent to them stays in the log as it
//! was sent, under a number with nobody behind it; what waits for them is cancelled; and each no of theirs outlives them
//! as an exclusion of their addresses, so that no file brings their consent back.

use super::{
    cancellation,
    kinds::{MessageType, SuppressionReason},
    suppression::{self, Foreign},
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::time,
    contacts::{
        consent,
        deletion::{self, Belongings},
        merge, preferences, rhythm,
    },
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
    segments::list_removals,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// What is said in the list of exclusion of who said no, and of who was in a pause.
const WORDS: &str = "Dijo que no y su ficha se eliminó";
const PAUSED: &str = "Estaba en pausa y su ficha se eliminó";

/// What deleting a person comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Messages that stay in the log.
    pub kept: i64,
    /// Messages that wait, and are cancelled.
    pub cancelled: i64,
    /// Messages of which nobody knows whether they left: they stay so.
    pub unconfirmed: i64,
    /// Answers of theirs that came, which stay with what they answer.
    pub replies: i64,
    /// Messages that are leaving at this moment.
    pub leaving: i64,
    /// Channels on which they said no, so that their addresses stay excluded.
    pub excluded: Vec<Channel>,
    /// Those of them on which they said no more than a pause, which can't go on without them and counts as a no.
    pub paused: Vec<Channel>,
    /// What goes with them.
    pub belongings: Belongings,
}

/// What deleting `contact` would come to at `now`.
///
/// # Errors
/// When the database fails.
pub async fn foresee(db: &mut PgConnection, now: DateTime<Utc>, contact: ContactId) -> Result<Departure> {
    let all: Vec<i64> = merge::all_of(db, contact).await?.into_iter().map(|it| it.0).collect();
    of(db, time::local_date(now), contact, &all).await
}

async fn of(db: &mut PgConnection, today: NaiveDate, contact: ContactId, all: &[i64]) -> Result<Departure> {
    let said = noes(db, contact).await?;
    let mut paused = pauses(db, today, contact).await?;
    paused.retain(|it| !said.contains(it));
    let excluded = Channel::ALL.into_iter().filter(|it| said.contains(it) || paused.contains(it)).collect();
    let messages = sqlx::query!(
        r#"select count(*) filter (where status = 'PENDING') as "cancelled!",
            count(*) filter (where status = 'UNCONFIRMED') as "unconfirmed!",
            count(*) filter (where status = 'SENDING') as "leaving!", count(*) as "kept!"
         from communication_logs where contact_id = any($1)"#,
        all
    )
    .fetch_one(&mut *db)
    .await?;
    let replies = sqlx::query_scalar!(
        r#"select count(*) as "count!" from inbound_events e join communication_logs l on l.id = e.communication_log_id
           where l.contact_id = any($1) and e.kind = 'REPLY'"#,
        all
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(Departure {
        kept: messages.kept,
        replies,
        cancelled: messages.cancelled,
        unconfirmed: messages.unconfirmed,
        leaving: messages.leaving,
        excluded,
        paused,
        belongings: deletion::belongings(db, all).await?,
    })
}

/// The channels on which a person said no: to all promotions, or to some kind of them, which an exclusion
/// can't tell apart.
async fn noes(db: &mut PgConnection, contact: ContactId) -> Result<Vec<Channel>> {
    let declined: Vec<Channel> = preferences::of(&mut *db, contact)
        .await?
        .into_iter()
        .filter(|it| {
            !it.allowed && MessageType::from_code(&it.message_type).is_some_and(MessageType::is_promotional)
        })
        .map(|it| it.channel)
        .collect();
    let mut noes = Vec::new();
    for channel in Channel::ALL {
        if declined.contains(&channel) || consent::said_no(db, contact, channel.code()).await? {
            noes.push(channel);
        }
    }
    Ok(noes)
}

/// The channels on which a pause of a person holds on `today`.
async fn pauses(db: &mut PgConnection, today: NaiveDate, contact: ContactId) -> Result<Vec<Channel>> {
    let mut paused = Vec::new();
    for channel in Channel::ALL {
        if rhythm::of(db, channel, contact).await?.pause_on(today).is_some() {
            paused.push(channel);
        }
    }
    Ok(paused)
}

/// Delete `contact` for good.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Joined`]; [`Error::Refused`] while a message to
/// them is leaving or asked for; or the database's.
pub async fn delete(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
) -> Result<Departure> {
    actor.require(Permission::Delete)?;
    // Messages before people, as runs hold them, so that neither waits for the other.
    let known: Vec<i64> = merge::all_of(tx, contact).await?.into_iter().map(|it| it.0).collect();
    let held = cancellation::hold_open(tx, &known).await?;
    let (person, all) = deletion::hold(tx, actor, contact).await?;
    if cancellation::is_any_open(tx, &all, &held).await? {
        return Err(Error::refused(
            "En este momento se le pidió otro mensaje o se unió otra ficha a la suya. No se eliminó nada: inténtalo de nuevo.",
        ));
    }
    let mut departure = of(tx, time::local_date(now), contact, &all).await?;
    if departure.leaving > 0 {
        return Err(Error::refused(
            "Un mensaje para esta persona está saliendo en este momento. No se eliminó nada: inténtalo de nuevo en un minuto.",
        ));
    }
    departure.cancelled =
        i64::try_from(cancellation::of_people(tx, now, actor, &all).await?).unwrap_or(i64::MAX);
    let addresses = deletion::addresses(tx, &all).await?;
    list_removals::forget(tx, &addresses).await?;
    for channel in &departure.excluded {
        let mut reached = Vec::new();
        for address in addresses.iter().filter(|it| it.contains('@') == (*channel == Channel::Email)) {
            // Who left by a link is on the list already.
            let held = suppression::of(tx, *channel, address).await?;
            if !held.iter().any(|it| it.reason == SuppressionReason::Unsubscribed) {
                reached.push(address.clone());
            }
        }
        let list = Foreign {
            channels: &[*channel],
            addresses: &reached,
            reason: SuppressionReason::Unsubscribed,
            detail: if departure.paused.contains(channel) { PAUSED } else { WORDS },
        };
        suppression::exclude(tx, now, actor, &list).await?;
    }
    suppression::veil(tx, &addresses).await?;
    let excluded: Vec<_> = departure.excluded.iter().map(|it| json!({ "communication_type": it })).collect();
    let left =
        json!({ "messages": departure.kept, "cancelled": departure.cancelled, "exclusions": excluded });
    deletion::remove(tx, now, actor, &person, &all, left).await?;
    Ok(departure)
}
