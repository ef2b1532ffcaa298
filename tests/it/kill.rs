//! kill -9 in the middle of sending: processes of their own drain one queue into
//! a real SMTP server that counts, and are killed without a word.

use crate::support::smtp::{Options as ServerOptions, Server};
use llovizna::{
    access::Actor,
    channels::{self, Channel},
    clock::Clock,
    config::Config,
    db,
    ids::{CampaignId, ContactId, TemplateId},
    messaging::{
        drain::{self, Engine, Options},
        kinds::MessageType,
        outbox::{self, Draft, Origin},
        runs::Trigger,
    },
};
use sqlx::{ConnectOptions as _, PgPool};
use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Tells a process of this program to drain: `DATABASE_URL PORT`.
const TOLD: &str = "LLOVIZNA_TESTS_DRAIN";

/// A Monday, 12:00 in Santiago.
const NOON: &str = "2026-11-23T15:00:00Z";

/// Not a check of its own: what the killed processes do. Otherwise it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a process is told what to do by its parent")]
async fn this_process_drains_when_it_is_told_to() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let (url, port) = told.split_once(' ').unwrap();
    let config = Config::read(|name| {
        let value = match name {
            "BUSINESS_NAME" => "Sur",
            "BUSINESS_ADDRESS" => "Urmeneta 305, Puerto Montt",
            "BUSINESS_EMAIL" => "hola@sur.example",
            "EMAIL_DAILY_CAP" => "0",
            "EMAIL_HOST" => "127.0.0.1",
            "EMAIL_PORT" => port,
            "EMAIL_USE_TLS" => "none",
            _ => return None,
        };
        Some(value.to_owned())
    })
    .unwrap();
    let db = db::connect(url.parse().unwrap(), 8).await.unwrap();
    let senders = channels::open(&config, &db).unwrap();
    let engine = Engine { db, senders, config: Arc::new(config), clock: Clock::fixed(NOON.parse().unwrap()) };
    let options = Options { batch_size: Some(450), ..Options::new(Channel::Email, Trigger::CommandLine) };
    drain::run(&engine, &options).await.unwrap();
}

fn drainer(db: &PgPool, server: &Server) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::this_process_drains_when_it_is_told_to", "--exact"])
        .env(TOLD, format!("{} {}", db.connect_options().to_url_lossy(), server.port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn queue(db: &PgPool, people: i64) {
    let now = NOON.parse().unwrap();
    let ids = sqlx::query_scalar::<_, i64>(
        "insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
         select 'P' || i, 'p' || i || '@x.example', 'CONSENT', 'p' || i, $2, $2 from generate_series(1, $1) i
         returning id",
    )
    .bind(people)
    .bind(now)
    .fetch_all(db)
    .await
    .unwrap();
    let (campaign, template) = sqlx::query_as::<_, (i64, i64)>(
        "with t as (
             insert into message_templates
                 (communication_type, name, version, subject, body, body_format, footer, created_at)
             values ('EMAIL', 'test', 1, 'Hola {{ first_name }}', 'Cuerpo', 'TEXT', 'Baja: {{ unsubscribe_url }}', $1)
             returning id
         )
         insert into campaigns (name, status, audience, template_id, enqueue_done, created_at, updated_at)
         select 'C', 'RUNNING', '{}', id, true, $1, $1 from t returning id, template_id",
    )
    .bind(now)
    .fetch_one(db)
    .await
    .unwrap();
    let draft = Draft {
        origin: Origin::Campaign(CampaignId(campaign)),
        channel: Channel::Email,
        message_type: MessageType::Promocional,
        template: TemplateId(template),
        required: &["first_name"],
        scheduled_at: now,
    };
    let ids: Vec<ContactId> = ids.into_iter().map(ContactId).collect();
    let mut tx = db.begin().await.unwrap();
    let done = outbox::enqueue(&mut tx, now, &Actor::System, &draft, &ids).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(done.queued, u64::try_from(people).unwrap());
}

/// Message-IDs of the rows with `status`.
async fn ids(db: &PgPool, status: &str) -> BTreeSet<String> {
    let ids = sqlx::query_scalar("select external_id from communication_logs where status = $1");
    ids.bind(status).fetch_all(db).await.unwrap().into_iter().collect()
}

async fn open_rows(db: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from communication_logs where status in ('PENDING', 'SENDING')")
        .fetch_one(db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_kill_in_the_middle_loses_nothing_and_sends_nothing_twice(db: PgPool) {
    const PEOPLE: usize = 400;
    queue(&db, 400).await;
    // Counted first, confirmed 10 ms later: a kill in between is the worst moment.
    let server = Server::with(ServerOptions { delay: Duration::from_millis(10), ..ServerOptions::default() });
    let deadline = Instant::now() + Duration::from_mins(2);
    for target in [30, 90, 150, 210, 270] {
        let mut processes = [drainer(&db, &server), drainer(&db, &server)];
        while server.accepted() < target {
            assert!(Instant::now() < deadline, "only {} messages arrived", server.accepted());
            for it in &mut processes {
                // The one that came second has left, or the lock of the killed one was still held.
                if it.try_wait().unwrap().is_some() {
                    *it = drainer(&db, &server);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for mut it in processes {
            it.kill().unwrap();
            it.wait().unwrap();
        }
    }
    while open_rows(&db).await > 0 {
        assert!(Instant::now() < deadline, "{} messages never left", open_rows(&db).await);
        drainer(&db, &server).wait().unwrap();
    }

    let received = server.received();
    let arrived: BTreeSet<String> = received.iter().map(crate::support::smtp::Received::message_id).collect();
    assert_eq!(arrived.len(), received.len(), "something was sent twice");
    let recipients: BTreeSet<&str> = received.iter().map(|it| it.to.as_str()).collect();
    assert_eq!(recipients.len(), received.len(), "someone was written to twice");
    let (sent, unconfirmed) = (ids(&db, "SENT").await, ids(&db, "UNCONFIRMED").await);
    assert_eq!(sent.len() + unconfirmed.len(), PEOPLE, "something was lost");
    assert!(sent.is_subset(&arrived), "the books say sent of what never arrived");
    let in_books: BTreeSet<String> = sent.union(&unconfirmed).cloned().collect();
    assert!(arrived.is_subset(&in_books), "something arrived of which the books know nothing");
    assert!(!unconfirmed.is_empty(), "five kills and no message in flight: the test shows nothing");
    let interrupted: i64 = sqlx::query_scalar("select count(*) from drip_runs where status = 'INTERRUPTED'")
        .fetch_one(&db)
        .await
        .unwrap();
    // One in each round; two where the second came alive between the two kills.
    assert!((5..=10).contains(&interrupted), "{interrupted} runs were cut off by five rounds of kills");
}
