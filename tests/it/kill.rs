//! kill -9 in the middle of sending: processes of their own drain one queue into
//! a real SMTP server that counts, and are killed without a word. `script/crash`
//! runs the same a hundred times over five thousand messages.

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

/// Tells a process of this program to drain: `DATABASE_URL PORT BATCH CAP`.
const TOLD: &str = "LLOVIZNA_TESTS_DRAIN";

/// How often to kill, over how many messages: `100 5000`.
const CRASHES: &str = "LLOVIZNA_TESTS_CRASHES";

/// Messages that a run begins one by one; above 500 it begins many at once.
pub(crate) const SMALL: u32 = 450;
const LARGE: u32 = 5000;

/// A Monday, 12:00 in Santiago.
const NOON: &str = "2026-11-23T15:00:00Z";

/// Not a check of its own: what the killed processes do. Otherwise it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a process is told what to do by its parent")]
async fn this_process_drains_when_it_is_told_to() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let words: Vec<&str> = told.split(' ').collect();
    let [url, port, batch, cap] = words[..] else { panic!("{told}") };
    let db = db::connect(url.parse().unwrap(), 8).await.unwrap();
    let engine = engine(db, &[("EMAIL_PORT", port), ("EMAIL_DAILY_CAP", cap)]);
    drain::run(&engine, &options(batch.parse().unwrap())).await.unwrap();
}

pub(crate) fn options(batch: u32) -> Options {
    Options { batch_size: Some(batch), ..Options::new(Channel::Email, Trigger::CommandLine) }
}

/// The program's engine over real SMTP on this machine, at [`NOON`].
pub(crate) fn engine(db: PgPool, environment: &[(&str, &str)]) -> Engine {
    let config = Config::read(|name| {
        let set = environment.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let value = set.or(match name {
            "BUSINESS_NAME" => Some("Sur"),
            "BUSINESS_ADDRESS" => Some("Urmeneta 305, Puerto Montt"),
            "BUSINESS_EMAIL" => Some("hola@sur.example"),
            "EMAIL_DAILY_CAP" => Some("0"),
            "EMAIL_HOST" => Some("127.0.0.1"),
            "EMAIL_USE_TLS" => Some("none"),
            _ => None,
        });
        value.map(str::to_owned)
    })
    .unwrap();
    let senders = channels::open(&config, &db).unwrap();
    Engine { db, senders, config: Arc::new(config), clock: Clock::fixed(NOON.parse().unwrap()) }
}

/// A process that drains in one run of `batch` messages, under a daily cap (0: none).
pub(crate) fn drainer(db: &PgPool, server: &Server, batch: u32, cap: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::this_process_drains_when_it_is_told_to", "--exact"])
        .env(TOLD, format!("{} {} {batch} {cap}", db.connect_options().to_url_lossy(), server.port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) async fn queue(db: &PgPool, people: i64) {
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

pub(crate) async fn open_rows(db: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from communication_logs where status in ('PENDING', 'SENDING')")
        .fetch_one(db)
        .await
        .unwrap()
}

/// Hold the books against what the server received: nobody lost, nobody written to twice, nothing invented.
/// Gives how many are left in doubt.
pub(crate) async fn balance(db: &PgPool, server: &Server, people: usize) -> usize {
    let received = server.received();
    let arrived: BTreeSet<String> = received.iter().map(crate::support::smtp::Received::message_id).collect();
    assert_eq!(arrived.len(), received.len(), "something was sent twice");
    let recipients: BTreeSet<&str> = received.iter().map(|it| it.to.as_str()).collect();
    assert_eq!(recipients.len(), received.len(), "someone was written to twice");
    let (sent, unconfirmed) = (ids(db, "SENT").await, ids(db, "UNCONFIRMED").await);
    assert_eq!(sent.len() + unconfirmed.len(), people, "something was lost");
    assert!(sent.is_subset(&arrived), "the books say sent of what never arrived");
    let in_books: BTreeSet<String> = sent.union(&unconfirmed).cloned().collect();
    assert!(arrived.is_subset(&in_books), "something arrived of which the books know nothing");
    unconfirmed.len()
}

#[expect(clippy::disallowed_methods, reason = "script/crash asks for more")]
fn crashes() -> (usize, usize) {
    let Ok(asked) = std::env::var(CRASHES) else { return (5, 400) };
    let (kills, people) = asked.split_once(' ').unwrap();
    (kills.parse().unwrap(), people.parse().unwrap())
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn kills_at_random_moments_lose_nothing_and_send_nothing_twice(db: PgPool) {
    let (kills, people) = crashes();
    queue(&db, i64::try_from(people).unwrap()).await;
    // Counted first, confirmed 10 ms later: a kill in between is the worst moment.
    let server = Server::with(ServerOptions { delay: Duration::from_millis(10), ..ServerOptions::default() });
    let deadline = Instant::now() + Duration::from_mins(2) * u32::try_from(1 + kills / 20).unwrap();
    let (mut killed, mut stride) = (0, people * 3 / 4 / kills);
    for round in 0..kills {
        // Large batches leave many in doubt at once: seldom, so that some are left to kill.
        let batch = if round % 10 == 4 { LARGE } else { SMALL };
        let mut processes = vec![drainer(&db, &server, batch, 0)];
        if rand::random_bool(0.5) {
            processes.push(drainer(&db, &server, batch, 0));
        }
        let target = server.accepted() + rand::random_range(1..=stride.max(1) * 2 - 1);
        while server.accepted() < target && open_rows(&db).await > 0 {
            assert!(Instant::now() < deadline, "only {} messages arrived", server.accepted());
            for it in &mut processes {
                // The one that came second has left, or the lock of the killed one was still held.
                if it.try_wait().unwrap().is_some() {
                    *it = drainer(&db, &server, batch, 0);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..10_000))).await;
        for mut it in processes {
            it.kill().unwrap();
            it.wait().unwrap();
            killed += 1;
        }
        // What is left is shared out over the kills to come.
        let left = usize::try_from(open_rows(&db).await).unwrap();
        stride = left * 3 / 4 / (kills - round);
    }
    while open_rows(&db).await > 0 {
        assert!(Instant::now() < deadline, "{} messages never left", open_rows(&db).await);
        drainer(&db, &server, SMALL, 0).wait().unwrap();
    }

    let unconfirmed = balance(&db, &server, people).await;
    assert!(unconfirmed > 0, "{kills} kills and no message in flight: the test shows nothing");
    let interrupted: i64 = sqlx::query_scalar("select count(*) from drip_runs where status = 'INTERRUPTED'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert!(interrupted > 0 && interrupted <= killed, "{killed} kills, {interrupted} runs cut off");
    eprintln!(
        "{people} messages, {kills} rounds, {killed} processes killed, {interrupted} runs cut off: \
         {} received, none twice, none lost, {unconfirmed} in doubt",
        server.accepted()
    );
}
