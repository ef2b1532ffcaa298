//! The mailbox that bounces and answers come to: read on from where it was read to,
//! and what is about our messages written down. Nothing in it is changed.

use super::record;
use crate::{
    channels::{
        Channel,
        email::{
            imap::{Mailbox, Since},
            returned,
        },
        feedback::{Kind, Report, Source},
    },
    chile::time,
    config::{FirstValues, Imap},
    error::{Error, Result},
    settings::{self, Words},
};
use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use std::collections::HashSet;
use tokio_util::sync::CancellationToken;

/// Mails asked for at once.
const AT_ONCE: usize = 50;

/// Mails of one run, at most; the next one reads on.
const MOST: usize = 5_000;

/// How far back a mailbox is read that was never read, or whose server numbers anew.
const BACK: Days = Days::new(30);

/// How long after a message a mail of its recipient that names no message may still be about it.
const RECENT: TimeDelta = TimeDelta::days(60);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Mails looked at.
    pub read: usize,
    /// What they told that was not known.
    pub new: u64,
}

/// Read on. `authority`: as of [`Mailbox::open`].
///
/// # Errors
/// [`Error::Refused`] with a sentence when the mailbox can't be read, or the database's; what was read until then is kept.
pub async fn run_once(
    db: &PgPool,
    now: DateTime<Utc>,
    imap: &Imap,
    authority: Option<Vec<u8>>,
    stop: &CancellationToken,
) -> Result<Outcome> {
    let mut mailbox = Mailbox::open(imap, authority).await.map_err(Error::Refused)?;
    let result = read_on(db, now, imap, &mut mailbox, stop).await;
    mailbox.close().await;
    result
}

async fn read_on(
    db: &PgPool,
    now: DateTime<Utc>,
    imap: &Imap,
    mailbox: &mut Mailbox,
    stop: &CancellationToken,
) -> Result<Outcome> {
    let name = imap.name();
    let validity = i64::from(mailbox.uid_validity);
    let last = sqlx::query_scalar!(
        "select last_uid from mailbox_positions where mailbox = $1 and uid_validity = $2",
        name,
        validity
    )
    .fetch_optional(db)
    .await?;
    let since = match last.and_then(|it| u32::try_from(it).ok()) {
        Some(uid) => Since::Uid(uid),
        None => Since::Day(time::local_date(now) - BACK),
    };
    let mut uids = mailbox.uids(since).await.map_err(Error::Refused)?;
    uids.truncate(MOST);
    // Nothing in the environment says any.
    let words: Words = settings::load(db, &FirstValues::default()).await?;
    let mut outcome = Outcome::default();
    // A mailbox without news was read too.
    keep(&mut *db.acquire().await?, now, &name, validity, last.unwrap_or(0)).await?;
    for some in uids.chunks(AT_ONCE) {
        if stop.is_cancelled() {
            break;
        }
        let mails = mailbox.fetch(some).await.map_err(Error::Refused)?;
        let mut reports: Vec<Report> =
            mails.iter().flat_map(|(_, raw)| returned::read(raw, &words)).collect();
        let mut tx = db.begin().await?;
        of_ours(&mut tx, now, &mut reports).await?;
        outcome.read += mails.len();
        outcome.new += record(&mut tx, now, Source::Mailbox, &reports).await?;
        let through = some.last().copied().map_or(0, i64::from);
        keep(&mut tx, now, &name, validity, through).await?;
        tx.commit().await?;
    }
    Ok(outcome)
}

/// How far it was read; never back while the server's numbering stands.
async fn keep(db: &mut PgConnection, now: DateTime<Utc>, name: &str, validity: i64, uid: i64) -> Result<()> {
    sqlx::query!(
        "insert into mailbox_positions (mailbox, uid_validity, last_uid, read_at) values ($1, $2, $3, $4)
         on conflict (mailbox) do update set
             uid_validity = excluded.uid_validity, read_at = excluded.read_at,
             last_uid = case when mailbox_positions.uid_validity = excluded.uid_validity
                 then greatest(mailbox_positions.last_uid, excluded.last_uid) else excluded.last_uid end",
        name,
        validity,
        uid,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Leave out answers that are none to us: what else lies in a mailbox is nobody's business here. Bounces and complaints
/// all stay, whatever they are about.
async fn of_ours(db: &mut PgConnection, now: DateTime<Utc>, reports: &mut Vec<Report>) -> Result<()> {
    let is_answer = |it: &Report| matches!(it.kind, Kind::Reply | Kind::AutoReply | Kind::OptOut);
    let answers: Vec<&Report> = reports.iter().filter(|it| is_answer(it)).collect();
    if answers.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = answers.iter().flat_map(|it| it.message_ids.clone()).collect();
    let senders: Vec<String> =
        answers.iter().filter_map(|it| it.recipient.as_deref().map(super::normal)).collect();
    let sent: HashSet<String> = sqlx::query_scalar!(
        r#"select external_id as "id!" from communication_logs where external_id = any($1)"#,
        &ids
    )
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .collect();
    let written_to: HashSet<String> = sqlx::query_scalar!(
        r#"select c.email as "email!" from contacts c
           where c.email = any($1) and exists (
               select from (select * from communication_logs where contact_id = c.id offset 0) l
               where l.communication_type = $2 and l.sent_at >= $3)"#,
        &senders,
        Channel::Email.code(),
        now - RECENT
    )
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .collect();
    reports.retain(|it| {
        !is_answer(it)
            || it.message_ids.iter().any(|id| sent.contains(id))
            || it.recipient.as_deref().is_some_and(|it| written_to.contains(&super::normal(it)))
    });
    Ok(())
}

/// When the mailbox was read last.
///
/// # Errors
/// When the database fails.
pub async fn last_read(db: &mut PgConnection, imap: &Imap) -> Result<Option<DateTime<Utc>>> {
    Ok(sqlx::query_scalar!("select read_at from mailbox_positions where mailbox = $1", imap.name())
        .fetch_optional(db)
        .await?)
}
