//! What lies before a campaign: its window, its caps and the days on which the
//! rest of it would leave, under the settings as they stand.

use super::{
    campaign::{self, Campaign, Status},
    contest::{self, Rest},
    forecast::{self, Forecast, Pace, Stream},
    hold,
    later::Later,
};
use crate::{
    chile::{business_hours::BusinessHours, format, holidays::Calendar, slots::When, time},
    config::Config,
    error::Result,
    ids::CampaignId,
    messaging::{
        drain,
        kinds::{DeferReason, MessageType},
        pace, room, sending,
        streams::batch_of_mailings,
        warm_up,
    },
    settings,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::PgConnection;
use std::time::Duration;

/// The frame that a campaign's messages leave in.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// Holidays.
    pub calendar: Calendar,
    /// Its own window or the channel's.
    pub hours: BusinessHours,
    channel_hours: BusinessHours,
    /// The lower of its own cap and the channel's; none: neither.
    pub daily_cap: Option<u32>,
    /// The channel's cap today; none: no cap.
    channel_cap: Option<u32>,
    /// The channel warms up: its cap grows from today's on.
    pub growth: Option<warm_up::Plan>,
    /// Promotions that count against the channel's cap today already, and messages against the campaign's own.
    sent_today: (u32, u32),
    /// How long a run begins messages.
    run_lasts: Duration,
    /// Messages that the channel's pace lets leave in a run, at most.
    run_cap: Option<u32>,
    /// When runs are; none: somebody else's clock asks for them.
    runs: Option<When>,
    /// Nothing leaves before: its launch is held, or would be if it were launched now.
    begins: DateTime<Utc>,
    /// Those who wait for the best of its texts; none: it has one, or it is decided.
    pub rest: Option<Rest>,
    /// Other campaigns that run now and share the channel's cap, in the order in which a run takes them.
    pub others: Vec<Other>,
}

/// Another campaign under way on the channel.
#[derive(Clone, Debug)]
pub struct Other {
    /// It, with its pace.
    pub campaign: Campaign,
    /// Its messages that wait for nothing but their turn.
    pub waiting: u64,
}

impl Other {
    /// Some of its people have no message yet, and are not counted.
    fn grows(&self) -> bool {
        !self.campaign.enqueue_done
    }
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
    let sending = sending::of(&mut *db, &config.first_values, campaign.channel).await?;
    let calendar = settings::calendar(&mut *db).await?;
    let channel_cap = sending.cap_today(db, now, campaign.channel).await?;
    let caps =
        room::Caps { channel: channel_cap, campaign: campaign.daily_cap.map(|cap| (campaign.id, cap)) };
    let left = room::today(db, now, campaign.channel, caps).await?;
    // Without a cap nobody asks, and with one it is enough to know that it is used up.
    let used = |cap: Option<u32>, left: Option<u32>| {
        cap.unwrap_or_default().saturating_sub(left.unwrap_or_default())
    };
    let promotional = campaign.message_type.is_promotional();
    let run_lasts = if config.scheduler { drain::RUN_LASTS } else { drain::CALLED_RUN_LASTS };
    let begins = match campaign.status {
        Status::Draft => now + hold::time(&mut *db, config).await?,
        _ => campaign.hold(now).unwrap_or(now),
    };
    let slowed = pace::slowed(db, campaign.channel).await?;
    Ok(Outlook {
        calendar,
        daily_cap: [channel_cap, campaign.daily_cap].into_iter().flatten().min().filter(|_| promotional),
        channel_cap,
        growth: sending.growth,
        sent_today: (used(channel_cap, left.0), used(campaign.daily_cap, left.1)),
        run_lasts,
        run_cap: pace::per_run(slowed.as_ref(), sending.per_minute, Some(run_lasts)),
        runs: config.scheduler.then_some(forecast::RUNS),
        begins,
        rest: contest::rest(&mut *db, campaign.id).await?,
        others: others(db, campaign, channel_cap).await?,
        hours: campaign.business_hours.clone().unwrap_or_else(|| sending.business_hours.clone()),
        channel_hours: sending.business_hours,
    })
}

/// All mailings together, in the form of a campaign: a run takes them before every other.
const MAILINGS: CampaignId = CampaignId(0);

