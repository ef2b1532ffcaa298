//! What is done to a campaign: start, pause, resume, cancel, try out, retry.

use super::{
    connection::Db,
    filters,
    flash::{Flash, done_or_refused},
    form::Form,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::{
        campaign::{self, Campaign, Status},
        checklist::{self, Checklist},
        copies, hold, launch, outlook, progress, status as life, trial,
    },
    channels::{self, Channel, outbox as captured},
    chile::format,
    error::{Error, Result},
    ids::{CampaignId, MessageId},
    messaging::{
        drain::{self, Engine, Options},
        kinds::Status as MessageStatus,
        outbox,
        runs::Trigger,
        story,
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Extension, Path, State};
use chrono::TimeDelta;
use serde::Deserialize;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/{id}/launch", Permission::SendCampaigns, ask_launch),
        Route::post("/campaigns/{id}/launch", Permission::SendCampaigns, start),
        Route::delete("/campaigns/{id}/launch", Permission::SendCampaigns, take_back),
        Route::post("/campaigns/{id}/pause", Permission::SendCampaigns, pause),
        Route::delete("/campaigns/{id}/pause", Permission::SendCampaigns, resume),
        Route::post("/campaigns/{id}/resume", Permission::SendCampaigns, resume),
        Route::get("/campaigns/{id}/cancellation", Permission::SendCampaigns, ask_cancellation),
        Route::post("/campaigns/{id}/cancellation", Permission::SendCampaigns, cancel),
        Route::post("/campaigns/{id}/test", Permission::SendTests, send_test).within(Duration::from_mins(5)),
        Route::post("/campaigns/{id}/receipts", Permission::SendTests, test_received),
        Route::post("/campaigns/{id}/copies", Permission::EditCampaigns, duplicate),
        Route::post("/campaigns/{id}/templates", Permission::EditCampaigns, keep_text),
        Route::get("/campaigns/{id}/deletion", Permission::EditCampaigns, ask_deletion),
        Route::delete("/campaigns/{id}", Permission::EditCampaigns, delete),
        Route::post("/campaigns/{id}/retries", Permission::DecideMessages, retry),
    ]
}

fn page_of(id: CampaignId) -> String {
    format!("/campaigns/{id}")
}

#[derive(Template)]
#[template(path = "campaigns/launch.html")]
struct LaunchPage {
    shell: Shell,
    campaign: Campaign,
    checklist: Checklist,
    sentence: String,
    outlook: Option<String>,
    /// The time in which it may be taken back; empty: none.
    held: String,
}

/// The one question before it starts, with the number of people it touches.
async fn ask_launch(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
) -> Answer {
    let now = state.clock.now();
    let campaign = campaign::get(&mut db, id).await?;
    if campaign.status != Status::Draft {
        return Ok(Flash::plain("Esta campaña ya se inició.").to(&page_of(id)));
    }
    let checklist = checklist::of(&mut db, now, &state.config, &campaign).await?;
    let people = checklist.recipients();
    let from =
        checklist.outlook.of_all(&campaign, people, &checklist.later, now).map_or(String::new(), |it| {
            if it.starts <= now {
                ", desde ahora".to_owned()
            } else {
                format!(" desde el {}", outlook::day_and_hour(it.starts))
            }
        });
    let count = format::count(i64::try_from(people).unwrap_or(i64::MAX), "persona", "personas");
    let sentence = format!("Se enviará a {count}{from}.");
    let outlook = checklist.outlook.sentence(&campaign, people, checklist.later.people(), now);
    let held = for_long(hold::time(&mut *db, &state.config).await?);
    html::page(&LaunchPage { shell, campaign, checklist, sentence, outlook, held })
}

/// `2 minutos`, `90 segundos`; empty for no time.
fn for_long(time: TimeDelta) -> String {
    match time.num_seconds() {
        0 => String::new(),
        seconds if seconds % 60 == 0 => format::count(seconds / 60, "minuto", "minutos"),
        seconds => format::count(seconds, "segundo", "segundos"),
    }
}

