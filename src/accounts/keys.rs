//! Keys derived from `SECRET_KEY`, one for each purpose, so that a value made for
//! one use is worth nothing in another.

use crate::{
    config::Config,
    error::{Error, Result},
    messaging::evidence,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

/// What a derived key is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The token of a form shown to someone who has no session yet.
    GuestForm,
    /// The link of the first-run wizard.
    Setup,
    /// Addresses and IPs in `login_failures`, which holds neither.
    LoginFailure,
    /// The seals of the log of messages.
    Evidence,
}

/// HMAC-SHA-256 of `data` under the key for `purpose`.
///
/// # Errors
/// When no secret key was given or made.
pub fn sign(config: &Config, purpose: Purpose, data: &[u8]) -> Result<Vec<u8>> {
    Ok(hmac::sign(&key(config, purpose)?, data).as_ref().to_vec())
}

/// [`sign`] as text for links and forms.
///
/// # Errors
/// When no secret key was given or made.
pub fn sign_text(config: &Config, purpose: Purpose, data: &[u8]) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(sign(config, purpose, data)?))
}

/// Whether `text` is [`sign_text`] of `data`, compared in constant time.
///
/// # Errors
/// When no secret key was given or made.
pub fn is_signed(config: &Config, purpose: Purpose, data: &[u8], text: &str) -> Result<bool> {
    let key = key(config, purpose)?;
    Ok(URL_SAFE_NO_PAD.decode(text).is_ok_and(|tag| hmac::verify(&key, data, &tag).is_ok()))
}

/// The key that signs the seals of the log of messages.
///
/// # Errors
/// When no secret key was given or made.
pub fn evidence(config: &Config) -> Result<evidence::Key> {
    Ok(evidence::Key::new(key(config, Purpose::Evidence)?))
}

/// 32 random bytes as text that fits cookies, links and forms.
#[must_use]
pub fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn key(config: &Config, purpose: Purpose) -> Result<hmac::Key> {
    let secret = config
        .secret_key
        .as_ref()
        .ok_or_else(|| Error::Internal("no secret key: it is given or made at start".to_owned()))?;
    let root = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let label: &[u8] = match purpose {
        Purpose::GuestForm => b"llovizna guest form",
        Purpose::Setup => b"llovizna setup",
        Purpose::LoginFailure => b"llovizna login failure",
        Purpose::Evidence => b"llovizna evidence",
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, label).as_ref()))
}
