//! Rows of cells as a file: CSV for Excel in Chile, or a workbook with typed cells.
//! Whatever its size, memory holds a few rows. Knows neither tables nor HTTP.

use crate::{
    chile::{
        comunas, format,
        phone::Phone,
        rut::Rut,
        spreadsheet::{self, push_line},
        time,
    },
    error::{Error, Result},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use futures_util::{Stream, TryStreamExt as _};
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use std::{fs::File, time::Duration};
use tokio::sync::mpsc::{self, error::SendTimeoutError};

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Empty,
    /// Words.
    Text(String),
    /// A telephone as people write it, with its plus.
    Phone(String),
    /// A day.
    Day(NaiveDate),
    /// Local.
    Instant(NaiveDateTime),
    /// A count.
    Number(i64),
    /// Whole pesos.
    Money(i64),
}

impl Cell {
    /// A text; empty where there is none.
    pub(super) fn text(it: Option<&str>) -> Cell {
        it.filter(|it| !it.is_empty()).map_or(Cell::Empty, |it| Cell::Text(it.to_owned()))
    }

    /// An instant, as local time.
    pub(super) fn instant(at: DateTime<Utc>) -> Cell {
        Cell::Instant(time::local(at).naive_local())
    }

    /// A telephone.
    pub(super) fn phone(it: Option<&str>) -> Cell {
        it.map_or(Cell::Empty, |it| Cell::Phone(Phone::show(it)))
    }

    /// A RUT as people write it.
    pub(super) fn rut(it: Option<&str>) -> Cell {
        it.map_or(Cell::Empty, |it| Cell::Text(Rut::show(it)))
    }

    /// The region of a comuna.
    pub(super) fn region(comuna: Option<&str>) -> Cell {
        let region = comuna.and_then(|it| comunas::region(it.get(..2)?));
        Cell::text(region.map(|it| it.name))
    }
}

fn as_text(cell: Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(it) => it,
        // Without its plus it needs no guard, and a number of Chile is read back as one. Of any other the plus is what tells.
        Cell::Phone(it) => match it.strip_prefix('+') {
            Some(bare) if bare.starts_with("56") => bare.to_owned(),
            _ => it,
        },
        Cell::Day(it) => format::date(it),
        Cell::Instant(it) => it.format("%d-%m-%Y %H:%M").to_string(),
        Cell::Number(it) | Cell::Money(it) => it.to_string(),
    }
}

/// Bytes of a CSV that leave at once.
const CHUNK: usize = 32 * 1024;

/// Write a CSV to `out`, chunk by chunk. Ends early when nobody reads on, or takes longer than
/// `patience` over one chunk.
pub(super) async fn csv(
    heads: &[&str],
    rows: impl Stream<Item = Result<Vec<Cell>>>,
    out: mpsc::Sender<Vec<u8>>,
    patience: Duration,
) -> Result<()> {
    let mut chunk = spreadsheet::MARK.as_bytes().to_vec();
    push_line(&mut chunk, heads.iter().copied())?;
    let mut rows = std::pin::pin!(rows);
    while let Some(cells) = rows.try_next().await? {
        let cells: Vec<String> = cells.into_iter().map(as_text).collect();
        push_line(&mut chunk, cells.iter().map(String::as_str))?;
        if chunk.len() >= CHUNK {
            match out.send_timeout(std::mem::take(&mut chunk), patience).await {
                Ok(()) => {}
                Err(SendTimeoutError::Timeout(_)) => return Err(stalled()),
                Err(SendTimeoutError::Closed(_)) => return Ok(()),
            }
        }
    }
    match out.send_timeout(chunk, patience).await {
        Err(SendTimeoutError::Timeout(_)) => Err(stalled()),
        // Nobody listening any more is no failure of ours.
        _ => Ok(()),
    }
}

pub(super) fn stalled() -> Error {
    Error::Internal("the download of an export stalled".to_owned())
}

/// Write a workbook whose sheets are called `title` to a temporary file, open at its start.
pub(super) async fn xlsx(
    title: &'static str,
    heads: Vec<&'static str>,
    rows: impl Stream<Item = Result<Vec<Cell>>>,
) -> Result<File> {
    let (send, mut receive) = mpsc::channel::<Vec<Cell>>(1000);
    let writer = tokio::task::spawn_blocking(move || -> Result<File> {
        let mut book = Book { title, file: Workbook::new(), heads, rows: 0 };
        while let Some(cells) = receive.blocking_recv() {
            book.push(cells).map_err(|it| broken(&it))?;
        }
        book.save()
    });
    {
        let mut rows = std::pin::pin!(rows);
        while let Some(cells) = rows.try_next().await? {
            if send.send(cells).await.is_err() {
                break;
            }
        }
    }
    drop(send);
    writer.await.map_err(|it| Error::Internal(format!("workbook: {it}")))?
}

fn broken(error: &XlsxError) -> Error {
    Error::Internal(format!("workbook: {error}"))
}

/// Rows below the header that a sheet can hold.
const SHEET: u32 = 1_048_575;

/// A workbook being written, a row at a time.
struct Book {
    title: &'static str,
    file: Workbook,
    heads: Vec<&'static str>,
    /// Rows in the sheet at hand, header included; 0: there is none.
    rows: u32,
}

impl Book {
    fn open_sheet(&mut self) -> Result<(), XlsxError> {
        let number = self.file.worksheets().len() + 1;
        let name = if number == 1 { self.title.to_owned() } else { format!("{} {number}", self.title) };
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
                Cell::Text(it) | Cell::Phone(it) => sheet.write_string(self.rows, at, it)?,
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
    use super::{Cell, Phone, as_text, spreadsheet};

    #[test]
    fn a_telephone_in_a_csv_is_harmless_and_read_back_as_the_same() {
        for phone in ["+56987654321", "+56221234567", "+34612345678", "+5491123456789"] {
            let cell = spreadsheet::neutral(&as_text(Cell::phone(Some(phone)))).into_owned();
            assert!(!cell.starts_with('+'), "{cell}");
            assert_eq!(cell.parse::<Phone>().unwrap().as_str(), phone, "{cell}");
        }
    }
}
