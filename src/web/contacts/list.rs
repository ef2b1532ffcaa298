//! The list of contacts: views, search, filters, pages.

use super::{asked::Asked, chips::Names};
use crate::{
    access::Actor,
    chile::{
        comunas,
        format::{self, MONTHS},
        phone::Phone,
    },
    contacts::{
        columns::{Choice as _, Column},
        company,
        contact_list::{self, Listed},
        views::{self, View},
        vocabulary::{Kind, Lifecycle, Source},
    },
    error::Result,
    reports::choices::{Choices, choices},
    segments::{list, segment, whom},
    state::AppState,
    web::{
        self,
        badges::Badge,
        connection::Db,
        filters,
        html::{self, Answer},
        paging,
        shell::Shell,
        views::Tab,
    },
};
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect},
};
use axum_extra::extract::Query;
use chrono::{DateTime, Utc};

/// Contacts of one page.
const PAGE: usize = 50;
/// How far contacts are counted: beyond, "más de".
const COUNTED: i64 = 1000;

struct Row {
    contact: contact_list::Row,
    phone: String,
    comuna: String,
    lifecycle: Badge,
    reach: Badge,
}

#[derive(Template)]
#[template(path = "contacts/list.html")]
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the page")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    columns: Vec<Column>,
    views: Vec<Tab>,
    /// The saved view that is looked at, if the person may change it.
    own_view: Option<View<contact_list::Filter>>,
    /// The saved view shows something else by now.
    is_changed: bool,
    narrowed: Vec<(String, String)>,
    /// What the panel of filters offers; none: it is asked for once it is opened, which it seldom is.
    choices: Option<Choices>,
    rows: Vec<Row>,
    count: String,
    /// Where all of them are counted; empty: they are.
    exactly: String,
    /// Deleted segments and lists that it was narrowed to: their words, name and page.
    gone: Vec<(&'static str, String, String)>,
    newer: String,
    older: String,
    is_filtered: bool,
    /// What was searched for holds nothing to look for.
    is_vain: bool,
    /// Nobody is called as searched for: these look like it.
    is_alike: bool,
    now: DateTime<Utc>,
}

pub(super) async fn all(
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
    let mut filter = asked.filter();
    whom::complete(&mut db, state.clock.now(), &mut filter).await?;
    // On request: beyond the first thousand it takes its time.
    let most = if asked.count == "all" { i64::MAX } else { COUNTED + 1 };
    let place = paging::place(&state.config, &asked.before, &asked.after)?;
    let Listed { page, count, is_alike } =
        contact_list::page_and_count(&mut db, &filter, asked.sort(), place, PAGE, most, &asked.columns())
            .await?;
    let choices = if asked.shows_filters() { Some(choices(&mut db).await?) } else { None };
    let company = match filter.company {
        Some(id) => company::get(&mut *db, id).await.map_or_else(|_| "no existe".to_owned(), |it| it.name),
        None => String::new(),
    };
    let mut gone = Vec::new();
    let mut called = |what: &'static str, path: &str, found: Option<(String, bool)>| match found {
        Some((name, true)) => {
            gone.push((what, name.clone(), path.to_owned()));
            format!("{name} (se eliminó)")
        }
        Some((name, false)) => name,
        None => "no existe".to_owned(),
    };
    let segment = match filter.segment {
        Some(id) => {
            let found = segment::get(&mut *db, id).await.ok().map(|it| (it.name, it.is_deleted));
            called("El segmento", &format!("/segments/{id}"), found)
        }
        None => String::new(),
    };
    let on_list = match filter.list {
        Some(id) => {
            let found = list::heading(&mut *db, id).await.ok();
            called("La lista", &format!("/lists/{id}"), found)
        }
        None => String::new(),
    };
    let edge = |it: Option<&contact_list::Row>| -> Result<String> {
        it.map(|it| paging::written(&state.config, &it.edge(asked.sort())))
            .transpose()
            .map(Option::unwrap_or_default)
    };
    let newer = edge(page.rows.first().filter(|_| page.has_previous))?;
    let older = edge(page.rows.last().filter(|_| page.has_next))?;
    let names = Names { company: &company, segment: &segment, list: &on_list, choices: choices.as_ref() };
    html::page(&ListPage {
        shell,
        columns: asked.columns(),
        views: tabs(&asked, &saved),
        own_view: view.filter(|it| it.may_change(&actor)).cloned(),
        is_changed: view.is_some_and(|it| it.shows != asked.shows()),
        narrowed: asked.narrowed(&filter, &names),
        choices,
        exactly: if count > COUNTED && most == COUNTED + 1 { asked.counted() } else { String::new() },
        gone,
        count: if count > COUNTED && most == COUNTED + 1 {
            format!("Más de {} contactos", format::number(COUNTED))
        } else {
            format::count(count, "contacto", "contactos")
        },
        newer: if newer.is_empty() { newer } else { asked.with(|it| it.before = newer) },
        older: if older.is_empty() { older } else { asked.with(|it| it.after = older) },
        rows: page.rows.into_iter().map(row).collect(),
        is_filtered: !filter.is_empty() || asked.unread().is_some(),
        is_vain: filter.is_vain(),
        is_alike,
        now: state.clock.now(),
        asked,
    })
}

#[derive(Template)]
#[template(path = "contacts/filters_alone.html")]
struct Panel {
    asked: Asked,
    choices: Choices,
}

/// The panel of filters, as a list that is looked at with these has it.
pub(super) async fn filters(State(state): State<AppState>, Query(asked): Query<Asked>) -> Answer {
    let choices = choices(&mut *state.db.acquire().await?).await?;
    html::page(&Panel { asked, choices })
}

fn row(row: contact_list::Row) -> Row {
    Row {
        phone: row.phone.as_deref().map(Phone::show).unwrap_or_default(),
        comuna: row.comuna.as_deref().map(comunas::name).unwrap_or_default().to_owned(),
        lifecycle: super::lifecycle(row.lifecycle),
        reach: reach(&row),
        contact: row,
    }
}

/// Whether promotions by email may reach them, and if not, why.
fn reach(row: &contact_list::Row) -> Badge {
    let (tone, icon) = if row.email.is_none() {
        ("secondary", "mail-off")
    } else if row.excluded {
        ("red", "ban")
    } else if row.has_basis {
        ("green", "mail-check")
    } else {
        ("secondary", "mail-x")
    };
    Badge { label: row.reach(), tone, icon }
}

/// The tabs: the ways in which the list is looked at most, then the saved views.
fn tabs(asked: &Asked, saved: &[View<contact_list::Filter>]) -> Vec<Tab> {
    let kept = || Asked {
        q: asked.q.clone(),
        sort: asked.sort.clone(),
        columns: asked.columns.clone(),
        column: asked.column.clone(),
        ..Asked::default()
    };
    let usual = [
        ("Todos", kept()),
        ("Contactables por correo", Asked { contactable: "yes".to_owned(), ..kept() }),
        ("De empresas", Asked { kind: Kind::Business.code().to_owned(), ..kept() }),
        ("Personas", Asked { kind: Kind::Person.code().to_owned(), ..kept() }),
        ("Clientes", Asked { lifecycle: Lifecycle::Customer.code().to_owned(), ..kept() }),
    ];
    let usual = usual.map(|(label, view)| (label, view.address()));
    web::views::tabs::<Asked>(usual, &asked.with(|_| ()), saved, asked.view.parse().ok())
}
