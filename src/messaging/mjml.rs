//! MJML to HTML, done once when a text is saved. Template tags are set aside while
//! it is done and put back where they come out, so that neither language has to know the other.

use super::{plain_text, tags};
use mrml::prelude::{
    parser::{Error, ParserOptions, Span},
    render::RenderOptions,
};
use std::collections::HashMap;

/// What a body becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Its HTML, with template tags.
    pub html: String,
    /// The same as plain text, with template tags.
    pub plain: String,
}

/// What `source` becomes.
///
/// # Errors
/// What is wrong and in which line, in Spanish.
pub fn made(source: &str) -> Result<Made, String> {
    if !source.contains("<mjml") {
        return Err(NO_ROOT.to_owned());
    }
    let aside = Aside::of(source);
    let parsed = mrml::parse_with_options(&aside.text, &ParserOptions::default());
    let parsed = parsed.map_err(|error| aside.sentence(&error))?;
    // Its ready fonts would be fetched from their maker by whoever opens the message.
    let options = RenderOptions { fonts: HashMap::new(), ..RenderOptions::default() };
    let html = parsed.element.render(&options).map_err(|_| {
        "El MJML no se puede convertir: revisa que los anchos y márgenes sean números con su unidad (10px, 50%).".to_owned()
    })?;
    aside.refuse_unknown(&html)?;
    aside.refuse_lost(&html)?;
    let html = aside.mark_links(&html)?;
    let plain = plain_text::from_html(&html);
    Ok(Made { html: aside.put_back(&html), plain: aside.put_back(&plain) })
}

/// A text with its template tags set aside.
struct Aside<'a> {
    text: String,
    /// Each tag and where its stand-in begins.
    tags: Vec<(&'a str, usize)>,
    /// What stand-ins begin with; nowhere in the source.
    word: String,
}

impl<'a> Aside<'a> {
    fn of(source: &'a str) -> Aside<'a> {
        let mut word = "zqtag".to_owned();
        while source.contains(&word) {
            word.push('q');
        }
        let mut it = Aside { text: String::with_capacity(source.len()), tags: Vec::new(), word };
        let mut rest = source;
        while let Some(at) = rest.find('{') {
            it.text.push_str(&rest[..at]);
            rest = &rest[at..];
            let len = plain_text::template_tag(rest).unwrap_or(0);
            if len == 0 {
                it.text.push('{');
                rest = &rest[1..];
                continue;
            }
            let stand_in = it.stand_in(it.tags.len());
            it.tags.push((&rest[..len], it.text.len()));
            it.text.push_str(&stand_in);
            rest = &rest[len..];
        }
        it.text.push_str(rest);
        it
    }

    fn stand_in(&self, n: usize) -> String {
        format!("{}{n}z", self.word)
    }

    /// The stand-in of a tag within an address.
    fn in_address(&self, n: usize) -> String {
        format!("{}{n}u", self.word)
    }

    /// The line of the source at a place of the text.
    fn line(&self, at: usize) -> usize {
        let ends = |text: &str| text.matches('\n').count();
        let before = self.tags.iter().take_while(|it| it.1 < at);
        1 + ends(self.text.get(..at).unwrap_or(&self.text)) + before.map(|it| ends(it.0)).sum::<usize>()
    }

    fn element(&self, position: Span) -> String {
        let found = self.text.get(position.start..position.end).unwrap_or_default();
        found.trim_matches(['<', '/', '>', ' ']).to_owned()
    }

    fn sentence(&self, error: &Error) -> String {
        match error {
            Error::UnexpectedElement { position, .. } => format!(
                "Línea {}: la etiqueta <{}> no existe en MJML o no puede ir ahí.",
                self.line(position.start),
                self.element(*position)
            ),
            Error::UnexpectedToken { position, .. } => format!(
                "Línea {}: algo no puede ir ahí. El texto va dentro de <mj-text>, y cada etiqueta se cierra donde corresponde.",
                self.line(position.start)
            ),
            Error::MissingAttribute { name, position, .. } => {
                format!("Línea {}: a la etiqueta le falta {name}=\"…\".", self.line(position.start))
            }
            Error::InvalidAttribute { position, .. } => {
                format!("Línea {}: un atributo está mal escrito.", self.line(position.start))
            }
            Error::InvalidFormat { position, .. } => {
                format!("Línea {}: hay un valor mal escrito.", self.line(position.start))
            }
            Error::IncludeLoaderError { position, .. } => format!(
                "Línea {}: <mj-include> no se puede usar aquí; pega lo que querías incluir.",
                self.line(position.start)
            ),
            Error::ParserError { source, .. } => {
                // Its rows are of the text; tags that hold line ends are hardly ever written.
                format!("Línea {}: hay una etiqueta mal escrita o sin cerrar.", source.pos().row)
            }
            Error::EndOfStream { .. } => {
                "El MJML termina antes de tiempo: falta cerrar una etiqueta, por ejemplo </mj-body> o </mjml>.".to_owned()
            }
            Error::NoRootNode => NO_ROOT.to_owned(),
            Error::SizeLimit { .. } => "El MJML es demasiado largo.".to_owned(),
        }
    }

    /// What is no element of MJML passes through it as it stands.
    fn refuse_unknown(&self, html: &str) -> Result<(), String> {
        let Some(at) = html.find("<mj-") else { return Ok(()) };
        let name: String =
            html[at + 1..].chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '-').collect();
        let line = self.text.find(&format!("<{name}")).map_or(1, |at| self.line(at));
        Err(format!("Línea {line}: la etiqueta <{name}> no existe en MJML o no puede ir ahí."))
    }

