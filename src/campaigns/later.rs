//! Those of a campaign who would be queued and yet wait for a day of their own: they got as many messages as a cap
//! allows, asked for fewer, or for a pause. As sets; what holds each of them is `messaging::gate`'s, and a test holds the
//! two together.

use super::{
    audience::{self, Question},
    campaign::Campaign,
};
use crate::{
    chile::time,
    contacts::rhythm,
    error::Result,
    ids::ContactId,
    messaging::{
        gate,
        kinds::{DeferReason, MessageType},
        limits::{self, Cap},
    },
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _, postgres::PgRow};
use std::collections::BTreeMap;

/// Why somebody waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A frequency cap.
    Cap(Cap),
    /// They asked for a pause.
    Paused,
    /// They asked for fewer messages.
    LessOften,
}

impl Cause {
    /// After "por": `el tope de 1 por semana`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Cause::Cap(cap) => match cap.message_type {
                None => format!("el tope de {}", cap.label()),
                Some(kind) => format!("el tope de {} ({})", cap.label(), kind.label().to_lowercase()),
            },
            Cause::Paused => "la pausa que pidieron".to_owned(),
            Cause::LessOften => "haber pedido menos mensajes".to_owned(),
        }
    }

    /// As stored once the gate puts a message off for it.
    #[must_use]
    pub fn reason(&self) -> DeferReason {
        match self {
            Cause::Cap(_) => DeferReason::FrequencyCap,
            Cause::Paused => DeferReason::Paused,
            Cause::LessOften => DeferReason::LessOften,
        }
    }
}

/// People who wait for one cause, by the local day on which they are free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Why.
    pub cause: Cause,
    /// How many on each day.
    pub days: Vec<(NaiveDate, u64)>,
}

impl Group {
    /// How many people.
    #[must_use]
    pub fn people(&self) -> u64 {
        self.days.iter().map(|it| it.1).sum()
    }
}

/// Everybody who waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// By cause; nobody twice: what holds longest counts.
    pub groups: Vec<Group>,
    /// People who asked for so few messages that this one would be old: they are left out.
    pub left_out: u64,
}

impl Later {
    /// How many people wait.
    #[must_use]
    pub fn people(&self) -> u64 {
        self.groups.iter().map(Group::people).sum()
    }

    /// How many of `queued` people will get it, at once or later.
    #[must_use]
    pub fn recipients(&self, queued: u64) -> u64 {
        queued.saturating_sub(self.left_out)
    }

    /// How many are free on each day, in order.
    #[must_use]
    pub fn days(&self) -> Vec<(NaiveDate, u64)> {
        let mut days = BTreeMap::new();
        for (day, people) in self.groups.iter().flat_map(|it| &it.days) {
            *days.entry(*day).or_default() += people;
        }
        days.into_iter().collect()
    }

