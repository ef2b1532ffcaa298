//! A text message: how it reads on the telephone, how long it can get, and what the law wants of it. Pure.

use super::{
    legal, links,
    tags::{self, Piece},
    template::{self, Compiled, RenderError, Source},
    values::{self, Links, Recipient},
};
use crate::{channels::sms, chile::text::fold, error::FieldError, settings::Business};
use minijinja::{Environment, Value};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

/// What a promotion says of how to stop. Without an accent, so that it costs no second part.
pub const STOP: &str = "¿No quieres SMS? Responde BAJA";

/// Words that a reader may answer with, folded.
const STOP_WORDS: &[&str] = &["alto", "baja", "cancelar", "salir", "stop"];

/// How a reader is told to answer, folded.
const ORDERS: &[&str] = &[
    "contesta",
    "conteste",
    "contestando",
    "contestanos",
    "envia",
    "envie",
    "enviando",
    "envianos",
    "escribe",
    "escriba",
    "escribiendo",
    "escribenos",
    "manda",
    "mande",
    "mandando",
    "mandanos",
    "reply",
    "responda",
    "responde",
    "respondenos",
    "respondiendo",
    "responder",
];

/// What may stand between the order and the word.
const BETWEEN: &[&str] = &[
    "a", "al", "con", "de", "el", "este", "la", "mensaje", "palabra", "solo", "sms", "texto", "un", "una",
    "whatsapp",
];

/// Whether a reader of `text` learns how to stop: by a word that they are told to answer with, or by a link. A word of
/// a sentence, «el precio BAJA», is no way out.
#[must_use]
pub fn tells_how_to_stop(text: &str, unsubscribe: &str) -> bool {
    if text.contains(unsubscribe) {
        return true;
    }
    let folded = fold(text);
    let mut is_ordered = false;
    for word in folded.split(' ') {
        if is_ordered && STOP_WORDS.contains(&word) {
            return true;
        }
        is_ordered = ORDERS.contains(&word) || (is_ordered && BETWEEN.contains(&word));
    }
    false
}

/// `filled`, which `source` became for somebody, as it is sent: where the text itself keeps to the alphabet of text
/// messages, no accent in a name makes it cost more.
#[must_use]
pub fn as_sent(source: &Source, filled: &str) -> String {
    // What a tag says is no word of the text: an accent in a default decides nothing.
    let keeps_to_it = tags::pieces(&source.body).into_iter().all(|it| match it {
        Piece::Words(words) => sms::outside(&words.nfc().collect::<String>()).is_empty(),
        Piece::Tag(_) => true,
    });
    if keeps_to_it { sms::plain(filled.trim()) } else { filled.trim().nfc().collect() }
}

fn sent(source: &Source, compiled: &Compiled, values: &Value) -> Result<String, RenderError> {
    Ok(as_sent(source, &compiled.render(values)?.plain))
}

/// The links of a message that is only looked at, as long as those of a message that leaves.
#[must_use]
pub fn sample_links(public_url: &str) -> Links {
    links::of(public_url, Uuid::from_u128(u128::MAX / 7))
}

/// The longest that `source` gets for nearly anybody; none while it cannot be filled. Who has no datum at all may get
/// more than who has long ones: what stands in for them.
#[must_use]
pub fn longest(source: &Source, business: &Business, public_url: &str) -> Option<String> {
    let compiled = template::compile(source).ok()?;
    let cost = |it: &String| (sms::count(it).parts, it.chars().count());
    forms(source, &compiled, business, &sample_links(public_url)).into_iter().max_by_key(cost)
}

/// What `source` becomes for somebody with long data and for somebody with none, of those who can get it.
fn forms(source: &Source, compiled: &Compiled, business: &Business, links: &Links) -> Vec<String> {
    let business = legal::known(business);
    [Recipient::long(), Recipient::default()]
        .iter()
        .filter_map(|it| sent(source, compiled, &values::of(it, &business, links)).ok())
        .collect()
}

