//! How heavy a message is, and whether it says something without its images.

use super::Fault;
use crate::messaging::markup::Tag;

/// Gmail shows no more bytes of HTML than these.
const CUT: usize = 102 * 1024;

/// Near enough to it to warn: links of tracking and longer names add some.
const NEAR: usize = 90 * 1024;

/// Letters that a message should have for each of its images.
const LETTERS_PER_IMAGE: usize = 60;

/// An image within the text, of which filters and many mail programs show nothing.
const EMBEDDED: &str = "data:";

pub(super) fn faults(html: &str, plain: &str, tags: &[Tag]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let kilobytes = html.len() / 1024;
    if html.len() > CUT {
        faults.push(Fault::new(
            format!("El mensaje pesa {kilobytes} KB: Gmail lo corta en 102."),
            "Acórtalo, o lo último (también el enlace de baja) no se verá.",
        ));
    } else if html.len() > NEAR {
        faults.push(Fault::new(
            format!("El mensaje pesa {kilobytes} KB, cerca de los 102 en que Gmail corta."),
            "Acórtalo un poco.",
        ));
    }
    let images: Vec<_> = tags.iter().filter(|it| it.name == "img").collect();
    let silent = images.iter().filter(|it| it.get("alt").is_none()).count();
    if silent > 0 {
        faults.push(Fault::new(
            match silent {
                1 => "Una imagen no tiene texto alternativo.".to_owned(),
                _ => format!("{silent} imágenes no tienen texto alternativo."),
            },
            "Escribe en alt qué muestra cada una; alt=\"\" si solo adorna.",
        ));
    }
    if images.iter().any(|it| it.get("src").is_some_and(|it| it.starts_with(EMBEDDED))) {
        faults.push(Fault::new(
            "Hay imágenes dentro del texto (data:).",
            "Gmail y Outlook no las muestran: súbelas a tu sitio y enlázalas.",
        ));
    }
    let letters = plain.chars().filter(|it| it.is_alphanumeric()).count();
    if !images.is_empty() && letters < images.len() * LETTERS_PER_IMAGE {
        faults.push(Fault::new(
            "Hay muchas imágenes para tan poco texto.",
            "Di lo importante en palabras: los filtros desconfían de los correos que son solo imagen.",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::markup::tags;

    fn of(html: &str, plain: &str) -> usize {
        faults(html, plain, &tags(html)).len()
    }

    #[test]
    fn what_gmail_would_cut_is_told() {
        assert_eq!(of(&"a".repeat(NEAR), ""), 0);
        assert_eq!(of(&"a".repeat(NEAR + 1), ""), 1);
        assert_eq!(of(&"a".repeat(CUT + 1), ""), 1);
    }

    #[test]
    fn images_speak_and_do_not_stand_alone() {
        let words = "palabra ".repeat(20);
        assert_eq!(of("<img src=\"https://a.cl/a.png\" alt=\"\">", &words), 0);
        assert_eq!(of("<img src=\"https://a.cl/a.png\">", &words), 1);
        assert_eq!(of("<img src=\"data:image/png;base64,AA\" alt=\"\">", &words), 1);
        assert_eq!(of("<img src=\"https://a.cl/a.png\" alt=\"x\">", "Hola"), 1);
    }
}
