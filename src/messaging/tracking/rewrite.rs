//! Leads the links of a text over us, and puts the picture in. Works on the template's source, once for each version;
//! template tags pass through untouched. Pure.
//!
//! Left as they are: what is no web address (mailto, tel, anchors), what would differ from person to person (their data
//! must not come into our addresses), unsubscribing and preferences, and all inside comments, which is where Outlook has
//! drawings of its own. There is no hidden link as a trap for machines: what people can't see is what filters of spam look for.

use crate::{
    messaging::{plain_text, values::VARIABLES},
    settings::Business,
};
use std::ops::Range;

/// Longest address that is led over us, in bytes.
const LONGEST: usize = 2000;

/// Where the links of `html` lead, each place once, in order.
#[must_use]
pub fn targets(html: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, target) in links(html) {
        if !found.contains(&target) {
            found.push(target);
        }
    }
    found
}

/// `html` with each link that `number` knows by its target led over us, and with the picture at its end.
#[must_use]
pub fn rewrite(html: &str, number: impl Fn(&str) -> Option<i32>) -> String {
    let mut out = String::with_capacity(html.len() + 1024);
    let mut from = 0;
    for (at, target) in links(html) {
        let Some(number) = number(&target) else { continue };
        out.push_str(&html[from..at.start]);
        out.push_str("\"{{ click_url }}");
        out.push_str(&number.to_string());
        out.push('"');
        from = at.end;
    }
    out.push_str(&html[from..]);
    let end = out.to_ascii_lowercase().rfind("</body>").unwrap_or(out.len());
    out.insert_str(end, "<img src=\"{{ open_url }}\" alt=\"\" width=\"1\" height=\"1\" border=\"0\">\n");
    out
}

/// `target` as it stands today: what it says of the business is filled in. None: it leads nowhere now.
#[must_use]
pub fn filled(target: &str, business: &Business) -> Option<String> {
    let known = [
        ("business_name", &business.name),
        ("business_address", &business.address),
        ("business_email", &business.email),
        ("business_phone", &business.phone),
        ("business_website", &business.website),
    ];
    let (mut out, mut rest) = (String::new(), target);
    while let Some(at) = rest.find("{{") {
        let len = plain_text::template_tag(&rest[at..])?;
        let name = rest[at + 2..at + len - 2].trim();
        out.push_str(&rest[..at]);
        out.push_str(known.iter().find(|it| it.0 == name).map(|it| it.1.trim()).filter(|it| !it.is_empty())?);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    let address = url::Url::parse(&out).ok()?;
    (matches!(address.scheme(), "http" | "https") && address.has_host()).then(|| address.to_string())
}

/// The value of each `href` that is to be led over us, quotes included, with its target.
fn links(html: &str) -> Vec<(Range<usize>, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = html[at..].find(['<', '{']) {
        at += next;
        let rest = &html[at..];
        if let Some(len) = plain_text::template_tag(rest) {
            at += len;
        } else if rest.starts_with("<!--") {
            at += rest.find("-->").map_or(rest.len(), |it| it + 3);
        } else if let Some(name) = unread(rest) {
            let close = format!("</{name}");
            at += plain_text::find_ignore_case(rest, &close).unwrap_or(rest.len());
        } else if rest.starts_with('<') {
            let tag = &rest[..tag_end(rest)];
            if let Some(value) = is_anchor(tag).then(|| href(tag)).flatten()
                && let Some(target) = target(&tag[value.clone()])
            {
                found.push((at + value.start..at + value.end, target));
            }
            at += tag.len().max(1);
        } else {
            at += 1;
        }
    }
    found
}

/// The element that `text` opens, of those whose inside is no HTML.
fn unread(text: &str) -> Option<&'static str> {
    ["style", "script", "title"].into_iter().find(|name| {
        text[1..].get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
            && !text[1 + name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    })
}

fn is_anchor(tag: &str) -> bool {
    ["a", "area"].iter().any(|name| {
        tag[1..].get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name))
            && tag[1 + name.len()..].starts_with(|c: char| c.is_ascii_whitespace() || c == '/')
    })
}

