//! Public links of a message: their tokens, and what following them does.

use super::{
    kinds::{MessageType, OriginKind},
    values::Links,
};
use crate::{
    channels::Channel,
    error::{Error, Result},
    ids::{ContactId, MessageId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::PgConnection;
use uuid::Uuid;

/// The token as links carry it: 22 characters.
#[must_use]
pub fn encode(token: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(token.as_bytes())
}

/// The token that a link carries; none: it is no token of ours.
#[must_use]
pub fn decode(text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Uuid::from_slice(&bytes).ok()
}

/// The links of the message with `token`.
#[must_use]
pub fn of(public_url: &str, token: Uuid) -> Links {
    let token = encode(token);
    Links {
        unsubscribe: format!("{public_url}/baja/{token}"),
        preferences: format!("{public_url}/preferencias/{token}"),
    }
}

/// Who holds a link: the message that carried it, and its recipient.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The message.
    pub message: MessageId,
    /// Who asked for it; a test's link changes nothing.
    pub origin: OriginKind,
    /// Channel of the message.
    pub channel: Channel,
    /// Kind of the message.
    pub message_type: MessageType,
    /// The person, where they are in the address book.
    pub contact: Option<ContactId>,
    /// Their address.
    pub destination: String,
    /// Whether promotions to that address are suppressed already.
    pub unsubscribed: bool,
}

/// Who holds the link with `token`, for ever.
///
/// # Errors
/// [`Error::NotFound`] for a token that was never given out, or the database's.
pub async fn holder(db: &mut PgConnection, token: Uuid) -> Result<Holder> {
    let it = sqlx::query!(
        r#"select l.id, l.origin, l.communication_type, l.message_type, l.contact_id, l.destination,
               exists (select 1 from suppressions s
                       where s.communication_type = l.communication_type and s.destination = l.destination
                         and s.lifted_at is null) as "unsubscribed!"
           from communication_logs l where l.token = $1"#,
        token
    )
    .fetch_optional(db)
    .await?
    .ok_or(Error::NotFound)?;
    Ok(Holder {
        message: MessageId(it.id),
        origin: OriginKind::from_code(&it.origin).ok_or(Error::NotFound)?,
        channel: Channel::from_code(&it.communication_type).ok_or(Error::NotFound)?,
        message_type: MessageType::from_code(&it.message_type).ok_or(Error::NotFound)?,
        contact: it.contact_id.map(ContactId),
        destination: it.destination.ok_or(Error::NotFound)?,
        unsubscribed: it.unsubscribed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_anything_else_is_not() {
        let token = Uuid::new_v4();
        let text = encode(token);
        assert_eq!((text.len(), decode(&text)), (22, Some(token)));
        for wrong in ["", "1", "../../etc", &text[1..], "AAAA", "ñ"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
