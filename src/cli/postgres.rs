//! `llovizna postgres`: the embedded Postgres by hand.

use super::{Said, complain, opened, said, shown};
use crate::{config::Config, db::embedded, error::Result};
use serde_json::json;

#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Descarga el PostgreSQL para este sistema y comprueba su suma SHA-256
    Fetch,
}

pub(super) async fn fetch(mut config: Config, as_json: bool) -> Result<Said> {
    // The build is for the embedded server, whatever database is in use now.
    config.database_url = None;
    if let Some(moved) = opened::settle(&mut config)? {
        complain(&moved);
    }
    let bin = embedded::fetch_build(&config, &|it| complain(it)).await?;
    let text = format!("PostgreSQL {} está en {}", embedded::fetch::VERSION, bin.display());
    Ok(said(as_json, &text, &json!({ "version": embedded::fetch::VERSION, "bin": shown(&bin) })))
}
