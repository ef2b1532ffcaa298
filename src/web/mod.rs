//! HTTP in, HTML out. The only place where a page composes several domains; it
//! holds no SQL and no rules of its own.

mod assets;
mod badges;
mod bearer;
mod connection;
mod csrf;
mod drip_runs;
mod error;
mod exports;
mod faults;
mod filters;
mod flash;
mod form;
mod guard;
mod html;
mod letter_frame;
mod paging;
mod routes;
mod security;
mod session;
mod shell;
mod upload;
mod views;

mod audit;
mod audit_fields;
mod audit_words;
mod bulk_actions;
mod campaigns;
mod campaigns_actions;
mod campaigns_audience;
mod campaigns_axis;
mod campaigns_calendar;
mod campaigns_facts;
mod campaigns_fields;
mod campaigns_figures;
mod campaigns_form;
mod campaigns_income;
mod campaigns_letter;
mod campaigns_list;
mod campaigns_own_texts;
mod campaigns_variants;
mod campaigns_waiting;
mod health;
mod companies;
mod duplicates;
mod contacts;
mod copy_calls;
mod home;
mod imports;
mod imports_actions;
mod imports_interests;
mod imports_mending;
mod imports_obstacles;
mod imports_permission;
mod imports_rows;
mod imports_undo;
mod inbound;
mod interests;
mod internal;
mod jobs;
mod links;
mod lists;
mod login;
mod mailings;
mod messages;
mod messages_asked;
mod numbers;
mod outbox;
mod pipeline;
mod proposals;
mod public;
mod public_held;
mod rhythm_form;
mod search;
mod segments;
mod settings;
mod setup;
mod staff;
mod suppressions;
mod tasks;
mod templates;
mod tracking;
mod webhooks;

pub use routes::{Access, Body, Route, table};

use crate::state::AppState;
use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::{from_fn, from_fn_with_state},
};
use tower::util::MapRequest;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};

/// The whole application.
pub fn router(state: AppState) -> Router {
    let pages = table().into_iter().fold(Router::new(), |router, route| {
        let rule = guard::Rule::of(&route);
        let to = route.to.route_layer(from_fn_with_state((state.clone(), rule), guard::guard));
        router.route(route.path, to)
    });
    let app = pages
        .merge(assets::routes())
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), error::render))
        .layer(from_fn(security::trace))
        .layer(from_fn_with_state(state.clone(), security::headers))
        .layer(CompressionLayer::new())
        .with_state(state);
    // Outside the router, since it decides on the method by which a route is found.
    Router::new().fallback_service(MapRequest::new(app, named_method as fn(Request) -> Request))
}

/// HTML forms know GET and POST only: a POST to `...?_method=DELETE` is a DELETE.
fn named_method(mut request: Request) -> Request {
    let is_delete = request.uri().query().is_some_and(|it| it.split('&').any(|it| it == "_method=DELETE"));
    if is_delete && request.method() == Method::POST {
        *request.method_mut() = Method::DELETE;
    }
    request
}
