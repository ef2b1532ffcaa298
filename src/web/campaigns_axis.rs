//! The axis under the drawing by hour or by day: a few of its moments, where they begin. The drawing is stretched to the page and
//! words must not be, so that the axis is told in parts of the width.

use crate::chile::time;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Timelike as _, Utc};

/// Labels for which there is room on a phone.
const MOST: usize = 5;

/// Hours, and days, from one label to the next.
const HOURS: [usize; 6] = [1, 2, 3, 6, 12, 24];
const DAYS: [usize; 4] = [1, 2, 7, 14];

/// A moment that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// Where it stands, as a part of the width.
    pub(super) at: String,
    /// The hour, or the day.
    pub(super) label: String,
    /// The day, under the first hour that is named and the first of each other day; else empty.
    pub(super) day: String,
}

/// The moments that are named of `places` hours, the first of them `first`.
pub(super) fn hours(first: DateTime<Utc>, places: usize) -> Vec<Tick> {
    let step = step(&HOURS, places);
    let mut ticks: Vec<Tick> = Vec::new();
    let mut told: Option<NaiveDate> = None;
    for place in 0..places {
        let at = time::local(first + TimeDelta::hours(i64::try_from(place).unwrap_or_default()));
        let day = at.date_naive();
        if !(at.hour() as usize).is_multiple_of(step) {
            continue;
        }
        let is_new = told.replace(day) != Some(day);
        ticks.push(Tick {
            label: at.format("%H:%M").to_string(),
            day: if is_new { short(day) } else { String::new() },
            ..tick(place, places, false)
        });
    }
    ticks
}

/// The days that are named of `places`, the first of them that of `first`.
pub(super) fn days(first: DateTime<Utc>, places: usize) -> Vec<Tick> {
    let day = |place: usize| time::local_date(first) + Days::new(u64::try_from(place).unwrap_or_default());
    let named = (0..places).step_by(step(&DAYS, places));
    named.map(|place| Tick { label: short(day(place)), ..tick(place, places, true) }).collect()
}

/// The least of `steps` by which no more are named than there is room for.
fn step(steps: &[usize], places: usize) -> usize {
    let fits = |it: &&usize| places.div_ceil(**it) <= MOST;
    steps.iter().find(fits).or(steps.last()).copied().unwrap_or(1)
}

/// Hours are named where they begin, days in their middle.
fn tick(place: usize, places: usize, in_middle: bool) -> Tick {
    let permille = (place * 2 + usize::from(in_middle)) * 500 / places.max(1);
    let at = format!("{}.{}%", permille / 10, permille % 10);
    Tick { at, label: String::new(), day: String::new() }
}

/// `23-11`.
fn short(day: NaiveDate) -> String {
    format!("{:02}-{:02}", day.day(), day.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn told(ticks: &[Tick]) -> Vec<(&str, &str, &str)> {
        ticks.iter().map(|it| (it.at.as_str(), it.label.as_str(), it.day.as_str())).collect()
    }

    #[test]
    fn round_hours_are_named_where_they_begin_and_each_day_once() {
        let ticks = hours(at("2026-11-23T09:00:00-03:00"), 24);
        assert_eq!(
            told(&ticks),
            [
                ("12.5%", "12:00", "23-11"),
                ("37.5%", "18:00", ""),
                ("62.5%", "00:00", "24-11"),
                ("87.5%", "06:00", "")
            ]
        );
    }

    #[test]
    fn days_are_named_from_the_first_on() {
        assert_eq!(
            told(&days(at("2026-11-23T09:00:00-03:00"), 24)),
            [("2.0%", "23-11", ""), ("31.2%", "30-11", ""), ("60.4%", "07-12", ""), ("89.5%", "14-12", "")]
        );
    }

    #[test]
    fn there_is_always_something_to_read_and_never_too_much() {
        let first = at("2026-09-05T22:00:00-04:00");
        for places in 24..=60 {
            let (hours, days) = (hours(first, places).len(), days(first, places).len());
            assert!((1..=MOST).contains(&days), "{places}: {days} days");
            // The night on which an hour is missing may bring one more.
            assert!((1..=MOST + 1).contains(&hours), "{places}: {hours} hours");
        }
    }
}
