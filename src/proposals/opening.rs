//! Where a text begins, after its greeting, and the text with another beginning. Works on the source as people wrote it:
//! plain text, HTML or MJML. Pure.

use super::scrub::{self, Part};
use crate::{
    chile::text::fold,
    messaging::{
        plain_text,
        template::{BodyFormat, Source},
    },
};
use std::ops::Range;

/// Most letters of a line that only greets.
const GREETING: usize = 60;

/// The paragraph that another beginning replaces, as a reader sees it; none: it would be the first.
#[must_use]
pub fn of(source: &Source) -> Option<String> {
    let range = find(source)?;
    let text = &source.body[range];
    let text =
        if source.body_format == BodyFormat::Text { text.to_owned() } else { plain_text::from_html(text) };
    Some(text.trim().to_owned()).filter(|it| !it.is_empty())
}

/// `source` beginning with `opening`; none: in its HTML there is no paragraph to be found.
#[must_use]
pub fn replaced(source: &Source, opening: &str) -> Option<Source> {
    let range = find(source)?;
    let body = &source.body;
    let with = match source.body_format {
        BodyFormat::Text if range.is_empty() => {
            let before = body[..range.start].trim_end();
            let gap = if before.is_empty() { "" } else { "\n\n" };
            return Some(Source { body: format!("{before}{gap}{opening}"), ..source.clone() });
        }
        BodyFormat::Text => opening.to_owned(),
        _ => plain_text::escaped(opening).replace('\n', "<br>\n"),
    };
    Some(Source { body: format!("{}{with}{}", &body[..range.start], &body[range.end..]), ..source.clone() })
}

fn find(source: &Source) -> Option<Range<usize>> {
    match source.body_format {
        BodyFormat::Text => Some(in_text(&source.body)),
        BodyFormat::Html => in_markup(&source.body, "p"),
        BodyFormat::Mjml => in_markup(&source.body, "p").or_else(|| in_markup(&source.body, "mj-text")),
        BodyFormat::Blocks => None,
    }
}

/// The first paragraph after the greeting; empty at the end: there is none.
fn in_text(body: &str) -> Range<usize> {
    let mut start = None;
    let mut at = 0;
    let mut greeted = false;
    for line in body.split_inclusive('\n') {
        let (from, to) = (at, at + line.trim_end().len());
        at += line.len();
        match start {
            None if line.trim().is_empty() => (),
            None if !greeted && is_greeting(line) => greeted = true,
            None => start = Some(from..to),
            Some(ref it) if line.trim().is_empty() => return it.clone(),
            Some(ref mut it) => it.end = to,
        }
    }
    start.unwrap_or(body.len()..body.len())
}

/// Whether a line only greets: `Hola {{ first_name }}:`, `Buenos días`.
fn is_greeting(line: &str) -> bool {
    const BEGIN: [&str; 9] = [
        "hola",
        "estimado",
        "estimada",
        "estimados",
        "estimadas",
        "querido",
        "querida",
        "buenos dias",
        "buenas tardes",
    ];
    let parts = scrub::parts(line.trim());
    let plain: String = parts.iter().map(|it| if let Part::Plain(it) = it { *it } else { "x" }).collect();
    let folded = fold(&plain);
    let greets = BEGIN.iter().any(|it| folded == *it || folded.starts_with(&format!("{it} ")));
    let is_open = plain.ends_with([',', ':']);
    let is_name = plain.trim_end_matches([',', ':', ' ']) == "x";
    let is_short = plain.chars().count() <= GREETING;
    is_short && (is_open && (greets || is_name) || greets && !plain.contains([',', '.']))
}

/// What stands within the first element called `name` that holds a paragraph of words and no greeting.
fn in_markup(body: &str, name: &str) -> Option<Range<usize>> {
    const BLOCKS: [&str; 10] = ["<p", "<h1", "<h2", "<h3", "<div", "<table", "<ul", "<ol", "<img", "<mj-"];
    let lower = body.to_ascii_lowercase();
    let (open, close) = (format!("<{name}"), format!("</{name}"));
    let mut from = 0;
    while let Some(at) = lower[from..].find(&open).map(|it| it + from) {
        from = at + open.len();
        if !lower[from..].starts_with(|it: char| it == '>' || it.is_whitespace()) {
            continue;
        }
        let start = from + lower[from..].find('>')? + 1;
        let end = start + lower[start..].find(&close)?;
        let inner = &lower[start..end];
        let text = plain_text::from_html(&body[start..end]);
        let has_words = text.split_whitespace().count() > 2;
        if has_words && !is_greeting(&text) && !BLOCKS.iter().any(|it| inner.contains(it)) {
            return Some(start..end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: BodyFormat, body: &str, found: &str, becomes: &str) {
        let source = Source { body: body.into(), body_format: format, ..Source::default() };
        assert_eq!(of(&source).unwrap_or_default(), found, "{body}");
        assert_eq!(replaced(&source, "Así <empieza>.").unwrap().body, becomes, "{body}");
    }

    #[test]
    fn a_text_begins_after_its_greeting() {
        let text = |body, found, becomes| check(BodyFormat::Text, body, found, becomes);
        text("Uno\ndos\n\nTres", "Uno\ndos", "Así <empieza>.\n\nTres");
        text(
            "Hola {{ first_name | default(\"Ana\") }}:\n\nUno\n\nDos",
            "Uno",
            "Hola {{ first_name | default(\"Ana\") }}:\n\nAsí <empieza>.\n\nDos",
        );
        text("Hola,\nUno", "Uno", "Hola,\nAsí <empieza>.");
        text(
            "{{ first_name }},\r\n\r\nUno\r\n\r\nDos",
            "Uno",
            "{{ first_name }},\r\n\r\nAsí <empieza>.\r\n\r\nDos",
        );
        text("Hola\n\n", "", "Hola\n\nAsí <empieza>.");
        text("", "", "Así <empieza>.");
        text(
            "Hola vecinos, esta semana abrimos otra sala.",
            "Hola vecinos, esta semana abrimos otra sala.",
            "Así <empieza>.",
        );
    }

    #[test]
    fn markup_takes_it_as_text() {
        check(
            BodyFormat::Html,
            "<h1>Uno</h1><p>Hola {{ first_name }},</p><P class=\"a\">Uno y <b>dos</b> y tres</P><p>Tres</p>",
            "Uno y dos y tres",
            "<h1>Uno</h1><p>Hola {{ first_name }},</p><P class=\"a\">Así &lt;empieza&gt;.</P><p>Tres</p>",
        );
        check(
            BodyFormat::Mjml,
            "<mjml><mj-body><mj-text><h1>Uno dos tres</h1></mj-text><mj-text align=\"left\">Uno dos tres</mj-text></mj-body></mjml>",
            "Uno dos tres",
            "<mjml><mj-body><mj-text><h1>Uno dos tres</h1></mj-text><mj-text align=\"left\">Así &lt;empieza&gt;.</mj-text></mj-body></mjml>",
        );
        let none = Source {
            body: "<pre>uno dos tres</pre>".into(),
            body_format: BodyFormat::Html,
            ..Source::default()
        };
        assert_eq!((of(&none), replaced(&none, "x")), (None, None));
    }
}
