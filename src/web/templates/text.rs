//! The editor of a text for telephones: an SMS with its parts and their cost, a WhatsApp text with Meta's variables.

use super::{
    Errors, Shell,
    campaigns_letter::{self, Tried},
    html::{self, Answer},
    measure::Measured,
    people::Wanted,
    typed::Typed,
};
use crate::{
    channels::Channel,
    contacts::named::Named,
    error::Result,
    messaging::{
        library::Kind,
        values::VARIABLES,
        whatsapp::{Category, LANGUAGES},
    },
    state::AppState,
};
use askama::Template;
use axum::response::IntoResponse as _;

#[derive(Template)]
#[template(path = "templates/text.html", blocks = ["text", "variables", "measure"])]
struct TextPage {
    shell: Shell,
    typed: Typed,
    errors: Errors,
    contacts: Vec<Named>,
    tried: Tried,
    measured: Option<Measured>,
}

impl TextPage {
    async fn load(state: &AppState, shell: Shell, typed: Typed, errors: Errors) -> Result<TextPage> {
        let contacts = Wanted::default().found(state).await?;
        Ok(TextPage { errors, contacts, ..TextPage::bare(state, shell, typed).await? })
    }

    /// Without the people to try it on.
    async fn bare(state: &AppState, shell: Shell, typed: Typed) -> Result<TextPage> {
        let draft = &typed.draft;
        let tried = campaigns_letter::fill_for(state, draft.channel, &draft.source, typed.contact).await?;
        let measured = Measured::of(state, draft.channel, &draft.source, &tried).await?;
        Ok(TextPage { shell, typed, errors: Errors::default(), contacts: Vec::new(), tried, measured })
    }

    fn is_sms(&self) -> bool {
        self.typed.draft.channel == Channel::Sms
    }
}

/// The whole form; with the errors in it, if there are any.
pub(super) async fn page(state: &AppState, shell: Shell, typed: Typed, errors: Errors) -> Answer {
    let is_invalid = errors.any();
    let page = TextPage::load(state, shell, typed, errors).await?;
    if is_invalid { html::invalid(&page) } else { html::page(&page) }
}

/// The part of the form that a button or the words themselves changed.
pub(super) async fn built(state: &AppState, shell: Shell, typed: Typed) -> Answer {
    let page = TextPage::bare(state, shell, typed).await?;
    let part = if page.is_sms() { html::page(&page.as_text()) } else { html::page(&page.as_variables()) }?;
    Ok(([("hx-trigger-after-settle", "built")], part).into_response())
}

/// The text as typed, filled for one person, and how long it is. Writes nothing.
pub(super) async fn preview(state: &AppState, shell: Shell, typed: Typed) -> Answer {
    html::page(&TextPage::bare(state, shell, typed).await?.as_measure())
}
