//! The links of a text, and what they answered when somebody last asked. What is asked, and how, is
//! [`deliverability::links`](crate::deliverability::links).

use super::{campaign::Campaign, precheck, trial, wordings::Wordings};
use crate::{
    chile::format,
    config::Config,
    db::Tx,
    deliverability::links::{MOST, Verdict, Visit},
    error::Result,
    messaging::{
        template::{self, Source},
        values::{self, Recipient},
    },
    settings::{self, Business},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};

/// Longest address that is kept, in bytes.
pub(super) const LONGEST: usize = 2000;

/// How long an answer is of any interest.
const KEPT: TimeDelta = TimeDelta::days(30);

/// A link of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub url: String,
    /// What it answered, and when; none: it was not asked.
    pub visit: Option<(Visit, DateTime<Utc>)>,
}

impl Link {
    /// What it answered, as people read it.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let (visit, _) = self.visit?;
        Some(match visit.answer.filter(|_| visit.verdict != Verdict::Opens) {
            Some(answer) => format!("{} ({answer})", visit.verdict.label()),
            None => visit.verdict.label().to_owned(),
        })
    }

    /// Whether readers will not get where it leads, as far as is known.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.visit.is_some_and(|it| it.0.verdict.is_broken())
    }

    /// Whether it was asked and nobody knows: a person has to look.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.visit.is_some_and(|it| it.0.verdict == Verdict::Refused)
    }

    /// Whether it opened.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.visit.is_some_and(|it| it.0.verdict == Verdict::Opens)
    }
}

/// The links of a text with what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Each place once, in the order of the text.
    pub links: Vec<Link>,
}

impl Review {
    /// Those that are asked at all.
    fn asked(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().take(MOST)
    }

    /// Those that do not open.
    pub fn broken(&self) -> impl Iterator<Item = &Link> {
        self.asked().filter(|it| it.is_broken())
    }

    /// Those that a person has to look at: they do not open, or did not let themselves be asked.
    pub fn doubtful(&self) -> impl Iterator<Item = &Link> {
        self.asked().filter(|it| it.is_broken() || it.is_unknown())
    }

    /// Whether each that is asked opened.
    #[must_use]
    pub fn all_open(&self) -> bool {
        self.asked().all(Link::opens)
    }

    /// Whether one was not asked yet.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.asked().any(|it| it.visit.is_none())
    }

    /// When the one that was asked longest ago was asked; none: none was.
    #[must_use]
    pub fn asked_at(&self) -> Option<DateTime<Utc>> {
        self.asked().filter_map(|it| Some(it.visit?.1)).min()
    }

    /// What is known of them, in one sentence; none where there is no link, or none was asked.
    #[must_use]
    pub fn sentence(&self, now: DateTime<Utc>) -> Option<String> {
        let when = format::relative(self.asked_at()?, now);
        let all = self.asked().count();
        let number = |is: fn(&Link) -> bool| self.asked().filter(|it| is(it)).count();
        let (broken, unknown) = (number(Link::is_broken), number(Link::is_unknown));
        let unasked = number(|it| it.visit.is_none());
        if all == 1 {
            let said = match (broken, unknown) {
                (0, 0) => "El enlace abre",
                (0, _) => "El enlace no se pudo revisar: ábrelo tú",
                _ => "El enlace no abre",
            };
            return Some(format!("{said} (revisado {when})."));
        }
        let mut said = Vec::new();
        match broken {
            0 => {}
            1 => said.push(format!("1 de {all} enlaces no abre")),
            _ => said.push(format!("{broken} de {all} enlaces no abren")),
        }
        match unknown {
            0 => {}
            1 => said.push(format!("1 de {all} no se pudo revisar: ábrelo tú")),
            _ => said.push(format!("{unknown} de {all} no se pudieron revisar: ábrelos tú")),
        }
        if said.is_empty() && unasked == 0 {
            said.push(format!("Los {all} enlaces abren"));
        }
        match unasked {
            0 => {}
            1 => said.push(format!("1 de {all} sin revisar")),
            _ => said.push(format!("{unasked} de {all} sin revisar")),
        }
        Some(format!("{} (revisados {when}).", said.join("; ")))
    }
}

/// Where `source` leads when it is filled for an invented person, apart from our own pages; nothing while it cannot be filled.
///
/// # Errors
/// When the database fails.
pub async fn links_of(db: &mut PgConnection, config: &Config, source: &Source) -> Result<Vec<String>> {
    let business: Business = settings::load(db, &config.first_values).await?;
    let values = values::of(&Recipient::sample(), &business, &trial::links(config));
    let filled = template::compile(source).ok().and_then(|it| it.render(&values).ok());
    let mut links = filled.map_or_else(Vec::new, |it| precheck::links_of(&it, &config.public_url));
    // What could not be kept is not asked either: the review of the text tells of its length.
    links.retain(|it| it.len() <= LONGEST);
    Ok(links)
}

/// The same of every text of `campaign`, each place once.
///
/// # Errors
/// When the database fails.
pub async fn links_of_campaign(
    db: &mut PgConnection,
    config: &Config,
    campaign: &Campaign,
) -> Result<Vec<String>> {
    let mut links = Vec::new();
    for text in Wordings::of(db, campaign.id).await?.all(&campaign.source) {
        links.extend(links_of(db, config, &text.source).await?);
    }
    let mut known = HashSet::new();
    links.retain(|it| known.insert(it.clone()));
    Ok(links)
}

