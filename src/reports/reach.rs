//! How much of each frequency cap a contact has used, and which messages wait for them.

use crate::{
    channels::Channel,
    chile::time,
    contacts::merge,
    error::Result,
    ids::{ContactId, MessageId},
    messaging::{
        kinds::{DeferReason, MessageType},
        limits::{self, Cap},
    },
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgConnection;

/// A cap with what one contact got under it.
#[derive(Clone, Debug)]
pub struct Used {
    /// The cap.
    pub cap: Cap,
    /// Messages in its window.
    pub used: u32,
}

impl Used {
    /// No room is left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used >= self.cap.max_messages
    }
}

/// The caps of the channels in `channels`, with what `contact` got under each, and whoever was joined into them. The
/// days are counted as the gate counts them: whole local days, today included.
///
/// # Errors
/// When the database fails.
pub async fn used(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    contact: ContactId,
    channels: &[Channel],
) -> Result<Vec<Used>> {
    let caps: Vec<Cap> =
        limits::list(&mut *db).await?.into_iter().filter(|it| channels.contains(&it.channel)).collect();
    let longest = caps.iter().map(|it| it.days).max().unwrap_or(1);
    let since = time::start_of_day(first_day(now, longest));
    let people: Vec<i64> = merge::all_of(&mut *db, contact).await?.into_iter().map(|it| it.0).collect();
    let rows = sqlx::query!(
        r#"select communication_type as "communication_type!", message_type as "message_type!", at as "at!"
           from messages_counted where contact_id = any($1) and at >= $2 order by id desc limit 2000"#,
        &people,
        since
    )
    .fetch_all(db)
    .await?;
    let got: Vec<(Channel, MessageType, NaiveDate)> = rows
        .into_iter()
        .filter_map(|it| {
            let channel = Channel::from_code(&it.communication_type)?;
            Some((channel, MessageType::from_code(&it.message_type)?, time::local_date(it.at)))
        })
        .collect();
    let counted = |cap: &Cap| {
        let first = first_day(now, cap.days);
        let counts = got.iter().filter(|it| it.0 == cap.channel && cap.covers(it.1) && it.2 >= first).count();
        u32::try_from(counts).unwrap_or(u32::MAX)
    };
    Ok(caps.into_iter().map(|cap| Used { used: counted(&cap), cap }).collect())
}

/// The first day of a window of `days` that ends today.
fn first_day(now: DateTime<Utc>, days: u32) -> NaiveDate {
    time::local_date(now) - Days::new(u64::from(days.saturating_sub(1)))
}

/// A message that waits.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Row.
    pub id: MessageId,
    /// By which channel.
    pub channel: Channel,
    /// Campaign that asked for it, or its subject.
    pub name: String,
    /// When it is tried next.
    pub at: DateTime<Utc>,
    /// Why it waits, where it was put off.
    pub reason: Option<DeferReason>,
}

/// The messages that wait for `contact`, soonest first, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn planned(db: &mut PgConnection, contact: ContactId, limit: i64) -> Result<Vec<Planned>> {
    let people: Vec<i64> = merge::all_of(&mut *db, contact).await?.into_iter().map(|it| it.0).collect();
    let rows = sqlx::query!(
        r#"select l.id, l.communication_type, coalesce(k.name, l.subject, '') as "name!", l.next_attempt_at, l.defer_reason
           from communication_logs l left join campaigns k on k.id = l.campaign_id
           where l.contact_id = any($1) and l.status = 'PENDING' order by l.next_attempt_at, l.id limit $2"#,
        &people,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Planned {
                id: MessageId(it.id),
                channel: Channel::from_code(&it.communication_type)?,
                name: it.name,
                at: it.next_attempt_at,
                reason: it.defer_reason.as_deref().and_then(DeferReason::from_code),
            })
        })
        .collect())
}