/// Length of the tag that `text` starts with; all of it where the tag never ends.
fn tag_end(text: &str) -> usize {
    let (mut at, mut quote) = (1, None);
    while let Some(c) = text[at..].chars().next() {
        if let Some(len) = plain_text::template_tag(&text[at..]) {
            at += len;
            continue;
        }
        at += c.len_utf8();
        match (quote, c) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => (),
        }
    }
    text.len()
}

/// Where the value of `href` stands in `tag`, quotes included.
fn href(tag: &str) -> Option<Range<usize>> {
    let blank = |at: usize| at + tag[at..].len() - tag[at..].trim_ascii_start().len();
    let mut at = tag.find(|c: char| c.is_ascii_whitespace() || c == '/')?;
    loop {
        at = blank(at);
        let rest = &tag[at..];
        if let Some(len) = plain_text::template_tag(rest) {
            at += len;
            continue;
        }
        let len = rest.find(|c: char| c.is_ascii_whitespace() || "=>/{".contains(c))?;
        if len == 0 {
            if rest.starts_with('>') {
                return None;
            }
            at += 1;
            continue;
        }
        let name = &rest[..len];
        let equals = blank(at + len);
        if !tag[equals..].starts_with('=') {
            at = equals;
            continue;
        }
        let value = blank(equals + 1);
        let end = value + value_len(&tag[value..])?;
        if name.eq_ignore_ascii_case("href") {
            return Some(value..end);
        }
        at = end;
    }
}

/// Length of the attribute's value that `text` starts with, quotes included.
fn value_len(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|it| matches!(it, '"' | '\''));
    let mut at = usize::from(quote.is_some());
    loop {
        let c = text[at..].chars().next()?;
        if let Some(len) = plain_text::template_tag(&text[at..]) {
            at += len;
            continue;
        }
        match quote {
            Some(quote) if quote == c => return Some(at + 1),
            None if c.is_ascii_whitespace() || c == '>' => return Some(at),
            _ => at += c.len_utf8(),
        }
    }
}

/// The place that an `href` names, where we may lead there.
fn target(value: &str) -> Option<String> {
    let bare = value.trim_matches(['"', '\'']).trim();
    let target = plain_text::unescape(bare);
    // Of signs written as numbers it is not sure that we read them as a browser does.
    if target.len() > LONGEST || bare.contains("&#") || !is_the_same_for_all(&target) {
        return None;
    }
    filled(&target, &sample()).is_some().then_some(target)
}

/// Whether a target says nothing of its reader: no tag, or only what is the business's.
fn is_the_same_for_all(target: &str) -> bool {
    let mut rest = target;
    while let Some(at) = rest.find('{') {
        let Some(len) = plain_text::template_tag(&rest[at..]).filter(|_| rest[at..].starts_with("{{")) else {
            return false;
        };
        let name = rest[at + 2..at + len - 2].trim();
        let is_ours = |it: &&crate::messaging::values::Variable| !it.personal && !it.name.ends_with("_url");
        if !VARIABLES.iter().filter(is_ours).any(|it| it.name == name) {
            return false;
        }
        rest = &rest[at + len..];
    }
    true
}