    fn add(&mut self, cause: Cause, day: NaiveDate, people: u64) {
        let at = self.groups.iter().position(|it| it.cause == cause).unwrap_or_else(|| {
            self.groups.push(Group { cause, days: Vec::new() });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        match group.days.iter_mut().find(|it| it.0 == day) {
            Some((_, known)) => *known += people,
            None => group.days.push((day, people)),
        }
    }
}

/// What is known of one who waits, or of many alike.
struct Held {
    cause: Cause,
    free_on: NaiveDate,
}

impl Held {
    /// What they asked for themselves outlasts what a message has to say.
    fn is_old(&self, now: DateTime<Utc>) -> bool {
        !matches!(self.cause, Cause::Cap(_)) && self.free_on > gate::patience(now)
    }
}

/// Codes of what is no cap, in the order in which the gate looks: on the same day a pause comes before a cap, and a cap
/// before a wish for less.
const PAUSED: i64 = -1;
const LESS_OFTEN: i64 = i64::MAX;

/// Who of an audience would wait if it were queued now.
///
/// # Errors
/// When the database fails.
pub async fn of_audience(db: &mut PgConnection, question: Question<'_>) -> Result<Later> {
    if !question.message_type.is_promotional() {
        return Ok(Later::default());
    }
    let caps = limits::of_channel(&mut *db, question.channel).await?;
    let query = audience::verdicts(&mut *db, question).await?;
    counted(db, question, &caps, query, "reason is null").await
}

/// Who of a campaign's queue will wait, and who waits already.
///
/// # Errors
/// When the database fails.
pub async fn of_queue(db: &mut PgConnection, now: DateTime<Utc>, campaign: &Campaign) -> Result<Later> {
    if !campaign.message_type.is_promotional() {
        return Ok(Later::default());
    }
    let caps = limits::of_channel(&mut *db, campaign.channel).await?;
    let mut query = QueryBuilder::new(
        "with verdicts as (
             select coalesce(c.merged_into, c.id) as id from communication_logs l join contacts c on c.id = l.contact_id
             where l.communication_type = ",
    );
    query.push_bind(campaign.channel.code()).push(" and l.campaign_id = ").push_bind(campaign.id.0);
    query.push(" and l.status = 'PENDING' and l.origin = 'CAMPAIGN')");
    let question = Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required: &[],
        now,
    };
    counted(db, question, &caps, query, "true").await
}

async fn counted(
    db: &mut PgConnection,
    question: Question<'_>,
    caps: &[Cap],
    mut query: QueryBuilder<Postgres>,
    asked: &str,
) -> Result<Later> {
    push_held(&mut query, question, caps);
    query.push(" select place, days, date_trunc('hour', at) as at, until, count(*) as people from held where id in (select id from verdicts where ");
    query.push(asked).push(") group by 1, 2, 3, 4");
    let mut later = Later::default();
    for row in query.build().fetch_all(db).await? {
        let people = u64::try_from(row.try_get::<i64, _>("people")?).unwrap_or_default();
        match held(&row, caps)? {
            Some(it) if it.is_old(question.now) => {
                later.left_out += people;
            }
            Some(it) if it.free_on > time::local_date(question.now) => {
                later.add(it.cause, it.free_on, people);
            }
            _ => (),
        }
    }
    for group in &mut later.groups {
        group.days.sort_unstable();
    }
    later.groups.sort_by_key(|it| std::cmp::Reverse(it.people()));
    Ok(later)
}

/// One of an audience who would wait.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Who.
    pub contact: ContactId,
    /// Why.
    pub cause: Cause,
    /// Until which local day.
    pub free_on: NaiveDate,
    /// It is so far away that they are left out.
    pub left_out: bool,
}

/// Those of an audience who would wait, with ids above `after`, at most `limit`, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    db: &mut PgConnection,
    question: Question<'_>,
    after: Option<ContactId>,
    limit: i64,
) -> Result<Vec<Waiting>> {
    if !question.message_type.is_promotional() {
        return Ok(Vec::new());
    }
    let caps = limits::of_channel(&mut *db, question.channel).await?;
    let mut query = audience::verdicts(&mut *db, question).await?;
    push_held(&mut query, question, &caps);
    query.push(" select id, place, days, at, until from held where id in (select id from verdicts where reason is null) and id > ");
    query.push_bind(after.map_or(0, |it| it.0)).push(" order by id limit ").push_bind(limit);
    let mut all = Vec::new();
    for row in query.build().fetch_all(db).await? {
        if let Some(it) = held(&row, &caps)? {
            let left_out = it.is_old(question.now);
            let contact = ContactId(row.try_get("id")?);
            all.push(Waiting { contact, cause: it.cause, free_on: it.free_on, left_out });
        }
    }
    Ok(all)
}

