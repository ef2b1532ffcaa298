//! How whole numbers are read as people type them, where a fraction would be a mistake: a dot stands between groups of
//! three digits, or what was typed is no whole number.

/// The number in `text`: `1.000` and `1 000` are a thousand; `1.5`, `1.00` and `1,5` are none.
#[must_use]
pub fn read(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |it| (-1, it.trim_start()));
    let groups: Vec<&str> = text.split(|it: char| it == '.' || it.is_whitespace()).collect();
    let are_digits = groups.iter().all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
    let (first, rest) = groups.split_first()?;
    // Nobody groups what begins with a zero: it is a fraction.
    let are_thousands = first.len() <= 3 && !first.starts_with('0') && rest.iter().all(|it| it.len() == 3);
    if !are_digits || !(rest.is_empty() || are_thousands) {
        return None;
    }
    groups.concat().parse::<i64>().ok().map(|it| sign * it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_stands_between_groups_of_three() {
        for (text, expected) in [
            ("0", 0),
            ("007", 7),
            ("15990", 15_990),
            ("1.000", 1000),
            (" 12.345.678 ", 12_345_678),
            ("1 000", 1000),
            ("-3", -3),
            ("- 1.000", -1000),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "treinta",
            "1.5",
            "12.50",
            "1.00",
            "1.0000",
            "1,5",
            "1,000",
            "0.500",
            "1234.567",
            "1..000",
            "1.000.",
            ".500",
            "1 5",
            "1.000,5",
            "--3",
            "+3",
            "99999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
