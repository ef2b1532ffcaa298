//! The entities of HTML that people and programs write texts in our languages with, as the signs that they stand for. Pure.

/// The letters and signs of Latin 1, from U+00A0 on, by their names.
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 \
    acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig \
    Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave \
    Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave \
    iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// What is written by name beyond Latin 1, and what HTML itself is written with.
const OTHERS: &[(&str, char)] = &[
    ("amp", '&'),
    ("apos", '\''),
    ("bull", '•'),
    ("dagger", '†'),
    ("euro", '€'),
    ("gt", '>'),
    ("hearts", '♥'),
    ("hellip", '…'),
    ("larr", '←'),
    ("ldquo", '“'),
    ("lsaquo", '‹'),
    ("lsquo", '‘'),
    ("lt", '<'),
    ("mdash", '—'),
    ("minus", '−'),
    ("ndash", '–'),
    ("quot", '"'),
    ("rarr", '→'),
    ("rdquo", '”'),
    ("rsaquo", '›'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("trade", '™'),
    ("bdquo", '„'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
];

/// What browsers show for the numbers 128 to 159, where Unicode has no sign: those of Windows. A blank: none.
const WINDOWS: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

/// Longest name or number.
const LONGEST: usize = 8;

/// `text` with its entities as the signs that they stand for; what stands for none stays as it is written.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.find(';').filter(|it| (1..=LONGEST).contains(it)).map(|it| &rest[..it]);
        match name.and_then(|name| Some((name, sign(name)?))) {
            Some((name, sign)) => {
                out.push(sign);
                rest = &rest[name.len() + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

fn sign(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(it) => u32::from_str_radix(it, 16).ok()?,
            None => number.parse().ok()?,
        };
        return of_number(code);
    }
    if let Some((_, sign)) = OTHERS.iter().find(|it| it.0 == name) {
        return Some(*sign);
    }
    let code = (0xa0..).zip(LATIN_1.split_ascii_whitespace()).find(|it| it.1 == name)?.0;
    char::from_u32(code)
}

fn of_number(code: u32) -> Option<char> {
    match code {
        128..=159 => {
            let sign = WINDOWS.chars().nth(usize::try_from(code - 128).ok()?);
            sign.filter(|it| *it != ' ')
        }
        // Written as a number, a brace is one to be shown: as a sign it would begin a tag.
        0x23 | 0x25 | 0x7b | 0x7d => None,
        _ => char::from_u32(code).filter(|it| !it.is_control() || matches!(it, '\t' | '\n' | '\r')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_texts_with_is_read() {
        for (text, read) in [
            ("&iexcl;Hola, Mar&iacute;a! &iquest;C&oacute;mo est&aacute;s?", "¡Hola, María! ¿Cómo estás?"),
            ("&Aacute;&Ntilde;&uuml;&yuml; &ordm;&deg;", "ÁÑüÿ º°"),
            ("a &mdash; b&hellip; &ldquo;c&rdquo; l&rsquo;a &euro;", "a — b… “c” l’a €"),
            ("&#8217;&#225;&#xE1;&#X1f600;&#150;", "’áá😀–"),
            ("1 &lt; 2 &amp;&amp; a&#61;b &amp;lt;", "1 < 2 && a=b &lt;"),
            (
                "https://a.cl/?x=1&y=2&copy=3; &nada; &; & &#0; &#xD800; &#129;",
                "https://a.cl/?x=1&y=2&copy=3; &nada; &; & &#0; &#xD800; &#129;",
            ),
            ("&#123;&#x7b; a }} {&#37;", "&#123;&#x7b; a }} {&#37;"),
        ] {
            assert_eq!(unescape(text), read);
        }
        assert_eq!(LATIN_1.split_ascii_whitespace().count(), 96);
        assert_eq!(WINDOWS.chars().count(), 32);
    }
}
