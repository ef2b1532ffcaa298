//! Other subjects and first paragraphs of a campaign, to be tried on a sample of its people: how they are written, and
//! the whole texts that come of them. Writes `campaign_variants`; who wins is [`super::contest`]'s.

use super::{
    campaign::{self, Status},
    own_texts,
};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    db::Tx,
    error::{Error, FieldError, Result},
    ids::{CampaignId, TemplateId},
    messaging::{
        opening,
        template::{self, Source},
        versions,
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

/// Texts beside the campaign's own, at most.
pub const MOST: usize = 3;

/// What is said of another first paragraph where the campaign's text has none.
pub(super) const NO_OPENING: &str =
    "El cuerpo de la campaña no tiene un primer párrafo que se pueda cambiar.";

/// Fields of the form, by place.
const SUBJECTS: [&str; MOST] = ["subject_1", "subject_2", "subject_3"];
const OPENINGS: [&str; MOST] = ["opening_1", "opening_2", "opening_3"];

/// By what the winner is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Measure {
    /// People who followed a link.
    #[default]
    Clicks,
    /// People who opened it.
    Opens,
    /// People who answered.
    Replies,
}

impl Measure {
    /// Each of them.
    pub const ALL: [Measure; 3] = [Measure::Clicks, Measure::Opens, Measure::Replies];

    /// As stored.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Measure::Clicks => "CLICKS",
            Measure::Opens => "OPENS",
            Measure::Replies => "REPLIES",
        }
    }

    /// From the stored code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Measure> {
        Measure::ALL.into_iter().find(|it| it.code() == code)
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Measure::Clicks => "clics de personas",
            Measure::Opens => "aperturas de personas",
            Measure::Replies => "respuestas",
        }
    }
}

/// What another text changes. Empty: as the campaign has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Variant {
    /// Subject.
    pub subject: String,
    /// First paragraph, plain text with variables.
    pub opening: String,
}

impl Variant {
    pub(super) fn is_empty(&self) -> bool {
        self.subject.trim().is_empty() && self.opening.trim().is_empty()
    }

    /// The whole text that comes of it; none: it changes a first paragraph that `base` does not have.
    pub(super) fn applied(&self, base: &Source) -> Option<Source> {
        let mut source = match self.opening.trim() {
            "" => base.clone(),
            opening => opening::replaced(base, opening)?,
        };
        if !self.subject.trim().is_empty() {
            self.subject.trim().clone_into(&mut source.subject);
        }
        Some(source)
    }
}

/// What is tried, on how many, and how the winner is found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// Texts beside the campaign's own; none: it has one text.
    pub variants: Vec<Variant>,
    /// Of its people, who are in the sample.
    pub percent: u32,
    /// By what the winner is found.
    pub by: Measure,
    /// Hours after the first of the sample left.
    pub hours: u32,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { variants: Vec::new(), percent: 20, by: Measure::default(), hours: 24 }
    }
}

impl Plan {
    /// The whole texts, the campaign's own first; of two that are alike, both.
    #[must_use]
    pub fn sources(&self, base: &Source) -> Vec<Source> {
        let others = self.variants.iter().map(|it| it.applied(base).unwrap_or_else(|| base.clone()));
        std::iter::once(base.clone()).chain(others).collect()
    }

