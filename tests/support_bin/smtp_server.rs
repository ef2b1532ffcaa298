//! The tests' SMTP server as a program of its own: takes every message, counts it
//! in a file, and tells its port on the first line of its output.
//!
//! `cargo run --example smtp_server -- LEDGER [DELAY_MS] [PORT] [FOLDER]`: LEDGER
//! gets a line `Message-ID<TAB>recipient` for each message (`-`: none); DELAY_MS
//! passes between counting a message and saying so; FOLDER keeps the messages. While it
//! holds a file `refuse` the sender is refused, the mailboxes named in a file `full` are
//! full, and with a file `cut` the line is cut before a message that was taken is
//! confirmed. It ends when its input does.
#![expect(clippy::print_stdout, reason = "a program tells its port")]

#[expect(dead_code, reason = "only tests read what it received")]
#[path = "../it/support/smtp.rs"]
mod smtp;

use smtp::{Action, Moment, Stage};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

fn main() {
    let mut words = std::env::args().skip(1);
    let ledger = words.next().filter(|it| it != "-").map(Into::into);
    let delay = words.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let port = words.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let folder: Option<PathBuf> = words.next().map(Into::into);
    let orders = folder.clone();
    let server = smtp::Server::with(smtp::Options {
        ledger,
        folder,
        delay: Duration::from_millis(delay),
        port,
        keep: false,
        script: Arc::new(move |it| orders.as_ref().map_or(Action::Usual, |orders| ordered(orders, it))),
        ..smtp::Options::default()
    });
    println!("{}", server.port());
    // Whoever started us holds our input open: when they are gone, so are we.
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}

/// What the files of `folder` say is to be done.
fn ordered(folder: &Path, moment: &Moment<'_>) -> Action {
    match moment.stage {
        Stage::Mail if folder.join("refuse").exists() => {
            Action::Say("550 5.7.1 Sender rejected: verify your domain")
        }
        Stage::Rcpt => {
            let full = std::fs::read_to_string(folder.join("full")).unwrap_or_default();
            let is_full = full.lines().any(|it| moment.line.contains(&format!("<{it}>")));
            if is_full { Action::Say("552 5.2.2 Mailbox full") } else { Action::Usual }
        }
        Stage::Taken if folder.join("cut").exists() => Action::Cut,
        _ => Action::Usual,
    }
}
