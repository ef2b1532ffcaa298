//! One run of the drip, as the scheduler, the endpoint and the command line ask for it.

use crate::{
    campaigns::{BUSINESS, app, execute, get, people, seeded, start},
    support::TestApp,
};
use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    campaigns::{campaign::Status, drip, progress, status},
    channels::{Channel, SendError},
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::{
        drain::{Engine, Options},
        kinds::Status as MessageStatus,
        runs::Trigger,
    },
    scheduler::jobs::{DRIP, JOBS},
};
use serde_json::Value;
use sqlx::{Connection, PgPool};

pub(crate) fn engine(app: &TestApp) -> Engine {
    Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    }
}

pub(crate) async fn run(app: &TestApp) -> drip::RunReport {
    drip::run_once(&engine(app), &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap()
}

async fn under_way(app: &TestApp, n: i64) -> CampaignId {
    people(app, "sur", n).await;
    let id = seeded(app).await;
    start(app, id).await.unwrap();
    id
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_drips_by_batches_under_its_cap_until_it_ends(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 70).await;
    let first = run(&app).await;
    assert_eq!((first.sent, first.pending, first.window), (30, 40, "open"));
    app.state.clock.advance(TimeDelta::minutes(10));
    assert_eq!(run(&app).await.sent, 20, "the channel's cap of 50 a day");
    app.state.clock.advance(TimeDelta::minutes(10));
    assert_eq!(run(&app).await.sent, 0);
    app.state.clock.advance(TimeDelta::days(1));
    assert_eq!(run(&app).await.sent, 20);
    let it = get(&app, id).await;
    assert_eq!((it.status, it.finished_at), (Status::Finished, Some(app.now())));
    assert_eq!(app.mailbox.sent().len(), 70);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn outside_the_window_nothing_leaves_and_the_report_says_until_when(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 3).await;
    // Tuesday 8 December 2026: Inmaculada Concepción, Ley 2.977.
    app.state.clock.set("2026-12-08T15:00:00Z".parse().unwrap());
    let report = run(&app).await;
    assert_eq!((report.window, report.sent, report.pending), ("closed", 0, 3));
    assert_eq!(report.next_window_opens_at, Some("2026-12-09T12:00:00Z".parse().unwrap()));
    assert_eq!(get(&app, id).await.status, Status::Running);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_paused_campaign_sends_nothing(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 3).await;
    let mut tx = app.state.db.begin().await.unwrap();
    status::pause(&mut tx, app.now(), &Actor::CommandLine, id, "").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(run(&app).await.sent, 0);
    assert!(app.mailbox.sent().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_fault_of_ours_pauses_the_campaign_and_loses_nothing(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 3).await;
    app.mailbox.refuse_next(SendError::Sender { answer: "535 5.7.8 Authentication failed".into() });
    let report = run(&app).await;
    assert_eq!((report.status, report.paused.len()), ("failed", 1));
    let it = get(&app, id).await;
    assert_eq!(it.status, Status::Paused);
    assert!(it.pause_reason.unwrap().contains("535 5.7.8 Authentication failed"));
    assert_eq!(it.paused_by, None, "the system, not a person");
    let left = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!(left.count(MessageStatus::Pending) + left.left(), 3);
    let mut tx = app.state.db.begin().await.unwrap();
    status::resume(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    // The refused one goes behind the others, so that one that is always refused does not hold them up.
    app.state.clock.advance(chrono::TimeDelta::minutes(10));
    run(&app).await;
    assert_eq!(app.mailbox.sent().len(), 3);
    assert_eq!(get(&app, id).await.status, Status::Finished);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_legal_sender_a_running_campaign_pauses_before_anyone_is_blocked(db: PgPool) {
    let with = app(db.clone());
    let id = under_way(&with, 2).await;
    let without = TestApp::new(db);
    let report = run(&without).await;
    assert_eq!((report.claimed, report.paused.len()), (0, 1));
    let it = get(&without, id).await;
    assert_eq!(it.status, Status::Paused);
    assert!(it.pause_reason.unwrap().contains("remitente legal"));
    assert_eq!(progress::of(&without.state.db, id).await.unwrap().count(MessageStatus::Pending), 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_that_cannot_be_read_holds_no_other_up(db: PgPool) {
    let app = app(db);
    under_way(&app, 3).await;
    execute(
        &app,
        "insert into campaigns (name, message_type, status, audience, template_id, created_at, updated_at)
         select 'Rota', message_type, 'RUNNING', '[1]', template_id, created_at, updated_at from campaigns limit 1",
    )
    .await;
    let report = run(&app).await;
    assert_eq!((report.sent, report.status), (3, "failed"));
    assert!(report.error.unwrap().contains("1 campaña"));
    assert_eq!(app.mailbox.sent().len(), 3);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_rehearsal_decides_and_writes_nothing(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 3).await;
    execute(&app, "update contacts set email_basis = null where email = 'sur1@x.example'").await;
    let options = Options { dry_run: true, ..Options::new(Channel::Email, Trigger::CommandLine) };
    let report = drip::run_once(&engine(&app), &options).await.unwrap();
    assert_eq!((report.claimed, report.blocked, report.sent, report.run_id), (3, 1, 0, None));
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().count(MessageStatus::Pending), 3);
    assert!(app.mailbox.sent().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_new_version_reaches_those_who_are_left(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 40).await;
    run(&app).await;
    app.post(&format!("/campaigns/{id}"), &[("subject", "Segunda versión")]).await;
    app.state.clock.advance(TimeDelta::minutes(10));
    run(&app).await;
    let sent = app.mailbox.sent();
    assert_eq!(sent.iter().filter(|it| it.subject == "Segunda versión").count(), 10);
    let kept: i64 = sqlx::query_scalar(
        "select count(distinct template_id) from communication_logs where sent_at is not null",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(kept, 2, "the log says which words each message carried");
}

// POST /internal/drip

pub(crate) async fn ask(app: &TestApp, token: Option<&str>) -> (StatusCode, Value) {
    let browser = app.anonymous();
    let mut request = browser.request(Method::POST, "/internal/drip");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let reply = browser.send(request, Body::empty()).await;
    (reply.status, serde_json::from_str(&reply.body).unwrap_or_default())
}

fn with_token(db: PgPool) -> TestApp {
    TestApp::with(db, &[BUSINESS, &[("DRIP_TOKEN", "goteo-secreto")]].concat())
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_token_set_there_is_no_endpoint(db: PgPool) {
    assert_eq!(ask(&app(db), Some("x")).await.0, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_wrong_token_is_refused_and_sends_nothing(db: PgPool) {
    let app = with_token(db);
    under_way(&app, 1).await;
    assert_eq!(ask(&app, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&app, Some("goteo-secretO")).await.0, StatusCode::UNAUTHORIZED);
    assert!(app.mailbox.sent().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cron_in_the_schedulers_stead_runs_all_that_is_due(db: PgPool) {
    let ran = || async {
        sqlx::query_scalar::<_, String>("select name from job_runs where status = 'DONE' order by name")
            .fetch_all(&db)
            .await
            .unwrap()
    };
    ask(&with_token(db.clone()), Some("goteo-secreto")).await;
    assert_eq!(ran().await, [""; 0], "where a scheduler runs, the jobs are its own");
    let off = [BUSINESS, &[("DRIP_TOKEN", "goteo-secreto"), ("SCHEDULER", "off")]].concat();
    let app = TestApp::with(db.clone(), &off);
    assert_eq!(ask(&app, Some("goteo-secreto")).await.0, StatusCode::OK);
    let mut due: Vec<&str> = JOBS.iter().map(|it| it.name).filter(|it| *it != DRIP).collect();
    due.sort_unstable();
    for _ in 0..200 {
        if ran().await.len() == due.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(ran().await, due);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cron_with_the_token_drips_and_gets_the_counts(db: PgPool) {
    let app = with_token(db);
    under_way(&app, 31).await;
    let (status, report) = ask(&app, Some("goteo-secreto")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(report["run_id"].is_i64(), "{report}");
    assert_eq!(
        (&report["window"], &report["sent"], &report["pending"]),
        (&"open".into(), &30.into(), &1.into())
    );
    for key in ["claimed", "failed", "deferred", "blocked", "next_window_opens_at"] {
        assert!(report.get(key).is_some(), "{key}: {report}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_second_run_says_that_one_is_under_way(db: PgPool) {
    let app = with_token(db);
    under_way(&app, 1).await;
    // Another process holds the channel: class 1 of the advisory locks, key of EMAIL.
    let mut other = sqlx::PgConnection::connect_with(&app.state.db.connect_options()).await.unwrap();
    for channel in 0..4 {
        sqlx::query("select pg_advisory_lock($1, $2)")
            .bind(llovizna::db::locks::DRIP)
            .bind(channel)
            .execute(&mut other)
            .await
            .unwrap();
    }
    let (status, report) = ask(&app, Some("goteo-secreto")).await;
    assert_eq!((status, &report["status"]), (StatusCode::OK, &"already_running".into()));
    assert!(app.mailbox.sent().is_empty());
}
