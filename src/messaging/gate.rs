//! The one gate: decides for each message if it may go, must wait, or must not go.
//!
//! The order is fixed: address, suppression, consent, preference, a long pause, the text's
//! needs; then the text itself, where several are tried; a pause, the person's own rhythm and the frequency caps, their quiet hours, business window and
//! holidays, daily caps. The first half is asked when a message is queued and again when it
//! is about to leave; the second half only then. Pure but for [`facts`].

use super::{
    kinds::{BlockReason, DeferReason, MessageType, OriginKind, SuppressionReason},
    limits::{self, Cap, Counted},
    values::Recipient,
};
use crate::{
    channels::Channel,
    chile::{
        business_hours::{BusinessHours, Closed},
        comunas, format,
        holidays::Calendar,
        time,
    },
    contacts::rhythm::{self, Rhythm},
    error::Result,
    ids::ContactId,
};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// What is known of one message's recipient at the moment of deciding.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Address on the channel, as it stands now.
    pub destination: Option<String>,
    /// Who it is to in the address book, as they stand now: whom they were joined into, or themselves.
    pub person: Option<ContactId>,
    /// Suppression in force that covers the kind of message.
    pub suppressed: Option<SuppressionReason>,
    /// Whether there is a lawful basis for promotions on the channel.
    pub has_basis: bool,
    /// The person declined this kind of message.
    pub declined: bool,
    /// How often the person wants promotions on the channel, and until when none.
    pub rhythm: Rhythm,
    /// The person's own quiet hours, local: from, until.
    pub quiet: Option<(NaiveTime, NaiveTime)>,
    /// What the person got, or is about to get, within the longest cap.
    pub history: Vec<Counted>,
    /// What the text may say of them.
    pub recipient: Recipient,
    /// When the message was to leave, as it was asked for; none: it is being asked for now.
    pub asked_for: Option<DateTime<Utc>>,
}

impl Facts {
    /// The last local day until which the message waits for its recipient's own wish.
    fn patience(&self, now: DateTime<Utc>) -> NaiveDate {
        patience(self.asked_for.unwrap_or(now))
    }
}

/// The rules at the moment of deciding.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// Holidays.
    pub calendar: &'a Calendar,
    /// When promotions may leave.
    pub hours: &'a BusinessHours,
    /// Frequency caps of the channel.
    pub caps: &'a [Cap],
    /// Promotions that the channel may still send today; none: no cap.
    pub channel_left: Option<u32>,
    /// Messages that the campaign may still send today; none: no cap.
    pub campaign_left: Option<u32>,
    /// The message waits for the best of its campaign's texts until then; none: its text is known.
    pub winner_at: Option<DateTime<Utc>>,
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may go now.
    Allow,
    /// It must wait.
    Defer {
        /// Until when.
        until: DateTime<Utc>,
        /// Why.
        reason: DeferReason,
        /// In words, more exactly.
        detail: String,
    },
    /// It must not go.
    Block {
        /// Why.
        reason: BlockReason,
        /// In words, more exactly.
        detail: String,
    },
}

/// Days that a message waits for what its own recipient asked for: later it would be old news, and is not sent.
pub const PATIENCE_DAYS: u64 = 30;

/// The last local day until which a message that was asked for at `asked_for` waits for its recipient's own wish.
#[must_use]
pub fn patience(asked_for: DateTime<Utc>) -> NaiveDate {
    time::local_date(asked_for) + Days::new(PATIENCE_DAYS)
}

/// The first local day on which neither a pause nor the rhythm of their own holds the person back; none: neither does.
#[must_use]
pub fn wish_ends(facts: &Facts, now: DateTime<Utc>) -> Option<NaiveDate> {
    let pause = facts.rhythm.pause_on(time::local_date(now));
    let soon = facts.rhythm.min_days.and_then(|days| limits::too_soon(days, &facts.history, now));
    pause.max(soon.map(|it| it.frees_on))
}

