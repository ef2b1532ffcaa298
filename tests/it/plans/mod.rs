//! What people and the drip ask for all day is looked up, however large the address
//! book grows: nothing reads a big table whole.

mod office;

use crate::support::{TestApp, monday_noon};
use llovizna::{
    campaigns::drip,
    channels::Channel,
    contacts::contact,
    ids::ContactId,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
    },
    segments::{
        field::{Event, Field, Op},
        members,
        rule::{Condition, Group},
    },
};
use sqlx::{PgPool, postgres::PgPoolOptions};

/// The address book of the benches, smaller.
const ADDRESS_BOOK: &str = include_str!("../../../benches/address_book.sql");

/// Tables that grow with the business.
const BIG: &[&str] = &[
    "contacts",
    "contact_metrics",
    "contact_words",
    "contact_interests",
    "companies",
    "history_entries",
    "consent_events",
    "lifecycle_changes",
    "suppressions",
    "communication_logs",
    "communication_events",
];

/// How often each big table was read whole so far.
async fn reads(app: &TestApp) -> Vec<(String, i64)> {
    reads_of(app, BIG).await
}

/// How often each of `tables` was read whole so far.
async fn reads_of(app: &TestApp, tables: &[&str]) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    for _ in 0..app.state.db.options().get_max_connections() {
        let mut one = app.state.db.acquire().await.unwrap();
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *one).await.unwrap();
        all.push(one);
    }
    sqlx::query_as(
        "select relname::text, seq_scan from pg_stat_user_tables where relname = any ($1) order by relname",
    )
    .bind(tables)
    .fetch_all(&mut *all[0])
    .await
    .unwrap()
}

/// Connections of the application: all of them are asked what they read.
const CONNECTIONS: u32 = 3;

/// An application over a full address book.
async fn full(db: &PgPool, contacts: &'static str) -> TestApp {
    filled(db, contacts, CONNECTIONS).await
}

