//! What comes back of a message, whoever tells it: a provider's callback or a mail
//! in our mailbox, as one value. Pure; what it does to the message is not known here.

use super::email::blame::{self, Blame};
use crate::codes::codes;
use chrono::{DateTime, Utc};

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Amazon SES, by SNS.
    Ses,
    /// Twilio SendGrid.
    SendGrid,
    /// Mailgun.
    Mailgun,
    /// Postmark.
    Postmark,
    /// Brevo.
    Brevo,
    /// Resend.
    Resend,
    /// A mail in the mailbox of bounces and answers: anybody can write one.
    Mailbox,
    /// The server that we hand messages to, in the conversation itself.
    Smtp,
}

impl Source {
    /// The providers that call us.
    pub const PROVIDERS: [Source; 6] =
        [Source::Ses, Source::SendGrid, Source::Mailgun, Source::Postmark, Source::Brevo, Source::Resend];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Source::Ses => "SES",
            Source::SendGrid => "SENDGRID",
            Source::Mailgun => "MAILGUN",
            Source::Postmark => "POSTMARK",
            Source::Brevo => "BREVO",
            Source::Resend => "RESEND",
            Source::Mailbox => "MAILBOX",
            Source::Smtp => "SMTP",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Source> {
        Source::PROVIDERS.into_iter().chain([Source::Mailbox, Source::Smtp]).find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Source::Ses => "Amazon SES",
            Source::SendGrid => "SendGrid",
            Source::Mailgun => "Mailgun",
            Source::Postmark => "Postmark",
            Source::Brevo => "Brevo",
            Source::Resend => "Resend",
            Source::Mailbox => "Casilla de correo",
            Source::Smtp => "Servidor de correo, al enviar",
        }
    }

    /// Its last part of `/webhooks/email/…`.
    #[must_use]
    pub fn path(self) -> String {
        self.code().to_ascii_lowercase()
    }
}

codes! {
    /// What came back.
    Kind {
        /// It reached the mailbox.
        Delivered = "DELIVERED", "Entregado";
        /// It is late and still tried.
        Deferred = "DEFERRED", "Demorado";
        /// It came back: the address is dead.
        HardBounce = "HARD_BOUNCE", "Rebote definitivo";
        /// It came back for a reason that may pass.
        SoftBounce = "SOFT_BOUNCE", "Rebote pasajero";
        /// It came back for a fault of ours.
        SenderRefused = "SENDER_REFUSED", "Rechazo al remitente";
        /// Its recipient reported it as spam.
        Complaint = "COMPLAINT", "Reclamo de spam";
        /// Its recipient wants no more.
        OptOut = "OPT_OUT", "Baja";
        /// A person answered.
        Reply = "REPLY", "Respuesta";
        /// A machine answered: out of office.
        AutoReply = "AUTO_REPLY", "Respuesta automática";
    }
}

/// One thing that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The teller's own id of it: the same one told twice is one.
    pub event_id: String,
    /// What.
    pub kind: Kind,
    /// Whose fault, of what came back or is late.
    pub cause: Option<Blame>,
    /// When, as the teller says; none: it does not.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The address that the message went to; of an answer, who wrote it.
    pub recipient: Option<String>,
    /// Message-IDs that it names, without angle brackets, the likeliest first.
    pub message_ids: Vec<String>,
    /// Enhanced status code.
    pub status_code: Option<String>,
    /// The receiving server's words.
    pub diagnostic: Option<String>,
    /// Subject of an answer.
    pub subject: Option<String>,
    /// Text of an answer, without what it quotes.
    pub body: Option<String>,
    /// As it came, for whoever must look into it.
    pub raw: String,
}

impl Report {
    /// Of `kind`, with nothing else known.
    #[must_use]
    pub fn new(kind: Kind, event_id: impl Into<String>) -> Report {
        Report {
            event_id: event_id.into(),
            kind,
            cause: None,
            occurred_at: None,
            recipient: None,
            message_ids: Vec::new(),
            status_code: None,
            diagnostic: None,
            subject: None,
            body: None,
            raw: String::new(),
        }
    }

