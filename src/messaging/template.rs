//! Texts with variables: checked when saved, compiled once for each version, and
//! strict: an unknown or empty variable is an error, never a hole in a message.

use super::{
    blocks,
    mjml::{self, Made},
    plain_text, tags,
    values::{VARIABLES, Variable},
    whatsapp::{self, Registration},
};
use crate::error::FieldError;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum BodyFormat {
    /// Plain text; empty lines part paragraphs, addresses become links.
    #[default]
    #[serde(rename = "TEXT")]
    Text,
    /// HTML.
    #[serde(rename = "HTML")]
    Html,
    /// MJML, which is turned into HTML when it is saved.
    #[serde(rename = "MJML")]
    Mjml,
    /// Ready blocks ([`blocks::write`]), which make MJML.
    #[serde(rename = "BLOCKS")]
    Blocks,
}

impl BodyFormat {
    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            BodyFormat::Text => "TEXT",
            BodyFormat::Html => "HTML",
            BodyFormat::Mjml => "MJML",
            BodyFormat::Blocks => "BLOCKS",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            BodyFormat::Text => "Texto",
            BodyFormat::Html => "HTML",
            BodyFormat::Mjml => "MJML",
            BodyFormat::Blocks => "Bloques",
        }
    }

    /// From the stored code; anything unknown is plain text.
    #[must_use]
    pub fn from_code(code: &str) -> BodyFormat {
        match code {
            "HTML" => BodyFormat::Html,
            "MJML" => BodyFormat::Mjml,
            "BLOCKS" => BodyFormat::Blocks,
            _ => BodyFormat::Text,
        }
    }
}

/// A text as people write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// Subject line.
    pub subject: String,
    /// Body.
    pub body: String,
    /// How the body is written.
    pub body_format: BodyFormat,
    /// Legal footer, plain text.
    pub footer: String,
    /// How Meta knows it; only WhatsApp's, whose body has Meta's variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
}

impl Source {
    /// With the variables of [`VARIABLES`], whatever they are called where the text is registered.
    fn in_our_words(&self) -> Cow<'_, Source> {
        match &self.registration {
            Some(it) => Cow::Owned(whatsapp::in_our_words(self, it)),
            None => Cow::Borrowed(self),
        }
    }
}

/// A text ready to be filled. Cheap to clone.
#[derive(Clone)]
pub struct Compiled {
    env: Arc<Environment<'static>>,
    tracked: bool,
}

/// A filled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Subject, on one line.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Plain-text part.
    pub plain: String,
}

/// Why a text could not be filled for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A variable that the text needs has no value. Its name, where it can be told.
    #[error("missing value: {0}")]
    Missing(String),
    /// The text itself fails; English detail for the log.
    #[error("broken template: {0}")]
    Broken(String),
}

const SUBJECT: &str = "subject";
const HTML: &str = "html";
const PLAIN: &str = "plain";
/// The HTML part, its links led over us.
const TRACKED: &str = "tracked";

/// Longest rendering, in engine steps: far above any newsletter, far below an endless loop.
const FUEL: u64 = 500_000;

/// Check `source` and make it ready to be filled.
///
/// # Errors
/// What is wrong at which field, in Spanish.
pub fn compile(source: &Source) -> Result<Compiled, Vec<FieldError>> {
    checked(source)?;
    ready(source, made(source)?.as_ref(), None)
}

