//! What a text must show its readers before it may leave: who sends, from where
//! and how to stop (Ley 19.496 art. 28 B), and no datum of the business that nobody has told. Pure.

use super::{
    kinds::MessageType,
    template::{self, RenderError, Source},
    values::{self, Links, Recipient, VARIABLES},
};
use crate::{chile::format, error::FieldError, settings::Business};

/// The legal footer that a new text starts with.
pub const DEFAULT_FOOTER: &str = "Este correo promocional lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\n\
     Si no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}";

/// The same for a text that is written to people one knows, and does not call itself a promotion.
pub const PLAIN_FOOTER: &str = "Este correo lo envía {{ business_name }}, {{ business_address }}. Contacto: {{ business_email }}.\n\
     Si no quieres recibir más correos, puedes darte de baja aquí: {{ unsubscribe_url }}";

/// What of `source` is not whole and lawful, at its fields: the one question asked of every text that may leave.
#[must_use]
pub fn unfit(source: &Source, message_type: MessageType, business: &Business) -> Vec<FieldError> {
    let mut found = Vec::new();
    if source.subject.trim().is_empty() {
        found.push(FieldError::new("subject", "Escribe el asunto."));
    }
    if matches!(source.body.trim(), "" | "[]") {
        found.push(FieldError::new("body", "Escribe el mensaje, o agrega un bloque."));
    } else {
        found.extend(problems(source, message_type, business));
    }
    found
}

/// The same, and that it is known who sends: what must be so when it leaves.
#[must_use]
pub fn unsendable(source: &Source, message_type: MessageType, business: &Business) -> Vec<FieldError> {
    let mut found = unfit(source, message_type, business);
    if message_type.is_promotional() && !business.is_legal_sender() {
        let sentence =
            "Faltan los datos del remitente legal, que la ley pide mostrar: complétalos en Ajustes, Negocio.";
        found.push(FieldError::new("template", sentence));
    }
    found
}

fn problems(source: &Source, message_type: MessageType, business: &Business) -> Vec<FieldError> {
    if let Err(problems) = template::compile(source) {
        return problems;
    }
    let mut found = Vec::new();
    let lacking = footer_lacks(source, business);
    if message_type.is_promotional() && !lacking.is_empty() {
        found.push(FieldError::new("footer", footer_advice(&lacking)));
    }
    if let Some(name) = own_gap(source, business) {
        found.push(FieldError::new("body", own_gap_sentence(name)));
    }
    found
}

/// What of Ley 19.496 art. 28 B a reader would not find in the message: found by filling it in.
#[must_use]
pub fn footer_lacks(source: &Source, business: &Business) -> Vec<&'static str> {
    const UNSUBSCRIBE: &str = "https://baja.invalid/prueba";
    let known = known(business);
    let links = Links {
        unsubscribe: UNSUBSCRIBE.into(),
        preferences: "https://preferencias.invalid/prueba".into(),
        ..Links::default()
    };
    let values = values::of(&Recipient::sample(), &known, &links);
    let Ok(rendered) =
        template::compile(source).map_err(drop).and_then(|it| it.render(&values).map_err(drop))
    else {
        // What nobody can read tells nobody anything.
        return vec!["{{ business_name }}", "{{ business_address }}", "{{ unsubscribe_url }}"];
    };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = words(&rendered.plain);
    let mut lacking = Vec::new();
    if !plain.contains(&words(&known.name)) {
        lacking.push("{{ business_name }}");
    }
    if !plain.contains(&words(&known.address)) {
        lacking.push("{{ business_address }}");
    }
    if !plain.contains(UNSUBSCRIBE) || !rendered.html.contains(UNSUBSCRIBE) {
        lacking.push("{{ unsubscribe_url }}");
    }
    lacking
}

/// What to do about it, in Spanish.
#[must_use]
pub fn footer_advice(lacking: &[&str]) -> String {
    format!(
        "Agrega {} al pie: la ley 19.496 (art. 28 B) pide decir quién envía, su dirección y cómo dejar de recibir.",
        format::and(lacking)
    )
}

/// The business as known, with samples where nothing is: what is missing there is another item's matter.
pub(super) fn known(business: &Business) -> Business {
    let sample = |name| VARIABLES.iter().find(|it| it.name == name).map_or("", |it| it.sample).to_owned();
    let or = |value: &String, name| if value.trim().is_empty() { sample(name) } else { value.clone() };
    Business {
        name: or(&business.name, "business_name"),
        address: or(&business.address, "business_address"),
        email: or(&business.email, "business_email"),
        phone: or(&business.phone, "business_phone"),
        website: or(&business.website, "business_website"),
        ..business.clone()
    }
}

/// A variable of the business that the text needs and nobody has told: it would be missing for everyone.
#[must_use]
pub fn own_gap(source: &Source, business: &Business) -> Option<&'static str> {
    let compiled = template::compile(source).ok()?;
    let links = Links { unsubscribe: "u".into(), preferences: "p".into(), ..Links::default() };
    match compiled.render(&values::of(&Recipient::sample(), business, &links)) {
        // Name, address and mailbox are the first item's matter.
        Err(RenderError::Missing(_)) => compiled.required().into_iter().find(|name| match *name {
            "business_phone" => business.phone.trim().is_empty(),
            "business_website" => business.website.trim().is_empty(),
            _ => false,
        }),
        _ => None,
    }
}

/// [`own_gap`] in Spanish.
#[must_use]
pub fn own_gap_sentence(name: &str) -> String {
    let label = VARIABLES.iter().find(|it| it.name == name).map_or(name, |it| it.label);
    format!("El texto usa {{{{ {name} }}}}, y falta ese dato: {}.", label.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn business() -> Business {
        Business {
            name: "Termas & Cía".into(),
            address: "Ruta 5, km 1.020".into(),
            email: "hola@termas.example".into(),
            ..Business::default()
        }
    }

    #[test]
    fn a_footer_shows_who_where_and_how_to_stop() {
        let check = |footer: &str| {
            footer_lacks(
                &Source { footer: footer.into(), body: "Hola".into(), ..Source::default() },
                &business(),
            )
        };
        assert_eq!(check(DEFAULT_FOOTER), Vec::<&str>::new());
        assert_eq!(check("Termas & Cía, Ruta 5, km 1.020. Baja: {{ unsubscribe_url }}"), Vec::<&str>::new());
        assert_eq!(check("{{ business_name }}"), ["{{ business_address }}", "{{ unsubscribe_url }}"]);
        assert_eq!(
            check(
                "{% if false %}{{ business_name }} {{ business_address }} {{ unsubscribe_url }}{% endif %}"
            )
            .len(),
            3
        );
        assert_eq!(check(&format!("{DEFAULT_FOOTER} {{{{ business_name | titulo }}}}")).len(), 3);
    }

    #[test]
    fn what_the_business_never_told_is_a_gap_for_everyone() {
        let source = Source { body: "Llámanos: {{ business_phone }}".into(), ..Source::default() };
        assert_eq!(own_gap(&source, &business()), Some("business_phone"));
        let told = Business { phone: "+56 65 225 0000".into(), ..business() };
        assert_eq!(own_gap(&source, &told), None);
    }
}
