//! The texts that a campaign tries: writing them, what each came to, and choosing one before the hours are over.

use super::{
    campaigns::HEARS,
    campaigns_figures::{Figure, percent},
    connection::Db,
    filters,
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
    numbers,
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::{
        campaign::{self, Campaign, Status},
        contest::{self, Contest},
        outlook::day_and_hour,
        own_texts,
        progress::{self, Progress},
        variants::{self, MOST, Measure, Plan, Variant, letter},
    },
    chile::format,
    error::{Error, FieldError, Result},
    ids::CampaignId,
    messaging::{
        kinds::{DeferReason, Milestone},
        opening,
    },
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Extension, Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

/// Messages that are put back into the queue while whoever chose waits for the page; a run does the rest.
const AT_ONCE: u64 = 10_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/{id}/variants", Permission::EditCampaigns, edit),
        Route::post("/campaigns/{id}/variants", Permission::EditCampaigns, save),
        Route::get("/campaigns/{id}/contest", Permission::View, trial),
        Route::post("/campaigns/{id}/winner", Permission::SendCampaigns, choose),
    ]
}

/// One of the texts, and what it came to.
pub(super) struct Text {
    pub(super) place: usize,
    pub(super) letter: char,
    /// What it says in place of the others: its subject, and its first paragraph where that differs.
    pub(super) subject: String,
    pub(super) opening: String,
    /// What the columns of the table count.
    pub(super) cells: Vec<Figure>,
    /// Of a hundred of those that left: what the winner is found by.
    pub(super) rate: String,
    pub(super) is_winner: bool,
}

