//! A scripted SMTP server on this machine: answers as told at any stage, cuts
//! the line, stays silent, asks for a password, encrypts, and keeps what it
//! accepted. It runs on a thread of its own, so that a test may block; it is also
//! a program (`cargo run --example smtp_server`), and knows nothing of Llovizna.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// Where in the conversation the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connect,
    Hello,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// After 354, before anything of the message is read.
    Reading,
    /// After the final dot, before the message is taken.
    Dot,
    /// After the message was taken and counted, before saying so.
    Taken,
}

/// What to do instead of the usual.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Usual,
    /// Answer this line, and go on.
    Say(&'static str),
    /// Answer this line, and close.
    SayAndCut(&'static str),
    /// Close without a word.
    Cut,
    /// Never answer again.
    Silence,
}

/// What the script is asked about.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) stage: Stage,
    /// Counted from 1 over the life of the server.
    pub(crate) connection: usize,
    /// MAIL commands so far, this one included.
    pub(crate) message: usize,
    /// The whole command line.
    pub(crate) line: &'a str,
}

/// How the line is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protection {
    #[default]
    None,
    StartTls,
    Tls,
}

type Script = Arc<dyn Fn(&Moment<'_>) -> Action + Send + Sync>;

/// How the server behaves.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) protection: Protection,
    pub(crate) user: Option<(&'static str, &'static str)>,
    pub(crate) pipelining: bool,
    /// Mechanisms announced when `user` is set.
    pub(crate) auth: &'static str,
    pub(crate) size: Option<usize>,
    pub(crate) port: u16,
    /// A line `Message-ID<TAB>recipient` is appended for each accepted message.
    pub(crate) ledger: Option<PathBuf>,
    /// Each accepted message is kept here as `N.eml`, numbered as its line of the ledger.
    pub(crate) folder: Option<PathBuf>,
    /// Between counting a message and saying so.
    pub(crate) delay: Duration,
    /// Keep whole messages in memory, not only their number.
    pub(crate) keep: bool,
    pub(crate) script: Script,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            protection: Protection::None,
            user: None,
            pipelining: true,
            auth: "PLAIN LOGIN",
            size: Some(50_000_000),
            port: 0,
            ledger: None,
            folder: None,
            delay: Duration::ZERO,
            keep: true,
            script: Arc::new(|_| Action::Usual),
        }
    }
}

/// One accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Headers and body, dots unstuffed.
    pub(crate) data: Vec<u8>,
    /// Of the connection it came over.
    pub(crate) connection: usize,
}

impl Received {
    /// The message as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// The value of a header, unfolded, undecoded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (head, _) = text.split_once("\r\n\r\n")?;
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    /// Message-ID without angle brackets.
    pub(crate) fn message_id(&self) -> String {
        self.header("Message-ID").unwrap_or_default().trim_matches(['<', '>']).to_owned()
    }
}

struct Shared {
    options: Options,
    tls: Option<TlsAcceptor>,
    received: Mutex<Vec<Received>>,
    ledger: Option<Mutex<File>>,
    accepted: AtomicUsize,
    connections: AtomicUsize,
    messages: AtomicUsize,
}

impl Shared {
    /// Put a message in the books; its number, from 1.
    fn count(&self, received: &Received) -> io::Result<usize> {
        // Held to the end, so that number, file and line go together.
        let mut ledger = self.ledger.as_ref().map(lock);
        let number = self.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(folder) = &self.options.folder {
            std::fs::write(folder.join(format!("{number}.eml")), &received.data)?;
        }
        if let Some(ledger) = &mut ledger {
            ledger.write_all(format!("{}\t{}\n", received.message_id(), received.to).as_bytes())?;
        }
        Ok(number)
    }
}

