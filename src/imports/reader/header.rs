//! Where the table begins: skips titles above the header and names the columns.

use super::{ReadError, Row, Source};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// How far down a header is looked for.
const SEARCHED_ROWS: usize = 25;
/// How many rows a preview shows.
const SAMPLE_ROWS: usize = 8;
/// How much of a cell a preview shows, in characters.
const SAMPLE_CHARS: usize = 80;

/// The first rows, as a preview shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRow {
    /// Row in the file.
    pub number: u32,
    /// Cells, cut to a readable length.
    pub cells: Vec<String>,
}

/// What was found in a file before its rows are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Format in words.
    pub format: String,
    /// Sheets, where there are any.
    pub sheets: Vec<String>,
    /// The sheet that is read.
    pub sheet: Option<String>,
    /// Row of the header; 0 where the file has none.
    pub header_row: u32,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The first rows below the header.
    pub sample: Vec<SampleRow>,
}

/// Find the table in `source`. `chosen` is the row of its header, 0 where it has none; nobody chose it: it is looked for.
/// `known` says whether a text is the name of a column that the caller understands.
///
/// # Errors
/// When there are no rows, the chosen one isn't among the first, or the file is broken.
pub fn layout(
    source: &Source,
    sheet: Option<&str>,
    chosen: Option<u32>,
    known: &dyn Fn(&str) -> bool,
) -> Result<Layout, ReadError> {
    let mut rows: Vec<Row> = Vec::new();
    source.each_row(sheet, &mut |row, _| {
        rows.push(row.clone());
        if rows.len() < SEARCHED_ROWS + SAMPLE_ROWS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if rows.is_empty() {
        return Err(ReadError::unreadable(match sheet.or(source.sheets().first().map(String::as_str)) {
            Some(name) => {
                format!(
                    "La hoja «{name}» está vacía. No se guardó nada. Elige otra hoja o revisa el archivo."
                )
            }
            None => "El archivo está vacío. Revisa que guardaste la planilla antes de subirla.".to_owned(),
        }));
    }
    let header = match chosen {
        None => find(&rows, known),
        Some(0) => None,
        Some(number) => Some(at(&rows, number)?),
    };
    // Some files name their columns twice, below each other: in two languages, or for print and for people.
    let last = header.as_ref().map(|it| match chosen {
        Some(_) => it.last,
        None => it.last + rows[it.last + 1..].iter().take_while(|row| names_only(row, known)).count(),
    });
    let first = last.map_or(0, |it| it + 1);
    let sample: Vec<SampleRow> = rows[first..].iter().take(SAMPLE_ROWS).map(preview).collect();
    if sample.is_empty() {
        return Err(ReadError::unreadable(
            "El archivo solo tiene el encabezado: no hay filas que importar. No se guardó nada.",
        ));
    }
    let columns = if let Some(header) = header {
        header.names.iter().enumerate().map(|(column, it)| name(it, column)).collect()
    } else {
        let width = rows.iter().map(Row::used).max().unwrap_or(0);
        (0..width).map(|column| name("", column)).collect()
    };
    Ok(Layout {
        format: source.describe(),
        sheets: source.sheets().to_vec(),
        sheet: sheet.map(str::to_owned).or_else(|| source.sheets().first().cloned()),
        header_row: last.map_or(0, |at| rows[at].number),
        columns,
        sample,
    })
}

/// The names of the columns as they stand, and the place of the row that ends them.
struct Header {
    last: usize,
    names: Vec<String>,
}

/// The row `number` as the header.
fn at(rows: &[Row], number: u32) -> Result<Header, ReadError> {
    let at = rows.iter().position(|it| it.number == number).ok_or_else(|| {
        ReadError::unreadable(format!(
            "La fila {number} está vacía o no está entre las primeras del archivo. No se guardó nada. Elige otra fila de encabezados y vuelve a simular."
        ))
    })?;
    let names = (0..rows[at].used()).map(|column| rows[at].cell(column).to_owned()).collect();
    Ok(Header { last: at, names })
}

/// The header among the first rows; none where data begins at once.
fn find(rows: &[Row], known: &dyn Fn(&str) -> bool) -> Option<Header> {
    let searched = &rows[..rows.len().min(SEARCHED_ROWS)];
    let recognised = |row: &Row| row.cells().filter(|it| known(it)).count();
    let (at, score) = searched
        .iter()
        .enumerate()
        .map(|(at, row)| (at, recognised(row)))
        // The first of the best: later rows can hold words that are names of columns too.
        .max_by_key(|&(at, score)| (score, std::cmp::Reverse(at)))?;
    if let Some(split) = split_in_two(searched, score, known) {
        return Some(split);
    }
    let whole = |at: usize| Header {
        last: at,
        names: (0..searched[at].used()).map(|column| searched[at].cell(column).to_owned()).collect(),
    };
    if score > 0 {
        return Some(whole(at));
    }
    let widest = searched.iter().map(Row::used).max().unwrap_or(0);
    let at = searched.iter().position(|it| it.used() == widest)?;
    (!holds_data(&searched[at])).then(|| whole(at))
}

/// A header whose names go on in the row below ("Correo" over "electrónico"), where more of them are
/// understood together than the `best` row has by itself.
fn split_in_two(rows: &[Row], best: usize, known: &dyn Fn(&str) -> bool) -> Option<Header> {
    let mut found: Option<(usize, Header)> = None;
    for (at, pair) in rows.windows(2).enumerate() {
        let (upper, lower) = (&pair[0], &pair[1]);
        if lower.number != upper.number + 1 || holds_data(upper) || holds_data(lower) {
            continue;
        }
        let mut joined_any = false;
        let names: Vec<String> = (0..upper.used().max(lower.used()))
            .map(|column| {
                let (above, below) = (upper.cell(column).trim(), lower.cell(column).trim());
                let joined = if above == below { above.to_owned() } else { format!("{above} {below}") };
                if !above.is_empty() && !below.is_empty() && above != below && known(&joined) {
                    joined_any = true;
                    return joined;
                }
                [below, above].into_iter().find(|it| known(it)).map_or(joined, str::to_owned)
            })
            .collect();
        let score = names.iter().filter(|it| known(it)).count();
        if joined_any && score > found.as_ref().map_or(best, |it| it.0) {
            found = Some((score, Header { last: at + 1, names }));
        }
    }
    found.map(|it| it.1)
}

/// Whether an address or a long number stands in `row`: no header has them.
fn holds_data(row: &Row) -> bool {
    row.cells().any(|it| it.contains('@') || it.chars().filter(char::is_ascii_digit).count() > 6)
}

/// Whether `row` holds nothing but names of columns, and more than one.
fn names_only(row: &Row, known: &dyn Fn(&str) -> bool) -> bool {
    let words = || row.cells().filter(|it| !it.trim().is_empty());
    words().count() > 1 && words().all(known)
}

fn name(header: &str, column: usize) -> String {
    // Postgres can't keep a null byte.
    let header = header.replace('\0', "�").split_whitespace().collect::<Vec<_>>().join(" ");
    if header.is_empty() {
        format!("Columna {}", letters(column))
    } else {
        header.chars().take(SAMPLE_CHARS).collect()
    }
}

/// The column's letters as in a spreadsheet.
fn letters(mut column: usize) -> String {
    let mut name = String::new();
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "below 26")]
        name.insert(0, char::from(b'A' + (column % 26) as u8));
        if column < 26 {
            return name;
        }
        column = column / 26 - 1;
    }
}

fn preview(row: &Row) -> SampleRow {
    let cells = (0..row.used())
        .map(|column| {
            let text = row.cell(column).replace('\0', "�");
            match text.char_indices().nth(SAMPLE_CHARS) {
                Some((at, _)) => format!("{}…", &text[..at]),
                None => text,
            }
        })
        .collect();
    SampleRow { number: row.number, cells }
}
