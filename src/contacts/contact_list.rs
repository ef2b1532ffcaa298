//! Lists of contacts: filters, search, three orders, pages by keyset. The dynamic
//! SQL of contacts is here and nowhere else.

pub use super::contact_filter::{Filter, Owner};

use super::{
    by_activity::by_activity,
    contact::full_name,
    found::{self, Found},
    vocabulary::{Lifecycle, Source},
};
use crate::{
    db::keyset::{Edge, Key, Page, Place},
    error::Result,
    ids::{CompanyId, ContactId},
};
use chrono::{DateTime, NaiveDate, Utc};
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
    /// As [`Filter::among`] lists them. One page; the place is not looked at.
    Given,
}

/// A contact in a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Row.
    pub id: ContactId,
    /// What to call them.
    pub name: String,
    /// First name; may be empty.
    pub first_name: String,
    /// Last names; may be empty.
    pub last_name: String,
    /// Job title.
    pub job_title: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Where they work.
    pub company_id: Option<CompanyId>,
    /// Its name.
    pub company: Option<String>,
    /// Its RUT as stored.
    pub company_rut: Option<String>,
    /// CUT code: theirs, else their company's.
    pub comuna: Option<String>,
    /// How far the relationship has come.
    pub lifecycle: Lifecycle,
    /// There is a basis for promotions by email.
    pub has_basis: bool,
    /// Their email address is on the list of exclusion.
    pub excluded: bool,
    /// Where they came from.
    pub source: Source,
    /// Who looks after them.
    pub owner: Option<String>,
    /// What they are tagged with, by name.
    pub interests: Option<String>,
    /// Day of birth.
    pub birth_date: Option<NaiveDate>,
    /// Since when they are here.
    pub created_at: DateTime<Utc>,
    /// How often they came.
    pub visits: i32,
    /// Whole pesos that they spent.
    pub spent: i64,
    /// Their latest sign of life.
    pub last_activity_at: Option<DateTime<Utc>>,
    /// What they are sorted by where the list is by name.
    pub search_key: String,
}

impl Row {
    /// Where the list goes on, in the order `sort`.
    #[must_use]
    pub fn edge(&self, sort: Sort) -> Edge {
        let key = match sort {
            Sort::Newest | Sort::Given => Key::Row,
            Sort::Name => Key::Text(self.search_key.clone()),
            Sort::Activity => Key::At(self.last_activity_at),
        };
        Edge { id: self.id.0, key }
    }

    /// Whether promotions by email may reach them.
    #[must_use]
    pub fn is_contactable(&self) -> bool {
        self.email.is_some() && self.has_basis && !self.excluded
    }

    /// Whether promotions by email may reach them, and if not, why, in Spanish.
    #[must_use]
    pub fn reach(&self) -> &'static str {
        match (&self.email, self.excluded, self.has_basis) {
            (None, ..) => "Sin correo",
            (_, true, _) => "Excluido",
            (_, _, true) => "Contactable",
            (_, _, false) => "Sin consentimiento",
        }
    }
}

/// A page of at most `size` contacts.
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
    page_of(db, filter, &found, sort, place, size).await
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
/// for, who looks like it.
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
) -> Result<Listed> {
    let found = Found::search(db, &filter.q).await?;
    if let Some(alike) = similar(db, filter, &found).await? {
        let page = given(db, &alike, size).await?;
        let count = count(db, &alike, &Found::All, most).await?;
        return Ok(Listed { page, count, is_alike: true });
    }
    let page = page_of(db, filter, &found, sort, place, size).await?;
    let count = count(db, filter, &found, most).await?;
    Ok(Listed { page, count, is_alike: false })
}

