//! How fast a run goes, and what is kept of one that was cut off.

use crate::messaging::World;
use chrono::TimeDelta;
use llovizna::{
    channels::{Accepted, Channel, Checking, Outgoing, SendError, Sender, Sending},
    db::MIGRATIONS,
    messaging::{
        drain::{self, Engine, Options, Report, Run},
        runs::Trigger,
    },
    settings::{self, EmailChannel},
};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

async fn drip_within(world: &World, time_box: Duration) -> Report {
    let options = Options { time_box: Some(time_box), ..Options::new(Channel::Email, Trigger::CommandLine) };
    match drain::run(&world.engine(), &options).await.unwrap() {
        Run::Finished(report) => report,
        Run::AlreadyRunning => panic!("another run lives"),
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_goes_slowly_holds_up_no_other_campaign_of_the_run(db: PgPool) {
    let world = World::new(db);
    let people = world.people(8).await;
    let slow = world.campaign().await;
    world.execute("update campaigns set spacing_seconds = 1").await;
    let quick = world.campaign().await;
    world.enqueue(slow, &people[..4]).await;
    world.enqueue(quick, &people[4..]).await;
    let report = drip_within(&world, Duration::from_millis(1500)).await;
    assert_eq!((report.counts.claimed, report.counts.sent), (6, 6), "two of the slow and all of the others");
    let taken: Vec<String> = world.mailbox.taken().into_iter().map(|it| it.to_email).collect();
    assert_eq!(taken.last().map(String::as_str), Some("p2@x.example"), "{taken:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_slow_campaign_keeps_its_distance_and_gives_back_what_has_no_turn(db: PgPool) {
    let world = World::new(db);
    let people = world.people(4).await;
    let slow = world.campaign().await;
    world.execute("update campaigns set spacing_seconds = 1").await;
    world.enqueue(slow, &people).await;
    let began = Instant::now();
    let report = drip_within(&world, Duration::from_millis(1500)).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "a second lies between the two");
    assert_eq!((report.counts.claimed, report.counts.sent), (2, 2));
    assert_eq!(world.reserved().await, 0);
}

/// Once the first message is handed over, the other's quiet hours begin.
struct Silenced {
    mailbox: crate::support::mailbox::Mailbox,
    db: PgPool,
}

impl Sender for Silenced {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            sqlx::query("update contacts set quiet_from = '11:00', quiet_until = '13:00' where email <> $1")
                .bind(match message {
                    Outgoing::Email(email) => &email.to_email,
                })
                .execute(&self.db)
                .await
                .unwrap();
            self.mailbox.send(message).await
        })
    }

    fn lanes(&self) -> usize {
        1
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        self.mailbox.check()
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn quiet_hours_are_asked_again_when_a_message_is_let_go(db: PgPool) {
    let world = World::new(db);
    let people = world.people(2).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let sender: Arc<dyn Sender> = Arc::new(Silenced { mailbox: world.mailbox.clone(), db: world.db.clone() });
    let engine = Engine { senders: Arc::new(HashMap::from([(Channel::Email, sender)])), ..world.engine() };
    let Run::Finished(report) =
        drain::run(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap()
    else {
        panic!("another run lives")
    };
    assert_eq!((report.counts.claimed, report.counts.sent), (2, 1));
    // The next run says why.
    assert_eq!(world.drip().await.counts.deferred, 1);
    let why: String =
        sqlx::query_scalar("select defer_reason from communication_logs where status = 'PENDING'")
            .fetch_one(&world.db)
            .await
            .unwrap();
    assert_eq!(why, "QUIET_HOURS");
}

/// Takes the first message; at the second the process is gone, and with it all connections to the database.
struct Killed {
    mailbox: crate::support::mailbox::Mailbox,
}

impl Sender for Killed {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            if self.mailbox.taken().is_empty() {
                return self.mailbox.send(message).await;
            }
            std::future::pending::<()>().await;
            Ok(Accepted { external_id: String::new(), answer: String::new() })
        })
    }

    fn lanes(&self) -> usize {
        1
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        self.mailbox.check()
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_run_had_done_until_it_was_cut_off_stands_in_its_row(db: PgPool) {
    let world = World::new(db);
    let people = world.people(4).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.execute("update contacts set email_basis = null where email = 'p4@x.example'").await;
    let sender: Arc<dyn Sender> = Arc::new(Killed { mailbox: world.mailbox.clone() });
    let engine = Engine { senders: Arc::new(HashMap::from([(Channel::Email, sender)])), ..world.engine() };
    let options = Options::new(Channel::Email, Trigger::Scheduler);
    let run = tokio::spawn(async move { drain::run(&engine, &options).await });
    // The first has left and is written down, the second is being handed over.
    let begun = "select count(*) from communication_logs where status = 'SENT'
                 having count(*) = 1 and (select count(*) from communication_logs where status = 'SENDING') = 1";
    while sqlx::query(begun).fetch_optional(&world.db).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    // Its locks are gone with its connection.
    while llovizna::messaging::runs::bury_the_dead(&world.db, world.now()).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let row: (String, i32, i32, i32, i32, i32) = sqlx::query_as(
        "select status, claimed, sent, deferred, blocked, unconfirmed from drip_runs order by id limit 1",
    )
    .fetch_one(&world.db)
    .await
    .unwrap();
    assert_eq!(row, ("INTERRUPTED".to_owned(), 4, 1, 0, 1, 1));
}

async fn per_run(world: &World) -> Option<i32> {
    sqlx::query_scalar("select per_run from channel_paces").fetch_optional(&world.db).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_channel_that_is_asked_to_go_slowly_does_and_recovers_by_itself(db: PgPool) {
    let world = World::new(db);
    let people = world.people(60).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for _ in 0..5 {
        let answer = "421 4.7.28 Our system has detected an unusual rate".to_owned();
        world.mailbox.answer(SendError::Temporary { answer });
    }
    let report = world.drip().await;
    assert!(report.unreachable.is_some(), "five in a row end the run");
    assert!(report.counts.sent <= 2, "{report:?}");
    assert_eq!(per_run(&world).await, Some(10));
    let mut runs = Vec::new();
    for _ in 0..2 {
        world.clock.advance(TimeDelta::minutes(10));
        runs.push((world.drip().await.counts.sent, per_run(&world).await));
    }
    assert_eq!(runs, [(10, Some(13)), (13, Some(17))]);
    world.mailbox.answer(SendError::Temporary { answer: "421 4.7.0 Busy".to_owned() });
    world.clock.advance(TimeDelta::minutes(10));
    world.drip().await;
    assert_eq!(per_run(&world).await, Some(17), "one answer is a mood, and no reason to go faster");
    world.clock.advance(TimeDelta::days(3));
    world.drip().await;
    assert_eq!(per_run(&world).await, None);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_people_asked_for_is_not_held_back_by_the_pace(db: PgPool) {
    let world = World::new(db);
    let people = world.people(6).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.execute("insert into channel_paces values ('EMAIL', 2, '421', '2026-11-23', '2026-11-23')").await;
    sqlx::query(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, template_id, status,
             dedupe_key, scheduled_at, next_attempt_at, created_at)
         select 'TRANSACTIONAL', contact_id, 'EMAIL', 'TRANSACTIONAL', destination, template_id, 'PENDING', 't' || id, $1, $1, $1
         from communication_logs order by id limit 4",
    )
    .bind(world.now())
    .execute(&world.db)
    .await
    .unwrap();
    assert_eq!(world.drip().await.counts.sent, 4, "they use up the pace of the run, and more");
    assert_eq!(world.drip().await.counts.sent, 3, "the next goes a little faster");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_channel_keeps_to_its_rate(db: PgPool) {
    let world = World::new(db);
    let people = world.people(6).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let channel = EmailChannel { daily_cap: None, per_minute: Some(60), ..EmailChannel::default() };
    let mut tx = world.db.begin().await.unwrap();
    settings::save(&mut tx, world.now(), None, &channel).await.unwrap();
    tx.commit().await.unwrap();
    let began = Instant::now();
    let report = drip_within(&world, Duration::from_millis(1500)).await;
    assert_eq!((report.counts.claimed, report.counts.sent), (2, 2));
    assert!(began.elapsed() >= Duration::from_secs(1), "one a second");
}
