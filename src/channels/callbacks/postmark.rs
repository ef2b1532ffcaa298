//! Postmark's webhooks: one event a call, without a signature.

use super::{Call, Refusal, json, knows, rfc3339, text};
use crate::{
    channels::{
        email::blame::Blame,
        feedback::{Kind, Report},
    },
    config::Secret,
};
use serde_json::Value;

pub(super) fn hear(secret: &Secret, call: &Call<'_>) -> Result<Vec<Report>, Refusal> {
    knows(secret, call)?;
    Ok(report(&json(call.body)?).into_iter().collect())
}

fn report(event: &Value) -> Option<Report> {
    let record = text(event, &["RecordType"]);
    let message = text(event, &["MessageID"]);
    let recipient =
        [text(event, &["Email"]), text(event, &["Recipient"])].into_iter().find(|it| !it.is_empty())?;
    let at = [text(event, &["BouncedAt"]), text(event, &["DeliveredAt"]), text(event, &["ChangedAt"])];
    let at = at.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
    let id = match text(event, &["ID"]) {
        it if it.is_empty() => format!("{record}:{message}:{recipient}:{at}"),
        it => format!("{record}:{it}"),
    };
    let words =
        [text(event, &["Details"]), text(event, &["Description"])].into_iter().find(|it| !it.is_empty());
    let mut it = Report::new(Kind::Delivered, id);
    it.recipient = Some(recipient);
    it.occurred_at = rfc3339(&at);
    it.raw = event.to_string();
    // It names messages by numbers of its own alone: which one it means is found by the recipient.
    let it = it.said(None, words.as_deref());
    let of = |kind| Some(Report { kind, ..it.clone() });
    let refused_us = |cause| Some(Report { kind: Kind::SenderRefused, cause: Some(cause), ..it.clone() });
    match (record.as_str(), text(event, &["Type"]).as_str()) {
        ("Delivery", _) => of(Kind::Delivered),
        ("SpamComplaint", _) | ("Bounce", "SpamComplaint" | "SpamNotification") => of(Kind::Complaint),
        ("Bounce", "HardBounce" | "BadEmailAddress") => Some(it.bounced(Some(true))),
        ("Bounce", "Blocked") => refused_us(Blame::Policy),
        ("Bounce", "DMARCPolicy") => refused_us(Blame::Sender),
        ("Bounce", "Unsubscribe" | "ManuallyDeactivated") => of(Kind::OptOut),
        ("Bounce", "AutoResponder") => of(Kind::AutoReply),
        (
            "Bounce",
            "Subscribe" | "AddressChange" | "ChallengeVerification" | "OpenRelayTest" | "VirusNotification",
        ) => None,
        ("Bounce", _) => Some(it.bounced(Some(false))),
        ("SubscriptionChange", _) if event["SuppressSending"].as_bool() == Some(true) => {
            match text(event, &["SuppressionReason"]).as_str() {
                "HardBounce" => Some(it.bounced(Some(true))),
                "SpamComplaint" => of(Kind::Complaint),
                _ => of(Kind::OptOut),
            }
        }
        _ => None,
    }
}
