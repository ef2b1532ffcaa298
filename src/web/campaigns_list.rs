//! The list of campaigns.

use super::{
    connection::Db,
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::campaign::{self, Status, Summary},
    ids::CampaignId,
    state::AppState,
};
use askama::Template;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Lines of a page.
const PAGE: usize = 50;

/// One more than a page shows whether another follows.
const ASKED: i64 = 51;

pub(super) fn route() -> Route {
    Route::get("/campaigns", Permission::View, list)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    status: String,
    before: Option<i64>,
}

struct Tab {
    label: &'static str,
    href: String,
    count: i64,
    active: bool,
}

#[derive(Template)]
#[template(path = "campaigns/list.html")]
struct ListPage {
    shell: Shell,
    now: DateTime<Utc>,
    tabs: Vec<Tab>,
    campaigns: Vec<Summary>,
    newer: String,
    older: String,
    filtered: bool,
}

async fn list(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Query(query): Query<ListQuery>,
) -> Answer {
    let status = Status::from_code(&query.status);
    let before = query.before.map(CampaignId);
    let mut campaigns = campaign::list(&mut *db, status, before, ASKED).await?;
    let more = campaigns.len() > PAGE;
    campaigns.truncate(PAGE);
    let counts = campaign::counts(&mut *db).await?;
    let all = Tab {
        label: "Todas",
        href: "/campaigns".to_owned(),
        count: counts.iter().map(|it| it.1).sum(),
        active: status.is_none(),
    };
    let tabs = std::iter::once(all)
        .chain(counts.iter().map(|(it, count)| Tab {
            label: it.label(),
            href: format!("/campaigns?status={}", it.code()),
            count: *count,
            active: status == Some(*it),
        }))
        .collect();
    let base = status.map_or("/campaigns?".to_owned(), |it| format!("/campaigns?status={}&", it.code()));
    let older =
        campaigns.last().filter(|_| more).map_or(String::new(), |it| format!("{base}before={}", it.id));
    let newer = if before.is_some() { base.trim_end_matches(['?', '&']).to_owned() } else { String::new() };
    html::page(&ListPage {
        shell,
        now: state.clock.now(),
        tabs,
        campaigns,
        newer,
        older,
        filtered: status.is_some(),
    })
}
