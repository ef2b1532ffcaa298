//! The channel of email warms up: what each day allows, and why.

use crate::{
    campaigns::{app, people, seeded, start},
    support::TestApp,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::Role,
    campaigns::drip,
    channels::{Channel, SendError},
    db::MIGRATIONS,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
        warm_up::{self, Reason},
    },
};
use sqlx::PgPool;

/// All that may leave today. Gives how many did.
async fn drip_today(app: &TestApp) -> u32 {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let options = Options { batch_size: Some(1000), ..Options::new(Channel::Email, Trigger::CommandLine) };
    drip::run_once(&engine, &options).await.unwrap().sent
}

async fn under_way(app: &TestApp, n: i64) {
    people(app, "sur", n).await;
    start(app, seeded(app).await).await.unwrap();
}

async fn reasons(app: &TestApp) -> Vec<(u32, Reason)> {
    let mut db = app.state.db.acquire().await.unwrap();
    let days = warm_up::days(&mut db, Channel::Email, 20).await.unwrap();
    days.into_iter().rev().map(|it| (it.cap, it.reason)).collect()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_day_that_went_well_allows_a_third_more(db: PgPool) {
    let app = app(db);
    under_way(&app, 300).await;
    let mut left = Vec::new();
    // Monday to Friday.
    for _ in 0..5 {
        left.push(drip_today(&app).await);
        assert_eq!(drip_today(&app).await, 0, "the day's room is used up");
        app.state.clock.advance(TimeDelta::days(1));
    }
    assert_eq!(left, [50, 50, 65, 85, 50], "of 300 people 50 were left");
    assert_eq!(reasons(&app).await[..3], [(50, Reason::Start), (50, Reason::Steady), (65, Reason::Grew)]);
    let page = app.as_role(Role::Admin).await.get("/settings/email").await.text();
    assert!(
        page.contains("23-11-2026 50 Parte el calentamiento. 50 enviados, 0 rebotes, 0 reclamos"),
        "{page}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_day_of_bounces_halves_the_next(db: PgPool) {
    let app = app(db);
    under_way(&app, 120).await;
    for _ in 0..3 {
        app.mailbox
            .refuse_next(SendError::Recipient { answer: "550 5.1.1 no such user".to_owned(), dead: true });
    }
    assert_eq!(drip_today(&app).await, 47);
    app.state.clock.advance(TimeDelta::days(1));
    assert_eq!(drip_today(&app).await, 25);
    assert_eq!(reasons(&app).await, [(50, Reason::Start), (25, Reason::Bounces)]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn another_start_begins_another_plan_and_no_plan_is_a_fixed_cap(db: PgPool) {
    let app = app(db);
    under_way(&app, 200).await;
    let boss = app.as_role(Role::Admin).await;
    assert_eq!(drip_today(&app).await, 50);
    boss.post("/settings/email", &[("daily_cap", "60"), ("warm_up", "on"), ("warm_up_ceiling", "70")]).await;
    drip_today(&app).await;
    assert_eq!(reasons(&app).await, [(60, Reason::Start)], "from the same day on");
    app.state.clock.advance(TimeDelta::days(1));
    assert_eq!(drip_today(&app).await, 60);
    let boss = app.as_role(Role::Admin).await;
    boss.post("/settings/email", &[("daily_cap", "5")]).await;
    app.state.clock.advance(TimeDelta::days(1));
    assert_eq!(drip_today(&app).await, 5);
    assert_eq!(reasons(&app).await.len(), 2, "a fixed cap writes no plan");
    let boss = app.as_role(Role::Admin).await;
    let wrong = boss.post("/settings/email", &[("daily_cap", ""), ("warm_up", "on")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let wrong = boss
        .post("/settings/email", &[("daily_cap", "60"), ("warm_up", "on"), ("warm_up_ceiling", "50")])
        .await;
    assert!(wrong.text().contains("no puede ser menor"), "{}", wrong.text());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cap_set_from_outside_does_not_grow(db: PgPool) {
    let app = TestApp::with(db, &[crate::campaigns::BUSINESS, &[("EMAIL_DAILY_CAP", "20")]].concat());
    under_way(&app, 100).await;
    for _ in 0..3 {
        assert_eq!(drip_today(&app).await, 20);
        app.state.clock.advance(TimeDelta::days(1));
    }
    assert_eq!(reasons(&app).await, []);
}
