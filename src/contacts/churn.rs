//! How likely somebody who used to come back is lost, said with its reasons: by their own rhythm and not by everybody's.
//!
//! The model. Days on which they came, bought or enrolled are put in order; the usual gap is the median of the days
//! between one and the next, so that one long holiday does not change it. With fewer than [`FEWEST`] days there is no
//! rhythm, and nothing is said. The risk is of the days gone by since the last of them:
//!
//! - high from three usual gaps on, or from the days after which a contact becomes inactive;
//! - medium from two usual gaps on;
//! - one step higher where they came in the last [`WINDOW`] days at most half as often as they did before.

use crate::{chile::format, error::Result, ids::ContactId};
use chrono::NaiveDate;
use sqlx::PgExecutor;

/// Fewest different days of history that make a rhythm.
const FEWEST: usize = 3;
/// Days of history that are looked at: the latest.
const LOOKED_AT: i64 = 200;
/// The stretch of days of which each is compared with those before.
const WINDOW: i64 = 90;

/// How likely they are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// They come as they use to.
    Low,
    /// They are late.
    Medium,
    /// They are so late that most who are don't come back by themselves.
    High,
}

impl Level {
    /// As people read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Level::Low => "Bajo",
            Level::Medium => "Medio",
            Level::High => "Alto",
        }
    }

    fn higher(self) -> Level {
        if self == Level::Low { Level::Medium } else { Level::High }
    }
}

/// The risk, and what it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// How high.
    pub level: Level,
    /// Sentences in Spanish, the weightiest first.
    pub reasons: Vec<String>,
}

/// The risk of losing `contact`; none: there is no rhythm to judge by yet. `inactive_after` is the number of days after
/// which a contact counts as inactive.
///
/// # Errors
/// When the database fails.
pub async fn of(
    db: impl PgExecutor<'_>,
    contact: ContactId,
    today: NaiveDate,
    inactive_after: u32,
) -> Result<Option<Risk>> {
    let days = sqlx::query_scalar!(
        "select occurred_on from history_entries where contact_id = $1 order by occurred_on desc, id desc limit $2",
        contact.0,
        LOOKED_AT
    )
    .fetch_all(db)
    .await?;
    Ok(judge(days, today, inactive_after))
}

/// `days` are the latest first.
fn judge(mut days: Vec<NaiveDate>, today: NaiveDate, inactive_after: u32) -> Option<Risk> {
    days.dedup();
    if days.len() < FEWEST {
        return None;
    }
    let mut gaps: Vec<i64> = days.windows(2).map(|it| (it[0] - it[1]).num_days()).collect();
    gaps.sort_unstable();
    let usual = gaps[gaps.len() / 2];
    let since = (today - days[0]).num_days().max(0);
    let too_long = i64::from(inactive_after);
    let mut level = match since {
        _ if since >= 3 * usual || since >= too_long => Level::High,
        _ if since >= 2 * usual => Level::Medium,
        _ => Level::Low,
    };
    let mut reasons = vec![format!(
        "Suele volver cada {} y {}.",
        format::count(usual, "día", "días"),
        match since {
            0 => "volvió hoy".to_owned(),
            1 => "volvió ayer".to_owned(),
            _ if since > usual => format!("hace {} que no vuelve", format::count(since, "día", "días")),
            _ => format!("volvió hace {}", format::count(since, "día", "días")),
        }
    )];
    if since >= too_long {
        reasons.push(format!("Pasó los {too_long} días con que un contacto cuenta como inactivo."));
    }
    if let Some(reason) = fewer_than_before(&days, today) {
        level = level.higher();
        reasons.push(reason);
    }
    Some(Risk { level, reasons })
}

/// What to say where they came at most half as often as before; none: they did not, or it is too early to tell.
fn fewer_than_before(days: &[NaiveDate], today: NaiveDate) -> Option<String> {
    let lately = days.iter().filter(|it| (today - **it).num_days() < WINDOW).count();
    let first = *days.last()?;
    // Of what came before the last window, as many whole windows as there were.
    let windows = ((today - first).num_days() - WINDOW) / WINDOW;
    let before = days.len() - lately;
    if windows < 1 || i64::try_from(before).ok()? < 2 * windows {
        return None;
    }
    let each = i64::try_from(before).ok()? / windows;
    let lately = i64::try_from(lately).ok()?;
    (lately > 0 && 2 * lately <= each).then(|| {
        format!(
            "En los últimos {WINDOW} días volvió {}; antes, unas {} cada {WINDOW} días.",
            format::count(lately, "vez", "veces"),
            format::count(each, "vez", "veces")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
    }

    fn ago(days: &[i64]) -> Vec<NaiveDate> {
        days.iter().map(|it| today() - TimeDelta::days(*it)).collect()
    }

    fn level(days: &[i64]) -> Option<Level> {
        judge(ago(days), today(), 90).map(|it| it.level)
    }

    #[test]
    fn each_is_judged_by_their_own_rhythm() {
        assert_eq!(level(&[]), None);
        assert_eq!(level(&[40, 40, 70]), None, "two things on one day are one coming");
        assert_eq!(level(&[10, 40, 70]), Some(Level::Low));
        assert_eq!(level(&[60, 90, 120]), Some(Level::Medium));
        assert_eq!(level(&[21, 28, 35]), Some(Level::High), "weekly, and three weeks away");
        assert_eq!(level(&[95, 155, 215]), Some(Level::High), "longer than anybody stays active");
        assert_eq!(level(&[5, 12, 19, 120]), Some(Level::Low), "one long gap is no rhythm");
        assert_eq!(level(&[0, 30, 60]), Some(Level::Low));
    }

    #[test]
    fn coming_half_as_often_as_before_is_a_step_and_said() {
        let mut days = vec![5, 80];
        days.extend((0..12).map(|it| 100 + it * 15));
        let risk = judge(ago(&days), today(), 90).unwrap();
        assert_eq!(risk.level, Level::Medium);
        assert_eq!(
            risk.reasons,
            [
                "Suele volver cada 15 días y volvió hace 5 días.",
                "En los últimos 90 días volvió 2 veces; antes, unas 12 veces cada 90 días."
            ]
        );
        let steady: Vec<i64> = (0..20).map(|it| 5 + it * 15).collect();
        assert_eq!(level(&steady), Some(Level::Low));
    }

    #[test]
    fn the_reasons_say_how_late_they_are() {
        let risk = judge(ago(&[100, 121, 142]), today(), 90).unwrap();
        assert_eq!(
            risk.reasons,
            [
                "Suele volver cada 21 días y hace 100 días que no vuelve.",
                "Pasó los 90 días con que un contacto cuenta como inactivo."
            ]
        );
    }
}
