//! What the business lets the provider cost and do: budget, limits, the prices by which a call is reckoned, and whether
//! somebody looks at what comes before it is used. Pure, but for
//! being a subject of settings.

use crate::{
    config::FirstValues,
    error::{Error, FieldError, Result},
    settings::Subject,
};
use serde::{Deserialize, Serialize};

/// Millionths of a peso in one: a call costs about one peso.
pub const MICRO: i64 = 1_000_000;

/// What it may cost, and how that is reckoned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Pesos that a local month may cost; 0: nothing is asked.
    pub monthly_budget: u32,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Days for which the same question keeps its answer; 0: it is asked anew.
    pub cache_days: u32,
    /// Price of a million tokens sent, in ten-thousandths of a yuan.
    pub price_sent: u32,
    /// Price of a million tokens sent that the provider had in its cache, in ten-thousandths of a yuan.
    pub price_cached: u32,
    /// Price of a million tokens written, in ten-thousandths of a yuan.
    pub price_written: u32,
    /// Price of a yuan, in hundredths of a peso.
    pub rate: u32,
    /// A person looks at what comes before a draft takes it; else the draft takes the first that nothing speaks against.
    pub review_first: bool,
}

impl Default for Terms {
    /// The provider's published prices at its dearest hours, autumn 2026, and a round rate.
    fn default() -> Terms {
        Terms {
            monthly_budget: 3000,
            max_tokens: 800,
            cache_days: 30,
            price_sent: 20_000,
            price_cached: 400,
            price_written: 80_000,
            rate: 13_500,
            review_first: true,
        }
    }
}

/// What a call used, as the provider counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens sent.
    pub prompt: u32,
    /// Of those, what the provider had in its cache.
    pub cached: u32,
    /// Tokens written.
    pub completion: u32,
}

impl Terms {
    /// What `usage` costs, in millionths of a peso, rounded up.
    #[must_use]
    pub fn cost(&self, usage: Usage) -> i64 {
        let cached = usage.cached.min(usage.prompt);
        let priced = [
            (usage.prompt - cached, self.price_sent),
            (cached, self.price_cached),
            (usage.completion, self.price_written),
        ];
        let yuan: u128 = priced.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        // Ten-thousandths for a million tokens, times hundredths of a peso: 10^12 to a peso.
        i64::try_from((yuan * u128::from(self.rate)).div_ceil(1_000_000)).unwrap_or(i64::MAX)
    }

    /// The most that a call with these texts may cost: a token is at least one byte.
    #[must_use]
    pub fn most(&self, instructions: &str, prompt: &str) -> i64 {
        // The provider wraps each text in a few tokens of its own.
        let bytes = u32::try_from(instructions.len() + prompt.len() + 64).unwrap_or(u32::MAX);
        self.cost(Usage { prompt: bytes, cached: 0, completion: self.max_tokens })
    }

    /// The budget, in millionths of a peso.
    #[must_use]
    pub fn budget_micro(&self) -> i64 {
        i64::from(self.monthly_budget) * MICRO
    }

    /// With numbers that make sense.
    ///
    /// # Errors
    /// [`Error::Invalid`] with each wrong field.
    pub fn checked(self) -> Result<Terms> {
        let mut wrong = Vec::new();
        let mut within = |field, value: u32, from: u32, to: u32, said: &str| {
            if !(from..=to).contains(&value) {
                wrong.push(FieldError::new(field, said));
            }
        };
        within("monthly_budget", self.monthly_budget, 0, 10_000_000, "Escribe pesos entre 0 y 10.000.000.");
        within("max_tokens", self.max_tokens, 200, 4000, "Escribe un número entre 200 y 4.000.");
        within("cache_days", self.cache_days, 0, 365, "Escribe un número de días entre 0 y 365.");
        let price = "Escribe un precio en yuanes entre 0 y 10.000.";
        within("price_sent", self.price_sent, 0, 100_000_000, price);
        within("price_cached", self.price_cached, 0, 100_000_000, price);
        within(
            "price_written",
            self.price_written,
            1,
            100_000_000,
            "Escribe un precio en yuanes mayor que 0.",
        );
        within("rate", self.rate, 100, 10_000_000, "Escribe pesos por yuan, entre 1 y 100.000.");
        if wrong.is_empty() { Ok(self) } else { Err(Error::Invalid(wrong)) }
    }
}

impl Subject for Terms {
    const NAME: &'static str = "copywriter";

    fn first(_: &FirstValues) -> Terms {
        Terms::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_what_it_used() {
        let cost = |prompt, cached, completion| Terms::default().cost(Usage { prompt, cached, completion });
        // A million written: 8 yuan at 135 pesos.
        assert_eq!(cost(0, 0, 1_000_000), 1080 * MICRO);
        assert_eq!(cost(1_000_000, 1_000_000, 0), 5_400_000);
        assert_eq!(cost(1000, 400, 300), 162_000 + 2160 + 324_000);
        assert_eq!(cost(0, 0, 0), 0);
        // More in the cache than was sent is a slip of the provider's.
        assert_eq!(cost(10, 20, 0), cost(10, 10, 0));
        assert!(cost(u32::MAX, 0, u32::MAX) > 0);
    }

    #[test]
    fn the_most_is_never_less_than_what_a_call_can_come_to() {
        let terms = Terms::default();
        let text = "ñandú".repeat(100);
        let usage = Usage { prompt: 600, cached: 0, completion: terms.max_tokens };
        assert!(terms.most(&text, "") >= terms.cost(usage));
    }

    #[test]
    fn senseless_numbers_are_named() {
        assert_eq!(Terms::default().checked().unwrap(), Terms::default());
        let Err(Error::Invalid(wrong)) = (Terms { max_tokens: 10, rate: 0, ..Terms::default() }).checked()
        else {
            panic!("refused")
        };
        assert_eq!(wrong.iter().map(|it| it.field).collect::<Vec<_>>(), ["max_tokens", "rate"]);
    }
}
