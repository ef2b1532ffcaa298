//! One change to many people: asked for, looked at, called off, taken back. The
//! engine that does it is [`run`]; what a change is, `contacts` knows.

pub mod draft;
pub mod run;
mod told;

use crate::{
    access::{Actor, Permission},
    audit,
    chile::format,
    contacts::{
        bulk_edit::{self, Edit, Stood},
        contact_list::Filter,
        vocabulary::Lifecycle,
    },
    db::Tx,
    error::{Error, Result},
    ids::{BulkActionId, InterestId, ListId, StaffId},
    segments::{list_bulk, whom},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

/// Where a bulk action stands. The arrows are drawn in `migrations/0010_views.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Asked for.
    Pending,
    /// Being done.
    Running,
    /// Everybody was looked at.
    Done,
    /// Called off by a person.
    Cancelled,
    /// What people were to be given is gone.
    Failed,
    /// Being taken back.
    Undoing,
    /// Taken back.
    Undone,
}

impl Status {
    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Status> {
        Some(match code {
            "PENDING" => Status::Pending,
            "RUNNING" => Status::Running,
            "DONE" => Status::Done,
            "CANCELLED" => Status::Cancelled,
            "FAILED" => Status::Failed,
            "UNDOING" => Status::Undoing,
            "UNDONE" => Status::Undone,
            _ => return None,
        })
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Status::Pending => "En espera",
            Status::Running => "En curso",
            Status::Done => "Terminado",
            Status::Cancelled => "Cancelado",
            Status::Failed => "Fallido",
            Status::Undoing => "Deshaciéndose",
            Status::Undone => "Deshecho",
        }
    }

    /// Whether the engine has it in hand.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Status::Pending | Status::Running | Status::Undoing)
    }

    /// Whether it can be called off.
    #[must_use]
    pub fn can_be_cancelled(self) -> bool {
        matches!(self, Status::Pending | Status::Running)
    }

    /// Whether it can be taken back.
    #[must_use]
    pub fn can_be_undone(self) -> bool {
        matches!(self, Status::Done | Status::Cancelled | Status::Failed)
    }
}

/// What the stored `action` does, as people read it.
#[must_use]
pub fn action_label(action: &str) -> Option<&'static str> {
    Some(match action {
        "TAG" => "Agregar un interés",
        "UNTAG" => "Quitar un interés",
        "OWNER" => "Cambiar el responsable",
        "LIFECYCLE" => "Cambiar la etapa",
        "STAGE" => "Poner en el embudo",
        "LIST" => "Agregar a una lista",
        "UNLIST" => "Quitar de una lista",
        _ => return None,
    })
}

/// What is done to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They are given a fact of their own.
    Fact(Edit),
    /// They are given a place on a list.
    List(ListId),
    /// They lose their place on a list.
    Unlist(ListId),
}

impl Change {
    /// Give it to `contacts`; gives whom it changed, and how they stood.
    async fn apply(
        self,
        tx: &mut Tx<'_>,
        now: DateTime<Utc>,
        actor: &Actor,
        contacts: &[i64],
    ) -> Result<Stood> {
        match self {
            Change::Fact(edit) => bulk_edit::apply(tx, now, actor, edit, contacts).await,
            Change::List(list) => {
                let added = list_bulk::attach(tx, now, actor, list, contacts).await?;
                Ok(added.into_iter().map(|id| (id, serde_json::Value::Null)).collect())
            }
            Change::Unlist(list) => {
                Ok(list_bulk::take_off(tx, now, actor, list, contacts).await?.into_iter().collect())
            }
        }
    }

    /// Take it back from those who still stand as it left them; gives who they are.
    async fn restore(
        self,
        tx: &mut Tx<'_>,
        now: DateTime<Utc>,
        actor: &Actor,
        stood: &Stood,
    ) -> Result<Vec<i64>> {
        match self {
            Change::Fact(edit) => bulk_edit::restore(tx, now, actor, edit, stood).await,
            Change::List(list) => list_bulk::detach(tx, now, actor, list, &stood.ids).await,
            Change::Unlist(list) => {
                list_bulk::put_back(tx, now, actor, list, (&stood.ids, &stood.before)).await
            }
        }
    }
}

/// A bulk action.
#[derive(Clone, Debug)]
pub struct BulkAction {
    /// Row.
    pub id: BulkActionId,
    /// Where it stands.
    pub status: Status,
    /// What it does, in words: `Etiquetar con «Masajes»`.
    pub title: String,
    /// What it does.
    pub change: Change,
    /// What people are given, as it was called when it was asked for.
    pub target: String,
    /// Whom it is about.
    pub total: i64,
    /// Looked at so far.
    pub done: i64,
    /// Changed so far; the others were so already.
    pub changed: i64,
    /// Taken back so far.
    pub undone: i64,
    /// Left alone by the undoing, since somebody changed them after.
    pub kept: i64,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by_name: String,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    created_by: Option<i64>,
    undone_by: Option<i64>,
    undone_by_name: Option<String>,
}

