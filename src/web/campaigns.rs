//! The page of a campaign, with its checklist or its live counts.

use super::{
    campaigns_actions, campaigns_audience,
    campaigns_calendar::{self, Calendar},
    campaigns_facts::Facts,
    campaigns_figures, campaigns_form, campaigns_income,
    campaigns_letter::{self, Tried},
    campaigns_list, campaigns_own_texts, campaigns_variants, campaigns_waiting,
    connection::Db,
    filters,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::Permission,
    campaigns::{
        audience::{self, Named},
        campaign::{self, Campaign, Status},
        checklist::{self, Checklist, Level},
        outlook,
        progress::{self, Progress},
        status,
        wordings::{Wording, Wordings},
    },
    channels::Channel,
    chile::format,
    error::Result,
    ids::{CampaignId, ContactId},
    imports,
    messaging::{
        kinds::{DeferReason, Status as MessageStatus},
        runs,
    },
    segments::words::Names,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::IntoResponse,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

pub(super) fn routes() -> Vec<Route> {
    let mut all = vec![
        campaigns_list::route(),
        Route::get("/campaigns/{id}", Permission::View, show),
        Route::get("/campaigns/{id}/progress", Permission::View, live),
        campaigns_audience::route(),
        campaigns_calendar::route(),
        campaigns_waiting::route(),
        campaigns_income::route(),
    ];
    all.extend(campaigns_form::routes());
    all.extend(campaigns_letter::routes());
    all.extend(campaigns_variants::routes());
    all.extend(campaigns_own_texts::routes());
    all.extend(campaigns_actions::routes());
    all
}

/// Colour of a status, as the badge takes it.
pub(super) fn tone(status: Status) -> &'static str {
    match status {
        Status::Draft | Status::Cancelled => "secondary",
        Status::Running => "blue",
        Status::Paused => "yellow",
        Status::Finished => "green",
    }
}

/// Icon of a status.
pub(super) fn status_icon(status: Status) -> &'static str {
    match status {
        Status::Draft => "edit",
        Status::Running => "send",
        Status::Paused => "player-pause",
        Status::Finished => "circle-check",
        Status::Cancelled => "ban",
    }
}

/// How long after its end a campaign still hears of its people while its page is looked at.
pub(super) const HEARS: TimeDelta = TimeDelta::days(7);

/// A number with the people behind it.
pub(super) struct Tile {
    label: &'static str,
    icon: &'static str,
    tone: &'static str,
    count: i64,
    /// What part of it stands apart.
    note: String,
    href: String,
}

/// A reason with the people behind it.
pub(super) struct Reason {
    label: &'static str,
    count: i64,
    href: String,
}

/// The counts of a campaign that was started.
pub(super) struct Live {
    id: CampaignId,
    status: Status,
    tiles: Vec<Tile>,
    blocked: Vec<Reason>,
    deferred: Vec<Reason>,
    /// What the bar measures.
    measured: &'static str,
    settled: i64,
    recipients: i64,
    percent: i64,
    sentence: Option<String>,
    next: Option<String>,
    /// Why the last run of the channel sent no more, while messages wait.
    trouble: Option<String>,
    failed: i64,
    enqueueing: bool,
    /// Nobody is queued yet: the launch may still be taken back.
    held: bool,
    /// People may still open and answer what left.
    may_hear: bool,
    figures: Option<campaigns_figures::Shown>,
}

impl Live {
    /// Whether anything may still change by itself.
    fn moves(&self) -> bool {
        self.status == Status::Running || self.enqueueing
    }

    /// How often it is asked for anew, as htmx reads it; none: it stays as it is.
    fn refresh(&self) -> Option<&'static str> {
        if self.moves() { Some("every 4s") } else { self.may_hear.then_some("every 30s") }
    }
}

