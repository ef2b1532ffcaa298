//! The Postgres that the program starts by itself: set up, shared, left behind by
//! a kill, fetched. Each test has a data folder of its own; real servers run.

use llovizna::{
    config::Config,
    db::embedded::{self, Embedded, fetch},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A data folder that goes away with the test.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    config: Config,
}

impl Place {
    pub(crate) fn new(environment: &[(&str, &str)]) -> Place {
        // In memory, where there is such a folder: syncing to a disk is what takes long.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let home = folder.path().join("home");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut config = Config::read(|name| match name {
            "LLOVIZNA_HOME" => Some(home.display().to_string()),
            "PATH" => path(),
            _ => environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        })
        .unwrap();
        config.home = embedded::settle_home(&config).unwrap().path;
        Place { folder, config }
    }

    fn data(&self) -> PathBuf {
        self.config.home.join("postgres/data")
    }

    pub(crate) async fn start(&self) -> Embedded {
        match embedded::start(&self.config, &|_| ()).await {
            Ok(server) => server,
            Err(error) => {
                let log = fs::read_to_string(self.config.home.join("postgres/postgres.log"));
                panic!("{error}\n{}", log.unwrap_or_default());
            }
        }
    }

    /// The refusal to start, in words.
    async fn refusal(&self) -> String {
        embedded::start(&self.config, &|_| ()).await.unwrap_err().to_string()
    }

    /// The process of the server, while it lives.
    pub(crate) fn server(&self) -> Option<Pid> {
        let note = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(note.lines().next()?.parse().ok()?);
        kill(pid, None).is_ok().then_some(pid)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs of Postgres are looked for where the tests' own are"
)]
fn path() -> Option<String> {
    std::env::var("PATH").ok()
}

async fn connect(server: &Embedded) -> PgConnection {
    server.options().connect().await.unwrap()
}

async fn count(server: &Embedded) -> i64 {
    sqlx::query_scalar("select count(*) from drops").fetch_one(&mut connect(server).await).await.unwrap()
}

async fn add_a_drop(server: &Embedded) {
    let mut db = connect(server).await;
    sqlx::query("create table if not exists drops (n int)").execute(&mut db).await.unwrap();
    sqlx::query("insert into drops values (1)").execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_second_start_finds_what_the_first_one_kept() {
    let place = Place::new(&[]);
    let first = place.start().await;
    assert!(first.is_ours());
    add_a_drop(&first).await;
    first.stop().await;
    assert_eq!(place.server(), None);
    let second = place.start().await;
    assert_eq!(count(&second).await, 1);
    second.stop().await;
    assert_eq!(place.server(), None);
}

#[tokio::test]
async fn what_is_committed_is_durable_and_nothing_listens_on_the_network() {
    let place = Place::new(&[]);
    let server = place.start().await;
    let mut db = connect(&server).await;
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ] {
        let is: String =
            sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&mut db).await.unwrap();
        assert_eq!(is, value, "{name}");
    }
    db.close().await.unwrap();
    let socket = fs::metadata(place.config.home.join("postgres/socket")).unwrap();
    assert_eq!(socket.mode() & 0o777, 0o700);
    server.stop().await;
}

#[tokio::test]
async fn the_last_of_several_users_stops_the_server() {
    let place = Place::new(&[]);
    let panel = place.start().await;
    let command = place.start().await;
    assert!(panel.is_ours() && !command.is_ours());
    panel.stop().await;
    add_a_drop(&command).await;
    assert_eq!(count(&command).await, 1);
    command.stop().await;
    assert_eq!(place.server(), None);
}

#[tokio::test]
async fn two_first_starts_at_once_make_one_server() {
    let place = Place::new(&[]);
    let (one, other) = tokio::join!(place.start(), place.start());
    assert!(one.is_ours() != other.is_ours());
    add_a_drop(&one).await;
    assert_eq!(count(&other).await, 1);
    one.stop().await;
    other.stop().await;
    assert_eq!(place.server(), None);
}

#[tokio::test]
async fn the_server_of_a_killed_program_is_taken_over_and_stopped_at_the_end() {
    let place = Place::new(&[]);
    let mut program = serve(&place);
    let pid = wait_for_server(&place).await;
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(place.server(), Some(pid), "the server outlives the program");

    let next = place.start().await;
    assert!(!next.is_ours());
    add_a_drop(&next).await;
    next.stop().await;
    assert_eq!(place.server(), None);
}

