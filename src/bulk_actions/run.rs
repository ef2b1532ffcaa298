//! The engine: changes those whom a bulk action is about a page at a time, or takes
//! that back. Each page is one transaction together with the move
//! of the checkpoint, so that a process that dies in it leaves nothing half done.

use super::{
    BulkAction, Status,
    told::{self, Way},
};
use crate::{
    contacts::bulk_edit::Stood,
    db::Tx,
    error::{Error, Result},
    ids::BulkActionId,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// People changed by one transaction: well under a second.
const PAGE: i64 = 1000;

/// Take the next step of the oldest bulk action that nobody is working on. True: there was one.
///
/// # Errors
/// When the database fails; what is gone that people were to be given is written to the action instead.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = db.begin().await?;
    let next = sqlx::query_scalar!(
        "select id from bulk_actions where status in ('PENDING', 'RUNNING', 'UNDOING')
         order by id limit 1 for update skip locked"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = next.map(BulkActionId) else { return Ok(false) };
    match step(&mut tx, now, id).await {
        Ok(()) => tx.commit().await?,
        Err(error) if error.may_pass() => return Err(error),
        Err(error) => {
            tx.rollback().await?;
            tracing::warn!(bulk_action.id = id.0, error = error.description(), "Bulk action failed");
            fail(db, now, id, &error).await?;
        }
    }
    Ok(true)
}

/// One that cannot even be read fails like any other, or it would stand in the way of all that come after it.
async fn step(tx: &mut Tx<'_>, now: DateTime<Utc>, id: BulkActionId) -> Result<()> {
    let action = super::get(&mut **tx, id).await?;
    match action.status {
        Status::Pending => begin(tx, &action).await,
        Status::Running => go_on(tx, now, &action).await,
        _ => take_back(tx, now, &action).await,
    }
}

async fn begin(tx: &mut Tx<'_>, action: &BulkAction) -> Result<()> {
    sqlx::query!(
        "update bulk_actions set status = 'RUNNING' where id = $1 and status = 'PENDING'",
        action.id.0
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn go_on(tx: &mut Tx<'_>, now: DateTime<Utc>, action: &BulkAction) -> Result<()> {
    let ids = sqlx::query_scalar!(
        "select r.contact_id from bulk_action_rows r join bulk_actions b on b.id = r.bulk_action_id
         where r.bulk_action_id = $1 and r.contact_id > b.checkpoint order by r.contact_id limit $2",
        action.id.0,
        PAGE
    )
    .fetch_all(&mut **tx)
    .await?;
    let actor = super::asker(tx, action).await?;
    // Who was joined into another since is nobody any more; nobody else is until this page is written.
    let living = sqlx::query_scalar!(
        "select id from contacts where id = any($1) and merged_into is null order by id for no key update",
        &ids
    )
    .fetch_all(&mut **tx)
    .await?;
    let stood = action.change.apply(tx, now, &actor, &living).await?;
    told::each(tx, now, &actor, action, Way::There, &stood, &stood.ids).await?;
    sqlx::query!(
        "update bulk_action_rows r set changed = true, before = u.before
         from unnest($2::bigint[], $3::jsonb[]) u (id, before) where r.bulk_action_id = $1 and r.contact_id = u.id",
        action.id.0,
        &stood.ids,
        &stood.before
    )
    .execute(&mut **tx)
    .await?;
    let over = i64::try_from(ids.len()).is_ok_and(|it| it < PAGE);
    sqlx::query!(
        "update bulk_actions set checkpoint = coalesce($2, checkpoint), done = done + $3, changed = changed + $4,
            status = case when $5 then 'DONE' else status end, finished_at = case when $5 then $6::timestamptz end
         where id = $1 and status = 'RUNNING'",
        action.id.0,
        ids.last().copied(),
        i64::try_from(ids.len()).unwrap_or_default(),
        i64::try_from(stood.ids.len()).unwrap_or_default(),
        over,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn take_back(tx: &mut Tx<'_>, now: DateTime<Utc>, action: &BulkAction) -> Result<()> {
    let rows = sqlx::query!(
        r#"select r.contact_id, coalesce(r.before, 'null') as "before!"
           from bulk_action_rows r join bulk_actions b on b.id = r.bulk_action_id
           where r.bulk_action_id = $1 and r.changed and r.contact_id > b.checkpoint order by r.contact_id limit $2"#,
        action.id.0,
        PAGE
    )
    .fetch_all(&mut **tx)
    .await?;
    let stood: Stood = rows.into_iter().map(|it| (it.contact_id, it.before)).collect();
    let actor = super::asker(tx, action).await?;
    let back = action.change.restore(tx, now, &actor, &stood).await?;
    told::each(tx, now, &actor, action, Way::Back, &stood, &back).await?;
    sqlx::query!(
        "update bulk_action_rows set changed = false where bulk_action_id = $1 and contact_id = any($2)",
        action.id.0,
        &back
    )
    .execute(&mut **tx)
    .await?;
    let over = i64::try_from(stood.ids.len()).is_ok_and(|it| it < PAGE);
    sqlx::query!(
        "update bulk_actions set checkpoint = coalesce($2, checkpoint), undone = undone + $3, kept = kept + $4,
            status = case when $5 then 'UNDONE' else status end, undone_at = case when $5 then $6::timestamptz end
         where id = $1 and status = 'UNDOING'",
        action.id.0,
        stood.ids.last().copied(),
        i64::try_from(back.len()).unwrap_or_default(),
        i64::try_from(stood.ids.len() - back.len()).unwrap_or_default(),
        over,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// End an action that can't go on; who was changed so far stays so.
async fn fail(db: &PgPool, now: DateTime<Utc>, id: BulkActionId, error: &Error) -> Result<()> {
    let sentence = match error {
        Error::Forbidden => {
            "Quien lo pidió ya no puede cambiar contactos. Lo hecho hasta ahí se conserva; otra persona del \
             equipo puede deshacerlo o pedirlo de nuevo."
        }
        _ => {
            "Lo que se iba a asignar ya no existe o no se pudo escribir. Lo hecho hasta ahí se conserva; \
             puedes deshacerlo o pedir el cambio de nuevo."
        }
    };
    sqlx::query!(
        "update bulk_actions set status = 'FAILED', failure = $2, finished_at = $3
         where id = $1 and status in ('PENDING', 'RUNNING', 'UNDOING')",
        id.0,
        sentence,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}
