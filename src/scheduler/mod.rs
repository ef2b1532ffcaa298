//! What happens without a request: jobs at set times, each once a slot over all
//! replicas, and engines that look for work all the time. Drives functions of the
//! domains; holds no rule of theirs.

pub mod jobs;
pub mod runs;

use crate::{
    access::Actor,
    accounts::keys,
    audit,
    bulk_actions::run as bulk_actions,
    campaigns::{figures, launch, refused},
    error::{Error, Result},
    imports::run as imports,
    mailings::run as mailings,
    messaging::{evidence::seal, inbound, runs as drip_runs, tracking},
    proposals::run as proposals,
    state::AppState,
};
use jobs::{JOBS, Job};
use runs::Trigger;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How often due jobs are looked for.
const TICK: Duration = Duration::from_secs(5);

/// How long an engine that found nothing rests.
const REST: Duration = Duration::from_secs(1);

/// How long an engine that failed rests: a database that is away must not be hammered.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Start the jobs and the engines. They end once `stop` is cancelled and what is in hand is finished.
#[must_use]
pub fn start(state: &AppState, stop: &CancellationToken) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for job in JOBS {
        all.spawn(follow(state.clone(), job, stop.clone()));
    }
    start_engines(state, stop, &mut all);
    all
}

/// Start only the engines: what people wait for on a page also happens where the clock is someone else's (`SCHEDULER=off`).
pub fn start_engines(state: &AppState, stop: &CancellationToken, all: &mut JoinSet<()>) {
    all.spawn(keep_going("imports", state.clone(), stop.clone(), |state: AppState| async move {
        Ok(imports::run_once(&state.db, state.clock.now()).await? != imports::Pass::Idle)
    }));
    all.spawn(keep_going("bulk actions", state.clone(), stop.clone(), |state: AppState| async move {
        bulk_actions::run_once(&state.db, state.clock.now()).await
    }));
    all.spawn(keep_going("mailings", state.clone(), stop.clone(), |state: AppState| async move {
        mailings::run_once(&state.db, state.clock.now()).await
    }));
    // Two, so that a provider that is slow to answer one does not keep all the others waiting.
    for _ in 0..2 {
        all.spawn(keep_going("proposals", state.clone(), stop.clone(), |state: AppState| async move {
            proposals::run_once(&state.db, &state.clock, &state.config, &state.stop).await
        }));
    }
    all.spawn(keep_going("evidence", state.clone(), stop.clone(), |state: AppState| async move {
        let key = keys::evidence(&state.config)?;
        Ok(matches!(seal::run_once(&state.db, state.clock.now(), &key).await?, seal::Pass::Sealed(_)))
    }));
    all.spawn(keep_going("inbound", state.clone(), stop.clone(), |state: AppState| async move {
        let pass = inbound::run_once(&state.db, state.clock.now()).await?;
        if pass != inbound::Pass::Idle {
            refused::run_once(&state.db, state.clock.now()).await?;
        }
        Ok(pass != inbound::Pass::Idle)
    }));
    all.spawn(keep_going("figures", state.clone(), stop.clone(), |state: AppState| async move {
        figures::fold_many(&state.db).await?;
        Ok(false)
    }));
    all.spawn(watch_tracking(state.clone(), stop.clone()));
    all.spawn(keep_going("campaign queue", state.clone(), stop.clone(), |state: AppState| async move {
        Ok(launch::run_once(&state.db, state.clock.now()).await? > 0)
    }));
}

/// Write down openings and clicks and tell them; what gathered last is written down before stopping.
async fn watch_tracking(state: AppState, stop: CancellationToken) {
    let hits = state.hits.clone();
    let db = state.db.clone();
    keep_going("tracking", state, stop, |state: AppState| async move {
        tracking::run_once(&state.db, state.clock.now(), &state.hits).await
    })
    .await;
    if let Err(error) = hits.write_down(&db).await {
        tracing::error!(
            error = error.description(),
            "The last openings and clicks could not be written down"
        );
    }
}

