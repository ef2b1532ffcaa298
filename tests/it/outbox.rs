//! The built-in outbox in the panel: the list, and a message as its recipient would see it.

use crate::support::{TestApp, monday_noon};
use axum::http::{StatusCode, header};
use llovizna::{
    access::Role,
    channels::{Email, Outgoing, Sender as _, outbox::Outbox},
    ids::{MessageId, TemplateId},
    messaging::links,
};
use sqlx::PgPool;

fn email(number: i64) -> Email {
    Email {
        message: number,
        date: monday_noon(),
        from_name: "Turismo Ñirehue".to_owned(),
        from_email: "ventas@nirehue.cl".to_owned(),
        to_name: "María Soto".to_owned(),
        to_email: format!("persona{number}@ejemplo.cl"),
        subject: format!("Oferta <b>{number}</b>"),
        html: "<!doctype html><html><head><title>x</title></head><body><h1>Hola, María</h1>\
               <script>alert(1)</script></body></html>"
            .to_owned(),
        plain: "Hola, María: <sin> diseño".to_owned(),
        message_id: format!("{number}@nirehue.cl"),
        unsubscribe_url: Some("https://crm.nirehue.cl/u/0b7c2a".to_owned()),
        ..Email::default()
    }
}

async fn captured(db: PgPool, numbers: std::ops::RangeInclusive<i64>) -> TestApp {
    let outbox = Outbox::new(db.clone());
    for number in numbers {
        outbox.send(&Outgoing::Email(email(number))).await.unwrap();
    }
    TestApp::simulated(db)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_empty_outbox_teaches_what_it_is(db: PgPool) {
    let app = TestApp::simulated(db);
    let page = app.get("/outbox").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Todavía no hay mensajes aquí"), "{}", page.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_is_paged_both_ways_without_losing_anyone(db: PgPool) {
    let app = captured(db, 1..=120).await;
    let mut seen = Vec::new();
    let mut path = "/outbox".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = app.get(&path).await;
        seen.extend((1..=120).filter(|it| page.body.contains(&format!(">persona{it}@ejemplo.cl<"))));
        pages.push(page.body.clone());
        let Some((_, rest)) = page.body.split_once("rel=\"next\" href=\"") else { break };
        path = rest.split('"').next().unwrap().replace("&#38;", "&");
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    assert_eq!(pages.len(), 3);
    assert!(!pages[0].contains("rel=\"prev\""));
    let (_, rest) = pages[2].split_once("rel=\"prev\" href=\"").unwrap();
    let back = app.get(rest.split('"').next().unwrap()).await;
    assert!(back.body.contains(">persona70@ejemplo.cl<") && back.body.contains(">persona21@ejemplo.cl<"));
    assert!(back.body.contains("rel=\"prev\"") && back.body.contains("rel=\"next\""));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_message_is_shown_as_its_recipient_would_see_it(db: PgPool) {
    let app = captured(db.clone(), 7..=7).await;
    let id: i64 = sqlx::query_scalar("select id from outbox_messages").fetch_one(&db).await.unwrap();
    let page = app.get(&format!("/outbox/{id}")).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "Turismo Ñirehue &#60;ventas@nirehue.cl&#62;",
        "María Soto &#60;persona7@ejemplo.cl&#62;",
        "Oferta &#60;b&#62;7&#60;/b&#62;",
        "23-11-2026",
        "href=\"https://crm.nirehue.cl/u/0b7c2a\"",
        "href=\"/messages/7\"",
        "List-Unsubscribe-Post",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }
    assert!(page.body.contains(&format!("src=\"/outbox/{id}/html\"")));
    let text = app.get(&format!("/outbox/{id}?part=text")).await;
    assert!(text.body.contains("Hola, María: &#60;sin&#62; diseño") && !text.body.contains("<iframe"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_html_of_a_message_runs_nothing_and_knows_no_session(db: PgPool) {
    let app = captured(db.clone(), 7..=7).await;
    let id: i64 = sqlx::query_scalar("select id from outbox_messages").fetch_one(&db).await.unwrap();
    let frame = app.get(&format!("/outbox/{id}/html")).await;
    assert_eq!(frame.status, StatusCode::OK);
    let policy = frame.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert!(!policy.contains("allow-scripts") && !policy.contains("allow-same-origin"), "{policy}");
    assert_eq!(frame.headers[header::X_FRAME_OPTIONS], "SAMEORIGIN");
    assert!(frame.body.contains("<head><base target=\"_blank\">") && frame.body.contains("Hola, María"));
    let anonymous = app.anonymous().get(&format!("/outbox/{id}/html")).await;
    assert_eq!(anonymous.status, StatusCode::SEE_OTHER);
    assert_eq!(app.get("/outbox/999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get("/outbox/999/html").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn messages_are_found_by_recipient_and_by_subject(db: PgPool) {
    let app = captured(db, 1..=120).await;
    let look = async |sought: &str, before: &str| {
        app.post("/outbox/search", &[("sought", sought), ("before", before)]).await
    };
    let one = look("PERSONA77@", "").await;
    assert!(one.body.contains(">persona77@ejemplo.cl<") && !one.body.contains(">persona78@ejemplo.cl<"));
    let first = look("oferta", "").await;
    assert_eq!(first.body.matches("<a href=\"/outbox/").count(), 50);
    let (_, rest) = first.body.split_once("name=\"before\" value=\"").expect("a further page");
    let second = look("oferta", rest.split('"').next().unwrap()).await;
    assert!(second.body.contains(">persona70@ejemplo.cl<") && second.body.contains(">persona21@ejemplo.cl<"));
    assert!(!first.body.contains("sought=") && !second.body.contains("?before="), "{}", second.body);
    assert!(look("100%", "").await.text().contains("Ningún mensaje así"));
    assert_eq!(look(" ", "").await.location(), "/outbox");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_short_letter_stands_in_a_low_frame(db: PgPool) {
    let app = captured(db.clone(), 7..=7).await;
    let long = Email { plain: "una línea\n".repeat(60), ..email(8) };
    Outbox::new(db.clone()).send(&Outgoing::Email(long)).await.unwrap();
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from outbox_messages order by id").fetch_all(&db).await.unwrap();
    assert!(app.get(&format!("/outbox/{}", ids[0])).await.body.contains("letter-frame tall-16"));
    assert!(app.get(&format!("/outbox/{}", ids[1])).await.body.contains("\"letter-frame \""));
}

/// A campaign's message as it was captured: its place in the outbox, its token and its code.
async fn with_own_links(db: &PgPool, app: &TestApp) -> (i64, String, String) {
    let (id, token, version): (i64, uuid::Uuid, i64) = sqlx::query_as(
        "with text as (
             insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
             values ('EMAIL', 'Oferta', 1, 'Oferta', 'Hola', 'TEXT', '', '2026-11-01') returning id
         )
         insert into communication_logs (origin, communication_type, message_type, destination, template_id, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         select 'TEST', 'EMAIL', 'PROMOCIONAL', 'camila@sur.example', id, 'SENT',
             '2026-11-20', '2026-11-20', '2026-11-20', '2026-11-20' from text returning id, token, template_id",
    )
    .fetch_one(db)
    .await
    .unwrap();
    let token = links::encode(token);
    let code = app.state.hits.codes(db).await.unwrap().of(MessageId(id), TemplateId(version));
    let letter = Email {
        message: id,
        html: format!(
            "<a href=\"https://crm.nirehue.cl/preferencias/{token}\">Preferencias</a>\
             <a href=\"https://otro.cl/?u=https%3A%2F%2Fcrm.nirehue.cl%2Fbaja%2F{token}\">Baja</a>\
             <a href=\"https://crm.nirehue.cl/c/{code}.1\">Oferta</a>"
        ),
        plain: format!("Baja: https://crm.nirehue.cl/baja/{token}"),
        unsubscribe_url: Some(format!("https://crm.nirehue.cl/baja/{token}")),
        ..email(id)
    };
    Outbox::new(db.clone()).send(&Outgoing::Email(letter)).await.unwrap();
    let captured: i64 = sqlx::query_scalar("select id from outbox_messages").fetch_one(db).await.unwrap();
    (captured, token, code)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_may_not_edit_people_cannot_follow_their_links(db: PgPool) {
    let app = TestApp::simulated(db.clone());
    let (id, token, code) = with_own_links(&db, &app).await;
    let pages = [format!("/outbox/{id}"), format!("/outbox/{id}?part=text"), format!("/outbox/{id}/html")];
    let reader = app.as_role(Role::ReadOnly).await;
    for path in &pages {
        let page = reader.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.body.contains(&token) && !page.body.contains(&code), "{path}: {}", page.body);
    }
    let page = reader.get(&pages[0]).await;
    assert!(page.text().contains("Con tu rol los enlaces de este mensaje no funcionan"), "{}", page.text());
    assert!(page.body.contains("sandbox=\"\"") && !page.text().contains("Probar el enlace de baja"));
    assert!(reader.get(&pages[1]).await.text().contains("Baja: https://crm.nirehue.cl/baja/desactivado"));
    let staff = app.as_role(Role::Staff).await;
    assert!(staff.get(&pages[2]).await.body.contains(&code));
    let page = staff.get(&pages[0]).await;
    assert!(page.body.contains(&token) && page.body.contains("sandbox=\"allow-popups"));
    assert!(
        !page.text().contains("Con tu rol los enlaces") && page.text().contains("Probar el enlace de baja")
    );
}
