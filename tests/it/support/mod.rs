//! The application on a database of its own, with a clock and a mailbox in hand.

pub(crate) mod mailbox;
pub(crate) mod smtp;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::America::Santiago;
use llovizna::{
    access::Role,
    accounts::caller::caller,
    accounts::session,
    channels::{Accepted, Channel, Checking, Email, Outgoing, SendError, Sender, Senders, Sending},
    clock::Clock,
    config::Config,
    deliverability::{
        Doctor,
        links::{Addresses, Visitor},
    },
    ids::StaffId,
    messaging::tracking::Hits,
    state::AppState,
    web,
};
use sqlx::{PgConnection, PgPool};
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Monday 23 November 2026, noon in Chile.
pub(crate) fn monday_noon() -> DateTime<Utc> {
    Santiago.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap().to_utc()
}

/// Come back once `n` connections to this database wait for a lock.
pub(crate) async fn until_waiting(db: &PgPool, n: i64) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(db).await.unwrap() < n {
        tokio::task::yield_now().await;
    }
}

/// How often each of `tables` was read whole so far, all together.
pub(crate) async fn whole_reads(db: &mut PgConnection, tables: &[&str]) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(&mut *db).await.unwrap();
    sqlx::query_scalar("select sum(seq_scan)::bigint from pg_stat_user_tables where relname = any ($1)")
        .bind(tables)
        .fetch_one(db)
        .await
        .unwrap()
}

/// Something that happens while a message is handed over.
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A provider that keeps what it is given, and answers what it is told to.
#[derive(Clone, Default)]
pub(crate) struct Mailbox {
    sent: Arc<Mutex<Vec<Email>>>,
    answers: Arc<Mutex<Vec<SendError>>>,
    /// What happens meanwhile, each once.
    meanwhile: Arc<Mutex<Vec<Meanwhile>>>,
    simulated: bool,
}

impl Mailbox {
    /// Everything accepted so far.
    pub(crate) fn sent(&self) -> Vec<Email> {
        self.sent.lock().unwrap().clone()
    }

    /// Answer the next message with `error`.
    pub(crate) fn refuse_next(&self, error: SendError) {
        self.answers.lock().unwrap().push(error);
    }

    /// While the next message is handed over, `it` happens.
    pub(crate) fn meanwhile(&self, it: impl Future<Output = ()> + Send + 'static) {
        self.meanwhile.lock().unwrap().push(Box::pin(it));
    }
}

impl Sender for Mailbox {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            let meanwhile = self.meanwhile.lock().unwrap().pop();
            if let Some(it) = meanwhile {
                it.await;
            }
            if let Some(error) = self.answers.lock().unwrap().pop() {
                return Err(error);
            }
            let Outgoing::Email(email) = message;
            self.sent.lock().unwrap().push(email.clone());
            Ok(Accepted { external_id: email.message_id.clone(), answer: "250 2.0.0 Ok".to_owned() })
        })
    }

    fn lanes(&self) -> usize {
        2
    }

    fn is_real(&self) -> bool {
        !self.simulated
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async { Ok("220 mail.prueba.cl ESMTP".to_owned()) })
    }
}

/// What came back.
pub(crate) struct Reply {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Body, which is text everywhere here.
    pub(crate) body: String,
}

impl Reply {
    /// Where it redirects to, or nothing.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |it| it.to_str().unwrap())
    }

    /// The value of the form's hidden token.
    pub(crate) fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf_token\" value=\"").expect("a form with a token");
        rest.split('"').next().unwrap().to_owned()
    }

    /// `name=value` of each cookie set.
    pub(crate) fn cookies(&self) -> Vec<String> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|it| it.to_str().unwrap().split(';').next().unwrap().to_owned())
            .collect()
    }

    /// Words of the page without its tags, for looking for a sentence.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in self.body.chars() {
            match c {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    text.push(' ');
                }
                _ if !inside => text.push(c),
                _ => (),
            }
        }
        let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The application.
pub(crate) struct TestApp {
    /// Its state.
    pub(crate) state: AppState,
    /// What left by email.
    pub(crate) mailbox: Mailbox,
    router: Router,
}

impl TestApp {
    /// On `db`, at [`monday_noon`], with an email provider that takes everything.
    pub(crate) fn new(db: PgPool) -> TestApp {
        TestApp::with(db, &[])
    }

    /// With more of the environment set.
    pub(crate) fn with(db: PgPool, environment: &[(&str, &str)]) -> TestApp {
        let mailbox = Mailbox::default();
        TestApp::with_sender(db, environment, mailbox.clone(), Arc::new(mailbox))
    }

    /// With email only simulated.
    pub(crate) fn simulated(db: PgPool) -> TestApp {
        let mailbox = Mailbox { simulated: true, ..Mailbox::default() };
        TestApp::with_sender(db, &[], mailbox.clone(), Arc::new(mailbox))
    }

