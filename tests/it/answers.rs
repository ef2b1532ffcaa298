//! What people's answers do: they stop what waits, and a word of theirs stops all or brings it back.

use crate::{
    campaigns::{app, execute, get, people, seeded, start},
    drip::run,
    support::TestApp,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    channels::{
        Channel,
        feedback::{Kind, Report, Source},
    },
    contacts::{
        consent::{self, Grant},
        vocabulary::Basis,
    },
    db::MIGRATIONS,
    ids::{CampaignId, ContactId},
    messaging::{
        inbound,
        kinds::{Scope, SuppressionReason},
        suppression::{self, Entry},
        words::{self, Said},
    },
    settings::{self, Words},
};
use sqlx::PgPool;

const PHONE: &str = "+56981234567";

async fn texts(db: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(db).await.unwrap()
}

/// A campaign under way that wrote to the first of two who turned out to be one; another message of it waits for them, and
/// one for somebody else.
async fn waiting(app: &TestApp) -> CampaignId {
    let all = people(app, "sur", 3).await;
    let id = seeded(app).await;
    start(app, id).await.unwrap();
    execute(app, "update campaigns set batch_size = 1 where status = 'RUNNING'").await;
    assert_eq!(run(app).await.sent, 1);
    sqlx::query("update contacts set merged_into = $1, email = null where id = $2")
        .bind(all[0].0)
        .bind(all[1].0)
        .execute(&app.state.db)
        .await
        .unwrap();
    app.state.clock.advance(TimeDelta::minutes(10));
    id
}

/// Something came back about what was sent.
async fn comes_back(app: &TestApp, kind: Kind) {
    let sent =
        texts(&app.state.db, "select external_id from communication_logs where sent_at is not null").await;
    let mut told = Report::new(kind, "a").about([sent[0].as_str()]);
    told.recipient = Some("sur1@x.example".to_owned());
    told.subject = Some("Re: Hola".to_owned());
    let mut db = app.state.db.acquire().await.unwrap();
    inbound::record(&mut db, app.now(), Source::Mailbox, &[told]).await.unwrap();
    while inbound::run_once(&app.state.db, app.now()).await.unwrap() != inbound::Pass::Idle {}
}