#[tokio::test]
async fn a_server_killed_with_its_program_recovers_with_nothing_lost() {
    let place = Place::new(&[]);
    let mut program = serve(&place);
    let pid = wait_for_server(&place).await;
    let guest = place.start().await;
    add_a_drop(&guest).await;
    guest.stop().await;
    assert_eq!(place.server(), Some(pid), "the program still uses it");
    program.kill().unwrap();
    kill(pid, Signal::SIGKILL).unwrap();
    program.wait().unwrap();

    let next = place.start().await;
    assert!(next.is_ours());
    assert_eq!(count(&next).await, 1);
    next.stop().await;
    assert_eq!(place.server(), None);
}

#[tokio::test]
async fn a_note_with_the_number_of_another_program_does_not_block_the_start() {
    let place = Place::new(&[]);
    place.start().await.stop().await;
    let note = format!("{}\n{}\n1763700000\n5432\n\n\n", std::process::id(), place.data().display());
    fs::write(place.data().join("postmaster.pid"), &note).unwrap();
    fs::write(place.config.home.join("postgres/socket/.s.PGSQL.5432.lock"), note).unwrap();
    let server = place.start().await;
    assert!(server.is_ours());
    server.stop().await;
}

#[tokio::test]
async fn data_of_a_version_that_is_not_here_are_left_alone() {
    let place = Place::new(&[]);
    place.start().await.stop().await;
    let version = place.data().join("PG_VERSION");
    fs::write(&version, "11\n").unwrap();
    let refusal = place.refusal().await;
    assert!(refusal.contains("PostgreSQL 11") && refusal.contains("No se tocó nada"), "{refusal}");
    assert_eq!(fs::read_to_string(version).unwrap(), "11\n");
}

#[tokio::test]
async fn without_postgres_one_sentence_names_the_install_command() {
    let empty = tempfile::tempdir().unwrap();
    let place = Place::new(&[("LLOVIZNA_PG_BIN", empty.path().to_str().unwrap())]);
    let refusal = place.refusal().await;
    assert!(refusal.starts_with("No se encontró un PostgreSQL que sirva"), "{refusal}");
    assert!(
        ["apt-get", "dnf", "apk", "pacman", "brew", "zypper"].iter().any(|it| refusal.contains(it)),
        "{refusal}"
    );
    assert!(!place.data().exists());
}

#[tokio::test]
async fn programs_that_do_not_run_are_named() {
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("postgres"), "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(broken.path().join("postgres"), fs::Permissions::from_mode(0o755)).unwrap();
    let place = Place::new(&[("LLOVIZNA_PG_BIN", broken.path().to_str().unwrap())]);
    let refusal = place.refusal().await;
    assert!(refusal.contains("no arranca") && refusal.contains(broken.path().to_str().unwrap()), "{refusal}");
}

