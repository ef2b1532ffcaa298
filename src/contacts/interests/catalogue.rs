//! The interests themselves: named, put under categories, joined where two mean the same, and removed.

use super::{Interest, LONGEST};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::text::{fold, tidy},
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::InterestId,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgExecutor;

/// People of an interest are counted up to this: beyond it "more than" says as much.
pub const ENOUGH: i64 = 10_000;

/// An interest, with how many have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The interest.
    pub interest: Interest,
    /// Contacts that have it, counted up to one more than [`ENOUGH`].
    pub people: i64,
}

/// Every interest by category and name, those without a category first, with how many have it.
///
/// # Errors
/// When the database fails.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select i.id as "id: InterestId", i.name, i.category,
                  (select count(*) from (select from contact_interests c where c.interest_id = i.id limit $1) n) as "people!"
           from interests i order by i.category, i.key limit 1000"#,
        ENOUGH + 1
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Entry {
            interest: Interest { id: it.id, name: it.name, category: it.category },
            people: it.people,
        })
        .collect())
}

/// One interest, held until the transaction ends.
async fn held(tx: &mut Tx<'_>, id: InterestId) -> Result<Interest> {
    sqlx::query_as!(
        Interest,
        r#"select id as "id: InterestId", name, category from interests where id = $1 for update"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)
}

/// Give the interest `id` another name and category. `seen` is what it was called where the change was typed.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] at `name`; [`Error::Refused`] where somebody else
/// changed it meanwhile; or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: InterestId,
    seen: (&str, &str),
    name: &str,
    category: &str,
) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    let (name, category, key) = (tidy(name), tidy(category), fold(name));
    if key.is_empty() {
        return Err(Error::invalid("name", "Escribe el nombre del interés."));
    }
    if name.chars().count() > LONGEST || category.chars().count() > LONGEST {
        return Err(Error::invalid("name", format!("Usa a lo más {LONGEST} caracteres.")));
    }
    let was = held(tx, id).await?;
    if (was.name.as_str(), was.category.as_str()) != seen {
        return Err(Error::refused(format!(
            "No se guardó: alguien cambió este interés mientras lo editabas. Ahora se llama «{}».",
            was.name
        )));
    }
    if was.name == name && was.category == category {
        return Ok(());
    }
    sqlx::query!(
        "update interests set name = $2, category = $3, key = $4, import_id = null where id = $1",
        id.0,
        name,
        category,
        key
    )
    .execute(&mut **tx)
    .await
    .on_constraint("interests_once", || {
        Error::invalid("name", "Ya hay un interés con ese nombre. Si son el mismo, júntalos más abajo.")
    })?;
    let facts = |name: &str, category: &str| json!({ "name": name, "category": category });
    let (before, after) = (facts(&was.name, &was.category), facts(&name, &category));
    record(tx, now, actor, "interest.update", id, Some(before), Some(after)).await
}

/// Who has `from` has `into` instead, and `from` is gone; gives how many did not have `into` before.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Refused`] for an interest and itself, or while a segment asks
/// about `from`; or the database's.
pub async fn join(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    from: InterestId,
    into: InterestId,
) -> Result<u64> {
    actor.require(Permission::EditContacts)?;
    if from == into {
        return Err(Error::refused("Elige dos intereses distintos. No se cambió nada."));
    }
    // Always in the same order, so that two who join the same pair at once wait rather than lock each other out.
    let (first, second) = (held(tx, from.min(into)).await?, held(tx, from.max(into)).await?);
    let (gone, kept) = if from < into { (first, second) } else { (second, first) };
    unless_asked_about(tx, &gone).await?;
    let moved = sqlx::query!(
        "insert into contact_interests (contact_id, interest_id, at, import_id)
         select contact_id, $2, at, import_id from contact_interests where interest_id = $1 order by contact_id
         on conflict do nothing",
        from.0,
        into.0
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    // What somebody gave by hand does not go with the import that had brought the other.
    sqlx::query!(
        "update contact_interests kept set import_id = null from contact_interests given
         where kept.interest_id = $2 and kept.import_id is not null
            and given.contact_id = kept.contact_id and given.interest_id = $1 and given.import_id is null",
        from.0,
        into.0
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("delete from interests where id = $1", from.0).execute(&mut **tx).await?;
    let (before, after) = (json!({ "name": gone.name }), json!({ "name": kept.name, "people": moved }));
    record(tx, now, actor, "interest.join", from, Some(before), Some(after)).await?;
    Ok(moved)
}

/// Remove an interest that nobody has; gives its name.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Refused`] while somebody has it or a segment asks about it; or
/// the database's.
pub async fn remove(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: InterestId) -> Result<String> {
    actor.require(Permission::EditContacts)?;
    let it = held(tx, id).await?;
    unless_asked_about(tx, &it).await?;
    let had = sqlx::query_scalar!(
        r#"select exists (select from contact_interests where interest_id = $1) as "had!""#,
        id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    if had {
        return Err(Error::refused(format!(
            "«{}» no se quitó: hay contactos que lo tienen. Quítaselo antes con un cambio masivo o júntalo con otro.",
            it.name
        )));
    }
    sqlx::query!("delete from interests where id = $1", id.0).execute(&mut **tx).await?;
    let before = json!({ "name": it.name, "category": it.category });
    record(tx, now, actor, "interest.delete", id, Some(before), None).await?;
    Ok(it.name)
}

/// A segment that asks about an interest would silently describe others without it.
async fn unless_asked_about(tx: &mut Tx<'_>, it: &Interest) -> Result<()> {
    let segment = sqlx::query_scalar!(
        r#"select name from segments
           where deleted_at is null and rule::text like '%"INTEREST"%'
             and jsonb_path_exists(rule, '$.**{1 to last} ? (@.field == "INTEREST" && @.values[*] == $id)',
                                   jsonb_build_object('id', $1::bigint::text))
           order by id limit 1"#,
        it.id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    match segment {
        None => Ok(()),
        Some(segment) => Err(Error::refused(format!(
            "«{}» quedó como estaba: lo usa el segmento «{segment}». Cámbialo ahí primero.",
            it.name
        ))),
    }
}

/// Remove an interest unless somebody has it or a segment asks about it; gives whether it is gone.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn remove_unused(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: InterestId,
) -> Result<bool> {
    match remove(tx, now, actor, id).await {
        Ok(_) => Ok(true),
        Err(Error::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: InterestId,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "interest", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}
