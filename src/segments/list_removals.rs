//! Taking somebody off a list, and putting them back.

use super::{
    list::{open, touched},
    list_bulk,
};
use crate::{
    access::{Actor, Permission},
    db::Tx,
    error::{Error, Result},
    ids::ListId,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// Take one off a list; gives by which number they can be put back.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn remove(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    member: i64,
) -> Result<i64> {
    actor.require(Permission::EditContacts)?;
    // A month is long enough to regret it.
    sqlx::query!("delete from list_removals where removed_at < $1", now - TimeDelta::days(30))
        .execute(&mut **tx)
        .await?;
    let gone = sqlx::query!(
        "with gone as (
             delete from list_members where id = $1 and list_id = $2
             returning contact_id, email, phone, added_at, came_as, came_with
         )
         insert into list_removals (list_id, contact_id, email, phone, added_at, came_as, came_with, removed_at)
         select $2, contact_id, email, phone, added_at, came_as, came_with, $3 from gone returning id, contact_id",
        member,
        id.0,
        now
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    touched(tx, now, actor, "list.remove", id, json!({ "contact_id": gone.contact_id })).await?;
    Ok(gone.id)
}

/// Put back whom [`remove`] took off a list: a contact by the rules of [`list_bulk::put_back`]. An address that is
/// somebody's by now brings them; who is on it again stays once.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] when it was put back already, or the database's.
pub async fn put_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    removal: i64,
) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    open(&mut **tx, id).await?;
    let it = sqlx::query!(
        "delete from list_removals where id = $1 and list_id = $2
         returning contact_id, email, phone, added_at, came_as, came_with",
        removal,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let contact = if let Some(contact) = it.contact_id {
        let place = json!({ "added_at": it.added_at, "came_as": it.came_as, "came_with": it.came_with });
        list_bulk::put_back(tx, now, actor, id, (&[contact], &[place])).await?;
        Some(contact)
    } else {
        sqlx::query_scalar!(
            r#"with who as (
                 select (select id from contacts where email = $2) as contact_id
             ), added as (
                 insert into list_members (list_id, contact_id, email, phone, added_at, came_as)
                 select $1, contact_id, case when contact_id is null then $2 end,
                     case when contact_id is null then $3 end, $4::timestamptz,
                     case when contact_id is not null then coalesce($2, $3) end
                 from who
                 on conflict do nothing
             )
             select contact_id from who"#,
            id.0,
            it.email,
            it.phone,
            it.added_at
        )
        .fetch_one(&mut **tx)
        .await?
    };
    touched(tx, now, actor, "list.put_back", id, json!({ "contact_id": contact })).await
}

/// Whoever bears one of `addresses` is deleted for good: no way back leads onto a list.
///
/// # Errors
/// When the database fails.
pub async fn forget(tx: &mut Tx<'_>, addresses: &[String]) -> Result<()> {
    sqlx::query!(
        "delete from list_removals where email = any($1) or phone = any($1) or came_as = any($1)",
        addresses
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
