//! What the environment says: the only place that reads it. Everything is
//! optional; a wrong value is one Spanish sentence at start, never a guess.

mod copywriter;
mod feedback;

pub use copywriter::DeepSeek;
pub use feedback::{Callbacks, Imap, ImapTls, PublicKey};

use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, fmt, net::SocketAddr, path::PathBuf};

/// A value that is never printed, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wrap a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Whether `given` is the secret. Compared by digest, so that time tells nothing of the secret, its length included.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        let hash = |text: &str| Sha256::digest(text.as_bytes());
        // Every byte is looked at, whatever the first ones say.
        let differing = hash(given).iter().zip(hash(&self.0)).fold(0, |seen, (a, b)| seen | (a ^ b));
        !given.is_empty() && differing == 0
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the SMTP line is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Plain at first, encrypted by STARTTLS before anything is said (RFC 3207).
    StartTls,
    /// Encrypted from the first byte (RFC 8314).
    Tls,
    /// Not encrypted: a receiver on this machine or a private network.
    None,
}

/// A reachable SMTP server.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Protection of the line.
    pub tls: SmtpTls,
    /// User and password, where the server asks for them.
    pub credentials: Option<(String, Secret)>,
    /// Connections held at once.
    pub connections: usize,
}

/// How outgoing email is signed (RFC 6376).
#[derive(Clone, Debug)]
pub struct Dkim {
    /// Signing domain (`d=`).
    pub domain: String,
    /// Selector (`s=`).
    pub selector: String,
    /// Private key, PEM.
    pub key_pem: Secret,
}

/// Log output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// First values of what the panel edits afterwards.
#[derive(Clone, Debug, Default)]
pub struct FirstValues {
    /// `BUSINESS_NAME`.
    pub business_name: Option<String>,
    /// `BUSINESS_ADDRESS`.
    pub business_address: Option<String>,
    /// `BUSINESS_EMAIL`.
    pub business_email: Option<String>,
    /// `EMAIL_DAILY_CAP`: messages a local day, 0 for none.
    pub email_daily_cap: Option<u32>,
    /// `LAUNCH_HOLD_SECONDS`: time in which a launch may be taken back, 0 for none.
    pub launch_hold_seconds: Option<u32>,
    /// Frequency caps, by the name of their variable.
    pub frequency_caps: HashMap<&'static str, u32>,
}