impl BulkAction {
    /// Percent of the running step.
    #[must_use]
    pub fn percent(&self) -> i64 {
        match self.status {
            Status::Pending => 0,
            Status::Undoing => (self.undone + self.kept) * 100 / self.changed.max(1),
            _ => self.done * 100 / self.total.max(1),
        }
    }
}

struct Stored {
    id: i64,
    status: String,
    action: String,
    target_id: Option<i64>,
    target_code: Option<String>,
    target_name: String,
    total: i64,
    done: i64,
    changed: i64,
    undone: i64,
    kept: i64,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    created_by: Option<i64>,
    created_by_name: String,
    finished_at: Option<DateTime<Utc>>,
    undone_by: Option<i64>,
    undone_by_name: Option<String>,
}

impl TryFrom<Stored> for BulkAction {
    type Error = Error;

    fn try_from(it: Stored) -> Result<BulkAction> {
        let unreadable = || Error::Internal(format!("bulk action {} cannot be read", it.id));
        let target = it.target_id.ok_or_else(unreadable);
        let change = match it.action.as_str() {
            "TAG" => Change::Fact(Edit::Tag(InterestId(target?))),
            "UNTAG" => Change::Fact(Edit::Untag(InterestId(target?))),
            "OWNER" => Change::Fact(Edit::Owner(it.target_id.map(StaffId))),
            "LIST" => Change::List(ListId(target?)),
            "UNLIST" => Change::Unlist(ListId(target?)),
            "LIFECYCLE" => Change::Fact(Edit::Lifecycle(
                it.target_code.as_deref().and_then(Lifecycle::from_code).ok_or_else(unreadable)?,
            )),
            "STAGE" => Change::Fact(Edit::Stage(target?)),
            _ => return Err(unreadable()),
        };
        Ok(BulkAction {
            id: BulkActionId(it.id),
            status: Status::from_code(&it.status).ok_or_else(unreadable)?,
            title: title(change, &it.target_name),
            change,
            target: it.target_name,
            total: it.total,
            done: it.done,
            changed: it.changed,
            undone: it.undone,
            kept: it.kept,
            failure: it.failure,
            created_at: it.created_at,
            created_by: it.created_by,
            created_by_name: it.created_by_name,
            finished_at: it.finished_at,
            undone_by: it.undone_by,
            undone_by_name: it.undone_by_name,
        })
    }
}

fn title(change: Change, target: &str) -> String {
    let edit = match change {
        Change::List(_) => return format!("Agregar a la lista «{target}»"),
        Change::Unlist(_) => return format!("Quitar de la lista «{target}»"),
        Change::Fact(edit) => edit,
    };
    match edit {
        Edit::Tag(_) => format!("Agregar el interés «{target}»"),
        Edit::Untag(_) => format!("Quitar el interés «{target}»"),
        Edit::Owner(None) => "Dejar sin responsable".to_owned(),
        Edit::Owner(Some(_)) => format!("Dejar a cargo de {target}"),
        Edit::Lifecycle(_) => format!("Pasar a la etapa {target}"),
        Edit::Stage(_) => format!("Poner en «{target}» del embudo"),
    }
}

/// How many people a list with `filter` shows: whom a bulk action would be about.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut PgConnection, now: DateTime<Utc>, filter: &Filter) -> Result<i64> {
    whom::everybody(db, now, filter).await?.count(db, i64::MAX).await
}

/// Ask for a change to everybody whom a list with `filter` shows: who they are is written down
/// here, so that it is done to those who were shown, and the engine does it next.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] when it isn't said what to do, when it is about nobody, or about
/// others than the form said; or the database's.
pub async fn create(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    draft: &draft::Draft,
    filter: &Filter,
) -> Result<BulkActionId> {
    actor.require(Permission::EditContacts)?;
    let (change, target) = draft.check(tx, now, actor).await?;
    let (target_id, target_code) = match change {
        Change::Fact(Edit::Tag(it) | Edit::Untag(it)) => (Some(it.0), None),
        Change::Fact(Edit::Owner(it)) => (it.map(|it| it.0), None),
        Change::Fact(Edit::Lifecycle(it)) => (None, Some(it.code())),
        Change::Fact(Edit::Stage(it)) => (Some(it), None),
        Change::List(it) | Change::Unlist(it) => (Some(it.0), None),
    };
    let id = sqlx::query_scalar!(
        "insert into bulk_actions (action, target_id, target_code, target_name, filter, created_at, created_by, created_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
        draft.action,
        target_id,
        target_code,
        target,
        filter.facts(),
        now,
        actor.staff_id().map(|it| it.0),
        actor.label()
    )
    .fetch_one(&mut **tx)
    .await?;
    let total = write_down(tx, now, BulkActionId(id), filter).await?;
    if total == 0 {
        return Err(Error::invalid("action", "Ya no hay nadie así: no se cambió a nadie."));
    }
    if draft.shown.is_some_and(|it| it != total) {
        let people = format::count(total, "persona", "personas");
        return Err(Error::invalid(
            "action",
            format!(
                "Mientras lo mirabas cambió a cuántas toca: ahora a {people}. Revísalo y confirma de nuevo."
            ),
        ));
    }
    let after = json!({ "action": draft.action, "target": target, "filter": filter.facts() });
    record(tx, now, actor, "bulk_action.create", BulkActionId(id), after).await?;
    Ok(BulkActionId(id))
}

