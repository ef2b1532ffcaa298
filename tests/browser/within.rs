//! The program within the process of the test, for what has to be put into its hands: the time, and where hosts are.

use crate::app::{ADMIN, database};
use chrono::{TimeZone as _, Utc};
use llovizna::{
    accounts::setup,
    campaigns::drip,
    channels::{Channel, Senders, outbox::Outbox},
    clock::Clock,
    config::Config,
    deliverability::{
        Doctor,
        links::{Addresses, Finding, Visitor},
    },
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
        tracking::Hits,
    },
    state::AppState,
    web,
};
use sqlx::PgPool;
use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A program that answers as long as the test lasts.
pub(crate) struct Within {
    /// Where it is reached, without the final slash.
    pub(crate) url: String,
    /// Its database and its clock, which stands at noon of Monday 23 November 2026 in Chile.
    pub(crate) state: AppState,
}

/// An internet without hosts.
pub(crate) struct Nowhere;

impl Addresses for Nowhere {
    fn of<'a>(&'a self, _: &'a str) -> Finding<'a> {
        Box::pin(async { Err(io::Error::other("no such host")) })
    }
}

impl Within {
    /// Start it, with `addresses` to find hosts by.
    pub(crate) async fn start(addresses: impl Addresses + 'static) -> Within {
        Within::start_with(addresses, Doctor::new(None)).await
    }

    /// Start it, with a `doctor` who knows what the DNS says too.
    pub(crate) async fn start_with(addresses: impl Addresses + 'static, doctor: Doctor) -> Within {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let db = PgPool::connect(&database().await).await.unwrap();
        let config = Config::read(|name| {
            let value = match name {
                "PUBLIC_URL" => &url,
                "SECRET_KEY" => "a secret of the tests, 32 bytes or more",
                "ADMIN_EMAIL" => ADMIN.0,
                "ADMIN_PASSWORD" => ADMIN.1,
                "BUSINESS_NAME" => "Tinajas del Sur SpA",
                "BUSINESS_ADDRESS" => "Avenida Alemania 451, Los Ángeles",
                "BUSINESS_EMAIL" => "hola@tinajasdelsur.cl",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let senders: Senders =
            Arc::new(HashMap::from([(Channel::Email, Arc::new(Outbox::new(db.clone())) as _)]));
        let state = AppState {
            db,
            config: Arc::new(config.unwrap()),
            clock: Clock::fixed(Utc.with_ymd_and_hms(2026, 11, 23, 15, 0, 0).unwrap()),
            senders,
            hits: Hits::default(),
            doctor: Arc::new(doctor),
            visitor: Arc::new(Visitor::new(Arc::new(addresses))),
            stop: CancellationToken::new(),
        };
        setup::ensure_first_admin(&state.db, state.clock.now(), &state.config).await.unwrap();
        let router = web::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Within { url, state }
    }

    /// One run of the drip, at the time that its clock shows.
    pub(crate) async fn drip(&self) -> drip::RunReport {
        let AppState { db, senders, config, clock, .. } = self.state.clone();
        let options = Options::new(Channel::Email, Trigger::Scheduler);
        drip::run_once(&Engine { db, senders, config, clock }, &options).await.unwrap()
    }

    /// The one value that `query` finds in its database.
    pub(crate) async fn one<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query).fetch_one(&self.state.db).await.unwrap()
    }
}
