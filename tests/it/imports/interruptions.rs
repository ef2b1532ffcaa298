//! Cut off, run twice at once, cancelled: an import goes on or is as if it never was.

use super::{Attempt, now, population};
use crate::{imports::KindArg, support::TestApp};
use llovizna::{
    access::{Actor, Role},
    contacts::bulk::OnDuplicate,
    ids::ImportId,
    imports::{self, Kind, Order, Status, files, run},
};
use sqlx::PgPool;

const FILE: &str =
    "nombre,correo,empresa\nAna,ana@x.example,Uno\nJuan,juan@x.example,Uno\nRosa,rosa@x.example,Dos\n";

/// An upload as the panel makes it.
async fn upload(db: &PgPool) -> ImportId {
    let attempt = Attempt::of(KindArg::Contacts, "a.csv", FILE.as_bytes());
    let order = Order {
        kind: Kind::Contacts,
        filename: "a.csv".to_owned(),
        on_duplicate: OnDuplicate::Fill,
        consent: None,
        sheet: None,
        apply_at_once: false,
        history: imports::History::default(),
    };
    let mut tx = db.begin().await.unwrap();
    let id = files::store(&mut tx, now(), &Actor::CommandLine, &order, &attempt.args.file).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn confirm(db: &PgPool, id: ImportId) {
    let mut tx = db.begin().await.unwrap();
    let seen = imports::get(&mut *tx, id).await.unwrap().simulation;
    imports::confirm(&mut tx, now(), &Actor::CommandLine, id, seen).await.unwrap();
    tx.commit().await.unwrap();
}

async fn status(db: &PgPool, id: ImportId) -> Status {
    imports::get(db, id).await.unwrap().status
}

/// Wait until somebody waits for a lock in this database, and give its process id.
async fn somebody_waits(db: &PgPool) -> i32 {
    loop {
        let waiting = sqlx::query_scalar!(
            r#"select pid as "pid!" from pg_locks where not granted
               and database = (select oid from pg_database where datname = current_database()) limit 1"#
        )
        .fetch_optional(db)
        .await
        .unwrap();
        if let Some(pid) = waiting {
            return pid;
        }
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_killed_while_writing_is_written_later_once(db: PgPool) {
    let id = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(status(&db, id).await, Status::Ready);
    confirm(&db, id).await;
    let mut obstacle = db.begin().await.unwrap();
    sqlx::query!("lock table consent_events in access exclusive mode").execute(&mut *obstacle).await.unwrap();
    let pool = db.clone();
    let working = tokio::spawn(async move { run::run_once(&pool, now()).await });
    let pid = somebody_waits(&db).await;
    sqlx::query_scalar!("select pg_terminate_backend($1)", pid).fetch_one(&db).await.unwrap();
    assert!(working.await.unwrap().is_err());
    obstacle.rollback().await.unwrap();
    assert_eq!((status(&db, id).await, population(&db).await), (Status::Applying, (0, 0)));
    let attempts = sqlx::query_scalar!("select attempts from imports").fetch_one(&db).await.unwrap();
    assert_eq!(attempts, 0, "the database went away: the file is not to blame");
    run::run_once(&db, now()).await.unwrap();
    assert_eq!((status(&db, id).await, population(&db).await), (Status::Done, (3, 2)));
    assert_eq!(run::run_once(&db, now()).await.unwrap(), run::Pass::Idle);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_import_killed_while_reading_is_read_again(db: PgPool) {
    let id = upload(&db).await;
    sqlx::query!("update imports set status = 'ANALYSING', attempts = 1, progress = 40")
        .execute(&db)
        .await
        .unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(status(&db, id).await, Status::Ready);
    sqlx::query!("update imports set status = 'ANALYSING', attempts = 5").execute(&db).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    let import = imports::get(&db, id).await.unwrap();
    assert_eq!(import.status, Status::Failed, "a file that kills five processes is given up");
    assert!(import.failure.unwrap().contains("cinco veces"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_import_is_in_one_hand(db: PgPool) {
    let id = upload(&db).await;
    let mut other = db.begin().await.unwrap();
    sqlx::query_scalar!("select pg_advisory_xact_lock(3, $1::bigint::int)", id.0)
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(run::run_once(&db, now()).await.unwrap(), run::Pass::Idle);
    assert_eq!(status(&db, id).await, Status::Uploaded);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_people_with_the_same_file_leave_no_duplicates(db: PgPool) {
    let ids = [upload(&db).await, upload(&db).await];
    for id in ids {
        assert!(run::step(&db, now(), id).await.unwrap());
        assert_eq!(
            imports::get(&db, id).await.unwrap().counts.created,
            3,
            "both were simulated on an empty base"
        );
        confirm(&db, id).await;
    }
    let (first, second) = tokio::join!(run::step(&db, now(), ids[0]), run::step(&db, now(), ids[1]));
    assert!(first.unwrap() && second.unwrap());
    assert_eq!(population(&db).await, (3, 2));
    let mut stood = Vec::new();
    for id in ids {
        let import = imports::get(&db, id).await.unwrap();
        stood.push((import.status.code(), import.counts.created, import.counts.unchanged));
    }
    stood.sort_unstable();
    assert_eq!(
        stood,
        [("DONE", 3, 0), ("READY", 0, 3)],
        "nobody agreed to what the second would do now: it is simulated anew"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_confirmed_on_another_base_is_shown_anew_and_then_written(db: PgPool) {
    let app = TestApp::new(db.clone());
    let admin = app.as_role(Role::Admin).await;
    let id = upload(&db).await;
    assert!(run::step(&db, now(), id).await.unwrap());
    sqlx::query("insert into contacts (first_name, last_name, email, search_key, created_at, updated_at) values ('Zoe', 'Z', 'ana@x.example', 'zoe', now(), now())")
        .execute(&db)
        .await
        .unwrap();
    confirm(&db, id).await;
    assert!(run::step(&db, now(), id).await.unwrap());
    let import = imports::get(&db, id).await.unwrap();
    assert_eq!((import.status, import.simulation, import.counts.created), (Status::Ready, 2, 2));
    assert_eq!(population(&db).await.0, 1, "nothing is written");
    let page = admin.get(&format!("/imports/{id}")).await.text();
    assert!(page.contains("Revisa de nuevo La base cambió después de esta simulación"), "{page}");
    admin.post(&format!("/imports/{id}/confirmation"), &[("simulation", "2")]).await;
    assert!(run::step(&db, now(), id).await.unwrap());
    let import = imports::get(&db, id).await.unwrap();
    assert_eq!((import.status, import.failure, population(&db).await.0), (Status::Done, None, 3));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_cancelled_import_leaves_nothing(db: PgPool) {
    let id = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    confirm(&db, id).await;
    let mut tx = db.begin().await.unwrap();
    imports::cancel(&mut tx, now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!((status(&db, id).await, population(&db).await), (Status::Cancelled, (0, 0)));
    let kept = sqlx::query_scalar!("select count(*) from import_chunks").fetch_one(&db).await.unwrap();
    assert_eq!(kept, Some(0), "the file is let go");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_corrected_mapping_reads_the_file_again(db: PgPool) {
    let id = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    let mut mapping = imports::get(&db, id).await.unwrap().fields;
    mapping[2] = None;
    let correction = imports::Correction {
        mapping,
        sheet: None,
        header_row: None,
        on_duplicate: OnDuplicate::Skip,
        history: imports::History::default(),
    };
    let mut tx = db.begin().await.unwrap();
    imports::correct(&mut tx, now(), &Actor::CommandLine, id, &correction).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    let import = imports::get(&db, id).await.unwrap();
    assert_eq!((import.status, import.companies_created), (Status::Ready, 0));
    confirm(&db, id).await;
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(population(&db).await, (3, 0));
    let next = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(
        imports::get(&db, next).await.unwrap().fields[2],
        None,
        "the choice is remembered for this shape of file"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_cancel_that_comes_last_is_heard(db: PgPool) {
    let id = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    confirm(&db, id).await;
    let mut obstacle = db.begin().await.unwrap();
    sqlx::query!("lock table import_rows in share mode").execute(&mut *obstacle).await.unwrap();
    let pool = db.clone();
    let working = tokio::spawn(async move { run::run_once(&pool, now()).await });
    somebody_waits(&db).await;
    let mut tx = db.begin().await.unwrap();
    imports::cancel(&mut tx, now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    obstacle.rollback().await.unwrap();
    working.await.unwrap().unwrap();
    assert_eq!((status(&db, id).await, population(&db).await), (Status::Cancelled, (0, 0)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_cancel_that_came_too_late_does_not_end_the_correction(db: PgPool) {
    let id = upload(&db).await;
    run::run_once(&db, now()).await.unwrap();
    let fields = imports::get(&db, id).await.unwrap().fields;
    sqlx::query!("update imports set status = 'FAILED', failure = 'x', cancel_requested = true")
        .execute(&db)
        .await
        .unwrap();
    let correction = imports::Correction {
        mapping: fields,
        sheet: None,
        header_row: None,
        on_duplicate: OnDuplicate::Fill,
        history: imports::History::default(),
    };
    let mut tx = db.begin().await.unwrap();
    imports::correct(&mut tx, now(), &Actor::CommandLine, id, &correction).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(status(&db, id).await, Status::Ready);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_command_that_failed_leaves_nothing_for_the_server_to_write(db: PgPool) {
    sqlx::query("alter table contacts rename to away").execute(&db).await.unwrap();
    let attempt = Attempt::of(KindArg::Contacts, "a.csv", FILE.as_bytes()).applied();
    assert!(attempt.outcome(&db).await.is_err());
    sqlx::query("alter table away rename to contacts").execute(&db).await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(population(&db).await, (0, 0));
    let status = sqlx::query_scalar!("select status from imports").fetch_one(&db).await.unwrap();
    assert_eq!(status, "CANCELLED");
}
