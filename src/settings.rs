//! The business's own choices, one document a subject. Who may change them, and
//! the forms, are the web's; this knows only what they mean and how they are kept.

use crate::{
    chile::{
        business_hours::BusinessHours,
        holidays::{Calendar, Correction},
    },
    config::FirstValues,
    db::Tx,
    error::Result,
    ids::StaffId,
};
use chrono::{DateTime, Utc};
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

/// How email leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailChannel {
    /// Messages a local day, promotions of all campaigns together; none: no cap.
    pub daily_cap: Option<u32>,
    /// When promotions may leave.
    pub business_hours: BusinessHours,
    /// Name shown as sender; empty: the business's.
    pub from_name: String,
    /// Sender address; empty: `DEFAULT_FROM_EMAIL`, then the business's.
    pub from_email: String,
    /// Where replies go; empty: the sender address.
    pub reply_to: String,
}

impl Default for EmailChannel {
    fn default() -> EmailChannel {
        EmailChannel {
            // A new sender starts low: mailbox providers distrust sudden volume.
            daily_cap: Some(50),
            business_hours: BusinessHours::default(),
            from_name: String::new(),
            from_email: String::new(),
            reply_to: String::new(),
        }
    }
}

impl Subject for EmailChannel {
    const NAME: &'static str = "email";

    fn first(values: &FirstValues) -> EmailChannel {
        let fallback = EmailChannel::default();
        EmailChannel {
            daily_cap: match values.email_daily_cap {
                None => fallback.daily_cap,
                Some(0) => None,
                Some(cap) => Some(cap),
            },
            ..fallback
        }
    }
}

/// The settings of `S`: what was saved, else what the environment says.
///
/// # Errors
/// When the database fails.
pub async fn load<S: Subject>(db: impl PgExecutor<'_>, first: &FirstValues) -> Result<S> {
    let saved =
        sqlx::query_scalar!("select value from settings where name = $1", S::NAME).fetch_optional(db).await?;
    Ok(saved.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_else(|| S::first(first)))
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
