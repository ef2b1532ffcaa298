//! The mailbox, on a real Dovecot: bounces of several servers, complaints, answers.

use super::{excluded, message, settle, status_of};
use crate::{campaigns::BUSINESS, support::TestApp};
use chrono::TimeDelta;
use llovizna::{
    config::Config,
    error::Error,
    messaging::inbound::mailbox::{self, Outcome},
    scheduler::{self, jobs},
};
use sqlx::PgPool;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A Dovecot of its own, without privileges, over one Maildir.
struct Dovecot {
    folder: tempfile::TempDir,
    process: Child,
    plain: u16,
    tls: u16,
    authority: Vec<u8>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Dovecot {
    async fn start() -> Dovecot {
        let folder = tempfile::Builder::new().prefix("dovecot").tempdir().unwrap();
        let (plain, tls) = (free_port(), free_port());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let authority = made.cert.der().to_vec();
        let at = folder.path();
        fs::write(at.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(at.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        for part in ["Maildir/new", "Maildir/cur", "Maildir/tmp", "run"] {
            fs::create_dir_all(at.join(part)).unwrap();
        }
        let id = |args: &[&str]| {
            let out = Command::new("id").args(args).output().unwrap();
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        let user = id(&["-un"]);
        // Dovecot works for nobody who is root.
        let who = if user == "root" { "nobody" } else { &user };
        let config = format!(
            "base_dir = {at}/run\nstate_dir = {at}/run\nlog_path = {at}/log\nprotocols = imap\nssl = yes\n\
             ssl_cert = <{at}/cert.pem\nssl_key = <{at}/key.pem\ndisable_plaintext_auth = no\n\
             default_internal_user = {who}\ndefault_internal_group = {group}\ndefault_login_user = {who}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nmail_location = maildir:{at}/Maildir\n\
             passdb {{\n driver = static\n args = password=clave\n}}\n\
             userdb {{\n driver = static\n args = uid={uid} gid={gid} home={at}\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n address = 127.0.0.1\n port = {plain}\n }}\n inet_listener imaps {{\n address = 127.0.0.1\n port = {tls}\n }}\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n",
            at = at.display(),
            group = id(&["-gn", who]),
            uid = id(&["-u", who]),
            gid = id(&["-g", who]),
        );
        fs::write(at.join("dovecot.conf"), config).unwrap();
        if user == "root" {
            own_all(at, who);
        }
        let program =
            ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].into_iter().find(|it| Path::new(it).exists());
        let process = Command::new(program.unwrap_or("dovecot"))
            .args(["-F", "-c"])
            .arg(at.join("dovecot.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dovecot-imapd is installed by script/test");
        let mut tries = 0;
        while TcpStream::connect(("127.0.0.1", plain)).is_err() {
            tries += 1;
            assert!(tries < 200, "{}", fs::read_to_string(at.join("log")).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Dovecot { folder, process, plain, tls, authority }
    }

    /// Let a mail of `tests/it/files/mail` come in.
    fn deliver(&self, name: &str) {
        let from = PathBuf::from("tests/it/files/mail").join(format!("{name}.eml"));
        let to = self
            .folder
            .path()
            .join("Maildir/new")
            .join(format!("{}.{name}.here", 1_763_910_000 + self.count()));
        fs::copy(from, &to).unwrap();
        own_all(&to, "nobody");
    }

    fn count(&self) -> usize {
        ["new", "cur"]
            .iter()
            .map(|it| fs::read_dir(self.folder.path().join("Maildir").join(it)).unwrap().count())
            .sum()
    }

    fn url(&self) -> String {
        format!("imap://hola%40lluviasur.example:clave@127.0.0.1:{}/INBOX?tls=none", self.plain)
    }
}

/// Give what lies there to `who`, where we may.
fn own_all(at: &Path, who: &str) {
    let _ = Command::new("chown").arg("-R").arg(who).arg(at).stderr(Stdio::null()).status();
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master takes its children with it when it is asked to end.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

async fn read(app: &TestApp) -> Outcome {
    let imap = app.state.config.imap.clone().unwrap();
    mailbox::run_once(&app.state.db, app.now(), &imap, None, &CancellationToken::new()).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_comes_to_the_mailbox_does_what_it_means(db: PgPool) {
    let dovecot = Dovecot::start().await;
    let url = dovecot.url();
    let app = TestApp::with(db, &[BUSINESS, &[("IMAP_URL", url.as_str())]].concat());
    let mut ids = Vec::new();
    for n in 1..=18 {
        ids.push(message(&app, n, "SENT").await);
    }
    for name in [
        "gmail",
        "exchange",
        "postfix",
        "postfix_delayed",
        "postfix_full",
        "postfix_policy",
        "exim",
        "ses",
        "qmail",
        "arf",
        "jmrp",
        "reply",
        "reply_baja",
        "reply_mention",
        "oof_outlook",
        "oof_gmail",
        "oof_subject",
        "stranger",
        "baja_first",
        "notspam",
    ] {
        dovecot.deliver(name);
    }
    // The scheduled job is what reads it.
    let job = jobs::find("mailbox").unwrap();
    assert!(scheduler::tick(&app.state, job, &CancellationToken::new()).await.unwrap());
    let said: String =
        sqlx::query_scalar("select outcome from job_runs").fetch_one(&app.state.db).await.unwrap();
    assert_eq!(said, "20 correos leídos, 19 novedades.", "not the stranger's, nor the one that is no spam");
    settle(&app).await;
    let mut states = Vec::new();
    for id in &ids {
        states.push(status_of(&app, *id).await);
    }
    let expected = [
        "BOUNCED", "BOUNCED", "BOUNCED", "SENT", "BOUNCED", "BOUNCED", "BOUNCED", "BOUNCED", "SENT", "SENT",
        "SENT", "REPLIED", "REPLIED", "REPLIED", "SENT", "SENT", "SENT", "SENT",
    ];
    assert_eq!(states, expected);
    let email: Vec<String> = excluded(&app).await.into_iter().filter(|it| it.starts_with("EMAIL")).collect();
    assert_eq!(
        email,
        [
            "EMAIL p10@x.example PROMOTIONAL COMPLAINT",
            "EMAIL p11@x.example PROMOTIONAL COMPLAINT",
            "EMAIL p13@x.example PROMOTIONAL UNSUBSCRIBED",
            "EMAIL p18@x.example PROMOTIONAL UNSUBSCRIBED",
            "EMAIL p1@x.example ALL HARD_BOUNCE",
            "EMAIL p2@x.example ALL HARD_BOUNCE",
            "EMAIL p3@x.example ALL HARD_BOUNCE",
            "EMAIL p7@x.example ALL HARD_BOUNCE",
            "EMAIL p8@x.example ALL HARD_BOUNCE",
        ],
        "nobody else, least of all who is away or full"
    );
    // What says nothing of a message that we know waits for a person; nothing is read twice.
    assert!(app.get("/inbound?kind=unmatched").await.text().contains("p9@x.example"));
    assert_eq!(read(&app).await, Outcome::default());
    dovecot.deliver("gmail");
    assert_eq!(read(&app).await, Outcome { read: 1, new: 0 }, "the same mail is no news");
    assert_eq!(dovecot.count(), 21, "nothing is taken out of the mailbox");
    // Numbered anew, all is read again and known.
    sqlx::query("update mailbox_positions set uid_validity = 1").execute(&app.state.db).await.unwrap();
    assert_eq!(read(&app).await, Outcome { read: 21, new: 0 });
    let page = app.get("/settings/email").await.text();
    assert!(
        page.contains("Casilla de correo IMAP_URL Conectado hola@lluviasur.example en 127.0.0.1, INBOX"),
        "{page}"
    );
    assert!(!page.contains("clave@"), "no password");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_line_is_encrypted_and_a_wrong_password_is_said_so(db: PgPool) {
    let dovecot = Dovecot::start().await;
    dovecot.deliver("gmail");
    let app = TestApp::new(db);
    let read = async |url: String, authority: Option<Vec<u8>>| {
        let config = Config::read(|name| (name == "IMAP_URL").then(|| url.clone())).unwrap();
        let stop = CancellationToken::new();
        mailbox::run_once(&app.state.db, app.now(), &config.imap.unwrap(), authority, &stop).await
    };
    let sentence = |result: Result<Outcome, Error>| match result.unwrap_err() {
        Error::Refused(sentence) => sentence,
        other => panic!("{other:?}"),
    };
    let ca = || Some(dovecot.authority.clone());
    for url in [
        format!("imaps://a:clave@localhost:{}", dovecot.tls),
        format!("imap://b:clave@localhost:{}", dovecot.plain),
    ] {
        assert_eq!(read(url.clone(), ca()).await.unwrap().read, 1, "{url}");
        assert!(sentence(read(url, None).await).contains("certificado"), "a certificate of nobody's");
    }
    let wrong = read(format!("imaps://a:otra@localhost:{}", dovecot.tls), ca()).await;
    assert!(sentence(wrong).contains("no aceptó el usuario o la clave"));
    let nowhere = read(format!("imaps://a:clave@localhost:{}/Nada", dovecot.tls), ca()).await;
    assert!(sentence(nowhere).contains("no hay una carpeta «Nada»"));
    let closed = read(format!("imaps://a:clave@localhost:{}", free_port()), ca()).await;
    assert!(sentence(closed).contains("No se pudo conectar"));
    app.state.clock.advance(TimeDelta::minutes(10));
    let job = jobs::find("mailbox").unwrap();
    assert!(scheduler::tick(&app.state, job, &CancellationToken::new()).await.unwrap());
    let said: String =
        sqlx::query_scalar("select outcome from job_runs").fetch_one(&app.state.db).await.unwrap();
    assert!(said.contains("No hay casilla conectada"));
}
