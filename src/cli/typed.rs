//! Passwords as they come to a command: typed at a terminal that doesn't show them, or piped in.

use crate::error::{Error, Result};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::io::{self, BufRead, IsTerminal, Read, Write};

/// Longest password that is read, in bytes; the rules allow less.
const LONGEST: u64 = 4096;

/// A new password: asked twice at a terminal, else read as [`piped`] does. `undone` says that nothing was done.
pub(super) async fn password(undone: &'static str) -> Result<String> {
    if !io::stdin().is_terminal() {
        return piped(undone).await;
    }
    let shown = termios::tcgetattr(io::stdin()).ok();
    let asked = tokio::task::spawn_blocking(move || ask_twice(undone));
    let typed = tokio::select! {
        typed = asked => typed.map_err(|it| Error::Internal(it.to_string()))?,
        _ = tokio::signal::ctrl_c() => Err(Error::refused(format!("Lo interrumpiste. {undone}"))),
    };
    // Whoever interrupts wants to see again what they type.
    if let Some(shown) = shown {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &shown);
    }
    typed
}

fn ask_twice(undone: &str) -> Result<String> {
    let first = ask("Contraseña nueva: ")?;
    if first.is_empty() {
        return Err(Error::refused(format!("No escribiste ninguna contraseña. {undone}")));
    }
    if ask("La misma, otra vez: ")? == first {
        Ok(first)
    } else {
        Err(Error::refused(format!("Las dos no son iguales. {undone}")))
    }
}

/// A line from the terminal, unseen.
fn ask(question: &str) -> Result<String> {
    let mut out = io::stderr();
    write!(out, "{question}")?;
    out.flush()?;
    let hidden = hide();
    let mut line = String::new();
    let read = io::stdin().lock().take(LONGEST).read_line(&mut line);
    if let Some(shown) = hidden {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &shown);
    }
    writeln!(out)?;
    read?;
    Ok(without_end(&line).to_owned())
}

/// Stop showing what is typed; gives how it was before.
fn hide() -> Option<Termios> {
    let before = termios::tcgetattr(io::stdin()).ok()?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden).ok()?;
    Some(before)
}

/// The password on standard input. `undone` says that nothing was done.
pub(super) async fn piped(undone: &'static str) -> Result<String> {
    let text = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        io::stdin().lock().take(LONGEST).read_to_string(&mut text).map(|_| text)
    })
    .await
    .map_err(|it| Error::Internal(it.to_string()))?
    .map_err(|_| {
        Error::refused(format!("La contraseña de la entrada estándar no es texto UTF-8. {undone}"))
    })?;
    let password = without_end(&text);
    if password.is_empty() {
        return Err(Error::refused(format!("No llegó ninguna contraseña por la entrada estándar. {undone}")));
    }
    Ok(password.to_owned())
}

/// `echo`, files and people end with a line break that is no part of it.
fn without_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
