//! Each provider's real call: heard where its signature fits, and nothing stored where not. The signatures were made by openssl.

use super::{excluded, message, settle, status_of};
use crate::{
    campaigns::BUSINESS,
    support::{Reply, TestApp},
};
use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use chrono::TimeDelta;
use llovizna::channels::callbacks::ses;
use sqlx::PgPool;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../files/callbacks/", $name))
    };
}

const SECRETS: &[(&str, &str)] = &[
    ("SES_SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:llovizna"),
    ("SENDGRID_WEBHOOK_PUBLIC_KEY", file!("sendgrid.key")),
    ("MAILGUN_WEBHOOK_SIGNING_KEY", "key-mailgun-de-prueba"),
    ("POSTMARK_WEBHOOK_SECRET", "clave-de-postmark-larga"),
    ("BREVO_WEBHOOK_SECRET", "clave-de-brevo-larga"),
    ("RESEND_WEBHOOK_SECRET", file!("resend.key")),
];

/// Six messages that left five minutes ago, to `p1@x.example` and on.
async fn sent(db: PgPool) -> (TestApp, Vec<i64>) {
    let app = TestApp::with(db, &[BUSINESS, SECRETS].concat());
    ses::remember(
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-prueba.pem",
        file!("sns.pem"),
    )
    .unwrap();
    let mut ids = Vec::new();
    for n in 1..=6 {
        ids.push(message(&app, n, "SENT").await);
    }
    (app, ids)
}

