//! What a condition means, once its values are read: an inclusive range of
//! numbers or days, a set of codes or ids, words folded. Relative days become
//! days here. Pure.

use super::{
    field::{Event, Field, Op, Shape},
    rule::Condition,
};
use crate::{
    channels::Channel,
    chile::{comunas, format, pesos, rut::Rut, text::fold},
    contacts::vocabulary::{Kind, Lifecycle, Source},
};
use chrono::{Days, NaiveDate};

/// Beyond this a number is a slip of the keyboard.
const LARGEST: i64 = 1_000_000_000_000;
/// Nobody gets more messages than this.
const MOST_TIMES: i64 = 1_000;
/// A hundred years.
const MOST_DAYS: u64 = 36_500;

/// What is asked, without its negation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Each of these words occurs somewhere, folded.
    Words(Vec<String>),
    /// Each of these words occurs in one thing that was bought since that day.
    Bought(Vec<String>, Option<NaiveDate>),
    /// It is one of these codes.
    Codes(Vec<String>),
    /// It is one of these rows.
    Ids(Vec<i64>),
    /// It is there.
    Known,
    /// It lies between these, both included.
    Number(Option<i64>, Option<i64>),
    /// It lies between these, both included.
    Day(Option<NaiveDate>, Option<NaiveDate>),
    /// Messages came to this.
    Message(Letters),
}

/// Which messages are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letters {
    /// What came of them.
    pub(super) event: Event,
    /// Since that day; none: ever.
    pub(super) since: Option<NaiveDate>,
    /// Of that campaign; none: of any, and of none.
    pub(super) campaign: Option<i64>,
    /// At least so many.
    pub(super) times: i64,
}

/// A condition, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// About what.
    pub(super) field: Field,
    /// What is asked.
    pub(super) test: Test,
    /// The opposite is asked: also true of those of whom it isn't known.
    pub(super) negated: bool,
}

impl Meaning {
    /// What `condition` means on the day `today`.
    ///
    /// # Errors
    /// What it lacks, in Spanish.
    pub(super) fn of(condition: &Condition, today: NaiveDate) -> Result<Meaning, String> {
        let (field, op) = (condition.field, condition.op);
        if !field.ops().contains(&op) {
            return Err("eso no se puede preguntar así: elige otra comparación.".to_owned());
        }
        let test = if op.is_bare() {
            Test::Known
        } else {
            match field.shape() {
                Shape::Words => words(condition, today)?,
                Shape::Choice => choice(condition)?,
                Shape::Number | Shape::Money => number(condition)?,
                Shape::Day => day(condition, today)?,
                Shape::Message => message(condition, today)?,
                Shape::Present => Test::Known,
            }
        };
        Ok(Meaning { field, test, negated: op.is_negative() })
    }
}

fn values(condition: &Condition) -> impl Iterator<Item = &str> {
    condition.values.iter().map(|it| it.trim()).filter(|it| !it.is_empty())
}

fn words(condition: &Condition, today: NaiveDate) -> Result<Test, String> {
    let folded = fold(values(condition).next().unwrap_or_default());
    let words: Vec<String> = folded.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    if words.is_empty() {
        return Err("escribe qué buscar.".to_owned());
    }
    Ok(match condition.field {
        Field::Bought => Test::Bought(words, since(condition, today)?),
        _ => Test::Words(words),
    })
}

