//! Starting a campaign, and the engine that gives each of its people their row
//! in the queue: by pages of ids above a checkpoint, which moves in one transaction
//! with a page. Another page may be queued beside it and stand before the checkpoint
//! has passed it: a kill then costs that its people are asked for twice, which adds nothing.

use super::{
    audience,
    campaign::{self, Status},
    checklist::{self, Checklist},
    own_texts, status, variants,
    wordings::Needs,
};
use crate::{
    access::{Actor, Permission, Role},
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, ContactId, StaffId, TemplateId},
    messaging::{
        foresight::Otherwise,
        kinds::MessageType,
        outbox::{self, Draft, Enqueued, Origin},
        versions,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};

/// People queued in one transaction.
const PAGE: i64 = 5000;

/// Pages queued at once by starting, so that the page shows counts and what follows is the engine's.
const AT_ONCE: u32 = 4;

/// What starting came to.
#[derive(Clone, Debug)]
pub struct Launched {
    /// What became of the people queued so far.
    pub enqueued: Enqueued,
    /// Whether all have their row.
    pub complete: bool,
    /// Nobody is queued before this instant; none: the queueing has begun.
    pub held_until: Option<DateTime<Utc>>,
    /// What had been foretold.
    pub checklist: Checklist,
}

/// DRAFT -> RUNNING, with the first 20 000 people queued; or, for as long as it is `held`, with nobody queued, so that
/// [`super::hold::take_back`] can undo it. Refused while any item of the checklist is red.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] with what is missing, or the database's.
pub async fn launch(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
    held: TimeDelta,
) -> Result<Launched> {
    actor.require(Permission::SendCampaigns)?;
    campaign::lock(tx, id).await?;
    let campaign = campaign::get(tx, id).await?;
    if campaign.status != Status::Draft {
        return Err(Error::refused(format!(
            "Esta campaña ya está «{}»: no se inició otra vez ni se envió nada dos veces.",
            campaign.status.label().to_lowercase()
        )));
    }
    let checklist = checklist::of(tx, now, config, &campaign).await?;
    if !checklist.is_ready() {
        let lacking: Vec<&str> = checklist.red().map(|it| it.found.as_str()).collect();
        return Err(Error::refused(format!(
            "La campaña no se inició y no se envió nada. {}",
            lacking.join(" ")
        )));
    }
    let held_until = (held > TimeDelta::zero()).then(|| now + held);
    sqlx::query!(
        "update campaigns set status = 'RUNNING', launched_at = $2, launched_by = $3, updated_at = $2, held_until = $4
         where id = $1",
        id.0,
        now,
        actor.staff_id().map(|it| it.0),
        held_until
    )
    .execute(&mut **tx)
    .await?;
    let mut enqueued = Enqueued::default();
    let mut complete = false;
    for _ in 0..AT_ONCE {
        let Some(page) = enqueue_page(tx, now, id).await? else { break };
        enqueued.add(&page.enqueued);
        complete = page.last;
        if complete {
            break;
        }
    }
    let after = json!({
        "audience": checklist.preview.total, "reachable": checklist.preview.reachable, "queued": enqueued.queued,
        "template_id": campaign.template, "held_until": held_until,
    });
    status::record(tx, now, actor, "campaign.launch", id, Some(after)).await?;
    Ok(Launched { enqueued, complete, held_until, checklist })
}

/// Queue all people of running campaigns who have no row yet. Idempotent; several processes may call it at once. Returns
/// how many people were looked at.
///
/// # Errors
/// The last campaign's that failed; the others were queued all the same, and whole pages are kept.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let open = sqlx::query_scalar!(
        "select id from campaigns
         where status = 'RUNNING' and not enqueue_done and (held_until is null or held_until <= $1) order by id",
        now
    )
    .fetch_all(db)
    .await?;
    let mut outcome = Ok(0);
    for id in open {
        match enqueue_all(db, now, CampaignId(id)).await {
            Ok((people, _)) => outcome = outcome.map(|it| it + people),
            Err(error) => {
                tracing::error!(
                    campaign.id = id,
                    error = error.description(),
                    "The people of a campaign could not be queued"
                );
                outcome = Err(error);
            }
        }
    }
    outcome
}

