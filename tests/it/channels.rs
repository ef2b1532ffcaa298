//! What each channel has of its own: its hours, its daily cap, and the caps of each kind of message.

use crate::support::TestApp;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use llovizna::{
    channels::Channel,
    chile::business_hours::BusinessHours,
    db::MIGRATIONS,
    ids::ContactId,
    messaging::{
        gate::Decision,
        kinds::{BlockReason, DeferReason, MessageType, OriginKind},
        sending::{self, Sending},
        why::{self, Frame, Question},
    },
    settings::{self, EmailChannel, SmsChannel, Subject, WhatsappChannel},
};
use sqlx::PgPool;

async fn sending(app: &TestApp, channel: Channel) -> Sending {
    sending::of(&app.state.db, &app.state.config.first_values, channel).await.unwrap()
}

async fn load<S: Subject>(app: &TestApp) -> S {
    settings::load(&app.state.db, &app.state.config.first_values).await.unwrap()
}

const PHONE: &str = "+56987654321";

/// Somebody who may be written to by SMS and WhatsApp.
async fn reachable(app: &TestApp, phone: &str) -> ContactId {
    let id = sqlx::query_scalar(
        "insert into contacts (first_name, search_key, phone, sms_basis, whatsapp_basis, created_at, updated_at)
         values ('Ana', 'ana', $2, 'CONSENT', 'CONSENT', $1, $1) returning id",
    )
    .bind(app.now())
    .bind(phone)
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    ContactId(id)
}

async fn got(app: &TestApp, contact: ContactId, kind: MessageType, at: &str) {
    sqlx::query(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         values ('MANUAL', $1, 'SMS', $2, '+56987654321', 'SENT', $3, $3, $3, $3)",
    )
    .bind(contact.0)
    .bind(kind.code())
    .bind(at.parse::<DateTime<Utc>>().unwrap())
    .execute(&app.state.db)
    .await
    .unwrap();
}

/// What the gate says of a promotion of `kind` by `channel` at this moment.
async fn asked(app: &TestApp, channel: Channel, kind: MessageType, contact: ContactId) -> Decision {
    let mut db = app.state.db.acquire().await.unwrap();
    let frame = Frame::open(&mut db, app.now(), &app.state.config.first_values, channel).await.unwrap();
    let question = Question { kind, origin: OriginKind::Campaign, required: &[], hours: None };
    let [answer] = why::ask(&mut db, app.now(), &frame, contact, [question]).await.unwrap();
    answer.now
}

