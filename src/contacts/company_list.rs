//! Lists of companies, and the choices that forms and filters offer. The dynamic
//! SQL of companies is here and nowhere else.

use super::{found, search::Search};
use crate::{
    chile::rut::Rut,
    db::keyset::{Page, Place},
    error::Result,
    ids::CompanyId,
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};

pub use super::contact_list::Sort;

/// Which companies. Everything absent lets all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words of the name, or a RUT.
    pub q: String,
    /// CUT code of a comuna, or the two digits of a region.
    pub comuna: Option<String>,
    /// Line of business.
    pub industry: Option<String>,
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
    /// How many people work there.
    pub contacts: i64,
}

impl Filter {
    /// Whether it lets all through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Search::parse(&self.q).is_none()
            && self.comuna.is_none()
            && self.industry.is_none()
            && self.among.is_none()
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
        }
        if let Some(industry) = &self.industry {
            query.push(" and k.industry = ").push_bind(industry.clone());
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
    let edge = match place.edge() {
        None => None,
        Some(id) => {
            sqlx::query!("select id, name_key from companies where id = $1", id)
                .fetch_optional(&mut *db)
                .await?
        }
    };
    let place = if edge.is_some() { place } else { Place::First };
    let mut query = QueryBuilder::new(
        "select p.*, (select count(*) from contacts c where c.company_id = p.id) as contacts
         from (select k.id, k.name, k.name_key, k.rut, k.industry, k.comuna from companies k",
    );
    filter.push(&mut query);
    let up = (sort == Sort::Name) != place.is_backward();
    if let Some(edge) = edge {
        let sign = if up { " > " } else { " < " };
        match sort {
            Sort::Given => {}
            Sort::Newest => drop(query.push(" and k.id").push(sign).push_bind(edge.id)),
            Sort::Name => {
                query.push(" and (k.name_key, k.id)").push(sign).push("(").push_bind(edge.name_key);
                query.push(", ").push_bind(edge.id).push(")");
            }
        }
    }
    let order = match (sort, up) {
        (Sort::Name, true) => " order by name_key, id",
        (Sort::Name, false) => " order by name_key desc, id desc",
        (_, true) => " order by id",
        (_, false) => " order by id desc",
    };
    query.push(order).push(" limit ").push_bind(i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1));
    query.push(") p").push(order);
    let rows = query.build().try_map(|it| row(&it)).fetch_all(db).await?;
    Ok(Page::new(place, size, rows))
}

fn row(it: &PgRow) -> sqlx::Result<Row> {
    Ok(Row {
        id: CompanyId(it.try_get("id")?),
        name: it.try_get("name")?,
        rut: it.try_get("rut")?,
        industry: it.try_get("industry")?,
        comuna: it.try_get("comuna")?,
        contacts: it.try_get("contacts")?,
    })
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

/// Where no company is called as `filter` searches for: the filter that lets through those that look like it.
/// None: one is, or none looks like it either.
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