/// What is known of `links`.
///
/// # Errors
/// When the database fails.
pub async fn known(db: &mut PgConnection, links: Vec<String>) -> Result<Review> {
    let rows =
        sqlx::query!("select url, verdict, answer, checked_at from link_checks where url = any ($1)", &links)
            .fetch_all(db)
            .await?;
    let mut known: HashMap<String, (Visit, DateTime<Utc>)> = rows
        .into_iter()
        .filter_map(|it| {
            let verdict = Verdict::from_code(&it.verdict)?;
            let answer = it.answer.and_then(|it| u16::try_from(it).ok());
            Some((it.url, (Visit { verdict, answer }, it.checked_at)))
        })
        .collect();
    let links = links.into_iter().map(|url| Link { visit: known.remove(&url), url }).collect();
    Ok(Review { links })
}

/// Write down what links answered, and forget what nobody asked for long.
///
/// # Errors
/// When the database fails.
pub async fn keep(tx: &mut Tx<'_>, now: DateTime<Utc>, visits: &[(String, Visit)]) -> Result<()> {
    let mut visits: Vec<_> = visits.iter().filter(|it| it.0.len() <= LONGEST).collect();
    // In one order, so that two who ask the same links do not wait for each other in a ring.
    visits.sort_by(|a, b| a.0.cmp(&b.0));
    let urls: Vec<String> = visits.iter().map(|it| it.0.clone()).collect();
    let verdicts: Vec<String> = visits.iter().map(|it| it.1.verdict.code().to_owned()).collect();
    let answers: Vec<Option<i16>> =
        visits.iter().map(|it| it.1.answer.and_then(|it| i16::try_from(it).ok())).collect();
    sqlx::query!(
        "insert into link_checks (url, verdict, answer, checked_at)
         select url, verdict, answer, $4
         from unnest($1::text[], $2::text[], $3::smallint[]) as asked (url, verdict, answer)
         on conflict (url) do update set verdict = excluded.verdict, answer = excluded.answer, checked_at = $4",
        &urls,
        &verdicts,
        &answers as &[Option<i16>],
        now
    )
    .execute(&mut **tx)
    .await?;
    // Whoever holds an old one is asking it anew, or forgets it too.
    sqlx::query!(
        "delete from link_checks where url in (
             select url from link_checks where checked_at < $1 order by url for update skip locked)",
        now - KEPT
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn review(verdicts: &[Option<Verdict>]) -> Review {
        let visit = |it: Verdict| (Visit { verdict: it, answer: None }, at(0));
        let link = |it: &Option<Verdict>| Link { url: String::new(), visit: it.map(visit) };
        Review { links: verdicts.iter().map(link).collect() }
    }

    #[test]
    fn what_links_answered_reads_as_a_sentence() {
        use Verdict::{Missing, Opens, Refused, Silent};
        for (verdicts, expected) in [
            (&[][..], None),
            (&[None], None),
            (&[Some(Opens), None], Some("1 de 2 sin revisar (revisados hace 5 minutos).")),
            (
                &[Some(Opens), Some(Missing), None, None],
                Some("1 de 4 enlaces no abre; 2 de 4 sin revisar (revisados hace 5 minutos)."),
            ),
            (&[Some(Opens)], Some("El enlace abre (revisado hace 5 minutos).")),
            (&[Some(Missing)], Some("El enlace no abre (revisado hace 5 minutos).")),
            (&[Some(Refused)], Some("El enlace no se pudo revisar: ábrelo tú (revisado hace 5 minutos).")),
            (
                &[Some(Opens), Some(Refused)],
                Some("1 de 2 no se pudo revisar: ábrelo tú (revisados hace 5 minutos)."),
            ),
            (
                &[Some(Silent), Some(Refused), Some(Refused)],
                Some(
                    "1 de 3 enlaces no abre; 2 de 3 no se pudieron revisar: ábrelos tú (revisados hace 5 minutos).",
                ),
            ),
            (&[Some(Opens), Some(Opens)], Some("Los 2 enlaces abren (revisados hace 5 minutos).")),
            (&[Some(Opens), Some(Silent)], Some("1 de 2 enlaces no abre (revisados hace 5 minutos).")),
            (&[Some(Missing), Some(Silent)], Some("2 de 2 enlaces no abren (revisados hace 5 minutos).")),
        ] {
            assert_eq!(review(verdicts).sentence(at(5)).as_deref(), expected);
        }
    }

    #[test]
    fn only_what_opened_is_well_and_no_more_is_told_than_is_asked() {
        use Verdict::{Missing, Opens, Refused};
        assert!(review(&[Some(Opens), Some(Opens)]).all_open());
        assert!(!review(&[Some(Opens), Some(Refused)]).all_open());
        assert!(!review(&[Some(Opens), None]).all_open());
        assert_eq!(review(&[Some(Refused), Some(Missing), Some(Opens), None]).doubtful().count(), 2);
        let many = review(&[[Some(Opens); MOST].as_slice(), &[Some(Missing), None]].concat());
        assert!(many.all_open() && !many.is_partial() && many.broken().next().is_none());
        let said = format!("Los {MOST} enlaces abren (revisados hace 5 minutos).");
        assert_eq!(many.sentence(at(5)), Some(said));
    }
}
