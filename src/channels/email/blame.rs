//! Whose fault a refusal is: the one rule over reply code, enhanced code (RFC 3463)
//! and, where servers give none, their words. SMTP answers, delivery reports and
//! providers' callbacks all ask here. When in doubt, a person is never marked: only
//! what surely speaks of the address says that it is dead.

use crate::codes::codes;

codes! {
    /// Whom a refusal is about.
    Blame {
        /// The address: it does not exist, and never will be reached.
        Dead = "DEAD", "La dirección no existe";
        /// The mailbox, which is closed or suspended: perhaps not for ever.
        Disabled = "DISABLED", "La casilla está desactivada";
        /// The mailbox, which is full.
        Full = "FULL", "La casilla está llena";
        /// The message, which is too large.
        TooBig = "TOO_BIG", "El mensaje es demasiado grande";
        /// The receiver, for reasons of its own that say nothing of the address.
        Refused = "REFUSED", "El servidor de la persona no lo quiso recibir";
        /// The receiver's rules: perhaps about this message alone, perhaps about our reputation. Only how many refuse tells.
        Policy = "POLICY", "El servidor de la persona lo rechazó por sus reglas";
        /// Us, without a doubt: authentication, relaying, the sender's address, configuration.
        Sender = "SENDER", "Rechazó a tu negocio, no a la persona";
        /// Our quota with the provider, or our pace.
        Quota = "QUOTA", "Se superó la cuota o el ritmo de envío";
        /// The moment: it passes by itself.
        Passing = "PASSING", "Un problema pasajero del servidor de la persona";
    }
}

/// Class, subject and detail of an enhanced status code: (5, 1, 1) of `5.1.1`.
pub type Enhanced = (u16, u16, u16);

/// The enhanced code that `text` is, or begins with.
#[must_use]
pub fn enhanced(text: &str) -> Option<Enhanced> {
    let word = text.trim_start().split([' ', ':', ';', ',', '(', '\t']).next()?;
    let mut parts = word.split('.');
    let class: u16 = parts.next()?.parse().ok()?;
    let subject = parts.next()?.parse().ok()?;
    let detail = parts.next()?.parse().ok()?;
    (parts.next().is_none() && (2..=5).contains(&class) && subject < 1000 && detail < 1000)
        .then_some((class, subject, detail))
}

/// Words of servers that give no enhanced code (or a vague one), in lower case.
const UNKNOWN: [&str; 24] = [
    "user unknown",
    "unknown user",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "no such address",
    "no such person",
    "no mailbox here",
    "does not exist",
    "doesn't exist",
    "doesn't have a",
    "not a valid mailbox",
    "unknown recipient",
    "recipient unknown",
    "recipient not found",
    "user not found",
    "mailbox not found",
    "mailbox unavailable",
    "invalid recipient",
    "invalid mailbox",
    "unrouteable address",
    "usuario desconocido",
    "destinatario desconocido",
    "no existe",
];
const FULL: [&str; 3] = ["full", "quota", "storage"];
const BIG: [&str; 3] = ["too big", "too large", "size"];
const LIMIT: [&str; 7] = [
    "sending limit",
    "daily limit",
    "hourly limit",
    "rate limit",
    "too many messages",
    "too many emails",
    "try again later",
];
/// A mailbox that gets much mail is not closed (Gmail says both in 5.2.1).
const BUSY: [&str; 2] = ["too quickly", "at a rate"];
/// Only a sender that is set up wrongly is told so.
const OURS: [&str; 13] = [
    "spf",
    "dkim",
    "dmarc",
    "unauthenticated",
    "authentication",
    "relay",
    "reverse dns",
    "ptr record",
    "helo",
    "sender address",
    "sender domain",
    "sender verif",
    "sender rejected",
];
/// Exchange's words for a mailbox or a group that takes no mail from strangers.
const STRANGERS: [&str; 2] = ["resolver.rst.", "not authorized to send to the recipient"];
const POLICY: [&str; 14] = [
    "spam",
    "blacklist",
    "blocklist",
    "block list",
    "blocked",
    "denylist",
    "listed",
    "reputation",
    "policy",
    "not permitted",
    "not allowed",
    "access denied",
    "authenti",
    "sender",
];