    /// Personal variables that one of the texts can't do without: who lacks any of them gets none, so that each
    /// text is tried on the same kind of people.
    #[must_use]
    pub fn required(&self, base: &Source) -> Vec<&'static str> {
        let mut all: Vec<&'static str> = Vec::new();
        for source in self.sources(base) {
            for name in template::compile(&source).map(|it| it.required()).unwrap_or_default() {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        all
    }

    /// What is wrong at which field, over the text of the campaign.
    #[must_use]
    pub fn problems(&self, base: &Source) -> Vec<FieldError> {
        let mut found = Vec::new();
        if !(1..=90).contains(&self.percent) {
            found.push(FieldError::new("percent", "Escribe un porcentaje entre 1 y 90."));
        }
        if !(1..=720).contains(&self.hours) {
            found.push(FieldError::new("hours", "Escribe un número de horas entre 1 y 720."));
        }
        if self.variants.len() > MOST {
            found.push(FieldError::new("subject_1", "Se prueban a lo más cuatro textos."));
        }
        let sources = self.sources(base);
        for (n, variant) in self.variants.iter().enumerate().take(MOST) {
            if variant.applied(base).is_none() {
                found.push(FieldError::new(OPENINGS[n], NO_OPENING));
                continue;
            }
            if sources[..=n].contains(&sources[n + 1]) {
                let said = format!("El texto {} dice lo mismo que otro: cambia algo.", letter(n + 1));
                found.push(FieldError::new(SUBJECTS[n], said));
            }
            // What the campaign's own text has wrong is told where that is written.
            let own = template::compile(base).err().unwrap_or_default();
            for it in template::compile(&sources[n + 1]).err().unwrap_or_default() {
                if !own.contains(&it) {
                    let field = if it.field == "subject" { SUBJECTS[n] } else { OPENINGS[n] };
                    found.push(FieldError::new(field, it.message));
                }
            }
        }
        found
    }
}

/// As people call the text at `place`: A is the campaign's own.
#[must_use]
pub fn letter(place: usize) -> char {
    match place {
        0 => 'A',
        1 => 'B',
        2 => 'C',
        _ => 'D',
    }
}

/// The plan of a campaign; one without other texts where it has none.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn plan(db: &mut PgConnection, id: CampaignId) -> Result<Plan> {
    let it = sqlx::query!(
        "select sample_percent, winner_by, winner_after_hours from campaigns where id = $1",
        id.0
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Error::NotFound)?;
    let Some((percent, hours)) = it.sample_percent.zip(it.winner_after_hours) else {
        return Ok(Plan::default());
    };
    let variants = sqlx::query_as!(
        Variant,
        "select subject, opening from campaign_variants where campaign_id = $1 order by place",
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(Plan {
        variants,
        percent: u32::try_from(percent).unwrap_or_default(),
        by: it.winner_by.as_deref().and_then(Measure::from_code).unwrap_or_default(),
        hours: u32::try_from(hours).unwrap_or_default(),
    })
}

/// The versions of the texts beside the campaign's own, as they stand.
///
/// # Errors
/// When the database fails.
pub(super) async fn templates(db: &mut PgConnection, id: CampaignId) -> Result<Vec<TemplateId>> {
    let ids = sqlx::query_scalar!(
        "select template_id from campaign_variants where campaign_id = $1 order by place",
        id.0
    )
    .fetch_all(db)
    .await?;
    Ok(ids.into_iter().map(TemplateId).collect())
}

/// Set what a draft tries. Once it was started, its texts stay what they are, for what is compared must not change.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`], [`Error::Refused`] once it was started, or the database's.
pub async fn save(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    plan: &Plan,
) -> Result<()> {
    actor.require(Permission::EditCampaigns)?;
    campaign::lock(tx, id).await?;
    let campaign = campaign::get(tx, id).await?;
    if campaign.status != Status::Draft {
        return Err(Error::refused(format!(
            "{}, y los textos que se comparan ya no cambian. No se cambió nada.",
            campaign.status.why_fixed()
        )));
    }
    let written = plan.variants.iter().filter(|it| !it.is_empty()).cloned().collect();
    let plan = Plan { variants: written, ..plan.clone() };
    if !plan.variants.is_empty() && !own_texts::of(tx, id).await?.is_empty() {
        return Err(Error::refused(
            "La campaña tiene textos por rubro, y no se puede además probar varios: nadie sabría cuál ganó. Quita los \
             textos por rubro primero. No se cambió nada.",
        ));
    }
    let problems = plan.problems(&campaign.source);
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let before = self::plan(tx, id).await?;
    sqlx::query!("delete from campaign_variants where campaign_id = $1", id.0).execute(&mut **tx).await?;
    let sources = plan.sources(&campaign.source);
    for (n, variant) in plan.variants.iter().enumerate() {
        let text = keep(tx, now, actor, id, n + 1, &sources[n + 1]).await?;
        sqlx::query!(
            "insert into campaign_variants (campaign_id, place, subject, opening, template_id) values ($1, $2, $3, $4, $5)",
            id.0,
            i16::try_from(n + 1).unwrap_or(i16::MAX),
            variant.subject.trim(),
            variant.opening.trim(),
            text.0
        )
        .execute(&mut **tx)
        .await?;
    }
    let tries = !plan.variants.is_empty();
    sqlx::query!(
        "update campaigns set sample_percent = $2, winner_by = $3, winner_after_hours = $4, updated_at = $5 where id = $1",
        id.0,
        i32::try_from(plan.percent).ok().filter(|_| tries),
        Some(plan.by.code()).filter(|_| tries),
        i32::try_from(plan.hours).ok().filter(|_| tries),
        now
    )
    .execute(&mut **tx)
    .await?;
    let change = audit::Change {
        action: "campaign.variants",
        subject_kind: "campaign",
        subject_id: Some(id.0),
        before: Some(json!(before)),
        after: Some(json!(plan)),
    };
    audit::record(tx, now, actor, change).await
}

/// Add one text to those that a draft tries.
///
/// # Errors
/// As [`save`]; [`Error::Refused`] also when there are as many as there may be.
pub async fn add(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    variant: Variant,
) -> Result<()> {
    // Held first, so that two who add at once both count.
    campaign::lock(tx, id).await?;
    let mut plan = plan(tx, id).await?;
    if plan.variants.len() >= MOST {
        return Err(Error::refused(
            "La campaña ya prueba cuatro textos: quita uno antes de agregar otro. No se cambió nada.",
        ));
    }
    plan.variants.push(variant);
    save(tx, now, actor, id, &plan).await
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
    let plan = plan(tx, id).await?;
    for (n, variant) in plan.variants.iter().enumerate() {
        let Some(source) = variant.applied(base) else {
            let said = format!(
                "El texto {} cambia el primer párrafo, y este cuerpo no tiene uno: escríbelo, o quita ese texto de la prueba.",
                letter(n + 1)
            );
            return Err(Error::invalid("body", said));
        };
        let text = keep(tx, now, actor, id, n + 1, &source).await?;
        sqlx::query!(
            "update campaign_variants set template_id = $3 where campaign_id = $1 and place = $2",
            id.0,
            i16::try_from(n + 1).unwrap_or(i16::MAX),
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
    id: CampaignId,
    place: usize,
    source: &Source,
) -> Result<TemplateId> {
    let name = format!("campaign:{id}:{}", letter(place));
    versions::save_version(tx, now, actor, Channel::Email, &name, source).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Source {
        Source {
            subject: "Hola".into(),
            body: "Hola {{ first_name }}:\n\nUno.\n\nDos.".into(),
            ..Source::default()
        }
    }

    fn variant(subject: &str, opening: &str) -> Variant {
        Variant { subject: subject.into(), opening: opening.into() }
    }

    #[test]
    fn a_text_changes_what_it_names_and_keeps_the_rest() {
        let plan = Plan { variants: vec![variant("Otro", ""), variant("", "Otra.")], ..Plan::default() };
        let sources = plan.sources(&base());
        assert_eq!((sources[1].subject.as_str(), &sources[1].body), ("Otro", &base().body));
        assert_eq!(sources[2].subject, "Hola");
        assert_eq!(sources[2].body, "Hola {{ first_name }}:\n\nOtra.\n\nDos.");
    }

    #[test]
    fn what_any_of_the_texts_needs_is_needed_by_all() {
        let plan = Plan { variants: vec![variant("Para {{ company }}", "")], ..Plan::default() };
        assert_eq!(plan.required(&base()).len(), 2);
        assert_eq!(Plan::default().required(&base()), ["first_name"]);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let check = |change: &dyn Fn(&mut Plan)| {
            let mut plan = Plan { variants: vec![variant("Otro", "")], ..Plan::default() };
            change(&mut plan);
            plan.problems(&base()).iter().map(|it| it.field).collect::<Vec<_>>()
        };
        assert_eq!(check(&|_| ()), Vec::<&str>::new());
        assert_eq!(check(&|it| it.percent = 0), ["percent"]);
        assert_eq!(check(&|it| it.hours = 721), ["hours"]);
        assert_eq!(check(&|it| it.variants[0].subject = "Hola".into()), ["subject_1"]);
        assert_eq!(check(&|it| it.variants.push(variant("Otro", ""))), ["subject_2"]);
        assert_eq!(check(&|it| it.variants[0].subject = "{{ nombre }}".into()), ["subject_1"]);
        assert_eq!(check(&|it| it.variants[0].opening = "{{ nada".into()), ["opening_1"]);
        let empty = Plan { variants: vec![variant("", "Otra")], ..Plan::default() };
        assert_eq!(empty.problems(&Source::default()).first().map(|it| it.field), Some("opening_1"));
    }
}
