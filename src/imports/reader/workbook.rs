//! Workbooks to rows. XLSX streams cell by cell; old XLS and ODS are held whole, within limits.

use super::{
    MAX_COLUMNS, ReadError, Row, Visitor, cell_too_long, detect,
    merges::{Area, Merges},
    zipped,
};
use calamine::{
    Data, DataRef, Dimensions, ExcelDateTime, Ods, OdsError, Reader, SheetType, SheetVisible, Xls, XlsError,
    Xlsx, XlsxError,
};
use chrono::Timelike;
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Formats of workbooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Xlsx,
    Xls,
    Ods,
}

/// A workbook whose sheets are known.
#[derive(Debug)]
pub struct WorkbookSource {
    path: PathBuf,
    kind: Kind,
    sheets: Vec<String>,
    has_merges: bool,
}

type Book<T> = Result<T, ReadError>;

impl WorkbookSource {
    pub(super) fn open(path: &Path, kind: Kind, has_merges: bool) -> Book<WorkbookSource> {
        let sheets = match kind {
            Kind::Xlsx => visible(xlsx(path)?.0.sheets_metadata()),
            Kind::Xls => visible(xls(path)?.sheets_metadata()),
            Kind::Ods => visible(ods(path)?.sheets_metadata()),
        };
        if sheets.is_empty() {
            return Err(ReadError::unreadable(
                "El libro no tiene ninguna hoja con datos. No se guardó nada.",
            ));
        }
        // No program writes such a name, and the database can't keep it.
        if sheets.iter().any(|it| it.contains('\0')) {
            return Err(detect::damaged());
        }
        Ok(WorkbookSource { path: path.to_owned(), kind, sheets, has_merges })
    }

    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Xlsx => "Excel (XLSX)",
            Kind::Xls => "Excel antiguo (XLS)",
            Kind::Ods => "OpenDocument (ODS)",
        }
        .to_owned()
    }

    pub(super) fn sheets(&self) -> &[String] {
        &self.sheets
    }

    pub(super) fn each_row(&self, sheet: Option<&str>, visit: &mut Visitor<'_>) -> Book<()> {
        let name = match sheet {
            None => self.sheets[0].as_str(),
            Some(name) => self.sheets.iter().find(|it| it.as_str() == name).ok_or_else(|| {
                ReadError::unreadable(format!(
                    "El libro no tiene la hoja «{name}». Sus hojas son: {}. No se guardó nada.",
                    self.sheets.join(", ")
                ))
            })?,
        };
        match self.kind {
            Kind::Xlsx => self.stream(name, visit),
            Kind::Xls => {
                let mut book = xls(&self.path)?;
                let range = book.worksheet_range(name).map_err(xls_error)?;
                let merges = areas(&book.merge_cells_by_sheet_name(name).map_err(xls_error)?);
                each_of(&range, merges, visit)
            }
            Kind::Ods => {
                let range = ods(&self.path)?.worksheet_range(name).map_err(ods_error)?;
                each_of(&range, Merges::default(), visit)
            }
        }
    }

    fn stream(&self, sheet: &str, visit: &mut Visitor<'_>) -> Book<()> {
        let (mut book, position) = xlsx(&self.path)?;
        let mut merges = self.merges(&mut book, sheet)?;
        let mut cells = book.worksheet_cells_reader(sheet).map_err(xlsx_error)?;
        // What a sheet says of its own height is often wrong or missing: its bytes can be counted.
        let part = zipped::part_at(&self.path, position.load(Ordering::Relaxed))?;
        #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
        let height = cells.dimensions().end.0.saturating_add(1) as f32;
        #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
        let share = |row: u32| {
            let done = position.load(Ordering::Relaxed).saturating_sub(part.start);
            // Rows that resemble each other take hardly any room: where the sheet goes on, so does the bar.
            (done as f32 / (part.end - part.start) as f32).min((row + 1) as f32 / height).min(1.0)
        };
        let mut building = Building::default();
        while let Some(cell) = cells.next_cell().map_err(xlsx_error)? {
            let (at, column) = cell.get_position();
            if building.index != Some(at) {
                if building.flush(&mut merges, share(at), visit)?.is_break() {
                    return Ok(());
                }
                building.begin(at);
            }
            if !matches!(cell.get_value(), DataRef::Empty) {
                building.place(column as usize, |text| write_ref(text, cell.get_value()))?;
            }
        }
        let _ = building.flush(&mut merges, 1.0, visit)?;
        Ok(())
    }

    fn merges(&self, book: &mut Xlsx<BufReader<Tracked>>, sheet: &str) -> Book<Merges> {
        if !self.has_merges {
            return Ok(Merges::default());
        }
        Ok(areas(&book.merge_cells_by_sheet_name(sheet).map_err(xlsx_error)?))
    }
}

