//! How fast pages answer over a large address book: a base of `CONTACTS` people with
//! their history and their messages is made by `address_book.sql`, then the program
//! serves it, and eight connections ask for each page over and over.
//!
//! `DATABASE_URL=postgres://... cargo bench --bench address_book` makes a database
//! `llovizna_bench_book` on that server and drops it; `KEEP=yes` leaves it there
//! and finds it again. Its account must be a superuser's: triggers stand aside while it is filled.
//! `CONTACTS` (100 000), `REQUESTS` (400 for each page) and `CONNECTIONS` (8) choose other sizes.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads its choices and prints"
)]

use chrono::Utc;
use llovizna::{
    access::Actor,
    accounts::session,
    db,
    ids::StaffId,
    segments::{
        field::{Event, Field, Op},
        rule::{Condition, Group},
        segment,
    },
};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const DATABASE: &str = "llovizna_bench_book";

fn main() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("DATABASE_URL is not set: nothing was measured");
        return;
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&url.parse().unwrap()));
}

fn choice(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |it| it.parse().expect("a number"))
}

async fn measure(options: &PgConnectOptions) {
    let (contacts, keep) = (choice("CONTACTS", 100_000), std::env::var("KEEP").is_ok());
    let mut server = PgConnection::connect_with(options).await.expect("the server answers");
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut server)
        .await
        .unwrap();
    if !there || !keep {
        sqlx::raw_sql("drop database if exists llovizna_bench_book with (force)")
            .execute(&mut server)
            .await
            .unwrap();
        sqlx::raw_sql("create database llovizna_bench_book").execute(&mut server).await.unwrap();
    }
    let pool = db::connect(options.clone().database(DATABASE), 4).await.unwrap();
    if !there || !keep {
        fill(&pool, contacts).await;
    }
    let token = sign_in(&pool).await;
    let home = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut program = Command::new(env!("CARGO_BIN_EXE_llovizna"))
        .arg("serve")
        .env("DATABASE_URL", options.clone().database(DATABASE).to_url_lossy().to_string())
        .env("LLOVIZNA_HOME", home.path())
        .env("PORT", port.to_string())
        .env("BIND_ADDR", "127.0.0.1")
        .env("SCHEDULER", "off")
        .env("RUST_LOG", "error")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let asker = Asker::new(port, &token);
    asker.until_ready().await;
    until_sealed(&pool).await;
    println!("{contacts} people, load {}", load());
    let middle: i64 = sqlx::query_scalar("select id from contacts order by id offset $1 limit 1")
        .bind(i64::try_from(contacts / 2).unwrap())
        .fetch_one(&pool)
        .await
        .unwrap();
    let campaign: i64 = sqlx::query_scalar("select min(id) from campaigns where name like 'Campana %'")
        .fetch_one(&pool)
        .await
        .unwrap();
    let measured = measured_segment(&pool).await;
    for (what, path) in [
        ("contact list, first page", "/contacts".to_owned()),
        ("contact list, a deep page", format!("/contacts?after={middle}")),
        ("contact list by name, a deep page", format!("/contacts?sort=name&after={middle}")),
        ("contact list, one stage", "/contacts?lifecycle=CLIENTE".to_owned()),
        ("search, a rare word", "/contacts?q=persona4711".to_owned()),
        ("search, a common word", "/contacts?q=gonzalez".to_owned()),
        ("search, misspelt", "/contacts?q=gonsalez".to_owned()),
        ("customer page with timeline", "/contacts/{id}".to_owned()),
        ("home", "/".to_owned()),
        ("campaign page", format!("/campaigns/{campaign}")),
        ("campaigns", "/campaigns".to_owned()),
        ("messages", "/messages".to_owned()),
        ("segment, count", "/segments/{segment}/count".to_owned()),
    ] {
        let path = path.replace("{segment}", &measured.to_string());
        asker.ask(what, &path, middle, &mut program).await;
    }
    program.kill().ok();
    program.wait().ok();
    pool.close().await;
    if !keep {
        sqlx::raw_sql("drop database llovizna_bench_book").execute(&mut server).await.unwrap();
    }
}

