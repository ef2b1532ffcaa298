//! `llovizna health`: is the panel of this configuration alive? For containers, which have no curl.

use super::Said;
use crate::{
    config::Config,
    error::{Error, Result},
};
use std::{net::IpAddr, time::Duration};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Pregunta además si la base de datos responde
    #[arg(long)]
    ready: bool,
}

pub(super) async fn run(config: &Config, args: &Args) -> Result<Said> {
    let ip = match config.listen.ip() {
        IpAddr::V4(it) if it.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(it) if it.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        it => it,
    };
    let address = std::net::SocketAddr::new(ip, config.listen.port());
    let path = if args.ready { "readyz" } else { "healthz" };
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(4))
        .no_proxy()
        .build()
        .map_err(|it| Error::Internal(it.to_string()))?;
    match client.get(format!("http://{address}/{path}")).send().await {
        Ok(answer) if answer.status().is_success() => Ok(Said::from("OK".to_owned())),
        Ok(answer) => {
            Err(Error::refused(format!("El panel en {address} respondió {}.", answer.status().as_u16())))
        }
        Err(_) => Err(Error::refused(format!("El panel en {address} no responde."))),
    }
}
