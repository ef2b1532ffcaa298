//! Lists of companies, and the choices that forms and filters offer. The dynamic
//! SQL of companies is here and nowhere else.

use super::{contact_filter::Owner, found, search::Search};
use crate::{
    chile::{rut::Rut, time},
    db::keyset::{Edge, Key, Page, Place},
    error::Result,
    ids::CompanyId,
};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By name.
    #[default]
    Name,
    /// The latest made first.
    Newest,
    /// As [`Filter::among`] lists them. One page; the place is not looked at.
    Given,
}

/// Which companies. Everything absent lets all through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Words of the name, or a RUT.
    pub q: String,
    /// CUT code of a comuna, or the two digits of a region.
    pub comuna: Option<String>,
    /// Line of business.
    pub industry: Option<String>,
    /// Who looks after it.
    pub owner: Option<Owner>,
    /// Whether anybody works there.
    pub peopled: Option<bool>,
    /// Here since this local day or later.
    pub created_from: Option<NaiveDate>,
    /// Here since this local day or earlier.
    pub created_until: Option<NaiveDate>,
    /// Exactly these rows.
    pub among: Option<Vec<i64>>,
}

/// A company in a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// Row.
    pub id: CompanyId,
    /// Name.
    pub name: String,
    /// RUT as stored.
    pub rut: Option<String>,
    /// Line of business.
    pub industry: Option<String>,
    /// CUT code.
    pub comuna: Option<String>,
    /// Street address.
    pub address: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Web site.
    pub website: Option<String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Since when it is here.
    pub created_at: DateTime<Utc>,
    /// How many people work there.
    pub contacts: i64,
    /// What it is sorted by where the list is by name.
    pub name_key: String,
}

impl Row {
    /// Where the list goes on, in the order `sort`.
    #[must_use]
    pub fn edge(&self, sort: Sort) -> Edge {
        let key = if sort == Sort::Name { Key::Text(self.name_key.clone()) } else { Key::Row };
        Edge { id: self.id.0, key }
    }
}

impl Filter {
    /// Lets none through.
    #[must_use]
    pub fn none() -> Filter {
        Filter { among: Some(Vec::new()), ..Filter::default() }
    }

    /// Whether it lets all through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.q.trim().is_empty()
            && self.comuna.is_none()
            && self.industry.is_none()
            && self.owner.is_none()
            && self.peopled.is_none()
            && self.created_from.is_none()
            && self.created_until.is_none()
            && self.among.is_none()
    }

    /// Whether what was typed holds nothing to look for, such as `%`: it finds nobody.
    #[must_use]
    pub fn is_vain(&self) -> bool {
        Search::is_vain(&self.q)
    }

    /// As kept in the audit: what was searched for may be somebody's name.
    #[must_use]
    pub fn facts(&self) -> Value {
        let mut facts = json!(Filter { q: String::new(), among: None, ..self.clone() });
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|_, value| !value.is_null() && value != "");
            if !self.q.trim().is_empty() {
                facts.insert("search".to_owned(), json!(true));
            }
        }
        facts
    }

    /// `where` and its conditions on `companies k`.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" where true");
        if let Some(search) = Search::parse(&self.q) {
            query.push(" and (");
            search.push(query, "k.name_key");
            if let Some(rut) = &search.rut {
                query.push(" or k.rut = ").push_bind(rut.clone());
            }
            query.push(")");
        } else if self.is_vain() {
            query.push(" and false");
        }
        if let Some(industry) = &self.industry {
            query.push(" and k.industry = ").push_bind(industry.clone());
        }
        match self.owner {
            Some(Owner::Nobody) => drop(query.push(" and k.owner_id is null")),
            Some(Owner::Staff(id)) => drop(query.push(" and k.owner_id = ").push_bind(id.0)),
            None => {}
        }
        if let Some(peopled) = self.peopled {
            query.push(if peopled { " and exists" } else { " and not exists" });
            query.push(" (select from contacts c where c.company_id = k.id and c.merged_into is null)");
        }
        if let Some(day) = self.created_from {
            query.push(" and k.created_at >= ").push_bind(time::start_of_day(day));
        }
        if let Some(day) = self.created_until.and_then(|it| it.succ_opt()) {
            query.push(" and k.created_at < ").push_bind(time::start_of_day(day));
        }
        if let Some(among) = &self.among {
            query.push(" and k.id = any (").push_bind(among.clone()).push(")");
        }
        if let Some(code) = &self.comuna {
            let region = code.len() == 2;
            query.push(" and k.comuna between ").push_bind(if region {
                format!("{code}000")
            } else {
                code.clone()
            });
            query.push(" and ").push_bind(if region { format!("{code}999") } else { code.clone() });
        }
    }
}

/// What a row shows, of the companies `p`.
const COLUMNS: &str =
    "select p.id, p.name, p.rut, p.industry, p.comuna, p.address, p.phone, p.email, p.website, p.name_key,
    o.name as owner, p.created_at,
    (select count(*) from contacts c where c.company_id = p.id and c.merged_into is null) as contacts";

/// What [`COLUMNS`] needs beside the companies.
const JOINS: &str = " left join staff_users o on o.id = p.owner_id";

