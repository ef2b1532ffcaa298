//! The rows of an import with what became of them, and what can be downloaded: the rejected
//! rows and the example files.

use super::{
    filters,
    html::{self, Answer},
    imports::{Tile, tiles},
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
        self, Import, Kind, examples,
        report::{self, ReportRow, VERDICTS},
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
    after: Option<i32>,
}

#[derive(Template)]
#[template(path = "imports/rows.html")]
struct RowsPage {
    shell: Shell,
    import: Import,
    tabs: Vec<Tile>,
    verdict: String,
    rows: Vec<ReportRow>,
    newer: String,
    older: String,
    may_export: bool,
}

impl RowsPage {
    /// How the address of the tab at hand ends.
    fn mark(&self) -> String {
        format!("?verdict={}", self.verdict)
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
    let mut rows = report::rows(&state.db, id, verdict.as_deref(), after, ROWS + 1).await?;
    let more = i64::try_from(rows.len()).unwrap_or(ROWS) > ROWS;
    if more {
        rows.pop();
    }
    let verdict = verdict.unwrap_or_default();
    let base = format!("/imports/{id}/rows?verdict={verdict}");
    let older = rows.last().filter(|_| more).map(|it| format!("{base}&after={}", it.row_number));
    html::page(&RowsPage {
        shell,
        tabs: tiles(&import),
        may_export: import.counts.rejected > 0 && report::may_export(&actor, &import),
        import,
        rows,
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
