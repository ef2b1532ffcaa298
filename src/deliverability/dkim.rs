//! DKIM (RFC 6376): whether the key that we sign with is the one that the domain publishes.

use super::{Finding, Level, Names, Signature, names::Kind, tag};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

const PART: &str = "DKIM";

/// Bytes of a published RSA key of 1024 and of 2048 bits. A bit fewer, since exponents differ in length.
const SHORTEST: usize = 158;
const SOUND: usize = 290;

pub(super) async fn look(names: &dyn Names, domain: &str, ours: Option<&Signature>) -> Finding {
    let Some(ours) = ours else {
        let text = format!(
            "Llovizna no firma (falta DKIM_PRIVATE_KEY): está bien solo si tu servidor de correo firma por {domain}"
        );
        return Finding::new(PART, Level::Doubtful, text);
    };
    let host = format!("{}._domainkey.{}", ours.selector, ours.domain);
    match names.ask(&host, Kind::Txt).await {
        Ok(texts) => judge(&host, &texts, ours.published.as_deref()),
        Err(_) => Finding::unasked(PART),
    }
}

fn judge(host: &str, texts: &[String], ours: Option<&str>) -> Finding {
    let finding = |level, text: String| {
        let finding = Finding::new(PART, level, text);
        match ours {
            Some(value) if level == Level::Bad => finding.with(host, value),
            _ => finding,
        }
    };
    let Some(found) = texts.iter().find(|it| tag(it, "p").is_some()) else {
        return finding(Level::Bad, format!("no hay clave en {host}: publica ahí la clave pública de DKIM"));
    };
    let published = key(found);
    if published.is_empty() {
        return finding(Level::Bad, format!("la clave de {host} está revocada (p vacío): publica la actual"));
    }
    if let Some(ours) = ours
        && key(ours) != published
    {
        let text = format!(
            "la clave de {host} no es la que Llovizna usa para firmar: las firmas no valen. Reemplázala"
        );
        return finding(Level::Bad, text);
    }
    let length = BASE64.decode(&published).map(|it| it.len()).unwrap_or_default();
    match tag(found, "k").unwrap_or("rsa") {
        "rsa" if length < SHORTEST => finding(
            Level::Bad,
            format!("la clave de {host} es de menos de 1024 bits y nadie la acepta: crea una de 2048"),
        ),
        "rsa" if length < SOUND => finding(
            Level::Doubtful,
            format!("la clave de {host} es de menos de 2048 bits: crea una de 2048 cuando puedas"),
        ),
        _ => finding(Level::Good, format!("la clave de {host} sirve")),
    }
}

/// The key alone: panels of DNS put blanks into long texts.
fn key(record: &str) -> String {
    tag(record, "p").unwrap_or_default().split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of so many bytes; what it says does not matter.
    fn record(bytes: usize) -> String {
        format!("v=DKIM1; k=rsa; p={}", BASE64.encode(vec![7; bytes]))
    }

    fn level(texts: &[&str], ours: Option<&str>) -> Level {
        let texts: Vec<_> = texts.iter().map(|it| (*it).to_owned()).collect();
        judge("s._domainkey.a.cl", &texts, ours).level
    }

    #[test]
    fn a_key_must_be_there_be_valid_be_long_and_be_ours() {
        let sound = record(294);
        assert_eq!(level(&[&sound], Some(&sound)), Level::Good);
        assert_eq!(level(&[], Some(&sound)), Level::Bad);
        assert_eq!(level(&["v=DKIM1; p="], Some(&sound)), Level::Bad);
        assert_eq!(level(&[&record(162)], None), Level::Doubtful);
        assert_eq!(level(&[&record(94)], None), Level::Bad);
        assert_eq!(level(&[&record(295)], Some(&sound)), Level::Bad);
        assert_eq!(level(&["v=DKIM1; k=ed25519; p=AAAA"], None), Level::Good);
    }

    #[test]
    fn blanks_within_the_key_do_not_make_it_another() {
        let sound = record(294);
        let (head, rest) = sound.split_at(120);
        assert_eq!(level(&[&format!("{head} {rest}")], Some(&sound)), Level::Good);
    }

    #[test]
    fn the_record_to_paste_is_our_own_key() {
        let ours = record(294);
        let record = judge("s._domainkey.a.cl", &[], Some(&ours)).record.unwrap();
        assert_eq!((record.host.as_str(), record.value), ("s._domainkey.a.cl", ours));
    }
}
