//! The alphabet of text messages (3GPP TS 23.038, GSM 7 bit default), and what stands in for the signs that it lacks.

use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// The basic table: one septet each.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table: an escape and one septet each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Septets that `sign` takes; none: the alphabet lacks it.
pub(super) fn septets(sign: char) -> Option<usize> {
    if BASIC.contains(sign) {
        Some(1)
    } else if EXTENSION.contains(sign) {
        Some(2)
    } else {
        None
    }
}

/// The signs of `text` that the alphabet lacks, each once, in their order: one of them is enough to
/// make the whole message hold less than half.
#[must_use]
pub fn outside(text: &str) -> Vec<char> {
    let mut found = Vec::new();
    for sign in text.chars().filter(|it| septets(*it).is_none()) {
        if !found.contains(&sign) {
            found.push(sign);
        }
    }
    found
}

/// What people write for `sign` where it is not at hand; none: it is at hand, or nothing says the same.
#[must_use]
pub fn replacement(sign: char) -> Option<Cow<'static, str>> {
    if septets(sign).is_some() {
        return None;
    }
    if let Some(it) = usual(sign) {
        return Some(Cow::Borrowed(it));
    }
    // A letter of another language, without its mark.
    let letter = std::iter::once(sign).nfd().next()?;
    septets(letter).map(|_| Cow::Owned(letter.to_string()))
}

fn usual(sign: char) -> Option<&'static str> {
    Some(match sign {
        'á' | 'â' | 'ã' | 'ª' => "a",
        'í' | 'î' | 'ï' => "i",
        'ó' | 'ô' | 'õ' | 'º' | '°' => "o",
        'ú' | 'û' => "u",
        'ê' | 'ë' => "e",
        'ç' => "c",
        'Á' | 'À' | 'Â' | 'Ã' => "A",
        'È' | 'Ê' | 'Ë' => "E",
        'Í' | 'Ì' | 'Î' | 'Ï' => "I",
        'Ó' | 'Ò' | 'Ô' | 'Õ' => "O",
        'Ú' | 'Ù' | 'Û' => "U",
        '“' | '”' | '„' | '«' | '»' => "\"",
        '‘' | '’' | '‚' | '´' | '`' => "'",
        '‐' | '‑' | '–' | '—' | '−' | '•' | '·' => "-",
        '…' => "...",
        '×' => "x",
        '½' => "1/2",
        '\u{a0}' | '\u{202f}' | '\u{2009}' | '\t' => " ",
        // Signs that show nothing.
        '\u{200b}' | '\u{200d}' | '\u{feff}' | '\u{fe0f}' => "",
        // A mark that no letter takes.
        it if is_combining_mark(it) => "",
        _ => return None,
    })
}

/// `text` with its replaceable signs replaced; others stay.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut signs = text.nfc().peekable();
    while let Some(sign) = signs.next() {
        let follows_number = out.trim_end_matches(' ').ends_with(|it: char| it.is_ascii_digit());
        match (sign, replacement(sign)) {
            // Of a temperature; elsewhere it stands for the letter of an ordinal.
            ('°', _) if follows_number && matches!(signs.peek(), Some('C' | 'F')) => {
                out.truncate(out.trim_end_matches(' ').len());
                out.push_str(" grados ");
            }
            ('½', Some(half)) if out.ends_with(|it: char| it.is_ascii_digit()) => {
                out.push(' ');
                out.push_str(&half);
            }
            (_, Some(instead)) => out.push_str(&instead),
            (_, None) => out.push(sign),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_its_signs() {
        // 128 places, of which the escape is no sign.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        let mut all: Vec<char> = BASIC.chars().chain(EXTENSION.chars()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 137);
    }

    #[test]
    fn of_our_accents_some_are_there_and_some_are_not() {
        assert_eq!(outside("éÉñÑüÜ¿¡àèìòù@$€[]{}~^|\\"), Vec::<char>::new());
        assert_eq!(outside("ÁÍÓÚáíóú"), "ÁÍÓÚáíóú".chars().collect::<Vec<_>>());
        assert_eq!(outside("Más “días” más…"), ['á', '“', 'í', '”', '…']);
    }

    #[test]
    fn what_a_sign_stands_for_depends_on_what_stands_before_it() {
        assert_eq!(plain("N° 305, 3° piso, 2.ª vez"), "No 305, 3o piso, 2.a vez");
        assert_eq!(plain("A 25°C o 77 °F"), "A 25 grados C o 77 grados F");
        assert_eq!(plain("1½ hora y ½ kilo"), "1 1/2 hora y 1/2 kilo");
    }

    #[test]
    fn no_letter_with_a_mark_makes_a_message_cost_more() {
        assert_eq!(plain("Marti\u{301}n Mun\u{303}oz"), "Martin Muñoz");
        assert_eq!(plain("Ýsa Kovač, Šárka Ćosić, Łukasz"), "Ysa Kovac, Sarka Cosic, Łukasz");
        assert_eq!(plain("a\u{301}\u{302}, \u{301}x"), "a, x");
        assert_eq!(outside(&plain("ÀÁÂÃÈÊËÌÍÎÏÒÓÔÕÙÚÛÝàáâãêëíîïóôõúûýÿ")), Vec::<char>::new());
    }

    #[test]
    fn what_stands_in_is_of_the_alphabet_and_the_rest_stays() {
        assert_eq!(plain("¿Mañana, José? Más “días” — ½…"), "¿Mañana, José? Mas \"dias\" - 1/2...");
        assert_eq!(plain("Ya 😀"), "Ya 😀");
        for sign in ('\u{80}'..'\u{3000}').filter(|it| replacement(*it).is_some()) {
            assert!(outside(&replacement(sign).unwrap_or_default()).is_empty(), "{sign}");
            assert!(septets(sign).is_none(), "{sign} is of the alphabet");
        }
    }
}