const STATES: &str = "select status || coalesce(' ' || block_reason, '') from communication_logs order by id";

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_answer_stops_what_waits_of_its_campaign_for_that_person_alone(db: PgPool) {
    let app = app(db);
    let id = waiting(&app).await;
    comes_back(&app, Kind::Reply).await;
    assert_eq!(texts(&app.state.db, STATES).await, ["REPLIED", "BLOCKED REPLIED", "PENDING"]);
    let (message, contact): (i64, i64) = sqlx::query_as(
        "select l.id, c.merged_into from communication_logs l join contacts c on c.id = l.contact_id where l.status = 'BLOCKED'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    let page = app.get(&format!("/messages/{message}")).await.text();
    assert!(page.contains("No salió ni saldrá: la persona ya respondió."), "{page}");
    let page = app.get(&format!("/contacts/{contact}")).await.text();
    assert!(page.contains("Respondió: Re: Hola"), "{page}");
    let page = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(page.contains("La persona ya respondió"), "{page}");
    execute(&app, "update campaigns set batch_size = 30 where status = 'RUNNING'").await;
    assert_eq!(run(&app).await.sent, 1);
    assert_eq!(get(&app, id).await.status.code(), "FINISHED");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_machines_answer_stops_nothing_and_is_in_nobodys_log(db: PgPool) {
    let app = app(db);
    waiting(&app).await;
    comes_back(&app, Kind::AutoReply).await;
    assert_eq!(texts(&app.state.db, STATES).await, ["SENT", "PENDING", "PENDING"]);
    assert_eq!(texts(&app.state.db, "select summary from interactions").await, Vec::<String>::new());
}

// Words

/// Two people who share a telephone; the second never agreed to anything.
async fn family(app: &TestApp) -> Vec<ContactId> {
    let all = people(app, "sur", 2).await;
    sqlx::query("update contacts set phone = $1").bind(PHONE).execute(&app.state.db).await.unwrap();
    let grant = Grant {
        channel: Channel::Sms,
        basis: Basis::Consent,
        source: "Ficha".to_owned(),
        obtained_on: "2026-11-01".parse().unwrap(),
    };
    let mut tx = app.state.db.begin().await.unwrap();
    consent::grant(&mut tx, app.now(), &Actor::CommandLine, all[0], &grant).await.unwrap();
    tx.commit().await.unwrap();
    all
}

async fn hear(app: &TestApp, text: &str) -> Said {
    app.state.clock.advance(TimeDelta::minutes(1));
    let mut tx = app.state.db.begin().await.unwrap();
    let words: Words = settings::load(&mut *tx, &app.state.config.first_values).await.unwrap();
    let said = words::heard(&mut tx, app.now(), Channel::Sms, PHONE, text, &words).await.unwrap();
    tx.commit().await.unwrap();
    said
}

const EXCLUDED: &str =
    "select reason from suppressions where lifted_at is null and communication_type = 'SMS' order by 1";
const BASES: &str = "select coalesce(sms_basis, 'NONE') from contacts order by id";

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_word_stops_text_messages_and_another_brings_them_back_with_its_proof(db: PgPool) {
    let app = app(db);
    family(&app).await;
    assert_eq!(hear(&app, "¿Cuánto baja?").await, Said::Else);
    assert_eq!(texts(&app.state.db, EXCLUDED).await, Vec::<String>::new());
    assert_eq!(hear(&app, "Baja.").await, Said::NoMore);
    assert_eq!(texts(&app.state.db, EXCLUDED).await, ["UNSUBSCRIBED"]);
    assert_eq!(texts(&app.state.db, BASES).await, ["NONE", "NONE"]);
    assert_eq!(hear(&app, "ALTA").await, Said::Back);
    assert_eq!(texts(&app.state.db, EXCLUDED).await, Vec::<String>::new());
    assert_eq!(texts(&app.state.db, BASES).await, ["CONSENT", "NONE"], "who never agreed does not now");
    let proof = "select communication_type || ' ' || basis || ' ' || source from consent_events order by id";
    assert_eq!(
        texts(&app.state.db, proof).await,
        [
            "SMS CONSENT Ficha",
            "SMS WITHDRAWN Escribió «Baja.» por SMS",
            "SMS WITHDRAWN Escribió «Baja.» por SMS",
            "SMS CONSENT Escribió «ALTA» por SMS"
        ]
    );
    // Nothing is left to bring back.
    assert_eq!(hear(&app, "start").await, Said::Back);
    assert_eq!(texts(&app.state.db, proof).await.len(), 4);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_word_brings_back_only_what_a_word_stopped(db: PgPool) {
    let app = app(db);
    family(&app).await;
    for reason in [SuppressionReason::Complaint, SuppressionReason::Manual, SuppressionReason::NoMolestar] {
        let mut tx = app.state.db.begin().await.unwrap();
        let entry = Entry {
            channel: Channel::Sms,
            destination: PHONE,
            scope: Scope::Promotional,
            reason,
            detail: None,
            message: None,
        };
        suppression::suppress(&mut tx, app.now(), &Actor::System, &entry).await.unwrap();
        tx.commit().await.unwrap();
    }
    hear(&app, "STOP").await;
    hear(&app, "START").await;
    assert_eq!(texts(&app.state.db, EXCLUDED).await, ["COMPLAINT", "MANUAL", "NO_MOLESTAR"]);
    // A no by a link is not taken back by a word either.
    let mut tx = app.state.db.begin().await.unwrap();
    let entry = Entry {
        channel: Channel::Sms,
        destination: PHONE,
        scope: Scope::Promotional,
        reason: SuppressionReason::Unsubscribed,
        detail: None,
        message: None,
    };
    suppression::suppress(&mut tx, app.now(), &Actor::System, &entry).await.unwrap();
    tx.commit().await.unwrap();
    hear(&app, "STOP").await;
    hear(&app, "START").await;
    assert_eq!(texts(&app.state.db, EXCLUDED).await, ["COMPLAINT", "MANUAL", "NO_MOLESTAR", "UNSUBSCRIBED"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_no_that_came_otherwise_since_stands_beside_the_word(db: PgPool) {
    let app = app(db);
    let all = family(&app).await;
    hear(&app, "BAJA").await;
    let mut tx = app.state.db.begin().await.unwrap();
    consent::withdraw(
        &mut tx,
        app.now() + TimeDelta::seconds(1),
        &Actor::CommandLine,
        all[0],
        Channel::Sms,
        "Lo dijo por teléfono",
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    hear(&app, "ALTA").await;
    assert_eq!(texts(&app.state.db, BASES).await, ["NONE", "NONE"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_words_are_a_setting_and_there_is_always_one_that_stops(db: PgPool) {
    let app = app(db);
    family(&app).await;
    let page = app.get("/settings/limits").await.text();
    assert!(page.contains("Palabras de baja") && page.contains("darme de baja"), "{page}");
    let saved = app.post("/settings/words", &[("no_more", "Chao, Basta\nfuera"), ("back", "Volver")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert_eq!(hear(&app, "baja").await, Said::Else);
    assert_eq!((hear(&app, "¡CHAO!").await, hear(&app, "volver").await), (Said::NoMore, Said::Back));
    app.post("/settings/words", &[("no_more", " "), ("back", "")]).await;
    assert_eq!(hear(&app, "fuera").await, Said::NoMore, "what was wrong is not saved");
    let audit = app.get("/audit?kind=words").await.text();
    assert!(audit.contains("Palabras de baja y de alta") && audit.contains("chao"), "{audit}");
}
