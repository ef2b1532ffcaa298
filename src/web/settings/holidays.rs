//! Days on which nothing promotional leaves: those of the law, and the business's own corrections.

use super::{
    Shell, filters,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::{Actor, Permission},
    audit::{self, Change},
    chile::{
        format,
        holidays::{Calendar, Correction, by_law},
        time,
    },
    error::{Error, Result},
    messaging::{asked_again, kinds::DeferReason},
    settings::{self, Holiday},
    state::AppState,
    web::routes::Route,
};
use askama::Template;
use axum::extract::{Path, State};
use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/settings/holidays", Permission::EditSettings, show),
        Route::post("/settings/holidays", Permission::EditSettings, add),
        Route::delete("/settings/holidays/{id}", Permission::EditSettings, remove),
    ]
}

/// A line of the calendar.
struct Line {
    day: NaiveDate,
    weekday: &'static str,
    name: String,
    is_past: bool,
    /// The correction that made the line, which can be taken back.
    correction: Option<i64>,
    /// A holiday of the law that is worked.
    is_worked: bool,
}

/// The lines of one year.
struct Year {
    number: i32,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "settings/holidays.html")]
struct HolidaysPage {
    shell: Shell,
    years: Vec<Year>,
    form: HolidayForm,
    errors: Errors,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HolidayForm {
    day: String,
    name: String,
    closed: String,
}

async fn show(State(state): State<AppState>, shell: Shell) -> Answer {
    let form = HolidayForm { closed: "yes".to_owned(), ..HolidayForm::default() };
    page(&state, shell, form, Errors::default()).await
}

async fn page(state: &AppState, shell: Shell, form: HolidayForm, errors: Errors) -> Answer {
    let corrections = settings::holidays(&state.db).await?;
    let today = time::local_date(state.clock.now());
    let years = [today.year(), today.year() + 1].map(|it| year(it, today, &corrections)).into();
    let failed = errors.any();
    let page = HolidaysPage { shell, years, form, errors };
    if failed { html::invalid(&page) } else { html::page(&page) }
}

fn year(number: i32, today: NaiveDate, corrections: &[Holiday]) -> Year {
    let calendar = Calendar::new(corrections.iter().map(|it| Correction {
        day: it.day,
        name: it.name.clone(),
        closed: it.closed,
    }));
    let correction_of = |day: NaiveDate| corrections.iter().find(|it| it.day == day);
    let mut lines: Vec<Line> = calendar
        .of_year(number)
        .into_iter()
        .map(|(day, name)| (day, name.to_owned(), false))
        .chain(
            corrections
                .iter()
                .filter(|it| !it.closed && it.day.year() == number)
                .map(|it| (it.day, worked(it), true)),
        )
        .map(|(day, name, is_worked)| Line {
            day,
            weekday: format::weekday(day),
            name,
            is_past: day < today,
            correction: correction_of(day).map(|it| it.id),
            is_worked,
        })
        .collect();
    lines.sort_by_key(|it| it.day);
    Year { number, lines }
}

/// A holiday on which messages leave all the same: its name, and why where somebody wrote it.
fn worked(it: &Holiday) -> String {
    match by_law(it.day) {
        Some(law) if it.name.trim().is_empty() || it.name == law => law.to_owned(),
        Some(law) => format!("{law}: {}", it.name),
        None => it.name.clone(),
    }
}

/// A day as people type it, or as a date field sends it.
fn parse_day(text: &str) -> Result<NaiveDate> {
    let text = text.trim();
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(text, "%d-%m-%Y"))
        .or_else(|_| NaiveDate::parse_from_str(text, "%d/%m/%Y"))
        .ok()
        .filter(|it| (2000..=2100).contains(&it.year()))
        .ok_or_else(|| Error::invalid("day", "Escribe una fecha como 21-11-2026."))
}

async fn add(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<HolidayForm>,
) -> Answer {
    let added = async {
        let day = parse_day(&form.day)?;
        let closed = form.closed != "no";
        if !closed && by_law(day).is_none() {
            return Err(Error::invalid(
                "day",
                "Ese día no es feriado, así que ya se envía. No hace falta agregarlo.",
            ));
        }
        let name = match (closed, form.name.trim()) {
            (false, "") => "Se trabaja",
            (_, name) => name,
        };
        let mut tx = state.db.begin().await?;
        let now = state.clock.now();
        let id = settings::add_holiday(&mut tx, now, day, name, closed).await?;
        let after = document(day, name, closed);
        note(&mut tx, now, &actor, "holiday.add", id, None, Some(after)).await?;
        ask_again(&mut tx, now, &actor).await?;
        tx.commit().await?;
        Ok(day)
    };
    match added.await {
        Ok(day) => {
            let text = format!("El {} quedó corregido en el calendario.", format::date(day));
            Ok(Flash::good(text).to("/settings/holidays"))
        }
        Err(error) => page(&state, shell, form, Errors::from_error(error)?).await,
    }
}

async fn remove(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    let was = settings::remove_holiday(&mut tx, id).await?;
    let before = document(was.day, &was.name, was.closed);
    note(&mut tx, now, &actor, "holiday.remove", id, Some(before), None).await?;
    ask_again(&mut tx, now, &actor).await?;
    tx.commit().await?;
    let text = format!("Quitamos la corrección del {}.", format::date(was.day));
    Ok(Flash::good(text).to("/settings/holidays"))
}

fn document(day: NaiveDate, name: &str, closed: bool) -> Value {
    json!({ "day": day, "name": name, "closed": closed })
}

/// What waits for the next working day may leave on another now.
async fn ask_again(
    tx: &mut crate::db::Tx<'_>,
    now: chrono::DateTime<chrono::Utc>,
    actor: &Actor,
) -> Result<()> {
    let why = "Cambió el calendario de feriados: se revisa otra vez si puede salir.";
    let reasons = [DeferReason::Holiday, DeferReason::OutsideWindow];
    asked_again::ask_again(tx, now, actor, asked_again::Of::All, &reasons, why).await.map(drop)
}

async fn note(
    tx: &mut crate::db::Tx<'_>,
    now: chrono::DateTime<chrono::Utc>,
    actor: &Actor,
    action: &str,
    id: i64,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    let change = Change { action, subject_kind: "holiday", subject_id: Some(id), before, after };
    audit::record(tx, now, actor, change).await
}
