//! Which of its campaign's texts a message gets while several are tried on a sample, and which messages wait for the
//! winner. What is drawn is drawn once: it is kept with the message, and a message that is tried again keeps its text.
//! Where texts are of industries instead, [`super::industry_texts`] says which.

use crate::{
    db::Tx,
    error::Result,
    ids::{CampaignId, TemplateId},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use std::collections::HashMap;

/// What a campaign that tries several texts has decided so far.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The texts, the campaign's own first.
    texts: Vec<TemplateId>,
    /// Of its people, who are in the sample.
    percent: u32,
    /// Place of the text that the rest gets; none: not decided yet.
    winner: Option<usize>,
    /// When it is decided, as far as is known.
    decides_at: DateTime<Utc>,
}

/// What one message drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lot {
    /// The text at this place.
    Text { place: usize, in_sample: bool },
    /// The winner, which is not known before this instant.
    Waits(DateTime<Utc>),
}

/// The lots of one page; empty for campaigns with one text.
#[derive(Default)]
pub(super) struct Lots {
    /// By place.
    texts: HashMap<usize, TemplateId>,
    by_message: HashMap<i64, Lot>,
}

impl Sample {
    /// What the message `id` draws; `had`: what it drew before. By its id, so that asking again gives the same.
    fn draw(&self, id: i64, had: Option<(usize, bool)>) -> Lot {
        if let Some((place, in_sample)) = had {
            return Lot::Text { place, in_sample };
        }
        match self.winner.filter(|it| *it < self.texts.len()) {
            Some(place) => Lot::Text { place, in_sample: false },
            None => match chance(id, self.percent, self.texts.len()) {
                Some(place) => Lot::Text { place, in_sample: true },
                None => Lot::Waits(self.decides_at),
            },
        }
    }
}

impl Lots {
    /// What `messages` draw.
    pub(super) async fn of(tx: &mut Tx<'_>, sample: &Sample, messages: &[i64]) -> Result<Lots> {
        let kept = sqlx::query!(
            r#"select id, variant as "variant!", in_sample from communication_logs
               where id = any($1) and variant is not null"#,
            messages
        )
        .fetch_all(&mut **tx)
        .await?;
        let kept: HashMap<i64, (usize, bool)> = kept
            .into_iter()
            .filter_map(|it| Some((it.id, (usize::try_from(it.variant).ok()?, it.in_sample))))
            .collect();
        let draw = |id: &i64| (*id, sample.draw(*id, kept.get(id).copied()));
        let texts = sample.texts.iter().copied().enumerate().collect();
        Ok(Lots { texts, by_message: messages.iter().map(draw).collect() })
    }

    /// Each of `given`, a message, gets the text at its place, and waits for nothing.
    pub(super) fn given(given: impl Iterator<Item = (i64, usize, TemplateId)>) -> Lots {
        let mut lots = Lots::default();
        for (message, place, text) in given {
            lots.texts.insert(place, text);
            lots.by_message.insert(message, Lot::Text { place, in_sample: false });
        }
        lots
    }

    /// The text that the message drew; none: its campaign's own.
    pub(super) fn text(&self, message: i64) -> Option<TemplateId> {
        match self.by_message.get(&message)? {
            Lot::Text { place, .. } => self.texts.get(place).copied(),
            Lot::Waits(_) => None,
        }
    }

    /// Until when the message waits for the winner; none: it does not.
    pub(super) fn waits_until(&self, message: i64) -> Option<DateTime<Utc>> {
        match self.by_message.get(&message)? {
            Lot::Waits(until) => Some(*until),
            Lot::Text { .. } => None,
        }
    }

