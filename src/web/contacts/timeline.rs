//! The timeline of a contact as it is drawn: each entry in the same few words,
//! whatever it comes from.

use crate::{
    access::Permission,
    accounts::session::Session,
    chile::format,
    contacts::{
        interactions::REGRET,
        vocabulary::{HistoryKind, InteractionKind},
    },
    error::Result,
    ids::ContactId,
    reports::timeline::{self, Cursor, Entry, Kind, What},
    web::{
        badges::{self, Badge},
        filters,
    },
};
use askama::Template;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

/// Entries of one page.
const PAGE: usize = 20;

/// Which part of the timeline, as in the address.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub kind: String,
    pub after: String,
}

/// An entry, drawn.
pub(super) struct Event {
    at: DateTime<Utc>,
    icon: &'static str,
    title: String,
    /// Where it leads; empty: nowhere.
    path: String,
    badge: Option<Badge>,
    /// Pesos, shown at the end; empty: none.
    amount: String,
    /// How, why, who: joined by middle dots.
    about: String,
    detail: Option<String>,
    when: String,
    /// Where a DELETE takes it back; empty: it stays.
    remove: String,
}

/// A page of the timeline: list items, without the list around them.
#[derive(Template)]
#[template(path = "contacts/timeline.html")]
pub(super) struct TimelinePart {
    pub contact: ContactId,
    pub csrf: String,
    pub events: Vec<Event>,
    /// The query of the next page; empty: this is the last.
    pub next: String,
}

impl TimelinePart {
    pub(super) async fn load(
        db: &mut PgConnection,
        now: DateTime<Utc>,
        session: &Session,
        contact: ContactId,
        asked: &Asked,
    ) -> Result<TimelinePart> {
        let kind = Kind::from_code(&asked.kind);
        let (entries, next) =
            timeline::page(db, contact, kind, Cursor::from_code(&asked.after), PAGE).await?;
        let next = next.map(|it| match kind {
            Some(kind) => format!("kind={}&after={}", kind.code(), it.code()),
            None => format!("after={}", it.code()),
        });
        let events = entries.into_iter().map(|it| event(it, now, session, contact)).collect();
        Ok(TimelinePart { contact, csrf: session.csrf_token.clone(), events, next: next.unwrap_or_default() })
    }
}

/// The parts that say something, joined.
fn joined(parts: &[&str]) -> String {
    parts.iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>().join(" · ")
}

fn plain(at: DateTime<Utc>, icon: &'static str, title: String) -> Event {
    Event {
        at,
        icon,
        title,
        path: String::new(),
        badge: None,
        amount: String::new(),
        about: String::new(),
        detail: None,
        when: format::datetime(at),
        remove: String::new(),
    }
}

/// The icon of what staff writes down.
pub(super) fn icon(kind: InteractionKind) -> &'static str {
    match kind {
        InteractionKind::Call => "phone",
        InteractionKind::Email => "mail",
        InteractionKind::Meeting => "users",
        InteractionKind::Whatsapp => "brand-whatsapp",
        InteractionKind::Note => "edit",
    }
}

fn event(entry: Entry, now: DateTime<Utc>, session: &Session, contact: ContactId) -> Event {
    let (at, row) = (entry.at, entry.id);
    match entry.what {
        What::Interaction { kind, summary, detail, by, written_at } => {
            let is_own = by.as_ref().is_some_and(|it| it.0 == session.staff);
            let may_regret = is_own && now.signed_duration_since(written_at) <= REGRET;
            let by = by.map(|it| it.1).unwrap_or_default();
            Event {
                about: joined(&[kind.label(), &by]),
                detail,
                remove: if may_regret {
                    format!("/contacts/{contact}/interactions/{row}")
                } else {
                    String::new()
                },
                ..plain(at, icon(kind), summary)
            }
        }
        What::History { kind, on, item, amount, quantity, import } => {
            let (icon, many) = match kind {
                HistoryKind::Purchase => ("tag", format!("{quantity} unidades")),
                HistoryKind::Visit => ("map-pin", format!("{quantity} personas")),
                HistoryKind::Enrolment => ("calendar-event", format!("{quantity} cupos")),
            };
            let title =
                if item.is_empty() { kind.label().to_owned() } else { format!("{}: {item}", kind.label()) };
            Event {
                path: import.map(|it| format!("/imports/{it}")).unwrap_or_default(),
                amount: if amount > 0 { format::money(amount) } else { String::new() },
                about: joined(&[
                    if quantity > 1 { &many } else { "" },
                    if import.is_some() { "De un archivo importado" } else { "" },
                ]),
                when: format::date(on),
                ..plain(at, icon, title)
            }
        }
        What::Task { title, by } => Event {
            path: if session.role.may(Permission::EditContacts) {
                format!("/tasks/{row}/edit")
            } else {
                String::new()
            },
            about: by.unwrap_or_default(),
            ..plain(at, "list-check", format!("Tarea hecha: {title}"))
        },
        other => system_event(other, at, row),
    }
}

