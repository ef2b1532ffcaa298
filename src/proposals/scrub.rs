//! Takes out of a text what could say who somebody is, before the text leaves the house: addresses, telephones, RUTs,
//! links, and the names that [`super::known`] found in the base. What it puts in their place says of what kind it was.
//! When in doubt, it goes out. Pure.

use crate::{
    chile::text::fold,
    messaging::{
        opening::HELLO,
        values::{VARIABLES, Variable},
    },
};
use std::ops::Range;

/// In the place of an email address or an account.
pub const MAIL: &str = "[correo]";
/// In the place of a link.
pub const LINK: &str = "[enlace]";
/// In the place of a telephone, a RUT, or what may be one.
pub const NUMBER: &str = "[número]";
/// In the place of a person's name.
pub const NAME: &str = "[nombre]";
/// In the place of a company's name.
pub const COMPANY: &str = "[empresa]";

/// All of them.
pub const MARKS: [&str; 5] = [MAIL, LINK, NUMBER, NAME, COMPANY];

/// What of a text is known to name somebody; folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Two words that one person's name holds.
    pub pairs: Vec<(String, String)>,
    /// Words in a row, and what goes in their place.
    pub phrases: Vec<(Vec<String>, String)>,
}

/// `text` without what it should not say. Variables stay, bare of what their writer put into them.
#[must_use]
pub fn scrubbed(text: &str, known: &Known) -> String {
    let mut out = String::with_capacity(text.len());
    for part in parts(text) {
        match part {
            Part::Plain(it) => out.push_str(&masked(&known.replaced(it))),
            Part::Tag(it) => out.push_str(&bare(it)),
        }
    }
    out
}

/// Whether `text`, variables aside, holds anything that would be taken out of it.
#[must_use]
pub fn says_who(text: &str) -> bool {
    parts(text).iter().any(|part| matches!(part, Part::Plain(it) if masked(it) != *it))
}

/// A piece of a template's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Words.
    Plain(&'a str),
    /// `{{ … }}`, `{% … %}` or `{# … #}`, whole.
    Tag(&'a str),
}

/// `text` taken apart.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut rest, mut from) = (text, 0);
    while let Some(at) = rest[from..].find('{').map(|it| it + from) {
        let close =
            [("{{", "}}"), ("{%", "%}"), ("{#", "#}")].into_iter().find(|it| rest[at..].starts_with(it.0));
        let Some(end) = close.and_then(|it| rest[at..].find(it.1)) else {
            from = at + 1;
            continue;
        };
        if at > 0 {
            parts.push(Part::Plain(&rest[..at]));
        }
        parts.push(Part::Tag(&rest[at..at + end + 2]));
        (rest, from) = (&rest[at + end + 2..], 0);
    }
    if !rest.is_empty() {
        parts.push(Part::Plain(rest));
    }
    parts
}

/// The variable of a tag and nothing else: its default may be somebody's name.
fn bare(tag: &str) -> String {
    let Some(inside) = tag.strip_prefix("{{") else { return String::new() };
    let name: String =
        inside.trim_start().chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    VARIABLES.iter().find(|it| it.name == name).map_or_else(String::new, Variable::tag)
}

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands.
    pub range: Range<usize>,
    /// As it is compared.
    pub folded: String,
    /// It begins as a name does.
    pub is_capital: bool,
}

/// The words of `text`.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, sign) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, sign.is_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                let word = &text[from..at];
                let is_capital = word.chars().next().is_some_and(char::is_uppercase);
                words.push(Word { range: from..at, folded: fold(word), is_capital });
                start = None;
            }
            _ => (),
        }
    }
    words
}

/// Words that stand within a name without being one.
fn is_particle(word: &str) -> bool {
    matches!(word, "de" | "del" | "la" | "las" | "los" | "y" | "e")
}

/// Whether the words from `a` to `b` stand on one line with little between them.
pub(super) fn are_beside(text: &str, words: &[Word], a: usize, b: usize) -> bool {
    (a..b).all(|n| {
        let between = &text[words[n].range.end..words[n + 1].range.start];
        between.len() <= 3 && !between.contains(['\n', '@', ',', ';', ':', '/'])
    })
}

/// Whether `word` stands for a name: `Camila A. Barría`.
fn is_initial(word: &Word) -> bool {
    word.is_capital && word.folded.chars().count() == 1
}

/// Names of one person in a row, at most: two first names, two last names.
const NAMES: usize = 4;