/// Write down whom it is about: what happens to the list from here on changes nothing any more. Gives how many.
async fn write_down(tx: &mut Tx<'_>, now: DateTime<Utc>, id: BulkActionId, filter: &Filter) -> Result<i64> {
    let everybody = whom::everybody(tx, now, filter).await?;
    let total = everybody.write_down(tx, "bulk_action_rows (bulk_action_id, contact_id)", id.0).await?;
    sqlx::query!("update bulk_actions set total = $2 where id = $1", id.0, total).execute(&mut **tx).await?;
    Ok(total)
}

/// The bulk action `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: impl PgExecutor<'_>, id: BulkActionId) -> Result<BulkAction> {
    let row = sqlx::query_as!(
        Stored,
        "select id, status, action, target_id, target_code, target_name, total, done, changed, undone, kept,
            failure, created_at, created_by, created_by_name, finished_at, undone_by, undone_by_name
         from bulk_actions where id = $1",
        id.0
    )
    .fetch_optional(db)
    .await?;
    row.ok_or(Error::NotFound)?.try_into()
}

/// The latest bulk actions below row `before`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: impl PgExecutor<'_>, before: Option<i64>, limit: i64) -> Result<Vec<BulkAction>> {
    let rows = sqlx::query_as!(
        Stored,
        "select id, status, action, target_id, target_code, target_name, total, done, changed, undone, kept,
            failure, created_at, created_by, created_by_name, finished_at, undone_by, undone_by_name
         from bulk_actions where id < coalesce($1, 9223372036854775807) order by id desc limit $2",
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(BulkAction::try_from).collect()
}

/// Call it off: who was changed so far stays so.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when it is over; or the database's.
pub async fn cancel(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: BulkActionId) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    let cancelled = sqlx::query!(
        "update bulk_actions set status = 'CANCELLED', finished_at = $2 where id = $1 and status in ('PENDING', 'RUNNING')",
        id.0,
        now
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if cancelled == 0 {
        return Err(Error::refused("Este cambio ya terminó: no hay nada que cancelar. Puedes deshacerlo."));
    }
    record(tx, now, actor, "bulk_action.cancel", id, json!({ "status": "CANCELLED" })).await
}

/// Ask for it to be taken back: the engine does it next.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when it is running or taken back already; or the database's.
pub async fn ask_undo(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: BulkActionId) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    let begun = sqlx::query!(
        "update bulk_actions set status = 'UNDOING', checkpoint = 0, kept = 0, failure = null,
            undone_by = $2, undone_by_name = $3
         where id = $1 and status in ('DONE', 'CANCELLED', 'FAILED')",
        id.0,
        actor.staff_id().map(|it| it.0),
        actor.label()
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if begun == 0 {
        return Err(Error::refused("Este cambio está en marcha o ya se deshizo. Se deja como está."));
    }
    record(tx, now, actor, "bulk_action.undo", id, json!({ "status": "UNDOING" })).await
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    id: BulkActionId,
    after: serde_json::Value,
) -> Result<()> {
    let change = audit::Change {
        action,
        subject_kind: "bulk_action",
        subject_id: Some(id.0),
        before: None,
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await
}

/// In whose name the engine works: who asked for it, or for its undoing, with what they may do by now.
async fn asker(tx: &mut Tx<'_>, action: &BulkAction) -> Result<Actor> {
    let (id, name) = match (action.status, &action.undone_by_name) {
        (Status::Undoing, Some(name)) => (action.undone_by, name),
        _ => (action.created_by, &action.created_by_name),
    };
    Actor::asking(&mut **tx, id, name).await
}

/// What became of it, in a sentence.
#[must_use]
pub fn outcome(it: &BulkAction) -> String {
    let people = |count| format::count(count, "persona", "personas");
    let same = it.done - it.changed;
    let first = match it.status {
        Status::Pending | Status::Running => return String::new(),
        Status::Undoing | Status::Undone => format!("Se deshizo en {}.", people(it.undone)),
        _ => format!("Cambió a {}.", people(it.changed)),
    };
    let mut said = vec![first];
    if it.status == Status::Done && same > 0 {
        said.push(match (same, it.changed) {
            (1, 0) => "Ya estaba así.".to_owned(),
            (_, 0) => "Ya estaban así.".to_owned(),
            (1, _) => "La otra ya estaba así.".to_owned(),
            _ => format!("Las otras {} ya estaban así.", format::number(same)),
        });
    }
    if matches!(it.status, Status::Cancelled | Status::Failed) && it.total > it.done {
        let left = it.total - it.done;
        said.push(format!("{} {} sin mirar.", if left == 1 { "Quedó" } else { "Quedaron" }, people(left)));
    }
    if it.kept > 0 {
        let changed = if it.kept == 1 {
            "cambió después y se dejó como está"
        } else {
            "cambiaron después y se dejaron como están"
        };
        said.push(format!("{} {changed}.", people(it.kept)));
    }
    said.join(" ")
}
