//! `llovizna audit`: whether the log of messages is still what the program wrote.

use super::{Said, said};
use crate::{
    accounts::keys,
    chile::format,
    error::Result,
    messaging::evidence::{
        seal::{self, Pass},
        verify::{self, Broken, Question, Report},
    },
    state::AppState,
};
use serde_json::json;
use std::{fmt::Write as _, time::Duration};

/// Times that those who write are waited for.
const PATIENCE: u32 = 50;

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Comprueba que nadie cambió el registro de envíos por fuera del programa
    Verify {
        /// Un sello que guardaste antes: comprueba también que siga en la cadena
        #[arg(long, value_name = "SELLO")]
        head: Option<String>,
    },
}

pub(super) async fn run(state: &AppState, command: Command, as_json: bool) -> Result<Said> {
    let Command::Verify { head } = command;
    let question = Question { head: head.as_deref().map(verify::head_from_text).transpose()? };
    let key = keys::evidence(&state.config)?;
    // What waits to be sealed is sealed first, so that nothing is left out for being new.
    let mut patience = PATIENCE;
    loop {
        match seal::now(&state.db, state.clock.now(), &key).await? {
            Pass::Sealed(_) => (),
            Pass::Busy if patience > 0 => {
                patience -= 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Pass::Busy | Pass::Idle => break,
        }
    }
    let report = verify::all(&state.db, &key, &question).await?;
    let it = said(as_json, &words(&report), &json(&report));
    Ok(Said { is_failure: report.broken.is_some(), ..it })
}

fn words(report: &Report) -> String {
    let count = |count: u64, one: &str, many: &str| {
        format::count(i64::try_from(count).unwrap_or(i64::MAX), one, many)
    };
    if let Some(broken) = &report.broken {
        return format!("El registro de envíos fue alterado: {}.", place(broken));
    }
    // Writing to a String never fails.
    let mut text = format!(
        "El registro de envíos está intacto: {}, {} y {}.",
        count(report.messages, "mensaje", "mensajes"),
        count(report.events, "evento", "eventos"),
        count(report.seals, "sello", "sellos"),
    );
    if report.unsealed > 0 {
        let unsealed = count(report.unsealed, "evento quedó", "eventos quedaron");
        let _ = write!(
            text,
            " {unsealed} sin sellar todavía: alguien estaba escribiendo; vuelve a comprobar en un momento."
        );
    }
    if report.foreign > 0 {
        let foreign = count(report.foreign, "sello se firmó", "sellos se firmaron");
        let _ = write!(
            text,
            " {foreign} con otra SECRET_KEY: la cadena calza, pero no se puede saber quién la hizo."
        );
    }
    if let Some(head) = &report.head {
        let _ = write!(text, "\nÚltimo sello, para guardar fuera de aquí: {}", hex::encode(head));
    }
    text
}

fn place(broken: &Broken) -> String {
    let mut at = Vec::new();
    for (what, id) in [("sello", broken.seal), ("evento", broken.event), ("mensaje", broken.message)] {
        if let Some(id) = id {
            at.push(format!("{what} {id}"));
        }
    }
    if at.is_empty() {
        return broken.fault.sentence().to_owned();
    }
    format!("{} ({})", broken.fault.sentence(), at.join(", "))
}

fn json(report: &Report) -> serde_json::Value {
    json!({
        "ok": report.broken.is_none(),
        "messages": report.messages,
        "events": report.events,
        "seals": report.seals,
        "unsealed": report.unsealed,
        "foreign_seals": report.foreign,
        "head": report.head.as_ref().map(hex::encode),
        "broken": report.broken.as_ref().map(|it| json!({
            "seal": it.seal,
            "event": it.event,
            "message": it.message,
            "fault": it.fault.code(),
            "sentence": it.fault.sentence(),
        })),
    })
}
