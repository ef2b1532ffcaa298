//! A clock that is set back, and the nights on which clocks change: nobody gets
//! anything twice, nobody is skipped, and a day's cap is a day's.

use crate::{
    campaigns::{BUSINESS, app, get, people, seeded, start},
    drip::run,
    support::TestApp,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use llovizna::{
    campaigns::campaign::Status,
    db::MIGRATIONS,
    scheduler::{self, jobs},
};
use sqlx::PgPool;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// How many messages left, each to another person.
fn left(app: &TestApp) -> usize {
    let sent = app.mailbox.sent();
    let people: BTreeSet<_> = sent.iter().map(|it| it.to_email.as_str()).collect();
    assert_eq!(people.len(), sent.len(), "someone was written to twice");
    sent.len()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_clock_set_back_an_hour_sends_nothing_twice_and_holds_up_nobody_for_long(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 70).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    assert_eq!(run(&app).await.sent, 30);
    app.state.clock.advance(TimeDelta::hours(-1));
    // Two hours of the drip: over the hour that comes again, and past it.
    for _ in 0..12 {
        run(&app).await;
        app.state.clock.advance(TimeDelta::minutes(10));
    }
    assert_eq!(left(&app), 50, "the channel's cap of that day");
    app.state.clock.advance(TimeDelta::days(1));
    run(&app).await;
    assert_eq!((left(&app), get(&app, id).await.status), (70, Status::Finished));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_job_whose_slot_comes_again_does_not_run_again(db: PgPool) {
    let app = TestApp::new(db);
    let (job, stop) = (jobs::find("drip").unwrap(), CancellationToken::new());
    for (now, runs) in [
        ("2026-11-23T15:00:01Z", true),
        ("2026-11-23T15:10:01Z", true),
        ("2026-11-23T15:00:02Z", false),
        ("2026-11-23T15:10:00Z", false),
        ("2026-11-23T15:20:00Z", true),
    ] {
        app.state.clock.set(at(now));
        assert_eq!(scheduler::tick(&app.state, job, &stop).await.unwrap(), runs, "{now}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn on_the_nights_when_clocks_change_each_local_day_has_its_cap_once(db: PgPool) {
    let app = TestApp::with(db, &[BUSINESS, &[("EMAIL_DAILY_CAP", "3")]].concat());
    app.state.clock.set(at("2026-04-04T15:30:00Z"));
    let hours = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| ("weekdays", day));
    let fields = [&hours[..], &[("opens", "00:00"), ("closes", "23:59")]].concat();
    assert!(app.post("/settings/hours", &fields).await.status.is_redirection());
    people(&app, "sur", 24).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    // A campaign may have hours of its own; these nights are the channel's matter.
    for night in ["2026-04-04", "2026-09-05", "2027-04-03", "2027-09-04"] {
        app.state.clock.set(at(&format!("{night}T15:30:00Z")));
        // From noon to the end of the day after, by instants: hours that come twice too.
        for _ in 0..2 * 35 {
            run(&app).await;
            app.state.clock.advance(TimeDelta::minutes(30));
        }
    }
    assert_eq!((left(&app), get(&app, id).await.status), (24, Status::Finished));
    // The days as Postgres tells them, which has a table of zones of its own.
    let days: Vec<(NaiveDate, i64)> = sqlx::query_as(
        "select (sent_at at time zone 'America/Santiago')::date, count(*) from communication_logs
         where sent_at is not null group by 1 order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    let expected = [
        "2026-04-04",
        "2026-04-05",
        "2026-09-05",
        "2026-09-06",
        "2027-04-03",
        "2027-04-04",
        "2027-09-04",
        "2027-09-05",
    ];
    assert_eq!(days, expected.map(|it| (it.parse().unwrap(), 3)));
}
