//! What went wrong, as a page, a toast or JSON. The only place that turns errors into status codes.

use super::{
    guard,
    session::{self, Found},
    shell::{Shell, Theme},
};
use crate::{error::Error, ids::ContactId, state::AppState};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{Html, IntoResponse, Json, Response},
};
use axum_extra::extract::CookieJar;
use std::any::Any;

/// An error on its way to a browser.
pub(super) struct WebError(Error);

impl<E: Into<Error>> From<E> for WebError {
    fn from(error: E) -> WebError {
        WebError(error.into())
    }
}

/// The contact asked for was joined into this one: [`guard`] knows what was asked, and leads there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined(pub ContactId);

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        if let Error::Joined(into) = self.0 {
            let mut response = StatusCode::CONFLICT.into_response();
            response.extensions_mut().insert(Joined(into));
            return response;
        }
        let (status, sentence) = match &self.0 {
            Error::NotFound | Error::Joined(_) => (StatusCode::NOT_FOUND, NOT_FOUND.to_owned()),
            Error::Forbidden => (
                StatusCode::FORBIDDEN,
                "Tu rol no permite hacer esto. No se cambió nada. Si lo necesitas, pídeselo a quien administra el equipo."
                    .to_owned(),
            ),
            Error::Refused(sentence) => (StatusCode::CONFLICT, sentence.clone()),
            Error::Invalid(fields) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                fields.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join(" "),
            ),
            error if error.is_database_away() => (
                StatusCode::SERVICE_UNAVAILABLE,
                "No pudimos llegar a la base de datos; no se guardó nada. Vuelve a intentarlo en un minuto."
                    .to_owned(),
            ),
            Error::Database(_) | Error::Io(_) | Error::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Algo falló de nuestro lado y no se guardó nada. Vuelve a intentarlo; si se repite, avisa a quien \
                 administra el servidor y dale el código de abajo."
                    .to_owned(),
            ),
        };
        let mut response = Trouble::new(status, sentence).into_response();
        if status.is_server_error() {
            // Said once, with the request's id, where the request is logged.
            response.extensions_mut().insert(Cause(self.0.description()));
        }
        response
    }
}

/// Why a request failed, for the log only.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub String);

/// A failure as the reader will see it: rendered by [`render`], which knows who asks.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Status.
    pub status: StatusCode,
    /// What happened, what was kept, what to do.
    pub sentence: String,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, sentence: impl Into<String>) -> Trouble {
        Trouble { status, sentence: sentence.into() }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

const NOT_FOUND: &str =
    "No encontramos esta página. Puede que la hayan borrado o que la dirección tenga un error.";

pub(super) async fn not_found() -> Trouble {
    Trouble::new(StatusCode::NOT_FOUND, NOT_FOUND)
}

pub(super) async fn method_not_allowed() -> Trouble {
    Trouble::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Esta dirección no se abre así. Vuelve a la página anterior y usa sus botones.",
    )
}

#[expect(clippy::needless_pass_by_value, reason = "what CatchPanicLayer hands over")]
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    WebError(Error::Internal(format!("panic: {said}"))).into_response()
}

/// The request's id, to match a page with the log.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub String);

#[derive(Template)]
#[template(path = "errors/page.html", blocks = ["toast"])]
struct ErrorPage {
    status: u16,
    title: &'static str,
    sentence: String,
    code: Option<String>,
    theme: Theme,
}

/// The same for somebody who is signed in, who finds the way on in the menu.
#[derive(Template)]
#[template(path = "errors/framed.html")]
struct FramedPage {
    shell: Shell,
    status: u16,
    title: &'static str,
    sentence: String,
}

