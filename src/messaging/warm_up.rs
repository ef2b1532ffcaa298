//! How many promotions a channel that warms up may send today: few at first, more each day that
//! used its room well, half as many after a day with bounces or complaints. Mailbox providers distrust
//! an address that suddenly sends much (their public guidance: start low, no sudden doubling).

use super::kinds::MessageType;
use crate::{
    channels::Channel,
    chile::{format, time},
    db::Tx,
    error::Result,
    settings::EmailChannel,
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::PgConnection;

/// Days at the first cap before it grows.
const STEADY_DAYS: i64 = 2;

/// A day grew its room if at least so much of it was used, in percent: unused room proves nothing.
const USED: u64 = 80;

/// Least room that bounces and complaints leave.
const LEAST: u32 = 10;

/// Most of a day's messages that may bounce, in thousandths, and how many bounces are too few to tell.
const BOUNCES: (u64, u64) = (20, 2);

/// Most of a day's messages that may bring a complaint, in thousandths.
const COMPLAINTS: u64 = 1;

/// More than any business of ours sends.
const MOST: u32 = 10_000_000;

/// Why a day has the room that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The plan begins.
    Start,
    /// The first days are alike.
    Steady,
    /// The last day went well.
    Grew,
    /// The last day used little of its room.
    Unused,
    /// Too many messages bounced.
    Bounces,
    /// Too many people complained.
    Complaints,
    /// It may not grow further.
    Ceiling,
}

impl Reason {
    const ALL: [Reason; 7] = [
        Reason::Start,
        Reason::Steady,
        Reason::Grew,
        Reason::Unused,
        Reason::Bounces,
        Reason::Complaints,
        Reason::Ceiling,
    ];

    fn code(self) -> &'static str {
        match self {
            Reason::Start => "START",
            Reason::Steady => "STEADY",
            Reason::Grew => "GREW",
            Reason::Unused => "UNUSED",
            Reason::Bounces => "BOUNCES",
            Reason::Complaints => "COMPLAINTS",
            Reason::Ceiling => "CEILING",
        }
    }

    fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|it| it.code() == code)
    }

    /// In Spanish, as a whole sentence.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Reason::Start => "Parte el calentamiento.",
            Reason::Steady => "Igual: los primeros dos días son parejos.",
            Reason::Grew => "Subió: el día anterior salió bien.",
            Reason::Unused => "Igual: el día anterior se usó menos del 80 % del tope.",
            Reason::Bounces => "Bajó a la mitad: rebotaron demasiados mensajes.",
            Reason::Complaints => "Bajó a la mitad: hubo reclamos de correo no deseado.",
            Reason::Ceiling => "Igual: llegó al máximo que elegiste.",
        }
    }
}

/// The plan, as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it begins.
    pub start: u32,
    /// Where it ends; none: nowhere.
    pub ceiling: Option<u32>,
}

impl Plan {
    /// None: the channel does not warm up.
    #[must_use]
    pub fn of_email(channel: &EmailChannel) -> Option<Plan> {
        let start = channel.daily_cap.filter(|_| channel.warm_up)?;
        Some(Plan { start, ceiling: channel.warm_up_ceiling })
    }

    /// What follows a day at `cap` that went well.
    #[must_use]
    pub fn grown(&self, cap: u32) -> u32 {
        // A third more, rounded up: 50, 65, 85, 111.
        let more = (u64::from(cap) * 13).div_ceil(10);
        u32::try_from(more).unwrap_or(MOST).min(self.ceiling.unwrap_or(MOST)).min(MOST).max(cap.min(MOST))
    }

    /// Whether `sent` of `cap` were enough to tell that it went well.
    #[must_use]
    pub fn is_used(sent: u64, cap: u32) -> bool {
        sent * 100 >= u64::from(cap) * USED
    }
}

/// A day that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Past {
    cap: u32,
    sent: u64,
    bounced: u64,
    complained: u64,
    /// Days at the first cap that used their room, this one included.
    steady: i64,
}

/// The room of the day after `past`.
fn decide(plan: Plan, past: Option<&Past>) -> (u32, Reason) {
    let Some(past) = past else { return (plan.start, Reason::Start) };
    let ceiling = plan.ceiling.unwrap_or(MOST);
    let tried = past.sent + past.bounced;
    let lower = (past.cap / 2).max(LEAST.min(past.cap));
    if past.complained * 1000 > tried * COMPLAINTS {
        return (lower, Reason::Complaints);
    }
    if past.bounced > BOUNCES.1 && past.bounced * 1000 > tried * BOUNCES.0 {
        return (lower, Reason::Bounces);
    }
    if past.cap >= ceiling {
        return (ceiling, Reason::Ceiling);
    }
    if !Plan::is_used(past.sent, past.cap) {
        return (past.cap, Reason::Unused);
    }
    if past.cap == plan.start && past.steady < STEADY_DAYS {
        return (past.cap, Reason::Steady);
    }
    (plan.grown(past.cap), Reason::Grew)
}

