//! The business's own choices: who sends, how email leaves, when, how often, and on which days not.

mod business;
mod caps;
mod ceiling;
mod copywriter;
mod deliverability;
pub(super) mod email;
mod holidays;
mod hours;
mod launching;
mod relationship;
mod sms;
mod warm_up_curve;
mod words;

use super::{filters, flash, form, html, routes::Route, shell::Shell};
use crate::{
    access::Actor,
    audit::{self, Change},
    db::Tx,
    error::{Error, Result},
    messaging::{asked_again, sending::OfChannel},
    settings::{self, Subject},
    state::AppState,
};

pub(super) fn routes() -> Vec<Route> {
    [
        business::routes(),
        caps::routes(),
        email::routes(),
        deliverability::routes(),
        hours::routes(),
        holidays::routes(),
        relationship::routes(),
        launching::routes(),
        copywriter::routes(),
        sms::routes(),
        words::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Save a subject of settings, and write down what it was and became.
pub(super) async fn save<S: Subject + PartialEq + Clone>(
    state: &AppState,
    actor: &Actor,
    value: &S,
) -> Result<()> {
    change(state, actor, |_| Ok(value.clone())).await
}

/// Save a subject of settings as `edit` makes it of what it is at this moment, so that two forms which
/// each show a part of it never undo each other.
pub(super) async fn change<S: Subject + PartialEq + Clone>(
    state: &AppState,
    actor: &Actor,
    edit: impl FnOnce(S) -> Result<S>,
) -> Result<()> {
    let mut tx = state.db.begin().await?;
    write(&mut tx, state, actor, edit).await?;
    Ok(tx.commit().await?)
}

/// The same of a channel, whose messages that wait for what it said are asked about again.
pub(super) async fn change_channel<S: OfChannel + PartialEq + Clone>(
    state: &AppState,
    actor: &Actor,
    edit: impl FnOnce(S) -> Result<S>,
) -> Result<()> {
    let mut tx = state.db.begin().await?;
    let (before, value) = write(&mut tx, state, actor, edit).await?;
    if value.may_free(&before) {
        let why = "Cambió el horario o el tope del canal: se revisa otra vez si puede salir.";
        let of = asked_again::Of::Channel(S::CHANNEL);
        let now = state.clock.now();
        asked_again::ask_again(&mut tx, now, actor, of, asked_again::BY_THE_CHANNEL, why).await?;
    }
    Ok(tx.commit().await?)
}

/// What it was and became.
async fn write<S: Subject + PartialEq + Clone>(
    tx: &mut Tx<'_>,
    state: &AppState,
    actor: &Actor,
    edit: impl FnOnce(S) -> Result<S>,
) -> Result<(S, S)> {
    let now = state.clock.now();
    settings::hold(tx).await?;
    let before: S = settings::load(&mut **tx, &state.config.first_values).await?;
    let value = edit(before.clone())?;
    if before != value {
        settings::save(tx, now, actor.staff_id(), &value).await?;
        let document = |it: &S| serde_json::to_value(it).map_err(|it| Error::Internal(it.to_string()));
        let change = Change {
            action: "settings.update",
            subject_kind: S::NAME,
            before: Some(document(&before)?),
            after: Some(document(&value)?),
            ..Change::default()
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok((before, value))
}
