//! After how many days without activity a contact is inactive. The form stands on [`super::hours`]'s page.

use super::{flash::Flash, form::Form, html::Answer};
use crate::{
    access::{Actor, Permission},
    error::Error,
    settings::Relationship,
    state::AppState,
    web::routes::Route,
};
use axum::extract::State;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/settings/relationship", Permission::EditSettings, save)]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RelationshipForm {
    inactive_after_days: String,
}

async fn save(State(state): State<AppState>, actor: Actor, Form(form): Form<RelationshipForm>) -> Answer {
    const PAGE: &str = "/settings/limits#relationship";
    let days = form.inactive_after_days.trim().parse().unwrap_or_default();
    match (Relationship { inactive_after_days: days }).checked() {
        Ok(value) => {
            super::save(&state, &actor, &value).await?;
            Ok(Flash::good(format!("Guardado. Rige desde la próxima revisión diaria: {days} días.")).to(PAGE))
        }
        Err(Error::Invalid(fields)) => {
            let reason = fields.first().map(|it| it.message.as_str()).unwrap_or_default();
            Ok(Flash::bad(format!("No se guardó. {reason}")).to(PAGE))
        }
        Err(error) => Err(error.into()),
    }
}
