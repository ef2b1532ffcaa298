//! What it means for the person: excluded before the next message leaves, answers in their log.

use super::{excluded, message, report, settle, status_of, story, tell, text};
use crate::{
    campaigns::{BUSINESS, app, people, seeded, start},
    support::{Mailbox, TestApp},
};
use llovizna::{
    channels::{
        Checking, Outgoing, Sender, Sending,
        feedback::{Kind, Report, Source},
    },
    messaging::inbound,
};
use sqlx::PgPool;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_complains_gets_no_more_promotions_on_any_channel(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENT").await;
    tell(&app, Source::Ses, &[report(Kind::Complaint, 1, "a")]).await;
    // The same, told by the mailbox too.
    tell(&app, Source::Mailbox, &[report(Kind::Complaint, 1, "b")]).await;
    settle(&app).await;
    assert_eq!(
        excluded(&app).await,
        [
            "EMAIL p1@x.example PROMOTIONAL COMPLAINT",
            "SMS +56980000001 PROMOTIONAL COMPLAINT",
            "WHATSAPP +56980000001 PROMOTIONAL COMPLAINT"
        ]
    );
    assert_eq!(status_of(&app, id).await, "SENT");
    assert_eq!(story(&app, id).await, ["SENT", "COMPLAINED"]);
    let no: i64 = sqlx::query_scalar("select count(*) from consent_events where basis = 'WITHDRAWN'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    assert_eq!(no, 3, "once a channel");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_unsubscription_told_by_the_provider_is_one(db: PgPool) {
    let app = app(db);
    let id = message(&app, 1, "SENT").await;
    tell(&app, Source::Mailgun, &[report(Kind::OptOut, 1, "a")]).await;
    settle(&app).await;
    assert_eq!(excluded(&app).await, ["EMAIL p1@x.example PROMOTIONAL UNSUBSCRIBED"]);
    assert_eq!(story(&app, id).await, ["SENT", "UNSUBSCRIBED"]);
    assert_eq!(text(&app.state.db, "select source from consent_events").await, "Lo informó Mailgun");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_answer_is_in_the_log_of_the_person_and_a_machines_is_not(db: PgPool) {
    let app = app(db);
    let (answered, away) = (message(&app, 1, "SENT").await, message(&app, 2, "SENT").await);
    let mut reply = report(Kind::Reply, 1, "a");
    reply.recipient = Some("p1@x.example".to_owned());
    reply.subject = Some("Re: Hola".to_owned());
    reply.body = Some("Sí, me interesa.".to_owned());
    let mut auto = report(Kind::AutoReply, 2, "b");
    auto.subject = Some("Fuera de la oficina".to_owned());
    tell(&app, Source::Mailbox, &[reply, auto]).await;
    settle(&app).await;
    assert_eq!(
        (status_of(&app, answered).await.as_str(), status_of(&app, away).await.as_str()),
        ("REPLIED", "SENT")
    );
    assert_eq!(story(&app, away).await, ["SENT", "AUTO_REPLIED"]);
    let contact: i64 =
        sqlx::query_scalar("select contact_id from communication_logs where status = 'REPLIED'")
            .fetch_one(&app.state.db)
            .await
            .unwrap();
    let page = app.get(&format!("/contacts/{contact}")).await.text();
    assert!(page.contains("Respondió: Re: Hola") && page.contains("Sí, me interesa."), "{page}");
    assert_eq!(excluded(&app).await, Vec::<String>::new());
}

/// Once the first message is handed over, somebody to whom another is claimed already complains.
struct Interrupted {
    mailbox: Mailbox,
    db: PgPool,
    done: AtomicBool,
}

impl Sender for Interrupted {
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sending<'a> {
        Box::pin(async move {
            if !self.done.swap(true, Ordering::SeqCst) {
                let mut db = self.db.acquire().await.unwrap();
                let claimed: i64 = sqlx::query_scalar("select count(*) from communication_reservations")
                    .fetch_one(&mut *db)
                    .await
                    .unwrap();
                assert!(claimed > 2, "the others are claimed by then: {claimed}");
                let mut complaint = Report::new(Kind::Complaint, "late");
                complaint.recipient = Some("sur5@x.example".to_owned());
                let now = crate::support::monday_noon();
                inbound::record(&mut db, now, Source::Ses, &[complaint]).await.unwrap();
                inbound::run_once(&self.db, now).await.unwrap();
            }
            self.mailbox.send(message).await
        })
    }

    fn lanes(&self) -> usize {
        1
    }

    fn is_real(&self) -> bool {
        true
    }

    fn check(&self) -> Checking<'_> {
        self.mailbox.check()
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_complaint_reaches_messages_that_are_claimed_already(db: PgPool) {
    let mailbox = Mailbox::default();
    let sender =
        Arc::new(Interrupted { mailbox: mailbox.clone(), db: db.clone(), done: AtomicBool::new(false) });
    let app = TestApp::with_sender(db, BUSINESS, mailbox, sender);
    people(&app, "sur", 5).await;
    start(&app, seeded(&app).await).await.unwrap();
    let report = super::drip_of(&app, None).await;
    assert_eq!(report.sent, 4);
    assert!(app.mailbox.sent().iter().all(|it| it.to_email != "sur5@x.example"));
    super::drip(&app).await;
    let why = text(
        &app.state.db,
        "select block_reason from communication_logs where destination = 'sur5@x.example'",
    )
    .await;
    assert_eq!(why, "SUPPRESSED");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_warm_up_sees_who_complained_and_what_bounced(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 120).await;
    start(&app, seeded(&app).await).await.unwrap();
    assert_eq!(super::drip(&app).await.sent, 50);
    let mut complaint = Report::new(Kind::Complaint, "a");
    complaint.recipient = Some("sur1@x.example".to_owned());
    tell(&app, Source::Ses, &[complaint]).await;
    settle(&app).await;
    app.state.clock.advance(chrono::TimeDelta::days(1));
    let mut sent = 0;
    loop {
        match super::drip(&app).await.sent {
            0 => break,
            some => sent += some,
        }
    }
    assert_eq!(sent, 25, "half as many");
}
