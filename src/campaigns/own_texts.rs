//! Texts of a campaign for the people of one industry: another subject or first paragraph than everybody else gets. How
//! they are written, and the whole texts that come of them. Writes `campaign_own_texts`; who gets which is
//! `messaging::industry_texts`'s. An industry is told from another as everywhere: as companies have it, to the letter.

use super::{
    campaign::{self, Campaign, Status},
    variants::{self, Variant},
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::{CampaignId, TemplateId},
    messaging::{
        template::{self, Source},
        versions,
    },
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

/// Texts of industries of one campaign, at most.
pub const MOST: usize = 30;

/// Place of the first of them: those below are the campaign's own text and the ones that are tried.
const FIRST: i16 = 10;

/// The text of one industry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnText {
    /// As messages keep it; it stays while the text is there.
    pub place: i16,
    /// Whose it is.
    pub industry: String,
    /// What it changes of the campaign's own.
    pub words: Variant,
    /// The whole text.
    pub template: TemplateId,
}

impl OwnText {
    /// The whole text over `base`, or `base` where it changes a first paragraph that is not there any more.
    #[must_use]
    pub fn source(&self, base: &Source) -> Source {
        self.words.applied(base).unwrap_or_else(|| base.clone())
    }
}

/// What is wrong with `words` over the text `base` of the campaign, at which field.
#[must_use]
pub fn problems(words: &Variant, base: &Source) -> Vec<FieldError> {
    if words.is_empty() {
        return vec![FieldError::new("subject", "Escribe el asunto, el primer párrafo o los dos.")];
    }
    let Some(source) = words.applied(base) else {
        return vec![FieldError::new("opening", variants::NO_OPENING)];
    };
    if source == *base {
        return vec![FieldError::new("subject", "Dice lo mismo que el texto de la campaña: cambia algo.")];
    }
    // What the campaign's own text has wrong is told where that is written.
    let own = template::compile(base).err().unwrap_or_default();
    let found = template::compile(&source).err().unwrap_or_default().into_iter();
    found
        .filter(|it| !own.contains(it))
        .map(|it| FieldError::new(if it.field == "subject" { "subject" } else { "opening" }, it.message))
        .collect()
}

/// The texts of industries of the campaign `id`, by industry.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, id: CampaignId) -> Result<Vec<OwnText>> {
    let rows = sqlx::query!(
        "select place, industry, subject, opening, template_id from campaign_own_texts
         where campaign_id = $1 and removed_at is null order by industry",
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|it| OwnText {
            place: it.place,
            industry: it.industry,
            words: Variant { subject: it.subject, opening: it.opening },
            template: TemplateId(it.template_id),
        })
        .collect())
}

/// What the text of `industry` changes of the campaign's own; none: it has no text.
///
/// # Errors
/// When the database fails.
pub async fn words(db: &mut PgConnection, id: CampaignId, industry: &str) -> Result<Option<Variant>> {
    Ok(of(db, id).await?.into_iter().find(|it| it.industry == industry).map(|it| it.words))
}

