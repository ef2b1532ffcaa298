//! What every channel has of its own: when promotions may leave by it, how many a day and how many a minute.

use super::warm_up::{self, Plan};
use crate::{
    channels::Channel,
    chile::business_hours::BusinessHours,
    config::FirstValues,
    error::Result,
    settings::{EmailChannel, SmsChannel, Subject, WhatsappChannel, load},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// When promotions may leave by a channel, how many a local day and how many a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When.
    pub business_hours: BusinessHours,
    /// How many, of all campaigns together, or how many a plan that grows began with; none: no cap.
    pub daily_cap: Option<u32>,
    /// How many a minute, at most; none: as fast as the provider takes them.
    pub per_minute: Option<u32>,
    /// By what `daily_cap` grows; none: it is fixed. Only mailbox providers distrust a sender whom they do not know, so that
    /// only email has one.
    pub growth: Option<Plan>,
}

impl Sending {
    /// The cap of today of `channel`, whose this is, warming up or fixed; none: no cap.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cap_today(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
        channel: Channel,
    ) -> Result<Option<u32>> {
        match self.growth {
            Some(plan) => Ok(Some(warm_up::cap_today(db, now, channel, plan).await?)),
            None => Ok(self.daily_cap),
        }
    }
}

/// The settings of one channel.
pub trait OfChannel: Subject {
    /// Which.
    const CHANNEL: Channel;

    /// When and how many a day, beside whatever else the settings say. How many a minute holds no message to a later day.
    fn rules(&self) -> impl PartialEq + '_;

    /// Whether what was put off by what `before` said might leave by this.
    #[must_use]
    fn may_free(&self, before: &Self) -> bool {
        self.rules() != before.rules()
    }
}

impl OfChannel for EmailChannel {
    const CHANNEL: Channel = Channel::Email;

    fn rules(&self) -> impl PartialEq + '_ {
        (&self.business_hours, self.daily_cap, self.warm_up, self.warm_up_ceiling)
    }
}

impl OfChannel for SmsChannel {
    const CHANNEL: Channel = Channel::Sms;

    fn rules(&self) -> impl PartialEq + '_ {
        (&self.business_hours, self.daily_cap)
    }
}

impl OfChannel for WhatsappChannel {
    const CHANNEL: Channel = Channel::Whatsapp;

    fn rules(&self) -> impl PartialEq + '_ {
        (&self.business_hours, self.daily_cap)
    }
}

/// Those of `channel`.
///
/// # Errors
/// As [`load`].
pub async fn of(db: impl PgExecutor<'_>, first: &FirstValues, channel: Channel) -> Result<Sending> {
    Ok(match channel {
        Channel::Email => {
            let email: EmailChannel = load(db, first).await?;
            let growth = Plan::of_email(&email);
            let EmailChannel { business_hours, daily_cap, per_minute, .. } = email;
            Sending { business_hours, daily_cap, per_minute, growth }
        }
        Channel::Sms => {
            let SmsChannel { business_hours, daily_cap, per_minute, .. } = load(db, first).await?;
            Sending { business_hours, daily_cap, per_minute, growth: None }
        }
        Channel::Whatsapp => {
            let WhatsappChannel { business_hours, daily_cap, per_minute } = load(db, first).await?;
            Sending { business_hours, daily_cap, per_minute, growth: None }
        }
    })
}
