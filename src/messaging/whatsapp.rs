//! A WhatsApp text as Meta keeps it: a name, a language, a category and named variables, each of which stands for one
//! of ours. Only texts that Meta has approved may open a conversation; what it said is written down by hand. Pure.

use super::{
    legal, sms,
    template::{self, BodyFormat, Source},
    values::{self, Recipient, VARIABLES},
};
use crate::{codes::codes, error::FieldError, settings::Business};
use serde::{Deserialize, Serialize};

codes! {
    /// What Meta takes a text for, and charges it as.
    Category {
        /// It sells, or brings people back.
        Marketing = "MARKETING", "Marketing";
        /// It answers something that the person did: a booking, a purchase.
        Utility = "UTILITY", "Utilidad";
        /// It carries a code to sign in with.
        Authentication = "AUTHENTICATION", "Autenticación";
    }
}

codes! {
    /// What Meta said of a text.
    Approval {
        /// Nothing: it was not sent to them, or they have not answered.
        Unsent = "UNSENT", "Sin respuesta de Meta";
        /// It may be used.
        Approved = "APPROVED", "Aprobada por Meta";
        /// It may not.
        Rejected = "REJECTED", "Rechazada por Meta";
    }
}

/// The languages of Meta that our readers speak, by their codes.
pub const LANGUAGES: &[(&str, &str)] = &[
    ("es_CL", "Español (Chile)"),
    ("es", "Español"),
    ("es_AR", "Español (Argentina)"),
    ("es_CO", "Español (Colombia)"),
    ("es_CR", "Español (Costa Rica)"),
    ("es_EC", "Español (Ecuador)"),
    ("es_ES", "Español (España)"),
    ("es_HN", "Español (Honduras)"),
    ("es_MX", "Español (México)"),
    ("es_PA", "Español (Panamá)"),
    ("es_PE", "Español (Perú)"),
    ("es_DO", "Español (República Dominicana)"),
    ("es_UY", "Español (Uruguay)"),
    ("en", "Inglés"),
    ("en_US", "Inglés (Estados Unidos)"),
    ("pt_BR", "Portugués (Brasil)"),
];

/// Letters that Meta takes of a body, and of a footer.
const BODY: usize = 1024;
const FOOTER: usize = 60;

/// The footer that a new promotion starts with.
pub const DEFAULT_FOOTER: &str = "¿No quieres más mensajes? Responde BAJA";

/// How Meta knows a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Its name there: small letters, digits and underscores.
    pub name: String,
    /// Code of its language, which must be the very one of the approved text.
    pub language: String,
    /// What it is taken for.
    pub category: Category,
    /// Its variables, in the order of the text.
    pub variables: Vec<Named>,
}

impl Default for Registration {
    fn default() -> Registration {
        Registration {
            name: String::new(),
            language: LANGUAGES[0].0.to_owned(),
            category: Category::Marketing,
            variables: Vec::new(),
        }
    }
}

/// A variable of Meta's, and what stands for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    /// As the text calls it.
    pub name: String,
    /// The variable of ours; empty: not chosen yet.
    pub ours: String,
    /// What those get who lack it; empty: they get no message.
    pub fallback: String,
    /// The example that Meta's reviewers read.
    pub sample: String,
}

impl Named {
    fn guessed(name: String) -> Named {
        let ours = VARIABLES.iter().find(|it| it.name == name || template::meant(&name) == Some(it.name));
        Named {
            name,
            ours: ours.map_or("", |it| it.name).to_owned(),
            fallback: ours.map_or("", |it| it.fallback).to_owned(),
            sample: ours.map_or("", |it| it.sample).to_owned(),
        }
    }

    /// As a text of ours writes it. What would not stay within its quotes, [`problems`] refuses.
    fn tag(&self) -> String {
        match self.fallback.trim() {
            "" => format!("{{{{ {} }}}}", self.ours),
            fallback => format!("{{{{ {} | default(\"{fallback}\") }}}}", self.ours),
        }
    }
}

impl Registration {
    /// With the variables that `body` has: what was chosen for them stays, the others are guessed by their names.
    #[must_use]
    pub fn following(self, body: &str) -> Registration {
        let mut known = self.variables;
        let variables = names(body)
            .into_iter()
            .map(|name| match known.iter().position(|it| it.name == name) {
                Some(at) => known.swap_remove(at),
                None => Named::guessed(name),
            })
            .collect();
        Registration { variables, ..self }
    }
}

/// One piece of a body.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Words(&'a str),
    Variable(&'a str),
    /// Two braces that nothing closes.
    Open,
}

