//! Judges one row by itself: repairs what has one reading, refuses what has
//! none, and says why in Spanish. Pure: duplicates and the base are judged elsewhere.

mod checked;
mod consent;
mod dates;
mod history;
mod names;
mod relationship;

pub use checked::{Checked, Rejection};
pub use dates::date;
pub(super) use dates::written_date;
pub use history::Happened;

use super::{
    Kind,
    mapping::{Field, Mapping},
    reader::Row,
};
use crate::{
    chile::{
        comunas,
        phone::{Phone, PhoneError},
        rut::Rut,
        spreadsheet,
        text::{fold, tidy, tidy_lines},
    },
    contacts::{MAX_NOTES, address::EmailAddress, bulk::HistoryKind, website},
};
use chrono::NaiveDate;
use names::{split_name, split_reversed};
use std::{borrow::Cow, collections::HashMap};

/// Longest name, job or trade, in characters.
const MAX_NAME: usize = 200;
/// How many different texts the caches remember.
const CACHED: usize = 20_000;

/// Judges the rows of one file.
#[derive(Debug)]
pub struct Validator {
    kind: Kind,
    columns: Vec<String>,
    /// The column of each field, by the field's place among all.
    at: Vec<Option<usize>>,
    today: NaiveDate,
    usual: HistoryKind,
    company_keys: HashMap<String, String>,
    comunas: HashMap<String, Option<&'static str>>,
}

impl Validator {
    /// For a file of `kind` with these columns, meaning this, judged on the day `today`.
    #[must_use]
    pub fn new(kind: Kind, columns: &[String], mapping: &Mapping, today: NaiveDate) -> Validator {
        let mut at = Vec::new();
        for (column, field) in mapping.iter().enumerate().filter_map(|(at, it)| it.map(|field| (at, field))) {
            let place = field as usize;
            at.resize(at.len().max(place + 1), None);
            at[place] = Some(column);
        }
        Validator {
            kind,
            columns: columns.to_vec(),
            at,
            today,
            usual: HistoryKind::Purchase,
            company_keys: HashMap::new(),
            comunas: HashMap::new(),
        }
    }

    /// Rows of history that don't say what they are, are this.
    #[must_use]
    pub fn supposing(mut self, usual: HistoryKind) -> Validator {
        self.usual = usual;
        self
    }

    /// What `row` says.
    pub fn check(&mut self, row: &Row) -> Checked {
        let mut it = Checked::default();
        if row.holds('\0') {
            let column = (0..row.len()).find(|&at| row.cell(at).contains('\0')).unwrap_or(0);
            it.reject(
                self.column_name(column),
                &row.cell(column).replace('\0', "�"),
                "Tiene un carácter que no se puede leer (byte nulo): bórralo y escribe el dato de nuevo",
            );
            // Whoever it is, their no counts.
            it.accepts = self.text(row, Field::Accepts).and_then(|text| consent::yes_or_no(&text));
            it.email = self
                .text(row, Field::Email)
                .and_then(|it| it.parse::<EmailAddress>().ok())
                .map(|it| it.as_str().to_owned());
            return it;
        }
        if self.is_header(row) {
            it.reject("", "", "Es el encabezado repetido: no es un dato");
            return it;
        }
        if self.kind != Kind::History {
            self.check_company(row, &mut it);
        }
        match self.kind {
            Kind::History => self.check_history(row, &mut it),
            Kind::Companies => {
                if it.company_key.is_none() && it.rejections.is_empty() {
                    self.reject(&mut it, Field::CompanyName, row, "Falta el nombre de la empresa");
                }
                self.check_reach(row, &mut it);
            }
            Kind::Contacts => {
                self.check_person(row, &mut it);
                self.check_reach(row, &mut it);
                self.check_identity(row, &mut it);
            }
        }
        it.notes = self.text(row, Field::Notes).and_then(|text| self.notes(&text, &mut it));
        it.address = self.bounded(row, Field::Address, &mut it);
        self.check_website(row, &mut it);
        if row.used() > self.columns.len() {
            it.warn("Sobran celdas a la derecha del encabezado: no se importaron");
        }
        it
    }

