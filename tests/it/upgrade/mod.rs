//! A base of an earlier version comes up to this one with all that it held; one of a newer version is left alone.

use crate::{campaigns, duplicates, tallies};
use llovizna::{
    accounts::keys,
    campaigns::drip,
    channels::Channel,
    db::{self, MIGRATIONS},
    ids::ContactId,
    messaging::{
        drain::{Engine, Options},
        evidence::{seal, verify},
        runs::Trigger,
    },
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// The schema on which the first business could work.
const FOUNDATION: i64 = 8;

/// What such a business had then.
const HELD: &str = include_str!("foundation.sql");

/// Tables of then, whose rows stay as many.
const TABLES: [&str; 12] = [
    "audit_events",
    "campaigns",
    "communication_events",
    "communication_logs",
    "companies",
    "consent_events",
    "contact_preferences",
    "contacts",
    "drip_runs",
    "imports",
    "outbox_messages",
    "suppressions",
];

/// The migrations that bases out there have run: number, and how the sum that was kept of it begins.
const RELEASED: &str = include_str!("released.txt");

/// A database without a schema, on the server of the tests.
struct Blank {
    server: PgConnection,
    name: String,
}

impl Blank {
    async fn new(beside: &PgPool) -> (Blank, PgPool) {
        let options = beside.connect_options();
        // Postgres cuts names at 63 bytes, and the end tells them apart.
        let own = options.get_database().unwrap();
        let name = format!("blank_{}", &own[own.len().saturating_sub(50)..]);
        let mut server = PgConnection::connect_with(&options.as_ref().clone()).await.unwrap();
        let drop = AssertSqlSafe(format!("drop database if exists \"{name}\""));
        sqlx::query(drop).execute(&mut server).await.unwrap();
        let create = AssertSqlSafe(format!("create database \"{name}\" template template0"));
        sqlx::query(create).execute(&mut server).await.unwrap();
        let pool = PgPool::connect_with(options.as_ref().clone().database(&name)).await.unwrap();
        (Blank { server, name }, pool)
    }

    async fn drop(mut self, pool: PgPool) {
        pool.close().await;
        let drop = AssertSqlSafe(format!("drop database \"{}\" with (force)", self.name));
        sqlx::query(drop).execute(&mut self.server).await.unwrap();
    }
}

async fn rows(db: &PgPool) -> Vec<(&'static str, i64)> {
    let mut counts = Vec::new();
    for table in TABLES {
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        counts.push((table, sqlx::query_scalar(count).fetch_one(db).await.unwrap()));
    }
    counts
}

async fn states(db: &PgPool) -> Vec<(i64, String)> {
    // Asked anew each time: a migration changes the type of the column.
    let all = sqlx::query_as("select id, status from communication_logs order by id");
    all.persistent(false).fetch_all(db).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn a_base_of_the_first_schema_keeps_all_that_it_held_and_works_on(beside: PgPool) {
    let (blank, db) = Blank::new(&beside).await;
    MIGRATIONS.run_to(FOUNDATION, &db).await.unwrap();
    sqlx::raw_sql(HELD).execute(&db).await.unwrap();
    let (held, stood) = (rows(&db).await, states(&db).await);

    db::migrate(&db).await.unwrap();
    assert_eq!((rows(&db).await, states(&db).await), (held, stood));
    assert!(db::is_migrated(&db).await);
    assert_eq!(tallies::differences(&db).await, Vec::<String>::new());

    let app = campaigns::app(db.clone());
    let admin = app.admin().await;
    for path in [
        "/",
        "/contacts",
        "/contacts/1",
        "/contacts/33",
        "/companies",
        "/companies/1",
        "/segments",
        "/lists",
        "/imports",
        "/imports/1",
        "/campaigns",
        "/campaigns/1",
        "/campaigns/2",
        "/campaigns/3",
        "/messages",
        "/messages/4",
        "/messages/12",
        "/messages/15",
        "/inbound",
        "/suppressions",
        "/outbox",
        "/outbox/1",
        "/jobs/drip/runs/1",
        "/audit",
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
    }
    let found = admin.get("/contacts?q=persona+33").await.text();
    assert!(found.contains("Persona 33 Muñoz") && !found.contains("Persona 32"), "{found}");
    let figures = admin.get("/campaigns/2").await.text();
    for told in ["Enviados 8", "Fallidos 1", "Por confirmar 1", "Bajas 1"] {
        assert!(figures.contains(told), "{told}: {figures}");
    }

    // What waited leaves once, and what was put off waits on.
    let engine = Engine {
        db: db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    for _ in 0..2 {
        drip::run_once(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap();
    }
    let mut left: Vec<_> = app.mailbox.sent().into_iter().map(|it| it.to_email).collect();
    left.sort_unstable();
    assert_eq!(left, [13, 14, 16].map(|it| format!("persona{it}@correo.example")));
    assert_eq!(tallies::differences(&db).await, Vec::<String>::new());

    // The proof covers what was there before it was kept.
    let key = keys::evidence(&app.state.config).unwrap();
    while !matches!(seal::now(&db, app.now(), &key).await.unwrap(), seal::Pass::Idle) {}
    let proof = verify::all(&db, &key, &verify::Question::default()).await.unwrap();
    let events: i64 =
        sqlx::query_scalar("select count(*) from communication_events").fetch_one(&db).await.unwrap();
    assert_eq!((i64::try_from(proof.events).unwrap(), proof.broken), (events, None));
    drop(engine);
    blank.drop(db).await;
}

#[sqlx::test(migrations = false)]
async fn each_schema_in_between_comes_up_too(beside: PgPool) {
    let (blank, db) = Blank::new(&beside).await;
    MIGRATIONS.run_to(FOUNDATION, &db).await.unwrap();
    sqlx::raw_sql(HELD).execute(&db).await.unwrap();
    // What a run of the program adds between two versions is there for the next.
    for version in MIGRATIONS.iter().map(|it| it.version).filter(|it| *it > FOUNDATION) {
        MIGRATIONS.run_to(version, &db).await.unwrap();
        let change = "update contacts set notes = $1, search_key = search_key || ' x' where id = 7";
        sqlx::query(change).bind(version.to_string()).execute(&db).await.unwrap();
        let asked = "insert into communication_logs (origin, campaign_id, destination, communication_type, message_type,
                 template_id, status, scheduled_at, next_attempt_at, created_at)
             select 'TEST', id, 'ana@termas.example', 'EMAIL', 'PROMOCIONAL', template_id, 'PENDING', created_at, created_at, created_at
             from campaigns where name = 'Primavera'";
        sqlx::query(asked).execute(&db).await.unwrap();
    }
    assert_eq!(tallies::differences(&db).await, Vec::<String>::new());
    blank.drop(db).await;
}

#[test]
fn what_bases_have_run_is_never_altered() {
    for line in RELEASED.lines() {
        let (number, sum) = line.split_once(' ').unwrap();
        let found = MIGRATIONS.iter().find(|it| it.version == number.parse::<i64>().unwrap());
        let now = found.map(|it| hex::encode(&it.checksum));
        assert!(now.is_some_and(|it| it.starts_with(sum)), "{number} changed: such a base refuses to start");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_base_of_a_newer_version_is_refused_and_left_alone(db: PgPool) {
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9000, 'of tomorrow', true, '', 0)";
    sqlx::query(newer).execute(&db).await.unwrap();
    let before = rows(&db).await;
    let told = db::migrate(&db).await.unwrap_err().to_string();
    assert!(told.contains("versión más nueva"), "{told}");
    assert_eq!(rows(&db).await, before);
}

#[sqlx::test(migrations = false)]
async fn who_wanted_no_offers_wants_no_early_access(beside: PgPool) {
    let (blank, db) = Blank::new(&beside).await;
    MIGRATIONS.run_to(64, &db).await.unwrap();
    sqlx::raw_sql(
        "insert into contacts (first_name, search_key, phone, created_at, updated_at)
         select 'Ana', 'ana', '+5698765432' || n, '2026-11-01', '2026-11-01' from generate_series(1, 3) n;
         insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
         select id, 'SMS', what, said.allowed, '2026-11-02' from contacts,
             (values ('+56987654321', 'PROMOCIONAL', false), ('+56987654322', 'PROMOCIONAL', true),
                     ('+56987654323', 'NEWSLETTER', false)) said (who, what, allowed) where phone = who",
    )
    .execute(&db)
    .await
    .unwrap();
    db::migrate(&db).await.unwrap();
    let refused: Vec<(String, String)> = sqlx::query_as(
        "select c.phone, p.communication_type from contact_preferences p join contacts c on c.id = p.contact_id
         where message_type = 'VIP_EARLY_ACCESS' and not allowed",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(refused, [("+56987654321".to_owned(), "SMS".to_owned())]);
    blank.drop(db).await;
}

#[sqlx::test(migrations = false)]
async fn a_no_that_a_joining_wrote_goes_with_it_after_the_upgrade_too(beside: PgPool) {
    for kept_said in [None, Some(true), Some(false)] {
        let (blank, db) = Blank::new(&beside).await;
        MIGRATIONS.run_to(64, &db).await.unwrap();
        let kept = duplicates::person(&db, ("Ana", "Soto"), "ana@sur.example", "", "").await;
        let gone = duplicates::person(&db, ("Anita", "Soto"), "anita@sur.example", "", "").await;
        let say = async |who: ContactId, allowed: bool| {
            let sql = "insert into contact_preferences (contact_id, communication_type, message_type, allowed, updated_at)
                 values ($1, 'EMAIL', 'PROMOCIONAL', $2, '2026-11-02')";
            sqlx::query(sql).bind(who.0).bind(allowed).execute(&db).await.unwrap();
        };
        say(gone, false).await;
        if let Some(allowed) = kept_said {
            say(kept, allowed).await;
        }
        let joined = duplicates::join(&db, kept, gone, &[]).await.unwrap();
        db::migrate(&db).await.unwrap();
        let refuses = async |who: ContactId| -> bool {
            let sql = "select exists (select from contact_preferences
                 where contact_id = $1 and message_type = 'VIP_EARLY_ACCESS' and not allowed)";
            sqlx::query_scalar(sql).bind(who.0).fetch_one(&db).await.unwrap()
        };
        assert!(refuses(kept).await, "{kept_said:?}");
        duplicates::separate(&db, joined).await.unwrap();
        let found = (refuses(kept).await, refuses(gone).await);
        assert_eq!(found, (kept_said == Some(false), true), "{kept_said:?}");
        blank.drop(db).await;
    }
}
