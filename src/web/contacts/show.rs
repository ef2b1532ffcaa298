//! The page of a contact: who they are and how they stand, what happened with
//! them, and what comes next. The forms on it are [`super::actions`]'s.

use super::{
    consents::{self, Reach},
    facts::{FactPart, LeadPart},
    timeline::{Asked, TimelinePart},
};
use crate::{
    access::Permission,
    accounts::staff::{self, StaffUser},
    chile::{format, time},
    contacts::{
        churn::{self, Risk},
        contact::{self, Contact},
        duplicates::{self, Reason, Side},
        interactions,
        interests::{self, Interest},
        merge::{self, Record},
        metrics::{self, Metrics},
        pipeline::{self, stages},
        preferences,
        tasks::{self, Task},
        vocabulary::{InteractionKind, Lifecycle},
    },
    db::keyset::Place,
    error::Error,
    ids::{ContactId, StageId},
    reports::{
        reach::{self, Planned, Used},
        timeline::Kind,
    },
    segments::value::{self, Standing, Thresholds},
    settings::{self, Relationship},
    state::AppState,
    web::{
        connection::Db,
        filters,
        form::Errors,
        html::{self, Answer},
        session::Signed,
        shell::Shell,
    },
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

/// Open tasks and waiting messages that are shown.
const SHOWN: usize = 5;

#[derive(Template)]
#[template(path = "contacts/show.html")]
pub(super) struct ShowPage {
    shell: Shell,
    now: DateTime<Utc>,
    today: NaiveDate,
    contact: Contact,
    lead: LeadPart,
    facts: Vec<FactPart>,
    /// Where they stand among the segments of value.
    standing: Option<Standing>,
    metrics: Metrics,
    /// How likely they don't come back.
    risk: Option<Risk>,
    /// Days without activity, and what they are counted from.
    idle: (String, String),
    reaches: Vec<Reach>,
    used: Vec<Used>,
    planned: Vec<Planned>,
    interests: Vec<Interest>,
    known_interests: Vec<Interest>,
    /// Headings under which there are interests.
    categories: Vec<String>,
    stages: Vec<(StageId, String)>,
    card: Option<(StageId, pipeline::Details)>,
    tasks: Vec<Task>,
    /// Who was joined into them.
    joined: Vec<Record>,
    /// Who else they may be.
    alike: Vec<(Side, Reason)>,
    owners: Vec<StaffUser>,
    asked: Asked,
    timeline: TimelinePart,
    typed: Typed,
    errors: Errors,
}

/// The forms of the page as they were typed.
#[derive(Default)]
pub(super) struct Typed {
    pub log: interactions::Draft,
    /// The form of a task is open.
    pub task: Option<tasks::Draft>,
    /// What the card on the board is to say.
    pub deal: Option<pipeline::Draft>,
}

impl ShowPage {
    pub(super) async fn load(
        state: &AppState,
        db: &mut PgConnection,
        shell: Shell,
        signed: &Signed,
        id: ContactId,
        asked: Asked,
    ) -> Result<ShowPage, Error> {
        let now = state.clock.now();
        let contact = contact::get(&mut *db, id).await?;
        let metrics = metrics::of(&mut *db, id).await?;
        let thresholds: Thresholds = settings::load(&mut *db, &state.config.first_values).await?;
        let relationship: Relationship = settings::load(&mut *db, &state.config.first_values).await?;
        let inactive_after = relationship.inactive_after_days;
        let chosen = preferences::of(&mut *db, id).await?;
        let reaches = consents::reaches(db, &contact, &chosen, time::local_date(now)).await?;
        let channels: Vec<_> =
            reaches.iter().filter(|it| !it.destination.is_empty()).map(|it| it.channel).collect();
        let of_contact = tasks::Filter { contact: Some(id), ..tasks::Filter::default() };
        let may_edit = shell.may(Permission::EditContacts);
        Ok(ShowPage {
            now,
            today: time::local_date(now),
            lead: LeadPart::of(&contact),
            facts: FactPart::all(&contact, now, &shell),
            standing: value::of(&mut *db, &thresholds, id).await?,
            risk: churn::of(&mut *db, id, time::local_date(now), inactive_after).await?,
            idle: idle(&contact, &metrics, now),
            used: reach::used(db, now, id, &channels).await?,
            planned: reach::planned(db, id, SHOWN as i64).await?,
            interests: interests::of(&mut *db, id).await?,
            known_interests: if may_edit { interests::list(&mut *db).await? } else { Vec::new() },
            categories: if may_edit { interests::categories(&mut *db).await? } else { Vec::new() },
            stages: stages::names(&mut *db).await?,
            card: pipeline::card(&mut *db, id).await?,
            tasks: tasks::list(&mut *db, of_contact, Place::First, SHOWN).await?.rows,
            joined: merge::of(db, id).await?,
            alike: duplicates::of(db, id).await?,
            owners: if may_edit {
                let mut owners = staff::list(&mut *db).await?;
                owners.retain(|it| it.active);
                owners
            } else {
                Vec::new()
            },
            timeline: TimelinePart::load(db, now, &signed.0, id, &asked).await?,
            shell,
            contact,
            metrics,
            reaches,
            asked,
            typed: Typed::default(),
            errors: Errors::default(),
        })
    }

    /// The page again, with what was typed and what is wrong with it.
    pub(super) fn wrong(self, typed: Typed, errors: Errors) -> Answer {
        html::invalid(&ShowPage { typed, errors, ..self })
    }

    fn may_edit(&self) -> bool {
        self.shell.may(Permission::EditContacts)
    }

    /// What was typed for a new task, or a fresh one that the person at hand is to do.
    fn task(&self) -> tasks::Draft {
        self.typed.task.clone().unwrap_or_else(|| {
            let own = self.owners.iter().find(|it| it.email == self.shell.email);
            tasks::Draft {
                owner_id: own.map(|it| it.id.to_string()).unwrap_or_default(),
                ..tasks::Draft::default()
            }
        })
    }

    fn log_kind(&self) -> &str {
        if self.typed.log.kind.is_empty() { InteractionKind::Call.code() } else { &self.typed.log.kind }
    }

    #[expect(clippy::unused_self, reason = "templates call methods with what their loops hold")]
    fn icon_of(&self, kind: &InteractionKind) -> &'static str {
        super::timeline::icon(*kind)
    }

    fn opens_log(&self) -> bool {
        !self.typed.log.detail.is_empty() || !self.typed.log.at.is_empty() || self.errors.of("at").is_some()
    }

    fn stands_in(&self, stage: &StageId) -> bool {
        self.card.is_some_and(|it| it.0 == *stage)
    }

    /// What the card says, as it would be typed.
    fn card_says(&self) -> pipeline::Draft {
        self.card.map(|it| it.1.draft()).unwrap_or_default()
    }

    /// What the card is to say.
    fn deal(&self) -> pipeline::Draft {
        self.typed.deal.clone().unwrap_or_else(|| self.card_says())
    }

    /// Whether there is some history, but not enough to judge by.
    fn is_too_early(&self) -> bool {
        self.risk.is_none() && self.metrics.visits + self.metrics.purchases + self.metrics.enrolments > 0
    }

    fn average(&self) -> String {
        self.metrics.average_ticket().map_or_else(|| "—".to_owned(), format::money)
    }
}

fn idle(contact: &Contact, metrics: &Metrics, now: DateTime<Utc>) -> (String, String) {
    let days = |since| (time::local_date(now) - time::local_date(since)).num_days().max(0);
    match metrics.last_activity_at {
        Some(at) => (format::number(days(at)), "días sin actividad".to_owned()),
        None => (
            "Sin actividad".to_owned(),
            match days(contact.created_at) {
                0 => "desde que llegó, hoy".to_owned(),
                days => format!("desde que llegó, hace {}", format::count(days, "día", "días")),
            },
        ),
    }
}

pub(super) async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    signed: Signed,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Answer {
    html::page(&ShowPage::load(&state, &mut db, shell, &signed, ContactId(id), asked).await?)
}

/// The next page of the timeline, for who scrolls.
pub(super) async fn timeline(
    State(state): State<AppState>,
    Db(mut db): Db,
    signed: Signed,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Answer {
    let id = contact::get(&mut *db, ContactId(id)).await?.id;
    html::page(&TimelinePart::load(&mut db, state.clock.now(), &signed.0, id, &asked).await?)
}
