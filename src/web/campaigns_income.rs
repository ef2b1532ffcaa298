//! What a campaign brought in, which is counted when its page is looked at and comes after it.

use super::{
    campaigns_figures::Figure,
    connection::Db,
    filters, guard,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::{
        campaign::{self, Campaign},
        income::{self, Sum},
        wordings::Wordings,
    },
    chile::format,
    ids::CampaignId,
    messaging::story::BUYS_WITHIN_DAYS,
};
use askama::Template;
use axum::{extract::Path, http::HeaderMap};

pub(super) fn route() -> Route {
    Route::get("/campaigns/{id}/income", Permission::View, show)
}

/// What some of its people bought.
struct Line {
    /// Which text they had; empty: all of them.
    name: String,
    amount: String,
    purchases: i64,
    people: Figure,
}

#[derive(Template)]
#[template(path = "campaigns/income.html", blocks = ["income"])]
struct IncomePage {
    shell: Shell,
    campaign: Campaign,
    all: Line,
    texts: Vec<Line>,
    days: i32,
}

fn line(name: String, sum: &Sum, href: String) -> Line {
    let people = Figure { count: sum.people, href };
    Line { name, amount: format::money(sum.amount), purchases: sum.purchases, people }
}

async fn show(shell: Shell, Db(mut db): Db, headers: HeaderMap, Path(id): Path<CampaignId>) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let income = income::of(&mut *db, id).await?;
    let wordings = Wordings::of(&mut db, id).await?;
    let base = format!("/messages?campaign={id}&bought=1");
    let texts = income
        .texts
        .iter()
        .map(|(place, sum)| line(wordings.name(*place), sum, format!("{base}&variant=text{place}")));
    let page = IncomePage {
        shell,
        campaign,
        texts: texts.collect(),
        all: line(String::new(), &income.all, base.clone()),
        days: BUYS_WITHIN_DAYS,
    };
    if guard::is_htmx(&headers) { html::page(&page.as_income()) } else { html::page(&page) }
}