    /// Keep with each of `messages` what it drew.
    pub(super) async fn keep(&self, tx: &mut Tx<'_>, messages: impl Iterator<Item = i64>) -> Result<()> {
        let drawn: Vec<(i64, i16, bool)> = messages
            .filter_map(|id| match self.by_message.get(&id)? {
                Lot::Text { place, in_sample } => Some((id, i16::try_from(*place).ok()?, *in_sample)),
                Lot::Waits(_) => None,
            })
            .collect();
        if drawn.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = drawn.iter().map(|it| it.0).collect();
        let places: Vec<i16> = drawn.iter().map(|it| it.1).collect();
        let sampled: Vec<bool> = drawn.iter().map(|it| it.2).collect();
        sqlx::query!(
            "update communication_logs l set variant = g.variant, in_sample = g.in_sample
             from unnest($1::bigint[], $2::smallint[], $3::bool[]) as g (id, variant, in_sample)
             where l.id = g.id and l.variant is null",
            &ids,
            &places,
            &sampled
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// The place of one of `texts` for those of the sample, each as likely as the others; none for the rest.
fn chance(id: i64, percent: u32, texts: usize) -> Option<usize> {
    let drawn = mixed(id.unsigned_abs());
    let in_sample = drawn % 100 < u64::from(percent);
    let place = (drawn / 100) % u64::try_from(texts.max(1)).unwrap_or(1);
    usize::try_from(place).ok().filter(|_| in_sample)
}

/// `number` with each of its bits told in all the others (the finaliser of SplitMix64), since ids follow one another.
fn mixed(number: u64) -> u64 {
    let it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

/// What `campaign` has decided by now; none: it has one text. A run asks for each of its pages, since a person may
/// decide while it is under way.
///
/// # Errors
/// When the database fails.
pub(super) async fn of_campaign(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: CampaignId,
) -> Result<Option<Sample>> {
    let row = sqlx::query!(
        r#"select c.template_id, c.sample_percent as "percent!", c.winner_after_hours as "hours!",
               c.sample_started_at, c.winner,
               array(select v.template_id from campaign_variants v where v.campaign_id = c.id order by v.place)
                   as "others!"
           from campaigns c where c.id = $1 and c.sample_percent is not null and c.template_id is not null"#,
        campaign.0
    )
    .fetch_optional(db)
    .await?;
    let sample = row.map(|it| Sample {
        texts: it.template_id.into_iter().chain(it.others).map(TemplateId).collect(),
        percent: u32::try_from(it.percent).unwrap_or_default(),
        winner: it.winner.and_then(|it| usize::try_from(it).ok()),
        decides_at: (it.sample_started_at.unwrap_or(now) + TimeDelta::hours(it.hours.into()))
            .max(now + A_MOMENT),
    });
    Ok(sample.filter(|it| it.texts.len() > 1))
}

/// What is due while nothing is decided yet is asked again after this, not at an instant that is past.
const A_MOMENT: TimeDelta = TimeDelta::minutes(1);

/// PENDING -> PENDING at once, for up to `limit` messages of `campaign` after the message `after` that waited for its
/// winner, which `said` names. Returns how many, and the last of them.
///
/// # Errors
/// When the database fails.
pub async fn release(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    campaign: CampaignId,
    said: &str,
    (after, limit): (i64, i64),
) -> Result<(u64, i64)> {
    let freed = sqlx::query!(
        r#"with held as (
               select id from communication_logs
               where campaign_id = $1 and status = 'PENDING' and defer_reason = 'AWAITING_WINNER' and id > $5
               order by id limit $4 for update skip locked
           ), freed as (
               update communication_logs l set next_attempt_at = $2, defer_reason = null
               from held where l.id = held.id and l.status is not distinct from 'PENDING'
               returning l.id
           ), told as (
               insert into communication_events (communication_log_id, at, kind, answer)
               select id, $2, 'REQUEUED', $3 from freed returning communication_log_id as id
           )
           select count(*) as "count!", coalesce(max(id), $5) as "last!" from told"#,
        campaign.0,
        now,
        said,
        limit,
        after
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((u64::try_from(freed.count).unwrap_or_default(), freed.last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(texts: i64, percent: u32, winner: Option<usize>) -> Sample {
        Sample {
            texts: (1..=texts).map(TemplateId).collect(),
            percent,
            winner,
            decides_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_share_gets_the_texts_evenly_and_the_rest_waits() {
        let it = sample(4, 20, None);
        let mut got = [0; 4];
        let mut waiting = 0;
        for id in 1..=100_000 {
            match it.draw(id, None) {
                Lot::Text { place, in_sample: true } => got[place] += 1,
                Lot::Text { .. } => panic!("nothing is decided yet"),
                Lot::Waits(_) => waiting += 1,
            }
        }
        assert!((79_500..=80_500).contains(&waiting), "{waiting}");
        assert!(got.iter().all(|it| (4_700..=5_300).contains(it)), "{got:?}");
    }

    #[test]
    fn asking_again_gives_the_same() {
        let it = sample(3, 50, None);
        assert!((1..=1000).all(|id| it.draw(id, None) == it.draw(id, None)));
    }

    #[test]
    fn once_decided_the_rest_gets_the_winner_and_who_drew_keeps_theirs() {
        let it = sample(3, 20, Some(2));
        assert!((1..=1000).all(|id| it.draw(id, None) == Lot::Text { place: 2, in_sample: false }));
        assert_eq!(it.draw(1, Some((1, true))), Lot::Text { place: 1, in_sample: true });
    }
}
