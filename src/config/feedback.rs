//! What the environment says of what comes back: the mailbox, and the providers that call us.

use super::{ConfigError, Secret, wrong};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::borrow::Cow;

/// How the line to the mailbox is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImapTls {
    /// Encrypted from the first byte (`imaps://`).
    Tls,
    /// Encrypted by STARTTLS before anything is said (`imap://`).
    StartTls,
    /// Not encrypted (`imap://…?tls=none`): a server on this machine or a private network.
    None,
}

/// The mailbox of bounces and answers.
#[derive(Clone, Debug)]
pub struct Imap {
    /// Host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection of the line.
    pub tls: ImapTls,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Folder.
    pub folder: String,
}

impl Imap {
    /// `hola@tunegocio.cl en imap.proveedor.cl, INBOX`: names it and holds no secret.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} en {}, {}", self.user, self.host, self.folder)
    }

    /// `imaps://user:password@host:993/INBOX`; user and password percent-encoded.
    fn read(text: &str) -> Option<Imap> {
        let url = url::Url::parse(text).ok()?;
        let plain =
            |it: &str| percent_encoding::percent_decode_str(it).decode_utf8().ok().map(Cow::into_owned);
        let tls = match (url.scheme(), url.query()) {
            ("imaps", None) => ImapTls::Tls,
            ("imap", None) => ImapTls::StartTls,
            ("imap", Some("tls=none")) => ImapTls::None,
            _ => return None,
        };
        let folder = plain(url.path().trim_matches('/'))?;
        let (user, password) = (plain(url.username())?, plain(url.password()?)?);
        // They travel within lines.
        let is_line = |it: &str| !it.is_empty() && !it.chars().any(char::is_control);
        (is_line(&user) && is_line(&password) && !folder.chars().any(char::is_control)).then_some(())?;
        Some(Imap {
            host: url.host_str().filter(|it| !it.is_empty())?.to_owned(),
            port: url.port().unwrap_or(if tls == ImapTls::Tls { 993 } else { 143 }),
            tls,
            user,
            password: Secret::new(password),
            folder: if folder.is_empty() { "INBOX".to_owned() } else { folder },
        })
    }
}

/// A public key on the curve P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// From the Base64 of its DER form (SubjectPublicKeyInfo), with or without the lines of PEM.
    fn read(text: &str) -> Option<PublicKey> {
        /// What stands before the point, the same for every key on that curve.
        const HEAD: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let lines = text.replace("\\n", "\n");
        let base64: String =
            lines.lines().filter(|it| !it.starts_with("-----")).flat_map(str::split_whitespace).collect();
        let der = STANDARD.decode(base64).ok()?;
        let point = der.strip_prefix(&HEAD)?;
        (point.len() == 65 && point[0] == 4).then(|| PublicKey(point.to_vec()))
    }

    /// The uncompressed point.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        &self.0
    }
}

/// What tells that a provider's call is the provider's; none: that provider is not heard.
#[derive(Clone, Debug, Default)]
pub struct Callbacks {
    /// `SES_SNS_TOPIC_ARN`.
    pub ses_topic: Option<String>,
    /// `SENDGRID_WEBHOOK_PUBLIC_KEY`.
    pub sendgrid_key: Option<PublicKey>,
    /// `MAILGUN_WEBHOOK_SIGNING_KEY`.
    pub mailgun_key: Option<Secret>,
    /// `POSTMARK_WEBHOOK_SECRET`.
    pub postmark_secret: Option<Secret>,
    /// `BREVO_WEBHOOK_SECRET`.
    pub brevo_secret: Option<Secret>,
    /// `RESEND_WEBHOOK_SECRET`: `whsec_…`.
    pub resend_secret: Option<Secret>,
}

pub(super) fn imap(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Imap>, ConfigError> {
    let takes = "como imaps://usuario:clave@imap.proveedor.cl/INBOX, con los signos raros de usuario y clave escritos como %40";
    get("IMAP_URL").map(|text| Imap::read(&text).ok_or_else(|| wrong("IMAP_URL", takes))).transpose()
}

pub(super) fn callbacks(get: &impl Fn(&str) -> Option<String>) -> Result<Callbacks, ConfigError> {
    // What stands in an address that is pasted somewhere must not be guessed.
    let secret = |name: &str| match get(name) {
        Some(text) if text.len() < 16 => Err(wrong(name, "una clave de al menos 16 caracteres")),
        text => Ok(text.map(Secret::new)),
    };
    let ses_topic = get("SES_SNS_TOPIC_ARN");
    if ses_topic.as_ref().is_some_and(|it| !it.starts_with("arn:aws")) {
        return Err(wrong(
            "SES_SNS_TOPIC_ARN",
            "el ARN del tema de SNS, como arn:aws:sns:us-east-1:123456789012:rebotes",
        ));
    }
    let sendgrid_key = get("SENDGRID_WEBHOOK_PUBLIC_KEY")
        .map(|text| {
            PublicKey::read(&text).ok_or_else(|| {
                wrong("SENDGRID_WEBHOOK_PUBLIC_KEY", "la «Verification Key» que muestra SendGrid, en Base64")
            })
        })
        .transpose()?;
    let resend_secret = secret("RESEND_WEBHOOK_SECRET")?;
    if resend_secret.as_ref().is_some_and(|it| {
        let key = it.reveal();
        STANDARD.decode(key.strip_prefix("whsec_").unwrap_or(key)).is_err()
    }) {
        return Err(wrong(
            "RESEND_WEBHOOK_SECRET",
            "el «Signing Secret» que muestra Resend, que empieza con whsec_",
        ));
    }
    Ok(Callbacks {
        ses_topic,
        sendgrid_key,
        mailgun_key: secret("MAILGUN_WEBHOOK_SIGNING_KEY")?,
        postmark_secret: secret("POSTMARK_WEBHOOK_SECRET")?,
        brevo_secret: secret("BREVO_WEBHOOK_SECRET")?,
        resend_secret,
    })
}

#[cfg(test)]
mod tests {
    use super::super::*;

    #[test]
    fn the_mailbox_is_one_address() {
        let imap = |text: &str| {
            Config::read(|name| (name == "IMAP_URL").then(|| text.to_owned())).unwrap().imap.unwrap()
        };
        let it = imap("imaps://hola%40sur.cl:cl%2Fave@imap.sur.cl");
        assert_eq!((it.user.as_str(), it.password.reveal(), it.port), ("hola@sur.cl", "cl/ave", 993));
        assert_eq!((it.tls, it.folder.as_str()), (ImapTls::Tls, "INBOX"));
        assert_eq!(it.name(), "hola@sur.cl en imap.sur.cl, INBOX");
        let it = imap("imap://a:b@127.0.0.1:1143/Rebotes%20y%20m%C3%A1s?tls=none");
        assert_eq!((it.tls, it.port, it.folder.as_str()), (ImapTls::None, 1143, "Rebotes y más"));
        assert_eq!(imap("imap://a:b@sur.cl").tls, ImapTls::StartTls);
        assert!(!format!("{:?}", imap("imaps://a:secreta@sur.cl")).contains("secreta"));
    }
}
