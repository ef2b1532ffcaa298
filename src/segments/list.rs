//! A list: contacts, and bare addresses of people who are none, put together by
//! hand, by pasting, or from a segment as it stands.

use super::pasted::{Pasted, Unread};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::text::tidy,
    contacts::{company::Outcome, contact::full_name},
    db::{
        Tx,
        keyset::{Page, Place},
    },
    error::{Error, OnConstraint as _, Result},
    ids::{ContactId, ListId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

/// A list.
#[derive(Clone, Debug)]
pub struct List {
    /// Row.
    pub id: ListId,
    /// Name.
    pub name: String,
    /// What it is for.
    pub note: String,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether it was removed.
    pub is_deleted: bool,
    /// How many are on it, addresses of nobody included; counted up to one more than [`ENOUGH`].
    pub members: i64,
}

/// Who is on a list is counted up to this: beyond it "more than" says as much. The statements say so themselves, since of
/// a limit that is not told Postgres expects a tenth of all.
pub const ENOUGH: i64 = 10_000;

/// What a list is called, and whether it was removed.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn heading(db: impl PgExecutor<'_>, id: ListId) -> Result<(String, bool)> {
    let it = sqlx::query!(
        r#"select name, deleted_at is not null as "is_deleted!" from lists where id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok((it.name, it.is_deleted))
}

/// The list `id`, a removed one too.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: ListId) -> Result<List> {
    sqlx::query_as!(
        List,
        r#"select id as "id: ListId", name, note, updated_at, deleted_at is not null as "is_deleted!",
                  (select count(*) from (
                       select from list_members m where m.list_id = lists.id and not exists (
                           select from contacts c where c.id = m.contact_id and c.merged_into is not null)
                       order by m.id desc limit 10001) counted) as "members!"
           from lists where id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)
}

/// Every list that was not removed, by name.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<List>> {
    Ok(sqlx::query_as!(
        List,
        r#"select id as "id: ListId", name, note, updated_at, false as "is_deleted!",
                  (select count(*) from (
                       select from list_members m where m.list_id = lists.id and not exists (
                           select from contacts c where c.id = m.contact_id and c.merged_into is not null)
                       order by m.id desc limit 10001) counted) as "members!"
           from lists where deleted_at is null order by lower(name), id limit 1000"#
    )
    .fetch_all(db)
    .await?)
}

/// The lists that were not removed by name, uncounted: what forms offer.
///
/// # Errors
/// When the database fails.
pub async fn names(db: impl PgExecutor<'_>) -> Result<Vec<(ListId, String)>> {
    let rows = sqlx::query!(
        r#"select id as "id: ListId", name from lists where deleted_at is null order by lower(name), id limit 1000"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|it| (it.id, it.name)).collect())
}

/// The name of a list that may be added to.
///
/// # Errors
/// [`Error::NotFound`] for one that is gone or was removed, or the database's.
pub async fn open(db: impl PgExecutor<'_>, id: ListId) -> Result<String> {
    sqlx::query_scalar!("select name from lists where id = $1 and deleted_at is null", id.0)
        .fetch_optional(db)
        .await?
        .ok_or(Error::NotFound)
}

/// The list called `name`, if there is one that was not removed.
///
/// # Errors
/// When the database fails.
pub async fn named(db: impl PgExecutor<'_>, name: &str) -> Result<Option<ListId>> {
    Ok(sqlx::query_scalar!(
        r#"select id as "id: ListId" from lists where deleted_at is null and lower(name) = lower($1)"#,
        tidy(name)
    )
    .fetch_optional(db)
    .await?)
}

fn checked(name: &str, note: &str) -> Result<(String, String)> {
    let (name, note) = (tidy(name), tidy(note));
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Error::invalid("name", "Ponle un nombre de hasta 100 caracteres."));
    }
    if note.chars().count() > 500 {
        return Err(Error::invalid("note", "Usa a lo más 500 caracteres."));
    }
    Ok((name, note))
}

fn taken() -> Error {
    Error::invalid("name", "Ya hay una lista con ese nombre: elige otro.")
}

