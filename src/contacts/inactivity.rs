//! The daily look for contacts with whom nothing happened for too long. Set by
//! set, so that nobody who edits a contact waits for it.

use super::{
    lifecycle::{self, Cause},
    silent,
    vocabulary::Lifecycle,
};
use crate::{access::Actor, chile::format, error::Result};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Contacts moved in one transaction: their locks are held for some tens of milliseconds.
const BATCH: i64 = 500;

/// Make inactive who had no activity for as long as the settings say: counted from
/// the last sign of life, or from the day they came in for who was never heard of.
/// Whom somebody on the staff moved by hand within that time is left alone. Gives
/// how many moved. Running it twice moves nobody twice.
///
/// # Errors
/// When the database fails; who was moved until then stays so.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>, stop: &CancellationToken) -> Result<u64> {
    let (cutoff, days) = lifecycle::cutoff(db, now).await?;
    let detail = format!("{} sin actividad", format::count(i64::from(days), "día", "días"));
    let (mut after, mut moved) = (0_i64, 0_u64);
    while !stop.is_cancelled() {
        let found = stale(db, cutoff, after, None).await?;
        let Some(last) = found.last().copied() else { break };
        let mut tx = db.begin().await?;
        sqlx::query!("select id from contacts where id = any($1) order by id for no key update", &found)
            .fetch_all(&mut *tx)
            .await?;
        // Looked at again under the lock: something may have happened meanwhile.
        let still = stale(&mut *tx, cutoff, after, Some(&found)).await?;
        let done = lifecycle::move_to(
            &mut tx,
            now,
            &Actor::System,
            &still,
            Lifecycle::Inactive,
            Cause::Inactivity,
            Some(&detail),
        )
        .await?;
        tx.commit().await?;
        moved += done.len() as u64;
        after = last;
    }
    silent::tidy(db).await?;
    Ok(moved)
}

/// The next contacts above `after` with whom nothing happened since `cutoff`; of `among` where that is given.
async fn stale(
    db: impl sqlx::PgExecutor<'_>,
    cutoff: DateTime<Utc>,
    after: i64,
    among: Option<&[i64]>,
) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "select c.id from contacts c left join contact_metrics m on m.contact_id = c.id
         where c.id > $1 and c.merged_into is null and ($4::bigint[] is null or c.id = any($4))
             and c.lifecycle <> 'INACTIVO' and coalesce(m.last_activity_at, c.created_at) < $2
             and not exists (select from lifecycle_changes l
                 where l.contact_id = c.id and l.at >= $2 and l.cause in ('HAND', 'UNDONE', 'MERGE'))
         order by c.id limit $3",
        after,
        cutoff,
        BATCH,
        among
    )
    .fetch_all(db)
    .await?)
}
