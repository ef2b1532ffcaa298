//! One SMTP conversation (RFC 5321) with pipelining (RFC 2920), STARTTLS (RFC
//! 3207) and AUTH (RFC 4954). It exists because it must be known, for every
//! failure, whether the server may already hold the message: a cut before the
//! final dot is safe to repeat, one after it is not. It knows no email format.

use super::answer::{Answer, Stage, classify};
use crate::{
    channels::SendError,
    config::{Smtp, SmtpTls},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{future::poll_fn, io, pin::Pin, sync::Arc, task::Poll, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls, rustls::pki_types::ServerName};

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
            command: Duration::from_secs(60),
            accept: Duration::from_secs(180),
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
    /// What it means for the message to `recipient`.
    pub(super) fn meaning(&self, recipient: &str) -> SendError {
        match self {
            Failure::Refused(stage, answer) => classify(*stage, answer, recipient),
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

const CLOSED: &str = "El servidor de correo cerró la conexión.";
const SLOW: &str = "El servidor de correo no respondió a tiempo.";
const NO_SENSE: &str = "El servidor respondió algo que no es SMTP.";
/// Bytes of one answer beyond which the server is not speaking SMTP.
const ANSWER_LIMIT: usize = 64 * 1024;

trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// What the server announced in its answer to EHLO.
#[derive(Clone, Copy, Debug, Default)]
struct Extensions {
    pipelining: bool,
    starttls: bool,
    auth_plain: bool,
    auth_login: bool,
    size: Option<usize>,
}

/// A conversation in which the server is ready for the next message.
pub(super) struct Connection {
    wire: Wire<Box<dyn Line>>,
    extensions: Extensions,
    usable: bool,
}

impl Connection {
    /// Connect, protect the line and sign in, as `smtp` says.
    pub(super) async fn open(
        smtp: &Smtp,
        tls: &TlsConnector,
        timeouts: Timeouts,
    ) -> Result<Connection, Failure> {
        let opening = Connection::dial(smtp, tls, timeouts);
        // Three commands and their answers at most, whatever the server drips.
        match timeout(timeouts.connect + 3 * timeouts.command, opening).await {
            Ok(it) => it,
            Err(_) => Err(Failure::Cut(Stage::Opening, SLOW.to_owned())),
        }
    }

    async fn dial(smtp: &Smtp, tls: &TlsConnector, timeouts: Timeouts) -> Result<Connection, Failure> {
        let cut = |why: &str| Failure::Cut(Stage::Opening, why.to_owned());
        let tcp = match timeout(timeouts.connect, TcpStream::connect((smtp.host.as_str(), smtp.port))).await {
            Ok(Ok(it)) => it,
            Ok(Err(error)) => return Err(cut(unreachable(&error))),
            Err(_) => {
                return Err(cut(
                    "No hubo respuesta al conectar con el servidor de correo: puede que el puerto esté bloqueado.",
                ));
            }
        };
        // Without it each message waits 40 ms for a delayed acknowledgement.
        tcp.set_nodelay(true).map_err(|it| cut(unreachable(&it)))?;
        let own_name = own_name(&tcp);

        let (mut wire, mut extensions): (Wire<Box<dyn Line>>, Extensions) = if smtp.tls == SmtpTls::Tls {
            let mut wire = Wire::new(protect(tcp, smtp, tls, timeouts).await?, timeouts);
            wire.greeting().await?;
            let extensions = wire.hello(&own_name).await?;
            (wire, extensions)
        } else {
            let mut wire = Wire::new(tcp, timeouts);
            wire.greeting().await?;
            let extensions = wire.hello(&own_name).await?;
            if smtp.tls == SmtpTls::StartTls {
                let tcp = wire.starttls(extensions).await?;
                let mut wire = Wire::new(protect(tcp, smtp, tls, timeouts).await?, timeouts);
                let extensions = wire.hello(&own_name).await?;
                (wire, extensions)
            } else {
                (wire.boxed(), extensions)
            }
        };
        if let Some((user, password)) = &smtp.credentials {
            wire.sign_in(extensions, user, password.reveal()).await?;
        }
        // Some announce more once they know who speaks, but none less: one EHLO will do.
        extensions.starttls = false;
        Ok(Connection { wire, extensions, usable: true })
    }

    /// Whether it may serve another message.
    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether the server has closed an idle connection, or said goodbye on it.
    pub(super) async fn was_left(&mut self) -> bool {
        self.wire.heard_something().await
    }

    /// Hand over one message: `data` with CRLF line ends, unstuffed.
    pub(super) async fn deliver(&mut self, from: &str, to: &str, data: &[u8]) -> Result<Answer, Failure> {
        let result = self.talk(from, to, data).await;
        match &result {
            Ok(_) => (),
            // The conversation is in step, unless the server is leaving.
            Err(Failure::Refused(stage, answer)) if answer.code != 421 => {
                if *stage != Stage::Body {
                    self.usable = self.wire.command(Stage::Opening, "RSET\r\n").await.is_ok();
                }
            }
            Err(Failure::TooBig(_)) => (),
            Err(_) => self.usable = false,
        }
        result
    }

    async fn talk(&mut self, from: &str, to: &str, data: &[u8]) -> Result<Answer, Failure> {
        if let Some(limit) = self.extensions.size.filter(|it| *it > 0 && data.len() > *it) {
            return Err(Failure::TooBig(format!(
                "El mensaje pesa {} KB y el servidor de correo acepta hasta {} KB.",
                data.len() / 1024,
                limit / 1024
            )));
        }
        let size =
            if self.extensions.size.is_some() { format!(" SIZE={}", data.len()) } else { String::new() };
        let mail = format!("MAIL FROM:<{from}>{size}\r\n");
        let rcpt = format!("RCPT TO:<{to}>\r\n");
        if self.extensions.pipelining {
            self.wire.say(Stage::Mail, &format!("{mail}{rcpt}DATA\r\n")).await?;
            // All three answers come, whatever they are; the first refusal tells.
            let mail = self.wire.answer(Stage::Mail).await?;
            if mail.code == 421 {
                return Err(Failure::Refused(Stage::Mail, mail));
            }
            let rcpt = self.wire.answer(Stage::Rcpt).await?;
            let data = self.wire.answer(Stage::Data).await?;
            let refusal =
                [(Stage::Mail, mail), (Stage::Rcpt, rcpt)].into_iter().find(|it| !it.1.is_positive());
            if let Some((stage, answer)) = refusal {
                if data.code == 354 {
                    // No recipient, but it waits for a message: an empty one ends the matter (RFC 2920 3.1).
                    self.wire.say(Stage::Data, ".\r\n").await?;
                    self.wire.answer(Stage::Data).await?;
                }
                return Err(Failure::Refused(stage, answer));
            }
            expect_go_on(data)?;
        } else {
            self.wire.command(Stage::Mail, &mail).await?;
            self.wire.command(Stage::Rcpt, &rcpt).await?;
            self.wire.say(Stage::Data, "DATA\r\n").await?;
            expect_go_on(self.wire.answer(Stage::Data).await?)?;
        }
        self.wire.hand_over(&stuffed(data)).await?;
        let answer = self.wire.accepted().await?;
        if answer.is_positive() { Ok(answer) } else { Err(Failure::Refused(Stage::Body, answer)) }
    }

    /// Say goodbye, without waiting for the answer.
    pub(super) async fn quit(mut self) {
        let _ = self.wire.say(Stage::Opening, "QUIT\r\n").await;
    }
}

fn expect_go_on(answer: Answer) -> Result<(), Failure> {
    if answer.code == 354 { Ok(()) } else { Err(Failure::Refused(Stage::Data, answer)) }
}

/// The bytes of an SMTP line, and the answers read from them.
struct Wire<S> {
    stream: S,
    timeouts: Timeouts,
    /// Received and not yet read as an answer.
    received: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn new(stream: S, timeouts: Timeouts) -> Wire<S> {
        Wire { stream, timeouts, received: Vec::new() }
    }

    async fn greeting(&mut self) -> Result<(), Failure> {
        let answer = self.answer(Stage::Opening).await?;
        if answer.is_positive() { Ok(()) } else { Err(Failure::Refused(Stage::Opening, answer)) }
    }

    async fn hello(&mut self, own_name: &str) -> Result<Extensions, Failure> {
        self.say(Stage::Opening, &format!("EHLO {own_name}\r\n")).await?;
        let lines = self.lines(Stage::Opening, self.timeouts.command).await?;
        let answer =
            Answer::parse(&lines).ok_or_else(|| Failure::Cut(Stage::Opening, NO_SENSE.to_owned()))?;
        if !answer.is_positive() {
            return Err(Failure::Refused(Stage::Opening, answer));
        }
        let mut extensions = Extensions::default();
        for line in lines.iter().skip(1) {
            let line = line.get(4..).unwrap_or_default().to_ascii_uppercase().replacen('=', " ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => extensions.pipelining = true,
                Some("STARTTLS") => extensions.starttls = true,
                Some("SIZE") => {
                    extensions.size = Some(words.next().and_then(|it| it.parse().ok()).unwrap_or(0))
                }
                Some("AUTH") => {
                    for word in words {
                        extensions.auth_plain |= word == "PLAIN";
                        extensions.auth_login |= word == "LOGIN";
                    }
                }
                _ => (),
            }
        }
        Ok(extensions)
    }

    /// Ask for encryption; gives back the bare line for the handshake.
    async fn starttls(mut self, extensions: Extensions) -> Result<S, Failure> {
        if !extensions.starttls {
            return Err(Failure::Setup(
                "El servidor de correo no ofrece STARTTLS y no se envía sin cifrar: revisa EMAIL_PORT y EMAIL_USE_TLS."
                    .to_owned(),
            ));
        }
        self.command(Stage::Opening, "STARTTLS\r\n").await?;
        // Anything said before the handshake was not said by who the certificate names.
        if !self.received.is_empty() {
            return Err(Failure::Setup(
                "El servidor de correo envió datos antes de cifrar la conexión: no se confía en ella."
                    .to_owned(),
            ));
        }
        Ok(self.stream)
    }

    async fn sign_in(&mut self, extensions: Extensions, user: &str, password: &str) -> Result<(), Failure> {
        if extensions.auth_plain {
            let token = BASE64.encode(format!("\0{user}\0{password}"));
            self.command(Stage::Opening, &format!("AUTH PLAIN {token}\r\n")).await?;
            return Ok(());
        }
        if !extensions.auth_login {
            return Err(Failure::Setup(
                "El servidor de correo no ofrece una forma conocida de entrar con usuario y contraseña (AUTH PLAIN o LOGIN)."
                    .to_owned(),
            ));
        }
        for text in ["AUTH LOGIN\r\n", &format!("{}\r\n", BASE64.encode(user))] {
            self.say(Stage::Opening, text).await?;
            let answer = self.answer(Stage::Opening).await?;
            if answer.code != 334 {
                return Err(Failure::Refused(Stage::Opening, answer));
            }
        }
        self.command(Stage::Opening, &format!("{}\r\n", BASE64.encode(password))).await?;
        Ok(())
    }

    /// Send a command that must be answered with yes.
    async fn command(&mut self, stage: Stage, text: &str) -> Result<Answer, Failure> {
        self.say(stage, text).await?;
        let answer = self.answer(stage).await?;
        if answer.is_positive() { Ok(answer) } else { Err(Failure::Refused(stage, answer)) }
    }

    async fn say(&mut self, stage: Stage, text: &str) -> Result<(), Failure> {
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

    async fn answer(&mut self, stage: Stage) -> Result<Answer, Failure> {
        let lines = self.lines(stage, self.timeouts.command).await?;
        Answer::parse(&lines).ok_or_else(|| Failure::Cut(stage, NO_SENSE.to_owned()))
    }

    /// The answer to the final dot: from here on a failure leaves us not knowing.
    async fn accepted(&mut self) -> Result<Answer, Failure> {
        match self.lines(Stage::Body, self.timeouts.accept).await {
            Ok(lines) => Answer::parse(&lines).ok_or_else(|| Failure::AfterDot(NO_SENSE.to_owned())),
            Err(Failure::Cut(_, why)) => Err(Failure::AfterDot(why)),
            Err(other) => Err(other),
        }
    }

    /// The lines of one answer, without their ends.
    async fn lines(&mut self, stage: Stage, within: Duration) -> Result<Vec<String>, Failure> {
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

    /// Whether something, or the end, has arrived that nobody asked for.
    async fn heard_something(&mut self) -> bool {
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

    /// Write the stuffed message with its final dot. Fails with `Cut` while the
    /// dot has surely not left, with `AfterDot` once it may have.
    async fn hand_over(&mut self, stuffed: &[u8]) -> Result<(), Failure> {
        let cut = |why: &str| Err(Failure::Cut(Stage::Body, why.to_owned()));
        if self.heard_something().await {
            return cut(CLOSED);
        }
        let mut rest = stuffed;
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
    fn boxed(self) -> Wire<Box<dyn Line>> {
        Wire { stream: Box::new(self.stream), timeouts: self.timeouts, received: self.received }
    }
}

/// `data` as it travels: dots at line starts doubled, ended by a line with a dot.
fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 64 + 8);
    let mut line_start = true;
    for line in data.split_inclusive(|it| *it == b'\n') {
        if line_start && line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        line_start = line.ends_with(b"\n");
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The TLS handshake over `tcp`, with the certificate checked for the host.
async fn protect(
    tcp: TcpStream,
    smtp: &Smtp,
    tls: &TlsConnector,
    timeouts: Timeouts,
) -> Result<Box<dyn Line>, Failure> {
    let name = ServerName::try_from(smtp.host.clone())
        .map_err(|_| Failure::Setup("EMAIL_HOST no es un nombre de servidor.".to_owned()))?;
    match timeout(timeouts.connect, tls.connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(match tls_fault(&error) {
            Some(why) => Failure::Setup(why),
            None => Failure::Cut(Stage::Opening, CLOSED.to_owned()),
        }),
        Err(_) => Err(Failure::Cut(Stage::Opening, SLOW.to_owned())),
    }
}

/// What TLS itself objected to, rather than the line.
fn tls_fault(error: &io::Error) -> Option<String> {
    let fault = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match fault {
        rustls::Error::InvalidCertificate(_) => {
            "El certificado del servidor de correo no es válido para su nombre: revisa EMAIL_HOST.".to_owned()
        }
        rustls::Error::InvalidMessage(_) => {
            "El servidor de correo no habla TLS en ese puerto: revisa EMAIL_PORT y EMAIL_USE_TLS.".to_owned()
        }
        _ => "No se pudo acordar una conexión cifrada con el servidor de correo.".to_owned(),
    })
}

fn unreachable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "El servidor de correo rechazó la conexión: puede que no esté funcionando en ese puerto."
        }
        io::ErrorKind::TimedOut => "No hubo respuesta al conectar con el servidor de correo.",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "No hay camino de red hasta el servidor de correo."
        }
        _ => "No se pudo conectar con el servidor de correo: revisa EMAIL_HOST y la red.",
    }
}

/// How we present ourselves: the machine's full name, or else its address (RFC 5321 4.1.3).
fn own_name(tcp: &TcpStream) -> String {
    let name = nix::unistd::gethostname().ok().and_then(|it| it.into_string().ok()).filter(|it| {
        it.contains('.') && it.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-'))
    });
    name.unwrap_or_else(|| match tcp.local_addr().map(|it| it.ip()) {
        Ok(std::net::IpAddr::V4(ip)) => format!("[{ip}]"),
        Ok(std::net::IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Err(_) => "[127.0.0.1]".to_owned(),
    })
}

/// A connector that trusts `roots`.
pub(super) fn connector(roots: rustls::RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|it| format!("TLS no está disponible: {it}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
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

    /// A conversation with a server that takes `bytes` of the message, then
    /// leaves; the line holds no more than is read, as with a long message.
    async fn cut_after(bytes: usize, message: &[u8]) -> Failure {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut connection = Connection {
            wire: Wire::new(ours, Timeouts::default()).boxed(),
            extensions: Extensions::default(),
            usable: true,
        };
        let server = async move {
            let mut read = [0; 64];
            for answer in ["250 ok\r\n", "250 ok\r\n", "354 go on\r\n"] {
                let _ = theirs.read(&mut read).await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
            }
            let mut body = vec![0; bytes];
            theirs.read_exact(&mut body).await.unwrap();
        };
        let (result, ()) = tokio::join!(connection.deliver("a@b.cl", "c@d.cl", message), server);
        assert!(!connection.is_usable());
        result.unwrap_err()
    }

    #[tokio::test]
    async fn a_cut_before_the_final_dot_is_temporary_and_after_it_uncertain() {
        let message = b"una linea\r\n".repeat(100);
        for bytes in [1, 500, 1000] {
            let failure = cut_after(bytes, &message).await;
            assert!(matches!(failure, Failure::Cut(Stage::Body, _)), "{bytes}: {failure:?}");
            assert!(matches!(failure.meaning(""), SendError::Temporary { .. }));
            assert!(!failure.is_stale());
        }
        let failure = cut_after(message.len() + 3, &message).await;
        assert!(matches!(failure, Failure::AfterDot(_)), "{failure:?}");
        assert!(matches!(failure.meaning(""), SendError::Uncertain { .. }));
    }
}
