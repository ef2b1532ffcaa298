//! Contacts in the panel: their list, their forms, their page with what they agreed to.

mod asked;
mod actions;
mod chips;
mod consents;
mod deletion;
mod edit;
mod exports;
mod facts;
mod list;
mod pace;
mod show;
mod timeline;
pub(super) mod why;

pub(super) use asked::Asked;

use super::{badges::Badge, routes::Route, views};
use crate::{access::Permission, contacts::vocabulary::Lifecycle};
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{DecideMessages, Delete, EditContacts, Export, View};
    vec![
        Route::get("/contacts", View, list::all),
        Route::post("/contacts", EditContacts, edit::create),
        Route::post("/contacts/exports", Export, exports::create).within(Duration::from_mins(30)),
        Route::post("/contacts/views", View, views::create::<Asked>),
        Route::post("/contacts/views/{id}", View, views::update::<Asked>),
        Route::delete("/contacts/views/{id}", View, views::delete::<Asked>),
        Route::get("/contacts/filters", View, list::filters),
        Route::get("/contacts/new", EditContacts, edit::new),
        Route::get("/contacts/{id}", View, show::show),
        Route::post("/contacts/{id}", EditContacts, edit::update),
        Route::delete("/contacts/{id}", Delete, deletion::delete),
        Route::get("/contacts/{id}/deletion", Delete, deletion::ask),
        Route::get("/contacts/{id}/edit", EditContacts, edit::edit),
        Route::get("/contacts/{id}/timeline", View, show::timeline),
        Route::get("/contacts/{id}/why", View, why::show),
        Route::post("/contacts/{id}/interactions", EditContacts, actions::log),
        Route::delete("/contacts/{id}/interactions/{interaction}", EditContacts, actions::unlog),
        Route::post("/contacts/{id}/interests", EditContacts, actions::tag),
        Route::delete("/contacts/{id}/interests/{interest}", EditContacts, actions::untag),
        Route::post("/contacts/{id}/lifecycle", EditContacts, actions::step),
        Route::post("/contacts/{id}/tasks", EditContacts, actions::plan),
        Route::post("/contacts/{id}/card", EditContacts, actions::deal),
        Route::get("/contacts/{id}/facts/{fact}", EditContacts, facts::edit),
        Route::post("/contacts/{id}/facts/{fact}", EditContacts, facts::save),
        Route::get("/contacts/{id}/consents", View, consents::show),
        Route::post("/contacts/{id}/consents", EditContacts, consents::consent),
        Route::post("/contacts/{id}/preferences", EditContacts, consents::prefer),
        Route::post("/contacts/{id}/rhythms", EditContacts, pace::note),
        Route::post("/contacts/{id}/quiet-hours", EditContacts, consents::quieten),
        Route::post("/contacts/{id}/suppressions", EditContacts, consents::suppress),
        Route::delete("/contacts/{id}/suppressions/{suppression}", DecideMessages, consents::lift),
    ]
}

/// How far the relationship has come, as shown.
fn lifecycle(it: Lifecycle) -> Badge {
    let (tone, icon) = match it {
        Lifecycle::Lead => ("secondary", "user"),
        Lifecycle::Prospect => ("blue", "target-arrow"),
        Lifecycle::Customer => ("green", "heart"),
        Lifecycle::Inactive => ("yellow", "hourglass"),
    };
    Badge { label: it.label(), tone, icon }
}
