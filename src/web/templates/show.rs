//! One template: how it reads, its versions, what can be done with it.

use super::{
    Flash, Form, Shell,
    campaigns_letter::{self, Tried},
    filters,
    html::{self, Answer},
    links,
    measure::Measured,
    people::Wanted,
};
use crate::{
    access::Actor,
    campaigns::link_review::Review,
    channels::Channel,
    contacts::named::{self, Named},
    error::{Error, Result},
    ids::{ContactId, LibraryId, TemplateId},
    messaging::{
        library::{self, Entry, Version},
        runnable::{self, Lost},
        template::Source,
        values::VARIABLES,
        versions,
        whatsapp::{self, Approval},
    },
    state::AppState,
};
use askama::Template;
use axum::extract::{Path, Query, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "templates/show.html")]
struct ShowPage {
    shell: Shell,
    entry: Entry,
    versions: Vec<Version>,
    /// The version that is shown.
    shown: TemplateId,
    contacts: Vec<Named>,
    contact: Option<ContactId>,
    wanted: Wanted,
    tried: Tried,
    /// How long a text message is.
    measured: Option<Measured>,
    /// The links of the version in force.
    review: Review,
    /// The text that is shown, as it was written.
    source: Source,
    now: DateTime<Utc>,
}

impl ShowPage {
    /// What of the text is lost on the way.
    fn lost(&self) -> Vec<Lost> {
        runnable::lost(&self.source)
    }

    fn height(&self) -> String {
        campaigns_letter::height(Some(&self.tried))
    }

    fn is(&self, channel: Channel) -> bool {
        self.entry.draft.channel == channel
    }

    /// What stands for a variable of Meta's, as people read it.
    fn datum(name: &str) -> &str {
        VARIABLES.iter().find(|it| it.name == name).map_or(name, |it| it.label)
    }

    fn language(code: &str) -> &str {
        whatsapp::LANGUAGES.iter().find(|it| it.0 == code).map_or(code, |it| it.1)
    }

    fn is_shown(&self, id: TemplateId) -> bool {
        self.shown == id
    }
}

/// Which version, and for whom.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Reader {
    version: String,
    contact: String,
}

impl Reader {
    fn contact(&self) -> Option<ContactId> {
        self.contact.parse().ok().map(ContactId)
    }

    /// The version that is asked for, if it is one of `versions`; else the one in force.
    fn version(&self, entry: &Entry, versions: &[Version]) -> TemplateId {
        let asked = self.version.parse().ok().map(TemplateId);
        asked.filter(|it| versions.iter().any(|version| version.template == *it)).unwrap_or(entry.template)
    }
}

async fn read(
    state: &AppState,
    id: LibraryId,
    reader: &Reader,
) -> Result<(Entry, Vec<Version>, TemplateId, Source)> {
    let mut db = state.db.acquire().await?;
    let entry = library::get(&mut db, id).await?;
    let versions = library::versions(&mut *db, id).await?;
    let shown = reader.version(&entry, &versions);
    let (source, _) = versions::version(&mut db, shown).await?;
    Ok((entry, versions, shown, source))
}

pub(super) async fn show(
    State(state): State<AppState>,
    shell: Shell,
    Path(id): Path<LibraryId>,
    Query(reader): Query<Reader>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let (entry, versions, shown, source) = read(&state, id, &reader).await?;
    let mut contacts = wanted.found(&state).await?;
    let found = contacts.first().map(|it| it.id);
    let contact = if wanted.is_new() { found } else { reader.contact() };
    if let Some(id) = contact.filter(|id| contacts.iter().all(|it| it.id != *id)) {
        contacts.extend(named::named(&mut *state.db.acquire().await?, &[id.0]).await?);
    }
    let channel = entry.draft.channel;
    let tried = campaigns_letter::fill_for(&state, channel, &source, contact).await?;
    let measured = Measured::of(&state, channel, &source, &tried).await?;
    let review = links::known(&state, &entry.draft.source).await?;
    let now = state.clock.now();
    html::page(&ShowPage {
        shell,
        entry,
        versions,
        shown,
        contacts,
        contact,
        wanted,
        tried,
        measured,
        review,
        source,
        now,
    })
}