async fn live_of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
    outlook: &outlook::Outlook,
) -> Result<Live> {
    let progress = progress::of(&mut *db, campaign.id).await?;
    let waits = campaign.status == Status::Running && progress.open() > 0;
    let sentence = if waits {
        let later = DeferReason::OF_THE_PERSON.iter().filter_map(|it| progress.deferred.get(it)).sum();
        let said = outlook.sentence(campaign, progress.open(), later, now);
        // Who waits for a day of their own already is told of in it.
        said.map(|it| match later {
            0 => format!(
                "{it} Quien deba esperar por su propio tope puede tardar más: el calendario lo cuenta."
            ),
            _ => it,
        })
    } else {
        None
    };
    let next = progress.next_attempt_at.filter(|at| waits && *at > now).map(|at| {
        format!(
            "El próximo mensaje se revisa el {}, y sale si nada más lo detiene.",
            outlook::day_and_hour(at)
        )
    });
    let trouble = if waits { runs::trouble(&mut *db, Channel::Email).await? } else { None };
    let messages = |query: &str| format!("/messages?campaign={}&{query}", campaign.id);
    let mut blocked: Vec<Reason> = progress
        .blocked
        .iter()
        .map(|(reason, count)| Reason {
            label: reason.label(),
            count: int(*count),
            href: messages(&format!("status=BLOCKED&reason={}", reason.code())),
        })
        .collect();
    blocked.sort_by_key(|it| std::cmp::Reverse(it.count));
    let deferred = progress
        .deferred
        .iter()
        .map(|(reason, count)| Reason {
            label: reason.label(),
            count: int(*count),
            href: messages(&format!("status=PENDING&deferred={}", reason.code())),
        })
        .collect();
    let figures = campaigns_figures::of(&mut *db, campaign, &progress).await?;
    let was_cancelled = campaign.status == Status::Cancelled;
    let settled = if was_cancelled { progress.left() } else { progress.recipients() - progress.open() };
    Ok(Live {
        id: campaign.id,
        status: campaign.status,
        tiles: tiles(&progress, &messages),
        blocked,
        deferred,
        measured: if was_cancelled { "Enviados antes de cancelar" } else { "Resueltos" },
        settled: int(settled),
        recipients: int(progress.recipients()),
        percent: int(progress.percent(settled)),
        sentence,
        next,
        trouble: trouble.map(|(at, why)| {
            format!("La corrida del {} se detuvo antes de terminar: {why}", outlook::day_and_hour(at))
        }),
        failed: int(progress.count(MessageStatus::Failed)),
        enqueueing: campaign.status.is_live() && !campaign.enqueue_done,
        held: campaign.hold(now).is_some(),
        may_hear: figures.is_some() && campaign.finished_at.is_none_or(|it| now - it < HEARS),
        figures,
    })
}

fn tiles(progress: &Progress, messages: &dyn Fn(&str) -> String) -> Vec<Tile> {
    let of = |status: MessageStatus| progress.count(status);
    let all = [
        ("En cola", "clock", "secondary", of(MessageStatus::Pending), "status=PENDING", true),
        ("Enviando", "send", "blue", of(MessageStatus::Sending), "status=SENDING", false),
        ("Enviados", "mail-check", "green", progress.left(), "left=1", true),
        ("Fallidos", "mail-x", "red", of(MessageStatus::Failed), "status=FAILED", true),
        ("Bloqueados", "ban", "red", of(MessageStatus::Blocked), "status=BLOCKED", true),
        (
            "Por confirmar",
            "mail-question",
            "orange",
            of(MessageStatus::Unconfirmed),
            "status=UNCONFIRMED",
            false,
        ),
        ("Rebotados", "mail-off", "red", of(MessageStatus::Bounced), "status=BOUNCED", false),
        ("Cancelados", "circle-minus", "secondary", of(MessageStatus::Cancelled), "status=CANCELLED", false),
        ("Bajas", "user-off", "orange", progress.unsubscribed, "unsubscribed=1", false),
    ];
    all.into_iter()
        .filter(|it| it.5 || it.3 > 0)
        .map(|(label, icon, tone, count, query, _)| Tile {
            label,
            icon,
            tone,
            count: int(count),
            note: match (query, progress.waiting()) {
                ("status=PENDING", 1..) => {
                    format!("de ellos {}", format::count(int(progress.waiting()), "pospuesto", "pospuestos"))
                }
                _ => String::new(),
            },
            href: messages(query),
        })
        .collect()
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Template)]
#[template(path = "campaigns/show.html", blocks = ["live"])]
struct ShowPage {
    shell: Shell,
    now: DateTime<Utc>,
    campaign: Campaign,
    /// Who cancelled it.
    cancelled_by: Option<String>,
    facts: Facts,
    /// Once the launch can't be taken back any more, it waits for its hours until then; none: they are open.
    opens: Option<String>,
    checklist: Option<Checklist>,
    /// That of a draft with its checklist: both ask the same of each person.
    calendar: Option<Calendar>,
    live: Option<Live>,
    /// What each of several texts came to, once it was started: counted for the whole sample, so not every few seconds.
    trial: Option<campaigns_variants::Shown>,
    /// The texts that a draft tries.
    drafted: Option<campaigns_variants::Shown>,
    /// The texts of industries; none: there are none, and the reader may not write any.
    own: Option<campaigns_own_texts::Shown>,
    /// The texts to look at; none: there is one.
    texts: Vec<Wording>,
    /// Place of the one that is shown.
    variant: i16,
    /// What holds for a draft takes a look at each person: it comes after the page.
    checklist_follows: bool,
    contacts: Vec<Named>,
    contact: Option<i64>,
    tried: Option<Tried>,
}

impl ShowPage {
    /// The class that tells how tall the letter's frame is.
    fn height(&self) -> String {
        campaigns_letter::height(self.tried.as_ref())
    }

    /// Seconds in which the launch may still be taken back, and as a clock shows them.
    fn hold(&self) -> Option<(i64, String)> {
        let left = (self.campaign.hold(self.now)? - self.now).num_seconds().max(1);
        Some((left, format!("{}:{:02}", left / 60, left % 60)))
    }

    /// Whether industries have texts of their own.
    fn has_industries(&self) -> bool {
        self.own.as_ref().is_some_and(|it| !it.rows.is_empty())
    }

