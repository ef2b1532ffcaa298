//! An answer made into proposals, and each proposal judged: whether it may be used at all, and what to look at before.
//! Whatever comes is text and stays text. Pure.

use super::{
    prompt::{ASKED, OPENING, SUBJECT},
    scrub::{self, MARKS, Part},
};
use crate::{
    chile::text::{tidy, tidy_lines},
    messaging::{
        template::{self, Source},
        values::VARIABLES,
    },
};
use serde::Deserialize;
use std::collections::BTreeSet;

/// A subject and an opening, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Subject.
    pub subject: String,
    /// First paragraph.
    pub opening: String,
    /// Why it can't be used, in Spanish.
    pub problem: Option<String>,
    /// What to look at before it is used, in Spanish.
    pub caution: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    propuestas: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    asunto: String,
    #[serde(default)]
    comienzo: String,
}

/// The proposals of `answer` to `prompt`; none: it is not what was asked for.
#[must_use]
pub fn read(answer: &str, prompt: &str) -> Option<Vec<Judged>> {
    let answer: Answer = serde_json::from_str(unfenced(answer)).ok()?;
    let all: Vec<Judged> = answer
        .propuestas
        .iter()
        .take(2 * ASKED)
        .map(|it| judged(&tidy(&it.asunto), &tidy_lines(&it.comienzo), prompt))
        .collect();
    (!all.is_empty()).then_some(all)
}

/// The JSON of an answer that may stand in a fence of Markdown.
fn unfenced(answer: &str) -> &str {
    let answer = answer.trim().trim_start_matches('\u{feff}');
    let Some(inside) = answer.strip_prefix("```") else { return answer };
    let inside = inside.strip_suffix("```").unwrap_or(inside);
    // The fence's first line names the language.
    inside.split_once('\n').map_or(inside, |(_, rest)| rest).trim()
}

fn judged(subject: &str, opening: &str, prompt: &str) -> Judged {
    let problem = problem(subject, opening);
    let caution = if problem.is_none() { caution(subject, opening, prompt) } else { None };
    // What cannot be used is kept to be shown, and nobody reads a whole book of it.
    let short = |text: &str| text.chars().take(2 * OPENING).collect();
    Judged { subject: short(subject), opening: short(opening), problem, caution }
}

/// Why a subject and an opening can't be used.
fn problem(subject: &str, opening: &str) -> Option<String> {
    let said = |text: &str| Some(text.to_owned());
    if subject.is_empty() {
        return said("El asunto viene en blanco.");
    }
    if opening.is_empty() {
        return said("El comienzo viene en blanco.");
    }
    let (long, most) = (subject.chars().count(), SUBJECT);
    if long > most {
        return Some(format!("El asunto tiene {long} caracteres, y el máximo es {most}."));
    }
    let (long, most) = (opening.chars().count(), OPENING);
    if long > most {
        return Some(format!("El comienzo tiene {long} caracteres, y el máximo es {most}."));
    }
    let source = Source { subject: subject.to_owned(), body: opening.to_owned(), ..Source::default() };
    if let Err(wrong) = template::compile(&source) {
        return wrong.into_iter().next().map(|it| it.message);
    }
    for text in [subject, opening] {
        if let Some(tag) = odd_tag(text) {
            return Some(format!(
                "Trae «{tag}», y solo se aceptan variables de la lista, con o sin valor por omisión."
            ));
        }
        if has_markup(text) {
            return said("Trae HTML, y aquí solo se acepta texto.");
        }
        if MARKS.iter().any(|it| text.contains(it)) {
            return said("Copia una marca que oculta datos, como [nombre].");
        }
        if scrub::says_who(text) {
            return said(
                "Trae un enlace, un correo, un número largo o el nombre de alguien, que no están en tu texto.",
            );
        }
    }
    None
}

/// A tag that is more than a variable with its default.
fn odd_tag(text: &str) -> Option<&str> {
    scrub::parts(text).into_iter().find_map(|part| match part {
        Part::Tag(tag) if !is_variable(tag) => Some(tag),
        _ => None,
    })
}

/// `{{ name }}`, `{{ name | default("words") }}`.
fn is_variable(tag: &str) -> bool {
    let Some(inside) = tag.strip_prefix("{{").and_then(|it| it.strip_suffix("}}")) else { return false };
    let (name, filter) = inside.split_once('|').map_or((inside, None), |(name, filter)| (name, Some(filter)));
    let is_default = |filter: &str| {
        let words = filter.trim().strip_prefix("default(").and_then(|it| it.strip_suffix(')')).map(str::trim);
        words.is_some_and(|it| {
            ['"', '\''].iter().any(|quote| {
                let inside = it.strip_prefix(*quote).and_then(|it| it.strip_suffix(*quote));
                inside.is_some_and(|it| !it.contains([*quote, '\\', '<', '{']) && !scrub::says_who(it))
            })
        })
    };
    VARIABLES.iter().any(|it| it.name == name.trim()) && filter.is_none_or(is_default)
}

