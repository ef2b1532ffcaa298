//! What people type into a search box, as conditions on a folded key. Knows no table.

use super::address::EmailAddress;
use crate::chile::{phone::Phone, rut::Rut, text::fold};
use sqlx::{Postgres, QueryBuilder};

/// Words beyond this are not looked at: nobody types them.
const MAX_WORDS: usize = 8;
/// Words that are looked for one by one, each beside the others.
const MAX_APART: usize = 4;
/// Letters that a word needs before what looks like it means anything.
const LONG_ENOUGH: usize = 4;
/// Most letters of a word whose neighbours are looked at as swapped.
const MAX_SWAPS: usize = 16;
/// How alike a word must be to count, from 0 to 1: one wrong letter in five passes, two don't.
pub(super) const ALIKE: &str = "0.5";

/// How near a word must be to another to have been meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Near {
    /// The same but for a slip of the finger or of the ear.
    Slip,
    /// That, or as many of its letters in their order.
    Alike,
}

/// A search, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// Folded; one that holds blanks is an address, whose parts stand side by side.
    words: Vec<String>,
    /// The RUT that it may be, as stored.
    pub(super) rut: Option<String>,
    /// The email address or telephone that it is as a whole, as stored.
    pub(super) address: Option<String>,
}

impl Search {
    /// `text` taken apart; none: there is nothing in it to look for.
    pub(super) fn parse(text: &str) -> Option<Search> {
        let text = plain(text);
        let words = match digits(&text) {
            Some(digits) => vec![digits],
            None => words(&text),
        };
        (!words.is_empty()).then_some(Search { words, rut: rut(&text), address: address(&text) })
    }

    /// Whether something was typed in which there is nothing to look for, such as `%`: it finds nobody.
    pub(super) fn is_vain(text: &str) -> bool {
        !text.trim().is_empty() && Search::parse(text).is_none()
    }

