//! What comes back: written down, applied in any order, listed.

mod callbacks;
mod mailbox;
mod order;
mod pages;
mod people;

use crate::{
    campaigns::{app, execute},
    support::TestApp,
};
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    access::Actor,
    campaigns::{drip, refused, status},
    channels::{
        Channel,
        feedback::{Kind, Report, Source},
    },
    messaging::{
        drain::{Engine, Options},
        inbound::{self, Pass},
        runs::Trigger,
    },
};
use sqlx::PgPool;

/// A message that is `status` to `p{n}@x.example`, who agreed to it; its Message-ID is `m{n}@lluviasur.example`.
async fn message(app: &TestApp, n: i64, status: &str) -> i64 {
    message_at(app, n, n, status, app.now() - TimeDelta::minutes(5)).await
}

/// The same, the message number `m` to the person number `n`, that left at `at`.
async fn message_at(app: &TestApp, n: i64, m: i64, status: &str, at: DateTime<Utc>) -> i64 {
    sqlx::query(
        "insert into contacts (first_name, email, phone, email_basis, sms_basis, search_key, created_at, updated_at)
         values ('P' || $1, 'p' || $1 || '@x.example', '+5698' || lpad($1::text, 7, '0'), 'CONSENT', 'CONSENT', 'p' || $1, $2, $2)
         on conflict (email) do nothing",
    )
    .bind(n)
    .bind(at)
    .execute(&app.state.db)
    .await
    .unwrap();
    sqlx::query_scalar(
        "with made as (
             insert into communication_logs (origin, contact_id, communication_type, message_type, destination, subject, status,
                 external_id, drip_run_id, claimed_at, scheduled_at, next_attempt_at, created_at, sent_at)
             select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, 'Hola', $3, 'm' || $2 || '@lluviasur.example', 9, $4, $4, $4, $4,
                 case when $3 = 'SENT' then $4 end
             from contacts where email = 'p' || $1 || '@x.example' returning id
         )
         insert into communication_events (communication_log_id, at, kind)
         select id, $4, case when $3 in ('SENT', 'UNCONFIRMED') then $3 else 'QUEUED' end from made
         returning communication_log_id",
    )
    .bind(n)
    .bind(m)
    .bind(status)
    .bind(at)
    .fetch_one(&app.state.db)
    .await
    .unwrap()
}

/// A report of `kind` about the message number `n`, called `id`.
fn report(kind: Kind, n: i64, id: &str) -> Report {
    Report::new(kind, id).about([format!("<m{n}@lluviasur.example>").as_str()])
}

fn bounce(n: i64, id: &str, words: &str) -> Report {
    report(Kind::SoftBounce, n, id).said(None, Some(words)).bounced(None)
}

async fn tell(app: &TestApp, source: Source, reports: &[Report]) -> u64 {
    let mut db = app.state.db.acquire().await.unwrap();
    inbound::record(&mut db, app.now(), source, reports).await.unwrap()
}

async fn settle(app: &TestApp) {
    while inbound::run_once(&app.state.db, app.now()).await.unwrap() != Pass::Idle {}
}

async fn drip(app: &TestApp) -> drip::RunReport {
    drip_of(app, Some(1000)).await
}

async fn drip_of(app: &TestApp, batch_size: Option<u32>) -> drip::RunReport {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let options = Options { batch_size, ..Options::new(Channel::Email, Trigger::CommandLine) };
    drip::run_once(&engine, &options).await.unwrap()
}

async fn status_of(app: &TestApp, message: i64) -> String {
    sqlx::query_scalar("select status from communication_logs where id = $1")
        .bind(message)
        .fetch_one(&app.state.db)
        .await
        .unwrap()
}

async fn text(db: &PgPool, sql: &'static str) -> String {
    sqlx::query_scalar::<_, Option<String>>(sql).fetch_one(db).await.unwrap().unwrap_or_default()
}

