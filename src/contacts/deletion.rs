//! Deleting a contact or a company for good. What others keep of a person is settled before by
//! those who keep it: see `messaging::departure`.

use super::{
    company::{self, Company, Named},
    contact::{self, Contact},
    merge,
};
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, Result},
    ids::{CompanyId, ContactId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// What goes with a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Other cards that were joined into theirs.
    pub joined: i64,
    /// Entries of their log.
    pub interactions: i64,
    /// Tasks about them, done or not.
    pub tasks: i64,
    /// Purchases, visits and enrolments.
    pub history: i64,
    /// Lists that they are on.
    pub lists: i64,
    /// Entries of their ledger of consent.
    pub consents: i64,
    /// Times that they said how often they want promotions, or from when on.
    pub rhythms: i64,
}

/// What goes with the person whose rows are `all`.
///
/// # Errors
/// When the database fails.
pub async fn belongings(db: &mut PgConnection, all: &[i64]) -> Result<Belongings> {
    Ok(sqlx::query_as!(
        Belongings,
        r#"select
            greatest(cardinality($1::bigint[]) - 1, 0)::bigint as "joined!",
            (select count(*) from interactions where contact_id = any($1)) as "interactions!",
            (select count(*) from tasks where contact_id = any($1)) as "tasks!",
            (select count(*) from history_entries where contact_id = any($1)) as "history!",
            (select count(distinct list_id) from list_members where contact_id = any($1)) as "lists!",
            (select count(*) from consent_events where contact_id = any($1)) as "consents!",
            -- Said once, it is written down for each of their rows.
            (select count(distinct (communication_type, at)) from contact_rhythms where contact_id = any($1)) as "rhythms!""#,
        all
    )
    .fetch_one(db)
    .await?)
}

/// Hold a person for being deleted: nobody writes to them, joins them or works with them until the
/// transaction ends. Gives them and all their rows.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Joined`], or the database's.
pub async fn hold(tx: &mut Tx<'_>, actor: &Actor, id: ContactId) -> Result<(Contact, Vec<i64>)> {
    actor.require(Permission::Delete)?;
    merge::hold(tx, id).await?;
    let all: Vec<i64> = merge::all_of(tx, id).await?.into_iter().map(|it| it.0).collect();
    sqlx::query!("select id from contacts where id = any($1) order by id for update", &all)
        .fetch_all(&mut **tx)
        .await?;
    Ok((contact::get(&mut **tx, id).await?, all))
}

/// Every address that leads to the person whose rows are `all`: theirs, and those that were left out when they were joined.
///
/// # Errors
/// When the database fails.
pub async fn addresses(db: &mut PgConnection, all: &[i64]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"select email as "address!" from contacts where id = any($1) and email is not null
         union select phone from contacts where id = any($1) and phone is not null
         union select address from former_addresses where contact_id = any($1)"#,
        all
    )
    .fetch_all(db)
    .await?)
}

/// Delete the person who is held, with all that is theirs. The proof of what they agreed to stays in the
/// audit; `left` is what others did about them before.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn remove(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: &Contact,
    all: &[i64],
    left: serde_json::Value,
) -> Result<()> {
    actor.require(Permission::Delete)?;
    let consents: Vec<_> = sqlx::query!(
        "select communication_type, basis, source, obtained_on, at from consent_events where contact_id = any($1) order by id",
        all
    )
    .fetch_all(&mut **tx)
    .await?
    .into_iter()
    .map(|it| {
        json!({
            "communication_type": it.communication_type, "basis": it.basis, "source": it.source,
            "obtained_on": it.obtained_on, "at": it.at,
        })
    })
    .collect();
    sqlx::query!("insert into departed_contacts (id, departed_at) select unnest($1::bigint[]), $2", all, now)
        .execute(&mut **tx)
        .await?;
    sqlx::query!("delete from contacts where id = any($1)", all).execute(&mut **tx).await?;
    let change = audit::Change {
        action: "contact.delete",
        subject_kind: "contact",
        subject_id: Some(contact.id.0),
        before: Some(json!({ "name": contact.full_name(), "consents": consents })),
        after: Some(left),
    };
    audit::record(tx, now, actor, change).await
}

/// How many people work at a company.
///
/// # Errors
/// When the database fails.
pub async fn employees(db: &mut PgConnection, company: CompanyId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from contacts where company_id = $1 and merged_into is null"#,
        company.0
    )
    .fetch_one(db)
    .await?)
}

/// A company that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// How many worked there.
    pub people: u64,
    /// The name of the company where they are now.
    pub heir: Option<String>,
}

/// Delete a company. Who works there stays: without a company, or at the one that `heir` names.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] at `company` when `heir` names none or this one; or the database's.
pub async fn remove_company(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CompanyId,
    heir: Option<&str>,
) -> Result<Closed> {
    actor.require(Permission::Delete)?;
    sqlx::query!("select id from companies where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    let gone = company::get(&mut **tx, id).await?;
    let heir = match heir {
        None => None,
        Some(words) => Some(heir_of(tx, &gone, words).await?),
    };
    let moved = sqlx::query!(
        "update contacts set company_id = $2, updated_at = $3 where company_id = $1",
        id.0,
        heir.as_ref().map(|it| it.id.0),
        now
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    sqlx::query!("delete from companies where id = $1", id.0).execute(&mut **tx).await?;
    let change = audit::Change {
        action: "company.delete",
        subject_kind: "company",
        subject_id: Some(id.0),
        before: Some(json!({ "name": gone.name, "rut": gone.rut })),
        after: Some(json!({ "contacts": moved, "company_id": heir.as_ref().map(|it| it.id.0) })),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(Closed { people: moved, heir: heir.map(|it| it.name) })
}

/// The company that `words` name, where the people of `gone` go. A slip of the pen makes none.
async fn heir_of(tx: &mut Tx<'_>, gone: &Company, words: &str) -> Result<Company> {
    let wrong = |sentence: &str| Err(Error::invalid("company", sentence));
    if words.trim().is_empty() {
        return wrong("Escribe a qué empresa pasan.");
    }
    match company::named(tx, words).await? {
        Named::One(heir) if heir == gone.id => wrong("Es la misma empresa que vas a eliminar: elige otra."),
        Named::One(heir) => company::get(&mut **tx, heir).await,
        Named::NoRut => wrong("No hay una empresa con ese RUT: elige una de la lista."),
        Named::NoName => wrong(
            "No hay una empresa con ese nombre: elige una de la lista, o créala antes de eliminar esta.",
        ),
    }
}
