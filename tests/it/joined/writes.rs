//! Nothing is written to who was joined: whoever has an old page open is led to the one that stays.

use super::{later, number};
use crate::{
    duplicates::{join, twice},
    support::{TestApp, until_waiting},
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    contacts::{interactions, merge},
};
use sqlx::PgPool;

/// Rows that hang on a contact, and when it was last written.
async fn hanging(db: &PgPool, who: llovizna::ids::ContactId) -> (i64, String) {
    let rows = format!(
        "select (select count(*) from interactions where contact_id = {who}) + (select count(*) from tasks where contact_id = {who})
            + (select count(*) from contact_interests where contact_id = {who}) + (select count(*) from consent_events where contact_id = {who})
            + (select count(*) from contact_preferences where contact_id = {who}) + (select count(*) from pipeline_cards where contact_id = {who})
            + (select count(*) from lifecycle_changes where contact_id = {who}) + (select count(*) from suppressions)"
    );
    let row = sqlx::query_scalar("select to_jsonb(c)::text from contacts c where id = $1")
        .bind(who.0)
        .fetch_one(db)
        .await
        .unwrap();
    (number(db, rows).await, row)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_old_page_writes_nothing_and_leads_to_who_stays(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let before = hanging(&db, gone).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Admin).await;
    let seen = sqlx::query_scalar::<_, chrono::DateTime<chrono::Utc>>(
        "select updated_at from contacts where id = $1",
    )
    .bind(gone.0)
    .fetch_one(&db)
    .await
    .unwrap()
    .to_rfc3339();
    let stage = number(&db, "select max(id) from pipeline_stages".to_owned()).await.to_string();
    let interest = number(&db, "select min(id) from interests".to_owned()).await;
    let at = |rest: &str| format!("/contacts/{gone}{rest}");
    let forms: Vec<(String, Vec<(&str, &str)>)> = vec![
        (at(""), vec![("first_name", "Otra"), ("phone", "9 1111 2222"), ("email", ""), ("seen", &seen)]),
        (at("/consents"), vec![("communication_type", "EMAIL"), ("basis", "CONSENT"), ("source", "Feria")]),
        (at("/consents"), vec![("communication_type", "EMAIL"), ("basis", "WITHDRAWN"), ("source", "Llamó")]),
        (at("/preferences"), vec![("EMAIL.PROMOCIONAL", "on")]),
        (at("/quiet-hours"), vec![("quiet_from", "21:00"), ("quiet_until", "08:00")]),
        (at("/suppressions"), vec![("detail", "Lo pidió")]),
        (at("/lifecycle"), vec![("lifecycle", "INACTIVO")]),
        (at("/tasks"), vec![("title", "Llamar")]),
        (at("/interests"), vec![("interest", "Tenis")]),
        (format!("/contacts/{gone}/interests/{interest}?_method=DELETE"), vec![]),
        (at("/interactions"), vec![("kind", "CALL"), ("summary", "Llamé")]),
        (format!("/pipeline/cards/{gone}/stage"), vec![("stage_id", &stage)]),
        (format!("/pipeline/cards/{gone}/stage?_method=DELETE"), vec![]),
        (at("/card"), vec![("value", "5")]),
        ("/tasks".to_owned(), vec![("title", "Llamar"), ("contact_id", "GONE")]),
    ];
    for (path, mut fields) in forms {
        let id = gone.to_string();
        for field in &mut fields {
            if field.1 == "GONE" {
                field.1 = &id;
            }
        }
        let reply = staff.post(&path, &fields).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::SEE_OTHER, format!("/contacts/{kept}").as_str()),
            "{path} {fields:?}: {}",
            reply.text()
        );
        assert_eq!(hanging(&db, gone).await, before, "{path} {fields:?}");
        let page = staff.get(&format!("/contacts/{kept}")).await.text();
        assert!(page.contains("No se guardó") && page.contains("se unió con esta"), "{path}: {page}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_old_address_leads_to_the_same_page_of_who_stays(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    for rest in ["", "/edit", "/consents", "/timeline"] {
        let reply = staff.get(&format!("/contacts/{gone}{rest}")).await;
        assert_eq!(
            (reply.status, reply.location()),
            (StatusCode::SEE_OTHER, format!("/contacts/{kept}{rest}").as_str())
        );
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_being_joined_gets_nothing_written_meanwhile(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let mut joining = db.begin().await.unwrap();
    merge::merge(&mut joining, later(1), &Actor::CommandLine, kept, gone, &std::collections::BTreeSet::new())
        .await
        .unwrap();
    let pool = db.clone();
    let writing = tokio::spawn(async move {
        let mut tx = pool.begin().await.unwrap();
        let details = interactions::Draft { summary: "Llamé".to_owned(), ..interactions::Draft::default() };
        let details = details.check(later(1)).unwrap();
        let done = interactions::add(&mut tx, later(1), &Actor::CommandLine, gone, &details).await;
        tx.commit().await.unwrap();
        done.is_err()
    });
    until_waiting(&db, 1).await;
    joining.commit().await.unwrap();
    assert!(writing.await.unwrap(), "it was told that they were joined");
    assert_eq!(number(&db, format!("select count(*) from interactions where contact_id = {gone}")).await, 0);
}
