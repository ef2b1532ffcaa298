//! The texts of a campaign for the people of one industry: what each says and how many get it, and writing them.

use super::{
    connection::Db,
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
    routes::Route,
    shell::Shell,
};
use crate::{
    access::{Actor, Permission},
    campaigns::{
        campaign::{self, Campaign, Status},
        checklist::Checklist,
        own_texts::{self, OwnText},
        variants::{self, Variant},
        wordings::Wordings,
    },
    contacts::company_list,
    error::{Error, Result},
    ids::CampaignId,
    messaging::opening,
    state::AppState,
};
use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/campaigns/{id}/own-texts", Permission::EditCampaigns, edit),
        Route::post("/campaigns/{id}/own-texts", Permission::EditCampaigns, add),
        Route::post("/campaigns/{id}/own-texts/{place}", Permission::EditCampaigns, change),
        Route::delete("/campaigns/{id}/own-texts/{place}", Permission::EditCampaigns, remove),
        Route::post("/campaigns/{id}/own-texts/{place}/back", Permission::EditCampaigns, put_back),
    ]
}

/// One of them.
pub(super) struct Row {
    pub(super) text: OwnText,
    /// People of the audience who get it; none: they are counted later.
    pub(super) people: Option<i64>,
}

/// All of them, for the campaign's page.
pub(super) struct Shown {
    pub(super) rows: Vec<Row>,
    /// It is a draft: how many get each is told. Once it was started, the figures tell.
    pub(super) is_counted: bool,
    /// Texts are tried, so that there can be none of industries.
    pub(super) is_tried: bool,
    pub(super) may_edit: bool,
}

/// The texts of industries of `campaign`, with how many get each where its `checklist` counted them; none: there are none,
/// and `shell`'s reader can't write any.
pub(super) fn of(
    campaign: &Campaign,
    wordings: &Wordings,
    checklist: Option<&Checklist>,
    shell: &Shell,
) -> Option<Shown> {
    let is_draft = campaign.status == Status::Draft;
    let may_edit = is_draft && shell.may(Permission::EditCampaigns);
    if wordings.own.is_empty() && !may_edit {
        return None;
    }
    let row = |text: &OwnText| Row {
        people: checklist.map(|it| it.of_industries.get(&text.industry).copied().unwrap_or_default()),
        text: text.clone(),
    };
    Some(Shown {
        rows: wordings.own.iter().map(row).collect(),
        is_counted: is_draft,
        is_tried: !wordings.plan.variants.is_empty(),
        may_edit,
    })
}

/// What a text says, as it was typed.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct TextForm {
    industry: String,
    subject: String,
    opening: String,
    /// When the campaign had last changed; none: a program that sends no form.
    seen: Option<String>,
}

impl TextForm {
    fn words(&self) -> Variant {
        Variant { subject: self.subject.clone(), opening: self.opening.clone() }
    }
}

#[derive(Template)]
#[template(path = "campaigns/own_text.html")]
struct TextPage {
    shell: Shell,
    campaign: Campaign,
    /// The text that is changed; none: a new one.
    place: Option<i16>,
    /// Industries of the base that have none yet.
    industries: Vec<String>,
    /// First paragraph of the campaign's own text; empty: it has none that could be changed.
    opening: String,
    /// When the campaign last changed.
    seen: String,
    form: TextForm,
    errors: Errors,
}

fn page_of(id: CampaignId) -> String {
    format!("/campaigns/{id}")
}

/// The part of the campaign's page that shows them.
fn list_of(id: CampaignId) -> String {
    format!("/campaigns/{id}#own-texts")
}

