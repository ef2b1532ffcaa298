//! The lanes of one run of the drain: claimed messages wait in a short queue, a
//! beginner fills them and marks them as being sent, several lanes hand them over,
//! one writer puts down what came of each. Campaigns with time between two messages
//! go beside the queue, each at its own pace ([`super::paced`]).
//! Knows one run and one channel; what to claim is [`super::claim`]'s, what a result means for the row is [`super::outbox`]'s.

use super::{
    claim::{self, Book, Claimed, Pace},
    compose::{self, Identity, Sender},
    drain::{Engine, Options, Report},
    kinds::BlockReason,
    leaving::{self, Start},
    outbox::{self, Finished, Outcome, Refusal},
    refusals::Fault,
    runs::Counts,
    streams::{self, Sendout},
    template::RenderError,
    tracking::code::Codes,
    values,
};
use crate::{
    channels::{self, Channel, Email, Outgoing},
    chile::time,
    error::{Error, Result},
    ids::{DripRunId, MessageId},
};
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What the claimer, the lanes and the writer share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) channel: Channel,
    pub(super) run: DripRunId,
    provider: Arc<dyn channels::Sender>,
    sender: Sender,
    codes: Codes,
    pub(super) stop: CancellationToken,
    /// From then on nothing more is begun.
    pub(super) deadline: Option<tokio::time::Instant>,
    time_box: Option<Duration>,
    pub(super) only: bool,
    queue: Mutex<VecDeque<Claimed>>,
    claimed_all: AtomicBool,
    wake: Notify,
    drained: Notify,
    /// Messages begun and not yet handed over.
    in_hand: AtomicUsize,
    handed_over: Notify,
    counts: Mutex<Counts>,
    pub(super) trouble: Mutex<Vec<(Sendout, Fault)>>,
    pub(super) unreachable: Mutex<Option<String>>,
    pub(super) faults_in_a_row: AtomicU32,
    pub(super) put_offs_in_a_row: AtomicU32,
    /// A large batch: messages are begun many at once, ahead of the lanes.
    pub(super) bulk: AtomicBool,
    /// How often we were asked to go slowly, and what was said last.
    asked_to_slow: Mutex<(u32, String)>,
    pub(super) pace: Pace,
    /// From then on the next message may be begun, where the channel's rate is set.
    pub(super) slot: tokio::sync::Mutex<tokio::time::Instant>,
}

/// Claimed messages that wait for a lane, at most; bounds memory.
const QUEUE: usize = 2000;

/// Batches above this size are begun many at once. In a small drip each message is begun alone, when a lane is
/// free, so that a kill leaves the fewest in doubt.
const BULK_ABOVE: u32 = 500;

/// Messages begun in one transaction of a large batch. As many again may wait for a lane; all of them are in doubt
/// after a kill.
pub(super) const CHUNK: usize = 64;

/// A message that is marked as being sent.
pub(super) struct Begun {
    claimed: Claimed,
    email: Email,
    _place: Place,
    /// Dropped with the message, once it is handed over: who paces it waits for that.
    _handed_over: Option<oneshot::Sender<()>>,
}

/// Counts a message as in hand for as long as it lives.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.0.handed_over.notify_one();
    }
}

