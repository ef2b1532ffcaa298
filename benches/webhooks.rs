//! How fast providers may tell what became of messages: calls over real HTTP to
//! the program itself, each written down before it is answered, then applied.
//!
//! `DATABASE_URL=postgres://... cargo bench --bench webhooks` makes a database
//! `llovizna_bench_webhooks` on that server and drops it. `CALLS` and
//! `CONNECTIONS` choose other sizes.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads its choices and prints"
)]

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const DATABASE: &str = "llovizna_bench_webhooks";

#[tokio::main]
async fn main() {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        println!("DATABASE_URL is not set: nothing was measured");
        return;
    };
    let (calls, connections) = (choice("CALLS", 20_000), choice("CONNECTIONS", 8));
    println!("load before: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let options: PgConnectOptions = url.parse().expect("DATABASE_URL");
    let mut server = PgConnection::connect_with(&options).await.expect("the server answers");
    drop_database(&mut server).await;
    sqlx::raw_sql("create database llovizna_bench_webhooks").execute(&mut server).await.unwrap();
    let target = options.database(DATABASE);
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut program = start(&target, home.path(), port);
    until_ready(port).await;
    let mut db = PgConnection::connect_with(&target).await.unwrap();
    messages(&mut db, calls).await;

    let (next, started) = (Arc::new(AtomicUsize::new(1)), Instant::now());
    let callers: Vec<_> =
        (0..connections).map(|_| tokio::spawn(call_all(port, calls, next.clone()))).collect();
    let mut waits = Vec::with_capacity(calls);
    for it in callers {
        waits.extend(it.await.unwrap());
    }
    let took = started.elapsed().as_secs_f64();
    waits.sort_unstable();
    println!(
        "{calls} calls over {connections} connections: {:.0} accepted/s, p50 {:?}, p99 {:?}",
        calls as f64 / took,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    let delivered = "select count(*) from communication_logs where status = 'DELIVERED'";
    while usize::try_from(sqlx::query_scalar::<_, i64>(delivered).fetch_one(&mut db).await.unwrap()).unwrap()
        < calls
    {
        assert!(started.elapsed() < Duration::from_mins(10), "some were never applied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed().as_secs_f64();
    println!("all applied {took:.1} s after the first call: {:.0}/s", calls as f64 / took);
    println!("the program's most memory: {} MB", memory(program.id()) / 1024);
    program.kill().unwrap();
    program.wait().unwrap();
    db.close().await.unwrap();
    drop_database(&mut server).await;
}

fn choice(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |it| it.parse().expect("a number"))
}

async fn drop_database(server: &mut PgConnection) {
    sqlx::raw_sql("drop database if exists llovizna_bench_webhooks with (force)")
        .execute(server)
        .await
        .unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(target: &PgConnectOptions, home: &std::path::Path, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_llovizna"))
        .arg("serve")
        .env("DATABASE_URL", target.to_url_lossy().as_str())
        .env("LLOVIZNA_HOME", home)
        .env("BIND_ADDR", format!("127.0.0.1:{port}"))
        .env("SCHEDULER", "off")
        .env("POSTMARK_WEBHOOK_SECRET", "clave-de-medir-larga")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

async fn until_ready(port: u16) {
    let began = Instant::now();
    loop {
        if let Ok(mut line) = TcpStream::connect(("127.0.0.1", port)).await
            && exchange(&mut line, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.contains(" 200 ")
        {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "the program is not ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `count` messages that left, to `p1@x.example` and on.
async fn messages(db: &mut PgConnection, count: usize) {
    sqlx::query(
        "with who as (
             insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
             select 'P' || n, 'p' || n || '@x.example', 'CONSENT', 'p' || n, now(), now() from generate_series(1, $1) n
             returning id, email
         ), made as (
             insert into communication_logs (origin, contact_id, communication_type, message_type, destination, subject,
                 status, external_id, drip_run_id, claimed_at, scheduled_at, next_attempt_at, created_at, sent_at)
             select 'MANUAL', id, 'EMAIL', 'PROMOCIONAL', email, 'Hola', 'SENT', email, 9, now(), now(), now(), now(), now()
             from who returning id
         )
         insert into communication_events (communication_log_id, at, kind) select id, now(), 'SENT' from made",
    )
    .bind(i64::try_from(count).unwrap())
    .execute(&mut *db)
    .await
    .unwrap();
    sqlx::raw_sql("analyze").execute(db).await.unwrap();
}

/// Call over one connection until all are told; how long each answer took.
async fn call_all(port: u16, calls: usize, next: Arc<AtomicUsize>) -> Vec<Duration> {
    let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    line.set_nodelay(true).unwrap();
    let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut waits = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::SeqCst);
        if n > calls {
            return waits;
        }
        let body = format!(
            r#"{{"RecordType":"Delivery","ServerID":23,"MessageStream":"broadcast","MessageID":"00000000-0000-0000-0000-{n:012}","Recipient":"p{n}@x.example","Tag":"","DeliveredAt":"{at}","Details":"250 Ok","Metadata":{{}}}}"#
        );
        // llovizna:clave-de-medir-larga
        let request = format!(
            "POST /webhooks/email/postmark HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Authorization: Basic bGxvdml6bmE6Y2xhdmUtZGUtbWVkaXItbGFyZ2E=\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let started = Instant::now();
        let answer = exchange(&mut line, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        waits.push(started.elapsed());
    }
}

/// One request and its whole answer.
async fn exchange(line: &mut TcpStream, request: &str) -> String {
    if line.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| {
                let (name, value) = it.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if length.is_none_or(|it| body.len() >= it) {
                return text.into_owned();
            }
        }
        if line.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return String::from_utf8_lossy(&answer).into_owned();
        }
    }
}

/// Most memory so far, in KB.
fn memory(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
