//! Deleting a company: who works there stays, and it is asked where.

use crate::{
    access::Actor,
    chile::format,
    contacts::{
        company::{self, Company},
        deletion,
    },
    error::Error,
    ids::CompanyId,
    state::AppState,
    web::{
        filters,
        flash::Flash,
        form::{Errors, Form},
        html::{self, Answer},
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

/// What becomes of the people, as the form sends it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fate {
    /// `move`: they go to `company`; else they stay without one.
    people: String,
    company: String,
}

#[derive(Template)]
#[template(path = "companies/deletion.html")]
struct DeletionPage {
    shell: Shell,
    company: Company,
    employees: i64,
    fate: Fate,
    errors: Errors,
}

impl DeletionPage {
    async fn load(state: &AppState, shell: Shell, id: i64, fate: Fate) -> Result<DeletionPage, Error> {
        let mut db = state.db.acquire().await?;
        let company = company::get(&mut *db, CompanyId(id)).await?;
        let employees = deletion::employees(&mut db, company.id).await?;
        Ok(DeletionPage { shell, company, employees, fate, errors: Errors::default() })
    }
}

pub(super) async fn ask(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    html::page(&DeletionPage::load(&state, shell, id, Fate::default()).await?)
}

pub(super) async fn delete(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(fate): Form<Fate>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let heir = (fate.people == "move").then_some(fate.company.as_str());
    match deletion::remove_company(&mut tx, state.clock.now(), &actor, CompanyId(id), heir).await {
        Ok(done) => {
            tx.commit().await?;
            let people = i64::try_from(done.people).unwrap_or(i64::MAX);
            let text = match (people, done.heir) {
                (0, _) => "La empresa se eliminó.".to_owned(),
                (n, None) => {
                    format!(
                        "La empresa se eliminó. {} sin empresa.",
                        format::count(n, "contacto quedó", "contactos quedaron")
                    )
                }
                (n, Some(name)) => format!(
                    "La empresa se eliminó. {} a «{name}».",
                    format::count(n, "contacto pasó", "contactos pasaron")
                ),
            };
            Ok(Flash::plain(text).to("/companies"))
        }
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            html::invalid(&DeletionPage { errors, ..DeletionPage::load(&state, shell, id, fate).await? })
        }
    }
}
