//! The lanes of one run of the drain: claimed messages wait in a short queue, several
//! lanes fill, begin and hand them over, one writer puts down what came of each.
//! Knows one run and one channel; what to claim is [`super::claim`]'s, what a result means for the row is [`super::outbox`]'s.

use super::{
    claim::{self, Book, Claimed},
    compose::{self, Identity, Sender},
    drain::{Engine, Options, Report},
    kinds::{BlockReason, Scope, SuppressionReason},
    outbox::{self, Finished, Outcome, Refusal, Start},
    runs::Counts,
    suppression::{self, Entry},
    template::RenderError,
    values,
};
use crate::{
    access::Actor,
    channels::{self, Channel, Email, Outgoing, SendError},
    error::{Error, Result},
    ids::{CampaignId, DripRunId, MessageId},
};
use chrono::TimeDelta;
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Temporary answers in a row, without a message taken in between, after which a run gives up.
const GIVE_UP_AFTER: u32 = 3;

/// Tries of one message before it is given up.
const MAX_ATTEMPTS: u32 = 8;

/// What the claimer, the lanes and the writer share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    channel: Channel,
    pub(super) run: DripRunId,
    provider: Arc<dyn channels::Sender>,
    sender: Sender,
    stop: CancellationToken,
    /// From then on nothing more is begun.
    deadline: Option<tokio::time::Instant>,
    only: bool,
    queue: Mutex<VecDeque<Claimed>>,
    claimed_all: AtomicBool,
    wake: Notify,
    drained: Notify,
    counts: Mutex<Counts>,
    trouble: Mutex<Vec<(CampaignId, String)>>,
    unreachable: Mutex<Option<String>>,
    failures_in_a_row: AtomicU32,
    /// Messages that one lane begins in one transaction.
    chunk: AtomicU32,
    spacing: AtomicU32,
}

/// Claimed messages that wait for a lane, at most; bounds memory.
const QUEUE: usize = 2000;

impl Shared {
    pub(super) fn new(
        engine: Engine,
        options: &Options,
        run: DripRunId,
        provider: Arc<dyn channels::Sender>,
        sender: Sender,
    ) -> Shared {
        Shared {
            engine,
            channel: options.channel,
            run,
            provider,
            sender,
            stop: options.stop.child_token(),
            deadline: options.time_box.map(|it| tokio::time::Instant::now() + it),
            only: options.only.is_some(),
            queue: Mutex::default(),
            claimed_all: AtomicBool::new(false),
            wake: Notify::new(),
            drained: Notify::new(),
            counts: Mutex::default(),
            trouble: Mutex::default(),
            unreachable: Mutex::default(),
            failures_in_a_row: AtomicU32::new(0),
            chunk: AtomicU32::new(1),
            spacing: AtomicU32::new(0),
        }
    }

    pub(super) fn report(&self) -> Report {
        Report {
            run: Some(self.run),
            counts: *lock(&self.counts),
            trouble: lock(&self.trouble).clone(),
            unreachable: lock(&self.unreachable).clone(),
        }
    }

