//! Frequency caps: how many messages one person may get in so many local days.
//! The counting is pure; what was sent is read from the log itself by the gate.

use super::{
    asked_again,
    kinds::{DeferReason, MessageType},
};
use crate::{
    access::Actor,
    audit,
    channels::Channel,
    chile::time,
    config::FirstValues,
    contacts::rhythm,
    db::Tx,
    error::{Error, OnConstraint, Result},
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgExecutor;

/// One cap.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cap {
    /// Row.
    pub id: i64,
    /// Channel that it counts on.
    pub channel: Channel,
    /// Kind that it counts; none: all promotional kinds together.
    pub message_type: Option<MessageType>,
    /// Most messages in the window.
    pub max_messages: u32,
    /// Length of the window in local days, today included.
    pub days: u32,
}

/// A message that counts: its kind, and when it left or was set apart to leave.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Kind.
    pub message_type: MessageType,
    /// When.
    pub at: DateTime<Utc>,
}

/// A cap that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// First local day with room again.
    pub frees_on: NaiveDate,
    /// In words: "1 de 1 en 7 días".
    pub detail: String,
}

impl Cap {
    /// Whether a message of `kind` is counted and held by this cap.
    #[must_use]
    pub fn covers(&self, kind: MessageType) -> bool {
        match self.message_type {
            None => kind.is_promotional(),
            Some(own) => own == kind,
        }
    }

    /// In words: "1 por semana", "2 en 90 días".
    #[must_use]
    pub fn label(&self) -> String {
        let period = match self.days {
            1 => "al día".to_owned(),
            7 => "por semana".to_owned(),
            30 => "al mes (30 días)".to_owned(),
            90 => "por trimestre (90 días)".to_owned(),
            365 => "al año".to_owned(),
            days => format!("en {days} días"),
        };
        format!("{} {period}", self.max_messages)
    }
}

/// The cap that holds a message of `kind` longest, if any does, given what the
/// person got so far. Windows are whole local days: with one a week, who got
/// one on a Monday may get the next on the Monday after.
#[must_use]
pub fn full(caps: &[Cap], kind: MessageType, history: &[Counted], now: DateTime<Utc>) -> Option<Full> {
    let today = time::local_date(now);
    caps.iter()
        .filter(|cap| cap.covers(kind))
        .filter_map(|cap| {
            let counted = history.iter().filter(|it| cap.covers(it.message_type));
            let (used, frees_on) = used_up(counted, cap.max_messages, cap.days, today)?;
            Some(Full { frees_on, detail: format!("{used} de {} en {} días", cap.max_messages, cap.days) })
        })
        .max_by_key(|it| it.frees_on)
}

/// The same for a person who asked for at most one promotion in `days` local days.
#[must_use]
pub fn too_soon(days: u32, history: &[Counted], now: DateTime<Utc>) -> Option<Full> {
    let counted = history.iter().filter(|it| it.message_type.is_promotional());
    let (_, frees_on) = used_up(counted, 1, days, time::local_date(now))?;
    Some(Full { frees_on, detail: format!("a lo más 1 cada {days} días") })
}

/// How many of `counted` lie within `days` local days, and the first day with room again; none: fewer than `most` do.
fn used_up<'a>(
    counted: impl Iterator<Item = &'a Counted>,
    most: u32,
    days: u32,
    today: NaiveDate,
) -> Option<(usize, NaiveDate)> {
    let days = Days::new(u64::from(days));
    let mut dates: Vec<NaiveDate> =
        counted.map(|it| time::local_date(it.at)).filter(|date| *date + days > today).collect();
    dates.sort_unstable();
    let frees = dates.len().checked_sub(most as usize)?;
    Some((dates.len(), *dates.get(frees)? + days))
}

/// From when on what a person got may still count, for a cap of the business or a wish of their own.
#[must_use]
pub fn counts_since(caps: &[Cap], now: DateTime<Utc>) -> DateTime<Utc> {
    let longest = caps.iter().map(|it| it.days).max().unwrap_or_default().max(rhythm::LONGEST_DAYS);
    time::start_of_day(time::local_date(now) - Days::new(u64::from(longest)))
}

