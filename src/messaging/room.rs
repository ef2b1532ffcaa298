//! How many promotions a channel, and a campaign, may still send on the local day: their daily caps less what left or
//! is about to.

use super::kinds::MessageType;
use crate::{
    channels::Channel,
    chile::time,
    db::{Tx, locks},
    error::Result,
    ids::CampaignId,
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Daily caps; none: no cap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caps {
    /// Promotions of the channel.
    pub channel: Option<u32>,
    /// Messages of one campaign.
    pub campaign: Option<(CampaignId, u32)>,
}

/// What is left of the channel's cap and of the campaign's; no other run counts until the transaction ends, were there
/// two after all.
///
/// # Errors
/// When the database fails.
pub(super) async fn held(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    channel: Channel,
    caps: Caps,
) -> Result<(Option<u32>, Option<u32>)> {
    if caps.channel.is_some() || caps.campaign.is_some() {
        sqlx::query!("select pg_advisory_xact_lock($1, 0)", locks::DAILY_CAP).fetch_one(&mut **tx).await?;
    }
    today(tx, now, channel, caps).await
}

/// What is left at this moment, for who only looks.
///
/// # Errors
/// When the database fails.
pub async fn today(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    channel: Channel,
    caps: Caps,
) -> Result<(Option<u32>, Option<u32>)> {
    if caps.channel.is_none() && caps.campaign.is_none() {
        return Ok((None, None));
    }
    let gone = gone(db, now, channel, caps.campaign.map(|it| it.0)).await?;
    let left = |cap: Option<u32>, gone: i64| {
        cap.map(|cap| cap.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX)))
    };
    Ok((left(caps.channel, gone.all), left(caps.campaign.map(|it| it.1), gone.own)))
}

/// Promotions of the channel that left on the local day.
///
/// # Errors
/// When the database fails.
pub async fn sent_today(db: &mut PgConnection, now: DateTime<Utc>, channel: Channel) -> Result<i64> {
    Ok(gone(db, now, channel, None).await?.sent)
}

/// Promotions of a channel on the local day.
struct Gone {
    /// Those that left.
    sent: i64,
    /// With those that are about to.
    all: i64,
    /// Of these, one campaign's.
    own: i64,
}

/// A campaign's own are told by its figures, which a local day begins an hour of: a day of hundreds of thousands costs as
/// much as an idle one, and every page of messages that a run takes up asks.
async fn gone(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    channel: Channel,
    campaign: Option<CampaignId>,
) -> Result<Gone> {
    let since = time::start_of_day(time::local_date(now));
    Ok(sqlx::query_as!(
        Gone,
        r#"with counted as (
               select f.campaign_id, true as has_left, sum(f.messages)::bigint as n
               from campaign_figures f join campaigns c on c.id = f.campaign_id
               where f.what = 'SENT' and f.hour >= $2 and c.communication_type = $1 and c.message_type = any($4)
               group by f.campaign_id
               union all
               select campaign_id, true, count(*) from communication_logs
               where communication_type = $1 and sent_at >= $2 and origin <> 'CAMPAIGN' and origin <> 'TEST'
                 and message_type = any($4)
               group by campaign_id
               union all
               select campaign_id, false, count(*) from communication_logs
               where communication_type = $1 and sent_at is null and claimed_at >= $2
                 and status in ('SENDING', 'UNCONFIRMED') and origin <> 'TEST' and message_type = any($4)
               group by campaign_id
               union all
               select campaign_id, false, count(*)
               from communication_reservations r join communication_logs l on l.id = r.communication_log_id
               where communication_type = $1 and status = 'PENDING' and reserved_at >= $2
                 and origin <> 'TEST' and message_type = any($4)
               group by campaign_id
           )
           select coalesce(sum(n) filter (where has_left), 0)::bigint as "sent!",
                  coalesce(sum(n), 0)::bigint as "all!",
                  coalesce(sum(n) filter (where campaign_id = $3), 0)::bigint as "own!" from counted"#,
        channel.code(),
        since,
        campaign.map(|it| it.0),
        &MessageType::promotional_codes()
    )
    .fetch_one(db)
    .await?)
}
