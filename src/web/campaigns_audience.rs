//! Whom a campaign is for, one by one, and why some would be left out.

use super::{
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::{
        audience::{self, Person, Preview, Question, Which},
        campaign::{self, Campaign},
    },
    ids::{CampaignId, ContactId},
    messaging::{kinds::BlockReason, template},
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Lines of a page.
const PAGE: usize = 50;

/// One more than a page shows whether another follows.
const ASKED: i64 = 51;

pub(super) fn route() -> Route {
    Route::get("/campaigns/{id}/audience", Permission::View, people)
}

fn question<'a>(campaign: &'a Campaign, required: &'a [&'a str], now: DateTime<Utc>) -> Question<'a> {
    Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required,
        now,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PeopleQuery {
    reason: String,
    after: Option<i64>,
}

#[derive(Template)]
#[template(path = "campaigns/audience.html")]
struct PeoplePage {
    shell: Shell,
    campaign: Campaign,
    preview: Preview,
    which: Which,
    people: Vec<Person>,
    newer: String,
    older: String,
}

impl PeoplePage {
    fn chosen(&self, reason: BlockReason) -> bool {
        self.which == Which::LeftOut(reason)
    }
}

/// The people of the audience, and why some would be left out.
async fn people(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Query(query): Query<PeopleQuery>,
) -> Answer {
    let mut db = state.db.acquire().await?;
    let campaign = campaign::get(&mut db, id).await?;
    let required = template::compile(&campaign.source).map(|it| it.required()).unwrap_or_default();
    let which = match query.reason.as_str() {
        "reachable" => Which::Reachable,
        code => BlockReason::from_code(code).map_or(Which::All, Which::LeftOut),
    };
    let asked = question(&campaign, &required, state.clock.now());
    let preview = audience::preview(&mut db, asked).await?;
    let mut people = audience::people(&mut db, asked, which, query.after.map(ContactId), ASKED).await?;
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    let base = format!("/campaigns/{id}/audience?reason={}", query.reason);
    let older = people.last().filter(|_| more).map_or(String::new(), |it| format!("{base}&after={}", it.id));
    let newer = if query.after.is_some() { base } else { String::new() };
    html::page(&PeoplePage { shell, campaign, preview, which, people, newer, older })
}
