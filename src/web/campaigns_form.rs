//! Writing a campaign: its form, the count of its audience while it is chosen,
//! and its text while it is written.

use super::{
    campaigns::some_people,
    campaigns_letter::{self, Tried},
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
        audience::{self, Choices, Person, Question, Rule},
        campaign::{self, Campaign, Edit, Status},
    },
    channels::Channel,
    chile::{business_hours::BusinessHours, comunas},
    error::{Error, FieldError},
    ids::{CampaignId, ContactId},
    messaging::{
        kinds::MessageType,
        template::{self, BodyFormat},
    },
    settings::{self, EmailChannel},
    state::AppState,
};
use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use chrono::NaiveTime;
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

/// The form as it was typed. A scalar that is absent keeps what it was, so that a program may send only what it changes.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct CampaignForm {
    name: Option<String>,
    subject: Option<String>,
    body: Option<String>,
    body_format: Option<String>,
    footer: Option<String>,
    message_type: Option<String>,
    /// Present where the audience's fields are: none checked then means everyone.
    audience: Option<String>,
    industries: Vec<String>,
    comunas: Vec<String>,
    import_ids: Vec<String>,
    batch_size: Option<String>,
    daily_cap: Option<String>,
    spacing_seconds: Option<String>,
    /// `own` or `channel`.
    window: Option<String>,
    days: Vec<String>,
    opens: Option<String>,
    closes: Option<String>,
    skip_holidays: Option<String>,
    contact_id: Option<String>,
}

impl CampaignForm {
    /// What was typed, over `base`, and what can't be understood.
    fn parse(&self, base: &Edit, channel_hours: &BusinessHours) -> (Edit, Vec<FieldError>) {
        let mut wrong = Vec::new();
        let mut edit = base.clone();
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(text) = from {
                to.clone_from(text);
            }
        };
        set(&mut edit.name, &self.name);
        set(&mut edit.source.subject, &self.subject);
        set(&mut edit.source.body, &self.body);
        set(&mut edit.source.footer, &self.footer);
        // Browsers send CR LF; the text is kept as it is edited elsewhere.
        edit.source.body = edit.source.body.replace("\r\n", "\n");
        edit.source.footer = edit.source.footer.replace("\r\n", "\n");
        edit.source.subject = edit.source.subject.trim().to_owned();
        if let Some(code) = &self.body_format {
            edit.source.body_format = BodyFormat::from_code(code);
        }
        if let Some(code) = &self.message_type {
            match MessageType::from_code(code) {
                Some(kind) => edit.message_type = kind,
                None => wrong.push(FieldError::new("message_type", "Elige un tipo de mensaje de la lista.")),
            }
        }
        if self.audience.is_some() {
            edit.audience = self.rule();
        }
        let mut number = |field: &'static str, text: &Option<String>, to: &mut u32| {
            let Some(text) = text.as_deref().map(plain_number) else { return };
            match text.parse() {
                Ok(it) => *to = it,
                Err(_) => wrong.push(FieldError::new(field, "Escribe un número entero.")),
            }
        };
        number("batch_size", &self.batch_size, &mut edit.batch_size);
        number("spacing_seconds", &self.spacing_seconds, &mut edit.spacing_seconds);
        match self.daily_cap.as_deref().map(plain_number) {
            None => {}
            Some(text) if text.is_empty() => edit.daily_cap = None,
            Some(text) => match text.parse() {
                Ok(it) => edit.daily_cap = Some(it),
                Err(_) => {
                    wrong.push(FieldError::new("daily_cap", "Escribe un número entero, o déjalo en blanco."))
                }
            },
        }
        match self.window.as_deref() {
            None => {}
            Some("own") => {
                let base = edit.business_hours.take().unwrap_or_else(|| channel_hours.clone());
                edit.business_hours = Some(self.hours(&base, &mut wrong));
            }
            Some(_) => edit.business_hours = None,
        }
        (edit, wrong)
    }

    fn rule(&self) -> Rule {
        let list = |from: &[String]| -> Vec<String> {
            let mut all: Vec<String> = from.iter().filter(|it| !it.is_empty()).cloned().collect();
            all.sort();
            all.dedup();
            all
        };
        let mut import_ids: Vec<i64> = self.import_ids.iter().filter_map(|it| it.parse().ok()).collect();
        import_ids.sort_unstable();
        import_ids.dedup();
        Rule { industries: list(&self.industries), comunas: list(&self.comunas), import_ids }
    }

    fn hours(&self, base: &BusinessHours, wrong: &mut Vec<FieldError>) -> BusinessHours {
        let mut days = [false; 7];
        for day in
            self.days.iter().filter_map(|it| it.parse::<usize>().ok()).filter(|it| (1..=7).contains(it))
        {
            days[day - 1] = true;
        }
        let mut time = |field: &'static str, text: &Option<String>, or: NaiveTime| {
            let Some(text) = text else { return or };
            ["%H:%M", "%H:%M:%S"]
                .iter()
                .find_map(|it| NaiveTime::parse_from_str(text.trim(), it).ok())
                .unwrap_or_else(|| {
                    wrong.push(FieldError::new(field, "Escribe la hora así: 09:00."));
                    or
                })
        };
        BusinessHours {
            days,
            opens: time("opens", &self.opens, base.opens),
            closes: time("closes", &self.closes, base.closes),
            skip_holidays: self.skip_holidays.is_some(),
        }
    }
}

