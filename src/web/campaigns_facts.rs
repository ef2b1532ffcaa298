//! What a campaign is, in words: whom it is for and how it leaves, for the side of its page.

use crate::{
    campaigns::{campaign::Campaign, outlook::Outlook},
    chile::{comunas, format},
    segments::{field::Field, words::Names},
};

/// What a campaign is, in words, for the side of its page.
pub(super) struct Facts {
    pub(super) segments: String,
    pub(super) lists: String,
    pub(super) industries: String,
    pub(super) comunas: String,
    pub(super) imports: String,
    /// None: nothing leaves any more.
    pub(super) sending: Option<Sending>,
    pub(super) tracking: &'static str,
}

/// How what is still to leave leaves.
pub(super) struct Sending {
    pub(super) hours: String,
    pub(super) spacing: String,
    pub(super) cap: String,
}

impl Sending {
    fn of(campaign: &Campaign, outlook: &Outlook) -> Sending {
        Sending {
            hours: outlook.hours.describe(),
            spacing: match campaign.spacing_seconds {
                0 => "sin pausa".to_owned(),
                n => format::count(i64::from(n), "segundo", "segundos"),
            },
            cap: match outlook.daily_cap {
                Some(cap) => format!("{} al día", format::count(i64::from(cap), "mensaje", "mensajes")),
                None => "sin tope".to_owned(),
            },
        }
    }
}

impl Facts {
    pub(super) fn of(campaign: &Campaign, outlook: &Outlook, names: &Names, files: &[String]) -> Facts {
        let rule = &campaign.audience;
        let all =
            |none: &str, some: Vec<String>| if some.is_empty() { none.to_owned() } else { some.join(", ") };
        let comuna =
            |code: &String| comunas::by_code(code).map_or_else(|| code.clone(), |it| it.name.to_owned());
        let chosen = |field: Field, ids: &[i64]| -> String {
            ids.iter().map(|it| names.value(field, &it.to_string())).collect::<Vec<_>>().join(", ")
        };
        Facts {
            segments: chosen(Field::Segment, &rule.segment_ids),
            lists: chosen(Field::List, &rule.list_ids),
            industries: all("Todos los rubros", rule.industries.clone()),
            comunas: all("Todas las comunas", rule.comunas.iter().map(comuna).collect()),
            imports: all("Todas", files.to_vec()),
            // Cap and hours are today's: of one that is over they would tell what never was.
            sending: campaign.status.is_editable().then(|| Sending::of(campaign, outlook)),
            tracking: if campaign.tracks { "aperturas y clics" } else { "sin píxel" },
        }
    }
}
