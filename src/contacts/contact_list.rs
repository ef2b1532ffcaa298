//! Lists of contacts: filters, search, three orders, pages by keyset. The dynamic
//! SQL of contacts is here and nowhere else.

pub use super::{
    contact_filter::{Filter, Owner},
    list_row::Row,
};

use super::{
    by_figure::{Figure, by_figure},
    columns::Column,
    found::{self, Found},
    list_row::{self, Beside},
};
use crate::{
    db::keyset::{Edge, Key, Page, Place},
    error::Result,
};
use futures_util::{Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sort {
    /// The latest made first.
    #[default]
    Newest,
    /// By name.
    Name,
    /// The latest to give a sign of life first; who never gave one last, the latest made first.
    Activity,
    /// Who spent most first; who never spent anything last, the latest made first.
    Spent,
    /// Who came most often first; who never came last, the latest made first.
    Visits,
    /// As [`Filter::among`] lists them. One page; the place is not looked at.
    Given,
}

impl Row {
    /// Where the list goes on, in the order `sort`.
    #[must_use]
    pub fn edge(&self, sort: Sort) -> Edge {
        let key = match sort {
            Sort::Newest | Sort::Given => Key::Row,
            Sort::Name => Key::Text(self.search_key.clone()),
            Sort::Activity => Key::At(self.last_activity_at),
            Sort::Spent => Key::Number(self.spent.max(0)),
            Sort::Visits => Key::Number(i64::from(self.visits)),
        };
        Edge { id: self.id.0, key }
    }
}

/// A page of at most `size` contacts, told whole.
///
/// # Errors
/// When the database fails.
pub async fn page(
    db: &mut PgConnection,
    filter: &Filter,
    sort: Sort,
    place: Place,
    size: usize,
) -> Result<Page<Row>> {
    let found = Found::search(db, &filter.q).await?;
    let look = Look { filter, found: &found, sort, place, size, beside: Beside::ALL, counts_to: None };
    Ok(look.page(db).await?.0)
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its rows.
    pub page: Page<Row>,
    /// How many there are in all, counted up to what was asked.
    pub count: i64,
    /// Nobody is called as was searched for: these look like it.
    pub is_alike: bool,
}

/// A page of at most `size` contacts, and how many there are in all, counted up to
/// `most`: beyond it nobody needs the figure at the price of counting. Where nobody is called as `filter` searches
/// for, who looks like it. Of what stands beside each, what `columns` show.
///
/// # Errors
/// When the database fails.
pub async fn page_and_count(
    db: &mut PgConnection,
    filter: &Filter,
    sort: Sort,
    place: Place,
    size: usize,
    most: i64,
    columns: &[Column],
) -> Result<Listed> {
    let beside = Beside::of(columns);
    let found = Found::search(db, &filter.q).await?;
    if let Some(alike) = similar(db, filter, &found).await? {
        let page = given(db, &alike, size, beside).await?;
        let count = count(db, &alike, &Found::All, most).await?;
        return Ok(Listed { page, count, is_alike: true });
    }
    let is_known = found.are_at_least(most) && filter.only_searches();
    // Of what narrows a list Postgres is to plan the count by itself: what serves one serves the other badly.
    let counts_to = Some(most).filter(|_| is_everybody(filter, &found));
    let is_first = place == Place::First;
    let (page, counted) =
        Look { filter, found: &found, sort, place, size, beside, counts_to }.page(db).await?;
    let count = match counted {
        _ if is_known => most,
        // All of them are there to be seen.
        _ if is_first && !page.has_next => i64::try_from(page.rows.len()).unwrap_or(i64::MAX),
        Some(counted) => counted,
        None => count(db, filter, &found, most).await?,
    };
    Ok(Listed { page, count, is_alike: false })
}

/// Whether nothing narrows the list.
fn is_everybody(filter: &Filter, found: &Found) -> bool {
    filter.is_empty() && matches!(found, Found::All)
}

/// How many `filter` lets through of whom was `found`, counted up to `most`.
async fn count(db: &mut PgConnection, filter: &Filter, found: &Found, most: i64) -> Result<i64> {
    let mut query = QueryBuilder::new("select ");
    push_count(&mut query, filter, found, most);
    Ok(query.build_query_scalar().fetch_one(db).await?)
}

/// The same as an expression.
fn push_count(query: &mut QueryBuilder<Postgres>, filter: &Filter, found: &Found, most: i64) {
    let is_everybody = is_everybody(filter, found);
    // Where Postgres knows of a hundred times as many, nobody needs to be counted to tell that they are more. (What
    // it knows is as of its last look: who takes back nearly all of a large book reads so until the next.)
    if is_everybody && most < i64::MAX {
        query.push("case when (select reltuples from pg_class where oid = 'contacts'::regclass) / 100 > ");
        query.push_bind(most).push(" then ").push_bind(most).push(" else ");
    }
    query.push("(select count(*) from (select 1 from contacts c where c.merged_into is null");
    found.push(query, false);
    filter.push(query);
    query.push(format!(" limit {most}) counted)"));
    if is_everybody && most < i64::MAX {
        query.push(" end");
    }
}

/// Most people offered for a search that finds nobody.
const ALIKE: i64 = 50;

/// Where nobody is called as `filter` searches for, by what was `found`: the filter that lets through who looks like
/// it, to be listed as [`Sort::Given`]. None: somebody is, or nobody looks like it either.
async fn similar(db: &mut PgConnection, filter: &Filter, found: &Found) -> Result<Option<Filter>> {
    // Where only certain rows are let through, none is let through for its likeness.
    if filter.among.is_some() || !found.is_nobody() {
        return Ok(None);
    }
    let ids = found::alike(db, &filter.q, ALIKE).await?;
    let alike = Filter { q: String::new(), among: Some(ids), ..filter.clone() };
    Ok(alike.among.as_ref().is_some_and(|it| !it.is_empty()).then_some(alike))
}

/// The first `size` people whom `filter` searches for, and whether nobody is called so and these look like it. What
/// stands beside them is not read.
///
/// # Errors
/// When the database fails.
pub async fn first(db: &mut PgConnection, filter: &Filter, size: usize) -> Result<(Page<Row>, bool)> {
    let found = Found::search(db, &filter.q).await?;
    if let Some(alike) = similar(db, filter, &found).await? {
        return Ok((given(db, &alike, size, Beside::NONE).await?, true));
    }
    let (sort, place, beside) = (Sort::Newest, Place::First, Beside::NONE);
    let look = Look { filter, found: &found, sort, place, size, beside, counts_to: None };
    Ok((look.page(db).await?.0, false))
}

/// The first `size` of the rows that the filter lists, in its own order.
async fn given(db: &mut PgConnection, filter: &Filter, size: usize, beside: Beside) -> Result<Page<Row>> {
    let mut query = QueryBuilder::new("");
    beside.push_columns(&mut query);
    query.push(" from contacts c");
    beside.push_joins_of_page(&mut query);
    query.push(" where c.merged_into is null");
    filter.push(&mut query);
    query
        .push(" order by array_position(")
        .push_bind(filter.among.clone())
        .push(", c.id)")
        .push(format!(" limit {size}"));
    let rows = query.build().try_map(|it| list_row::read(&it)).fetch_all(db).await?;
    Ok(Page::new(&Place::First, size, rows))
}

/// A filter whose search is done: what a whole list is read, counted and acted on by.
pub struct Matching {
    filter: Filter,
    found: Found,
    sort: Sort,
}

/// Everybody whom a list with `filter` shows; look-alikes where it shows those.
///
/// # Errors
/// When the database fails.
pub async fn matching(db: &mut PgConnection, filter: &Filter, sort: Sort) -> Result<Matching> {
    let found = Found::search(db, &filter.q).await?;
    if let Some(alike) = similar(db, filter, &found).await? {
        return Ok(Matching { filter: alike, found: Found::All, sort: Sort::Given });
    }
    Ok(Matching { filter: filter.clone(), found, sort })
}

impl Matching {
    /// How many they are, counted up to `most`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, db: &mut PgConnection, most: i64) -> Result<i64> {
        let mut query = QueryBuilder::new("select count(*) from (");
        self.push_ids(&mut query);
        query.push(format!(" limit {most}) counted"));
        Ok(query.build_query_scalar().fetch_one(db).await?)
    }

    /// The ids of the first `most`, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first(&self, db: &mut PgConnection, most: i64) -> Result<Vec<i64>> {
        let mut query = QueryBuilder::new("");
        self.push_ids(&mut query);
        query.push(" order by c.id limit ").push_bind(most);
        Ok(query.build_query_scalar().fetch_all(db).await?)
    }

    /// A `select` of their ids as `id`.
    pub fn push_ids(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("select c.id from contacts c where c.merged_into is null");
        self.found.push(query, true);
        self.filter.push(query);
    }

    /// Write their ids beside `owner` into a table, which `into` names with its two columns. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write_down(&self, db: &mut PgConnection, into: &'static str, owner: i64) -> Result<i64> {
        let mut query = QueryBuilder::new("insert into ");
        query.push(into).push(" select ").push_bind(owner).push(", matching.id from (");
        self.push_ids(&mut query);
        query.push(") matching");
        let total = query.build().execute(db).await?.rows_affected();
        Ok(i64::try_from(total).unwrap_or(i64::MAX))
    }

    /// The query of every row, in the list's order, `most` at most.
    #[must_use]
    pub fn whole(&self, most: i64) -> Whole {
        let mut query = QueryBuilder::new("");
        Beside::ALL.push_columns(&mut query);
        query.push(" from contacts c");
        Beside::ALL.push_joins_of_all(&mut query);
        query.push(" where c.merged_into is null");
        self.found.push(&mut query, true);
        self.filter.push(&mut query);
        match self.sort {
            Sort::Newest => drop(query.push(" order by c.id desc")),
            Sort::Name => drop(query.push(" order by c.search_key, c.id")),
            Sort::Activity => drop(query.push(" order by m.last_activity_at desc nulls last, c.id desc")),
            Sort::Spent => drop(query.push(" order by greatest(m.spent, 0) desc, c.id desc")),
            Sort::Visits => drop(query.push(" order by coalesce(m.visits, 0) desc, c.id desc")),
            Sort::Given => {
                query.push(" order by array_position(").push_bind(self.filter.among.clone()).push(", c.id)");
            }
        }
        if most < i64::MAX {
            query.push(" limit ").push_bind(most);
        }
        Whole(query)
    }
}

