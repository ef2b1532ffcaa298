//! What a person chose to receive, kind by kind, and the hours at which they want
//! nothing. Kinds of message are codes here: what they mean is `messaging`'s.

use super::merge;
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::ContactId,
};
use chrono::{DateTime, NaiveTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// A choice. Where there is none, the answer is yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// On which channel.
    pub channel: Channel,
    /// Code of the kind of message.
    pub message_type: String,
    /// Whether they want it.
    pub allowed: bool,
    /// Since when.
    pub updated_at: DateTime<Utc>,
}

/// Keep a person's choice; made again, it is of today.
///
/// # Errors
/// When the database fails.
pub async fn set(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    contact: ContactId,
    channel: Channel,
    message_type: &str,
    wanted: bool,
) -> Result<()> {
    sqlx::query!(
        "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         values ($1, $2, $3, $4, $5)
         on conflict (contact_id, communication_type, message_type)
         do update set allowed = excluded.allowed, updated_at = excluded.updated_at",
        contact.0,
        channel.code(),
        message_type,
        wanted,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keep what a person told somebody on the staff: the refused kinds among `offered`,
/// on one channel. Returns whether anything changed.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn choose(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    channel: Channel,
    choices: &[(&str, bool)],
) -> Result<bool> {
    actor.require(Permission::EditContacts)?;
    merge::hold(tx, contact).await?;
    let refused_before = refused(of(&mut **tx, contact).await?, channel);
    let mut changed = false;
    for (message_type, allowed) in choices {
        let was_allowed = !refused_before.iter().any(|it| it == message_type);
        if was_allowed != *allowed {
            set(tx, now, contact, channel, message_type, *allowed).await?;
            changed = true;
        }
    }
    if changed {
        let refused_now = refused(of(&mut **tx, contact).await?, channel);
        let change = audit::Change {
            action: "preferences.update",
            subject_kind: "contact",
            subject_id: Some(contact.0),
            before: Some(json!({ "communication_type": channel, "refused": refused_before })),
            after: Some(json!({ "communication_type": channel, "refused": refused_now })),
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(changed)
}

fn refused(preferences: Vec<Preference>, channel: Channel) -> Vec<String> {
    preferences
        .into_iter()
        .filter(|it| it.channel == channel && !it.allowed)
        .map(|it| it.message_type)
        .collect()
}

/// Every choice of a contact.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, contact: ContactId) -> Result<Vec<Preference>> {
    let rows = sqlx::query!(
        "select communication_type, message_type, allowed, updated_at from contact_preferences
         where contact_id = $1 order by communication_type, message_type",
        contact.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Preference {
                channel: Channel::from_code(&it.communication_type)?,
                message_type: it.message_type,
                allowed: it.allowed,
                updated_at: it.updated_at,
            })
        })
        .collect())
}

/// The hours between two typed times, local; both empty: none.
///
/// # Errors
/// [`Error::Invalid`] at `quiet_from` or `quiet_until`.
pub fn quiet_hours(from: &str, until: &str) -> Result<Option<(NaiveTime, NaiveTime)>> {
    let mut wrong = Vec::new();
    let mut time = |field: &'static str, text: &str| {
        let text = text.trim();
        let found = ["%H:%M", "%H:%M:%S"].iter().find_map(|it| NaiveTime::parse_from_str(text, it).ok());
        if found.is_none() && !text.is_empty() {
            wrong.push(FieldError::new(field, "No es una hora: escríbela como 21:30."));
        }
        found
    };
    let (from, until) = (time("quiet_from", from), time("quiet_until", until));
    if wrong.is_empty() {
        match (from, until) {
            (Some(from), Some(until)) if from != until => return Ok(Some((from, until))),
            (Some(_), Some(_)) => wrong.push(FieldError::new("quiet_until", "Elige dos horas distintas.")),
            (Some(_), None) => wrong.push(FieldError::new("quiet_until", "Falta hasta qué hora.")),
            (None, Some(_)) => wrong.push(FieldError::new("quiet_from", "Falta desde qué hora.")),
            (None, None) => return Ok(None),
        }
    }
    Err(Error::Invalid(wrong))
}

/// Keep the local hours at which a person wants no promotions; they may pass midnight.
/// Returns whether anything changed.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn set_quiet_hours(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    quiet: Option<(NaiveTime, NaiveTime)>,
) -> Result<bool> {
    actor.require(Permission::EditContacts)?;
    merge::hold(tx, contact).await?;
    let was = sqlx::query!("select quiet_from, quiet_until from contacts where id = $1", contact.0)
        .fetch_one(&mut **tx)
        .await?;
    let was = was.quiet_from.zip(was.quiet_until);
    if was == quiet {
        return Ok(false);
    }
    sqlx::query!(
        "update contacts set quiet_from = $2, quiet_until = $3, updated_at = $4 where id = $1",
        contact.0,
        quiet.map(|it| it.0),
        quiet.map(|it| it.1),
        now
    )
    .execute(&mut **tx)
    .await?;
    let told = |it: Option<(NaiveTime, NaiveTime)>| json!({ "quiet_from": it.map(|it| it.0), "quiet_until": it.map(|it| it.1) });
    let change = audit::Change {
        action: "quiet_hours.update",
        subject_kind: "contact",
        subject_id: Some(contact.0),
        before: Some(told(was)),
        after: Some(told(quiet)),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_both_or_none() {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        assert_eq!(quiet_hours(" 21:30", "08:00:00").unwrap(), Some((time("21:30"), time("08:00"))));
        assert_eq!(quiet_hours("", "").unwrap(), None);
        for (from, until) in
            [("21:30", ""), ("", "08:00"), ("21:30", "21:30"), ("25:00", "08:00"), ("x", "y")]
        {
            assert!(quiet_hours(from, until).is_err(), "{from} {until}");
        }
    }
}
