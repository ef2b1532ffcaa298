//! A no that comes while a campaign with time between its messages has them in hand already.

use super::{
    event::{Answer, Handover, News, Word},
    ground::Ground,
    post::Post,
};
use crate::{
    campaigns::{BUSINESS, execute, people},
    drip,
    support::TestApp,
};
use llovizna::{
    access::Actor,
    channels::Channel,
    contacts::merge,
    db::MIGRATIONS,
    ids::{CampaignId, MessageId},
    messaging::{
        drain::{self, Engine, Options, Run},
        kinds::{MessageType, SuppressionReason},
        runs::Trigger,
    },
};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// The campaign's messages: to whom, how they stand and why.
async fn messages(app: &TestApp, campaign: CampaignId) -> Vec<(i64, String, Option<String>)> {
    sqlx::query_as(
        "select id, status, coalesce(block_reason, defer_reason) from communication_logs
         where campaign_id = $1 order by contact_id",
    )
    .bind(campaign.0)
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_no_reaches_messages_that_a_slow_campaign_has_in_hand_and_its_reason_is_told(db: PgPool) {
    let app = TestApp::with(db, &[BUSINESS, &[("EMAIL_DAILY_CAP", "0")]].concat());
    execute(&app, "delete from frequency_caps").await;
    let ground = Ground::of(&app, people(&app, "sur", 11).await);
    ground.model().caps.clear();
    let post = Post::new(ground.clone());
    let (senders, config, clock) = (post.senders(), app.state.config.clone(), app.state.clock.clone());
    let engine = Engine { db: app.state.db.clone(), senders, config, clock };
    let run = async || {
        let options = Options::new(Channel::Email, Trigger::CommandLine);
        match drain::run(&engine, &options).await.unwrap() {
            Run::Finished(report) => (report.counts.claimed, report.counts.sent),
            Run::AlreadyRunning => panic!("another run lives"),
        }
    };
    ground.campaign(MessageType::Promocional, 0).await.unwrap();
    assert_eq!(run().await, (11, 11));
    for person in &mut ground.model().people {
        person.written = 1;
    }
    let slow = ground.campaign(MessageType::Newsletter, 1).await.unwrap();
    let said = vec![
        (2, Word::Told(News::Bounced, 0)),
        (3, Word::Unsubscribed(0)),
        (4, Word::Wanted(MessageType::Newsletter, false)),
        (5, Word::Told(News::Complained, 0)),
        (6, Word::Agreed(false)),
        (7, Word::Rhythm(None, Some(10))),
        (8, Word::Rhythm(Some(5), None)),
        (9, Word::Excluded(false, SuppressionReason::NoMolestar, true)),
    ];
    let in_hand =
        [(Vec::new(), 1), (said, 0)].map(|(said, minutes)| Handover { answer: Answer::Taken, said, minutes });
    post.next.lock().unwrap().extend(in_hand);
    assert_eq!(run().await, (11, 3), "the first two, and the last, who said nothing");
    assert!(ground.model().wrongs.is_empty(), "{:#?}", ground.model().wrongs);
    run().await;
    let told = [
        ("SENT", None, ""),
        ("SENT", None, ""),
        ("BLOCKED", Some("SUPPRESSED"), "La dirección no recibe"),
        ("BLOCKED", Some("SUPPRESSED"), "Se dio de baja"),
        ("BLOCKED", Some("PREFERENCE"), "Prefirió no recibir este tipo de mensaje"),
        ("BLOCKED", Some("SUPPRESSED"), "Marcó un mensaje como spam"),
        ("BLOCKED", Some("NO_CONSENT"), "Sin consentimiento"),
        ("PENDING", Some("PAUSED"), "La persona pidió una pausa"),
        ("PENDING", Some("LESS_OFTEN"), "La persona pidió recibir menos seguido"),
        ("BLOCKED", Some("SUPPRESSED"), "No Molestar (SERNAC)"),
        ("SENT", None, ""),
    ];
    for ((id, status, reason), told) in messages(&app, slow).await.into_iter().zip(told) {
        assert_eq!((status.as_str(), reason.as_deref()), (told.0, told.1), "{id}");
        let page = app.get(&format!("/messages/{id}")).await.text();
        assert!(page.contains(told.2), "{id}: {page}");
    }
    assert!(ground.model().wrongs.is_empty(), "{:#?}", ground.model().wrongs);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_a_slow_campaign_has_in_hand_nobody_sends_beside_it(db: PgPool) {
    let app = TestApp::with(db, BUSINESS);
    execute(&app, "delete from frequency_caps").await;
    let ground = Ground::of(&app, people(&app, "sur", 2).await);
    let slow = ground.campaign(MessageType::Newsletter, 1).await.unwrap();
    let held = MessageId(messages(&app, slow).await[1].0);
    let (senders, config, clock) =
        (app.state.senders.clone(), app.state.config.clone(), app.state.clock.clone());
    let engine = Engine { db: app.state.db.clone(), senders, config, clock };
    app.mailbox.meanwhile(async move {
        let options = Options { only: Some(held), ..Options::new(Channel::Email, Trigger::CommandLine) };
        let Run::Finished(report) = drain::run(&engine, &options).await.unwrap() else {
            panic!("it goes beside others")
        };
        assert_eq!((report.counts.claimed, report.unreachable), (0, None));
    });
    assert_eq!(drip::run(&app).await.sent, 2);
    assert_eq!(addresses(&app), ["sur1@x.example", "sur2@x.example"]);
}

/// Whom the messages that left went to.
fn addresses(app: &TestApp) -> Vec<String> {
    app.mailbox.sent().into_iter().map(|it| it.to_email).collect()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_who_are_joined_while_both_messages_are_in_hand_get_one_at_the_address_that_stays(db: PgPool) {
    let app = TestApp::with(db, BUSINESS);
    let ids = people(&app, "sur", 3).await;
    let ground = Ground::of(&app, ids.clone());
    ground.campaign(MessageType::Newsletter, 1).await.unwrap();
    let (db, now) = (app.state.db.clone(), app.now());
    app.mailbox.meanwhile(async move {
        let mut tx = db.begin().await.unwrap();
        let taken = BTreeSet::from([merge::Field::Email]);
        merge::merge(&mut tx, now, &Actor::CommandLine, ids[1], ids[2], &taken).await.unwrap();
        tx.commit().await.unwrap();
    });
    drip::run(&app).await;
    drip::run(&app).await;
    assert_eq!(addresses(&app), ["sur1@x.example", "sur3@x.example"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_address_that_is_corrected_while_its_message_is_in_hand_gets_it_and_the_old_one_does_not(
    db: PgPool,
) {
    let app = TestApp::with(db, BUSINESS);
    let ground = Ground::of(&app, people(&app, "sur", 2).await);
    ground.campaign(MessageType::Newsletter, 1).await.unwrap();
    let db = app.state.db.clone();
    app.mailbox.meanwhile(async move {
        let corrected = "update contacts set email = 'sur@corregido.example' where email = 'sur2@x.example'";
        sqlx::query(corrected).execute(&db).await.unwrap();
    });
    drip::run(&app).await;
    drip::run(&app).await;
    assert_eq!(addresses(&app), ["sur1@x.example", "sur@corregido.example"]);
}
