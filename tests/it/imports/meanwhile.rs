//! What people do while an import is being written or taken back holds.

use super::{Attempt, now};
use llovizna::{
    access::Actor,
    channels::Channel,
    contacts::{bulk::OnDuplicate, consent},
    ids::{ContactId, ImportId},
    imports::{self, Kind, Order, files, run, undo},
};
use sqlx::PgPool;

const KNOWN: &str = "nombre,correo\nAna,ana@x.example\n";
const MORE: &str = "nombre,apellido,correo\nAna,Pérez,ana@x.example\n";

/// How many wait for a lock in this database.
async fn waiting(db: &PgPool) -> i64 {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'"#
    )
    .fetch_one(db)
    .await
    .unwrap()
}

/// Wait until `count` wait, or `is_over`.
async fn until(db: &PgPool, count: i64, is_over: impl Fn() -> bool) {
    while waiting(db).await < count && !is_over() {
        tokio::task::yield_now().await;
    }
}

async fn ana(db: &PgPool) -> (ContactId, Option<String>, String, Option<String>) {
    let it =
        sqlx::query!("select id, email_basis, last_name, notes from contacts where email = 'ana@x.example'")
            .fetch_one(db)
            .await
            .unwrap();
    (ContactId(it.id), it.email_basis, it.last_name, it.notes)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_told_to_staff_while_a_file_is_written_stays(db: PgPool) {
    Attempt::contacts(KNOWN).with_consent("feria").applied().run(&db).await;
    let (id, ..) = ana(&db).await;
    let mut obstacle = db.begin().await.unwrap();
    sqlx::query("lock table companies in share mode").execute(&mut *obstacle).await.unwrap();
    let attempt = Attempt::contacts(MORE);
    let order = Order {
        kind: Kind::Contacts,
        filename: "a.csv".to_owned(),
        on_duplicate: OnDuplicate::Overwrite,
        consent: None,
        sheet: None,
        apply_at_once: true,
        history: imports::History::default(),
    };
    let mut tx = db.begin().await.unwrap();
    files::store(&mut tx, now(), &Actor::CommandLine, &order, &attempt.args.file).await.unwrap();
    tx.commit().await.unwrap();
    let pool = db.clone();
    let import = tokio::spawn(async move { run::run_once(&pool, now()).await });
    until(&db, 1, || false).await;
    let pool = db.clone();
    let staff = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        consent::withdraw(&mut tx, now(), &Actor::CommandLine, id, Channel::Email, "llamó", None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    });
    until(&db, 2, || staff.is_finished()).await;
    obstacle.rollback().await.unwrap();
    import.await.unwrap().unwrap();
    staff.await.unwrap();
    let (_, basis, last_name, _) = ana(&db).await;
    assert_eq!((basis, last_name.as_str()), (None, "Pérez"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_staff_write_while_a_file_is_taken_back_stays(db: PgPool) {
    Attempt::contacts(KNOWN).applied().run(&db).await;
    let it = Attempt::contacts(MORE).with_consent("feria").applied().run(&db).await;
    let (id, ..) = ana(&db).await;
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id)).await.unwrap();
    tx.commit().await.unwrap();
    let mut obstacle = db.begin().await.unwrap();
    sqlx::query("lock table consent_events in share mode").execute(&mut *obstacle).await.unwrap();
    let pool = db.clone();
    let undoing = tokio::spawn(async move { run::run_once(&pool, now()).await });
    until(&db, 1, || false).await;
    let pool = db.clone();
    let staff = tokio::spawn(async move {
        sqlx::query!("update contacts set notes = 'llamar el lunes' where id = $1", id.0)
            .execute(&pool)
            .await
            .unwrap();
    });
    until(&db, 2, || staff.is_finished()).await;
    obstacle.rollback().await.unwrap();
    undoing.await.unwrap().unwrap();
    staff.await.unwrap();
    let (_, basis, last_name, notes) = ana(&db).await;
    assert_eq!((basis, last_name.as_str(), notes.as_deref()), (None, "", Some("llamar el lunes")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_connection_that_did_something_else_before_imports_too(db: PgPool) {
    let pool = llovizna::db::connect((*db.connect_options()).clone(), 2).await.unwrap();
    let mut both = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    for one in &mut both {
        // As the daily look for duplicates does.
        sqlx::query("create temp table found as select generate_series(1, 10)")
            .execute(&mut **one)
            .await
            .unwrap();
        let room: String = sqlx::query_scalar("show temp_buffers").fetch_one(&mut **one).await.unwrap();
        assert_eq!(room, "64MB", "what is staged has room in memory");
    }
    drop(both);
    let done = Attempt::contacts(KNOWN).applied().run(&pool).await;
    assert_eq!(done.counts.created, 1);
}
