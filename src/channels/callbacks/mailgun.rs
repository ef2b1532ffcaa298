//! Mailgun's webhooks: one event a call, under an HMAC of its moment and a token. The
//! signature does not cover the event, so the token is what makes it one: used twice, it tells nothing new.

use super::{Call, PATIENT, Refusal, epoch, fresh, json, some, text};
use crate::{
    channels::feedback::{Kind, Report},
    config::Secret,
};
use chrono::{DateTime, Utc};
use ring::hmac;
use serde_json::Value;

pub(super) fn hear(key: &Secret, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<Report>, Refusal> {
    // Nothing of it is believed before the signature fits.
    let body = json(call.body).map_err(|_| Refusal::Forged)?;
    let of = |name: &str| text(&body, &["signature", name]);
    let (timestamp, token) = (of("timestamp"), of("token"));
    let signature = hex::decode(of("signature")).map_err(|_| Refusal::Forged)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.reveal().as_bytes());
    hmac::verify(&key, format!("{timestamp}{token}").as_bytes(), &signature).map_err(|_| Refusal::Forged)?;
    fresh(epoch(&Value::String(timestamp)), now, PATIENT)?;
    Ok(report(&body["event-data"], &token).into_iter().collect())
}

fn report(event: &Value, token: &str) -> Option<Report> {
    let status = |name: &str| text(event, &["delivery-status", name]);
    let words = [status("message"), status("description")].into_iter().find(|it| !it.is_empty());
    let words = words.unwrap_or_default();
    // Codes of its own (605: suppressed) are no codes of SMTP.
    let code: Option<u16> = status("code").parse().ok().filter(|it| (400..600).contains(it));
    let words = match code {
        Some(code) if !words.starts_with(&code.to_string()) => format!("{code} {words}"),
        _ => words,
    };
    let mut it = Report::new(Kind::Delivered, token);
    it.recipient = some(&text(event, &["recipient"])).map(str::to_owned);
    it.occurred_at = epoch(&event["timestamp"]);
    it.raw = event.to_string();
    let it = it
        .about([text(event, &["message", "headers", "message-id"]).as_str()])
        .said(some(&status("enhanced-code")), some(&words));
    let of = |kind| Some(Report { kind, ..it.clone() });
    match (text(event, &["event"]).as_str(), text(event, &["reason"]).as_str()) {
        ("delivered", _) => of(Kind::Delivered),
        ("complained", _) | ("failed", "suppress-complaint") => of(Kind::Complaint),
        ("unsubscribed", _) | ("failed", "suppress-unsubscribe") => of(Kind::OptOut),
        ("failed", _) if text(event, &["severity"]) == "temporary" => Some(it.late()),
        ("failed", "bounce" | "suppress-bounce") => Some(it.bounced(Some(true))),
        // Given up after many tries, or for a reason that it does not name.
        ("failed", _) => Some(it.bounced(Some(false))),
        ("rejected", _) => of(Kind::SenderRefused),
        _ => None,
    }
}
