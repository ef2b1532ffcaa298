//! Who a waiting message is to by now: people are joined and their addresses
//! corrected between being asked for and being written to.

use super::{
    kinds::BlockReason,
    outbox::{self, Refusal},
};
use crate::{db::Tx, error::Result, ids::DripRunId};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

/// Two runs that hold messages of one person decide one after the other, so that caps are exact.
pub(super) async fn lock(tx: &mut Tx<'_>, contacts: &[i64]) -> Result<()> {
    sqlx::query!(
        "select id from contacts
         where id = any(array(select unnest($1::bigint[])
             union select merged_into from contacts where id = any($1) and merged_into is not null))
         order by id for no key update",
        contacts
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Of the messages `ids`, those that would be the second of a campaign or a mailing to one person, who was two when it was asked for:
/// the other has left, or it is to the row that stays, or else it was asked for before.
pub(super) async fn second_messages(tx: &mut Tx<'_>, ids: &[i64]) -> Result<HashSet<i64>> {
    let seconds = sqlx::query_scalar!(
        "with two as materialized (
             -- Hardly anybody was two, and who never was has one message of a campaign: only the others are compared.
             -- People are looked up by their key, which offset 0 sees to: a page of messages never needs all contacts.
             select l.id, l.campaign_id, l.mailing_id, l.contact_id, person.id as person
             from communication_logs l
             cross join lateral (
                 select coalesce(merged_into, id) as id, merged_into from contacts where id = l.contact_id offset 0
             ) person
             where l.id = any($1) and (l.origin is not distinct from 'CAMPAIGN' or l.mailing_id is not null) and (person.merged_into is not null
                 or exists (select from contacts gone where gone.merged_into = person.id))
         )
         select l.id from two l where exists (
             select from (
                 select l.person union all select id from contacts where merged_into = l.person
             ) as one (id)
             join communication_logs other on other.contact_id = one.id
                 and (other.campaign_id = l.campaign_id or other.mailing_id = l.mailing_id)
             where other.origin <> 'TEST' and other.id <> l.id and (
                 other.status not in ('PENDING', 'BLOCKED', 'CANCELLED', 'FAILED')
                 or (other.status <> 'BLOCKED'
                     and (other.contact_id <> l.person, other.id) < (l.contact_id <> l.person, l.id))))",
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(seconds.into_iter().collect())
}

/// `moved` are waiting messages, in the order of their ids, to people whose address was corrected after queueing, and
/// the new one. They go there; where another recipient of the campaign has it, theirs is the message. Gives the ids that may not go.
pub(super) async fn follow_changes(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    run: DripRunId,
    moved: &[(i64, String)],
) -> Result<HashSet<i64>> {
    let mut refused = HashSet::new();
    // One by one, since each refusal may free an address for the next; such rows are few.
    for (id, address) in moved {
        let done = sqlx::query!(
            r#"update communication_logs l set destination = $2
             where l.id = $1 and l.status = 'PENDING' and not exists (
                 select 1 from communication_logs o
                 where o.campaign_id = l.campaign_id and o.destination collate "C" = $2 and o.id <> l.id
                   and o.origin = 'CAMPAIGN' and o.status <> 'BLOCKED')"#,
            id,
            address
        )
        .execute(&mut **tx)
        .await?;
        if done.rows_affected() == 0 {
            let refusal = Refusal { id: *id, reason: BlockReason::DuplicateAddress, detail: String::new() };
            outbox::block(tx, now, run, &[refusal]).await?;
            refused.insert(*id);
        }
    }
    Ok(refused)
}
