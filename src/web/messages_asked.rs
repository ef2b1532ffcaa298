//! What the list of messages is narrowed to, as its address says it.

use crate::{
    channels::Channel,
    ids::{CampaignId, ContactId, MailingId, TemplateId},
    messaging::{
        kinds::{BlockReason, DeferReason, Milestone, Status},
        story::{Deferred, Drawn, Filter},
    },
    reports::home,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The filters of the list, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) campaign: String,
    pub(super) mailing: String,
    pub(super) contact: String,
    /// Whom it went to, as typed.
    pub(super) to: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) deferred: String,
    pub(super) channel: String,
    pub(super) left: String,
    /// `today`: promotions that left today.
    pub(super) sent: String,
    /// `week`: what failed in the last seven days.
    pub(super) failed: String,
    pub(super) unsubscribed: String,
    /// How far it got.
    pub(super) reached: String,
    /// Seconds since 1970, from and until.
    pub(super) from: String,
    pub(super) until: String,
    pub(super) domain: String,
    /// A version of a text and the number of a link in it: `7.2`.
    pub(super) link: String,
    /// Which of several texts: its place for those of the sample, `rest` for who got the winner.
    /// Or `text0` for both.
    pub(super) variant: String,
    /// Whether its recipient bought something after.
    pub(super) bought: String,
    pub(super) tests: String,
    pub(super) before: String,
}

impl Asked {
    pub(super) fn filter(&self, now: DateTime<Utc>) -> Filter {
        let today = Some(home::sent_today(now)).filter(|_| self.sent == "today").unwrap_or_default();
        let week = Some(home::failed_lately(now)).filter(|_| self.failed == "week").unwrap_or_default();
        Filter {
            promotional: today.promotional,
            sent_since: today.sent_since,
            failed_since: week.failed_since,
            campaign: self.campaign.parse().ok().map(CampaignId),
            mailing: self.mailing.parse().ok().map(MailingId),
            contact: self.contact.parse().ok().map(ContactId),
            recipients: None,
            status: Status::from_code(&self.status),
            block_reason: BlockReason::from_code(&self.reason),
            deferred: match self.deferred.as_str() {
                "" => None,
                "no" => Some(Deferred::No),
                code => Some(DeferReason::from_code(code).map_or(Deferred::Any, Deferred::For)),
            },
            left: !self.left.is_empty(),
            channel: Channel::from_code(&self.channel),
            unsubscribed: !self.unsubscribed.is_empty(),
            reached: Milestone::from_code(&self.reached),
            between: instant(&self.from).zip(instant(&self.until)),
            domain: Some(self.domain.trim().to_lowercase()).filter(|it| !it.is_empty()),
            link: self
                .link
                .split_once('.')
                .and_then(|(text, number)| Some((TemplateId(text.parse().ok()?), number.parse().ok()?))),
            variant: match self.variant.as_str() {
                "rest" => Some(Drawn::Winner),
                place => match place.strip_prefix("text") {
                    Some(place) => place.parse().ok().map(Drawn::Any),
                    None => place.parse().ok().map(Drawn::InSample),
                },
            },
            bought: !self.bought.is_empty() && self.campaign.parse::<i64>().is_ok(),
            tests: !self.tests.is_empty(),
        }
    }

    /// What a search for a person keeps of the rest.
    pub(super) fn kept(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("campaign", &self.campaign),
            ("mailing", &self.mailing),
            ("status", &self.status),
            ("deferred", &self.deferred),
            ("left", &self.left),
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("channel", &self.channel),
            ("unsubscribed", &self.unsubscribed),
            ("reached", &self.reached),
            ("from", &self.from),
            ("until", &self.until),
            ("domain", &self.domain),
            ("link", &self.link),
            ("variant", &self.variant),
            ("bought", &self.bought),
        ];
        all.into_iter().filter(|it| !it.1.is_empty()).map(|(name, value)| (name, value.as_str())).collect()
    }

    /// Without what stands for no filter, so that no chip says what the list is not.
    pub(super) fn understood(mut self, now: DateTime<Utc>) -> Asked {
        let filter = self.filter(now);
        self.to = self.to.trim().to_owned();
        for (text, is_known) in [
            (&mut self.campaign, filter.campaign.is_some()),
            (&mut self.mailing, filter.mailing.is_some()),
            (&mut self.contact, filter.contact.is_some()),
            (&mut self.status, filter.status.is_some()),
            (&mut self.reason, filter.block_reason.is_some()),
            (&mut self.channel, filter.channel.is_some()),
            (&mut self.sent, filter.sent_since.is_some()),
            (&mut self.failed, filter.failed_since.is_some()),
            (&mut self.reached, filter.reached.is_some()),
            (&mut self.from, filter.between.is_some()),
            (&mut self.until, filter.between.is_some()),
            (&mut self.domain, filter.domain.is_some()),
            (&mut self.link, filter.link.is_some()),
            (&mut self.variant, filter.variant.is_some()),
            (&mut self.bought, filter.bought),
        ] {
            if !is_known {
                text.clear();
            }
        }
        self
    }

    /// The address of the list with these filters.
    pub(super) fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("campaign", &self.campaign),
            ("mailing", &self.mailing),
            ("contact", &self.contact),
            ("to", &self.to),
            ("status", &self.status),
            ("reason", &self.reason),
            ("deferred", &self.deferred),
            ("channel", &self.channel),
            ("left", &self.left),
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("unsubscribed", &self.unsubscribed),
            ("reached", &self.reached),
            ("from", &self.from),
            ("until", &self.until),
            ("domain", &self.domain),
            ("link", &self.link),
            ("variant", &self.variant),
            ("bought", &self.bought),
            ("tests", &self.tests),
            ("before", &self.before),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/messages".to_owned() } else { format!("/messages?{query}") }
    }

    /// The same people, another state.
    pub(super) fn state(&self, change: impl FnOnce(&mut Asked)) -> Asked {
        let mut other = Asked {
            campaign: self.campaign.clone(),
            mailing: self.mailing.clone(),
            contact: self.contact.clone(),
            to: self.to.clone(),
            channel: self.channel.clone(),
            ..Asked::default()
        };
        change(&mut other);
        other
    }
}

/// An instant, as the address has it.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(text.parse().ok()?, 0)
}