/// Who is excluded: address, what it covers, why.
async fn excluded(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "select communication_type || ' ' || destination || ' ' || scope || ' ' || reason from suppressions
         where lifted_at is null order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

/// The kinds of the story of a message, in order.
async fn story(app: &TestApp, message: i64) -> Vec<String> {
    sqlx::query_scalar("select kind from communication_events where communication_log_id = $1 order by id")
        .bind(message)
        .fetch_all(&app.state.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_dead_address_is_excluded_and_its_message_bounced(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENT").await;
    let words = "smtp; 550 5.1.1 <p1@x.example>: no such user";
    assert_eq!(tell(&app, Source::Mailbox, &[bounce(1, "a", words)]).await, 1);
    assert_eq!(tell(&app, Source::Mailbox, &[bounce(1, "a", words)]).await, 0, "told twice");
    settle(&app).await;
    assert_eq!(status_of(&app, id).await, "BOUNCED");
    assert_eq!(excluded(&app).await, ["EMAIL p1@x.example ALL HARD_BOUNCE"]);
    assert_eq!(story(&app, id).await, ["SENT", "BOUNCED"]);
    let page = app.get(&format!("/messages/{id}")).await.text();
    assert!(page.contains("Rebotó") && page.contains("no such user"), "{page}");
    assert!(!page.contains("<p1@x.example>"), "no address in the server's words");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_fault_of_ours_excludes_nobody_and_pauses_the_campaign(db: PgPool) {
    let app = app(db);
    let campaign = crate::campaigns::seeded(&app).await;
    crate::campaigns::people(&app, "sur", 60).await;
    crate::campaigns::start(&app, campaign).await.unwrap();
    drip(&app).await;
    app.state.clock.advance(TimeDelta::hours(1));
    let ids: Vec<String> =
        sqlx::query_scalar("select external_id from communication_logs where status = 'SENT' order by id")
            .fetch_all(&app.state.db)
            .await
            .unwrap();
    assert_eq!(ids.len(), 50, "ten are left for tomorrow");
    let returned = |id: &str, about: &str| {
        Report::new(Kind::SoftBounce, id)
            .about([about])
            .said(Some("5.7.26"), Some("550 5.7.26 unauthenticated sender"))
            .bounced(None)
    };
    tell(&app, Source::Mailbox, &[returned("a", &ids[0])]).await;
    drip(&app).await;
    assert_eq!(excluded(&app).await, Vec::<String>::new());
    let paused = crate::campaigns::get(&app, campaign).await;
    assert_eq!(paused.status.code(), "PAUSED");
    assert!(paused.pause_reason.unwrap().contains("5.7.26"));
    // What comes late of before is no news about what was mended since.
    let mut tx = app.state.db.begin().await.unwrap();
    status::resume(&mut tx, app.now(), &Actor::CommandLine, campaign).await.unwrap();
    tx.commit().await.unwrap();
    tell(&app, Source::Mailbox, &[returned("b", &ids[1])]).await;
    settle(&app).await;
    assert_eq!(refused::run_once(&app.state.db, app.now()).await.unwrap(), refused::Stopped::default());
    assert_eq!(crate::campaigns::get(&app, campaign).await.status.code(), "RUNNING");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn news_of_a_message_in_doubt_decides_it(db: PgPool) {
    let app = app(db);
    let (arrived, returned) = (message(&app, 1, "UNCONFIRMED").await, message(&app, 2, "UNCONFIRMED").await);
    tell(&app, Source::SendGrid, &[report(Kind::Delivered, 1, "a"), bounce(2, "b", "550 5.1.1 unknown")])
        .await;
    settle(&app).await;
    assert_eq!(status_of(&app, arrived).await, "DELIVERED");
    assert_eq!(status_of(&app, returned).await, "BOUNCED");
    assert_eq!(story(&app, arrived).await, ["UNCONFIRMED", "CONFIRMED", "DELIVERED"]);
    let sealed: i64 = sqlx::query_scalar(
        "select count(*) from communication_events where kind = 'CONFIRMED' and facts is not null",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(sealed, 2, "what left is proven as it left");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn news_that_outruns_the_writing_down_waits_for_it(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENDING").await;
    tell(&app, Source::Ses, &[report(Kind::Delivered, 1, "a")]).await;
    settle(&app).await;
    assert_eq!(
        (
            status_of(&app, id).await.as_str(),
            text(&app.state.db, "select status from inbound_events").await.as_str()
        ),
        ("SENDING", "NEW")
    );
    execute(&app, "update communication_logs set status = 'SENT', sent_at = claimed_at").await;
    app.state.clock.advance(TimeDelta::seconds(11));
    settle(&app).await;
    assert_eq!(status_of(&app, id).await, "DELIVERED");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_event_that_fails_does_not_hold_up_the_others_and_is_not_lost(db: PgPool) {
    let app = app(db);
    let (first, second) = (message(&app, 1, "SENT").await, message(&app, 2, "SENT").await);
    sqlx::raw_sql(
        "create function stumble() returns trigger language plpgsql as $$ begin raise exception 'as it must'; end $$;
         create trigger stumble before insert on suppressions for each row execute function stumble()",
    )
    .execute(&app.state.db)
    .await
    .unwrap();
    tell(&app, Source::Mailbox, &[bounce(1, "a", "550 5.1.1 unknown"), report(Kind::Delivered, 2, "b")])
        .await;
    settle(&app).await;
    assert_eq!(
        (status_of(&app, first).await.as_str(), status_of(&app, second).await.as_str()),
        ("SENT", "DELIVERED")
    );
    execute(&app, "drop trigger stumble on suppressions").await;
    settle(&app).await;
    assert_eq!(status_of(&app, first).await, "SENT", "not at once");
    app.state.clock.advance(TimeDelta::minutes(2));
    settle(&app).await;
    assert_eq!(status_of(&app, first).await, "BOUNCED");
    assert_eq!(excluded(&app).await.len(), 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn mailboxes_that_are_full_or_closed_are_left_alone_in_time(db: PgPool) {
    let app = app(db);
    let start = app.now() - TimeDelta::days(40);
    let weak = |m: i64, day: i64, words: &str| {
        let mut it = bounce(m, &format!("w{m}"), words);
        it.occurred_at = Some(start + TimeDelta::days(day) + TimeDelta::hours(1));
        it
    };
    // Five of them, told in a muddle; four days apart they are sixteen.
    for (place, day) in [8, 0, 16, 4].into_iter().enumerate() {
        let m = 10 + i64::try_from(place).unwrap();
        message_at(&app, 1, m, "SENT", start + TimeDelta::days(day)).await;
        tell(&app, Source::Mailbox, &[weak(m, day, "552 5.2.2 mailbox full")]).await;
        settle(&app).await;
    }
    assert_eq!(excluded(&app).await, Vec::<String>::new(), "four");
    message_at(&app, 1, 14, "SENT", start + TimeDelta::days(12)).await;
    tell(&app, Source::Mailbox, &[weak(14, 12, "452 4.2.2 over quota")]).await;
    settle(&app).await;
    assert_eq!(excluded(&app).await, ["EMAIL p1@x.example ALL HARD_BOUNCE"]);
    // Another five within a week are a busy week.
    for m in 20..25 {
        message_at(&app, 2, m, "SENT", start + TimeDelta::days(m - 20)).await;
        tell(&app, Source::Mailbox, &[weak(m, m - 20, "552 5.2.2 mailbox full")]).await;
    }
    settle(&app).await;
    assert_eq!(excluded(&app).await.len(), 1);
    for (m, expected) in [(30, 1), (31, 2)] {
        message_at(&app, 3, m, "SENT", start).await;
        let mut twice = weak(m, 1, "550 5.2.1 disabled");
        tell(&app, Source::Mailbox, std::slice::from_ref(&twice)).await;
        twice.event_id.push('x');
        tell(&app, Source::SendGrid, &[twice]).await;
        settle(&app).await;
        assert_eq!(excluded(&app).await.len(), expected, "one message told twice is one");
    }
}
