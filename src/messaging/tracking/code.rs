//! What links of a message carry: which message, of which version of which text, hidden and signed. The same message
//! always has the same code, which tells nothing of its number nor of the token by which one unsubscribes.

use crate::{
    error::Result,
    ids::{MessageId, TemplateId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use sqlx::PgExecutor;

/// Bytes of the signature: who guesses a thousand million a second needs longer than anything lasts.
const TAG: usize = 11;

/// Bytes of what is hidden: two numbers.
const BODY: usize = 16;

/// Makes codes, and reads its own.
#[derive(Clone, Debug)]
pub struct Codes {
    sign: hmac::Key,
    hide: hmac::Key,
}

impl Codes {
    /// With keys of their own for signing and hiding, derived from `secret`.
    #[must_use]
    pub fn new(secret: &[u8]) -> Codes {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |use_of: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, use_of).as_ref());
        Codes { sign: derived(b"sign"), hide: derived(b"hide") }
    }

    /// With the key that the database keeps.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(db: impl PgExecutor<'_>) -> Result<Codes> {
        let key = sqlx::query_scalar!("select key from tracking_key").fetch_one(db).await?;
        Ok(Codes::new(&key))
    }

    /// The code of a message: 36 characters that fit an address.
    #[must_use]
    pub fn of(&self, message: MessageId, template: TemplateId) -> String {
        let mut body = [0; BODY];
        body[..8].copy_from_slice(&message.0.to_be_bytes());
        body[8..].copy_from_slice(&template.0.to_be_bytes());
        let tag = self.tag(&body);
        let mut all = [0; TAG + BODY];
        all[..TAG].copy_from_slice(&tag);
        all[TAG..].copy_from_slice(&self.masked(&tag, body));
        URL_SAFE_NO_PAD.encode(all)
    }

    /// The message, and the version of its text, that a code names; none: it is none of ours.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<(MessageId, TemplateId)> {
        let all: [u8; TAG + BODY] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (tag, hidden) = all.split_at(TAG);
        let body = self.masked(tag.try_into().ok()?, hidden.try_into().ok()?);
        // Every byte is looked at, whatever the first ones say.
        let differing = self.tag(&body).iter().zip(tag).fold(0, |seen, (a, b)| seen | (a ^ b));
        if differing != 0 {
            return None;
        }
        let number = |bytes: &[u8]| Some(i64::from_be_bytes(bytes.try_into().ok()?));
        Some((MessageId(number(&body[..8])?), TemplateId(number(&body[8..])?)))
    }

    fn tag(&self, body: &[u8; BODY]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&hmac::sign(&self.sign, body).as_ref()[..TAG]);
        tag
    }

    /// Hidden, or shown again: twice is as it was. The signature is what makes each mask another.
    fn masked(&self, tag: &[u8; TAG], mut body: [u8; BODY]) -> [u8; BODY] {
        for (byte, mask) in body.iter_mut().zip(hmac::sign(&self.hide, tag).as_ref()) {
            *byte ^= mask;
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_back_by_its_own_key_alone() {
        let (ours, theirs) = (Codes::new(b"ours"), Codes::new(b"theirs"));
        for (message, template) in [(1, 1), (2, 1), (i64::MAX, 7), (0, -1)] {
            let code = ours.of(MessageId(message), TemplateId(template));
            assert_eq!(ours.read(&code), Some((MessageId(message), TemplateId(template))));
            assert_eq!(theirs.read(&code), None);
            assert_eq!(code.len(), 36);
            assert_eq!(code, ours.of(MessageId(message), TemplateId(template)), "the same at each try");
        }
    }

    #[test]
    fn neither_a_changed_code_nor_anything_else_is_read() {
        let codes = Codes::new(b"secret");
        let code = codes.of(MessageId(41), TemplateId(3));
        for at in 0..code.len() {
            let other = if &code[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &code[..at], &code[at + 1..]);
            assert_eq!(codes.read(&changed), None, "{at}");
        }
        for wrong in ["", "1", "../../etc/passwd", &code[1..], &format!("{code}A"), "ñandú"] {
            assert_eq!(codes.read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn neighbours_share_nothing_that_one_could_count_by() {
        let codes = Codes::new(b"secret");
        let (one, two) = (codes.of(MessageId(1), TemplateId(1)), codes.of(MessageId(2), TemplateId(1)));
        let alike = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(alike < 8, "{one} {two}");
    }
}
