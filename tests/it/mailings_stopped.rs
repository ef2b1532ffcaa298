//! Mailings that stop before their end: taken back, failed, refused by the server, unfit by now; and how they go on.

use crate::{
    campaigns::{BUSINESS, app, execute, people, seeded, start},
    mailings::{OFFER, ask, count, made, many, settle},
    support::{Mailbox, TestApp},
    templates::drip,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{campaign, outlook},
    channels::{
        Checking, Outgoing, SendError, Sender, Sending,
        feedback::{Kind, Report, Source},
    },
    db::MIGRATIONS,
    ids::{ContactId, MailingId, MessageId},
    mailings::{self, run},
    messaging::{
        inbound,
        outbox::{self, Verdict},
    },
};
use sqlx::PgPool;
use std::sync::Arc;

/// Takes the only mailing back while its message is being handed over, and puts the message off.
struct TakenBackMidway(PgPool);

impl Sender for TakenBackMidway {
    fn send<'a>(&'a self, _: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            let mut tx = self.0.begin().await.unwrap();
            // The second try, if there is one, finds it taken back.
            let _ =
                mailings::cancel(&mut tx, chrono::DateTime::UNIX_EPOCH, &Actor::System, MailingId(1)).await;
            tx.commit().await.unwrap();
            Err(SendError::Temporary { answer: "451 4.7.1 Vuelva más tarde".to_owned() })
        })
    }

    fn lanes(&self) -> usize {
        1
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async { Ok("220".to_owned()) })
    }
}

