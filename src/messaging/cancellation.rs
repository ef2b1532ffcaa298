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

/// Hold the messages of `contacts` that have not ended: until the transaction does, no run begins one of them. Whoever needs
/// the people too holds them after this, as runs do. Gives which they are.
pub(super) async fn hold_open(tx: &mut Tx<'_>, contacts: &[i64]) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "select id from communication_logs
         where contact_id = any($1) and status in ('PENDING', 'SENDING', 'UNCONFIRMED') order by id for update",
        contacts
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// Whether any message of `contacts` that has not ended is not among those `held`.
pub(super) async fn is_any_open(tx: &mut Tx<'_>, contacts: &[i64], held: &[i64]) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from communication_logs
               where contact_id = any($1) and status in ('PENDING', 'SENDING', 'UNCONFIRMED') and id <> all($2)) as "any!""#,
        contacts,
        held
    )
    .fetch_one(&mut **tx)
    .await?)
}

/// PENDING -> CANCELLED for all that waits for people who are deleted. What may have left stays as it is, since news of it
/// may come. Returns how many.
pub(super) async fn of_people(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contacts: &[i64],
) -> Result<u64> {
    let done = sqlx::query!(
        "with ordered as (
             select id from communication_logs
             where contact_id = any($1) and status = 'PENDING' order by id for update
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
