//! Amazon SES by way of SNS: envelopes that Amazon signs, each with one event. Anybody
//! may have Amazon sign an envelope of a topic of their own, so only our topic's are heard.

use super::{Call, PATIENT, Refusal, fresh, json, named, rfc3339, some, text};
use crate::channels::{
    email::blame::Blame,
    feedback::{Kind, Report},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

/// Public keys of Amazon by the address of their certificate: a handful, renewed every year or so.
static KEYS: LazyLock<Mutex<HashMap<String, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// Addresses remembered at once.
const KEYS_KEPT: usize = 64;

/// How long Amazon may take to give a certificate, or to take a confirmation.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn hear(topic: &str, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<Report>, Refusal> {
    let envelope = json(call.body).map_err(|_| Refusal::Forged)?;
    let of = |name: &str| text(&envelope, &[name]);
    let kind = of("Type");
    if of("TopicArn") != topic || (call.header)("x-amz-sns-message-type").is_some_and(|it| it != kind) {
        return Err(Refusal::Forged);
    }
    let key = key(&of("SigningCertURL")).await?;
    let signature = STANDARD.decode(of("Signature")).map_err(|_| Refusal::Forged)?;
    let signed = signed(&envelope);
    let fits = match of("SignatureVersion").as_str() {
        "2" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key).verify(&signed, &signature),
        "1" => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, &key)
            .verify(&signed, &signature),
        _ => return Err(Refusal::Forged),
    };
    fits.map_err(|_| Refusal::Forged)?;
    fresh(rfc3339(&of("Timestamp")), now, PATIENT)?;
    match kind.as_str() {
        "SubscriptionConfirmation" => {
            confirm(&of("SubscribeURL")).await?;
            Ok(Vec::new())
        }
        // After a confirmation comes a text in words.
        "Notification" => Ok(serde_json::from_str(&of("Message"))
            .map(|it| reports(&it, &of("MessageId")))
            .unwrap_or_default()),
        _ => Ok(Vec::new()),
    }
}

/// What Amazon signs of an envelope.
fn signed(envelope: &Value) -> Vec<u8> {
    let names: &[&str] = match text(envelope, &["Type"]).as_str() {
        "Notification" => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let mut signed = String::new();
    for name in names {
        if let Some(value) = envelope[*name].as_str() {
            signed.extend([*name, "\n", value, "\n"]);
        }
    }
    signed.into_bytes()
}

/// An address of SNS itself.
fn is_amazons(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    let region = host
        .strip_prefix("sns.")
        .and_then(|it| it.strip_suffix(".amazonaws.com").or_else(|| it.strip_suffix(".amazonaws.com.cn")));
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && region
            .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-'))
}

/// The public key of the certificate at `address`.
async fn key(address: &str) -> Result<Vec<u8>, Refusal> {
    if !is_amazons(address) {
        return Err(Refusal::Forged);
    }
    if let Some(key) = KEYS.lock().unwrap_or_else(PoisonError::into_inner).get(address) {
        return Ok(key.clone());
    }
    let pem = fetch(address).await.ok_or(Refusal::Later)?;
    remember(address, &pem).ok_or(Refusal::Later)
}

/// Keep the key of a certificate (PEM) under the address that it is found at.
pub fn remember(address: &str, pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (base64, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let der = STANDARD.decode(base64.split_whitespace().collect::<String>()).ok()?;
    let key = rsa_key(&der)?;
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.len() >= KEYS_KEPT {
        keys.clear();
    }
    keys.insert(address.to_owned(), key.clone());
    Some(key)
}

async fn confirm(address: &str) -> Result<(), Refusal> {
    if !is_amazons(address) {
        return Err(Refusal::Forged);
    }
    fetch(address).await.map(|_| ()).ok_or(Refusal::Later)
}

async fn fetch(address: &str) -> Option<String> {
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .ok()?;
    let mut answer = client.get(address).send().await.ok()?.error_for_status().ok()?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.ok()? {
        body.extend_from_slice(&part);
        if body.len() > 64 * 1024 {
            return None;
        }
    }
    String::from_utf8(body).ok()
}

/// One value of DER: its tag, its content, and what follows.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (digits, rest) = rest.split_at(count);
        (digits.iter().fold(0, |sum, it| sum << 8 | usize::from(*it)), rest)
    };
    (rest.len() >= length).then(|| (tag, &rest[..length], &rest[length..]))
}

/// The RSA key (PKCS #1) of an X.509 certificate: the seventh part of what is certified, after version, number,
/// algorithm, issuer, validity and subject. Whose it is was told by the line that it came over.
fn rsa_key(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate, _) = der(certificate)?;
    let (_, mut rest, _) = der(certificate)?;
    for _ in 0..6 {
        (_, _, rest) = der(rest)?;
    }
    let (_, key, _) = der(rest)?;
    let (_, _, bits) = der(key)?;
    let (tag, bits, _) = der(bits)?;
    // A bit string begins with how many bits are left over.
    let (&unused, key) = bits.split_first()?;
    (tag == 3 && unused == 0).then(|| key.to_vec())
}

