//! Saved views of the list of contacts: filters, order and columns under a name,
//! for oneself or for the whole team.

use super::{
    columns::{Choice as _, Column},
    contact_list::{Filter, Sort},
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::text::tidy,
    db::Tx,
    error::{Error, OnConstraint as _, Result},
    ids::StaffId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// Most letters of a name.
const LONGEST: usize = 40;
/// Most views that one person keeps: beyond, tabs help nobody.
const MOST: i64 = 30;

/// What a view shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows {
    /// Who.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Which columns.
    pub columns: Vec<Column>,
}

/// A saved view.
#[derive(Clone, Debug)]
pub struct View {
    /// Row.
    pub id: i64,
    /// As on its tab.
    pub name: String,
    /// Whose it is.
    pub owner_id: StaffId,
    /// The whole team sees it.
    pub is_shared: bool,
    /// What it shows.
    pub shows: Shows,
}

impl View {
    /// Whether `actor` may change it: their own, or a shared one where they run the team. What the
    /// team sees is changed by nobody who only looks.
    #[must_use]
    pub fn may_change(&self, actor: &Actor) -> bool {
        let is_own = actor.staff_id() == Some(self.owner_id);
        (is_own && (!self.is_shared || actor.may(Permission::EditContacts)))
            || (self.is_shared && actor.may(Permission::ManageStaff))
    }
}

struct Stored {
    id: i64,
    name: String,
    owner_id: i64,
    is_shared: bool,
    filter: serde_json::Value,
    sort: String,
    columns: Vec<String>,
}

impl From<Stored> for View {
    fn from(it: Stored) -> View {
        View {
            id: it.id,
            name: it.name,
            owner_id: StaffId(it.owner_id),
            is_shared: it.is_shared,
            shows: Shows {
                // A filter that a later version wrote is shown as far as this one knows it; one that can't be read lets
                // nobody through: whoever exports or changes what a view shows must not meet everybody.
                filter: serde_json::from_value(it.filter).unwrap_or_else(|_| Filter::nobody()),
                sort: match it.sort.as_str() {
                    "NAME" => Sort::Name,
                    "ACTIVITY" => Sort::Activity,
                    _ => Sort::Newest,
                },
                columns: Column::chosen(it.columns.iter().map(String::as_str))
                    .unwrap_or_else(|| Column::USUAL.to_vec()),
            },
        }
    }
}

fn sort_code(sort: Sort) -> &'static str {
    match sort {
        Sort::Name => "NAME",
        Sort::Activity => "ACTIVITY",
        Sort::Newest | Sort::Given => "NEWEST",
    }
}

fn codes(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|it| it.code().to_owned()).collect()
}

/// The views that `actor` sees: their own and the team's, by name.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, actor: &Actor) -> Result<Vec<View>> {
    let rows = sqlx::query_as!(
        Stored,
        "select id, name, owner_id, is_shared, filter, sort, columns from saved_views
         where owner_id = $1 or is_shared order by lower(name), id limit 100",
        actor.staff_id().map(|it| it.0)
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(View::from).collect())
}

/// The view `id`, if `actor` sees it.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, actor: &Actor, id: i64) -> Result<View> {
    let row = sqlx::query_as!(
        Stored,
        "select id, name, owner_id, is_shared, filter, sort, columns from saved_views
         where id = $1 and (owner_id = $2 or is_shared)",
        id,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_optional(db)
    .await?;
    row.map(View::from).ok_or(Error::NotFound)
}

fn name_of(typed: &str) -> Result<String> {
    let name = tidy(typed);
    if name.is_empty() {
        return Err(Error::refused("Escribe un nombre para la vista. No se guardó nada."));
    }
    if name.chars().count() > LONGEST {
        return Err(Error::refused(format!(
            "El nombre de una vista tiene hasta {LONGEST} letras. No se guardó nada."
        )));
    }
    Ok(name)
}

/// A view of one's own changes nothing of the business; one for the team is work like any other.
fn may_share(actor: &Actor, is_shared: bool) -> Result<()> {
    if is_shared { actor.require(Permission::EditContacts) } else { Ok(()) }
}

fn taken() -> Error {
    Error::refused("Ya tienes una vista con ese nombre. No se guardó nada: elige otro.")
}

/// Keep what the list shows under a name.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when the name is missing or taken; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    is_shared: bool,
    shows: &Shows,
) -> Result<i64> {
    actor.require(Permission::View)?;
    may_share(actor, is_shared)?;
    let name = name_of(name)?;
    let Some(owner) = actor.staff_id() else { return Err(Error::Forbidden) };
    let kept = sqlx::query_scalar!("select count(*) as \"n!\" from saved_views where owner_id = $1", owner.0)
        .fetch_one(&mut **tx)
        .await?;
    if kept >= MOST {
        return Err(Error::refused(format!(
            "Ya tienes {MOST} vistas. No se guardó nada: borra alguna antes."
        )));
    }
    let id = sqlx::query_scalar!(
        "insert into saved_views (name, owner_id, is_shared, filter, sort, columns, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7) returning id",
        name,
        owner.0,
        is_shared,
        json!(shows.filter),
        sort_code(shows.sort),
        &codes(&shows.columns),
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("saved_views_name_once", taken)?;
    let after = json!({ "name": name, "is_shared": is_shared, "filter": shows.filter.facts() });
    record(tx, now, actor, "view.create", id, (None, Some(after))).await?;
    Ok(id)
}

/// Give a view another name, share it or keep it to oneself, and, with `shows`, let it show something else.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`]; [`Error::Refused`] as for [`create`]; or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
    (name, is_shared): (&str, bool),
    shows: Option<&Shows>,
) -> Result<()> {
    let view = get(&mut **tx, actor, id).await?;
    if !view.may_change(actor) {
        return Err(Error::Forbidden);
    }
    may_share(actor, is_shared)?;
    let name = name_of(name)?;
    let kept = shows.unwrap_or(&view.shows);
    sqlx::query!(
        "update saved_views set name = $2, is_shared = $3, filter = $4, sort = $5, columns = $6, updated_at = $7
         where id = $1",
        id,
        name,
        is_shared,
        json!(kept.filter),
        sort_code(kept.sort),
        &codes(&kept.columns),
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("saved_views_name_once", taken)?;
    let facts = |name: &str, is_shared: bool, shows: &Shows| json!({ "name": name, "is_shared": is_shared, "filter": shows.filter.facts(), "columns": codes(&shows.columns) });
    let before = facts(&view.name, view.is_shared, &view.shows);
    let after = facts(&name, is_shared, kept);
    record(tx, now, actor, "view.update", id, (Some(before), Some(after))).await
}

/// Forget a view; nobody in it is touched. Returns its name.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], or the database's.
pub async fn delete(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: i64) -> Result<String> {
    let view = get(&mut **tx, actor, id).await?;
    if !view.may_change(actor) {
        return Err(Error::Forbidden);
    }
    sqlx::query!("delete from saved_views where id = $1", id).execute(&mut **tx).await?;
    let before =
        json!({ "name": view.name, "is_shared": view.is_shared, "filter": view.shows.filter.facts() });
    record(tx, now, actor, "view.delete", id, (Some(before), None)).await?;
    Ok(view.name)
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: i64,
    (before, after): (Option<serde_json::Value>, Option<serde_json::Value>),
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "view", subject_id: Some(id), before, after };
    audit::record(tx, now, actor, change).await
}
