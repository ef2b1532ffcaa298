//! How states look: word, icon and colour together, the same on every page.

use crate::{
    channels::feedback::Kind,
    messaging::kinds::{DeferReason, Status},
};

/// A state as shown.
pub(super) struct Badge {
    /// Word.
    pub label: &'static str,
    /// Colour: grey waits, blue is on its way, green went well, yellow waits for a time, orange needs a person, red did not go.
    pub tone: &'static str,
    /// Icon.
    pub icon: &'static str,
}

/// The state of a message; a pending one that was put off shows so.
pub(super) fn message(status: Status, deferred: Option<DeferReason>) -> Badge {
    let badge = |tone, icon| Badge { label: status.label(), tone, icon };
    match status {
        Status::Pending if deferred.is_some() => {
            Badge { label: "Pospuesto", tone: "yellow", icon: "calendar-time" }
        }
        Status::Pending => badge("secondary", "clock"),
        Status::Sending => badge("blue", "send"),
        Status::Sent | Status::Delivered => badge("green", "check"),
        Status::Opened | Status::Clicked | Status::Replied => badge("green", "mail-opened"),
        Status::Unconfirmed => badge("orange", "mail-question"),
        Status::Bounced | Status::Failed => badge("red", "alert-circle"),
        Status::Blocked => badge("red", "ban"),
        Status::Cancelled => badge("secondary", "x"),
    }
}

/// What came back of a message.
pub(super) fn inbound(kind: Kind) -> Badge {
    let badge = |tone, icon| Badge { label: kind.label(), tone, icon };
    match kind {
        Kind::Delivered => badge("green", "check"),
        Kind::Reply => badge("green", "mail-opened"),
        Kind::Deferred => badge("yellow", "calendar-time"),
        Kind::SoftBounce => badge("yellow", "mail-off"),
        Kind::HardBounce => badge("red", "mail-off"),
        Kind::SenderRefused => badge("orange", "alert-triangle"),
        Kind::Complaint | Kind::OptOut => badge("red", "ban"),
        Kind::AutoReply => badge("secondary", "robot"),
    }
}

/// The state of a job's run.
pub(super) fn job(status: &str) -> Badge {
    match status {
        "DONE" => Badge { label: "Terminado", tone: "green", icon: "check" },
        "RUNNING" => Badge { label: "En marcha", tone: "blue", icon: "loader" },
        "INTERRUPTED" => Badge { label: "Interrumpido", tone: "orange", icon: "alert-triangle" },
        _ => Badge { label: "Falló", tone: "red", icon: "alert-circle" },
    }
}