/// A page of at most `size` companies.
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
    let place = place.sorted_by(|key| match sort {
        Sort::Name => matches!(key, Key::Text(_)),
        Sort::Newest => *key == Key::Row,
        Sort::Given => false,
    });
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" from (select k.* from companies k");
    filter.push(&mut query);
    let up = (sort == Sort::Name) != place.is_backward();
    let sign = if up { " > " } else { " < " };
    match place.edge() {
        Some(Edge { id, key: Key::Text(name) }) => {
            query.push(" and (k.name_key, k.id)").push(sign).push("(").push_bind(name.clone());
            query.push(", ").push_bind(*id).push(")");
        }
        Some(edge) => drop(query.push(" and k.id").push(sign).push_bind(edge.id)),
        None => {}
    }
    push_order(&mut query, "k", filter, sort, up);
    query.push(" limit ").push_bind(i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1));
    query.push(") p").push(JOINS);
    push_order(&mut query, "p", filter, sort, up);
    // Planned anew for what is asked: one plan for all words would walk the names from end to end for a rare one.
    let rows = query.build().persistent(false).try_map(|it| row(&it)).fetch_all(db).await?;
    Ok(Page::new(&place, size, rows))
}

/// The order of the companies `alias`; `up` as the key grows.
fn push_order(query: &mut QueryBuilder<Postgres>, alias: &str, filter: &Filter, sort: Sort, up: bool) {
    let direction = if up { "" } else { " desc" };
    match sort {
        Sort::Name => query.push(format!(" order by {alias}.name_key{direction}, {alias}.id{direction}")),
        Sort::Newest => query.push(format!(" order by {alias}.id{direction}")),
        Sort::Given => query
            .push(" order by array_position(")
            .push_bind(filter.among.clone())
            .push(format!(", {alias}.id)")),
    };
}

fn row(it: &PgRow) -> sqlx::Result<Row> {
    Ok(Row {
        id: CompanyId(it.try_get("id")?),
        name: it.try_get("name")?,
        rut: it.try_get("rut")?,
        industry: it.try_get("industry")?,
        comuna: it.try_get("comuna")?,
        address: it.try_get("address")?,
        phone: it.try_get("phone")?,
        email: it.try_get("email")?,
        website: it.try_get("website")?,
        owner: it.try_get("owner")?,
        created_at: it.try_get("created_at")?,
        contacts: it.try_get("contacts")?,
        name_key: it.try_get("name_key")?,
    })
}

/// A filter whose search is done: what a whole list is counted and read by.
pub struct Matching {
    filter: Filter,
    sort: Sort,
}

/// Every company that a list with `filter` shows; look-alikes where it shows those.
///
/// # Errors
/// When the database fails.
pub async fn matching(db: &mut PgConnection, filter: &Filter, sort: Sort) -> Result<Matching> {
    Ok(match similar(db, filter).await? {
        Some(alike) => Matching { filter: alike, sort: Sort::Given },
        None => Matching { filter: filter.clone(), sort },
    })
}

impl Matching {
    /// How many they are, counted up to `most`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, db: &mut PgConnection, most: i64) -> Result<i64> {
        count(db, &self.filter, most).await
    }

    /// The query of every row, in the list's order, `most` at most.
    #[must_use]
    pub fn whole(&self, most: i64) -> Whole {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" from (select k.* from companies k");
        self.filter.push(&mut query);
        query.push(") p").push(JOINS);
        push_order(&mut query, "p", &self.filter, self.sort, self.sort == Sort::Name);
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

/// How many companies there are, counted up to `most`.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut PgConnection, filter: &Filter, most: i64) -> Result<i64> {
    let mut query = QueryBuilder::new("select count(*) from (select 1 from companies k");
    filter.push(&mut query);
    query.push(" limit ").push_bind(most).push(") counted");
    Ok(query.build_query_scalar().fetch_one(db).await?)
}

/// Most companies offered for a search that finds none.
const ALIKE: i64 = 50;

/// Where no company is called as `filter` searches for: the filter that lets through those that look like it, to be
/// listed as [`Sort::Given`]. None: one is, or none looks like it either.
///
/// # Errors
/// When the database fails.
pub async fn similar(db: &mut PgConnection, filter: &Filter) -> Result<Option<Filter>> {
    let exact = Filter { q: filter.q.clone(), ..Filter::default() };
    if exact.is_empty() || count(db, &exact, 1).await? > 0 {
        return Ok(None);
    }
    let ids = found::alike_companies(db, &filter.q, ALIKE).await?;
    let alike = Filter { q: String::new(), among: Some(ids), ..filter.clone() };
    Ok(alike.among.as_ref().is_some_and(|it| !it.is_empty()).then_some(alike))
}

/// A company as a form offers it: `Salmones del Sur SpA · 76.086.428-5`.
/// [`resolve`](super::company::resolve) reads it back.
#[must_use]
pub fn choice(name: &str, rut: Option<&str>) -> String {
    match rut {
        Some(rut) => format!("{name} · {}", Rut::show(rut)),
        None => name.to_owned(),
    }
}

/// At most `limit` companies that `typed` may mean, as [`choice`]s.
///
/// # Errors
/// When the database fails.
pub async fn choices(db: &mut PgConnection, typed: &str, limit: usize) -> Result<Vec<String>> {
    let filter = Filter { q: typed.to_owned(), ..Filter::default() };
    let found = page(db, &filter, Sort::Name, Place::First, limit).await?;
    Ok(found.rows.iter().map(|it| choice(&it.name, it.rut.as_deref())).collect())
}

/// Every line of business in use, in order. By hops over the index, so that it
/// costs by their number and not by that of companies.
///
/// # Errors
/// When the database fails.
pub async fn industries(db: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"with recursive hop as (
               (select industry from companies where industry is not null order by industry limit 1)
               union all
               select (select k.industry from companies k where k.industry > hop.industry order by k.industry limit 1)
               from hop where hop.industry is not null
           )
           select industry as "industry!" from hop where industry is not null limit 500"#
    )
    .fetch_all(db)
    .await?)
}