/// Details of X.7 that speak of how a sender signs itself, encrypts or is named (RFC 7372; Gmail's and Microsoft's own).
fn is_about_authentication(detail: u16) -> bool {
    matches!(detail, 8..=11 | 20..=32 | 509 | 515)
}

/// Whose fault a refusal for good is. `code` is the reply code where there is one, `enhanced` what follows it, `text`
/// the server's words. What a server says while it asks to try again (4yz) is [`passing`]'s.
#[must_use]
pub fn of_refusal(code: Option<u16>, enhanced: Option<Enhanced>, text: &str) -> Blame {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| text.contains(it));
    let about = enhanced.map(|(_, subject, detail)| (subject, detail));
    // A delivery report may give no reply code: 550 says nothing but no.
    let reply = code.unwrap_or(550);
    // A sending quota is spent (Gmail, Microsoft): tomorrow it goes, whoever it is for.
    if about == Some((4, 5)) || says(&LIMIT) {
        return Blame::Quota;
    }
    if matches!(about, Some((2, 3) | (3, 4))) {
        return Blame::TooBig;
    }
    // 552 5.7.x is Gmail's word for forbidden content.
    if reply == 552 && !matches!(about, Some((7, _))) {
        return if says(&BIG) && about != Some((2, 2)) { Blame::TooBig } else { Blame::Full };
    }
    match (reply, about) {
        // Out of order, encryption or a password wanted, no mail service: ours to mend.
        (500 | 502..=504 | 521 | 523..=525 | 530 | 534 | 535 | 538, _) => Blame::Sender,
        (556, _) => Blame::Dead,
        // Who is refused in X.1.0 is only told by the words; 7 and 8 are the sender's address.
        (_, Some((1, 0))) if says(&["sender"]) => Blame::Sender,
        (_, Some((1, 0..=3 | 6 | 10) | (4, 4) | (7, 17 | 18))) => Blame::Dead,
        (_, Some((2, 2))) => Blame::Full,
        (_, Some((2, 1))) if says(&BUSY) => Blame::Refused,
        (_, Some((2, 1) | (7, 13))) => Blame::Disabled,
        // To strangers (Exchange groups): theirs, and not for ever.
        (_, Some((2, _) | (7, 124 | 129 | 133..=136))) => Blame::Refused,
        (_, Some((7, _))) if says(&STRANGERS) => Blame::Refused,
        (_, Some((1, 7 | 8))) => Blame::Sender,
        (_, Some((7, detail))) if is_about_authentication(detail) || says(&OURS) => Blame::Sender,
        (_, Some((7, _))) => Blame::Policy,
        (550 | 551 | 553 | 554, None | Some((0, 0))) if says(&UNKNOWN) && !says(&["sender"]) => Blame::Dead,
        (_, Some((1, _))) => Blame::Refused,
        _ if says(&FULL) => Blame::Full,
        _ if says(&BIG) => Blame::TooBig,
        _ if says(&STRANGERS) => Blame::Refused,
        _ if says(&OURS) => Blame::Sender,
        _ if says(&POLICY) || (reply == 554 && about.is_none()) => Blame::Policy,
        _ => Blame::Refused,
    }
}

/// Whose fault it is that a message is late, or was given up after many tries.
#[must_use]
pub fn of_delay(enhanced: Option<Enhanced>, text: &str) -> Blame {
    let text = text.to_lowercase();
    match enhanced {
        Some((_, 2, 2)) => Blame::Full,
        Some((_, 7, 28) | (_, 4, 5)) => Blame::Quota,
        Some((_, 7, detail)) if is_about_authentication(detail) => Blame::Sender,
        Some((_, 7, _)) => Blame::Policy,
        None | Some((_, 0, 0))
            if ["mailbox full", "over quota", "casilla llena"].iter().any(|it| text.contains(it)) =>
        {
            Blame::Full
        }
        _ => Blame::Passing,
    }
}

