//! What becomes of the people of a written import: the basis that is declared for them, and the list that they make.

use super::{
    flash::{Flash, done_or_refused},
    form::Form,
    html::Answer,
    routes::Route,
};
use crate::{
    access::{Actor, Permission},
    channels::Channel,
    chile::{format::count, time},
    error::{Error, Result},
    ids::ImportId,
    imports::{
        self, Consent, people,
        permission::{self, Declared},
    },
    state::AppState,
};
use axum::extract::{Extension, Path, State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::time::Duration;

/// As long as writing a large file may take.
const LONG: Duration = Duration::from_mins(5);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/imports/{id}/permission", Permission::DeclareBasis, declare).within(LONG),
        Route::post("/imports/{id}/list", Permission::EditContacts, keep_as_list).within(LONG),
    ]
}

/// A basis as it is typed beside an import.
#[expect(clippy::struct_field_names, reason = "they bear the names of the form's fields")]
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ConsentForm {
    consent_basis: String,
    consent_source: String,
    consent_obtained_on: String,
    consent_email: String,
    consent_sms: String,
    consent_whatsapp: String,
}

impl ConsentForm {
    /// What was typed. A few fields beside the whole import: what is wrong is said on the page itself, as a refusal.
    pub(super) fn parse(&self, now: DateTime<Utc>) -> Result<Option<Consent>> {
        let today = time::local_date(now);
        let ticked = [&self.consent_email, &self.consent_sms, &self.consent_whatsapp];
        let channels = ticked_channels(ticked.map(|it| !it.is_empty()));
        match Consent::parse(
            &self.consent_basis,
            &self.consent_source,
            &self.consent_obtained_on,
            &channels,
            today,
        ) {
            Err(Error::Invalid(fields)) => {
                let said: Vec<String> = fields.into_iter().map(|it| it.message).collect();
                Err(Error::refused(said.join(" ") + " No se cambió nada."))
            }
            parsed => parsed,
        }
    }
}

/// The names of the boxes, in the order of [`Channel::ALL`].
pub(super) const BOXES: [&str; 3] = ["consent_email", "consent_sms", "consent_whatsapp"];

/// The boxes of a form: name, label, ticked.
pub(super) fn boxes(ticked: [bool; 3]) -> Vec<(&'static str, &'static str, bool)> {
    let labels = Channel::ALL.into_iter().map(Channel::label);
    BOXES.into_iter().zip(labels).zip(ticked).map(|((name, label), ticked)| (name, label, ticked)).collect()
}

/// The channels of a form's boxes, in the order of [`Channel::ALL`].
pub(super) fn ticked_channels(ticked: [bool; 3]) -> Vec<Channel> {
    Channel::ALL.into_iter().zip(ticked).filter(|it| it.1).map(|it| it.0).collect()
}

async fn declare(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
    Form(form): Form<ConsentForm>,
) -> Answer {
    let now = state.clock.now();
    let page = format!("/imports/{id}");
    let stated = form
        .parse(now)
        .and_then(|it| it.ok_or_else(|| Error::refused("Elige la base legal. No se cambió nada.")));
    let consent = match stated {
        Ok(it) => it,
        Err(error) => return done_or_refused(Err(error), Flash::plain(""), &format!("{page}#permission")),
    };
    let mut tx = state.db.begin().await?;
    match permission::declare(&mut tx, now, &actor, id, &consent).await {
        Ok(declared) => {
            tx.commit().await?;
            Ok(Flash::good(told(declared)).to(&page))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(""), &page),
    }
}

fn told(it: Declared) -> String {
    let permitted = count(
        it.permitted,
        "persona de este archivo ya puede recibir promociones",
        "personas de este archivo ya pueden recibir promociones",
    );
    let left = count(
        it.left,
        "queda sin permiso, porque dijo que no, está excluida o no tiene cómo recibirlas por ahí",
        "quedan sin permiso, porque dijeron que no, están excluidas o no tienen cómo recibirlas por ahí",
    );
    if it.left > 0 { format!("{permitted}; {left}.") } else { format!("{permitted}.") }
}

async fn keep_as_list(
    State(state): State<AppState>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<ImportId>,
) -> Answer {
    let page = format!("/imports/{id}");
    let mut tx = state.db.begin().await?;
    let import = imports::get(&mut *tx, id).await?;
    if let Some(list) = people::kept_list(&mut *tx, &import).await? {
        let flash = Flash::plain("Ya están en una lista.").link("Ver la lista", format!("/lists/{list}"));
        return Ok(flash.to(&page));
    }
    match people::keep_as_list(&mut tx, state.clock.now(), &actor, &import).await {
        Ok((list, added)) => {
            tx.commit().await?;
            let added = count(i64::try_from(added).unwrap_or(i64::MAX), "persona quedó", "personas quedaron");
            let flash = Flash::good(format!("{added} en una lista nueva."));
            Ok(flash.link("Ver la lista", format!("/lists/{list}")).to(&page))
        }
        Err(error) => done_or_refused(Err(error), Flash::plain(""), &page),
    }
}
