//! Writing to people chosen from a list: what, who would get it and who not, and how it goes.

use super::{
    bulk_actions::Whom,
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
    channels::Channel,
    chile::format,
    contacts::named::Named,
    error::{Error, Result},
    ids::{ContactId, LibraryId, MailingId, TemplateId},
    mailings::{self, Draft, Letter, Mailing, Status, Words},
    messaging::{
        foresight::Person,
        kinds::Status as MessageStatus,
        library::{self, Kind},
        template::Source,
        versions,
    },
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderValue,
    response::{IntoResponse as _, Redirect},
};
use axum_extra::extract::Query;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::time::Duration;
use uuid::Uuid;

/// Mailings of one page.
const PAGE: usize = 50;

/// People whose names are told, of those left out.
const NAMED: i64 = 60;

pub(super) fn routes() -> Vec<Route> {
    use Permission::{SendCampaigns, View};
    vec![
        Route::get("/mailings", View, all),
        // A million people are looked at, or written down, before it answers.
        Route::get("/mailings/new", SendCampaigns, new).within(Duration::from_mins(2)),
        Route::post("/mailings/count", SendCampaigns, count).within(Duration::from_mins(2)),
        Route::post("/mailings/preview", SendCampaigns, preview),
        Route::post("/mailings", SendCampaigns, create).within(Duration::from_mins(2)),
        Route::get("/mailings/{id}", View, show),
        Route::get("/mailings/{id}/letter", View, letter),
        Route::get("/mailings/{id}/progress", View, live),
        Route::post("/mailings/{id}/cancellation", SendCampaigns, cancel),
        Route::post("/mailings/{id}/resume", SendCampaigns, resume),
    ]
}

/// The form as it was typed.
#[derive(Clone, Default)]
struct Typed {
    whom: Whom,
    once: String,
    shown: String,
    /// `own`: words of their own; else a template.
    words: String,
    template: String,
    source: Source,
    version: Option<TemplateId>,
    contact: Option<ContactId>,
}

impl Typed {
    fn read(pairs: Vec<(String, String)>) -> Typed {
        let mut it = Typed::default();
        for (name, value) in pairs {
            let value = value.replace("\r\n", "\n");
            match name.as_str() {
                "scope" => it.whom.scope = value,
                "list" => it.whom.list = value,
                "id" => it.whom.id.extend(value.parse::<i64>()),
                "once" => it.once = value,
                "shown" => it.shown = value,
                "words" => it.words = value,
                "template" => it.template = value,
                "subject" => value.trim().clone_into(&mut it.source.subject),
                "body" => it.source.body = value,
                "footer" => it.source.footer = value,
                "version" => it.version = value.parse().ok().map(TemplateId),
                "contact_id" => it.contact = value.parse().ok().map(ContactId),
                _ => {}
            }
        }
        it
    }

    fn is_own(&self) -> bool {
        self.words == "own"
    }

    fn is_of(&self, id: LibraryId) -> bool {
        self.template == id.to_string()
    }

    fn chosen(&self) -> Words {
        if self.is_own() {
            return Words::Own(self.source.clone());
        }
        Words::Template(LibraryId(self.template.parse().unwrap_or_default()))
    }

    /// The text, or none where it is not chosen yet.
    async fn letter(&self, state: &AppState) -> Result<Letter> {
        let mut db = state.db.acquire().await?;
        match self.chosen().read(&mut db).await {
            Err(Error::Invalid(_)) => Words::Own(Source::default()).read(&mut db).await,
            other => other,
        }
    }
}

/// Those left out for one reason.
struct Reason {
    label: &'static str,
    people: i64,
    named: Vec<Person>,
}

