//! The edge of a page in the address of the next: the row, and what it was sorted by. What may be a name is sealed, since
//! addresses are kept in histories and logs.

use crate::{
    accounts::keys::{self, Purpose},
    config::Config,
    db::keyset::{Edge, Key, Place},
    error::Result,
};
use chrono::DateTime;

/// Marks a row that has no moment to be sorted by.
const NEVER: &str = "never";
/// Marks a number.
const NUMBER: char = 'n';
/// Marks a text that is sealed.
const SEALED: char = 's';

/// `edge` as in an address.
///
/// # Errors
/// When no secret key was given or made.
pub(super) fn written(config: &Config, edge: &Edge) -> Result<String> {
    let id = edge.id;
    Ok(match &edge.key {
        Key::Row => id.to_string(),
        Key::At(Some(at)) => format!("{id}.{}", at.timestamp_micros()),
        Key::At(None) => format!("{id}.{NEVER}"),
        Key::Number(number) => format!("{id}.{NUMBER}{number}"),
        Key::Day(day) => format!("{id}.{day}"),
        Key::Text(text) => format!("{id}.{SEALED}{}", keys::seal(config, Purpose::Edge, text)?),
    })
}

/// An edge as [`written`]; none: it is none of ours.
///
/// # Errors
/// When no secret key was given or made.
pub(super) fn read(config: &Config, text: &str) -> Result<Option<Edge>> {
    let (id, key) = text.split_once('.').unwrap_or((text, ""));
    let Ok(id) = id.parse() else { return Ok(None) };
    let key = if key.is_empty() {
        Some(Key::Row)
    } else if key == NEVER {
        Some(Key::At(None))
    } else if let Some(sealed) = key.strip_prefix(SEALED) {
        keys::unseal(config, Purpose::Edge, sealed)?.map(Key::Text)
    } else if let Some(number) = key.strip_prefix(NUMBER) {
        number.parse().ok().map(Key::Number)
    } else if let Ok(micros) = key.parse() {
        DateTime::from_timestamp_micros(micros).map(|it| Key::At(Some(it)))
    } else {
        key.parse().ok().map(Key::Day)
    };
    Ok(key.map(|key| Edge { id, key }))
}

/// The page that an address asks for, `?before=…` or `?after=…`; the first where it names no edge of ours.
///
/// # Errors
/// When no secret key was given or made.
pub(super) fn place(config: &Config, before: &str, after: &str) -> Result<Place> {
    Ok(Place::of(read(config, before)?, read(config, after)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_read_back_and_a_name_is_not_to_be_read_in_it() {
        let secret = "0123456789abcdef0123456789abcdef";
        let config = Config::read(|name| (name == "SECRET_KEY").then(|| secret.to_owned())).unwrap();
        let keys = [
            Key::Row,
            Key::At(None),
            Key::At(DateTime::from_timestamp_micros(1_764_389_374_123_456)),
            Key::Number(1_234_567),
            Key::Number(0),
            Key::Day("2026-11-29".parse().unwrap()),
            Key::Text("muñoz ana".to_owned()),
        ];
        for key in keys {
            let edge = Edge { id: 7, key };
            let text = written(&config, &edge).unwrap();
            assert_eq!(read(&config, &text).unwrap(), Some(edge), "{text}");
            assert!(!text.contains("ana") && !text.contains('%') && text.is_ascii(), "{text}");
        }
        for none in ["", "w", "7.w", "7.sw", "7.s", "7.2026-13-01", "7.n", "7.nx", ".5"] {
            assert_eq!(read(&config, none).unwrap(), None, "{none}");
        }
        assert_eq!(place(&config, "", "7").unwrap(), Place::After(Edge::row(7)));
        assert_eq!(place(&config, "7", "8").unwrap(), Place::Before(Edge::row(7)));
        assert_eq!(place(&config, "w", "").unwrap(), Place::First);
    }
}
