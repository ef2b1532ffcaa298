//! Which of a campaign's texts does best on the sample that gets them, and the decision: by a person whenever they like,
//! else by the program once the hours are over. Until then the rest of the audience waits, put off by the gate.

use super::{
    campaign::{self, Campaign},
    status,
    variants::{self, Measure, Plan, letter},
};
use crate::{
    access::{Actor, Permission},
    chile::format,
    db::Tx,
    error::{Error, Result},
    ids::CampaignId,
    messaging::{kinds::DeferReason, sample},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{PgConnection, PgPool};

/// Messages put back into the queue in one transaction.
const PAGE: u64 = 5000;

/// What one text came to, on the sample alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Messages that left.
    pub sent: u64,
    /// People who opened it.
    pub opened: u64,
    /// People who followed a link.
    pub clicked: u64,
    /// People who answered.
    pub replied: u64,
}

impl Tally {
    /// What `by` counts.
    #[must_use]
    pub fn count(&self, by: Measure) -> u64 {
        match by {
            Measure::Clicks => self.clicked,
            Measure::Opens => self.opened,
            Measure::Replies => self.replied,
        }
    }

    /// Of those that left, which part `by` counts.
    fn rate(&self, by: Measure) -> f64 {
        if self.sent == 0 { 0.0 } else { float(self.count(by)) / float(self.sent) }
    }

