//! The log of a contact: calls, meetings, letters, notes, as staff writes them
//! down. Reading them among everything else is the timeline's.

use super::{check::Check, merge, metrics, vocabulary::InteractionKind};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::time,
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, InteractionId},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How long after writing it somebody may take their own entry back.
pub const REGRET: TimeDelta = TimeDelta::minutes(30);

/// An entry as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Code of the kind; empty: a note.
    pub kind: String,
    /// What happened, in a line.
    pub summary: String,
    /// Everything that was said.
    pub detail: String,
    /// Local time, `2026-11-23T12:00`; empty: now.
    pub at: String,
}

/// An entry, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// What it was.
    pub kind: InteractionKind,
    /// What happened, in a line.
    pub summary: String,
    /// Everything that was said.
    pub detail: Option<String>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

impl Draft {
    /// The entry that was typed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self, now: DateTime<Utc>) -> Result<Details> {
        let mut check = Check::default();
        let kind = check.one_of("kind", &self.kind, InteractionKind::from_code, InteractionKind::Note);
        let summary = check.short("summary", &self.summary);
        if summary.is_empty() {
            check.wrong("summary", "Escribe en una línea qué pasó.");
        }
        let detail = check.long("detail", &self.detail);
        let at = instant(&self.at, now);
        match at {
            None => check.wrong("at", "No es una fecha con hora: escríbela como 21-11-2026 15:30."),
            // The browser's clock may run a little ahead.
            Some(at) if at > now + TimeDelta::minutes(5) => {
                check.wrong("at", "Eso aún no pasa: para algo por hacer, crea una tarea.");
            }
            Some(at) if NaiveDate::from_ymd_opt(1990, 1, 1).is_some_and(|it| time::local_date(at) < it) => {
                check.wrong("at", "Revisa el año.");
            }
            Some(_) => (),
        }
        check.done()?;
        Ok(Details { kind, summary, detail, at: at.unwrap_or(now).min(now) })
    }
}

/// Local date and time as browsers send them or as people write them; empty: `now`.
fn instant(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(now);
    }
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%d-%m-%Y %H:%M", "%d/%m/%Y %H:%M"]
        .iter()
        .find_map(|it| NaiveDateTime::parse_from_str(text, it).ok())
        .map(|it| time::at_local(it.date(), it.time()))
}

/// Write an entry into the log of `contact`.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn add(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    details: &Details,
) -> Result<InteractionId> {
    actor.require(Permission::EditContacts)?;
    merge::hold(tx, contact).await?;
    let id = sqlx::query_scalar!(
        "insert into interactions (contact_id, kind, summary, detail, at, staff_user_id, created_at)
         values ($1, $2, $3, $4, $5, $6, $7) returning id",
        contact.0,
        details.kind.code(),
        details.summary,
        details.detail,
        details.at,
        actor.staff_id().map(|it| it.0),
        now
    )
    .fetch_one(&mut **tx)
    .await?;
    let change = audit::Change {
        action: "interaction.create",
        subject_kind: "contact",
        subject_id: Some(contact.0),
        before: None,
        after: Some(json!(details)),
    };
    audit::record(tx, now, actor, change).await?;
    metrics::recount(tx, now, &[contact.0]).await?;
    Ok(InteractionId(id))
}

/// Take one's own entry back, shortly after writing it; gives whose it was.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Refused`] when it is somebody else's or too late;
/// or the database's.
pub async fn remove(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: InteractionId,
) -> Result<ContactId> {
    actor.require(Permission::EditContacts)?;
    let it = sqlx::query!(
        "select contact_id, kind, summary, detail, at, staff_user_id, created_at from interactions where id = $1 for update",
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    if it.staff_user_id != actor.staff_id().map(|it| it.0) {
        return Err(Error::refused("Solo quien lo anotó puede quitarlo. Queda como está."));
    }
    if now.signed_duration_since(it.created_at) > REGRET {
        return Err(Error::refused(
            "Ya pasó media hora desde que lo anotaste, así que queda en la bitácora. Si algo cambió, anota una nota nueva.",
        ));
    }
    sqlx::query!("delete from interactions where id = $1", id.0).execute(&mut **tx).await?;
    let change = audit::Change {
        action: "interaction.remove",
        subject_kind: "contact",
        subject_id: Some(it.contact_id),
        before: Some(json!({ "kind": it.kind, "summary": it.summary, "detail": it.detail, "at": it.at })),
        after: None,
    };
    audit::record(tx, now, actor, change).await?;
    metrics::recount(tx, now, &[it.contact_id]).await?;
    Ok(ContactId(it.contact_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_read_as_typed() {
        let now: DateTime<Utc> = "2026-11-23T15:00:00Z".parse().unwrap();
        let check = |text: &str, expected: &str| {
            assert_eq!(instant(text, now), Some(expected.parse().unwrap()), "{text}");
        };
        check("", "2026-11-23T15:00:00Z");
        check("2026-11-23T10:30", "2026-11-23T13:30:00Z");
        check("20-06-2026 10:30", "2026-06-20T14:30:00Z");
        assert_eq!(instant("mañana", now), None);
    }

    #[test]
    fn what_has_not_happened_is_no_entry() {
        let now: DateTime<Utc> = "2026-11-23T15:00:00Z".parse().unwrap();
        let draft = |at: &str| Draft { summary: "Llamé".to_owned(), at: at.to_owned(), ..Draft::default() };
        assert!(draft("2026-11-23T12:30").check(now).is_err());
        assert!(draft("1889-11-23T12:30").check(now).is_err());
        assert_eq!(draft("2026-11-23T12:03").check(now).unwrap().at, now, "a clock that runs ahead");
        assert_eq!(draft("").check(now).unwrap().kind, InteractionKind::Note);
    }
}
