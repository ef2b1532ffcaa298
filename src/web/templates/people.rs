//! Whom a text is tried on: the first few of the address book, or whoever is searched for.

use super::html::{self, Answer};
use crate::{
    contacts::{
        contact_list::{self, Filter, Row},
        named::Named,
    },
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

/// People who are offered, at most.
const MOST: usize = 25;

/// What somebody is searched for by.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) person: String,
    /// What was searched for when the page that asks was made.
    searched: String,
}

impl Wanted {
    /// Whom it finds, who is called so first; the first few of all where nothing was typed.
    pub(super) async fn found(&self, state: &AppState) -> Result<Vec<Named>> {
        let mut db = state.db.acquire().await?;
        if self.person.trim().is_empty() {
            return mailings::first_of(&mut db, state.clock.now(), &Filter::default()).await;
        }
        let filter = Filter { q: self.person.clone(), ..Filter::default() };
        let (page, _) = contact_list::first(&mut db, &filter, MOST).await?;
        let named = |it: Row| Named { id: it.id, name: it.name, company: it.company.unwrap_or_default() };
        Ok(page.rows.into_iter().map(named).collect())
    }

    /// Somebody is searched for who was not before.
    pub(super) fn is_new(&self) -> bool {
        !self.person.trim().is_empty() && self.person != self.searched
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
    // Whoever searches looks for somebody.
    let chosen = contacts.first().filter(|_| wanted.is_new()).map(|it| it.id);
    let options = html::page(&Options { contacts, chosen })?;
    // The text is shown as that person would read it.
    Ok(([("hx-trigger-after-settle", "built")], options).into_response())
}
