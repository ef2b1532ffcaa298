//! Messages of people who were joined: those that wait, and those that count.

use super::{agree, later, number, run};
use crate::{
    campaigns::{app, people, seeded, start},
    duplicates::{join, twice},
    support::{TestApp, monday_noon},
};
use llovizna::{
    channels::Channel,
    contacts::metrics,
    ids::ContactId,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
        story,
    },
    reports::reach,
    segments::{
        facts,
        field::{Field, Op},
        members,
        rule::{Condition, Group},
    },
};
use sqlx::PgPool;

/// One run of the drip; gives who got a message.
async fn drip(app: &TestApp) -> Vec<String> {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let options = Options::new(Channel::Email, Trigger::CommandLine);
    llovizna::campaigns::drip::run_once(&engine, &options).await.unwrap();
    let mut to: Vec<String> = app.mailbox.sent().into_iter().map(|it| it.to_email).collect();
    to.sort();
    to
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_waits_for_who_was_joined_goes_to_who_stays(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    let kept = crate::duplicates::person(&app.state.db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    agree(&app.state.db, kept, monday_noon()).await;
    join(&app.state.db, kept, who[0], &[]).await.unwrap();
    assert_eq!(drip(&app).await, ["ana@uno.example", "sur2@x.example"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_gets_one_campaign_twice_for_having_been_two(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 4).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    // Both wait; and two wait who are one with a third who has none of their own.
    join(&app.state.db, who[1], who[0], &[]).await.unwrap();
    let kept = crate::duplicates::person(&app.state.db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    agree(&app.state.db, kept, monday_noon()).await;
    join(&app.state.db, kept, who[2], &[]).await.unwrap();
    join(&app.state.db, kept, who[3], &[]).await.unwrap();
    assert_eq!(drip(&app).await, ["ana@uno.example", "sur2@x.example"]);
    let blocked = "select count(*) from communication_logs where block_reason = 'DUPLICATE_ADDRESS'";
    assert_eq!(number(&app.state.db, blocked.to_owned()).await, 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_stays_does_not_get_what_the_other_had_already(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    run(
        &app.state.db,
        format!(
            "update communication_logs set next_attempt_at = next_attempt_at + interval '1 hour' where contact_id = {}",
            who[1]
        ),
    )
    .await;
    assert_eq!(drip(&app).await, ["sur1@x.example"]);
    join(&app.state.db, who[1], who[0], &[]).await.unwrap();
    // Long enough for no cap to hold it back.
    app.state.clock.set("2026-12-14T15:00:00Z".parse().unwrap());
    assert_eq!(drip(&app).await, ["sur1@x.example"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn nobody_gets_one_mailing_twice_for_having_been_two(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 3).await;
    crate::mailings::made(&crate::mailings::ask(&app, &who, crate::mailings::OFFER).await);
    crate::mailings::settle(&app).await;
    join(&app.state.db, who[1], who[0], &[]).await.unwrap();
    assert_eq!(drip(&app).await, ["sur2@x.example", "sur3@x.example"]);
    let blocked = "select count(*) from communication_logs where block_reason = 'DUPLICATE_ADDRESS'";
    assert_eq!(number(&app.state.db, blocked.to_owned()).await, 1);
}

/// What the other opened is in the log of their own row.
async fn opened(db: &PgPool) -> (ContactId, ContactId) {
    let (kept, gone) = twice(db).await;
    run(
        db,
        "update communication_logs set status = 'SENDING', drip_run_id = 1;
         update communication_logs set status = 'SENT', sent_at = '2026-11-20';
         update communication_logs set status = 'OPENED', opened_at = '2026-11-21'"
            .to_owned(),
    )
    .await;
    join(db, kept, gone, &[]).await.unwrap();
    (kept, gone)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn rules_ask_after_the_messages_of_who_was_joined(db: PgPool) {
    let (kept, _) = opened(&db).await;
    let mut conn = db.acquire().await.unwrap();
    for op in [Op::Did, Op::DidNot] {
        let rule = Group::all([Condition {
            event: Some(llovizna::segments::field::Event::Opened),
            ..Condition::with(Field::Message, op, &[])
        }]);
        let found = members::page(&mut conn, later(2), &rule, ContactId(0), 10).await.unwrap();
        let holds = op == Op::Did;
        assert_eq!(found == [kept], holds, "{op:?} {found:?}");
        let library = members::library(&mut conn, &rule).await.unwrap();
        let facts = facts::of(&mut conn, kept).await.unwrap();
        assert_eq!(facts.satisfy(&rule, &library, llovizna::chile::time::local_date(later(2))), holds);
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn rules_ask_after_the_imports_of_who_was_joined(db: PgPool) {
    let (kept, gone) = twice(&db).await;
    run(&db, format!("update contacts set import_id = 7 where id = {gone}")).await;
    join(&db, kept, gone, &[]).await.unwrap();
    let rule = Group::all([Condition::with(Field::Import, Op::Is, &["7"])]);
    let mut conn = db.acquire().await.unwrap();
    assert_eq!(members::page(&mut conn, later(2), &rule, ContactId(0), 10).await.unwrap(), [kept]);
    assert_eq!(facts::of(&mut conn, kept).await.unwrap().imports, [7]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_opened_message_of_who_was_joined_is_a_sign_of_life(db: PgPool) {
    let (kept, _) = opened(&db).await;
    let it = metrics::of(&db, kept).await.unwrap();
    assert_eq!(it.last_activity_at, Some("2026-11-21T00:00:00Z".parse().unwrap()));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn caps_and_plans_show_what_was_of_the_other(db: PgPool) {
    let (kept, gone) = opened(&db).await;
    run(
        &db,
        format!(
            "insert into communication_logs (origin, contact_id, destination, communication_type, message_type, status,
                 scheduled_at, next_attempt_at, created_at, dedupe_key)
             values ('MANUAL', {gone}, 'anamaria@dos.example', 'EMAIL', 'PROMOCIONAL', 'PENDING', '2026-11-01', '2026-11-01', '2026-11-01', 'l')"
        ),
    )
    .await;
    let mut conn = db.acquire().await.unwrap();
    let used = reach::used(&mut conn, later(1), kept, &[Channel::Email]).await.unwrap();
    assert_eq!(used[0].used, 1);
    assert_eq!(reach::planned(&mut conn, kept, 5).await.unwrap().len(), 1);
    let theirs = story::Filter { contact: Some(kept), ..story::Filter::default() };
    assert_eq!(story::list(&mut conn, &theirs, None, 10).await.unwrap().len(), 2);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_who_stays_declined_holds_for_what_waits_for_the_other(db: PgPool) {
    let app = app(db);
    let who = people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    let db = &app.state.db;
    let kept = crate::duplicates::person(db, ("Ana", "Soto"), "ana@uno.example", "", "").await;
    agree(db, kept, monday_noon()).await;
    run(
        db,
        format!(
            "insert into contact_preferences values ({kept}, 'EMAIL', 'PROMOCIONAL', false, '2026-11-04')"
        ),
    )
    .await;
    join(db, kept, who[0], &[]).await.unwrap();
    assert_eq!(drip(&app).await, ["sur2@x.example"]);
    let blocked = "select count(*) from communication_logs where block_reason = 'PREFERENCE'";
    assert_eq!(number(db, blocked.to_owned()).await, 1);
}
