//! Writing a segment: the form with its builder, the count while one types, and
//! saving, removing and bringing back.

use super::{
    Shell,
    builder::{self, Line, Offer, Typed},
    filters,
    flash::{Flash, done_or_refused},
    form::{Errors, Form},
    html::{self, Answer},
};
use crate::{
    access::Actor,
    chile::time,
    contacts::{company::Outcome, company_list},
    error::{Error, Result},
    ids::SegmentId,
    segments::{
        members::{self, Member},
        rule::{Condition, Group},
        segment::{self, Kind},
        words::Names,
    },
    state::AppState,
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::IntoResponse as _,
};
use serde::Deserialize;
use sqlx::PgConnection;

/// People shown as examples.
const EXAMPLES: i64 = 20;

/// Whom the rule describes, as the form shows it while it is written.
#[derive(Default)]
struct Preview {
    sentence: String,
    /// None: counting takes too long.
    people: Option<i64>,
    examples: Vec<Member>,
    /// Conditions that are still to be completed.
    lacking: usize,
    /// What of them was written and can't be read.
    unread: Vec<String>,
    /// Whether there is no condition at all that can be counted by.
    is_bare: bool,
    /// Whether a group holds nothing.
    has_empty_group: bool,
}

#[derive(Template)]
#[template(path = "segments/form.html", blocks = ["builder", "preview"])]
struct FormPage {
    shell: Shell,
    id: Option<SegmentId>,
    name: String,
    saved_name: String,
    /// The version that the form was filled from.
    seen: i32,
    lines: Vec<Line>,
    campaigns: Vec<(i64, String)>,
    errors: Errors,
    preview: Preview,
}

async fn preview_of(db: &mut PgConnection, state: &AppState, rule: &Group) -> Result<Preview> {
    let now = state.clock.now();
    let today = time::local_date(now);
    let names = Names::load(db, [rule]).await?;
    let (complete, lacking) = rule.complete(today);
    let has_empty_group = rule.has_empty_group();
    let unread = rule.unread(today);
    // Without conditions there is nobody to tell: neither all nor none is what was meant.
    if complete.items.is_empty() {
        let preview = Preview { lacking, unread, is_bare: true, has_empty_group, ..Preview::default() };
        return Ok(preview);
    }
    let people = match members::count(db, now, &complete).await {
        // It is here that it can be mended.
        Err(Error::Refused(sentence)) => {
            return Ok(Preview { sentence, lacking, unread, has_empty_group, ..Preview::default() });
        }
        other => other?,
    };
    let examples = match people {
        None | Some(0) => Vec::new(),
        Some(_) => members::newest(db, now, &complete, None, EXAMPLES).await?.unwrap_or_default(),
    };
    Ok(Preview {
        sentence: names.sentence(&complete, today),
        people,
        examples,
        lacking,
        unread,
        is_bare: false,
        has_empty_group,
    })
}

/// The page of the form. With `errors`, each incomplete condition says what it lacks.
async fn page(state: &AppState, shell: Shell, typed: &Typed, errors: Errors) -> Result<FormPage> {
    let mut db = state.db.acquire().await?;
    let today = time::local_date(state.clock.now());
    let offer = Offer {
        names: Names::load(&mut db, [&typed.rule]).await?,
        industries: company_list::industries(&mut db).await?,
        own: typed.id,
    };
    let strict = errors.any();
    let say = |it: &Condition| {
        strict
            .then(|| Group::all([it.clone()]).problems(today).into_iter().next())
            .flatten()
            .map(|it| it.split_once("»: ").map_or_else(|| it.clone(), |(_, reason)| reason.to_owned()))
    };
    let id = typed.id.map(SegmentId);
    let saved_name = match id {
        Some(id) => segment::get(&mut *db, id).await?.name,
        None => String::new(),
    };
    Ok(FormPage {
        shell,
        id,
        name: typed.name.clone(),
        saved_name,
        seen: typed.seen,
        lines: offer.lines(&typed.rule, say),
        campaigns: offer.names.campaigns().into_iter().map(|(id, name)| (id, name.to_owned())).collect(),
        preview: preview_of(&mut db, state, &typed.rule).await?,
        errors,
    })
}

pub(super) async fn new(State(state): State<AppState>, shell: Shell) -> Answer {
    let first = Condition::new(crate::segments::field::Field::Lifecycle);
    let typed = Typed { rule: Group::all([first]), ..Typed::default() };
    html::page(&page(&state, shell, &typed, Errors::default()).await?)
}

pub(super) async fn edit(State(state): State<AppState>, shell: Shell, Path(id): Path<SegmentId>) -> Answer {
    let it = segment::get(&state.db, id).await?;
    if it.kind != Kind::Rule {
        let text =
            "Este segmento es automático: sus límites se cambian en los ajustes de segmentos de valor.";
        return Ok(Flash::plain(text).to(&format!("/segments/{id}")));
    }
    let typed = Typed { name: it.name, id: Some(id.0), seen: it.version, rule: it.rule, ..Typed::default() };
    html::page(&page(&state, shell, &typed, Errors::default()).await?)
}

