//! The pages of messages: lists behind numbers, the story, decisions.

use crate::{campaigns, drip, own_texts, support::TestApp};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    contacts::contact::search_key,
    settings::{self, EmailChannel},
};
use sqlx::PgPool;

/// One message in each of three states, with its events: pending and put off, refused, and unconfirmed.
async fn three_messages(db: &PgPool) -> [i64; 3] {
    sqlx::query(
        "insert into contacts (first_name, last_name, email, search_key, created_at, updated_at)
         values ('Camila', 'Barría', 'camila@sur.example', $1, '2026-11-01', '2026-11-01')",
    )
    .bind(search_key("Camila", "Barría", Some("camila@sur.example"), None))
    .execute(db)
    .await
    .unwrap();
    let ids: Vec<i64> = sqlx::query_scalar(
        "insert into communication_logs (origin, contact_id, dedupe_key, communication_type, message_type, destination, subject,
             status, block_reason, defer_reason, scheduled_at, next_attempt_at, created_at)
         select 'MANUAL', (select max(id) from contacts), s, 'EMAIL', 'PROMOCIONAL', 'camila@sur.example', 'Asunto ' || s, s, b, d,
                '2026-11-23', '2026-11-30 12:00Z', '2026-11-23'
         from (values ('PENDING', null, 'FREQUENCY_CAP'), ('BLOCKED', 'NO_CONSENT', null), ('UNCONFIRMED', null, null)) as v (s, b, d)
         returning id",
    )
    .fetch_all(db)
    .await
    .unwrap();
    sqlx::query(
        "insert into communication_events (communication_log_id, at, kind, reason, until, answer)
         values ($1, '2026-11-23 12:00Z', 'QUEUED', null, null, null),
                ($1, '2026-11-23 13:00Z', 'DEFERRED', 'FREQUENCY_CAP', '2026-11-30 12:00Z', '1 de 1 en 7 días'),
                ($2, '2026-11-23 13:00Z', 'BLOCKED', 'NO_CONSENT', null, null),
                ($3, '2026-11-23 13:00Z', 'UNCONFIRMED', null, null, 'Se cortó <b>la línea</b>')",
    )
    .bind(ids[0])
    .bind(ids[1])
    .bind(ids[2])
    .execute(db)
    .await
    .unwrap();
    [ids[0], ids[1], ids[2]]
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_shows_who_and_why_and_is_narrowed_by_state(db: PgPool) {
    three_messages(&db).await;
    let app = TestApp::new(db);
    let all = app.get("/messages").await;
    assert_eq!(all.status, StatusCode::OK);
    let text = all.text();
    for words in
        ["Camila Barría", "Pospuesto", "Bloqueado", "Por confirmar", "Sin consentimiento", "30-11-2026"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let blocked = app.get("/messages?status=BLOCKED").await;
    assert!(blocked.body.contains("Asunto BLOCKED") && !blocked.body.contains("Asunto PENDING"));
    let deferred = app.get("/messages?deferred=FREQUENCY_CAP").await;
    assert!(deferred.body.contains("Asunto PENDING") && !deferred.body.contains("Asunto BLOCKED"));
    let nothing = app.get("/messages?deferred=HOLIDAY").await;
    assert!(nothing.text().contains("Ningún mensaje con este filtro"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_message_tells_its_story_and_escapes_what_servers_say(db: PgPool) {
    let [pending, _, unconfirmed] = three_messages(&db).await;
    let app = TestApp::new(db);
    let page = app.get(&format!("/messages/{pending}")).await.text();
    for words in [
        "Se puso en la cola",
        "Se pospuso",
        "Tope de frecuencia",
        "1 de 1 en 7 días",
        "hasta el 30-11-2026 09:00",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let page = app.get(&format!("/messages/{unconfirmed}")).await;
    assert!(!page.body.contains("<b>la línea</b>"));
    assert_eq!(app.get("/messages/999999").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_only_waits_its_turn_says_how_fast_the_channel_goes(db: PgPool) {
    let [pending, ..] = three_messages(&db).await;
    let app = TestApp::new(db.clone());
    let path = format!("/messages/{pending}");
    let execute = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&db).await.unwrap();
    };
    let slow =
        "El canal va más lento por ahora, porque un servidor lo pidió: salen hasta 2 mensajes por corrida.";
    execute("insert into channel_paces values ('EMAIL', 2, '421', '2026-11-23', '2026-11-23')").await;
    let page = app.get(&path).await.text();
    assert!(
        page.contains("Tope de frecuencia") && !page.contains(slow),
        "it waits for something else: {page}"
    );
    execute("update communication_logs set defer_reason = null where status = 'PENDING'").await;
    let page = app.get(&path).await.text();
    assert!(!page.contains(slow), "nobody but one person asked for it: {page}");
    let asked_for_many: i64 = sqlx::query_scalar(
        "with text as (
             insert into message_templates (name, version, communication_type, subject, body, body_format, footer, created_at)
             values ('x', 1, 'EMAIL', '', '', 'TEXT', '', '2026-11-23') returning id
         ), mailing as (
             insert into mailings (once, title, message_type, template_id, filter, created_at, created_by_name)
             select gen_random_uuid(), 'Invitación', 'PROMOCIONAL', id, '{}', '2026-11-23', 'Ana' from text returning id
         )
         insert into communication_logs (origin, mailing_id, contact_id, dedupe_key, communication_type, message_type, destination,
             scheduled_at, next_attempt_at, created_at)
         select 'MANUAL', id, (select max(id) from contacts), 'x', 'EMAIL', 'PROMOCIONAL', 'camila@sur.example',
             '2026-11-23', '2026-11-30 12:00Z', '2026-11-23' from mailing returning id",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    let path = format!("/messages/{asked_for_many}");
    let page = app.get(&path).await.text();
    assert!(page.contains(slow), "{page}");
    execute("delete from channel_paces").await;
    assert!(!app.get(&path).await.text().contains("Salen hasta"), "it has no rate");
    let channel = EmailChannel { per_minute: Some(60), ..EmailChannel::default() };
    let mut tx = db.begin().await.unwrap();
    settings::save(&mut tx, app.now(), None, &channel).await.unwrap();
    tx.commit().await.unwrap();
    let page = app.get(&path).await.text();
    assert!(page.contains("Salen hasta 60 mensajes por minuto."), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_unconfirmed_message_is_decided_once_and_only_by_who_may(db: PgPool) {
    let [pending, _, unconfirmed] = three_messages(&db).await;
    let app = TestApp::new(db.clone());
    let path = format!("/messages/{unconfirmed}/decision");
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post(&path, &[("verdict", "left")]).await.status, StatusCode::FORBIDDEN);
    let wrong = app.post(&path, &[("verdict", "maybe")]).await;
    assert_eq!(wrong.status, StatusCode::CONFLICT);
    let done = app.post(&path, &[("verdict", "left")]).await;
    assert_eq!(
        (done.status, done.location()),
        (StatusCode::SEE_OTHER, format!("/messages/{unconfirmed}").as_str())
    );
    assert_eq!(app.post(&path, &[("verdict", "again")]).await.status, StatusCode::CONFLICT);
    let other = app.post(&format!("/messages/{pending}/decision"), &[("verdict", "left")]).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    let status: String = sqlx::query_scalar("select status from communication_logs where id = $1")
        .bind(unconfirmed)
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(status, "SENT");
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'message.decide'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(audited, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn only_a_filter_that_holds_is_shown_and_it_stays_where_nobody_is_found(db: PgPool) {
    three_messages(&db).await;
    let campaign: i64 = sqlx::query_scalar("select max(id) from campaigns").fetch_one(&db).await.unwrap();
    let contact: i64 = sqlx::query_scalar("select max(id) from contacts").fetch_one(&db).await.unwrap();
    let app = TestApp::new(db);
    let wrong = app.get("/messages?campaign=abc&contact=x&reason=NADA&status=RARO").await;
    assert!(!wrong.body.contains("Quitar filtro"), "{}", wrong.body);
    let empty = app.get(&format!("/messages?campaign={campaign}")).await.text();
    assert!(empty.contains("Campaña: Prospección Los Lagos"), "{empty}");
    let empty = app.get(&format!("/messages?contact={contact}&status=FAILED")).await.text();
    assert!(empty.contains("Contacto: Camila Barría"), "{empty}");
    let gone = app.get("/messages?campaign=999999").await;
    assert_eq!(gone.status, StatusCode::OK);
    assert!(gone.text().contains("Campaña: n.º 999999"), "{}", gone.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn messages_are_found_by_their_recipient_and_show_the_date_they_are_ordered_by(db: PgPool) {
    three_messages(&db).await;
    sqlx::query(
        "insert into communication_logs (origin, dedupe_key, communication_type, message_type, destination, subject, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         values ('MANUAL', 'x', 'EMAIL', 'OTHER', 'otro@norte.example', 'Para otro', 'SENT', '2026-11-20', '2026-11-20',
             '2026-11-20 15:00Z', '2026-11-22 15:00Z')",
    )
    .execute(&db)
    .await
    .unwrap();
    let app = TestApp::new(db);
    let all = app.get("/messages").await.text();
    assert!(all.contains("20-11-2026 12:00 salió 22-11-2026 12:00"), "{all}");
    for typed in ["camila", "camila@sur.example"] {
        let found = app.get(&format!("/messages?to={typed}")).await;
        assert!(found.body.contains("Asunto PENDING") && !found.body.contains("Para otro"), "{typed}");
        assert!(found.text().contains(&format!("Para: «{typed}»")), "{}", found.text());
    }
    assert!(app.get("/messages?to=nadie").await.text().contains("Ningún mensaje con este filtro"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn those_of_a_page_that_wait_are_decided_on_together(db: PgPool) {
    let app = TestApp::new(db.clone());
    sqlx::query(
        "with run as (
             insert into drip_runs (trigger, communication_type, status, started_at) values ('CLI', 'EMAIL', 'INTERRUPTED', $1) returning id
         )
         insert into communication_logs (origin, communication_type, message_type, destination, status, scheduled_at,
             next_attempt_at, created_at, drip_run_id, claimed_at)
         select 'MANUAL', 'EMAIL', 'PROMOCIONAL', n || '@x.example', case n when 4 then 'SENT' else 'UNCONFIRMED' end, $1, $1, $1, run.id, $1
         from run, generate_series(1, 4) n",
    )
    .bind(app.now())
    .execute(&db)
    .await
    .unwrap();
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from communication_logs order by id").fetch_all(&db).await.unwrap();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let browser = app.admin().await;
    let page = browser.get("/messages?status=UNCONFIRMED").await;
    assert!(page.text().contains("Decide por los 3 de esta página"), "{}", page.text());
    assert!(!browser.get("/messages").await.body.contains("/messages/decisions"));
    let all: Vec<(&str, &str)> = ids.iter().map(|it| ("id", it.as_str())).collect();
    let form = [&[("verdict", "left")][..], &all].concat();
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post("/messages/decisions", &form).await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get("/messages?status=UNCONFIRMED").await.body.contains("/messages/decisions"));
    let done = browser.post("/messages/decisions", &form).await;
    let said = browser.get(done.location()).await.text();
    assert!(said.contains("3 mensajes quedaron como enviados. Uno ya no esperaba"), "{said}");
    let left: Vec<(String, i64)> =
        sqlx::query_as("select status, count(*) from communication_logs group by 1")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(left, [("SENT".to_owned(), 4)]);
    let audited: i64 = sqlx::query_scalar(
        "select count(*) from audit_events where action = 'message.decide' and after = '{\"status\": \"SENT\"}'",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(audited, 3);
    let events: i64 =
        sqlx::query_scalar("select count(*) from communication_events where kind = 'CONFIRMED'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(events, 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_waits_is_listed_under_the_subject_that_its_text_has(db: PgPool) {
    let app = campaigns::app(db);
    campaigns::people(&app, "leche", 1).await;
    campaigns::people(&app, "madera", 1).await;
    campaigns::execute(
        &app,
        "update companies set industry = case name when 'leche' then 'Lechería' else 'Madera' end",
    )
    .await;
    let id = campaigns::seeded(&app).await;
    campaigns::save(&app, id, |it| it.source.subject = "{{ first_name }}, mira esto".to_owned())
        .await
        .unwrap();
    own_texts::put(&app, id, "Lechería", "Para la leche", "").await.unwrap();
    campaigns::start(&app, id).await.unwrap();
    let list = app.get(&format!("/messages?campaign={id}")).await.text();
    assert_eq!(list.matches("{{ first_name }}, mira esto").count(), 1, "{list}");
    assert_eq!(list.matches("Para la leche").count(), 1, "{list}");
    // Once it left, as it was filled.
    drip::run(&app).await;
    let list = app.get(&format!("/messages?campaign={id}")).await.text();
    assert!(list.contains("Madera1, mira esto") && !list.contains("{{"), "{list}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn which_of_several_subjects_is_not_told_before_it_is_known(db: PgPool) {
    let app = campaigns::app(db);
    campaigns::people(&app, "sur", 2).await;
    let id = campaigns::seeded(&app).await;
    campaigns::save(&app, id, |it| it.source.subject = "El primero".to_owned()).await.unwrap();
    campaigns::execute(
        &app,
        "insert into campaign_variants (campaign_id, place, subject, opening, template_id)
         select id, 1, 'El segundo', '', template_id from campaigns",
    )
    .await;
    campaigns::execute(
        &app,
        "insert into communication_logs (origin, campaign_id, contact_id, communication_type, message_type, destination,
             template_id, status, scheduled_at, next_attempt_at, created_at)
         select 'CAMPAIGN', k.id, c.id, 'EMAIL', 'PROMOCIONAL', c.email, k.template_id, 'PENDING',
             '2026-11-23', '2026-11-23', '2026-11-23'
         from campaigns k cross join contacts c",
    )
    .await;
    let list = app.get(&format!("/messages?campaign={id}")).await.text();
    assert!(list.contains("sur1@x.example") && !list.contains("El primero"), "{list}");
    campaigns::execute(&app, "update campaign_variants set subject = '', opening = 'Otro comienzo'").await;
    let list = app.get(&format!("/messages?campaign={id}")).await.text();
    assert_eq!(list.matches("El primero").count(), 2, "{list}");
}
