//! How fast email leaves: 20 000 messages of 15 KB to a sink on this machine,
//! first by the SMTP sender alone, then drained from the queue, gate decided and
//! each result durable; then the proof of it sealed and checked.
//!
//! `DATABASE_URL=postgres://... cargo bench --bench drain` makes a database
//! `llovizna_bench_drain` on that server and drops it; without the variable only
//! the sender is measured. A sink is started as a process of its own;
//! `SINK=127.0.0.1:2525` takes another. `MESSAGES`, `CONNECTIONS` and `KEYS`
//! (`unsigned,RSA-2048,Ed25519`) choose other sizes. `QUEUE=500000` measures instead
//! how fast a campaign queues that many people, and the gate alone decides on them.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads its choices and prints"
)]

#[expect(dead_code, reason = "only tests read what it received")]
#[path = "../tests/it/support/smtp.rs"]
mod smtp;

use chrono::{DateTime, Utc};
use llovizna::{
    access::{Actor, Role},
    campaigns::launch,
    channels::{self, Channel, Email, Outgoing, Sender, email::Smtp},
    chile::business_hours::BusinessHours,
    clock::Clock,
    config::{self, Config, Dkim, Secret, SmtpTls},
    db,
    ids::{CampaignId, ContactId, StaffId, TemplateId},
    messaging::{
        drain::{self, Engine, Options, Run},
        evidence::{
            Key,
            seal::{self, Pass},
            verify,
        },
        gate::{self, Asked, Decision, Rules},
        kinds::{MessageType, OriginKind},
        limits,
        outbox::{self, Draft, Origin},
        runs::Trigger,
    },
    settings,
};
use ring::hmac;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

fn main() {
    if std::env::args().any(|it| it == "--sink") {
        return sink();
    }
    if let Ok(people) = std::env::var("QUEUE") {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(queue_all(&url, people.parse().expect("a number")));
    }
    let messages = choice("MESSAGES", 20_000);
    let connections = choice("CONNECTIONS", 4);
    let own = std::env::var("SINK").is_err().then(own_sink);
    let address = match &own {
        Some((_, address)) => *address,
        None => std::env::var("SINK").unwrap().parse().expect("SINK=127.0.0.1:2525"),
    };
    println!(
        "{messages} messages of {} KB over {connections} connections to {address}",
        template().len() / 1024
    );
    println!("load before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());

    let keys = std::env::var("KEYS").unwrap_or_else(|_| "unsigned,RSA-2048,Ed25519".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for key in keys.split(',') {
        let smtp = Arc::new(sender(address, connections, key));
        let started = Instant::now();
        runtime.block_on(send_all(smtp, messages, connections));
        report(&format!("sender alone, {key}"), messages, started);
    }
    match std::env::var("DATABASE_URL") {
        Ok(url) => {
            for key in keys.split(',') {
                runtime.block_on(drain_queue(&url, messages, key, sender(address, connections, key)));
            }
        }
        Err(_) => println!("DATABASE_URL is not set: the drain of the queue was not measured"),
    }
    if let Some((mut child, _)) = own {
        child.kill().ok();
        child.wait().ok();
    }
}

fn choice(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |it| it.parse().expect("a number"))
}

/// This program again, as the receiver, so that its memory and time are not ours.
fn own_sink() -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--sink")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the sink starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().expect("the sink tells its address"))
}

fn sink() {
    let server = smtp::Server::with(smtp::Options { keep: false, ..smtp::Options::default() });
    println!("{}", server.address());
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).ok();
}

