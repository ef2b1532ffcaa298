//! "¿Por qué?" on a contact: what the gate decided on their messages, what it says at this moment of each kind and of a
//! campaign, and when each is free again.

use crate::{
    campaigns::{
        campaign::{self, Campaign},
        on_one::{self, OnOne},
        outlook,
    },
    channels::Channel,
    contacts::contact::{self, Contact},
    error::Result,
    ids::{CampaignId, ContactId},
    messaging::{
        decided::{self, Told},
        gate::Decision,
        kinds::{EventKind, MessageType, OriginKind},
        why::{self, Answer, Frame, Question},
    },
    state::AppState,
    web::{
        badges::Badge,
        filters, guard,
        html::{self, Answer as Page},
        shell::Shell,
    },
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

/// Decisions that are shown.
const SHOWN: i64 = 8;

/// Campaigns that may be asked about.
const OFFERED: i64 = 100;

/// Kinds that are asked about.
const KINDS: [MessageType; 5] = [
    MessageType::Promocional,
    MessageType::Newsletter,
    MessageType::Reactivation,
    MessageType::VipEarlyAccess,
    MessageType::Transactional,
];

/// What would happen, in words.
struct Verdict {
    badge: Badge,
    /// Why; empty: nothing stands against it.
    reason: String,
    /// When it is free again; empty: it is, or never.
    free: String,
}

/// A channel with the verdict on each kind of message.
struct OnChannel {
    channel: Channel,
    kinds: Vec<(MessageType, Verdict)>,
}

/// One campaign and this person.
struct Asked {
    campaign: Campaign,
    it: OnOne,
    verdict: Verdict,
}

#[derive(Template)]
#[template(path = "contacts/why.html", blocks = ["why"])]
struct WhyPage {
    shell: Shell,
    contact: Contact,
    channels: Vec<OnChannel>,
    told: Vec<Told>,
    campaigns: Vec<(CampaignId, String)>,
    asked: Option<Asked>,
}

impl WhyPage {
    fn asks(&self, id: CampaignId) -> bool {
        self.asked.as_ref().is_some_and(|it| it.campaign.id == id)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WhyQuery {
    campaign: String,
}

pub(super) async fn show(
    State(state): State<AppState>,
    shell: Shell,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Query(query): Query<WhyQuery>,
) -> Page {
    let now = state.clock.now();
    let mut db = state.db.acquire().await?;
    let contact = contact::get(&mut *db, ContactId(id)).await?;
    let campaigns = campaign::list(&mut *db, None, None, OFFERED).await?;
    let campaigns = campaigns.into_iter().filter(|it| it.status.is_editable());
    let asked = match query.campaign.parse() {
        Ok(campaign) => Some(ask(&state, &mut db, now, contact.id, CampaignId(campaign)).await?),
        Err(_) => None,
    };
    let page = WhyPage {
        channels: channels(&state, &mut db, now, &contact).await?,
        told: decided::decisions(&mut db, contact.id, SHOWN).await?,
        campaigns: campaigns.map(|it| (it.id, it.name)).collect(),
        shell,
        contact,
        asked,
    };
    if guard::is_htmx(&headers) { html::page(&page.as_why()) } else { html::page(&page) }
}

async fn ask(
    state: &AppState,
    db: &mut PgConnection,
    now: DateTime<Utc>,
    contact: ContactId,
    campaign: CampaignId,
) -> Result<Asked> {
    let campaign = campaign::get(&mut *db, campaign).await?;
    let it = on_one::of(db, now, &state.config, &campaign, contact).await?;
    Ok(Asked { verdict: Verdict::of(&it.answer, now), campaign, it })
}

/// Every channel that can send and on which the contact has an address.
async fn channels(
    state: &AppState,
    db: &mut PgConnection,
    now: DateTime<Utc>,
    contact: &Contact,
) -> Result<Vec<OnChannel>> {
    let able = |it: &Channel| state.senders.contains_key(it) && contact.destination(*it).is_some();
    let mut all = Vec::new();
    for channel in Channel::ALL.into_iter().filter(able) {
        let frame = Frame::open(&mut *db, now, &state.config.first_values, channel).await?;
        let questions =
            KINDS.map(|kind| Question { kind, origin: OriginKind::Manual, required: &[], hours: None });
        let answers = why::ask(&mut *db, now, &frame, contact.id, questions).await?;
        let kinds = KINDS.into_iter().zip(&answers).map(|(kind, it)| (kind, Verdict::of(it, now)));
        all.push(OnChannel { channel, kinds: kinds.collect() });
    }
    Ok(all)
}

impl Verdict {
    fn of(answer: &Answer, now: DateTime<Utc>) -> Verdict {
        let badge = |label, tone, icon| Badge { label, tone, icon };
        let (badge, reason) = match &answer.now {
            Decision::Allow => (badge("Saldría ahora", "green", "circle-check"), String::new()),
            Decision::Defer { reason, detail, .. } => {
                (badge("Esperaría", "yellow", "clock"), because(reason.label(), detail))
            }
            Decision::Block { reason, detail } => {
                (badge("No saldría", "red", "ban"), because(reason.label(), detail))
            }
        };
        let free = match answer.free_at {
            Some(at) if at > now => {
                let named = |it: &Decision| match it {
                    Decision::Allow => None,
                    Decision::Defer { reason, .. } => Some(reason.label()),
                    Decision::Block { reason, .. } => Some(reason.label()),
                };
                // What is told of this moment may end sooner than another rule that begins where it ends.
                let last =
                    answer.held_then.as_ref().and_then(named).filter(|it| Some(*it) != named(&answer.now));
                let then = last.map(|it| format!(", porque después la detiene «{it}»")).unwrap_or_default();
                format!("Libre desde el {}{then}.", outlook::day_and_hour(at))
            }
            _ => String::new(),
        };
        Verdict { badge, reason, free }
    }
}

/// `Tope de frecuencia de la persona: 1 de 1 en 7 días.`
fn because(reason: &str, detail: &str) -> String {
    let detail = detail.trim_end_matches('.');
    match detail.strip_prefix(&reason.to_lowercase()) {
        // The detail names the reason anew, and more exactly.
        Some(more) => format!("{reason}{more}."),
        None if detail.is_empty() => format!("{reason}."),
        None => format!("{reason}: {detail}."),
    }
}

/// Colour, icon and words of a decision of the past.
pub(in crate::web) fn decided(told: &Told) -> Badge {
    let (label, tone, icon) = match told.kind {
        EventKind::Blocked => ("No salió", "red", "ban"),
        EventKind::Deferred => ("Se pospuso", "yellow", "clock"),
        _ => ("Se autorizó", "green", "circle-check"),
    };
    Badge { label, tone, icon }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::kinds::{BlockReason, DeferReason};

    #[test]
    fn the_day_is_told_with_what_holds_it_back_until_then() {
        let at = |day: u32| DateTime::from_timestamp(1_764_000_000 + i64::from(day) * 86_400, 0).unwrap();
        let wait = |reason, until| Decision::Defer { reason, detail: String::new(), until };
        let paused = wait(DeferReason::Paused, at(3));
        let free = |held_then| {
            Verdict::of(&Answer { now: paused.clone(), free_at: Some(at(9)), held_then }, at(0)).free
        };
        let day = outlook::day_and_hour(at(9));
        assert_eq!(free(Some(paused.clone())), format!("Libre desde el {day}."));
        let capped = wait(DeferReason::FrequencyCap, at(9));
        let name = DeferReason::FrequencyCap.label();
        assert_eq!(free(Some(capped)), format!("Libre desde el {day}, porque después la detiene «{name}»."));
        let block = Decision::Block { reason: BlockReason::LessOften, detail: String::new() };
        assert!(free(Some(block)).contains(BlockReason::LessOften.label()));
    }

    #[test]
    fn a_reason_is_a_sentence() {
        assert_eq!(because("Feriado", "feriado: Navidad"), "Feriado: Navidad.");
        assert_eq!(because("Horas de silencio de la persona", ""), "Horas de silencio de la persona.");
    }
}
