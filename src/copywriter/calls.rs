//! The record of each call: what was asked, what came, what it cost, how long it took, for whom. It is also our own
//! cache, since an answer to the same question is there already.

use super::{
    budget,
    deepseek::{Question, Reply},
    outcome::Outcome,
    terms::Terms,
};
use crate::{
    db::{Tx, locks},
    error::Result,
    ids::CampaignId,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool};

/// Who asks what.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// For which campaign.
    pub campaign: CampaignId,
    /// Whom.
    pub model: &'a str,
    /// What.
    pub question: Question<'a>,
    /// Account of who asked.
    pub asked_by: Option<i64>,
    /// Their name.
    pub asked_by_name: &'a str,
}

impl About<'_> {
    /// What tells the same question from another.
    #[must_use]
    pub fn hash(&self) -> Vec<u8> {
        let limit = self.question.max_tokens.to_string();
        let mut hash = Sha256::new();
        for part in [self.model, &limit, self.question.instructions, self.question.prompt] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().to_vec()
    }
}

/// The answer that the same question got within the days of `terms`; none: it has to be asked.
///
/// # Errors
/// When the database fails.
pub async fn cached(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    terms: &Terms,
    about: About<'_>,
) -> Result<Option<String>> {
    if terms.cache_days == 0 {
        return Ok(None);
    }
    let answer = sqlx::query_scalar!(
        r#"select answer as "answer!" from copy_calls
           where prompt_hash = $1 and outcome = 'ANSWERED' and not from_cache and answer is not null and finished_at > $2
           order by id desc limit 1"#,
        about.hash(),
        now - TimeDelta::days(terms.cache_days.into())
    )
    .fetch_optional(db)
    .await?;
    Ok(answer)
}

/// Write down that `answer` was there already.
///
/// # Errors
/// When the database fails.
pub async fn reuse(tx: &mut Tx<'_>, now: DateTime<Utc>, about: About<'_>, answer: &str) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        "insert into copy_calls (campaign_id, month, model, prompt_hash, instructions, prompt, status, outcome, answer,
             cost_micro, cost_is_estimate, from_cache, latency_ms, started_at, finished_at, asked_by, asked_by_name)
         values ($1, $2, $3, $4, $5, $6, 'DONE', 'ANSWERED', $7, 0, false, true, 0, $8, $8, $9, $10) returning id",
        about.campaign.0,
        budget::month(now),
        about.model,
        about.hash(),
        about.question.instructions,
        about.question.prompt,
        answer,
        now,
        about.asked_by,
        about.asked_by_name
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// Write down that a call begins, before it does: it is paid for also if we are cut off. `most` is what it may cost. The
/// session of `tx` holds the call's lock from here on, so that a call whose process is gone is told by it.
///
/// # Errors
/// When the database fails.
pub async fn start(tx: &mut Tx<'_>, now: DateTime<Utc>, about: About<'_>, most: i64) -> Result<i64> {
    let id = sqlx::query_scalar!(
        "insert into copy_calls (campaign_id, month, model, prompt_hash, instructions, prompt,
             cost_micro, cost_is_estimate, started_at, asked_by, asked_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, true, $8, $9, $10) returning id",
        about.campaign.0,
        budget::month(now),
        about.model,
        about.hash(),
        about.question.instructions,
        about.question.prompt,
        most,
        now,
        about.asked_by,
        about.asked_by_name
    )
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query!("select pg_advisory_lock($1, $2)", locks::COPY_CALL, locks::key(id))
        .fetch_one(&mut **tx)
        .await?;
    Ok(id)
}

