//! What people on the staff changed: appended to, in the transaction of the change itself.

use crate::{access::Actor, db::Tx, error::Result};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// One change.
#[derive(Clone, Debug, Default)]
pub struct Change<'a> {
    /// Verb and noun, `campaign.launch`.
    pub action: &'a str,
    /// Noun of the row, `campaign`.
    pub subject_kind: &'a str,
    /// The row, where there is one.
    pub subject_id: Option<i64>,
    /// What it was.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
}

/// Write down that `actor` made `change`.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, change: Change<'_>) -> Result<()> {
    sqlx::query!(
        "insert into audit_events (at, staff_user_id, actor, action, subject_kind, subject_id, before, after)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        change.action,
        change.subject_kind,
        change.subject_id,
        change.before,
        change.after,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
