//! A new draft, or a template, from a campaign that there is, and the removal of a draft that never sent.

use super::{
    campaign::{self, Status},
    edit::{Edit, NAME},
    own_texts, variants,
};
use crate::{
    access::{Actor, Permission},
    audit,
    config::Config,
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, LibraryId},
    messaging::library::{self, Draft, Kind},
};
use chrono::{DateTime, Utc};
use serde_json::json;

/// Make a draft with the texts, the audience and the pace of `id`, whatever became of it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`] for a text that may not be saved again, or the database's.
pub async fn duplicate(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
) -> Result<CampaignId> {
    actor.require(Permission::EditCampaigns)?;
    let original = campaign::get(tx, id).await?;
    let name = format!("Copia de {}", original.name).chars().take(NAME).collect();
    let edit = Edit { name, ..Edit::of(&original) };
    let copy = campaign::create(tx, now, actor, &edit).await?;
    let plan = variants::plan(tx, id).await?;
    if !plan.variants.is_empty() {
        variants::save(tx, now, actor, copy, &plan).await?;
    }
    // The campaign's own text may have become what that of an industry said.
    let differs = |it: &own_texts::OwnText| it.source(&original.source) != original.source;
    for it in own_texts::of(tx, id).await?.into_iter().filter(differs) {
        own_texts::put(tx, now, actor, copy, &it.industry, &it.words).await?;
    }
    Ok(copy)
}

/// Keep the text of `id` as a template of the library, under the campaign's name.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`] for a text that is no whole template yet, or the database's.
pub async fn keep_text(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
) -> Result<LibraryId> {
    let campaign = campaign::get(tx, id).await?;
    let draft = Draft {
        kind: Kind::of(campaign.message_type),
        name: campaign.name.clone(),
        channel: campaign.channel,
        source: campaign.source.clone(),
    };
    library::create(tx, now, actor, config, &draft).await
}

/// Remove a draft. Nobody was written to by it, so nothing is lost but its words, which the audit keeps.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] once anything was sent, or the database's.
pub async fn delete(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, id: CampaignId) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    campaign::lock(tx, id).await?;
    let before = campaign::get(tx, id).await?;
    if before.status != Status::Draft {
        return Err(Error::refused(format!(
            "Esta campaña está «{}» y lo que envió queda en el registro: no se puede eliminar. No se cambió nada.",
            before.status.label().to_lowercase()
        )));
    }
    let was_tried = sqlx::query_scalar!(
        r#"select exists (select from communication_logs where campaign_id = $1) as "any!""#,
        id.0
    )
    .fetch_one(&mut **tx)
    .await?;
    if was_tried {
        return Err(Error::refused(
            "Ya enviaste una prueba de este borrador, y lo enviado queda en el registro: no se puede eliminar. Si no lo usarás, cancélalo.",
        ));
    }
    sqlx::query!("delete from campaigns where id = $1", id.0).execute(&mut **tx).await?;
    let change = audit::Change {
        action: "campaign.delete",
        subject_kind: "campaign",
        subject_id: Some(id.0),
        before: Some(json!({ "name": before.name, "source": before.source })),
        after: None,
    };
    audit::record(tx, now, actor, change).await
}
