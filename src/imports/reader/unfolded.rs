//! How much an OpenDocument spreadsheet comes to once its repetitions are written out:
//! a few bytes may stand for millions of cells, and the parser writes out every one.

use super::{ReadError, detect};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// Most cells that all sheets of a workbook may unfold into. A hundred thousand rows of fifty columns.
pub(super) const MAX_CELLS: u64 = 5_000_000;
/// Most text that they may unfold into, in bytes.
pub(super) const MAX_TEXT: u64 = 128 * 1024 * 1024;
/// Columns at which the parser stops.
const MAX_WIDTH: u64 = 16_384;
/// Rows at which the parser stops.
const MAX_HEIGHT: u64 = 1_048_576;

/// Refuse the OpenDocument at `path` if it unfolds into more than can be held.
pub(super) fn check(path: &Path) -> Result<(), ReadError> {
    let mut zip = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|_| detect::damaged())?;
    let part = zip.by_name("content.xml").map_err(|_| detect::damaged())?;
    measure(part)
}

fn measure(content: impl Read) -> Result<(), ReadError> {
    let mut reader = Reader::from_reader(BufReader::new(content));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.expand_empty_elements = true;
    let (mut buffer, mut unfolding) = (Vec::new(), Unfolding::default());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|_| detect::damaged())? {
            Event::Start(it) => unfolding.begin(&it)?,
            Event::Text(it) => unfolding.cell_bytes = unfolding.cell_bytes.saturating_add(it.len() as u64),
            Event::GeneralRef(_) => unfolding.cell_bytes = unfolding.cell_bytes.saturating_add(4),
            Event::End(it) => match it.name().0 {
                "table:table-cell" | "table:covered-table-cell" => unfolding.end_cell(),
                "table:table-row" => unfolding.end_row()?,
                "table:table" => unfolding.end_table()?,
                _ => (),
            },
            Event::Eof => return unfolding.end_table(),
            _ => (),
        }
    }
}

/// Too much, as a sentence.
pub(super) fn too_much() -> ReadError {
    ReadError::unreadable(
        "La planilla dice tener demasiadas celdas (más de cinco millones) y no se leyó, por seguridad. No se guardó nada. Copia los datos a una planilla nueva y vuelve a subirla.",
    )
}

/// What has been seen so far. Empty cells and rows count only where something comes after them.
#[derive(Default)]
struct Unfolding {
    cells: u64,
    text: u64,
    width: u64,
    height: u64,
    empty_rows: u64,
    row_repeats: u64,
    row_width: u64,
    row_text: u64,
    empty_cells: u64,
    cell_repeats: u64,
    cell_bytes: u64,
    cell_has_value: bool,
}

impl Unfolding {
    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        let is_cell = match element.name().0 {
            "table:table-row" => {
                self.row_repeats = repeats(element, "table:number-rows-repeated")?.min(MAX_HEIGHT);
                (self.row_width, self.row_text, self.empty_cells) = (0, 0, 0);
                return Ok(());
            }
            "table:table-cell" | "table:covered-table-cell" => true,
            "text:s" => {
                self.cell_bytes = self.cell_bytes.saturating_add(repeats(element, "text:c")?);
                return Ok(());
            }
            _ => false,
        };
        if is_cell {
            self.cell_repeats = repeats(element, "table:number-columns-repeated")?.min(MAX_WIDTH);
            (self.cell_bytes, self.cell_has_value) = (0, false);
            for attribute in element.attributes().with_checks(false) {
                let attribute = attribute.map_err(|_| detect::damaged())?;
                let key = attribute.key.0;
                if key.starts_with("office:") || key.starts_with("calcext:") || key == "table:formula" {
                    self.cell_has_value = true;
                    self.cell_bytes += attribute.value.len() as u64;
                }
            }
        }
        Ok(())
    }

    fn end_cell(&mut self) {
        if self.cell_has_value || self.cell_bytes > 0 {
            self.row_width += self.empty_cells + self.cell_repeats;
            self.row_text = self.row_text.saturating_add(self.cell_bytes.saturating_mul(self.cell_repeats));
            self.empty_cells = 0;
        } else {
            self.empty_cells = self.empty_cells.saturating_add(self.cell_repeats).min(MAX_WIDTH);
        }
        (self.cell_bytes, self.cell_has_value, self.cell_repeats) = (0, false, 0);
    }

    fn end_row(&mut self) -> Result<(), ReadError> {
        if self.row_width == 0 {
            self.empty_rows = self.empty_rows.saturating_add(self.row_repeats).min(MAX_HEIGHT);
            return Ok(());
        }
        self.height += self.empty_rows + self.row_repeats;
        self.width = self.width.max(self.row_width);
        self.text = self.text.saturating_add(self.row_text.saturating_mul(self.row_repeats));
        self.empty_rows = 0;
        self.within_limits()
    }

    fn end_table(&mut self) -> Result<(), ReadError> {
        self.within_limits()?;
        self.cells += self.height * self.width;
        (self.height, self.width, self.empty_rows) = (0, 0, 0);
        self.within_limits()
    }

    fn within_limits(&self) -> Result<(), ReadError> {
        let cells = self.cells.saturating_add(self.height.saturating_mul(self.width));
        if cells > MAX_CELLS || self.text > MAX_TEXT || self.cell_bytes > MAX_TEXT {
            return Err(too_much());
        }
        Ok(())
    }
}

/// How often `element` says that it stands there; what isn't a plain number is beyond all measure.
fn repeats(element: &BytesStart<'_>, name: &str) -> Result<u64, ReadError> {
    let mut most = None;
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| detect::damaged())?;
        if attribute.key.0 == name {
            most = most.max(Some(attribute.value.parse().unwrap_or(u64::MAX)));
        }
    }
    Ok(most.unwrap_or(1))
}
