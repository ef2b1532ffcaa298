//! Which column means what: guessed from Spanish and English headers, corrected
//! by people. Pure: knows headers and first rows, no database.

mod headers;

use super::{Kind, reader::Layout};
use crate::{
    chile::text::fold,
    contacts::{address::EmailAddress, bulk::HistoryKind},
};
use headers::{COMPANY_NAMES, HISTORY_NAMES, NAMES};
use serde::{Deserialize, Serialize};

/// What a column of a file can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The company: itself in a file of companies, the employer in one of contacts.
    CompanyName,
    /// The company's RUT.
    Rut,
    /// What the company does.
    Industry,
    /// Given names.
    FirstName,
    /// Family names.
    LastName,
    /// The second family name, in a column of its own.
    SecondLastName,
    /// Given and family names in one cell.
    FullName,
    /// Family and given names in one cell, in this order.
    FullNameReversed,
    /// Address for email.
    Email,
    /// Telephone.
    Phone,
    /// A second telephone, used where the first is missing.
    OtherPhone,
    /// What the person does at the company.
    JobTitle,
    /// Date of birth.
    BirthDate,
    /// Comuna or city.
    Comuna,
    /// Street and number of the company.
    Address,
    /// The company's web site.
    Website,
    /// Anything worth keeping.
    Notes,
    /// Where the person was met.
    Source,
    /// What the person is interested in: tags, several in a cell.
    Interests,
    /// How far the relationship has come.
    Lifecycle,
    /// Who of the team looks after the person.
    Owner,
    /// Whether the person agrees to be written to.
    Accepts,
    /// Whether it was a purchase, a visit or an enrolment.
    EventKind,
    /// The day it happened.
    EventDate,
    /// What was bought, attended or enrolled in.
    Item,
    /// What was paid for it, in pesos.
    Amount,
    /// How many.
    Quantity,
}

impl Field {
    /// What can be imported of `kind`, in the order of the form.
    #[must_use]
    pub fn of(kind: Kind) -> &'static [Field] {
        match kind {
            Kind::Companies => &[
                Field::CompanyName,
                Field::Rut,
                Field::Industry,
                Field::Comuna,
                Field::Address,
                Field::Website,
                Field::Phone,
                Field::OtherPhone,
                Field::Email,
                Field::Notes,
            ],
            Kind::Contacts => &[
                Field::FirstName,
                Field::LastName,
                Field::SecondLastName,
                Field::FullName,
                Field::FullNameReversed,
                Field::Email,
                Field::Phone,
                Field::OtherPhone,
                Field::JobTitle,
                Field::CompanyName,
                Field::Rut,
                Field::Industry,
                Field::Comuna,
                Field::Address,
                Field::Website,
                Field::BirthDate,
                Field::Source,
                Field::Interests,
                Field::Lifecycle,
                Field::Owner,
                Field::Accepts,
                Field::Notes,
            ],
            Kind::History => &[
                Field::EventDate,
                Field::EventKind,
                Field::Item,
                Field::Amount,
                Field::Quantity,
                Field::Email,
                Field::Phone,
                Field::OtherPhone,
                Field::FirstName,
                Field::LastName,
                Field::SecondLastName,
                Field::FullName,
                Field::FullNameReversed,
                Field::Rut,
            ],
        }
    }

    /// Name in forms and documents.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Field::CompanyName => "company_name",
            Field::Rut => "rut",
            Field::Industry => "industry",
            Field::FirstName => "first_name",
            Field::LastName => "last_name",
            Field::SecondLastName => "second_last_name",
            Field::FullName => "full_name",
            Field::FullNameReversed => "full_name_reversed",
            Field::Email => "email",
            Field::Phone => "phone",
            Field::OtherPhone => "other_phone",
            Field::JobTitle => "job_title",
            Field::BirthDate => "birth_date",
            Field::Comuna => "comuna",
            Field::Address => "address",
            Field::Website => "website",
            Field::Notes => "notes",
            Field::Source => "source",
            Field::Interests => "interests",
            Field::Lifecycle => "lifecycle",
            Field::Owner => "owner",
            Field::Accepts => "accepts",
            Field::EventKind => "event_kind",
            Field::EventDate => "event_date",
            Field::Item => "item",
            Field::Amount => "amount",
            Field::Quantity => "quantity",
        }
    }

    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Field::CompanyName => "Empresa",
            Field::Rut => "RUT de la empresa",
            Field::Industry => "Rubro",
            Field::FirstName => "Nombre",
            Field::LastName => "Apellidos",
            Field::SecondLastName => "Segundo apellido",
            Field::FullName => "Nombre completo",
            Field::FullNameReversed => "Apellidos y nombres, en ese orden",
            Field::Email => "Correo",
            Field::Phone => "Teléfono",
            Field::OtherPhone => "Otro teléfono",
            Field::JobTitle => "Cargo",
            Field::BirthDate => "Fecha de nacimiento",
            Field::Comuna => "Comuna o ciudad",
            Field::Address => "Dirección",
            Field::Website => "Sitio web",
            Field::Notes => "Notas",
            Field::Source => "Origen",
            Field::Interests => "Intereses o etiquetas",
            Field::Lifecycle => "Etapa",
            Field::Owner => "Responsable en tu equipo",
            Field::Accepts => "Acepta promociones",
            Field::EventKind => "Qué fue: compra, visita o inscripción",
            Field::EventDate => "Fecha",
            Field::Item => "Producto o servicio",
            Field::Amount => "Monto",
            Field::Quantity => "Cantidad",
        }
    }

    /// From the name in forms.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Field> {
        let all = Field::of(Kind::Contacts).iter().chain(Field::of(Kind::History));
        all.copied().find(|it| it.code() == code)
    }
}

