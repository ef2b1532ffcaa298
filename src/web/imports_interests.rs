//! What the page of an import says of the interests that it makes.

use crate::{
    chile::format,
    imports::{Import, Status},
};

/// How many it makes, in words.
pub(super) fn count(import: &Import) -> String {
    let made = i64::try_from(import.new_interests.len()).unwrap_or(i64::MAX);
    format::count(made, "interés nuevo", "intereses nuevos")
}

/// The first of them, by name.
pub(super) fn names(import: &Import) -> String {
    const SHOWN: usize = 12;
    let names = &import.new_interests;
    let said = names.iter().take(SHOWN).map(|it| format!("«{it}»")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => said,
        more => format!("{said} y {more} más"),
    }
}

/// Whether what is taken for interests looks like something else: nearly each row would make one of its own.
pub(super) fn are_odd(import: &Import) -> bool {
    const SOME: usize = 15;
    let made = import.new_interests.len();
    let rows = usize::try_from(import.counts.rows).unwrap_or_default();
    import.status == Status::Ready && made >= SOME && made * 2 >= rows
}
