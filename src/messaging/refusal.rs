//! "No contactar más": one no for everything, whatever addresses the person has
//! today. The addresses are excluded, and the ledger keeps the no for those that come later.

use super::{
    kinds::{Scope, SuppressionReason},
    suppression::{self, Entry},
};
use crate::{
    access::Actor,
    channels::Channel,
    contacts::{consent, contact},
    db::Tx,
    error::Result,
    ids::ContactId,
};
use chrono::{DateTime, Utc};

/// Write down that `contact` wants no more promotions on any channel, with `detail` as its proof, and exclude
/// each of their addresses as far as `scope` says.
///
/// # Errors
/// [`Error::Forbidden`](crate::error::Error::Forbidden); as for every change to one contact; or the database's.
pub async fn contact_no_more(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    scope: Scope,
    detail: &str,
) -> Result<()> {
    // The withdrawals hold the contact, so that the addresses read after them are the ones that stand.
    for channel in Channel::ALL {
        consent::withdraw(tx, now, actor, contact, channel, detail, None).await?;
    }
    let who = contact::get(&mut **tx, contact).await?;
    for channel in Channel::ALL {
        let Some(destination) = who.destination(channel) else { continue };
        let reason = SuppressionReason::Manual;
        let entry = Entry { channel, destination, scope, reason, detail: Some(detail), message: None };
        suppression::suppress(tx, now, actor, &entry).await?;
    }
    Ok(())
}
