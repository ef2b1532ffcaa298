//! What people and the drip ask for all day is looked up, however large the address
//! book grows: nothing reads a big table whole.

use crate::support::TestApp;
use llovizna::{
    campaigns::drip,
    channels::Channel,
    contacts::contact,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
    },
};
use sqlx::{PgPool, postgres::PgPoolOptions};

/// The address book of the benches, smaller.
const ADDRESS_BOOK: &str = include_str!("../../benches/address_book.sql");

/// Tables that grow with the business, and how often each was read whole so far.
async fn reads(app: &TestApp) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut one = app.state.db.acquire().await.unwrap();
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *one).await.unwrap();
        all.push(one);
    }
    sqlx::query_as(
        "select relname::text, seq_scan from pg_stat_user_tables
         where relname in ('contacts', 'contact_metrics', 'contact_words', 'contact_interests', 'companies', 'history_entries',
             'consent_events', 'lifecycle_changes', 'suppressions', 'communication_logs', 'communication_events')
         order by relname",
    )
    .fetch_all(&mut *all[0])
    .await
    .unwrap()
}

/// Connections of the application: all of them are asked what they read.
const CONNECTIONS: u32 = 3;

/// An application over a full address book.
async fn full(db: &PgPool, contacts: &'static str) -> TestApp {
    let few = PgPoolOptions::new().max_connections(CONNECTIONS);
    let only = few.connect_with((*db.connect_options()).clone()).await.unwrap();
    let mut filling = only.acquire().await.unwrap();
    sqlx::raw_sql(contacts).execute(&mut *filling).await.unwrap();
    sqlx::raw_sql(ADDRESS_BOOK).execute(&mut *filling).await.unwrap();
    drop(filling);
    sqlx::raw_sql(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         select 'EMAIL', email, 'PROMOTIONAL', 'UNSUBSCRIBED', created_at from contacts where id % 3 = 0;
         insert into suppressions (communication_type, address_hash, scope, reason, created_at)
         select 'EMAIL', sha256(email::bytea), 'PROMOTIONAL', 'NO_MOLESTAR', created_at from contacts where id % 3 = 1;
         insert into consent_events (contact_id, communication_type, basis, source, at)
         select id, 'EMAIL', 'CONSENT', 'Feria', created_at from contacts;
         insert into lifecycle_changes (contact_id, from_lifecycle, to_lifecycle, cause, at)
         select id, 'LEAD', 'CLIENTE', 'HAND', created_at from contacts;
         insert into companies (name, name_key, notes, created_at, updated_at)
         select 'Empresa ' || n, 'empresa ' || n, repeat('x', 900), '2026-01-01', '2026-01-01' from generate_series(1, 12000) n;
         -- A few are due: looking up a thousand of eight thousand people would be dearer than reading all.
         update communication_logs set next_attempt_at = '2027-01-01' where status = 'PENDING' and contact_id % 20 <> 0;
         insert into interests (name, key, created_at) values ('Yoga', 'yoga', '2026-01-01');
         insert into contact_interests select c.id, i.id, c.created_at from contacts c, interests i;
         update campaigns set name = 'Campaña ' || id where name like 'Campana %';
         analyze",
    )
    .execute(&only)
    .await
    .unwrap();
    let sender = [
        ("BUSINESS_NAME", "Turismo Ñirehue"),
        ("BUSINESS_ADDRESS", "San Francisco 100, Puerto Varas"),
        ("BUSINESS_EMAIL", "ventas@sur.example"),
        ("EMAIL_DAILY_CAP", "0"),
    ];
    TestApp::with(only, &sender)
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pages_read_no_big_table_whole(db: PgPool) {
    let app = full(&db, "set bench.contacts = 8000").await;
    let person: i64 = sqlx::query_scalar("select id from contacts order by id offset 4000 limit 1")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    let campaign: i64 = sqlx::query_scalar("select min(id) from campaigns where name like 'Campaña%'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    let admin = app.admin().await;
    for path in [
        // Lists without a search count up to ten thousand, as many as there are here: `lists` looks at their pages.
        "/contacts?q=persona4000".to_owned(),
        "/search?q=gonsalez".to_owned(),
        format!("/contacts/{person}"),
        format!("/contacts/{person}/timeline"),
        format!("/contacts/{person}/consents"),
        "/search?q=persona4000".to_owned(),
        format!("/campaigns/{campaign}/progress"),
        format!("/campaigns/{campaign}"),
        "/campaigns".to_owned(),
        "/messages".to_owned(),
        "/suppressions".to_owned(),
    ] {
        // The first asking reads what is kept in memory from then on.
        let before = reads(&app).await;
        let reply = admin.get(&path).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.status);
        assert_eq!(reads(&app).await, before, "{path}: a table was read whole");
    }
    // The measure sees what it should.
    sqlx::query("drop index communication_logs_by_contact").execute(&app.state.db).await.unwrap();
    let before = reads(&app).await;
    admin.get(&format!("/contacts/{person}/timeline")).await;
    assert_ne!(reads(&app).await, before);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_drip_and_the_look_ups_read_no_big_table_whole(db: PgPool) {
    let app = full(&db, "set bench.contacts = 8000").await;
    let engine = Engine {
        db: db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    let options = Options { batch_size: Some(20), ..Options::new(Channel::Email, Trigger::CommandLine) };
    let before = reads(&app).await;
    let report = drip::run_once(&engine, &options).await.unwrap();
    assert!(!app.mailbox.sent().is_empty(), "nothing left: {report:?}");
    // Connections tell what they read when they end.
    db.close().await;
    assert_eq!(reads(&app).await, before, "the drip read a table whole");

    let before = reads(&app).await;
    let known = contact::by_email(&app.state.db, "persona77@correo.example").await.unwrap();
    assert!(known.is_some());
    assert_eq!(reads(&app).await, before, "a known address was not looked up");
}

/// Rows of each of those tables that were read one after another, and how many it has.
async fn rows_read(app: &TestApp) -> Vec<(String, i64, i64)> {
    reads(app).await;
    sqlx::query_as(
        "select s.relname::text, seq_tup_read, reltuples::bigint from pg_stat_user_tables s join pg_class c on c.oid = s.relid
         where s.relname in ('contacts', 'contact_metrics', 'contact_words', 'companies', 'history_entries', 'suppressions',
             'communication_logs', 'communication_events')
         order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn lists_stop_counting_before_the_end(db: PgPool) {
    // More than lists count: who stops there does not read all.
    let app = full(&db, "set bench.contacts = 12000").await;
    let admin = app.admin().await;
    for path in ["/contacts", "/companies", "/messages", "/messages?status=SENT", "/tasks", "/campaigns", "/"]
    {
        let before = rows_read(&app).await;
        let reply = admin.get(path).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.status);
        for (was, is) in before.into_iter().zip(rows_read(&app).await) {
            let read = is.1 - was.1;
            assert!(read == 0 || read < is.2, "{path}: {read} of {} rows of {} were read", is.2, is.0);
        }
    }
}
