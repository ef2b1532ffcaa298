//! How fast a channel goes: no faster than its setting says, and slower for a while once
//! servers ask for it. Half as much after each run in which they do, a quarter more after each in which they do not.

use super::streams::Sendout;
use crate::{channels::Channel, error::Result};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// Answers of one run that ask us to go slowly before it counts: one may be a server's mood.
const ASKED: u32 = 3;

/// What a run is taken to send that was stopped before it sent as much.
const USUAL: u32 = 20;

/// From so many a run on, and so long after it was last asked for, nothing is held back any more.
const FREE: (u32, TimeDelta) = (1000, TimeDelta::days(3));

/// A channel that goes slowly for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowed {
    /// Messages a run, at most.
    pub per_run: u32,
    /// What was said when we were asked last.
    pub answer: String,
    /// When that was.
    pub since: DateTime<Utc>,
}

/// After a run that sent `sent` and was asked to go slowly.
fn slower(standing: Option<u32>, sent: u32) -> u32 {
    (standing.unwrap_or(sent.max(USUAL)) / 2).clamp(1, FREE.0)
}

/// After a run at `per_run` that was not.
fn faster(per_run: u32) -> u32 {
    per_run + per_run / 4 + 1
}

/// Messages that leave in a run of `lasts` at most, at `per_minute` as it is set; none: no limit.
#[must_use]
pub fn per_run(slowed: Option<&Slowed>, per_minute: Option<u32>, lasts: Option<Duration>) -> Option<u32> {
    let set = per_minute.zip(lasts).map(|(most, lasts)| {
        let all = (lasts.as_millis() * u128::from(most)).div_ceil(60_000).max(1);
        u32::try_from(all).unwrap_or(u32::MAX)
    });
    slowed.map(|it| it.per_run).into_iter().chain(set).min()
}

/// Whether what `asked` for a message is held to what the channel lets go in a run. What one person asked for is not, nor
/// a test.
#[must_use]
pub fn holds(asked: Option<Sendout>) -> bool {
    asked.is_some()
}

/// Whether `channel` goes slowly for now.
///
/// # Errors
/// When the database fails.
pub async fn slowed(db: &mut PgConnection, channel: Channel) -> Result<Option<Slowed>> {
    let row = sqlx::query!(
        "select per_run, answer, slowed_at from channel_paces where communication_type = $1",
        channel.code()
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|it| Slowed {
        per_run: u32::try_from(it.per_run).unwrap_or(1),
        answer: it.answer,
        since: it.slowed_at,
    }))
}

/// What a run that is over says of the pace: it sent `sent`, and was asked `asked` times to go slowly, last by `answer`.
///
/// # Errors
/// When the database fails.
pub(super) async fn learn(
    db: &PgPool,
    now: DateTime<Utc>,
    channel: Channel,
    sent: u32,
    (asked, answer): (u32, &str),
) -> Result<()> {
    let mut db = db.acquire().await?;
    let standing = slowed(&mut db, channel).await?;
    if asked >= ASKED {
        let per_run = slower(standing.map(|it| it.per_run), sent);
        sqlx::query!(
            "insert into channel_paces (communication_type, per_run, answer, slowed_at, changed_at) values ($1, $2, $3, $4, $4)
             on conflict (communication_type) do update
                 set per_run = excluded.per_run, answer = excluded.answer, slowed_at = excluded.slowed_at, changed_at = excluded.changed_at",
            channel.code(),
            i32::try_from(per_run).unwrap_or(1),
            answer,
            now
        )
        .execute(&mut *db)
        .await?;
        tracing::warn!(channel = channel.code(), per_run, "Servers asked a channel to go slowly");
        return Ok(());
    }
    let Some(standing) = standing.filter(|_| asked == 0) else { return Ok(()) };
    let per_run = faster(standing.per_run);
    if per_run >= FREE.0 || now - standing.since >= FREE.1 {
        sqlx::query!("delete from channel_paces where communication_type = $1", channel.code())
            .execute(&mut *db)
            .await?;
    } else if sent >= standing.per_run {
        // Room that was not used proves nothing.
        sqlx::query!(
            "update channel_paces set per_run = $2, changed_at = $3 where communication_type = $1",
            channel.code(),
            i32::try_from(per_run).unwrap_or(1),
            now
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_at_once_and_comes_back_a_little_at_a_time() {
        assert_eq!(
            (slower(None, 300), slower(None, 4), slower(Some(10), 10), slower(Some(1), 0)),
            (150, 10, 5, 1)
        );
        let mut per_run = 5;
        let mut all = Vec::new();
        for _ in 0..4 {
            per_run = faster(per_run);
            all.push(per_run);
        }
        assert_eq!(all, [7, 9, 12, 16]);
    }

    #[test]
    fn the_lower_of_what_is_set_and_what_servers_bear_bounds_a_run() {
        let slowed = |per_run| Slowed { per_run, answer: String::new(), since: DateTime::UNIX_EPOCH };
        let lasts = Some(Duration::from_mins(9));
        assert_eq!(per_run(None, None, lasts), None);
        assert_eq!(per_run(None, Some(10), lasts), Some(90));
        assert_eq!(per_run(Some(&slowed(20)), Some(10), lasts), Some(20));
        assert_eq!(per_run(Some(&slowed(200)), Some(10), lasts), Some(90));
        assert_eq!(per_run(None, Some(10), None), None);
    }
}
