//! Writing a campaign: its form, the count of its audience while it is chosen,
//! and its text while it is written.

use super::{
    campaigns_fields::CampaignForm,
    campaigns_letter::{self, Tried},
    connection::Db,
    filters,
    flash::Flash,
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::{
        audience::{self, Choices, Named, Question},
        campaign::{self, Campaign, Status},
        edit::Edit,
        fixed,
        wordings::{Needs, Wordings},
    },
    channels::Channel,
    chile::{business_hours::BusinessHours, comunas},
    error::Error,
    ids::{CampaignId, ContactId, LibraryId},
    imports::people::{self, AllKnown},
    messaging::{
        kinds::MessageType,
        library::{self, Kind},
        runnable::{self, Lost},
    },
    settings::{self, EmailChannel},
    state::AppState,
};
use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/new", Permission::EditCampaigns, new),
        Route::post("/campaigns", Permission::EditCampaigns, create),
        Route::get("/campaigns/{id}/edit", Permission::EditCampaigns, edit),
        Route::post("/campaigns/{id}", Permission::EditCampaigns, update),
        Route::post("/campaigns/audience", Permission::EditCampaigns, count),
        Route::post("/campaigns/preview", Permission::EditCampaigns, preview),
    ]
}

/// A variable as it is written in a text.
pub(super) fn tag(name: &str) -> String {
    format!("{{{{ {name} }}}}")
}

/// How many the audience holds, as the form shows it while it is chosen.
#[derive(Default)]
struct Count {
    total: i64,
    reachable: i64,
    reasons: Vec<(&'static str, i64)>,
    /// Chosen imports that brought nobody new, where the audience is empty.
    known: Vec<AllKnown>,
}

#[derive(Template)]
#[template(path = "campaigns/form.html", blocks = ["audience_count", "preview"])]
struct FormPage {
    shell: Shell,
    id: Option<CampaignId>,
    status: Status,
    /// What of its text can't change any more, in words; empty: all of it may.
    fixed: String,
    /// When the campaign last changed; empty for a new one.
    seen: String,
    edit: Edit,
    /// Numbers as typed, where they could not be understood.
    typed: CampaignForm,
    errors: Errors,
    choices: Choices,
    channel_hours: BusinessHours,
    contacts: Vec<Named>,
    count: Count,
    tried: Option<Tried>,
    /// What a new campaign may start from: row, kind, name.
    templates: Vec<(LibraryId, Kind, String)>,
    /// What it starts from, and what else its address says.
    query: NewQuery,
}

impl FormPage {
    fn starts_from(&self, id: LibraryId) -> bool {
        self.query.template == Some(id.0)
    }

    /// The class that tells how tall the letter's frame is.
    fn height(&self) -> String {
        campaigns_letter::height(self.tried.as_ref())
    }

    /// What of the body is lost on the way.
    fn lost(&self) -> Vec<Lost> {
        runnable::lost(&self.edit.source)
    }

    fn kinds(&self) -> impl Iterator<Item = MessageType> {
        let own = self.edit.message_type;
        let offered = MessageType::OF_CAMPAIGNS;
        offered.iter().copied().chain((!offered.contains(&own)).then_some(own))
    }

    fn is_draft(&self) -> bool {
        self.status == Status::Draft
    }

    fn hours(&self) -> &BusinessHours {
        self.edit.business_hours.as_ref().unwrap_or(&self.channel_hours)
    }

