//! What comes back of what was sent: written down first, applied afterwards, each in
//! a transaction of its own. However late, often and out of order it comes, a
//! message only goes forward and ends the same; what nobody can match is listed and never lost.

mod apply;
mod consequences;
pub mod ledger;
pub mod mailbox;

pub use apply::{Pass, run_once};

use crate::{
    channels::{
        Channel,
        email::blame::{self, Blame},
        feedback::{Report, Source},
    },
    contacts::address::EmailAddress,
    db::Tx,
    error::Result,
    ids::{CampaignId, MailingId, MessageId},
    messaging::{
        refusals::{self, Fault},
        streams::Sendout,
    },
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Characters kept of what came, as it came.
const RAW: usize = 8_000;

/// Characters kept of an answer's text.
const BODY: usize = 4_000;

/// Write down what `source` tells of email; what it told before is left as it is. Gives how much is new.
///
/// # Errors
/// When the database fails; nothing is then written.
pub async fn record(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    source: Source,
    reports: &[Report],
) -> Result<u64> {
    if reports.is_empty() {
        return Ok(0);
    }
    let mut rows = Rows::default();
    for report in reports {
        rows.push(report, now);
    }
    let done = sqlx::query!(
        "insert into inbound_events
             (source, external_id, communication_type, kind, cause, occurred_at, received_at, recipient, message_ids,
              status_code, diagnostic, subject, body, raw, next_attempt_at)
         select $1, external_id, $2, kind, cause, occurred_at, $3, recipient,
                coalesce(string_to_array(nullif(message_ids, ''), chr(10)), '{}'), status_code, diagnostic, subject, body, raw, $3
         from unnest($4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::text[],
                     $12::text[], $13::text[], $14::text[])
             as told (external_id, kind, cause, occurred_at, recipient, message_ids, status_code, diagnostic, subject, body, raw)
         on conflict on constraint inbound_events_once do nothing",
        source.code(),
        Channel::Email.code(),
        now,
        &rows.ids,
        &rows.kinds,
        &rows.causes as &[Option<String>],
        &rows.at,
        &rows.recipients as &[Option<String>],
        &rows.message_ids,
        &rows.codes as &[Option<String>],
        &rows.diagnostics as &[Option<String>],
        &rows.subjects as &[Option<String>],
        &rows.bodies as &[Option<String>],
        &rows.raw
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    kinds: Vec<String>,
    causes: Vec<Option<String>>,
    at: Vec<DateTime<Utc>>,
    recipients: Vec<Option<String>>,
    message_ids: Vec<String>,
    codes: Vec<Option<String>>,
    diagnostics: Vec<Option<String>>,
    subjects: Vec<Option<String>>,
    bodies: Vec<Option<String>>,
    raw: Vec<String>,
}

impl Rows {
    fn push(&mut self, report: &Report, now: DateTime<Utc>) {
        let recipient = report.recipient.as_deref().map(normal).filter(|it| !it.is_empty());
        let masked =
            |it: &String| kept(&blame::without_addresses(it, recipient.as_deref().unwrap_or_default()), 500);
        self.ids.push(kept(&report.event_id, 300));
        self.kinds.push(report.kind.code().to_owned());
        self.causes.push(report.cause.map(|it| it.code().to_owned()));
        // A clock that runs ahead must not put anything into the future.
        self.at.push(report.occurred_at.unwrap_or(now).min(now));
        self.diagnostics.push(report.diagnostic.as_ref().map(masked));
        self.recipients.push(recipient);
        self.message_ids
            .push(report.message_ids.iter().map(|it| kept(it, 250)).collect::<Vec<_>>().join("\n"));
        self.codes.push(report.status_code.clone());
        self.subjects.push(report.subject.as_ref().map(|it| kept(it, 300)));
        self.bodies.push(report.body.as_ref().map(|it| kept(it, BODY)));
        self.raw.push(kept(&report.raw, RAW));
    }
}

/// An address as contacts and messages have it.
fn normal(address: &str) -> String {
    match address.parse::<EmailAddress>() {
        Ok(it) => it.as_str().to_owned(),
        Err(_) => kept(&address.trim().to_lowercase(), 320),
    }
}

/// What Postgres takes of `text`, at most `most` characters.
fn kept(text: &str, most: usize) -> String {
    text.chars().filter(|it| *it != '\0').take(most).collect()
}

/// Write down what a server said of `message` in the conversation itself, and let it do what it would do if it came back
/// later. Its message is decided on already.
pub(super) async fn told_at_once(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    message: MessageId,
    report: &Report,
) -> Result<()> {
    let mut rows = Rows::default();
    rows.push(report, now);
    let first = |all: &[Option<String>]| all.first().cloned().flatten();
    let id = sqlx::query_scalar!(
        "insert into inbound_events
             (source, external_id, communication_type, kind, cause, occurred_at, received_at, recipient, message_ids, status_code,
              diagnostic, raw, status, communication_log_id, matched_by, next_attempt_at, applied_at)
         values ($1, $2, $3, $4, $5, $6, $6, $7, '{}', $8, $9, '', 'APPLIED', $10, 'MESSAGE_ID', $6, $6)
         on conflict on constraint inbound_events_once do nothing
         returning id",
        Source::Smtp.code(),
        report.event_id,
        Channel::Email.code(),
        report.kind.code(),
        first(&rows.causes),
        now,
        first(&rows.recipients),
        report.status_code,
        first(&rows.diagnostics),
        message.0
    )
    .fetch_optional(&mut **tx)
    .await?;
    match id {
        Some(id) => consequences::of(tx, now, &[id]).await,
        None => Ok(()),
    }
}

/// The campaigns and mailings of which messages came back, or were refused by rules, for a fault of ours since this was asked
/// last; asking again tells only of what came since. What left before a campaign was last touched, or a mailing let go on, says nothing of how it
/// stands now.
///
/// # Errors
/// When the database fails.
pub async fn take_refused(tx: &mut Tx<'_>, now: DateTime<Utc>) -> Result<Vec<(Sendout, Fault)>> {
    let rows = sqlx::query!(
        r#"with told as (
               update inbound_events set told_at = $1
               where id in (select id from inbound_events
                            where kind = 'SENDER_REFUSED' and told_at is null and status = 'APPLIED'
                            order by id limit 1000 for update skip locked)
               returning id, communication_log_id, occurred_at as at, coalesce(cause, '') as cause, coalesce(diagnostic, status_code, '') as answer
           )
           select distinct on (c.id, m.id) c.id as "campaign?", m.id as "mailing?", told.cause as "cause!", told.answer as "answer!"
           from told join communication_logs l on l.id = told.communication_log_id
           left join campaigns c on c.id = l.campaign_id and l.origin = 'CAMPAIGN' and c.status = 'RUNNING'
               and coalesce(l.sent_at, told.at) >= c.updated_at
           left join mailings m on m.id = l.mailing_id and m.sends and coalesce(l.sent_at, told.at) >= coalesce(m.resumed_at, m.created_at)
           where c.id is not null or m.id is not null
           -- What leaves no doubt goes before what has to be counted.
           order by c.id, m.id, told.cause = $2, told.id"#,
        now,
        Blame::Policy.code()
    )
    .fetch_all(&mut **tx)
    .await?;
    let sendout = |campaign: Option<i64>, mailing: Option<i64>| {
        campaign
            .map(|id| Sendout::Campaign(CampaignId(id)))
            .or(mailing.map(|id| Sendout::Mailing(MailingId(id))))
    };
    let mut faults = Vec::new();
    for it in rows {
        let Some(sendout) = sendout(it.campaign, it.mailing) else { continue };
        let fault = if it.cause == Blame::Policy.code() {
            refusals::fault(tx, sendout).await?
        } else {
            Some(Fault { answer: it.answer, people: None })
        };
        faults.extend(fault.map(|it| (sendout, it)));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_fits_the_database() {
        assert_eq!(kept("a\0ñb", 2), "añ");
        assert_eq!(normal(" <Ana@Sur.CL> "), "ana@sur.cl");
        assert_eq!(normal("sin arroba"), "sin arroba");
    }
}
