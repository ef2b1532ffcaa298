//! Addresses that must not be written to, whoever they belong to. Kept by address,
//! so that importing a person again does not bring them back.

use super::kinds::{Scope, SuppressionReason};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::phone::Phone,
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

/// A person wrote a word that stops promotions to their telephone; `detail` says so in words. One who stopped them
/// otherwise before stays as they are.
///
/// # Errors
/// When the database fails.
pub(super) async fn stop_by_word(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    channel: Channel,
    destination: &str,
    word: &str,
    detail: &str,
) -> Result<()> {
    sqlx::query!(
        "insert into suppressions (communication_type, destination, scope, reason, detail, word, created_at)
         values ($1, $2, 'PROMOTIONAL', 'UNSUBSCRIBED', $3, $4, $5)
         on conflict (communication_type, destination, scope, reason) where lifted_at is null do nothing",
        channel.code(),
        destination,
        detail,
        word,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Take back what a word did, and nothing else. Gives when it was written; none: there is nothing to take back.
///
/// # Errors
/// When the database fails.
pub(super) async fn lift_by_word(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    channel: Channel,
    destination: &str,
) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!(
        "update suppressions set lifted_at = $3
         where communication_type = $1 and destination = $2 and reason = 'UNSUBSCRIBED' and word is not null
           and lifted_at is null
         returning created_at",
        channel.code(),
        destination,
        now
    )
    .fetch_optional(&mut **tx)
    .await?)
}

/// The entries in force for an address.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, channel: Channel, destination: &str) -> Result<Vec<Suppression>> {
    let rows = sqlx::query!(
        "select id, scope, reason, created_at from suppressions
         where communication_type = $1 and lifted_at is null
           and (destination = $2
                or destination is null and address_hash = suppression_hash((select key from suppression_key), $2))
         order by id",
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
    /// Address; where only its hash is kept, the hint at it.
    pub destination: String,
    /// Only the hash of the address is kept.
    pub is_hidden: bool,
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

/// Addresses of somebody else's list.
#[derive(Clone, Debug)]
pub struct Foreign<'a> {
    /// Channels on which they are not to be sold to.
    pub channels: &'a [Channel],
    /// Addresses, normalised.
    pub addresses: &'a [String],
    /// Why.
    pub reason: SuppressionReason,
    /// Where the list comes from, in words.
    pub detail: &'a str,
}

/// Exclude every address of a list from promotions, keeping hashes alone. The
/// caller audits: it knows the file. Gives how many entries are new.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn exclude(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, list: &Foreign<'_>) -> Result<u64> {
    const AT_ONCE: usize = 10_000;
    actor.require(Permission::EditContacts)?;
    let channels: Vec<String> = list.channels.iter().map(|it| it.code().to_owned()).collect();
    let mut new = 0;
    for part in list.addresses.chunks(AT_ONCE) {
        let hints: Vec<String> = part.iter().map(|it| hint(it)).collect();
        new += sqlx::query!(
            "insert into suppressions
                 (communication_type, address_hash, hint, scope, reason, detail, staff_user_id, created_at)
             select channel, suppression_hash((select key from suppression_key), address), hint, 'PROMOTIONAL', $4, $5, $6, $7
             from unnest($1::text[], $2::text[]) as listed (address, hint), unnest($3::text[]) as channel
             on conflict (communication_type, address_hash, scope, reason) where lifted_at is null and destination is null
             do nothing",
            part,
            &hints,
            &channels,
            list.reason.code(),
            list.detail,
            actor.staff_id().map(|it| it.0),
            now,
        )
        .execute(&mut **tx)
        .await?
        .rows_affected();
    }
    Ok(new)
}

/// Keep of the entries of `addresses`, whose person is deleted, the hashes alone: also of those that were lifted.
///
/// # Errors
/// When the database fails.
pub(super) async fn veil(tx: &mut Tx<'_>, addresses: &[String]) -> Result<()> {
    // What a hash says already is said once.
    sqlx::query!(
        "delete from suppressions s using suppressions h
         where s.destination = any($1) and s.lifted_at is null and h.destination is null and h.lifted_at is null
           and h.communication_type = s.communication_type and h.scope = s.scope and h.reason = s.reason
           and h.address_hash = suppression_hash((select key from suppression_key), s.destination)",
        addresses
    )
    .execute(&mut **tx)
    .await?;
    let hints: Vec<String> = addresses.iter().map(|it| hint(it)).collect();
    sqlx::query!(
        "update suppressions s set destination = null, hint = u.hint,
             address_hash = suppression_hash((select key from suppression_key), u.address)
         from unnest($1::text[], $2::text[]) u (address, hint) where s.destination = u.address",
        addresses,
        &hints
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Enough of an address to recognise it by when asked, too little to write to it.
fn hint(address: &str) -> String {
    if let Some((name, domain)) = address.split_once('@') {
        return format!("{}•••@{domain}", name.chars().next().unwrap_or('•'));
    }
    let digits: Vec<char> = address.chars().collect();
    let tail: String = digits[digits.len().saturating_sub(3)..].iter().collect();
    format!("{}••••••{tail}", digits.iter().take(4).collect::<String>())
}

/// The newest entries in force below `before`; with `search`, those whose address starts with it,
/// or is it where only the hash is kept. Both are looked up in an index.
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
        "select s.id, s.communication_type, coalesce(s.destination, s.hint, '') as destination,
                s.destination is null as is_hidden, s.scope, s.reason, s.detail, s.communication_log_id,
                u.name as staff_name, s.created_at
         from suppressions s left join staff_users u on u.id = s.staff_user_id
         where s.lifted_at is null",
    );
    if let Some(search) = search.map(str::trim).filter(|it| !it.is_empty()) {
        let typed = search.to_lowercase();
        let phone = search.parse::<Phone>().ok().map(|it| it.as_str().to_owned());
        let whole = phone.clone().unwrap_or_else(|| typed.clone());
        sql.push(" and s.id = any(array(select id from suppressions where lifted_at is null and (false");
        // A telephone as it is typed is not how it is kept.
        for start in [Some(typed), phone].into_iter().flatten() {
            sql.push(" or (destination ~>=~ ").push_bind(start.clone());
            sql.push(" and destination ~<~ ").push_bind(format!("{start}{}", char::MAX)).push(")");
        }
        let channels: Vec<String> = Channel::ALL.iter().map(|it| it.code().to_owned()).collect();
        sql.push(") union all select id from suppressions where lifted_at is null and destination is null");
        sql.push(" and communication_type = any(").push_bind(channels);
        sql.push(") and address_hash = suppression_hash((select key from suppression_key), ");
        sql.push_bind(whole).push(")))");
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
                is_hidden: row.try_get("is_hidden")?,
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

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_hint_tells_too_little_to_write_to() {
        for (address, expected) in
            [("camila@x.example", "c•••@x.example"), ("+56987654321", "+569••••••321"), ("", "••••••")]
        {
            assert_eq!(hint(address), expected);
        }
    }
}
