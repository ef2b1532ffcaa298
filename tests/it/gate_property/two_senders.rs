//! Two senders at the same moment, each with connections of its own: who may get one a week gets one.

use super::{ground::Ground, post::Post};
use crate::{
    campaigns::{BUSINESS, execute, people},
    support::{TestApp, until_waiting},
};
use chrono::TimeDelta;
use llovizna::{
    channels::Channel,
    db::MIGRATIONS,
    ids::MessageId,
    messaging::{
        drain::{self, Engine, Options},
        kinds::MessageType,
        runs::Trigger,
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Barrier, task::JoinHandle};

/// Weeks that are tried, each with a seed of its own.
const WEEKS: u8 = 8;

const PEOPLE: usize = 3;

/// What one of the two does: a whole run, or these messages one after the other.
#[derive(Debug)]
enum Task {
    All,
    Only(Vec<i64>),
}

impl Task {
    /// Begins once the other is there too, and some turns later.
    fn begin(self, engine: Engine, both: Arc<Barrier>, turns: u32) -> JoinHandle<()> {
        let options = Options::new(Channel::Email, Trigger::CommandLine);
        tokio::spawn(async move {
            both.wait().await;
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            match self {
                Task::All => drop(drain::run(&engine, &options).await.unwrap()),
                Task::Only(ids) => {
                    for id in ids {
                        let options = Options { only: Some(MessageId(id)), ..options.clone() };
                        drain::run(&engine, &options).await.unwrap();
                    }
                }
            }
        })
    }
}

async fn engine(app: &TestApp, post: &Post) -> Engine {
    let options = (*app.state.db.connect_options()).clone();
    let db = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
    let (config, clock) = (app.state.config.clone(), app.state.clock.clone());
    Engine { db, senders: post.senders(), config, clock }
}

/// The messages after the one numbered `since` that wait, each with its person, in a random order.
async fn waiting(app: &TestApp, since: i64, rng: &mut StdRng) -> Vec<(i64, i64)> {
    let mut all: Vec<(i64, i64)> = sqlx::query_as(
        "select id, contact_id from communication_logs where status = 'PENDING' and id > $1 order by id",
    )
    .bind(since)
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    all.shuffle(rng);
    all
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn of_two_senders_at_once_one_sends_to_each_person(db: PgPool) {
    let app = TestApp::with(db, &[BUSINESS, &[("EMAIL_DAILY_CAP", "0")]].concat());
    execute(&app, "delete from frequency_caps where days <> 7").await;
    let ground = Ground::of(&app, people(&app, "sur", i64::try_from(PEOPLE).unwrap()).await);
    ground.model().caps.truncate(1);
    let post = Post::new(ground.clone());
    let (one, other) = (engine(&app, &post).await, engine(&app, &post).await);
    for week in 0..WEEKS {
        let mut rng = StdRng::seed_from_u64(week.into());
        let newest: i64 = sqlx::query_scalar("select coalesce(max(id), 0) from communication_logs")
            .fetch_one(&app.state.db)
            .await
            .unwrap();
        ground.campaign(MessageType::Promocional, 0).await.unwrap();
        ground.mailing(u8::MAX).await.unwrap();
        // The second of them may have waited for weeks.
        let new = waiting(&app, newest, &mut rng).await;
        let all = waiting(&app, 0, &mut rng).await;
        let ids = |all: &[(i64, i64)]| all.iter().map(|it| it.0).collect::<Vec<_>>();
        let tasks = match week % 4 {
            0 | 2 => (Task::All, Task::Only(ids(&all[..all.len().min(4)]))),
            1 => {
                // One of the two messages to each person, and the other one.
                let (mut a, mut b) = (Vec::new(), Vec::new());
                for (id, person) in new {
                    let first = a.iter().all(|it: &(i64, i64)| it.1 != person);
                    if first { a.push((id, person)) } else { b.push((id, person)) }
                }
                a.sort_by_key(|it| it.1);
                b.sort_by_key(|it| it.1);
                (Task::Only(ids(&a)), Task::Only(ids(&b)))
            }
            _ => (Task::All, Task::All),
        };
        let told = format!("week {week}: {tasks:?}");
        let both = Arc::new(Barrier::new(2));
        let turns = (rng.random_range(0..30), rng.random_range(0..30));
        let first = tasks.0.begin(one.clone(), both.clone(), turns.0);
        let second = tasks.1.begin(other.clone(), both, turns.1);
        first.await.unwrap();
        second.await.unwrap();
        assert!(ground.model().wrongs.is_empty(), "{told}: {:#?}", ground.model().wrongs);
        for person in &ground.model().people {
            assert_eq!(person.got.len(), usize::from(week) + 1, "{told}: {person:#?}");
        }
        app.state.clock.advance(TimeDelta::days(7));
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_senders_decide_on_one_person_one_after_the_other(db: PgPool) {
    let app = TestApp::with(db, BUSINESS);
    let ground = Ground::of(&app, people(&app, "sur", 1).await);
    let post = Post::new(ground.clone());
    ground.campaign(MessageType::Promocional, 0).await.unwrap();
    ground.mailing(1).await.unwrap();
    let all = waiting(&app, 0, &mut StdRng::seed_from_u64(0)).await;
    // Somebody holds the person until both senders have come as far as asking for them.
    let mut held = app.state.db.begin().await.unwrap();
    sqlx::query("select from contacts for no key update").execute(&mut *held).await.unwrap();
    let both = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for (id, _) in all {
        tasks.push(Task::Only(vec![id]).begin(engine(&app, &post).await, both.clone(), 0));
    }
    tokio::time::timeout(Duration::from_secs(10), until_waiting(&app.state.db, 2))
        .await
        .expect("both wait for the person");
    held.rollback().await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(ground.model().wrongs.is_empty(), "{:#?}", ground.model().wrongs);
    assert_eq!(ground.model().people[0].got.len(), 1);
}
