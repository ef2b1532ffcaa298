//! What people paste to put it on a list, read: addresses, the names beside them, and what is neither.

use crate::{chile::phone::Phone, contacts::address::EmailAddress};
use std::collections::{BTreeMap, BTreeSet};

/// Something pasted that is neither an email address nor a telephone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Number of its line.
    pub line: usize,
    /// As it was pasted.
    pub text: String,
    /// What is wrong with it, for the user.
    pub reason: String,
}

/// Email addresses and telephones as they were pasted, one a line or parted by commas and semicolons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pasted {
    pub(super) emails: BTreeSet<String>,
    pub(super) phones: BTreeSet<String>,
    /// Names by the email addresses that they stood beside.
    pub(super) names: BTreeMap<String, String>,
    pub(super) read: u64,
    pub(super) unread: Vec<Unread>,
}

impl Pasted {
    pub(super) fn read(text: &str) -> Pasted {
        let mut pasted = Pasted::default();
        for (place, line) in text.lines().enumerate() {
            pasted.read_line(place + 1, line);
        }
        pasted
    }

    fn read_line(&mut self, number: usize, line: &str) {
        let before = self.read;
        let (mut emails, mut wrong, mut words): (Vec<String>, Vec<&str>, Vec<&str>) = Default::default();
        for piece in line.split([',', ';', '\t']).map(str::trim).filter(|it| !it.is_empty()) {
            if let Ok(phone) = piece.parse::<Phone>() {
                self.phones.insert(phone.as_str().to_owned());
                self.read += 1;
                continue;
            }
            if !piece.contains('@') {
                if is_dialled(piece) {
                    wrong.push(piece);
                } else {
                    words.push(piece);
                }
                continue;
            }
            let is_mark = |it: char| it.is_whitespace() || "<>()\"'".contains(it);
            for token in piece.split(is_mark).filter(|it| !it.is_empty()) {
                if let Ok(email) = token.parse::<EmailAddress>() {
                    emails.push(email.as_str().to_owned());
                    self.read += 1;
                } else if token.contains('@') {
                    wrong.push(token);
                } else {
                    words.push(token);
                }
            }
        }
        let is_read = self.read > before;
        if !is_read && !line.trim().is_empty() {
            let reason = wrong.first().copied().map_or_else(|| fault(line), fault);
            self.unread.push(Unread { line: number, text: line.trim().to_owned(), reason });
        } else {
            // Beside an email address a number may be anything: a RUT, a date.
            for text in wrong.into_iter().filter(|it| emails.is_empty() || it.contains('@')) {
                self.unread.push(Unread { line: number, text: text.to_owned(), reason: fault(text) });
            }
        }
        words
            .retain(|it| it.chars().any(char::is_alphabetic) && !it.contains(|it: char| it.is_ascii_digit()));
        if let [email] = emails.as_slice()
            && !words.is_empty()
        {
            let marks = |it: char| "<>()\"'".contains(it);
            let name = words.iter().map(|it| it.trim_matches(marks)).collect::<Vec<_>>().join(" ");
            self.names.insert(email.clone(), name);
        }
        self.emails.extend(emails);
    }
}

/// Whether somebody may have meant a telephone.
fn is_dialled(text: &str) -> bool {
    let is_part = |it: char| it.is_ascii_digit() || it.is_whitespace() || "+-().".contains(it);
    text.chars().all(is_part) && text.chars().filter(char::is_ascii_digit).count() > 4
}

/// What is wrong with `text`, which is neither an email address nor a telephone.
fn fault(text: &str) -> String {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let word = text.split_whitespace().find(|it| it.contains('@'));
    match (word.map(str::parse::<EmailAddress>), text.parse::<Phone>()) {
        (Some(Err(error)), _) => error.to_string(),
        (_, Err(error)) if digits > 4 => error.to_string(),
        _ => "no trae correo ni teléfono".to_owned(),
    }
}

/// What of `text` could not be put on a list.
#[must_use]
pub fn unread(text: &str) -> Vec<Unread> {
    Pasted::read(text).unread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_read_however_it_stands() {
        let it = Pasted::read(
            "Ana Muñoz <ANA@sur.example>\n9 8765 4321; pedro@sur.example\n\nsin dirección\n+56987654321\tx",
        );
        assert_eq!(it.emails.into_iter().collect::<Vec<_>>(), ["ana@sur.example", "pedro@sur.example"]);
        assert_eq!(it.phones.into_iter().collect::<Vec<_>>(), ["+56987654321"]);
        assert_eq!(it.names["ana@sur.example"], "Ana Muñoz");
        let unread: Vec<_> = it.unread.iter().map(|it| (it.line, it.text.as_str())).collect();
        assert_eq!((it.read, unread), (4, vec![(4, "sin dirección")]));
    }
}
