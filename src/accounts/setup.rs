//! The first account: from the environment, or by the one-time link of the first-run wizard.

use crate::{
    access::{Actor, Role},
    accounts::{
        keys::{self, Purpose},
        staff::{self, NewStaff},
    },
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::StaffId,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// How the link is called where it is printed, and where people are told to look for it.
pub const LINK_LABEL: &str = "Primer uso";

/// What the token signs. It is bound to nothing else: it opens only while nobody has an account.
const SUBJECT: &[u8] = b"first run";

/// The token of the set-up link, the same at each start until the first account exists.
///
/// # Errors
/// When no secret key was given or made.
pub fn token(config: &Config) -> Result<String> {
    keys::sign_text(config, Purpose::Setup, SUBJECT)
}

/// The whole set-up link, where one is needed: while nobody has an account.
///
/// # Errors
/// When the database fails.
pub async fn link(db: &PgPool, config: &Config) -> Result<Option<String>> {
    if !staff::is_nobody(db).await? {
        return Ok(None);
    }
    Ok(Some(format!("{}/setup?token={}", config.public_url, token(config)?)))
}

/// Whether `token` opens the wizard now.
///
/// # Errors
/// When the database fails.
pub async fn is_open(db: &PgPool, config: &Config, token: &str) -> Result<bool> {
    Ok(keys::is_signed(config, Purpose::Setup, SUBJECT, token)? && staff::is_nobody(db).await?)
}

/// Make the first superadministrator. Two at once: the second is refused.
///
/// # Errors
/// [`Error::Refused`] when someone has an account; [`Error::Invalid`] at `email`, `name` or `password`.
pub async fn first_account(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    email: String,
    name: String,
    password: String,
) -> Result<StaffId> {
    sqlx::query!("lock table staff_users in share row exclusive mode").execute(&mut **tx).await?;
    if !staff::is_nobody(&mut **tx).await? {
        return Err(Error::refused(
            "La puesta en marcha ya se hizo. No se cambió nada: entra con tu correo y tu contraseña.",
        ));
    }
    let new = NewStaff { email, name, role: Role::SuperAdmin, password };
    staff::create(tx, now, &Actor::System, new).await
}

/// Make the account of `ADMIN_EMAIL` and `ADMIN_PASSWORD`, if they are set and
/// nobody has an account. Gives the address of the account made.
///
/// # Errors
/// A Spanish sentence when the variables can't be used.
pub async fn ensure_first_admin(db: &PgPool, now: DateTime<Utc>, config: &Config) -> Result<Option<String>> {
    let Some((email, password)) = &config.admin else { return Ok(None) };
    if !staff::is_nobody(db).await? {
        return Ok(None);
    }
    let mut tx = db.begin().await?;
    let name = email.split('@').next().unwrap_or("Administración").to_owned();
    match first_account(&mut tx, now, email.clone(), name, password.reveal().to_owned()).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Some(email.clone()))
        }
        // Another replica was first.
        Err(Error::Refused(_)) => Ok(None),
        Err(Error::Invalid(fields)) => {
            let reasons: Vec<_> = fields.iter().map(|it| it.message.as_str()).collect();
            Err(Error::refused(format!(
                "ADMIN_EMAIL y ADMIN_PASSWORD no sirven para la primera cuenta: {}",
                reasons.join(" ")
            )))
        }
        Err(error) => Err(error),
    }
}