    /// Every word occurs in `column`: anywhere, or at the start of a word where
    /// it is too short for an index of trigrams.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, column: &'static str) {
        query.push("(");
        for (place, word) in self.words.iter().enumerate() {
            if place > 0 {
                query.push(" and ");
            }
            push_word(query, column, word);
        }
        query.push(")");
    }

    /// The same of a column with an index of trigrams. Each trigram is looked up in a list of all who bear it, and those of
    /// what a telephone or an address begins with are borne by nearly everybody: where a word has digits the index is
    /// asked for the part around them, and the rows that it gives for all of the word.
    pub(super) fn push_indexed(&self, query: &mut QueryBuilder<Postgres>, column: &'static str) {
        query.push("(");
        for (place, word) in self.words.iter().enumerate() {
            if place > 0 {
                query.push(" and ");
            }
            match telling(word) {
                Some(part) => {
                    query.push(column).push(" like ").push_bind(format!("%{part}%")).push(" and (");
                    query.push(column).push(" || '') like ").push_bind(format!("%{word}%"));
                }
                None => push_word(query, column, word),
            }
        }
        query.push(")");
    }

    /// Each word that an index can be asked for, with the others; nothing where it is the only one.
    pub(super) fn apart(&self) -> Vec<(Search, Search)> {
        if self.words.len() < 2 {
            return Vec::new();
        }
        let of = |words: Vec<String>| Search { words, ..Search::default() };
        let long = self.words.iter().enumerate().filter(|(_, word)| word.chars().count() > 2);
        long.take(MAX_APART)
            .map(|(at, word)| {
                let others = self.words.iter().enumerate().filter(|(other, _)| *other != at);
                (of(vec![word.clone()]), of(others.map(|(_, it)| it.clone()).collect()))
            })
            .collect()
    }

    /// Every word occurs in the one column or in the other.
    pub(super) fn push_either(
        &self,
        query: &mut QueryBuilder<Postgres>,
        (one, other): (&'static str, &'static str),
    ) {
        query.push("(");
        for (place, word) in self.words.iter().enumerate() {
            query.push(if place > 0 { " and (" } else { "(" });
            push_word(query, one, word);
            query.push(" or ");
            push_word(query, other, word);
            query.push(")");
        }
        query.push(")");
    }

    /// The words as a name has them, in the order typed; none: too short for one, or a number.
    pub(super) fn name(&self) -> Option<String> {
        let name = self.words.join(" ");
        (name.chars().filter(|it| it.is_alphabetic()).count() >= LONG_ENOUGH).then_some(name)
    }

    /// Whether a slip of the finger can be told from another word at all.
    pub(super) fn may_be_misspelt(&self) -> bool {
        self.words.iter().any(|it| is_name(it))
    }

    /// Every word occurs in `column`, or one that is `near` it does. [`Near::Alike`] wants
    /// `pg_trgm.word_similarity_threshold` at [`ALIKE`].
    pub(super) fn push_near(&self, query: &mut QueryBuilder<Postgres>, column: &'static str, near: Near) {
        query.push("(");
        for (place, word) in self.words.iter().enumerate() {
            if place > 0 {
                query.push(" and ");
            }
            if !is_name(word) {
                push_word(query, column, word);
                continue;
            }
            query.push("(").push(column);
            match near {
                Near::Slip => query.push(" like ").push_bind(format!("%{word}%")),
                Near::Alike => query.push(" %> ").push_bind(word.clone()),
            };
            for pattern in slips(word) {
                query.push(" or ").push(column).push(" like ").push_bind(pattern);
            }
            query.push(")");
        }
        query.push(")");
    }

    /// How much `column` looks like the words, the more the higher. Weighing is dear: what a slip explains is not weighed.
    pub(super) fn push_likeness(&self, query: &mut QueryBuilder<Postgres>, column: &'static str) {
        query.push("(0");
        for word in self.words.iter().filter(|it| is_name(it)) {
            query
                .push(" + case when (' ' || ")
                .push(column)
                .push(" || ' ') like ")
                .push_bind(format!("% {word} %"));
            query
                .push(" then 1 when ")
                .push(column)
                .push(" like ")
                .push_bind(format!("%{word}%"))
                .push(" then 0.95");
            for pattern in slips(word) {
                query.push(" when ").push(column).push(" like ").push_bind(pattern).push(" then 0.9");
            }
            query.push(" else word_similarity(").push_bind(word.clone()).push(", ").push(column);
            query.push(") end");
        }
        query.push(")");
    }
}

fn push_word(query: &mut QueryBuilder<Postgres>, column: &'static str, word: &str) {
    // Folded words hold letters and digits only, so nothing needs escaping.
    if word.chars().count() > 2 {
        query.push(column).push(" like ").push_bind(format!("%{word}%"));
    } else {
        query.push("(").push(column).push(" like ").push_bind(format!("{word}%"));
        query.push(" or ").push(column).push(" like ").push_bind(format!("% {word}%")).push(")");
    }
}

/// Letters of the part of a word that an index is asked for.
const TELLING: usize = 6;

/// The part of `word` that tells it from others: the last of those that have the most digits. None: all of it does.
fn telling(word: &str) -> Option<String> {
    let letters: Vec<char> = word.chars().collect();
    let digits = |part: &[char]| part.iter().filter(|it| it.is_ascii_digit()).count();
    let part = letters.windows(TELLING).max_by_key(|it| digits(it))?;
    // Of fewer digits too many share the part.
    (letters.len() > TELLING && digits(part) >= 4).then(|| part.iter().collect())
}

/// Whether `word` is one that a slip of the finger may have changed: letters, and enough of them.
fn is_name(word: &str) -> bool {
    word.chars().count() >= LONG_ENOUGH && word.chars().all(|it| it.is_alphabetic() || it == ' ')
}

/// Patterns of what `word` may have been meant to be, where likeness alone does not tell.
fn slips(word: &str) -> Vec<String> {
    swaps(word).into_iter().chain(sounds(word)).map(|it| format!("%{it}%")).collect()
}

