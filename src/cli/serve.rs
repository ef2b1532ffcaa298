//! `llovizna serve`: the panel and the scheduler, from an empty folder to a clean
//! stop. Orders the steps; what each one means is its module's.

use super::{
    complain, opened,
    opened::{Database, close_pool},
    print,
};
use crate::{
    accounts::setup,
    channels::Channel,
    config::Config,
    demo,
    error::{Error, Result},
    scheduler,
    state::AppState,
    web,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    serve::ListenerExt,
};
use sqlx::PgPool;
use std::{
    fmt::Write as _,
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Connections to the database; the smallest hosted ones allow about a hundred.
const CONNECTIONS: u32 = 16;

/// A database that is starting up beside us is waited for this long.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);

/// Longest wait for requests, jobs and messages in hand when stopping; hosts kill after thirty seconds.
const STOPPING_PATIENCE: Duration = Duration::from_secs(20);

/// `llovizna serve …`
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Llena una base vacía con datos de ejemplo y muestra cómo entrar
    #[arg(long)]
    demo: bool,
}

/// Serve until a signal says stop. Gives what is left to say, which is nothing.
pub(super) async fn run(mut config: Config, args: Args) -> Result<String> {
    let began = Instant::now();
    if args.demo && !config.demo_public && !config.listen.ip().is_loopback() {
        return Err(Error::refused(format!(
            "No se inició nada: con --demo cualquiera que llegue a {} entraría como superadministrador con una contraseña \
             publicada. Usa BIND_ADDR=127.0.0.1:{}, o DEMO_PUBLIC=on si de verdad quieres mostrarla en la red.",
            config.listen,
            config.listen.port()
        )));
    }
    let stop = stop_on_signals()?;
    let moved = opened::settle(&mut config)?;
    opened::keep_secret_key(&mut config)?;
    let listener = listen(config.listen).await?;
    let lobby = Lobby::default();
    let server = serve(listener, lobby.clone(), stop.clone());
    if let Some(moved) = moved {
        complain(&moved);
    }
    let end = tokio::select! {
        database = Database::open(&config) => match database {
            Ok(database) => {
                let end = serve_from(config, args, &database, &lobby, began, &stop).await;
                database.close().await;
                end
            }
            Err(error) => Err(error),
        },
        // What was begun is left as it is; the next start goes on from there.
        () = stop.cancelled() => Ok(()),
    };
    stop.cancel();
    // The pages are gone with the database; whoever still holds a connection is cut.
    let _ = tokio::time::timeout(Duration::from_secs(1), server).await;
    end.map(|()| String::new())
}

async fn serve_from(
    config: Config,
    args: Args,
    database: &Database,
    lobby: &Lobby,
    began: Instant,
    stop: &CancellationToken,
) -> Result<()> {
    let Some(pool) = connect(database, stop).await? else { return Ok(()) };
    let state = AppState { stop: stop.clone(), ..opened::state(config, pool).await? };
    let end = serve_state(&state, args, database, lobby, began, stop).await;
    close_pool(&state.db).await;
    end
}

async fn serve_state(
    state: &AppState,
    args: Args,
    database: &Database,
    lobby: &Lobby,
    began: Instant,
    stop: &CancellationToken,
) -> Result<()> {
    if let Some(email) = setup::ensure_first_admin(&state.db, state.clock.now(), &state.config).await? {
        complain(&format!("Se creó la primera cuenta: {email}"));
    }
    let demo =
        if args.demo { Some(demo::fill(&state.db, &state.config, state.clock.now()).await?) } else { None };
    lobby.open(web::router(state.clone()));
    let mut work = if state.config.scheduler {
        scheduler::start(state, stop)
    } else {
        let mut engines = tokio::task::JoinSet::new();
        scheduler::start_engines(state, stop, &mut engines);
        engines
    };
    print(&greeting(state, database, demo, began.elapsed()).await?);
    stop.cancelled().await;
    complain("Deteniendo: se termina lo que está en curso.");
    let finished = async { while work.join_next().await.is_some() {} };
    if tokio::time::timeout(STOPPING_PATIENCE, finished).await.is_err() {
        tracing::warn!("Work in hand was cut off; the next run takes it up");
        work.abort_all();
    }
    Ok(())
}