/// Whether a message may be sent to this person at all: the first half of the gate.
///
/// # Errors
/// The reason why not, and its detail.
pub fn eligible(
    origin: OriginKind,
    kind: MessageType,
    required: &[&str],
    facts: &Facts,
    now: DateTime<Utc>,
) -> std::result::Result<(), (BlockReason, String)> {
    if facts.destination.is_none() {
        return Err((BlockReason::NoAddress, String::new()));
    }
    if let Some(reason) = facts.suppressed {
        return Err((BlockReason::Suppressed, reason.label().to_owned()));
    }
    if origin != OriginKind::Test {
        if kind.is_promotional() && !facts.has_basis {
            return Err((BlockReason::NoConsent, String::new()));
        }
        if facts.declined {
            return Err((BlockReason::Preference, kind.label().to_owned()));
        }
        if kind.is_promotional()
            && let Some(until) = facts.rhythm.paused_until.filter(|until| *until > facts.patience(now))
        {
            return Err((BlockReason::Paused, until_day(until)));
        }
    }
    match required.iter().find(|name| lacks(&facts.recipient, name)) {
        Some(name) => Err((BlockReason::MissingVariable, (*name).to_owned())),
        None => Ok(()),
    }
}

/// `hasta el 24-12-2026`.
fn until_day(day: NaiveDate) -> String {
    format!("hasta el {}", format::date(day))
}

/// Whether `recipient` lacks the personal variable `name`.
#[must_use]
pub fn lacks(recipient: &Recipient, name: &str) -> bool {
    let value = match name {
        "first_name" => &recipient.first_name,
        "last_name" => &recipient.last_name,
        "company" => &recipient.company,
        "job_title" => &recipient.job_title,
        "comuna" => &recipient.comuna,
        "industry" => &recipient.industry,
        _ => return false,
    };
    value.trim().is_empty()
}

/// Decide for one message that is due at `now`.
#[must_use]
pub fn decide(
    origin: OriginKind,
    kind: MessageType,
    required: &[&str],
    facts: &Facts,
    rules: &Rules<'_>,
    now: DateTime<Utc>,
) -> Decision {
    if let Err((reason, detail)) = eligible(origin, kind, required, facts, now) {
        return Decision::Block { reason, detail };
    }
    if let Some(until) = rules.winner_at {
        let detail = "Se elige entre los textos que se prueban en una parte de la audiencia".to_owned();
        return Decision::Defer { until, reason: DeferReason::AwaitingWinner, detail };
    }
    if origin == OriginKind::Test || !kind.is_promotional() {
        return Decision::Allow;
    }
    let opens = |at: DateTime<Utc>| {
        // A window that never opens is a setting to mend: look again tomorrow.
        rules.hours.next_open(at, rules.calendar).unwrap_or(at + Days::new(1))
    };
    let tomorrow = || opens(time::start_of_day(time::local_date(now) + Days::new(1)));
    let soon = facts.rhythm.min_days.and_then(|days| limits::too_soon(days, &facts.history, now));
    if let Some(soon) = &soon
        && soon.frees_on > facts.patience(now)
    {
        return Decision::Block { reason: BlockReason::LessOften, detail: soon.detail.clone() };
    }
    if let Some(day) = facts.rhythm.pause_on(time::local_date(now)) {
        let until = opens(time::start_of_day(day));
        return Decision::Defer { until, reason: DeferReason::Paused, detail: until_day(day) };
    }
    let full = limits::full(rules.caps, kind, &facts.history, now);
    if let Some(soon) = soon
        && full.as_ref().is_none_or(|it| it.frees_on < soon.frees_on)
    {
        let until = opens(time::start_of_day(soon.frees_on));
        return Decision::Defer { until, reason: DeferReason::LessOften, detail: soon.detail };
    }
    if let Some(full) = full {
        let until = opens(time::start_of_day(full.frees_on));
        return Decision::Defer { until, reason: DeferReason::FrequencyCap, detail: full.detail };
    }
    if let Some((from, until)) = facts.quiet
        && let Some(ends) = quiet_until(from, until, now)
    {
        // The window may open in the middle of the next quiet hours, and so on.
        let mut opening = opens(ends);
        for _ in 0..LOOK_AHEAD {
            let Some(ends) = quiet_until(from, until, opening) else {
                return Decision::Defer {
                    until: opening,
                    reason: DeferReason::QuietHours,
                    detail: String::new(),
                };
            };
            opening = opens(ends);
        }
        let detail = "Sus horas de silencio cubren todo el horario de envío".to_owned();
        return Decision::Block { reason: BlockReason::Preference, detail };
    }
    if let Some(closed) = rules.hours.closed_because(now, rules.calendar) {
        let reason = match closed {
            Closed::Holiday(_) => DeferReason::Holiday,
            Closed::Weekday(_) | Closed::OutsideHours => DeferReason::OutsideWindow,
        };
        return Decision::Defer { until: opens(now), reason, detail: closed.to_string() };
    }
    if rules.channel_left == Some(0) {
        return Decision::Defer { until: tomorrow(), reason: DeferReason::DailyCap, detail: String::new() };
    }
    if rules.campaign_left == Some(0) {
        return Decision::Defer {
            until: tomorrow(),
            reason: DeferReason::CampaignDailyCap,
            detail: String::new(),
        };
    }
    Decision::Allow
}

