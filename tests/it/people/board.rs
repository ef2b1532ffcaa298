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
    let there = format!("/pipeline#deal-{id}");
    assert_eq!((moved.status, moved.location()), (StatusCode::SEE_OTHER, there.as_str()));
    assert!(who.get("/pipeline").await.body.contains(&format!("id=\"deal-{id}\"")));
    who.post(&format!("{path}/stage"), &[("stage_id", &offer.to_string())]).await;
    let deal = format!("/contacts/{id}/card");
    who.post(&deal, &[("value", "1.250.000"), ("follow_up_on", "2026-11-20")]).await;
    let board = who.get("/pipeline").await.text();
    for words in ["En curso: $1.250.000", "Propuesta 1 contacto $1.250.000", "Atrasado, 20-11-2026"] {
        assert!(board.contains(words), "{words}: {board}");
    }
    let wrong = who.post(&deal, &[("value", "mucho")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("Escribe el valor en pesos") && wrong.body.contains("value=\"mucho\""));
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
    assert_eq!(who.post(&deal, &won).await.status, StatusCode::NOT_FOUND, "no card to change");
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
        let page = pipeline::cards(&db, hot, None, after.as_ref(), 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.edge());
        seen.extend(page.iter().map(|it| it.contact_id.0));
        assert!(seen.len() <= ids.len(), "somebody is shown twice: {seen:?}");
    }
    let expected: Vec<i64> = ids[3..].iter().chain(&ids[..3]).copied().collect();
    assert_eq!(seen, expected, "latest moved first, each once");
    let board = app.get("/pipeline").await;
    assert_eq!(board.body.matches("data-deal").count(), 50);
    let more = format!("/pipeline?stage={hot}&after={}.{}", ids[52], monday_noon().timestamp_micros());
    assert!(board.body.replace("&#38;", "&").contains(&more), "a link to the rest");
    let deals = |body: &str| body.matches("data-deal").count();
    assert_eq!(deals(&app.get(&more).await.body), 10);
    // The card at the edge goes to another stage, then off the board, then its person is deleted.
    let edge = pipeline::cards(&db, hot, None, None, 50).await.unwrap().pop().unwrap();
    let rest: Vec<i64> = expected[50..].to_vec();
    let lost = stage(&db, "Perdido").await;
    app.post(&format!("/pipeline/cards/{}/stage", ids[52]), &[("stage_id", &lost.to_string())]).await;
    for gone in
        ["select 1", "delete from pipeline_cards where contact_id = $1", "delete from contacts where id = $1"]
    {
        if gone.contains("$1") {
            sqlx::query(gone).bind(ids[52]).execute(&db).await.unwrap();
        }
        let page = pipeline::cards(&db, hot, None, Some(&edge.edge()), 50).await.unwrap();
        assert_eq!(page.iter().map(|it| it.contact_id.0).collect::<Vec<_>>(), rest, "{gone}");
        assert_eq!(deals(&app.get(&more).await.body), 10, "{gone}");
    }
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
    let all = stages::names(&db).await.unwrap();
    let last: Vec<&str> = all.iter().rev().take(3).map(|it| it.1.as_str()).collect();
    assert_eq!(last, ["Perdido", "Ganado", "Visita agendada"], "ahead of those in which a deal ends");
    admin.post("/pipeline/stages", &[("name", "Anulado"), ("meaning", "LOST")]).await;
    let all = stages::names(&db).await.unwrap();
    assert_eq!(all.last().unwrap().1, "Anulado");
    let gone = stage(&db, "Anulado").await;
    admin.post(&format!("/pipeline/stages/{gone}?_method=DELETE"), &[]).await;
    let taken = admin.post("/pipeline/stages", &[("name", "VISITA AGENDADA"), ("meaning", "WON")]).await;
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(taken.text().contains("Ya hay una etapa con ese nombre."), "{}", taken.text());
    assert!(taken.body.contains("value=\"VISITA AGENDADA\""), "what was typed is kept: {}", taken.body);
    let as_seen = |name: &'static str, meaning: &'static str, seen: &'static str| {
        [("name", name), ("meaning", meaning), ("seen_name", seen), ("seen_meaning", "OPEN")]
    };
    let path = format!("/pipeline/stages/{new}");
    let taken = admin.post(&path, &as_seen("GANADO", "HOT", "Visita agendada")).await;
    assert_eq!(taken.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        taken.body.contains("value=\"GANADO\"") && taken.body.contains("value=\"Ganado\""),
        "{}",
        taken.body
    );
    assert_eq!(taken.body.matches("id=\"field-name\"").count(), 1, "the summary leads to one box");
    admin.post(&format!("/pipeline/stages/{new}/position"), &[("towards", "start")]).await;
    let late = admin.post(&path, &as_seen("Visita", "HOT", "Visita por agendar")).await;
    assert!(admin.get(late.location()).await.text().contains("alguien cambió esta etapa"));
    assert_eq!(stage(&db, "Visita agendada").await, new, "nothing was saved");
    admin.post(&path, &as_seen("Visita", "HOT", "Visita agendada")).await;
    let names = |all: Vec<(StageId, String)>| all.into_iter().map(|it| it.1).collect::<Vec<_>>();
    let order = names(stages::names(&db).await.unwrap());
    assert_eq!(
        order,
        ["Nuevo", "Contactado", "Interesado", "Propuesta", "Visita", "Hot Lead", "Ganado", "Perdido"]
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

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_taken_off_the_board_comes_back_with_what_the_card_said(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let offer = stage(&db, "Propuesta").await;
    who.post(&format!("/pipeline/cards/{id}/stage"), &[("stage_id", &offer.to_string())]).await;
    sqlx::query("update pipeline_cards set value = 1250000, follow_up_on = '2026-12-01'")
        .execute(&db)
        .await
        .unwrap();
    let before = pipeline::card(&db, id).await.unwrap();
    who.post(&format!("/pipeline/cards/{id}/stage?_method=DELETE"), &[]).await;
    assert_eq!(pipeline::card(&db, id).await.unwrap(), None);
    let page = who.get("/pipeline").await;
    let (_, notice) = page.body.split_once("Salió del embudo.").expect("the notice");
    let (_, back) = notice.split_once("<form method=\"post\" action=\"").expect("a way back");
    let back = back.split('"').next().unwrap().replace("&#38;", "&");
    who.post(&back, &[]).await;
    assert_eq!(pipeline::card(&db, id).await.unwrap(), before);
    // Pressed twice, or after somebody else said otherwise, it overwrites nothing.
    sqlx::query("update pipeline_cards set value = 7").execute(&db).await.unwrap();
    who.post(&back, &[]).await;
    assert_eq!(pipeline::card(&db, id).await.unwrap().unwrap().1.value, 7);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_board_shows_the_cards_of_one_person_with_their_own_sums(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (ana, eva, ida) = (contact(&db, "Ana").await, contact(&db, "Eva").await, contact(&db, "Ida").await);
    let who = app.as_role(Role::Staff).await;
    let other = app.admin().await.staff.unwrap();
    let (offer, mine) = (stage(&db, "Propuesta").await, who.staff.unwrap());
    for (id, owner, value) in [(ana, Some(mine), 100_000), (eva, Some(other), 20_000), (ida, None, 3_000)] {
        sqlx::query("update contacts set owner_id = $2 where id = $1")
            .bind(id.0)
            .bind(owner.map(|it| it.0))
            .execute(&db)
            .await
            .unwrap();
        sqlx::query(
            "insert into pipeline_cards (contact_id, stage_id, value, moved_at) values ($1, $2, $3, $4)",
        )
        .bind(id.0)
        .bind(offer.0)
        .bind(value)
        .bind(monday_noon())
        .execute(&db)
        .await
        .unwrap();
    }
    for (owner, sums, shown) in [
        ("", "3 contactos $123.000", vec![ana, eva, ida]),
        ("?owner=me", "1 contacto $100.000", vec![ana]),
        (&format!("?owner={other}"), "1 contacto $20.000", vec![eva]),
        ("?owner=none", "1 contacto $3.000", vec![ida]),
        ("?owner=nonsense", "3 contactos $123.000", vec![ana, eva, ida]),
    ] {
        let board = who.get(&format!("/pipeline{owner}")).await;
        let cards: Vec<ContactId> = [ana, eva, ida]
            .into_iter()
            .filter(|it| board.body.contains(&format!("<a class=\"deal-name\" href=\"/contacts/{it}\"")))
            .collect();
        assert_eq!(cards, shown, "{owner}");
        assert!(board.text().contains(&format!("Propuesta {sums}")), "{owner}: {}", board.text());
        let (_, total) = sums.split_once('$').unwrap();
        assert!(board.text().contains(&format!("En curso: ${total}")), "{owner}: {}", board.text());
    }
}
