//! The board in the panel: stages with their cards, moved by drag, by keyboard or
//! by a plain form.

mod stages;

use super::{
    filters,
    flash::Flash,
    form::Form,
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
        contact,
        contact_filter::Owner,
        pipeline::{
            self, Card, Draft,
            stages::{Meaning, Stage},
        },
    },
    error::Error,
    ids::{ContactId, StageId},
    state::AppState,
    web::connection::Db,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use chrono::NaiveDate;
use serde::Deserialize;

/// Cards of a stage that are shown at once.
const PAGE: i64 = 50;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{EditContacts, EditSettings, View};
    vec![
        Route::get("/pipeline", View, board),
        Route::post("/pipeline/cards/{contact}/stage", EditContacts, put),
        Route::delete("/pipeline/cards/{contact}/stage", EditContacts, take_off),
        Route::get("/pipeline/stages", EditSettings, stages::list),
        Route::post("/pipeline/stages", EditSettings, stages::create),
        Route::post("/pipeline/stages/{id}", EditSettings, stages::update),
        Route::delete("/pipeline/stages/{id}", EditSettings, stages::remove),
        Route::post("/pipeline/stages/{id}/position", EditSettings, stages::shift),
    ]
}

/// A column of the board.
struct Lane {
    stage: Stage,
    cards: Vec<Card>,
    /// Address of the cards below these; empty: these are all.
    more: String,
}

#[derive(Template)]
#[template(path = "pipeline/board.html")]
struct BoardPage {
    shell: Shell,
    today: NaiveDate,
    stages: Vec<(StageId, String)>,
    lanes: Vec<Lane>,
    /// The stage that is looked at alone.
    alone: Option<StageId>,
    /// Whose cards show.
    owner: Option<Owner>,
    /// Of the person at hand.
    mine: Option<Owner>,
    owners: Vec<StaffUser>,
    /// Pesos of the deals that are worked on.
    open_value: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    stage: String,
    /// `me`, `none`, or the row of somebody on the staff.
    owner: String,
    after: String,
}

impl BoardPage {
    /// The address of the same stages with other people's cards.
    fn with_owner(&self, owner: Option<&Owner>) -> String {
        address(self.alone, owner.copied(), None)
    }

    /// The address of a stage alone, with the same people's cards.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
    fn of_stage(&self, stage: &StageId) -> String {
        address(Some(*stage), self.owner, None)
    }

    fn is_owner(&self, it: &StaffUser) -> bool {
        self.owner == Some(Owner::Staff(it.id))
    }
}

/// The address of the board: of one stage, of one person's cards, below a card.
fn address(stage: Option<StageId>, owner: Option<Owner>, after: Option<String>) -> String {
    let pairs =
        [("stage", stage.map(|it| it.to_string())), ("owner", owner.map(Owner::code)), ("after", after)];
    let given: Vec<String> =
        pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    if given.is_empty() { "/pipeline".to_owned() } else { format!("/pipeline?{}", given.join("&")) }
}

async fn board(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Db(mut db): Db,
    Query(asked): Query<Asked>,
) -> Answer {
    let mine = actor.staff_id().map(Owner::Staff);
    let owner = if asked.owner == "me" { mine } else { Owner::from_code(&asked.owner) };
    let all = pipeline::stages::list(&mut *db, owner).await?;
    let alone = asked.stage.parse().ok().map(StageId);
    if alone.is_some_and(|id| all.iter().all(|it| it.id != id)) {
        return Err(Error::NotFound.into());
    }
    let names = all.iter().map(|it| (it.id, it.name.clone())).collect();
    let is_open = |it: &&Stage| matches!(it.meaning, Meaning::Open | Meaning::Hot);
    let open_value = all.iter().filter(is_open).map(|it| it.value).sum();
    let after = paging::read(&state.config, &asked.after)?.filter(|_| alone.is_some());
    let mut lanes = Vec::new();
    for stage in all.into_iter().filter(|it| alone.is_none_or(|id| id == it.id)) {
        let mut cards = pipeline::cards(&mut *db, stage.id, owner, after.as_ref(), PAGE + 1).await?;
        let has_more = cards.len() as i64 > PAGE;
        cards.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
        let last = cards.last().filter(|_| has_more);
        let more = match last {
            Some(it) => address(Some(stage.id), owner, Some(paging::written(&state.config, &it.edge())?)),
            None => String::new(),
        };
        lanes.push(Lane { stage, cards, more });
    }
    let today = time::local_date(state.clock.now());
    let mut owners = staff::list(&mut *db).await?;
    owners.retain(|it| it.active && Some(Owner::Staff(it.id)) != mine);
    html::page(&BoardPage { shell, today, stages: names, lanes, alone, owner, mine, owners, open_value })
}

