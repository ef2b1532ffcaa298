//! What the DNS says of a domain that sends email: SPF, DKIM, DMARC and MX. Asks
//! and judges; knows no configuration.

use hickory_resolver::{
    TokioResolver,
    net::NetError,
    proto::rr::{RData, RecordType},
};
use std::time::Duration;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Good(String),
    Doubtful(String),
    Bad(String),
}

/// Asks the system's name servers.
pub(super) struct MailDns(TokioResolver);

/// No name server answered, which says nothing of the domain.
#[derive(Debug)]
pub(super) struct Unanswered;

impl MailDns {
    /// None where the system names no name server.
    pub(super) fn new() -> Option<MailDns> {
        let mut builder = TokioResolver::builder_tokio().ok()?;
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        builder.build().ok().map(MailDns)
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, Unanswered> {
        // The final dot keeps the search domains of this machine out of it.
        let asked = self.0.lookup(format!("{name}."), kind);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(found)) => Ok(found.answers().iter().map(|it| it.data.clone()).collect()),
            Ok(Err(error)) if is_nothing(&error) => Ok(Vec::new()),
            Ok(Err(_)) | Err(_) => Err(Unanswered),
        }
    }

    async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        let found = self.ask(name, RecordType::TXT).await?;
        Ok(found
            .iter()
            .filter_map(|it| match it {
                // One text travels in parts of 255 bytes.
                RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
                _ => None,
            })
            .collect())
    }

    /// RFC 7208: who may send for `domain`.
    pub(super) async fn spf(&self, domain: &str) -> Result<Finding, Unanswered> {
        Ok(judge_spf(domain, &self.texts(domain).await?))
    }

    /// RFC 6376: the public key of `selector`.
    pub(super) async fn dkim(&self, domain: &str, selector: &str) -> Result<Finding, Unanswered> {
        let name = format!("{selector}._domainkey.{domain}");
        Ok(judge_dkim(&name, &self.texts(&name).await?))
    }

    /// RFC 7489: what receivers do with mail that is not signed as it says.
    pub(super) async fn dmarc(&self, domain: &str) -> Result<Finding, Unanswered> {
        Ok(judge_dmarc(domain, &self.texts(&format!("_dmarc.{domain}")).await?))
    }

    /// Whether the domain takes mail: replies and bounces need it.
    pub(super) async fn mx(&self, domain: &str) -> Result<Finding, Unanswered> {
        let found = self.ask(domain, RecordType::MX).await?;
        Ok(if found.iter().any(|it| matches!(it, RData::MX(_))) {
            Finding::Good(format!("{domain} recibe correo"))
        } else {
            Finding::Bad(format!(
                "{domain} no tiene registro MX: las respuestas y los rebotes no llegarán. Crea el MX que indica tu proveedor de correo"
            ))
        })
    }
}

/// Whether a signature by `signing` counts for a sender of `sending` (RFC 7489 3.1.1, relaxed, as far as it shows without
/// the list of public suffixes).
pub(super) fn is_aligned(signing: &str, sending: &str) -> bool {
    let (signing, sending) = (signing.to_ascii_lowercase(), sending.to_ascii_lowercase());
    let under = |inner: &str, outer: &str| inner == outer || inner.ends_with(&format!(".{outer}"));
    under(&signing, &sending) || under(&sending, &signing)
}

fn is_nothing(error: &NetError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}

fn judge_spf(domain: &str, texts: &[String]) -> Finding {
    let found: Vec<_> = texts
        .iter()
        .filter(|it| it.to_ascii_lowercase().split_whitespace().next() == Some("v=spf1"))
        .collect();
    match found.as_slice() {
        [] => Finding::Bad(format!(
            "{domain} no tiene SPF: crea un registro TXT en {domain} con «v=spf1 include:… -all», con el include que indica tu proveedor"
        )),
        [one] if one.to_ascii_lowercase().split_whitespace().any(|it| it == "+all" || it == "all") => {
            Finding::Bad(format!(
                "el SPF de {domain} deja enviar a cualquiera (+all): termina en -all o ~all"
            ))
        }
        [one] => Finding::Good(format!("«{one}»")),
        _ => {
            Finding::Bad(format!("{domain} tiene más de un SPF y por eso ninguno vale: déjalos en uno solo"))
        }
    }
}

fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(';')
        .filter_map(|it| it.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, it)| it.trim())
}

fn judge_dkim(name: &str, texts: &[String]) -> Finding {
    match texts.iter().find_map(|it| tag(it, "p")) {
        None => {
            Finding::Bad(format!("no hay clave en {name}: publica ahí el TXT con la clave pública de DKIM"))
        }
        Some("") => Finding::Bad(format!("la clave de {name} está revocada (p vacío): publica la actual")),
        Some(_) => Finding::Good(format!("hay clave en {name}")),
    }
}

fn judge_dmarc(domain: &str, texts: &[String]) -> Finding {
    let Some(found) = texts.iter().find(|it| tag(it, "v") == Some("DMARC1")) else {
        return Finding::Bad(format!(
            "{domain} no tiene DMARC y Gmail lo exige: crea un TXT en _dmarc.{domain} con «v=DMARC1; p=none; rua=mailto:dmarc@{domain}»"
        ));
    };
    match tag(found, "p") {
        Some("quarantine" | "reject") => Finding::Good(format!("«{found}»")),
        Some("none") => Finding::Doubtful(format!(
            "«{found}» solo observa: cuando los informes salgan limpios, pasa a p=quarantine"
        )),
        _ => Finding::Bad(format!("el DMARC de {domain} no dice qué hacer (p=): agrégalo")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(finding: &Finding) -> bool {
        matches!(finding, Finding::Good(_))
    }

    #[test]
    fn spf_must_be_one_and_must_close() {
        for (texts, good) in [
            (&["v=spf1 include:_spf.example -all"][..], true),
            (&["google-site-verification=1", "V=SPF1 mx ~all"], true),
            (&[], false),
            (&["v=spf10 -all"], false),
            (&["v=spf1 mx +all"], false),
            (&["v=spf1 mx -all", "v=spf1 a -all"], false),
        ] {
            let texts: Vec<_> = texts.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(is_good(&judge_spf("a.example", &texts)), good, "{texts:?}");
        }
    }

    #[test]
    fn dkim_needs_a_key_and_dmarc_a_policy() {
        let texts = |text: &str| vec![text.to_owned()];
        assert!(is_good(&judge_dkim("s._domainkey.a.example", &texts("v=DKIM1; k=rsa; p=MIGf"))));
        assert!(!is_good(&judge_dkim("s._domainkey.a.example", &texts("v=DKIM1; p="))));
        assert!(!is_good(&judge_dkim("s._domainkey.a.example", &[])));
        assert!(is_good(&judge_dmarc("a.example", &texts("v=DMARC1; p=reject"))));
        assert!(matches!(judge_dmarc("a.example", &texts("v=DMARC1; p=none")), Finding::Doubtful(_)));
        assert!(matches!(judge_dmarc("a.example", &texts("v=DMARC1")), Finding::Bad(_)));
        assert!(matches!(judge_dmarc("a.example", &[]), Finding::Bad(_)));
    }
}