/// How many `filter` lets through of whom was `found`, counted up to `most`.
async fn count(db: &mut PgConnection, filter: &Filter, found: &Found, most: i64) -> Result<i64> {
    if found.are_at_least(most) && filter.only_searches() {
        return Ok(most);
    }
    let mut query =
        QueryBuilder::new("select count(*) from (select 1 from contacts c where c.merged_into is null");
    found.push(&mut query, false);
    filter.push(&mut query);
    query.push(format!(" limit {most}) counted"));
    Ok(query.build_query_scalar().fetch_one(db).await?)
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

/// The first `size` people whom `filter` searches for, and whether nobody is called so and these look like it.
///
/// # Errors
/// When the database fails.
pub async fn first(db: &mut PgConnection, filter: &Filter, size: usize) -> Result<(Page<Row>, bool)> {
    let found = Found::search(db, &filter.q).await?;
    if let Some(alike) = similar(db, filter, &found).await? {
        return Ok((given(db, &alike, size).await?, true));
    }
    Ok((page_of(db, filter, &found, Sort::Newest, Place::First, size).await?, false))
}

/// The first `size` of the rows that the filter lists, in its own order.
async fn given(db: &mut PgConnection, filter: &Filter, size: usize) -> Result<Page<Row>> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" from contacts c").push(JOINS_OF_PAGE).push(" where c.merged_into is null");
    filter.push(&mut query);
    query
        .push(" order by array_position(")
        .push_bind(filter.among.clone())
        .push(", c.id)")
        .push(format!(" limit {size}"));
    let rows = query.build().try_map(|it| row(&it)).fetch_all(db).await?;
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
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" from contacts c").push(JOINS).push(" where c.merged_into is null");
        self.found.push(&mut query, true);
        self.filter.push(&mut query);
        match self.sort {
            Sort::Newest => drop(query.push(" order by c.id desc")),
            Sort::Name => drop(query.push(" order by c.search_key, c.id")),
            Sort::Activity => drop(query.push(" order by m.last_activity_at desc nulls last, c.id desc")),
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
        self.0.build().try_map(|it| row(&it)).fetch(db).map_err(Into::into)
    }
}

async fn page_of(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    sort: Sort,
    place: Place,
    size: usize,
) -> Result<Page<Row>> {
    match sort {
        Sort::Given => given(db, filter, size).await,
        Sort::Activity => by_activity(db, filter, found, place, size).await,
        Sort::Newest if !matches!(found, Found::All) => called_first(db, filter, found, place, size).await,
        Sort::Newest | Sort::Name => by_row(db, filter, found, sort, place, size, &[]).await,
    }
}

/// What was searched for, newest first, but ahead of all who is called so.
async fn called_first(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    place: Place,
    size: usize,
) -> Result<Page<Row>> {
    let called = found::called(db, &filter.q).await?;
    if called.is_empty() {
        return by_row(db, filter, found, Sort::Newest, place, size, &[]).await;
    }
    let among = Filter { q: String::new(), among: Some(called.clone()), ..filter.clone() };
    let first = given(db, &among, size).await?.rows;
    // All that follows the first page is without them, so that nobody is listed twice.
    let rest = if place == Place::First { size.saturating_sub(first.len()) } else { size };
    let mut page = by_row(db, filter, found, Sort::Newest, place, rest, &called).await?;
    if !page.has_previous {
        page.rows.splice(0..0, first);
    }
    Ok(page)
}

/// A page newest first, or by name, without `except`.
async fn by_row(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    sort: Sort,
    place: Place,
    size: usize,
    except: &[i64],
) -> Result<Page<Row>> {
    let place = place.sorted_by(|key| (sort == Sort::Name) == matches!(key, Key::Text(_)));
    // By name reads up, newest first reads down; backward turns either around.
    let up = (sort == Sort::Name) != place.is_backward();
    let order = match (sort, up) {
        (Sort::Name, true) => " order by search_key, id",
        (Sort::Name, false) => " order by search_key desc, id desc",
        (_, true) => " order by id",
        (_, false) => " order by id desc",
    };
    // What has one word in common crowds together by name: sorting it costs less
    // than walking to it, so its conditions are fenced off from the order.
    let fenced = sort == Sort::Name && matches!(found, Found::Many(_));
    // The joins are made for the rows of the page alone.
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" from (select id, search_key from (select c.id, c.search_key from contacts c where c.merged_into is null");
    found.push(&mut query, fenced);
    filter.push(&mut query);
    if !except.is_empty() {
        query.push(" and c.id <> all (").push_bind(except.to_vec()).push(")");
    }
    match place.edge() {
        Some(Edge { id, key: Key::Text(name) }) => {
            query.push(if up { " and (c.search_key, c.id) > (" } else { " and (c.search_key, c.id) < (" });
            query.push_bind(name.clone()).push(", ").push_bind(*id).push(")");
        }
        Some(edge) => {
            query.push(if up { " and c.id > " } else { " and c.id < " }).push_bind(edge.id);
        }
        None => {}
    }
    query.push(if fenced { " offset 0) matching" } else { ") matching" }).push(order);
    query.push(format!(" limit {}", size.saturating_add(1)));
    query.push(") p join contacts c on c.id = p.id").push(JOINS_OF_PAGE);
    query.push(order.replace("search_key", "p.search_key").replace(" id", " p.id"));
    let rows = query.build().try_map(|it| row(&it)).fetch_all(db).await?;
    Ok(Page::new(&place, size, rows))
}