    /// Whether the header stands here again, as in files put together from several.
    fn is_header(&self, row: &Row) -> bool {
        let same = |at: usize| {
            let (cell, name) = (row.cell(at).trim(), self.column_name(at));
            cell == name || cell.is_empty() && name.starts_with("Columna ")
        };
        row.used() > 1 && row.used() == self.columns.len() && (0..row.used()).all(same)
    }

    fn check_company(&mut self, row: &Row, it: &mut Checked) {
        it.company_name = self.bounded(row, Field::CompanyName, it);
        it.company_key =
            it.company_name.as_deref().map(|name| self.company_key(name)).filter(|key| !key.is_empty());
        if it.company_key.is_none() {
            it.company_name = None;
        }
        if let Some(text) = self.text(row, Field::Rut) {
            match text.parse::<Rut>() {
                Ok(rut) => it.rut = Some(rut.stored()),
                Err(error) => self.reject(it, Field::Rut, row, &sentence(&error.to_string())),
            }
        }
        it.industry = self.bounded(row, Field::Industry, it);
        if let Some(text) = self.text(row, Field::Comuna) {
            it.comuna = self.comuna(&text);
            if it.comuna.is_none() {
                let sentence = format!("No conocemos la comuna «{}»: quedó sin comuna", shorten(&text));
                self.doubt(it, Field::Comuna, &sentence);
            }
        }
    }

    fn check_website(&self, row: &Row, it: &mut Checked) {
        let Some(text) = self.bounded(row, Field::Website, it) else { return };
        it.website = website::parse(&text);
        if it.website.is_none() {
            let sentence = format!("El sitio web «{}» no se entiende: no se guardó", shorten(&text));
            self.doubt(it, Field::Website, &sentence);
        }
    }

    fn check_names(&self, row: &Row, it: &mut Checked) {
        for (field, split) in
            [(Field::FullNameReversed, split_reversed as fn(&str) -> _), (Field::FullName, split_name)]
        {
            if let Some(full) = self.name(row, field, it) {
                let (first, last) = split(&full);
                it.first_name = Some(first);
                it.last_name = last;
            }
        }
        if let Some(first) = self.name(row, Field::FirstName, it) {
            it.first_name = Some(first);
        }
        let lasts = [self.name(row, Field::LastName, it), self.name(row, Field::SecondLastName, it)];
        let last = lasts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if !last.is_empty() {
            it.last_name = Some(last);
        }
    }

    fn check_person(&self, row: &Row, it: &mut Checked) {
        self.check_names(row, it);
        it.job_title = self.bounded(row, Field::JobTitle, it);
        if let Some(text) = self.text(row, Field::BirthDate) {
            let oldest = NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default();
            it.birth_date = date(&text, self.today).filter(|day| *day >= oldest && *day <= self.today);
            if it.birth_date.is_none() {
                let sentence =
                    format!("La fecha de nacimiento «{}» no se entiende: quedó sin fecha", shorten(&text));
                self.doubt(it, Field::BirthDate, &sentence);
            }
        }
        self.check_relationship(row, it);
        self.check_consent(row, it);
    }

    fn check_reach(&self, row: &Row, it: &mut Checked) {
        if let Some(text) = self.text(row, Field::Email) {
            match text.parse::<EmailAddress>() {
                Ok(email) => it.email = Some(email.as_str().to_owned()),
                Err(_) if holds_several_addresses(&text) => self.reject(
                    it,
                    Field::Email,
                    row,
                    "Trae más de un correo en la misma celda: deja uno solo y pon el otro en otra fila",
                ),
                Err(error) => self.reject(it, Field::Email, row, &sentence(&error.to_string())),
            }
        }
        for field in [Field::Phone, Field::OtherPhone] {
            let Some(text) = self.text(row, field).filter(|_| it.phone.is_none()) else { continue };
            match phone(&text) {
                Ok((phone, one_of_several)) => {
                    it.phone = Some(phone);
                    if one_of_several {
                        self.doubt(
                            it,
                            field,
                            "Venían varios teléfonos en una celda: se guardó el primero que se entiende",
                        );
                    }
                }
                Err(error) => {
                    let sentence = format!("El teléfono «{}» no se guardó: {error}", shorten(&text));
                    self.doubt(it, field, &sentence);
                }
            }
        }
    }

