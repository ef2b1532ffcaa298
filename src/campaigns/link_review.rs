//! The links of a text, and what they answered when somebody last asked. What is asked, and how, is
//! [`deliverability::links`](crate::deliverability::links).

use super::{precheck, trial};
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
use std::collections::HashMap;

/// Longest address that is kept, in bytes.
const LONGEST: usize = 2000;

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
}

/// The links of a text with what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// Each place once, in the order of the text.
    pub links: Vec<Link>,
}

impl Review {
    /// Those that do not open.
    pub fn broken(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|it| it.is_broken())
    }

    /// When the one that was asked longest ago was asked; none: not all were.
    #[must_use]
    pub fn asked_at(&self) -> Option<DateTime<Utc>> {
        let all: Option<Vec<_>> = self.links.iter().take(MOST).map(|it| it.visit.map(|it| it.1)).collect();
        all?.into_iter().min()
    }

    /// What they answered, in one sentence; none where there is no link, or one was not asked.
    #[must_use]
    pub fn sentence(&self, now: DateTime<Utc>) -> Option<String> {
        let when = format::relative(self.asked_at()?, now);
        let asked = self.links.len().min(MOST);
        let broken = self.broken().count();
        Some(match (asked, broken) {
            (1, 0) => format!("El enlace abre (revisado {when})."),
            (1, _) => format!("El enlace no abre (revisado {when})."),
            (_, 0) => format!("Los {asked} enlaces abren (revisados {when})."),
            (_, 1) => format!("1 de {asked} enlaces no abre (revisados {when})."),
            _ => format!("{broken} de {asked} enlaces no abren (revisados {when})."),
        })
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
    Ok(filled.map_or_else(Vec::new, |it| precheck::links_of(&it, &config.public_url)))
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
    sqlx::query!("delete from link_checks where checked_at < $1", now - KEPT).execute(&mut **tx).await?;
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
            (&[Some(Opens), None], None),
            (&[Some(Opens)], Some("El enlace abre (revisado hace 5 minutos).")),
            (&[Some(Missing)], Some("El enlace no abre (revisado hace 5 minutos).")),
            (&[Some(Opens), Some(Refused)], Some("Los 2 enlaces abren (revisados hace 5 minutos).")),
            (&[Some(Opens), Some(Silent)], Some("1 de 2 enlaces no abre (revisados hace 5 minutos).")),
            (&[Some(Missing), Some(Silent)], Some("2 de 2 enlaces no abren (revisados hace 5 minutos).")),
        ] {
            assert_eq!(review(verdicts).sentence(at(5)).as_deref(), expected);
        }
    }
}
