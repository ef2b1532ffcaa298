//! Random sequences, each on a database of its own, over the weeks around a night that lacks an hour, one that has it
//! twice, and the holidays of the summer.

use super::{
    event::{self, Event, Handover, PEOPLE},
    ground::Ground,
    person::{Model, Person, day_of, is_open},
    post::Post,
};
use crate::{
    campaigns::{BUSINESS, people},
    support::TestApp,
};
use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::America::Santiago;
use llovizna::{
    access::Actor,
    campaigns::drip::{self, RunReport},
    channels::Channel,
    db::MIGRATIONS,
    messaging::{
        drain::{Engine, Options},
        limits,
        runs::Trigger,
    },
};
use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How far a message got: it never goes back. None: it ended there.
fn stage(status: &str) -> Option<u8> {
    let open =
        ["PENDING", "SENDING", "UNCONFIRMED", "SENT", "DELIVERED", "BOUNCED", "OPENED", "CLICKED", "REPLIED"];
    let place = open.iter().position(|it| *it == status);
    assert!(place.is_some() || ["BLOCKED", "CANCELLED", "FAILED"].contains(&status), "{status}");
    place.and_then(|it| u8::try_from(it).ok())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    destination: String,
    message_type: String,
    status: String,
    defer_reason: Option<String>,
    next_attempt_at: DateTime<Utc>,
}

/// Reasons that are of no person.
const WITHIN_A_DAY: [&str; 3] = ["DAILY_CAP", "CAMPAIGN_DAILY_CAP", "AWAITING_WINNER"];

/// How many turn out to be others, at most.
const MOST_JOINED: usize = 3;

/// A sequence under way.
pub(super) struct Sequence {
    ground: Ground,
    post: Post,
    engine: Engine,
    /// Of each message, as it stood after the last step.
    seen: HashMap<i64, String>,
    /// The newest event that was looked at.
    told: i64,
    /// How often each reason was given, and what else came about, so that no sequence is idle.
    tally: BTreeMap<String, u32>,
}

impl Sequence {
    pub(super) async fn new(db: PgPool, start: &str) -> Sequence {
        let app = TestApp::with(db, &[BUSINESS, &[("EMAIL_DAILY_CAP", "0")]].concat());
        app.state.clock.set(start.parse().unwrap());
        let n = i64::try_from(PEOPLE).unwrap();
        let ground = Ground::of(&app, people(&app, "sur", n).await);
        let post = Post::new(ground.clone());
        let engine = Engine {
            db: app.state.db.clone(),
            senders: post.senders(),
            config: app.state.config.clone(),
            clock: app.state.clock.clone(),
        };
        Sequence { ground, post, engine, seen: HashMap::new(), told: 0, tally: BTreeMap::new() }
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.tally.entry(what.into()).or_default() += 1;
    }

    async fn run(&mut self, handovers: &[Handover]) -> RunReport {
        *self.post.next.lock().unwrap() = handovers.iter().cloned().collect();
        // Room for all, and few enough to be begun one by one.
        let options = Options { batch_size: Some(500), ..Options::new(Channel::Email, Trigger::CommandLine) };
        let report = drip::run_once(&self.engine, &options).await.unwrap();
        self.post.next.lock().unwrap().clear();
        report
    }

