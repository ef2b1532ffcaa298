//! Accounts of the staff: who there is, what they may do, and who may change that.

use crate::{
    access::{Actor, Permission, Role},
    accounts::{login, password, session},
    audit::{self, Change},
    config::Config,
    db::Tx,
    error::{Error, FieldError, OnConstraint, Result},
    ids::StaffId,
    settings,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgExecutor;

/// One account.
#[derive(Clone, Debug)]
pub struct StaffUser {
    /// The row.
    pub id: StaffId,
    /// Signs in with it; lower case.
    pub email: String,
    /// As others see them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// May sign in.
    pub active: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Last sign-in.
    pub last_login_at: Option<DateTime<Utc>>,
}

/// What an account is made of.
#[derive(Clone, Debug)]
pub struct NewStaff {
    /// Signs in with it.
    pub email: String,
    /// As others see them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// First password.
    pub password: String,
}

struct Row {
    id: i64,
    email: String,
    name: String,
    role: String,
    active: bool,
    created_at: DateTime<Utc>,
    last_login_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for StaffUser {
    type Error = Error;

    fn try_from(row: Row) -> Result<StaffUser> {
        Ok(StaffUser {
            id: StaffId(row.id),
            email: row.email,
            name: row.name,
            role: Role::from_code(&row.role)
                .ok_or_else(|| Error::Internal(format!("unknown role {}", row.role)))?,
            active: row.active,
            created_at: row.created_at,
            last_login_at: row.last_login_at,
        })
    }
}

/// Every account, active ones first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<StaffUser>> {
    sqlx::query_as!(
        Row,
        "select id, email, name, role, active, created_at, last_login_at
         from staff_users order by active desc, lower(name), id"
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .map(StaffUser::try_from)
    .collect()
}

/// One account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn find(db: impl PgExecutor<'_>, id: StaffId) -> Result<StaffUser> {
    sqlx::query_as!(
        Row,
        "select id, email, name, role, active, created_at, last_login_at from staff_users where id = $1",
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?
    .try_into()
}

/// Whether nobody has an account yet.
///
/// # Errors
/// When the database fails.
pub async fn is_nobody(db: impl PgExecutor<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar!(r#"select not exists (select from staff_users) as "it!""#).fetch_one(db).await?)
}

/// An address as we keep it: trimmed, in lower case.
///
/// # Errors
/// [`Error::Invalid`] at the field `email`.
pub fn normal_email(text: &str) -> Result<String> {
    let text = text.trim().to_lowercase();
    if settings::is_address(&text) {
        Ok(text)
    } else {
        Err(Error::invalid("email", "Escribe un correo como nombre@negocio.cl."))
    }
}

/// Create an account.
///
/// # Errors
/// [`Error::Forbidden`] when the actor may not give that role; [`Error::Invalid`] at `email`, `name` or `password`.
pub async fn create(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, new: NewStaff) -> Result<StaffId> {
    require_over(actor, new.role)?;
    let mut wrong = Vec::new();
    let email = keep(normal_email(&new.email), &mut wrong)?;
    let name = keep(normal_name(&new.name), &mut wrong)?;
    keep(password::check_new(&new.password, new.email.trim()), &mut wrong)?;
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let hash = password::hash(new.password).await?;
    let (email, name) = (email.unwrap_or_default(), name.unwrap_or_default());
    let id = sqlx::query_scalar!(
        "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $5) returning id",
        email,
        name,
        new.role.code(),
        hash,
        now,
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("staff_users_email_once", || {
        Error::invalid("email", "Ya hay una cuenta con este correo.")
    })?;
    let after = json!({ "email": email, "name": name, "role": new.role.code() });
    note(tx, now, actor, "staff.create", StaffId(id), None, Some(after)).await?;
    Ok(StaffId(id))
}

/// Change an account's name and role.
///
/// # Errors
/// [`Error::Forbidden`] over a superadministrator, [`Error::Refused`] for the last active one.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: StaffId,
    name: &str,
    role: Role,
) -> Result<()> {
    let user = lock(tx, actor, id).await?;
    require_over(actor, role)?;
    let name = normal_name(name)?;
    if user.role == Role::SuperAdmin && role != Role::SuperAdmin {
        refuse_losing_the_last(tx, &user).await?;
    }
    sqlx::query!(
        "update staff_users set name = $2, role = $3, updated_at = $4 where id = $1",
        id.0,
        name,
        role.code(),
        now
    )
    .execute(&mut **tx)
    .await?;
    if user.role != role {
        // A session opened with the old role must not outlive it unnoticed in another browser.
        let except = None;
        if actor.staff_id() != Some(id) {
            session::end_all(tx, id, except).await?;
        }
    }
    let before = json!({ "name": user.name, "role": user.role.code() });
    let after = json!({ "name": name, "role": role.code() });
    note(tx, now, actor, "staff.update", id, Some(before), Some(after)).await
}

/// Close an account, or open it again. Closing ends its sessions.
///
/// # Errors
/// [`Error::Refused`] for one's own account and for the last active superadministrator.
pub async fn set_active(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: StaffId,
    active: bool,
) -> Result<StaffUser> {
    let user = lock(tx, actor, id).await?;
    if !active {
        if actor.staff_id() == Some(id) {
            return Err(Error::refused(
                "No puedes desactivar tu propia cuenta. Pídeselo a otra persona que administre el equipo.",
            ));
        }
        if user.role == Role::SuperAdmin {
            refuse_losing_the_last(tx, &user).await?;
        }
        session::end_all(tx, id, None).await?;
    }
    sqlx::query!("update staff_users set active = $2, updated_at = $3 where id = $1", id.0, active, now)
        .execute(&mut **tx)
        .await?;
    let action = if active { "staff.activate" } else { "staff.deactivate" };
    let (before, after) = (json!({ "active": user.active }), json!({ "active": active }));
    note(tx, now, actor, action, id, Some(before), Some(after)).await?;
    Ok(user)
}

/// Give an account a password made by us, to be told by hand. Ends its sessions, and the wait after
/// too many wrong ones.
///
/// # Errors
/// [`Error::Forbidden`] over a superadministrator.
pub async fn reset_password(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: StaffId,
) -> Result<(StaffUser, String)> {
    let user = lock(tx, actor, id).await?;
    let fresh = password::generate();
    replace_password(tx, now, config, &user, &fresh).await?;
    note(tx, now, actor, "staff.reset_password", id, None, None).await?;
    Ok((user, fresh))
}

/// Give an account a password that was chosen for it, as whoever has a shell on the server may: a sole administrator who
/// forgot theirs has nobody to ask. Ends its sessions, and the wait after too many wrong ones.
///
/// # Errors
/// [`Error::Refused`] when nobody has that address; [`Error::Invalid`] at `password`; [`Error::Forbidden`] over a
/// superadministrator.
pub async fn set_password(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    email: &str,
    fresh: &str,
) -> Result<StaffUser> {
    let email = normal_email(email)?;
    let id = sqlx::query_scalar!("select id from staff_users where email = $1", email)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| {
            Error::refused(format!("Nadie tiene una cuenta con el correo {email}. No se cambió nada."))
        })?;
    let user = lock(tx, actor, StaffId(id)).await?;
    password::check_new(fresh, &user.email)?;
    replace_password(tx, now, config, &user, fresh).await?;
    note(tx, now, actor, "staff.set_password", user.id, None, None).await?;
    Ok(user)
}

async fn replace_password(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    config: &Config,
    user: &StaffUser,
    fresh: &str,
) -> Result<()> {
    store_password(tx, now, user.id, fresh).await?;
    session::end_all(tx, user.id, None).await?;
    login::forget(tx, config, &user.email).await
}

/// Let an account sign in at once that too many wrong passwords keep out.
///
/// # Errors
/// [`Error::Forbidden`] over a superadministrator.
pub async fn unlock(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: StaffId,
) -> Result<()> {
    let user = lock(tx, actor, id).await?;
    login::forget(tx, config, &user.email).await?;
    note(tx, now, actor, "staff.unlock", id, None, None).await
}

/// Change one's own password, knowing the present one. Ends one's other sessions
/// and gives how many.
///
/// # Errors
/// [`Error::Invalid`] at `current_password` or `password`.
pub async fn change_own_password(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    current: &str,
    fresh: &str,
    this_session: i64,
) -> Result<u64> {
    let id = actor.staff_id().ok_or(Error::Forbidden)?;
    let row = sqlx::query!("select email, password_hash from staff_users where id = $1 for update", id.0)
        .fetch_one(&mut **tx)
        .await?;
    if password::verify(current.to_owned(), Some(row.password_hash)).await? == password::Verdict::Wrong {
        return Err(Error::invalid("current_password", "No es tu contraseña actual."));
    }
    password::check_new(fresh, &row.email)?;
    store_password(tx, now, id, fresh).await?;
    let ended = session::end_all(tx, id, Some(this_session)).await?;
    note(tx, now, actor, "staff.change_password", id, None, None).await?;
    Ok(ended)
}

/// Change one's own name.
///
/// # Errors
/// [`Error::Invalid`] at `name`.
pub async fn rename_own(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, name: &str) -> Result<()> {
    let id = actor.staff_id().ok_or(Error::Forbidden)?;
    let name = normal_name(name)?;
    let before = find(&mut **tx, id).await?.name;
    sqlx::query!("update staff_users set name = $2, updated_at = $3 where id = $1", id.0, name, now)
        .execute(&mut **tx)
        .await?;
    let (before, after) = (json!({ "name": before }), json!({ "name": name }));
    note(tx, now, actor, "staff.rename", id, Some(before), Some(after)).await
}

async fn store_password(tx: &mut Tx<'_>, now: DateTime<Utc>, id: StaffId, fresh: &str) -> Result<()> {
    let hash = password::hash(fresh.to_owned()).await?;
    sqlx::query!("update staff_users set password_hash = $2, updated_at = $3 where id = $1", id.0, hash, now)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The account, if `actor` may touch it, locked together with the active superadministrators: all in the order
/// of their ids, so that two who change each other wait for each other instead of standing in a deadlock.
async fn lock(tx: &mut Tx<'_>, actor: &Actor, id: StaffId) -> Result<StaffUser> {
    sqlx::query!(
        "select id from staff_users where id = $1 or (role = 'SUPERADMIN' and active) order by id for update",
        id.0
    )
    .fetch_all(&mut **tx)
    .await?;
    let user = find(&mut **tx, id).await?;
    require_over(actor, user.role)?;
    Ok(user)
}

/// Only a superadministrator may touch or make one.
fn require_over(actor: &Actor, role: Role) -> Result<()> {
    actor.require(Permission::ManageStaff)?;
    match actor {
        Actor::Staff { role: own, .. } if role == Role::SuperAdmin && *own != Role::SuperAdmin => {
            Err(Error::Forbidden)
        }
        _ => Ok(()),
    }
}

async fn refuse_losing_the_last(tx: &mut Tx<'_>, user: &StaffUser) -> Result<()> {
    // Locked already, with the account itself.
    let others =
        sqlx::query_scalar!("select id from staff_users where role = 'SUPERADMIN' and active order by id")
            .fetch_all(&mut **tx)
            .await?;
    if others.iter().any(|it| *it != user.id.0) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "{} es la última cuenta activa con rol Superadministrador: sin ella nadie podría administrar las demás. \
         No se cambió nada. Da antes ese rol a otra persona.",
        user.name
    )))
}

fn normal_name(text: &str) -> Result<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Error::invalid("name", "Escribe un nombre de hasta 100 caracteres."));
    }
    Ok(text)
}

/// The value, or none with its wrong fields added to `wrong`; any other error passes.
fn keep<T>(result: Result<T>, wrong: &mut Vec<FieldError>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Invalid(fields)) => {
            wrong.extend(fields);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn note(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: StaffId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change = Change { action, subject_kind: "staff", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}
