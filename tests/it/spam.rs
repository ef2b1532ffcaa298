//! What a filter that is not ours makes of our letters.

use crate::{
    campaigns::{BUSINESS, people, save, seeded, start},
    email::settings,
    signatures::dkim,
    support::{Mailbox, TestApp, smtp::Server},
    templates::{drip, entry},
};
use chrono::TimeDelta;
use llovizna::{
    access::Actor,
    campaigns::copies,
    channels::{Channel, email::Smtp},
    config::SmtpTls,
    db::MIGRATIONS,
    messaging::library::{self, Kind},
};
use sqlx::PgPool;
use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

/// `SpamAssassin`'s points for a message, and the rules that gave them; it asks nothing of the network.
fn points(message: &[u8], date: &str) -> (f64, String) {
    // By whom it came, and when: without such a line a message counts as never sent.
    let came = format!(
        "Received: from mx.lluviasur.example (mx.lluviasur.example [203.0.113.7])\r\n\
         \tby mail.ejemplo.example with ESMTPS id 4Gx1; {date}\r\n"
    );
    let mut judge = Command::new("spamassassin")
        .args(["--local", "--test-mode", "--nocreate-prefs"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("SpamAssassin: apt install spamassassin");
    let mut input = judge.stdin.take().unwrap();
    input.write_all(came.as_bytes()).unwrap();
    input.write_all(message).unwrap();
    drop(input);
    let told = judge.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let status = told.split("X-Spam-Status:").nth(1).expect("a judgement");
    let score = status.split("score=").nth(1).unwrap().split_whitespace().next().unwrap();
    let rules: Vec<&str> = told
        .lines()
        .filter(|it| it.trim_start().starts_with(|it: char| it == '-' || it.is_ascii_digit()))
        .collect();
    (score.parse().unwrap(), rules.join("\n"))
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_filter_finds_nothing_in_the_texts_that_come_with_the_program(db: PgPool) {
    let server = Server::start();
    let mut key = dkim("dkim_rsa_pkcs8.pem");
    key.domain = "lluviasur.example".to_owned();
    let smtp = Smtp::new(settings(&server, SmtpTls::None), Some(&key)).unwrap();
    let environment = [BUSINESS, &[("PUBLIC_URL", "https://crm.lluviasur.example")]].concat();
    let app = TestApp::with_sender(db, &environment, Mailbox::default(), Arc::new(smtp));
    people(&app, "sur", 1).await;

    let first = seeded(&app).await;
    let mut campaigns = vec![("Prospección Los Lagos".to_owned(), first)];
    for (id, _, name) in library::choices(&app.state.db, Channel::Email, Kind::ALL).await.unwrap() {
        let text = entry(&app, id).await;
        let mut tx = app.state.db.begin().await.unwrap();
        let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, first).await.unwrap();
        tx.commit().await.unwrap();
        save(&app, copy, |it| it.source = text.draft.source).await.unwrap();
        campaigns.push((name, copy));
    }
    assert!(campaigns.len() > 3, "{campaigns:?}");
    for (at, (name, id)) in campaigns.iter().enumerate() {
        start(&app, *id).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        drip(&app).await;
        let received = server.received();
        assert_eq!(received.len(), at + 1, "{name} left");
        let (points, rules) = points(&received[at].data, &received[at].header("Date").unwrap());
        assert!(points < 1.0, "{name}: {points}\n{rules}");
        // Past every cap, a Monday again, none of them a holiday.
        app.state.clock.advance(TimeDelta::weeks(7));
    }
}

#[test]
fn the_filter_is_not_asleep() {
    let (points, rules) = points(
        b"From: x@x.example\r\nTo: y@y.example\r\nSubject: hi\r\nMessage-ID: <1@x.example>\r\n\
          Date: Mon, 23 Nov 2026 12:00:00 -0300\r\n\r\n\
          XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n",
        "Mon, 23 Nov 2026 12:00:05 -0300",
    );
    assert!(points > 100.0, "{points}\n{rules}");
}
