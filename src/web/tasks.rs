//! Tasks in the panel: what is for today, what is late, what is whose, and the form of one.

use super::{
    filters,
    flash::Flash,
    form::{Difference, Errors, Form, differences},
    html::{self, Answer},
    paging,
    routes::Route,
    session,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    accounts::staff::{self, StaffUser},
    chile::time,
    contacts::{
        company::Outcome,
        tasks::{self, Draft, Filter, Task},
    },
    error::{Error, Result},
    ids::{StaffId, TaskId},
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// Tasks of one page.
const PAGE: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, View};
    vec![
        Route::get("/tasks", View, list),
        Route::post("/tasks", EditContacts, create),
        Route::get("/tasks/new", EditContacts, new),
        Route::post("/tasks/{id}", EditContacts, update),
        Route::get("/tasks/{id}/edit", EditContacts, edit),
        Route::post("/tasks/{id}/done", EditContacts, finish),
        Route::delete("/tasks/{id}/done", EditContacts, reopen),
    ]
}

/// The ways in which the list is looked at.
const VIEWS: [(&str, &str); 5] = [
    ("today", "Para hoy"),
    ("overdue", "Atrasadas"),
    ("mine", "Todas las mías"),
    ("all", "De todo el equipo"),
    ("done", "Hechas"),
];

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    view: String,
    owner: String,
    before: String,
    after: String,
}

impl Asked {
    fn view(&self) -> &'static str {
        VIEWS.iter().find(|it| it.0 == self.view).map_or("today", |it| it.0)
    }

    /// The person chosen, where the view is everybody's.
    fn owner(&self) -> Option<StaffId> {
        self.owner.parse().ok().filter(|_| matches!(self.view(), "all" | "done"))
    }

    fn filter(&self, me: Option<StaffId>, today: NaiveDate) -> Filter {
        let view = self.view();
        Filter {
            owner: if matches!(view, "all" | "done") { self.owner() } else { me },
            until: match view {
                "today" => Some(today),
                "overdue" => Some(today - Days::new(1)),
                _ => None,
            },
            done: view == "done",
            contact: None,
        }
    }

    fn address(&self, side: &str, edge: &str) -> String {
        let owner = self.owner().map(|it| format!("&owner={it}")).unwrap_or_default();
        format!("/tasks?view={}{owner}&{side}={edge}", self.view())
    }
}

#[derive(Template)]
#[template(path = "tasks/list.html")]
struct ListPage {
    shell: Shell,
    today: NaiveDate,
    view: &'static str,
    owner: Option<StaffId>,
    owners: Vec<StaffUser>,
    rows: Vec<Task>,
    newer: String,
    older: String,
}

impl ListPage {
    fn is_owner(&self, id: &StaffId) -> bool {
        self.owner == Some(*id)
    }
}

async fn list(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Query(asked): Query<Asked>,
) -> Answer {
    let today = time::local_date(state.clock.now());
    let place = paging::place(&state.config, &asked.before, &asked.after)?;
    let filter = asked.filter(actor.staff_id(), today);
    let page = tasks::list(&state.db, filter, place, PAGE).await?;
    let owners = staff::list(&state.db).await?;
    let edge = |name: &str, it: Option<&Task>| -> Result<String> {
        let Some(it) = it else { return Ok(String::new()) };
        Ok(asked.address(name, &paging::written(&state.config, &it.edge(filter))?))
    };
    html::page(&ListPage {
        shell,
        today,
        view: asked.view(),
        owner: asked.owner(),
        owners,
        newer: edge("before", page.rows.first().filter(|_| page.has_previous))?,
        older: edge("after", page.rows.last().filter(|_| page.has_next))?,
        rows: page.rows,
    })
}

