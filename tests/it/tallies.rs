//! The tallies of campaigns say what counting the log would, whatever happens to its messages.

use crate::{
    campaigns::{app, people, seeded, start},
    duplicates::join,
    support::TestApp,
};
use llovizna::{
    access::Actor,
    campaigns::{campaign, drip, progress, status},
    channels::Channel,
    db::MIGRATIONS,
    messaging::{
        drain::{Engine, Options},
        kinds::Status,
        runs::Trigger,
    },
};
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;

/// Where the sums differ from the log, in words.
pub(crate) async fn differences(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "with log as (
             select campaign_id, status, coalesce(block_reason, case status when 'PENDING' then defer_reason end, '') as reason,
                 unsubscribed_at is not null as unsubscribed, count(*) as n
             from communication_logs where origin = 'CAMPAIGN' group by 1, 2, 3, 4
         ), sums as (
             select campaign_id, status, reason, unsubscribed, sum(messages)::bigint as n
             from campaign_tallies group by 1, 2, 3, 4 having sum(messages) <> 0
         )
         select 'log ' || d::text from (table log except table sums) d
         union all select 'sums ' || d::text from (table sums except table log) d",
    )
    .fetch_all(db)
    .await
    .unwrap()
}

async fn agree(app: &TestApp) {
    assert_eq!(differences(&app.state.db).await, Vec::<String>::new());
}

async fn execute(app: &TestApp, sql: &str) {
    sqlx::query(AssertSqlSafe(sql)).execute(&app.state.db).await.unwrap();
}

async fn run(app: &TestApp) {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    drip::run_once(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn they_say_what_the_log_says(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 40).await;
    execute(&app, "update contacts set email_basis = null where id % 7 = 0").await;
    let id = seeded(&app).await;
    execute(&app, "update campaigns set batch_size = 10").await;
    start(&app, id).await.unwrap();
    agree(&app).await;
    let queued = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!(queued.total(), 40);
    assert!(queued.count(Status::Blocked) > 0 && !queued.blocked.is_empty());

    // Some leave; the run adds up what gathered.
    run(&app).await;
    agree(&app).await;
    let most: i64 = sqlx::query_scalar(
        "select max(n) from (select count(*) as n from campaign_tallies group by campaign_id, status, reason, unsubscribed) g",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(most, 1, "nothing was added up");
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().left(), 10);

    // Answers come one by one and many at once, people leave, are joined, wait.
    for change in [
        "update communication_logs set status = 'BOUNCED' where id = (select min(id) from communication_logs where status = 'SENT')",
        "update communication_logs set status = 'OPENED' where id in (select id from communication_logs where status = 'SENT' order by id limit 4)",
        "update communication_logs set status = case status when 'OPENED' then 'CLICKED' else 'OPENED' end where status in ('SENT', 'OPENED')",
        "update communication_logs set unsubscribed_at = sent_at where id = (select max(id) from communication_logs where status = 'CLICKED')",
        "update communication_logs set defer_reason = 'FREQUENCY_CAP' where id in (select id from communication_logs where status = 'PENDING' order by id limit 5)",
        "update communication_logs set status = 'SENDING', drip_run_id = 1, defer_reason = null where id = (select min(id) from communication_logs where status = 'PENDING')",
        "update communication_logs set status = 'FAILED' where status = 'SENDING'",
    ] {
        execute(&app, change).await;
        agree(&app).await;
    }
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().unsubscribed, 1);
    join(&app.state.db, who[38], who[39], &[]).await.unwrap();
    agree(&app).await;

    // What is taken back was never counted.
    let mut tx = app.state.db.begin().await.unwrap();
    status::cancel(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.rollback().await.unwrap();
    agree(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    status::cancel(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    agree(&app).await;
    progress::fold(&app.state.db).await.unwrap();
    agree(&app).await;

    let listed = campaign::list(&app.state.db, None, None, 50).await.unwrap();
    let line = listed.iter().find(|it| it.id == id).unwrap();
    let whole = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!(
        [line.queued, line.sent, line.failed, line.blocked],
        [0, whole.left(), 1, whole.count(Status::Blocked)].map(|it| i64::try_from(it).unwrap())
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_at_once_neither_wait_nor_miscount(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 30).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    let take = |rest: i64| {
        AssertSqlSafe(format!(
            "update communication_logs set status = 'SENDING', drip_run_id = 1 where status = 'PENDING' and id % 3 = {rest}"
        ))
    };
    let (mut one, mut two) = (app.state.db.begin().await.unwrap(), app.state.db.begin().await.unwrap());
    sqlx::query(take(0)).execute(&mut *one).await.unwrap();
    // Were there a row that both count in, this would wait for ever.
    let second = sqlx::query(take(1)).execute(&mut *two);
    tokio::time::timeout(Duration::from_secs(20), second).await.expect("waits for the first").unwrap();
    tokio::time::timeout(Duration::from_secs(20), progress::fold(&app.state.db))
        .await
        .expect("waits")
        .unwrap();
    agree(&app).await;
    one.commit().await.unwrap();
    agree(&app).await;

    // Added up by two at once, while a third writes.
    let (mut first, mut other) = (app.state.db.begin().await.unwrap(), app.state.db.begin().await.unwrap());
    progress::fold(&mut *first).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), progress::fold(&mut *other)).await.expect("waits").unwrap();
    agree(&app).await;
    two.commit().await.unwrap();
    other.commit().await.unwrap();
    first.commit().await.unwrap();
    agree(&app).await;
    progress::fold(&app.state.db).await.unwrap();
    agree(&app).await;
    let now = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!((now.count(Status::Sending), now.count(Status::Pending)), (20, 10));
}
