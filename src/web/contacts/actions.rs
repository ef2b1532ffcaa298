//! What staff does on the page of a contact: writes into the log, tags, moves the
//! lifecycle, plans a task.

use super::{
    show::{ShowPage, Typed},
    timeline::Asked,
};
use crate::{
    access::Actor,
    chile::format,
    contacts::{
        company::Outcome,
        interactions, interests, lifecycle,
        pipeline::{self, Details},
        tasks,
        vocabulary::Lifecycle,
    },
    error::{Error, FieldError, Result},
    ids::{ContactId, InteractionId, InterestId},
    state::AppState,
    web::{
        flash::{self, Flash},
        form::{Errors, Form},
        html::Answer,
        session::Signed,
        shell::Shell,
    },
};
use axum::extract::{Path, State};
use serde::Deserialize;

pub(super) async fn log(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    signed: Signed,
    Path(id): Path<i64>,
    Form(form): Form<interactions::Draft>,
) -> Answer {
    let (id, now) = (ContactId(id), state.clock.now());
    let written = async {
        let details = form.check(now)?;
        let mut tx = state.db.begin().await?;
        let row = interactions::add(&mut tx, now, &actor, id, &details).await?;
        tx.commit().await?;
        Ok::<_, Error>(row)
    };
    match written.await {
        Ok(row) => Ok(Flash::good("Anotado en la bitácora.")
            .undo(format!("/contacts/{id}/interactions/{row}?_method=DELETE"))
            .to(&format!("/contacts/{id}"))),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let typed = Typed { log: form, ..Typed::default() };
            ShowPage::load(&state, &mut *state.db.acquire().await?, shell, &signed, id, Asked::default())
                .await?
                .wrong(typed, errors)
        }
    }
}

pub(super) async fn unlog(
    State(state): State<AppState>,
    actor: Actor,
    Path((contact, id)): Path<(i64, i64)>,
) -> Answer {
    let path = format!("/contacts/{contact}");
    let removed = async {
        let mut tx = state.db.begin().await?;
        let whose = interactions::remove(&mut tx, state.clock.now(), &actor, InteractionId(id)).await?;
        if whose != ContactId(contact) {
            return Err(Error::NotFound);
        }
        Ok(tx.commit().await?)
    };
    flash::done_or_refused(removed.await, Flash::good("Se quitó de la bitácora."), &path)
}

/// What was done, or what is wrong, said on the contact's page.
fn said(result: Result<Flash>, path: &str) -> Answer {
    match result {
        Ok(flash) => Ok(flash.to(path)),
        Err(Error::Invalid(fields)) => {
            let reasons: Vec<_> = fields.iter().map(|it| it.message.as_str()).collect();
            Ok(Flash::bad(format!("No se guardó. {}", reasons.join(" "))).to(path))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct InterestForm {
    interest: String,
    category: String,
}

pub(super) async fn tag(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<InterestForm>,
) -> Answer {
    let added = async {
        let mut tx = state.db.begin().await?;
        let now = state.clock.now();
        let added =
            interests::add(&mut tx, now, &actor, ContactId(id), &form.interest, &form.category).await?;
        tx.commit().await?;
        Ok(if added { Flash::good("Interés agregado.") } else { Flash::plain("Ya tenía ese interés.") })
    };
    said(added.await, &format!("/contacts/{id}#interests"))
}

pub(super) async fn untag(
    State(state): State<AppState>,
    actor: Actor,
    Path((contact, interest)): Path<(i64, i64)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let gone =
        interests::remove(&mut tx, state.clock.now(), &actor, ContactId(contact), InterestId(interest))
            .await?;
    tx.commit().await?;
    let flash = match gone {
        Some(name) => Flash::good(format!("Se quitó el interés «{name}».")),
        None => Flash::plain("No tenía ese interés."),
    };
    Ok(flash.to(&format!("/contacts/{contact}#interests")))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LifecycleForm {
    lifecycle: String,
}

pub(super) async fn step(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<LifecycleForm>,
) -> Answer {
    let moved = async {
        let to = Lifecycle::from_code(&form.lifecycle)
            .ok_or_else(|| Error::invalid("lifecycle", "Elige un estado de la lista."))?;
        let mut tx = state.db.begin().await?;
        let moved = lifecycle::set(&mut tx, state.clock.now(), &actor, ContactId(id), to).await?;
        tx.commit().await?;
        Ok(if moved {
            Flash::good(format!("Ahora es {}.", to.label().to_lowercase()))
        } else {
            Flash::plain("No había nada que cambiar.")
        })
    };
    said(moved.await, &format!("/contacts/{id}"))
}

pub(super) async fn plan(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    signed: Signed,
    Path(id): Path<i64>,
    Form(form): Form<tasks::Draft>,
) -> Answer {
    let (contact, now) = (ContactId(id), state.clock.now());
    let form = tasks::Draft { contact_id: contact.to_string(), ..form };
    let made = async {
        let details = form.check(now)?;
        let mut tx = state.db.begin().await?;
        tasks::create(&mut tx, now, &actor, &details).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    match made.await {
        Ok(()) => Ok(Flash::good("Tarea creada.").to(&format!("/contacts/{id}"))),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            let typed = Typed { task: Some(form), ..Typed::default() };
            ShowPage::load(&state, &mut *state.db.acquire().await?, shell, &signed, contact, Asked::default())
                .await?
                .wrong(typed, errors)
        }
    }
}

/// What the card of a contact on the board is to say, and what it said when the page was opened.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DealForm {
    #[serde(flatten)]
    draft: pipeline::Draft,
    seen_value: String,
    seen_follow_up_on: String,
}

pub(super) async fn deal(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    signed: Signed,
    Path(id): Path<i64>,
    Form(form): Form<DealForm>,
) -> Answer {
    let (contact, now) = (ContactId(id), state.clock.now());
    let seen = pipeline::Draft { value: form.seen_value, follow_up_on: form.seen_follow_up_on };
    let saved = async {
        let (seen, details) = (seen.check().unwrap_or_default(), form.draft.check()?);
        let mut tx = state.db.begin().await?;
        let outcome = pipeline::edit(&mut tx, now, &actor, contact, seen, details).await?;
        tx.commit().await?;
        Ok::<_, Error>(outcome)
    };
    let errors = match saved.await {
        Ok(Outcome::Saved) => {
            return Ok(Flash::good("Guardado en el embudo.").to(&format!("/contacts/{id}")));
        }
        Ok(Outcome::Unchanged) => {
            return Ok(Flash::plain("No había nada que cambiar.").to(&format!("/contacts/{id}")));
        }
        Ok(Outcome::Stale) => {
            let stands = pipeline::card(&state.db, contact).await?.map(|it| it.1).unwrap_or_default();
            Errors(vec![FieldError::new("value", overtaken(&stands))])
        }
        Err(error) => Errors::from_error(error)?,
    };
    let typed = Typed { deal: Some(form.draft), ..Typed::default() };
    ShowPage::load(&state, &mut *state.db.acquire().await?, shell, &signed, contact, Asked::default())
        .await?
        .wrong(typed, errors)
}

/// That somebody else changed a card meanwhile, and to what.
fn overtaken(stands: &Details) -> String {
    let day = stands.follow_up_on.map_or_else(
        || "sin seguimiento".to_owned(),
        |it| format!("con seguimiento el {}", format::date(it)),
    );
    format!(
        "Otra persona lo cambió mientras escribías: ahora dice {}, {day}. Lo tuyo sigue aquí; guarda otra vez para dejarlo.",
        format::money(stands.value)
    )
}
