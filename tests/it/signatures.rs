//! DKIM signatures, judged by an implementation that is not ours.

use crate::{
    email::{email, settings},
    support::smtp::Server,
};
use llovizna::{
    channels::{
        Outgoing, Sender as _,
        email::{Smtp, published_key},
    },
    config::{Dkim, Secret, SmtpTls},
};
use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/files").join(name)
}

pub(crate) fn dkim(key: &str) -> Dkim {
    Dkim {
        domain: "nirehue.cl".to_owned(),
        selector: "s1".to_owned(),
        key_pem: Secret::new(std::fs::read_to_string(file(key)).unwrap()),
    }
}

/// The Python that knows dkimpy: Debian's own has the package python3-dkim.
fn python() -> &'static str {
    let knows = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import dkim, nacl"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|it| it.success())
    };
    ["/usr/bin/python3", "python3"]
        .into_iter()
        .find(knows)
        .expect("dkimpy and PyNaCl: apt install python3-dkim python3-nacl")
}

/// Asks an independent implementation; gives the names that were signed.
fn verified(message: &[u8], record: &str) -> Result<String, String> {
    static PYTHON: LazyLock<&str> = LazyLock::new(python);
    let mut verifier = Command::new(*PYTHON)
        .arg(file("verify_dkim.py"))
        .arg(std::fs::read_to_string(file(record)).unwrap().trim())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    verifier.stdin.take().unwrap().write_all(message).unwrap();
    let output = verifier.wait_with_output().unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(told(&output.stdout)) } else { Err(told(&output.stderr)) }
}

#[test]
fn the_record_to_publish_is_what_openssl_makes_of_the_key() {
    for (key, record) in [
        ("dkim_rsa_pkcs1.pem", "dkim_rsa.txt"),
        ("dkim_rsa_pkcs8.pem", "dkim_rsa.txt"),
        ("dkim_ed25519.pem", "dkim_ed25519.txt"),
    ] {
        let record = std::fs::read_to_string(file(record)).unwrap();
        assert_eq!(published_key(&dkim(key)).unwrap(), record.trim(), "{key}");
    }
}

#[tokio::test]
async fn signatures_verify_with_an_independent_implementation() {
    for (key, record) in [
        ("dkim_rsa_pkcs1.pem", "dkim_rsa.txt"),
        ("dkim_rsa_pkcs8.pem", "dkim_rsa.txt"),
        ("dkim_ed25519.pem", "dkim_ed25519.txt"),
    ] {
        let server = Server::start();
        let smtp = Smtp::new(settings(&server, SmtpTls::None), Some(&dkim(key))).unwrap();
        let mut only_text = email(2);
        only_text.html = String::new();
        only_text.list_id = None;
        only_text.subject = "  sin   adornos, con tab\ty muy largo ".repeat(9);
        for it in [email(1), only_text] {
            smtp.send(&Outgoing::Email(it)).await.unwrap();
        }
        for (number, received) in server.received().iter().enumerate() {
            let signed = verified(&received.data, record)
                .unwrap_or_else(|told| panic!("{key}: {told}\n{}", received.text()));
            for name in [
                "from",
                "to",
                "subject",
                "date",
                "message-id",
                "reply-to",
                "mime-version",
                "list-unsubscribe",
                "list-unsubscribe-post",
                "feedback-id",
            ] {
                assert!(signed.split(' ').any(|it| it == name), "{name} is not among {signed}");
            }
            if number > 0 {
                continue;
            }
            // Whoever alters the link or the text, or adds a second From, breaks it.
            let text = received.text();
            for (from, to) in [
                ("crm.nirehue.cl/u/", "evil.example/u/"),
                ("Hola", "Chao"),
                ("\r\nFrom: ", "\r\nFrom: evil@evil.example\r\nFrom: "),
            ] {
                let altered = text.replacen(from, to, 1);
                assert_ne!(altered, text);
                assert!(verified(altered.as_bytes(), record).is_err(), "{key}: {from} may be altered");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_told_at_start() {
    let server = Server::start();
    let refused = |dkim: &Dkim| Smtp::new(settings(&server, SmtpTls::None), Some(dkim)).err().unwrap();
    assert!(refused(&dkim("dkim_rsa_1024.pem")).contains("2048 bits"));
    assert!(refused(&dkim("dkim_rsa.txt")).contains("PEM"));
    let mut other = dkim("dkim_ed25519.pem");
    other.domain = "nirehue".to_owned();
    assert!(refused(&other).contains("DKIM_DOMAIN"));
    other.domain = "nirehue.cl".to_owned();
    other.selector = "s 1; p=x".to_owned();
    assert!(refused(&other).contains("DKIM_SELECTOR"));
}