/// Pairs of words that may be a first and a last name, other names of the same person between them or not; with where
/// the whole run of capitalised words stands that holds them.
pub(super) fn pairs(text: &str) -> Vec<(Range<usize>, (String, String))> {
    let words = words(text);
    let is_name = |it: &Word| it.is_capital && it.folded.chars().count() >= 3;
    let mut found = Vec::new();
    for (a, first) in words.iter().enumerate().filter(|it| is_name(it.1)) {
        let (mut others, mut skipped) = (0, 0);
        for b in a + 1..words.len() {
            if !are_beside(text, &words, b - 1, b) || others + 1 == NAMES {
                break;
            }
            let word = &words[b];
            if is_name(word) {
                (others, skipped) = (others + 1, 0);
                let run = run_around(text, &words, a, b);
                found.push((run, (first.folded.clone(), word.folded.clone())));
            } else if skipped < 3 && (is_particle(&word.folded) || is_initial(word)) {
                skipped += 1;
            } else {
                break;
            }
        }
    }
    found
}

/// Where the words from `a` to `b` stand, with the capitalised words right before and after them, as many as a name has.
fn run_around(text: &str, words: &[Word], a: usize, b: usize) -> Range<usize> {
    let (mut first, mut last) = (a, b);
    let is_next = |n: usize, m: usize, to: usize| words[to].is_capital && are_beside(text, words, n, m);
    while first > 0 && a - first < NAMES && is_next(first - 1, first, first - 1) {
        first -= 1;
    }
    while last + 1 < words.len() && last - b < NAMES && is_next(last, last + 1, last + 1) {
        last += 1;
    }
    words[first].range.start..words[last].range.end
}

/// The first `most` letters of a text that is `scrubbed`, without half a variable or half a mark at its end; and whether
/// that is less than all of it.
#[must_use]
pub fn cut(text: &str, most: usize) -> (&str, bool) {
    let Some((end, _)) = text.char_indices().nth(most) else { return (text, false) };
    let mut from = 0;
    for part in parts(text) {
        let (Part::Plain(it) | Part::Tag(it)) = part;
        let to = from + it.len();
        if to > end {
            let is_tag = matches!(part, Part::Tag(_));
            let mark = text[from..end].rfind('[').map(|it| from + it);
            let open =
                mark.filter(|at| MARKS.iter().any(|it| text[*at..].starts_with(it) && at + it.len() > end));
            return (&text[..open.unwrap_or(if is_tag { from } else { end })], true);
        }
        from = to;
    }
    (&text[..end], true)
}

impl Known {
    /// `text` with what is known replaced.
    fn replaced(&self, text: &str) -> String {
        let mut ranges: Vec<(Range<usize>, &str)> = pairs(text)
            .into_iter()
            .filter(|it| self.pairs.contains(&it.1))
            .map(|(range, _)| (range, NAME))
            .collect();
        let words = words(text);
        for (phrase, with) in &self.phrases {
            for from in 0..words.len() {
                let to = from + phrase.len();
                let fits = to <= words.len()
                    && words[from..to].iter().zip(phrase).all(|(word, part)| word.folded == *part)
                    && are_beside(text, &words, from, to - 1);
                if fits {
                    ranges.push((words[from].range.start..words[to - 1].range.end, with));
                }
            }
        }
        replace(text, ranges)
    }
}

/// `text` with each range replaced; of ranges that overlap, one mark for all.
fn replace(text: &str, mut ranges: Vec<(Range<usize>, &str)>) -> String {
    ranges.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (range, with) in ranges {
        if range.start >= done {
            out.push_str(&text[done..range.start]);
            out.push_str(with);
        }
        done = done.max(range.end);
    }
    out.push_str(&text[done..]);
    out
}

/// `text` without addresses, links, telephones, RUTs and the names that follow a greeting.
fn masked(text: &str) -> String {
    greeted(&numbered(&addressed(text)))
}

/// Without email addresses, accounts and links.
fn addressed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let core = word.trim_matches(|it: char| {
            it.is_ascii_punctuation() && !"@/".contains(it) || "«»“”¿¡".contains(it)
        });
        let mark = if core.contains('@') {
            MAIL
        } else if is_link(core) {
            LINK
        } else {
            out.push_str(piece);
            continue;
        };
        let at = word.find(core).unwrap_or_default();
        out.push_str(&word[..at]);
        out.push_str(mark);
        out.push_str(&word[at + core.len()..]);
        out.push_str(&piece[word.len()..]);
    }
    out
}

/// `https://…`, `www.…`, or a host by itself.
fn is_link(word: &str) -> bool {
    const ENDS: [&str; 21] = [
        "cl", "com", "net", "org", "io", "info", "biz", "shop", "store", "app", "dev", "ly", "me", "co",
        "es", "ar", "pe", "us", "eu", "link", "example",
    ];
    let lower = word.to_lowercase();
    let host = lower.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |it: &&str| !it.is_empty() && it.chars().all(|it| it.is_alphanumeric() || it == '-');
    lower.contains("://")
        || lower.starts_with("www.")
        || labels.len() > 1
            && labels.iter().all(is_label)
            && labels.last().is_some_and(|it| ENDS.contains(it))
}

