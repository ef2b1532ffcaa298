//! Judges a row of history: what happened, when, for how much, and whether it says whose it is.
//! Pure: who that person is in the base is judged elsewhere.

use super::{Checked, Validator, date, sentence, shorten};
use crate::{
    chile::{pesos, rut::Rut, text::fold},
    contacts::bulk::HistoryKind,
    imports::{mapping::Field, reader::Row},
};
use chrono::NaiveDate;

/// No business keeps accounts from before.
const OLDEST_YEAR: i32 = 1970;
/// Largest amount of one row, in pesos.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// What happened, as a row says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Purchase, visit or enrolment.
    pub kind: HistoryKind,
    /// The day.
    pub on: NaiveDate,
    /// What it was about; empty where the row doesn't say.
    pub item: String,
    /// Pesos paid in all.
    pub amount: i64,
    /// How many.
    pub quantity: i32,
}

impl Validator {
    pub(super) fn check_history(&mut self, row: &Row, it: &mut Checked) {
        self.check_names(row, it);
        self.check_reach(row, it);
        self.check_company_of_person(row, it);
        let kind = self.check_kind(row, it);
        let on = self.check_day(row, it);
        let item = self.bounded(row, Field::Item, it).unwrap_or_default();
        let amount = self.check_number(row, Field::Amount, it, 0, MAX_AMOUNT).unwrap_or(0);
        let quantity = self.check_number(row, Field::Quantity, it, 1, 1_000_000).unwrap_or(1);
        if it.rejections.is_empty() && it.email.is_none() && it.phone.is_none() {
            let named = it.first_name.is_some() || it.last_name.is_some();
            if it.rut.is_none() || !named {
                let field = if self.place(Field::Email).is_some() { Field::Email } else { Field::Phone };
                self.reject(
                    it,
                    field,
                    row,
                    "Falta de quién es: un correo, un teléfono, o el RUT de su empresa con su nombre",
                );
            }
        }
        if let (Some(kind), Some(on)) = (kind, on) {
            it.happened =
                Some(Happened { kind, on, item, amount, quantity: i32::try_from(quantity).unwrap_or(1) });
        }
    }

    /// A RUT only helps to find somebody: where there is a better way a bad one does no harm.
    fn check_company_of_person(&self, row: &Row, it: &mut Checked) {
        let Some(text) = self.text(row, Field::Rut) else { return };
        match text.parse::<Rut>() {
            Ok(rut) => it.rut = Some(rut.stored()),
            Err(_) if it.email.is_some() || it.phone.is_some() => {
                let sentence = format!("El RUT «{}» no se entiende y no se usó", shorten(&text));
                self.doubt(it, Field::Rut, &sentence);
            }
            Err(error) => self.reject(it, Field::Rut, row, &sentence(&error.to_string())),
        }
    }

    fn check_kind(&self, row: &Row, it: &mut Checked) -> Option<HistoryKind> {
        let Some(text) = self.text(row, Field::EventKind) else { return Some(self.usual) };
        let kind = HistoryKind::from_words(&text);
        if kind.is_none() {
            self.reject(
                it,
                Field::EventKind,
                row,
                "No se entiende qué fue: escribe compra, visita o inscripción",
            );
        }
        kind
    }

    fn check_day(&self, row: &Row, it: &mut Checked) -> Option<NaiveDate> {
        let Some(text) = self.text(row, Field::EventDate) else {
            self.reject(it, Field::EventDate, row, "Falta la fecha");
            return None;
        };
        let oldest = NaiveDate::from_ymd_opt(OLDEST_YEAR, 1, 1).unwrap_or_default();
        let day = date(&text, self.today);
        match day {
            None => {
                self.reject(it, Field::EventDate, row, "La fecha no se entiende: escríbela como 31-12-2025");
            }
            Some(day) if day > self.today => {
                self.reject(
                    it,
                    Field::EventDate,
                    row,
                    "La fecha es futura: el historial es de lo que ya pasó",
                );
            }
            Some(day) if day < oldest => {
                self.reject(it, Field::EventDate, row, "La fecha es demasiado antigua: revisa el año");
            }
            Some(_) => {}
        }
        day
    }

