//! What waits for a person: one statement, since the frame of each page asks it.

use crate::{error::Result, ids::StaffId};
use chrono::NaiveDate;
use sqlx::PgConnection;

/// How much waits, each counted up to what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages of which nobody knows if they left.
    pub unconfirmed: i64,
    /// What came back and nobody could match.
    pub unmatched: i64,
    /// Open tasks of the person, due by the day or before.
    pub tasks: i64,
    /// The hash of the password of the account that was asked about, where it may sign in.
    pub password_hash: Option<String>,
}

/// What waits for `owner` on `today`, counted up to `enough`; and the password's hash of the account `email`.
///
/// # Errors
/// When the database fails.
pub async fn waiting(
    db: &mut PgConnection,
    owner: StaffId,
    today: NaiveDate,
    enough: i64,
    email: &str,
) -> Result<Waiting> {
    Ok(sqlx::query_as!(
        Waiting,
        r#"select
               (select count(*) from (select from communication_logs where status = 'UNCONFIRMED' limit $3) found)
                   as "unconfirmed!",
               (select count(*) from (select from unmatched_inbound_events limit $3) found) as "unmatched!",
               (select count(*) from (select from tasks
                   where done_at is null and owner_id = $1 and due_on <= $2 limit $3) found) as "tasks!",
               (select password_hash from staff_users where email = $4 and active) as password_hash"#,
        owner.0,
        today,
        enough,
        email
    )
    .fetch_one(db)
    .await?)
}
