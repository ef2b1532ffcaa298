//! The connection that answers a request: taken once, for who asks and for the page itself. Whenever one
//! goes back to the pool it is asked first whether it still lives, and that costs as much as a small statement.

use super::error::WebError;
use crate::{error::Error, state::AppState};
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
}

/// The connection of a request, for its handler.
pub(super) struct Db(pub PoolConnection<Postgres>);

impl FromRequestParts<AppState> for Db {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Db, WebError> {
        let waiting = parts.extensions.get::<Waiting>().and_then(|it| it.place().take());
        Ok(Db(match waiting {
            Some(it) => it,
            None => state.db.acquire().await.map_err(Error::from)?,
        }))
    }
}
