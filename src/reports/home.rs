//! The figures of the first page, each of which leads to the very rows that it counts.

use crate::{
    channels::Channel,
    chile::{holidays::Calendar, time},
    config::FirstValues,
    error::Result,
    ids::{CampaignId, ImportId, MailingId},
    messaging::{
        kinds::Status,
        room, runs, sending,
        story::{self, Filter},
    },
    settings::{self, Business},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

/// What waits beside campaigns is counted up to this: "more than" says as much.
const ENOUGH: i64 = 10_000;

/// What somebody must look at is counted no further: whoever sees that many looks at the list.
pub const MANY: i64 = 1_000;

/// What failed within this long still wants to be looked at.
const LATELY: TimeDelta = TimeDelta::days(7);

/// The messages that failed lately, by when they failed.
#[must_use]
pub fn failed_lately(now: DateTime<Utc>) -> Filter {
    Filter { status: Some(Status::Failed), failed_since: Some(now - LATELY), ..Filter::default() }
}

/// The promotions by email that left on this local day: those that the daily cap counts.
#[must_use]
pub fn sent_today(now: DateTime<Utc>) -> Filter {
    Filter {
        left: true,
        channel: Some(Channel::Email),
        promotional: true,
        sent_since: Some(time::start_of_day(time::local_date(now))),
        ..Filter::default()
    }
}

/// What a person must look at.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Messages of which nobody knows if they left.
    pub unconfirmed: i64,
    /// Messages that failed in the last seven days and were not sent since.
    pub failed: i64,
    /// Campaigns that the program paused, with its reason.
    pub paused: Vec<(CampaignId, String, String)>,
    /// Mailings that stand still until a person lets them go on, with the reason.
    pub mailings: Vec<(MailingId, String, String)>,
    /// Imports read and waiting for a yes: row and file name.
    pub imports: Vec<(ImportId, String)>,
    /// Names of the scheduled jobs whose last run failed.
    pub jobs: Vec<String>,
    /// The last run of the queue stopped early, whoever asked for it.
    pub is_queue_stopped: bool,
}

impl Attention {
    /// Nothing at all.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.unconfirmed == 0
            && self.failed == 0
            && self.paused.is_empty()
            && self.mailings.is_empty()
            && self.imports.is_empty()
            && self.jobs.is_empty()
            && !self.is_queue_stopped
    }
}

/// How email goes today.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Waiting.
    pub pending: i64,
    /// There are more: counting them stopped.
    pub is_more_pending: bool,
    /// Promotions that left today, of all campaigns.
    pub sent_today: i64,
    /// Most that may leave today.
    pub daily_cap: Option<u32>,
    /// Promotions may leave at this moment.
    pub is_open: bool,
    /// When they next may.
    pub opens_at: Option<DateTime<Utc>>,
}

/// What a newcomer has done.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The legal sender is known.
    pub has_sender: bool,
    /// There is someone to write to.
    pub has_contacts: bool,
    /// A campaign was started.
    pub has_launched: bool,
}

impl Start {
    /// Everything.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.has_sender && self.has_contacts && self.has_launched
    }
}

/// What waits for a person.
///
/// # Errors
/// When the database fails.
pub async fn attention(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Attention> {
    let paused = sqlx::query!(
        "select id, name, coalesce(pause_reason, '') as \"reason!\" from campaigns
         where status = 'PAUSED' and paused_by is null order by id desc limit 5"
    )
    .fetch_all(&mut *db)
    .await?;
    let mailings = sqlx::query!(
        r#"select id, title, failure as "reason!" from mailings
           where status in ('PAUSED', 'FAILED') order by id desc limit 5"#
    )
    .fetch_all(&mut *db)
    .await?;
    let imports =
        sqlx::query!("select id, filename from imports where status = 'READY' order by id desc limit 5")
            .fetch_all(&mut *db)
            .await?;
    // From one name to the next by the index: the records of every ten minutes are many, the names few.
    let jobs = sqlx::query_scalar!(
        r#"with recursive names as (
               (select name from job_runs order by name limit 1)
               union all
               select (select r.name from job_runs r where r.name > names.name order by r.name limit 1)
               from names where names.name is not null
           )
           select names.name as "name!" from names cross join lateral (
               select status from job_runs r where r.name = names.name order by r.id desc limit 1
           ) last
           where last.status = 'FAILED'"#
    )
    .fetch_all(&mut *db)
    .await?;
    Ok(Attention {
        unconfirmed: unconfirmed(&mut *db, MANY + 1).await?,
        failed: story::count(&mut *db, &failed_lately(now), MANY + 1).await?,
        paused: paused.into_iter().map(|it| (CampaignId(it.id), it.name, it.reason)).collect(),
        mailings: mailings.into_iter().map(|it| (MailingId(it.id), it.title, it.reason)).collect(),
        imports: imports.into_iter().map(|it| (ImportId(it.id), it.filename)).collect(),
        jobs,
        is_queue_stopped: runs::trouble(&mut *db, Channel::Email).await?.is_some(),
    })
}

/// Messages of which nobody knows if they left, counted up to `enough`.
async fn unconfirmed(db: &mut PgConnection, enough: i64) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "n!" from (
               select from communication_logs where status = 'UNCONFIRMED' limit $1) found"#,
        enough
    )
    .fetch_one(db)
    .await?)
}

/// How email goes today.
///
/// # Errors
/// When the database fails.
pub async fn queue(db: &mut PgConnection, now: DateTime<Utc>, first: &FirstValues) -> Result<Queue> {
    let sending = sending::of(&mut *db, first, Channel::Email).await?;
    let hours = &sending.business_hours;
    let calendar: Calendar = settings::calendar(&mut *db).await?;
    // Campaigns keep tallies; the rest is asked for by hand, and counted.
    let waiting = sqlx::query!(
        r#"select (select coalesce(sum(t.messages), 0)::bigint from campaign_tallies t
                   join campaigns c on c.id = t.campaign_id
                   where t.status = 'PENDING' and c.communication_type = $1) as "campaigns!",
                  (select count(*) from (
                       select from communication_logs
                       where communication_type = $1 and status = 'PENDING' and campaign_id is null
                         and origin <> 'TEST' limit $2) by_hand) as "by_hand!""#,
        Channel::Email.code(),
        ENOUGH + 1
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(Queue {
        pending: waiting.campaigns + waiting.by_hand.min(ENOUGH),
        is_more_pending: waiting.by_hand > ENOUGH,
        sent_today: room::sent_today(&mut *db, now, Channel::Email).await?,
        daily_cap: sending.cap_today(&mut *db, now, Channel::Email).await?,
        is_open: hours.is_open(now, &calendar),
        opens_at: hours.next_open(now, &calendar),
    })
}

/// What a newcomer has done.
///
/// # Errors
/// When the database fails.
pub async fn start(db: &mut PgConnection, first: &FirstValues) -> Result<Start> {
    let business: Business = settings::load(&mut *db, first).await?;
    let done = sqlx::query!(
        r#"select exists (select from contacts) as "contacts!",
                  exists (select from campaigns where launched_at is not null) as "launched!""#
    )
    .fetch_one(db)
    .await?;
    Ok(Start {
        has_sender: business.is_legal_sender(),
        has_contacts: done.contacts,
        has_launched: done.launched,
    })
}
