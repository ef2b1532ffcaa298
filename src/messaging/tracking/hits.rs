//! Openings and clicks as they are asked for: gathered in memory and written down together, so that a thousand of them
//! a second take one connection now and then. Whatever ends the program at once loses what gathered since the last
//! writing, about a second's worth; one that stops in order writes it down first.

use super::{
    code::Codes,
    signs::{self, Sign},
    targets,
};
use crate::{
    error::Result,
    ids::{MessageId, TemplateId},
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;

/// Different hits that are held at once, at most; bounds memory while the database is away.
const MOST: usize = 100_000;

/// Targets that are remembered, at most.
const TARGETS: usize = 2_000;

/// Hits written down in one statement.
const AT_ONCE: usize = 10_000;

/// What makes two hits the same: asked again within a second, it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    message: MessageId,
    link: Option<i32>,
    sign: Option<Sign>,
}

/// The hits that wait to be written down, and what answering them needs. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Hits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<HashMap<Asked, DateTime<Utc>>>,
    codes: OnceCell<Codes>,
    targets: Mutex<HashMap<(TemplateId, i32), String>>,
}

impl Hits {
    /// Somebody asked for the picture of `message`, or for its link number `link`.
    pub fn add(&self, at: DateTime<Utc>, message: MessageId, link: Option<i32>, sign: Option<Sign>) {
        let mut waiting = lock(&self.0.waiting);
        if waiting.len() < MOST {
            waiting.entry(Asked { message, link, sign }).or_insert(at);
        }
    }

    /// What reads the codes of links, asked of the database once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn codes(&self, db: &PgPool) -> Result<&Codes> {
        self.0.codes.get_or_try_init(|| Codes::load(db)).await
    }

    /// Where a link leads, asked of the database once in a while; none: there is no such link.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn target(&self, db: &PgPool, template: TemplateId, number: i32) -> Result<Option<String>> {
        let known = lock(&self.0.targets).get(&(template, number)).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(target) = targets::of(db, template, number).await? else { return Ok(None) };
        let mut targets = lock(&self.0.targets);
        if targets.len() >= TARGETS {
            targets.clear();
        }
        targets.insert((template, number), target.clone());
        Ok(Some(target))
    }

    /// Write down what gathered. Gives how many there were.
    ///
    /// # Errors
    /// When the database fails; what was not written is kept for the next time.
    pub async fn write_down(&self, db: &PgPool) -> Result<usize> {
        let taken: Vec<(Asked, DateTime<Utc>)> =
            std::mem::take(&mut *lock(&self.0.waiting)).into_iter().collect();
        for (number, some) in taken.chunks(AT_ONCE).enumerate() {
            if let Err(error) = insert(db, some).await {
                self.give_back(&taken[number * AT_ONCE..]);
                return Err(error);
            }
        }
        Ok(taken.len())
    }

    fn give_back(&self, hits: &[(Asked, DateTime<Utc>)]) {
        let mut waiting = lock(&self.0.waiting);
        for (asked, at) in hits {
            waiting.insert(*asked, *at);
        }
    }
}

async fn insert(db: &PgPool, hits: &[(Asked, DateTime<Utc>)]) -> Result<()> {
    let messages: Vec<i64> = hits.iter().map(|it| it.0.message.0).collect();
    let links: Vec<Option<i32>> = hits.iter().map(|it| it.0.link).collect();
    let signs: Vec<Option<String>> = hits.iter().map(|it| it.0.sign.map(|it| it.code().to_owned())).collect();
    let at: Vec<DateTime<Utc>> = hits.iter().map(|it| it.1).collect();
    let due: Vec<DateTime<Utc>> = at.iter().map(|it| *it + signs::PATIENCE).collect();
    sqlx::query!(
        "insert into tracking_hits (communication_log_id, link, sign, at, due_at)
         select * from unnest($1::bigint[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[])",
        &messages,
        &links as &[Option<i32>],
        &signs as &[Option<String>],
        &at,
        &due
    )
    .execute(db)
    .await?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_again_at_once_is_one_and_its_first_moment_counts() {
        let hits = Hits::default();
        let start = DateTime::UNIX_EPOCH;
        for second in 0..1000 {
            hits.add(start + chrono::TimeDelta::seconds(second), MessageId(1), None, None);
        }
        hits.clone().add(start, MessageId(1), Some(1), None);
        hits.add(start, MessageId(1), None, Some(Sign::Robot));
        let waiting = lock(&hits.0.waiting);
        assert_eq!(waiting.len(), 3);
        assert_eq!(waiting.get(&Asked { message: MessageId(1), link: None, sign: None }), Some(&start));
    }
}
