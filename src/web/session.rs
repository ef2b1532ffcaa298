//! Cookies, and who a request comes from.

use crate::{
    access::Actor,
    accounts::caller::{Waiting, caller},
    accounts::session::{self, Lookup, Session},
    chile::time,
    config::Config,
    demo,
    error::{Error, Result},
    state::AppState,
};
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use sqlx::{Postgres, pool::PoolConnection};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::error::WebError;

/// Whose cookie it is.
pub(super) enum Found {
    /// With what waits for them.
    Live(Session, Waiting),
    Expired,
    Nobody,
}

/// What the frame of a page counts, up to this.
const ENOUGH: i64 = 100;

/// The session of the request's cookie.
pub(super) async fn find(state: &AppState, jar: &CookieJar) -> Result<Found> {
    Ok(find_and_keep(state, jar).await?.0)
}

/// The same, and the connection that was asked; none: nobody had to be asked.
pub(super) async fn find_and_keep(
    state: &AppState,
    jar: &CookieJar,
) -> Result<(Found, Option<PoolConnection<Postgres>>)> {
    let Some(cookie) = jar.get(&session_cookie_name(&state.config)) else {
        return Ok((Found::Nobody, None));
    };
    let mut db = state.db.acquire().await?;
    let now = state.clock.now();
    let found = caller(&mut db, cookie.value(), time::local_date(now), ENOUGH, demo::EMAIL).await?;
    let found = match found {
        Some((kept, waiting)) => match session::recognise(&mut db, now, kept).await? {
            Lookup::Live(session) => Found::Live(session, waiting),
            Lookup::Expired => Found::Expired,
        },
        // The browser still has a cookie that once was ours: it ended, whoever ended it.
        None => Found::Expired,
    };
    Ok((found, Some(db)))
}

/// Name of the session's cookie: with HTTPS the browser itself refuses it over HTTP and from other hosts.
pub(super) fn session_cookie_name(config: &Config) -> String {
    cookie_name(config, "llovizna")
}

pub(super) fn cookie_name(config: &Config, name: &str) -> String {
    if config.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

/// A cookie that scripts can't read and other sites can't send with a form.
pub(super) fn cookie(config: &Config, name: String, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.is_https())
        .build()
}

/// The same cookie, taken back.
pub(super) fn removal(config: &Config, name: String) -> Cookie<'static> {
    let mut gone = cookie(config, name, String::new());
    gone.make_removal();
    gone
}

/// Add a cookie that goes when the browser closes.
pub(super) fn add_cookie(response: &mut Response, cookie: &Cookie<'_>) {
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Add a cookie that the browser forgets when the server would anyway.
pub(super) fn add_lasting_cookie(response: &mut Response, cookie: &Cookie<'_>) {
    let seconds = session::LONGEST.num_seconds();
    if let Ok(value) = HeaderValue::from_str(&format!("{cookie}; Max-Age={seconds}")) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// `path` if it is a path of ours and nothing that leads elsewhere.
pub(super) fn local_path(path: &str) -> Option<&str> {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    is_local.then_some(path)
}

/// The path of the page that the request was sent from.
pub(super) fn referring_path(headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let url = url::Url::parse(referer).ok()?;
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    local_path(&path).map(str::to_owned)
}

impl FromRequestParts<AppState> for Actor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Actor, Response> {
        parts.extensions.get::<Actor>().cloned().ok_or_else(|| {
            let error = Error::Internal("an actor is asked for on a public route".to_owned());
            WebError::from(error).into_response()
        })
    }
}

/// The session that the request belongs to.
pub(super) struct Signed(pub Arc<Session>);

impl FromRequestParts<AppState> for Signed {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Signed, WebError> {
        let session = parts.extensions.get::<Arc<Session>>().cloned();
        Ok(Signed(
            session.ok_or_else(|| Error::Internal("a session is asked for on a public route".to_owned()))?,
        ))
    }
}

/// The browser at the other end, as far as we can tell.
pub(super) struct Client {
    /// Its address.
    pub ip: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: String,
}

impl FromRequestParts<AppState> for Client {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Client, WebError> {
        let text = |name: header::HeaderName| {
            parts.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
        };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|it| it.0.ip());
        let forwarded = text(header::HeaderName::from_static("x-forwarded-for"));
        Ok(Client { ip: client_ip(peer, &forwarded), user_agent: text(header::USER_AGENT) })
    }
}

/// The peer; but behind a proxy of our own network, the last address that it
/// vouches for. What the client wrote itself stands further left and is not believed.
fn client_ip(peer: Option<IpAddr>, forwarded: &str) -> Option<IpAddr> {
    if peer.is_some_and(|it| !is_own_network(it)) {
        return peer;
    }
    forwarded
        .split(',')
        .rev()
        .filter_map(|it| it.trim().parse::<IpAddr>().ok())
        .find(|it| !is_own_network(*it))
        .or(peer)
}

fn is_own_network(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(it) => it.is_loopback() || it.is_private() || it.is_link_local(),
        IpAddr::V6(it) => it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_after_signing_in_stays_here() {
        let check = |path: &str, local: bool| assert_eq!(local_path(path).is_some(), local, "{path}");
        check("/contacts?q=ana", true);
        check("//malo.cl", false);
        check("/\\malo.cl", false);
        check("https://malo.cl", false);
        check("/a\r\nSet-Cookie: x", false);
        check("", false);
    }

    #[test]
    fn the_client_is_the_last_address_a_proxy_of_ours_vouches_for() {
        let check = |peer: &str, forwarded: &str, expected: &str| {
            assert_eq!(client_ip(peer.parse().ok(), forwarded), expected.parse().ok(), "{peer} {forwarded}");
        };
        check("190.1.2.3", "1.1.1.1", "190.1.2.3");
        check("10.0.0.7", "1.1.1.1, 190.1.2.3, 10.0.0.9", "190.1.2.3");
        check("127.0.0.1", "", "127.0.0.1");
        check("127.0.0.1", "nonsense", "127.0.0.1");
    }
}
