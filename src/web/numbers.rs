//! Whole numbers as they are typed into a form: what they mean, or what is wrong with them, which is that they are no
//! numbers, or less than the field may hold. How much is too much says whoever keeps them.

use crate::chile::{self, format, pesos};

/// `text`, from `least` on: `1.000` is a thousand.
///
/// # Errors
/// What is wrong, as a sentence without its full stop.
pub(super) fn whole<T: TryFrom<i64>>(text: &str, least: i64) -> Result<T, String> {
    judged(chile::whole::read(text), least)
}

/// The same of an amount of pesos, as people write them.
///
/// # Errors
/// As [`whole`].
pub(super) fn of_pesos<T: TryFrom<i64>>(text: &str, least: i64) -> Result<T, String> {
    judged(pesos::typed(text), least)
}

fn judged<T: TryFrom<i64>>(read: Option<i64>, least: i64) -> Result<T, String> {
    let from = format::number(least);
    match read {
        Some(number) if number < least => Err(format!("Escribe un número desde {from}")),
        Some(number) => T::try_from(number).map_err(|_| "Escribe un número más bajo".to_owned()),
        None => Err(format!("Escribe un número entero, desde {from}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, least: i64, said: Result<u32, &str>| {
            assert_eq!(whole::<u32>(text, least), said.map_err(str::to_owned), "{text}");
        };
        check(" 1.000 ", 1, Ok(1000));
        check("0", 0, Ok(0));
        check("-3", 1, Err("Escribe un número desde 1"));
        check("-3", 0, Err("Escribe un número desde 0"));
        check("0", 1, Err("Escribe un número desde 1"));
        check("treinta", 1, Err("Escribe un número entero, desde 1"));
        check("", 0, Err("Escribe un número entero, desde 0"));
        for text in ["1.5", "12.50", "1.00"] {
            check(text, 0, Err("Escribe un número entero, desde 0"));
        }
        check("2,5", 0, Err("Escribe un número entero, desde 0"));
        check("99999999999", 1, Err("Escribe un número más bajo"));
        assert_eq!(of_pesos::<u32>("$15.990", 0), Ok(15_990));
        assert_eq!(of_pesos::<u32>("$1.50", 0), Err("Escribe un número entero, desde 0".to_owned()));
        assert_eq!(of_pesos::<u32>("-$3", 200), Err("Escribe un número desde 200".to_owned()));
    }
}
