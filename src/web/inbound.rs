//! What came back of what was sent: bounces, complaints, answers, and those that
//! nobody could match.

use super::{
    badges::{self, Badge},
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
    channels::feedback::Kind,
    error::Error,
    ids::MessageId,
    messaging::inbound::ledger::{self, Candidate, Event, Line, Which},
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/inbound", Permission::View, list),
        Route::get("/inbound/{id}", Permission::View, show),
        Route::post("/inbound/{id}/message", Permission::DecideMessages, assign),
        Route::post("/inbound/{id}/dismissal", Permission::DecideMessages, set_aside),
    ]
}

const PAGE: usize = 50;

/// Messages that are offered for an event, at most.
const CANDIDATES: i64 = 10;

/// What may be asked for: as in the address, in words, and what it means.
const VIEWS: &[(&str, &str, Which)] = &[
    ("", "Todo lo que volvió", Which::Returned),
    ("unmatched", "Sin asignar", Which::Unmatched),
    ("bounces", "Rebotes", Which::Of(&[Kind::HardBounce, Kind::SoftBounce, Kind::SenderRefused])),
    ("complaints", "Reclamos", Which::Of(&[Kind::Complaint])),
    ("opt-outs", "Bajas", Which::Of(&[Kind::OptOut])),
    ("replies", "Respuestas", Which::Of(&[Kind::Reply])),
    ("auto-replies", "Automáticas", Which::Of(&[Kind::AutoReply])),
    ("delays", "Demoras", Which::Of(&[Kind::Deferred])),
    ("deliveries", "Entregas", Which::Of(&[Kind::Delivered])),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    kind: String,
    before: String,
}

struct Chip {
    label: &'static str,
    address: String,
    active: bool,
}

struct Row {
    line: Line,
    badge: Badge,
    /// What it says, in words.
    words: String,
}

#[derive(Template)]
#[template(path = "inbound/list.html")]
struct ListPage {
    shell: Shell,
    chips: Vec<Chip>,
    rows: Vec<Row>,
    newer: String,
    older: String,
    /// Nothing ever came back.
    is_unused: bool,
}

fn address(kind: &str, before: Option<i64>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !kind.is_empty() {
        query.append_pair("kind", kind);
    }
    if let Some(before) = before {
        query.append_pair("before", &before.to_string());
    }
    let query = query.finish();
    if query.is_empty() { "/inbound".to_owned() } else { format!("/inbound?{query}") }
}

async fn list(shell: Shell, Db(mut db): Db, Query(asked): Query<Asked>) -> Answer {
    let view = VIEWS.iter().find(|it| it.0 == asked.kind).unwrap_or(&VIEWS[0]);
    let before: Option<i64> = asked.before.parse().ok();
    let limit = i64::try_from(PAGE).unwrap_or(i64::MAX) + 1;
    let mut lines = ledger::list(&mut db, view.2, before, limit).await?;
    let more = lines.len() > PAGE;
    lines.truncate(PAGE);
    let older = lines.last().filter(|_| more).map(|it| address(view.0, Some(it.id))).unwrap_or_default();
    let newer = if before.is_some() { address(view.0, None) } else { String::new() };
    let is_unused = lines.is_empty() && ledger::is_empty(&mut db).await?;
    let chips = VIEWS
        .iter()
        .map(|it| Chip { label: it.1, address: address(it.0, None), active: it.0 == view.0 })
        .collect();
    let rows = lines.into_iter().map(row).collect();
    html::page(&ListPage { shell, chips, rows, newer, older, is_unused })
}

fn row(line: Line) -> Row {
    Row { badge: badges::inbound(line.kind), words: words(&line), line }
}

/// Whose fault, and the server's words; the subject of an answer.
fn words(line: &Line) -> String {
    let said = line.diagnostic.as_deref().or(line.subject.as_deref()).unwrap_or_default();
    match (line.cause, said) {
        (Some(cause), "") => format!("{}.", cause.label()),
        (Some(cause), said) => format!("{}: {said}", cause.label()),
        (None, said) => said.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "inbound/show.html")]
struct ShowPage {
    shell: Shell,
    event: Event,
    badge: Badge,
    words: String,
    /// What became of it, in a sentence.
    meaning: String,
    candidates: Vec<Candidate>,
    may_decide: bool,
    wrong: String,
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<i64>) -> Answer {
    page(&state, shell, id, String::new()).await
}