fn sender(address: SocketAddr, connections: usize, key: &str) -> Smtp {
    let settings = config::Smtp {
        host: address.ip().to_string(),
        port: address.port(),
        tls: SmtpTls::None,
        credentials: None,
        connections,
    };
    let file = match key {
        "RSA-2048" => Some("dkim_rsa_pkcs8.pem"),
        "Ed25519" => Some("dkim_ed25519.pem"),
        _ => None,
    };
    let dkim = file.map(|file| Dkim {
        domain: "llovizna.example".to_owned(),
        selector: "s1".to_owned(),
        key_pem: Secret::new(
            std::fs::read_to_string(format!("{}/tests/it/files/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap(),
        ),
    });
    Smtp::new(settings, dkim.as_ref()).unwrap()
}

async fn send_all(smtp: Arc<Smtp>, messages: usize, lanes: usize) {
    let html = Arc::new(template());
    let next = Arc::new(AtomicUsize::new(0));
    let lanes: Vec<_> = (0..lanes)
        .map(|_| {
            let (smtp, html, next) = (Arc::clone(&smtp), Arc::clone(&html), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= messages {
                        return;
                    }
                    let email = email(number, html.replace("{{ first_name }}", "María"));
                    smtp.send(&Outgoing::Email(email)).await.expect("the sink takes everything");
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

/// Queue all of a campaign's `count` people as its engine does, then decide on each as a run would.
async fn queue_all(url: &str, count: usize) {
    let (mut server, pool) = own_database(url).await;
    println!("load before: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let clock = noon();
    let (campaign, _) = campaign(&pool, &clock).await;
    people(&pool, &clock, count).await;
    sqlx::raw_sql(
        "update campaigns set enqueue_done = false;
         insert into staff_users (name, email, password_hash, role, created_at, updated_at)
             values ('Ana', 'ana@ejemplo.cl', '', 'ADMIN', '2026-11-23', '2026-11-23');
         insert into companies (name, name_key, created_at, updated_at)
             select 'Empresa ' || i, 'empresa ' || i, '2026-11-23', '2026-11-23' from generate_series(1, 1000) i;
         update contacts set company_id = (select min(id) from companies) + id % 1000;",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum analyze contacts").execute(&pool).await.unwrap();
    sqlx::raw_sql("checkpoint").execute(&pool).await.unwrap();
    let actor = Actor::Staff { id: StaffId(1), name: "Ana".to_owned(), role: Role::Admin };
    let started = Instant::now();
    let done = launch::enqueue_rest(&pool, clock.now(), &actor, campaign).await.unwrap();
    report("queued by a campaign", count, started);
    assert_eq!(usize::try_from(done.queued).unwrap(), count, "{done:?}");

    let rehearsed = count.min(100_000);
    let engine = Engine {
        db: pool.clone(),
        senders: Arc::new(HashMap::from([(
            Channel::Email,
            Arc::new(sender("127.0.0.1:9".parse().unwrap(), 1, "")) as Arc<dyn Sender>,
        )])),
        config: Arc::new(config()),
        clock,
    };
    let options = Options {
        batch_size: Some(u32::try_from(rehearsed).unwrap()),
        dry_run: true,
        ..Options::new(Channel::Email, Trigger::CommandLine)
    };
    let started = Instant::now();
    drain::run(&engine, &options).await.unwrap();
    report("decided and set apart, and taken back", rehearsed, started);
    gate_alone(&engine, rehearsed).await;
    pool.close().await;
    sqlx::raw_sql("drop database llovizna_bench_drain").execute(&mut server).await.unwrap();
}

/// Facts and decision for pages of 1 000, nothing written.
async fn gate_alone(engine: &Engine, count: usize) {
    let mut db = engine.db.acquire().await.unwrap();
    let now = engine.clock.now();
    let calendar = settings::calendar(&mut *db).await.unwrap();
    let caps = limits::of_channel(&mut *db, Channel::Email).await.unwrap();
    let hours = BusinessHours::default();
    let ids: Vec<i64> = sqlx::query_scalar("select id from contacts order by id limit $1")
        .bind(i64::try_from(count).unwrap())
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let started = Instant::now();
    for page in ids.chunks(1000) {
        let kind = MessageType::Promocional;
        let asked: Vec<Asked> = page
            .iter()
            .map(|id| Asked {
                contact: Some(ContactId(*id)),
                destination: None,
                kind,
                is_test: false,
                asked_for: None,
            })
            .collect();
        let since = now - chrono::Days::new(31);
        let rules = Rules {
            calendar: &calendar,
            hours: &hours,
            caps: &caps,
            channel_left: None,
            campaign_left: None,
            winner_at: None,
        };
        for facts in gate::facts(&mut db, Channel::Email, &asked, Some(since)).await.unwrap() {
            let decision = gate::decide(OriginKind::Campaign, kind, &["first_name"], &facts, &rules, now);
            assert_eq!(decision, Decision::Allow);
        }
    }
    report("decided by the gate alone", count, started);
}

/// An empty database of our own, migrated.
async fn own_database(url: &str) -> (PgConnection, PgPool) {
    let options: PgConnectOptions = url.parse().expect("DATABASE_URL");
    let mut server = PgConnection::connect_with(&options).await.expect("the server answers");
    sqlx::raw_sql("drop database if exists llovizna_bench_drain").execute(&mut server).await.unwrap();
    sqlx::raw_sql("create database llovizna_bench_drain").execute(&mut server).await.unwrap();
    let pool = db::connect(options.database("llovizna_bench_drain"), 10).await.unwrap();
    db::migrate(&pool).await.unwrap();
    (server, pool)
}

/// A Monday at noon in Chile: the business window is open.
fn noon() -> Clock {
    Clock::fixed("2026-11-23T15:00:00Z".parse().unwrap())
}

fn config() -> Config {
    Config::read(|name| match name {
        "BUSINESS_NAME" => Some("Turismo Ñirehue".to_owned()),
        "BUSINESS_ADDRESS" => Some("San Francisco 100, Puerto Varas".to_owned()),
        "BUSINESS_EMAIL" => Some("ventas@llovizna.example".to_owned()),
        "EMAIL_DAILY_CAP" => Some("0".to_owned()),
        _ => None,
    })
    .unwrap()
}

/// Queue `messages` to as many people in a database of our own, and empty the queue.
async fn drain_queue(url: &str, messages: usize, key: &str, smtp: Smtp) {
    let (mut server, pool) = own_database(url).await;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&pool).await.unwrap();
    let clock = noon();
    let (campaign, template) = campaign(&pool, &clock).await;
    let people = people(&pool, &clock, messages).await;
    let started = Instant::now();
    for page in people.chunks(1000) {
        let draft = Draft {
            origin: Origin::Campaign(campaign),
            channel: Channel::Email,
            message_type: MessageType::Promocional,
            template,
            required: &["first_name"],
            scheduled_at: clock.now(),
        };
        let mut tx = pool.begin().await.unwrap();
        outbox::enqueue(&mut tx, clock.now(), &Actor::System, &draft, page).await.unwrap();
        tx.commit().await.unwrap();
    }
    report("queued by the gate", messages, started);

    let sender: Arc<dyn Sender> = Arc::new(smtp);
    let senders: channels::Senders = Arc::new(HashMap::from([(Channel::Email, sender)]));
    let engine = Engine { db: pool.clone(), senders, config: Arc::new(config()), clock };
    let options = Options {
        batch_size: Some(u32::try_from(messages).unwrap()),
        ..Options::new(Channel::Email, Trigger::CommandLine)
    };
    let started = Instant::now();
    let Run::Finished(run) = drain::run(&engine, &options).await.unwrap() else {
        panic!("another run lives")
    };
    report(&format!("drained from the queue, {key}, fsync {fsync}"), messages, started);
    assert_eq!(run.counts.sent as usize, messages, "{run:?}");
    prove(&pool, engine.clock.now()).await;
    pool.close().await;
    sqlx::raw_sql("drop database llovizna_bench_drain").execute(&mut server).await.unwrap();
}

/// Seal what the drain wrote, and check it.
async fn prove(pool: &PgPool, now: DateTime<Utc>) {
    let key = Key::new(hmac::Key::new(hmac::HMAC_SHA256, b"a key of the measurement"));
    let (started, mut events) = (Instant::now(), 0);
    loop {
        match seal::now(pool, now, &key).await.unwrap() {
            Pass::Idle => break,
            Pass::Busy => tokio::task::yield_now().await,
            Pass::Sealed(some) => events += some,
        }
    }
    report("sealed, events", events, started);
    let started = Instant::now();
    let found = verify::all(pool, &key, &verify::Question::default()).await.unwrap();
    assert_eq!((usize::try_from(found.events).unwrap(), found.broken), (events, None));
    report("verified, events", events, started);
}

async fn campaign(pool: &PgPool, clock: &Clock) -> (CampaignId, TemplateId) {
    let (campaign, template) = sqlx::query_as::<_, (i64, i64)>(
        "with t as (
             insert into message_templates
                 (communication_type, name, version, subject, body, body_format, footer, created_at)
             values ('EMAIL', 'bench', 1, 'Novedades para {{ first_name }}', $2, 'HTML',
                     'Baja: {{ unsubscribe_url }}', $1)
             returning id
         )
         insert into campaigns (name, status, audience, template_id, enqueue_done, created_at, updated_at)
         select 'Medición', 'RUNNING', '{}', id, true, $1, $1 from t
         returning id, template_id",
    )
    .bind(clock.now())
    .bind(self::template())
    .fetch_one(pool)
    .await
    .unwrap();
    (CampaignId(campaign), TemplateId(template))
}

async fn people(pool: &PgPool, clock: &Clock, count: usize) -> Vec<ContactId> {
    let ids = sqlx::query_scalar::<_, i64>(
        "insert into contacts (first_name, email, email_basis, search_key, created_at, updated_at)
         select 'Persona ' || i, 'persona' || i || '@ejemplo.cl', 'CONSENT', 'persona ' || i, $2, $2
         from generate_series(1, $1) i
         returning id",
    )
    .bind(i64::try_from(count).unwrap())
    .bind(clock.now())
    .fetch_all(pool)
    .await
    .unwrap();
    ids.into_iter().map(ContactId).collect()
}

fn email(number: usize, html: String) -> Email {
    Email {
        message: i64::try_from(number).unwrap(),
        date: Utc::now(),
        from_name: "Turismo Ñirehue".to_owned(),
        from_email: "ventas@llovizna.example".to_owned(),
        to_name: "María Soto".to_owned(),
        to_email: format!("persona{number}@ejemplo.cl"),
        subject: "Novedades de temporada para María".to_owned(),
        html,
        plain: "Hola María: tenemos novedades para tu empresa.\n".repeat(8),
        message_id: format!("{number}.bench@llovizna.example"),
        unsubscribe_url: Some(format!("https://crm.llovizna.example/u/{number:032x}")),
        list_id: Some("Turismo Ñirehue <promociones.llovizna.example>".to_owned()),
        feedback_id: Some("c1:llovizna.example:promocional:llovizna".to_owned()),
        ..Email::default()
    }
}

/// An ordinary newsletter of 15 KB: a heading, products in a table, a footer.
fn template() -> String {
    const STYLE: &str = "padding:12px 32px;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:22px;color:#333333;";
    let mut html = String::from(
        "<!DOCTYPE html><html lang=\"es\"><head><meta charset=\"utf-8\"><title>Novedades</title></head><body>\
         <table role=\"presentation\" width=\"600\"><tr><td><h1>Hola {{ first_name }}:</h1></td></tr>\n",
    );
    let words = "Garantía de servicio para la temporada: visita técnica, cotización en terreno y plan mensual con descuento. ";
    for product in 1.. {
        if html.len() > 15 * 1024 - 200 {
            break;
        }
        let _ = writeln!(
            html,
            "<tr><td width=\"280\" valign=\"top\" style=\"{STYLE}\">\
             <a href=\"https://www.llovizna.example/producto/{product}?utm_source=correo&amp;utm_campaign=goteo\">\
             <img src=\"https://www.llovizna.example/img/{product}.jpg\" width=\"536\" height=\"180\" alt=\"Producto {product}\"></a>\n\
             <p style=\"margin:0 0 12px\">{}</p></td></tr>",
            words.repeat(4)
        );
    }
    html.push_str("<tr><td>Turismo Ñirehue Ltda., Puerto Varas</td></tr></table></body></html>\n");
    html
}

fn report(what: &str, messages: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = messages as f64 / seconds;
    println!("{what}: {seconds:.2} s, {rate:.0}/s, peak memory {} MB", peak_memory());
}

/// Most memory this process ever held (`VmHWM`), in MB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap_or_default().to_owned();
    line.split_ascii_whitespace().next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0) / 1024
}
