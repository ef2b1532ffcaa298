//! Given and family names that stand in one cell, taken apart. Pure.

/// Given and family names of a full name: the last two words of three or more are the family names.
pub(super) fn split_name(full: &str) -> (String, Option<String>) {
    if let Some((last, first)) = full.split_once(',')
        && !first.trim().is_empty()
    {
        return (first.trim().to_owned(), Some(last.trim().to_owned()).filter(|it| !it.is_empty()));
    }
    let words: Vec<&str> = full.split(' ').collect();
    let first = match words.len() {
        0..=1 => return (full.to_owned(), None),
        2 | 3 => 1,
        count => count - 2,
    };
    (words[..first].join(" "), Some(words[first..].join(" ")))
}

/// Given and family names of a full name that begins with the family names: the first
/// two words of three or more.
pub(super) fn split_reversed(full: &str) -> (String, Option<String>) {
    let words: Vec<&str> = full.split(' ').collect();
    if words.len() < 2 || full.contains(',') {
        return split_name(full);
    }
    let last = words.len().min(3) - 1;
    (words[last..].join(" "), Some(words[..last].join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_parted() {
        for (full, first, last) in [
            ("Ana", "Ana", None),
            ("Ana Muñoz", "Ana", Some("Muñoz")),
            ("Ana Muñoz Soto", "Ana", Some("Muñoz Soto")),
            ("Ana María Muñoz Soto", "Ana María", Some("Muñoz Soto")),
            ("Muñoz Soto, Ana", "Ana", Some("Muñoz Soto")),
        ] {
            assert_eq!(split_name(full), (first.to_owned(), last.map(str::to_owned)), "{full}");
        }
    }
}
