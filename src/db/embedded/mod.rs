//! The Postgres that we start ourselves when nobody names one: found or fetched,
//! set up under the data folder, reachable by a Unix socket only. Several
//! processes share one server; the last to leave stops it. Knows no schema.

pub mod account;
pub mod fetch;
pub mod programs;
mod server;

use crate::{
    config::Config,
    error::{Error, Result},
};
use account::{Account, Home};
use programs::Programs;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The database in the embedded server, and its only role.
const DATABASE: &str = "llovizna";
const ROLE: &str = "postgres";

/// Recovery of a large database after a crash may take this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A share in the embedded server, held by one process.
#[derive(Debug)]
pub struct Embedded {
    layout: Layout,
    programs: Programs,
    /// Locked for reading while anyone uses the server.
    users: File,
    server: Option<server::Child>,
}

/// Where things are in the data folder.
#[derive(Clone, Debug)]
struct Layout {
    home: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Layout {
    fn of(home: &Path, account: &Account) -> Layout {
        let postgres = home.join("postgres");
        Layout {
            data: postgres.join("data"),
            log: postgres.join("postgres.log"),
            socket: socket_folder(&postgres.join("socket"), account),
            home: home.to_owned(),
        }
    }

    fn fetched(&self) -> PathBuf {
        self.home.join("postgres-builds")
    }
}

/// The kernel takes socket paths below 108 bytes, on macOS below 104.
fn socket_folder(beside_data: &Path, account: &Account) -> PathBuf {
    if beside_data.join(".s.PGSQL.5432.lock").as_os_str().len() < 100 {
        beside_data.to_owned()
    } else {
        PathBuf::from(format!("/tmp/llovizna-{}-{}", account.uid, account::short_hash(beside_data)))
    }
}

/// The data folder as it will be used: with the embedded Postgres, one that its account can reach.
///
/// # Errors
/// When no account can run Postgres, or the current folder is gone.
pub fn settle_home(config: &Config) -> Result<Home> {
    if config.database_url.is_some() {
        return Ok(Home { path: std::path::absolute(&config.home)?, moved: None });
    }
    account::settle_home(&Account::of_postgres()?, &config.home, config.home_is_set)
}

/// Whether the data folder `config.home` (settled) holds a database already.
///
/// # Errors
/// When the account that it would belong to can't be told, or it may not be looked at.
pub fn is_made(config: &Config) -> Result<bool> {
    Ok(Layout::of(&config.home, &Account::of_postgres()?).data.join("PG_VERSION").try_exists()?)
}

/// Start the server of the data folder `config.home` (settled), or join the one
/// that runs. `tell` is told, in Spanish, of what takes time.
///
/// # Errors
/// A Spanish sentence that says what is missing and what to do.
pub async fn start(config: &Config, tell: &(dyn Fn(&str) + Sync)) -> Result<Embedded> {
    let account = Account::of_postgres()?;
    let layout = Layout::of(&config.home, &account);
    fs::create_dir_all(&layout.home)?;
    account::open_for_passing(&account, &layout.home)?;
    account.make_private(&layout.home.join("postgres"))?;

    let users = lock_file(&layout.home.join("postgres.users"))?;
    let users = tokio::task::spawn_blocking(move || users.lock_shared().map(|()| users))
        .await
        .map_err(|it| Error::Internal(it.to_string()))??;
    let starting = starting(&layout).await?;

    let programs = choose(config, &layout, tell).await?;
    if !layout.data.join("PG_VERSION").is_file() {
        tell("Preparando la base de datos por primera vez");
        server::initialise(&programs, &account, &layout).await?;
    }
    let server = match server::living(&layout, PATIENCE).await? {
        Some(_) => None,
        None => Some(server::Child::start(&programs, &account, &layout).await?),
    };
    let embedded = Embedded { layout, programs, users, server };
    embedded.make_database().await?;
    drop(starting);
    Ok(embedded)
}

/// The lock of whoever starts a server on these data, held until it is dropped: two at once would sweep away each
/// other's socket.
async fn starting(layout: &Layout) -> Result<File> {
    let starting = lock_file(&layout.home.join("postgres.starting"))?;
    let held = tokio::task::spawn_blocking(move || starting.lock().map(|()| starting)).await;
    Ok(held.map_err(|it| Error::Internal(it.to_string()))??)
}

fn lock_file(path: &Path) -> Result<File> {
    Ok(File::options().create(true).truncate(false).write(true).open(path)?)
}

/// The programs for the data that is there; for none yet, the best found, or fetched.
async fn choose(config: &Config, layout: &Layout, tell: &(dyn Fn(&str) + Sync)) -> Result<Programs> {
    let found = programs::find(config, &layout.fetched());
    let made_by: Option<u32> =
        fs::read_to_string(layout.data.join("PG_VERSION")).ok().and_then(|it| it.trim().parse().ok());
    let fits = |it: &&Programs| made_by.is_none_or(|major| it.major == major);
    if let Some(programs) = found.usable.iter().find(fits) {
        return Ok(programs.clone());
    }
    let is_root = nix::unistd::geteuid().is_root();
    let command = programs::install_command(is_root);
    if let Some(major) = made_by
        && fetched_major() != Some(major)
    {
        return Err(Error::refused(format!(
            "Los datos de {} son de PostgreSQL {major} y ese programa no está. No se tocó nada: instala \
             PostgreSQL {major} o indica su carpeta en LLOVIZNA_PG_BIN.",
            layout.data.display()
        )));
    }
    let passed_over = match found.unusable.as_slice() {
        [] => String::new(),
        reasons => format!(" ({})", reasons.join("; ")),
    };
    let instead = format!("Instálalo con: {command}");
    if !config.postgres_fetch || config.postgres_bin.is_some() {
        return Err(Error::refused(format!(
            "No se encontró un PostgreSQL que sirva{passed_over}. {instead}"
        )));
    }
    tell("No se encontró PostgreSQL en este equipo");
    let bin = fetch::fetch(config, &layout.fetched(), tell).await.map_err(|error| match error {
        Error::Refused(why) => Error::refused(format!(
            "No se encontró un PostgreSQL que sirva{passed_over} y no se pudo descargar. {why} {instead}"
        )),
        other => other,
    })?;
    match Programs::at(&bin) {
        Some(Ok(programs)) => Ok(programs),
        Some(Err(why)) => {
            Err(Error::refused(format!("El PostgreSQL descargado no sirve aquí: {why}. {instead}")))
        }
        None => Err(Error::refused(format!("La descarga no contiene PostgreSQL. {instead}"))),
    }
}

fn fetched_major() -> Option<u32> {
    fetch::VERSION.split('.').next().and_then(|it| it.parse().ok())
}

/// Fetch the pinned build into the data folder, whether or not the machine has another.
///
/// # Errors
/// A Spanish sentence.
pub async fn fetch_build(config: &Config, tell: &(dyn Fn(&str) + Sync)) -> Result<PathBuf> {
    let account = Account::of_postgres()?;
    let layout = Layout::of(&config.home, &account);
    fs::create_dir_all(&layout.home)?;
    let bin = fetch::fetch(config, &layout.fetched(), tell).await?;
    match Programs::at(&bin) {
        Some(Ok(_)) => Ok(bin),
        Some(Err(why)) => Err(Error::refused(format!("El PostgreSQL descargado no sirve aquí: {why}."))),
        None => Err(Error::refused("La descarga no contiene PostgreSQL.")),
    }
}

impl Embedded {
    /// How to connect.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        options(&self.layout.socket, DATABASE)
    }

