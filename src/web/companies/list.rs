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
        views::{self, View},
    },
    db::keyset::Place,
    error::Result,
    state::AppState,
    web::{
        self,
        connection::Db,
        exports::{self, ExportForm},
        filters,
        form::Form,
        html::{self, Answer},
        paging,
        shell::Shell,
        views::{Tab, Viewed as _},
    },
};
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect},
};
use axum_extra::extract::Query;
use serde::Deserialize;

/// Companies of one page.
const PAGE: usize = 50;
/// How far companies are counted: beyond, "más de".
const COUNTED: i64 = 1000;

#[derive(Template)]
#[template(path = "companies/list.html")]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the page")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    columns: Vec<CompanyColumn>,
    views: Vec<Tab>,
    /// The saved view that is looked at, if the person may change it.
    own_view: Option<View<company_list::Filter>>,
    /// The saved view shows something else by now.
    is_changed: bool,
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

pub(super) async fn list(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Db(mut db): Db,
    Query(asked): Query<Asked>,
) -> Answer {
    let saved = views::of(&mut *db, &actor).await?;
    let view = asked.view.parse().ok().and_then(|id: i64| saved.iter().find(|it| it.id == id));
    if let Some(view) = view.filter(|_| asked.pairs().len() == 1 && asked.column.is_empty()) {
        let whole = web::views::address::<Asked>(view);
        if whole != asked.address() {
            return Ok(Redirect::to(&whole).into_response());
        }
    }
    let filter = asked.filter();
    // On request: beyond the first thousand it takes its time.
    let most = if asked.count == "all" { i64::MAX } else { COUNTED + 1 };
    let place = paging::place(&state.config, &asked.before, &asked.after)?;
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
    let edge = |it: Option<&company_list::Row>| -> Result<String> {
        it.map(|it| paging::written(&state.config, &it.edge(asked.sort())))
            .transpose()
            .map(Option::unwrap_or_default)
    };
    let newer = edge(page.rows.first().filter(|_| page.has_previous))?;
    let older = edge(page.rows.last().filter(|_| page.has_next))?;
    html::page(&ListPage {
        shell,
        columns: asked.columns(),
        views: tabs(&asked, &saved),
        own_view: view.filter(|it| it.may_change(&actor)).cloned(),
        is_changed: view.is_some_and(|it| it.shows != asked.shows()),
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

/// The tabs: the ways in which the list is looked at most, then the saved views.
fn tabs(asked: &Asked, saved: &[View<company_list::Filter>]) -> Vec<Tab> {
    let kept = |peopled: &str| Asked {
        q: asked.q.clone(),
        peopled: peopled.to_owned(),
        sort: asked.sort.clone(),
        columns: asked.columns.clone(),
        column: asked.column.clone(),
        ..Asked::default()
    };
    let usual = [("Todas", ""), ("Con contactos", "yes"), ("Sin contactos", "no")];
    let usual = usual.map(|(label, peopled)| (label, kept(peopled).address()));
    web::views::tabs::<Asked>(usual, &asked.with(|_| ()), saved, asked.view.parse().ok())
}

pub(super) async fn export(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ExportForm>,
) -> Answer {
    let (asked, kind, now) = (Asked::parse(&form.list)?, form.kind()?, state.clock.now());
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
