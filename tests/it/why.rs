//! "¿Por qué?" on a contact: what the page says is what a run then does, and asking writes nothing.

use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    drip::run,
    mailings::{self, ONCE, made, settle},
    own_texts,
    support::TestApp,
};
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    access::Actor,
    campaigns::{copies, on_one},
    channels::Channel,
    contacts::consent,
    db::MIGRATIONS,
    ids::{CampaignId, ContactId},
    messaging::{
        gate::Decision,
        kinds::{BlockReason, DeferReason, MessageType, OriginKind},
        why::{self, Frame, Question},
    },
};
use sqlx::PgPool;

async fn copy_of(app: &TestApp, id: CampaignId) -> CampaignId {
    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    copy
}

async fn asked(app: &TestApp, id: CampaignId, who: ContactId) -> on_one::OnOne {
    let campaign = get(app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    on_one::of(&mut db, app.now(), &app.state.config, &campaign, who).await.unwrap()
}

/// Rows of everything that a run writes.
async fn written(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select (select count(*) from communication_logs) + (select count(*) from communication_events)
             + (select count(*) from communication_reservations) + (select count(*) from drip_runs)
             + (select count(*) from warm_up_days) + (select count(*) from audit_events)",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_said_of_a_campaign_is_what_its_run_does(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 4).await;
    let first = seeded(&app).await;
    start(&app, first).await.unwrap();
    run(&app).await;
    app.state.clock.advance(TimeDelta::days(2));
    // Two were written to long ago; of the others one is quiet and one says no.
    execute(&app, "alter table communication_logs disable trigger user").await;
    execute(&app, "update communication_logs set sent_at = sent_at - interval '20 days' where destination <> 'sur3@x.example'").await;
    execute(&app, "alter table communication_logs enable trigger user").await;
    execute(
        &app,
        "update contacts set quiet_from = '11:00', quiet_until = '14:00' where email = 'sur2@x.example'",
    )
    .await;
    let mut tx = app.state.db.begin().await.unwrap();
    consent::withdraw(&mut tx, app.now(), &Actor::CommandLine, who[3], Channel::Email, "Por teléfono", None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let second = copy_of(&app, first).await;
    let before = written(&app).await;
    let mut said = Vec::new();
    for it in &who {
        let it = asked(&app, second, *it).await;
        assert!(it.belongs && it.message.is_none());
        said.push(it.answer);
    }
    assert_eq!(written(&app).await, before, "asking writes nothing");
    assert_eq!(said[0].now, Decision::Allow);
    assert!(matches!(&said[1].now, Decision::Defer { reason: DeferReason::QuietHours, .. }));
    assert!(matches!(&said[2].now, Decision::Defer { reason: DeferReason::FrequencyCap, .. }));
    assert!(matches!(&said[3].now, Decision::Block { reason: BlockReason::NoConsent, .. }));
    let at = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
    assert_eq!(
        said.iter().map(|it| it.free_at).collect::<Vec<_>>(),
        [Some(app.now()), at("2026-11-25T17:00:00Z"), at("2026-11-30T12:00:00Z"), None]
    );
    start(&app, second).await.unwrap();
    run(&app).await;
    let became: Vec<(i64, String, Option<String>, DateTime<Utc>)> = sqlx::query_as(
        "select contact_id, status, coalesce(block_reason, defer_reason), next_attempt_at from communication_logs
         where campaign_id = $1 order by contact_id",
    )
    .bind(second.0)
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    for ((id, status, reason, next), said) in became.iter().zip(&said) {
        match &said.now {
            Decision::Allow => assert_eq!(status, "SENT", "{id}"),
            Decision::Defer { reason: why, until, .. } => {
                assert_eq!(
                    (status.as_str(), reason.as_deref(), *next),
                    ("PENDING", Some(why.code()), *until),
                    "{id}"
                );
            }
            Decision::Block { reason: why, .. } => {
                assert_eq!((status.as_str(), reason.as_deref()), ("BLOCKED", Some(why.code())), "{id}");
            }
        }
    }
    assert!(asked(&app, second, who[0]).await.message.is_some(), "nobody gets it twice");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn several_questions_of_one_person_are_answered_as_each_by_itself(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 1).await[0];
    let first = seeded(&app).await;
    start(&app, first).await.unwrap();
    run(&app).await;
    execute(
        &app,
        "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         select id, 'EMAIL', 'NEWSLETTER', false, '2026-11-23' from contacts",
    )
    .await;
    let mut db = app.state.db.acquire().await.unwrap();
    let frame =
        Frame::open(&mut db, app.now(), &app.state.config.first_values, Channel::Email).await.unwrap();
    let questions = [MessageType::Transactional, MessageType::Newsletter, MessageType::Promocional]
        .map(|kind| Question { kind, origin: OriginKind::Manual, required: &[], hours: None });
    let together = why::ask(&mut db, app.now(), &frame, who, questions).await.unwrap();
    for (question, answer) in questions.into_iter().zip(&together) {
        let [alone] = why::ask(&mut db, app.now(), &frame, who, [question]).await.unwrap();
        assert_eq!(*answer, alone);
    }
    assert_eq!(together[0].now, Decision::Allow);
    assert!(matches!(&together[1].now, Decision::Block { reason: BlockReason::Preference, .. }));
    assert!(matches!(&together[2].now, Decision::Defer { reason: DeferReason::FrequencyCap, .. }));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_tells_the_last_decisions_and_what_would_happen(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 1).await[0];
    let first = seeded(&app).await;
    start(&app, first).await.unwrap();
    run(&app).await;
    app.state.clock.advance(TimeDelta::days(1));
    let second = copy_of(&app, first).await;
    start(&app, second).await.unwrap();
    run(&app).await;
    let page = app.get(&format!("/contacts/{who}")).await;
    assert!(page.body.contains(&format!("hx-get=\"/contacts/{who}/why\"")), "it comes after the page");
    let whole = app.get(&format!("/contacts/{who}/why")).await;
    assert_eq!(whole.status, StatusCode::OK);
    let text = whole.text();
    for told in [
        "Promocional Tope de frecuencia de la persona: 1 de 1 en 7 días. Libre desde el lunes 30-11-2026 a las 09:00. Esperaría",
        "Transaccional Saldría ahora",
        "Se pospuso",
        "hasta el 30-11-2026 09:00",
        "Se autorizó",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(whole.body.contains("href=\"/messages/"), "each decision leads to its message");
    let asked = app.get(&format!("/contacts/{who}/why?campaign={second}")).await.text();
    assert!(asked.contains("Nadie recibe una campaña dos veces"), "{asked}");
    let third = copy_of(&app, first).await;
    execute(&app, "update campaigns set audience = '{\"industries\": [\"Otra\"]}' where status = 'DRAFT'")
        .await;
    let asked = app.get(&format!("/contacts/{who}/why?campaign={third}")).await.text();
    assert!(asked.contains("No está en la audiencia de"), "{asked}");
    assert_eq!(app.get("/contacts/99999/why").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_by_hand_is_called_that_and_by_its_title(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let words = [
        ("words", "own"),
        ("subject", "Tu consulta del lunes"),
        ("body", "Hola."),
        ("footer", "{{ business_name }}, {{ business_address }}. Baja: {{ unsubscribe_url }}"),
        ("once", ONCE),
    ];
    made(&mailings::ask(&app, &all, &words).await);
    settle(&app).await;
    run(&app).await;
    let text = app.get(&format!("/contacts/{}/why", all[0])).await.text();
    assert!(text.contains("Envío a mano: Tu consulta del lunes"), "{text}");
    let (_, told) = text.split_once("Lo último que se decidió").unwrap();
    assert!(!told.contains("Otro"), "{told}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whose_industry_has_a_text_is_told_that_they_get_it(db: PgPool) {
    let app = app(db);
    let milk = people(&app, "leche", 1).await[0];
    let wood = people(&app, "madera", 1).await[0];
    execute(&app, "update companies set industry = case name when 'leche' then 'Lechería' else 'Madera' end")
        .await;
    let id = seeded(&app).await;
    let said = async |who: ContactId| app.get(&format!("/contacts/{who}/why?campaign={id}")).await.text();
    assert!(!said(milk).await.contains("Le toca"), "there is one text");
    own_texts::put(&app, id, "Lechería", "Para la leche", "").await.unwrap();
    assert!(said(milk).await.contains("Le toca el texto del rubro «Lechería»."), "{}", said(milk).await);
    assert!(said(wood).await.contains("Le toca el texto de la campaña."), "{}", said(wood).await);
    start(&app, id).await.unwrap();
    run(&app).await;
    // What left stays as it was, whatever their company does by now.
    execute(&app, "update companies set industry = 'Madera'").await;
    assert!(said(milk).await.contains("Recibió el texto del rubro «Lechería»."), "{}", said(milk).await);
}
