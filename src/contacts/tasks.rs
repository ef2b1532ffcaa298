//! What staff is to do: call this one, send that one a quote. With whom, who does
//! it, and until when.

use super::{
    check::{self, Check},
    company::Outcome,
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::time,
    db::{
        Tx,
        keyset::{Edge, Key, Page, Place},
    },
    error::{Error, OnConstraint as _, Result},
    ids::{ContactId, StaffId, TaskId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgExecutor, Postgres, QueryBuilder, Row as _, postgres::PgRow};

/// A task as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// What is to be done.
    pub title: String,
    /// Anything else.
    pub detail: String,
    /// Row of the contact it is about; empty: none.
    pub contact_id: String,
    /// Row of who does it; empty: nobody yet.
    pub owner_id: String,
    /// The day; empty: today.
    pub due_on: String,
}

/// A task, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// What is to be done.
    pub title: String,
    /// Anything else.
    pub detail: Option<String>,
    /// The contact it is about.
    pub contact_id: Option<i64>,
    /// Who does it.
    pub owner_id: Option<i64>,
    /// The day.
    pub due_on: NaiveDate,
}

impl Draft {
    /// The task that was typed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self, now: DateTime<Utc>) -> Result<Details> {
        let mut check = Check::default();
        let details = Details {
            title: check.short("title", &self.title),
            detail: check.long("detail", &self.detail),
            contact_id: self.contact_id.trim().parse().ok(),
            owner_id: self.owner_id.trim().parse().ok(),
            due_on: check.date("due_on", &self.due_on).unwrap_or_else(|| time::local_date(now)),
        };
        if details.title.is_empty() {
            check.wrong("title", "Escribe qué hay que hacer, por ejemplo «Llamar por la cotización».");
        }
        check.done()?;
        Ok(details)
    }
}

/// A task as it stands.
#[derive(Clone, Debug)]
pub struct Task {
    /// Row.
    pub id: TaskId,
    /// What is to be done.
    pub title: String,
    /// Anything else.
    pub detail: Option<String>,
    /// The contact it is about, with their name.
    pub contact: Option<(ContactId, String)>,
    /// Who does it.
    pub owner_id: Option<StaffId>,
    /// Their name.
    pub owner: Option<String>,
    /// The day.
    pub due_on: NaiveDate,
    /// When it was done.
    pub done_at: Option<DateTime<Utc>>,
    /// Who did it.
    pub done_by: Option<String>,
    /// Last change of what it says: what an edit must have seen.
    pub updated_at: DateTime<Utc>,
}

impl Task {
    /// Where a list that passes `filter` goes on.
    #[must_use]
    pub fn edge(&self, filter: Filter) -> Edge {
        let key = if filter.done { Key::At(self.done_at) } else { Key::Day(self.due_on) };
        Edge { id: self.id.0, key }
    }

    /// As it would be typed.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft {
            title: self.title.clone(),
            detail: self.detail.clone().unwrap_or_default(),
            contact_id: self.contact.as_ref().map(|it| it.0.to_string()).unwrap_or_default(),
            owner_id: self.owner_id.map(|it| it.to_string()).unwrap_or_default(),
            due_on: self.due_on.to_string(),
        }
    }
}

/// Which tasks to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this person.
    pub owner: Option<StaffId>,
    /// About this contact.
    pub contact: Option<ContactId>,
    /// Due on this day or before.
    pub until: Option<NaiveDate>,
    /// Done ones, latest first; else open ones, most urgent first.
    pub done: bool,
}

const COLUMNS: &str = "select t.id, t.title, t.detail, t.contact_id, t.owner_id, o.name as owner, t.due_on, t.done_at, coalesce(t.updated_at, t.created_at) as updated_at, d.name as done_by,
        c.first_name, c.last_name, c.email, c.phone
    from tasks t
    left join contacts c on c.id = t.contact_id
    left join staff_users o on o.id = t.owner_id
    left join staff_users d on d.id = t.done_by
    where true";

