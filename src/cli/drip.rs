//! One run of the drip from the shell, as the scheduler would do it.

use crate::{
    campaigns::{
        drip::{self, RunReport},
        held_back,
    },
    channels::Channel,
    chile::format,
    clock::Clock,
    error::{Error, Result},
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
    },
    state::AppState,
};
use chrono::{DateTime, Utc};
use std::fmt::Write as _;

/// `llovizna drip run …`
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Mensajes de cada campaña en esta corrida (si no, el de cada campaña)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) batch_size: Option<u32>,
    /// Canal
    #[arg(long, value_enum, default_value = "EMAIL", value_name = "CANAL")]
    pub(super) channel: Channel,
    /// Toma este instante como ahora (RFC 3339), para simular
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    pub(super) at: Option<DateTime<Utc>>,
    /// Decide, pero no escribe ni envía nada
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn instant(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|it| it.to_utc())
        .map_err(|_| "escribe la fecha y hora así: 2026-11-23T12:00:00-03:00".to_owned())
}

/// Run once, and give what to print: JSON or words.
///
/// # Errors
/// [`Error::Refused`] for a channel that cannot send, or the database's.
pub(super) async fn run(state: &AppState, args: &Args, as_json: bool) -> Result<String> {
    let engine = Engine {
        db: state.db.clone(),
        senders: state.senders.clone(),
        config: state.config.clone(),
        clock: args.at.map_or_else(|| state.clock.clone(), Clock::fixed),
    };
    let options = Options {
        batch_size: args.batch_size,
        dry_run: args.dry_run,
        ..Options::new(args.channel, Trigger::CommandLine)
    };
    let report = drip::run_once(&engine, &options).await?;
    if as_json {
        return serde_json::to_string(&report).map_err(|it| Error::Internal(it.to_string()));
    }
    if report.status == "already_running" {
        return Ok("Ya hay una corrida en curso: no se hizo nada.".to_owned());
    }
    let first = &state.config.first_values;
    let why = held_back::in_words(&state.db, first, engine.clock.now(), args.channel).await;
    Ok(format!("{}\n{why}", in_words(&report)).trim_end().to_owned())
}

fn in_words(report: &RunReport) -> String {
    let mut text = String::new();
    if report.dry_run {
        text.push_str("Simulación: no se escribió ni se envió nada.\n");
    }
    let window = if report.window == "open" { "abierto" } else { "cerrado" };
    let _ = writeln!(text, "Horario del canal: {window}");
    if report.window == "closed"
        && let Some(opens) = report.next_window_opens_at
    {
        let _ = writeln!(
            text,
            "Abre: {} (las campañas con horario propio siguen el suyo)",
            format::datetime(opens)
        );
    }
    // Nothing leaves in a rehearsal: what it would let go is what it neither puts off nor refuses.
    let left = if report.dry_run {
        ("Saldrían", report.claimed.saturating_sub(report.deferred + report.blocked))
    } else {
        ("Enviados", report.sent)
    };
    for (label, count) in [
        ("Revisados", report.claimed),
        left,
        ("Pospuestos", report.deferred),
        ("Bloqueados", report.blocked),
        ("Fallidos", report.failed),
        ("Por confirmar", report.unconfirmed),
    ] {
        let _ = writeln!(text, "{label:<14} {count}");
    }
    let _ = writeln!(text, "{:<14} {}", "En cola", report.pending);
    for paused in &report.paused {
        let _ = writeln!(text, "Campaña {} en pausa: {}", paused.campaign_id, paused.reason);
    }
    for paused in &report.paused_mailings {
        let _ = writeln!(text, "Envío a mano {} en pausa: {}", paused.mailing_id, paused.reason);
    }
    if let Some(error) = &report.error {
        let _ = writeln!(text, "No se pudo llegar al servidor de correo: {error}");
    }
    text.trim_end().to_owned()
}
