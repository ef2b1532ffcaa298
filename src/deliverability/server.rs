//! The servers of a domain: whether it takes mail, and whether the one that sends bears a name.

use super::{
    Finding, Level, Names,
    names::{Kind, Unanswered},
};
use std::net::Ipv4Addr;

/// Whether the domain takes mail: replies and bounces need it.
pub(super) async fn mx(names: &dyn Names, domain: &str) -> Finding {
    match takes_mail(names, domain).await {
        Err(_) => Finding::unasked("MX"),
        Ok(true) => Finding::new("MX", Level::Good, format!("{domain} recibe correo")),
        Ok(false) => {
            let text = format!(
                "{domain} no tiene registro MX: las respuestas y los rebotes no llegarán. Crea el MX que indica tu proveedor de correo"
            );
            Finding::new("MX", Level::Bad, text)
        }
    }
}

/// Whether some server takes mail for the domain.
pub(super) async fn takes_mail(names: &dyn Names, domain: &str) -> Result<bool, Unanswered> {
    // RFC 7505: a sole empty name says that it takes none.
    Ok(names.ask(domain, Kind::Mx).await?.iter().any(|it| !it.is_empty()))
}

/// Whether the address of `server` bears a name that leads back to it. None: there is no server, or it is a private one,
/// of which the internet knows nothing.
pub(super) async fn reverse(names: &dyn Names, server: Option<&str>) -> Option<Finding> {
    let server = server?;
    let address: Ipv4Addr = match server.parse() {
        Ok(address) => address,
        Err(_) => match names.ask(server, Kind::Address).await {
            Err(_) => return Some(Finding::unasked("PTR")),
            Ok(found) => found.first()?.parse().ok()?,
        },
    };
    if address.is_private() || address.is_loopback() || address.is_link_local() {
        return None;
    }
    let [a, b, c, d] = address.octets();
    let Ok(called) = names.ask(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), Kind::Ptr).await else {
        return Some(Finding::unasked("PTR"));
    };
    let own = address.to_string();
    for name in &called {
        match names.ask(name, Kind::Address).await {
            Err(_) => return Some(Finding::unasked("PTR")),
            Ok(found) if found.contains(&own) => {
                return Some(Finding::new("PTR", Level::Good, format!("{own} se llama {name}")));
            }
            Ok(_) => {}
        }
    }
    let text = format!(
        "{own}, la dirección de {server}, no tiene un nombre que lleve de vuelta a ella: Gmail rechaza el correo que sale de direcciones así. Pide el PTR a quien te da el servidor; si es de un proveedor de correo, puede salir por otra"
    );
    Some(Finding::new("PTR", Level::Doubtful, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliverability::known::Known;

    #[tokio::test]
    async fn a_domain_that_takes_no_mail_is_told() {
        assert_eq!(mx(&Known::default(), "a.cl").await.level, Level::Bad);
        assert_eq!(mx(&Known::default().says("a.cl", Kind::Mx, ""), "a.cl").await.level, Level::Bad);
        assert_eq!(mx(&Known::default().says("a.cl", Kind::Mx, "mx.a.cl"), "a.cl").await.level, Level::Good);
        assert_eq!(mx(&Known::default().away("a.cl"), "a.cl").await.level, Level::Unasked);
    }

    #[tokio::test]
    async fn the_name_of_an_address_must_lead_back_to_it() {
        let names = || {
            Known::default().says("smtp.a.cl", Kind::Address, "200.1.2.3").says(
                "3.2.1.200.in-addr.arpa",
                Kind::Ptr,
                "mail.a.cl",
            )
        };
        let level = async |names: Known| reverse(&names, Some("smtp.a.cl")).await.map(|it| it.level);
        let there_and_back = names().says("mail.a.cl", Kind::Address, "200.1.2.3");
        assert_eq!(level(there_and_back).await, Some(Level::Good));
        assert_eq!(level(names()).await, Some(Level::Doubtful));
        assert_eq!(level(names().away("mail.a.cl")).await, Some(Level::Unasked));
        assert_eq!(level(Known::default().says("smtp.a.cl", Kind::Address, "10.0.0.3")).await, None);
    }
}
