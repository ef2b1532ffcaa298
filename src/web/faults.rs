//! The summary on top of a form that was refused: each fault under the name of its field, as the very page calls it, so
//! that nobody has to guess which of several fields "Escribe un número" means, and no second list of names can drift.

use std::fmt::Write as _;

/// What `parts/form.html` begins a fault of the summary with; its field's id follows.
const OPENS: &str = "<a class=\"alert-link\" data-fault href=\"#";

/// `page` with each fault of its summary named. One whose field is not on the page, or can't be gone to, is no link.
pub(super) fn named(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 256);
    let mut rest = page;
    while let Some(at) = rest.find(OPENS) {
        out.push_str(&rest[..at]);
        rest = &rest[at + OPENS.len()..];
        let Some((id, words, after)) = fault(rest) else {
            out.push_str(OPENS);
            break;
        };
        match place(page, id) {
            None => out.push_str(words),
            Some(at) => {
                let name = name(page, id, at).map_or(String::new(), |it| format!("<strong>{it}:</strong> "));
                // Writing to a String never fails.
                let _ = write!(out, "<a class=\"alert-link\" href=\"#{id}\">{name}{words}</a>");
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Id, words and what follows, of a fault whose opening has been read.
fn fault(rest: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = rest.split_once("\">")?;
    let (words, after) = rest.split_once("</a>")?;
    Some((id, words, after))
}

/// Where the tag of the element `id` begins; none: there is none, or it is hidden.
fn place(page: &str, id: &str) -> Option<usize> {
    let at = page.find(&format!(" id=\"{id}\""))?;
    let begins = page[..at].rfind('<')?;
    (!tag(page, begins).contains("type=\"hidden\"")).then_some(begins)
}

/// The tag that begins at `at`.
fn tag(page: &str, at: usize) -> &str {
    let end = page[at..].find('>').map_or(page.len(), |it| at + it + 1);
    &page[at..end]
}

/// What the page calls the element `id`, whose tag begins at `at`: by its label, the legend of its group, or what it is
/// called for who can't see it.
fn name(page: &str, id: &str, at: usize) -> Option<String> {
    let own = tag(page, at);
    let after = &page[at + own.len()..];
    let labelled = || {
        let (_, rest) = page.split_once(&format!(" for=\"{id}\""))?;
        words(rest.split_once('>')?.1, "</label>")
    };
    let called = || {
        let (_, rest) = own.split_once("aria-label=\"")?;
        words(rest, "\"")
    };
    let around = || match own.split([' ', '>']).next()? {
        "<input" if own.contains("\"checkbox\"") || own.contains("\"radio\"") => words(after, "</label>"),
        "<fieldset" => words(after.split_once("<legend")?.1.split_once('>')?.1, "</legend>"),
        "<legend" => words(after, "</legend>"),
        // What is said of a whole group.
        "<div" => {
            let before = page[..at].rsplit_once("<legend")?.1;
            words(before.split_once('>')?.1, "</legend>")
        }
        _ => None,
    };
    labelled().or_else(called).or_else(around)
}

/// The text of `html` up to `end`, without tags; none: there is none.
fn words(html: &str, end: &str) -> Option<String> {
    let (inside, _) = html.split_once(end)?;
    let mut text = String::new();
    let mut in_tag = false;
    for c in inside.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            _ if !in_tag => text.push(c),
            _ => (),
        }
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches(':');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(id: &str, field: &str) -> String {
        let page = format!("<ul><li>{OPENS}{id}\">Elige una.</a></li></ul>{field}");
        let out = named(&page);
        out.strip_suffix(&format!("</li></ul>{field}")).unwrap().trim_start_matches("<ul><li>").to_owned()
    }

    #[test]
    fn each_fault_bears_the_name_that_its_field_has_on_the_page() {
        let check = |field: &str, name: &str| {
            let expected =
                format!("<a class=\"alert-link\" href=\"#field-a\"><strong>{name}:</strong> Elige una.</a>");
            assert_eq!(summed("field-a", field), expected, "{field}");
        };
        check(
            "<label class=\"x\" for=\"field-a\">Razón <em>social</em></label><input id=\"field-a\">",
            "Razón social",
        );
        check("<label><input type=\"checkbox\" id=\"field-a\"><span>Lo acepto</span></label>", "Lo acepto");
        check("<fieldset id=\"field-a\"><legend>Días:</legend>", "Días");
        check("<fieldset><legend class=\"l\">Días</legend><div id=\"field-a\">…</div>", "Días");
        check("<legend id=\"field-a\">Variables</legend>", "Variables");
        check("<input id=\"field-a\" aria-label=\"Buscar\">", "Buscar");
    }

    #[test]
    fn what_cannot_be_gone_to_is_no_link() {
        assert_eq!(summed("field-a", "<p>nada</p>"), "Elige una.");
        assert_eq!(summed("field-a", "<input type=\"hidden\" id=\"field-a\">"), "Elige una.");
        let bare = "<a class=\"alert-link\" href=\"#field-a\">Elige una.</a>";
        assert_eq!(summed("field-a", "<select id=\"field-a\"></select>"), bare);
    }

    #[test]
    fn a_page_without_faults_or_with_broken_ones_stays_whole() {
        for page in ["", "<p>Hola</p>", "<p>Hola</p><a class=\"alert-link\" href=\"#x\">ñ</a>"] {
            assert_eq!(named(page), page);
        }
    }
}
