//! A campaign's text as one person would read it, in a frame of its own.

use super::{html::Answer, letter_frame, routes::Route, security};
use crate::{
    access::Permission,
    campaigns::{campaign, trial, wordings::Wordings},
    channels::Channel,
    error::{Error, FieldError},
    ids::{CampaignId, ContactId},
    messaging::template::Source,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::header,
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

/// The message, or what keeps it from being filled.
pub(super) type Tried = std::result::Result<trial::Preview, Vec<FieldError>>;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/campaigns/{id}/preview", Permission::View, saved_preview)]
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reader {
    contact: String,
    variant: String,
}

/// The text in force, filled for one person, for the frame of the campaign's page.
async fn saved_preview(
    State(state): State<AppState>,
    Path(id): Path<CampaignId>,
    Query(reader): Query<Reader>,
) -> Answer {
    let mut db = state.db.acquire().await?;
    let campaign = campaign::get(&mut db, id).await?;
    let texts = Wordings::of(&mut db, id).await?.all(&campaign.source);
    drop(db);
    let contact = reader.contact.parse().ok().map(ContactId);
    let place: i16 = reader.variant.parse().unwrap_or_default();
    let source = texts.iter().find(|it| it.place == place).map_or(&campaign.source, |it| &it.source);
    Ok(frame(&fill(&state, source, contact).await?))
}

/// `source` filled for `contact`, or for a person of example.
pub(super) async fn fill(
    state: &AppState,
    source: &Source,
    contact: Option<ContactId>,
) -> crate::error::Result<Tried> {
    fill_for(state, Channel::Email, source, contact).await
}

/// The same for a text that travels by `channel`.
pub(super) async fn fill_for(
    state: &AppState,
    channel: Channel,
    source: &Source,
    contact: Option<ContactId>,
) -> crate::error::Result<Tried> {
    let mut db = state.db.acquire().await?;
    match trial::preview(&mut db, &state.config, channel, source, contact).await {
        Ok(preview) => Ok(Ok(preview)),
        Err(Error::Invalid(problems)) => Ok(Err(problems)),
        Err(error) => Err(error),
    }
}

/// The class of the frame that shows `tried`; a sentence instead of a letter takes the lowest.
pub(super) fn height(tried: Option<&Tried>) -> String {
    let letter = tried.and_then(|it| it.as_ref().ok()).and_then(|it| it.message.as_ref().ok());
    letter.map_or_else(|| letter_frame::height("", ""), |it| letter_frame::height(&it.plain, &it.html))
}

#[derive(Template)]
#[template(path = "campaigns/unfilled.html")]
struct Unfilled<'a> {
    sentences: Vec<&'a str>,
}

/// A message in a document of its own, under the policy of framed pages.
pub(super) fn frame(tried: &Tried) -> Response {
    let sentences: Vec<&str> = match tried {
        Ok(it) => it.message.as_ref().err().map(String::as_str).into_iter().collect(),
        Err(problems) => problems.iter().map(|it| it.message.as_str()).collect(),
    };
    let html = match tried.as_ref().ok().and_then(|it| it.message.as_ref().ok()) {
        Some(rendered) => rendered.html.clone(),
        None => Unfilled { sentences }.render().unwrap_or_default(),
    };
    ([(header::CONTENT_SECURITY_POLICY, security::FRAMED_BY_US)], Html(html)).into_response()
}
