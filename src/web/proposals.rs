//! Subjects and openings proposed for a draft: what would be sent and to whom, asking, watching, deciding.

use super::{
    campaigns,
    connection::Db,
    filters,
    flash::{Flash, done_or_refused},
    form::Form,
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::campaign::{self, Campaign, Status},
    chile::format,
    contacts::named::Named,
    copywriter::{
        budget::{self, Spending},
        standing,
        terms::Terms,
    },
    error::{Error, Result},
    ids::{CampaignId, CopyRequestId, ProposalId},
    messaging::opening,
    proposals::{
        self, Decision, Request,
        ask::{self, Plan, Wish},
        by_itself,
        decide::{self, Chosen, ForWhom},
        run::TRIES,
    },
    settings,
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Extension, Path, Query, State},
    http::StatusCode,
    response::IntoResponse,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

/// Requests that are shown.
const SHOWN: i64 = 30;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/{id}/proposals", Permission::View, show),
        Route::post("/campaigns/{id}/proposals", Permission::EditCampaigns, ask_for),
        Route::post("/campaigns/{id}/proposals/preview", Permission::EditCampaigns, preview),
        Route::get("/campaigns/{id}/proposals/live", Permission::View, live),
        Route::post("/campaigns/{id}/proposals/{proposal}/approval", Permission::EditCampaigns, approve),
        Route::delete("/campaigns/{id}/proposals/{proposal}/approval", Permission::EditCampaigns, take_back),
        Route::post("/campaigns/{id}/proposals/{proposal}/refusal", Permission::EditCampaigns, refuse),
        Route::delete("/copy-calls/pause", Permission::EditCampaigns, lift),
    ]
}

fn page_of(id: CampaignId) -> String {
    format!("/campaigns/{id}/proposals")
}

/// What is asked for, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct AskForm {
    scope: String,
    contact: String,
    hints: String,
}

impl AskForm {
    fn wish(&self, contacts: &[Named]) -> Wish {
        let chosen =
            || self.contact.parse().ok().map(crate::ids::ContactId).or(contacts.first().map(|it| it.id));
        match self.scope.as_str() {
            "industries" => Wish::Industries,
            "contact" => chosen().map_or(Wish::Campaign, Wish::Contact),
            _ => Wish::Campaign,
        }
    }

    fn is(&self, scope: &str) -> bool {
        self.scope == scope || self.scope.is_empty() && scope == "campaign"
    }

    fn has_chosen(&self, it: &Named) -> bool {
        self.contact == it.id.to_string()
    }
}

#[derive(Template)]
#[template(path = "proposals/show.html", blocks = ["live"])]
struct ProposalsPage {
    shell: Shell,
    now: DateTime<Utc>,
    campaign: Campaign,
    /// When the campaign had last changed as whoever looks at the page saw it: its parts come anew, that does not.
    seen: String,
    /// Why the provider is not called.
    off: Option<String>,
    can_be_lifted: bool,
    /// Where texts go, and which model reads them; empty without a key.
    host: String,
    model: String,
    form: AskForm,
    contacts: Vec<Named>,
    /// What would be sent, or why nothing can be asked.
    plan: Result<Plan, String>,
    spending: Spending,
    requests: Vec<Request>,
    /// The paragraph that another beginning replaces.
    replaces: Option<String>,
    /// Nothing changes before somebody approves.
    review_first: bool,
}

impl ProposalsPage {
    fn is_draft(&self) -> bool {
        self.campaign.status == Status::Draft
    }

    fn may_decide(&self) -> bool {
        self.is_draft() && self.shell.may(Permission::EditCampaigns)
    }

    /// Colour and icon of a request.
    fn badge(request: &Request) -> (&'static str, &'static str) {
        match request.status {
            proposals::Status::Pending => ("secondary", "clock"),
            proposals::Status::Running => ("blue", "send"),
            proposals::Status::Done => ("green", "circle-check"),
            proposals::Status::Failed => ("red", "circle-x"),
        }
    }

