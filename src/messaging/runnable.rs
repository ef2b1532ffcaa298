//! What of a body mail programs take out: what would run in a browser, which none of them lets, and what shows another page
//! or asks for something within the message, which many do not. MJML loses part of it on the way, and the preview shows
//! little of it, so that whoever wrote it is told.

use super::{
    markup, plain_text,
    template::{BodyFormat, Source},
};
use std::borrow::Cow;

/// Attributes that lead somewhere.
const ADDRESSES: &[&str] = &["href", "src", "action", "formaction", "xlink:href"];

/// Beginnings of addresses that run something.
const RUN: &[&str] = &["javascript:", "vbscript:"];

/// Elements that show something else within the message, or ask for something.
const FOREIGN: &[&str] = &["iframe", "form", "object", "embed"];

/// Something that does not arrive as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What, and why, in a sentence.
    pub said: String,
    /// What to do instead, in another.
    pub advice: &'static str,
}

/// What of the body of `source` is lost on the way; nothing: its format has no tags, or all arrives.
#[must_use]
pub fn lost(source: &Source) -> Vec<Lost> {
    if !matches!(source.body_format, BodyFormat::Mjml | BodyFormat::Html) {
        return Vec::new();
    }
    let (run, foreign) = found(&source.body);
    let told = |found: Vec<String>, why: &str, advice| {
        (!found.is_empty()).then(|| Lost { said: format!("{why}: {}.", found.join(", ")), advice })
    };
    [
        told(
            run,
            "Estas partes no le llegan a nadie, porque los programas de correo quitan lo que ejecuta algo",
            "Quítalas del texto.",
        ),
        told(
            foreign,
            "Estas partes no les llegan a muchos, porque varios programas de correo quitan lo que muestra otra página o pide datos \
             dentro del mensaje",
            "Pon en su lugar un enlace o un botón que lleve a esa página.",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What would run, and what is foreign to a message: each thing with its line, in order.
fn found(body: &str) -> (Vec<String>, Vec<String>) {
    let text = without_template_tags(body);
    let (mut run, mut foreign) = (Vec::new(), Vec::new());
    let (mut line, mut counted) = (1, 0);
    for tag in markup::tags(&text) {
        line += text[counted..tag.at].matches('\n').count();
        counted = tag.at;
        if tag.name == "script" {
            run.push(format!("<script> (línea {line})"));
        }
        if FOREIGN.contains(&tag.name.as_str()) {
            foreign.push(format!("<{}> (línea {line})", tag.name));
        }
        for (name, value) in tag.attributes() {
            if name.len() > 2 && name.starts_with("on") && name.bytes().all(|it| it.is_ascii_alphabetic()) {
                run.push(format!("{name}=\"…\" (línea {line})"));
            }
            if ADDRESSES.contains(&name) && runs(value) {
                run.push(format!("el enlace javascript: (línea {line})"));
            }
        }
    }
    run.dedup();
    foreign.dedup();
    (run, foreign)
}

/// Whether an address runs something: browsers pass over blanks and control characters within its beginning.
fn runs(address: &str) -> bool {
    let bare: String =
        address.chars().filter(|it| !it.is_whitespace() && !it.is_control()).take(20).collect();
    let bare = bare.to_ascii_lowercase();
    RUN.iter().any(|it| bare.starts_with(it))
}

/// `body` with blanks where its template tags are, so that their quotes and signs are taken for nothing.
fn without_template_tags(body: &str) -> Cow<'_, str> {
    if !body.contains('{') {
        return Cow::Borrowed(body);
    }
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = plain_text::template_tag(rest).unwrap_or(1);
        out.extend(rest[..len].chars().map(|it| if it == '\n' { '\n' } else { '_' }));
        rest = &rest[len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_named_with_its_line() {
        assert_eq!(found("<mj-text>\n<script>alert(1)</script></mj-text>").0, ["<script> (línea 2)"]);
        assert_eq!(
            found("<p ONCLICK='x()'>\n\n<b onmouseover=y></b>").0,
            ["onclick=\"…\" (línea 1)", "onmouseover=\"…\" (línea 3)"]
        );
        for address in
            ["javascript:alert(1)", " JavaScript:x", "java\tscript:x", "&#106;avascript:x", "vbscript:x"]
        {
            assert_eq!(
                found(&format!("<mj-button href=\"{address}\">Ver</mj-button>")).0,
                ["el enlace javascript: (línea 1)"],
                "{address}"
            );
        }
    }

    #[test]
    fn what_shows_another_page_or_asks_for_something_is_named_apart() {
        let body = "<IFRAME src='https://a.cl'></IFRAME>\n<form action='https://a.cl'><input name=x></form>\n<object data=x></object>\n<embed src=x>";
        let named = ["<iframe> (línea 1)", "<form> (línea 2)", "<object> (línea 3)", "<embed> (línea 4)"];
        assert_eq!(found(body), (Vec::new(), named.map(str::to_owned).to_vec()));
        let (run, foreign) = found("<form onsubmit=x action='javascript:x'></form>");
        assert_eq!(run, ["onsubmit=\"…\" (línea 1)", "el enlace javascript: (línea 1)"]);
        assert_eq!(foreign, ["<form> (línea 1)"]);
    }

    #[test]
    fn what_only_looks_like_it_is_no_matter() {
        for body in [
            "<mj-text>Hola {{ first_name | default(\"<script>\") }}</mj-text>",
            "<mj-button href=\"https://a.cl/?javascript:=1\">Ver</mj-button>",
            "<!-- <script>x</script> --><p>El botón onclick=\"x\" y javascript:alert(1)</p>",
            "<!-- <iframe> --><p>El formulario: &lt;form&gt;</p>",
            "<a title=\"{% if company %}onclick{% endif %}\" href=\"{{ business_website }}\">x</a>",
        ] {
            assert_eq!(found(body), (Vec::new(), Vec::new()), "{body}");
        }
    }

    #[test]
    fn only_formats_with_tags_are_looked_at() {
        let of = |body_format| {
            let body = "<mjml><script>x</script></mjml>".to_owned();
            lost(&Source { body, body_format, ..Source::default() })
        };
        assert!(of(BodyFormat::Mjml)[0].said.ends_with(": <script> (línea 1)."));
        assert_eq!(of(BodyFormat::Html).len(), 1);
        assert_eq!(of(BodyFormat::Text), []);
    }
}
