//! Who sends: the form of the legal sender.

use super::{
    Shell,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::{Actor, Permission},
    chile::rut::Rut,
    settings::{self, Business},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::State;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings", Permission::EditSettings, show),
        Route::post("/settings", Permission::EditSettings, save),
    ]
}

#[derive(Template)]
#[template(path = "settings/business.html")]
struct BusinessPage {
    shell: Shell,
    form: Business,
    errors: Errors,
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let mut form: Business = settings::load(&state.db, &state.config.first_values).await?;
    form.rut = Rut::show(&form.rut);
    html::page(&BusinessPage { shell, form, errors: Errors::default() })
}

async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<Business>,
) -> Answer {
    match form.clone().checked() {
        Ok(clean) => {
            super::save(&state, &actor, &clean).await?;
            Ok(Flash::good("Los datos de tu negocio quedaron guardados.").to("/settings"))
        }
        Err(error) => html::invalid(&BusinessPage { shell, form, errors: Errors::from_error(error)? }),
    }
}