/// What keeps `source` from being a text message, at its fields.
#[must_use]
pub fn problems(
    source: &Source,
    is_promotional: bool,
    business: &Business,
    public_url: &str,
) -> Vec<FieldError> {
    let compiled = match template::compile(source) {
        Ok(compiled) => compiled,
        Err(problems) => return problems,
    };
    let links = sample_links(public_url);
    let values = values::of(&Recipient::sample(), &legal::known(business), &links);
    let Ok(text) = sent(source, &compiled, &values) else { return Vec::new() };
    let mut found = Vec::new();
    if text.chars().count() > sms::LONGEST {
        found.push(FieldError::new(
            "body",
            format!(
                "El mensaje tiene {} caracteres y el proveedor corta en {}: acórtalo.",
                text.chars().count(),
                sms::LONGEST
            ),
        ));
    }
    if is_promotional && !tells_how_to_stop(&text, &links.unsubscribe) {
        found.push(FieldError::new(
            "body",
            format!(
                "Di cómo dejar de recibir, por ejemplo «{STOP}», o con {{{{ unsubscribe_url }}}}: lo pide la ley 19.496 (art. 28 B)."
            ),
        ));
        return found;
    }
    let keeps_way_out = |form: &String| {
        let kept: String = form.chars().take(sms::LONGEST).collect();
        tells_how_to_stop(&kept, &links.unsubscribe)
    };
    if is_promotional
        && found.is_empty()
        && !forms(source, &compiled, business, &links).iter().all(keeps_way_out)
    {
        found.push(FieldError::new(
            "body",
            format!(
                "Hay personas que no verían cómo dejar de recibir: con datos largos el proveedor corta en {} caracteres, o el texto cambia si falta un dato. Acórtalo, o dilo para todos.",
                sms::LONGEST
            ),
        ));
    }
    found
}

/// `body` without the signs that make it cost more. What its tags decide and compare stays as it is: of them, only what
/// they show for a missing value changes.
#[must_use]
pub fn without_costly_signs(body: &str) -> String {
    let env = Environment::new();
    let mut out = String::with_capacity(body.len());
    for piece in tags::pieces(body) {
        match piece {
            Piece::Tag(tag) if !tag.starts_with("{{") => out.push_str(tag),
            // No quote may come to stand within quotes.
            Piece::Tag(tag) if env.template_from_str(tag).is_ok() => {
                out.push_str(&tags::with_defaults(tag, |it| sms::plain(&it.replace(QUOTES, ""))));
            }
            // Curly quotes of a word processor keep it from being a tag at all.
            Piece::Tag(tag) => out.push_str(&sms::plain(&tag.replace(QUOTES, "'"))),
            Piece::Words(words) => out.push_str(&sms::plain(words)),
        }
    }
    out
}

/// Quotes that the alphabet lacks, and signs that are written for them.
const QUOTES: [char; 10] = ['“', '”', '„', '«', '»', '‘', '’', '‚', '´', '`'];

#[cfg(test)]
mod tests {
    use super::*;

    fn source(body: &str) -> Source {
        Source { body: body.into(), ..Source::default() }
    }

    fn business() -> Business {
        Business { name: "Termas Ñuble".into(), ..Business::default() }
    }

    #[test]
    fn a_promotion_says_how_to_stop() {
        let check = |body: &str, is_promotional| {
            problems(&source(body), is_promotional, &business(), "https://a.cl").len()
        };
        assert_eq!(check("Hola {{ first_name }}", true), 1);
        assert_eq!(check("Hola {{ first_name }}", false), 0);
        assert_eq!(check("La tarifa baja este mes", true), 1, "a word of the sentence is no way out");
        assert_eq!(check(&format!("Hola. {STOP}"), true), 0);
        assert_eq!(check("Hola. Baja: {{ unsubscribe_url }}", true), 0);
        assert_eq!(check(&"a".repeat(481), false), 1);
        assert_eq!(check("{{ nombre }}", true), 1);
        assert_eq!(check("{{ first_name | titulo }} Responde BAJA", true), 1);
    }

    #[test]
    fn a_way_out_is_a_word_to_answer_with() {
        for text in [
            STOP,
            "Para salir, responde con la palabra «SALIR».",
            "¿Basta? Envía STOP",
            "Contéstanos «baja» y no escribimos más",
            "Escribe: BAJA",
            "Responde a este mensaje con ALTO",
        ] {
            assert!(tells_how_to_stop(text, "\0"), "{text}");
        }
        for text in [
            "GRAN OFERTA: EL PRECIO BAJA 30%",
            "STOCK ALTO EN TODO",
            "Responde hoy: el precio BAJA mañana",
            "Escribe y te mostramos cómo BAJA",
            "BAJA",
        ] {
            assert!(!tells_how_to_stop(text, "\0"), "{text}");
        }
    }

