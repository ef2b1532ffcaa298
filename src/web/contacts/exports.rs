//! The file of what the list shows.

use super::asked::Asked;
use crate::{
    access::Actor,
    contacts::export,
    segments::whom,
    state::AppState,
    web::{
        exports::{self, ExportForm},
        form::Form,
        html::Answer,
    },
};
use axum::extract::State;

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ExportForm>,
) -> Answer {
    let (asked, kind, now) = (Asked::parse(&form.list)?, form.kind()?, state.clock.now());
    let mut filter = asked.filter();
    whom::complete(&mut *state.db.acquire().await?, now, &mut filter).await?;
    let what = (&filter, asked.sort());
    let export = export::begin_people(&state.db, now, &actor, what, &asked.columns(), kind).await?;
    exports::download(export, kind, now).await
}
