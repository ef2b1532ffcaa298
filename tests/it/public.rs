//! What recipients see: unsubscribing and preferences, without a session.

use crate::support::TestApp;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use llovizna::messaging::links;
use sqlx::PgPool;
use uuid::Uuid;

/// A message that was sent to a contact with consent; its token as links carry it.
async fn sent(db: &PgPool, origin: &str) -> String {
    let token: Uuid = sqlx::query_scalar(
        "with who as (
             insert into contacts (first_name, email, phone, email_basis, search_key, created_at, updated_at)
             values ('Camila', 'camila@sur.example', '+56987654321', 'CONSENT', 'camila', '2026-11-01', '2026-11-01')
             returning id
         )
         insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         select $1, id, 'EMAIL', 'PROMOCIONAL', 'camila@sur.example', 'SENT', '2026-11-20', '2026-11-20', '2026-11-20', '2026-11-20'
         from who returning token",
    )
    .bind(origin)
    .fetch_one(db)
    .await
    .unwrap();
    links::encode(token)
}

async fn suppressed(db: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from suppressions where lifted_at is null")
        .fetch_one(db)
        .await
        .unwrap()
}

async fn basis(db: &PgPool) -> Option<String> {
    sqlx::query_scalar("select email_basis from contacts").fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn following_the_link_changes_nothing(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    let app = TestApp::new(db.clone());
    for path in [format!("/baja/{token}"), format!("/preferencias/{token}")] {
        let page = app.anonymous().get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            !page.body.contains("camila@sur.example"),
            "the address is hidden from whoever the link is forwarded to"
        );
        assert!(page.cookies().is_empty());
        let anonymous = app.anonymous();
        let head = anonymous.send(anonymous.request(Method::HEAD, &path), Body::empty()).await;
        assert_eq!(head.status, StatusCode::OK);
    }
    assert_eq!((suppressed(&db).await, basis(&db).await.as_deref()), (0, Some("CONSENT")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn any_post_to_the_link_unsubscribes_without_cookies_body_or_redirect(db: PgPool) {
    let bodies: [(&str, &str); 4] = [
        ("", ""),
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n",
        ),
        ("application/json", "{broken"),
    ];
    let token = sent(&db, "MANUAL").await;
    let app = TestApp::new(db.clone());
    for (kind, body) in bodies {
        let anonymous = app.anonymous();
        let mut request = anonymous.request(Method::POST, &format!("/baja/{token}"));
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let reply = anonymous.send(request.header("origin", "https://mail.example"), Body::from(body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{kind}: {}", reply.text());
        assert!(reply.text().contains("Listo, te dimos de baja"), "{kind}");
    }
    assert_eq!((suppressed(&db).await, basis(&db).await), (1, None));
    let told: i64 =
        sqlx::query_scalar("select count(*) from communication_events where kind = 'UNSUBSCRIBED'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(told, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_guessed_link_leads_nowhere(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    let app = TestApp::new(db.clone());
    let other = links::encode(Uuid::new_v4());
    for wrong in ["1", "2", "AAAAAAAAAAAAAAAAAAAAAA", &other, &token[..21]] {
        let page = app.anonymous().get(&format!("/baja/{wrong}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{wrong}");
        let anonymous = app.anonymous();
        let posted =
            anonymous.send(anonymous.request(Method::POST, &format!("/baja/{wrong}")), Body::empty()).await;
        assert_eq!(posted.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    assert_eq!(suppressed(&db).await, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_person_chooses_kinds_and_may_come_back_with_a_record_of_it(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    let app = TestApp::new(db.clone());
    let path = format!("/preferencias/{token}");
    let post = async |fields: &str| {
        let anonymous = app.anonymous();
        let request = anonymous
            .request(Method::POST, &path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        anonymous.send(request, Body::from(fields.to_owned())).await
    };
    let page = post("subscribed=on&EMAIL.NEWSLETTER=on&EMAIL.BIRTHDAY=on").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("Guardamos tus preferencias"));
    let declined: Vec<(String, String)> = sqlx::query_as(
        "select communication_type, message_type from contact_preferences where not allowed and communication_type = 'EMAIL' order by 2",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert!(
        declined.iter().any(|it| it.1 == "PROMOCIONAL") && declined.iter().all(|it| it.1 != "NEWSLETTER"),
        "{declined:?}"
    );
    assert_eq!(suppressed(&db).await, 0);
    post("").await;
    assert_eq!((suppressed(&db).await, basis(&db).await), (1, None));
    post("subscribed=on&EMAIL.PROMOCIONAL=on").await;
    assert_eq!((suppressed(&db).await, basis(&db).await.as_deref()), (0, Some("CONSENT")));
    let ledger: Vec<String> =
        sqlx::query_scalar("select basis from consent_events order by id").fetch_all(&db).await.unwrap();
    assert_eq!(ledger, ["WITHDRAWN", "CONSENT"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn coming_back_does_not_revive_a_dead_address(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    sqlx::query(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'camila@sur.example', 'ALL', 'HARD_BOUNCE', '2026-11-20')",
    )
    .execute(&db)
    .await
    .unwrap();
    let app = TestApp::new(db.clone());
    let anonymous = app.anonymous();
    let request = anonymous
        .request(Method::POST, &format!("/preferencias/{token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    anonymous.send(request, Body::from("subscribed=on")).await;
    assert_eq!(suppressed(&db).await, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_link_of_a_test_message_changes_nothing(db: PgPool) {
    let token = sent(&db, "TEST").await;
    let app = TestApp::new(db.clone());
    let anonymous = app.anonymous();
    let reply =
        anonymous.send(anonymous.request(Method::POST, &format!("/baja/{token}")), Body::empty()).await;
    assert!(reply.text().contains("correo de prueba"), "{}", reply.text());
    assert_eq!(suppressed(&db).await, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_suppression_list_is_shown_added_to_and_lifted(db: PgPool) {
    let app = TestApp::new(db.clone());
    assert!(app.get("/suppressions").await.text().contains("La lista está vacía"));
    let wrong = app.post("/suppressions", &[("email", "no es correo")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("no es correo"));
    let made = app
        .post(
            "/suppressions",
            &[("email", " Ana@Sur.example "), ("scope", "ALL"), ("detail", "<i>pidió</i>")],
        )
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let page = app.get("/suppressions?address=ana").await;
    assert!(page.body.contains("ana@sur.example") && !page.body.contains("<i>"));
    let id: i64 = sqlx::query_scalar("select id from suppressions").fetch_one(&db).await.unwrap();
    assert_eq!(
        app.post(&format!("/suppressions/{id}?_method=DELETE"), &[]).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(suppressed(&db).await, 0);
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where subject_kind = 'suppression'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(audited, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn recipients_see_the_business_and_not_the_product(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    let app =
        TestApp::with(db, &[("BUSINESS_NAME", "Termas Ñirehue"), ("BUSINESS_EMAIL", "hola@nirehue.cl")]);
    for path in [format!("/baja/{token}"), format!("/preferencias/{token}"), "/baja/rota".to_owned()] {
        let page = app.anonymous().get(&path).await;
        assert!(!page.text().contains("Llovizna"), "{path}: {}", page.text());
        assert!(page.text().contains("Termas Ñirehue"), "{path}: {}", page.text());
    }
    assert!(app.anonymous().get("/login").await.text().contains("Llovizna"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_broken_link_says_how_else_to_unsubscribe(db: PgPool) {
    let app = TestApp::with(db, &[("BUSINESS_EMAIL", "hola@nirehue.cl")]);
    for path in ["/baja/rota", "/preferencias/rota"] {
        let page = app.anonymous().get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        let text = page.text();
        assert!(
            text.contains("Responde el correo que recibiste") && text.contains("hola@nirehue.cl"),
            "{text}"
        );
        assert!(!page.body.contains("href=\"/\""), "it does not lead to the panel");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn preferences_offer_what_is_sent_in_words_of_the_person(db: PgPool) {
    let token = sent(&db, "MANUAL").await;
    let app = TestApp::new(db.clone());
    let page = app.anonymous().get(&format!("/preferencias/{token}")).await;
    assert!(page.body.contains("EMAIL.NEWSLETTER") && !page.body.contains("SMS."), "{}", page.body);
    for jargon in ["Flujo automático", "Reactivación", "WhatsApp"] {
        assert!(!page.text().contains(jargon), "{jargon}: {}", page.text());
    }
    sqlx::query(
        "insert into contact_preferences select id, 'SMS', 'NEWSLETTER', false, '2026-11-20' from contacts",
    )
    .execute(&db)
    .await
    .unwrap();
    let anonymous = app.anonymous();
    anonymous.send(anonymous.request(Method::POST, &format!("/baja/{token}")), Body::empty()).await;
    let page = app.anonymous().get(&format!("/preferencias/{token}")).await;
    assert!(!page.body.contains(" checked"), "whoever left is asked for nothing: {}", page.body);
    let request = anonymous
        .request(Method::POST, &format!("/preferencias/{token}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    anonymous.send(request, Body::from("subscribed=on&EMAIL.NEWSLETTER=on")).await;
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from contact_preferences where communication_type = 'SMS' and not allowed",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(kept, 1, "what the page does not show stays as it was");
}