/// The other campaigns that run now on the channel and sell, with what is ready of each, behind what was asked for by
/// hand. Who of them waits for a day of their own is not counted.
async fn others(db: &mut PgConnection, campaign: &Campaign, channel_cap: Option<u32>) -> Result<Vec<Other>> {
    let not_ready = DeferReason::OF_THE_PERSON.iter().chain([&DeferReason::AwaitingWinner]);
    let not_ready: Vec<String> = not_ready.map(|it| it.code().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select c.id, coalesce((
               select sum(t.messages) from campaign_tallies t
               where t.campaign_id = c.id and t.status = 'PENDING' and t.reason <> all($4)), 0)::bigint as "waiting!"
           from campaigns c
           where c.status = 'RUNNING' and c.communication_type = $1 and c.id <> $2 and c.message_type = any($3)
           order by c.id"#,
        campaign.channel.code(),
        campaign.id.0,
        &MessageType::promotional_codes(),
        &not_ready
    )
    .fetch_all(&mut *db)
    .await?;
    let by_hand = sqlx::query_scalar!(
        r#"select (select count(*) from communication_logs l join mailings m on m.id = l.mailing_id
                   where l.communication_type = $1 and l.campaign_id is null and l.status = 'PENDING'
                     and l.message_type = any($2) and coalesce(l.defer_reason, '') <> all($3)
                     and m.sends)
                + (select coalesce(sum(total - done), 0) from mailings
                   where status = 'RUNNING' and message_type = any($2))::bigint as "waiting!""#,
        campaign.channel.code(),
        &MessageType::promotional_codes(),
        &not_ready
    )
    .fetch_one(&mut *db)
    .await?;
    let mut others = Vec::new();
    if by_hand > 0 {
        let campaign = Campaign {
            id: MAILINGS,
            batch_size: batch_of_mailings(channel_cap),
            daily_cap: None,
            spacing_seconds: 0,
            business_hours: None,
            enqueue_done: true,
            ..campaign.clone()
        };
        others.push(Other { campaign, waiting: u64::try_from(by_hand).unwrap_or_default() });
    }
    for row in rows {
        let campaign = campaign::get(&mut *db, CampaignId(row.id)).await?;
        others.push(Other { campaign, waiting: u64::try_from(row.waiting).unwrap_or_default() });
    }
    Ok(others)
}

impl Outlook {
    /// When `campaign`, held until `until`, leaves, in words; none: at once then, or never.
    #[must_use]
    pub fn opens_after(&self, campaign: &Campaign, until: DateTime<Utc>) -> Option<String> {
        let kept = Some(&self.hours).filter(|_| campaign.message_type.is_promotional());
        let leaves = hold::leaves(until, kept, &self.calendar);
        (leaves != hold::leaves(until, None, &self.calendar)).then(|| leaves.map(day_and_hour)).flatten()
    }

    /// When `ready` messages of `campaign`, and those who are free on `later` days, would leave from `now` on; none: to
    /// nobody, or never.
    #[must_use]
    pub fn forecast(
        &self,
        campaign: &Campaign,
        ready: u64,
        later: Vec<(NaiveDate, u64)>,
        now: DateTime<Utc>,
    ) -> Option<Forecast> {
        let promotional = campaign.message_type.is_promotional();
        let rest = self.waiting(ready, now);
        let own = Stream {
            hours: Some(&self.hours).filter(|_| promotional),
            batch_size: campaign.batch_size,
            spacing_seconds: campaign.spacing_seconds,
            daily_cap: campaign.daily_cap,
            sent_today: self.sent_today.1,
            ready: ready - rest.map_or(0, |it| it.1),
            later,
            rest,
        };
        let others = self.others.iter().map(|it| Stream {
            hours: Some(it.campaign.business_hours.as_ref().unwrap_or(&self.channel_hours)),
            batch_size: it.campaign.batch_size,
            spacing_seconds: it.campaign.spacing_seconds,
            daily_cap: it.campaign.daily_cap,
            sent_today: 0,
            ready: it.waiting,
            later: Vec::new(),
            rest: None,
        });
        let mut streams: Vec<Stream<'_>> = others.collect();
        let before = self.others.iter().filter(|it| it.campaign.id < campaign.id).count();
        streams.insert(before, own);
        let pace = Pace {
            calendar: &self.calendar,
            channel_cap: self.channel_cap,
            growth: self.growth,
            sent_today: self.sent_today.0,
            streams,
            own: before,
            run_lasts: self.run_lasts,
            run_cap: self.run_cap,
            runs: self.runs,
            begins: self.begins,
        };
        forecast::march(&pace, now)
    }

