//! Lists in the panel: made, filled by pasting or from a segment, looked through.

use super::{
    bulk_actions::segment_to_list,
    filters,
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    chile::{format, phone::Phone},
    db::keyset::Place,
    error::Error,
    ids::ListId,
    segments::{
        list::{self, Added, List, Member},
        segment::{self, Segment},
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use std::time::Duration;

/// Members of one page.
const PAGE: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, View};
    vec![
        Route::get("/lists", View, all),
        Route::post("/lists", EditContacts, create),
        Route::get("/lists/new", EditContacts, new),
        Route::get("/lists/{id}", View, show),
        Route::post("/lists/{id}", EditContacts, update),
        Route::delete("/lists/{id}", EditContacts, delete),
        Route::get("/lists/{id}/edit", EditContacts, edit),
        Route::post("/lists/{id}/restoration", EditContacts, restore),
        Route::post("/lists/{id}/members", EditContacts, add).within(Duration::from_mins(2)),
        Route::delete("/lists/{id}/members/{member_id}", EditContacts, remove),
    ]
}

#[derive(Template)]
#[template(path = "lists/list.html")]
struct ListPage {
    shell: Shell,
    lists: Vec<List>,
}

async fn all(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&ListPage { shell, lists: list::all(&state.db).await? })
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct ListForm {
    name: String,
    note: String,
}

#[derive(Template)]
#[template(path = "lists/form.html")]
struct FormPage {
    shell: Shell,
    id: Option<ListId>,
    saved_name: String,
    form: ListForm,
    errors: Errors,
}

async fn new(shell: Shell) -> Answer {
    let (saved_name, form) = (String::new(), ListForm::default());
    html::page(&FormPage { shell, id: None, saved_name, form, errors: Errors::default() })
}

async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<ListId>) -> Answer {
    let it = list::get(&state.db, id).await?;
    let form = ListForm { name: it.name.clone(), note: it.note };
    html::page(&FormPage { shell, id: Some(id), saved_name: it.name, form, errors: Errors::default() })
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<ListForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    match list::create(&mut tx, state.clock.now(), &actor, &form.name, &form.note).await {
        Ok(id) => {
            tx.commit().await?;
            Ok(Flash::good("La lista quedó creada. Ahora agrega a quienes van en ella.")
                .to(&format!("/lists/{id}")))
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&FormPage { shell, id: None, saved_name: String::new(), form, errors })
        }
    }
}

async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<ListId>,
    Form(form): Form<ListForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let saved_name = list::get(&mut *tx, id).await?.name;
    match list::update(&mut tx, state.clock.now(), &actor, id, &form.name, &form.note).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Flash::good("Guardado.").to(&format!("/lists/{id}")))
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&FormPage { shell, id: Some(id), saved_name, form, errors })
        }
    }
}

async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<ListId>) -> Answer {
    let mut tx = state.db.begin().await?;
    let name = list::get(&mut *tx, id).await?.name;
    match list::delete(&mut tx, state.clock.now(), &actor, id).await {
        Ok(()) => {
            tx.commit().await?;
            let done = Flash::good(format!("«{name}» quedó eliminada; sus contactos siguen donde estaban."));
            Ok(done.undo(format!("/lists/{id}/restoration")).to("/lists"))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(String::new()), &format!("/lists/{id}")),
    }
}

async fn restore(State(state): State<AppState>, actor: Actor, Path(id): Path<ListId>) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = list::restore(&mut tx, state.clock.now(), &actor, id).await;
    if result.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(result, Flash::good("La lista volvió."), &format!("/lists/{id}"))
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    before: String,
    after: String,
}

/// What is put on a list: pasted addresses, or those whom a segment holds.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct AddForm {
    addresses: String,
    segment_id: String,
}

#[derive(Template)]
#[template(path = "lists/show.html")]
struct ShowPage {
    shell: Shell,
    list: List,
    members: Vec<Member>,
    newer: String,
    older: String,
    segments: Vec<Segment>,
    form: AddForm,
    errors: Errors,
}

async fn page(
    state: &AppState,
    shell: Shell,
    id: ListId,
    asked: &Asked,
    form: AddForm,
    errors: Errors,
) -> crate::error::Result<ShowPage> {
    let mut db = state.db.acquire().await?;
    let place = Place::of(asked.before.parse().ok(), asked.after.parse().ok());
    let page = list::page(&mut db, id, place, PAGE).await?;
    let address = |word: &str, it: &Member| format!("/lists/{id}?{word}={}", it.id);
    let newer = page.rows.first().filter(|_| page.has_previous).map(|it| address("before", it));
    let older = page.rows.last().filter(|_| page.has_next).map(|it| address("after", it));
    Ok(ShowPage {
        shell,
        list: list::get(&mut *db, id).await?,
        newer: newer.unwrap_or_default(),
        older: older.unwrap_or_default(),
        members: page.rows,
        segments: segment::list(&mut *db).await?,
        form,
        errors,
    })
}

async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<ListId>,
    Query(asked): Query<Asked>,
) -> Answer {
    html::page(&page(&state, shell, id, &asked, AddForm::default(), Errors::default()).await?)
}

/// What came of adding, in a sentence.
fn told(added: &Added) -> String {
    let count =
        |it: u64, one: &str, many: &str| format::count(i64::try_from(it).unwrap_or(i64::MAX), one, many);
    let contacts = count(added.contacts, "contacto", "contactos");
    let externals = match added.externals {
        0 => String::new(),
        n => format!(" y {}", count(n, "dirección suelta", "direcciones sueltas")),
    };
    let already = match added.already {
        0 => String::new(),
        1 => " 1 dirección ya estaba o venía repetida.".to_owned(),
        n => format!(" {} ya estaban o venían repetidas.", count(n, "dirección", "direcciones")),
    };
    let lines: Vec<String> = added.unread.iter().take(10).map(usize::to_string).collect();
    let unread = match (lines.is_empty(), added.unread.len() > 10) {
        (true, _) => String::new(),
        (false, true) => format!(" No entendimos las líneas {} y otras.", lines.join(", ")),
        (false, false) if lines.len() == 1 => format!(" No entendimos la línea {}.", lines[0]),
        (false, false) => format!(" No entendimos las líneas {}.", lines.join(", ")),
    };
    format!("Agregamos {contacts}{externals}.{already}{unread}")
}

async fn add(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<ListId>,
    Form(form): Form<AddForm>,
) -> Answer {
    if let Ok(segment) = form.segment_id.parse() {
        return segment_to_list(&state, &actor, segment, id.to_string(), &format!("/lists/{id}")).await;
    }
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    let added = if form.addresses.trim().is_empty() {
        Err(Error::invalid("addresses", "Pega al menos un correo o un teléfono, o elige un segmento."))
    } else {
        list::add_pasted(&mut tx, now, &actor, id, &form.addresses).await
    };
    match added {
        Ok(added) => {
            tx.commit().await?;
            Ok(Flash::good(told(&added)).to(&format!("/lists/{id}")))
        }
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            html::invalid(&page(&state, shell, id, &Asked::default(), form, errors).await?)
        }
    }
}

async fn remove(
    State(state): State<AppState>,
    actor: Actor,
    Path((id, member)): Path<(ListId, i64)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    list::remove(&mut tx, state.clock.now(), &actor, id, member).await?;
    tx.commit().await?;
    Ok(Flash::good("Ya no está en la lista.").to(&format!("/lists/{id}")))
}
