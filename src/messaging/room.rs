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
    let since = time::start_of_day(time::local_date(now));
    let gone = sqlx::query!(
        r#"with counted as (
               select campaign_id, count(*) as n from communication_logs
               where communication_type = $1 and sent_at >= $2 and origin <> 'TEST' and message_type = any($4)
               group by campaign_id
               union all
               select campaign_id, count(*) from communication_logs
               where communication_type = $1 and sent_at is null and claimed_at >= $2
                 and status in ('SENDING', 'UNCONFIRMED') and origin <> 'TEST' and message_type = any($4)
               group by campaign_id
               union all
               select campaign_id, count(*)
               from communication_reservations r join communication_logs l on l.id = r.communication_log_id
               where communication_type = $1 and status = 'PENDING' and reserved_at >= $2
                 and origin <> 'TEST' and message_type = any($4)
               group by campaign_id
           )
           select coalesce(sum(n), 0)::bigint as "all!",
                  coalesce(sum(n) filter (where campaign_id = $3), 0)::bigint as "own!" from counted"#,
        channel.code(),
        since,
        caps.campaign.map(|it| it.0.0),
        &MessageType::promotional_codes()
    )
    .fetch_one(db)
    .await?;
    let left = |cap: Option<u32>, gone: i64| {
        cap.map(|cap| cap.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX)))
    };
    Ok((left(caps.channel, gone.all), left(caps.campaign.map(|it| it.1), gone.own)))
}
