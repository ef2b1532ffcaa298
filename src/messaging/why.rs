//! What the gate says to one person at this moment, and when it would let each kind of message go: asked of the same
//! facts and rules as a run asks, and nothing is written.

use super::{
    gate::{self, Asked, Decision, Facts, Rules},
    kinds::{BlockReason, MessageType, OriginKind},
    limits::{self, Cap},
    room, warm_up,
};
use crate::{
    channels::Channel,
    chile::{business_hours::BusinessHours, holidays::Calendar, time},
    config::FirstValues,
    error::Result,
    ids::{CampaignId, ContactId},
    settings::{self, EmailChannel},
};
use chrono::{DateTime, Utc};
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
        let email: EmailChannel = settings::load(&mut *db, first).await?;
        Ok(Frame {
            channel,
            calendar: settings::calendar(&mut *db).await?,
            caps: limits::of_channel(&mut *db, channel).await?,
            channel_cap: warm_up::email_cap(db, now, &email).await?,
            hours: email.business_hours,
        })
    }
}

/// A message that might be sent.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// To whom.
    pub contact: ContactId,
    /// What it is for.
    pub kind: MessageType,
    /// Who would ask for it.
    pub origin: OriginKind,
    /// Personal variables that its text can't do without.
    pub required: &'a [&'a str],
    /// A campaign with a daily cap of its own.
    pub capped: Option<(CampaignId, u32)>,
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
}

/// Ask the gate.
///
/// # Errors
/// When the database fails.
pub async fn ask(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    frame: &Frame,
    question: Question<'_>,
) -> Result<Answer> {
    let facts = facts(db, now, frame, &[question]).await?.pop().unwrap_or_default();
    let left = frame.room(db, now, question.capped).await?;
    Ok(answer(question, &facts, frame.rules(&question, left), now))
}

/// Ask the gate several things in one look; the answers are in their order.
///
/// # Errors
/// When the database fails.
pub async fn ask_all(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    frame: &Frame,
    questions: &[Question<'_>],
) -> Result<Vec<Answer>> {
    let facts = facts(db, now, frame, questions).await?;
    let mut rooms = Vec::new();
    let mut answers = Vec::new();
    for (question, facts) in questions.iter().zip(&facts) {
        let known = rooms.iter().find(|it: &&(_, Left)| it.0 == question.capped).map(|it| it.1);
        let left = match known {
            Some(left) => left,
            None => frame.room(db, now, question.capped).await?,
        };
        if known.is_none() {
            rooms.push((question.capped, left));
        }
        answers.push(answer(*question, facts, frame.rules(question, left), now));
    }
    Ok(answers)
}

/// What is left of the channel's cap, and of the campaign's.
type Left = (Option<u32>, Option<u32>);

impl Frame {
    async fn room(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
        campaign: Option<(CampaignId, u32)>,
    ) -> Result<Left> {
        room::today(db, now, self.channel, room::Caps { channel: self.channel_cap, campaign }).await
    }

    fn rules<'a>(&'a self, question: &Question<'a>, (channel_left, campaign_left): Left) -> Rules<'a> {
        Rules {
            calendar: &self.calendar,
            hours: question.hours.unwrap_or(&self.hours),
            caps: &self.caps,
            channel_left,
            campaign_left,
            winner_at: None,
        }
    }
}

async fn facts(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    frame: &Frame,
    questions: &[Question<'_>],
) -> Result<Vec<Facts>> {
    let asked = questions.iter().map(|it| Asked {
        contact: Some(it.contact),
        destination: None,
        kind: it.kind,
        is_test: false,
        asked_for: None,
    });
    let since = limits::counts_since(&frame.caps, now);
    gate::facts(db, frame.channel, &asked.collect::<Vec<_>>(), Some(since)).await
}

fn answer(question: Question<'_>, facts: &Facts, mut rules: Rules<'_>, now: DateTime<Utc>) -> Answer {
    let decide = |rules: &Rules<'_>, at| {
        gate::decide(question.origin, question.kind, question.required, facts, rules, at)
    };
    let first = decide(&rules, now);
    rules.channel_left = None;
    rules.campaign_left = None;
    let (mut at, mut decision, mut free_at) = (now, first.clone(), None);
    for _ in 0..STEPS {
        at = match decision {
            Decision::Allow => {
                free_at = Some(at);
                break;
            }
            Decision::Defer { until, .. } => until,
            // The wish ends, though not before this message would be old.
            Decision::Block { reason: BlockReason::Paused | BlockReason::LessOften, .. } => {
                match gate::wish_ends(facts, at) {
                    Some(day) => time::start_of_day(day),
                    None => break,
                }
            }
            Decision::Block { .. } => break,
        };
        decision = decide(&rules, at);
    }
    Answer { now: first, free_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contacts::rhythm::Rhythm, messaging::limits::Counted};

    fn free(kind: MessageType, change: impl FnOnce(&mut Facts, &mut Rules<'_>)) -> Option<String> {
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
        let question = Question {
            contact: ContactId(1),
            kind,
            origin: OriginKind::Campaign,
            required: &[],
            capped: None,
            hours: None,
        };
        // Monday 23 November 2026, noon.
        let answer = answer(question, &facts, rules, "2026-11-23T15:00:00Z".parse().unwrap());
        answer.free_at.map(|it| time::local(it).format("%F %H:%M").to_string())
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