    /// The run stopped early, for `reason` if none is known yet.
    pub(super) fn stopped_early(&self, reason: &str) {
        lock(&self.unreachable).get_or_insert_with(|| reason.to_owned());
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    pub(super) async fn send_all(self: Arc<Self>, options: &Options, book: Book) -> Result<()> {
        // Were this future dropped half way, the lanes would wait for more for ever.
        let lanes_end = self.stop.clone().drop_guard();
        let (results, inbox) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(self.clone().write_down(inbox));
        let lanes: Vec<_> = (0..self.provider.lanes().max(1))
            .map(|lane| tokio::spawn(self.clone().lane(lane, results.clone())))
            .collect();
        drop(results);
        let claimed = self.claim_all(options, book).await;
        if claimed.is_err() {
            self.stop.cancel();
        }
        self.claimed_all.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
        let mut outcome = claimed;
        for lane in lanes {
            outcome = outcome.and(joined(lane.await));
        }
        // The lanes have let go of their ends, so the writer ends once all is written.
        let written = joined(writer.await);
        drop(lanes_end.disarm());
        outcome.and(written)
    }

    async fn claim_all(&self, options: &Options, mut book: Book) -> Result<()> {
        if let Some(id) = options.only {
            let mut tx = self.engine.db.begin().await?;
            let page = claim::only(&mut tx, self.engine.clock.now(), self.run, &mut book, id).await?;
            tx.commit().await?;
            self.take_in(page, 1).await;
            return Ok(());
        }
        let mut db = self.engine.db.acquire().await?;
        let streams =
            claim::streams(&mut db, options.channel, self.engine.clock.now(), options.batch_size).await?;
        drop(db);
        for stream in streams {
            if stream.spacing != self.spacing.load(Ordering::SeqCst) {
                // Each campaign at its own pace: the next begins once the last has left.
                self.wait_until_empty().await;
                self.spacing.store(stream.spacing, Ordering::SeqCst);
            }
            let mut room = stream.batch;
            while room > 0 && !self.is_over() {
                if stream.campaign.is_some_and(|id| self.is_troubled(id)) {
                    break;
                }
                let mut tx = self.engine.db.begin().await?;
                let now = self.engine.clock.now();
                let page = claim::page(&mut tx, now, self.run, &mut book, &stream, room).await?;
                tx.commit().await?;
                let (looked_at, shut) = (page.looked_at, page.stream_is_shut);
                room = room.saturating_sub(u32::try_from(page.allowed.len()).unwrap_or(u32::MAX));
                self.take_in(page, stream.batch).await;
                if looked_at == 0 || shut {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Put what the gate let go before the lanes, waiting while they have enough.
    async fn take_in(&self, page: claim::Page, batch: u32) {
        self.count(|it| {
            it.claimed += page.looked_at;
            it.deferred += page.deferred;
            it.blocked += page.blocked;
        });
        // In a small drip each message is begun alone, so that a kill leaves the fewest in doubt.
        self.chunk.store(if batch > 500 { 8 } else { 1 }, Ordering::SeqCst);
        let mut allowed = page.allowed;
        loop {
            {
                let mut queue = lock(&self.queue);
                if queue.len() < QUEUE / 2 {
                    queue.extend(allowed.drain(..));
                }
            }
            self.wake.notify_waiters();
            if allowed.is_empty() || self.is_over() {
                return;
            }
            tokio::select! {
                () = self.drained.notified() => (),
                () = self.stop.cancelled() => (),
                // A missed wake-up must not hang the run.
                () = tokio::time::sleep(Duration::from_millis(50)) => (),
            }
        }
    }

    /// Nothing more is to be begun.
    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.deadline.is_some_and(|it| tokio::time::Instant::now() >= it)
    }

    async fn wait_until_empty(&self) {
        while !self.is_over() && !lock(&self.queue).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_troubled(&self, campaign: CampaignId) -> bool {
        lock(&self.trouble).iter().any(|(id, _)| *id == campaign)
    }

    /// The next few messages; none: there will be no more.
    async fn next_chunk(&self, lane: usize) -> Option<Vec<Claimed>> {
        loop {
            if self.is_over() {
                return None;
            }
            let over = self.claimed_all.load(Ordering::SeqCst);
            // Spaced messages leave one by one, over the first lane alone.
            let may = lane == 0 || self.spacing.load(Ordering::SeqCst) == 0;
            if may {
                let mut queue = lock(&self.queue);
                let size = (self.chunk.load(Ordering::SeqCst) as usize).min(queue.len());
                if size > 0 {
                    let chunk = queue.drain(..size).collect();
                    if queue.len() < QUEUE / 4 {
                        self.drained.notify_waiters();
                    }
                    return Some(chunk);
                }
            }
            if over && lock(&self.queue).is_empty() {
                return None;
            }
            tokio::select! {
                () = self.wake.notified() => (),
                () = self.stop.cancelled() => (),
                () = tokio::time::sleep(Duration::from_millis(20)) => (),
            }
        }
    }

    async fn lane(self: Arc<Self>, lane: usize, results: mpsc::Sender<Finished>) -> Result<()> {
        while let Some(chunk) = self.next_chunk(lane).await {
            let spacing = self.spacing.load(Ordering::SeqCst);
            let now = self.engine.clock.now();
            // What may not go any more is given back when the run ends, and the gate says why the next time.
            let chunk = chunk
                .into_iter()
                .filter(|it| it.campaign.is_none_or(|id| !self.is_troubled(CampaignId(id))))
                .filter(|it| it.not_after.is_none_or(|closes| now < closes))
                .collect();
            let ready = self.begin(chunk).await.inspect_err(|_| self.stop.cancel())?;
            for (claimed, email) in ready {
                self.hand_over(&claimed, email, &results).await;
            }
            if spacing > 0 {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(u64::from(spacing))) => (),
                    () = self.stop.cancelled() => (),
                }
            }
        }
        Ok(())
    }

    /// Fill the texts and mark the messages as being sent, durably. What may not go after all is written down or given back.
    async fn begin(&self, chunk: Vec<Claimed>) -> Result<Vec<(Claimed, Email)>> {
        let (mut ready, mut starts, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        for claimed in chunk {
            match self.fill(&claimed) {
                Ok(email) => {
                    starts.push(Start {
                        id: claimed.id,
                        subject: email.subject.clone(),
                        template: claimed.template,
                        external_id: email.message_id.clone(),
                    });
                    ready.push((claimed, email));
                }
                Err((reason, detail)) => refusals.push(Refusal { id: claimed.id, reason, detail }),
            }
        }
        if ready.is_empty() && refusals.is_empty() {
            return Ok(ready);
        }
        let mut tx = self.engine.db.begin().await?;
        if !refusals.is_empty() {
            outbox::block(&mut tx, self.engine.clock.now(), self.run, &refusals).await?;
            self.count(|it| it.blocked += u32::try_from(refusals.len()).unwrap_or(u32::MAX));
        }
        let begun: HashSet<i64> =
            outbox::begin(&mut tx, self.run, self.channel, &starts).await?.into_iter().collect();
        tx.commit().await?;
        // The others go back when the run ends, and the gate says why the next time.
        ready.retain(|(it, _)| begun.contains(&it.id));
        Ok(ready)
    }

    fn fill(&self, claimed: &Claimed) -> std::result::Result<Email, (BlockReason, String)> {
        let prepared = claimed.text.0.as_ref().map_err(|it| (BlockReason::BrokenTemplate, it.clone()))?;
        let links = self.sender.links(claimed.token);
        let values = values::of(&claimed.recipient, &self.sender.business, &links);
        let rendered = prepared.compiled.render(&values).map_err(|error| match error {
            RenderError::Missing(name) => (BlockReason::MissingVariable, name),
            RenderError::Broken(detail) => {
                tracing::warn!(message.id = claimed.id, detail, "A text failed to render");
                (BlockReason::BrokenTemplate, String::new())
            }
        })?;
        let identity = Identity {
            id: claimed.id,
            token: claimed.token,
            campaign: claimed.campaign,
            origin: claimed.origin,
            kind: claimed.kind,
        };
        Ok(compose::email(
            &self.sender,
            &identity,
            &claimed.destination,
            &claimed.recipient,
            rendered,
            self.engine.clock.now(),
        ))
    }

    async fn hand_over(&self, claimed: &Claimed, email: Email, results: &mpsc::Sender<Finished>) {
        let outcome = if self.stop.is_cancelled()
            || claimed.campaign.is_some_and(|id| self.is_troubled(CampaignId(id)))
        {
            Outcome::Untouched {
                until: None,
                answer: "La corrida se detuvo antes de entregar este mensaje.".to_owned(),
            }
        } else {
            let sent = self.provider.send(&Outgoing::Email(email)).await;
            self.outcome(claimed, sent)
        };
        let finished = Finished { id: claimed.id, at: self.engine.clock.now(), outcome };
        // The writer outlives the lanes; were it gone, the message stays SENDING and becomes UNCONFIRMED.
        if results.send(finished).await.is_err() {
            tracing::error!(message.id = claimed.id, "The result of a message could not be written down");
        }
    }

    /// Count what came of a message and decide what follows.
    fn outcome(
        &self,
        claimed: &Claimed,
        sent: std::result::Result<channels::Accepted, SendError>,
    ) -> Outcome {
        match sent {
            Ok(accepted) => {
                self.failures_in_a_row.store(0, Ordering::SeqCst);
                self.count(|it| it.sent += 1);
                Outcome::Sent { external_id: accepted.external_id, answer: accepted.answer }
            }
            Err(SendError::Temporary { answer }) => self.temporary(claimed, answer),
            Err(SendError::Recipient { answer, dead }) => {
                self.failures_in_a_row.store(0, Ordering::SeqCst);
                self.count(|it| it.failed += 1);
                Outcome::Failed { answer, dead: dead.then(|| claimed.destination.clone()) }
            }
            Err(SendError::Sender { answer }) => self.refused_ourselves(claimed, answer),
            Err(SendError::Uncertain { answer }) => {
                self.count(|it| it.unconfirmed += 1);
                // A line that cuts off message after message must not leave thousands in doubt.
                self.give_up_after_too_many(&answer);
                Outcome::Unconfirmed { answer }
            }
        }
    }

    /// The provider refuses us: the campaign is to be paused. The message is not to blame, but goes
    /// behind the others, in case it is alone in being refused.
    fn refused_ourselves(&self, claimed: &Claimed, answer: String) -> Outcome {
        if self.only {
            self.count(|it| it.failed += 1);
            return Outcome::Failed { answer, dead: None };
        }
        self.count(|it| it.deferred += 1);
        match claimed.campaign.map(CampaignId) {
            Some(campaign) if !self.is_troubled(campaign) => {
                lock(&self.trouble).push((campaign, answer.clone()));
            }
            Some(_) => (),
            None => {
                *lock(&self.unreachable) = Some(answer.clone());
                self.stop.cancel();
            }
        }
        Outcome::Untouched { until: Some(self.engine.clock.now() + TimeDelta::minutes(10)), answer }
    }

    fn give_up_after_too_many(&self, answer: &str) {
        if self.failures_in_a_row.fetch_add(1, Ordering::SeqCst) + 1 >= GIVE_UP_AFTER {
            *lock(&self.unreachable) = Some(answer.to_owned());
            self.stop.cancel();
        }
    }

    fn temporary(&self, claimed: &Claimed, answer: String) -> Outcome {
        let attempt = claimed.attempts + 1;
        self.give_up_after_too_many(&answer);
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
    async fn write_down(self: Arc<Self>, mut inbox: mpsc::Receiver<Finished>) -> Result<()> {
        let mut waiting = Vec::with_capacity(256);
        while inbox.recv_many(&mut waiting, 256).await > 0 {
            let mut pause = Duration::from_millis(200);
            let patience = tokio::time::Instant::now() + Duration::from_mins(10);
            while let Err(error) = self.write(&waiting).await {
                self.stop.cancel();
                if !error.may_pass() || tokio::time::Instant::now() > patience {
                    tracing::error!(error = ?error, messages = waiting.len(), "Results of messages could not be written down");
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined(result: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    result.unwrap_or_else(|error| Err(Error::Internal(format!("a task of the drip failed: {error}"))))
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
