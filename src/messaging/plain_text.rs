//! Between plain text and HTML. Works on the template's source, once for each
//! version, so that no message pays for it; template tags pass through untouched, but
//! for those of personal data within an address, which are made fit for one.

use super::tags::{self, Piece};

pub use super::entities::unescape;

/// The text that a reader of `html` sees: blocks on lines of their own, links
/// followed by their address, style and script left out.
#[must_use]
pub fn from_html(html: &str) -> String {
    let mut out = Text::default();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '{']) {
        out.words(&rest[..at]);
        rest = &rest[at..];
        let taken = if let Some(len) = template_tag(rest) {
            out.verbatim(&rest[..len]);
            len
        } else if rest.starts_with('<') {
            tag(rest, &mut out)
        } else {
            out.words("{");
            1
        };
        rest = &rest[taken..];
    }
    out.words(rest);
    out.finish()
}

/// HTML that shows `text` as it stands: paragraphs at empty lines, addresses as links.
/// Template tags stay as they are, to be filled and escaped by the template engine.
#[must_use]
pub fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 2);
    let normal = text.replace("\r\n", "\n");
    for paragraph in normal.split("\n\n").map(|it| it.trim_matches('\n')).filter(|it| !it.trim().is_empty()) {
        html.push_str("<p style=\"margin:0 0 16px\">");
        for (i, line) in paragraph.lines().enumerate() {
            if i > 0 {
                html.push_str("<br>\n");
            }
            linked(line, &mut html);
        }
        html.push_str("</p>\n");
    }
    html
}

/// `text` as HTML shows it, in an element or an attribute. Template tags stay as they are.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        escape(&rest[..at], &mut html);
        rest = &rest[at..];
        let len = template_tag(rest).unwrap_or(1);
        html.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    escape(rest, &mut html);
    html
}

/// Length of the template tag that `text` starts with.
pub(super) fn template_tag(text: &str) -> Option<usize> {
    [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .find(|(open, _)| text.starts_with(open))
        .and_then(|(_, close)| text.find(close).map(|at| at + close.len()))
}

/// Reads one HTML tag at the start of `text`, puts what it shows into `out` and returns its length.
fn tag(text: &str, out: &mut Text) -> usize {
    if text.starts_with("<!--") {
        return text.find("-->").map_or(text.len(), |at| at + 3);
    }
    let Some(end) = tag_end(text) else {
        out.words("<");
        return 1;
    };
    let inner = &text[1..end];
    let closing = inner.starts_with('/');
    let name: String = inner
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let after = end + 1;
    match name.as_str() {
        "style" | "script" | "head" | "title" if !closing => {
            let close = format!("</{name}");
            return find_ignore_case(&text[after..], &close)
                .map_or(text.len(), |at| after + at + tag_end(&text[after + at..]).map_or(0, |it| it + 1));
        }
        "br" => out.line(),
        "p" | "div" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "ul" | "ol" | "blockquote"
        | "hr" => {
            out.paragraph();
        }
        "tr" | "li" if !closing => out.line(),
        "td" | "th" => out.words(" "),
        "a" if !closing => out.open_link(attribute(inner, "href")),
        "a" => out.close_link(),
        "img" => {
            if let Some(alt) = attribute(inner, "alt") {
                out.words(&alt);
            }
        }
        _ => (),
    }
    if name == "li" && !closing {
        out.verbatim("- ");
    }
    after
}

/// Where the tag that `text` starts with ends: its `>` outside quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(i),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => (),
        }
    }
    None
}

pub(super) fn find_ignore_case(text: &str, needle: &str) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    text.windows(needle.len()).position(|it| it.eq_ignore_ascii_case(needle))
}

/// The value of `name` in the inside of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = find_ignore_case(&tag[from..], name) {
        let start = from + at;
        from = start + name.len();
        let rest = tag[from..].trim_start();
        if !tag[..start].ends_with(|c: char| c.is_ascii_whitespace()) || !rest.starts_with('=') {
            continue;
        }
        let value = rest[1..].trim_start();
        let value = match value.chars().next() {
            Some(q @ ('"' | '\'')) => value[1..].split(q).next().unwrap_or_default(),
            _ => value.split_ascii_whitespace().next().unwrap_or_default(),
        };
        return Some(unescape(value)).filter(|it| !it.is_empty());
    }
    None
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

