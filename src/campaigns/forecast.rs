//! On which days and at what hours a campaign would leave: a dry march through the runs of the drip under the windows,
//! the holidays and the caps, with the other campaigns that share the channel's cap beside it, in the order in which a
//! run takes them. Pure.

use crate::{
    chile::{business_hours::BusinessHours, holidays::Calendar, slots::When, time},
    messaging::{streams, warm_up::Plan},
};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use std::time::Duration;

/// Minutes between two runs of the drip.
pub const RUN_EVERY_MINUTES: u32 = 10;

/// When the drip runs, where this program keeps the time.
pub const RUNS: When = When::EveryMinutes(RUN_EVERY_MINUTES);

/// Longest march: who needs more than this should not wait for the date.
const HORIZON_DAYS: u64 = 730;

/// Messages that leave at one pace.
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// When they may leave; none: at any hour and under no cap, which is so for what is no promotion.
    pub hours: Option<&'a BusinessHours>,
    /// Messages a run.
    pub batch_size: u32,
    /// Seconds between two messages.
    pub spacing_seconds: u32,
    /// Messages a local day of this stream alone.
    pub daily_cap: Option<u32>,
    /// Messages that already count against that cap today.
    pub sent_today: u32,
    /// Messages that wait for nothing but their turn.
    pub ready: u64,
    /// Messages that join them on later local days, in order.
    pub later: Vec<(NaiveDate, u64)>,
    /// Messages that join them at one instant.
    pub rest: Option<(DateTime<Utc>, u64)>,
}

/// What sets the pace.
#[derive(Clone, Debug)]
pub struct Pace<'a> {
    /// Holidays.
    pub calendar: &'a Calendar,
    /// Promotions a local day, of all streams together.
    pub channel_cap: Option<u32>,
    /// How that cap grows after each day that used it; none: not at all.
    pub growth: Option<Plan>,
    /// Promotions that already count against it today.
    pub sent_today: u32,
    /// Every stream of the channel, in the order in which a run takes them.
    pub streams: Vec<Stream<'a>>,
    /// Which of them is asked about.
    pub own: usize,
    /// How long a run begins messages.
    pub run_lasts: Duration,
    /// Messages of all streams that leave in a run, at most; none: no limit.
    pub run_cap: Option<u32>,
    /// When runs are; none: somebody else's clock asks for them, which may be at any time.
    pub runs: Option<When>,
    /// Nothing leaves before: a launch may be held.
    pub begins: DateTime<Utc>,
}

impl Pace<'_> {
    /// The first run at `from` or after it.
    fn run_from(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        self.runs.map_or(from, |it| it.at_or_after(from))
    }
}

/// What leaves on one local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Day {
    /// The day.
    pub date: NaiveDate,
    /// Messages.
    pub messages: u64,
    /// First run with one.
    pub from: DateTime<Utc>,
    /// Last run with one.
    pub until: DateTime<Utc>,
}

/// When the messages would leave.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Forecast {
    /// First message.
    pub starts: DateTime<Utc>,
    /// Last message; none: not within two years.
    pub ends: Option<DateTime<Utc>>,
    /// Each day on which some leave.
    pub days: Vec<Day>,
}

