//! Contacts as a file: CSV for Excel in Chile, or a workbook with typed cells.
//! Whatever its size, memory holds a few rows. Knows nothing of HTTP.

use super::{
    columns::Column,
    contact_list::{Filter, Row, Sort, Whole, matching},
};
use crate::{
    access::{Actor, Permission},
    audit,
    chile::{comunas, format, phone::Phone, rut::Rut, time},
    error::{Error, Result},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures_util::TryStreamExt as _;
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction};
use std::{fs::File, time::Duration};
use tokio::sync::mpsc::{self, error::SendTimeoutError};

/// Most rows that a role without [`Permission::ExportAll`] takes out at once.
pub const FEW: i64 = 500;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with semicolons.
    Csv,
    /// A workbook.
    Xlsx,
}

impl Kind {
    /// From the form.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Kind> {
        match code {
            "csv" => Some(Kind::Csv),
            "xlsx" => Some(Kind::Xlsx),
            _ => None,
        }
    }

    /// As in the form and at the end of the file's name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Kind::Csv => "csv",
            Kind::Xlsx => "xlsx",
        }
    }
}

/// An export that was allowed, counted and written down; nothing has been read yet.
pub struct Export {
    tx: Transaction<'static, Postgres>,
    rows: Whole,
    columns: Vec<Column>,
    /// How many people it holds.
    pub count: i64,
}

/// Begin to take out whom a list with `filter` shows. What others change meanwhile is not seen.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when they are more than the actor's role may take; the database's.
pub async fn begin(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    (filter, sort): (&Filter, Sort),
    columns: &[Column],
    kind: Kind,
) -> Result<Export> {
    actor.require(Permission::Export)?;
    let mut tx = db.begin().await?;
    let matching = matching(&mut tx, filter, sort).await?;
    let all = actor.may(Permission::ExportAll);
    let count = matching.count(&mut tx, if all { i64::MAX } else { FEW + 1 }).await?;
    if !all && count > FEW {
        return Err(Error::refused(format!(
            "Tu rol puede exportar hasta {FEW} contactos y estos filtros muestran más. No se exportó nada. \
             Agrega filtros, o pídelo a quien administra el equipo."
        )));
    }
    let change = audit::Change {
        action: "contact.export",
        subject_kind: "contact",
        after: Some(json!({
            "rows": count, "format": kind.code(), "filter": filter.facts(),
            "columns": columns.iter().map(|it| it.code()).collect::<Vec<_>>(),
        })),
        ..audit::Change::default()
    };
    // On record before the first row leaves, whatever becomes of the download. One connection after
    // the other: who holds one and waits for a second may wait for ever.
    audit::record(&mut tx, now, actor, change).await?;
    tx.commit().await?;
    let mut tx = db.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let most = if all { i64::MAX } else { FEW };
    Ok(Export { tx, rows: matching.whole(most), columns: columns.to_vec(), count })
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Empty,
    Text(String),
    Day(NaiveDate),
    /// Local.
    Instant(NaiveDateTime),
    Number(i64),
    Money(i64),
}

impl Cell {
    fn text(it: Option<&str>) -> Cell {
        it.filter(|it| !it.is_empty()).map_or(Cell::Empty, |it| Cell::Text(it.to_owned()))
    }
}

fn heads(columns: &[Column]) -> Vec<&'static str> {
    let mut heads = vec!["Nombre", "Apellidos"];
    for column in columns {
        heads.push(column.label());
        match column {
            Column::Company => heads.push("RUT empresa"),
            Column::Comuna => heads.push("Región"),
            _ => {}
        }
    }
    heads
}