/// Nothing, or what is wrong at which field.
pub(super) fn checked(source: &Source) -> Result<(), Vec<FieldError>> {
    if let Some(it) = &source.registration {
        let problems = whatsapp::problems(source, it);
        if !problems.is_empty() {
            return Err(problems);
        }
    }
    let source = &*source.in_our_words();
    let mut problems = problems_of("subject", &source.subject);
    match source.body_format {
        BodyFormat::Blocks => problems.extend(problems_of_blocks(&source.body)),
        _ => problems.extend(problems_of("body", &source.body)),
    }
    problems.extend(problems_of("footer", &source.footer));
    if source.subject.contains(['\r', '\n']) {
        problems.push(FieldError::new("subject", "El asunto debe caber en una línea."));
    }
    if source.subject.chars().count() > 300 {
        problems.push(FieldError::new("subject", "El asunto tiene más de 300 caracteres: acórtalo."));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What MJML and blocks become; none for what is sent as it was written.
pub(super) fn made(source: &Source) -> Result<Option<Made>, Vec<FieldError>> {
    let made = match source.body_format {
        BodyFormat::Text | BodyFormat::Html => return Ok(None),
        // A draft may be saved before anything is written.
        _ if source.body.trim().is_empty() => return Ok(Some(Made::default())),
        BodyFormat::Mjml => mjml::made(&source.body),
        BodyFormat::Blocks => mjml::made(&blocks::mjml(&blocks::read(&source.body))),
    };
    made.map(Some).map_err(|said| vec![FieldError::new("body", said)])
}

/// `source`, whose tags are right, and what its body became; `tracked`: its HTML part with the links led over us.
pub(super) fn ready(
    source: &Source,
    made: Option<&Made>,
    tracked: Option<String>,
) -> Result<Compiled, Vec<FieldError>> {
    let source = &*source.in_our_words();
    let mut problems = Vec::new();
    let mut env = Environment::new();
    env.add_filter("urlencode", urlencode);
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|name| match name {
        HTML | TRACKED => AutoEscape::Html,
        _ => AutoEscape::None,
    });
    let is_tracked = tracked.is_some();
    let texts =
        [(SUBJECT, source.subject.clone()), (HTML, html_of(source, made)), (PLAIN, plain_of(source, made))];
    for (name, text) in texts.into_iter().chain(tracked.map(|it| (TRACKED, it))) {
        if env.add_template_owned(name, text).is_err() {
            problems.push(FieldError::new(
                "body",
                "El texto y el pie no se pueden unir: revisa las etiquetas {% … %}.",
            ));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let compiled = Compiled { env: Arc::new(env), tracked: is_tracked };
    match compiled.fault() {
        Some(fault) => Err(vec![fault]),
        None => Ok(compiled),
    }
}

/// The engine's own lets a missing value through as nothing, which is a hole in an address.
fn urlencode(value: &Value) -> std::result::Result<String, minijinja::Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    minijinja::filters::urlencode(value)
}

/// What is wrong with blocks, each with its number.
fn problems_of_blocks(body: &str) -> Vec<FieldError> {
    let blocks = blocks::read(body);
    let mut problems = blocks::problems(&blocks);
    for (place, block) in blocks.iter().enumerate() {
        let found = block.texts().flat_map(|text| problems_of("body", text));
        problems.extend(found.map(|it| blocks::fault(place, block, &it.message)));
    }
    problems
}

/// What is wrong with the tags of one field.
fn problems_of(field: &'static str, text: &str) -> Vec<FieldError> {
    let env = Environment::new();
    let template = match env.template_from_str(text) {
        Ok(template) => template,
        Err(error) => {
            // A name with an accent is no name for the engine, but people write it.
            if let Some(name) = accented_variable(text) {
                return vec![FieldError::new(field, unknown_variable(&name))];
            }
            let line = error.line().map(|it| format!(" en la línea {it}")).unwrap_or_default();
            let message = format!("Hay una etiqueta mal escrita{line}: revisa que cada {{{{ tenga su }}}}.");
            return vec![FieldError::new(field, message)];
        }
    };
    let mut unknown: Vec<_> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| VARIABLES.iter().all(|it| it.name != name))
        .collect();
    unknown.sort();
    let unknown = unknown.iter().map(|name| unknown_variable(name));
    unknown.chain(tags::problems(&env, text)).map(|it| FieldError::new(field, it)).collect()
}

/// The first variable of `text` whose name has a letter that names can't have.
fn accented_variable(text: &str) -> Option<String> {
    text.split("{{").skip(1).find_map(|tag| {
        let name = tag.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        (!name.is_ascii()).then(|| name.to_owned())
    })
}

fn unknown_variable(name: &str) -> String {
    let nearest = VARIABLES.iter().map(|it| (distance(name, it.name), it.name)).min();
    let near = meant(name).or(nearest.filter(|(steps, _)| *steps <= 4).map(|(_, near)| near));
    match near {
        Some(near) => format!("La variable {{{{ {name} }}}} no existe. ¿Quisiste decir {{{{ {near} }}}}?"),
        None => format!("La variable {{{{ {name} }}}} no existe: elige una de la lista de variables."),
    }
}

/// The variable that is meant by its name in Spanish.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    Some(match name.to_lowercase().as_str() {
        "nombre" | "nombres" | "primer_nombre" | "contacto" | "cliente" => "first_name",
        "apellido" | "apellidos" => "last_name",
        "empresa" | "compañia" | "compañía" | "razon_social" | "nombre_empresa" => "company",
        "cargo" | "puesto" => "job_title",
        "rubro" | "industria" | "giro" => "industry",
        "ciudad" | "localidad" => "comuna",
        "negocio" | "mi_negocio" | "mi_empresa" | "nombre_negocio" | "remitente" => "business_name",
        "direccion" | "dirección" => "business_address",
        "correo" | "email" | "mail" => "business_email",
        "telefono" | "teléfono" | "fono" | "celular" => "business_phone",
        "sitio" | "web" | "sitio_web" | "pagina" | "página" => "business_website",
        "baja" | "enlace_baja" | "enlace_de_baja" | "desuscribir" => "unsubscribe_url",
        "preferencias" | "enlace_preferencias" => "preferences_url",
        _ => return None,
    })
}

