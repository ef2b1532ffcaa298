//! A number of messages in a form of settings that may be left out.

use crate::error::FieldError;

/// Most that is taken: beyond it somebody mistyped.
const MOST: u32 = 10_000_000;

/// The number in `text`; none: the field is empty, or what stands there goes to `wrong`.
pub(super) fn read(field: &'static str, text: &str, wrong: &mut Vec<FieldError>) -> Option<u32> {
    let digits = text.replace(['.', ' '], "");
    if digits.is_empty() {
        return None;
    }
    let number = digits.parse().ok().filter(|it| (1..=MOST).contains(it));
    if number.is_none() {
        let words = "Escribe un número desde 1, o deja el campo vacío para no poner tope.";
        wrong.push(FieldError::new(field, words));
    }
    number
}
