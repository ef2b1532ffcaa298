//! Segments in the panel: their list, the builder, whom they hold and why, and
//! the automatic ones.

mod builder;
mod edit;
mod list;
mod show;
mod value;

use super::{filters, flash, form, html, routes::Route, shell::Shell};
use crate::access::Permission;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{Delete, EditContacts, EditSettings, View};
    vec![
        Route::get("/segments", View, list::list),
        Route::post("/segments", EditContacts, edit::create),
        Route::get("/segments/new", EditContacts, edit::new),
        Route::post("/segments/builder", EditContacts, edit::build),
        Route::post("/segments/preview", EditContacts, edit::preview),
        Route::get("/segments/value", View, value::grid),
        Route::get("/segments/{id}", View, show::show),
        Route::post("/segments/{id}", EditContacts, edit::update),
        Route::delete("/segments/{id}", Delete, edit::delete),
        Route::get("/segments/{id}/edit", EditContacts, edit::edit),
        Route::get("/segments/{id}/count", View, list::count),
        Route::get("/segments/{id}/contacts/{contact_id}", View, show::why),
        Route::post("/segments/{id}/restoration", EditContacts, edit::restore),
        Route::post("/segments/{id}/versions/{version}/restoration", EditContacts, edit::go_back),
        Route::post("/segments/{id}/list", EditContacts, show::to_list).within(Duration::from_mins(2)),
        Route::get("/settings/segments", EditSettings, value::settings_page),
        Route::post("/settings/segments", EditSettings, value::save),
    ]
}