fn choice(condition: &Condition) -> Result<Test, String> {
    let chosen: Vec<&str> = values(condition).collect();
    if chosen.is_empty() {
        return Err("Elige al menos un valor.".to_owned());
    }
    let gone = || "uno de los valores ya no existe: quítalo y elige otro.".to_owned();
    let field = condition.field;
    if field.refers() {
        let ids = chosen.iter().map(|it| it.parse::<i64>().map_err(|_| gone())).collect::<Result<_, _>>()?;
        return Ok(Test::Ids(ids));
    }
    if field == Field::CompanyRut {
        let typed =
            chosen.iter().flat_map(|it| it.split([',', ';'])).map(str::trim).filter(|it| !it.is_empty());
        let ruts: Result<Vec<String>, String> = typed
            .map(|it| it.parse::<Rut>().map(Rut::stored).map_err(|_| format!("«{it}» no es un RUT válido.")))
            .collect();
        return ruts.map(Test::Codes);
    }
    if field == Field::EmailDomain {
        let domains = chosen.iter().flat_map(|it| it.split([',', ' ', ';'])).filter(|it| !it.is_empty());
        let domains: Vec<String> = domains.map(|it| it.trim_start_matches('@').to_lowercase()).collect();
        return if domains.iter().all(|it| it.contains('.')) {
            Ok(Test::Codes(domains))
        } else {
            Err("escribe dominios como gmail.com, separados por comas.".to_owned())
        };
    }
    let is_known = |code: &str| match field {
        Field::Kind => Kind::from_code(code).is_some(),
        Field::Lifecycle => Lifecycle::from_code(code).is_some(),
        Field::Source => Source::from_code(code).is_some(),
        Field::Comuna | Field::CompanyComuna => comunas::by_code(code).is_some(),
        Field::Region | Field::CompanyRegion => comunas::region(code).is_some_and(|it| it.code == code),
        Field::BirthMonth => code.parse::<u32>().is_ok_and(|it| (1..=12).contains(&it)),
        Field::Contactable => Channel::from_code(code).is_some(),
        _ => true,
    };
    if chosen.iter().all(|it| is_known(it)) {
        Ok(Test::Codes(chosen.into_iter().map(str::to_owned).collect()))
    } else {
        Err(gone())
    }
}

/// `$50.000` and `50000` are the same figure.
fn amount(text: Option<&str>) -> Result<i64, String> {
    match pesos::whole(text.unwrap_or_default()) {
        Some(number @ 0..=LARGEST) => Ok(number),
        Some(..0) => Err("escribe un número desde 0.".to_owned()),
        _ => Err("escribe un número entero, como 3 o 50.000.".to_owned()),
    }
}

fn number(condition: &Condition) -> Result<Test, String> {
    let mut typed = values(condition);
    let first = amount(typed.next())?;
    Ok(match condition.op {
        Op::MoreThan => Test::Number(Some(first + 1), None),
        Op::LessThan => Test::Number(None, Some(first - 1)),
        Op::AtLeast => Test::Number(Some(first), None),
        Op::AtMost => Test::Number(None, Some(first)),
        Op::Between => {
            let second = amount(typed.next())?;
            if second < first {
                return Err("el segundo número debe ser mayor que el primero.".to_owned());
            }
            Test::Number(Some(first), Some(second))
        }
        _ => Test::Number(Some(first), Some(first)),
    })
}

/// As a browser's field of dates gives it, or as people write it.
fn date(text: Option<&str>) -> Result<NaiveDate, String> {
    let text = text.unwrap_or_default();
    let found =
        ["%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y"].iter().find_map(|it| NaiveDate::parse_from_str(text, it).ok());
    let sane = NaiveDate::from_ymd_opt(1900, 1, 1).zip(NaiveDate::from_ymd_opt(2200, 1, 1));
    found
        .filter(|it| sane.is_some_and(|(from, until)| (from..until).contains(it)))
        .ok_or_else(|| "escribe una fecha como 21-11-2026.".to_owned())
}

fn days_before(text: &str, today: NaiveDate) -> Result<NaiveDate, String> {
    let digits: String = text.chars().filter(|it| !". ".contains(*it)).collect();
    let days = digits.parse::<u64>().ok().filter(|it| *it <= MOST_DAYS);
    days.and_then(|it| today.checked_sub_days(Days::new(it)))
        .ok_or_else(|| "escribe cuántos días, como 30.".to_owned())
}