impl Reason {
    /// Those whose names are not told.
    fn others(&self) -> i64 {
        self.people - i64::try_from(self.named.len()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Count {
    total: i64,
    reachable: i64,
    reasons: Vec<Reason>,
}

async fn counted(state: &AppState, typed: &Typed) -> Result<Count> {
    let letter = typed.letter(state).await?;
    let mut db = state.db.acquire().await?;
    let filter = typed.whom.filter()?;
    let (preview, people) = mailings::foretell(&mut db, state.clock.now(), &filter, &letter, NAMED).await?;
    let int = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let reasons = preview.left_out.iter().map(|(reason, count)| Reason {
        label: reason.label(),
        people: int(*count),
        named: people.iter().filter(|it| it.reason == Some(*reason)).cloned().collect(),
    });
    Ok(Count { total: int(preview.total), reachable: int(preview.reachable), reasons: reasons.collect() })
}

#[derive(Template)]
#[template(path = "mailings/new.html", blocks = ["count", "preview"])]
struct NewPage {
    shell: Shell,
    typed: Typed,
    whom: Whom,
    back: String,
    templates: Vec<(LibraryId, Kind, String)>,
    contacts: Vec<Named>,
    /// The version of the template that the preview shows.
    version: Option<TemplateId>,
    count: Count,
    tried: Option<Tried>,
    errors: Errors,
}

impl NewPage {
    /// Without what it takes the database to know.
    fn bare(shell: Shell, typed: Typed) -> NewPage {
        NewPage {
            shell,
            whom: typed.whom.clone(),
            back: typed.whom.back(),
            typed,
            templates: Vec::new(),
            contacts: Vec::new(),
            version: None,
            count: Count::default(),
            tried: None,
            errors: Errors::default(),
        }
    }

    async fn load(state: &AppState, shell: Shell, mut typed: Typed, errors: Errors) -> Result<NewPage> {
        let mut db = state.db.acquire().await?;
        let templates = library::choices(&mut *db, Channel::Email, Kind::BY_HAND).await?;
        if typed.words.is_empty() {
            typed.words = if templates.is_empty() { "own".to_owned() } else { "template".to_owned() };
        }
        if typed.template.is_empty() {
            // As the list of them shows it: by kind.
            let first = Kind::BY_HAND.iter().find_map(|kind| templates.iter().find(|it| it.1 == *kind));
            typed.template = first.map(|it| it.0.to_string()).unwrap_or_default();
        }
        let contacts = mailings::first_of(&mut db, state.clock.now(), &typed.whom.filter()?).await?;
        drop(db);
        let version = typed.letter(state).await?.template.map(|it| it.1);
        let count = counted(state, &typed).await?;
        Ok(NewPage { templates, contacts, version, count, errors, ..NewPage::bare(shell, typed) })
    }

    fn height(&self) -> String {
        campaigns_letter::height(self.tried.as_ref())
    }
}

async fn new(
    State(state): State<AppState>,
    shell: Shell,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Answer {
    let mut typed = Typed::read(pairs);
    typed.once = Uuid::new_v4().to_string();
    typed.source.footer = Kind::Personal.footer().to_owned();
    let page = NewPage::load(&state, shell, typed, Errors::default()).await?;
    if page.count.total == 0 {
        let said = "No elegiste a nadie. Marca a las personas en la lista y vuelve a intentarlo.";
        return Ok(Flash::plain(said).to(&page.back));
    }
    html::page(&page)
}

/// How many would get the text as chosen. Writes nothing.
async fn count(
    State(state): State<AppState>,
    shell: Shell,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed::read(pairs);
    let count = counted(&state, &typed).await?;
    html::page(&NewPage { count, ..NewPage::bare(shell, typed) }.as_count())
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PartQuery {
    part: String,
}

/// The text as chosen, filled for one person: with `part=html` the message itself for the frame. Writes nothing.
async fn preview(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<PartQuery>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed::read(pairs);
    let letter = typed.letter(&state).await?;
    let tried = campaigns_letter::fill(&state, &letter.source, typed.contact).await?;
    if query.part == "html" {
        return Ok(campaigns_letter::frame(&tried));
    }
    let version = letter.template.map(|it| it.1);
    html::page(&NewPage { tried: Some(tried), version, ..NewPage::bare(shell, typed) }.as_preview())
}

async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed::read(pairs);
    let made = async {
        let draft = Draft {
            once: typed
                .once
                .parse()
                .map_err(|_| Error::invalid("template", "Recarga la página y vuelve a intentarlo."))?,
            words: typed.chosen(),
            shown: typed.shown.parse().ok(),
            seen: typed.version,
        };
        let mut tx = state.db.begin().await?;
        let filter = typed.whom.filter()?;
        let id = mailings::create(&mut tx, state.clock.now(), &actor, &state.config, &draft, &filter).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => Ok(Redirect::to(&format!("/mailings/{id}")).into_response()),
        Err(error) => {
            let errors = Errors::from_error(error)?;
            html::invalid(&NewPage::load(&state, shell, typed, errors).await?)
        }
    }
}

/// Bootstrap's name of the colour.
pub(super) fn tone(status: Status) -> &'static str {
    match status {
        Status::Running => "blue",
        Status::Paused => "yellow",
        Status::Done => "green",
        Status::Cancelled => "secondary",
        Status::Failed => "red",
    }
}

/// The icon beside it.
pub(super) fn status_icon(status: Status) -> &'static str {
    match status {
        Status::Running => "loader",
        Status::Paused => "player-pause",
        Status::Done => "circle-check",
        Status::Cancelled => "circle-x",
        Status::Failed => "alert-circle",
    }
}

#[derive(Template)]
#[template(path = "mailings/show.html", blocks = ["live"])]
struct ShowPage {
    shell: Shell,
    mailing: Mailing,
    counts: Vec<(MessageStatus, i64)>,
    /// Messages that have not left, or people without one yet.
    waiting: i64,
}

impl ShowPage {
    async fn load(state: &AppState, shell: Shell, id: MailingId) -> Result<ShowPage> {
        let mailing = mailings::get(&state.db, id).await?;
        let counts = mailings::counts(&state.db, id).await?;
        let pending = counts.iter().find(|it| it.0 == MessageStatus::Pending).map_or(0, |it| it.1);
        Ok(ShowPage { shell, waiting: pending + mailing.rest(), mailing, counts })
    }

    fn is_running(&self) -> bool {
        self.mailing.status == Status::Running
    }

    fn tone(&self) -> &'static str {
        tone(self.mailing.status)
    }

    fn icon(&self) -> &'static str {
        status_icon(self.mailing.status)
    }
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<MailingId>) -> Answer {
    html::page(&ShowPage::load(&state, shell, id).await?)
}

