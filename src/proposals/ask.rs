//! Asking for proposals: what would be sent, shown before anybody presses, and the request, within the month's budget.

use super::{
    Scope, by_itself, industry, known,
    prompt::{self, HINTS, TEXT, Whom},
    run::PAID,
    scrub,
};
use crate::{
    access::{Actor, Permission},
    audit,
    campaigns::{
        audience,
        campaign::{self, Campaign, Status},
    },
    chile::{comunas, text::tidy_lines},
    config::{Config, DeepSeek},
    contacts::vocabulary::Lifecycle,
    copywriter::{
        budget,
        calls::{self, About},
        deepseek::Question,
        standing,
        terms::Terms,
    },
    db::Tx,
    error::{Error, Result},
    ids::{CampaignId, ContactId},
    messaging::{plain_text, template::BodyFormat},
    settings,
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// Industries that are asked for at once, the largest.
pub const INDUSTRIES: i64 = 8;

/// For whom proposals are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Everybody at once.
    Campaign,
    /// Each industry of the audience by itself.
    Industries,
    /// One person, by facts that do not name them.
    Contact(ContactId),
}

impl Wish {
    fn scope(self) -> Scope {
        match self {
            Wish::Campaign => Scope::Campaign,
            Wish::Industries => Scope::Industry,
            Wish::Contact(_) => Scope::Contact,
        }
    }
}

/// One question, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Whom it is for, in words.
    pub about: String,
    /// The industry that it is for, as companies have it.
    pub industry: Option<String>,
    /// What is asked, word for word.
    pub prompt: String,
    /// The most that asking once may cost, in millionths of a peso.
    pub most: i64,
    /// The answer is there already: nothing would be sent.
    pub is_cached: bool,
}

/// What would be sent for `wish`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is said with every question.
    pub instructions: String,
    /// Each question.
    pub questions: Vec<Prepared>,
    /// The campaign's text was longer than what is sent.
    pub is_cut: bool,
}

impl Plan {
    /// The most that all of it may cost, in millionths of a peso: each question is repeated once where its answer is blank.
    #[must_use]
    pub fn most(&self) -> i64 {
        self.questions.iter().filter(|it| !it.is_cached).map(|it| it.most * i64::from(PAID)).sum()
    }
}

/// What would be sent to propose texts for `campaign`.
///
/// # Errors
/// [`Error::Refused`] when there is nothing to ask, or the database's.
pub async fn plan(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    campaign: &Campaign,
    wish: Wish,
    hints: &str,
) -> Result<Plan> {
    let terms: Terms = settings::load(&mut *db, &config.first_values).await?;
    let text = text_of(&mut *db, campaign).await?;
    if text.is_empty() && campaign.source.subject.trim().is_empty() {
        return Err(Error::refused(
            "El borrador aún no tiene asunto ni texto, y las propuestas salen de ahí. Escríbelo primero y vuelve a pedirlas.",
        ));
    }
    let hints = tidy_lines(hints);
    let all = whom(&mut *db, now, campaign, wish).await?;
    let industries = all.iter().filter_map(|it| match it {
        Whom::Industry(industry) | Whom::Person { industry, .. } => Some(industry.as_str()),
        Whom::All => None,
    });
    let sent = [campaign.source.subject.as_str(), &text, &hints];
    let texts: Vec<&str> = sent.into_iter().chain(industries).collect();
    let known = known::of(&mut *db, &config.first_values, &texts).await?;
    let clean = |text: &str| scrub::scrubbed(text, &known);
    let (subject, text, hints) = (clean(&campaign.source.subject), clean(&text), clean(&hints));
    // Only now: half an address or half a name would not be known for one.
    let ((text, is_cut), (hints, _)) = (scrub::cut(&text, TEXT), scrub::cut(&hints, HINTS));
    let instructions = prompt::instructions();
    let mut questions = Vec::new();
    for whom in all {
        let mut of = None;
        let whom = match whom {
            Whom::All => Whom::All,
            Whom::Industry(industry) => {
                let cleaned = clean(&industry);
                of = Some(industry);
                Whom::Industry(cleaned)
            }
            Whom::Person { industry, comuna, lifecycle } => {
                Whom::Person { industry: clean(&industry), comuna, lifecycle }
            }
        };
        let prompt = prompt::prompt(&whom, &subject, text, hints);
        let is_cached = match &config.deepseek {
            Some(deepseek) => {
                let about = about(deepseek, &terms, campaign.id, &instructions, &prompt);
                calls::cached(&mut *db, now, &terms, about).await?.is_some()
            }
            None => false,
        };
        let most = terms.most(&instructions, &prompt);
        questions.push(Prepared { about: whom.label(), industry: of, prompt, most, is_cached });
    }
    Ok(Plan { instructions, questions, is_cut })
}

/// A question of a campaign's, in nobody's name.
fn about<'a>(
    deepseek: &'a DeepSeek,
    terms: &Terms,
    campaign: CampaignId,
    instructions: &'a str,
    prompt: &'a str,
) -> About<'a> {
    About {
        campaign,
        model: &deepseek.model,
        question: Question { instructions, prompt, max_tokens: terms.max_tokens },
        asked_by: None,
        asked_by_name: "",
    }
}

