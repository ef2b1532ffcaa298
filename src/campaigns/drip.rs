//! One run of the drip as the scheduler, the endpoint and the command line ask
//! for it: who has no row yet is queued, campaigns that may not go on are paused,
//! the queue is drained, and what came to its end is settled.

use super::{
    contest, figures, launch, progress,
    refused::{self, Stopped},
    status, text,
};
use crate::{
    channels::Channel,
    chile::format,
    error::{Error, Result},
    ids::CampaignId,
    mailings,
    messaging::{
        drain::{self, Engine, Options, Run},
        inbound, sending,
    },
    settings,
};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What a run came to: the answer of `POST /internal/drip`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// `ok`, `already_running`, or `failed` when the provider refused us or could not be reached.
    pub status: &'static str,
    /// Its record; none for a rehearsal or where another run was under way.
    pub run_id: Option<i64>,
    /// `open` or `closed`: the channel's business window at the start.
    pub window: &'static str,
    /// Messages looked at.
    pub claimed: u32,
    /// Messages that left.
    pub sent: u32,
    /// Messages that never will.
    pub failed: u32,
    /// Messages put off by the gate or a temporary answer.
    pub deferred: u32,
    /// Messages refused by the gate.
    pub blocked: u32,
    /// Messages of which nobody knows if they left.
    pub unconfirmed: u32,
    /// Messages still in the queue of the channel.
    pub pending: i64,
    /// When the window opens next; now, where it is open.
    pub next_window_opens_at: Option<DateTime<Utc>>,
    /// Campaigns that were paused, each with the reason in Spanish.
    pub paused: Vec<Paused>,
    /// Mailings that were paused, likewise.
    pub paused_mailings: Vec<mailings::Paused>,
    /// The provider could not be reached, with what was said; or a campaign could not be read.
    pub error: Option<String>,
    /// Whether nothing was written or sent.
    pub dry_run: bool,
}

/// A campaign that the run paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paused {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Why, in Spanish.
    pub reason: String,
}

/// Run once. Two runs of one channel never overlap: the second one says so and does nothing.
///
/// # Errors
/// When the channel can't send, or the database is away.
pub async fn run_once(engine: &Engine, options: &Options) -> Result<RunReport> {
    let now = engine.clock.now();
    let mut stopped = Stopped::default();
    let mut unread = 0;
    if !options.dry_run {
        if let Err(error) = hear(engine, now, &mut stopped).await {
            if error.is_database_away() {
                return Err(error);
            }
            // The engine tries it again; meanwhile nobody waits for it.
            tracing::error!(
                error = error.description(),
                "What came back could not be applied before a drip run"
            );
        }
        // One campaign in disorder must not hold up the others: what is queued goes out all the same.
        if let Err(error) = launch::run_once(&engine.db, now).await {
            if error.is_database_away() {
                return Err(error);
            }
            unread = 1;
        }
        status::settle(&engine.db, now).await?;
        contest::run_once(&engine.db, now).await?;
        unread = unread.max(pause_the_unfit(engine, now, &mut stopped.campaigns).await?);
        stopped.mailings.extend(mailings::pause_the_unfit(&engine.db, now, &engine.config).await?);
    }
    let run = drain::run(engine, options).await?;
    let mut report = blank(engine, options.channel, now).await?;
    report.dry_run = options.dry_run;
    match run {
        Run::AlreadyRunning => report.status = "already_running",
        Run::Finished(done) => {
            report.run_id = done.run.map(|it| it.0);
            report.claimed = done.counts.claimed;
            report.sent = done.counts.sent;
            report.failed = done.counts.failed;
            report.deferred = done.counts.deferred;
            report.blocked = done.counts.blocked;
            report.unconfirmed = done.counts.unconfirmed;
            if done.unreachable.is_some() || !done.trouble.is_empty() {
                report.status = "failed";
            }
            report.error = done.unreachable;
            for (sendout, fault) in done.trouble {
                let reason = |what: &str| refused::in_a_run(&fault, what);
                let mut tx = engine.db.begin().await?;
                stopped.pause(&mut tx, engine.clock.now(), sendout, reason).await?;
                tx.commit().await?;
            }
        }
    }
    if !options.dry_run {
        status::settle(&engine.db, engine.clock.now()).await?;
        progress::fold(&engine.db).await?;
        figures::fold(&engine.db).await?;
    }
    if unread > 0 {
        report.status = "failed";
        report.error.get_or_insert_with(|| {
            format!(
                "Hay {} que no pudimos leer o poner en la cola. Las demás siguieron; revisa los registros del servidor.",
                format::count(unread, "campaña", "campañas")
            )
        });
    }
    report.pending = pending(engine, options.channel).await?;
    report.paused = stopped.campaigns;
    report.paused_mailings = stopped.mailings;
    Ok(report)
}

/// Passes over what came back before a run, at most: what is left is the engine's.
const PASSES: u32 = 100;

/// What came back counts before anything more leaves.
async fn hear(engine: &Engine, now: DateTime<Utc>, stopped: &mut Stopped) -> Result<()> {
    for _ in 0..PASSES {
        if inbound::run_once(&engine.db, now).await? == inbound::Pass::Idle {
            break;
        }
    }
    let sent_back = refused::run_once(&engine.db, now).await?;
    stopped.campaigns.extend(sent_back.campaigns);
    stopped.mailings.extend(sent_back.mailings);
    Ok(())
}

/// Pause the campaigns whose text or sender no longer is what the law asks, before their people are blocked for
/// good. Gives how many could not be looked at.
async fn pause_the_unfit(engine: &Engine, now: DateTime<Utc>, paused: &mut Vec<Paused>) -> Result<i64> {
    let mut unread = 0;
    for id in status::running(&engine.db).await? {
        let looked = async {
            let mut tx = engine.db.begin().await?;
            if let Some(reason) = text::stop_reason(&mut tx, &engine.config, id).await?
                && status::pause_for_trouble(&mut tx, now, id, &reason).await?
            {
                paused.push(Paused { campaign_id: id, reason });
            }
            Ok::<_, Error>(tx.commit().await?)
        };
        match looked.await {
            Ok(()) => (),
            Err(error) if error.is_database_away() => return Err(error),
            Err(error) => {
                tracing::error!(
                    campaign.id = id.0,
                    error = error.description(),
                    "A campaign could not be looked at"
                );
                unread += 1;
            }
        }
    }
    Ok(unread)
}

/// A report of nothing, with the window as it stands.
async fn blank(engine: &Engine, channel: Channel, now: DateTime<Utc>) -> Result<RunReport> {
    let mut db = engine.db.acquire().await?;
    let calendar = settings::calendar(&mut *db).await?;
    let hours = sending::of(&mut *db, &engine.config.first_values, channel).await?.business_hours;
    let open = hours.is_open(now, &calendar);
    Ok(RunReport {
        status: "ok",
        run_id: None,
        window: if open { "open" } else { "closed" },
        claimed: 0,
        sent: 0,
        failed: 0,
        deferred: 0,
        blocked: 0,
        unconfirmed: 0,
        pending: 0,
        next_window_opens_at: if open { Some(now) } else { hours.next_open(now, &calendar) },
        paused: Vec::new(),
        paused_mailings: Vec::new(),
        error: None,
        dry_run: false,
    })
}

async fn pending(engine: &Engine, channel: Channel) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from communication_logs where communication_type = $1 and status = 'PENDING'"#,
        channel.code()
    )
    .fetch_one(&engine.db)
    .await?)
}