async fn page(
    db: &mut PgConnection,
    shell: Shell,
    campaign: Campaign,
    place: Option<i16>,
    form: TextForm,
) -> Result<TextPage> {
    let own = own_texts::of(&mut *db, campaign.id).await?;
    let mut industries = company_list::industries(db).await?;
    industries.retain(|it| own.iter().all(|text| text.industry != *it));
    Ok(TextPage {
        shell,
        place,
        industries,
        opening: opening::of(&campaign.source).unwrap_or_default(),
        seen: campaign.updated_at.to_rfc3339(),
        campaign,
        form,
        errors: Errors::default(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EditQuery {
    place: Option<i16>,
}

/// The form of a new text, or of the one at a place.
async fn edit(
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<CampaignId>,
    Query(query): Query<EditQuery>,
) -> Answer {
    let campaign = campaign::get(&mut db, id).await?;
    if campaign.status != Status::Draft {
        let said = format!("{}: los textos por rubro ya no cambian.", campaign.status.why_fixed());
        return Ok(Flash::plain(said).to(&page_of(id)));
    }
    if !variants::plan(&mut db, id).await?.variants.is_empty() {
        let said = "La campaña compara varios textos: quítalos para tener uno por rubro.";
        return Ok(Flash::plain(said).to(&page_of(id)));
    }
    let form = match query.place {
        None => TextForm::default(),
        Some(place) => {
            let text = own_texts::of(&mut db, id).await?.into_iter().find(|it| it.place == place);
            let OwnText { industry, words, .. } = text.ok_or(Error::NotFound)?;
            TextForm { industry, subject: words.subject, opening: words.opening, seen: None }
        }
    };
    html::page(&page(&mut db, shell, campaign, query.place, form).await?)
}

async fn add(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Path(id): Path<CampaignId>,
    Form(form): Form<TextForm>,
) -> Answer {
    save(&state, &actor, shell, id, None, form).await
}

async fn change(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    shell: Shell,
    Path((id, place)): Path<(CampaignId, i16)>,
    Form(form): Form<TextForm>,
) -> Answer {
    save(&state, &actor, shell, id, Some(place), form).await
}

async fn save(
    state: &AppState,
    actor: &Actor,
    shell: Shell,
    id: CampaignId,
    place: Option<i16>,
    form: TextForm,
) -> Answer {
    let now = state.clock.now();
    let mut tx = state.db.begin().await?;
    let seen = form.seen.as_ref().map(|it| it.parse::<DateTime<Utc>>().unwrap_or_default());
    let held = campaign::hold(&mut tx, id, seen).await;
    let campaign = campaign::get(&mut tx, id).await?;
    let mut form = form;
    if let Some(place) = place {
        // Whose text it is does not change: a removed one is not written again under another name.
        let text = own_texts::of(&mut tx, id).await?.into_iter().find(|it| it.place == place);
        form.industry = text.ok_or(Error::NotFound)?.industry;
    }
    let (industry, words) = (form.industry.as_str(), form.words());
    // Of a campaign that was started meanwhile, that is told.
    let result = match held {
        Err(wrong) if campaign.status == Status::Draft => Err(wrong),
        _ if place.is_some() => own_texts::put(&mut tx, now, actor, id, industry, &words).await,
        _ => own_texts::add(&mut tx, now, actor, id, industry, &words).await,
    };
    match result {
        Ok(()) => {
            tx.commit().await?;
            let said = format!("Guardado. Quienes son del rubro «{industry}» reciben ese texto.");
            Ok(Flash::good(said).to(&list_of(id)))
        }
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&list_of(id))),
        Err(error) => {
            tx.rollback().await?;
            let errors = Errors::from_error(error)?;
            let mut db = state.db.acquire().await?;
            let campaign = campaign::get(&mut db, id).await?;
            html::invalid(&TextPage { errors, ..page(&mut db, shell, campaign, place, form).await? })
        }
    }
}

async fn remove(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path((id, place)): Path<(CampaignId, i16)>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    match own_texts::remove(&mut tx, state.clock.now(), &actor, id, place).await {
        Ok(removed) => {
            tx.commit().await?;
            let said = format!(
                "Quitado. Quienes son del rubro «{}» reciben el texto de la campaña.",
                removed.industry
            );
            let undo = format!("/campaigns/{id}/own-texts/{place}/back?took={}", removed.said);
            Ok(Flash::good(said).undo(undo).to(&list_of(id)))
        }
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(&list_of(id))),
        Err(error) => Err(error.into()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BackQuery {
    /// What the removal took that is undone.
    took: String,
}

async fn put_back(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path((id, place)): Path<(CampaignId, i16)>,
    Query(query): Query<BackQuery>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = own_texts::put_back(&mut tx, state.clock.now(), &actor, id, (place, &query.took)).await;
    let said = match &done {
        Ok(industry) => {
            tx.commit().await?;
            format!("Vuelve a estar. Quienes son del rubro «{industry}» reciben ese texto.")
        }
        Err(_) => String::new(),
    };
    done_or_refused(done.map(drop), Flash::good(said), &list_of(id))
}
