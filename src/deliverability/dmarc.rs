//! DMARC (RFC 7489): what receivers do with email that is not signed as it says.

use super::{Finding, Level, Names, names::Kind, tag};

const PART: &str = "DMARC";

pub(super) async fn look(names: &dyn Names, domain: &str) -> Finding {
    let mut asked = domain;
    // The policy of a domain holds for those below it.
    while asked.contains('.') {
        match names.ask(&format!("_dmarc.{asked}"), Kind::Txt).await {
            Err(_) => return Finding::unasked(PART),
            Ok(texts) => {
                let found: Vec<_> = texts.iter().filter(|it| tag(it, "v") == Some("DMARC1")).collect();
                if !found.is_empty() {
                    return judge(asked, &found);
                }
            }
        }
        asked = asked.split_once('.').map_or("", |it| it.1);
    }
    let text = format!("{domain} no tiene DMARC, y Gmail lo exige a quien envía a muchos");
    Finding::new(PART, Level::Bad, text).with(format!("_dmarc.{domain}"), proposal(domain))
}

fn proposal(domain: &str) -> String {
    format!("v=DMARC1; p=none; rua=mailto:dmarc@{domain}")
}

fn judge(domain: &str, found: &[&String]) -> Finding {
    let host = format!("_dmarc.{domain}");
    let [one] = found else {
        let text = format!("{domain} tiene más de un DMARC y por eso ninguno vale: deja uno solo");
        return Finding::new(PART, Level::Bad, text);
    };
    let reports = tag(one, "rua").is_some_and(|it| !it.is_empty());
    match tag(one, "p") {
        Some("none") if !reports => {
            let text = format!(
                "«{one}» no frena nada ni avisa a nadie: agrega rua para recibir los informes, en una casilla que leas"
            );
            let value = format!("{}; rua=mailto:dmarc@{domain}", one.trim_end_matches([' ', ';']));
            Finding::new(PART, Level::Doubtful, text).with(host, value)
        }
        Some("none") => {
            let text =
                format!("«{one}» solo observa: cuando los informes salgan limpios, pasa a p=quarantine");
            Finding::new(PART, Level::Doubtful, text)
        }
        Some("quarantine" | "reject") => Finding::new(PART, Level::Good, format!("«{one}»")),
        _ => {
            let text = format!("el DMARC de {domain} no dice qué hacer (p=): déjalo así");
            Finding::new(PART, Level::Bad, text).with(host, proposal(domain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliverability::known::Known;

    async fn of(names: Known) -> Finding {
        look(&names, "noticias.a.cl").await
    }

    #[tokio::test]
    async fn it_needs_a_policy_and_better_one_that_holds() {
        for (text, expected) in [
            ("v=DMARC1; p=reject", Level::Good),
            ("v=DMARC1; p=quarantine; rua=mailto:x@a.cl", Level::Good),
            ("v=DMARC1; p=none; rua=mailto:x@a.cl", Level::Doubtful),
            ("v=DMARC1; p=none", Level::Doubtful),
            ("v=DMARC1", Level::Bad),
            ("otra cosa", Level::Bad),
        ] {
            let found = of(Known::default().text("_dmarc.noticias.a.cl", text)).await;
            assert_eq!(found.level, expected, "{text}");
        }
        let silent = of(Known::default().text("_dmarc.a.cl", "v=DMARC1; p=none;")).await;
        assert_eq!(silent.record.unwrap().value, "v=DMARC1; p=none; rua=mailto:dmarc@a.cl");
    }

    #[tokio::test]
    async fn the_domain_above_speaks_for_one_that_says_nothing() {
        let above = Known::default().text("_dmarc.a.cl", "v=DMARC1; p=reject");
        assert_eq!(of(above).await.level, Level::Good);
        assert_eq!(of(Known::default()).await.level, Level::Bad);
        assert_eq!(of(Known::default().away("_dmarc.a.cl")).await.level, Level::Unasked);
        let two = Known::default()
            .text("_dmarc.a.cl", "v=DMARC1; p=none")
            .text("_dmarc.a.cl", "v=DMARC1; p=reject");
        assert_eq!(of(two).await.level, Level::Bad);
    }
}
