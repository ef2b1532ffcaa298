//! The first step: the file to staged rows, each with its verdict; nothing else is written.

use super::{Stop, apply, report_progress};
use crate::{
    chile::time,
    contacts::bulk::{self, Rules},
    db::Tx,
    imports::{
        Found, Import, Kind,
        corrections::{self, Corrected},
        files,
        mapping::{self, Field, Mapping},
        reader::{self, Layout, ReadError, Row, Source},
        staging,
        validate::Validator,
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;
use std::{
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinError};

/// How much goes to the database at once.
const BATCH_BYTES: usize = 256 * 1024;
/// How many sheets of a workbook are looked at for one that is understood.
const SEARCHED_SHEETS: usize = 10;
/// How often progress is shown.
const TELL_EVERY: Duration = Duration::from_millis(400);

/// How much is judged at once, and how many rows at most.
const PAGE_BYTES: usize = 64 * 1024;
const PAGE_ROWS: usize = 256;

/// Rows as they stand in the file, and how far it has been read.
#[derive(Default)]
struct Page {
    rows: Vec<Row>,
    bytes: usize,
    share: f32,
}

/// Rows in the format of `copy`, and how far the file has been read.
struct Batch {
    bytes: Vec<u8>,
    rows: i64,
    share: f32,
}

/// Read the file of `import`, judge each row, decide on all of them; and write them too if that was asked for.
pub(super) async fn analyse(
    db: &PgPool,
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    import: &Import,
) -> Result<(), Stop> {
    let file = files::materialise(tx, import.id).await?;
    let path: Arc<Path> = Arc::from(file.path());
    let (source, layout) = look(Arc::clone(&path), import).await?;
    let fields = choose_fields(tx, import, &layout).await?;
    let mut found = Found { layout, fields, filled: Vec::new() };
    keep(db, import, &found).await?;
    let Found { layout, fields, .. } = &found;
    if let Some(mut sentence) = mapping::missing(import.kind, fields, &layout.columns) {
        sentence.push_str(&other_sheets(layout));
        return Err(Stop::Unreadable(sentence));
    }
    bulk::stage(
        tx,
        Rules {
            on_duplicate: import.on_duplicate,
            basis: import.consent.as_ref().map(|it| it.basis.as_str()),
            channels: import.consent.as_ref().map_or(&[], |it| it.channels.as_slice()),
            answers_email_alone: mapping::answers_email_alone(&layout.columns, fields),
            writes: import.apply_at_once,
        },
    )
    .await?;
    let today = time::local_date(now);
    let corrected = corrections::of(tx, import.id).await?;
    let usual = import.history.kind.unwrap_or_else(|| mapping::usual_history(&layout.columns, fields));
    let validator = Validator::new(import.kind, &layout.columns, fields, today).supposing(usual);
    let (rows, filled) = copy(db, tx, import, Reading { source, layout, validator, corrected }).await?;
    if rows == 0 {
        return Err(Stop::Unreadable(
            "El archivo solo tiene el encabezado: no hay filas que importar. No se guardó nada.".to_owned(),
        ));
    }
    found.filled = filled;
    keep(db, import, &found).await?;
    let Found { layout, fields, .. } = &found;
    bulk::staged(tx).await?;
    report_progress(db, import.id, 90, rows).await?;
    if import.apply_at_once {
        return apply::write(db, tx, now, import, &layout.columns, fields, None).await;
    }
    apply::decide(tx, import, &layout.columns, fields).await?;
    apply::keep_simulated(tx, import).await?;
    let counts = apply::count(tx, import).await?;
    apply::finish(tx, now, import, &counts, None).await?;
    Ok(())
}

async fn look(path: Arc<Path>, import: &Import) -> Result<(Source, Layout), Stop> {
    let (kind, sheet, header) = (import.kind, import.sheet.clone(), import.header_row);
    tokio::task::spawn_blocking(move || {
        let source = Source::open(&path)?;
        let known = |text: &str| mapping::is_known(kind, text);
        let layout = match sheet {
            Some(name) => reader::layout(&source, Some(name.as_str()), header, &known)?,
            None => match first_understood(&source, kind).filter(|_| header.is_none()) {
                Some(it) => it,
                None => reader::layout(&source, None, header, &known)?,
            },
        };
        Ok((source, layout))
    })
    .await
    .map_err(broken_off)?
    .map_err(stop)
}

/// The first sheet of several that can be imported as it is: covers and instructions stand before it.
fn first_understood(source: &Source, kind: Kind) -> Option<Layout> {
    // Each look opens the workbook anew.
    let searched = source.sheets().iter().take(SEARCHED_SHEETS).filter(|_| source.sheets().len() > 1);
    searched
        .filter_map(|it| {
            reader::layout(source, Some(it.as_str()), None, &|text| mapping::is_known(kind, text)).ok()
        })
        .find(|it| mapping::missing(kind, &mapping::guess(kind, &it.columns), &it.columns).is_none())
}

/// What is said of a workbook of which the wrong sheet may have been read; starts with a blank.
fn other_sheets(layout: &Layout) -> String {
    let Some(read) = layout.sheet.as_ref().filter(|_| layout.sheets.len() > 1) else { return String::new() };
    format!(
        " El libro trae varias hojas ({}) y se leyó «{read}»: si los datos están en otra, elígela en «Hoja del libro» y vuelve a simular.",
        layout.sheets.iter().take(20).map(|it| format!("«{it}»")).collect::<Vec<_>>().join(", ")
    )
}

/// A parser that panics does so at every attempt: the file is at fault, whatever else is.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn broken_off(error: JoinError) -> Stop {
    // What it says of the panic may quote the file.
    tracing::error!(panicked = error.is_panic(), "Reading an import broke off");
    stop(ReadError::damaged())
}

fn stop(error: ReadError) -> Stop {
    match error {
        ReadError::Unreadable(sentence) => Stop::Unreadable(sentence),
        ReadError::Io(error) => Stop::Fault(error.into()),
    }
}

/// What a person chose, else what was chosen for the last file of the same shape, else a guess.
async fn choose_fields(tx: &mut Tx<'_>, import: &Import, layout: &Layout) -> Result<Mapping, Stop> {
    let width = layout.columns.len();
    if let Some(chosen) = &import.mapping {
        return Ok(mapping::sane(import.kind, chosen, width));
    }
    let remembered = sqlx::query_scalar!(
        r#"select mapping as "mapping!" from imports
         where kind = $1 and id < $2 and mapping is not null and status = 'DONE' and layout->'columns' = $3
         order by id desc limit 1"#,
        import.kind.code(),
        import.id.0,
        json!(layout.columns),
    )
    .fetch_optional(&mut **tx)
    .await?;
    let remembered: Option<Mapping> = remembered.and_then(|it| serde_json::from_value(it).ok());
    Ok(remembered.map_or_else(
        || {
            if mapping::list_of_addresses(import.kind, layout) {
                vec![Some(Field::Email)]
            } else {
                mapping::guess(import.kind, &layout.columns)
            }
        },
        |it| mapping::sane(import.kind, &it, width),
    ))
}

/// Shown while the rows are being read, and kept when they turn out to be unreadable.
async fn keep(db: &PgPool, import: &Import, found: &Found) -> Result<(), Stop> {
    sqlx::query!("update imports set layout = $2 where id = $1", import.id.0, json!(found))
        .execute(db)
        .await?;
    Ok(())
}

/// A file about to be read: what judges its rows, and the rows that a person wrote anew.
struct Reading<'a> {
    source: Source,
    layout: &'a Layout,
    validator: Validator,
    corrected: Corrected,
}

