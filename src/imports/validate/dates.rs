//! Days as people and spreadsheets write them. Pure.

use chrono::{Datelike, NaiveDate, TimeDelta};

/// A date as people and spreadsheets write it: `31/12/1990`, `31-12-90`,
/// `1990-12-31`, `33238` (Excel's serial), with or without the time of day.
/// Two digits of a year mean the latest one that isn't after `today`'s.
#[must_use]
pub fn date(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    if let Ok(serial) = text.trim().parse::<f64>() {
        // Excel counts from 1899-12-30. Below 1927 a number is a year, or nothing.
        let whole = (10_000.0..100_000.0).contains(&serial).then_some(serial.trunc())?;
        #[expect(clippy::cast_possible_truncation, reason = "below 100 000")]
        return NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_signed(TimeDelta::days(whole as i64));
    }
    written_date(text, today)
}

/// A date with its parts, as people write it.
pub(in crate::imports) fn written_date(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let day = text.trim().split([' ', 'T']).next()?;
    let parts: Vec<u32> = day.split(['/', '-', '.']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [a, b, c] = parts[..] else { return None };
    if day.find(['/', '-', '.'])? == 4 {
        return NaiveDate::from_ymd_opt(i32::try_from(a).ok()?, b, c);
    }
    let year = i32::try_from(c).ok()?;
    let year = match year {
        0..=99 if 2000 + year <= today.year() => year + 2000,
        0..=99 => year + 1900,
        _ => year,
    };
    NaiveDate::from_ymd_opt(year, b, a).filter(|it| it.year() < 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_written_in_chile_and_as_excel_counts() {
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d);
        for (text, expected) in [
            ("31/12/1990", day(1990, 12, 31)),
            ("31-12-90", day(1990, 12, 31)),
            ("1990-12-31", day(1990, 12, 31)),
            ("31.12.1990 00:00", day(1990, 12, 31)),
            ("33238", day(1990, 12, 31)),
            ("33238.5", day(1990, 12, 31)),
            ("5/3/05", day(2005, 3, 5)),
            ("5/3/26", day(2026, 3, 5)),
            ("5/3/27", day(1927, 3, 5)),
            ("1990", None),
            ("31/31/1990", None),
            ("ayer", None),
            ("", None),
        ] {
            assert_eq!(date(text, day(2026, 11, 21).unwrap()), expected, "{text}");
        }
        assert_eq!(written_date("33238", day(2026, 11, 21).unwrap()), None, "nobody types a serial");
    }
}