    /// Somebody has a name or an address, and can be reached.
    fn check_identity(&self, row: &Row, it: &mut Checked) {
        let nameless = it.first_name.is_none() && it.last_name.is_none();
        if !it.rejections.is_empty() {
            return;
        }
        if nameless && it.email.is_none() {
            let field =
                if self.place(Field::FirstName).is_some() { Field::FirstName } else { Field::FullName };
            self.reject(it, field, row, "Falta el nombre");
        } else if it.email.is_none() && it.phone.is_none() {
            let (field, reason) = match self.text(row, Field::Phone) {
                Some(text) => match phone(&text) {
                    Err(error) => (Field::Phone, format!("Falta un correo, y el teléfono no sirve: {error}")),
                    Ok(_) => (Field::Email, "Falta un correo o un teléfono".to_owned()),
                },
                None => (Field::Email, "Falta un correo o un teléfono".to_owned()),
            };
            self.reject(it, field, row, &reason);
        }
    }

    fn place(&self, field: Field) -> Option<usize> {
        self.at.get(field as usize).copied().flatten()
    }

    fn text<'r>(&self, row: &'r Row, field: Field) -> Option<Cow<'r, str>> {
        let cell = row.cell(self.place(field)?).trim();
        if cell.is_empty() {
            return None;
        }
        let cell = spreadsheet::unguarded(cell).trim();
        (!cell.is_empty()).then_some(Cow::Borrowed(cell))
    }

    /// A tidy text that isn't too long; too long ones reject the row.
    fn bounded(&self, row: &Row, field: Field, it: &mut Checked) -> Option<String> {
        let text = tidy(&self.text(row, field)?);
        if text.len() > MAX_NAME && text.chars().count() > MAX_NAME {
            self.reject(it, field, row, "Es demasiado largo: el máximo son 200 caracteres");
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    /// A person's name. A formula is none: somebody would be greeted by it.
    fn name(&self, row: &Row, field: Field, it: &mut Checked) -> Option<String> {
        let text = self.bounded(row, field, it)?;
        if !spreadsheet::looks_like_formula(&text) {
            return Some(text);
        }
        let sentence = format!("El nombre «{}» parece una fórmula: no se guardó", shorten(&text));
        self.doubt(it, field, &sentence);
        None
    }

    fn company_key(&mut self, name: &str) -> String {
        if let Some(key) = self.company_keys.get(name) {
            return key.clone();
        }
        if self.company_keys.len() >= CACHED {
            self.company_keys.clear();
        }
        let key = fold(name);
        self.company_keys.insert(name.to_owned(), key.clone());
        key
    }

    fn comuna(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.comunas.get(text) {
            return *known;
        }
        if self.comunas.len() >= CACHED {
            self.comunas.clear();
        }
        let code = comunas::find(text).map(|it| it.code);
        self.comunas.insert(text.to_owned(), code);
        code
    }

    fn column_name(&self, column: usize) -> &str {
        self.columns.get(column).map_or("", String::as_str)
    }

    fn notes(&self, text: &str, it: &mut Checked) -> Option<String> {
        let mut notes = tidy_lines(text);
        if let Some((end, _)) = notes.char_indices().nth(MAX_NOTES) {
            notes.truncate(end);
            self.doubt(it, Field::Notes, "Las notas pasan de 10.000 caracteres: se guardó el comienzo");
        }
        (!notes.is_empty()).then_some(notes)
    }

    /// The row is good but for this cell, which is not taken as it stands.
    fn doubt(&self, it: &mut Checked, field: Field, sentence: &str) {
        it.doubted.extend(self.place(field));
        it.warn(sentence);
    }

    fn reject(&self, it: &mut Checked, field: Field, row: &Row, reason: &str) {
        let (column, value) = match self.place(field) {
            Some(at) => (self.column_name(at), row.cell(at)),
            None => (field.label(), ""),
        };
        it.reject(column, value, reason);
    }
}

/// `text` as the beginning of a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |it| it.to_uppercase().chain(letters).collect())
}

