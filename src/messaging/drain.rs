//! The engine that empties the queue: claims what is due, asks the gate, hands
//! each message to the channel over several lanes at once, and writes down what
//! came of it. Killed at any moment, no message is lost and none is sent twice
//! knowingly: SENDING is durable before a message is handed over.

use super::{
    claim::{self, Book, Claimed},
    compose::{self, Identity, Sender},
    kinds::{BlockReason, Scope, SuppressionReason},
    limits,
    outbox::{self, Finished, Outcome, Refusal, Start},
    runs::{self, Counts, Ending, Live, Trigger},
    suppression::{self, Entry},
    template::RenderError,
    values,
};
use crate::{
    access::Actor,
    channels::{self, Channel, Email, Outgoing, SendError},
    chile::holidays::Calendar,
    clock::Clock,
    config::Config,
    error::{Error, Result},
    ids::{CampaignId, DripRunId, MessageId},
    settings::{self, Business, EmailChannel},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// What a run needs of the program.
#[derive(Clone)]
pub struct Engine {
    /// Postgres.
    pub db: PgPool,
    /// Providers.
    pub senders: channels::Senders,
    /// The environment.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
}

/// What a run is asked to do.
#[derive(Clone)]
pub struct Options {
    /// Channel to empty.
    pub channel: Channel,
    /// Who asks.
    pub trigger: Trigger,
    /// Messages of each campaign in this run; none: each campaign's own batch.
    pub batch_size: Option<u32>,
    /// Only this message, beside any run under way.
    pub only: Option<MessageId>,
    /// Decide, but write and send nothing.
    pub dry_run: bool,
    /// Claim nothing more after this long.
    pub time_box: Option<Duration>,
    /// Stop when cancelled: what is being handed over is finished, the rest goes back.
    pub stop: CancellationToken,
}

impl Options {
    /// A whole run of `channel`.
    #[must_use]
    pub fn new(channel: Channel, trigger: Trigger) -> Options {
        Options {
            channel,
            trigger,
            batch_size: None,
            only: None,
            dry_run: false,
            time_box: None,
            stop: CancellationToken::new(),
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its record; none for a dry run.
    pub run: Option<DripRunId>,
    /// What it did.
    pub counts: Counts,
    /// Campaigns whose sending the provider refuses for a fault of ours, with its answer. Their messages are back in the queue.
    pub trouble: Vec<(CampaignId, String)>,
    /// The provider could not be reached, so the run stopped early: what was said.
    pub unreachable: Option<String>,
}

/// How a run went.
#[derive(Clone, Debug)]
pub enum Run {
    /// It took place.
    Finished(Report),
    /// Another run of the channel is under way.
    AlreadyRunning,
}

/// Temporary answers in a row, without a message taken in between, after which a run gives up.
const GIVE_UP_AFTER: u32 = 3;

/// Tries of one message before it is given up.
const MAX_ATTEMPTS: u32 = 8;

/// Run once.
///
/// # Errors
/// When the database is away at the start; later the run ends early and says so.
pub async fn run(engine: &Engine, options: &Options) -> Result<Run> {
    let now = engine.clock.now();
    let Some(provider) = engine.senders.get(&options.channel).cloned() else {
        return Err(Error::refused(format!("El canal {} aún no puede enviar.", options.channel.label())));
    };
    let (book, sender) = open_book(engine, options.channel).await?;
    if options.dry_run {
        return rehearse(engine, options, book).await.map(Run::Finished);
    }
    runs::bury_the_dead(&engine.db, now).await?;
    let alone = options.only.is_none();
    let Some(live) = runs::start(&engine.db, now, options.channel, options.trigger, alone).await? else {
        return Ok(Run::AlreadyRunning);
    };
    let shared = Arc::new(Shared::new(engine.clone(), options, live.id, provider, sender));
    let result = shared.clone().send_all(options, book).await;
    Ok(Run::Finished(close(live, &shared, result).await?))
}

/// The rules and the sender of a run.
async fn open_book(engine: &Engine, channel: Channel) -> Result<(Book, Sender)> {
    let mut db = engine.db.acquire().await?;
    let first = &engine.config.first_values;
    let business: Business = settings::load(&mut *db, first).await?;
    let email: EmailChannel = settings::load(&mut *db, first).await?;
    let calendar: Calendar = settings::calendar(&mut *db).await?;
    let caps = limits::of_channel(&mut *db, channel).await?;
    let sender = Sender::of_email(&engine.config, &business, &email);
    let book = Book {
        channel,
        calendar,
        hours: email.business_hours,
        caps,
        channel_cap: email.daily_cap,
        texts: HashMap::new(),
    };
    Ok((book, sender))
}

/// Decide as a run would, and take it all back.
async fn rehearse(engine: &Engine, options: &Options, mut book: Book) -> Result<Report> {
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    // The record is taken back too; its number only stands in the rows that are.
    let run = DripRunId(
        sqlx::query_scalar!(
            "insert into drip_runs (trigger, communication_type, started_at) values ('CLI', $1, $2) returning id",
            options.channel.code(),
            now
        )
        .fetch_one(&mut *tx)
        .await?,
    );
    let mut report = Report::default();
    for stream in claim::streams(&mut tx, options.channel, now, options.batch_size).await? {
        let mut room = stream.batch;
        while room > 0 {
            let page = claim::page(&mut tx, now, run, &mut book, &stream, room).await?;
            report.counts.claimed += page.looked_at;
            report.counts.deferred += page.deferred;
            report.counts.blocked += page.blocked;
            room = room.saturating_sub(u32::try_from(page.allowed.len()).unwrap_or(u32::MAX));
            if page.looked_at == 0 || page.stream_is_shut {
                break;
            }
        }
    }
    tx.rollback().await?;
    Ok(report)
}

/// End the run's record. A database that is away now leaves it to the next run to bury this one.
async fn close(live: Live, shared: &Shared, result: Result<()>) -> Result<Report> {
    let report = shared.report();
    let (ending, error) = match (&result, &report.unreachable, report.trouble.first()) {
        (Err(error), _, _) => (Ending::Failed, Some(error.to_string())),
        (Ok(()), Some(answer), _) | (Ok(()), None, Some((_, answer))) => {
            (Ending::Failed, Some(answer.clone()))
        }
        _ => (Ending::Done, None),
    };
    if let Err(error) = &result {
        tracing::error!(drip_run.id = shared.run.0, error = ?error, "Drip run stopped early");
    }
    let ended = live
        .end(&shared.engine.db, shared.engine.clock.now(), &report.counts, ending, error.as_deref())
        .await;
    result.and(ended).map(|()| report)
}

/// What the claimer, the lanes and the writer share.
struct Shared {
    engine: Engine,
    channel: Channel,
    run: DripRunId,
    provider: Arc<dyn channels::Sender>,
    sender: Sender,
    stop: CancellationToken,
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
    fn new(
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

    fn report(&self) -> Report {
        Report {
            run: Some(self.run),
            counts: *lock(&self.counts),
            trouble: lock(&self.trouble).clone(),
            unreachable: lock(&self.unreachable).clone(),
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    async fn send_all(self: Arc<Self>, options: &Options, book: Book) -> Result<()> {
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
        outcome.and(joined(writer.await))
    }

    async fn claim_all(&self, options: &Options, mut book: Book) -> Result<()> {
        let started = tokio::time::Instant::now();
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
            // A later stream may only be spaced wider, so that no campaign is hurried by another.
            self.spacing.fetch_max(stream.spacing, Ordering::SeqCst);
            let mut room = stream.batch;
            while room > 0
                && !self.stop.is_cancelled()
                && options.time_box.is_none_or(|it| started.elapsed() < it)
            {
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
            if allowed.is_empty() || self.stop.is_cancelled() {
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

    fn is_troubled(&self, campaign: CampaignId) -> bool {
        lock(&self.trouble).iter().any(|(id, _)| *id == campaign)
    }

    /// The next few messages; none: there will be no more.
    async fn next_chunk(&self) -> Option<Vec<Claimed>> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            let over = self.claimed_all.load(Ordering::SeqCst);
            {
                let mut queue = lock(&self.queue);
                let many = (self.chunk.load(Ordering::SeqCst) as usize).min(queue.len());
                if many > 0 {
                    let chunk = queue.drain(..many).collect();
                    if queue.len() < QUEUE / 4 {
                        self.drained.notify_waiters();
                    }
                    return Some(chunk);
                }
            }
            if over {
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
        while let Some(chunk) = self.next_chunk().await {
            let spacing = self.spacing.load(Ordering::SeqCst);
            if spacing > 0 && lane > 0 {
                // Spaced messages leave one by one, over the first lane alone.
                lock(&self.queue).extend(chunk);
                return Ok(());
            }
            let chunk = chunk
                .into_iter()
                .filter(|it| it.campaign.is_none_or(|id| !self.is_troubled(CampaignId(id))))
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
            Outcome::Untouched { answer: "La corrida se detuvo antes de entregar este mensaje.".to_owned() }
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
            Err(SendError::Sender { answer }) => {
                self.count(|it| it.deferred += 1);
                match claimed.campaign.map(CampaignId) {
                    Some(campaign) if !self.is_troubled(campaign) => {
                        lock(&self.trouble).push((campaign, answer.clone()));
                    }
                    Some(_) => (),
                    None => *lock(&self.unreachable) = Some(answer.clone()),
                }
                // Not the message's fault: the try does not count against it.
                Outcome::Untouched { answer }
            }
            Err(SendError::Uncertain { answer }) => {
                self.count(|it| it.unconfirmed += 1);
                Outcome::Unconfirmed { answer }
            }
        }
    }

    fn temporary(&self, claimed: &Claimed, answer: String) -> Outcome {
        let attempt = claimed.attempts + 1;
        if self.failures_in_a_row.fetch_add(1, Ordering::SeqCst) + 1 >= GIVE_UP_AFTER {
            *lock(&self.unreachable) = Some(answer.clone());
            self.stop.cancel();
        }
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
            let patience = tokio::time::Instant::now() + Duration::from_secs(600);
            while let Err(error) = self.write(&waiting).await {
                self.stop.cancel();
                if !error.is_database_away() || tokio::time::Instant::now() > patience {
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

/// When the queue of `channel` moves again, and how much is in it.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Whether promotions may leave now.
    pub window_is_open: bool,
    /// When they may next, if not now.
    pub next_window_opens_at: Option<DateTime<Utc>>,
    /// Messages in the queue.
    pub pending: i64,
}

/// How things stand for `channel` at `now`.
///
/// # Errors
/// When the database fails.
pub async fn outlook(db: &PgPool, config: &Config, channel: Channel, now: DateTime<Utc>) -> Result<Outlook> {
    let mut db = db.acquire().await?;
    let email: EmailChannel = settings::load(&mut *db, &config.first_values).await?;
    let calendar = settings::calendar(&mut *db).await?;
    let open = email.business_hours.is_open(now, &calendar);
    let pending = sqlx::query_scalar!(
        r#"select count(*) as "n!" from communication_logs where communication_type = $1 and status = 'PENDING'"#,
        channel.code()
    )
    .fetch_one(&mut *db)
    .await?;
    let next_window_opens_at = if open { None } else { email.business_hours.next_open(now, &calendar) };
    Ok(Outlook { window_is_open: open, next_window_opens_at, pending })
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
