//! Keeping what the list shows under a name.

use super::asked::Asked;
use crate::{
    access::Actor,
    contacts::views,
    state::AppState,
    web::{
        flash::{Flash, done_or_refused},
        form::Form,
        html::Answer,
    },
};
use axum::extract::{Path, State};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ViewForm {
    /// The list's address after its question mark.
    list: String,
    name: String,
    shared: String,
    /// Whether the view is to show from now on what the list shows.
    replace: String,
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ViewForm>,
) -> Answer {
    let mut asked = Asked::parse(&form.list)?;
    let done = async {
        let mut tx = state.db.begin().await?;
        let shared = !form.shared.is_empty();
        let id =
            views::create(&mut tx, state.clock.now(), &actor, &form.name, shared, &asked.shows()).await?;
        tx.commit().await?;
        Ok(id)
    };
    match done.await {
        Ok(id) => {
            asked.view = id.to_string();
            Ok(Flash::good("Vista guardada: la tienes entre las pestañas.").to(&asked.address()))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(""), &asked.address()),
    }
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<ViewForm>,
) -> Answer {
    let asked = Asked::parse(&form.list)?;
    let shows = asked.shows();
    let done = async {
        let mut tx = state.db.begin().await?;
        let shows = (!form.replace.is_empty()).then_some(&shows);
        let named = (form.name.as_str(), !form.shared.is_empty());
        views::update(&mut tx, state.clock.now(), &actor, id, named, shows).await?;
        tx.commit().await?;
        Ok(())
    };
    done_or_refused(done.await, Flash::good("Vista guardada."), &asked.address())
}

pub(super) async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    let name = views::delete(&mut tx, state.clock.now(), &actor, id).await?;
    tx.commit().await?;
    Ok(Flash::good(format!("Se borró la vista «{name}». Sus contactos siguen donde estaban."))
        .to("/contacts"))
}
