//! The first paragraph of a text, and another in its place. A greeting of its own, "Hola …:", is not it. Pure.

use super::{
    plain_text,
    template::{BodyFormat, Source},
};
use crate::chile::text::fold;
use std::ops::Range;

/// Letters of a greeting, at most.
const GREETING: usize = 80;

/// What the first paragraph of `source` says, as plain text; none: it has none that can be told from the rest.
#[must_use]
pub fn of(source: &Source) -> Option<String> {
    let place = place(source)?;
    let inner = &source.body[place];
    Some(match source.body_format {
        BodyFormat::Text => inner.trim().to_owned(),
        _ => plain_text::from_html(inner).trim().to_owned(),
    })
}

/// `source` with `opening`, plain text with variables, in place of its first paragraph; none: it has none.
#[must_use]
pub fn replaced(source: &Source, opening: &str) -> Option<Source> {
    let place = place(source)?;
    let opening = opening.trim().replace("\r\n", "\n");
    let inner = match source.body_format {
        BodyFormat::Text => opening,
        _ => opening.lines().map(plain_text::escaped).collect::<Vec<_>>().join("<br />"),
    };
    let mut source = source.clone();
    source.body.replace_range(place, &inner);
    Some(source)
}

fn place(source: &Source) -> Option<Range<usize>> {
    let body = &without_comments(&source.body, source.body_format != BodyFormat::Text);
    let all = match source.body_format {
        BodyFormat::Text => paragraphs(body),
        BodyFormat::Html => elements(body, "p"),
        BodyFormat::Mjml => match elements(body, "p") {
            found if found.is_empty() => elements(body, "mj-text"),
            found => found,
        },
        BodyFormat::Blocks => Vec::new(),
    };
    let shown = |it: &Range<usize>| match source.body_format {
        BodyFormat::Text => body[it.clone()].to_owned(),
        _ => plain_text::from_html(&body[it.clone()]),
    };
    let is_paragraph = |it: &Range<usize>| {
        let holds_others = source.body_format != BodyFormat::Text && holds_blocks(&body[it.clone()]);
        !holds_others && !shown(it).trim().is_empty()
    };
    let mut written = all.into_iter().filter(is_paragraph);
    let first = written.next()?;
    if is_greeting(&shown(&first)) { Some(written.next().unwrap_or(first)) } else { Some(first) }
}

/// `body` with spaces in place of its comments, so that places stay what they were: nobody reads what stands in one.
fn without_comments(body: &str, is_markup: bool) -> String {
    const NOTE: (&str, &str) = ("{#", "#}");
    const MARKUP: (&str, &str) = ("<!--", "-->");
    let signs: &[(&str, &str)] = if is_markup { &[NOTE, MARKUP] } else { &[NOTE] };
    let mut out = body.to_owned();
    let mut from = 0;
    let next = |out: &str, from: usize| {
        let found = signs.iter().filter_map(|it| Some((from + out[from..].find(it.0)?, it)));
        found.min_by_key(|it| it.0)
    };
    while let Some((start, (open, close))) = next(&out, from) {
        let inside = start + open.len();
        let end = out[inside..].find(close).map_or(out.len(), |it| inside + it + close.len());
        out.replace_range(start..end, &" ".repeat(end - start));
        from = end;
    }
    out
}

/// Whether `inner` is no paragraph but holds some, a heading or a picture.
fn holds_blocks(inner: &str) -> bool {
    const BLOCKS: [&str; 10] = ["<p", "<h1", "<h2", "<h3", "<div", "<table", "<ul", "<ol", "<img", "<mj-"];
    let inner = inner.to_ascii_lowercase();
    BLOCKS.iter().any(|it| inner.contains(it))
}

/// The word with which a greeting begins, as [`fold`] leaves it; a name may follow.
pub const HELLO: [&str; 7] = ["hola", "estimado", "estimada", "estimados", "estimadas", "querido", "querida"];

/// Greetings of two words.
const GOOD_DAY: [&str; 2] = ["buenos dias", "buenas tardes"];

/// `Hola {{ first_name }}:`, `{{ first_name }},`, `Buenos días`
fn is_greeting(paragraph: &str) -> bool {
    let paragraph = paragraph.trim();
    let folded = fold(paragraph);
    let greets =
        HELLO.iter().chain(&GOOD_DAY).any(|it| folded == *it || folded.starts_with(&format!("{it} ")));
    let is_open = paragraph.ends_with([':', ',']);
    let is_line = paragraph.chars().count() <= GREETING && !paragraph.contains('\n');
    is_line
        && (is_open && (greets || paragraph.starts_with('{')) || greets && !paragraph.contains([',', '.']))
}

/// Where the paragraphs of a plain text stand; a line that only greets is one.
fn paragraphs(body: &str) -> Vec<Range<usize>> {
    let (mut all, mut at, mut open) = (Vec::new(), 0, None::<Range<usize>>);
    for line in body.split_inclusive('\n') {
        let written = line.trim_end_matches(['\n', '\r']).len();
        if line.trim().is_empty() {
            all.extend(open.take());
        } else if all.is_empty() && open.is_none() && is_greeting(line) {
            all.push(at..at + written);
        } else {
            let start = open.map_or(at, |it| it.start);
            open = Some(start..at + written);
        }
        at += line.len();
    }
    all.extend(open);
    all
}

