//! The built-in outbox: what would have left by email while no SMTP server is
//! configured, kept so that it can be read in the panel as its recipient would
//! see it. The only channel that knows the database, for it is one.

use super::{Accepted, Checking, Email, Outgoing, SendError, Sender, Sending, email::readable_headers};
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

/// Captures messages instead of sending them.
pub struct Outbox {
    db: PgPool,
}

impl Outbox {
    /// An outbox in `db`.
    #[must_use]
    pub fn new(db: PgPool) -> Outbox {
        Outbox { db }
    }

    async fn capture(&self, email: &Email) -> Result<Accepted, SendError> {
        let headers = serde_json::to_value(readable_headers(email)?)
            .map_err(|it| SendError::Sender { answer: it.to_string() })?;
        let captured = sqlx::query!(
            "insert into outbox_messages
                 (communication_log_id, message_id, sender, destination, subject, headers, html, plain, captured_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (message_id) do nothing",
            email.message,
            email.message_id,
            email.from_email,
            email.to_email,
            email.subject,
            headers,
            email.html,
            email.plain,
            email.date,
        )
        .execute(&self.db)
        .await;
        match captured {
            Ok(_) => Ok(Accepted {
                external_id: email.message_id.clone(),
                answer: "Guardado en la bandeja de salida (modo de prueba).".to_owned(),
            }),
            // Asking again captures it once, whatever happened: never uncertain.
            Err(_) => Err(SendError::Unavailable {
                answer: "La base de datos no respondió al guardar en la bandeja de salida.".to_owned(),
            }),
        }
    }
}

impl Sender for Outbox {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            match message {
                Outgoing::Email(email) => self.capture(email).await,
            }
        })
    }

    fn lanes(&self) -> usize {
        4
    }

    fn is_real(&self) -> bool {
        false
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async {
            Ok("Sin servidor de correo: los mensajes quedan en la bandeja de salida y no salen.".to_owned())
        })
    }
}

/// What stands where a link's secret was struck out.
const STRUCK_OUT: &str = "desactivado";

/// A captured message in a list.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Its place in the outbox.
    pub id: i64,
    /// The row of `communication_logs`; 0: a test of the settings.
    pub communication_log_id: i64,
    /// Recipient's address.
    pub destination: String,
    /// Subject.
    pub subject: String,
    /// When it would have left.
    pub captured_at: DateTime<Utc>,
}

/// A captured message, whole.
#[derive(Clone, Debug)]
pub struct Letter {
    /// As in the list.
    pub captured: Captured,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// HTML part.
    pub html: String,
    /// Plain-text part.
    pub plain: String,
}

impl Letter {
    /// The value of a header, as captured.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// The same, with each of `secrets` struck out wherever it stands, so that the links that carry them lead nowhere.
    #[must_use]
    pub fn without(mut self, secrets: &[String]) -> Letter {
        let parts = [&mut self.html, &mut self.plain].into_iter();
        for text in parts.chain(self.headers.iter_mut().map(|it| &mut it.1)) {
            for secret in secrets {
                *text = text.replace(secret.as_str(), STRUCK_OUT);
            }
        }
        self
    }

    /// Where its recipient may unsubscribe.
    #[must_use]
    pub fn unsubscribe_url(&self) -> Option<&str> {
        self.header("List-Unsubscribe").map(|it| it.trim_matches(['<', '>']))
    }
}

/// The captured form of the message `id` of the log, if it was captured.
///
/// # Errors
/// When the database fails.
pub async fn of_message(db: impl PgExecutor<'_>, id: i64) -> Result<Option<i64>> {
    let captured =
        sqlx::query_scalar!("select id from outbox_messages where communication_log_id = $1 limit 1", id);
    Ok(captured.fetch_optional(db).await?)
}

/// Which page of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    Newest,
    /// Those older than this one.
    OlderThan(i64),
    /// Those just newer than this one.
    NewerThan(i64),
}

/// At most `limit` captured messages at `place`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &PgPool, place: Place, limit: usize) -> Result<Vec<Captured>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    if let Place::NewerThan(id) = place {
        let mut page = sqlx::query_as!(
            Captured,
            "select id, communication_log_id, destination, subject, captured_at
             from outbox_messages where id > $1 order by id limit $2",
            id,
            limit,
        )
        .fetch_all(db)
        .await?;
        page.reverse();
        return Ok(page);
    }
    let before = if let Place::OlderThan(id) = place { id } else { i64::MAX };
    Ok(sqlx::query_as!(
        Captured,
        "select id, communication_log_id, destination, subject, captured_at
         from outbox_messages where id < $1 order by id desc limit $2",
        before,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// At most `limit` captured messages below `before`, newest first, that went to an address with
/// `sought` in it or have it in their subject. It reads all of them: the outbox is a place for trials.
///
/// # Errors
/// When the database fails.
pub async fn search(db: &PgPool, sought: &str, before: Option<i64>, limit: usize) -> Result<Vec<Captured>> {
    Ok(sqlx::query_as!(
        Captured,
        "select id, communication_log_id, destination, subject, captured_at from outbox_messages
         where id < $2 and (strpos(lower(destination), $1) > 0 or strpos(lower(subject), $1) > 0)
         order by id desc limit $3",
        sought.to_lowercase(),
        before.unwrap_or(i64::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(db)
    .await?)
}

/// One captured message.
///
/// # Errors
/// [`Error::NotFound`] when there is none of that number.
pub async fn get(db: &PgPool, id: i64) -> Result<Letter> {
    let row = sqlx::query!(
        "select id, communication_log_id, destination, subject, captured_at, headers, html, plain
         from outbox_messages where id = $1",
        id,
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Letter {
        captured: Captured {
            id: row.id,
            communication_log_id: row.communication_log_id,
            destination: row.destination,
            subject: row.subject,
            captured_at: row.captured_at,
        },
        headers: serde_json::from_value(row.headers)
            .map_err(|it| Error::Internal(format!("headers of outbox message {id}: {it}")))?,
        html: row.html,
        plain: row.plain,
    })
}
