//! What the gate decided on messages to one person. Reads only.

use super::{
    kinds::{EventKind, MessageType},
    story::{known, reason_in_words},
};
use crate::{
    contacts::merge,
    error::Result,
    ids::{ContactId, MessageId},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A decision of the gate on a message.
#[derive(Clone, Debug)]
pub struct Told {
    /// The message.
    pub message: MessageId,
    /// Name of the campaign that asked for it.
    pub campaign: Option<String>,
    /// Title of the mailing that asked for it, somebody's by hand.
    pub mailing: Option<String>,
    /// What the message is for.
    pub message_type: MessageType,
    /// When.
    pub at: DateTime<Utc>,
    /// Let go, put off or refused.
    pub kind: EventKind,
    /// Why, in words; empty: no reason.
    pub reason: String,
    /// More exactly.
    pub detail: Option<String>,
    /// Until when, for what was put off.
    pub until: Option<DateTime<Utc>>,
}

impl Told {
    /// What the message is called: its campaign, that it was sent by hand and under which title, else what it is for.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.campaign, &self.mailing) {
            (Some(campaign), _) => campaign.clone(),
            (None, Some(title)) => format!("Envío a mano: {title}"),
            (None, None) => self.message_type.label().to_owned(),
        }
    }
}

/// Messages whose decisions are looked through, the newest, and decisions of each.
const LOOKED_AT: (i64, i64) = (50, 5);

/// The gate's last decisions on messages to a contact, and to whoever was joined into them, newest first.
///
/// # Errors
/// When the database fails.
pub async fn decisions(db: &mut PgConnection, contact: ContactId, limit: i64) -> Result<Vec<Told>> {
    let people: Vec<i64> = merge::all_of(&mut *db, contact).await?.into_iter().map(|it| it.0).collect();
    let rows = sqlx::query!(
        r#"select l.id, l.message_type, k.name as "campaign?", m.title as "mailing?",
                  e.at, e.kind, e.reason, e.answer, e.until
           from (select id, campaign_id, mailing_id, message_type from communication_logs
                 where contact_id = any($1) and origin <> 'TEST' order by id desc limit $2) l
           cross join lateral (
               select * from communication_events
               where communication_log_id = l.id and kind in ('ALLOWED', 'DEFERRED', 'BLOCKED') order by id desc limit $3
           ) e
           left join campaigns k on k.id = l.campaign_id
           left join mailings m on m.id = l.mailing_id
           order by e.id desc limit $4"#,
        &people,
        LOOKED_AT.0,
        LOOKED_AT.1,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|it| {
            Ok(Told {
                message: MessageId(it.id),
                campaign: it.campaign,
                mailing: it.mailing,
                message_type: known(MessageType::from_code(&it.message_type))?,
                at: it.at,
                kind: known(EventKind::from_code(&it.kind))?,
                reason: reason_in_words(it.reason.as_deref()).to_owned(),
                detail: it.answer,
                until: it.until,
            })
        })
        .collect()
}
