//! Email over real sockets: what each answer and each cut of an SMTP server
//! means for a message, how the line is protected, and the built-in outbox.

use crate::support::smtp::{Action, Moment, Options, Protection, Server, Stage};
use chrono::{TimeZone, Utc};
use llovizna::{
    channels::{
        Accepted, Channel, Email, Outgoing, SendError, Sender,
        email::{Smtp, Timeouts},
        open, outbox,
    },
    config::{self, Config, Secret, SmtpTls},
};
use sqlx::PgPool;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How to reach `server`.
pub(crate) fn settings(server: &Server, tls: SmtpTls) -> config::Smtp {
    config::Smtp { host: "127.0.0.1".to_owned(), port: server.port(), tls, credentials: None, connections: 4 }
}

fn smtp(server: &Server) -> Smtp {
    Smtp::new(settings(server, SmtpTls::None), None).unwrap()
}

fn signed_in(server: &Server, password: &str) -> Smtp {
    let mut settings = settings(server, SmtpTls::None);
    settings.credentials = Some(("ventas".to_owned(), Secret::new(password)));
    Smtp::new(settings, None).unwrap()
}

/// A promotional message.
pub(crate) fn email(number: i64) -> Email {
    Email {
        message: number,
        date: Utc.with_ymd_and_hms(2026, 10, 13, 12, 0, 0).unwrap(),
        from_name: "Turismo Ñirehue".to_owned(),
        from_email: "ventas@nirehue.cl".to_owned(),
        reply_to: Some("hola@nirehue.cl".to_owned()),
        to_name: "María Soto".to_owned(),
        to_email: "maria.soto@ejemplo.cl".to_owned(),
        subject: "Cabañas con tinaja: 20 % de descuento".to_owned(),
        html: "<p>Hola, María</p>\n<p>.una línea con punto</p>\n".to_owned(),
        plain: "Hola, María\n.una línea con punto\n..dos\n.\nfin  \n\n\n".to_owned(),
        message_id: format!("{number}.prueba@nirehue.cl"),
        unsubscribe_url: Some("https://crm.nirehue.cl/u/0b7c2a".to_owned()),
        list_id: Some("Turismo Ñirehue <lista.nirehue.cl>".to_owned()),
        feedback_id: Some("c7:nirehue:promo:llovizna".to_owned()),
        auto_submitted: false,
    }
}

async fn send(smtp: &Smtp, number: i64) -> Result<Accepted, SendError> {
    smtp.send(&Outgoing::Email(email(number))).await
}

fn kind(result: &Result<Accepted, SendError>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(SendError::Temporary { .. }) => "temporary",
        Err(SendError::Unavailable { .. }) => "unavailable",
        Err(SendError::Recipient { dead: true, .. }) => "dead",
        Err(SendError::Recipient { dead: false, .. }) => "refused",
        Err(SendError::Sender { .. }) => "sender",
        Err(SendError::Policy { .. }) => "policy",
        Err(SendError::Uncertain { .. }) => "uncertain",
    }
}

