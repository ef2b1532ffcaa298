//! The proof of what the log says: what is sealed, and what is found when somebody changed it behind the
//! program's back.

use crate::{
    campaigns::{app, execute, people, seeded, start},
    support::TestApp,
};
use chrono::TimeDelta;
use llovizna::{
    accounts::keys,
    campaigns::drip,
    channels::{
        Channel, SendError,
        feedback::{Kind, Report, Source},
    },
    db::MIGRATIONS,
    messaging::{
        drain::{Engine, Options},
        evidence::{
            Key,
            seal::{self, Pass},
            verify::{self, Broken, Fault, Question, Report as Verified},
        },
        inbound,
        runs::Trigger,
    },
};
use sqlx::{Connection as _, PgPool};

async fn dripped(app: &TestApp) {
    people(app, "sur", 12).await;
    start(app, seeded(app).await).await.unwrap();
    app.mailbox.refuse_next(SendError::Recipient { answer: "550 5.1.1 no such user".to_owned(), dead: true });
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let report = drip::run_once(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap();
    assert_eq!((report.sent, report.failed), (11, 1));
}

fn key(app: &TestApp) -> Key {
    keys::evidence(&app.state.config).unwrap()
}

async fn pass(app: &TestApp) -> Pass {
    seal::now(&app.state.db, app.now(), &key(app)).await.unwrap()
}

/// Everything. The server's own tidying holds the same lock now and then.
pub(crate) async fn sealed(app: &TestApp) -> usize {
    let mut all = 0;
    loop {
        match pass(app).await {
            Pass::Idle => return all,
            Pass::Busy => tokio::task::yield_now().await,
            Pass::Sealed(some) => all += some,
        }
    }
}

pub(crate) async fn verified(app: &TestApp) -> Verified {
    verify::all(&app.state.db, &key(app), &Question::default()).await.unwrap()
}

async fn number(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.state.db).await.unwrap()
}