/// A page of at most `size` tasks that pass `filter`. Done ones are paged forward only.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>, filter: Filter, place: Place, size: usize) -> Result<Page<Task>> {
    let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
    sql.push(if filter.done { " and t.done_at is not null" } else { " and t.done_at is null" });
    if let Some(owner) = filter.owner {
        sql.push(" and t.owner_id = ").push_bind(owner.0);
    }
    if let Some(contact) = filter.contact {
        sql.push(" and t.contact_id = ").push_bind(contact.0);
    }
    if let Some(until) = filter.until {
        sql.push(" and t.due_on <= ").push_bind(until);
    }
    let key = if filter.done { "done_at" } else { "due_on" };
    let place =
        place.sorted_by(|key| matches!((filter.done, key), (true, Key::At(_)) | (false, Key::Day(_))));
    let forward = place.is_backward() == filter.done;
    if let Some(edge) = place.edge() {
        sql.push(format!(" and (t.{key}, t.id) {} (", if forward { ">" } else { "<" }));
        match edge.key {
            Key::Day(day) => sql.push_bind(day),
            Key::At(at) => sql.push_bind(at),
            Key::Row | Key::Number(_) | Key::Text(_) => sql.push("null"),
        };
        sql.push(", ").push_bind(edge.id).push(")");
    }
    let order = if forward { "asc" } else { "desc" };
    sql.push(format!(" order by t.{key} {order}, t.id {order} limit "))
        .push_bind(i64::try_from(size + 1).unwrap_or(i64::MAX));
    let rows = sql.build().fetch_all(db).await?;
    let tasks = rows.iter().map(task).collect::<Result<Vec<_>>>()?;
    Ok(Page::new(&place, size, tasks))
}

fn task(row: &PgRow) -> Result<Task> {
    let contact: Option<i64> = row.try_get("contact_id")?;
    let named = |id| -> Result<(ContactId, String)> {
        let name = super::contact::full_name(
            row.try_get("first_name")?,
            row.try_get("last_name")?,
            row.try_get("email")?,
            row.try_get("phone")?,
        );
        Ok((ContactId(id), name))
    };
    Ok(Task {
        id: TaskId(row.try_get("id")?),
        title: row.try_get("title")?,
        detail: row.try_get("detail")?,
        contact: contact.map(named).transpose()?,
        owner_id: row.try_get::<Option<i64>, _>("owner_id")?.map(StaffId),
        owner: row.try_get("owner")?,
        due_on: row.try_get("due_on")?,
        done_at: row.try_get("done_at")?,
        done_by: row.try_get("done_by")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// One task.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: TaskId) -> Result<Task> {
    let mut sql = QueryBuilder::<Postgres>::new(COLUMNS);
    sql.push(" and t.id = ").push_bind(id.0);
    let row = sql.build().fetch_optional(db).await?.ok_or(Error::NotFound)?;
    task(&row)
}

/// Write a task down.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] for a contact that is gone; or the database's.
pub async fn create(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, details: &Details) -> Result<TaskId> {
    actor.require(Permission::EditContacts)?;
    if let Some(contact) = details.contact_id {
        super::merge::hold(tx, ContactId(contact)).await?;
    }
    let id = sqlx::query_scalar!(
        "insert into tasks (title, detail, contact_id, owner_id, due_on, created_by, created_at)
         values ($1, $2, $3, $4, $5, $6, $7) returning id",
        details.title,
        details.detail,
        details.contact_id,
        details.owner_id,
        details.due_on,
        actor.staff_id().map(|it| it.0),
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("tasks_owner_id_fkey", || Error::NotFound)?;
    record(tx, now, actor, "task.create", id, None, Some(json!(details))).await?;
    Ok(TaskId(id))
}

/// Change a task that was read when its `updated_at` was `seen`. Whom it is about stays.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: TaskId,
    seen: DateTime<Utc>,
    details: &Details,
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    sqlx::query!("select id from tasks where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    let task = get(&mut **tx, id).await?;
    let before = task.draft().check(now)?;
    let after = Details { contact_id: before.contact_id, ..details.clone() };
    if before == after {
        return Ok(Outcome::Unchanged);
    }
    if task.updated_at != seen {
        return Ok(Outcome::Stale);
    }
    sqlx::query!(
        "update tasks set title = $2, detail = $3, owner_id = $4, due_on = $5, updated_at = $6 where id = $1",
        id.0,
        after.title,
        after.detail,
        after.owner_id,
        after.due_on,
        now
    )
    .execute(&mut **tx)
    .await
    .on_constraint("tasks_owner_id_fkey", || Error::NotFound)?;
    let (before, after) = check::changed(&json!(before), &json!(after));
    record(tx, now, actor, "task.update", id.0, Some(before), Some(after)).await?;
    Ok(Outcome::Saved)
}

/// Say that a task is done, or that it is not after all; false: it was so already.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn set_done(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: TaskId,
    done: bool,
) -> Result<bool> {
    actor.require(Permission::EditContacts)?;
    let was = sqlx::query_scalar!(
        r#"select done_at is not null as "done!" from tasks where id = $1 for update"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    if was == done {
        return Ok(false);
    }
    sqlx::query!(
        "update tasks set done_at = $2, done_by = $3 where id = $1",
        id.0,
        done.then_some(now),
        actor.staff_id().filter(|_| done).map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    record(tx, now, actor, "task.done", id.0, Some(json!({ "done": was })), Some(json!({ "done": done })))
        .await?;
    Ok(true)
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: i64,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "task", subject_id: Some(id), before, after };
    audit::record(tx, now, actor, change).await
}