/// Local days are told apart here and not in SQL: hours never lie in two of them.
fn held(row: &PgRow, caps: &[Cap]) -> sqlx::Result<Option<Held>> {
    let place: i64 = row.try_get("place")?;
    let cause = match place {
        PAUSED => Some(Cause::Paused),
        LESS_OFTEN => Some(Cause::LessOften),
        cap => usize::try_from(cap).ok().and_then(|it| caps.get(it)).cloned().map(Cause::Cap),
    };
    let until: Option<NaiveDate> = row.try_get("until")?;
    let (at, days): (Option<DateTime<Utc>>, Option<i32>) = (row.try_get("at")?, row.try_get("days")?);
    let counted = at.zip(days).map(|(at, days)| time::local_date(at) + Days::new(days.unsigned_abs().into()));
    Ok(cause.zip(until.or(counted)).map(|(cause, free_on)| Held { cause, free_on }))
}

/// `, held as (...)`: of each person, what holds them longest: place of the cap, its days, the message whose leaving the
/// window makes room; or the day on which a pause ends.
fn push_held(query: &mut QueryBuilder<Postgres>, question: Question<'_>, caps: &[Cap]) {
    let (mut places, mut since, mut most, mut days, mut kinds) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let window = |days: u32| {
        time::start_of_day(time::local_date(question.now) - Days::new(u64::from(days.saturating_sub(1))))
    };
    for (place, cap) in (0_i64..).zip(caps).filter(|it| it.1.covers(question.message_type)) {
        places.push(place);
        since.push(window(cap.days));
        most.push(i64::from(cap.max_messages));
        days.push(i32::try_from(cap.days).unwrap_or(i32::MAX));
        kinds.push(cap.message_type.map_or(String::new(), |it| it.code().to_owned()));
    }
    let today = time::local_date(question.now);
    let longest = since.iter().min().copied().unwrap_or(question.now).min(window(rhythm::LONGEST_DAYS));
    query.push(", wishes as (select coalesce(c.merged_into, c.id) as id, max(said.min_days) as min_days, max(said.paused_until) as paused_until from (select distinct on (contact_id) contact_id, min_days, paused_until from contact_rhythms where communication_type = ");
    query.push_bind(question.channel.code());
    query.push(" order by contact_id, id desc) said join contacts c on c.id = said.contact_id group by 1), got as (select coalesce(c.merged_into, c.id) as id, l.message_type, l.sent_at as at from communication_logs l join contacts c on c.id = l.contact_id where l.communication_type = ");
    query.push_bind(question.channel.code()).push(" and l.sent_at >= ").push_bind(longest);
    query
        .push(" and l.origin <> 'TEST' and l.message_type = any (")
        .push_bind(MessageType::promotional_codes());
    query.push(
        ")), reasons as (
             select id, place, days, at, null::date as until, at + make_interval(days => days) as free from (
                 select got.id, got.at, cap.place, cap.days, cap.most,
                        row_number() over (partition by got.id, cap.place order by got.at desc) as n
                 from unnest(",
    );
    query.push_bind(places).push("::bigint[], ").push_bind(since).push("::timestamptz[], ").push_bind(most);
    query.push("::bigint[], ").push_bind(days).push("::int[], ").push_bind(kinds);
    query.push("::text[]) as cap (place, since, most, days, kind) join got on got.at >= cap.since and cap.kind in ('', got.message_type)) ranked where n = most union all select w.id, ");
    // Whoever is left out for it is, whatever else holds them.
    let old = time::start_of_day(gate::patience(question.now) + Days::new(1));
    query.push_bind(LESS_OFTEN).push(
        ", w.min_days, max(got.at), null, case when max(got.at) + make_interval(days => w.min_days) >= ",
    );
    query.push_bind(old).push(" then 'infinity' else max(got.at) + make_interval(days => w.min_days) end from wishes w join got using (id) where got.at >= ");
    query
        .push_bind(time::start_of_day(today))
        .push(" - make_interval(days => w.min_days - 1) group by w.id, w.min_days union all select id, ");
    query
        .push_bind(PAUSED)
        .push(", null, null, paused_until, paused_until + 1 from wishes where paused_until > ");
    query.push_bind(today);
    query.push("), held as (select distinct on (id) id, place, days, at, until from reasons order by id, free desc, place)");
}