fn day(condition: &Condition, today: NaiveDate) -> Result<Test, String> {
    let mut typed = values(condition);
    let first = typed.next();
    Ok(match condition.op {
        // From that day until today: what lies ahead is not past.
        Op::WithinDays => Test::Day(Some(days_before(first.unwrap_or_default(), today)?), Some(today)),
        Op::BeforeDays => {
            let edge = days_before(first.unwrap_or_default(), today)?;
            Test::Day(None, edge.pred_opt())
        }
        Op::Since => Test::Day(Some(date(first)?), None),
        Op::Until => Test::Day(None, Some(date(first)?)),
        _ => {
            let (first, second) = (date(first)?, date(typed.next())?);
            if second < first {
                return Err("la segunda fecha debe ser posterior a la primera.".to_owned());
            }
            Test::Day(Some(first), Some(second))
        }
    })
}

fn message(condition: &Condition, today: NaiveDate) -> Result<Test, String> {
    let event = condition.event.ok_or("Elige qué pasó con el mensaje.")?;
    let times = match condition.times.trim() {
        "" => 1,
        times => amount(Some(times))
            .ok()
            .filter(|it| (1..=MOST_TIMES).contains(it))
            .ok_or_else(|| format!("escribe cuántos mensajes, de 1 a {}.", format::number(MOST_TIMES)))?,
    };
    Ok(Test::Message(Letters { event, since: since(condition, today)?, campaign: condition.campaign, times }))
}

/// The day from which its last so many days go; none: it asks of ever.
fn since(condition: &Condition, today: NaiveDate) -> Result<Option<NaiveDate>, String> {
    match condition.days.trim() {
        "" => Ok(None),
        days => days_before(days, today).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_of(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_comparison_is_an_inclusive_range() {
        let check = |field, op, values: &[&str], expected: Test| {
            let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
            let meaning = Meaning::of(&Condition::with(field, op, values), today).unwrap();
            assert_eq!(meaning.test, expected, "{op:?} {values:?}");
        };
        check(Field::Spent, Op::MoreThan, &["$50.000"], Test::Number(Some(50_001), None));
        check(Field::Spent, Op::LessThan, &["50000"], Test::Number(None, Some(49_999)));
        check(Field::Visits, Op::Between, &["2", "5"], Test::Number(Some(2), Some(5)));
        check(Field::Visits, Op::Equals, &["0"], Test::Number(Some(0), Some(0)));
        check(
            Field::LastVisit,
            Op::WithinDays,
            &["30"],
            Test::Day(Some(day_of("2026-10-24")), Some(day_of("2026-11-23"))),
        );
        check(Field::LastVisit, Op::BeforeDays, &["30"], Test::Day(None, Some(day_of("2026-10-23"))));
        check(Field::Created, Op::Since, &["01-11-2026"], Test::Day(Some(day_of("2026-11-01")), None));
        check(Field::Words, Op::Contains, &[" Ana Muñoz "], Test::Words(vec!["ana".into(), "munoz".into()]));
        check(
            Field::EmailDomain,
            Op::Is,
            &["Gmail.com, @hotmail.com"],
            Test::Codes(vec!["gmail.com".to_owned(), "hotmail.com".to_owned()]),
        );
    }

    #[test]
    fn what_lacks_a_value_is_refused() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        for (field, op, values) in [
            (Field::Spent, Op::MoreThan, &[][..]),
            (Field::Spent, Op::Between, &["5", "2"]),
            (Field::Spent, Op::Between, &["5"]),
            (Field::Words, Op::Contains, &["--"]),
            (Field::Lifecycle, Op::Is, &["VIP"]),
            (Field::Region, Op::Is, &["10109"]),
            (Field::BirthMonth, Op::Is, &["13"]),
            (Field::Interest, Op::Is, &["yoga"]),
            (Field::LastVisit, Op::WithinDays, &["-3"]),
            (Field::EmailDomain, Op::Is, &["gmail"]),
        ] {
            assert!(Meaning::of(&Condition::with(field, op, values), today).is_err(), "{field:?} {values:?}");
        }
    }
}
