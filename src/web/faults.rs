//! The summary on top of a form that was refused: each fault under the name of its field, as the very page calls it, so
//! that nobody has to guess which of several fields "Escribe un número" means, and no second list of names can drift. They
//! stand in the order of their fields, as somebody goes through the form, whatever was looked at first.

use std::fmt::Write as _;

/// What `parts/form.html` begins a fault of the summary with; its field's id follows.
const OPENS: &str = "<li><a class=\"alert-link\" data-fault href=\"#";

/// And what it ends it with.
const CLOSES: &str = "</a></li>";

/// `page` with the faults of its summaries named and in order. One whose field is not on the page, or can't be gone to, is
/// no link, and stands first: it is about the form as a whole.
pub(super) fn named(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 256);
    let mut rest = page;
    while let Some(at) = rest.find(OPENS) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut faults = Vec::new();
        while let Some((id, words, after)) = fault(rest) {
            faults.push((place(page, id), id, words));
            rest = after;
        }
        if faults.is_empty() {
            break;
        }
        faults.sort_by_key(|it| it.0);
        for (at, id, words) in faults {
            let Some(at) = at else {
                // Writing to a String never fails.
                let _ = write!(out, "<li>{words}</li>");
                continue;
            };
            let name = name(page, id, at).map_or(String::new(), |it| format!("<strong>{it}:</strong> "));
            let _ = write!(out, "<li><a class=\"alert-link\" href=\"#{id}\">{name}{words}{CLOSES}");
        }
    }
    out.push_str(rest);
    out
}

/// Id, words and what follows, of the fault that `rest` begins with; none: it begins with none, or with a broken one.
fn fault(rest: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = rest.strip_prefix(OPENS)?.split_once("\">")?;
    let (words, after) = rest.split_once(CLOSES)?;
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
        let page = format!("<ul>{OPENS}{id}\">Elige una.{CLOSES}</ul>{field}");
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
    fn they_stand_in_the_order_of_their_fields() {
        let faults: String =
            ["c", "a", "gone", "b", "a"].map(|it| format!("{OPENS}{it}\">{it}.{CLOSES}")).concat();
        let fields = "<input id=\"a\"><input id=\"b\"><input id=\"c\">";
        let out = named(&format!("<ul>{faults}</ul>{fields}"));
        let order: Vec<&str> =
            out.split("</li>").filter_map(|it| it.rsplit(['>', '<']).find(|it| it.ends_with('.'))).collect();
        assert_eq!(order, ["gone.", "a.", "a.", "b.", "c."], "{out}");
        assert!(out.ends_with(&format!("</ul>{fields}")));
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
        let broken = format!("<p>Hola</p>{OPENS}x\">ñ");
        for page in ["", "<p>Hola</p>", "<p>Hola</p><a class=\"alert-link\" href=\"#x\">ñ</a>", &broken] {
            assert_eq!(named(page), page);
        }
    }
}