/// A query of a whole list, to be read row by row: memory holds a few of them.
pub struct Whole(QueryBuilder<Postgres>);

impl Whole {
    /// The rows as they come.
    pub fn rows<'a>(&'a mut self, db: &'a mut PgConnection) -> impl Stream<Item = Result<Row>> + Send + 'a {
        self.0.build().try_map(|it| list_row::read(&it)).fetch(db).map_err(Into::into)
    }
}

/// A look at a page.
struct Look<'a> {
    filter: &'a Filter,
    found: &'a Found,
    sort: Sort,
    place: Place,
    size: usize,
    beside: Beside,
    /// How far they are counted on the way, where that spares a statement.
    counts_to: Option<i64>,
}

impl Look<'_> {
    /// The page, and how many there are in all where they were counted on the way.
    async fn page(self, db: &mut PgConnection) -> Result<(Page<Row>, Option<i64>)> {
        let Look { filter, found, sort, size, beside, .. } = self;
        match sort {
            Sort::Given => Ok((given(db, filter, size, beside).await?, None)),
            Sort::Activity => self.by(db, Figure::Activity).await,
            Sort::Spent => self.by(db, Figure::Spent).await,
            Sort::Visits => self.by(db, Figure::Visits).await,
            Sort::Newest if !matches!(found, Found::All) => Ok((self.called_first(db).await?, None)),
            Sort::Newest | Sort::Name => self.by_row(db, &[]).await,
        }
    }

    /// The page by `figure`. On the way nobody is counted.
    async fn by(self, db: &mut PgConnection, figure: Figure) -> Result<(Page<Row>, Option<i64>)> {
        let Look { filter, found, size, beside, .. } = self;
        Ok((by_figure(db, figure, filter, found, (self.place, size), beside).await?, None))
    }

    /// What was searched for, newest first, but ahead of all who is called so.
    async fn called_first(self, db: &mut PgConnection) -> Result<Page<Row>> {
        let Look { filter, size, beside, .. } = self;
        let called = found::called(db, &filter.q).await?;
        let mut first = Vec::new();
        if !called.is_empty() {
            let among = Filter { q: String::new(), among: Some(called.clone()), ..filter.clone() };
            first = given(db, &among, size, beside).await?.rows;
        }
        // All that follows the first page is without them, so that nobody is listed twice.
        let size = if self.place == Place::First { size.saturating_sub(first.len()) } else { size };
        let (mut page, _) = Look { size, counts_to: None, ..self }.by_row(db, &called).await?;
        if !page.has_previous {
            page.rows.splice(0..0, first);
        }
        Ok(page)
    }

    /// A page newest first, or by name, without `except`.
    async fn by_row(self, db: &mut PgConnection, except: &[i64]) -> Result<(Page<Row>, Option<i64>)> {
        let Look { filter, found, sort, size, beside, counts_to, .. } = self;
        let place = self.place.sorted_by(|key| (sort == Sort::Name) == matches!(key, Key::Text(_)));
        // By name reads up, newest first reads down; backward turns either around.
        let up = (sort == Sort::Name) != place.is_backward();
        let order = match (sort, up) {
            (Sort::Name, true) => " order by c.search_key, c.id",
            (Sort::Name, false) => " order by c.search_key desc, c.id desc",
            (_, true) => " order by c.id",
            (_, false) => " order by c.id desc",
        };
        // What has one word in common crowds together by name: sorting it costs less
        // than walking to it, so its conditions are fenced off from the order.
        let fenced = sort == Sort::Name && matches!(found, Found::Many(_));
        // The joins are made for the rows of the page alone.
        let mut query = QueryBuilder::new("");
        beside.push_columns(&mut query);
        if let Some(most) = counts_to {
            query.push(", ");
            push_count(&mut query, filter, found, most);
            query.push(" as counted");
        }
        query.push(" from (select c.* from ");
        query.push(if fenced { "(select c.* from contacts c" } else { "contacts c" });
        query.push(" where c.merged_into is null");
        found.push(&mut query, fenced);
        filter.push(&mut query);
        if !except.is_empty() {
            query.push(" and c.id <> all (").push_bind(except.to_vec()).push(")");
        }
        match place.edge() {
            Some(Edge { id, key: Key::Text(name) }) => {
                query.push(if up {
                    " and (c.search_key, c.id) > ("
                } else {
                    " and (c.search_key, c.id) < ("
                });
                query.push_bind(name.clone()).push(", ").push_bind(*id).push(")");
            }
            Some(edge) => {
                query.push(if up { " and c.id > " } else { " and c.id < " }).push_bind(edge.id);
            }
            None => {}
        }
        query.push(if fenced { " offset 0) c" } else { "" }).push(order);
        query.push(format!(" limit {}) c", size.saturating_add(1)));
        beside.push_joins_of_page(&mut query);
        query.push(order);
        let mut counted = None;
        let read = |it: PgRow| {
            if counts_to.is_some() {
                counted = it.try_get("counted")?;
            }
            list_row::read(&it)
        };
        let rows = query.build().try_map(read).fetch_all(db).await?;
        Ok((Page::new(&place, size, rows), counted))
    }
}
