//! What people write back to a text message or by WhatsApp, where it is one word: that
//! they want no more, or that they want it again. The words are the business's setting.

use super::suppression;
use crate::{
    access::Actor,
    channels::Channel,
    chile::{text::tidy, time},
    contacts::{
        consent::{self, Grant},
        merge,
        vocabulary::Basis,
    },
    db::Tx,
    error::{Error, Result},
    ids::ContactId,
    settings::Words,
};
use chrono::{DateTime, Utc};

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// No more promotions.
    NoMore,
    /// Promotions again.
    Back,
    /// Anything else: an answer for people to read.
    Else,
}

/// `text` came from the telephone `from` by `channel`: a word that stops excludes the telephone from promotions, one that
/// brings back takes back what such a word did, and nothing else: not what a complaint, the staff, a link or a register did.
/// Both are kept as proof with the consent of whoever has the telephone.
///
/// # Errors
/// When the database fails.
pub async fn heard(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    channel: Channel,
    from: &str,
    text: &str,
    words: &Words,
) -> Result<Said> {
    let word: String = tidy(text).chars().take(60).collect();
    let proof = format!("Escribió «{word}» por {}", channel.label());
    if words.says_no_more(text) {
        suppression::stop_by_word(tx, now, channel, from, &word, &proof).await?;
        for contact in who_has(tx, from).await? {
            let Some(contact) = held(tx, contact).await? else { continue };
            if !consent::said_no(tx, contact, channel.code()).await? {
                consent::withdraw(tx, now, &Actor::System, contact, channel, &proof, None).await?;
            }
        }
        return Ok(Said::NoMore);
    }
    if !words.says_back(text) {
        return Ok(Said::Else);
    }
    let Some(stopped_at) = suppression::lift_by_word(tx, now, channel, from).await? else {
        return Ok(Said::Back);
    };
    for contact in who_has(tx, from).await? {
        let Some(contact) = held(tx, contact).await? else { continue };
        // A no that came otherwise, before or since, stands; and who had never said yes said none now.
        if consent::ended_at(tx, contact, channel).await? == Some(stopped_at) {
            let grant = Grant {
                channel,
                basis: Basis::Consent,
                source: proof.clone(),
                obtained_on: time::local_date(now),
            };
            consent::grant(tx, now, &Actor::System, contact, &grant).await?;
        }
    }
    Ok(Said::Back)
}

/// Who has the telephone: a family or an office may share one.
async fn who_has(tx: &mut Tx<'_>, telephone: &str) -> Result<Vec<ContactId>> {
    let ids = sqlx::query_scalar!(
        "select id from contacts where phone = $1 and merged_into is null order by id",
        telephone
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().map(ContactId).collect())
}

/// They, held; none: they were deleted meanwhile.
async fn held(tx: &mut Tx<'_>, contact: ContactId) -> Result<Option<ContactId>> {
    match merge::hold_survivor(tx, contact).await {
        Ok(id) => Ok(Some(id)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
