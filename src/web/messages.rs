//! The messages behind every number, and the whole story of one.

use super::{
    badges::{self, Badge},
    connection::Db,
    flash::Flash,
    form::Form,
    html::{self, Answer},
    messages_asked::Asked,
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::{campaign, wordings::Wordings},
    channels::outbox as captured,
    chile::format,
    contacts::{
        contact, contact_filter,
        contact_list::{self, Sort},
    },
    db::keyset::Place,
    error::{Error, Result},
    ids::{CampaignId, ContactId, MessageId},
    mailings,
    messaging::{
        kinds::{BlockReason, DeferReason, EventKind, Status},
        outbox::{self, Verdict},
        pace, sending,
        story::{self, Deferred, Drawn, Event, Filter, Line, Message},
        tracking::targets,
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/messages", Permission::View, list),
        Route::get("/messages/{id}", Permission::View, show),
        Route::post("/messages/decisions", Permission::DecideMessages, decide_all),
        Route::post("/messages/{id}/decision", Permission::DecideMessages, decide),
    ]
}

const PAGE: i64 = 50;

/// Most people of one search.
const RECIPIENTS: usize = 200;

struct Chip {
    label: &'static str,
    address: String,
    active: bool,
}

struct Row {
    line: Line,
    badge: Badge,
    /// Why it stands so, in words.
    why: String,
    /// When it was asked for: what the list is ordered by.
    when: String,
    /// When it left.
    sent: String,
}

#[derive(Template)]
#[template(path = "messages/list.html")]
struct ListPage {
    shell: Shell,
    asked: Asked,
    chips: Vec<Chip>,
    /// What the list is narrowed to beside its state, with the address without it.
    narrowed: Vec<(String, String)>,
    rows: Vec<Row>,
    newer: String,
    older: String,
    is_filtered: bool,
    /// They wait for a decision, and who looks may decide.
    undecided: bool,
}

async fn list(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Query(asked): Query<Asked>,
) -> Answer {
    let now = state.clock.now();
    let asked = asked.understood(now);
    let before = asked.before.parse().ok().map(MessageId);
    let filter = Filter { recipients: recipients(&mut db, &asked.to).await?, ..asked.filter(now) };
    let mut lines = story::list(&mut db, &filter, before, PAGE + 1).await?;
    let more = lines.len() as i64 > PAGE;
    lines.truncate(usize::try_from(PAGE).unwrap_or_default());
    let older = match lines.last() {
        Some(last) if more => Asked { before: last.id.to_string(), ..asked.clone() }.address(),
        _ => String::new(),
    };
    let newer = if before.is_some() {
        Asked { before: String::new(), ..asked.clone() }.address()
    } else {
        String::new()
    };
    let narrowed = narrowed(&mut db, &asked, now).await?;
    let is_filtered = asked.address() != "/messages";
    let rows: Vec<Row> = lines.into_iter().map(row).collect();
    let waits = asked.status == Status::Unconfirmed.code() && rows.len() > 1;
    let undecided = waits && shell.may(Permission::DecideMessages);
    let chips = chips(&asked);
    html::page(&ListPage { shell, asked, chips, narrowed, rows, newer, older, is_filtered, undecided })
}

/// The people whom `typed` may mean, by their name, address, telephone or RUT; none: nothing to look for was typed.
async fn recipients(db: &mut PgConnection, typed: &str) -> Result<Option<Vec<ContactId>>> {
    let filter = contact_filter::Filter { q: typed.to_owned(), ..contact_filter::Filter::default() };
    if filter.is_empty() {
        return Ok(None);
    }
    let found = contact_list::page(db, &filter, Sort::Newest, Place::First, RECIPIENTS).await?;
    Ok(Some(found.rows.into_iter().map(|it| it.id).collect()))
}

