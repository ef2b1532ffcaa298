//! The engine: reads what was uploaded, simulates it, writes what was confirmed,
//! takes back what is to be undone. Each step is one transaction, so that a
//! process that dies in it leaves nothing, and the next one begins it again.

mod apply;
mod read;

use super::{Import, Kind, Status, undo};
use crate::{
    contacts,
    db::{Tx, locks},
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Times that a step may be cut off before the file is held to be the cause.
const MAX_ATTEMPTS: i32 = 5;
/// What is said of an undo that can't be done.
const NO_WAY_BACK: &str = "No se puede deshacer esta importación: chocaría con algo que se creó después, como otra empresa con el mismo nombre. Se deja todo como está.";
const UNDO_CUT_OFF: &str = "Se interrumpió cinco veces al deshacerla y dejamos de intentarlo. Se deja todo como está. Vuelve a intentarlo más tarde.";
/// Times that a step is tried again because somebody took a row meanwhile.
const MAX_COLLISIONS: u32 = 5;

/// What a call of the engine did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// There was nothing to do.
    Idle,
    /// A step of an import was taken.
    Worked(u64),
}

/// Take the next step of the oldest import that nobody is working on.
///
/// # Errors
/// When the database fails and there is no other import to go on with; what is wrong with a file is
/// written to its import instead.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<Pass> {
    let waiting = sqlx::query_scalar!(
        "select id from imports where status in ('UPLOADED', 'ANALYSING', 'APPLYING', 'UNDOING') order by id limit 50"
    )
    .fetch_all(db)
    .await?;
    let mut failed = None;
    for id in waiting {
        match step(db, now, ImportId(id)).await {
            Ok(true) => return Ok(Pass::Worked(1)),
            Ok(false) => (),
            // One that fails time and again must not keep the others waiting.
            Err(error) => {
                tracing::warn!(import.id = id, error = error.description(), "A step of an import failed");
                failed = failed.or(Some(error));
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    // Nobody waits for it, so it isn't part of the import; the command line leaves it to the server.
    contacts::search_index::tidy(db).await?;
    Ok(Pass::Idle)
}

/// Take the next step of the import `id`, unless another process has it in hand.
///
/// # Errors
/// When the database fails.
pub async fn step(db: &PgPool, now: DateTime<Utc>, id: ImportId) -> Result<bool> {
    for collision in 0.. {
        let mut tx = db.begin().await?;
        if !take(&mut tx, id).await? {
            return Ok(false);
        }
        let import = super::get(&mut *tx, id).await?;
        if !import.status.is_running() || !begin(db, now, &import, collision == 0).await? {
            return Ok(false);
        }
        let done = match import.status {
            Status::Applying => apply::apply(db, &mut tx, now, &import).await,
            Status::Undoing => undo::undo(&mut tx, now, &import).await,
            _ => read::analyse(db, &mut tx, now, &import).await,
        };
        match done {
            Ok(()) => {
                tx.commit().await?;
                if import.status == Status::Applying && import.kind == Kind::History {
                    contacts::silent::tidy(db).await?;
                }
                return Ok(true);
            }
            Err(Stop::Cancelled) => {
                tx.rollback().await?;
                end(db, now, id, Status::Cancelled, None).await?;
                return Ok(true);
            }
            Err(Stop::Unreadable(sentence)) => {
                // The layout was found before the fault, and helps to correct it.
                tx.rollback().await?;
                end(db, now, id, Status::Failed, Some(&sentence)).await?;
                return Ok(true);
            }
            Err(Stop::Fault(error)) if is_collision(&error) && collision < MAX_COLLISIONS => {
                tx.rollback().await?;
            }
            Err(Stop::Fault(error)) if import.status == Status::Undoing && is_taken(&error) => {
                tx.rollback().await?;
                undo::leave(&mut *db.acquire().await?, id, NO_WAY_BACK).await?;
                return Ok(true);
            }
            Err(Stop::Fault(error)) => {
                tx.rollback().await.ok();
                if error.may_pass() {
                    forgive(db, id).await;
                }
                return Err(error);
            }
        }
    }
    Ok(false)
}

/// The database was away, or short of room: that attempt says nothing of the file.
async fn forgive(db: &PgPool, id: ImportId) {
    // If it is still away, the attempt counts; that is the worst of it.
    sqlx::query!("update imports set attempts = attempts - 1 where id = $1 and attempts > 0", id.0)
        .execute(db)
        .await
        .ok();
}

/// Why a step stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// A person gave the import up.
    Cancelled,
    /// The file is at fault; the sentence is for the user.
    Unreadable(String),
    /// We, the disk or the database are at fault.
    Fault(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Fault(error.into())
    }
}

/// Hold the import for as long as the transaction lives; false: another process has it.
async fn take(tx: &mut Tx<'_>, id: ImportId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock($1, $2) as "taken!""#,
        locks::IMPORT,
        locks::key(id.0)
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Write down, at once, that a step begins. False: it is over for this import.
async fn begin(db: &PgPool, now: DateTime<Utc>, import: &Import, anew: bool) -> Result<bool> {
    let begun = sqlx::query!(
        "update imports set attempts = attempts + case when $3 then 1 else 0 end, progress = 0,
            status = case when status = 'UPLOADED' then 'ANALYSING' else status end
         where id = $1 and status = $2 returning attempts, cancel_requested",
        import.id.0,
        import.status.code(),
        anew,
    )
    .fetch_optional(db)
    .await?;
    let Some(begun) = begun else { return Ok(false) };
    if begun.cancel_requested && import.status != Status::Undoing {
        end(db, now, import.id, Status::Cancelled, None).await?;
        return Ok(false);
    }
    if begun.attempts > MAX_ATTEMPTS && import.status == Status::Undoing {
        undo::leave(&mut *db.acquire().await?, import.id, UNDO_CUT_OFF).await?;
        return Ok(false);
    }
    if begun.attempts > MAX_ATTEMPTS {
        let sentence = "Se interrumpió cinco veces al procesarla y dejamos de intentarlo. No se guardó nada. Divide el archivo en partes y súbelas una a una.";
        end(db, now, import.id, Status::Failed, Some(sentence)).await?;
        return Ok(false);
    }
    Ok(true)
}

/// End an import of which nothing was written.
async fn end(
    db: &PgPool,
    now: DateTime<Utc>,
    id: ImportId,
    status: Status,
    failure: Option<&str>,
) -> Result<()> {
    let mut tx = db.begin().await?;
    let ended = sqlx::query!(
        "update imports set status = $2, failure = $3, finished_at = $4
         where id = $1 and status in ('UPLOADED', 'ANALYSING', 'APPLYING')",
        id.0,
        status.code(),
        failure,
        now,
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if ended > 0 && status == Status::Cancelled {
        super::decisions::forget(&mut tx, id).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Show how far a step is, and hear whether it is still wanted.
pub(super) async fn report_progress(db: &PgPool, id: ImportId, percent: i16, rows: i64) -> Result<(), Stop> {
    let cancelled = sqlx::query_scalar!(
        "update imports set progress = $2, rows_read = $3 where id = $1 returning cancel_requested",
        id.0,
        percent,
        rows,
    )
    .fetch_one(db)
    .await?;
    if cancelled { Err(Stop::Cancelled) } else { Ok(()) }
}

/// Whether somebody else wrote a row between our look and our writing, so that looking again helps.
fn is_collision(error: &Error) -> bool {
    match error {
        Error::Database(sqlx::Error::Database(it)) => {
            // Unique violation, serialisation failure, deadlock.
            it.code().is_some_and(|code| matches!(code.as_ref(), "23505" | "40001" | "40P01"))
        }
        _ => false,
    }
}

/// Whether something was built that stands where a row would go back to, or leans on one that would go.
fn is_taken(error: &Error) -> bool {
    match error {
        Error::Database(sqlx::Error::Database(it)) => {
            it.code().is_some_and(|code| matches!(code.as_ref(), "23505" | "23503"))
        }
        _ => false,
    }
}

/// The subject word of `import_changes`.
fn subject_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Companies => "company",
        Kind::Contacts | Kind::History => "contact",
    }
}
