//! Lifecycle: every move with its date and cause, by hand and by the system.

use super::{contact, contact_at, day, forget_history, history, moves, staff, stands};
use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use llovizna::{
    access::{Actor, Role},
    contacts::{
        inactivity, interactions, lifecycle, metrics,
        vocabulary::{HistoryKind, InteractionKind, Lifecycle},
    },
    error::Error,
    ids::ContactId,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

fn said(moves: &[(String, String, String)]) -> Vec<(&str, &str, &str)> {
    moves.iter().map(|it| (it.0.as_str(), it.1.as_str(), it.2.as_str())).collect()
}

async fn look(db: &PgPool, now: chrono::DateTime<Utc>) -> u64 {
    inactivity::run_once(db, now, &CancellationToken::new()).await.unwrap()
}

async fn log(db: &PgPool, now: chrono::DateTime<Utc>, id: ContactId, kind: InteractionKind) {
    let draft = interactions::Draft {
        kind: kind.code().to_owned(),
        summary: "Conversamos".to_owned(),
        ..interactions::Draft::default()
    };
    let mut tx = db.begin().await.unwrap();
    interactions::add(&mut tx, now, &Actor::CommandLine, id, &draft.check(now).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_first_purchase_in_history_makes_a_customer_once(db: PgPool) {
    let id = contact(&db, "Ana").await;
    history(&db, monday_noon(), id, &[(HistoryKind::Purchase, day("2026-11-20"), 25_000)]).await;
    assert_eq!(stands(&db, id).await, Lifecycle::Customer);
    history(&db, monday_noon(), id, &[(HistoryKind::Visit, day("2026-11-21"), 0)]).await;
    assert_eq!(said(&moves(&db, id).await), [("LEAD", "CLIENTE", "FIRST_PURCHASE")]);
    let detail: String =
        sqlx::query_scalar("select detail from lifecycle_changes").fetch_one(&db).await.unwrap();
    assert_eq!(detail, "Masaje, 20-11-2026");
    let sums = metrics::of(&db, id).await.unwrap();
    assert_eq!((sums.visits, sums.purchases, sums.spent), (1, 1, 25_000));
    assert_eq!(sums.last_visit_on, Some(day("2026-11-21")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn history_that_is_taken_back_takes_the_customer_back(db: PgPool) {
    let (id, other) = (contact(&db, "Ana").await, contact(&db, "Eva").await);
    history(&db, monday_noon(), id, &[(HistoryKind::Enrolment, day("2026-11-20"), 25_000)]).await;
    history(&db, monday_noon(), other, &[(HistoryKind::Enrolment, day("2026-11-20"), 25_000)]).await;
    // Whom somebody confirmed as a customer by hand stays one.
    let mut tx = db.begin().await.unwrap();
    for to in [Lifecycle::Prospect, Lifecycle::Customer] {
        lifecycle::set(&mut tx, monday_noon(), &Actor::CommandLine, other, to).await.unwrap();
    }
    tx.commit().await.unwrap();
    forget_history(&db, monday_noon(), id).await;
    forget_history(&db, monday_noon(), other).await;
    assert_eq!(stands(&db, id).await, Lifecycle::Lead);
    assert_eq!(
        said(&moves(&db, id).await),
        [("LEAD", "CLIENTE", "FIRST_ENROLMENT"), ("CLIENTE", "LEAD", "HISTORY_REMOVED")]
    );
    assert_eq!(stands(&db, other).await, Lifecycle::Customer);
    assert_eq!(metrics::of(&db, id).await.unwrap(), metrics::Metrics::default());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn ninety_days_without_activity_make_inactive_and_activity_brings_back(db: PgPool) {
    let now = monday_noon();
    let ago = |days| now - TimeDelta::days(days);
    let never_answered = contact_at(&db, ago(91), "Ana").await;
    let fresh = contact_at(&db, ago(89), "Eva").await;
    let bought = contact_at(&db, ago(300), "Ida").await;
    history(&db, ago(300), bought, &[(HistoryKind::Purchase, day("2026-01-10"), 10_000)]).await;
    let called = contact_at(&db, ago(300), "Ema").await;
    log(&db, ago(10), called, InteractionKind::Call).await;
    let only_noted = contact_at(&db, ago(300), "Isa").await;
    log(&db, ago(10), only_noted, InteractionKind::Note).await;
    assert_eq!(look(&db, now).await, 3);
    assert_eq!(look(&db, now).await, 0, "twice moves nobody twice");
    for (id, expected) in [
        (never_answered, Lifecycle::Inactive),
        (fresh, Lifecycle::Lead),
        (bought, Lifecycle::Inactive),
        (called, Lifecycle::Lead),
        (only_noted, Lifecycle::Inactive),
    ] {
        assert_eq!(stands(&db, id).await, expected, "contact {id}");
    }
    log(&db, now, never_answered, InteractionKind::Note).await;
    assert_eq!(stands(&db, never_answered).await, Lifecycle::Inactive, "a note is no sign of life");
    log(&db, now, never_answered, InteractionKind::Whatsapp).await;
    log(&db, now, bought, InteractionKind::Call).await;
    assert_eq!(stands(&db, never_answered).await, Lifecycle::Lead);
    assert_eq!(stands(&db, bought).await, Lifecycle::Customer);
    assert_eq!(
        said(&moves(&db, bought).await),
        [
            ("LEAD", "CLIENTE", "FIRST_PURCHASE"),
            ("CLIENTE", "INACTIVO", "INACTIVITY"),
            ("INACTIVO", "CLIENTE", "ACTIVITY")
        ]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_happened_long_ago_brings_nobody_back_and_a_hand_is_respected(db: PgPool) {
    let now = monday_noon();
    let id = contact_at(&db, now - TimeDelta::days(200), "Ana").await;
    look(&db, now).await;
    history(&db, now, id, &[(HistoryKind::Purchase, day("2024-01-10"), 10_000)]).await;
    assert_eq!(stands(&db, id).await, Lifecycle::Inactive);
    let mut tx = db.begin().await.unwrap();
    assert!(lifecycle::set(&mut tx, now, &Actor::CommandLine, id, Lifecycle::Prospect).await.unwrap());
    assert!(!lifecycle::set(&mut tx, now, &Actor::CommandLine, id, Lifecycle::Prospect).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(look(&db, now + TimeDelta::days(1)).await, 0, "somebody just said otherwise");
    assert_eq!(look(&db, now + TimeDelta::days(91)).await, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_days_are_set_in_the_panel_and_the_job_says_what_it_did(db: PgPool) {
    let app = TestApp::new(db.clone());
    contact_at(&db, app.now() - TimeDelta::days(40), "Ana").await;
    let admin = app.admin().await;
    let staff = app.as_role(Role::Staff).await;
    let form = [("inactive_after_days", "30")];
    assert_eq!(staff.post("/settings/relationship", &form).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        admin.post("/settings/relationship", &[("inactive_after_days", "0")]).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(admin.get("/settings/limits").await.text().contains("Escribe un número de días entre 7 y 3650."));
    admin.post("/jobs/inactivity/run", &[]).await;
    assert!(admin.get("/jobs").await.text().contains("Nadie pasó a inactivo."));
    admin.post("/settings/relationship", &form).await;
    // Asked for twice at one instant, a job runs once.
    app.state.clock.advance(TimeDelta::minutes(1));
    admin.post("/jobs/inactivity/run", &[]).await;
    assert!(admin.get("/jobs").await.text().contains("1 contacto pasó a inactivo."));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_form_of_a_contact_records_the_move_with_who_made_it(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = contact(&db, "Ana").await;
    let seen = llovizna::contacts::contact::get(&db, id).await.unwrap().updated_at.to_rfc3339();
    let form = [
        ("first_name", "Ana"),
        ("email", "ana@sur.example"),
        ("lifecycle", "PROSPECTO"),
        ("source", "OTRO"),
        ("seen", &seen),
    ];
    let reply = app.post(&format!("/contacts/{id}"), &form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    let (cause, by): (String, Option<String>) = sqlx::query_as(
        "select cause, s.name from lifecycle_changes l left join staff_users s on s.id = l.staff_user_id",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!((cause.as_str(), by.as_deref()), ("HAND", Some("Persona Superadministrador")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_reads_moves_nobody(db: PgPool) {
    let id = contact(&db, "Ana").await;
    let reader = staff(&db, "Lector", Role::ReadOnly).await;
    let mut tx = db.begin().await.unwrap();
    let refused = lifecycle::set(&mut tx, monday_noon(), &reader, id, Lifecycle::Customer).await;
    assert!(matches!(refused, Err(Error::Forbidden)));
}

/// Whatever happens, in whatever order: the moves of a contact join up, the last one is
/// where they stand, and the sums are those of a plain count.
#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_moves_of_a_contact_always_join_up(db: PgPool) {
    let mut rng = StdRng::seed_from_u64(7);
    let ids = [contact(&db, "Ana").await, contact(&db, "Eva").await, contact(&db, "Ida").await];
    let mut now = monday_noon();
    for _ in 0..60 {
        now += TimeDelta::days(rng.random_range(0..40));
        let id = ids[rng.random_range(0..ids.len())];
        match rng.random_range(0..6) {
            0 => log(&db, now, id, InteractionKind::Call).await,
            1 => {
                let on = llovizna::chile::time::local_date(now - TimeDelta::days(rng.random_range(0..200)));
                let kind = HistoryKind::ALL[rng.random_range(0..3)];
                history(&db, now, id, &[(kind, on, rng.random_range(0..9) * 1000)]).await;
            }
            2 => forget_history(&db, now, id).await,
            3 => {
                let to = Lifecycle::ALL[rng.random_range(0..4)];
                let mut tx = db.begin().await.unwrap();
                lifecycle::set(&mut tx, now, &Actor::CommandLine, id, to).await.unwrap();
                tx.commit().await.unwrap();
            }
            _ => {
                look(&db, now).await;
            }
        }
        for id in ids {
            let moves = moves(&db, id).await;
            let mut at = Lifecycle::Lead.code().to_owned();
            for (from, to, _) in &moves {
                assert_eq!(*from, at, "{moves:?}");
                at.clone_from(to);
            }
            assert_eq!(stands(&db, id).await.code(), at, "{moves:?}");
            let plain: (i64, i64) = sqlx::query_as(
                "select count(*), coalesce(sum(amount), 0)::bigint from history_entries where contact_id = $1",
            )
            .bind(id.0)
            .fetch_one(&db)
            .await
            .unwrap();
            let sums = metrics::of(&db, id).await.unwrap();
            assert_eq!(i64::from(sums.visits + sums.purchases + sums.enrolments), plain.0);
            assert_eq!(sums.spent, plain.1);
        }
    }
}
