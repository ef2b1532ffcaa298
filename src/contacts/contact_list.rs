//! Lists of contacts: filters, search, two orders, pages by keyset. The dynamic
//! SQL of contacts is here and nowhere else.

pub use super::contact_filter::{Filter, Owner};

use super::{
    contact::full_name,
    found::{self, Found},
    vocabulary::Lifecycle,
};
use crate::{
    db::keyset::{Page, Place},
    error::Result,
    ids::{CompanyId, ContactId},
};
use sqlx::{PgConnection, QueryBuilder, Row as _, postgres::PgRow};

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The latest made first.
    #[default]
    Newest,
    /// By name.
    Name,
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
    /// CUT code: theirs, else their company's.
    pub comuna: Option<String>,
    /// How far the relationship has come.
    pub lifecycle: Lifecycle,
    /// There is a basis for promotions by email.
    pub has_basis: bool,
    /// Their email address is on the list of exclusion.
    pub excluded: bool,
}

impl Row {
    /// Whether promotions by email may reach them.
    #[must_use]
    pub fn is_contactable(&self) -> bool {
        self.email.is_some() && self.has_basis && !self.excluded
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

/// A page of at most `size` contacts, and how many there are in all, counted up to
/// `most`: beyond it nobody needs the figure at the price of counting.
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
) -> Result<(Page<Row>, i64)> {
    let found = Found::search(db, &filter.q).await?;
    let page = page_of(db, filter, &found, sort, place, size).await?;
    let mut query = QueryBuilder::new("select count(*) from (select 1 from contacts c where true");
    found.push(&mut query, false);
    filter.push(&mut query);
    query.push(" limit ").push_bind(most).push(") counted");
    Ok((page, query.build_query_scalar().fetch_one(db).await?))
}

/// Most people offered for a search that finds nobody.
const ALIKE: i64 = 50;

/// Where nobody is called as `filter` searches for: the filter that lets through who looks like it, to be
/// listed as [`Sort::Given`]. None: somebody is, or nobody looks like it either.
///
/// # Errors
/// When the database fails.
pub async fn similar(db: &mut PgConnection, filter: &Filter) -> Result<Option<Filter>> {
    match Found::search(db, &filter.q).await? {
        Found::Rows(ids) if ids.is_empty() => {}
        _ => return Ok(None),
    }
    let ids = found::alike(db, &filter.q, ALIKE).await?;
    let alike = Filter { q: String::new(), among: Some(ids), ..filter.clone() };
    Ok(alike.among.as_ref().is_some_and(|it| !it.is_empty()).then_some(alike))
}

/// The first `size` of the rows that the filter lists, in its own order.
async fn given(db: &mut PgConnection, filter: &Filter, size: usize) -> Result<Page<Row>> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(FROM).push(" where true");
    filter.push(&mut query);
    query.push(" order by array_position(").push_bind(filter.among.clone()).push(", c.id) limit ");
    query.push_bind(i64::try_from(size).unwrap_or(i64::MAX));
    let rows = query.build().try_map(|it| row(&it)).fetch_all(db).await?;
    Ok(Page::new(Place::First, size, rows))
}

async fn page_of(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    sort: Sort,
    place: Place,
    size: usize,
) -> Result<Page<Row>> {
    if sort == Sort::Given {
        return given(db, filter, size).await;
    }
    let edge = match place.edge() {
        None => None,
        // The address tells the row only: a name has no place in logs.
        Some(id) => {
            sqlx::query!("select id, search_key from contacts where id = $1", id)
                .fetch_optional(&mut *db)
                .await?
        }
    };
    let place = if edge.is_some() { place } else { Place::First };
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
    query.push(" from (select id, search_key from (select c.id, c.search_key from contacts c where true");
    found.push(&mut query, fenced);
    filter.push(&mut query);
    match edge {
        Some(edge) if sort == Sort::Newest => {
            query.push(if up { " and c.id > " } else { " and c.id < " }).push_bind(edge.id);
        }
        Some(edge) => {
            query.push(if up { " and (c.search_key, c.id) > (" } else { " and (c.search_key, c.id) < (" });
            query.push_bind(edge.search_key).push(", ").push_bind(edge.id).push(")");
        }
        None => {}
    }
    query.push(if fenced { " offset 0) matching" } else { ") matching" }).push(order);
    query.push(" limit ").push_bind(i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1));
    query.push(") p join contacts c on c.id = p.id left join companies k on k.id = c.company_id");
    query.push(order.replace("search_key", "p.search_key").replace(" id", " p.id"));
    let rows = query.build().try_map(|it| row(&it)).fetch_all(db).await?;
    Ok(Page::new(place, size, rows))
}

/// The limit keeps Postgres from reading all of the list of exclusion into a table of its own.
const COLUMNS: &str =
    "select c.id, c.first_name, c.last_name, c.job_title, c.email, c.phone, c.company_id, k.name as company,
    coalesce(c.comuna, k.comuna) as comuna, c.lifecycle, c.email_basis is not null as has_basis,
    coalesce((select true from suppressions s where s.communication_type = 'EMAIL' and s.destination = c.email
              and s.lifted_at is null limit 1), false) as excluded";

/// Where [`COLUMNS`] are, of all contacts.
const FROM: &str = " from contacts c left join companies k on k.id = c.company_id";

fn row(it: &PgRow) -> sqlx::Result<Row> {
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
        comuna: it.try_get("comuna")?,
        lifecycle: Lifecycle::from_code(it.try_get("lifecycle")?).unwrap_or(Lifecycle::Lead),
        has_basis: it.try_get("has_basis")?,
        excluded: it.try_get("excluded")?,
    })
}
