//! `llovizna drip call`: asks a running panel for a drip run over HTTP, as cron
//! does on hosts that run the panel and the clock apart. Prints the panel's answer.

use super::Said;
use crate::{
    config::Config,
    error::{Error, Result},
};
use std::time::Duration;

/// A panel that sleeps for want of visitors takes about a minute to wake.
const TRIES: u32 = 6;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Dirección del panel; si no se indica, la de PUBLIC_URL
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) async fn run(config: &Config, args: &Args) -> Result<Said> {
    let Some(token) = &config.drip_token else {
        return Err(Error::refused("Falta DRIP_TOKEN: es la clave con que el panel acepta el pedido."));
    };
    let base = args.url.as_deref().unwrap_or(&config.public_url).trim_end_matches('/');
    // A private network names a host and a port only.
    let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let client = reqwest::Client::builder()
        .timeout(Duration::from_mins(2))
        .build()
        .map_err(|it| Error::Internal(it.to_string()))?;
    let mut problem = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_secs(5 * u64::from(attempt))).await;
        }
        match client.post(format!("{base}/internal/drip")).bearer_auth(token.reveal()).send().await {
            Ok(answer) if answer.status().is_success() => {
                let text = answer.text().await.map_err(|it| Error::Internal(it.to_string()))?;
                return Ok(Said::from(text));
            }
            Ok(answer) if answer.status().is_server_error() => {
                problem = format!("respondió {}", answer.status().as_u16());
            }
            Ok(answer) => {
                let why = match answer.status().as_u16() {
                    401 => "no acepta esa clave: DRIP_TOKEN debe ser el mismo en ambos lados".to_owned(),
                    404 => "no ofrece el goteo por HTTP: le falta DRIP_TOKEN".to_owned(),
                    code => format!("respondió {code}"),
                };
                return Err(Error::refused(format!("El panel en {base} {why}.")));
            }
            Err(_) => "no responde".clone_into(&mut problem),
        }
    }
    Err(Error::refused(format!(
        "El panel en {base} {problem}, tras {TRIES} intentos. Nada se perdió: la cola sigue ahí."
    )))
}
