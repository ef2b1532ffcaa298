//! Who of a campaign's queue gets it later, one by one, and when: those behind a number of its calendar, whom the gate
//! may not have put off yet.

use super::{
    campaigns_audience::waits_words,
    connection::Db,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::{
        audience::{self, Person},
        campaign::{self, Campaign},
        later::{self, CauseKey, Waiting, Which},
    },
    ids::{CampaignId, ContactId},
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

/// Lines of a page.
const PAGE: usize = 50;

/// The cause of those whom it would reach too late.
const TOO_LATE: &str = "too-late";

pub(super) fn route() -> Route {
    Route::get("/campaigns/{id}/waiting", Permission::View, people)
}

/// Where those are listed who get it later for `cause`.
pub(super) fn path(id: CampaignId, cause: CauseKey) -> String {
    format!("/campaigns/{id}/waiting?cause={}", cause.code())
}

/// Where those are listed who asked for so few messages that it would reach them too late.
pub(super) fn left_out_path(id: CampaignId) -> String {
    format!("/campaigns/{id}/waiting?cause={TOO_LATE}")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PeopleQuery {
    cause: String,
    after: Option<i64>,
}

#[derive(Template)]
#[template(path = "campaigns/waiting.html")]
struct WaitingPage {
    shell: Shell,
    campaign: Campaign,
    people: Vec<(Person, String)>,
    too_late: bool,
    newer: String,
    older: String,
}

async fn people(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<PeopleQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let now = state.clock.now();
    let too_late = query.cause == TOO_LATE;
    let which = match CauseKey::from_code(&query.cause) {
        Some(cause) => Which::For(cause),
        None if too_late => Which::LeftOut,
        None => Which::Later,
    };
    let after = query.after.map(ContactId);
    // One more than is shown tells whether there is another page.
    let mut waiting = later::people_of_queue(&mut db, now, &campaign, which, after, PAGE + 1).await?;
    let more = waiting.len() > PAGE;
    waiting.truncate(PAGE);
    let asked = later::of_all(&campaign, now);
    let ids: Vec<ContactId> = waiting.iter().map(|it| it.contact).collect();
    let words = |id: ContactId| {
        let it: Option<&Waiting> = waiting.iter().find(|it| it.contact == id);
        it.map_or_else(String::new, waits_words)
    };
    let people = audience::of_ids(&mut db, asked, &ids).await?.into_iter().map(|it| {
        let words = words(it.id);
        (it, words)
    });
    let people = people.collect();
    let base = match which {
        Which::For(cause) => path(id, cause),
        Which::LeftOut => left_out_path(id),
        Which::Later | Which::All => format!("/campaigns/{id}/waiting?cause="),
    };
    let older = ids.last().filter(|_| more).map_or(String::new(), |it| format!("{base}&after={it}"));
    let newer = if query.after.is_some() { base } else { String::new() };
    html::page(&WaitingPage { shell, campaign, people, too_late, newer, older })
}
