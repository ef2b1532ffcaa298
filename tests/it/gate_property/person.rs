//! What each person said and got, as a plain list, and what would be a wrong done to them. It asks nothing of the gate:
//! whoever is counted, and by which days, is said here anew.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Timelike, Utc, Weekday};
use chrono_tz::America::Santiago;
use llovizna::messaging::kinds::{MessageType, SuppressionReason};
use std::collections::{BTreeMap, BTreeSet};

/// Holidays of the months that the tests cross.
const HOLIDAYS: &[&str] = &[
    "2026-09-18",
    "2026-09-19",
    "2026-10-12",
    "2026-10-31",
    "2026-11-01",
    "2026-12-08",
    "2026-12-25",
    "2027-01-01",
    "2027-03-26",
    "2027-03-27",
    "2027-05-01",
    "2027-05-21",
    "2027-06-21",
    "2027-06-28",
    "2027-07-16",
];

/// How an address stands on the list of exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excluded {
    /// Service messages are excluded too.
    pub(super) all: bool,
    pub(super) reason: SuppressionReason,
    /// Kept as a hash alone.
    pub(super) hashed: bool,
}

/// A message that was handed over.
#[derive(Clone, Debug)]
pub(super) struct Got {
    /// Row of the log.
    pub(super) message: i64,
    pub(super) external_id: String,
    pub(super) address: String,
    pub(super) subject: String,
    pub(super) kind: MessageType,
    pub(super) at: DateTime<Utc>,
    /// The line was cut before the answer: it may have arrived.
    pub(super) in_doubt: bool,
}

/// One person.
#[expect(clippy::struct_excessive_bools, reason = "each is told by itself")]
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) address: String,
    /// In the order in which it was said.
    pub(super) excluded: Vec<Excluded>,
    pub(super) agreed: bool,
    pub(super) declined: Vec<MessageType>,
    /// At most one in so many days.
    pub(super) min_days: Option<u32>,
    pub(super) paused_until: Option<NaiveDate>,
    pub(super) quiet: Option<(NaiveTime, NaiveTime)>,
    pub(super) deleted: bool,
    /// Who they turned out to be.
    pub(super) joined: Option<usize>,
    /// Somebody turned out to be them.
    pub(super) is_several: bool,
    pub(super) got: Vec<Got>,
    /// A server said that the address is dead, in a run that may not have written that down yet.
    pub(super) found_dead: bool,
    /// How many of these were written down as sent: what comes back of the others must wait for that.
    pub(super) written: usize,
}

/// A cap of the business: a kind or all promotions, how many, in how many days.
pub(super) type Cap = (Option<MessageType>, usize, u32);

/// What there is, as the test was told.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) people: Vec<Person>,
    pub(super) caps: Vec<Cap>,
    /// What was asked for, by its subject.
    pub(super) asked: BTreeMap<String, MessageType>,
    /// Subjects of campaigns and mailings: one person gets one of each, also who was two.
    pub(super) to_all: BTreeSet<String>,
    /// Of a campaign that tries several texts, by each subject: the first of them.
    pub(super) tried: BTreeMap<String, String>,
    /// How many of a campaign may leave a day, by its first subject.
    pub(super) campaign_caps: BTreeMap<String, usize>,
    /// How many promotions may leave a day.
    pub(super) channel_cap: Option<usize>,
    /// What should not have left.
    pub(super) wrongs: Vec<String>,
}

pub(super) fn is_promotional(kind: MessageType) -> bool {
    !matches!(kind, MessageType::Transactional | MessageType::SatisfactionSurvey)
}

pub(super) fn day_of(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&Santiago).date_naive()
}

/// Whether promotions leave on `day` at all.
pub(super) fn is_open(day: NaiveDate) -> bool {
    !is_weekend(day) && !is_holiday(day)
}

fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

fn is_holiday(day: NaiveDate) -> bool {
    HOLIDAYS.contains(&day.to_string().as_str())
}

impl Person {
    /// Said once, however often.
    pub(super) fn exclude(&mut self, it: Excluded) {
        if !self.excluded.contains(&it) {
            self.excluded.push(it);
        }
    }

    /// Promotions of these kinds within the last `days` local days, today included.
    fn had(&self, today: NaiveDate, days: u32, counts: impl Fn(MessageType) -> bool) -> usize {
        let first = today - Days::new(u64::from(days) - 1);
        self.got.iter().filter(|it| counts(it.kind) && day_of(it.at) >= first).count()
    }

    fn is_quiet(&self, clock: NaiveTime) -> bool {
        self.quiet.is_some_and(|(from, until)| {
            if from < until { from <= clock && clock < until } else { from <= clock || clock < until }
        })
    }

