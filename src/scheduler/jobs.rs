//! The table of scheduled jobs: name, when, what.

use super::runs;
use crate::{
    accounts::cleanup,
    campaigns::{domain_review, drip, forecast, held_back},
    channels::Channel,
    chile::{format, slots::When},
    contacts::{duplicates, inactivity},
    deliverability::{Level, Question},
    error::{Error, Result},
    messaging::{
        compose::Sender,
        drain::{self, Engine, Options},
        inbound::mailbox,
        runs::Trigger,
    },
    settings::{self, Business, EmailChannel},
    state::AppState,
};
use chrono::TimeDelta;
use std::{future::Future, pin::Pin};
use tokio_util::sync::CancellationToken;

/// What a job gives: its outcome in a Spanish sentence.
type Running = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

/// A scheduled job.
pub struct Job {
    /// As on the command line and in `job_runs`.
    pub name: &'static str,
    /// As people read it.
    pub label: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its slots.
    pub when: When,
    /// The last tells who started it.
    pub(super) run: fn(AppState, CancellationToken, Trigger) -> Running,
}

/// The job that empties the queue, whose runs have records of their own.
pub const DRIP: &str = "drip";

/// Every job.
pub const JOBS: &[Job] = &[
    Job {
        name: DRIP,
        label: "Goteo de mensajes",
        about: "Envía lo que está en la cola, de a poco y dentro del horario.",
        when: forecast::RUNS,
        run: |state, stop, trigger| Box::pin(drip(state, stop, trigger)),
    },
    Job {
        name: "mailbox",
        label: "Casilla de rebotes y respuestas",
        about: "Lee los correos nuevos de la casilla: qué rebotó, quién reclamó y quién respondió.",
        when: When::EveryMinutes(10),
        run: |state, stop, _| Box::pin(read_mailbox(state, stop)),
    },
    Job {
        name: "inactivity",
        label: "Inactividad",
        about: "Pasa a inactivo a quien lleva demasiados días sin actividad.",
        when: When::DailyAt(10),
        run: |state, stop, _| Box::pin(inactivity(state, stop)),
    },
    Job {
        name: "duplicates",
        label: "Búsqueda de duplicados",
        about: "Busca fichas que pueden ser de la misma persona, para que alguien las compare.",
        when: When::DailyAt(3),
        run: |state, _, _| Box::pin(duplicates(state)),
    },
    Job {
        name: "domain",
        label: "Revisión del dominio",
        about: "Pregunta al DNS si SPF, DKIM y DMARC del dominio que envía siguen bien, para decirlo antes de cada campaña.",
        when: When::DailyAt(5),
        run: |state, _, _| Box::pin(domain(state)),
    },
    Job {
        name: "cleanup",
        label: "Limpieza",
        about: "Borra sesiones vencidas, intentos de entrada antiguos y corridas de hace más de 90 días.",
        when: When::DailyAt(4),
        run: |state, _, _| Box::pin(clean(state)),
    },
];

/// The job called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Job> {
    JOBS.iter().find(|it| it.name == name)
}

async fn drip(state: AppState, stop: CancellationToken, trigger: Trigger) -> Result<String> {
    let engine = Engine {
        db: state.db.clone(),
        senders: state.senders.clone(),
        config: state.config.clone(),
        clock: state.clock.clone(),
    };
    let options = Options { time_box: Some(drain::RUN_LASTS), stop, ..Options::new(Channel::Email, trigger) };
    let report = drip::run_once(&engine, &options).await?;
    if report.status == "already_running" {
        return Ok("Ya había una corrida en marcha.".to_owned());
    }
    let mut reasons =
        report.paused.iter().map(|it| &it.reason).chain(report.paused_mailings.iter().map(|it| &it.reason));
    let trouble = report.error.or_else(|| reasons.next().cloned());
    if let Some(trouble) = trouble {
        return Err(Error::refused(trouble));
    }
    // Who asked for it now looks for what did not leave; a run at its hour comes again.
    let why = match trigger {
        Trigger::Panel | Trigger::CommandLine => {
            let first = &state.config.first_values;
            held_back::in_words(&state.db, first, state.clock.now(), Channel::Email).await
        }
        Trigger::Scheduler | Trigger::Http => String::new(),
    };
    let done = format!(
        "{}, {}, {}, {}.",
        format::count(i64::from(report.sent), "enviado", "enviados"),
        format::count(i64::from(report.deferred), "pospuesto", "pospuestos"),
        format::count(i64::from(report.blocked), "bloqueado", "bloqueados"),
        format::count(i64::from(report.failed), "fallido", "fallidos"),
    );
    Ok(if why.is_empty() { done } else { format!("{done} {why}") })
}

async fn read_mailbox(state: AppState, stop: CancellationToken) -> Result<String> {
    let Some(imap) = &state.config.imap else {
        return Ok("No hay casilla conectada: define IMAP_URL donde corre Llovizna.".to_owned());
    };
    let read = mailbox::run_once(&state.db, state.clock.now(), imap, None, &stop).await?;
    Ok(format!(
        "{}, {}.",
        format::count(i64::try_from(read.read).unwrap_or(i64::MAX), "correo leído", "correos leídos"),
        format::count(i64::try_from(read.new).unwrap_or(i64::MAX), "novedad", "novedades"),
    ))
}

/// How long the records of runs are kept.
const KEPT: TimeDelta = TimeDelta::days(90);

async fn duplicates(state: AppState) -> Result<String> {
    let waiting = duplicates::look(&state.db, state.clock.now()).await?;
    Ok(format!(
        "{}.",
        format::count(i64::try_from(waiting).unwrap_or(i64::MAX), "par por revisar", "pares por revisar")
    ))
}

async fn domain(state: AppState) -> Result<String> {
    if state.config.smtp.is_none() {
        return Ok("No hay un servidor de correo conectado: nada sale de un dominio.".to_owned());
    }
    let first = &state.config.first_values;
    let business: Business = settings::load(&state.db, first).await?;
    let channel: EmailChannel = settings::load(&state.db, first).await?;
    let from = Sender::of_email(&state.config, &business, &channel);
    if !from.domain().contains('.') {
        return Ok("Falta la dirección desde la que salen los correos.".to_owned());
    }
    let question = Question::of(&state.config, from.domain());
    let Some(examined) = state.doctor.examine(state.clock.now(), question).await else {
        return Ok("No hay servidores de nombres a los que preguntar.".to_owned());
    };
    domain_review::keep(&state.db, &examined).await?;
    let faults = examined.findings.iter().filter(|it| it.level != Level::Good).count();
    Ok(match i64::try_from(faults).unwrap_or(i64::MAX) {
        0 => "Todo en orden.".to_owned(),
        faults => format!("{}.", format::count(faults, "parte por mirar", "partes por mirar")),
    })
}

async fn clean(state: AppState) -> Result<String> {
    let now = state.clock.now();
    let gone = cleanup::run_once(&state.db, now).await? + runs::forget(&state.db, now - KEPT).await?;
    Ok(format!(
        "{}.",
        format::count(i64::try_from(gone).unwrap_or(i64::MAX), "registro borrado", "registros borrados")
    ))
}

async fn inactivity(state: AppState, stop: CancellationToken) -> Result<String> {
    let moved = inactivity::run_once(&state.db, state.clock.now(), &stop).await?;
    let moved = i64::try_from(moved).unwrap_or(i64::MAX);
    Ok(match moved {
        0 => "Nadie pasó a inactivo.".to_owned(),
        _ => format!("{} a inactivo.", format::count(moved, "contacto pasó", "contactos pasaron")),
    })
}