    /// When the winner among the campaign's texts is known, and how many of `ready` wait for it.
    #[must_use]
    pub fn waiting(&self, ready: u64, now: DateTime<Utc>) -> Option<(DateTime<Utc>, u64)> {
        let rest = self.rest?;
        let known = rest.waiting.min(ready);
        let waiting = known + (ready - known) * u64::from(rest.percent) / 100;
        let from = now.max(self.begins);
        let begins = self.hours.next_open(from, &self.calendar).unwrap_or(from);
        let at = rest.decides_at.unwrap_or(begins + TimeDelta::hours(rest.hours.into()));
        (waiting > 0).then_some((at, waiting))
    }

    /// The same of `messages`, among them those that `later` tells of.
    #[must_use]
    pub fn of_all(
        &self,
        campaign: &Campaign,
        messages: u64,
        later: &Later,
        now: DateTime<Utc>,
    ) -> Option<Forecast> {
        self.forecast(campaign, messages.saturating_sub(later.people()), later.days(), now)
    }

    /// Messages of the other campaigns that share the channel's cap.
    #[must_use]
    pub fn others_waiting(&self) -> u64 {
        self.others.iter().map(|it| it.waiting).sum()
    }

    /// `Con 30 por corrida cada 10 minutos y un tope de 50 al día, termina aproximadamente el …`. Of `messages`, those
    /// whose people wait for a day of their own (`later`) are told apart.
    #[must_use]
    pub fn sentence(
        &self,
        campaign: &Campaign,
        messages: u64,
        later: u64,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let apart = format::count(
            i64::try_from(later).unwrap_or(i64::MAX),
            "persona que esperará un día propio",
            "personas que esperarán un día propio",
        );
        match (messages.saturating_sub(later), later) {
            (0, 0) => None,
            (0, 1) => Some(format!("Solo queda {apart}.")),
            (0, _) => Some(format!("Solo quedan {apart}.")),
            (soon, 0) => Some(self.pace(campaign, soon, now)),
            (soon, _) => Some(format!("{} Sin contar a {apart}.", self.pace(campaign, soon, now))),
        }
    }

    /// What is counted in of the other campaigns that take from the channel's cap.
    #[must_use]
    pub fn shared(&self) -> Option<String> {
        let count = i64::try_from(self.others.len()).unwrap_or(i64::MAX);
        let waiting = i64::try_from(self.others_waiting()).unwrap_or(i64::MAX);
        let growing = self.others.iter().filter(|it| it.grows()).count();
        let rest = match i64::try_from(growing).unwrap_or(i64::MAX) {
            0 => String::new(),
            _ if count == 1 => " Todavía no cuenta a quienes le falta poner en la cola.".to_owned(),
            growing => format!(
                " Todavía no cuenta a quienes falta poner en la cola en {} de ellas.",
                format::number(growing)
            ),
        };
        (count > 0 && self.daily_cap.is_some()).then(|| {
            format!(
                "Cuenta con {} en curso que {} el tope del canal, con {} en cola.{rest}",
                if self.others.iter().any(|it| it.campaign.id == MAILINGS) {
                    format::count(count, "otra campaña o envío a mano", "otras campañas o envíos a mano")
                } else {
                    format::count(count, "otra campaña", "otras campañas")
                },
                if count == 1 { "comparte" } else { "comparten" },
                format::count(waiting, "mensaje", "mensajes")
            )
        })
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
        let end = match self.forecast(campaign, messages, Vec::new(), now) {
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
        let shared = self.shared().map_or(String::new(), |it| format!(" {it}"));
        format!("{pace}, {end}.{shared}")
    }
}

/// `martes 24-11-2026 a las 09:00`.
#[must_use]
pub fn day_and_hour(at: DateTime<Utc>) -> String {
    let local = time::local(at);
    format!("{} a las {}", format::weekday_and_date(local.date_naive()), local.format("%H:%M"))
}
