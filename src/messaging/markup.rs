//! The tags of an email, as far as rules ask of them.

use super::plain_text;

/// One opening tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    /// In lower case.
    pub name: String,
    /// Where it begins.
    pub at: usize,
    attributes: Vec<(String, String)>,
    /// Where what it encloses begins.
    inside: usize,
}

impl Tag {
    /// What the attribute says; none: there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Each attribute with what it says.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|it| (it.0.as_str(), it.1.as_str()))
    }

    /// The text from here to the next `</a>` of `html`, whose tag it is, as far as anybody would read of a link.
    #[must_use]
    pub fn shown(&self, html: &str) -> String {
        let mut rest = html.get(self.inside..).unwrap_or_default();
        if let Some((end, _)) = rest.char_indices().nth(LONGEST_LINK) {
            rest = &rest[..end];
        }
        plain_text::from_html(up_to_its_end(rest)).trim().to_owned()
    }
}

/// What is looked at of a link, in characters: of one without an end, no more.
const LONGEST_LINK: usize = 5_000;

/// The opening tags of `html`, in their order; comments are none.
#[must_use]
pub fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let at = html.len() - rest.len() - 1;
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |it| it.1);
            continue;
        }
        if !rest.starts_with(|it: char| it.is_ascii_alphabetic()) {
            continue;
        }
        let end = rest.find(|it: char| it.is_whitespace() || it == '>' || it == '/').unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        let attributes;
        (attributes, rest) = attributes_of(&rest[end..]);
        found.push(Tag { name, at, attributes, inside: html.len() - rest.len() });
    }
    found
}

/// The inside of a link that begins at `rest`.
fn up_to_its_end(rest: &str) -> &str {
    let is_end = |(at, _): &(usize, &str)| {
        let after = rest[at + 2..].strip_prefix(['a', 'A']);
        after.is_some_and(|it| it.starts_with(|it: char| it == '>' || it == '/' || it.is_whitespace()))
    };
    rest.match_indices("</").find(is_end).map_or(rest, |it| &rest[..it.0])
}

/// The attributes up to the end of the tag, and what follows it.
fn attributes_of(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|it: char| it.is_whitespace() || it == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        // Whatever stands first is part of the name, or there would be no way on.
        let ends = |it: char| it.is_whitespace() || matches!(it, '=' | '>' | '/');
        let end = rest.char_indices().skip(1).find(|it| ends(it.1)).map_or(rest.len(), |it| it.0);
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                _ => after
                    .split_at(after.find(|it: char| it.is_whitespace() || it == '>').unwrap_or(after.len())),
            };
        }
        found.push((name, plain_text::unescape(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_people_write_them() {
        let html = "<p>1 < 2<!-- <img> --><A HREF='https://a.cl/?x=1&amp;y=2' x>ver <b>más</b></a><img src=a.png alt=\"\" /><á ñ='";
        let found = tags(html);
        let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["p", "a", "b", "img"]);
        assert_eq!(found[1].get("href"), Some("https://a.cl/?x=1&y=2"));
        assert_eq!(found[1].shown(html), "ver más");
        assert_eq!((found[3].get("alt"), found[3].get("src")), (Some(""), Some("a.png")));
    }

    #[test]
    fn a_link_ends_where_it_is_closed() {
        for (html, shown) in [
            ("<a href=x>uno</A> dos", "uno"),
            ("<a href=x><article>uno</article> dos</a >tres", "uno dos"),
            ("<a href=x>uno", "uno"),
        ] {
            assert_eq!(tags(html)[0].shown(html), shown);
        }
        let endless = format!("<a href=x>{}", "ñ".repeat(9_000));
        assert_eq!(tags(&endless)[0].shown(&endless).chars().count(), LONGEST_LINK);
    }

    #[test]
    fn what_is_cut_off_anywhere_is_read_as_far_as_it_goes() {
        let whole = "<p ñ='é'><a href=\"https://ñ.cl\" é>ú</a><img alt='ó' é=ñ>";
        for (at, _) in whole.char_indices() {
            let _ = tags(&whole[..at]);
        }
    }
}