/// What a button of the builder does; the whole page where there is no script.
pub(super) async fn build(
    State(state): State<AppState>,
    shell: Shell,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let mut typed = Typed::read(pairs);
    typed.act();
    let page = page(&state, shell, &typed, Errors::default()).await?;
    if headers.contains_key("hx-request") {
        let block = html::page(&page.as_builder())?;
        return Ok(([("hx-trigger-after-settle", "built")], block).into_response());
    }
    html::page(&page)
}

/// How many the rule describes as it stands. Writes nothing.
pub(super) async fn preview(
    State(state): State<AppState>,
    shell: Shell,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed::read(pairs);
    let mut db = state.db.acquire().await?;
    let preview = preview_of(&mut db, &state, &typed.rule).await?;
    let page = FormPage {
        shell,
        id: None,
        name: String::new(),
        saved_name: String::new(),
        seen: 0,
        lines: Vec::new(),
        campaigns: Vec::new(),
        errors: Errors::default(),
        preview,
    };
    html::page(&page.as_preview())
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed { id: None, ..Typed::read(pairs) };
    let mut tx = state.db.begin().await?;
    match segment::create(&mut tx, state.clock.now(), &actor, &typed.name, &typed.rule).await {
        Ok(id) => {
            tx.commit().await?;
            Ok(Flash::good("El segmento quedó guardado.").to(&format!("/segments/{id}")))
        }
        Err(error) => {
            tx.rollback().await?;
            again(&state, shell, &typed, error).await
        }
    }
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<SegmentId>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let typed = Typed { id: Some(id.0), ..Typed::read(pairs) };
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    match segment::update(&mut tx, now, &actor, id, typed.seen, &typed.name, &typed.rule).await {
        Ok(Outcome::Saved) => {
            tx.commit().await?;
            Ok(Flash::good("Guardado como una versión nueva.").to(&format!("/segments/{id}")))
        }
        Ok(Outcome::Unchanged) => {
            Ok(Flash::plain("No había nada que cambiar.").to(&format!("/segments/{id}")))
        }
        Ok(Outcome::Stale) => {
            let current = segment::get(&mut *tx, id).await?;
            tx.rollback().await?;
            let error = Error::invalid(
                "rule",
                format!(
                    "Mientras escribías, alguien guardó la versión {} de este segmento. Lo tuyo sigue aquí y aún no se \
                     guardó: míralo en la página del segmento, o guarda de nuevo para que lo tuyo sea la versión siguiente.",
                    current.version
                ),
            );
            // Saving again is then a choice made with open eyes.
            again(&state, shell, &Typed { seen: current.version, ..typed }, error).await
        }
        Err(error) => {
            tx.rollback().await?;
            again(&state, shell, &typed, error).await
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Return {
    /// The version that the page showed as the present one.
    seen: i32,
}

/// Give the segment the rule of an older version again.
pub(super) async fn go_back(
    State(state): State<AppState>,
    actor: Actor,
    Path((id, version)): Path<(SegmentId, i32)>,
    Form(form): Form<Return>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let done = segment::go_back(&mut tx, state.clock.now(), &actor, id, form.seen, version).await;
    let text = match &done {
        Ok(Outcome::Unchanged) => Flash::plain(format!("La regla ya es la de la versión {version}.")),
        _ => Flash::good(format!(
            "La regla vuelve a ser la de la versión {version}, guardada como versión nueva."
        )),
    };
    let done = match done {
        Ok(Outcome::Stale) => Err(Error::refused(
            "No se cambió nada: alguien guardó otra versión mientras mirabas esta página. Revísala y repite.",
        )),
        // A rule of then may ask for what is gone by now.
        Err(Error::Invalid(fields)) => Err(Error::refused(format!(
            "No se recuperó la versión {version}: {}",
            fields.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join(" ")
        ))),
        other => other.map(|_| ()),
    };
    if done.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(done, text, &format!("/segments/{id}"))
}

/// The form again, with what was typed and what is wrong.
async fn again(state: &AppState, shell: Shell, typed: &Typed, error: Error) -> Answer {
    let errors = Errors::from_error(error)?;
    html::invalid(&page(state, shell, typed, errors).await?)
}

pub(super) async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<SegmentId>) -> Answer {
    let mut tx = state.db.begin().await?;
    let name = segment::get(&mut *tx, id).await?.name;
    match segment::delete(&mut tx, state.clock.now(), &actor, id).await {
        Ok(()) => {
            tx.commit().await?;
            let done = Flash::good(format!("«{name}» quedó eliminado."));
            Ok(done.undo(format!("/segments/{id}/restoration")).to("/segments"))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(String::new()), &format!("/segments/{id}")),
    }
}

pub(super) async fn restore(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<SegmentId>,
) -> Answer {
    let mut tx = state.db.begin().await?;
    let result = segment::restore(&mut tx, state.clock.now(), &actor, id).await;
    if result.is_ok() {
        tx.commit().await?;
    }
    done_or_refused(result, Flash::good("El segmento volvió."), &format!("/segments/{id}"))
}

impl FormPage {
    /// The fields in their groups.
    fn groups() -> &'static [(&'static str, &'static [crate::segments::field::Field])] {
        builder::groups()
    }

    /// What came of messages: code and words.
    fn events() -> Vec<(&'static str, &'static str)> {
        crate::segments::field::Event::ALL.iter().map(|it| (it.code(), it.label())).collect()
    }
}