    pub(super) async fn happens(&mut self, event: &Event) {
        let ground = self.ground.clone();
        match event {
            Event::Minutes(minutes) => ground.clock.advance(TimeDelta::minutes(*minutes)),
            Event::At(days, clock) => {
                let day = day_of(ground.now()) + Days::new(*days);
                let time = NaiveTime::from_hms_opt(clock.0, clock.1, 0).unwrap();
                let at =
                    |day: chrono::NaiveDate| Santiago.from_local_datetime(&day.and_time(time)).earliest();
                // Of the night that lacks it there is no such hour.
                let next = [day, day + Days::new(1)].into_iter().filter_map(at).find(|it| *it > ground.now());
                ground.clock.set(next.map_or(ground.now() + TimeDelta::hours(1), |it| it.to_utc()));
            }
            Event::Opening(days) => {
                let first = day_of(ground.now()) + Days::new(*days);
                let day = first.iter_days().find(|it| is_open(*it)).unwrap();
                let at = Santiago.from_local_datetime(&day.and_hms_opt(10, 30, 0).unwrap()).unwrap();
                ground.clock.set(at.to_utc());
            }
            Event::Said(who, word) => ground.say(*who, word).await,
            Event::Anew(who) => ground.begin_anew(*who).await,
            Event::Cap(most, days) => {
                let mut tx = ground.db.begin().await.unwrap();
                let id: i64 = sqlx::query_scalar(
                    "select id from frequency_caps where first_value_from = 'EMAIL_WEEKLY_LIMIT'",
                )
                .fetch_one(&mut *tx)
                .await
                .unwrap();
                limits::update(&mut tx, ground.now(), &Actor::CommandLine, id, *most, *days).await.unwrap();
                tx.commit().await.unwrap();
                ground.model().caps[0] = (None, usize::try_from(*most).unwrap(), *days);
            }
            Event::Campaign(kind) => {
                ground.campaign(*kind, 0).await;
            }
            Event::Several(kind, cap) => ground.several(*kind, *cap).await,
            Event::ChannelCap(cap) => ground.cap(*cap).await,
            Event::Joined(stays, goes) => {
                // Most of them stay two, or nobody would be left.
                let joined = ground.model().people.iter().filter(|it| it.joined.is_some()).count();
                if joined < MOST_JOINED && ground.join(*stays, *goes).await {
                    self.count("two who are one");
                }
            }
            Event::Mailing(bits) => {
                ground.mailing(*bits).await;
            }
            Event::Asked(kind, bits) => ground.ask(*kind, *bits).await,
            Event::Run(handovers) => {
                let report = self.run(handovers).await;
                let ended_well = handovers.is_empty() && report.status == "ok";
                self.count(if ended_well { "a whole run" } else { "a run in which something happens" });
                if ended_well {
                    self.all_is_explained().await;
                }
            }
        }
        ground.model().people.iter_mut().for_each(Person::settle);
        // What happens within a run may undo what the gate had seen.
        let is_calm = !matches!(event, Event::Run(handovers) if !handovers.is_empty());
        self.holds(is_calm).await;
    }

    async fn rows(&self) -> Vec<Row> {
        sqlx::query_as(
            "select id, destination, message_type, status, defer_reason, next_attempt_at from communication_logs order by id",
        )
        .fetch_all(&self.ground.db)
        .await
        .unwrap()
    }

    /// After a run in which nothing else happened: who got nothing waits until later, for a reason that is told.
    async fn all_is_explained(&self) {
        for row in self.rows().await.iter().filter(|it| it.status == "PENDING") {
            assert!(
                row.defer_reason.is_some() && row.next_attempt_at > self.ground.now(),
                "{} {} for {} waits without a reason",
                row.id,
                row.message_type,
                row.destination
            );
        }
    }

    /// What must hold after each step. `is_calm`: the reasons given since the last one are of this moment.
    async fn holds(&mut self, is_calm: bool) {
        assert!(self.ground.model().wrongs.is_empty(), "{:#?}", self.ground.model().wrongs);
        let rows = self.rows().await;
        for row in &rows {
            let before = self.seen.insert(row.id, row.status.clone());
            if let Some(before) = before.filter(|it| *it != row.status) {
                let forward =
                    stage(&before).is_some_and(|from| stage(&row.status).is_none_or(|to| from < to));
                assert!(forward, "{} went from {before} to {}", row.id, row.status);
            }
        }
        let with = |statuses: &[&str]| -> BTreeSet<i64> {
            rows.iter().filter(|it| statuses.contains(&it.status.as_str())).map(|it| it.id).collect()
        };
        let handed = |in_doubt: bool| -> BTreeSet<i64> {
            let model = self.ground.model();
            let all = model.people.iter().flat_map(|it| &it.got);
            all.filter(|it| it.in_doubt == in_doubt).map(|it| it.message).collect()
        };
        let left = with(&["SENT", "DELIVERED", "BOUNCED", "OPENED", "CLICKED", "REPLIED"]);
        assert_eq!(left, handed(false), "the log says what was sent");
        assert_eq!(with(&["UNCONFIRMED"]), handed(true), "and of which nobody knows");
        assert!(with(&["SENDING"]).is_empty());
        let reserved: i64 = sqlx::query_scalar("select count(*) from communication_reservations")
            .fetch_one(&self.ground.db)
            .await
            .unwrap();
        assert_eq!(reserved, 0, "nothing is set apart without a run");
        self.reasons_hold(&rows, is_calm).await;
    }

