//! What lies before a campaign: its window, its caps and the date at which the
//! rest of it would end, under the settings as they stand.

use super::{
    campaign::Campaign,
    forecast::{self, Forecast, Pace},
};
use crate::{
    chile::{business_hours::BusinessHours, format, holidays::Calendar, time},
    config::Config,
    error::Result,
    messaging::{kinds::MessageType, warm_up},
    settings::{self, EmailChannel},
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The frame that a campaign's messages leave in.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Holidays.
    pub calendar: Calendar,
    /// Its own window or the channel's.
    pub hours: BusinessHours,
    /// The lower of its own cap and the channel's; none: neither.
    pub daily_cap: Option<u32>,
    /// The channel warms up: its cap grows from today's on.
    pub growth: Option<warm_up::Plan>,
    /// Messages that count against today's cap already.
    pub sent_today: u32,
    /// Other campaigns that run now and share the channel's cap.
    pub others: i64,
}

/// Read the frame of `campaign`.
///
/// # Errors
/// When the database fails.
pub async fn of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    config: &Config,
    campaign: &Campaign,
) -> Result<Outlook> {
    let email: EmailChannel = settings::load(&mut *db, &config.first_values).await?;
    let calendar = settings::calendar(&mut *db).await?;
    let since = time::start_of_day(time::local_date(now));
    let channel_cap = warm_up::email_cap(db, now, &email).await?;
    // Without a cap nobody asks, and with one it is enough to know that it is used up.
    let row = sqlx::query!(
        r#"select
               (select count(*) from (
                    select from communication_logs
                    where communication_type = $1 and sent_at >= $2 and origin <> 'TEST'
                        and message_type = any($3) limit $5) found) as "all!",
               (select count(*) from (
                    select from communication_logs
                    where communication_type = $1 and sent_at >= $2 and origin = 'CAMPAIGN' and campaign_id = $4
                    limit $6) found) as "own!",
               (select count(*) from campaigns
                where status = 'RUNNING' and communication_type = $1 and id <> $4) as "others!""#,
        campaign.channel.code(),
        since,
        &MessageType::promotional_codes(),
        campaign.id.0,
        channel_cap.map_or(0, i64::from),
        campaign.daily_cap.map_or(0, i64::from)
    )
    .fetch_one(&mut *db)
    .await?;
    let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    let promotional = campaign.message_type.is_promotional();
    // The tighter cap is the one with less room left today; on later days, the lower one.
    let caps = [(channel_cap, count(row.all)), (campaign.daily_cap, count(row.own))];
    let daily_cap = caps.iter().filter_map(|it| it.0).min().filter(|_| promotional);
    let growth = warm_up::Plan::of_email(&email).map(|plan| {
        let ceilings = [plan.ceiling, campaign.daily_cap];
        warm_up::Plan { ceiling: ceilings.into_iter().flatten().min(), ..plan }
    });
    let room = caps.iter().filter_map(|(cap, sent)| cap.map(|it| it.saturating_sub(*sent))).min();
    Ok(Outlook {
        calendar,
        hours: campaign.business_hours.clone().unwrap_or(email.business_hours),
        daily_cap,
        growth,
        sent_today: daily_cap.zip(room).map_or(0, |(cap, room)| cap.saturating_sub(room)),
        others: row.others,
    })
}

impl Outlook {
    /// When `messages` of `campaign` would leave from `now` on; none: to nobody, or never.
    #[must_use]
    pub fn forecast(&self, campaign: &Campaign, messages: u64, now: DateTime<Utc>) -> Option<Forecast> {
        if messages == 0 {
            return None;
        }
        let pace = Pace {
            calendar: &self.calendar,
            hours: &self.hours,
            promotional: campaign.message_type.is_promotional(),
            batch_size: campaign.batch_size,
            spacing_seconds: campaign.spacing_seconds,
            daily_cap: self.daily_cap,
            growth: self.growth,
            sent_today: self.sent_today,
        };
        forecast::march(&pace, messages, now)
    }

    /// `Con 30 por corrida cada 10 minutos y un tope de 50 al día, termina aproximadamente el …`. Of `messages`, those
    /// that wait for a frequency cap (`capped`) leave on days of their own, and are told apart.
    #[must_use]
    pub fn sentence(
        &self,
        campaign: &Campaign,
        messages: u64,
        capped: u64,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let apart = format::count(
            i64::try_from(capped).unwrap_or(i64::MAX),
            "persona que esperará",
            "personas que esperarán",
        );
        match (messages.saturating_sub(capped), capped) {
            (0, 0) => None,
            (0, _) => Some(format!("Solo queda {apart} por su tope de frecuencia.")),
            (soon, 0) => Some(self.pace(campaign, soon, now)),
            (soon, _) => Some(format!(
                "{} Sin contar a {apart} por su tope de frecuencia.",
                self.pace(campaign, soon, now)
            )),
        }
    }

    fn pace(&self, campaign: &Campaign, messages: u64, now: DateTime<Utc>) -> String {
        let cap = self
            .daily_cap
            .map_or(String::new(), |cap| format!(" y un tope de {} al día", format::number(i64::from(cap))));
        let cap =
            if self.growth.is_some() && !cap.is_empty() { format!("{cap}, que sube de a poco") } else { cap };
        let pace = format!(
            "Con {} por corrida cada {} minutos{cap}",
            format::number(i64::from(campaign.batch_size)),
            forecast::RUN_EVERY_MINUTES
        );
        let end = match self.forecast(campaign, messages, now) {
            None => {
                return "El horario de envío no abre nunca: así no saldrá ningún mensaje.".to_owned();
            }
            Some(Forecast { ends: None, .. }) => {
                "tardaría más de dos años: sube el tope o el tamaño de la corrida".to_owned()
            }
            Some(Forecast { ends: Some(ends), .. }) => {
                format!("termina aproximadamente el {}", day_and_hour(ends))
            }
        };
        let shared = match (self.others, self.daily_cap) {
            (1.., Some(_)) => {
                " Otras campañas en curso comparten el tope del canal, así que puede tardar más."
            }
            _ => "",
        };
        format!("{pace}, {end}.{shared}")
    }
}

/// `martes 24-11-2026 a las 09:00`.
#[must_use]
pub fn day_and_hour(at: DateTime<Utc>) -> String {
    let local = time::local(at);
    format!("{} a las {}", format::weekday_and_date(local.date_naive()), local.format("%H:%M"))
}