/// Openings that are looked at before quiet hours count as a no.
const LOOK_AHEAD: u32 = 14;

/// When the quiet hours that hold at `now` end; none: they do not hold.
fn quiet_until(from: NaiveTime, until: NaiveTime, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = time::local(now);
    let (date, clock) = (local.date_naive(), local.time());
    let day = if from <= until {
        (clock >= from && clock < until).then_some(date)
    } else if clock >= from {
        Some(date + Days::new(1))
    } else {
        (clock < until).then_some(date)
    }?;
    Some(time::at_local(day, until))
}

/// A message to find the facts of.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who it is to.
    pub contact: Option<ContactId>,
    /// The address, for those outside the address book.
    pub destination: Option<String>,
    /// Its kind.
    pub kind: MessageType,
    /// Someone on the staff, to themselves: only an address that is dead stops it.
    pub is_test: bool,
    /// When it was to leave; none: it is being asked for now.
    pub asked_for: Option<DateTime<Utc>>,
}

/// The facts of each of `asked`, in the same order; of who was joined, those of who stays. `history_since` none: without history.
///
/// # Errors
/// When the database fails.
pub async fn facts(
    db: &mut PgConnection,
    channel: Channel,
    asked: &[Asked],
    history_since: Option<DateTime<Utc>>,
) -> Result<Vec<Facts>> {
    let contacts: Vec<Option<i64>> = asked.iter().map(|it| it.contact.map(|id| id.0)).collect();
    let destinations: Vec<Option<String>> = asked.iter().map(|it| it.destination.clone()).collect();
    let kinds: Vec<String> = asked.iter().map(|it| it.kind.code().to_owned()).collect();
    let promotional: Vec<bool> = asked.iter().map(|it| it.kind.is_promotional() && !it.is_test).collect();
    let rows = sqlx::query!(
        r#"select
               c.id as "contact_id?", c.first_name as "first_name?", c.last_name as "last_name?", c.job_title,
               coalesce(c.comuna, k.comuna) as comuna, k.name as "company?", k.industry as "industry?",
               c.quiet_from, c.quiet_until,
               a.address,
               case $5 when 'EMAIL' then c.email_basis when 'SMS' then c.sms_basis else c.whatsapp_basis end as basis,
               s.reason as "suppressed?",
               coalesce(not p.allowed, false) as "declined!"
           from unnest($1::bigint[], $2::text[], $3::text[], $4::bool[]) with ordinality
               as w (contact_id, destination, kind, promotional, place)
           left join contacts asked on asked.id = w.contact_id
           left join contacts c on c.id = coalesce(asked.merged_into, asked.id)
           left join companies k on k.id = c.company_id
           cross join lateral (
               select case when w.contact_id is null then w.destination
                           when $5 = 'EMAIL' then c.email else c.phone end as address
           ) a
           left join lateral (
               select reason from (
                   select reason, scope from suppressions
                   where communication_type = $5 and destination = a.address and lifted_at is null
                   union all
                   select reason, scope from suppressions
                   where communication_type = $5 and destination is null and lifted_at is null
                     and address_hash = suppression_hash((select key from suppression_key), a.address)
               ) held
               where scope = 'ALL' or w.promotional
               order by scope limit 1
           ) s on true
           left join contact_preferences p
               on p.contact_id = c.id and p.communication_type = $5 and p.message_type = w.kind
           order by w.place"#,
        &contacts as &[Option<i64>],
        &destinations as &[Option<String>],
        &kinds,
        &promotional,
        channel.code()
    )
    .fetch_all(&mut *db)
    .await?;
    let people: Vec<i64> = rows.iter().filter_map(|it| it.contact_id).collect();
    let rhythms = rhythm::of_people(&mut *db, channel, &people).await?;
    let history = match history_since {
        Some(since) => history(db, channel, &people, since).await?,
        None => HashMap::new(),
    };
    Ok(rows
        .into_iter()
        .zip(asked)
        .map(|(it, asked)| Facts {
            asked_for: asked.asked_for,
            destination: it.address.filter(|it| !it.is_empty()),
            person: it.contact_id.map(ContactId),
            suppressed: it.suppressed.as_deref().and_then(SuppressionReason::from_code),
            has_basis: it.basis.is_some(),
            declined: it.declined,
            rhythm: it.contact_id.and_then(|id| rhythms.get(&id).copied()).unwrap_or_default(),
            quiet: it.quiet_from.zip(it.quiet_until),
            history: it.contact_id.and_then(|id| history.get(&id).cloned()).unwrap_or_default(),
            recipient: Recipient {
                first_name: it.first_name.unwrap_or_default(),
                last_name: it.last_name.unwrap_or_default(),
                company: it.company.unwrap_or_default(),
                job_title: it.job_title.unwrap_or_default(),
                comuna: it
                    .comuna
                    .and_then(|code| comunas::by_code(&code))
                    .map(|it| it.name.to_owned())
                    .unwrap_or_default(),
                industry: it.industry.unwrap_or_default(),
            },
        })
        .collect())
}

