//! Asks name servers. What they know is told apart from that they did not answer.

use hickory_resolver::{
    TokioResolver,
    net::NetError,
    proto::rr::{RData, RecordType},
};
use std::{pin::Pin, time::Duration};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Texts, each joined from its parts.
    Txt,
    /// Servers that take its mail.
    Mx,
    /// Its IPv4 addresses.
    Address,
    /// Names of the address that it stands for.
    Ptr,
}

/// No name server answered, which says nothing of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// The answer to come: no text where there is no record.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, Unanswered>> + Send + 'a>>;

/// Who knows names: the internet's servers, or a test's own.
pub trait Names: Send + Sync {
    /// The records of `kind` of `name`, as text; names come without their final dot.
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a>;
}

/// Asks the system's name servers.
pub struct SystemNames(TokioResolver);

impl SystemNames {
    /// None where the system names no name server.
    #[must_use]
    pub fn new() -> Option<SystemNames> {
        let mut builder = TokioResolver::builder_tokio().ok()?;
        let options = builder.options_mut();
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        builder.build().ok().map(SystemNames)
    }
}

impl Names for SystemNames {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        Box::pin(async move {
            let record = match kind {
                Kind::Txt => RecordType::TXT,
                Kind::Mx => RecordType::MX,
                Kind::Address => RecordType::A,
                Kind::Ptr => RecordType::PTR,
            };
            // The final dot keeps the search domains of this machine out of it.
            let asked = self.0.lookup(format!("{name}."), record);
            match tokio::time::timeout(PATIENCE, asked).await {
                Ok(Ok(found)) => Ok(found.answers().iter().filter_map(|it| text(&it.data)).collect()),
                Ok(Err(error)) if is_nothing(&error) => Ok(Vec::new()),
                Ok(Err(_)) | Err(_) => Err(Unanswered),
            }
        })
    }
}

/// None: an alias on the way, which the resolver has followed.
fn text(data: &RData) -> Option<String> {
    let bare = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
    match data {
        // One text travels in parts of 255 bytes.
        RData::TXT(it) => Some(String::from_utf8_lossy(&it.txt_data.concat()).into_owned()),
        RData::MX(it) => Some(bare(it.exchange.to_string())),
        RData::A(it) => Some(it.to_string()),
        RData::PTR(it) => Some(bare(it.to_string())),
        _ => None,
    }
}

fn is_nothing(error: &NetError) -> bool {
    error.is_no_records_found() || error.is_nx_domain()
}
