//! The RUT: Chile's tax and identity number, with its check digit (módulo 11).

use std::{fmt, str::FromStr};

/// A RUT whose check digit is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rut {
    body: u32,
}

/// Why a text is no RUT. The sentences are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RutError {
    /// Something other than digits, dots, blanks, a hyphen and a check digit.
    #[error("no es un RUT: escríbelo como 12.531.909-2")]
    Form,
    /// The check digit does not follow from the number.
    #[error("el dígito verificador no corresponde: revisa el RUT")]
    CheckDigit,
}

impl Rut {
    /// The check digit of `body`: weights 2 to 7 from the right, remainder to 11.
    fn check_digit(body: u32) -> char {
        let (mut rest, mut weight, mut sum) = (body, 2, 0);
        while rest > 0 {
            sum += rest % 10 * weight;
            weight = if weight == 7 { 2 } else { weight + 1 };
            rest /= 10;
        }
        match 11 - sum % 11 {
            11 => '0',
            10 => 'K',
            digit => char::from_digit(digit, 10).unwrap_or('0'),
        }
    }

    /// As kept in the database: `12531909-2`.
    #[must_use]
    pub fn stored(self) -> String {
        format!("{}-{}", self.body, Rut::check_digit(self.body))
    }

    /// `stored` as people read it; what is no RUT is given back as it is.
    #[must_use]
    pub fn show(stored: &str) -> String {
        stored.parse::<Rut>().map_or_else(|_| stored.to_owned(), |it| it.to_string())
    }
}

impl FromStr for Rut {
    type Err = RutError;

    /// Accepts dots, blanks and hyphens wherever people put them, and a small k.
    fn from_str(text: &str) -> Result<Rut, RutError> {
        let mut signs = String::with_capacity(9);
        for sign in text.trim().chars() {
            match sign {
                '0'..='9' => signs.push(sign),
                'k' | 'K' => signs.push('K'),
                '.' | ',' | '-' | '‐' | '‑' | '–' | '−' => {}
                blank if blank.is_whitespace() => {}
                _ => return Err(RutError::Form),
            }
        }
        let Some(given) = signs.pop() else { return Err(RutError::Form) };
        if signs.is_empty() || signs.len() > 9 {
            return Err(RutError::Form);
        }
        let body: u32 = signs.parse().map_err(|_| RutError::Form)?;
        // 99.999.999 is the highest number the register gives out.
        if body == 0 || body > 99_999_999 {
            return Err(RutError::Form);
        }
        if Rut::check_digit(body) == given { Ok(Rut { body }) } else { Err(RutError::CheckDigit) }
    }
}

impl fmt::Display for Rut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", super::format::number(i64::from(self.body)), Rut::check_digit(self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_ruts_are_accepted() {
        for rut in [
            "12345678-5",
            "11111111-1",
            "76086428-5",
            "7654321-6",
            "12531909-2",
            "76354771-K",
            "20347878-K",
            "10000013-K",
            "5126663-3",
            "99999999-9",
            "1-9",
            "6-K",
            "10000004-0",
            "76000000-0",
        ] {
            assert_eq!(rut.parse::<Rut>().map(Rut::stored), Ok(rut.to_owned()));
        }
    }

    #[test]
    fn a_wrong_check_digit_is_told_from_a_wrong_form() {
        for rut in ["12345678-9", "76354771-0", "10000004-K"] {
            assert_eq!(rut.parse::<Rut>(), Err(RutError::CheckDigit), "{rut}");
        }
        for rut in ["", "-", "K", "7", "12.531.909-X", "1234567890-1", "K2531909-2", "0-0", "sin rut"] {
            assert_eq!(rut.parse::<Rut>(), Err(RutError::Form), "{rut}");
        }
    }

    #[test]
    fn the_ways_people_write_it_are_one() {
        for text in
            ["12.531.909-2", "12531909-2", "125319092", " 12 531 909 - 2 ", "012531909-2", "12,531,909–2"]
        {
            assert_eq!(text.parse::<Rut>().unwrap().to_string(), "12.531.909-2", "{text}");
        }
        assert_eq!("76354771k".parse::<Rut>().unwrap().to_string(), "76.354.771-K");
        assert_eq!(Rut::show("6-K"), "6-K");
        assert_eq!(Rut::show("otra cosa"), "otra cosa");
    }
}
