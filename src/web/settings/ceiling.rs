//! A number of messages in a form of settings that may be left out.

use crate::{chile::format, error::FieldError, web::numbers};

/// Most that is taken: beyond it somebody mistyped.
const MOST: u32 = 10_000_000;

/// The number in `text`; none: the field is empty, or what is wrong with it goes to `wrong`.
pub(super) fn read(field: &'static str, text: &str, wrong: &mut Vec<FieldError>) -> Option<u32> {
    if text.trim().is_empty() {
        return None;
    }
    let number = numbers::whole(text).and_then(|it| match it {
        1..=MOST => Ok(it),
        _ => Err(format!("Escribe un número entre 1 y {}", format::number(MOST.into()))),
    });
    number
        .map_err(|said| {
            wrong.push(FieldError::new(field, format!("{said}, o deja el campo vacío para no poner tope.")));
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_what_may_be_is_told_what_may_be() {
        let check = |text: &str, expected: Option<u32>, said: &[&str]| {
            let mut wrong = Vec::new();
            assert_eq!(read("daily_cap", text, &mut wrong), expected, "{text}");
            assert_eq!(wrong.iter().map(|it| it.message.as_str()).collect::<Vec<_>>(), said, "{text}");
        };
        check(" ", None, &[]);
        check("1.000", Some(1000), &[]);
        let range = "Escribe un número entre 1 y 10.000.000, o deja el campo vacío para no poner tope.";
        for text in ["0", "-3", "10.000.001", "99999999999"] {
            check(text, None, &[range]);
        }
        check("1.5", None, &["Escribe un número entero, o deja el campo vacío para no poner tope."]);
    }
}