/// Everything the environment says.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in the environment")]
pub struct Config {
    /// `DATABASE_URL`; none: the embedded Postgres.
    pub database_url: Option<Secret>,
    /// `LLOVIZNA_HOME`: data folder; whether it was named by hand tells the embedded Postgres if it may choose another.
    pub home: PathBuf,
    /// `LLOVIZNA_HOME` was set.
    pub home_is_set: bool,
    /// `LLOVIZNA_PG_BIN`: folder of Postgres programs.
    pub postgres_bin: Option<PathBuf>,
    /// `PATH`, where programs of Postgres are looked for.
    pub path: Option<std::ffi::OsString>,
    /// `LLOVIZNA_PG_FETCH` is not `off`: Postgres may be fetched where none is found.
    pub postgres_fetch: bool,
    /// `LLOVIZNA_PG_URL`: where builds of Postgres are fetched from, instead of their public home.
    pub postgres_url: Option<String>,
    /// `LLOVIZNA_PG_SHA256`: the SHA-256 that the fetched build must have, hexadecimal.
    pub postgres_sha256: Option<String>,
    /// Where the panel listens.
    pub listen: SocketAddr,
    /// `PUBLIC_URL` without the final slash: base of every link in a message.
    pub public_url: String,
    /// `SECRET_KEY`; none: made and kept in the data folder.
    pub secret_key: Option<Secret>,
    /// `ADMIN_EMAIL` and `ADMIN_PASSWORD`.
    pub admin: Option<(String, Secret)>,
    /// SMTP; none: the built-in outbox.
    pub smtp: Option<Smtp>,
    /// `DEFAULT_FROM_EMAIL`: `a@b.cl` or `Name <a@b.cl>`.
    pub default_from: Option<String>,
    /// DKIM signing.
    pub dkim: Option<Dkim>,
    /// `IMAP_URL`: the mailbox of bounces and answers.
    pub imap: Option<Imap>,
    /// Providers that tell us what became of messages.
    pub callbacks: Callbacks,
    /// The provider that proposes texts; none: there is no key.
    pub deepseek: Option<DeepSeek>,
    /// `DRIP_TOKEN`: bearer token of `POST /internal/drip`.
    pub drip_token: Option<Secret>,
    /// `METRICS_TOKEN`: bearer token of `GET /metrics`; none: answered to this machine alone.
    pub metrics_token: Option<Secret>,
    /// `DEMO_PUBLIC` is `on`: the demo, whose password is published, may be reached from other machines.
    pub demo_public: bool,
    /// `SCHEDULER` is not `off`.
    pub scheduler: bool,
    /// First values of what the panel edits.
    pub first_values: FirstValues,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`.
    pub log_filter: Option<String>,
}

/// A variable whose value can't be used, as a Spanish sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

const FREQUENCY_CAPS: [&str; 4] =
    ["SMS_DAILY_LIMIT", "SMS_MONTHLY_LIMIT", "EMAIL_WEEKLY_LIMIT", "EMAIL_MONTHLY_LIMIT"];

impl Config {
    /// Read `.env`, then the environment.
    ///
    /// # Errors
    /// A sentence in Spanish that names the variable and what it takes.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn from_env() -> Result<Config, ConfigError> {
        match dotenvy::dotenv() {
            Ok(_) => (),
            Err(error) if error.not_found() => (),
            Err(_) => {
                return Err(ConfigError(
                    "El archivo .env tiene una línea que no se entiende: escribe VARIABLE=valor en cada una."
                        .to_owned(),
                ));
            }
        }
        Config::read(|name| std::env::var(name).ok())
    }

    /// Read from `lookup`, which gives a variable's value.
    ///
    /// # Errors
    /// A sentence in Spanish that names the variable and what it takes.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let get = |name: &str| lookup(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let listen = listen(&get)?;
        let public_url = match get("PUBLIC_URL").or_else(|| get("RENDER_EXTERNAL_URL")) {
            Some(text) => match url::Url::parse(&text) {
                Ok(it) if matches!(it.scheme(), "http" | "https") && it.has_host() => {
                    text.trim_end_matches('/').to_owned()
                }
                _ => {
                    return Err(wrong(
                        "PUBLIC_URL",
                        "la dirección pública, por ejemplo https://crm.minegocio.cl",
                    ));
                }
            },
            None if listen.ip().is_unspecified() => format!("http://127.0.0.1:{}", listen.port()),
            None => format!("http://{listen}"),
        };
        let secret_key = get("SECRET_KEY").map(Secret::new);
        if secret_key.as_ref().is_some_and(|it| it.reveal().len() < 32) {
            return Err(wrong(
                "SECRET_KEY",
                "al menos 32 caracteres; puedes crear una con: openssl rand -base64 48",
            ));
        }
        let admin = match (get("ADMIN_EMAIL"), get("ADMIN_PASSWORD")) {
            (Some(email), Some(password)) => Some((email, Secret::new(password))),
            (None, None) => None,
            _ => {
                return Err(ConfigError(
                    "ADMIN_EMAIL y ADMIN_PASSWORD van juntas: falta una de las dos.".to_owned(),
                ));
            }
        };
        let mut frequency_caps = HashMap::new();
        for name in FREQUENCY_CAPS {
            if let Some(limit) = number(&get, name, 1, 1000)? {
                frequency_caps.insert(name, limit);
            }
        }
        Ok(Config {
            database_url: get("DATABASE_URL").map(Secret::new),
            home: get("LLOVIZNA_HOME").map_or_else(|| PathBuf::from("./var"), PathBuf::from),
            home_is_set: get("LLOVIZNA_HOME").is_some(),
            postgres_bin: get("LLOVIZNA_PG_BIN").map(PathBuf::from),
            path: get("PATH").map(Into::into),
            postgres_fetch: switch(&get, "LLOVIZNA_PG_FETCH", true)?,
            postgres_url: get("LLOVIZNA_PG_URL"),
            postgres_sha256: get("LLOVIZNA_PG_SHA256"),
            listen,
            public_url,
            secret_key,
            admin,
            smtp: smtp(&get)?,
            default_from: get("DEFAULT_FROM_EMAIL"),
            dkim: dkim(&get)?,
            imap: feedback::imap(&get)?,
            callbacks: feedback::callbacks(&get)?,
            deepseek: copywriter::deepseek(&get)?,
            drip_token: get("DRIP_TOKEN").map(Secret::new),
            metrics_token: get("METRICS_TOKEN").map(Secret::new),
            demo_public: switch(&get, "DEMO_PUBLIC", false)?,
            scheduler: switch(&get, "SCHEDULER", true)?,
            first_values: FirstValues {
                business_name: get("BUSINESS_NAME"),
                business_address: get("BUSINESS_ADDRESS"),
                business_email: get("BUSINESS_EMAIL"),
                email_daily_cap: number(&get, "EMAIL_DAILY_CAP", 0, 10_000_000)?,
                launch_hold_seconds: number(&get, "LAUNCH_HOLD_SECONDS", 0, 3600)?,
                frequency_caps,
            },
            log_format: match get("LOG_FORMAT").as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(_) => return Err(wrong("LOG_FORMAT", "text o json")),
            },
            log_filter: get("RUST_LOG"),
        })
    }

    /// Whether the panel is reached over HTTPS, so that cookies are for HTTPS only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

fn wrong(name: &str, takes: &str) -> ConfigError {
    ConfigError(format!("La variable {name} no se entiende: debe ser {takes}."))
}

fn number(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    min: u32,
    max: u32,
) -> Result<Option<u32>, ConfigError> {
    get(name)
        .map(|text| match text.parse() {
            Ok(n) if (min..=max).contains(&n) => Ok(n),
            _ => Err(wrong(name, &format!("un número entre {min} y {max}"))),
        })
        .transpose()
}

fn switch(get: &impl Fn(&str) -> Option<String>, name: &str, unset: bool) -> Result<bool, ConfigError> {
    match get(name).map(|it| it.to_ascii_lowercase()).as_deref() {
        None => Ok(unset),
        Some("on" | "true" | "1" | "yes") => Ok(true),
        Some("off" | "false" | "0" | "no") => Ok(false),
        Some(_) => Err(wrong(name, "on u off")),
    }
}

fn listen(get: &impl Fn(&str) -> Option<String>) -> Result<SocketAddr, ConfigError> {
    let port: Option<u16> = get("PORT")
        .map(|text| text.parse().map_err(|_| wrong("PORT", "un puerto entre 1 y 65535")))
        .transpose()?;
    match get("BIND_ADDR") {
        Some(text) => {
            if let Ok(address) = text.parse::<SocketAddr>() {
                return Ok(address);
            }
            match text.parse() {
                Ok(ip) => Ok(SocketAddr::new(ip, port.unwrap_or(8000))),
                Err(_) => Err(wrong("BIND_ADDR", "una dirección como 127.0.0.1:8000")),
            }
        }
        None => Ok(match port {
            Some(port) => SocketAddr::from(([0, 0, 0, 0], port)),
            None => SocketAddr::from(([127, 0, 0, 1], 8000)),
        }),
    }
}

fn smtp(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Smtp>, ConfigError> {
    let Some(host) = get("EMAIL_HOST") else {
        return Ok(None);
    };
    let port = number(get, "EMAIL_PORT", 1, 65_535)?.map(|it| u16::try_from(it).unwrap_or(u16::MAX));
    let tls = match get("EMAIL_USE_TLS").map(|it| it.to_ascii_lowercase()).as_deref() {
        Some("tls" | "ssl") => SmtpTls::Tls,
        Some("none" | "false" | "0" | "no" | "off") => SmtpTls::None,
        None if port == Some(465) => SmtpTls::Tls,
        None | Some("starttls" | "true" | "1" | "yes" | "on") => SmtpTls::StartTls,
        Some(_) => return Err(wrong("EMAIL_USE_TLS", "starttls, tls o none")),
    };
    let credentials = match (get("EMAIL_HOST_USER"), get("EMAIL_HOST_PASSWORD")) {
        (Some(user), Some(password)) => Some((user, Secret::new(password))),
        (None, None) => None,
        _ => {
            return Err(ConfigError(
                "EMAIL_HOST_USER y EMAIL_HOST_PASSWORD van juntas: falta una de las dos.".to_owned(),
            ));
        }
    };
    Ok(Some(Smtp {
        host,
        port: port.unwrap_or(match tls {
            SmtpTls::StartTls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        }),
        tls,
        credentials,
        connections: number(get, "EMAIL_CONNECTIONS", 1, 64)?.map_or(4, |it| it as usize),
    }))
}

fn dkim(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Dkim>, ConfigError> {
    let key = match (get("DKIM_PRIVATE_KEY"), get("DKIM_PRIVATE_KEY_FILE")) {
        (Some(pem), _) => Some(pem.replace("\\n", "\n")),
        (None, Some(path)) => Some(
            std::fs::read_to_string(&path)
                .map_err(|_| wrong("DKIM_PRIVATE_KEY_FILE", "un archivo PEM que se pueda leer"))?,
        ),
        (None, None) => None,
    };
    match (get("DKIM_DOMAIN"), get("DKIM_SELECTOR"), key) {
        (Some(domain), Some(selector), Some(pem)) => Ok(Some(Dkim {
            domain,
            selector,
            key_pem: Secret::new(pem),
        })),
        (None, None, None) => Ok(None),
        _ => Err(ConfigError(
            "DKIM_DOMAIN, DKIM_SELECTOR y DKIM_PRIVATE_KEY (o DKIM_PRIVATE_KEY_FILE) van juntas: falta alguna."
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_set_means_the_embedded_and_simulated_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.public_url, "http://127.0.0.1:8000");
        assert!(config.database_url.is_none() && config.smtp.is_none() && config.scheduler);
    }

    #[test]
    fn a_port_alone_listens_everywhere() {
        assert_eq!(read(&[("PORT", "10000")]).unwrap().listen.to_string(), "0.0.0.0:10000");
        let both = read(&[("PORT", "10000"), ("BIND_ADDR", "127.0.0.1")]).unwrap();
        assert_eq!(both.listen.to_string(), "127.0.0.1:10000");
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        for (name, value) in [
            ("SECRET_KEY", "short"),
            ("EMAIL_DAILY_CAP", "many"),
            ("PUBLIC_URL", "crm.cl"),
            ("SCHEDULER", "sometimes"),
            ("PORT", "0x10"),
            ("POSTMARK_WEBHOOK_SECRET", "corta"),
            ("SENDGRID_WEBHOOK_PUBLIC_KEY", "bm8gZXMgdW5hIGNsYXZl"),
            ("RESEND_WEBHOOK_SECRET", "whsec_no es base64 !!"),
            ("SES_SNS_TOPIC_ARN", "rebotes"),
            ("IMAP_URL", "imap.proveedor.cl"),
            ("IMAP_URL", "imaps://imap.proveedor.cl/INBOX"),
            ("IMAP_URL", "imaps://a:b@imap.proveedor.cl/INBOX?tls=none"),
            ("IMAP_URL", "imaps://a:b%0ac@imap.proveedor.cl"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn true_means_starttls() {
        let smtp = |value| {
            let config = read(&[("EMAIL_HOST", "smtp.example"), ("EMAIL_USE_TLS", value)]).unwrap();
            let smtp = config.smtp.unwrap();
            (smtp.tls, smtp.port)
        };
        assert_eq!(smtp("True"), (SmtpTls::StartTls, 587));
        assert_eq!(smtp("tls"), (SmtpTls::Tls, 465));
        assert_eq!(smtp("none"), (SmtpTls::None, 25));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let config = read(&[
            ("SECRET_KEY", "0123456789abcdef0123456789abcdef"),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
        ])
        .unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"));
    }
}