/// `text` with the personal data within its addresses made fit for one.
#[must_use]
pub fn with_whole_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ["https://", "http://"].iter().filter_map(|it| rest.find(it)).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = address(rest);
        for piece in tags::pieces(&rest[..len]) {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Tag(tag) => out.push_str(&tags::in_address(tag)),
            }
        }
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// Length of the address that `text` starts with. It runs through what it shows, `{{ … }}`, and leaves out the signs of
/// the sentence around it.
fn address(text: &str) -> usize {
    let mut end = 0;
    let mut last_tag = 0;
    loop {
        let rest = &text[end..];
        if rest.starts_with("{{")
            && let Some(len) = template_tag(rest)
        {
            end += len;
            last_tag = end;
            continue;
        }
        let stops = |it: char| it.is_whitespace() || matches!(it, '<' | '>' | '"' | '{');
        let words = rest.find(stops).unwrap_or(rest.len());
        if words == 0 {
            break;
        }
        end += words;
    }
    let around = ['.', ',', ')', ';', ':', '!', '?', ']', '\'', '’', '”', '»', '…'];
    last_tag + text[last_tag..end].trim_end_matches(around).len()
}

/// One line of text with its addresses made links.
fn linked(line: &str, html: &mut String) {
    let mut rest = line;
    while !rest.is_empty() {
        if let Some(len) = template_tag(rest) {
            let inside = rest[2..len - 2].trim();
            if inside.ends_with("_url") && rest.starts_with("{{") {
                let label = if inside == "unsubscribe_url" { "Darme de baja" } else { &rest[..len] };
                for part in ["<a href=\"", &rest[..len], "\">", label, "</a>"] {
                    html.push_str(part);
                }
            } else {
                html.push_str(&rest[..len]);
            }
            rest = &rest[len..];
            continue;
        }
        if rest.starts_with("https://") || rest.starts_with("http://") {
            let address = &rest[..address(rest)];
            let (mut href, mut shown) = (String::new(), String::new());
            for piece in tags::pieces(address) {
                match piece {
                    Piece::Words(words) => {
                        escape(words, &mut href);
                        escape(words, &mut shown);
                    }
                    Piece::Tag(tag) => {
                        href.push_str(&tags::in_address(tag));
                        shown.push_str(tag);
                    }
                }
            }
            for part in ["<a href=\"", &href, "\">", &shown, "</a>"] {
                html.push_str(part);
            }
            rest = &rest[address.len()..];
            continue;
        }
        let next = rest
            .char_indices()
            .skip(1)
            .map(|(i, _)| i)
            .find(|i| rest[*i..].starts_with('{') || rest[*i..].starts_with("http"))
            .unwrap_or(rest.len());
        escape(&rest[..next], html);
        rest = &rest[next..];
    }
}

/// Text being put together, with white space folded as a browser does.
#[derive(Default)]
struct Text {
    out: String,
    /// Line ends owed before the next word.
    breaks: usize,
    space: bool,
    link: Option<(String, usize)>,
}

impl Text {
    fn owe(&mut self) {
        if !self.out.is_empty() {
            for _ in 0..self.breaks {
                self.out.push('\n');
            }
            if self.breaks == 0 && self.space {
                self.out.push(' ');
            }
        }
        self.breaks = 0;
        self.space = false;
    }

    fn words(&mut self, text: &str) {
        let text = unescape(text);
        if text.starts_with(|c: char| c.is_ascii_whitespace()) {
            self.space = true;
        }
        for word in text.split_ascii_whitespace() {
            self.owe();
            self.out.push_str(word);
            self.space = true;
        }
        if !text.is_empty() && !text.ends_with(|c: char| c.is_ascii_whitespace()) {
            self.space = false;
        }
    }

    fn verbatim(&mut self, text: &str) {
        self.owe();
        self.out.push_str(text);
    }

    fn line(&mut self) {
        self.breaks = (self.breaks + 1).min(2);
    }

    fn paragraph(&mut self) {
        self.breaks = 2;
    }