/// Digits from which a number may be a telephone or a RUT.
const LONG: usize = 7;

/// Without telephones, RUTs and what may be one. Amounts in pesos, dates and short numbers stay.
fn numbered(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < signs.len() {
        if !signs[at].is_ascii_digit() {
            out.push(signs[at]);
            at += 1;
            continue;
        }
        let is_money = out.trim_end().ends_with('$');
        let end = if is_money { amount_end(&signs, at) } else { number_end(&signs, at) };
        let number: String = signs[at..end].iter().collect();
        let first = number.split(' ').next().unwrap_or_default();
        if is_date(first) {
            out.push_str(first);
            at += first.chars().count();
            continue;
        }
        let digits = number.chars().filter(|it| it.is_ascii_digit() || "kK".contains(*it)).count();
        if is_money && digits <= 10 || digits < LONG || is_amount(&number) {
            out.push_str(&number);
        } else {
            while out.ends_with(['+', '(']) {
                out.pop();
            }
            out.push_str(NUMBER);
        }
        at = end;
    }
    out
}

/// Where the digits and dots that begin at `from` end.
fn amount_end(signs: &[char], from: usize) -> usize {
    let is_inside = |n: usize| {
        signs[n].is_ascii_digit() || signs[n] == '.' && signs.get(n + 1).is_some_and(char::is_ascii_digit)
    };
    (from..signs.len()).find(|n| !is_inside(*n)).unwrap_or(signs.len())
}

/// Where the number that begins at `from` ends: digits, with a sign or two of those that part them, and a RUT's K.
fn number_end(signs: &[char], from: usize) -> usize {
    let mut end = from;
    loop {
        while signs.get(end).is_some_and(char::is_ascii_digit) {
            end += 1;
        }
        let gap = signs[end..].iter().take(2).take_while(|it| " .-–()\u{a0}".contains(**it)).count();
        let is_check = gap > 0
            && signs.get(end + gap).is_some_and(|it| "kK".contains(*it))
            && !signs.get(end + gap + 1).is_some_and(|it| it.is_alphanumeric());
        if is_check && signs[end..end + gap].iter().any(|it| "-–".contains(*it)) {
            return end + gap + 1;
        }
        if gap == 0 || !signs.get(end + gap).is_some_and(char::is_ascii_digit) {
            return end;
        }
        end += gap;
    }
}

/// `24-11-2026`, `24.11.2026`, `2026-11-24`.
fn is_date(text: &str) -> bool {
    ['-', '.'].iter().any(|sign| {
        let lengths: Vec<usize> = text
            .split(*sign)
            .map(|it| if it.chars().all(|it| it.is_ascii_digit()) { it.len() } else { 0 })
            .collect();
        matches!(lengths[..], [1 | 2, 1 | 2, 4] | [4, 2, 2])
    })
}

/// `1.500.000`: thousands parted by dots. With eight digits it may be a RUT without its check.
fn is_amount(number: &str) -> bool {
    let groups: Vec<&str> = number.split('.').collect();
    let digits: usize = groups.iter().map(|it| it.len()).sum();
    groups.len() > 1
        && digits <= LONG
        && number.chars().all(|it| it.is_ascii_digit() || it == '.')
        && (1..=3).contains(&groups[0].len())
        && groups[1..].iter().all(|it| it.len() == 3)
}

