//! The business's own choices, one document a subject. Who may change them, and
//! the forms, are the web's; this knows only what they mean and how they are kept.

mod email;
mod sms;
mod whatsapp;
mod words;

pub use email::EmailChannel;
pub use sms::SmsChannel;
pub use whatsapp::WhatsappChannel;
pub use words::Words;

use crate::{
    chile::{
        holidays::{Calendar, Correction},
        rut::Rut,
    },
    config::FirstValues,
    db::Tx,
    error::{Error, FieldError, OnConstraint, Result},
    ids::StaffId,
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::PgExecutor;

/// A subject of settings.
pub trait Subject: Serialize + DeserializeOwned + Default {
    /// Key of the row.
    const NAME: &'static str;

    /// Values that the environment gives while nobody has set any.
    #[must_use]
    fn first(values: &FirstValues) -> Self;
}

/// Who sends: the legal sender of Ley 19.496 art. 28 B.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Business {
    /// Trade name, as recipients know it.
    pub name: String,
    /// Company name in the tax register, where it differs.
    pub legal_name: String,
    /// RUT, normalised; empty: not told.
    pub rut: String,
    /// Street address, comuna included.
    pub address: String,
    /// Mailbox that people can write to.
    pub email: String,
    /// Telephone, as shown.
    pub phone: String,
    /// Web site.
    pub website: String,
}

impl Business {
    /// Whether enough is known to sign a promotional message: who, where, and how to reach them.
    #[must_use]
    pub fn is_legal_sender(&self) -> bool {
        [&self.name, &self.address, &self.email].iter().all(|it| !it.trim().is_empty())
    }

    /// Tidied, with its RUT as we keep it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with each wrong field.
    pub fn checked(self) -> Result<Business> {
        let mut wrong = Vec::new();
        let mut line = |field: &'static str, text: &str, most: usize| {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if text.chars().count() > most {
                wrong.push(FieldError::new(field, format!("Usa a lo más {most} caracteres.")));
            }
            text
        };
        let mut clean = Business {
            name: line("name", &self.name, 100),
            legal_name: line("legal_name", &self.legal_name, 150),
            rut: line("rut", &self.rut, 20),
            address: line("address", &self.address, 200),
            email: line("email", &self.email, 254).to_lowercase(),
            phone: line("phone", &self.phone, 40),
            website: line("website", &self.website, 200),
        };
        if clean.name.is_empty() {
            wrong.push(FieldError::new("name", "Escribe el nombre de tu negocio."));
        }
        if !clean.rut.is_empty() {
            match clean.rut.parse::<Rut>() {
                Ok(rut) => clean.rut = rut.stored(),
                Err(error) => wrong.push(FieldError::new("rut", sentence(&error.to_string()))),
            }
        }
        if !clean.email.is_empty() && !is_address(&clean.email) {
            wrong.push(FieldError::new("email", "Escribe un correo como contacto@tunegocio.cl."));
        }
        if !clean.website.is_empty() {
            if !clean.website.contains("://") {
                clean.website = format!("https://{}", clean.website);
            }
            let is_site = url::Url::parse(&clean.website).is_ok_and(|it| {
                matches!(it.scheme(), "http" | "https") && it.host_str().is_some_and(|it| it.contains('.'))
            });
            if !is_site {
                wrong.push(FieldError::new("website", "Escribe una dirección como www.tunegocio.cl."));
            }
        }
        if wrong.is_empty() { Ok(clean) } else { Err(Error::Invalid(wrong)) }
    }
}

/// A reason that begins small and ends open, as a sentence.
fn sentence(reason: &str) -> String {
    let mut signs = reason.chars();
    signs.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), signs.as_str()))
}

/// Whether `text` has the shape of an email address; whether it exists, only a message can tell.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_label = |it: &str| !it.is_empty() && !it.starts_with('-') && !it.ends_with('-');
    !local.is_empty()
        && text.len() <= 254
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && !text.chars().any(|it| it.is_whitespace() || it.is_control() || "<>()[]\\,;:\"".contains(it))
        && !domain.contains('@')
}

impl Subject for Business {
    const NAME: &'static str = "business";

    fn first(values: &FirstValues) -> Business {
        Business {
            name: values.business_name.clone().unwrap_or_default(),
            address: values.business_address.clone().unwrap_or_default(),
            email: values.business_email.clone().unwrap_or_default(),
            ..Business::default()
        }
    }
}

/// When a relationship counts as gone cold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relationship {
    /// Days without any activity after which a contact becomes inactive.
    pub inactive_after_days: u32,
}

impl Default for Relationship {
    fn default() -> Relationship {
        Relationship { inactive_after_days: 90 }
    }
}

impl Relationship {
    /// With a number of days that makes sense.
    ///
    /// # Errors
    /// [`Error::Invalid`] otherwise.
    pub fn checked(self) -> Result<Relationship> {
        if (7..=3650).contains(&self.inactive_after_days) {
            Ok(self)
        } else {
            Err(Error::invalid("inactive_after_days", "Escribe un número de días entre 7 y 3650."))
        }
    }
}

