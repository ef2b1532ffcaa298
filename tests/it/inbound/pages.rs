//! What came back, as people see it and decide on it.

use super::{excluded, message, report, settle, status_of, tell};
use crate::campaigns::app;
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    channels::feedback::{Kind, Report, Source},
};
use sqlx::PgPool;

/// A bounce that a mail tells without naming the message.
fn stray(id: &str, address: &str) -> Report {
    let mut it =
        Report::new(Kind::SoftBounce, id).said(Some("5.1.1"), Some("550 5.1.1 no such user")).bounced(None);
    it.recipient = Some(address.to_owned());
    it.raw = "Action: failed".to_owned();
    it
}

async fn first(db: &PgPool) -> i64 {
    sqlx::query_scalar("select min(id) from inbound_events").fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_nobody_can_match_waits_for_a_person(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENT").await;
    tell(&app, Source::Mailbox, &[stray("a", "p1@x.example")]).await;
    settle(&app).await;
    assert_eq!(excluded(&app).await, Vec::<String>::new(), "anybody can write a mail");
    assert_eq!(status_of(&app, id).await, "SENT");
    let event = first(&app.state.db).await;
    let list = app.get("/inbound?kind=unmatched").await;
    assert!(list.text().contains("Rebote definitivo Sin asignar p1@x.example"), "{}", list.text());
    let page = app.get(&format!("/inbound/{event}")).await;
    assert!(
        page.text().contains("Asignar a este") && page.text().contains("Action: failed"),
        "{}",
        page.text()
    );
    let staff = app.as_role(Role::Staff).await;
    assert!(!staff.get(&format!("/inbound/{event}")).await.text().contains("Asignar a este"));
    let path = format!("/inbound/{event}/message");
    assert_eq!(staff.post(&path, &[("message", "1")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post(&path, &[("message", "999999")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    app.post(&path, &[("message", &id.to_string())]).await;
    assert_eq!(status_of(&app, id).await, "BOUNCED");
    assert_eq!(excluded(&app).await, ["EMAIL p1@x.example ALL HARD_BOUNCE"]);
    let page = app.get(&format!("/inbound/{event}")).await.text();
    assert!(page.contains("a mano, por Persona"), "{page}");
    assert!(app.get("/audit").await.text().contains("asignó a su mensaje"));
    let boss = app.admin().await;
    boss.post(&path, &[("message", &id.to_string())]).await;
    assert!(boss.get("/inbound").await.text().contains("ya tiene su mensaje"));
    assert!(app.get("/inbound?kind=unmatched").await.text().contains("Nada por aquí"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_set_aside_stays_in_the_list(db: PgPool) {
    let app = app(db);
    tell(&app, Source::Mailbox, &[stray("a", "otra@y.example")]).await;
    settle(&app).await;
    let event = first(&app.state.db).await;
    app.post(&format!("/inbound/{event}/dismissal"), &[]).await;
    assert!(app.get("/inbound").await.text().contains("Descartado"));
    assert!(!app.get("/inbound?kind=unmatched").await.text().contains("otra@y.example"));
    assert!(app.get("/audit").await.text().contains("descartó"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_is_narrowed_by_kind_and_paged(db: PgPool) {
    let app = app(db);
    let empty = app.get("/inbound").await.text();
    assert!(empty.contains("Aún no ha vuelto nada") && empty.contains("Conectar"), "{empty}");
    let mut all = Vec::new();
    for n in 0..60 {
        all.push(stray(&format!("a{n}"), &format!("b{n}@y.example")));
    }
    message(&app, 1, "SENT").await;
    all.push(report(Kind::Delivered, 1, "d"));
    all.push(report(Kind::Complaint, 1, "c"));
    tell(&app, Source::Brevo, &all).await;
    settle(&app).await;
    let page = app.get("/inbound?kind=bounces").await;
    assert!(page.text().contains("b59@y.example") && !page.text().contains("b9@y.example"));
    assert!(!page.text().contains("Reclamo de spam"));
    let next = page
        .body
        .split("rel=\"next\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&");
    let next = app.get(&next).await.text();
    assert!(
        next.contains("b9@y.example") && next.contains("b0@y.example") && !next.contains("b10@y.example")
    );
    assert!(app.get("/inbound?kind=deliveries").await.text().contains("Entregado"));
    assert!(!app.get("/inbound").await.text().contains("Entregado"), "deliveries aside");
    let complaint = app.get("/inbound?kind=complaints").await.text();
    assert!(complaint.contains("P1") && complaint.contains("Hola"), "{complaint}");
}
