//! What makes a written text land among unwanted mail, or arrive broken: told before a
//! campaign starts, never in its way. Each rule looks at the filled text alone.

mod links;
mod weight;
mod words;

use crate::messaging::{markup, template::Rendered};

/// What the rules of one kind have to say.
#[derive(Debug)]
pub(super) struct Family {
    /// Name for programs.
    pub(super) key: &'static str,
    /// What to say when there is nothing to mend.
    pub(super) good: &'static str,
    /// What to mend.
    pub(super) faults: Vec<Fault>,
}

/// What there is to say of `message`, in which our own pages begin with `public_url`.
pub(super) fn of(message: &Rendered, public_url: &str) -> [Family; 3] {
    let tags = markup::tags(&message.html);
    [
        Family {
            key: "words",
            good: "El texto no usa palabras de correo no deseado.",
            faults: words::faults(&message.subject, &message.plain),
        },
        Family {
            key: "weight",
            good: "El mensaje pesa poco y sus imágenes tienen texto.",
            faults: weight::faults(&message.html, &message.plain, &tags),
        },
        Family {
            key: "links",
            good: "Los enlaces están bien escritos.",
            faults: links::faults(&message.html, &tags, public_url),
        },
    ]
}

/// The web addresses that `message` leads to, each once and in their order, apart from our own pages.
pub(super) fn links_of(message: &Rendered, public_url: &str) -> Vec<String> {
    links::web_addresses(&markup::tags(&message.html), public_url)
}

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What was found, in Spanish.
    pub(super) found: String,
    /// What to do.
    pub(super) advice: &'static str,
}

impl Fault {
    fn new(found: impl Into<String>, advice: &'static str) -> Fault {
        Fault { found: found.into(), advice }
    }
}
