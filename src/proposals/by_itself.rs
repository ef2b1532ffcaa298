//! What the draft takes without anybody looking at it, where the business has chosen not to look first: of what comes, the
//! first that nothing speaks against, in the name of who asked. Never over what a person wrote since they asked, never
//! once the campaign was started, never what was asked for one person; and it can be taken back.

use super::{
    decide::{self, Chosen, ForWhom},
    industry,
};
use crate::{
    access::{Actor, Permission},
    audit,
    campaigns::{
        campaign::{self, Campaign, Status},
        edit::Edit,
        own_texts::{self, OwnText},
        variants::Variant,
    },
    config::Config,
    copywriter::terms::Terms,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, ProposalId, TemplateId},
    messaging::{opening, versions},
    settings,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};

/// What taking a proposal back restores, and what must stand there until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PutBack {
    /// Versions of the campaign's own text.
    Text { before: TemplateId, after: TemplateId },
    /// Texts of an industry, at a place; none: it had none.
    Own { place: i16, before: Option<Variant>, after: Variant },
}

/// What a proposal for `industry`, or for everybody, would replace of `draft`, as it stands; none: an industry has no text.
async fn replaced(
    db: &mut PgConnection,
    draft: &Campaign,
    industry: Option<&str>,
) -> Result<Option<Variant>> {
    Ok(match industry {
        Some(industry) => own_texts::words(db, draft.id, industry).await?,
        None => Some(Variant {
            subject: draft.source.subject.clone(),
            opening: opening::of(&draft.source).unwrap_or_default(),
        }),
    })
}

fn digest(words: Option<&Variant>) -> Vec<u8> {
    Sha256::digest(json!(words).to_string()).to_vec()
}

/// By what is known again whether somebody wrote since proposals for `industry`, or for everybody, were asked for: the
/// SHA-256 of what one of them would replace of `draft`.
///
/// # Errors
/// When the database fails.
pub(super) async fn digest_of_replaced(
    db: &mut PgConnection,
    draft: &Campaign,
    industry: Option<&str>,
) -> Result<Vec<u8>> {
    Ok(digest(replaced(db, draft, industry).await?.as_ref()))
}

/// A proposal that the draft may take.
struct Candidate {
    campaign: CampaignId,
    industry: Option<String>,
    replaces: Vec<u8>,
    created_by: Option<i64>,
    created_by_name: String,
    proposal: ProposalId,
    subject: String,
    opening: String,
}

/// Of what came for the request `id`, the draft takes the first that nothing speaks against, unless the business wants to
/// look first. Whatever keeps it from that leaves all of it to a person.
///
/// # Errors
/// When the database fails.
pub(super) async fn take(db: &mut PgConnection, now: DateTime<Utc>, config: &Config, id: i64) -> Result<()> {
    let terms: Terms = settings::load(&mut *db, &config.first_values).await?;
    if terms.review_first {
        return Ok(());
    }
    let Some(it) = candidate(&mut *db, id).await? else { return Ok(()) };
    let mut tx = db.begin().await?;
    // The campaign first, as everybody who decides on a proposal does.
    match campaign::hold(&mut tx, it.campaign, None).await {
        Err(Error::NotFound) => return Ok(()),
        held => held?,
    }
    let draft = campaign::get(&mut tx, it.campaign).await?;
    let asker = Actor::asking(&mut *tx, it.created_by, &it.created_by_name).await;
    let actor = match asker.and_then(|it| it.require(Permission::EditCampaigns).map(|()| it)) {
        Err(Error::Forbidden) => return Ok(()),
        may => may?,
    };
    let industry = it.industry.as_deref();
    let before = replaced(&mut tx, &draft, industry).await?;
    if draft.status != Status::Draft || digest(before.as_ref()) != it.replaces {
        return Ok(());
    }
    let chosen = Chosen {
        subject: Some(it.subject.clone()),
        opening: Some(it.opening.clone()),
        for_whom: if industry.is_some() { ForWhom::Industry } else { ForWhom::All },
    };
    // What is refused halfway leaves nothing behind: the transaction ends here.
    match decide::enter(&mut tx, now, &actor, config, &draft, &chosen, industry).await {
        Err(Error::Refused(_) | Error::Invalid(_)) => return Ok(()),
        entered => entered?,
    }
    let put_back = put_back(&mut tx, &draft, &it, before).await?;
    let taken = sqlx::query!(
        "update copy_proposals set status = 'APPROVED', used_subject = subject, used_opening = opening, decided_at = $2,
             decided_by = $3, decided_by_name = $4, for_industry = $5, taken_by_itself = true, put_back = $6
         where id = $1 and status = 'PROPOSED'",
        it.proposal.0,
        now,
        actor.staff_id().map(|it| it.0),
        actor.label(),
        industry.is_some(),
        json!(put_back)
    )
    .execute(&mut *tx)
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(());
    }
    let before = json!({ "campaign_id": it.campaign });
    let after = json!({ "subject": it.subject, "opening": it.opening, "industry": industry });
    record(&mut tx, now, &actor, ("proposal.take", it.proposal), (before, Some(after))).await?;
    tx.commit().await?;
    Ok(())
}