/// The areas of merged cells as a sheet names them.
fn areas(named: &[Dimensions]) -> Merges {
    let area = |it: &Dimensions| Area { rows: (it.start.0, it.end.0), columns: (it.start.1, it.end.1) };
    Merges::new(named.iter().map(area).collect())
}

/// The row that is being put together from its cells.
#[derive(Default)]
struct Building {
    index: Option<u32>,
    row: Row,
    text: String,
}

impl Building {
    fn begin(&mut self, index: u32) {
        self.index = Some(index);
        self.row.start(index + 1);
    }

    fn place(&mut self, column: usize, write: impl FnOnce(&mut String)) -> Book<()> {
        if column >= MAX_COLUMNS * 200 {
            return Err(detect::damaged());
        }
        self.text.clear();
        write(&mut self.text);
        if self.text.len() > super::MAX_CELL_BYTES {
            return Err(cell_too_long(self.row.number));
        }
        while self.row.len() < column {
            self.row.push("");
        }
        // A damaged sheet may name a cell twice or backwards; what came first stays.
        if self.row.len() == column {
            self.row.push(&self.text);
        }
        Ok(())
    }

    fn flush(
        &mut self,
        merges: &mut Merges,
        share: f32,
        visit: &mut Visitor<'_>,
    ) -> Book<std::ops::ControlFlow<()>> {
        let Some(index) = self.index else { return Ok(std::ops::ControlFlow::Continue(())) };
        merges.complete(&mut self.row, index);
        if self.row.is_empty() {
            return Ok(std::ops::ControlFlow::Continue(()));
        }
        self.row.check_limits()?;
        Ok(visit(&self.row, share))
    }
}

fn visible(sheets: &[calamine::Sheet]) -> Vec<String> {
    sheets
        .iter()
        .filter(|it| it.visible == SheetVisible::Visible && it.typ == SheetType::WorkSheet)
        .map(|it| it.name.clone())
        .collect()
}

/// A file that tells how far it has been read.
struct Tracked {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.position.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Tracked {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = self.file.seek(to)?;
        self.position.store(position, Ordering::Relaxed);
        Ok(position)
    }
}

/// The workbook at `path`, and how far its file has been read.
fn xlsx(path: &Path) -> Book<(Xlsx<BufReader<Tracked>>, Arc<AtomicU64>)> {
    let position = Arc::new(AtomicU64::new(0));
    let file = Tracked { file: File::open(path)?, position: Arc::clone(&position) };
    Ok((Xlsx::new(BufReader::new(file)).map_err(xlsx_error)?, position))
}

fn xls(path: &Path) -> Book<Xls<BufReader<File>>> {
    Xls::new(BufReader::new(File::open(path)?)).map_err(xls_error)
}

