//! The first page: each figure leads to exactly what it counts.

use crate::support::{Reply, TestApp, monday_noon};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

/// A message, asked for at `made`, in the state `status`; gives its row.
async fn message(db: &PgPool, made: DateTime<Utc>, (origin, kind): (&str, &str), status: &str) -> i64 {
    sqlx::query_scalar(
        "insert into communication_logs (origin, communication_type, message_type, destination, status, scheduled_at,
             next_attempt_at, created_at, sent_at)
         values ($1, 'EMAIL', $2, 'ana@sur.example', $3, $4, $4, $4, case when $3 = 'SENT' then $4 end) returning id",
    )
    .bind(origin)
    .bind(kind)
    .bind(status)
    .bind(made)
    .fetch_one(db)
    .await
    .unwrap()
}

/// It failed at `at`.
async fn failed(db: &PgPool, id: i64, at: DateTime<Utc>) {
    sqlx::query(
        "insert into communication_events (communication_log_id, at, kind) values ($1, $2, 'FAILED')",
    )
    .bind(id)
    .bind(at)
    .execute(db)
    .await
    .unwrap();
}

/// Where the link around or after `words` leads.
fn link_of(page: &Reply, words: &str) -> String {
    let (before, _) = page.body.split_once(words).unwrap_or_else(|| panic!("no «{words}»: {}", page.text()));
    let (_, link) = before.rsplit_once("<a ").unwrap().1.split_once("href=\"").unwrap();
    link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

fn rows(page: &Reply) -> usize {
    page.body.split("<tbody>").nth(1).map_or(0, |it| it.matches("<tr>").count())
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_failed_this_week_is_counted_by_when_it_failed_and_listed_so(db: PgPool) {
    let now = monday_noon();
    let promotion = ("MANUAL", "PROMOCIONAL");
    // Asked for long ago, failed yesterday, twice.
    let late = message(&db, now - TimeDelta::days(30), promotion, "FAILED").await;
    failed(&db, late, now - TimeDelta::days(2)).await;
    failed(&db, late, now - TimeDelta::days(1)).await;
    let old = message(&db, now - TimeDelta::days(30), promotion, "FAILED").await;
    failed(&db, old, now - TimeDelta::days(20)).await;
    // Failed and then sent after all; and a trial that failed.
    let mended = message(&db, now - TimeDelta::days(2), promotion, "SENT").await;
    failed(&db, mended, now - TimeDelta::days(2)).await;
    let trial = message(&db, now - TimeDelta::days(1), ("TEST", "PROMOCIONAL"), "FAILED").await;
    failed(&db, trial, now - TimeDelta::days(1)).await;
    let app = TestApp::new(db);
    let home = app.get("/").await;
    assert!(home.text().contains("1 mensaje falló en los últimos 7 días"), "{}", home.text());
    let list = app.get(&link_of(&home, "1 mensaje falló")).await;
    assert_eq!(rows(&list), 1);
    assert!(list.body.contains(&format!("href=\"/messages/{late}\"")), "{}", list.text());
    assert!(list.text().contains("Fallaron en los últimos 7 días"), "{}", list.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_sent_today_is_what_the_cap_counts_and_the_list_shows(db: PgPool) {
    let now = monday_noon();
    let mine = message(&db, now - TimeDelta::hours(1), ("MANUAL", "PROMOCIONAL"), "SENT").await;
    message(&db, now - TimeDelta::hours(1), ("TEST", "PROMOCIONAL"), "SENT").await;
    message(&db, now - TimeDelta::hours(1), ("TRANSACTIONAL", "BOOKING_CONFIRMATION"), "SENT").await;
    message(&db, now - TimeDelta::days(1), ("MANUAL", "PROMOCIONAL"), "SENT").await;
    let app = TestApp::new(db);
    let home = app.get("/").await;
    assert!(home.text().contains("1 de 50 promociones enviadas hoy"), "{}", home.text());
    let list = app.get(&link_of(&home, "promociones enviadas hoy")).await;
    assert_eq!(rows(&list), 1);
    assert!(list.body.contains(&format!("href=\"/messages/{mine}\"")), "{}", list.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_count_that_stops_says_so_and_a_job_goes_by_its_label(db: PgPool) {
    sqlx::query(
        "insert into communication_logs (origin, communication_type, message_type, destination, status, scheduled_at,
             next_attempt_at, created_at, drip_run_id)
         select 'MANUAL', 'EMAIL', 'PROMOCIONAL', n || '@sur.example', 'UNCONFIRMED', $1, $1, $1, 1
         from generate_series(1, 1001) n",
    )
    .bind(monday_noon())
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("insert into job_runs (name, slot, status, started_at, trigger) values ('drip', $1, 'FAILED', $1, 'SCHEDULER')")
        .bind(monday_noon())
        .execute(&db)
        .await
        .unwrap();
    let home = TestApp::new(db).get("/").await.text();
    assert!(home.contains("Más de 1.000 mensajes por confirmar"), "{home}");
    assert!(home.contains("El trabajo programado «Goteo de mensajes» falló"), "{home}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_campaigns_send_and_keep_waiting_is_counted_with_the_rest(db: PgPool) {
    let now = monday_noon();
    // One sells by email, one does not sell, one goes by telephone.
    sqlx::raw_sql(
        "insert into campaigns (name, communication_type, message_type, status, audience, created_at, updated_at)
         select name, channel, kind, 'RUNNING', '{}', now(), now()
         from (values ('Ofertas', 'EMAIL', 'PROMOCIONAL'), ('Encuesta', 'EMAIL', 'SATISFACTION_SURVEY'),
             ('Avisos', 'SMS', 'PROMOCIONAL')) v (name, channel, kind)",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query(
        "insert into communication_logs (origin, campaign_id, communication_type, message_type, destination, status,
             scheduled_at, next_attempt_at, created_at, sent_at)
         select 'CAMPAIGN', c.id, c.communication_type, c.message_type, 'cliente' || n || '@sur.example',
             case when n <= 4 then 'SENT' else 'PENDING' end, $1, $1, $1,
             -- Two today, one at the last moment of yesterday, one the week before.
             case n when 1 then $1 when 2 then timestamptz '2026-11-23 03:00+00' when 3 then timestamptz '2026-11-23 02:59+00'
                 when 4 then $1 - interval '7 days' end
         from campaigns c, generate_series(1, 9) n where c.name in ('Ofertas', 'Encuesta', 'Avisos')",
    )
    .bind(now)
    .execute(&db)
    .await
    .unwrap();
    message(&db, now - TimeDelta::hours(1), ("MANUAL", "PROMOCIONAL"), "SENT").await;
    message(&db, now, ("MANUAL", "PROMOCIONAL"), "PENDING").await;
    message(&db, now, ("TEST", "PROMOCIONAL"), "PENDING").await;
    let app = TestApp::new(db.clone());
    let home = app.get("/").await;
    assert!(home.text().contains("3 de 50 promociones enviadas hoy"), "{}", home.text());
    assert_eq!(rows(&app.get(&link_of(&home, "promociones enviadas hoy")).await), 3);
    assert!(home.text().contains("11 en la cola"), "{}", home.text());
    assert_eq!(rows(&app.get(&link_of(&home, "en la cola")).await), 11);
    // What left since is counted at once.
    for left in ["status = 'SENDING', drip_run_id = 1, claimed_at = $1", "status = 'SENT', sent_at = $1"] {
        let text = format!(
            "update communication_logs set {left} where status in ('PENDING', 'SENDING') and origin = 'CAMPAIGN'"
        );
        sqlx::query(sqlx::AssertSqlSafe(text)).bind(now).execute(&db).await.unwrap();
    }
    let home = app.get("/").await.text();
    assert!(home.contains("8 de 50 promociones enviadas hoy") && home.contains(" 1 en la cola"), "{home}");
}
