//! Between two numbers, two days or two instants, either end open, as conditions of SQL.

use crate::chile::time;
use chrono::NaiveDate;
use sqlx::{Postgres, QueryBuilder};

/// A statement in the making.
pub(super) type Query = QueryBuilder<Postgres>;

/// `column between low and high`, either open.
pub(super) fn push_range<T>(query: &mut Query, column: &str, low: Option<T>, high: Option<T>)
where
    T: 'static + Send + Sync + for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
{
    query.push("true");
    if let Some(low) = low {
        query.push(" and ").push(column).push(" >= ").push_bind(low);
    }
    if let Some(high) = high {
        query.push(" and ").push(column).push(" <= ").push_bind(high);
    }
}

/// Local days, as instants.
pub(super) fn push_instants(
    query: &mut Query,
    column: &str,
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
) {
    query.push("true");
    if let Some(from) = from {
        query.push(" and ").push(column).push(" >= ").push_bind(time::start_of_day(from));
    }
    if let Some(next) = until.and_then(|it| it.succ_opt()) {
        query.push(" and ").push(column).push(" < ").push_bind(time::start_of_day(next));
    }
}
