//! `llovizna backup` and `llovizna restore`: the whole database in one file, by
//! Postgres's own programs. Knows no table.

use super::{
    Said, absolute, complain, opened,
    opened::{Database, close_pool},
    said, shown,
};
use crate::{
    config::Config,
    db::{
        self,
        embedded::programs::{self, Programs},
    },
    error::{Error, Result},
};
use serde_json::json;
use sqlx::PgPool;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// Archivo que se crea
    #[arg(value_name = "ARCHIVO")]
    file: PathBuf,
    /// Reemplaza el archivo si ya existe
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct RestoreArgs {
    /// Archivo hecho con «llovizna backup»
    #[arg(value_name = "ARCHIVO")]
    file: PathBuf,
    /// Reemplaza los datos que haya
    #[arg(long)]
    force: bool,
}

pub(super) async fn backup(config: Config, args: BackupArgs, as_json: bool) -> Result<Said> {
    let file = absolute(args.file)?;
    if file.exists() && !args.force {
        return Err(Error::refused(format!(
            "{} ya existe y no se tocó: elige otro nombre o agrega --force.",
            file.display()
        )));
    }
    with_database(config, async |config, database, db| {
        let tools = Tools::find(config, database, db).await?;
        // Another name until it is whole: a half backup must not look like one.
        let part = file.with_added_extension("part");
        let mut dump = tools.command("pg_dump");
        dump.args(["--format=custom", "--no-owner", "--no-privileges"]).stdout(private(&part)?);
        let end = finish(dump, "guardar el respaldo").await;
        if let Err(error) = end {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
        std::fs::rename(&part, &file)?;
        let bytes = std::fs::metadata(&file)?.len();
        let text = format!(
            "Respaldo guardado en {} ({} kB). Guárdalo fuera de este equipo.",
            file.display(),
            bytes / 1024
        );
        Ok(said(as_json, &text, &json!({ "file": shown(&file), "bytes": bytes })))
    })
    .await
}

pub(super) async fn restore(config: Config, args: RestoreArgs, as_json: bool) -> Result<Said> {
    let file = absolute(args.file)?;
    if !is_backup(&file) {
        return Err(Error::refused(format!(
            "{} no es un respaldo hecho con «llovizna backup». No se cambió nada.",
            file.display()
        )));
    }
    with_database(config, async |config, database, db| {
        if !args.force && has_tables(db).await? {
            return Err(Error::refused(
                "La base de datos ya tiene datos y no se tocó. Para reemplazarlos por los del respaldo agrega --force; \
                 antes guarda los actuales con «llovizna backup».",
            ));
        }
        let tools = Tools::find(config, database, db).await?;
        tools.replace_with(&file).await?;
        db::migrate(db).await?;
        let text = format!("Datos recuperados de {}.", file.display());
        Ok(said(as_json, &text, &json!({ "file": shown(&file) })))
    })
    .await
}

async fn with_database(
    mut config: Config,
    work: impl AsyncFnOnce(&Config, &Database, &PgPool) -> Result<Said>,
) -> Result<Said> {
    if let Some(moved) = opened::settle(&mut config)? {
        complain(&moved);
    }
    let database = Database::open(&config).await?;
    let end = async {
        let db = database.pool(2).await?;
        let end = work(&config, &database, &db).await;
        close_pool(&db).await;
        end
    }
    .await;
    database.close().await;
    end
}

/// A new file that nobody else may read: it will hold everyone's data.
fn private(path: &Path) -> Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    // What a run that was killed left behind may be open to others.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?),
    }
}

/// The custom format of `pg_dump` says so in its first bytes.
fn is_backup(file: &Path) -> bool {
    use std::io::Read;
    let mut first = [0; 5];
    std::fs::File::open(file).and_then(|mut it| it.read_exact(&mut first)).is_ok() && &first == b"PGDMP"
}

async fn has_tables(db: &PgPool) -> Result<bool> {
    let has: bool = sqlx::query_scalar("select exists (select from pg_tables where schemaname = 'public')")
        .fetch_one(db)
        .await?;
    Ok(has)
}

