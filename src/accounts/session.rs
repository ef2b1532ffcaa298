//! Sessions: a random token that only its bearer has, and what we keep about it.

use crate::{
    access::{Actor, Role},
    accounts::keys,
    db::Tx,
    error::Result,
    ids::StaffId,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};

/// A session unused for this long is over.
pub const IDLE: TimeDelta = TimeDelta::hours(12);
/// A session is over after this long, used or not.
pub const LONGEST: TimeDelta = TimeDelta::days(14);
/// How often the time of the last use is written down: not at each page.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(5);

/// Someone signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The row.
    pub id: i64,
    /// Who.
    pub staff: StaffId,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// What each of their forms carries.
    pub csrf_token: String,
    /// What the next page says once.
    pub notice: Option<Value>,
}

impl Session {
    /// On whose behalf the code runs.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::Staff { id: self.staff, name: self.name.clone(), role: self.role }
    }
}

/// What a cookie stands for.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// Someone.
    Live(Session),
    /// Someone once: too long unused, too old, or the account was closed.
    Expired,
}

/// A session as it is kept, with whose it is.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The row.
    pub id: i64,
    /// Whose.
    pub staff: StaffId,
    /// What each of their forms carries.
    pub csrf_token: String,
    /// What the next page says once.
    pub notice: Option<Value>,
    /// Last used, to within five minutes.
    pub last_seen_at: DateTime<Utc>,
    /// Over from then on, used or not.
    pub expires_at: DateTime<Utc>,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Code of what they may do.
    pub role: String,
    /// May sign in.
    pub active: bool,
}

/// A session in the list of one's own.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The row.
    pub id: i64,
    /// The browser, as it calls itself.
    pub user_agent: String,
    /// Signed in.
    pub created_at: DateTime<Utc>,
    /// Last used, to within five minutes.
    pub last_seen_at: DateTime<Utc>,
}

/// Open a session for `staff` and give its token, which is kept nowhere else.
///
/// # Errors
/// When the database fails.
pub async fn start(tx: &mut Tx<'_>, now: DateTime<Utc>, staff: StaffId, user_agent: &str) -> Result<String> {
    let token = keys::random_token();
    let user_agent: String = user_agent.chars().take(300).collect();
    sqlx::query!(
        "insert into staff_sessions
            (token_hash, staff_user_id, csrf_token, user_agent, created_at, last_seen_at, expires_at)
         values ($1, $2, $3, $4, $5, $5, $6)",
        &digest(&token),
        staff.0,
        keys::random_token(),
        user_agent,
        now,
        now + LONGEST,
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("update staff_users set last_login_at = $2 where id = $1", staff.0, now)
        .execute(&mut **tx)
        .await?;
    // Sessions that are long over are of no use to anyone.
    sqlx::query!("delete from staff_sessions where expires_at < $1", now - TimeDelta::days(1))
        .execute(&mut **tx)
        .await?;
    Ok(token)
}

/// Whom the session `row` stands for. Writes down that it was used.
///
/// # Errors
/// When the database fails.
pub async fn recognise(db: &mut PgConnection, now: DateTime<Utc>, row: Kept) -> Result<Lookup> {
    let over = row.expires_at <= now || row.last_seen_at + IDLE <= now || !row.active;
    let Some(role) = Role::from_code(&row.role).filter(|_| !over) else { return Ok(Lookup::Expired) };
    if row.last_seen_at + TOUCH_EVERY <= now {
        sqlx::query!("update staff_sessions set last_seen_at = $2 where id = $1", row.id, now)
            .execute(db)
            .await?;
    }
    Ok(Lookup::Live(Session {
        id: row.id,
        staff: row.staff,
        name: row.name,
        email: row.email,
        role,
        csrf_token: row.csrf_token,
        notice: row.notice,
    }))
}

/// Keep what the session's next page says, or forget it.
///
/// # Errors
/// When the database fails.
pub async fn set_notice(db: &PgPool, session: i64, notice: Option<Value>) -> Result<()> {
    sqlx::query!("update staff_sessions set notice = $2 where id = $1", session, notice).execute(db).await?;
    Ok(())
}

/// End one session, as its owner asks. Gives whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn end(tx: &mut Tx<'_>, owner: StaffId, session: i64) -> Result<bool> {
    let done =
        sqlx::query!("delete from staff_sessions where id = $1 and staff_user_id = $2", session, owner.0)
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// End every session of `owner` but `except`.
///
/// # Errors
/// When the database fails.
pub async fn end_all(tx: &mut Tx<'_>, owner: StaffId, except: Option<i64>) -> Result<u64> {
    let done = sqlx::query!(
        "delete from staff_sessions where staff_user_id = $1 and id is distinct from $2",
        owner.0,
        except
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// The live sessions of `owner`, last used first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &PgPool, now: DateTime<Utc>, owner: StaffId) -> Result<Vec<Listed>> {
    Ok(sqlx::query_as!(
        Listed,
        "select id, user_agent, created_at, last_seen_at from staff_sessions
         where staff_user_id = $1 and expires_at > $2 and last_seen_at > $3
         order by last_seen_at desc, id desc",
        owner.0,
        now,
        now - IDLE,
    )
    .fetch_all(db)
    .await?)
}

/// What is kept of `token`.
#[must_use]
pub fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
