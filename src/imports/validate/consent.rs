//! What a cell says about being written to. A no is recognised generously, a yes
//! strictly: whoever can't be understood has not agreed. Pure.

use super::{Checked, Validator, shorten};
use crate::{
    chile::text::fold,
    imports::{mapping::Field, reader::Row},
};

/// Answers that are a yes, as `fold` leaves them.
const YES: &[&str] = &[
    "si",
    "s",
    "yes",
    "y",
    "true",
    "verdadero",
    "1",
    "x",
    "ok",
    "de acuerdo",
    "acepta",
    "acepto",
    "si acepta",
    "si acepto",
    "autoriza",
    "autorizo",
    "si autoriza",
    "si autorizo",
    "autorizado",
    "autorizada",
    "confirmado",
    "confirmada",
    "suscrito",
    "suscrita",
    "inscrito",
    "inscrita",
    "subscribed",
    "opt in",
    "optin",
    "opted in",
    "accepted",
    "consiente",
];
/// Answers that are a no, where no word of [`NO_WORDS`] says it.
const NO: &[&str] = &["n", "false", "falso", "0", "opt out", "opted out", "do not contact", "do not email"];
/// Words that make an answer a no wherever they stand in it.
const NO_WORDS: &[&str] = &[
    "baja",
    "desuscrito",
    "desuscrita",
    "desuscribir",
    "desuscribirse",
    "desuscripcion",
    "desinscrito",
    "desinscrita",
    "unsubscribed",
    "unsubscribe",
    "unsub",
    "optout",
    "rechaza",
    "rechazo",
    "rechazado",
    "rechazada",
    "revoca",
    "revoco",
    "revocado",
    "revocada",
    "retira",
    "retirado",
    "retirada",
    "excluir",
    "excluido",
    "excluida",
    "bloqueado",
    "bloqueada",
    "cancelado",
    "cancelada",
    "eliminar",
    "stop",
    "spam",
    "nunca",
    "jamas",
    "never",
    "declined",
    "molestar",
];
/// Answers that begin like a no and say that nobody knows.
const UNKNOWN: &[&str] = &[
    "no sabe",
    "no se",
    "no se sabe",
    "no responde",
    "no contesta",
    "no informa",
    "no informado",
    "no aplica",
    "no disponible",
    "no hay",
    "no hay dato",
    "no hay datos",
    "no registra",
    "no consultado",
    "no consta",
];

/// Whether `text` is a yes or a no; none: neither can be told.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    let answer = fold(text);
    let answer = answer.as_str();
    if YES.contains(&answer) {
        return Some(true);
    }
    if UNKNOWN.contains(&answer) {
        return None;
    }
    let mut words = answer.split(' ');
    let is_no = NO.contains(&answer)
        || answer.contains("opt out")
        || words.next() == Some("no")
        || answer.split(' ').any(|it| NO_WORDS.contains(&it));
    is_no.then_some(false)
}

impl Validator {
    pub(super) fn check_consent(&self, row: &Row, it: &mut Checked) {
        let Some(column) = self.place(Field::Accepts) else {
            // No such column: what the uploader states holds for everybody.
            it.accepts = Some(true);
            return;
        };
        let Some(text) = self.text(row, Field::Accepts) else { return };
        it.accepts = yes_or_no(&text);
        if it.accepts.is_none() {
            let sentence = format!(
                "«{}» en «{}» no se entendió: no da permiso para enviarle promociones",
                shorten(&text),
                self.column_name(column)
            );
            self.doubt(it, Field::Accepts, &sentence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::yes_or_no;

    #[test]
    fn a_no_is_a_no_in_many_words_and_a_yes_in_few() {
        for (answer, texts) in [
            (Some(true), &["Sí", "x", "Acepto", "Suscrita", "opt-in", "VERDADERO", "1"][..]),
            (
                Some(false),
                &[
                    "NO",
                    "No, gracias",
                    "Dado de baja",
                    "Desuscrito",
                    "unsubscribed",
                    "opt out",
                    "Opt-Out",
                    "0",
                    "no contactar",
                    "No suscrito",
                    "Rechazó todo y no molestar",
                    "STOP",
                    "no acepta",
                ],
            ),
            (
                None,
                &[
                    "quizás",
                    "no sabe",
                    "N/A",
                    "S/I",
                    "pendiente",
                    "trabaja en el sur",
                    "sí, pero solo por teléfono",
                    "-",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(yes_or_no(text), answer, "{text}");
            }
        }
    }
}
