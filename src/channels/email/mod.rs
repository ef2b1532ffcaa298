//! Email by SMTP: builds, signs and hands over one message at a time, over a
//! few connections that are kept; and reads what comes back to a mailbox. It knows no contact and no campaign.

mod answer;
pub mod blame;
mod connection;
mod dkim;
pub mod imap;
mod message;
mod quoted_printable;
pub mod returned;
mod wire;

pub use dkim::published_key;
pub(super) use message::{OWN_HEADER, readable_headers};
pub use wire::Timeouts;

use super::{Accepted, Checking, Email, Outgoing, SendError, Sender, Sending};
use crate::config;
use connection::Connection;
use dkim::Signer;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_rustls::{
    TlsConnector,
    rustls::{RootCertStore, pki_types::CertificateDer},
};
use wire::Failure;

/// An idle connection older than this is not trusted to be there: servers and
/// routers forget them, some without a word.
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// Sends email through one SMTP server.
pub struct Smtp {
    settings: config::Smtp,
    tls: TlsConnector,
    signer: Option<Arc<Signer>>,
    timeouts: Timeouts,
    idle: Mutex<Vec<(Connection, Instant)>>,
    lanes: Semaphore,
}

impl Smtp {
    /// A sender for the server of `settings`, signing as `dkim` says. Connects at the first message.
    ///
    /// # Errors
    /// A sentence in Spanish when the signing key can't be used.
    pub fn new(settings: config::Smtp, dkim: Option<&config::Dkim>) -> Result<Smtp, String> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Ok(Smtp {
            tls: connection::connector(roots)?,
            signer: dkim.map(Signer::new).transpose()?.map(Arc::new),
            timeouts: Timeouts::default(),
            idle: Mutex::new(Vec::new()),
            lanes: Semaphore::new(settings.connections),
            settings,
        })
    }

    /// Trust only certificates issued by `authority` (DER) instead of the public ones.
    ///
    /// # Errors
    /// When `authority` is not a certificate.
    pub fn trusting(mut self, authority: Vec<u8>) -> Result<Smtp, String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority)).map_err(|it| format!("not a certificate: {it}"))?;
        self.tls = connection::connector(roots)?;
        Ok(self)
    }

    /// With other time limits.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Smtp {
        self.timeouts = timeouts;
        self
    }

    async fn deliver(&self, email: &Email) -> Result<Accepted, SendError> {
        let mut built = message::build(email)?;
        if let Some(signer) = &self.signer {
            built.bytes = sign(signer, email.date.timestamp(), built.bytes).await?;
        }
        let Ok(_lane) = self.lanes.acquire().await else {
            return Err(SendError::Unavailable { answer: "El programa se está cerrando.".to_owned() });
        };
        let (connection, was_idle) = match self.idle_connection().await {
            Some(it) => (it, true),
            None => (self.connect(&built.to).await?, false),
        };
        let mut result = self.hand_over(connection, &built).await;
        // The server had closed the idle line and nothing was said of this
        // message: once more over a fresh one.
        if was_idle && result.as_ref().is_err_and(Failure::is_stale) {
            let fresh = self.connect(&built.to).await?;
            result = self.hand_over(fresh, &built).await;
        }
        match result {
            Ok(answer) => Ok(Accepted { external_id: built.message_id, answer: answer.shown(&built.to) }),
            Err(failure) => Err(failure.meaning(&built.to)),
        }
    }

    async fn connect(&self, recipient: &str) -> Result<Connection, SendError> {
        Connection::open(&self.settings, &self.tls, self.timeouts).await.map_err(|it| it.meaning(recipient))
    }

    async fn hand_over(
        &self,
        mut connection: Connection,
        built: &message::Built,
    ) -> Result<answer::Answer, Failure> {
        let result = connection.deliver(&built.from, &built.to, &built.bytes).await;
        if connection.is_usable() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((connection, Instant::now()));
        }
        result
    }

    /// The connection used last that is still there; those that are not are let go.
    async fn idle_connection(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if since.elapsed() < IDLE_LIMIT && !connection.was_left().await {
                return Some(connection);
            }
        }
    }
}

/// Sign off the threads that serve, where the key is slow.
async fn sign(signer: &Arc<Signer>, at: i64, bytes: Vec<u8>) -> Result<Vec<u8>, SendError> {
    let outcome = if signer.is_slow() {
        let signer = Arc::clone(signer);
        match tokio::task::spawn_blocking(move || signer.sign(at, &bytes)).await {
            Ok(it) => it,
            Err(_) => {
                return Err(SendError::Unavailable { answer: "El programa se está cerrando.".to_owned() });
            }
        }
    } else {
        signer.sign(at, &bytes)
    };
    outcome.map_err(|answer| SendError::Sender { answer })
}

impl Sender for Smtp {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            match message {
                Outgoing::Email(email) => self.deliver(email).await,
            }
        })
    }

    fn lanes(&self) -> usize {
        self.settings.connections
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async move {
            match Connection::open(&self.settings, &self.tls, self.timeouts).await {
                Ok(connection) => {
                    connection.quit().await;
                    let line = match self.settings.tls {
                        config::SmtpTls::None => "sin cifrar",
                        config::SmtpTls::StartTls | config::SmtpTls::Tls => "cifrada",
                    };
                    let user = if self.settings.credentials.is_some() { " y aceptó el usuario" } else { "" };
                    Ok(format!(
                        "{}:{} respondió por una conexión {line}{user}.",
                        self.settings.host, self.settings.port
                    ))
                }
                Err(failure) => Err(match failure.meaning("") {
                    SendError::Temporary { answer }
                    | SendError::Unavailable { answer }
                    | SendError::Sender { answer }
                    | SendError::Policy { answer }
                    | SendError::Recipient { answer, .. }
                    | SendError::Uncertain { answer } => match failure {
                        Failure::Refused(..) => format!(
                            "El servidor de correo no nos acepta: {answer}. Revisa EMAIL_HOST_USER y EMAIL_HOST_PASSWORD."
                        ),
                        _ => answer,
                    },
                }),
            }
        })
    }
}
