//! The server process: set up, start, find alive, stop. One file of it matters
//! here, `postmaster.pid`; everything else in the data folder is Postgres's own.

use super::{Layout, account::Account, options, programs::Programs};
use crate::error::{Error, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{ConnectOptions, Connection};
use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{process::Command, sync::oneshot, task::JoinHandle};

/// Only part of the socket's name: nothing listens on the network.
pub(super) const PORT: u16 = 5432;

const PAUSE: Duration = Duration::from_millis(20);

/// A server started by this process, watched until it is stopped.
#[derive(Debug)]
pub(super) struct Child {
    stop: oneshot::Sender<()>,
    watch: JoinHandle<()>,
}

/// A program of Postgres, under its account, deaf to the caller's own settings.
fn command(programs: &Programs, name: &str, account: &Account) -> Command {
    let mut command = Command::new(programs.program(name));
    command.current_dir("/").stdin(Stdio::null()).process_group(0);
    for variable in
        ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "LC_ALL", "LC_MESSAGES"]
    {
        command.env_remove(variable);
    }
    if account.steps_down {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Make the data folder: whole or not at all.
pub(super) async fn initialise(programs: &Programs, account: &Account, layout: &Layout) -> Result<()> {
    let fresh = layout.data.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    account.make_private(&fresh)?;
    let locales: &[&str] = if cfg!(target_os = "macos") { &["C"] } else { &["C.UTF-8", "C"] };
    let mut said = String::new();
    for locale in locales {
        let output = command(programs, "initdb", account)
            .arg("--pgdata")
            .arg(&fresh)
            .args(["--username=postgres", "--auth-local=trust", "--auth-host=reject"])
            .args(["--encoding=UTF8", "--data-checksums"])
            .arg(format!("--locale={locale}"))
            .output()
            .await
            .map_err(|error| cannot_run(programs, "initdb", account, &error))?;
        if output.status.success() {
            fs::rename(&fresh, &layout.data)?;
            return Ok(());
        }
        String::from_utf8_lossy(&output.stderr).trim().clone_into(&mut said);
        if !said.contains("locale") {
            break;
        }
    }
    Err(Error::refused(format!(
        "PostgreSQL no pudo preparar {}. Su mensaje: {}",
        layout.data.display(),
        reason(&said)
    )))
}

fn cannot_run(programs: &Programs, name: &str, account: &Account, error: &std::io::Error) -> Error {
    Error::refused(format!(
        "No se pudo ejecutar {} como el usuario {}: {error}.",
        programs.program(name).display(),
        account.name()
    ))
}

/// What went wrong, as the server says it; it says other things after that.
fn reason(said: &str) -> &str {
    let fatal =
        said.lines().filter_map(|line| line.split_once("FATAL:").or_else(|| line.split_once("PANIC:")));
    let last = said.lines().rev().find(|it| !it.trim().is_empty());
    fatal.map(|(_, it)| it).next().or(last).unwrap_or("ninguno").trim()
}

impl Child {
    /// Start the server and wait until it answers.
    pub(super) async fn start(programs: &Programs, account: &Account, layout: &Layout) -> Result<Child> {
        make_socket_folder(account, &layout.socket)?;
        let deadline = Instant::now() + super::PATIENCE;
        let process = loop {
            let mut process = spawn(programs, account, layout)?;
            match answer(&mut process, layout, deadline).await {
                Answer::Ready => break process,
                // Helpers of a server that was killed may hold its memory for a moment.
                Answer::Ended(said) if said.contains("shared memory") && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Answer::Ended(said) => {
                    return Err(Error::refused(format!(
                        "PostgreSQL no pudo iniciar con los datos de {}. Su mensaje: {} (todo en {})",
                        layout.data.display(),
                        reason(&said),
                        layout.log.display()
                    )));
                }
                Answer::Late => {
                    signal(process.id(), Signal::SIGINT);
                    let _ = process.wait().await;
                    return Err(Error::refused(format!(
                        "PostgreSQL no respondió a tiempo. Su registro está en {}.",
                        layout.log.display()
                    )));
                }
            }
        };
        let (stop, mut stopped) = oneshot::channel();
        let (programs, account, layout) = (programs.clone(), account.clone(), layout.clone());
        // Whoever waits for the process also reaps it: an unreaped one looks alive to the next start.
        let watch = tokio::spawn(async move {
            let mut process = Some(process);
            loop {
                tokio::select! {
                    asked = &mut stopped => {
                        match &mut process {
                            _ if asked.is_err() => {}
                            Some(own) => end(own).await,
                            None => stop_living(&layout).await,
                        }
                        return;
                    }
                    () = ended(&mut process, &layout) => {
                        tracing::error!("Embedded Postgres ended by itself; starting it again");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        match again(&programs, &account, &layout).await {
                            Ok(again) => process = again,
                            Err(error) => {
                                tracing::error!(%error, "Embedded Postgres could not be started again");
                                return;
                            }
                        }
                    }
                }
            }
        });
        Ok(Child { stop, watch })
    }

    /// Ask it to end, roll back what is open, and wait for it.
    pub(super) async fn stop(self) {
        if self.stop.send(()).is_ok() {
            let _ = self.watch.await;
        }
    }

    /// Others use it: it goes on without us.
    pub(super) fn leave_running(self) {
        self.watch.abort();
    }
}

/// Until the server is gone: the own one, or that of another process.
async fn ended(own: &mut Option<tokio::process::Child>, layout: &Layout) {
    if let Some(process) = own {
        let _ = process.wait().await;
        return;
    }
    while is_there(layout) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn is_there(layout: &Layout) -> bool {
    Note::read(&layout.data).is_some_and(|it| it.is_alive(&layout.data))
}

/// Start a server that ended; none: another process did meanwhile, and its socket is not ours to sweep away. Nobody else
/// starts one until this one answers.
async fn again(
    programs: &Programs,
    account: &Account,
    layout: &Layout,
) -> Result<Option<tokio::process::Child>> {
    let _starting = super::starting(layout).await?;
    if is_there(layout) {
        return Ok(None);
    }
    let mut process = spawn(programs, account, layout)?;
    answer(&mut process, layout, Instant::now() + super::PATIENCE).await;
    Ok(Some(process))
}

async fn end(process: &mut tokio::process::Child) {
    signal(process.id(), Signal::SIGINT);
    if tokio::time::timeout(Duration::from_secs(20), process.wait()).await.is_err() {
        // Nothing is lost: the next start recovers from the log of the database.
        signal(process.id(), Signal::SIGQUIT);
        let _ = process.wait().await;
    }
}

fn spawn(programs: &Programs, account: &Account, layout: &Layout) -> Result<tokio::process::Child> {
    // The data folder has its own lock. That of the socket only tells of a server that was killed, whose number may
    // be another program's by now, and would keep this one from starting.
    let socket = layout.socket.join(format!(".s.PGSQL.{PORT}"));
    for stale in [socket.with_added_extension("lock"), socket] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => (),
        }
    }
    let log = File::create(&layout.log)?;
    let errors = log.try_clone()?;
    let setting = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
    command(programs, "postgres", account)
        .arg("-D")
        .arg(&layout.data)
        .args(setting("listen_addresses", ""))
        .args(setting("port", &PORT.to_string()))
        .args(setting("unix_socket_directories", &layout.socket.display().to_string()))
        .args(setting("unix_socket_permissions", "0700"))
        .args(setting("fsync", "on"))
        .args(setting("synchronous_commit", "on"))
        .args(setting("timezone", "UTC"))
        .args(setting("jit", "off"))
        .args(setting("logging_collector", "off"))
        .args(setting("log_destination", "stderr"))
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|error| cannot_run(programs, "postgres", account, &error))
}