fn reports(message: &Value, id: &str) -> Vec<Report> {
    let kind = [text(message, &["notificationType"]), text(message, &["eventType"])];
    let kind = kind.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let mail = &message["mail"];
    let ids = named(&mail["headers"]);
    let common = text(mail, &["commonHeaders", "messageId"]);
    let one = |place: usize, recipient: &str, at: &str| {
        let mut it = Report::new(Kind::Delivered, format!("{id}:{place}"));
        it.recipient = Some(recipient.to_owned());
        it.occurred_at = rfc3339(at);
        it.raw = message.to_string();
        it.about(ids.iter().map(String::as_str).chain([common.as_str()]))
    };
    let list = |value: &Value| -> Vec<Value> { value.as_array().cloned().unwrap_or_default() };
    let address = |it: &Value| it.as_str().map_or_else(|| text(it, &["emailAddress"]), str::to_owned);
    let each = |all: Vec<Value>, at: &str, make: &dyn Fn(Report, &Value) -> Report| -> Vec<Report> {
        let all = all.iter().enumerate();
        all.map(|(place, it)| make(one(place, &address(it), at), it)).collect()
    };
    let said = |report: Report, it: &Value| {
        report.said(some(&text(it, &["status"])), some(&text(it, &["diagnosticCode"])))
    };
    match kind.as_str() {
        "Delivery" => {
            let delivery = &message["delivery"];
            each(list(&delivery["recipients"]), &text(delivery, &["timestamp"]), &|report, _| {
                report.said(None, some(&text(delivery, &["smtpResponse"])))
            })
        }
        "Bounce" => {
            let bounce = &message["bounce"];
            let (sort, more) = (text(bounce, &["bounceType"]), text(bounce, &["bounceSubType"]));
            each(list(&bounce["bouncedRecipients"]), &text(bounce, &["timestamp"]), &|report, it| {
                let report = said(report, it).bounced(Some(sort == "Permanent"));
                let cause = match more.as_str() {
                    "MailboxFull" => Some(Blame::Full),
                    "MessageTooLarge" => Some(Blame::TooBig),
                    "ContentRejected" | "AttachmentRejected" => Some(Blame::Policy),
                    _ => None,
                };
                match cause {
                    Some(Blame::Policy) => Report { kind: Kind::SenderRefused, cause, ..report },
                    Some(_) => Report { kind: Kind::SoftBounce, cause, ..report },
                    None => report,
                }
            })
        }
        "Complaint" => {
            let complaint = &message["complaint"];
            if text(complaint, &["complaintFeedbackType"]) == "not-spam" {
                return Vec::new();
            }
            each(list(&complaint["complainedRecipients"]), &text(complaint, &["timestamp"]), &|report, _| {
                Report { kind: Kind::Complaint, ..report }
            })
        }
        "DeliveryDelay" => {
            let delay = &message["deliveryDelay"];
            each(list(&delay["delayedRecipients"]), &text(delay, &["timestamp"]), &|report, it| {
                said(report, it).late()
            })
        }
        "Reject" => each(list(&mail["destination"]), &text(mail, &["timestamp"]), &|report, _| Report {
            kind: Kind::SenderRefused,
            cause: Some(Blame::Sender),
            ..report.said(None, some(&text(message, &["reject", "reason"])))
        }),
        "Subscription"
            if message["subscription"]["newTopicPreferences"]["unsubscribeAll"].as_bool() == Some(true) =>
        {
            each(list(&mail["destination"]), &text(&message["subscription"], &["timestamp"]), &|report, _| {
                Report { kind: Kind::OptOut, ..report }
            })
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_sns_are_asked() {
        for good in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-abc.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/x.pem",
        ] {
            assert!(is_amazons(good), "{good}");
        }
        for evil in [
            "http://sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com.evil.cl/x.pem",
            "https://evil.cl/sns.us-east-1.amazonaws.com",
            "https://sns.a.b.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com:8443/x.pem",
            "https://sns.us-east-1.amazonaws.com@evil.cl/x.pem",
            "https://bucket.s3.amazonaws.com/x.pem",
            "",
        ] {
            assert!(!is_amazons(evil), "{evil}");
        }
    }

    #[test]
    fn broken_certificates_are_none() {
        assert_eq!(rsa_key(&[]), None);
        assert_eq!(rsa_key(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(rsa_key(&[0x30, 0x02, 0x30, 0x00]), None);
    }
}
