//! Imports in the panel: history, and an import's page with its live progress. Its rows and
//! downloads are in `imports_rows`, what is done to one in `imports_actions`.

use super::{
    filters,
    html::{self, Answer},
    imports_mending::{self, Grid},
    imports_obstacles, imports_permission,
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::time,
    contacts::bulk::{HistoryKind, OnDuplicate},
    error::Result,
    ids::{ImportId, ListId},
    imports::{
        self, Consent, Earlier, Import, Kind, Status,
        mapping::{self, Field, LeftOut},
        people, permission, report, undo,
    },
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderValue,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

/// Imports of one page.
const PAGE: i64 = 25;
/// Reasons for rejection, and for reservations, that the summary names.
const REASONS: i64 = 8;
/// Columns left out that the summary names.
const LEFT_OUT: usize = 8;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/imports", Permission::View, list),
        Route::get("/imports/guide", Permission::View, guide),
        Route::get("/imports/{id}", Permission::View, show),
        Route::get("/imports/{id}/progress", Permission::View, live),
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
    today: NaiveDate,
    import: Import,
    sentence: String,
    tiles: Vec<Tile>,
    columns: Vec<Column>,
    reasons: Vec<report::Reason>,
    observations: Vec<report::Reason>,
    grid: Option<Grid>,
    earlier: Option<Earlier>,
    may_export: bool,
    may_undo: bool,
    /// Some row that is only in doubt can be written anew.
    is_mendable: bool,
    /// Where it is told who keeps it from being taken back.
    obstacles: Option<String>,
    /// How many of its people get, or have, no permission for promotions for want of a basis.
    lacking: i64,
    /// The list that all its people are on.
    list: Option<ListId>,
}

