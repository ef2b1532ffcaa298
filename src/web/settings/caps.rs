//! Frequency caps: the forms that add, change and remove one. The page is [`super::hours`]'s.

use super::{flash::Flash, form::Form, html::Answer};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    error::{Error, Result},
    messaging::{kinds::MessageType, limits},
    state::AppState,
    web::{numbers, routes::Route},
};
use axum::extract::{Path, State};
use serde::Deserialize;

/// Where the forms stand.
const PAGE: &str = "/settings/limits";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/settings/caps", Permission::EditSettings, add),
        Route::post("/settings/caps/{id}", Permission::EditSettings, change),
        Route::delete("/settings/caps/{id}", Permission::EditSettings, remove),
    ]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CapForm {
    communication_type: String,
    message_type: String,
    max_messages: String,
    days: String,
}

impl CapForm {
    fn numbers(&self) -> Result<(u32, u32)> {
        let number = |field: &'static str, text: &str| {
            numbers::whole(text).map_err(|_| Error::invalid(field, "Escribe números enteros, como 1 y 7."))
        };
        Ok((number("max_messages", &self.max_messages)?, number("days", &self.days)?))
    }
}

/// What was done, or why not, said on the page.
fn say(result: Result<()>, done: &str) -> Answer {
    match result {
        Ok(()) => Ok(Flash::good(done).to(PAGE)),
        Err(Error::Invalid(fields)) => {
            let reasons: Vec<_> = fields.iter().map(|it| it.message.as_str()).collect();
            Ok(Flash::bad(format!("No se guardó. {}", reasons.join(" "))).to(PAGE))
        }
        Err(error) => Err(error.into()),
    }
}

async fn add(State(state): State<AppState>, actor: Actor, Form(form): Form<CapForm>) -> Answer {
    let added = async {
        let (most, days) = form.numbers()?;
        let channel = Channel::from_code(&form.communication_type)
            .ok_or_else(|| Error::invalid("communication_type", "Elige un canal."))?;
        let kind = match form.message_type.as_str() {
            "" => None,
            code => Some(
                MessageType::from_code(code)
                    .filter(|it| it.is_promotional())
                    .ok_or_else(|| Error::invalid("message_type", "Elige un tipo de mensaje."))?,
            ),
        };
        let mut tx = state.db.begin().await?;
        limits::create(&mut tx, state.clock.now(), &actor, channel, kind, most, days).await?;
        Ok(tx.commit().await?)
    };
    say(added.await, "El tope quedó agregado.")
}

async fn change(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<CapForm>,
) -> Answer {
    let changed = async {
        let (most, days) = form.numbers()?;
        let mut tx = state.db.begin().await?;
        limits::update(&mut tx, state.clock.now(), &actor, id, most, days).await?;
        Ok(tx.commit().await?)
    };
    say(changed.await, "El tope quedó guardado.")
}

async fn remove(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let removed = async {
        let mut tx = state.db.begin().await?;
        limits::delete(&mut tx, state.clock.now(), &actor, id).await?;
        Ok(tx.commit().await?)
    };
    say(removed.await, "El tope quedó eliminado.")
}
