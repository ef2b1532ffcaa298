//! The connection that answers a request: taken once, for who asks, for the frame and for the page itself. Whenever one
//! goes back to the pool it is asked first whether it still lives, and that costs as much as a small statement.

use super::error::WebError;
use crate::{error::Result, state::AppState};
use axum::{extract::FromRequestParts, http::request::Parts};
use sqlx::{Postgres, pool::PoolConnection};
use std::sync::{Arc, Mutex, PoisonError};

/// A connection that waits beside its request for who needs it next. It goes back to the pool with what the handler
/// leaves of the request, before the handler runs: nobody holds one here and waits for another.
#[derive(Clone)]
pub(super) struct Waiting(Arc<Mutex<Option<PoolConnection<Postgres>>>>);

impl Waiting {
    pub(super) fn new(db: PoolConnection<Postgres>) -> Waiting {
        Waiting(Arc::new(Mutex::new(Some(db))))
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<PoolConnection<Postgres>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(parts: &Parts) -> Option<PoolConnection<Postgres>> {
        parts.extensions.get::<Waiting>()?.place().take()
    }
}

/// The connection of a request, for the time that it is needed; [`give_back`] leaves it for the next.
///
/// # Errors
/// When the pool has none to give.
pub(super) async fn borrow(parts: &Parts, state: &AppState) -> Result<PoolConnection<Postgres>> {
    match Waiting::take(parts) {
        Some(it) => Ok(it),
        None => Ok(state.db.acquire().await?),
    }
}

/// Leave `db` for who needs it next of the same request, if there may be somebody.
pub(super) fn give_back(parts: &Parts, db: PoolConnection<Postgres>) {
    if let Some(waiting) = parts.extensions.get::<Waiting>() {
        *waiting.place() = Some(db);
    }
}

/// The connection of a request, for its handler. To be asked for after the frame, which needs it too.
pub(super) struct Db(pub PoolConnection<Postgres>);

impl FromRequestParts<AppState> for Db {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Db, WebError> {
        Ok(Db(borrow(parts, state).await?))
    }
}
