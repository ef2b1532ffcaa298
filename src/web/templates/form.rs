//! The editor of a template: its form, its blocks, its preview while it is written.

use super::{
    Errors, Flash, Form, Shell,
    campaigns_letter::{self, Tried},
    html::{self, Answer},
    people::Wanted,
    text,
    typed::Typed,
};
use crate::{
    access::Actor,
    channels::Channel,
    contacts::named::Named,
    error::{Error, FieldError, Result},
    ids::LibraryId,
    messaging::{
        blocks::{Block, BlockKind},
        library::{self, Draft, Kind},
        runnable::{self, Lost},
        template::{BodyFormat, Source},
    },
    state::AppState,
    web::connection::Db,
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
    response::IntoResponse as _,
};
use serde::Deserialize;

type Pairs = Vec<(String, String)>;

#[derive(Template)]
#[template(path = "templates/form.html", blocks = ["blocks", "preview"])]
struct FormPage {
    shell: Shell,
    typed: Typed,
    errors: Errors,
    contacts: Vec<Named>,
    tried: Option<Tried>,
}

impl FormPage {
    async fn load(state: &AppState, shell: Shell, typed: Typed, errors: Errors) -> Result<FormPage> {
        let contacts = Wanted::default().found(state).await?;
        Ok(FormPage { contacts, ..FormPage::part(shell, typed, errors) })
    }

    /// Without what only the whole page shows.
    fn part(shell: Shell, typed: Typed, errors: Errors) -> FormPage {
        FormPage { shell, typed, errors, contacts: Vec::new(), tried: None }
    }

    /// The class that tells how tall the letter's frame is.
    fn height(&self) -> String {
        campaigns_letter::height(self.tried.as_ref())
    }

    fn is(&self, format: &str) -> bool {
        self.typed.draft.source.body_format.code() == format
    }

    /// Each block with its place.
    fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        self.typed.blocks.iter().enumerate()
    }

    fn takes_focus(&self, at: usize) -> bool {
        self.typed.focused == Some(at)
    }

    /// What of the body is lost on the way.
    fn lost(&self) -> Vec<Lost> {
        runnable::lost(&self.typed.looked_at())
    }

    /// The block that `fault` is about, by its place; none: none alone.
    fn block_of(&self, fault: &FieldError) -> Option<usize> {
        fault.part.filter(|at| fault.field == "body" && self.is("BLOCKS") && *at < self.typed.blocks.len())
    }

    /// What is wrong, each with the part of the form that it leads to.
    fn summed(&self) -> Summed<'_> {
        let led = |it: &FieldError| match self.block_of(it) {
            Some(at) => format!("block-{}", at + 1),
            None if it.field == "body" && self.is("BLOCKS") => "blocks".to_owned(),
            None => it.field.to_owned(),
        };
        Summed(self.errors.iter().map(|it| Fault { field: led(it), message: &it.message }).collect())
    }

    /// What is wrong with the block at `at`; none: with the blocks as a whole.
    fn faults_of(&self, at: Option<usize>) -> Vec<&str> {
        let of_body = self.errors.iter().filter(|it| it.field == "body");
        of_body.filter(|it| self.block_of(it) == at).map(|it| it.message.as_str()).collect()
    }
}

/// A fault with the part of the form that it leads to.
struct Fault<'a> {
    field: String,
    message: &'a str,
}

/// What is wrong in the form, as its summary has it.
struct Summed<'a>(Vec<Fault<'a>>);

impl Summed<'_> {
    fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn iter(&self) -> std::slice::Iter<'_, Fault<'_>> {
        self.0.iter()
    }
}

/// A template of a kind, for a channel.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NewQuery {
    kind: String,
    channel: String,
}

/// The form that `typed` is written in, as its channel has it.
async fn page_of(state: &AppState, shell: Shell, typed: Typed, errors: Errors) -> Answer {
    let is_invalid = errors.any();
    if typed.draft.channel != Channel::Email {
        return text::page(state, shell, typed, errors).await;
    }
    let page = FormPage::load(state, shell, typed, errors).await?;
    if is_invalid { html::invalid(&page) } else { html::page(&page) }
}

