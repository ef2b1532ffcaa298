//! SPF (RFC 7208): who may send for a domain.

use super::{Finding, Level, Names, names::Kind, server::takes_mail};

const PART: &str = "SPF";

/// More questions than these make receivers give up (RFC 7208 4.6.4).
const MOST_LOOKUPS: usize = 10;

/// What providers ask to be included, by the end of their server's name.
const PROVIDERS: &[(&str, &str)] = &[
    ("gmail.com", "_spf.google.com"),
    ("google.com", "_spf.google.com"),
    ("office365.com", "spf.protection.outlook.com"),
    ("amazonaws.com", "amazonses.com"),
    ("sendgrid.net", "sendgrid.net"),
    ("mailgun.org", "mailgun.org"),
    ("postmarkapp.com", "spf.mtasv.net"),
];

pub(super) async fn look(names: &dyn Names, domain: &str, server: Option<&str>) -> Finding {
    let Ok(texts) = names.ask(domain, Kind::Txt).await else { return Finding::unasked(PART) };
    let found = policies(&texts);
    let one = match found.as_slice() {
        [] => {
            let text = format!("{domain} no tiene SPF, y sin él nadie sabe quién puede enviar por ti");
            // Where it is not known, the rest of the record does without.
            let takes_mail = takes_mail(names, domain).await.unwrap_or(false);
            return match proposal(server, takes_mail) {
                Some(record) => Finding::new(PART, Level::Bad, text).with(domain, record),
                None => Finding::new(
                    PART,
                    Level::Bad,
                    format!("{text}. Conecta tu servidor de correo y aquí verás el registro que falta"),
                ),
            };
        }
        [one] => *one,
        _ => {
            let text =
                format!("{domain} tiene más de un SPF y por eso ninguno vale: déjalos en uno solo, este");
            return Finding::new(PART, Level::Bad, text).with(domain, joined(&found));
        }
    };
    let terms: Vec<_> = one.split_whitespace().map(str::to_ascii_lowercase).collect();
    if terms.iter().any(|it| it == "+all" || it == "all") {
        let text = format!("el SPF de {domain} deja enviar a cualquiera (+all): termina en -all o ~all");
        return Finding::new(PART, Level::Bad, text).with(domain, closed(one));
    }
    let asked = match walk(names, domain, one).await {
        Ok(asked) => asked,
        Err(finding) => return finding,
    };
    if !terms.iter().any(|it| it == "-all" || it == "~all" || it.starts_with("redirect=")) {
        let text = format!("«{one}» no dice qué hacer con los demás: termina en -all o ~all");
        return Finding::new(PART, Level::Doubtful, text).with(domain, closed(one));
    }
    match server.and_then(include_of).filter(|include| !asked.iter().any(|it| it.ends_with(include))) {
        Some(include) => {
            let text = format!("«{one}» no nombra a tu proveedor de correo: agrega include:{include}");
            Finding::new(PART, Level::Doubtful, text)
                .with(domain, one.replacen(' ', &format!(" include:{include} "), 1))
        }
        None => Finding::new(PART, Level::Good, format!("«{one}»")),
    }
}

