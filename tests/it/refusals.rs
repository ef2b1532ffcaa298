//! What servers refuse and put off: whose fault it is, what it pauses, how long it is tried.

use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    drip::run,
    messaging::World,
    support::TestApp,
};
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{
    access::Actor,
    campaigns::{campaign::Status, refused, status},
    channels::{
        SendError,
        feedback::{Kind, Report, Source},
    },
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::inbound,
};
use sqlx::PgPool;

fn policy() -> SendError {
    SendError::Policy { answer: "550 5.7.1 Rechazado por política local".to_owned() }
}

async fn under_way(app: &TestApp, n: i64) -> CampaignId {
    people(app, "sur", n).await;
    let id = seeded(app).await;
    start(app, id).await.unwrap();
    id
}

async fn number(db: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn one_persons_rule_pauses_nothing_and_excludes_nobody(db: PgPool) {
    let app = app(db);
    let id = under_way(&app, 20).await;
    app.mailbox.refuse_next(policy());
    let report = run(&app).await;
    assert_eq!((report.status, report.sent, report.failed, report.paused.len()), ("ok", 19, 1, 0));
    assert_eq!(get(&app, id).await.status, Status::Finished);
    assert_eq!(number(&app.state.db, "select count(*) from suppressions").await, 0);
    let told = app.get("/inbound?kind=bounces").await.text();
    assert!(told.contains("Rechazado por política local") && told.contains("sus reglas"), "{told}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn several_peoples_rules_pause_the_campaign_and_say_how_to_go_on(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 20).await;
    execute(&app, "update contacts set email = 'otro' || id || '@y' || id || '.example' where id % 2 = 0")
        .await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    for _ in 0..3 {
        app.mailbox.refuse_next(policy());
    }
    let report = run(&app).await;
    assert_eq!((report.status, report.failed, report.paused.len()), ("failed", 3, 1));
    let it = get(&app, id).await;
    assert_eq!(it.status, Status::Paused);
    let why = it.pause_reason.unwrap();
    assert!(why.contains("3 personas distintas") && why.contains("política local"), "{why}");
    assert!(why.contains("reanuda la campaña") && why.contains("reintentar"), "{why}");
    // What was refused before it went on says nothing of how it stands now.
    app.state.clock.advance(TimeDelta::minutes(10));
    let mut tx = app.state.db.begin().await.unwrap();
    status::resume(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(run(&app).await.paused, []);
    assert_eq!(get(&app, id).await.status, Status::Finished);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_comes_back_by_a_rule_counts_with_what_is_refused_at_once(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 20).await;
    execute(&app, "update contacts set email = 'otro' || id || '@y' || id || '.example' where id % 2 = 0")
        .await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    execute(&app, "update campaigns set batch_size = 10 where status = 'RUNNING'").await;
    app.mailbox.refuse_next(policy());
    app.mailbox.refuse_next(policy());
    let report = run(&app).await;
    assert_eq!((report.failed, report.paused.len()), (2, 0));
    let sent: String =
        sqlx::query_scalar("select external_id from communication_logs where status = 'SENT' limit 1")
            .fetch_one(&app.state.db)
            .await
            .unwrap();
    let returned = |id: &str| {
        Report::new(Kind::SoftBounce, id)
            .about([sent.as_str()])
            .said(Some("5.7.1"), Some("550 5.7.1 Mensaje rechazado por contenido"))
            .bounced(None)
    };
    let tell = async |id: &str| {
        let mut db = app.state.db.acquire().await.unwrap();
        inbound::record(&mut db, app.now(), Source::Mailbox, &[returned(id)]).await.unwrap();
        while inbound::run_once(&app.state.db, app.now()).await.unwrap() != inbound::Pass::Idle {}
        refused::run_once(&app.state.db, app.now()).await.unwrap()
    };
    let stopped = tell("a").await;
    assert_eq!(stopped.campaigns.len(), 1, "the third");
    assert!(stopped.campaigns[0].reason.contains("3 personas"), "{:?}", stopped.campaigns);
    assert_eq!(get(&app, id).await.status, Status::Paused);
    assert_eq!(tell("b").await, refused::Stopped::default(), "told twice is one");
}

/// Campaigns of one message each to the same person, whose server answers `answer`.
async fn refused_times(world: &World, times: i64, answer: &str, days: i64) {
    let people = match number(&world.db, "select count(*) from contacts").await {
        0 => world.people(1).await,
        _ => vec![llovizna::ids::ContactId(number(&world.db, "select min(id) from contacts").await)],
    };
    world.mailbox.answer_for("p1@x.example", SendError::Recipient { answer: answer.to_owned(), dead: false });
    for _ in 0..times {
        let campaign = world.campaign().await;
        world.enqueue(campaign, &people).await;
        assert_eq!(world.drip().await.counts.failed, 1);
        world.clock.advance(TimeDelta::days(days));
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailbox_that_is_closed_for_two_messages_is_left_alone_also_when_it_says_so_at_once(db: PgPool) {
    let world = World::new(db);
    refused_times(&world, 1, "550 5.2.1 Mailbox disabled", 7).await;
    assert_eq!(number(&world.db, "select count(*) from suppressions").await, 0);
    refused_times(&world, 1, "550 5.2.1 Mailbox disabled", 7).await;
    let why: String =
        sqlx::query_scalar("select destination || ' ' || reason || ' ' || detail from suppressions")
            .fetch_one(&world.db)
            .await
            .unwrap();
    assert!(why.starts_with("p1@x.example HARD_BOUNCE La casilla está desactivada"), "{why}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailbox_that_stays_full_is_left_alone_also_when_it_says_so_at_once(db: PgPool) {
    let world = World::new(db);
    refused_times(&world, 4, "552 5.2.2 Mailbox full", 7).await;
    assert_eq!(number(&world.db, "select count(*) from suppressions").await, 0);
    refused_times(&world, 1, "552 Mailbox full", 7).await;
    assert_eq!(number(&world.db, "select count(*) from suppressions").await, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_server_puts_off_is_tried_for_three_days_and_for_five_where_we_go_too_fast(db: PgPool) {
    let world = World::new(db);
    let people = world.people(3).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    for (address, answer) in [
        ("p1@x.example", "451 4.3.0 Vuelve más tarde"),
        ("p2@x.example", "421 4.7.28 Vas muy rápido"),
        ("p3@x.example", "452 4.2.2 Mailbox full"),
    ] {
        world.mailbox.answer_for(address, SendError::Temporary { answer: answer.to_owned() });
    }
    let mut statuses = Vec::new();
    // From Monday noon to Friday: within the window, at hours at which every wait is over.
    for hours in [0, 24, 48, 71, 73, 96, 100] {
        world.clock.set("2026-11-23T15:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours));
        world.drip().await;
        let now: Vec<String> =
            sqlx::query_scalar("select status from communication_logs order by destination")
                .fetch_all(&world.db)
                .await
                .unwrap();
        statuses.push((hours, now.join(" ")));
    }
    let waiting = "PENDING PENDING PENDING".to_owned();
    assert_eq!(statuses[3], (71, waiting));
    // At 73 hours the waits of the first and of the full mailbox may not be over.
    assert_eq!(statuses[6], (100, "FAILED PENDING FAILED".to_owned()));
    // From Monday on the five days are over.
    world.clock.set("2026-11-30T15:00:00Z".parse().unwrap());
    world.drip().await;
    assert_eq!(number(&world.db, "select count(*) from communication_logs where status = 'FAILED'").await, 3);
    let full = number(&world.db, "select count(*) from inbound_events where cause = 'FULL'").await;
    assert_eq!(full, 1, "a mailbox that stayed full counts once, not with each try");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_message_that_a_person_puts_back_is_tried_for_as_long_again(db: PgPool) {
    let world = World::new(db);
    let people = world.people(1).await;
    let campaign = world.campaign().await;
    world.enqueue(campaign, &people).await;
    world.mailbox.answer_for("p1@x.example", SendError::Temporary { answer: "451 4.3.0 Luego".to_owned() });
    for hours in [0, 24, 48, 72] {
        world.clock.set("2026-11-23T15:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours));
        world.drip().await;
    }
    assert_eq!(world.statuses().await, crate::messaging::counted(&[("FAILED", 1)]));
    let mut tx = world.db.begin().await.unwrap();
    llovizna::messaging::outbox::retry_failed(&mut tx, world.now(), &Actor::CommandLine, campaign)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for hours in [73, 74, 75, 76, 77] {
        world.clock.set("2026-11-23T15:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours));
        world.drip().await;
    }
    assert_eq!(world.statuses().await, crate::messaging::counted(&[("PENDING", 1)]));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_of_a_message_that_waits_says_for_how_long_it_is_tried(db: PgPool) {
    let app = app(db);
    under_way(&app, 1).await;
    app.mailbox.refuse_next(SendError::Temporary { answer: "451 4.3.0 Luego".to_owned() });
    run(&app).await;
    let id = number(&app.state.db, "select max(id) from communication_logs").await;
    let page = app.get(&format!("/messages/{id}")).await.text();
    assert!(
        page.contains("Reintento tras una respuesta temporal") && page.contains("por tres días"),
        "{page}"
    );
}
