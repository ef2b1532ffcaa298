//! Campaigns from the shell: list, status, enqueue, pause, resume.

use crate::{
    access::Actor,
    campaigns::{
        campaign::{self, Status},
        launch, outlook, progress, status as life,
    },
    error::{Error, Result},
    ids::CampaignId,
    messaging::{kinds::Status as MessageStatus, outbox::Enqueued},
    state::AppState,
};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// `llovizna campaign …`
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Muestra las campañas con sus cuentas
    List,
    /// Muestra cómo va una campaña
    Status {
        /// Número de la campaña
        #[arg(value_name = "ID")]
        id: CampaignId,
    },
    /// Inicia una campaña y pone en la cola a todas sus personas
    Enqueue {
        /// Número de la campaña
        #[arg(value_name = "ID")]
        id: CampaignId,
    },
    /// Pausa una campaña en curso
    Pause {
        /// Número de la campaña
        #[arg(value_name = "ID")]
        id: CampaignId,
        /// Por qué, para quien la vea en el panel
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Reanuda una campaña en pausa
    Resume {
        /// Número de la campaña
        #[arg(value_name = "ID")]
        id: CampaignId,
    },
}

/// Do it, and give what to print: JSON or words.
///
/// # Errors
/// What the domain refuses, or the database's.
pub(super) async fn run(state: &AppState, command: &Command, as_json: bool) -> Result<String> {
    let (now, actor) = (state.clock.now(), Actor::CommandLine);
    match command {
        Command::List => list(state, as_json).await,
        Command::Status { id } => show(state, *id, None, as_json).await,
        Command::Enqueue { id } => {
            let enqueued = enqueue(state, *id).await?;
            show(state, *id, Some(enqueued), as_json).await
        }
        Command::Pause { id, reason } => {
            let mut tx = state.db.begin().await?;
            let reason =
                if reason.trim().is_empty() { "Se pausó desde la línea de comandos." } else { reason };
            life::pause(&mut tx, now, &actor, *id, reason).await?;
            tx.commit().await?;
            show(state, *id, None, as_json).await
        }
        Command::Resume { id } => {
            let mut tx = state.db.begin().await?;
            life::resume(&mut tx, now, &actor, *id).await?;
            tx.commit().await?;
            show(state, *id, None, as_json).await
        }
    }
}

/// Start a draft, then queue whoever has no row yet.
async fn enqueue(state: &AppState, id: CampaignId) -> Result<Enqueued> {
    let (now, actor) = (state.clock.now(), Actor::CommandLine);
    let mut enqueued = Enqueued::default();
    let mut tx = state.db.begin().await?;
    let status = campaign::get(&mut tx, id).await?.status;
    if matches!(status, Status::Finished | Status::Cancelled) {
        return Err(Error::refused(format!(
            "La campaña {id} está {}: no se agregó a nadie a la cola.",
            status.label().to_lowercase()
        )));
    }
    if status == Status::Draft {
        // Who starts it from a shell asks for its queue at once.
        let held = TimeDelta::zero();
        enqueued = launch::launch(&mut tx, now, &actor, &state.config, id, held).await?.enqueued;
    }
    tx.commit().await?;
    enqueued.add(&launch::enqueue_rest(&state.db, now, &actor, id).await?);
    Ok(enqueued)
}

async fn list(state: &AppState, as_json: bool) -> Result<String> {
    let mut all = Vec::new();
    loop {
        let before = all.last().map(|it: &campaign::Summary| it.id);
        let page = campaign::list(&state.db, None, before, 500).await?;
        let last = page.len() < 500;
        all.extend(page);
        if last {
            break;
        }
    }
    if as_json {
        return Ok(json!({ "campaigns": all }).to_string());
    }
    let mut text = String::new();
    for it in &all {
        let _ = writeln!(
            text,
            "{:>5}  {:<10}  {}  (en cola {}, enviados {}, fallidos {}, bloqueados {}, por confirmar {})",
            it.id,
            it.status.label(),
            it.name,
            it.queued,
            it.sent,
            it.failed,
            it.blocked,
            it.unconfirmed
        );
    }
    Ok(if text.is_empty() { "No hay campañas.".to_owned() } else { text.trim_end().to_owned() })
}

async fn show(state: &AppState, id: CampaignId, enqueued: Option<Enqueued>, as_json: bool) -> Result<String> {
    let mut db = state.db.acquire().await?;
    let it = campaign::get(&mut db, id).await?;
    let progress = progress::of(&mut *db, id).await?;
    let of = |status| progress.count(status);
    if as_json {
        let blocked = |counts: &Enqueued| counts.blocked.values().sum::<u64>();
        let mut answer = json!({
            "id": it.id,
            "name": it.name,
            "status": it.status,
            "pause_reason": it.pause_reason,
            "total": progress.total(),
            "queued": progress.open(),
            "pending": of(MessageStatus::Pending),
            "sending": of(MessageStatus::Sending),
            "sent": progress.left(),
            "failed": of(MessageStatus::Failed),
            "blocked": of(MessageStatus::Blocked),
            "deferred": progress.waiting(),
            "unconfirmed": of(MessageStatus::Unconfirmed),
            "cancelled": of(MessageStatus::Cancelled),
            "blocked_reasons": progress.blocked,
            "deferred_reasons": progress.deferred,
            "next_attempt_at": progress.next_attempt_at,
            "enqueue_done": it.enqueue_done,
            "held_until": it.hold(state.clock.now()),
        });
        if let (Some(counts), Value::Object(fields)) = (&enqueued, &mut answer) {
            fields.insert(
                "enqueued".into(),
                json!({ "queued": counts.queued, "blocked": blocked(counts), "blocked_reasons": counts.blocked }),
            );
        }
        return Ok(answer.to_string());
    }
    let mut text = format!("{} · {} · {}\n", it.id, it.name, it.status.label());
    if let Some(reason) = &it.pause_reason {
        let _ = writeln!(text, "Motivo: {reason}");
    }
    if let Some(until) = it.hold(state.clock.now()) {
        let until = outlook::day_and_hour(until);
        let _ = writeln!(text, "Empieza a salir el {until}; hasta entonces se puede detener en el panel.");
    }
    if let Some(counts) = &enqueued {
        let _ = writeln!(text, "Se agregaron a la cola: {}", counts.queued);
    }
    for (label, count) in [
        ("En cola", progress.open()),
        ("Enviados", progress.left()),
        ("Fallidos", of(MessageStatus::Failed)),
        ("Bloqueados", of(MessageStatus::Blocked)),
        ("Pospuestos", progress.waiting()),
        ("Por confirmar", of(MessageStatus::Unconfirmed)),
        ("Cancelados", of(MessageStatus::Cancelled)),
    ] {
        let _ = writeln!(text, "{label:<14} {count}");
    }
    for (reason, count) in &progress.blocked {
        let _ = writeln!(text, "  fuera: {count} · {}", reason.label());
    }
    for (reason, count) in &progress.deferred {
        let _ = writeln!(text, "  espera: {count} · {}", reason.label());
    }
    Ok(text.trim_end().to_owned())
}
