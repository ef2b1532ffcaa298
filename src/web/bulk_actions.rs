//! One change to many people: chosen from the list, said how many before it runs,
//! watched, called off, taken back.

use super::{
    contacts::Asked,
    filters,
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    accounts::staff::{self, StaffUser},
    bulk_actions::{self, BulkAction, Status, draft::Draft},
    contacts::{
        contact_list::Filter,
        interests::{self, Interest},
        pipeline::stages,
        vocabulary::Lifecycle,
    },
    error::{Error, Result},
    ids::{BulkActionId, ListId, SegmentId, StageId},
    segments::list,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderValue,
    response::{IntoResponse as _, Redirect},
};
use axum_extra::extract::Query;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::time::Duration;

/// Bulk actions of one page.
const PAGE: usize = 50;
/// Most people chosen one by one: a page of the list.
const CHOSEN: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, View};
    vec![
        Route::get("/bulk-actions", View, all),
        // A million people are written down before it answers.
        Route::post("/bulk-actions", EditContacts, create).within(Duration::from_mins(2)),
        Route::get("/bulk-actions/new", EditContacts, new).within(Duration::from_mins(2)),
        Route::get("/bulk-actions/{id}", View, show),
        Route::get("/bulk-actions/{id}/progress", View, live),
        Route::post("/bulk-actions/{id}/cancellation", EditContacts, cancel),
        Route::post("/bulk-actions/{id}/undo", EditContacts, undo),
    ]
}

/// Whom it is about, as the list sends it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Whom {
    /// `all`: everybody whom the list shows; else those chosen.
    pub(super) scope: String,
    /// Rows that were chosen.
    pub(super) id: Vec<i64>,
    /// The list's address after its question mark.
    pub(super) list: String,
}

impl Whom {
    /// The list of them.
    pub(super) fn filter(&self) -> Result<Filter> {
        if self.scope == "all" {
            return Ok(Asked::parse(&self.list)?.filter());
        }
        Ok(Filter { among: Some(self.id.iter().copied().take(CHOSEN).collect()), ..Filter::default() })
    }

    /// The list that they were chosen from.
    pub(super) fn back(&self) -> String {
        Asked::parse(&self.list).map_or_else(|_| "/contacts".to_owned(), |it| it.address())
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct BulkForm {
    scope: String,
    id: Vec<i64>,
    list: String,
    action: String,
    interest: String,
    category: String,
    untag: String,
    owner: String,
    lifecycle: String,
    stage: String,
    to_list: String,
    from_list: String,
    /// How many people the page said.
    shown: String,
}

impl BulkForm {
    fn whom(&self) -> Whom {
        Whom { scope: self.scope.clone(), id: self.id.clone(), list: self.list.clone() }
    }

    fn draft(&self) -> Draft {
        Draft {
            action: self.action.clone(),
            interest: self.interest.clone(),
            category: self.category.clone(),
            untag: self.untag.clone(),
            owner: self.owner.clone(),
            lifecycle: self.lifecycle.clone(),
            stage: self.stage.clone(),
            to_list: self.to_list.clone(),
            from_list: self.from_list.clone(),
            shown: self.shown.parse().ok(),
        }
    }
}

#[derive(Template)]
#[template(path = "bulk_actions/new.html")]
struct NewPage {
    shell: Shell,
    whom: Whom,
    back: String,
    count: i64,
    form: BulkForm,
    interests: Vec<Interest>,
    /// Headings under which there are interests.
    categories: Vec<String>,
    owners: Vec<StaffUser>,
    stages: Vec<(StageId, String)>,
    lists: Vec<(ListId, String)>,
    errors: Errors,
}

impl NewPage {
    async fn load(state: &AppState, shell: Shell, form: BulkForm, errors: Errors) -> Result<NewPage> {
        let mut db = state.db.acquire().await?;
        let whom = form.whom();
        let filter = whom.filter()?;
        let mut owners = staff::list(&mut *db).await?;
        owners.retain(|it| it.active);
        Ok(NewPage {
            shell,
            count: bulk_actions::count(&mut db, state.clock.now(), &filter).await?,
            back: whom.back(),
            whom,
            form,
            interests: interests::list(&mut *db).await?,
            categories: interests::categories(&mut *db).await?,
            owners,
            stages: stages::names(&mut *db).await?,
            lists: list::names(&mut *db).await?,
            errors,
        })
    }
}

async fn new(State(state): State<AppState>, shell: Shell, Query(whom): Query<Whom>) -> Answer {
    let form = BulkForm {
        scope: whom.scope.clone(),
        id: whom.id.clone(),
        list: whom.list.clone(),
        action: "TAG".to_owned(),
        // Of a list that is looked at, people are taken off that one.
        from_list: Asked::parse(&whom.list).map(|it| it.of_list()).unwrap_or_default(),
        ..BulkForm::default()
    };
    let page = NewPage::load(&state, shell, form, Errors::default()).await?;
    if page.count == 0 {
        let said = "No elegiste a nadie. Marca a las personas en la lista y vuelve a intentarlo.";
        return Ok(Flash::plain(said).to(&page.back));
    }
    html::page(&page)
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(form): Form<BulkForm>,
) -> Answer {
    let made = async {
        let mut tx = state.db.begin().await?;
        let filter = form.whom().filter()?;
        let id = bulk_actions::create(&mut tx, state.clock.now(), &actor, &form.draft(), &filter).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => Ok(Redirect::to(&format!("/bulk-actions/{id}")).into_response()),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&NewPage::load(&state, shell, form, errors).await?)
        }
    }
}

