//! How amounts of pesos are read, however people and spreadsheets write them.
//! The one home of what a dot means, with [`super::whole`], where no decimals are meant.

use super::{text::tidy, whole};

/// A whole number as people and spreadsheets write it: `$15.990`, `15990`, `15.990,00`, `15990.0`, `1,234,567`.
/// Decimals are dropped: the peso has none.
#[must_use]
pub fn whole(text: &str) -> Option<i64> {
    let (negative, digits) = undressed(text);
    signed(negative, without_decimals(&digits)?.parse().ok()?)
}

/// An amount as it is typed into a form: `$15.990`, `15990`. Whoever types decimals means another amount than what would be
/// left of it, and is asked again.
#[must_use]
pub fn typed(text: &str) -> Option<i64> {
    let (negative, digits) = undressed(text);
    signed(negative, whole::read(&digits).filter(|it| *it >= 0)?)
}

/// Whether the amount is below zero, and what is left without signs of money.
fn undressed(text: &str) -> (bool, String) {
    let text = tidy(text).to_uppercase();
    let text = text.replace("CLP", "").replace(['$', ' ', '\u{a0}'], "");
    let text = text.strip_suffix(".-").or_else(|| text.strip_suffix(",-")).unwrap_or(&text);
    let negative =
        text.strip_prefix('-').or_else(|| text.strip_prefix('(').and_then(|it| it.strip_suffix(')')));
    (negative.is_some(), negative.unwrap_or(text).to_owned())
}

fn signed(negative: bool, number: i64) -> Option<i64> {
    if negative { number.checked_neg() } else { Some(number) }
}

/// Hundredths of a peso, for what costs less than many pesos a piece: `12,5`, `$ 9.85`, `15`.
#[must_use]
pub fn hundredths(text: &str) -> Option<i64> {
    let whole = whole(text)?;
    let text = tidy(text);
    let decimals = text.rfind([',', '.']).map_or("", |at| &text[at + 1..]);
    let decimals = if decimals.len() <= 2 { decimals } else { "" };
    let decimals = format!("{decimals:0<2}").parse::<i64>().ok()?;
    whole.checked_mul(100)?.checked_add(decimals)
}

/// The digits before the decimals, rid of the signs between thousands. Three digits after
/// the last sign are thousands, as everywhere in Chile; one or two are decimals.
fn without_decimals(text: &str) -> Option<String> {
    if text.is_empty() || !text.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let Some(last) = text.rfind(['.', ',']) else { return all_digits(text) };
    let (head, tail) = (&text[..last], &text[last + 1..]);
    let mark = &text[last..=last];
    let thousands = tail.len() == 3 && !head.contains(if mark == "." { ',' } else { '.' });
    if thousands {
        let groups = text.split(['.', ',']).collect::<Vec<_>>();
        let even = groups[1..].iter().all(|it| it.len() == 3) && groups[0].len() <= 3;
        return even.then(|| groups.concat()).and_then(|it| all_digits(&it));
    }
    all_digits(tail)?;
    if head.contains(mark) {
        return None;
    }
    let groups = head.split(['.', ',']).collect::<Vec<_>>();
    let even = groups[1..].iter().all(|it| it.len() == 3);
    even.then(|| groups.concat()).and_then(|it| all_digits(&it))
}

fn all_digits(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_may_have_hundredths() {
        for (text, expected) in [
            ("12,5", Some(1250)),
            ("$ 9.85", Some(985)),
            ("15", Some(1500)),
            ("1.234", Some(123_400)),
            ("1.234,5", Some(123_450)),
            ("", None),
            ("doce", None),
        ] {
            assert_eq!(hundredths(text), expected, "{text}");
        }
    }

    #[test]
    fn who_types_decimals_is_not_taken_for_another_amount() {
        for (text, expected) in [
            ("15990", Some(15_990)),
            ("$15.990", Some(15_990)),
            ("$ 1.234.567.-", Some(1_234_567)),
            ("CLP 5.000", Some(5_000)),
            ("-$5.000", Some(-5_000)),
            ("(5.000)", Some(-5_000)),
            ("15.990,00", None),
            ("15990.0", None),
            ("$1.50", None),
            ("--5", None),
            ("$", None),
        ] {
            assert_eq!(typed(text), expected, "{text}");
        }
    }

    #[test]
    fn amounts_are_whole_pesos() {
        for (text, expected) in [
            ("15990", Some(15_990)),
            ("$15.990", Some(15_990)),
            ("$ 1.234.567.-", Some(1_234_567)),
            ("1,234,567", Some(1_234_567)),
            ("15.990,00", Some(15_990)),
            ("15,990.50", Some(15_990)),
            ("15990.0", Some(15_990)),
            ("15990.50", Some(15_990)),
            ("15990,5", Some(15_990)),
            ("CLP 5.000", Some(5_000)),
            ("-5.000", Some(-5_000)),
            ("(5.000)", Some(-5_000)),
            ("1.23.4567", None),
            ("1.5.5", None),
            ("", None),
            ("$", None),
            ("mil", None),
            (".", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }
}
