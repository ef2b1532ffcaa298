//! Whole numbers as they are typed into a form: what they mean, or that they are none. What is too
//! little or too much says whoever keeps them.

use crate::chile::{self, pesos};

/// What is said of a text that is no whole number, without its full stop.
const NO_NUMBER: &str = "Escribe un número entero";

/// The number in `text`: `1.000` is a thousand. As [`fitted`].
///
/// # Errors
/// What is wrong, as a sentence without its full stop.
pub(super) fn whole(text: &str) -> Result<u32, String> {
    chile::whole::read(text).map(fitted).ok_or_else(|| NO_NUMBER.to_owned())
}

/// The same of an amount of pesos, as people write them.
///
/// # Errors
/// As [`whole`].
pub(super) fn of_pesos(text: &str) -> Result<i64, String> {
    pesos::typed(text).ok_or_else(|| NO_NUMBER.to_owned())
}

/// `number` for whoever keeps none below zero. What does not fit, also below zero, becomes the most that does: nobody takes
/// so much, and whoever keeps it tells from what to what it may be.
pub(super) fn fitted(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_number_is_told_and_what_is_one_is_left_to_whoever_keeps_it() {
        let check = |text: &str, number: u32| assert_eq!(whole(text), Ok(number), "{text}");
        check(" 1.000 ", 1000);
        check("0", 0);
        check("-3", u32::MAX);
        check("99999999999", u32::MAX);
        for text in ["", "treinta", "1.5", "12.50", "1.00", "2,5"] {
            assert_eq!(whole(text), Err(NO_NUMBER.to_owned()), "{text}");
        }
        assert_eq!((of_pesos("$15.990"), of_pesos("-$3")), (Ok(15_990), Ok(-3)));
        assert_eq!(of_pesos("$1.50"), Err(NO_NUMBER.to_owned()));
    }
}