/// `text` with every address, and the recipient's name before the @, hidden:
/// answers are stored and shown, and must say nothing about a person.
#[must_use]
pub fn without_addresses(text: &str, recipient: &str) -> String {
    let is_inside =
        |it: char| it.is_alphanumeric() || matches!(it, '.' | '_' | '+' | '-' | '=' | '\'' | '/' | '@' | '%');
    let local = recipient.rsplit_once('@').map_or("", |(local, _)| local).to_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inside = is_inside(first);
        let end = rest.find(|it| is_inside(it) != inside).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let hidden = inside
            && (word.contains('@')
                || (local.len() > 2 && word.trim_end_matches(['.', '\'']).to_lowercase() == local));
        masked.push_str(if hidden { "(dirección)" } else { word });
        rest = after;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Blame) {
        let (code, text) = match line.split_once(' ') {
            Some((code, text)) if code.len() == 3 => (code.parse().ok(), text),
            _ => (None, line),
        };
        assert_eq!(of_refusal(code, enhanced(text), text), expected, "{line}");
    }

    #[test]
    fn the_table_of_enhanced_codes() {
        for code in ["5.1.0", "5.1.1", "5.1.3", "5.1.2", "5.4.4", "5.1.10", "5.1.6", "5.7.17", "5.7.18"] {
            check(code, Blame::Dead);
        }
        for code in ["5.2.1", "5.7.13"] {
            check(code, Blame::Disabled);
        }
        check("5.2.2", Blame::Full);
        check("5.2.3", Blame::TooBig);
        check("5.3.4", Blame::TooBig);
        for code in ["5.7.0", "5.7.1", "5.7.2"] {
            check(code, Blame::Policy);
        }
        for code in [
            "5.7.8", "5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.25", "5.7.26", "5.7.27", "5.7.28",
            "5.7.30", "5.7.515",
        ] {
            check(code, Blame::Sender);
        }
        check("550 5.4.5 Daily user sending limit exceeded", Blame::Quota);
        check("5.0.0", Blame::Refused);
    }

    #[test]
    fn words_decide_where_there_is_no_code_or_a_vague_one() {
        check("550 User unknown", Blame::Dead);
        check("550 5.0.0 No such user here", Blame::Dead);
        check("551 la casilla no existe", Blame::Dead);
        check("552 Mailbox full", Blame::Full);
        check("552 Message size exceeds the limit", Blame::TooBig);
        check("554 Transaction failed", Blame::Policy);
        check("550 5.7.1 Message rejected as spam", Blame::Policy);
        check("550 5.7.1 SPF check failed", Blame::Sender);
        check("550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", Blame::Refused);
        check("554 delivery error: This user doesn't have a yahoo account", Blame::Dead);
        check("550 something else", Blame::Refused);
        check("550 5.2.1 The user is receiving mail too quickly", Blame::Refused);
    }

    #[test]
    fn what_is_late_is_nobodys_death() {
        for (text, expected) in [
            ("4.2.2 over quota", Blame::Full),
            ("4.7.28 unusual rate", Blame::Quota),
            ("4.7.0 blocked", Blame::Policy),
            ("4.7.26 unauthenticated", Blame::Sender),
            ("4.4.7 delivery time expired", Blame::Passing),
            ("4.4.1 connection timed out", Blame::Passing),
            ("greylisted", Blame::Passing),
        ] {
            assert_eq!(of_delay(enhanced(text), text), expected, "{text}");
        }
    }

    #[test]
    fn codes_are_read_strictly() {
        assert_eq!(enhanced("5.1.1 (bad destination mailbox)"), Some((5, 1, 1)));
        assert_eq!(enhanced("5.1.1"), Some((5, 1, 1)));
        for wrong in ["", "5.1", "5.1.1.1", "7.1.1", "192.168.0.1", "x"] {
            assert_eq!(enhanced(wrong), None, "{wrong}");
        }
        assert!(Blame::ALL.iter().all(|it| Blame::from_code(it.code()) == Some(*it)));
    }
}
