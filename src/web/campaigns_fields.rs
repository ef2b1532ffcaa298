//! The fields of a campaign's form: text as it was typed, over what was there before.

use super::numbers;
use crate::{
    campaigns::{audience::Rule, edit::Edit},
    chile::business_hours::BusinessHours,
    error::FieldError,
    messaging::{kinds::MessageType, template::BodyFormat},
};
use chrono::NaiveTime;
use serde::{Deserialize, Deserializer};

/// The form as it was typed. A scalar that is absent keeps what it was, so that a program may send only what it changes;
/// one that is there and empty was emptied.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CampaignForm {
    /// When the campaign had last changed, as the form was shown.
    pub(super) seen: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) subject: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) body: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) body_format: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) footer: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) message_type: Option<String>,
    /// Present where the audience's fields are: none checked then means everyone.
    pub(super) audience: Option<String>,
    pub(super) industries: Vec<String>,
    pub(super) comunas: Vec<String>,
    pub(super) import_ids: Vec<String>,
    pub(super) segment_ids: Vec<String>,
    pub(super) list_ids: Vec<String>,
    #[serde(deserialize_with = "present")]
    pub(super) batch_size: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) daily_cap: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) spacing_seconds: Option<String>,
    /// `own` or `channel`.
    pub(super) window: Option<String>,
    pub(super) days: Vec<String>,
    #[serde(deserialize_with = "present")]
    pub(super) opens: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) closes: Option<String>,
    pub(super) skip_holidays: Option<String>,
    /// `on` or `off`.
    pub(super) tracks: Option<String>,
    pub(super) contact_id: Option<String>,
}

impl CampaignForm {
    /// What was typed, over `base`, and what can't be understood.
    pub(super) fn parse(&self, base: &Edit, channel_hours: &BusinessHours) -> (Edit, Vec<FieldError>) {
        let mut wrong = Vec::new();
        let mut edit = base.clone();
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(text) = from {
                to.clone_from(text);
            }
        };
        set(&mut edit.name, &self.name);
        set(&mut edit.source.subject, &self.subject);
        set(&mut edit.source.body, &self.body);
        set(&mut edit.source.footer, &self.footer);
        // Browsers send CR LF; the text is kept as it is edited elsewhere.
        edit.source.body = edit.source.body.replace("\r\n", "\n");
        edit.source.footer = edit.source.footer.replace("\r\n", "\n");
        edit.source.subject = edit.source.subject.trim().to_owned();
        if let Some(code) = &self.body_format {
            edit.source.body_format = BodyFormat::from_code(code);
        }
        if let Some(code) = &self.message_type {
            match MessageType::from_code(code) {
                Some(kind) => edit.message_type = kind,
                None => wrong.push(FieldError::new("message_type", "Elige un tipo de mensaje de la lista.")),
            }
        }
        if self.audience.is_some() {
            edit.audience = self.rule();
        }
        let mut number = |field: &'static str, text: &Option<String>, to: &mut u32| {
            let Some(text) = text else { return };
            match numbers::whole(text) {
                Ok(it) => *to = it,
                Err(said) => wrong.push(FieldError::new(field, format!("{said}."))),
            }
        };
        number("batch_size", &self.batch_size, &mut edit.batch_size);
        number("spacing_seconds", &self.spacing_seconds, &mut edit.spacing_seconds);
        match self.daily_cap.as_deref() {
            None => {}
            Some(text) if text.trim().is_empty() => edit.daily_cap = None,
            Some(text) => match numbers::whole(text) {
                Ok(it) => edit.daily_cap = Some(it),
                Err(said) => {
                    wrong.push(FieldError::new("daily_cap", format!("{said}, o déjalo en blanco.")));
                }
            },
        }
        match self.window.as_deref() {
            None => {}
            Some("own") => {
                let base = edit.business_hours.take().unwrap_or_else(|| channel_hours.clone());
                edit.business_hours = Some(self.hours(&base, &mut wrong));
            }
            Some(_) => edit.business_hours = None,
        }
        if let Some(choice) = &self.tracks {
            edit.tracks = choice == "on";
        }
        (edit, wrong)
    }

    fn rule(&self) -> Rule {
        let list = |from: &[String]| -> Vec<String> {
            let mut all: Vec<String> = from.iter().filter(|it| !it.is_empty()).cloned().collect();
            all.sort();
            all.dedup();
            all
        };
        let ids = |from: &[String]| -> Vec<i64> {
            let mut all: Vec<i64> = from.iter().filter_map(|it| it.parse().ok()).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        Rule {
            industries: list(&self.industries),
            comunas: list(&self.comunas),
            import_ids: ids(&self.import_ids),
            segment_ids: ids(&self.segment_ids),
            list_ids: ids(&self.list_ids),
        }
    }

    fn hours(&self, base: &BusinessHours, wrong: &mut Vec<FieldError>) -> BusinessHours {
        let mut days = [false; 7];
        for day in
            self.days.iter().filter_map(|it| it.parse::<usize>().ok()).filter(|it| (1..=7).contains(it))
        {
            days[day - 1] = true;
        }
        let mut time = |field: &'static str, text: &Option<String>, or: NaiveTime| {
            let Some(text) = text else { return or };
            ["%H:%M", "%H:%M:%S"]
                .iter()
                .find_map(|it| NaiveTime::parse_from_str(text.trim(), it).ok())
                .unwrap_or_else(|| {
                    wrong.push(FieldError::new(field, "Escribe la hora así: 09:00."));
                    or
                })
        };
        BusinessHours {
            days,
            opens: time("opens", &self.opens, base.opens),
            closes: time("closes", &self.closes, base.closes),
            skip_holidays: self.skip_holidays.is_some(),
        }
    }
}

/// A field that is there, even if it is empty: by itself serde takes `name=` for no field at all.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}
