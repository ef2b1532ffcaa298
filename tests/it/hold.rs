//! The time after a launch in which nothing leaves, and "Detener": the launch as if it had not been.

use crate::{
    campaigns::{BUSINESS, app, get, people, seeded},
    drip::run,
    support::TestApp,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{campaign::Status, copies, hold, launch},
    db::MIGRATIONS,
    error::Error,
    ids::CampaignId,
};
use sqlx::PgPool;

/// An application that holds launches for two minutes, as it comes.
fn holding(db: PgPool) -> TestApp {
    TestApp::with(db, &[BUSINESS, &[("LAUNCH_HOLD_SECONDS", "120")]].concat())
}

/// Three people, and the campaign just started from the panel.
async fn just_started(app: &TestApp) -> CampaignId {
    people(app, "sur", 3).await;
    let id = seeded(app).await;
    let path = format!("/campaigns/{id}");
    let ask = app.get(&format!("{path}/launch")).await.text();
    assert!(ask.contains("tienes 2 minutos para detenerla"), "{ask}");
    assert_eq!(app.post(&format!("{path}/launch"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(get(app, id).await.status, Status::Running);
    id
}

async fn rows(app: &TestApp) -> i64 {
    sqlx::query_scalar("select count(*) from communication_logs").fetch_one(&app.state.db).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nothing_leaves_before_its_time_and_then_all_does(db: PgPool) {
    let app = holding(db.clone());
    let id = just_started(&app).await;
    let path = format!("/campaigns/{id}");
    app.state.clock.advance(TimeDelta::seconds(17));
    let page = app.get(&path).await;
    assert!(page.text().contains("Empieza en 1:43"), "{}", page.text());
    assert!(page.body.contains("data-countdown=\"103\""), "{}", page.body);
    assert!(page.text().contains("Hasta las 12:02 no sale nada"), "{}", page.text());
    assert_eq!((run(&app).await.sent, rows(&app).await), (0, 0));
    assert_eq!(launch::run_once(&app.state.db, app.now()).await.unwrap(), 0);
    let calm = app.get(&format!("{path}/progress?status=RUNNING&held=true")).await;
    assert!(calm.headers.get("hx-refresh").is_none());
    // Another process, after the first one died.
    let again = holding(db);
    again.state.clock.set(app.now() + TimeDelta::seconds(102));
    assert_eq!((run(&again).await.sent, rows(&again).await), (0, 0), "a second before");
    again.state.clock.advance(TimeDelta::seconds(1));
    let over = again.get(&format!("{path}/progress?status=RUNNING&held=true")).await;
    assert!(over.headers.get("hx-refresh").is_some(), "the page is asked anew");
    assert!(!again.get(&path).await.text().contains("Detener"));
    assert_eq!((run(&again).await.sent, rows(&again).await), (3, 3));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_runs_the_drip_meanwhile_is_told_why_nothing_left(db: PgPool) {
    let app = holding(db);
    let id = just_started(&app).await;
    let name = get(&app, id).await.name;
    app.state.clock.advance(TimeDelta::seconds(17));
    let asked = async || {
        app.post("/jobs/drip/run", &[]).await;
        app.get("/jobs").await.text()
    };
    let held = format!("0 fallidos. «{name}» está en su espera antes de salir: sale desde las 12:02.");
    let page = asked().await;
    assert!(page.contains(&held) && !page.contains("El horario de envío está cerrado"), "{page}");
    // Once it may leave, it does, and nothing more is said.
    app.state.clock.set("2026-11-23T20:59:50-03:00".parse().unwrap());
    let page = asked().await;
    let closed =
        "El horario de envío está cerrado: lo que espera por él sale desde el martes 24-11-2026 a las 09:00.";
    assert!(page.contains(&format!("3 pospuestos, 0 bloqueados, 0 fallidos. {closed}")), "{page}");
    assert!(!page.contains(&held), "{page}");
    // Of a campaign that is paused nothing leaves then either.
    app.post(&format!("/campaigns/{id}/pause"), &[]).await;
    app.state.clock.advance(TimeDelta::minutes(1));
    let page = asked().await;
    assert!(!page.contains(closed), "{page}");
    app.post(&format!("/campaigns/{id}/pause?_method=DELETE"), &[]).await;
    app.state.clock.set("2026-11-24T09:00:00-03:00".parse().unwrap());
    let page = asked().await;
    assert!(
        page.contains("3 enviados, 0 pospuestos, 0 bloqueados, 0 fallidos.") && !page.contains(closed),
        "{page}"
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_calendar_of_another_says_that_its_people_are_not_counted_yet(db: PgPool) {
    let app = holding(db);
    let id = just_started(&app).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("/campaigns/{copy}/calendar");
    let known = "Cuenta con 1 otra campaña en curso que comparte el tope del canal, con 0 mensajes en cola.";
    let rest = "Todavía no cuenta a quienes le falta poner en la cola.";
    let text = app.get(&path).await.text();
    assert!(text.contains(known) && text.contains(rest), "{text}");
    app.state.clock.advance(TimeDelta::minutes(3));
    launch::run_once(&app.state.db, app.now()).await.unwrap();
    let text = app.get(&path).await.text();
    assert!(text.contains("con 3 mensajes en cola.") && !text.contains(rest), "{text}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_launch_that_is_taken_back_leaves_the_draft_as_it_was(db: PgPool) {
    let app = holding(db);
    let reader = app.as_role(Role::ReadOnly).await;
    let id = just_started(&app).await;
    let path = format!("/campaigns/{id}");
    assert_eq!(
        reader.post(&format!("{path}/launch?_method=DELETE"), &[]).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(!reader.get(&path).await.text().contains("Detener"));
    app.state.clock.advance(TimeDelta::seconds(119));
    let stopped = app.post(&format!("{path}/launch?_method=DELETE"), &[]).await;
    assert_eq!((stopped.status, stopped.location()), (StatusCode::SEE_OTHER, path.as_str()));
    let it = get(&app, id).await;
    assert_eq!((it.status, it.launched_at, it.launched_by, it.held_until), (Status::Draft, None, None, None));
    app.state.clock.advance(TimeDelta::minutes(10));
    assert_eq!((run(&app).await.sent, rows(&app).await), (0, 0));
    let page = app.get(&path).await.text();
    assert!(page.contains("Borrador") && !page.contains("Empieza en"), "{page}");
    // Whom it is for may be changed again, as of any draft; and it reaches each of them once.
    people(&app, "norte", 1).await;
    app.post(&format!("{path}/launch"), &[]).await;
    app.state.clock.advance(TimeDelta::minutes(2));
    assert_eq!((run(&app).await.sent, rows(&app).await), (4, 4));
    let told: Vec<String> = sqlx::query_scalar(
        "select action from audit_events where action in ('campaign.launch', 'campaign.take_back') order by id",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    assert_eq!(told, ["campaign.launch", "campaign.take_back", "campaign.launch"]);
    assert!(app.get("/audit").await.text().contains("detuvo antes de que saliera la campaña"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn once_it_begins_to_leave_it_is_too_late(db: PgPool) {
    let app = holding(db);
    let id = just_started(&app).await;
    app.state.clock.advance(TimeDelta::minutes(2));
    let back = async || {
        let mut tx = app.state.db.begin().await.unwrap();
        let done = hold::take_back(&mut tx, app.now(), &Actor::CommandLine, id).await;
        tx.commit().await.unwrap();
        done
    };
    assert!(matches!(back().await, Err(Error::Refused(sentence)) if sentence.contains("empezó a salir")));
    // A clock that was set back does not open the door again once there are rows.
    run(&app).await;
    app.state.clock.advance(TimeDelta::minutes(-1));
    assert!(matches!(back().await, Err(Error::Refused(_))));
    assert_ne!(get(&app, id).await.status, Status::Draft);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn it_is_paused_and_cancelled_in_its_time_as_at_any_other(db: PgPool) {
    let app = holding(db);
    let id = just_started(&app).await;
    let path = format!("/campaigns/{id}");
    app.post(&format!("{path}/pause"), &[]).await;
    assert_eq!(get(&app, id).await.status, Status::Paused);
    let page = app.get(&path).await;
    let text = page.text();
    assert!(text.contains("Todavía no ha empezado") && !text.contains("Empieza en"), "{text}");
    app.post(&format!("{path}/launch?_method=DELETE"), &[]).await;
    let it = get(&app, id).await;
    assert_eq!((it.status, it.pause_reason), (Status::Draft, None));
    app.post(&format!("{path}/launch"), &[]).await;
    app.post(&format!("{path}/cancellation"), &[]).await;
    app.state.clock.advance(TimeDelta::minutes(3));
    run(&app).await;
    assert_eq!((get(&app, id).await.status, rows(&app).await), (Status::Cancelled, 0));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_time_is_a_setting_and_none_starts_at_once(db: PgPool) {
    let app = holding(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    assert!(app.get("/settings/limits").await.body.contains("<option value=\"120\" selected>"));
    app.post("/settings/launching", &[("hold_seconds", "7200")]).await;
    assert!(app.get("/settings/limits").await.body.contains("<option value=\"120\" selected>"));
    app.post("/settings/launching", &[("hold_seconds", "0")]).await;
    assert!(app.get("/settings/limits").await.body.contains("<option value=\"0\" selected>"));
    let path = format!("/campaigns/{id}");
    assert!(!app.get(&format!("{path}/launch")).await.text().contains("para detenerla"));
    app.post(&format!("{path}/launch"), &[]).await;
    assert_eq!((rows(&app).await, run(&app).await.sent), (1, 1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_a_wait_the_queue_is_there_at_once(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    app.post(&format!("/campaigns/{id}/launch"), &[]).await;
    assert_eq!((rows(&app).await, get(&app, id).await.held_until), (1, None));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_foretold_begins_with_the_first_run_after_the_hold(db: PgPool) {
    let app = holding(db.clone());
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    // At noon a launch is held until 12:02; the run after that is at 12:10.
    let calendar = async |app: &TestApp| app.get(&format!("{path}/calendar")).await.text();
    let first = "lunes 23-11-2026 3 12:10";
    let ahead = calendar(&app).await;
    assert!(ahead.contains(first), "{ahead}");
    let ask = app.get(&format!("{path}/launch")).await.text();
    assert!(ask.contains("Se enviará a 3 personas desde el lunes 23-11-2026 a las 12:10."), "{ask}");
    assert!(app.get(&format!("{path}?checklist=1")).await.text().contains(first));
    // Whose clock asks for the runs is not ours, so that nobody knows when they are.
    let called = TestApp::with(
        db.clone(),
        &[BUSINESS, &[("LAUNCH_HOLD_SECONDS", "120"), ("SCHEDULER", "off")]].concat(),
    );
    assert!(calendar(&called).await.contains("lunes 23-11-2026 3 12:02"));
    assert_eq!(app.post(&format!("{path}/launch"), &[]).await.status, StatusCode::SEE_OTHER);
    app.state.clock.advance(TimeDelta::seconds(30));
    let held = calendar(&app).await;
    assert!(held.contains(first), "{held}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn where_its_hours_are_closed_it_says_when_they_open(db: PgPool) {
    let app = holding(db);
    let id = just_started(&app).await;
    let page = async || app.get(&format!("/campaigns/{id}")).await.text();
    assert!(!page().await.contains("Después espera a su horario"));
    let fields = [("weekdays", "tue"), ("opens", "11:00"), ("closes", "13:00")];
    assert_eq!(app.post("/settings/hours", &fields).await.status, StatusCode::SEE_OTHER);
    let text = page().await;
    assert!(
        text.contains("Después espera a su horario: sale desde el martes 24-11-2026 a las 11:00"),
        "{text}"
    );
}
