//! Whether what receivers refuse by rules of their own is a fault of ours: one of them
//! says nothing, several say it. One rule for what is refused at once and what comes back.

use super::streams::Sendout;
use crate::error::Result;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// What is refused for a fault of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was said, the last.
    pub answer: String,
    /// So many people's servers refused it by their rules; none: the answer leaves no doubt.
    pub people: Option<u64>,
}

/// People whose servers refuse before it says anything.
const SEVERAL: u64 = 3;

/// The same where all are at one domain, whose rules may be odd.
const OF_ONE_DOMAIN: u64 = 5;

/// Of all who were written to, one in so many at least.
const ONE_IN: u64 = 20;

/// Whether `refused` people's servers, at `domains` domains, speak of us, while `taken` messages were taken.
fn is_ours(refused: u64, domains: usize, taken: u64) -> bool {
    refused >= SEVERAL && domains > 1 && refused * ONE_IN >= refused + taken
}

/// Whether one domain refuses all of us, or nearly.
fn is_shut(refused: u64, taken: u64) -> bool {
    refused >= OF_ONE_DOMAIN && refused >= taken
}

/// What is to be told of `sendout`, by what was refused by rules since it was last touched; none: too little to tell.
///
/// # Errors
/// When the database fails.
pub(super) async fn fault(db: &mut PgConnection, sendout: Sendout) -> Result<Option<Fault>> {
    let (campaign, mailing) = match sendout {
        Sendout::Campaign(id) => (Some(id.0), None),
        Sendout::Mailing(id) => (None, Some(id.0)),
    };
    let since = sqlx::query_scalar!(
        r#"select at as "at!" from (
               select updated_at as at from campaigns where id = $1
               union all select coalesce(resumed_at, created_at) from mailings where id = $2) touched"#,
        campaign,
        mailing
    )
    .fetch_one(&mut *db)
    .await?;
    // All refusals by rule are few, whatever they are of.
    let domains = sqlx::query!(
        r#"select split_part(l.destination, '@', 2) as "domain!", count(distinct l.destination) as "refused!",
               max(e.id) as "last!"
           from inbound_events e join communication_logs l on l.id = e.communication_log_id
           where e.kind = 'SENDER_REFUSED' and e.cause = 'POLICY' and e.status = 'APPLIED' and e.received_at >= $3
             and coalesce(l.sent_at, e.occurred_at) >= $3 and l.origin <> 'TEST'
             and (l.campaign_id = $1 or l.mailing_id = $2)
           group by 1"#,
        campaign,
        mailing,
        since
    )
    .fetch_all(&mut *db)
    .await?;
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    let refused: u64 = domains.iter().map(|it| count(it.refused)).sum();
    if refused < SEVERAL {
        return Ok(None);
    }
    let mut ours =
        is_ours(refused, domains.len(), taken(db, (campaign, mailing), since, None, refused * ONE_IN).await?);
    for it in domains.iter().filter(|it| count(it.refused) >= OF_ONE_DOMAIN) {
        let refused = count(it.refused);
        let taken = taken(db, (campaign, mailing), since, Some(&it.domain), refused + 1).await?;
        ours |= is_shut(refused, taken);
    }
    if !ours {
        return Ok(None);
    }
    let answer = sqlx::query_scalar!(
        r#"select coalesce(diagnostic, status_code, '') as "answer!" from inbound_events where id = $1"#,
        domains.iter().map(|it| it.last).max().unwrap_or_default()
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(Some(Fault { answer, people: Some(refused) }))
}

/// Messages that were taken and did not come back by a rule, counted up to `most`.
async fn taken(
    db: &mut PgConnection,
    (campaign, mailing): (Option<i64>, Option<i64>),
    since: DateTime<Utc>,
    domain: Option<&str>,
    most: u64,
) -> Result<u64> {
    let taken = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (
               select from communication_logs
               where campaign_id = $1 and sent_at >= $3 and status <> 'BOUNCED'
                 and ($4::text is null or split_part(destination, '@', 2) = $4)
               union all
               select from communication_logs
               where mailing_id = $2 and sent_at >= $3 and status <> 'BOUNCED'
                 and ($4::text is null or split_part(destination, '@', 2) = $4)
               limit $5) counted"#,
        campaign,
        mailing,
        since,
        domain,
        i64::try_from(most).unwrap_or(i64::MAX)
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(u64::try_from(taken).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_people_at_several_domains_are_needed_and_not_too_few_of_all() {
        assert!(!is_ours(2, 2, 0) && !is_ours(3, 1, 0) && is_ours(3, 2, 57));
        assert!(!is_ours(3, 2, 58) && is_ours(60, 9, 1140));
    }

    #[test]
    fn a_domain_that_takes_nearly_nothing_is_shut() {
        assert!(is_shut(5, 5) && !is_shut(4, 0) && !is_shut(5, 6));
    }
}
