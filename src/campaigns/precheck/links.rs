//! Links that lead nowhere, or not where they say.

use super::Fault;
use crate::messaging::markup::Tag;
use crate::{campaigns::link_review::LONGEST, deliverability::links::is_inner};
use std::collections::BTreeSet;
use url::Url;

/// Services that hide where a link leads.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "cutt.ly",
    "goo.gl",
    "is.gd",
    "lnkd.in",
    "ow.ly",
    "rb.gy",
    "rebrand.ly",
    "shorturl.at",
    "t.co",
    "t.ly",
    "tiny.cc",
    "tinyurl.com",
];

pub(super) fn faults(html: &str, tags: &[Tag], public_url: &str) -> Vec<Fault> {
    let links = tags.iter().filter(|it| it.name == "a").filter_map(|it| Some((it.get("href")?.trim(), it)));
    // The pages that we show to readers are ours to answer for.
    let others = links.filter(|(href, _)| !is_ours(href, public_url));
    let mut faults = Vec::new();
    let mut said = BTreeSet::new();
    for fault in others.filter_map(|(href, tag)| fault(href, &tag.shown(html))) {
        if said.insert(fault.found.clone()) {
            faults.push(fault);
        }
    }
    faults
}

pub(super) fn web_addresses(tags: &[Tag], public_url: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for href in tags.iter().filter(|it| it.name == "a").filter_map(|it| Some(it.get("href")?.trim())) {
        let is_web = Url::parse(href).is_ok_and(|it| matches!(it.scheme(), "http" | "https"));
        if is_web && !is_ours(href, public_url) && found.iter().all(|it| it != href) {
            found.push(href.to_owned());
        }
    }
    found
}

/// Whether `href` is one of the pages where readers unsubscribe and choose.
fn is_ours(href: &str, public_url: &str) -> bool {
    let (Ok(url), Ok(ours)) = (Url::parse(href), Url::parse(public_url)) else { return false };
    let within = url.path().strip_prefix(ours.path().trim_end_matches('/'));
    url.origin() == ours.origin()
        && within.is_some_and(|it| it.starts_with("/baja/") || it.starts_with("/preferencias/"))
}

