//! When and how many messages leave by WhatsApp.

use super::Subject;
use crate::{chile::business_hours::BusinessHours, config::FirstValues};
use serde::{Deserialize, Serialize};

/// When and how many messages leave by WhatsApp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WhatsappChannel {
    /// When promotions may leave.
    pub business_hours: BusinessHours,
    /// Messages a local day, promotions of all campaigns together; none: no cap.
    pub daily_cap: Option<u32>,
    /// Messages a minute, at most; none: as fast as the provider takes them.
    pub per_minute: Option<u32>,
}

impl Subject for WhatsappChannel {
    const NAME: &'static str = "whatsapp";

    fn first(_: &FirstValues) -> WhatsappChannel {
        WhatsappChannel::default()
    }
}
