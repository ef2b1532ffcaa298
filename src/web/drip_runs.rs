//! The runs of the drip, whoever asked for them: the list in the page of its job, and the page of one.

use super::{
    badges::{self, Badge},
    connection::Db,
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    chile::format,
    error::{Error, Result},
    messaging::runs::{self, Counts, Record},
    state::AppState,
};
use askama::Template;
use axum::extract::Path;

/// Runs of one page.
const PAGE: i64 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/jobs/drip/runs/{id}", Permission::View, show)]
}

/// A run, as shown.
pub(super) struct Shown {
    pub number: i64,
    pub badge: Badge,
    pub asked_by: String,
    pub channel: &'static str,
    pub started: String,
    /// Empty while it runs, or where its process went without a word.
    pub finished: String,
    pub outcome: String,
    pub error: String,
    pub counts: Vec<(&'static str, i64)>,
}

/// Who started it, in words.
fn asked_by(trigger: &str, name: Option<&str>) -> String {
    match (trigger, name) {
        ("SCHEDULER", _) => "Trabajo programado".to_owned(),
        ("HTTP", _) => "Llamada externa (/internal/drip)".to_owned(),
        ("CLI", None) => "Línea de comandos (llovizna drip run)".to_owned(),
        ("CLI", Some(_)) => "Línea de comandos (llovizna job run drip)".to_owned(),
        (_, Some(name)) => format!("{name}, desde el panel"),
        (_, None) => "Panel, para un mensaje de prueba".to_owned(),
    }
}

pub(super) fn shown(it: Record) -> Shown {
    let all = it.counts;
    let said = |count: u32, one: &str, many: &str| format::count(i64::from(count), one, many);
    Shown {
        number: it.id.0,
        badge: badges::job(&it.status),
        asked_by: asked_by(&it.trigger, it.asked_by.as_deref()),
        channel: it.channel.map_or("", |channel| channel.label()),
        started: format::datetime(it.started_at),
        finished: it.finished_at.map(format::datetime).unwrap_or_default(),
        outcome: format!(
            "{}, {}, {}, {}",
            said(all.sent, "enviado", "enviados"),
            said(all.deferred, "pospuesto", "pospuestos"),
            said(all.blocked, "bloqueado", "bloqueados"),
            said(all.failed, "fallido", "fallidos"),
        ),
        error: it.error.unwrap_or_default(),
        counts: counts(it.finished_at.is_some(), &all),
    }
}

/// What a run did, in words; with what it looked at and left as it was, where it stopped before their turn.
fn counts(is_over: bool, all: &Counts) -> Vec<(&'static str, i64)> {
    let told = [
        ("Revisados", all.claimed),
        ("Enviados", all.sent),
        ("Pospuestos", all.deferred),
        ("Bloqueados", all.blocked),
        ("Fallidos", all.failed),
        ("Por confirmar", all.unconfirmed),
    ];
    let decided: u32 = told.iter().skip(1).map(|it| it.1).sum();
    let untouched = if is_over { all.claimed.saturating_sub(decided) } else { 0 };
    let rest = (untouched > 0).then_some(("Sin tocar, siguen en la cola", untouched));
    told.into_iter().chain(rest).map(|(label, count)| (label, i64::from(count))).collect()
}

/// A page of runs below `before`, newest first, and the number to go on below, if there are more.
pub(super) async fn page(state: &AppState, before: Option<i64>) -> Result<(Vec<Shown>, Option<i64>)> {
    let mut db = state.db.acquire().await?;
    let mut found = runs::list(&mut db, before, PAGE + 1).await?;
    let more = i64::try_from(found.len()).unwrap_or(PAGE) > PAGE;
    if more {
        found.pop();
    }
    let rest = found.last().filter(|_| more).map(|it| it.id.0);
    Ok((found.into_iter().map(shown).collect(), rest))
}

/// The latest run that something else than the table of jobs asked for, among the latest few.
pub(super) async fn newest_from_outside(state: &AppState) -> Result<Option<Record>> {
    let mut db = state.db.acquire().await?;
    let found = runs::list(&mut db, None, PAGE).await?;
    Ok(found.into_iter().find(|it| matches!(it.trigger.as_str(), "HTTP" | "CLI")))
}

#[derive(Template)]
#[template(path = "jobs/drip_run.html")]
struct RunPage {
    shell: Shell,
    run: Shown,
}

async fn show(shell: Shell, Db(mut db): Db, Path(id): Path<i64>) -> Answer {
    // The newest below the next number is the run itself, if there is one.
    let next = id.checked_add(1).ok_or(Error::NotFound)?;
    let found = runs::list(&mut db, Some(next), 1).await?.pop().filter(|it| it.id.0 == id);
    html::page(&RunPage { shell, run: shown(found.ok_or(Error::NotFound)?) })
}
