//! The curve of a warm-up: the caps of the days so far with what left of them, and where it goes if each day goes well.

use crate::messaging::warm_up::{Day, Plan};

/// Days ahead that are drawn.
const AHEAD: usize = 14;

/// Height of the drawing and distance of its columns, in units of its own.
const TALL: u64 = 40;
const WIDE: usize = 10;

/// One day: how high its cap is, and what left of it.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) sent_y: u64,
    pub(super) sent_height: u64,
    /// It is still to come.
    pub(super) is_ahead: bool,
}

/// The drawing, and what it says.
pub(super) struct Curve {
    pub(super) bars: Vec<Bar>,
    pub(super) width: usize,
    /// The cap of the last day that is drawn.
    pub(super) reaches: i64,
    pub(super) in_days: i64,
}

/// The curve of `plan` through `days`, newest first, and on from `today`.
pub(super) fn of(plan: Plan, days: &[Day], today: u32) -> Curve {
    let past = days
        .iter()
        .rev()
        .map(|it| (it.cap, u64::try_from(it.sent.unwrap_or_default()).unwrap_or_default(), false));
    let ahead = std::iter::successors(Some(plan.grown(today)), |cap| Some(plan.grown(*cap))).take(AHEAD);
    let all: Vec<(u32, u64, bool)> = past.chain(ahead.map(|cap| (cap, 0, true))).collect();
    let most = all.iter().map(|it| u64::from(it.0).max(it.1)).max().unwrap_or_default().max(1);
    let height = |count: u64| (count * TALL).div_ceil(most);
    let bars = all.iter().enumerate().map(|(place, (cap, sent, is_ahead))| {
        let (cap, sent) = (height((*cap).into()), height(*sent));
        Bar {
            x: place * WIDE + 1,
            y: TALL - cap,
            height: cap,
            sent_y: TALL - sent,
            sent_height: sent,
            is_ahead: *is_ahead,
        }
    });
    Curve {
        bars: bars.collect(),
        width: all.len() * WIDE,
        reaches: all.last().map_or(0, |it| it.0.into()),
        in_days: i64::try_from(AHEAD).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::warm_up::Reason;
    use chrono::NaiveDate;

    #[test]
    fn it_goes_on_from_today_as_the_plan_grows_and_no_further() {
        let day = |day, cap, sent| Day {
            day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
            cap,
            reason: Reason::Grew,
            sent,
            bounced: None,
            complained: None,
        };
        let plan = Plan { start: 50, ceiling: Some(100) };
        let curve = of(plan, &[day(24, 65, None), day(23, 50, Some(50))], 65);
        assert_eq!((curve.bars.len(), curve.width, curve.reaches), (16, 160, 100));
        let tall: Vec<u64> = curve.bars.iter().map(|it| it.height).take(5).collect();
        assert_eq!(tall, [20, 26, 34, 40, 40], "50, 65, then 85, and 100 as the most");
        assert_eq!((curve.bars[0].sent_height, curve.bars[1].sent_height), (20, 0));
        assert_eq!(curve.bars.iter().filter(|it| it.is_ahead).count(), 14);
    }
}