/// Queue page after page until all have their row. Gives how many people were looked at, and what became of them.
async fn enqueue_all(db: &PgPool, now: DateTime<Utc>, id: CampaignId) -> Result<(u64, Enqueued)> {
    let (mut people, mut all) = (0, Enqueued::default());
    loop {
        let Some(page) = enqueue_pages(db, now, id).await? else { return Ok((people, all)) };
        people += page.people;
        all.add(&page.enqueued);
        if page.last {
            return Ok((people, all));
        }
    }
}

/// Queue all people of one running campaign who have no row yet.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's; whole pages are kept.
pub async fn enqueue_rest(
    db: &PgPool,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
) -> Result<Enqueued> {
    actor.require(Permission::SendCampaigns)?;
    Ok(enqueue_all(db, now, id).await?.1)
}

struct Page {
    people: u64,
    enqueued: Enqueued,
    last: bool,
}

/// Queue the next page of one campaign. None: it does not run, is held, has all its rows, or another process is at it.
async fn enqueue_page(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<Option<Page>> {
    let Some(order) = Order::open(tx, now, id).await? else { return Ok(None) };
    let people = order.next(tx, now, PAGE).await?;
    let enqueued = order.queue(tx, now, &people).await?;
    order.checkpoint(tx, &people, PAGE, enqueued).await.map(Some)
}

/// Queue the next two pages of one campaign side by side, where nothing stands against it. None: as above.
async fn enqueue_pages(db: &PgPool, now: DateTime<Utc>, id: CampaignId) -> Result<Option<Page>> {
    let mut tx = db.begin().await?;
    let Some(order) = Order::open(&mut tx, now, id).await? else { return Ok(None) };
    // Only addresses of email are one person's alone: elsewhere the two could wait for each other's.
    let beside = if order.channel == Channel::Email { db.try_begin().await? } else { None };
    let limit = if beside.is_some() { 2 * PAGE } else { PAGE };
    let people = order.next(&mut tx, now, limit).await?;
    let (first, second) = people.split_at(people.len().min(usize::try_from(PAGE).unwrap_or(usize::MAX)));
    let queue_second = async {
        let Some(mut beside) = beside else { return Ok(Enqueued::default()) };
        order.hold(&mut beside).await?;
        let enqueued = order.queue(&mut beside, now, second).await?;
        beside.commit().await?;
        Ok::<_, Error>(enqueued)
    };
    let (first, second) = tokio::join!(order.queue(&mut tx, now, first), queue_second);
    let mut enqueued = first?;
    enqueued.add(&second?);
    let page = order.checkpoint(&mut tx, &people, limit, enqueued).await?;
    tx.commit().await?;
    Ok(Some(page))
}

/// What the version `text` can't do without.
async fn required(tx: &mut Tx<'_>, text: TemplateId) -> Result<Vec<&'static str>> {
    Ok(versions::prepared(tx, text).await?.map(|it| it.required()).unwrap_or_default())
}

/// What is to be queued of one campaign, which is held from any change as long as the transaction lasts.
struct Order {
    id: CampaignId,
    rule: audience::Rule,
    channel: Channel,
    message_type: MessageType,
    template: TemplateId,
    /// The versions of the texts of industries.
    own: HashMap<String, TemplateId>,
    needs: Needs,
    /// Who started the campaign asks for each message, also on later pages.
    asker: Actor,
    through: i64,
}

impl Order {
    async fn open(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<Option<Order>> {
        // The key may still be referred to, by messages that another transaction writes.
        let Some(it) = sqlx::query!(
            r#"select c.communication_type, c.message_type, c.audience, c.template_id, c.enqueued_through,
                      s.id as "staff_id?", s.name as "staff_name?", s.role as "staff_role?"
               from campaigns c left join staff_users s on s.id = c.launched_by
               where c.id = $1 and c.status = 'RUNNING' and not c.enqueue_done
                   and (c.held_until is null or c.held_until <= $2)
               for no key update of c skip locked"#,
            id.0,
            now
        )
        .fetch_optional(&mut **tx)
        .await?
        else {
            return Ok(None);
        };
        let unreadable = || Error::Internal(format!("campaign {id} can't be queued"));
        let template = it.template_id.map(TemplateId).ok_or_else(unreadable)?;
        let mut needs = Needs::default();
        // Who lacks what one of several texts needs gets none of them: each is tried on the same kind of people.
        for text in std::iter::once(template).chain(variants::templates(tx, id).await?) {
            needs.required.extend(required(tx, text).await?);
        }
        needs.required.sort_unstable();
        needs.required.dedup();
        let mut own = HashMap::new();
        for it in own_texts::of(tx, id).await? {
            let required = required(tx, it.template).await?;
            needs.otherwise.push(Otherwise { industry: it.industry.clone(), required });
            own.insert(it.industry, it.template);
        }
        let asker = match (it.staff_id, it.staff_name, it.staff_role.as_deref().and_then(Role::from_code)) {
            (Some(staff), Some(name), Some(known)) => Actor::Staff { id: StaffId(staff), name, role: known },
            _ => Actor::System,
        };
        Ok(Some(Order {
            id,
            rule: serde_json::from_value(it.audience).map_err(|_| unreadable())?,
            channel: Channel::from_code(&it.communication_type).ok_or_else(unreadable)?,
            message_type: MessageType::from_code(&it.message_type).ok_or_else(unreadable)?,
            template,
            own,
            needs,
            asker,
            through: it.enqueued_through,
        }))
    }

    /// Keep others from pausing or cancelling it until `tx` ends too: the transaction that opened it may lose its
    /// connection before.
    async fn hold(&self, tx: &mut Tx<'_>) -> Result<()> {
        sqlx::query!(
            "select id from campaigns where id = $1 and status = 'RUNNING' for key share",
            self.id.0
        )
        .fetch_one(&mut **tx)
        .await?;
        Ok(())
    }

    async fn next(&self, tx: &mut Tx<'_>, now: DateTime<Utc>, limit: i64) -> Result<Vec<ContactId>> {
        audience::page(tx, now, &self.rule, self.through, limit).await
    }

    async fn queue(&self, tx: &mut Tx<'_>, now: DateTime<Utc>, people: &[ContactId]) -> Result<Enqueued> {
        let mut enqueued = Enqueued::default();
        for (industry, people) in self.by_text(tx, people).await? {
            let own = industry.as_ref().and_then(|it| self.own.get(it));
            let draft = Draft {
                origin: Origin::Campaign(self.id),
                channel: self.channel,
                message_type: self.message_type,
                template: own.copied().unwrap_or(self.template),
                required: self.needs.of(industry.as_deref()),
                scheduled_at: now,
            };
            enqueued.add(&outbox::enqueue(tx, now, &self.asker, &draft, &people).await?);
        }
        Ok(enqueued)
    }

    /// `people`, by the industry whose text they would get now, each in their order; none: the campaign's own. Which they
    /// do get is told when their message is let go.
    async fn by_text(
        &self,
        tx: &mut Tx<'_>,
        people: &[ContactId],
    ) -> Result<BTreeMap<Option<String>, Vec<ContactId>>> {
        let mut found: BTreeMap<Option<String>, Vec<ContactId>> = BTreeMap::new();
        if people.is_empty() {
            return Ok(found);
        }
        if self.own.is_empty() {
            return Ok(BTreeMap::from([(None, people.to_vec())]));
        }
        let industries: Vec<String> = self.own.keys().cloned().collect();
        let ids: Vec<i64> = people.iter().map(|it| it.0).collect();
        let rows = sqlx::query!(
            r#"select p.id as "id!", k.industry as "industry?"
               from unnest($1::bigint[]) with ordinality as p (id, place)
               left join contacts c on c.id = p.id
               left join companies k on k.id = c.company_id and k.industry = any ($2)
               order by p.place"#,
            &ids,
            &industries
        )
        .fetch_all(&mut **tx)
        .await?;
        for it in rows {
            found.entry(it.industry).or_default().push(ContactId(it.id));
        }
        Ok(found)
    }

    /// `people`, of `limit` that were asked for, have their row.
    async fn checkpoint(
        &self,
        tx: &mut Tx<'_>,
        people: &[ContactId],
        limit: i64,
        enqueued: Enqueued,
    ) -> Result<Page> {
        let last = i64::try_from(people.len()).is_ok_and(|n| n < limit);
        let through = people.last().map_or(self.through, |it| it.0);
        sqlx::query!(
            "update campaigns set enqueued_through = $2, enqueue_done = $3 where id = $1",
            self.id.0,
            through,
            last
        )
        .execute(&mut **tx)
        .await?;
        Ok(Page { people: people.len() as u64, enqueued, last })
    }
}
