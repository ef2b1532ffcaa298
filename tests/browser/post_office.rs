//! A real SMTP server process that takes every message and keeps it as a file.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};
use tempfile::TempDir;

/// The process; it ends when dropped.
pub(crate) struct PostOffice {
    /// Where it listens.
    pub(crate) port: String,
    process: Child,
    input: Option<ChildStdin>,
    folder: TempDir,
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Whom the envelope named.
    pub(crate) to: String,
    raw: String,
}

impl PostOffice {
    /// Start one.
    pub(crate) fn open() -> PostOffice {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(program())
            .arg(folder.path().join("ledger"))
            .args(["0", "0"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo build --example smtp_server comes first: script/test does it");
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let input = process.stdin.take();
        PostOffice { port: port.trim().to_owned(), process, input, folder }
    }

    /// What the program under test must be told to deliver here.
    pub(crate) fn environment(&self) -> [(&str, &str); 4] {
        [
            ("EMAIL_HOST", "127.0.0.1"),
            ("EMAIL_PORT", &self.port),
            ("EMAIL_USE_TLS", "none"),
            ("DEFAULT_FROM_EMAIL", "ventas@tinajasdelsur.cl"),
        ]
    }

    /// From now on, take nothing of our sender; or take it again.
    pub(crate) fn refuse_the_sender(&self, refuses: bool) {
        self.order("refuse", refuses);
    }

    /// From now on, cut the line before saying that a message was taken; or say it again.
    pub(crate) fn cut_the_line(&self, cuts: bool) {
        self.order("cut", cuts);
    }

    /// From now on, these mailboxes are full, and no others.
    pub(crate) fn fill_up(&self, addresses: &[&str]) {
        std::fs::write(self.folder.path().join("full"), addresses.join("\n")).unwrap();
    }

    fn order(&self, name: &str, stands: bool) {
        let file = self.folder.path().join(name);
        if stands { std::fs::write(file, "").unwrap() } else { std::fs::remove_file(file).unwrap() }
    }

    /// Every message taken so far, in the order it came.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let ledger = std::fs::read_to_string(self.folder.path().join("ledger")).unwrap_or_default();
        let lines = ledger.lines().enumerate();
        let letters = lines.map(|(number, line)| Letter {
            to: line.split('\t').nth(1).unwrap().to_owned(),
            raw: std::fs::read_to_string(self.folder.path().join(format!("{}.eml", number + 1))).unwrap(),
        });
        letters.collect()
    }

    /// The messages that came for `address`.
    pub(crate) fn letters_for(&self, address: &str) -> Vec<Letter> {
        self.letters().into_iter().filter(|it| it.to == address).collect()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

impl Letter {
    /// The value of a header, unfolded.
    pub(crate) fn header(&self, name: &str) -> String {
        let (head, _) = self.raw.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let values = head.lines().filter_map(|it| it.split_once(':'));
        let mut found = values.filter(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1.trim().to_owned());
        found.next().unwrap_or_default()
    }

    /// The body, its quoted-printable undone.
    pub(crate) fn body(&self) -> String {
        let (_, body) = self.raw.split_once("\r\n\r\n").unwrap();
        let body = body.replace("=\r\n", "");
        let (mut bytes, mut rest) = (Vec::new(), body.as_bytes());
        while let [first, after @ ..] = rest {
            let code = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
            if let Some(byte) = code.filter(|_| *first == b'=').and_then(|it| u8::from_str_radix(it, 16).ok())
            {
                bytes.push(byte);
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The address that a mail program posts to when its user presses «unsubscribe» (RFC 8058).
    pub(crate) fn one_click(&self) -> String {
        assert_eq!(self.header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        let urls = self.header("List-Unsubscribe");
        let url =
            urls.split(',').map(|it| it.trim().trim_matches(['<', '>'])).find(|it| it.starts_with("http"));
        url.expect("an address to unsubscribe at").to_owned()
    }
}

/// The program `smtp_server`, which cargo puts beside this test's folder.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/smtp_server")
}