/// March through the runs from `from` on. None: the window never opens, or there is nothing to send.
#[must_use]
pub fn march(pace: &Pace<'_>, from: DateTime<Utc>) -> Option<Forecast> {
    let horizon = from + Days::new(HORIZON_DAYS);
    let mut lanes: Vec<Lane<'_>> = pace.streams.iter().map(|it| Lane::new(it, pace.run_lasts)).collect();
    let mut today =
        Today { date: time::local_date(from), used: pace.sent_today.into(), cap: pace.channel_cap };
    let (mut at, mut days) = (pace.run_from(pace.begins.max(from)), Vec::new());
    // What counts today counts no more where the first run is tomorrow's.
    for lane in &mut lanes {
        lane.turn(today.date);
    }
    while at < horizon {
        let date = time::local_date(at);
        today.turn(date, pace.growth);
        let mut run_left = pace.run_cap.map_or(u64::MAX, u64::from);
        for (index, lane) in lanes.iter_mut().enumerate() {
            lane.turn(date);
            lane.join(at);
            let leaving = lane.leave(at, &mut today, pace.calendar, &mut run_left);
            if index == pace.own && leaving > 0 {
                tell(&mut days, date, at, leaving);
            }
        }
        let own = lanes.get(pace.own)?;
        if own.is_done() {
            return forecast(days, Some(at));
        }
        if own.next(at, &today, pace.calendar).is_none() {
            break;
        }
        let next =
            lanes.iter().filter(|it| !it.is_done()).filter_map(|it| it.next(at, &today, pace.calendar));
        match next.min() {
            Some(next) => at = pace.run_from(next),
            None => break,
        }
    }
    forecast(days, None)
}

fn forecast(days: Vec<Day>, ends: Option<DateTime<Utc>>) -> Option<Forecast> {
    days.first().map(|it| it.from).map(|starts| Forecast { starts, ends, days })
}

fn tell(days: &mut Vec<Day>, date: NaiveDate, at: DateTime<Utc>, leaving: u64) {
    match days.last_mut().filter(|it| it.date == date) {
        Some(day) => {
            day.messages += leaving;
            day.until = at;
        }
        None => days.push(Day { date, messages: leaving, from: at, until: at }),
    }
}

/// A stream on the march.
struct Lane<'a> {
    stream: &'a Stream<'a>,
    per_run: u64,
    ready: u64,
    /// Those of `later` that have joined.
    joined: usize,
    /// Those who have yet to join at their instant.
    rest: Option<(DateTime<Utc>, u64)>,
    date: Option<NaiveDate>,
    used: u64,
}

impl<'a> Lane<'a> {
    fn new(stream: &'a Stream<'a>, run_lasts: Duration) -> Lane<'a> {
        let turns = streams::in_one_run(stream.spacing_seconds, Some(run_lasts));
        Lane {
            stream,
            per_run: u64::from(stream.batch_size.max(1).min(turns)),
            ready: stream.ready,
            joined: 0,
            rest: stream.rest,
            date: None,
            used: stream.sent_today.into(),
        }
    }

    fn is_done(&self) -> bool {
        self.ready == 0 && self.joined == self.stream.later.len() && self.rest.is_none()
    }

    /// It is `date`: who was to wait until then is ready, and the day's own cap is free.
    fn turn(&mut self, date: NaiveDate) {
        if self.date.is_some_and(|it| it != date) {
            self.used = 0;
        }
        self.date = Some(date);
        while let Some((_, more)) = self.stream.later.get(self.joined).filter(|it| it.0 <= date) {
            self.ready += more;
            self.joined += 1;
        }
    }

    /// It is `at`: who was to wait until then is ready.
    fn join(&mut self, at: DateTime<Utc>) {
        if let Some((_, more)) = self.rest.take_if(|it| it.0 <= at) {
            self.ready += more;
        }
    }

    /// Messages that both caps still allow.
    fn room(&self, today: &Today) -> u64 {
        match (self.stream.hours, self.stream.daily_cap) {
            (None, _) => u64::MAX,
            (Some(_), None) => today.room(),
            (Some(_), Some(cap)) => today.room().min(u64::from(cap).saturating_sub(self.used)),
        }
    }

    fn is_open(&self, at: DateTime<Utc>, calendar: &Calendar) -> bool {
        self.stream.hours.is_none_or(|it| it.is_open(at, calendar))
    }

    /// What a run at `at` sends.
    fn leave(
        &mut self,
        at: DateTime<Utc>,
        today: &mut Today,
        calendar: &Calendar,
        run_left: &mut u64,
    ) -> u64 {
        if self.ready == 0 || !self.is_open(at, calendar) {
            return 0;
        }
        let leaving = self.per_run.min(self.ready).min(self.room(today)).min(*run_left);
        *run_left -= leaving;
        self.ready -= leaving;
        self.used += leaving;
        if self.stream.hours.is_some() {
            today.used += leaving;
        }
        leaving
    }

    /// The next run that may send something; none: there is none.
    fn next(&self, at: DateTime<Utc>, today: &Today, calendar: &Calendar) -> Option<DateTime<Utc>> {
        let from = match self.ready {
            0 => {
                let day = self.stream.later.get(self.joined).map(|it| time::start_of_day(it.0));
                day.into_iter().chain(self.rest.map(|it| it.0)).min()?
            }
            _ if !self.is_open(at, calendar) => at,
            _ if self.room(today) == 0 => time::start_of_day(today.date + Days::new(1)),
            _ => at + TimeDelta::minutes(RUN_EVERY_MINUTES.into()),
        };
        match self.stream.hours {
            None => Some(from),
            Some(hours) => hours.next_open(from, calendar),
        }
    }
}

