//! "Revisar enlaces": asks where the links of a campaign's text or of a template lead, and keeps what they answered.

use super::{flash::Flash, html::Answer, routes::Route};
use crate::{
    access::Permission,
    campaigns::{
        campaign,
        link_review::{self, Review},
    },
    deliverability::links::MOST,
    error::Result,
    ids::{CampaignId, LibraryId},
    messaging::{library, template::Source},
    state::AppState,
};
use axum::extract::{Path, State};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/campaigns/{id}/links", Permission::EditCampaigns, of_campaign),
        Route::post("/templates/{id}/links", Permission::EditCampaigns, of_template),
    ]
}

async fn of_campaign(State(state): State<AppState>, Path(id): Path<CampaignId>) -> Answer {
    let mut db = state.db.acquire().await?;
    let campaign = campaign::get(&mut db, id).await?;
    let links = link_review::links_of_campaign(&mut db, &state.config, &campaign).await?;
    drop(db);
    let review = ask(&state, links).await?;
    Ok(told(&state, &review).to(&format!("/campaigns/{id}?checklist=1#checklist")))
}

async fn of_template(State(state): State<AppState>, Path(id): Path<LibraryId>) -> Answer {
    let mut db = state.db.acquire().await?;
    let source = library::get(&mut db, id).await?.draft.source;
    let links = link_review::links_of(&mut db, &state.config, &source).await?;
    drop(db);
    let review = ask(&state, links).await?;
    Ok(told(&state, &review).to(&format!("/templates/{id}#links")))
}

/// Ask `links`; no connection is held while they are waited for.
async fn ask(state: &AppState, links: Vec<String>) -> Result<Review> {
    let visits = state.visitor.visit_all(&links).await;
    let mut tx = state.db.begin().await?;
    link_review::keep(&mut tx, state.clock.now(), &visits).await?;
    let review = link_review::known(&mut tx, links).await?;
    tx.commit().await?;
    Ok(review)
}

fn told(state: &AppState, review: &Review) -> Flash {
    let Some(mut said) = review.sentence(state.clock.now()) else {
        return Flash::plain("El texto no tiene enlaces que revisar.");
    };
    if review.links.len() > MOST {
        said = format!("{said} Se revisan los primeros {MOST}.");
    }
    if review.broken().next().is_some() {
        Flash::bad(said)
    } else if review.all_open() {
        Flash::good(said)
    } else {
        Flash::plain(said)
    }
}

/// What is known of the links of `source`.
pub(super) async fn known(state: &AppState, source: &Source) -> Result<Review> {
    let mut db = state.db.acquire().await?;
    let links = link_review::links_of(&mut db, &state.config, source).await?;
    link_review::known(&mut db, links).await
}