async fn call(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let anonymous = app.anonymous();
    let mut request = anonymous.request(Method::POST, path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    anonymous.send(request, Body::from(body.to_owned())).await
}

async fn heard(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) {
    for _ in 0..2 {
        let reply = call(app, path, headers, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
    }
}

async fn refused(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) {
    let before = stored(app).await;
    let reply = call(app, path, headers, body).await;
    assert_eq!(
        (reply.status, stored(app).await),
        (StatusCode::UNAUTHORIZED, before),
        "{path}: {}",
        reply.body
    );
}

async fn stored(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from inbound_events").fetch_one(&app.state.db).await.unwrap()
}

async fn states(app: &TestApp, ids: &[i64]) -> Vec<String> {
    settle(app).await;
    let mut all = Vec::new();
    for id in ids {
        all.push(status_of(app, *id).await);
    }
    all
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn sendgrid_tells_many_at_once(db: PgPool) {
    const PATH: &str = "/webhooks/email/sendgrid";
    let (app, ids) = sent(db).await;
    let timestamp = app.now().timestamp().to_string();
    let headers = [
        ("x-twilio-email-event-webhook-signature", file!("sendgrid.sig").trim()),
        ("x-twilio-email-event-webhook-timestamp", timestamp.as_str()),
    ];
    let body = file!("sendgrid.json");
    refused(&app, PATH, &[], body).await;
    refused(&app, PATH, &headers, &body.replace("p2@x", "p3@x")).await;
    refused(&app, PATH, &[headers[0], ("x-twilio-email-event-webhook-timestamp", "1763910001")], body).await;
    heard(&app, PATH, &headers, body).await;
    assert_eq!(stored(&app).await, 7, "what is only processed is nothing to us");
    assert_eq!(states(&app, &ids).await, ["DELIVERED", "BOUNCED", "BOUNCED", "SENT", "SENT", "SENT"]);
    assert_eq!(
        excluded(&app).await,
        [
            "EMAIL nadie@otro.example ALL HARD_BOUNCE",
            "EMAIL p2@x.example ALL HARD_BOUNCE",
            "EMAIL p5@x.example PROMOTIONAL COMPLAINT",
            "EMAIL p6@x.example PROMOTIONAL UNSUBSCRIBED",
            "SMS +56980000005 PROMOTIONAL COMPLAINT",
            "WHATSAPP +56980000005 PROMOTIONAL COMPLAINT",
        ]
    );
    app.state.clock.advance(TimeDelta::hours(25));
    refused(&app, PATH, &headers, body).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn mailgun_tells_one_at_a_time_under_a_token(db: PgPool) {
    const PATH: &str = "/webhooks/email/mailgun";
    let (app, ids) = sent(db).await;
    let failed = file!("mailgun_failed.json");
    refused(&app, PATH, &[], "{}").await;
    refused(&app, PATH, &[], "not json").await;
    refused(&app, PATH, &[], &failed.replacen("\"token\": \"", "\"token\": \"0", 1)).await;
    refused(&app, PATH, &[], file!("mailgun_old.json")).await;
    for body in [
        failed,
        file!("mailgun_delivered.json"),
        file!("mailgun_temporary.json"),
        file!("mailgun_complained.json"),
    ] {
        heard(&app, PATH, &[], body).await;
    }
    // The signature says nothing of the event: with a token that was used it tells nothing.
    call(&app, PATH, &[], &failed.replace("p2@x.example", "p6@x.example").replace("m2@", "m6@")).await;
    assert_eq!(stored(&app).await, 4);
    assert_eq!(states(&app, &ids).await, ["DELIVERED", "BOUNCED", "SENT", "SENT", "SENT", "SENT"]);
    assert_eq!(excluded(&app).await.len(), 4);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn amazon_signs_and_only_our_topic_is_heard(db: PgPool) {
    const PATH: &str = "/webhooks/email/ses";
    let (app, ids) = sent(db).await;
    let kind = [("x-amz-sns-message-type", "Notification")];
    let bounce = file!("ses_bounce.json");
    refused(&app, PATH, &kind, "{}").await;
    refused(&app, PATH, &kind, &bounce.replace("user unknown", "user unknows")).await;
    refused(&app, PATH, &kind, &bounce.replace("amazonaws.com/Simple", "amazonaws.com.evil.cl/Simple")).await;
    refused(&app, PATH, &kind, file!("ses_other_topic.json")).await;
    refused(&app, PATH, &[("x-amz-sns-message-type", "SubscriptionConfirmation")], bounce).await;
    for body in [bounce, file!("ses_complaint.json"), file!("ses_delivery.json"), file!("ses_transient.json")]
    {
        heard(&app, PATH, &kind, body).await;
    }
    heard(&app, PATH, &kind, file!("ses_validated.json")).await;
    assert_eq!(stored(&app).await, 4);
    assert_eq!(
        states(&app, &ids).await,
        ["DELIVERED", "BOUNCED", "SENT", "BOUNCED", "SENT", "SENT"],
        "the delivery names no header: it is found by its recipient"
    );
    let dead = excluded(&app).await;
    assert!(dead.contains(&"EMAIL p2@x.example ALL HARD_BOUNCE".to_owned()) && dead.len() == 4, "{dead:?}");
    app.state.clock.advance(TimeDelta::hours(25));
    refused(&app, PATH, &kind, bounce).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn resend_signs_as_svix_does(db: PgPool) {
    const PATH: &str = "/webhooks/email/resend";
    let (app, ids) = sent(db).await;
    let timestamp = app.now().timestamp().to_string();
    let headers = |sig: &'static str| {
        let (id, signature) = sig.trim().split_once(' ').unwrap();
        vec![("svix-id", id), ("svix-signature", signature)]
    };
    let with = |sig: &'static str| [headers(sig), vec![("svix-timestamp", timestamp.as_str())]].concat();
    let (body, sig) = (file!("resend_bounced.json"), file!("resend_bounced.sig"));
    refused(&app, PATH, &headers(sig), body).await;
    refused(&app, PATH, &with(sig), &body.replace("p2@", "p3@")).await;
    refused(&app, PATH, &with(file!("resend_delivered.sig")), body).await;
    heard(&app, PATH, &with(sig), body).await;
    heard(&app, PATH, &with(file!("resend_delivered.sig")), file!("resend_delivered.json")).await;
    heard(&app, PATH, &with(file!("resend_complained.sig")), file!("resend_complained.json")).await;
    assert_eq!(states(&app, &ids).await, ["DELIVERED", "BOUNCED", "SENT", "SENT", "SENT", "SENT"]);
    assert_eq!(excluded(&app).await.len(), 4);
    app.state.clock.advance(TimeDelta::minutes(6));
    refused(&app, PATH, &with(sig), body).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn postmark_and_brevo_sign_nothing_and_bring_a_secret(db: PgPool) {
    let (app, ids) = sent(db).await;
    // llovizna:clave-de-postmark-larga
    let basic = [("authorization", "Basic bGxvdml6bmE6Y2xhdmUtZGUtcG9zdG1hcmstbGFyZ2E=")];
    let path = "/webhooks/email/postmark";
    refused(&app, path, &[], file!("postmark_bounce.json")).await;
    refused(&app, path, &[("authorization", "Basic bGxvdml6bmE6b3RyYQ==")], file!("postmark_bounce.json"))
        .await;
    for body in [
        file!("postmark_bounce.json"),
        file!("postmark_complaint.json"),
        file!("postmark_delivery.json"),
        file!("postmark_change.json"),
    ] {
        heard(&app, path, &basic, body).await;
    }
    assert_eq!(stored(&app).await, 4);
    assert_eq!(states(&app, &ids).await, ["DELIVERED", "BOUNCED", "SENT", "SENT", "SENT", "SENT"]);
    let known = excluded(&app).await;
    assert_eq!(known.len(), 5, "{known:?}");
    refused(&app, "/webhooks/email/brevo?token=otra", &[], file!("brevo.json")).await;
    heard(&app, "/webhooks/email/brevo?token=clave-de-brevo-larga", &[], file!("brevo.json")).await;
    assert_eq!(stored(&app).await, 8);
    settle(&app).await;
    assert_eq!(excluded(&app).await, known, "the same, told by another");
    let broken = call(&app, "/webhooks/email/brevo?token=clave-de-brevo-larga", &[], "{").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_provider_that_is_not_connected_is_not_there(db: PgPool) {
    let app = TestApp::with(db, &[("POSTMARK_WEBHOOK_SECRET", "clave-de-postmark-larga")]);
    for provider in ["ses", "sendgrid", "mailgun", "brevo", "resend", "mailbox", "nadie"] {
        let reply = call(&app, &format!("/webhooks/email/{provider}"), &[], "{}").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{provider}");
    }
    let page = app.get("/settings/email").await;
    let text = page.text();
    assert!(text.contains("Postmark POSTMARK_WEBHOOK_SECRET Conectado"), "{text}");
    assert!(text.contains("http://llovizna:TU_CLAVE@127.0.0.1:8000/webhooks/email/postmark"), "{text}");
    assert!(!page.body.contains("clave-de-postmark-larga"), "the secret itself is nowhere");
    let large = "x".repeat(2 * 1024 * 1024);
    let reply = call(&app, "/webhooks/email/postmark", &[], &large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_thousand_calls_at_once_repeated_and_among_forged_ones_are_all_kept_once(db: PgPool) {
    let (app, ids) = sent(db).await;
    let path = "/webhooks/email/postmark";
    let good = [("authorization", "Basic bGxvdml6bmE6Y2xhdmUtZGUtcG9zdG1hcmstbGFyZ2E=")];
    let forged = [("authorization", "Basic bGxvdml6bmE6b3RyYQ==")];
    let bodies: Vec<String> = (0..1000)
        .map(|n| {
            file!("postmark_delivery.json")
                .replace("000000000001", &format!("{n:012}"))
                .replace("p1@x", &format!("p{}@x", 1 + n % 7))
        })
        .collect();
    for some in bodies.chunks(50) {
        let calls = some.iter().enumerate().flat_map(|(n, body)| {
            let strange = (n % 10 == 0).then(|| call(&app, path, &forged, body));
            [Some(call(&app, path, &good, body)), strange, Some(call(&app, path, &good, body))]
        });
        let replies = futures_util::future::join_all(calls.flatten()).await;
        let refused = replies.iter().filter(|it| it.status == StatusCode::UNAUTHORIZED).count();
        let heard = replies.iter().filter(|it| it.status == StatusCode::OK).count();
        assert_eq!((heard, refused), (100, 5));
    }
    assert_eq!(stored(&app).await, 1000, "each once, and nothing that was forged");
    assert_eq!(states(&app, &ids).await, ["DELIVERED"; 6]);
    let waiting = "select count(*) from inbound_events where status = 'NEW'";
    assert_eq!(sqlx::query_scalar::<_, i64>(waiting).fetch_one(&app.state.db).await.unwrap(), 0);
}