    /// Folder of the programs that serve this data.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.programs.bin
    }

    /// Major version of the server.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.programs.major
    }

    /// This process started the server, rather than finding it running.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.server.is_some()
    }

    async fn make_database(&self) -> Result<()> {
        if PgConnection::connect_with(&self.options()).await.is_ok() {
            return Ok(());
        }
        let mut connection = options(&self.layout.socket, "postgres").connect().await?;
        sqlx::query("create database llovizna").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Leave the server; the last of its users stops it and waits for it to end.
    pub async fn stop(self) {
        let users = self.users;
        // A shared lock turns into an exclusive one only when nobody else holds it.
        if users.try_lock().is_ok() {
            let began = Instant::now();
            match self.server {
                Some(child) => child.stop().await,
                None => server::stop_living(&self.layout).await,
            }
            let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(duration_ms, "Embedded Postgres stopped");
        } else if let Some(child) = self.server {
            child.leave_running();
        }
    }
}

fn options(socket: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(server::PORT)
        .username(ROLE)
        .database(database)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_data_folder_gets_a_short_socket() {
        let account = Account { uid: 7, gid: 7, steps_down: false };
        let near = socket_folder(Path::new("/srv/llovizna/postgres/socket"), &account);
        assert_eq!(near, Path::new("/srv/llovizna/postgres/socket"));
        let far = PathBuf::from(format!("/{}", "largo/".repeat(30)));
        let short = socket_folder(&far, &account);
        assert!(short.starts_with("/tmp") && short.as_os_str().len() < 60, "{}", short.display());
        assert_ne!(short, socket_folder(&far.join("otro"), &account));
    }
}
