//! Past purchases, visits and enrolments, as rows. Reading files is `imports`'.

use super::{metrics, vocabulary::HistoryKind};
use crate::{db::Tx, error::Result, ids::ImportId};
use chrono::{DateTime, NaiveDate, Utc};

/// Something that a contact once bought, came to or enrolled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub contact_id: i64,
    /// What it was.
    pub kind: HistoryKind,
    /// The day.
    pub occurred_on: NaiveDate,
    /// The product or service.
    pub item: String,
    /// Whole pesos paid in all.
    pub amount: i64,
    /// How many.
    pub quantity: i32,
}

/// Add `rows` and count their contacts again.
///
/// # Errors
/// When the database fails.
pub async fn add(tx: &mut Tx<'_>, now: DateTime<Utc>, rows: &[Row], import: Option<ImportId>) -> Result<()> {
    let contacts: Vec<i64> = rows.iter().map(|it| it.contact_id).collect();
    let kinds: Vec<String> = rows.iter().map(|it| it.kind.code().to_owned()).collect();
    let days: Vec<NaiveDate> = rows.iter().map(|it| it.occurred_on).collect();
    let items: Vec<String> = rows.iter().map(|it| it.item.clone()).collect();
    let amounts: Vec<i64> = rows.iter().map(|it| it.amount).collect();
    let quantities: Vec<i32> = rows.iter().map(|it| it.quantity).collect();
    sqlx::query!(
        "insert into history_entries (contact_id, kind, occurred_on, item, amount, quantity, import_id, created_at)
         select *, $7::bigint, $8::timestamptz
         from unnest($1::bigint[], $2::text[], $3::date[], $4::text[], $5::bigint[], $6::int[])",
        &contacts,
        &kinds,
        &days,
        &items,
        &amounts,
        &quantities,
        import.map(|it| it.0),
        now
    )
    .execute(&mut **tx)
    .await?;
    metrics::recount(tx, now, &contacts).await
}
