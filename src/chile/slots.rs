//! When something is due: slots in local time, right across both clock changes. Pure.

use crate::chile::time;
use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

/// A rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every so many minutes, counted from the hour; a divisor of 60.
    EveryMinutes(u32),
    /// Once a local day at this hour.
    DailyAt(u32),
}

impl When {
    /// The latest slot at or before `now`.
    #[must_use]
    pub fn latest(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            When::EveryMinutes(minutes) => {
                let step = i64::from(minutes.max(1)) * 60;
                let seconds = now.timestamp().div_euclid(step) * step;
                DateTime::from_timestamp(seconds, 0).unwrap_or(now)
            }
            When::DailyAt(hour) => {
                let today = time::local_date(now);
                let at = |date| {
                    time::at_local(date, NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or(NaiveTime::MIN))
                };
                if at(today) <= now { at(today) } else { at(today - Days::new(1)) }
            }
        }
    }

    /// The first slot after `now`.
    #[must_use]
    pub fn next(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            When::EveryMinutes(minutes) => self.latest(now) + TimeDelta::minutes(i64::from(minutes.max(1))),
            When::DailyAt(hour) => {
                let tomorrow = time::local_date(self.latest(now)) + Days::new(1);
                time::at_local(tomorrow, NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or(NaiveTime::MIN))
            }
        }
    }

    /// The first slot at `from` or after it.
    #[must_use]
    pub fn at_or_after(self, from: DateTime<Utc>) -> DateTime<Utc> {
        Some(self.latest(from)).filter(|it| *it == from).unwrap_or_else(|| self.next(from))
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            When::EveryMinutes(minutes) => format!("cada {minutes} minutos"),
            When::DailyAt(hour) => format!("cada día a las {hour:02}:00"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn ten_minute_slots_start_on_the_hour() {
        let check = |now: &str, latest: &str, next: &str| {
            let when = When::EveryMinutes(10);
            assert_eq!((when.latest(at(now)), when.next(at(now))), (at(latest), at(next)), "{now}");
        };
        check("2026-11-23T15:09:59Z", "2026-11-23T15:00:00Z", "2026-11-23T15:10:00Z");
        check("2026-11-23T15:10:00Z", "2026-11-23T15:10:00Z", "2026-11-23T15:20:00Z");
        let first = |from: &str| When::EveryMinutes(10).at_or_after(at(from));
        assert_eq!(first("2026-11-23T15:10:00Z"), at("2026-11-23T15:10:00Z"));
        assert_eq!(first("2026-11-23T15:10:00.5Z"), at("2026-11-23T15:20:00Z"));
    }

    #[test]
    fn a_daily_slot_comes_once_a_local_day_also_when_clocks_change() {
        let when = When::DailyAt(4);
        // 2026-04-05 has 25 hours, 2026-09-06 has 23.
        for (now, latest, next) in [
            ("2026-04-05T10:00:00Z", "2026-04-05T08:00:00Z", "2026-04-06T08:00:00Z"),
            ("2026-09-06T10:00:00Z", "2026-09-06T07:00:00Z", "2026-09-07T07:00:00Z"),
            ("2026-09-06T06:59:00Z", "2026-09-05T08:00:00Z", "2026-09-06T07:00:00Z"),
        ] {
            assert_eq!((when.latest(at(now)), when.next(at(now))), (at(latest), at(next)), "{now}");
        }
    }

    #[test]
    fn no_night_of_2026_2027_or_a_leap_year_skips_or_repeats_a_slot() {
        for night in ["2026-04-04", "2026-09-05", "2027-04-03", "2027-09-04", "2028-02-28"] {
            let from = at(&format!("{night}T00:00:00Z"));
            for hour in 0..24 {
                let when = When::DailyAt(hour);
                let mut slots: Vec<DateTime<Utc>> =
                    (0..4 * 24 * 12).map(|n| when.latest(from + TimeDelta::minutes(5 * n))).collect();
                assert!(slots.is_sorted(), "{night} {hour}");
                slots.dedup();
                let days: Vec<_> = slots.iter().map(|it| time::local_date(*it)).collect();
                assert!(days.windows(2).all(|it| it[0] + Days::new(1) == it[1]), "{night} {hour}: {days:?}");
                assert!(slots.windows(2).all(|it| when.next(it[0]) == it[1]), "{night} {hour}: {slots:?}");
            }
        }
    }
}