/// The people of `industry` get `words` from now on, whatever they got before. Once the campaign was started, whom its
/// texts are for stays what it is.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], [`Error::Refused`] for a campaign that is no draft, tries
/// several texts or has as many as there may be, or the database's.
pub async fn put(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    industry: &str,
    words: &Variant,
) -> Result<()> {
    let campaign = open(tx, actor, id).await?;
    if !variants::plan(tx, id).await?.variants.is_empty() {
        return Err(Error::refused(
            "La campaña prueba varios textos en una parte de la audiencia, y no se puede además tener textos por rubro: \
             nadie sabría cuál ganó. Quita los textos en prueba primero. No se cambió nada.",
        ));
    }
    let words = Variant {
        subject: words.subject.trim().to_owned(),
        opening: words.opening.replace("\r\n", "\n").trim().to_owned(),
    };
    let problems = problems(&words, &campaign.source);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let all = of(tx, id).await?;
    let before = all.iter().find(|it| it.industry == industry);
    if before.is_none() && all.len() >= MOST {
        return Err(Error::refused(format!(
            "La campaña ya tiene textos para {MOST} rubros: quita uno antes de agregar otro. No se cambió nada."
        )));
    }
    let place = sqlx::query_scalar!(
        r#"select coalesce(max(place) filter (where industry = $2), (max(place) + 1)::smallint, $3) as "place!"
           from campaign_own_texts where campaign_id = $1"#,
        id.0,
        industry,
        FIRST
    )
    .fetch_one(&mut **tx)
    .await?;
    let source = words.applied(&campaign.source).unwrap_or_else(|| campaign.source.clone());
    let text = keep(tx, now, actor, (id, place), &source).await?;
    sqlx::query!(
        "insert into campaign_own_texts (campaign_id, place, industry, subject, opening, template_id)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (campaign_id, industry) do update
         set subject = excluded.subject, opening = excluded.opening, template_id = excluded.template_id,
             removed_at = null",
        id.0,
        place,
        industry,
        words.subject,
        words.opening,
        text.0
    )
    .execute(&mut **tx)
    .await?;
    touch(tx, now, id).await?;
    let before = before.map(|it| document(industry, &it.words));
    record(tx, now, actor, id, ("campaign.own_text", before, Some(document(industry, &words)))).await
}

/// The same for an industry that has no text yet, and that some company has.
///
/// # Errors
/// As [`put`]; [`Error::Invalid`] also for another industry.
pub async fn add(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    industry: &str,
    words: &Variant,
) -> Result<()> {
    // Held first, so that two who add at once do not write over each other.
    open(tx, actor, id).await?;
    let is_known = sqlx::query_scalar!(
        r#"select exists (select from companies where industry = $1) as "is!""#,
        industry
    )
    .fetch_one(&mut **tx)
    .await?;
    if industry.is_empty() || !is_known {
        return Err(Error::invalid("industry", "Elige un rubro de la lista."));
    }
    if of(tx, id).await?.iter().any(|it| it.industry == industry) {
        let said = format!("El rubro «{industry}» ya tiene su texto: cámbialo en la página de la campaña.");
        return Err(Error::invalid("industry", said));
    }
    put(tx, now, actor, id, industry, words).await
}

/// What a removal took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Whose text it was.
    pub industry: String,
    /// What it said, as [`put_back`] asks for it: not the words, which may name people.
    pub said: String,
}

/// What tells `words` from others.
fn said(words: &Variant) -> String {
    hex::encode(&Sha256::digest(json!(words).to_string())[..8])
}

/// The people of one industry get the campaign's own text again. [`put_back`] undoes it.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] for a campaign that is no draft, or the database's.
pub async fn remove(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    place: i16,
) -> Result<Removed> {
    open(tx, actor, id).await?;
    let gone = of(tx, id).await?.into_iter().find(|it| it.place == place).ok_or(Error::NotFound)?;
    sqlx::query!(
        "update campaign_own_texts set removed_at = $3 where campaign_id = $1 and place = $2",
        id.0,
        place,
        now
    )
    .execute(&mut **tx)
    .await?;
    touch(tx, now, id).await?;
    let before = document(&gone.industry, &gone.words);
    record(tx, now, actor, id, ("campaign.own_text_removal", Some(before), None)).await?;
    Ok(Removed { said: said(&gone.words), industry: gone.industry })
}

