//! Taking back what somebody on the staff asked for by hand and has not left yet.

use super::outbox::Origin;
use crate::{access::Actor, db::Tx, error::Result, ids::ContactId};
use chrono::{DateTime, Utc};

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