async fn candidate(db: &mut PgConnection, id: i64) -> Result<Option<Candidate>> {
    let found = sqlx::query!(
        r#"select r.campaign_id, r.industry, r.replaces as "replaces!", r.created_by, r.created_by_name, p.id, p.subject, p.opening
           from copy_requests r join copy_proposals p on p.request_id = r.id
           where r.id = $1 and r.status = 'DONE' and r.replaces is not null
             and (r.scope = 'CAMPAIGN' or r.scope = 'INDUSTRY' and r.industry is not null)
             and p.status = 'PROPOSED' and p.caution is null
           order by p.position limit 1"#,
        id
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(it) = found else { return Ok(None) };
    let campaign = CampaignId(it.campaign_id);
    let industry = match it.industry {
        Some(digest) => match industry::named(db, campaign, &digest).await? {
            // No company has it any more: its people are nobody.
            None => return Ok(None),
            known => known,
        },
        None => None,
    };
    Ok(Some(Candidate {
        campaign,
        industry,
        replaces: it.replaces,
        created_by: it.created_by,
        created_by_name: it.created_by_name,
        proposal: ProposalId(it.id),
        subject: it.subject,
        opening: it.opening,
    }))
}

/// What was there before `it` entered, of `draft` as it was then.
async fn put_back(
    tx: &mut Tx<'_>,
    draft: &Campaign,
    it: &Candidate,
    before: Option<Variant>,
) -> Result<PutBack> {
    let lost = || Error::Internal(format!("the text that campaign {} took is not there", it.campaign));
    match &it.industry {
        None => {
            let after = campaign::get(tx, it.campaign).await?.template.ok_or_else(lost)?;
            Ok(PutBack::Text { before: draft.template.ok_or_else(lost)?, after })
        }
        Some(industry) => {
            let all = own_texts::of(tx, it.campaign).await?;
            let text = all.into_iter().find(|text| text.industry == *industry).ok_or_else(lost)?;
            Ok(PutBack::Own { place: text.place, before, after: text.words })
        }
    }
}

/// Take back what the draft took by itself: the text before it stands there again, and the proposal waits for a person.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] for one that was not taken so, once somebody changed the
/// text since, or once the campaign was started; or the database's.
pub async fn take_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    (id, proposal): (CampaignId, ProposalId),
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    campaign::hold(tx, id, None).await?;
    let it = sqlx::query!(
        "select p.put_back, r.about, r.industry, p.used_subject, p.used_opening
         from copy_proposals p join copy_requests r on r.id = p.request_id
         where p.id = $1 and r.campaign_id = $2 for update of p",
        proposal.0,
        id.0
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let Some(put_back) = it.put_back else {
        return Err(Error::refused(
            "Esa propuesta no está en el borrador por sí sola, o ya se quitó. No se cambió nada.",
        ));
    };
    let draft = campaign::get(tx, id).await?;
    if draft.status != Status::Draft {
        return Err(Error::refused(format!(
            "{}, así que su texto no se cambió desde aquí.",
            draft.status.why_fixed()
        )));
    }
    let put_back: PutBack = serde_json::from_value(put_back)
        .map_err(|_| Error::Internal(format!("what proposal {proposal} replaced can't be read")))?;
    let restored = restore(tx, now, actor, config, &draft, (put_back, it.industry.as_deref())).await;
    // What stood there before may be no text by now.
    restored.map_err(|error| match error {
        Error::Invalid(wrong) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            Error::refused(format!("No se quitó. {}", said.join(" ")))
        }
        error => error,
    })?;
    sqlx::query!(
        "update copy_proposals set status = 'PROPOSED', used_subject = null, used_opening = null, decided_at = null,
             decided_by = null, decided_by_name = null, for_industry = false, taken_by_itself = false, put_back = null
         where id = $1",
        proposal.0
    )
    .execute(&mut **tx)
    .await?;
    let before = json!({
        "campaign_id": id, "subject": it.used_subject, "opening": it.used_opening, "about": it.about,
    });
    record(tx, now, actor, ("proposal.take_back", proposal), (before, None)).await
}

async fn restore(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    draft: &Campaign,
    (put_back, of): (PutBack, Option<&[u8]>),
) -> Result<()> {
    let changed = || {
        Error::refused(
            "Alguien cambió ese texto después de que el borrador lo tomara, así que no se tocó: cámbialo a mano.",
        )
    };
    match put_back {
        PutBack::Text { before, after } => {
            if draft.template != Some(after) {
                return Err(changed());
            }
            let (source, _) = versions::version(tx, before).await?;
            let edit = Edit { source, ..Edit::of(draft) };
            campaign::update(tx, now, actor, config, draft.id, &edit).await
        }
        PutBack::Own { place, before, after } => {
            let all = own_texts::of(tx, draft.id).await?;
            // Only what the proposal wrote, and as it wrote it, is taken back.
            let is_it = |it: &OwnText| {
                it.place == place
                    && it.words == after
                    && Some(industry::digest(&it.industry).as_slice()) == of
            };
            let now_there = all.into_iter().find(is_it);
            let text = now_there.ok_or_else(changed)?;
            match before {
                Some(words) => own_texts::put(tx, now, actor, draft.id, &text.industry, &words).await,
                None => own_texts::remove(tx, now, actor, draft.id, place).await.map(drop),
            }
        }
    }
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    (action, id): (&str, ProposalId),
    (before, after): (Value, Option<Value>),
) -> Result<()> {
    let change = audit::Change {
        action,
        subject_kind: "proposal",
        subject_id: Some(id.0),
        before: Some(before),
        after,
    };
    audit::record(tx, now, actor, change).await
}
