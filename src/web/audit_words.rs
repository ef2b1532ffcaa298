//! The values of an audited change as the panel calls them: codes by their labels,
//! dates and hours as people write them. Knows nothing of who changed what.

use crate::{
    access::Role,
    campaigns::campaign,
    channels::Channel,
    chile::{comunas, format},
    contacts::vocabulary::{Basis, Lifecycle, Source},
    imports,
    messaging::kinds::{MessageType, Scope, Status, SuppressionReason},
};
use chrono::{NaiveDate, NaiveTime};

/// The text `value` of the field `field`, in words where it is a code or a date.
pub(super) fn value(field: &str, value: &str) -> String {
    code(field, value).map(str::to_owned).or_else(|| moment(value)).unwrap_or_else(|| value.to_owned())
}

/// The label of a code; none for what is no code, such as a person's own words in `source` or `reason`.
fn code(field: &str, code: &str) -> Option<&'static str> {
    match field {
        "communication_type" => Channel::from_code(code).map(Channel::label),
        "message_type" | "refused" => MessageType::from_code(code).map(MessageType::label),
        "basis" | "consent_basis" => Basis::from_code(code).map(Basis::label),
        "lifecycle" => Lifecycle::from_code(code).map(Lifecycle::label),
        "source" => Source::from_code(code).map(Source::label),
        "role" => Role::from_code(code).map(Role::label),
        "scope" => Scope::from_code(code).map(Scope::label),
        "reason" => SuppressionReason::from_code(code).map(SuppressionReason::label),
        "comuna" | "comunas" => comunas::by_code(code).map(|it| it.name),
        "kind" => imports::Kind::from_code(code).map(imports::Kind::label),
        "status" => Status::from_code(code)
            .map(Status::label)
            .or_else(|| IMPORTS.iter().find(|it| it.code() == code).map(|it| it.label()))
            .or_else(|| campaign::Status::from_code(code).map(campaign::Status::label)),
        "body_format" => match code {
            "TEXT" => Some("Texto"),
            "HTML" => Some("HTML"),
            _ => None,
        },
        _ => None,
    }
}

/// Where an import stands, as far as changes to it are written down.
const IMPORTS: [imports::Status; 3] =
    [imports::Status::Applying, imports::Status::Done, imports::Status::Undoing];

/// A date or an hour of the day as people write it.
fn moment(text: &str) -> Option<String> {
    let day = || text.parse::<NaiveDate>().ok().map(format::date);
    let hour = || {
        let time = NaiveTime::parse_from_str(text, "%H:%M:%S").ok()?;
        Some(time.format("%H:%M").to_string())
    };
    match text.len() {
        10 => day(),
        8 => hour(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_dates_and_hours_are_told_and_words_are_left_alone() {
        for (field, text, told) in [
            ("communication_type", "EMAIL", "Correo"),
            ("refused", "NEWSLETTER", "Boletín"),
            ("obtained_on", "2026-11-21", "21-11-2026"),
            ("quiet_from", "21:30:00", "21:30"),
            ("source", "Formulario en recepción", "Formulario en recepción"),
            ("notes", "LEAD", "LEAD"),
        ] {
            assert_eq!(value(field, text), told);
        }
    }
}
