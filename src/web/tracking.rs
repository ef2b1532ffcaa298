//! The picture and the links by which messages tell of openings and clicks. Asked by anybody, without a session; an
//! answer waits for nothing but, now and then, for where a link leads.

use super::{html::Answer, public, routes::Route};
use crate::{
    ids::{MessageId, TemplateId},
    messaging::tracking::{rewrite, signs},
    settings::{self, Business},
    state::AppState,
};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::IntoResponse,
};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::public_get(PICTURE, open), Route::public_get("/c/{token}", follow)]
}

/// The path of the picture.
pub(super) const PICTURE: &str = "/o/{token}";

/// One transparent dot.
const DOT: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Not kept by anybody on the way, so that who opens a message again asks again.
const FRESH: &str = "private, no-store";

async fn open(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    let codes = state.hits.codes(&state.db).await?;
    let Some((message, _)) = token.strip_suffix(".gif").and_then(|it| codes.read(it)) else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    heard(&state, &method, &headers, message, None);
    let about = [
        (header::CONTENT_TYPE, "image/gif"),
        (header::CACHE_CONTROL, FRESH),
        // Mail is read on other sites than ours.
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    Ok((about, DOT).into_response())
}

async fn follow(
    State(state): State<AppState>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Answer {
    let codes = state.hits.codes(&state.db).await?;
    let named = token.split_once('.').and_then(|(code, number)| {
        let (message, template) = codes.read(code)?;
        Some((message, template, number.parse::<i32>().ok()?))
    });
    let Some((message, template, number)) = named else { return public::broken(&state, &headers).await };
    let Some(target) = target(&state, template, number).await? else {
        return public::broken(&state, &headers).await;
    };
    heard(&state, &method, &headers, message, Some(number));
    let about = [(header::LOCATION, target.as_str()), (header::CACHE_CONTROL, FRESH)];
    Ok((StatusCode::FOUND, about).into_response())
}

/// Where a link of ours leads; none: there is no such link, or what it says of the business is not told any more.
async fn target(state: &AppState, template: TemplateId, number: i32) -> crate::error::Result<Option<String>> {
    let Some(target) = state.hits.target(&state.db, template, number).await? else { return Ok(None) };
    let business = if target.contains("{{") {
        settings::load(&state.db, &state.config.first_values).await?
    } else {
        Business::default()
    };
    Ok(rewrite::filled(&target, &business))
}

/// Only GET is somebody looking: HEAD asks whether there is anything.
fn heard(state: &AppState, method: &Method, headers: &HeaderMap, message: MessageId, link: Option<i32>) {
    if method == Method::GET {
        let sign =
            signs::of_request(link.is_none(), |name| headers.get(name).and_then(|it| it.to_str().ok()));
        state.hits.add(state.clock.now(), message, link, sign);
    }
}
