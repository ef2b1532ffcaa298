//! When promotions may leave, in local time: the days of the week, from when
//! until when, and whether public holidays count. Knows no channel and no message.

use super::{format, holidays::Calendar, time};
use crate::error::{Error, FieldError, Result};
use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far ahead an opening is looked for: beyond this, it never opens.
const HORIZON_DAYS: u64 = 400;

/// A weekly window in local time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BusinessHours {
    /// Days on which it opens, Monday first.
    pub days: [bool; 7],
    /// First minute.
    pub opens: NaiveTime,
    /// First minute after.
    pub closes: NaiveTime,
    /// Whether it stays closed on public holidays.
    pub skip_holidays: bool,
}

impl Default for BusinessHours {
    fn default() -> BusinessHours {
        BusinessHours {
            days: [true, true, true, true, true, false, false],
            opens: NaiveTime::from_hms_opt(9, 0, 0).unwrap_or(NaiveTime::MIN),
            closes: NaiveTime::from_hms_opt(18, 0, 0).unwrap_or(NaiveTime::MIN),
            skip_holidays: true,
        }
    }
}

/// Why nothing leaves at some instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A public holiday, or a day that the business added.
    Holiday(String),
    /// A day of the week without hours.
    Weekday(NaiveDate),
    /// Before opening or after closing.
    OutsideHours,
}

impl Closed {
    /// As stored in `defer_reason`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Closed::Holiday(_) => "HOLIDAY",
            Closed::Weekday(_) => "WEEKDAY",
            Closed::OutsideHours => "OUTSIDE_HOURS",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::Holiday(name) => write!(f, "feriado: {name}"),
            Closed::Weekday(day) => write!(f, "los {} no se envía", plural(format::weekday(*day))),
            Closed::OutsideHours => f.write_str("fuera del horario de envío"),
        }
    }
}

/// `lunes` stays, `sábado` takes an s.
fn plural(weekday: &str) -> String {
    if weekday.ends_with('s') { weekday.to_owned() } else { format!("{weekday}s") }
}

