//! When promotions may leave, and how often one person may get them.

use super::{
    Shell,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    launching,
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::{business_hours::BusinessHours, format},
    error::{Error, Result},
    messaging::{
        kinds::MessageType,
        limits::{self, Cap},
    },
    settings::{self, EmailChannel, Launching, Relationship, Words},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::State;
use chrono::NaiveTime;
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings/limits", Permission::EditSettings, show),
        Route::post("/settings/hours", Permission::EditSettings, save_hours),
    ]
}

/// Names of the days, Monday first, with the field's value of each.
pub(super) const DAYS: [(&str, &str); 7] = [
    ("mon", "Lunes"),
    ("tue", "Martes"),
    ("wed", "Miércoles"),
    ("thu", "Jueves"),
    ("fri", "Viernes"),
    ("sat", "Sábado"),
    ("sun", "Domingo"),
];

#[derive(Template)]
#[template(path = "settings/limits.html")]
struct LimitsPage {
    shell: Shell,
    form: HoursForm,
    errors: Errors,
    /// The caps of each channel that has any.
    caps: Vec<(Channel, Vec<Cap>)>,
    kinds: Vec<MessageType>,
    relationship: Relationship,
    launching: Launching,
    words: Words,
}

impl LimitsPage {
    /// The times that are offered for taking a launch back, and the one that stands.
    fn holds(&self) -> Vec<(u32, String)> {
        let mut all: Vec<(u32, String)> = launching::TIMES.iter().map(|it| (it.0, it.1.to_owned())).collect();
        if !all.iter().any(|it| it.0 == self.launching.hold_seconds) {
            let stands = self.launching.hold_seconds;
            all.push((stands, format::count(stands.into(), "segundo", "segundos")));
        }
        all
    }
}

async fn page(state: &AppState, shell: Shell, form: HoursForm, errors: Errors) -> Answer {
    let all = limits::list(&state.db).await?;
    let caps = Channel::ALL
        .into_iter()
        .map(|channel| (channel, all.iter().filter(|it| it.channel == channel).cloned().collect::<Vec<_>>()))
        .filter(|(_, caps)| !caps.is_empty())
        .collect();
    let kinds = MessageType::ALL.iter().copied().filter(|it| it.is_promotional()).collect();
    let relationship = settings::load(&state.db, &state.config.first_values).await?;
    let launching = settings::load(&state.db, &state.config.first_values).await?;
    let words = settings::load(&state.db, &state.config.first_values).await?;
    let failed = errors.any();
    let page = LimitsPage { shell, form, errors, caps, kinds, relationship, launching, words };
    if failed { html::invalid(&page) } else { html::page(&page) }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HoursForm {
    weekdays: Vec<String>,
    opens: String,
    closes: String,
    skip_holidays: Option<String>,
}

impl HoursForm {
    fn of(hours: &BusinessHours) -> HoursForm {
        HoursForm {
            weekdays: DAYS
                .iter()
                .zip(hours.days)
                .filter(|(_, open)| *open)
                .map(|((code, _), _)| (*code).to_owned())
                .collect(),
            opens: hours.opens.format("%H:%M").to_string(),
            closes: hours.closes.format("%H:%M").to_string(),
            skip_holidays: hours.skip_holidays.then(|| "on".to_owned()),
        }
    }

    fn has(&self, day: &str) -> bool {
        self.weekdays.iter().any(|it| it == day)
    }

    fn parse(&self) -> Result<BusinessHours> {
        let time = |field: &'static str, text: &str| {
            NaiveTime::parse_from_str(text.trim(), "%H:%M")
                .or_else(|_| NaiveTime::parse_from_str(text.trim(), "%H:%M:%S"))
                .map_err(|_| Error::invalid(field, "Escribe una hora como 09:00."))
        };
        let hours = BusinessHours {
            days: DAYS.map(|(code, _)| self.has(code)),
            opens: time("opens", &self.opens)?,
            closes: time("closes", &self.closes)?,
            skip_holidays: self.skip_holidays.is_some(),
        };
        if !hours.days.contains(&true) {
            return Err(Error::invalid(
                "days",
                "Elige al menos un día: sin días no saldría ninguna campaña.",
            ));
        }
        if hours.opens >= hours.closes {
            return Err(Error::invalid("closes", "La hora de término debe ser posterior a la de inicio."));
        }
        Ok(hours)
    }
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let channel: EmailChannel = settings::load(&state.db, &state.config.first_values).await?;
    let form = HoursForm::of(&channel.business_hours);
    page(&state, shell, form, Errors::default()).await
}

async fn save_hours(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<HoursForm>,
) -> Answer {
    match form.parse() {
        Ok(business_hours) => {
            let edit = |channel| Ok(EmailChannel { business_hours, ..channel });
            super::change(&state, &actor, edit).await?;
            Ok(Flash::good("El horario de envío quedó guardado.").to("/settings/limits"))
        }
        Err(error) => page(&state, shell, form, Errors::from_error(error)?).await,
    }
}