/// Without the names that follow a greeting: `Hola Camila`, `don Pedro Soto`.
fn greeted(text: &str) -> String {
    const TITLES: [&str; 7] = ["don", "dona", "sr", "sra", "senor", "senora", "srta"];
    let greets = |word: &str| HELLO.contains(&word) || TITLES.contains(&word);
    let words = words(text);
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let greeting = greets(&words[at].folded);
        let mut last = at;
        while greeting && last + 1 < words.len() && words[last + 1].is_capital {
            let between = &text[words[last].range.end..words[last + 1].range.start];
            if !matches!(between.trim(), "" | "." | ",") || between.contains('\n') {
                break;
            }
            // «Hola, Nuestra tienda…» begins a sentence; «Hola, Camila:» greets.
            if between.contains(',') {
                let after = text[words[last + 1].range.end..].chars().next();
                if after.is_some_and(|it| !",:;.!\n".contains(it)) {
                    break;
                }
            }
            last += 1;
            if greets(&words[last].folded) {
                at = last;
            }
        }
        if last > at {
            ranges.push((words[at + 1].range.start..words[last].range.end, NAME));
        }
        at = last + 1;
    }
    replace(text, ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, left: &str) {
        assert_eq!(scrubbed(text, &Known::default()), left, "{text}");
    }

    #[test]
    fn addresses_and_links_go_out() {
        check("Escribe a ana@sur.cl, o a <Ana.Soto@sur.example>.", "Escribe a [correo], o a <[correo]>.");
        check("correo:ana@sur.cl", "[correo]");
        check("Síguenos en @termas_sur", "Síguenos en [correo]");
        check(
            "Mira https://sur.cl/o?p=1 o www.sur.cl (sur.cl/ofertas).",
            "Mira [enlace] o [enlace] ([enlace]).",
        );
        check("Cerramos a las 18.30. Gracias", "Cerramos a las 18.30. Gracias");
    }

    #[test]
    fn telephones_and_ruts_go_out_in_every_spelling() {
        for it in [
            "+56 9 8765 4321",
            "9 8765 4321",
            "987654321",
            "+56987654321",
            "(65) 225 0000",
            "65-225-0000",
            "225 0000",
            "12.345.678-5",
            "12345678-5",
            "12345678-K",
            "7.654.321-k",
            "12.345.678",
            "76.543.210-3",
            "1.234.567-8",
            "56 9 8765-4321",
            "9\u{a0}8765\u{a0}4321",
        ] {
            let left = scrubbed(&format!("Llama al {it} hoy"), &Known::default());
            assert_eq!(left, "Llama al [número] hoy", "{it}");
        }
    }

    #[test]
    fn amounts_dates_and_short_numbers_stay() {
        for it in [
            "Desde $1.234.567 al mes",
            "Desde $ 12.990.000",
            "Son 1.500.000 pesos",
            "El 24-11-2026 9:00",
            "El 24/11/2026",
            "20 % de descuento en 3 cuotas",
            "De 10 a 20 horas",
            "2026-11-24",
        ] {
            check(it, it);
        }
    }

    #[test]
    fn who_is_greeted_goes_out() {
        check("Hola Camila, te esperamos", "Hola [nombre], te esperamos");
        check("Hola, Camila:\nTe esperamos", "Hola, [nombre]:\nTe esperamos");
        check("Estimada Sra. Barría Oyarzún:", "Estimada Sra. [nombre]:");
        check("Hola\nTe esperamos", "Hola\nTe esperamos");
        check("Hola, Nuestra tienda abre", "Hola, Nuestra tienda abre");
    }

    #[test]
    fn variables_stay_bare() {
        check("{{ first_name | default(\"Juan Soto\") }}, hola", "{{ first_name }}, hola");
        check("{% if company %}Para {{company}}{% endif %}{# Ana #}", "Para {{ company }}");
        check("{{ \"Juan\" }} {sin cerrar {{ nada", " {sin cerrar {{ nada");
    }

    #[test]
    fn who_is_known_goes_out() {
        let known = Known {
            pairs: vec![("camila".into(), "barria".into())],
            phrases: vec![
                (vec!["lacteos".into(), "del".into(), "sur".into()], COMPANY.into()),
                (vec!["termas".into()], "{{ business_name }}".into()),
            ],
        };
        let left = scrubbed("Camila Barría de Lácteos del Sur SpA felicitó a Termas. Camila no.", &known);
        assert_eq!(left, "[nombre] de [empresa] SpA felicitó a {{ business_name }}. Camila no.");
        assert_eq!(scrubbed("Camila de la Barría", &known), "[nombre]");
        assert_eq!(scrubbed("Camila, Barría", &known), "Camila, Barría");
        for whole in [
            "Camila Andrea Barría Oyarzún",
            "Camila Andrea Paz Barría",
            "Camila A. Barría",
            "Camila A. de la Barría Oyarzún",
        ] {
            assert_eq!(
                scrubbed(&format!("Nos escribió {whole}, de Osorno."), &known),
                "Nos escribió [nombre], de Osorno."
            );
        }
        assert_eq!(scrubbed("Camila vive en Barría", &known), "Camila vive en Barría");
    }

    #[test]
    fn a_cut_leaves_neither_half_a_variable_nor_half_a_mark() {
        assert_eq!(cut("áéí", 3), ("áéí", false));
        assert_eq!(cut("áéí", 2), ("áé", true));
        for most in 5..=20 {
            assert_eq!(cut("Hola {{ first_name }} y", most), ("Hola ", true), "{most}");
        }
        for most in 5..=12 {
            assert_eq!(cut("Hola [nombre] y", most), ("Hola ", true), "{most}");
        }
        assert_eq!(cut("Hola [nombre] y", 13), ("Hola [nombre]", true));
        assert_eq!(cut("Lista [a, b", 9), ("Lista [a,", true));
    }

    #[test]
    fn nothing_panics_on_odd_texts() {
        for it in [
            "",
            "{",
            "{{",
            "}}",
            "@",
            "+",
            "$",
            "(9",
            "ñ9ñ",
            "9.",
            "12.345.678-",
            "Hola",
            "Hola ",
            "{{}}{%%}",
        ] {
            assert!(scrubbed(it, &Known::default()).len() < 40, "{it}");
        }
    }
}