#[tokio::test]
async fn a_fetched_build_is_checked_unpacked_and_runs() {
    let archive = archive();
    let digest = hex::encode(Sha256::digest(&archive));
    let source = download_site(archive, digest).await;
    let place = Place::new(&[("LLOVIZNA_PG_URL", &source)]);
    let bin = embedded::fetch_build(&place.config, &|_| ()).await.unwrap();
    assert!(bin.starts_with(&place.config.home), "{}", bin.display());
    // A second time there is nothing to fetch.
    assert_eq!(embedded::fetch_build(&place.config, &|_| ()).await.unwrap(), bin);

    let mut config = place.config.clone();
    config.postgres_bin = Some(bin.clone());
    let server = embedded::start(&config, &|_| ()).await.unwrap();
    assert_eq!(server.bin(), bin.canonicalize().unwrap());
    add_a_drop(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_build_that_is_not_the_published_one_is_thrown_away() {
    let source = download_site(archive(), "0".repeat(64)).await;
    let place = Place::new(&[("LLOVIZNA_PG_URL", &source)]);
    let refusal = embedded::fetch_build(&place.config, &|_| ()).await.unwrap_err().to_string();
    assert!(refusal.contains("no es el publicado"), "{refusal}");
    assert_eq!(fs::read_dir(place.config.home.join("postgres-builds")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_pinned_sum_wins_over_the_published_one() {
    let archive = archive();
    let digest = hex::encode(Sha256::digest(&archive));
    let source = download_site(archive, digest).await;
    let place = Place::new(&[("LLOVIZNA_PG_URL", &source), ("LLOVIZNA_PG_SHA256", &"f".repeat(64))]);
    let refusal = embedded::fetch_build(&place.config, &|_| ()).await.unwrap_err().to_string();
    assert!(refusal.contains(&"f".repeat(64)), "{refusal}");
}

#[tokio::test]
async fn a_download_site_that_is_away_is_told_in_a_sentence() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new(&[("LLOVIZNA_PG_URL", "http://127.0.0.1:9")]);
    let refusal = embedded::fetch_build(&place.config, &|_| ()).await.unwrap_err().to_string();
    assert!(refusal.contains("no se pudo llegar"), "{refusal}");
}

/// The program itself on the data folder, as a person starts it.
fn serve(place: &Place) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_llovizna"))
        .arg("serve")
        .current_dir(place.folder.path())
        .env_clear()
        .env("PATH", path().unwrap_or_default())
        .env("LLOVIZNA_HOME", &place.config.home)
        .env("BIND_ADDR", "127.0.0.1:0")
        .env("SCHEDULER", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process of a server that answers.
async fn wait_for_server(place: &Place) -> Pid {
    let began = Instant::now();
    loop {
        let note = fs::read_to_string(place.data().join("postmaster.pid")).unwrap_or_default();
        if note.contains("ready")
            && let Some(pid) = place.server()
        {
            return pid;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "the program started no server");
        tokio::task::yield_now().await;
    }
}

/// An archive as it is published, whose programs hand over to this machine's.
fn archive() -> Vec<u8> {
    let bin = machine_bin();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for name in ["postgres", "initdb", "pg_config"] {
        let program = format!("#!/bin/sh\nexec {} \"$@\"\n", bin.join(name).display());
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        tar.append_data(
            &mut header,
            format!("postgresql-{}-any/bin/{name}", fetch::VERSION),
            program.as_bytes(),
        )
        .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn machine_bin() -> PathBuf {
    let config = Config::read(|name| (name == "PATH").then(path).flatten()).unwrap();
    let found = embedded::programs::find(&config, Path::new("/nowhere"));
    found.usable.first().expect("a Postgres on this machine").bin.clone()
}

/// A site that serves one archive and its sum, whatever the version and platform.
async fn download_site(archive: Vec<u8>, digest: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let app = axum::Router::new().fallback(async move |uri: axum::http::Uri| {
        if uri.path().ends_with(".sha256") {
            format!("{digest}  postgresql.tar.gz\n").into_bytes()
        } else {
            archive
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// The watcher of a process whose server ended waits a second before it starts one. If another process was quicker, that
/// server's socket must stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_another_started_meanwhile_is_left_alone_and_watched() {
    let place = Place::new(&[]);
    let first = place.start().await;
    kill(place.server().unwrap(), Signal::SIGINT).unwrap();
    let began = Instant::now();
    while place.server().is_some() {
        assert!(began.elapsed() < Duration::from_secs(20), "the server does not end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let second = place.start().await;
    let server = place.server().unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    add_a_drop(&first).await;
    add_a_drop(&second).await;
    assert_eq!(place.server(), Some(server), "it is the same server still");
    assert_eq!(count(&second).await, 2);
    second.stop().await;
    first.stop().await;
    assert_eq!(place.server(), None, "the last to leave stops it");
}

#[tokio::test]
async fn whoever_asks_whether_the_log_was_altered_does_not_migrate_it() {
    let place = Place::new(&[]);
    let server = place.start().await;
    let mut db = connect(&server).await;
    // A version before the first of this build's.
    sqlx::raw_sql(
        "create table _sqlx_migrations (version bigint primary key, description text not null,
             installed_on timestamptz not null default now(), success boolean not null, checksum bytea not null,
             execution_time bigint not null);
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (0, 'before', true, 'x', 0)",
    )
    .execute(&mut db)
    .await
    .unwrap();
    let home = place.config.home.clone();
    let verify = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_llovizna"))
            .args(["audit", "verify"])
            .env_clear()
            .env("PATH", path().unwrap())
            .env("LLOVIZNA_HOME", home)
            .output()
            .unwrap()
    });
    let output = verify.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "es de una versión anterior de Llovizna. No se cambió nada: ejecuta antes «llovizna migrate»"
        ),
        "{said}"
    );
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(tables, 1);
    assert!(!place.config.home.join("secret.key").exists(), "nothing is made for the question");
    db.close().await.unwrap();
    server.stop().await;
}