    fn weekdays() -> [(usize, &'static str); 7] {
        [(1, "lun"), (2, "mar"), (3, "mié"), (4, "jue"), (5, "vie"), (6, "sáb"), (7, "dom")]
    }

    fn opens_on(&self, day: usize) -> bool {
        self.hours().days[day - 1]
    }

    /// Industries in use and those chosen that no longer are.
    fn industries(&self) -> Vec<(String, i64, bool)> {
        offer(&self.choices.industries, &self.edit.audience.industries, Clone::clone)
            .into_iter()
            .map(|(_, label, people, chosen)| (label, people, chosen))
            .collect()
    }

    /// Code, name, people, chosen.
    fn comunas(&self) -> Vec<(String, String, i64, bool)> {
        let name =
            |code: &String| comunas::by_code(code).map_or_else(|| code.clone(), |it| it.name.to_owned());
        offer(&self.choices.comunas, &self.edit.audience.comunas, name)
    }

    fn segment_chosen(&self, id: i64) -> bool {
        self.edit.audience.segment_ids.contains(&id)
    }

    fn list_chosen(&self, id: i64) -> bool {
        self.edit.audience.list_ids.contains(&id)
    }

    fn import_chosen(&self, id: i64) -> bool {
        self.edit.audience.import_ids.contains(&id)
    }

    fn batch_size(&self) -> String {
        self.typed.batch_size.clone().unwrap_or_else(|| self.edit.batch_size.to_string())
    }

    fn spacing(&self) -> String {
        self.typed.spacing_seconds.clone().unwrap_or_else(|| self.edit.spacing_seconds.to_string())
    }

    fn cap(&self) -> String {
        let typed = self.typed.daily_cap.clone();
        typed.unwrap_or_else(|| self.edit.daily_cap.map_or(String::new(), |it| it.to_string()))
    }
}

fn offer(
    choices: &[audience::Choice],
    chosen: &[String],
    name: impl Fn(&String) -> String,
) -> Vec<(String, String, i64, bool)> {
    let gone = chosen.iter().filter(|it| choices.iter().all(|choice| choice.value != **it)).map(|it| (it, 0));
    gone.chain(choices.iter().map(|it| (&it.value, it.people)))
        .map(|(value, people)| (value.clone(), name(value), people, chosen.contains(value)))
        .collect()
}

/// The page of the form, for `campaign` or a new one.
async fn page(
    db: &mut PgConnection,
    state: &AppState,
    shell: Shell,
    campaign: Option<&Campaign>,
    edit: Edit,
) -> crate::error::Result<FormPage> {
    let email: EmailChannel = settings::load(&mut *db, &state.config.first_values).await?;
    let choices = audience::choices(db).await?;
    let contacts = audience::first_of(db, state.clock.now(), &edit.audience, 25).await?;
    let count = counted(db, state, campaign.map(|it| it.id), &edit).await?;
    let fixed = match campaign.filter(|it| it.status.is_live()) {
        Some(campaign) => fixed::of(db, campaign.id).await?.map(|it| it.sentence()),
        None => None,
    };
    Ok(FormPage {
        shell,
        id: campaign.map(|it| it.id),
        fixed: fixed.unwrap_or_default(),
        status: campaign.map_or(Status::Draft, |it| it.status),
        seen: campaign.map_or_else(String::new, |it| it.updated_at.to_rfc3339()),
        edit,
        typed: CampaignForm::default(),
        errors: Errors::default(),
        choices,
        channel_hours: email.business_hours,
        contacts,
        count,
        tried: None,
        templates: Vec::new(),
        query: NewQuery::default(),
    })
}

fn question<'a>(edit: &'a Edit, needs: &'a Needs, now: DateTime<Utc>) -> Question<'a> {
    Question {
        rule: &edit.audience,
        channel: Channel::Email,
        message_type: edit.message_type,
        required: &needs.required,
        otherwise: &needs.otherwise,
        now,
    }
}

/// How many `edit` would reach, with whatever other texts `campaign` tries.
async fn counted(
    db: &mut PgConnection,
    state: &AppState,
    campaign: Option<CampaignId>,
    edit: &Edit,
) -> crate::error::Result<Count> {
    let wordings = match campaign {
        Some(id) => Wordings::of(&mut *db, id).await?,
        None => Wordings::default(),
    };
    let needs = wordings.needs(&edit.source);
    let preview = audience::preview(db, question(edit, &needs, state.clock.now())).await?;
    let int = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let known = match preview.total {
        0 => people::all_known(&mut *db, &edit.audience.import_ids).await?,
        _ => Vec::new(),
    };
    Ok(Count {
        known,
        total: int(preview.total),
        reachable: int(preview.reachable),
        reasons: preview.left_out.iter().map(|(reason, count)| (reason.label(), int(*count))).collect(),
    })
}

/// What a new campaign begins with: whom, where one comes from a segment or a list, and a template of the library.
#[derive(Deserialize, Default)]
#[serde(default)]
struct NewQuery {
    segment: Option<i64>,
    list: Option<i64>,
    #[serde(deserialize_with = "row")]
    template: Option<i64>,
}

/// A row; none where nothing is chosen.
fn row<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(String::deserialize(from)?.parse().ok())
}

impl NewQuery {
    /// What a change of the template keeps of the address.
    fn kept(&self) -> Vec<(&'static str, i64)> {
        let all = [("segment", self.segment), ("list", self.list)];
        all.into_iter().filter_map(|(name, id)| Some((name, id?))).collect()
    }
}

async fn new(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Query(query): Query<NewQuery>,
) -> Answer {
    let email: EmailChannel = settings::load(&mut *db, &state.config.first_values).await?;
    let mut edit = Edit { tracks: email.tracks, ..Edit::default() };
    edit.audience.segment_ids.extend(query.segment);
    edit.audience.list_ids.extend(query.list);
    if let Some(id) = query.template {
        let draft = library::get(&mut db, LibraryId(id)).await?.draft;
        if draft.channel != Channel::Email {
            let text =
                format!("Las campañas salen por correo, y «{}» es de {}.", draft.name, draft.channel.label());
            return Ok(Flash::bad(text).to(&format!("/templates/{id}")));
        }
        edit = edit.started_from(&draft);
    }
    let templates = library::choices(&mut *db, Channel::Email, Kind::ALL).await?;
    let page = page(&mut db, &state, shell, None, edit).await?;
    html::page(&FormPage { templates, query, ..page })
}

async fn edit(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    if !campaign.status.is_editable() {
        let text =
            format!("Esta campaña está «{}» y ya no se edita.", campaign.status.label().to_lowercase());
        return Ok(Flash::plain(text).to(&format!("/campaigns/{id}")));
    }
    let page = page(&mut db, &state, shell, Some(&campaign), Edit::of(&campaign)).await?;
    html::page(&page)
}

async fn create(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Form(form): Form<CampaignForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let email: EmailChannel = settings::load(&mut *tx, &state.config.first_values).await?;
    let base = Edit { tracks: email.tracks, ..Edit::default() };
    let (edit, wrong) = form.parse(&base, &email.business_hours);
    let result = if wrong.is_empty() {
        campaign::create(&mut tx, state.clock.now(), &actor, &edit).await
    } else {
        Err(Error::Invalid(wrong.into_iter().chain(edit.problems()).collect()))
    };
    match result {
        Ok(id) => {
            tx.commit().await?;
            Ok(Flash::good("Guardamos la campaña como borrador. Revisa abajo qué falta para iniciarla.")
                .to(&format!("/campaigns/{id}")))
        }
        Err(error) => {
            tx.rollback().await?;
            again(&state, shell, None, edit, form, error).await
        }
    }
}

async fn update(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Form(form): Form<CampaignForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let seen = form.seen.as_ref().map(|it| it.parse::<DateTime<Utc>>().unwrap_or_default());
    let held = campaign::hold(&mut tx, id, seen).await;
    let campaign = campaign::get(&mut tx, id).await?;
    let email: EmailChannel = settings::load(&mut *tx, &state.config.first_values).await?;
    let (edit, wrong) = form.parse(&Edit::of(&campaign), &email.business_hours);
    let result = if held.is_err() {
        held
    } else if wrong.is_empty() {
        campaign::update(&mut tx, state.clock.now(), &actor, &state.config, id, &edit).await
    } else {
        Err(Error::Invalid(wrong.into_iter().chain(edit.problems()).collect()))
    };
    match result {
        Ok(()) => {
            tx.commit().await?;
            let text = if campaign.status.is_live() && campaign.source != edit.source {
                "Guardado. Quienes faltan recibirán la versión nueva; lo ya enviado no cambia."
            } else {
                "Guardado."
            };
            Ok(Flash::good(text).to(&format!("/campaigns/{id}")))
        }
        Err(error) => {
            tx.rollback().await?;
            again(&state, shell, Some(&campaign), edit, form, error).await
        }
    }
}

/// The form again, with what was typed and what is wrong.
async fn again(
    state: &AppState,
    shell: Shell,
    campaign: Option<&Campaign>,
    edit: Edit,
    form: CampaignForm,
    error: Error,
) -> Answer {
    let errors = Errors::from_error(error)?;
    let mut db = state.db.acquire().await?;
    let page = page(&mut db, state, shell, campaign, edit).await?;
    html::invalid(&FormPage { errors, typed: form, ..page })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CountQuery {
    campaign: Option<CampaignId>,
}

/// How many the chosen audience holds. Writes nothing.
async fn count(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<CountQuery>,
    Form(form): Form<CampaignForm>,
) -> Answer {
    let page = draft(&state, shell, &form).await?;
    let mut db = state.db.acquire().await?;
    let count = counted(&mut db, &state, query.campaign, &page.edit).await?;
    html::page(&FormPage { count, ..page }.as_audience_count())
}

/// The form's page without its lists, for fragments.
async fn draft(state: &AppState, shell: Shell, form: &CampaignForm) -> crate::error::Result<FormPage> {
    let email: EmailChannel = settings::load(&state.db, &state.config.first_values).await?;
    let (edit, _) = form.parse(&Edit::default(), &email.business_hours);
    Ok(FormPage {
        shell,
        id: None,
        status: Status::Draft,
        fixed: String::new(),
        seen: String::new(),
        edit,
        typed: form.clone(),
        errors: Errors::default(),
        choices: Choices::default(),
        channel_hours: email.business_hours,
        contacts: Vec::new(),
        count: Count::default(),
        tried: None,
        templates: Vec::new(),
        query: NewQuery::default(),
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PartQuery {
    part: String,
}

/// The text as typed, filled for one person: with `part=html` the message
/// itself for the frame, else subject, plain text and what is wrong. Writes nothing.
async fn preview(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<PartQuery>,
    Form(form): Form<CampaignForm>,
) -> Answer {
    let page = draft(&state, shell, &form).await?;
    let contact = form.contact_id.as_deref().and_then(|it| it.parse().ok()).map(ContactId);
    let tried = campaigns_letter::fill(&state, &page.edit.source, contact).await?;
    if query.part == "html" {
        return Ok(campaigns_letter::frame(&tried));
    }
    html::page(&FormPage { tried: Some(tried), ..page }.as_preview())
}
