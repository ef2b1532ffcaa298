//! The alphabet of text messages (3GPP TS 23.038, GSM 7 bit default), and what stands in for the signs that it lacks.

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

/// What people write for `sign` where it is not at hand; none: nothing says the same.
#[must_use]
pub fn replacement(sign: char) -> Option<&'static str> {
    Some(match sign {
        'á' | 'â' | 'ã' | 'ª' => "a",
        'í' | 'î' | 'ï' => "i",
        'ó' | 'ô' | 'õ' | 'º' => "o",
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
        '°' => " grados",
        '×' => "x",
        '½' => "1/2",
        '\u{a0}' | '\u{202f}' | '\u{2009}' | '\t' => " ",
        // Signs that show nothing.
        '\u{200b}' | '\u{200d}' | '\u{feff}' | '\u{fe0f}' => "",
        _ => return None,
    })
}

/// `text` with its replaceable signs replaced; others stay.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match septets(sign).map_or_else(|| replacement(sign), |_| None) {
            Some(instead) => out.push_str(instead),
            None => out.push(sign),
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
    fn what_stands_in_is_of_the_alphabet_and_the_rest_stays() {
        assert_eq!(plain("¿Mañana, José? Más “días” — ½…"), "¿Mañana, José? Mas \"dias\" - 1/2...");
        assert_eq!(plain("Ya 😀"), "Ya 😀");
        for sign in ('\u{80}'..'\u{3000}').filter(|it| replacement(*it).is_some()) {
            assert!(outside(replacement(sign).unwrap_or_default()).is_empty(), "{sign}");
            assert!(septets(sign).is_none(), "{sign} is of the alphabet");
        }
    }
}
