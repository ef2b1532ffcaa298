//! Deleting a contact: what goes and what stays is told before.

use crate::{
    access::Actor,
    channels::Channel,
    contacts::contact::{self, Contact},
    ids::ContactId,
    messaging::departure::{self, Departure},
    state::AppState,
    web::{
        filters,
        flash::{Flash, done_or_refused},
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, State};

#[derive(Template)]
#[template(path = "contacts/deletion.html")]
struct DeletionPage {
    shell: Shell,
    contact: Contact,
    departure: Departure,
}

impl DeletionPage {
    /// The channels on which they stay excluded: "correo y SMS".
    fn excluded(&self) -> String {
        let labels: Vec<String> =
            self.departure.excluded.iter().map(|it| in_sentence(*it).to_owned()).collect();
        match labels.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} y {last}", rest.join(", ")),
            _ => labels.concat(),
        }
    }
}

/// A channel in the middle of a sentence.
fn in_sentence(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "correo",
        other => other.label(),
    }
}

pub(super) async fn ask(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let mut db = state.db.acquire().await?;
    let contact = contact::get(&mut *db, ContactId(id)).await?;
    let departure = departure::foresee(&mut db, contact.id).await?;
    html::page(&DeletionPage { shell, contact, departure })
}

pub(super) async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = departure::delete(&mut tx, state.clock.now(), &actor, ContactId(id)).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let back = if done.is_ok() { "/contacts".to_owned() } else { format!("/contacts/{id}") };
    done_or_refused(done.map(drop), Flash::plain("El contacto se eliminó."), &back)
}
