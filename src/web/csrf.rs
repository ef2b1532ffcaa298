//! Forged forms: a token that another site cannot know, and the browser's own word on where a request comes from.

use super::{
    error::Trouble,
    guard,
    routes::{Body, FORM_LIMIT},
    session, upload,
};
use crate::{
    accounts::keys::{self, Purpose},
    config::Config,
    error::Result,
};
use axum::{
    body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use axum_extra::extract::{CookieJar, cookie::Cookie};
use sha2::{Digest, Sha256};

/// Name of the hidden field.
pub(super) const FIELD: &str = "csrf_token";
/// Name of the header that htmx sends.
const HEADER: &str = "x-csrf-token";

/// A browser without a session: its forms carry a token made from its cookie.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    /// What the form carries.
    pub token: String,
    secret: String,
    fresh: bool,
}

impl Guest {
    pub(super) fn from_jar(config: &Config, jar: &CookieJar) -> Result<Guest> {
        let held = jar.get(&name(config)).map(|it| it.value().to_owned()).filter(|it| it.len() == 43);
        let fresh = held.is_none();
        let secret = held.unwrap_or_else(keys::random_token);
        let token = keys::sign_text(config, Purpose::GuestForm, secret.as_bytes())?;
        Ok(Guest { token, secret, fresh })
    }

    /// The cookie to set, where the browser has none.
    pub(super) fn cookie(&self, config: &Config) -> Option<Cookie<'static>> {
        self.fresh.then(|| session::cookie(config, name(config), self.secret.clone()))
    }
}

fn name(config: &Config) -> String {
    session::cookie_name(config, "llovizna_guest")
}

/// Let the request pass if it carries `token` and comes from our own pages.
pub(super) async fn check(
    config: &Config,
    request: Request,
    token: &str,
    takes: Body,
) -> std::result::Result<Request, Trouble> {
    if !is_from_here(config, request.headers()) {
        return Err(forged());
    }
    let in_header = request.headers().get(HEADER).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match (takes, kind.as_str()) {
        (Body::Upload(limit), "multipart/form-data") => {
            let (request, found, parsed) = upload::open(request, limit).await?;
            if in_header.is_some_and(|it| is_same(&it, token)) || is_same(&found, token) {
                return Ok(guard::with_upload(request, parsed));
            }
            Err(forged())
        }
        (Body::Form, "application/x-www-form-urlencoded" | "") => {
            let (parts, content) = request.into_parts();
            let bytes = body::to_bytes(content, FORM_LIMIT).await.map_err(|_| {
                Trouble::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "Lo que enviaste es demasiado grande para este formulario. No se guardó nada.",
                )
            })?;
            let in_field =
                url::form_urlencoded::parse(&bytes).find(|(key, _)| key == FIELD).map(|(_, value)| value);
            let passes = in_header.is_some_and(|it| is_same(&it, token))
                || in_field.is_some_and(|it| is_same(&it, token));
            if !passes {
                return Err(forged());
            }
            Ok(Request::from_parts(parts, body::Body::from(bytes)))
        }
        _ => Err(Trouble::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Este formulario no llegó como lo envía el panel. No se guardó nada: recarga la página y vuelve a intentarlo.",
        )),
    }
}

fn forged() -> Trouble {
    Trouble::new(
        StatusCode::FORBIDDEN,
        "No pudimos comprobar que este formulario lo enviaste tú desde el panel, así que no se guardó nada. \
         Vuelve a la página, recárgala e inténtalo de nuevo.",
    )
}

/// Digests are compared, so that time tells nothing of the token.
fn is_same(given: &str, token: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(token)
}

/// What the browser says of where the request comes from; silence passes, since old browsers are silent.
fn is_from_here(config: &Config, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    if text("sec-fetch-site").is_some_and(|it| it != "same-origin" && it != "none") {
        return false;
    }
    let Some(origin) = text("origin") else { return true };
    let Some((_, authority)) = origin.split_once("://") else { return false };
    let own = config.public_url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    text("host") == Some(authority) || own == Some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_here(pairs: &[(&'static str, &'static str)]) -> bool {
        let config = Config::read(|name| (name == "PUBLIC_URL").then(|| "https://crm.canal.cl".to_owned()));
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>();
        is_from_here(&config.unwrap(), &headers)
    }

    #[test]
    fn a_request_from_another_site_is_told_by_its_headers() {
        assert!(from_here(&[]));
        assert!(from_here(&[("origin", "https://crm.canal.cl")]));
        assert!(from_here(&[("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:8000")]));
        assert!(from_here(&[("sec-fetch-site", "same-origin")]));
        assert!(!from_here(&[("sec-fetch-site", "cross-site")]));
        assert!(!from_here(&[("sec-fetch-site", "same-site")]));
        assert!(!from_here(&[("origin", "https://malo.cl"), ("host", "127.0.0.1:8000")]));
        assert!(!from_here(&[("origin", "null"), ("host", "127.0.0.1:8000")]));
    }
}
