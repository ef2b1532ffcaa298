//! What an SMTP server's answer means for one message: pure, over the moment in the
//! conversation and whose fault it is ([`super::blame`]). It knows no connection.

use super::blame::{self, Blame};
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

    /// The answer as it may be stored and shown: no address in it, at most 500 characters.
    pub(super) fn shown(&self, recipient: &str) -> String {
        let line = format!("{} {}", self.code, blame::without_addresses(&self.text, recipient));
        line.trim_end().chars().take(500).collect()
    }
}

/// What a refusal means. `recipient` is masked out of what is kept.
pub(super) fn classify(stage: Stage, answer: &Answer, recipient: &str) -> SendError {
    let shown = answer.shown(recipient);
    let temporary = || SendError::Temporary { answer: shown.clone() };
    let unavailable = || SendError::Unavailable { answer: shown.clone() };
    let sender = || SendError::Sender { answer: shown.clone() };
    let policy = || SendError::Policy { answer: shown.clone() };
    let recipient = |dead| SendError::Recipient { answer: shown.clone(), dead };

    if (400..500).contains(&answer.code) {
        return if matches!(stage, Stage::Opening | Stage::Mail) { unavailable() } else { temporary() };
    }
    let blame = blame::of_refusal(Some(answer.code), blame::enhanced(&answer.text), &answer.text);
    if blame == Blame::Quota {
        return unavailable();
    }
    if !(500..600).contains(&answer.code) {
        // A 2xx or 3xx where it makes no sense: before the dot nothing was
        // taken, after it nobody knows.
        return if stage == Stage::Body { SendError::Uncertain { answer: shown } } else { temporary() };
    }
    if matches!(stage, Stage::Opening | Stage::Mail) {
        // Before a recipient is named only the size of the message is not about us.
        let too_big =
            stage == Stage::Mail && (blame == Blame::TooBig || answer.code == 552 && blame == Blame::Full);
        return if too_big { recipient(false) } else { sender() };
    }
    match blame {
        Blame::Dead => recipient(true),
        Blame::Sender => sender(),
        Blame::Policy => policy(),
        Blame::Quota => unavailable(),
        Blame::Disabled | Blame::Full | Blame::TooBig | Blame::Refused | Blame::Passing => recipient(false),
    }
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
            SendError::Policy { .. } => "policy",
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
            "554 5.7.1 <a@b.cl>: Relay access denied",
            "550 relay not permitted",
            "550 5.1.0 <yo@x.cl>: Sender address rejected: user unknown in local table",
            "550 5.1.8 Sender domain does not exist",
            "553 sender address does not exist",
            "530 5.7.0 Authentication Required",
            "503 5.5.1 Error: need MAIL command",
            "535 5.7.8 Username and Password not accepted",
        ] {
            check(Stage::Rcpt, line, "sender");
            check(Stage::Mail, line, "sender");
            check(Stage::Opening, line, "sender");
        }
        // By the receiver's rules: before a recipient is named, they are about us.
        for line in [
            "550 5.7.1 Service unavailable, client host blocked using Spamhaus",
            "554 Transaction failed",
            "552 5.7.0 This message was blocked because its content presents a security issue",
        ] {
            check(Stage::Rcpt, line, "policy");
            check(Stage::Body, line, "policy");
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
        assert_eq!(Answer::parse(&["hola".to_owned()]), None);
        assert_eq!(Answer::parse(&["2é0 x".to_owned()]), None);
    }
}
