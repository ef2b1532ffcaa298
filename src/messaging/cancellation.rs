//! What ends messages that have not left: a campaign or a mailing that is called off, also while they were being handed
//! over, somebody who is deleted, and an answer. What a person decides on one message is [`super::outbox`]'s.

use super::kinds::BlockReason;
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
    let waiting = sqlx::query_scalar!(
        "select id from communication_logs
         where campaign_id = $1 and status = 'PENDING' and origin = 'CAMPAIGN' order by id for update",
        campaign.0
    )
    .fetch_all(&mut **tx)
    .await?;
    end(tx, now, actor, &waiting).await
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
    let waiting = sqlx::query_scalar!(
        "select id from communication_logs
         where contact_id = any($1) and status = 'PENDING' order by id for update",
        contacts
    )
    .fetch_all(&mut **tx)
    .await?;
    end(tx, now, actor, &waiting).await
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
    let waiting = sqlx::query_scalar!(
        "select id from communication_logs
         where mailing_id = $1 and status = 'PENDING' order by id for update",
        mailing.0
    )
    .fetch_all(&mut **tx)
    .await?;
    end(tx, now, actor, &waiting).await
}

/// What waits for whoever sent one of the answers `events` (of people, not machines), of the campaign or mailing that they
/// answered to: also under another row of theirs, where they were joined.
pub(super) async fn waiting_for_who_answered(tx: &mut Tx<'_>, events: &[i64]) -> Result<Vec<i64>> {
    Ok(sqlx::query_scalar!(
        "select distinct waiting.id
         from inbound_events e
         join communication_logs l on l.id = e.communication_log_id
         join contacts c on c.id = l.contact_id
         cross join lateral (
             select coalesce(c.merged_into, c.id) as id
             union all select id from contacts where merged_into = coalesce(c.merged_into, c.id)
         ) one
         cross join lateral (
             -- By person, which offset 0 sees to.
             select * from communication_logs where contact_id = one.id offset 0
         ) waiting
         where e.id = any($1) and e.kind = 'REPLY' and l.origin <> 'TEST'
           and waiting.status = 'PENDING' and waiting.origin <> 'TEST'
           and (waiting.campaign_id = l.campaign_id or waiting.mailing_id = l.mailing_id)",
        events
    )
    .fetch_all(&mut **tx)
    .await?)
}

/// PENDING -> BLOCKED for those of `ids`, which are held, that wait for who answered. Returns how many.
pub(super) async fn of_answered(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<u64> {
    let done = sqlx::query!(
        "with gone as (
             update communication_logs set status = 'BLOCKED', block_reason = $3, defer_reason = null
             where id = any($1) and status is not distinct from 'PENDING'
             returning id, message_proof(communication_logs) as facts
         )
         insert into communication_events (communication_log_id, at, kind, reason, facts)
         select id, $2, 'BLOCKED', $3, facts from gone",
        ids,
        now,
        BlockReason::Replied.code()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// PENDING -> CANCELLED for `ids`, which are held. Returns how many.
async fn end(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, ids: &[i64]) -> Result<u64> {
    let done = sqlx::query!(
        "with gone as (
             update communication_logs set status = 'CANCELLED', defer_reason = null
             where id = any($1) and status is not distinct from 'PENDING'
             returning id, message_proof(communication_logs) as facts
         )
         insert into communication_events (communication_log_id, at, kind, staff_user_id, facts)
         select id, $2, 'CANCELLED', $3, facts from gone",
        ids,
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
             returning l.id, message_proof(l) as facts
         )
         insert into communication_events (communication_log_id, at, kind, facts) select id, $2, 'CANCELLED', facts from gone",
        ids,
        at
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
