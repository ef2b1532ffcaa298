//! When promotions may leave, and how often one person may get them.

use super::{
    Shell, ceiling,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    launching,
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::{business_hours::BusinessHours, format},
    error::{Error, FieldError, Result},
    messaging::{
        kinds::MessageType,
        limits::{self, Cap},
        sending::{self, Sending},
    },
    settings::{self, EmailChannel, Launching, Relationship, SmsChannel, WhatsappChannel, Words},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::{Query, State};
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
    /// The channel whose hours are shown.
    channel: Channel,
    /// What each channel's hours are, in words.
    hours: Vec<(Channel, String)>,
    /// Messages can leave by the channel that is shown.
    sends: bool,
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

async fn page(
    state: &AppState,
    shell: Shell,
    (channel, form): (Channel, HoursForm),
    errors: Errors,
) -> Answer {
    let first = &state.config.first_values;
    let mut db = state.db.acquire().await?;
    let all = limits::list(&mut *db).await?;
    let caps = Channel::ALL
        .into_iter()
        .map(|channel| (channel, all.iter().filter(|it| it.channel == channel).cloned().collect::<Vec<_>>()))
        .filter(|(_, caps)| !caps.is_empty())
        .collect();
    let mut hours = Vec::new();
    for it in Channel::ALL {
        let sending = sending::of(&mut *db, first, it).await?;
        hours.push((it, sending.business_hours.describe()));
    }
    let page = LimitsPage {
        shell,
        channel,
        hours,
        sends: state.senders.contains_key(&channel),
        form,
        caps,
        kinds: MessageType::ALL.iter().copied().filter(|it| it.is_promotional()).collect(),
        relationship: settings::load(&mut *db, first).await?,
        launching: settings::load(&mut *db, first).await?,
        words: settings::load(&mut *db, first).await?,
        errors,
    };
    if page.errors.any() { html::invalid(&page) } else { html::page(&page) }
}

/// The channel whose hours are shown; email where none is named.
fn channel_of(code: &str) -> Channel {
    Channel::from_code(code).unwrap_or(Channel::Email)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HoursForm {
    communication_type: String,
    weekdays: Vec<String>,
    opens: String,
    closes: String,
    skip_holidays: Option<String>,
    /// Of channels that do not warm up; how many leave by email is on its own page.
    daily_cap: String,
    per_minute: String,
}

/// What was typed, read.
struct Typed {
    channel: Channel,
    business_hours: BusinessHours,
    daily_cap: Option<u32>,
    per_minute: Option<u32>,
}

impl HoursForm {
    fn of(channel: Channel, sending: &Sending) -> HoursForm {
        let hours = &sending.business_hours;
        let number = |it: Option<u32>| it.map(|it| it.to_string()).unwrap_or_default();
        HoursForm {
            communication_type: channel.code().to_owned(),
            weekdays: DAYS
                .iter()
                .zip(hours.days)
                .filter(|(_, open)| *open)
                .map(|((code, _), _)| (*code).to_owned())
                .collect(),
            opens: hours.opens.format("%H:%M").to_string(),
            closes: hours.closes.format("%H:%M").to_string(),
            skip_holidays: hours.skip_holidays.then(|| "on".to_owned()),
            daily_cap: number(sending.daily_cap),
            per_minute: number(sending.per_minute),
        }
    }

    fn has(&self, day: &str) -> bool {
        self.weekdays.iter().any(|it| it == day)
    }

    /// Every fault at once.
    fn parse(&self) -> Result<Typed> {
        let mut wrong = Vec::new();
        let channel = match self.communication_type.as_str() {
            "" => Some(Channel::Email),
            code => Channel::from_code(code),
        };
        if channel.is_none() {
            wrong.push(FieldError::new("communication_type", "Elige un canal."));
        }
        let mut time = |field: &'static str, text: &str| {
            let text = text.trim();
            let read = NaiveTime::parse_from_str(text, "%H:%M")
                .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"));
            if read.is_err() {
                wrong.push(FieldError::new(field, "Escribe una hora como 09:00."));
            }
            read.ok()
        };
        let times = time("opens", &self.opens).zip(time("closes", &self.closes));
        let days = DAYS.map(|(code, _)| self.has(code));
        let usual = BusinessHours::default();
        let (opens, closes) = times.unwrap_or((usual.opens, usual.closes));
        let business_hours =
            BusinessHours { days, opens, closes, skip_holidays: self.skip_holidays.is_some() };
        if let Err(Error::Invalid(faults)) = business_hours.validate() {
            let here = |it: FieldError| {
                if it.field == "days" { FieldError::new("weekdays", it.message) } else { it }
            };
            wrong.extend(faults.into_iter().map(here));
        }
        let daily_cap = ceiling::read("daily_cap", &self.daily_cap, &mut wrong);
        let per_minute = ceiling::read("per_minute", &self.per_minute, &mut wrong);
        match channel {
            Some(channel) if wrong.is_empty() => Ok(Typed { channel, business_hours, daily_cap, per_minute }),
            _ => Err(Error::Invalid(wrong)),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LimitsQuery {
    channel: String,
}

async fn show(State(state): State<AppState>, shell: Shell, Query(query): Query<LimitsQuery>) -> Answer {
    let channel = channel_of(&query.channel);
    let sending = sending::of(&state.db, &state.config.first_values, channel).await?;
    page(&state, shell, (channel, HoursForm::of(channel, &sending)), Errors::default()).await
}

async fn save_hours(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<HoursForm>,
) -> Answer {
    match form.parse() {
        Ok(typed) => {
            let channel = typed.channel;
            keep(&state, &actor, typed).await?;
            let to = format!("/settings/limits?channel={}#hours", channel.code());
            Ok(Flash::good(format!("El horario de envío por {} quedó guardado.", channel.spoken())).to(&to))
        }
        Err(error) => {
            let channel = channel_of(&form.communication_type);
            page(&state, shell, (channel, form), Errors::from_error(error)?).await
        }
    }
}

async fn keep(state: &AppState, actor: &Actor, typed: Typed) -> Result<()> {
    let Typed { channel, business_hours, daily_cap, per_minute } = typed;
    match channel {
        Channel::Email => {
            let edit = |it| Ok(EmailChannel { business_hours, ..it });
            super::change_channel(state, actor, edit).await
        }
        Channel::Sms => {
            let edit = |it| Ok(SmsChannel { business_hours, daily_cap, per_minute, ..it });
            super::change_channel(state, actor, edit).await
        }
        Channel::Whatsapp => {
            let edit = |_| Ok(WhatsappChannel { business_hours, daily_cap, per_minute });
            super::change_channel(state, actor, edit).await
        }
    }
}
