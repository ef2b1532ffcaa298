//! When two spellings are the same name: the one home of search keys and of
//! "already there". Knows letters, not what they name.

use unicode_normalization::UnicodeNormalization;

/// `text` in lower case, without accents (ñ becomes n), every run of anything
/// that is neither letter nor digit as one space, none at the ends.
///
/// Called once for each cell of an import: ASCII, which most cells are, and the
/// letters of Spanish are folded without decomposing.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        for byte in text.bytes() {
            push(&mut folded, char::from(byte.to_ascii_lowercase()));
        }
    } else if text.chars().all(|it| it.is_ascii() || plain(it).is_some()) {
        for letter in text.chars() {
            push(&mut folded, plain(letter).unwrap_or_else(|| letter.to_ascii_lowercase()));
        }
    } else {
        // NFKD parts a letter from its accent; the accent is then no alphanumeric
        // and must vanish rather than part the word.
        for letter in text.nfkd().filter(|it| !unicode_normalization::char::is_combining_mark(*it)) {
            if letter.is_ascii() {
                push(&mut folded, letter.to_ascii_lowercase());
            } else {
                letter.to_lowercase().for_each(|lower| push(&mut folded, lower));
            }
        }
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// The letters from À to ÿ as they fold, for they need no decomposing.
fn plain(letter: char) -> Option<char> {
    const FOLDED: [char; 64] = [
        'a', 'a', 'a', 'a', 'a', 'a', 'æ', 'c', 'e', 'e', 'e', 'e', 'i', 'i', 'i', 'i', 'ð', 'n', 'o', 'o',
        'o', 'o', 'o', '×', 'ø', 'u', 'u', 'u', 'u', 'y', 'þ', 'ß', 'a', 'a', 'a', 'a', 'a', 'a', 'æ', 'c',
        'e', 'e', 'e', 'e', 'i', 'i', 'i', 'i', 'ð', 'n', 'o', 'o', 'o', 'o', 'o', '÷', 'ø', 'u', 'u', 'u',
        'u', 'y', 'þ', 'y',
    ];
    let place = u32::from(letter).checked_sub(u32::from('À'))?;
    FOLDED.get(usize::try_from(place).ok()?).copied()
}

fn push(folded: &mut String, letter: char) {
    if letter.is_alphanumeric() {
        folded.push(letter);
    } else if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// `text` for display: blanks of every kind collapsed, none at the ends, and no
/// control characters (NUL among them, which Postgres cannot keep).
#[must_use]
pub fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for word in text.split(|it: char| it.is_whitespace() || it.is_control() || it == '\u{feff}') {
        if !word.is_empty() {
            if !tidied.is_empty() {
                tidied.push(' ');
            }
            tidied.push_str(word);
        }
    }
    tidied
}

/// `text` of several lines as it is kept: line ends of one kind, none at the ends, and no
/// control characters but tabs.
#[must_use]
pub fn tidy_lines(text: &str) -> String {
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|it| matches!(it, '\n' | '\t') || !it.is_control())
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_name_fold_to_one_key() {
        for spelling in [
            "Salmones Ñuñoa Sur Ltda.",
            "  SALMONES   ÑUÑOA SUR LTDA ",
            "salmones nunoa sur ltda",
            "Salmones\u{a0}N\u{303}un\u{303}oa-Sur, Ltda.",
        ] {
            assert_eq!(fold(spelling), "salmones nunoa sur ltda");
        }
        assert_eq!(fold("José O'Higgins & Cía."), "jose o higgins cia");
        assert_eq!(fold("Güenante ﬁsh №5"), "guenante fish no5");
        assert_eq!(fold("¿…?"), "");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn tidying_keeps_the_name_and_drops_what_nobody_sees() {
        assert_eq!(tidy("  Ana\u{a0}María \t Muñoz\r\n"), "Ana María Muñoz");
        assert_eq!(tidy("a\0b"), "a b");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
            prop_assert!(!once.contains("  ") && once.trim() == once);
        }

        #[test]
        fn all_paths_agree(text in "[ -~]{0,40}", spanish in "[ -~À-ÿ]{0,40}") {
            prop_assert_eq!(fold(&format!("{text}é")), fold(&format!("{text}e")));
            // What no shortcut takes: a letter beyond them.
            let mixed = format!("{} e", fold(&spanish));
            prop_assert_eq!(fold(&format!("{spanish} ē")), mixed.trim_start());
        }
    }
}
