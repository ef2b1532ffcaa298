//! Forgetting what is of no more use: sessions that ended, old wrong passwords, uploads that nobody decided on.

use crate::{error::Result, imports};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// Days that an upload waits to be confirmed or corrected.
const UPLOAD_DAYS: i64 = 30;

/// Delete sessions that expired a day ago or more, wrong passwords older than two
/// days, and the data of uploads that waited a month. Returns how many went.
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
    let uploads = imports::expire(db, now, now - TimeDelta::days(UPLOAD_DAYS)).await?;
    Ok(sessions.rows_affected() + failures.rows_affected() + uploads)
}
