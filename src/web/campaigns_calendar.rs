//! "Si lanzas hoy": on which days and at what hours a campaign would leave, or the rest of it; who is left out and who
//! gets it later, and why.

use super::{
    campaigns_audience::{later_path, question},
    campaigns_waiting,
    connection::Db,
    filters, guard,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::{
        audience::{self, Preview},
        campaign::{self, Campaign, Status},
        checklist::Checklist,
        forecast::{Day, Forecast},
        later::{self, CauseKey, Group, Later},
        outlook::{self, Outlook},
        progress,
        wordings::Wordings,
    },
    chile::format,
    error::Result,
    ids::CampaignId,
    messaging::kinds::BlockReason,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Days that are shown at once; the others are folded.
const SHOWN: usize = 14;

pub(super) fn route() -> Route {
    Route::get("/campaigns/{id}/calendar", Permission::View, show)
}

/// A sentence about some people, and where they are listed.
pub(super) struct Line {
    pub(super) words: String,
    pub(super) count: u64,
    pub(super) href: String,
}

/// What lies before a campaign.
struct Coming {
    /// Those who are to get it, at once or later.
    messages: u64,
    later: Later,
    left_out: Vec<Line>,
    /// Where those who get it later for one cause are listed.
    list: fn(CampaignId, CauseKey) -> String,
}

/// The days of a campaign, and who is not among them.
pub(super) struct Calendar {
    pub(super) status: Status,
    forecast: Option<Forecast>,
    messages: u64,
    pub(super) later: Vec<Line>,
    pub(super) left_out: Vec<Line>,
    /// Who waits for the best of several texts, and until when.
    pub(super) rest: Option<String>,
    pub(super) shared: Option<String>,
    pub(super) warms_up: bool,
    /// Nobody is queued yet: it is a draft, or its launch may still be taken back.
    pub(super) is_ahead: bool,
    /// People are still being added to the queue.
    is_filling: bool,
}

#[derive(Template)]
#[template(path = "campaigns/calendar.html", blocks = ["calendar"])]
struct CalendarPage {
    shell: Shell,
    campaign: Campaign,
    calendar: Calendar,
}

impl Calendar {
    /// Of a draft, from what its checklist found.
    pub(super) fn of_draft(campaign: &Campaign, checklist: &Checklist, now: DateTime<Utc>) -> Calendar {
        let coming = of_audience(campaign, &checklist.preview, checklist.later.clone());
        Calendar { is_ahead: true, ..calendar(campaign, coming, &checklist.outlook, now) }
    }

    /// Whether it changes by itself, as messages leave.
    pub(super) fn moves(&self) -> bool {
        self.status == Status::Running
    }

    pub(super) fn first_days(&self) -> &[Day] {
        let days = self.forecast.as_ref().map_or(&[][..], |it| &it.days);
        &days[..days.len().min(SHOWN)]
    }

    pub(super) fn other_days(&self) -> &[Day] {
        self.forecast.as_ref().and_then(|it| it.days.get(SHOWN..)).unwrap_or_default()
    }

    /// Messages of the fullest day: what the bars are measured by.
    pub(super) fn most(&self) -> u64 {
        self.forecast.as_ref().and_then(|it| it.days.iter().map(|it| it.messages).max()).unwrap_or_default()
    }

    pub(super) fn sentence(&self) -> String {
        let count = format::count(i64::try_from(self.messages).unwrap_or(i64::MAX), "mensaje", "mensajes");
        match &self.forecast {
            _ if self.messages == 0 && self.is_ahead => "No hay nadie a quien enviarle.".to_owned(),
            _ if self.messages == 0 && self.is_filling => {
                "Aún se agregan personas a la cola: los días aparecen en un momento.".to_owned()
            }
            _ if self.messages == 0 => "No queda ningún mensaje por salir.".to_owned(),
            None => "El horario de envío no abre nunca: así no saldrá ningún mensaje.".to_owned(),
            Some(Forecast { ends: None, .. }) => {
                format!("{count}: tardaría más de dos años. Sube el tope o el tamaño de la corrida.")
            }
            Some(Forecast { ends: Some(ends), days, .. }) => {
                let span = format::count(i64::try_from(days.len()).unwrap_or(i64::MAX), "día", "días");
                let ends = outlook::day_and_hour(*ends);
                if self.status == Status::Paused {
                    return format!(
                        "Está en pausa. Si se reanuda ahora, {count} en {span}: termina el {ends}."
                    );
                }
                format!("{count} en {span}: termina el {ends}.")
            }
        }
    }
}

async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    headers: HeaderMap,
    Path(id): Path<CampaignId>,
) -> Answer {
    let now = state.clock.now();
    let campaign = campaign::get(&mut db, id).await?;
    let held = campaign.hold(now);
    let from = held.unwrap_or(now);
    let is_ahead = campaign.status == Status::Draft || held.is_some();
    let coming = if is_ahead {
        let needs = Wordings::of(&mut db, campaign.id).await?.needs(&campaign.source);
        let asked = question(&campaign, &needs, from);
        let preview = audience::preview(&mut db, asked).await?;
        of_audience(&campaign, &preview, later::of_audience(&mut db, asked).await?)
    } else {
        of_queue(&mut db, now, &campaign).await?
    };
    let outlook = outlook::of(&mut db, now, &state.config, &campaign).await?;
    let calendar = Calendar { is_ahead, ..calendar(&campaign, coming, &outlook, from) };
    let page = CalendarPage { shell, campaign, calendar };
    if guard::is_htmx(&headers) { html::page(&page.as_calendar()) } else { html::page(&page) }
}

