//! The program itself, as someone would start it: its own process, port, data
//! folder and freshly migrated database. It is ended by its process id.

use crate::dairy;
use nix::{sys::signal, unistd::Pid};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    str::FromStr as _,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Who may do everything in a fresh program.
pub(crate) const ADMIN: (&str, &str) = ("admin@prueba.cl", "una clave larga de prueba");

/// The bearer token of `POST /internal/drip`.
pub(crate) const DRIP_TOKEN: &str = "un-token-de-prueba-de-32-letras-o-mas";

/// A running program.
pub(crate) struct App {
    /// Where it is reached, without the final slash.
    pub(crate) url: String,
    /// What knocks on it from outside the browser: no cookies, no redirects.
    pub(crate) http: reqwest::Client,
    /// Its database, for what no page shows.
    pub(crate) database_url: String,
    process: Child,
    home: TempDir,
}

/// What `POST /internal/drip` answers.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Drip {
    pub(crate) sent: u32,
    pub(crate) failed: u32,
    pub(crate) blocked: u32,
    pub(crate) pending: u32,
}

impl App {
    /// Start it with this much more of the environment, and wait until it is ready.
    pub(crate) async fn start(environment: &[(&str, &str)]) -> App {
        App::start_with(&["serve"], environment).await
    }

    /// Start it with other words on its command line.
    pub(crate) async fn start_with(words: &[&str], environment: &[(&str, &str)]) -> App {
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let database_url = database().await;
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_llovizna"))
            .args(words)
            .current_dir(home.path())
            .env_clear()
            .env("PATH", variable("PATH"))
            .env("DATABASE_URL", &database_url)
            .env("LLOVIZNA_HOME", home.path())
            .env("BIND_ADDR", format!("127.0.0.1:{port}"))
            .env("PUBLIC_URL", &url)
            .env("SECRET_KEY", "a secret of the tests, 32 bytes or more")
            .env("ADMIN_EMAIL", ADMIN.0)
            .env("ADMIN_PASSWORD", ADMIN.1)
            .env("BUSINESS_NAME", "Tinajas del Sur SpA")
            .env("BUSINESS_ADDRESS", "Avenida Alemania 451, Los Ángeles")
            .env("BUSINESS_EMAIL", "hola@tinajasdelsur.cl")
            .env("DRIP_TOKEN", DRIP_TOKEN)
            .env("LAUNCH_HOLD_SECONDS", "0")
            // Time passes only when a test says so.
            .env("SCHEDULER", "off")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut app = App { url, http: client(), database_url, process, home };
        app.wait_until_ready().await;
        app
    }

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        loop {
            let asked = self.http.get(format!("{}/readyz", self.url)).send().await;
            if asked.is_ok_and(|it| it.status().is_success()) {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < Duration::from_mins(1), "{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One run of the drip, as a cron asks for it.
    pub(crate) async fn drip(&self) -> Drip {
        let asked = self.http.post(format!("{}/internal/drip", self.url)).bearer_auth(DRIP_TOKEN);
        let answer = asked.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    /// Write into its database what no page writes as quickly.
    pub(crate) async fn run(&self, sql: &'static str) {
        let mut db = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    }

    /// These people may be found in it, and written to if they agreed.
    pub(crate) async fn employ(&self, people: &[dairy::Worker<'_>]) {
        let mut db = PgConnection::connect(&self.database_url).await.unwrap();
        dairy::employs(&mut db, people).await;
    }

    /// Keep others from writing in a table, until what this gives is closed.
    pub(crate) async fn hold(&self, lock: &'static str) -> PgConnection {
        let mut db = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql("begin").execute(&mut db).await.unwrap();
        sqlx::raw_sql(lock).execute(&mut db).await.unwrap();
        db
    }

    /// The one value that `query` finds in its database.
    pub(crate) async fn one<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut db = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::query_scalar(query).fetch_one(&mut db).await.unwrap()
    }

    /// What the program has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // As an administrator stops it; then, if it does not listen, the hard way.
        let _ = signal::kill(Pid::from_raw(self.process.id().cast_signed()), signal::Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A new database on the tests' cluster, born migrated where `template1` is.
pub(crate) async fn database() -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let address = variable("DATABASE_URL");
    let name = format!("browser_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::SeqCst));
    let options = PgConnectOptions::from_str(&address).unwrap();
    let mut server = PgConnection::connect_with(&options).await.unwrap();
    for sql in [format!("drop database if exists {name}"), format!("create database {name}")] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut server).await.unwrap();
    }
    server.close().await.unwrap();
    let mut address = url::Url::parse(&address).unwrap();
    address.set_path(&name);
    address.into()
}

fn client() -> reqwest::Client {
    // Only plain HTTP is spoken here, but the client wants to know a TLS anyway.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_mins(1)).no_proxy();
    client.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the tests are told where Postgres and Chromium are")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run script/test browser"))
}
