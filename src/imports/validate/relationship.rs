//! What a row says of the relationship with a person: where they were met, how far it has come, what they care about,
//! and who looks after them. Pure.

use super::{Checked, Validator, shorten};
use crate::{
    chile::text::{fold, tidy},
    contacts::{interests, vocabulary::Lifecycle},
    imports::{mapping::Field, reader::Row},
};

/// Interests that are taken from one cell.
const MOST_INTERESTS: usize = 30;

impl Validator {
    pub(super) fn check_relationship(&self, row: &Row, it: &mut Checked) {
        if let Some(text) = self.text(row, Field::Source) {
            it.source = source(&text);
            if it.source.is_none() {
                let sentence = format!("El origen «{}» no es de la lista: no se guardó", shorten(&text));
                self.doubt(it, Field::Source, &sentence);
            }
        }
        if let Some(text) = self.text(row, Field::Lifecycle) {
            it.lifecycle = lifecycle(&text).map(Lifecycle::code);
            if it.lifecycle.is_none() {
                let sentence = format!(
                    "La etapa «{}» no es lead, prospecto, cliente ni inactivo: no se guardó, y quien es nuevo queda como lead",
                    shorten(&text)
                );
                self.doubt(it, Field::Lifecycle, &sentence);
            }
        }
        if let Some(text) = self.text(row, Field::Interests) {
            it.interests = parted(&text);
            let usual = it.interests.len();
            it.interests.retain(|it| it.chars().count() <= interests::LONGEST);
            if it.interests.len() < usual {
                let sentence = format!(
                    "Un interés pasa de {} caracteres: no se guardó; si son varios, sepáralos con comas",
                    interests::LONGEST
                );
                self.doubt(it, Field::Interests, &sentence);
            }
            if it.interests.len() > MOST_INTERESTS {
                it.interests.truncate(MOST_INTERESTS);
                let sentence = format!("Trae más de {MOST_INTERESTS} intereses: se guardaron los primeros");
                self.doubt(it, Field::Interests, &sentence);
            }
        }
        it.owner = self.text(row, Field::Owner).map(|text| tidy(&text)).filter(|it| !fold(it).is_empty());
    }
}

/// What people write where they have nothing to say, as `fold` leaves it.
const NOTHING: &[&str] =
    &["n a", "na", "no", "si", "x", "nada", "ninguno", "ninguna", "no aplica", "sin interes"];

/// The interests of a cell, each once: parted by commas, semicolons, bars, lines, and slashes between blanks.
fn parted(text: &str) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let parts = text.split([',', ';', '|', '\n', '\r']).flat_map(|it| it.split(" / "));
    for part in parts.map(tidy) {
        let key = fold(&part);
        if !key.is_empty() && !NOTHING.contains(&key.as_str()) && !known.contains(&key) {
            known.push(key);
            found.push(part);
        }
    }
    found
}

/// How far a relationship has come, by the word for it in a file.
fn lifecycle(text: &str) -> Option<Lifecycle> {
    let words = fold(text);
    let has = |any: &[&str]| {
        words
            .split(' ')
            .any(|word| any.contains(&word) || word.strip_suffix('s').is_some_and(|it| any.contains(&it)))
    };
    Some(match () {
        // Whoever is in doubt, or says two things, says none.
        () if text.contains(['/', '?', ',', ';', '|']) => return None,
        // Whoever is told by what they are not may be anything else.
        () if has(&["no", "not", "sin", "nunca"]) => return None,
        () if has(&["inactivo", "inactiva", "inactive", "ex", "perdido", "perdida", "former", "churned"]) => {
            Lifecycle::Inactive
        }
        () if has(&["prospecto", "prospecta", "prospect", "oportunidad", "opportunity"])
            || has(&["potencial", "posible", "probable", "futuro", "futura", "potential"]) =>
        {
            Lifecycle::Prospect
        }
        () if has(&["cliente", "clienta", "client", "customer"]) => Lifecycle::Customer,
        () if has(&["lead", "nuevo", "nueva", "interesado", "interesada"]) => Lifecycle::Lead,
        () => return None,
    })
}

/// The stored source that a word in a file stands for.
fn source(text: &str) -> Option<&'static str> {
    let words = fold(text);
    let has = |any: &[&str]| words.split(' ').any(|word| any.contains(&word));
    Some(match () {
        () if has(&["instagram", "ig"]) => "INSTAGRAM",
        () if has(&["facebook", "fb"]) => "FACEBOOK",
        () if has(&["google"]) => "GOOGLE",
        () if has(&["referido", "referida", "recomendado", "recomendacion", "referral"]) => "REFERIDO",
        () if has(&["feria", "evento", "seminario", "charla", "congreso", "expo", "event"]) => "EVENTO",
        () if has(&["web", "sitio", "website", "pagina", "formulario"]) => "WEB",
        () if has(&["local", "presencial", "tienda", "visita", "walk"]) => "WALK_IN",
        () if has(&["newsletter", "boletin"]) => "NEWSLETTER",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_are_parted_and_told_once() {
        for (text, expected) in [
            ("Yoga, Pilates,yoga", &["Yoga", "Pilates"][..]),
            ("masajes, TINAJAS; Yoga", &["masajes", "TINAJAS", "Yoga"]),
            ("Masajes / Tinajas", &["Masajes", "Tinajas"]),
            ("Yoga | Spa\nMasajes", &["Yoga", "Spa", "Masajes"]),
            ("N/A, Sí, Talla 40/42", &["Talla 40/42"]),
            (" , - ;", &[]),
        ] {
            assert_eq!(parted(text), expected, "{text}");
        }
    }

    #[test]
    fn a_stage_is_known_by_its_word() {
        for (text, expected) in [
            ("LEAD", Some(Lifecycle::Lead)),
            ("Cliente potencial", Some(Lifecycle::Prospect)),
            ("clienta", Some(Lifecycle::Customer)),
            ("Ex cliente", Some(Lifecycle::Inactive)),
            ("Cliente inactivo", Some(Lifecycle::Inactive)),
            ("Posible cliente", Some(Lifecycle::Prospect)),
            ("Futura clienta", Some(Lifecycle::Prospect)),
            ("CLIENTES", Some(Lifecycle::Customer)),
            ("Cliente?", None),
            ("Cliente / Prospecto", None),
            ("No cliente", None),
            ("Ya no es cliente", None),
            ("Dado de baja", None),
            ("Pagado", None),
        ] {
            assert_eq!(lifecycle(text), expected, "{text}");
        }
        for &it in Lifecycle::ALL {
            assert_eq!(lifecycle(it.label()), Some(it), "as an export says it");
        }
    }
}
