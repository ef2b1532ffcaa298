//! The list of contacts: views, search, filters, pages.

use crate::{
    chile::{comunas, format, phone::Phone, text::tidy},
    contacts::{
        company, company_list,
        contact_list::{self, Filter, Sort},
        vocabulary::{Kind, Lifecycle, Source},
    },
    db::keyset::Place,
    ids::{CompanyId, ImportId},
    state::AppState,
    web::{
        badges::Badge,
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

/// Contacts of one page.
const PAGE: usize = 50;
/// How far contacts are counted: beyond, "más de".
const COUNTED: i64 = 1000;

/// The filters, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    company: String,
    comuna: String,
    industry: String,
    kind: String,
    source: String,
    lifecycle: String,
    contactable: String,
    import: String,
    sort: String,
    before: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> Filter {
        let text = |it: &String| Some(tidy(it)).filter(|it| !it.is_empty());
        Filter {
            q: self.q.clone(),
            company: self.company.parse().ok().map(CompanyId),
            comuna: text(&self.comuna)
                .filter(|it| comunas::by_code(it).is_some() || comunas::region(it).is_some()),
            industry: text(&self.industry),
            kind: Kind::from_code(&self.kind),
            source: Source::from_code(&self.source),
            lifecycle: Lifecycle::from_code(&self.lifecycle),
            contactable: match self.contactable.as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            import: self.import.parse().ok().map(ImportId),
            ..Filter::default()
        }
    }

    /// Whether anything in the panel of filters is chosen, so that it is shown open.
    fn more(&self) -> bool {
        [&self.comuna, &self.industry, &self.source].iter().any(|it| !it.is_empty())
    }

    fn sort(&self) -> Sort {
        if self.sort == "name" { Sort::Name } else { Sort::Newest }
    }

    /// The address of the list with these filters.
    fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &self.q),
            ("company", &self.company),
            ("comuna", &self.comuna),
            ("industry", &self.industry),
            ("kind", &self.kind),
            ("source", &self.source),
            ("lifecycle", &self.lifecycle),
            ("contactable", &self.contactable),
            ("import", &self.import),
            ("sort", &self.sort),
            ("before", &self.before),
            ("after", &self.after),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/contacts".to_owned() } else { format!("/contacts?{query}") }
    }

    /// The address with one thing changed, from the first page.
    fn with(&self, change: impl FnOnce(&mut Asked)) -> String {
        let mut other = Asked { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut other);
        other.address()
    }
}

/// A link that narrows, or takes a narrowing away.
struct Link {
    label: String,
    address: String,
    active: bool,
}

struct Row {
    contact: contact_list::Row,
    phone: String,
    comuna: String,
    lifecycle: Badge,
    reach: Badge,
}

#[derive(Template)]
#[template(path = "contacts/list.html")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    views: Vec<Link>,
    narrowed: Vec<Link>,
    industries: Vec<String>,
    rows: Vec<Row>,
    count: String,
    newer: String,
    older: String,
    is_filtered: bool,
    /// Nobody is called as searched for: these look like it.
    is_alike: bool,
}

