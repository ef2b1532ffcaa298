//! Openings and clicks: how messages carry them, what people and machines do to them, and what a campaign shows of it.

mod figures;
mod hits;
mod links;

use crate::{
    campaigns::{get, people, seeded, start},
    support::{Browser, Reply, TestApp},
};
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    campaigns::{campaign, drip, edit::Edit},
    channels::{Channel, Email},
    ids::CampaignId,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
        template::BodyFormat,
        tracking,
    },
};

/// What a telephone says of itself.
const PERSON: &str = "Mozilla/5.0 (Linux; Android 14; SM-A155M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36";

const BODY: &str = "<html><body><p>Hola {{ first_name }}</p><a href=\"https://tienda.example/oferta?a=1&amp;b=2\">Ver</a>\
    <a href=\"https://tienda.example/mapa\">Mapa</a><a href=\"https://tienda.example/tercera\">Otra</a>\
    <a href=\"mailto:hola@lluviasur.example\">Escribir</a><a href=\"{{ unsubscribe_url }}\">Baja</a></body></html>";

/// Change a campaign as people do.
async fn edit(app: &TestApp, id: CampaignId, change: impl FnOnce(&mut Edit)) {
    let mut edit = Edit::of(&get(app, id).await);
    change(&mut edit);
    let mut tx = app.state.db.begin().await.unwrap();
    campaign::update(&mut tx, app.now(), &Actor::CommandLine, &app.state.config, id, &edit).await.unwrap();
    tx.commit().await.unwrap();
}

async fn run(app: &TestApp) {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let options = Options { batch_size: Some(1000), ..Options::new(Channel::Email, Trigger::CommandLine) };
    drip::run_once(&engine, &options).await.unwrap();
}

/// A campaign that went to `n` people, measured or not, and their messages by address.
async fn sent(app: &TestApp, n: i64, tracks: bool) -> (CampaignId, Vec<Email>) {
    people(app, "sur", n).await;
    let id = seeded(app).await;
    edit(app, id, |it| {
        it.tracks = tracks;
        BODY.clone_into(&mut it.source.body);
        it.source.body_format = BodyFormat::Html;
        it.batch_size = 1000;
    })
    .await;
    start(app, id).await.unwrap();
    run(app).await;
    let mut emails = app.mailbox.sent();
    emails.sort_by_key(|it| it.message);
    assert_eq!(i64::try_from(emails.len()).unwrap(), n);
    (id, emails)
}

/// The paths under `/c/` and `/o/` that a message carries, in order.
fn paths(app: &TestApp, email: &Email) -> Vec<String> {
    let base = &app.state.config.public_url;
    email
        .html
        .split('"')
        .filter_map(|it| it.strip_prefix(base.as_str()))
        .filter(|it| it.starts_with("/c/") || it.starts_with("/o/"))
        .map(str::to_owned)
        .collect()
}

fn person(app: &TestApp) -> Browser<'_> {
    app.anonymous().header("user-agent", PERSON)
}

async fn asks(app: &TestApp, path: &str) -> Reply {
    person(app).get(path).await
}

/// Later, as far as it takes to be judged; then tell all that waits.
async fn settle(app: &TestApp) {
    tracking::run_once(&app.state.db, app.now(), &app.state.hits).await.unwrap();
    app.state.clock.advance(TimeDelta::seconds(11));
    tell(app).await;
}

/// Tell all that is due.
async fn tell(app: &TestApp) {
    while tracking::run_once(&app.state.db, app.now(), &app.state.hits).await.unwrap() {}
}

async fn status(app: &TestApp, message: i64) -> String {
    sqlx::query_scalar("select status from communication_logs where id = $1")
        .bind(message)
        .fetch_one(&app.state.db)
        .await
        .unwrap()
}

/// What came after a message left: kind, and why or where to.
async fn after(app: &TestApp, message: i64) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' ', kind, reason, case when kind in ('CLICKED', 'MACHINE_CLICKED') then answer end)
         from communication_events
         where communication_log_id = $1 and id > (
             select max(id) from communication_events where communication_log_id = $1 and kind in ('SENT', 'CONFIRMED'))
         order by id",
    )
    .bind(message)
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.state.db).await.unwrap()
}