enum Answer {
    Ready,
    Ended(String),
    Late,
}

async fn answer(process: &mut tokio::process::Child, layout: &Layout, deadline: Instant) -> Answer {
    loop {
        if connects(&layout.socket).await {
            return Answer::Ready;
        }
        if let Ok(Some(_)) = process.try_wait() {
            return Answer::Ended(fs::read_to_string(&layout.log).unwrap_or_default());
        }
        if Instant::now() > deadline {
            return Answer::Late;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connects(socket: &Path) -> bool {
    if !socket.join(format!(".s.PGSQL.{PORT}")).exists() {
        return false;
    }
    let options = options(socket, "postgres");
    match tokio::time::timeout(Duration::from_secs(2), options.connect()).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            true
        }
        _ => false,
    }
}

/// Ours alone, so that the socket needs no password. In /tmp someone else may have been there first.
fn make_socket_folder(account: &Account, socket: &Path) -> Result<()> {
    if let Ok(it) = fs::symlink_metadata(socket)
        && (!it.is_dir() || (it.uid() != account.uid && !socket.ends_with("postgres/socket")))
    {
        return Err(Error::refused(format!(
            "La carpeta {} es de otro usuario: bórrala o cambia LLOVIZNA_HOME a una ruta más corta.",
            socket.display()
        )));
    }
    fs::create_dir_all(socket)?;
    account.own(socket)?;
    fs::set_permissions(socket, Permissions::from_mode(0o700))?;
    Ok(())
}

/// The process of a server that runs on this data folder and answers. A note
/// left by one that is dead, or whose number now belongs to another program, is removed.
pub(super) async fn living(layout: &Layout, patience: Duration) -> Result<Option<Pid>> {
    let deadline = Instant::now() + patience;
    loop {
        let Some(note) = Note::read(&layout.data) else { return Ok(None) };
        if !note.is_alive(&layout.data) {
            fs::remove_file(layout.data.join("postmaster.pid"))?;
            return Ok(None);
        }
        if connects(&layout.socket).await {
            return Ok(Some(note.pid));
        }
        if note.socket.as_ref().is_some_and(|it| *it != layout.socket) {
            return Err(Error::refused(format!(
                "Otro PostgreSQL (proceso {}) usa los datos de {}: detenlo y vuelve a iniciar.",
                note.pid,
                layout.data.display()
            )));
        }
        if Instant::now() > deadline {
            return Err(Error::refused(format!(
                "El PostgreSQL de {} (proceso {}) está vivo pero no responde. Su registro está en {}.",
                layout.data.display(),
                note.pid,
                layout.log.display()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Stop a server that an earlier process left behind.
pub(super) async fn stop_living(layout: &Layout) {
    let Some(note) = Note::read(&layout.data).filter(|it| it.is_alive(&layout.data)) else { return };
    signal(u32::try_from(note.pid.as_raw()).ok(), Signal::SIGINT);
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_there(layout) && Instant::now() < deadline {
        tokio::time::sleep(PAUSE).await;
    }
}

fn signal(pid: Option<u32>, signal: Signal) {
    if let Some(pid) = pid.and_then(|it| i32::try_from(it).ok()) {
        // Fails only when it has ended already.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// What `postmaster.pid` says.
struct Note {
    pid: Pid,
    socket: Option<PathBuf>,
}

impl Note {
    fn read(data: &Path) -> Option<Note> {
        Note::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// Lines: process, data folder, start, port, socket folder, address, memory, state.
    fn parse(text: &str) -> Option<Note> {
        let mut lines = text.lines();
        let pid: i32 = lines.next()?.trim().parse().ok().filter(|it| *it > 1)?;
        let socket = lines.nth(3).map(str::trim).filter(|it| !it.is_empty()).map(PathBuf::from);
        Some(Note { pid: Pid::from_raw(pid), socket })
    }

    /// The process lives and is a server of this data folder: numbers are used
    /// again, most of all in containers, where each start counts from one.
    fn is_alive(&self, data: &Path) -> bool {
        if kill(self.pid, None) == Err(nix::errno::Errno::ESRCH) {
            return false;
        }
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        if !Path::new("/proc/self").exists() {
            return true;
        }
        let is_zombie = fs::read_to_string(process.join("stat"))
            .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')));
        let works_here = match (fs::canonicalize(process.join("cwd")), fs::canonicalize(data)) {
            (Ok(cwd), Ok(data)) => cwd == data,
            _ => fs::read_to_string(process.join("comm")).is_ok_and(|it| it.starts_with("postgres")),
        };
        !is_zombie && works_here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_fatal_line_and_not_the_last_one() {
        let log = "2026 UTC [7] LOG:  starting\n2026 UTC [7] FATAL:  no room\n2026 UTC [7] LOG:  shut down\n";
        assert_eq!(reason(log), "no room");
        assert_eq!(reason("initdb: error: no locale\n\n"), "initdb: error: no locale");
        assert_eq!(reason(""), "ninguno");
    }

    #[test]
    fn the_note_of_a_server_is_read_line_by_line() {
        let note = Note::parse("4711\n/srv/data\n1763700000\n5432\n/srv/socket\n\n  1 2\nready\n").unwrap();
        assert_eq!((note.pid.as_raw(), note.socket.as_deref()), (4711, Some(Path::new("/srv/socket"))));
        assert!(Note::parse("").is_none() && Note::parse("1\n").is_none() && Note::parse("x").is_none());
    }

    #[test]
    fn a_number_that_belongs_to_another_program_is_not_a_server() {
        let data = tempfile::tempdir().unwrap();
        let ourselves = Note { pid: nix::unistd::getpid(), socket: None };
        assert!(!ourselves.is_alive(data.path()));
        let nobody = Note { pid: Pid::from_raw(i32::MAX - 1), socket: None };
        assert!(!nobody.is_alive(data.path()));
    }
}
