//! What a mail in our mailbox tells of one that we sent: a delivery report (RFC 3464),
//! a complaint (RFC 5965), an answer of a person or of a machine, or nothing. Pure.
//! Anybody can write such a mail: what it names is compared with what was sent by whoever applies it.

use super::message::OWN_HEADER;
use crate::{
    channels::feedback::{Kind, Report},
    chile::text::{fold, tidy_lines},
    settings::Words,
};
use chrono::{DateTime, Utc};
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// Recipients of one report that are read, at most: ours names one.
const RECIPIENTS: usize = 50;

/// Characters of a mail that are kept as it came.
const RAW: usize = 8_000;

/// Everything that `raw` tells; empty: it is about nothing that we sent, for all that can be seen in it. An answer whose first
/// line is one of `words` that stop, and nothing else, is a no.
#[must_use]
pub fn read(raw: &[u8], words: &Words) -> Vec<Report> {
    let Some(mail) = MessageParser::default().parse(raw) else { return Vec::new() };
    let digest = hex::encode(Sha256::digest(raw));
    let found = Found::of(&mail);
    let reports = if !found.status.is_empty() {
        delivery_report(&mail, &found)
    } else if let Some(feedback) = &found.feedback {
        complaint(feedback, &found).into_iter().collect()
    } else if let Some(old) = old_bounce(&mail, &found) {
        old
    } else {
        answer(&mail, &found, words)
    };
    let at = mail.date().and_then(|it| DateTime::<Utc>::from_timestamp(it.to_timestamp(), 0));
    let shown: String = String::from_utf8_lossy(raw).chars().take(RAW).collect();
    let numbered = reports.into_iter().enumerate();
    numbered
        .map(|(place, it)| Report {
            event_id: format!("{digest}:{place}"),
            occurred_at: it.occurred_at.or(at),
            raw: shown.clone(),
            ..it
        })
        .collect()
}

/// The parts of a mail that matter, as text.
#[derive(Default)]
struct Found {
    /// `message/delivery-status`, all of them.
    status: String,
    /// `message/feedback-report`.
    feedback: Option<String>,
    /// The mail that it is about, or its headers.
    original: String,
    /// What people read.
    text: String,
}

impl Found {
    fn of(mail: &Message<'_>) -> Found {
        let mut found = Found::default();
        for part in &mail.parts {
            let kind = part.content_type().map(|it| {
                format!("{}/{}", it.ctype(), it.subtype().unwrap_or_default()).to_ascii_lowercase()
            });
            let text = || lossy(part);
            match kind.as_deref() {
                Some("message/delivery-status" | "message/global-delivery-status") => {
                    found.status.push_str(&text());
                    found.status.push_str("\n\n");
                }
                Some("message/feedback-report") => found.feedback = Some(text()),
                Some(
                    "message/rfc822"
                    | "message/global"
                    | "text/rfc822-headers"
                    | "message/rfc822-headers"
                    | "message/global-headers",
                ) => found.original.push_str(&text()),
                _ if part.is_message() => found.original.push_str(&text()),
                _ => (),
            }
        }
        found.text = mail.body_text(0).map(Cow::into_owned).unwrap_or_default();
        found
    }

    /// The Message-IDs of the original: our own header first, since providers put theirs in place of the other.
    fn original_ids(&self) -> Vec<String> {
        let headers = fields(self.original.split("\n\n").next().unwrap_or_default());
        [OWN_HEADER, "Message-ID"].iter().filter_map(|name| value(&headers, name)).collect()
    }
}

fn lossy(part: &MessagePart<'_>) -> String {
    String::from_utf8_lossy(part.contents()).replace("\r\n", "\n")
}

type Fields = Vec<(String, String)>;

