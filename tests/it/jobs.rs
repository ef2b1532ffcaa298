//! Scheduled jobs: once a slot over all replicas, caught up once, and their page; what operations ask.

use crate::support::TestApp;
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, StatusCode},
};
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    scheduler::{self, jobs},
};
use sqlx::PgPool;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

async fn runs(db: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as("select trigger, status from job_runs order by id").fetch_all(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_slot_is_taken_once_and_a_missed_one_is_caught_up_once(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (job, stop) = (jobs::find("drip").unwrap(), CancellationToken::new());
    let (one, other) =
        tokio::join!(scheduler::tick(&app.state, job, &stop), scheduler::tick(&app.state, job, &stop));
    assert_eq!([one.unwrap(), other.unwrap()].into_iter().filter(|it| *it).count(), 1);
    app.state.clock.advance(TimeDelta::minutes(9));
    assert!(!scheduler::tick(&app.state, job, &stop).await.unwrap());
    app.state.clock.advance(TimeDelta::hours(5));
    assert!(scheduler::tick(&app.state, job, &stop).await.unwrap());
    assert!(!scheduler::tick(&app.state, job, &stop).await.unwrap());
    assert_eq!(runs(&db).await.len(), 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_run_whose_process_is_gone_is_shown_as_interrupted(db: PgPool) {
    let app = TestApp::new(db.clone());
    sqlx::query("insert into job_runs (name, slot, trigger, started_at) values ('drip', '2026-11-20', 'SCHEDULER', '2026-11-20')")
        .execute(&db)
        .await
        .unwrap();
    let job = jobs::find("cleanup").unwrap();
    scheduler::tick(&app.state, job, &CancellationToken::new()).await.unwrap();
    assert_eq!(runs(&db).await[0].1, "INTERRUPTED");
    assert!(app.get("/jobs").await.text().contains("Interrumpido"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_may_runs_a_job_from_its_page(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post("/jobs/drip/run", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post("/jobs/nothing/run", &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.post("/jobs/drip/run", &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(runs(&db).await, [("MANUAL".to_owned(), "DONE".to_owned())]);
    let page = app.get("/jobs").await.text();
    assert!(page.contains("0 enviados") && page.contains("Terminado"), "{page}");
    let own = app.get("/jobs/drip").await.text();
    let name = "Persona Superadministrador";
    assert!(own.contains(&format!("a pedido de {name}")), "{own}");
    assert!(own.contains(&format!("{name}, desde el panel")) && !own.contains("Trabajo programado"), "{own}");
    let latest = app.get("/jobs").await.text();
    assert!(latest.contains(&format!("a pedido de {name}")), "{latest}");
    // A shell is told apart, and so are its own hour and a message of trial.
    app.state.clock.advance(TimeDelta::minutes(10));
    let job = jobs::find("drip").unwrap();
    scheduler::run_now(&app.state, &Actor::CommandLine, job, &CancellationToken::new()).await.unwrap();
    sqlx::query(
        "insert into drip_runs (trigger, communication_type, started_at) values ('PANEL', 'EMAIL', $1)",
    )
    .bind(app.now() + TimeDelta::seconds(1))
    .execute(&db)
    .await
    .unwrap();
    app.state.clock.advance(TimeDelta::minutes(10));
    assert!(scheduler::tick(&app.state, job, &CancellationToken::new()).await.unwrap());
    let all = app.get("/jobs/drip").await.text();
    for asked in [
        "Línea de comandos (llovizna job run drip)",
        "a pedido de línea de comandos",
        "Panel, para un mensaje de prueba",
        "Trabajo programado",
        &format!("{name}, desde el panel"),
    ] {
        assert_eq!(all.matches(asked).count(), 1, "{asked}: {all}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn operations_learn_that_it_lives_is_ready_and_how_it_does(db: PgPool) {
    let app = TestApp::with(db.clone(), &[("METRICS_TOKEN", "figuras-123")]);
    let anonymous = app.anonymous().header("authorization", "Bearer figuras-123");
    assert_eq!(anonymous.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(anonymous.get("/readyz").await.status, StatusCode::OK);
    let metrics = anonymous.get("/metrics").await.body;
    assert!(metrics.contains("llovizna_messages_pending{channel=\"EMAIL\"} 0"), "{metrics}");
    assert!(metrics.contains("llovizna_database_up 1"));
    for (name, value) in [
        ("llovizna_messages_oldest_due_seconds{channel=\"EMAIL\"}", 0),
        ("llovizna_drip_last_duration_seconds{channel=\"EMAIL\"}", 0),
        ("llovizna_returned_waiting", 0),
        ("llovizna_returned_unmatched", 0),
        ("llovizna_evidence_unsealed_events", 0),
        ("llovizna_evidence_unsealed_seconds", 0),
    ] {
        assert!(metrics.contains(&format!("\n{name} {value}\n")), "{name}: {metrics}");
    }
    sqlx::raw_sql(
        "insert into inbound_events (source, external_id, communication_type, kind, occurred_at, received_at, message_ids, raw,
             next_attempt_at, status) values ('mailbox', '1', 'EMAIL', 'COMPLAINT', '2026-11-23', '2026-11-23', '{}', '', '2026-11-23', 'UNMATCHED');
         insert into drip_runs (trigger, communication_type, status, started_at, finished_at)
             values ('CLI', 'EMAIL', 'DONE', '2026-11-23 12:00:00', '2026-11-23 12:01:30');
         insert into communication_events (communication_log_id, at, kind) values (1, '2026-11-23 12:00:00', 'DELAYED')",
    )
    .execute(&db)
    .await
    .unwrap();
    app.state.clock.advance(TimeDelta::seconds(20));
    let metrics = anonymous.get("/metrics").await.body;
    for line in [
        "llovizna_returned_total{kind=\"COMPLAINT\"} 1",
        "llovizna_returned_unmatched 1",
        "llovizna_drip_last_duration_seconds{channel=\"EMAIL\"} 90",
        "llovizna_evidence_unsealed_events 1",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}: {metrics}");
    }
    let lag = metrics.lines().find_map(|it| it.strip_prefix("llovizna_evidence_unsealed_seconds ")).unwrap();
    assert!(lag.parse::<i64>().unwrap() > 0, "{metrics}");
    db.close().await;
    assert_eq!(anonymous.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(anonymous.get("/healthz").await.status, StatusCode::OK);
    assert!(anonymous.get("/metrics").await.body.contains("_up 1"), "not counted anew at each call");
    app.state.clock.advance(TimeDelta::seconds(15));
    assert!(anonymous.get("/metrics").await.body.contains("llovizna_database_up 0"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_figures_are_for_this_machine_or_the_token_alone(db: PgPool) {
    let app = TestApp::new(db.clone());
    let from = async |peer: &str, forwarded: bool| {
        let peer: SocketAddr = peer.parse().unwrap();
        let mut browser = app.anonymous();
        if forwarded {
            browser = browser.header("x-forwarded-for", "200.1.2.3");
        }
        let request = browser.request(Method::GET, "/metrics").extension(ConnectInfo(peer));
        browser.send(request, Body::empty()).await.status
    };
    assert_eq!(from("127.0.0.1:5000", false).await, StatusCode::OK);
    assert_eq!(from("127.0.0.1:5000", true).await, StatusCode::NOT_FOUND, "a proxy speaks for others");
    assert_eq!(from("10.0.0.7:5000", false).await, StatusCode::NOT_FOUND);
    assert_eq!(app.anonymous().get("/metrics").await.status, StatusCode::NOT_FOUND);
    let app = TestApp::with(db, &[("METRICS_TOKEN", "figuras-123")]);
    assert_eq!(app.anonymous().get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let wrong = app.anonymous().header("authorization", "Bearer figuras");
    assert_eq!(wrong.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let right =
        app.anonymous().header("authorization", "Bearer figuras-123").header("x-forwarded-for", "200.1.2.3");
    assert_eq!(right.get("/metrics").await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn records_of_runs_are_kept_for_ninety_days(db: PgPool) {
    let app = TestApp::new(db.clone());
    let add = "insert into job_runs (name, slot, trigger, started_at, finished_at, status)
               values ('drip', $1, 'SCHEDULER', $1, $1, 'DONE')";
    for days in [89, 91] {
        sqlx::query(add).bind(app.now() - TimeDelta::days(days)).execute(&db).await.unwrap();
    }
    let job = jobs::find("cleanup").unwrap();
    scheduler::run_now(&app.state, &Actor::CommandLine, job, &CancellationToken::new()).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("select count(*) from job_runs where name = 'drip'").fetch_one(&db).await.unwrap();
    assert_eq!(left, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn drip_runs_of_every_caller_have_their_page_and_are_linked_from_messages(db: PgPool) {
    let app = TestApp::new(db.clone());
    sqlx::query(
        "insert into drip_runs (trigger, communication_type, status, started_at, finished_at, claimed, sent, deferred)
         values ('HTTP', 'EMAIL', 'DONE', '2026-11-23 13:00Z', '2026-11-23 13:00:05Z', 7, 4, 3),
                ('CLI', 'EMAIL', 'FAILED', '2026-11-23 14:00Z', '2026-11-23 14:00Z', 0, 0, 0)",
    )
    .execute(&db)
    .await
    .unwrap();
    let page = app.get("/jobs/drip").await;
    for words in ["Llamada externa", "Línea de comandos", "4 enviados", "3 pospuestos"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    let id: i64 = sqlx::query_scalar("select min(id) from drip_runs").fetch_one(&db).await.unwrap();
    assert!(page.body.contains(&format!("/jobs/drip/runs/{id}\"")), "{}", page.body);
    let one = app.get(&format!("/jobs/drip/runs/{id}")).await;
    assert_eq!(one.status, StatusCode::OK);
    assert!(one.text().contains("Enviados 4") && one.text().contains("Llamada externa"), "{}", one.text());
    assert_eq!(app.get("/jobs/drip/runs/999").await.status, StatusCode::NOT_FOUND);
    assert!(app.get("/jobs").await.text().contains("Línea de comandos"), "the latest run, whoever asked");
    let message: i64 = sqlx::query_scalar(
        "insert into communication_logs (origin, communication_type, message_type, destination, status, scheduled_at, next_attempt_at, created_at, drip_run_id)
         values ('MANUAL', 'EMAIL', 'OTHER', 'a@b.cl', 'FAILED', '2026-11-23', '2026-11-23', '2026-11-23', $1) returning id",
    )
    .bind(id)
    .fetch_one(&db)
    .await
    .unwrap();
    sqlx::query("insert into communication_events (communication_log_id, at, kind, drip_run_id) values ($1, '2026-11-23', 'FAILED', $2)")
        .bind(message)
        .bind(id)
        .execute(&db)
        .await
        .unwrap();
    let story = app.get(&format!("/messages/{message}")).await.body;
    assert!(story.contains(&format!("href=\"/jobs/drip/runs/{id}\"")), "{story}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_scheduler_that_is_off_announces_no_next_time(db: PgPool) {
    let off = TestApp::with(db.clone(), &[("SCHEDULER", "off")]).get("/jobs").await.text();
    assert!(off.contains("Desactivado en este servidor"), "{off}");
    assert!(!off.contains("23-11-2026"), "{off}");
    let on = TestApp::new(db).get("/jobs").await.text();
    assert!(!on.contains("Desactivado en este servidor") && on.contains("23-11-2026"), "{on}");
}
