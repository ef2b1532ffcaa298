//! One SMTP conversation (RFC 5321) with pipelining (RFC 2920), STARTTLS (RFC
//! 3207) and AUTH (RFC 4954). It exists because it must be known, for every
//! failure, whether the server may already hold the message: a cut before the
//! final dot is safe to repeat, one after it is not. It knows no email format.

use super::{
    answer::{Answer, Stage},
    wire::{CLOSED, Failure, Line, SLOW, Timeouts, Wire},
};
use crate::config::{Smtp, SmtpTls};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls, rustls::pki_types::ServerName};

/// What the server announced in its answer to EHLO.
#[derive(Clone, Copy, Debug, Default)]
struct Extensions {
    pipelining: bool,
    starttls: bool,
    auth: Option<Mechanism>,
    /// Largest message; 0: it does not say.
    size: Option<usize>,
}

/// How a user and a password are given.
#[derive(Clone, Copy, Debug)]
enum Mechanism {
    Plain,
    Login,
}

impl Extensions {
    fn read(lines: &[String]) -> Extensions {
        let mut extensions = Extensions::default();
        for line in lines.iter().skip(1) {
            // Old servers write AUTH=LOGIN.
            let line = line.get(4..).unwrap_or_default().to_ascii_uppercase().replacen('=', " ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => extensions.pipelining = true,
                Some("STARTTLS") => extensions.starttls = true,
                Some("SIZE") => {
                    extensions.size = Some(words.next().and_then(|it| it.parse().ok()).unwrap_or(0));
                }
                Some("AUTH") => {
                    let offered: Vec<&str> = words.collect();
                    if offered.contains(&"PLAIN") {
                        extensions.auth = Some(Mechanism::Plain);
                    } else if offered.contains(&"LOGIN") && extensions.auth.is_none() {
                        extensions.auth = Some(Mechanism::Login);
                    }
                }
                _ => (),
            }
        }
        extensions
    }
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
        self.usable = match &result {
            // The server is leaving.
            Err(Failure::Refused(_, answer)) if answer.code == 421 => false,
            // The conversation is in step, and what was begun must be forgotten.
            Err(Failure::Refused(Stage::Mail | Stage::Rcpt | Stage::Data, _)) => {
                self.wire.command(Stage::Opening, "RSET\r\n").await.is_ok()
            }
            Ok(_) | Err(Failure::TooBig(_) | Failure::Refused(..)) => true,
            Err(_) => false,
        };
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
        self.wire.hand_over(data).await?;
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

/// Opening a conversation, over a line encrypted or not.
impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    async fn greeting(&mut self) -> Result<(), Failure> {
        let answer = self.answer(Stage::Opening).await?;
        if answer.is_positive() { Ok(()) } else { Err(Failure::Refused(Stage::Opening, answer)) }
    }

    async fn hello(&mut self, own_name: &str) -> Result<Extensions, Failure> {
        self.say(Stage::Opening, &format!("EHLO {own_name}\r\n")).await?;
        let lines = self.lines(Stage::Opening).await?;
        match Answer::parse(&lines) {
            Some(answer) if answer.is_positive() => Ok(Extensions::read(&lines)),
            Some(answer) => Err(Failure::Refused(Stage::Opening, answer)),
            None => Err(Failure::no_sense(Stage::Opening)),
        }
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
        self.into_stream().ok_or_else(|| {
            Failure::Setup(
                "El servidor de correo envió datos antes de cifrar la conexión: no se confía en ella."
                    .to_owned(),
            )
        })
    }

    async fn sign_in(&mut self, extensions: Extensions, user: &str, password: &str) -> Result<(), Failure> {
        let last = match extensions.auth {
            Some(Mechanism::Plain) => {
                format!("AUTH PLAIN {}\r\n", BASE64.encode(format!("\0{user}\0{password}")))
            }
            Some(Mechanism::Login) => {
                for text in ["AUTH LOGIN\r\n", &format!("{}\r\n", BASE64.encode(user))] {
                    self.say(Stage::Opening, text).await?;
                    let answer = self.answer(Stage::Opening).await?;
                    if answer.code != 334 {
                        return Err(Failure::Refused(Stage::Opening, answer));
                    }
                }
                format!("{}\r\n", BASE64.encode(password))
            }
            None => {
                return Err(Failure::Setup(
                    "El servidor de correo no ofrece una forma conocida de entrar con usuario y contraseña (AUTH PLAIN o LOGIN)."
                        .to_owned(),
                ));
            }
        };
        self.command(Stage::Opening, &last).await?;
        Ok(())
    }
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
    use crate::channels::SendError;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
