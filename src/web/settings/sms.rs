//! What text messages cost. Nothing is sent by SMS yet, and the page says so.

use super::{
    Shell,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::{Actor, Permission},
    chile::{format, pesos},
    settings::{self, SmsChannel},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::State;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings/sms", Permission::EditSettings, show),
        Route::post("/settings/sms", Permission::EditSettings, save),
    ]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SmsForm {
    part_price: String,
}

impl SmsForm {
    /// A price that cannot be read is one that may not be.
    fn read(&self) -> Option<u32> {
        let typed = self.part_price.trim();
        let price = pesos::hundredths(typed).and_then(|it| u32::try_from(it).ok()).unwrap_or(u32::MAX);
        (!typed.is_empty()).then_some(price)
    }
}

#[derive(Template)]
#[template(path = "settings/sms.html")]
struct SmsPage {
    shell: Shell,
    form: SmsForm,
    errors: Errors,
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let now: SmsChannel = settings::load(&state.db, &state.config.first_values).await?;
    let part_price = now.part_price.map(|it| format::exact_money(i64::from(it))).unwrap_or_default();
    html::page(&SmsPage { shell, form: SmsForm { part_price }, errors: Errors::default() })
}

async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<SmsForm>,
) -> Answer {
    let part_price = form.read();
    match super::change(&state, &actor, |it| SmsChannel { part_price, ..it }.checked()).await {
        Ok(()) => Ok(Flash::good("Guardado. Las plantillas de SMS muestran cuánto cuestan con este precio.")
            .to("/settings/sms")),
        Err(error) => html::invalid(&SmsPage { shell, form, errors: Errors::from_error(error)? }),
    }
}
