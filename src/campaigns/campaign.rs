//! A campaign as it is written: its text, audience and pace. Writes the
//! `campaigns` table; the words themselves are versions kept by `messaging::versions`.

use super::{audience::Rule, edit::Edit, fixed, text, wordings};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::{business_hours::BusinessHours, text::fold},
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, TemplateId},
    messaging::{
        asked_again::{self, Of},
        kinds::MessageType,
        template::{BodyFormat, Source},
        versions,
    },
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// Where a campaign stands. The arrows are drawn in `migrations/0005_campaigns.sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// Being written; nothing is queued.
    #[serde(rename = "DRAFT")]
    Draft,
    /// Its messages leave as window and caps allow.
    #[serde(rename = "RUNNING")]
    Running,
    /// Its messages wait until a person resumes it.
    #[serde(rename = "PAUSED")]
    Paused,
    /// Nothing is left to send.
    #[serde(rename = "FINISHED")]
    Finished,
    /// Stopped for good by a person.
    #[serde(rename = "CANCELLED")]
    Cancelled,
}

impl Status {
    /// Every status, in order of life.
    pub const ALL: [Status; 5] =
        [Status::Draft, Status::Running, Status::Paused, Status::Finished, Status::Cancelled];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Status::Draft => "DRAFT",
            Status::Running => "RUNNING",
            Status::Paused => "PAUSED",
            Status::Finished => "FINISHED",
            Status::Cancelled => "CANCELLED",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Status::Draft => "Borrador",
            Status::Running => "En curso",
            Status::Paused => "En pausa",
            Status::Finished => "Terminada",
            Status::Cancelled => "Cancelada",
        }
    }

    /// Whether it was started and may still send.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Status::Running | Status::Paused)
    }

    /// Whether its text and pace may still be changed.
    #[must_use]
    pub fn is_editable(self) -> bool {
        matches!(self, Status::Draft | Status::Running | Status::Paused)
    }
}

/// A campaign, its text included.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Row.
    pub id: CampaignId,
    /// Name, for the staff alone.
    pub name: String,
    /// How its messages travel.
    pub channel: Channel,
    /// What its messages are for.
    pub message_type: MessageType,
    /// Where it stands.
    pub status: Status,
    /// Whom it is for.
    pub audience: Rule,
    /// The version of the text in force; none: nothing was written yet.
    pub template: Option<TemplateId>,
    /// Number of that version; 0 where there is none.
    pub version: i32,
    /// The text in force.
    pub source: Source,
    /// Messages a run.
    pub batch_size: u32,
    /// Messages a local day; none: only the channel's cap.
    pub daily_cap: Option<u32>,
    /// Seconds between two messages.
    pub spacing_seconds: u32,
    /// Its own window; none: the channel's.
    pub business_hours: Option<BusinessHours>,
    /// Its messages tell of openings and clicks.
    pub tracks: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was started.
    pub launched_at: Option<DateTime<Utc>>,
    /// Who started it, by name.
    pub launched_by: Option<String>,
    /// It was started, but nobody is queued before this instant, and the launch may still be taken back.
    pub held_until: Option<DateTime<Utc>>,
    /// When its last message was settled, or it was cancelled.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it waits, in Spanish.
    pub pause_reason: Option<String>,
    /// Who paused it, by name; none with a reason: the system.
    pub paused_by: Option<String>,
    /// Whether every recipient has their row in the queue.
    pub enqueue_done: bool,
}

impl Campaign {
    /// Until when its launch may still be taken back, also while it is paused; none: it is a draft, or its time is over.
    #[must_use]
    pub fn hold(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.held_until.filter(|until| self.status.is_live() && now < *until)
    }
}

