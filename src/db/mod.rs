//! Postgres: the pool, the migrations and the ways to hold a connection.

pub mod keyset;
pub mod embedded;

use crate::error::{Error, Result};
use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

/// An open transaction. A function that takes `&mut Tx` must share its
/// caller's fate; one that takes `&mut PgConnection` may run on its own.
pub type Tx<'t> = sqlx::Transaction<'t, sqlx::Postgres>;

/// The migrations of this build, in order.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Classes of two-key advisory locks, so that no two uses share a number.
pub mod locks {
    /// One drip at a time for each channel; the second key is the channel.
    pub const DRIP: i32 = 1;
    /// Held by the process of a drip run for as long as it lives; the second key is the run's id.
    pub const DRIP_RUN: i32 = 2;
    /// Held by the process that works on an import; the second key is the import's id.
    pub const IMPORT: i32 = 3;
    /// Held while a page of messages is decided under a daily cap.
    pub const DAILY_CAP: i32 = 5;
    /// Held by the process of a job's run for as long as it lives; the second key is the run's id.
    pub const JOB: i32 = 4;
    /// Held while a segment is saved: two saved at once could ask about each other.
    pub const SEGMENTS: i32 = 6;

    /// Held while the events of messages are sealed.
    pub const EVIDENCE: i32 = 7;
    /// Held while openings and clicks are told.
    pub const TRACKING: i32 = 8;
    /// Held while a mailing is asked for; the second key is what its form carries.
    pub const MAILING: i32 = 9;

    /// Held while it is decided whether the month's budget bears another proposal of texts.
    pub const COPY_BUDGET: i32 = 11;
    /// Held by the process that waits for a provider's answer; the second key is the call's id.
    pub const COPY_CALL: i32 = 12;

    /// The second key for the row `id`: advisory locks take 32 bits, and rows that are
    /// locked at once never stand four thousand million apart.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wrapping is what is meant")]
    pub fn key(id: i64) -> i32 {
        id as i32
    }
}

/// A connection that rested this long is asked whether it still lives before it is used: asking each time costs as much
/// as what is asked.
const RESTED: Duration = Duration::from_secs(1);

/// A pool of at most `size` connections to `options`.
///
/// # Errors
/// When the server can't be reached within ten seconds.
pub async fn connect(options: PgConnectOptions, size: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // Compiling a plan takes longer than any of our statements. Staged rows of an import shouldn't go through the
        // disk, and a connection takes room for them only before its first temporary table, whoever made that.
        .connect_with(
            options.application_name("llovizna").options([("jit", "off"), ("temp_buffers", "64MB")]),
        )
        .await?)
}

/// Bring the schema up to this build. Several processes may call it at once.
///
/// # Errors
/// When a migration fails, or the database is newer than this build.
pub async fn migrate(db: &PgPool) -> Result<()> {
    match MIGRATIONS.run(db).await {
        Ok(()) => Ok(()),
        Err(sqlx::migrate::MigrateError::VersionMissing(_)) => Err(Error::refused(
            "La base de datos es de una versión más nueva que este programa. No se cambió nada: instala la versión nueva.",
        )),
        Err(sqlx::migrate::MigrateError::Execute(error)) => Err(error.into()),
        Err(error) => Err(Error::Internal(format!("migration failed: {error}"))),
    }
}

/// Whether the schema is this build's, or a newer one's.
pub async fn is_migrated(db: &PgPool) -> bool {
    let newest = MIGRATIONS.iter().map(|it| it.version).max().unwrap_or_default();
    sqlx::query_scalar::<_, Option<i64>>("select max(version) from _sqlx_migrations where success")
        .fetch_one(db)
        .await
        .is_ok_and(|it| it.is_some_and(|version| version >= newest))
}