/// What the list is narrowed to beside its state, with the address without it.
async fn narrowed(db: &mut PgConnection, asked: &Asked, now: DateTime<Utc>) -> Result<Vec<(String, String)>> {
    let filter = asked.filter(now);
    let without = |change: &dyn Fn(&mut Asked)| {
        let mut other = asked.clone();
        change(&mut other);
        other.address()
    };
    let mut found = Vec::new();
    if let Some(id) = filter.campaign {
        let name = match campaign::get(&mut *db, id).await {
            Ok(it) => it.name,
            Err(Error::NotFound) => format!("n.º {id}"),
            Err(error) => return Err(error),
        };
        found.push((format!("Campaña: {name}"), without(&|it| it.campaign.clear())));
    }
    if let Some(id) = filter.mailing {
        let name = match mailings::get(&mut *db, id).await {
            Ok(it) => it.title,
            Err(Error::NotFound) => format!("n.º {id}"),
            Err(error) => return Err(error),
        };
        found.push((format!("Envío a mano: {name}"), without(&|it| it.mailing.clear())));
    }
    if let Some(id) = filter.contact {
        let name = match contact::get(&mut *db, id).await {
            Ok(it) => it.full_name(),
            // Messages stay with the row that they were sent to, whoever it was joined into.
            Err(Error::NotFound | Error::Joined(_)) => format!("n.º {id}"),
            Err(error) => return Err(error),
        };
        found.push((format!("Contacto: {name}"), without(&|it| it.contact.clear())));
    }
    if !asked.to.is_empty() {
        found.push((format!("Para: «{}»", asked.to), without(&|it| it.to.clear())));
    }
    if filter.failed_since.is_some() {
        found.push(("Fallaron en los últimos 7 días".to_owned(), without(&|it| it.failed.clear())));
    }
    if filter.sent_since.is_some() {
        found.push(("Promociones enviadas hoy".to_owned(), without(&|it| it.sent.clear())));
    }
    if let Some(reached) = filter.reached {
        found.push((reached.label().to_owned(), without(&|it| it.reached.clear())));
    }
    if let Some((from, until)) = filter.between {
        let label = format!("{} a {}", format::datetime(from), format::datetime(until));
        found.push((label, without(&|it| it.from.clear())));
    }
    if let Some(domain) = &filter.domain {
        found.push((format!("A correos de {domain}"), without(&|it| it.domain.clear())));
    }
    if let Some((text, number)) = filter.link {
        let target =
            targets::of(&mut *db, text, number).await?.unwrap_or_else(|| "uno que no existe".to_owned());
        found.push((format!("Siguieron el enlace {target}"), without(&|it| it.link.clear())));
    }
    if let Some(drawn) = filter.variant {
        let wordings = wordings(&mut *db, filter.campaign).await?;
        let label = match drawn {
            Drawn::InSample(place) => format!("Prueba con {}", wordings.phrase(place)),
            Drawn::Winner => "Con el texto ganador".to_owned(),
            Drawn::Any(place) => format!("Con {}", wordings.phrase(place)),
        };
        found.push((label, without(&|it| it.variant.clear())));
    }
    if filter.bought {
        found.push(("Compraron después".to_owned(), without(&|it| it.bought.clear())));
    }
    if let Some(reason) = filter.block_reason {
        found.push((reason.label().to_owned(), without(&|it| it.reason.clear())));
    }
    if let Some(Deferred::For(reason)) = filter.deferred {
        found.push((reason.label().to_owned(), without(&|it| "1".clone_into(&mut it.deferred))));
    }
    Ok(found)
}

/// As the page of `campaign` calls its texts.
async fn wordings(db: &mut PgConnection, campaign: Option<CampaignId>) -> Result<Wordings> {
    match campaign {
        Some(id) => match Wordings::of(db, id).await {
            Err(Error::NotFound) => Ok(Wordings::default()),
            found => found,
        },
        None => Ok(Wordings::default()),
    }
}

/// Which of several texts a message carries, and why that one; empty: its campaign has one.
async fn text_of(db: &mut PgConnection, message: &Message) -> Result<String> {
    let Some((place, in_sample)) = message.variant else { return Ok(String::new()) };
    let wordings = wordings(db, message.line.campaign).await?;
    let name = wordings.name(place);
    Ok(match (wordings.own.is_empty(), in_sample) {
        (true, true) => format!("{name}, de la prueba"),
        (true, false) => format!("{name}, el ganador"),
        (false, _) if place == 0 => format!("{name}: no era de un rubro con texto propio"),
        (false, _) => name,
    })
}

/// The states to choose from.
fn chips(asked: &Asked) -> Vec<Chip> {
    let here = Asked {
        before: String::new(),
        reason: String::new(),
        sent: String::new(),
        failed: String::new(),
        ..asked.clone()
    };
    let here = if DeferReason::from_code(&here.deferred).is_some() {
        Asked { deferred: "1".to_owned(), ..here }.address()
    } else {
        here.address()
    };
    let status = |status: Status| asked.state(|it| it.status = status.code().to_owned());
    [
        ("Todos", asked.state(|_| ())),
        ("Pendientes", asked.state(|it| it.deferred = "no".to_owned())),
        ("Pospuestos", asked.state(|it| it.deferred = "1".to_owned())),
        ("Enviados", asked.state(|it| it.left = "1".to_owned())),
        ("Fallidos", status(Status::Failed)),
        ("Bloqueados", status(Status::Blocked)),
        ("Por confirmar", status(Status::Unconfirmed)),
        ("Cancelados", status(Status::Cancelled)),
        ("Bajas", asked.state(|it| it.unsubscribed = "1".to_owned())),
    ]
    .into_iter()
    .map(|(label, other)| {
        let address = other.address();
        Chip { label, active: address == here, address }
    })
    .collect()
}

