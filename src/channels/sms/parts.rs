//! How long a text message is: its encoding, its units, and the parts that the networks charge for.

use super::alphabet::{outside, septets};

/// How a message is written. One sign that the alphabet lacks changes all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The alphabet of text messages: septets.
    Gsm7,
    /// Any sign: UTF-16 units.
    Ucs2,
}

impl Encoding {
    /// The shortest way to write `text`.
    #[must_use]
    pub fn of(text: &str) -> Encoding {
        if outside(text).is_empty() { Encoding::Gsm7 } else { Encoding::Ucs2 }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        }
    }

    /// Units of a message of one part.
    #[must_use]
    pub fn alone(self) -> usize {
        match self {
            Encoding::Gsm7 => 160,
            Encoding::Ucs2 => 70,
        }
    }

    /// Units of each part of several: the rest tells the telephone how to join them.
    #[must_use]
    pub fn joined(self) -> usize {
        match self {
            Encoding::Gsm7 => 153,
            Encoding::Ucs2 => 67,
        }
    }

    /// Units that `sign` takes; they are never parted.
    fn units(self, sign: char) -> usize {
        match self {
            Encoding::Gsm7 => septets(sign).unwrap_or(1),
            Encoding::Ucs2 => sign.len_utf16(),
        }
    }

    fn length(self, text: &str) -> usize {
        text.chars().map(|it| self.units(it)).sum()
    }
}

/// How long a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How it is written.
    pub encoding: Encoding,
    /// Its septets or UTF-16 units.
    pub units: usize,
    /// Its parts, each charged as a message; 0 for an empty text.
    pub parts: usize,
    /// Units that still fit without another part.
    pub left: usize,
}

/// How long `text` is.
#[must_use]
pub fn count(text: &str) -> Count {
    let encoding = Encoding::of(text);
    let parts = split(text);
    let room = if parts.len() > 1 { encoding.joined() } else { encoding.alone() };
    Count {
        encoding,
        units: encoding.length(text),
        parts: parts.len(),
        left: room - parts.last().map_or(0, |it| encoding.length(it)),
    }
}

/// The parts that `text` travels in. A sign of two units moves whole to the next part.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let encoding = Encoding::of(text);
    if text.is_empty() {
        return Vec::new();
    }
    if encoding.length(text) <= encoding.alone() {
        return vec![text];
    }
    let mut parts = Vec::new();
    let (mut begin, mut used) = (0, 0);
    for (at, sign) in text.char_indices() {
        let units = encoding.units(sign);
        if used + units > encoding.joined() {
            parts.push(&text[begin..at]);
            (begin, used) = (at, 0);
        }
        used += units;
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_counted_as_the_networks_count_them() {
        use Encoding::{Gsm7, Ucs2};
        for (sign, times, encoding, parts, left) in [
            ("a", 0, Gsm7, 0, 160),
            ("a", 160, Gsm7, 1, 0),
            ("a", 161, Gsm7, 2, 145),
            ("a", 306, Gsm7, 2, 0),
            ("a", 307, Gsm7, 3, 152),
            ("ñ", 160, Gsm7, 1, 0),
            ("€", 80, Gsm7, 1, 0),
            ("€", 81, Gsm7, 2, 143),
            // An odd room: the pair that would be cut goes to the next part.
            ("€", 152, Gsm7, 2, 1),
            ("€", 153, Gsm7, 3, 151),
            ("á", 70, Ucs2, 1, 0),
            ("á", 71, Ucs2, 2, 63),
            ("😀", 35, Ucs2, 1, 0),
            ("😀", 36, Ucs2, 2, 61),
            ("😀", 67, Ucs2, 3, 65),
        ] {
            let it = count(&sign.repeat(times));
            assert_eq!((it.encoding, it.parts, it.left), (encoding, parts, left), "{times} × {sign}");
        }
    }

    #[test]
    fn one_sign_changes_how_all_of_it_is_written() {
        let text = "a".repeat(159);
        assert_eq!(count(&format!("{text}é")).parts, 1);
        assert_eq!(count(&format!("{text}á")).parts, 3);
    }

    proptest! {
        #[test]
        fn the_parts_hold_all_of_the_text_and_no_sign_is_cut(text in "[a-zñá€\\[\\]😀🇨🇱 ]{0,700}|[a-zé€{}~ ]{0,900}|\\PC{0,400}") {
            let it = count(&text);
            let parts = split(&text);
            prop_assert_eq!(parts.concat(), text.as_str());
            prop_assert_eq!(it.parts, parts.len());
            let room = if parts.len() > 1 { it.encoding.joined() } else { it.encoding.alone() };
            prop_assert!(it.units <= room * it.parts);
            let mut units = 0;
            for (at, part) in parts.iter().enumerate() {
                // As they travel: a sign that was cut would not come out again.
                let length: usize = match it.encoding {
                    Encoding::Gsm7 => part.chars().map(|it| if "\u{c}^{}\\[~]|€".contains(it) { 2 } else { 1 }).sum(),
                    Encoding::Ucs2 => part.encode_utf16().count(),
                };
                units += length;
                prop_assert!(length > 0 && length <= room);
                // No part is given away: only a pair that would be cut leaves one unit free.
                prop_assert!(at + 1 == parts.len() || length >= room - 1);
            }
            prop_assert_eq!(units, it.units);
            prop_assert!(it.left <= room);
        }
    }
}
