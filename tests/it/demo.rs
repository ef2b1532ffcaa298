//! The demo data: believable, whole, and only into an empty database.

use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    accounts::staff,
    demo,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

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

/// The page as one of its kind: numbers aside, and of what is asked only that something is.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let part =
        |it: &str| if it.starts_with(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { it.to_owned() };
    let path = path.split('/').map(part).collect::<Vec<_>>().join("/");
    if query.is_empty() { path } else { format!("{path}?") }
}

/// Who holds a connection and waits for another waits for ever where all hold one.
#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_page_that_links_lead_to_makes_do_with_one_connection(db: PgPool) {
    let one = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(3));
    let one = one.connect_with((*db.connect_options()).clone()).await.unwrap();
    let app = TestApp::new(one.clone());
    demo::fill(&one, &app.state.config, app.now()).await.unwrap();
    let admin = app.admin().await;
    let mut known = BTreeSet::from(["/".to_owned()]);
    let mut waiting = VecDeque::from(["/".to_owned()]);
    let mut failed = Vec::new();
    while let Some(path) = waiting.pop_front() {
        let page = admin.get(&path).await;
        if page.status.is_server_error() {
            failed.push(path.clone());
        }
        for link in page.body.split("href=\"/").skip(1).chain(page.body.split("hx-get=\"/").skip(1)) {
            let link = format!("/{}", link.split('"').next().unwrap_or_default().replace("&amp;", "&"));
            let link = link.split('#').next().unwrap_or_default().to_owned();
            if !link.starts_with("/static/") && known.insert(kind(&link)) {
                waiting.push_back(link);
            }
        }
    }
    assert!(known.len() > 100, "{known:?}");
    assert!(failed.is_empty(), "{failed:?}");
}
