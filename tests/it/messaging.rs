//! The queue, the gate and the drain on a real database.

use crate::support::mailbox::Mailbox;
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    access::Actor,
    channels::{Channel, SendError},
    clock::Clock,
    config::Config,
    db::MIGRATIONS,
    ids::{CampaignId, ContactId, MessageId, TemplateId},
    messaging::{
        drain::{self, Engine, Options, Report, Run},
        gate::{self, Asked},
        kinds::{BlockReason, DeferReason, MessageType, Scope, SuppressionReason},
        links,
        outbox::{self, Draft, Enqueued, Origin, Verdict},
        runs::Trigger,
        suppression::{self, Entry},
    },
};
use sqlx::{Connection as _, PgConnection, PgPool};
use std::{collections::BTreeMap, sync::Arc};

/// A Monday, 12:00 in Santiago.
const NOON: &str = "2026-11-23T15:00:00Z";

pub(crate) struct World {
    pub(crate) db: PgPool,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Mailbox,
    config: Arc<Config>,
}

impl World {
    pub(crate) fn new(db: PgPool) -> World {
        let config = Config::read(|name| match name {
            "BUSINESS_NAME" => Some("Sur".into()),
            "BUSINESS_ADDRESS" => Some("Urmeneta 305, Puerto Montt".into()),
            "BUSINESS_EMAIL" => Some("hola@sur.example".into()),
            "EMAIL_DAILY_CAP" => Some("0".into()),
            _ => None,
        });
        let clock = Clock::fixed(NOON.parse().unwrap());
        World { db, clock, mailbox: Mailbox::default(), config: Arc::new(config.unwrap()) }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine {
            db: self.db.clone(),
            senders: self.mailbox.senders(),
            config: self.config.clone(),
            clock: self.clock.clone(),
        }
    }

    pub(crate) async fn drip(&self) -> Report {
        match drain::run(&self.engine(), &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap() {
            Run::Finished(report) => report,
            Run::AlreadyRunning => panic!("another run lives"),
        }
    }

    /// `n` people with consent, called p1, p2, ...
    pub(crate) async fn people(&self, n: i64) -> Vec<ContactId> {
        sqlx::query_scalar::<_, i64>(
            "insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
             select 'P' || i, 'p' || i || '@x.example', 'CONSENT', 'p' || i, $2, $2 from generate_series(1, $1) i
             returning id",
        )
        .bind(n)
        .bind(self.now())
        .fetch_all(&self.db)
        .await
        .unwrap()
        .into_iter()
        .map(ContactId)
        .collect()
    }

    /// A campaign under way, without messages.
    pub(crate) async fn campaign(&self) -> CampaignId {
        let id = sqlx::query_scalar::<_, i64>(
            "with t as (
                 insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
                 select 'EMAIL', 'test:' || count(*), 1, 'Hola {{ first_name }}', 'Cuerpo para {{ first_name }}', 'TEXT',
                        'Baja: {{ unsubscribe_url }}', $1
                 from message_templates
                 returning id
             )
             insert into campaigns (name, status, audience, template_id, batch_size, enqueue_done, created_at, updated_at)
             select 'C', 'RUNNING', '{}', id, 50, true, $1, $1 from t returning id",
        )
        .bind(self.now())
        .fetch_one(&self.db)
        .await
        .unwrap();
        CampaignId(id)
    }

    pub(crate) async fn enqueue(&self, campaign: CampaignId, people: &[ContactId]) -> Enqueued {
        let template: i64 = sqlx::query_scalar("select template_id from campaigns where id = $1")
            .bind(campaign.0)
            .fetch_one(&self.db)
            .await
            .unwrap();
        let draft = Draft {
            origin: Origin::Campaign(campaign),
            channel: Channel::Email,
            message_type: MessageType::Promocional,
            template: TemplateId(template),
            required: &["first_name"],
            scheduled_at: self.now(),
        };
        let mut tx = self.db.begin().await.unwrap();
        let done = outbox::enqueue(&mut tx, self.now(), &Actor::System, &draft, people).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    async fn suppress(&self, address: &str, scope: Scope) {
        let mut tx = self.db.begin().await.unwrap();
        let entry = Entry {
            channel: Channel::Email,
            destination: address,
            scope,
            reason: SuppressionReason::Manual,
            detail: None,
            message: None,
        };
        suppression::suppress(&mut tx, self.now(), &Actor::System, &entry).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Messages by status.
    pub(crate) async fn statuses(&self) -> BTreeMap<String, i64> {
        sqlx::query_as::<_, (String, i64)>("select status, count(*) from communication_logs group by status")
            .fetch_all(&self.db)
            .await
            .unwrap()
            .into_iter()
            .collect()
    }

    pub(crate) async fn events_of(&self, address: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select kind from communication_events e join communication_logs l on l.id = e.communication_log_id
             where l.destination = $1 order by e.id",
        )
        .bind(address)
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.db).await.unwrap();
    }

