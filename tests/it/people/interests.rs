//! The page of the interests: named, put under categories, joined, removed, and what keeps one from going.

use super::contact;
use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    ids::ContactId,
    segments::{
        field::{Field, Op},
        rule::{Condition, Group},
        segment,
    },
};
use sqlx::PgPool;

async fn tag(app: &TestApp, id: ContactId, name: &str) -> i64 {
    let who = app.as_role(Role::Staff).await;
    who.post(&format!("/contacts/{id}/interests"), &[("interest", name)]).await;
    sqlx::query_scalar("select id from interests where name = $1")
        .bind(name)
        .fetch_one(&app.state.db)
        .await
        .unwrap()
}

async fn of(db: &PgPool, id: ContactId) -> Vec<String> {
    sqlx::query_scalar(
        "select i.name from contact_interests c join interests i on i.id = c.interest_id where c.contact_id = $1 order by 1",
    )
    .bind(id.0)
    .fetch_all(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_gets_a_name_and_a_category_and_says_who_has_it(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (ana, luz) = (contact(&db, "Ana").await, contact(&db, "Luz").await);
    let id = tag(&app, ana, "Masages").await;
    tag(&app, luz, "Masages").await;
    let who = app.as_role(Role::Staff).await;
    let path = format!("/interests/{id}");
    let seen = [("seen_name", "Masages"), ("seen_category", "")];
    let named = [("name", "Masajes"), ("category", "Bienestar"), seen[0], seen[1]];
    assert_eq!(who.post(&path, &named).await.status, StatusCode::SEE_OTHER);
    let page = who.get("/interests").await.body;
    assert!(page.contains("El interés quedó guardado.") && page.contains("Bienestar"), "{page}");
    assert!(page.contains(&format!("<a href=\"/contacts?interest={id}\">2 contactos</a>")), "{page}");
    let people = who.get(&format!("/contacts?interest={id}")).await.text();
    assert!(
        people.contains("Ana") && people.contains("Luz") && people.contains("Interés: Masajes"),
        "{people}"
    );

    // Who edits what somebody else changed meanwhile is told, and changes nothing.
    let late = [("name", "Otro"), ("category", ""), seen[0], seen[1]];
    who.post(&path, &late).await;
    assert!(who.get("/interests").await.text().contains("alguien cambió este interés"));
    let name: String = sqlx::query_scalar("select name from interests").fetch_one(&db).await.unwrap();
    assert_eq!(name, "Masajes");

    // A name that another has is refused, with what was typed.
    let other = tag(&app, ana, "Spa").await;
    let taken = [("name", "masájes"), ("category", "X"), ("seen_name", "Spa"), ("seen_category", "")];
    let refused = who.post(&format!("/interests/{other}"), &taken).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("Ya hay un interés con ese nombre") && refused.body.contains("masájes"));

    let said: Vec<(String, Option<serde_json::Value>)> = sqlx::query_as(
        "select action, before from audit_events where subject_kind = 'interest' and action = 'interest.update'",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].1.as_ref().unwrap()["name"], "Masages");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_that_mean_the_same_are_joined_and_nobody_loses_theirs(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (ana, luz) = (contact(&db, "Ana").await, contact(&db, "Luz").await);
    let from = tag(&app, ana, "Yogaa").await;
    let into = tag(&app, luz, "Yoga").await;
    tag(&app, luz, "Yogaa").await;
    let who = app.as_role(Role::Staff).await;
    let pair = [("from", from.to_string()), ("into", into.to_string())];
    let pair = [(pair[0].0, pair[0].1.as_str()), (pair[1].0, pair[1].1.as_str())];
    assert_eq!(who.post("/interests/joined", &pair).await.status, StatusCode::SEE_OTHER);
    assert!(who.get("/interests").await.text().contains("1 contacto pasó al segundo"));
    assert_eq!((of(&db, ana).await, of(&db, luz).await), (vec!["Yoga".to_owned()], vec!["Yoga".to_owned()]));
    let left: Vec<String> = sqlx::query_scalar("select name from interests").fetch_all(&db).await.unwrap();
    assert_eq!(left, ["Yoga"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_that_is_had_or_asked_about_stays(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = contact(&db, "Ana").await;
    let (had, asked) = (tag(&app, ana, "Cerámica").await, tag(&app, ana, "Pilates").await);
    let who = app.as_role(Role::Staff).await;
    who.post(&format!("/interests/{had}?_method=DELETE"), &[]).await;
    assert!(who.get("/interests").await.text().contains("hay contactos que lo tienen"));
    who.post(&format!("/contacts/{ana}/interests/{had}?_method=DELETE"), &[]).await;
    who.post(&format!("/interests/{had}?_method=DELETE"), &[]).await;
    assert!(who.get("/interests").await.text().contains("El interés se quitó."));

    let rule = Group::all([Condition::with(Field::Interest, Op::Is, &[&asked.to_string()])]);
    let mut tx = db.begin().await.unwrap();
    segment::create(&mut tx, monday_noon(), &Actor::CommandLine, "Pilateros", &rule).await.unwrap();
    tx.commit().await.unwrap();
    let other = tag(&app, ana, "Yoga").await;
    let (asked, other) = (asked.to_string(), other.to_string());
    who.post("/interests/joined", &[("from", &asked), ("into", &other)]).await;
    assert!(who.get("/interests").await.text().contains("lo usa el segmento «Pilateros»"));
    assert_eq!(of(&db, ana).await, ["Pilates", "Yoga"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_new_interest_gets_its_category_where_it_is_made(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let category = async |name: &str| -> String {
        sqlx::query_scalar("select category from interests where name = $1")
            .bind(name)
            .fetch_one(&db)
            .await
            .unwrap()
    };
    // On the page of a contact.
    let path = format!("/contacts/{}", ana.0);
    who.post(&format!("{path}/interests"), &[("interest", "Masajes"), ("category", " Bienestar ")]).await;
    assert_eq!(category("Masajes").await, "Bienestar");
    let page = who.get(&path).await.body;
    let offered = "<datalist id=\"known-categories\"><option value=\"Bienestar\"></datalist>";
    assert!(page.contains("name=\"category\"") && page.contains(offered), "{page}");
    // One that is there keeps its own; without a category it has none.
    who.post(&format!("{path}/interests"), &[("interest", "masajes"), ("category", "Otra")]).await;
    assert_eq!(category("Masajes").await, "Bienestar");
    who.post(&format!("{path}/interests"), &[("interest", "Yoga")]).await;
    assert_eq!(category("Yoga").await, "");
    let long = "a".repeat(61);
    who.post(&format!("{path}/interests"), &[("interest", "Tejido"), ("category", &long)]).await;
    assert!(who.get(&path).await.text().contains("No se guardó. Usa a lo más 60 caracteres."));

    // With a change of many.
    let form = who.get("/bulk-actions/new?scope=all").await.body;
    let offered = "<datalist id=\"categories\"><option value=\"Bienestar\"></datalist>";
    assert!(form.contains("name=\"category\"") && form.contains(offered), "{form}");
    let all = [("scope", "all"), ("list", ""), ("action", "TAG")];
    let ask = [&all[..], &[("interest", "Cerámica"), ("category", "Talleres")]].concat();
    assert_eq!(who.post("/bulk-actions", &ask).await.status, StatusCode::SEE_OTHER);
    assert_eq!(category("Cerámica").await, "Talleres");
    let ask = [&all[..], &[("interest", "Telar"), ("category", &long)]].concat();
    let refused = who.post("/bulk-actions", &ask).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("Usa a lo más 60 caracteres."), "{}", refused.text());
    assert!(refused.body.contains(&format!("value=\"{long}\"")), "what was typed is kept");
    let made: i64 = sqlx::query_scalar("select count(*) from interests").fetch_one(&db).await.unwrap();
    assert_eq!(made, 3, "what was refused made nothing");
}
