//! Tasks: nobody overwrites what they have not seen, and who may not change them gets no link to do so.

use super::{contact, staff};
use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    contacts::tasks::{self, Details},
    ids::{ContactId, TaskId},
};
use sqlx::PgPool;

async fn task(db: &PgPool, contact: ContactId, title: &str) -> TaskId {
    let details = Details {
        title: title.to_owned(),
        detail: None,
        contact_id: Some(contact.0),
        owner_id: None,
        due_on: llovizna::chile::time::local_date(monday_noon()),
    };
    let actor = staff(db, &format!("Autora {title}"), Role::Staff).await;
    let mut tx = db.begin().await.unwrap();
    let id = tasks::create(&mut tx, monday_noon(), &actor, &details).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// The value of a hidden field.
fn hidden(body: &str, name: &str) -> String {
    let (_, rest) = body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_default();
    rest.split('"').next().unwrap_or_default().replace("&#38;", "&")
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_task_that_somebody_changed_meanwhile_is_not_overwritten_unseen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = contact(&db, "Ana").await;
    let id = task(&db, ana, "Llamar").await;
    let (one, two) = (app.as_role(Role::Staff).await, app.admin().await);
    let path = format!("/tasks/{id}");
    let seen = hidden(&one.get(&format!("{path}/edit")).await.body, "seen");
    let form = |title: &'static str, due: &'static str, seen: &str| {
        vec![("title", title.to_owned()), ("due_on", due.to_owned()), ("seen", seen.to_owned())]
    };
    let post = async |who: &crate::support::Browser<'_>, fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|it| (it.0, it.1.as_str())).collect();
        who.post(&path, &fields).await
    };
    app.state.clock.advance(chrono::TimeDelta::minutes(1));
    let saved = post(&two, form("Llamar", "2026-11-30", &seen)).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let stale = post(&one, form("Llamar a Ana", "2026-11-23", &seen)).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = stale.text();
    assert!(text.contains("Otra persona guardó cambios") && text.contains("30-11-2026"), "{text}");
    assert!(stale.body.contains("value=\"Llamar a Ana\""), "what was typed is kept");
    let now = tasks::get(&db, id).await.unwrap();
    assert_eq!((now.title.as_str(), now.due_on.to_string().as_str()), ("Llamar", "2026-11-30"));
    // With open eyes it is saved.
    let again = post(&one, form("Llamar a Ana", "2026-11-23", &hidden(&stale.body, "seen"))).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text());
    assert_eq!(tasks::get(&db, id).await.unwrap().title, "Llamar a Ana");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_card_says_is_not_overwritten_unseen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = contact(&db, "Ana").await;
    let (one, two) = (app.as_role(Role::Staff).await, app.admin().await);
    let stage: i64 = sqlx::query_scalar("select min(id) from pipeline_stages").fetch_one(&db).await.unwrap();
    one.post(&format!("/pipeline/cards/{ana}/stage"), &[("stage_id", &stage.to_string())]).await;
    let path = format!("/contacts/{ana}/card");
    let blank = ("seen_value", "");
    assert_eq!(two.post(&path, &[("value", "15990.50"), blank]).await.status, StatusCode::SEE_OTHER);
    let value = async || -> i64 {
        sqlx::query_scalar("select value from pipeline_cards").fetch_one(&db).await.unwrap()
    };
    assert_eq!(value().await, 15_990, "a dot before two digits is no sign of thousands");
    let stale = one.post(&path, &[("value", "300.000"), blank]).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        stale.text().contains("Otra persona lo cambió") && stale.text().contains("$15.990"),
        "{}",
        stale.text()
    );
    assert!(stale.body.contains("value=\"300.000\""), "what was typed is kept");
    assert_eq!(value().await, 15_990);
    let seen = hidden(&stale.body, "seen_value");
    let again = one.post(&path, &[("value", "300.000"), ("seen_value", &seen)]).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(value().await, 300_000);
}

/// Where the links of a page lead within the panel.
fn links(page: &crate::support::Reply) -> Vec<String> {
    let targets = page.body.split("<a ").skip(1).filter_map(|it| {
        let (_, rest) = it.split_once("href=\"/")?;
        let path = rest.split(['"', '#']).next()?;
        Some(format!("/{}", path.replace("&#38;", "&").replace("&amp;", "&")))
    });
    targets.collect()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_reads_is_led_to_no_page_that_refuses_them(db: PgPool) {
    let app = TestApp::new(db.clone());
    let ana = contact(&db, "Ana").await;
    let (open, done) = (task(&db, ana, "Llamar").await, task(&db, ana, "Cotizar").await);
    let admin = app.admin().await;
    admin.post(&format!("/tasks/{done}/done"), &[]).await;
    admin.post("/companies", &[("name", "Salmones del Sur")]).await;
    admin.post(&format!("/pipeline/cards/{ana}/stage"), &[("stage_id", "1")]).await;
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get(&format!("/contacts/{ana}")).await;
    assert!(
        page.text().contains("Tarea hecha: Cotizar") && page.text().contains("Llamar"),
        "{}",
        page.text()
    );
    assert!(!page.body.contains("/edit"), "nothing to edit");
    // Wherever the links lead, page by page.
    let mut refused = Vec::new();
    let (mut seen, mut to_come) = (std::collections::BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = to_come.pop() {
        if path.starts_with("/static") || !seen.insert(path.clone()) || seen.len() > 300 {
            continue;
        }
        let page = reader.get(&path).await;
        if page.status == StatusCode::FORBIDDEN {
            refused.push(path);
        }
        to_come.extend(links(&page));
    }
    assert!(refused.is_empty(), "{refused:?}");
    assert!(seen.len() > 40, "{seen:?}");
    assert!(seen.contains("/companies/1") && seen.contains(&format!("/contacts/{ana}/consents")), "{seen:?}");
    let staff = app.as_role(Role::Staff).await.get(&format!("/contacts/{ana}")).await;
    for id in [open, done] {
        assert!(staff.body.contains(&format!("href=\"/tasks/{id}/edit\"")));
    }
}
