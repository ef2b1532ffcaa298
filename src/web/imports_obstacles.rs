//! Why an import can't be taken back: those who were worked with since, each with a link.

use super::{
    connection::Db,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    contacts::bulk::Obstacle,
    error::Result,
    ids::ImportId,
    imports::{self, Import, Status, undo},
    state::AppState,
};
use askama::Template;
use axum::extract::Path;

/// Those named of one reason.
const NAMED: i64 = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/imports/{id}/obstacles", Permission::RunImports, show)]
}

/// Where `actor` is told who keeps `import` from being taken back; none: nobody does, or they may not look.
pub(super) async fn path(state: &AppState, actor: &Actor, import: &Import) -> Result<Option<String>> {
    if import.status != Status::Done || !actor.may(Permission::RunImports) {
        return Ok(None);
    }
    let mut db = state.db.acquire().await?;
    let is_free = undo::touched(&mut db, import).await?.is_untouched();
    Ok((!is_free).then(|| format!("/imports/{}/obstacles", import.id)))
}

#[derive(Template)]
#[template(path = "imports/obstacles.html")]
struct ObstaclesPage {
    shell: Shell,
    import: Import,
    reasons: Vec<(String, Vec<Obstacle>)>,
}

async fn show(shell: Shell, Db(mut db): Db, Path(id): Path<ImportId>) -> Answer {
    let import = imports::get(&mut *db, id).await?;
    let reasons = undo::obstacles(&mut db, &import, NAMED).await?;
    html::page(&ObstaclesPage { shell, import, reasons })
}