/// The campaign `id`.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn get(db: &mut PgConnection, id: CampaignId) -> Result<Campaign> {
    let it = sqlx::query!(
        r#"select c.*, t.version as "version?", t.subject as "subject?", t.body as "body?",
                  t.body_format as "body_format?", t.footer as "footer?",
                  launcher.name as "launcher?", pauser.name as "pauser?"
           from campaigns c
           left join message_templates t on t.id = c.template_id
           left join staff_users launcher on launcher.id = c.launched_by
           left join staff_users pauser on pauser.id = c.paused_by
           where c.id = $1"#,
        id.0
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    let unreadable = || Error::Internal(format!("campaign {id} holds a code that is not known"));
    Ok(Campaign {
        id,
        name: it.name,
        channel: Channel::from_code(&it.communication_type).ok_or_else(unreadable)?,
        message_type: MessageType::from_code(&it.message_type).ok_or_else(unreadable)?,
        status: Status::from_code(&it.status).ok_or_else(unreadable)?,
        audience: serde_json::from_value(it.audience).map_err(|_| unreadable())?,
        template: it.template_id.map(TemplateId),
        version: it.version.unwrap_or_default(),
        source: Source {
            subject: it.subject.unwrap_or_default(),
            body: it.body.unwrap_or_default(),
            body_format: it.body_format.as_deref().map(BodyFormat::from_code).unwrap_or_default(),
            footer: it.footer.unwrap_or_default(),
            registration: None,
        },
        batch_size: u32::try_from(it.batch_size).unwrap_or(1),
        daily_cap: it.daily_cap.and_then(|cap| u32::try_from(cap).ok()),
        spacing_seconds: u32::try_from(it.spacing_seconds).unwrap_or_default(),
        // A window that can't be read must not become the channel's.
        business_hours: it
            .business_hours
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| unreadable())?,
        tracks: it.tracks,
        created_at: it.created_at,
        updated_at: it.updated_at,
        launched_at: it.launched_at,
        launched_by: it.launcher,
        held_until: it.held_until,
        finished_at: it.finished_at,
        pause_reason: it.pause_reason,
        paused_by: it.pauser,
        enqueue_done: it.enqueue_done,
    })
}

/// One line of the list of campaigns.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Row.
    pub id: CampaignId,
    /// Name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// How its messages travel.
    pub channel: Channel,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was started.
    pub launched_at: Option<DateTime<Utc>>,
    /// Messages in the queue or on their way.
    pub queued: i64,
    /// Messages that left.
    pub sent: i64,
    /// Messages that never will.
    pub failed: i64,
    /// Messages that the gate refused.
    pub blocked: i64,
    /// Messages of which nobody knows if they left.
    pub unconfirmed: i64,
}

/// The newest `limit` campaigns whose names hold every word of `q`: row, name, status.
///
/// # Errors
/// When the database fails.
pub async fn named(
    db: impl PgExecutor<'_>,
    q: &str,
    limit: usize,
) -> Result<Vec<(CampaignId, String, Status)>> {
    // Campaigns are few; those of years ago are found in their list.
    let rows = sqlx::query!("select id, name, status from campaigns order by id desc limit 1000")
        .fetch_all(db)
        .await?;
    let q = fold(q);
    let called = |name: &str| {
        let name = fold(name);
        q.split(' ').all(|word| name.contains(word))
    };
    let found = rows.into_iter().filter(|it| !q.is_empty() && called(&it.name)).take(limit);
    Ok(found
        .map(|it| (CampaignId(it.id), it.name, Status::from_code(&it.status).unwrap_or(Status::Draft)))
        .collect())
}

