//! Messages that left, moved forward by what is learned of them later: that they
//! arrived, came back, were opened, followed, answered. Whoever tells it, however late, often and
//! out of order, a message never goes back and its moments are the earliest that anybody told.

use crate::{db::Tx, error::Result};
use chrono::{DateTime, Utc};

/// What is learned of messages, column by column. The caller holds them.
#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) ids: Vec<i64>,
    /// The furthest state that this speaks of; none: of no state.
    pub(super) statuses: Vec<Option<String>>,
    pub(super) delivered_at: Vec<Option<DateTime<Utc>>>,
    pub(super) opened_at: Vec<Option<DateTime<Utc>>>,
    pub(super) clicked_at: Vec<Option<DateTime<Utc>>>,
    pub(super) replied_at: Vec<Option<DateTime<Utc>>>,
    /// By a machine: moves nothing.
    pub(super) machine_opened_at: Vec<Option<DateTime<Utc>>>,
    /// By a machine: moves nothing.
    pub(super) machine_clicked_at: Vec<Option<DateTime<Utc>>>,
    /// The words of what came back, for a message that stays there.
    pub(super) errors: Vec<Option<String>>,
}

/// SENT -> DELIVERED, BOUNCED, OPENED, CLICKED, REPLIED, and whatever stands between, but never back. Gives the
/// messages that this told anything new of.
pub(super) async fn forward(tx: &mut Tx<'_>, learned: &Learned) -> Result<Vec<i64>> {
    if learned.ids.is_empty() {
        return Ok(Vec::new());
    }
    let moved = sqlx::query_scalar!(
        r#"with told as (
               select * from unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
                   $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::text[])
                   as g (id, status, delivered_at, opened_at, clicked_at, replied_at, machine_opened_at, machine_clicked_at, error)
           ), decided as (
               select l.id, case when message_stage(t.status) > message_stage(l.status) then t.status else l.status end as status,
                   least(l.delivered_at, t.delivered_at) as delivered_at, least(l.opened_at, t.opened_at) as opened_at,
                   least(l.clicked_at, t.clicked_at) as clicked_at, least(l.replied_at, t.replied_at) as replied_at,
                   least(l.machine_opened_at, t.machine_opened_at) as machine_opened_at,
                   least(l.machine_clicked_at, t.machine_clicked_at) as machine_clicked_at, t.error
               from told t join communication_logs l on l.id = t.id
               where l.status in ('SENT', 'DELIVERED', 'BOUNCED', 'OPENED', 'CLICKED', 'REPLIED')
           )
           update communication_logs l set status = d.status, delivered_at = d.delivered_at, opened_at = d.opened_at,
               clicked_at = d.clicked_at, replied_at = d.replied_at, machine_opened_at = d.machine_opened_at,
               machine_clicked_at = d.machine_clicked_at, error = case when d.status = 'BOUNCED' then coalesce(d.error, l.error) end
           from decided d
           where l.id = d.id
             and (l.status, l.delivered_at, l.opened_at, l.clicked_at, l.replied_at, l.machine_opened_at, l.machine_clicked_at, l.error)
                 is distinct from
                 (d.status, d.delivered_at, d.opened_at, d.clicked_at, d.replied_at, d.machine_opened_at, d.machine_clicked_at,
                     case when d.status = 'BOUNCED' then coalesce(d.error, l.error) end)
           returning l.id"#,
        &learned.ids,
        &learned.statuses as &[Option<String>],
        &learned.delivered_at as &[Option<DateTime<Utc>>],
        &learned.opened_at as &[Option<DateTime<Utc>>],
        &learned.clicked_at as &[Option<DateTime<Utc>>],
        &learned.replied_at as &[Option<DateTime<Utc>>],
        &learned.machine_opened_at as &[Option<DateTime<Utc>>],
        &learned.machine_clicked_at as &[Option<DateTime<Utc>>],
        &learned.errors as &[Option<String>]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(moved)
}

/// UNCONFIRMED -> SENT for those of `ids` that are so: what anybody speaks of had left.
pub(super) async fn confirm(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: &[i64]) -> Result<()> {
    sqlx::query!(
        "with put as (
             update communication_logs set status = 'SENT', sent_at = coalesce(claimed_at, $2), error = null
             where status = 'UNCONFIRMED' and id = any($1)
             returning id, message_proof(communication_logs) as facts
         )
         insert into communication_events (communication_log_id, at, kind, answer, facts)
         select id, $2, 'CONFIRMED', 'Llegó noticia de él, así que había salido.', facts from put",
        ids,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