async fn statuses(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar("select status from communication_logs order by id")
        .fetch_all(&app.state.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_comes_back_to_a_mailing_that_was_taken_back_is_cancelled(db: PgPool) {
    let app = TestApp::with_sender(db.clone(), BUSINESS, Mailbox::default(), Arc::new(TakenBackMidway(db)));
    let all = people(&app, "sur", 1).await;
    made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    drip(&app).await;
    assert_eq!(count(&app, "select count(*) from mailings where status = 'CANCELLED'").await, 1);
    assert_eq!(statuses(&app).await, ["CANCELLED"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_failed_message_of_a_mailing_that_was_taken_back_is_not_sent_again(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 2).await;
    let id = made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    app.mailbox.refuse_next(SendError::Recipient { answer: "550 5.7.1 No".to_owned(), dead: false });
    drip(&app).await;
    app.post(&format!("/mailings/{id}/cancellation"), &[]).await;
    let failed: i64 = count(&app, "select id from communication_logs where status = 'FAILED'").await;
    let mut tx = app.state.db.begin().await.unwrap();
    let again = outbox::settle(&mut tx, app.now(), &Actor::System, MessageId(failed), Verdict::Again).await;
    assert!(again.is_err(), "{again:?}");
    tx.commit().await.unwrap();
    app.state.clock.advance(TimeDelta::days(1));
    drip(&app).await;
    assert_eq!(app.mailbox.sent().len(), 1);
}

/// A mailing of which a page was queued before its asker might send no more.
async fn failed(app: &TestApp) -> MailingId {
    let id = many(app).await;
    assert!(run::run_once(&app.state.db, app.now()).await.unwrap());
    execute(app, "update staff_users set role = 'STAFF'").await;
    settle(app).await;
    assert_eq!(status(app, id).await, "FAILED");
    id
}

async fn status(app: &TestApp, id: MailingId) -> String {
    sqlx::query_scalar("select status from mailings where id = $1")
        .bind(id.0)
        .fetch_one(&app.state.db)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailing_that_failed_goes_on_where_it_stood_in_the_name_of_who_presses(db: PgPool) {
    let app = app(db);
    let id = failed(&app).await;
    let path = format!("/mailings/{id}");
    let other = app.as_role(Role::Admin).await;
    let page = other.get(&path).await.text();
    assert!(page.contains("ya no puede enviar") && page.contains("Falta 1 persona"), "{page}");
    let resume = format!("{path}/resume");
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post(&resume, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(other.post(&resume, &[]).await.status, StatusCode::SEE_OTHER);
    settle(&app).await;
    assert_eq!(status(&app, id).await, "DONE");
    let asked: Vec<(i64, i64)> =
        sqlx::query_as("select requested_by, count(*) from communication_logs group by 1 order by 2")
            .fetch_all(&app.state.db)
            .await
            .unwrap();
    assert_eq!(asked.iter().map(|it| it.1).collect::<Vec<_>>(), [1, 2000]);
    assert_eq!(Some(asked[0].0), other.staff.map(|it| it.0));
    assert!(other.get("/audit").await.text().contains("reanudó el envío a mano"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailing_that_failed_can_be_taken_back(db: PgPool) {
    let app = app(db);
    let id = failed(&app).await;
    let other = app.as_role(Role::Admin).await;
    let done = other.post(&format!("/mailings/{id}/cancellation"), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(status(&app, id).await, "CANCELLED");
    assert_eq!(count(&app, "select count(*) from communication_logs where status = 'CANCELLED'").await, 2000);
    assert!(!other.get(&format!("/mailings/{id}")).await.text().contains("No se pudo terminar"));
    drip(&app).await;
    assert!(app.mailbox.sent().is_empty());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailing_that_the_server_refuses_is_paused_and_the_others_go_on(db: PgPool) {
    let app = app(db);
    let (south, north) = (people(&app, "sur", 1).await, people(&app, "norte", 1).await);
    let id = made(&ask(&app, &south, OFFER).await);
    settle(&app).await;
    let refused = || SendError::Sender { answer: "550 5.7.1 Remitente rechazado".to_owned() };
    app.mailbox.refuse_next(refused());
    let once = ("once", "0191d3a0-0000-7000-8000-000000000002");
    made(&ask(&app, &north, &[OFFER[0], OFFER[1], once]).await);
    settle(&app).await;
    drip(&app).await;
    let to = || app.mailbox.sent().into_iter().map(|it| it.to_email).collect::<Vec<_>>();
    assert_eq!(status(&app, id).await, "PAUSED");
    assert_eq!(to(), ["norte1@x.example"]);
    let path = format!("/mailings/{id}");
    for page in [path.as_str(), "/"] {
        let page = app.get(page).await.text();
        assert!(page.contains("550 5.7.1 Remitente rechazado"), "{page}");
    }
    app.state.clock.advance(TimeDelta::minutes(20));
    drip(&app).await;
    assert_eq!(to().len(), 1, "what is paused stays");
    assert_eq!(app.post(&format!("{path}/resume"), &[]).await.status, StatusCode::SEE_OTHER);
    settle(&app).await;
    drip(&app).await;
    assert_eq!(to(), ["norte1@x.example", "sur1@x.example"]);
    assert_eq!(status(&app, id).await, "DONE");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_legal_sender_a_mailing_pauses_before_anyone_is_blocked(db: PgPool) {
    let with = app(db.clone());
    let all = people(&with, "sur", 2).await;
    let id = made(&ask(&with, &all, OFFER).await);
    settle(&with).await;
    let without = TestApp::new(db);
    drip(&without).await;
    assert_eq!(status(&without, id).await, "PAUSED");
    assert_eq!(statuses(&without).await, ["PENDING", "PENDING"]);
    assert!(without.get(&format!("/mailings/{id}")).await.text().contains("remitente legal"));
    // Nothing left: nothing to pause.
    assert_eq!(with.post(&format!("/mailings/{id}/resume"), &[]).await.status, StatusCode::SEE_OTHER);
    settle(&with).await;
    drip(&with).await;
    assert_eq!(with.mailbox.sent().len(), 2);
    drip(&without).await;
    assert_eq!(status(&without, id).await, "DONE");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn mailings_leave_little_by_little_and_a_campaign_beside_them_too(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 100).await;
    let campaign = seeded(&app).await;
    start(&app, campaign).await.unwrap();
    // Of others than those of the campaign, whom its caps would hold back.
    execute(
        &app,
        "insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
         select 'N' || i, 'n' || i || '@x.example', 'CONSENT', 'n' || i, '2026-11-20', '2026-11-20'
         from generate_series(1, 100) i",
    )
    .await;
    let north: Vec<i64> = sqlx::query_scalar("select id from contacts where company_id is null order by id")
        .fetch_all(&app.state.db)
        .await
        .unwrap();
    let north: Vec<ContactId> = north.into_iter().map(ContactId).collect();
    made(&ask(&app, &north, OFFER).await);
    settle(&app).await;
    let campaigns = campaign::get(&mut app.state.db.acquire().await.unwrap(), campaign).await.unwrap();
    let outlook = async || {
        let mut db = app.state.db.acquire().await.unwrap();
        outlook::of(&mut db, app.now(), &app.state.config, &campaigns).await.unwrap()
    };
    assert_eq!(outlook().await.others_waiting(), 100);
    drip(&app).await;
    let left = |who: &str| app.mailbox.sent().iter().filter(|it| it.to_email.starts_with(who)).count();
    // The day's cap is 50: half of it at most is the mailing's in a run where others wait.
    assert_eq!((left("n"), left("sur")), (25, 25));
    assert_eq!(all.len(), 100);
    assert_eq!(outlook().await.others_waiting(), 75);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_was_let_go_of_a_mailing_that_is_paused_meanwhile_waits(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    // It is paused between the gate and the server: as the row is marked.
    sqlx::raw_sql(
        "create function pauses() returns trigger language plpgsql as $$ begin
             update mailings set status = 'PAUSED', failure = 'Prueba', finished_at = null;
             return new;
         end $$;
         create trigger pauses before insert on communication_reservations for each row execute function pauses()",
    )
    .execute(&app.state.db)
    .await
    .unwrap();
    drip(&app).await;
    assert_eq!(statuses(&app).await, ["PENDING"]);
    assert!(app.mailbox.sent().is_empty());
}

/// A receiver sends the message number `n` of those that left back, since it does not believe that it is ours.
async fn sent_back(app: &TestApp, n: i64) {
    let mut db = app.state.db.acquire().await.unwrap();
    let id: String = sqlx::query_scalar(
        "select external_id from communication_logs where external_id is not null order by sent_at, id offset $1 limit 1",
    )
    .bind(n)
    .fetch_one(&mut *db)
    .await
    .unwrap();
    let report = Report::new(Kind::SoftBounce, format!("fault-{n}"))
        .about([id.as_str()])
        .said(Some("5.7.26"), Some("550 5.7.26 unauthenticated sender"))
        .bounced(None);
    inbound::record(&mut db, app.now(), Source::Mailbox, &[report]).await.unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_mailing_that_comes_back_for_a_fault_of_ours_is_paused_before_more_of_it_does(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 60).await;
    let id = made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    drip(&app).await;
    let left = || app.mailbox.sent().len();
    assert_eq!(left(), 25);
    sent_back(&app, 0).await;
    drip(&app).await;
    assert_eq!((status(&app, id).await.as_str(), left()), ("PAUSED", 25));
    assert_eq!(count(&app, "select count(*) from suppressions").await, 0);
    let path = format!("/mailings/{id}");
    let page = app.get(&path).await.text();
    for told in ["Está en pausa", "550 5.7.26 unauthenticated sender", "reanuda el envío", "Reanudar"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let event = app.get("/inbound/1").await.text();
    assert!(event.contains("envío a mano, en pausa"), "{event}");
    // What comes late of before is no news about what was mended since.
    app.state.clock.advance(TimeDelta::hours(1));
    assert_eq!(app.post(&format!("{path}/resume"), &[]).await.status, StatusCode::SEE_OTHER);
    settle(&app).await;
    sent_back(&app, 1).await;
    drip(&app).await;
    assert_eq!((status(&app, id).await.as_str(), left()), ("DONE", 50));
    // What left since is.
    sent_back(&app, 49).await;
    app.state.clock.advance(TimeDelta::days(1));
    drip(&app).await;
    assert_eq!((status(&app, id).await.as_str(), left()), ("PAUSED", 50));
    app.post(&format!("{path}/resume"), &[]).await;
    settle(&app).await;
    drip(&app).await;
    assert_eq!((status(&app, id).await.as_str(), left()), ("DONE", 60));
    // Nothing is left to be held back.
    sent_back(&app, 59).await;
    drip(&app).await;
    assert_eq!(status(&app, id).await, "DONE");
}
