//! Whether those who get a campaign can open what leads to us: the way out that the law asks for, and the links that are
//! measured.

use super::{campaign::Campaign, checklist::Item, trial, wordings::Wording};
use crate::{
    config::{Config, Smtp},
    deliverability::links::Door,
    messaging::{
        template,
        values::{self, Recipient},
    },
    settings::Business,
};
use std::net::IpAddr;

/// What there is to say of it; nothing where no message of `campaign` leads to us.
pub(super) fn of(
    config: &Config,
    business: &Business,
    campaign: &Campaign,
    texts: &[Wording],
) -> Option<Item> {
    if !leads_to_us(config, business, campaign, texts) {
        return None;
    }
    let url = &config.public_url;
    Some(match Door::of(url) {
        Door::Open => Item::green("address", format!("La baja y los enlaces a tu panel llevan a {url}.")),
        Door::Unencrypted => Item::amber(
            "address",
            format!("La baja y los enlaces a tu panel llevan a {url}, que no está cifrado."),
            "Algunos programas lo muestran como inseguro. Define PUBLIC_URL con una dirección https:// y reinicia el panel.",
        ),
        Door::Inner => {
            let found = format!(
                "La baja y los enlaces a tu panel llevan a {url}, que solo se abre desde esta máquina o su red."
            );
            if config.smtp.as_ref().is_some_and(|it| !is_on_this_machine(it)) {
                Item::red(
                    "address",
                    found,
                    "Nadie podría darse de baja, y la ley 19.496 (art. 28 B) lo exige. Define PUBLIC_URL con la dirección pública del panel (https://…) y reinícialo.",
                )
            } else {
                Item::amber(
                    "address",
                    found,
                    "Basta para probar aquí. Antes de escribir a otros, define PUBLIC_URL con la dirección pública del panel (https://…): la ley exige que la baja funcione.",
                )
            }
        }
    })
}

/// Whether one of its texts leads to us, or every message does.
fn leads_to_us(config: &Config, business: &Business, campaign: &Campaign, texts: &[Wording]) -> bool {
    campaign.tracks
        || campaign.message_type.is_promotional()
        || texts.iter().any(|text| {
            let values = values::of(&Recipient::sample(), business, &trial::links(config));
            let filled = template::compile(&text.source).ok().and_then(|it| it.render(&values).ok());
            filled.is_some_and(|it| {
                it.html.contains(&config.public_url) || it.plain.contains(&config.public_url)
            })
        })
}

/// A server of the machine itself is what one tries with.
fn is_on_this_machine(smtp: &Smtp) -> bool {
    let host = smtp.host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}
