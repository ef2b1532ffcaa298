//! Segments and lists: what rules mean, how they are kept, who is on them, and
//! campaigns to them.

mod lists;
mod pages;
mod random;

use crate::support::monday_noon;
use llovizna::{
    access::Actor,
    error::{Error, Result},
    ids::{ContactId, SegmentId},
    segments::{
        field::{Field, Op},
        members,
        rule::{Condition, Group},
        segment,
        value::{self, Thresholds},
    },
};
use sqlx::PgPool;

/// A private person with so many visits and pesos, and consent by email.
pub(super) async fn person(db: &PgPool, name: &str, visits: i32, spent: i64) -> ContactId {
    let id: i64 = sqlx::query_scalar(
        "with c as (
             insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
             values ($1, lower($1) || '@x.example', 'CONSENT', lower($1) || ' x example', $4, $4) returning id
         ), m as (
             insert into contact_metrics (contact_id, visits, spent) select id, $2, $3 from c where $2 + $3 > 0
         )
         select id from c",
    )
    .bind(name)
    .bind(visits)
    .bind(spent)
    .bind(monday_noon())
    .fetch_one(db)
    .await
    .unwrap();
    ContactId(id)
}

pub(super) fn spenders() -> Group {
    Group::all([Condition::with(Field::Spent, Op::MoreThan, &["50000"])])
}

pub(super) async fn keep(db: &PgPool, name: &str, rule: &Group) -> Result<SegmentId> {
    let mut tx = db.begin().await.unwrap();
    let id = segment::create(&mut tx, monday_noon(), &Actor::CommandLine, name, rule).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

async fn change(db: &PgPool, id: SegmentId, name: &str, rule: &Group) -> Result<bool> {
    let mut tx = db.begin().await.unwrap();
    let changed = segment::update(&mut tx, monday_noon(), &Actor::CommandLine, id, name, rule).await?;
    tx.commit().await.unwrap();
    Ok(changed)
}

fn within(id: SegmentId) -> Group {
    Group::all([Condition::with(Field::Segment, Op::Is, &[&id.to_string()])])
}

fn said(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => fields.iter().map(|it| it.message.as_str()).collect(),
        Error::Refused(sentence) => sentence.clone(),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_edit_is_a_new_version_and_the_old_ones_stay(db: PgPool) {
    let id = keep(&db, "Gastan", &spenders()).await.unwrap();
    let other = Group::all([Condition::with(Field::Spent, Op::MoreThan, &["90000"])]);
    assert!(change(&db, id, "Gastan más", &other).await.unwrap());
    assert!(!change(&db, id, "Gastan más", &other).await.unwrap(), "nothing changed");
    let versions = segment::versions(&db, id).await.unwrap();
    let told: Vec<_> = versions.iter().map(|it| (it.version, it.name.as_str())).collect();
    assert_eq!(told, [(2, "Gastan más"), (1, "Gastan")]);
    assert_eq!(versions[1].rule, spenders());
    let taken = keep(&db, "gastan MÁS", &spenders()).await.unwrap_err();
    assert!(said(&taken).contains("Ya hay un segmento"));
    let audited: i64 = sqlx::query_scalar("select count(*) from audit_events where subject_kind = 'segment'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(audited, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_segment_cannot_come_back_to_itself(db: PgPool) {
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &within(first)).await.unwrap();
    let third = keep(&db, "Tres", &within(second)).await.unwrap();
    for rule in [within(first), within(second), within(third)] {
        let refused = change(&db, first, "Uno", &rule).await.unwrap_err();
        assert!(said(&refused).contains("depender de sí mismo"));
    }
    let ana = person(&db, "Ana", 1, 60_000).await;
    person(&db, "Luis", 1, 0).await;
    let mut connection = db.acquire().await.unwrap();
    let found =
        members::page(&mut connection, monday_noon(), &within(third), ContactId(0), 10).await.unwrap();
    assert_eq!(found, [ana]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_used_is_not_removed_and_what_is_removed_comes_back(db: PgPool) {
    let first = keep(&db, "Uno", &spenders()).await.unwrap();
    let second = keep(&db, "Dos", &within(first)).await.unwrap();
    let remove = async |id| {
        let mut tx = db.begin().await.unwrap();
        let done = segment::delete(&mut tx, monday_noon(), &Actor::CommandLine, id).await;
        tx.commit().await.unwrap();
        done
    };
    assert!(said(&remove(first).await.unwrap_err()).contains("lo usa el segmento «Dos»"));
    remove(second).await.unwrap();
    remove(first).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    segment::restore(&mut tx, monday_noon(), &Actor::CommandLine, first).await.unwrap();
    tx.commit().await.unwrap();
    let left: Vec<_> = segment::list(&db).await.unwrap().into_iter().filter(|it| it.key.is_none()).collect();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [first]);
    assert!(remove(SegmentId(1)).await.is_err(), "an automatic one stays");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_automatic_segments_are_seeded_and_follow_their_thresholds(db: PgPool) {
    let at = Thresholds::default();
    let kept: Vec<_> = segment::list(&db).await.unwrap().into_iter().filter(|it| it.key.is_some()).collect();
    let kept: Vec<_> = kept.into_iter().map(|it| (it.key.unwrap(), it.name, it.rule)).collect();
    assert_eq!(kept, value::automatic(&at), "the migration and the program say the same");

    person(&db, "Nadie", 0, 0).await;
    person(&db, "Ana", 6, 150_001).await;
    let luis = person(&db, "Luis", 2, 50_000).await;
    let mut connection = db.acquire().await.unwrap();
    let grid = value::grid(&mut connection, &at).await.unwrap();
    assert_eq!(grid.len(), 9);
    for cell in &grid {
        // The grid counts in one pass what each segment counts by its rule.
        let rule = segment::get(&db, cell.id).await.unwrap().rule;
        let counted = members::count(&mut connection, monday_noon(), &rule).await.unwrap();
        assert_eq!(counted, Some(cell.people), "{:?} {:?}", cell.frequency, cell.spend);
    }
    assert_eq!(grid.iter().map(|it| it.people).sum::<i64>(), 3);
    assert_eq!(grid.iter().map(|it| it.spent).sum::<i64>(), 200_001);
    let standing = value::of(&db, &at, luis).await.unwrap().unwrap();
    assert_eq!(standing.name, "Regular, gasto medio");
    assert!(
        standing.reason.contains("2 visitas") && standing.reason.contains("$50.000"),
        "{}",
        standing.reason
    );

    let strict = Thresholds { regular_from: 3, inactive_days: 60, ..at };
    let mut tx = db.begin().await.unwrap();
    value::set(&mut tx, monday_noon(), &Actor::CommandLine, &at, &strict).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(value::of(&db, &strict, luis).await.unwrap().unwrap().name, "Nuevo, gasto medio");
    let named = segment::list(&db).await.unwrap();
    let quiet = named.iter().find(|it| it.key.as_deref() == Some("INACTIVE_90_DAYS")).unwrap();
    assert_eq!((quiet.name.as_str(), quiet.version), ("Sin actividad hace 60 días", 2));
}