    /// Messages that a run has set apart.
    pub(crate) async fn reserved(&self) -> i64 {
        sqlx::query_scalar("select count(*) from communication_reservations")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }
}

pub(crate) fn counted(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(status, n)| ((*status).to_owned(), *n)).collect()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_goes_from_the_queue_to_the_recipient_once_and_tells_its_story(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    assert_eq!(world.enqueue(campaign, &people).await.queued, 1);
    assert_eq!(world.enqueue(campaign, &people).await, Enqueued::default());
    let report = world.drip().await;
    assert_eq!((report.counts.claimed, report.counts.sent), (1, 1));
    assert_eq!(world.drip().await.counts.sent, 0);
    let taken = world.mailbox.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].subject, "Hola P1");
    assert!(taken[0].plain.contains("http://127.0.0.1:8000/baja/"));
    assert_eq!(taken[0].from_email, "hola@sur.example");
    assert_eq!(world.events_of("p1@x.example").await, ["QUEUED", "ALLOWED", "SENT"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_may_not_get_it_has_a_row_with_the_reason(db: PgPool) {
    let world = World::new(db);
    let people = world.people(5).await;
    world.execute("update contacts set email_basis = null where email = 'p1@x.example'").await;
    world
        .execute("update contacts set email = null, phone = '+56987654321' where email = 'p2@x.example'")
        .await;
    world.execute("update contacts set first_name = ' ' where email = 'p3@x.example'").await;
    world.suppress("p4@x.example", Scope::Promotional).await;
    let campaign = world.campaign().await;
    let done = world.enqueue(campaign, &people).await;
    assert_eq!(done.queued, 1);
    let reasons: Vec<_> = done.blocked.into_iter().collect();
    assert_eq!(
        reasons,
        [
            (BlockReason::NoAddress, 1),
            (BlockReason::Suppressed, 1),
            (BlockReason::NoConsent, 1),
            (BlockReason::MissingVariable, 1)
        ]
    );
    world.drip().await;
    assert_eq!(world.mailbox.addresses(), ["p5@x.example"]);
    assert_eq!(world.statuses().await, counted(&[("BLOCKED", 4), ("SENT", 1)]));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_opt_out_after_queueing_stops_the_message_at_the_gate(db: PgPool) {
    let world = World::new(db);
    let people = world.people(2).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.suppress("p1@x.example", Scope::Promotional).await;
    assert_eq!(world.drip().await.counts.blocked, 1);
    assert_eq!(world.mailbox.addresses(), ["p2@x.example"]);
    assert_eq!(world.events_of("p1@x.example").await, ["QUEUED", "BLOCKED"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nothing_leaves_outside_the_window_and_it_says_until_when(db: PgPool) {
    let world = World::new(db);
    let people = world.people(3).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    // Saturday 28 November 2026.
    world.clock.set("2026-11-28T15:00:00Z".parse().unwrap());
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.deferred), (0, 3));
    let waits: Vec<(String, DateTime<Utc>)> =
        sqlx::query_as("select defer_reason, next_attempt_at from communication_logs")
            .fetch_all(&world.db)
            .await
            .unwrap();
    let monday: DateTime<Utc> = "2026-11-30T12:00:00Z".parse().unwrap();
    assert!(
        waits.iter().all(|(why, until)| why == DeferReason::OutsideWindow.code() && *until == monday),
        "{waits:?}"
    );
    assert_eq!(world.drip().await.counts.claimed, 0);
    world.clock.set(monday);
    assert_eq!(world.drip().await.counts.sent, 3);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn one_a_week_holds_across_campaigns(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let (first, second) = (world.campaign().await, world.campaign().await);
    world.enqueue(first, &people).await;
    world.enqueue(second, &people).await;
    // Both are due in the same run: one leaves, the other waits a week.
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.deferred), (1, 1));
    world.clock.set("2026-11-29T15:00:00Z".parse().unwrap());
    assert_eq!(world.drip().await.counts.sent, 0);
    world.clock.set("2026-11-30T12:00:00Z".parse().unwrap());
    assert_eq!(world.drip().await.counts.sent, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn batch_and_daily_caps_bound_a_run(db: PgPool) {
    let world = World::new(db);
    let people = world.people(20).await;
    let campaign = world.campaign().await;
    world.execute("update campaigns set batch_size = 8, daily_cap = 12 where name = 'C'").await;
    world.enqueue(campaign, &people).await;
    assert_eq!(world.drip().await.counts.sent, 8);
    // The last four of the day leave, and the rest is told when it may.
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.deferred), (4, 8));
    assert_eq!(world.drip().await.counts.claimed, 0);
    world.clock.advance(TimeDelta::hours(21));
    assert_eq!(world.drip().await.counts.sent, 8);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_temporary_answer_waits_and_a_permanent_one_fails_and_suppresses_the_dead(db: PgPool) {
    let world = World::new(db);
    let people = world.people(4).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let answer = |text: &str| text.to_owned();
    world.mailbox.answer_for("p1@x.example", SendError::Temporary { answer: answer("451 later") });
    world
        .mailbox
        .answer_for("p2@x.example", SendError::Recipient { answer: answer("550 5.1.1"), dead: true });
    world
        .mailbox
        .answer_for("p3@x.example", SendError::Recipient { answer: answer("552 full"), dead: false });
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.failed, report.counts.deferred), (1, 2, 1));
    assert_eq!(world.statuses().await, counted(&[("FAILED", 2), ("PENDING", 1), ("SENT", 1)]));
    let dead: Vec<(String, String)> =
        sqlx::query_as("select destination, scope from suppressions").fetch_all(&world.db).await.unwrap();
    assert_eq!(dead, [("p2@x.example".to_owned(), "ALL".to_owned())]);
    let wait: DateTime<Utc> =
        sqlx::query_scalar("select next_attempt_at from communication_logs where status = 'PENDING'")
            .fetch_one(&world.db)
            .await
            .unwrap();
    let minutes = (wait - world.now()).num_minutes();
    assert!((4..=6).contains(&minutes), "{minutes}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_provider_out_of_reach_ends_the_run_early_and_leaves_the_rest_alone(db: PgPool) {
    let world = World::new(db);
    let people = world.people(20).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for _ in 0..20 {
        world.mailbox.answer(SendError::Unavailable { answer: "no se pudo conectar".to_owned() });
    }
    let report = world.drip().await;
    assert!(report.unreachable.is_some());
    assert!(report.counts.deferred <= 5, "{report:?}");
    assert_eq!(world.statuses().await, counted(&[("PENDING", 20)]));
    // A line that is down for days uses up nobody's tries.
    let tries: i64 = sqlx::query_scalar("select sum(attempts) from communication_logs")
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert_eq!(tries, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_few_greylisted_recipients_do_not_end_a_run(db: PgPool) {
    let world = World::new(db);
    let people = world.people(20).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for _ in 0..6 {
        world.mailbox.answer(SendError::Temporary { answer: "450 4.2.0 Greylisted".to_owned() });
    }
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.deferred, report.unreachable), (14, 6, None));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_refusal_of_us_is_told_and_touches_no_recipient(db: PgPool) {
    let world = World::new(db);
    let people = world.people(10).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for _ in 0..10 {
        world.mailbox.answer(SendError::Sender { answer: "535 5.7.8".to_owned() });
    }
    let report = world.drip().await;
    assert_eq!(
        report.trouble.first().map(|(id, _)| *id),
        Some(llovizna::messaging::streams::Sendout::Campaign(campaign))
    );
    assert_eq!(world.statuses().await, counted(&[("PENDING", 10)]));
    let tries: i64 = sqlx::query_scalar("select coalesce(sum(attempts), 0) from communication_logs")
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert_eq!(tries, 0);
    let suppressed: i64 =
        sqlx::query_scalar("select count(*) from suppressions").fetch_one(&world.db).await.unwrap();
    assert_eq!(suppressed, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_line_cut_after_the_message_leaves_it_unconfirmed_until_a_person_decides(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.mailbox.answer(SendError::Uncertain { answer: "se cortó".to_owned() });
    assert_eq!(world.drip().await.counts.unconfirmed, 1);
    assert_eq!(world.drip().await.counts.claimed, 0);
    let id: i64 = sqlx::query_scalar("select id from communication_logs").fetch_one(&world.db).await.unwrap();
    let mut tx = world.db.begin().await.unwrap();
    outbox::settle(&mut tx, world.now(), &Actor::CommandLine, MessageId(id), Verdict::Again).await.unwrap();
    assert!(
        outbox::settle(&mut tx, world.now(), &Actor::CommandLine, MessageId(id), Verdict::Left)
            .await
            .is_err()
    );
    tx.commit().await.unwrap();
    assert_eq!(world.drip().await.counts.sent, 1);
    assert_eq!(
        world.events_of("p1@x.example").await,
        ["QUEUED", "ALLOWED", "UNCONFIRMED", "REQUEUED", "ALLOWED", "SENT"]
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_run_that_was_cut_off_leaves_what_it_was_handing_over_unconfirmed(db: PgPool) {
    let world = World::new(db);
    let people = world.people(3).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    // As a killed process leaves it: a record without its lock, one message begun, one set apart.
    world
        .execute(
            "insert into drip_runs (trigger, communication_type, started_at) values ('SCHEDULER', 'EMAIL', '2026-11-23');
             ",
        )
        .await;
    world
        .execute(
            "update communication_logs set status = 'SENDING', drip_run_id = (select max(id) from drip_runs),
                 claimed_at = '2026-11-23 14:00Z'
             where destination = 'p1@x.example'",
        )
        .await;
    world
        .execute(
            "insert into communication_reservations
             select l.id, r.id, r.started_at from communication_logs l, drip_runs r where destination = 'p2@x.example'",
        )
        .await;
    world.drip().await;
    assert_eq!(world.mailbox.addresses(), ["p2@x.example", "p3@x.example"]);
    assert_eq!(world.reserved().await, 0);
    assert_eq!(world.statuses().await, counted(&[("SENT", 2), ("UNCONFIRMED", 1)]));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_living_run_has_set_apart_no_other_takes_and_caps_count_it(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let (first, second) = (world.campaign().await, world.campaign().await);
    world.enqueue(first, &people).await;
    world.enqueue(second, &people).await;
    let run = llovizna::messaging::runs::start(&world.db, world.now(), Channel::Email, Trigger::Panel, false)
        .await
        .unwrap()
        .unwrap();
    sqlx::query("insert into communication_reservations select min(id), $1, $2 from communication_logs")
        .bind(run.id.0)
        .bind(world.now())
        .execute(&world.db)
        .await
        .unwrap();
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.deferred), (0, 1), "the cap is one a week");
    let mut tx = world.db.begin().await.unwrap();
    let asked = Asked {
        contact: Some(people[0]),
        destination: None,
        kind: MessageType::Promocional,
        is_test: false,
        asked_for: None,
    };
    let facts = gate::facts(&mut tx, Channel::Email, &[asked], Some(world.now() - TimeDelta::days(7))).await;
    assert_eq!(facts.unwrap()[0].history.len(), 1);
    drop(tx);
    let ending = llovizna::messaging::runs::Ending::Failed;
    run.end(&world.db, world.now(), &llovizna::messaging::runs::Counts::default(), ending, None)
        .await
        .unwrap();
    assert_eq!(world.reserved().await, 0);
    assert_eq!(world.drip().await.counts.sent, 1, "what was not begun is free again");
    assert_eq!(world.reserved().await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_message_of_a_run_is_looked_up_by_its_id_though_nothing_tells_how_many_wait(db: PgPool) {
    let world = World::new(db);
    world.execute("alter table communication_logs set (autovacuum_enabled = false)").await;
    let people = world.people(15_000).await;
    let campaign = world.campaign().await;
    // Statistics are of a time when nobody waited.
    world.enqueue(campaign, &people[..300]).await;
    world.execute("update campaigns set batch_size = 300").await;
    assert_eq!(world.drip().await.counts.sent, 300);
    world.execute("analyze communication_logs").await;
    world.enqueue(campaign, &people).await;
    world.execute("update campaigns set batch_size = 1000").await;
    assert_eq!(world.drip().await.counts.sent, 1000);
    // Connections tell what they read when they end.
    let mut alone = PgConnection::connect_with(&world.db.connect_options()).await.unwrap();
    world.db.close().await;
    let rows: i64 = sqlx::query_scalar(
        "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'communication_logs'",
    )
    .fetch_one(&mut alone)
    .await
    .unwrap();
    // A few times for each page all are read in one go, which is no more than a thousand look-ups. Were all that waits
    // read for each few messages that begin, it would be 350 000.
    assert!(rows <= 200_000, "{rows} rows looked at for 1000 messages of 15 000");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_runs_at_once_are_one(db: PgPool) {
    let world = World::new(db);
    let people = world.people(40).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let (engine, options) = (world.engine(), Options::new(Channel::Email, Trigger::Http));
    let (a, b) = tokio::join!(drain::run(&engine, &options), drain::run(&engine, &options));
    let finished = [a.unwrap(), b.unwrap()].into_iter().filter(|it| matches!(it, Run::Finished(_))).count();
    assert!(finished >= 1);
    world.drip().await;
    let addresses = world.mailbox.addresses();
    let mut once = addresses.clone();
    once.dedup();
    assert_eq!((addresses.len(), once.len()), (40, 40));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_dry_run_decides_and_changes_nothing(db: PgPool) {
    let world = World::new(db);
    let people = world.people(5).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let options = Options { dry_run: true, ..Options::new(Channel::Email, Trigger::CommandLine) };
    let Run::Finished(report) = drain::run(&world.engine(), &options).await.unwrap() else { panic!() };
    assert_eq!((report.counts.claimed, report.counts.sent), (5, 0));
    assert_eq!(world.statuses().await, counted(&[("PENDING", 5)]));
    let runs: i64 = sqlx::query_scalar("select count(*) from drip_runs").fetch_one(&world.db).await.unwrap();
    assert_eq!(runs, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_paused_campaign_sends_nothing(db: PgPool) {
    let world = World::new(db);
    let people = world.people(2).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.execute("update campaigns set status = 'PAUSED' where name = 'C'").await;
    assert_eq!(world.drip().await.counts.claimed, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_corrected_address_is_followed(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.execute("update contacts set email = 'nueva@x.example' where email = 'p1@x.example'").await;
    world.drip().await;
    assert_eq!(world.mailbox.addresses(), ["nueva@x.example"]);
    let kept: String =
        sqlx::query_scalar("select destination from communication_logs").fetch_one(&world.db).await.unwrap();
    assert_eq!(kept, "nueva@x.example");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_database_refuses_to_forget_or_to_go_backwards(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.drip().await;
    for sql in [
        "delete from communication_logs",
        "truncate communication_logs cascade",
        "update communication_logs set status = 'PENDING'",
        "update communication_logs set destination = 'other@x.example'",
        "update communication_logs set sent_at = sent_at - interval '1 day'",
        "delete from communication_events",
        "update communication_events set answer = 'nothing happened'",
        "truncate communication_events",
    ] {
        assert!(sqlx::query(sql).execute(&world.db).await.is_err(), "{sql}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn unsubscribing_by_the_link_holds_for_the_address(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.drip().await;
    let url = world.mailbox.taken()[0].unsubscribe_url.clone().unwrap();
    let token = links::decode(url.rsplit('/').next().unwrap()).unwrap();
    for _ in 0..2 {
        let mut tx = world.db.begin().await.unwrap();
        let holder = links::holder(&mut tx, token).await.unwrap();
        links::unsubscribe(&mut tx, world.now(), &holder).await.unwrap();
        tx.commit().await.unwrap();
    }
    let basis: Option<String> =
        sqlx::query_scalar("select email_basis from contacts").fetch_one(&world.db).await.unwrap();
    assert_eq!(basis, None);
    let ledger: i64 = sqlx::query_scalar("select count(*) from consent_events where basis = 'WITHDRAWN'")
        .fetch_one(&world.db)
        .await
        .unwrap();
    assert_eq!(ledger, 1);
    // Even with a new basis, the list holds.
    world.execute("update contacts set email_basis = 'CONSENT'").await;
    let next = world.campaign().await;
    world.clock.advance(TimeDelta::days(14));
    assert_eq!(world.enqueue(next, &people).await.blocked.get(&BlockReason::Suppressed), Some(&1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_people_who_exchange_addresses_do_not_stop_the_others(db: PgPool) {
    let world = World::new(db);
    let people = world.people(3).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for sql in [
        "update contacts set email = 'aside@x.example' where email = 'p1@x.example'",
        "update contacts set email = 'p1@x.example' where email = 'p2@x.example'",
        "update contacts set email = 'p2@x.example' where email = 'aside@x.example'",
    ] {
        world.execute(sql).await;
    }
    let report = world.drip().await;
    assert_eq!((report.counts.sent, report.counts.blocked), (2, 1));
    let mut once = world.mailbox.addresses();
    once.dedup();
    assert_eq!(once.len(), 2);
    assert!(once.contains(&"p3@x.example".to_owned()));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_no_of_the_persons_own_outlives_the_staffs_entry(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.drip().await;
    world.suppress("p1@x.example", Scope::Promotional).await;
    let url = world.mailbox.taken()[0].unsubscribe_url.clone().unwrap();
    let token = links::decode(url.rsplit('/').next().unwrap()).unwrap();
    let mut tx = world.db.begin().await.unwrap();
    let holder = links::holder(&mut tx, token).await.unwrap();
    assert!(!holder.unsubscribed, "the staff's entry is not the person's no");
    links::unsubscribe(&mut tx, world.now(), &holder).await.unwrap();
    let manual: i64 = sqlx::query_scalar("select id from suppressions where reason = 'MANUAL'")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    suppression::lift(&mut tx, world.now(), &Actor::CommandLine, manual).await.unwrap();
    tx.commit().await.unwrap();
    world.execute("update contacts set email_basis = 'CONSENT'").await;
    let next = world.campaign().await;
    assert_eq!(world.enqueue(next, &people).await.blocked.get(&BlockReason::Suppressed), Some(&1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_an_ended_run_left_half_done_is_unconfirmed(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    let run = llovizna::messaging::runs::start(&world.db, world.now(), Channel::Email, Trigger::Http, true)
        .await
        .unwrap()
        .unwrap();
    sqlx::query("update communication_logs set status = 'SENDING', drip_run_id = $1")
        .bind(run.id.0)
        .execute(&world.db)
        .await
        .unwrap();
    let ending = llovizna::messaging::runs::Ending::Failed;
    run.end(&world.db, world.now(), &llovizna::messaging::runs::Counts::default(), ending, None)
        .await
        .unwrap();
    assert_eq!(world.statuses().await, counted(&[("UNCONFIRMED", 1)]));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_people_got_is_looked_up_by_person_though_the_plan_is_from_before_the_first_message(db: PgPool) {
    let world = World::new(db);
    world.execute("alter table communication_logs set (autovacuum_enabled = false)").await;
    let people = world.people(1500).await;
    let asked: Vec<Asked> = people
        .iter()
        .map(|id| Asked {
            contact: Some(*id),
            destination: None,
            kind: MessageType::Promocional,
            is_test: false,
            asked_for: None,
        })
        .collect();
    let since = Some(world.now() - TimeDelta::days(7));
    // As a connection that lives on comes to keep a plan.
    let mut old = world.db.acquire().await.unwrap();
    sqlx::query("set plan_cache_mode = force_generic_plan").execute(&mut *old).await.unwrap();
    gate::facts(&mut old, Channel::Email, &asked, since).await.unwrap();

    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.execute("update campaigns set batch_size = 1000").await;
    world.drip().await;
    assert_eq!(world.statuses().await, counted(&[("PENDING", 500), ("SENT", 1000)]));
    let mut tx = old.begin().await.unwrap();
    let facts = gate::facts(&mut tx, Channel::Email, &asked, since).await.unwrap();
    assert_eq!(facts.iter().filter(|it| it.history.len() == 1).count(), 1000);
    let steps: i64 = sqlx::query_scalar(
        "select sum(seq_tup_read + idx_tup_fetch + idx_scan)::bigint from pg_stat_xact_user_tables
         where relname in ('contacts', 'communication_logs')",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert!(steps <= 20 * 1500, "{steps} rows looked at for the history of 1500 people");
}
