//! One box for everything: pages, things to do, contacts, companies, campaigns.
//! A page of its own, and what the palette of Ctrl-K fetches while one types.

use super::{
    connection::Db,
    guard,
    html::{self, Answer},
    routes::{self, Route},
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::campaign,
    chile::{phone::Phone, rut::Rut, text::fold},
    contacts::{
        company_list,
        contact_list::{self, Filter},
    },
    db::keyset::Place,
    error::Result,
};
use askama::Template;
use axum::{extract::Query, http::HeaderMap};
use serde::Deserialize;
use sqlx::PgConnection;

/// Hits of one group.
const SHOWN: usize = 6;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/search", Permission::View, search)]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
}

/// Somewhere to go.
struct Hit {
    label: String,
    /// What tells it from others of its name.
    detail: String,
    icon: &'static str,
    path: String,
}

/// Hits of one kind.
struct Group {
    label: &'static str,
    hits: Vec<Hit>,
    /// Nothing is called as searched for: these look like it. "Parecidos", after the label.
    alike: &'static str,
    /// The address with all of them; empty: these are all.
    more: String,
}

#[derive(Template)]
#[template(path = "search/show.html", blocks = ["results"])]
struct SearchPage {
    shell: Shell,
    q: String,
    groups: Vec<Group>,
}

/// Things to do, by the words that people use for them.
const ACTIONS: &[(&str, &str, &str, Permission)] = &[
    ("Crear un contacto nuevo", "plus", "/contacts/new", Permission::EditContacts),
    ("Crear una empresa nueva", "plus", "/companies/new", Permission::EditContacts),
    ("Crear una campaña nueva", "plus", "/campaigns/new", Permission::EditCampaigns),
    ("Importar contactos desde una planilla", "file-import", "/imports/new", Permission::RunImports),
    ("Mi cuenta y contraseña", "user", "/profile", Permission::View),
];

/// Other words by which people look for a page.
const CALLED_TOO: &[(&str, &str)] = &[
    ("/settings", "ajustes configuración empresa razón social"),
    ("/settings/email", "ajustes configuración canales canal email remitente"),
    ("/settings/sms", "ajustes configuración canales canal mensajes de texto precio costo"),
    ("/settings/deliverability", "ajustes configuración spf dkim dmarc dns correo no deseado spam"),
    ("/settings/limits", "ajustes configuración topes horarios palabras baja alta"),
    ("/settings/segments", "ajustes configuración"),
    ("/settings/holidays", "ajustes configuración festivos"),
    ("/staff", "ajustes configuración usuarios cuentas"),
    ("/audit", "ajustes configuración historial registro"),
    ("/contacts", "personas clientes"),
    ("/pipeline", "pipeline ventas tablero"),
    ("/suppressions", "bajas no molestar"),
    ("/duplicates", "repetidos unir fichas"),
];

async fn search(headers: HeaderMap, shell: Shell, Db(mut db): Db, Query(asked): Query<Asked>) -> Answer {
    let q = asked.q.trim().to_owned();
    let mut groups = vec![pages(&shell, &q)];
    if !q.is_empty() {
        groups.push(contacts(&mut db, &q).await?);
        groups.push(companies(&mut db, &q).await?);
        groups.push(campaigns(&mut db, &q).await?);
    }
    // What is called so goes before what looks like it.
    groups.sort_by_key(|it| !it.alike.is_empty());
    groups.retain(|it| !it.hits.is_empty());
    let page = SearchPage { shell, q, groups };
    if guard::is_htmx(&headers) { html::page(&page.as_results()) } else { html::page(&page) }
}

/// Whether every word of `q` begins a word of `label`.
fn is_called(label: &str, q: &str) -> bool {
    let (label, words) = (fold(label), fold(q));
    if words.is_empty() {
        return q.is_empty();
    }
    words.split(' ').all(|word| label.split(' ').any(|it| it.starts_with(word)))
}