/// Programs that fit the server, and how they reach it.
struct Tools {
    programs: Programs,
    environment: Vec<(&'static str, String)>,
}

impl Tools {
    async fn find(config: &Config, database: &Database, db: &PgPool) -> Result<Tools> {
        let server: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int / 10000")
            .fetch_one(db)
            .await?;
        let server = u32::try_from(server).unwrap_or_default();
        let programs = match &database.embedded {
            Some(it) => Programs { bin: it.bin().to_owned(), major: it.major() },
            // An older pg_dump refuses a newer server.
            None => programs::find(config, &config.home.join("postgres-builds"))
                .usable
                .into_iter()
                .filter(|it| it.major >= server && it.program("pg_dump").is_file())
                .min_by_key(|it| it.major)
                .ok_or_else(|| {
                    Error::refused(format!(
                        "Falta el programa pg_dump de PostgreSQL {server} o posterior. Instálalo con: {} \
                         (o indica su carpeta en LLOVIZNA_PG_BIN). No se cambió nada.",
                        programs::install_command(nix::unistd::geteuid().is_root())
                    ))
                })?,
        };
        for name in ["pg_dump", "pg_restore", "psql"] {
            if !programs.program(name).is_file() {
                return Err(Error::refused(format!(
                    "En {} falta el programa {name}. No se cambió nada.",
                    programs.bin.display()
                )));
            }
        }
        Ok(Tools { programs, environment: environment(config, database)? })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.program(name));
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        // Passwords travel by the environment, never by arguments that others can list.
        command.env("PGAPPNAME", "llovizna").env("LC_MESSAGES", "C").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// All of the file in place of all there is, in one transaction.
    async fn replace_with(&self, file: &Path) -> Result<()> {
        // Read to the end first: half a file must not replace anything.
        let mut check = self.command("pg_restore");
        check.arg("--file=/dev/null").arg(file).stdout(Stdio::null());
        finish(check, "leer el respaldo completo").await?;
        let mut unpack = self.command("pg_restore");
        unpack.args(["--no-owner", "--no-privileges", "--file=-"]).arg(file);
        let mut load = self.command("psql");
        load.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]);
        for command in [&mut unpack, &mut load] {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let (mut unpacking, mut loading) = (unpack.spawn()?, load.stdin(Stdio::piped()).spawn()?);
        let (Some(mut script), Some(mut into)) = (unpacking.stdout.take(), loading.stdin.take()) else {
            return Err(Error::Internal("a program of Postgres has no pipe".to_owned()));
        };
        let feed = async {
            into.write_all(CLEAR).await?;
            tokio::io::copy(&mut script, &mut into).await?;
            drop(script);
            let unpacked = unpacking.wait_with_output().await?;
            // Only now: without this line the end of the script undoes all of it.
            if unpacked.status.success() {
                into.write_all(b"\ncommit;\n").await?;
                into.flush().await?;
            }
            drop(into);
            Ok::<_, std::io::Error>(unpacked)
        };
        let (handed, loaded) = tokio::join!(feed, loading.wait_with_output());
        let loaded = loaded?;
        if !loaded.status.success() {
            return Err(failed("recuperar los datos", &loaded.stderr));
        }
        let unpacked = handed?;
        if unpacked.status.success() {
            Ok(())
        } else {
            Err(failed("leer el respaldo completo", &unpacked.stderr))
        }
    }
}

/// What comes before the data. Someone who holds a table must make this fail, not wait.
const CLEAR: &[u8] = b"begin;
set local lock_timeout = '20s';
set local client_min_messages = warning;
drop schema public cascade;
create schema public;
";

/// Run to the end; a failure tells the program's own last words.
async fn finish(mut command: Command, purpose: &str) -> Result<()> {
    let output = command.stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
    if output.status.success() { Ok(()) } else { Err(failed(purpose, &output.stderr)) }
}

fn failed(purpose: &str, said: &[u8]) -> Error {
    Error::refused(format!("PostgreSQL no pudo {purpose}: {}. No se cambió nada.", last_line(said)))
}

fn last_line(said: &[u8]) -> String {
    String::from_utf8_lossy(said)
        .lines()
        .rev()
        .map(str::trim)
        .find(|it| !it.is_empty())
        .unwrap_or("sin más detalle")
        .trim_end_matches('.')
        .to_owned()
}

/// How Postgres's own programs reach the database.
fn environment(config: &Config, database: &Database) -> Result<Vec<(&'static str, String)>> {
    let options = &database.options;
    let mut all = vec![
        ("PGPORT", options.get_port().to_string()),
        ("PGUSER", options.get_username().to_owned()),
        ("PGDATABASE", options.get_database().unwrap_or(options.get_username()).to_owned()),
    ];
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    all.push(("PGHOST", host));
    if let Some(url) = &config.database_url {
        let url = url::Url::parse(url.reveal()).map_err(|_| {
            Error::refused("DATABASE_URL no se entiende: debe ser postgres://usuario:clave@servidor/base.")
        })?;
        if let Some(password) = url.password() {
            let password = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
            all.push(("PGPASSWORD", password.into_owned()));
        }
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "sslmode" => all.push(("PGSSLMODE", value.into_owned())),
                "sslrootcert" => all.push(("PGSSLROOTCERT", value.into_owned())),
                _ => (),
            }
        }
    }
    Ok(all)
}
