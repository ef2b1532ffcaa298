//! Who asks for a page, and what waits for them: one statement, since each page asks both.

use crate::{
    accounts::session::{Kept, digest},
    error::Result,
    ids::StaffId,
};
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

/// The session that is kept for `token`, and what waits for whose it is on `today`, counted up to `enough`; with the
/// password's hash of the account `email`. None: no session is kept for it.
///
/// # Errors
/// When the database fails.
pub async fn caller(
    db: &mut PgConnection,
    token: &str,
    today: NaiveDate,
    enough: i64,
    email: &str,
) -> Result<Option<(Kept, Waiting)>> {
    let row = sqlx::query!(
        r#"select s.id, s.staff_user_id as "staff: StaffId", s.csrf_token, s.notice, s.last_seen_at, s.expires_at,
               u.name, u.email, u.role, u.active,
               (select count(*) from (select from communication_logs where status = 'UNCONFIRMED' limit $3) found)
                   as "unconfirmed!",
               (select count(*) from (select from unmatched_inbound_events limit $3) found) as "unmatched!",
               (select count(*) from (select from tasks
                   where done_at is null and owner_id = s.staff_user_id and due_on <= $2 limit $3) found) as "tasks!",
               (select password_hash from staff_users where email = $4 and active) as password_hash
           from staff_sessions s join staff_users u on u.id = s.staff_user_id
           where s.token_hash = $1"#,
        &digest(token),
        today,
        enough,
        email
    )
    .fetch_optional(&mut *db)
    .await?;
    Ok(row.map(|it| {
        let kept = Kept {
            id: it.id,
            staff: it.staff,
            csrf_token: it.csrf_token,
            notice: it.notice,
            last_seen_at: it.last_seen_at,
            expires_at: it.expires_at,
            name: it.name,
            email: it.email,
            role: it.role,
            active: it.active,
        };
        let waiting = Waiting {
            unconfirmed: it.unconfirmed,
            unmatched: it.unmatched,
            tasks: it.tasks,
            password_hash: it.password_hash,
        };
        (kept, waiting)
    }))
}
