//! Telephone numbers as E.164, repaired from the ways in which Chilean
//! spreadsheets hold them. What is ambiguous is refused with a reason, never guessed.

use std::{fmt, str::FromStr};

/// A telephone number in E.164: `+56987654321`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(String);

/// Why a text is no telephone number. The sentences are for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Nothing that could be dialled.
    #[error("no es un teléfono: escríbelo como +56 9 8765 4321")]
    Form,
    /// Two numbers in one cell.
    #[error("hay más de un teléfono: deja solo uno")]
    Several,
    /// Eight digits: a mobile of before 2013, or a fixed line without its area.
    #[error("le falta un dígito: antepón el 9 si es celular o el código de área si es fijo")]
    EightDigits,
    /// Fewer digits than any number has.
    #[error("tiene muy pocos dígitos para ser un teléfono")]
    Short,
    /// More digits than any number has.
    #[error("tiene demasiados dígitos para ser un teléfono")]
    Long,
    /// Excel kept it as a number and showed it rounded: `8.7654E+07`.
    #[error("Excel lo redondeó y perdió dígitos: da formato de texto a la columna y escríbelo de nuevo")]
    Rounded,
    /// No such area or numbering block in Chile.
    #[error("ese código de área no existe en Chile; si es de otro país, anteponle + y el código del país")]
    Area,
}

/// Areas of fixed lines outside Santiago, and 44 (voice over IP): two digits, then seven.
const AREAS: [&[u8; 2]; 25] = [
    b"32", b"33", b"34", b"35", b"41", b"42", b"43", b"44", b"45", b"51", b"52", b"53", b"55", b"57", b"58",
    b"61", b"63", b"64", b"65", b"67", b"68", b"71", b"72", b"73", b"75",
];

impl Phone {
    /// As stored and dialled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can take an SMS: `+56 9` and eight digits. Of foreign numbers
    /// nobody knows, so no.
    #[must_use]
    pub fn is_mobile(&self) -> bool {
        self.0.len() == 12 && self.0.starts_with("+569")
    }

    /// `stored` as people read it; what is no number is given back as it is.
    #[must_use]
    pub fn show(stored: &str) -> String {
        stored.parse::<Phone>().map_or_else(|_| stored.to_owned(), |it| it.to_string())
    }

    /// From the number as dialled within Chile: nine digits, or ten with 600.
    fn national(digits: &str) -> Result<Phone, PhoneError> {
        let bytes = digits.as_bytes();
        let known = match bytes.len() {
            0..=7 => return Err(PhoneError::Short),
            8 => return Err(PhoneError::EightDigits),
            9 => match bytes[0] {
                b'9' => true,
                b'2' => bytes[1] != b'0',
                b'8' => digits.starts_with("800"),
                _ => AREAS.iter().any(|area| bytes.starts_with(*area)),
            },
            10 if digits.starts_with("600") => true,
            _ => return Err(PhoneError::Long),
        };
        if known { Ok(Phone(format!("+56{digits}"))) } else { Err(PhoneError::Area) }
    }

    /// From a number with its country code, without the plus.
    fn international(digits: &str) -> Result<Phone, PhoneError> {
        if let Some(rest) = digits.strip_prefix("56") {
            // `+56 (0)9 …`: the old trunk prefix, written inside.
            return Phone::national(rest.trim_start_matches('0'));
        }
        match digits.len() {
            // `+9 8765 4321`: a Chilean mobile without 56 rather than Iran or Burma.
            9 if digits.starts_with('9') => Err(PhoneError::Area),
            0..=7 => Err(PhoneError::Short),
            8..=15 if !digits.starts_with('0') => Ok(Phone(format!("+{digits}"))),
            8..=15 => Err(PhoneError::Form),
            _ => Err(PhoneError::Long),
        }
    }
}

/// The integer that a spreadsheet meant by `text`, where it kept a number:
/// `987654321.0`, `9.87654321E+8`. None: it is no such text.
fn spreadsheet_number(text: &str) -> Option<Result<String, PhoneError>> {
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        let (whole, fraction) = text.split_once('.').or_else(|| text.split_once(','))?;
        let is_float = whole.len() >= 8 && all_digits(whole) && !fraction.is_empty();
        return (is_float && fraction.bytes().all(|b| b == b'0')).then(|| Ok(whole.to_owned()));
    };
    let exponent: usize = exponent.trim_start_matches('+').parse().ok()?;
    let (whole, fraction) =
        mantissa.split_once('.').or_else(|| mantissa.split_once(',')).unwrap_or((mantissa, ""));
    if whole.len() != 1 || !all_digits(whole) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Only a mantissa with every digit says which number it was.
    Some(if fraction.len() == exponent { Ok(format!("{whole}{fraction}")) } else { Err(PhoneError::Rounded) })
}

/// `text` without the word that people put before a number.
fn without_label(text: &str) -> &str {
    let text =
        text.trim_matches(|it: char| it.is_whitespace() || it == '\'' || it == '"' || it == '\u{feff}');
    let digits_from =
        text.find(|it: char| it.is_ascii_digit() || it == '+' || it == '(').unwrap_or(text.len());
    let label = text[..digits_from].trim_end_matches(|it: char| !it.is_alphanumeric()).to_lowercase();
    match label.as_str() {
        "tel" | "cel" | "fono" | "teléfono" | "telefono" | "celular" | "móvil" | "movil" | "wsp"
        | "whatsapp" => &text[digits_from..],
        _ => text,
    }
}

impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Phone, PhoneError> {
        let text = without_label(text);
        if let Some(number) = spreadsheet_number(text) {
            return number?.parse();
        }
        let mut digits = String::with_capacity(text.len());
        let mut plus = false;
        for sign in text.chars() {
            match sign {
                '0'..='9' => digits.push(sign),
                '+' if digits.is_empty() && !plus => plus = true,
                '+' | '/' | ';' | '|' | ',' => return Err(PhoneError::Several),
                '.' | '-' | '(' | ')' | '_' | '‐' | '‑' | '–' | '—' | '−' => {}
                blank if blank.is_whitespace() => {}
                // Marks of writing direction, pasted along from address books.
                '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {}
                _ => return Err(PhoneError::Form),
            }
        }
        if digits.is_empty() {
            return Err(PhoneError::Form);
        }
        if plus {
            return Phone::international(&digits);
        }
        if let Some(rest) = digits.strip_prefix("00") {
            return Phone::international(rest);
        }
        if digits.starts_with("56") && matches!(digits.len(), 11 | 12) {
            return Phone::international(&digits);
        }
        Phone::national(digits.strip_prefix('0').unwrap_or(&digits))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(national) = self.0.strip_prefix("+56") else { return f.write_str(&self.0) };
        let (area, head) = match national.as_bytes().first() {
            Some(b'9' | b'2') => (1, 5),
            Some(b'8' | b'6') if national.starts_with("800") || national.starts_with("600") => (3, 6),
            _ => (2, 5),
        };
        write!(f, "+56 {} {} {}", &national[..area], &national[area..head], &national[head..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Phone>().map(|it| it.0), Ok(expected.to_owned()), "{text}");
    }

    fn refused(text: &str, why: PhoneError) {
        assert_eq!(text.parse::<Phone>(), Err(why), "{text}");
    }

    #[test]
    fn a_mobile_is_repaired_from_the_ways_it_arrives() {
        for text in [
            "+56987654321",
            "+56 9 8765 4321",
            "56987654321",
            "987654321",
            "9 8765 4321",
            "9-8765-4321",
            "(+56 9) 8765-4321",
            "+56 (9) 87654321",
            "0987654321",
            "0056987654321",
            "+56 (0)9 8765 4321",
            "'987654321",
            "987654321.0",
            "56987654321,00",
            "5.6987654321E+10",
            "9.87654321e+08",
            "9,87654321E8",
            "Cel: 9 8765 4321",
            "tel.+56 9 8765 4321",
            "\u{202a}+56\u{a0}9 8765 4321\u{202c}",
            "98.765.43.21",
        ] {
            check(text, "+56987654321");
        }
        // Right in Chile, whatever libphonenumber says of a 1 in second place.
        check("+56 9 1234 5678", "+56912345678");
    }

    #[test]
    fn fixed_lines_and_service_numbers_are_kept() {
        check("+56221234567", "+56221234567");
        check("(2) 2123 4567", "+56221234567");
        check("032 212 3456", "+56322123456");
        check("45 2 212345", "+56452212345");
        check("65 2 345 678", "+56652345678");
        check("800 123 456", "+56800123456");
        check("600 123 4567", "+566001234567");
    }

    #[test]
    fn foreign_numbers_need_their_plus() {
        check("+54 9 11 2345 6789", "+5491123456789");
        check("0034 612 345 678", "+34612345678");
        refused("34 612 345 678", PhoneError::Long);
        refused("+9 8765 4321", PhoneError::Area);
        refused("+1234567890123456", PhoneError::Long);
    }

    #[test]
    fn what_is_ambiguous_is_refused_with_its_reason() {
        refused("87654321", PhoneError::EightDigits);
        refused("098765432", PhoneError::EightDigits);
        refused("8.7654e+07", PhoneError::Rounded);
        refused("5.69877E+10", PhoneError::Rounded);
        refused("234567", PhoneError::Short);
        refused("987654321 / 912345678", PhoneError::Several);
        refused("37 234 5678", PhoneError::Area);
        refused("+56 9 8765 43210", PhoneError::Long);
        for text in [
            "",
            "-",
            "no tiene",
            "ana@sur.cl",
            "9876 anexo 2",
            "=1+1",
            "9e9e9",
            "e5",
            "1e99999999999999999999",
        ] {
            assert!(text.parse::<Phone>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_chilean_mobiles_take_sms_and_all_are_shown_spaced() {
        let shown = |text: &str| text.parse::<Phone>().map(|it| (it.is_mobile(), it.to_string())).unwrap();
        assert_eq!(shown("987654321"), (true, "+56 9 8765 4321".to_owned()));
        assert_eq!(shown("221234567"), (false, "+56 2 2123 4567".to_owned()));
        assert_eq!(shown("652345678"), (false, "+56 65 234 5678".to_owned()));
        assert_eq!(shown("800123456"), (false, "+56 800 123 456".to_owned()));
        assert_eq!(shown("6001234567"), (false, "+56 600 123 4567".to_owned()));
        assert_eq!(shown("+5491123456789"), (false, "+5491123456789".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_breaks_it_and_what_it_takes_it_takes_again(text in "[-+0-9eE.,() ]{0,18}|\\PC{0,18}") {
            if let Ok(phone) = text.parse::<Phone>() {
                prop_assert_eq!(phone.to_string().parse::<Phone>(), Ok(phone.clone()));
                prop_assert_eq!(phone.as_str().parse::<Phone>(), Ok(phone));
            }
        }
    }
}
