//! What a list of contacts tells of each, and how that is read: the columns beside their own are read only where they
//! are shown.

use super::{
    columns::Column,
    contact::full_name,
    vocabulary::{Lifecycle, Source},
};
use crate::ids::{CompanyId, ContactId};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Decode, Postgres, QueryBuilder, Row as _, Type, postgres::PgRow};

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

/// What is read of each that stands beside them, in tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beside {
    /// Visits, what they spent, their latest sign of life. Unread: zeros.
    pub(super) figures: bool,
    /// The names of their interests. Unread: none.
    pub(super) interests: bool,
}

impl Beside {
    /// All of it.
    pub(super) const ALL: Beside = Beside { figures: true, interests: true };
    /// Nothing of it: who they are is enough.
    pub(super) const NONE: Beside = Beside { figures: false, interests: false };

    /// What `columns` show.
    #[must_use]
    pub(super) fn of(columns: &[Column]) -> Beside {
        let shows = |some: &[Column]| some.iter().any(|it| columns.contains(it));
        Beside {
            figures: shows(&[Column::Visits, Column::Spent, Column::LastActivity]),
            interests: shows(&[Column::Interests]),
        }
    }

    /// Select it beside what every row has; what follows is a `from` with `contacts c`.
    pub(super) fn push_columns(self, query: &mut QueryBuilder<Postgres>) {
        query.push(OWN).push(if self.figures { FIGURES } else { NO_FIGURES });
        query.push(if self.interests { INTERESTS } else { ", null::text as interests" });
    }

    /// The joins that it needs for a page. The limit keeps Postgres from reading everybody's figures for a few.
    pub(super) fn push_joins_of_page(self, query: &mut QueryBuilder<Postgres>) {
        query.push(JOINS);
        if self.figures {
            query.push(
                " left join lateral (select visits, spent, last_activity_at from contact_metrics
                    where contact_id = c.id limit 1) m on true",
            );
        }
    }

    /// The same for everybody.
    pub(super) fn push_joins_of_all(self, query: &mut QueryBuilder<Postgres>) {
        query.push(JOINS);
        if self.figures {
            query.push(" left join contact_metrics m on m.contact_id = c.id");
        }
    }
}

/// The limits keep Postgres from reading all of the list of exclusion into a table of its own. Digests, which take longer
/// than all else, are only made where some address is known by its digest alone; the order has that looked for in its index.
const OWN: &str =
    "select c.id, c.first_name, c.last_name, c.job_title, c.email, c.phone, c.company_id, k.name as company,
    k.rut as company_rut, coalesce(c.comuna, k.comuna) as comuna, c.lifecycle, c.email_basis is not null as has_basis,
    coalesce((select true from suppressions s where s.communication_type = 'EMAIL' and s.destination = c.email
              and s.lifted_at is null limit 1),
             case when (select true from suppressions s where s.communication_type = 'EMAIL' and s.destination is null
                        and s.lifted_at is null order by s.address_hash, s.scope, s.reason limit 1)
             then (select true from suppressions s where s.communication_type = 'EMAIL' and s.destination is null
                   and s.address_hash = suppression_hash((select key from suppression_key), c.email)
                   and s.lifted_at is null limit 1) end, false) as excluded,
    c.source, o.name as owner, c.birth_date, c.created_at, c.search_key";

const FIGURES: &str = ", coalesce(m.visits, 0) as visits, coalesce(m.spent, 0) as spent, m.last_activity_at";

const NO_FIGURES: &str = ", 0 as visits, 0::bigint as spent, null::timestamptz as last_activity_at";

const INTERESTS: &str = ",
    (select string_agg(i.name, ', ' order by i.key) from contact_interests t join interests i on i.id = t.interest_id
     where t.contact_id = c.id) as interests";

const JOINS: &str =
    " left join companies k on k.id = c.company_id left join staff_users o on o.id = c.owner_id";

/// A row of what [`Beside::push_columns`] selects, read in its order: a thousand columns looked up by their names show in
/// what a page costs.
pub(super) fn read(it: &PgRow) -> sqlx::Result<Row> {
    let mut cells = Cells { row: it, next: 0 };
    let id = ContactId(cells.next()?);
    let (first_name, last_name): (String, String) = (cells.next()?, cells.next()?);
    let job_title = cells.next()?;
    let (email, phone): (Option<String>, Option<String>) = (cells.next()?, cells.next()?);
    Ok(Row {
        id,
        name: full_name(&first_name, &last_name, email.as_deref(), phone.as_deref()),
        first_name,
        last_name,
        job_title,
        email,
        phone,
        company_id: cells.next::<Option<i64>>()?.map(CompanyId),
        company: cells.next()?,
        company_rut: cells.next()?,
        comuna: cells.next()?,
        lifecycle: Lifecycle::from_code(cells.next()?).unwrap_or(Lifecycle::Lead),
        has_basis: cells.next()?,
        excluded: cells.next()?,
        source: Source::from_code(cells.next()?).unwrap_or(Source::Other),
        owner: cells.next()?,
        birth_date: cells.next()?,
        created_at: cells.next()?,
        search_key: cells.next()?,
        visits: cells.next()?,
        spent: cells.next()?,
        last_activity_at: cells.next()?,
        interests: cells.next()?,
    })
}

/// The columns of a row, one after another.
struct Cells<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Cells<'r> {
    fn next<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> sqlx::Result<T> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at)
    }
}
