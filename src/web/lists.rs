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
        list::{self, Added, ENOUGH, List, Member, Shared},
        list_externals::{self, Externals},
        list_removals,
        pasted::{self, Unread},
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
    use Permission::{Delete, EditContacts, View};
    vec![
        Route::get("/lists", View, all),
        Route::post("/lists", EditContacts, create),
        Route::get("/lists/new", EditContacts, new),
        Route::get("/lists/{id}", View, show),
        Route::post("/lists/{id}", EditContacts, update),
        Route::delete("/lists/{id}", Delete, delete),
        Route::get("/lists/{id}/edit", EditContacts, edit),
        Route::post("/lists/{id}/restoration", EditContacts, restore),
        Route::post("/lists/{id}/members", EditContacts, add).within(Duration::from_mins(2)),
        Route::post("/lists/{id}/members/chosen", EditContacts, add_chosen),
        Route::delete("/lists/{id}/members/{member_id}", EditContacts, remove),
        Route::post("/lists/{id}/removals/{removal}/undo", EditContacts, put_back),
        Route::post("/lists/{id}/members/{member_id}/contact", EditContacts, make_one),
        Route::post("/lists/{id}/contacts", EditContacts, make_contacts).within(Duration::from_mins(2)),
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
    /// Addresses of nobody.
    externals: Externals,
    /// What came of pasting, where something is left to choose.
    told: String,
    /// Telephones of which somebody is to be chosen.
    shared: Vec<Shared>,
    /// What was pasted and could not be read.
    unread: Vec<Unread>,
    /// Names that stood beside addresses of nobody.
    names: Vec<(String, String)>,
    form: AddForm,
    errors: Errors,
}

/// Most things that were not understood and are told one by one; the box holds all.
const TOLD: usize = 50;

impl ShowPage {
    /// The name that stood beside the address of `member`; empty: none did.
    fn name_beside(&self, member: &Member) -> &str {
        let email = member.email.as_deref().unwrap_or_default();
        self.names.iter().find(|it| it.0 == email).map_or("", |it| it.1.as_str())
    }
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
        externals: list_externals::count(&mut *db, id).await?,
        told: String::new(),
        shared: Vec::new(),
        unread: Vec::new(),
        names: Vec::new(),
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
    let unread = match added.unread.len() {
        0 => "",
        1 => " Algo no lo entendimos: sigue en el cuadro para que lo corrijas.",
        _ => " Lo que no entendimos sigue en el cuadro para que lo corrijas.",
    };
    let names = match added.names.len() {
        0 => "",
        1 => {
            " Una lista no guarda el nombre que venía junto a una dirección suelta: créale su contacto para no perderlo."
        }
        _ => {
            " Una lista no guarda los nombres que venían junto a direcciones sueltas: crea sus contactos para no perderlos."
        }
    };
    let bare = match added.externals {
        0 => "",
        1 => " No es de ningún contacto: créalo aquí mismo para poder escribirle.",
        _ => " No son de ningún contacto: créalos aquí mismo para poder escribirles.",
    };
    format!("Agregamos {contacts}{externals}.{bare}{already}{unread}{names}")
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
        Ok(added) if added.shared.is_empty() && added.unread.is_empty() && added.names.is_empty() => {
            tx.commit().await?;
            Ok(Flash::good(told(&added)).to(&format!("/lists/{id}")))
        }
        Ok(added) => {
            tx.commit().await?;
            // What is left to do is told here: an address that said it would keep people's names and telephones in logs.
            let lines: Vec<&str> = added.unread.iter().map(|it| it.text.as_str()).collect();
            let form = AddForm { addresses: lines.join("\n"), ..AddForm::default() };
            let page = page(&state, shell, id, &Asked::default(), form, Errors::default()).await?;
            let told = told(&added);
            let Added { shared, unread, names, .. } = added;
            html::page(&ShowPage { told, shared, unread, names, ..page })
        }
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            let unread = pasted::unread(&form.addresses);
            let page = page(&state, shell, id, &Asked::default(), form, errors).await?;
            html::invalid(&ShowPage { unread, ..page })
        }
    }
}

