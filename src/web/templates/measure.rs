//! How long a text message is, for one person and for the longest names, and what it costs.

use super::campaigns_letter::Tried;
use crate::{
    channels::{
        Channel,
        sms::{self as signs, Count},
    },
    chile::format,
    error::Result,
    messaging::{sms, template::Source},
    settings::{self, Business, SmsChannel},
    state::AppState,
};
use std::borrow::Cow;

/// A length and what it costs.
pub(super) struct Measure {
    pub(super) count: Count,
    /// What it costs, as people read it; none: nobody told the price.
    pub(super) cost: Option<String>,
}

impl Measure {
    fn of(text: &str, channel: &SmsChannel) -> Measure {
        let count = signs::count(text);
        Measure { count, cost: channel.cost(count.parts).map(format::exact_money) }
    }

    fn is_more_than(&self, other: &Measure) -> bool {
        let of = |it: &Count| (it.parts, it.units);
        of(&self.count) > of(&other.count)
    }

    pub(super) fn parts(&self) -> String {
        format::count(i64::try_from(self.count.parts).unwrap_or(i64::MAX), "parte", "partes")
    }

    /// What all its parts hold.
    pub(super) fn room(&self) -> usize {
        self.count.units + self.count.left
    }
}

/// What there is to say of how long a text is.
pub(super) struct Measured {
    /// For the person it is shown for.
    pub(super) shown: Measure,
    /// For whom it is longest; none: it is no longer than what is shown, or cannot be told.
    pub(super) longest: Option<Measure>,
    /// Signs that make it hold less than half, and what to write instead.
    pub(super) costly: Vec<(String, Option<String>)>,
    /// The text of the longest is more than the provider takes.
    pub(super) may_be_cut: bool,
}

impl Measured {
    /// None: it is no text message, or it cannot be filled.
    pub(super) async fn of(
        state: &AppState,
        channel: Channel,
        source: &Source,
        tried: &Tried,
    ) -> Result<Option<Measured>> {
        let Some(message) = tried.as_ref().ok().and_then(|it| it.message.as_ref().ok()) else {
            return Ok(None);
        };
        if channel != Channel::Sms {
            return Ok(None);
        }
        let mut db = state.db.acquire().await?;
        let price: SmsChannel = settings::load(&mut *db, &state.config.first_values).await?;
        let business: Business = settings::load(&mut *db, &state.config.first_values).await?;
        drop(db);
        let shown = Measure::of(&message.plain, &price);
        let longest = sms::longest(source, &business, &state.config.public_url);
        let may_be_cut = longest.as_ref().is_some_and(|it| it.chars().count() > signs::LONGEST);
        let longest = longest.map(|it| Measure::of(&it, &price)).filter(|it| it.is_more_than(&shown));
        let costly = signs::outside(&message.plain)
            .into_iter()
            .map(|it| (it.to_string(), signs::replacement(it).map(Cow::into_owned)))
            .collect();
        Ok(Some(Measured { shown, longest, costly, may_be_cut }))
    }
}
