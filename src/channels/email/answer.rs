//! What an SMTP server's answer means for one message: pure, a table over the
//! reply code, the enhanced code (RFC 3463) and, where servers give none, their
//! words. It knows no connection. When in doubt, a person is never marked:
//! only answers that surely speak of the address say that it is dead.

use crate::channels::SendError;

/// Where in the conversation an answer was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The banner, EHLO, STARTTLS and signing in: before any message.
    Opening,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// The DATA command.
    Data,
    /// After the final dot.
    Body,
}

/// One answer of the server, its lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Reply code, 200 to 599.
    pub(super) code: u16,
    /// The rest, without control characters.
    pub(super) text: String,
}

impl Answer {
    /// From the lines of one reply, without their line ends.
    pub(super) fn parse(lines: &[String]) -> Option<Answer> {
        let code = lines.last()?.get(..3)?.parse().ok().filter(|it| (200..600).contains(it))?;
        let text: Vec<&str> = lines.iter().filter_map(|it| it.get(4..)).map(str::trim).collect();
        let text = text.join(" ").chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        Some(Answer { code, text })
    }

    /// Whether the server said yes.
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Subject and detail of the enhanced code: (1, 1) of `550 5.1.1`.
    fn enhanced(&self) -> Option<(u16, u16)> {
        let word = self.text.split([' ', ':', ';', ',']).next()?;
        let mut parts = word.split('.');
        let class: u16 = parts.next()?.parse().ok()?;
        let subject = parts.next()?.parse().ok()?;
        let detail = parts.next()?.parse().ok()?;
        (parts.next().is_none() && (2..=5).contains(&class)).then_some((subject, detail))
    }

    /// The answer as it may be stored and shown: no address in it, at most 500 characters.
    pub(super) fn shown(&self, recipient: &str) -> String {
        let line = format!("{} {}", self.code, mask(&self.text, recipient));
        line.trim_end().chars().take(500).collect()
    }
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
const FULL: [&str; 5] = ["full", "quota", "storage", "too big", "too large"];
const LIMIT: [&str; 7] = [
    "sending limit",
    "daily limit",
    "hourly limit",
    "rate limit",
    "too many messages",
    "too many emails",
    "try again later",
];
const POLICY: [&str; 21] = [
    "spam",
    "blacklist",
    "blocklist",
    "block list",
    "blocked",
    "denylist",
    "listed",
    "reputation",
    "policy",
    "spf",
    "dkim",
    "dmarc",
    "authenti",
    "relay",
    "not permitted",
    "not allowed",
    "access denied",
    "reverse dns",
    "ptr record",
    "helo",
    "sender",
];

/// What a refusal means. `recipient` is masked out of what is kept.
pub(super) fn classify(stage: Stage, answer: &Answer, recipient: &str) -> SendError {
    let shown = answer.shown(recipient);
    let text = answer.text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| text.contains(it));
    let temporary = || SendError::Temporary { answer: shown.clone() };
    let unavailable = || SendError::Unavailable { answer: shown.clone() };
    let sender = || SendError::Sender { answer: shown.clone() };
    let recipient = |dead| SendError::Recipient { answer: shown.clone(), dead };

    let enhanced = answer.enhanced();
    if (400..500).contains(&answer.code) {
        return if matches!(stage, Stage::Opening | Stage::Mail) { unavailable() } else { temporary() };
    }
    // A sending quota is spent (Gmail, Microsoft): tomorrow it goes, whoever it is for.
    if enhanced == Some((4, 5)) || says(&LIMIT) {
        return unavailable();
    }
    if !(500..600).contains(&answer.code) {
        // A 2xx or 3xx where it makes no sense: before the dot nothing was
        // taken, after it nobody knows.
        return if stage == Stage::Body { SendError::Uncertain { answer: shown } } else { temporary() };
    }
    // 552 5.7.x is Gmail's word for forbidden content.
    let too_big = matches!(enhanced, Some((2, 3) | (3, 4)))
        || (answer.code == 552 && !matches!(enhanced, Some((7, _))));
    if too_big && stage != Stage::Opening {
        return recipient(false);
    }
    if matches!(stage, Stage::Opening | Stage::Mail) {
        return sender();
    }
    match (answer.code, enhanced) {
        // Out of order, encryption or a password wanted, no mail service: ours to mend.
        (500 | 502..=504 | 521 | 523..=525 | 530 | 534 | 535 | 538, _) => sender(),
        (556, _) => recipient(true),
        // Who is refused in X.1.0 is only told by the words; 7 and 8 are the sender's address.
        (_, Some((1, 0))) if says(&["sender"]) => sender(),
        (_, Some((1, 0..=3 | 6 | 10) | (4, 4) | (7, 17 | 18))) => recipient(true),
        // Closed for now, or to strangers (Exchange groups): theirs, and not for ever.
        (_, Some((2, _) | (7, 13 | 124 | 129 | 133..=136))) => recipient(false),
        (_, Some((1, 7 | 8) | (7, _))) => sender(),
        (550 | 551 | 553 | 554, None) if says(&UNKNOWN) && !says(&["sender"]) => recipient(true),
        (_, Some((1, _))) => recipient(false),
        _ if says(&FULL) => recipient(false),
        _ if says(&POLICY) || (answer.code == 554 && enhanced.is_none()) => sender(),
        _ => recipient(false),
    }
}