/// What each column means, in order; none: it is not imported.
pub type Mapping = Vec<Option<Field>>;

fn meaning(kind: Kind, header: &str) -> Option<(Field, usize)> {
    let folded = fold(header);
    let find = |names: &[(Field, &[&str])]| {
        names
            .iter()
            .find_map(|(field, names)| names.iter().position(|it| *it == folded).map(|rank| (*field, rank)))
    };
    let own = match kind {
        // Behind every better name: "Empresa" beats "Nombre" for a company.
        Kind::Companies => find(COMPANY_NAMES).map(|(field, rank)| (field, rank + 50)),
        Kind::History => {
            // The number of a receipt, more often than of a telephone.
            if folded == "numero" {
                return None;
            }
            find(HISTORY_NAMES).or_else(|| find(COMPANY_NAMES).filter(|(field, _)| *field == Field::Rut))
        }
        Kind::Contacts => None,
    };
    own.or_else(|| find(NAMES)).filter(|(field, _)| Field::of(kind).contains(field))
}

/// Whether `text` is the name of a column that an import of `kind` understands.
#[must_use]
pub fn is_known(kind: Kind, text: &str) -> bool {
    text.len() < 60 && meaning(kind, text).is_some()
}

/// The meaning of each of `columns`, each meaning given once, to the best name.
#[must_use]
pub fn guess(kind: Kind, columns: &[String]) -> Mapping {
    let meanings: Vec<_> = columns.iter().map(|it| meaning(kind, it)).collect();
    let mut mapping: Mapping = vec![None; columns.len()];
    for &field in Field::of(kind) {
        let best = meanings
            .iter()
            .enumerate()
            .filter_map(|(at, it)| it.filter(|(of, _)| *of == field).map(|(_, rank)| (rank, at)))
            .min();
        if let Some((_, at)) = best {
            mapping[at] = Some(field);
        }
    }
    // A second telephone is no loss.
    if !mapping.contains(&Some(Field::OtherPhone)) && Field::of(kind).contains(&Field::OtherPhone) {
        let spare = meanings
            .iter()
            .zip(&mapping)
            .position(|(it, taken)| taken.is_none() && it.is_some_and(|(field, _)| field == Field::Phone));
        if let Some(at) = spare {
            mapping[at] = Some(Field::OtherPhone);
        }
    }
    // "Nombre" alone, without a column of family names, holds both.
    if kind != Kind::Companies && !mapping.contains(&Some(Field::LastName)) {
        if mapping.contains(&Some(Field::FullName)) || mapping.contains(&Some(Field::FullNameReversed)) {
            return mapping;
        }
        if let Some(it) = mapping.iter_mut().find(|it| **it == Some(Field::FirstName)) {
            *it = Some(Field::FullName);
        }
    }
    mapping
}

/// Whether the file is a bare list of addresses: one column without a header, all of whose first rows are addresses.
#[must_use]
pub fn list_of_addresses(kind: Kind, layout: &Layout) -> bool {
    let is_address = |cell: &String| cell.parse::<EmailAddress>().is_ok();
    kind == Kind::Contacts
        && layout.header_row == 0
        && layout.columns.len() == 1
        && layout.sample.iter().all(|row| row.cells.first().is_some_and(is_address))
}

/// Whether the file's yes and no are about email alone: its header names it. Any other means promotions altogether.
#[must_use]
pub fn answers_email_alone(columns: &[String], mapping: &Mapping) -> bool {
    let header = columns.iter().zip(mapping).find(|(_, field)| **field == Some(Field::Accepts));
    header.is_some_and(|(header, _)| {
        let names_it = |word| matches!(word, "correo" | "correos" | "email" | "emails" | "mail" | "mails");
        crate::chile::text::fold(header).split(' ').any(names_it)
    })
}