impl ShowPage {
    /// Why a basis can't be declared for its people any more.
    fn undeclarable(&self) -> Option<&'static str> {
        permission::obstacle(&self.import)
    }

    /// Whether all its people can be put on a list.
    fn is_listable(&self) -> bool {
        let counts = &self.import.counts;
        self.import.status == Status::Done
            && self.import.kind != Kind::Companies
            && counts.created + counts.updated + counts.unchanged > 0
            && self.shell.may(Permission::EditContacts)
    }

    fn fields(&self) -> &'static [Field] {
        Field::of(self.import.kind)
    }

    /// What rows of history are that don't say it, told by the headers.
    fn usual_history(&self) -> HistoryKind {
        let columns: Vec<String> = self.columns.iter().map(|it| it.name.clone()).collect();
        mapping::usual_history(&columns, &self.import.fields)
    }

    fn is_correctable(&self) -> bool {
        matches!(self.import.status, Status::Ready | Status::Failed)
            && !self.columns.is_empty()
            && self.shell.may(Permission::RunImports)
    }

    /// Columns that hold something and aren't imported: the first, and how many more.
    fn left_out(&self) -> (Vec<LeftOut>, i64) {
        let columns = self.import.layout.as_ref().map(|it| it.columns.as_slice()).unwrap_or_default();
        let mut all = mapping::left_out(self.import.kind, columns, &self.import.fields, &self.import.filled);
        let more = all.len().saturating_sub(LEFT_OUT);
        all.truncate(LEFT_OUT);
        (all, i64::try_from(more).unwrap_or(0))
    }

    /// Whether the file had no header and was taken as a bare list of addresses.
    fn is_bare_list(&self) -> bool {
        self.import.layout.as_ref().is_some_and(|it| mapping::list_of_addresses(self.import.kind, it))
            && self.import.fields == [Some(Field::Email)]
    }

    /// Whether the basis for promotions may be stated anew.
    fn is_restatable(&self) -> bool {
        self.import.status == Status::Ready
            && self.import.kind != Kind::Companies
            && self.shell.may(Permission::RunImports)
    }

    /// Where the basis of its people is sent: for another simulation, or once it is written.
    fn stating(&self) -> String {
        let what = if self.is_restatable() { "consent" } else { "permission" };
        format!("/imports/{}/{what}", self.import.id)
    }

    /// Bases that can be chosen: code, label, chosen. Once it is written there is something to declare, or nothing.
    fn bases(&self) -> Vec<(&'static str, &'static str, bool)> {
        let stated = self.stated().0;
        let all = Consent::BASES.into_iter().map(|(code, label)| (code, label, code == stated));
        if self.is_restatable() {
            return all.collect();
        }
        let ask = ("", "Elige una", true);
        std::iter::once(ask).chain(all.filter(|it| it.0 != "NONE")).collect()
    }

    /// The boxes of its channels: name, label, ticked.
    fn channels(&self) -> Vec<(&'static str, &'static str, bool)> {
        let stated = self.import.consent.as_ref();
        imports_permission::boxes(
            Channel::ALL
                .map(|it| stated.map_or(it == Channel::Email, |stated| stated.channels.contains(&it))),
        )
    }

    /// The stated basis as a form holds it: code, source, day.
    fn stated(&self) -> (&str, &str, String) {
        match &self.import.consent {
            Some(it) => (&it.basis, &it.source, it.obtained_on.to_string()),
            None => ("NONE", "", String::new()),
        }
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

async fn show(State(state): State<AppState>, actor: Actor, shell: Shell, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let earlier = match import.status {
        Status::Ready => imports::done_before(&state.db, id).await?,
        _ => None,
    };
    let reasons = match import.counts.rejected {
        0 => Vec::new(),
        _ => report::reasons(&state.db, id, REASONS).await?,
    };
    let observations = match import.warned {
        0 => Vec::new(),
        _ => report::observations(&state.db, id, REASONS).await?,
    };
    let grid = if import.counts.rejected > 0 && imports_mending::is_open(&import, &shell) {
        imports_mending::of_rejected(&state, &import).await?
    } else {
        None
    };
    let obstacles = match import.failure {
        Some(_) => imports_obstacles::path(&state, &actor, &import).await?,
        None => None,
    };
    let is_mendable = !observations.is_empty()
        && imports_mending::is_open(&import, &shell)
        && imports_mending::is_any_in_doubt(&state, &import).await?;
    let (lacking, list) = of_its_people(&state, &import).await?;
    html::page(&ShowPage {
        today: time::local_date(state.clock.now()),
        lacking,
        list,
        is_mendable,
        obstacles,
        may_export: import.counts.rejected > 0 && report::may_export(&actor, &import),
        may_undo: undo::may(&actor, &import),
        grid,
        sentence: sentence(&import),
        tiles: tiles(&import),
        columns: columns(&import),
        shell,
        import,
        reasons,
        observations,
        earlier,
    })
}

/// How many of the people of `import` lack a basis that can be declared there, and the list that they make.
async fn of_its_people(state: &AppState, import: &Import) -> Result<(i64, Option<ListId>)> {
    let mut db = state.db.acquire().await?;
    let lacking = match import.status {
        _ if import.consent.is_some() || import.kind == Kind::Companies => 0,
        Status::Ready if import.kind == Kind::Contacts => import.counts.created,
        Status::Ready => import.people_created,
        Status::Done => permission::lacking(&mut db, import).await?,
        _ => 0,
    };
    let list = match import.status {
        Status::Done => people::kept_list(&mut *db, import).await?,
        _ => None,
    };
    Ok((lacking, list))
}

/// The progress alone; once there is nothing to wait for, the whole page is asked for anew.
async fn live(State(state): State<AppState>, shell: Shell, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&state.db, id).await?;
    let running = import.status.is_running();
    let page = ShowPage {
        today: time::local_date(state.clock.now()),
        sentence: String::new(),
        tiles: Vec::new(),
        columns: Vec::new(),
        shell,
        import,
        reasons: Vec::new(),
        observations: Vec::new(),
        grid: None,
        earlier: None,
        may_export: false,
        may_undo: false,
        is_mendable: false,
        obstacles: None,
        lacking: 0,
        list: None,
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
    let (one, many) = match import.kind {
        Kind::Contacts => ("contacto", "contactos"),
        Kind::Companies => ("empresa", "empresas"),
        Kind::History => ("registro del historial", "registros del historial"),
    };
    let (one_new, many_new) = match import.kind {
        Kind::Contacts => ("contacto nuevo", "contactos nuevos"),
        Kind::Companies => ("empresa nueva", "empresas nuevas"),
        Kind::History => ("registro nuevo en el historial", "registros nuevos en el historial"),
    };
    let mut parts = Vec::new();
    if import.counts.created > 0 {
        parts.push(count(import.counts.created, one_new, many_new));
    }
    if import.kind == Kind::Contacts && import.companies_created > 0 {
        parts.push(count(import.companies_created, "empresa nueva", "empresas nuevas"));
    }
    if import.people_created > 0 {
        parts.push(count(import.people_created, "contacto nuevo", "contactos nuevos"));
    }
    if import.counts.updated > 0 {
        let changed =
            count(import.counts.updated, &format!("{one} con cambios"), &format!("{many} con cambios"));
        parts.push(match import.permitted {
            0 => changed,
            _ => format!("{changed} ({})", permitted(import)),
        });
    }
    let what = parts.join(", ");
    let (is_all_out, is_nothing) = (import.counts.rejected == import.counts.rows, parts.is_empty());
    match import.status {
        Status::Ready if is_all_out => {
            "Es una simulación: todavía no se guarda nada. Ninguna fila sirve como viene: al confirmar no cambiará nada."
                .to_owned()
        }
        Status::Ready if is_nothing => {
            "Es una simulación: todavía no se guarda nada. Al confirmar no cambiará nada: lo que trae ya está en la base."
                .to_owned()
        }
        Status::Ready => format!("Es una simulación: todavía no se guarda nada. Al confirmar habrá {what}."),
        Status::Done if is_nothing => {
            let left_out = count(import.counts.rejected, "fila quedó fuera", "filas quedaron fuera");
            match import.counts.rejected {
                0 => "No cambió nada: lo que trae ya estaba en la base.".to_owned(),
                _ => format!("No cambió nada; {left_out}."),
            }
        }
        Status::Done if import.counts.rejected > 0 => format!(
            "Se guardó lo válido: {what}; {}.",
            count(import.counts.rejected, "fila quedó fuera", "filas quedaron fuera")
        ),
        Status::Done => format!("Se guardó todo: {what}."),
        Status::Undone => "Se deshizo por completo: la base quedó como antes de importar.".to_owned(),
        _ => String::new(),
    }
}

/// Who of those that were there before gets a basis by it, in words.
pub(super) fn permitted(import: &Import) -> String {
    crate::chile::format::count(
        import.permitted,
        "pasa a tener permiso para recibir promociones",
        "pasan a tener permiso para recibir promociones",
    )
}

pub(super) fn tiles(import: &Import) -> Vec<Tile> {
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