fn cells(row: &Row, columns: &[Column]) -> Vec<Cell> {
    let mut cells = vec![Cell::text(Some(&row.first_name)), Cell::text(Some(&row.last_name))];
    for column in columns {
        cells.push(match column {
            Column::Company => Cell::text(row.company.as_deref()),
            Column::JobTitle => Cell::text(row.job_title.as_deref()),
            Column::Email => Cell::text(row.email.as_deref()),
            // Without the plus, a spreadsheet takes it for neither a sum nor a formula.
            Column::Phone => row
                .phone
                .as_deref()
                .map_or(Cell::Empty, |it| Cell::Text(Phone::show(it).trim_start_matches('+').to_owned())),
            Column::Comuna => Cell::text(row.comuna.as_deref().map(comunas::name)),
            Column::Lifecycle => Cell::text(Some(row.lifecycle.label())),
            Column::Reach => Cell::text(Some(row.reach())),
            Column::Source => Cell::text(Some(row.source.label())),
            Column::Owner => Cell::text(row.owner.as_deref()),
            Column::Interests => Cell::text(row.interests.as_deref()),
            Column::BirthDate => row.birth_date.map_or(Cell::Empty, Cell::Day),
            Column::Created => Cell::Instant(time::local(row.created_at).naive_local()),
            Column::Visits => Cell::Number(i64::from(row.visits)),
            Column::Spent => Cell::Money(row.spent),
            Column::LastActivity => {
                row.last_activity_at.map_or(Cell::Empty, |it| Cell::Instant(time::local(it).naive_local()))
            }
        });
        match column {
            Column::Company => {
                cells.push(row.company_rut.as_deref().map_or(Cell::Empty, |it| Cell::Text(Rut::show(it))));
            }
            Column::Comuna => {
                let region = row.comuna.as_deref().and_then(|it| comunas::region(it.get(..2)?));
                cells.push(Cell::text(region.map(|it| it.name)));
            }
            _ => {}
        }
    }
    cells
}

/// Text that no spreadsheet runs: what begins like a formula gets an apostrophe, as Excel itself writes it.
fn neutral(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn push_line(out: &mut Vec<u8>, cells: impl IntoIterator<Item = String>) -> Result<()> {
    let mut writer =
        csv::WriterBuilder::new().delimiter(b';').terminator(csv::Terminator::CRLF).from_writer(out);
    writer.write_record(cells).map_err(|it| Error::Internal(it.to_string()))?;
    writer.flush()?;
    Ok(())
}

fn as_text(cell: Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(it) => neutral(it),
        Cell::Day(it) => format::date(it),
        Cell::Instant(it) => it.format("%d-%m-%Y %H:%M").to_string(),
        Cell::Number(it) | Cell::Money(it) => it.to_string(),
    }
}

/// How long a download may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Over one chunk.
    pub chunk: Duration,
    /// In all.
    pub whole: Duration,
}

impl Patience {
    /// What a slow line needs, and no more.
    pub const USUAL: Patience = Patience { chunk: Duration::from_secs(60), whole: Duration::from_mins(30) };
}

fn stalled() -> Error {
    Error::Internal("the download of an export stalled".to_owned())
}

/// Bytes of a CSV that leave at once.
const CHUNK: usize = 32 * 1024;

impl Export {
    /// Write a CSV to `out`, chunk by chunk. A byte-order mark and semicolons make
    /// Excel in Chile show it as a table. Ends early when nobody reads on, or takes longer
    /// than `patience` over one chunk: it holds a connection and what the database must keep for it.
    ///
    /// # Errors
    /// When the database fails, or patience ends.
    pub async fn csv(self, out: mpsc::Sender<Vec<u8>>, patience: Patience) -> Result<()> {
        let whole = tokio::time::timeout(patience.whole, self.write_csv(out, patience.chunk)).await;
        whole.map_err(|_| stalled())?
    }

    async fn write_csv(mut self, out: mpsc::Sender<Vec<u8>>, patience: Duration) -> Result<()> {
        let mut chunk = "\u{feff}".as_bytes().to_vec();
        push_line(&mut chunk, heads(&self.columns).into_iter().map(str::to_owned))?;
        {
            let mut rows = std::pin::pin!(self.rows.rows(&mut self.tx));
            while let Some(row) = rows.try_next().await? {
                push_line(&mut chunk, cells(&row, &self.columns).into_iter().map(as_text))?;
                if chunk.len() >= CHUNK {
                    match out.send_timeout(std::mem::take(&mut chunk), patience).await {
                        Ok(()) => {}
                        Err(SendTimeoutError::Timeout(_)) => return Err(stalled()),
                        Err(SendTimeoutError::Closed(_)) => return Ok(()),
                    }
                }
            }
        }
        match out.send_timeout(chunk, patience).await {
            Err(SendTimeoutError::Timeout(_)) => Err(stalled()),
            // Nobody listening any more is no failure of ours.
            _ => Ok(()),
        }
    }

