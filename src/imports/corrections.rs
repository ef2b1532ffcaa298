//! Rows that stay out, or lose a cell, and that a person writes anew before confirming. The file stays as
//! it came: what was typed is kept by row, and read in its place.

use super::{Import, Status, record};
use crate::{
    access::{Actor, Permission},
    chile::time,
    db::Tx,
    error::{Error, Result},
    ids::ImportId,
    imports::{
        reader::{MAX_CELL_BYTES, MAX_COLUMNS, Row},
        validate::Validator,
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use std::collections::{BTreeMap, HashMap};

/// Rows that can be corrected at once.
pub const AT_ONCE: i64 = 100;
/// Text that can be corrected at once: it comes back in one form.
const SHOWN_BYTES: usize = 250_000;
/// Rows of one import that can be corrected in all: beyond that the file itself wants mending.
const AT_MOST: i64 = 5_000;

/// Corrected rows by their number.
pub(super) type Corrected = HashMap<u32, Row>;

/// A row to be written anew: one that stays out, or one that loses a cell.
#[derive(Clone, Debug)]
pub struct Faulty {
    /// Row of the file.
    pub row: i32,
    /// Offending column of one that stays out.
    pub column: String,
    /// Why it stays out, or what it loses.
    pub reason: String,
    /// The columns at fault, by their place in the file.
    pub at: Vec<usize>,
    /// The cells as they were read.
    pub cells: Vec<String>,
}

struct Kept {
    row: i32,
    column: String,
    reason: String,
    cells: Vec<String>,
    is_rejected: bool,
}

/// The first rejected rows of `import`, on the day `today`.
///
/// # Errors
/// When the database fails.
pub async fn rejected(db: impl PgExecutor<'_>, import: &Import, today: NaiveDate) -> Result<Vec<Faulty>> {
    let rows = sqlx::query_as!(
        Kept,
        r#"select row_number as row, coalesce(column_name, '') as "column!", coalesce(reason, '') as "reason!",
            coalesce(cells, '{}') as "cells!", true as "is_rejected!"
         from import_rows where import_id = $1 and verdict = 'REJECTED' order by row_number limit $2"#,
        import.id.0,
        AT_ONCE,
    )
    .fetch_all(db)
    .await?;
    Ok(judged(import, today, rows))
}

/// Those of `numbers` that stay out or lose a cell, on the day `today`.
///
/// # Errors
/// When the database fails.
pub async fn among(
    db: impl PgExecutor<'_>,
    import: &Import,
    today: NaiveDate,
    numbers: &[i32],
) -> Result<Vec<Faulty>> {
    let rows = sqlx::query_as!(
        Kept,
        r#"select row_number as row, coalesce(column_name, '') as "column!",
            coalesce(reason, warning, '') as "reason!", cells as "cells!", verdict = 'REJECTED' as "is_rejected!"
         from import_rows
         where import_id = $1 and row_number = any($2) and cells is not null
            and (verdict = 'REJECTED' or warning is not null)
         order by row_number limit $3"#,
        import.id.0,
        numbers,
        AT_ONCE,
    )
    .fetch_all(db)
    .await?;
    Ok(judged(import, today, rows))
}

/// Whether some row that goes in has a cell in doubt, on the day `today`: not all that is said of a row is about a cell.
///
/// # Errors
/// When the database fails.
pub async fn is_any_in_doubt(db: impl PgExecutor<'_>, import: &Import, today: NaiveDate) -> Result<bool> {
    let rows = sqlx::query_as!(
        Kept,
        r#"select row_number as row, '' as "column!", coalesce(warning, '') as "reason!", cells as "cells!", false as "is_rejected!"
         from import_rows
         where import_id = $1 and cells is not null and verdict <> 'REJECTED' and warning is not null
         order by row_number limit $2"#,
        import.id.0,
        AT_ONCE,
    )
    .fetch_all(db)
    .await?;
    Ok(!judged(import, today, rows).is_empty())
}

/// What is wrong with each row, found by judging it again: only its sentence was kept. A row that goes in and has no cell
/// in doubt has nothing to be written anew.
fn judged(import: &Import, today: NaiveDate, rows: Vec<Kept>) -> Vec<Faulty> {
    let columns = import.layout.as_ref().map(|it| it.columns.as_slice()).unwrap_or_default();
    let mut validator = Validator::new(import.kind, columns, &import.fields, today);
    let mut bytes = 0;
    let shown = rows.into_iter().take_while(|it| {
        bytes += it.cells.iter().map(String::len).sum::<usize>();
        bytes <= SHOWN_BYTES
    });
    shown
        .filter_map(|it| {
            let checked = validator.check(&Row::of(2, it.cells.iter().map(String::as_str)));
            let named = checked.rejections.iter().map(|it| it.column.as_str()).chain([it.column.as_str()]);
            let mut at: Vec<usize> =
                named.filter_map(|name| columns.iter().position(|it| it == name)).collect();
            at.extend(checked.doubted);
            let stays_out = it.is_rejected;
            Some(Faulty { row: it.row, column: it.column, reason: it.reason, at, cells: it.cells })
                .filter(|it| stays_out || !it.at.is_empty())
        })
        .collect()
}

/// The corrected rows of `id`.
pub(super) async fn of(db: &mut PgConnection, id: ImportId) -> Result<Corrected> {
    let rows = sqlx::query!("select row_number, cells from import_corrections where import_id = $1", id.0)
        .fetch_all(db)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            let number = u32::try_from(it.row_number).ok()?;
            Some((number, Row::of(number, it.cells.iter().map(String::as_str))))
        })
        .collect())
}

