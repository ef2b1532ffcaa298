//! Whoever a rule held back is asked about again when the rule changes, and a run that stopped is told.

use crate::{
    campaigns::{app, execute, people, save, seeded, start},
    support::TestApp,
};
use llovizna::{
    campaigns::drip,
    channels::{Channel, SendError},
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::{
        drain::{Engine, Options},
        runs::Trigger,
    },
};
use sqlx::PgPool;

async fn run(app: &TestApp) -> drip::RunReport {
    let engine = Engine {
        db: app.state.db.clone(),
        senders: app.state.senders.clone(),
        config: app.state.config.clone(),
        clock: app.state.clock.clone(),
    };
    drip::run_once(&engine, &Options::new(Channel::Email, Trigger::CommandLine)).await.unwrap()
}

/// A campaign to `n` people that has begun.
async fn begun(app: &TestApp, n: i64) -> CampaignId {
    let id = seeded(app).await;
    people(app, "sur", n).await;
    start(app, id).await.unwrap();
    id
}

/// The reasons for which messages wait.
async fn reasons(app: &TestApp) -> Vec<String> {
    sqlx::query_scalar(
        "select defer_reason from communication_logs where status = 'PENDING' and defer_reason is not null",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cap_that_is_raised_lets_go_of_those_it_held_back(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 5).await;
    save(&app, id, |it| it.daily_cap = Some(2)).await.unwrap();
    run(&app).await;
    assert_eq!(
        (app.mailbox.sent().len(), reasons(&app).await),
        (2, vec!["CAMPAIGN_DAILY_CAP".to_owned(); 3])
    );

    save(&app, id, |it| it.name.push('!')).await.unwrap();
    assert_eq!(reasons(&app).await.len(), 3, "nothing that holds anybody back was changed");
    save(&app, id, |it| it.daily_cap = Some(4)).await.unwrap();
    assert!(reasons(&app).await.is_empty());
    let story = app.get("/messages/5").await.text();
    assert!(story.contains("Cambió el horario o el tope de la campaña"), "{story}");
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await.len()), (4, 1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_window_that_is_opened_lets_go_of_those_who_waited_for_it(db: PgPool) {
    let app = app(db);
    begun(&app, 2).await;
    let until = |closes| [("weekdays", "mon"), ("opens", "09:00"), ("closes", closes)];
    assert_eq!(app.post("/settings/hours", &until("10:00")).await.status, 303);
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await), (0, vec!["OUTSIDE_WINDOW".to_owned(); 2]));
    // What has no say in when anything leaves asks nobody.
    assert_eq!(
        app.post("/settings/email", &[("from_name", "Caro"), ("daily_cap", "50"), ("warm_up", "on")])
            .await
            .status,
        303
    );
    assert_eq!(reasons(&app).await.len(), 2);
    assert_eq!(app.post("/settings/hours", &until("18:00")).await.status, 303);
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await.len()), (2, 0));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_holiday_that_is_no_more_lets_go_of_those_who_waited_for_its_end(db: PgPool) {
    let app = app(db);
    begun(&app, 1).await;
    let day = [("day", "23-11-2026"), ("name", "Inventario"), ("closed", "yes")];
    assert_eq!(app.post("/settings/holidays", &day).await.status, 303);
    run(&app).await;
    assert_eq!(reasons(&app).await, ["HOLIDAY"]);
    let id: i64 = sqlx::query_scalar("select id from holidays").fetch_one(&app.state.db).await.unwrap();
    let gone = app.post(&format!("/settings/holidays/{id}?_method=DELETE"), &[]).await;
    assert_eq!(gone.status, 303);
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await.len()), (1, 0));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_limit_for_each_person_that_is_widened_lets_go_of_whom_it_held_back(db: PgPool) {
    let app = app(db);
    let first = begun(&app, 1).await;
    run(&app).await;
    execute(&app, "update campaigns set status = 'FINISHED', finished_at = launched_at").await;
    let copy = "insert into campaigns (name, status, audience, template_id, enqueue_done, launched_at, created_at, updated_at)
         select 'Otra', 'DRAFT', audience, template_id, false, null, created_at, updated_at from campaigns where id = $1 returning id";
    let second: i64 = sqlx::query_scalar(copy).bind(first.0).fetch_one(&app.state.db).await.unwrap();
    start(&app, CampaignId(second)).await.unwrap();
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await), (1, vec!["FREQUENCY_CAP".to_owned()]));
    let cap: i64 = sqlx::query_scalar("select id from frequency_caps where communication_type = 'EMAIL' and message_type is null and days = 7")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    let changed = app.post(&format!("/settings/caps/{cap}"), &[("max_messages", "3"), ("days", "7")]).await;
    assert_eq!(changed.status, 303);
    run(&app).await;
    assert_eq!((app.mailbox.sent().len(), reasons(&app).await.len()), (2, 0));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_run_that_stopped_is_told_where_messages_wait_for_it(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 6).await;
    let page = format!("/campaigns/{id}");
    let calm = app.get(&page).await.text();
    assert!(!calm.contains("se detuvo antes de terminar"), "{calm}");
    for _ in 0..3 {
        app.mailbox
            .refuse_next(SendError::Unavailable { answer: "Nadie contesta en el puerto 587.".to_owned() });
    }
    let report = run(&app).await;
    assert_eq!(report.status, "failed");
    let told = app.get(&page).await.text();
    assert!(told.contains("se detuvo antes de terminar: Nadie contesta en el puerto 587."), "{told}");
    assert!(app.get("/").await.text().contains("Goteo de mensajes"), "also a run by hand");
    let record = app.get(&format!("/jobs/drip/runs/{}", report.run_id.unwrap())).await.text();
    let untouched = i64::from(report.claimed) - i64::from(report.deferred) - i64::from(report.sent);
    assert!(untouched > 0 && record.contains(&format!("siguen en la cola {untouched}")), "{record}");
    execute(&app, "update communication_logs set next_attempt_at = created_at").await;
    run(&app).await;
    let again = app.get(&page).await.text();
    assert!(!again.contains("se detuvo antes de terminar"), "{again}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_has_a_dead_address_is_not_retried(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 2).await;
    app.mailbox.refuse_next(SendError::Recipient { answer: "550 5.1.1 No existe".to_owned(), dead: true });
    app.mailbox
        .refuse_next(SendError::Recipient { answer: "552 5.2.2 Casilla llena".to_owned(), dead: false });
    run(&app).await;
    let (retries, page) = (format!("/campaigns/{id}/retries"), format!("/campaigns/{id}"));
    let admin = app.admin().await;
    let dead =
        "select id from communication_logs where destination in (select destination from suppressions)";
    let dead: i64 = sqlx::query_scalar(dead).fetch_one(&app.state.db).await.unwrap();
    let message = admin.get(&format!("/messages/{dead}")).await;
    assert!(message.text().contains("Su dirección está en la lista de exclusión"), "{}", message.text());
    assert!(!message.body.contains("value=\"again\""), "{}", message.body);
    let told = admin.post(&format!("/messages/{dead}/decision"), &[("verdict", "again")]).await.text();
    assert!(told.contains("No se puede: la dirección está en la lista de exclusión"), "{told}");
    admin.post(&retries, &[]).await;
    let state = "select status from communication_logs order by status";
    let states: Vec<String> = sqlx::query_scalar(state).fetch_all(&app.state.db).await.unwrap();
    assert_eq!(states, ["FAILED", "PENDING"]);
    let told = admin.get(&page).await.text();
    assert!(told.contains("1 mensaje de vuelta en la cola."), "{told}");
    assert!(told.contains("Quedó fuera 1: su dirección está en la lista de exclusión."), "{told}");
    admin.post(&retries, &[]).await;
    let told = admin.get(&page).await.text();
    assert!(told.contains("están en la lista de exclusión. No se cambió nada."), "{told}");
    // Many at once: who is excluded is told apart from who waits for no decision.
    let dead = dead.to_string();
    admin.post("/messages/decisions", &[("verdict", "again"), ("id", dead.as_str())]).await;
    let told = admin.get("/messages?status=UNCONFIRMED").await.text();
    assert!(
        told.contains("Uno no vuelve: su dirección está en la lista de exclusión.")
            && !told.contains("no esperaba"),
        "{told}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_address_that_is_known_by_its_digest_alone_is_not_retried(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 2).await;
    for _ in 0..2 {
        app.mailbox
            .refuse_next(SendError::Recipient { answer: "552 5.2.2 Casilla llena".to_owned(), dead: false });
    }
    run(&app).await;
    execute(
        &app,
        "insert into suppressions (communication_type, address_hash, scope, reason, created_at)
         select 'EMAIL', suppression_hash((select key from suppression_key), destination), 'ALL', 'NO_MOLESTAR', created_at
         from communication_logs where id = (select min(id) from communication_logs)",
    )
    .await;
    let admin = app.admin().await;
    let first = "select min(id) from communication_logs";
    let first: i64 = sqlx::query_scalar(first).fetch_one(&app.state.db).await.unwrap();
    let page = admin.get(&format!("/messages/{first}")).await.text();
    assert!(page.contains("Su dirección está en la lista de exclusión"), "{page}");
    admin.post(&format!("/messages/{first}/decision"), &[("verdict", "again")]).await;
    admin.post(&format!("/campaigns/{id}/retries"), &[]).await;
    let states = "select status from communication_logs order by id";
    let states: Vec<String> = sqlx::query_scalar(states).fetch_all(&app.state.db).await.unwrap();
    assert_eq!(states, ["FAILED", "PENDING"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_wants_no_promotions_is_retried_for_what_is_none(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 2).await;
    for _ in 0..2 {
        app.mailbox
            .refuse_next(SendError::Recipient { answer: "552 5.2.2 Casilla llena".to_owned(), dead: false });
    }
    run(&app).await;
    // One of them was about a booking.
    for statement in [
        "alter table communication_logs disable trigger user",
        "update communication_logs set message_type = 'TRANSACTIONAL' where id = (select min(id) from communication_logs)",
        "alter table communication_logs enable trigger user",
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         select 'EMAIL', destination, 'PROMOTIONAL', 'MANUAL', created_at from communication_logs",
    ] {
        execute(&app, statement).await;
    }
    app.admin().await.post(&format!("/campaigns/{id}/retries"), &[]).await;
    let states: Vec<(String, String)> =
        sqlx::query_as("select message_type, status from communication_logs order by id")
            .fetch_all(&app.state.db)
            .await
            .unwrap();
    let told = |kind: &str, status: &str| (kind.to_owned(), status.to_owned());
    assert_eq!(states, [told("TRANSACTIONAL", "PENDING"), told("PROMOCIONAL", "FAILED")]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_still_to_leave_is_asked_for_anew_while_it_leaves(db: PgPool) {
    let app = app(db);
    let id = begun(&app, 3).await;
    let polls = format!("hx-get=\"/campaigns/{id}/calendar\" hx-trigger=\"every");
    let card = app.admin().await.htmx().get(&format!("/campaigns/{id}/calendar")).await.body;
    assert!(card.contains(&polls) && card.contains("3 mensajes"), "{card}");
    execute(&app, "update campaigns set enqueue_done = false").await;
    execute(&app, "update communication_logs set status = 'CANCELLED'").await;
    let filling = app.admin().await.htmx().get(&format!("/campaigns/{id}/calendar")).await.body;
    assert!(filling.contains("Aún se agregan personas"), "{filling}");
    execute(&app, "update campaigns set enqueue_done = true, status = 'FINISHED'").await;
    let done = app.admin().await.htmx().get(&format!("/campaigns/{id}/calendar")).await.body;
    assert!(done.contains("No queda ningún mensaje por salir.") && !done.contains("hx-trigger"), "{done}");
}
