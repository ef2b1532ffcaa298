//! What ends messages that have not left: a campaign or a mailing that is called off, also while they were being handed
//! over, and somebody who is deleted. What a person decides on one message is [`super::outbox`]'s.

use crate::{
    access::Actor,
    db::Tx,
    error::Result,
    ids::{CampaignId, MailingId},
};
use chrono::{DateTime, Utc};

/// PENDING -> CANCELLED for all that is left of a campaign. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn of_campaign(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    campaign: CampaignId,
) -> Result<u64> {
    let done = sqlx::query!(
        "with ordered as (
             select id from communication_logs
             where campaign_id = $1 and status = 'PENDING' and origin = 'CAMPAIGN' order by id for update
         ), gone as (
             update communication_logs set status = 'CANCELLED', defer_reason = null
             where id in (select id from ordered)
             returning id
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id)
         select id, $2, 'CANCELLED', $3 from gone",
        campaign.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// PENDING, UNCONFIRMED -> CANCELLED for all that is left for people who are deleted. Returns how many.
pub(super) async fn of_people(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
) -> Result<u64> {
    let done = sqlx::query!(
        "with ordered as (
             select id from communication_logs
             where contact_id = any($1) and status in ('PENDING', 'UNCONFIRMED') order by id for update
         ), gone as (
             update communication_logs set status = 'CANCELLED', defer_reason = null
             where id in (select id from ordered)
             returning id
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id)
         select id, $2, 'CANCELLED', $3 from gone",
        contacts,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// PENDING -> CANCELLED for all that is left of a mailing. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn of_mailing(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    mailing: MailingId,
) -> Result<u64> {
    let done = sqlx::query!(
        "with ordered as (
             select id from communication_logs where mailing_id = $1 and status = 'PENDING' order by id for update
         ), gone as (
             update communication_logs set status = 'CANCELLED', defer_reason = null
             where id in (select id from ordered)
             returning id
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id)
         select id, $2, 'CANCELLED', $3 from gone",
        mailing.0,
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// PENDING -> CANCELLED for those of `ids` that came back to a campaign or a mailing that was cancelled meanwhile.
pub(super) async fn of_returned(tx: &mut Tx<'_>, at: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    // Who cancels a mailing right now saw these being handed over: theirs is waited for.
    sqlx::query!(
        "with mailing as materialized (
             select id, status from mailings
             where id in (select mailing_id from communication_logs where id = any($1)) order by id for share
         ), gone as (
             update communication_logs l set status = 'CANCELLED', defer_reason = null
             where l.id = any($1) and l.status is not distinct from 'PENDING'
               and (exists (select from campaigns c where c.id = l.campaign_id and c.status = 'CANCELLED')
                    or exists (select from mailing m where m.id = l.mailing_id and m.status = 'CANCELLED'))
             returning l.id
         )
         insert into communication_events (communication_log_id, at, kind) select id, $2, 'CANCELLED' from gone",
        ids,
        at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