    /// Colour and icon of a decision.
    fn mark(decision: Decision) -> (&'static str, &'static str) {
        match decision {
            Decision::Proposed => ("orange", "user-check"),
            Decision::Unusable => ("red", "circle-x"),
            Decision::Approved => ("green", "circle-check"),
            Decision::Refused => ("secondary", "ban"),
        }
    }

    /// What an open request waits for.
    fn waits(&self, request: &Request) -> String {
        match request.status {
            proposals::Status::Running => {
                "Esperando la respuesta de DeepSeek. Puedes cerrar esta página.".to_owned()
            }
            _ if request.tries == 0 => "Espera su turno; sale en unos segundos.".to_owned(),
            _ => format!(
                "DeepSeek no pudo responder en {}; se vuelve a preguntar {}, y son {TRIES} a lo más.",
                format::count(request.tries.into(), "intento", "intentos"),
                if request.next_attempt_at <= self.now {
                    "ahora".to_owned()
                } else {
                    format::relative(request.next_attempt_at, self.now)
                }
            ),
        }
    }
}

async fn page(state: &AppState, shell: Shell, id: CampaignId, form: AskForm) -> Result<ProposalsPage> {
    let mut db = state.db.acquire().await?;
    let now = state.clock.now();
    let campaign = campaign::get(&mut db, id).await?;
    let standing = standing::of(&mut *db, &state.config).await?;
    let contacts = campaigns::some_people(&mut db, now, &campaign).await?;
    // Names are looked up for who will see what comes of it.
    let plan = if campaign.status == Status::Draft && shell.may(Permission::EditCampaigns) {
        match ask::plan(&mut db, now, &state.config, &campaign, form.wish(&contacts), &form.hints).await {
            Ok(plan) => Ok(plan),
            Err(Error::Refused(why)) => Err(why),
            Err(error) => return Err(error),
        }
    } else {
        Err("Las propuestas se piden mientras la campaña es un borrador.".to_owned())
    };
    let terms: Terms = settings::load(&mut *db, &state.config.first_values).await?;
    let spending = budget::spending(&mut *db, now, &terms).await?;
    let requests = proposals::list(&mut db, id, SHOWN).await?;
    let deepseek = state.config.deepseek.as_ref();
    Ok(ProposalsPage {
        replaces: opening::of(&campaign.source),
        review_first: terms.review_first,
        can_be_lifted: standing.can_be_lifted(),
        off: standing.why_off(),
        host: deepseek.map(crate::config::DeepSeek::host).unwrap_or_default(),
        model: deepseek.map(|it| it.model.clone()).unwrap_or_default(),
        shell,
        now,
        seen: campaign.updated_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        campaign,
        form,
        contacts,
        plan,
        spending,
        requests,
    })
}

async fn show(State(state): State<AppState>, shell: Shell, Path(id): Path<CampaignId>) -> Answer {
    html::page(&page(&state, shell, id, AskForm::default()).await?)
}

/// What would be sent for what is chosen, word for word.
async fn preview(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Form(form): Form<AskForm>,
) -> Answer {
    html::page(&page(&state, shell, id, form).await?)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LiveQuery {
    request: i64,
    seen: String,
}

/// One request by itself, for the page that asks until it is answered.
async fn live(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<LiveQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    let mut requests = proposals::list(&mut db, id, SHOWN).await?;
    requests.retain(|it| it.id == CopyRequestId(query.request));
    if requests.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let page = ProposalsPage {
        replaces: opening::of(&campaign.source),
        shell,
        now: state.clock.now(),
        seen: query.seen,
        campaign,
        off: None,
        review_first: true,
        can_be_lifted: false,
        host: String::new(),
        model: String::new(),
        form: AskForm::default(),
        contacts: Vec::new(),
        plan: Err(String::new()),
        spending: Spending::default(),
        requests,
    };
    html::page(&page.as_live())
}

async fn ask_for(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<CampaignId>,
    Form(form): Form<AskForm>,
) -> Answer {
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let campaign = campaign::get(&mut tx, id).await?;
    let contacts = campaigns::some_people(&mut tx, now, &campaign).await?;
    let wish = form.wish(&contacts);
    let terms: Terms = settings::load(&mut *tx, &state.config.first_values).await?;
    let asked = match ask::ask(&mut tx, now, &actor, &state.config, id, wish, &form.hints).await {
        Ok(asked) => asked,
        Err(Error::Refused(sentence)) => return Ok(Flash::bad(sentence).to(&page_of(id))),
        Err(error) => return Err(error.into()),
    };
    tx.commit().await?;
    let said = if asked == 0 {
        Flash::plain("Ya estaba pedido: la respuesta viene en camino.")
    } else {
        let then = match wish {
            Wish::Campaign | Wish::Industries if !terms.review_first => {
                "el borrador toma por sí solo la primera que sirva"
            }
            _ => "el borrador no cambia hasta que apruebes una",
        };
        Flash::good(format!("Pedido. Las propuestas aparecen abajo en cuanto lleguen; {then}."))
            .link("Ir a las propuestas", "#requests")
    };
    Ok(said.to(&page_of(id)))
}

/// A decision, as typed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DecisionForm {
    seen: String,
    subject: String,
    opening: String,
    take: Vec<String>,
    /// Whom it is for; empty: everybody.
    whom: String,
}

