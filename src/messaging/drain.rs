//! The engine that empties the queue: claims what is due, asks the gate, hands
//! each message to the channel over several lanes at once, and writes down what
//! came of it. Killed at any moment, no message is lost and none is sent twice
//! knowingly: SENDING is durable before a message is handed over.

use super::{
    claim::{self, Book, Pace},
    compose::Sender,
    lanes::Shared,
    limits, pace,
    refusals::Fault,
    runs::{self, Counts, Ending, Live, Trigger},
    sending::{self, Sending},
    streams::{self, Sendout},
    texts::Texts,
    tracking::code::Codes,
    warm_up,
};
use crate::{
    channels::{self, Channel},
    chile::holidays::Calendar,
    clock::Clock,
    config::Config,
    error::{Error, Result},
    ids::{DripRunId, MessageId},
    settings::{self, Business, EmailChannel},
};
use sqlx::{Connection as _, PgPool};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a run that the program starts by itself may begin messages: it gives way before the next slot.
pub const RUN_LASTS: Duration = Duration::from_mins(9);

/// The same for one that is asked for over HTTP: what calls us has time-outs of its own.
pub const CALLED_RUN_LASTS: Duration = Duration::from_mins(4);

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
    /// What is refused for a fault of ours.
    pub trouble: Vec<(Sendout, Fault)>,
    /// The run stopped early: what the provider said where it could not be reached, or our own words.
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

/// Run once.
///
/// # Errors
/// When the database is away at the start; later the run ends early and says so.
pub async fn run(engine: &Engine, options: &Options) -> Result<Run> {
    let now = engine.clock.now();
    let Some(provider) = engine.senders.get(&options.channel).cloned() else {
        return Err(Error::refused(format!("El canal {} aún no puede enviar.", options.channel.label())));
    };
    let (book, sender) = open_book(engine, options).await?;
    let pace = book.pace.clone();
    if options.dry_run {
        return rehearse(engine, options, book).await.map(Run::Finished);
    }
    runs::bury_the_dead(&engine.db, now).await?;
    let alone = options.only.is_none();
    let codes = Codes::load(&engine.db).await?;
    let Some(live) = runs::start(&engine.db, now, options.channel, options.trigger, alone).await? else {
        return Ok(Run::AlreadyRunning);
    };
    let shared = Arc::new(Shared::new(engine.clone(), options, live.id, provider, sender, codes, &pace));
    let result = shared.clone().send_all(options, book).await;
    if options.only.is_none() {
        let (sent, asked) = (shared.report().counts.sent, shared.asked_to_slow());
        let learned =
            pace::learn(&engine.db, engine.clock.now(), options.channel, sent, (asked.0, &asked.1)).await;
        if let Err(error) = learned {
            tracing::error!(error = error.description(), "The pace of a channel could not be written down");
        }
    }
    Ok(Run::Finished(close(live, &shared, result).await))
}

/// The rules and the sender of a run.
async fn open_book(engine: &Engine, options: &Options) -> Result<(Book, Sender)> {
    let channel = options.channel;
    let mut db = engine.db.acquire().await?;
    let first = &engine.config.first_values;
    let business: Business = settings::load(&mut *db, first).await?;
    let email: EmailChannel = settings::load(&mut *db, first).await?;
    let Sending { business_hours, daily_cap, per_minute, growth } =
        sending::of(&mut *db, first, channel).await?;
    let calendar: Calendar = settings::calendar(&mut *db).await?;
    let caps = limits::of_channel(&mut *db, channel).await?;
    let sender = Sender::of_email(&engine.config, &business, &email);
    let channel_cap = match growth {
        Some(plan) => {
            let mut tx = db.begin().await?;
            let cap = warm_up::open_day(&mut tx, engine.clock.now(), channel, plan).await?;
            tx.commit().await?;
            Some(cap)
        }
        None => daily_cap,
    };
    let slowed = pace::slowed(&mut db, channel).await?;
    let book = Book {
        begun: engine.clock.now(),
        channel,
        calendar,
        hours: business_hours,
        caps,
        channel_cap,
        run_left: pace::per_run(slowed.as_ref(), per_minute, options.time_box),
        pace: Pace { per_minute, is_slow: slowed.is_some() },
        texts: Texts::default(),
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
    let cap = book.channel_cap;
    for stream in streams::streams(&mut tx, options.channel, now, options.batch_size, cap).await? {
        let mut room = book.room(&stream, u32::MAX);
        while room > 0 {
            let page = claim::page(&mut tx, now, run, &mut book, &stream, room).await?;
            report.counts.claimed += page.looked_at;
            report.counts.deferred += page.deferred;
            report.counts.blocked += page.blocked;
            room = room.saturating_sub(book.take(&page));
            if page.looked_at == 0 || page.stream_is_shut {
                break;
            }
        }
    }
    tx.rollback().await?;
    Ok(report)
}

/// End the run's record. A database that is away now leaves it to the next run to bury this one.
/// What the run learned is kept whatever failed, so that a campaign that the provider refuses is still paused.
async fn close(live: Live, shared: &Shared, result: Result<()>) -> Report {
    if let Err(error) = &result {
        tracing::error!(drip_run.id = shared.run.0, error = error.description(), "Drip run stopped early");
        shared.stopped_early(&error.to_string());
    }
    let mut report = shared.report();
    let error =
        report.unreachable.clone().or_else(|| report.trouble.first().map(|(_, fault)| fault.answer.clone()));
    let ending = if error.is_some() { Ending::Failed } else { Ending::Done };
    let now = shared.engine.clock.now();
    if let Err(failed) = live.end(&shared.engine.db, now, &report.counts, ending, error.as_deref()).await {
        tracing::error!(
            drip_run.id = shared.run.0,
            error = failed.description(),
            "The record of a drip run could not be closed"
        );
        report.unreachable.get_or_insert_with(|| failed.to_string());
    }
    report
}
