//! The words that stop what is sent, and that bring it back. The form stands on [`super::hours`]'s page.

use super::{flash::Flash, form::Form, html::Answer};
use crate::{
    access::{Actor, Permission},
    error::Error,
    settings::Words,
    state::AppState,
    web::routes::Route,
};
use axum::extract::State;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/settings/words", Permission::EditSettings, save)]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WordsForm {
    no_more: String,
    back: String,
}

/// One a line, or between commas.
fn list(typed: &str) -> Vec<String> {
    typed.split(['\n', ',']).map(str::to_owned).collect()
}

async fn save(State(state): State<AppState>, actor: Actor, Form(form): Form<WordsForm>) -> Answer {
    const PAGE: &str = "/settings/limits#words";
    match (Words { no_more: list(&form.no_more), back: list(&form.back) }).checked() {
        Ok(value) => {
            super::save(&state, &actor, &value).await?;
            Ok(Flash::good("Guardado. Rige desde la próxima respuesta que llegue.").to(PAGE))
        }
        Err(Error::Invalid(fields)) => {
            let reason = fields.first().map(|it| it.message.as_str()).unwrap_or_default();
            Ok(Flash::bad(format!("No se guardó. {reason}")).to(PAGE))
        }
        Err(error) => Err(error.into()),
    }
}