/// A business of which all is known.
fn sample() -> Business {
    let of = |name| VARIABLES.iter().find(|it| it.name == name).map_or("", |it| it.sample).to_owned();
    Business {
        name: of("business_name"),
        address: of("business_address"),
        email: of("business_email"),
        phone: of("business_phone"),
        website: of("business_website"),
        ..Business::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `html` with all its links led over us under their place in the list, without the picture.
    fn led(html: &str) -> String {
        let all = targets(html);
        let number =
            |target: &str| all.iter().position(|it| it == target).map(|it| i32::try_from(it + 1).unwrap());
        let out = rewrite(html, number);
        let (before, rest) = out.split_once("<img src=\"{{ open_url }}\"").unwrap();
        format!("{before}{}", rest.split_once(">\n").unwrap().1)
    }

    #[test]
    fn web_addresses_are_led_over_us_and_nothing_else() {
        let check = |html: &str, expected: &str| assert_eq!(led(html), expected, "{html}");
        check("<a href=\"https://a.cl/x\">Ver</a>", "<a href=\"{{ click_url }}1\">Ver</a>");
        check("<A class=b HREF='http://a.cl'>x</A>", "<A class=b HREF=\"{{ click_url }}1\">x</A>");
        check(
            "<a\n  href = https://a.cl/ñ target=_blank>x",
            "<a\n  href = \"{{ click_url }}1\" target=_blank>x",
        );
        for same in [
            "<a href=\"mailto:a@b.cl\">x</a><a href=\"tel:+56\">x</a><a href=\"#arriba\">x</a>",
            "<a href=\"{{ unsubscribe_url }}\">Baja</a> <a href='{{preferences_url}}'>x</a>",
            "<a href=\"https://a.cl/?n={{ first_name }}\">x</a>",
            "<a href=\"{% if company %}https://a.cl{% endif %}\">x</a>",
            "<a href=\"/relativo\">x</a><a href=\"javascript:alert(1)\">x</a><a href=\"\">x</a><a>x</a>",
            "<!--[if mso]><a href=\"https://a.cl\">x</a><![endif]-->",
            "<style>a[href=\"https://a.cl\"]{}</style><img src=\"https://a.cl/l.png\">",
            "<link href=\"https://a.cl/e.css\"><abbr href=\"https://a.cl\">x</abbr>",
            "<a data-href=\"https://a.cl\">x</a>",
            "{{ first_name | default('<a href=\"https://a.cl\">') }}",
            "<a href=\"https://a.cl/&#x41;\">x</a>",
        ] {
            check(same, same);
        }
    }

    #[test]
    fn a_place_is_known_by_one_number_however_often_it_is_linked() {
        let html = "<a href=\"https://a.cl/?a=1&amp;b=2\">1</a><a href=\"https://b.cl\">2</a><a href='https://a.cl/?a=1&b=2'>3</a>";
        assert_eq!(targets(html), ["https://a.cl/?a=1&b=2", "https://b.cl"]);
        assert_eq!(led(html).matches("{{ click_url }}1").count(), 2);
    }

    #[test]
    fn tags_within_attributes_do_not_end_them() {
        let html = "<a title=\"{{ company | default(\"a > b\") }}\" href=\"https://a.cl\">x</a>";
        assert_eq!(targets(html), ["https://a.cl"]);
        let html = "<a {% if company %}class=\"x\"{% endif %} href=\"https://a.cl\">x</a>";
        assert_eq!(targets(html), ["https://a.cl"]);
    }

    #[test]
    fn what_the_business_says_of_itself_is_filled_in_when_it_is_followed() {
        assert_eq!(targets("<a href=\"{{ business_website }}\">x</a>"), ["{{ business_website }}"]);
        let business = Business { website: "https://sur.cl".into(), ..Business::default() };
        assert_eq!(
            filled("{{ business_website }}/oferta", &business).as_deref(),
            Some("https://sur.cl/oferta")
        );
        assert_eq!(filled("{{ business_website }}", &Business::default()), None);
        assert_eq!(
            filled("https://ñandú.cl/año", &business).as_deref(),
            Some("https://xn--and-6ma2c.cl/a%C3%B1o")
        );
        for wrong in ["javascript:alert(1)", "//a.cl", "https://", "data:text/html,x", "mailto:a@b.cl"] {
            assert_eq!(filled(wrong, &business), None, "{wrong}");
        }
    }

    #[test]
    fn the_picture_stands_inside_the_body() {
        let html = rewrite("<html><BODY><p>a</p></BODY></html>", |_| None);
        assert!(html.find("{{ open_url }}").unwrap() < html.find("</BODY>").unwrap());
        assert!(rewrite("a", |_| None).starts_with("a<img"));
    }

    #[test]
    fn broken_html_ends_and_loses_nothing() {
        for html in [
            "<",
            "<a",
            "<a ",
            "<a href",
            "<a href=",
            "<a href=\"x",
            "<a href=\"https://a.cl",
            "{{",
            "<!--",
            "<style",
            "<a href={",
            "<ñ",
            "<a ñ=\"é\" ",
        ] {
            assert_eq!(led(html), html, "{html}");
        }
    }
}
