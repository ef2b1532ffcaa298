//! Text tables that Excel in Chile shows as tables and never runs: semicolons, a
//! byte-order mark, and a guard before whatever it would take for a formula. Pure.

use crate::error::{Error, Result};
use std::borrow::Cow;

/// What such a file begins with, so that its letters are read as UTF-8.
pub const MARK: &str = "\u{feff}";

/// Whether a spreadsheet would run `cell`. It skips blanks before the sign.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['\t', '\r', '\n'])
        || cell.trim_start().trim_start_matches('\u{feff}').starts_with(['=', '+', '-', '@'])
}

/// Whether `cell` is meant as a formula: one that says something, and not a dash for nothing.
#[must_use]
pub fn looks_like_formula(cell: &str) -> bool {
    is_formula(cell) && cell.contains(char::is_alphanumeric)
}

/// `cell` so that no spreadsheet runs it: behind an apostrophe, as Excel itself writes it.
#[must_use]
pub fn neutral(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// `cell` without the guard of [`neutral`], or of a spreadsheet that keeps a formula from running.
#[must_use]
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// Append `cells` to `out` as one line, each of them neutral.
///
/// # Errors
/// Never for a `Vec`.
pub fn push_line<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut writer =
        csv::WriterBuilder::new().delimiter(b';').terminator(csv::Terminator::CRLF).from_writer(out);
    let cells = cells.into_iter().map(neutral);
    writer.write_record(cells.map(Cow::into_owned)).map_err(|it| Error::Internal(it.to_string()))?;
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{looks_like_formula, neutral, unguarded};

    #[test]
    fn a_dash_for_nothing_is_no_formula() {
        for cell in ["=1+1", "+56987654321", "@suma", "-2+3", " =HYPERLINK(\"http://x\")"] {
            assert!(looks_like_formula(cell), "{cell}");
        }
        for cell in ["-", "--", "+", "Ana", "Ana - Eva", ""] {
            assert!(!looks_like_formula(cell), "{cell}");
        }
    }

    #[test]
    fn formulas_are_guarded_and_nothing_else() {
        for cell in [
            "=cmd|' /C calc'!A0",
            "+56987654321",
            "-1",
            "@sum(a1)",
            "\t=1",
            " =1+1",
            "\u{a0}=1+1",
            "\n=1+1",
            "\u{feff}=1",
        ] {
            assert_eq!(neutral(cell), format!("'{cell}"));
            assert_eq!(unguarded(&neutral(cell)), cell, "and the guard comes off again");
        }
        for cell in ["Ana", "Ana = Beto", "ana@x.cl", "'Hotel'", ""] {
            assert_eq!(neutral(cell), cell);
            assert_eq!(unguarded(cell), cell);
        }
    }
}
