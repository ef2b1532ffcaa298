//! What is hashed, and how: the bytes of an event, of a seal, and the signature. Pure.

use chrono::{DateTime, Utc};
use ring::{
    digest::{Context, SHA256, digest},
    hmac,
};

/// Bytes kept of the digest of an event: enough that no other event has it.
pub(super) const DIGEST: usize = 16;

/// What stands before the first seal.
pub(super) const ORIGIN: [u8; 32] = [0; 32];

/// The key that signs seals.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// From a key derived for this purpose alone.
    #[must_use]
    pub fn new(key: hmac::Key) -> Key {
        Key(key)
    }

    /// Tells one key from another, and nothing of it.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        hmac::sign(&self.0, b"fingerprint").as_ref()[..8].to_vec()
    }

    pub(super) fn sign(&self, hash: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, hash).as_ref().to_vec()
    }

    pub(super) fn has_signed(&self, hash: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.0, hash, signature).is_ok()
    }
}

/// An event as it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: i64,
    pub(super) communication_log_id: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) kind: String,
    pub(super) reason: Option<String>,
    pub(super) until: Option<DateTime<Utc>>,
    pub(super) attempt: Option<i32>,
    pub(super) answer: Option<String>,
    pub(super) drip_run_id: Option<i64>,
    pub(super) staff_user_id: Option<i64>,
    pub(super) facts: Option<Vec<u8>>,
}

/// Bytes in which no two events are the same: each field is preceded by its length, and nothing differs from empty.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn field(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(u64::MAX, |it| it.len() as u64);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value.unwrap_or_default());
    }

    fn number(&mut self, value: Option<i64>) {
        self.field(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }
}

impl Event {
    pub(super) fn digest(&self) -> [u8; DIGEST] {
        let mut bytes = Bytes(Vec::with_capacity(256));
        bytes.number(Some(self.id));
        bytes.number(Some(self.communication_log_id));
        bytes.number(Some(self.at.timestamp_micros()));
        bytes.field(Some(self.kind.as_bytes()));
        bytes.field(self.reason.as_deref().map(str::as_bytes));
        bytes.number(self.until.map(|it| it.timestamp_micros()));
        bytes.number(self.attempt.map(i64::from));
        bytes.field(self.answer.as_deref().map(str::as_bytes));
        bytes.number(self.drip_run_id);
        bytes.number(self.staff_user_id);
        bytes.field(self.facts.as_deref());
        let mut short = [0; DIGEST];
        short.copy_from_slice(&digest(&SHA256, &bytes.0).as_ref()[..DIGEST]);
        short
    }
}

/// The hash of a seal.
pub(super) fn seal(previous: &[u8], position: i64, last_event: i64, ids: &[i64], digests: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(&position.to_be_bytes());
    context.update(&last_event.to_be_bytes());
    context.update(&(ids.len() as u64).to_be_bytes());
    for id in ids {
        context.update(&id.to_be_bytes());
    }
    context.update(digests);
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            id: 7,
            communication_log_id: 3,
            at: DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap(),
            kind: "SENT".to_owned(),
            reason: None,
            until: None,
            attempt: Some(1),
            answer: Some("250 Ok".to_owned()),
            drip_run_id: Some(2),
            staff_user_id: None,
            facts: Some(vec![1, 2, 3]),
        }
    }

    #[test]
    fn every_field_of_an_event_counts() {
        let changes: [fn(&mut Event); 11] = [
            |it| it.id = 8,
            |it| it.communication_log_id = 4,
            |it| it.at += chrono::TimeDelta::microseconds(1),
            |it| it.kind = "FAILED".to_owned(),
            |it| it.reason = Some(String::new()),
            |it| it.until = Some(it.at),
            |it| it.attempt = None,
            |it| it.answer = Some("250 ok".to_owned()),
            |it| it.drip_run_id = Some(0),
            |it| it.staff_user_id = Some(1),
            |it| it.facts = None,
        ];
        for (place, change) in changes.iter().enumerate() {
            let mut other = event();
            change(&mut other);
            assert_ne!(other.digest(), event().digest(), "change {place}");
        }
    }

    #[test]
    fn what_moves_from_one_field_to_the_next_is_seen() {
        let (mut one, mut other) = (event(), event());
        (one.kind, one.reason) = ("SENTX".to_owned(), None);
        (other.kind, other.reason) = ("SENT".to_owned(), Some("X".to_owned()));
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn a_seal_depends_on_all_that_it_holds() {
        let seal_of = |previous: &[u8], position, last, ids: &[i64], digests: &[u8]| {
            seal(previous, position, last, ids, digests)
        };
        let usual = seal_of(&ORIGIN, 1, 9, &[7, 9], &[0; 32]);
        assert_ne!(usual, seal_of(&[1; 32], 1, 9, &[7, 9], &[0; 32]));
        assert_ne!(usual, seal_of(&ORIGIN, 2, 9, &[7, 9], &[0; 32]));
        assert_ne!(usual, seal_of(&ORIGIN, 1, 10, &[7, 9], &[0; 32]));
        assert_ne!(usual, seal_of(&ORIGIN, 1, 9, &[8, 9], &[0; 32]));
        assert_ne!(usual, seal_of(&ORIGIN, 1, 9, &[7, 9], &[1; 32]));
    }
}
