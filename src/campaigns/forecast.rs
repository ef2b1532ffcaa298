//! When a campaign would end: a dry march through the runs of the drip under the
//! window, the holidays and the caps. Pure; it does not know other campaigns,
//! whose messages share the channel's cap, and the pages that show it say so.

use crate::{
    chile::{business_hours::BusinessHours, holidays::Calendar, time},
    messaging::warm_up::Plan,
};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// Minutes between two runs of the drip.
pub const RUN_EVERY_MINUTES: i64 = 10;

/// Longest march: who needs more than this should not wait for the date.
const HORIZON_DAYS: u64 = 730;

/// What sets the pace.
#[derive(Clone, Debug)]
pub struct Pace<'a> {
    /// Holidays.
    pub calendar: &'a Calendar,
    /// When messages may leave.
    pub hours: &'a BusinessHours,
    /// Whether window and caps hold at all: they do for promotions.
    pub promotional: bool,
    /// Messages a run.
    pub batch_size: u32,
    /// Seconds between two messages.
    pub spacing_seconds: u32,
    /// Messages a local day: the lower of the channel's and the campaign's cap.
    pub daily_cap: Option<u32>,
    /// How that cap grows after each day that used it; none: not at all.
    pub growth: Option<Plan>,
    /// Messages that already count against today's cap.
    pub sent_today: u32,
}

/// When the first and the last message would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Forecast {
    /// First message.
    pub starts: DateTime<Utc>,
    /// Last message; none: not within two years.
    pub ends: Option<DateTime<Utc>>,
}

/// March `messages` through the runs that begin at `from`. None: the window never opens.
#[must_use]
pub fn march(pace: &Pace<'_>, messages: u64, from: DateTime<Utc>) -> Option<Forecast> {
    let step = TimeDelta::minutes(RUN_EVERY_MINUTES);
    let per_run = per_run(pace);
    let horizon = from + Days::new(HORIZON_DAYS);
    let (mut left, mut at, mut starts) = (messages.max(1), from, None);
    let mut today =
        Today { date: time::local_date(from), used: u64::from(pace.sent_today), cap: pace.daily_cap };
    while at < horizon {
        if pace.promotional && !pace.hours.is_open(at, pace.calendar) {
            let opens = pace.hours.next_open(at, pace.calendar);
            match opens.filter(|it| *it > at) {
                Some(opens) => at = opens,
                None if starts.is_none() => return None,
                None => break,
            }
            continue;
        }
        let room = room(pace, &mut today, time::local_date(at));
        let leaving = per_run.min(room).min(left);
        if leaving > 0 {
            starts.get_or_insert(at);
            left -= leaving;
            today.used += leaving;
        }
        if left == 0 {
            return starts.map(|starts| Forecast { starts, ends: Some(at) });
        }
        at = if room <= leaving { time::start_of_day(today.date + Days::new(1)) } else { at + step };
    }
    starts.map(|starts| Forecast { starts, ends: None })
}

/// Messages that one run can send before the next is due.
fn per_run(pace: &Pace<'_>) -> u64 {
    let in_time = match pace.spacing_seconds {
        0 => u64::MAX,
        seconds => (RUN_EVERY_MINUTES.unsigned_abs() * 60 / u64::from(seconds)).max(1),
    };
    u64::from(pace.batch_size.max(1)).min(in_time)
}

/// The day that the march is at.
struct Today {
    date: NaiveDate,
    used: u64,
    cap: Option<u32>,
}

/// Messages that the cap still allows on `date`. A day that is begun grows from the one before, supposing that it went well.
fn room(pace: &Pace<'_>, today: &mut Today, date: NaiveDate) -> u64 {
    if today.date != date {
        let grown = match (today.cap, pace.growth) {
            (Some(cap), Some(plan)) if Plan::is_used(today.used, cap) => Some(plan.grown(cap)),
            (cap, _) => cap,
        };
        *today = Today { date, used: 0, cap: grown };
    }
    match today.cap.filter(|_| pace.promotional) {
        None => u64::MAX,
        Some(cap) => u64::from(cap).saturating_sub(today.used),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// From Monday 23 November 2026, 08:00 in Santiago (UTC-3).
    fn ends(messages: u64, change: impl FnOnce(&mut Pace<'_>)) -> Option<String> {
        let (calendar, hours) = (Calendar::default(), BusinessHours::default());
        let mut pace = Pace {
            calendar: &calendar,
            hours: &hours,
            promotional: true,
            batch_size: 30,
            spacing_seconds: 0,
            daily_cap: Some(50),
            growth: None,
            sent_today: 0,
        };
        change(&mut pace);
        let forecast = march(&pace, messages, at("2026-11-23T11:00:00Z"))?;
        Some(time::local(forecast.ends?).format("%a %d-%m %H:%M").to_string())
    }

    #[test]
    fn batches_and_caps_set_the_day_and_the_hour() {
        assert_eq!(ends(30, |_| ()).as_deref(), Some("Mon 23-11 09:00"));
        assert_eq!(ends(50, |_| ()).as_deref(), Some("Mon 23-11 09:10"));
        assert_eq!(ends(51, |_| ()).as_deref(), Some("Tue 24-11 09:00"));
        assert_eq!(ends(50, |it| it.sent_today = 50).as_deref(), Some("Tue 24-11 09:10"));
        assert_eq!(ends(300, |it| it.daily_cap = None).as_deref(), Some("Mon 23-11 10:30"));
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
            it.daily_cap = None;
            it.spacing_seconds = 60;
        };
        assert_eq!(ends(30, slow).as_deref(), Some("Mon 23-11 09:20"));
    }

    #[test]
    fn service_messages_wait_for_nothing() {
        assert_eq!(ends(60, |it| it.promotional = false).as_deref(), Some("Mon 23-11 08:10"));
    }

    #[test]
    fn what_takes_years_says_so() {
        assert_eq!(ends(1_000_000, |_| ()), None);
    }
}
