//! Texts proposed by an artificial intelligence: what leaves the house, what comes back, what it costs, who decides.

mod asking;
mod by_itself;
mod deciding;
mod failing;
mod pages;
pub(crate) mod provider;

use crate::{
    campaigns::{BUSINESS, seeded},
    support::TestApp,
};
use llovizna::{
    access::{Actor, Role},
    campaigns::{campaign, edit::Edit},
    config::FirstValues,
    copywriter::terms::Terms,
    error::Error,
    ids::{CampaignId, ProposalId, StaffId},
    messaging::template::Source,
    proposals::{
        self, Request,
        ask::{self, Wish},
        run,
    },
    settings,
};
use provider::Provider;
use sqlx::PgPool;

/// The key: it must show up nowhere.
pub(crate) const KEY: &str = "sk-clave-muy-secreta-0123456789";

/// The application, with a provider to ask.
pub(crate) async fn with_provider(db: PgPool) -> (TestApp, Provider) {
    let provider = Provider::start().await;
    let app = asking(db, &provider.url);
    (app, provider)
}

/// The application, asking whoever listens at `url`, and waiting a second for an answer.
pub(crate) fn asking(db: PgPool, url: &str) -> TestApp {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = [("DEEPSEEK_API_URL", url), ("DEEPSEEK_API_KEY", KEY), ("DEEPSEEK_TIMEOUT_SECONDS", "1")];
    let all: Vec<(&str, &str)> = BUSINESS.iter().copied().chain(own).collect();
    TestApp::with(db, &all)
}

/// Someone of the staff who may write campaigns.
pub(crate) async fn writer(app: &TestApp) -> Actor {
    let id = app.as_role(Role::Staff).await.staff.unwrap();
    Actor::Staff { id: StaffId(id.0), name: "Persona Equipo".to_owned(), role: Role::Staff }
}

/// Write the draft's subject and text.
pub(crate) async fn write(app: &TestApp, id: CampaignId, subject: &str, body: &str) {
    let mut tx = app.state.db.begin().await.unwrap();
    let draft = campaign::get(&mut tx, id).await.unwrap();
    let source = Source { subject: subject.into(), body: body.into(), ..draft.source.clone() };
    let edit = Edit { source, ..Edit::of(&draft) };
    campaign::update(&mut tx, app.now(), &Actor::CommandLine, &app.state.config, id, &edit).await.unwrap();
    tx.commit().await.unwrap();
}

/// The seeded draft, with a text of its own.
pub(crate) async fn draft(app: &TestApp) -> CampaignId {
    let id = seeded(app).await;
    write(
        app,
        id,
        "Termas en otoño",
        "Hola {{ first_name | default(\"Hola\") }}:\n\nAbrimos de martes a domingo.\n\nTe esperamos.",
    )
    .await;
    id
}

pub(crate) async fn ask(app: &TestApp, id: CampaignId, wish: Wish) -> llovizna::error::Result<usize> {
    let actor = writer(app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let asked = ask::ask(&mut tx, app.now(), &actor, &app.state.config, id, wish, "").await?;
    tx.commit().await.unwrap();
    Ok(asked)
}

/// One turn of the engine.
pub(crate) async fn turn(app: &TestApp) -> bool {
    let state = &app.state;
    run::run_once(&state.db, &state.clock, &state.config, &state.stop).await.unwrap()
}

/// The engine, until nothing is due.
pub(crate) async fn settle(app: &TestApp) {
    while turn(app).await {}
}

/// The newest request.
pub(crate) async fn newest(app: &TestApp, id: CampaignId) -> Request {
    let mut db = app.state.db.acquire().await.unwrap();
    proposals::list(&mut db, id, 1).await.unwrap().remove(0)
}

/// The first of the newest proposals.
pub(crate) async fn first(app: &TestApp, id: CampaignId) -> ProposalId {
    newest(app, id).await.proposals[0].id
}

pub(crate) async fn terms(app: &TestApp, change: impl FnOnce(&mut Terms)) {
    let mut tx = app.state.db.begin().await.unwrap();
    let mut terms: Terms = settings::load(&mut *tx, &FirstValues::default()).await.unwrap();
    change(&mut terms);
    settings::save(&mut tx, app.now(), None, &terms).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: llovizna::error::Result<T>) -> String {
    match result.unwrap_err() {
        Error::Refused(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn number(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.state.db).await.unwrap()
}
