//! How email leaves, and when.

use super::{Subject, is_address};
use crate::{
    chile::business_hours::BusinessHours,
    config::FirstValues,
    error::{Error, FieldError, Result},
};
use serde::{Deserialize, Serialize};

/// How email leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailChannel {
    /// Messages a local day, promotions of all campaigns together; none: no cap.
    pub daily_cap: Option<u32>,
    /// `daily_cap` is only where it starts: it grows day by day.
    pub warm_up: bool,
    /// Up to here; none: without end.
    pub warm_up_ceiling: Option<u32>,
    /// Messages a minute, at most; none: as fast as the server takes them.
    pub per_minute: Option<u32>,
    /// When promotions may leave.
    pub business_hours: BusinessHours,
    /// Name shown as sender; empty: the business's.
    pub from_name: String,
    /// Sender address; empty: `DEFAULT_FROM_EMAIL`, then the business's.
    pub from_email: String,
    /// Where replies go; empty: the sender address.
    pub reply_to: String,
    /// New campaigns tell of openings and clicks, unless they say otherwise.
    pub tracks: bool,
}

impl Default for EmailChannel {
    fn default() -> EmailChannel {
        EmailChannel {
            // A new sender starts low: mailbox providers distrust sudden volume.
            daily_cap: Some(50),
            warm_up: false,
            warm_up_ceiling: None,
            per_minute: None,
            business_hours: BusinessHours::default(),
            from_name: String::new(),
            from_email: String::new(),
            reply_to: String::new(),
            tracks: true,
        }
    }
}

impl EmailChannel {
    /// Tidied.
    ///
    /// # Errors
    /// [`Error::Invalid`] with each wrong field.
    pub fn checked(self) -> Result<EmailChannel> {
        let clean = EmailChannel {
            from_name: self.from_name.split_whitespace().collect::<Vec<_>>().join(" "),
            from_email: self.from_email.trim().to_lowercase(),
            reply_to: self.reply_to.trim().to_lowercase(),
            ..self
        };
        let mut wrong = Vec::new();
        if clean.warm_up && clean.daily_cap.is_none() {
            wrong.push(FieldError::new("daily_cap", "Escribe con cuántos mensajes parte el calentamiento."));
        }
        if clean.warm_up
            && clean.warm_up_ceiling.zip(clean.daily_cap).is_some_and(|(most, start)| most < start)
        {
            wrong.push(FieldError::new(
                "warm_up_ceiling",
                "El máximo no puede ser menor que el tope con que parte.",
            ));
        }
        if clean.from_name.chars().count() > 100 {
            wrong.push(FieldError::new("from_name", "Usa a lo más 100 caracteres."));
        }
        for (field, text) in [("from_email", &clean.from_email), ("reply_to", &clean.reply_to)] {
            if !text.is_empty() && !is_address(text) {
                wrong.push(FieldError::new(field, "Escribe un correo como hola@tunegocio.cl."));
            }
        }
        if wrong.is_empty() { Ok(clean) } else { Err(Error::Invalid(wrong)) }
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
            warm_up: values.email_daily_cap.is_none(),
            ..fallback
        }
    }
}
