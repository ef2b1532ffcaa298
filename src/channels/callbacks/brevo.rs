//! Brevo's transactional webhooks: one event a call or a list, without a signature.

use super::{Call, Refusal, epoch, json, knows, some, text};
use crate::{
    channels::feedback::{Kind, Report},
    config::Secret,
};
use chrono::DateTime;
use serde_json::Value;

pub(super) fn hear(secret: &Secret, call: &Call<'_>) -> Result<Vec<Report>, Refusal> {
    knows(secret, call)?;
    Ok(match json(call.body)? {
        Value::Array(all) => all.iter().filter_map(report).collect(),
        one => report(&one).into_iter().collect(),
    })
}

fn report(event: &Value) -> Option<Report> {
    let name = text(event, &["event"]);
    let recipient = text(event, &["email"]);
    let message = text(event, &["message-id"]);
    // Its other times are of the account's zone.
    let at = event["ts_epoch"]
        .as_i64()
        .and_then(DateTime::from_timestamp_millis)
        .or_else(|| epoch(&event["ts_event"]));
    let moment = at.map(|it| it.timestamp_millis()).unwrap_or_default();
    let mut it = Report::new(Kind::Delivered, format!("{name}:{message}:{recipient}:{moment}"));
    it.recipient = Some(some(&recipient)?.to_owned());
    it.occurred_at = at;
    it.raw = event.to_string();
    let it = it.about([message.as_str()]).said(None, some(&text(event, &["reason"])));
    let of = |kind| Some(Report { kind, ..it.clone() });
    match name.as_str() {
        "delivered" => of(Kind::Delivered),
        "deferred" => Some(it.late()),
        "hard_bounce" | "invalid_email" => Some(it.bounced(Some(true))),
        "soft_bounce" | "blocked" | "error" => Some(it.bounced(Some(false))),
        "spam" | "complaint" => of(Kind::Complaint),
        "unsubscribe" | "unsubscribed" => of(Kind::OptOut),
        _ => None,
    }
}
