//! What the gate says to one person at this moment, and when it would let each kind of message go: asked of the same
//! facts and rules as a run asks, and nothing is written.

use super::{
    gate::{self, Asked, Decision, Facts, Rules},
    kinds::{BlockReason, MessageType, OriginKind},
    limits::{self, Cap},
    room, sending,
};
use crate::{
    channels::Channel,
    chile::{business_hours::BusinessHours, holidays::Calendar, time},
    config::FirstValues,
    error::Result,
    ids::{CampaignId, ContactId},
    settings,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

/// Steps to a moment at which a message would go, at most: who needs more waits for something that does not end.
const STEPS: u32 = 30;

/// The rules of a channel, for who only looks.
#[derive(Clone, Debug)]
pub struct Frame {
    channel: Channel,
    calendar: Calendar,
    hours: BusinessHours,
    caps: Vec<Cap>,
    channel_cap: Option<u32>,
    campaign_cap: Option<(CampaignId, u32)>,
}

impl Frame {
    /// As a run would open them at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(
        db: &mut PgConnection,
        now: DateTime<Utc>,
        first: &FirstValues,
        channel: Channel,
    ) -> Result<Frame> {
        let sending = sending::of(&mut *db, first, channel).await?;
        Ok(Frame {
            channel,
            calendar: settings::calendar(&mut *db).await?,
            caps: limits::of_channel(&mut *db, channel).await?,
            channel_cap: sending.cap_today(db, now, channel).await?,
            hours: sending.business_hours,
            campaign_cap: None,
        })
    }

    /// The same for a campaign that has a daily cap of its own.
    #[must_use]
    pub fn capped(self, campaign_cap: Option<(CampaignId, u32)>) -> Frame {
        Frame { campaign_cap, ..self }
    }
}

/// A message that might be sent.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What it is for.
    pub kind: MessageType,
    /// Who would ask for it.
    pub origin: OriginKind,
    /// Personal variables that its text can't do without.
    pub required: &'a [&'a str],
    /// Hours of its own; none: the channel's.
    pub hours: Option<&'a BusinessHours>,
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// At this moment.
    pub now: Decision,
    /// The first moment at which a message would go, if nothing else happens; none: never. How many others leave before
    /// is not known of later days.
    pub free_at: Option<DateTime<Utc>>,
    /// What holds it back longest of all that does once the first is over; none: nothing does for a day or more.
    pub held_then: Option<Decision>,
}