fn row(line: Line) -> Row {
    let badge = badges::message(line.status, line.defer_reason);
    let why = match (line.block_reason, line.defer_reason) {
        (Some(reason), _) => reason.label().to_owned(),
        (None, Some(reason)) if line.status == Status::Pending => {
            format!("{}; sale desde el {}", reason.label(), format::datetime(line.next_attempt_at))
        }
        _ => line.error.clone().unwrap_or_default(),
    };
    let when = format::datetime(line.created_at);
    let sent = line.sent_at.map(format::datetime).unwrap_or_default();
    Row { line, badge, why, when, sent }
}

struct Step {
    event: Event,
    when: String,
    icon: &'static str,
    /// When it is tried again, in words.
    until: String,
}

#[derive(Template)]
#[template(path = "messages/show.html")]
struct ShowPage {
    shell: Shell,
    message: Message,
    badge: Badge,
    steps: Vec<Step>,
    /// What is said of the state: what it means and what follows.
    meaning: String,
    may_decide: bool,
    /// Its address is on the list of exclusion: it can't be tried again.
    is_excluded: bool,
    /// Which of several texts it carries, in words; empty: its campaign has one.
    variant: String,
    outbox: Option<i64>,
    created: String,
    sent: String,
}

async fn show(State(state): State<AppState>, shell: Shell, Db(mut db): Db, Path(id): Path<i64>) -> Answer {
    let message = story::message(&mut db, MessageId(id)).await?;
    let steps = story::events(&mut db, MessageId(id)).await?.into_iter().map(step).collect();
    let outbox = captured::of_message(&mut *db, id).await?;
    let badge = badges::message(message.line.status, message.line.defer_reason);
    let decidable = matches!(message.line.status, Status::Unconfirmed | Status::Failed);
    let may_decide = decidable && shell.may(Permission::DecideMessages);
    html::page(&ShowPage {
        meaning: meaning(&message, outbox.is_some()) + &held_up(&mut db, &state, &message).await?,
        variant: text_of(&mut db, &message).await?,
        created: format::datetime(message.line.created_at),
        sent: message.line.sent_at.map(format::datetime).unwrap_or_default(),
        shell,
        message,
        badge,
        steps,
        may_decide,
        is_excluded: decidable && outbox::excluded(&mut db, &[MessageId(id)]).await? > 0,
        outbox,
    })
}

fn step(event: Event) -> Step {
    let until = |at: DateTime<Utc>| format!("hasta el {}", format::datetime(at));
    Step {
        when: format::datetime(event.at),
        until: event.until.map(until).unwrap_or_default(),
        icon: match event.kind {
            EventKind::Queued | EventKind::Requeued | EventKind::Delayed => "clock",
            EventKind::Allowed | EventKind::Confirmed | EventKind::Delivered => "check",
            EventKind::Deferred | EventKind::Retry => "calendar-time",
            EventKind::Blocked | EventKind::Unsubscribed | EventKind::Complained => "ban",
            EventKind::Sent => "send",
            EventKind::Failed => "alert-circle",
            EventKind::Unconfirmed => "mail-question",
            EventKind::Cancelled => "x",
            EventKind::Bounced => "mail-off",
            EventKind::Replied | EventKind::Opened => "mail-opened",
            EventKind::Clicked => "click",
            EventKind::AutoReplied | EventKind::MachineOpened | EventKind::MachineClicked => "robot",
        },
        event,
    }
}

/// What else a message waits for that nothing but the queue holds: the channel's rate. Empty: it has none.
async fn held_up(db: &mut PgConnection, state: &AppState, message: &Message) -> Result<String> {
    let line = &message.line;
    if line.status != Status::Pending || line.defer_reason.is_some() || !pace::holds(message.sendout) {
        return Ok(String::new());
    }
    if let Some(it) = pace::slowed(&mut *db, line.channel).await? {
        let most = format::count(i64::from(it.per_run), "mensaje", "mensajes");
        return Ok(format!(
            " El canal va más lento por ahora, porque un servidor lo pidió: salen hasta {most} por corrida."
        ));
    }
    let set = sending::of(db, &state.config.first_values, line.channel).await?.per_minute;
    Ok(set.map_or_else(String::new, |it| {
        format!(" Salen hasta {} por minuto.", format::count(i64::from(it), "mensaje", "mensajes"))
    }))
}

