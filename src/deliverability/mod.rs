//! Whether receivers will believe our email: what the DNS says of the domain that
//! sends it, in plain words, with the very record to add; and whether a text's links open. Asks and judges; changes nothing.

mod dkim;
mod dmarc;
mod doctor;
pub mod links;
mod names;
pub mod one_click;
mod server;
mod spf;

pub use doctor::{Doctor, Examined};
pub use names::{Asking, Kind, Names, SystemNames, Unanswered};

use crate::{channels::email, config::Config};

/// How a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but not as a business wants it.
    Doubtful,
    /// To mend.
    Bad,
    /// The name servers did not answer.
    Unasked,
}

/// A record to add where the domain's DNS is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Name of the record, whole.
    pub host: String,
    /// `TXT`.
    pub kind: &'static str,
    /// What it says.
    pub value: String,
}

/// What was found of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// SPF, DKIM…
    pub part: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found and what to do, in Spanish.
    pub text: String,
    /// The record that would mend it.
    pub record: Option<Record>,
}

impl Finding {
    fn new(part: &'static str, level: Level, text: impl Into<String>) -> Finding {
        Finding { part, level, text: text.into(), record: None }
    }

    fn unasked(part: &'static str) -> Finding {
        let text =
            "no se pudo consultar: los servidores de nombres no responden. Revisa la conexión y repite";
        Finding::new(part, Level::Unasked, text)
    }

    fn with(mut self, host: impl Into<String>, value: impl Into<String>) -> Finding {
        self.record = Some(Record { host: host.into(), kind: "TXT", value: value.into() });
        self
    }
}

/// Our own signature.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    domain: String,
    selector: String,
    /// What the DNS should say of its key; none: the key itself is no good.
    published: Option<String>,
}

/// The domain and the server that are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of the sender's address, which is the envelope's too.
    domain: String,
    /// Where email is handed over.
    server: Option<String>,
    signature: Option<Signature>,
}

impl Question {
    /// The domain that is asked about.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// All that is asked about, in a line: two that differ in something may have other answers.
    #[must_use]
    pub fn key(&self) -> String {
        let (server, signature) = (self.server.as_deref().unwrap_or_default(), self.signature.as_ref());
        let signature = signature.map_or_else(String::new, |it| format!("{}.{}", it.selector, it.domain));
        format!("{} {server} {signature}", self.domain)
    }

    /// Of email from `domain` as `config` sends it.
    #[must_use]
    pub fn of(config: &Config, domain: &str) -> Question {
        Question {
            domain: domain.to_ascii_lowercase(),
            server: config.smtp.as_ref().map(|it| it.host.to_ascii_lowercase()),
            signature: config.dkim.as_ref().map(|it| Signature {
                domain: it.domain.to_ascii_lowercase(),
                selector: it.selector.clone(),
                published: email::published_key(it).ok(),
            }),
        }
    }
}

/// Ask all that bears on `question`, at once.
pub async fn examine(names: &dyn Names, question: &Question) -> Vec<Finding> {
    let Question { domain, server, signature } = question;
    let server = server.as_deref();
    let (spf, dkim, dmarc, mx, ptr) = tokio::join!(
        spf::look(names, domain, server),
        dkim::look(names, domain, signature.as_ref()),
        dmarc::look(names, domain),
        server::mx(names, domain),
        server::reverse(names, server),
    );
    let mut found = vec![spf, dkim, dmarc];
    found.extend(signature.as_ref().map(|it| alignment(&it.domain, domain)));
    found.push(mx);
    found.extend(ptr);
    found
}

/// What DMARC asks: that the signature, or the envelope, be of the domain that the reader sees.
fn alignment(signing: &str, sending: &str) -> Finding {
    if is_aligned(signing, sending) {
        let text = format!("el remitente, el sobre y la firma son de {sending}");
        return Finding::new("Alineación", Level::Good, text);
    }
    let text = format!(
        "la firma es de {signing} y el remitente de {sending}: para DMARC deben ser el mismo dominio. Cambia DKIM_DOMAIN o el correo del remitente"
    );
    Finding::new("Alineación", Level::Bad, text)
}

/// Whether a signature by `signing` counts for a sender of `sending` (RFC 7489 3.1.1, relaxed, as far as it shows without
/// the list of public suffixes).
fn is_aligned(signing: &str, sending: &str) -> bool {
    let under = |inner: &str, outer: &str| {
        inner == outer || inner.strip_suffix(outer).is_some_and(|it| it.ends_with('.'))
    };
    under(signing, sending) || under(sending, signing)
}

/// The value of `name` among `name=value; …` (RFC 6376 3.2).
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(';')
        .filter_map(|it| it.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, it)| it.trim())
}

#[cfg(test)]
mod known {
    use super::names::{Asking, Kind, Names, Unanswered};
    use std::collections::HashMap;

    /// Name servers that know what a test tells them, and fail for what it says they fail.
    #[derive(Default)]
    pub(super) struct Known {
        records: HashMap<(String, Kind), Vec<String>>,
        away: Vec<String>,
    }

    impl Known {
        pub(super) fn text(mut self, name: &str, text: &str) -> Known {
            self.records.entry((name.to_owned(), Kind::Txt)).or_default().push(text.to_owned());
            self
        }

        pub(super) fn says(mut self, name: &str, kind: Kind, text: &str) -> Known {
            self.records.entry((name.to_owned(), kind)).or_default().push(text.to_owned());
            self
        }

        pub(super) fn away(mut self, name: &str) -> Known {
            self.away.push(name.to_owned());
            self
        }
    }

    impl Names for Known {
        fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
            let found = if self.away.iter().any(|it| it == name) {
                Err(Unanswered)
            } else {
                Ok(self.records.get(&(name.to_owned(), kind)).cloned().unwrap_or_default())
            };
            Box::pin(async move { found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_counts_for_its_own_family_of_domains() {
        for (signing, sending, aligned) in [
            ("termas.cl", "termas.cl", true),
            ("termas.cl", "noticias.termas.cl", true),
            ("correo.termas.cl", "termas.cl", true),
            ("termas.cl", "otrastermas.cl", false),
            ("proveedor.com", "termas.cl", false),
        ] {
            assert_eq!(is_aligned(signing, sending), aligned, "{signing} {sending}");
        }
    }
}