/// A variable as it is written in a text.
pub(super) fn tag(name: &str) -> String {
    format!("{{{{ {name} }}}}")
}

/// `1.000` is a thousand here.
fn plain_number(text: &str) -> String {
    text.chars().filter(|it| !it.is_whitespace() && *it != '.').collect()
}

/// How many the audience holds, as the form shows it while it is chosen.
#[derive(Default)]
struct Count {
    total: i64,
    reachable: i64,
    reasons: Vec<(&'static str, i64)>,
}

#[derive(Template)]
#[template(path = "campaigns/form.html", blocks = ["audience_count", "preview"])]
struct FormPage {
    shell: Shell,
    id: Option<CampaignId>,
    status: Status,
    edit: Edit,
    /// Numbers as typed, where they could not be understood.
    typed: CampaignForm,
    errors: Errors,
    choices: Choices,
    channel_hours: BusinessHours,
    contacts: Vec<Person>,
    count: Count,
    tried: Option<Tried>,
}

impl FormPage {
    fn kinds(&self) -> impl Iterator<Item = MessageType> {
        const OFFERED: [MessageType; 5] = [
            MessageType::Promocional,
            MessageType::Newsletter,
            MessageType::Reactivation,
            MessageType::FollowUp,
            MessageType::Other,
        ];
        let own = self.edit.message_type;
        OFFERED.into_iter().chain((!OFFERED.contains(&own)).then_some(own))
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

    fn opens_on(&self, day: &usize) -> bool {
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

    fn import_chosen(&self, id: &i64) -> bool {
        self.edit.audience.import_ids.contains(id)
    }

    fn number(typed: &Option<String>, value: &u32) -> String {
        typed.clone().unwrap_or_else(|| value.to_string())
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
    let contacts = match campaign {
        Some(it) => some_people(db, it).await?,
        None => {
            let question = question(&edit, &[]);
            audience::people(&mut *db, question, audience::Which::All, None, 25).await?
        }
    };
    let count = counted(db, &edit).await?;
    Ok(FormPage {
        shell,
        id: campaign.map(|it| it.id),
        status: campaign.map_or(Status::Draft, |it| it.status),
        edit,
        typed: CampaignForm::default(),
        errors: Errors::default(),
        choices,
        channel_hours: email.business_hours,
        contacts,
        count,
        tried: None,
    })
}

fn question<'a>(edit: &'a Edit, required: &'a [&'a str]) -> Question<'a> {
    Question { rule: &edit.audience, channel: Channel::Email, message_type: edit.message_type, required }
}

async fn counted(db: &mut PgConnection, edit: &Edit) -> crate::error::Result<Count> {
    let required = template::compile(&edit.source).map(|it| it.required()).unwrap_or_default();
    let preview = audience::preview(db, question(edit, &required)).await?;
    let int = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Count {
        total: int(preview.total),
        reachable: int(preview.reachable),
        reasons: preview.left_out.iter().map(|(reason, count)| (reason.label(), int(*count))).collect(),
    })
}

async fn new(State(state): State<AppState>, shell: Shell) -> Answer {
    let mut db = state.db.acquire().await?;
    let page = page(&mut db, &state, shell, None, Edit::default()).await?;
    html::page(&page)
}

async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<CampaignId>) -> Answer {
    let mut db = state.db.acquire().await?;
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
    let (edit, wrong) = form.parse(&Edit::default(), &email.business_hours);
    let result = match wrong.is_empty() {
        true => campaign::create(&mut tx, state.clock.now(), &actor, &edit).await,
        false => Err(Error::Invalid(wrong.into_iter().chain(edit.problems()).collect())),
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
    let campaign = campaign::get(&mut tx, id).await?;
    let email: EmailChannel = settings::load(&mut *tx, &state.config.first_values).await?;
    let (edit, wrong) = form.parse(&Edit::of(&campaign), &email.business_hours);
    let result = match wrong.is_empty() {
        true => campaign::update(&mut tx, state.clock.now(), &actor, &state.config, id, &edit).await,
        false => Err(Error::Invalid(wrong.into_iter().chain(edit.problems()).collect())),
    };
    match result {
        Ok(()) => {
            tx.commit().await?;
            let text = if campaign.status.is_live() {
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

/// How many the chosen audience holds. Writes nothing.
async fn count(State(state): State<AppState>, shell: Shell, Form(form): Form<CampaignForm>) -> Answer {
    let page = draft(&state, shell, &form).await?;
    let mut db = state.db.acquire().await?;
    let count = counted(&mut db, &page.edit).await?;
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
        edit,
        typed: form.clone(),
        errors: Errors::default(),
        choices: Choices::default(),
        channel_hours: email.business_hours,
        contacts: Vec::new(),
        count: Count::default(),
        tried: None,
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