/// Run `job` at its slots until `stop`.
async fn follow(state: AppState, job: &'static Job, stop: CancellationToken) {
    loop {
        let (own, until) = (state.clone(), stop.clone());
        if let Err(error) = alone(async move { tick(&own, job, &until).await }).await {
            tracing::error!(
                job.name = job.name,
                error = error.description(),
                "A scheduled job could not run"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => (),
        }
    }
}

/// Run `job` if its latest slot has not been taken. A slot that was missed is caught
/// up once: the latest, however many there were. Returns whether it ran.
///
/// # Errors
/// When the database fails; what fails in the job is written to its run.
pub async fn tick(state: &AppState, job: &'static Job, stop: &CancellationToken) -> Result<bool> {
    let slot = job.when.latest(state.clock.now());
    runs::bury_the_dead(&state.db, state.clock.now()).await?;
    perform(state, job, slot, None, stop).await
}

/// Run every job whose latest slot has not been taken but the drip, for whoever keeps the time in this process's stead
/// (`SCHEDULER=off`) and asks for the drip itself. One that fails keeps none of the others from running.
pub async fn catch_up(state: &AppState, stop: &CancellationToken) {
    for job in JOBS.iter().filter(|it| it.name != jobs::DRIP) {
        let (own, until) = (state.clone(), stop.clone());
        if let Err(error) = alone(async move { tick(&own, job, &until).await }).await {
            tracing::error!(
                job.name = job.name,
                error = error.description(),
                "A scheduled job could not run"
            );
        }
    }
}

/// Run `job` now, because `actor` asks, which the audit keeps under the instant that is the run's slot. Returns false if
/// this very instant was asked for already.
///
/// # Errors
/// When the database fails; what fails in the job is written to its run.
pub async fn run_now(
    state: &AppState,
    actor: &Actor,
    job: &'static Job,
    stop: &CancellationToken,
) -> Result<bool> {
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let change = audit::Change {
        action: "job.run",
        subject_kind: "job",
        after: Some(job.name.into()),
        ..audit::Change::default()
    };
    audit::record(&mut tx, now, actor, change).await?;
    tx.commit().await?;
    perform(state, job, now, Some(actor), stop).await
}

async fn perform(
    state: &AppState,
    job: &'static Job,
    slot: chrono::DateTime<chrono::Utc>,
    asked_by: Option<&Actor>,
    stop: &CancellationToken,
) -> Result<bool> {
    let (trigger, drip_trigger) = match asked_by {
        None | Some(Actor::System) => (Trigger::Scheduler, drip_runs::Trigger::Scheduler),
        Some(Actor::Staff { .. }) => (Trigger::Manual, drip_runs::Trigger::Panel),
        Some(Actor::CommandLine) => (Trigger::Manual, drip_runs::Trigger::CommandLine),
    };
    let Some(run) = runs::take(&state.db, state.clock.now(), job.name, slot, trigger).await? else {
        return Ok(false);
    };
    let result = alone((job.run)(state.clone(), stop.clone(), drip_trigger)).await;
    if let Err(error) = &result {
        tracing::error!(job.name = job.name, error = error.description(), "Scheduled job failed");
    }
    run.end(&state.db, state.clock.now(), result.map_err(|it| it.to_string())).await?;
    Ok(true)
}

/// Do `work` as a task of its own, so that a bug in one pass costs that pass and not all
/// those after it. What panicked and where is in the log already, by the panic's own words.
async fn alone<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    // Aborted with whoever waits for it: when stopping, nothing is left behind.
    AbortOnDropHandle::new(tokio::spawn(work)).await.unwrap_or_else(|end| {
        let how = if end.is_panic() { "panicked" } else { "was cut off" };
        Err(Error::Internal(format!("a pass {how}")))
    })
}

/// Let an engine work until it finds nothing, rest, and look again, until `stop`.
async fn keep_going<P>(
    name: &'static str,
    state: AppState,
    stop: CancellationToken,
    pass: impl Fn(AppState) -> P + Send,
) where
    P: Future<Output = Result<bool>> + Send + 'static,
{
    while !stop.is_cancelled() {
        let rest = match alone(pass(state.clone())).await {
            Ok(true) => continue,
            Ok(false) => REST,
            Err(error) => {
                tracing::error!(engine = name, error = error.description(), "Engine failed");
                REST_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chile::slots::When,
        clock::Clock,
        config::Config,
        deliverability::{Doctor, links::Visitor},
    };
    use chrono::{DateTime, Utc};
    use sqlx::PgPool;
    use std::{collections::HashMap, sync::Arc};

    fn state(db: PgPool) -> AppState {
        AppState {
            db,
            config: Arc::new(Config::read(|_| None).unwrap()),
            clock: Clock::fixed(DateTime::<Utc>::UNIX_EPOCH),
            senders: Arc::new(HashMap::new()),
            hits: tracking::Hits::default(),
            doctor: Arc::new(Doctor::new(None)),
            visitor: Arc::new(Visitor::of_system()),
            stop: CancellationToken::new(),
        }
    }

    #[sqlx::test(migrator = "crate::db::MIGRATIONS")]
    async fn a_job_that_panics_is_written_down_as_failed_and_has_its_next_turn(db: PgPool) {
        const JOB: Job = Job {
            name: "stumble",
            label: "Tropiezo",
            about: "",
            when: When::EveryMinutes(10),
            run: |_, _, _| Box::pin(async { panic!("as it must") }),
        };
        let (state, stop) = (state(db.clone()), CancellationToken::new());
        assert!(tick(&state, &JOB, &stop).await.unwrap());
        state.clock.advance(chrono::TimeDelta::minutes(10));
        assert!(tick(&state, &JOB, &stop).await.unwrap());
        let last = runs::latest(&db, "stumble", 9).await.unwrap();
        assert_eq!(last.iter().map(|it| it.status.as_str()).collect::<Vec<_>>(), ["FAILED", "FAILED"]);
    }

    #[tokio::test]
    async fn a_pass_that_panics_is_an_error_to_those_who_wait_for_it() {
        let fell = alone::<bool>(async { panic!("as it must") }).await;
        assert!(matches!(fell, Err(Error::Internal(it)) if it.contains("panicked")));
        assert!(matches!(alone(async { Ok(7) }).await, Ok(7)));
    }
}
