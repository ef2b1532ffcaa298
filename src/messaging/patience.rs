//! How long a message is tried whose server asks to come back later, and how often:
//! longer than servers and mailboxes are commonly shut, and not for ever.

use crate::{
    channels::{
        email::blame::Blame,
        feedback::{Kind, Report},
    },
    db::Tx,
    error::Result,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::HashMap;

/// Tries that a message has at least, however rarely its window opens.
const LEAST_TRIES: u32 = 4;

/// What a temporary answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// This message at this moment: greylisting, a server in trouble.
    Usual,
    /// The mailbox is full: its owner has to do something about it.
    Full,
    /// The receiver's rules or our reputation: more tries soon make it worse.
    Wary,
    /// Our pace: whoever the message is for.
    Pace,
}

impl Wait {
    /// Of the server's answer, which begins with its reply code; our own words for a fault of the line are the usual.
    pub(super) fn of(answer: &str) -> Wait {
        let told = Report::new(Kind::Deferred, "").said(None, Some(answer)).late();
        match told.cause {
            Some(Blame::Quota) => Wait::Pace,
            _ if answer.starts_with("421") || answer.starts_with("454 4.7") => Wait::Pace,
            Some(Blame::Full) => Wait::Full,
            _ if answer.to_lowercase().contains("greylist") => Wait::Usual,
            Some(Blame::Policy | Blame::Sender) => Wait::Wary,
            _ => Wait::Usual,
        }
    }

    /// How long it is tried. RFC 5321 4.5.4.1 wants four or five days at least; what is promoted is old by then, so that
    /// three are enough where nobody asked us to go slowly.
    fn lasts(self) -> TimeDelta {
        match self {
            Wait::Usual | Wait::Full => TimeDelta::hours(72),
            Wait::Wary | Wait::Pace => TimeDelta::hours(120),
        }
    }

    /// Minutes after the first try, and at most.
    fn minutes(self) -> (u32, u32) {
        match self {
            Wait::Usual => (5, 240),
            Wait::Full => (240, 720),
            Wait::Wary | Wait::Pace => (30, 240),
        }
    }

    /// Whether a message is given up after try number `attempt`, at `now`, having been tried since `since`.
    pub(super) fn is_over(self, attempt: u32, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        attempt >= LEAST_TRIES && now - since >= self.lasts()
    }

    /// How long to wait after try number `attempt`: doubled each time up to a cap, times `jitter` so that retries do not
    /// march in step.
    pub(super) fn interval(self, attempt: u32, jitter: f64) -> TimeDelta {
        let (first, most) = self.minutes();
        let minutes = first.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(most);
        let seconds = f64::from(minutes * 60) * jitter;
        #[expect(clippy::cast_possible_truncation, reason = "at most a day in seconds")]
        TimeDelta::seconds(seconds as i64)
    }
}

/// Since when each of the messages `ids` is tried again and again: its first temporary answer since it was asked for, or
/// since a person last put it back.
pub(super) async fn tried_since(tx: &mut Tx<'_>, ids: &[i64]) -> Result<HashMap<i64, DateTime<Utc>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select e.communication_log_id as id, min(e.at) as "since!"
           from communication_events e
           where e.communication_log_id = any($1) and e.kind = 'RETRY' and e.id > coalesce((
               select max(back.id) from communication_events back
               where back.communication_log_id = e.communication_log_id and back.kind = 'REQUEUED'
                 and back.drip_run_id is null), 0)
           group by 1"#,
        ids
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|it| (it.id, it.since)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_cap() {
        let minutes = |wait: Wait| [1, 2, 3, 6, 7, 8, 400].map(|it| wait.interval(it, 1.0).num_minutes());
        assert_eq!(minutes(Wait::Usual), [5, 10, 20, 160, 240, 240, 240]);
        assert_eq!(minutes(Wait::Full), [240, 480, 720, 720, 720, 720, 720]);
        assert_eq!(minutes(Wait::Pace), [30, 60, 120, 240, 240, 240, 240]);
        assert_eq!(Wait::Usual.interval(1, 0.8).num_seconds(), 240);
    }

    #[test]
    fn a_message_is_tried_for_three_days_and_for_five_where_we_are_to_go_slowly() {
        let since = DateTime::UNIX_EPOCH;
        let over = |wait: Wait, attempt, hours| wait.is_over(attempt, since, since + TimeDelta::hours(hours));
        assert!(!over(Wait::Usual, 30, 71) && over(Wait::Usual, 30, 72) && !over(Wait::Usual, 3, 200));
        assert!(!over(Wait::Pace, 30, 119) && over(Wait::Pace, 30, 120));
        assert!(!over(Wait::Full, 4, 71) && over(Wait::Full, 4, 72));
    }

    #[test]
    fn an_answer_says_what_is_waited_for() {
        for (answer, expected) in [
            ("450 4.2.0 Greylisted, please try again", Wait::Usual),
            ("451 4.7.1 Greylisting in action", Wait::Usual),
            ("451 4.3.0 Temporary server error", Wait::Usual),
            ("El servidor de correo cerró la conexión.", Wait::Usual),
            ("452 4.2.2 Mailbox full", Wait::Full),
            ("451 4.7.0 Temporarily deferred due to user complaints", Wait::Wary),
            ("421 4.7.0 Try again later", Wait::Pace),
            ("450 4.7.28 unusual rate", Wait::Pace),
            ("454 4.7.0 Throttling failure", Wait::Pace),
        ] {
            assert_eq!(Wait::of(answer), expected, "{answer}");
        }
    }
}
