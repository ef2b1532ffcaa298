//! Companies in the panel: their list, their forms, their page with the people who work there.

mod asked;
mod deletion;
mod form;
mod list;

use super::{
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
    views,
};
use crate::{
    access::Permission,
    chile::{comunas, phone::Phone, rut::Rut},
    contacts::{
        company::{self, Company},
        contact_list::{self, Sort},
    },
    db::keyset::Place,
    ids::CompanyId,
    web::connection::Db,
};
use askama::Template;
use asked::Asked;
use axum::extract::Path;
use std::time::Duration;

/// People shown on a company's page.
const PEOPLE: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{Delete, EditContacts, Export, View};
    vec![
        Route::get("/companies", View, list::list),
        Route::post("/companies", EditContacts, form::create),
        Route::post("/companies/exports", Export, list::export).within(Duration::from_mins(30)),
        Route::post("/companies/views", View, views::create::<Asked>),
        Route::post("/companies/views/{id}", View, views::update::<Asked>),
        Route::delete("/companies/views/{id}", View, views::delete::<Asked>),
        Route::get("/companies/new", EditContacts, form::new),
        Route::get("/companies/choices", View, list::choices),
        Route::get("/companies/{id}", View, show),
        Route::post("/companies/{id}", EditContacts, form::update),
        Route::delete("/companies/{id}", Delete, deletion::delete),
        Route::get("/companies/{id}/deletion", Delete, deletion::ask),
        Route::get("/companies/{id}/edit", EditContacts, form::edit),
    ]
}

#[derive(Template)]
#[template(path = "companies/show.html")]
struct ShowPage {
    shell: Shell,
    company: Company,
    people: Vec<contact_list::Row>,
    has_more: bool,
}

async fn show(shell: Shell, Db(mut db): Db, Path(id): Path<i64>) -> Answer {
    let company = company::get(&mut *db, CompanyId(id)).await?;
    let there = contact_list::Filter { company: Some(company.id), ..contact_list::Filter::default() };
    let people = contact_list::page(&mut db, &there, Sort::Name, Place::First, PEOPLE).await?;
    html::page(&ShowPage { shell, company, has_more: people.has_next, people: people.rows })
}