async fn page(state: &AppState, shell: Shell, id: i64, wrong: String) -> Answer {
    let mut db = state.db.acquire().await?;
    let event = ledger::get(&mut db, id).await?;
    let open = matches!(event.line.status.as_str(), "UNMATCHED" | "SET_ASIDE");
    let may_decide = open && shell.may(Permission::DecideMessages);
    let candidates =
        if may_decide { ledger::candidates(&mut db, &event, CANDIDATES).await? } else { Vec::new() };
    let failed = !wrong.is_empty();
    let page = ShowPage {
        badge: badges::inbound(event.line.kind),
        words: words(&event.line),
        meaning: meaning(&event),
        shell,
        event,
        candidates,
        may_decide,
        wrong,
    };
    if failed { html::invalid(&page) } else { html::page(&page) }
}

/// What became of it, in a sentence.
fn meaning(event: &Event) -> String {
    let line = &event.line;
    match line.status.as_str() {
        "NEW" if event.trouble.is_some() => {
            "No se pudo aplicar todavía; se vuelve a intentar solo. Si sigue así mañana, revisa los registros del servidor.".to_owned()
        }
        "NEW" => "Acaba de llegar: se aplica en unos segundos.".to_owned(),
        "SET_ASIDE" => "Alguien del equipo lo descartó. Queda guardado, por si acaso.".to_owned(),
        "UNMATCHED" => match line.kind {
            Kind::Delivered | Kind::Deferred => {
                "No corresponde a un mensaje enviado desde aquí. No hay nada que hacer.".to_owned()
            }
            _ => "No sabemos de qué mensaje habla. Si lo reconoces, asígnalo; si no es de aquí, descártalo.".to_owned(),
        },
        _ => match line.kind {
            Kind::Delivered => "El mensaje quedó como entregado.",
            Kind::Deferred => "El mensaje sigue en camino: el servidor de la persona se toma su tiempo.",
            Kind::HardBounce => "El mensaje quedó como rebotado y la dirección, en la lista de exclusión: no se le escribe más.",
            Kind::SoftBounce => "El mensaje quedó como rebotado. A la dirección se le puede volver a escribir.",
            Kind::SenderRefused => "El mensaje quedó como rebotado, y lo que falta de su campaña o envío a mano, en pausa hasta que alguien lo reanude. La persona no tiene culpa: sigue en tu base.",
            Kind::Complaint => "La persona no recibirá más promociones, por ningún canal.",
            Kind::OptOut => "La persona no recibirá más promociones por correo.",
            Kind::Reply => "El mensaje quedó como respondido y la respuesta está en la ficha de la persona.",
            Kind::AutoReply => "La envió una máquina: no cuenta como respuesta.",
        }
        .to_owned(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Assigned {
    message: String,
}

async fn assign(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<i64>,
    Form(form): Form<Assigned>,
) -> Answer {
    let digits: String = form.message.chars().filter(char::is_ascii_digit).collect();
    let Ok(message) = digits.parse() else {
        return page(&state, shell, id, "Escribe el número del mensaje.".to_owned()).await;
    };
    let mut tx = state.db.begin().await?;
    match ledger::assign(&mut tx, state.clock.now(), &actor, id, MessageId(message)).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Flash::good("Quedó asignado y ya hizo lo que significa.").to(&format!("/inbound/{id}")))
        }
        Err(Error::Invalid(fields)) => {
            drop(tx);
            let wrong = fields.into_iter().map(|it| it.message).next().unwrap_or_default();
            page(&state, shell, id, wrong).await
        }
        Err(error) => Ok(done_or_refused(Err(error), Flash::plain(""), &format!("/inbound/{id}"))?),
    }
}

async fn set_aside(State(state): State<AppState>, actor: Actor, Path(id): Path<i64>) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = ledger::set_aside(&mut tx, state.clock.now(), &actor, id).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let said = Flash::good("Quedó descartado. No se borra: lo encuentras por su fecha.");
    done_or_refused(done, said, "/inbound?kind=unmatched")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_view_leads_to_it() {
        assert_eq!(address("", None), "/inbound");
        assert_eq!(address("bounces", Some(7)), "/inbound?kind=bounces&before=7");
        assert!(VIEWS.iter().filter(|it| it.0.is_empty()).count() == 1);
    }
}
