//! Keeping what a list shows under a name, and the tabs of what is kept: of every list that has views.

use super::{
    flash::{Flash, done_or_refused},
    form::Form,
    html::Answer,
};
use crate::{
    access::Actor,
    contacts::views::{self, Listed, Shows, View},
    error::Result,
    state::AppState,
};
use axum::extract::{Path, State};
use serde::Deserialize;

/// What a list is asked for, as far as views keep it.
pub(super) trait Viewed: Sized + Send + Sync {
    /// What singles out its rows.
    type Filter: Listed;
    /// Where the list is.
    const PATH: &'static str;
    /// What a deleted view leaves as it was.
    const LEFT: &'static str;

    /// From the part of an address after its question mark.
    fn parse(query: &str) -> Result<Self>;

    /// As a saved view would be asked for.
    fn of(shows: &Shows<Self::Filter>) -> Self;

    /// What it shows, to be kept.
    fn shows(&self) -> Shows<Self::Filter>;

    /// A filter in which what was typed means nothing, such as a number of visits that is a word.
    fn unread(&self) -> Option<&'static str> {
        None
    }

    /// The saved view that it began with, as in its address.
    fn view(&mut self) -> &mut String;

    /// Its address.
    fn address(&self) -> String;
}

/// A tab.
pub(super) struct Tab {
    pub(super) label: String,
    pub(super) address: String,
    pub(super) active: bool,
    /// The whole team sees it.
    pub(super) is_shared: bool,
}

/// The address of a saved view, whole.
pub(super) fn address<A: Viewed>(view: &View<A::Filter>) -> String {
    let mut asked = A::of(&view.shows);
    *asked.view() = view.id.to_string();
    asked.address()
}

/// The tabs of a list at `here`: the ways in which it is looked at most, each with its address, then the saved views.
pub(super) fn tabs<A: Viewed>(
    usual: impl IntoIterator<Item = (&'static str, String)>,
    here: &str,
    saved: &[View<A::Filter>],
    shown: Option<i64>,
) -> Vec<Tab> {
    let usual = usual.into_iter().map(|(label, address)| Tab {
        label: label.to_owned(),
        active: address == here,
        is_shared: false,
        address,
    });
    let saved = saved.iter().map(|it| Tab {
        label: it.name.clone(),
        active: Some(it.id) == shown,
        is_shared: it.is_shared,
        address: address::<A>(it),
    });
    usual.chain(saved).collect()
}

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

/// A view keeps what filters mean: without the one that can't be read it would show everybody from then on.
fn cannot_be_kept<A: Viewed>(asked: &A) -> Option<Flash> {
    let filter = asked.unread()?;
    Some(Flash::bad(format!(
        "La vista no se guardó: lo escrito en «{filter}» no se entiende. Corrígelo o quita ese filtro y guárdala de nuevo."
    )))
}

pub(super) async fn create<A: Viewed>(
    State(state): State<AppState>,
    actor: Actor,
    Form(form): Form<ViewForm>,
) -> Answer {
    let mut asked = A::parse(&form.list)?;
    if let Some(refusal) = cannot_be_kept(&asked) {
        return Ok(refusal.to(&asked.address()));
    }
    let shows = asked.shows();
    let done = async {
        let mut tx = state.db.begin().await?;
        let shared = !form.shared.is_empty();
        let id = views::create(&mut tx, state.clock.now(), &actor, &form.name, shared, &shows).await?;
        tx.commit().await?;
        Ok(id)
    };
    match done.await {
        Ok(id) => {
            *asked.view() = id.to_string();
            Ok(Flash::good("Vista guardada: la tienes entre las pestañas.").to(&asked.address()))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(""), &asked.address()),
    }
}

pub(super) async fn update<A: Viewed>(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<ViewForm>,
) -> Answer {
    let asked = A::parse(&form.list)?;
    if let Some(refusal) = cannot_be_kept(&asked).filter(|_| !form.replace.is_empty()) {
        return Ok(refusal.to(&asked.address()));
    }
    let shows = asked.shows();
    let done = async {
        let mut tx = state.db.begin().await?;
        let shows = (!form.replace.is_empty()).then_some(&shows);
        let named = (form.name.as_str(), !form.shared.is_empty());
        views::update::<A::Filter>(&mut tx, state.clock.now(), &actor, id, named, shows).await?;
        tx.commit().await?;
        Ok(())
    };
    done_or_refused(done.await, Flash::good("Vista guardada."), &asked.address())
}

pub(super) async fn delete<A: Viewed>(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let name = views::delete::<A::Filter>(&mut tx, state.clock.now(), &actor, id).await?;
    tx.commit().await?;
    Ok(Flash::good(format!("Se borró la vista «{name}». {}", A::LEFT)).to(A::PATH))
}
