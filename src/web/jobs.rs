//! The scheduled jobs: when each ran, what came of it, when it runs next, and running it now.

use super::{
    badges::{self, Badge},
    drip_runs::{self, Shown},
    flash::Flash,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    chile::format,
    error::{Error, Result},
    scheduler::{
        self,
        jobs::{self, JOBS},
        runs,
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/jobs", Permission::View, list),
        Route::get("/jobs/{name}", Permission::View, show),
        Route::post("/jobs/{name}/run", Permission::RunJobs, run).within(Duration::from_mins(10)),
    ]
}

struct Row {
    name: &'static str,
    label: &'static str,
    about: &'static str,
    rhythm: String,
    next: String,
    last: Option<RunRow>,
}

struct RunRow {
    badge: Badge,
    started: String,
    took: String,
    outcome: String,
    /// Who asked, where it was not its hour.
    asked_by: String,
}

fn run_row(it: runs::Record) -> RunRow {
    let took = it.finished_at.map(|end| {
        let millis = (end - it.started_at).num_milliseconds();
        if millis < 1000 { "menos de 1 s".to_owned() } else { format!("{} s", millis / 1000) }
    });
    RunRow {
        badge: badges::job(&it.status),
        started: format::datetime(it.started_at),
        took: took.unwrap_or_default(),
        outcome: it.outcome.unwrap_or_default(),
        asked_by: match (it.by_hand, it.asked_by) {
            (false, _) => String::new(),
            (true, None) => "a pedido".to_owned(),
            (true, Some(name)) => format!("a pedido de {name}"),
        },
    }
}

#[derive(Template)]
#[template(path = "jobs/list.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<Row>,
    scheduler_is_on: bool,
}

async fn list(State(state): State<AppState>, shell: Shell) -> Answer {
    let now = state.clock.now();
    let mut rows = Vec::new();
    for job in JOBS {
        let last = latest(&state, job).await?;
        rows.push(Row {
            name: job.name,
            label: job.label,
            about: job.about,
            rhythm: job.when.label(),
            next: if state.config.scheduler {
                format::datetime(job.when.next(now))
            } else {
                "Desactivado en este servidor".to_owned()
            },
            last,
        });
    }
    html::page(&ListPage { shell, rows, scheduler_is_on: state.config.scheduler })
}

/// The latest run of `job`. The drip also runs when a cron or a shell asks for it, outside the table of jobs.
async fn latest(state: &AppState, job: &scheduler::jobs::Job) -> Result<Option<RunRow>> {
    let own = runs::latest(&state.db, job.name, 1).await?.pop();
    if job.name == jobs::DRIP {
        let newest = drip_runs::newest_from_outside(state).await?;
        if let Some(it) = newest.filter(|it| own.as_ref().is_none_or(|own| own.started_at < it.started_at)) {
            let asked = drip_runs::shown(it);
            return Ok(Some(RunRow {
                badge: asked.badge,
                started: asked.started,
                took: String::new(),
                outcome: if asked.error.is_empty() { format!("{}.", asked.outcome) } else { asked.error },
                asked_by: asked.asked_by,
            }));
        }
    }
    Ok(own.map(run_row))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    before: String,
}

#[derive(Template)]
#[template(path = "jobs/show.html")]
struct ShowPage {
    shell: Shell,
    label: &'static str,
    about: &'static str,
    rhythm: String,
    runs: Vec<RunRow>,
    /// Runs of the drip, whoever asked; none for other jobs.
    drips: Option<Vec<Shown>>,
    newer: String,
    older: String,
}

async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let job = scheduler::jobs::find(&name).ok_or(Error::NotFound)?;
    let runs = runs::latest(&state.db, job.name, 100).await?.into_iter().map(run_row).collect();
    let mut page = ShowPage {
        shell,
        label: job.label,
        about: job.about,
        rhythm: job.when.label(),
        runs,
        drips: None,
        newer: String::new(),
        older: String::new(),
    };
    if job.name == jobs::DRIP {
        let before = asked.before.parse().ok();
        let (drips, rest) = drip_runs::page(&state, before).await?;
        page.drips = Some(drips);
        page.newer = before.map_or(String::new(), |_: i64| "/jobs/drip".to_owned());
        page.older = rest.map_or(String::new(), |it| format!("/jobs/drip?before={it}"));
    }
    html::page(&page)
}

async fn run(State(state): State<AppState>, actor: Actor, Path(name): Path<String>) -> Answer {
    let job = scheduler::jobs::find(&name).ok_or(Error::NotFound)?;
    // A task of its own: a reader who closes the page must not cut a message off.
    let inner = state.clone();
    let done = tokio::spawn(async move { scheduler::run_now(&inner, &actor, job, &inner.stop).await });
    done.await.map_err(|it| Error::Internal(format!("job task: {it}")))??;
    Ok(flash(&state, job).await?.to("/jobs"))
}

async fn flash(state: &AppState, job: &scheduler::jobs::Job) -> Result<Flash> {
    let last = runs::latest(&state.db, job.name, 1).await?.pop();
    let outcome = last.as_ref().and_then(|it| it.outcome.clone()).unwrap_or_default();
    Ok(match last.map(|it| it.status).as_deref() {
        Some("DONE") => Flash::good(format!("{}: {outcome}", job.label)),
        _ => Flash::bad(format!("{} no terminó bien: {outcome}", job.label)),
    })
}
