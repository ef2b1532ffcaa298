//! Lists of people not to be disturbed, such as SERNAC's "No Molestar": any file
//! that reads, its addresses and telephones to hashes in the list of exclusion.
//! Nobody is created by it, and no address of it is kept.

use super::{
    Kind,
    mapping::{self, Field},
    reader::{self, ReadError, Source},
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

/// Read the addresses of the file at `path`, in every sheet that shows: of columns named so whatever
/// can be dialled, of every other cell addresses and mobiles. Somebody who asked for
/// peace must not be missed for the column that they stand in.
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
    if source.sheets().is_empty() {
        return read_sheet(&source, None, found);
    }
    source.sheets().iter().try_for_each(|sheet| read_sheet(&source, Some(sheet), found))
}

fn read_sheet(
    source: &Source,
    sheet: Option<&str>,
    found: &mut Addresses,
) -> std::result::Result<(), ReadError> {
    // A list of one cell, or of addresses alone, has no header, and that is no fault.
    let layout = reader::layout(source, sheet, None, &|text| mapping::is_known(Kind::Contacts, text)).ok();
    let fields = layout.as_ref().map(|it| mapping::guess(Kind::Contacts, &it.columns)).unwrap_or_default();
    let is_named = |it: &Option<Field>| matches!(it, Some(Field::Email | Field::Phone | Field::OtherPhone));
    let has_names = fields.iter().any(is_named);
    let header_row = layout.as_ref().filter(|_| has_names).map_or(0, |it| it.header_row);
    let mut first = true;
    source.each_row(sheet, &mut |row, _| {
        if row.number <= header_row {
            return ControlFlow::Continue(());
        }
        let alone = row.used() == 1;
        let any = row.cells().enumerate().fold(false, |any, (at, cell)| {
            let is_meant = alone || fields.get(at).is_some_and(is_named);
            found.cell(cell.trim(), is_meant) || any
        });
        // Without names we know of, the first row may be a header all the same.
        if !(any || first && !has_names) {
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

impl Addresses {
    /// Take every address of a cell, whatever stands beside it; false: it holds none. A number counts
    /// as a telephone where one `is_meant`, else only if it is a mobile.
    fn cell(&mut self, cell: &str, is_meant: bool) -> bool {
        if cell.contains('@') {
            let mut any = false;
            for part in cell.split(SEPARATORS) {
                let (addresses, rest): (Vec<&str>, Vec<&str>) =
                    part.split_whitespace().partition(|it| it.contains('@'));
                for word in addresses {
                    let word = word.trim_matches(['(', ')', '[', ']', '.', ':']);
                    if let Ok(email) = word.parse::<EmailAddress>() {
                        self.emails.insert(email.as_str().to_owned());
                        any = true;
                    }
                }
                any |= !rest.is_empty() && self.phone(&rest.join(" "), is_meant);
            }
            return any;
        }
        if self.phone(cell, is_meant) {
            return true;
        }
        // Every one of them is kept, not only the first.
        let parts = cell.split(SEPARATORS).filter(|part| self.phone(part, is_meant)).count();
        parts > 0 || cell.split_whitespace().filter(|part| self.phone(part, is_meant)).count() > 0
    }

    fn phone(&mut self, text: &str, is_meant: bool) -> bool {
        // A RUT or a date must not pass for somebody's telephone.
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_mobile = digits.len() == 9 && digits.starts_with('9') || digits.starts_with("569");
        let is_rut = text.trim().rsplit_once('-').is_some_and(|(_, check)| check.len() == 1);
        if !is_meant && (!is_mobile || is_rut) {
            return false;
        }
        let phone = text.parse::<Phone>().ok();
        let is_one = phone.is_some();
        self.phones.extend(phone.map(|it| it.as_str().to_owned()));
        is_one
    }
}

/// What stands between two addresses of one cell, or around one.
const SEPARATORS: [char; 8] = ['/', ';', ',', '|', '\n', '<', '>', '"'];

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
        check(
            "Correo;Teléfono;Observación\nana@x.example, eva@x.example;652345678 / 987654321;o a Luis <luis@x.example>\n;;912345678\n",
            &["ana@x.example", "eva@x.example", "luis@x.example"],
            &["+56652345678", "+56912345678", "+56987654321"],
            0,
        );
        check(
            "RUT;Correo;Razón social\n96.806.980-2;ana@x.example;Uno\n96.806.981-0;;Dos\n",
            &["ana@x.example"],
            &[],
            1,
        );
        check(
            "ana@x.example 9 8765 4321\n(eva@x.example).\n",
            &["ana@x.example", "eva@x.example"],
            &["+56987654321"],
            0,
        );
    }

    #[test]
    fn a_list_without_addresses_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"color;talla\nrojo;m\n").unwrap();
        assert!(read(file.path()).is_err());
    }
}
