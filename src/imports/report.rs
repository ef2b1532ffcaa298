//! What became of each row: pages of rows by verdict, and the rejected ones as a
//! CSV that can be corrected and uploaded again.

use super::Import;
use crate::{
    error::{Error, Result},
    ids::ImportId,
};
use chrono::NaiveDate;
use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};

/// Verdicts with what people read, in the order of the page.
pub const VERDICTS: [(&str, &str); 5] = [
    ("CREATED", "Nuevas"),
    ("UPDATED", "Con cambios"),
    ("UNCHANGED", "Sin cambios"),
    ("DUPLICATE", "Duplicadas"),
    ("REJECTED", "Rechazadas"),
];

/// One row with its verdict.
#[derive(Clone, Debug)]
pub struct ReportRow {
    /// Row of the file.
    pub row_number: i32,
    /// What became of it.
    pub verdict: String,
    /// Person or company.
    pub name: String,
    /// The company of a person.
    pub company: Option<String>,
    /// Address, where there is one.
    pub email: Option<String>,
    /// Telephone, as stored.
    pub phone: Option<String>,
    /// Offending column.
    pub column: Option<String>,
    /// What stood there.
    pub value: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What was dropped.
    pub warning: Option<String>,
    /// What happened, in a file of history: code of its kind.
    pub event_kind: Option<String>,
    /// When it happened.
    pub event_on: Option<NaiveDate>,
    /// What it was about.
    pub item: Option<String>,
    /// Pesos paid.
    pub amount: Option<i64>,
    /// How many.
    pub quantity: Option<i32>,
    /// The contact that it is now, if it can be opened.
    pub contact_id: Option<i64>,
    /// The company that it is now, if it can be opened.
    pub company_id: Option<i64>,
}

