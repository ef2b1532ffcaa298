//! What a cron of the hosting calls: one run of the drip, behind a bearer token. Where this process keeps no time of its
//! own (`SCHEDULER=off`), each call also runs the other jobs that are due.

use super::{bearer, campaigns_actions::engine, html::Answer, routes::Route};
use crate::{
    campaigns::drip,
    channels::Channel,
    messaging::{
        drain::{self, Options},
        runs::Trigger,
    },
    scheduler,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::public_post("/internal/drip", run).within(Duration::from_mins(10))]
}

async fn run(State(state): State<AppState>, headers: HeaderMap) -> Answer {
    let Some(token) = &state.config.drip_token else {
        return Ok(refused(StatusCode::NOT_FOUND, "DRIP_TOKEN no está configurado"));
    };
    if !bearer::is_authorised(&headers, token) {
        let mut response = refused(StatusCode::UNAUTHORIZED, "la clave no es la de DRIP_TOKEN");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return Ok(response);
    }
    if !state.config.scheduler {
        // Whoever calls is the clock: without them nobody would read the mailbox or look for who fell inactive.
        let state = state.clone();
        tokio::spawn(async move { scheduler::catch_up(&state, &state.stop).await });
    }
    let stop = state.stop.child_token();
    let options = Options {
        time_box: Some(drain::CALLED_RUN_LASTS),
        stop,
        ..Options::new(Channel::Email, Trigger::Http)
    };
    // On its own: a caller that hangs up must not cut a run off in the middle.
    let run = tokio::spawn(async move { drip::run_once(&engine(&state), &options).await });
    let report = run.await.map_err(|it| crate::error::Error::Internal(format!("drip: {it}")))??;
    Ok(Json(report).into_response())
}

fn refused(status: StatusCode, sentence: &str) -> axum::response::Response {
    (status, Json(json!({ "error": sentence }))).into_response()
}
