//! Imports in the panel: history, an import's page with its live progress, its
//! rows and downloads. What is done to one is in `imports_actions`.

use super::{
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    chile::phone::Phone,
    contacts::bulk::OnDuplicate,
    error::Error,
    ids::ImportId,
    imports::{
        self, Consent, Import, Kind, Status, examples,
        mapping::Field,
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
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Imports of one page.
const PAGE: i64 = 25;
/// Rows of one page.
const ROWS: i64 = 100;
/// Reasons for rejection that the summary names.
const REASONS: i64 = 8;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/imports", Permission::View, list),
        Route::get("/imports/guide", Permission::View, guide),
        Route::get("/imports/examples/{file}", Permission::View, example),
        Route::get("/imports/{id}", Permission::View, show),
        Route::get("/imports/{id}/progress", Permission::View, live),
        Route::get("/imports/{id}/rows", Permission::View, rows),
        Route::get("/imports/{id}/rejected.csv", Permission::View, rejected),
    ]
}

/// Colour of a status.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn tone(status: &Status) -> &'static str {
    match status {
        Status::Uploaded | Status::Undone | Status::Cancelled => "secondary",
        Status::Analysing | Status::Applying | Status::Undoing => "blue",
        Status::Ready => "orange",
        Status::Done => "green",
        Status::Failed => "red",
    }
}

/// Icon of a status.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn status_icon(status: &Status) -> &'static str {
    match status {
        Status::Uploaded => "clock",
        Status::Analysing | Status::Applying | Status::Undoing => "loader",
        Status::Ready => "list-check",
        Status::Done => "check",
        Status::Undone => "arrow-back-up",
        Status::Cancelled => "x",
        Status::Failed => "alert-circle",
    }
}

#[derive(Deserialize)]
struct ListQuery {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "imports/list.html")]
struct ListPage {
    shell: Shell,
    now: DateTime<Utc>,
    imports: Vec<Import>,
    newer: String,
    older: String,
}

async fn list(State(state): State<AppState>, shell: Shell, Query(query): Query<ListQuery>) -> Answer {
    let mut imports = imports::list(&state.db, query.before.map(ImportId), PAGE + 1).await?;
    let more = i64::try_from(imports.len()).unwrap_or(PAGE) > PAGE;
    if more {
        imports.pop();
    }
    let older = imports.last().filter(|_| more).map(|it| format!("/imports?before={}", it.id));
    html::page(&ListPage {
        shell,
        now: state.clock.now(),
        imports,
        newer: query.before.map(|_| "/imports".to_owned()).unwrap_or_default(),
        older: older.unwrap_or_default(),
    })
}

#[derive(Template)]
#[template(path = "imports/guide.html")]
struct GuidePage {
    shell: Shell,
}

async fn guide(shell: Shell) -> Answer {
    html::page(&GuidePage { shell })
}

async fn example(Path(file): Path<String>) -> Answer {
    let kind = file.strip_suffix(".csv").and_then(Kind::from_code).ok_or(Error::NotFound)?;
    let name = match kind {
        Kind::Companies => "empresas-ejemplo.csv",
        Kind::Contacts => "contactos-ejemplo.csv",
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

/// A count with its link.
pub(super) struct Tile {
    pub label: &'static str,
    pub count: i64,
    pub tone: &'static str,
    pub icon: &'static str,
    pub href: String,
}

impl Tile {
    /// The icon alone bears the colour, and only where there is something: words stay legible.
    fn icon_class(&self) -> &'static str {
        match (self.count, self.tone) {
            (0, _) => "",
            (_, "green") => "text-green",
            (_, "blue") => "text-blue",
            (_, "yellow") => "text-yellow",
            (_, "orange") => "text-orange",
            (_, "red") => "text-red",
            _ => "text-secondary",
        }
    }
}

/// A column of the file with what it is taken to mean.
pub(super) struct Column {
    pub name: String,
    pub samples: String,
    pub field: Option<Field>,
}

impl Column {
    /// The chosen field's code; empty: it is not imported.
    pub(super) fn code(&self) -> &'static str {
        self.field.map_or("", Field::code)
    }
}

#[derive(Template)]
#[template(path = "imports/show.html", blocks = ["live"])]
struct ShowPage {
    shell: Shell,
    import: Import,
    sentence: String,
    tiles: Vec<Tile>,
    columns: Vec<Column>,
    reasons: Vec<report::Reason>,
    earlier: Option<(ImportId, DateTime<Utc>)>,
}

