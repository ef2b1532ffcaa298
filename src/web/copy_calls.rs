//! The record of what was asked of the artificial intelligence: of one campaign, and of a month with its cost against the
//! budget.

use super::{
    connection::Db,
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::campaign,
    chile::format::MONTHS,
    copywriter::{
        budget::{self, Spending},
        calls::{self, Call, Sums, Which},
        outcome::Outcome,
        standing,
        terms::Terms,
    },
    ids::CampaignId,
    settings,
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{Datelike, Months, NaiveDate};
use serde::Deserialize;

/// Calls of a page.
const PAGE: usize = 25;

/// One more than a page shows whether another follows.
const ASKED: i64 = 26;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/{id}/copy-calls", Permission::View, of_campaign),
        Route::get("/copy-calls", Permission::View, of_month),
    ]
}

#[derive(Template)]
#[template(path = "copy_calls/list.html")]
struct CallsPage {
    shell: Shell,
    /// Of one campaign: its row and name.
    campaign: Option<(CampaignId, String)>,
    /// Of a month: as people read it.
    month: String,
    /// The months beside it: as in an address.
    earlier: String,
    later: String,
    sums: Sums,
    /// How it stands against the budget; only of this month.
    spending: Option<Spending>,
    off: Option<String>,
    can_be_lifted: bool,
    calls: Vec<Call>,
    newer: String,
    older: String,
}

impl CallsPage {
    /// Word, colour and icon of how a call ended.
    fn badge(call: &Call) -> (&'static str, &'static str, &'static str) {
        match call.outcome {
            None => ("Preguntando", "blue", "send"),
            Some(_) if call.from_cache => ("De la caché", "green", "database"),
            Some(Outcome::Answered) => (Outcome::Answered.label(), "green", "circle-check"),
            Some(Outcome::Key | Outcome::Balance) => {
                (call.outcome.map_or("", Outcome::label), "orange", "alert-triangle")
            }
            Some(it) => (it.label(), "red", "circle-x"),
        }
    }

    /// `1,3 s`; empty for what was there already.
    fn took(call: &Call) -> String {
        let Some(ms) = call.latency_ms.filter(|_| !call.from_cache) else { return String::new() };
        format!("{},{} s", ms / 1000, ms % 1000 / 100)
    }

    /// Whole pesos of a budget.
    fn pesos(micro: &i64) -> String {
        crate::chile::format::money(*micro / crate::copywriter::terms::MICRO)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CallsQuery {
    month: String,
    before: Option<i64>,
}

/// At most a page of calls, and where the next one begins.
fn paged(mut calls: Vec<Call>) -> (Vec<Call>, Option<i64>) {
    let more = calls.len() > PAGE;
    calls.truncate(PAGE);
    let last = calls.last().filter(|_| more).map(|it| it.id);
    (calls, last)
}

async fn of_campaign(
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<CallsQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let (calls, last) = paged(calls::list(&mut db, Which::Campaign(id), query.before, ASKED).await?);
    let here = format!("/campaigns/{id}/copy-calls");
    html::page(&CallsPage {
        shell,
        campaign: Some((id, campaign.name)),
        month: String::new(),
        earlier: String::new(),
        later: String::new(),
        sums: calls::sums(&mut *db, Which::Campaign(id)).await?,
        spending: None,
        off: None,
        can_be_lifted: false,
        calls,
        newer: query.before.map_or_else(String::new, |_| here.clone()),
        older: last.map_or_else(String::new, |it| format!("{here}?before={it}")),
    })
}

/// As in an address: `2026-11`.
fn in_address(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

async fn of_month(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Query(query): Query<CallsQuery>,
) -> Answer {
    let now = state.clock.now();
    let this = budget::month(now);
    let asked = format!("{}-01", query.month.trim()).parse::<NaiveDate>().ok();
    let month = asked.filter(|it| *it <= this).unwrap_or(this);
    let terms: Terms = settings::load(&mut *db, &state.config.first_values).await?;
    let spending = budget::spending(&mut *db, now, &terms).await?;
    let standing = standing::of(&mut *db, &state.config).await?;
    let (calls, last) = paged(calls::list(&mut db, Which::Month(month), query.before, ASKED).await?);
    let here = format!("/copy-calls?month={}", in_address(month));
    html::page(&CallsPage {
        shell,
        campaign: None,
        month: spelled(month),
        earlier: month.checked_sub_months(Months::new(1)).map(in_address).unwrap_or_default(),
        later: month
            .checked_add_months(Months::new(1))
            .filter(|it| *it <= this)
            .map(in_address)
            .unwrap_or_default(),
        sums: calls::sums(&mut *db, Which::Month(month)).await?,
        spending: (month == this).then_some(spending),
        can_be_lifted: standing.can_be_lifted(),
        off: standing.why_off(),
        calls,
        newer: query.before.map_or_else(String::new, |_| here.clone()),
        older: last.map_or_else(String::new, |it| format!("{here}&before={it}")),
    })
}

/// `noviembre de 2026`.
fn spelled(month: NaiveDate) -> String {
    let name = MONTHS.get(month.month0() as usize).copied().unwrap_or_default();
    format!("{name} de {}", month.year())
}