/// The day that the march is at, with the channel's cap.
struct Today {
    date: NaiveDate,
    used: u64,
    cap: Option<u32>,
}

impl Today {
    /// It is `date`. The cap grows from the day before, supposing that it went well.
    fn turn(&mut self, date: NaiveDate, growth: Option<Plan>) {
        if self.date != date {
            let grown = match (self.cap, growth) {
                (Some(cap), Some(plan)) if Plan::is_used(self.used, cap) => Some(plan.grown(cap)),
                (cap, _) => cap,
            };
            *self = Today { date, used: 0, cap: grown };
        }
    }

    fn room(&self) -> u64 {
        self.cap.map_or(u64::MAX, |cap| u64::from(cap).saturating_sub(self.used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::drain::RUN_LASTS;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// From Monday 23 November 2026, 08:00 in Santiago (UTC-3).
    fn marched(messages: u64, change: impl FnOnce(&mut Pace<'_>)) -> Option<Forecast> {
        let (calendar, hours) = (Calendar::default(), BusinessHours::default());
        let stream = Stream {
            hours: Some(&hours),
            batch_size: 30,
            spacing_seconds: 0,
            daily_cap: None,
            sent_today: 0,
            ready: messages,
            later: Vec::new(),
            rest: None,
        };
        let mut pace = Pace {
            calendar: &calendar,
            channel_cap: Some(50),
            growth: None,
            sent_today: 0,
            streams: vec![stream],
            own: 0,
            run_lasts: RUN_LASTS,
            run_cap: None,
            runs: Some(RUNS),
            begins: at("2026-11-23T11:00:00Z"),
        };
        change(&mut pace);
        march(&pace, at("2026-11-23T11:00:00Z"))
    }

    fn ends(messages: u64, change: impl FnOnce(&mut Pace<'_>)) -> Option<String> {
        Some(time::local(marched(messages, change)?.ends?).format("%a %d-%m %H:%M").to_string())
    }

    /// An instant as [`ends`] tells it.
    fn ends_at(instant: &str) -> String {
        time::local(at(instant)).format("%a %d-%m %H:%M").to_string()
    }

    /// Each day as `24 50 09:00-09:10`.
    fn days(messages: u64, change: impl FnOnce(&mut Pace<'_>)) -> Vec<String> {
        let clock = |at| time::local(at).format("%H:%M").to_string();
        let marched = marched(messages, change).unwrap();
        let told = marched.days.iter().map(|it| {
            format!("{} {} {}-{}", it.date.format("%d"), it.messages, clock(it.from), clock(it.until))
        });
        told.collect()
    }

    #[test]
    fn batches_and_caps_set_the_day_and_the_hour() {
        assert_eq!(ends(30, |_| ()).as_deref(), Some("Mon 23-11 09:00"));
        assert_eq!(ends(50, |_| ()).as_deref(), Some("Mon 23-11 09:10"));
        assert_eq!(ends(51, |_| ()).as_deref(), Some("Tue 24-11 09:00"));
        assert_eq!(ends(50, |it| it.sent_today = 50).as_deref(), Some("Tue 24-11 09:10"));
        assert_eq!(ends(300, |it| it.channel_cap = None).as_deref(), Some("Mon 23-11 10:30"));
        assert_eq!(ends(0, |_| ()), None);
    }

    #[test]
    fn each_day_tells_how_many_leave_and_from_when_until_when() {
        assert_eq!(days(120, |_| ()), ["23 50 09:00-09:10", "24 50 09:00-09:10", "25 20 09:00-09:00"]);
        // A cap of its own beside the channel's, of which some is gone today.
        let own = |it: &mut Pace<'_>| {
            it.streams[0].daily_cap = Some(40);
            it.streams[0].sent_today = 25;
        };
        assert_eq!(
            days(100, own),
            ["23 15 09:00-09:00", "24 40 09:00-09:10", "25 40 09:00-09:10", "26 5 09:00-09:00"]
        );
    }

    #[test]
    fn who_waits_for_a_day_of_their_own_leaves_on_it_or_after() {
        let later = |it: &mut Pace<'_>| {
            // A Saturday, and a Wednesday.
            it.streams[0].later = vec![(day("2026-11-28"), 10), (day("2026-12-02"), 5)];
        };
        assert_eq!(days(20, later), ["23 20 09:00-09:00", "30 10 09:00-09:00", "02 5 09:00-09:00"]);
        assert_eq!(days(0, later), ["30 10 09:00-09:00", "02 5 09:00-09:00"]);
    }

    #[test]
    fn other_campaigns_take_their_share_of_the_channels_cap_in_their_turn() {
        let beside = |first: bool| {
            move |it: &mut Pace<'_>| {
                let other = Stream { ready: 60, ..it.streams[0].clone() };
                it.streams.insert(usize::from(!first), other);
                it.own = usize::from(first);
            }
        };
        // The other goes before: 30 of its own and 20 of ours on the first day.
        assert_eq!(days(50, beside(true)), ["23 20 09:00-09:00", "24 20 09:00-09:00", "25 10 09:00-09:00"]);
        assert_eq!(days(50, beside(false)), ["23 30 09:00-09:00", "24 20 09:00-09:00"]);
        // One that is no promotion shares nothing.
        let service = |it: &mut Pace<'_>| {
            let other = Stream { ready: 600, hours: None, ..it.streams[0].clone() };
            it.streams.insert(0, other);
            it.own = 1;
        };
        assert_eq!(days(50, service), ["23 50 09:00-09:10"]);
    }

    #[test]
    fn a_channel_that_warms_up_ends_sooner() {
        // 50, 65, 85 and 100 make 300 by Thursday; at 50 a day it takes six days.
        let warming = |ceiling| move |it: &mut Pace<'_>| it.growth = Some(Plan { start: 50, ceiling });
        assert_eq!(ends(300, warming(Some(100))).as_deref(), Some("Thu 26-11 09:30"));
        assert_eq!(ends(300, warming(Some(50))).as_deref(), Some("Mon 30-11 09:10"));
    }

    #[test]
    fn weekends_and_holidays_are_skipped() {
        // Five days of 50 end on Friday; the sixth is Monday.
        assert_eq!(ends(300, |_| ()).as_deref(), Some("Mon 30-11 09:10"));
        // Eleven working days, but Tuesday 8 December is Inmaculada Concepción (Ley 2.977).
        assert_eq!(ends(600, |_| ()).as_deref(), Some("Wed 09-12 09:10"));
    }

    #[test]
    fn spacing_lowers_what_a_run_can_send() {
        let slow = |it: &mut Pace<'_>| {
            it.channel_cap = None;
            it.streams[0].spacing_seconds = 60;
        };
        // Nine a run, which begins messages for nine minutes.
        assert_eq!(ends(27, slow).as_deref(), Some("Mon 23-11 09:20"));
        assert_eq!(ends(28, slow).as_deref(), Some("Mon 23-11 09:30"));
    }

    #[test]
    fn the_pace_of_the_channel_is_shared_in_the_order_of_a_run() {
        let paced = |it: &mut Pace<'_>| {
            it.channel_cap = None;
            it.run_cap = Some(40);
            let other = Stream { ready: 60, ..it.streams[0].clone() };
            it.streams.insert(0, other);
            it.own = 1;
        };
        // Ten beside thirty of the other, twice, and then thirty by itself.
        assert_eq!(ends(20, paced).as_deref(), Some("Mon 23-11 09:10"));
        assert_eq!(ends(50, paced).as_deref(), Some("Mon 23-11 09:20"));
    }

