//! One fact of a contact, changed by itself where it is read. The rest of the contact
//! is not looked at: two people may change two facts of one person at once.

use super::{
    company::Outcome,
    contact::{self, Draft},
};
use crate::{
    access::{Actor, Permission},
    db::Tx,
    error::Result,
    ids::ContactId,
};
use chrono::{DateTime, Utc};

/// A fact that is changed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// First and last name.
    Name,
    /// Email address.
    Email,
    /// Telephone.
    Phone,
    /// Where they work.
    Company,
    /// What they do there.
    JobTitle,
    /// Comuna.
    Comuna,
    /// Day of birth.
    BirthDate,
    /// Where they came from.
    Source,
    /// Who looks after them.
    Owner,
    /// Anything else.
    Notes,
}

impl Fact {
    /// Every one, in the order in which they are read.
    pub const ALL: [Fact; 10] = [
        Fact::Name,
        Fact::Email,
        Fact::Phone,
        Fact::Company,
        Fact::JobTitle,
        Fact::Comuna,
        Fact::BirthDate,
        Fact::Source,
        Fact::Owner,
        Fact::Notes,
    ];

    /// As in addresses.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Fact::Name => "name",
            other => other.fields()[0],
        }
    }

    /// From the code in an address.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Fact> {
        Fact::ALL.into_iter().find(|it| it.code() == code)
    }

    /// The fields of [`Draft`] that hold it.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Fact::Name => &["first_name", "last_name"],
            Fact::Email => &["email"],
            Fact::Phone => &["phone"],
            Fact::Company => &["company"],
            Fact::JobTitle => &["job_title"],
            Fact::Comuna => &["comuna"],
            Fact::BirthDate => &["birth_date"],
            Fact::Source => &["source"],
            Fact::Owner => &["owner_id"],
            Fact::Notes => &["notes"],
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Fact::Name => "Nombre",
            Fact::Email => "Correo",
            Fact::Phone => "Teléfono",
            Fact::Company => "Empresa",
            Fact::JobTitle => "Cargo",
            Fact::Comuna => "Comuna",
            Fact::BirthDate => "Nacimiento",
            Fact::Source => "Origen",
            Fact::Owner => "Responsable",
            Fact::Notes => "Notas",
        }
    }

    /// What `draft` says of it: a text for each of its fields.
    #[must_use]
    pub fn texts(self, draft: &Draft) -> Vec<String> {
        match self {
            Fact::Name => vec![draft.first_name.clone(), draft.last_name.clone()],
            Fact::Email => vec![draft.email.clone()],
            Fact::Phone => vec![draft.phone.clone()],
            Fact::Company => vec![draft.company.clone()],
            Fact::JobTitle => vec![draft.job_title.clone()],
            Fact::Comuna => vec![draft.comuna.clone()],
            Fact::BirthDate => vec![draft.birth_date.clone()],
            Fact::Source => vec![draft.source.clone()],
            Fact::Owner => vec![draft.owner_id.clone()],
            Fact::Notes => vec![draft.notes.clone()],
        }
    }

    /// `draft` with `typed`'s word on this fact.
    fn put(self, typed: &Draft, draft: Draft) -> Draft {
        let typed = typed.clone();
        match self {
            Fact::Name => Draft { first_name: typed.first_name, last_name: typed.last_name, ..draft },
            Fact::Email => Draft { email: typed.email, ..draft },
            Fact::Phone => Draft { phone: typed.phone, ..draft },
            Fact::Company => Draft { company: typed.company, ..draft },
            Fact::JobTitle => Draft { job_title: typed.job_title, ..draft },
            Fact::Comuna => Draft { comuna: typed.comuna, ..draft },
            Fact::BirthDate => Draft { birth_date: typed.birth_date, ..draft },
            Fact::Source => Draft { source: typed.source, ..draft },
            Fact::Owner => Draft { owner_id: typed.owner_id, ..draft },
            Fact::Notes => Draft { notes: typed.notes, ..draft },
        }
    }
}

/// Texts as a browser may have sent them back: its line ends are its own.
fn same(one: &[String], other: &[String]) -> bool {
    let plain = |it: &String| it.replace("\r\n", "\n").trim().to_owned();
    one.iter().map(plain).eq(other.iter().map(plain))
}

/// Change one fact of a contact, of which the person who typed saw `seen`.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden), [`Error::NotFound`](crate::error::Error::NotFound);
/// [`Error::Invalid`](crate::error::Error::Invalid) as for [`contact::create`]; or the database's.
pub async fn change(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: ContactId,
    fact: Fact,
    seen: &[String],
    typed: &Draft,
) -> Result<Outcome> {
    actor.require(Permission::EditContacts)?;
    let contact = contact::locked(tx, id).await?;
    let draft = contact.draft();
    let stands = fact.texts(&draft);
    if same(&stands, &fact.texts(typed)) {
        return Ok(Outcome::Unchanged);
    }
    let seen_at = if same(&stands, seen) { contact.updated_at } else { DateTime::<Utc>::MIN_UTC };
    let details = fact.put(typed, draft).check(now)?;
    contact::write(tx, now, actor, &contact, seen_at, &details).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_put_where_it_is_read_from() {
        let typed = Draft {
            first_name: "first_name".to_owned(),
            last_name: "last_name".to_owned(),
            email: "email".to_owned(),
            phone: "phone".to_owned(),
            company: "company".to_owned(),
            job_title: "job_title".to_owned(),
            birth_date: "birth_date".to_owned(),
            comuna: "comuna".to_owned(),
            source: "source".to_owned(),
            lifecycle: "lifecycle".to_owned(),
            owner_id: "owner_id".to_owned(),
            notes: "notes".to_owned(),
        };
        let mut all: Vec<&str> = Vec::new();
        for fact in Fact::ALL {
            let put = fact.put(&typed, Draft::default());
            assert_eq!(fact.texts(&put), fact.fields(), "{fact:?}");
            let others = Fact::ALL.into_iter().filter(|it| *it != fact);
            assert!(others.flat_map(|it| it.texts(&put)).all(|it| it.is_empty()), "{fact:?} alone");
            assert_eq!(Fact::from_code(fact.code()), Some(fact));
            all.extend(fact.fields());
        }
        assert_eq!(all.len(), 11, "all but the stage, which moves by steps");
    }

    #[test]
    fn line_ends_are_no_difference() {
        let texts = |it: &str| vec![it.to_owned()];
        assert!(same(&texts("uno\ndos"), &texts("uno\r\ndos\r\n")));
        assert!(!same(&texts("uno"), &texts("dos")));
    }
}