/// What the state means and what follows, in a sentence.
fn meaning(message: &Message, is_simulated: bool) -> String {
    let line = &message.line;
    match line.status {
        Status::Pending => match line.defer_reason {
            Some(reason) => {
                let patience = match reason {
                    DeferReason::Retry => " Se insiste cada vez más espaciado, por tres días; por cinco si el servidor pide ir más lento.",
                    _ => "",
                };
                format!("Espera por «{}». Se vuelve a intentar desde el {}.{patience}", reason.label(), format::datetime(line.next_attempt_at))
            }
            None => "Está en la cola: sale en una de las próximas corridas, cada 10 minutos dentro del horario de envío.".to_owned(),
        },
        Status::Sending => "Se está entregando al servidor de correo en este momento.".to_owned(),
        Status::Blocked => format!(
            "No salió ni saldrá: {}.",
            line.block_reason.map_or("sin motivo", BlockReason::label).to_lowercase()
        ),
        Status::Failed => "El servidor de correo lo rechazó, o pidió esperar durante días. No se volverá a intentar, salvo que tú lo decidas.".to_owned(),
        Status::Unconfirmed => {
            "El envío se cortó justo al entregar el mensaje, así que no sabemos si llegó. No se reenvía solo, para no duplicarlo: decide tú.".to_owned()
        }
        Status::Cancelled => "Se canceló antes de salir.".to_owned(),
        Status::Bounced => match &line.error {
            Some(answer) => format!("Volvió sin entregarse. El servidor de la persona dijo: {answer}"),
            None => "Volvió sin entregarse.".to_owned(),
        },
        Status::Replied => "La persona lo respondió. Su respuesta está en su ficha.".to_owned(),
        Status::Opened => "La persona lo abrió.".to_owned(),
        Status::Clicked => "La persona lo abrió y siguió un enlace.".to_owned(),
        Status::Delivered => "Llegó a la casilla de la persona.".to_owned(),
        _ if is_simulated => {
            "El correo está simulado: el mensaje quedó en la bandeja de salida y nada salió a internet.".to_owned()
        }
        Status::Sent => "El servidor de correo lo recibió.".to_owned(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decision {
    verdict: String,
}

/// What a person decided, and what is said of it; none: there is no such decision.
fn verdict_of(code: &str) -> Option<(Verdict, &'static str)> {
    Some(match code {
        "left" => (Verdict::Left, "Quedó como enviado."),
        "again" => (
            Verdict::Again,
            "Volvió a la cola: sale en la próxima corrida si el horario y los topes lo permiten.",
        ),
        "drop" => (Verdict::Drop, "Quedó cancelado: no se enviará."),
        _ => return None,
    })
}

fn no_such_verdict() -> Error {
    Error::refused("Esa decisión no existe. No se cambió nada: vuelve al mensaje y elige una.")
}

/// Decide on all that a page of the list shows.
async fn decide_all(
    State(state): State<AppState>,
    actor: Actor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Answer {
    let one = |name: &str| fields.iter().find(|it| it.0 == name).map_or("", |it| it.1.as_str());
    let (verdict, _) = verdict_of(one("verdict")).ok_or_else(no_such_verdict)?;
    let ids = fields.iter().filter(|it| it.0 == "id").filter_map(|it| it.1.parse().ok().map(MessageId));
    let ids: Vec<MessageId> = ids.take(usize::try_from(PAGE).unwrap_or_default()).collect();
    let mut tx = state.db.begin().await?;
    let done = outbox::settle_all(&mut tx, state.clock.now(), &actor, &ids, verdict).await?;
    let excluded = if verdict == Verdict::Again { outbox::excluded(&mut tx, &ids).await? } else { 0 };
    tx.commit().await?;
    let done = i64::try_from(done).unwrap_or(i64::MAX);
    let left = i64::try_from(ids.len()).unwrap_or(i64::MAX) - done - excluded;
    let words = match verdict {
        Verdict::Left => format::count(done, "mensaje quedó como enviado", "mensajes quedaron como enviados"),
        Verdict::Again => format::count(done, "mensaje volvió a la cola", "mensajes volvieron a la cola"),
        Verdict::Drop => format::count(done, "mensaje quedó cancelado", "mensajes quedaron cancelados"),
    };
    let rest = match left {
        0 => String::new(),
        1 => " Uno ya no esperaba esa decisión y sigue como estaba.".to_owned(),
        n => format!(" {} ya no esperaban esa decisión y siguen como estaban.", format::number(n)),
    };
    let stays = match excluded {
        0 => String::new(),
        1 => " Uno no vuelve: su dirección está en la lista de exclusión.".to_owned(),
        n => format!(" {} no vuelven: sus direcciones están en la lista de exclusión.", format::number(n)),
    };
    Ok(Flash::good(format!("{words}.{stays}{rest}")).to("/messages?status=UNCONFIRMED"))
}

async fn decide(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<i64>,
    Form(form): Form<Decision>,
) -> Answer {
    let (verdict, said) = verdict_of(&form.verdict).ok_or_else(no_such_verdict)?;
    let mut tx = state.db.begin().await?;
    outbox::settle(&mut tx, state.clock.now(), &actor, MessageId(id), verdict).await?;
    tx.commit().await?;
    Ok(Flash::good(said).to(&format!("/messages/{id}")))
}