/// Put those whom a segment describes on a list: in the background, watched and taken back like any other change.
pub(super) async fn segment_to_list(
    state: &AppState,
    actor: &Actor,
    segment: SegmentId,
    list: String,
    back: &str,
) -> Answer {
    let made = async {
        let mut tx = state.db.begin().await?;
        let draft = Draft { action: "LIST".to_owned(), to_list: list, ..Draft::default() };
        let filter = Filter { segment: Some(segment), ..Filter::default() };
        let id = bulk_actions::create(&mut tx, state.clock.now(), actor, &draft, &filter).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => Ok(Redirect::to(&format!("/bulk-actions/{id}")).into_response()),
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            Ok(Flash::bad(said.join(" ")).to(back))
        }
        Err(error) => Err(error.into()),
    }
}

/// Bootstrap's name of the colour.
pub(super) fn tone(status: &Status) -> &'static str {
    match status {
        Status::Pending | Status::Cancelled | Status::Undone => "secondary",
        Status::Running | Status::Undoing => "blue",
        Status::Done => "green",
        Status::Failed => "red",
    }
}

/// The icon beside it.
pub(super) fn status_icon(status: &Status) -> &'static str {
    match status {
        Status::Pending => "circle-dashed",
        Status::Running | Status::Undoing => "loader",
        Status::Done => "circle-check",
        Status::Cancelled => "circle-x",
        Status::Failed => "alert-circle",
        Status::Undone => "arrow-back-up",
    }
}

#[derive(Template)]
#[template(path = "bulk_actions/show.html", blocks = ["live"])]
struct ShowPage {
    shell: Shell,
    action: BulkAction,
    outcome: String,
    /// Asked for again and again: what the page says of it elsewhere comes along.
    is_live: bool,
}

impl ShowPage {
    /// People whom the undoing has looked at.
    fn taken(&self) -> i64 {
        self.action.undone + self.action.kept
    }
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let action = bulk_actions::get(&state.db, BulkActionId(id)).await?;
    html::page(&ShowPage { shell, outcome: bulk_actions::outcome(&action), action, is_live: false })
}

/// The progress alone; once there is nothing to wait for, the whole page is asked for anew.
async fn live(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    let action = bulk_actions::get(&state.db, BulkActionId(id)).await?;
    let running = action.status.is_running();
    let page = ShowPage { shell, outcome: bulk_actions::outcome(&action), action, is_live: true };
    let mut response = html::page(&page.as_live())?;
    if !running {
        response.headers_mut().insert("HX-Refresh", HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn cancel(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let done = async {
        let mut tx = state.db.begin().await?;
        bulk_actions::cancel(&mut tx, state.clock.now(), &actor, BulkActionId(id)).await?;
        tx.commit().await?;
        Ok(())
    };
    let said = Flash::good("Cambio cancelado. Lo hecho hasta ahí se conserva; puedes deshacerlo.");
    done_or_refused(done.await, said, &format!("/bulk-actions/{id}"))
}

async fn undo(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let done = async {
        let mut tx = state.db.begin().await?;
        bulk_actions::ask_undo(&mut tx, state.clock.now(), &actor, BulkActionId(id)).await?;
        tx.commit().await?;
        Ok(())
    };
    let path = format!("/bulk-actions/{id}");
    done_or_refused(done.await, Flash::plain("Se está deshaciendo. Sigue aunque cierres esta página."), &path)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    before: String,
}

#[derive(Template)]
#[template(path = "bulk_actions/list.html")]
struct ListPage {
    shell: Shell,
    actions: Vec<BulkAction>,
    newer: String,
    older: String,
    now: DateTime<Utc>,
}

async fn all(State(state): State<AppState>, shell: Shell, Query(query): Query<ListQuery>) -> Answer {
    let before = query.before.parse().ok();
    let mut actions =
        bulk_actions::list(&state.db, before, i64::try_from(PAGE).unwrap_or(i64::MAX) + 1).await?;
    let more = actions.len() > PAGE;
    actions.truncate(PAGE);
    let older = actions.last().filter(|_| more).map(|it| format!("/bulk-actions?before={}", it.id));
    html::page(&ListPage {
        shell,
        newer: before.map(|_| "/bulk-actions".to_owned()).unwrap_or_default(),
        older: older.unwrap_or_default(),
        actions,
        now: state.clock.now(),
    })
}