fn reason(decision: &Decision) -> Option<DeferReason> {
    match decision {
        Decision::Defer { reason, .. } => Some(*reason),
        _ => None,
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_channel_has_hours_and_caps_of_its_own(db: PgPool) {
    let app = TestApp::new(db);
    app.post("/settings/email", &[("from_name", "Caro"), ("daily_cap", "80")]).await;
    let email = sending(&app, Channel::Email).await;
    let price = [("part_price", "12,5")];
    assert_eq!(app.post("/settings/sms", &price).await.status, StatusCode::SEE_OTHER);
    let fields = [
        ("communication_type", "SMS"),
        ("weekdays", "sat"),
        ("opens", "11:00"),
        ("closes", "13:00"),
        ("daily_cap", "1.200"),
        ("per_minute", "30"),
    ];
    let saved = app.post("/settings/hours", &fields).await;
    assert_eq!(saved.location(), "/settings/limits?channel=SMS#hours");
    let sms: SmsChannel = load(&app).await;
    assert_eq!((sms.part_price, sms.daily_cap, sms.per_minute), (Some(1250), Some(1200), Some(30)));
    assert_eq!(sms.business_hours.describe(), "sábado de 11:00 a 13:00");
    assert_eq!(sending(&app, Channel::Email).await, email, "another channel keeps its own");
    assert_eq!(
        sending(&app, Channel::Whatsapp).await.business_hours,
        WhatsappChannel::default().business_hours
    );
    // The page of the price does not undo them, and the hours of email not how many leave by it.
    assert_eq!(app.post("/settings/sms", &[("part_price", "13")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(load::<SmsChannel>(&app).await.daily_cap, Some(1200));
    let whatsapp =
        [("communication_type", "WHATSAPP"), ("weekdays", "mon"), ("opens", "10:00"), ("closes", "12:00")];
    assert_eq!(app.post("/settings/hours", &whatsapp).await.status, StatusCode::SEE_OTHER);
    assert_eq!(load::<WhatsappChannel>(&app).await.business_hours.describe(), "lunes de 10:00 a 12:00");
    let hours = [("weekdays", "fri"), ("opens", "10:00"), ("closes", "12:00"), ("daily_cap", "3")];
    assert_eq!(app.post("/settings/hours", &hours).await.status, StatusCode::SEE_OTHER);
    let email: EmailChannel = load(&app).await;
    assert_eq!(
        (email.daily_cap, email.business_hours.describe().as_str()),
        (Some(80), "viernes de 10:00 a 12:00")
    );

    let page = app.get("/settings/limits?channel=SMS").await.text();
    for part in [
        "sábado de 11:00 a 13:00",
        "viernes de 10:00 a 12:00",
        "Guardar horario por SMS",
        "todavía no envía por SMS",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(app.get("/settings/limits?channel=SMS").await.body.contains("value=\"1200\""));
    let audit = app.get("/audit?kind=sms").await.text();
    assert!(audit.contains("Canal de SMS") && audit.contains("1200"), "{audit}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn every_wrong_value_of_a_channels_hours_is_told_at_once(db: PgPool) {
    let app = TestApp::new(db);
    let fields =
        [("communication_type", "SMS"), ("opens", "25:00"), ("closes", "13:00"), ("daily_cap", "-3")];
    let reply = app.post("/settings/hours", &fields).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in
        ["href=\"#field-weekdays\"", "href=\"#field-opens\"", "href=\"#field-daily_cap\"", "value=\"-3\""]
    {
        assert!(reply.body.contains(part), "{part}: {}", reply.body);
    }
    assert_eq!(load::<SmsChannel>(&app).await, SmsChannel::default());
    let good = [("weekdays", "mon"), ("opens", "10:00"), ("closes", "12:00")];
    for wrong in [("communication_type", "SMSX"), ("weekdays", "lunes")] {
        let fields = if wrong.0 == "weekdays" {
            vec![wrong, good[1], good[2]]
        } else {
            [&[wrong][..], &good[..]].concat()
        };
        assert_eq!(
            app.post("/settings/hours", &fields).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong:?}"
        );
    }
    assert_eq!(
        load::<EmailChannel>(&app).await.business_hours.describe(),
        BusinessHours::default().describe()
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_gate_asks_the_hours_and_the_cap_of_the_channel(db: PgPool) {
    // Monday 23 November 2026, noon.
    let app = TestApp::new(db);
    let contact = reachable(&app, PHONE).await;
    let promotion = MessageType::Promocional;
    assert_eq!(asked(&app, Channel::Sms, promotion, contact).await, Decision::Allow);
    let fields =
        [("communication_type", "SMS"), ("weekdays", "tue"), ("opens", "11:00"), ("closes", "13:00")];
    app.post("/settings/hours", &fields).await;
    let until: DateTime<Utc> = "2026-11-24T14:00:00Z".parse().unwrap();
    match asked(&app, Channel::Sms, promotion, contact).await {
        Decision::Defer { until: told, reason: DeferReason::OutsideWindow, .. } => assert_eq!(told, until),
        other => panic!("{other:?}"),
    }
    assert_eq!(asked(&app, Channel::Whatsapp, promotion, contact).await, Decision::Allow);
    let fields = [
        ("communication_type", "SMS"),
        ("weekdays", "mon"),
        ("opens", "11:00"),
        ("closes", "13:00"),
        ("daily_cap", "1"),
    ];
    app.post("/settings/hours", &fields).await;
    let other = reachable(&app, "+56987654322").await;
    got(&app, other, promotion, "2026-11-23T14:30:00Z").await;
    assert_eq!(reason(&asked(&app, Channel::Sms, promotion, contact).await), Some(DeferReason::DailyCap));
    assert_eq!(asked(&app, Channel::Whatsapp, promotion, contact).await, Decision::Allow);
    // The cap of email, which warms up, is not that of SMS.
    app.post("/settings/email", &[("daily_cap", "1")]).await;
    app.post("/settings/hours", &fields[..4]).await;
    assert_eq!(asked(&app, Channel::Sms, promotion, contact).await, Decision::Allow);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn early_access_by_sms_is_told_twice_a_month_and_no_more(db: PgPool) {
    let app = TestApp::new(db);
    let contact = reachable(&app, PHONE).await;
    let early = MessageType::VipEarlyAccess;
    got(&app, contact, early, "2026-11-02T15:00:00Z").await;
    assert_eq!(asked(&app, Channel::Sms, early, contact).await, Decision::Allow);
    got(&app, contact, early, "2026-11-10T15:00:00Z").await;
    match asked(&app, Channel::Sms, early, contact).await {
        // The first of them no longer counts on 2 December, a Wednesday.
        Decision::Defer { until, reason: DeferReason::FrequencyCap, detail } => {
            assert_eq!(until, "2026-12-02T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
            assert_eq!(detail, "2 de 2 en 30 días");
        }
        other => panic!("{other:?}"),
    }
    // It sells, so that it counts with the others, and whoever declines it gets none.
    assert_eq!(asked(&app, Channel::Sms, MessageType::Promocional, contact).await, Decision::Allow);
    let all: Vec<(String, &str)> = MessageType::DECLINABLE
        .iter()
        .filter(|it| **it != early)
        .map(|it| (format!("SMS.{}", it.code()), "on"))
        .collect();
    let all: Vec<(&str, &str)> = all.iter().map(|it| (it.0.as_str(), it.1)).collect();
    let other = reachable(&app, "+56987654322").await;
    assert_eq!(app.post(&format!("/contacts/{other}/preferences"), &all).await.status, StatusCode::SEE_OTHER);
    assert!(matches!(
        asked(&app, Channel::Sms, early, other).await,
        Decision::Block { reason: BlockReason::Preference, .. }
    ));
    assert_eq!(asked(&app, Channel::Sms, MessageType::Promocional, other).await, Decision::Allow);
    let page = app.get("/settings/limits").await.text();
    assert!(page.contains("Acceso anticipado VIP"), "{page}");
    let templates = app.get("/templates?channel=SMS").await.text();
    assert!(templates.contains("SMS: lo nuevo, antes que nadie"), "{templates}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn hours_that_open_let_go_of_what_waited_for_them(db: PgPool) {
    let app = TestApp::new(db);
    let waits = async |channel: &str, phone: &str| {
        let contact = reachable(&app, phone).await;
        sqlx::query(
            "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                 defer_reason, scheduled_at, next_attempt_at, created_at)
             values ('MANUAL', $1, $2, 'PROMOCIONAL', $3, 'PENDING', 'OUTSIDE_WINDOW', $4, '2026-11-24T12:00Z', $4)",
        )
        .bind(contact.0)
        .bind(channel)
        .bind(phone)
        .bind(app.now())
        .execute(&app.state.db)
        .await
        .unwrap();
    };
    waits("EMAIL", PHONE).await;
    for (channel, phone) in [("SMS", "+56987654322"), ("WHATSAPP", "+56987654323")] {
        waits(channel, phone).await;
        // Of this channel, and of the others, whose rules stay.
        let held = || async {
            sqlx::query_as::<_, (i64, i64)>(
                "select count(*) filter (where communication_type = $1), count(*) filter (where communication_type <> $1)
                 from communication_logs where defer_reason is not null",
            )
            .bind(channel)
            .fetch_one(&app.state.db)
            .await
            .unwrap()
        };
        let rate = [
            ("communication_type", channel),
            ("weekdays", "mon"),
            ("weekdays", "tue"),
            ("weekdays", "wed"),
            ("weekdays", "thu"),
            ("weekdays", "fri"),
            ("opens", "09:00"),
            ("closes", "18:00"),
            ("skip_holidays", "on"),
            ("per_minute", "20"),
        ];
        app.post("/settings/hours", &rate).await;
        assert_eq!(held().await, (1, 1), "how fast it goes holds nobody back: {channel}");
        let longer = [&rate[..7], &[("closes", "20:00"), ("skip_holidays", "on")]].concat();
        app.post("/settings/hours", &longer).await;
        assert_eq!(held().await, (0, 1), "{channel}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_tells_the_rate_of_its_own_channel(db: PgPool) {
    let app = TestApp::new(db);
    let contact = reachable(&app, PHONE).await;
    let fields = [
        ("communication_type", "SMS"),
        ("weekdays", "mon"),
        ("opens", "09:00"),
        ("closes", "18:00"),
        ("per_minute", "20"),
    ];
    app.post("/settings/hours", &fields).await;
    sqlx::raw_sql(
        "insert into mailings (once, title, template_id, message_type, status, filter, total, done, created_at, created_by_name)
         select gen_random_uuid(), 'A mano', min(id), 'PROMOCIONAL', 'DONE', '{}', 2, 2, '2026-11-23', 'Ana' from message_templates",
    )
    .execute(&app.state.db)
    .await
    .unwrap();
    for channel in ["SMS", "WHATSAPP"] {
        sqlx::query(
            "insert into communication_logs (origin, contact_id, mailing_id, communication_type, message_type, destination, status,
                 scheduled_at, next_attempt_at, created_at)
             values ('MANUAL', $1, 1, $2, 'PROMOCIONAL', $3, 'PENDING', $4, $4, $4)",
        )
        .bind(contact.0)
        .bind(channel)
        .bind(PHONE)
        .bind(app.now())
        .execute(&app.state.db)
        .await
        .unwrap();
    }
    assert!(app.get("/messages/1").await.text().contains("Salen hasta 20 mensajes por minuto"));
    assert!(!app.get("/messages/2").await.text().contains("por minuto"));
}
