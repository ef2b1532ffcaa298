//! What came of each message that a run handed over: counted, judged and written
//! down. Knows the run; what a result means for the row is [`super::outbox`]'s.

use super::{
    claim::Claimed,
    kinds::{Scope, SuppressionReason},
    lanes::{CHUNK, Shared, lock},
    outbox::{self, Finished, Outcome},
    suppression::{self, Entry},
};
use crate::{
    access::Actor,
    channels::{self, SendError},
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

/// The same for temporary answers about one recipient each: greylisting must not end a run, throttling should.
const PUT_OFFS: u32 = 20;

/// When a message is tried again whose turn found the provider away: the next run takes it up.
const AWAY: TimeDelta = TimeDelta::minutes(5);

/// Tries of one message before it is given up.
const MAX_ATTEMPTS: u32 = 8;

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
            Err(SendError::Unavailable { answer }) => self.unavailable(answer),
            Err(SendError::Recipient { answer, dead }) => {
                self.the_line_works();
                self.count(|it| it.failed += 1);
                Outcome::Failed { answer, dead: dead.then(|| claimed.destination.clone()) }
            }
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
            self.count(|it| it.failed += 1);
            return Outcome::Failed { answer, dead: None };
        }
        self.count(|it| it.deferred += 1);
        match claimed.sendout {
            Some(sendout) if !self.is_troubled(sendout) => {
                lock(&self.trouble).push((sendout, answer.clone()));
            }
            Some(_) => (),
            None => {
                *lock(&self.unreachable) = Some(answer.clone());
                self.stop.cancel();
            }
        }
        Outcome::Untouched { until: Some(self.engine.clock.now() + TimeDelta::minutes(10)), answer }
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
    fn unavailable(&self, answer: String) -> Outcome {
        self.give_up_after(FAULTS, &self.faults_in_a_row, &answer);
        if self.only {
            self.count(|it| it.failed += 1);
            return Outcome::Failed { answer, dead: None };
        }
        self.count(|it| it.deferred += 1);
        Outcome::Untouched { until: Some(self.engine.clock.now() + AWAY), answer }
    }

    fn temporary(&self, claimed: &Claimed, answer: String) -> Outcome {
        let attempt = claimed.attempts + 1;
        self.give_up_after(PUT_OFFS, &self.put_offs_in_a_row, &answer);
        if attempt >= MAX_ATTEMPTS || self.only {
            self.count(|it| it.failed += 1);
            return Outcome::Failed { answer, dead: None };
        }
        self.count(|it| it.deferred += 1);
        Outcome::Retry {
            until: self.engine.clock.now() + backoff(attempt, rand::random_range(0.8..1.2)),
            answer,
        }
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
        for it in finished {
            if let Outcome::Failed { answer, dead: Some(address) } = &it.outcome {
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
        tx.commit().await?;
        Ok(())
    }
}

/// How long to wait after the temporary answer number `attempt`: 5 minutes,
/// doubled each time up to 6 hours, times `jitter` so that retries do not march in step.
fn backoff(attempt: u32, jitter: f64) -> TimeDelta {
    let minutes = 5 * (1_u32 << attempt.saturating_sub(1).min(7));
    let seconds = f64::from(minutes.min(360) * 60) * jitter;
    #[expect(clippy::cast_possible_truncation, reason = "at most a few hours in seconds")]
    TimeDelta::seconds(seconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_five_minutes_to_six_hours() {
        let minutes = |attempt| backoff(attempt, 1.0).num_minutes();
        assert_eq!([1, 2, 3, 6, 7, 8, 40].map(minutes), [5, 10, 20, 160, 320, 360, 360]);
        assert_eq!(backoff(1, 0.8).num_seconds(), 240);
    }
}