    /// Each reason that was given since the last step is one that the model knows too.
    async fn reasons_hold(&mut self, rows: &[Row], is_calm: bool) {
        let events: Vec<(i64, i64, String, Option<String>)> = sqlx::query_as(
            "select id, communication_log_id, kind, reason from communication_events where id > $1 order by id",
        )
        .bind(self.told)
        .fetch_all(&self.ground.db)
        .await
        .unwrap();
        let by_id: HashMap<i64, &Row> = rows.iter().map(|it| (it.id, it)).collect();
        for (id, message, kind, reason) in events {
            self.told = id;
            self.count(reason.as_ref().map_or(kind.clone(), |it| format!("{kind} {it}")));
            let Some(reason) = reason.filter(|it| is_calm && it != "REPLIED") else { continue };
            let row = by_id[&message];
            let model: &Model = &self.ground.model();
            let person = &model.people[model.standing(model.whose(&row.destination))];
            // Who was two gets one of what was asked for of both.
            if (person.is_several && reason == "DUPLICATE_ADDRESS") || WITHIN_A_DAY.contains(&reason.as_str())
            {
                continue;
            }
            let kind = *model.asked.values().find(|it| it.code() == row.message_type).unwrap();
            let known = person.reasons(kind, &model.caps, self.ground.now());
            assert!(
                known.contains(reason.as_str()),
                "{message} {kind:?} for {} has {reason}, and not {known:?}: {person:#?}",
                row.destination
            );
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that fails shows the sequence that it failed in")]
async fn goes_through(
    db: PgPool,
    seed: u8,
    start: &str,
    events: impl Strategy<Value = Vec<Event>>,
) -> Sequence {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let events = events.new_tree(&mut runner).unwrap().current();
    let mut sequence = Sequence::new(db, start).await;
    for (place, event) in events.iter().enumerate() {
        println!("{place:3} {} {event:?}", sequence.ground.now().with_timezone(&Santiago));
        sequence.happens(event).await;
    }
    sequence
}

async fn nobody_is_wronged(db: PgPool, seed: u8, start: &str) {
    let tally = goes_through(db, seed, start, event::sequence()).await.tally;
    let count = |what: &str| tally.get(what).copied().unwrap_or_default();
    let reasons = tally.keys().filter(|it| it.contains(' ') && !it.starts_with('a')).count();
    let handed_over: u32 = ["SENT", "RETRY", "FAILED", "UNCONFIRMED"].into_iter().map(count).sum();
    // The sequence is such that the question is not idle: messages were held back after the gate had let them go, too.
    assert!(handed_over > 15 && count("ALLOWED") > handed_over && reasons > 2, "{tally:#?}");
}

/// Where people turn out to be one, campaigns try several texts, and days have caps.
async fn nobody_is_wronged_in_a_crowd(db: PgPool, seed: u8, start: &str) {
    let tally = goes_through(db, seed, start, event::crowded()).await.tally;
    let count = |what: &str| tally.get(what).copied().unwrap_or_default();
    let of_days = WITHIN_A_DAY.iter().all(|it| count(&format!("DEFERRED {it}")) > 0);
    assert!(count("SENT") > 15 && of_days && count("two who are one") > 0, "{tally:#?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_over_the_night_that_lacks_an_hour(db: PgPool) {
    nobody_is_wronged(db, 1, "2026-09-01T14:00:00Z").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_over_the_night_that_has_an_hour_twice(db: PgPool) {
    nobody_is_wronged(db, 7, "2027-03-30T14:00:00Z").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_over_the_holidays(db: PgPool) {
    nobody_is_wronged(db, 3, "2026-11-30T14:00:00Z").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_in_a_crowd_over_the_night_that_lacks_an_hour(db: PgPool) {
    nobody_is_wronged_in_a_crowd(db, 1, "2026-09-01T14:00:00Z").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_in_a_crowd_over_the_night_that_has_an_hour_twice(db: PgPool) {
    nobody_is_wronged_in_a_crowd(db, 2, "2027-03-30T14:00:00Z").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_is_wronged_in_a_crowd_over_the_holidays(db: PgPool) {
    nobody_is_wronged_in_a_crowd(db, 3, "2026-11-30T14:00:00Z").await;
}
