//! What email providers tell us over HTTP: whether a call is theirs, and what it
//! says, as values. Knows no database and no contact. Each provider is a file.

mod brevo;
mod mailgun;
mod postmark;
mod resend;
mod sendgrid;
pub mod ses;

use super::feedback::{Report, Source};
use crate::config::{Callbacks, Secret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

/// A call as it came.
pub struct Call<'a> {
    /// The value of a header, by its lower-case name.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
    /// `token` of the address, for providers that sign nothing.
    pub token: &'a str,
    /// The body, byte by byte as it is signed.
    pub body: &'a [u8],
}

/// Why a call is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The provider is not set up here.
    NotConnected,
    /// It is not the provider's, or too old.
    Forged,
    /// It is the provider's and can't be read.
    Unreadable,
    /// It can't be told now if it is the provider's: they must call again.
    Later,
}

/// How old a signature may be whose sender tries again for hours: a day, in which a repetition changes nothing.
const PATIENT: TimeDelta = TimeDelta::hours(24);

/// How old one may be that is made anew for each try.
const PROMPT: TimeDelta = TimeDelta::minutes(5);

/// How far ahead the provider's clock may run.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Whether `provider` is set up.
#[must_use]
pub fn is_connected(config: &Callbacks, provider: Source) -> bool {
    match provider {
        Source::Ses => config.ses_topic.is_some(),
        Source::SendGrid => config.sendgrid_key.is_some(),
        Source::Mailgun => config.mailgun_key.is_some(),
        Source::Postmark => config.postmark_secret.is_some(),
        Source::Brevo => config.brevo_secret.is_some(),
        Source::Resend => config.resend_secret.is_some(),
        Source::Mailbox | Source::Smtp => false,
    }
}

/// The variable that sets `provider` up.
#[must_use]
pub fn variable(provider: Source) -> &'static str {
    match provider {
        Source::Ses => "SES_SNS_TOPIC_ARN",
        Source::SendGrid => "SENDGRID_WEBHOOK_PUBLIC_KEY",
        Source::Mailgun => "MAILGUN_WEBHOOK_SIGNING_KEY",
        Source::Postmark => "POSTMARK_WEBHOOK_SECRET",
        Source::Brevo => "BREVO_WEBHOOK_SECRET",
        Source::Resend => "RESEND_WEBHOOK_SECRET",
        Source::Mailbox => "IMAP_URL",
        Source::Smtp => "EMAIL_HOST",
    }
}

/// What `provider` tells by `call`; what it tells that is nothing to us is left out.
///
/// # Errors
/// Why it is not heard.
pub async fn hear(
    config: &Callbacks,
    provider: Source,
    call: &Call<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Report>, Refusal> {
    let no = Refusal::NotConnected;
    match provider {
        Source::Ses => ses::hear(config.ses_topic.as_deref().ok_or(no)?, call, now).await,
        Source::SendGrid => sendgrid::hear(config.sendgrid_key.as_ref().ok_or(no)?, call, now),
        Source::Mailgun => mailgun::hear(config.mailgun_key.as_ref().ok_or(no)?, call, now),
        Source::Postmark => postmark::hear(config.postmark_secret.as_ref().ok_or(no)?, call),
        Source::Brevo => brevo::hear(config.brevo_secret.as_ref().ok_or(no)?, call),
        Source::Resend => resend::hear(config.resend_secret.as_ref().ok_or(no)?, call, now),
        Source::Mailbox | Source::Smtp => Err(no),
    }
}

/// A signature made at `at` that is neither too old nor from the future.
fn fresh(at: Option<DateTime<Utc>>, now: DateTime<Utc>, most: TimeDelta) -> Result<(), Refusal> {
    at.filter(|at| *at >= now - most && *at <= now + AHEAD).map(|_| ()).ok_or(Refusal::Forged)
}

/// A secret in the address, as the password of HTTP Basic or as a bearer token, for providers that sign nothing.
fn knows(secret: &Secret, call: &Call<'_>) -> Result<(), Refusal> {
    let header = (call.header)("authorization").unwrap_or_default();
    let given = match header.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => STANDARD
            .decode(rest.trim())
            .ok()
            .and_then(|it| String::from_utf8(it).ok())
            .and_then(|it| it.split_once(':').map(|(_, password)| password.to_owned())),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => Some(rest.trim().to_owned()),
        _ => None,
    };
    let known = secret.is(call.token) || given.is_some_and(|it| secret.is(&it));
    if known { Ok(()) } else { Err(Refusal::Forged) }
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Unreadable)
}

/// The text at `path`, empty where there is none; numbers as text.
fn text(value: &Value, path: &[&str]) -> String {
    match path.iter().fold(value, |value, part| &value[*part]) {
        Value::String(it) => it.clone(),
        Value::Number(it) => it.to_string(),
        _ => String::new(),
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|it| !it.is_empty())
}

fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.to_utc())
}

/// Seconds since 1970, also with a fraction.
fn epoch(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    #[expect(clippy::cast_possible_truncation, reason = "microseconds of our age fit")]
    DateTime::from_timestamp_micros((seconds * 1e6) as i64)
}

/// Message-IDs among headers given as `{name, value}`: our own first, since providers put theirs in place of the other.
fn named(headers: &Value) -> Vec<String> {
    let all: Vec<&Value> = headers.as_array().into_iter().flatten().collect();
    [super::email::OWN_HEADER, "Message-ID"]
        .iter()
        .flat_map(|name| all.iter().filter(|it| text(it, &["name"]).eq_ignore_ascii_case(name)))
        .map(|it| text(it, &["value"]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// What a provider's file gives for a call with `headers`.
    pub(super) fn call<T>(
        headers: &[(&str, &str)],
        token: &str,
        body: &str,
        hear: impl Fn(&Call<'_>) -> T,
    ) -> T {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let header = move |name: &str| headers.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        hear(&Call { header: &header, token, body: body.as_bytes() })
    }

    #[test]
    fn a_secret_comes_in_the_address_or_as_a_password() {
        let secret = Secret::new("clave-larga");
        let check =
            |headers: &[(&str, &str)], token: &str| call(headers, token, "", |it| knows(&secret, it).is_ok());
        assert!(check(&[], "clave-larga"));
        assert!(check(&[("authorization", "Basic bGxvdml6bmE6Y2xhdmUtbGFyZ2E=")], ""));
        assert!(check(&[("authorization", "Bearer clave-larga")], ""));
        assert!(!check(&[], ""));
        assert!(!check(&[], "clave"));
        assert!(!check(&[("authorization", "Basic eDp5")], ""));
    }

    #[test]
    fn a_signature_grows_old() {
        let now = at("2026-11-23T15:00:00Z");
        assert!(fresh(Some(now - TimeDelta::minutes(4)), now, PROMPT).is_ok());
        assert!(fresh(Some(now - TimeDelta::minutes(6)), now, PROMPT).is_err());
        assert!(fresh(Some(now + TimeDelta::minutes(6)), now, PATIENT).is_err());
        assert!(fresh(None, now, PATIENT).is_err());
    }
}