impl ShowPage {
    fn fields(&self) -> &'static [Field] {
        Field::of(self.import.kind)
    }

    fn is_correctable(&self) -> bool {
        matches!(self.import.status, Status::Ready | Status::Failed)
            && !self.columns.is_empty()
            && self.shell.may(Permission::RunImports)
    }

    fn has_counts(&self) -> bool {
        self.import.counts.rows > 0
            && matches!(
                self.import.status,
                Status::Ready | Status::Done | Status::Undone | Status::Undoing | Status::Applying
            )
    }

    fn step(&self) -> &'static str {
        match self.import.status {
            Status::Uploaded => "En espera de su turno",
            Status::Analysing => "Leyendo y revisando las filas",
            Status::Applying => "Guardando en la base",
            Status::Undoing => "Deshaciendo",
            _ => "",
        }
    }
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let earlier = match import.status {
        Status::Ready => imports::done_before(&state.db, id).await?,
        _ => None,
    };
    let reasons = match import.counts.rejected {
        0 => Vec::new(),
        _ => report::reasons(&state.db, id, REASONS).await?,
    };
    html::page(&ShowPage {
        sentence: sentence(&import),
        tiles: tiles(&import),
        columns: columns(&import),
        shell,
        import,
        reasons,
        earlier,
    })
}

/// The progress alone; once there is nothing to wait for, the whole page is asked for anew.
async fn live(State(state): State<AppState>, shell: Shell, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let running = import.status.is_running();
    let page = ShowPage {
        sentence: String::new(),
        tiles: Vec::new(),
        columns: Vec::new(),
        shell,
        import,
        reasons: Vec::new(),
        earlier: None,
    };
    let mut response = html::page(&page.as_live())?;
    if !running {
        response.headers_mut().insert("HX-Refresh", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What it comes to, in a sentence.
fn sentence(import: &Import) -> String {
    use crate::chile::format::count;
    let (one, many, companies) = match import.kind {
        Kind::Contacts => ("contacto", "contactos", true),
        Kind::Companies => ("empresa", "empresas", false),
    };
    let mut parts = vec![count(
        import.counts.created,
        &format!("{one} nuev{}", end(import.kind, 1)),
        &format!("{many} nuev{}", end(import.kind, 2)),
    )];
    if companies && import.companies_created > 0 {
        parts.push(count(import.companies_created, "empresa nueva", "empresas nuevas"));
    }
    if import.counts.updated > 0 {
        parts.push(count(
            import.counts.updated,
            &format!("{one} con cambios"),
            &format!("{many} con cambios"),
        ));
    }
    let what = parts.join(", ");
    match import.status {
        Status::Ready => format!("Es una simulación: todavía no se guarda nada. Al confirmar habrá {what}."),
        Status::Done => format!("Se guardó todo: {what}."),
        Status::Undone => "Se deshizo por completo: la base quedó como antes de importar.".to_owned(),
        _ => String::new(),
    }
}

fn end(kind: Kind, count: usize) -> &'static str {
    match (kind, count) {
        (Kind::Contacts, 1) => "o",
        (Kind::Contacts, _) => "os",
        (Kind::Companies, 1) => "a",
        (Kind::Companies, _) => "as",
    }
}

fn tiles(import: &Import) -> Vec<Tile> {
    let it = &import.counts;
    let tile = |verdict: &str, label, count, tone, icon| Tile {
        label,
        count,
        tone,
        icon,
        href: format!("/imports/{}/rows?verdict={verdict}", import.id),
    };
    let mut tiles = vec![
        tile("CREATED", "Nuevas", it.created, "green", "plus"),
        tile("UPDATED", "Con cambios", it.updated, "blue", "edit"),
        tile("UNCHANGED", "Sin cambios", it.unchanged, "secondary", "check"),
        tile("DUPLICATE", "Duplicadas", it.duplicates, "yellow", "copy"),
        tile("REJECTED", "Rechazadas", it.rejected, "red", "ban"),
    ];
    if import.warned > 0 {
        tiles.push(tile("WARNED", "Con observaciones", import.warned, "orange", "alert-triangle"));
    }
    tiles
}

fn columns(import: &Import) -> Vec<Column> {
    let Some(layout) = &import.layout else { return Vec::new() };
    let samples = |at: usize| {
        let cells = layout.sample.iter().filter_map(|row| row.cells.get(at)).map(|it| it.trim());
        cells.filter(|it| !it.is_empty()).take(3).collect::<Vec<_>>().join(" · ")
    };
    (0..layout.columns.len())
        .map(|at| Column {
            name: layout.columns[at].clone(),
            samples: samples(at),
            field: import.fields.get(at).copied().flatten(),
        })
        .collect()
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
        import,
        rows,
        newer: if after > 0 { base } else { String::new() },
        older: older.unwrap_or_default(),
        verdict,
    })
}

async fn rejected(State(state): State<AppState>, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let body = Body::from_stream(report::rejected_csv(state.db.clone(), &import));
    Ok(download(&format!("rechazadas-{id}.csv"), body))
}
