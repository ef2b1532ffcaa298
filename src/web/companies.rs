//! Companies in the panel: their list, their forms, their page with the people who work there.

use super::{
    filters,
    flash::Flash,
    form::{Difference, Errors, Form, differences},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    accounts::staff::{self, StaffUser},
    chile::{comunas, format, phone::Phone, rut::Rut, text::tidy},
    contacts::{
        company::{self, Company, Draft, Outcome, Rival},
        company_list::{self, Filter, Sort},
        contact_list,
    },
    db::keyset::Place,
    error::Error,
    ids::CompanyId,
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Companies of one page.
const PAGE: usize = 50;
/// How far companies are counted: beyond, "más de".
const COUNTED: i64 = 1000;
/// People shown on a company's page.
const PEOPLE: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, View};
    vec![
        Route::get("/companies", View, list),
        Route::post("/companies", EditContacts, create),
        Route::get("/companies/new", EditContacts, new),
        Route::get("/companies/choices", View, choices),
        Route::get("/companies/{id}", View, show),
        Route::post("/companies/{id}", EditContacts, update),
        Route::get("/companies/{id}/edit", EditContacts, edit),
    ]
}

/// The filters, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    comuna: String,
    industry: String,
    sort: String,
    before: String,
    after: String,
}

impl Asked {
    fn filter(&self) -> Filter {
        let text = |it: &String| Some(tidy(it)).filter(|it| !it.is_empty());
        let place = text(&self.comuna);
        Filter {
            q: self.q.clone(),
            comuna: place.filter(|it| comunas::by_code(it).is_some() || comunas::region(it).is_some()),
            industry: text(&self.industry),
            among: None,
        }
    }

    fn sort(&self) -> Sort {
        if self.sort == "newest" { Sort::Newest } else { Sort::Name }
    }

    /// The address with one thing changed, from the first page.
    fn with(&self, change: impl FnOnce(&mut Asked)) -> String {
        let mut it = Asked { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut it);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("q", &it.q),
            ("comuna", &it.comuna),
            ("industry", &it.industry),
            ("sort", &it.sort),
            ("before", &it.before),
            ("after", &it.after),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/companies".to_owned() } else { format!("/companies?{query}") }
    }

    /// What the list is narrowed to, each with the address without it.
    fn narrowed(&self, filter: &Filter) -> Vec<(String, String)> {
        let mut links = Vec::new();
        if !self.q.trim().is_empty() {
            links.push((format!("«{}»", self.q.trim()), self.with(|it| it.q.clear())));
        }
        if let Some(code) = &filter.comuna {
            let label = match comunas::region(code) {
                Some(region) => format!("Región: {}", region.name),
                None => format!("Comuna: {}", comunas::name(code)),
            };
            links.push((label, self.with(|it| it.comuna.clear())));
        }
        if let Some(industry) = &filter.industry {
            links.push((format!("Rubro: {industry}"), self.with(|it| it.industry.clear())));
        }
        links
    }
}

#[derive(Template)]
#[template(path = "companies/list.html")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    narrowed: Vec<(String, String)>,
    industries: Vec<String>,
    rows: Vec<company_list::Row>,
    count: String,
    newer: String,
    older: String,
    is_filtered: bool,
    /// Nothing is called as searched for: these look like it.
    is_alike: bool,
}

