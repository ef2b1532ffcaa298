//! The command line, one file per command. Parses, opens what the command needs,
//! runs it, and turns its end into an exit status: 0 done, 1 failed, 2 wrong usage.

mod audit;
mod backup;
mod campaign;
mod doctor;
mod drip;
mod drip_call;
mod health;
pub mod import;
mod job;
mod opened;
mod postgres;
mod serve;
mod spanish;
mod typed;
mod user;

use crate::{
    config::{Config, ConfigError},
    error::{Error, Result},
    telemetry,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

/// CRM de marketing para negocios chilenos
#[derive(Debug, Parser)]
#[command(name = "llovizna", disable_version_flag = true)]
struct Cli {
    /// Cómo se muestra el resultado: text o json; si no se indica, text, pero import y drip run escriben json cuando su salida va a un archivo o a otro programa
    #[arg(long, global = true, value_enum, value_name = "FORMATO")]
    format: Option<Format>,
    /// Muestra la versión
    #[arg(long, short = 'V', action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Inicia el panel y el programador de tareas
    Serve(serve::Args),
    /// Pone al día la base de datos y nada más
    Migrate,
    /// Cuentas del equipo
    User {
        #[command(subcommand)]
        command: user::Command,
    },
    /// Trabajos programados
    Job {
        #[command(subcommand)]
        command: job::Command,
    },
    /// Importa empresas o contactos desde CSV, XLSX, XLS u ODS
    Import(import::Args),
    /// Campañas
    Campaign {
        #[command(subcommand)]
        command: campaign::Command,
    },
    /// El registro de envíos y su prueba
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Goteo de mensajes
    Drip {
        #[command(subcommand)]
        command: DripCommand,
    },
    /// Revisa configuración, base de datos, correo y DNS del dominio
    Doctor,
    /// Guarda toda la base de datos en un archivo
    Backup(backup::BackupArgs),
    /// Recupera la base de datos desde un archivo de respaldo
    Restore(backup::RestoreArgs),
    /// El PostgreSQL incluido
    Postgres {
        #[command(subcommand)]
        command: postgres::Command,
    },
    /// Pregunta a un panel en marcha si está vivo (para contenedores)
    Health(health::Args),
}

#[derive(Debug, Subcommand)]
enum DripCommand {
    /// Hace una corrida ahora, como la haría el programador
    Run(drip::Args),
    /// Pide una corrida a un panel en marcha, por HTTP (para cron)
    Call(drip_call::Args),
}

/// What a command leaves to say on standard output, if anything.
struct Said {
    text: String,
    /// The command ran, and what it looked at is not well.
    is_failure: bool,
}

impl From<String> for Said {
    fn from(text: String) -> Said {
        Said { text, is_failure: false }
    }
}

/// Run what the process was asked to.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = spanish::speak(Cli::command())
        .version(env!("CARGO_PKG_VERSION"))
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&format!("{} Mira las opciones con --help.", spanish::complaint(&error)));
            return ExitCode::from(2);
        }
    };
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            complain(&sentence_of_config(&error));
            return ExitCode::FAILURE;
        }
    };
    // Fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("No se pudo iniciar: {error}."));
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(run(cli, config));
    // A thread that waits for input or a name server must not hold the process.
    runtime.shutdown_background();
    match end {
        Ok(said) => {
            print(&said.text);
            if said.is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            tracing::debug!(error = error.description(), "Command failed");
            complain(&sentence(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, mut config: Config) -> Result<Said> {
    let as_json = match cli.format {
        Some(format) => format == Format::Json,
        // Other programs read these two, and people at a terminal do.
        None => {
            matches!(cli.command, Command::Import(_) | Command::Drip { command: DripCommand::Run(_) })
                && !io::stdout().is_terminal()
        }
    };
    if !matches!(cli.command, Command::Serve(_)) && config.log_filter.is_none() {
        // Whoever waits for one result wants no diary.
        config.log_filter = Some("warn,sqlx=error".to_owned());
    }
    telemetry::start(&config);
    match cli.command {
        Command::Serve(args) => serve::run(config, args).await.map(Said::from),
        Command::Migrate => {
            opened::with_state(config, async |_| {
                let done = "La base de datos está al día.";
                Ok(said(as_json, done, &serde_json::json!({ "status": "ok" })))
            })
            .await
        }
        Command::User { command } => {
            opened::with_state(config, async |state| user::run(state, command, as_json).await).await
        }
        Command::Job { command } => {
            opened::with_state(config, async |state| job::run(state, command, as_json).await).await
        }
        Command::Audit { command } => {
            opened::with_what_is_there(config, async |state| audit::run(state, command, as_json).await).await
        }
        Command::Import(args) => {
            opened::with_state(config, async |state| {
                let outcome = import::run(&state.db, &state.clock, &args).await?;
                Ok(Said::from(outcome.render(as_json)?))
            })
            .await
        }
        Command::Campaign { command } => {
            opened::with_state(config, async |state| {
                campaign::run(state, &command, as_json).await.map(Said::from)
            })
            .await
        }
        Command::Drip { command: DripCommand::Run(args) } => {
            opened::with_state(config, async |state| drip::run(state, &args, as_json).await.map(Said::from))
                .await
        }
        Command::Drip { command: DripCommand::Call(args) } => drip_call::run(&config, &args).await,
        Command::Doctor => doctor::run(config, as_json).await,
        Command::Backup(args) => backup::backup(config, args, as_json).await,
        Command::Restore(args) => backup::restore(config, args, as_json).await,
        Command::Postgres { command: postgres::Command::Fetch } => postgres::fetch(config, as_json).await,
        Command::Health(args) => health::run(&config, &args).await,
    }
}

/// One of two ways to say the same.
fn said(as_json: bool, text: &str, json: &serde_json::Value) -> Said {
    Said::from(if as_json { json.to_string() } else { text.to_owned() })
}

/// What went wrong, for the person at the shell.
fn sentence(error: &Error) -> String {
    match error {
        Error::Refused(it) => it.clone(),
        Error::Invalid(fields) => {
            fields.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join(" ")
        }
        Error::Joined(into) => format!(
            "Esa ficha se unió con la ficha {into}. No se cambió nada: repítelo con esa."
        ),
        Error::NotFound => "No se encontró lo que pides. No se cambió nada.".to_owned(),
        Error::Database(_) if error.is_database_away() => {
            "La base de datos no responde. No se cambió nada: revisa DATABASE_URL y que el servidor esté en marcha."
                .to_owned()
        }
        Error::Database(sqlx::Error::Database(it)) => format!("La base de datos rechazó la operación: {it}."),
        Error::Database(it) => format!("La base de datos falló: {it}."),
        Error::Io(it) => format!("No se pudo leer o escribir un archivo: {it}."),
        Error::Forbidden | Error::Internal(_) => format!("Ocurrió un error inesperado: {error:?}."),
    }
}

fn sentence_of_config(error: &ConfigError) -> String {
    error.to_string()
}

/// A line for whoever reads standard output. A reader that left is no failure.
fn print(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(io::stdout().lock(), "{}", text.trim_end());
    }
}

/// A line for whoever waits at the shell, apart from the result.
fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A path as people and other programs read it.
fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// A file named on the command line, made absolute before anything changes folders.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}
