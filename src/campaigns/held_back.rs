//! Why a run that somebody asked for let less go than they looked for: campaigns that were just started are held, and hours
//! are closed. Looks only at what waits; why one message does is `messaging::why`'s.

use super::outlook;
use crate::{channels::Channel, chile::time, error::Result, messaging::kinds::DeferReason};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use sqlx::PgConnection;

/// What holds messages of a channel back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// Campaigns whose launch may still be taken back, by name, and until when.
    pub campaigns: Vec<(String, DateTime<Utc>)>,
    /// When the first of those leaves that wait for business hours; none: nothing does.
    pub hours_open: Option<DateTime<Utc>>,
}

/// What holds messages of `channel` back, after a run that looked at all that was due.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut PgConnection, now: DateTime<Utc>, channel: Channel) -> Result<HeldBack> {
    let campaigns = sqlx::query!(
        r#"select name, held_until as "until!" from campaigns
           where status = 'RUNNING' and communication_type = $1 and held_until > $2 order by held_until, id"#,
        channel.code(),
        now
    )
    .fetch_all(&mut *db)
    .await?;
    let closed = [DeferReason::OutsideWindow.code(), DeferReason::Holiday.code()].map(str::to_owned);
    let hours_open = sqlx::query_scalar!(
        "select min(l.next_attempt_at) from communication_logs l
         left join campaigns c on c.id = l.campaign_id
         left join mailings m on m.id = l.mailing_id
         where l.communication_type = $1 and l.status = 'PENDING' and l.defer_reason = any($2) and l.next_attempt_at > $3
           and coalesce(c.status = 'RUNNING', m.sends, true)",
        channel.code(),
        &closed,
        now
    )
    .fetch_one(db)
    .await?;
    Ok(HeldBack { campaigns: campaigns.into_iter().map(|it| (it.name, it.until)).collect(), hours_open })
}

impl HeldBack {
    /// The same in sentences; `sent`: by the run. Once something left, the hours were open for whoever looks.
    #[must_use]
    pub fn in_words(&self, sent: u32) -> String {
        let held = self.campaigns.iter().map(|(name, until)| {
            format!("«{name}» está en su espera antes de salir: sale desde las {}.", minute_after(*until))
        });
        let hours = self.hours_open.filter(|_| sent == 0).map(|at| {
            format!(
                "El horario de envío está cerrado: lo que espera por él sale desde el {}.",
                outlook::day_and_hour(at)
            )
        });
        held.chain(hours).collect::<Vec<_>>().join(" ")
    }
}

/// The first full minute in which `at` is past.
fn minute_after(at: DateTime<Utc>) -> String {
    let minute = TimeDelta::minutes(1);
    let begun = at.duration_trunc(minute).unwrap_or(at);
    let full = if begun < at { begun + minute } else { at };
    time::local(full).format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_a_minute_in_which_it_is_still_held() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        assert_eq!(minute_after(at("2026-11-23T12:02:00-03:00")), "12:02");
        assert_eq!(minute_after(at("2026-11-23T12:02:01-03:00")), "12:03");
    }
}
