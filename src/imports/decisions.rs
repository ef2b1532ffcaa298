//! What people decide about an upload before it is written: yes, no, or read it again otherwise.
//! And what is let go when nobody decides.

use super::{
    History, Import, Status, corrections, files, get,
    mapping::{self, Field},
    record,
};
use crate::{
    access::{Actor, Permission},
    contacts::bulk::{HistoryKind, OnDuplicate},
    db::Tx,
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;

/// Say yes to a simulated import, of which the actor has seen the simulation `seen`: the engine writes it next.
///
/// # Errors
/// [`Error::Forbidden`]; when it isn't waiting for that, was simulated anew since, or the database fails.
pub async fn confirm(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ImportId,
    seen: i32,
) -> Result<()> {
    actor.require(Permission::RunImports)?;
    let changed = sqlx::query!(
        "update imports set status = 'APPLYING', progress = 0, attempts = 0, decided_by = $2, decided_by_name = $3
         where id = $1 and status = 'READY' and simulation = $4",
        id.0,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        seen,
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if changed == 0 {
        let import = get(&mut **tx, id).await?;
        return Err(Error::refused(match import.status {
            Status::Applying | Status::Done => "Esta importación ya está confirmada.".to_owned(),
            Status::Ready => "Alguien la corrigió y se simuló de nuevo después de que abriste esta página. \
                No se guardó nada: revisa la simulación como está ahora y confirma."
                .to_owned(),
            status => format!(
                "Esta importación está en estado «{}» y no se puede confirmar. No se guardó nada.",
                status.label()
            ),
        }));
    }
    record(tx, now, actor, "import.confirm", id, json!({"status": "APPLYING"})).await
}

/// Give an import up. Where the engine has it in hand, it lets go at its next look;
/// if it is past its last one, the import is written. Returns whether it is over already.
///
/// # Errors
/// [`Error::Forbidden`]; when it has already ended, or the database fails.
pub async fn cancel(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: ImportId) -> Result<bool> {
    actor.require(Permission::RunImports)?;
    let status = sqlx::query_scalar!(
        "update imports set cancel_requested = true, decided_by = $2, decided_by_name = $3,
            status = case when status in ('READY', 'UPLOADED') then 'CANCELLED' else status end,
            finished_at = case when status in ('READY', 'UPLOADED') then $4 else finished_at end
         where id = $1 and status in ('UPLOADED', 'ANALYSING', 'READY', 'APPLYING') returning status",
        id.0,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        now,
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| Error::refused("Esta importación ya terminó: no hay nada que cancelar."))?;
    let is_over = status == Status::Cancelled.code();
    if is_over {
        forget(tx, id).await?;
    }
    record(tx, now, actor, "import.cancel", id, json!({"cancel_requested": true})).await?;
    Ok(is_over)
}

/// Let the file and the rows of an import go that is over or was taken back: they are people's data.
pub(super) async fn forget(tx: &mut Tx<'_>, id: ImportId) -> Result<()> {
    files::forget(tx, id).await?;
    corrections::forget(tx, id).await?;
    forget_rows(tx, id).await
}

/// Let the rows of an import go.
pub(super) async fn forget_rows(tx: &mut Tx<'_>, id: ImportId) -> Result<()> {
    sqlx::query!("delete from import_rows where import_id = $1", id.0).execute(&mut **tx).await?;
    sqlx::query!("delete from import_quiet_rows where import_id = $1", id.0).execute(&mut **tx).await?;
    Ok(())
}

/// Cancel what waits for a person since before `since`, and let go what failed before it. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn expire(db: &PgPool, now: DateTime<Utc>, since: DateTime<Utc>) -> Result<u64> {
    let mut tx = db.begin().await?;
    let old = sqlx::query_scalar!(
        "update imports set status = case when status = 'READY' then 'CANCELLED' else status end,
            finished_at = coalesce(finished_at, $2)
         where (status = 'READY' and coalesce(analysed_at, created_at) < $1)
            or (status = 'FAILED' and coalesce(finished_at, created_at) < $1
                and (exists (select from import_chunks where import_id = imports.id)
                    or exists (select from import_rows where import_id = imports.id)))
         returning id",
        since,
        now,
    )
    .fetch_all(&mut *tx)
    .await?;
    for id in &old {
        forget(&mut tx, ImportId(*id)).await?;
    }
    tx.commit().await?;
    Ok(old.len() as u64)
}

/// What a person may correct before confirming.
#[derive(Clone, Debug)]
pub struct Correction {
    /// What each column means.
    pub mapping: Vec<Option<Field>>,
    /// The sheet to read; another one makes the mapping be guessed anew.
    pub sheet: Option<String>,
    /// The row of the header, 0 where there is none; another one makes the mapping be guessed anew.
    pub header_row: Option<u32>,
    /// What to do with rows that are in the base already.
    pub on_duplicate: OnDuplicate,
    /// How a file of history is taken.
    pub history: History,
}

/// Have the file read again as `correction` says.
///
/// # Errors
/// [`Error::Forbidden`]; when it is past that, or the database fails.
pub async fn correct(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ImportId,
    correction: &Correction,
) -> Result<()> {
    actor.require(Permission::RunImports)?;
    let import = get(&mut **tx, id).await?;
    let Some(layout) =
        import.layout.as_ref().filter(|_| matches!(import.status, Status::Ready | Status::Failed))
    else {
        return Err(Error::refused("Esta importación ya no se puede corregir. Sube el archivo de nuevo."));
    };
    let same_sheet = correction.sheet.is_none() || correction.sheet == layout.sheet;
    let same_header = !same_sheet
        || correction.header_row.is_none_or(|it| it == import.header_row.unwrap_or(layout.header_row));
    let header_row =
        if same_header { import.header_row.filter(|_| same_sheet) } else { correction.header_row };
    let is_same = same_sheet && same_header;
    // A row is one of the sheet that was seen.
    let sheet = correction.sheet.as_ref().or(layout.sheet.as_ref().filter(|_| header_row.is_some()));
    let mapping = is_same.then(|| mapping::sane(import.kind, &correction.mapping, layout.columns.len()));
    let changed = sqlx::query!(
        "update imports set status = 'UPLOADED', mapping = $2, sheet = coalesce($3, sheet), on_duplicate = $4,
            history_kind = $6, create_people = $7, progress = 0, rows_read = 0, attempts = 0, failure = null, finished_at = null,
            cancel_requested = false, header_row = $8
         where id = $1 and status = $5 and exists (select from import_chunks where import_id = $1)",
        id.0,
        mapping.as_ref().map(|it| json!(it)),
        sheet,
        correction.on_duplicate.code(),
        import.status.code(),
        correction.history.kind.map(HistoryKind::code),
        correction.history.create_people,
        header_row.and_then(|it| i32::try_from(it).ok()),
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if changed == 0 {
        return Err(Error::refused("Esta importación ya no se puede corregir. Sube el archivo de nuevo."));
    }
    // Rows of the same sheet keep their numbers, wherever its header is.
    if !same_sheet {
        corrections::forget(tx, id).await?;
    }
    record(
        tx,
        now,
        actor,
        "import.correct",
        id,
        json!({"mapping": mapping, "sheet": correction.sheet, "header_row": header_row}),
    )
    .await
}

/// Have the file of a simulated import read once more.
pub(super) async fn read_again(tx: &mut Tx<'_>, import: &Import) -> Result<()> {
    let changed = sqlx::query!(
        "update imports set status = 'UPLOADED', progress = 0, rows_read = 0, attempts = 0
         where id = $1 and status = 'READY' and exists (select from import_chunks where import_id = $1)",
        import.id.0
    )
    .execute(&mut **tx)
    .await?
    .rows_affected();
    if changed == 0 {
        return Err(Error::refused("Esta importación ya no se puede corregir. Sube el archivo de nuevo."));
    }
    Ok(())
}
