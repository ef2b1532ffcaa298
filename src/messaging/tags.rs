//! What the tags of a text say, read without filling it: the filters and conditions that they name, which the engine
//! looks up only where it comes by, and the words that stand in for a missing value. Pure.

use super::{plain_text::template_tag, values::VARIABLES};
use minijinja::{Environment, ErrorKind};

/// One piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// What is shown as it stands.
    Words(&'a str),
    /// A tag, its braces with it.
    Tag(&'a str),
}

/// `text` as words and tags, in their order.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut found, mut words, mut at) = (Vec::new(), 0, 0);
    while let Some(next) = text[at..].find('{').map(|it| at + it) {
        let Some(len) = template_tag(&text[next..]) else {
            at = next + 1;
            continue;
        };
        if words < next {
            found.push(Piece::Words(&text[words..next]));
        }
        at = next + len;
        words = at;
        found.push(Piece::Tag(&text[next..at]));
    }
    if words < text.len() {
        found.push(Piece::Words(&text[words..]));
    }
    found
}

/// What is wrong with the filters and conditions that `text` names, in Spanish: one that does not exist is told here
/// even where nobody's data lead to it.
pub(super) fn problems(env: &Environment<'_>, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_raw = false;
    for piece in pieces(text) {
        let Piece::Tag(tag) = piece else { continue };
        let first = inside(tag).split_whitespace().next().unwrap_or_default();
        is_raw = if is_raw { first != "endraw" } else { first == "raw" };
        if is_raw || tag.starts_with("{#") {
            continue;
        }
        for named in names(tag) {
            if let Some(said) = named.problem(env)
                && !found.contains(&said)
            {
                found.push(said);
            }
        }
    }
    found
}

/// What stands between the braces of `tag`.
fn inside(tag: &str) -> &str {
    tag.get(2..tag.len() - 2).unwrap_or_default().trim_matches(['-', '+']).trim()
}

/// A name that the engine looks up while it fills.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    Filter(&'a str),
    Test(&'a str),
}

impl Named<'_> {
    fn problem(&self, env: &Environment<'_>) -> Option<String> {
        let (asked, missing) = match self {
            Named::Filter(it) => (format!("0|{it}"), ErrorKind::UnknownFilter),
            Named::Test(it) => (format!("0 is {it}"), ErrorKind::UnknownTest),
        };
        let answer = env.compile_expression(&asked).ok()?.eval(());
        answer.is_err_and(|it| it.kind() == missing).then(|| match self {
            Named::Filter(it) => {
                format!("El filtro «{it}» no existe: quita «| {it}», o usa uno como default, upper o title.")
            }
            Named::Test(it) => format!("La condición «is {it}» no existe: usa una como «is defined»."),
        })
    }
}

fn names(tag: &str) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    let mut rest = inside(tag);
    if tag.starts_with("{%")
        && let Some(after) = rest.strip_prefix("filter ")
    {
        let (name, after) = word(after.trim_start());
        found.push(Named::Filter(name));
        rest = after;
    }
    while let Some(sign) = rest.chars().next() {
        let mut after = &rest[sign.len_utf8()..];
        if matches!(sign, '"' | '\'') {
            after = &rest[quoted(rest)..];
        } else if sign == '|' {
            let (name, next) = word(after.trim_start());
            if !name.is_empty() {
                found.push(Named::Filter(name));
            }
            after = next;
        } else if is_of_word(sign) {
            let (name, next) = word(rest);
            after = next;
            if name == "is" {
                let (mut name, mut next) = word(next.trim_start());
                if name == "not" {
                    (name, next) = word(next.trim_start());
                }
                if !name.is_empty() {
                    found.push(Named::Test(name));
                }
                after = next;
            }
        } else if sign == '.' {
            // What is asked of a value is no keyword.
            after = word(after.trim_start()).1;
        }
        rest = after;
    }
    found
}

fn is_of_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The word that `text` starts with, and what follows it.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|it| !is_of_word(it)).unwrap_or(text.len()))
}

