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
        later::{self, Later, Waiting},
        variants,
    },
    chile::format,
    ids::{CampaignId, ContactId},
    messaging::kinds::BlockReason,
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

pub(super) fn question<'a>(
    campaign: &'a Campaign,
    required: &'a [&'a str],
    now: DateTime<Utc>,
) -> Question<'a> {
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

/// Which people are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    These(Which),
    /// Those who would be queued and wait.
    Later,
}

#[derive(Template)]
#[template(path = "campaigns/audience.html")]
struct PeoplePage {
    shell: Shell,
    campaign: Campaign,
    preview: Preview,
    /// Who of the reachable waits for a day of their own.
    later: Later,
    which: Shown,
    people: Vec<Person>,
    waiting: Vec<Waiting>,
    newer: String,
    older: String,
}

impl PeoplePage {
    fn chosen(&self, reason: BlockReason) -> bool {
        self.which == Shown::These(Which::LeftOut(reason))
    }

    fn shows(&self, which: Which) -> bool {
        self.which == Shown::These(which)
    }

    /// Until when a person waits and why, where they do: left out for it, and the words.
    fn waits(&self, id: ContactId) -> Option<(bool, String)> {
        let it = self.waiting.iter().find(|it| it.contact == id)?;
        let day = format::weekday_and_date(it.free_on);
        Some((it.left_out, format!("{}: libre el {day}", it.cause.reason().label())))
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
    let required = variants::plan(&mut db, id).await?.required(&campaign.source);
    let which = match query.reason.as_str() {
        "reachable" => Shown::These(Which::Reachable),
        "later" => Shown::Later,
        code => Shown::These(BlockReason::from_code(code).map_or(Which::All, Which::LeftOut)),
    };
    let now = state.clock.now();
    let asked = question(&campaign, &required, now);
    let preview = audience::preview(&mut db, asked).await?;
    let later = later::of_audience(&mut db, asked).await?;
    let after = query.after.map(ContactId);
    // Of as many people there are no more who wait.
    let waiting = match which {
        Shown::These(Which::LeftOut(_)) => Vec::new(),
        _ => later::people(&mut db, asked, after, ASKED).await?,
    };
    let mut people = match which {
        Shown::These(which) => audience::people(&mut db, asked, which, after, ASKED).await?,
        Shown::Later => {
            let ids: Vec<ContactId> = waiting.iter().map(|it| it.contact).collect();
            audience::among(&mut db, asked, &ids).await?
        }
    };
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    let base = format!("/campaigns/{id}/audience?reason={}", query.reason);
    let older = people.last().filter(|_| more).map_or(String::new(), |it| format!("{base}&after={}", it.id));
    if which == Shown::These(Which::Reachable) {
        people.retain(|person| !waiting.iter().any(|it| it.left_out && it.contact == person.id));
    }
    let newer = if query.after.is_some() { base } else { String::new() };
    html::page(&PeoplePage { shell, campaign, preview, later, which, people, waiting, newer, older })
}