fn pieces(body: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest) = (Vec::new(), body);
    while let Some(at) = rest.find("{{") {
        if at > 0 {
            found.push(Piece::Words(&rest[..at]));
        }
        let Some(end) = rest[at..].find("}}") else {
            found.push(Piece::Open);
            return found;
        };
        found.push(Piece::Variable(rest[at + 2..at + end].trim()));
        rest = &rest[at + end + 2..];
    }
    if !rest.is_empty() {
        found.push(Piece::Words(rest));
    }
    found
}

/// The names of the variables of `body`, each once, in their order.
#[must_use]
pub fn names(body: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for piece in pieces(body) {
        if let Piece::Variable(name) = piece
            && !name.is_empty()
            && found.iter().all(|it| it != name)
        {
            found.push(name.to_owned());
        }
    }
    found
}

/// `source` as a text of ours: each variable is the one that stands for it, and the footer is the end of the body.
pub(super) fn in_our_words(source: &Source, registration: &Registration) -> Source {
    let mut body = String::new();
    for piece in pieces(source.body.trim()) {
        match piece {
            Piece::Words(words) => body.push_str(words),
            Piece::Variable(name) => {
                let named = registration.variables.iter().find(|it| it.name == name);
                body.push_str(&named.map(Named::tag).unwrap_or_default());
            }
            Piece::Open => {}
        }
    }
    if !source.footer.trim().is_empty() {
        body.push_str("\n\n");
        body.push_str(source.footer.trim());
    }
    Source {
        subject: String::new(),
        body,
        body_format: BodyFormat::Text,
        footer: String::new(),
        registration: None,
    }
}

/// What Meta would not take, at its fields.
pub(super) fn problems(source: &Source, registration: &Registration) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut wrong = |field: &'static str, message: String| found.push(FieldError::new(field, message));
    let is_plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    if registration.name.is_empty()
        || registration.name.len() > 512
        || !registration.name.chars().all(is_plain)
    {
        wrong(
            "registered_name",
            "Escribe el nombre tal como está en Meta: solo minúsculas sin tilde, números y guion bajo, como oferta_mensual."
                .to_owned(),
        );
    }
    if LANGUAGES.iter().all(|it| it.0 != registration.language) {
        wrong("language", "Elige el idioma con que está registrada en Meta.".to_owned());
    }
    let body = source.body.trim();
    if body.chars().count() > BODY {
        wrong("body", format!("El texto tiene más de {BODY} caracteres, y Meta no acepta más: acórtalo."));
    }
    let pieces = pieces(body);
    if pieces.contains(&Piece::Open) {
        wrong("body", "Hay una variable sin cerrar: cada {{ lleva su }}.".to_owned());
    }
    if body.contains("{%") || body.contains("{#") {
        wrong(
            "body",
            "Meta no conoce las etiquetas {% … %} ni {# … #}: deja solo variables como {{nombre}}."
                .to_owned(),
        );
    }
    if matches!(pieces.first(), Some(Piece::Variable(_))) || matches!(pieces.last(), Some(Piece::Variable(_)))
    {
        wrong(
            "body",
            "Meta no acepta un texto que empiece o termine con una variable: pon palabras antes y después."
                .to_owned(),
        );
    }
    for piece in &pieces {
        let Piece::Variable(name) = piece else { continue };
        let is_odd = name.is_empty()
            || !name.chars().all(is_plain)
            || name.starts_with(|it: char| it.is_ascii_digit());
        if is_odd && !is_number(name) {
            wrong(
                "body",
                format!(
                    "La variable {{{{{name}}}}} no sirve en Meta: usa minúsculas sin tilde y guion bajo, como {{{{nombre}}}}."
                ),
            );
        }
    }
    found.extend(misnumbered(&names(body)));
    let mut wrong = |field: &'static str, message: String| found.push(FieldError::new(field, message));
    for name in names(body) {
        let named = registration.variables.iter().find(|it| it.name == name);
        if !named.is_some_and(|it| VARIABLES.iter().any(|ours| ours.name == it.ours)) {
            wrong("variables", format!("Elige qué dato va en {{{{{name}}}}}."));
        } else if named.is_some_and(|it| it.sample.trim().is_empty()) {
            wrong(
                "variables",
                format!("Escribe un ejemplo de {{{{{name}}}}}: Meta lo pide para revisar el texto."),
            );
        } else if named.is_some_and(|it| it.fallback.contains(['{', '}', '"', '\\'])) {
            wrong(
                "variables",
                format!("Lo que va si falta {{{{{name}}}}} no puede llevar llaves, comillas ni barras."),
            );
        }
    }
    let footer = source.footer.trim();
    if footer.chars().count() > FOOTER {
        wrong("footer", format!("El pie tiene más de {FOOTER} caracteres, y Meta no acepta más: acórtalo."));
    }
    if footer.contains("{{") || footer.contains("{%") || footer.contains("{#") {
        wrong("footer", "El pie de Meta no lleva variables.".to_owned());
    }
    found
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|it| it.is_ascii_digit())
}