/// As somebody with the database in hand would: around every trigger.
pub(crate) async fn behind_its_back(app: &TestApp, sql: &'static str) {
    let mut db = app.state.db.acquire().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.unwrap();
    let done = sqlx::query(sql).execute(&mut *tx).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_happened_is_sealed_and_stands(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    let events = sealed(&app).await;
    let report = verified(&app).await;
    assert_eq!(report.events, u64::try_from(events).unwrap());
    assert_eq!(
        i64::try_from(report.events).unwrap(),
        number(&app, "select count(*) from communication_events").await
    );
    assert_eq!((report.messages, report.unsealed, report.foreign, report.broken), (12, 0, 0, None));
    assert!(report.head.is_some());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_came_back_is_part_of_the_proof(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    let ids: Vec<String> =
        sqlx::query_scalar("select external_id from communication_logs where status = 'SENT' order by id")
            .fetch_all(&app.state.db)
            .await
            .unwrap();
    let told = |kind, place: usize| {
        Report::new(kind, format!("{place} {kind:?}"))
            .about([ids[place].as_str()])
            .said(None, Some("552 5.2.2 full"))
    };
    let told = [
        told(Kind::Delivered, 0),
        told(Kind::SoftBounce, 1).bounced(None),
        told(Kind::Delivered, 2),
        told(Kind::Reply, 2),
        told(Kind::Complaint, 3),
        told(Kind::AutoReply, 4),
    ];
    let mut db = app.state.db.acquire().await.unwrap();
    inbound::record(&mut db, app.now(), Source::Mailbox, &told).await.unwrap();
    drop(db);
    inbound::run_once(&app.state.db, app.now()).await.unwrap();
    sealed(&app).await;
    let report = verified(&app).await;
    assert_eq!((report.messages, report.unsealed, report.broken), (12, 0, None));
    for lie in [
        "update communication_logs set status = 'DELIVERED' where status = 'BOUNCED'",
        "update communication_logs set status = 'REPLIED' where status = 'DELIVERED'",
    ] {
        behind_its_back(&app, lie).await;
        let broken = verified(&app).await.broken.unwrap();
        assert_eq!(broken.fault, Fault::StatusChanged, "{lie}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn few_events_wait_a_minute_for_others(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    let pass = async || loop {
        match seal::run_once(&app.state.db, app.now(), &key(&app)).await.unwrap() {
            Pass::Busy => tokio::task::yield_now().await,
            other => return other,
        }
    };
    assert_eq!(pass().await, Pass::Idle);
    assert_eq!(verified(&app).await.unsealed, 36, "queued, let go, and what came of it");
    app.state.clock.advance(TimeDelta::minutes(1));
    assert_eq!(pass().await, Pass::Sealed(36));
    assert_eq!(pass().await, Pass::Idle);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nothing_is_sealed_while_somebody_is_writing(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    let mut writer = app.state.db.begin().await.unwrap();
    sqlx::query(
        "insert into communication_events (communication_log_id, at, kind) select 1, now(), 'UNSUBSCRIBED'",
    )
    .execute(&mut *writer)
    .await
    .unwrap();
    assert_eq!(pass(&app).await, Pass::Busy);
    writer.commit().await.unwrap();
    assert_eq!(sealed(&app).await, 37);
    assert_eq!(verified(&app).await.broken, None);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whatever_is_changed_behind_its_back_is_named(db: PgPool) {
    // What is done, what is found, and a query for the row that must be named.
    let cases: [(&'static str, Fault, &'static str); 15] = [
        (
            "update communication_events set answer = '250 otro' where id = 30",
            Fault::EventChanged,
            "event 30",
        ),
        (
            "update communication_events set at = at - interval '1 day' where id = 2",
            Fault::EventChanged,
            "event 2",
        ),
        ("update communication_events set kind = 'BLOCKED' where id = 1", Fault::EventChanged, "event 1"),
        ("delete from communication_events where id = 5", Fault::EventMissing, "event 5"),
        ("delete from communication_events where id = 36", Fault::EventMissing, "event 36"),
        (
            "update communication_logs set destination = 'otra@correo.cl' where id = (select max(id) from communication_logs where status = 'SENT')",
            Fault::MessageChanged,
            "message",
        ),
        (
            "update communication_logs set subject = 'Otro' where status = 'SENT'",
            Fault::MessageChanged,
            "message",
        ),
        (
            "update communication_logs set body_sha256 = '\\x00' where status = 'SENT'",
            Fault::MessageChanged,
            "message",
        ),
        (
            "update communication_logs set template_id = null where status = 'SENT'",
            Fault::MessageChanged,
            "message",
        ),
        ("delete from communication_logs where id = 3", Fault::MessageMissing, "message 3"),
        (
            "update message_templates set body = body || '.' where id in (select template_id from communication_logs)",
            Fault::MessageChanged,
            "message",
        ),
        (
            "update communication_logs set destination = 'otra@correo.cl' where status = 'FAILED'",
            Fault::MessageChanged,
            "message",
        ),
        (
            "update communication_logs set block_reason = 'NO_CONSENT', status = 'BLOCKED' where status = 'FAILED'",
            Fault::StatusChanged,
            "message",
        ),
        (
            "update communication_logs set status = 'PENDING' where status = 'FAILED'",
            Fault::StatusChanged,
            "message",
        ),
        (
            "update evidence_seals set digests = digests || digests, event_ids = event_ids || event_ids",
            Fault::SealChanged,
            "seal 1",
        ),
    ];
    let app = app(db);
    dripped(&app).await;
    sealed(&app).await;
    for (sql, fault, named) in cases {
        // Each on a copy of what was sealed, given back afterwards.
        execute(&app, "create schema kept").await;
        for copy in [
            "create table kept.communication_events as table communication_events",
            "create table kept.communication_logs as table communication_logs",
            "create table kept.evidence_seals as table evidence_seals",
            "create table kept.message_templates as select id, body from message_templates",
        ] {
            execute(&app, copy).await;
        }
        behind_its_back(&app, sql).await;
        let broken = verified(&app).await.broken.unwrap_or_else(|| panic!("not found: {sql}"));
        assert_eq!(broken.fault, fault, "{sql}");
        let (what, id) = named.split_once(' ').map_or((named, None), |(what, id)| (what, Some(id)));
        let found = match what {
            "event" => broken.event,
            "seal" => broken.seal,
            _ => broken.message,
        };
        assert!(found.is_some(), "{sql}");
        if let Some(id) = id {
            assert_eq!(found, id.parse().ok(), "{sql}");
        }
        for back in [
            "delete from communication_events",
            "insert into communication_events overriding system value select * from kept.communication_events",
            "delete from communication_logs",
            "insert into communication_logs overriding system value select * from kept.communication_logs",
            "delete from evidence_seals",
            "insert into evidence_seals select * from kept.evidence_seals",
            "update message_templates t set body = k.body from kept.message_templates k where k.id = t.id",
        ] {
            behind_its_back(&app, back).await;
        }
        execute(&app, "drop schema kept cascade").await;
        assert_eq!(verified(&app).await.broken, None, "given back: {sql}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_event_put_into_a_gap_is_found(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    // A rolled back transaction leaves a hole in the ids.
    sqlx::query("select nextval(pg_get_serial_sequence('communication_events', 'id'))")
        .execute(&app.state.db)
        .await
        .unwrap();
    execute(
        &app,
        "insert into communication_events (communication_log_id, at, kind) values (1, now(), 'UNSUBSCRIBED')",
    )
    .await;
    sealed(&app).await;
    assert_eq!(verified(&app).await.broken, None);
    behind_its_back(
        &app,
        "insert into communication_events (id, communication_log_id, at, kind) overriding system value values (37, 1, now(), 'UNSUBSCRIBED')",
    )
    .await;
    let broken = verified(&app).await.broken;
    assert_eq!(
        broken,
        Some(Broken { seal: None, event: Some(37), message: Some(1), fault: Fault::EventAdded })
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_chain_made_anew_without_the_key_is_no_proof(db: PgPool) {
    let app = app(db.clone());
    dripped(&app).await;
    sealed(&app).await;
    let head = verified(&app).await.head;
    behind_its_back(&app, "update communication_events set answer = '250 otro' where id = 30").await;
    behind_its_back(&app, "delete from evidence_seals").await;
    // Somebody with the program and the database, but another SECRET_KEY.
    let other = TestApp::with(db, &[("SECRET_KEY", "the secret of somebody else, also long enough")]);
    sealed(&other).await;
    let report = verified(&app).await;
    assert_eq!((report.broken, report.foreign), (None, 1), "it fits, but is not ours");
    let report = verify::all(&app.state.db, &key(&app), &Question { head }).await.unwrap();
    assert_eq!(report.broken.map(|it| it.fault), Some(Fault::HeadMissing));
    // As if we had signed it.
    let fingerprint = "update evidence_seals set key_fingerprint = (select key_fingerprint from kept)";
    execute(&app, "create table kept as select key_fingerprint from evidence_seals limit 0").await;
    behind_its_back(&app, "delete from evidence_seals").await;
    sealed(&app).await;
    execute(&app, "insert into kept select key_fingerprint from evidence_seals").await;
    behind_its_back(&app, "delete from evidence_seals").await;
    sealed(&other).await;
    behind_its_back(&app, fingerprint).await;
    assert_eq!(verified(&app).await.broken.map(|it| it.fault), Some(Fault::SealForged));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_forged_signature_and_a_cut_end_are_found(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    sealed(&app).await;
    execute(
        &app,
        "insert into communication_events (communication_log_id, at, kind) values (1, now(), 'UNSUBSCRIBED')",
    )
    .await;
    sealed(&app).await;
    let head = verified(&app).await.head;
    let asked = Question { head: head.clone() };
    let broken = async |app: &TestApp| {
        verify::all(&app.state.db, &key(app), &asked).await.unwrap().broken.map(|it| it.fault)
    };
    assert_eq!(broken(&app).await, None);
    behind_its_back(&app, "delete from evidence_seals where position = 2").await;
    behind_its_back(&app, "delete from communication_events where id = 37").await;
    assert_eq!(verified(&app).await.broken, None, "a cut end leaves a chain that holds");
    assert_eq!(broken(&app).await, Some(Fault::HeadMissing));
    behind_its_back(&app, "update evidence_seals set signature = sha256(signature)").await;
    assert_eq!(broken(&app).await, Some(Fault::SealForged));
    behind_its_back(&app, "update evidence_seals set position = 2").await;
    assert_eq!(broken(&app).await, Some(Fault::SealMissing));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_database_refuses_to_alter_what_left_and_its_seals(db: PgPool) {
    let app = app(db);
    dripped(&app).await;
    sealed(&app).await;
    for sql in [
        "update evidence_seals set last_event = 0",
        "delete from evidence_seals",
        "truncate evidence_seals",
        "update communication_logs set body_sha256 = null where status = 'SENT'",
        "update communication_logs set external_id = 'x' where status = 'SENT'",
        "update communication_logs set contact_id = null where status = 'SENT'",
        "update communication_logs set scheduled_at = scheduled_at - interval '1 day'",
        "update communication_logs set requested_by = 99 where id = 1",
        "update communication_logs set dedupe_key = 'x' where id = 1",
    ] {
        let said = sqlx::query(sql).execute(&app.state.db).await.unwrap_err().to_string();
        assert!(said.contains("append-only") || said.contains("cannot be rewritten"), "{sql}: {said}");
    }
}
