//! What is done to an import: upload, correct, confirm, cancel.

use super::{
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
    imports_permission::{self, ConsentForm},
    routes::Route,
    shell::Shell,
    upload::{Received, Upload},
};
use crate::{
    access::{Actor, Permission},
    chile::{format::count, time},
    contacts::bulk::{HistoryKind, OnDuplicate},
    error::Error,
    ids::ImportId,
    imports::{self, Consent, Correction, History, Kind, Order, corrections, files, mapping::Field},
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Extension, Path, State},
    response::IntoResponse,
};
use chrono::NaiveDate;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What the multipart frame and the fields may add to a file, in bytes.
const BESIDE_FILE: usize = 1024 * 1024;
/// Largest upload, in bytes.
const LIMIT: usize = files::MAX_BYTES + BESIDE_FILE;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/imports/new", Permission::RunImports, new),
        Route::upload("/imports", Permission::RunImports, LIMIT, create),
        Route::post("/imports/{id}/mapping", Permission::RunImports, correct),
        Route::post("/imports/{id}/consent", Permission::RunImports, restate),
        Route::post("/imports/{id}/corrections", Permission::RunImports, mend),
        Route::post("/imports/{id}/confirmation", Permission::RunImports, confirm),
        Route::post("/imports/{id}/cancellation", Permission::RunImports, cancel),
    ]
}

fn page_of(id: ImportId) -> String {
    format!("/imports/{id}")
}

/// The form as it was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    kind: String,
    on_duplicate: String,
    consent_basis: String,
    consent_source: String,
    consent_obtained_on: String,
    consent_channels: [bool; 3],
    history_kind: String,
    create_people: bool,
}

impl Typed {
    /// The boxes of the channels: name, label, ticked.
    fn channels(&self) -> Vec<(&'static str, &'static str, bool)> {
        imports_permission::boxes(self.consent_channels)
    }
}

#[derive(Template)]
#[template(path = "imports/new.html")]
struct NewPage {
    shell: Shell,
    today: NaiveDate,
    typed: Typed,
    errors: Errors,
}

async fn new(State(state): State<AppState>, shell: Shell) -> Answer {
    let today = time::local_date(state.clock.now());
    let typed = Typed {
        kind: Kind::Contacts.code().to_owned(),
        on_duplicate: OnDuplicate::default().code().to_owned(),
        consent_basis: "NONE".to_owned(),
        consent_channels: [true, false, false],
        ..Typed::default()
    };
    html::page(&NewPage { shell, today, typed, errors: Errors::default() })
}

async fn create(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    upload: Upload,
) -> Answer {
    let received = match upload.receive().await {
        Ok(it) => it,
        Err(trouble) => return Ok(trouble.into_response()),
    };
    let field = |name: &str| received.fields.get(name).cloned().unwrap_or_default();
    let typed = Typed {
        kind: field("kind"),
        on_duplicate: field("on_duplicate"),
        consent_basis: field("consent_basis"),
        consent_source: field("consent_source"),
        consent_obtained_on: field("consent_obtained_on"),
        consent_channels: imports_permission::BOXES.map(|name| !field(name).is_empty()),
        history_kind: field("history_kind"),
        create_people: !field("create_people").is_empty(),
    };
    match store(&state, &actor, &typed, &received).await {
        Ok(id) => Ok(axum::response::Redirect::to(&page_of(id)).into_response()),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let today = time::local_date(state.clock.now());
            html::invalid(&NewPage { shell, today, typed, errors })
        }
    }
}

