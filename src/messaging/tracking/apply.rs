//! Judges what was written down, many messages at a time, and tells it: a person's opening or click moves its message
//! and the sums of the person; a machine's is told in the story, and moves nothing.

use super::{
    hits::Hits,
    signs::{self, Hit, LONGEST, QUIET, Sign},
};
use crate::{
    contacts::metrics,
    db::{Tx, locks},
    error::Result,
    messaging::forward::{self, Learned},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Messages of one pass, at most.
const AT_ONCE: i64 = 1000;

/// What is asked of a message that is being handed over at this moment waits.
const SENDING: TimeDelta = TimeDelta::seconds(10);

/// What could not be told waits.
const TROUBLE: TimeDelta = TimeDelta::hours(1);

/// Write down what gathered, and tell what is due. Gives whether there may be more to tell.
///
/// # Errors
/// When the database is away.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>, hits: &Hits) -> Result<bool> {
    hits.write_down(db).await?;
    match pass(db, now, AT_ONCE).await {
        Ok(told) => Ok(told > 0),
        Err(error) if error.may_pass() => Err(error),
        Err(_) => one_by_one(db, now).await,
    }
}

/// One that fails does not hold up the others: it is tried again later.
async fn one_by_one(db: &PgPool, now: DateTime<Utc>) -> Result<bool> {
    for _ in 0..AT_ONCE {
        match pass(db, now, 1).await {
            Ok(0) => return Ok(false),
            Ok(_) => (),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                tracing::error!(error = error.description(), "An opening or a click could not be told");
                sqlx::query!(
                    "update tracking_hits set due_at = $2
                     where communication_log_id =
                         (select communication_log_id from tracking_hits where due_at <= $1 order by due_at, communication_log_id limit 1)",
                    now,
                    now + TROUBLE
                )
                .execute(db)
                .await?;
            }
        }
    }
    Ok(true)
}

/// Tell what is due of at most `limit` messages. Gives how many there were.
async fn pass(db: &PgPool, now: DateTime<Utc>, limit: i64) -> Result<usize> {
    let mut tx = db.begin().await?;
    let alone =
        sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1, 0) as "alone!""#, locks::TRACKING)
            .fetch_one(&mut *tx)
            .await?;
    if !alone {
        tx.rollback().await?;
        return Ok(0);
    }
    let due = sqlx::query_scalar!(
        r#"select distinct communication_log_id as "id!" from (
               select communication_log_id from tracking_hits where due_at <= $1 order by due_at, communication_log_id limit $2) due"#,
        now,
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    if due.is_empty() {
        // Now, and not when the connection is needed next: another pass would not be alone.
        tx.rollback().await?;
        return Ok(0);
    }
    if let Err(error) = tell(&mut tx, now, &due).await {
        // It failed already; that the connection is gone too is no news.
        let _ = tx.rollback().await;
        return Err(error);
    }
    tx.commit().await?;
    Ok(due.len())
}

/// A message, as judging it needs.
struct Message {
    contact: Option<i64>,
    template: i64,
    /// Whose figures its clicks are in.
    campaign: Option<i64>,
    arrived: DateTime<Utc>,
}

async fn tell(tx: &mut Tx<'_>, now: DateTime<Utc>, due: &[i64]) -> Result<()> {
    let ready = hold(tx, now, due).await?;
    let ready = at_rest(tx, now, ready).await?;
    forward::confirm(tx, now, &ready).await?;
    let messages = messages(tx, &ready).await?;
    let hits = take(tx, &ready).await?;
    let mut found = Found::default();
    for (id, hits) in &hits {
        // What never left is opened by nobody: somebody looked at it before.
        let Some(message) = messages.get(id) else { continue };
        for (hit, sign) in hits.iter().zip(signs::judge(hits, message.arrived)) {
            found.push(*id, message, hit, sign);
        }
    }
    found.write(tx).await?;
    let moved: HashSet<i64> = forward::forward(tx, &found.learned()).await?.into_iter().collect();
    let people: Vec<i64> = found
        .by_people
        .keys()
        .filter(|it| moved.contains(it))
        .filter_map(|it| messages.get(it)?.contact)
        .collect();
    recount(tx, now, &people).await
}

