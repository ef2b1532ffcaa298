//! Lists of contacts: filters, search, two orders, pages by keyset. The dynamic
//! SQL of contacts is here and nowhere else.

use super::{
    contact::full_name,
    search::Search,
    vocabulary::{Kind, Lifecycle, Source},
};
use crate::{
    db::keyset::{Page, Place},
    error::Result,
    ids::{CompanyId, ContactId, ImportId},
};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The latest made first.
    #[default]
    Newest,
    /// By name.
    Name,
}

/// Which contacts. Everything absent lets all through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words of name, email, phone or company; or a company's RUT.
    pub q: String,
    /// Those who work there.
    pub company: Option<CompanyId>,
    /// CUT code of a comuna, or the two digits of a region: theirs, else their company's.
    pub comuna: Option<String>,
    /// Line of business of their company.
    pub industry: Option<String>,
    /// Private persons, or people at companies.
    pub kind: Option<Kind>,
    /// Where they came from.
    pub source: Option<Source>,
    /// How far the relationship has come.
    pub lifecycle: Option<Lifecycle>,
    /// Whether promotions by email may reach them: an address, a basis, not excluded.
    pub contactable: Option<bool>,
    /// Made by this import.
    pub import: Option<ImportId>,
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

const CONTACTABLE: &str = "(c.email is not null and c.email_basis is not null and not exists (
    select 1 from suppressions s
    where s.communication_type = 'EMAIL' and s.destination = c.email and s.lifted_at is null))";

impl Filter {
    /// Whether it lets all through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Search::parse(&self.q).is_none()
            && self.company.is_none()
            && self.comuna.is_none()
            && self.industry.is_none()
            && self.kind.is_none()
            && self.source.is_none()
            && self.lifecycle.is_none()
            && self.contactable.is_none()
            && self.import.is_none()
    }

    /// Conditions on `contacts c` beside the search.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(company) = self.company {
            query.push(" and c.company_id = ").push_bind(company.0);
        }
        if let Some(code) = &self.comuna {
            push_comuna(query, code);
        }
        if let Some(industry) = &self.industry {
            query
                .push(" and c.company_id in (select id from companies where industry = ")
                .push_bind(industry.clone())
                .push(")");
        }
        match self.kind {
            Some(Kind::Person) => drop(query.push(" and c.company_id is null")),
            Some(Kind::Business) => drop(query.push(" and c.company_id is not null")),
            None => {}
        }
        if let Some(source) = self.source {
            query.push(" and c.source = ").push_bind(source.code());
        }
        if let Some(lifecycle) = self.lifecycle {
            query.push(" and c.lifecycle = ").push_bind(lifecycle.code());
        }
        if let Some(contactable) = self.contactable {
            query.push(if contactable { " and " } else { " and not " }).push(CONTACTABLE);
        }
        if let Some(import) = self.import {
            query.push(" and c.import_id = ").push_bind(import.0);
        }
    }
}

/// The ids of the people who bear the words themselves, by the index; of those not yet sorted into it one by one.
fn push_people(query: &mut QueryBuilder<Postgres>, search: &Search) {
    query.push("select w.contact_id as id from contact_words w where ");
    search.push(query, "w.words");
    query.push(" union all select a.id from contact_words_pending p join contacts a on a.id between p.first_id and p.last_id where ");
    search.push(query, "a.search_key");
}

/// The companies that are searched for, as an array.
fn push_companies(query: &mut QueryBuilder<Postgres>, search: &Search) {
    query.push("array(select k.id from companies k where ");
    search.push(query, "k.name_key");
    if let Some(rut) = &search.rut {
        query.push(" or k.rut = ").push_bind(rut.clone());
    }
    query.push(" limit 1000)");
}

/// What a search came to.
enum Found {
    /// Nothing was searched for.
    All,
    /// These rows: few enough to be taken by their ids.
    Rows(Vec<i64>),
    /// So many that any stretch of the list holds some: they are met by walking it.
    Many(Search),
}

/// Most rows that are taken by their ids.
const FEW: i64 = 2000;

impl Found {
    /// Look for the words first, by the trigrams alone. Left to itself, Postgres
    /// walks the ordered list for rare words too, at a price that grows with the table.
    async fn search(db: &mut PgConnection, q: &str) -> Result<Found> {
        let Some(search) = Search::parse(q) else { return Ok(Found::All) };
        let mut query = QueryBuilder::new("(");
        push_people(&mut query, &search);
        query
            .push(" limit ")
            .push_bind(FEW + 1)
            .push(") union (select c.id from contacts c where c.company_id = any (");
        push_companies(&mut query, &search);
        query.push(") limit ").push_bind(FEW + 1).push(")");
        let ids: Vec<i64> = query.build_query_scalar().fetch_all(db).await?;
        let few = i64::try_from(ids.len()).is_ok_and(|it| it <= FEW);
        Ok(if few { Found::Rows(ids) } else { Found::Many(search) })
    }

    /// `whole`: all of them are wanted at once, so that the index serves better than walking.
    fn push(&self, query: &mut QueryBuilder<Postgres>, whole: bool) {
        match self {
            Found::All => {}
            Found::Rows(ids) => drop(query.push(" and c.id = any (").push_bind(ids.clone()).push(")")),
            Found::Many(search) => {
                query.push(" and (");
                if whole {
                    query.push("c.id in (");
                    push_people(query, search);
                    query.push(")");
                } else {
                    search.push(query, "c.search_key");
                }
                query.push(" or c.company_id = any (");
                push_companies(query, search);
                query.push("))");
            }
        }
    }
}

fn push_comuna(query: &mut QueryBuilder<Postgres>, code: &str) {
    // A region is every code that starts with its two digits.
    let (from, until) = if code.len() == 2 {
        (format!("{code}000"), format!("{code}999"))
    } else {
        (code.to_owned(), code.to_owned())
    };
    query.push(" and (c.comuna between ").push_bind(from.clone()).push(" and ").push_bind(until.clone());
    query
        .push(" or (c.comuna is null and c.company_id in (select id from companies where comuna between ")
        .push_bind(from)
        .push(" and ")
        .push_bind(until)
        .push(")))");
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

async fn page_of(
    db: &mut PgConnection,
    filter: &Filter,
    found: &Found,
    sort: Sort,
    place: Place,
    size: usize,
) -> Result<Page<Row>> {
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
        (Sort::Newest, true) => " order by id",
        (Sort::Newest, false) => " order by id desc",
        (Sort::Name, true) => " order by search_key, id",
        (Sort::Name, false) => " order by search_key desc, id desc",
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
