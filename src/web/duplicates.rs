//! Contacts that may be one person: the pairs, two side by side, joining and its way back.

use super::{
    connection::Db,
    filters,
    flash::Flash,
    form::Form,
    html::{self, Answer},
    routes::Route,
    session,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::{comunas, format, phone::Phone},
    contacts::{
        contact::{self, Contact},
        contact_list::{self, Filter, Row},
        duplicates::{self, Pair, Reason},
        merge::{self, Field, LeftOut, Weight},
    },
    error::Error,
    ids::ContactId,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/duplicates", Permission::View, list),
        Route::get("/contacts/{id}/other", Permission::EditContacts, choose),
        Route::get("/duplicates/{first}/{second}", Permission::View, show),
        Route::post("/duplicates/{first}/{second}", Permission::EditContacts, join),
        Route::post("/duplicates/{first}/{second}/dismissal", Permission::EditContacts, dismiss),
        Route::post("/duplicates/{first}/{second}/reopening", Permission::EditContacts, reopen),
        Route::post("/merges/{id}/undoing", Permission::EditContacts, undo),
    ]
}

/// Pairs of one page.
const PAGE: usize = 25;

/// Pairs are counted up to this: beyond it "more than" says as much.
const COUNTED: i64 = 1_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The last pair of the page before, `8-21`.
    after: String,
}

impl Asked {
    fn after(&self) -> Option<(ContactId, ContactId)> {
        let (first, second) = self.after.split_once('-')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    }
}

#[derive(Template)]
#[template(path = "duplicates/list.html")]
struct ListPage {
    shell: Shell,
    pairs: Vec<Pair>,
    /// Counted up to one more than are told.
    waiting: i64,
    newer: String,
    older: String,
}

async fn list(shell: Shell, Db(mut db): Db, Query(asked): Query<Asked>) -> Answer {
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    let mut pairs = duplicates::open(&mut db, asked.after(), limit).await?;
    let more = pairs.len() > PAGE;
    pairs.truncate(PAGE);
    let waiting = duplicates::count(&mut db, COUNTED + 1).await?;
    let older = pairs
        .last()
        .filter(|_| more)
        .map(|it| format!("/duplicates?after={}-{}", it.first.id, it.second.id))
        .unwrap_or_default();
    let newer = if asked.after().is_some() { "/duplicates".to_owned() } else { String::new() };
    html::page(&ListPage { shell, pairs, waiting, newer, older })
}

/// Hits that are shown: who is not among them is looked for by more words.
const HITS: usize = 20;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sought {
    q: String,
}

#[derive(Template)]
#[template(path = "duplicates/choose.html")]
struct ChoosePage {
    shell: Shell,
    contact: Contact,
    q: String,
    hits: Vec<Row>,
    /// Nobody is called as searched for: these look like it.
    is_alike: bool,
    has_more: bool,
}

/// Look for the other ficha of somebody, where nothing proposed it.
async fn choose(
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<ContactId>,
    Query(sought): Query<Sought>,
) -> Answer {
    let contact = contact::get(&mut *db, id).await?;
    let q = sought.q.trim().to_owned();
    let filter = Filter { q: q.clone(), ..Filter::default() };
    let (mut hits, mut is_alike) = (Vec::new(), false);
    // What holds no letter and no digit would let everyone through.
    if !filter.is_empty() {
        // Two more than are shown: the person at hand may be one of them, and the other tells that there are more.
        let (found, alike) = contact_list::first(&mut db, &filter, HITS + 2).await?;
        (hits, is_alike) = (found.rows, alike);
    }
    hits.retain(|it| it.id != id);
    let has_more = hits.len() > HITS;
    hits.truncate(HITS);
    html::page(&ChoosePage { shell, contact, q, hits, is_alike, has_more })
}

/// A line of the comparison.
struct Line {
    field: Field,
    label: &'static str,
    kept: String,
    gone: String,
    /// They differ and both are told: there is something to choose.
    choice: bool,
    /// Taken from the second, as it stands: the first has nothing.
    from_gone: bool,
}

#[derive(Template)]
#[template(path = "duplicates/show.html")]
struct ShowPage {
    shell: Shell,
    kept: Contact,
    gone: Contact,
    kept_weight: Weight,
    gone_weight: Weight,
    reason: Option<Reason>,
    lines: Vec<Line>,
}

impl ShowPage {
    fn weights(&self) -> [(&'static str, i64, i64); 5] {
        let (kept, gone) = (&self.kept_weight, &self.gone_weight);
        [
            ("Mensajes", kept.messages, gone.messages),
            ("Interacciones", kept.interactions, gone.interactions),
            ("Compras, visitas e inscripciones", kept.history, gone.history),
            ("Tareas", kept.tasks, gone.tasks),
            ("Intereses", kept.interests, gone.interests),
        ]
    }
}

fn lines(kept: &Contact, gone: &Contact) -> Vec<Line> {
    Field::ALL
        .into_iter()
        .map(|field| {
            let (label, ours, theirs) = (label(field), value(kept, field), value(gone, field));
            Line {
                field,
                label,
                choice: !ours.is_empty() && !theirs.is_empty() && ours != theirs,
                from_gone: ours.is_empty() && !theirs.is_empty(),
                kept: ours,
                gone: theirs,
            }
        })
        .filter(|it| !it.kept.is_empty() || !it.gone.is_empty())
        .collect()
}

fn label(field: Field) -> &'static str {
    match field {
        Field::Name => "Nombre",
        Field::Email => "Correo",
        Field::Phone => "Teléfono",
        Field::Company => "Empresa",
        Field::JobTitle => "Cargo",
        Field::BirthDate => "Nacimiento",
        Field::Comuna => "Comuna",
        Field::Source => "Origen",
        Field::Owner => "Responsable",
        Field::Notes => "Notas",
    }
}

