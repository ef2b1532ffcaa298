//! The demo data: believable, whole, and only into an empty database.

use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    accounts::staff,
    demo,
};
use sqlx::PgPool;

async fn count(db: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

/// The account of the demo, without its data.
pub(crate) async fn account(db: &PgPool) -> llovizna::ids::StaffId {
    let mut tx = db.begin().await.unwrap();
    let new = staff::NewStaff {
        email: demo::EMAIL.to_owned(),
        name: "Javiera Mansilla".to_owned(),
        role: Role::SuperAdmin,
        password: demo::PASSWORD.to_owned(),
    };
    let id = staff::create(&mut tx, crate::support::monday_noon(), &Actor::System, new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_page_warns_while_the_published_password_opens_the_panel(db: PgPool) {
    let app = TestApp::new(db.clone());
    let warns = async || app.get("/contacts").await.text().contains("contraseña publicada");
    assert!(!warns().await);
    let id = account(&db).await;
    assert!(warns().await);
    let mut tx = db.begin().await.unwrap();
    staff::reset_password(&mut tx, app.now(), &Actor::System, &app.state.config, id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!warns().await, "their own password by now");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_empty_database_is_filled_once_and_its_pages_open(db: PgPool) {
    let app = TestApp::new(db.clone());
    let fill = async || demo::fill(&db, &app.state.config, app.now()).await.unwrap();
    assert_eq!([fill().await, fill().await], [demo::Outcome::Filled, demo::Outcome::AlreadyThere]);
    assert!(count(&db, "select count(*) from contacts").await > 200);
    assert!(count(&db, "select count(*) from companies").await > 40);
    assert!(count(&db, "select count(*) from communication_logs where sent_at is not null").await > 30);
    assert_eq!(count(&db, "select count(*) from suppressions").await, 2);
    // What was sent really lies in the built-in outbox, and nothing is from the future.
    let sent = count(&db, "select count(*) from communication_logs where sent_at is not null").await;
    assert!(count(&db, "select count(*) from communication_logs where opened_at is not null").await > 10);
    assert_eq!(count(&db, "select count(*) from outbox_messages").await, sent);
    let future: i64 = sqlx::query_scalar("select count(*) from communication_logs where sent_at > $1")
        .bind(app.now())
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(future, 0);
    for path in ["/", "/messages", "/outbox", "/jobs", "/suppressions"] {
        assert_eq!(app.get(path).await.status, StatusCode::OK, "{path}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_database_in_use_is_left_alone(db: PgPool) {
    let app = TestApp::new(db.clone());
    app.admin().await;
    let outcome = demo::fill(&db, &app.state.config, app.now()).await.unwrap();
    assert_eq!(outcome, demo::Outcome::HasData);
    assert_eq!(count(&db, "select count(*) from contacts").await, 0);
}
