//! Resend's webhooks: one event a call, signed as Svix does: HMAC-SHA256 over id, moment and body.

use super::{Call, PROMPT, Refusal, epoch, fresh, json, named, rfc3339, some, text};
use crate::{
    channels::feedback::{Kind, Report},
    config::Secret,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use ring::hmac;
use serde_json::Value;

pub(super) fn hear(secret: &Secret, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<Report>, Refusal> {
    let header = |name: &str| (call.header)(name).ok_or(Refusal::Forged);
    let (id, timestamp, signatures) =
        (header("svix-id")?, header("svix-timestamp")?, header("svix-signature")?);
    let key = secret.reveal();
    let key = STANDARD.decode(key.strip_prefix("whsec_").unwrap_or(key)).map_err(|_| Refusal::Forged)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", call.body].concat();
    let fits = signatures
        .split(' ')
        .filter_map(|it| STANDARD.decode(it.strip_prefix("v1,")?).ok())
        .any(|it| hmac::verify(&key, &signed, &it).is_ok());
    if !fits {
        return Err(Refusal::Forged);
    }
    fresh(epoch(&Value::String(timestamp)), now, PROMPT)?;
    let event = json(call.body)?;
    let data = &event["data"];
    let recipients: Vec<String> = match &data["to"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(one) => vec![one.clone()],
        _ => Vec::new(),
    };
    let all = recipients.iter().enumerate();
    Ok(all.filter_map(|(place, to)| report(&event, &format!("{id}:{place}"), to)).collect())
}

fn report(event: &Value, id: &str, recipient: &str) -> Option<Report> {
    let data = &event["data"];
    let words = [text(data, &["bounce", "message"]), text(data, &["failed", "reason"])];
    let words = words.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let mut it = Report::new(Kind::Delivered, id);
    it.recipient = Some(recipient.to_owned());
    it.occurred_at = rfc3339(&text(event, &["created_at"]));
    it.raw = event.to_string();
    let ids = named(&data["headers"]);
    let own = text(data, &["message_id"]);
    let it = it.about(ids.iter().map(String::as_str).chain([own.as_str()])).said(None, some(&words));
    let of = |kind| Some(Report { kind, ..it.clone() });
    match text(event, &["type"]).as_str() {
        "email.delivered" => of(Kind::Delivered),
        "email.delivery_delayed" => Some(it.late()),
        "email.bounced" => {
            // Older calls name no type, and Resend then speaks of bounces for good.
            let is_hard = !matches!(text(data, &["bounce", "type"]).as_str(), "Transient" | "Undetermined");
            Some(it.bounced(Some(is_hard)))
        }
        "email.complained" => of(Kind::Complaint),
        "email.failed" => of(Kind::SenderRefused),
        _ => None,
    }
}