/// A day of the plan.
#[derive(Clone, Debug)]
pub struct Day {
    /// Local day.
    pub day: NaiveDate,
    /// Promotions that it allows.
    pub cap: u32,
    /// Why.
    pub reason: Reason,
    /// Promotions that left; none: not over yet.
    pub sent: Option<i64>,
    /// Addresses found dead.
    pub bounced: Option<i64>,
    /// Complaints.
    pub complained: Option<i64>,
}

/// The last day that was decided, and how it went.
struct Last {
    day: NaiveDate,
    past: Past,
}

/// What is decided for today, or would be.
struct Today {
    cap: u32,
    reason: Reason,
    /// The day before it, where that is over now.
    closed: Option<Last>,
    is_new: bool,
}

/// The room of today; nothing is written.
///
/// # Errors
/// When the database fails.
pub async fn cap_today(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    channel: Channel,
    plan: Plan,
) -> Result<u32> {
    Ok(ask(db, now, channel, plan).await?.cap)
}

/// The room of today, which is from now on decided.
///
/// # Errors
/// When the database fails.
pub async fn open_day(tx: &mut Tx<'_>, now: DateTime<Utc>, channel: Channel, plan: Plan) -> Result<u32> {
    let today = ask(tx, now, channel, plan).await?;
    if !today.is_new {
        return Ok(today.cap);
    }
    if let Some(last) = &today.closed {
        sqlx::query!(
            "update warm_up_days set sent = $3, bounced = $4, complained = $5 where communication_type = $1 and day = $2",
            channel.code(),
            last.day,
            int(last.past.sent),
            int(last.past.bounced),
            int(last.past.complained)
        )
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query!(
        "insert into warm_up_days (communication_type, day, start_cap, cap, reason, decided_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (communication_type, day) do update
             set start_cap = excluded.start_cap, cap = excluded.cap, reason = excluded.reason, decided_at = excluded.decided_at
             where warm_up_days.start_cap <> excluded.start_cap",
        channel.code(),
        time::local_date(now),
        int(plan.start.into()),
        int(today.cap.into()),
        today.reason.code(),
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(today.cap)
}

fn int(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn ask(db: &mut PgConnection, now: DateTime<Utc>, channel: Channel, plan: Plan) -> Result<Today> {
    let day = time::local_date(now);
    let last = sqlx::query!(
        r#"select day, start_cap, cap, reason,
                  (select count(*) from warm_up_days d
                   where d.communication_type = $1 and d.cap = d.start_cap and d.start_cap = w.start_cap and d.day < w.day
                     and d.sent * 100 >= d.cap * $2::int) as "steady!"
           from warm_up_days w where communication_type = $1 order by day desc limit 1"#,
        channel.code(),
        int(USED)
    )
    .fetch_optional(&mut *db)
    .await?;
    let cut = |cap: u32| cap.min(plan.ceiling.unwrap_or(MOST));
    let start = Today { cap: cut(plan.start), reason: Reason::Start, closed: None, is_new: true };
    let Some(last) = last else { return Ok(start) };
    let number = |it: i32| u32::try_from(it).unwrap_or(1);
    if number(last.start_cap) != plan.start {
        return Ok(start);
    }
    // A clock that was set back finds a later day decided: that one holds.
    if last.day >= day {
        let reason = Reason::from_code(&last.reason).unwrap_or(Reason::Start);
        return Ok(Today { cap: cut(number(last.cap)), reason, closed: None, is_new: false });
    }
    let figures = figures(&mut *db, channel, last.day, day).await?;
    let cap = number(last.cap);
    let used = i64::from(Plan::is_used(figures.0, cap));
    let past =
        Past { cap, sent: figures.0, bounced: figures.1, complained: figures.2, steady: last.steady + used };
    let (cap, reason) = decide(plan, Some(&past));
    Ok(Today { cap: cut(cap), reason, closed: Some(Last { day: last.day, past }), is_new: true })
}

/// Promotions that left on `day`, and addresses that died and complaints that came from then until `until`.
async fn figures(
    db: &mut PgConnection,
    channel: Channel,
    day: NaiveDate,
    until: NaiveDate,
) -> Result<(u64, u64, u64)> {
    let it = sqlx::query!(
        r#"select
               (select count(*) from communication_logs
                where communication_type = $1 and sent_at >= $2 and sent_at < $3 and origin <> 'TEST'
                  and message_type = any($5)) as "sent!",
               (select count(*) from suppressions
                where communication_type = $1 and reason = 'HARD_BOUNCE' and created_at >= $2 and created_at < $4) as "bounced!",
               (select count(*) from suppressions
                where communication_type = $1 and reason = 'COMPLAINT' and created_at >= $2 and created_at < $4) as "complained!""#,
        channel.code(),
        time::start_of_day(day),
        time::start_of_day(day + Days::new(1)),
        time::start_of_day(until),
        &MessageType::promotional_codes()
    )
    .fetch_one(db)
    .await?;
    let number = |it: i64| u64::try_from(it).unwrap_or_default();
    Ok((number(it.sent), number(it.bounced), number(it.complained)))
}

/// The last days of the plan, newest first.
///
/// # Errors
/// When the database fails.
pub async fn days(db: &mut PgConnection, channel: Channel, limit: i64) -> Result<Vec<Day>> {
    let rows = sqlx::query!(
        "select day, cap, reason, sent, bounced, complained from warm_up_days
         where communication_type = $1 order by day desc limit $2",
        channel.code(),
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|it| {
            Some(Day {
                day: it.day,
                cap: u32::try_from(it.cap).ok()?,
                reason: Reason::from_code(&it.reason)?,
                sent: it.sent.map(i64::from),
                bounced: it.bounced.map(i64::from),
                complained: it.complained.map(i64::from),
            })
        })
        .collect())
}

impl Day {
    /// `salieron 50, 1 rebotó`; none: the day is not over.
    #[must_use]
    pub fn outcome(&self) -> Option<String> {
        let sent = format::count(self.sent?, "enviado", "enviados");
        let bounced = format::count(self.bounced.unwrap_or_default(), "rebote", "rebotes");
        let complained = format::count(self.complained.unwrap_or_default(), "reclamo", "reclamos");
        Some(format!("{sent}, {bounced}, {complained}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { start: 50, ceiling: Some(100) };

    fn after(change: impl FnOnce(&mut Past)) -> (u32, Reason) {
        let mut past = Past { cap: 50, sent: 50, bounced: 0, complained: 0, steady: 2 };
        change(&mut past);
        decide(PLAN, Some(&past))
    }

    #[test]
    fn it_starts_low_and_grows_a_third_a_day_to_its_ceiling() {
        assert_eq!(decide(PLAN, None), (50, Reason::Start));
        assert_eq!(after(|it| it.steady = 1), (50, Reason::Steady));
        assert_eq!(after(|_| ()), (65, Reason::Grew));
        assert_eq!(after(|it| (it.cap, it.sent) = (65, 65)), (85, Reason::Grew));
        assert_eq!(after(|it| (it.cap, it.sent) = (85, 85)), (100, Reason::Grew));
        assert_eq!(after(|it| (it.cap, it.sent) = (100, 100)), (100, Reason::Ceiling));
    }

    #[test]
    fn room_that_was_not_used_does_not_grow() {
        assert_eq!(after(|it| it.sent = 39), (50, Reason::Unused));
        assert_eq!(after(|it| it.sent = 40), (65, Reason::Grew));
        assert_eq!(after(|it| it.sent = 0), (50, Reason::Unused));
    }

    #[test]
    fn bounces_and_complaints_halve_it() {
        assert_eq!(after(|it| it.bounced = 2), (65, Reason::Grew), "too few to tell");
        assert_eq!(after(|it| it.bounced = 3), (25, Reason::Bounces));
        assert_eq!(
            after(|it| (it.cap, it.sent, it.bounced) = (1000, 990, 10)).1,
            Reason::Ceiling,
            "one in a hundred"
        );
        assert_eq!(after(|it| it.complained = 1), (25, Reason::Complaints));
        assert_eq!(
            after(|it| (it.cap, it.sent, it.complained) = (2000, 2000, 2)).1,
            Reason::Ceiling,
            "one in a thousand"
        );
        assert_eq!(after(|it| (it.cap, it.bounced) = (12, 9)), (10, Reason::Bounces), "never to nothing");
        assert_eq!(after(|it| (it.cap, it.sent, it.bounced) = (4, 0, 9)), (4, Reason::Bounces));
    }
}
