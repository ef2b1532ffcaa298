//! What became of each row: pages of rows by verdict, and the rejected ones as a
//! CSV that can be corrected and uploaded again.

use super::{Import, mapping::OF_REPORTS, record};
use crate::{
    access::{Actor, Permission},
    chile::spreadsheet::{self, push_line},
    contacts::export::FEW,
    error::{Error, Result},
    ids::ImportId,
};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use serde_json::json;
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
    /// What was dropped, and what the base says to it.
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

macro_rules! report_rows {
    ($which:literal $(, $value:expr)*) => {
        sqlx::query_as!(
            ReportRow,
            r#"select r.row_number, r.verdict,
                coalesce(nullif(concat_ws(' ', r.first_name, r.last_name), ''),
                    nullif(trim(concat_ws(' ', c.first_name, c.last_name)), ''),
                    case when i.kind = 'companies' then coalesce(r.company_name, k.name) end,
                    case when r.verdict = 'REJECTED' then array_to_string(r.cells[1:4], ' · ') end,
                    case when i.status = 'UNDONE' then 'Se deshizo' end, '') as "name!",
                case when i.kind = 'contacts' then coalesce(r.company_name, employer.name) end as company,
                coalesce(r.email, c.email, k.email) as email, coalesce(r.phone, c.phone, k.phone) as phone,
                r.column_name as "column", r.value, r.reason, nullif(concat_ws('. ', r.warning, r.note), '') as warning,
                r.event_kind, r.event_on, r.item, r.amount, r.quantity,
                c.id as "contact_id?", k.id as "company_id?"
             from import_rows r
             join imports i on i.id = r.import_id
             left join contacts c on i.kind <> 'companies' and c.id = r.subject_id
             left join companies k on i.kind = 'companies' and k.id = r.subject_id
             left join companies employer on employer.id = c.company_id
             where r.import_id = $1 and r.row_number > $2 and "# + $which + " order by r.row_number limit $3"
            $(, $value)*
        )
    };
}

/// Rows without a remark that are kept together: few enough for the database not to compress them, which takes
/// longer than writing them.
pub(super) const QUIET_BLOCK: i64 = 150;

/// A reason by which rows are looked for.
#[derive(Clone, Debug)]
pub struct Why {
    /// The column that it is about; reservations name none.
    pub column: String,
    /// The reason, as [`reasons`] or [`observations`] give it.
    pub reason: String,
}

/// The rows of `id` with `verdict` (none: all; `WARNED`: those with a reservation) below row `after`, and of
/// the rejected and those with a reservation, where asked for, those for this reason alone.
///
/// # Errors
/// When the database fails.
pub async fn rows(
    db: &PgPool,
    id: ImportId,
    verdict: Option<&str>,
    why: Option<&Why>,
    after: i32,
    limit: i64,
) -> Result<Vec<ReportRow>> {
    // Each has its own index: one statement for all would walk the whole import.
    let mut rows =
        match (verdict, why) {
            (None, _) => report_rows!("true", id.0, after, limit).fetch_all(db).await?,
            (Some("WARNED"), Some(why)) => {
                report_rows!(
                    "(r.warning is not null or r.note is not null) and r.verdict <> 'REJECTED'
                    and $4 = any (string_to_array(
                        regexp_replace(concat_ws('. ', r.warning, r.note), '«[^»]*»', '«…»', 'g'), '. '))",
                    id.0,
                    after,
                    limit,
                    why.reason
                )
                .fetch_all(db)
                .await?
            }
            (Some("REJECTED"), Some(why)) => report_rows!(
                "r.verdict = 'REJECTED' and coalesce(r.reason, '') = $4 and coalesce(r.column_name, '') = $5",
                id.0,
                after,
                limit,
                why.reason,
                why.column
            )
            .fetch_all(db)
            .await?,
            (Some("WARNED"), None) => {
                report_rows!(
                    "(r.warning is not null or r.note is not null) and r.verdict <> 'REJECTED'",
                    id.0,
                    after,
                    limit
                )
                .fetch_all(db)
                .await?
            }
            // The index of the few is told apart by their names: a statement that is prepared without them would
            // not know that it may use it.
            (Some("UPDATED"), _) => {
                report_rows!("r.verdict = 'UPDATED'", id.0, after, limit).fetch_all(db).await?
            }
            (Some("DUPLICATE"), _) => {
                report_rows!("r.verdict = 'DUPLICATE'", id.0, after, limit).fetch_all(db).await?
            }
            (Some("REJECTED"), None) => {
                report_rows!("r.verdict = 'REJECTED'", id.0, after, limit).fetch_all(db).await?
            }
            (Some(verdict), _) => {
                report_rows!("r.verdict = $4", id.0, after, limit, verdict).fetch_all(db).await?
            }
        };
    rows.extend(quiet_rows(db, id, verdict, after, limit).await?);
    rows.sort_unstable_by_key(|it| it.row_number);
    rows.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(rows)
}

