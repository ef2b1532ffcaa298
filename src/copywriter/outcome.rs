//! How a call ended: what it costs, whether it is worth another try, and the sentence that people read. Pure.

use crate::codes::codes;

codes! {
    /// How a call ended.
    Outcome {
        /// With an answer.
        Answered = "ANSWERED", "Respondió";
        /// Without a word.
        Blank = "BLANK", "En blanco";
        /// In the middle of a sentence: the limit of tokens was reached.
        Truncated = "TRUNCATED", "Cortada por el límite";
        /// Its filter held it back.
        Filtered = "FILTERED", "Retenida por su filtro";
        /// It gave up for want of machines.
        Short = "SHORT", "Sin recursos";
        /// An answer that is not the JSON that was asked for.
        Unreadable = "UNREADABLE", "No se entiende";
        /// An answer that is none of the provider's.
        Garbage = "GARBAGE", "Respuesta ajena";
        /// 401: it does not know our key.
        Key = "KEY", "Clave rechazada";
        /// 402: nothing is left on the account.
        Balance = "BALANCE", "Sin saldo";
        /// 400, 422 and the like: it does not take what was asked.
        Rejected = "REJECTED", "Pedido rechazado";
        /// 429: too much at once.
        Busy = "BUSY", "Demasiados pedidos";
        /// 500, 503 and the like.
        Down = "DOWN", "Con fallas";
        /// There was nobody to speak to.
        Unreachable = "UNREACHABLE", "Sin conexión";
        /// It took longer than we wait.
        Slow = "SLOW", "Tardó demasiado";
        /// The line went dead before all of it was here.
        Cut = "CUT", "Se cortó";
        /// Our own program was cut off meanwhile.
        Interrupted = "INTERRUPTED", "Interrumpida";
    }
}

/// What is done after a call that gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing: the same would come of it, or be paid for twice.
    No,
    /// Asked once more, at once.
    Once,
    /// Asked again after a while, a few times.
    Later,
}

impl Outcome {
    /// Whether the provider charges, or may charge, for it.
    #[must_use]
    pub fn is_paid(self) -> bool {
        use Outcome as O;
        match self {
            O::Answered
            | O::Blank
            | O::Truncated
            | O::Filtered
            | O::Short
            | O::Unreadable
            | O::Garbage
            | O::Slow
            | O::Cut
            | O::Interrupted => true,
            O::Key | O::Balance | O::Rejected | O::Busy | O::Down | O::Unreachable => false,
        }
    }

    /// Whether it is worth asking again by itself.
    #[must_use]
    pub fn again(self) -> Again {
        use Outcome as O;
        match self {
            O::Blank | O::Cut | O::Interrupted => Again::Once,
            O::Busy | O::Down | O::Unreachable | O::Short => Again::Later,
            _ => Again::No,
        }
    }

    /// What happened and what to do, once it is not tried again; what was kept is the same for all, and said at the end.
    #[must_use]
    pub fn sentence(self) -> String {
        use Outcome as O;
        let (happened, to_do) = match self {
            O::Answered => ("DeepSeek respondió.", ""),
            O::Blank => {
                ("DeepSeek respondió en blanco dos veces.", " Vuelve a pedirlo, o cambia las indicaciones.")
            }
            O::Truncated => (
                "La respuesta llegó cortada: alcanzó el límite de tokens por pedido.",
                " Sube el límite en Ajustes, Textos con IA, y vuelve a pedirlo.",
            ),
            O::Filtered => (
                "El filtro de contenido de DeepSeek retuvo la respuesta.",
                " Revisa el texto o las indicaciones y vuelve a pedirlo.",
            ),
            O::Short => (
                "DeepSeek se quedó sin recursos a mitad de la respuesta, dos veces.",
                " Vuelve a pedirlo más tarde.",
            ),
            O::Unreadable => (
                "La respuesta de DeepSeek no viene en el formato pedido y no se pudo leer.",
                " Vuelve a pedirlo; la respuesta quedó en el registro.",
            ),
            O::Garbage => (
                "Lo que respondió no es de DeepSeek: puede haber un proxy o una dirección equivocada en el camino.",
                " Revisa DEEPSEEK_API_URL y vuelve a pedirlo.",
            ),
            O::Key => (
                "DeepSeek no acepta la clave, así que la IA quedó apagada.",
                " Revisa DEEPSEEK_API_KEY y luego enciéndela con «Volver a intentar».",
            ),
            O::Balance => (
                "La cuenta de DeepSeek no tiene saldo, así que la IA quedó apagada.",
                " Carga saldo y luego enciéndela con «Volver a intentar».",
            ),
            O::Rejected => (
                "DeepSeek rechazó el pedido: el modelo o un parámetro no le sirve.",
                " Revisa DEEPSEEK_MODEL; repetirlo igual daría lo mismo.",
            ),
            O::Busy => (
                "DeepSeek dice que recibe demasiados pedidos, y tres intentos no bastaron.",
                " Espera unos minutos y vuelve a pedirlo.",
            ),
            O::Down => (
                "El servicio de DeepSeek está con fallas, y tres intentos no bastaron.",
                " Vuelve a pedirlo más tarde.",
            ),
            O::Unreachable => (
                "No se pudo conectar con DeepSeek en tres intentos.",
                " Revisa la conexión de este servidor a internet y vuelve a pedirlo.",
            ),
            O::Slow => (
                "DeepSeek tardó demasiado y se dejó de esperar; puede que cobre ese pedido, y así se contó.",
                " Vuelve a pedirlo más tarde.",
            ),
            O::Cut => (
                "La conexión con DeepSeek se cortó dos veces antes de terminar; puede que cobre esos pedidos, y así se contó.",
                " Vuelve a pedirlo más tarde.",
            ),
            O::Interrupted => (
                "El programa se detuvo dos veces mientras esperaba la respuesta; puede que DeepSeek cobre esos pedidos, y así se contó.",
                " Vuelve a pedirlo.",
            ),
        };
        format!("{happened} {KEPT}{to_do}")
    }
}

/// What every failure leaves as it was.
const KEPT: &str = "El texto de la campaña no cambió y puede salir así.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_happened_what_was_kept_and_what_to_do() {
        for outcome in Outcome::ALL.iter().filter(|it| **it != Outcome::Answered) {
            let sentence = outcome.sentence();
            let (happened, to_do) = sentence.split_once(KEPT).unwrap();
            assert!(happened.len() > 30 && to_do.ends_with('.') && to_do.len() > 12, "{sentence}");
        }
    }

    #[test]
    fn what_may_have_been_paid_is_never_repeated_without_end() {
        for outcome in Outcome::ALL {
            let may_repeat = outcome.again() == Again::Later;
            assert!(!may_repeat || !outcome.is_paid() || *outcome == Outcome::Short, "{outcome:?}");
        }
    }
}
