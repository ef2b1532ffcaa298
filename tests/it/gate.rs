//! The gate under any sequence of events: whatever happens in whatever order, no promotion goes to someone who is
//! excluded, did not agree, said no to its kind, asked for a pause, or got as many as they may. The rules are asked
//! here in their plainest form, and not as the gate asks them.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc, Weekday};
use chrono_tz::America::Santiago;
use llovizna::{
    channels::Channel,
    chile::{business_hours::BusinessHours, holidays::Calendar},
    contacts::rhythm::Rhythm,
    ids::ContactId,
    messaging::{
        gate::{self, Decision, Facts, Rules},
        kinds::{MessageType, OriginKind, SuppressionReason},
        limits::{Cap, Counted},
        values::Recipient,
    },
};
use proptest::prelude::*;

/// What may happen to one person and their queue.
#[derive(Clone, Debug)]
enum Event {
    /// Time goes on.
    Minutes(i64),
    /// A no to everything promotional, or its end.
    Suppressed(bool),
    /// A yes with its basis, or its withdrawal.
    Basis(bool),
    /// The kind is declined, or wanted again.
    Declined(usize, bool),
    /// How often and until how many days from then, as the person asks.
    Wish(Option<u32>, Option<u64>),
    /// Hours at which nothing is wanted.
    Quiet(Option<(u32, u32)>),
    /// The business sets its caps anew: kind or all, how many, in how many days.
    Caps(Vec<(Option<usize>, u32, u32)>),
    /// What is left of the channel's cap of the day.
    Room(Option<u32>),
    /// A run looks at a message of this kind.
    Run(usize),
}

const KINDS: [MessageType; 4] = [
    MessageType::Promocional,
    MessageType::Newsletter,
    MessageType::Reactivation,
    MessageType::Transactional,
];

fn event() -> impl Strategy<Value = Event> {
    let cap = (proptest::option::of(0..3_usize), 1..4_u32, 1..100_u32);
    prop_oneof![
        4 => (1..60_i64 * 24 * 4).prop_map(Event::Minutes),
        1 => (1..60_i64 * 24 * 60).prop_map(Event::Minutes),
        1 => any::<bool>().prop_map(Event::Suppressed),
        2 => any::<bool>().prop_map(Event::Basis),
        1 => (0..KINDS.len(), any::<bool>()).prop_map(|(kind, no)| Event::Declined(kind, no)),
        1 => (proptest::option::of(2..91_u32), proptest::option::of(1..120_u64))
            .prop_map(|(often, pause)| Event::Wish(often, pause)),
        1 => proptest::option::of((0..24_u32, 0..24_u32)).prop_map(Event::Quiet),
        1 => proptest::collection::vec(cap, 0..3).prop_map(Event::Caps),
        1 => proptest::option::of(0..3_u32).prop_map(Event::Room),
        12 => (0..KINDS.len()).prop_map(Event::Run),
    ]
}

/// Where everything stands.
struct World {
    now: DateTime<Utc>,
    facts: Facts,
    declined: [bool; KINDS.len()],
    caps: Vec<Cap>,
    room: Option<u32>,
    calendar: Calendar,
    hours: BusinessHours,
}

impl World {
    fn at(now: DateTime<Utc>) -> World {
        let recipient = Recipient { first_name: "Ana".into(), ..Recipient::default() };
        World {
            now,
            facts: Facts {
                destination: Some("ana@sur.example".into()),
                person: Some(ContactId(1)),
                has_basis: true,
                recipient,
                ..Facts::default()
            },
            declined: [false; KINDS.len()],
            caps: vec![cap(None, 1, 7), cap(None, 4, 30)],
            room: None,
            calendar: Calendar::default(),
            hours: BusinessHours::default(),
        }
    }