    /// Every reason why a message of `kind` must not leave for them at `now`, by its code in the log.
    pub(super) fn reasons(
        &self,
        kind: MessageType,
        caps: &[Cap],
        now: DateTime<Utc>,
    ) -> BTreeSet<&'static str> {
        let mut all = BTreeSet::new();
        let mut add = |holds: bool, reason| {
            if holds {
                all.insert(reason);
            }
        };
        let promotion = is_promotional(kind);
        add(self.deleted, "DELETED");
        add(self.excluded.iter().any(|it| it.all || promotion), "SUPPRESSED");
        add(self.declined.contains(&kind), "PREFERENCE");
        if !promotion {
            return all;
        }
        let (local, today) = (now.with_timezone(&Santiago), day_of(now));
        add(!self.agreed, "NO_CONSENT");
        add(self.paused_until.is_some_and(|it| today < it), "PAUSED");
        add(self.min_days.is_some_and(|it| self.had(today, it, is_promotional) > 0), "LESS_OFTEN");
        for (own, most, days) in caps {
            let counts = |it: MessageType| own.map_or(is_promotional(it), |own| it == own);
            add(counts(kind) && self.had(today, *days, counts) >= *most, "FREQUENCY_CAP");
        }
        add(self.is_quiet(local.time()), "QUIET_HOURS");
        let minutes = (9 * 60..18 * 60).map(|it| NaiveTime::from_hms_opt(it / 60, it % 60, 0).unwrap());
        add(minutes.into_iter().all(|it| self.is_quiet(it)), "PREFERENCE");
        add(is_weekend(today) || !(9..18).contains(&local.hour()), "OUTSIDE_WINDOW");
        add(is_holiday(today), "HOLIDAY");
        all
    }
}

impl Model {
    /// Who has `address`.
    pub(super) fn whose(&self, address: &str) -> usize {
        self.people.iter().position(|it| it.address == address).expect("somebody of the test")
    }

    /// Who the person number `who` is by now.
    pub(super) fn standing(&self, who: usize) -> usize {
        self.people[who].joined.map_or(who, |it| self.standing(it))
    }

    /// What asked for the message with `subject`: nobody gets two of it, in whichever words.
    pub(super) fn asked_by<'a>(&'a self, subject: &'a str) -> &'a str {
        self.tried.get(subject).map_or(subject, String::as_str)
    }

    /// The number `goes` turns out to be the number `stays`, who keeps their own address: what they said of theirs is of both,
    /// but for what is known of an address alone.
    pub(super) fn join(&mut self, stays: usize, goes: usize) {
        let address = self.people[goes].address.clone();
        let nobody = Person { address, joined: Some(stays), ..Person::default() };
        let gone = std::mem::replace(&mut self.people[goes], nobody);
        let kept = &mut self.people[stays];
        kept.is_several = true;
        let said_no = |it: &Person| {
            !it.agreed || it.excluded.iter().any(|it| it.reason != SuppressionReason::HardBounce)
        };
        kept.agreed = !said_no(kept) && !said_no(&gone);
        kept.declined.extend(gone.declined);
        kept.quiet = kept.quiet.or(gone.quiet);
        // Whichever asks for less, until they say something anew.
        kept.min_days = kept.min_days.max(gone.min_days);
        kept.paused_until = kept.paused_until.max(gone.paused_until);
        let (before, rest) = gone.got.split_at(gone.written);
        let unwritten = kept.got.split_off(kept.written);
        kept.got.extend(before.iter().cloned());
        kept.written = kept.got.len();
        kept.got.extend(unwritten.into_iter().chain(rest.iter().cloned()));
    }

    /// Why no more may leave on the day of `now`, whoever they are for.
    fn full(&self, subject: &str, now: DateTime<Utc>) -> BTreeSet<&'static str> {
        let today = day_of(now);
        let left = || {
            let all = self.people.iter().flat_map(|it| &it.got);
            all.filter(|it| is_promotional(it.kind) && day_of(it.at) == today)
        };
        let own = self.asked_by(subject);
        let of_campaign = left().filter(|it| self.asked_by(&it.subject) == own).count();
        let mut all = BTreeSet::new();
        if is_promotional(self.asked[subject]) && self.channel_cap.is_some_and(|cap| left().count() >= cap) {
            all.insert("DAILY_CAP");
        }
        if self.campaign_caps.get(own).is_some_and(|cap| of_campaign >= *cap) {
            all.insert("CAMPAIGN_DAILY_CAP");
        }
        all
    }

    /// A message with `subject` is handed over for `address`: is that right?
    pub(super) fn judge(&mut self, address: &str, subject: &str, now: DateTime<Utc>) {
        let named = self.whose(address);
        let who = self.standing(named);
        let kind = self.asked[subject];
        let mut found: BTreeSet<&str> = self.people[who].reasons(kind, &self.caps, now);
        found.extend(self.full(subject, now));
        // Who was two asked twice for what they asked for themselves, and what a workflow tells each.
        let is_each = self.people[who].is_several && !self.to_all.contains(self.asked_by(subject));
        if !is_each
            && self.people[who].got.iter().any(|it| self.asked_by(&it.subject) == self.asked_by(subject))
        {
            found.insert("TWICE");
        }
        if who != named {
            found.insert("JOINED");
        }
        if !found.is_empty() {
            let local = now.with_timezone(&Santiago);
            self.wrongs.push(format!("{subject} left for {address} at {local} in spite of {found:?}"));
        }
    }
}
