//! What every request handler and job can reach.

use crate::{
    channels::Senders,
    clock::Clock,
    config::Config,
    deliverability::{Doctor, links::Visitor},
    messaging::tracking::Hits,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Cheap to clone: handles only.
#[derive(Clone)]
pub struct AppState {
    /// Postgres.
    pub db: sqlx::PgPool,
    /// What the environment says.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Providers by channel.
    pub senders: Senders,
    /// Openings and clicks that wait to be written down.
    pub hits: Hits,
    /// Who asks the DNS about the sender's domain.
    pub doctor: Arc<Doctor>,
    /// Who asks whether links open.
    pub visitor: Arc<Visitor>,
    /// Cancelled when the program is to stop: what is in hand is finished, nothing new is begun.
    pub stop: CancellationToken,
}
