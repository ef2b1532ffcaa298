//! The one gate in front of every route: session, permission, forged forms, size, time.

use super::{
    connection, csrf,
    error::{Joined, Trouble, WebError},
    flash::{self, Flash},
    routes::{Access, Body, Route},
    session::{self, Found},
    upload,
};
use crate::{error::Error, ids::ContactId, state::AppState};
use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use std::{sync::Arc, time::Duration};

/// What the table says of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    access: Access,
    body: Body,
    timeout: Duration,
}

impl Rule {
    pub(super) fn of(route: &Route) -> Rule {
        Rule { access: route.access, body: route.body, timeout: route.timeout }
    }
}

/// Whether the request comes from htmx, which swaps fragments.
pub(super) fn is_htmx(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

pub(super) async fn guard(
    State((state, rule)): State<(AppState, Rule)>,
    mut request: Request,
    next: Next,
) -> Response {
    let limit = match rule.body {
        Body::Form => super::routes::FORM_LIMIT,
        Body::Upload(limit) => limit,
    };
    DefaultBodyLimit::max(limit).apply(&mut request);
    let answer = async {
        match rule.access {
            Access::Public => next.run(request).await,
            Access::Guest => guest(&state, rule, request, next).await,
            Access::Staff(_) => staff(&state, rule, request, next).await,
        }
    };
    match tokio::time::timeout(rule.timeout, answer).await {
        Ok(response) => response,
        Err(_) => Trouble::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Esto tardó demasiado y lo detuvimos. Si estabas guardando, revisa si quedó antes de repetirlo.",
        )
        .into_response(),
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn guest(state: &AppState, rule: Rule, mut request: Request, next: Next) -> Response {
    let jar = CookieJar::from_headers(request.headers());
    let guest = match csrf::Guest::from_jar(&state.config, &jar) {
        Ok(it) => it,
        Err(error) => return WebError::from(error).into_response(),
    };
    if !is_safe(request.method()) {
        request = match csrf::check(&state.config, request, &guest.token, rule.body).await {
            Ok(it) => it,
            Err(trouble) => return trouble.into_response(),
        };
    }
    let cookie = guest.cookie(&state.config);
    request.extensions_mut().insert(guest);
    let mut response = next.run(request).await;
    if let Some(cookie) = cookie {
        session::add_cookie(&mut response, &cookie);
    }
    no_store(&mut response);
    response
}

async fn staff(state: &AppState, rule: Rule, mut request: Request, next: Next) -> Response {
    let jar = CookieJar::from_headers(request.headers());
    let (session, waiting, db) = match session::find_and_keep(state, &jar).await {
        Ok((Found::Live(it, waiting), db)) => (it, waiting, db),
        Ok((Found::Expired, _)) => return sign_in_first(&request, true),
        Ok((Found::Nobody, _)) => return sign_in_first(&request, false),
        Err(error) => return WebError::from(error).into_response(),
    };
    let actor = session.actor();
    if let Access::Staff(needs) = rule.access
        && !actor.may(needs)
    {
        return WebError::from(Error::Forbidden).into_response();
    }
    // Of a form nobody knows how long it takes to arrive: it waits without a connection.
    let db = db.filter(|_| is_safe(request.method()));
    if !is_safe(request.method()) {
        request = match csrf::check(&state.config, request, &session.csrf_token, rule.body).await {
            Ok(it) => it,
            Err(trouble) => return trouble.into_response(),
        };
    }
    if let Some(db) = db {
        request.extensions_mut().insert(connection::Waiting::new(db));
    }
    let id = session.id;
    let session = Arc::new(session);
    let shown = flash::Shown::default();
    request.extensions_mut().insert(actor);
    request.extensions_mut().insert(waiting);
    request.extensions_mut().insert(Arc::clone(&session));
    request.extensions_mut().insert(shown.clone());
    let (safe, path) = (is_safe(request.method()), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(Joined(into)) = response.extensions_mut().remove() {
        response = lead_to(into, safe, &path);
    }
    flash::settle(state, id, &shown, &mut response).await;
    no_store(&mut response);
    response
}

/// Whoever looks at a contact that was joined looks at who stays; whoever changes one
/// sees first what they would change.
fn lead_to(into: ContactId, safe: bool, path: &str) -> Response {
    if !safe {
        let said =
            "No se guardó: esa ficha se unió con esta. Revisa cómo está y hazlo aquí si aún hace falta.";
        return Flash::bad(said).to(&format!("/contacts/{into}"));
    }
    let rest = path.strip_prefix("/contacts/").and_then(|it| it.split_once('/')).map(|it| it.1);
    let rest = rest.map(|it| format!("/{it}")).unwrap_or_default();
    Flash::plain("Esa ficha se unió con esta: aquí está todo lo suyo.").to(&format!("/contacts/{into}{rest}"))
}

/// Pages behind a sign-in must not come back out of a cache after signing out.
fn no_store(response: &mut Response) {
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(header::HeaderValue::from_static("no-store"));
}

/// Send the browser to sign in, and back to where it was.
fn sign_in_first(request: &Request, expired: bool) -> Response {
    let headers = request.headers();
    let htmx = is_htmx(headers);
    let here = if htmx {
        headers
            .get("hx-current-url")
            .and_then(|it| it.to_str().ok())
            .and_then(|it| url::Url::parse(it).ok())
            .map(|it| it.path().to_owned())
    } else if is_safe(request.method()) {
        request.uri().path_and_query().map(|it| it.as_str().to_owned())
    } else {
        session::referring_path(headers)
    };
    let reason = match (expired, is_safe(request.method())) {
        // A change that was not made must be said to be so.
        (_, false) => Some("unsaved"),
        (true, true) => Some("expired"),
        (false, true) => None,
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(here) = here.filter(|it| it != "/") {
        query.append_pair("next", &here);
    }
    if let Some(reason) = reason {
        query.append_pair("reason", reason);
    }
    let query = query.finish();
    let to = if query.is_empty() { "/login".to_owned() } else { format!("/login?{query}") };
    if htmx {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", to)]).into_response();
    }
    Redirect::to(&to).into_response()
}

/// Put the parsed multipart form where the `Upload` extractor finds it.
pub(super) fn with_upload(mut request: Request, upload: upload::Parsed) -> Request {
    request.extensions_mut().insert(upload);
    request
}