fn calendar(campaign: &Campaign, coming: Coming, outlook: &Outlook, from: DateTime<Utc>) -> Calendar {
    let forecast = outlook.of_all(campaign, coming.messages, &coming.later, from);
    Calendar {
        status: campaign.status,
        messages: coming.messages,
        later: coming
            .later
            .groups
            .iter()
            .map(|it| line_of(it, (coming.list)(campaign.id, it.cause.key())))
            .collect(),
        left_out: coming.left_out,
        rest: outlook.waiting(coming.messages.saturating_sub(coming.later.people()), from).map(rest_words),
        shared: outlook.shared(),
        warms_up: outlook.growth.is_some() && outlook.daily_cap.is_some(),
        is_ahead: false,
        is_filling: campaign.status.is_live() && !campaign.enqueue_done,
        forecast,
    }
}

/// `800 personas esperan el texto ganador, que se elige el …`.
fn rest_words((at, people): (DateTime<Utc>, u64)) -> String {
    let people = i64::try_from(people).unwrap_or(i64::MAX);
    format!(
        "{} el texto ganador, que se elige el {}.",
        format::count(people, "persona espera", "personas esperan"),
        outlook::day_and_hour(at)
    )
}

/// `lo recibirán más tarde por el tope de 1 por semana`.
fn line_of(group: &Group, href: String) -> Line {
    let count = group.people();
    let verb = if count == 1 { "persona lo recibirá" } else { "personas lo recibirán" };
    Line { words: format!("{verb} más tarde por {}", group.cause.label()), count, href }
}

/// What would become of a campaign's people if it were started now.
fn of_audience(campaign: &Campaign, preview: &Preview, later: Later) -> Coming {
    let list = |reason: &str| format!("/campaigns/{}/audience?reason={reason}", campaign.id);
    let line = |(reason, count): (&BlockReason, &u64)| Line {
        words: reason.label().to_owned(),
        count: *count,
        href: list(reason.code()),
    };
    Coming {
        messages: later.recipients(preview),
        left_out: preview
            .left_out
            .iter()
            .map(line)
            .chain(too_late(&later, BlockReason::LessOften.label(), list(BlockReason::LessOften.code())))
            .collect(),
        later,
        list: later_path,
    }
}

/// Who of those that `later` tells of would be left out since it would reach them too late, listed at `href`.
fn too_late(later: &Later, words: &str, href: String) -> Option<Line> {
    let words = words.to_owned();
    (later.left_out > 0).then_some(Line { words, count: later.left_out, href })
}

/// What will become of those who are still in the queue.
async fn of_queue(db: &mut PgConnection, now: DateTime<Utc>, campaign: &Campaign) -> Result<Coming> {
    let progress = progress::of(&mut *db, campaign.id).await?;
    let later = later::of_queue(db, now, campaign).await?;
    let list = |query: String| format!("/messages?campaign={}&{query}", campaign.id);
    let line = |(reason, count): (&BlockReason, &u64)| Line {
        words: reason.label().to_owned(),
        count: *count,
        href: list(format!("status=BLOCKED&reason={}", reason.code())),
    };
    Ok(Coming {
        messages: progress.open().saturating_sub(later.left_out),
        left_out: progress
            .blocked
            .iter()
            .map(line)
            .chain(too_late(
                &later,
                "Les llegaría demasiado tarde",
                campaigns_waiting::left_out_path(campaign.id),
            ))
            .collect(),
        list: campaigns_waiting::path,
        later,
    })
}
