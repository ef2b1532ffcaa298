//! The engine: takes what was asked for, asks the provider, and writes down what came. It waits for an answer outside any
//! transaction; a call that is cut off is told by its lock, and what it was for is taken up again, once.

use super::{by_itself, judge};
use crate::{
    access::{Actor, Permission},
    campaigns::campaign,
    clock::Clock,
    config::{Config, DeepSeek},
    copywriter::{
        budget,
        calls::{self, About},
        deepseek::{self, Question, Reply},
        outcome::{Again, Outcome},
        standing::{self, Reason},
        terms::Terms,
    },
    db::Tx,
    error::{Error, Result},
    ids::CampaignId,
    settings,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, PgPool};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Calls of one request that the provider may charge for.
pub const PAID: i32 = 2;

/// Calls of one request.
pub const TRIES: i32 = 3;

/// How long a second try waits; the third waits three times as long.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest that is waited because the provider says so.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// A request.
struct Request {
    id: i64,
    campaign: CampaignId,
    instructions: String,
    prompt: String,
    max_tokens: u32,
    tries: i32,
    paid: i32,
    most: i64,
    reserved: i64,
    created_by: Option<i64>,
    created_by_name: String,
}

impl Request {
    fn about<'a>(&'a self, deepseek: &'a DeepSeek) -> About<'a> {
        About {
            campaign: self.campaign,
            model: &deepseek.model,
            question: Question {
                instructions: &self.instructions,
                prompt: &self.prompt,
                max_tokens: self.max_tokens,
            },
            asked_by: self.created_by,
            asked_by_name: &self.created_by_name,
        }
    }
}

/// Take the next request as far as it goes: to its proposals, to another try, or to why there will be none. True: there was
/// one. Once `stop` is cancelled, no answer is waited for any more.
///
/// # Errors
/// When the database fails.
pub async fn run_once(db: &PgPool, clock: &Clock, config: &Config, stop: &CancellationToken) -> Result<bool> {
    let now = clock.now();
    calls::bury_the_dead(db, now).await?;
    recover(db, now).await?;
    let is_due = sqlx::query_scalar!(
        r#"select exists (select from copy_requests where status = 'PENDING' and next_attempt_at <= $1) as "is!""#,
        now
    )
    .fetch_one(db)
    .await?;
    if !is_due || stop.is_cancelled() {
        return Ok(false);
    }
    // Its session holds the call's lock.
    let mut connection = db.acquire().await?.detach();
    let taken = take(&mut connection, now, config).await;
    let result = match (taken, &config.deepseek) {
        (Ok(Taken::Call(request, call)), Some(deepseek)) => {
            let about = request.about(deepseek);
            let reply = tokio::select! {
                reply = deepseek::ask(deepseek, about.question) => reply,
                () = stop.cancelled() => Reply::ended(Outcome::Interrupted),
            };
            tracing::info!(
                campaign.id = request.campaign.0,
                outcome = reply.outcome.code(),
                duration_ms = u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
                "DeepSeek was asked"
            );
            match finish(&mut connection, clock.now(), config, &request, call, &reply).await {
                Ok(()) => by_itself::take(&mut connection, clock.now(), config, request.id).await,
                Err(error) => Err(error),
            }
            .map(|()| true)
        }
        (Ok(Taken::Nothing), _) => Ok(false),
        (Ok(Taken::Settled(id)), _) => by_itself::take(&mut connection, now, config, id).await.map(|()| true),
        (Ok(Taken::Call(..)), _) => Ok(true),
        (Err(error), _) => Err(error),
    };
    connection.close().await.ok();
    result
}

/// What became of the request that was due.
enum Taken {
    /// Somebody else took it.
    Nothing,
    /// It, by its row, has its answer, or its failure.
    Settled(i64),
    /// The provider is to be asked: the request, and the row of the call.
    Call(Box<Request>, i64),
}