/// Length of the quoted words that `text` starts with, their quotes with them.
fn quoted(text: &str) -> usize {
    let quote = text.chars().next();
    let mut is_escaped = false;
    for (at, sign) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if sign == '\\' {
            is_escaped = true;
        } else if Some(sign) == quote {
            return at + sign.len_utf8();
        }
    }
    text.len()
}

/// `tag` with the words that it shows for a missing value, `default("…")`, made `other`; what it compares stays.
pub(super) fn with_defaults(tag: &str, other: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(tag.len()), tag);
    while let Some(at) = rest.find(['"', '\'']) {
        let len = quoted(&rest[at..]);
        let before = rest[..at].trim_end();
        let is_default = before.strip_suffix('(').is_some_and(|it| {
            let it = it.trim_end();
            it.strip_suffix("default")
                .or_else(|| it.strip_suffix('d'))
                .is_some_and(|it| it.trim_end().ends_with('|'))
        });
        out.push_str(&rest[..at]);
        let words = &rest[at..at + len];
        if is_default && len >= 2 {
            out.push_str(&words[..1]);
            out.push_str(&other(&words[1..len - 1]));
            out.push_str(&words[len - 1..]);
        } else {
            out.push_str(words);
        }
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

/// Whether `tag` shows a variable of the recipient.
pub(super) fn is_personal(tag: &str) -> bool {
    let shown = tag.strip_prefix("{{").unwrap_or_default().trim_start_matches('-').trim_start();
    VARIABLES.iter().any(|it| {
        it.personal
            && shown
                .strip_prefix(it.name)
                .is_some_and(|rest| !rest.starts_with(|it: char| it.is_alphanumeric() || it == '_'))
    })
}

/// `tag` as it stands within an address: what it shows of the recipient is made fit for one.
pub(super) fn in_address(tag: &str) -> String {
    if is_personal(tag) && !tag.contains("urlencode") {
        format!("{{{{ ({}) | urlencode }}}}", inside(tag))
    } else {
        tag.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_tags_are_told_apart() {
        use Piece::{Tag, Words};
        assert_eq!(
            pieces("a {b} {{ c }}{% d %}é{"),
            [Words("a {b} "), Tag("{{ c }}"), Tag("{% d %}"), Words("é{")]
        );
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn names_are_read_outside_quotes() {
        use Named::{Filter, Test};
        assert_eq!(names("{{ a | default(\"x | y is z\") | upper }}"), [Filter("default"), Filter("upper")]);
        assert_eq!(names("{% if a is not defined and b is vacio %}"), [Test("defined"), Test("vacio")]);
        assert_eq!(names("{%- filter grande -%}"), [Filter("grande")]);
        assert_eq!(names("{{ this.is.x ~ 'l\\'a | b' }}"), []);
        for cut in ["{{ a | }}", "{{ a is }}", "{{ \"a }}", "{% filter %}"] {
            let _ = names(cut);
        }
    }

    #[test]
    fn what_does_not_exist_is_told_once_wherever_it_stands() {
        let env = Environment::new();
        let said = problems(&env, "{% if a %}{{ a | titulo }}{{ b|titulo }}{% elif a is vacio %}{% endif %}");
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("«titulo»") && said[1].contains("«is vacio»"), "{said:?}");
        for right in [
            "{{ a | default(\"x\") | upper | urlencode }}",
            "{% if a is defined and a is not none %}",
            "{% raw %}{{ a | titulo }}{% endraw %}",
            "{# a | titulo #}",
        ] {
            assert_eq!(problems(&env, right), Vec::<String>::new(), "{right}");
        }
    }

    #[test]
    fn only_what_is_shown_for_a_missing_value_is_other_words() {
        let up = |it: &str| it.to_uppercase();
        assert_eq!(with_defaults("{{ a | default(\"b\") }}", up), "{{ a | default(\"B\") }}");
        assert_eq!(
            with_defaults("{{ 'x' if a == 'b' else a|d( 'c' ) }}", up),
            "{{ 'x' if a == 'b' else a|d( 'C' ) }}"
        );
        assert_eq!(with_defaults("{{ a | replace('b', \"c\") }}", up), "{{ a | replace('b', \"c\") }}");
    }
}
