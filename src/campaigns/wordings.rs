//! All that a campaign's messages may say: its own text, those that are tried beside it, those of industries. Whoever
//! looks at each text of a campaign, or needs its name, asks here. Pure, but for reading them.

use super::{
    campaign::Campaign,
    own_texts::{self, OwnText},
    variants::{self, Plan, letter},
};
use crate::{
    access::Actor,
    db::Tx,
    error::Result,
    ids::{CampaignId, TemplateId},
    messaging::{
        foresight::Otherwise,
        template::{self, Source},
    },
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// What there is beside the campaign's own text: one or the other, or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wordings {
    /// What is tried.
    pub plan: Plan,
    /// The texts of industries.
    pub own: Vec<OwnText>,
}

/// One of a campaign's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// As messages keep it; 0: the campaign's own.
    pub place: i16,
    /// As people call it.
    pub name: String,
    /// The whole of it.
    pub source: Source,
}

/// What a campaign's texts can't do without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Personal variables of the text that most get. Of texts that are compared, those of any: each is tried on the same
    /// kind of people.
    pub required: Vec<&'static str>,
    /// Those of the texts of industries, whose people lack nothing by what others' texts need.
    pub otherwise: Vec<Otherwise>,
}

impl Needs {
    /// What the text can't do without that somebody of `industry` gets.
    #[must_use]
    pub fn of(&self, industry: Option<&str>) -> &[&'static str] {
        let own = self.otherwise.iter().find(|it| Some(it.industry.as_str()) == industry);
        own.map_or(&self.required, |it| &it.required)
    }
}

/// Make the texts beside the campaign's own anew over `base`, which it has from now on.
///
/// # Errors
/// [`crate::error::Error::Invalid`] when one of them can't be, or the database's.
pub(super) async fn follow(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    base: &Source,
) -> Result<()> {
    variants::follow(tx, now, actor, id, base).await?;
    own_texts::follow(tx, now, actor, id, base).await
}

impl Wordings {
    /// Those of the campaign `id`.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`], or the database's.
    pub async fn of(db: &mut PgConnection, id: CampaignId) -> Result<Wordings> {
        let plan = variants::plan(&mut *db, id).await?;
        Ok(Wordings { plan, own: own_texts::of(db, id).await? })
    }

    /// Each whole text over `base`, which is the first.
    #[must_use]
    pub fn all(&self, base: &Source) -> Vec<Wording> {
        let tried = self.plan.sources(base).into_iter().zip(0..);
        let own = self.own.iter().map(|it| (it.source(base), it.place));
        tried.chain(own).map(|(source, place)| Wording { place, name: self.name(place), source }).collect()
    }

    /// The version of the text at `place` of `campaign`; none: it has none such, or nothing is written yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn template(
        &self,
        db: &mut PgConnection,
        campaign: &Campaign,
        place: i16,
    ) -> Result<Option<TemplateId>> {
        if let Some(it) = self.own.iter().find(|it| it.place == place) {
            return Ok(Some(it.template));
        }
        match usize::try_from(place).ok().and_then(|it| it.checked_sub(1)) {
            None => Ok(campaign.template),
            Some(n) => Ok(variants::templates(db, campaign.id).await?.get(n).copied()),
        }
    }

    /// What they can't do without over `base`.
    #[must_use]
    pub fn needs(&self, base: &Source) -> Needs {
        let of = |source: &Source| template::compile(source).map(|it| it.required()).unwrap_or_default();
        let otherwise = self
            .own
            .iter()
            .map(|it| Otherwise { industry: it.industry.clone(), required: of(&it.source(base)) });
        Needs { required: self.plan.required(base), otherwise: otherwise.collect() }
    }

    /// The place of the text that somebody of `industry` gets where industries have some.
    #[must_use]
    pub fn place_of(&self, industry: Option<&str>) -> i16 {
        self.own.iter().find(|it| Some(it.industry.as_str()) == industry).map_or(0, |it| it.place)
    }

    /// As a table calls the text at `place`.
    #[must_use]
    pub fn name(&self, place: i16) -> String {
        match self.own.iter().find(|it| it.place == place) {
            Some(it) => format!("Rubro {}", it.industry),
            None if place == 0 && !self.own.is_empty() => "El de la campaña".to_owned(),
            None => letter(usize::try_from(place).unwrap_or_default()).to_string(),
        }
    }

    /// As a sentence calls it: `el texto B`, `el texto del rubro «Salmones»`, `el texto de la campaña`.
    #[must_use]
    pub fn phrase(&self, place: i16) -> String {
        match self.own.iter().find(|it| it.place == place) {
            Some(it) => format!("el texto del rubro «{}»", it.industry),
            None if place == 0 && !self.own.is_empty() => "el texto de la campaña".to_owned(),
            None => format!("el texto {}", letter(usize::try_from(place).unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::variants::Variant, *};

    fn wordings() -> Wordings {
        let own = |place: i16, industry: &str, subject: &str| OwnText {
            place,
            industry: industry.into(),
            words: Variant { subject: subject.into(), opening: String::new() },
            template: TemplateId(i64::from(place)),
        };
        let own = vec![own(11, "Lechería", "Para {{ job_title }}"), own(10, "Salmones", "Salmones")];
        Wordings { own, ..Wordings::default() }
    }

    fn base() -> Source {
        Source { subject: "Para {{ first_name }}".into(), body: "Uno.".into(), ..Source::default() }
    }

    #[test]
    fn each_text_has_its_place_and_its_name() {
        let all = wordings().all(&base());
        let told: Vec<_> = all.iter().map(|it| (it.place, it.name.as_str())).collect();
        assert_eq!(told, [(0, "El de la campaña"), (11, "Rubro Lechería"), (10, "Rubro Salmones")]);
        assert_eq!(all[2].source, Source { subject: "Salmones".into(), ..base() });
        assert_eq!(wordings().phrase(10), "el texto del rubro «Salmones»");
        let plan =
            Plan { variants: vec![Variant { subject: "B".into(), ..Variant::default() }], ..Plan::default() };
        let tried = Wordings { plan, own: Vec::new() };
        assert_eq!((tried.name(0), tried.phrase(1)), ("A".to_owned(), "el texto B".to_owned()));
    }

    #[test]
    fn people_need_what_their_own_text_needs() {
        let needs = wordings().needs(&base());
        assert_eq!(needs.of(None), ["first_name"]);
        assert_eq!(needs.of(Some("Madera")), ["first_name"]);
        assert_eq!(needs.of(Some("Lechería")), ["job_title"]);
        assert!(needs.of(Some("Salmones")).is_empty());
    }
}