fn system_event(what: What, at: DateTime<Utc>, row: i64) -> Event {
    match what {
        What::Message { channel, subject, campaign, status, defer_reason, block_reason, answered_at } => {
            let why = block_reason
                .map(crate::messaging::kinds::BlockReason::label)
                .or_else(|| defer_reason.map(crate::messaging::kinds::DeferReason::label))
                .unwrap_or_default();
            let answered = answered_at.map(|it| format!("reaccionó el {}", format::datetime(it)));
            let named = subject.is_some();
            let campaign = campaign.unwrap_or_default();
            Event {
                path: format!("/messages/{row}"),
                badge: Some(badges::message(status, defer_reason)),
                about: joined(&[
                    channel.label(),
                    if named { &campaign } else { "" },
                    why,
                    &answered.unwrap_or_default(),
                ]),
                ..plain(
                    at,
                    "send",
                    subject.unwrap_or(if campaign.is_empty() {
                        "Mensaje".to_owned()
                    } else {
                        campaign.clone()
                    }),
                )
            }
        }
        What::Lifecycle { from, to, cause, detail, by } => Event {
            about: joined(&[cause.label(), &detail.unwrap_or_default(), &by.unwrap_or_default()]),
            ..plain(
                at,
                "refresh",
                format!("Pasó de {} a {}", from.label().to_lowercase(), to.label().to_lowercase()),
            )
        },
        What::Stage { from, to, by } => {
            let title = match (from, to) {
                (None, Some(to)) => format!("Entró al embudo en «{to}»"),
                (Some(from), Some(to)) => format!("Pasó de «{from}» a «{to}» en el embudo"),
                (from, None) => format!("Salió del embudo, donde estaba en «{}»", from.unwrap_or_default()),
            };
            Event { about: by.unwrap_or_default(), ..plain(at, "target-arrow", title) }
        }
        What::Consent { channel, basis, is_reversed, source, by, import } => {
            let title = match basis {
                Some(basis) => format!(
                    "Puede recibir promociones por {}: {}",
                    channel.label(),
                    basis.label().to_lowercase()
                ),
                None if is_reversed => {
                    format!("Lo anotado sobre promociones por {} quedó sin efecto", channel.label())
                }
                None => format!("Ya no quiere promociones por {}", channel.label()),
            };
            Event {
                path: import.map(|it| format!("/imports/{it}")).unwrap_or_default(),
                about: joined(&[&source, &by.unwrap_or_default()]),
                ..plain(at, if basis.is_some() { "circle-check" } else { "circle-x" }, title)
            }
        }
        What::Rhythm { channel, rhythm, source, asked_on, by, message } => {
            let asked = asked_on.map(|it| format!("lo pidió el {}", format::date(it))).unwrap_or_default();
            Event {
                path: message.map(|it| format!("/messages/{it}")).unwrap_or_default(),
                about: joined(&[&source, &asked, &by.unwrap_or_default()]),
                ..plain(at, "clock", format!("Promociones por {}: {}", channel.label(), rhythm.words()))
            }
        }
        What::Interaction { summary, .. } => plain(at, "edit", summary),
        What::History { item, .. } => plain(at, "tag", item),
        What::Task { title, .. } => plain(at, "list-check", title),
    }
}
