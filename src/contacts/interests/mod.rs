//! What people care about: tags in categories, many to a contact.

pub mod catalogue;

use crate::{
    access::{Actor, Permission},
    audit,
    chile::text::{fold, tidy},
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, InterestId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Row.
    pub id: InterestId,
    /// As people read it.
    pub name: String,
    /// Heading under which it is offered; empty: none.
    pub category: String,
}

/// Most characters of a tag or a category.
pub const LONGEST: usize = 60;

/// Every tag, by category and name.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Interest>> {
    Ok(sqlx::query_as!(
        Interest,
        r#"select id as "id: InterestId", name, category from interests order by category, key limit 1000"#
    )
    .fetch_all(db)
    .await?)
}

/// Every category in use, by name.
///
/// # Errors
/// When the database fails.
pub async fn categories(db: impl PgExecutor<'_>) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "select distinct category from interests where category <> '' order by category limit 200"
    )
    .fetch_all(db)
    .await?)
}

/// The tags of `contact`, by name.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, contact: ContactId) -> Result<Vec<Interest>> {
    Ok(sqlx::query_as!(
        Interest,
        r#"select i.id as "id: InterestId", i.name, i.category
           from contact_interests c join interests i on i.id = c.interest_id
           where c.contact_id = $1 order by i.key"#,
        contact.0
    )
    .fetch_all(db)
    .await?)
}

/// The tag called `name`, whatever its case and accents; made under `category` where there is none.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] at `interest` or `category`; or the database's.
pub async fn named(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    category: &str,
) -> Result<Interest> {
    actor.require(Permission::EditContacts)?;
    let (name, category, key) = (tidy(name), tidy(category), fold(name));
    if key.is_empty() {
        return Err(Error::invalid("interest", "Escribe el interés, por ejemplo «Masajes»."));
    }
    for (field, text) in [("interest", &name), ("category", &category)] {
        if text.chars().count() > LONGEST {
            return Err(Error::invalid(field, format!("Usa a lo más {LONGEST} caracteres.")));
        }
    }
    let made = sqlx::query_scalar!(
        "insert into interests (name, category, key, created_at) values ($1, $2, $3, $4)
         on conflict on constraint interests_once do nothing returning id",
        name,
        category,
        key,
        now
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(id) = made {
        let change = audit::Change {
            action: "interest.create",
            subject_kind: "interest",
            subject_id: Some(id),
            after: Some(json!({ "name": name, "category": category })),
            ..audit::Change::default()
        };
        audit::record(tx, now, actor, change).await?;
    }
    sqlx::query_as!(
        Interest,
        r#"select id as "id: InterestId", name, category from interests where key = $1"#,
        key
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)
}

/// Give `contacts` the tag; gives who did not have it. The caller audits.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn attach(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
    interest: InterestId,
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    // Given by somebody, it does not go with the import that had brought it.
    sqlx::query!(
        "update contact_interests set import_id = null
         where contact_id = any($1) and interest_id = $2 and import_id is not null",
        contacts,
        interest.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(sqlx::query_scalar!(
        "insert into contact_interests (contact_id, interest_id, at)
         select id, $2, $3 from contacts where id = any($1) and merged_into is null order by id
         on conflict do nothing returning contact_id",
        contacts,
        interest.0,
        now
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Take the tag from `contacts`; gives who had it. The caller audits.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn detach(
    tx: &mut Tx<'_>,
    actor: &Actor,
    contacts: &[i64],
    interest: InterestId,
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    Ok(sqlx::query_scalar!(
        "delete from contact_interests where contact_id = any($1) and interest_id = $2 returning contact_id",
        contacts,
        interest.0
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Give one contact the tag called `name`, made under `category` where there is none; false: they had it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; as for [`named`]; or the database's.
pub async fn add(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    name: &str,
    category: &str,
) -> Result<bool> {
    super::merge::hold(tx, contact).await?;
    let interest = named(tx, now, actor, name, category).await?;
    let added = !attach(tx, now, actor, &[contact.0], interest.id).await?.is_empty();
    if added {
        let after = json!({ "interest": interest.name });
        let change = audit::Change { after: Some(after), ..of_contact("interest.add", contact) };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(added)
}

/// Take the tag `interest` from one contact; none: they did not have it.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn remove(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    interest: InterestId,
) -> Result<Option<String>> {
    super::merge::hold(tx, contact).await?;
    if detach(tx, actor, &[contact.0], interest).await?.is_empty() {
        return Ok(None);
    }
    let name = sqlx::query_scalar!("select name from interests where id = $1", interest.0)
        .fetch_one(&mut **tx)
        .await?;
    let change =
        audit::Change { before: Some(json!({ "interest": name })), ..of_contact("interest.remove", contact) };
    audit::record(tx, now, actor, change).await?;
    Ok(Some(name))
}

fn of_contact(action: &'static str, contact: ContactId) -> audit::Change<'static> {
    audit::Change { action, subject_kind: "contact", subject_id: Some(contact.0), ..audit::Change::default() }
}