/// Hold the messages, in one order with whoever else moves several; gives those that are not being handed over just now.
async fn hold(tx: &mut Tx<'_>, now: DateTime<Utc>, due: &[i64]) -> Result<Vec<i64>> {
    let held = sqlx::query!(
        "select id, status from communication_logs where id = any($1) order by id for update",
        due
    )
    .fetch_all(&mut **tx)
    .await?;
    let sending: Vec<i64> = held.iter().filter(|it| it.status == "SENDING").map(|it| it.id).collect();
    if !sending.is_empty() {
        sqlx::query!(
            "update tracking_hits set due_at = $2 where communication_log_id = any($1)",
            &sending,
            now + SENDING
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(due.iter().copied().filter(|it| !sending.contains(it)).collect())
}

/// Those of `ids` whose links nobody is following just now; the others wait until it is over.
async fn at_rest(tx: &mut Tx<'_>, now: DateTime<Utc>, ids: Vec<i64>) -> Result<Vec<i64>> {
    let followed = sqlx::query_scalar!(
        "update tracking_hits set due_at = least(newest + ($2::timestamptz - $3::timestamptz), first + ($2 - $4::timestamptz))
         from (
             select communication_log_id as id, min(at) as first, max(at) filter (where link is not null) as newest
             from tracking_hits where communication_log_id = any($1) group by 1
         ) hits
         where communication_log_id = hits.id and newest > $3 and first > $4
         returning communication_log_id",
        &ids,
        now,
        now - QUIET,
        now - LONGEST
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().filter(|it| !followed.contains(it)).collect())
}

/// Those of `ids` that left.
async fn messages(tx: &mut Tx<'_>, ids: &[i64]) -> Result<HashMap<i64, Message>> {
    let rows = sqlx::query!(
        r#"select id, contact_id, template_id as "template!", case when origin = 'CAMPAIGN' then campaign_id end as campaign,
               coalesce(delivered_at, sent_at) as "arrived!"
           from communication_logs
           where id = any($1) and sent_at is not null and template_id is not null
             and status in ('SENT', 'DELIVERED', 'BOUNCED', 'OPENED', 'CLICKED', 'REPLIED')"#,
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| {
            let message = Message {
                contact: it.contact_id,
                template: it.template,
                campaign: it.campaign,
                arrived: it.arrived,
            };
            (it.id, message)
        })
        .collect())
}

/// All that waits of the messages `ids`, also what is not due by itself: one tells of the other.
async fn take(tx: &mut Tx<'_>, ids: &[i64]) -> Result<BTreeMap<i64, Vec<Hit>>> {
    let rows = sqlx::query!(
        "delete from tracking_hits where communication_log_id = any($1) returning communication_log_id, link, sign, at",
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut hits: BTreeMap<i64, Vec<Hit>> = BTreeMap::new();
    for it in rows {
        let sign = it.sign.as_deref().and_then(Sign::from_code);
        hits.entry(it.communication_log_id).or_default().push(Hit { link: it.link, sign, at: it.at });
    }
    for of_message in hits.values_mut() {
        of_message.sort_by_key(|it| (it.at, it.link));
    }
    Ok(hits)
}

/// First moments: of the picture, and of any link.
#[derive(Default)]
struct First {
    opened: Option<DateTime<Utc>>,
    clicked: Option<DateTime<Utc>>,
}

impl First {
    fn take_in(&mut self, hit: &Hit) {
        let first = if hit.link.is_some() { &mut self.clicked } else { &mut self.opened };
        *first = Some(first.map_or(hit.at, |it| it.min(hit.at)));
    }
}

/// What was found, for the statements that write it down.
#[derive(Default)]
struct Found {
    by_people: BTreeMap<i64, First>,
    by_machines: BTreeMap<i64, First>,
    ids: Vec<i64>,
    kinds: Vec<String>,
    reasons: Vec<Option<String>>,
    links: Vec<Option<i32>>,
    templates: Vec<i64>,
    campaigns: Vec<Option<i64>>,
    at: Vec<DateTime<Utc>>,
}

impl Found {
    fn push(&mut self, id: i64, message: &Message, hit: &Hit, sign: Option<Sign>) {
        let firsts = if sign.is_some() { &mut self.by_machines } else { &mut self.by_people };
        firsts.entry(id).or_default().take_in(hit);
        let kind = match (hit.link, sign) {
            (None, None) => "OPENED",
            (Some(_), None) => "CLICKED",
            (None, Some(_)) => "MACHINE_OPENED",
            (Some(_), Some(_)) => "MACHINE_CLICKED",
        };
        self.ids.push(id);
        self.kinds.push(kind.to_owned());
        self.reasons.push(sign.map(|it| it.code().to_owned()));
        // Which links a machine followed says nothing: it follows them all.
        self.links.push(hit.link.filter(|_| sign.is_none()));
        self.templates.push(message.template);
        self.campaigns.push(message.campaign);
        self.at.push(hit.at);
    }

    /// Append to the story of each message what it did not tell yet, and keep who followed which link.
    async fn write(&self, tx: &mut Tx<'_>) -> Result<()> {
        sqlx::query!(
            "with told as (
                 select g.id, g.kind, g.reason, k.target, min(g.at) as at
                 from unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::timestamptz[])
                     as g (id, kind, reason, link, template_id, at)
                 left join message_links k on k.template_id = g.template_id and k.number = g.link
                 group by g.id, g.kind, g.reason, k.target
             )
             insert into communication_events (communication_log_id, at, kind, reason, answer)
             select id, at, kind, reason, target from told
             where not exists (
                 select from communication_events e
                 where e.communication_log_id = told.id and e.kind = told.kind and e.reason is not distinct from told.reason
                   and e.answer is not distinct from told.target
                   -- Earlier than what it told so far: the moments of the message are the earliest of its events.
                   and e.at <= told.at)
             order by at, id",
            &self.ids,
            &self.kinds,
            &self.reasons as &[Option<String>],
            &self.links as &[Option<i32>],
            &self.templates,
            &self.at
        )
        .execute(&mut **tx)
        .await?;
        sqlx::query!(
            "insert into link_clicks (communication_log_id, number, template_id, campaign_id, first_at)
             select id, link, template_id, campaign_id, min(at)
             from unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::timestamptz[])
                 as g (id, link, template_id, campaign_id, at)
             where link is not null
             group by id, link, template_id, campaign_id
             on conflict (communication_log_id, number) do nothing",
            &self.ids,
            &self.links as &[Option<i32>],
            &self.templates,
            &self.campaigns as &[Option<i64>],
            &self.at
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    fn learned(&self) -> Learned {
        let mut learned = Learned::default();
        let ids: HashSet<i64> = self.by_people.keys().chain(self.by_machines.keys()).copied().collect();
        for id in ids {
            let (person, machine) = (self.by_people.get(&id), self.by_machines.get(&id));
            let opened = person.and_then(|it| it.opened);
            let clicked = person.and_then(|it| it.clicked);
            let status = clicked.map(|_| "CLICKED").or(opened.map(|_| "OPENED"));
            learned.ids.push(id);
            learned.statuses.push(status.map(str::to_owned));
            // Whoever follows a link has the message open, with or without its pictures.
            learned.opened_at.push([opened, clicked].into_iter().flatten().min());
            learned.clicked_at.push(clicked);
            learned.machine_opened_at.push(machine.and_then(|it| it.opened));
            learned.machine_clicked_at.push(machine.and_then(|it| it.clicked));
        }
        learned
    }
}

/// Count those again whom the messages went to, as they stand today.
async fn recount(tx: &mut Tx<'_>, now: DateTime<Utc>, contacts: &[i64]) -> Result<()> {
    let standing = sqlx::query_scalar!(
        r#"select distinct coalesce(merged_into, id) as "id!" from contacts where id = any($1)"#,
        contacts
    )
    .fetch_all(&mut **tx)
    .await?;
    metrics::recount(tx, now, &standing).await
}
