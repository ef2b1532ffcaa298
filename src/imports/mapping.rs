//! Which column means what: guessed from Spanish and English headers, corrected
//! by people. Pure: knows headers and first rows, no database.

use super::Kind;
use crate::chile::text::fold;
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
    /// Whether the person agrees to be written to.
    Accepts,
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
                Field::Accepts,
                Field::Notes,
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
            Field::Accepts => "accepts",
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
            Field::Accepts => "Acepta correo",
        }
    }

    /// From the name in forms.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Field> {
        Field::of(Kind::Contacts).iter().copied().find(|it| it.code() == code)
    }
}

/// Headers as `fold` leaves them, by what they mean; the better name of two first.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::CompanyName,
        &[
            "empresa",
            "nombre empresa",
            "nombre de la empresa",
            "nombre de empresa",
            "razon social",
            "compania",
            "nombre compania",
            "organizacion",
            "institucion",
            "nombre fantasia",
            "nombre de fantasia",
            "negocio",
            "company name",
            "company",
            "organization",
            "account name",
            "business name",
            "cliente empresa",
        ],
    ),
    (
        Field::Rut,
        &[
            "rut empresa",
            "rut de la empresa",
            "rut compania",
            "rut razon social",
            "company rut",
            "rut cliente empresa",
        ],
    ),
    (
        Field::Industry,
        &[
            "rubro",
            "giro",
            "industria",
            "sector",
            "actividad",
            "actividad economica",
            "industry",
            "giro comercial",
        ],
    ),
    (
        Field::FirstName,
        &[
            "nombre",
            "nombres",
            "primer nombre",
            "first name",
            "firstname",
            "given name",
            "name",
            "nombre contacto",
            "nombre de pila",
        ],
    ),
    (
        Field::LastName,
        &[
            "apellidos",
            "apellido",
            "apellido paterno",
            "primer apellido",
            "paterno",
            "last name",
            "lastname",
            "surname",
            "family name",
            "ap paterno",
        ],
    ),
    (Field::SecondLastName, &["apellido materno", "segundo apellido", "materno", "ap materno"]),
    (
        Field::FullName,
        &[
            "nombre completo",
            "nombre y apellido",
            "nombre y apellidos",
            "nombres y apellidos",
            "apellidos y nombres",
            "apellido y nombre",
            "contacto",
            "persona",
            "persona de contacto",
            "full name",
            "fullname",
            "contact name",
            "cliente",
        ],
    ),
    (
        Field::Email,
        &[
            "email",
            "e mail",
            "mail",
            "correo",
            "correo electronico",
            "correo e",
            "email address",
            "direccion de correo",
            "direccion de correo electronico",
            "correo contacto",
            "email contacto",
            "e mail contacto",
            "e mail 1",
            "email 1",
            "e mail 1 value",
            "correo empresa",
            "email empresa",
            "correos",
        ],
    ),
    (
        Field::Phone,
        &[
            "celular",
            "movil",
            "telefono movil",
            "telefono celular",
            "whatsapp",
            "telefono",
            "fono",
            "phone",
            "mobile",
            "mobile phone",
            "phone number",
            "cell",
            "tel",
            "numero de telefono",
            "telefono contacto",
            "fono contacto",
            "telefono 1",
            "phone 1 value",
            "n telefono",
            "numero",
            "contacto telefonico",
        ],
    ),
    (
        Field::OtherPhone,
        &["telefono 2", "otro telefono", "telefono fijo", "fono fijo", "telefono alternativo", "celular 2"],
    ),
    (Field::JobTitle, &["cargo", "puesto", "job title", "title", "position", "posicion", "rol"]),
    (
        Field::BirthDate,
        &[
            "fecha de nacimiento",
            "fecha nacimiento",
            "nacimiento",
            "f nacimiento",
            "fec nac",
            "cumpleanos",
            "birth date",
            "birthdate",
            "birthday",
            "date of birth",
        ],
    ),
    (Field::Comuna, &["comuna", "ciudad", "city", "localidad", "town"]),
    (
        Field::Address,
        &["direccion", "domicilio", "calle", "address", "street", "direccion comercial", "street address"],
    ),
    (Field::Website, &["sitio web", "web", "pagina web", "website", "url", "sitio", "pagina"]),
    (
        Field::Notes,
        &[
            "notas",
            "nota",
            "observaciones",
            "observacion",
            "comentarios",
            "comentario",
            "notes",
            "comments",
            "obs",
        ],
    ),
    (Field::Source, &["origen", "fuente", "source", "como nos conocio", "canal de origen", "procedencia"]),
    (
        Field::Accepts,
        &[
            "acepta correo",
            "acepta correos",
            "acepta email",
            "acepta publicidad",
            "consentimiento",
            "acepta",
            "suscrito",
            "autoriza",
            "autoriza correo",
            "consent",
            "subscribed",
            "opt in",
            "acepta promociones",
            "acepta recibir correos",
        ],
    ),
];

/// In a file of companies these headers speak of the company itself.
const COMPANY_NAMES: &[(Field, &[&str])] = &[
    (Field::CompanyName, &["name", "nombre", "cliente", "nombre cliente"]),
    (Field::Rut, &["rut", "rol unico tributario", "tax id"]),
];

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
    if kind == Kind::Contacts && !mapping.contains(&Some(Field::LastName)) {
        if mapping.contains(&Some(Field::FullName)) {
            return mapping;
        }
        if let Some(it) = mapping.iter_mut().find(|it| **it == Some(Field::FirstName)) {
            *it = Some(Field::FullName);
        }
    }
    mapping
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
        contacts(
            "Apellido Paterno,Apellido Materno,Nombres,E-Mail",
            "last_name,second_last_name,first_name,email",
        );
        contacts("Teléfono,Celular,Nombre completo", "other_phone,phone,full_name");
        contacts("correo,correo", "email,-");
        contacts("RUT,Nombre,Mail", "-,full_name,email");
        let companies = |header, expected| check(Kind::Companies, header, expected);
        companies("name,industry,city,website", "company_name,industry,comuna,website");
        companies("Nombre,Razón Social,RUT,Fono", "-,company_name,rut,phone");
    }

    #[test]
    fn what_is_indispensable_is_asked_for_by_name() {
        let columns = vec!["Nombre".to_owned(), "Color".to_owned()];
        let sentence = missing(Kind::Contacts, &guess(Kind::Contacts, &columns), &columns).unwrap();
        assert!(sentence.contains("el correo o el teléfono") && sentence.contains("«Color»"), "{sentence}");
        assert_eq!(missing(Kind::Companies, &vec![Some(Field::CompanyName)], &columns), None);
    }

    #[test]
    fn a_choice_is_made_fit() {
        let chosen = [Some(Field::Email), Some(Field::Email), Some(Field::FirstName), None];
        assert_eq!(sane(Kind::Companies, &chosen, 3), vec![Some(Field::Email), None, None]);
    }
}
