//! Why a run that somebody asked for let less go than they looked for, as the page of jobs and the shell tell it.

use crate::{
    campaigns::{BUSINESS, app, execute, get, people, save, seeded, start},
    support::TestApp,
};
use chrono::{TimeDelta, Weekday};
use llovizna::{
    access::Actor,
    channels::Channel,
    chile::business_hours::BusinessHours,
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::{
        kinds::MessageType,
        outbox::{self, Draft, Origin},
    },
};
use sqlx::{Connection as _, PgPool};
use std::process::Command;

/// A campaign to two people that has begun.
async fn begun(app: &TestApp) -> CampaignId {
    people(app, "sur", 2).await;
    let id = seeded(app).await;
    start(app, id).await.unwrap();
    id
}

/// What the page says after a run that somebody asked for there.
async fn asked(app: &TestApp) -> String {
    app.post("/jobs/drip/run", &[]).await;
    app.get("/jobs").await.text()
}

fn only_on(day: Weekday) -> BusinessHours {
    let mut days = [false; 7];
    days[day.num_days_from_monday() as usize] = true;
    BusinessHours { days, ..BusinessHours::default() }
}

fn set_clock(app: &TestApp, at: &str) {
    app.state.clock.set(at.parse().unwrap());
}

const NOTHING: &str = "0 enviados, 2 pospuestos, 0 bloqueados, 0 fallidos.";

#[sqlx::test(migrator = "MIGRATIONS")]
async fn hours_of_a_campaigns_own_are_not_taken_for_the_channels(db: PgPool) {
    let app = app(db);
    let id = begun(&app).await;
    let name = get(&app, id).await.name;
    save(&app, id, |it| it.business_hours = Some(only_on(Weekday::Sat))).await.unwrap();
    let own = format!("«{name}» tiene un horario propio: abre el sábado 28-11-2026 a las 09:00.");
    let monday = asked(&app).await;
    assert!(monday.contains(&format!("{NOTHING} {own}")), "{monday}");
    assert!(!monday.contains("El horario de envío"), "{monday}");
    // On Saturday they are open, while the channel's are not: nothing waits for those.
    set_clock(&app, "2026-11-28T09:00:00-03:00");
    let saturday = asked(&app).await;
    assert!(saturday.contains("2 enviados, 0 pospuestos, 0 bloqueados, 0 fallidos."), "{saturday}");
    assert!(!saturday.contains("horario propio") && !saturday.contains("El horario de envío"), "{saturday}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_service_message_that_leaves_does_not_silence_what_holds_the_promotions(db: PgPool) {
    let app = app(db);
    set_clock(&app, "2026-11-21T11:00:00-03:00");
    let id = begun(&app).await;
    let draft = Draft {
        origin: Origin::Transactional { key: "reserva".to_owned() },
        channel: Channel::Email,
        message_type: MessageType::Transactional,
        template: get(&app, id).await.template.unwrap(),
        required: &[],
        scheduled_at: app.now(),
    };
    let guest = people(&app, "norte", 1).await;
    let mut tx = app.state.db.begin().await.unwrap();
    outbox::enqueue(&mut tx, app.now(), &Actor::System, &draft, &guest).await.unwrap();
    tx.commit().await.unwrap();
    let page = asked(&app).await;
    let told = "1 enviado, 2 pospuestos, 0 bloqueados, 0 fallidos. El horario de envío está cerrado: \
                lo que espera por él sale desde el lunes 23-11-2026 a las 09:00.";
    assert!(page.contains(told), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_that_is_held_on_a_saturday_leaves_on_monday(db: PgPool) {
    let app = TestApp::with(db, &[BUSINESS, &[("LAUNCH_HOLD_SECONDS", "120")]].concat());
    set_clock(&app, "2026-11-21T11:00:00-03:00");
    people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    let name = get(&app, id).await.name;
    app.post(&format!("/campaigns/{id}/launch"), &[]).await;
    let held = |from: &str| format!("«{name}» está en su espera antes de salir: sale desde {from}.");
    let page = asked(&app).await;
    assert!(page.contains(&held("el lunes 23-11-2026 a las 09:00")), "{page}");
    assert!(!page.contains("El horario de envío"), "nothing waits for it yet: {page}");
    save(&app, id, |it| it.business_hours = Some(only_on(Weekday::Sat))).await.unwrap();
    app.state.clock.advance(TimeDelta::seconds(10));
    let page = asked(&app).await;
    assert!(page.contains(&held("las 11:02")), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_run_that_sent_is_no_failure_because_nobody_can_say_what_it_did_not(db: PgPool) {
    let app = app(db);
    begun(&app).await;
    // Once the run is over, names of campaigns, which only the explanation asks for, are out of reach.
    execute(
        &app,
        "create function hide() returns trigger language plpgsql as $$
         begin alter table campaigns rename column name to hidden; return null; end $$",
    )
    .await;
    execute(
        &app,
        "create trigger hide after update on drip_runs for each row when (new.finished_at is not null)
         execute function hide()",
    )
    .await;
    let page = asked(&app).await;
    assert!(page.contains("2 enviados, 0 pospuestos, 0 bloqueados, 0 fallidos."), "{page}");
    assert_eq!(app.mailbox.sent().len(), 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_asks_beside_a_run_is_told_of_that_run_alone(db: PgPool) {
    let app = app(db);
    begun(&app).await;
    let mut other = sqlx::PgConnection::connect_with(&app.state.db.connect_options()).await.unwrap();
    sqlx::query("select pg_advisory_lock($1, 0)")
        .bind(llovizna::db::locks::DRIP)
        .execute(&mut other)
        .await
        .unwrap();
    let options = app.state.db.connect_options();
    let url = format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap()
    );
    let home = tempfile::tempdir().unwrap();
    let night = app.now() + TimeDelta::hours(10);
    let output = Command::new(env!("CARGO_BIN_EXE_llovizna"))
        .args(["drip", "run", "--format", "text", "--at", &night.to_rfc3339()])
        .current_dir(home.path())
        .env_clear()
        .env("LLOVIZNA_HOME", home.path())
        .env("DATABASE_URL", url)
        .envs(BUSINESS.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), "Ya hay una corrida en curso: no se hizo nada.");
}
