//! What text messages cost, and when and how many leave.

use super::Subject;
use crate::{
    chile::business_hours::BusinessHours,
    config::FirstValues,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};

/// What text messages cost, and when and how many leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsChannel {
    /// Hundredths of a peso that the provider charges for each part; none: nobody told.
    pub part_price: Option<u32>,
    /// When promotions may leave.
    pub business_hours: BusinessHours,
    /// Messages a local day, promotions of all campaigns together; none: no cap.
    pub daily_cap: Option<u32>,
    /// Messages a minute, at most; none: as fast as the provider takes them.
    pub per_minute: Option<u32>,
}

impl SmsChannel {
    /// With a price that a part may have.
    ///
    /// # Errors
    /// [`Error::Invalid`] otherwise.
    pub fn checked(self) -> Result<SmsChannel> {
        if self.part_price.is_none_or(|it| (1..=100_000).contains(&it)) {
            Ok(self)
        } else {
            Err(Error::invalid("part_price", "Escribe un precio entre $0,01 y $1.000, o déjalo en blanco."))
        }
    }

    /// Hundredths of a peso that a message of `parts` costs.
    #[must_use]
    pub fn cost(&self, parts: usize) -> Option<i64> {
        Some(i64::from(self.part_price?) * i64::try_from(parts).ok()?)
    }
}

impl Subject for SmsChannel {
    const NAME: &'static str = "sms";

    fn first(_: &FirstValues) -> SmsChannel {
        SmsChannel::default()
    }
}
