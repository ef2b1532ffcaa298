//! What the history and the log of contacts add up to, counted again whenever
//! either changes. Knows no form; what a change means for the lifecycle is
//! `lifecycle`'s.

use super::lifecycle;
use crate::{db::Tx, error::Result, ids::ContactId};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgExecutor;

/// The sums of one contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Times they came.
    pub visits: i32,
    /// Times they bought.
    pub purchases: i32,
    /// Times they enrolled.
    pub enrolments: i32,
    /// Whole pesos, over everything.
    pub spent: i64,
    /// Last time they came.
    pub last_visit_on: Option<NaiveDate>,
    /// Last time they bought.
    pub last_purchase_on: Option<NaiveDate>,
    /// First time anything happened.
    pub first_activity_at: Option<DateTime<Utc>>,
    /// Last time anything happened.
    pub last_activity_at: Option<DateTime<Utc>>,
}

impl Metrics {
    /// Whole pesos of a purchase, on average; none: nothing was bought.
    #[must_use]
    pub fn average_ticket(&self) -> Option<i64> {
        let bought = i64::from(self.purchases) + i64::from(self.enrolments);
        (bought > 0).then(|| (self.spent + bought / 2) / bought)
    }
}

/// The sums of `contact`: zeros where nothing ever happened.
///
/// # Errors
/// When the database fails.
pub async fn of(db: impl PgExecutor<'_>, contact: ContactId) -> Result<Metrics> {
    Ok(sqlx::query_as!(
        Metrics,
        "select visits, purchases, enrolments, spent, last_visit_on, last_purchase_on, first_activity_at,
             last_activity_at
         from contact_metrics where contact_id = $1",
        contact.0
    )
    .fetch_optional(db)
    .await?
    .unwrap_or_default())
}

