//! Two copies of the program, whose schedulers, endpoints and command lines all
//! ask for a run at once: one takes place, and the caps are exact.

use crate::{
    campaigns::{BUSINESS, people, seeded, start},
    drip::ask,
    kill::{SMALL, drainer, engine},
    support::{Mailbox, TestApp, smtp::Server},
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    channels::Channel,
    db::MIGRATIONS,
    scheduler::{self, jobs},
};
use sqlx::PgPool;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

#[sqlx::test(migrator = "MIGRATIONS")]
async fn schedulers_endpoints_and_command_lines_at_once_keep_to_one_cap_and_one_slot(db: PgPool) {
    const ROUNDS: usize = 3;
    let server = Server::start();
    let environment = [BUSINESS, &[("EMAIL_DAILY_CAP", "50"), ("DRIP_TOKEN", "goteo-secreto")]].concat();
    let replica = || {
        let smtp = engine(db.clone(), &[("EMAIL_PORT", &server.port().to_string())]).senders;
        TestApp::with_sender(db.clone(), &environment, Mailbox::default(), smtp[&Channel::Email].clone())
    };
    let (one, other) = (replica(), replica());
    people(&one, "sur", 70).await;
    let id = seeded(&one).await;
    start(&one, id).await.unwrap();
    let (job, stop) = (jobs::find("drip").unwrap(), CancellationToken::new());
    for round in 0..ROUNDS {
        let processes = [drainer(&db, &server, SMALL, 50), drainer(&db, &server, SMALL, 50)];
        let (first, second, here, there) = tokio::join!(
            scheduler::tick(&one.state, job, &stop),
            scheduler::tick(&other.state, job, &stop),
            ask(&one, Some("goteo-secreto")),
            ask(&other, Some("goteo-secreto")),
        );
        assert!(first.unwrap() != second.unwrap(), "round {round}: the slot is of one of them");
        assert_eq!((here.0, there.0), (StatusCode::OK, StatusCode::OK));
        for mut it in processes {
            assert!(it.wait().unwrap().success());
        }
        for app in [&one, &other] {
            app.state.clock.advance(TimeDelta::minutes(10));
        }
    }
    let recipients: BTreeSet<String> = server.received().into_iter().map(|it| it.to).collect();
    assert_eq!((server.accepted(), recipients.len()), (50, 50), "the cap of the day, each person once");
    let states: Vec<(String, i64)> =
        sqlx::query_as("select status, count(*) from communication_logs group by status order by status")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(states, [("PENDING".to_owned(), 20), ("SENT".to_owned(), 50)]);
    let slots: i64 = sqlx::query_scalar("select count(*) from job_runs where trigger = 'SCHEDULER'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(usize::try_from(slots).unwrap(), ROUNDS);
}
