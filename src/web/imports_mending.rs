//! The grid in which rows of a simulated import are written anew: those that stay out, and those
//! that lose a cell.

use super::shell::Shell;
use crate::{
    access::Permission,
    chile::{format::number, time},
    error::Result,
    imports::{
        Import, Status,
        corrections::{self, Faulty},
    },
    state::AppState,
};

/// The first columns, which mostly tell who a row is about.
const NAMED: usize = 2;

/// Rows to be written anew, with what stands above them.
pub(super) struct Grid {
    pub title: &'static str,
    pub lead: String,
    pub rows: Vec<Wrong>,
}

/// A row with its cells to be written anew.
pub(super) struct Wrong {
    pub row: i32,
    pub column: String,
    pub reason: String,
    pub cells: Vec<Cell>,
}

/// A cell that is imported, so that it matters.
pub(super) struct Cell {
    pub at: usize,
    pub header: String,
    pub text: String,
    /// It is at fault.
    pub faulty: bool,
}

impl Cell {
    /// A field of one line would lose its line ends.
    pub(super) fn has_lines(&self) -> bool {
        self.text.contains(['\n', '\r'])
    }
}

/// Whether rows of `import` may still be written anew by the reader of `shell`.
pub(super) fn is_open(import: &Import, shell: &Shell) -> bool {
    import.status == Status::Ready && shell.may(Permission::RunImports)
}

/// The first rows that stay out.
pub(super) async fn of_rejected(state: &AppState, import: &Import) -> Result<Option<Grid>> {
    let rows = corrections::rejected(&state.db, import, time::local_date(state.clock.now())).await?;
    let first = match i64::try_from(rows.len()) {
        Ok(shown) if shown < import.counts.rejected => {
            format!("Son las primeras {} de {}. ", number(shown), number(import.counts.rejected))
        }
        _ => String::new(),
    };
    let lead = format!(
        "{first}Cambia lo que haga falta y vuelve a simular: se revisan de nuevo y entran con las demás. Tu archivo no se modifica."
    );
    Ok(grid(import, "Corrige aquí las filas rechazadas", lead, rows))
}

/// Whether some row that goes in has a cell in doubt.
pub(super) async fn is_any_in_doubt(state: &AppState, import: &Import) -> Result<bool> {
    corrections::is_any_in_doubt(&state.db, import, time::local_date(state.clock.now())).await
}

/// Those of the rows `numbers` that stay out or lose a cell.
pub(super) async fn among(state: &AppState, import: &Import, numbers: &[i32]) -> Result<Option<Grid>> {
    let today = time::local_date(state.clock.now());
    let rows = corrections::among(&state.db, import, today, numbers).await?;
    let lead = "Cambia las celdas marcadas y vuelve a simular: lo que quede bien se guarda al confirmar. Tu archivo no se modifica.";
    Ok(grid(import, "Corrige aquí estas filas", lead.to_owned(), rows))
}

/// The rows as the grid shows them: the columns that are imported, those at fault before the others, each in the order of the file.
fn grid(import: &Import, title: &'static str, lead: String, rows: Vec<Faulty>) -> Option<Grid> {
    if rows.is_empty() {
        return None;
    }
    let columns: &[String] = import.layout.as_ref().map(|it| it.columns.as_slice()).unwrap_or_default();
    let mut imported: Vec<usize> =
        (0..columns.len()).filter(|at| import.fields.get(*at).is_some_and(Option::is_some)).collect();
    // Who stays out may lack any cell. Of who loses one, that cell beside who it is.
    if rows.iter().all(|it| it.column.is_empty()) {
        let named = imported.iter().copied().take(NAMED).collect::<Vec<_>>();
        imported.retain(|at| named.contains(at) || rows.iter().any(|it| it.at.contains(at)));
    }
    // What is to be corrected comes first: the other columns may lie beyond the edge.
    imported.sort_by_key(|at| !rows.iter().any(|it| it.at.contains(at)));
    let cells = |row: &Faulty| {
        let cell = |&at: &usize| Cell {
            at,
            header: columns[at].clone(),
            text: row.cells.get(at).cloned().unwrap_or_default(),
            faulty: row.at.contains(&at),
        };
        imported.iter().map(cell).collect()
    };
    let rows = rows
        .into_iter()
        .map(|it| Wrong { row: it.row, cells: cells(&it), column: it.column, reason: it.reason })
        .collect();
    Some(Grid { title, lead, rows })
}
