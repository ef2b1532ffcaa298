//! Two contacts that are one person: joined field by field, with everything kept
//! and a way back. Messages and consents stay with the row that they were made
//! for; whatever else hangs on it goes over to the one that stays.

mod belongings;
mod facts;

use super::metrics;
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::ContactId,
};
use belongings::Moved;
use chrono::{DateTime, Utc};
use facts::Facts;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// What is chosen from one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// First and last names.
    Name,
    /// Email address, with its basis for promotions.
    Email,
    /// Telephone, with its bases for promotions.
    Phone,
    /// Where they work.
    Company,
    /// Job title.
    JobTitle,
    /// Day of birth.
    BirthDate,
    /// Comuna.
    Comuna,
    /// Where they came from.
    Source,
    /// Who looks after them.
    Owner,
    /// Notes.
    Notes,
}

impl Field {
    /// Every one, in the order of the form.
    pub const ALL: [Field; 10] = [
        Field::Name,
        Field::Email,
        Field::Phone,
        Field::Company,
        Field::JobTitle,
        Field::BirthDate,
        Field::Comuna,
        Field::Source,
        Field::Owner,
        Field::Notes,
    ];

    /// As in the form.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::Email => "email",
            Field::Phone => "phone",
            Field::Company => "company",
            Field::JobTitle => "job_title",
            Field::BirthDate => "birth_date",
            Field::Comuna => "comuna",
            Field::Source => "source",
            Field::Owner => "owner_id",
            Field::Notes => "notes",
        }
    }
}