pub(super) async fn new(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<NewQuery>,
) -> Answer {
    let kind = Kind::from_code(&query.kind).unwrap_or(Kind::Offer);
    let channel = Channel::from_code(&query.channel).unwrap_or(Channel::Email);
    let fresh = Draft { kind, ..Draft::new(channel) };
    if channel != Channel::Email {
        return page_of(&state, shell, Typed::of(fresh), Errors::default()).await;
    }
    let source =
        Source { body_format: BodyFormat::Blocks, footer: kind.footer().to_owned(), ..fresh.source.clone() };
    let typed = Typed {
        blocks: vec![Block::new(BlockKind::Title), Block::new(BlockKind::Text)],
        ..Typed::of(Draft { source, ..fresh })
    };
    page_of(&state, shell, typed, Errors::default()).await
}

pub(super) async fn edit(
    State(state): State<AppState>,
    shell: Shell,
    Db(mut db): Db,
    Path(id): Path<LibraryId>,
) -> Answer {
    let it = library::get(&mut db, id).await?;
    drop(db);
    let typed = Typed { id: Some(id), seen: it.updated_at.to_rfc3339(), ..Typed::of(it.draft) };
    page_of(&state, shell, typed, Errors::default()).await
}

pub(super) async fn create(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Form(pairs): Form<Pairs>,
) -> Answer {
    let typed = Typed { id: None, ..Typed::read(pairs) };
    let made = async {
        let mut tx = state.db.begin().await?;
        let id = library::create(&mut tx, state.clock.now(), &actor, &state.config, &typed.draft).await?;
        tx.commit().await?;
        Ok::<_, Error>(id)
    };
    match made.await {
        Ok(id) => {
            Ok(Flash::good("Guardamos la plantilla. Ya la puedes usar.").to(&format!("/templates/{id}")))
        }
        Err(error) => again(&state, shell, typed, error).await,
    }
}

pub(super) async fn update(
    State(state): State<AppState>,
    actor: Actor,
    shell: Shell,
    Path(id): Path<LibraryId>,
    Form(pairs): Form<Pairs>,
) -> Answer {
    let typed = Typed { id: Some(id), ..Typed::read(pairs) };
    let done = async {
        let mut tx = state.db.begin().await?;
        let (now, seen) = (state.clock.now(), typed.seen());
        library::update(&mut tx, now, &actor, &state.config, id, seen, &typed.draft).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    };
    match done.await {
        Ok(()) => {
            let text = "Guardado. Las campañas y mensajes que ya la usan no cambian.";
            Ok(Flash::good(text).to(&format!("/templates/{id}")))
        }
        Err(error) => again(&state, shell, typed, error).await,
    }
}

/// The form again, with what was typed and what is wrong.
async fn again(state: &AppState, shell: Shell, mut typed: Typed, error: Error) -> Answer {
    let errors = Errors::from_error(error)?;
    if errors.of("seen").is_some()
        && let Some(id) = typed.id
    {
        // They were told: the next time what they typed goes over what they saw.
        let mut db = state.db.acquire().await?;
        typed.seen = library::get(&mut db, id).await?.updated_at.to_rfc3339();
    }
    page_of(state, shell, typed, errors).await
}

/// What a button of the blocks does; the whole page where there is no script. Saves nothing.
pub(super) async fn build(
    State(state): State<AppState>,
    shell: Shell,
    headers: HeaderMap,
    Form(pairs): Form<Pairs>,
) -> Answer {
    let mut typed = Typed::read(pairs);
    typed.act();
    let is_part = headers.contains_key("hx-request");
    if typed.draft.channel != Channel::Email {
        return if is_part {
            text::built(&state, shell, typed).await
        } else {
            text::page(&state, shell, typed, Errors::default()).await
        };
    }
    if is_part {
        let block = html::page(&FormPage::part(shell, typed, Errors::default()).as_blocks())?;
        return Ok(([("hx-trigger-after-settle", "built")], block).into_response());
    }
    html::page(&FormPage::load(&state, shell, typed, Errors::default()).await?)
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PartQuery {
    part: String,
}

/// The text as typed, filled for one person: with `part=html` the message itself for the frame, else subject, plain
/// text and what is wrong. Writes nothing.
pub(super) async fn preview(
    State(state): State<AppState>,
    shell: Shell,
    Query(query): Query<PartQuery>,
    Form(pairs): Form<Pairs>,
) -> Answer {
    let typed = Typed::read(pairs);
    if typed.draft.channel != Channel::Email {
        return text::preview(&state, shell, typed).await;
    }
    let tried = campaigns_letter::fill(&state, &typed.looked_at(), typed.contact).await?;
    if query.part == "html" {
        return Ok(campaigns_letter::frame(&tried));
    }
    let page = FormPage { tried: Some(tried), ..FormPage::part(shell, typed, Errors::default()) };
    html::page(&page.as_preview())
}