pub(super) async fn list(State(state): State<AppState>, shell: Shell, Query(asked): Query<Asked>) -> Answer {
    let mut db = state.db.acquire().await?;
    let filter = asked.filter();
    let place = Place::of(asked.before.parse().ok(), asked.after.parse().ok());
    let (mut page, mut count) =
        contact_list::page_and_count(&mut db, &filter, asked.sort(), place, PAGE, COUNTED + 1).await?;
    let alike = if count == 0 { contact_list::similar(&mut db, &filter).await? } else { None };
    if let Some(alike) = &alike {
        (page, count) =
            contact_list::page_and_count(&mut db, alike, Sort::Given, Place::First, PAGE, COUNTED + 1)
                .await?;
    }
    let industries = company_list::industries(&mut db).await?;
    let company = match filter.company {
        Some(id) => company::get(&mut *db, id).await.map_or_else(|_| "no existe".to_owned(), |it| it.name),
        None => String::new(),
    };
    let edge = |it: Option<&contact_list::Row>| it.map(|it| it.id.to_string()).unwrap_or_default();
    let newer = edge(page.rows.first().filter(|_| page.has_previous));
    let older = edge(page.rows.last().filter(|_| page.has_next));
    html::page(&ListPage {
        shell,
        views: views(&asked),
        narrowed: narrowed(&asked, &filter, &company),
        industries,
        count: if count > COUNTED {
            format!("Más de {} contactos", format::number(COUNTED))
        } else {
            format::count(count, "contacto", "contactos")
        },
        newer: if newer.is_empty() { newer } else { asked.with(|it| it.before = newer) },
        older: if older.is_empty() { older } else { asked.with(|it| it.after = older) },
        rows: page.rows.into_iter().map(row).collect(),
        is_filtered: !filter.is_empty(),
        is_alike: alike.is_some(),
        asked,
    })
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
    let (label, tone, icon) = if row.email.is_none() {
        ("Sin correo", "secondary", "mail-off")
    } else if row.excluded {
        ("Excluido", "red", "ban")
    } else if row.has_basis {
        ("Contactable", "green", "mail-check")
    } else {
        ("Sin consentimiento", "secondary", "mail-x")
    };
    Badge { label, tone, icon }
}

/// The tabs: the ways in which the list is looked at most.
fn views(asked: &Asked) -> Vec<Link> {
    let kept = || Asked { q: asked.q.clone(), sort: asked.sort.clone(), ..Asked::default() };
    let here = asked.with(|_| ());
    [
        ("Todos", kept()),
        ("Contactables por correo", Asked { contactable: "yes".to_owned(), ..kept() }),
        ("No contactables", Asked { contactable: "no".to_owned(), ..kept() }),
        ("De empresas", Asked { kind: Kind::Business.code().to_owned(), ..kept() }),
        ("Personas", Asked { kind: Kind::Person.code().to_owned(), ..kept() }),
        ("Clientes", Asked { lifecycle: Lifecycle::Customer.code().to_owned(), ..kept() }),
    ]
    .into_iter()
    .map(|(label, view)| {
        let address = view.address();
        Link { label: label.to_owned(), active: address == here, address }
    })
    .collect()
}

/// What the list is narrowed to, each with the address without it.
fn narrowed(asked: &Asked, filter: &Filter, company: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut link = |label: String, change: fn(&mut Asked)| {
        links.push(Link { label, address: asked.with(change), active: true });
    };
    if !asked.q.trim().is_empty() {
        link(format!("«{}»", asked.q.trim()), |it| it.q.clear());
    }
    if filter.company.is_some() {
        link(format!("Empresa: {company}"), |it| it.company.clear());
    }
    if let Some(code) = &filter.comuna {
        let name = match comunas::region(code) {
            Some(region) => format!("Región: {}", region.name),
            None => format!("Comuna: {}", comunas::name(code)),
        };
        link(name, |it| it.comuna.clear());
    }
    if let Some(industry) = &filter.industry {
        link(format!("Rubro: {industry}"), |it| it.industry.clear());
    }
    if let Some(kind) = filter.kind {
        link(kind.label().to_owned(), |it| it.kind.clear());
    }
    if let Some(source) = filter.source {
        link(format!("Origen: {}", source.label()), |it| it.source.clear());
    }
    if let Some(lifecycle) = filter.lifecycle {
        link(lifecycle.label().to_owned(), |it| it.lifecycle.clear());
    }
    if let Some(contactable) = filter.contactable {
        let label = if contactable { "Contactables por correo" } else { "No contactables por correo" };
        link(label.to_owned(), |it| it.contactable.clear());
    }
    if let Some(import) = filter.import {
        link(format!("Importación {import}"), |it| it.import.clear());
    }
    links
}