/// A running server; it ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    authority: Vec<u8>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// One that takes everything.
    pub(crate) fn start() -> Server {
        Server::with(Options::default())
    }

    /// One that asks `script` what to do.
    pub(crate) fn scripted(script: impl Fn(&Moment<'_>) -> Action + Send + Sync + 'static) -> Server {
        Server::with(Options { script: Arc::new(script), ..Options::default() })
    }

    /// One that answers `line` to the stage `at`, always.
    pub(crate) fn answering(at: Stage, line: &'static str) -> Server {
        Server::scripted(move |it| if it.stage == at { Action::Say(line) } else { Action::Usual })
    }

    /// One with every choice made.
    pub(crate) fn with(options: Options) -> Server {
        let (tls, authority) = if options.protection == Protection::None {
            (None, Vec::new())
        } else {
            let (acceptor, authority) = certificate();
            (Some(acceptor), authority)
        };
        let ledger = options.ledger.as_ref().map(|path| {
            Mutex::new(
                File::options().create(true).append(true).open(path).expect("the ledger can be written"),
            )
        });
        let shared = Arc::new(Shared {
            tls,
            received: Mutex::default(),
            ledger,
            accepted: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
            options,
        });
        let listener = std::net::TcpListener::bind(("127.0.0.1", shared.options.port)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, served) => (),
                    _ = stopped => (),
                }
            });
        });
        Server { address, shared, authority, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate that it shows (DER), which signed itself.
    pub(crate) fn authority(&self) -> Vec<u8> {
        self.authority.clone()
    }

    /// What it accepted so far, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// How many messages it accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A certificate of our own for this machine.
fn certificate() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .expect("a self-signed certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a usable certificate");
    (TlsAcceptor::from(Arc::new(config)), made.cert.der().to_vec())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _ = serve(stream, connection, &shared).await;
        });
    }
}

trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

async fn serve(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    let mut talk = Talk { stream, shared, connection, buffer: Vec::new(), signed_in: false };
    match shared.options.protection {
        Protection::Tls => {
            let acceptor = shared.tls.clone().ok_or(io::ErrorKind::Other)?;
            let Talk { stream, .. } = talk;
            let stream: Box<dyn Line> = Box::new(acceptor.accept(stream).await?);
            let mut talk = Talk { stream, shared, connection, buffer: Vec::new(), signed_in: false };
            talk.greet().await?;
            talk.conversation(false).await?;
        }
        Protection::None => {
            talk.greet().await?;
            talk.conversation(false).await?;
        }
        Protection::StartTls => {
            talk.greet().await?;
            if talk.conversation(true).await? {
                let acceptor = shared.tls.clone().ok_or(io::ErrorKind::Other)?;
                let Talk { stream, .. } = talk;
                let stream: Box<dyn Line> = Box::new(acceptor.accept(stream).await?);
                let mut talk = Talk { stream, shared, connection, buffer: Vec::new(), signed_in: false };
                talk.conversation(false).await?;
            }
        }
    }
    Ok(())
}