/// The pool; none if we are told to stop while the database is awaited.
async fn connect(database: &Database, stop: &CancellationToken) -> Result<Option<PgPool>> {
    let deadline = Instant::now() + DATABASE_PATIENCE;
    let mut told = false;
    loop {
        match database.pool(CONNECTIONS).await {
            Ok(pool) => return Ok(Some(pool)),
            Err(error) if error.is_database_away() && Instant::now() < deadline => {
                if !told {
                    complain("La base de datos aún no responde: se espera hasta un minuto.");
                    told = true;
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_secs(1)) => (),
        }
    }
}

/// Cancelled by Ctrl-C or SIGTERM. A second one ends the process on the spot.
fn stop_on_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let asked = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
            if asked.is_cancelled() {
                std::process::exit(130);
            }
            asked.cancel();
        }
    });
    Ok(stop)
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let port = address.port();
        Error::refused(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "El puerto {port} ya está en uso: cierra el otro programa o elige otro puerto, por ejemplo PORT={} BIND_ADDR={}.",
                port.checked_add(1).unwrap_or(8000),
                address.ip()
            ),
            ErrorKind::PermissionDenied => {
                format!("Este usuario no puede usar el puerto {port}: elige uno sobre 1024, por ejemplo PORT=8000.")
            }
            ErrorKind::AddrNotAvailable => {
                format!("Este equipo no tiene la dirección {}: corrige BIND_ADDR.", address.ip())
            }
            _ => format!("No se pudo escuchar en {address}: {error}."),
        })
    })
}

fn serve(listener: TcpListener, lobby: Lobby, stop: CancellationToken) -> JoinHandle<()> {
    let app = Router::new().fallback(enter).with_state(lobby);
    // Small answers must not wait for more to come (Nagle).
    let listener = listener.tap_io(|line| {
        let _ = line.set_nodelay(true);
    });
    tokio::spawn(async move {
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "The panel stopped listening");
        }
    })
}

/// Where requests wait until the application is ready, so that the port answers from the first moment.
#[derive(Clone, Default)]
struct Lobby(Arc<OnceLock<Router>>);

impl Lobby {
    fn open(&self, app: Router) {
        let _ = self.0.set(app);
    }
}

async fn enter(State(lobby): State<Lobby>, request: Request) -> Response {
    match lobby.0.get() {
        Some(app) => match app.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        },
        None if request.uri().path() == "/healthz" => "ok\n".into_response(),
        None => {
            let soon = [(header::RETRY_AFTER, "2"), (header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (
                StatusCode::SERVICE_UNAVAILABLE,
                soon,
                "Llovizna está iniciando. Vuelve a intentarlo en unos segundos.\n",
            )
                .into_response()
        }
    }
}

async fn greeting(
    state: &AppState,
    database: &Database,
    demo: Option<demo::Outcome>,
    took: Duration,
) -> Result<String> {
    let config = &state.config;
    let mut text = format!("\nLlovizna está lista ({:.1} s)\n", took.as_secs_f64());
    let mut line = |what: &str, how: &str| {
        // Writing to a String never fails.
        let _ = writeln!(text, "  {what:<15}{how}");
    };
    line("Panel:", &config.public_url);
    match &database.embedded {
        Some(it) => line(
            "Base de datos:",
            &format!("PostgreSQL {} propio, en {}", it.major(), config.home.join("postgres").display()),
        ),
        None => line("Base de datos:", "la de DATABASE_URL"),
    }
    if state.senders.get(&Channel::Email).is_some_and(|it| it.is_real()) {
        line("Correo:", "se envía por el servidor SMTP configurado");
    } else {
        line("Correo:", "no sale: queda en la bandeja de salida del panel (falta EMAIL_HOST)");
    }
    if !config.scheduler {
        line("Programador:", "apagado (SCHEDULER=off)");
    }
    match demo {
        Some(demo::Outcome::Filled | demo::Outcome::AlreadyThere) => {
            line("Entrar con:", demo::EMAIL);
            line("Contraseña:", demo::PASSWORD);
        }
        Some(demo::Outcome::HasData) => {
            line("Demostración:", "la base ya tiene datos propios: se conservaron y no se agregó nada");
        }
        None => (),
    }
    if let Some(link) = setup::link(&state.db, config).await? {
        line(&format!("{}:", setup::LINK_LABEL), "abre este enlace para crear la primera cuenta");
        line("", &link);
    }
    line("Detener:", "Ctrl-C");
    Ok(text)
}