/// Make an empty list.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`], or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    note: &str,
) -> Result<ListId> {
    actor.require(Permission::EditContacts)?;
    let (name, note) = checked(name, note)?;
    let id = sqlx::query_scalar!(
        "insert into lists (name, note, created_at, created_by, updated_at) values ($1, $2, $3, $4, $3) returning id",
        name,
        note,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("lists_name_once", taken)?;
    record(tx, now, actor, "list.create", ListId(id), None, Some(json!({ "name": name, "note": note })))
        .await?;
    Ok(ListId(id))
}

/// Change a list's name and note, which were `seen` when they were read.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    seen: (&str, &str),
    (name, note): (&str, &str),
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    let (name, note) = checked(name, note)?;
    let before = sqlx::query!("select name, note from lists where id = $1 for no key update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    if before.name == name && before.note == note {
        return Ok(Outcome::Unchanged);
    }
    if before.name != tidy(seen.0) || before.note != tidy(seen.1) {
        return Ok(Outcome::Stale);
    }
    sqlx::query!(
        "update lists set name = $2, note = $3, updated_at = $4 where id = $1",
        id.0,
        name,
        note,
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("lists_name_once", taken)?;
    let was = json!({ "name": before.name, "note": before.note });
    record(tx, now, actor, "list.update", id, Some(was), Some(json!({ "name": name, "note": note }))).await?;
    Ok(Outcome::Saved)
}

/// Hide a list. Refused while a campaign or a segment asks for it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`], or the database's.
pub async fn delete(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: ListId) -> Result<()> {
    actor.require(Permission::Delete)?;
    let it = get(&mut **tx, id).await?;
    let user = sqlx::query_scalar!(
        r#"select 'la campaña «' || name || '»' as "user!" from campaigns
           where status in ('DRAFT', 'RUNNING', 'PAUSED') and audience -> 'list_ids' @> to_jsonb($1::bigint)
           union all
           select 'el segmento «' || name || '»' from segments
           where deleted_at is null and rule::text like '%"LIST"%'
             and jsonb_path_exists(rule, '$.**{1 to last} ? (@.field == "LIST" && @.values[*] == $id)',
                                   jsonb_build_object('id', $1::bigint::text))
           limit 1"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    if let Some(user) = user {
        return Err(Error::refused(format!(
            "«{}» no se eliminó: la usa {user}. Quítala de ahí primero.",
            it.name
        )));
    }
    sqlx::query!("update lists set deleted_at = $2 where id = $1", id.0, now).execute(&mut **tx).await?;
    record(tx, now, actor, "list.delete", id, Some(json!({ "name": it.name })), None).await
}

/// Take a removal back.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] if its name was taken meanwhile, or the database's.
pub async fn restore(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: ListId) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    let it = get(&mut **tx, id).await?;
    sqlx::query!("update lists set deleted_at = null where id = $1", id.0)
        .execute(&mut **tx)
        .await
        .on_constraint("lists_name_once", || {
            Error::refused("No volvió: otra lista ya lleva su nombre. Cámbiale el nombre a esa y repite.")
        })?;
    record(tx, now, actor, "list.restore", id, None, Some(json!({ "name": it.name }))).await
}

/// What came of adding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Contacts that are on it now and were not.
    pub contacts: u64,
    /// Addresses of people who are no contacts.
    pub externals: u64,
    /// Telephones of several contacts: nobody was added for them.
    pub shared: Vec<Shared>,
    /// What was on it already, or was there twice.
    pub already: u64,
    /// What could not be read, in its order.
    pub unread: Vec<Unread>,
    /// Addresses of people who are no contacts, with the names that stood beside them: a list has no place for these.
    pub names: Vec<(String, String)>,
}

/// A telephone that several contacts have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// E.164.
    pub phone: String,
    /// Who they are: rows and names, the oldest first.
    pub people: Vec<(ContactId, String)>,
}

/// Put pasted addresses on a list: those of contacts as contacts, the others as they are. A
/// telephone of several contacts adds nobody: only who pasted it knows whom they meant.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`] where nothing can be read, or the database's.
pub async fn add_pasted(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    text: &str,
) -> Result<Added> {
    actor.require(Permission::EditContacts)?;
    open(&mut **tx, id).await?;
    let mut pasted = Pasted::read(text);
    if pasted.read == 0 {
        return Err(Error::invalid(
            "addresses",
            "No encontramos correos ni teléfonos en lo que pegaste. Escribe uno por línea, como ana@correo.cl o 9 8765 4321.",
        ));
    }
    let emails: Vec<String> = pasted.emails.into_iter().collect();
    let phones: Vec<String> = pasted.phones.into_iter().collect();
    let shared = shared(tx, &phones).await?;
    let phones: Vec<String> =
        phones.into_iter().filter(|phone| shared.iter().all(|it| it.phone != *phone)).collect();
    // Whoever had an address before they were joined with another is that other.
    let added = sqlx::query!(
        r#"with found as (
               select e.email, null::text as phone, coalesce(c.id, (
                   select o.contact_id from former_owners o where o.address = e.email order by o.merge_id desc limit 1
               )) as contact_id
               from unnest($2::text[]) e (email) left join contacts c on c.email = e.email
               union all
               select null, p.phone, coalesce(c.id, (
                   select o.contact_id from former_owners o where o.address = p.phone order by o.merge_id desc limit 1
               ))
               from unnest($3::text[]) p (phone) left join contacts c on c.phone = p.phone and c.merged_into is null
           ), added as (
               insert into list_members (list_id, contact_id, email, phone, added_at)
               select distinct on (contact_id, case when contact_id is null then coalesce(email, phone) end)
                      $1::bigint, contact_id, case when contact_id is null then email end,
                      case when contact_id is null then phone end, $4::timestamptz
               from found
               on conflict do nothing returning contact_id, email
           )
           select count(*) filter (where contact_id is not null) as "contacts!",
                  count(*) filter (where contact_id is null) as "externals!",
                  coalesce(array_agg(email order by email) filter (where email is not null), '{}') as "bare!: Vec<String>"
           from added"#,
        id.0,
        &emails,
        &phones,
        now
    )
    .fetch_one(&mut **tx)
    .await?;
    let count = |it: i64| u64::try_from(it).unwrap_or_default();
    let (contacts, externals) = (count(added.contacts), count(added.externals));
    touched(tx, now, actor, "list.add", id, json!({ "contacts": contacts, "externals": externals })).await?;
    let told = contacts + externals + u64::try_from(shared.len()).unwrap_or(u64::MAX);
    Ok(Added {
        contacts,
        externals,
        already: pasted.read.saturating_sub(told),
        shared,
        unread: pasted.unread,
        names: added.bare.into_iter().filter_map(|it| pasted.names.remove_entry(&it)).collect(),
    })
}