/// `<` before what could be a tag, or a character by its number.
fn has_markup(text: &str) -> bool {
    let tag = text
        .split('<')
        .skip(1)
        .any(|it| it.starts_with(|it: char| it.is_ascii_alphabetic() || "/!?".contains(it)));
    let entity = text.split('&').skip(1).any(|it| {
        it.split_once(';').is_some_and(|(name, _)| {
            !name.is_empty()
                && name.len() < 10
                && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '#')
        })
    });
    tag || entity
}

/// What to look at before it is used.
fn caution(subject: &str, opening: &str, prompt: &str) -> Option<String> {
    let source = Source { subject: subject.to_owned(), body: opening.to_owned(), ..Source::default() };
    let required = template::compile(&source).map(|it| it.required()).unwrap_or_default();
    let bare = VARIABLES.iter().find(|it| it.personal && required.contains(&it.name));
    let known = numbers(prompt);
    let new: Vec<String> =
        numbers(subject).into_iter().chain(numbers(opening)).filter(|it| !known.contains(it)).collect();
    let mut said = Vec::new();
    if let Some(number) = new.first() {
        said.push(format!("Menciona «{number}», que no está en tu texto: revisa que sea cierto."));
    }
    if let Some(it) = bare {
        said.push(format!(
            "Usa {} sin valor por omisión: no le llegará a quien no tenga ese dato.",
            it.tag()
        ));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// Numbers that a text states, by their digits.
fn numbers(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_ascii_digit() && it != '.' && it != ',')
        .map(|it| it.trim_matches(['.', ',']))
        .filter(|it| it.chars().any(|it| it.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(subject: &str, opening: &str) -> String {
        serde_json::json!({ "propuestas": [{ "asunto": subject, "comienzo": opening }] }).to_string()
    }

    fn one(subject: &str, opening: &str) -> Judged {
        read(&answer(subject, opening), "Abrimos el 24 de noviembre desde $9.990").unwrap().remove(0)
    }

    #[test]
    fn an_answer_is_read_with_or_without_its_fence() {
        let plain = answer("Un asunto", "Un comienzo.");
        for it in [
            plain.clone(),
            format!("```json\n{plain}\n```"),
            format!("```\n{plain}```"),
            format!("\n\n {plain} \n"),
        ] {
            assert_eq!(read(&it, "").unwrap()[0].subject, "Un asunto", "{it}");
        }
        for it in [
            "",
            "hola",
            "{}",
            "[]",
            "{\"propuestas\":[]}",
            "{\"propuestas\":[3]}",
            "```json\n```",
            &plain[..20],
        ] {
            assert_eq!(read(it, ""), None, "{it}");
        }
    }

    #[test]
    fn what_can_be_used_has_no_problem() {
        let it = one(
            "{{ company | default(\"tu empresa\") }} y el otoño",
            "Abrimos el 24, desde $9.990.\n\nTe esperamos.",
        );
        assert_eq!((it.problem, it.caution), (None, None));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let check = |subject: &str, opening: &str, why: &str| {
            let problem = one(subject, opening).problem;
            assert!(problem.as_ref().is_some_and(|it| it.contains(why)), "{subject} {opening}: {problem:?}");
        };
        check("", "Hola", "asunto viene en blanco");
        check("Hola", " \n ", "comienzo viene en blanco");
        check(&"a".repeat(91), "Hola", "91 caracteres");
        check("Hola", &"a".repeat(601), "601 caracteres");
        check("Hola {{ firstname }}", "Ven", "La variable {{ firstname }} no existe");
        check("Hola", "{{ first_name", "etiqueta mal escrita");
        check("Hola", "{{ range(99) }}", "La variable {{ range }} no existe");
        check("Hola", "{% if company %}x{% endif %}", "Trae «{% if company %}»");
        check("Hola", "{{ first_name | upper }}", "Trae «{{ first_name | upper }}»");
        check("Hola", "{{ first_name | default(\"<b>\") }}", "solo se aceptan variables");
        check("Hola", "<script>alert(1)</script>", "Trae HTML");
        check("Hola", "Uno &lt;b&gt; dos", "Trae HTML");
        check("Hola", "Escribe a [correo]", "marca que oculta");
        check("Hola", "Entra a https://estafa.example", "Trae un enlace");
        check("Hola", "Llama al +56 9 8765 4321", "Trae un enlace");
        check("Hola Camila, mira", "Ven", "Trae un enlace");
    }

    #[test]
    fn an_arrow_or_a_comparison_is_no_markup() {
        assert_eq!(one("Menos <3 que 5", "Pan & café; y más").problem, None);
    }

    #[test]
    fn what_the_text_does_not_say_is_pointed_out() {
        let check = |opening: &str, what: &str| {
            let it = one("Otoño", opening);
            assert!(
                it.problem.is_none() && it.caution.as_ref().is_some_and(|it| it.contains(what)),
                "{it:?}"
            );
        };
        check("Con 30 % de descuento.", "«30»");
        check("{{ company }} descansa.", "{{ company }} sin valor por omisión");
    }
}
