//! The uploaded file: kept in the database in chunks until its import ends, so
//! that any replica can work on it after a restart. Knows nothing of its content.

use super::{Consent, Order, record};
use crate::{
    access::{Actor, Permission},
    contacts::bulk::HistoryKind,
    db::Tx,
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::{
    io::{Seek, Write},
    path::Path,
};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;

/// Largest file, in MB: a million rows of fifteen columns take 240.
pub const MAX_MB: usize = 300;
/// The same in bytes.
pub const MAX_BYTES: usize = MAX_MB * 1024 * 1024;
/// Size of a stored chunk.
const CHUNK: usize = 1024 * 1024;

/// Take the file at `path` in. Nothing of it is seen by others before commit.
///
/// # Errors
/// When the actor may not, the file is empty or too large, or the disk or the database fails.
pub async fn store(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    order: &Order,
    path: &Path,
) -> Result<ImportId> {
    actor.require(Permission::RunImports)?;
    let mut file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    if size == 0 {
        return Err(Error::invalid(
            "file",
            "El archivo está vacío. Revisa que guardaste la planilla antes de subirla.",
        ));
    }
    if size > MAX_BYTES as u64 {
        return Err(Error::invalid(
            "file",
            format!(
                "El archivo pesa más de {MAX_MB} MB. No se guardó nada. Divídelo en partes y sube una a la vez."
            ),
        ));
    }
    let id = insert(tx, now, actor, order, i64::try_from(size).unwrap_or(i64::MAX)).await?;
    let mut digest = Sha256::new();
    let mut chunk = Vec::with_capacity(CHUNK);
    for seq in 0.. {
        chunk.clear();
        if (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await? == 0 {
            break;
        }
        digest.update(&chunk);
        sqlx::query!(
            "insert into import_chunks (import_id, seq, content) values ($1, $2, $3)",
            id.0,
            seq,
            chunk.as_slice(),
        )
        .execute(&mut **tx)
        .await?;
    }
    let digest = digest.finalize().to_vec();
    sqlx::query!("update imports set file_sha256 = $2 where id = $1", id.0, digest)
        .execute(&mut **tx)
        .await?;
    let after = json!({
        "kind": order.kind.code(),
        "bytes": size,
        "consent_basis": order.consent.as_ref().map(|it| &it.basis),
        "consent_source": order.consent.as_ref().map(|it| &it.source),
    });
    record(tx, now, actor, "import.upload", id, after).await?;
    Ok(id)
}

async fn insert(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    order: &Order,
    size: i64,
) -> Result<ImportId> {
    let filename: String = order.filename.chars().filter(|it| !it.is_control()).take(200).collect();
    let channels = order.consent.as_ref().map(Consent::channel_codes);
    let id = sqlx::query_scalar!(
        "insert into imports (kind, filename, byte_size, on_duplicate, apply_at_once, consent_basis, consent_source,
            consent_obtained_on, sheet, created_at, created_by, created_by_name, history_kind, create_people, consent_channels)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, coalesce($15, '{EMAIL}'::text[])) returning id",
        order.kind.code(),
        filename,
        size,
        order.on_duplicate.code(),
        order.apply_at_once,
        order.consent.as_ref().map(|it| it.basis.as_str()),
        order.consent.as_ref().map(|it| it.source.as_str()),
        order.consent.as_ref().map(|it| it.obtained_on),
        order.sheet,
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        order.history.kind.map(HistoryKind::code),
        order.history.create_people,
        channels.as_deref(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(ImportId(id))
}

/// The file of an import as a temporary file of ours, removed when dropped.
pub(super) async fn materialise(db: &mut PgConnection, id: ImportId) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    let mut chunks =
        sqlx::query_scalar!("select content from import_chunks where import_id = $1 order by seq", id.0)
            .fetch(db);
    while let Some(chunk) = chunks.try_next().await? {
        file.write_all(&chunk)?;
    }
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

/// Let the file of an ended import go; its fingerprint stays.
pub(super) async fn forget(db: &mut PgConnection, id: ImportId) -> Result<()> {
    sqlx::query!("delete from import_chunks where import_id = $1", id.0).execute(db).await?;
    Ok(())
}