/// Join `gone` into `kept`, taking from `gone` the fields `taken`. Notes that are
/// taken are added, not replaced. A no of either stays a no.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Refused`] when one of them is joined already; or the database's.
pub async fn merge(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    kept: ContactId,
    gone: ContactId,
    taken: &BTreeSet<Field>,
) -> Result<i64> {
    actor.require(Permission::EditContacts)?;
    lock(tx, kept, gone).await?;
    let (before_kept, before_gone) = (facts::of(tx, kept).await?, facts::of(tx, gone).await?);
    let mut after = facts::joined(&before_kept, &before_gone, taken);
    let mut noes = Vec::new();
    for channel in ["EMAIL", "SMS", "WHATSAPP"] {
        if said_no(tx, kept, channel).await? || said_no(tx, gone, channel).await? {
            *after.basis(channel) = None;
            noes.push(channel);
        }
    }
    empty(tx, now, gone, kept).await?;
    facts::put(tx, now, kept, &after).await?;
    tell_of_consent(
        tx,
        now,
        actor,
        kept,
        (&before_kept, &after),
        &noes,
        "Al unir dos fichas de la misma persona",
    )
    .await?;
    tell_of_lifecycle(tx, now, actor, kept, (&before_kept, &after), "MERGE").await?;
    let moved = belongings::move_over(tx, kept, gone).await?;
    sqlx::query!("delete from duplicate_candidates where first_id = $1 or second_id = $1", gone.0)
        .execute(&mut **tx)
        .await?;
    let id = sqlx::query_scalar!(
        "insert into contact_merges (kept_id, gone_id, before_kept, before_gone, after_kept, moved, merged_at, merged_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
        kept.0,
        gone.0,
        json!(before_kept),
        json!(before_gone),
        json!(after),
        json!(moved),
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_one(&mut **tx)
    .await?;
    metrics::recount(tx, now, &[kept.0, gone.0]).await?;
    let change = audit::Change {
        action: "contact.merge",
        subject_kind: "contact",
        subject_id: Some(kept.0),
        before: Some(json!({ "kept": before_kept, "joined": gone, "joined_facts": before_gone })),
        after: Some(json!(after)),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(id)
}

/// Take a joining back: each is who they were, with what was theirs. What somebody changed since in the kept one stays.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] when there is none to undo; [`Error::Refused`] when an address was given to
/// somebody else meanwhile; or the database's.
pub async fn undo(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
) -> Result<(ContactId, ContactId)> {
    actor.require(Permission::EditContacts)?;
    let it = sqlx::query!(
        "update contact_merges set undone_at = $2, undone_by = $3 where id = $1 and undone_at is null
         returning kept_id, gone_id, before_kept, before_gone, after_kept, moved",
        id,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let (kept, gone) = (ContactId(it.kept_id), ContactId(it.gone_id));
    lock_rows(tx, kept, gone).await?;
    if sqlx::query_scalar!("select merged_into from contacts where id = $1", kept.0)
        .fetch_one(&mut **tx)
        .await?
        .is_some()
    {
        return Err(Error::refused(
            "No se deshizo: la ficha que quedó está unida a otra. Nada cambió; deshaz primero esa unión, que es más nueva.",
        ));
    }
    let unreadable = |_| Error::Internal(format!("merge {id} can't be read"));
    let before_kept: Facts = serde_json::from_value(it.before_kept).map_err(unreadable)?;
    let before_gone: Facts = serde_json::from_value(it.before_gone).map_err(unreadable)?;
    let after_kept: Facts = serde_json::from_value(it.after_kept).map_err(unreadable)?;
    let moved: Moved = serde_json::from_value(it.moved).map_err(unreadable)?;
    let current = facts::of(tx, kept).await?;
    let mut restored = facts::restored(&current, &after_kept, &before_kept).map_err(unreadable)?;
    for channel in ["EMAIL", "SMS", "WHATSAPP"] {
        // A no that came since is theirs, whatever they were called.
        if current.basis_of(channel).is_none() && after_kept.basis_of(channel).is_some() {
            *restored.basis(channel) = None;
        }
    }
    facts::put(tx, now, kept, &restored).await?;
    tell_of_consent(tx, now, actor, kept, (&current, &restored), &[], "Se deshizo la unión de dos fichas")
        .await?;
    tell_of_lifecycle(tx, now, actor, kept, (&current, &restored), "UNDONE").await?;
    sqlx::query!("update contacts set merged_into = null, email = $2, phone = $3 where id = $1", gone.0, before_gone.email(), before_gone.phone())
        .execute(&mut **tx)
        .await
        .on_constraint("contacts_email_once", || {
            Error::refused("No se deshizo: el correo de la otra ficha ya es de otro contacto. Nada cambió; corrige ese correo y prueba otra vez.")
        })?;
    facts::put(tx, now, gone, &before_gone).await?;
    belongings::move_back(tx, kept, gone, &moved).await?;
    metrics::recount(tx, now, &[kept.0, gone.0]).await?;
    let change = audit::Change {
        action: "contact.unmerge",
        subject_kind: "contact",
        subject_id: Some(kept.0),
        before: Some(json!(current)),
        after: Some(json!({ "kept": restored, "separated": gone })),
    };
    audit::record(tx, now, actor, change).await?;
    Ok((kept, gone))
}

/// Hold both, refusing who is joined already.
async fn lock(tx: &mut Tx<'_>, kept: ContactId, gone: ContactId) -> Result<()> {
    if kept == gone {
        return Err(Error::refused("Es la misma ficha: no hay nada que unir."));
    }
    let rows = lock_rows(tx, kept, gone).await?;
    if rows.len() < 2 {
        return Err(Error::NotFound);
    }
    if rows.iter().any(Option::is_some) {
        return Err(Error::refused(
            "Una de las dos fichas ya está unida a otra. No se cambió nada; vuelve a abrir la lista de duplicados.",
        ));
    }
    Ok(())
}

/// Hold both rows, in one order with whoever else does; gives whom each is joined into.
async fn lock_rows(tx: &mut Tx<'_>, kept: ContactId, gone: ContactId) -> Result<Vec<Option<i64>>> {
    Ok(sqlx::query_scalar!(
        "select merged_into from contacts where id = any($1) order by id for update",
        &[kept.0, gone.0]
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Whether the last word of `contact` on `channel` was a no.
async fn said_no(tx: &mut Tx<'_>, contact: ContactId, channel: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce((select basis = 'WITHDRAWN' from consent_events
               where contact_id = $1 and communication_type = $2 order by id desc limit 1), false) as "no!""#,
        contact.0,
        channel
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// `gone` is nobody any more: no address, no company, found by no word.
async fn empty(tx: &mut Tx<'_>, now: DateTime<Utc>, gone: ContactId, kept: ContactId) -> Result<()> {
    sqlx::query!(
        "update contacts set merged_into = $2, email = null, phone = null, company_id = null, email_basis = null,
             sms_basis = null, whatsapp_basis = null, search_key = '', updated_at = $3
         where id = $1",
        gone.0,
        kept.0,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What joining or separating did to the bases of `contact` stands in the ledger too; `noes`: the channels on which
/// one of the two had said no.
async fn tell_of_consent(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    (before, after): (&Facts, &Facts),
    noes: &[&str],
    why: &str,
) -> Result<()> {
    for channel in ["EMAIL", "SMS", "WHATSAPP"] {
        if before.basis_of(channel) == after.basis_of(channel) {
            continue;
        }
        // Who lost a basis with an address said no to nothing.
        let lost = if noes.contains(&channel) { "WITHDRAWN" } else { "REVERSED" };
        let basis = after.basis_of(channel).unwrap_or(lost);
        sqlx::query!(
            "insert into consent_events (contact_id, communication_type, basis, source, staff_user_id, at)
             values ($1, $2, $3, $4, $5, $6)",
            contact.0,
            channel,
            basis,
            why,
            actor.staff_id().map(|it| it.0),
            now
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// How far the kept one has come is told where it is told of everybody.
async fn tell_of_lifecycle(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    (before, after): (&Facts, &Facts),
    cause: &str,
) -> Result<()> {
    if before.lifecycle() != after.lifecycle() {
        sqlx::query!(
            "insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, staff_user_id, at)
             values ($1, $2, $3, $4, $5, $6)",
            contact.0,
            before.lifecycle(),
            after.lifecycle(),
            cause,
            actor.staff_id().map(|it| it.0),
            now
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// A joining, as its page tells it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Row.
    pub id: i64,
    /// Who was joined into the contact.
    pub gone: ContactId,
    /// What that one was called.
    pub name: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who did it.
    pub by: Option<String>,
}

/// What was joined into `contact` and not taken back, newest first.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, contact: ContactId) -> Result<Vec<Record>> {
    let rows = sqlx::query!(
        r#"select m.id, m.gone_id, m.merged_at, s.name as "by?",
               coalesce(nullif(trim(coalesce(m.before_gone->>'first_name', '') || ' ' || coalesce(m.before_gone->>'last_name', '')), ''),
                   m.before_gone->>'email', m.before_gone->>'phone', '') as "name!"
           from contact_merges m left join staff_users s on s.id = m.merged_by
           where m.kept_id = $1 and m.undone_at is null order by m.id desc limit 20"#,
        contact.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Record {
            id: it.id,
            gone: ContactId(it.gone_id),
            name: it.name,
            at: it.merged_at,
            by: it.by,
        })
        .collect())
}

/// Who `contact` is today: whom it was joined into, or itself.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn survivor(db: &mut PgConnection, contact: ContactId) -> Result<ContactId> {
    let id = sqlx::query_scalar!(
        r#"select coalesce(merged_into, id) as "id!" from contacts where id = $1"#,
        contact.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(ContactId(id))
}

/// `contact`, and whoever was joined into it: the rows that messages, consents and moves still point to.
///
/// # Errors
/// When the database fails.
pub async fn all_of(db: &mut PgConnection, contact: ContactId) -> Result<Vec<ContactId>> {
    let joined = sqlx::query_scalar!("select id from contacts where merged_into = $1 order by id", contact.0)
        .fetch_all(db)
        .await?;
    Ok(std::iter::once(contact).chain(joined.into_iter().map(ContactId)).collect())
}

/// How much hangs on a contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Messages asked for.
    pub messages: i64,
    /// Calls, meetings, notes.
    pub interactions: i64,
    /// Past purchases, visits, enrolments.
    pub history: i64,
    /// Tasks.
    pub tasks: i64,
    /// Interests.
    pub interests: i64,
}

/// How much hangs on `contact`.
///
/// # Errors
/// When the database fails.
pub async fn weight(db: &mut PgConnection, contact: ContactId) -> Result<Weight> {
    Ok(sqlx::query_as!(
        Weight,
        r#"select (select count(*) from communication_logs where contact_id = $1) as "messages!",
               (select count(*) from interactions where contact_id = $1) as "interactions!",
               (select count(*) from history_entries where contact_id = $1) as "history!",
               (select count(*) from tasks where contact_id = $1) as "tasks!",
               (select count(*) from contact_interests where contact_id = $1) as "interests!""#,
        contact.0
    )
    .fetch_one(db)
    .await?)
}
