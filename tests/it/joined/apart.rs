//! Taking a joining back: lists, the lifecycle, and what is gone meanwhile.

use super::{later, number, run};
use crate::{
    duplicates::{join, person, separate, twice},
    people::{moves, stands},
    support::monday_noon,
};
use llovizna::{
    access::Actor,
    contacts::{contact, duplicates, inactivity, merge::Field, vocabulary::Lifecycle},
    error::Error,
    ids::{ContactId, ListId},
    segments::{list, list_bulk, list_removals},
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

async fn list_of(db: &PgPool, name: &str, who: &[ContactId]) -> ListId {
    let mut tx = db.begin().await.unwrap();
    let id = list::create(&mut tx, monday_noon(), &Actor::CommandLine, name, "").await.unwrap();
    let who: Vec<i64> = who.iter().map(|it| it.0).collect();
    list_bulk::attach(&mut tx, monday_noon(), &Actor::CommandLine, id, &who).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Who is on a list, joined rows too.
async fn on(db: &PgPool, id: ListId) -> Vec<ContactId> {
    let ids: Vec<i64> =
        sqlx::query_scalar("select contact_id from list_members where list_id = $1 order by contact_id")
            .bind(id.0)
            .fetch_all(db)
            .await
            .unwrap();
    ids.into_iter().map(ContactId).collect()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn places_on_lists_come_apart_again(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Ana", "S."), "ana@tres.example", "", "").await;
    let own = list_of(&db, "Del otro", &[gone]).await;
    let both = list_of(&db, "De ambos", &[kept, gone]).await;
    let three = list_of(&db, "De dos que se van", &[gone, third]).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(on(&db, own).await, [kept, gone]);
    let second = join(&db, kept, third, &[]).await.unwrap();
    separate(&db, id).await.unwrap();
    assert_eq!(on(&db, own).await, [gone]);
    assert_eq!(on(&db, both).await, [kept, gone]);
    assert_eq!(on(&db, three).await, [kept, gone, third], "as the third, who is still joined");
    separate(&db, second).await.unwrap();
    assert_eq!(on(&db, three).await, [gone, third]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_is_put_back_one_by_one_has_a_place_that_comes_apart_too(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let list = list_of(&db, "Del otro", &[gone]).await;
    let member = number(&db, format!("select id from list_members where contact_id = {gone}")).await;
    let mut tx = db.begin().await.unwrap();
    let removal =
        list_removals::remove(&mut tx, monday_noon(), &Actor::CommandLine, list, member).await.unwrap();
    tx.commit().await.unwrap();
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    list_removals::put_back(&mut tx, later(1), &Actor::CommandLine, list, removal).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(on(&db, list).await, [kept, gone]);
    separate(&db, id).await.unwrap();
    assert_eq!(on(&db, list).await, [gone], "whose it was");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_later_one_has_as_well_stays_while_they_are_joined(db: PgPool) {
    let kept = person(&db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    let first = person(&db, ("Ana", "S."), "ana@dos.example", "", "").await;
    let second = person(&db, ("Anita", "Soto"), "ana@tres.example", "", "").await;
    run(
        &db,
        format!(
            "insert into interests (name, key, created_at) values ('Yoga', 'yoga', '2026-11-01'), ('Pesca', 'pesca', '2026-11-01');
             insert into contact_interests select c, i.id, '2026-11-02' from unnest(array[{first}, {second}]) c, interests i
                 where i.key = 'yoga' or c = {first};
             insert into pipeline_cards (contact_id, stage_id, value, moved_at)
                 select c, (select min(id) from pipeline_stages), c * 1000, '2026-11-03' from unnest(array[{first}, {second}]) c"
        ),
    )
    .await;
    let mail = [Field::Email];
    let one = join(&db, kept, first, &mail).await.unwrap();
    let other = join(&db, kept, second, &mail).await.unwrap();
    separate(&db, one).await.unwrap();
    let interests = format!("select count(*) from contact_interests where contact_id = {kept}");
    let value = |who| format!("select coalesce(max(value), 0) from pipeline_cards where contact_id = {who}");
    assert_eq!(number(&db, interests.clone()).await, 1, "yoga, of the one who is still joined");
    assert_eq!(number(&db, value(kept)).await, second.0 * 1000, "and the deal");
    assert_eq!(number(&db, value(first)).await, first.0 * 1000);
    let former: Vec<String> =
        sqlx::query_scalar("select address from former_addresses").fetch_all(&db).await.unwrap();
    assert_eq!(former, ["ana@uno.example"], "left out for the other's");
    separate(&db, other).await.unwrap();
    assert_eq!(number(&db, interests).await, 0);
    assert_eq!((number(&db, value(kept)).await, number(&db, value(second)).await), (0, second.0 * 1000));
    let emails: Vec<String> =
        sqlx::query_scalar("select email from contacts order by id").fetch_all(&db).await.unwrap();
    assert_eq!(emails, ["ana@uno.example", "ana@dos.example", "ana@tres.example"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn places_on_lists_follow_through_two_joinings(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Ana", "S."), "ana@tres.example", "", "").await;
    let list = list_of(&db, "Del primero", &[gone]).await;
    let first = join(&db, kept, gone, &[]).await.unwrap();
    let second = join(&db, third, kept, &[]).await.unwrap();
    assert!(on(&db, list).await.contains(&third));
    separate(&db, second).await.unwrap();
    assert_eq!(on(&db, list).await, [kept, gone]);
    separate(&db, first).await.unwrap();
    assert_eq!(on(&db, list).await, [gone]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_taken_off_a_list_since_stays_off(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let list = list_of(&db, "Del otro", &[gone]).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let member = sqlx::query_scalar("select id from list_members where list_id = $1 and contact_id = $2")
        .bind(list.0)
        .bind(kept.0)
        .fetch_one(&db)
        .await
        .unwrap();
    let mut tx = db.begin().await.unwrap();
    list_removals::remove(&mut tx, later(1), &Actor::CommandLine, list, member).await.unwrap();
    tx.commit().await.unwrap();
    separate(&db, id).await.unwrap();
    assert!(on(&db, list).await.is_empty());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_put_back_on_a_list_has_the_place_that_was_theirs(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let list = list_of(&db, "Del otro", &[gone]).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    let member = sqlx::query_scalar("select id from list_members where list_id = $1 and contact_id = $2")
        .bind(list.0)
        .bind(kept.0)
        .fetch_one(&db)
        .await
        .unwrap();
    let mut tx = db.begin().await.unwrap();
    let removal = list_removals::remove(&mut tx, later(1), &Actor::CommandLine, list, member).await.unwrap();
    list_removals::put_back(&mut tx, later(1), &Actor::CommandLine, list, removal).await.unwrap();
    tx.commit().await.unwrap();
    separate(&db, id).await.unwrap();
    assert_eq!(on(&db, list).await, [gone]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn taking_back_a_change_in_bulk_takes_the_place_that_went_over_too(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let list = list_of(&db, "Por tanda", &[gone]).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let back = list_bulk::detach(&mut tx, later(1), &Actor::CommandLine, list, &[gone.0]).await.unwrap();
    assert_eq!(back, [gone.0], "those who were asked about are told of");
    tx.commit().await.unwrap();
    assert!(on(&db, list).await.is_empty());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_lifecycle_of_who_goes_is_not_told_anew(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    assert_eq!((stands(&db, kept).await, stands(&db, gone).await), (Lifecycle::Lead, Lifecycle::Customer));
    let before = moves(&db, gone).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(stands(&db, kept).await, Lifecycle::Customer);
    assert_eq!(moves(&db, gone).await, before);
    separate(&db, id).await.unwrap();
    assert_eq!((stands(&db, kept).await, stands(&db, gone).await), (Lifecycle::Lead, Lifecycle::Customer));
    assert_eq!(moves(&db, gone).await, before);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_lead_joined_with_a_prospect_who_bought_is_a_lead_again(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    run(&db, format!("update contacts set lifecycle = 'PROSPECTO' where id = {gone}")).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    assert_eq!(stands(&db, kept).await, Lifecycle::Prospect);
    separate(&db, id).await.unwrap();
    assert_eq!((stands(&db, kept).await, stands(&db, gone).await), (Lifecycle::Lead, Lifecycle::Prospect));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_who_was_joined_turns_inactive(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let moved = inactivity::run_once(&db, later(24 * 300), &CancellationToken::new()).await.unwrap();
    assert_eq!(moved, 1, "{:?}", moves(&db, gone).await);
    assert!(moves(&db, gone).await.iter().all(|it| it.1 != "INACTIVO"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_gone_meanwhile_stops_nobody(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    run(
        &db,
        format!(
            "insert into pipeline_stages (name, position) values ('De paso', 99);
             insert into pipeline_cards (contact_id, stage_id, value, moved_at) select {kept}, min(id), 1, '2026-11-06' from pipeline_stages;
             update pipeline_cards set stage_id = (select id from pipeline_stages where name = 'De paso') where contact_id = {gone};
             insert into companies (name, name_key, created_at, updated_at) values ('Otra', 'otra', '2026-11-06', '2026-11-06');
             update contacts set company_id = (select id from companies where name = 'Otra') where id = {gone};
             insert into staff_users (email, name, role, password_hash, created_at, updated_at) values ('x@x.cl', 'X', 'STAFF', '', '2026-11-06', '2026-11-06');
             update contacts set owner_id = (select id from staff_users where email = 'x@x.cl') where id = {gone}"
        ),
    )
    .await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    run(
        &db,
        "delete from pipeline_stages where name = 'De paso'; delete from companies where name = 'Otra';
         update contacts set owner_id = null; delete from staff_users where email = 'x@x.cl'"
            .to_owned(),
    )
    .await;
    separate(&db, id).await.unwrap();
    let it = contact::get(&db, gone).await.unwrap();
    assert_eq!((it.company_id, it.owner_id), (None, None));
    let worth = format!("select value from pipeline_cards where contact_id = {gone}");
    assert_eq!(number(&db, worth).await, 90_000, "the deal is not lost with its column");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_is_left_without_an_address(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let id = join(&db, kept, gone, &[]).await.unwrap();
    // The telephone came from the other.
    run(&db, format!("update contacts set email = null where id = {kept}")).await;
    match separate(&db, id).await {
        Err(Error::Refused(sentence)) => assert!(sentence.contains("sin correo ni teléfono"), "{sentence}"),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_pair_that_is_two_people_stays_so(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    let third = person(&db, ("Ana", "S."), "ana@tres.example", "9 8765 4321", "").await;
    duplicates::look(&db, monday_noon()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    duplicates::dismiss(&mut tx, monday_noon(), &Actor::CommandLine, (gone, third), true).await.unwrap();
    tx.commit().await.unwrap();
    let id = join(&db, kept, gone, &[]).await.unwrap();
    duplicates::look(&db, later(1)).await.unwrap();
    let open = "select count(*) from duplicate_candidates where dismissed_at is null".to_owned();
    assert_eq!(number(&db, open).await, 0, "the one that stays is two people with them too");
    separate(&db, id).await.unwrap();
    let pair = |who: ContactId| {
        format!(
            "select count(*) from duplicate_candidates where dismissed_at is not null and first_id = {who} and second_id = {third}"
        )
    };
    assert_eq!((number(&db, pair(gone)).await, number(&db, pair(kept)).await), (1, 0));
}
