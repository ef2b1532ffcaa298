//! A server that does all that servers do, in one run: each message ends in the
//! state that is true of it, and nobody is marked for a fault of ours.

use crate::{
    kill::{SMALL, engine, options, queue},
    support::smtp::{Action, Options as ServerOptions, Protection, Server, Stage},
};
use chrono::TimeDelta;
use llovizna::messaging::drain::{self, Engine, Report, Run};
use sqlx::PgPool;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

async fn run(engine: &Engine) -> Report {
    match drain::run(engine, &options(SMALL)).await.unwrap() {
        Run::Finished(report) => report,
        Run::AlreadyRunning => panic!("another run lives"),
    }
}

async fn states(db: &PgPool) -> Vec<String> {
    let all = "select split_part(destination, '@', 1) || ' ' || status from communication_logs order by id";
    sqlx::query_scalar(all).fetch_all(db).await.unwrap()
}

async fn suppressed(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar("select destination from suppressions order by 1").fetch_all(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn each_thing_that_a_server_does_has_its_class_and_nobody_is_marked_for_a_fault_of_ours(db: PgPool) {
    queue(&db, 12).await;
    let well = Arc::new(AtomicBool::new(false));
    let (is_well, to) = (well.clone(), Mutex::new(String::new()));
    let server = Server::with(ServerOptions {
        // One connection, one message at a time: who is being written to is known at each stage.
        pipelining: false,
        delay: Duration::from_millis(20),
        script: Arc::new(move |it| {
            if is_well.load(Ordering::SeqCst) {
                return Action::Usual;
            }
            let mut to = to.lock().unwrap();
            if it.stage == Stage::Rcpt {
                let name = it.line.split(['<', '@']).nth(1).unwrap_or_default();
                *to = name.to_owned();
            }
            match (to.as_str(), it.stage) {
                ("p2", Stage::Rcpt) => Action::Say("451 4.7.1 Greylisted, try again later"),
                ("p4", Stage::Rcpt) => Action::Say("550 5.1.1 No such user"),
                ("p5", Stage::Rcpt) => Action::SayAndCut("421 4.7.0 Too many messages, slow down"),
                ("p7", Stage::Data) | ("p8", Stage::Taken) | ("p11", Stage::Dot) => Action::Cut,
                ("p10", Stage::Rcpt) => Action::Say("552 5.2.2 Mailbox full"),
                _ => Action::Usual,
            }
        }),
        ..ServerOptions::default()
    });
    let port = server.port().to_string();
    let engine = engine(db.clone(), &[("EMAIL_PORT", &port), ("EMAIL_CONNECTIONS", "1")]);
    let report = run(&engine).await;
    assert!(report.trouble.is_empty() && report.unreachable.is_none(), "{report:?}");
    assert_eq!(
        states(&db).await,
        [
            "p1 SENT",
            "p2 PENDING",
            "p3 SENT",
            "p4 FAILED",
            "p5 PENDING",
            "p6 SENT",
            "p7 PENDING",
            "p8 UNCONFIRMED",
            "p9 SENT",
            "p10 FAILED",
            "p11 UNCONFIRMED",
            "p12 SENT",
        ]
    );
    assert_eq!(suppressed(&db).await, ["p4@x.example"]);

    well.store(true, Ordering::SeqCst);
    engine.clock.advance(TimeDelta::hours(1));
    let report = run(&engine).await;
    assert_eq!((report.counts.sent, report.counts.claimed), (3, 3), "those who were put off, and no other");
    let mut got: Vec<String> = server.received().into_iter().map(|it| it.to).collect();
    got.sort_unstable();
    let all = ["p12", "p1", "p2", "p3", "p5", "p6", "p7", "p8", "p9"].map(|it| format!("{it}@x.example"));
    assert_eq!(got, all, "once each; p8 had it before the line was cut");
    assert_eq!(suppressed(&db).await, ["p4@x.example"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_server_that_refuses_tls_gets_nothing_and_costs_nobody_a_try(db: PgPool) {
    queue(&db, 5).await;
    let server = Server::with(ServerOptions {
        protection: Protection::StartTls,
        script: Arc::new(|it| match it.stage {
            Stage::StartTls => Action::Say("454 4.7.0 TLS not available due to temporary reason"),
            _ => Action::Usual,
        }),
        ..ServerOptions::default()
    });
    let port = server.port().to_string();
    let engine = engine(db.clone(), &[("EMAIL_PORT", &port), ("EMAIL_USE_TLS", "starttls")]);
    let report = run(&engine).await;
    assert!(report.unreachable.is_some() || !report.trouble.is_empty(), "{report:?}");
    assert_eq!((report.counts.sent, report.counts.failed, server.accepted()), (0, 0, 0));
    let untouched: i64 = sqlx::query_scalar(
        "select count(*) from communication_logs where status = 'PENDING' and attempts = 0",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(untouched, 5);
    assert!(suppressed(&db).await.is_empty());
}
