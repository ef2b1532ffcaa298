//! The bytes of an SMTP line: commands go out, answers come in, each within its
//! time, and a message is handed over so that it is known, when the line fails,
//! whether its final dot had left. It knows no order of commands.

use super::answer::{Answer, Stage, classify};
use crate::channels::SendError;
use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// From a command to its answer, and between two pieces of a message that leave.
    pub command: Duration,
    /// From the final dot to its answer: long, for giving up here leaves a message unconfirmed (RFC 5321 4.5.3.2.6).
    pub accept: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(15),
            command: Duration::from_mins(1),
            accept: Duration::from_mins(3),
        }
    }
}

/// Why a step of the conversation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered, and not with what was asked for.
    Refused(Stage, Answer),
    /// The line failed before the whole message was handed over.
    Cut(Stage, String),
    /// The line failed after the final dot and before the answer.
    AfterDot(String),
    /// We or the server are set up wrongly; a Spanish sentence.
    Setup(String),
    /// The server says beforehand that it takes no message of this size; a Spanish sentence.
    TooBig(String),
}

impl Failure {
    /// The server said something that is no answer.
    pub(super) fn no_sense(stage: Stage) -> Failure {
        Failure::Cut(stage, NO_SENSE.to_owned())
    }

    /// What it means for the message to `recipient`.
    pub(super) fn meaning(&self, recipient: &str) -> SendError {
        match self {
            Failure::Refused(stage, answer) => classify(*stage, answer, recipient),
            Failure::Cut(Stage::Opening | Stage::Mail, why) => SendError::Unavailable { answer: why.clone() },
            // A message that makes the server hang up each time must not be tried for ever.
            Failure::Cut(_, why) => SendError::Temporary { answer: why.clone() },
            Failure::AfterDot(why) => SendError::Uncertain { answer: why.clone() },
            Failure::Setup(why) => SendError::Sender { answer: why.clone() },
            Failure::TooBig(why) => SendError::Recipient { answer: why.clone(), dead: false },
        }
    }

    /// Whether the server had left an idle connection, so that nothing was ever
    /// said about this message.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Failure::Cut(stage, _) => *stage == Stage::Mail,
            Failure::Refused(Stage::Mail, answer) => answer.code == 421,
            _ => false,
        }
    }
}

pub(super) const CLOSED: &str = "El servidor de correo cerró la conexión.";
pub(super) const SLOW: &str = "El servidor de correo no respondió a tiempo.";
const NO_SENSE: &str = "El servidor respondió algo que no es SMTP.";
/// Bytes of one answer beyond which the server is not speaking SMTP.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A connection, encrypted or not.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// The bytes of an SMTP line, and the answers read from them.
pub(super) struct Wire<S> {
    stream: S,
    timeouts: Timeouts,
    /// Received and not yet read as an answer.
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over `stream`.
    pub(super) fn new(stream: S, timeouts: Timeouts) -> Wire<S> {
        Wire { stream, timeouts, received: Vec::new() }
    }

    /// Send a command that must be answered with yes.
    pub(super) async fn command(&mut self, stage: Stage, text: &str) -> Result<Answer, Failure> {
        self.say(stage, text).await?;
        let answer = self.answer(stage).await?;
        if answer.is_positive() { Ok(answer) } else { Err(Failure::Refused(stage, answer)) }
    }

