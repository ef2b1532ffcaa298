//! Files to rows: whatever people upload, read row by row in constant memory.
//! Knows formats, encodings and limits; knows nothing of contacts, columns' meaning or the database.

mod compound;
mod detect;
mod header;
mod merges;
mod shared;
mod text;
mod unfolded;
mod workbook;
mod zipped;

pub use header::{Layout, SampleRow, layout};

use std::{ops::ControlFlow, path::Path};

/// Most columns that a file may use.
pub const MAX_COLUMNS: usize = 100;
/// Longest cell, in characters of UTF-8 bytes. Excel itself stops at 32 767.
pub const MAX_CELL_BYTES: usize = 100_000;

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself is at fault. The text is Spanish, for the user.
    #[error("{0}")]
    Unreadable(String),
    /// Our own disk failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl ReadError {
    /// The file ends too early or is damaged.
    #[must_use]
    pub fn damaged() -> ReadError {
        detect::damaged()
    }

    /// The file is at fault, for the reason `sentence`.
    pub(super) fn unreadable(sentence: impl Into<String>) -> ReadError {
        ReadError::Unreadable(sentence.into())
    }
}

/// One row of a file. Its memory is used again for the next one.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Place in the file as a spreadsheet shows it: the first row is 1.
    pub number: u32,
    text: String,
    ends: Vec<usize>,
}

impl Row {
    /// A row of these cells.
    #[must_use]
    pub fn of<'a>(number: u32, cells: impl IntoIterator<Item = &'a str>) -> Row {
        let mut row = Row::default();
        row.start(number);
        cells.into_iter().for_each(|it| row.push(it));
        row
    }

    /// Cells up to the last one that the file names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no cell holds anything but blanks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether `sign` stands in any cell.
    #[must_use]
    pub fn holds(&self, sign: char) -> bool {
        self.text.contains(sign)
    }

    /// How many bytes its cells have together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The text of the cell at `column`, empty where the row is shorter.
    #[must_use]
    pub fn cell(&self, column: usize) -> &str {
        let Some(&end) = self.ends.get(column) else { return "" };
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        &self.text[start..end]
    }

    /// Every cell, in order.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|column| self.cell(column))
    }

    /// Cells up to the last that is not blank.
    #[must_use]
    pub fn used(&self) -> usize {
        (0..self.len()).rev().find(|&it| !self.cell(it).trim().is_empty()).map_or(0, |it| it + 1)
    }

    fn start(&mut self, number: u32) {
        self.number = number;
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(self.text.len());
    }

    /// Fail where the row is beyond what anybody means to import.
    fn check_limits(&self) -> Result<(), ReadError> {
        if self.len() > MAX_COLUMNS && self.used() > MAX_COLUMNS {
            return Err(ReadError::unreadable(format!(
                "El archivo tiene {} columnas y el máximo es {MAX_COLUMNS}. No se guardó nada. Deja solo las columnas que quieres importar y vuelve a subirlo.",
                self.used()
            )));
        }
        if self.text.len() > MAX_CELL_BYTES && self.cells().any(|it| it.len() > MAX_CELL_BYTES) {
            return Err(cell_too_long(self.number));
        }
        Ok(())
    }
}

/// The refusal of an endless cell near row `number`.
fn cell_too_long(number: u32) -> ReadError {
    ReadError::unreadable(format!(
        "La fila {number} tiene una celda demasiado larga (más de 100.000 caracteres). Suele ser una comilla (\") que se abre y no se cierra. No se guardó nada. Revisa esa fila y vuelve a subir el archivo."
    ))
}

/// What looks at each row: the row, and the share of the file read so far (0 to 1).
pub type Visitor<'v> = dyn FnMut(&Row, f32) -> ControlFlow<()> + 'v;

/// A file whose format is known and within the limits.
#[derive(Debug)]
pub enum Source {
    /// Delimited text.
    Text(text::TextSource),
    /// A workbook.
    Workbook(workbook::WorkbookSource),
}

impl Source {
    /// Find out what the file at `path` is.
    ///
    /// # Errors
    /// When it is nothing that can be read safely; the sentence says why.
    pub fn open(path: &Path) -> Result<Source, ReadError> {
        detect::open(path)
    }

    /// What the file is, in words: "CSV con punto y coma, Windows-1252".
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Source::Text(it) => it.describe(),
            Source::Workbook(it) => it.describe(),
        }
    }

    /// Names of its sheets; none for text.
    #[must_use]
    pub fn sheets(&self) -> &[String] {
        match self {
            Source::Text(_) => &[],
            Source::Workbook(it) => it.sheets(),
        }
    }

    /// Show each row that is not empty to `visit`, in order, until it breaks off.
    ///
    /// # Errors
    /// When the file turns out to be broken further down.
    pub fn each_row(&self, sheet: Option<&str>, visit: &mut Visitor<'_>) -> Result<(), ReadError> {
        match self {
            Source::Text(it) => it.each_row(visit),
            Source::Workbook(it) => it.each_row(sheet, visit),
        }
    }
}