/// The names of all policies that `policy` leads to, by whatever way; or what is wrong: too many questions, an include that
/// leads nowhere, no answer on the way.
async fn walk(names: &dyn Names, domain: &str, policy: &str) -> Result<Vec<String>, Finding> {
    let mut lookups = 0;
    let mut asked = Vec::new();
    let mut open = vec![policy.to_owned()];
    while let Some(policy) = open.pop() {
        for term in policy.split_whitespace().skip(1).map(str::to_ascii_lowercase) {
            let asks = asks(&term);
            if matches!(asks, Asks::Nothing) {
                continue;
            }
            lookups += 1;
            if lookups > MOST_LOOKUPS {
                let text = format!(
                    "el SPF de {domain} necesita más de {MOST_LOOKUPS} consultas y por eso no vale: quita los include que no uses"
                );
                return Err(Finding::new(PART, Level::Bad, text));
            }
            let Asks::Policy(name) = asks else { continue };
            asked.push(name.trim_end_matches('.').to_owned());
            // What macros stand for shows only with a message at hand.
            if name.contains('%') {
                continue;
            }
            let Ok(texts) = names.ask(name, Kind::Txt).await else { return Err(Finding::unasked(PART)) };
            let Some(included) = policies(&texts).first().map(|it| (*it).to_owned()) else {
                let text = format!(
                    "el SPF de {domain} incluye a {name}, que no tiene SPF: corrige el nombre o quítalo"
                );
                return Err(Finding::new(PART, Level::Bad, text));
            };
            open.push(included);
        }
    }
    Ok(asked)
}

/// What a term asks of the DNS.
enum Asks<'a> {
    Nothing,
    /// Addresses, which lead no further.
    Records,
    /// Another policy, of this name.
    Policy(&'a str),
}

fn asks(term: &str) -> Asks<'_> {
    let term = term.trim_start_matches(['+', '-', '~', '?']);
    if let Some(name) = term.strip_prefix("include:").or_else(|| term.strip_prefix("redirect=")) {
        return Asks::Policy(name);
    }
    match term.split([':', '/']).next().unwrap_or_default() {
        "a" | "mx" | "ptr" | "exists" => Asks::Records,
        _ => Asks::Nothing,
    }
}

fn policies(texts: &[String]) -> Vec<&str> {
    let is_policy =
        |it: &&str| it.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case("v=spf1"));
    texts.iter().map(String::as_str).filter(is_policy).collect()
}

fn include_of(server: &str) -> Option<&'static str> {
    PROVIDERS.iter().find(|(host, _)| server.ends_with(host)).map(|it| it.1)
}

/// What to publish first. `mx` names the servers that take the domain's mail: where there are none it allows nobody and
/// costs a question. None: nobody is known who could be allowed.
fn proposal(server: Option<&str>, takes_mail: bool) -> Option<String> {
    let own = takes_mail.then(|| "mx".to_owned());
    let allowed: Vec<String> = match server.map(|it| (it, include_of(it))) {
        Some((_, Some(include))) => vec![format!("include:{include}")],
        Some((server, None)) => own.into_iter().chain([format!("a:{server}")]).collect(),
        None => own.into_iter().collect(),
    };
    (!allowed.is_empty()).then(|| format!("v=spf1 {} ~all", allowed.join(" ")))
}

/// `policy` with its end closed.
fn closed(policy: &str) -> String {
    let is_open = |it: &str| ["+all", "all", "?all"].contains(&it.to_ascii_lowercase().as_str());
    let terms: Vec<_> = policy.split_whitespace().filter(|it| !is_open(it)).collect();
    format!("{} ~all", terms.join(" "))
}

