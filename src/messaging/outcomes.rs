//! What came of each message that a run handed over: counted, judged and written
//! down. Knows the run; what a result means for the row is [`super::outbox`]'s.

use super::{
    claim::Claimed,
    inbound,
    kinds::{OriginKind, Scope, SuppressionReason},
    lanes::{CHUNK, Shared, lock},
    outbox::{self, Finished, Outcome},
    patience::Wait,
    refusals::{self, Fault},
    streams::Sendout,
    suppression::{self, Entry},
};
use crate::{
    access::Actor,
    channels::{
        self, Channel, SendError,
        email::blame::Blame,
        feedback::{Kind, Report},
    },
    error::Result,
    ids::MessageId,
};
use chrono::TimeDelta;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Faults of the line in a row, without a message taken in between, after which a run gives up.
const FAULTS: u32 = 3;

/// The same for temporary answers about one recipient each: greylisting must not end a run.
const PUT_OFFS: u32 = 20;

/// The same for those that ask us to go slowly.
const BRAKES: u32 = 5;

/// When a message is tried again whose turn found the provider away: the next run takes it up.
const AWAY: TimeDelta = TimeDelta::minutes(5);

/// How long the writer of a large batch waits for more results to put down together.
const GATHER: Duration = Duration::from_millis(5);

impl Shared {
    /// Count what came of a message and decide what follows.
    pub(super) fn outcome(
        &self,
        claimed: &Claimed,
        sent: std::result::Result<channels::Accepted, SendError>,
    ) -> Outcome {
        match sent {
            Ok(accepted) => {
                self.the_line_works();
                self.count(|it| it.sent += 1);
                Outcome::Sent { external_id: accepted.external_id, answer: accepted.answer }
            }
            Err(SendError::Temporary { answer }) => self.temporary(claimed, answer),
            Err(SendError::Unavailable { answer }) => self.unavailable(claimed, answer),
            Err(SendError::Recipient { answer, dead }) => {
                self.the_line_works();
                self.failed(claimed, answer, dead)
            }
            Err(SendError::Policy { answer }) => self.failed(claimed, answer, false),
            Err(SendError::Sender { answer }) => self.refused_ourselves(claimed, answer),
            Err(SendError::Uncertain { answer }) => {
                self.count(|it| it.unconfirmed += 1);
                // A line that cuts off message after message must not leave thousands in doubt.
                self.give_up_after(FAULTS, &self.faults_in_a_row, &answer);
                Outcome::Unconfirmed { answer }
            }
        }
    }

    /// The provider refuses us: the campaign or mailing is to be paused. The message is not to blame, but goes
    /// behind the others, in case it is alone in being refused.
    fn refused_ourselves(&self, claimed: &Claimed, answer: String) -> Outcome {
        if self.only {
            return self.failed(claimed, answer, false);
        }
        self.count(|it| it.deferred += 1);
        if let Some(sendout) = claimed.sendout {
            self.in_trouble(sendout, Fault { answer: answer.clone(), people: None });
        } else {
            *lock(&self.unreachable) = Some(answer.clone());
            self.stop.cancel();
        }
        Outcome::Untouched { until: Some(self.engine.clock.now() + TimeDelta::minutes(10)), answer }
    }

    /// Nothing more of `sendout` is begun, and whoever asked for the run pauses it.
    fn in_trouble(&self, sendout: Sendout, fault: Fault) {
        let mut trouble = lock(&self.trouble);
        if !trouble.iter().any(|(it, _)| *it == sendout) {
            trouble.push((sendout, fault));
        }
    }

    /// It never will leave. What the server says of a mailbox, or refuses by a rule, counts as what comes back later does.
    fn failed(&self, claimed: &Claimed, answer: String, dead: bool) -> Outcome {
        self.count(|it| it.failed += 1);
        let mut told = None;
        if !dead && self.channel == Channel::Email && claimed.origin != OriginKind::Test {
            let id = format!("{}:{}", claimed.id, self.run.0);
            let mut report = Report::new(Kind::SoftBounce, id).said(None, Some(&answer)).bounced(None);
            report.recipient = Some(claimed.destination.clone());
            told = Some(Box::new(report))
                .filter(|it| matches!(it.cause, Some(Blame::Full | Blame::Disabled | Blame::Policy)));
        }
        Outcome::Failed { answer, dead: dead.then(|| claimed.destination.clone()), told }
    }