/// What one message meets at a server that answers `line` at `stage`, and that
/// the next message over the same sender meets the same.
async fn meets(stage: Stage, line: &'static str) -> &'static str {
    let server = Server::answering(stage, line);
    let smtp = smtp(&server);
    let first = send(&smtp, 1).await;
    let second = send(&smtp, 2).await;
    assert_eq!(kind(&first), kind(&second), "{line}: the conversation went out of step");
    assert_eq!(server.accepted(), 0, "{line}");
    kind(&first)
}

#[tokio::test]
async fn an_accepted_message_arrives_as_it_was_and_keeps_its_identity() {
    let server = Server::start();
    let accepted = send(&smtp(&server), 7).await.unwrap();
    assert_eq!(accepted.external_id, "7.prueba@nirehue.cl");
    assert_eq!(accepted.answer, "250 2.0.0 Ok: queued as 1");
    let received = server.received().remove(0);
    assert_eq!(
        (received.from.as_str(), received.to.as_str()),
        ("ventas@nirehue.cl", "maria.soto@ejemplo.cl")
    );
    assert_eq!(received.message_id(), "7.prueba@nirehue.cl");
    assert_eq!(received.header("Date").unwrap(), "Tue, 13 Oct 2026 12:00:00 +0000");
    assert_eq!(received.header("List-Unsubscribe").unwrap(), "<https://crm.nirehue.cl/u/0b7c2a>");
    assert_eq!(received.header("List-Unsubscribe-Post").unwrap(), "List-Unsubscribe=One-Click");
    assert_eq!(received.header("Reply-To").unwrap(), "hola@nirehue.cl");
    let text = received.text();
    assert!(text.contains("\r\n.una l=C3=ADnea con punto\r\n..dos\r\n.\r\nfin"), "{text}");
}

#[tokio::test]
async fn we_present_ourselves_by_a_full_name_or_an_address_and_say_the_size() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let server = Server::scripted(move |it| {
        if matches!(it.stage, Stage::Hello | Stage::Mail) {
            heard.lock().unwrap().push(it.line.to_owned());
        }
        Action::Usual
    });
    send(&smtp(&server), 1).await.unwrap();
    let lines = lines.lock().unwrap();
    let name = lines[0].strip_prefix("EHLO ").unwrap();
    assert!(name.contains('.') || (name.starts_with('[') && name.ends_with(']')), "{name}");
    assert_eq!(lines[1], format!("MAIL FROM:<ventas@nirehue.cl> SIZE={}", server.received()[0].data.len()));
}

#[tokio::test]
async fn a_connection_serves_many_messages() {
    for pipelining in [true, false] {
        let server = Server::with(Options { pipelining, ..Options::default() });
        let smtp = smtp(&server);
        for number in 0..20 {
            send(&smtp, number).await.unwrap();
        }
        assert_eq!((server.accepted(), server.connections()), (20, 1));
    }
}

#[tokio::test]
async fn no_more_connections_are_held_than_were_asked_for() {
    let server = Server::start();
    let smtp = Arc::new(smtp(&server));
    let sending: Vec<_> = (0..40)
        .map(|number| {
            let smtp = Arc::clone(&smtp);
            tokio::spawn(async move { send(&smtp, number).await })
        })
        .collect();
    for it in sending {
        it.await.unwrap().unwrap();
    }
    assert_eq!(server.accepted(), 40);
    assert!(server.connections() <= 4, "{}", server.connections());
}

#[tokio::test]
async fn a_busy_server_is_away_and_greylisting_is_about_one_message() {
    for (stage, expected) in [
        (Stage::Connect, "unavailable"),
        (Stage::Hello, "unavailable"),
        (Stage::Mail, "unavailable"),
        (Stage::Rcpt, "temporary"),
        (Stage::Data, "temporary"),
        (Stage::Dot, "temporary"),
    ] {
        assert_eq!(meets(stage, "450 4.2.0 Greylisted, try again later").await, expected, "{stage:?}");
        assert_eq!(meets(stage, "421 4.7.28 Too much mail").await, expected, "{stage:?}");
    }
    assert_eq!(meets(Stage::Mail, "550 5.4.5 Daily user sending limit exceeded").await, "unavailable");
}

