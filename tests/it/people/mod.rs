//! What people care about, what happened with them, how far they have come, and what staff does next.

mod board;
mod churn;
mod facts;
mod lifecycle;
mod log;
mod interests;
mod page;
mod to_do;

use crate::support::monday_noon;
use chrono::{DateTime, NaiveDate, Utc};
use llovizna::{
    access::{Actor, Role},
    contacts::{
        contact::{self, Draft},
        metrics,
        vocabulary::{HistoryKind, Lifecycle},
    },
    ids::{ContactId, StaffId},
};
use sqlx::PgPool;

/// A contact made at `at`.
pub(crate) async fn contact_at(db: &PgPool, at: DateTime<Utc>, name: &str) -> ContactId {
    let draft = Draft {
        first_name: name.to_owned(),
        email: format!("{}@sur.example", name.to_lowercase()),
        ..Draft::default()
    };
    let mut tx = db.begin().await.unwrap();
    let id = contact::create(&mut tx, at, &Actor::CommandLine, &draft.check(at).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// A contact made on Monday at noon.
pub(crate) async fn contact(db: &PgPool, name: &str) -> ContactId {
    contact_at(db, monday_noon(), name).await
}

/// Somebody on the staff.
pub(crate) async fn staff(db: &PgPool, name: &str, role: Role) -> Actor {
    let id = sqlx::query_scalar(
        "insert into staff_users (email, name, role, password_hash, created_at, updated_at)
         values ($1, $2, $3, 'none', $4, $4) returning id",
    )
    .bind(format!("{}@prueba.cl", name.to_lowercase()))
    .bind(name)
    .bind(role.code())
    .bind(monday_noon())
    .fetch_one(db)
    .await
    .unwrap();
    Actor::Staff { id: StaffId(id), name: name.to_owned(), role }
}

/// History rows of a contact, counted as an import counts them.
pub(crate) async fn history(
    db: &PgPool,
    now: DateTime<Utc>,
    id: ContactId,
    rows: &[(HistoryKind, NaiveDate, i64)],
) {
    let mut tx = db.begin().await.unwrap();
    for (kind, day, amount) in rows {
        sqlx::query(
            "insert into history_entries (contact_id, kind, occurred_on, item, amount, created_at)
             values ($1, $2, $3, 'Masaje', $4, $5)",
        )
        .bind(id.0)
        .bind(kind.code())
        .bind(day)
        .bind(amount)
        .bind(now)
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    metrics::recount(&mut tx, now, &[id.0]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Take all history of a contact away, as undoing its import does.
pub(crate) async fn forget_history(db: &PgPool, now: DateTime<Utc>, id: ContactId) {
    let mut tx = db.begin().await.unwrap();
    sqlx::query("delete from history_entries where contact_id = $1")
        .bind(id.0)
        .execute(&mut *tx)
        .await
        .unwrap();
    metrics::recount(&mut tx, now, &[id.0]).await.unwrap();
    tx.commit().await.unwrap();
}

/// Where a contact stands.
pub(crate) async fn stands(db: &PgPool, id: ContactId) -> Lifecycle {
    contact::get(db, id).await.unwrap().lifecycle
}

/// Every move of a contact, oldest first: from, to, cause.
pub(crate) async fn moves(db: &PgPool, id: ContactId) -> Vec<(String, String, String)> {
    sqlx::query_as(
        "select from_lifecycle, to_lifecycle, cause from lifecycle_changes where contact_id = $1 order by id",
    )
    .bind(id.0)
    .fetch_all(db)
    .await
    .unwrap()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}
