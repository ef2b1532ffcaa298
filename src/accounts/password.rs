//! Passwords: Argon2id with OWASP's parameters, off the async threads.

use crate::error::{Error, FieldError, Result};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use rand::seq::IndexedRandom;
use tokio::sync::Semaphore;

/// Fewest characters of a password: length is what makes it hard to guess.
pub const MIN_CHARS: usize = 12;
/// Most characters: hashing an endless one would be a way to keep us busy.
pub const MAX_CHARS: usize = 200;

/// What comparing a password with its hash gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another, or there is no such account.
    Wrong,
    /// It is the one.
    Right {
        /// The hash was made with parameters that are no longer ours: hash again.
        outdated: bool,
    },
}

/// What is wrong with `password` as a new one, if anything.
///
/// # Errors
/// [`Error::Invalid`] at the field `password`.
pub fn check_new(password: &str, email: &str) -> Result<()> {
    let length = password.chars().count();
    let lower = password.to_lowercase();
    let message = if length < MIN_CHARS {
        format!("Usa al menos {MIN_CHARS} caracteres: tres o cuatro palabras que no se digan juntas sirven.")
    } else if length > MAX_CHARS {
        format!("Usa a lo más {MAX_CHARS} caracteres.")
    } else if password.chars().all(|it| password.starts_with(it)) || is_run(&lower) {
        "Es demasiado fácil de adivinar: no repitas ni sigas una misma serie.".to_owned()
    } else if !email.is_empty() && lower.contains(&email.to_lowercase()) {
        "No uses tu correo como contraseña.".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid(vec![FieldError::new("password", message)]))
}

/// Whether the text only counts or walks the keyboard, as `123456789012` does.
fn is_run(lower: &str) -> bool {
    ["0123456789012345678901234567890", "abcdefghijklmnñopqrstuvwxyz", "qwertyuiopasdfghjklñzxcvbnm"]
        .iter()
        .any(|it| it.contains(lower))
}

/// A password that can be read aloud: four groups of four, without look-alikes (82 bits).
#[must_use]
pub fn generate() -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut rng = rand::rng();
    let groups: Vec<String> = (0..4)
        .map(|_| (0..4).filter_map(|_| LETTERS.choose(&mut rng)).map(|it| char::from(*it)).collect())
        .collect();
    groups.join("-")
}

/// The PHC string of `password`.
///
/// # Errors
/// When hashing fails, which is a fault of ours.
pub async fn hash(password: String) -> Result<String> {
    blocking(move || {
        Argon2::default()
            .hash_password(password.as_bytes())
            .map(|it| it.to_string())
            .map_err(|it| Error::Internal(format!("password hash: {it}")))
    })
    .await
}

/// Whether `password` is the one that `hash` was made from. Without a hash the
/// same work is done, so that time does not tell who has an account.
///
/// # Errors
/// When the stored hash is malformed.
pub async fn verify(password: String, hash: Option<String>) -> Result<Verdict> {
    blocking(move || {
        let Some(hash) = hash else {
            let _ = Argon2::default().hash_password(password.as_bytes());
            return Ok(Verdict::Wrong);
        };
        let parsed = PasswordHash::new(&hash).map_err(|it| Error::Internal(format!("stored hash: {it}")))?;
        Ok(match Argon2::default().verify_password(password.as_bytes(), &parsed) {
            Ok(()) => Verdict::Right { outdated: is_outdated(&hash) },
            Err(_) => Verdict::Wrong,
        })
    })
    .await
}

/// Whether the hash was made with an algorithm or cost other than today's.
fn is_outdated(hash: &str) -> bool {
    let ours = argon2::Params::default();
    let today = format!("$argon2id$v=19$m={},t={},p={}$", ours.m_cost(), ours.t_cost(), ours.p_cost());
    !hash.starts_with(&today)
}

/// Hashes made at once: each takes 19 MiB, and a flood of sign-ins must not take it all.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _turn = AT_ONCE.acquire().await.map_err(|it| Error::Internal(format!("password queue: {it}")))?;
    tokio::task::spawn_blocking(work).await.map_err(|it| Error::Internal(format!("password thread: {it}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_argon2id_and_accepts_only_its_password() {
        let hash = hash("lluvia sobre el canal".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let check = async |text: &str| verify(text.to_owned(), Some(hash.clone())).await.unwrap();
        assert_eq!(check("lluvia sobre el canal").await, Verdict::Right { outdated: false });
        assert_eq!(check("lluvia sobre el Canal").await, Verdict::Wrong);
        assert_eq!(verify("x".to_owned(), None).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_lower_cost_is_outdated() {
        let weak = Argon2::new(
            argon2::Algorithm::Argon2id,
            argon2::Version::V0x13,
            argon2::Params::new(8192, 1, 1, None).unwrap(),
        );
        let hash = weak.hash_password(b"lluvia sobre el canal").unwrap().to_string();
        let verdict = verify("lluvia sobre el canal".to_owned(), Some(hash)).await.unwrap();
        assert_eq!(verdict, Verdict::Right { outdated: true });
    }

    #[test]
    fn a_new_password_is_long_and_not_a_series() {
        let check = |password: &str, accepted: bool| {
            assert_eq!(check_new(password, "ana.soto@canal.cl").is_ok(), accepted, "{password}");
        };
        check("lluvia sobre el canal", true);
        check("corta", false);
        check("aaaaaaaaaaaaaaaa", false);
        check("123456789012", false);
        check("Ana.Soto@canal.cl", false);
        check(&"x y".repeat(100), false);
        check(&generate(), true);
    }

    #[test]
    fn generated_passwords_differ() {
        assert_ne!(generate(), generate());
        assert_eq!(generate().len(), 19);
    }
}