/// Put on the list who was chosen among those with one telephone.
async fn add_chosen(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<ListId>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let chosen: Vec<i64> =
        pairs.iter().filter(|it| it.0 == "contact_id").filter_map(|it| it.1.parse().ok()).collect();
    let path = format!("/lists/{id}");
    if chosen.is_empty() {
        return Ok(Flash::plain("No marcaste a nadie: la lista quedó como estaba.").to(&path));
    }
    let mut tx = state.db.begin().await?;
    let added = list::add_chosen(&mut tx, state.clock.now(), &actor, id, &chosen).await?;
    tx.commit().await?;
    let text = match added {
        0 => "Ya estaban en la lista.".to_owned(),
        n => format!("Agregamos {}.", people(n)),
    };
    Ok(Flash::good(text).to(&path))
}

fn people(n: u64) -> String {
    format::count(i64::try_from(n).unwrap_or(i64::MAX), "contacto", "contactos")
}

/// Make contacts of the email addresses on the list that are nobody's.
async fn make_contacts(State(state): State<AppState>, actor: Actor, Path(id): Path<ListId>) -> Answer {
    let mut tx = state.db.begin().await?;
    let made = list_externals::make_contacts(&mut tx, state.clock.now(), &actor, id).await?;
    let left = list_externals::count(&mut *tx, id).await?;
    tx.commit().await?;
    let more = match left.emails {
        0 => String::new(),
        1 => " Queda 1 correo: repítelo para terminar.".to_owned(),
        n => format!(" Quedan {} correos: repítelo para seguir.", format::number(n)),
    };
    let text = match made {
        0 => "Ya eran contactos.".to_owned(),
        n => format!(
            "Creamos {}, sin consentimiento: regístralo en su ficha antes de enviar promociones.",
            people(n)
        ),
    };
    Ok(Flash::good(format!("{text}{more}")).to(&format!("/lists/{id}")))
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct NewContact {
    name: String,
}

/// Make a contact of one address on the list.
async fn make_one(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path((id, member)): Path<(ListId, i64)>,
    Form(form): Form<NewContact>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    match list_externals::make_one(&mut tx, state.clock.now(), &actor, id, member, &form.name).await {
        Ok(contact) => {
            tx.commit().await?;
            let text =
                "Contacto creado, sin consentimiento: regístralo en su ficha antes de enviarle promociones.";
            let done = Flash::good(text).link("Ver contacto", format!("/contacts/{contact}"));
            Ok(done.to(&format!("/lists/{id}")))
        }
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            let form = AddForm::default();
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
    let removal = list_removals::remove(&mut tx, state.clock.now(), &actor, id, member).await?;
    tx.commit().await?;
    Ok(Flash::good("Ya no está en la lista.")
        .undo(format!("/lists/{id}/removals/{removal}/undo"))
        .to(&format!("/lists/{id}")))
}

async fn put_back(
    State(state): State<AppState>,
    actor: Actor,
    Path((id, removal)): Path<(ListId, i64)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    match list_removals::put_back(&mut tx, state.clock.now(), &actor, id, removal).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Flash::good("Volvió a la lista.").to(&format!("/lists/{id}")))
        }
        // Pressed twice or too late, or the list is gone.
        Err(Error::NotFound) => {
            tx.rollback().await?;
            let path = match list::open(&state.db, id).await {
                Ok(_) => format!("/lists/{id}"),
                Err(Error::NotFound) => "/lists".to_owned(),
                Err(error) => return Err(error.into()),
            };
            let text = "Eso ya no se puede devolver: ya volvió a la lista, se eliminó o pasó más de un mes. No se cambió nada.";
            Ok(Flash::bad(text).to(&path))
        }
        Err(error) => Err(error.into()),
    }
}
