//! Saved views of the lists of contacts and of companies: filters, order and columns under a name,
//! for oneself or for the whole team.

use super::{
    columns::{Choice, Column, CompanyColumn},
    company_list, contact_list,
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
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sqlx::PgExecutor;
use std::fmt::Debug;

/// Most letters of a name.
const LONGEST: usize = 40;
/// Most views of one list that one person keeps: beyond, tabs help nobody.
const MOST: i64 = 30;

/// The filter of a list of which views are kept, and what goes with it.
pub trait Listed: Serialize + DeserializeOwned + Clone + Debug + PartialEq + Send + Sync {
    /// The list, as stored.
    const LIST: &'static str;
    /// Its orders.
    type Sort: Copy + Debug + PartialEq + Send + Sync;
    /// Its columns.
    type Column: Choice + Debug + Send + Sync;

    /// Lets nobody and nothing through.
    fn nobody() -> Self;

    /// As kept in the audit.
    fn facts(&self) -> Value;

    /// An order as stored.
    fn sort_code(sort: Self::Sort) -> &'static str;

    /// The order that `code` means.
    fn sort_of(code: &str) -> Self::Sort;
}

impl Listed for contact_list::Filter {
    const LIST: &'static str = "CONTACTS";
    type Sort = contact_list::Sort;
    type Column = Column;

    fn nobody() -> Self {
        contact_list::Filter::nobody()
    }

    fn facts(&self) -> Value {
        self.facts()
    }

    fn sort_code(sort: Self::Sort) -> &'static str {
        match sort {
            contact_list::Sort::Name => "NAME",
            contact_list::Sort::Activity => "ACTIVITY",
            contact_list::Sort::Spent => "SPENT",
            contact_list::Sort::Visits => "VISITS",
            contact_list::Sort::Newest | contact_list::Sort::Given => "NEWEST",
        }
    }

    fn sort_of(code: &str) -> Self::Sort {
        match code {
            "NAME" => contact_list::Sort::Name,
            "ACTIVITY" => contact_list::Sort::Activity,
            "SPENT" => contact_list::Sort::Spent,
            "VISITS" => contact_list::Sort::Visits,
            _ => contact_list::Sort::Newest,
        }
    }
}

impl Listed for company_list::Filter {
    const LIST: &'static str = "COMPANIES";
    type Sort = company_list::Sort;
    type Column = CompanyColumn;

    fn nobody() -> Self {
        company_list::Filter::none()
    }

    fn facts(&self) -> Value {
        self.facts()
    }

    fn sort_code(sort: Self::Sort) -> &'static str {
        match sort {
            company_list::Sort::Newest => "NEWEST",
            company_list::Sort::Name | company_list::Sort::Given => "NAME",
        }
    }

    fn sort_of(code: &str) -> Self::Sort {
        match code {
            "NEWEST" => company_list::Sort::Newest,
            _ => company_list::Sort::Name,
        }
    }
}

/// What a view shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows<F: Listed> {
    /// Whom or what.
    pub filter: F,
    /// In which order.
    pub sort: F::Sort,
    /// Which columns.
    pub columns: Vec<F::Column>,
}

/// A saved view.
#[derive(Clone, Debug)]
pub struct View<F: Listed> {
    /// Row.
    pub id: i64,
    /// As on its tab.
    pub name: String,
    /// Whose it is.
    pub owner_id: StaffId,
    /// The whole team sees it.
    pub is_shared: bool,
    /// What it shows.
    pub shows: Shows<F>,
}

impl<F: Listed> View<F> {
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
    filter: Value,
    sort: String,
    columns: Vec<String>,
}

impl<F: Listed> From<Stored> for View<F> {
    fn from(it: Stored) -> View<F> {
        View {
            id: it.id,
            name: it.name,
            owner_id: StaffId(it.owner_id),
            is_shared: it.is_shared,
            shows: Shows {
                // A filter that a later version wrote is shown as far as this one knows it; one that can't be read lets
                // nobody through: whoever exports or changes what a view shows must not meet everybody.
                filter: serde_json::from_value(it.filter).unwrap_or_else(|_| F::nobody()),
                sort: F::sort_of(&it.sort),
                columns: F::Column::chosen(it.columns.iter().map(String::as_str))
                    .unwrap_or_else(|| F::Column::USUAL.to_vec()),
            },
        }
    }
}

fn codes<C: Choice>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|it| it.code().to_owned()).collect()
}

/// The views of a list that `actor` sees: their own and the team's, by name.
///
/// # Errors
/// When the database fails.
pub async fn of<F: Listed>(db: impl PgExecutor<'_>, actor: &Actor) -> Result<Vec<View<F>>> {
    let rows = sqlx::query_as!(
        Stored,
        "select id, name, owner_id, is_shared, filter, sort, columns from saved_views
         where list = $2 and (owner_id = $1 or is_shared) order by lower(name), id limit 100",
        actor.staff_id().map(|it| it.0),
        F::LIST
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(View::from).collect())
}

/// The view `id` of a list, if `actor` sees it.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get<F: Listed>(db: impl PgExecutor<'_>, actor: &Actor, id: i64) -> Result<View<F>> {
    let row = sqlx::query_as!(
        Stored,
        "select id, name, owner_id, is_shared, filter, sort, columns from saved_views
         where id = $1 and list = $3 and (owner_id = $2 or is_shared)",
        id,
        actor.staff_id().map(|it| it.0),
        F::LIST
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
pub async fn create<F: Listed>(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    name: &str,
    is_shared: bool,
    shows: &Shows<F>,
) -> Result<i64> {
    actor.require(Permission::View)?;
    may_share(actor, is_shared)?;
    let name = name_of(name)?;
    let Some(owner) = actor.staff_id() else { return Err(Error::Forbidden) };
    let kept = sqlx::query_scalar!(
        r#"select count(*) as "n!" from saved_views where owner_id = $1 and list = $2"#,
        owner.0,
        F::LIST
    )
    .fetch_one(&mut **tx)
    .await?;
    if kept >= MOST {
        return Err(Error::refused(format!(
            "Ya tienes {MOST} vistas. No se guardó nada: borra alguna antes."
        )));
    }
    let id = sqlx::query_scalar!(
        "insert into saved_views (name, owner_id, is_shared, filter, sort, columns, created_at, updated_at, list)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $8) returning id",
        name,
        owner.0,
        is_shared,
        json!(shows.filter),
        F::sort_code(shows.sort),
        &codes(&shows.columns),
        now,
        F::LIST
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
pub async fn update<F: Listed>(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
    (name, is_shared): (&str, bool),
    shows: Option<&Shows<F>>,
) -> Result<()> {
    let view = get::<F>(&mut **tx, actor, id).await?;
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
        F::sort_code(kept.sort),
        &codes(&kept.columns),
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("saved_views_name_once", taken)?;
    let facts = |name: &str, is_shared: bool, shows: &Shows<F>| json!({ "name": name, "is_shared": is_shared, "filter": shows.filter.facts(), "columns": codes(&shows.columns) });
    let before = facts(&view.name, view.is_shared, &view.shows);
    let after = facts(&name, is_shared, kept);
    record(tx, now, actor, "view.update", id, (Some(before), Some(after))).await
}

/// Forget a view; nothing in it is touched. Returns its name.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`], or the database's.
pub async fn delete<F: Listed>(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: i64,
) -> Result<String> {
    let view = get::<F>(&mut **tx, actor, id).await?;
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
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "view", subject_id: Some(id), before, after };
    audit::record(tx, now, actor, change).await
}
