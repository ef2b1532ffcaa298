//! Why an import can't be taken back: those who were worked with since, each with a link.

use super::{
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    contacts::bulk::Obstacle,
    ids::ImportId,
    imports::{self, Import, undo},
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, State};

/// Those named of one reason.
const NAMED: i64 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/imports/{id}/obstacles", Permission::RunImports, show)]
}

/// Where they are told.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn path(id: &ImportId) -> String {
    format!("/imports/{id}/obstacles")
}

#[derive(Template)]
#[template(path = "imports/obstacles.html")]
struct ObstaclesPage {
    shell: Shell,
    import: Import,
    reasons: Vec<(String, Vec<Obstacle>)>,
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<ImportId>) -> Answer {
    let mut db = state.db.acquire().await?;
    let import = imports::get(&mut *db, id).await?;
    let reasons = undo::obstacles(&mut db, &import, NAMED).await?;
    html::page(&ObstaclesPage { shell, import, reasons })
}
