//! Logs: readable in development, JSON in production. No personal data goes here.

use crate::config::{Config, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Start logging to standard error. A second call changes nothing.
pub fn start(config: &Config) {
    let filter = config
        .log_filter
        .as_deref()
        .and_then(|it| it.parse::<EnvFilter>().ok())
        .unwrap_or_else(|| EnvFilter::new("info,sqlx=warn,lettre=warn,hyper=warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Fails only where a subscriber is set already, which then serves.
    let _ = match config.log_format {
        LogFormat::Text => logs.compact().try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}
