//! The built-in outbox: what would have left by email, as its recipient would
//! see it. The message's own HTML is shown in a frame under a policy that runs
//! nothing and knows no session.

use super::{
    form::Form,
    html::{self, Answer},
    letter_frame,
    routes::Route,
    security::FRAMED_BY_US,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    channels::outbox::{self, Captured, Letter, Place},
    error::Result,
    ids::MessageId,
    messaging::links,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Redirect},
};
use serde::Deserialize;

/// Messages of one page.
const PAGE: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/outbox", Permission::View, list),
        // By POST: what is looked for is somebody's address, and addresses of pages are kept in logs.
        Route::post("/outbox/search", Permission::View, search),
        Route::get("/outbox/{id}", Permission::View, show),
        Route::get("/outbox/{id}/html", Permission::View, letter),
    ]
}

#[derive(Deserialize)]
struct ListQuery {
    before: Option<i64>,
    after: Option<i64>,
}

#[derive(Template)]
#[template(path = "outbox/list.html")]
struct ListPage {
    shell: Shell,
    messages: Vec<Captured>,
    newer: String,
    older: String,
    /// What is looked for; empty: everything is shown.
    sought: String,
    /// It is not the first page of what was found.
    has_newer: bool,
    /// Below which the next page of what was found begins.
    last: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SearchForm {
    sought: String,
    before: String,
}

async fn search(State(state): State<AppState>, shell: Shell, Form(form): Form<SearchForm>) -> Answer {
    let sought = form.sought.trim().to_owned();
    if sought.is_empty() {
        return Ok(Redirect::to("/outbox").into_response());
    }
    let before = form.before.parse().ok();
    let mut messages = outbox::search(&state.db, &sought, before, PAGE + 1).await?;
    let more = messages.len() > PAGE;
    messages.truncate(PAGE);
    html::page(&ListPage {
        shell,
        newer: String::new(),
        older: String::new(),
        sought,
        has_newer: before.is_some(),
        last: messages.last().filter(|_| more).map(|it| it.id),
        messages,
    })
}

async fn list(State(state): State<AppState>, shell: Shell, Query(query): Query<ListQuery>) -> Answer {
    let place = match (query.before, query.after) {
        (Some(id), _) => Place::OlderThan(id),
        (None, Some(id)) => Place::NewerThan(id),
        (None, None) => Place::Newest,
    };
    // One more than is shown tells whether there is more in that direction.
    let mut messages = outbox::list(&state.db, place, PAGE + 1).await?;
    let more = messages.len() > PAGE;
    if more {
        match place {
            Place::NewerThan(_) => drop(messages.remove(0)),
            Place::OlderThan(_) | Place::Newest => drop(messages.pop()),
        }
    }
    let has_newer = match place {
        Place::Newest => false,
        Place::OlderThan(_) => true,
        Place::NewerThan(_) => more,
    };
    let has_older = more || matches!(place, Place::NewerThan(_));
    let newer = messages.first().filter(|_| has_newer).map(|it| format!("/outbox?after={}", it.id));
    let older = messages.last().filter(|_| has_older).map(|it| format!("/outbox?before={}", it.id));
    html::page(&ListPage {
        shell,
        newer: newer.unwrap_or_default(),
        older: older.unwrap_or_default(),
        sought: String::new(),
        has_newer: false,
        last: None,
        messages,
    })
}

#[derive(Deserialize)]
struct ShowQuery {
    part: Option<String>,
}

#[derive(Template)]
#[template(path = "outbox/show.html")]
struct ShowPage {
    shell: Shell,
    letter: Letter,
    /// The text is shown instead of the HTML.
    as_text: bool,
    /// Its links work: the reader may say in its recipient's name what they want.
    links_work: bool,
}

impl ShowPage {
    /// Where the link for unsubscribing may be tried.
    fn unsubscribe_url(&self) -> Option<&str> {
        self.letter.unsubscribe_url().filter(|_| self.links_work)
    }

    /// The class that tells how tall the frame is.
    fn height(&self) -> String {
        letter_frame::height(&self.letter.plain, &self.letter.html)
    }
}

async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<i64>,
    Query(query): Query<ShowQuery>,
) -> Answer {
    let links_work = shell.may(SPEAKS_FOR_PEOPLE);
    let letter = letter_for(&state, links_work, id).await?;
    let as_text = query.part.as_deref() == Some("text") || letter.html.trim().is_empty();
    html::page(&ShowPage { shell, letter, as_text, links_work })
}

/// Who has it may change what a person agreed to, and so may follow a link by which that person would.
const SPEAKS_FOR_PEOPLE: Permission = Permission::EditContacts;

/// A captured message; where its links are not to work, without what they carry.
async fn letter_for(state: &AppState, links_work: bool, id: i64) -> Result<Letter> {
    let letter = outbox::get(&state.db, id).await?;
    if links_work {
        return Ok(letter);
    }
    let codes = state.hits.codes(&state.db).await?;
    let message = MessageId(letter.captured.communication_log_id);
    Ok(letter.without(&links::carried(&state.db, codes, message).await?))
}

/// The message's HTML alone, for the frame.
async fn letter(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let letter = letter_for(&state, actor.may(SPEAKS_FOR_PEOPLE), id).await?;
    // Who looks at it here is not its recipient: its picture is not asked for.
    let html = letter.html.replace(&format!("{}/o/", state.config.public_url), "data:,");
    let mut response = Html(with_links_outside(&html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FRAMED_BY_US));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// `html` with its links opening in a new tab: our own pages refuse to be framed.
fn with_links_outside(html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    let lower = html.to_ascii_lowercase();
    let head = lower.find("<head").and_then(|it| lower[it..].find('>').map(|end| it + end + 1));
    let at = head.unwrap_or(0);
    format!("{}{BASE}{}", &html[..at], &html[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_message_open_outside_its_frame() {
        let check = |html: &str, expected: &str| assert_eq!(with_links_outside(html), expected);
        check(
            "<!DOCTYPE html><html><HEAD lang=\"es\"><title>ñ</title>",
            "<!DOCTYPE html><html><HEAD lang=\"es\"><base target=\"_blank\"><title>ñ</title>",
        );
        check("<p>Hola</p>", "<base target=\"_blank\"><p>Hola</p>");
    }
}