/// `text` with every address, and the recipient's name before the @, hidden:
/// answers are stored and shown, and must say nothing about a person.
fn mask(text: &str, recipient: &str) -> String {
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

    fn meaning(stage: Stage, line: &str) -> &'static str {
        let answer = Answer::parse(&[line.to_owned()]).unwrap();
        match classify(stage, &answer, "ana.soto@ejemplo.cl") {
            SendError::Temporary { .. } => "temporary",
            SendError::Unavailable { .. } => "unavailable",
            SendError::Recipient { dead: true, .. } => "dead",
            SendError::Recipient { dead: false, .. } => "refused",
            SendError::Sender { .. } => "sender",
            SendError::Uncertain { .. } => "uncertain",
        }
    }

    #[track_caller]
    fn check(stage: Stage, line: &str, expected: &str) {
        assert_eq!(meaning(stage, line), expected, "{line}");
    }

    #[test]
    fn an_address_that_does_not_exist_is_dead() {
        for line in [
            "550 5.1.1 The email account that you tried to reach does not exist.",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            "553 5.1.2 Recipient address rejected: Domain not found",
            "556 5.1.10 null MX",
            "556 Domain does not accept mail",
            "550 5.4.4 Unable to route: no mail hosts for domain",
            "550 5.1.6 Mailbox has moved",
            "550 5.7.17 Mailbox owner has changed",
            "550 No such user here",
            "550 Requested action not taken: mailbox unavailable",
            "554 delivery error: dd This user doesn't have a yahoo.com account (a@b.com) [0]",
            "550 El usuario no existe",
        ] {
            check(Stage::Rcpt, line, "dead");
            check(Stage::Body, line, "dead");
        }
    }

    #[test]
    fn what_passes_or_is_about_one_message_marks_nobody() {
        for line in [
            "552 5.2.2 The email account that you tried to reach is over quota",
            "550 5.2.1 The user you are trying to contact is receiving mail too quickly",
            "552 5.3.4 Message size exceeds fixed maximum message size",
            "550 5.2.3 Message too large",
            "552 Mailbox full",
            "550 5.7.124 Sender not in allowed-senders list of the group",
            "550 5.7.13 Account suspended",
            "501 Syntax error in parameters",
            "550 Something else",
        ] {
            check(Stage::Rcpt, line, "refused");
        }
        check(Stage::Mail, "552 5.3.4 Message too big", "refused");
    }

    #[test]
    fn what_is_about_us_never_marks_a_person() {
        for line in [
            "550 5.7.515 Access denied, sending domain does not meet the required authentication level",
            "550-5.7.26 This mail has been blocked because the sender is unauthenticated",
            "550 5.7.1 Service unavailable, client host blocked using Spamhaus",
            "554 5.7.1 <a@b.cl>: Relay access denied",
            "554 Transaction failed",
            "550 relay not permitted",
            "550 5.1.0 <yo@x.cl>: Sender address rejected: user unknown in local table",
            "550 5.1.8 Sender domain does not exist",
            "553 sender address does not exist",
            "530 5.7.0 Authentication Required",
            "552 5.7.0 This message was blocked because its content presents a security issue",
            "503 5.5.1 Error: need MAIL command",
            "535 5.7.8 Username and Password not accepted",
        ] {
            check(Stage::Rcpt, line, "sender");
            check(Stage::Mail, line, "sender");
            check(Stage::Opening, line, "sender");
        }
        check(Stage::Mail, "550 5.1.1 no such user", "sender");
        check(Stage::Opening, "554 5.3.2 No SMTP service here", "sender");
    }

    #[test]
    fn throttling_and_quotas_wait() {
        for line in [
            "421 4.7.28 Our system has detected an unusual rate of unsolicited mail",
            "450 4.2.0 Greylisted, please try again in 300 seconds",
            "451 4.3.0 Temporary server error",
            "452 4.2.2 Mailbox full",
            "421 4.7.0 Try again later",
        ] {
            for stage in [Stage::Opening, Stage::Mail] {
                check(stage, line, "unavailable");
            }
            for stage in [Stage::Rcpt, Stage::Data, Stage::Body] {
                check(stage, line, "temporary");
            }
        }
        for line in
            ["550 5.4.5 Daily user sending limit exceeded", "554 5.2.0 You have reached your daily limit"]
        {
            for stage in [Stage::Opening, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Body] {
                check(stage, line, "unavailable");
            }
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_uncertain_only_after_the_dot() {
        check(Stage::Body, "354 go on", "uncertain");
        check(Stage::Data, "250 fine", "temporary");
    }

    #[test]
    fn answers_are_cut_and_hold_no_address() {
        let answer = Answer {
            code: 550,
            text: format!("5.1.1 <Ana.Soto@Ejemplo.cl>: user ana.soto unknown, {}", "palabra ".repeat(100)),
        };
        let shown = answer.shown("ana.soto@ejemplo.cl");
        assert!(shown.starts_with("550 5.1.1 <(dirección)>: user (dirección) unknown, palabra"), "{shown}");
        assert_eq!(shown.chars().count(), 500);
    }

    #[test]
    fn an_answer_of_several_lines_is_one() {
        let lines = ["550-5.1.1 The account".to_owned(), "550 5.1.1 does not\u{0} exist".to_owned()];
        let answer = Answer::parse(&lines).unwrap();
        assert_eq!(answer.text, "5.1.1 The account 5.1.1 does not  exist");
        assert_eq!(answer.enhanced(), Some((1, 1)));
        assert_eq!(Answer::parse(&["hola".to_owned()]), None);
        assert_eq!(Answer::parse(&["2é0 x".to_owned()]), None);
    }
}
