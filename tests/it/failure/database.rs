//! The database goes away, cuts the line or has no room left in the middle of a
//! run: the run stops, nothing is half done, and the next one goes on.

use crate::{
    embedded::Place,
    kill::{SMALL, balance, drainer, engine, open_rows, options, queue},
    support::smtp::{Options as ServerOptions, Server},
};
use llovizna::{
    db,
    messaging::drain::{self, Report, Run},
};
use nix::sys::signal::{Signal, kill};
use sqlx::{Connection as _, PgConnection, PgPool};
use std::time::{Duration, Instant};

/// Counts at once, confirms 5 ms later, so that there is a middle to a run.
fn slow_server() -> Server {
    Server::with(ServerOptions { delay: Duration::from_millis(5), ..ServerOptions::default() })
}

async fn until(what: &str, reached: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !reached().await {
        assert!(began.elapsed() < Duration::from_mins(1), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_accepted(server: &Server, target: usize) {
    until("so many messages arrive", async || server.accepted() >= target).await;
}

fn run(db: &PgPool, server: &Server) -> tokio::task::JoinHandle<Report> {
    let engine = engine(db.clone(), &[("EMAIL_PORT", &server.port().to_string())]);
    tokio::spawn(async move {
        match drain::run(&engine, &options(SMALL)).await.unwrap() {
            Run::Finished(report) => report,
            Run::AlreadyRunning => panic!("another run lives"),
        }
    })
}

async fn states_of_runs(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar("select status from drip_runs order by id").fetch_all(db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_restarted_in_the_middle_of_a_run_stops_it_cleanly_and_the_next_goes_on() {
    const PEOPLE: usize = 200;
    let place = Place::new(&[]);
    let before = place.start().await;
    let db = db::connect(before.options(), 4).await.unwrap();
    db::migrate(&db).await.unwrap();
    queue(&db, 200).await;
    let server = slow_server();
    let mut process = drainer(&db, &server, SMALL, 0);
    until_accepted(&server, 60).await;
    // Fast shutdown, as a restart of the service does it: every connection is cut.
    kill(place.server().unwrap(), Signal::SIGINT).unwrap();
    until("the server ends", async || place.server().is_none()).await;
    let after = place.start().await;
    assert!(process.wait().unwrap().success(), "the run ends by itself once the database is back");
    // Of what rested less than a second nobody asks whether it lives, and a quick machine is back sooner.
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    assert_eq!(states_of_runs(&db).await, ["FAILED"]);
    let left = open_rows(&db).await;
    assert!(left > 0, "the run was over before the restart");
    run(&db, &server).await.unwrap();
    assert_eq!(open_rows(&db).await, 0);
    balance(&db, &server, PEOPLE).await;
    db.close().await;
    after.stop().await;
    before.stop().await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn connections_cut_again_and_again_lose_nothing_and_send_nothing_twice(db: PgPool) {
    const PEOPLE: usize = 160;
    queue(&db, 160).await;
    let server = slow_server();
    let mut other = PgConnection::connect_with(&db.connect_options()).await.unwrap();
    let mut runs = 0;
    while open_rows(&db).await > 0 {
        let running = run(&db, &server);
        until_accepted(&server, (server.accepted() + 30).min(PEOPLE)).await;
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .execute(&mut other)
        .await
        .unwrap();
        let report = running.await.unwrap();
        // Cut between two statements, it takes new connections and goes on to its end.
        assert!(
            report.unreachable.is_some() || open_rows(&db).await == 0,
            "it stopped early without a word: {report:?}"
        );
        runs += 1;
    }
    balance(&db, &server, PEOPLE).await;
    // Each was closed, and none is left that seems to run.
    let states = states_of_runs(&db).await;
    assert_eq!(states.len(), runs);
    assert!(states.iter().all(|it| it == "FAILED" || it == "DONE"), "{states:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_full_disk_stops_the_run_forgets_nothing_and_what_is_left_goes_when_there_is_room(db: PgPool) {
    const PEOPLE: usize = 80;
    queue(&db, 80).await;
    let server = slow_server();
    let running = run(&db, &server);
    until_accepted(&server, 20).await;
    // Postgres says so of any row that it can't place; the sequence tells us that it did.
    sqlx::raw_sql(
        "create sequence refusals;
         create function no_room() returns trigger language plpgsql as $$ begin
             perform nextval('refusals');
             raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
         end $$;
         create trigger no_room before insert on communication_events for each statement execute function no_room();",
    )
    .execute(&db)
    .await
    .unwrap();
    until("the database refuses", async || {
        sqlx::query_scalar::<_, bool>("select is_called from refusals").fetch_one(&db).await.unwrap()
    })
    .await;
    // What is being handed over at that moment is heard to its end.
    let mut seen = server.accepted();
    loop {
        tokio::time::sleep(Duration::from_millis(60)).await;
        if server.accepted() == seen {
            break;
        }
        seen = server.accepted();
    }
    assert!(seen < PEOPLE, "the run went on without a place to write");
    sqlx::raw_sql("drop trigger no_room on communication_events").execute(&db).await.unwrap();
    let report = running.await.unwrap();
    assert_eq!(report.unreachable.as_deref(), Some("el disco de la base de datos está lleno"));
    assert_eq!(states_of_runs(&db).await, ["FAILED"]);
    run(&db, &server).await.unwrap();
    assert_eq!(open_rows(&db).await, 0);
    assert_eq!(balance(&db, &server, PEOPLE).await, 0, "every answer was kept until there was room for it");
}
