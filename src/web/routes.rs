//! The table of routes: path, method, who may, handler.

use crate::{
    access::{Permission, Role},
    state::AppState,
};
use axum::{
    handler::Handler,
    http::Method,
    routing::{self, MethodRouter},
};
use std::{collections::HashSet, sync::LazyLock, time::Duration};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone, programs too: no session, no token. Unsubscribe, webhooks, health.
    Public,
    /// Anyone with a browser: forms carry a token although there is no session yet. Sign-in, set-up.
    Guest,
    /// Someone signed in whose role has the permission.
    Staff(Permission),
}

/// What a request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A form of at most [`FORM_LIMIT`] bytes.
    Form,
    /// A multipart form with files, of at most so many bytes in all.
    Upload(usize),
}

/// Most bytes of an ordinary form.
pub(super) const FORM_LIMIT: usize = 1024 * 1024;

/// One line of the table.
pub struct Route {
    /// Method.
    pub method: Method,
    /// As axum writes it.
    pub path: &'static str,
    /// Who may.
    pub access: Access,
    /// What it takes.
    pub body: Body,
    /// How long it may take.
    pub timeout: Duration,
    pub(super) to: MethodRouter<AppState>,
}

impl Route {
    fn new(method: Method, path: &'static str, access: Access, to: MethodRouter<AppState>) -> Route {
        Route { method, path, access, body: Body::Form, timeout: Duration::from_secs(30), to }
    }

    /// A page.
    pub(super) fn get<H: Handler<T, AppState>, T: 'static>(
        path: &'static str,
        needs: Permission,
        handler: H,
    ) -> Route {
        Route::new(Method::GET, path, Access::Staff(needs), routing::get(handler))
    }

    /// A form's target.
    pub(super) fn post<H: Handler<T, AppState>, T: 'static>(
        path: &'static str,
        needs: Permission,
        handler: H,
    ) -> Route {
        Route::new(Method::POST, path, Access::Staff(needs), routing::post(handler))
    }

    /// A removal: htmx sends DELETE, a plain form POSTs to `path?_method=DELETE`.
    pub(super) fn delete<H: Handler<T, AppState>, T: 'static>(
        path: &'static str,
        needs: Permission,
        handler: H,
    ) -> Route {
        Route::new(Method::DELETE, path, Access::Staff(needs), routing::delete(handler))
    }

    /// The target of a multipart form whose first field is `csrf_token`; the
    /// handler takes an [`Upload`](super::upload::Upload). `limit` in bytes.
    pub(super) fn upload<H: Handler<T, AppState>, T: 'static>(
        path: &'static str,
        needs: Permission,
        limit: usize,
        handler: H,
    ) -> Route {
        Route {
            body: Body::Upload(limit),
            timeout: Duration::from_mins(10),
            ..Route::post(path, needs, handler)
        }
    }

    /// A page for anyone.
    pub(super) fn public_get<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Route {
        Route::new(Method::GET, path, Access::Public, routing::get(handler))
    }

    /// A target for anyone, programs too. No token is asked for.
    pub(super) fn public_post<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Route {
        Route::new(Method::POST, path, Access::Public, routing::post(handler))
    }

    /// A page before sign-in, with a form.
    pub(super) fn guest_get<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Route {
        Route::new(Method::GET, path, Access::Guest, routing::get(handler))
    }

    /// The target of a form before sign-in.
    pub(super) fn guest_post<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> Route {
        Route::new(Method::POST, path, Access::Guest, routing::post(handler))
    }

    /// The same route, given `timeout` to answer.
    pub(super) fn within(self, timeout: Duration) -> Route {
        Route { timeout, ..self }
    }
}

/// Every route of the application, static files aside.
#[must_use]
pub fn table() -> Vec<Route> {
    [
        super::audit::routes(),
        super::bulk_actions::routes(),
        super::campaigns::routes(),
        super::health::routes(),
        super::companies::routes(),
        super::drip_runs::routes(),
        super::contacts::routes(),
        super::copy_calls::routes(),
        super::duplicates::routes(),
        super::home::routes(),
        super::imports::routes(),
        super::imports_actions::routes(),
        super::imports_obstacles::routes(),
        super::imports_permission::routes(),
        super::imports_rows::routes(),
        super::imports_undo::routes(),
        super::inbound::routes(),
        super::interests::routes(),
        super::internal::routes(),
        super::jobs::routes(),
        super::lists::routes(),
        super::login::routes(),
        super::links::routes(),
        super::mailings::routes(),
        super::messages::routes(),
        super::outbox::routes(),
        super::pipeline::routes(),
        super::proposals::routes(),
        super::public::routes(),
        super::search::routes(),
        super::segments::routes(),
        super::settings::routes(),
        super::setup::routes(),
        super::staff::routes(),
        super::suppressions::routes(),
        super::tasks::routes(),
        super::templates::routes(),
        super::tracking::routes(),
        super::webhooks::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether there is a page at `path`: the navigation shows what exists.
pub(super) fn has_page(path: &str) -> bool {
    static PAGES: LazyLock<HashSet<&'static str>> =
        LazyLock::new(|| table().iter().filter(|it| it.method == Method::GET).map(|it| it.path).collect());
    PAGES.contains(path)
}

/// Whether someone of `role` may open the page at `path`: a page links only where its reader may go.
pub(super) fn may_open(role: Role, path: &str) -> bool {
    static PAGES: LazyLock<Vec<(&'static str, Access)>> = LazyLock::new(|| {
        table().iter().filter(|it| it.method == Method::GET).map(|it| (it.path, it.access)).collect()
    });
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_at = |pattern: &str| {
        let fits = |(asked, part): (&str, &str)| part == asked || part.starts_with('{');
        pattern.split('/').count() == path.split('/').count()
            && path.split('/').zip(pattern.split('/')).all(fits)
    };
    // A page with a name of its own goes before one that takes any.
    let mut found: Vec<_> = PAGES.iter().filter(|it| is_at(it.0)).collect();
    found.sort_by_key(|it| it.0.matches('{').count());
    found.first().is_some_and(|it| match it.1 {
        Access::Public | Access::Guest => true,
        Access::Staff(needs) => role.may(needs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_led_where_it_may_go() {
        let check = |role, path, may| assert_eq!(may_open(role, path), may, "{role:?} {path}");
        check(Role::ReadOnly, "/contacts/7?kind=CALL#timeline", true);
        check(Role::ReadOnly, "/campaigns/7/edit#audience", false);
        check(Role::ReadOnly, "/imports/new", false);
        check(Role::Staff, "/imports/new", true);
        check(Role::Staff, "/settings", false);
        check(Role::Admin, "/settings", true);
        check(Role::Admin, "/nowhere", false);
    }
}
