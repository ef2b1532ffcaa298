//! The log of a contact and what they care about, as domains.

use super::{contact, staff};
use crate::support::monday_noon;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    contacts::{interactions, interests, metrics},
    error::Error,
    ids::{ContactId, InterestId},
};
use sqlx::PgPool;

fn call() -> interactions::Draft {
    interactions::Draft {
        kind: "CALL".to_owned(),
        summary: " Pidió   precios ".to_owned(),
        detail: "uno\r\ndos".to_owned(),
        at: "2026-11-23T10:30".to_owned(),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_entry_is_taken_back_by_who_wrote_it_and_only_soon(db: PgPool) {
    let id = contact(&db, "Ana").await;
    let (ana, eva) = (staff(&db, "Ana", Role::Staff).await, staff(&db, "Eva", Role::Admin).await);
    let details = call().check(monday_noon()).unwrap();
    assert_eq!(details.summary, "Pidió precios");
    let mut tx = db.begin().await.unwrap();
    let entry = interactions::add(&mut tx, monday_noon(), &ana, id, &details).await.unwrap();
    assert_eq!(metrics::of(&mut *tx, id).await.unwrap().last_activity_at, Some(details.at));
    let later = monday_noon() + TimeDelta::minutes(29);
    let refused = interactions::remove(&mut tx, later, &eva, entry).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "somebody else's");
    let late = interactions::remove(&mut tx, later + TimeDelta::minutes(2), &ana, entry).await;
    assert!(matches!(late, Err(Error::Refused(_))), "too late");
    assert_eq!(interactions::remove(&mut tx, later, &ana, entry).await.unwrap(), id);
    assert_eq!(metrics::of(&mut *tx, id).await.unwrap().last_activity_at, None);
    let actions: Vec<String> =
        sqlx::query_scalar("select action from audit_events where action like 'interaction%' order by id")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    assert_eq!(actions, ["interaction.create", "interaction.remove"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_entry_for_nobody_is_refused(db: PgPool) {
    let details = call().check(monday_noon()).unwrap();
    let mut tx = db.begin().await.unwrap();
    let nobody = interactions::add(&mut tx, monday_noon(), &Actor::CommandLine, ContactId(1), &details).await;
    assert!(matches!(nobody, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_interest_is_one_whatever_its_spelling(db: PgPool) {
    let (ana, eva) = (contact(&db, "Ana").await, contact(&db, "Eva").await);
    let mut tx = db.begin().await.unwrap();
    let actor = Actor::CommandLine;
    assert!(
        interests::add(&mut tx, monday_noon(), &actor, ana, "Yoga  prenatal", " Bienestar ").await.unwrap()
    );
    assert!(!interests::add(&mut tx, monday_noon(), &actor, ana, "YOGA PRENATÁL", "Otra").await.unwrap());
    assert!(interests::add(&mut tx, monday_noon(), &actor, eva, "yoga prenatal", "").await.unwrap());
    let all = interests::list(&mut *tx).await.unwrap();
    assert_eq!(all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Yoga prenatal"]);
    assert_eq!(all[0].category, "Bienestar", "as it was made, whatever is said later");
    assert_eq!(interests::categories(&mut *tx).await.unwrap(), ["Bienestar"]);
    let long = "a".repeat(61);
    let wrong = interests::add(&mut tx, monday_noon(), &actor, ana, "Tejido", &long).await;
    assert!(matches!(wrong, Err(Error::Invalid(it)) if it[0].field == "category"));
    let yoga = all[0].id;
    let removed = interests::remove(&mut tx, monday_noon(), &actor, ana, yoga).await.unwrap();
    assert_eq!(removed.as_deref(), Some("Yoga prenatal"));
    assert_eq!(interests::remove(&mut tx, monday_noon(), &actor, ana, yoga).await.unwrap(), None);
    assert!(interests::of(&mut *tx, ana).await.unwrap().is_empty());
    // In bulk, only who changes is told: that is what undoing needs.
    let both = [ana.0, eva.0, 99];
    assert_eq!(interests::attach(&mut tx, monday_noon(), &actor, &both, yoga).await.unwrap(), [ana.0]);
    let mut gone = interests::detach(&mut tx, &actor, &both, yoga).await.unwrap();
    gone.sort_unstable();
    assert_eq!(gone, [ana.0, eva.0]);
    assert!(interests::detach(&mut tx, &actor, &both, InterestId(7)).await.unwrap().is_empty());
    let nameless = interests::add(&mut tx, monday_noon(), &actor, ana, " !? ", "").await;
    assert!(matches!(nameless, Err(Error::Invalid(_))));
}