/// The same with as many connections.
async fn filled(db: &PgPool, contacts: &'static str, connections: u32) -> TestApp {
    let few = PgPoolOptions::new().max_connections(connections);
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

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn segments_of_few_people_read_no_big_table_whole(db: PgPool) {
    let app = full(&db, "set bench.contacts = 8000").await;
    // A few people of each: where it is most of them, reading all is the right plan.
    sqlx::raw_sql(
        "delete from contact_interests where contact_id % 400 <> 0;
         insert into interests (name, key, created_at) values ('Pilates', 'pilates', '2026-01-01');
         insert into contact_interests select c.id, i.id, c.created_at from contacts c, interests i where i.key = 'pilates';
         delete from history_entries;
         insert into history_entries (contact_id, kind, occurred_on, created_at, item, amount)
             select c.id, 'PURCHASE', '2026-01-01', '2026-01-01', case when c.id % 400 = 0 then 'Curso de Acuarela ' else 'Masaje número ' end || c.id, 1000
             from contacts c, generate_series(1, 3);
         delete from contact_metrics;
         insert into contact_metrics (contact_id, visits, spent, last_visit_on, last_purchase_on, last_activity_at)
             select id, 1, 1000, date '2025-01-01' - (id % 300)::int, date '2025-01-01' - (id % 300)::int,
                 timestamptz '2025-01-01' - (id % 300) * interval '1 day' from contacts;
         update contact_metrics set visits = 40, spent = 900000, last_visit_on = '2026-11-22', last_purchase_on = '2026-11-22',
             last_activity_at = '2026-11-22' where contact_id % 400 = 0;
         insert into lists (name, created_at, updated_at) values ('Feria', '2026-01-01', '2026-01-01'), ('Todos', '2026-01-01', '2026-01-01');
         insert into list_members (list_id, contact_id, added_at)
             select l.id, c.id, '2026-01-01' from lists l, contacts c where l.name = 'Todos' or c.id % 400 = 0;
         insert into staff_users (email, name, role, password_hash, created_at, updated_at)
             values ('eva@sur.example', 'Eva', 'STAFF', 'x', '2026-01-01', '2026-01-01');
         update contacts set owner_id = case when id % 400 = 0 then (select max(id) from staff_users) end,
             comuna = case when id % 400 = 0 then '10109' else '13101' end, birth_date = case when id % 400 = 0 then date '1990-11-05' else date '1990-03-05' end,
             created_at = case when id % 400 = 0 then timestamptz '2026-11-22 12:00+00' else '2025-01-01' end,
             lifecycle = case when id % 400 = 0 then 'INACTIVO' else 'LEAD' end,
             source = case when id % 400 = 0 then 'GOOGLE' else 'OTRO' end",
    )
    .execute(&app.state.db)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&app.state.db).await.unwrap();
    let one = async |text: &'static str| -> String {
        sqlx::query_scalar::<_, i64>(text).fetch_one(&app.state.db).await.unwrap().to_string()
    };
    let list = one("select id from lists where name = 'Feria'").await;
    let owner = one("select max(id) from staff_users").await;
    let yoga = one("select id from interests where name = 'Yoga'").await;
    let sent = |event| Condition {
        event: Some(event),
        days: "7".to_owned(),
        ..Condition::with(Field::Message, Op::Did, &[])
    };
    let asked = [
        Condition::with(Field::List, Op::Is, &[&list]),
        Condition::with(Field::Owner, Op::Is, &[&owner]),
        Condition::with(Field::Interest, Op::Is, &[&yoga]),
        Condition::with(Field::Comuna, Op::Is, &["10109"]),
        Condition::with(Field::Lifecycle, Op::Is, &["INACTIVO"]),
        Condition::with(Field::Source, Op::Is, &["GOOGLE"]),
        Condition::with(Field::BirthMonth, Op::Is, &["11"]),
        Condition::with(Field::Created, Op::WithinDays, &["7"]),
        Condition::with(Field::Words, Op::Contains, &["persona4000"]),
        Condition::with(Field::Bought, Op::Contains, &["acuarela"]),
        Condition::with(Field::Spent, Op::MoreThan, &["500000"]),
        Condition::with(Field::Visits, Op::AtLeast, &["30"]),
        Condition::with(Field::LastVisit, Op::WithinDays, &["7"]),
        Condition::with(Field::LastPurchase, Op::WithinDays, &["7"]),
        Condition::with(Field::LastActivity, Op::WithinDays, &["7"]),
        sent(Event::Received),
        sent(Event::Opened),
    ];
    let tables = [BIG, &["list_members"]].concat();
    let mut whole = Vec::new();
    for condition in asked {
        let rule = Group::all([condition.clone()]);
        for what in ["count", "list", "page"] {
            let before = reads_of(&app, &tables).await;
            let mut one = app.state.db.acquire().await.unwrap();
            let found = match what {
                "count" => members::count(&mut one, monday_noon(), &rule).await.unwrap().unwrap(),
                "list" => {
                    let found =
                        members::newest(&mut one, monday_noon(), &rule, None, 20).await.unwrap().unwrap();
                    i64::try_from(found.len()).unwrap()
                }
                _ => {
                    let found =
                        members::page(&mut one, monday_noon(), &rule, ContactId(0), 20).await.unwrap();
                    i64::try_from(found.len()).unwrap()
                }
            };
            drop(one);
            assert!(
                (1..100).contains(&found) || condition.field == Field::Message,
                "{what} of {condition:?}: {found}"
            );
            let read: Vec<_> = before
                .iter()
                .zip(reads_of(&app, &tables).await)
                // Of a busy week it is most people who had a message: their rows are best read in one go.
                .filter(|(was, is)| *was != is && !(condition.field == Field::Message && is.0 == "contacts"))
                .map(|it| it.0.0.clone())
                .collect();
            if !read.is_empty() {
                whole.push(format!("{what} of {:?}: {read:?}", condition.field));
            }
        }
    }
    assert!(whole.is_empty(), "read whole:\n{}", whole.join("\n"));
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
    let quietest: String = sqlx::query_scalar(
        "select contact_id || '.' || (extract(epoch from last_activity_at) * 1000000)::bigint
         from contact_metrics where last_activity_at is not null order by last_activity_at, contact_id limit 1",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    // At the end of the list nobody is left who never gave a sign of life.
    let end = format!("/contacts?sort=activity&after={quietest}");
    for path in
        ["/contacts", "/companies", "/messages", "/messages?status=SENT", "/tasks", "/campaigns", "/", &end]
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

/// Messages of the log that were looked at one by one so far.
async fn messages_read(app: &TestApp) -> i64 {
    reads(app).await;
    sqlx::query_scalar(
        "select idx_tup_fetch + seq_tup_read from pg_stat_user_tables where relname = 'communication_logs'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_a_busy_day_sent_is_told_without_looking_at_its_messages(db: PgPool) {
    let app = full(&db, "set bench.contacts = 8000").await;
    let today: i64 = sqlx::query_scalar(
        "select count(*) from communication_logs where sent_at > '2026-11-23' and communication_type = 'EMAIL'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(today > 3_000, "a busy day: {today}");
    let campaign: i64 = sqlx::query_scalar("select min(id) from campaigns where status = 'RUNNING'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    sqlx::query("update campaigns set daily_cap = 100 where id = $1")
        .bind(campaign)
        .execute(&app.state.db)
        .await
        .unwrap();
    let admin = app.admin().await;
    // The first page looks at those that failed, as far as it counts them.
    for (path, most) in [("/".to_owned(), 1_100), (format!("/campaigns/{campaign}"), 200)] {
        let before = messages_read(&app).await;
        let reply = admin.get(&path).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.status);
        let read = messages_read(&app).await - before;
        assert!(read <= most, "{path}: {read} messages of {today}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_spent_and_opened_lately_is_counted_in_the_index_of_openings(db: PgPool) {
    let app = full(&db, "set bench.contacts = 8000").await;
    sqlx::raw_sql("vacuum analyze").execute(&app.state.db).await.unwrap();
    let opened = Condition {
        event: Some(Event::Opened),
        days: "90".to_owned(),
        ..Condition::with(Field::Message, Op::Did, &[])
    };
    let rule = Group::all([
        Condition::with(Field::Spent, Op::MoreThan, &["100000"]),
        Condition::with(Field::Lifecycle, Op::Is, &["CLIENTE"]),
        opened,
    ]);
    let before = (reads(&app).await, fetched(&app).await);
    let mut one = app.state.db.acquire().await.unwrap();
    let found = members::count(&mut one, monday_noon(), &rule).await.unwrap().unwrap();
    drop(one);
    assert!(found > 100, "{found}");
    assert_eq!((reads(&app).await, fetched(&app).await), before, "figures were read one by one");
}

/// Rows of people's figures that were read, by whatever way.
async fn fetched(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select coalesce(idx_tup_fetch, 0) + seq_tup_read from pg_stat_user_tables where relname = 'contact_metrics'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap()
}
