//! Whether receivers will believe our email: what the DNS says, and the records to add.

use super::{
    Shell, filters,
    flash::Flash,
    html::{self, Answer},
};
use crate::{
    access::Permission,
    campaigns::domain_review,
    deliverability::{Examined, Level, Question, one_click},
    messaging::compose::Sender,
    settings::{self, Business, EmailChannel},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings/deliverability", Permission::EditSettings, show),
        Route::post("/settings/deliverability/one-click", Permission::EditSettings, press),
    ]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Not empty: wait for the answers.
    report: String,
    /// Not empty: ask anew, whatever is known.
    again: String,
}

#[derive(Template)]
#[template(path = "settings/deliverability.html")]
struct DeliverabilityPage {
    shell: Shell,
    /// The address that messages leave from; empty: none is set.
    sender: String,
    domain: String,
    /// The answers come after the page.
    follows: bool,
    examined: Option<Examined>,
}

impl DeliverabilityPage {
    /// `text` as a sentence: what begins with a domain stays as it is.
    fn sentence(text: &str) -> String {
        let mut letters = text.chars();
        match letters.next() {
            Some(first) if !text.split(' ').next().is_some_and(|it| it.contains('.')) => {
                first.to_uppercase().chain(letters).collect()
            }
            _ => text.to_owned(),
        }
    }

    /// Word, tone and icon.
    fn mark(level: Level) -> (&'static str, &'static str, &'static str) {
        match level {
            Level::Good => ("Bien", "green", "circle-check"),
            Level::Doubtful => ("Por mejorar", "yellow", "alert-triangle"),
            Level::Bad => ("Por corregir", "red", "circle-x"),
            Level::Unasked => ("Sin respuesta", "secondary", "clock"),
        }
    }
}

/// Press the one click of an invented message, as a mail program would. Changes nothing.
async fn press(State(state): State<AppState>) -> Answer {
    let found = one_click::press(&state.config.public_url).await;
    let text = format!("{}: {}.", found.part, found.text);
    let flash = match found.level {
        Level::Good => Flash::good(text),
        Level::Doubtful => Flash::plain(text),
        Level::Bad | Level::Unasked => Flash::bad(text),
    };
    Ok(flash.to("/settings/deliverability"))
}

async fn show(State(state): State<AppState>, shell: Shell, Query(asked): Query<Asked>) -> Answer {
    let first = &state.config.first_values;
    let business: Business = settings::load(&state.db, first).await?;
    let channel: EmailChannel = settings::load(&state.db, first).await?;
    let from = Sender::of_email(&state.config, &business, &channel);
    let domain = from.domain().to_owned();
    let sender = from.from_email;
    let now = state.clock.now();
    let question = Question::of(&state.config, &domain);
    let kept = state.doctor.kept(now, &question).filter(|_| asked.again.is_empty());
    let waits = !asked.report.is_empty() || !asked.again.is_empty();
    let examined = match kept {
        None if waits && sender.contains('@') => {
            let examined = state.doctor.examine(now, question).await;
            if let Some(examined) = &examined {
                domain_review::keep(&state.db, examined).await?;
            }
            examined
        }
        kept => kept,
    };
    let follows = examined.is_none() && !waits;
    html::page(&DeliverabilityPage { shell, sender, domain, follows, examined })
}
