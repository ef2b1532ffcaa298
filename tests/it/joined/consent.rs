//! A yes and a no of two who are one.

use super::{agree, basis, later, number, refuse, run, words};
use crate::{
    duplicates::{join, person, separate, twice},
    support::{TestApp, monday_noon},
};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    channels::Channel,
    contacts::{consent, contact, preferences},
    messaging::links,
};
use sqlx::PgPool;

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_of_the_other_is_written_down_where_there_was_no_yes(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    refuse(&db, gone, monday_noon()).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(words(&db, kept).await, ["WITHDRAWN"]);
    separate(&db, id).await.unwrap();
    assert_eq!(words(&db, kept).await, ["WITHDRAWN", "REVERSED"], "it was the other's");
    assert_eq!(words(&db, gone).await, ["WITHDRAWN"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_excluded_address_of_either_is_a_no(db: PgPool) {
    for (what, excluded, reason) in [
        ("as it is", "'anamaria@dos.example', null", "UNSUBSCRIBED"),
        (
            "hashed",
            "null, suppression_hash((select key from suppression_key), 'anamaria@dos.example')",
            "NO_MOLESTAR",
        ),
        ("of the one that stays", "'ana@uno.example', null", "MANUAL"),
    ] {
        let (kept, gone) = twice_anew(&db).await;
        agree(&db, kept, monday_noon()).await;
        run(
            &db,
            format!(
                "insert into suppressions (communication_type, destination, address_hash, scope, reason, created_at)
                 values ('EMAIL', {excluded}, 'PROMOTIONAL', '{reason}', '2026-11-01')"
            ),
        )
        .await;
        join(&db, kept, gone, &[]).await.unwrap();
        assert_eq!(basis(&db, kept).await, None, "{what}");
        assert_eq!(words(&db, kept).await, ["CONSENT", "WITHDRAWN"], "{what}");
    }
    // That mail came back says nothing of what they want.
    let (kept, gone) = twice_anew(&db).await;
    agree(&db, kept, monday_noon()).await;
    run(
        &db,
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'anamaria@dos.example', 'ALL', 'HARD_BOUNCE', '2026-11-01')"
            .to_owned(),
    )
    .await;
    join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(basis(&db, kept).await.as_deref(), Some("CONSENT"));
}

/// Ana twice, with nobody excluded.
async fn twice_anew(db: &PgPool) -> (llovizna::ids::ContactId, llovizna::ids::ContactId) {
    run(db, "delete from contact_merges; update contacts set email = 'x' || id || '@x.example' where merged_into is null; update suppressions set lifted_at = '2026-11-02'".to_owned()).await;
    let kept = person(db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let gone = person(db, ("Ana", "Soto"), "anamaria@dos.example", "", "").await;
    (kept, gone)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_since_they_were_joined_is_of_both(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    agree(&db, gone, monday_noon()).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(basis(&db, kept).await, None, "the yes was for the other's address");
    refuse(&db, kept, later(1)).await;
    separate(&db, id).await.unwrap();
    assert_eq!((basis(&db, kept).await, basis(&db, gone).await), (None, None));
    assert_eq!(words(&db, kept).await, ["WITHDRAWN"]);
    assert_eq!(words(&db, gone).await, ["CONSENT", "WITHDRAWN"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_yes_after_that_no_is_of_the_one_that_stayed(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    agree(&db, kept, monday_noon()).await;
    agree(&db, gone, monday_noon()).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    refuse(&db, kept, later(1)).await;
    agree(&db, kept, later(1)).await;
    separate(&db, id).await.unwrap();
    assert_eq!((basis(&db, kept).await.as_deref(), basis(&db, gone).await), (Some("CONSENT"), None));
    assert_eq!(words(&db, gone).await.last().unwrap(), "WITHDRAWN");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_joining_that_was_taken_back_is_no_no_for_another(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Ana", "S."), "ana@tres.example", "", "").await;
    agree(&db, kept, monday_noon()).await;
    agree(&db, gone, monday_noon()).await;
    refuse(&db, third, monday_noon()).await;
    let first = join(&db, kept, gone, &[]).await.unwrap();
    let second = join(&db, kept, third, &[]).await.unwrap();
    separate(&db, second).await.unwrap();
    separate(&db, first).await.unwrap();
    assert_eq!(basis(&db, kept).await.as_deref(), Some("CONSENT"));
    assert_eq!(basis(&db, gone).await.as_deref(), Some("CONSENT"));
    assert_eq!(words(&db, gone).await, ["CONSENT"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_who_parts_leaves_the_no_of_another_who_is_still_joined(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Ana", "S."), "ana@tres.example", "", "").await;
    agree(&db, kept, monday_noon()).await;
    refuse(&db, gone, monday_noon()).await;
    refuse(&db, third, monday_noon()).await;
    run(
        &db,
        format!(
            "insert into contact_preferences values ({third}, 'EMAIL', 'NEWSLETTER', false, '2026-11-04')"
        ),
    )
    .await;
    let first = join(&db, kept, gone, &[]).await.unwrap();
    join(&db, kept, third, &[]).await.unwrap();
    separate(&db, first).await.unwrap();
    assert_eq!(basis(&db, kept).await, None);
    assert_eq!(words(&db, kept).await, ["CONSENT", "WITHDRAWN"]);
    assert!(preferences::of(&db, kept).await.unwrap().iter().any(|it| !it.allowed));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_declined_since_they_were_joined_is_declined_by_both(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for kind in ["NEWSLETTER", "BIRTHDAY"] {
        preferences::set(&mut tx, later(2), kept, Channel::Email, kind, false).await.unwrap();
    }
    tx.commit().await.unwrap();
    separate(&db, id).await.unwrap();
    for who in [kept, gone] {
        let refused = preferences::of(&db, who).await.unwrap();
        let refused: Vec<_> =
            refused.iter().filter(|it| !it.allowed).map(|it| it.message_type.as_str()).collect();
        assert_eq!(refused, ["BIRTHDAY", "NEWSLETTER"], "{who}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_yes_to_a_kind_that_joining_turned_is_a_yes_again(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    run(
        &db,
        format!("insert into contact_preferences values ({kept}, 'EMAIL', 'NEWSLETTER', true, '2026-11-04')"),
    )
    .await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert!(!preferences::of(&db, kept).await.unwrap()[0].allowed);
    separate(&db, id).await.unwrap();
    let back = preferences::of(&db, kept).await.unwrap();
    assert!(back[0].allowed);
    assert_eq!(back[0].updated_at, "2026-11-04T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_proof_of_a_yes_goes_over_with_it(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    agree(&db, gone, monday_noon()).await;
    join(&db, kept, gone, &[llovizna::contacts::merge::Field::Email]).await.unwrap();
    assert_eq!(basis(&db, kept).await.as_deref(), Some("CONSENT"));
    let ledger = consent::ledger(&db, kept, 10).await.unwrap();
    assert_eq!(ledger.len(), 2, "the other's entries are read too");
    for entry in ledger {
        assert_eq!(entry.source, "Feria de Osorno");
        assert_eq!(entry.obtained_on, Some("2026-03-05".parse().unwrap()));
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_telephone_of_both_keeps_the_basis_of_either(db: PgPool) {
    let kept = person(&db, ("Ana", "Soto"), "ana@uno.example", "9 8765 4321", "").await;
    let gone = person(&db, ("Ana", "Soto"), "ana@dos.example", "9 8765 4321", "").await;
    run(&db, format!("update contacts set sms_basis = 'CONTRACT' where id = {gone}")).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let it = contact::get(&db, kept).await.unwrap();
    assert!(it.basis(Channel::Sms).is_some() && it.basis(Channel::Whatsapp).is_none());
    separate(&db, id).await.unwrap();
    assert!(contact::get(&db, kept).await.unwrap().basis(Channel::Sms).is_none());
    assert!(contact::get(&db, gone).await.unwrap().basis(Channel::Sms).is_some());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn not_contacting_anymore_is_a_no_on_every_channel(db: PgPool) {
    let app = TestApp::new(db.clone());
    let who = person(&db, ("Ana", "Soto"), "", "9 8765 4321", "").await;
    let staff = app.as_role(Role::Staff).await;
    let path = format!("/contacts/{who}/suppressions");
    assert_eq!(staff.post(&path, &[("detail", "Lo pidió")]).await.status, StatusCode::SEE_OTHER);
    let told = "select count(distinct communication_type) from consent_events where basis = 'WITHDRAWN'";
    assert_eq!(number(&db, told.to_owned()).await, 3, "by email too, should an address ever come");
    assert_eq!(number(&db, "select count(*) from suppressions".to_owned()).await, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn unsubscribing_without_a_basis_leaves_a_no(db: PgPool) {
    let who = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let token = sqlx::query_scalar(
        "insert into communication_logs (origin, contact_id, destination, communication_type, message_type, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         values ('MANUAL', $1, 'ana@uno.example', 'EMAIL', 'PROMOCIONAL', 'SENT', '2026-11-01', '2026-11-01', '2026-11-01',
             '2026-11-01') returning token",
    )
    .bind(who.0)
    .fetch_one(&db)
    .await
    .unwrap();
    for _ in 0..2 {
        let mut tx = db.begin().await.unwrap();
        let holder = links::holder(&mut tx, token).await.unwrap();
        links::unsubscribe(&mut tx, monday_noon(), &holder).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(words(&db, who).await, ["WITHDRAWN"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn unsubscribing_while_they_are_joined_is_told_of_who_stays(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let token = sqlx::query_scalar("select token from communication_logs").fetch_one(&db).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    // Read before they are joined, acted on after.
    let holder = links::holder(&mut tx, token).await.unwrap();
    tx.commit().await.unwrap();
    join(&db, kept, gone, &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    links::unsubscribe(&mut tx, later(2), &holder).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((words(&db, kept).await, words(&db, gone).await), (vec!["WITHDRAWN".to_owned()], vec![]));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_of_ones_own_between_two_joinings_stays_whoever_parts(db: PgPool) {
    let kept = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let first = person(&db, ("Ana", "S."), "ana@dos.example", "", "").await;
    let second = person(&db, ("Anita", "Soto"), "ana@tres.example", "", "").await;
    agree(&db, kept, monday_noon()).await;
    refuse(&db, first, monday_noon()).await;
    refuse(&db, second, monday_noon()).await;
    let one = join(&db, kept, first, &[]).await.unwrap();
    refuse(&db, kept, later(2)).await;
    let other = join(&db, kept, second, &[]).await.unwrap();
    separate(&db, one).await.unwrap();
    separate(&db, other).await.unwrap();
    assert_eq!(basis(&db, kept).await, None, "{:?}", words(&db, kept).await);
    assert_eq!(words(&db, kept).await.last().map(String::as_str), Some("WITHDRAWN"));
}
