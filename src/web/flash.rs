//! What the next page says once: "Guardado", with a way back where there is one.

use super::error::WebError;
use crate::{
    accounts::session,
    error::{Error, Result},
    state::AppState,
};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// How it is meant: icon and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Tone {
    /// It was done.
    Good,
    /// It was not done, or only in part.
    Bad,
    /// For information.
    Plain,
}

/// A notice for the next page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Flash {
    /// How it is meant.
    pub tone: Tone,
    /// What it says.
    pub text: String,
    /// Where a POST takes it back.
    pub undo: Option<String>,
    /// Where to look at what was done: words and path.
    #[serde(default)]
    pub link: Option<(String, String)>,
}

impl Flash {
    /// It was done.
    pub(super) fn good(text: impl Into<String>) -> Flash {
        Flash { tone: Tone::Good, text: text.into(), undo: None, link: None }
    }

    /// It was not done.
    pub(super) fn bad(text: impl Into<String>) -> Flash {
        Flash { tone: Tone::Bad, text: text.into(), undo: None, link: None }
    }

    /// Something to know.
    pub(super) fn plain(text: impl Into<String>) -> Flash {
        Flash { tone: Tone::Plain, text: text.into(), undo: None, link: None }
    }

    /// With a button "Deshacer" that POSTs to `path`.
    pub(super) fn undo(self, path: impl Into<String>) -> Flash {
        Flash { undo: Some(path.into()), ..self }
    }

    /// With a link to what was done.
    pub(super) fn link(self, words: &str, path: impl Into<String>) -> Flash {
        Flash { link: Some((words.to_owned(), path.into())), ..self }
    }

    /// Go to `path` and say it there (303).
    pub(super) fn to(self, path: &str) -> Response {
        let mut response = Redirect::to(path).into_response();
        response.extensions_mut().insert(self);
        response
    }

    /// Bootstrap's name of the colour.
    pub(super) fn class(&self) -> &'static str {
        match self.tone {
            Tone::Good => "success",
            Tone::Bad => "danger",
            Tone::Plain => "info",
        }
    }

    /// The icon.
    pub(super) fn icon(&self) -> &'static str {
        match self.tone {
            Tone::Good => "circle-check",
            Tone::Bad => "alert-circle",
            Tone::Plain => "info-circle",
        }
    }
}

/// Say `done` at `path`; a refusal is said there too, instead of on a page of its own.
pub(super) fn done_or_refused(result: Result<()>, done: Flash, path: &str) -> Result<Response, WebError> {
    match result {
        Ok(()) => Ok(done.to(path)),
        Err(Error::Refused(sentence)) => Ok(Flash::bad(sentence).to(path)),
        Err(error) => Err(error.into()),
    }
}

/// Whether the page at hand showed the notice.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(Arc<AtomicBool>);

impl Shown {
    pub(super) fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keep the response's notice for the next page; forget the one that was shown.
pub(super) async fn settle(state: &AppState, session: i64, shown: &Shown, response: &mut Response) {
    let fresh = response.extensions_mut().remove::<Flash>();
    let kept = match fresh {
        Some(flash) => serde_json::to_value(flash).ok(),
        None if shown.0.load(Ordering::Relaxed) => None,
        None => return,
    };
    // A lost notice is not worth failing what was done.
    if let Err(error) = session::set_notice(&state.db, session, kept).await {
        tracing::warn!(error = %error, "Could not keep a notice");
    }
}