/// Those of `phones` that several contacts have.
async fn shared(db: &mut PgConnection, phones: &[String]) -> Result<Vec<Shared>> {
    let rows = sqlx::query!(
        r#"select c.phone as "phone!", c.id, c.first_name, c.last_name, c.email
           from unnest($1::text[]) p (phone) join contacts c on c.phone = p.phone and c.merged_into is null
           where exists (select from contacts o where o.phone = p.phone and o.id <> c.id and o.merged_into is null)
           order by c.phone, c.id"#,
        phones
    )
    .fetch_all(db)
    .await?;
    let mut found: Vec<Shared> = Vec::new();
    for it in rows {
        let name = full_name(&it.first_name, &it.last_name, it.email.as_deref(), Some(&it.phone));
        let person = (ContactId(it.id), name);
        match found.last_mut().filter(|last| last.phone == it.phone) {
            Some(last) => last.people.push(person),
            None => found.push(Shared { phone: it.phone, people: vec![person] }),
        }
    }
    Ok(found)
}

/// Put chosen contacts on a list; gives how many were not on it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn add_chosen(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ListId,
    contacts: &[i64],
) -> Result<u64> {
    let added = super::list_bulk::attach(tx, now, actor, id, contacts).await?;
    let added = u64::try_from(added.len()).unwrap_or(u64::MAX);
    record(tx, now, actor, "list.add", id, None, Some(json!({ "contacts": added }))).await?;
    Ok(added)
}

/// One on a list.
#[derive(Clone, Debug)]
pub struct Member {
    /// Row of the membership.
    pub id: i64,
    /// The contact; none: a bare address.
    pub contact_id: Option<ContactId>,
    /// What to call them; empty: a bare address.
    pub name: String,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Name of their company.
    pub company: Option<String>,
    /// Since when they are on it.
    pub added_at: DateTime<Utc>,
}

/// A page of at most `size` who are on a list, the latest added first.
///
/// # Errors
/// When the database fails.
pub async fn page(db: &mut PgConnection, id: ListId, place: Place, size: usize) -> Result<Page<Member>> {
    let backward = place.is_backward();
    let rows = sqlx::query!(
        // The first part asks for what the index of the list holds, so that no other list is read through.
        r#"with place as (
               (select m.id from list_members m
                where not $2 and m.list_id = $1 and m.id < coalesce($3, 9223372036854775807)
                  and not exists (select from contacts c where c.id = m.contact_id and c.merged_into is not null)
                order by m.id desc limit $4)
               union all
               (select m.id from list_members m
                where $2 and m.list_id = $1 and m.id > $3
                  and not exists (select from contacts c where c.id = m.contact_id and c.merged_into is not null)
                order by m.id limit $4)
           ), page as (
               select m.* from place join list_members m on m.id = place.id
           )
           select p.id as "id!", p.contact_id, p.added_at as "added_at!", coalesce(c.email, p.email) as email,
                  coalesce(c.phone, p.phone) as phone, c.first_name as "first_name?", c.last_name as "last_name?",
                  k.name as "company?"
           from page p left join contacts c on c.id = p.contact_id left join companies k on k.id = c.company_id
           order by case when $2 then p.id else -p.id end"#,
        id.0,
        backward,
        place.edge().map(|it| it.id),
        i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
    )
    .fetch_all(db)
    .await?;
    let members = rows.into_iter().map(|it| Member {
        id: it.id,
        contact_id: it.contact_id.map(ContactId),
        name: match (it.contact_id, it.first_name, it.last_name) {
            (Some(_), Some(first), Some(last)) => {
                full_name(&first, &last, it.email.as_deref(), it.phone.as_deref())
            }
            _ => String::new(),
        },
        email: it.email,
        phone: it.phone,
        company: it.company,
        added_at: it.added_at,
    });
    Ok(Page::new(&place, size, members.collect()))
}

/// Note in the audit what was done to a list, and that it changed.
pub(super) async fn touched(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: ListId,
    what: serde_json::Value,
) -> Result<()> {
    sqlx::query!("update lists set updated_at = $2 where id = $1", id.0, now).execute(&mut **tx).await?;
    record(tx, now, actor, action, id, None, Some(what)).await
}

/// Note in the audit what was done to a list.
pub(super) async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: ListId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "list", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}
