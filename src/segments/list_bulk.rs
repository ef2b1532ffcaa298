//! Contacts put on a list, and taken off it, a page of them at a time, for a job
//! that keeps account of whom it touched and audits by itself.

use crate::{
    access::{Actor, Permission},
    db::Tx,
    error::Result,
    ids::ListId,
};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Put `contacts` on the list; gives who was not on it.
///
/// # Errors
/// [`crate::error::Error::Forbidden`], [`crate::error::Error::NotFound`] when the list is gone, or the database's.
pub async fn attach(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    list: ListId,
    contacts: &[i64],
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    super::list::open(&mut **tx, list).await?;
    let added = sqlx::query_scalar!(
        r#"insert into list_members (list_id, contact_id, added_at)
           select $1, id, $3 from contacts where id = any ($2) order by id
           on conflict do nothing returning contact_id as "contact_id!""#,
        list.0,
        contacts,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    touch(tx, now, list).await?;
    Ok(added)
}

/// Take `contacts` off the list, and whoever is on it for having been joined with one of them; gives who was on it.
///
/// # Errors
/// [`crate::error::Error::Forbidden`], or the database's.
pub async fn detach(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    list: ListId,
    contacts: &[i64],
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    let gone = sqlx::query_scalar!(
        r#"with gone as (
               delete from list_members where list_id = $1 and (contact_id = any ($2) or came_with = any ($2))
               returning contact_id, came_with
           )
           select id as "contact_id!" from unnest($2::bigint[]) asked (id)
           where exists (select from gone where id in (contact_id, came_with)) order by id"#,
        list.0,
        contacts
    )
    .fetch_all(&mut **tx)
    .await?;
    touch(tx, now, list).await?;
    Ok(gone)
}

/// Take `contacts` off the list; gives who was on it, with the place that was theirs, for [`put_back`].
///
/// # Errors
/// [`crate::error::Error::Forbidden`], [`crate::error::Error::NotFound`] when the list is gone, or the database's.
pub async fn take_off(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    list: ListId,
    contacts: &[i64],
) -> Result<Vec<(i64, Value)>> {
    actor.require(Permission::EditContacts)?;
    super::list::open(&mut **tx, list).await?;
    let gone = sqlx::query!(
        r#"delete from list_members where list_id = $1 and contact_id = any ($2)
           returning contact_id as "contact_id!",
               jsonb_build_object('added_at', added_at, 'came_as', came_as, 'came_with', came_with) as "place!""#,
        list.0,
        contacts
    )
    .fetch_all(&mut **tx)
    .await?;
    touch(tx, now, list).await?;
    Ok(gone.into_iter().map(|it| (it.contact_id, it.place)).collect())
}

/// Give `contacts` the places back that [`take_off`] told. A place that was of somebody joined is theirs alone if they
/// parted since; who was joined into another since has it for both. Gives whose place is there again: not of who is on the
/// list by now.
///
/// # Errors
/// [`crate::error::Error::Forbidden`], [`crate::error::Error::NotFound`] when the list is gone, or the database's.
pub async fn put_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    list: ListId,
    (contacts, places): (&[i64], &[Value]),
) -> Result<Vec<i64>> {
    actor.require(Permission::EditContacts)?;
    super::list::open(&mut **tx, list).await?;
    let back = sqlx::query_scalar!(
        r#"with asked as (
               select u.id, c.merged_into, p.added_at, p.came_as, p.came_with, g.id as stood_for,
                   g.merged_into is not distinct from u.id as is_joined
               from unnest($2::bigint[], $3::jsonb[]) u (id, place) join contacts c on c.id = u.id
               cross join lateral jsonb_to_record(u.place) p (added_at timestamptz, came_as text, came_with bigint)
               left join contacts g on g.id = p.came_with
           ), places as (
               select id as asked, id as contact_id, added_at, came_as, null::bigint as came_with
               from asked where came_with is null
               union all
               select id, merged_into, added_at, null, id from asked where came_with is null and merged_into is not null
               union all
               select id, id, added_at, came_as, came_with from asked where is_joined
               union all
               select id, stood_for, added_at, came_as, null from asked where stood_for is not null and not is_joined
           ), added as (
               insert into list_members (list_id, contact_id, added_at, came_as, came_with)
               select $1, contact_id, added_at, came_as, came_with from places order by contact_id
               on conflict do nothing returning contact_id
           )
           select distinct asked as "id!" from places where contact_id in (select contact_id from added) order by 1"#,
        list.0,
        contacts,
        places
    )
    .fetch_all(&mut **tx)
    .await?;
    touch(tx, now, list).await?;
    Ok(back)
}

/// Note that the list changed.
async fn touch(tx: &mut Tx<'_>, now: DateTime<Utc>, list: ListId) -> Result<()> {
    sqlx::query!("update lists set updated_at = $2 where id = $1", list.0, now).execute(&mut **tx).await?;
    Ok(())
}
