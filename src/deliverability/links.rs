//! Whether a link opens. What it leads to is somebody else's word, so nothing is asked of an address that is not public,
//! whatever name it hides behind and wherever it redirects to: nobody makes this program call the machines around it.

use crate::codes::codes;
use futures_util::{StreamExt as _, stream};
use reqwest::{
    Client, Method, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
};
use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;
use url::{Host, Url};

/// Most links that are asked at once for one text.
pub const MOST: usize = 20;

/// Asked at the same time.
const TOGETHER: usize = 10;

/// Longest wait for one link, redirections and second question included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of it, what the question that wants no body may take: some servers never answer it.
const FIRST: Duration = Duration::from_secs(2);

/// Redirections that are followed.
const HOPS: usize = 5;

codes! {
    /// What became of asking a link.
    Verdict {
        /// It opens.
        Opens = "OPENS", "abre";
        /// The server has no such page.
        Missing = "MISSING", "la página no existe";
        /// It asks for permission, turns programs away, or is none that this one asks: a person may fare better.
        Refused = "REFUSED", "un programa no lo puede revisar: ábrelo tú";
        /// The server fails.
        Failing = "FAILING", "el sitio tiene una falla";
        /// No address was found for its name.
        Unresolved = "UNRESOLVED", "no se encontró el sitio";
        /// The certificate is of another site, or of nobody who is trusted, or too old, or comes without what leads to it.
        Certificate = "CERTIFICATE", "el certificado del sitio no convence: puede que el navegador avise";
        /// No answer.
        Silent = "SILENT", "el sitio no responde";
        /// It leads to an address that only some can reach; it was not asked.
        Inner = "INNER", "lleva a una dirección interna";
        /// It redirects without end.
        Loops = "LOOPS", "redirige sin fin";
    }
}

impl Verdict {
    /// Whether readers will not get where it leads.
    #[must_use]
    pub fn is_broken(self) -> bool {
        !matches!(self, Verdict::Opens | Verdict::Refused)
    }

    fn of_status(status: StatusCode) -> Verdict {
        match status.as_u16() {
            200..=299 => Verdict::Opens,
            404 | 410 => Verdict::Missing,
            500.. => Verdict::Failing,
            _ => Verdict::Refused,
        }
    }
}

/// What a link answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What became of it.
    pub verdict: Verdict,
    /// HTTP status, where there was one.
    pub answer: Option<u16>,
}

impl Visit {
    fn without_answer(verdict: Verdict) -> Visit {
        Visit { verdict, answer: None }
    }
}

/// Addresses to come.
pub type Finding<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows where a host is: the system, or a test's own.
pub trait Addresses: Send + Sync {
    /// The addresses of `host`.
    fn of<'a>(&'a self, host: &'a str) -> Finding<'a>;

    /// Whether `address` may be asked.
    fn may_ask(&self, address: IpAddr) -> bool {
        is_public(address)
    }

    /// Whether `port` may be asked: on others live services that are no sites, which would take the question for a command.
    fn may_ask_port(&self, port: u16) -> bool {
        matches!(port, 80 | 443)
    }
}

/// As the system resolves names.
struct SystemAddresses;

impl Addresses for SystemAddresses {
    fn of<'a>(&'a self, host: &'a str) -> Finding<'a> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|it| it.ip()).collect()) })
    }
}

/// What others find who follow a link to an address of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Nothing: it opens on this machine or its network only.
    Inner,
    /// The page, by a connection that anybody between may read and change.
    Unencrypted,
    /// The page.
    Open,
}

impl Door {
    /// Of the address `url`.
    #[must_use]
    pub fn of(url: &str) -> Door {
        match Url::parse(url) {
            Ok(url) if is_inner(&url) => Door::Inner,
            Ok(url) if url.scheme() == "https" => Door::Open,
            Ok(_) => Door::Unencrypted,
            Err(_) => Door::Inner,
        }
    }
}

/// Whether the host of `url` is a name or an address that means something on this machine or its network only.
#[must_use]
pub fn is_inner(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(it)) => !is_public(it.into()),
        Some(Host::Ipv6(it)) => !is_public(it.into()),
        Some(Host::Domain(it)) => {
            let name = it.trim_end_matches('.');
            name.rsplit_once('.').is_none_or(|(_, top)| {
                matches!(top, "localhost" | "local" | "internal" | "lan" | "localdomain")
            })
        }
        None => true,
    }
}

/// Whether anybody on the internet can reach `address`.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    !(it.is_private()
        || it.is_loopback()
        || it.is_link_local()
        || it.is_multicast()
        || it.is_documentation()
        || a == 0
        || a >= 240
        // Shared by providers (RFC 6598), for protocols (RFC 6890), for measuring (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(it: Ipv6Addr) -> bool {
    let within = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match it.segments() {
        // An IPv4 address in another dress is what that address is: mapped, translated (RFC 6052), 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => within(high, low),
        // Teredo, and examples.
        [0x2001, 0 | 0xdb8, ..] => false,
        // The rest of what is given out to the internet.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// Why a name led nowhere.
#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error("no public address")]
    Inner,
    #[error("no address")]
    Unresolved,
}

