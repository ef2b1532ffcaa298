//! Chile's civil time (America/Santiago), without the traps: on clock-change
//! days an hour is missing or comes twice, and midnight may not exist.

use chrono::{
    DateTime, Days, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::{America::Santiago, Tz};

/// `at` on the clocks of Santiago.
#[must_use]
pub fn local(at: DateTime<Utc>) -> DateTime<Tz> {
    at.with_timezone(&Santiago)
}

/// The local day of `at`.
#[must_use]
pub fn local_date(at: DateTime<Utc>) -> NaiveDate {
    local(at).date_naive()
}

/// The instant at which clocks show `time` on `date`. Of an hour that comes
/// twice, the first; of an hour that is skipped, the instant of the jump: what
/// was planned for 00:30 happens when clocks go from 00:00 to 01:00.
#[must_use]
pub fn at_local(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    resolve(date.and_time(time))
}

/// The first instant of the local day: 01:00 on days whose midnight is skipped.
#[must_use]
pub fn start_of_day(date: NaiveDate) -> DateTime<Utc> {
    at_local(date, NaiveTime::MIN)
}

/// The first instant of the local day after that of `at`.
#[must_use]
pub fn start_of_next_day(at: DateTime<Utc>) -> DateTime<Utc> {
    start_of_day(local_date(at).checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX))
}

fn resolve(wall: NaiveDateTime) -> DateTime<Utc> {
    match Santiago.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
        MappedLocalTime::None => after_the_gap(wall),
    }
}

/// `wall` exists on no clock: the instant at which clocks jumped over it.
fn after_the_gap(wall: NaiveDateTime) -> DateTime<Utc> {
    // Read with the offset in force before the gap, the wall time lies behind
    // the jump by as much as it lies into the gap; the jump is on a whole minute.
    let into_day = wall.time() - NaiveTime::MIN;
    let mut minute =
        wall - TimeDelta::nanoseconds(into_day.num_nanoseconds().unwrap_or_default() % 60_000_000_000);
    for _ in 0..24 * 60 {
        minute -= TimeDelta::minutes(1);
        if let Some(before) = Santiago.from_local_datetime(&minute).latest() {
            return before.to_utc() + TimeDelta::minutes(1);
        }
    }
    // No zone has ever skipped a whole day here; winter time is the nearest truth.
    (wall + TimeDelta::hours(4)).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_without_midnight_starts_at_one() {
        assert_eq!(start_of_day(day("2026-09-06")), utc("2026-09-06T04:00:00Z"));
        assert_eq!(local(start_of_day(day("2026-09-06"))).to_string(), "2026-09-06 01:00:00 -03");
        assert_eq!(start_of_day(day("2027-09-05")), utc("2027-09-05T04:00:00Z"));
        assert_eq!(
            at_local(day("2026-09-06"), NaiveTime::from_hms_opt(0, 30, 1).unwrap()),
            utc("2026-09-06T04:00:00Z")
        );
    }

    #[test]
    fn of_an_hour_that_comes_twice_the_first_is_meant() {
        let late = NaiveTime::from_hms_opt(23, 30, 0).unwrap();
        assert_eq!(at_local(day("2026-04-04"), late), utc("2026-04-05T02:30:00Z"));
        assert_eq!(start_of_day(day("2026-04-05")), utc("2026-04-05T04:00:00Z"));
        assert_eq!(start_of_next_day(utc("2026-04-05T03:15:00Z")), utc("2026-04-05T04:00:00Z"));
        // Day of 25 hours.
        assert_eq!(start_of_day(day("2026-04-05")) - start_of_day(day("2026-04-04")), TimeDelta::hours(25));
    }

    #[test]
    fn ordinary_days_are_ordinary() {
        assert_eq!(start_of_day(day("2026-07-01")), utc("2026-07-01T04:00:00Z"));
        assert_eq!(start_of_day(day("2026-12-01")), utc("2026-12-01T03:00:00Z"));
        assert_eq!(local_date(utc("2026-12-01T02:59:59Z")), day("2026-11-30"));
    }

    proptest! {
        #[test]
        fn every_day_starts_on_itself(days in 0_u64..40_000) {
            let date = day("1990-01-01") + Days::new(days);
            let start = start_of_day(date);
            prop_assert_eq!(local_date(start), date);
            prop_assert!(local_date(start - TimeDelta::seconds(1)) < date);
        }
    }
}