    fn open_link(&mut self, href: Option<String>) {
        self.link = href.map(|it| (it, self.out.len()));
    }

    fn close_link(&mut self) {
        if let Some((href, from)) = self.link.take() {
            let shown = self.out[from..].trim();
            if shown != href && !href.starts_with('#') {
                let space = if shown.is_empty() { "" } else { " " };
                let text = format!("{space}({})", href.trim_start_matches("mailto:"));
                self.verbatim(&text);
            }
        }
    }

    fn finish(self) -> String {
        let mut text = self.out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_reads_as_a_person_sees_it() {
        let check = |html: &str, text: &str| assert_eq!(from_html(html), format!("{text}\n"), "{html}");
        check("<p>Hola  <b>Ana</b>:</p><p>Chao</p>", "Hola Ana:\n\nChao");
        check("<style>p{color:red}</style>uno<br>dos", "uno\ndos");
        check("<a href=\"https://a.cl/x\">Ver más</a>", "Ver más (https://a.cl/x)");
        check("<a href=\"{{ unsubscribe_url }}\">Baja</a>", "Baja ({{ unsubscribe_url }})");
        check("<ul><li>uno</li><li>dos</li></ul>", "- uno\n- dos");
        check("a &lt; b &amp; c", "a < b & c");
        check("<p>&iexcl;Hola! Est&aacute; &mdash; l&#8217;a</p>", "¡Hola! Está — l’a");
        check("<!-- nada --><img alt=\"Logo\" src=x>", "Logo");
        check("1 < 2 {no}", "1 < 2 {no}");
    }

    #[test]
    fn template_tags_pass_untouched() {
        let html = "<td>Hola {{ first_name | default(\"a < b\") }}, {% if company %}<b>{{ company }}</b>{% endif %}</td>";
        assert_eq!(
            from_html(html),
            "Hola {{ first_name | default(\"a < b\") }}, {% if company %}{{ company }}{% endif %}\n"
        );
    }

    #[test]
    fn text_becomes_paragraphs_and_links() {
        let html = to_html("Hola {{ first_name }}:\n\nMira https://a.cl/x.\nBaja: {{ unsubscribe_url }} <b>");
        assert!(html.contains("<p style=\"margin:0 0 16px\">Hola {{ first_name }}:</p>"), "{html}");
        assert!(html.contains("<a href=\"https://a.cl/x\">https://a.cl/x</a>."), "{html}");
        assert!(html.contains("<a href=\"{{ unsubscribe_url }}\">Darme de baja</a>"), "{html}");
        assert!(html.contains("&lt;b&gt;"), "{html}");
    }

    #[test]
    fn an_address_runs_through_what_it_shows_and_leaves_the_sentence() {
        let html = to_html("Mira https://a.cl/?de={{ company | default(\"a b\") }}&n={{ business_name }}.");
        assert!(
            html.contains("<a href=\"https://a.cl/?de={{ (company | default(\"a b\")) | urlencode }}&amp;n={{ business_name }}\">"),
            "{html}"
        );
        assert!(
            html.contains(
                ">https://a.cl/?de={{ company | default(\"a b\") }}&amp;n={{ business_name }}</a>."
            ),
            "{html}"
        );
        assert_eq!(
            with_whole_addresses("{{ company }} https://a.cl/{{ company }}, {{ company }} http://b.cl."),
            "{{ company }} https://a.cl/{{ (company) | urlencode }}, {{ company }} http://b.cl."
        );
        for after in ["!", "»", "”", "'", "]", "?", "…", "’", "!».", "{% if company %}x{% endif %}"] {
            let html = to_html(&format!("Ve a https://a.cl/x{after}"));
            assert!(html.contains(&format!(">https://a.cl/x</a>{}", escaped(after))), "{html}");
        }
        for cut in ["https://", "https://a{", "https://{{", "https://{{ a }}", "http"] {
            let _ = (to_html(cut), with_whole_addresses(cut));
        }
    }

    #[test]
    fn broken_html_ends() {
        for html in ["<", "<a href=\"x", "<style>", "{{", "<p", "</", "<!--", "{% if"] {
            let _ = from_html(html);
        }
    }
}
