//! The library of templates: its list, one of them with its versions, and the editor.

mod form;
mod list;
mod measure;
mod people;
mod show;
mod text;
mod typed;

use super::{
    campaigns_letter, filters,
    flash::Flash,
    form::{Errors, Form},
    html, links,
    routes::Route,
    shell::Shell,
};
use crate::{access::Permission, channels::Channel};

/// Icon of a channel.
pub(super) fn icon(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "mail",
        Channel::Sms => "message",
        Channel::Whatsapp => "brand-whatsapp",
    }
}

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditCampaigns, View};
    vec![
        Route::get("/templates", View, list::all),
        Route::get("/templates/new", EditCampaigns, form::new),
        Route::get("/templates/people", View, people::find),
        Route::post("/templates", EditCampaigns, form::create),
        Route::post("/templates/blocks", EditCampaigns, form::build),
        Route::post("/templates/preview", EditCampaigns, form::preview),
        Route::get("/templates/{id}", View, show::show),
        Route::get("/templates/{id}/preview", View, show::letter),
        Route::get("/templates/{id}/edit", EditCampaigns, form::edit),
        Route::post("/templates/{id}", EditCampaigns, form::update),
        Route::post("/templates/{id}/copies", EditCampaigns, show::copy),
        Route::post("/templates/{id}/archive", EditCampaigns, show::archive),
        Route::post("/templates/{id}/versions", EditCampaigns, show::return_to),
        Route::post("/templates/{id}/approval", EditCampaigns, show::approve),
        Route::delete("/templates/{id}/archive", EditCampaigns, show::restore),
    ]
}
