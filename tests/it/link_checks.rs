//! Links asked whether they open: what each answers, what is never asked, and what the checklist says of it.

use crate::{
    campaigns::{app, get, seeded},
    support::TestApp,
};
use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode, Uri, header::LOCATION},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        link_review,
        variants::{self, Plan, Variant},
    },
    db::MIGRATIONS,
    deliverability::links::{Addresses, Finding, MOST, Verdict, Visit, Visitor, is_public},
};
use sqlx::PgPool;
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// Where the internet of these tests is; every other address of this machine is an inner one.
const OUTSIDE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A port that is not asked.
const CLOSED: u16 = 25;
const INSIDE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

struct Hosts;

impl Addresses for Hosts {
    fn of<'a>(&'a self, host: &'a str) -> Finding<'a> {
        Box::pin(async move {
            match host {
                "tienda.prueba.cl" => Ok(vec![INSIDE.into(), OUTSIDE.into()]),
                "interna.prueba.cl" => Ok(vec![INSIDE.into()]),
                _ => Err(io::Error::other("no such host")),
            }
        })
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        address == IpAddr::from(OUTSIDE) || is_public(address)
    }

    /// Sites of these tests are where the system puts them.
    fn may_ask_port(&self, port: u16) -> bool {
        port != CLOSED
    }
}