/// Where the button was pressed, with what the address carried.
fn back(headers: &HeaderMap) -> String {
    session::referring_path(headers).unwrap_or_else(|| "/pipeline".to_owned())
}

/// The same, at the card of `contact` where that is the board: without script too one goes on from it.
fn back_to(headers: &HeaderMap, contact: ContactId) -> String {
    let path = back(headers);
    let is_board = path == "/pipeline" || path.starts_with("/pipeline?");
    if is_board { format!("{path}#deal-{contact}") } else { path }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StageForm {
    stage_id: String,
}

/// A way back says all in the address, since its button carries no fields.
#[derive(Default, Deserialize)]
#[serde(default)]
struct To {
    /// The stage.
    to: String,
    /// What the card said, if it was taken off the board.
    #[serde(flatten)]
    said: Draft,
}

async fn put(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Query(to): Query<To>,
    Form(form): Form<StageForm>,
) -> Answer {
    let (contact, now) = (ContactId(id), state.clock.now());
    let wanted = if to.to.is_empty() { &form.stage_id } else { &to.to };
    let target = StageId(wanted.parse().map_err(|_| Error::NotFound)?);
    let mut tx = state.db.begin().await?;
    let before = pipeline::card(&mut *tx, contact).await?;
    let moved = if to.said.value.is_empty() {
        pipeline::put(&mut tx, now, &actor, contact, target).await?
    } else {
        pipeline::put_back(&mut tx, now, &actor, contact, target, to.said.check()?).await?
    };
    let name = contact::get(&mut *tx, contact).await?.full_name();
    let stages = pipeline::stages::names(&mut *tx).await?;
    tx.commit().await?;
    let label = stages.into_iter().find(|it| it.0 == target).map(|it| it.1).unwrap_or_default();
    let flash = match (moved, before) {
        (false, _) if !to.said.value.is_empty() => {
            Flash::plain(format!("{name} ya está en el embudo. No se cambió nada."))
        }
        (false, _) => Flash::plain(format!("{name} ya estaba en «{label}».")),
        (true, Some((from, _))) => Flash::good(format!("{name} pasó a «{label}»."))
            .undo(format!("/pipeline/cards/{id}/stage?to={from}")),
        (true, None) => Flash::good(format!("{name} está ahora en el embudo, en «{label}»."))
            .undo(format!("/pipeline/cards/{id}/stage?_method=DELETE")),
    };
    Ok(flash.to(&back_to(&headers, contact)))
}

async fn take_off(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let gone = pipeline::take_off(&mut tx, state.clock.now(), &actor, ContactId(id)).await?;
    tx.commit().await?;
    let flash = match gone {
        Some((from, said)) => {
            let day = said.follow_up_on.map(|it| format!("&follow_up_on={it}")).unwrap_or_default();
            Flash::good("Salió del embudo.")
                .undo(format!("/pipeline/cards/{id}/stage?to={from}&value={}{day}", said.value))
        }
        None => Flash::plain("No estaba en el embudo."),
    };
    Ok(flash.to(&back(&headers)))
}
