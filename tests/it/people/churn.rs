//! The page says how likely it is that somebody does not come back, and by what.

use super::{contact, history};
use crate::support::{TestApp, monday_noon};
use llovizna::{access::Role, contacts::vocabulary::HistoryKind, ids::ContactId};
use sqlx::PgPool;

async fn came(db: &PgPool, id: ContactId, rows: &[(HistoryKind, &str, i64)]) {
    let rows: Vec<_> =
        rows.iter().map(|(kind, day, amount)| (*kind, day.parse().unwrap(), *amount)).collect();
    history(db, monday_noon(), id, &rows).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_stays_away_longer_than_they_use_to_is_told_with_the_reason(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let who = app.as_role(Role::ReadOnly).await;
    let path = format!("/contacts/{id}");
    assert!(!who.get(&path).await.text().contains("id=\"risk\""), "nothing to judge by, nothing said");
    came(&db, id, &[(HistoryKind::Visit, "2026-11-02", 0)]).await;
    assert!(who.get(&path).await.text().contains("hacen falta tres días distintos"));
    came(&db, id, &[(HistoryKind::Visit, "2026-10-19", 0), (HistoryKind::Purchase, "2026-10-26", 20_000)])
        .await;
    let page = who.get(&path).await.text();
    assert!(
        page.contains("Alto.") && page.contains("Suele volver cada 7 días y hace 21 días que no vuelve."),
        "{page}"
    );
}
