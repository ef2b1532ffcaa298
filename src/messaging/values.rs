//! What a text may say of its recipient and of the business: the variables of templates.

use crate::settings::Business;
use minijinja::Value;

/// A variable of templates.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// As written between `{{` and `}}`.
    pub name: &'static str,
    /// What it is, for the list beside the editor.
    pub label: &'static str,
    /// An example, for previews without a contact.
    pub sample: &'static str,
    /// Whether it is of the recipient, so that one may lack it.
    pub personal: bool,
    /// What may stand in its place for who lacks it; empty: nothing fits.
    pub fallback: &'static str,
    /// One as long as they come, but for a few, and with an accent, which makes it cost the most; empty: as the sample.
    pub long: &'static str,
}

impl Variable {
    /// As it is written in a text.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{{{{ {} }}}}", self.name)
    }

    /// The same, with what stands in its place for who lacks it.
    #[must_use]
    pub fn tag_with_fallback(&self) -> String {
        format!("{{{{ {} | default(\"{}\") }}}}", self.name, self.fallback)
    }
}

const fn personal(
    name: &'static str,
    label: &'static str,
    sample: &'static str,
    fallback: &'static str,
    long: &'static str,
) -> Variable {
    Variable { name, label, sample, personal: true, fallback, long }
}

const fn ours(name: &'static str, label: &'static str, sample: &'static str) -> Variable {
    Variable { name, label, sample, personal: false, fallback: "", long: "" }
}

/// Every variable that a text may use.
pub const VARIABLES: &[Variable] = &[
    personal("first_name", "Nombre de la persona", "Camila", "qué tal", "María Fernanda Antonia"),
    personal("last_name", "Apellidos de la persona", "Barría Oyarzún", "", "Etcheverría Valderrábano"),
    personal(
        "company",
        "Empresa de la persona",
        "Lácteos del Sur SpA",
        "tu empresa",
        "Sociedad Comercial e Inmobiliaria Los Ríos Limitada",
    ),
    personal(
        "job_title",
        "Cargo de la persona",
        "Jefa de Compras",
        "",
        "Encargada de Administración y Finanzas",
    ),
    personal(
        "comuna",
        "Comuna de la persona o de su empresa",
        "Puerto Montt",
        "tu comuna",
        "Santa María de Los Ángeles",
    ),
    personal("industry", "Rubro de la empresa", "Lechería", "tu rubro", "Construcción y obras de ingeniería"),
    ours("business_name", "Nombre de tu negocio", "Mi Negocio"),
    ours("business_address", "Dirección de tu negocio", "Urmeneta 305, Puerto Montt"),
    ours("business_email", "Correo de tu negocio", "contacto@minegocio.example"),
    ours("business_phone", "Teléfono de tu negocio", "+56 65 225 0000"),
    ours("business_website", "Sitio web de tu negocio", "https://minegocio.example"),
    ours("unsubscribe_url", "Enlace para darse de baja", "https://crm.minegocio.example/baja/ejemplo"),
    ours(
        "preferences_url",
        "Enlace a las preferencias",
        "https://crm.minegocio.example/preferencias/ejemplo",
    ),
];

/// What is known of a recipient. Empty means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Name of the company they work at.
    pub company: String,
    /// Job title.
    pub job_title: String,
    /// Name of the comuna, their own or the company's.
    pub comuna: String,
    /// Industry of the company.
    pub industry: String,
}

impl Recipient {
    /// The samples of [`VARIABLES`], for previews without a contact.
    #[must_use]
    pub fn sample() -> Recipient {
        Recipient::made_of(|it| it.sample)
    }

    /// One whose data are as long as they come, but for a few.
    #[must_use]
    pub fn long() -> Recipient {
        Recipient::made_of(|it| it.long)
    }

    fn made_of(what: impl Fn(&Variable) -> &'static str) -> Recipient {
        let of = |name| VARIABLES.iter().find(|it| it.name == name).map_or("", &what).to_owned();
        Recipient {
            first_name: of("first_name"),
            last_name: of("last_name"),
            company: of("company"),
            job_title: of("job_title"),
            comuna: of("comuna"),
            industry: of("industry"),
        }
    }
}

/// Public addresses of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Page and one-click address of unsubscribing.
    pub unsubscribe: String,
    /// Page of preferences.
    pub preferences: String,
    /// Where our links begin, up to their number; empty: links lead straight there.
    pub click: String,
    /// The picture that tells of an opening; empty: there is none.
    pub open: String,
}

/// The variables of one message. Unknown data are left out, so that a text
/// that needs them fails instead of showing a hole.
#[must_use]
pub fn of(recipient: &Recipient, business: &Business, links: &Links) -> Value {
    let all = [
        ("first_name", &recipient.first_name),
        ("last_name", &recipient.last_name),
        ("company", &recipient.company),
        ("job_title", &recipient.job_title),
        ("comuna", &recipient.comuna),
        ("industry", &recipient.industry),
        ("business_name", &business.name),
        ("business_address", &business.address),
        ("business_email", &business.email),
        ("business_phone", &business.phone),
        ("business_website", &business.website),
    ];
    // Our own links hold nothing to escape, and read better unescaped in HTML.
    let links = [
        ("unsubscribe_url", &links.unsubscribe),
        ("preferences_url", &links.preferences),
        ("click_url", &links.click),
        ("open_url", &links.open),
    ];
    let links = links
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, Value::from_safe_string(value.clone())));
    let known = all.into_iter().filter(|(_, value)| !value.trim().is_empty());
    Value::from_pairs(known.map(|(name, value)| (name, Value::from(value.trim()))).chain(links))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_filled_by_a_full_recipient() {
        let business = Business {
            name: "a".into(),
            address: "b".into(),
            email: "c".into(),
            phone: "d".into(),
            website: "e".into(),
            ..Business::default()
        };
        let links = Links { unsubscribe: "f".into(), preferences: "g".into(), ..Links::default() };
        let values = of(&Recipient::sample(), &business, &links);
        for variable in VARIABLES {
            assert!(values.get_attr(variable.name).is_ok_and(|it| !it.is_undefined()), "{}", variable.name);
        }
    }

    #[test]
    fn what_is_long_is_as_costly_as_it_can_be() {
        for it in VARIABLES.iter().filter(|it| it.personal) {
            assert!(it.long.contains(['á', 'í', 'ó', 'ú']), "{}", it.name);
            assert!(it.long.chars().count() >= it.sample.chars().count(), "{}", it.name);
        }
    }

    #[test]
    fn blanks_count_as_unknown() {
        let recipient = Recipient { first_name: "  ".into(), ..Recipient::default() };
        let values = of(&recipient, &Business::default(), &Links::default());
        assert!(values.get_attr("first_name").is_ok_and(|it| it.is_undefined()));
    }
}