/// Campaigns with an id below `before`, newest first, at most `limit`; of one status, where one is given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: impl PgExecutor<'_>,
    status: Option<Status>,
    before: Option<CampaignId>,
    limit: i64,
) -> Result<Vec<Summary>> {
    let rows = sqlx::query!(
        r#"with page as (
               select id, name, status, communication_type, updated_at, launched_at from campaigns
               where ($1::text is null or status = $1) and id < coalesce($2, 9223372036854775807)
               order by id desc limit $3
           )
           select page.*, n.queued as "queued!", n.sent as "sent!", n.failed as "failed!",
                  n.blocked as "blocked!", n.unconfirmed as "unconfirmed!"
           from page cross join lateral (
               select coalesce(sum(t.messages) filter (where t.status in ('PENDING', 'SENDING')), 0)::bigint as queued,
                      coalesce(sum(t.messages) filter (where t.status in
                          ('SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'REPLIED', 'BOUNCED')), 0)::bigint as sent,
                      coalesce(sum(t.messages) filter (where t.status = 'FAILED'), 0)::bigint as failed,
                      coalesce(sum(t.messages) filter (where t.status = 'BLOCKED'), 0)::bigint as blocked,
                      coalesce(sum(t.messages) filter (where t.status = 'UNCONFIRMED'), 0)::bigint as unconfirmed
               from campaign_tallies t where t.campaign_id = page.id
           ) n
           order by page.id desc"#,
        status.map(Status::code),
        before.map(|it| it.0),
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Summary {
                id: CampaignId(it.id),
                status: Status::from_code(&it.status)?,
                channel: Channel::from_code(&it.communication_type)?,
                name: it.name,
                updated_at: it.updated_at,
                launched_at: it.launched_at,
                queued: it.queued,
                sent: it.sent,
                failed: it.failed,
                blocked: it.blocked,
                unconfirmed: it.unconfirmed,
            })
        })
        .collect())
}

/// How many campaigns stand at each status, in the order of [`Status::ALL`].
///
/// # Errors
/// When the database fails.
pub async fn counts(db: impl PgExecutor<'_>) -> Result<Vec<(Status, i64)>> {
    let rows = sqlx::query!(r#"select status, count(*) as "count!" from campaigns group by status"#)
        .fetch_all(db)
        .await?;
    let count = |status: Status| rows.iter().find(|it| it.status == status.code()).map_or(0, |it| it.count);
    Ok(Status::ALL.into_iter().map(|it| (it, count(it))).collect())
}

/// Make a draft.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::Invalid`], or the database's.
pub async fn create(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, edit: &Edit) -> Result<CampaignId> {
    actor.require(Permission::EditCampaigns)?;
    refuse_problems(edit)?;
    let (audience, hours) = documents(edit)?;
    let id = sqlx::query_scalar!(
        "insert into campaigns (name, message_type, audience, batch_size, daily_cap, spacing_seconds, business_hours,
                                tracks, created_at, updated_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $10, $8, $8, $9) returning id",
        edit.name.trim(),
        edit.message_type.code(),
        audience,
        int(edit.batch_size),
        edit.daily_cap.map(int),
        int(edit.spacing_seconds),
        hours,
        now,
        actor.staff_id().map(|it| it.0),
        edit.tracks
    )
    .fetch_one(&mut **tx)
    .await?;
    let id = CampaignId(id);
    save_text(tx, now, actor, id, &edit.source).await?;
    let change = audit::Change {
        action: "campaign.create",
        subject_kind: "campaign",
        subject_id: Some(id.0),
        before: None,
        after: Some(edit.document()),
    };
    audit::record(tx, now, actor, change).await?;
    Ok(id)
}

