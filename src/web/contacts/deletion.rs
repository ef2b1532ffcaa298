//! Deleting a contact: what goes and what stays is told before.

use crate::{
    access::Actor,
    channels::Channel,
    chile::format,
    contacts::contact::{self, Contact},
    ids::ContactId,
    messaging::departure::{self, Departure},
    state::AppState,
    web::{
        connection::Db,
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
        in_words(&self.departure.excluded)
    }

    /// The channels on which they are in a pause.
    fn paused(&self) -> String {
        in_words(&self.departure.paused)
    }
}

fn in_words(channels: &[Channel]) -> String {
    let labels: Vec<&str> = channels.iter().copied().map(in_sentence).collect();
    format::and(&labels)
}

/// A channel in the middle of a sentence.
fn in_sentence(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "correo",
        other => other.label(),
    }
}

pub(super) async fn ask(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<i64>,
) -> Answer {
    let contact = contact::get(&mut *db, ContactId(id)).await?;
    let departure = departure::foresee(&mut db, state.clock.now(), contact.id).await?;
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
