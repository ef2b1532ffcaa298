//! Who somebody is today: whom they were joined into, and who was joined into
//! them. Every change to a contact passes here first: nothing is written to a row
//! that is nobody any more.

use crate::{
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
};
use sqlx::PgConnection;

/// Hold `contact` for a change: nobody joins them until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Joined`] when they are part of another by now; or the database's.
pub(in crate::contacts) async fn hold(tx: &mut Tx<'_>, contact: ContactId) -> Result<()> {
    match lock(tx, contact).await? {
        None => Ok(()),
        Some(survivor) => Err(Error::Joined(survivor)),
    }
}

/// Hold whoever `contact` is today: for what people say by links that they were sent as the other.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn hold_survivor(tx: &mut Tx<'_>, contact: ContactId) -> Result<ContactId> {
    let mut who = contact;
    while let Some(survivor) = lock(tx, who).await? {
        who = survivor;
    }
    Ok(who)
}

async fn lock(tx: &mut Tx<'_>, contact: ContactId) -> Result<Option<ContactId>> {
    let merged_into =
        sqlx::query_scalar!("select merged_into from contacts where id = $1 for no key update", contact.0)
            .fetch_optional(&mut **tx)
            .await?
            .ok_or(Error::NotFound)?;
    Ok(merged_into.map(ContactId))
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
