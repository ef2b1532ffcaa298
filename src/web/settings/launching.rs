//! How long a campaign that was just started may be taken back. The form stands on [`super::hours`]'s page.

use super::{flash::Flash, form::Form, html::Answer};
use crate::{
    access::{Actor, Permission},
    error::Error,
    settings::Launching,
    state::AppState,
    web::routes::Route,
};
use axum::extract::State;
use serde::Deserialize;

/// What is offered, in seconds.
pub(super) const TIMES: [(u32, &str); 5] =
    [(0, "Sin espera"), (60, "1 minuto"), (120, "2 minutos"), (300, "5 minutos"), (600, "10 minutos")];

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/settings/launching", Permission::EditSettings, save)]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LaunchingForm {
    hold_seconds: String,
}

async fn save(State(state): State<AppState>, actor: Actor, Form(form): Form<LaunchingForm>) -> Answer {
    const PAGE: &str = "/settings/limits#launching";
    let hold_seconds = form.hold_seconds.trim().parse().unwrap_or(u32::MAX);
    match (Launching { hold_seconds }).checked() {
        Ok(value) => {
            super::save(&state, &actor, &value).await?;
            Ok(Flash::good("Guardado. Rige desde la próxima campaña que se inicie.").to(PAGE))
        }
        Err(Error::Invalid(fields)) => {
            let reason = fields.first().map(|it| it.message.as_str()).unwrap_or_default();
            Ok(Flash::bad(format!("No se guardó. {reason}")).to(PAGE))
        }
        Err(error) => Err(error.into()),
    }
}