    #[test]
    fn service_messages_wait_for_nothing() {
        assert_eq!(ends(60, |it| it.streams[0].hours = None).as_deref(), Some("Mon 23-11 08:10"));
    }

    #[test]
    fn nothing_leaves_before_the_next_run_and_the_end_of_the_hold() {
        let held = |begins: &'static str, runs| {
            move |it: &mut Pace<'_>| {
                it.begins = at(begins);
                it.runs = runs;
            }
        };
        // Two minutes past twelve: the next run is at ten past.
        assert_eq!(days(50, held("2026-11-23T15:02:00Z", Some(RUNS))), ["23 50 12:10-12:20"]);
        assert_eq!(days(50, held("2026-11-23T15:10:00Z", Some(RUNS))), ["23 50 12:10-12:20"]);
        // Who asks for runs by a clock of their own may do so at once.
        assert_eq!(days(50, held("2026-11-23T15:02:00Z", None)), ["23 50 12:02-12:12"]);
        // A window that opens between two runs is met by the second of them.
        let opens = BusinessHours {
            opens: chrono::NaiveTime::from_hms_opt(9, 5, 0).unwrap(),
            ..BusinessHours::default()
        };
        let odd = days(30, |it| it.streams[0].hours = Some(Box::leak(Box::new(opens))));
        assert_eq!(odd, ["23 30 09:10-09:10"]);
        // What was sent today takes nothing from tomorrow.
        let tomorrow = |it: &mut Pace<'_>| {
            it.begins = at("2026-11-24T15:00:00Z");
            it.sent_today = 50;
            it.streams[0].daily_cap = Some(40);
            it.streams[0].sent_today = 40;
        };
        assert_eq!(days(40, tomorrow), ["24 40 12:00-12:10"]);
    }

    #[test]
    fn what_takes_years_says_so() {
        assert!(marched(1_000_000, |_| ()).is_some_and(|it| it.ends.is_none() && it.days.len() > 400));
        let never = BusinessHours { days: [false; 7], ..BusinessHours::default() };
        let calendar = Calendar::default();
        let streams = vec![Stream {
            hours: Some(&never),
            batch_size: 30,
            spacing_seconds: 0,
            daily_cap: None,
            sent_today: 0,
            ready: 3,
            later: Vec::new(),
            rest: None,
        }];
        let pace = Pace {
            calendar: &calendar,
            channel_cap: None,
            growth: None,
            sent_today: 0,
            streams,
            own: 0,
            run_lasts: RUN_LASTS,
            run_cap: None,
            runs: Some(RUNS),
            begins: at("2026-11-23T11:00:00Z"),
        };
        assert_eq!(march(&pace, at("2026-11-23T11:00:00Z")), None);
    }

    #[test]
    fn the_rest_joins_at_its_instant_and_leaves_from_then_on() {
        let joins = |when: &'static str| {
            move |it: &mut Pace<'_>| {
                it.channel_cap = None;
                it.streams[0].rest = Some((at(when), 30));
            }
        };
        // 16:00 on the same day; and at night, when the window is closed.
        assert_eq!(ends(30, joins("2026-11-23T19:00:00Z")), Some(ends_at("2026-11-23T19:00:00Z")));
        assert_eq!(ends(30, joins("2026-11-24T02:00:00Z")), Some(ends_at("2026-11-24T12:00:00Z")));
        let days = marched(30, joins("2026-11-24T02:00:00Z")).unwrap().days;
        assert_eq!(days.iter().map(|it| it.messages).collect::<Vec<_>>(), [30, 30]);
    }
}