fn shorten(text: &str) -> String {
    let text = tidy(text);
    if text.chars().count() > 40 { text.chars().take(40).chain(['…']).collect() } else { text }
}

/// Whether `text` is addresses one beside the other, however they are parted.
fn holds_several_addresses(text: &str) -> bool {
    let parts = text.split(|it: char| it.is_whitespace() || matches!(it, '/' | ',' | ';' | '|'));
    parts.filter(|it| it.parse::<EmailAddress>().is_ok()).count() > 1
}

/// The telephone of a cell, and whether it is one of several.
fn phone(text: &str) -> Result<(String, bool), PhoneError> {
    match text.parse::<Phone>() {
        Ok(phone) => Ok((phone.as_str().to_owned(), false)),
        Err(PhoneError::Several) => text
            .split(['/', ';', ',', '|', '\n'])
            .find_map(|part| part.parse::<Phone>().ok())
            .map(|phone| (phone.as_str().to_owned(), true))
            .ok_or(PhoneError::Several),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(cells: [&str; 8]) -> Checked {
        let columns: Vec<String> =
            ["RUT Empresa", "Empresa", "Nombre", "Apellidos", "Email", "Teléfono", "Acepta correo", "Comuna"]
                .map(str::to_owned)
                .to_vec();
        let mapping = super::super::mapping::guess(Kind::Contacts, &columns);
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        Validator::new(Kind::Contacts, &columns, &mapping, today).check(&Row::of(2, cells))
    }

    fn reasons(it: &Checked) -> Vec<(&str, &str)> {
        it.rejections.iter().map(|it| (it.column.as_str(), it.reason.as_str())).collect()
    }

    #[test]
    fn a_good_row_is_repaired_and_kept() {
        let it = contact([
            "76.086.428-5",
            " Salmones  Ñuñoa SpA ",
            "ana",
            "Muñoz",
            "  ANA@X.Example ",
            "9 8765 4321",
            "Sí",
            "puerto montt",
        ]);
        assert_eq!(reasons(&it), []);
        assert_eq!(it.rut.as_deref(), Some("76086428-5"));
        assert_eq!(it.company_key.as_deref(), Some("salmones nunoa spa"));
        assert_eq!(it.email.as_deref(), Some("ana@x.example"));
        assert_eq!(it.phone.as_deref(), Some("+56987654321"));
        assert_eq!((it.comuna, it.accepts), (Some("10101"), Some(true)));
        assert_eq!(it.warning, None);
    }

    #[test]
    fn what_has_no_reading_is_refused_with_its_column() {
        let check = |cells, column: &str, reason: &str| {
            let it = contact(cells);
            assert_eq!(it.rejections.len(), 1, "{it:?}");
            assert_eq!(it.rejections[0].column, column);
            assert!(it.rejections[0].reason.contains(reason), "{it:?}");
        };
        check(["76086428-1", "E", "Ana", "", "a@x.example", "", "", ""], "RUT Empresa", "dígito verificador");
        check(["", "", "Ana", "", "no tiene", "987654321", "", ""], "Email", "");
        check(["", "", "", "", "", "987654321", "", ""], "Nombre", "Falta el nombre");
        check(["", "", "Ana", "", "", "", "", ""], "Email", "Falta un correo o un teléfono");
        check(["", "", "Ana", "", "", "sin teléfono", "", ""], "Teléfono", "el teléfono no sirve");
        check(["", "", "A\0na", "", "a@x.example", "", "", ""], "Nombre", "byte nulo");
    }

    #[test]
    fn two_addresses_in_one_cell_are_told_as_such() {
        for text in
            ["uno@x.example / dos@x.example", "uno@x.example;dos@x.example", "uno@x.example dos@x.example"]
        {
            let it = contact(["", "", "Ana", "", text, "", "", ""]);
            assert!(it.rejections[0].reason.contains("más de un correo"), "{text}: {it:?}");
        }
        let one = contact(["", "", "Ana", "", "uno @x.example", "", "", ""]);
        assert_eq!(reasons(&one), [("Email", "Lleva espacios")]);
    }

    #[test]
    fn an_unreadable_phone_is_dropped_where_there_is_an_address() {
        let it = contact(["", "", "Ana", "", "a@x.example", "sin teléfono", "", "Atlántida"]);
        assert_eq!((reasons(&it), it.phone.clone()), (vec![], None));
        let warning = it.warning.unwrap();
        assert!(warning.contains("sin teléfono") && warning.contains("Atlántida"), "{warning}");
        let two = contact(["", "", "Ana", "", "a@x.example", "987654321 / 65 2 345678", "", ""]);
        assert_eq!(two.phone.as_deref(), Some("+56987654321"));
        assert!(two.warning.is_some());
    }

    #[test]
    fn an_answer_without_a_reading_gives_no_permission_and_says_so() {
        let check = |text: &str, accepts: Option<bool>, warns: bool| {
            let it = contact(["", "", "Ana", "", "a@x.example", "", text, ""]);
            assert_eq!((it.accepts, it.warning.is_some()), (accepts, warns), "{text}: {it:?}");
        };
        check("Sí", Some(true), false);
        check("No, gracias", Some(false), false);
        check("", None, false);
        check("quizás", None, true);
        let warning = contact(["", "", "Ana", "", "a@x.example", "", "quizás", ""]).warning.unwrap();
        assert!(warning.contains("«quizás» en «Acepta correo» no se entendió"), "{warning}");
    }

    #[test]
    fn what_is_dropped_is_said() {
        let columns = ["Nombre", "Correo", "Origen", "Notas", "Web"].map(str::to_owned);
        let mapping = super::super::mapping::guess(Kind::Contacts, &columns);
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let mut validator = Validator::new(Kind::Contacts, &columns, &mapping, today);
        let mut check = |source: &str, notes: &str, web: &str| {
            validator.check(&Row::of(2, ["Ana", "a@x.example", source, notes, web]))
        };
        let it = check("Feria de Osorno", &"á".repeat(10_000), "www.sur.cl");
        assert_eq!((it.source, it.warning.as_deref()), (Some("EVENTO"), None));
        assert_eq!(it.notes.unwrap().chars().count(), 10_000);
        assert_eq!(it.website.as_deref(), Some("https://www.sur.cl"));
        let it = check("Paloma mensajera", &"á".repeat(10_001), "javascript:alert(1)");
        let warning = it.warning.unwrap();
        for words in ["origen «Paloma mensajera»", "Las notas pasan de 10.000", "«javascript:alert(1)»"] {
            assert!(warning.contains(words), "{warning}");
        }
        assert_eq!((it.notes.unwrap().chars().count(), it.website), (10_000, None));
    }

    #[test]
    fn a_formula_is_no_name_and_the_guard_of_our_report_is_taken_off() {
        for name in
            ["=cmd|' /C calc'!A0", "'=1+1", "=HYPERLINK(\"http://x\")", "+cmd|'x'", "@SUM(A1)", "-2+3+cmd"]
        {
            let it = contact(["", "", name, "Soto", "a@x.example", "'+56987654321", "", ""]);
            assert_eq!((it.first_name.as_deref(), it.last_name.as_deref()), (None, Some("Soto")), "{name}");
            assert_eq!(it.phone.as_deref(), Some("+56987654321"));
            assert!(it.warning.is_some_and(|it| it.contains("parece una fórmula")), "{name}");
            assert_eq!((it.doubted, it.rejections.len()), (vec![2], 0), "{name}");
        }
        let dash = contact(["", "", "Ana", "-", "a@x.example", "", "", ""]);
        assert_eq!(dash.warning, None);
        let nobody = contact(["", "", "=1+1", "", "", "987654321", "", ""]);
        assert_eq!(reasons(&nobody), [("Nombre", "Falta el nombre")]);
    }
}