/// The caps of `channel`.
///
/// # Errors
/// When the database fails.
pub async fn of_channel(db: impl PgExecutor<'_>, channel: Channel) -> Result<Vec<Cap>> {
    Ok(list(db).await?.into_iter().filter(|it| it.channel == channel).collect())
}

/// Every cap, by channel.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Cap>> {
    let rows = sqlx::query!(
        "select id, communication_type, message_type, max_messages, days
         from frequency_caps order by communication_type, message_type nulls first, days"
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Cap {
                id: it.id,
                channel: Channel::from_code(&it.communication_type)?,
                message_type: it.message_type.as_deref().and_then(MessageType::from_code),
                max_messages: u32::try_from(it.max_messages).ok()?,
                days: u32::try_from(it.days).ok()?,
            })
        })
        .collect())
}

/// Take the environment's first values for the caps that nobody has edited.
///
/// # Errors
/// When the database fails.
pub async fn apply_first_values(db: impl PgExecutor<'_>, first: &FirstValues) -> Result<()> {
    let (names, values): (Vec<String>, Vec<i32>) = first
        .frequency_caps
        .iter()
        .map(|(name, max)| ((*name).to_owned(), i32::try_from(*max).unwrap_or(i32::MAX)))
        .unzip();
    sqlx::query!(
        "update frequency_caps c set max_messages = v.max_messages
         from unnest($1::text[], $2::int[]) as v (name, max_messages)
         where c.first_value_from = v.name and c.updated_at is null",
        &names,
        &values
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Change how many messages a cap allows, and over how many days.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for values out of range, or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
    max_messages: u32,
    days: u32,
) -> Result<()> {
    check(max_messages, days)?;
    let before = sqlx::query!(
        "select communication_type, message_type, max_messages, days from frequency_caps where id = $1 for update",
        id
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    sqlx::query!(
        "update frequency_caps set max_messages = $2, days = $3, updated_at = $4 where id = $1",
        id,
        i32::try_from(max_messages).unwrap_or(i32::MAX),
        i32::try_from(days).unwrap_or(i32::MAX),
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("frequency_caps_once", taken)?;
    let document = |max_messages: i64, days: i64| {
        serde_json::json!({
            "communication_type": before.communication_type, "message_type": before.message_type,
            "max_messages": max_messages, "days": days
        })
    };
    let change = audit::Change {
        action: "frequency_cap.update",
        subject_kind: "frequency_cap",
        subject_id: Some(id),
        before: Some(document(before.max_messages.into(), before.days.into())),
        after: Some(document(max_messages.into(), days.into())),
    };
    audit::record(tx, now, actor, change).await?;
    ask_again(tx, now, actor, Channel::from_code(&before.communication_type)).await
}

/// Add a cap.
///
/// # Errors
/// [`Error::Invalid`] for values out of range or a cap that exists already, or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    channel: Channel,
    message_type: Option<MessageType>,
    max_messages: u32,
    days: u32,
) -> Result<i64> {
    check(max_messages, days)?;
    let id = sqlx::query_scalar!(
        "insert into frequency_caps (communication_type, message_type, max_messages, days, updated_at)
         values ($1, $2, $3, $4, $5) returning id",
        channel.code(),
        message_type.map(MessageType::code),
        i32::try_from(max_messages).unwrap_or(i32::MAX),
        i32::try_from(days).unwrap_or(i32::MAX),
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("frequency_caps_once", taken)?;
    let after = serde_json::json!({
        "communication_type": channel, "message_type": message_type, "max_messages": max_messages, "days": days
    });
    let change = audit::Change {
        action: "frequency_cap.create",
        subject_kind: "frequency_cap",
        subject_id: Some(id),
        before: None,
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await?;
    ask_again(tx, now, actor, Some(channel)).await?;
    Ok(id)
}

/// Remove a cap.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn delete(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: i64) -> Result<()> {
    let gone = sqlx::query!(
        "delete from frequency_caps where id = $1 returning communication_type, message_type, max_messages, days",
        id
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let before = serde_json::json!({
        "communication_type": gone.communication_type, "message_type": gone.message_type,
        "max_messages": gone.max_messages, "days": gone.days
    });
    let change = audit::Change {
        action: "frequency_cap.delete",
        subject_kind: "frequency_cap",
        subject_id: Some(id),
        before: Some(before),
        after: None,
    };
    audit::record(tx, now, actor, change).await?;
    ask_again(tx, now, actor, Channel::from_code(&gone.communication_type)).await
}

/// Whom the old caps held back may be free under the new ones.
async fn ask_again(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    channel: Option<Channel>,
) -> Result<()> {
    let why = "Cambiaron los límites por persona: se revisa otra vez si puede salir.";
    let of = channel.map_or(asked_again::Of::All, asked_again::Of::Channel);
    asked_again::ask_again(tx, now, actor, of, &[DeferReason::FrequencyCap], why).await.map(drop)
}

fn check(max_messages: u32, days: u32) -> Result<()> {
    if !(1..=1000).contains(&max_messages) {
        return Err(Error::invalid("max_messages", "Escribe un número entre 1 y 1000."));
    }
    if !(1..=366).contains(&days) {
        return Err(Error::invalid("days", "Escribe un número de días entre 1 y 366."));
    }
    Ok(())
}

fn taken() -> Error {
    Error::invalid("days", "Ya hay un tope de ese canal y tipo para ese período: edita el que existe.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(message_type: Option<MessageType>, max_messages: u32, days: u32) -> Cap {
        Cap { id: 0, channel: Channel::Email, message_type, max_messages, days }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn promo(text: &str) -> Counted {
        Counted { message_type: MessageType::Promocional, at: at(text) }
    }

    #[test]
    fn one_a_week_frees_on_the_same_weekday() {
        let history = [promo("2026-11-16T13:00:00Z")];
        let check = |now: &str| {
            full(&[cap(None, 1, 7)], MessageType::Promocional, &history, at(now)).map(|it| it.frees_on)
        };
        assert_eq!(check("2026-11-17T13:00:00Z"), NaiveDate::from_ymd_opt(2026, 11, 23));
        assert_eq!(check("2026-11-22T13:00:00Z"), NaiveDate::from_ymd_opt(2026, 11, 23));
        assert_eq!(check("2026-11-23T12:00:00Z"), None);
    }

    #[test]
    fn a_day_is_a_local_day() {
        // 02:30 UTC of the 24th is still the 23rd in Santiago.
        let history = [promo("2026-11-24T02:30:00Z")];
        let caps = [cap(None, 1, 1)];
        assert!(full(&caps, MessageType::Promocional, &history, at("2026-11-23T15:00:00Z")).is_some());
        assert!(full(&caps, MessageType::Promocional, &history, at("2026-11-24T12:00:00Z")).is_none());
    }

    #[test]
    fn the_cap_that_holds_longest_decides() {
        let history = [promo("2026-11-02T13:00:00Z"), promo("2026-11-20T13:00:00Z")];
        let caps = [cap(None, 1, 7), cap(None, 2, 30)];
        let held = full(&caps, MessageType::Newsletter, &history, at("2026-11-21T13:00:00Z")).unwrap();
        assert_eq!(held.frees_on, NaiveDate::from_ymd_opt(2026, 12, 2).unwrap());
        assert_eq!(held.detail, "2 de 2 en 30 días");
    }

    #[test]
    fn a_cap_of_one_kind_counts_that_kind_alone_and_service_messages_are_free() {
        let history = [promo("2026-11-20T13:00:00Z")];
        let now = at("2026-11-21T13:00:00Z");
        assert!(
            full(&[cap(Some(MessageType::Reactivation), 1, 90)], MessageType::Reactivation, &history, now)
                .is_none()
        );
        assert!(full(&[cap(None, 1, 7)], MessageType::Transactional, &history, now).is_none());
    }
}
