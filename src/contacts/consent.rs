//! Every yes and no to promotions, with its proof. The ledger is appended to,
//! never altered; the contact's row holds how things stand, written with it.

use super::{check::Check, merge, vocabulary::Basis};
use crate::{
    access::{Actor, Permission},
    audit,
    channels::Channel,
    chile::time,
    db::Tx,
    error::{Error, Result},
    ids::{ContactId, ImportId, MessageId},
};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

/// A yes as it is typed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// Code of the channel.
    pub communication_type: String,
    /// Code of the basis.
    pub basis: String,
    /// Where it was given, in words.
    pub source: String,
    /// The day it was given; empty: today.
    pub obtained_on: String,
}

/// A yes with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// On which channel.
    pub channel: Channel,
    /// On which basis.
    pub basis: Basis,
    /// Where it was given, in words.
    pub source: String,
    /// The day it was given.
    pub obtained_on: NaiveDate,
}

impl Draft {
    /// The yes that was typed.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong.
    pub fn check(&self, now: DateTime<Utc>) -> Result<Grant> {
        let mut check = Check::default();
        let today = time::local_date(now);
        let channel = Channel::from_code(&self.communication_type);
        let basis = Basis::from_code(&self.basis);
        if channel.is_none() {
            check.wrong("communication_type", "Elige el canal.");
        }
        if basis.is_none() {
            check.wrong("basis", "Elige la base legal.");
        }
        let source = check.short("source", &self.source);
        if source.chars().count() < 3 {
            check.wrong("source", "Escribe de dónde salió: será la prueba si alguien la pide.");
        }
        let obtained_on = check.date("obtained_on", &self.obtained_on).unwrap_or(today);
        if obtained_on > today {
            check.wrong("obtained_on", "La fecha no puede ser futura.");
        }
        check.done()?;
        let (channel, basis) = channel.zip(basis).ok_or(Error::NotFound)?;
        Ok(Grant { channel, basis, source, obtained_on })
    }
}

/// Write down that a contact may be sent promotions.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Joined`], or the database's.
pub async fn grant(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    grant: &Grant,
) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    set_basis(tx, now, contact, grant.channel, Some(grant.basis)).await?;
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, obtained_on, staff_user_id, at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        contact.0,
        grant.channel.code(),
        grant.basis.code(),
        grant.source,
        grant.obtained_on,
        actor.staff_id().map(|it| it.0),
        now
    )
    .execute(&mut **tx)
    .await?;
    let after = json!({
        "communication_type": grant.channel, "basis": grant.basis, "source": grant.source,
        "obtained_on": grant.obtained_on,
    });
    record(tx, now, actor, "consent.grant", contact, after).await
}

/// Write down that a contact may no longer be sent promotions on `channel`.
/// `source` says in words how it was told; `message` is the one whose link was used.
/// Withdrawing what was never given is written down too: it is a no.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], or the database's.
pub async fn withdraw(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    contact: ContactId,
    channel: Channel,
    source: &str,
    message: Option<MessageId>,
) -> Result<()> {
    actor.require(Permission::EditContacts)?;
    set_basis(tx, now, contact, channel, None).await?;
    sqlx::query!(
        "insert into consent_events (contact_id, communication_type, basis, source, staff_user_id, communication_log_id, at)
         values ($1, $2, 'WITHDRAWN', $3, $4, $5, $6)",
        contact.0,
        channel.code(),
        source,
        actor.staff_id().map(|it| it.0),
        message.map(|it| it.0),
        now
    )
    .execute(&mut **tx)
    .await?;
    let after = json!({ "communication_type": channel, "source": source });
    record(tx, now, actor, "consent.withdraw", contact, after).await
}

/// Whether the last word of `contact` on the channel with the code `channel` was a no.
///
/// # Errors
/// When the database fails.
pub async fn said_no(db: &mut PgConnection, contact: ContactId, channel: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce((select basis = 'WITHDRAWN' from consent_events
               where contact_id = $1 and communication_type = $2 order by id desc limit 1), false) as "no!""#,
        contact.0,
        channel
    )
    .fetch_one(db)
    .await?)
}

/// When a yes of `contact` on `channel` was ended by a no, where that is their last word.
///
/// # Errors
/// When the database fails.
pub async fn ended_at(
    db: &mut PgConnection,
    contact: ContactId,
    channel: Channel,
) -> Result<Option<DateTime<Utc>>> {
    let last = sqlx::query!(
        "select basis, at from consent_events where contact_id = $1 and communication_type = $2 order by id desc limit 2",
        contact.0,
        channel.code()
    )
    .fetch_all(db)
    .await?;
    Ok(match last.as_slice() {
        [no, yes] if no.basis == "WITHDRAWN" && Basis::from_code(&yes.basis).is_some() => Some(no.at),
        _ => None,
    })
}

/// The row follows what is about to stand in the ledger.
async fn set_basis(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    contact: ContactId,
    channel: Channel,
    basis: Option<Basis>,
) -> Result<()> {
    merge::hold(tx, contact).await?;
    sqlx::query!(
        "update contacts set
             email_basis = case when $2 = 'EMAIL' then $3 else email_basis end,
             sms_basis = case when $2 = 'SMS' then $3 else sms_basis end,
             whatsapp_basis = case when $2 = 'WHATSAPP' then $3 else whatsapp_basis end,
             updated_at = $4
         where id = $1",
        contact.0,
        channel.code(),
        basis.map(Basis::code),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What people on the staff did goes to the audit too; what a recipient did is in the ledger.
async fn record(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    action: &str,
    contact: ContactId,
    after: serde_json::Value,
) -> Result<()> {
    if matches!(actor, Actor::System) {
        return Ok(());
    }
    let change = audit::Change {
        action,
        subject_kind: "contact",
        subject_id: Some(contact.0),
        before: None,
        after: Some(after),
    };
    audit::record(tx, now, actor, change).await
}

/// An entry of the ledger.
#[derive(Clone, Debug)]
pub struct Entry {
    /// On which channel.
    pub channel: Channel,
    /// Granted on this basis; none: withdrawn, or without effect.
    pub basis: Option<Basis>,
    /// What an import stated has no effect any more: it was undone.
    pub is_reversed: bool,
    /// Where it was given, in words.
    pub source: String,
    /// The day it was given, where that is told.
    pub obtained_on: Option<NaiveDate>,
    /// The import that stated it.
    pub import_id: Option<ImportId>,
    /// The message whose link was used.
    pub message: Option<MessageId>,
    /// Who on the staff wrote it down.
    pub by: Option<String>,
    /// When it was written down.
    pub at: DateTime<Utc>,
}

/// The latest `limit` entries of a contact and of whoever was joined into them, newest first.
///
/// # Errors
/// When the database fails.
pub async fn ledger(db: impl PgExecutor<'_>, contact: ContactId, limit: i64) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select e.communication_type, e.basis, e.source, e.obtained_on, e.import_id, e.communication_log_id, e.at,
               s.name as "by?"
           from consent_events e left join staff_users s on s.id = e.staff_user_id
           where e.contact_id in (select $1 union all select id from contacts where merged_into = $1) order by e.id desc limit $2"#,
        contact.0,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Entry {
                channel: Channel::from_code(&it.communication_type)?,
                basis: Basis::from_code(&it.basis),
                is_reversed: it.basis == "REVERSED",
                source: it.source,
                obtained_on: it.obtained_on,
                import_id: it.import_id.map(ImportId),
                message: it.communication_log_id.map(MessageId),
                by: it.by,
                at: it.at,
            })
        })
        .collect())
}