/// What each contact, and whoever was joined into them, got since `since`, or has set apart: what a cap counts.
async fn history(
    db: &mut PgConnection,
    channel: Channel,
    people: &[i64],
    since: DateTime<Utc>,
) -> Result<HashMap<i64, Vec<Counted>>> {
    let rows = sqlx::query!(
        r#"with people as (
               select distinct id, id as who from unnest($1::bigint[]) as asked (id)
               union all
               select id, merged_into from contacts where merged_into = any($1)
           )
           select who as "contact_id!", message_type as "message_type!", at as "at!"
           from people cross join lateral (
               -- By person, which offset 0 sees to: statistics from before a run say that hardly anything was sent,
               -- and all that was sent would be read again for each person.
               select * from messages_counted where contact_id = people.id offset 0
           ) l
           where communication_type = $2 and at >= $3"#,
        people,
        channel.code(),
        since
    )
    .fetch_all(db)
    .await?;
    let mut history: HashMap<i64, Vec<Counted>> = HashMap::new();
    for row in rows {
        if let Some(message_type) = MessageType::from_code(&row.message_type) {
            history.entry(row.contact_id).or_default().push(Counted { message_type, at: row.at });
        }
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday, 12:00 in Santiago.
    const NOON: &str = "2026-11-23T15:00:00Z";

    fn fine() -> Facts {
        Facts {
            destination: Some("a@b.cl".into()),
            person: Some(ContactId(1)),
            has_basis: true,
            ..Facts::default()
        }
    }

    fn ask(kind: MessageType, facts: &Facts, at: &str, change: impl FnOnce(&mut Rules<'_>)) -> Decision {
        let calendar = Calendar::default();
        let hours = BusinessHours::default();
        let caps = [Cap { id: 1, channel: Channel::Email, message_type: None, max_messages: 1, days: 7 }];
        let mut rules = Rules {
            calendar: &calendar,
            hours: &hours,
            caps: &caps,
            channel_left: None,
            campaign_left: None,
            winner_at: None,
        };
        change(&mut rules);
        decide(OriginKind::Campaign, kind, &["first_name"], facts, &rules, at.parse().unwrap())
    }

    fn named() -> Facts {
        Facts { recipient: Recipient { first_name: "Ana".into(), ..Recipient::default() }, ..fine() }
    }

    fn blocked(decision: &Decision) -> Option<BlockReason> {
        match decision {
            Decision::Block { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    fn deferred(decision: &Decision) -> Option<(DeferReason, String)> {
        match decision {
            Decision::Defer { reason, until, .. } => {
                Some((*reason, time::local(*until).format("%F %H:%M").to_string()))
            }
            _ => None,
        }
    }

    #[test]
    fn a_contactable_person_in_the_window_is_let_go() {
        assert_eq!(ask(MessageType::Promocional, &named(), NOON, |_| ()), Decision::Allow);
    }

    #[test]
    fn reasons_to_block_come_in_the_fixed_order() {
        let mut facts = Facts {
            suppressed: Some(SuppressionReason::Unsubscribed),
            declined: true,
            has_basis: false,
            destination: None,
            ..fine()
        };
        let reason = |facts: &Facts| blocked(&ask(MessageType::Promocional, facts, NOON, |_| ()));
        assert_eq!(reason(&facts), Some(BlockReason::NoAddress));
        facts.destination = Some("a@b.cl".into());
        assert_eq!(reason(&facts), Some(BlockReason::Suppressed));
        facts.suppressed = None;
        assert_eq!(reason(&facts), Some(BlockReason::NoConsent));
        facts.has_basis = true;
        assert_eq!(reason(&facts), Some(BlockReason::Preference));
        facts.declined = false;
        assert_eq!(reason(&facts), Some(BlockReason::MissingVariable));
    }

    #[test]
    fn a_service_message_needs_no_consent_and_no_window() {
        let facts = Facts { has_basis: false, ..named() };
        assert_eq!(
            ask(MessageType::BookingReminder, &facts, "2026-11-22T05:00:00Z", |_| ()),
            Decision::Allow
        );
        let declined = Facts { declined: true, ..named() };
        assert_eq!(
            blocked(&ask(MessageType::BookingReminder, &declined, NOON, |_| ())),
            Some(BlockReason::Preference)
        );
    }

    #[test]
    fn a_capped_person_waits_until_the_window_opens_on_the_day_it_frees() {
        let sent =
            Counted { message_type: MessageType::Newsletter, at: "2026-11-20T15:00:00Z".parse().unwrap() };
        let facts = Facts { history: vec![sent], ..named() };
        let decision = ask(MessageType::Promocional, &facts, NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::FrequencyCap, "2026-11-27 09:00".into())));
    }

    #[test]
    fn who_asked_for_a_pause_is_left_in_peace_until_its_day() {
        let paused = |until: &str| Facts {
            rhythm: Rhythm { paused_until: Some(until.parse().unwrap()), min_days: None },
            ..named()
        };
        // Tuesday 8 December is a holiday: it leaves on the next day.
        let decision = ask(MessageType::Promocional, &paused("2026-12-08"), NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::Paused, "2026-12-09 09:00".into())));
        assert_eq!(
            ask(MessageType::Promocional, &paused("2026-11-23"), NOON, |_| ()),
            Decision::Allow,
            "the pause is over"
        );
        assert_eq!(
            ask(MessageType::Transactional, &paused("2027-01-23"), NOON, |_| ()),
            Decision::Allow,
            "service messages go"
        );
        let long = ask(MessageType::Promocional, &paused("2026-12-24"), NOON, |_| ());
        assert_eq!(blocked(&long), Some(BlockReason::Paused), "31 days: it would be old news");
        let just = ask(MessageType::Promocional, &paused("2026-12-23"), NOON, |_| ());
        assert_eq!(deferred(&just).map(|it| it.0), Some(DeferReason::Paused));
    }

    #[test]
    fn who_asked_for_fewer_gets_the_next_when_their_own_time_is_over() {
        let got = |at: &str| Counted { message_type: MessageType::Newsletter, at: at.parse().unwrap() };
        let asked = |days, at: &str| Facts {
            rhythm: Rhythm { min_days: Some(days), paused_until: None },
            history: vec![got(at)],
            ..named()
        };
        let decision = ask(MessageType::Promocional, &asked(14, "2026-11-13T15:00:00Z"), NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::LessOften, "2026-11-27 09:00".into())));
        // The cap of one a week holds longer than a wish of three days.
        let decision = ask(MessageType::Promocional, &asked(3, "2026-11-21T15:00:00Z"), NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::FrequencyCap, "2026-11-30 09:00".into())));
        let decision = ask(MessageType::Promocional, &asked(90, "2026-11-13T15:00:00Z"), NOON, |_| ());
        assert_eq!(blocked(&decision), Some(BlockReason::LessOften));
        assert_eq!(
            ask(MessageType::Promocional, &asked(14, "2026-11-09T15:00:00Z"), NOON, |_| ()),
            Decision::Allow
        );
        // The month of patience counts from when the message was asked for, not from each look.
        let again = Facts {
            asked_for: Some("2026-10-24T15:00:00Z".parse().unwrap()),
            ..asked(30, "2026-11-23T14:00:00Z")
        };
        let decision = ask(MessageType::Promocional, &again, NOON, |_| ());
        assert_eq!(blocked(&decision), Some(BlockReason::LessOften), "it would leave 60 days late");
        let now = Facts { asked_for: None, ..again };
        let decision = ask(MessageType::Promocional, &now, NOON, |_| ());
        assert_eq!(deferred(&decision).map(|it| it.0), Some(DeferReason::LessOften));
    }

    #[test]
    fn outside_the_window_it_waits_for_the_next_opening() {
        let check = |at: &str, opens: &str| {
            let decision = ask(MessageType::Promocional, &named(), at, |_| ());
            assert_eq!(deferred(&decision), Some((DeferReason::OutsideWindow, opens.into())), "{at}");
        };
        check("2026-11-21T15:00:00Z", "2026-11-23 09:00");
        check("2026-11-23T21:00:00Z", "2026-11-24 09:00");
        // Inmaculada Concepción, Ley 2.977: a Tuesday.
        let holiday = ask(MessageType::Promocional, &named(), "2026-12-08T15:00:00Z", |_| ());
        assert_eq!(deferred(&holiday), Some((DeferReason::Holiday, "2026-12-09 09:00".into())));
    }

    #[test]
    fn quiet_hours_over_midnight_hold_on_both_sides() {
        let time = |text: &str| text.parse().unwrap();
        let facts = Facts { quiet: Some((time("11:00:00"), time("14:30:00"))), ..named() };
        let decision = ask(MessageType::Promocional, &facts, NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::QuietHours, "2026-11-23 14:30".into())));
        let night = Facts { quiet: Some((time("22:00:00"), time("12:30:00"))), ..named() };
        let decision = ask(MessageType::Promocional, &night, NOON, |_| ());
        assert_eq!(deferred(&decision), Some((DeferReason::QuietHours, "2026-11-23 12:30".into())));
        let whole = Facts { quiet: Some((time("08:00:00"), time("20:00:00"))), ..named() };
        assert_eq!(
            blocked(&ask(MessageType::Promocional, &whole, NOON, |_| ())),
            Some(BlockReason::Preference)
        );
        let other = Facts { quiet: Some((time("13:00:00"), time("11:00:00"))), ..named() };
        assert_eq!(ask(MessageType::Promocional, &other, NOON, |_| ()), Decision::Allow);
    }

    #[test]
    fn who_waits_for_the_winner_waits_whatever_the_hour_but_is_refused_as_ever() {
        let ends = "2026-11-24T15:00:00Z".parse().unwrap();
        let waits = |kind, facts: &Facts, at: &str| ask(kind, facts, at, |it| it.winner_at = Some(ends));
        for (kind, at) in [
            (MessageType::Promocional, NOON),
            (MessageType::Promocional, "2026-11-22T05:00:00Z"),
            (MessageType::BookingReminder, NOON),
        ] {
            let decision = waits(kind, &named(), at);
            assert_eq!(deferred(&decision), Some((DeferReason::AwaitingWinner, "2026-11-24 12:00".into())));
        }
        let gone = Facts { suppressed: Some(SuppressionReason::Unsubscribed), ..named() };
        assert_eq!(blocked(&waits(MessageType::Promocional, &gone, NOON)), Some(BlockReason::Suppressed));
    }

    #[test]
    fn used_up_daily_caps_wait_for_the_next_working_day() {
        let decision =
            ask(MessageType::Promocional, &named(), "2026-11-27T15:00:00Z", |it| it.channel_left = Some(0));
        assert_eq!(deferred(&decision), Some((DeferReason::DailyCap, "2026-11-30 09:00".into())));
        let decision = ask(MessageType::Promocional, &named(), NOON, |it| it.campaign_left = Some(0));
        assert_eq!(deferred(&decision), Some((DeferReason::CampaignDailyCap, "2026-11-24 09:00".into())));
    }
}
