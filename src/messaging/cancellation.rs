//! What ends messages that have not left: a campaign that is called off, somebody who is deleted, a person of the staff
//! who takes back what they asked for by hand. What comes back to a campaign that was called
//! off meanwhile, and what a person decides on one message, is [`super::outbox`]'s.

use super::outbox::Origin;
use crate::{
    access::Actor,
    db::Tx,
    error::Result,
    ids::{CampaignId, ContactId},
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

impl Origin {
    /// PENDING -> CANCELLED for what was asked for by hand under this origin's key for `contacts`, or for those whom they
    /// were joined into. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recall(
        &self,
        tx: &mut Tx<'_>,
        now: DateTime<Utc>,
        actor: &Actor,
        contacts: &[ContactId],
    ) -> Result<u64> {
        let keys: Vec<String> = contacts.iter().filter_map(|it| self.dedupe_key(*it)).collect();
        let done = sqlx::query!(
            "with ordered as (
                 select id from communication_logs
                 where dedupe_key = any($1) and status = 'PENDING' and origin = 'MANUAL' order by id for update
             ), gone as (
                 update communication_logs set status = 'CANCELLED', defer_reason = null
                 where id in (select id from ordered)
                 returning id
             )
             insert into communication_events (communication_log_id, at, kind, staff_user_id)
             select id, $2, 'CANCELLED', $3 from gone",
            &keys,
            now,
            actor.staff_id().map(|it| it.0)
        )
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected())
    }
}