async fn store(
    state: &AppState,
    actor: &Actor,
    typed: &Typed,
    received: &Received,
) -> crate::error::Result<ImportId> {
    let now = state.clock.now();
    let kind = Kind::from_code(&typed.kind).ok_or_else(|| {
        Error::invalid("kind", "Elige qué trae el archivo: contactos, empresas o historial.")
    })?;
    let consent = Consent::parse(
        &typed.consent_basis,
        &typed.consent_source,
        &typed.consent_obtained_on,
        &imports_permission::ticked_channels(typed.consent_channels),
        time::local_date(now),
    )?;
    let file = received
        .file
        .as_ref()
        .ok_or_else(|| Error::invalid("file", "Elige el archivo que quieres importar."))?;
    let order = Order {
        kind,
        filename: file.name.clone(),
        on_duplicate: OnDuplicate::from_code(&typed.on_duplicate).unwrap_or_default(),
        consent,
        sheet: None,
        apply_at_once: false,
        history: History {
            kind: HistoryKind::from_code(&typed.history_kind),
            create_people: typed.create_people,
        },
    };
    let mut tx = state.db.begin().await?;
    let id = files::store(&mut tx, now, actor, &order, file.content.path()).await?;
    tx.commit().await?;
    Ok(id)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MappingForm {
    field: Vec<String>,
    sheet: String,
    header_row: String,
    on_duplicate: String,
    history_kind: String,
    create_people: String,
}

async fn correct(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
    Form(form): Form<MappingForm>,
) -> Answer {
    let correction = Correction {
        mapping: form.field.iter().map(|it| Field::from_code(it)).collect(),
        sheet: Some(form.sheet).filter(|it| !it.is_empty()),
        header_row: form.header_row.trim().parse().ok(),
        on_duplicate: OnDuplicate::from_code(&form.on_duplicate).unwrap_or_default(),
        history: History {
            kind: HistoryKind::from_code(&form.history_kind),
            create_people: !form.create_people.is_empty(),
        },
    };
    let mut tx = state.db.begin().await?;
    let done = imports::correct(&mut tx, state.clock.now(), &actor, id, &correction).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(done, Flash::plain("Se vuelve a simular con lo que corregiste."), &page_of(id))
}

async fn restate(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
    Form(form): Form<ConsentForm>,
) -> Answer {
    let now = state.clock.now();
    let done = match form.parse(now) {
        Ok(consent) => {
            let mut tx = state.db.begin().await?;
            let done = imports::restate(&mut tx, now, &actor, id, consent.as_ref()).await;
            if done.is_ok() {
                tx.commit().await?;
            }
            done
        }
        Err(error) => Err(error),
    };
    done_or_refused(done, Flash::plain("Se vuelve a simular con ese permiso."), &page_of(id))
}

/// Rejected rows as they were written anew: fields `cell-ROW-COLUMN`.
async fn mend(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
    Form(form): Form<HashMap<String, String>>,
) -> Answer {
    let mut typed: BTreeMap<i32, BTreeMap<usize, String>> = BTreeMap::new();
    for (name, text) in form {
        let Some((row, column)) = name.strip_prefix("cell-").and_then(|it| it.split_once('-')) else {
            continue;
        };
        if let (Ok(row), Ok(column)) = (row.parse(), column.parse()) {
            typed.entry(row).or_default().insert(column, text);
        }
    }
    let mut tx = state.db.begin().await?;
    let import = imports::get(&mut *tx, id).await?;
    let done = corrections::write(&mut tx, state.clock.now(), &actor, &import, &typed).await;
    let flash = match done {
        Ok(0) => Flash::plain("No cambiaste ninguna celda: todo sigue igual."),
        Ok(rows) => Flash::plain(format!(
            "{} Se vuelve a simular con lo que escribiste.",
            count(i64::try_from(rows).unwrap_or(0), "fila corregida.", "filas corregidas.")
        )),
        Err(_) => Flash::plain(""),
    };
    if done.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(done.map(|_| ()), flash, &page_of(id))
}

/// The simulation on the page where it is confirmed.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Seen {
    simulation: i32,
}

async fn confirm(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
    Form(seen): Form<Seen>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = imports::confirm(&mut tx, state.clock.now(), &actor, id, seen.simulation).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(
        done,
        Flash::plain("Se está guardando. Puedes cerrar esta página: sigue sola."),
        &page_of(id),
    )
}

async fn cancel(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = imports::cancel(&mut tx, state.clock.now(), &actor, id).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let said = if matches!(done, Ok(true)) {
        "Importación cancelada. No se guardó nada."
    } else {
        "Pediste cancelarla: se detiene en cuanto pueda, sin guardar nada. Si ya estaba guardada, lo verás aquí y la podrás deshacer."
    };
    done_or_refused(done.map(drop), Flash::plain(said), &page_of(id))
}