fn value(it: &Contact, field: Field) -> String {
    match field {
        Field::Name => format!("{} {}", it.first_name, it.last_name).trim().to_owned(),
        Field::Email => it.email.clone().unwrap_or_default(),
        Field::Phone => it.phone.as_deref().map(Phone::show).unwrap_or_default(),
        Field::Company => it.company.clone().unwrap_or_default(),
        Field::JobTitle => it.job_title.clone().unwrap_or_default(),
        Field::BirthDate => it.birth_date.map(format::date).unwrap_or_default(),
        Field::Comuna => {
            it.comuna.as_deref().and_then(comunas::by_code).map(|it| it.name.to_owned()).unwrap_or_default()
        }
        Field::Source => it.source.label().to_owned(),
        Field::Owner => it.owner.clone().unwrap_or_default(),
        Field::Notes => it.notes.clone().unwrap_or_default(),
    }
}

async fn show(shell: Shell, Db(mut db): Db, Path((kept, gone)): Path<(ContactId, ContactId)>) -> Answer {
    if kept == gone {
        return Err(Error::NotFound.into());
    }
    let reason = duplicates::reason(&mut db, kept, gone).await?;
    let (kept_weight, gone_weight) =
        (merge::weight(&mut db, kept).await?, merge::weight(&mut db, gone).await?);
    let (kept, gone) = (alone(&mut db, kept).await?, alone(&mut db, gone).await?);
    let lines = lines(&kept, &gone);
    html::page(&ShowPage { shell, kept, gone, kept_weight, gone_weight, reason, lines })
}

/// One of the two, as long as they are nobody else's.
async fn alone(db: &mut PgConnection, id: ContactId) -> Result<Contact, Error> {
    contact::get(db, id).await.map_err(|error| match error {
        Error::Joined(_) => Error::refused(
            "Una de las dos fichas ya está unida a otra. No se cambió nada; vuelve a la lista de duplicados.",
        ),
        other => other,
    })
}

/// What was done, and what of the other is to be seen no more while they are one.
fn said(left: &LeftOut) -> String {
    if left.is_nothing() {
        return "Las dos fichas son una. Todo lo de la otra quedó aquí.".to_owned();
    }
    let mut out = Vec::new();
    for address in &left.addresses {
        if address.contains('@') {
            out.push(format!("el correo {address}"));
        } else {
            out.push(format!("el teléfono {}", Phone::show(address)));
        }
    }
    if left.notes {
        out.push("las notas de la otra ficha".to_owned());
    }
    for channel in left.bases.iter().filter_map(|it| Channel::from_code(it)) {
        out.push(match channel {
            Channel::Email => "el permiso para promociones por correo".to_owned(),
            Channel::Sms => "el permiso para promociones por SMS".to_owned(),
            Channel::Whatsapp => "el permiso para promociones por WhatsApp".to_owned(),
        });
    }
    format!("Las dos fichas son una. Quedó fuera: {}. Si las separas, vuelve.", out.join(", "))
}

/// `name=gone` takes the name of the second; anything else leaves the first's.
async fn join(
    State(state): State<AppState>,
    actor: Actor,
    Path((kept, gone)): Path<(ContactId, ContactId)>,
    Form(chosen): Form<HashMap<String, String>>,
) -> Answer {
    let taken: BTreeSet<Field> =
        Field::ALL.into_iter().filter(|it| chosen.get(it.code()).is_some_and(|it| it == "gone")).collect();
    let mut tx = state.db.begin().await?;
    let id = merge::merge(&mut tx, state.clock.now(), &actor, kept, gone, &taken).await?;
    let left = merge::left_out(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Flash::good(said(&left)).undo(format!("/merges/{id}/undoing")).to(&format!("/contacts/{kept}")))
}

async fn undo(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let (kept, gone) = match merge::undo(&mut tx, state.clock.now(), &actor, id).await {
        Err(Error::Refused(sentence)) => {
            return Ok(Flash::bad(sentence)
                .to(&session::referring_path(&headers).unwrap_or_else(|| "/duplicates".to_owned())));
        }
        done => done?,
    };
    tx.commit().await?;
    Ok(Flash::good("Volvieron a ser dos fichas, cada una con lo suyo.")
        .to(&format!("/duplicates/{kept}/{gone}")))
}

async fn dismiss(
    State(state): State<AppState>,
    actor: Actor,
    Path(pair): Path<(ContactId, ContactId)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    duplicates::dismiss(&mut tx, state.clock.now(), &actor, pair, true).await?;
    tx.commit().await?;
    Ok(Flash::good("Anotado: son dos personas. No volveremos a preguntar por este par.")
        .undo(format!("/duplicates/{}/{}/reopening", pair.0, pair.1))
        .to("/duplicates"))
}

async fn reopen(
    State(state): State<AppState>,
    actor: Actor,
    Path(pair): Path<(ContactId, ContactId)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    duplicates::dismiss(&mut tx, state.clock.now(), &actor, pair, false).await?;
    tx.commit().await?;
    Ok(Flash::plain("El par volvió a la lista.").to("/duplicates"))
}
