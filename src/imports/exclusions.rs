//! Lists of people not to be disturbed, such as SERNAC's "No Molestar": any file
//! that reads, its addresses and telephones to hashes in the list of exclusion.
//! Nobody is created by it, and no address of it is kept.

use super::{
    Kind,
    mapping::{self, Field},
    reader::{self, ReadError, Row, Source},
};
use crate::{
    access::Actor,
    audit,
    channels::Channel,
    chile::phone::Phone,
    contacts::address::EmailAddress,
    db::Tx,
    error::{Error, Result},
    messaging::{
        kinds::SuppressionReason,
        suppression::{self, Foreign},
    },
};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

/// Most addresses of one list; they are held in memory for as long as it is read.
const AT_MOST: usize = 500_000;

/// What a file holds of addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    emails: BTreeSet<String>,
    phones: BTreeSet<String>,
    /// Rows without any.
    pub unread: i64,
}

/// What came of taking a list in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Addresses for email.
    pub emails: usize,
    /// Telephones.
    pub phones: usize,
    /// Rows with neither.
    pub unread: i64,
    /// Entries that the list of exclusion did not have; a telephone makes two, for SMS and WhatsApp.
    pub new: u64,
}

/// Read the addresses of the file at `path`. Columns named so are read; in a file
/// without such names, every cell that holds an address or a mobile.
///
/// # Errors
/// When the file can't be read, holds no address, or too many; the sentence says why.
pub fn read(path: &Path) -> Result<Addresses> {
    let mut found = Addresses::default();
    read_into(path, &mut found).map_err(|error| match error {
        ReadError::Unreadable(sentence) => Error::invalid("file", sentence),
        ReadError::Io(error) => error.into(),
    })?;
    if found.emails.len() + found.phones.len() >= AT_MOST {
        return Err(Error::invalid(
            "file",
            "La lista tiene más de 500.000 direcciones. No se guardó nada. Divídela en partes y súbelas una a una.",
        ));
    }
    if found.emails.is_empty() && found.phones.is_empty() {
        return Err(Error::invalid(
            "file",
            "No encontramos ningún correo ni teléfono en el archivo. No se guardó nada. Revisa que sea la lista correcta.",
        ));
    }
    Ok(found)
}

fn read_into(path: &Path, found: &mut Addresses) -> std::result::Result<(), ReadError> {
    let source = Source::open(path)?;
    // A list of one cell, or of addresses alone, has no header, and that is no fault.
    let layout = reader::layout(&source, None, &|text| mapping::is_known(Kind::Contacts, text)).ok();
    let fields = layout.as_ref().map(|it| mapping::guess(Kind::Contacts, &it.columns)).unwrap_or_default();
    let named: Vec<usize> = (0..fields.len())
        .filter(|at| matches!(fields[*at], Some(Field::Email | Field::Phone | Field::OtherPhone)))
        .collect();
    let header_row = layout.as_ref().filter(|_| !named.is_empty()).map_or(0, |it| it.header_row);
    let mut first = true;
    source.each_row(None, &mut |row, _| {
        if row.number <= header_row {
            return ControlFlow::Continue(());
        }
        let any = if named.is_empty() { any_cell(row, found) } else { named_cells(row, &named, found) };
        // Without names we know of, the first row may be a header all the same.
        if !(any || first && named.is_empty()) {
            found.unread += 1;
        }
        first = false;
        if found.emails.len() + found.phones.len() < AT_MOST {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })
}

fn named_cells(row: &Row, named: &[usize], found: &mut Addresses) -> bool {
    named.iter().fold(false, |any, &at| {
        let cell = row.cell(at).trim();
        found.email(cell) || found.phone(cell) || any
    })
}

fn any_cell(row: &Row, found: &mut Addresses) -> bool {
    let alone = row.used() == 1;
    row.cells().fold(false, |any, cell| {
        let cell = cell.trim();
        // A RUT or a date beside it must not pass for somebody's telephone.
        let digits: String = cell.chars().filter(char::is_ascii_digit).collect();
        let is_mobile = digits.len() == 9 && digits.starts_with('9') || digits.starts_with("569");
        found.email(cell) || (alone || is_mobile) && found.phone(cell) || any
    })
}

impl Addresses {
    fn email(&mut self, cell: &str) -> bool {
        let parsed = Some(cell).filter(|it| it.contains('@')).and_then(|it| it.parse::<EmailAddress>().ok());
        let is_one = parsed.is_some();
        self.emails.extend(parsed.map(|it| it.as_str().to_owned()));
        is_one
    }

    fn phone(&mut self, cell: &str) -> bool {
        let parsed = cell.parse::<Phone>().ok();
        let is_one = parsed.is_some();
        self.phones.extend(parsed.map(|it| it.as_str().to_owned()));
        is_one
    }
}

/// Exclude the `found` addresses from promotions, on every channel that they are addresses for.
///
/// # Errors
/// When the actor may not, or the database fails.
pub async fn take(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    filename: &str,
    found: Addresses,
) -> Result<Taken> {
    let Addresses { emails, phones, unread } = found;
    let detail: String = format!("Lista «{filename}»").chars().take(300).collect();
    let (emails, phones) = (emails.into_iter().collect::<Vec<_>>(), phones.into_iter().collect::<Vec<_>>());
    let mut new = 0;
    for (channels, addresses) in
        [(&[Channel::Email][..], &emails), (&[Channel::Sms, Channel::Whatsapp][..], &phones)]
    {
        let list = Foreign { channels, addresses, reason: SuppressionReason::NoMolestar, detail: &detail };
        new += suppression::exclude(tx, now, actor, &list).await?;
    }
    let taken = Taken { emails: emails.len(), phones: phones.len(), unread, new };
    let after = json!({ "file": filename, "emails": taken.emails, "phones": taken.phones, "new": new });
    let change = audit::Change {
        action: "suppression.import",
        subject_kind: "suppression",
        after: Some(after),
        ..audit::Change::default()
    };
    audit::record(tx, now, actor, change).await?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(content: &str, emails: &[&str], phones: &[&str], unread: i64) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let found = read(file.path()).unwrap();
        assert_eq!(found.emails.iter().map(String::as_str).collect::<Vec<_>>(), emails, "{content}");
        assert_eq!(found.phones.iter().map(String::as_str).collect::<Vec<_>>(), phones, "{content}");
        assert_eq!(found.unread, unread, "{content}");
    }

    #[test]
    fn lists_of_every_shape_are_read() {
        check("ana@x.example\n9 8765 4321\nANA@x.example\nnada\n", &["ana@x.example"], &["+56987654321"], 1);
        check("ana@x.example\n", &["ana@x.example"], &[], 0);
        check("Dato\nana@x.example\n", &["ana@x.example"], &[], 0);
        check(
            "Fecha;RUT;Correo;Teléfono\n01-02-2026;12.531.909-2;ana@x.example;56987654321\n01-02-2026;12.531.909-2;;\n",
            &["ana@x.example"],
            &["+56987654321"],
            1,
        );
        check("20260101;12531909;ana@x.example;987654321\n", &["ana@x.example"], &["+56987654321"], 0);
    }

    #[test]
    fn a_list_without_addresses_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"color;talla\nrojo;m\n").unwrap();
        assert!(read(file.path()).is_err());
    }
}
