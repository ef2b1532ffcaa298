//! The proof of what waits and of what came back: reasons, hours and moments that no event told are found.

use crate::{
    campaigns::{app, execute, people, seeded, start},
    drip::run,
    evidence::{behind_its_back, sealed, verified},
    support::TestApp,
};
use llovizna::{
    channels::{
        SendError,
        feedback::{Kind, Report, Source},
    },
    db::MIGRATIONS,
    messaging::{evidence::verify::Fault, inbound},
};
use sqlx::PgPool;

/// One lie, and how to take it back.
async fn is_found(app: &TestApp, lies: &'static str, which: &'static str, fault: Fault) {
    execute(app, "create table kept as table communication_logs").await;
    let lie = format!("update communication_logs set {lies} where {which}");
    behind_its_back(app, lie.clone().leak()).await;
    let broken = verified(app).await.broken.unwrap_or_else(|| panic!("not found: {lie}"));
    assert_eq!(broken.fault, fault, "{lie}");
    let named: bool = sqlx::query_scalar(
        "select l is distinct from k from communication_logs l, kept k where l.id = $1 and k.id = $1",
    )
    .bind(broken.message)
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(named, "another message than the altered one is named: {lie}");
    behind_its_back(app, "delete from communication_logs").await;
    behind_its_back(app, "insert into communication_logs overriding system value select * from kept").await;
    execute(app, "drop table kept").await;
    assert_eq!(verified(app).await.broken, None, "given back: {lie}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whom_a_message_waits_for_and_until_when_is_part_of_the_proof(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 4).await;
    let id = start(&app, seeded(&app).await).await.unwrap();
    execute(&app, "update campaigns set daily_cap = 2").await;
    app.mailbox.refuse_next(SendError::Temporary { answer: "451 4.7.1 greylisted".to_owned() });
    run(&app).await;
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None, "campaign {id:?}");
    for lies in ["defer_reason = 'HOLIDAY'", "next_attempt_at = next_attempt_at + interval '1 year'"] {
        is_found(&app, lies, "defer_reason = 'CAMPAIGN_DAILY_CAP'", Fault::StatusChanged).await;
        is_found(&app, lies, "defer_reason = 'RETRY'", Fault::StatusChanged).await;
    }
    is_found(&app, "error = '421 busy'", "defer_reason = 'RETRY'", Fault::StatusChanged).await;
    for lies in ["variant = 1", "in_sample = true", "scheduled_at = scheduled_at - interval '1 day'"] {
        is_found(&app, lies, "status = 'SENT'", Fault::MessageChanged).await;
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn moments_that_nobody_told_are_found(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    start(&app, seeded(&app).await).await.unwrap();
    app.mailbox.refuse_next(SendError::Recipient { answer: "550 5.1.1 no such user".to_owned(), dead: true });
    run(&app).await;
    let told: String =
        sqlx::query_scalar("select external_id from communication_logs where status = 'SENT' limit 1")
            .fetch_one(&app.state.db)
            .await
            .unwrap();
    let told = [Report::new(Kind::Reply, "1").about([told.as_str()])];
    let mut connection = app.state.db.acquire().await.unwrap();
    inbound::record(&mut connection, app.now(), Source::Mailbox, &told).await.unwrap();
    drop(connection);
    inbound::run_once(&app.state.db, app.now()).await.unwrap();
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    for lies in [
        "delivered_at = sent_at",
        "opened_at = sent_at",
        "clicked_at = sent_at",
        "machine_opened_at = sent_at",
        "machine_clicked_at = sent_at",
        "unsubscribed_at = sent_at",
    ] {
        is_found(&app, lies, "status in ('SENT', 'REPLIED')", Fault::StatusChanged).await;
    }
    for lies in ["attempts = 7", "error = 'nadie'", "defer_reason = 'QUIET_HOURS'"] {
        is_found(&app, lies, "status in ('SENT', 'REPLIED')", Fault::StatusChanged).await;
    }
    is_found(&app, "replied_at = sent_at", "status = 'SENT'", Fault::StatusChanged).await;
    is_found(&app, "replied_at = null", "status = 'REPLIED'", Fault::StatusChanged).await;
    is_found(&app, "error = '550 5.7.1 blocked'", "status = 'FAILED'", Fault::StatusChanged).await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_not_looked_at_yet_waits_for_the_hour_that_it_was_asked_for(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    start(&app, seeded(&app).await).await.unwrap();
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    for lies in ["next_attempt_at = '2099-01-01'", "defer_reason = 'HOLIDAY'"] {
        is_found(&app, lies, "status = 'PENDING'", Fault::StatusChanged).await;
    }
    app.mailbox
        .refuse_next(SendError::Recipient { answer: "550 5.1.1 no such user".to_owned(), dead: false });
    run(&app).await;
    let again = app.post(&format!("/campaigns/{}/retries", seeded(&app).await), &[]).await;
    assert!(again.status.is_redirection(), "{}", again.text());
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    for lies in ["next_attempt_at = '2099-01-01'", "defer_reason = 'HOLIDAY'"] {
        is_found(&app, lies, "status = 'PENDING'", Fault::StatusChanged).await;
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_told_of_a_first_copy_says_nothing_of_the_second(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    start(&app, seeded(&app).await).await.unwrap();
    app.mailbox.refuse_next(SendError::Uncertain { answer: "La línea se cortó".to_owned() });
    run(&app).await;
    let external = async || -> String {
        sqlx::query_scalar("select external_id from communication_logs")
            .fetch_one(&app.state.db)
            .await
            .unwrap()
    };
    let tell = async |id: &str, about: String| {
        let told = [Report::new(Kind::Delivered, id).about([about.as_str()])];
        let mut connection = app.state.db.acquire().await.unwrap();
        inbound::record(&mut connection, app.now(), Source::Mailbox, &told).await.unwrap();
        drop(connection);
        inbound::run_once(&app.state.db, app.now()).await.unwrap();
    };
    let first = external().await;
    let message: i64 =
        sqlx::query_scalar("select id from communication_logs").fetch_one(&app.state.db).await.unwrap();
    let again = app.post(&format!("/messages/{message}/decision"), &[("verdict", "again")]).await;
    assert!(again.status.is_redirection(), "{}", again.text());
    // The news comes while it waits to leave again.
    tell("1", first).await;
    run(&app).await;
    sealed(&app).await;
    let status = async || -> String {
        sqlx::query_scalar("select status from communication_logs").fetch_one(&app.state.db).await.unwrap()
    };
    assert_eq!((status().await.as_str(), verified(&app).await.broken), ("SENT", None));
    tell("2", external().await).await;
    sealed(&app).await;
    assert_eq!((status().await.as_str(), verified(&app).await.broken), ("DELIVERED", None));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn proofs_of_older_versions_hold_as_they_were_made(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 4).await;
    start(&app, seeded(&app).await).await.unwrap();
    app.mailbox.refuse_next(SendError::Recipient { answer: "550 5.1.1 no such user".to_owned(), dead: true });
    run(&app).await;
    for sql in [
        "update communication_events e set facts = message_facts(l) from communication_logs l
         where l.id = e.communication_log_id and e.kind = 'SENT' and l.id = (
             select min(id) from communication_logs where status = 'SENT')",
        "update communication_events e set facts = message_proof_of_text(l) from communication_logs l
         where l.id = e.communication_log_id and e.facts is not null and l.id = (
             select max(id) from communication_logs where status = 'SENT')",
        "update communication_events e set facts = message_proof_of_text(l) from communication_logs l
         where l.id = e.communication_log_id and e.kind = 'FAILED'",
    ] {
        behind_its_back(&app, sql).await;
    }
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    let lengths: Vec<i32> = sqlx::query_scalar(
        "select distinct octet_length(facts) from communication_events where facts is not null order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    assert_eq!(lengths, [32, 64, 96]);
    for which in [
        "id = (select min(id) from communication_logs where status = 'SENT')",
        "id = (select max(id) from communication_logs where status = 'SENT')",
        "status = 'FAILED'",
    ] {
        is_found(&app, "destination = 'otra@sur.example'", which, Fault::MessageChanged).await;
    }
}