/// A site that answers by path on every address of this machine, and what it was asked.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn open() -> Site {
        let listener = TcpListener::bind(("0.0.0.0", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state((port, asked.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Site { port, asked }
    }

    fn at(&self, path: &str) -> String {
        format!("http://tienda.prueba.cl:{}{path}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    State((port, asked)): State<(u16, Arc<Mutex<Vec<String>>>)>,
    method: Method,
    uri: Uri,
) -> Response {
    asked.lock().unwrap().push(format!("{method} {}", uri.path()));
    let to = |place: String| (StatusCode::FOUND, [(LOCATION, place)]).into_response();
    match uri.path() {
        "/redirige" => to("/bien".into()),
        "/sin-head" if method == Method::HEAD => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        "/cuelga-head" if method == Method::HEAD => std::future::pending().await,
        "/falla" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "/permiso" => StatusCode::FORBIDDEN.into_response(),
        "/vueltas" => to("/vueltas".into()),
        "/adentro" => to(format!("http://{INSIDE}:{port}/secreto")),
        "/adentro-nombre" => to(format!("http://interna.prueba.cl:{port}/secreto")),
        "/a-otro-puerto" => to(format!("http://tienda.prueba.cl:{CLOSED}/")),
        "/con-clave" => to(format!("http://ana:clave@tienda.prueba.cl:{port}/secreto")),
        "/adentro-archivo" => to("file:///etc/passwd".into()),
        "/bien" | "/sin-head" | "/cuelga-head" | "/secreto" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn each_link_tells_what_became_of_it() {
    let site = Site::open().await;
    let visitor = Visitor::new(Arc::new(Hosts));
    for (link, verdict, answer) in [
        (site.at("/bien"), Verdict::Opens, Some(200)),
        (site.at("/redirige"), Verdict::Opens, Some(200)),
        (site.at("/sin-head"), Verdict::Opens, Some(200)),
        (site.at("/cuelga-head"), Verdict::Opens, Some(200)),
        (site.at("/no-hay"), Verdict::Missing, Some(404)),
        (site.at("/falla"), Verdict::Failing, Some(503)),
        (site.at("/permiso"), Verdict::Refused, Some(403)),
        (site.at("/vueltas"), Verdict::Loops, None),
        ("http://no-existe.prueba.cl/".to_owned(), Verdict::Unresolved, None),
        ("http://tienda.prueba.cl:1/".to_owned(), Verdict::Silent, None),
    ] {
        let it = visitor.visit(&link).await;
        assert_eq!((it.verdict, it.answer), (verdict, answer), "{link}");
    }
}

#[tokio::test]
async fn no_machine_within_is_asked_by_name_address_or_redirection() {
    let site = Site::open().await;
    let visitor = Visitor::new(Arc::new(Hosts));
    let port = site.port;
    for link in [
        format!("http://{INSIDE}:{port}/secreto"),
        format!("http://interna.prueba.cl:{port}/secreto"),
        // The same address as browsers also read it.
        format!("http://2130706434:{port}/secreto"),
        format!("http://0x7f000002:{port}/secreto"),
        format!("http://[::ffff:127.0.0.2]:{port}/secreto"),
        format!("http://[::1]:{port}/secreto"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        site.at("/adentro"),
        site.at("/adentro-nombre"),
        site.at("/adentro-archivo"),
    ] {
        assert_eq!(visitor.visit(&link).await.verdict, Verdict::Inner, "{link}");
    }
    assert!(site.asked().iter().all(|it| !it.contains("secreto")), "{:?}", site.asked());
}

#[tokio::test]
async fn no_service_that_is_no_site_is_asked_and_nobodys_key_is_used() {
    struct Strict;
    impl Addresses for Strict {
        fn of<'a>(&'a self, _: &'a str) -> Finding<'a> {
            Box::pin(async { Ok(vec![OUTSIDE.into()]) })
        }

        fn may_ask(&self, _: IpAddr) -> bool {
            true
        }
    }
    let site = Site::open().await;
    // As it is for everybody but these tests.
    assert_eq!(Visitor::new(Arc::new(Strict)).visit(&site.at("/secreto")).await.verdict, Verdict::Refused);
    let visitor = Visitor::new(Arc::new(Hosts));
    for link in [
        format!("http://ana:clave@tienda.prueba.cl:{}/secreto", site.port),
        format!("http://ana@tienda.prueba.cl:{}/secreto", site.port),
        format!("http://tienda.prueba.cl:{CLOSED}/"),
        site.at("/a-otro-puerto"),
        site.at("/con-clave"),
    ] {
        assert_eq!(visitor.visit(&link).await.verdict, Verdict::Refused, "{link}");
    }
    assert!(site.asked().iter().all(|it| !it.contains("secreto")), "{:?}", site.asked());
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_told_apart() {
    let made = rcgen::generate_simple_self_signed(["tienda.prueba.cl".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((OUTSIDE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let it = Visitor::new(Arc::new(Hosts)).visit(&format!("https://tienda.prueba.cl:{port}/")).await;
    assert_eq!(it.verdict, Verdict::Certificate);
}

#[tokio::test]
async fn no_more_than_some_are_asked_and_a_silent_one_keeps_nobody_waiting() {
    let visitor = Visitor::new(Arc::new(Hosts));
    let links: Vec<String> = (0..MOST + 5).map(|n| format!("http://tienda.prueba.cl:1/{n}")).collect();
    assert_eq!(visitor.visit_all(&links).await.len(), MOST);
    // Connections are taken by the system, and nobody ever answers.
    let listener = TcpListener::bind((OUTSIDE, 0)).await.unwrap();
    let link = format!("http://tienda.prueba.cl:{}/", listener.local_addr().unwrap().port());
    let it = tokio::time::timeout(Duration::from_secs(8), visitor.visit(&link)).await.unwrap();
    assert_eq!(it.verdict, Verdict::Silent);
}

/// The seeded campaign with a text that links to `body`.
async fn written(app: &TestApp, body: &str) -> llovizna::ids::CampaignId {
    let campaign = seeded(app).await;
    let source = get(app, campaign).await.source;
    let reply = app
        .post(
            &format!("/campaigns/{campaign}"),
            &[
                ("name", "Prospección Los Lagos"),
                ("message_type", "PROMOCIONAL"),
                ("subject", "Hola"),
                ("body_format", "TEXT"),
                ("body", body),
                ("footer", &source.footer),
            ],
        )
        .await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    campaign
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_checklist_of_a_draft_tells_which_links_open_and_since_when(db: PgPool) {
    let app = app(db).with_addresses(Hosts);
    let site = Site::open().await;
    let campaign = written(&app, &format!("Mira {} y {}", site.at("/bien"), site.at("/no-hay"))).await;
    let checklist = format!("/campaigns/{campaign}?checklist=1");
    let before = app.get(&checklist).await;
    assert!(before.text().contains("Nadie ha revisado si los enlaces abren."), "{}", before.text());
    let reply = app.post(&format!("/campaigns/{campaign}/links"), &[]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    app.state.clock.advance(TimeDelta::minutes(5));
    let after = app.get(&checklist).await.text();
    assert!(after.contains("1 de 2 enlaces no abre (revisados hace 5 minutos)."), "{after}");
    assert!(after.contains("/no-hay: la página no existe (404)."), "{after}");
    // What was asked is the links of the text, our own pages left out.
    let asked = site.asked();
    assert_eq!(asked.iter().filter(|it| it.starts_with("HEAD")).count(), 2, "{asked:?}");
    let campaign = written(&app, &format!("Mira {}", site.at("/bien"))).await;
    let mended = app.get(&format!("/campaigns/{campaign}?checklist=1")).await.text();
    assert!(mended.contains("El enlace abre (revisado hace 5 minutos)."), "{mended}");
    let without = written(&app, "Sin enlaces").await;
    let page = app.get(&format!("/campaigns/{without}?checklist=1")).await;
    assert!(!page.body.contains("Revisar enlaces"), "{}", page.text());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_template_shows_its_links_and_who_only_looks_asks_nothing(db: PgPool) {
    let app = app(db).with_addresses(Hosts);
    let site = Site::open().await;
    let made = app
        .post(
            "/templates",
            &[
                ("channel", "SMS"),
                ("name", "Con enlace"),
                ("kind", "TRANSACTIONAL"),
                ("body", &format!("Tu pedido: {}", site.at("/falla"))),
            ],
        )
        .await;
    let page = made.location().to_owned();
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&format!("{page}/links"), &[]).await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get(&page).await.body.contains("Revisar enlaces"));
    assert_eq!(site.asked(), Vec::<String>::new());
    assert!(app.get(&page).await.text().contains("Nadie ha revisado si abren."));
    app.post(&format!("{page}/links"), &[]).await;
    let shown = app.get(&page).await.text();
    assert!(
        shown.contains("El enlace no abre") && shown.contains("el sitio tiene una falla (503)"),
        "{shown}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_known_of_some_links_is_told_whatever_is_not_known_of_others(db: PgPool) {
    let app = app(db).with_addresses(Hosts);
    let site = Site::open().await;
    let broken = site.at("/no-hay");
    let campaign = written(&app, &format!("Mira {broken} y {}", site.at("/permiso"))).await;
    app.post(&format!("/campaigns/{campaign}/links"), &[]).await;
    let told = app.get(&format!("/campaigns/{campaign}?checklist=1")).await.text();
    assert!(told.contains("1 de 2 enlaces no abre; 1 de 2 no se pudo revisar: ábrelo tú"), "{told}");
    assert!(told.contains("/permiso: un programa no lo puede revisar: ábrelo tú (403)."), "{told}");
    // A link that came afterwards hides nothing.
    let more = format!("Mira {broken} y {}", site.at("/bien"));
    let campaign = written(&app, &more).await;
    let told = app.get(&format!("/campaigns/{campaign}?checklist=1")).await.text();
    assert!(told.contains("1 de 2 enlaces no abre; 1 de 2 sin revisar"), "{told}");
    assert!(told.contains("la página no existe (404). Revísalos antes de empezar."), "{told}");
    // One that is too long to be kept neither.
    let long = format!("{}?x={}", site.at("/bien"), "a".repeat(2000));
    let campaign = written(&app, &format!("Mira {} y {long}", site.at("/bien"))).await;
    app.post(&format!("/campaigns/{campaign}/links"), &[]).await;
    let told = app.get(&format!("/campaigns/{campaign}?checklist=1")).await.text();
    assert!(told.contains("El enlace abre (revisado"), "{told}");
    assert!(told.contains("es demasiado largo y no se revisa."), "{told}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_links_of_every_text_of_a_trial_are_asked(db: PgPool) {
    let app = app(db).with_addresses(Hosts);
    let site = Site::open().await;
    let campaign = written(&app, &format!("Mira {}", site.at("/bien"))).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let plan = Plan {
        variants: vec![Variant { opening: format!("Ve a {}", site.at("/no-hay")), ..Variant::default() }],
        ..Plan::default()
    };
    let actor = Actor::CommandLine;
    variants::save(&mut tx, app.state.clock.now(), &actor, campaign, &plan).await.unwrap();
    tx.commit().await.unwrap();
    app.post(&format!("/campaigns/{campaign}/links"), &[]).await;
    let told = app.get(&format!("/campaigns/{campaign}?checklist=1")).await.text();
    assert!(told.contains("1 de 2 enlaces no abre"), "{told}");
    assert!(told.contains("/no-hay: la página no existe (404)."), "{told}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_forgets_old_answers_waits_for_nobody(db: PgPool) {
    let now = "2026-03-02T12:00:00Z".parse().unwrap();
    let visit = |url: &str| (url.to_owned(), Visit { verdict: Verdict::Opens, answer: Some(200) });
    let mut tx = db.begin().await.unwrap();
    let long_ago = now - TimeDelta::days(40);
    sqlx::query("insert into link_checks (url, verdict, checked_at) values ('https://a.cl/', 'OPENS', $1), ('https://b.cl/', 'OPENS', $1)")
        .bind(long_ago)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut other = db.begin().await.unwrap();
    sqlx::query("select 1 from link_checks where url = 'https://a.cl/' for update")
        .execute(&mut *other)
        .await
        .unwrap();
    let mut tx = db.begin().await.unwrap();
    sqlx::query("set local lock_timeout = '500ms'").execute(&mut *tx).await.unwrap();
    link_review::keep(&mut tx, now, &[visit("https://c.cl/")]).await.unwrap();
    tx.commit().await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("select url from link_checks order by url").fetch_all(&mut *other).await.unwrap();
    assert_eq!(left, ["https://a.cl/", "https://c.cl/"]);
}