fn fault(href: &str, shown: &str) -> Option<Fault> {
    if href.is_empty() || href == "#" {
        return Some(Fault::new(
            format!("El enlace «{shown}» no lleva a ninguna parte."),
            "Escribe su dirección completa.",
        ));
    }
    if href.contains("{{") || href.contains("}}") || href.to_ascii_lowercase().contains("%7b%7b") {
        return Some(Fault::new(
            format!("El enlace {href} tiene una variable sin completar."),
            "Escribe la variable con sus dos llaves a cada lado.",
        ));
    }
    let Ok(url) = Url::parse(href) else {
        return Some(Fault::new(
            format!("El enlace {href} está mal escrito."),
            "Escribe la dirección completa, con https://.",
        ));
    };
    match url.scheme() {
        "mailto" | "tel" | "sms" | "whatsapp" => return None,
        "http" | "https" => {}
        _ => {
            return Some(Fault::new(
                format!("El enlace {href} no se abre desde un correo."),
                "Usa una dirección que empiece con https://.",
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some(Fault::new(
            format!("El enlace {href} lleva un usuario o una clave."),
            "Quítalos de la dirección: los ve cualquiera que reciba el mensaje, y los filtros desconfían.",
        ));
    }
    if href.len() > LONGEST {
        let start: String = href.chars().take(60).collect();
        return Some(Fault::new(
            format!("El enlace {start}… es demasiado largo y no se revisa."),
            "Usa una dirección más corta: algunos programas de correo cortan las que son tan largas.",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if is_inner(&url) {
        return Some(Fault::new(
            format!("El enlace {href} solo se abre desde tu red."),
            "Usa una dirección que otros puedan abrir.",
        ));
    }
    if SHORTENERS.contains(&bare(host)) {
        return Some(Fault::new(
            format!("El enlace {href} está acortado."),
            "Los filtros desconfían de lo que no dice adónde lleva: usa la dirección entera.",
        ));
    }
    if let Some(said) = shown_host(shown)
        && !is_same(&said, host)
    {
        return Some(Fault::new(
            format!("Un enlace dice {said} y lleva a {host}."),
            "Así engañan los correos falsos: muestra la misma dirección, o palabras.",
        ));
    }
    (url.scheme() == "http").then(|| {
        Fault::new(format!("El enlace {href} no está cifrado."), "Usa https:// si el sitio lo tiene.")
    })
}

fn bare(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

fn is_same(said: &str, host: &str) -> bool {
    let (said, host) = (bare(said), bare(host));
    said == host || host.strip_suffix(said).is_some_and(|it| it.ends_with('.'))
}

/// The host that a link shows; none: it shows words.
fn shown_host(shown: &str) -> Option<String> {
    let shown = shown.trim();
    let has_scheme = shown.starts_with("http://") || shown.starts_with("https://");
    if shown.contains(char::is_whitespace) || !(has_scheme || shown.starts_with("www.")) {
        return None;
    }
    let whole = if has_scheme { shown.to_owned() } else { format!("https://{shown}") };
    Url::parse(&whole).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::markup::tags;

    fn of(href: &str, shown: &str) -> Vec<Fault> {
        let html = format!("<a href=\"{href}\">{shown}</a>");
        faults(&html, &tags(&html), "http://localhost:8080")
    }

    #[test]
    fn links_that_do_not_lead_where_they_should_are_told() {
        for (href, shown, says) in [
            ("", "Ver", "ninguna parte"),
            ("#", "Ver", "ninguna parte"),
            ("termas.cl/oferta", "Ver", "mal escrito"),
            ("https://", "Ver", "mal escrito"),
            ("javascript:x()", "Ver", "no se abre"),
            ("http://termas.cl", "Ver", "no está cifrado"),
            ("https://bit.ly/x", "Ver", "acortado"),
            ("https://localhost/x", "Ver", "tu red"),
            ("https://192.168.1.4/x", "Ver", "tu red"),
            ("https://a.cl/{{ x", "Ver", "variable"),
            ("https://a.cl/%7B%7Bx", "Ver", "variable"),
            ("https://ana:clave@termas.cl/", "Ver", "usuario o una clave"),
            ("https://ana@termas.cl/", "Ver", "usuario o una clave"),
            ("http://localhost:8080/contacts", "Ver", "tu red"),
            ("http://localhost:8080.otro.cl/baja/x", "Ver", "mal escrito"),
            ("http://localhost:80801/baja/x", "Ver", "mal escrito"),
            ("http://localhost:8081/baja/x", "Ver", "tu red"),
            ("https://otro.cl/", "https://banco.cl", "dice banco.cl y lleva a otro.cl"),
            ("https://banco.cl.otro.cl/", "www.banco.cl", "lleva a banco.cl.otro.cl"),
        ] {
            let found = of(href, shown);
            assert!(found.len() == 1 && found[0].found.contains(says), "{href}: {found:?}");
        }
    }

    #[test]
    fn only_our_pages_for_readers_are_ours_to_answer_for() {
        for href in ["https://crm.a.cl/baja/x", "https://crm.a.cl:443/preferencias/x"] {
            assert!(is_ours(href, "https://crm.a.cl"), "{href}");
        }
        for href in [
            "https://crm.a.cl.otro.cl/baja/x",
            "https://crm.a.clase.cl/baja/x",
            "https://crm.a.cl/tienda",
            "baja/x",
        ] {
            assert!(!is_ours(href, "https://crm.a.cl"), "{href}");
        }
        assert!(
            is_ours("https://a.cl/crm/baja/x", "https://a.cl/crm")
                && !is_ours("https://a.cl/baja/x", "https://a.cl/crm")
        );
        let long = format!("https://a.cl/{}", "a".repeat(LONGEST));
        assert!(of(&long, "Ver")[0].found.contains("demasiado largo"));
    }

    #[test]
    fn the_web_addresses_of_a_text_are_told_once() {
        let html = "<a href=\"https://b.cl\">b</a><a href=' https://a.cl/?x=1&amp;y=2 '>a</a><a href=\"https://b.cl\">b</a>\
            <a href=\"mailto:a@b.cl\">m</a><a href=\"http://localhost:8080/baja/x\">baja</a><a href=\"\">x</a><a>y</a>";
        assert_eq!(
            web_addresses(&tags(html), "http://localhost:8080"),
            ["https://b.cl", "https://a.cl/?x=1&y=2"]
        );
    }

    #[test]
    fn links_that_are_well_are_left_alone() {
        for (href, shown) in [
            ("https://termas.cl/a?b=1", "Ver"),
            ("https://www.termas.cl", "termas.cl"),
            ("https://tienda.termas.cl", "https://termas.cl"),
            ("mailto:hola@termas.cl", "hola@termas.cl"),
            ("tel:+56911112222", "Llámanos"),
            ("http://localhost:8080/baja/x", "Darse de baja"),
        ] {
            assert_eq!(of(href, shown), [], "{href}");
        }
    }
}