async fn start(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let held = hold::time(&mut *tx, &state.config).await?;
    let launched = match launch::launch(&mut tx, state.clock.now(), &actor, &state.config, id, held).await {
        Ok(it) => it,
        Err(Error::Refused(sentence)) => return Ok(Flash::bad(sentence).to(&page_of(id))),
        Err(error) => return Err(error.into()),
    };
    tx.commit().await?;
    if launched.held_until.is_some() {
        return Ok(Flash::good("La campaña se inició. Todavía puedes detenerla sin que salga nada.")
            .to(&page_of(id)));
    }
    let blocked: u64 = launched.enqueued.blocked.values().sum();
    let number = |count: u64| format::number(i64::try_from(count).unwrap_or(i64::MAX));
    let left_out = match blocked {
        0 => String::new(),
        _ => format!(" y {} fuera, cada una con su razón", number(blocked)),
    };
    let rest = if launched.complete { "." } else { "; el resto entra en los próximos minutos." };
    let text =
        format!("La campaña está en curso: {} en la cola{left_out}{rest}", number(launched.enqueued.queued));
    Ok(Flash::good(text).to(&page_of(id)))
}

/// "Detener": the launch as if it had not been.
async fn take_back(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = hold::take_back(&mut tx, state.clock.now(), &actor, id).await;
    let result = commit(tx, result).await;
    let done = Flash::good("La detuviste a tiempo: no salió nada y vuelve a ser un borrador.");
    done_or_refused(result, done, &page_of(id))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PauseForm {
    reason: String,
}

async fn pause(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
    Form(form): Form<PauseForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let reason: String = form.reason.chars().take(500).collect();
    let is_held = campaign::get(&mut tx, id).await?.hold(state.clock.now()).is_some();
    let result = life::pause(&mut tx, state.clock.now(), &actor, id, &reason).await;
    let result = commit(tx, result).await;
    let words = if is_held {
        "La campaña está en pausa. Todavía no se había puesto a nadie en la cola."
    } else {
        "La campaña está en pausa. Lo que falta por enviar quedó en la cola."
    };
    let done = Flash::plain(words).undo(format!("/campaigns/{id}/resume"));
    done_or_refused(result, done, &page_of(id))
}

async fn resume(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = life::resume(&mut tx, state.clock.now(), &actor, id).await;
    let result = commit(tx, result).await;
    done_or_refused(result, Flash::good("La campaña sigue en curso."), &page_of(id))
}

#[derive(Template)]
#[template(path = "campaigns/cancellation.html")]
struct CancellationPage {
    shell: Shell,
    campaign: Campaign,
    open: i64,
    left: i64,
}

async fn ask_cancellation(shell: Shell, Db(mut db): Db, Path(id): Path<CampaignId>) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let progress = progress::of(&mut *db, id).await?;
    let int = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (open, left) = (int(progress.open()), int(progress.left()));
    html::page(&CancellationPage { shell, campaign, open, left })
}

async fn cancel(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = life::cancel(&mut tx, state.clock.now(), &actor, id).await;
    let dropped = i64::try_from(*result.as_ref().unwrap_or(&0)).unwrap_or(i64::MAX);
    let result = commit(tx, result.map(drop)).await;
    let text = format!(
        "La campaña se canceló: {} ya no saldrán. Lo enviado queda en el registro.",
        format::count(dropped, "mensaje", "mensajes")
    );
    done_or_refused(result, Flash::plain(text), &page_of(id))
}

