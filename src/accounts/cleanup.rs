//! Forgetting what is of no more use: sessions that ended, old wrong passwords.

use crate::error::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// Delete sessions that expired a day ago or more, and wrong passwords older than
/// two days. Returns how many rows went.
///
/// # Errors
/// When the database fails.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let sessions = sqlx::query!("delete from staff_sessions where expires_at < $1", now - TimeDelta::days(1))
        .execute(db)
        .await?;
    let failures = sqlx::query!("delete from login_failures where failed_at < $1", now - TimeDelta::days(2))
        .execute(db)
        .await?;
    Ok(sessions.rows_affected() + failures.rows_affected())
}
