//! What a rule put off is put to the gate again once the rule has changed, instead of waiting for the day that the
//! old one named. It decides nothing: the next run asks, and may put it off anew.

use super::kinds::DeferReason;
use crate::{access::Actor, channels::Channel, db::Tx, error::Result, ids::CampaignId};
use chrono::{DateTime, Utc};

/// Put off by the hours, holidays and caps of the channel.
pub const BY_THE_CHANNEL: &[DeferReason] =
    &[DeferReason::OutsideWindow, DeferReason::Holiday, DeferReason::DailyCap];

/// Put off by the hours and the cap of one campaign.
pub const BY_THE_CAMPAIGN: &[DeferReason] =
    &[DeferReason::OutsideWindow, DeferReason::Holiday, DeferReason::CampaignDailyCap];

/// Whose messages are asked about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Those of every channel.
    All,
    /// Those of one channel.
    Channel(Channel),
    /// Those of one campaign.
    Campaign(CampaignId),
}

/// Let what waits for one of `reasons` be asked about at the next chance, with `why` in its story. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn ask_again(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    of: Of,
    reasons: &[DeferReason],
    why: &str,
) -> Result<u64> {
    let (channel, campaign) = match of {
        Of::All => (None, None),
        Of::Channel(channel) => (Some(channel.code()), None),
        Of::Campaign(id) => (None, Some(id.0)),
    };
    let codes: Vec<String> = reasons.iter().map(|it| it.code().to_owned()).collect();
    let done = sqlx::query!(
        "with waiting as (
             select id from communication_logs
             where status = 'PENDING' and defer_reason is not null and defer_reason = any($1) and next_attempt_at > $2
               and ($3::bigint is null or campaign_id = $3) and ($6::text is null or communication_type = $6)
             order by id for update
         ), back as (
             update communication_logs l set next_attempt_at = $2, defer_reason = null
             from waiting w where l.id = w.id returning l.id
         )
         insert into communication_events (communication_log_id, at, kind, answer, staff_user_id)
         select id, $2, 'REQUEUED', $4, $5 from back",
        &codes,
        now,
        campaign,
        why,
        actor.staff_id().map(|it| it.0),
        channel
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
