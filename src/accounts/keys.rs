//! Keys derived from `SECRET_KEY`, one for each purpose, so that a value made for
//! one use is worth nothing in another.

use crate::{
    config::Config,
    error::{Error, Result},
    messaging::evidence,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{aead, hmac};

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
    /// What a page of a list was sorted by, in the address of the next.
    Edge,
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

/// `text` as only we can read it, for addresses: each time another.
///
/// # Errors
/// When no secret key was given or made.
pub fn seal(config: &Config, purpose: Purpose, text: &str) -> Result<String> {
    let nonce = rand::random::<[u8; aead::NONCE_LEN]>();
    let mut sealed = text.as_bytes().to_vec();
    sealer(config, purpose)?
        .seal_in_place_append_tag(aead::Nonce::assume_unique_for_key(nonce), aead::Aad::empty(), &mut sealed)
        .map_err(|_| Error::Internal("a text was not sealed".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
}

/// What [`seal`] made `sealed` of; none: it did not.
///
/// # Errors
/// When no secret key was given or made.
pub fn unseal(config: &Config, purpose: Purpose, sealed: &str) -> Result<Option<String>> {
    let key = sealer(config, purpose)?;
    let Ok(mut bytes) = URL_SAFE_NO_PAD.decode(sealed) else { return Ok(None) };
    let Some((nonce, text)) = bytes.split_first_chunk_mut::<{ aead::NONCE_LEN }>() else { return Ok(None) };
    let nonce = aead::Nonce::assume_unique_for_key(*nonce);
    let text = key.open_in_place(nonce, aead::Aad::empty(), text).ok();
    Ok(text.and_then(|it| String::from_utf8(it.to_vec()).ok()))
}

fn sealer(config: &Config, purpose: Purpose) -> Result<aead::LessSafeKey> {
    let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, derived(config, purpose)?.as_ref())
        .map_err(|_| Error::Internal("a derived key has another length".to_owned()))?;
    Ok(aead::LessSafeKey::new(key))
}

/// 32 random bytes as text that fits cookies, links and forms.
#[must_use]
pub fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn key(config: &Config, purpose: Purpose) -> Result<hmac::Key> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derived(config, purpose)?.as_ref()))
}

fn derived(config: &Config, purpose: Purpose) -> Result<hmac::Tag> {
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
        Purpose::Edge => b"llovizna edge of a page",
    };
    Ok(hmac::sign(&root, label))
}