    fn check_number(&self, row: &Row, field: Field, it: &mut Checked, least: i64, most: i64) -> Option<i64> {
        let text = self.text(row, field)?;
        let reason = match pesos::whole(&text) {
            Some(number) if (least..=most).contains(&number) => return Some(number),
            Some(number) if number < least && field == Field::Amount => {
                "El monto es negativo: las devoluciones no se importan"
            }
            Some(number) if number < least => "La cantidad debe ser 1 o más",
            Some(_) => "El número es demasiado grande: revísalo",
            None => "No se entiende el número: escríbelo como 15.990",
        };
        self.reject(it, field, row, reason);
        None
    }
}

impl Checked {
    /// The folded name; empty where there is none.
    #[must_use]
    pub fn name_key(&self) -> String {
        let name = [self.first_name.as_deref(), self.last_name.as_deref()];
        fold(&name.map(Option::unwrap_or_default).join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::{Kind, mapping, validate::Checked};

    fn history(cells: [&str; 8]) -> Checked {
        let columns: Vec<String> =
            ["Correo", "Teléfono", "RUT", "Nombre", "Fecha", "Tipo", "Monto", "Cantidad"]
                .map(str::to_owned)
                .to_vec();
        let fields = mapping::guess(Kind::History, &columns);
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        Validator::new(Kind::History, &columns, &fields, today).check(&Row::of(2, cells))
    }

    #[test]
    fn what_happened_is_read_as_people_write_it() {
        let it = history(["ANA@x.example", "", "", "", "5/3/25", "Venta", "$ 15.990", "2"]);
        assert_eq!(it.rejections, []);
        let expected = Happened {
            kind: HistoryKind::Purchase,
            on: NaiveDate::from_ymd_opt(2025, 3, 5).unwrap(),
            item: String::new(),
            amount: 15_990,
            quantity: 2,
        };
        assert_eq!(it.happened, Some(expected));
        let bare = history(["", "9 8765 4321", "malo", "", "45000", "", "", ""]);
        assert_eq!(bare.rejections, []);
        let happened = bare.happened.unwrap();
        assert_eq!((happened.kind, happened.amount, happened.quantity), (HistoryKind::Purchase, 0, 1));
        assert!(bare.warning.unwrap().contains("RUT"));
    }

    #[test]
    fn what_has_no_reading_is_refused_with_its_column() {
        let check = |cells, column: &str, reason: &str| {
            let it = history(cells);
            assert_eq!(it.rejections.len(), 1, "{it:?}");
            assert_eq!(it.rejections[0].column, column);
            assert!(it.rejections[0].reason.contains(reason), "{it:?}");
        };
        check(["a@x.example", "", "", "", "", "", "", ""], "Fecha", "Falta la fecha");
        check(["a@x.example", "", "", "", "ayer", "", "", ""], "Fecha", "no se entiende");
        check(["a@x.example", "", "", "", "22-11-2026", "", "", ""], "Fecha", "futura");
        check(["a@x.example", "", "", "", "1-1-1950", "", "", ""], "Fecha", "antigua");
        check(
            ["a@x.example", "", "", "", "1-1-2025", "trueque", "", ""],
            "Tipo",
            "compra, visita o inscripción",
        );
        check(["a@x.example", "", "", "", "1-1-2025", "", "-500", ""], "Monto", "negativo");
        check(["a@x.example", "", "", "", "1-1-2025", "", "gratis", ""], "Monto", "15.990");
        check(["a@x.example", "", "", "", "1-1-2025", "", "", "0"], "Cantidad", "1 o más");
        check(["", "", "", "Ana", "1-1-2025", "", "", ""], "Correo", "de quién es");
        check(["", "", "76.086.428-1", "Ana", "1-1-2025", "", "", ""], "RUT", "dígito verificador");
    }
}
