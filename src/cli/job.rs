//! `llovizna job`: scheduled jobs from the shell, through the scheduler's own functions.

use super::{Said, said};
use crate::{
    access::Actor,
    chile::format,
    error::{Error, Result},
    scheduler::{
        self,
        jobs::{self, JOBS},
        runs,
    },
    state::AppState,
};
use serde_json::json;
use std::fmt::Write as _;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Muestra los trabajos, su horario y cómo les fue
    List,
    /// Hace un trabajo ahora
    Run {
        /// Nombre del trabajo, como lo muestra «job list»
        #[arg(value_name = "NOMBRE")]
        name: String,
    },
}

pub(super) async fn run(state: &AppState, command: Command, as_json: bool) -> Result<Said> {
    match command {
        Command::List => list(state, as_json).await,
        Command::Run { name } => run_now(state, &name, as_json).await,
    }
}

async fn list(state: &AppState, as_json: bool) -> Result<Said> {
    let now = state.clock.now();
    let (mut text, mut all) = (String::new(), Vec::new());
    for job in JOBS {
        let last = runs::latest(&state.db, job.name, 1).await?.into_iter().next();
        let next = job.when.next(now);
        // Writing to a String never fails.
        let _ = writeln!(text, "{:<12}{}. {}", job.name, job.label, job.when.label());
        let _ = writeln!(text, "{:<12}próxima vez: {}", "", format::datetime(next));
        if let Some(it) = &last {
            let outcome = it.outcome.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "{:<12}última vez: {}, {}. {outcome}",
                "",
                format::datetime(it.started_at),
                status_label(&it.status)
            );
        }
        all.push(json!({
            "name": job.name,
            "label": job.label,
            "next_run_at": next,
            "last_run": last.map(|it| json!({
                "started_at": it.started_at, "finished_at": it.finished_at,
                "status": it.status, "outcome": it.outcome,
            })),
        }));
    }
    Ok(said(as_json, &text, &json!(all)))
}

async fn run_now(state: &AppState, name: &str, as_json: bool) -> Result<Said> {
    let Some(job) = jobs::find(name) else {
        let names: Vec<_> = JOBS.iter().map(|it| it.name).collect();
        return Err(Error::refused(format!(
            "No hay un trabajo «{name}». Los que hay: {}.",
            names.join(", ")
        )));
    };
    scheduler::run_now(state, &Actor::CommandLine, job, &CancellationToken::new()).await?;
    let Some(done) = runs::latest(&state.db, job.name, 1).await?.into_iter().next() else {
        return Err(Error::Internal(format!("job {name} left no record")));
    };
    let outcome = done.outcome.clone().unwrap_or_default();
    let text = format!("{}: {}. {outcome}", job.label, status_label(&done.status));
    let json = json!({ "name": name, "status": done.status, "outcome": done.outcome });
    Ok(Said { is_failure: done.status == "FAILED", ..said(as_json, &text, &json) })
}

fn status_label(status: &str) -> &'static str {
    match status {
        "DONE" => "hecho",
        "FAILED" => "falló",
        "INTERRUPTED" => "interrumpido",
        _ => "en curso",
    }
}
