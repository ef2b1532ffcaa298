//! One template: how it reads, its versions, what can be done with it.

use super::{
    Flash, Shell,
    campaigns_letter::{self, Tried},
    filters,
    html::{self, Answer},
};
use crate::{
    access::Actor,
    contacts::{contact_list::Filter, named::Named},
    error::{Error, Result},
    ids::{ContactId, LibraryId, TemplateId},
    mailings,
    messaging::{
        library::{self, Entry, Version},
        template::Source,
        versions,
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
    tried: Tried,
    now: DateTime<Utc>,
}

impl ShowPage {
    fn height(&self) -> String {
        campaigns_letter::height(Some(&self.tried))
    }

    fn is_for(&self, id: ContactId) -> bool {
        self.contact == Some(id)
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
) -> Answer {
    let (entry, versions, shown, source) = read(&state, id, &reader).await?;
    let contact = reader.contact();
    let tried = campaigns_letter::fill(&state, &source, contact).await?;
    let mut db = state.db.acquire().await?;
    let contacts = mailings::first_of(&mut db, state.clock.now(), &Filter::default()).await?;
    html::page(&ShowPage { shell, entry, versions, shown, contacts, contact, tried, now: state.clock.now() })
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
    put_away(&state, &actor, id, false).await?;
    Ok(Flash::good("La plantilla vuelve a ofrecerse.").to(&format!("/templates/{id}")))
}

async fn put_away(state: &AppState, actor: &Actor, id: LibraryId, away: bool) -> Result<()> {
    let mut tx = state.db.begin().await?;
    library::archive(&mut tx, state.clock.now(), actor, id, away).await?;
    tx.commit().await?;
    Ok(())
}
