//! What people decide on a proposal: the draft takes it, as it is or as they edit it, or they want none of it.

use super::industry;
use crate::{
    access::{Actor, Permission},
    audit,
    campaigns::{
        campaign::{self, Campaign, Status},
        edit::Edit,
        own_texts,
        variants::{self, Variant},
    },
    chile::text::{tidy, tidy_lines},
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, ProposalId},
    messaging::{opening, template::BodyFormat},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What of a proposal the draft takes, as edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Its subject; none: the draft keeps its own.
    pub subject: Option<String>,
    /// Its opening; none: the draft keeps its own.
    pub opening: Option<String>,
    /// For whom.
    pub for_whom: ForWhom,
}

/// Whom a text is for that the draft takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForWhom {
    /// Everybody: it replaces the draft's own.
    #[default]
    All,
    /// A part of them: the draft keeps its text, and tries this one beside it.
    Some,
    /// The people of the industry that it was asked for: the others get the draft's own.
    Industry,
}

/// `edit` with what was chosen as its subject and first paragraph.
///
/// # Errors
/// [`Error::Refused`] when the text has no first paragraph to be found.
pub fn adopted(edit: Edit, chosen: &Chosen) -> Result<Edit> {
    let mut source = edit.source.clone();
    if let Some(subject) = &chosen.subject {
        source.subject = subject.clone();
    }
    if let Some(text) = &chosen.opening {
        source = opening::replaced(&source, text).ok_or_else(|| {
            let format = if source.body_format == BodyFormat::Blocks { "los bloques" } else { source.body_format.label() };
            Error::refused(format!(
                "No encontramos cuál es el primer párrafo en {format} de este borrador, así que no se cambió nada. Aprueba \
                 solo el asunto, o copia el comienzo a mano en el editor."
            ))
        })?;
    }
    Ok(Edit { source, ..edit })
}

/// Where a proposal enters a campaign, and the only place where it does: `draft`, which the caller holds, takes what is
/// `chosen`, for the people of `industry` where it is for them alone.
///
/// # Errors
/// [`Error::Refused`] and [`Error::Invalid`] where the draft can't take it, or the database's.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    draft: &Campaign,
    chosen: &Chosen,
    industry: Option<&str>,
) -> Result<()> {
    match chosen.for_whom {
        ForWhom::All => {
            let edit = adopted(Edit::of(draft), chosen)?;
            campaign::update(tx, now, actor, config, draft.id, &edit).await
        }
        ForWhom::Some => {
            let variant = Variant {
                subject: chosen.subject.clone().unwrap_or_default(),
                opening: chosen.opening.clone().unwrap_or_default(),
            };
            variants::add(tx, now, actor, draft.id, variant).await
        }
        ForWhom::Industry => {
            let industry = industry.ok_or_else(|| {
                Error::refused(
                    "Esa propuesta no se pidió para un rubro, o ninguna empresa lo tiene ya. No se cambió nada.",
                )
            })?;
            let had = own_texts::words(tx, draft.id, industry).await?.unwrap_or_default();
            let words = Variant {
                subject: chosen.subject.clone().unwrap_or(had.subject),
                opening: chosen.opening.clone().unwrap_or(had.opening),
            };
            own_texts::put(tx, now, actor, draft.id, industry, &words).await
        }
    }
}

struct Open {
    campaign: CampaignId,
    about: String,
    industry: Option<String>,
    subject: String,
    opening: String,
}