    #[test]
    fn nobody_loses_the_way_out_of_a_promotion() {
        let check = |body: &str, public_url: &str| problems(&source(body), true, &business(), public_url);
        let end = " Responde BAJA";
        let long = |letters: usize| format!("{} {{{{ company }}}}{end}", "a".repeat(letters));
        assert_eq!(check(&long(400), "https://a.cl"), []);
        let said = check(&long(440), "https://a.cl");
        assert!(said.len() == 1 && said[0].message.contains("no verían cómo"), "{said:?}");
        assert_eq!(problems(&source(&long(440)), false, &business(), "https://a.cl"), []);
        // What is measured is the address that leaves, not one of another length.
        let linked = format!("{} {{{{ unsubscribe_url }}}}", "a".repeat(430));
        assert_eq!(check(&linked, "https://a.cl"), []);
        let said = check(&linked, "https://correos.una-empresa-de-nombre-largo.cl");
        assert!(said[0].message.contains("el proveedor corta en 480"), "{said:?}");
        let said = check("{% if company %}Hola. Responde BAJA{% else %}Hola{% endif %}", "https://a.cl");
        assert!(said.len() == 1 && said[0].message.contains("falta un dato"), "{said:?}");
    }

    #[test]
    fn an_accent_in_a_name_costs_nothing_where_the_text_has_none() {
        let martin = Recipient { first_name: "Martín Muñoz".into(), ..Recipient::default() };
        let values = values::of(&martin, &business(), &Links::default());
        let fill = |body: &str| {
            let Ok(compiled) = template::compile(&source(body)) else { panic!("{body}") };
            sent(&source(body), &compiled, &values).unwrap()
        };
        assert_eq!(fill("Hola {{ first_name }}"), "Hola Martin Muñoz");
        assert_eq!(fill("Más, {{ first_name }}"), "Más, Martín Muñoz");
        assert_eq!(
            fill("{{ first_name | default(\"tú\") }}{% if first_name == \"Concón\" %}x{% endif %}"),
            "Martin Muñoz"
        );
        assert_eq!(fill("{{ comuna | default(\"tu región\") }}"), "tu region");
        assert_eq!(fill("Sen\u{303}or {{ first_name }}"), "Señor Martin Muñoz");
    }

    #[test]
    fn the_longest_has_long_values_and_a_whole_link() {
        let text =
            longest(&source("{{ first_name }} {{ unsubscribe_url }}"), &business(), "https://a.cl").unwrap();
        assert_eq!(
            text.len(),
            "https://a.cl/baja/".len() + 22 + Recipient::long().first_name.chars().count() + 1
        );
        assert_eq!(longest(&source("{{ x }}"), &business(), "https://a.cl"), None);
        let far = "a".repeat(200);
        for body in [
            format!("{{{{ first_name | default(\"{far}\") }}}}"),
            format!("{{% if company %}}Hola{{% else %}}{far}{{% endif %}}"),
        ] {
            assert_eq!(longest(&source(&body), &business(), "https://a.cl").unwrap(), far, "{body}");
        }
    }

    #[test]
    fn costly_signs_go_and_the_tags_stay_tags() {
        assert_eq!(
            without_costly_signs("“Más” {{ first_name | default(\"compañía útil\") }} más"),
            "\"Mas\" {{ first_name | default(\"compañia util\") }} mas"
        );
        assert_eq!(
            without_costly_signs("{{ first_name | default('d’Artagnan') }}"),
            "{{ first_name | default('dArtagnan') }}"
        );
        for kept in [
            "{% if comuna == \"Concepción\" %}Si{% endif %}",
            "{# más #}",
            "{{ \"Si\" if comuna == \"Concepción\" else \"No\" }}",
        ] {
            assert_eq!(without_costly_signs(kept), kept);
        }
        for body in
            ["{{ first_name | default(“Hola”) }}", "{{ first_name | default(\"dijo “sí”\") }}", "{{ á"]
        {
            assert!(sms::outside(&without_costly_signs(body)).is_empty(), "{body}");
        }
        let odd = without_costly_signs("{{ first_name | default(\"dijo “sí”\") }}");
        assert!(template::compile(&source(&odd)).is_ok(), "{odd}");
    }
}