impl Shared {
    pub(super) fn new(
        engine: Engine,
        options: &Options,
        run: DripRunId,
        provider: Arc<dyn channels::Sender>,
        sender: Sender,
        codes: Codes,
        pace: &Pace,
    ) -> Shared {
        Shared {
            engine,
            channel: options.channel,
            run,
            provider,
            sender,
            codes,
            stop: options.stop.child_token(),
            deadline: options.time_box.map(|it| tokio::time::Instant::now() + it),
            time_box: options.time_box,
            only: options.only.is_some(),
            queue: Mutex::default(),
            claimed_all: AtomicBool::new(false),
            wake: Notify::new(),
            drained: Notify::new(),
            in_hand: AtomicUsize::new(0),
            handed_over: Notify::new(),
            counts: Mutex::default(),
            trouble: Mutex::default(),
            unreachable: Mutex::default(),
            faults_in_a_row: AtomicU32::new(0),
            put_offs_in_a_row: AtomicU32::new(0),
            bulk: AtomicBool::new(false),
            asked_to_slow: Mutex::default(),
            pace: pace.clone(),
            slot: tokio::sync::Mutex::new(tokio::time::Instant::now()),
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

    /// A server asks us to go slowly, with `answer`.
    pub(super) fn slow_down(&self, answer: &str) {
        let mut asked = lock(&self.asked_to_slow);
        *asked = (asked.0 + 1, answer.to_owned());
    }

    pub(super) fn asked_to_slow(&self) -> (u32, String) {
        lock(&self.asked_to_slow).clone()
    }

    /// The run stopped early, for `reason` if none is known yet.
    pub(super) fn stopped_early(&self, reason: &str) {
        lock(&self.unreachable).get_or_insert_with(|| reason.to_owned());
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    pub(super) async fn send_all(self: Arc<Self>, options: &Options, book: Book) -> Result<()> {
        // Were this future dropped half way, the lanes would wait for more for ever.
        let lanes_end = self.stop.clone().drop_guard();
        let (results, inbox) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(self.clone().write_down(inbox));
        let (begun, ready) = mpsc::channel(QUEUE);
        let beginner = tokio::spawn(self.clone().begin_all(begun.clone()));
        let ready = Arc::new(tokio::sync::Mutex::new(ready));
        let lanes: Vec<_> = (0..self.lanes())
            .map(|_| tokio::spawn(self.clone().lane(ready.clone(), results.clone())))
            .collect();
        drop((results, ready));
        let mut paced = Vec::new();
        let claimed = self.claim_all(options, book, begun, &mut paced).await;
        if claimed.is_err() {
            self.stop.cancel();
        }
        self.claimed_all.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
        let mut outcome = claimed.and(joined(beginner.await));
        for pacer in paced {
            outcome = outcome.and(joined(pacer.await));
        }
        for lane in lanes {
            outcome = outcome.and(joined(lane.await));
        }
        // The lanes have let go of their ends, so the writer ends once all is written.
        let written = joined(writer.await);
        drop(lanes_end.disarm());
        outcome.and(written)
    }

    async fn claim_all(
        self: &Arc<Self>,
        options: &Options,
        mut book: Book,
        begun: mpsc::Sender<Begun>,
        paced: &mut Vec<JoinHandle<Result<()>>>,
    ) -> Result<()> {
        if let Some(id) = options.only {
            let mut tx = self.engine.db.begin().await?;
            let page = claim::only(&mut tx, self.engine.clock.now(), self.run, &mut book, id).await?;
            tx.commit().await?;
            self.count_page(&page);
            self.take_in(page, 1).await;
            return Ok(());
        }
        let mut db = self.engine.db.acquire().await?;
        let streams =
            streams::streams(&mut db, options.channel, book.begun, options.batch_size, book.channel_cap)
                .await?;
        drop(db);
        for stream in streams {
            // What would not get its turn takes no room from the others.
            let mut room = book.room(&stream, streams::in_one_run(stream.spacing, self.time_box));
            let mut apart = Vec::new();
            while room > 0 && !self.is_over() {
                if stream.sendout().is_some_and(|it| self.is_troubled(it)) {
                    break;
                }
                let mut tx = self.engine.db.begin().await?;
                let now = self.engine.clock.now();
                let page = claim::page(&mut tx, now, self.run, &mut book, &stream, room).await?;
                tx.commit().await?;
                let (looked_at, shut) = (page.looked_at, page.stream_is_shut);
                room = room.saturating_sub(book.take(&page));
                self.count_page(&page);
                if stream.spacing > 0 {
                    apart.extend(page.allowed);
                } else {
                    self.take_in(page, stream.batch).await;
                }
                if looked_at == 0 || shut {
                    break;
                }
            }
            if !apart.is_empty() {
                let task = self.clone().begin_paced(apart, stream.spacing, begun.clone());
                paced.push(tokio::spawn(task));
            }
        }
        Ok(())
    }

    fn count_page(&self, page: &claim::Page) {
        self.count(|it| {
            it.claimed += page.looked_at;
            it.deferred += page.deferred;
            it.blocked += page.blocked;
        });
    }

    /// Put what the gate let go before the lanes, waiting while they have enough.
    async fn take_in(&self, page: claim::Page, batch: u32) {
        self.bulk.store(batch > BULK_ABOVE, Ordering::SeqCst);
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
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.deadline.is_some_and(|it| tokio::time::Instant::now() >= it)
    }

    pub(super) fn is_troubled(&self, sendout: Sendout) -> bool {
        lock(&self.trouble).iter().any(|(it, _)| *it == sendout)
    }

    fn lanes(&self) -> usize {
        if self.pace.is_slow { 1 } else { self.provider.lanes().max(1) }
    }

    /// The next few messages to begin; none: there will be no more.
    async fn next_chunk(&self) -> Option<Vec<Claimed>> {
        loop {
            if self.is_over() {
                return None;
            }
            let over = self.claimed_all.load(Ordering::SeqCst);
            let waiting = lock(&self.queue).len();
            if waiting > 0 {
                let bulk = self.bulk.load(Ordering::SeqCst);
                let (size, room) = if bulk && self.pace.per_minute.is_none() {
                    (CHUNK.min(waiting), self.lanes() + 2 * CHUNK)
                } else {
                    (1, self.lanes())
                };
                if self.in_hand.load(Ordering::SeqCst) + size <= room {
                    let mut queue = lock(&self.queue);
                    let chunk = queue.drain(..size).collect();
                    if queue.len() < QUEUE / 4 {
                        self.drained.notify_waiters();
                    }
                    return Some(chunk);
                }
            } else if over {
                return None;
            }
            tokio::select! {
                () = self.wake.notified() => (),
                () = self.handed_over.notified() => (),
                () = self.stop.cancelled() => (),
                () = tokio::time::sleep(Duration::from_millis(20)) => (),
            }
        }
    }

    /// Begin what is claimed, as the lanes get free.
    async fn begin_all(self: Arc<Self>, ready: mpsc::Sender<Begun>) -> Result<()> {
        while let Some(chunk) = self.next_chunk().await {
            self.wait_for_slot().await;
            if self.is_over() {
                break;
            }
            for (claimed, email) in self.begin(chunk).await.inspect_err(|_| self.stop.cancel())? {
                self.pass_on(claimed, email, None, &ready).await?;
            }
        }
        Ok(())
    }

    /// Put a begun message before the lanes.
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        claimed: Claimed,
        email: Email,
        handed_over: Option<oneshot::Sender<()>>,
        ready: &mpsc::Sender<Begun>,
    ) -> Result<()> {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        let begun = Begun { claimed, email, _place: Place(self.clone()), _handed_over: handed_over };
        // Were all lanes gone, the message stays SENDING and becomes UNCONFIRMED.
        ready.send(begun).await.map_err(|_| Error::Internal("the lanes of a run are gone".into()))
    }

    /// Hand over what is begun, one after the other.
    async fn lane(
        self: Arc<Self>,
        ready: Arc<tokio::sync::Mutex<mpsc::Receiver<Begun>>>,
        results: mpsc::Sender<Finished>,
    ) -> Result<()> {
        loop {
            let next = ready.lock().await.recv().await;
            let Some(begun) = next else { return Ok(()) };
            self.hand_over(&begun.claimed, begun.email, &results).await;
        }
    }

    /// Fill the texts and mark the messages as being sent, durably. What may not go after all is written down or given back.
    pub(super) async fn begin(&self, chunk: Vec<Claimed>) -> Result<Vec<(Claimed, Email)>> {
        let (mut ready, mut starts, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        let now = self.engine.clock.now();
        // What may not go any more is given back when the run ends, and the gate says why the next time.
        let may_go = |it: &Claimed| {
            it.sendout.is_none_or(|it| !self.is_troubled(it))
                && it.not_after.is_none_or(|closes| now < closes)
        };
        for claimed in chunk.into_iter().filter(may_go) {
            match self.fill(&claimed) {
                Ok(email) => {
                    starts.push(Start {
                        id: claimed.id,
                        subject: email.subject.clone(),
                        template: claimed.template,
                        external_id: email.message_id.clone(),
                        body: compose::digest(&email.html, &email.plain),
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
            outbox::block(&mut tx, now, self.run, &refusals).await?;
            self.count(|it| it.blocked += u32::try_from(refusals.len()).unwrap_or(u32::MAX));
        }
        let local = time::local(now).naive_local();
        let begun: HashSet<i64> =
            leaving::begin(&mut tx, self.run, self.channel, local, &starts).await?.into_iter().collect();
        tx.commit().await?;
        // The others go back when the run ends, and the gate says why the next time.
        ready.retain(|(it, _)| begun.contains(&it.id));
        Ok(ready)
    }

    fn fill(&self, claimed: &Claimed) -> std::result::Result<Email, (BlockReason, String)> {
        let prepared = claimed.text.0.as_ref().map_err(|it| (BlockReason::BrokenTemplate, it.clone()))?;
        let links = if prepared.compiled.is_tracked() {
            let code = self.codes.of(MessageId(claimed.id), claimed.template);
            self.sender.tracked_links(claimed.token, &code)
        } else {
            self.sender.links(claimed.token)
        };
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
        let outcome = if self.stop.is_cancelled() || claimed.sendout.is_some_and(|it| self.is_troubled(it)) {
            Outcome::Untouched {
                until: None,
                answer: "La corrida se detuvo antes de entregar este mensaje.".to_owned(),
            }
        } else {
            let sent = self.provider.send(&Outgoing::Email(email)).await;
            self.outcome(claimed, sent)
        };
        let finished =
            Finished { id: claimed.id, sendout: claimed.sendout, at: self.engine.clock.now(), outcome };
        // The writer outlives the lanes; were it gone, the message stays SENDING and becomes UNCONFIRMED.
        if results.send(finished).await.is_err() {
            tracing::error!(message.id = claimed.id, "The result of a message could not be written down");
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined(result: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    result.unwrap_or_else(|error| Err(Error::Internal(format!("a task of the drip failed: {error}"))))
}