impl DecisionForm {
    fn for_whom(&self) -> ForWhom {
        match self.whom.as_str() {
            "industry" => ForWhom::Industry,
            "some" => ForWhom::Some,
            _ => ForWhom::All,
        }
    }
}

async fn approve(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path((id, proposal)): Path<(CampaignId, ProposalId)>,
    Form(form): Form<DecisionForm>,
) -> Answer {
    let takes = |part: &str| form.take.iter().any(|it| it == part);
    let chosen = Chosen {
        subject: takes("subject").then(|| form.subject.clone()),
        opening: takes("opening").then(|| form.opening.clone()),
        for_whom: form.for_whom(),
    };
    let said = match chosen.for_whom {
        ForWhom::Some => Flash::good(
            "El borrador probará la propuesta junto con su propio texto, en una parte de la audiencia.",
        )
        .link("Ver los textos en prueba", format!("/campaigns/{id}/variants")),
        ForWhom::Industry => Flash::good(
            "El borrador tomó la propuesta solo para ese rubro; los demás reciben el texto de la campaña.",
        )
        .link("Ver los textos por rubro", format!("/campaigns/{id}#own-texts")),
        ForWhom::All => Flash::good("El borrador tomó la propuesta. Revísalo antes de iniciar.")
            .link("Ver la campaña", format!("/campaigns/{id}")),
    };
    let seen = form.seen.parse().unwrap_or_default();
    let mut tx = state.db.begin().await?;
    let of = (id, proposal);
    let done = decide::approve(&mut tx, state.clock.now(), &actor, &state.config, of, seen, chosen).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(done, said, &page_of(id))
}

/// What the draft took by itself is taken out of it.
async fn take_back(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path((id, proposal)): Path<(CampaignId, ProposalId)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let of = (id, proposal);
    let done = by_itself::take_back(&mut tx, state.clock.now(), &actor, &state.config, of).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let said = Flash::good("Quitada: el borrador tiene otra vez el texto de antes.");
    done_or_refused(done, said.link("Ir a las propuestas", "#requests"), &page_of(id))
}

async fn refuse(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path((id, proposal)): Path<(CampaignId, ProposalId)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = decide::refuse(&mut tx, state.clock.now(), &actor, (id, proposal)).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let said = Flash::plain("La propuesta quedó descartada. El borrador no cambió.");
    done_or_refused(done, said.link("Ir a las propuestas", "#requests"), &page_of(id))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LiftForm {
    campaign: Option<i64>,
}

/// "Volver a intentar" after the provider refused our key or our account.
async fn lift(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Form(form): Form<LiftForm>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = standing::lift(&mut tx, state.clock.now(), &actor).await;
    if done.is_ok() {
        tx.commit().await?;
    }
    let back = form.campaign.map_or_else(|| "/copy-calls".to_owned(), |it| page_of(CampaignId(it)));
    let said =
        "La IA está encendida otra vez. Si DeepSeek la vuelve a rechazar, se apaga y te avisamos aquí.";
    done_or_refused(done, Flash::good(said), &back)
}
