//! What the demo's people care about, what they bought and talked about, who
//! stands where on the board, and what the staff has to do today.

use super::words;
use crate::{
    access::Actor,
    chile::time,
    contacts::{
        contact, history, interactions, interests,
        pipeline::{self, stages},
        tasks,
        vocabulary::HistoryKind,
    },
    db::Tx,
    error::Result,
    ids::ContactId,
};
use chrono::{DateTime, Days, TimeDelta, Utc};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// Fill in the lives of `people`, as seen from `now`.
pub(super) async fn lives(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    rng: &mut StdRng,
    people: &[ContactId],
) -> Result<()> {
    purchases(tx, now, rng, people).await?;
    for (category, name) in words::INTERESTS {
        let tag = interests::named(tx, now - Days::new(20), actor, name, category).await?;
        let fond: Vec<i64> = people.iter().filter(|_| rng.random_bool(0.16)).map(|it| it.0).collect();
        interests::attach(tx, now - Days::new(18), actor, &fond, tag.id).await?;
    }
    talks(tx, now, actor, rng, people).await?;
    board(tx, now, actor, rng, people).await?;
    to_do(tx, now, actor, people).await
}

/// A third has been there before.
async fn purchases(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    rng: &mut StdRng,
    people: &[ContactId],
) -> Result<()> {
    let today = time::local_date(now);
    let mut rows = Vec::new();
    for person in people.iter().filter(|it| it.0 % 3 == 0) {
        for _ in 0..rng.random_range(1..7) {
            let Some((kind, item, price)) = words::HISTORY.choose(rng) else { continue };
            let quantity = rng.random_range(1..4);
            rows.push(history::Row {
                contact_id: person.0,
                kind: *kind,
                occurred_on: today - Days::new(rng.random_range(3..320)),
                item: (*item).to_owned(),
                amount: if *kind == HistoryKind::Visit { 0 } else { price * i64::from(quantity) },
                quantity,
            });
        }
    }
    history::add(tx, now - Days::new(19), &rows, None).await
}

async fn talks(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    rng: &mut StdRng,
    people: &[ContactId],
) -> Result<()> {
    for person in people.iter().filter(|it| it.0 % 4 == 1) {
        for _ in 0..rng.random_range(1..4) {
            let Some((kind, summary, detail)) = words::TALKS.choose(rng) else { continue };
            let at = now - TimeDelta::minutes(rng.random_range(600..27_000));
            let details = interactions::Details {
                kind: *kind,
                summary: (*summary).to_owned(),
                detail: Some((*detail).to_owned()).filter(|it| !it.is_empty()),
                at,
            };
            interactions::add(tx, at, actor, *person, &details).await?;
        }
    }
    Ok(())
}

async fn board(
    tx: &mut Tx<'_>,
    now: DateTime<Utc>,
    actor: &Actor,
    rng: &mut StdRng,
    people: &[ContactId],
) -> Result<()> {
    let stages = stages::names(&mut **tx).await?;
    let today = time::local_date(now);
    for (place, person) in people.iter().filter(|it| it.0 % 7 == 2).enumerate() {
        let Some((first, _)) = stages.first() else { break };
        let since = now - TimeDelta::hours(rng.random_range(24..400));
        pipeline::put(tx, since, actor, *person, *first).await?;
        // Fewer the further on.
        let reached = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6][place % 13];
        if let Some((stage, _)) = stages.get(reached).filter(|it| it.0 != *first) {
            pipeline::put(tx, since + TimeDelta::hours(20), actor, *person, *stage).await?;
        }
        let details = pipeline::Details {
            value: rng.random_range(8..140) * 10_000,
            follow_up_on: (reached < 5).then(|| today + Days::new(rng.random_range(0..12)) - Days::new(3)),
        };
        pipeline::edit(tx, now - TimeDelta::hours(20), actor, *person, pipeline::Details::default(), details)
            .await?;
    }
    Ok(())
}

async fn to_do(tx: &mut Tx<'_>, now: DateTime<Utc>, actor: &Actor, people: &[ContactId]) -> Result<()> {
    let today = time::local_date(now);
    for (place, (title, days)) in words::TASKS.iter().enumerate() {
        let person = people.get(place * 17 % people.len().max(1));
        let name = match person {
            Some(id) => contact::get(&mut **tx, *id).await?.full_name(),
            None => String::new(),
        };
        let details = tasks::Details {
            title: title.replace("{}", &name),
            detail: None,
            contact_id: person.map(|it| it.0),
            owner_id: actor.staff_id().map(|it| it.0),
            due_on: if *days < 0 {
                today - Days::new(days.unsigned_abs())
            } else {
                today + Days::new(days.unsigned_abs())
            },
        };
        let id = tasks::create(tx, now - Days::new(4), actor, &details).await?;
        if place % 5 == 4 {
            tasks::set_done(tx, now - Days::new(1), actor, id, true).await?;
        }
    }
    Ok(())
}