fn ods(path: &Path) -> Book<Ods<BufReader<File>>> {
    Ods::new(BufReader::new(File::open(path)?)).map_err(ods_error)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn xlsx_error(error: XlsxError) -> ReadError {
    match error {
        XlsxError::Password => detect::locked(),
        _ => detect::damaged(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn xls_error(error: XlsError) -> ReadError {
    match error {
        XlsError::Password => detect::locked(),
        _ => detect::damaged(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn ods_error(error: OdsError) -> ReadError {
    match error {
        OdsError::Password => detect::locked(),
        _ => detect::damaged(),
    }
}

fn each_of(range: &calamine::Range<Data>, mut merges: Merges, visit: &mut Visitor<'_>) -> Book<()> {
    let (first_row, first_column) = range.start().unwrap_or((0, 0));
    #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
    let height = range.height().max(1) as f32;
    let mut building = Building::default();
    for (offset, cells) in (0_u32..).zip(range.rows()) {
        building.begin(first_row + offset);
        for (column, cell) in cells.iter().enumerate().filter(|(_, it)| !matches!(it, Data::Empty)) {
            building.place(first_column as usize + column, |text| write_owned(text, cell))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
        let share = offset as f32 / height;
        if building.flush(&mut merges, share, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn write_ref(text: &mut String, value: &DataRef<'_>) {
    match value {
        DataRef::SharedString(it) => text.push_str(it),
        DataRef::String(it) | DataRef::DateTimeIso(it) | DataRef::DurationIso(it) => text.push_str(it),
        DataRef::Int(it) => write_integer(text, *it),
        DataRef::Float(it) => write_number(text, *it),
        DataRef::Bool(it) => text.push_str(if *it { "sí" } else { "no" }),
        DataRef::DateTime(it) => write_date(text, it),
        DataRef::Error(_) | DataRef::Empty => {}
    }
}

fn write_owned(text: &mut String, value: &Data) {
    match value {
        Data::String(it) | Data::DateTimeIso(it) | Data::DurationIso(it) => text.push_str(it),
        Data::Int(it) => write_integer(text, *it),
        Data::Float(it) => write_number(text, *it),
        Data::Bool(it) => text.push_str(if *it { "sí" } else { "no" }),
        Data::DateTime(it) => write_date(text, it),
        Data::Error(_) | Data::Empty => {}
    }
}

fn write_integer(text: &mut String, number: i64) {
    // Writing to a String never fails.
    let _ = write!(text, "{number}");
}

/// A number as a person would type it: phones and RUTs without exponent or decimals.
fn write_number(text: &mut String, number: f64) {
    // Writing to a String never fails.
    let _ = if number.fract() == 0.0 && number.abs() < 1e15 {
        write!(text, "{number:.0}")
    } else {
        write!(text, "{number}")
    };
}

fn write_date(text: &mut String, date: &ExcelDateTime) {
    let _ = match date.as_datetime() {
        Some(it) if date.is_datetime() && it.num_seconds_from_midnight() == 0 => {
            write!(text, "{}", it.format("%d-%m-%Y"))
        }
        Some(it) if date.is_datetime() => write!(text, "{}", it.format("%d-%m-%Y %H:%M")),
        _ => write!(text, "{}", date.as_f64()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::reader::Source;
    use std::{io::Write, ops::ControlFlow};

    /// A workbook of so many rows whose sheet says that it has one cell, as several programs do.
    fn of_rows(rows: u32) -> Vec<u8> {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        for row in 0..rows {
            sheet.write_string(row, 0, format!("{:x}@x.example", row.wrapping_mul(2_654_435_761))).unwrap();
        }
        let honest = book.save_to_buffer().unwrap();
        let mut from = zip::ZipArchive::new(io::Cursor::new(honest)).unwrap();
        let mut to = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for index in 0..from.len() {
            let mut part = from.by_index(index).unwrap();
            let name = part.name().unwrap().into_owned();
            let mut content = String::new();
            part.read_to_string(&mut content).unwrap();
            let content = content.replace(&format!("ref=\"A1:A{rows}\""), "ref=\"A1\"");
            to.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            to.write_all(content.as_bytes()).unwrap();
        }
        to.finish().unwrap().into_inner()
    }

    #[test]
    fn the_share_moves_with_the_rows_whatever_the_sheet_says_of_its_height() {
        const ROWS: u32 = 60_000;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), of_rows(ROWS)).unwrap();
        let source = Source::open(file.path()).unwrap();
        let mut shares = Vec::new();
        source
            .each_row(None, &mut |row, share| {
                if row.number.is_multiple_of(ROWS / 4) {
                    shares.push(share);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        for (share, expected) in shares.iter().zip([0.25, 0.5, 0.75, 1.0]) {
            assert!((share - expected).abs() < 0.2, "{shares:?}");
        }
        assert_eq!(shares.len(), 4);
    }
}
