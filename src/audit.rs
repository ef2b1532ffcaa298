//! What people on the staff changed: appended to, in the transaction of the change itself.

use crate::{access::Actor, db::Tx, error::Result, ids::StaffId};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;

/// One change.
#[derive(Clone, Debug, Default)]
pub struct Change<'a> {
    /// Verb and noun, `campaign.launch`.
    pub action: &'a str,
    /// Noun of the row, `campaign`.
    pub subject_kind: &'a str,
    /// The row, where there is one.
    pub subject_id: Option<i64>,
    /// What it was.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
}

/// Write down that `actor` made `change`.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, change: Change<'_>) -> Result<()> {
    sqlx::query!(
        "insert into audit_events (at, staff_user_id, actor, action, subject_kind, subject_id, before, after)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        change.action,
        change.subject_kind,
        change.subject_id,
        change.before,
        change.after,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What became of one row, where many change alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The row.
    pub id: i64,
    /// What it was; none for what was made.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
}

/// Write down that `actor` did one thing to many rows, each with what it was and became.
///
/// # Errors
/// When the database fails.
pub async fn record_each(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    subject_kind: &str,
    told: &[Told],
) -> Result<()> {
    let ids: Vec<i64> = told.iter().map(|it| it.id).collect();
    let before: Vec<Option<Value>> = told.iter().map(|it| it.before.clone()).collect();
    let after: Vec<Option<Value>> = told.iter().map(|it| it.after.clone()).collect();
    sqlx::query!(
        "insert into audit_events (at, staff_user_id, actor, action, subject_kind, subject_id, before, after)
         select $1, $2, $3, $4, $5, id, before, after
         from unnest($6::bigint[], $7::jsonb[], $8::jsonb[]) m (id, before, after)",
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        action,
        subject_kind,
        &ids,
        &before as &[Option<Value>],
        &after as &[Option<Value>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One change, as read.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The row.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who, as shown.
    pub actor: String,
    /// Verb and noun.
    pub action: String,
    /// Noun of the row.
    pub subject_kind: String,
    /// The row, where there is one.
    pub subject_id: Option<i64>,
    /// What it was.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
}

/// Which changes to read.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// Only of this person.
    pub staff: Option<StaffId>,
    /// Only of rows of this noun.
    pub subject_kind: Option<&'a str>,
    /// Only of this row.
    pub subject_id: Option<i64>,
}

/// Where a page of changes starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// With the newest.
    #[default]
    Newest,
    /// Below this row.
    OlderThan(i64),
    /// Above this row.
    NewerThan(i64),
}

/// At most `limit` changes, newest first; next to the place's row.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &Filter<'_>,
    place: Place,
    limit: i64,
) -> Result<Vec<Entry>> {
    if let Place::NewerThan(id) = place {
        let mut entries = sqlx::query_as!(
            Entry,
            "select id, at, actor, action, subject_kind, subject_id, before, after from audit_events
             where ($1::bigint is null or staff_user_id = $1)
               and ($2::text is null or subject_kind = $2)
               and ($3::bigint is null or subject_id = $3)
               and id > $4
             order by id limit $5",
            filter.staff.map(|it| it.0),
            filter.subject_kind,
            filter.subject_id,
            id,
            limit
        )
        .fetch_all(db)
        .await?;
        entries.reverse();
        return Ok(entries);
    }
    let before = match place {
        Place::OlderThan(id) => id,
        Place::Newest | Place::NewerThan(_) => i64::MAX,
    };
    Ok(sqlx::query_as!(
        Entry,
        "select id, at, actor, action, subject_kind, subject_id, before, after from audit_events
         where ($1::bigint is null or staff_user_id = $1)
           and ($2::text is null or subject_kind = $2)
           and ($3::bigint is null or subject_id = $3)
           and id < $4
         order by id desc limit $5",
        filter.staff.map(|it| it.0),
        filter.subject_kind,
        filter.subject_id,
        before,
        limit
    )
    .fetch_all(db)
    .await?)
}

/// Nouns that were ever changed, in order.
///
/// # Errors
/// When the database fails.
pub async fn kinds(db: impl PgExecutor<'_>) -> Result<Vec<String>> {
    // Skips from noun to noun along the index instead of reading every row.
    Ok(sqlx::query_scalar!(
        r#"with recursive kind as (
               (select subject_kind from audit_events order by subject_kind limit 1)
               union all
               select (select subject_kind from audit_events where subject_kind > kind.subject_kind
                       order by subject_kind limit 1)
               from kind where kind.subject_kind is not null
           )
           select subject_kind as "it!" from kind where subject_kind is not null"#
    )
    .fetch_all(db)
    .await?)
}
