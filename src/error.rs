//! What can go wrong, said without HTTP: the edges decide on status codes and exit statuses.

use crate::ids::ContactId;
use std::fmt;

/// The result of any operation of the application.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure that some caller tells apart from another.
///
/// Its `Debug` is fit for a log, as [`Error::description`] is: a database quotes the
/// rows that it refuses, and those are people.
#[derive(thiserror::Error)]
pub enum Error {
    /// No such row, or none that this actor may know of.
    #[error("no se encontró lo que buscas")]
    NotFound,
    /// That contact was joined into this one: nothing is written to it any more.
    #[error("esa ficha se unió con otra")]
    Joined(ContactId),
    /// The actor lacks the permission.
    #[error("tu rol no permite hacer esto")]
    Forbidden,
    /// What was asked for can't be done as things stand. The text is Spanish,
    /// for the user: what happened, what was kept, what to do.
    #[error("{0}")]
    Refused(String),
    /// Input that is wrong at stated fields. Texts are Spanish, for the user.
    #[error("hay datos por corregir")]
    Invalid(Vec<FieldError>),
    /// The database failed us, or is away.
    #[error("{}", database_in_words(.0))]
    Database(#[from] sqlx::Error),
    /// The disk failed us.
    #[error("no se pudo leer o escribir un archivo")]
    Io(#[from] std::io::Error),
    /// Anything else that no caller tells apart; the text is English, for the log.
    #[error("ocurrió un error inesperado")]
    Internal(String),
}

/// One wrong field of a form or a command.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Name of the field, as in the form.
    pub field: &'static str,
    /// What is wrong and what to do, in Spanish.
    pub message: String,
    /// Which part of the field it is about, from 0 on; none: the field as a whole.
    #[serde(skip)]
    pub part: Option<usize>,
}

impl FieldError {
    /// The field `field` is wrong for the reason `message`.
    pub fn new(field: &'static str, message: impl Into<String>) -> FieldError {
        FieldError { field, message: message.into(), part: None }
    }

    /// The same about the part of the field at `place`.
    #[must_use]
    pub fn of_part(self, place: usize) -> FieldError {
        FieldError { part: Some(place), ..self }
    }
}

impl Error {
    /// A refusal with its Spanish sentence.
    pub fn refused(sentence: impl Into<String>) -> Error {
        Error::Refused(sentence.into())
    }

    /// Input that is wrong at one field.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Error {
        Error::Invalid(vec![FieldError::new(field, message)])
    }

    /// What the log says, without anything of the data: not what the database quotes of a
    /// row, nor sentences for the user, which may name a person or quote a mail server.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Error::NotFound => "not found".to_owned(),
            Error::Joined(_) => "the contact was joined into another".to_owned(),
            Error::Forbidden => "forbidden".to_owned(),
            Error::Refused(_) => "refused, as the user is told".to_owned(),
            Error::Invalid(fields) => {
                let names: Vec<_> = fields.iter().map(|it| it.field).collect();
                format!("invalid: {}", names.join(", "))
            }
            Error::Database(it) => describe_database(it),
            Error::Io(it) => format!("file: {it}"),
            Error::Internal(it) => it.clone(),
        }
    }

    /// Whether the database may well do it if asked again: it was away, chose us in a
    /// deadlock, or was short of room. SQLSTATE classes 40, 53 and 55P03.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let passing = |code: &str| code.starts_with("40") || code.starts_with("53") || code == "55P03";
        self.is_database_away()
            || matches!(self, Error::Database(sqlx::Error::Database(it)) if it.code().is_some_and(|it| passing(&it)))
    }

    /// Whether the database was unreachable rather than of another opinion, so
    /// that the same call may succeed later.
    #[must_use]
    pub fn is_database_away(&self) -> bool {
        match self {
            Error::Database(
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::WorkerCrashed,
            ) => true,
            // Class 57P: shutdown, crash, not yet accepting; 08: connection.
            Error::Database(sqlx::Error::Database(it)) => {
                it.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Whoever waits for the sentence is the user; tests want it too.
            Error::Refused(sentence) => f.debug_tuple("Refused").field(sentence).finish(),
            Error::Invalid(fields) => f.debug_tuple("Invalid").field(fields).finish(),
            _ => f.write_str(&self.description()),
        }
    }
}

/// What people are told: where they can do something about it, what it is.
fn database_in_words(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(it) if it.code().as_deref() == Some("53100") => {
            "el disco de la base de datos está lleno"
        }
        _ => "la base de datos no respondió",
    }
}

/// The code, the constraint and the table of what the database refused.
fn describe_database(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(it) => {
            let code = it.code().unwrap_or_default();
            let named = [("constraint", it.constraint()), ("table", it.table())];
            let named = named.iter().filter_map(|(what, name)| Some(format!(", {what} {}", (*name)?)));
            let text = format!("database error {code}{}", named.collect::<String>());
            // Of these classes, messages speak of the server or of our SQL; of others, of values.
            if ["08", "40", "42", "53", "55", "57", "58"].iter().any(|it| code.starts_with(it)) {
                return format!("{text}: {}", it.message());
            }
            text
        }
        sqlx::Error::ColumnDecode { index, .. } => format!("database: column {index} could not be decoded"),
        sqlx::Error::Decode(_) => "database: a value could not be decoded".to_owned(),
        sqlx::Error::Encode(_) => "database: a value could not be encoded".to_owned(),
        // The address of the server may carry a password.
        sqlx::Error::Configuration(_) => "database: its address can't be used".to_owned(),
        other => format!("database: {other}"),
    }
}

/// Turns a violated database constraint into the error that it stands for.
pub trait OnConstraint<T> {
    /// If the query failed on the constraint `name`, fail with `error` instead.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|it| match &it {
            sqlx::Error::Database(db) if db.constraint() == Some(name) => error(),
            _ => it.into(),
        })
    }
}

impl<T> OnConstraint<T> for Result<T> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|it| match &it {
            Error::Database(sqlx::Error::Database(db)) if db.constraint() == Some(name) => error(),
            _ => it,
        })
    }
}
