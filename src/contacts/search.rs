//! What people type into a search box, as conditions on a folded key. Knows no table.

use crate::chile::{phone::Phone, rut::Rut, text::fold};
use sqlx::{Postgres, QueryBuilder};

/// Words beyond this are not looked at: nobody types them.
const MAX_WORDS: usize = 8;

/// A search, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    words: Vec<String>,
    /// The RUT that it may be, as stored.
    pub(super) rut: Option<String>,
}

impl Search {
    /// `text` taken apart; none: there is nothing in it to look for.
    pub(super) fn parse(text: &str) -> Option<Search> {
        let rut = text.parse::<Rut>().ok().map(Rut::stored);
        let words = match digits(text) {
            Some(digits) => vec![digits],
            None => {
                fold(text).split(' ').filter(|it| !it.is_empty()).take(MAX_WORDS).map(str::to_owned).collect()
            }
        };
        (!words.is_empty()).then_some(Search { words, rut })
    }

    /// Every word occurs in `column`: anywhere, or at the start of a word where
    /// it is too short for an index of trigrams.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, column: &'static str) {
        query.push("(");
        for (place, word) in self.words.iter().enumerate() {
            if place > 0 {
                query.push(" and ");
            }
            // Folded words hold letters and digits only, so nothing needs escaping.
            if word.chars().count() > 2 {
                query.push(column).push(" like ").push_bind(format!("%{word}%"));
            } else {
                query.push("(").push(column).push(" like ").push_bind(format!("{word}%"));
                query.push(" or ").push(column).push(" like ").push_bind(format!("% {word}%")).push(")");
            }
        }
        query.push(")");
    }
}

/// The digits of a telephone number or part of one, however it is spaced.
fn digits(text: &str) -> Option<String> {
    if let Ok(phone) = text.parse::<Phone>() {
        return Some(phone.as_str().trim_start_matches('+').to_owned());
    }
    let is_number = text.chars().all(|it| it.is_ascii_digit() || " +-.()".contains(it));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (is_number && digits.len() >= 5).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Search::parse(text).map(|it| it.words).unwrap_or_default()
    }

    #[test]
    fn a_search_is_words_a_number_or_a_rut() {
        assert_eq!(words("  Muñoz  ANA "), ["munoz", "ana"]);
        assert_eq!(words("ana.perez@sur.cl"), ["ana", "perez", "sur", "cl"]);
        assert_eq!(words("9 8765 4321"), ["56987654321"]);
        assert_eq!(words("+56 (9) 8765-4321"), ["56987654321"]);
        assert_eq!(words("8765 4321"), ["87654321"]);
        assert_eq!(words("100%"), ["100"]);
        assert_eq!(Search::parse("12.531.909-2").unwrap().rut.as_deref(), Some("12531909-2"));
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
}
