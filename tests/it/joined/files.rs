//! Files that speak of people who were joined.

use super::{basis, later, number};
use crate::{
    duplicates::{join, person},
    imports::Attempt,
    support::until_waiting,
};
use llovizna::{
    access::Actor,
    contacts::{bulk::OnDuplicate, contact, merge},
};
use sqlx::PgPool;
use std::collections::BTreeSet;

async fn ana(db: &PgPool) -> (llovizna::ids::ContactId, llovizna::ids::ContactId) {
    let kept = person(db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    (kept, person(db, ("Ana", "Soto"), "ana@dos.example", "", "").await)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_that_joining_left_out_is_still_theirs(db: PgPool) {
    let (kept, gone) = ana(&db).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let file = "nombre,apellido,correo,cargo\nAna,Soto,ana@dos.example,Gerenta\n";
    let it = Attempt::contacts(file)
        .on_duplicate(OnDuplicate::Overwrite)
        .with_consent("feria")
        .applied()
        .run(&db)
        .await;
    assert_eq!((it.counts.created, it.counts.updated), (0, 1));
    let stays = contact::get(&db, kept).await.unwrap();
    assert_eq!(
        (stays.email.as_deref(), stays.job_title.as_deref()),
        (Some("ana@uno.example"), Some("Gerenta"))
    );
    assert_eq!(basis(&db, kept).await, None, "a yes at another address is none for this one");
    // A no is one for the person.
    let no = "nombre,correo,acepta correo\nAna,ana@dos.example,No\n";
    Attempt::contacts(no).applied().run(&db).await;
    assert_eq!(super::words(&db, kept).await, ["WITHDRAWN"]);
    let past = "correo,nombre,fecha,tipo,monto\nana@dos.example,Ana Soto,5/3/25,compra,1000\n";
    let it = Attempt::history(past).creating_people().applied().run(&db).await;
    assert_eq!((it.counts.created, it.people_created), (1, 0));
    assert_eq!(
        number(&db, format!("select count(*) from history_entries where contact_id = {kept}")).await,
        1
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_address_taken_back_with_its_joining_is_its_own_again(db: PgPool) {
    let (kept, gone) = ana(&db).await;
    let id = join(&db, kept, gone, &[llovizna::contacts::merge::Field::Email]).await.unwrap();
    // The address of the one that stays was left out this time.
    let file = "nombre,apellido,correo,cargo\nAna,Soto,ana@uno.example,Gerenta\n";
    assert_eq!(Attempt::contacts(file).run(&db).await.counts.updated, 1);
    crate::duplicates::separate(&db, id).await.unwrap();
    let it = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!(it.counts.updated, 1);
    assert_eq!(contact::get(&db, gone).await.unwrap().job_title, None);
    let two = "nombre,correo\nAna,ana@dos.example\n";
    assert_eq!(Attempt::contacts(two).applied().run(&db).await.counts.unchanged, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_no_in_a_file_has_the_file_as_its_proof(db: PgPool) {
    person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let file = "nombre,correo,acepta correo\nAna,ana@uno.example,No\nEva,eva@x.example,No\n";
    Attempt::contacts(file).with_consent("Feria de Osorno").applied().run(&db).await;
    let proofs: Vec<(String, Option<chrono::NaiveDate>)> =
        sqlx::query_as("select source, obtained_on from consent_events where basis = 'WITHDRAWN'")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(proofs.len(), 2);
    assert!(proofs.iter().all(|it| it == &("importación «contactos.csv»".to_owned(), None)), "{proofs:?}");
}

/// A file of `attempt` is decided on while two people are being joined.
async fn while_joining(
    db: &PgPool,
    attempt: Attempt,
) -> (llovizna::ids::ContactId, llovizna::ids::ContactId) {
    let (kept, gone) = ana(db).await;
    let mut joining = db.begin().await.unwrap();
    merge::merge(&mut joining, later(1), &Actor::CommandLine, kept, gone, &BTreeSet::new()).await.unwrap();
    let joined = async {
        until_waiting(db, 1).await;
        joining.commit().await.unwrap();
    };
    tokio::join!(attempt.run(db), joined);
    (kept, gone)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_history_written_while_they_are_joined_is_of_who_stays(db: PgPool) {
    let past = "correo,nombre,fecha,tipo,monto\nana@dos.example,Ana Soto,5/3/25,compra,1000\n";
    let (kept, gone) = while_joining(&db, Attempt::history(past).creating_people().applied()).await;
    let of = |who| format!("select count(*) from history_entries where contact_id = {who}");
    assert_eq!((number(&db, of(kept)).await, number(&db, of(gone)).await), (1, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn people_written_while_they_are_joined_are_who_stays(db: PgPool) {
    let file = "nombre,apellido,correo,cargo\nAna,Soto,ana@dos.example,Gerenta\n";
    let (kept, gone) = while_joining(&db, Attempt::contacts(file).applied()).await;
    assert_eq!(contact::get(&db, kept).await.unwrap().job_title.as_deref(), Some("Gerenta"));
    let spoilt = format!(
        "select count(*) from contacts where id = {gone} and (email is not null or job_title is not null)"
    );
    assert_eq!(number(&db, spoilt).await, 0);
}
