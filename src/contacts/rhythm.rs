//! How often a person wants promotions on a channel, and until when none: what lies
//! between a yes and a no. Each wish is kept as it was said, and the last one holds.

use super::{check::Check, merge};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::{format, time},
    codes::codes,
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, MessageId},
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use std::collections::HashMap;

/// The longest that a person may ask to lie between two promotions, in days: what is kept of them must be read back so far.
pub const LONGEST_DAYS: u32 = 90;

/// The longest pause, in days; who wants more says no.
pub const LONGEST_PAUSE: u64 = 366;

/// What a person asks for on one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rhythm {
    /// At most one promotion in so many local days; none: as often as the caps allow.
    pub min_days: Option<u32>,
    /// First local day on which promotions may leave again; none: no pause.
    pub paused_until: Option<NaiveDate>,
}

impl Rhythm {
    /// The wish of someone who is kept twice: whichever asks for less.
    #[must_use]
    pub fn stricter(self, other: Rhythm) -> Rhythm {
        Rhythm {
            min_days: self.min_days.max(other.min_days),
            paused_until: self.paused_until.max(other.paused_until),
        }
    }

    /// The end of the pause that holds on `today`.
    #[must_use]
    pub fn pause_on(&self, today: NaiveDate) -> Option<NaiveDate> {
        self.paused_until.filter(|until| *until > today)
    }

    /// The pause alone is over; the rest of the wish stays.
    #[must_use]
    pub fn on(self, today: NaiveDate) -> Rhythm {
        Rhythm { paused_until: self.pause_on(today), ..self }
    }

    /// What is asked for, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let often = self.min_days.map(|days| format!("a lo más un mensaje cada {days} días"));
        let pause = self.paused_until.map(|until| format!("pausa hasta el {}", format::date(until)));
        match (often, pause) {
            (Some(often), Some(pause)) => format!("{often} y {pause}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "sin límite ni pausa".to_owned(),
        }
    }

    /// As it may be kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `every` or `paused_until`.
    pub fn checked(self, today: NaiveDate) -> Result<Rhythm> {
        if self.min_days.is_some_and(|days| !(2..=LONGEST_DAYS).contains(&days)) {
            return Err(Error::invalid("every", "Elige cada cuánto quieres recibir."));
        }
        match self.paused_until {
            Some(until) if until <= today => {
                Err(Error::invalid("paused_until", "Elige una fecha que aún no llega."))
            }
            Some(until) if until > today + Days::new(LONGEST_PAUSE) => {
                Err(Error::invalid("paused_until", "Una pausa dura a lo más un año."))
            }
            _ => Ok(self),
        }
    }
}

/// What each of `people` asks for on `channel`, together with whoever was joined into them; who is not among the keys asks
/// for nothing.
///
/// # Errors
/// When the database fails.
pub async fn of_people(
    db: &mut PgConnection,
    channel: Channel,
    people: &[i64],
) -> Result<HashMap<i64, Rhythm>> {
    let rows = sqlx::query!(
        r#"with people as (
               select distinct id, id as who from unnest($1::bigint[]) as asked (id)
               union all
               select id, merged_into from contacts where merged_into = any($1)
           )
           select who as "who!", last.min_days, last.paused_until
           from people cross join lateral (
               select min_days, paused_until from contact_rhythms
               where contact_id = people.id and communication_type = $2 order by id desc limit 1
           ) last
           where last.min_days is not null or last.paused_until is not null"#,
        people,
        channel.code()
    )
    .fetch_all(db)
    .await?;
    let mut all: HashMap<i64, Rhythm> = HashMap::new();
    for row in rows {
        let own = Rhythm {
            min_days: row.min_days.and_then(|days| u32::try_from(days).ok()),
            paused_until: row.paused_until,
        };
        let known = all.entry(row.who).or_default();
        *known = known.stricter(own);
    }
    Ok(all)
}

/// What one contact asks for on `channel`.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, channel: Channel, contact: ContactId) -> Result<Rhythm> {
    Ok(of_people(db, channel, &[contact.0]).await?.remove(&contact.0).unwrap_or_default())
}