/// Put back the text at `place`, whose removal `took` it, over what the campaign says by now. Gives whose it is. One that
/// stands there again stays as it is.
///
/// # Errors
/// As [`put`]; [`Error::Refused`] also where the campaign says by now what the text said, and where another was written for
/// the industry since.
pub async fn put_back(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    (place, took): (i16, &str),
) -> Result<String> {
    open(tx, actor, id).await?;
    let gone = sqlx::query!(
        "select industry, subject, opening, removed_at from campaign_own_texts where campaign_id = $1 and place = $2",
        id.0,
        place
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(Error::NotFound)?;
    let words = Variant { subject: gone.subject, opening: gone.opening };
    if said(&words) != took {
        return Err(Error::refused(format!(
            "Ya no se puede deshacer: después de quitar ese texto se escribió otro para el rubro «{}». Sigue como está ahora.",
            gone.industry
        )));
    }
    if gone.removed_at.is_some() {
        put(tx, now, actor, id, &gone.industry, &words).await.map_err(|wrong| match wrong {
            Error::Invalid(fields) => Error::refused(format!(
                "El texto de «{}» no vuelve sobre el que la campaña tiene ahora. {}",
                gone.industry,
                fields.into_iter().map(|it| it.message).collect::<Vec<_>>().join(" ")
            )),
            other => other,
        })?;
    }
    Ok(gone.industry)
}

/// Hold the draft `id`, which `actor` may write.
async fn open(tx: &mut Tx<'_>, actor: &Actor, id: CampaignId) -> Result<Campaign> {
    actor.require(Permission::EditCampaigns)?;
    campaign::lock(tx, id).await?;
    let campaign = campaign::get(tx, id).await?;
    if campaign.status == Status::Draft {
        return Ok(campaign);
    }
    Err(Error::refused(format!(
        "{}, y los textos por rubro ya no cambian. No se cambió nada.",
        campaign.status.why_fixed()
    )))
}

/// Make the texts anew over `base`, which the campaign has from now on.
///
/// # Errors
/// [`Error::Invalid`] when one of them can't be, or the database's.
pub(super) async fn follow(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    base: &Source,
) -> Result<()> {
    for it in of(tx, id).await? {
        let Some(source) = it.words.applied(base) else {
            let said = format!(
                "El texto del rubro «{}» cambia el primer párrafo, y este cuerpo no tiene uno: escríbelo, o quita ese texto.",
                it.industry
            );
            return Err(Error::invalid("body", said));
        };
        let text = keep(tx, now, actor, (id, it.place), &source).await?;
        sqlx::query!(
            "update campaign_own_texts set template_id = $3 where campaign_id = $1 and place = $2",
            id.0,
            it.place,
            text.0
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn keep(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    (id, place): (CampaignId, i16),
    source: &Source,
) -> Result<TemplateId> {
    let name = format!("campaign:{id}:{place}");
    versions::save_version(tx, now, actor, Channel::Email, &name, source).await
}

/// Whoever has the draft open sees that it changed.
async fn touch(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<()> {
    sqlx::query!("update campaigns set updated_at = $2 where id = $1", id.0, now).execute(&mut **tx).await?;
    Ok(())
}

fn document(industry: &str, words: &Variant) -> Value {
    json!({ "industry": industry, "subject": words.subject, "opening": words.opening })
}

async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    (action, before, after): (&str, Option<Value>, Option<Value>),
) -> Result<()> {
    let change = audit::Change { action, subject_kind: "campaign", subject_id: Some(id.0), before, after };
    audit::record(tx, now, actor, change).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_field_is_named() {
        let base = Source { subject: "Hola".into(), body: "Uno.\n\nDos.".into(), ..Source::default() };
        let check = |subject: &str, opening: &str| {
            let words = Variant { subject: subject.into(), opening: opening.into() };
            problems(&words, &base).iter().map(|it| it.field).collect::<Vec<_>>()
        };
        assert_eq!(check("Otro", ""), Vec::<&str>::new());
        assert_eq!(check("", "Otro."), Vec::<&str>::new());
        assert_eq!(check(" ", "\n"), ["subject"]);
        assert_eq!(check("Hola", "Uno."), ["subject"]);
        assert_eq!(check("{{ nombre }}", ""), ["subject"]);
        assert_eq!(check("Otro", "{{ nada"), ["opening"]);
        let words = Variant { subject: String::new(), opening: "Otro.".into() };
        assert_eq!(problems(&words, &Source::default())[0].field, "opening");
    }

    #[test]
    fn what_is_wrong_with_the_campaigns_own_text_is_told_there() {
        let base = Source { subject: "Hola".into(), body: "Uno.\n\n{{ nada".into(), ..Source::default() };
        let words = Variant { subject: "Otro".into(), opening: String::new() };
        assert_eq!(problems(&words, &base), []);
    }
}
