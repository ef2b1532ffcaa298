//! SendGrid's event webhook: a list of events, signed with ECDSA over P-256.

use super::{Call, PATIENT, Refusal, epoch, fresh, json, some, text};
use crate::{
    channels::feedback::{Kind, Report},
    config::PublicKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

pub(super) fn hear(key: &PublicKey, call: &Call<'_>, now: DateTime<Utc>) -> Result<Vec<Report>, Refusal> {
    let header = |name: &str| (call.header)(name).ok_or(Refusal::Forged);
    let signature = header("x-twilio-email-event-webhook-signature")?;
    let timestamp = header("x-twilio-email-event-webhook-timestamp")?;
    let signature = STANDARD.decode(signature.trim()).map_err(|_| Refusal::Forged)?;
    let signed = [timestamp.as_bytes(), call.body].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point())
        .verify(&signed, &signature)
        .map_err(|_| Refusal::Forged)?;
    fresh(epoch(&Value::String(timestamp)), now, PATIENT)?;
    let events = json(call.body)?;
    Ok(events.as_array().ok_or(Refusal::Unreadable)?.iter().filter_map(report).collect())
}

fn report(event: &Value) -> Option<Report> {
    let id = text(event, &["sg_event_id"]);
    let reason = [text(event, &["reason"]), text(event, &["response"])].into_iter().find(|it| !it.is_empty());
    let reason = reason.unwrap_or_default();
    let status = text(event, &["status"]);
    let mut it = Report::new(Kind::Delivered, some(&id)?);
    it.recipient = some(&text(event, &["email"])).map(str::to_owned);
    it.occurred_at = epoch(&event["timestamp"]);
    it.raw = event.to_string();
    let it = it.about([text(event, &["smtp-id"]).as_str()]).said(some(&status), some(&reason));
    let of = |kind| Some(Report { kind, ..it.clone() });
    match text(event, &["event"]).as_str() {
        "delivered" => of(Kind::Delivered),
        "deferred" => Some(it.late()),
        "bounce" if text(event, &["type"]) == "blocked" => Some(it.bounced(Some(false))),
        "bounce" => Some(it.bounced(Some(true))),
        "spamreport" => of(Kind::Complaint),
        "unsubscribe" | "group_unsubscribe" => of(Kind::OptOut),
        "dropped" => {
            let reason = reason.to_lowercase();
            if reason.contains("unsubscribed") {
                of(Kind::OptOut)
            } else if reason.contains("spam reporting") {
                of(Kind::Complaint)
            } else {
                let is_dead = reason.contains("bounced") || reason.contains("invalid");
                Some(it.bounced(Some(is_dead)))
            }
        }
        _ => None,
    }
}
