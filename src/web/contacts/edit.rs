//! The forms of a contact: what was typed is kept, what is wrong is said at its
//! field, and nobody overwrites what they have not seen.

use crate::{
    access::Actor,
    accounts::staff::{self, StaffUser},
    contacts::{
        address::EmailAddress,
        company::{self, Outcome},
        company_list,
        contact::{self, Draft},
    },
    error::Error,
    ids::{CompanyId, ContactId},
    state::AppState,
    web::{
        flash::Flash,
        form::{Difference, Errors, Form, differences},
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

#[derive(Template)]
#[template(path = "contacts/form.html")]
struct FormPage {
    shell: Shell,
    id: Option<ContactId>,
    name: String,
    form: ContactForm,
    owners: Vec<StaffUser>,
    errors: Errors,
    /// Who has the email address that was typed.
    taken: Option<(ContactId, String)>,
    /// What somebody else changed meanwhile.
    differences: Vec<Difference>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ContactForm {
    #[serde(flatten)]
    draft: Draft,
    /// The contact's `updated_at` when the form was filled.
    seen: String,
}

impl FormPage {
    async fn new(state: &AppState, shell: Shell, form: ContactForm) -> Result<FormPage, Error> {
        let mut owners = staff::list(&state.db).await?;
        owners.retain(|it| it.active || it.id.to_string() == form.draft.owner_id);
        Ok(FormPage {
            shell,
            id: None,
            name: String::new(),
            form,
            owners,
            errors: Errors::default(),
            taken: None,
            differences: Vec::new(),
        })
    }

    async fn of(state: &AppState, shell: Shell, id: ContactId, form: ContactForm) -> Result<FormPage, Error> {
        let name = contact::get(&state.db, id).await?.full_name();
        Ok(FormPage { id: Some(id), name, ..FormPage::new(state, shell, form).await? })
    }

    /// With what is wrong, and who is in the way.
    async fn wrong(self, state: &AppState, errors: Errors) -> Answer {
        let taken = match (errors.of("email"), self.form.draft.email.parse::<EmailAddress>()) {
            (Some(_), Ok(email)) => contact::by_email(&state.db, email.as_str()).await?,
            _ => None,
        };
        html::invalid(&FormPage { errors, taken, ..self })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct NewQuery {
    company: String,
}

pub(super) async fn new(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<NewQuery>,
) -> Answer {
    let mut form = ContactForm::default();
    if let Ok(id) = query.company.parse() {
        let company = company::get(&state.db, CompanyId(id)).await?;
        form.draft.company = company_list::choice(&company.name, company.rut.as_deref());
    }
    html::page(&FormPage::new(&state, shell, form).await?)
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<ContactForm>,
) -> Answer {
    let now = state.clock.now();
    let made = async {
        let details = form.draft.check(now)?;
        let mut tx = state.db.begin().await?;
        let id = contact::create(&mut tx, now, &actor, &details).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => Ok(Flash::good("Contacto creado. Falta anotar si aceptó recibir promociones.")
            .to(&format!("/contacts/{id}"))),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            FormPage::new(&state, shell, form).await?.wrong(&state, errors).await
        }
    }
}

pub(super) async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let contact = contact::get(&state.db, ContactId(id)).await?;
    let form = ContactForm { draft: contact.draft(), seen: contact.updated_at.to_rfc3339() };
    html::page(&FormPage::of(&state, shell, contact.id, form).await?)
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<ContactForm>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let seen = form.seen.parse::<DateTime<Utc>>().unwrap_or_default();
    let saved = async {
        let details = form.draft.check(now)?;
        let mut tx = state.db.begin().await?;
        let outcome = contact::update(&mut tx, now, &actor, id, seen, &details).await?;
        if outcome == Outcome::Saved {
            tx.commit().await?;
        }
        Ok::<_, Error>(outcome)
    };
    let path = format!("/contacts/{id}");
    match saved.await {
        Ok(Outcome::Saved) => Ok(Flash::good("Cambios guardados.").to(&path)),
        Ok(Outcome::Unchanged) => Ok(Flash::plain("No había nada que cambiar.").to(&path)),
        Ok(Outcome::Stale) => {
            let current = contact::get(&state.db, id).await?;
            // Saving again is then a choice made with open eyes.
            let form = ContactForm { seen: current.updated_at.to_rfc3339(), ..form };
            let page = FormPage::of(&state, shell, id, form).await?;
            let differences = differences(&current.draft(), &page.form.draft, LABELS, &page.owners);
            html::invalid(&FormPage { differences, ..page })
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            FormPage::of(&state, shell, id, form).await?.wrong(&state, errors).await
        }
    }
}

/// Fields as the form calls them.
const LABELS: &[(&str, &str)] = &[
    ("first_name", "Nombre"),
    ("last_name", "Apellidos"),
    ("email", "Correo"),
    ("phone", "Teléfono"),
    ("company", "Empresa"),
    ("job_title", "Cargo"),
    ("birth_date", "Fecha de nacimiento"),
    ("comuna", "Comuna"),
    ("source", "Origen"),
    ("lifecycle", "Etapa"),
    ("owner_id", "Responsable"),
    ("notes", "Notas"),
];
