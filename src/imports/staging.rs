//! Judged rows in the text format of `copy`, in the order of the staging table's columns. Pure.

use super::{Kind, reader::Row, validate::Checked};
use crate::contacts;
use std::fmt::Write as _;

/// Append `row`, judged to be `checked`, to `out`.
pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, row: &Row, checked: &Checked) {
    let mut line = Line { out, first: true };
    let rejected = checked.rejections.first();
    line.text(Some(&row.number.to_string()));
    line.text(rejected.map(|_| "REJECTED"));
    line.text(checked.rut.as_deref().or(checked.company_key.as_deref()));
    line.text(checked.company_name.as_deref());
    line.text(checked.company_key.as_deref());
    line.text(checked.rut.as_deref());
    line.text(checked.industry.as_deref());
    line.text(checked.first_name.as_deref());
    line.text(checked.last_name.as_deref());
    line.text(checked.email.as_deref());
    line.text(checked.phone.as_deref());
    line.text(phone_ident(checked).as_deref());
    line.text(checked.job_title.as_deref());
    line.text(checked.birth_date.map(|it| it.to_string()).as_deref());
    line.text(checked.comuna);
    line.text(checked.address.as_deref());
    line.text(checked.website.as_deref());
    line.text(checked.notes.as_deref());
    line.text(checked.source);
    line.text(checked.accepts.map(|it| if it { "t" } else { "f" }));
    line.text(search_key(kind, checked).as_deref());
    line.text(rejected.map(|it| it.column.as_str()));
    line.text(rejected.map(|it| it.value.as_str()));
    line.text(reasons(checked).as_deref());
    line.text(checked.warning.as_deref());
    // Whether it is rejected is known only once its person, or the company of a bare name, has been looked for.
    let is_open = match kind {
        Kind::History => true,
        Kind::Companies => checked.rut.is_none(),
        Kind::Contacts => checked.email.is_none() && checked.phone.is_some(),
    };
    // A row that loses a cell can be written anew before it is confirmed.
    let is_mendable = rejected.is_some() || !checked.doubted.is_empty();
    line.text((is_mendable || is_open).then(|| array(row.cells().take(row.used().max(1)))).as_deref());
    let is_named = kind == Kind::History || kind == Kind::Contacts && checked.phone.is_some();
    line.text(is_named.then(|| checked.name_key()).as_deref());
    let interests = checked.interests.iter().map(String::as_str);
    line.text((!checked.interests.is_empty()).then(|| array(interests)).as_deref());
    line.text(checked.lifecycle);
    line.text(checked.owner.as_deref());
    if kind == Kind::History {
        encode_history(&mut line, checked);
    }
    out.push(b'\n');
}

fn encode_history(line: &mut Line<'_>, checked: &Checked) {
    let happened = checked.happened.as_ref();
    line.text(happened.map(|it| it.kind.code()));
    line.text(happened.map(|it| it.on.to_string()).as_deref());
    line.text(happened.map(|it| it.item.as_str()));
    line.text(happened.map(|it| it.amount.to_string()).as_deref());
    line.text(happened.map(|it| it.quantity.to_string()).as_deref());
}

/// A fixed line is an office's, so the name belongs to it.
fn phone_ident(it: &Checked) -> Option<String> {
    let phone = it.phone.as_deref()?;
    if phone.starts_with("+569") || it.email.is_some() && it.first_name.is_none() {
        return Some(phone.to_owned());
    }
    let name = contacts::contact::search_key(
        it.first_name.as_deref().unwrap_or_default(),
        it.last_name.as_deref().unwrap_or_default(),
        None,
        None,
    );
    Some(format!("{phone}|{name}"))
}

fn search_key(kind: Kind, it: &Checked) -> Option<String> {
    (kind != Kind::Companies && it.rejections.is_empty()).then(|| {
        contacts::contact::search_key(
            it.first_name.as_deref().unwrap_or_default(),
            it.last_name.as_deref().unwrap_or_default(),
            it.email.as_deref(),
            it.phone.as_deref(),
        )
    })
}

/// Every fault of the row; those after the first name their column.
fn reasons(it: &Checked) -> Option<String> {
    let (first, rest) = it.rejections.split_first()?;
    let mut text = first.reason.clone();
    for other in rest {
        // Writing to a String never fails.
        let _ = write!(text, ". {}: {}", other.column, other.reason);
    }
    Some(text)
}

/// `texts` as an array literal of Postgres.
fn array<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut text = String::from("{");
    for (at, cell) in texts.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        for sign in cell.chars() {
            match sign {
                '"' | '\\' => text.extend(['\\', sign]),
                // Postgres can't keep it; what it was is said in the reason.
                '\0' => text.push('�'),
                _ => text.push(sign),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Line<'_> {
    fn text(&mut self, value: Option<&str>) {
        if !self.first {
            self.out.push(b'\t');
        }
        self.first = false;
        let Some(value) = value else {
            self.out.extend_from_slice(b"\\N");
            return;
        };
        // Hardly any cell has something to escape, and looking first is quicker than byte by byte.
        let plain =
            value.bytes().fold(true, |plain, it| plain & !matches!(it, b'\\' | b'\t' | b'\n' | b'\r'));
        if plain {
            self.out.extend_from_slice(value.as_bytes());
            return;
        }
        for byte in value.bytes() {
            match byte {
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                _ => self.out.push(byte),
            }
        }
    }
}
