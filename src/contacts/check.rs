//! Typed text to values, collecting what is wrong field by field. No rules of
//! any one form.

use super::{address::EmailAddress, website};
use crate::{
    chile::{
        comunas,
        phone::Phone,
        rut::Rut,
        text::{tidy, tidy_lines},
    },
    error::{Error, FieldError, Result},
};
use chrono::NaiveDate;
use serde_json::{Map, Value};

/// Most characters of a name or another short text.
const MAX_SHORT: usize = 200;
/// Most characters of notes, typed or imported.
pub const MAX_NOTES: usize = 10_000;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Check {
    wrong: Vec<FieldError>,
}

impl Check {
    /// `field` is wrong for the reason `message`.
    pub(super) fn wrong(&mut self, field: &'static str, message: impl Into<String>) {
        self.wrong.push(FieldError::new(field, message));
    }

    /// Fail where anything was wrong.
    pub(super) fn done(self) -> Result<()> {
        if self.wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(self.wrong)) }
    }

    /// A short text, tidied; may be empty.
    pub(super) fn short(&mut self, field: &'static str, text: &str) -> String {
        let text = tidy(text);
        if text.chars().count() > MAX_SHORT {
            self.wrong(field, format!("Es demasiado largo: el máximo son {MAX_SHORT} caracteres."));
        }
        text
    }

    /// A short text, or none.
    pub(super) fn optional(&mut self, field: &'static str, text: &str) -> Option<String> {
        Some(self.short(field, text)).filter(|it| !it.is_empty())
    }

    /// A text of several lines, or none.
    pub(super) fn long(&mut self, field: &'static str, text: &str) -> Option<String> {
        let text = tidy_lines(text);
        if text.chars().count() > MAX_NOTES {
            self.wrong(field, "Es demasiado largo: el máximo son 10.000 caracteres.");
        }
        Some(text).filter(|it| !it.is_empty())
    }

    /// An email address, or none.
    pub(super) fn email(&mut self, field: &'static str, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        match text.parse::<EmailAddress>() {
            Ok(address) => Some(address.as_str().to_owned()),
            Err(error) => {
                self.wrong(field, format!("El correo no sirve: {error}."));
                None
            }
        }
    }

    /// A telephone number in E.164, or none.
    pub(super) fn phone(&mut self, field: &'static str, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        match text.parse::<Phone>() {
            Ok(phone) => Some(phone.as_str().to_owned()),
            Err(error) => {
                self.wrong(field, format!("El teléfono no sirve: {error}."));
                None
            }
        }
    }

    /// A RUT as stored, or none.
    pub(super) fn rut(&mut self, field: &'static str, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        match text.parse::<Rut>() {
            Ok(rut) => Some(rut.stored()),
            Err(error) => {
                self.wrong(field, format!("El RUT no sirve: {error}."));
                None
            }
        }
    }

    /// CUT code of the comuna with this code or name, or none.
    pub(super) fn comuna(&mut self, field: &'static str, text: &str) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        let found = comunas::find(text);
        if found.is_none() {
            self.wrong(field, "No conocemos esa comuna: elígela de la lista.");
        }
        found.map(|it| it.code.to_owned())
    }

    /// A date as browsers send it or as people write it, `1985-02-28` or `28-02-1985`, or none.
    pub(super) fn date(&mut self, field: &'static str, text: &str) -> Option<NaiveDate> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let found = ["%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y"]
            .iter()
            .find_map(|it| NaiveDate::parse_from_str(text, it).ok());
        if found.is_none() {
            self.wrong(field, "No es una fecha: escríbela como 21-11-2026.");
        }
        found
    }

    /// One of a closed list; empty is `fallback`.
    pub(super) fn one_of<T>(
        &mut self,
        field: &'static str,
        code: &str,
        from: fn(&str) -> Option<T>,
        fallback: T,
    ) -> T {
        if code.trim().is_empty() {
            return fallback;
        }
        if let Some(value) = from(code.trim()) {
            return value;
        }
        self.wrong(field, "Elige una opción de la lista.");
        fallback
    }

    /// Address of a web site with its scheme, or none.
    pub(super) fn website(&mut self, field: &'static str, text: &str) -> Option<String> {
        let text = self.optional(field, text)?;
        let found = website::parse(&text);
        if found.is_none() {
            self.wrong(field, "No es un sitio web: escríbelo como empresa.cl.");
        }
        found
    }
}

/// The members that differ between two objects of the same shape, for the audit.
pub(super) fn changed(before: &Value, after: &Value) -> (Value, Value) {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return (before.clone(), after.clone());
    };
    let differs = |(key, _): &(&String, &Value)| before.get(key.as_str()) != after.get(key.as_str());
    let pick = |it: &Map<String, Value>| {
        it.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    (Value::Object(pick(before)), Value::Object(pick(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told() {
        let (before, after) = changed(
            &serde_json::json!({ "a": 1, "b": null, "c": "x" }),
            &serde_json::json!({ "a": 1, "b": 2, "c": "y" }),
        );
        assert_eq!(before, serde_json::json!({ "b": null, "c": "x" }));
        assert_eq!(after, serde_json::json!({ "b": 2, "c": "y" }));
    }

    #[test]
    fn dates_are_read_both_ways() {
        let mut check = Check::default();
        let day = NaiveDate::from_ymd_opt(1985, 2, 28);
        assert_eq!(check.date("birth_date", "1985-02-28"), day);
        assert_eq!(check.date("birth_date", " 28-02-1985 "), day);
        assert_eq!(check.date("birth_date", ""), None);
        assert!(check.wrong.is_empty());
        assert_eq!(check.date("birth_date", "30-02-1985"), None);
        assert!(check.done().is_err());
    }

    #[test]
    fn web_sites_get_their_scheme_and_nothing_else_passes() {
        let mut check = Check::default();
        assert_eq!(check.website("website", "www.sur.cl").as_deref(), Some("https://www.sur.cl"));
        assert_eq!(check.website("website", "http://sur.cl/a?b=1").as_deref(), Some("http://sur.cl/a?b=1"));
        assert!(check.wrong.is_empty());
        for text in [
            "javascript:alert(1)",
            "javascript://sur.cl/%0aalert(1)",
            "ftp://sur.cl",
            "no tiene",
            "localhost",
        ] {
            assert_eq!(check.website("website", text), None, "{text}");
        }
        assert_eq!(check.wrong.len(), 5);
    }

    #[test]
    fn notes_keep_their_lines_and_lose_what_the_database_refuses() {
        let mut check = Check::default();
        assert_eq!(check.long("notes", " uno\r\ndos\0 ").as_deref(), Some("uno\ndos"));
        assert_eq!(check.long("notes", " \n ").as_deref(), None);
        assert_eq!(check.short("name", &"á".repeat(200)).chars().count(), 200);
        assert!(check.wrong.is_empty());
        let _ = check.short("name", &"á".repeat(201));
        assert_eq!(check.wrong.len(), 1);
    }
}
