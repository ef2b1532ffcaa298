//! What every response carries, and what every request leaves in the log.

use super::{
    error::{Cause, RequestId},
    tracking,
};
use crate::state::AppState;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use std::time::Instant;

const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";

/// The policy of a message's own HTML, which a page of ours shows in a frame:
/// pictures and styles, no script, no form, links in a new tab.
pub(super) const FRAMED_BY_US: &str = "default-src 'none'; img-src 'self' data: https:; \
    style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; \
    sandbox allow-popups allow-popups-to-escape-sandbox";

/// Headers of the browser's own defences. A handler's own Content-Security-Policy stays.
pub(super) async fn headers(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let framed = headers
        .get(header::CONTENT_SECURITY_POLICY)
        .is_some_and(|it| it.as_bytes() == FRAMED_BY_US.as_bytes());
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, if framed { "SAMEORIGIN" } else { "DENY" });
    set(header::REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    );
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if state.config.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");
    }
    response
}

/// One line a request: the route's pattern, never the path, which may hold a token.
pub(super) async fn trace(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = uuid::Uuid::now_v7().simple().to_string();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let route = route.unwrap_or_else(|| "(none)".to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match response.extensions_mut().remove::<Cause>() {
        Some(Cause(error)) => {
            tracing::error!(%method, route, status, duration_ms, request.id = id, error, "Request failed");
        }
        None if route.starts_with("/static/")
            || ["/healthz", "/readyz", tracking::PICTURE].contains(&route.as_str()) =>
        {
            tracing::debug!(%method, route, status, duration_ms, request.id = id, "Request");
        }
        None => tracing::info!(%method, route, status, duration_ms, request.id = id, "Request"),
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
