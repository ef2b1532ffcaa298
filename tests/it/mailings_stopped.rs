//! Mailings that stop before their end: taken back, failed, refused by the server, unfit by now; and how they go on.

use crate::{
    campaigns::{BUSINESS, app, people},
    mailings::{OFFER, ask, count, made, settle},
    support::{Mailbox, TestApp},
    templates::drip,
};
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    channels::{Checking, Outgoing, SendError, Sender, Sending},
    db::MIGRATIONS,
    ids::{MailingId, MessageId},
    mailings,
    messaging::outbox::{self, Verdict},
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