    /// With the server's words and the code that they, or `status`, hold: where both do, the one that says more.
    #[must_use]
    pub fn said(mut self, status: Option<&str>, diagnostic: Option<&str>) -> Report {
        let words = diagnostic.unwrap_or_default();
        let stated = status.and_then(blame::enhanced);
        let code = stated.filter(|it| (it.1, it.2) != (0, 0)).or_else(|| split(words).1).or(stated);
        self.status_code = code.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}"));
        self.diagnostic = Some(words.trim().to_owned()).filter(|it| !it.is_empty());
        self
    }

    /// With the kind that the words mean for a message that came back. `is_hard`: the teller itself says that the
    /// address is dead, or that it is not; none: it leaves that to the code.
    #[must_use]
    pub fn bounced(mut self, is_hard: Option<bool>) -> Report {
        let words = self.diagnostic.clone().unwrap_or_default();
        let code = self.status_code.as_deref().and_then(blame::enhanced);
        let (reply, _) = split(&words);
        let is_passing = code.map_or_else(|| reply.is_some_and(|it| it < 500), |it| it.0 == 4);
        let found =
            if is_passing { blame::of_delay(code, &words) } else { blame::of_refusal(reply, code, &words) };
        let cause = match (is_hard, found) {
            // A provider that says so knows more than a code that says nothing.
            (Some(true), Blame::Refused | Blame::Passing) => Blame::Dead,
            (Some(false), Blame::Dead) => Blame::Refused,
            (_, found) => found,
        };
        self.cause = Some(cause);
        self.kind = match cause {
            Blame::Dead => Kind::HardBounce,
            Blame::Sender | Blame::Policy => Kind::SenderRefused,
            _ => Kind::SoftBounce,
        };
        self
    }

    /// With whose fault it is that the message is late.
    #[must_use]
    pub fn late(mut self) -> Report {
        let code = self.status_code.as_deref().and_then(blame::enhanced);
        self.cause = Some(blame::of_delay(code, self.diagnostic.as_deref().unwrap_or_default()));
        self.kind = Kind::Deferred;
        self
    }

    /// With the Message-IDs in `ids`, angle brackets or not.
    #[must_use]
    pub fn about<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Report {
        for id in ids {
            let id = id.trim().trim_start_matches('<').trim_end_matches('>');
            let is_new = !self.message_ids.iter().any(|it| it == id);
            if is_new && id.contains('@') && id.len() <= 250 && self.message_ids.len() < 20 {
                self.message_ids.push(id.to_owned());
            }
        }
        self
    }
}

/// Reply code and enhanced code at the beginning of a server's words: `smtp; 550-5.1.1 …`, `550 5.1.1 …`, `5.1.1 …`.
fn split(words: &str) -> (Option<u16>, Option<blame::Enhanced>) {
    let words = words.trim_start();
    let words = words
        .split_once(';')
        .filter(|(kind, _)| kind.len() < 12 && !kind.contains(' '))
        .map_or(words, |it| it.1);
    let words = words.trim_start();
    let reply: Option<u16> = words
        .get(..3)
        .filter(|_| words.as_bytes().get(3).is_none_or(|it| matches!(it, b' ' | b'-' | b'#')))
        .and_then(|it| it.parse().ok())
        .filter(|it| (400..600).contains(it));
    let rest = match reply {
        Some(_) => words[3..].trim_start_matches([' ', '-', '#']),
        None => words,
    };
    (reply, blame::enhanced(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounce(status: Option<&str>, words: &str, is_hard: Option<bool>) -> (Kind, Blame, Option<String>) {
        let it = Report::new(Kind::SoftBounce, "1").said(status, Some(words)).bounced(is_hard);
        (it.kind, it.cause.unwrap(), it.status_code)
    }

    #[test]
    fn the_code_that_says_more_decides() {
        let code = |it: &str| Some(it.to_owned());
        assert_eq!(
            bounce(Some("5.0.0"), "smtp; 550-5.1.1 The account does not exist", None),
            (Kind::HardBounce, Blame::Dead, code("5.1.1"))
        );
        assert_eq!(
            bounce(Some("5.2.2"), "552 5.2.2 full", None),
            (Kind::SoftBounce, Blame::Full, code("5.2.2"))
        );
        assert_eq!(
            bounce(None, "550 5.7.1 blocked by policy", None),
            (Kind::SenderRefused, Blame::Policy, code("5.7.1"))
        );
        assert_eq!(
            bounce(Some("4.4.7"), "smtp;550 4.4.7 QUEUE.Expired; message expired", None),
            (Kind::SoftBounce, Blame::Passing, code("4.4.7"))
        );
        assert_eq!(bounce(None, "", None), (Kind::SoftBounce, Blame::Refused, None));
    }

    #[test]
    fn the_tellers_own_verdict_fills_what_no_code_says_and_kills_nobody_alone() {
        assert_eq!(bounce(None, "", Some(true)).0, Kind::HardBounce);
        assert_eq!(bounce(None, "550 5.7.1 spam", Some(true)).0, Kind::SenderRefused);
        assert_eq!(bounce(Some("5.2.2"), "", Some(true)).0, Kind::SoftBounce);
        assert_eq!(bounce(Some("5.1.1"), "", Some(false)).0, Kind::SoftBounce);
    }

    #[test]
    fn message_ids_lose_their_brackets_and_come_once() {
        let it = Report::new(Kind::Delivered, "1").about(["<a@b.cl>", "a@b.cl", "nothing", " <c@d.cl> "]);
        assert_eq!(it.message_ids, ["a@b.cl", "c@d.cl"]);
    }

    #[test]
    fn codes_are_read_back() {
        assert!(Kind::ALL.iter().all(|it| Kind::from_code(it.code()) == Some(*it)));
        assert!(Source::PROVIDERS.iter().all(|it| Source::from_code(it.code()) == Some(*it)));
    }
}