/// Ask the gate of messages to `contact`; it answers in the order of `questions`.
///
/// # Errors
/// When the database fails.
pub async fn ask<const N: usize>(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    frame: &Frame,
    contact: ContactId,
    questions: [Question<'_>; N],
) -> Result<[Answer; N]> {
    let asked = questions.map(|it| Asked {
        contact: Some(contact),
        destination: None,
        kind: it.kind,
        is_test: false,
        asked_for: None,
    });
    let since = limits::counts_since(&frame.caps, now);
    let mut facts = gate::facts(db, frame.channel, &asked, Some(since)).await?.into_iter();
    let caps = room::Caps { channel: frame.channel_cap, campaign: frame.campaign_cap };
    let (channel_left, campaign_left) = room::today(db, now, frame.channel, caps).await?;
    Ok(questions.map(|question| {
        let rules = Rules {
            calendar: &frame.calendar,
            hours: question.hours.unwrap_or(&frame.hours),
            caps: &frame.caps,
            channel_left,
            campaign_left,
            winner_at: None,
        };
        answer(question, &facts.next().unwrap_or_default(), rules, now)
    }))
}

fn answer(question: Question<'_>, facts: &Facts, mut rules: Rules<'_>, now: DateTime<Utc>) -> Answer {
    let decide = |rules: &Rules<'_>, at| {
        gate::decide(question.origin, question.kind, question.required, facts, rules, at)
    };
    let first = decide(&rules, now);
    rules.channel_left = None;
    rules.campaign_left = None;
    let (mut at, mut decision, mut free_at) = (now, first.clone(), None);
    let (mut held_then, mut longest) = (None, TimeDelta::days(1));
    for _ in 0..STEPS {
        if decision == Decision::Allow {
            free_at = Some(at);
            break;
        }
        let (held, from) = (decision.clone(), at);
        at = match decision {
            Decision::Defer { until, .. } => until,
            // The wish ends, though not before this message would be old.
            Decision::Block { reason: BlockReason::Paused | BlockReason::LessOften, .. } => {
                match gate::wish_ends(facts, at) {
                    Some(day) => time::start_of_day(day),
                    None => break,
                }
            }
            Decision::Allow | Decision::Block { .. } => break,
        };
        if from > now && at - from >= longest {
            longest = at - from;
            held_then = Some(held);
        }
        decision = decide(&rules, at);
    }
    Answer { now: first, free_at, held_then }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contacts::rhythm::Rhythm,
        messaging::{kinds::DeferReason, limits::Counted},
    };

    fn free(kind: MessageType, change: impl FnOnce(&mut Facts, &mut Rules<'_>)) -> Option<String> {
        answered(kind, change).free_at.map(|it| time::local(it).format("%F %H:%M").to_string())
    }

    fn answered(kind: MessageType, change: impl FnOnce(&mut Facts, &mut Rules<'_>)) -> Answer {
        let (calendar, hours) = (Calendar::default(), BusinessHours::default());
        let caps = [Cap { id: 1, channel: Channel::Email, message_type: None, max_messages: 1, days: 7 }];
        let mut facts = Facts { destination: Some("a@b.cl".into()), has_basis: true, ..Facts::default() };
        let mut rules = Rules {
            calendar: &calendar,
            hours: &hours,
            caps: &caps,
            channel_left: None,
            campaign_left: None,
            winner_at: None,
        };
        change(&mut facts, &mut rules);
        let question = Question { kind, origin: OriginKind::Campaign, required: &[], hours: None };
        // Monday 23 November 2026, noon.
        answer(question, &facts, rules, "2026-11-23T15:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_holds_it_back_afterwards_is_named_if_that_takes_a_day() {
        let promotion = MessageType::Promocional;
        let got = |facts: &mut Facts, day: &str| {
            let at = format!("{day}T15:00:00Z").parse().unwrap();
            facts.history.push(Counted { message_type: promotion, at });
        };
        let paused = Rhythm { min_days: None, paused_until: Some("2026-11-24".parse().unwrap()) };
        let both = answered(promotion, |it, _| {
            it.rhythm = paused;
            got(it, "2026-11-20");
        });
        let reason = |it: &Option<Decision>| match it {
            Some(Decision::Defer { reason, .. }) => Some(*reason),
            _ => None,
        };
        assert_eq!(reason(&Some(both.now.clone())), Some(DeferReason::Paused));
        assert_eq!(reason(&both.held_then), Some(DeferReason::FrequencyCap), "{both:?}");
        // That the office opens in the morning after is no other reason.
        let capped = answered(promotion, |it, _| got(it, "2026-11-20"));
        assert_eq!(capped.held_then, None, "{capped:?}");
    }

    #[test]
    fn each_kind_is_free_when_all_that_holds_it_is_over() {
        let promotion = MessageType::Promocional;
        let got = |facts: &mut Facts, day: &str| {
            let at = format!("{day}T15:00:00Z").parse().unwrap();
            facts.history.push(Counted { message_type: promotion, at });
        };
        assert_eq!(free(promotion, |_, _| ()).as_deref(), Some("2026-11-23 12:00"));
        assert_eq!(free(promotion, |it, _| got(it, "2026-11-20")).as_deref(), Some("2026-11-27 09:00"));
        let transactional = free(MessageType::Transactional, |it, _| got(it, "2026-11-20"));
        assert_eq!(transactional.as_deref(), Some("2026-11-23 12:00"));
        // What others use up of the day says nothing of the next.
        let used_up = free(promotion, |_, rules| rules.channel_left = Some(0));
        assert_eq!(used_up.as_deref(), Some("2026-11-24 09:00"));
        // Saturday 26 December: the Monday after; more than a message waits, yet the pause ends.
        let pause = Rhythm { min_days: None, paused_until: Some("2026-12-26".parse().unwrap()) };
        assert_eq!(free(promotion, |it, _| it.rhythm = pause).as_deref(), Some("2026-12-28 09:00"));
        assert_eq!(free(promotion, |it, _| it.has_basis = false), None);
    }
}
