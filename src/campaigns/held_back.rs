//! Why a run that somebody asked for let less go than they looked for: campaigns that were just started are held, and hours
//! are closed. Looks only at what waits; why one message does is `messaging::why`'s.

use super::{
    hold::{self, Opening},
    outlook,
};
use crate::{
    channels::Channel,
    chile::{business_hours::BusinessHours, time},
    config::FirstValues,
    error::Result,
    messaging::{
        kinds::{DeferReason, MessageType},
        sending,
    },
    settings,
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// What holds messages of a channel back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct HeldBack {
    /// Campaigns whose launch may still be taken back, by name.
    held: Vec<(String, Opening)>,
    /// The channel's hours are closed, and something waits for them.
    hours: Option<Opening>,
    /// Campaigns with something that waits for hours of their own, by name.
    own_hours: Vec<(String, Opening)>,
}

/// What holds messages of `channel` back, in sentences, after a run that looked at all that was due; empty: nothing does.
/// What the run came to does not hang on it: where the database fails, the log has it and nothing is said.
pub async fn in_words(db: &PgPool, first: &FirstValues, now: DateTime<Utc>, channel: Channel) -> String {
    let looked = async { of(&mut *db.acquire().await?, first, now, channel).await };
    match looked.await {
        Ok(held_back) => held_back.in_words(now),
        Err(error) => {
            tracing::error!(
                channel = channel.code(),
                error = error.description(),
                "What a run could not send is not explained"
            );
            String::new()
        }
    }
}

async fn of(
    db: &mut PgConnection,
    first: &FirstValues,
    now: DateTime<Utc>,
    channel: Channel,
) -> Result<HeldBack> {
    let calendar = settings::calendar(&mut *db).await?;
    let channel_hours = sending::of(&mut *db, first, channel).await?.business_hours;
    // What was put off until they open, and what is due but was not looked at.
    let closed = [DeferReason::OutsideWindow.code(), DeferReason::Holiday.code()].map(str::to_owned);
    let promotional = MessageType::promotional_codes();
    let campaigns = sqlx::query!(
        r#"select name, business_hours, held_until, message_type = any($3) as "is_promotional!",
             exists (select from communication_logs l
                     where l.communication_type = $1 and l.campaign_id = c.id and l.status = 'PENDING' and l.origin <> 'TEST'
                       and (l.next_attempt_at <= $2 or l.defer_reason = any($4))) as "waits!"
           from campaigns c
           where status = 'RUNNING' and communication_type = $1 and (held_until > $2 or business_hours is not null)
           order by held_until, id"#,
        channel.code(),
        now,
        &promotional,
        &closed
    )
    .fetch_all(&mut *db)
    .await?;
    let mut found = HeldBack::default();
    for it in campaigns {
        // Hours that can't be read let nothing go; the run has said so.
        let Ok(own) = it.business_hours.map(serde_json::from_value::<BusinessHours>).transpose() else {
            continue;
        };
        match (it.held_until.filter(|until| *until > now), own) {
            (Some(until), own) => {
                let hours = Some(own.as_ref().unwrap_or(&channel_hours)).filter(|_| it.is_promotional);
                found.held.push((it.name, hold::leaves(until, hours, &calendar)));
            }
            (None, Some(own)) if it.waits && it.is_promotional && !own.is_open(now, &calendar) => {
                found.own_hours.push((it.name, own.next_open(now, &calendar)));
            }
            (None, _) => {}
        }
    }
    if !channel_hours.is_open(now, &calendar) && waits_for_the_channel(db, now, channel, &closed).await? {
        found.hours = Some(channel_hours.next_open(now, &calendar));
    }
    Ok(found)
}

/// Whether a promotion waits that keeps to the channel's hours.
async fn waits_for_the_channel(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    channel: Channel,
    closed: &[String],
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (
               select from communication_logs l
               left join campaigns c on c.id = l.campaign_id
               left join mailings m on m.id = l.mailing_id
               where l.communication_type = $1 and l.status = 'PENDING' and l.origin <> 'TEST' and l.message_type = any($3)
                 and (l.next_attempt_at <= $2 or l.defer_reason = any($4))
                 and coalesce(c.status = 'RUNNING' and c.business_hours is null, m.sends, true)
           ) as "waits!""#,
        channel.code(),
        now,
        &MessageType::promotional_codes(),
        closed
    )
    .fetch_one(db)
    .await?)
}

impl HeldBack {
    fn in_words(&self, now: DateTime<Utc>) -> String {
        let held = self.held.iter().map(|(name, from)| match from {
            Some(from) => {
                format!("«{name}» está en su espera antes de salir: sale desde {}.", moment(*from, now))
            }
            None => {
                format!(
                    "«{name}» está en su espera antes de salir, y después no sale: su horario no abre nunca."
                )
            }
        });
        let hours = self.hours.iter().map(|opens| match opens {
            Some(at) => format!(
                "El horario de envío está cerrado: lo que espera por él sale desde el {}.",
                outlook::day_and_hour(*at)
            ),
            None => "El horario de envío no abre nunca: lo que espera por él no sale.".to_owned(),
        });
        let own_hours = self.own_hours.iter().map(|(name, opens)| match opens {
            Some(at) => format!("«{name}» tiene un horario propio: abre el {}.", outlook::day_and_hour(*at)),
            None => format!("«{name}» tiene un horario propio, que no abre nunca."),
        });
        held.chain(hours).chain(own_hours).collect::<Vec<_>>().join(" ")
    }
}

/// `las 12:02`, where that is today; else `el lunes 23-11-2026 a las 09:00`.
fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if time::local_date(at) == time::local_date(now) {
        return format!("las {}", time::local(at).format("%H:%M"));
    }
    format!("el {}", outlook::day_and_hour(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chile::holidays::Calendar;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn hours_that_never_open_are_told_as_such() {
        let never = BusinessHours { days: [false; 7], ..BusinessHours::default() };
        let now = at("2026-11-23T12:00:00-03:00");
        let from = hold::leaves(now, Some(&never), &Calendar::default());
        let all = HeldBack {
            held: vec![("Otoño".into(), from)],
            hours: Some(from),
            own_hours: vec![("Invierno".into(), from)],
        };
        assert_eq!(
            all.in_words(now),
            "«Otoño» está en su espera antes de salir, y después no sale: su horario no abre nunca. \
             El horario de envío no abre nunca: lo que espera por él no sale. \
             «Invierno» tiene un horario propio, que no abre nunca."
        );
        assert_eq!(HeldBack::default().in_words(now), "");
    }
}