/// Write down what a person asks for, by whose message's link; for whoever was joined into them too, so that it stays
/// said when they part. Saying the same again adds nothing. Gives whether anything changed.
///
/// # Errors
/// [`Error::Joined`], or the database's.
pub async fn say(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    contact: ContactId,
    channel: Channel,
    rhythm: Rhythm,
    source: &str,
    message: Option<MessageId>,
) -> Result<bool> {
    let proof = Proof { source, message, staff: None, asked_on: None };
    Ok(keep(tx, now, contact, channel, rhythm, proof).await?.is_some())
}

codes! {
    /// How a person told somebody on the staff.
    How {
        /// On the telephone.
        Phone = "PHONE", "Por teléfono";
        /// Face to face.
        InPerson = "IN_PERSON", "En persona";
        /// By letter, email or another message.
        Mail = "MAIL", "Por correo";
    }
}

/// How a wish was told, as it is typed.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// Code of how.
    pub how: String,
    /// The day; empty: today.
    pub asked_on: String,
    /// To whom, with which words; may be empty.
    pub detail: String,
}

/// How a wish was told: its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How.
    pub how: How,
    /// The local day.
    pub asked_on: NaiveDate,
    /// To whom, with which words; may be empty.
    pub detail: String,
}

impl Telling {
    /// What was typed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self, today: NaiveDate) -> Result<Told> {
        let mut check = Check::default();
        let how = How::from_code(&self.how);
        if how.is_none() {
            check.wrong("how", "Elige cómo lo pidió: será la prueba si alguien la pide.");
        }
        let asked_on = check.date("asked_on", &self.asked_on).unwrap_or(today);
        if asked_on > today {
            check.wrong("asked_on", "La fecha no puede ser futura.");
        }
        let detail = check.short("detail", &self.detail);
        check.done()?;
        Ok(Told { how: how.ok_or(Error::NotFound)?, asked_on, detail })
    }
}

impl Told {
    /// In words.
    fn source(&self) -> String {
        let how = format!("Lo pidió {}", self.how.label().to_lowercase());
        if self.detail.is_empty() { how } else { format!("{how}: {}", self.detail) }
    }
}

/// Write down what a person told somebody on the staff. Saying the same again adds nothing. Gives whether anything changed.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Joined`]; [`Error::Invalid`] at `asked_on` where they said something else themselves since;
/// or the database's.
pub async fn note(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    channel: Channel,
    rhythm: Rhythm,
    told: &Told,
) -> Result<bool> {
    actor.require(Permission::EditContacts)?;
    merge::hold(tx, contact).await?;
    if let Some(at) = last_of_their_own(tx, contact, channel).await?
        && time::local_date(at) > told.asked_on
    {
        let said = format::datetime(at);
        return Err(Error::invalid(
            "asked_on",
            format!(
                "Después, el {said}, la propia persona eligió otra cosa en su página: vale lo último que dijo."
            ),
        ));
    }
    let source = told.source();
    let proof = Proof {
        source: &source,
        message: None,
        staff: actor.staff_id().map(|it| it.0),
        asked_on: Some(told.asked_on),
    };
    let Some(before) = keep(tx, now, contact, channel, rhythm, proof).await? else { return Ok(false) };
    let wish = |it: Rhythm| json!({ "communication_type": channel, "min_days": it.min_days, "paused_until": it.paused_until });
    let mut after = wish(rhythm);
    after["source"] = json!(source);
    after["asked_on"] = json!(told.asked_on);
    let change = audit::Change {
        action: "rhythm.update",
        subject_kind: "contact",
        subject_id: Some(contact.0),
        before: Some(wish(before)),
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(true)
}

/// When the person, or whoever was joined into them, last said by a message's link what they want on `channel`.
async fn last_of_their_own(
    tx: &mut Tx<'_>,
    contact: ContactId,
    channel: Channel,
) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!(
        "select max(at) from contact_rhythms
         where contact_id in (select $1 union all select id from contacts where merged_into = $1)
           and communication_type = $2 and communication_log_id is not null",
        contact.0,
        channel.code()
    )
    .fetch_one(&mut **tx)
    .await?)
}

