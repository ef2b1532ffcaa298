//! The automatic segments: the grid of nine and their thresholds.

use super::{
    Shell, filters,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::{Actor, Permission},
    chile::format,
    error::{Error, FieldError, Result},
    segments::{
        segment::{self, Kind, Segment},
        value::{self, Cell, Frequency, Spend, Thresholds},
        words::Names,
    },
    settings,
    state::AppState,
    web::{connection::Db, numbers},
};
use askama::Template;
use axum::extract::State;
use serde::Deserialize;

struct Special {
    it: Segment,
    sentence: String,
}

#[derive(Template)]
#[template(path = "segments/value.html")]
struct GridPage {
    shell: Shell,
    at: Thresholds,
    cells: Vec<Cell>,
    specials: Vec<Special>,
}

impl GridPage {
    fn row(&self, frequency: &Frequency) -> Vec<&Cell> {
        self.cells.iter().filter(|it| it.frequency == *frequency).collect()
    }

    fn money(pesos: i64) -> String {
        format::money(pesos)
    }

    fn people(&self) -> i64 {
        self.cells.iter().map(|it| it.people).sum()
    }

    fn spent(&self) -> i64 {
        self.cells.iter().map(|it| it.spent).sum()
    }

    /// Part of all people, for reading the grid at a glance: 0 to 4.
    fn weight(&self, cell: &Cell) -> i64 {
        let all = self.spent();
        if all == 0 { 0 } else { (cell.spent * 8 / all).min(4) }
    }
}

pub(super) async fn grid(State(state): State<AppState>, shell: Shell, Db(mut db): Db) -> Answer {
    let at: Thresholds = settings::load(&mut *db, &state.config.first_values).await?;
    let cells = value::grid(&mut db, &at).await?;
    let names = Names::default();
    let today = crate::chile::time::local_date(state.clock.now());
    let specials = segment::list(&mut *db)
        .await?
        .into_iter()
        .filter(|it| it.kind == Kind::Special)
        .map(|it| Special { sentence: names.sentence(&it.rule, today), it })
        .collect();
    html::page(&GridPage { shell, at, cells, specials })
}

/// The thresholds as typed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ThresholdsForm {
    regular_from: String,
    vip_from: String,
    medium_from: String,
    high_above: String,
    inactive_days: String,
}

impl ThresholdsForm {
    fn of(at: &Thresholds) -> ThresholdsForm {
        ThresholdsForm {
            regular_from: format::number(at.regular_from),
            vip_from: format::number(at.vip_from),
            medium_from: format::number(at.medium_from),
            high_above: format::number(at.high_above),
            inactive_days: format::number(at.inactive_days),
        }
    }

    fn read(&self) -> Result<Thresholds> {
        let mut wrong = Vec::new();
        let mut number = |field: &'static str, text: &str| {
            numbers::of_pesos(text).unwrap_or_else(|said| {
                wrong.push(FieldError::new(field, format!("{said}.")));
                0
            })
        };
        let at = Thresholds {
            regular_from: number("regular_from", &self.regular_from),
            vip_from: number("vip_from", &self.vip_from),
            medium_from: number("medium_from", &self.medium_from),
            high_above: number("high_above", &self.high_above),
            inactive_days: number("inactive_days", &self.inactive_days),
        };
        if wrong.is_empty() { Ok(at) } else { Err(Error::Invalid(wrong)) }
    }
}

#[derive(Template)]
#[template(path = "settings/segments.html")]
struct SettingsPage {
    shell: Shell,
    form: ThresholdsForm,
    errors: Errors,
}

pub(super) async fn settings_page(State(state): State<AppState>, shell: Shell) -> Answer {
    let at: Thresholds = settings::load(&state.db, &state.config.first_values).await?;
    html::page(&SettingsPage { shell, form: ThresholdsForm::of(&at), errors: Errors::default() })
}

pub(super) async fn save(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<ThresholdsForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let before: Thresholds = settings::load(&mut *tx, &state.config.first_values).await?;
    let saved = match form.read() {
        Ok(at) => value::set(&mut tx, state.clock.now(), &actor, &before, &at).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(()) => {
            tx.commit().await?;
            Ok(Flash::good("Guardado. Los segmentos de valor ya usan los límites nuevos.")
                .to("/segments/value"))
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&SettingsPage { shell, form, errors })
        }
    }
}