    fn today(&self) -> NaiveDate {
        self.now.with_timezone(&Santiago).date_naive()
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Minutes(minutes) => self.now += TimeDelta::minutes(*minutes),
            Event::Suppressed(it) => self.facts.suppressed = it.then_some(SuppressionReason::Unsubscribed),
            Event::Basis(it) => self.facts.has_basis = *it,
            Event::Declined(kind, no) => self.declined[*kind] = *no,
            Event::Wish(min_days, pause) => {
                let paused_until = pause.map(|days| self.today() + Days::new(days));
                self.facts.rhythm = Rhythm { min_days: *min_days, paused_until };
            }
            Event::Quiet(hours) => {
                let time = |hour| NaiveTime::from_hms_opt(hour, 30, 0).unwrap();
                self.facts.quiet =
                    hours.filter(|(from, until)| from != until).map(|it| (time(it.0), time(it.1)));
            }
            Event::Caps(caps) => self.caps = caps.iter().map(|it| cap(it.0, it.1, it.2)).collect(),
            Event::Room(room) => self.room = *room,
            Event::Run(_) => (),
        }
    }

    fn decide(&mut self, kind: usize) -> Decision {
        self.facts.declined = self.declined[kind];
        let rules = Rules {
            calendar: &self.calendar,
            hours: &self.hours,
            caps: &self.caps,
            channel_left: self.room,
            campaign_left: None,
            winner_at: None,
        };
        gate::decide(OriginKind::Campaign, KINDS[kind], &["first_name"], &self.facts, &rules, self.now)
    }

    /// Promotions of these kinds that left within the last `days` local days, today included.
    fn got(&self, days: u32, counts: impl Fn(MessageType) -> bool) -> usize {
        let first = self.today() - Days::new(u64::from(days - 1));
        let day = |it: &Counted| it.at.with_timezone(&Santiago).date_naive();
        self.facts.history.iter().filter(|it| counts(it.message_type) && day(it) >= first).count()
    }

    /// Why a promotion of `kind` that leaves now is a wrong done to its recipient.
    fn wrong(&self, kind: usize) -> Option<String> {
        let local = self.now.with_timezone(&Santiago);
        let promotional = |it: MessageType| it != MessageType::Transactional;
        if self.facts.suppressed.is_some() {
            return Some("excluded".into());
        }
        if !self.facts.has_basis {
            return Some("without consent".into());
        }
        if self.declined[kind] {
            return Some("declined".into());
        }
        if self.facts.rhythm.paused_until.is_some_and(|until| self.today() < until) {
            return Some("in a pause".into());
        }
        if self.facts.rhythm.min_days.is_some_and(|days| self.got(days, promotional) > 0) {
            return Some("more often than asked for".into());
        }
        for cap in &self.caps {
            let counts = |it: MessageType| match cap.message_type {
                None => promotional(it),
                Some(own) => it == own,
            };
            if counts(KINDS[kind]) && self.got(cap.days, counts) >= cap.max_messages as usize {
                return Some(format!("capped by {cap:?}"));
            }
        }
        if let Some((from, until)) = self.facts.quiet {
            let clock = local.time();
            let quiet =
                if from < until { clock >= from && clock < until } else { clock >= from || clock < until };
            if quiet {
                return Some("in quiet hours".into());
            }
        }
        if matches!(local.weekday(), Weekday::Sat | Weekday::Sun) || !(9..18).contains(&local.hour()) {
            return Some("outside the window".into());
        }
        if let Some(holiday) = self.calendar.holiday(self.today()) {
            return Some(holiday.to_owned());
        }
        (self.room == Some(0)).then(|| "the channel's cap is used up".into())
    }
}

fn cap(kind: Option<usize>, max_messages: u32, days: u32) -> Cap {
    Cap { id: 0, channel: Channel::Email, message_type: kind.map(|it| KINDS[it]), max_messages, days }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Starts anywhere in two years, so that both clock changes and ends of months are crossed.
    #[test]
    fn no_sequence_of_events_sends_a_promotion_to_whom_it_must_not_go(
        start in 0..2 * 365 * 24 * 60_i64,
        events in proptest::collection::vec(event(), 1..120),
    ) {
        let start: DateTime<Utc> = "2026-01-01T03:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(start);
        let mut world = World::at(start);
        for event in &events {
            world.happens(event);
            let Event::Run(kind) = event else { continue };
            let promotional = KINDS[*kind].is_promotional();
            match world.decide(*kind) {
                Decision::Allow => {
                    if promotional {
                        prop_assert_eq!(world.wrong(*kind), None, "at {}", world.now.with_timezone(&Santiago));
                        world.room = world.room.map(|it| it - 1);
                    }
                    let at = world.now;
                    world.facts.history.push(Counted { message_type: KINDS[*kind], at });
                }
                Decision::Defer { until, reason, .. } => {
                    prop_assert!(promotional && until > world.now, "{reason:?} until {until}, asked at {}", world.now);
                    prop_assert!(world.wrong(*kind).is_some(), "{reason:?} without a cause");
                }
                Decision::Block { reason, .. } => {
                    prop_assert!(!promotional || world.wrong(*kind).is_some() || world.facts.quiet.is_some(), "{reason:?} without a cause");
                }
            }
        }
    }

    /// Who waits, and lets nothing else happen, gets the message in the end, or is told why not.
    #[test]
    fn who_waits_until_the_stated_times_gets_an_answer(
        start in 0..2 * 365 * 24 * 60_i64,
        events in proptest::collection::vec(event(), 0..40),
        kind in 0..KINDS.len(),
    ) {
        let start: DateTime<Utc> = "2026-01-01T03:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(start);
        let mut world = World::at(start);
        for event in &events {
            world.happens(event);
            if let Event::Run(kind) = event
                && world.decide(*kind) == Decision::Allow
            {
                let at = world.now;
                world.facts.history.push(Counted { message_type: KINDS[*kind], at });
            }
        }
        world.room = None;
        for _ in 0..20 {
            match world.decide(kind) {
                Decision::Allow | Decision::Block { .. } => return Ok(()),
                Decision::Defer { until, .. } => world.now = until,
            }
        }
        prop_assert!(false, "put off for ever");
    }
}
