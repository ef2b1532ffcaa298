//! The page on which the stages of the board are named, ordered, added and removed.

use super::{Form, Shell, filters, html};
use crate::{
    access::Actor,
    contacts::pipeline::stages::{self, Meaning, Stage},
    error::{Error, Result},
    ids::StageId,
    state::AppState,
    web::{
        flash::{self, Flash},
        html::Answer,
    },
};
use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

/// Where the forms stand.
const PAGE: &str = "/pipeline/stages";

#[derive(Template)]
#[template(path = "pipeline/stages.html")]
struct StagesPage {
    shell: Shell,
    stages: Vec<Stage>,
}

pub(super) async fn list(State(state): State<AppState>, shell: Shell) -> Answer {
    html::page(&StagesPage { shell, stages: stages::list(&state.db, None).await? })
}

/// Wrong fields as a sentence: these forms are one line each, with what is wrong said above them.
fn as_refusal(error: Error) -> Error {
    match error {
        Error::Invalid(fields) => {
            let reasons: Vec<_> = fields.iter().map(|it| it.message.as_str()).collect();
            Error::refused(format!("No se guardó. {}", reasons.join(" ")))
        }
        other => other,
    }
}

fn said(result: Result<()>, done: &str) -> Answer {
    flash::done_or_refused(result.map_err(as_refusal), Flash::good(done), PAGE)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StageForm {
    name: String,
    meaning: String,
}

impl StageForm {
    fn meaning(&self) -> Meaning {
        Meaning::from_code(&self.meaning).unwrap_or(Meaning::Open)
    }
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<StageForm>,
) -> Answer {
    let made = async {
        let mut tx = state.db.begin().await?;
        stages::create(&mut tx, state.clock.now(), &actor, &form.name, form.meaning()).await?;
        Ok(tx.commit().await?)
    };
    said(made.await, "La etapa quedó al final del embudo.")
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<StageForm>,
) -> Answer {
    let saved = async {
        let mut tx = state.db.begin().await?;
        stages::update(&mut tx, state.clock.now(), &actor, StageId(id), &form.name, form.meaning()).await?;
        Ok(tx.commit().await?)
    };
    said(saved.await, "La etapa quedó guardada.")
}

pub(super) async fn remove(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let removed = async {
        let mut tx = state.db.begin().await?;
        stages::remove(&mut tx, state.clock.now(), &actor, StageId(id)).await?;
        Ok(tx.commit().await?)
    };
    said(removed.await, "La etapa se quitó.")
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PositionForm {
    towards: String,
}

pub(super) async fn shift(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<PositionForm>,
) -> Answer {
    let moved = async {
        let mut tx = state.db.begin().await?;
        stages::shift(&mut tx, state.clock.now(), &actor, StageId(id), form.towards == "start").await?;
        Ok(tx.commit().await?)
    };
    said(moved.await, "El orden quedó guardado.")
}