/// The corrections of an ended import, or of another sheet, mean nothing.
pub(super) async fn forget(db: &mut PgConnection, id: ImportId) -> Result<()> {
    sqlx::query!("delete from import_corrections where import_id = $1", id.0).execute(db).await?;
    Ok(())
}

/// Write rows of `import` that stay out, or lose a cell, anew: cells by row number, then by column. Cells
/// that aren't named stay. The file is read again. Gives how many rows changed.
///
/// # Errors
/// When the import is past that, too many rows are corrected, or the database fails.
pub async fn write(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    import: &Import,
    typed: &BTreeMap<i32, BTreeMap<usize, String>>,
) -> Result<usize> {
    actor.require(Permission::RunImports)?;
    if import.status != Status::Ready {
        return Err(Error::refused("Esta importación ya no se puede corregir. Sube el archivo de nuevo."));
    }
    let mut changed = 0;
    let numbers: Vec<i32> = typed.keys().copied().collect();
    for row in among(&mut **tx, import, time::local_date(now), &numbers).await? {
        let Some(cells) = typed.get(&row.row).and_then(|typed| corrected(&row.cells, typed)) else {
            continue;
        };
        sqlx::query!(
            "insert into import_corrections (import_id, row_number, cells, corrected_by, corrected_at)
             values ($1, $2, $3, $4, $5)
             on conflict (import_id, row_number) do update
                set cells = excluded.cells, corrected_by = excluded.corrected_by, corrected_at = excluded.corrected_at",
            import.id.0,
            row.row,
            &cells,
            actor.staff_id().map(|it| it.0),
            now,
        )
        .execute(&mut **tx)
        .await?;
        changed += 1;
    }
    if changed == 0 {
        return Ok(0);
    }
    let kept = sqlx::query_scalar!(
        r#"select count(*) as "count!" from import_corrections where import_id = $1"#,
        import.id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    if kept > AT_MOST {
        return Err(Error::refused(
            "Ya corregiste 5.000 filas de este archivo. No se guardaron estas últimas: descarga las rechazadas, corrígelas en la planilla y súbela de nuevo.",
        ));
    }
    super::decisions::read_again(tx, import).await?;
    record(tx, now, actor, "import.correct", import.id, json!({"corrected_rows": changed})).await?;
    Ok(changed)
}

/// `cells` with what was typed over them; none: it says the same.
fn corrected(cells: &[String], typed: &BTreeMap<usize, String>) -> Option<Vec<String>> {
    let mut new = cells.to_vec();
    for (&at, text) in typed {
        if at >= MAX_COLUMNS {
            continue;
        }
        if new.len() <= at {
            new.resize(at + 1, String::new());
        }
        // A browser gives back every line end as two signs, and not all that it was shown.
        if line_ends(text) == line_ends(&new[at]) {
            continue;
        }
        // Postgres can't keep a null byte, and a cell that long is refused in a file too.
        new[at] = text.chars().filter(|it| *it != '\0').take(MAX_CELL_BYTES / 4).collect();
    }
    while new.len() > cells.len() && new.last().is_some_and(String::is_empty) {
        new.pop();
    }
    (new != cells).then_some(new)
}

/// `text` with line ends of one kind.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use super::corrected;
    use std::collections::BTreeMap;

    #[test]
    fn only_what_was_typed_changes() {
        let cells = ["a".to_owned(), "b".to_owned()];
        let check = |typed: &[(usize, &str)], expected: Option<&[&str]>| {
            let typed: BTreeMap<_, _> = typed.iter().map(|(at, text)| (*at, (*text).to_owned())).collect();
            let expected = expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
            assert_eq!(corrected(&cells, &typed), expected, "{typed:?}");
        };
        check(&[(1, "c")], Some(&["a", "c"]));
        check(&[(3, "d")], Some(&["a", "b", "", "d"]));
        check(&[(0, "a"), (2, "")], None);
        check(&[(500, "x")], None);
        check(&[(0, "x\0y")], Some(&["xy", "b"]));
    }

    #[test]
    fn what_a_browser_gives_back_unchanged_is_unchanged() {
        let long = "x".repeat(90_000);
        let cells = ["uno\ndos\rtres".to_owned(), long.clone(), "a".to_owned()];
        let typed = BTreeMap::from([(0, "uno\r\ndos\r\ntres".to_owned()), (1, long)]);
        assert_eq!(corrected(&cells, &typed), None);
        let typed = BTreeMap::from([(0, "uno\r\ndos\r\ntres".to_owned()), (2, "b".to_owned())]);
        assert_eq!(corrected(&cells, &typed).unwrap()[0], "uno\ndos\rtres", "beside a cell that changed");
    }
}