/// `word` with any letter where one is heard and another written: s, z and c; b and
/// v; y, j and g. None: too little would be left of it, or nothing changes.
fn sounds(word: &str) -> Option<String> {
    let doubtful = |it: char| matches!(it, 's' | 'z' | 'c' | 'b' | 'v' | 'y' | 'j' | 'g' | 'i' | 'k' | 'q');
    let pattern: String = word.chars().map(|it| if doubtful(it) { '_' } else { it }).collect();
    // An index of trigrams needs three letters side by side.
    let is_narrow = pattern.split('_').any(|it| it.len() >= 3);
    (is_narrow && pattern != word).then_some(pattern)
}

/// `word` with each pair of neighbours swapped: what fast fingers do most, and
/// what trigrams see least.
fn swaps(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() > MAX_SWAPS {
        return Vec::new();
    }
    (1..letters.len())
        .filter(|at| letters[at - 1] != letters[*at])
        .map(|at| {
            let mut swapped = letters.clone();
            swapped.swap(at - 1, at);
            swapped.into_iter().collect()
        })
        .collect()
}

/// `text` without what copying from a chat or a page leaves around it: marks of
/// direction and width that nobody sees, and the start of a link.
fn plain(text: &str) -> String {
    let unseen = |it: char| matches!(it, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let seen: String = text.chars().filter(|it| !unseen(*it)).collect();
    let mut rest = seen.trim();
    for start in ["https://", "http://", "wa.me/", "api.whatsapp.com/send?phone=", "www.", "tel:", "mailto:"]
    {
        rest = rest.strip_prefix(start).unwrap_or(rest);
    }
    rest.to_owned()
}

/// The folded words of `text`; a telephone number or an address among them is one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut number = String::new();
    for token in text.split_whitespace().chain([""]) {
        if !token.is_empty() && is_number(token) {
            number.push_str(token);
            number.push(' ');
            continue;
        }
        if !number.is_empty() {
            match digits(number.trim()).filter(|it| it.len() >= 8) {
                Some(whole) => words.push(whole),
                None => words.extend(fold(&number).split(' ').map(str::to_owned)),
            }
            number.clear();
        }
        let folded = fold(token);
        if token.contains('@') || token.trim_matches('.').contains('.') {
            words.push(folded);
        } else {
            words.extend(folded.split(' ').map(str::to_owned));
        }
    }
    words.retain(|it| !it.is_empty());
    words.truncate(MAX_WORDS);
    words
}

/// Digits, and what stands between those of a telephone number.
fn is_number(text: &str) -> bool {
    let between = |it: char| {
        it.is_whitespace() || matches!(it, '+' | '-' | '.' | '(' | ')' | '\u{2010}'..='\u{2015}' | '−')
    };
    text.chars().all(|it| it.is_ascii_digit() || between(it)) && text.chars().any(|it| it.is_ascii_digit())
}

