//! A campaign as people write it, and what is wrong with it at which field. Pure.

use super::{audience::Rule, campaign::Campaign};
use crate::{
    chile::business_hours::BusinessHours,
    error::{Error, FieldError},
    messaging::{
        blocks,
        kinds::MessageType,
        legal::DEFAULT_FOOTER,
        library,
        streams::USUAL_BATCH,
        template::{self, BodyFormat, Source},
    },
};

/// Most letters of a campaign's name.
pub(super) const NAME: usize = 200;

/// What people write of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Name, for the staff alone.
    pub name: String,
    /// What its messages are for; fixed once it started.
    pub message_type: MessageType,
    /// Whom it is for; fixed once it started.
    pub audience: Rule,
    /// The text.
    pub source: Source,
    /// Messages a run, 1 to 100 000.
    pub batch_size: u32,
    /// Messages a local day; none: only the channel's cap.
    pub daily_cap: Option<u32>,
    /// Seconds between two messages, 0 to 60.
    pub spacing_seconds: u32,
    /// Its own window; none: the channel's.
    pub business_hours: Option<BusinessHours>,
    /// Openings and clicks are told.
    pub tracks: bool,
}

impl Default for Edit {
    fn default() -> Edit {
        Edit {
            name: String::new(),
            message_type: MessageType::Promocional,
            audience: Rule::default(),
            source: Source { footer: DEFAULT_FOOTER.to_owned(), ..Source::default() },
            batch_size: USUAL_BATCH,
            daily_cap: None,
            spacing_seconds: 0,
            business_hours: None,
            tracks: false,
        }
    }
}

impl Edit {
    /// What the audit keeps of it.
    pub(super) fn document(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name.trim(), "message_type": self.message_type, "audience": self.audience,
            "source": self.source, "batch_size": self.batch_size, "daily_cap": self.daily_cap,
            "spacing_seconds": self.spacing_seconds, "business_hours": self.business_hours, "tracks": self.tracks,
        })
    }

    /// `campaign` as it may be edited.
    #[must_use]
    pub fn of(campaign: &Campaign) -> Edit {
        Edit {
            name: campaign.name.clone(),
            message_type: campaign.message_type,
            audience: campaign.audience.clone(),
            source: campaign.source.clone(),
            batch_size: campaign.batch_size,
            daily_cap: campaign.daily_cap,
            spacing_seconds: campaign.spacing_seconds,
            business_hours: campaign.business_hours.clone(),
            tracks: campaign.tracks,
        }
    }

    /// The same with the words of a template of the library. They are the campaign's own from here on: what happens to
    /// the template changes nothing.
    #[must_use]
    pub fn started_from(self, template: &library::Draft) -> Edit {
        let mut source = template.source.clone();
        if source.body_format == BodyFormat::Blocks {
            source.body = blocks::mjml(&blocks::read(&source.body));
            source.body_format = BodyFormat::Mjml;
        }
        let kind = template.kind.message_type();
        let message_type = if MessageType::OF_CAMPAIGNS.contains(&kind) { kind } else { self.message_type };
        Edit { message_type, source, ..self }
    }

    /// What is wrong at which field, in Spanish: an empty list for what may be saved.
    #[must_use]
    pub fn problems(&self) -> Vec<FieldError> {
        let mut found = Vec::new();
        if self.name.trim().is_empty() {
            found.push(FieldError::new("name", "Ponle un nombre a la campaña: solo lo ve tu equipo."));
        } else if self.name.chars().count() > NAME {
            found.push(FieldError::new(
                "name",
                format!("El nombre tiene más de {NAME} caracteres: acórtalo."),
            ));
        }
        if !(1..=100_000).contains(&self.batch_size) {
            found.push(FieldError::new(
                "batch_size",
                "Escribe un número entre 1 y 100.000; recomendamos de 20 a 50.",
            ));
        }
        if self.daily_cap.is_some_and(|it| !(1..=10_000_000).contains(&it)) {
            found.push(FieldError::new(
                "daily_cap",
                "Escribe un número entre 1 y 10.000.000, o déjalo en blanco.",
            ));
        }
        if self.spacing_seconds > 60 {
            found.push(FieldError::new("spacing_seconds", "Escribe un número de segundos entre 0 y 60."));
        }
        if let Some(Err(Error::Invalid(problems))) = self.business_hours.as_ref().map(BusinessHours::validate)
        {
            found.extend(problems);
        }
        if let Err(problems) = template::compile(&self.source) {
            found.extend(problems);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_field_is_named() {
        let check = |change: &dyn Fn(&mut Edit)| {
            let mut edit = Edit { name: "Otoño".into(), ..Edit::default() };
            change(&mut edit);
            edit.problems().iter().map(|it| it.field).collect::<Vec<_>>()
        };
        assert_eq!(check(&|_| ()), Vec::<&str>::new());
        assert_eq!(check(&|it| it.name = "  ".into()), ["name"]);
        assert_eq!(check(&|it| it.batch_size = 0), ["batch_size"]);
        assert_eq!(check(&|it| it.batch_size = 100_001), ["batch_size"]);
        assert_eq!(check(&|it| it.daily_cap = Some(0)), ["daily_cap"]);
        assert_eq!(check(&|it| it.spacing_seconds = 61), ["spacing_seconds"]);
        assert_eq!(check(&|it| it.source.subject = "{{ firstname }}".into()), ["subject"]);
    }
}
