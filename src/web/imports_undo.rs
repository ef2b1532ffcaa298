//! Taking an import back: the one question before, with what goes and what stays.

use super::{
    connection::Db,
    error::WebError,
    filters,
    flash::{Flash, done_or_refused},
    html::{self, Answer},
    imports_obstacles,
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    error::Error,
    ids::ImportId,
    imports::{
        self, Import, Status,
        undo::{self, Foretold},
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Extension, Path, State};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/imports/{id}/undo", Permission::RunImports, ask),
        Route::post("/imports/{id}/undo", Permission::RunImports, take_back),
    ]
}

#[derive(Template)]
#[template(path = "imports/undo.html")]
struct UndoPage {
    shell: Shell,
    import: Import,
    foretold: Foretold,
    /// Where it is told who keeps it from being taken back.
    obstacles: Option<String>,
}

async fn ask(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<ImportId>,
) -> Answer {
    let import = imports::get(&mut *db, id).await?;
    if !undo::may(&actor, &import) {
        return Err(Error::Forbidden.into());
    }
    if import.status != Status::Done {
        return Ok(
            Flash::plain("Solo se puede deshacer una importación terminada.").to(&format!("/imports/{id}"))
        );
    }
    let foretold = undo::foretell(&mut db, id).await?;
    drop(db);
    let obstacles = imports_obstacles::path(&state, &actor, &import).await?;
    html::page(&UndoPage { shell, import, foretold, obstacles })
}

async fn take_back(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
) -> Result<axum::response::Response, WebError> {
    let page = format!("/imports/{id}");
    let mut tx = state.db.begin().await?;
    let done = undo::ask(&mut tx, state.clock.now(), &actor, id).await;
    if done.is_ok() {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    if let Err(Error::Refused(sentence)) = done {
        let import = imports::get(&state.db, id).await?;
        let told = imports_obstacles::path(&state, &actor, &import).await?;
        let flash = Flash::bad(sentence);
        let flash = match told {
            Some(path) => flash.link("Ver quiénes son", path),
            None => flash,
        };
        return Ok(flash.to(&page));
    }
    done_or_refused(done, Flash::plain("Se está deshaciendo la importación completa."), &page)
}
