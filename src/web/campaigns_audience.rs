//! Whom a campaign is for, one by one, and why some would be left out.

use super::{
    connection::Db,
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
        later::{self, Cause, CauseKey, Later, Waiting},
        wordings::{Needs, Wordings},
    },
    chile::format,
    ids::{CampaignId, ContactId},
    messaging::{gate, kinds::BlockReason},
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Lines of a page.
const PAGE: usize = 50;

/// One more than a page shows whether another follows.
const ASKED: usize = PAGE + 1;

pub(super) fn route() -> Route {
    Route::get("/campaigns/{id}/audience", Permission::View, people)
}

pub(super) fn question<'a>(campaign: &'a Campaign, needs: &'a Needs, now: DateTime<Utc>) -> Question<'a> {
    Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required: &needs.required,
        otherwise: &needs.otherwise,
        now,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PeopleQuery {
    reason: String,
    /// For which cause those shown wait; empty: any.
    cause: String,
    after: Option<i64>,
}

/// Where those of a draft's audience are listed who get it later for `cause`.
pub(super) fn later_path(id: CampaignId, cause: CauseKey) -> String {
    format!("/campaigns/{id}/audience?reason=later&cause={}", cause.code())
}

/// Which people are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    These(Which),
    /// Those who would be queued and get it once they are free, all of them or those who wait for one cause.
    Later(Option<CauseKey>),
    /// Those who asked for so few messages that it would reach them too late.
    Seldom,
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

    /// The cause for which all who are shown wait; none: several, or they don't.
    fn cause(&self) -> Option<String> {
        let Shown::Later(Some(key)) = self.which else { return None };
        self.later.groups.iter().find(|it| it.cause.key() == key).map(|it| it.cause.label())
    }

    /// Why a person waits and when they get it, or why it comes too late for them, where either is so.
    fn waits(&self, id: ContactId) -> Option<(bool, String)> {
        self.waiting.iter().find(|it| it.contact == id).map(|it| (it.left_out, waits_words(it)))
    }
}

/// Why a person waits and when they get it, or why it comes too late for them.
pub(super) fn waits_words(it: &Waiting) -> String {
    let day = format::weekday_and_date(it.free_on);
    if it.left_out {
        let reason = if it.cause == Cause::Paused { BlockReason::Paused } else { BlockReason::LessOften };
        format!(
            "{}: solo desde el {day}, y un mensaje espera a lo más {} días",
            reason.label(),
            gate::PATIENCE_DAYS
        )
    } else {
        format!("{}: libre el {day}", it.cause.reason().label())
    }
}

/// The people of the audience, and why some would be left out.
async fn people(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<PeopleQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let needs = Wordings::of(&mut db, id).await?.needs(&campaign.source);
    let which = match query.reason.as_str() {
        "reachable" => Shown::These(Which::Reachable),
        "later" => Shown::Later(CauseKey::from_code(&query.cause)),
        code if code == BlockReason::LessOften.code() => Shown::Seldom,
        code => Shown::These(BlockReason::from_code(code).map_or(Which::All, Which::LeftOut)),
    };
    let now = state.clock.now();
    let asked = question(&campaign, &needs, now);
    let preview = audience::preview(&mut db, asked).await?;
    let later = later::of_audience(&mut db, asked).await?;
    let after = query.after.map(ContactId);
    let waiting = match which {
        Shown::These(Which::LeftOut(_)) => Vec::new(),
        Shown::Seldom => later::people(&mut db, asked, later::Which::LeftOut, after, ASKED).await?,
        Shown::Later(cause) => {
            let which = cause.map_or(later::Which::Later, later::Which::For);
            later::people(&mut db, asked, which, after, ASKED).await?
        }
        // Of as many people there are no more who wait.
        Shown::These(_) => later::people(&mut db, asked, later::Which::All, after, ASKED).await?,
    };
    let limit = i64::try_from(ASKED).unwrap_or(i64::MAX);
    let mut people = match which {
        Shown::These(which) => {
            let without = match which {
                Which::Reachable if later.left_out > 0 => {
                    later::people(&mut db, asked, later::Which::LeftOut, after, usize::MAX).await?
                }
                _ => Vec::new(),
            };
            let without: Vec<ContactId> = without.iter().map(|it| it.contact).collect();
            audience::people(&mut db, asked, which, &without, after, limit).await?
        }
        Shown::Later(_) | Shown::Seldom => {
            let ids: Vec<ContactId> = waiting.iter().map(|it| it.contact).collect();
            audience::among(&mut db, asked, &ids).await?
        }
    };
    let more = people.len() > PAGE;
    people.truncate(PAGE);
    let base = match which {
        Shown::Later(Some(cause)) => later_path(id, cause),
        _ => format!("/campaigns/{id}/audience?reason={}", query.reason),
    };
    let older = people.last().filter(|_| more).map_or(String::new(), |it| format!("{base}&after={}", it.id));
    let newer = if query.after.is_some() { base } else { String::new() };
    html::page(&PeoplePage { shell, campaign, preview, later, which, people, waiting, newer, older })
}