/// Those of [`rows`] that a written import keeps in blocks.
async fn quiet_rows(
    db: &PgPool,
    id: ImportId,
    verdict: Option<&str>,
    after: i32,
    limit: i64,
) -> Result<Vec<ReportRow>> {
    let verdicts: Vec<String> = ["CREATED", "UNCHANGED"]
        .into_iter()
        .filter(|it| verdict.is_none_or(|verdict| verdict == *it))
        .map(str::to_owned)
        .collect();
    // The first block may begin above the page, and the last one need not be full.
    let blocks = limit / QUIET_BLOCK + 2;
    Ok(sqlx::query_as!(
        ReportRow,
        r#"select q.row_number as "row_number!", q.verdict as "verdict!",
            coalesce(nullif(trim(concat_ws(' ', c.first_name, c.last_name)), ''), k.name, '') as "name!",
            employer.name as "company?", coalesce(c.email, k.email) as email, coalesce(c.phone, k.phone) as phone,
            null::text as "column", null::text as value, null::text as reason, null::text as warning,
            null::text as event_kind, null::date as event_on, null::text as item, null::bigint as amount,
            null::int as quantity, c.id as "contact_id?", k.id as "company_id?"
         from (
            select b.verdict, one.row_number, one.subject_id
            from unnest($4::text[]) as wanted (verdict)
            cross join lateral (
                select verdict, row_numbers, subject_ids from import_quiet_rows
                where import_id = $1 and verdict = wanted.verdict and last_row > $2 order by last_row limit $5
            ) b
            cross join lateral unnest(b.row_numbers, b.subject_ids) as one (row_number, subject_id)
            where one.row_number > $2 order by one.row_number limit $3
         ) q
         join imports i on i.id = $1
         left join contacts c on i.kind <> 'companies' and c.id = q.subject_id
         left join companies k on i.kind = 'companies' and k.id = q.subject_id
         left join companies employer on employer.id = c.company_id
         order by q.row_number"#,
        id.0,
        after,
        limit,
        &verdicts,
        blocks,
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

/// What rows of `id` are taken with a reservation for, the most frequent first. What differs from row to row,
/// in quotes, is left out: a row with two reservations counts for both.
///
/// # Errors
/// When the database fails.
pub async fn observations(db: impl PgExecutor<'_>, id: ImportId, limit: i64) -> Result<Vec<Reason>> {
    Ok(sqlx::query_as!(
        Reason,
        r#"select '' as "column!", said.reason as "reason!", sum(alike.count)::bigint as "count!"
         from (
            select warning, note, count(*) as count from import_rows
            where import_id = $1 and (warning is not null or note is not null) and verdict <> 'REJECTED'
            group by warning, note
         ) alike
         cross join lateral (
            select distinct unnest(string_to_array(
                regexp_replace(concat_ws('. ', alike.warning, alike.note), '«[^»]*»', '«…»', 'g'), '. ')) as reason
         ) said
         group by said.reason order by 3 desc, 2 limit $2"#,
        id.0,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// Begin to take the rejected rows of `import` out as a CSV: its own columns, then `fila`, `columna` and
/// `motivo`. It is an export like that of contacts: who may take out how much is the same, and it is audited.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when they are more than the actor's role may take; the database's.
pub async fn rejected_csv(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    import: &Import,
) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + 'static> {
    if !may_export(actor, import) {
        actor.require(Permission::Export)?;
        return Err(Error::refused(format!(
            "Tu rol puede descargar hasta {FEW} filas y las rechazadas son más. No se descargó nada. \
             Pídelas a quien administra el equipo."
        )));
    }
    let mut tx = db.begin().await?;
    let taken = json!({"rows": import.counts.rejected, "format": "csv"});
    record(&mut tx, now, actor, "import.export_rejected", import.id, taken).await?;
    tx.commit().await?;
    let columns = import.layout.as_ref().map(|it| it.columns.clone()).unwrap_or_default();
    Ok(lines(db.clone(), import.id, columns))
}

/// Whether the actor may take the rejected rows of `import` out as a file.
#[must_use]
pub fn may_export(actor: &Actor, import: &Import) -> bool {
    actor.may(Permission::Export) && (import.counts.rejected <= FEW || actor.may(Permission::ExportAll))
}

fn lines(
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
                out.extend_from_slice(spreadsheet::MARK.as_bytes());
                push_line(&mut out, columns.iter().map(String::as_str).chain(OF_REPORTS))?;
            }
            for row in &rows {
                let number = row.row_number.to_string();
                let cells = (0..columns.len()).map(|at| row.cells.get(at).map_or("", String::as_str));
                push_line(&mut out, cells.chain([number.as_str(), &row.column, &row.reason]))?;
            }
            let next = rows.last().filter(|_| i64::try_from(rows.len()) == Ok(PAGE)).map(|it| it.row_number);
            Ok((!out.is_empty()).then_some((out, (db, next))))
        }
    })
}

/// Write the rejected rows of `import` to `out`.
///
/// # Errors
/// As [`rejected_csv`], or when the disk fails.
pub async fn write_rejected(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    import: &Import,
    out: &mut dyn std::io::Write,
) -> Result<()> {
    let mut parts = std::pin::pin!(rejected_csv(db, now, actor, import).await?);
    while let Some(part) = parts.try_next().await? {
        out.write_all(&part)?;
    }
    Ok(())
}