/// Header fields, those of several lines joined.
fn fields(text: &str) -> Fields {
    let mut found: Fields = Vec::new();
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(last) = found.last_mut() {
                last.1.push(' ');
                last.1.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

fn value(fields: &Fields, name: &str) -> Option<String> {
    let found = fields.iter().find(|it| it.0.eq_ignore_ascii_case(name))?;
    Some(found.1.clone()).filter(|it| !it.is_empty())
}

/// `rfc822; a@b.cl`, `<a@b.cl>` or `Name <a@b.cl>` as `a@b.cl`.
fn address(text: &str) -> Option<String> {
    let text = text.split_once(';').map_or(text, |it| it.1).trim();
    let text = text.rsplit_once('<').map_or(text, |it| it.1);
    let text = text.split(['>', ' ', ',', '\t']).next().unwrap_or_default().trim_matches('"');
    Some(text.to_owned()).filter(|it| it.contains('@'))
}

/// One report for each recipient (RFC 3464).
fn delivery_report(mail: &Message<'_>, found: &Found) -> Vec<Report> {
    let groups: Vec<Fields> =
        found.status.split("\n\n").map(fields).filter(|it| !it.is_empty()).take(RECIPIENTS).collect();
    let of_mail: Vec<String> = groups
        .iter()
        .filter_map(|it| value(it, "X-Original-Message-ID"))
        .chain(found.original_ids())
        .chain(named(mail))
        .chain(alike(&found.text))
        .collect();
    groups
        .iter()
        .filter_map(|group| {
            let recipient = value(group, "Original-Recipient").or_else(|| value(group, "Final-Recipient"))?;
            let mut it = Report::new(Kind::SoftBounce, "").about(of_mail.iter().map(String::as_str));
            it.recipient = address(&recipient);
            let it = it.said(value(group, "Status").as_deref(), value(group, "Diagnostic-Code").as_deref());
            let action = value(group, "Action").unwrap_or_default().to_ascii_lowercase();
            match action.split_whitespace().next().unwrap_or_default() {
                "failed" => Some(it.bounced(None)),
                "delayed" => Some(it.late()),
                "delivered" => Some(Report { kind: Kind::Delivered, ..it }),
                // Handed on to where no reports come from.
                _ => None,
            }
        })
        .collect()
}

/// A complaint (RFC 5965). Who complained is often left out: the message tells.
fn complaint(feedback: &str, found: &Found) -> Option<Report> {
    let fields = fields(feedback);
    let kind = match value(&fields, "Feedback-Type")?.to_ascii_lowercase().as_str() {
        "not-spam" => return None,
        "opt-out" | "opt-out-list" => Kind::OptOut,
        _ => Kind::Complaint,
    };
    let headers = self::fields(found.original.split("\n\n").next().unwrap_or_default());
    let recipient = ["Original-Rcpt-To", "Removal-Recipient"]
        .iter()
        .find_map(|it| value(&fields, it))
        // Microsoft's own way of saying it.
        .or_else(|| value(&headers, "X-HmXmrOriginalRecipient"))
        .or_else(|| value(&headers, "To"));
    let mut it = Report::new(kind, "").about(found.original_ids().iter().map(String::as_str));
    it.recipient = recipient.as_deref().and_then(address);
    Some(it)
}

/// Beginnings of subjects of bounces that are no reports, folded.
const BOUNCES: [&str; 9] = [
    "undeliver",
    "undelivered mail",
    "delivery status notification",
    "delivery failure",
    "mail delivery failed",
    "mail delivery failure",
    "failure notice",
    "returned mail",
    "no se puede entregar",
];

/// A bounce in words alone, as Exim and qmail write them; none: it is none.
fn old_bounce(mail: &Message<'_>, found: &Found) -> Option<Vec<Report>> {
    let failed = mail.header_raw("X-Failed-Recipients").map(str::to_owned);
    let from = sender(mail).unwrap_or_default();
    let is_daemon = from.starts_with("mailer-daemon@") || from.starts_with("postmaster@");
    let subject = fold(mail.subject().unwrap_or_default());
    if failed.is_none() && !(is_daemon && BOUNCES.iter().any(|it| subject.starts_with(it))) {
        return None;
    }
    // What the server said stands on a line that begins with a code; the address it is about, before it.
    let lines: Vec<&str> = found.text.lines().map(str::trim).collect();
    let said = lines.iter().enumerate().find_map(|(place, it)| {
        let at = ["550", "551", "552", "553", "554", "556", "450", "451", "452"]
            .iter()
            .filter_map(|code| it.find(&format!("{code} ")).or_else(|| it.find(&format!("{code}-"))))
            .min()?;
        let next = lines.get(place + 1).copied().unwrap_or_default();
        Some(format!("{} {next}", &it[at..]).trim().to_owned())
    });
    let named_line = lines.iter().find_map(|it| {
        let it = it.strip_prefix('<')?;
        it.split_once(">:").and_then(|it| address(it.0))
    });
    let recipients: Vec<String> = match &failed {
        Some(all) => all.split(',').filter_map(address).take(RECIPIENTS).collect(),
        None => named_line.into_iter().collect(),
    };
    let ids: Vec<String> =
        found.original_ids().into_iter().chain(named(mail)).chain(alike(&found.text)).collect();
    let one = |recipient: Option<String>| {
        let mut it = Report::new(Kind::SoftBounce, "").about(ids.iter().map(String::as_str));
        it.recipient = recipient;
        it.said(None, said.as_deref()).bounced(None)
    };
    Some(if recipients.is_empty() {
        vec![one(None)]
    } else {
        recipients.into_iter().map(|it| one(Some(it))).collect()
    })
}

fn sender(mail: &Message<'_>) -> Option<String> {
    let address = mail.from()?.first()?.address()?;
    Some(address.trim().to_lowercase())
}

/// The Message-IDs that a mail answers, the nearest first.
fn named(mail: &Message<'_>) -> Vec<String> {
    let raw = |name: &'static str| mail.header_raw(name).unwrap_or_default().to_owned();
    let references = raw("References");
    let ids = |text: &str| -> Vec<String> {
        let ids = text.split(['<', '>', ' ', '\t', '\r', '\n', ',']).filter(|it| it.contains('@'));
        ids.map(str::to_owned).collect()
    };
    ids(&raw("In-Reply-To")).into_iter().chain(ids(&references).into_iter().rev()).take(20).collect()
}

/// What looks like our Message-IDs in a text: 32 hexadecimal digits before an @.
fn alike(text: &str) -> Vec<String> {
    text.split(|it: char| it.is_whitespace() || matches!(it, '<' | '>' | '"' | '(' | ')' | ',' | ';'))
        .filter(|it| {
            it.split_once('@').is_some_and(|(left, right)| {
                left.len() == 32 && left.bytes().all(|it| it.is_ascii_hexdigit()) && right.contains('.')
            })
        })
        .take(5)
        .map(str::to_owned)
        .collect()
}

/// Beginnings of subjects that machines answer with, folded.
const AWAY: [&str; 14] = [
    "respuesta automatica",
    "auto respuesta",
    "autorespuesta",
    "fuera de la oficina",
    "fuera de oficina",
    "ausente",
    "estoy de vacaciones",
    "automatic reply",
    "auto reply",
    "autoreply",
    "out of office",
    "out of the office",
    "autosvar",
    "abwesenheit",
];

/// Whether a machine wrote it (RFC 3834), as far as its headers and its subject tell.
fn is_automatic(mail: &Message<'_>) -> bool {
    let header = |name: &'static str| mail.header_raw(name).map(|it| it.trim().to_ascii_lowercase());
    let submitted = header("Auto-Submitted").is_some_and(|it| !it.starts_with("no"));
    let told = ["X-Autoreply", "X-Autorespond", "X-Autoresponse", "X-Auto-Reply-From", "List-Id"]
        .iter()
        .any(|it| mail.header_raw(*it).is_some());
    let precedence = header("Precedence")
        .is_some_and(|it| ["auto_reply", "bulk", "list", "junk"].iter().any(|kind| it.starts_with(kind)));
    let vacation = header("X-Apple-Action").is_some_and(|it| it == "vacation");
    let nobody = header("Return-Path").is_some_and(|it| it == "<>");
    let subject = fold(mail.subject().unwrap_or_default());
    let away = AWAY.iter().any(|it| subject.strip_prefix("re ").unwrap_or(&subject).starts_with(it));
    submitted || told || precedence || vacation || nobody || away
}

/// An answer of a person or a machine. A person's that says no more is also that.
fn answer(mail: &Message<'_>, found: &Found, words: &Words) -> Vec<Report> {
    let ids = named(mail);
    let is_automatic = is_automatic(mail);
    let written = written(&found.text);
    let first = fold(written.lines().find(|it| !it.trim().is_empty()).unwrap_or_default());
    let subject = fold(mail.subject().unwrap_or_default());
    let says_no = words.says_no_more(&first)
        || (first.is_empty() && words.says_no_more(subject.strip_prefix("re ").unwrap_or(&subject)));
    let one = |kind| {
        let mut it = Report::new(kind, "").about(ids.iter().map(String::as_str));
        it.recipient = sender(mail);
        it.subject = mail.subject().map(str::to_owned);
        it.body = Some(written.clone()).filter(|it| !it.is_empty());
        it
    };
    match (is_automatic, says_no) {
        (true, _) => vec![one(Kind::AutoReply)],
        (false, true) if ids.is_empty() => vec![one(Kind::OptOut)],
        (false, true) => vec![one(Kind::Reply), one(Kind::OptOut)],
        (false, false) => vec![one(Kind::Reply)],
    }
}

/// What somebody wrote, without the mail that they quote below it.
fn written(text: &str) -> String {
    let is_quote = |line: &str| {
        let line = line.trim();
        let folded = fold(line);
        line.starts_with('>')
            || line.starts_with("-----")
            || line.starts_with("________")
            || (line.ends_with(':') && (folded.ends_with("escribio") || folded.ends_with("wrote")))
            || line.starts_with("De: ")
            || line.starts_with("From: ")
            || line.starts_with("Enviado desde mi")
            || line.starts_with("Sent from my")
    };
    let lines: Vec<&str> = text.lines().collect();
    // "El lun, 23 nov 2026 a las 12:00, Lluvia Sur (<hola@…>) escribió:" may be folded over two lines.
    let begins = |place: usize| {
        let two = format!("{} {}", lines[place], lines.get(place + 1).copied().unwrap_or_default());
        is_quote(lines[place])
            || ((lines[place].starts_with("El ") || lines[place].starts_with("On ")) && is_quote(&two))
    };
    let end = (0..lines.len()).find(|it| begins(*it)).unwrap_or(lines.len());
    tidy_lines(&lines[..end].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::email::blame::Blame;

    fn read(raw: &[u8]) -> Vec<Report> {
        super::read(raw, &Words::default())
    }

    macro_rules! mail {
        ($name:literal) => {
            read(include_bytes!(concat!("../../../tests/it/files/mail/", $name, ".eml")))
        };
    }

    #[track_caller]
    fn check(found: &[Report], n: u32, kind: Kind, cause: Option<Blame>, code: Option<&str>) {
        let [it] = found else { panic!("one report: {found:?}") };
        assert_eq!((it.kind, it.cause, it.status_code.as_deref()), (kind, cause, code), "{it:?}");
        assert_eq!(it.recipient.as_deref(), Some(format!("p{n}@x.example").as_str()));
        assert!(it.message_ids.contains(&format!("m{n}@lluviasur.example")), "{:?}", it.message_ids);
        assert!(it.occurred_at.is_some() && it.event_id.len() == 66);
    }

    #[test]
    fn reports_of_several_servers_are_read() {
        let (hard, dead) = (Kind::HardBounce, Some(Blame::Dead));
        check(&mail!("gmail"), 1, hard, dead, Some("5.1.1"));
        check(&mail!("exchange"), 2, hard, dead, Some("5.1.10"));
        check(&mail!("postfix"), 3, hard, dead, Some("5.1.1"));
        check(&mail!("exim"), 7, hard, dead, Some("5.0.0"));
        check(&mail!("ses"), 8, hard, dead, Some("5.1.1"));
        check(&mail!("postfix_full"), 5, Kind::SoftBounce, Some(Blame::Full), Some("5.2.2"));
        check(&mail!("postfix_policy"), 6, Kind::SenderRefused, Some(Blame::Sender), Some("5.7.26"));
    }

    #[test]
    fn what_is_only_late_is_no_bounce() {
        check(&mail!("postfix_delayed"), 4, Kind::Deferred, Some(Blame::Passing), Some("4.4.1"));
    }

    #[test]
    fn a_bounce_in_words_is_read_too() {
        let found = mail!("qmail");
        let [it] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((it.kind, it.recipient.as_deref()), (Kind::HardBounce, Some("p9@x.example")));
        assert_eq!(it.message_ids, ["0123456789abcdef0123456789abcdef@lluviasur.example"]);
    }

    #[test]
    fn complaints_are_read_though_they_hide_who_complains() {
        let found = mail!("arf");
        assert_eq!((found[0].kind, found[0].recipient.as_deref()), (Kind::Complaint, None));
        assert!(found[0].message_ids.contains(&"m10@lluviasur.example".to_owned()));
        check(&mail!("jmrp"), 11, Kind::Complaint, None, None);
        assert_eq!(mail!("notspam"), []);
    }

    #[test]
    fn an_answer_is_a_persons_or_a_machines() {
        let found = mail!("reply");
        check(&found, 12, Kind::Reply, None, None);
        assert_eq!(found[0].subject.as_deref(), Some("Re: Hola, ¿cómo estás?"));
        assert_eq!(found[0].body.as_deref(), Some("Sí, me interesa.\n¿Cuánto cuesta para cuatro?"));
        for (n, found) in [(15, mail!("oof_outlook")), (16, mail!("oof_gmail")), (17, mail!("oof_subject"))] {
            check(&found, n, Kind::AutoReply, None, None);
        }
    }

    #[test]
    fn only_a_no_and_nothing_else_is_a_no() {
        let kinds = |found: Vec<Report>| found.into_iter().map(|it| it.kind).collect::<Vec<_>>();
        assert_eq!(kinds(mail!("reply_baja")), [Kind::Reply, Kind::OptOut]);
        assert_eq!(kinds(mail!("reply_mention")), [Kind::Reply]);
        assert_eq!(kinds(mail!("baja_first")), [Kind::OptOut]);
        let others = Words { no_more: vec!["adiós".into()], back: Vec::new() };
        let raw = include_bytes!("../../../tests/it/files/mail/reply_baja.eml");
        assert_eq!(kinds(super::read(raw, &others)), [Kind::Reply], "the words are the business's");
    }

    #[test]
    fn broken_mails_break_nothing() {
        for raw in [&b""[..], b"\r\n", b"a", b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n::\n\n:", &[0xff; 300]] {
            assert!(read(raw).iter().all(|it| it.kind == Kind::Reply || it.kind == Kind::SoftBounce), "{raw:?}");
        }
        let whole = include_bytes!("../../../tests/it/files/mail/gmail.eml");
        for end in (0..whole.len()).step_by(37) {
            let _ = read(&whole[..end]);
        }
    }
}