async fn keep_text(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    match copies::keep_text(&mut tx, state.clock.now(), &actor, &state.config, id).await {
        Ok(template) => {
            tx.commit().await?;
            let said =
                "El texto de la campaña quedó como plantilla. Lo que le cambies aquí no cambia la campaña.";
            Ok(Flash::good(said).to(&format!("/templates/{template}/edit")))
        }
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            Ok(Flash::bad(format!("No se guardó como plantilla. {}", said.join(" "))).to(&page_of(id)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn duplicate(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let copy = match copies::duplicate(&mut tx, state.clock.now(), &actor, id).await {
        // A text of older days that may not be saved again: its own page says what is wrong with it.
        Err(Error::Invalid(fields)) => {
            let all: Vec<String> = fields.into_iter().map(|it| it.message).collect();
            return Ok(Flash::bad(format!("No se pudo duplicar. {}", all.join(" "))).to(&page_of(id)));
        }
        copy => copy?,
    };
    tx.commit().await?;
    Ok(Flash::good("Este borrador es una copia. La original no cambia.")
        .to(&format!("/campaigns/{copy}/edit")))
}

#[derive(Template)]
#[template(path = "campaigns/deletion.html")]
struct DeletionPage {
    shell: Shell,
    campaign: Campaign,
}

async fn ask_deletion(shell: Shell, Db(mut db): Db, Path(id): Path<CampaignId>) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    html::page(&DeletionPage { shell, campaign })
}

async fn delete(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = copies::delete(&mut tx, state.clock.now(), &actor, id).await;
    let result = commit(tx, result).await;
    let back = if result.is_ok() { "/campaigns".to_owned() } else { page_of(id) };
    done_or_refused(result, Flash::plain("El borrador se eliminó."), &back)
}

async fn retry(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let result = outbox::retry_failed(&mut tx, now, &actor, id).await;
    let back = i64::try_from(*result.as_ref().unwrap_or(&0)).unwrap_or(i64::MAX);
    let result = commit(tx, result.map(drop)).await;
    let mut text = format!("{} de vuelta en la cola.", format::count(back, "mensaje", "mensajes"));
    if result.is_ok() {
        life::settle(&state.db, now).await?;
        let left = progress::of(&state.db, id).await?.count(MessageStatus::Failed);
        if left > 0 {
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            let (out, whose) = if left == 1 {
                ("Quedó", "su dirección está")
            } else {
                ("Quedaron", "sus direcciones están")
            };
            text = format!("{text} {out} fuera {}: {whose} en la lista de exclusión.", format::number(left));
        }
    }
    done_or_refused(result, Flash::good(text), &page_of(id))
}

/// Which of several texts is tried out.
#[derive(Deserialize, Default)]
#[serde(default)]
struct TestForm {
    variant: String,
}

/// Send the text in force to the person who asks, at once.
async fn send_test(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Form(form): Form<TestForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let place = form.variant.parse().unwrap_or_default();
    let now = state.clock.now();
    let asked = trial::send(&mut tx, now, &actor, &state.config, id, place, &shell.email).await;
    let message = match asked {
        Ok(it) => it,
        Err(Error::Refused(sentence)) => return Ok(Flash::bad(sentence).to(&page_of(id))),
        Err(error) => return Err(error.into()),
    };
    tx.commit().await?;
    let flash = deliver(&state, message, &shell.email).await?;
    Ok(flash.to(&page_of(id)))
}

/// The person who asked for a test says that it arrived.
async fn test_received(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let new = trial::received(&mut tx, state.clock.now(), &actor, id).await?;
    tx.commit().await?;
    let flash = match new {
        0 => Flash::plain("Aún no hay una prueba del texto actual que confirmar."),
        _ => Flash::good("Quedó anotado: la prueba llegó."),
    };
    Ok(flash.to(&page_of(id)))
}

/// Drain the one message, and say what came of it.
async fn deliver(state: &AppState, message: MessageId, address: &str) -> Result<Flash> {
    let mut options = Options::new(Channel::Email, Trigger::Panel);
    options.only = Some(message);
    options.stop = state.stop.child_token();
    // On its own: a page that is closed must not cut the message off.
    let engine = engine(state);
    let run = tokio::spawn(async move { drain::run(&engine, &options).await });
    run.await.map_err(|it| Error::Internal(format!("test message: {it}")))??;
    let mut db = state.db.acquire().await?;
    let after = story::message(&mut db, message).await?;
    let outbox = captured::of_message(&state.db, message.0).await?;
    Ok(match (after.line.status, outbox) {
        (it, Some(id)) if it.has_left() => {
            Flash::good("La prueba quedó en la bandeja de salida; nada salió a internet.")
                .link("Verla", format!("/outbox/{id}"))
        }
        (it, None) if it.has_left() => Flash::good(format!("La prueba salió a {address}.")),
        (MessageStatus::Blocked, _) => {
            let reason = after.line.block_reason.map_or("", |it| it.label());
            Flash::bad(format!("La prueba no salió a {address}: {}.", reason.to_lowercase()))
        }
        (other, _) => {
            let answer = after.line.error.map_or(String::new(), |it| format!(" {}", channels::said(&it)));
            Flash::bad(if other == MessageStatus::Pending {
                format!("La prueba quedó en la cola y se reintentará.{answer}")
            } else {
                format!("La prueba no salió; está «{}».{answer}", other.label().to_lowercase())
            })
        }
    })
}

/// What a run of the drip needs, from what a request has.
pub(super) fn engine(state: &AppState) -> Engine {
    Engine {
        db: state.db.clone(),
        senders: state.senders.clone(),
        config: state.config.clone(),
        clock: state.clock.clone(),
    }
}

async fn commit(tx: crate::db::Tx<'_>, result: Result<()>) -> Result<()> {
    result?;
    Ok(tx.commit().await?)
}
