//! Signing in, slowly for those who guess.

use crate::{
    accounts::{
        keys::{self, Purpose},
        password::{self, Verdict},
        session,
    },
    config::Config,
    db::Tx,
    error::Result,
    ids::StaffId,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use std::net::IpAddr;

/// Failures are counted over this long, and forgotten after it.
pub const WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Wrong passwords for one address in [`WINDOW`] before it must wait.
pub const PER_ADDRESS: i64 = 5;
/// Wrong passwords from one IP in [`WINDOW`] before it must wait.
pub const PER_IP: i64 = 20;

/// What came of an attempt.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// Signed in.
    Done {
        /// Who.
        staff: StaffId,
        /// The new session's token.
        token: String,
    },
    /// Wrong address, wrong password or closed account: which, is not said.
    Wrong,
    /// Too many wrong ones lately; nothing was tried.
    Wait {
        /// When to try again.
        until: DateTime<Utc>,
        /// It is the account's address that must wait, so that an administrator can end it;
        /// else it is the network.
        is_account: bool,
    },
}

/// What is typed into the sign-in form, and from where.
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    /// Address.
    pub email: &'a str,
    /// Password.
    pub password: &'a str,
    /// The client's address, as far as we can tell.
    pub ip: Option<IpAddr>,
    /// Browser, for the list of sessions.
    pub user_agent: &'a str,
}

/// Try to sign in. Takes the same time for an unknown address as for a wrong password.
///
/// # Errors
/// When the database fails.
pub async fn attempt(
    db: &PgPool,
    now: DateTime<Utc>,
    config: &Config,
    who: Credentials<'_>,
) -> Result<Attempt> {
    let email = who.email.trim().to_lowercase();
    let address = subject(config, &email)?;
    let ip = match who.ip {
        Some(ip) => Some(keys::sign(config, Purpose::LoginFailure, format!("ip {ip}").as_bytes())?),
        None => None,
    };
    // The attempt counts as failed until it succeeds, so that many at once don't slip through together.
    let noted = note_failure(db, now, &address, ip.as_deref()).await?;
    let account = wait_until(db, now, &address, PER_ADDRESS).await?;
    let network = match &ip {
        Some(ip) => wait_until(db, now, ip, PER_IP).await?,
        None => None,
    };
    if let Some(until) = account.max(network) {
        // Nothing was tried: waiting must not make the wait longer.
        sqlx::query!("delete from login_failures where id = any($1)", &noted).execute(db).await?;
        return Ok(Attempt::Wait { until, is_account: network.is_none() });
    }
    let row = sqlx::query!("select id, password_hash from staff_users where email = $1 and active", email)
        .fetch_optional(db)
        .await?;
    let (id, hash) = row.map(|it| (it.id, it.password_hash)).unzip();
    // An endless password would be a way to keep us busy.
    let typed: String = who.password.chars().take(password::MAX_CHARS + 1).collect();
    let verdict = password::verify(typed.clone(), hash).await?;
    let (Some(id), Verdict::Right { outdated }) = (id, verdict) else {
        return Ok(Attempt::Wrong);
    };
    let mut tx = db.begin().await?;
    if outdated {
        let fresh = password::hash(typed).await?;
        sqlx::query!("update staff_users set password_hash = $2 where id = $1", id, fresh)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query!("delete from login_failures where subject = $1 or id = any($2)", &address, &noted)
        .execute(&mut *tx)
        .await?;
    let token = session::start(&mut tx, now, StaffId(id), who.user_agent).await?;
    tx.commit().await?;
    Ok(Attempt::Done { staff: StaffId(id), token })
}

/// What stands for an address in `login_failures`.
fn subject(config: &Config, email: &str) -> Result<Vec<u8>> {
    keys::sign(config, Purpose::LoginFailure, format!("address {email}").as_bytes())
}

/// Until when nobody can sign in with `email`, after too many wrong passwords.
///
/// # Errors
/// When the database fails.
pub async fn locked_until(
    db: &PgPool,
    now: DateTime<Utc>,
    config: &Config,
    email: &str,
) -> Result<Option<DateTime<Utc>>> {
    // The attempt that would be one too many is not made yet.
    wait_until(db, now, &subject(config, email)?, PER_ADDRESS - 1).await
}

/// Let the wrong passwords for `email` be forgotten. Who may do that is decided by [`super::staff::unlock`].
pub(super) async fn forget(tx: &mut Tx<'_>, config: &Config, email: &str) -> Result<()> {
    sqlx::query!("delete from login_failures where subject = $1", &subject(config, email)?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// When `subject` may try again, if more than `most` of its failures are too many.
async fn wait_until(
    db: &PgPool,
    now: DateTime<Utc>,
    subject: &[u8],
    most: i64,
) -> Result<Option<DateTime<Utc>>> {
    // The failure that is one too many: while it is inside the window, so are all after it.
    let latest = sqlx::query_scalar!(
        "select failed_at from login_failures where subject = $1 and failed_at > $2
         order by failed_at desc, id desc offset $3 limit 1",
        subject,
        now - WINDOW,
        most,
    )
    .fetch_optional(db)
    .await?;
    Ok(latest.map(|it| it + WINDOW))
}

/// Write a failure down for each subject, and give the rows.
async fn note_failure(
    db: &PgPool,
    now: DateTime<Utc>,
    address: &[u8],
    ip: Option<&[u8]>,
) -> Result<Vec<i64>> {
    let subjects: Vec<Vec<u8>> = [Some(address), ip].into_iter().flatten().map(<[u8]>::to_vec).collect();
    Ok(sqlx::query_scalar!(
        "with forgotten as (delete from login_failures where failed_at <= $3)
         insert into login_failures (subject, failed_at) select it, $2 from unnest($1::bytea[]) it
         returning id",
        &subjects,
        now,
        now - WINDOW
    )
    .fetch_all(db)
    .await?)
}
