//! Starting a campaign, and the engine that gives each of its people their row
//! in the queue: by pages of ids above a checkpoint, each page in one transaction
//! with the move of the checkpoint, so that a kill at any moment costs nothing.

use super::{
    audience,
    campaign::{self, Status},
    checklist::{self, Checklist},
    status,
};
use crate::{
    access::{Actor, Permission, Role},
    channels::Channel,
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, StaffId, TemplateId},
    messaging::{
        kinds::MessageType,
        outbox::{self, Draft, Enqueued, Origin},
        template,
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;

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
    /// What had been foretold.
    pub checklist: Checklist,
}

/// DRAFT -> RUNNING, with the first 20 000 people queued. Refused while any item of the checklist is red.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] with what is missing, or the database's.
pub async fn launch(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
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
    sqlx::query!(
        "update campaigns set status = 'RUNNING', launched_at = $2, launched_by = $3, updated_at = $2 where id = $1",
        id.0,
        now,
        actor.staff_id().map(|it| it.0)
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
        "template_id": campaign.template,
    });
    status::record(tx, now, actor, "campaign.launch", id, Some(after)).await?;
    Ok(Launched { enqueued, complete, checklist })
}

/// Queue all people of running campaigns who have no row yet. Idempotent; several processes may call it at once. Returns
/// how many people were looked at.
///
/// # Errors
/// The last campaign's that failed; the others were queued all the same, and whole pages are kept.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let open = sqlx::query_scalar!(
        "select id from campaigns where status = 'RUNNING' and not enqueue_done order by id"
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
        let mut tx = db.begin().await?;
        let page = enqueue_page(&mut tx, now, id).await?;
        tx.commit().await?;
        let Some(page) = page else { return Ok((people, all)) };
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

/// Queue the next page of one campaign. None: it does not run, has all its rows, or another process holds it.
async fn enqueue_page(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<Option<Page>> {
    let Some(it) = sqlx::query!(
        r#"select c.communication_type, c.message_type, c.audience, c.template_id, c.enqueued_through,
                  s.id as "staff_id?", s.name as "staff_name?", s.role as "staff_role?"
           from campaigns c left join staff_users s on s.id = c.launched_by
           where c.id = $1 and c.status = 'RUNNING' and not c.enqueue_done for update of c skip locked"#,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    else {
        return Ok(None);
    };
    let unreadable = || Error::Internal(format!("campaign {id} can't be queued"));
    let rule = serde_json::from_value(it.audience).map_err(|_| unreadable())?;
    let template = it.template_id.map(TemplateId).ok_or_else(unreadable)?;
    let people = audience::page(tx, now, &rule, it.enqueued_through, PAGE).await?;
    let last = i64::try_from(people.len()).is_ok_and(|n| n < PAGE);
    let mut enqueued = Enqueued::default();
    if let Some(through) = people.last() {
        let (source, _) = template::version(tx, template).await?;
        let required = template::compile(&source).map(|it| it.required()).unwrap_or_default();
        // Who asked for each message is who started the campaign, also on later pages.
        let asker = match (it.staff_id, it.staff_name, it.staff_role.as_deref().and_then(Role::from_code)) {
            (Some(staff), Some(name), Some(known)) => Actor::Staff { id: StaffId(staff), name, role: known },
            _ => Actor::System,
        };
        let draft = Draft {
            origin: Origin::Campaign(id),
            channel: Channel::from_code(&it.communication_type).ok_or_else(unreadable)?,
            message_type: MessageType::from_code(&it.message_type).ok_or_else(unreadable)?,
            template,
            required: &required,
            scheduled_at: now,
        };
        enqueued = outbox::enqueue(tx, now, &asker, &draft, &people).await?;
        sqlx::query!("update campaigns set enqueued_through = $2 where id = $1", id.0, through.0)
            .execute(&mut **tx)
            .await?;
    }
    if last {
        sqlx::query!("update campaigns set enqueue_done = true where id = $1", id.0)
            .execute(&mut **tx)
            .await?;
    }
    Ok(Some(Page { people: people.len() as u64, enqueued, last }))
}