impl BusinessHours {
    /// Whether promotions may leave at `at`.
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>, calendar: &Calendar) -> bool {
        self.window(time::local_date(at), calendar).is_some_and(|(opens, closes)| opens <= at && at < closes)
    }

    /// The first instant from `at` on at which promotions may leave; none where
    /// that never happens within 400 days.
    #[must_use]
    pub fn next_open(&self, at: DateTime<Utc>, calendar: &Calendar) -> Option<DateTime<Utc>> {
        let today = time::local_date(at);
        (0..=HORIZON_DAYS).find_map(|ahead| {
            let (opens, closes) = self.window(today.checked_add_days(Days::new(ahead))?, calendar)?;
            let from = opens.max(at);
            (from < closes).then_some(from)
        })
    }

    /// Why nothing may leave at `at`; none while it may.
    #[must_use]
    pub fn closed_because(&self, at: DateTime<Utc>, calendar: &Calendar) -> Option<Closed> {
        if self.is_open(at, calendar) {
            return None;
        }
        let today = time::local_date(at);
        Some(match calendar.holiday(today) {
            Some(name) if self.skip_holidays => Closed::Holiday(name.to_owned()),
            _ if !self.opens_on(today) => Closed::Weekday(today),
            _ => Closed::OutsideHours,
        })
    }

    /// From when until when promotions may leave on the local day; none on a day
    /// off. As instants, so that a clock change makes it an hour longer or shorter.
    #[must_use]
    pub fn window(&self, day: NaiveDate, calendar: &Calendar) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let off = !self.opens_on(day) || (self.skip_holidays && calendar.holiday(day).is_some());
        let (opens, closes) = (time::at_local(day, self.opens), time::at_local(day, self.closes));
        (!off && opens < closes).then_some((opens, closes))
    }

    fn opens_on(&self, day: NaiveDate) -> bool {
        self.days[day.weekday().num_days_from_monday() as usize]
    }

    /// Fail where the window would never open.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `days` or `closes`.
    pub fn validate(&self) -> Result<()> {
        let mut wrong = Vec::new();
        if !self.days.contains(&true) {
            wrong.push(FieldError::new("days", "Elige al menos un día de la semana."));
        }
        if self.opens >= self.closes {
            wrong.push(FieldError::new("closes", "La hora de término debe ser posterior a la de inicio."));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }

    /// The window in words: `lunes a viernes de 09:00 a 18:00, salvo feriados`.
    #[must_use]
    pub fn describe(&self) -> String {
        let names = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"];
        let chosen: Vec<usize> = (0..7).filter(|it| self.days[*it]).collect();
        let days = match chosen.as_slice() {
            [] => return "ningún día".to_owned(),
            [one] => names[*one].to_owned(),
            [first, .., last] if chosen.len() > 2 && last - first + 1 == chosen.len() => {
                format!("{} a {}", names[*first], names[*last])
            }
            [before @ .., last] => {
                let before: Vec<&str> = before.iter().map(|it| names[*it]).collect();
                format!("{} y {}", before.join(", "), names[*last])
            }
        };
        let holidays = if self.skip_holidays { ", salvo feriados" } else { "" };
        format!("{days} de {} a {}{holidays}", self.opens.format("%H:%M"), self.closes.format("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chile::holidays::Correction;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn local(text: &str) -> DateTime<Utc> {
        let wall = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        time::at_local(wall.date(), wall.time())
    }

    fn hours(days: [bool; 7], opens: &str, closes: &str) -> BusinessHours {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        BusinessHours { days, opens: time(opens), closes: time(closes), skip_holidays: true }
    }

    fn next(text: &str) -> String {
        let opening = BusinessHours::default().next_open(local(text), &Calendar::default()).unwrap();
        time::local(opening).format("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn the_default_week_opens_at_nine_and_closes_at_six() {
        let (hours, calendar) = (BusinessHours::default(), Calendar::default());
        assert!(hours.is_open(local("2026-11-23 09:00"), &calendar));
        assert!(!hours.is_open(local("2026-11-23 08:59"), &calendar));
        assert!(!hours.is_open(local("2026-11-23 18:00"), &calendar));
        assert!(!hours.is_open(local("2026-11-21 12:00"), &calendar));
        assert_eq!(hours.closed_because(local("2026-11-23 18:00"), &calendar), Some(Closed::OutsideHours));
        let saturday = hours.closed_because(local("2026-11-21 12:00"), &calendar).unwrap();
        assert_eq!(saturday.to_string(), "los sábados no se envía");
        assert_eq!(hours.closed_because(local("2026-11-23 12:00"), &calendar), None);
        assert_eq!(hours.describe(), "lunes a viernes de 09:00 a 18:00, salvo feriados");
        assert_eq!(next("2026-11-23 12:34"), "2026-11-23 12:34");
        assert_eq!(next("2026-11-20 18:00"), "2026-11-23 09:00");
    }

    #[test]
    fn easter_of_2026_04_04_is_waited_out_over_the_clock_change() {
        assert_eq!(next("2026-04-02 18:00"), "2026-04-06 09:00");
        assert_eq!(next("2026-04-04 23:30"), "2026-04-06 09:00");
        let (every_day, calendar) = (hours([true; 7], "09:00", "18:00"), Calendar::default());
        let saturday = every_day.closed_because(local("2026-04-04 12:00"), &calendar);
        assert_eq!(saturday, Some(Closed::Holiday("Sábado Santo".to_owned())));
        assert_eq!(
            every_day.next_open(local("2026-04-04 12:00"), &calendar),
            Some("2026-04-05T13:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn the_night_without_midnight_of_2026_09_06_opens_at_one() {
        let (always, calendar) = (hours([true; 7], "00:00", "23:59"), Calendar::default());
        let opening = always.next_open(local("2026-09-05 23:59"), &calendar);
        assert_eq!(opening, Some("2026-09-06T04:00:00Z".parse().unwrap()));
        assert_eq!(next("2026-09-06 12:00"), "2026-09-07 09:00");
    }

    #[test]
    fn holidays_close_it_2026_09_18_ley_2977_2026_10_12_ley_19_668_and_2027_06_28() {
        assert_eq!(next("2026-09-18 10:00"), "2026-09-21 09:00");
        assert_eq!(next("2026-10-12 10:00"), "2026-10-13 09:00");
        assert_eq!(next("2027-06-28 10:00"), "2027-06-29 09:00");
        assert_eq!(next("2027-09-16 18:00"), "2027-09-20 09:00");
        let careless = BusinessHours { skip_holidays: false, ..BusinessHours::default() };
        assert!(careless.is_open(local("2026-09-18 10:00"), &Calendar::default()));
    }

    #[test]
    fn a_window_that_never_opens_says_so() {
        let (calendar, at) = (Calendar::default(), local("2026-11-23 12:00"));
        let never = hours([false; 7], "09:00", "18:00");
        assert_eq!(never.next_open(at, &calendar), None);
        assert!(never.validate().is_err());
        assert!(hours([true; 7], "18:00", "09:00").validate().is_err());
        assert!(hours([true; 7], "09:00", "09:01").validate().is_ok());
        let closed_for_good =
            Calendar::new(time::local_date(at).iter_days().take(500).map(|day| Correction {
                day,
                name: "Cerrado".to_owned(),
                closed: true,
            }));
        assert_eq!(BusinessHours::default().next_open(at, &closed_for_good), None);
    }

    #[test]
    fn days_are_told_as_people_say_them() {
        let told = |days| hours(days, "10:00", "13:30").describe();
        assert_eq!(
            told([true, false, true, false, false, true, false]),
            "lunes, miércoles y sábado de 10:00 a 13:30, salvo feriados"
        );
        assert_eq!(told([true; 7]), "lunes a domingo de 10:00 a 13:30, salvo feriados");
    }

    #[test]
    fn settings_of_an_older_build_are_completed() {
        let hours: BusinessHours = serde_json::from_str(r#"{"opens":"10:00:00"}"#).unwrap();
        assert_eq!(hours.opens, NaiveTime::from_hms_opt(10, 0, 0).unwrap());
        assert!(hours.skip_holidays);
    }

    proptest! {
        #[test]
        fn the_next_opening_is_open_and_the_earliest(
            days in proptest::array::uniform7(any::<bool>()),
            opens in 0_u32..1438, length in 1_u32..1439,
            minutes in 0_i64..(3 * 366 * 24 * 60),
            skip_holidays in any::<bool>(),
        ) {
            let closes = (opens + length).min(1439);
            let minute = |it: u32| NaiveTime::from_hms_opt(it / 60, it % 60, 0).unwrap();
            let hours = BusinessHours { days, opens: minute(opens), closes: minute(closes), skip_holidays };
            let calendar = Calendar::default();
            let at = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes);
            match hours.next_open(at, &calendar) {
                None => prop_assert!(!days.contains(&true) || length == 0),
                Some(opening) => {
                    prop_assert!(opening >= at);
                    prop_assert!(hours.is_open(opening, &calendar));
                    prop_assert_eq!(hours.closed_because(opening, &calendar), None);
                    if opening > at {
                        // Nothing is open in between: not a minute before, not at steps through the wait.
                        prop_assert!(!hours.is_open(opening - TimeDelta::seconds(1), &calendar));
                        let mut step = at;
                        while step < opening {
                            prop_assert!(!hours.is_open(step, &calendar));
                            step += TimeDelta::minutes(7 * 60 + 13);
                        }
                    }
                }
            }
        }
    }
}