    /// Whether the message is shown as `contact` gets it.
    fn is_for(&self, contact: ContactId) -> bool {
        self.contact == Some(contact.0)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ShowQuery {
    contact: String,
    variant: String,
    checklist: String,
}

async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<ShowQuery>,
) -> Answer {
    let now = state.clock.now();
    let campaign = campaign::get(&mut db, id).await?;
    let names = Names::load(&mut db, [&campaign.audience.chosen()]).await?;
    let files = imports::filenames(&mut *db, &campaign.audience.import_ids).await?;
    let (mut checklist, mut live, mut opens) = (None, None, None);
    let is_draft = campaign.status == Status::Draft;
    let facts = if is_draft && query.checklist == "1" {
        let found = checklist::of(&mut db, now, &state.config, &campaign).await?;
        let facts = Facts::of(&campaign, &found.outlook, &names, &files);
        checklist = Some(found);
        facts
    } else {
        let outlook = outlook::of(&mut db, now, &state.config, &campaign).await?;
        if !is_draft {
            live = Some(live_of(&mut db, now, &campaign, &outlook).await?);
        }
        if let Some(until) = campaign.hold(now) {
            opens = outlook.opens_after(&campaign, until);
        }
        Facts::of(&campaign, &outlook, &names, &files)
    };
    let calendar = checklist.as_ref().map(|it| Calendar::of_draft(&campaign, it, now));
    let checklist_follows = is_draft && checklist.is_none();
    let contacts = some_people(&mut db, now, &campaign).await?;
    let (mut drafted, mut trial) = (None, None);
    if is_draft {
        drafted = campaigns_variants::of(&mut db, now, &campaign, None).await?;
    } else if campaign.hold(now).is_none() {
        trial = campaigns_variants::followed(&mut db, now, &campaign).await?;
    }
    let cancelled_by = match campaign.status {
        Status::Cancelled => status::cancelled_by(&mut db, id).await?,
        _ => None,
    };
    let wordings = Wordings::of(&mut db, id).await?;
    let own = campaigns_own_texts::of(&campaign, &wordings, checklist.as_ref(), &shell);
    drop(db);
    let contact = query.contact.parse().ok();
    let mut texts = wordings.all(&campaign.source);
    let asked: i16 = query.variant.parse().unwrap_or_default();
    let text = texts.iter().find(|it| it.place == asked);
    let variant = text.map_or(0, |it| it.place);
    let source = text.map_or(&campaign.source, |it| &it.source);
    let tried = Some(campaigns_letter::fill(&state, source, contact.map(ContactId)).await?);
    if texts.len() == 1 {
        texts.clear();
    }
    html::page(&ShowPage {
        shell,
        now,
        campaign,
        cancelled_by,
        facts,
        opens,
        checklist,
        calendar,
        live,
        trial,
        drafted,
        own,
        texts,
        variant,
        checklist_follows,
        contacts,
        contact,
        tried,
    })
}

/// A few of the audience, to try the text on.
pub(super) async fn some_people(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
) -> Result<Vec<Named>> {
    const FEW: i64 = 25;
    match campaign.status {
        _ if campaign.hold(now).is_some() => audience::first_of(db, now, &campaign.audience, FEW).await,
        Status::Draft => audience::first_of(db, now, &campaign.audience, FEW).await,
        _ => audience::first_written_to(db, campaign.id, FEW).await,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LiveQuery {
    status: String,
    held: bool,
}

/// The live counts alone, for the page that asks every few seconds. A status
/// that is no longer the page's makes the browser load the page anew.
async fn live(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<LiveQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let now = state.clock.now();
    let changed = campaign.status.code() != query.status || campaign.hold(now).is_some() != query.held;
    let outlook = outlook::of(&mut db, now, &state.config, &campaign).await?;
    let live = live_of(&mut db, now, &campaign, &outlook).await?;
    let names = Names::load(&mut db, [&campaign.audience.chosen()]).await?;
    // The part that comes anew tells no files.
    let facts = Facts::of(&campaign, &outlook, &names, &[]);
    let page = ShowPage {
        shell,
        now,
        campaign,
        cancelled_by: None,
        facts,
        opens: None,
        checklist: None,
        calendar: None,
        live: Some(live),
        trial: None,
        drafted: None,
        own: None,
        texts: Vec::new(),
        variant: 0,
        checklist_follows: false,
        contacts: Vec::new(),
        contact: None,
        tried: None,
    };
    let mut response = html::page(&page.as_live())?;
    if changed {
        response = ([("hx-refresh", "true")], response).into_response();
    }
    Ok(response)
}

/// Colour, icon and word of a checklist's item.
pub(super) fn mark(level: Level) -> (&'static str, &'static str, &'static str) {
    match level {
        Level::Green => ("green", "circle-check", "Listo"),
        Level::Amber => ("yellow", "alert-triangle", "Atención"),
        Level::Red => ("red", "circle-x", "Falta"),
    }
}