    /// A tag that stands where MJML shows nothing would be lost, or end up between the cells of a table.
    fn refuse_lost(&self, html: &str) -> Result<(), String> {
        let is_lost = |n: &usize| !html.contains(&self.stand_in(*n)) || self.is_between_elements(*n);
        match (0..self.tags.len()).find(is_lost) {
            None => Ok(()),
            Some(n) => Err(format!(
                "Línea {}: {} está donde MJML no muestra nada. Ponla dentro de <mj-text>, <mj-button> o <mj-raw>.",
                self.line(self.tags[n].1),
                self.tags[n].0
            )),
        }
    }

    /// Whether the `n`th tag shows something where only elements may stand. What only decides, `{% if … %}`, may.
    fn is_between_elements(&self, n: usize) -> bool {
        let (tag, at) = self.tags[n];
        let before = &self.text[..at];
        let last = before.rfind('<').map_or("", |from| &before[from..]);
        let Some((element, _)) = last.split_once('>') else { return false };
        let name = element[1..].split_ascii_whitespace().next().unwrap_or_default();
        tag.starts_with("{{")
            && (name.starts_with("/mj-")
                || (name.starts_with("mj-") && element.ends_with('/'))
                || FRAMES.contains(&name))
    }

    /// Tags within the addresses of links and pictures get stand-ins of their own.
    fn mark_links(&self, html: &str) -> Result<String, String> {
        let mut out = String::with_capacity(html.len());
        let mut rest = html;
        while let Some(at) =
            ["href=\"", "src=\""].iter().filter_map(|it| rest.find(it).map(|at| at + it.len())).min()
        {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest.find('"').unwrap_or(rest.len());
            out.push_str(&self.marked(&rest[..end])?);
            rest = &rest[end..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn marked(&self, address: &str) -> Result<String, String> {
        let mut marked = address.to_owned();
        for (n, (tag, at)) in self.tags.iter().enumerate() {
            let stand_in = self.stand_in(n);
            if !tags::is_personal(tag) || !marked.contains(&stand_in) {
                continue;
            }
            if marked.trim_start().starts_with(&stand_in) {
                return Err(format!(
                    "Línea {}: un enlace no puede comenzar con un dato de la persona ({tag}): escribe la dirección y deja el dato para el final.",
                    self.line(*at)
                ));
            }
            marked = marked.replace(&stand_in, &self.in_address(n));
        }
        Ok(marked)
    }

    fn put_back(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(&self.word) {
            out.push_str(&rest[..at]);
            rest = &rest[at + self.word.len()..];
            let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
            let tag = rest[..digits].parse().ok().and_then(|n: usize| self.tags.get(n));
            if let Some((tag, _)) = tag {
                if rest[digits..].starts_with('u') {
                    out.push_str(&tags::in_address(tag));
                } else {
                    out.push_str(tag);
                }
            }
            rest = rest.get(digits + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

const NO_ROOT: &str = "El MJML empieza con <mjml> y termina con </mjml>.";

/// Elements that hold elements alone.
const FRAMES: &[&str] = &[
    "mjml",
    "mj-head",
    "mj-body",
    "mj-wrapper",
    "mj-section",
    "mj-group",
    "mj-column",
    "mj-hero",
    "mj-attributes",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> String {
        format!(
            "<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n{inside}\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>"
        )
    }

    fn fault(source: &str) -> String {
        made(source).expect_err(source)
    }

    #[test]
    fn tags_come_out_as_they_went_in() {
        let tags = "{{ first_name | default(\"a < b & c\") }} {% if company %}de {{ company }}{% endif %}";
        let it = made(&page(&format!("<mj-text>Hola {tags}</mj-text>"))).unwrap();
        assert!(it.html.contains(&format!("Hola {tags}")), "{}", it.html);
        assert_eq!(it.plain.trim(), format!("Hola {tags}"));
        assert!(it.html.starts_with("<!doctype html>") && it.html.contains("</body>"), "{}", it.html);
    }

    #[test]
    fn nothing_is_fetched_from_others() {
        let it = made(&page("<mj-text font-family=\"Ubuntu\">Hola</mj-text>")).unwrap();
        assert!(!it.html.contains("googleapis"), "{}", it.html);
    }

    #[test]
    fn a_datum_within_an_address_is_made_fit_for_one() {
        let it = made(&page("<mj-button href=\"https://a.cl/?n={{ first_name | default(\"x\") }}&amp;b={{ business_name }}\">Ver {{ first_name }}</mj-button>")).unwrap();
        let address =
            "https://a.cl/?n={{ (first_name | default(\"x\")) | urlencode }}&amp;b={{ business_name }}";
        assert!(it.html.contains(&format!("href=\"{address}\"")), "{}", it.html);
        assert!(it.html.contains("Ver {{ first_name }}"), "{}", it.html);
        assert!(
            it.plain.contains(&format!("Ver {{{{ first_name }}}} ({})", address.replace("&amp;", "&"))),
            "{}",
            it.plain
        );
        let fault = fault(&page("<mj-button href=\"{{ company }}\">Ver</mj-button>"));
        assert!(fault.starts_with("Línea 5:") && fault.contains("{{ company }}"), "{fault}");
        made(&page("<mj-button href=\"{{ business_website }}\">Ver</mj-button>")).unwrap();
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let check = |source: &str, starts: &str| {
            let it = fault(source);
            assert!(it.starts_with(starts), "{source}: {it}");
        };
        check(&page("<mj-texto>Hola</mj-texto>"), "Línea 5: la etiqueta <mj-texto>");
        check(&page("<mj-text>Hola</mj-text>\n{{ first_name }}"), "Línea 6:");
        made(&page("{% if company %}<mj-text>Hola {{ company }}</mj-text>{% endif %}")).unwrap();
        check("<mjml>\n<mj-body>\n<mj-section>", "El MJML termina antes de tiempo");
        check("<p>Hola</p>", "El MJML empieza con <mjml>");
        check("Hola", "El MJML empieza con <mjml>");
        check(&page("<mj-include path=\"/etc/passwd\" />"), "Línea 5: <mj-include>");
        check(&page("<mj-text css-class=>Hola</mj-text"), "Línea ");
    }

    #[test]
    fn lines_are_counted_over_tags_of_several_lines() {
        let it = fault(&page("<mj-text>{{ first_name\n| default(\"x\") }}</mj-text>\n<mj-nada />"));
        assert!(it.starts_with("Línea 7:"), "{it}");
    }
}