/// The letter itself, for the frame.
pub(super) async fn letter(
    State(state): State<AppState>,
    Path(id): Path<LibraryId>,
    Query(reader): Query<Reader>,
) -> Answer {
    let (_, _, _, source) = read(&state, id, &reader).await?;
    Ok(campaigns_letter::frame(&campaigns_letter::fill(&state, &source, reader.contact()).await?))
}

pub(super) async fn copy(State(state): State<AppState>, actor: Actor, Path(id): Path<LibraryId>) -> Answer {
    let mut tx = state.db.begin().await?;
    match library::copy(&mut tx, state.clock.now(), &actor, &state.config, id).await {
        Ok(copy) => {
            tx.commit().await?;
            Ok(Flash::good("Esta es la copia. Cámbiale el nombre y lo que quieras.")
                .to(&format!("/templates/{copy}/edit")))
        }
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            Ok(Flash::bad(format!("No se copió. {}", said.join(" "))).to(&format!("/templates/{id}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The version to go back to.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct VersionForm {
    version: String,
}

/// An earlier version's words in force again, as a version of their own.
pub(super) async fn return_to(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<LibraryId>,
    Form(form): Form<VersionForm>,
) -> Answer {
    let version = TemplateId(form.version.parse().map_err(|_| Error::NotFound)?);
    let mut tx = state.db.begin().await?;
    let now = state.clock.now();
    let page = format!("/templates/{id}");
    match library::return_to(&mut tx, now, &actor, &state.config, id, version).await {
        Ok(Some(number)) => {
            tx.commit().await?;
            let text = format!(
                "El texto de antes rige de nuevo, como versión {number}. Las campañas y mensajes que ya usan la plantilla no cambian."
            );
            Ok(Flash::good(text).to(&page))
        }
        Ok(None) => Ok(Flash::plain("Ese texto es el que ya rige. No se cambió nada.").to(&page)),
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            let text = format!("No se volvió a esa versión. {}", said.join(" "));
            Ok(Flash::bad(text).to(&format!("{page}?version={version}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// What Meta said, of which version.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ApprovalForm {
    version: String,
    approval: String,
}

pub(super) async fn approve(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<LibraryId>,
    Form(form): Form<ApprovalForm>,
) -> Answer {
    let version = TemplateId(form.version.parse().map_err(|_| Error::NotFound)?);
    let approval = Approval::from_code(&form.approval).ok_or(Error::NotFound)?;
    let mut tx = state.db.begin().await?;
    library::approve(&mut tx, state.clock.now(), &actor, id, version, approval).await?;
    tx.commit().await?;
    Ok(Flash::good("Anotado.").to(&format!("/templates/{id}")))
}

pub(super) async fn archive(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<LibraryId>,
) -> Answer {
    put_away(&state, &actor, id, true).await?;
    Ok(Flash::good("Plantilla archivada: ya no se ofrece. Lo que la usa no cambia.")
        .undo(format!("/templates/{id}/archive?_method=DELETE"))
        .to("/templates"))
}

pub(super) async fn restore(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<LibraryId>,
) -> Answer {
    let page = format!("/templates/{id}");
    match put_away(&state, &actor, id, false).await {
        Ok(()) => Ok(Flash::good("La plantilla vuelve a ofrecerse.").to(&page)),
        Err(Error::Invalid(wrong)) => {
            let said: Vec<String> = wrong.into_iter().map(|it| it.message).collect();
            Ok(Flash::bad(format!("Sigue archivada. {}", said.join(" "))).to(&page))
        }
        Err(error) => Err(error.into()),
    }
}

async fn put_away(state: &AppState, actor: &Actor, id: LibraryId, away: bool) -> Result<()> {
    let mut tx = state.db.begin().await?;
    library::archive(&mut tx, state.clock.now(), actor, id, away).await?;
    tx.commit().await?;
    Ok(())
}