#[derive(Template)]
#[template(path = "tasks/form.html")]
struct FormPage {
    shell: Shell,
    task: Option<Task>,
    form: TaskForm,
    owners: Vec<StaffUser>,
    errors: Errors,
    /// What somebody else changed meanwhile.
    differences: Vec<Difference>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct TaskForm {
    #[serde(flatten)]
    draft: Draft,
    /// The task's `updated_at` when the form was filled.
    seen: String,
}

impl FormPage {
    async fn load(
        state: &AppState,
        shell: Shell,
        task: Option<Task>,
        form: TaskForm,
    ) -> Result<FormPage, Error> {
        let mut owners = staff::list(&state.db).await?;
        owners.retain(|it| it.active || it.id.to_string() == form.draft.owner_id);
        Ok(FormPage { shell, task, form, owners, errors: Errors::default(), differences: Vec::new() })
    }
}

async fn new(State(state): State<AppState>, actor: Actor, shell: Shell) -> Answer {
    let owner_id = actor.staff_id().map(|it| it.to_string()).unwrap_or_default();
    let form = TaskForm { draft: Draft { owner_id, ..Draft::default() }, seen: String::new() };
    html::page(&FormPage::load(&state, shell, None, form).await?)
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<TaskForm>,
) -> Answer {
    let now = state.clock.now();
    let made = async {
        let details = form.draft.check(now)?;
        let mut tx = state.db.begin().await?;
        tasks::create(&mut tx, now, &actor, &details).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    match made.await {
        Ok(()) => Ok(Flash::good("Tarea creada.").to("/tasks?view=mine")),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&FormPage { errors, ..FormPage::load(&state, shell, None, form).await? })
        }
    }
}

async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let task = tasks::get(&state.db, TaskId(id)).await?;
    let form = TaskForm { draft: task.draft(), seen: task.updated_at.to_rfc3339() };
    html::page(&FormPage::load(&state, shell, Some(task), form).await?)
}

async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<TaskForm>,
) -> Answer {
    let now = state.clock.now();
    let seen = form.seen.parse::<DateTime<Utc>>().unwrap_or_default();
    let saved = async {
        let details = form.draft.check(now)?;
        let mut tx = state.db.begin().await?;
        let outcome = tasks::update(&mut tx, now, &actor, TaskId(id), seen, &details).await?;
        if outcome == Outcome::Saved {
            tx.commit().await?;
        }
        Ok::<_, Error>(outcome)
    };
    match saved.await {
        Ok(Outcome::Saved) => Ok(Flash::good("Tarea guardada.").to("/tasks?view=mine")),
        Ok(Outcome::Unchanged) => Ok(Flash::plain("No había nada que cambiar.").to("/tasks?view=mine")),
        Ok(Outcome::Stale) => {
            let task = tasks::get(&state.db, TaskId(id)).await?;
            let current = task.draft();
            // Saving again is then a choice made with open eyes.
            let form = TaskForm { seen: task.updated_at.to_rfc3339(), ..form };
            let page = FormPage::load(&state, shell, Some(task), form).await?;
            let differences = differences(&current, &page.form.draft, LABELS, &page.owners);
            html::invalid(&FormPage { differences, ..page })
        }
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let task = tasks::get(&state.db, TaskId(id)).await?;
            html::invalid(&FormPage { errors, ..FormPage::load(&state, shell, Some(task), form).await? })
        }
    }
}

/// Fields as the form calls them.
const LABELS: &[(&str, &str)] = &[
    ("title", "Qué hay que hacer"),
    ("due_on", "Para cuándo"),
    ("owner_id", "Quién"),
    ("detail", "Detalle"),
];

/// Say it on the page that it was pressed on.
async fn set_done(state: &AppState, actor: &Actor, headers: &HeaderMap, id: i64, done: bool) -> Answer {
    let mut tx = state.db.begin().await?;
    let changed = tasks::set_done(&mut tx, state.clock.now(), actor, TaskId(id), done).await?;
    tx.commit().await?;
    let flash = match (changed, done) {
        (false, _) => Flash::plain("Ya estaba así."),
        (true, true) => Flash::good("Tarea hecha.").undo(format!("/tasks/{id}/done?_method=DELETE")),
        (true, false) => Flash::good("La tarea vuelve a estar pendiente."),
    };
    Ok(flash.to(&session::referring_path(headers).unwrap_or_else(|| "/tasks".to_owned())))
}

async fn finish(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Answer {
    set_done(&state, &actor, &headers, id, true).await
}

async fn reopen(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Answer {
    set_done(&state, &actor, &headers, id, false).await
}
