//! The suppression list: who must not be written to, and why.

use super::{
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
    upload::{ReceivedFile, Upload},
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::format,
    contacts::address::EmailAddress,
    error::Error,
    imports::exclusions::{self, Taken},
    messaging::{
        kinds::{Scope, SuppressionReason},
        suppression::{self, Entry, Listed},
    },
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Extension, Path, Query, State},
    response::IntoResponse,
};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/suppressions", Permission::View, list),
        Route::post("/suppressions", Permission::EditContacts, create),
        // By POST: what is looked for is somebody's address, and addresses of pages are kept in logs.
        Route::post("/suppressions/search", Permission::View, search),
        Route::upload("/suppressions/lists", Permission::EditContacts, LIMIT, take_list),
        Route::delete("/suppressions/{id}", Permission::DecideMessages, lift),
    ]
}

const PAGE: usize = 50;
/// Largest list, in bytes, with its frame.
const LIMIT: usize = 51 * 1024 * 1024;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    address: String,
    before: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewEntry {
    email: String,
    scope: String,
    detail: String,
}

struct Row {
    entry: Listed,
    since: String,
}

#[derive(Template)]
#[template(path = "suppressions/list.html")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    new: NewEntry,
    errors: Errors,
    rows: Vec<Row>,
    has_newer: bool,
    /// Below which the next page begins.
    last: Option<i64>,
}

impl ListPage {
    fn newer(&self) -> String {
        if self.has_newer { "/suppressions".to_owned() } else { String::new() }
    }

    fn older(&self) -> String {
        self.last.map(|it| format!("/suppressions?before={it}")).unwrap_or_default()
    }
}

async fn page(
    state: &AppState,
    shell: Shell,
    asked: Asked,
    new: NewEntry,
    errors: Errors,
) -> Result<ListPage, Error> {
    let mut db = state.db.acquire().await?;
    let before = asked.before.parse().ok();
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    let mut entries = suppression::list(&mut db, Some(&asked.address), before, limit).await?;
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let last = entries.last().filter(|_| more).map(|it| it.id);
    let rows =
        entries.into_iter().map(|entry| Row { since: format::datetime(entry.created_at), entry }).collect();
    Ok(ListPage { shell, asked, new, errors, rows, has_newer: before.is_some(), last })
}

async fn list(State(state): State<AppState>, shell: Shell, Query(asked): Query<Asked>) -> Answer {
    let asked = Asked { address: String::new(), ..asked };
    html::page(&page(&state, shell, asked, NewEntry::default(), Errors::default()).await?)
}

async fn search(State(state): State<AppState>, shell: Shell, Form(asked): Form<Asked>) -> Answer {
    html::page(&page(&state, shell, asked, NewEntry::default(), Errors::default()).await?)
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(new): Form<NewEntry>,
) -> Answer {
    let address = match new.email.parse::<EmailAddress>() {
        Ok(address) => address,
        Err(reason) => {
            let errors = Errors::from_error(Error::invalid("email", reason.to_string()))?;
            return html::invalid(&page(&state, shell, Asked::default(), new, errors).await?);
        }
    };
    let entry = Entry {
        channel: Channel::Email,
        destination: address.as_str(),
        scope: if new.scope == "ALL" { Scope::All } else { Scope::Promotional },
        reason: SuppressionReason::Manual,
        detail: Some(new.detail.trim()).filter(|it| !it.is_empty()),
        message: None,
    };
    let mut tx = state.db.begin().await?;
    let made = suppression::suppress(&mut tx, state.clock.now(), &actor, &entry).await?;
    tx.commit().await?;
    let flash = if made {
        Flash::good("La dirección quedó en la lista: no se le enviará nada de lo que elegiste.")
    } else {
        Flash::plain("Esa dirección ya estaba en la lista.")
    };
    Ok(flash.to("/suppressions"))
}

/// Somebody else's list, as a file.
async fn take_list(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    upload: Upload,
) -> Answer {
    let received = match upload.receive().await {
        Ok(it) => it,
        Err(trouble) => return Ok(trouble.into_response()),
    };
    match exclude(&state, &actor, received.file).await {
        Ok(taken) => Ok(Flash::good(told(&taken)).to("/suppressions")),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&page(&state, shell, Asked::default(), NewEntry::default(), errors).await?)
        }
    }
}

async fn exclude(state: &AppState, actor: &Actor, file: Option<ReceivedFile>) -> Result<Taken, Error> {
    let file = file.ok_or_else(|| Error::invalid("file", "Elige el archivo con la lista."))?;
    let name = file.name;
    let found = tokio::task::spawn_blocking(move || exclusions::read(file.content.path()))
        .await
        .map_err(|it| Error::Internal(format!("reading a list panicked: {it}")))??;
    let mut tx = state.db.begin().await?;
    let taken = exclusions::take(&mut tx, state.clock.now(), actor, &name, found).await?;
    tx.commit().await?;
    Ok(taken)
}

fn told(taken: &Taken) -> String {
    let number = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let mut parts = vec![format!(
        "La lista quedó cargada: {} y {}.",
        format::count(number(taken.emails), "correo", "correos"),
        format::count(number(taken.phones), "teléfono", "teléfonos")
    )];
    if taken.new == 0 {
        parts.push("Todos estaban excluidos de antes.".to_owned());
    } else {
        parts.push("No recibirán promociones aunque alguien los importe.".to_owned());
    }
    if taken.unread > 0 {
        parts.push(format::count(taken.unread, "fila no traía ninguno.", "filas no traían ninguno."));
    }
    parts.join(" ")
}

async fn lift(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    suppression::lift(&mut tx, state.clock.now(), &actor, id).await?;
    tx.commit().await?;
    Ok(Flash::good("La dirección salió de la lista. Queda registrado quién lo hizo. Para promociones aún necesita consentimiento vigente.")
        .to("/suppressions"))
}
