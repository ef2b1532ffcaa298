//! Applies what was written down, many at a time: finds the message of each, moves
//! it forward, tells its story. What it means for the address and the person is
//! [`super::consequences`]'s.

use super::consequences;
use crate::{
    db::Tx,
    error::{Error, Result},
    messaging::{
        cancellation,
        forward::{self, Learned},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// Events of one pass, at most.
const AT_ONCE: i64 = 500;

/// How long what speaks of a message that is being handed over at this moment waits.
const SOON: TimeDelta = TimeDelta::seconds(10);

/// What a pass came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Nothing waits.
    Idle,
    /// So many were looked at.
    Worked(usize),
}

/// Apply what waits. One event that fails does not hold up the others: it is tried again later, with its trouble written down.
///
/// # Errors
/// When the database is away.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<Pass> {
    let mut tx = db.begin().await?;
    let ids = sqlx::query_scalar!(
        "select id from inbound_events where status = 'NEW' and next_attempt_at <= $1
         order by next_attempt_at, id limit $2 for update skip locked",
        now,
        AT_ONCE
    )
    .fetch_all(&mut *tx)
    .await?;
    if ids.is_empty() {
        return Ok(Pass::Idle);
    }
    let done = async {
        events(&mut tx, now, &ids).await?;
        Ok::<_, Error>(tx.commit().await?)
    };
    match done.await {
        Ok(()) => (),
        Err(error) if error.may_pass() => return Err(error),
        Err(_) => one_by_one(db, now, &ids).await?,
    }
    Ok(Pass::Worked(ids.len()))
}

