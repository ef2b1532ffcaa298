//! Addresses that must not be written to, whoever they belong to. Kept by address,
//! so that importing a person again does not bring them back.

use super::kinds::{Scope, SuppressionReason};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    db::Tx,
    error::{Error, Result},
    ids::MessageId,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};

/// An entry to make.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Channel.
    pub channel: Channel,
    /// Address, normalised.
    pub destination: &'a str,
    /// What it covers.
    pub scope: Scope,
    /// Why.
    pub reason: SuppressionReason,
    /// In words; the provider's answer for a bounce.
    pub detail: Option<&'a str>,
    /// The message that it came from.
    pub message: Option<MessageId>,
}

/// An entry in force.
#[derive(Clone, Debug)]
pub struct Suppression {
    /// Row.
    pub id: i64,
    /// What it covers.
    pub scope: Scope,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// Put an address on the list; already there is fine. Returns whether it is new.
///
/// # Errors
/// When the database fails.
pub async fn suppress(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, entry: &Entry<'_>) -> Result<bool> {
    let id = sqlx::query_scalar!(
        "insert into suppressions
             (communication_type, destination, scope, reason, detail, communication_log_id, staff_user_id, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (communication_type, destination, scope, reason) where lifted_at is null do nothing
         returning id",
        entry.channel.code(),
        entry.destination,
        entry.scope.code(),
        entry.reason.code(),
        entry.detail,
        entry.message.map(|it| it.0),
        actor.staff_id().map(|it| it.0),
        now
    )
    .fetch_optional(&mut **tx)
    .await?;
    let Some(id) = id else {
        return Ok(false);
    };
    if actor.staff_id().is_some() {
        let after = serde_json::json!({ "communication_type": entry.channel, "scope": entry.scope, "reason": entry.reason });
        let change = audit::Change {
            action: "suppression.create",
            subject_kind: "suppression",
            subject_id: Some(id),
            before: None,
            after: Some(after),
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(true)
}

/// Take an entry off the list; it stays in the history with who did it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn lift(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: i64) -> Result<()> {
    actor.require(Permission::DecideMessages)?;
    let lifted = sqlx::query!(
        "update suppressions set lifted_at = $2, lifted_by = $3 where id = $1 and lifted_at is null
         returning communication_type, scope, reason",
        id,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let before = serde_json::json!({
        "communication_type": lifted.communication_type, "scope": lifted.scope, "reason": lifted.reason
    });
    let change = audit::Change {
        action: "suppression.lift",
        subject_kind: "suppression",
        subject_id: Some(id),
        before: Some(before),
        after: None,
    };
    audit::record(tx, now, actor, change).await
}

/// The entries in force for an address.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, channel: Channel, destination: &str) -> Result<Vec<Suppression>> {
    let rows = sqlx::query!(
        "select id, scope, reason, created_at from suppressions
         where communication_type = $1 and destination = $2 and lifted_at is null order by id",
        channel.code(),
        destination
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Suppression {
                id: it.id,
                scope: Scope::from_code(&it.scope)?,
                reason: SuppressionReason::from_code(&it.reason)?,
                created_at: it.created_at,
            })
        })
        .collect())
}

/// An entry in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Row.
    pub id: i64,
    /// Channel.
    pub channel: Channel,
    /// Address.
    pub destination: String,
    /// What it covers.
    pub scope: Scope,
    /// Why.
    pub reason: SuppressionReason,
    /// The provider's answer, or a note.
    pub detail: Option<String>,
    /// The message that it came from.
    pub message: Option<MessageId>,
    /// Who, where it was a person.
    pub staff_name: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// The newest entries in force below `before`; with `search`, those whose address starts with it.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut PgConnection,
    search: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Listed>> {
    let mut sql = QueryBuilder::<Postgres>::new(
        "select s.id, s.communication_type, s.destination, s.scope, s.reason, s.detail, s.communication_log_id,
                u.name as staff_name, s.created_at
         from suppressions s left join staff_users u on u.id = s.staff_user_id
         where s.lifted_at is null",
    );
    if let Some(search) = search.map(str::trim).filter(|it| !it.is_empty()) {
        sql.push(" and starts_with(s.destination, ").push_bind(search.to_lowercase()).push(")");
    }
    if let Some(before) = before {
        sql.push(" and s.id < ").push_bind(before);
    }
    sql.push(" order by s.id desc limit ").push_bind(limit);
    let rows = sql.build().fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            let code = |column: &str| row.try_get::<String, _>(column);
            let unknown = || Error::Internal("a stored code that this build does not know".to_owned());
            Ok(Listed {
                id: row.try_get("id")?,
                channel: Channel::from_code(&code("communication_type")?).ok_or_else(unknown)?,
                destination: code("destination")?,
                scope: Scope::from_code(&code("scope")?).ok_or_else(unknown)?,
                reason: SuppressionReason::from_code(&code("reason")?).ok_or_else(unknown)?,
                detail: row.try_get("detail")?,
                message: row.try_get::<Option<i64>, _>("communication_log_id")?.map(MessageId),
                staff_name: row.try_get("staff_name")?,
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}