/// Edit distance (Levenshtein) of two short names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let next = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

fn footer_html(footer: &str) -> String {
    format!(
        "<div style=\"margin-top:24px;padding-top:16px;border-top:1px solid #dddddd;font-family:Arial,Helvetica,sans-serif;\
         font-size:12px;line-height:18px;color:#666666\">\n{}</div>\n",
        plain_text::to_html(footer)
    )
}

pub(super) fn html_of(source: &Source, made: Option<&Made>) -> String {
    let footer = if source.footer.trim().is_empty() { String::new() } else { footer_html(&source.footer) };
    match source.body_format {
        BodyFormat::Text => format!(
            "<!DOCTYPE html>\n<html lang=\"es-CL\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"></head>\n\
             <body style=\"margin:0;padding:24px;background:#ffffff\">\n\
             <div style=\"max-width:600px;margin:0 auto;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:23px;color:#222222\">\n\
             {}{footer}</div>\n</body></html>\n",
            plain_text::to_html(&source.body)
        ),
        BodyFormat::Html => before_the_end(&source.body, &footer),
        BodyFormat::Mjml | BodyFormat::Blocks => {
            let html = made.map_or("", |it| it.html.as_str());
            before_the_end(
                html,
                &format!(
                    "<div style=\"max-width:600px;margin:0 auto\"><div style=\"padding:0 24px\">{footer}</div></div>\n"
                ),
            )
        }
    }
}

/// `html` with `footer` at the end of what it shows.
fn before_the_end(html: &str, footer: &str) -> String {
    match html.to_ascii_lowercase().rfind("</body>") {
        Some(at) => format!("{}{footer}{}", &html[..at], &html[at..]),
        None => format!("{html}\n{footer}"),
    }
}

fn plain_of(source: &Source, made: Option<&Made>) -> String {
    let body = match source.body_format {
        BodyFormat::Text => plain_text::with_whole_addresses(&source.body.replace("\r\n", "\n")),
        BodyFormat::Html => plain_text::from_html(&source.body),
        BodyFormat::Mjml | BodyFormat::Blocks => made.map_or_else(String::new, |it| it.plain.clone()),
    };
    if source.footer.trim().is_empty() {
        return body;
    }
    let footer = plain_text::with_whole_addresses(&source.footer.replace("\r\n", "\n"));
    format!("{}\n\n-- \n{}\n", body.trim_end(), footer.trim_end())
}