/// Meta's older texts number their variables, from 1 on and all of them.
fn misnumbered(names: &[String]) -> Option<FieldError> {
    let numbered = names.iter().filter(|it| is_number(it)).count();
    let has_all = (1..=numbered).all(|n| names.contains(&n.to_string()));
    if numbered == 0 || (numbered == names.len() && has_all) {
        return None;
    }
    let said = if numbered < names.len() {
        "Meta no mezcla variables con número y con nombre: deja solo {{1}}, {{2}} o solo {{nombre}}, {{empresa}}."
    } else {
        "Las variables con número empiezan en {{1}} y siguen sin saltos: {{1}}, {{2}}, {{3}}."
    };
    Some(FieldError::new("body", said))
}

/// Whether Meta, which reviews words, would read in `a` what it reads in `b`: what stands for its variables here, and what
/// it takes the text for, change nothing of that.
#[must_use]
pub fn reads_alike(a: &Source, b: &Source) -> bool {
    let words = |it: &Source| (it.body.trim().to_owned(), it.footer.trim().to_owned());
    let key = |it: &Source| it.registration.as_ref().map(|it| (it.name.clone(), it.language.clone()));
    words(a) == words(b) && key(a) == key(b)
}

/// What Meta would not deliver: a body that is too long once it is filled, for somebody whose data are as usual.
#[must_use]
pub fn too_long_when_filled(source: &Source, business: &Business, public_url: &str) -> Option<FieldError> {
    let body = Source { footer: String::new(), ..source.clone() };
    let compiled = template::compile(&body).ok()?;
    let links = sms::sample_links(public_url);
    let values = values::of(&Recipient::sample(), &legal::known(business), &links);
    let letters = compiled.render(&values).ok()?.plain.chars().count();
    (letters > BODY).then(|| {
        FieldError::new(
            "body",
            format!("Con sus datos el texto llega a {letters} caracteres, y Meta no entrega más de {BODY}: acórtalo."),
        )
    })
}

