//! The list of companies: search, filters, columns, pages, and its file.

use super::asked::Asked;
use crate::{
    access::Actor,
    accounts::staff::{self, StaffUser},
    chile::{comunas, format, phone::Phone, rut::Rut},
    contacts::{
        columns::{Choice as _, CompanyColumn},
        company_list::{self, Sort},
        export,
    },
    db::keyset::Place,
    state::AppState,
    web::{
        exports::{self, ExportForm},
        filters,
        form::Form,
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::State;
use axum_extra::extract::Query;
use serde::Deserialize;

/// Companies of one page.
const PAGE: usize = 50;
/// How far companies are counted: beyond, "más de".
const COUNTED: i64 = 1000;

#[derive(Template)]
#[template(path = "companies/list.html")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    columns: Vec<CompanyColumn>,
    narrowed: Vec<(String, String)>,
    industries: Vec<String>,
    owners: Vec<StaffUser>,
    rows: Vec<company_list::Row>,
    count: String,
    /// Where all of them are counted; empty: they are.
    exactly: String,
    /// What was searched for holds nothing to look for.
    is_vain: bool,
    newer: String,
    older: String,
    is_filtered: bool,
    /// Nothing is called as searched for: these look like it.
    is_alike: bool,
}

pub(super) async fn list(State(state): State<AppState>, shell: Shell, Query(asked): Query<Asked>) -> Answer {
    let mut db = state.db.acquire().await?;
    let filter = asked.filter();
    // On request: beyond the first thousand it takes its time.
    let most = if asked.count == "all" { i64::MAX } else { COUNTED + 1 };
    let place = Place::of(asked.before.parse().ok(), asked.after.parse().ok());
    let mut page = company_list::page(&mut db, &filter, asked.sort(), place, PAGE).await?;
    let mut count = company_list::count(&mut db, &filter, most).await?;
    let alike = if count == 0 { company_list::similar(&mut db, &filter).await? } else { None };
    if let Some(alike) = &alike {
        page = company_list::page(&mut db, alike, Sort::Given, Place::First, PAGE).await?;
        count = company_list::count(&mut db, alike, most).await?;
    }
    let industries = company_list::industries(&mut db).await?;
    let mut owners = staff::list(&mut *db).await?;
    owners.retain(|it| it.active || it.id.to_string() == asked.owner);
    let edge = |it: Option<&company_list::Row>| it.map(|it| it.id.to_string()).unwrap_or_default();
    let newer = edge(page.rows.first().filter(|_| page.has_previous));
    let older = edge(page.rows.last().filter(|_| page.has_next));
    html::page(&ListPage {
        shell,
        columns: asked.columns(),
        narrowed: asked.narrowed(&filter, &owners),
        industries,
        owners,
        exactly: if count > COUNTED && most == COUNTED + 1 { asked.counted() } else { String::new() },
        is_vain: filter.is_vain(),
        count: if count > COUNTED && most == COUNTED + 1 {
            format!("Más de {} empresas", format::number(COUNTED))
        } else {
            format::count(count, "empresa", "empresas")
        },
        newer: if newer.is_empty() { newer } else { asked.with(|it| it.before = newer) },
        older: if older.is_empty() { older } else { asked.with(|it| it.after = older) },
        rows: page.rows,
        is_filtered: !filter.is_empty(),
        is_alike: alike.is_some(),
        asked,
    })
}

pub(super) async fn export(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ExportForm>,
) -> Answer {
    let (asked, kind, now) = (Asked::parse(&form.list), form.kind()?, state.clock.now());
    let what = (&asked.filter(), asked.sort());
    let export = export::begin_companies(&state.db, now, &actor, what, &asked.columns(), kind).await?;
    exports::download(export, kind, now).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChoicesQuery {
    company: String,
}

#[derive(Template)]
#[template(path = "companies/choices.html")]
struct Choices {
    choices: Vec<String>,
}

/// What the field of a contact's company offers while one types.
pub(super) async fn choices(State(state): State<AppState>, Query(query): Query<ChoicesQuery>) -> Answer {
    let mut db = state.db.acquire().await?;
    html::page(&Choices { choices: company_list::choices(&mut db, &query.company, 10).await? })
}