    /// Whether its part is greater than that of `other`, exactly.
    fn beats(&self, other: &Tally, by: Measure) -> bool {
        let one = u128::from(self.count(by)) * u128::from(other.sent.max(1));
        one > u128::from(other.count(by)) * u128::from(self.sent.max(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "people of one campaign, for a remark")]
fn float(count: u64) -> f64 {
    count as f64
}

/// How far a campaign that tries several texts has come.
#[derive(Clone, Debug)]
pub struct Contest {
    /// What is tried.
    pub plan: Plan,
    /// What each text came to, the campaign's own first.
    pub tallies: Vec<Tally>,
    /// When the first of the sample left.
    pub started_at: Option<DateTime<Utc>>,
    /// Place of the text that the rest gets.
    pub winner: Option<usize>,
    /// When that was decided.
    pub decided_at: Option<DateTime<Utc>>,
    /// By whom; none with a decision: by the program.
    pub decided_by: Option<String>,
}

impl Contest {
    /// When it is decided; none: it is, or nothing of the sample has left.
    #[must_use]
    pub fn decides_at(&self) -> Option<DateTime<Utc>> {
        let hours = TimeDelta::hours(self.plan.hours.into());
        self.started_at.filter(|_| self.winner.is_none()).map(|it| it + hours)
    }

    /// How sure the difference is, in plain words.
    #[must_use]
    pub fn remark(&self) -> String {
        remark(&self.tallies, self.plan.by, self.winner)
    }
}

/// Place of the text that does best; of those that do alike, the first.
#[must_use]
pub fn best(tallies: &[Tally], by: Measure) -> usize {
    let mut best = 0;
    for (place, tally) in tallies.iter().enumerate() {
        if tally.beats(&tallies[best], by) {
            best = place;
        }
    }
    best
}

/// How far apart two parts may be by chance alone in one of twenty comparisons, in standard errors; the more texts are
/// compared with the best, the more often one of them is far off (Bonferroni).
fn limit(texts: usize) -> f64 {
    match texts {
        ..=2 => 1.960,
        3 => 2.241,
        _ => 2.394,
    }
}

/// Standard errors between two parts, with Yates's correction, which errs towards chance where people are few.
fn apart(one: &Tally, other: &Tally, by: Measure) -> f64 {
    let (n, m) = (float(one.sent), float(other.sent));
    if n == 0.0 || m == 0.0 {
        return 0.0;
    }
    let all = (float(one.count(by)) + float(other.count(by))) / (n + m);
    let error = (all * (1.0 - all) * (1.0 / n + 1.0 / m)).sqrt();
    let gap = (one.rate(by) - other.rate(by)).abs() - f64::midpoint(1.0 / n, 1.0 / m);
    if error == 0.0 || gap <= 0.0 { 0.0 } else { gap / error }
}

fn remark(tallies: &[Tally], by: Measure, winner: Option<usize>) -> String {
    if tallies.iter().all(|it| it.sent == 0) {
        return "Todavía no sale ningún mensaje de la prueba.".to_owned();
    }
    if tallies.iter().all(|it| it.count(by) == 0) {
        return format!("Todavía no hay {}: nada distingue a un texto de otro.", by.label());
    }
    let first = best(tallies, by);
    let mut others: Vec<usize> = (0..tallies.len()).filter(|it| *it != first).collect();
    others.sort_by(|a, b| tallies[*b].rate(by).total_cmp(&tallies[*a].rate(by)));
    let Some(second) = others.first().copied() else { return String::new() };
    let told = |place: usize| {
        let it = &tallies[place];
        let number = |count: u64| format::number(i64::try_from(count).unwrap_or(i64::MAX));
        format!("{} ({} de {})", letter(place), number(it.count(by)), number(it.sent))
    };
    let (leader, next) = (told(first), told(second));
    let mut said = if !tallies[first].beats(&tallies[second], by) {
        format!("{leader} y {next} van iguales en {}.", by.label())
    } else if apart(&tallies[first], &tallies[second], by) < limit(tallies.len()) {
        format!(
            "Por {}, {leader} va delante de {next}, pero con estas cantidades la diferencia puede ser azar.",
            by.label()
        )
    } else {
        format!(
            "Por {}, {leader} va delante de {next}: una diferencia así sale por azar menos de una vez en veinte.",
            by.label()
        )
    };
    if let Some(winner) = winner.filter(|it| *it != first) {
        said = format!("{said} El resto recibe {}, que se eligió antes.", letter(winner));
    }
    said
}

/// How far the campaign `id` has come; none: it has one text.
///
/// # Errors
/// [`Error::NotFound`], or the database's.
pub async fn of(db: &mut PgConnection, id: CampaignId) -> Result<Option<Contest>> {
    let plan = variants::plan(db, id).await?;
    if plan.variants.is_empty() {
        return Ok(None);
    }
    let it = sqlx::query!(
        r#"select c.sample_started_at, c.winner, c.decided_at, s.name as "decided_by?"
           from campaigns c left join staff_users s on s.id = c.decided_by where c.id = $1"#,
        id.0
    )
    .fetch_one(&mut *db)
    .await?;
    let rows = sqlx::query!(
        r#"select variant as "variant!", count(*) filter (where sent_at is not null) as "sent!",
               count(*) filter (where sent_at is not null and opened_at is not null) as "opened!",
               count(*) filter (where sent_at is not null and clicked_at is not null) as "clicked!",
               count(*) filter (where sent_at is not null and replied_at is not null) as "replied!"
           from communication_logs where campaign_id = $1 and in_sample group by variant"#,
        id.0
    )
    .fetch_all(db)
    .await?;
    let mut tallies = vec![Tally::default(); plan.variants.len() + 1];
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    for row in rows {
        let place = usize::try_from(row.variant).unwrap_or(usize::MAX);
        if let Some(tally) = tallies.get_mut(place) {
            *tally = Tally {
                sent: count(row.sent),
                opened: count(row.opened),
                clicked: count(row.clicked),
                replied: count(row.replied),
            };
        }
    }
    Ok(Some(Contest {
        plan,
        tallies,
        started_at: it.sample_started_at,
        winner: it.winner.and_then(|it| usize::try_from(it).ok()),
        decided_at: it.decided_at,
        decided_by: it.decided_by,
    }))
}

/// The rest gets the text at `place`, decided by a person before the hours are over.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Refused`] when there is nothing to decide, or the database's.
pub async fn decide(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    place: usize,
) -> Result<()> {
    actor.require(Permission::SendCampaigns)?;
    campaign::lock(tx, id).await?;
    let campaign = campaign::get(tx, id).await?;
    let contest = of(tx, id)
        .await?
        .ok_or_else(|| Error::refused("Esta campaña no prueba varios textos: no hay nada que elegir."))?;
    if !is_under_way(&campaign, now) {
        return Err(Error::refused(
            "Se elige mientras la campaña está en curso. Ahora no hay nadie esperando un texto; no se cambió nada.",
        ));
    }
    if let Some(winner) = contest.winner {
        return Err(Error::refused(format!(
            "Ya se eligió el texto {}, y el resto lo está recibiendo. No se cambió nada.",
            letter(winner)
        )));
    }
    if place >= contest.tallies.len() {
        return Err(Error::refused("Ese texto no existe en esta campaña. No se cambió nada."));
    }
    settle(tx, now, actor, id, place, &contest).await
}

async fn settle(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    id: CampaignId,
    place: usize,
    contest: &Contest,
) -> Result<()> {
    sqlx::query!(
        "update campaigns set winner = $2, decided_at = $3, decided_by = $4, updated_at = $3
         where id = $1 and winner is null",
        id.0,
        i16::try_from(place).unwrap_or_default(),
        now,
        actor.staff_id().map(|it| it.0)
    )
    .execute(&mut **tx)
    .await?;
    let after = json!({
        "winner": letter(place), "by": contest.plan.by, "sample": contest.tallies, "remark": contest.remark(),
    });
    status::record(tx, now, actor, "campaign.winner", id, Some(after)).await
}

/// Decide where the hours are over, and put back into the queue who waited for a decision. Idempotent: what a kill cuts
/// off is done by the next run. Returns how many messages no longer wait.
///
/// # Errors
/// When the database fails; what was decided and put back so far stays.
pub async fn run_once(db: &PgPool, now: DateTime<Utc>) -> Result<u64> {
    let ids = sqlx::query_scalar!(
        "select id from campaigns
         where status = 'RUNNING' and sample_percent is not null and (held_until is null or held_until <= $1)
         order by id",
        now
    )
    .fetch_all(db)
    .await?;
    let mut freed = 0;
    for id in ids.into_iter().map(CampaignId) {
        let mut tx = db.begin().await?;
        let is_decided = decide_if_due(&mut tx, now, id).await?;
        tx.commit().await?;
        if is_decided {
            freed += release(db, now, id, u64::MAX).await?;
        }
    }
    Ok(freed)
}

/// Whether it is decided which text the rest of the campaign gets, perhaps just now. What each text came to is counted
/// only where that decides: it means reading the whole sample.
async fn decide_if_due(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<bool> {
    campaign::lock(tx, id).await?;
    let known = sqlx::query!("select winner, sample_percent from campaigns where id = $1", id.0)
        .fetch_one(&mut **tx)
        .await?;
    if known.winner.is_some() || known.sample_percent.is_none() {
        return Ok(known.winner.is_some());
    }
    sqlx::query!(
        "update campaigns set sample_started_at = (
             select min(sent_at) from communication_logs where campaign_id = $1 and in_sample and sent_at is not null)
         where id = $1 and sample_started_at is null",
        id.0
    )
    .execute(&mut **tx)
    .await?;
    let Some(rest) = rest(tx, id).await? else { return Ok(false) };
    let is_due = match rest.decides_at {
        Some(at) => at <= now,
        None => all_wait(tx, now, id).await?,
    };
    if is_due && let Some(contest) = of(tx, id).await? {
        let place = best(&contest.tallies, contest.plan.by);
        settle(tx, now, &Actor::System, id, place, &contest).await?;
    }
    Ok(is_due)
}

/// Whether nobody of the sample is left who could still get a text, so that nothing would ever be known; or, once the
/// hours since the start are over, only people whom their own wishes hold back for days.
async fn all_wait(tx: &mut Tx<'_>, now: DateTime<Utc>, id: CampaignId) -> Result<bool> {
    let of_the_person: Vec<String> =
        DeferReason::OF_THE_PERSON.iter().map(|it| it.code().to_owned()).collect();
    let row = sqlx::query!(
        r#"select (select enqueue_done from campaigns where id = $1) as "complete!",
               (select greatest(launched_at, held_until) + make_interval(hours => winner_after_hours) <= $2
                from campaigns where id = $1) as is_late,
               coalesce(sum(messages) filter (where status = 'PENDING' and reason = any ($3)), 0)::bigint as "held!",
               coalesce(sum(messages) filter (where status in ('PENDING', 'SENDING') and reason <> 'AWAITING_WINNER'), 0)::bigint as "open!",
               coalesce(sum(messages) filter (where status = 'PENDING' and reason = 'AWAITING_WINNER'), 0)::bigint as "waiting!"
           from campaign_tallies where campaign_id = $1"#,
        id.0,
        now,
        &of_the_person
    )
    .fetch_one(&mut **tx)
    .await?;
    let goes_on = row.open > if row.is_late == Some(true) { row.held } else { 0 };
    Ok(row.complete && !goes_on && row.waiting > 0)
}

/// Put back into the queue who waited for the decision, page by page, and not more than `most` of them: the next run
/// does the rest. Returns how many messages that was.
///
/// # Errors
/// When the database fails; whole pages are kept.
pub async fn release(db: &PgPool, now: DateTime<Utc>, id: CampaignId, most: u64) -> Result<u64> {
    let winner = sqlx::query_scalar!(
        r#"select winner as "winner!" from campaigns
           where id = $1 and winner is not null and (
               select coalesce(sum(messages), 0) from campaign_tallies
               where campaign_id = $1 and status = 'PENDING' and reason = 'AWAITING_WINNER') > 0"#,
        id.0
    )
    .fetch_optional(db)
    .await?;
    let Some(place) = winner.and_then(|it| usize::try_from(it).ok()) else { return Ok(0) };
    let said = format!("Se eligió el texto {}", letter(place));
    let (mut all, mut after) = (0, 0);
    while all < most {
        let limit = i64::try_from(PAGE.min(most - all)).unwrap_or_default();
        let mut tx = db.begin().await?;
        let (freed, last) = sample::release(&mut tx, now, id, &said, (after, limit)).await?;
        tx.commit().await?;
        if freed == 0 {
            break;
        }
        all += freed;
        after = last;
    }
    Ok(all)
}

/// What is still to wait for a winner of a campaign, for a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Of a hundred of those not looked at yet, how many will wait.
    pub percent: u32,
    /// Messages that the gate has put off for it.
    pub waiting: u64,
    /// When it is decided, where the sample has begun to leave.
    pub decides_at: Option<DateTime<Utc>>,
    /// Hours from the first of the sample on.
    pub hours: u32,
}

/// The rest of the campaign `id`; none: it has one text, or it is decided.
///
/// # Errors
/// When the database fails.
pub async fn rest(db: &mut PgConnection, id: CampaignId) -> Result<Option<Rest>> {
    let it = sqlx::query!(
        r#"select sample_percent as "percent!", winner_after_hours as "hours!", sample_started_at,
               (select coalesce(sum(messages), 0)::bigint from campaign_tallies
                where campaign_id = $1 and status = 'PENDING' and reason = 'AWAITING_WINNER') as "waiting!"
           from campaigns where id = $1 and sample_percent is not null and winner is null"#,
        id.0
    )
    .fetch_optional(db)
    .await?;
    Ok(it.map(|it| Rest {
        percent: u32::try_from(100 - it.percent).unwrap_or_default(),
        waiting: u64::try_from(it.waiting).unwrap_or_default(),
        decides_at: it.sample_started_at.map(|at| at + TimeDelta::hours(it.hours.into())),
        hours: u32::try_from(it.hours).unwrap_or_default(),
    }))
}

/// Whether the campaign sends, so that a text can be chosen for those who wait.
fn is_under_way(campaign: &Campaign, now: DateTime<Utc>) -> bool {
    campaign.status.is_live() && campaign.hold(now).is_none()
}

/// Whether the campaign may still be decided about by a person.
#[must_use]
pub fn may_decide(contest: &Contest, campaign: &Campaign, now: DateTime<Utc>) -> bool {
    is_under_way(campaign, now) && contest.winner.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(sent: u64, clicked: u64) -> Tally {
        Tally { sent, clicked, ..Tally::default() }
    }

    #[test]
    fn the_greatest_part_wins_and_a_tie_goes_to_the_first() {
        let check = |all: &[(u64, u64)], place: usize| {
            let all: Vec<Tally> = all.iter().map(|it| tally(it.0, it.1)).collect();
            assert_eq!(best(&all, Measure::Clicks), place, "{all:?}");
        };
        check(&[(100, 5), (100, 6)], 1);
        check(&[(100, 5), (100, 5), (100, 5)], 0);
        check(&[(100, 3), (50, 2), (100, 4)], 1);
        check(&[(10, 0), (0, 0)], 0);
        check(&[(0, 0), (10, 1)], 1);
        // More people, but a smaller part of them.
        check(&[(100, 10), (10, 2)], 1);
    }

    #[test]
    fn what_was_chosen_to_tell_them_apart_does() {
        let all = [
            Tally { sent: 100, opened: 1, clicked: 9, replied: 2 },
            Tally { sent: 100, opened: 3, clicked: 2, replied: 1 },
            Tally { sent: 100, opened: 2, clicked: 1, replied: 3 },
        ];
        let found = [Measure::Clicks, Measure::Opens, Measure::Replies].map(|by| best(&all, by));
        assert_eq!(found, [0, 1, 2]);
    }

    #[test]
    fn what_may_be_chance_is_called_so() {
        let said = |all: &[(u64, u64)]| {
            let all: Vec<Tally> = all.iter().map(|it| tally(it.0, it.1)).collect();
            remark(&all, Measure::Clicks, None)
        };
        assert!(said(&[(100, 9), (100, 12)]).contains("B (12 de 100) va delante de A (9 de 100), pero"));
        assert!(said(&[(1000, 50), (1000, 100)]).contains("menos de una vez en veinte"));
        assert!(said(&[(4, 0), (4, 3)]).contains("puede ser azar"), "few people prove little");
        assert!(said(&[(100, 7), (100, 7)]).contains("van iguales"));
        assert!(said(&[(100, 0), (100, 0)]).starts_with("Todavía no hay clics de personas"));
        assert!(said(&[(0, 0), (0, 0)]).starts_with("Todavía no sale"));
        // The same difference says less where more texts are compared.
        assert!(said(&[(300, 30), (300, 48)]).contains("menos de una vez en veinte"));
        assert!(said(&[(300, 30), (300, 48), (300, 30)]).contains("puede ser azar"));
    }
}
