//! The facts of a contact, changed where they are read.

use super::contact;
use crate::support::{Browser, Reply, TestApp};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    contacts::{contact as contacts, fact::Fact},
    ids::ContactId,
};
use sqlx::PgPool;

/// The fields of the form in a fragment, as a browser would send them back.
fn fields(part: &Reply) -> Vec<(String, String)> {
    let inputs = part.body.split("<input ").skip(1).map(|it| it.split('>').next().unwrap());
    let value = |it: &str, name: &str| {
        let (_, rest) = it.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.replace("&#38;", "&").replace("&#39;", "'"))
    };
    inputs.filter_map(|it| Some((value(it, "name")?, value(it, "value")?))).collect()
}

async fn open(who: &Browser<'_>, id: ContactId, fact: &str) -> Vec<(String, String)> {
    let part = who.clone().htmx().get(&format!("/contacts/{id}/facts/{fact}")).await;
    assert_eq!(part.status, StatusCode::OK);
    assert!(!part.body.contains("<html"), "a fragment");
    fields(&part)
}

async fn save(
    who: &Browser<'_>,
    id: ContactId,
    fact: &str,
    fields: &[(String, String)],
    typed: &[(&str, &str)],
) -> Reply {
    let kept = fields.iter().map(|it| (it.0.as_str(), it.1.as_str()));
    let kept = kept.filter(|it| it.0 != "csrf_token" && typed.iter().all(|new| new.0 != it.0));
    let all: Vec<(&str, &str)> = kept.chain(typed.iter().copied()).collect();
    who.clone().htmx().post(&format!("/contacts/{id}/facts/{fact}"), &all).await
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_fact_is_changed_where_it_is_read_and_audited(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let me = who.staff.unwrap().to_string();
    for (fact, typed, said) in [
        ("name", vec![("first_name", "Ana María"), ("last_name", "Soto")], "Ana María Soto"),
        ("email", vec![("email", "ANA.soto@sur.example")], "ana.soto@sur.example"),
        ("phone", vec![("phone", "9 8765 4321")], "+56 9 8765 4321"),
        ("company", vec![("company", "Hostal Ñandú")], "Hostal Ñandú"),
        ("job_title", vec![("job_title", "Gerenta")], "Gerenta"),
        ("comuna", vec![("comuna", "10101")], "Puerto Montt (Los Lagos)"),
        ("birth_date", vec![("birth_date", "1985-02-28")], "28-02-1985 (41 años)"),
        ("source", vec![("source", "WEB")], "Sitio web"),
        ("owner_id", vec![("owner_id", me.as_str())], "Persona Equipo"),
        ("notes", vec![("notes", "uno\r\ndos")], "uno dos"),
    ] {
        let form = open(&who, id, fact).await;
        let saved = save(&who, id, fact, &form, &typed).await;
        assert_eq!(saved.status, StatusCode::OK, "{fact}: {}", saved.text());
        assert!(saved.text().contains(said), "{fact}: {}", saved.text());
        assert!(saved.body.contains("id=\"record-lead\" hx-swap-oob"), "what else says it follows");
        assert!(who.get(&format!("/contacts/{id}")).await.text().contains(said), "{fact}");
        let again = save(&who, id, fact, &form, &typed).await;
        assert_eq!(again.status, StatusCode::OK, "the same twice is no conflict: {}", again.text());
    }
    let audited: Vec<(serde_json::Value, serde_json::Value)> = sqlx::query_as(
        "select before, after from audit_events where action = 'contact.update' and subject_id = $1 order by id",
    )
    .bind(id.0)
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(audited.len(), Fact::ALL.len(), "one entry a change");
    assert_eq!(audited[1].0, serde_json::json!({ "email": "ana@sur.example" }));
    assert_eq!(audited[1].1, serde_json::json!({ "email": "ana.soto@sur.example" }));
    let stands = contacts::get(&db, id).await.unwrap();
    assert_eq!(stands.notes.as_deref(), Some("uno\ndos"));
    assert_eq!(stands.owner_id, who.staff);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_fact_that_somebody_changed_meanwhile_is_not_overwritten_unseen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let (one, two) = (app.as_role(Role::Staff).await, app.admin().await);
    let mine = open(&one, id, "job_title").await;
    let other = open(&two, id, "job_title").await;
    assert_eq!(save(&two, id, "job_title", &other, &[("job_title", "Dueña")]).await.status, StatusCode::OK);
    // Another fact of the same person stands in nobody's way.
    let phone = open(&two, id, "phone").await;
    assert_eq!(save(&two, id, "phone", &phone, &[("phone", "987654321")]).await.status, StatusCode::OK);
    let stale = save(&one, id, "job_title", &mine, &[("job_title", "Gerenta")]).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        stale.text().contains("Otra persona lo cambió mientras escribías: ahora dice «Dueña»"),
        "{}",
        stale.text()
    );
    assert!(stale.body.contains("value=\"Gerenta\""), "what was typed is kept");
    assert!(!stale.body.contains("data-fact-saves"), "leaving it does not save");
    assert_eq!(contacts::get(&db, id).await.unwrap().job_title.as_deref(), Some("Dueña"));
    let again = save(&one, id, "job_title", &fields(&stale), &[("job_title", "Gerenta")]).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(contacts::get(&db, id).await.unwrap().job_title.as_deref(), Some("Gerenta"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_wrong_is_said_at_the_fact_and_a_fact_can_be_left(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (id, _) = (contact(&db, "Ana").await, contact(&db, "Eva").await);
    let who = app.as_role(Role::Staff).await;
    let form = open(&who, id, "email").await;
    for (typed, problem) in [
        ("ana@", "El correo no sirve"),
        ("eva@sur.example", "Este correo ya es de otro contacto."),
        ("", "Escribe un correo o un teléfono"),
    ] {
        let wrong = save(&who, id, "email", &form, &[("email", typed)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(wrong.text().contains(problem), "{typed}: {}", wrong.text());
        assert!(wrong.body.contains(&format!("value=\"{typed}\"")), "what was typed is kept");
        assert_eq!(wrong.text().contains("Ver a Eva"), typed.starts_with("eva"), "{typed}: {}", wrong.text());
    }
    let left = who.clone().htmx().get(&format!("/contacts/{id}/facts/email?left=yes")).await;
    assert!(left.body.contains("mailto:ana@sur.example") && !left.body.contains("<form"), "{}", left.body);
    // Without JavaScript, the form at that field.
    let plain = who.get(&format!("/contacts/{id}/facts/name")).await;
    assert_eq!(plain.location(), format!("/contacts/{id}/edit#field-first_name"));
    let page = who.get(&format!("/contacts/{id}")).await;
    assert!(page.body.contains(&format!("href=\"/contacts/{id}/edit#field-owner_id\"")));
    assert_eq!(
        who.clone().htmx().get(&format!("/contacts/{id}/facts/lifecycle")).await.status,
        StatusCode::NOT_FOUND
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_reads_gets_no_field(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get(&format!("/contacts/{id}")).await;
    assert!(page.text().contains("ana@sur.example"));
    assert!(!page.body.contains("/facts/") && !page.body.contains("data-fact"));
    let path = format!("/contacts/{id}/facts/email");
    assert_eq!(reader.clone().htmx().get(&path).await.status, StatusCode::FORBIDDEN);
    let forged = [("email", "otra@sur.example"), ("seen", "ana@sur.example")];
    assert_eq!(reader.clone().htmx().post(&path, &forged).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn another_company_of_the_same_name_stands_in_no_edits_way(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::Staff).await;
    let form = open(&who, id, "company").await;
    save(&who, id, "company", &form, &[("company", "Hostal Ñandú")]).await;
    who.post("/companies", &[("name", "Hostal Ñandú"), ("rut", "76.086.428-5")]).await;
    let form = open(&who, id, "job_title").await;
    let saved = save(&who, id, "job_title", &form, &[("job_title", "Gerenta")]).await;
    assert_eq!(saved.status, StatusCode::OK, "{}", saved.text());
    let stands = contacts::get(&db, id).await.unwrap();
    assert_eq!((stands.company.as_deref(), stands.company_rut), (Some("Hostal Ñandú"), None));
}
