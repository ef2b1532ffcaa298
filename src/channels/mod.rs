//! Ways out of the building. A channel knows an address and a text; it knows no
//! contact, no campaign and no database (but for the built-in outbox, which is one).

pub mod email;
pub mod sms;
pub mod feedback;
pub mod callbacks;
pub mod outbox;

use crate::config::Config;
use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

/// How a message travels: `communication_type` in the database.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
pub enum Channel {
    /// SMTP.
    #[serde(rename = "EMAIL")]
    #[value(name = "EMAIL")]
    Email,
    /// Text message.
    #[serde(rename = "SMS")]
    #[value(name = "SMS")]
    Sms,
    /// WhatsApp Cloud API.
    #[serde(rename = "WHATSAPP")]
    #[value(name = "WHATSAPP")]
    Whatsapp,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Whatsapp];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Channel::Email => "EMAIL",
            Channel::Sms => "SMS",
            Channel::Whatsapp => "WHATSAPP",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Channel> {
        Channel::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Channel::Email => "Correo",
            Channel::Sms => "SMS",
            Channel::Whatsapp => "WhatsApp",
        }
    }

    /// The same within a sentence: `por correo`, `por SMS`.
    #[must_use]
    pub fn spoken(self) -> &'static str {
        match self {
            Channel::Email => "correo",
            Channel::Sms | Channel::Whatsapp => self.label(),
        }
    }
}

/// A message ready to leave.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// An email.
    Email(Email),
}

/// An email ready to leave. Addresses are bare (`a@b.cl`), names are apart.
#[derive(Clone, Debug, Default)]
pub struct Email {
    /// The row of `communication_logs`, for the built-in outbox and the log; 0: a test of the settings, which has none.
    pub message: i64,
    /// When it is handed over: the Date header, and the signature's time.
    pub date: chrono::DateTime<chrono::Utc>,
    /// Sender's name as shown.
    pub from_name: String,
    /// Sender's address.
    pub from_email: String,
    /// Where replies go, if not to the sender.
    pub reply_to: Option<String>,
    /// Recipient's name as shown; may be empty.
    pub to_name: String,
    /// Recipient's address.
    pub to_email: String,
    /// Subject, unencoded.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Plain-text part.
    pub plain: String,
    /// Message-ID without angle brackets (RFC 5322 3.6.4), stable over retries of one message.
    pub message_id: String,
    /// URL of one-click unsubscribe (RFC 8058); none for service messages.
    pub unsubscribe_url: Option<String>,
    /// List-Id (RFC 2919), `Name <id.domain>`; none for service messages.
    pub list_id: Option<String>,
    /// Feedback-ID (Gmail), `campaign:customer:kind:sender`.
    pub feedback_id: Option<String>,
    /// Mark as made by a machine (RFC 3834): service messages.
    pub auto_submitted: bool,
}

/// The provider took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id of the message, or our own Message-ID.
    pub external_id: String,
    /// What it said.
    pub answer: String,
}

/// Why a message did not leave. `answer` is what the provider said, or Spanish
/// words for a fault of the line: at most 500 characters, and no address in it,
/// so that it may be stored and shown. Each kind asks for another act of the
/// caller; when in doubt a provider is given the kind that marks nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The provider put off this message, which it surely did not take: try again later, and not for ever.
    #[error("temporary: {answer}")]
    Temporary {
        /// What was said.
        answer: String,
    },
    /// The provider is away, busy or done for the day, whoever the message is for, and surely did not take it: try
    /// again later, and blame no message.
    #[error("unavailable: {answer}")]
    Unavailable {
        /// What was said or seen.
        answer: String,
    },
    /// The provider will never take this message for this recipient; others are unaffected.
    #[error("refused: {answer}")]
    Recipient {
        /// What was said.
        answer: String,
        /// The address does not exist: it must not be written to again.
        dead: bool,
    },
    /// A receiver refuses this message by rules of its own. Whether they are about us tells only how many do.
    #[error("refused by rule: {answer}")]
    Policy {
        /// What was said.
        answer: String,
    },
    /// The provider refuses us: authentication, relaying, TLS, configuration. No message will leave until a
    /// person mends it, and no recipient is to blame.
    #[error("sender refused: {answer}")]
    Sender {
        /// What was said.
        answer: String,
    },
    /// The line was cut after the whole message was handed over and before the answer: it may have left. Never to be
    /// sent again blindly.
    #[error("unconfirmed: {answer}")]
    Uncertain {
        /// What was seen.
        answer: String,
    },
}

/// The `answer` of a [`SendError`] as a sentence, which names the server only where it is the server that speaks: its
/// answers begin with a code, our own words for a fault of the line do not.
#[must_use]
pub fn said(answer: &str) -> String {
    if answer.starts_with(|it: char| it.is_ascii_digit()) {
        format!("El servidor respondió: {answer}")
    } else {
        answer.to_owned()
    }
}

/// What [`Sender::send`] gives.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Accepted, SendError>> + Send + 'a>>;

/// What [`Sender::check`] gives: what the provider said, or why it can't be used, in Spanish.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// One provider.
pub trait Sender: Send + Sync {
    /// Hand `message` to the provider. Waits while all lanes are taken. A call that is dropped before its end may or
    /// may not have sent.
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a>;

    /// How many messages it can take at once.
    fn lanes(&self) -> usize;

    /// Whether messages really leave; false for the built-in outbox and simulators.
    fn is_real(&self) -> bool;

    /// Connect and sign in, without sending anything: for the settings and `doctor`.
    fn check(&self) -> Checking<'_>;
}

/// The provider for each channel that can send.
pub type Senders = Arc<HashMap<Channel, Arc<dyn Sender>>>;

/// The providers that `config` names: SMTP for email, or the built-in outbox in `db`.
///
/// # Errors
/// A sentence in Spanish when something configured can't be used.
pub fn open(config: &Config, db: &sqlx::PgPool) -> Result<Senders, String> {
    let email: Arc<dyn Sender> = match &config.smtp {
        Some(smtp) => Arc::new(email::Smtp::new(smtp.clone(), config.dkim.as_ref())?),
        None => Arc::new(outbox::Outbox::new(db.clone())),
    };
    Ok(Arc::new(HashMap::from([(Channel::Email, email)])))
}