async fn one_by_one(db: &PgPool, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    for id in ids {
        let alone = async {
            let mut tx = db.begin().await?;
            let held = sqlx::query_scalar!(
                "select id from inbound_events where id = $1 and status = 'NEW' for update skip locked",
                id
            )
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(id) = held {
                events(&mut tx, now, &[id]).await?;
            }
            Ok::<_, Error>(tx.commit().await?)
        };
        let Err(error) = alone.await else { continue };
        if error.may_pass() {
            return Err(error);
        }
        tracing::error!(
            inbound_event.id = id,
            error = error.description(),
            "What came back could not be applied"
        );
        sqlx::query!(
            "update inbound_events set attempts = attempts + 1, trouble = $3,
                 next_attempt_at = $2::timestamptz + least(interval '1 minute' * power(2, least(attempts, 10)), interval '6 hours')
             where id = $1 and status = 'NEW'",
            id,
            now,
            error.description()
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

/// Apply the events `ids`, which the caller holds.
pub(super) async fn events(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    match_by_message_id(tx, ids).await?;
    match_by_recipient(tx, ids).await?;
    let waiting = cancellation::waiting_for_who_answered(tx, ids).await?;
    let ids = hold_messages(tx, now, ids, &waiting).await?;
    confirm(tx, now, &ids).await?;
    tell(tx, now, &ids).await?;
    move_forward(tx, &ids).await?;
    // As they stand now that they are held; an answer that has to wait still is none.
    let waiting = cancellation::waiting_for_who_answered(tx, &ids).await?;
    cancellation::of_answered(tx, now, &waiting).await?;
    consequences::of(tx, now, &ids).await?;
    sqlx::query!(
        "update inbound_events set status = case when communication_log_id is null then 'UNMATCHED' else 'APPLIED' end,
             applied_at = $2, trouble = null
         where id = any($1)",
        &ids,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The surest way: our Message-ID, which nobody can guess.
async fn match_by_message_id(tx: &mut Tx<'_>, ids: &[i64]) -> Result<()> {
    sqlx::query!(
        "update inbound_events e set communication_log_id = found.message, matched_by = 'MESSAGE_ID',
             recipient = case when e.kind in ('REPLY', 'AUTO_REPLY') then e.recipient else found.destination end
         from (
             select distinct on (e.id) e.id, l.id as message, l.destination
             from inbound_events e
             cross join lateral unnest(e.message_ids) with ordinality as named (message_id, place)
             join communication_logs l on l.external_id = named.message_id and l.communication_type = e.communication_type
             where e.id = any($1) and e.communication_log_id is null
             order by e.id, named.place, l.id
         ) found
         where e.id = found.id",
        ids
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a provider says of an address is about the last message to it. Not what a mail says: anybody can write one.
async fn match_by_recipient(tx: &mut Tx<'_>, ids: &[i64]) -> Result<()> {
    sqlx::query!(
        "update inbound_events e set communication_log_id = found.message, matched_by = 'RECIPIENT'
         from (
             select e.id, l.id as message
             from inbound_events e
             join contacts c on c.email = e.recipient
             cross join lateral (
                 select l.id from (
                     select c.id union all select id from contacts where merged_into = c.id
                 ) person cross join lateral (
                     -- By person, which offset 0 sees to: statistics from before a run would have it read whole.
                     select * from communication_logs where contact_id = person.id offset 0
                 ) l
                 where l.communication_type = e.communication_type and l.destination = e.recipient
                   and l.status not in ('PENDING', 'BLOCKED', 'CANCELLED', 'FAILED')
                   and coalesce(l.sent_at, l.claimed_at) <= e.occurred_at + interval '5 minutes'
                   and coalesce(l.sent_at, l.claimed_at) > e.occurred_at - interval '5 days'
                 order by coalesce(l.sent_at, l.claimed_at) desc, l.id desc limit 1
             ) l
             where e.id = any($1) and e.communication_log_id is null and e.source <> 'MAILBOX'
         ) found
         where e.id = found.id",
        ids
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Hold the messages, and those `waiting` that they stop, in one order with whoever else moves several. What speaks of one that is being handed over at this
/// moment waits until that is written down. Gives the events that need not wait.
async fn hold_messages(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    ids: &[i64],
    waiting: &[i64],
) -> Result<Vec<i64>> {
    sqlx::query!(
        "select id from communication_logs
         where id = any(array(select communication_log_id from inbound_events
                              where id = any($1) and communication_log_id is not null
                              union select unnest($2::bigint[])))
         order by id for update",
        ids,
        waiting
    )
    .fetch_all(&mut **tx)
    .await?;
    let early = sqlx::query_scalar!(
        "update inbound_events e set next_attempt_at = $2
         from communication_logs l
         where e.id = any($1) and l.id = e.communication_log_id and l.status = 'SENDING'
         returning e.id",
        ids,
        now + SOON
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.iter().copied().filter(|it| !early.contains(it)).collect())
}

/// UNCONFIRMED -> SENT: what came back had left.
async fn confirm(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    let messages = sqlx::query_scalar!(
        r#"select distinct communication_log_id as "id!" from inbound_events
           where id = any($1) and communication_log_id is not null"#,
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    forward::confirm(tx, now, &messages).await
}

/// Append to the story of each message what it did not tell yet.
async fn tell(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    sqlx::query!(
        "with told as (
             select communication_log_id as message, min(id) as first, answer,
                    case kind when 'DELIVERED' then 'DELIVERED' when 'DEFERRED' then 'DELAYED' when 'COMPLAINT' then 'COMPLAINED'
                        when 'REPLY' then 'REPLIED' when 'AUTO_REPLY' then 'AUTO_REPLIED' else 'BOUNCED' end as kind
             from (
                 select id, communication_log_id, kind,
                        case when kind in ('REPLY', 'AUTO_REPLY') then subject else coalesce(diagnostic, status_code) end as answer
                 from inbound_events
                 where id = any($1) and communication_log_id is not null and kind <> 'OPT_OUT'
             ) known
             group by communication_log_id, answer, 4
         )
         insert into communication_events (communication_log_id, at, kind, answer)
         select message, $2, kind, answer from told
         where not exists (
             select from communication_events e
             where e.communication_log_id = told.message and e.kind = told.kind and e.answer is not distinct from told.answer
               -- What was told of a first copy says nothing of one that left later.
               and e.id > coalesce((select max(left_by.id) from communication_events left_by
                   where left_by.communication_log_id = told.message and left_by.kind in ('SENT', 'CONFIRMED')), 0))
         order by first",
        ids,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Move the messages by what is told of them; the words of a bounce are those of the first that happened.
async fn move_forward(tx: &mut Tx<'_>, ids: &[i64]) -> Result<()> {
    let told = sqlx::query!(
        r#"select communication_log_id as "id!",
               coalesce(max(case kind when 'REPLY' then 'REPLIED' end),
                   max(case when kind in ('HARD_BOUNCE', 'SOFT_BOUNCE', 'SENDER_REFUSED') then 'BOUNCED' end),
                   max(case kind when 'DELIVERED' then 'DELIVERED' end)) as status,
               min(occurred_at) filter (where kind = 'DELIVERED') as delivered_at,
               min(occurred_at) filter (where kind = 'REPLY') as replied_at,
               (select coalesce(e.diagnostic, e.status_code) from inbound_events e
                where e.communication_log_id = told.communication_log_id
                  and e.kind in ('HARD_BOUNCE', 'SOFT_BOUNCE', 'SENDER_REFUSED')
                order by e.occurred_at, e.source, e.external_id limit 1) as error
           from inbound_events told where id = any($1) and communication_log_id is not null
           group by communication_log_id"#,
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut learned = Learned::default();
    for it in told {
        learned.ids.push(it.id);
        learned.statuses.push(it.status);
        learned.delivered_at.push(it.delivered_at);
        learned.replied_at.push(it.replied_at);
        learned.errors.push(it.error);
    }
    forward::forward(tx, &learned).await?;
    Ok(())
}
