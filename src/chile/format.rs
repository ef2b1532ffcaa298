//! How Chile writes money, numbers and dates. All take local values or convert
//! to America/Santiago; none reads a clock.

use super::time;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// `1234567` as `1.234.567`.
#[must_use]
pub fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut written = String::with_capacity(digits.len() * 4 / 3 + 1);
    if value < 0 {
        written.push('-');
    }
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push('.');
        }
        written.push(digit);
    }
    written
}

/// Whole pesos as `$1.234.567`, `-$500`.
#[must_use]
pub fn money(pesos: i64) -> String {
    match number(pesos).strip_prefix('-') {
        Some(rest) => format!("-${rest}"),
        None => format!("${}", number(pesos)),
    }
}

/// Millionths of a peso as pesos with their hundredths, rounded up: `$0,87`, `$1.234,50`.
#[must_use]
pub fn fine_money(micro: i64) -> String {
    let hundredths = micro.max(0).unsigned_abs().div_ceil(10_000);
    let whole = i64::try_from(hundredths / 100).unwrap_or(i64::MAX);
    format!("{},{:02}", money(whole), hundredths % 100)
}

/// An amount in hundredths of a peso, as `$12,50`; whole pesos as [`money`] writes them.
#[must_use]
pub fn exact_money(hundredths: i64) -> String {
    match hundredths % 100 {
        0 => money(hundredths / 100),
        rest => format!("{},{:02}", money(hundredths / 100), rest.abs()),
    }
}

/// Months, as people read them.
pub const MONTHS: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];

/// `value` of `one` or `many`: `1 contacto`, `1.250 contactos`.
#[must_use]
pub fn count(value: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// `value`, which was counted up to one more than `most`: `10.000`, `Más de 10.000`.
#[must_use]
pub fn up_to(value: i64, most: i64) -> String {
    if value > most { format!("Más de {}", number(most)) } else { number(value) }
}

/// [`up_to`], of `one` or `many`: `Más de 10.000 contactos`.
#[must_use]
pub fn count_up_to(value: i64, most: i64, one: &str, many: &str) -> String {
    format!("{} {}", up_to(value, most), if value == 1 { one } else { many })
}

/// `a`, `a y b`, `a, b y c`.
#[must_use]
pub fn and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} y {last}", first.join(", ")),
    }
}

/// A date as `21-11-2026`.
#[must_use]
pub fn date(day: NaiveDate) -> String {
    day.format("%d-%m-%Y").to_string()
}

/// An instant as local `21-11-2026 09:05`.
#[must_use]
pub fn datetime(at: DateTime<Utc>) -> String {
    time::local(at).format("%d-%m-%Y %H:%M").to_string()
}

/// A day of the week in words, `lunes`.
#[must_use]
pub fn weekday(day: NaiveDate) -> &'static str {
    use chrono::Datelike as _;
    ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"]
        [day.weekday().num_days_from_monday() as usize]
}

/// A date in words, `lunes 23-11-2026`.
#[must_use]
pub fn weekday_and_date(day: NaiveDate) -> String {
    format!("{} {}", weekday(day), date(day))
}

/// How far `at` is from `now`, in words: `hace 5 minutos`, `ayer`, `en 2 horas`.
/// Beyond a week it is the date.
#[must_use]
pub fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = at - now;
    let past = away <= TimeDelta::zero();
    let span = away.abs();
    let days = (time::local_date(at) - time::local_date(now)).num_days();
    let around = |amount: String| if past { format!("hace {amount}") } else { format!("en {amount}") };
    if span < TimeDelta::minutes(1) {
        return if past { "recién".to_owned() } else { "en un momento".to_owned() };
    }
    if span < TimeDelta::hours(1) {
        return around(count(span.num_minutes(), "minuto", "minutos"));
    }
    match days {
        0 => around(count(span.num_hours(), "hora", "horas")),
        -1 => "ayer".to_owned(),
        1 => "mañana".to_owned(),
        -6..=6 => around(count(days.abs(), "día", "días")),
        _ => date(time::local_date(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_money_have_dots() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1000), "1.000");
        assert_eq!(number(1_234_567), "1.234.567");
        assert_eq!(number(i64::MIN), "-9.223.372.036.854.775.808");
        assert_eq!(money(1_234_567), "$1.234.567");
        assert_eq!(money(-500), "-$500");
        assert_eq!(fine_money(864_001), "$0,87");
        assert_eq!(fine_money(1_234_500_000), "$1.234,50");
        assert_eq!(count(1, "contacto", "contactos"), "1 contacto");
        assert_eq!(count(1250, "contacto", "contactos"), "1.250 contactos");
    }

    #[test]
    fn lists_read_as_people_write_them() {
        assert_eq!(and(&["a"]), "a");
        assert_eq!(and(&["a", "b", "c"]), "a, b y c");
    }

    #[test]
    fn dates_are_local() {
        // Summer, three hours behind UTC: still Saturday in Chile.
        let at: DateTime<Utc> = "2026-11-22T02:05:00Z".parse().unwrap();
        assert_eq!(datetime(at), "21-11-2026 23:05");
        assert_eq!(date(time::local_date(at)), "21-11-2026");
        assert_eq!(weekday_and_date(time::local_date(at)), "sábado 21-11-2026");
    }

    #[test]
    fn distances_read_as_people_say_them() {
        let now: DateTime<Utc> = "2026-11-24T15:00:00Z".parse().unwrap();
        let check = |minutes: i64, words: &str| {
            assert_eq!(relative(now + TimeDelta::minutes(minutes), now), words);
        };
        check(0, "recién");
        check(-1, "hace 1 minuto");
        check(-5, "hace 5 minutos");
        check(-125, "hace 2 horas");
        check(-60 * 20, "ayer");
        check(-60 * 24 * 3, "hace 3 días");
        check(-60 * 24 * 7, "17-11-2026");
        check(10, "en 10 minutos");
        check(60 * 24, "mañana");
        check(60 * 48, "en 2 días");
    }
}
