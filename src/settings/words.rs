//! The words by which people stop what is sent to them, and by which they bring it back.

use super::Subject;
use crate::{
    chile::text::{fold, tidy},
    config::FirstValues,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};

/// Words of one list, and characters of one of them, at most.
const MOST: (usize, usize) = (100, 60);

/// What an answer that says nothing else means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// No more promotions.
    pub no_more: Vec<String>,
    /// Promotions again, by text message and WhatsApp.
    pub back: Vec<String>,
}

impl Default for Words {
    fn default() -> Words {
        let no_more = [
            "baja",
            "dar de baja",
            "dame de baja",
            "darme de baja",
            "de baja",
            "quiero darme de baja",
            "por favor darme de baja",
            "por favor dar de baja",
            "solicito baja",
            "no más",
            "no más correos",
            "no enviar más",
            "no me envíen más",
            "no me envíen más correos",
            "no me escriban más",
            "no quiero recibir más correos",
            "no deseo recibir más correos",
            "cancelar suscripción",
            "cancelar",
            "desuscribir",
            "desuscribirme",
            "salir",
            "alto",
            "stop",
            "unsubscribe",
        ];
        Words {
            no_more: no_more.map(str::to_owned).into(),
            back: ["alta", "dar de alta", "start"].map(str::to_owned).into(),
        }
    }
}

impl Words {
    /// Tidied, each once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong.
    pub fn checked(self) -> Result<Words> {
        let list = |field: &'static str, words: Vec<String>| {
            let mut clean: Vec<String> = Vec::new();
            for word in words.iter().map(|it| tidy(it).to_lowercase()) {
                let folded = fold(&word);
                if !folded.is_empty() && clean.iter().all(|it| fold(it) != folded) {
                    clean.push(word);
                }
            }
            let is_long = clean.iter().any(|it| it.chars().count() > MOST.1);
            if clean.len() > MOST.0 || is_long {
                return Err(Error::invalid(field, "Usa a lo más 100 palabras, cada una de hasta 60 letras."));
            }
            Ok(clean)
        };
        let clean = Words { no_more: list("no_more", self.no_more)?, back: list("back", self.back)? };
        if clean.no_more.is_empty() {
            return Err(Error::invalid(
                "no_more",
                "Deja al menos una palabra de baja: la ley obliga a respetar a quien la pide.",
            ));
        }
        if clean.back.iter().any(|it| clean.says_no_more(it)) {
            return Err(Error::invalid("back", "Una misma palabra no puede ser de baja y de alta."));
        }
        Ok(clean)
    }

    /// Whether `text` is a word that stops, whatever its capitals, accents and signs.
    #[must_use]
    pub fn says_no_more(&self, text: &str) -> bool {
        is_one_of(&self.no_more, text)
    }

    /// The same of one that brings back.
    #[must_use]
    pub fn says_back(&self, text: &str) -> bool {
        is_one_of(&self.back, text)
    }
}

fn is_one_of(words: &[String], text: &str) -> bool {
    let text = fold(text);
    words.iter().any(|it| fold(it) == text)
}

impl Subject for Words {
    const NAME: &'static str = "words";

    fn first(_: &FirstValues) -> Words {
        Words::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(no_more: &[&str], back: &[&str]) -> Result<Words> {
        let list = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
        Words { no_more: list(no_more), back: list(back) }.checked()
    }

    #[test]
    fn a_word_is_known_however_it_is_written_and_only_alone() {
        let words = Words::default();
        assert!(words.says_no_more("¡BAJA!") && words.says_no_more(" No mas. ") && words.says_back("Alta"));
        assert!(
            !words.says_no_more("¿Cuánto baja el precio?")
                && !words.says_no_more("")
                && !words.says_back("baja")
        );
        assert_eq!(Words::default().checked().unwrap(), Words::default());
    }

    #[test]
    fn lists_are_tidied_and_there_is_always_a_way_out() {
        let clean = words(&["  BAJA ", "baja", "", "Chao"], &["Volver"]).unwrap();
        assert_eq!((clean.no_more, clean.back), (vec!["baja".into(), "chao".into()], vec!["volver".into()]));
        assert!(words(&["", " "], &[]).is_err() && words(&["baja"], &["BAJA"]).is_err());
        assert!(words(&["x".repeat(61).as_str()], &[]).is_err());
    }
}