/// Where the insides of the elements called `name` stand.
fn elements(body: &str, name: &str) -> Vec<Range<usize>> {
    // Folded in ASCII, so that places stay what they were.
    let folded = body.to_ascii_lowercase();
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let (mut all, mut from) = (Vec::new(), 0);
    while let Some(found) = folded[from..].find(&open) {
        let start = from + found + open.len();
        from = start;
        // `<pre>` is no `<p>`.
        if !folded[start..].starts_with(['>', ' ', '\n', '\t', '\r']) {
            continue;
        }
        let Some(inner) = folded[start..].find('>').map(|it| start + it + 1) else { break };
        let Some(end) = folded[inner..].find(&close).map(|it| inner + it) else { break };
        all.push(inner..end);
        from = end;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body_format: BodyFormat, body: &str, first: Option<&str>, after: Option<&str>) {
        let source = Source { body: body.into(), body_format, ..Source::default() };
        assert_eq!(of(&source).as_deref(), first, "{body}");
        let replaced = replaced(&source, "Otra & {{ company }}\r\nmás");
        assert_eq!(replaced.map(|it| it.body).as_deref(), after, "{body}");
    }

    #[test]
    fn the_first_paragraph_is_replaced_and_nothing_else() {
        let text = |body, first, after| check(BodyFormat::Text, body, first, after);
        text("Una\ndos\n\ntres", Some("Una\ndos"), Some("Otra & {{ company }}\nmás\n\ntres"));
        text(
            "Hola {{ first_name }}:\r\n\r\nUna\r\n\r\nfin",
            Some("Una"),
            Some("Hola {{ first_name }}:\r\n\r\nOtra & {{ company }}\nmás\r\n\r\nfin"),
        );
        text("\n\nHola,\n", Some("Hola,"), Some("\n\nOtra & {{ company }}\nmás\n"));
        text("Hola,\nUna\ndos", Some("Una\ndos"), Some("Hola,\nOtra & {{ company }}\nmás"));
        text(
            "Nuestros horarios:\n\nUna",
            Some("Nuestros horarios:"),
            Some("Otra & {{ company }}\nmás\n\nUna"),
        );
        text("Buenos días\n\nUna", Some("Una"), Some("Buenos días\n\nOtra & {{ company }}\nmás"));
        text("  \n", None, None);
        let html = |body, first, after| check(BodyFormat::Html, body, first, after);
        html(
            "<pre>x</pre><P class=\"a\">Una <b>dos</b></P><p>tres</p>",
            Some("Una dos"),
            Some("<pre>x</pre><P class=\"a\">Otra &amp; {{ company }}<br />más</P><p>tres</p>"),
        );
        html("<div>x</div>", None, None);
        html(
            "<!-- <p>ñ oculto</p> --><p>Una<!-- </p> --></p>",
            Some("Una"),
            Some("<!-- <p>ñ oculto</p> --><p>Otra &amp; {{ company }}<br />más</p>"),
        );
        html(
            "{# <p>Nota</p> #}<p>Una</p>",
            Some("Una"),
            Some("{# <p>Nota</p> #}<p>Otra &amp; {{ company }}<br />más</p>"),
        );
        html(
            "<p>Una</p><!-- sin fin <p>dos</p>",
            Some("Una"),
            Some("<p>Otra &amp; {{ company }}<br />más</p><!-- sin fin <p>dos</p>"),
        );
        html("<!-- sin fin <p>dos</p>", None, None);
        text("{# Nota #}\n\nUna", Some("Una"), Some("{# Nota #}\n\nOtra & {{ company }}\nmás"));
        check(
            BodyFormat::Mjml,
            "<mj-body><!-- <mj-text><p>Antes</p></mj-text> --><mj-text><p>Una</p></mj-text></mj-body>",
            Some("Una"),
            Some(
                "<mj-body><!-- <mj-text><p>Antes</p></mj-text> --><mj-text><p>Otra &amp; {{ company }}<br />más</p></mj-text></mj-body>",
            ),
        );
        check(
            BodyFormat::Mjml,
            "<mj-text><h1>T</h1></mj-text><mj-text><p>Hola:</p>\n<p>Una</p></mj-text>",
            Some("Una"),
            Some(
                "<mj-text><h1>T</h1></mj-text><mj-text><p>Hola:</p>\n<p>Otra &amp; {{ company }}<br />más</p></mj-text>",
            ),
        );
        check(
            BodyFormat::Mjml,
            "<mj-text><h1>T</h1></mj-text><mj-text>Una</mj-text>",
            Some("Una"),
            Some("<mj-text><h1>T</h1></mj-text><mj-text>Otra &amp; {{ company }}<br />más</mj-text>"),
        );
    }
}
