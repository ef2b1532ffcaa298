//! The first page, and the theme that is chosen on every page.

use super::{
    connection::Db,
    filters,
    form::Form,
    html::{self, Answer},
    routes::Route,
    session,
    shell::{Shell, THEME_COOKIE, Theme},
};
use crate::{
    access::{Actor, Permission},
    campaigns::campaign::{self, Status, Summary},
    chile::time,
    contacts::tasks::{self, Filter, Task},
    db::keyset::Place,
    reports::home::{self, Attention, MANY, Queue, Start},
    scheduler::jobs,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect},
};
use axum_extra::extract::cookie::{Cookie, SameSite};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/", Permission::View, show), Route::post("/theme", Permission::View, choose_theme)]
}

/// Campaigns shown.
const CAMPAIGNS: i64 = 5;
/// Tasks shown.
const TASKS: usize = 5;

#[derive(Template)]
#[template(path = "home/show.html")]
struct HomePage {
    shell: Shell,
    now: DateTime<Utc>,
    attention: Attention,
    queue: Queue,
    start: Start,
    campaigns: Vec<Summary>,
    today: NaiveDate,
    tasks: Vec<Task>,
    has_more_tasks: bool,
}

impl HomePage {
    /// The failed jobs as people call them.
    fn failed_jobs(&self) -> Vec<&str> {
        let failed = self.attention.jobs.iter().map(String::as_str);
        // Also a run of the queue that something else than its job asked for.
        let stopped = Some(jobs::DRIP).filter(|_| self.attention.is_queue_stopped);
        let mut names: Vec<&str> = failed.chain(stopped).collect();
        names.dedup();
        names.into_iter().map(|it| jobs::find(it).map_or(it, |job| job.label)).collect()
    }
}

async fn show(State(state): State<AppState>, actor: Actor, shell: Shell, Db(mut db): Db) -> Answer {
    let now = state.clock.now();
    let first = &state.config.first_values;
    let attention = home::attention(&mut db, now).await?;
    let queue = home::queue(&mut db, now, first).await?;
    let start = home::start(&mut db, first).await?;
    let campaigns = campaign::list(&mut *db, None, None, CAMPAIGNS).await?;
    let today = time::local_date(now);
    let mine = Filter { owner: actor.staff_id(), until: Some(today), ..Filter::default() };
    let page = tasks::list(&mut *db, mine, Place::First, TASKS).await?;
    html::page(&HomePage {
        shell,
        now,
        attention,
        queue,
        start,
        campaigns,
        today,
        has_more_tasks: page.has_next,
        tasks: page.rows,
    })
}

#[derive(Deserialize)]
struct ThemeForm {
    theme: String,
}

async fn choose_theme(
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<ThemeForm>,
) -> Answer {
    let theme = match form.theme.as_str() {
        "light" => Theme::Light,
        "dark" => Theme::Dark,
        _ => Theme::Auto,
    };
    let back = session::referring_path(&headers).unwrap_or_else(|| "/".to_owned());
    let mut response = Redirect::to(&back).into_response();
    let cookie = Cookie::build((THEME_COOKIE, theme.code()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.config.is_https())
        .permanent()
        .build();
    session::add_cookie(&mut response, &cookie);
    Ok(response)
}
