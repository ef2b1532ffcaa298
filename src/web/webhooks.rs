//! What email providers call to tell what became of messages. Written down and
//! answered at once; what it means is applied afterwards.

use super::{html::Answer, routes::Route};
use crate::{
    channels::{
        callbacks::{self, Call, Refusal},
        feedback::Source,
    },
    messaging::inbound,
    state::AppState,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::json;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::public_post("/webhooks/email/{provider}", receive)]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    token: String,
}

async fn receive(
    State(state): State<AppState>,
    Path(provider): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let now = state.clock.now();
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let call = Call { header: &header, token: &asked.token, body: &body };
    let heard = match Source::PROVIDERS.into_iter().find(|it| it.path() == provider) {
        Some(source) => {
            callbacks::hear(&state.config.callbacks, source, &call, now).await.map(|it| (source, it))
        }
        None => Err(Refusal::NotConnected),
    };
    let (source, reports) = match heard {
        Ok(it) => it,
        Err(refusal) => return Ok(refused(refusal)),
    };
    let mut db = state.db.acquire().await?;
    let new = inbound::record(&mut db, now, source, &reports).await?;
    Ok(Json(json!({ "received": reports.len(), "new": new })).into_response())
}

fn refused(refusal: Refusal) -> axum::response::Response {
    let (status, sentence) = match refusal {
        Refusal::NotConnected => (StatusCode::NOT_FOUND, "ese proveedor no está conectado"),
        Refusal::Forged => (StatusCode::UNAUTHORIZED, "la firma o la clave no corresponde, o es antigua"),
        Refusal::Unreadable => (StatusCode::BAD_REQUEST, "no se entiende lo que llegó"),
        Refusal::Later => (StatusCode::SERVICE_UNAVAILABLE, "no se pudo comprobar la firma ahora"),
    };
    (status, Json(json!({ "error": sentence }))).into_response()
}