/// Write down how the call `id` ended: as `outcome` says, which knows better than `reply` whether the answer is of use.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    terms: &Terms,
    id: i64,
    reply: &Reply,
    outcome: Outcome,
) -> Result<()> {
    let usage = reply.usage.unwrap_or_default();
    let is_estimate = outcome.is_paid() && reply.usage.is_none();
    // What it may have cost stands already where the provider did not tell.
    let cost = match (outcome.is_paid(), reply.usage) {
        (false, _) => Some(0),
        (true, Some(usage)) => Some(terms.cost(usage)),
        (true, None) => None,
    };
    let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    sqlx::query!(
        "update copy_calls set status = 'DONE', outcome = $2, answer = $3, prompt_tokens = $4, cached_tokens = $5,
             completion_tokens = $6, cost_micro = coalesce($7, cost_micro), cost_is_estimate = $8, latency_ms = $9,
             finished_at = $10
         where id = $1 and status = 'STARTED'",
        id,
        outcome.code(),
        reply.answer,
        int(usage.prompt),
        int(usage.cached),
        int(usage.completion),
        cost,
        is_estimate,
        i64::try_from(reply.latency.as_millis()).unwrap_or(i64::MAX),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Close the calls whose process is gone, at the most that they may have cost.
///
/// # Errors
/// When the database fails.
pub async fn bury_the_dead(db: &PgPool, now: DateTime<Utc>) -> Result<()> {
    let open = sqlx::query_scalar!("select id from copy_calls where status = 'STARTED' order by id")
        .fetch_all(db)
        .await?;
    for id in open {
        let mut tx = db.begin().await?;
        let dead = sqlx::query_scalar!(
            r#"select pg_try_advisory_xact_lock($1, $2) as "dead!""#,
            locks::COPY_CALL,
            locks::key(id)
        )
        .fetch_one(&mut *tx)
        .await?;
        if dead {
            sqlx::query!(
                "update copy_calls set status = 'DONE', outcome = 'INTERRUPTED', finished_at = $2
                 where id = $1 and status = 'STARTED'",
                id,
                now
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// One call, as read.
#[derive(Clone, Debug)]
pub struct Call {
    /// Row.
    pub id: i64,
    /// For which campaign: row and name; none: it was deleted.
    pub campaign: Option<(CampaignId, String)>,
    /// Who was asked.
    pub model: String,
    /// What is said with every question.
    pub instructions: String,
    /// What was asked.
    pub prompt: String,
    /// How it ended; none: it lasts.
    pub outcome: Option<Outcome>,
    /// What came.
    pub answer: Option<String>,
    /// Tokens sent.
    pub prompt_tokens: i32,
    /// Of those, what the provider had in its cache.
    pub cached_tokens: i32,
    /// Tokens written.
    pub completion_tokens: i32,
    /// Millionths of a peso.
    pub cost_micro: i64,
    /// The provider did not tell: it is the most.
    pub cost_is_estimate: bool,
    /// It was there already.
    pub from_cache: bool,
    /// How long it took.
    pub latency_ms: Option<i64>,
    /// When.
    pub started_at: DateTime<Utc>,
    /// Who asked.
    pub asked_by_name: String,
}

/// Which calls to read.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// Those of a campaign.
    Campaign(CampaignId),
    /// Those of the month that begins on this day.
    Month(NaiveDate),
}

/// At most `limit` calls below the row `before`, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &mut PgConnection, which: Which, before: Option<i64>, limit: i64) -> Result<Vec<Call>> {
    let (campaign, month) = match which {
        Which::Campaign(id) => (Some(id.0), None),
        Which::Month(month) => (None, Some(month)),
    };
    let rows = sqlx::query!(
        r#"select l.id, l.campaign_id, c.name as "name?", l.model, l.instructions, l.prompt, l.outcome, l.answer, l.prompt_tokens,
                  l.cached_tokens, l.completion_tokens, l.cost_micro, l.cost_is_estimate, l.from_cache, l.latency_ms,
                  l.started_at, l.asked_by_name
           from copy_calls l left join campaigns c on c.id = l.campaign_id
           where ($1::bigint is null or l.campaign_id = $1) and ($2::date is null or l.month = $2)
             and l.id < coalesce($3, 9223372036854775807)
           order by l.id desc limit $4"#,
        campaign,
        month,
        before,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| Call {
            id: it.id,
            campaign: it.campaign_id.map(CampaignId).zip(it.name),
            model: it.model,
            instructions: it.instructions,
            prompt: it.prompt,
            outcome: it.outcome.as_deref().and_then(Outcome::from_code),
            answer: it.answer,
            prompt_tokens: it.prompt_tokens,
            cached_tokens: it.cached_tokens,
            completion_tokens: it.completion_tokens,
            cost_micro: it.cost_micro,
            cost_is_estimate: it.cost_is_estimate,
            from_cache: it.from_cache,
            latency_ms: it.latency_ms,
            started_at: it.started_at,
            asked_by_name: it.asked_by_name,
        })
        .collect())
}

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Calls to the provider.
    pub calls: i64,
    /// Questions whose answer was there already.
    pub from_cache: i64,
    /// Tokens sent.
    pub prompt_tokens: i64,
    /// Tokens written.
    pub completion_tokens: i64,
    /// Millionths of a peso.
    pub cost_micro: i64,
}

/// What the calls came to.
///
/// # Errors
/// When the database fails.
pub async fn sums(db: impl PgExecutor<'_>, which: Which) -> Result<Sums> {
    let (campaign, month) = match which {
        Which::Campaign(id) => (Some(id.0), None),
        Which::Month(month) => (None, Some(month)),
    };
    Ok(sqlx::query_as!(
        Sums,
        r#"select count(*) filter (where not from_cache) as "calls!", count(*) filter (where from_cache) as "from_cache!",
                  coalesce(sum(prompt_tokens), 0)::bigint as "prompt_tokens!",
                  coalesce(sum(completion_tokens), 0)::bigint as "completion_tokens!",
                  coalesce(sum(cost_micro), 0)::bigint as "cost_micro!"
           from copy_calls where ($1::bigint is null or campaign_id = $1) and ($2::date is null or month = $2)"#,
        campaign,
        month
    )
    .fetch_one(db)
    .await?)
}