    fn the_line_works(&self) {
        self.faults_in_a_row.store(0, Ordering::SeqCst);
        self.put_offs_in_a_row.store(0, Ordering::SeqCst);
    }

    fn give_up_after(&self, most: u32, in_a_row: &AtomicU32, answer: &str) {
        if in_a_row.fetch_add(1, Ordering::SeqCst) + 1 >= most {
            *lock(&self.unreachable) = Some(answer.to_owned());
            self.stop.cancel();
        }
    }

    /// The provider is away: no try of this message, however long that lasts.
    fn unavailable(&self, claimed: &Claimed, answer: String) -> Outcome {
        if Wait::of(&answer) == Wait::Pace {
            self.slow_down(&answer);
        }
        self.give_up_after(FAULTS, &self.faults_in_a_row, &answer);
        if self.only {
            return self.failed(claimed, answer, false);
        }
        self.count(|it| it.deferred += 1);
        Outcome::Untouched { until: Some(self.engine.clock.now() + AWAY), answer }
    }

    fn temporary(&self, claimed: &Claimed, answer: String) -> Outcome {
        let (attempt, now, wait) = (claimed.attempts + 1, self.engine.clock.now(), Wait::of(&answer));
        if wait == Wait::Pace {
            self.slow_down(&answer);
        }
        let most = if wait == Wait::Pace { BRAKES } else { PUT_OFFS };
        self.give_up_after(most, &self.put_offs_in_a_row, &answer);
        if self.only || wait.is_over(attempt, claimed.tried_since.unwrap_or(now), now) {
            return self.failed(claimed, answer, false);
        }
        self.count(|it| it.deferred += 1);
        Outcome::Retry { until: now + wait.interval(attempt, rand::random_range(0.8..1.2)), answer }
    }

    /// Write results down as they come, all that wait in one transaction. A
    /// database that is away is asked again: what was sent must not be forgotten.
    pub(super) async fn write_down(self: Arc<Self>, mut inbox: mpsc::Receiver<Finished>) -> Result<()> {
        let mut waiting = Vec::with_capacity(256);
        while inbox.recv_many(&mut waiting, 256).await > 0 {
            if self.bulk.load(Ordering::SeqCst) && waiting.len() < CHUNK {
                tokio::time::sleep(GATHER).await;
                while waiting.len() < 256 {
                    let Ok(more) = inbox.try_recv() else { break };
                    waiting.push(more);
                }
            }
            let mut pause = Duration::from_millis(200);
            let patience = tokio::time::Instant::now() + Duration::from_mins(10);
            while let Err(error) = self.write(&waiting).await {
                // Also where the wait ends well: the run began nothing more, and people are told why.
                self.stopped_early(&error.to_string());
                self.stop.cancel();
                if !error.may_pass() || tokio::time::Instant::now() > patience {
                    tracing::error!(
                        error = error.description(),
                        messages = waiting.len(),
                        "Results of messages could not be written down"
                    );
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            waiting.clear();
        }
        Ok(())
    }

    async fn write(&self, finished: &[Finished]) -> Result<()> {
        let mut tx = self.engine.db.begin().await?;
        outbox::finish(&mut tx, self.run, finished).await?;
        let mut by_rule: Vec<Sendout> = Vec::new();
        for it in finished {
            if let Outcome::Failed { told: Some(report), .. } = &it.outcome {
                inbound::told_at_once(&mut tx, it.at, MessageId(it.id), report).await?;
                let policy = it.sendout.filter(|_| report.cause == Some(Blame::Policy));
                by_rule.extend(policy.filter(|it| !by_rule.contains(it)));
            }
            if let Outcome::Failed { answer, dead: Some(address), .. } = &it.outcome {
                let entry = Entry {
                    channel: self.channel,
                    destination: address,
                    scope: Scope::All,
                    reason: SuppressionReason::HardBounce,
                    detail: Some(answer),
                    message: Some(MessageId(it.id)),
                };
                suppression::suppress(&mut tx, it.at, &Actor::System, &entry).await?;
            }
        }
        let mut faults = Vec::new();
        for sendout in by_rule.into_iter().filter(|it| !self.is_troubled(*it)) {
            faults.extend(refusals::fault(&mut tx, sendout).await?.map(|it| (sendout, it)));
        }
        tx.commit().await?;
        for (sendout, fault) in faults {
            self.in_trouble(sendout, fault);
        }
        Ok(())
    }
}
