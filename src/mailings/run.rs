//! The engine: queues those whom a mailing is for a page at a time, each page in one
//! transaction with the move of the checkpoint. A kill costs that a page is asked for again, which adds nothing.

use super::{MailingId, status};
use crate::{
    access::Permission,
    channels::Channel,
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
    messaging::{
        outbox::{self, Draft, Origin},
        versions,
    },
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// People queued by one transaction.
const PAGE: i64 = 2000;

/// Queue the next page of the oldest mailing that nobody is working on. True: there was one.
///
/// # Errors
/// When the database fails; a mailing that cannot go on is marked so instead.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<bool> {
    let mut tx = db.begin().await?;
    let next = sqlx::query_scalar!(
        "select id from mailings where status = 'RUNNING' order by id limit 1 for update skip locked"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(id) = next.map(MailingId) else { return Ok(false) };
    match step(&mut tx, now, id).await {
        Ok(()) => tx.commit().await?,
        Err(error) if error.may_pass() => return Err(error),
        // Somebody was deleted between being read and being queued: whoever looks next does not find them.
        Err(error) if is_somebody_gone(&error) => tx.rollback().await?,
        Err(error) => {
            tx.rollback().await?;
            tracing::warn!(mailing.id = id.0, error = error.description(), "A mailing could not be queued");
            status::fail(db, now, id, sentence(&error)).await?;
        }
    }
    Ok(true)
}

fn is_somebody_gone(error: &Error) -> bool {
    matches!(error, Error::Database(sqlx::Error::Database(it))
        if it.constraint() == Some("communication_logs_contact_id_fkey"))
}

async fn step(tx: &mut Tx<'_>, now: DateTime<Utc>, id: MailingId) -> Result<()> {
    let mailing = super::get(&mut **tx, id).await?;
    let asker = mailing.asker(&mut **tx).await?;
    asker.require(Permission::SendCampaigns)?;
    let people = sqlx::query_scalar!(
        "select contact_id from mailing_people where mailing_id = $1 and contact_id > $2 order by contact_id limit $3",
        id.0,
        mailing.checkpoint,
        PAGE
    )
    .fetch_all(&mut **tx)
    .await?;
    let required =
        versions::prepared(tx, mailing.template).await?.map(|it| it.required()).unwrap_or_default();
    let draft = Draft {
        origin: Origin::Manual(id),
        channel: Channel::Email,
        message_type: mailing.message_type,
        template: mailing.template,
        required: &required,
        scheduled_at: now,
    };
    let contacts: Vec<ContactId> = people.iter().copied().map(ContactId).collect();
    outbox::enqueue(tx, now, &asker, &draft, &contacts).await?;
    let looked_at = i64::try_from(people.len()).unwrap_or_default();
    sqlx::query!(
        "update mailings set checkpoint = coalesce($2, checkpoint), done = done + $3,
            status = case when $4 then 'DONE' else status end, finished_at = case when $4 then $5::timestamptz end
         where id = $1 and status = 'RUNNING'",
        id.0,
        people.last().copied(),
        looked_at,
        looked_at < PAGE,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn sentence(error: &Error) -> &'static str {
    match error {
        Error::Forbidden => {
            "Quien lo pidió ya no puede enviar mensajes. Lo que ya estaba en la cola sigue su curso; otra persona del \
             equipo puede reanudarlo para quienes faltan, o cancelarlo."
        }
        _ => {
            "No se pudo poner en la cola a todas las personas. Lo que ya estaba en ella sigue su curso; reanúdalo para \
             quienes faltan, o cancélalo."
        }
    }
}
