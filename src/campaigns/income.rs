//! What people bought after a campaign reached them. Which purchase is which campaign's is said in one place,
//! `campaign_purchases` of the database, which `messaging::story` asks too for the people behind the number.

use crate::{error::Result, ids::CampaignId, messaging::story};
use sqlx::PgExecutor;
use std::collections::BTreeMap;

/// What some people bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// People who bought something.
    pub people: i64,
    /// Purchases, visits and enrolments with an amount.
    pub purchases: i64,
    /// Pesos.
    pub amount: i64,
}

/// What a campaign brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Income {
    /// All of it.
    pub all: Sum,
    /// By the place of the text, where the campaign tries several.
    pub texts: BTreeMap<i16, Sum>,
}

/// What the campaign `id` brought so far.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, id: CampaignId) -> Result<Income> {
    let rows = sqlx::query!(
        r#"select variant, grouping(variant) = 1 as "is_all!", count(distinct contact_id) as "people!", count(*) as "purchases!",
               coalesce(sum(amount), 0)::bigint as "amount!"
           from campaign_purchases($1, $2) group by grouping sets ((), (variant))"#,
        id.0,
        story::BUYS_WITHIN_DAYS
    )
    .fetch_all(db)
    .await?;
    let mut income = Income::default();
    for it in rows {
        let sum = Sum { people: it.people, purchases: it.purchases, amount: it.amount };
        match (it.is_all, it.variant) {
            (true, _) => income.all = sum,
            (false, Some(place)) => drop(income.texts.insert(place, sum)),
            (false, None) => {}
        }
    }
    Ok(income)
}