/// What the law wants of a promotion and this one lacks.
#[must_use]
pub fn lacks_way_out(source: &Source) -> Option<FieldError> {
    let text = format!("{}\n{}", source.body, source.footer);
    let has_link =
        source.registration.iter().flat_map(|it| &it.variables).any(|it| it.ours == "unsubscribe_url");
    (!has_link && !sms::tells_how_to_stop(&text, "\0")).then(|| {
        FieldError::new(
            "footer",
            format!(
                "Di cómo dejar de recibir, por ejemplo «{DEFAULT_FOOTER}»: lo pide la ley 19.496 (art. 28 B)."
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::values::Links;

    fn text(body: &str) -> Source {
        let registration =
            Registration { name: "oferta_mensual".into(), ..Registration::default() }.following(body);
        Source {
            body: body.into(),
            footer: DEFAULT_FOOTER.into(),
            registration: Some(registration),
            ..Source::default()
        }
    }

    fn faults(source: &Source) -> Vec<&'static str> {
        problems(source, source.registration.as_ref().unwrap()).into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn variables_are_guessed_by_their_names_and_what_was_chosen_stays() {
        let it = text("Hola {{nombre}}, de {{ empresa }} y {{codigo}}.").registration.unwrap();
        let ours: Vec<_> = it.variables.iter().map(|it| (it.name.as_str(), it.ours.as_str())).collect();
        assert_eq!(ours, [("nombre", "first_name"), ("empresa", "company"), ("codigo", "")]);
        let mut it = it;
        it.variables[2].ours = "comuna".into();
        let after = it.following("En {{codigo}}, {{nombre}}.");
        assert_eq!(after.variables.len(), 2);
        assert_eq!(
            (after.variables[0].name.as_str(), after.variables[0].ours.as_str()),
            ("codigo", "comuna")
        );
    }

    #[test]
    fn what_meta_would_refuse_is_told_at_its_field() {
        assert_eq!(faults(&text("Hola {{nombre}}, te esperamos.")), Vec::<&str>::new());
        assert_eq!(faults(&text("{{nombre}}, hola.")), ["body"]);
        assert_eq!(faults(&text("Hola {{nombre}}")), ["body"]);
        assert_eq!(faults(&text("Hola {{nombre")), ["body"]);
        assert_eq!(faults(&text("Hola {{Nombre}}.")), ["body"]);
        assert_eq!(faults(&text("Hola {% raw %}.")), ["body"]);
        assert_eq!(faults(&text("Tu código {{codigo}}.")), ["variables"]);
        assert_eq!(faults(&text(&"a".repeat(1025))), ["body"]);
        let named = |name: &str| {
            let mut it = text("Hola.");
            it.registration.as_mut().unwrap().name = name.into();
            faults(&it)
        };
        for name in ["", "Oferta", "oferta mensual", "año"] {
            assert_eq!(named(name), ["registered_name"], "{name}");
        }
        assert_eq!(faults(&Source { footer: "a".repeat(61), ..text("Hola.") }), ["footer"]);
        assert_eq!(faults(&Source { footer: "{{nombre}}".into(), ..text("Hola.") }), ["footer"]);
    }

    #[test]
    fn numbered_variables_are_metas_too() {
        let numbered = |body: &str| {
            let mut it = text(body);
            for named in &mut it.registration.as_mut().unwrap().variables {
                (named.ours, named.sample) = ("first_name".into(), "Ana".into());
            }
            it
        };
        assert_eq!(faults(&numbered("Hola {{1}}, de {{2}}: {{1}}.")), Vec::<&str>::new());
        assert!(template::compile(&numbered("Hola {{1}}.")).is_ok());
        for body in
            ["Hola {{2}}.", "Hola {{1}} y {{3}}.", "Hola {{0}}.", "Hola {{01}}.", "Hola {{1}} y {{nombre}}."]
        {
            assert_eq!(faults(&numbered(body)), ["body"], "{body}");
        }
    }

    #[test]
    fn what_is_filled_is_measured() {
        let check = |letters: usize| {
            let it = text(&format!("{} {{{{empresa}}}}.", "a".repeat(letters)));
            assert_eq!(faults(&it), Vec::<&str>::new());
            too_long_when_filled(&it, &Business::default(), "https://a.cl")
        };
        assert!(check(900).is_none());
        assert!(check(1008).unwrap().message.contains("Meta no entrega más de 1024"));
    }

    #[test]
    fn meta_reads_words_and_nothing_that_stands_for_them() {
        let it = text("Hola {{nombre}}, ven.");
        let with = |change: fn(&mut Source)| {
            let mut other = it.clone();
            change(&mut other);
            reads_alike(&it, &other)
        };
        assert!(with(|it| it.registration.as_mut().unwrap().category = Category::Utility));
        assert!(with(|it| it.registration.as_mut().unwrap().variables[0].fallback = "vecina".into()));
        assert!(!with(|it| it.registration.as_mut().unwrap().language = "es".into()));
        assert!(!with(|it| it.registration.as_mut().unwrap().name = "otra".into()));
        assert!(!with(|it| it.body = "Hola.".into()));
        assert!(!with(|it| it.footer = "Responde SALIR".into()));
    }

    #[test]
    fn the_text_is_filled_by_what_stands_for_its_variables() {
        let mut it = text("Hola {{nombre}}, de {{empresa}}: {{nombre}} te espera.");
        it.registration.as_mut().unwrap().variables[1].fallback = "tu casa".into();
        let Ok(compiled) = template::compile(&it) else { panic!("it compiles") };
        let ana = Recipient { first_name: "Ana".into(), ..Recipient::default() };
        let values = values::of(&ana, &Business::default(), &Links::default());
        let written = compiled.render(&values).unwrap().plain;
        assert_eq!(written, format!("Hola Ana, de tu casa: Ana te espera.\n\n{DEFAULT_FOOTER}"));
        for fallback in ["tu \"casa\"", "{{ first_name }}", "\\"] {
            it.registration.as_mut().unwrap().variables[1].fallback = fallback.into();
            assert_eq!(faults(&it), ["variables"], "{fallback}");
        }
    }

    #[test]
    fn a_promotion_says_how_to_stop() {
        assert!(lacks_way_out(&text("Hola.")).is_none());
        assert!(lacks_way_out(&Source { footer: String::new(), ..text("Hola.") }).is_some());
        assert!(
            lacks_way_out(&Source { footer: String::new(), ..text("Para salir: {{baja}} y ya.") }).is_none()
        );
    }
}
