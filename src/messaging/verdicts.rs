//! What a person decides on messages that failed or of which nobody knows if they left.
//! What the program decides by itself is [`super::outbox`]'s.

use super::kinds::MessageType;
use crate::{
    access::{Actor, Permission},
    audit,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, MessageId},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// How many of `ids` nobody can put back into the queue, since their address is on the list of exclusion.
///
/// # Errors
/// When the database fails.
pub async fn excluded(db: &mut PgConnection, ids: &[MessageId]) -> Result<i64> {
    let ids: Vec<i64> = ids.iter().map(|it| it.0).collect();
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "n!" from communication_logs l
           where l.id = any($1) and l.status in ('UNCONFIRMED', 'FAILED') and is_excluded(l, $2)"#,
        &ids,
        &MessageType::promotional_codes()
    )
    .fetch_one(db)
    .await?)
}

/// FAILED -> PENDING for all of a campaign whose address is not excluded, by a person's decision. Returns how many.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when there is none; or the database's.
pub async fn retry_failed(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    campaign: CampaignId,
) -> Result<u64> {
    actor.require(Permission::DecideMessages)?;
    let done = sqlx::query!(
        "with ordered as (
             select l.id from communication_logs l join campaigns c on c.id = l.campaign_id
             where l.campaign_id = $1 and l.status = 'FAILED' and l.origin = 'CAMPAIGN'
               and c.status in ('RUNNING', 'PAUSED', 'FINISHED')
               and not is_excluded(l, $4)
             order by l.id for update of l
         ), back as (
             update communication_logs
             set status = 'PENDING', next_attempt_at = $2, attempts = 0, drip_run_id = null, claimed_at = null, error = null
             where id in (select id from ordered)
             returning id
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id)
         select id, $2, 'REQUEUED', $3 from back",
        campaign.0,
        now,
        actor.staff_id().map(|it| it.0),
        &MessageType::promotional_codes()
    )
    .execute(&mut **tx)
    .await?;
    let count = done.rows_affected();
    if count == 0 {
        return Err(Error::refused(
            "No hay a quién reintentar: las direcciones de los que fallaron están en la lista de exclusión. No se cambió nada.",
        ));
    }
    let change = audit::Change {
        action: "campaign.retry_failed",
        subject_kind: "campaign",
        subject_id: Some(campaign.0),
        before: None,
        after: Some(json!({ "messages": count })),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(count)
}

/// What a person decides on one message that is UNCONFIRMED or FAILED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It left: count it as sent.
    Left,
    /// It did not, or sending it again does no harm: back into the queue.
    Again,
    /// Let it be.
    Drop,
}

/// UNCONFIRMED -> SENT, PENDING or CANCELLED; FAILED -> PENDING, by a person's decision.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Refused`] when the message is not waiting for that decision; or the database's.
pub async fn settle(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: MessageId,
    verdict: Verdict,
) -> Result<()> {
    if settle_all(tx, now, actor, &[id], verdict).await? == 0 {
        if verdict == Verdict::Again && excluded(tx, &[id]).await? > 0 {
            return Err(Error::refused(
                "No se puede: la dirección está en la lista de exclusión, y no se le escribe más. No se cambió nada.",
            ));
        }
        return Err(Error::refused(
            "No se puede: el mensaje ya no espera esa decisión, es una prueba, o su campaña o envío ya terminó. No se cambió nada; vuelve a abrirlo para ver cómo está.",
        ));
    }
    Ok(())
}

/// The same for each of `ids` that waits for it; gives how many did. None to an excluded address goes back.
///
/// # Errors
/// [`Error::Forbidden`], or the database's.
pub async fn settle_all(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    ids: &[MessageId],
    verdict: Verdict,
) -> Result<u64> {
    actor.require(Permission::DecideMessages)?;
    let (status, kind) = match verdict {
        Verdict::Left => ("SENT", "CONFIRMED"),
        Verdict::Again => ("PENDING", "REQUEUED"),
        Verdict::Drop => ("CANCELLED", "CANCELLED"),
    };
    let ids: Vec<i64> = ids.iter().map(|it| it.0).collect();
    let put = sqlx::query_scalar!(
        r#"with held as (
             select id from communication_logs where id = any($1) order by id for update
         ), put as (
             update communication_logs set
                 status = $2,
                 sent_at = case when $2 = 'SENT' then coalesce(claimed_at, $3) end,
                 next_attempt_at = case when $2 = 'PENDING' then $3 else next_attempt_at end,
                 attempts = case when $2 = 'PENDING' then 0 else attempts end,
                 drip_run_id = case when $2 = 'PENDING' then null else drip_run_id end,
                 claimed_at = case when $2 = 'PENDING' then null else claimed_at end,
                 error = null
             where id in (select id from held) and (status = 'UNCONFIRMED' or (status = 'FAILED' and $2 = 'PENDING'))
               and ($2 <> 'PENDING' or origin not in ('TEST', 'CAMPAIGN') or (origin = 'CAMPAIGN' and exists (
                   select 1 from campaigns c
                   where c.id = communication_logs.campaign_id and c.status in ('RUNNING', 'PAUSED', 'FINISHED'))))
               and ($2 <> 'PENDING' or mailing_id is null or exists (
                   select 1 from mailings m where m.id = communication_logs.mailing_id and m.status <> 'CANCELLED'))
               and ($2 <> 'PENDING' or not is_excluded(communication_logs, $6))
             returning id, case when status in ('SENT', 'CANCELLED') then message_proof(communication_logs) end as facts
         ), told as (
             insert into communication_events (communication_log_id, at, kind, staff_user_id, facts)
             select id, $3, $4, $5, facts from put
         )
         select id as "id!" from put order by id"#,
        &ids,
        status,
        now,
        kind,
        actor.staff_id().map(|it| it.0),
        &MessageType::promotional_codes()
    )
    .fetch_all(&mut **tx)
    .await?;
    let told: Vec<audit::Told> = put
        .iter()
        .map(|id| audit::Told { id: *id, before: None, after: Some(json!({ "status": status })) })
        .collect();
    audit::record_each(tx, now, actor, "message.decide", "message", &told).await?;
    Ok(u64::try_from(put.len()).unwrap_or(u64::MAX))
}
