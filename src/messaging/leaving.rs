//! The last moment before a message is handed over: it is marked as SENDING, and by the same statement whatever may have
//! changed since the gate let it go is asked once more. As [`super::gate`] decides, in SQL, for a whole chunk at once.

use super::kinds::MessageType;
use crate::{
    channels::Channel,
    db::Tx,
    error::Result,
    ids::{DripRunId, TemplateId},
};
use chrono::NaiveDateTime;

/// A filled message on the point of leaving.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) id: i64,
    pub(super) subject: String,
    pub(super) template: TemplateId,
    pub(super) external_id: String,
    /// Of the text, by [`super::compose::digest`].
    pub(super) body: Vec<u8>,
}

/// PENDING -> SENDING, durable before anything is handed over. Gives the ids
/// that may go: not those whose reservation was lost, whose campaign or mailing stopped,
/// whose recipient said no or has another address since the gate let them go, or whose quiet hours have begun. `local`: the
/// civil time.
pub(super) async fn begin(
    tx: &mut Tx<'_>,
    run: DripRunId,
    channel: Channel,
    local: NaiveDateTime,
    starts: &[Start],
) -> Result<Vec<i64>> {
    let ids: Vec<i64> = starts.iter().map(|it| it.id).collect();
    let subjects: Vec<String> = starts.iter().map(|it| it.subject.clone()).collect();
    let templates: Vec<i64> = starts.iter().map(|it| it.template.0).collect();
    let external: Vec<String> = starts.iter().map(|it| it.external_id.clone()).collect();
    let bodies: Vec<Vec<u8>> = starts.iter().map(|it| it.body.clone()).collect();
    let begun = sqlx::query_scalar!(
        "with held as (
             -- In one order with whoever cancels or retries, so that no two wait for each other.
             select l.id, r.reserved_at, r.newest_rhythm
             from communication_reservations r join communication_logs l on l.id = r.communication_log_id
             where r.communication_log_id = any($1) and r.drip_run_id = $5
             order by l.id for update
         ), begun as (
             update communication_logs l
             set status = 'SENDING', attempts = l.attempts + 1, subject = g.subject, template_id = g.template_id,
                 external_id = g.external_id, body_sha256 = g.body, drip_run_id = $5, claimed_at = held.reserved_at,
                 defer_reason = null
             from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $8::bytea[])
                 as g (id, subject, template_id, external_id, body)
             join held using (id)
             where l.id = g.id and l.status is not distinct from 'PENDING'
               and (l.origin = 'TEST' or l.campaign_id is null
                    or exists (select 1 from campaigns c where c.id = l.campaign_id and c.status = 'RUNNING'))
               and (l.mailing_id is null or exists (
                   select 1 from mailings m where m.id = l.mailing_id and m.sends))
               and not exists (
                   select 1 from suppressions s
                   where s.communication_type = $6 and s.destination = l.destination and s.lifted_at is null
                     and (s.scope = 'ALL' or (l.origin <> 'TEST' and l.message_type = any($7))))
               and not exists (
                   select 1 from suppressions s
                   where s.communication_type = $6 and s.destination is null and s.lifted_at is null
                     and s.address_hash = suppression_hash((select key from suppression_key), l.destination)
                     and (s.scope = 'ALL' or (l.origin <> 'TEST' and l.message_type = any($7))))
               and (l.origin = 'TEST' or l.contact_id is null or not exists (
                   select 1 from contact_preferences p
                   where p.contact_id = (select coalesce(merged_into, id) from contacts where id = l.contact_id)
                     and p.communication_type = $6 and p.message_type = l.message_type
                     and not p.allowed))
               -- A pause that anybody of the person's rows is in, and a wish for fewer that the gate did not know yet:
               -- looked for only where somebody is in a pause, or said so since.
               and (l.origin = 'TEST' or l.message_type <> all($7)
                    or not ((select exists (select from contact_rhythms where paused_until > $9))
                        or coalesce((select max(id) from contact_rhythms) > held.newest_rhythm, false))
                    or not exists (
                        select from contacts asked
                        cross join lateral (
                            select coalesce(asked.merged_into, asked.id) as id
                            union all select id from contacts where merged_into = coalesce(asked.merged_into, asked.id)
                        ) one
                        cross join lateral (
                            select r.id, min_days, paused_until from contact_rhythms r
                            where r.contact_id = one.id and r.communication_type = $6 order by r.id desc limit 1
                        ) last
                        where asked.id = l.contact_id and (last.paused_until > $9
                            or (last.min_days is not null and last.id > held.newest_rhythm))))
               and (l.origin = 'TEST' or l.contact_id is null or exists (
                   select 1 from contacts asked join contacts c on c.id = coalesce(asked.merged_into, asked.id)
                   where asked.id = l.contact_id
                     -- Who was corrected or joined since is written to where they are now, and once: the next run's gate sees to it.
                     and l.destination = case $6 when 'EMAIL' then c.email else c.phone end
                     and (l.message_type <> all($7)
                         or case $6 when 'EMAIL' then c.email_basis when 'SMS' then c.sms_basis else c.whatsapp_basis end is not null
                         -- As `gate::quiet_until`: from a time up to another, perhaps over midnight.
                         and not coalesce(case when c.quiet_from <= c.quiet_until then $10 >= c.quiet_from and $10 < c.quiet_until
                             else $10 >= c.quiet_from or $10 < c.quiet_until end, false))))
             returning l.id
         ), taken as (
             delete from communication_reservations r using begun where r.communication_log_id = begun.id
         )
         select id from begun",
        &ids,
        &subjects,
        &templates,
        &external,
        run.0,
        channel.code(),
        &MessageType::promotional_codes(),
        &bodies,
        local.date(),
        local.time()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(begun)
}
