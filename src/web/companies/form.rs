//! The forms of a company: what was typed is kept, what is wrong is said at its
//! field, and nobody overwrites what they have not seen.

use crate::{
    access::Actor,
    accounts::staff::{self, StaffUser},
    chile::text::fold,
    contacts::{
        company::{self, Draft, Outcome, Rival},
        company_list,
    },
    error::Error,
    ids::CompanyId,
    state::AppState,
    web::{
        flash::Flash,
        form::{Difference, Errors, Form, differences},
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CompanyForm {
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

pub(super) async fn new(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&FormPage::load(&state, shell, None, CompanyForm::default()).await?)
}

/// `done`, and that another company is called `name` too where one is: their RUT tells them apart.
async fn done(state: &AppState, done: &str, id: CompanyId, name: &str) -> Result<Flash, Error> {
    Ok(match company::namesake(&state.db, Some(id), name).await? {
        Some(other) => Flash::plain(format!(
            "{done} Ojo: hay otra empresa con el mismo nombre. Las distingue el RUT; si es la misma, corrige una de las dos."
        ))
        .link("Ver la otra", format!("/companies/{other}")),
        None => Flash::good(done),
    })
}

pub(super) async fn create(
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
        Ok(id) => {
            let said = done(&state, "Empresa creada.", id, &form.draft.name).await?;
            Ok(said.to(&format!("/companies/{id}")))
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            FormPage::load(&state, shell, None, form).await?.wrong(&state, errors).await
        }
    }
}

pub(super) async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let company = company::get(&state.db, CompanyId(id)).await?;
    let form = CompanyForm { draft: company.draft(), seen: company.updated_at.to_rfc3339() };
    html::page(&FormPage::load(&state, shell, Some(company.id), form).await?)
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<CompanyForm>,
) -> Answer {
    let id = CompanyId(id);
    let seen = form.seen.parse::<DateTime<Utc>>().unwrap_or_default();
    let named = company::get(&state.db, id).await?.name;
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
        Ok(Outcome::Saved) => {
            let is_renamed = fold(&named) != fold(&form.draft.name);
            let said = if is_renamed {
                done(&state, "Cambios guardados.", id, &form.draft.name).await?
            } else {
                Flash::good("Cambios guardados.")
            };
            Ok(said.to(&path))
        }
        Ok(Outcome::Unchanged) => Ok(Flash::plain("No había nada que cambiar.").to(&path)),
        Ok(Outcome::Stale) => {
            let current = company::get(&state.db, id).await?;
            // Saving again is then a choice made with open eyes.
            let form = CompanyForm { seen: current.updated_at.to_rfc3339(), ..form };
            let page = FormPage::load(&state, shell, Some(id), form).await?;
            let differences = differences(&current.draft(), &page.form.draft, LABELS, &page.owners);
            html::invalid(&FormPage { differences, ..page })
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