impl Compiled {
    /// Whether its links are led over us: filling it then takes the message's own.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tracked
    }

    /// Fill the text.
    ///
    /// # Errors
    /// [`RenderError`]: a value is missing, or the text fails.
    pub fn render(&self, values: &Value) -> Result<Rendered, RenderError> {
        let subject = self.part(SUBJECT, values)?;
        Ok(Rendered {
            subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
            html: self.part(if self.tracked { TRACKED } else { HTML }, values)?,
            plain: self.part(PLAIN, values)?,
        })
    }

    /// What fails for somebody who has every datum, or for somebody who has none of their own, other than that a value
    /// is missing: such a text reaches nobody.
    fn fault(&self) -> Option<FieldError> {
        let of = |it: &'static Variable| (it.name, Value::from(it.sample));
        let full = Value::from_pairs(VARIABLES.iter().map(of));
        let bare = Value::from_pairs(VARIABLES.iter().filter(|it| !it.personal).map(of));
        let fails = |part: &str| {
            [&full, &bare].iter().any(|it| matches!(self.part(part, it), Err(RenderError::Broken(_))))
        };
        let part = [SUBJECT, HTML, PLAIN].into_iter().find(|it| fails(it))?;
        let field = if part == SUBJECT { "subject" } else { "body" };
        Some(FieldError::new(
            field,
            "El texto no se puede completar: revisa sus etiquetas {{ … }} y {% … %}.",
        ))
    }

    fn part(&self, name: &str, values: &Value) -> Result<String, RenderError> {
        self.env.get_template(name).and_then(|it| it.render(values.clone())).map_err(|error| {
            if error.kind() == ErrorKind::UndefinedError {
                RenderError::Missing(self.first_missing(values))
            } else {
                RenderError::Broken(error.to_string())
            }
        })
    }

    /// Names of the variables that the text mentions.
    #[must_use]
    pub fn mentioned(&self) -> BTreeSet<String> {
        [SUBJECT, HTML, PLAIN]
            .iter()
            .filter_map(|it| self.env.get_template(it).ok())
            .flat_map(|it| it.undeclared_variables(false))
            .collect()
    }

    /// Names of the variables without which the text can't be filled: those
    /// that it shows and gives no default for.
    #[must_use]
    pub fn required(&self) -> Vec<&'static str> {
        let mentioned = self.mentioned();
        VARIABLES
            .iter()
            .filter(|it| mentioned.contains(it.name))
            .filter(|without| {
                let others = VARIABLES.iter().filter(|it| it.name != without.name);
                let values = Value::from_pairs(others.map(|it| (it.name, Value::from(it.sample))));
                [SUBJECT, HTML, PLAIN].iter().any(|part| {
                    self.env
                        .get_template(part)
                        .and_then(|it| it.render(values.clone()))
                        .is_err_and(|error| error.kind() == ErrorKind::UndefinedError)
                })
            })
            .map(|it| it.name)
            .collect()
    }

    fn first_missing(&self, values: &Value) -> String {
        self.required()
            .into_iter()
            .find(|name| values.get_attr(name).map_or(true, |it| it.is_undefined()))
            .unwrap_or("")
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        messaging::values::{self, Links, Recipient},
        settings::Business,
    };

    fn source(subject: &str, body: &str) -> Source {
        Source { subject: subject.into(), body: body.into(), ..Source::default() }
    }

    fn ana() -> Value {
        let recipient =
            Recipient { first_name: "Ana".into(), company: "Peñón <SpA>".into(), ..Recipient::default() };
        values::of(
            &recipient,
            &Business::default(),
            &Links { unsubscribe: "https://x.cl/baja/t".into(), ..Links::default() },
        )
    }

    #[test]
    fn a_name_with_an_accent_is_answered_like_any_that_does_not_exist() {
        for (text, told) in [
            ("Hola {{ teléfono }}", "¿Quisiste decir {{ business_phone }}?"),
            ("{{ first_name }} de {{compañía}}", "¿Quisiste decir {{ company }}?"),
            ("Año {{ first_name", "Hay una etiqueta mal escrita"),
        ] {
            let found = problems_of("subject", text);
            assert!(found.len() == 1 && found[0].message.contains(told), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_text_is_filled_and_escaped_only_where_it_is_html() {
        let compiled =
            compile(&source("Para {{ company }}", "Hola {{ first_name }} de {{ company }}")).ok().unwrap();
        let rendered = compiled.render(&ana()).unwrap();
        assert_eq!(rendered.subject, "Para Peñón <SpA>");
        assert_eq!(rendered.plain, "Hola Ana de Peñón <SpA>");
        assert!(rendered.html.contains("Hola Ana de Peñón &lt;SpA&gt;"), "{}", rendered.html);
    }

    #[test]
    fn an_unknown_variable_is_an_error_with_the_nearest_name() {
        let problems = compile(&source("Hola {{ nombre }}", "{{ frist_name }}")).err().unwrap();
        assert_eq!(problems.len(), 2);
        assert!(problems[1].message.contains("first_name"), "{problems:?}");
    }

    #[test]
    fn an_open_tag_is_an_error_at_its_field() {
        for body in ["Hola {{ first_name", "{% if first_name %}", "{{ }}", "{% nope %}"] {
            let problems = compile(&source("x", body)).err().unwrap();
            assert_eq!(problems[0].field, "body", "{body}");
        }
    }

    #[test]
    fn an_empty_value_is_never_a_hole() {
        let compiled = compile(&source("Hola {{ last_name }}", "x")).ok().unwrap();
        assert_eq!(compiled.render(&ana()), Err(RenderError::Missing("last_name".into())));
        let with_default =
            compile(&source("Hola {{ last_name | default('amiga') }}", "{% if job_title %}a{% endif %}"));
        assert_eq!(with_default.ok().unwrap().render(&ana()).unwrap().subject, "Hola amiga");
    }

    #[test]
    fn a_missing_value_is_no_hole_in_an_address_either() {
        let body = "<mjml><mj-body><mj-section><mj-column><mj-button href=\"https://a.cl/?n={{ last_name }}\">Ver</mj-button>\
            </mj-column></mj-section></mj-body></mjml>";
        let source = Source { body_format: BodyFormat::Mjml, ..source("x", body) };
        let compiled = compile(&source).ok().unwrap();
        assert_eq!(compiled.required(), ["last_name"]);
        assert_eq!(compiled.render(&ana()), Err(RenderError::Missing("last_name".into())));
    }

    #[test]
    fn required_are_those_shown_without_default() {
        let compiled = compile(&source(
            "{{ first_name }}",
            "{{ company | default('x') }}{% if comuna %}{{ comuna }}{% endif %}",
        ));
        assert_eq!(compiled.ok().unwrap().required(), ["first_name"]);
    }

    #[test]
    fn a_value_cannot_break_the_subject_line_nor_run_as_template() {
        let recipient = Recipient { first_name: "A\r\nBcc: x {{ company }}".into(), ..Recipient::default() };
        let values = values::of(&recipient, &Business::default(), &Links::default());
        let rendered = compile(&source("Hola {{ first_name }}", "x")).ok().unwrap().render(&values).unwrap();
        assert_eq!(rendered.subject, "Hola A Bcc: x {{ company }}");
    }

    #[test]
    fn an_endless_text_is_broken_not_endless() {
        let body = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert_eq!(compile(&source("x", body)).err().unwrap()[0].field, "body");
    }

    #[test]
    fn what_compiles_and_fails_for_everybody_is_told_when_it_is_written() {
        for (subject, body, field) in [
            ("x", "{{ first_name | titulo }}", "body"),
            ("{{ first_name | titulo }}", "x", "subject"),
            ("x", "{% if comuna == \"Ancud\" %}{{ first_name | titulo }}{% endif %}", "body"),
            ("x", "{% if comuna is vacia %}a{% endif %}", "body"),
            ("x", "{{ first_name.upper() }}", "body"),
            ("{{ first_name - 1 }}", "x", "subject"),
            ("x", "{% if not comuna %}{{ business_name - 1 }}{% endif %}", "body"),
            ("x", "{% include \"otra\" %}", "body"),
        ] {
            let problems =
                compile(&source(subject, body)).err().unwrap_or_else(|| panic!("{subject} {body}"));
            assert_eq!(problems.iter().map(|it| it.field).collect::<Vec<_>>(), [field], "{subject} {body}");
        }
        for body in [
            "{{ first_name }} {{ company | default(\"x\") | upper }}",
            "{{ first_name[0] }} {{ company | length }} {{ comuna | replace(\"a\", \"b\") }}",
            "{% for letter in company %}{{ letter }}{% endfor %}",
            "{{ last_name ~ first_name }}{% if comuna and comuna | length > 3 %}a{% endif %}",
        ] {
            assert!(compile(&source("x", body)).is_ok(), "{body}");
        }
    }

    #[test]
    fn the_footer_stands_in_both_parts_and_inside_the_body_tag() {
        let source = Source {
            subject: "x".into(),
            body: "<html><body><p>Hola</p></body></html>".into(),
            body_format: BodyFormat::Html,
            footer: "Baja: {{ unsubscribe_url }}".into(),
            ..Source::default()
        };
        let rendered = compile(&source).ok().unwrap().render(&ana()).unwrap();
        assert!(rendered.plain.ends_with("-- \nBaja: https://x.cl/baja/t"), "{}", rendered.plain);
        let footer = rendered.html.find("https://x.cl/baja/t").unwrap();
        assert!(footer < rendered.html.find("</body>").unwrap());
    }
}