/// The digits of a telephone number or part of one, however it is spaced.
fn digits(text: &str) -> Option<String> {
    if let Ok(phone) = text.parse::<Phone>() {
        return Some(phone.as_str().trim_start_matches('+').to_owned());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (is_number(text) && digits.len() >= 5).then_some(digits)
}

/// The email address or telephone that `text` is, as stored.
fn address(text: &str) -> Option<String> {
    let email = text.parse::<EmailAddress>().ok().map(|it| it.as_str().to_owned());
    email.or_else(|| text.parse::<Phone>().ok().map(|it| it.as_str().to_owned()))
}

/// The RUT that `text` may be, whole or without its check digit.
fn rut(text: &str) -> Option<String> {
    if let Ok(rut) = text.parse::<Rut>() {
        return Some(rut.stored());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !is_number(text) || !(7..=8).contains(&digits.len()) {
        return None;
    }
    "0123456789K".chars().find_map(|check| format!("{digits}-{check}").parse::<Rut>().ok()).map(Rut::stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Search::parse(text).map(|it| it.words).unwrap_or_default()
    }

    #[test]
    fn words_are_taken_apart_where_there_are_several() {
        let apart = |text: &str| -> Vec<(Vec<String>, Vec<String>)> {
            let all = Search::parse(text).unwrap().apart();
            all.into_iter().map(|(one, others)| (one.words, others.words)).collect()
        };
        let of = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        assert!(apart("ñadi").is_empty());
        assert_eq!(
            apart("Ana de Ñadi"),
            [(of(&["ana"]), of(&["de", "nadi"])), (of(&["nadi"]), of(&["ana", "de"]))]
        );
        assert_eq!(apart("uno dos tres cuatro cinco").len(), 4);
    }

    #[test]
    fn a_search_is_words_a_number_or_a_rut() {
        assert_eq!(words("  Muñoz  ANA "), ["munoz", "ana"]);
        assert_eq!(words("ana.perez@sur.cl"), ["ana perez sur cl"]);
        assert_eq!(words("@sur.cl"), ["sur cl"]);
        assert_eq!(words("Ana +56 9 8765 4321"), ["ana", "56987654321"]);
        assert_eq!(words("local 12 ana"), ["local", "12", "ana"]);
        assert_eq!(words("\u{202a}+56\u{a0}9\u{a0}8765\u{2011}4321\u{202c}"), ["56987654321"]);
        assert_eq!(words("https://wa.me/56987654321"), ["56987654321"]);
        assert_eq!(words("9 8765 4321"), ["56987654321"]);
        assert_eq!(words("+56 (9) 8765-4321"), ["56987654321"]);
        assert_eq!(words("8765 4321"), ["87654321"]);
        assert_eq!(words("100%"), ["100"]);
        assert_eq!(Search::parse("12.531.909-2").unwrap().rut.as_deref(), Some("12531909-2"));
        assert_eq!(Search::parse("125319092").unwrap().rut.as_deref(), Some("12531909-2"));
        assert_eq!(Search::parse("12.531.909").unwrap().rut.as_deref(), Some("12531909-2"));
        assert_eq!(Search::parse("9 8765 4321").unwrap().rut, None);
        let address = |text: &str| Search::parse(text).and_then(|it| it.address);
        assert_eq!(address(" mailto:Ana.Perez@Sur.cl ").as_deref(), Some("ana.perez@sur.cl"));
        assert_eq!(address("9 8765 4321").as_deref(), Some("+56987654321"));
        assert_eq!(address("ana.perez"), None);
        assert_eq!(Search::parse(" %_ "), None);
        assert_eq!(words(&"a ".repeat(50)).len(), MAX_WORDS);
    }

    #[test]
    fn words_are_bound_never_pasted() {
        let mut query = QueryBuilder::<Postgres>::new("where ");
        Search::parse("o'higgins al").unwrap().push(&mut query, "k");
        assert_eq!(
            query.sql().as_str(),
            "where ((k like $1 or k like $2) and k like $3 and (k like $4 or k like $5))"
        );
    }

    #[test]
    fn an_index_is_asked_for_what_tells_a_number_from_others() {
        let check =
            |word: &str, expected: Option<&str>| assert_eq!(telling(word).as_deref(), expected, "{word}");
        check("56987654321", Some("654321"));
        check("persona4711", Some("na4711"));
        check("ana4711 sur cl", Some("4711 s"));
        check("gonzalez", None);
        check("ana99 sur cl", None);
        check("654321", None);
        let mut query = QueryBuilder::<Postgres>::new("");
        Search::parse("ana 9 8765 4321").unwrap().push_indexed(&mut query, "k");
        assert_eq!(query.sql().as_str(), "(k like $1 and k like $2 and (k || '') like $3)");
    }

    #[test]
    fn only_words_of_letters_may_be_misspelt() {
        let may = |text: &str| Search::parse(text).is_some_and(|it| it.may_be_misspelt());
        assert!(may("gonsalez"));
        assert!(!may("ana") && !may("9 8765 4321") && !may("12.531.909-2"));
        assert_eq!(swaps("ana"), ["naa", "aan"]);
        assert_eq!(swaps("aab"), ["aba"]);
        assert_eq!(sounds("gonsales").as_deref(), Some("_on_ale_"));
        assert_eq!(sounds("hernandes").as_deref(), Some("hernande_"));
        assert_eq!(sounds("bies"), None);
    }
}