/// The rows of `id` with `verdict` (none: all; `WARNED`: those with a reservation) below row `after`.
///
/// # Errors
/// When the database fails.
pub async fn rows(
    db: impl PgExecutor<'_>,
    id: ImportId,
    verdict: Option<&str>,
    after: i32,
    limit: i64,
) -> Result<Vec<ReportRow>> {
    Ok(sqlx::query_as!(
        ReportRow,
        r#"select r.row_number, r.verdict,
            coalesce(nullif(concat_ws(' ', r.first_name, r.last_name), ''),
                nullif(trim(concat_ws(' ', c.first_name, c.last_name)), ''),
                case when i.kind = 'companies' then coalesce(r.company_name, k.name) end,
                case when r.verdict = 'REJECTED' then array_to_string(r.cells[1:4], ' · ') end,
                case when i.status = 'UNDONE' then 'Se deshizo' end, '') as "name!",
            case when i.kind = 'contacts' then coalesce(r.company_name, employer.name) end as company,
            coalesce(r.email, c.email, k.email) as email, coalesce(r.phone, c.phone, k.phone) as phone,
            r.column_name as "column", r.value, r.reason, r.warning,
            r.event_kind, r.event_on, r.item, r.amount, r.quantity,
            c.id as "contact_id?", k.id as "company_id?"
         from import_rows r
         join imports i on i.id = r.import_id
         left join contacts c on i.kind <> 'companies' and c.id = r.subject_id
         left join companies k on i.kind = 'companies' and k.id = r.subject_id
         left join companies employer on employer.id = c.company_id
         where r.import_id = $1 and r.row_number > $3
            and ($2::text is null or r.verdict = $2 or ($2 = 'WARNED' and r.warning is not null and r.verdict <> 'REJECTED'))
         order by r.row_number limit $4"#,
        id.0,
        verdict,
        after,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// One rejected row, as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedRow {
    /// Row of the file.
    pub row: i32,
    /// Offending column.
    pub column: String,
    /// What stood there.
    pub value: String,
    /// Why, in Spanish.
    pub reason: String,
}

/// The first rejected rows of `id`.
///
/// # Errors
/// When the database fails.
pub async fn rejections(db: impl PgExecutor<'_>, id: ImportId, limit: i64) -> Result<Vec<RejectedRow>> {
    Ok(sqlx::query_as!(
        RejectedRow,
        r#"select row_number as row, coalesce(column_name, '') as "column!", coalesce(value, '') as "value!",
            coalesce(reason, '') as "reason!"
         from import_rows where import_id = $1 and verdict = 'REJECTED' order by row_number limit $2"#,
        id.0,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// A reason and how many rows share it.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Offending column.
    pub column: String,
    /// What is wrong.
    pub reason: String,
    /// Rows.
    pub count: i64,
}

/// Why rows of `id` were rejected, the most frequent first.
///
/// # Errors
/// When the database fails.
pub async fn reasons(db: impl PgExecutor<'_>, id: ImportId, limit: i64) -> Result<Vec<Reason>> {
    Ok(sqlx::query_as!(
        Reason,
        r#"select coalesce(column_name, '') as "column!", coalesce(reason, '') as "reason!", count(*) as "count!"
         from import_rows where import_id = $1 and verdict = 'REJECTED' group by 1, 2 order by 3 desc, 1, 2 limit $2"#,
        id.0,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// The rejected rows of `import` as a CSV: its own columns, then `fila`, `columna` and `motivo`.
/// A byte-order mark and semicolons make Excel in Chile show it as a table.
pub fn rejected_csv(db: PgPool, import: &Import) -> impl Stream<Item = Result<Vec<u8>>> + Send + 'static {
    let id = import.id;
    let columns: Vec<String> = import.layout.as_ref().map(|it| it.columns.clone()).unwrap_or_default();
    async_stream(db, id, columns)
}

fn async_stream(
    db: PgPool,
    id: ImportId,
    columns: Vec<String>,
) -> impl Stream<Item = Result<Vec<u8>>> + Send + 'static {
    const PAGE: i64 = 2_000;
    futures_util::stream::try_unfold((db, Some(-1_i32)), move |(db, last)| {
        let columns = columns.clone();
        async move {
            let Some(last) = last else { return Ok(None) };
            let rows = sqlx::query!(
                r#"select row_number, coalesce(column_name, '') as "column!", coalesce(reason, '') as "reason!",
                    coalesce(cells, '{}') as "cells!: Vec<String>"
                 from import_rows where import_id = $1 and verdict = 'REJECTED' and row_number > $2
                 order by row_number limit $3"#,
                id.0,
                last,
                PAGE,
            )
            .fetch_all(&db)
            .await?;
            let mut out = Vec::new();
            if last < 0 {
                out.extend_from_slice("\u{feff}".as_bytes());
                let header = columns.iter().map(String::as_str).chain(["fila", "columna", "motivo"]);
                write(&mut out, header.map(neutral))?;
            }
            for row in &rows {
                let number = row.row_number.to_string();
                let width = columns.len();
                let cells = (0..width).map(|at| row.cells.get(at).map_or("", String::as_str));
                let told = [number.as_str(), row.column.as_str(), row.reason.as_str()];
                write(&mut out, cells.chain(told).map(neutral))?;
            }
            let next = rows.last().filter(|_| i64::try_from(rows.len()) == Ok(PAGE)).map(|it| it.row_number);
            Ok((!out.is_empty()).then_some((out, (db, next))))
        }
    })
}

fn write(out: &mut Vec<u8>, cells: impl Iterator<Item = String>) -> Result<()> {
    let mut writer =
        csv::WriterBuilder::new().delimiter(b';').terminator(csv::Terminator::CRLF).from_writer(out);
    writer.write_record(cells).map_err(|it| Error::Internal(it.to_string()))?;
    writer.flush()?;
    Ok(())
}

/// `cell` so that no spreadsheet runs it as a formula. Our own reader takes the guard off again.
#[must_use]
pub fn neutral(cell: &str) -> String {
    if cell.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// Write the rejected rows of `import` to `out`.
///
/// # Errors
/// When the database or the disk fails.
pub async fn write_rejected(db: PgPool, import: &Import, out: &mut dyn std::io::Write) -> Result<()> {
    let mut parts = std::pin::pin!(rejected_csv(db, import));
    while let Some(part) = parts.try_next().await? {
        out.write_all(&part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::neutral;

    #[test]
    fn formulas_are_guarded_and_nothing_else() {
        for (cell, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+56987654321", "'+56987654321"),
            ("-1", "'-1"),
            ("@sum(a1)", "'@sum(a1)"),
            ("\t=1", "'\t=1"),
            ("Ana", "Ana"),
            ("ana@x.cl", "ana@x.cl"),
            ("", ""),
        ] {
            assert_eq!(neutral(cell), expected);
        }
    }
}