struct Talk<'a, S> {
    stream: S,
    shared: &'a Shared,
    connection: usize,
    buffer: Vec<u8>,
    signed_in: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// Answer as the script says, or else `usual`; the code that was answered.
    async fn answer(&mut self, stage: Stage, line: &str, usual: &str) -> io::Result<u16> {
        let moment = Moment {
            stage,
            connection: self.connection,
            message: self.shared.messages.load(Ordering::SeqCst),
            line,
        };
        let said = match (self.shared.options.script)(&moment) {
            Action::Usual => usual,
            Action::Say(other) => other,
            Action::SayAndCut(other) => {
                self.say(other).await?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Action::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
            Action::Silence => {
                std::future::pending::<()>().await;
                return Ok(0);
            }
        };
        if !said.is_empty() {
            self.say(said).await?;
        }
        Ok(said.get(..3).and_then(|it| it.parse().ok()).unwrap_or(0))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|it| *it == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn greet(&mut self) -> io::Result<()> {
        self.answer(Stage::Connect, "", "220 localhost ESMTP").await?;
        Ok(())
    }

    /// Speak until QUIT; true: STARTTLS was asked for and granted.
    async fn conversation(&mut self, offer_tls: bool) -> io::Result<bool> {
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = self.line().await?;
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("EHLO") {
                let hello = self.extensions(offer_tls);
                self.answer(Stage::Hello, &line, &hello).await?;
            } else if upper.starts_with("STARTTLS") && offer_tls {
                if self.answer(Stage::StartTls, &line, "220 Go ahead").await? == 220 {
                    return Ok(true);
                }
            } else if upper.starts_with("AUTH") {
                self.auth(&line).await?;
            } else if upper.starts_with("MAIL FROM") {
                self.shared.messages.fetch_add(1, Ordering::SeqCst);
                let usual = if self.shared.options.user.is_some() && !self.signed_in {
                    "530 5.7.0 Authentication Required"
                } else {
                    "250 2.1.0 Ok"
                };
                let code = self.answer(Stage::Mail, &line, usual).await?;
                from = if code == 250 { address(&line) } else { String::new() };
                to.clear();
            } else if upper.starts_with("RCPT TO") {
                let usual = if from.is_empty() { "503 5.5.1 need MAIL command" } else { "250 2.1.5 Ok" };
                if self.answer(Stage::Rcpt, &line, usual).await? == 250 {
                    to = address(&line);
                }
            } else if upper.starts_with("DATA") {
                let usual = if to.is_empty() { "554 5.5.1 no valid recipients" } else { "354 End with ." };
                if self.answer(Stage::Data, &line, usual).await? == 354 {
                    self.message(&from, &to).await?;
                    from.clear();
                    to.clear();
                }
            } else if upper.starts_with("RSET") || upper.starts_with("NOOP") {
                from.clear();
                to.clear();
                self.say("250 2.0.0 Ok").await?;
            } else if upper.starts_with("QUIT") {
                self.say("221 2.0.0 Bye").await?;
                return Ok(false);
            } else {
                self.say("500 5.5.2 what?").await?;
            }
        }
    }

    fn extensions(&self, offer_tls: bool) -> String {
        let options = &self.shared.options;
        let mut lines = vec!["localhost".to_owned(), "ENHANCEDSTATUSCODES".to_owned()];
        if options.pipelining {
            lines.push("PIPELINING".to_owned());
        }
        lines.extend(options.size.map(|it| format!("SIZE {it}")));
        if offer_tls {
            lines.push("STARTTLS".to_owned());
        }
        if options.user.is_some() && !offer_tls {
            lines.push(format!("AUTH {}", options.auth));
        }
        let last = lines.len() - 1;
        let lines =
            lines.iter().enumerate().map(|(n, it)| format!("250{}{it}", if n == last { ' ' } else { '-' }));
        lines.collect::<Vec<_>>().join("\r\n")
    }

    async fn auth(&mut self, line: &str) -> io::Result<()> {
        let decode = |text: &str| BASE64.decode(text).map(|it| String::from_utf8_lossy(&it).into_owned());
        let mut words = line.split(' ').skip(1);
        let given = if words.next() == Some("PLAIN") {
            let token = decode(words.next().unwrap_or_default()).unwrap_or_default();
            let mut parts = token.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            self.say("334 VXNlcm5hbWU6").await?;
            let user = self.line().await?;
            self.say("334 UGFzc3dvcmQ6").await?;
            let password = self.line().await?;
            (decode(&user).unwrap_or_default(), decode(&password).unwrap_or_default())
        };
        let right =
            self.shared.options.user.is_some_and(|(user, password)| given.0 == user && given.1 == password);
        let usual = if right { "235 2.7.0 Welcome" } else { "535 5.7.8 Username and Password not accepted" };
        self.signed_in = self.answer(Stage::Auth, line, usual).await? == 235;
        Ok(())
    }

    async fn message(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.answer(Stage::Reading, "", "").await?;
        let mut searched = 0;
        let end = loop {
            if self.buffer.starts_with(b".\r\n") {
                break 0;
            }
            let found = self.buffer[searched..].windows(5).position(|it| it == b"\r\n.\r\n");
            if let Some(at) = found {
                break searched + at + 2;
            }
            searched = self.buffer.len().saturating_sub(4);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let message: Vec<u8> = self.buffer.drain(..end + 3).take(end).collect();
        // A refusal here means that the message is not taken.
        if self.answer(Stage::Dot, "", "").await? >= 400 {
            return Ok(());
        }
        let received = Received {
            from: from.to_owned(),
            to: to.to_owned(),
            data: unstuffed(&message),
            connection: self.connection,
        };
        let number = self.shared.count(&received)?;
        if self.shared.options.keep {
            lock(&self.shared.received).push(received);
        }
        if !self.shared.options.delay.is_zero() {
            tokio::time::sleep(self.shared.options.delay).await;
        }
        self.answer(Stage::Taken, "", &format!("250 2.0.0 Ok: queued as {number}")).await?;
        Ok(())
    }
}

fn unstuffed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for line in data.split_inclusive(|it| *it == b'\n') {
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    out
}

/// What stands between < and >.
fn address(line: &str) -> String {
    let after = line.split_once('<').map_or("", |it| it.1);
    after.split_once('>').map_or("", |it| it.0).to_owned()
}
