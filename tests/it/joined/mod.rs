//! People who were joined, and their no: what holds for one holds for the other,
//! and what was told to the one that is left out reaches the one that stays.

mod apart;
mod consent;
mod files;
mod identity;
mod messages;
mod pages;
mod writes;

use crate::support::monday_noon;
use chrono::{DateTime, TimeDelta, Utc};
use llovizna::{access::Actor, channels::Channel, contacts::consent as ledger, ids::ContactId};
use sqlx::PgPool;

/// Some hours after everything was made.
fn later(hours: i64) -> DateTime<Utc> {
    monday_noon() + TimeDelta::hours(hours)
}

/// Somebody agrees to emails, at a fair in March.
async fn agree(db: &PgPool, who: ContactId, at: DateTime<Utc>) {
    let yes = ledger::Draft {
        communication_type: "EMAIL".to_owned(),
        basis: "CONSENT".to_owned(),
        source: "Feria de Osorno".to_owned(),
        obtained_on: "2026-03-05".to_owned(),
    };
    let mut tx = db.begin().await.unwrap();
    ledger::grant(&mut tx, at, &Actor::CommandLine, who, &yes.check(at).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Somebody says no to emails.
async fn refuse(db: &PgPool, who: ContactId, at: DateTime<Utc>) {
    let mut tx = db.begin().await.unwrap();
    ledger::withdraw(&mut tx, at, &Actor::CommandLine, who, Channel::Email, "Por teléfono", None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Every word of somebody on emails, oldest first.
async fn words(db: &PgPool, who: ContactId) -> Vec<String> {
    sqlx::query_scalar(
        "select basis from consent_events where contact_id = $1 and communication_type = 'EMAIL' order by id",
    )
    .bind(who.0)
    .fetch_all(db)
    .await
    .unwrap()
}

/// The basis for emails of somebody, as it stands.
async fn basis(db: &PgPool, who: ContactId) -> Option<String> {
    sqlx::query_scalar("select email_basis from contacts where id = $1")
        .bind(who.0)
        .fetch_one(db)
        .await
        .unwrap()
}

/// Run statements that name people by their number.
async fn run(db: &PgPool, sql: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(db).await.unwrap();
}

/// A number that a statement gives.
async fn number(db: &PgPool, sql: String) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(db).await.unwrap()
}