    /// Write a workbook to a temporary file, open at its start.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub async fn xlsx(mut self) -> Result<File> {
        let (send, mut receive) = mpsc::channel::<Vec<Cell>>(1000);
        let heads = heads(&self.columns);
        let writer = tokio::task::spawn_blocking(move || -> Result<File> {
            let mut book = Book::new(heads);
            while let Some(cells) = receive.blocking_recv() {
                book.push(cells).map_err(|it| broken(&it))?;
            }
            book.save()
        });
        {
            let mut rows = std::pin::pin!(self.rows.rows(&mut self.tx));
            while let Some(row) = rows.try_next().await? {
                if send.send(cells(&row, &self.columns)).await.is_err() {
                    break;
                }
            }
        }
        drop(send);
        writer.await.map_err(|it| Error::Internal(format!("workbook: {it}")))?
    }
}

fn broken(error: &XlsxError) -> Error {
    Error::Internal(format!("workbook: {error}"))
}

/// Rows below the header that a sheet can hold.
const SHEET: u32 = 1_048_575;

/// A workbook being written, a row at a time.
struct Book {
    file: Workbook,
    heads: Vec<&'static str>,
    /// Rows in the sheet at hand, header included; 0: there is none.
    rows: u32,
}

impl Book {
    fn new(heads: Vec<&'static str>) -> Book {
        Book { file: Workbook::new(), heads, rows: 0 }
    }

    fn open_sheet(&mut self) -> Result<(), XlsxError> {
        let number = self.file.worksheets().len() + 1;
        let name = if number == 1 { "Contactos".to_owned() } else { format!("Contactos {number}") };
        let sheet = self.file.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?;
        for at in 0..self.heads.len() {
            sheet.set_column_width(u16::try_from(at).unwrap_or(u16::MAX), 20)?;
        }
        sheet.set_freeze_panes(1, 0)?;
        for (at, head) in self.heads.iter().enumerate() {
            sheet.write_string_with_format(
                0,
                u16::try_from(at).unwrap_or(u16::MAX),
                *head,
                &Format::new().set_bold(),
            )?;
        }
        self.rows = 1;
        Ok(())
    }

    fn push(&mut self, cells: Vec<Cell>) -> Result<(), XlsxError> {
        if self.rows == 0 || self.rows > SHEET {
            self.open_sheet()?;
        }
        let sheet = self
            .file
            .worksheets_mut()
            .last_mut()
            .ok_or(XlsxError::UnknownWorksheetNameOrIndex(String::new()))?;
        for (at, cell) in cells.into_iter().enumerate() {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            match cell {
                Cell::Empty => continue,
                // A string cell is never run, whatever it begins with.
                Cell::Text(it) => sheet.write_string(self.rows, at, it)?,
                Cell::Day(it) => sheet.write_date_with_format(
                    self.rows,
                    at,
                    it,
                    &Format::new().set_num_format("dd-mm-yyyy"),
                )?,
                Cell::Instant(it) => sheet.write_datetime_with_format(
                    self.rows,
                    at,
                    it,
                    &Format::new().set_num_format("dd-mm-yyyy hh:mm"),
                )?,
                Cell::Number(it) => sheet.write_number(self.rows, at, it as f64)?,
                Cell::Money(it) => sheet.write_number_with_format(
                    self.rows,
                    at,
                    it as f64,
                    &Format::new().set_num_format("$#,##0"),
                )?,
            };
        }
        self.rows += 1;
        Ok(())
    }

    fn save(mut self) -> Result<File> {
        if self.rows == 0 {
            self.open_sheet().map_err(|it| broken(&it))?;
        }
        let mut file = tempfile::tempfile()?;
        self.file.save_to_writer(&mut file).map_err(|it| broken(&it))?;
        std::io::Seek::rewind(&mut file)?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for (typed, kept) in [
            ("=1+1", "'=1+1"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("Ana = Beto", "Ana = Beto"),
        ] {
            assert_eq!(neutral(typed.to_owned()), kept);
        }
    }
}
