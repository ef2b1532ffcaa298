//! Whom a text is tried on: the first few of the address book, or whoever is searched for.

use super::html::{self, Answer};
use crate::{
    contacts::{contact_list::Filter, named::Named},
    error::Result,
    ids::ContactId,
    mailings,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Query, State},
    response::IntoResponse as _,
};
use serde::Deserialize;

/// What somebody is searched for by.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) person: String,
}

impl Wanted {
    /// Whom it finds; the first few of all where nothing was typed.
    pub(super) async fn found(&self, state: &AppState) -> Result<Vec<Named>> {
        let filter = Filter { q: self.person.clone(), ..Filter::default() };
        let mut db = state.db.acquire().await?;
        mailings::first_of(&mut db, state.clock.now(), &filter).await
    }

    /// Of `found`, whom it means: whoever searches looks for somebody.
    pub(super) fn meant(&self, found: &[Named]) -> Option<ContactId> {
        found.first().filter(|_| !self.person.trim().is_empty()).map(|it| it.id)
    }
}

#[derive(Template)]
#[template(path = "templates/people.html")]
struct Options {
    contacts: Vec<Named>,
    chosen: Option<ContactId>,
}

/// The options of the field in which one of them is chosen.
pub(super) async fn find(State(state): State<AppState>, Query(wanted): Query<Wanted>) -> Answer {
    let contacts = wanted.found(&state).await?;
    let chosen = wanted.meant(&contacts);
    let options = html::page(&Options { contacts, chosen })?;
    // The text is shown as that person would read it.
    Ok(([("hx-trigger-after-settle", "built")], options).into_response())
}