    /// Send without waiting for an answer.
    pub(super) async fn say(&mut self, stage: Stage, text: &str) -> Result<(), Failure> {
        let writing = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        match timeout(self.timeouts.command, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::Cut(stage, CLOSED.to_owned())),
            Err(_) => Err(Failure::Cut(stage, SLOW.to_owned())),
        }
    }

    /// The next answer, whatever it says.
    pub(super) async fn answer(&mut self, stage: Stage) -> Result<Answer, Failure> {
        let lines = self.lines(stage).await?;
        Answer::parse(&lines).ok_or_else(|| Failure::no_sense(stage))
    }

    /// The answer to the final dot: from here on a failure leaves us not knowing.
    pub(super) async fn accepted(&mut self) -> Result<Answer, Failure> {
        match self.lines_within(Stage::Body, self.timeouts.accept).await {
            Ok(lines) => Answer::parse(&lines).ok_or_else(|| Failure::AfterDot(NO_SENSE.to_owned())),
            Err(Failure::Cut(_, why)) => Err(Failure::AfterDot(why)),
            Err(other) => Err(other),
        }
    }

    /// The lines of the next answer, without their ends.
    pub(super) async fn lines(&mut self, stage: Stage) -> Result<Vec<String>, Failure> {
        self.lines_within(stage, self.timeouts.command).await
    }

    async fn lines_within(&mut self, stage: Stage, within: Duration) -> Result<Vec<String>, Failure> {
        let reading = async {
            let mut lines = Vec::new();
            let mut read = 0;
            loop {
                while let Some(end) = self.received.iter().position(|it| *it == b'\n') {
                    let line: Vec<u8> = self.received.drain(..=end).collect();
                    read += line.len();
                    let is_last = line.get(3) != Some(&b'-');
                    lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                    if is_last {
                        return Ok(lines);
                    }
                }
                if read + self.received.len() > ANSWER_LIMIT {
                    return Err(NO_SENSE);
                }
                match self.stream.read_buf(&mut self.received).await {
                    Ok(0) | Err(_) => return Err(CLOSED),
                    Ok(_) => (),
                }
            }
        };
        match timeout(within, reading).await {
            Ok(Ok(lines)) => Ok(lines),
            Ok(Err(why)) => Err(Failure::Cut(stage, why.to_owned())),
            Err(_) => Err(Failure::Cut(stage, SLOW.to_owned())),
        }
    }

    /// The bare line, unless something was received that nobody asked for.
    pub(super) fn into_stream(self) -> Option<S> {
        self.received.is_empty().then_some(self.stream)
    }

    /// Whether something, or the end, has arrived that nobody asked for.
    pub(super) async fn heard_something(&mut self) -> bool {
        let mut byte = [0; 1];
        poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut byte);
            Poll::Ready(match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(_) => true,
                Poll::Pending => !self.received.is_empty(),
            })
        })
        .await
    }

    /// Write `message` (CRLF line ends) with its final dot. Fails with `Cut` while the
    /// dot has surely not left, with `AfterDot` once it may have.
    pub(super) async fn hand_over(&mut self, message: &[u8]) -> Result<(), Failure> {
        let cut = |why: &str| Err(Failure::Cut(Stage::Body, why.to_owned()));
        if self.heard_something().await {
            return cut(CLOSED);
        }
        let stuffed = stuffed(message);
        let mut rest = stuffed.as_slice();
        while !rest.is_empty() {
            match timeout(self.timeouts.command, self.stream.write(rest)).await {
                Ok(Ok(0) | Err(_)) => return cut(CLOSED),
                Ok(Ok(written)) => rest = &rest[written..],
                Err(_) => return cut(SLOW),
            }
        }
        match timeout(self.timeouts.command, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::AfterDot(CLOSED.to_owned())),
            Err(_) => Err(Failure::AfterDot(SLOW.to_owned())),
        }
    }
}

impl<S: Line + 'static> Wire<S> {
    /// The same line, of a kind not told.
    pub(super) fn boxed(self) -> Wire<Box<dyn Line>> {
        Wire { stream: Box::new(self.stream), timeouts: self.timeouts, received: self.received }
    }
}

/// `data` as it travels: dots at line starts doubled, ended by a line with a dot.
fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 64 + 8);
    if data.first() == Some(&b'.') {
        out.push(b'.');
    }
    let mut written = 0;
    for at in memchr::memmem::find_iter(data, b"\n.") {
        out.extend_from_slice(&data[written..=at]);
        out.push(b'.');
        written = at + 1;
    }
    out.extend_from_slice(&data[written..]);
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_line_starts_are_doubled_and_the_end_is_one_dot() {
        assert_eq!(stuffed(b"a\r\n.b\r\n..\r\nc.\r\n"), b"a\r\n..b\r\n...\r\nc.\r\n.\r\n");
        assert_eq!(stuffed(b"no end"), b"no end\r\n.\r\n");
        assert_eq!(stuffed(b".\r\n"), b"..\r\n.\r\n");
    }
}