fn pages(shell: &Shell, q: &str) -> Group {
    let mut hits: Vec<Hit> = shell
        .nav()
        .into_iter()
        .flat_map(|group| group.items.into_iter().map(move |it| (group.label, it)))
        .filter(|(_, it)| {
            let too = CALLED_TOO.iter().find(|(path, _)| *path == it.path).map_or("", |it| it.1);
            is_called(&format!("{} {too}", it.label), q)
        })
        .map(|(group, it)| Hit {
            label: it.label.to_owned(),
            // Only of the settings the group tells more than the name does.
            detail: if group == "Ajustes" { group.to_owned() } else { String::new() },
            icon: it.icon,
            path: it.path.to_owned(),
        })
        .collect();
    let actions = ACTIONS
        .iter()
        .filter(|(label, _, path, needs)| shell.may(*needs) && routes::has_page(path) && is_called(label, q));
    hits.extend(actions.map(|(label, icon, path, _)| Hit {
        label: (*label).to_owned(),
        detail: String::new(),
        icon,
        path: (*path).to_owned(),
    }));
    Group { label: "Ir a", hits, alike: "", more: String::new() }
}

/// The address of a list that searches for `q`.
fn list_of(path: &str, q: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(format!("{path}?"));
    query.append_pair("q", q);
    query.finish()
}

async fn contacts(db: &mut PgConnection, q: &str) -> Result<Group> {
    let filter = Filter { q: q.to_owned(), ..Filter::default() };
    let (found, is_alike) = contact_list::first(db, &filter, SHOWN).await?;
    let more = found.has_next || found.rows.len() == SHOWN;
    let hits = found.rows.into_iter().map(|it| {
        let phone = it.phone.as_deref().map(Phone::show);
        let reach = [it.company, it.email, phone].into_iter().flatten().take(2).collect::<Vec<_>>();
        Hit { label: it.name, detail: reach.join(" · "), icon: "user", path: format!("/contacts/{}", it.id) }
    });
    Ok(Group {
        label: "Contactos",
        hits: hits.collect(),
        alike: if is_alike { "parecidos" } else { "" },
        more: if more { list_of("/contacts", q) } else { String::new() },
    })
}

async fn companies(db: &mut PgConnection, q: &str) -> Result<Group> {
    let filter = company_list::Filter { q: q.to_owned(), ..company_list::Filter::default() };
    let mut found = company_list::page(db, &filter, company_list::Sort::Name, Place::First, SHOWN).await?;
    let alike = if found.rows.is_empty() { company_list::similar(db, &filter).await? } else { None };
    if let Some(alike) = &alike {
        found = company_list::page(db, alike, company_list::Sort::Given, Place::First, SHOWN).await?;
    }
    let hits = found.rows.into_iter().map(|it| Hit {
        label: it.name,
        detail: [it.rut.as_deref().map(Rut::show), it.industry]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · "),
        icon: "building",
        path: format!("/companies/{}", it.id),
    });
    Ok(Group {
        label: "Empresas",
        hits: hits.collect(),
        alike: alike.map_or("", |_| "parecidas"),
        more: if found.has_next { list_of("/companies", q) } else { String::new() },
    })
}

async fn campaigns(db: &mut PgConnection, q: &str) -> Result<Group> {
    let found = campaign::named(db, q, SHOWN).await?;
    let hits = found.into_iter().map(|(id, name, status)| Hit {
        label: name,
        detail: status.label().to_owned(),
        icon: "send",
        path: format!("/campaigns/{id}"),
    });
    Ok(Group { label: "Campañas", hits: hits.collect(), alike: "", more: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_the_beginnings_of_their_words() {
        assert!(is_called("Límites y horarios", "limi"));
        assert!(is_called("Crear una campaña nueva", "nueva cam"));
        assert!(is_called("Equipo", ""));
        assert!(!is_called("Equipo", "%"));
        assert!(!is_called("Campañas", "pañas"));
    }
}
