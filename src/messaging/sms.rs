//! A text message: how it reads on the telephone, how long it can get, and what the law wants of it. Pure.

use super::{
    legal, links,
    template::{self, Compiled, RenderError, Source},
    values::{self, Links, Recipient},
};
use crate::{channels::sms, error::FieldError, settings::Business};
use minijinja::Value;
use uuid::Uuid;

/// What a promotion says of how to stop. Without an accent, so that it costs no second part.
pub const STOP: &str = "¿No quieres SMS? Responde BAJA";

/// Words that a reader may answer with, as they are written for them.
const STOP_WORDS: &[&str] = &["ALTO", "BAJA", "CANCELAR", "SALIR", "STOP"];

/// Whether a reader of `text` learns how to stop: by a word to answer with, or by a link.
#[must_use]
pub fn tells_how_to_stop(text: &str, unsubscribe: &str) -> bool {
    let mut words = text.split(|it: char| !it.is_alphanumeric());
    text.contains(unsubscribe) || words.any(|it| STOP_WORDS.contains(&it))
}

/// `filled`, which `source` became for somebody, as it is sent: where the text itself keeps to the alphabet of text
/// messages, no accent in a name makes it cost more.
#[must_use]
pub fn as_sent(source: &Source, filled: &str) -> String {
    let keeps_to_it = sms::outside(&source.body).is_empty();
    if keeps_to_it { sms::plain(filled.trim()) } else { filled.trim().to_owned() }
}

fn sent(source: &Source, compiled: &Compiled, values: &Value) -> Result<String, RenderError> {
    Ok(as_sent(source, &compiled.render(values)?.plain))
}

/// The links of a message that is only looked at, as long as those of a message that leaves.
#[must_use]
pub fn sample_links(public_url: &str) -> Links {
    links::of(public_url, Uuid::from_u128(u128::MAX / 7))
}

/// The longest that `source` gets for nearly anybody; none while it cannot be filled.
#[must_use]
pub fn longest(source: &Source, business: &Business, public_url: &str) -> Option<String> {
    let compiled = template::compile(source).ok()?;
    let values = values::of(&Recipient::long(), &legal::known(business), &sample_links(public_url));
    sent(source, &compiled, &values).ok()
}

/// What keeps `source` from being a text message, at its fields.
#[must_use]
pub fn problems(source: &Source, is_promotional: bool, business: &Business) -> Vec<FieldError> {
    let compiled = match template::compile(source) {
        Ok(compiled) => compiled,
        Err(problems) => return problems,
    };
    let address = "https://baja.invalid";
    let links = sample_links(address);
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
    }
    found
}

/// `body` without the signs that make it cost more. What its tags say stays a tag: no quote is put into them.
#[must_use]
pub fn without_costly_signs(body: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(body.len()), body);
    while let Some(at) = rest.find("{{") {
        out.push_str(&sms::plain(&rest[..at]));
        let end = rest[at..].find("}}").map_or(rest.len(), |it| at + it + 2);
        out.push_str(&sms::plain(&rest[at..end].replace(['“', '”', '„', '«', '»'], "'")));
        rest = &rest[end..];
    }
    out.push_str(&sms::plain(rest));
    out
}

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
        let check = |body: &str, is_promotional| problems(&source(body), is_promotional, &business()).len();
        assert_eq!(check("Hola {{ first_name }}", true), 1);
        assert_eq!(check("Hola {{ first_name }}", false), 0);
        assert_eq!(check("La tarifa baja este mes", true), 1, "a word of the sentence is no way out");
        assert_eq!(check(&format!("Hola. {STOP}"), true), 0);
        assert_eq!(check("Hola. Baja: {{ unsubscribe_url }}", true), 0);
        assert_eq!(check(&"a".repeat(481), false), 1);
        assert_eq!(check("{{ nombre }}", true), 1);
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
    }

    #[test]
    fn costly_signs_go_and_the_tags_stay_tags() {
        assert_eq!(
            without_costly_signs("“Más” {{ first_name | default(\"compañía útil\") }} más"),
            "\"Mas\" {{ first_name | default(\"compañia util\") }} mas"
        );
        for body in
            ["{{ first_name | default(“Hola”) }}", "{{ first_name | default(\"dijo “sí”\") }}", "{{ á"]
        {
            assert!(sms::outside(&without_costly_signs(body)).is_empty(), "{body}");
        }
        let odd = without_costly_signs("{{ first_name | default(\"dijo “sí”\") }}");
        assert!(template::compile(&source(&odd)).is_ok(), "{odd}");
    }
}