    /// With an email provider of one's own.
    pub(crate) fn with_sender(
        db: PgPool,
        environment: &[(&str, &str)],
        mailbox: Mailbox,
        sender: Arc<dyn Sender>,
    ) -> TestApp {
        let config = Config::read(|name| {
            let set = environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            set.or_else(|| match name {
                "SECRET_KEY" => Some("a secret of the tests, 32 bytes or more".to_owned()),
                // What starts, starts; who tests the wait sets it.
                "LAUNCH_HOLD_SECONDS" => Some("0".to_owned()),
                _ => None,
            })
        });
        let senders: Senders = Arc::new(HashMap::from([(Channel::Email, sender)]));
        let state = AppState {
            db,
            config: Arc::new(config.unwrap()),
            clock: Clock::fixed(monday_noon()),
            senders,
            hits: Hits::default(),
            doctor: Arc::new(Doctor::new(None)),
            visitor: Arc::new(Visitor::of_system()),
            stop: CancellationToken::new(),
        };
        TestApp { router: web::router(state.clone()), state, mailbox }
    }

    /// With a doctor who asks others than the internet's name servers.
    pub(crate) fn with_doctor(mut self, doctor: Doctor) -> TestApp {
        self.state.doctor = Arc::new(doctor);
        self.router = web::router(self.state.clone());
        self
    }

    /// With a visitor of links who finds hosts elsewhere than the system does.
    pub(crate) fn with_addresses(mut self, addresses: impl Addresses + 'static) -> TestApp {
        self.state.visitor = Arc::new(Visitor::new(Arc::new(addresses)));
        self.router = web::router(self.state.clone());
        self
    }

    /// The present instant of this application.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.state.clock.now()
    }

    /// Sign in as a person of `role`, made if there is none.
    pub(crate) async fn as_role(&self, role: Role) -> Browser<'_> {
        let email = format!("{}@prueba.cl", role.code().to_lowercase());
        let id = sqlx::query_scalar::<_, i64>(
            "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
             values ($1, $2, $3, 'none', $4, $4) on conflict (email) do update set email = excluded.email
             returning id",
        )
        .bind(&email)
        .bind(format!("Persona {}", role.label()))
        .bind(role.code())
        .bind(self.now())
        .fetch_one(&self.state.db)
        .await
        .unwrap();
        self.as_staff(StaffId(id)).await
    }

    /// Sign in as an account that there is.
    pub(crate) async fn as_staff(&self, id: StaffId) -> Browser<'_> {
        let mut tx = self.state.db.begin().await.unwrap();
        let token = session::start(&mut tx, self.now(), id, "Tests").await.unwrap();
        tx.commit().await.unwrap();
        let mut db = self.state.db.acquire().await.unwrap();
        let (found, _) = caller(&mut db, &token, self.now().date_naive(), 1, "").await.unwrap().unwrap();
        drop(db);
        let name = if self.state.config.is_https() { "__Host-llovizna" } else { "llovizna" };
        Browser {
            app: self,
            cookie: format!("{name}={token}"),
            csrf: found.csrf_token,
            staff: Some(id),
            headers: Vec::new(),
        }
    }

    /// A person of the role that may do most.
    pub(crate) async fn admin(&self) -> Browser<'_> {
        self.as_role(Role::SuperAdmin).await
    }

    /// Someone without a session.
    pub(crate) fn anonymous(&self) -> Browser<'_> {
        Browser { app: self, cookie: String::new(), csrf: String::new(), staff: None, headers: Vec::new() }
    }

    /// GET, as a superadministrator.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.admin().await.get(path).await
    }

    /// POST a form with its token, as a superadministrator.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.admin().await.post(path, fields).await
    }
}

/// Someone's browser: a cookie and a token.
#[derive(Clone)]
pub(crate) struct Browser<'a> {
    app: &'a TestApp,
    /// The cookies it sends.
    pub(crate) cookie: String,
    /// The token that its forms carry.
    pub(crate) csrf: String,
    /// Whose it is.
    pub(crate) staff: Option<StaffId>,
    headers: Vec<(&'static str, String)>,
}

impl Browser<'_> {
    /// The same, sending one header more.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, as htmx asks.
    pub(crate) fn htmx(self) -> Self {
        self.header("hx-request", "true")
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path), Body::empty()).await
    }

    /// POST a form, token included.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf_token", &self.csrf).extend_pairs(fields);
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, Body::from(form.finish())).await
    }

    /// POST a multipart form: token, fields, then a file.
    pub(crate) async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file: (&str, &str, &[u8]),
    ) -> Reply {
        const BOUNDARY: &str = "----limite-de-prueba";
        let mut body = Vec::new();
        for (name, value) in [("csrf_token", self.csrf.as_str())].iter().chain(fields) {
            body.extend(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                    .bytes(),
            );
        }
        let (name, file_name, content) = file;
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(content);
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
        self.send(request, Body::from(body)).await
    }

    /// A request with the browser's cookie and headers, to be completed.
    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookie.is_empty() {
            request = request.header(header::COOKIE, &self.cookie);
        }
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    /// Send it, for an answer that is no text.
    pub(crate) async fn send_for_bytes(&self, request: axum::http::request::Builder, body: Body) -> Vec<u8> {
        let response = self.app.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    /// Send it.
    pub(crate) async fn send(&self, request: axum::http::request::Builder, body: Body) -> Reply {
        let response = self.app.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}