/// A column that isn't imported though rows hold something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its header.
    pub column: String,
    /// Rows that hold something in it.
    pub rows: i64,
    /// What it means too, with the header of the column that is taken for it.
    pub repeats: Option<(Field, String)>,
}

/// What a report of rejected rows adds to the columns of its file: the row, the column and the reason.
pub const OF_REPORTS: [&str; 3] = ["fila", "columna", "motivo"];

/// The columns that hold something and aren't imported, in the order of the file. What a report of ours added, which comes
/// back with the corrected rows, is nobody's data.
#[must_use]
pub fn left_out(kind: Kind, columns: &[String], mapping: &Mapping, filled: &[i64]) -> Vec<LeftOut> {
    let taken = |field: Field| {
        let at = mapping.iter().position(|it| *it == Some(field))?;
        Some((field, columns.get(at)?.clone()))
    };
    let own = if columns.ends_with(&OF_REPORTS.map(str::to_owned)) { OF_REPORTS.len() } else { 0 };
    let all = columns.iter().zip(mapping).zip(filled).take(columns.len() - own);
    all.filter(|((_, field), rows)| field.is_none() && **rows > 0)
        .map(|((column, _), &rows)| LeftOut {
            column: column.clone(),
            rows,
            repeats: meaning(kind, unnumbered(column)).and_then(|(field, _)| taken(field)),
        })
        .collect()
}

/// A header without the number at its end: "Email 2" is an Email.
fn unnumbered(header: &str) -> &str {
    header.trim_end().trim_end_matches(|it: char| it.is_ascii_digit() || "°º_-.() ".contains(it))
}

/// What the rows of a file of history are, where they don't say it themselves: by its headers.
#[must_use]
pub fn usual_history(columns: &[String], mapping: &Mapping) -> HistoryKind {
    let telling = columns
        .iter()
        .zip(mapping)
        .filter(|(_, field)| matches!(field, Some(Field::EventDate | Field::Item | Field::Quantity)));
    telling
        .map(|(header, _)| header)
        .find_map(|it| HistoryKind::from_words(it))
        .unwrap_or(HistoryKind::Purchase)
}

/// What keeps an import of `kind` from making sense of the file, if anything. Spanish, for the user.
#[must_use]
pub fn missing(kind: Kind, mapping: &Mapping, columns: &[String]) -> Option<String> {
    let has = |field| mapping.contains(&Some(field));
    let lacks = match kind {
        Kind::Companies if !has(Field::CompanyName) => "la columna con el nombre de la empresa",
        Kind::Contacts if !has(Field::Email) && !has(Field::Phone) && !has(Field::OtherPhone) => {
            "una columna con el correo o el teléfono"
        }
        Kind::History if !has(Field::EventDate) => "la columna con la fecha",
        Kind::History
            if !has(Field::Email)
                && !has(Field::Phone)
                && !has(Field::OtherPhone)
                && !(has(Field::Rut)
                    && (has(Field::FullName) || has(Field::FullNameReversed) || has(Field::FirstName))) =>
        {
            "de quién es cada fila: una columna con el correo, el teléfono, o el RUT de la empresa y el nombre"
        }
        _ => return None,
    };
    Some(format!(
        "No encontramos {lacks}. Las columnas del archivo son: {}. No se guardó nada. Cambia el encabezado, o indica qué es cada columna, y vuelve a intentarlo.",
        columns.iter().take(20).map(|it| format!("«{it}»")).collect::<Vec<_>>().join(", ")
    ))
}