impl Subject for Relationship {
    const NAME: &'static str = "relationship";

    fn first(_: &FirstValues) -> Relationship {
        Relationship::default()
    }
}

/// What starting a campaign from the panel waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Launching {
    /// Seconds in which nothing leaves and the launch may be taken back; 0: none.
    pub hold_seconds: u32,
}

impl Default for Launching {
    fn default() -> Launching {
        Launching { hold_seconds: 120 }
    }
}

impl Launching {
    /// With a time that a person still waits for.
    ///
    /// # Errors
    /// [`Error::Invalid`] otherwise.
    pub fn checked(self) -> Result<Launching> {
        if self.hold_seconds <= 3600 {
            Ok(self)
        } else {
            Err(Error::invalid("hold_seconds", "Elige a lo más una hora."))
        }
    }
}

impl Subject for Launching {
    const NAME: &'static str = "launching";

    fn first(values: &FirstValues) -> Launching {
        match values.launch_hold_seconds {
            Some(hold_seconds) => Launching { hold_seconds },
            None => Launching::default(),
        }
    }
}

/// The settings of `S`: what was saved, else what the environment says.
///
/// # Errors
/// When the database fails, or what was saved can't be read: a cap or a window that is lost must not become the default.
pub async fn load<S: Subject>(db: impl PgExecutor<'_>, first: &FirstValues) -> Result<S> {
    let saved =
        sqlx::query_scalar!("select value from settings where name = $1", S::NAME).fetch_optional(db).await?;
    let Some(value) = saved else { return Ok(S::first(first)) };
    serde_json::from_value(value).map_err(|_| Error::Internal(format!("settings {} can't be read", S::NAME)))
}

/// Keep others from changing settings until the transaction ends: what is loaded from here on is still so when it is saved.
///
/// # Errors
/// When the database fails.
pub async fn hold(tx: &mut Tx<'_>) -> Result<()> {
    // The table, since a subject that was never saved has no row to lock. Reading goes on.
    sqlx::query!("lock table settings in share row exclusive mode").execute(&mut **tx).await?;
    Ok(())
}

/// Save the settings of `S`.
///
/// # Errors
/// When the database fails.
pub async fn save<S: Subject>(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    by: Option<StaffId>,
    value: &S,
) -> Result<()> {
    let value = serde_json::to_value(value).map_err(|it| crate::error::Error::Internal(it.to_string()))?;
    sqlx::query!(
        "insert into settings (name, value, updated_at, updated_by) values ($1, $2, $3, $4)
         on conflict (name) do update set value = $2, updated_at = $3, updated_by = $4",
        S::NAME,
        value,
        now,
        by.map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The calendar of public holidays with the business's corrections.
///
/// # Errors
/// When the database fails.
pub async fn calendar(db: impl PgExecutor<'_>) -> Result<Calendar> {
    let rows = sqlx::query!("select day, closed, name from holidays order by day").fetch_all(db).await?;
    let corrections = rows.into_iter().map(|it| Correction { day: it.day, name: it.name, closed: it.closed });
    Ok(Calendar::new(corrections))
}

/// One correction to the computed calendar of public holidays.
#[derive(Clone, Debug)]
pub struct Holiday {
    /// The row.
    pub id: i64,
    /// Local day.
    pub day: NaiveDate,
    /// Why, as shown.
    pub name: String,
    /// Nothing promotional leaves that day; else a computed holiday that is worked.
    pub closed: bool,
}

/// The corrections to the computed calendar, in order.
///
/// # Errors
/// When the database fails.
pub async fn holidays(db: impl PgExecutor<'_>) -> Result<Vec<Holiday>> {
    Ok(sqlx::query_as!(Holiday, "select id, day, name, closed from holidays order by day")
        .fetch_all(db)
        .await?)
}

/// Correct the calendar at one day.
///
/// # Errors
/// [`Error::Invalid`] at `name` or `day`.
pub async fn add_holiday(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    day: NaiveDate,
    name: &str,
    closed: bool,
) -> Result<i64> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Error::invalid("name", "Escribe un motivo de hasta 100 caracteres."));
    }
    sqlx::query_scalar!(
        "insert into holidays (day, name, closed, created_at) values ($1, $2, $3, $4) returning id",
        day,
        name,
        closed,
        now
    )
    .fetch_one(&mut **tx)
    .await
    .on_constraint("holidays_day_once", || {
        Error::invalid("day", "Ese día ya tiene una corrección: quítala antes de poner otra.")
    })
}

/// Take a correction back, and give what it was.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove_holiday(tx: &mut Tx<'_>, id: i64) -> Result<Holiday> {
    sqlx::query_as!(Holiday, "delete from holidays where id = $1 returning id, day, name, closed", id)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)
}