/// Change a campaign. While it runs or waits, its pace may change, and its text where the remaining recipients would get
/// the new version ([`fixed::refuse_unheard`]); whom it is for may not.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], [`Error::Refused`] once it ended, or the database's.
pub async fn update(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
    edit: &Edit,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    refuse_problems(edit)?;
    lock(tx, id).await?;
    let before = get(tx, id).await?;
    if !before.status.is_editable() {
        return Err(Error::refused(format!(
            "Esta campaña está {}: ya no se puede editar. No se cambió nada; puedes crear una nueva con el mismo texto.",
            before.status.label().to_lowercase()
        )));
    }
    let mut edit = edit.clone();
    if before.status.is_live() {
        // Words and pace of a campaign that sends are the decision of who may send.
        actor.require(Permission::SendCampaigns)?;
        edit.audience = before.audience.clone();
        edit.message_type = before.message_type;
        fixed::refuse_unheard(tx, id, &before.source, &edit.source).await?;
        let lacking = text::problems(tx, config, edit.message_type, &edit.source).await?;
        if !lacking.is_empty() {
            return Err(Error::Invalid(lacking));
        }
    }
    save_text(tx, now, actor, id, &edit.source).await?;
    let (audience, hours) = documents(&edit)?;
    sqlx::query!(
        "update campaigns set name = $2, message_type = $3, audience = $4, batch_size = $5, daily_cap = $6,
                              spacing_seconds = $7, business_hours = $8, updated_at = $9, tracks = $10
         where id = $1",
        id.0,
        edit.name.trim(),
        edit.message_type.code(),
        audience,
        int(edit.batch_size),
        edit.daily_cap.map(int),
        int(edit.spacing_seconds),
        hours,
        now,
        edit.tracks
    )
    .execute(&mut **tx)
    .await?;
    if before.status.is_live()
        && (before.daily_cap, &before.business_hours) != (edit.daily_cap, &edit.business_hours)
    {
        let why = "Cambió el horario o el tope de la campaña: se revisa otra vez si puede salir.";
        asked_again::ask_again(tx, now, actor, Of::Campaign(id), asked_again::BY_THE_CAMPAIGN, why).await?;
    }
    let change = audit::Change {
        action: "campaign.update",
        subject_kind: "campaign",
        subject_id: Some(id.0),
        before: Some(Edit::of(&before).document()),
        after: Some(edit.document()),
    };
    audit::record(tx, now, actor, change).await
}

/// Hold the campaign's row until the transaction ends, for a form that was read when its `updated_at` was `seen`;
/// none: a program that sends only what it changes.
///
/// # Errors
/// [`Error::Invalid`] at `seen` if somebody changed it since, [`Error::NotFound`], or the database's.
pub async fn hold(tx: &mut Tx<'_>, id: CampaignId, seen: Option<DateTime<Utc>>) -> Result<()> {
    let updated_at = sqlx::query_scalar!("select updated_at from campaigns where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .ok_or(Error::NotFound)?;
    if seen.is_some_and(|it| it != updated_at) {
        return Err(Error::invalid(
            "seen",
            "La campaña cambió mientras la editabas: otra persona la guardó, o se inició o se pausó. Aquí está lo que \
             escribiste; si guardas otra vez, queda tu versión.",
        ));
    }
    Ok(())
}

/// Hold the campaign's row until the transaction ends.
pub(super) async fn lock(tx: &mut Tx<'_>, id: CampaignId) -> Result<()> {
    sqlx::query_scalar!("select id from campaigns where id = $1 for update", id.0)
        .fetch_optional(&mut **tx)
        .await?
        .map(|_| ())
        .ok_or(Error::NotFound)
}

/// Keep `source` as the campaign's next version. All versions share the name of the first.
async fn save_text(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    source: &Source,
) -> Result<()> {
    let named = sqlx::query_scalar!(
        "select t.name from campaigns c join message_templates t on t.id = c.template_id where c.id = $1",
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    let name = named.unwrap_or_else(|| format!("campaign:{id}"));
    let template = versions::save_version(tx, now, actor, Channel::Email, &name, source).await?;
    sqlx::query!("update campaigns set template_id = $2 where id = $1", id.0, template.0)
        .execute(&mut **tx)
        .await?;
    wordings::follow(tx, now, actor, id, source).await
}

fn refuse_problems(edit: &Edit) -> Result<()> {
    let problems = edit.problems();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn documents(edit: &Edit) -> Result<(serde_json::Value, Option<serde_json::Value>)> {
    let broken = |it: serde_json::Error| Error::Internal(it.to_string());
    let audience = serde_json::to_value(&edit.audience).map_err(broken)?;
    let hours = edit.business_hours.as_ref().map(serde_json::to_value).transpose().map_err(broken)?;
    Ok((audience, hours))
}

fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_back() {
        assert!(Status::ALL.iter().all(|it| Status::from_code(it.code()) == Some(*it)));
    }
}