/// A person's choice made fit for use: as long as the columns, nothing that
/// `kind` doesn't have, nothing twice.
#[must_use]
pub fn sane(kind: Kind, chosen: &[Option<Field>], width: usize) -> Mapping {
    let mut mapping: Mapping = vec![None; width];
    for (at, field) in chosen.iter().copied().enumerate().take(width) {
        if field.is_some_and(|it| Field::of(kind).contains(&it) && !mapping.contains(&Some(it))) {
            mapping[at] = field;
        }
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, header: &str, expected: &str) {
        let columns: Vec<String> = header.split(',').map(str::to_owned).collect();
        let codes: Vec<_> = guess(kind, &columns).iter().map(|it| it.map_or("-", Field::code)).collect();
        assert_eq!(codes.join(","), expected, "{header}");
    }

    #[test]
    fn headers_of_real_files_are_understood() {
        let contacts = |header, expected| check(Kind::Contacts, header, expected);
        contacts(
            "RUT Empresa,Empresa,Giro,Nombre,Apellidos,Email,Teléfono,Cargo,Comuna,Región,Dirección,Fecha contacto,Origen,Acepta correo,Notas",
            "rut,company_name,industry,first_name,last_name,email,phone,job_title,comuna,-,address,-,source,accepts,notes",
        );
        contacts(
            "first_name,last_name,email,phone,job_title,company_name",
            "first_name,last_name,email,phone,job_title,company_name",
        );
        contacts("NOMBRE,CORREO ELECTRÓNICO", "full_name,email");
        // What an export of ours holds.
        contacts(
            "Nombre,Apellidos,Correo,Etapa,Origen,Responsable,Intereses",
            "first_name,last_name,email,lifecycle,source,owner,interests",
        );
        contacts("Nombre,Mail,Etiquetas,Vendedor,Estado", "full_name,email,interests,owner,-");
        contacts("Apellidos y Nombres,Correo", "full_name_reversed,email");
        contacts(
            "Apellido Paterno,Apellido Materno,Nombres,E-Mail",
            "last_name,second_last_name,first_name,email",
        );
        contacts("Teléfono,Celular,Nombre completo", "other_phone,phone,full_name");
        contacts("correo,correo", "email,-");
        contacts("RUT,Nombre,Mail", "-,full_name,email");
        let history = |header, expected| check(Kind::History, header, expected);
        history(
            "Correo,Celular,Nombre,Fecha,Tipo,Producto,Monto,Cantidad",
            "email,phone,full_name,event_date,event_kind,item,amount,quantity",
        );
        history("N° boleta,Numero,Fecha de venta,RUT,Precio,Total", "-,-,event_date,rut,-,amount");
        history("email,date,kind,item,amount,quantity", "email,event_date,event_kind,item,amount,quantity");
        let companies = |header, expected| check(Kind::Companies, header, expected);
        companies("name,industry,city,website", "company_name,industry,comuna,website");
        companies("Nombre,Razón Social,RUT,Fono", "-,company_name,rut,phone");
    }

    #[test]
    fn what_a_file_of_history_is_about_is_told_by_its_headers() {
        for (header, expected) in [
            ("correo,fecha,monto", HistoryKind::Purchase),
            ("correo,fecha de visita", HistoryKind::Visit),
            ("correo,fecha,taller", HistoryKind::Enrolment),
        ] {
            let columns: Vec<String> = header.split(',').map(str::to_owned).collect();
            assert_eq!(usual_history(&columns, &guess(Kind::History, &columns)), expected, "{header}");
        }
    }

    #[test]
    fn what_is_indispensable_is_asked_for_by_name() {
        let columns = vec!["Nombre".to_owned(), "Color".to_owned()];
        let sentence = missing(Kind::Contacts, &guess(Kind::Contacts, &columns), &columns).unwrap();
        assert!(sentence.contains("el correo o el teléfono") && sentence.contains("«Color»"), "{sentence}");
        assert_eq!(missing(Kind::Companies, &vec![Some(Field::CompanyName)], &columns), None);
    }

    #[test]
    fn what_is_left_out_is_told_with_what_it_repeats() {
        let columns = ["Nombre", "Correo", "Email 2", "Talla", "Vacía"].map(str::to_owned);
        let mapping = guess(Kind::Contacts, &columns);
        let found = left_out(Kind::Contacts, &columns, &mapping, &[3, 2, 1, 3, 0]);
        let left = |column: &str, rows, repeats| LeftOut { column: column.to_owned(), rows, repeats };
        assert_eq!(
            found,
            [left("Email 2", 1, Some((Field::Email, "Correo".to_owned()))), left("Talla", 3, None)]
        );
    }

    #[test]
    fn the_columns_of_our_own_report_are_not_told_as_left_out() {
        let check = |columns: &[&str], expected: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|it| (*it).to_owned()).collect();
            let mapping = guess(Kind::Contacts, &columns);
            let found = left_out(Kind::Contacts, &columns, &mapping, &vec![1; columns.len()]);
            assert_eq!(found.iter().map(|it| it.column.as_str()).collect::<Vec<_>>(), expected);
        };
        check(&["Nombre", "Correo", "Talla", "fila", "columna", "motivo"], &["Talla"]);
        check(&["Nombre", "Correo", "motivo"], &["motivo"]);
        check(&["fila", "columna", "motivo", "Nombre", "Correo"], &["fila", "columna", "motivo"]);
    }

    #[test]
    fn a_choice_is_made_fit() {
        let chosen = [Some(Field::Email), Some(Field::Email), Some(Field::FirstName), None];
        assert_eq!(sane(Kind::Companies, &chosen, 3), vec![Some(Field::Email), None, None]);
    }
}