async fn fill(pool: &PgPool, contacts: usize) {
    let started = Instant::now();
    db::migrate(pool).await.unwrap();
    let mut filling = pool.acquire().await.unwrap();
    sqlx::query(
        "select set_config('bench.contacts', $1, false), set_config('maintenance_work_mem', '512MB', false),
            set_config('work_mem', '256MB', false)",
    )
    .bind(contacts.to_string())
    .execute(&mut *filling)
    .await
    .unwrap();
    sqlx::raw_sql(include_str!("address_book.sql")).execute(&mut *filling).await.unwrap();
    sqlx::raw_sql("vacuum analyze").execute(&mut *filling).await.unwrap();
    filling.close().await.unwrap();
    println!("filled in {:.0} s", started.elapsed().as_secs_f64());
}

/// The program seals what happened to messages as soon as it is there: once that is done, only the pages are measured.
async fn until_sealed(pool: &PgPool) {
    let started = Instant::now();
    let left = "select exists (select from communication_events
        where id > coalesce((select last_event from evidence_seals order by position desc limit 1), 0))";
    while sqlx::query_scalar(left).fetch_one(pool).await.unwrap() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("sealed after {:.0} s", started.elapsed().as_secs_f64());
}

/// A rule of three conditions, messages among them.
async fn measured_segment(pool: &PgPool) -> i64 {
    const NAME: &str = "Medición";
    let there = sqlx::query_scalar("select id from segments where name = $1 and deleted_at is null")
        .bind(NAME)
        .fetch_optional(pool)
        .await
        .unwrap();
    if let Some(id) = there {
        return id;
    }
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
    let mut tx = pool.begin().await.unwrap();
    let id = segment::create(&mut tx, Utc::now(), &Actor::CommandLine, NAME, &rule).await.unwrap();
    tx.commit().await.unwrap();
    id.0
}

async fn sign_in(pool: &PgPool) -> String {
    let staff: i64 = sqlx::query_scalar(
        "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
         values ('bench@llovizna.example', 'Medición', 'SUPERADMIN', 'none', now(), now())
         on conflict (email) do update set name = excluded.name returning id",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let mut tx = pool.begin().await.unwrap();
    let token = session::start(&mut tx, Utc::now(), StaffId(staff), "bench").await.unwrap();
    tx.commit().await.unwrap();
    token
}

/// Who asks, over as many connections as there are tasks.
struct Asker {
    client: reqwest::Client,
    base: String,
    cookie: String,
}

impl Asker {
    fn new(port: u16, token: &str) -> Asker {
        Asker {
            client: reqwest::Client::new(),
            base: format!("http://127.0.0.1:{port}"),
            cookie: format!("llovizna={token}"),
        }
    }

    async fn until_ready(&self) {
        for _ in 0..300 {
            if self
                .client
                .get(format!("{}/readyz", self.base))
                .send()
                .await
                .is_ok_and(|it| it.status().is_success())
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the program does not answer");
    }

    /// Ask for `path` over and over, `{id}` being another person each time, and print how long it took.
    async fn ask(&self, what: &str, path: &str, middle: i64, program: &mut Child) {
        let requests = choice("REQUESTS", 400);
        let next = Arc::new(AtomicUsize::new(0));
        let (cpu, started) = (seconds_of(program.id()), Instant::now());
        let lanes: Vec<_> = (0..choice("CONNECTIONS", 8))
            .map(|_| {
                let (client, cookie, next) = (self.client.clone(), self.cookie.clone(), Arc::clone(&next));
                let url = format!("{}{path}", self.base);
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= requests {
                            return took;
                        }
                        let person = middle + i64::try_from(number).unwrap() % middle;
                        let began = Instant::now();
                        let reply = client
                            .get(url.replace("{id}", &person.to_string()))
                            .header("cookie", &cookie)
                            .send()
                            .await
                            .unwrap();
                        assert!(reply.status().is_success(), "{url}: {}", reply.status());
                        reply.bytes().await.unwrap();
                        took.push(began.elapsed());
                    }
                })
            })
            .collect();
        let mut took = Vec::new();
        for lane in lanes {
            took.extend(lane.await.unwrap());
        }
        let whole = started.elapsed().as_secs_f64();
        took.sort();
        let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
        println!(
            "{what:34} p50 {:7.1} ms, p99 {:7.1} ms, {:6.0}/s, program {:.2} ms of processor each, load {}",
            at(50),
            at(99),
            requests as f64 / whole,
            (seconds_of(program.id()) - cpu) * 1000.0 / requests as f64,
            load()
        );
    }
}

/// Processor time that a process has used, in seconds.
fn seconds_of(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = text.rsplit(") ").next().unwrap_or_default();
    let ticks: u32 = after.split(' ').skip(11).take(2).filter_map(|it| it.parse::<u32>().ok()).sum();
    f64::from(ticks) / 100.0
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
