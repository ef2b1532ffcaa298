//! The token of a program that asks over HTTP: `Authorization: Bearer …`.

use crate::config::Secret;
use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// Whether the request carries `token`. Compared by digest, so that time tells nothing of the token, its length included.
pub(super) fn is_authorised(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, given)| given.trim());
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    // Every byte is looked at, whatever the first ones say.
    let differing = hash(given).iter().zip(hash(token.reveal())).fold(0, |seen, (a, b)| seen | (a ^ b));
    !given.is_empty() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_opens() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            is_authorised(&headers, &Secret::new("goteo-123"))
        };
        assert!(check("Bearer goteo-123"));
        assert!(check("bearer  goteo-123"));
        assert!(!check("Bearer goteo-12"));
        assert!(!check("Bearer "));
        assert!(!check("Basic goteo-123"));
        assert!(!check("goteo-123"));
        assert!(!is_authorised(&HeaderMap::new(), &Secret::new("goteo-123")));
    }
}
