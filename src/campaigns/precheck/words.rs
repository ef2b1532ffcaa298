//! Words and manners by which filters know unwanted mail.

use super::Fault;
use crate::chile::text::fold;

/// As they are told; looked for without accents and signs.
const SUSPECT: &[&str] = &[
    "100 % gratis",
    "actúa ya",
    "casino",
    "compra ahora",
    "crédito inmediato",
    "dinero fácil",
    "dinero rápido",
    "felicitaciones, has ganado",
    "gana dinero",
    "ganaste",
    "gratis",
    "haz clic aquí",
    "hazte rico",
    "ingresos extra",
    "millonario",
    "oferta imperdible",
    "sin riesgo",
    "trabaja desde casa",
    "última oportunidad",
    "urgente",
    "viagra",
];

/// Words that are named; more would not help.
const SHOWN: usize = 5;

pub(super) fn faults(subject: &str, plain: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (text, place) in [(subject, "asunto"), (plain, "texto")] {
        let found = suspects(text);
        if !found.is_empty() {
            let named: Vec<_> = found.iter().take(SHOWN).map(|it| format!("«{it}»")).collect();
            faults.push(Fault::new(
                format!("El {place} usa palabras de correo no deseado: {}.", named.join(", ")),
                "Los filtros sospechan de ellas: dilo de otra manera si puedes.",
            ));
        }
    }
    let letters: Vec<char> = subject.chars().filter(|it| it.is_alphabetic()).collect();
    if letters.len() >= 8 && letters.iter().filter(|it| it.is_uppercase()).count() * 10 > letters.len() * 7 {
        faults.push(Fault::new(
            "El asunto está en mayúsculas.",
            "Escríbelo en minúsculas: a los filtros y a las personas les parece un grito.",
        ));
    }
    if subject.chars().filter(|it| matches!(it, '!' | '¡' | '$')).count() > 2 {
        faults.push(Fault::new("El asunto tiene muchos signos (! o $).", "Deja a lo más una exclamación."));
    }
    faults
}

fn suspects(text: &str) -> Vec<&'static str> {
    let text = format!(" {} ", fold(text));
    SUSPECT.iter().copied().filter(|it| text.contains(&format!(" {} ", fold(it)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_named_with_its_place_and_a_part_of_a_word_is_none() {
        let found = faults("¡Última oportunidad!", "Hola, es GRATIS.");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].found.contains("asunto") && found[0].found.contains("«última oportunidad»"));
        assert!(found[1].found.contains("texto") && found[1].found.contains("«gratis»"));
        assert_eq!(faults("Novedades de mayo", "Nuestra gratitud"), []);
    }

    #[test]
    fn a_subject_that_shouts_is_told() {
        assert_eq!(faults("GRAN VENTA DE INVIERNO", "").len(), 1);
        assert_eq!(faults("Venta!!!", "").len(), 1);
        assert_eq!(faults("IVA 2026", ""), []);
    }
}