/// Hold a proposal of `campaign` that nobody has decided.
async fn open(tx: &mut Tx<'_>, campaign: CampaignId, id: ProposalId) -> Result<Open> {
    let it = sqlx::query!(
        "select p.subject, p.opening, p.status, p.problem, p.decided_by_name, r.about, r.industry
         from copy_proposals p join copy_requests r on r.id = p.request_id
         where p.id = $1 and r.campaign_id = $2 for update of p",
        id.0,
        campaign.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    match it.status.as_str() {
        "PROPOSED" => Ok(Open {
            campaign,
            about: it.about,
            industry: match it.industry {
                Some(digest) => industry::named(tx, campaign, &digest).await?,
                None => None,
            },
            subject: it.subject,
            opening: it.opening,
        }),
        "UNUSABLE" => Err(Error::refused(format!(
            "Esa propuesta no se puede usar, y no se cambió nada. {}",
            it.problem.unwrap_or_default()
        ))),
        _ => Err(Error::refused(format!(
            "{} ya decidió sobre esa propuesta. No se cambió nada.",
            it.decided_by_name.unwrap_or_else(|| "Alguien".to_owned())
        ))),
    }
}

/// The draft takes what is `chosen` of the proposal, if it is still as it was `seen`.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`], or the database's.
pub async fn approve(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    (campaign, id): (CampaignId, ProposalId),
    seen: DateTime<Utc>,
    chosen: Chosen,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    match campaign::hold(tx, campaign, Some(seen)).await {
        Err(Error::Invalid(_)) => {
            return Err(Error::refused(
                "El borrador cambió mientras mirabas las propuestas, así que no se cambió nada. Mira de nuevo qué \
                 reemplaza y vuelve a aprobarla.",
            ));
        }
        held => held?,
    }
    let open = open(tx, campaign, id).await?;
    let draft = campaign::get(tx, campaign).await?;
    if draft.status != Status::Draft {
        let elsewhere = if draft.status.is_live() { " Puedes editarlo en la campaña." } else { "" };
        return Err(Error::refused(format!(
            "{}, así que su texto no se cambió desde aquí.{elsewhere}",
            draft.status.why_fixed()
        )));
    }
    let chosen = Chosen {
        subject: chosen.subject.map(|it| tidy(&it)),
        opening: chosen.opening.map(|it| tidy_lines(&it)),
        ..chosen
    };
    if chosen.subject.is_none() && chosen.opening.is_none() {
        return Err(Error::refused("Marca el asunto, el comienzo o los dos. No se cambió nada."));
    }
    if [&chosen.subject, &chosen.opening].into_iter().flatten().any(String::is_empty) {
        return Err(Error::refused(
            "Lo que apruebas está en blanco. No se cambió nada: escríbelo o desmárcalo.",
        ));
    }
    match enter(tx, now, actor, config, &draft, &chosen, open.industry.as_deref()).await {
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            return Err(Error::refused(format!("No se cambió nada. {}", said.join(" "))));
        }
        updated => updated?,
    }
    let beside = chosen.for_whom == ForWhom::Some;
    let for_industry = chosen.for_whom == ForWhom::Industry;
    sqlx::query!(
        "update copy_proposals set status = 'APPROVED', used_subject = $2, used_opening = $3, decided_at = $4,
             decided_by = $5, decided_by_name = $6, tried_beside = $7, for_industry = $8
         where id = $1 and status = 'PROPOSED'",
        id.0,
        chosen.subject,
        chosen.opening,
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        beside,
        for_industry
    )
    .execute(&mut **tx)
    .await?;
    let after = json!({
        "subject": chosen.subject, "opening": chosen.opening, "tried_beside": beside,
        "industry": open.industry.as_ref().filter(|_| for_industry),
    });
    record(tx, now, actor, ("proposal.approve", id), &open, Some(after)).await
}

/// Want none of the proposal.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] when it was decided, or the database's.
pub async fn refuse(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    (campaign, id): (CampaignId, ProposalId),
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    let open = open(tx, campaign, id).await?;
    sqlx::query!(
        "update copy_proposals set status = 'REFUSED', decided_at = $2, decided_by = $3, decided_by_name = $4
         where id = $1 and status = 'PROPOSED'",
        id.0,
        now,
        actor.staff_id().map(|it| it.0),
        actor.label()
    )
    .execute(&mut **tx)
    .await?;
    record(tx, now, actor, ("proposal.refuse", id), &open, None).await
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    (action, id): (&str, ProposalId),
    open: &Open,
    after: Option<Value>,
) -> Result<()> {
    let before = json!({
        "campaign_id": open.campaign, "about": open.about, "subject": open.subject, "opening": open.opening,
    });
    let change = audit::Change {
        action,
        subject_kind: "proposal",
        subject_id: Some(id.0),
        before: Some(before),
        after,
    };
    audit::record(tx, now, actor, change).await
}