/// Give every failure its body.
pub(super) async fn render(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let uri = request.uri().clone();
    let id = request.extensions().get::<RequestId>().cloned();
    let path = uri.path();
    let machine =
        path.starts_with("/api/") || path.starts_with("/internal/") || path.starts_with("/webhooks/");
    let mut response = next.run(request).await;
    let trouble = match response.extensions_mut().remove::<Trouble>() {
        Some(it) => it,
        None => match unexplained(&response) {
            Some(it) => it,
            None => return response,
        },
    };
    let cause = response.extensions_mut().remove::<Cause>();
    let (kept, _) = response.into_parts();
    let framed = framed(&state, &trouble, &uri, &headers, machine).await;
    let mut response = framed.unwrap_or_else(|| body(trouble, &headers, machine, id.map(|it| it.0)));
    for name in [header::SET_COOKIE, header::ALLOW, header::CACHE_CONTROL] {
        if name == header::CACHE_CONTROL && response.headers().contains_key(&name) {
            continue;
        }
        for value in kept.headers.get_all(&name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    if let Some(cause) = cause {
        response.extensions_mut().insert(cause);
    }
    response
}

/// A failure that an extractor of axum answered with its own English text.
fn unexplained(response: &Response) -> Option<Trouble> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || status == StatusCode::UNAUTHORIZED {
        return None;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    if kind.is_some_and(|it| !it.starts_with("text/plain")) {
        return None;
    }
    let sentence = match status {
        StatusCode::NOT_FOUND => NOT_FOUND,
        StatusCode::PAYLOAD_TOO_LARGE => {
            "Lo que enviaste es más grande de lo que aceptamos aquí. No se guardó nada."
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            "La dirección o el formulario traen un valor que no entendemos. No se guardó nada."
        }
        _ => "No pudimos hacer lo que pediste. No se guardó nada.",
    };
    Some(Trouble::new(status, sentence))
}

/// The page in its frame, for a person who is signed in and asked for a page. Not where we failed:
/// what the frame needs may be the very thing that fails.
async fn framed(
    state: &AppState,
    trouble: &Trouble,
    uri: &Uri,
    headers: &HeaderMap,
    machine: bool,
) -> Option<Response> {
    if machine || wants_json(headers) || guard::is_htmx(headers) || trouble.status.is_server_error() {
        return None;
    }
    let found = session::find(state, &CookieJar::from_headers(headers)).await.ok()?;
    let Found::Live(session, waiting) = found else { return None };
    let page = FramedPage {
        shell: Shell::around(state, &session, uri, headers, waiting).await,
        status: trouble.status.as_u16(),
        title: title(trouble.status),
        sentence: trouble.sentence.clone(),
    };
    let mut response = (trouble.status, Html(page.render().ok()?)).into_response();
    // It bears a name: it must not come back out of a cache after signing out.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accepts.contains("application/json") && !accepts.contains("text/html")
}

fn body(trouble: Trouble, headers: &HeaderMap, machine: bool, id: Option<String>) -> Response {
    let Trouble { status, sentence } = trouble;
    let mut response = if machine || wants_json(headers) {
        (status, Json(serde_json::json!({ "error": sentence }))).into_response()
    } else {
        let view = ErrorPage {
            status: status.as_u16(),
            title: title(status),
            sentence,
            code: id.filter(|_| status.is_server_error()),
            theme: Theme::of(headers),
        };
        let wants_toast = guard::is_htmx(headers);
        let html = if wants_toast { view.as_toast().render() } else { view.render() };
        let mut shown = (status, Html(html.unwrap_or_else(|_| view.sentence.clone()))).into_response();
        if wants_toast {
            shown.headers_mut().insert("hx-retarget", HeaderValue::from_static("#toasts"));
            shown.headers_mut().insert("hx-reswap", HeaderValue::from_static("beforeend"));
        }
        shown
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    response
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "No puedes hacer esto",
        StatusCode::NOT_FOUND => "No está aquí",
        StatusCode::METHOD_NOT_ALLOWED => "Así no se puede abrir",
        StatusCode::CONFLICT => "No se pudo hacer",
        StatusCode::PAYLOAD_TOO_LARGE => "Demasiado grande",
        StatusCode::UNPROCESSABLE_ENTITY => "Hay datos por corregir",
        StatusCode::TOO_MANY_REQUESTS => "Demasiados intentos",
        StatusCode::SERVICE_UNAVAILABLE => "Ahora no podemos",
        it if it.is_server_error() => "Algo falló",
        _ => "No lo entendimos",
    }
}
