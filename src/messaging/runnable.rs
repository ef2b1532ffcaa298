//! What of a body would run in a browser. No mail program lets it, MJML loses part of it on the way, and the preview
//! shows nothing of it, so that whoever wrote it is told.

use super::{
    markup, plain_text,
    template::{BodyFormat, Source},
};
use std::borrow::Cow;

/// Attributes that lead somewhere.
const ADDRESSES: &[&str] = &["href", "src", "action", "formaction", "xlink:href"];

/// Beginnings of addresses that run something.
const RUN: &[&str] = &["javascript:", "vbscript:"];

/// What of the body of `source` is lost because it would run, in a sentence; none: nothing is, or its format has no tags.
#[must_use]
pub fn lost(source: &Source) -> Option<String> {
    if !matches!(source.body_format, BodyFormat::Mjml | BodyFormat::Html) {
        return None;
    }
    let found = found(&source.body);
    (!found.is_empty()).then(|| {
        format!(
            "Esto no le llega a nadie, porque los programas de correo quitan lo que ejecuta algo: {}. Quítalo del texto.",
            found.join(", ")
        )
    })
}

/// Each thing with its line, in order.
fn found(body: &str) -> Vec<String> {
    let text = without_template_tags(body);
    let mut found = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for tag in markup::tags(&text) {
        line += text[counted..tag.at].matches('\n').count();
        counted = tag.at;
        if tag.name == "script" {
            found.push(format!("<script> (línea {line})"));
        }
        for (name, value) in tag.attributes() {
            if name.len() > 2 && name.starts_with("on") && name.bytes().all(|it| it.is_ascii_alphabetic()) {
                found.push(format!("{name}=\"…\" (línea {line})"));
            }
            if ADDRESSES.contains(&name) && runs(value) {
                found.push(format!("el enlace javascript: (línea {line})"));
            }
        }
    }
    found.dedup();
    found
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
        assert_eq!(found("<mj-text>\n<script>alert(1)</script></mj-text>"), ["<script> (línea 2)"]);
        assert_eq!(
            found("<p ONCLICK='x()'>\n\n<b onmouseover=y></b>"),
            ["onclick=\"…\" (línea 1)", "onmouseover=\"…\" (línea 3)"]
        );
        for address in
            ["javascript:alert(1)", " JavaScript:x", "java\tscript:x", "&#106;avascript:x", "vbscript:x"]
        {
            assert_eq!(
                found(&format!("<mj-button href=\"{address}\">Ver</mj-button>")),
                ["el enlace javascript: (línea 1)"],
                "{address}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_it_is_no_matter() {
        for body in [
            "<mj-text>Hola {{ first_name | default(\"<script>\") }}</mj-text>",
            "<mj-button href=\"https://a.cl/?javascript:=1\">Ver</mj-button>",
            "<!-- <script>x</script> --><p>El botón onclick=\"x\" y javascript:alert(1)</p>",
            "<a title=\"{% if company %}onclick{% endif %}\" href=\"{{ business_website }}\">x</a>",
        ] {
            assert!(found(body).is_empty(), "{body}: {:?}", found(body));
        }
    }

    #[test]
    fn only_formats_with_tags_are_looked_at() {
        let of = |body_format| {
            let body = "<mjml><script>x</script></mjml>".to_owned();
            lost(&Source { body, body_format, ..Source::default() })
        };
        assert!(of(BodyFormat::Mjml).is_some_and(|it| it.contains("<script> (línea 1)")));
        assert!(of(BodyFormat::Html).is_some());
        assert_eq!(of(BodyFormat::Text), None);
    }
}