struct Proof<'a> {
    source: &'a str,
    message: Option<MessageId>,
    staff: Option<i64>,
    asked_on: Option<NaiveDate>,
}

/// Gives what stood before; none: the same.
async fn keep(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    contact: ContactId,
    channel: Channel,
    rhythm: Rhythm,
    proof: Proof<'_>,
) -> Result<Option<Rhythm>> {
    merge::hold(tx, contact).await?;
    let before = of(tx, channel, contact).await?;
    if before == rhythm {
        return Ok(None);
    }
    let all: Vec<i64> = merge::all_of(tx, contact).await?.into_iter().map(|it| it.0).collect();
    sqlx::query!(
        "insert into contact_rhythms (contact_id, communication_type, min_days, paused_until, source, communication_log_id,
             staff_user_id, asked_on, at)
         select id, $2, $3, $4, $5, $6, $7, $8, $9 from unnest($1::bigint[]) as person (id)",
        &all,
        channel.code(),
        rhythm.min_days.and_then(|days| i32::try_from(days).ok()),
        rhythm.paused_until,
        proof.source,
        proof.message.map(|it| it.0),
        proof.staff,
        proof.asked_on,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(Some(before))
}

/// A wish as it was said.
#[derive(Clone, Debug)]
pub struct Entry {
    /// On which channel.
    pub channel: Channel,
    /// What was asked for.
    pub rhythm: Rhythm,
    /// How it was said, in words.
    pub source: String,
    /// The message whose link was used.
    pub message: Option<MessageId>,
    /// Who on the staff wrote it down.
    pub by: Option<String>,
    /// The day on which they were told.
    pub asked_on: Option<NaiveDate>,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// The latest `limit` wishes of a contact, newest first.
///
/// # Errors
/// When the database fails.
pub async fn ledger(db: impl PgExecutor<'_>, contact: ContactId, limit: i64) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select r.communication_type, r.min_days, r.paused_until, r.source, r.communication_log_id, r.asked_on, r.at, s.name as "by?"
           from contact_rhythms r left join staff_users s on s.id = r.staff_user_id
           where r.contact_id = $1 order by r.id desc limit $2"#,
        contact.0,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                channel: Channel::from_code(&it.communication_type)?,
                rhythm: Rhythm {
                    min_days: it.min_days.and_then(|days| u32::try_from(days).ok()),
                    paused_until: it.paused_until,
                },
                source: it.source,
                message: it.communication_log_id.map(MessageId),
                by: it.by,
                asked_on: it.asked_on,
                at: it.at,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn of_two_wishes_the_one_that_asks_for_less_holds() {
        let monthly = Rhythm { min_days: Some(30), paused_until: None };
        let paused = Rhythm { min_days: Some(14), paused_until: Some(day("2026-12-24")) };
        let both = Rhythm { min_days: Some(30), paused_until: Some(day("2026-12-24")) };
        assert_eq!(monthly.stricter(paused), both);
        assert_eq!(paused.stricter(monthly), both);
        assert_eq!(monthly.stricter(Rhythm::default()), monthly);
    }

    #[test]
    fn a_pause_ends_on_its_day() {
        let rhythm = Rhythm { min_days: None, paused_until: Some(day("2026-12-24")) };
        assert_eq!(rhythm.pause_on(day("2026-12-23")), Some(day("2026-12-24")));
        assert_eq!(rhythm.pause_on(day("2026-12-24")), None);
    }

    #[test]
    fn a_wish_that_makes_no_sense_is_not_kept() {
        let today = day("2026-11-23");
        let check = |min_days, until: Option<&str>| {
            Rhythm { min_days, paused_until: until.map(day) }.checked(today).is_ok()
        };
        assert!(check(Some(30), None) && check(None, Some("2026-11-24")) && check(None, Some("2027-11-24")));
        assert!(!check(Some(1), None) && !check(Some(91), None));
        assert!(!check(None, Some("2026-11-23")) && !check(None, Some("2027-11-25")));
    }
}
