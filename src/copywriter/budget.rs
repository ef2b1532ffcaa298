//! The month's budget: what is spent of it, what is kept for calls under way, and whether it bears another.

use super::terms::Terms;
use crate::{
    chile::{format, time},
    db::{Tx, locks},
    error::{Error, Result},
};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use sqlx::PgExecutor;

/// First day of the local month of `now`.
#[must_use]
pub fn month(now: DateTime<Utc>) -> NaiveDate {
    let today = time::local_date(now);
    today.with_day(1).unwrap_or(today)
}

/// How a month stands, in millionths of a peso.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// What it may cost.
    pub budget: i64,
    /// What its calls cost, those under way at the most they may.
    pub spent: i64,
    /// What is kept for calls to come.
    pub reserved: i64,
}

impl Spending {
    /// What is left.
    #[must_use]
    pub fn left(&self) -> i64 {
        (self.budget - self.spent - self.reserved).max(0)
    }
}

/// How the month of `now` stands.
///
/// # Errors
/// When the database fails.
pub async fn spending(db: impl PgExecutor<'_>, now: DateTime<Utc>, terms: &Terms) -> Result<Spending> {
    let it = sqlx::query!(
        r#"select (select coalesce(sum(cost_micro), 0)::bigint from copy_calls where month = $1) as "spent!",
                  (select coalesce(sum(reserved_micro), 0)::bigint from copy_requests
                   where status in ('PENDING', 'RUNNING')) as "reserved!""#,
        month(now)
    )
    .fetch_one(db)
    .await?;
    Ok(Spending { budget: terms.budget_micro(), spent: it.spent, reserved: it.reserved })
}

/// Whether the month bears `most` more. Nobody else is answered until the transaction ends, so what it then keeps for
/// itself is kept.
///
/// # Errors
/// [`Error::Refused`] when it does not, or the database's.
pub async fn bear(tx: &mut Tx<'_>, now: DateTime<Utc>, terms: &Terms, most: i64) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::COPY_BUDGET).fetch_one(&mut **tx).await?;
    let spending = spending(&mut **tx, now, terms).await?;
    if most <= spending.left() {
        return Ok(());
    }
    if terms.monthly_budget == 0 {
        return Err(Error::refused(
            "El presupuesto mensual de la IA está en cero, así que no se pidió nada. El borrador sigue igual. Fija uno \
             en Ajustes, Textos con IA.",
        ));
    }
    Err(Error::refused(format!(
        "No se pidió: podría costar {} y del presupuesto de este mes, {}, quedan {}. El borrador sigue igual. Sube el \
         presupuesto en Ajustes, Textos con IA, o espera al próximo mes.",
        format::fine_money(most),
        format::money(i64::from(terms.monthly_budget)),
        format::fine_money(spending.left()),
    )))
}