/// The limit keeps Postgres from reading all of the list of exclusion into a table of its own.
pub(super) const COLUMNS: &str =
    "select c.id, c.first_name, c.last_name, c.job_title, c.email, c.phone, c.company_id, k.name as company,
    k.rut as company_rut, coalesce(c.comuna, k.comuna) as comuna, c.lifecycle, c.email_basis is not null as has_basis,
    coalesce((select true from suppressions s where s.communication_type = 'EMAIL' and s.destination = c.email
              and s.lifted_at is null limit 1),
             (select true from suppressions s where s.communication_type = 'EMAIL' and s.destination is null
              and s.address_hash = suppression_hash((select key from suppression_key), c.email)
              and s.lifted_at is null limit 1), false) as excluded,
    c.source, o.name as owner, c.birth_date, c.created_at, c.search_key, coalesce(m.visits, 0) as visits,
    coalesce(m.spent, 0) as spent, m.last_activity_at,
    (select string_agg(i.name, ', ' order by i.key) from contact_interests t join interests i on i.id = t.interest_id
     where t.contact_id = c.id) as interests";

/// What [`COLUMNS`] needs beside `contacts c`, for everybody.
const JOINS: &str =
    " left join companies k on k.id = c.company_id left join staff_users o on o.id = c.owner_id
    left join contact_metrics m on m.contact_id = c.id";

/// The same for a page. The limit keeps Postgres from reading everybody's figures for a few.
pub(super) const JOINS_OF_PAGE: &str =
    " left join companies k on k.id = c.company_id left join staff_users o on o.id = c.owner_id
    left join lateral (select visits, spent, last_activity_at from contact_metrics where contact_id = c.id limit 1) m on true";

pub(super) fn row(it: &PgRow) -> sqlx::Result<Row> {
    let (first_name, last_name): (String, String) = (it.try_get("first_name")?, it.try_get("last_name")?);
    let (email, phone): (Option<String>, Option<String>) = (it.try_get("email")?, it.try_get("phone")?);
    Ok(Row {
        id: ContactId(it.try_get("id")?),
        name: full_name(&first_name, &last_name, email.as_deref(), phone.as_deref()),
        job_title: it.try_get("job_title")?,
        email,
        phone,
        company_id: it.try_get::<Option<i64>, _>("company_id")?.map(CompanyId),
        company: it.try_get("company")?,
        company_rut: it.try_get("company_rut")?,
        comuna: it.try_get("comuna")?,
        lifecycle: Lifecycle::from_code(it.try_get("lifecycle")?).unwrap_or(Lifecycle::Lead),
        has_basis: it.try_get("has_basis")?,
        excluded: it.try_get("excluded")?,
        source: Source::from_code(it.try_get("source")?).unwrap_or(Source::Other),
        owner: it.try_get("owner")?,
        interests: it.try_get("interests")?,
        birth_date: it.try_get("birth_date")?,
        created_at: it.try_get("created_at")?,
        visits: it.try_get("visits")?,
        spent: it.try_get("spent")?,
        last_activity_at: it.try_get("last_activity_at")?,
        search_key: it.try_get("search_key")?,
        first_name,
        last_name,
    })
}
