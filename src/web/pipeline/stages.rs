//! The page on which the stages of the board are named, ordered, added and removed.

use super::{Form, Shell, StageId, filters, html};
use crate::{
    access::Actor,
    contacts::{
        company::Outcome,
        pipeline::stages::{self, Meaning, Stage},
    },
    error::{Error, Result},
    state::AppState,
    web::{
        flash::{self, Flash},
        form::Errors,
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
    /// What was typed and not saved: at a stage, or for a new one.
    typed: Option<(Option<StageId>, StageForm)>,
    errors: Errors,
}

impl StagesPage {
    /// What was typed for the stage `at`, or for the new one.
    fn typed_at(&self, at: Option<&StageId>) -> Option<&StageForm> {
        self.typed.as_ref().filter(|it| it.0.as_ref() == at).map(|it| &it.1)
    }

    fn name_of<'a>(&'a self, it: &'a Stage) -> &'a str {
        self.typed_at(Some(&it.id)).map_or(&it.name, |it| &it.name)
    }

    fn meaning_of(&self, it: &Stage) -> Meaning {
        self.typed_at(Some(&it.id)).map_or(it.meaning, StageForm::meaning)
    }

    fn new_name(&self) -> &str {
        self.typed_at(None).map_or("", |it| &it.name)
    }

    fn new_meaning(&self) -> Meaning {
        self.typed_at(None).map_or(Meaning::Open, StageForm::meaning)
    }

    /// Whether what is wrong is wrong there.
    fn is_wrong(&self, at: Option<&StageId>) -> bool {
        self.errors.any() && self.typed_at(at).is_some()
    }
}

pub(super) async fn list(State(state): State<AppState>, shell: Shell) -> Answer {
    let stages = stages::list(&state.db, None).await?;
    html::page(&StagesPage { shell, stages, typed: None, errors: Errors::default() })
}

/// Say `done`, or show the page again with what was typed `at` a stage and what is wrong with it.
async fn saved(
    state: &AppState,
    shell: Shell,
    at: Option<StageId>,
    form: StageForm,
    result: Result<()>,
    done: &str,
) -> Answer {
    match result {
        Err(Error::Invalid(fields)) => {
            let stages = stages::list(&state.db, None).await?;
            html::invalid(&StagesPage { shell, stages, typed: Some((at, form)), errors: Errors(fields) })
        }
        other => said(other, done),
    }
}

fn said(result: Result<()>, done: &str) -> Answer {
    flash::done_or_refused(result, Flash::good(done), PAGE)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StageForm {
    name: String,
    meaning: String,
    /// What they were where the form was filled from.
    seen_name: String,
    seen_meaning: String,
}

impl StageForm {
    fn meaning(&self) -> Meaning {
        Meaning::from_code(&self.meaning).unwrap_or(Meaning::Open)
    }

    fn seen_meaning(&self) -> Meaning {
        Meaning::from_code(&self.seen_meaning).unwrap_or(Meaning::Open)
    }
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<StageForm>,
) -> Answer {
    let made = async {
        let mut tx = state.db.begin().await?;
        stages::create(&mut tx, state.clock.now(), &actor, &form.name, form.meaning()).await?;
        Ok(tx.commit().await?)
    };
    let made = made.await;
    saved(&state, shell, None, form, made, "La etapa quedó agregada.").await
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<StageForm>,
) -> Answer {
    let changed = async {
        let mut tx = state.db.begin().await?;
        let seen = (form.seen_name.as_str(), form.seen_meaning());
        let typed = (form.name.as_str(), form.meaning());
        let outcome = stages::update(&mut tx, state.clock.now(), &actor, StageId(id), seen, typed).await?;
        if outcome == Outcome::Stale {
            return Err(Error::refused(
                "No se guardó: alguien cambió esta etapa mientras la editabas. Revisa cómo quedó y repite.",
            ));
        }
        Ok(tx.commit().await?)
    };
    let changed = changed.await;
    saved(&state, shell, Some(StageId(id)), form, changed, "La etapa quedó guardada.").await
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