async fn list(State(state): State<AppState>, shell: Shell, Query(asked): Query<Asked>) -> Answer {
    let mut db = state.db.acquire().await?;
    let filter = asked.filter();
    let place = Place::of(asked.before.parse().ok(), asked.after.parse().ok());
    let mut page = company_list::page(&mut db, &filter, asked.sort(), place, PAGE).await?;
    let mut count = company_list::count(&mut db, &filter, COUNTED + 1).await?;
    let alike = if count == 0 { company_list::similar(&mut db, &filter).await? } else { None };
    if let Some(alike) = &alike {
        page = company_list::page(&mut db, alike, asked.sort(), Place::First, PAGE).await?;
        count = company_list::count(&mut db, alike, COUNTED + 1).await?;
    }
    let industries = company_list::industries(&mut db).await?;
    let newer = page
        .rows
        .first()
        .filter(|_| page.has_previous)
        .map(|row| asked.with(|it| it.before = row.id.to_string()));
    let older =
        page.rows.last().filter(|_| page.has_next).map(|row| asked.with(|it| it.after = row.id.to_string()));
    html::page(&ListPage {
        shell,
        narrowed: asked.narrowed(&filter),
        industries,
        count: if count > COUNTED {
            format!("Más de {} empresas", format::number(COUNTED))
        } else {
            format::count(count, "empresa", "empresas")
        },
        newer: newer.unwrap_or_default(),
        older: older.unwrap_or_default(),
        rows: page.rows,
        is_filtered: !filter.is_empty(),
        is_alike: alike.is_some(),
        asked,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChoicesQuery {
    company: String,
}

#[derive(Template)]
#[template(path = "companies/choices.html")]
struct Choices {
    choices: Vec<String>,
}

/// What the field of a contact's company offers while one types.
async fn choices(State(state): State<AppState>, Query(query): Query<ChoicesQuery>) -> Answer {
    let mut db = state.db.acquire().await?;
    html::page(&Choices { choices: company_list::choices(&mut db, &query.company, 10).await? })
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct CompanyForm {
    #[serde(flatten)]
    draft: Draft,
    /// The company's `updated_at` when the form was filled.
    seen: String,
}

#[derive(Template)]
#[template(path = "companies/form.html")]
struct FormPage {
    shell: Shell,
    id: Option<CompanyId>,
    name: String,
    form: CompanyForm,
    owners: Vec<StaffUser>,
    industries: Vec<String>,
    errors: Errors,
    /// The company that is in the way.
    taken: Option<Rival>,
    /// What somebody else changed meanwhile.
    differences: Vec<Difference>,
}

impl FormPage {
    async fn load(
        state: &AppState,
        shell: Shell,
        id: Option<CompanyId>,
        form: CompanyForm,
    ) -> Result<FormPage, Error> {
        let mut db = state.db.acquire().await?;
        let mut owners = staff::list(&mut *db).await?;
        owners.retain(|it| it.active || it.id.to_string() == form.draft.owner_id);
        let name = match id {
            Some(id) => company::get(&mut *db, id).await?.name,
            None => String::new(),
        };
        let industries = company_list::industries(&mut db).await?;
        let (errors, differences) = (Errors::default(), Vec::new());
        Ok(FormPage { shell, id, name, form, owners, industries, errors, taken: None, differences })
    }

    /// With what is wrong, and who is in the way.
    async fn wrong(self, state: &AppState, errors: Errors) -> Answer {
        let taken = company::rival(&state.db, self.id, &self.form.draft).await?;
        let taken = taken.filter(|it| errors.of(it.field).is_some());
        html::invalid(&FormPage { errors, taken, ..self })
    }
}

async fn new(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&FormPage::load(&state, shell, None, CompanyForm::default()).await?)
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<CompanyForm>,
) -> Answer {
    let made = async {
        let details = form.draft.check()?;
        let mut tx = state.db.begin().await?;
        let id = company::create(&mut tx, state.clock.now(), &actor, &details).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => Ok(Flash::good("Empresa creada.").to(&format!("/companies/{id}"))),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            FormPage::load(&state, shell, None, form).await?.wrong(&state, errors).await
        }
    }
}

async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let company = company::get(&state.db, CompanyId(id)).await?;
    let form = CompanyForm { draft: company.draft(), seen: company.updated_at.to_rfc3339() };
    html::page(&FormPage::load(&state, shell, Some(company.id), form).await?)
}

async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<CompanyForm>,
) -> Answer {
    let id = CompanyId(id);
    let seen = form.seen.parse::<DateTime<Utc>>().unwrap_or_default();
    let saved = async {
        let details = form.draft.check()?;
        let mut tx = state.db.begin().await?;
        let outcome = company::update(&mut tx, state.clock.now(), &actor, id, seen, &details).await?;
        if outcome == Outcome::Saved {
            tx.commit().await?;
        }
        Ok::<_, Error>(outcome)
    };
    let path = format!("/companies/{id}");
    match saved.await {
        Ok(Outcome::Saved) => Ok(Flash::good("Cambios guardados.").to(&path)),
        Ok(Outcome::Unchanged) => Ok(Flash::plain("No había nada que cambiar.").to(&path)),
        Ok(Outcome::Stale) => {
            let current = company::get(&state.db, id).await?;
            let differences = differences(&current.draft(), &form.draft, LABELS);
            // Saving again is then a choice made with open eyes.
            let form = CompanyForm { seen: current.updated_at.to_rfc3339(), ..form };
            html::invalid(&FormPage { differences, ..FormPage::load(&state, shell, Some(id), form).await? })
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            FormPage::load(&state, shell, Some(id), form).await?.wrong(&state, errors).await
        }
    }
}

/// Fields as the form calls them.
const LABELS: &[(&str, &str)] = &[
    ("name", "Nombre"),
    ("rut", "RUT"),
    ("industry", "Rubro"),
    ("comuna", "Comuna"),
    ("address", "Dirección"),
    ("website", "Sitio web"),
    ("phone", "Teléfono"),
    ("email", "Correo"),
    ("owner_id", "Responsable"),
    ("notes", "Notas"),
];

#[derive(Template)]
#[template(path = "companies/show.html")]
struct ShowPage {
    shell: Shell,
    company: Company,
    people: Vec<contact_list::Row>,
    has_more: bool,
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let mut db = state.db.acquire().await?;
    let company = company::get(&mut *db, CompanyId(id)).await?;
    let there = contact_list::Filter { company: Some(company.id), ..contact_list::Filter::default() };
    let people = contact_list::page(&mut db, &there, Sort::Name, Place::First, PEOPLE).await?;
    html::page(&ShowPage { shell, company, has_more: people.has_next, people: people.rows })
}