async fn take(connection: &mut PgConnection, now: DateTime<Utc>, config: &Config) -> Result<Taken> {
    let mut tx = connection.begin().await?;
    let next = sqlx::query!(
        "select id, campaign_id, instructions, prompt, max_tokens, tries, paid, most_micro, reserved_micro, created_by,
                created_by_name
         from copy_requests where status = 'PENDING' and next_attempt_at <= $1
         order by next_attempt_at, id limit 1 for update skip locked",
        now
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(it) = next else { return Ok(Taken::Nothing) };
    let request = Request {
        id: it.id,
        campaign: CampaignId(it.campaign_id),
        instructions: it.instructions,
        prompt: it.prompt,
        max_tokens: u32::try_from(it.max_tokens).unwrap_or_default(),
        tries: it.tries,
        paid: it.paid,
        most: it.most_micro,
        reserved: it.reserved_micro,
        created_by: it.created_by,
        created_by_name: it.created_by_name,
    };
    let taken = match refusal(&mut tx, config, &request).await? {
        Some(why) => {
            fail(&mut tx, now, request.id, &why).await?;
            Taken::Settled(request.id)
        }
        None => begin(&mut tx, now, config, request).await?,
    };
    tx.commit().await?;
    Ok(taken)
}

/// Why a request is not asked after all; nothing is paid for it.
async fn refusal(tx: &mut Tx<'_>, config: &Config, request: &Request) -> Result<Option<String>> {
    if let Some(why) = standing::of(&mut **tx, config).await?.why_off() {
        return Ok(Some(why));
    }
    let asker = Actor::asking(&mut **tx, request.created_by, &request.created_by_name).await;
    match asker.and_then(|it| it.require(Permission::EditCampaigns)) {
        Err(Error::Forbidden) => {
            return Ok(Some(
                "Quien lo pidió ya no puede escribir campañas, así que no se preguntó. El texto no cambió; otra persona \
                 del equipo puede pedirlo."
                    .to_owned(),
            ));
        }
        may => may?,
    }
    let campaign = campaign::get(tx, request.campaign).await?;
    Ok((campaign.status != campaign::Status::Draft).then(|| {
        format!("{}, así que no se preguntó: su texto quedó como estaba.", campaign.status.why_fixed())
    }))
}

/// Answer from what is there already, or write down that the provider is asked.
async fn begin(tx: &mut Tx<'_>, now: DateTime<Utc>, config: &Config, request: Request) -> Result<Taken> {
    let Some(deepseek) = &config.deepseek else { return Ok(Taken::Nothing) };
    let terms: Terms = settings::load(&mut **tx, &config.first_values).await?;
    let about = request.about(deepseek);
    if let Some(answer) = calls::cached(&mut **tx, now, &terms, about).await? {
        let call = calls::reuse(tx, now, about, &answer).await?;
        let proposals = judge::read(&answer, &request.prompt).unwrap_or_default();
        settle(tx, now, request.id, call, &proposals).await?;
        return Ok(Taken::Settled(request.id));
    }
    // It was to come from what is there, and that is too old by now.
    if request.reserved < request.most
        && let Err(error) = budget::bear(tx, now, &terms, request.most * i64::from(PAID - request.paid)).await
    {
        let Error::Refused(why) = error else { return Err(error) };
        fail(tx, now, request.id, &why).await?;
        return Ok(Taken::Settled(request.id));
    }
    let call = calls::start(tx, now, about, request.most).await?;
    sqlx::query!(
        "update copy_requests set status = 'RUNNING', tries = tries + 1, call_id = $2, reserved_micro = $3
         where id = $1 and status = 'PENDING'",
        request.id,
        call,
        request.most * i64::from((PAID - request.paid - 1).max(0))
    )
    .execute(&mut **tx)
    .await?;
    Ok(Taken::Call(Box::new(Request { tries: request.tries + 1, ..request }), call))
}

/// Write down what came of the call, and what comes next.
async fn finish(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    request: &Request,
    call: i64,
    reply: &Reply,
) -> Result<()> {
    let answer = reply.answer.as_deref().filter(|_| reply.outcome == Outcome::Answered);
    let proposals = answer.and_then(|it| judge::read(it, &request.prompt));
    let outcome = match (reply.outcome, &proposals) {
        (Outcome::Answered, None) => Outcome::Unreadable,
        (outcome, _) => outcome,
    };
    let mut tx = connection.begin().await?;
    let terms: Terms = settings::load(&mut *tx, &config.first_values).await?;
    calls::finish(&mut tx, now, &terms, call, reply, outcome).await?;
    let paid = request.paid + i32::from(outcome.is_paid());
    match proposals {
        Some(proposals) => settle(&mut tx, now, request.id, call, &proposals).await?,
        None => retry_or_fail(&mut tx, now, request, (paid, outcome), reply.wait).await?,
    }
    if let Some(reason) = Reason::of(outcome) {
        standing::pause(&mut tx, now, reason).await?;
        let why = outcome.sentence();
        sqlx::query!(
            "update copy_requests set status = 'FAILED', failure = $1, finished_at = $2 where status = 'PENDING'",
            why,
            now
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// RUNNING -> PENDING for another try, or FAILED.
async fn retry_or_fail(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    request: &Request,
    (paid, outcome): (i32, Outcome),
    wait: Option<Duration>,
) -> Result<()> {
    let pause = match outcome.again() {
        Again::No => None,
        Again::Once => Some(Duration::ZERO),
        Again::Later => Some(pause(request.tries, wait)),
    };
    let Some(pause) = pause.filter(|_| paid < PAID && request.tries < TRIES) else {
        return fail(tx, now, request.id, &outcome.sentence()).await;
    };
    let at = now + TimeDelta::from_std(pause).unwrap_or_default();
    sqlx::query!(
        "update copy_requests set status = 'PENDING', paid = $2, reserved_micro = $3, next_attempt_at = $4
         where id = $1 and status = 'RUNNING'",
        request.id,
        paid,
        request.most * i64::from(PAID - paid),
        at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How long the try after `tries` waits: longer each time, never two at the same instant, and as long as the provider asks.
fn pause(tries: i32, asked: Option<Duration>) -> Duration {
    let base = PAUSE * 3_u32.pow(u32::try_from(tries - 1).unwrap_or_default().min(4));
    let jittered = base.mul_f64(1.0 + rand::random::<f64>() / 2.0);
    jittered.max(asked.unwrap_or_default()).min(LONGEST_PAUSE)
}

/// PENDING, RUNNING -> DONE with its proposals.
async fn settle(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    id: i64,
    call: i64,
    proposals: &[judge::Judged],
) -> Result<()> {
    let done = sqlx::query!(
        "update copy_requests set status = 'DONE', call_id = $2, finished_at = $3
         where id = $1 and status in ('PENDING', 'RUNNING')",
        id,
        call,
        now
    )
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() == 0 {
        // The draft was deleted meanwhile.
        return Ok(());
    }
    let of = |part: fn(&judge::Judged) -> &str| -> Vec<String> {
        proposals.iter().map(|it| part(it).to_owned()).collect()
    };
    let problems: Vec<Option<String>> = proposals.iter().map(|it| it.problem.clone()).collect();
    let cautions: Vec<Option<String>> = proposals.iter().map(|it| it.caution.clone()).collect();
    sqlx::query!(
        "insert into copy_proposals (request_id, position, subject, opening, problem, caution, status)
         select $1, n, subject, opening, problem, caution, case when problem is null then 'PROPOSED' else 'UNUSABLE' end
         from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality p (subject, opening, problem, caution, n)",
        id,
        &of(|it| &it.subject),
        &of(|it| &it.opening),
        &problems as &[Option<String>],
        &cautions as &[Option<String>]
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// PENDING, RUNNING -> FAILED.
async fn fail(tx: &mut Tx<'_>, now: DateTime<Utc>, id: i64, why: &str) -> Result<()> {
    sqlx::query!(
        "update copy_requests set status = 'FAILED', failure = $2, finished_at = $3
         where id = $1 and status in ('PENDING', 'RUNNING')",
        id,
        why,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// RUNNING -> PENDING, FAILED for what its process left behind: its call is closed, and nobody waits for it.
async fn recover(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update copy_requests r
         set status = case when r.paid + 1 < $2 and r.tries < $3 then 'PENDING' else 'FAILED' end,
             failure = case when r.paid + 1 < $2 and r.tries < $3 then null else $4 end,
             finished_at = case when r.paid + 1 < $2 and r.tries < $3 then null else $1::timestamptz end,
             paid = r.paid + 1, reserved_micro = r.most_micro * greatest($2 - r.paid - 1, 0), next_attempt_at = $1
         from copy_calls l where l.id = r.call_id and l.status = 'DONE' and r.status = 'RUNNING'",
        now,
        PAID,
        TRIES,
        Outcome::Interrupted.sentence()
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_waits_longer_than_the_one_before_and_as_long_as_it_is_asked_to() {
        for _ in 0..50 {
            let (second, third) = (pause(1, None), pause(2, None));
            assert!(second >= PAUSE && second < PAUSE * 2, "{second:?}");
            assert!(third >= PAUSE * 3 && third < PAUSE * 5, "{third:?}");
        }
        assert_eq!(pause(1, Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(pause(1, Some(Duration::from_hours(9))), LONGEST_PAUSE);
    }
}
