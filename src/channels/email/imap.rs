//! Reads a mailbox by IMAP (RFC 3501), without changing anything in it: mails stay as
//! they are, unread ones unread. It knows no bounce and no database.

use super::connection::connector;
use crate::config::{Imap, ImapTls};
use async_imap::{Client, Session, error::Error as ImapError};
use chrono::NaiveDate;
use futures_util::TryStreamExt as _;
use std::{fmt, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        RootCertStore,
        pki_types::{CertificateDer, ServerName},
    },
};

/// How long the server may take to answer one command.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes read of one mail: a report is at its beginning.
const LARGEST: u32 = 256 * 1024;

/// A line to the server, encrypted or not.
trait Line: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Line for T {}

/// An open mailbox.
pub struct Mailbox {
    session: Session<Box<dyn Line>>,
    /// Under which numbering its mails have their numbers.
    pub uid_validity: u32,
}

/// Which mails to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Those numbered above.
    Uid(u32),
    /// Those that came on this day or later.
    Day(NaiveDate),
}

/// Why the mailbox can't be read, as a Spanish sentence.
type Trouble = String;

impl Mailbox {
    /// Sign in and open the folder, for reading only. `authority` (DER): trust certificates issued by it instead of the public ones.
    ///
    /// # Errors
    /// A sentence in Spanish.
    pub async fn open(imap: &Imap, authority: Option<Vec<u8>>) -> Result<Mailbox, Trouble> {
        let mut roots = RootCertStore::empty();
        match authority {
            Some(it) => {
                roots.add(CertificateDer::from(it)).map_err(|_| "El certificado no sirve.".to_owned())?;
            }
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        let tls = connector(roots)?;
        within(Self::sign_in(imap, &tls)).await
    }

    async fn sign_in(imap: &Imap, tls: &TlsConnector) -> Result<Mailbox, Trouble> {
        let away = |_| {
            format!(
                "No se pudo conectar con {}:{}. Revisa IMAP_URL y que tu red permita esa salida.",
                imap.host, imap.port
            )
        };
        let tcp = TcpStream::connect((imap.host.as_str(), imap.port)).await.map_err(away)?;
        let line: Box<dyn Line> = match imap.tls {
            ImapTls::Tls => Box::new(protect(tcp, imap, tls).await?),
            ImapTls::None => Box::new(tcp),
            ImapTls::StartTls => {
                let mut plain = Client::new(tcp);
                greeting(&mut plain).await?;
                plain.run_command_and_check_ok("STARTTLS", None).await.map_err(|_| {
                    "El servidor de la casilla no ofrece STARTTLS: usa imaps:// en IMAP_URL.".to_owned()
                })?;
                Box::new(protect(plain.into_inner(), imap, tls).await?)
            }
        };
        let mut client = Client::new(line);
        // After STARTTLS no second greeting comes.
        if imap.tls != ImapTls::StartTls {
            greeting(&mut client).await?;
        }
        let mut session = client.login(&imap.user, imap.password.reveal()).await.map_err(|(error, _)| match error {
            ImapError::No(_) => {
                "La casilla no aceptó el usuario o la clave. Si usas Gmail u Outlook, crea una clave de aplicación y ponla en IMAP_URL.".to_owned()
            }
            _ => broken(&error),
        })?;
        let opened = session.examine(&imap.folder).await.map_err(|error| match error {
            ImapError::No(_) => format!("En la casilla no hay una carpeta «{}».", imap.folder),
            error => broken(&error),
        })?;
        let uid_validity = opened
            .uid_validity
            .ok_or_else(|| "El servidor de la casilla no numera sus correos.".to_owned())?;
        Ok(Mailbox { session, uid_validity })
    }

    /// The numbers of the mails that are there, ascending.
    ///
    /// # Errors
    /// A sentence in Spanish.
    pub async fn uids(&mut self, since: Since) -> Result<Vec<u32>, Trouble> {
        let (query, least) = match since {
            // A range whose end is lower than its start is read backwards: the last mail always comes.
            Since::Uid(uid) => (format!("UID {}:*", uid.saturating_add(1)), uid.saturating_add(1)),
            Since::Day(day) => (format!("SINCE {}", day.format("%d-%b-%Y")), 0),
        };
        let found = within(async { self.session.uid_search(&query).await.map_err(|it| broken(&it)) }).await?;
        let mut found: Vec<u32> = found.into_iter().filter(|it| *it >= least).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The mails with these numbers, each with its number and its beginning.
    ///
    /// # Errors
    /// A sentence in Spanish.
    pub async fn fetch(&mut self, uids: &[u32]) -> Result<Vec<(u32, Vec<u8>)>, Trouble> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let what = format!("(UID BODY.PEEK[]<0.{LARGEST}>)");
        within(async {
            let stream = self.session.uid_fetch(&set, &what).await.map_err(|it| broken(&it))?;
            let fetched: Vec<_> = stream.try_collect().await.map_err(|it| broken(&it))?;
            let mails = fetched.iter().filter_map(|it| Some((it.uid?, it.body()?.to_vec())));
            Ok(mails.collect())
        })
        .await
    }

    /// Say goodbye.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(5), self.session.logout()).await;
    }
}

async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err("El servidor de la casilla no respondió en un minuto.".to_owned()))
}

async fn protect(
    tcp: TcpStream,
    imap: &Imap,
    tls: &TlsConnector,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let name = ServerName::try_from(imap.host.clone())
        .map_err(|_| "El servidor de IMAP_URL no es un nombre de servidor.".to_owned())?;
    tls.connect(name, tcp).await.map_err(|_| {
        format!(
            "No se pudo cifrar la conexión con {}: su certificado no sirve o el puerto no es el de IMAP.",
            imap.host
        )
    })
}

async fn greeting<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug>(
    client: &mut Client<T>,
) -> Result<(), Trouble> {
    match client.read_response().await {
        Ok(Some(_)) => Ok(()),
        _ => {
            Err("El servidor de la casilla no saluda como uno de IMAP: revisa el puerto de IMAP_URL."
                .to_owned())
        }
    }
}

/// A fault of the line; the library's own words may quote a mail.
fn broken(_: &ImapError) -> Trouble {
    "La conexión con la casilla se cortó o el servidor respondió algo que no se entiende.".to_owned()
}