/// The text, for the frame.
async fn letter(State(state): State<AppState>, Path(id): Path<MailingId>) -> Answer {
    let mut db = state.db.acquire().await?;
    let mailing = mailings::get(&mut *db, id).await?;
    let (source, _) = versions::version(&mut db, mailing.template).await?;
    drop(db);
    Ok(campaigns_letter::frame(&campaigns_letter::fill(&state, &source, None).await?))
}

/// The progress alone; once there is nothing to wait for, the whole page is asked for anew.
async fn live(State(state): State<AppState>, shell: Shell, Path(id): Path<MailingId>) -> Answer {
    let page = ShowPage::load(&state, shell, id).await?;
    let mut response = html::page(&page.as_live())?;
    if !page.is_running() {
        response.headers_mut().insert("HX-Refresh", HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn cancel(State(state): State<AppState>, actor: Actor, Path(id): Path<MailingId>) -> Answer {
    let path = format!("/mailings/{id}");
    let done = async {
        let mut tx = state.db.begin().await?;
        let taken_back = mailings::cancel(&mut tx, state.clock.now(), &actor, id).await?;
        tx.commit().await?;
        Ok::<_, Error>(taken_back)
    };
    match done.await {
        Ok(taken_back) => {
            let said = match taken_back {
                0 => "Cancelado: no quedaba ningún mensaje por salir.".to_owned(),
                1 => "Cancelado: 1 mensaje ya no va a salir.".to_owned(),
                many => format!(
                    "Cancelado: {} mensajes ya no van a salir.",
                    format::number(i64::try_from(many).unwrap_or(i64::MAX))
                ),
            };
            Ok(Flash::good(format!("{said} Lo que salió queda en el registro.")).to(&path))
        }
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&path)),
        Err(error) => Err(error.into()),
    }
}

async fn resume(State(state): State<AppState>, actor: Actor, Path(id): Path<MailingId>) -> Answer {
    let path = format!("/mailings/{id}");
    let done = async {
        let mut tx = state.db.begin().await?;
        mailings::resume(&mut tx, state.clock.now(), &actor, id).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    };
    match done.await {
        Ok(()) => Ok(Flash::good("Sigue: lo que espera sale en las próximas corridas.").to(&path)),
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&path)),
        Err(error) => Err(error.into()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    before: String,
}

#[derive(Template)]
#[template(path = "mailings/list.html")]
struct ListPage {
    shell: Shell,
    mailings: Vec<Mailing>,
    newer: String,
    older: String,
    now: DateTime<Utc>,
}

async fn all(State(state): State<AppState>, shell: Shell, Query(query): Query<ListQuery>) -> Answer {
    let before = query.before.parse().ok();
    let mut mailings = mailings::list(&state.db, before, i64::try_from(PAGE).unwrap_or(i64::MAX) + 1).await?;
    let more = mailings.len() > PAGE;
    mailings.truncate(PAGE);
    let older = mailings.last().filter(|_| more).map(|it| format!("/mailings?before={}", it.id));
    html::page(&ListPage {
        shell,
        newer: before.map(|_| "/mailings".to_owned()).unwrap_or_default(),
        older: older.unwrap_or_default(),
        mailings,
        now: state.clock.now(),
    })
}
