//! How often a recipient wants to be written to, and until when not, between a yes and a no: as the preferences page asks
//! them, and as staff notes what they said.

use crate::{
    chile::format,
    contacts::rhythm::Rhythm,
    error::{Error, Result},
};
use chrono::{Days, NaiveDate};

/// How often, in days, as it is offered.
const OFTEN: [(u32, &str); 4] = [
    (7, "A lo más uno a la semana"),
    (14, "A lo más uno cada dos semanas"),
    (30, "A lo más uno al mes"),
    (90, "A lo más uno cada tres meses"),
];

/// Pauses that are offered, in days.
const PAUSES: [u64; 3] = [30, 60, 90];

/// What the select says for the pause that holds already.
const KEEP: &str = "keep";

/// What the select says for a day of one's own.
const DATE: &str = "date";

/// The fields as they stand or were typed.
#[derive(Clone, Debug, Default)]
pub(super) struct RhythmForm {
    pub every: String,
    pub pause: String,
    pub paused_until: String,
    /// End of the pause that holds.
    holds: Option<NaiveDate>,
}

impl RhythmForm {
    /// As it stands.
    pub(super) fn of(rhythm: Rhythm, today: NaiveDate) -> RhythmForm {
        let holds = rhythm.pause_on(today);
        RhythmForm {
            every: rhythm.min_days.map(|days| days.to_string()).unwrap_or_default(),
            pause: holds.map(|_| KEEP.to_owned()).unwrap_or_default(),
            paused_until: String::new(),
            holds,
        }
    }

    /// As it was sent; none: by a page of before there was a choice.
    pub(super) fn read(fields: &[(String, String)]) -> Option<RhythmForm> {
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|it| it.1.trim().to_owned());
        Some(RhythmForm {
            every: field("every")?,
            pause: field("pause").unwrap_or_default(),
            paused_until: field("paused_until").unwrap_or_default(),
            holds: None,
        })
    }

    /// As it was typed, beside what stands.
    pub(super) fn beside(self, stands: Rhythm, today: NaiveDate) -> RhythmForm {
        RhythmForm { holds: stands.pause_on(today), ..self }
    }

    /// What is asked for, where `stands` is what was.
    ///
    /// # Errors
    /// [`Error::Invalid`] at the field.
    pub(super) fn rhythm(&self, stands: Rhythm, today: NaiveDate) -> Result<Rhythm> {
        let min_days = match self.every.as_str() {
            "" => None,
            days => Some(days.parse().map_err(|_| Error::invalid("every", "Elige una de las opciones."))?),
        };
        let typed = || {
            let wrong = || Error::invalid("paused_until", "Elige una fecha, como 24-12-2026.");
            self.paused_until.parse::<NaiveDate>().map_err(|_| wrong())
        };
        let paused_until = match self.pause.as_str() {
            KEEP => stands.pause_on(today),
            // Whoever wrote a day means it.
            "" if self.paused_until.is_empty() => None,
            "" | DATE => Some(typed()?),
            days => {
                let wrong = |_| Error::invalid("pause", "Elige una de las opciones.");
                Some(today + Days::new(days.parse::<u16>().map_err(wrong)?.into()))
            }
        };
        Rhythm { min_days, paused_until }.checked(today)
    }

    /// What may be chosen for how often.
    pub(super) fn often(&self) -> Vec<(String, String)> {
        let mut all = vec![(String::new(), "Sin límite propio".to_owned())];
        all.extend(OFTEN.iter().map(|(days, label)| (days.to_string(), (*label).to_owned())));
        if !all.iter().any(|it| it.0 == self.every) {
            all.push((self.every.clone(), format!("A lo más uno cada {} días", self.every)));
        }
        all
    }

    /// What may be chosen for a pause.
    pub(super) fn pauses(&self) -> Vec<(String, String)> {
        let holds =
            self.holds.map(|until| (KEEP.to_owned(), format!("Sigue hasta el {}", format::date(until))));
        let none = if holds.is_some() { "Terminar la pausa ahora" } else { "Sin pausa" };
        let days = PAUSES.iter().map(|days| (days.to_string(), format!("{days} días")));
        holds
            .into_iter()
            .chain([(String::new(), none.to_owned())])
            .chain(days)
            .chain([(DATE.to_owned(), "Hasta una fecha".to_owned())])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_chosen_is_what_is_kept() {
        let today = day("2026-11-23");
        let stands = Rhythm { min_days: Some(30), paused_until: Some(day("2026-12-24")) };
        let check = |every: &str, pause: &str, date: &str| {
            let form = RhythmForm {
                every: every.into(),
                pause: pause.into(),
                paused_until: date.into(),
                holds: None,
            };
            form.rhythm(stands, today).ok().map(|it| (it.min_days, it.paused_until))
        };
        assert_eq!(check("", "", ""), Some((None, None)));
        assert_eq!(check("30", "keep", ""), Some((Some(30), Some(day("2026-12-24")))));
        assert_eq!(check("14", "60", ""), Some((Some(14), Some(day("2027-01-22")))));
        assert_eq!(check("", "date", "2027-01-05"), Some((None, Some(day("2027-01-05")))));
        assert_eq!(check("", "", "2027-01-05"), Some((None, Some(day("2027-01-05")))));
        for (every, pause, date) in [
            ("x", "", ""),
            ("", "date", ""),
            ("", "date", "2026-11-01"),
            ("", "-5", ""),
            ("", "200000000", ""),
            ("400", "", ""),
        ] {
            assert_eq!(check(every, pause, date), None, "{every} {pause} {date}");
        }
    }
}