/// All of them, for the campaign's page.
pub(super) struct Shown {
    pub(super) texts: Vec<Text>,
    pub(super) columns: Vec<&'static str>,
    /// How and when the winner is found, or was.
    pub(super) rule: String,
    pub(super) remark: String,
    /// Those outside the sample: what they wait for or got, and how many.
    pub(super) rest: Option<(&'static str, Figure)>,
    pub(super) may_choose: bool,
    /// It is asked for anew from time to time.
    pub(super) follows: bool,
}

/// The texts of `campaign`; none: it has one. `progress`: none of a draft.
pub(super) async fn of(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
    progress: Option<&Progress>,
) -> Result<Option<Shown>> {
    let Some(contest) = contest::of(db, campaign.id).await? else { return Ok(None) };
    let base = format!("/messages?campaign={}", campaign.id);
    let sources = contest.plan.sources(&campaign.source);
    let mut columns = vec!["Enviados", "Abiertos", "Clics", "Respondidos"];
    if progress.is_none() {
        columns.clear();
    }
    let texts = sources.iter().zip(&contest.tallies).enumerate().map(|(place, (source, tally))| {
        let cell = |count: u64, milestone: Milestone| Figure {
            count: int(count),
            href: format!("{base}&variant={place}&reached={}", milestone.code()),
        };
        let changes_opening = contest.plan.variants.iter().any(|it| !it.opening.is_empty());
        Text {
            place,
            letter: letter(place),
            subject: source.subject.clone(),
            opening: opening::of(source).filter(|_| changes_opening).unwrap_or_default(),
            cells: vec![
                cell(tally.sent, Milestone::Sent),
                cell(tally.opened, Milestone::Opened),
                cell(tally.clicked, Milestone::Clicked),
                cell(tally.replied, Milestone::Replied),
            ],
            rate: match tally.sent {
                0 => "—".to_owned(),
                sent => percent(int(tally.count(contest.plan.by)), int(sent)),
            },
            is_winner: contest.winner == Some(place),
        }
    });
    let sent: u64 = contest.tallies.iter().map(|it| it.sent).sum();
    Ok(Some(Shown {
        texts: texts.collect(),
        columns,
        rule: rule(&contest, campaign.status),
        remark: contest.remark(),
        rest: progress.map(|it| rest(&contest, it, sent, &base)),
        follows: progress.is_some() && campaign.finished_at.is_none_or(|it| now - it < HEARS),
        may_choose: contest::may_decide(&contest, campaign, now),
    }))
}

/// The texts of a `campaign` that was started, with what they came to.
pub(super) async fn followed(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    campaign: &Campaign,
) -> Result<Option<Shown>> {
    let progress = progress::of(&mut *db, campaign.id).await?;
    of(db, now, campaign, Some(&progress)).await
}

#[derive(Template)]
#[template(path = "campaigns/trial.html")]
struct TrialPage {
    shell: Shell,
    campaign: Campaign,
    contest: Shown,
}

/// What the texts came to, alone, for the page that asks again.
async fn trial(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    match followed(&mut db, state.clock.now(), &campaign).await? {
        Some(contest) => html::page(&TrialPage { shell, campaign, contest }),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Those outside the sample, of whom `sent` left.
fn rest(contest: &Contest, progress: &Progress, sent: u64, base: &str) -> (&'static str, Figure) {
    if contest.winner.is_some() {
        let count = int(progress.left().saturating_sub(sent));
        let href = format!("{base}&variant=rest&reached={}", Milestone::Sent.code());
        return ("Recibieron después el texto elegido", Figure { count, href });
    }
    let reason = DeferReason::AwaitingWinner;
    let waiting = progress.deferred.get(&reason).copied().unwrap_or_default();
    let href = format!("{base}&status=PENDING&deferred={}", reason.code());
    ("Esperan el texto que se elija", Figure { count: int(waiting), href })
}

/// How and when the winner is found, or was.
fn rule(contest: &Contest, status: Status) -> String {
    let (plan, by) = (&contest.plan, contest.plan.by.label());
    let hours = format::count(i64::from(plan.hours), "hora", "horas");
    match (contest.winner.zip(contest.decided_at), contest.decides_at()) {
        (Some((winner, at)), _) => match &contest.decided_by {
            Some(name) => {
                format!("{name} eligió el texto {} el {}.", letter(winner), day_and_hour(at))
            }
            None => format!("Se eligió el texto {} por {by} el {}.", letter(winner), day_and_hour(at)),
        },
        (None, _) if !status.is_editable() => format!(
            "El {} % de la audiencia los recibía al azar. {} sin que se eligiera uno.",
            plan.percent,
            if status == Status::Cancelled { "La campaña se canceló" } else { "La campaña terminó" }
        ),
        (None, at) if status == Status::Paused => format!(
            "El {} % de la audiencia los recibe al azar. Mientras está en pausa no se elige por sí solo: al reanudarla se elige por {by}{}, o antes si alguien lo decide.",
            plan.percent,
            at.map_or_else(String::new, |at| format!(", no antes del {}", day_and_hour(at)))
        ),
        (None, Some(at)) => format!(
            "El {} % de la audiencia los recibe al azar. Se elige por {by} el {}, o antes si alguien lo decide.",
            plan.percent,
            day_and_hour(at)
        ),
        (None, None) => format!(
            "El {} % de la audiencia los recibe al azar. {hours} después de que salga el primero se elige por {by}, y el resto recibe ese.",
            plan.percent
        ),
    }
}

/// What a text changes, as it was typed.
struct Field {
    letter: char,
    subject_name: &'static str,
    subject: String,
    opening_name: &'static str,
    opening: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct VariantsForm {
    subject_1: String,
    subject_2: String,
    subject_3: String,
    opening_1: String,
    opening_2: String,
    opening_3: String,
    percent: String,
    by: String,
    hours: String,
    /// When the campaign had last changed; none: a program that sends no form.
    seen: Option<String>,
}

impl VariantsForm {
    fn of(plan: &Plan) -> VariantsForm {
        let at = |n: usize| plan.variants.get(n).cloned().unwrap_or_default();
        let [one, two, three] = [at(0), at(1), at(2)];
        VariantsForm {
            subject_1: one.subject,
            subject_2: two.subject,
            subject_3: three.subject,
            opening_1: one.opening,
            opening_2: two.opening,
            opening_3: three.opening,
            percent: plan.percent.to_string(),
            by: plan.by.code().to_owned(),
            hours: plan.hours.to_string(),
            seen: None,
        }
    }

    fn fields(&self) -> [Field; MOST] {
        let field = |place, subject_name, subject: &String, opening_name, opening: &String| Field {
            letter: letter(place),
            subject_name,
            subject: subject.clone(),
            opening_name,
            opening: opening.clone(),
        };
        [
            field(1, "subject_1", &self.subject_1, "opening_1", &self.opening_1),
            field(2, "subject_2", &self.subject_2, "opening_2", &self.opening_2),
            field(3, "subject_3", &self.subject_3, "opening_3", &self.opening_3),
        ]
    }

    /// The plan, and what could not be understood at which field.
    fn parse(&self) -> (Plan, Vec<FieldError>) {
        let mut wrong = Vec::new();
        let mut number = |field: &'static str, text: &str| {
            numbers::whole(text).unwrap_or_else(|said| {
                wrong.push(FieldError::new(field, format!("{said}.")));
                1
            })
        };
        let (percent, hours) = (number("percent", &self.percent), number("hours", &self.hours));
        let by = Measure::from_code(&self.by).unwrap_or_else(|| {
            wrong.push(FieldError::new("by", "Elige una de la lista."));
            Measure::default()
        });
        // Browsers send CR LF.
        let text = |it: Field| Variant {
            subject: it.subject.trim().to_owned(),
            opening: it.opening.replace("\r\n", "\n").trim().to_owned(),
        };
        let mut written: Vec<Variant> = self.fields().into_iter().map(text).collect();
        written.retain(|it| *it != Variant::default());
        (Plan { variants: written, percent, by, hours }, wrong)
    }
}

#[derive(Template)]
#[template(path = "campaigns/variants.html")]
struct VariantsPage {
    shell: Shell,
    campaign: Campaign,
    /// First paragraph of the campaign's own text; empty: it has none that could be changed.
    opening: String,
    /// When the campaign last changed.
    seen: String,
    form: VariantsForm,
    errors: Errors,
}

impl VariantsPage {
    fn fields(&self) -> [Field; MOST] {
        self.form.fields()
    }
}

fn page_of(id: CampaignId) -> String {
    format!("/campaigns/{id}")
}

async fn edit(shell: Shell, Db(mut db): Db, Path(id): Path<CampaignId>) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    if campaign.status != Status::Draft {
        let said = format!("{}: los textos que se comparan ya no cambian.", campaign.status.why_fixed());
        return Ok(Flash::plain(said).to(&page_of(id)));
    }
    if !own_texts::of(&mut db, id).await?.is_empty() {
        let said =
            "La campaña tiene textos por rubro: quítalos para comparar varios en una parte de la audiencia.";
        return Ok(Flash::plain(said).to(&page_of(id)));
    }
    let plan = variants::plan(&mut db, id).await?;
    html::page(&page(shell, campaign, VariantsForm::of(&plan)))
}

fn page(shell: Shell, campaign: Campaign, form: VariantsForm) -> VariantsPage {
    let opening = opening::of(&campaign.source).unwrap_or_default();
    let seen = campaign.updated_at.to_rfc3339();
    VariantsPage { shell, campaign, opening, seen, form, errors: Errors::default() }
}

async fn save(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Form(form): Form<VariantsForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let (plan, wrong) = form.parse();
    let seen = form.seen.as_ref().map(|it| it.parse::<DateTime<Utc>>().unwrap_or_default());
    let held = campaign::hold(&mut tx, id, seen).await;
    let is_draft = campaign::get(&mut tx, id).await?.status == Status::Draft;
    // Of a campaign that was started meanwhile, that is told.
    let result = if is_draft && held.is_err() {
        held
    } else if wrong.is_empty() {
        variants::save(&mut tx, state.clock.now(), &actor, id, &plan).await
    } else {
        Err(Error::Invalid(wrong))
    };
    match result {
        Ok(()) => {
            tx.commit().await?;
            let said = match plan.variants.len() {
                0 => "La campaña tiene un solo texto: todos reciben el mismo.",
                _ => "Guardado. Envíate una prueba de cada texto antes de iniciar la campaña.",
            };
            Ok(Flash::good(said).to(&page_of(id)))
        }
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&page_of(id))),
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            let campaign = campaign::get(&mut *state.db.acquire().await?, id).await?;
            // Without gaps between the texts, so that each error stands at its field.
            let form = VariantsForm {
                percent: form.percent,
                by: form.by,
                hours: form.hours,
                ..VariantsForm::of(&plan)
            };
            html::invalid(&VariantsPage { errors, ..page(shell, campaign, form) })
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WinnerForm {
    place: String,
}

/// A person decides before the hours are over.
async fn choose(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
    Form(form): Form<WinnerForm>,
) -> Answer {
    let now = state.clock.now();
    let place = form.place.parse().unwrap_or(usize::MAX);
    let mut tx = state.db.begin().await?;
    let result = contest::decide(&mut tx, now, &actor, id, place).await;
    let status = campaign::get(&mut tx, id).await?.status;
    if result.is_ok() {
        tx.commit().await?;
        contest::release(&state.db, now, id, AT_ONCE).await?;
    }
    let from =
        if status == Status::Paused { "cuando reanudes la campaña" } else { "desde la próxima corrida" };
    let done = format!("El resto recibe el texto {}, {from}.", letter(place));
    done_or_refused(result, Flash::good(done), &page_of(id))
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
