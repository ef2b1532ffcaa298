//! The board: moving cards, what they say, and its stages.

use super::contact;
use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    contacts::pipeline::{self, stages},
    ids::{ContactId, StageId},
};
use sqlx::PgPool;

async fn stage(db: &PgPool, name: &str) -> StageId {
    StageId(
        sqlx::query_scalar("select id from pipeline_stages where name = $1")
            .bind(name)
            .fetch_one(db)
            .await
            .unwrap(),
    )
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_card_is_moved_said_and_taken_back(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let (new, offer) = (stage(&db, "Nuevo").await, stage(&db, "Propuesta").await);
    let path = format!("/pipeline/cards/{id}");
    let moved = who.post(&format!("{path}/stage"), &[("stage_id", &new.to_string())]).await;
    assert_eq!((moved.status, moved.location()), (StatusCode::SEE_OTHER, "/pipeline"));
    who.post(&format!("{path}/stage"), &[("stage_id", &offer.to_string())]).await;
    who.post(&path, &[("value", "1.250.000"), ("follow_up_on", "2026-11-20")]).await;
    let board = who.get("/pipeline").await.text();
    for words in ["En curso: $1.250.000", "Propuesta 1 contacto $1.250.000", "Atrasado, 20-11-2026"] {
        assert!(board.contains(words), "{words}: {board}");
    }
    let wrong = who.post(&path, &[("value", "mucho")]).await;
    assert_eq!(wrong.status, StatusCode::SEE_OTHER);
    assert!(who.get("/pipeline").await.text().contains("Escribe el valor en pesos"));
    let page = who.get(&format!("/contacts/{id}")).await.text();
    assert!(
        page.contains("Entró al embudo en «Nuevo»") && page.contains("Pasó de «Nuevo» a «Propuesta»"),
        "{page}"
    );
    // What the notice's button does.
    who.post(&format!("{path}/stage?to={new}"), &[]).await;
    let (at, details) = pipeline::card(&db, id).await.unwrap().unwrap();
    assert_eq!((at, details.value), (new, 1_250_000), "its value comes along");
    who.post(&format!("{path}/stage?_method=DELETE"), &[]).await;
    assert!(pipeline::card(&db, id).await.unwrap().is_none());
    let won = [("value", "1")];
    assert_eq!(who.post(&path, &won).await.status, StatusCode::NOT_FOUND, "no card to change");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn many_move_at_once_and_a_stage_shows_its_cards_by_pages(db: PgPool) {
    let app = TestApp::new(db.clone());
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'Persona ' || n, n || '@sur.example', 'persona', $1, $1 from generate_series(1, 60) n",
    )
    .bind(monday_noon())
    .execute(&db)
    .await
    .unwrap();
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from contacts order by id").fetch_all(&db).await.unwrap();
    let hot = stage(&db, "Hot Lead").await;
    let mut tx = db.begin().await.unwrap();
    let early = monday_noon() - TimeDelta::hours(1);
    let moved = pipeline::move_to(&mut tx, early, &Actor::CommandLine, &ids[..3], hot).await.unwrap();
    assert_eq!(moved.len(), 3);
    let moved = pipeline::move_to(&mut tx, monday_noon(), &Actor::CommandLine, &ids, hot).await.unwrap();
    assert_eq!(moved.len(), 57, "who stands there already does not move");
    tx.commit().await.unwrap();
    let mut seen: Vec<i64> = Vec::new();
    let mut after = None;
    loop {
        let page = pipeline::cards(&db, hot, after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.contact_id);
        seen.extend(page.iter().map(|it| it.contact_id.0));
    }
    let expected: Vec<i64> = ids[3..].iter().chain(&ids[..3]).copied().collect();
    assert_eq!(seen, expected, "latest moved first, each once");
    let board = app.get("/pipeline").await;
    assert_eq!(board.body.matches("data-deal").count(), 50);
    let more = format!("/pipeline?stage={hot}&after={}", ids[52]);
    assert!(board.body.replace("&#38;", "&").contains(&more), "a link to the rest");
    assert_eq!(app.get(&more).await.body.matches("data-deal").count(), 10);
    assert_eq!(app.get("/pipeline?stage=999").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn stages_are_named_ordered_and_removed_when_empty_by_who_may(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (staff, admin) = (app.as_role(Role::Staff).await, app.as_role(Role::Admin).await);
    let form = [("name", " Visita  agendada "), ("meaning", "OPEN")];
    assert_eq!(staff.post("/pipeline/stages", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(staff.get("/pipeline/stages").await.status, StatusCode::FORBIDDEN);
    admin.post("/pipeline/stages", &form).await;
    let new = stage(&db, "Visita agendada").await;
    admin.post("/pipeline/stages", &[("name", "VISITA AGENDADA")]).await;
    assert!(admin.get("/pipeline/stages").await.text().contains("Ya hay una etapa con ese nombre."));
    admin.post(&format!("/pipeline/stages/{new}/position"), &[("towards", "start")]).await;
    admin.post(&format!("/pipeline/stages/{new}"), &[("name", "Visita"), ("meaning", "HOT")]).await;
    let names = |all: Vec<(StageId, String)>| all.into_iter().map(|it| it.1).collect::<Vec<_>>();
    let order = names(stages::names(&db).await.unwrap());
    assert_eq!(
        order,
        ["Nuevo", "Contactado", "Interesado", "Propuesta", "Hot Lead", "Ganado", "Visita", "Perdido"]
    );
    let id = contact(&db, "Ana").await;
    let mut tx = db.begin().await.unwrap();
    assert!(pipeline::put(&mut tx, monday_noon(), &Actor::CommandLine, id, new).await.unwrap());
    tx.commit().await.unwrap();
    admin.post(&format!("/pipeline/stages/{new}?_method=DELETE"), &[]).await;
    assert!(admin.get("/pipeline/stages").await.text().contains("Hay contactos en esta etapa."));
    let lost = stage(&db, "Perdido").await;
    let mut tx = db.begin().await.unwrap();
    pipeline::put(&mut tx, monday_noon(), &Actor::CommandLine, id, lost).await.unwrap();
    tx.commit().await.unwrap();
    admin.post(&format!("/pipeline/stages/{new}?_method=DELETE"), &[]).await;
    assert_eq!(names(stages::names(&db).await.unwrap()).len(), 7);
    // The move into a stage that is gone is still told by its name.
    assert!(admin.get(&format!("/contacts/{id}")).await.text().contains("Pasó de «Visita» a «Perdido»"));
    let nobody = pipeline::put(
        &mut db.begin().await.unwrap(),
        monday_noon(),
        &Actor::CommandLine,
        ContactId(999),
        lost,
    )
    .await;
    assert!(nobody.is_err());
}
