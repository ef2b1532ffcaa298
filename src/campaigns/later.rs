//! Those of a campaign who would be queued and yet wait for a day of their own: they got as many messages as a cap
//! allows, asked for fewer, or for a pause. As sets; what holds each of them is `messaging::gate`'s, and a test holds the
//! two together.

use super::{
    audience::{self, Preview, Question},
    campaign::Campaign,
};
use crate::{
    chile::time,
    error::Result,
    ids::ContactId,
    messaging::{
        gate,
        kinds::{DeferReason, MessageType},
        limits::{self, Cap},
    },
};
use chrono::{DateTime, Days, NaiveDate, Utc};
use futures_util::TryStreamExt as _;
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

    /// As addresses of pages carry it.
    #[must_use]
    pub fn key(&self) -> CauseKey {
        match self {
            Cause::Cap(cap) => CauseKey::Cap(cap.id),
            Cause::Paused => CauseKey::Paused,
            Cause::LessOften => CauseKey::LessOften,
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

/// A cause as addresses of pages carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKey {
    /// The cap of this row.
    Cap(i64),
    /// A pause.
    Paused,
    /// Fewer messages.
    LessOften,
}

impl CauseKey {
    /// `cap-3`, `paused`, `less-often`.
    #[must_use]
    pub fn code(self) -> String {
        match self {
            CauseKey::Cap(id) => format!("cap-{id}"),
            CauseKey::Paused => "paused".to_owned(),
            CauseKey::LessOften => "less-often".to_owned(),
        }
    }

    /// From its code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<CauseKey> {
        match code {
            "paused" => Some(CauseKey::Paused),
            "less-often" => Some(CauseKey::LessOften),
            _ => code.strip_prefix("cap-")?.parse().ok().map(CauseKey::Cap),
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

impl Which {
    fn takes(self, held: &Held, left_out: bool) -> bool {
        match self {
            Which::All => true,
            Which::Later => !left_out,
            Which::For(cause) => !left_out && held.cause.key() == cause,
            Which::LeftOut => left_out,
        }
    }
}

impl Later {
    /// How many people wait.
    #[must_use]
    pub fn people(&self) -> u64 {
        self.groups.iter().map(Group::people).sum()
    }

    /// Those of `preview`, the audience that it tells of, who get the message, at once or later.
    #[must_use]
    pub fn recipients(&self, preview: &Preview) -> u64 {
        preview.reachable.saturating_sub(self.left_out)
    }

    /// Those of `preview` who don't.
    #[must_use]
    pub fn without(&self, preview: &Preview) -> u64 {
        preview.total.saturating_sub(self.recipients(preview))
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
#[derive(Clone)]
struct Held {
    cause: Cause,
    free_on: NaiveDate,
}

impl Held {
    /// What they asked for themselves outlasts what a message that was asked for at `asked_for` has to say.
    fn is_old(&self, asked_for: DateTime<Utc>) -> bool {
        !matches!(self.cause, Cause::Cap(_)) && self.free_on > gate::patience(asked_for)
    }
}

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
    counted(db, question, &caps, query, OF_AUDIENCE).await
}

/// Those of an audience who would be queued, now.
const OF_AUDIENCE: &str = "select id, null::timestamptz as asked_for from verdicts where reason is null";

/// Those of a queue, each since they were first asked for.
const OF_QUEUE: &str = "select id, min(scheduled_at) as asked_for from verdicts group by id";

/// Who of a campaign's queue will wait, and who waits already.
///
/// # Errors
/// When the database fails.
pub async fn of_queue(db: &mut PgConnection, now: DateTime<Utc>, campaign: &Campaign) -> Result<Later> {
    if !campaign.message_type.is_promotional() {
        return Ok(Later::default());
    }
    let caps = limits::of_channel(&mut *db, campaign.channel).await?;
    counted(db, of_all(campaign, now), &caps, queue(campaign), OF_QUEUE).await
}

/// What is asked of everybody in a campaign's queue.
#[must_use]
pub fn of_all(campaign: &Campaign, now: DateTime<Utc>) -> Question<'_> {
    Question {
        rule: &campaign.audience,
        channel: campaign.channel,
        message_type: campaign.message_type,
        required: &[],
        otherwise: &[],
        now,
    }
}

/// Who is in a campaign's queue.
fn queue(campaign: &Campaign) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "with verdicts as (
             select coalesce(c.merged_into, c.id) as id, l.scheduled_at
             from communication_logs l join contacts c on c.id = l.contact_id where l.communication_type = ",
    );
    query.push_bind(campaign.channel.code()).push(" and l.campaign_id = ").push_bind(campaign.id.0);
    query.push(" and l.status = 'PENDING' and l.origin = 'CAMPAIGN')");
    query
}

async fn counted(
    db: &mut PgConnection,
    question: Question<'_>,
    caps: &[Cap],
    mut query: QueryBuilder<Postgres>,
    asked: &str,
) -> Result<Later> {
    push_held(&mut query, question, caps);
    query.push(" select place, days, at, min_days, last_at, paused_until, date_trunc('hour', asked_for) as asked_for, count(*) as people from held join (");
    query.push(asked).push(") asked using (id) group by 1, 2, 3, 4, 5, 6, 7");
    let mut later = Later::default();
    for row in query.build().fetch_all(db).await? {
        let people = u64::try_from(row.try_get::<i64, _>("people")?).unwrap_or_default();
        let asked_for = row.try_get::<Option<DateTime<Utc>>, _>("asked_for")?.unwrap_or(question.now);
        match held(&row, caps, question.now, asked_for)? {
            Some(it) if it.is_old(asked_for) => later.left_out += people,
            Some(it) => later.add(it.cause, it.free_on, people),
            None => (),
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

/// Which of those who would wait to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those who get it later.
    Later,
    /// Those who get it later for one cause.
    For(CauseKey),
    /// Those whom it would reach too late, so that they are left out.
    LeftOut,
}

/// Those of an audience who would wait, with ids above `after`, at most `limit`, by id.
///
/// # Errors
/// When the database fails.
pub async fn people(
    db: &mut PgConnection,
    question: Question<'_>,
    which: Which,
    after: Option<ContactId>,
    limit: usize,
) -> Result<Vec<Waiting>> {
    if !question.message_type.is_promotional() {
        return Ok(Vec::new());
    }
    let query = audience::verdicts(&mut *db, question).await?;
    listed(db, question, (query, OF_AUDIENCE), which, after, limit).await
}

/// The same of a campaign's queue: those whom [`of_queue`] counts.
///
/// # Errors
/// When the database fails.
pub async fn people_of_queue(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
    which: Which,
    after: Option<ContactId>,
    limit: usize,
) -> Result<Vec<Waiting>> {
    if !campaign.message_type.is_promotional() {
        return Ok(Vec::new());
    }
    listed(db, of_all(campaign, now), (queue(campaign), OF_QUEUE), which, after, limit).await
}

async fn listed(
    db: &mut PgConnection,
    question: Question<'_>,
    (mut query, asked): (QueryBuilder<Postgres>, &str),
    which: Which,
    after: Option<ContactId>,
    limit: usize,
) -> Result<Vec<Waiting>> {
    let caps = limits::of_channel(&mut *db, question.channel).await?;
    push_held(&mut query, question, &caps);
    query.push(" select id, place, days, at, min_days, last_at, paused_until, asked_for from held join (");
    query.push(asked).push(") asked using (id) where id > ");
    query.push_bind(after.map_or(0, |it| it.0));
    if which == Which::LeftOut && asked == OF_AUDIENCE {
        // Asked for now, nobody else can be; long pauses are a reason of their own.
        query.push(" and min_days > ").push_bind(i32::try_from(gate::PATIENCE_DAYS).unwrap_or(i32::MAX));
    }
    query.push(" order by id");
    let mut rows = query.build().fetch(db);
    let mut all = Vec::new();
    while all.len() < limit
        && let Some(row) = rows.try_next().await?
    {
        let asked_for = row.try_get::<Option<DateTime<Utc>>, _>("asked_for")?.unwrap_or(question.now);
        let Some(it) = held(&row, &caps, question.now, asked_for)? else { continue };
        let left_out = it.is_old(asked_for);
        if which.takes(&it, left_out) {
            let contact = ContactId(row.try_get("id")?);
            all.push(Waiting { contact, cause: it.cause, free_on: it.free_on, left_out });
        }
    }
    Ok(all)
}

/// What holds the message to somebody longest; none: nothing does. Local days are told apart here and not in SQL: hours never lie in two
/// of them.
fn held(
    row: &PgRow,
    caps: &[Cap],
    now: DateTime<Utc>,
    asked_for: DateTime<Utc>,
) -> sqlx::Result<Option<Held>> {
    let cap =
        row.try_get::<Option<i64>, _>("place")?.and_then(|place| caps.get(usize::try_from(place).ok()?));
    let counted = |at: &str, days: &str| -> sqlx::Result<Option<NaiveDate>> {
        let (at, days): (Option<DateTime<Utc>>, Option<i32>) = (row.try_get(at)?, row.try_get(days)?);
        Ok(at.zip(days).map(|(at, days)| time::local_date(at) + Days::new(days.unsigned_abs().into())))
    };
    // Of what ends on one day the gate names the last of these.
    let all = [
        counted("last_at", "min_days")?.map(|free_on| Held { cause: Cause::LessOften, free_on }),
        cap.zip(counted("at", "days")?)
            .map(|(cap, free_on)| Held { cause: Cause::Cap(cap.clone()), free_on }),
        row.try_get::<Option<NaiveDate>, _>("paused_until")?
            .map(|free_on| Held { cause: Cause::Paused, free_on }),
    ];
    let all: Vec<Held> = all.into_iter().flatten().filter(|it| it.free_on > time::local_date(now)).collect();
    // Whoever is left out for it is, whatever else holds them.
    let old = all.iter().find(|it| it.is_old(asked_for)).cloned();
    Ok(old.or_else(|| all.into_iter().max_by_key(|it| it.free_on)))
}

/// `, held as (...)`: of each person, the cap that holds them longest: its place and days, and the message whose leaving
/// the window makes room; what they asked for, with the last message within it; and the day on which their pause ends.
fn push_held(query: &mut QueryBuilder<Postgres>, question: Question<'_>, caps: &[Cap]) {
    let (mut places, mut since, mut most, mut days, mut kinds) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let today = time::local_date(question.now);
    for (place, cap) in (0_i64..).zip(caps).filter(|it| it.1.covers(question.message_type)) {
        places.push(place);
        since.push(time::start_of_day(today - Days::new(u64::from(cap.days.saturating_sub(1)))));
        most.push(i64::from(cap.max_messages));
        days.push(i32::try_from(cap.days).unwrap_or(i32::MAX));
        kinds.push(cap.message_type.map_or(String::new(), |it| it.code().to_owned()));
    }
    let longest = since.iter().min().copied().unwrap_or(question.now);
    let promotions = |query: &mut QueryBuilder<Postgres>| {
        query.push(" m.communication_type = ").push_bind(question.channel.code());
        query
            .push(" and m.message_type = any (")
            .push_bind(MessageType::promotional_codes())
            .push(") and m.at >= ");
    };
    // What counts is said there; the ids only tell where to look, lest the whole log be read.
    query.push(
        ", got as materialized (
             select coalesce(c.merged_into, c.id) as id, m.message_type, m.at
             from messages_counted m join contacts c on c.id = m.contact_id
             where m.id in (select id from communication_logs where communication_type = ",
    );
    query.push_bind(question.channel.code()).push(" and sent_at >= ").push_bind(longest);
    query.push(
        " union all select id from communication_logs where status in ('SENDING', 'UNCONFIRMED')
                 union all select communication_log_id from communication_reservations) and",
    );
    promotions(query);
    query.push_bind(longest).push(
        "), capped as (
             select distinct on (id) id, place, days, at from (
                 select got.id, got.at, cap.place, cap.days, cap.most,
                        row_number() over (partition by got.id, cap.place order by got.at desc) as n
                 from unnest(",
    );
    query.push_bind(places).push("::bigint[], ").push_bind(since).push("::timestamptz[], ").push_bind(most);
    query.push("::bigint[], ").push_bind(days).push("::int[], ").push_bind(kinds);
    query.push(
        "::text[]) as cap (place, since, most, days, kind) join got on got.at >= cap.since and cap.kind in ('', got.message_type)
             ) ranked where n = most order by id, at + make_interval(days => days) desc, place
         ), wishes as (
             select coalesce(c.merged_into, c.id) as id, max(said.min_days) as min_days, max(said.paused_until) as paused_until
             from (select distinct on (contact_id) contact_id, min_days, paused_until from contact_rhythms where communication_type = ",
    );
    query.push_bind(question.channel.code());
    // By person: they are few, and what they asked for reaches further back than caps do.
    query.push(
        " order by contact_id, id desc) said join contacts c on c.id = said.contact_id group by 1
         ), rare as (
             select w.id, w.min_days, last.at from wishes w cross join lateral (
                 select max(one.at) as at from (select w.id union all select id from contacts where merged_into = w.id) who (id)
                 cross join lateral (select m.at from messages_counted m where m.contact_id = who.id and",
    );
    promotions(query);
    query.push_bind(time::start_of_day(today));
    query.push(
        " - make_interval(days => w.min_days) offset 0) one
             ) last where last.at is not null
         ), held as (
             select id, c.place, c.days, date_trunc('hour', c.at) as at, r.min_days, date_trunc('hour', r.at) as last_at, p.paused_until
             from capped c full join rare r using (id)
             full join (select id, paused_until from wishes where paused_until > ",
    );
    query.push_bind(today).push(") p using (id))");
}