/// Gives the client public addresses only, so that what was judged is what it connects to.
struct Guard(Arc<dyn Addresses>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            let found = addresses.of(name.as_str()).await.map_err(|_| Unreached::Unresolved)?;
            if found.is_empty() {
                return Err(Unreached::Unresolved.into());
            }
            let public: Vec<_> = found.into_iter().filter(|it| addresses.may_ask(*it)).collect();
            if public.is_empty() {
                return Err(Unreached::Inner.into());
            }
            Ok(Box::new(public.into_iter().map(|it| SocketAddr::new(it, 0))) as Addrs)
        })
    }
}

/// Asks links.
pub struct Visitor {
    addresses: Arc<dyn Addresses>,
    client: Option<Client>,
}

impl Visitor {
    /// One who finds hosts as the system does.
    #[must_use]
    pub fn of_system() -> Visitor {
        Visitor::new(Arc::new(SystemAddresses))
    }

    /// One who finds hosts through `addresses`.
    #[must_use]
    pub fn new(addresses: Arc<dyn Addresses>) -> Visitor {
        let client = tls().and_then(|tls| {
            Client::builder()
                .tls_backend_preconfigured(tls)
                .http1_only()
                .user_agent(concat!("Llovizna/", env!("CARGO_PKG_VERSION"), " (link check)"))
                .timeout(PATIENCE)
                // A proxy would connect where the guard does not see; redirections are judged one by one.
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(Guard(addresses.clone()))
                .build()
                .ok()
        });
        Visitor { addresses, client }
    }

    /// Ask the first [`MOST`] of `links`, several at a time.
    pub async fn visit_all(&self, links: &[String]) -> Vec<(String, Visit)> {
        stream::iter(links.iter().take(MOST).cloned())
            .map(|it| async move {
                let visit = self.visit(&it).await;
                (it, visit)
            })
            .buffered(TOGETHER)
            .collect()
            .await
    }

    /// Ask one.
    pub async fn visit(&self, link: &str) -> Visit {
        let asked = async {
            let first = timeout(FIRST, self.follow(&Method::HEAD, link)).await;
            match first {
                // Only an answer of the server may be other when it is asked for the page itself.
                Ok(it)
                    if it.verdict == Verdict::Opens
                        || (it.answer.is_none() && it.verdict != Verdict::Silent) =>
                {
                    it
                }
                _ => self.follow(&Method::GET, link).await,
            }
        };
        timeout(PATIENCE, asked).await.unwrap_or(Visit::without_answer(Verdict::Silent))
    }

    async fn follow(&self, method: &Method, link: &str) -> Visit {
        let (Some(client), Ok(mut url)) = (&self.client, Url::parse(link)) else {
            return Visit::without_answer(Verdict::Silent);
        };
        for _ in 0..=HOPS {
            if !self.may_ask(&url) {
                return Visit::without_answer(Verdict::Inner);
            }
            // Somebody's name and key are not for this program to use.
            let has_key = !url.username().is_empty() || url.password().is_some();
            let port = url.port_or_known_default();
            if has_key || !port.is_some_and(|it| self.addresses.may_ask_port(it)) {
                return Visit::without_answer(Verdict::Refused);
            }
            let answer = match client.request(method.clone(), url.clone()).send().await {
                Ok(answer) => answer,
                Err(error) => return Visit::without_answer(of_error(&error)),
            };
            let status = answer.status();
            let next = answer.headers().get(LOCATION).filter(|_| status.is_redirection());
            match next.and_then(|it| it.to_str().ok()).and_then(|it| url.join(it).ok()) {
                Some(next) => url = next,
                None => return Visit { verdict: Verdict::of_status(status), answer: Some(status.as_u16()) },
            }
        }
        Visit::without_answer(Verdict::Loops)
    }

    /// Names are judged when they are resolved; an address written out never is.
    fn may_ask(&self, url: &Url) -> bool {
        matches!(url.scheme(), "http" | "https")
            && match url.host() {
                Some(Host::Ipv4(it)) => self.addresses.may_ask(it.into()),
                Some(Host::Ipv6(it)) => self.addresses.may_ask(it.into()),
                Some(Host::Domain(_)) => true,
                None => false,
            }
    }
}

/// Trusts whom browsers trust, whatever the machine at hand has installed.
pub(super) fn tls() -> Option<rustls::ClientConfig> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    Some(config.with_root_certificates(roots).with_no_client_auth())
}

/// What an error says of the link, from the causes behind it.
fn of_error(error: &reqwest::Error) -> Verdict {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(it) = cause {
        match it.downcast_ref() {
            Some(Unreached::Inner) => return Verdict::Inner,
            Some(Unreached::Unresolved) => return Verdict::Unresolved,
            None => {}
        }
        if is_about_certificate(it) {
            return Verdict::Certificate;
        }
        cause = it.source();
    }
    Verdict::Silent
}

/// TLS errors travel inside errors of input and output, which do not name them as their cause.
fn is_about_certificate(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => is_about_certificate(inner),
        None => matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_anybody_can_reach_is_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:192.168.1.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "200.1.123.4",
            "2606:4700::1111",
            "2800:3f0::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