#[tokio::test]
async fn greylisting_lets_the_second_try_through() {
    let server = Server::scripted(|it| match it.stage {
        Stage::Rcpt if it.message == 1 => Action::Say("451 4.7.1 Greylisted"),
        _ => Action::Usual,
    });
    let smtp = smtp(&server);
    assert_eq!(kind(&send(&smtp, 1).await), "temporary");
    assert_eq!(kind(&send(&smtp, 1).await), "accepted");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_unknown_user_is_dead_wherever_it_is_said() {
    for stage in [Stage::Rcpt, Stage::Data, Stage::Dot] {
        assert_eq!(meets(stage, "550 5.1.1 User unknown").await, "dead", "{stage:?}");
    }
    assert_eq!(meets(Stage::Rcpt, "556 5.1.10 Domain has a null MX").await, "dead");
    assert_eq!(meets(Stage::Rcpt, "550 5.1.2 Host unknown").await, "dead");
}

#[tokio::test]
async fn a_full_mailbox_refuses_one_message_and_marks_nobody() {
    assert_eq!(meets(Stage::Rcpt, "552 5.2.2 Mailbox full").await, "refused");
    assert_eq!(meets(Stage::Dot, "552 5.3.4 Message too big").await, "refused");
}

#[tokio::test]
async fn refusals_of_us_are_the_senders() {
    for (stage, line) in [
        (Stage::Connect, "554 5.7.1 Go away"),
        (Stage::Hello, "550 5.7.1 HELO rejected"),
        (Stage::Mail, "550 5.1.8 Sender domain not found"),
        (Stage::Mail, "530 5.7.0 Must issue a STARTTLS command first"),
        (Stage::Rcpt, "554 5.7.1 Relay access denied"),
        (Stage::Rcpt, "530 5.7.1 Authentication required"),
        (Stage::Dot, "550 5.7.515 Access denied, sending domain does not pass DMARC"),
        (Stage::Dot, "550 5.7.26 Unauthenticated mail"),
    ] {
        assert_eq!(meets(stage, line).await, "sender", "{line}");
    }
}

#[tokio::test]
async fn one_refused_recipient_does_not_spoil_the_next_message() {
    for pipelining in [true, false] {
        let server = Server::with(Options {
            pipelining,
            script: Arc::new(|it| match (it.stage, it.message) {
                (Stage::Rcpt, 1) => Action::Say("550 5.1.1 User unknown"),
                // As some servers do: they ask for a message that nobody will get.
                (Stage::Data, 1) => Action::Say("354 go on"),
                _ => Action::Usual,
            }),
            ..Options::default()
        });
        let smtp = smtp(&server);
        assert_eq!(kind(&send(&smtp, 1).await), "dead");
        assert_eq!(kind(&send(&smtp, 2).await), "accepted");
        let last = server.received().pop().unwrap();
        assert_eq!(last.message_id(), "2.prueba@nirehue.cl");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_line_cut_before_the_recipient_is_a_server_that_is_away_and_later_about_the_message() {
    for (stage, expected) in [
        (Stage::Connect, "unavailable"),
        (Stage::Hello, "unavailable"),
        (Stage::Mail, "unavailable"),
        (Stage::Rcpt, "temporary"),
        (Stage::Data, "temporary"),
    ] {
        let server = Server::scripted(move |it| if it.stage == stage { Action::Cut } else { Action::Usual });
        assert_eq!(kind(&send(&smtp(&server), 1).await), expected, "{stage:?}");
    }
}

#[tokio::test]
async fn a_line_cut_after_the_final_dot_is_uncertain() {
    for (stage, taken) in [(Stage::Dot, 0), (Stage::Taken, 1)] {
        let server = Server::scripted(move |it| if it.stage == stage { Action::Cut } else { Action::Usual });
        let smtp = smtp(&server);
        assert_eq!(kind(&send(&smtp, 1).await), "uncertain", "{stage:?}");
        assert_eq!(server.accepted(), taken);
        // It is not tried again behind our back, and the next one uses a fresh line.
        assert_eq!((server.connections(), kind(&send(&smtp, 2).await)), (1, "uncertain"));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_smtp_after_the_dot_is_uncertain() {
    let server = Server::answering(Stage::Taken, "hola");
    assert_eq!(kind(&send(&smtp(&server), 1).await), "uncertain");
}

#[tokio::test]
async fn a_silent_server_is_away_before_the_dot_and_uncertain_after() {
    let short = Timeouts {
        connect: Duration::from_secs(5),
        command: Duration::from_millis(600),
        accept: Duration::from_millis(600),
    };
    let stages = [
        (Stage::Connect, "unavailable"),
        (Stage::Hello, "unavailable"),
        (Stage::Mail, "unavailable"),
        (Stage::Data, "temporary"),
        (Stage::Dot, "uncertain"),
        (Stage::Taken, "uncertain"),
    ];
    futures_util::future::join_all(stages.map(|(stage, expected)| async move {
        let server =
            Server::scripted(move |it| if it.stage == stage { Action::Silence } else { Action::Usual });
        let smtp = smtp(&server).with_timeouts(short);
        assert_eq!(kind(&send(&smtp, 1).await), expected, "{stage:?}");
    }))
    .await;
}

#[tokio::test]
async fn nobody_listening_and_an_unknown_host_are_away() {
    let server = Server::start();
    let mut settings = settings(&server, SmtpTls::None);
    drop(server);
    let refused = send(&Smtp::new(settings.clone(), None).unwrap(), 1).await;
    assert_eq!(kind(&refused), "unavailable");
    assert!(refused.unwrap_err().to_string().contains("rechazó la conexión"));
    settings.host = "smtp.no-existe.invalid".to_owned();
    assert_eq!(kind(&send(&Smtp::new(settings, None).unwrap(), 1).await), "unavailable");
}

#[tokio::test]
async fn a_connection_that_the_server_left_idle_is_replaced_once_without_a_word() {
    // A goodbye at MAIL, an unannounced cut at MAIL, and one right after the first message.
    for (stage, message, goodbye) in [
        (Stage::Mail, 2, Action::SayAndCut("421 4.4.2 Idle for too long")),
        (Stage::Mail, 2, Action::Say("421 4.7.0 Enough messages for one connection")),
        (Stage::Mail, 2, Action::Cut),
        (Stage::Taken, 1, Action::SayAndCut("250 2.0.0 Ok, and goodbye")),
    ] {
        let server = Server::scripted(move |it: &Moment<'_>| {
            let leave = it.connection == 1 && it.stage == stage && it.message == message;
            if leave { goodbye.clone() } else { Action::Usual }
        });
        let smtp = smtp(&server);
        assert_eq!(kind(&send(&smtp, 1).await), "accepted");
        assert_eq!(kind(&send(&smtp, 2).await), "accepted");
        let over: Vec<usize> = server.received().iter().map(|it| it.connection).collect();
        assert_eq!(over, [1, 2]);
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_fresh_line_is_not_asked_for_ever() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = Server::scripted(move |it| match it.stage {
        Stage::Mail if it.message > 1 => {
            counted.fetch_add(1, Ordering::SeqCst);
            Action::Cut
        }
        _ => Action::Usual,
    });
    let smtp = smtp(&server);
    assert_eq!(kind(&send(&smtp, 1).await), "accepted");
    assert_eq!(kind(&send(&smtp, 2).await), "unavailable");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the idle line and one fresh one");
}

#[tokio::test]
async fn a_password_is_asked_for_and_a_wrong_one_is_the_senders() {
    for auth in ["PLAIN LOGIN", "LOGIN", "PLAIN"] {
        let server =
            Server::with(Options { user: Some(("ventas", "clave larga")), auth, ..Options::default() });
        assert_eq!(kind(&send(&signed_in(&server, "clave larga"), 1).await), "accepted", "{auth}");
        let wrong = signed_in(&server, "otra");
        assert_eq!(kind(&send(&wrong, 2).await), "sender", "{auth}");
        let told = wrong.check().await.unwrap_err();
        assert!(told.contains("535 5.7.8") && told.contains("EMAIL_HOST_PASSWORD"), "{told}");
        assert_eq!(kind(&send(&smtp(&server), 3).await), "sender", "no password given");
    }
    let busy = Server::with(Options {
        user: Some(("ventas", "clave")),
        script: Arc::new(|it| match it.stage {
            Stage::Auth => Action::Say("454 4.7.0 Temporary authentication failure"),
            _ => Action::Usual,
        }),
        ..Options::default()
    });
    assert_eq!(kind(&send(&signed_in(&busy, "clave"), 1).await), "unavailable");
    let server = Server::with(Options { user: Some(("a", "b")), auth: "XOAUTH2", ..Options::default() });
    assert_eq!(kind(&send(&signed_in(&server, "b"), 1).await), "sender");
}

#[tokio::test]
async fn the_line_is_encrypted_and_the_certificate_checked() {
    for (protection, tls) in [(Protection::StartTls, SmtpTls::StartTls), (Protection::Tls, SmtpTls::Tls)] {
        let server =
            Server::with(Options { protection, user: Some(("ventas", "clave")), ..Options::default() });
        let mut settings = settings(&server, tls);
        settings.credentials = Some(("ventas".to_owned(), Secret::new("clave")));
        let trusting = || Smtp::new(settings.clone(), None).unwrap().trusting(server.authority()).unwrap();
        let smtp = trusting();
        assert_eq!(kind(&send(&smtp, 1).await), "accepted");
        assert_eq!(kind(&send(&smtp, 2).await), "accepted");
        assert!(smtp.check().await.unwrap().contains("conexión cifrada y aceptó el usuario"));
        // The public authorities did not issue it.
        let untrusting = Smtp::new(settings.clone(), None).unwrap();
        assert_eq!(kind(&send(&untrusting, 3).await), "sender");
        // It was issued to another name.
        let mut elsewhere = settings.clone();
        elsewhere.host = "127.0.0.2".to_owned();
        let elsewhere = Smtp::new(elsewhere, None).unwrap().trusting(server.authority()).unwrap();
        assert_ne!(kind(&send(&elsewhere, 4).await), "accepted");
        assert_eq!(server.accepted(), 2);
    }
}

#[tokio::test]
async fn encryption_is_never_given_up() {
    // The server does not offer it, or refuses it: nothing is said in the clear.
    let plain = Server::with(Options { user: Some(("ventas", "clave")), ..Options::default() });
    let mut set = settings(&plain, SmtpTls::StartTls);
    set.credentials = Some(("ventas".to_owned(), Secret::new("clave")));
    let smtp = Smtp::new(set, None).unwrap();
    assert_eq!(kind(&send(&smtp, 1).await), "sender");
    assert!(smtp.check().await.unwrap_err().contains("STARTTLS"));

    let refusing = Server::with(Options {
        protection: Protection::StartTls,
        script: Arc::new(|it| match it.stage {
            Stage::StartTls => Action::Say("554 5.7.3 TLS not available"),
            Stage::Mail => panic!("spoke in the clear"),
            _ => Action::Usual,
        }),
        ..Options::default()
    });
    let smtp = Smtp::new(settings(&refusing, SmtpTls::StartTls), None).unwrap();
    assert_eq!(kind(&send(&smtp, 1).await), "sender");

    // What is slipped in before the handshake is not taken for the server's word.
    let injecting = Server::with(Options {
        protection: Protection::StartTls,
        script: Arc::new(|it| match it.stage {
            Stage::StartTls => Action::Say("220 go ahead\r\n250-slipped in\r\n250 AUTH PLAIN"),
            _ => Action::Usual,
        }),
        ..Options::default()
    });
    let smtp = Smtp::new(settings(&injecting, SmtpTls::StartTls), None)
        .unwrap()
        .trusting(injecting.authority())
        .unwrap();
    assert_eq!(kind(&send(&smtp, 1).await), "sender");
    assert_eq!(plain.accepted() + refusing.accepted() + injecting.accepted(), 0);
}

#[tokio::test]
async fn a_message_above_the_announced_size_is_not_even_offered() {
    let server = Server::with(Options { size: Some(1000), ..Options::default() });
    let smtp = smtp(&server);
    let mut big = email(1);
    big.html = "<p>largo</p>\n".repeat(500);
    let result = smtp.send(&Outgoing::Email(big)).await;
    assert_eq!(kind(&result), "refused");
    assert!(result.unwrap_err().to_string().contains("acepta hasta"));
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn answers_that_are_kept_say_nothing_about_the_person() {
    let server = Server::answering(
        Stage::Rcpt,
        "550 5.1.1 <maria.soto@ejemplo.cl>: no mailbox maria.soto here, ask postmaster@ejemplo.cl",
    );
    let error = send(&smtp(&server), 1).await.unwrap_err().to_string();
    assert!(error.contains("550 5.1.1"), "{error}");
    assert!(!error.contains("maria") && !error.contains('@'), "{error}");
}

#[tokio::test]
async fn checking_a_server_sends_nothing() {
    let server = Server::start();
    let told = smtp(&server).check().await.unwrap();
    assert!(told.contains(&server.address().to_string()), "{told}");
    assert_eq!(server.accepted(), 0);
    let down = Server::answering(Stage::Connect, "554 5.3.2 No service");
    assert!(smtp(&down).check().await.unwrap_err().contains("554 5.3.2"));
}

#[tokio::test]
async fn each_accepted_message_is_a_line_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let server = Server::with(Options { ledger: Some(path.clone()), keep: false, ..Options::default() });
    let smtp = smtp(&server);
    send(&smtp, 1).await.unwrap();
    send(&smtp, 2).await.unwrap();
    assert_eq!(
        tokio::fs::read_to_string(path).await.unwrap(),
        "1.prueba@nirehue.cl\tmaria.soto@ejemplo.cl\n2.prueba@nirehue.cl\tmaria.soto@ejemplo.cl\n"
    );
    assert!(server.received().is_empty());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn without_a_server_messages_land_in_the_outbox_once_each(db: PgPool) {
    let config = Config::read(|_| None).unwrap();
    let senders = open(&config, &db).unwrap();
    let sender = &senders[&Channel::Email];
    assert!(!sender.is_real());
    for number in [1, 2, 1] {
        let accepted = sender.send(&Outgoing::Email(email(number))).await.unwrap();
        assert_eq!(accepted.external_id, format!("{number}.prueba@nirehue.cl"));
    }
    let all = outbox::list(&db, outbox::Place::Newest, 50).await.unwrap();
    assert_eq!(all.iter().map(|it| it.communication_log_id).collect::<Vec<_>>(), [2, 1]);
    let page = outbox::list(&db, outbox::Place::OlderThan(all[0].id), 50).await.unwrap();
    assert_eq!(page.iter().map(|it| it.id).collect::<Vec<_>>(), [all[1].id]);
    let back = outbox::list(&db, outbox::Place::NewerThan(all[1].id), 50).await.unwrap();
    assert_eq!(back.iter().map(|it| it.id).collect::<Vec<_>>(), [all[0].id]);
    let letter = outbox::get(&db, page[0].id).await.unwrap();
    assert_eq!(letter.html, email(1).html);
    assert!(letter.headers.contains(&("From".to_owned(), "Turismo Ñirehue <ventas@nirehue.cl>".to_owned())));
    assert_eq!(letter.unsubscribe_url(), Some("https://crm.nirehue.cl/u/0b7c2a"));
    assert!(matches!(outbox::get(&db, 999).await, Err(llovizna::error::Error::NotFound)));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn with_a_server_email_goes_to_it(db: PgPool) {
    let server = Server::start();
    let port = server.port().to_string();
    let config = Config::read(|name| match name {
        "EMAIL_HOST" => Some("127.0.0.1".to_owned()),
        "EMAIL_PORT" => Some(port.clone()),
        "EMAIL_USE_TLS" => Some("none".to_owned()),
        _ => None,
    })
    .unwrap();
    let senders = open(&config, &db).unwrap();
    assert!(senders[&Channel::Email].is_real());
    senders[&Channel::Email].send(&Outgoing::Email(email(1))).await.unwrap();
    assert_eq!(server.accepted(), 1);
    assert!(outbox::list(&db, outbox::Place::Newest, 50).await.unwrap().is_empty());
}