/// Count `contacts` again after their history, their log or their messages
/// changed, in the transaction that changed them, and move the lifecycle of those
/// for whom that means something: a first purchase, a sign of life.
///
/// # Errors
/// When the database fails.
pub async fn recount(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<()> {
    let changed = sum_up(tx, now, contacts).await?;
    lifecycle::bring_back(tx, now, &changed.stirred).await?;
    lifecycle::make_customers(tx, now, &changed.bought).await?;
    lifecycle::unmake_customers(tx, now, &changed.emptied).await
}

/// Whose sums changed, and how.
#[derive(Default)]
pub(super) struct Changed {
    bought: Vec<i64>,
    emptied: Vec<i64>,
    stirred: Vec<i64>,
}

/// Count `contacts` again, and nothing else: what goes from one row of a person to
/// another is no purchase and no loss. Messages stay with the row they were sent to, and count for
/// whom it was joined into.
pub(super) async fn sum_up(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<Changed> {
    if contacts.is_empty() {
        return Ok(Changed::default());
    }
    // Who counts the same person waits here, and then sees what the other wrote.
    sqlx::query!("select id from contacts where id = any($1) order by id for no key update", contacts)
        .fetch_all(&mut **tx)
        .await?;
    Ok(sqlx::query_as!(
        Changed,
        r#"with history as (
               select contact_id,
                   count(*) filter (where kind = 'VISIT')::int as visits,
                   count(*) filter (where kind = 'PURCHASE')::int as purchases,
                   count(*) filter (where kind = 'ENROLMENT')::int as enrolments,
                   sum(amount)::bigint as spent,
                   max(occurred_on) filter (where kind = 'VISIT') as last_visit_on,
                   max(occurred_on) filter (where kind = 'PURCHASE') as last_purchase_on,
                   least((min(occurred_on) + time '12:00') at time zone 'America/Santiago', $2) as first_at,
                   least((max(occurred_on) + time '12:00') at time zone 'America/Santiago', $2) as last_at
               from history_entries where contact_id = any($1) group by contact_id
           ), log as (
               select contact_id, min(at) as first_at, max(at) as last_at
               from interactions where contact_id = any($1) and kind <> 'NOTE' group by contact_id
           ), written_to as (
               select id, id as contact_id from unnest($1::bigint[]) as asked (id)
               union all
               select id, merged_into from contacts where merged_into = any($1)
           ), answers as (
               select w.contact_id, min(least(opened_at, clicked_at, replied_at)) as first_at,
                   max(greatest(opened_at, clicked_at, replied_at)) as last_at,
                   max(opened_at) filter (where origin <> 'TEST') as opened_at,
                   max(clicked_at) filter (where origin <> 'TEST') as clicked_at,
                   max(replied_at) filter (where origin <> 'TEST') as replied_at
               from written_to w join communication_logs l on l.contact_id = w.id
               where coalesce(opened_at, clicked_at, replied_at) is not null
               group by w.contact_id
           ), fresh as (
               select c.id as contact_id, coalesce(h.visits, 0) as visits, coalesce(h.purchases, 0) as purchases,
                   coalesce(h.enrolments, 0) as enrolments, coalesce(h.spent, 0) as spent, h.last_visit_on,
                   h.last_purchase_on, least(h.first_at, l.first_at, a.first_at) as first_activity_at,
                   greatest(h.last_at, l.last_at, a.last_at) as last_activity_at,
                   a.opened_at as last_opened_at, a.clicked_at as last_clicked_at, a.replied_at as last_replied_at
               from contacts c
               left join history h on h.contact_id = c.id
               left join log l on l.contact_id = c.id
               left join answers a on a.contact_id = c.id
               where c.id = any($1)
           ), compared as (
               select f.*, m.contact_id is null as is_new,
                   f.visits + f.purchases + f.enrolments
                       > coalesce(m.visits + m.purchases + m.enrolments, 0) as bought,
                   f.visits + f.purchases + f.enrolments = 0
                       and coalesce(m.visits + m.purchases + m.enrolments, 0) > 0 as emptied,
                   f.last_activity_at > coalesce(m.last_activity_at, '-infinity') as stirred
               from fresh f left join contact_metrics m on m.contact_id = f.contact_id
               where (f.visits, f.purchases, f.enrolments, f.spent, f.last_visit_on, f.last_purchase_on,
                       f.first_activity_at, f.last_activity_at, f.last_opened_at, f.last_clicked_at, f.last_replied_at)
                   is distinct from
                   (coalesce(m.visits, 0), coalesce(m.purchases, 0), coalesce(m.enrolments, 0), coalesce(m.spent, 0),
                       m.last_visit_on, m.last_purchase_on, m.first_activity_at, m.last_activity_at, m.last_opened_at,
                       m.last_clicked_at, m.last_replied_at)
           ), kept as (
               insert into contact_metrics (contact_id, visits, purchases, enrolments, spent, last_visit_on,
                   last_purchase_on, first_activity_at, last_activity_at, last_opened_at, last_clicked_at, last_replied_at)
               select contact_id, visits, purchases, enrolments, spent, last_visit_on, last_purchase_on,
                   first_activity_at, last_activity_at, last_opened_at, last_clicked_at, last_replied_at
               from compared
               on conflict (contact_id) do update set visits = excluded.visits, purchases = excluded.purchases,
                   enrolments = excluded.enrolments, spent = excluded.spent, last_visit_on = excluded.last_visit_on,
                   last_purchase_on = excluded.last_purchase_on, first_activity_at = excluded.first_activity_at,
                   last_activity_at = excluded.last_activity_at, last_opened_at = excluded.last_opened_at,
                   last_clicked_at = excluded.last_clicked_at, last_replied_at = excluded.last_replied_at
           )
           select coalesce(array_agg(contact_id) filter (where bought), '{}') as "bought!",
               coalesce(array_agg(contact_id) filter (where emptied), '{}') as "emptied!",
               coalesce(array_agg(contact_id) filter (where stirred or bought), '{}') as "stirred!"
           from compared"#,
        contacts,
        now
    )
    .fetch_one(&mut **tx)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_ticket_is_rounded_and_knows_when_there_is_none() {
        let of = |purchases, enrolments, spent| {
            Metrics { purchases, enrolments, spent, ..Metrics::default() }.average_ticket()
        };
        assert_eq!(of(0, 0, 0), None);
        assert_eq!(of(2, 0, 25_001), Some(12_501));
        assert_eq!(of(2, 1, 100), Some(33));
    }
}
