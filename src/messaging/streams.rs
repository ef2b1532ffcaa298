//! The streams of a run: due messages that share a batch. Which of a stream's messages may go is [`super::claim`]'s.

use crate::{
    channels::Channel,
    chile::business_hours::BusinessHours,
    error::Result,
    ids::{CampaignId, MailingId, TemplateId},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::time::Duration;

/// Messages of a campaign that leave in one run, unless it says otherwise.
pub const USUAL_BATCH: u32 = 30;

/// Service messages and workflow steps that leave in one run: they are not dripped, for each was asked for on its own.
const SERVICE_BATCH: u32 = 10_000;

/// Messages of a campaign that have their turn in a run of `lasts`, `spacing` seconds from one to the next; none: a run
/// that takes as long as it needs.
#[must_use]
pub fn in_one_run(spacing: u32, lasts: Option<Duration>) -> u32 {
    match lasts {
        Some(lasts) if spacing > 0 => {
            let turns = lasts.as_millis().div_ceil(u128::from(spacing) * 1000);
            u32::try_from(turns).unwrap_or(u32::MAX).max(1)
        }
        _ => u32::MAX,
    }
}

/// What asked for many messages at once, and is paused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sendout {
    /// A campaign.
    Campaign(CampaignId),
    /// A mailing.
    Mailing(MailingId),
}

/// Due messages that share a batch: a campaign's, a mailing's, or those of neither.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) campaign: Option<CampaignId>,
    pub(super) mailing: Option<MailingId>,
    /// The campaign's text as it stands now; none: each message's own.
    pub(super) template: Option<TemplateId>,
    /// It tries several texts, or has some for industries: which of them a message gets is asked anew for each page.
    pub(super) has_several_texts: bool,
    /// Its messages tell of openings and clicks.
    pub(super) tracks: bool,
    /// Messages that may leave in this run.
    pub(super) batch: u32,
    pub(super) daily_cap: Option<u32>,
    pub(super) hours: Option<BusinessHours>,
    /// Seconds between two messages.
    pub(super) spacing: u32,
}

impl Sendout {
    /// What asked for a message of `campaign` or of `mailing`; none: one person did.
    pub(super) fn of(campaign: Option<CampaignId>, mailing: Option<MailingId>) -> Option<Sendout> {
        campaign.map(Sendout::Campaign).or(mailing.map(Sendout::Mailing))
    }
}

impl Stream {
    /// Of messages that each have their own text.
    pub(super) fn plain(batch: u32) -> Stream {
        Stream {
            campaign: None,
            mailing: None,
            template: None,
            has_several_texts: false,
            tracks: false,
            batch,
            daily_cap: None,
            hours: None,
            spacing: 0,
        }
    }

    /// What asked for its messages.
    pub(super) fn sendout(&self) -> Option<Sendout> {
        Sendout::of(self.campaign, self.mailing)
    }
}

/// The streams that have something due, in the order in which a run takes them.
///
/// # Errors
/// When the database fails.
pub(super) async fn streams(
    db: &mut PgConnection,
    channel: Channel,
    now: DateTime<Utc>,
    batch: Option<u32>,
    channel_cap: Option<u32>,
) -> Result<Vec<Stream>> {
    // Here and below the reservation is asked for as a value, one row at a time: `not exists` would become a join, and
    // that reads all that waits before it gives the first.
    let free = sqlx::query_scalar!(
        r#"select exists (select 1 from communication_logs
               where communication_type = $1 and campaign_id is null and mailing_id is null and status = 'PENDING'
                 and next_attempt_at <= $2 and (
                     select drip_run_id from communication_reservations where communication_log_id = communication_logs.id
                 ) is null) as "due!""#,
        channel.code(),
        now
    )
    .fetch_one(&mut *db)
    .await?;
    let mut streams = Vec::new();
    if free {
        streams.push(Stream::plain(batch.unwrap_or(SERVICE_BATCH)));
    }
    streams.extend(mailings(db, channel, now, batch, channel_cap).await?);
    streams.extend(campaigns(db, channel, now, batch).await?);
    Ok(streams)
}

/// Messages of all mailings that leave in one run, before those of campaigns: as many as of one campaign, and not more
/// than half of the day's, or a campaign could wait for days.
#[must_use]
pub fn batch_of_mailings(channel_cap: Option<u32>) -> u32 {
    channel_cap.map_or(USUAL_BATCH, |cap| USUAL_BATCH.min(cap.div_ceil(2)))
}

async fn mailings(
    db: &mut PgConnection,
    channel: Channel,
    now: DateTime<Utc>,
    batch: Option<u32>,
    channel_cap: Option<u32>,
) -> Result<Vec<Stream>> {
    let ids = sqlx::query_scalar!(
        "select id from mailings m
         where sends
           and exists (select 1 from communication_logs l
                       where l.communication_type = $1 and l.campaign_id is null and l.mailing_id = m.id
                         and l.status = 'PENDING' and l.next_attempt_at <= $2 and (
                             select drip_run_id from communication_reservations where communication_log_id = l.id
                         ) is null)
         order by id",
        channel.code(),
        now
    )
    .fetch_all(db)
    .await?;
    let sharers = u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
    let batch = (batch.unwrap_or_else(|| batch_of_mailings(channel_cap)) / sharers).max(1);
    Ok(ids.into_iter().map(|id| Stream { mailing: Some(MailingId(id)), ..Stream::plain(batch) }).collect())
}

async fn campaigns(
    db: &mut PgConnection,
    channel: Channel,
    now: DateTime<Utc>,
    batch: Option<u32>,
) -> Result<Vec<Stream>> {
    let campaigns = sqlx::query!(
        r#"select id, template_id, tracks, batch_size, daily_cap, spacing_seconds, business_hours,
             (sample_percent is not null or exists (
                 select from campaign_own_texts o where o.campaign_id = c.id and o.removed_at is null
             )) as "has_several_texts!"
         from campaigns c
         where status = 'RUNNING' and communication_type = $1
           and exists (select 1 from communication_logs l
                       where l.communication_type = $1 and l.campaign_id = c.id and l.status = 'PENDING'
                         and l.origin <> 'TEST' and l.next_attempt_at <= $2 and (
                             select drip_run_id from communication_reservations where communication_log_id = l.id
                         ) is null)
         order by id"#,
        channel.code(),
        now
    )
    .fetch_all(db)
    .await?;
    let int = |n: i32| u32::try_from(n).unwrap_or_default();
    let mut streams = Vec::new();
    for it in campaigns {
        let Ok(hours) = it.business_hours.map(serde_json::from_value).transpose() else {
            // Silence is better than the hours of somebody else.
            tracing::error!(
                campaign.id = it.id,
                "The hours of a campaign can't be read: nothing of it is sent"
            );
            continue;
        };
        streams.push(Stream {
            campaign: Some(CampaignId(it.id)),
            template: it.template_id.map(TemplateId),
            has_several_texts: it.has_several_texts,
            tracks: it.tracks,
            daily_cap: it.daily_cap.map(int),
            hours,
            spacing: int(it.spacing_seconds),
            ..Stream::plain(batch.unwrap_or(int(it.batch_size)))
        });
    }
    Ok(streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_as_many_turns_as_begin_before_it_ends() {
        let minutes = |spacing, minutes| in_one_run(spacing, Some(Duration::from_mins(minutes)));
        assert_eq!((minutes(60, 9), minutes(100, 9), minutes(3600, 9)), (9, 6, 1));
        assert_eq!((minutes(0, 9), in_one_run(60, None)), (u32::MAX, u32::MAX));
    }
}
