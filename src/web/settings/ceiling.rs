//! A number of messages in a form of settings that may be left out.

use crate::{error::FieldError, web::numbers};

/// Most that is taken: beyond it somebody mistyped.
const MOST: u32 = 10_000_000;

/// The number in `text`; none: the field is empty, or what is wrong with it goes to `wrong`.
pub(super) fn read(field: &'static str, text: &str, wrong: &mut Vec<FieldError>) -> Option<u32> {
    if text.trim().is_empty() {
        return None;
    }
    let number = numbers::whole(text, 1)
        .and_then(|it| if it <= MOST { Ok(it) } else { Err("Escribe un número más bajo".to_owned()) });
    number
        .map_err(|said| {
            wrong.push(FieldError::new(field, format!("{said}, o deja el campo vacío para no poner tope.")));
        })
        .ok()
}
