//! The token of a program that asks over HTTP: `Authorization: Bearer …`.

use crate::config::Secret;
use axum::http::{HeaderMap, header};

/// Whether the request carries `token`.
pub(super) fn is_authorised(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, given)| given.trim());
    token.is(given)
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