/// Stage every row. Gives how many they are, and in how many of them each column holds something.
async fn copy(
    db: &PgPool,
    tx: &mut Tx<'_>,
    import: &Import,
    reading: Reading<'_>,
) -> Result<(i64, Vec<i64>), Stop> {
    let (sender, mut batches) = mpsc::channel::<Batch>(4);
    let (shows, pages) = std::sync::mpsc::sync_channel::<Page>(4);
    let Reading { source, layout, mut validator, mut corrected } = reading;
    let (kind, sheet, header_row) = (import.kind, layout.sheet.clone(), layout.header_row);
    let mut filled = vec![0_i64; layout.columns.len()];
    // Taking a workbook apart takes as long as judging its rows: a core each.
    let reading = tokio::task::spawn_blocking(move || {
        let mut page = Page::default();
        source.each_row(sheet.as_deref(), &mut |row, share| {
            if row.number <= header_row {
                return ControlFlow::Continue(());
            }
            page.bytes += row.bytes();
            page.share = share;
            page.rows.push(row.clone());
            if page.bytes < PAGE_BYTES && page.rows.len() < PAGE_ROWS {
                return ControlFlow::Continue(());
            }
            // Nobody takes it any more: the import was cancelled, or the database is gone.
            if shows.send(std::mem::take(&mut page)).is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let _ = shows.send(page);
        Ok::<(), ReadError>(())
    });
    let judging = tokio::task::spawn_blocking(move || {
        let mut batch = Batch { bytes: Vec::with_capacity(BATCH_BYTES + 4096), rows: 0, share: 0.0 };
        for page in pages {
            for row in &page.rows {
                let anew = corrected.remove(&row.number);
                let row = anew.as_ref().unwrap_or(row);
                for (column, rows) in filled.iter_mut().enumerate() {
                    *rows += i64::from(!row.cell(column).trim().is_empty());
                }
                let checked = validator.check(row);
                staging::encode(&mut batch.bytes, kind, row, &checked);
                batch.rows += 1;
            }
            batch.share = page.share;
            if batch.bytes.len() >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch.bytes, Vec::with_capacity(BATCH_BYTES + 4096));
                if sender.blocking_send(Batch { bytes: full, ..batch }).is_err() {
                    return (batch.rows, filled);
                }
            }
        }
        let rows = batch.rows;
        let _ = sender.blocking_send(batch);
        (rows, filled)
    });
    let more = if kind == Kind::History { format!(", {}", bulk::HISTORY_COLUMNS) } else { String::new() };
    let statement = format!("copy import_staging ({}{more}) from stdin", bulk::COLUMNS);
    let mut copy = tx.copy_in_raw(&statement).await?;
    let mut told = Instant::now();
    while let Some(batch) = batches.recv().await {
        copy.send(batch.bytes).await?;
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            #[expect(clippy::cast_possible_truncation, reason = "between 0 and 85")]
            let percent = (batch.share.clamp(0.0, 1.0) * 85.0) as i16;
            if let Err(stop) = report_progress(db, import.id, percent, batch.rows).await {
                copy.abort("given up").await.ok();
                return Err(stop);
            }
        }
    }
    // Rows that were judged are all of the file only if it was read to its end.
    let read = reading.await.map_err(broken_off).and_then(|it| it.map_err(stop));
    match judging.await.map_err(broken_off).and_then(|judged| read.map(|()| judged)) {
        Ok(judged) => {
            copy.finish().await?;
            Ok(judged)
        }
        Err(stop) => {
            copy.abort("unreadable").await.ok();
            Err(stop)
        }
    }
}
