//! The addresses on a list that are no contact's, and how they become contacts. The
//! place on the list is theirs from then on: the database sees to that, whoever
//! brings them into the address book.

use super::{
    list::{self, ENOUGH},
    list_bulk,
};
use crate::{
    access::{Actor, Permission},
    chile::text::tidy,
    contacts::{by_address, contact},
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, ListId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// Most contacts that are made at once, so that nobody waits for long.
pub const MOST: i64 = 5_000;

/// How many addresses on a list are no contact's; each kind is counted up to one more than [`ENOUGH`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Externals {
    /// Email addresses.
    pub emails: i64,
    /// Telephones.
    pub phones: i64,
}

impl Externals {
    /// How many they are together; beyond [`ENOUGH`], more than that.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.emails.saturating_add(self.phones)
    }
}

/// How many addresses on the list are no contact's.
///
/// # Errors
/// When the database fails.
pub async fn count(db: impl PgExecutor<'_>, id: ListId) -> Result<Externals> {
    Ok(sqlx::query_as!(
        Externals,
        r#"select (select count(*) from (
                       select from list_members where list_id = $1 and email is not null order by email limit $2) n) as "emails!",
                  (select count(*) from (
                       select from list_members where list_id = $1 and phone is not null order by phone limit $2) n) as "phones!""#,
        id.0,
        ENOUGH + 1
    )
    .fetch_one(db)
    .await?)
}

/// Make contacts of the email addresses on a list that are nobody's; gives how many there are now that
/// were not. They have agreed to nothing. A telephone by itself tells nobody apart: see [`make_one`].
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn make_contacts(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: ListId) -> Result<u64> {
    actor.require(Permission::EditContacts)?;
    list::open(&mut **tx, id).await?;
    // Whoever had the address before they were joined with another is that other.
    let standing = sqlx::query_scalar!(
        r#"delete from list_members m where m.list_id = $1 and m.email in (select address from former_owners)
           returning (select o.contact_id from former_owners o
                      where o.address = m.email order by o.merge_id desc limit 1) as "contact_id!""#,
        id.0
    )
    .fetch_all(&mut **tx)
    .await?;
    list_bulk::attach(tx, now, actor, id, &standing).await?;
    let emails = sqlx::query_scalar!(
        r#"select email as "email!" from list_members where list_id = $1 and email is not null order by id limit $2"#,
        id.0,
        MOST
    )
    .fetch_all(&mut **tx)
    .await?;
    let made = by_address::create(tx, now, actor, &emails).await?;
    let made = u64::try_from(made.len()).unwrap_or(u64::MAX);
    list::record(tx, now, actor, "list.make_contacts", id, None, Some(json!({ "contacts": made }))).await?;
    Ok(made)
}

/// Make a contact of one address on a list, with a name; an email address may go without.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`] at `first_name` or `email`, or the database's.
pub async fn make_one(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    member: i64,
    name: &str,
) -> Result<ContactId> {
    actor.require(Permission::EditContacts)?;
    list::open(&mut **tx, id).await?;
    let it = sqlx::query!(
        "select email, phone from list_members where id = $1 and list_id = $2 and contact_id is null",
        member,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let name = tidy(name);
    let (first, last) = name.split_once(' ').unwrap_or((&name, ""));
    let draft = contact::Draft {
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        email: it.email.unwrap_or_default(),
        phone: it.phone.unwrap_or_default(),
        ..contact::Draft::default()
    };
    contact::create(tx, now, actor, &draft.check(now)?).await
}