/// Ask for proposals. What is asked for already and has no answer yet is not asked for twice. How many were asked for.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] for a campaign that is no draft, while the provider is not
/// called, with nothing to ask, or beyond the budget; or the database's.
pub async fn ask(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    config: &Config,
    id: CampaignId,
    wish: Wish,
    hints: &str,
) -> Result<usize> {
    actor.require(Permission::EditCampaigns)?;
    campaign::hold(tx, id, None).await?;
    let campaign = campaign::get(tx, id).await?;
    if campaign.status != Status::Draft {
        return Err(Error::refused(format!(
            "{}, así que no se pidieron propuestas: se piden mientras es un borrador.",
            campaign.status.why_fixed()
        )));
    }
    if let Some(why) = standing::of(&mut **tx, config).await?.why_off() {
        return Err(Error::refused(why));
    }
    let Some(deepseek) = &config.deepseek else { return Ok(0) };
    let terms: Terms = settings::load(&mut **tx, &config.first_values).await?;
    let plan = plan(&mut *tx, now, config, &campaign, wish, hints).await?;
    let mut asked = Vec::new();
    for it in &plan.questions {
        let hash = about(deepseek, &terms, id, &plan.instructions, &it.prompt).hash();
        let is_open = sqlx::query_scalar!(
            r#"select exists (select from copy_requests
                   where campaign_id = $1 and prompt_hash = $2 and status in ('PENDING', 'RUNNING')) as "is!""#,
            id.0,
            hash
        )
        .fetch_one(&mut **tx)
        .await?;
        if is_open {
            continue;
        }
        let reserved = if it.is_cached { 0 } else { it.most * i64::from(PAID) };
        if reserved > 0 {
            budget::bear(tx, now, &terms, reserved).await?;
        }
        let replaces = by_itself::digest_of_replaced(&mut *tx, &campaign, it.industry.as_deref()).await?;
        sqlx::query!(
            "insert into copy_requests (campaign_id, scope, about, instructions, prompt, prompt_hash, max_tokens,
                 most_micro, reserved_micro, next_attempt_at, created_at, created_by, created_by_name, industry, replaces)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14)",
            id.0,
            wish.scope().code(),
            it.about,
            plan.instructions,
            it.prompt,
            hash,
            i32::try_from(terms.max_tokens).unwrap_or(i32::MAX),
            it.most,
            reserved,
            now,
            actor.staff_id().map(|it| it.0),
            actor.label(),
            it.industry.as_deref().map(industry::digest),
            replaces
        )
        .execute(&mut **tx)
        .await?;
        asked.push(it.about.as_str());
    }
    if !asked.is_empty() {
        let change = audit::Change {
            action: "proposal.ask",
            subject_kind: "campaign",
            subject_id: Some(id.0),
            before: None,
            after: Some(json!({ "about": asked })),
        };
        audit::record(tx, now, actor, change).await?;
    }
    Ok(asked.len())
}

/// The campaign's text as a reader sees it, variables in their braces, without its legal footer.
async fn text_of(db: &mut PgConnection, campaign: &Campaign) -> Result<String> {
    let source = &campaign.source;
    let text = match (source.body_format, campaign.template) {
        (BodyFormat::Text, _) | (_, None) => source.body.clone(),
        (BodyFormat::Html, _) => plain_text::from_html(&source.body),
        (BodyFormat::Mjml | BodyFormat::Blocks, Some(template)) => {
            sqlx::query_scalar!("select plain from message_templates where id = $1", template.0)
                .fetch_one(db)
                .await?
                .unwrap_or_default()
        }
    };
    Ok(tidy_lines(&text))
}

/// Those for whom `wish` asks.
async fn whom(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
    wish: Wish,
) -> Result<Vec<Whom>> {
    match wish {
        Wish::Campaign => Ok(vec![Whom::All]),
        Wish::Industries => {
            let all = audience::industries(db, now, &campaign.audience, INDUSTRIES).await?;
            if all.is_empty() {
                return Err(Error::refused(
                    "Nadie de la audiencia trabaja en una empresa con rubro, así que no hay por qué rubros pedir. Pide \
                     propuestas para toda la campaña.",
                ));
            }
            Ok(all.into_iter().map(|it| Whom::Industry(it.value)).collect())
        }
        Wish::Contact(contact) => {
            let it = sqlx::query!(
                r#"select coalesce(k.industry, '') as "industry!", coalesce(k.comuna, c.comuna) as comuna, c.lifecycle
                   from contacts c left join companies k on k.id = c.company_id where c.id = $1 and c.merged_into is null"#,
                contact.0
            )
            .fetch_optional(db)
            .await?
            .ok_or_else(|| Error::refused("Esa persona ya no está en la base. No se pidió nada: elige a otra."))?;
            Ok(vec![Whom::Person {
                industry: it.industry,
                comuna: it.comuna.as_deref().map_or("", comunas::name).to_owned(),
                lifecycle: Lifecycle::from_code(&it.lifecycle).unwrap_or(Lifecycle::Lead),
            }])
        }
    }
}
