//! Two contacts that are one person: joined field by field, with everything kept
//! and a way back. Messages and consents stay with the row that they were made
//! for; whatever else hangs on it goes over to the one that stays.

mod belongings;
mod carry;
mod consents;
mod facts;
mod standing;
mod told;

pub(super) use standing::hold;
pub use standing::{all_of, hold_survivor, survivor};
pub use told::{LeftOut, Record, Weight, left_out, of, weight};

use super::{contact::full_name, metrics};
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::ContactId,
};
use belongings::Moved;
use chrono::{DateTime, Utc};
use consents::{Hand, Joining};
use facts::Facts;
use serde_json::json;
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

const JOINED: &str = "Al unir dos fichas de la misma persona";
const PARTED: &str = "Se deshizo la unión de dos fichas";

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
    let noes = consents::noes(tx, &[(kept, &before_kept), (gone, &before_gone)]).await?;
    for channel in &noes {
        *after.basis(channel) = None;
    }
    let consent_before = consents::last(tx, kept, gone).await?;
    empty(tx, now, gone, kept).await?;
    facts::put(tx, now, kept, &after).await?;
    let hand = Hand { now, actor, why: JOINED };
    let told = consents::tell_joined(tx, hand, (kept, &before_kept), gone, &after, &noes).await?;
    tell_of_lifecycle(tx, now, actor, kept, (&before_kept, &after), "MERGE").await?;
    let mut moved = belongings::move_over(tx, now, kept, gone).await?;
    moved.noes = told;
    let id = sqlx::query_scalar!(
        "insert into contact_merges (kept_id, gone_id, before_kept, before_gone, after_kept, moved, merged_at, merged_by,
             consent_before, consent_after)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id",
        kept.0,
        gone.0,
        json!(before_kept),
        json!(before_gone),
        json!(after),
        json!(moved),
        now,
        actor.staff_id().map(|it| it.0),
        consent_before,
        consents::last(tx, kept, gone).await?
    )
    .fetch_one(&mut **tx)
    .await?;
    carry::leave_out(tx, id, kept, &facts::dropped([&before_kept, &before_gone], &after)).await?;
    metrics::sum_up(tx, now, &[kept.0, gone.0]).await?;
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

/// Take a joining back: each is who they were, with what was theirs. What somebody changed since in the kept one stays,
/// and what the person refused since is refused by both.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] when there is none to undo; [`Error::Refused`] when an address was given to
/// somebody else meanwhile, or one of the two would have none; or the database's.
pub async fn undo(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
) -> Result<(ContactId, ContactId)> {
    actor.require(Permission::EditContacts)?;
    let it = sqlx::query!(
        "update contact_merges set undone_at = $2, undone_by = $3 where id = $1 and undone_at is null
         returning kept_id, gone_id, before_kept, before_gone, after_kept, moved, merged_at, consent_before, consent_after",
        id,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let (kept, gone) = (ContactId(it.kept_id), ContactId(it.gone_id));
    lock_rows(tx, kept, gone).await?;
    if standing::survivor(tx, kept).await? != kept {
        return Err(Error::refused(
            "No se deshizo: la ficha que quedó está unida a otra. Nada cambió; deshaz primero esa unión, que es más nueva.",
        ));
    }
    let before_kept = facts::read(id, it.before_kept)?;
    let mut of_gone = facts::read(id, it.before_gone)?;
    let after_kept = facts::read(id, it.after_kept)?;
    let moved: Moved =
        serde_json::from_value(it.moved).map_err(|_| Error::Internal(format!("merge {id} can't be read")))?;
    let (current, emptied) = (facts::of(tx, kept).await?, facts::of(tx, gone).await?);
    let mut restored = facts::restored(&current, &after_kept, &before_kept)
        .map_err(|_| Error::Internal(format!("merge {id} can't be read")))?;
    if restored.email().is_none() && restored.phone().is_none() {
        return Err(Error::refused(
            "No se deshizo: la ficha que queda estaría sin correo ni teléfono, porque el suyo se quitó después de unirlas. Nada cambió; agrégale uno y prueba otra vez.",
        ));
    }
    let joining = Joining { kept, gone, words: (it.consent_before, it.consent_after), noes: &moved.noes };
    let hand = Hand { now, actor, why: PARTED };
    consents::part(tx, hand, &joining, &current, (&mut restored, &mut of_gone)).await?;
    facts::settle(tx, &mut restored).await?;
    facts::settle(tx, &mut of_gone).await?;
    facts::put(tx, now, kept, &restored).await?;
    tell_of_lifecycle(tx, now, actor, kept, (&current, &restored), "UNDONE").await?;
    if let Some(email) = of_gone.email() {
        refuse_another_owner(tx, gone, email).await?;
    }
    sqlx::query!("update contacts set merged_into = null, email = $2, phone = $3 where id = $1", gone.0, of_gone.email(), of_gone.phone())
        .execute(&mut **tx)
        .await
        .on_constraint("contacts_email_once", || {
            Error::refused("No se deshizo: el correo de la otra ficha ya es de otro contacto. Nada cambió; corrige ese correo y prueba otra vez.")
        })?;
    facts::put(tx, now, gone, &of_gone).await?;
    tell_of_lifecycle(tx, now, actor, gone, (&emptied, &of_gone), "UNDONE").await?;
    let parted = belongings::move_back(tx, (kept, gone), it.merged_at, &moved).await?;
    carry::leave_out(tx, id, kept, &[]).await?;
    let taken_back = carry::TakenBack {
        id,
        gone,
        at: it.merged_at,
        last_word: it.consent_after,
        facts: (&before_kept, &after_kept),
        moved: &moved,
    };
    carry::forward(tx, kept, taken_back, parted).await?;
    metrics::sum_up(tx, now, &[kept.0, gone.0]).await?;
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

/// The address that `gone` gets back may be somebody else's by now: who it is, is said.
async fn refuse_another_owner(tx: &mut Tx<'_>, gone: ContactId, email: &str) -> Result<()> {
    let owner = sqlx::query!(
        "select id, first_name, last_name from contacts where email = $1 and id <> $2",
        email,
        gone.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(owner) = owner else { return Ok(()) };
    let name = full_name(&owner.first_name, &owner.last_name, Some(email), None);
    Err(Error::refused(format!(
        "No se deshizo: el correo {email}, de la otra ficha, ya es de {name} (contacto {}). Nada cambió; corrige ese \
         correo y prueba otra vez.",
        owner.id
    )))
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

/// How far somebody has come is told where it is told of everybody.
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