/// One policy that allows what any of them allowed.
fn joined(policies: &[&str]) -> String {
    let mut terms: Vec<&str> = Vec::new();
    for term in policies.iter().flat_map(|it| it.split_whitespace().skip(1)) {
        if !term.to_ascii_lowercase().ends_with("all") && !terms.contains(&term) {
            terms.push(term);
        }
    }
    format!("v=spf1 {} ~all", terms.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliverability::known::Known;

    async fn level(names: Known) -> Level {
        look(&names, "a.cl", None).await.level
    }

    #[tokio::test]
    async fn it_must_be_one_and_must_close() {
        for (texts, expected) in [
            (&["v=spf1 ip4:1.2.3.4 -all"][..], Level::Good),
            (&["google-site-verification=1", "V=SPF1 mx ~all"], Level::Good),
            (&[], Level::Bad),
            (&["v=spf10 -all"], Level::Bad),
            (&["v=spf1 mx +all"], Level::Bad),
            (&["v=spf1 mx ?all"], Level::Doubtful),
            (&["v=spf1 mx -all", "v=spf1 a -all"], Level::Bad),
        ] {
            let names = texts.iter().fold(Known::default(), |names, it| names.text("a.cl", it));
            assert_eq!(level(names).await, expected, "{texts:?}");
        }
    }

    #[tokio::test]
    async fn the_questions_of_what_it_includes_count() {
        let with = |n: usize| {
            let inner = "mx ".repeat(n);
            Known::default()
                .text("a.cl", "v=spf1 include:b.cl -all")
                .text("b.cl", &format!("v=spf1 {inner}-all"))
        };
        assert_eq!(level(with(9)).await, Level::Good);
        assert_eq!(level(with(10)).await, Level::Bad);
        // A circle ends.
        assert_eq!(level(Known::default().text("a.cl", "v=spf1 include:a.cl -all")).await, Level::Bad);
    }

    #[tokio::test]
    async fn an_include_that_leads_nowhere_is_no_silence_of_the_servers() {
        let names = || Known::default().text("a.cl", "v=spf1 include:b.cl -all");
        assert_eq!(level(names()).await, Level::Bad);
        assert_eq!(level(names().away("b.cl")).await, Level::Unasked);
        assert_eq!(level(Known::default().away("a.cl")).await, Level::Unasked);
    }

    #[tokio::test]
    async fn a_provider_is_named_wherever_the_policy_leads() {
        let google = |top: &str| {
            Known::default()
                .text("a.cl", top)
                .text("b.cl", "v=spf1 include:_spf.google.com ~all")
                .text("_spf.google.com", "v=spf1 ip4:1.2.3.4 ~all")
        };
        for (top, expected) in [
            ("v=spf1 include:_spf.google.com ~all", Level::Good),
            ("v=spf1 redirect=b.cl", Level::Good),
            ("v=spf1 include:b.cl -all", Level::Good),
            ("v=spf1 ip4:5.6.7.8 -all", Level::Doubtful),
        ] {
            assert_eq!(look(&google(top), "a.cl", Some("smtp.gmail.com")).await.level, expected, "{top}");
        }
    }

    #[tokio::test]
    async fn the_servers_that_take_mail_are_allowed_only_where_there_are_some() {
        let with_mx = || Known::default().says("a.cl", Kind::Mx, "mail.a.cl");
        for (names, server, expected) in [
            (with_mx(), None, Some("v=spf1 mx ~all")),
            (with_mx(), Some("smtp.b.cl"), Some("v=spf1 mx a:smtp.b.cl ~all")),
            (with_mx(), Some("smtp.gmail.com"), Some("v=spf1 include:_spf.google.com ~all")),
            (Known::default(), Some("smtp.b.cl"), Some("v=spf1 a:smtp.b.cl ~all")),
            (Known::default().says("a.cl", Kind::Mx, ""), Some("smtp.b.cl"), Some("v=spf1 a:smtp.b.cl ~all")),
            (Known::default(), None, None),
        ] {
            let found = look(&names, "a.cl", server).await;
            assert_eq!(found.level, Level::Bad);
            assert_eq!(found.record.as_ref().map(|it| it.value.as_str()), expected, "{server:?}");
        }
    }

    #[tokio::test]
    async fn the_record_to_paste_keeps_what_was_allowed() {
        let names =
            Known::default().text("a.cl", "v=spf1 mx -all").text("a.cl", "v=spf1 mx include:x.cl ~all");
        let record = look(&names, "a.cl", None).await.record.unwrap();
        assert_eq!(record.value, "v=spf1 mx include:x.cl ~all");
        let google = Known::default().text("a.cl", "v=spf1 mx -all");
        let record = look(&google, "a.cl", Some("smtp.gmail.com")).await.record.unwrap();
        assert_eq!(record.value, "v=spf1 include:_spf.google.com mx -all");
    }
}
