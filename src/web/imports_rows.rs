//! The rows of an import with what became of them, and what can be downloaded: the rejected
//! rows and the example files.

use super::{
    filters,
    html::{self, Answer},
    imports::{Tile, tiles},
    imports_mending::{self, Grid},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    chile::phone::Phone,
    contacts::bulk::HistoryKind,
    error::Error,
    ids::ImportId,
    imports::{
        self, Import, Kind,
        changes::{self, Change},
        examples,
        report::{self, Reason, ReportRow, VERDICTS, Why},
    },
    state::AppState,
};
use askama::Template;
use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::collections::HashMap;

/// Rows of one page.
const ROWS: i64 = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/imports/examples/{file}", Permission::View, example),
        Route::get("/imports/{id}/rows", Permission::View, rows),
        Route::get("/imports/{id}/rejected.csv", Permission::Export, rejected),
    ]
}

async fn example(Path(file): Path<String>) -> Answer {
    let kind = file.strip_suffix(".csv").and_then(Kind::from_code).ok_or(Error::NotFound)?;
    let name = match kind {
        Kind::Companies => "empresas-ejemplo.csv",
        Kind::Contacts => "contactos-ejemplo.csv",
        Kind::History => "historial-ejemplo.csv",
    };
    Ok(download(name, Body::from(examples::csv(kind))))
}

/// A CSV that the browser saves as `name`, which is ours and plain ASCII.
fn download(name: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

#[derive(Deserialize)]
struct RowsQuery {
    verdict: Option<String>,
    reason: Option<String>,
    column: Option<String>,
    after: Option<i32>,
}

/// The address of the rows with `verdict` that have this reason.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn rows_for(id: &ImportId, verdict: &str, it: &Reason) -> String {
    address(*id, verdict, Some(&Why { column: it.column.clone(), reason: it.reason.clone() }))
}

fn address(id: ImportId, verdict: &str, why: Option<&Why>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(format!("/imports/{id}/rows?"));
    query.append_pair("verdict", verdict);
    if let Some(why) = why {
        query.append_pair("reason", &why.reason);
        if !why.column.is_empty() {
            query.append_pair("column", &why.column);
        }
    }
    query.finish()
}

#[derive(Template)]
#[template(path = "imports/rows.html")]
struct RowsPage {
    shell: Shell,
    import: Import,
    tabs: Vec<Tile>,
    verdict: String,
    why: Option<Why>,
    rows: Vec<ReportRow>,
    changes: HashMap<i32, Vec<Change>>,
    grid: Option<Grid>,
    newer: String,
    older: String,
    may_export: bool,
}

impl RowsPage {
    /// How the address of the tab at hand ends.
    fn mark(&self) -> String {
        format!("?verdict={}", self.verdict)
    }

    /// What the import changes in whom the row is about.
    fn changes_of(&self, row: &ReportRow) -> &[Change] {
        self.changes.get(&row.row_number).map_or(&[], Vec::as_slice)
    }
}

/// How a row is called.
pub(super) fn title(row: &ReportRow) -> &str {
    if row.name.trim().is_empty() { "(sin nombre)" } else { &row.name }
}

/// What was paid, in a row of history that says it.
pub(super) fn paid(row: &ReportRow) -> String {
    row.amount.map(crate::chile::format::money).unwrap_or_default()
}

/// What happened, in a row of history: "Compra, 14-03-2026: Caja de quesos (2)".
pub(super) fn happened(row: &ReportRow) -> String {
    let kind = row.event_kind.as_deref().and_then(HistoryKind::from_code).map_or("", HistoryKind::label);
    let day = row.event_on.map(crate::chile::format::date).unwrap_or_default();
    let item = row.item.as_deref().unwrap_or_default();
    let when = [kind, &day].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", ");
    let what = if item.is_empty() { when } else { format!("{when}: {item}") };
    match row.quantity {
        Some(several) if several > 1 => format!("{what} ({several})"),
        _ => what,
    }
}

/// Word, colour and icon of a row's verdict.
pub(super) fn verdict_of(row: &ReportRow) -> (&'static str, &'static str, &'static str) {
    match row.verdict.as_str() {
        "CREATED" => ("Nueva", "green", "plus"),
        "UPDATED" => ("Con cambios", "blue", "edit"),
        "UNCHANGED" => ("Sin cambios", "secondary", "check"),
        "DUPLICATE" => ("Duplicada", "yellow", "copy"),
        _ => ("Rechazada", "red", "ban"),
    }
}

async fn rows(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<ImportId>,
    Query(query): Query<RowsQuery>,
) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let verdict = query.verdict.filter(|it| it == "WARNED" || VERDICTS.iter().any(|(code, _)| code == it));
    let after = query.after.unwrap_or(0);
    let why = query
        .reason
        .filter(|_| matches!(verdict.as_deref(), Some("WARNED" | "REJECTED")))
        .map(|reason| Why { column: query.column.unwrap_or_default(), reason });
    let mut rows = report::rows(&state.db, id, verdict.as_deref(), why.as_ref(), after, ROWS + 1).await?;
    let more = i64::try_from(rows.len()).unwrap_or(ROWS) > ROWS;
    if more {
        rows.pop();
    }
    let verdict = verdict.unwrap_or_default();
    let base = address(id, &verdict, why.as_ref());
    let updated: Vec<i32> =
        rows.iter().filter(|it| it.verdict == "UPDATED").map(|it| it.row_number).collect();
    let changes =
        if updated.is_empty() { HashMap::new() } else { changes::of(&state.db, &import, &updated).await? };
    let numbers: Vec<i32> = rows.iter().map(|it| it.row_number).collect();
    let grid =
        if matches!(verdict.as_str(), "WARNED" | "REJECTED") && imports_mending::is_open(&import, &shell) {
            imports_mending::among(&state, &import, &numbers).await?
        } else {
            None
        };
    let older = rows.last().filter(|_| more).map(|it| format!("{base}&after={}", it.row_number));
    html::page(&RowsPage {
        shell,
        tabs: tiles(&import),
        may_export: import.counts.rejected > 0 && report::may_export(&actor, &import),
        import,
        rows,
        changes,
        why,
        grid,
        newer: if after > 0 { base } else { String::new() },
        older: older.unwrap_or_default(),
        verdict,
    })
}

async fn rejected(State(state): State<AppState>, actor: Actor, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let lines = report::rejected_csv(&state.db, state.clock.now(), &actor, &import).await?;
    let body = Body::from_stream(lines);
    Ok(download(&format!("rechazadas-{id}.csv"), body))
}
