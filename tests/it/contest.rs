//! Texts that are compared while people, other campaigns and the clock go on: what a run under way sees, what an edit may
//! change, who waits for whom, and what the pages say.

use crate::{
    campaigns::{execute, get, people, save, seeded, start},
    drip::{engine, run},
    support::TestApp,
    variants::{all_click_b, app, draft, number, other, subjects_after, try_texts, waiting, with_subject},
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        campaign::Status,
        checklist::{self, Level},
        contest, copies, status,
        variants::{self, Plan},
    },
    channels::Channel,
    db::MIGRATIONS,
    error::Error,
    ids::CampaignId,
    messaging::{
        drain::{self, Options},
        runs::Trigger,
    },
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::time::Duration;

/// A campaign to two people whose messages leave a second apart, and after it in every run one to sixty others that tries
/// two subjects for an hour.
async fn after_a_slow_one(app: &TestApp) -> CampaignId {
    people(app, "norte", 2).await;
    execute(app, "update companies set industry = 'Turismo'").await;
    people(app, "sur", 60).await;
    let slow = seeded(app).await;
    save(app, slow, |it| {
        it.source.subject = "Lenta".to_owned();
        it.audience.industries = vec!["Turismo".to_owned()];
    })
    .await
    .unwrap();
    let mut tx = app.state.db.begin().await.unwrap();
    let id = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, slow).await.unwrap();
    tx.commit().await.unwrap();
    save(app, slow, |it| it.spacing_seconds = 1).await.unwrap();
    save(app, id, |it| {
        it.batch_size = 1000;
        it.source.subject = "Asunto A".to_owned();
        it.audience.industries = vec!["Lechería".to_owned()];
    })
    .await
    .unwrap();
    let plan = Plan { variants: vec![other("Asunto B", "")], percent: 40, hours: 1, ..Plan::default() };
    try_texts(app, id, &plan).await.unwrap();
    start(app, slow).await.unwrap();
    start(app, id).await.unwrap();
    id
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_waits_is_put_off_once_in_a_run_however_long_it_takes(db: PgPool) {
    let app = app(db);
    let id = after_a_slow_one(&app).await;
    let clock = app.state.clock.clone();
    app.mailbox.meanwhile(async move { clock.advance(TimeDelta::hours(2)) });
    let report = tokio::time::timeout(Duration::from_secs(30), run(&app)).await.expect("a run that ends");
    let waits = waiting(&app, id).await;
    assert_eq!((u64::from(report.sent) + waits, report.deferred), (62, u32::try_from(waits).unwrap()));
    let late = number(
        &app,
        "select count(*) from communication_logs l join communication_events e on e.communication_log_id = l.id
         where e.kind = 'DEFERRED' and l.next_attempt_at <= e.at",
    )
    .await;
    assert_eq!(late, 0, "nobody waits for an instant that is past");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_run_under_way_follows_a_decision_at_once(db: PgPool) {
    let app = app(db);
    let id = after_a_slow_one(&app).await;
    let (db, now) = (app.state.db.clone(), app.now());
    // The run takes the campaign up beside the slow one: somebody holds one of its people until the decision is made.
    let mut held = db.begin().await.unwrap();
    sqlx::query("select from contacts where email = 'sur60@x.example' for no key update")
        .execute(&mut *held)
        .await
        .unwrap();
    app.mailbox.meanwhile(async move {
        let mut tx = db.begin().await.unwrap();
        contest::decide(&mut tx, now, &Actor::CommandLine, id, 1).await.unwrap();
        tx.commit().await.unwrap();
        held.rollback().await.unwrap();
    });
    assert_eq!(run(&app).await.sent, 62);
    assert_eq!((with_subject(&app, "Asunto B"), with_subject(&app, "Asunto A")), (60, 0));
    assert_eq!(number(&app, "select count(*) from communication_logs where in_sample").await, 0);
}

fn fields(result: llovizna::error::Result<()>) -> Vec<&'static str> {
    match result.unwrap_err() {
        Error::Invalid(all) => all.into_iter().map(|it| it.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_that_is_compared_stays_what_it_is_and_an_edit_nobody_would_get_is_refused(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let sent = app.mailbox.sent().len();
    let source = get(&app, id).await.source;
    let edited = save(&app, id, |it| {
        it.source.subject = "Asunto A, corregido".to_owned();
        it.source.body.push_str("\n\nFin.");
    })
    .await;
    assert_eq!(fields(edited), ["subject", "body"]);
    assert_eq!(get(&app, id).await.source, source);
    let form = app.get(&format!("/campaigns/{id}/edit")).await.text();
    assert!(form.contains("compara varios textos") && !form.contains("recibirán la versión nueva"), "{form}");
    save(&app, id, |it| it.batch_size = 999).await.unwrap();
    app.post(&format!("/campaigns/{id}/winner"), &[("place", "1")]).await;
    // The rest gets B, which has a subject of its own.
    let edited = save(&app, id, |it| it.source.subject = "Otro".to_owned()).await;
    assert_eq!(fields(edited), ["subject"]);
    let form = app.get(&format!("/campaigns/{id}/edit")).await.text();
    assert!(form.contains("El resto recibe el texto B, que tiene su propio asunto"), "{form}");
    save(&app, id, |it| it.source.body = "Cuerpo nuevo.".to_owned()).await.unwrap();
    run(&app).await;
    let later = app.mailbox.sent().split_off(sent);
    assert!(!later.is_empty());
    assert!(later.iter().all(|it| it.subject == "Asunto B" && it.plain.starts_with("Cuerpo nuevo.")));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn where_the_campaigns_own_text_won_the_rest_gets_it_as_it_is_edited(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let sent = app.mailbox.sent().len();
    app.post(&format!("/campaigns/{id}/winner"), &[("place", "0")]).await;
    save(&app, id, |it| it.source.subject = "Corregido".to_owned()).await.unwrap();
    run(&app).await;
    let later = subjects_after(&app, sent);
    assert!(!later.is_empty() && later.iter().all(|it| it == "Corregido"), "{later:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_rest_does_not_wait_for_one_person_who_wishes_to_wait(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 12).await;
    start(&app, id).await.unwrap();
    let pause = "insert into contact_rhythms (contact_id, communication_type, paused_until, source, at)
         select id, 'EMAIL', '2026-12-15', 'Prueba', '2026-11-23' from contacts";
    execute(&app, pause).await;
    assert_eq!(run(&app).await.sent, 0);
    let waits = waiting(&app, id).await;
    assert!((1..12).contains(&waits), "{waits}");
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at)
         select contact_id, 'EMAIL', null, 'Prueba', '2026-11-23' from communication_logs
         where defer_reason = 'AWAITING_WINNER'",
    )
    .await;
    app.state.clock.advance(TimeDelta::minutes(230));
    run(&app).await;
    assert_eq!(waiting(&app, id).await, waits, "the hours are not over");
    app.state.clock.advance(TimeDelta::minutes(10));
    assert_eq!(u64::from(run(&app).await.sent), waits);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_that_became_like_another_is_told_before_the_start(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    save(&app, id, |it| it.source.subject = "Asunto B".to_owned()).await.unwrap();
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    drop(db);
    assert!(
        found.items.iter().any(|it| it.level == Level::Red && it.found.contains("dice lo mismo que otro")),
        "{:?}",
        found.items
    );
    assert!(found.items.iter().any(|it| it.found.contains("menos de una persona para cada uno")));
    assert!(matches!(start(&app, id).await, Err(Error::Refused(_))));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_who_write_the_texts_at_once_do_not_undo_each_other(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let path = format!("/campaigns/{id}/variants");
    let seen = get(&app, id).await.updated_at.to_rfc3339();
    let page = app.get(&path).await.body;
    assert!(page.contains(&format!("name=\"seen\" value=\"{seen}\"")), "{page}");
    let form = |subject: &'static str| {
        [("subject_1", subject), ("percent", "30"), ("by", "OPENS"), ("hours", "6"), ("seen", seen.as_str())]
    };
    app.state.clock.advance(TimeDelta::minutes(1));
    assert_eq!(app.post(&path, &form("De Ana")).await.status, StatusCode::SEE_OTHER);
    let late = app.post(&path, &form("De Beto")).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        late.text().contains("cambió mientras la editabas") && late.body.contains("De Beto"),
        "{}",
        late.text()
    );
    let plan = variants::plan(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap();
    assert_eq!(plan.variants[0].subject, "De Ana");
    start(&app, id).await.unwrap();
    let late = app.post(&path, &form("De Beto")).await;
    assert_eq!(late.status, StatusCode::SEE_OTHER, "what became of it is told on its page");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_comparison_is_counted_apart_and_a_decision_frees_some_at_once(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    all_click_b(&app).await;
    let page = app.get(&format!("/campaigns/{id}")).await;
    assert!(page.text().contains("Textos en prueba"));
    let address = format!("hx-get=\"/campaigns/{id}/contest\" hx-trigger=\"every 30s\"");
    assert!(page.body.contains(&address), "{}", page.body);
    let live = app.get(&format!("/campaigns/{id}/progress?status=RUNNING&held=false")).await;
    assert!(live.body.contains("every 4s") && !live.text().contains("Asunto B"), "{}", live.body);
    let apart = app.as_role(Role::ReadOnly).await.get(&format!("/campaigns/{id}/contest")).await;
    assert!(apart.body.starts_with("<section") && apart.text().contains("Asunto B"), "{}", apart.body);
    let mut tx = app.state.db.begin().await.unwrap();
    contest::decide(&mut tx, app.now(), &Actor::CommandLine, id, 1).await.unwrap();
    tx.commit().await.unwrap();
    let waits = waiting(&app, id).await;
    assert_eq!(contest::release(&app.state.db, app.now(), id, 10).await.unwrap(), 10);
    assert_eq!(waiting(&app, id).await, waits - 10);
    run(&app).await;
    assert_eq!((get(&app, id).await.status, waiting(&app, id).await), (Status::Finished, 0));
}

/// How often the messages were looked into so far by the one connection of `db`.
async fn looks_at_messages(db: &PgPool) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(db).await.unwrap();
    sqlx::query_scalar(
        "select (seq_scan + idx_scan)::bigint from pg_stat_user_tables where relname = 'communication_logs'",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_sample_is_counted_only_when_that_decides(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let one = PgPoolOptions::new().max_connections(1);
    let one = one.connect_with((*app.state.db.connect_options()).clone()).await.unwrap();
    contest::run_once(&one, app.now()).await.unwrap();
    let before = looks_at_messages(&one).await;
    for _ in 0..5 {
        contest::run_once(&one, app.now()).await.unwrap();
    }
    assert_eq!(looks_at_messages(&one).await, before);
    app.state.clock.advance(TimeDelta::hours(4));
    contest::run_once(&one, app.now()).await.unwrap();
    assert!(looks_at_messages(&one).await > before, "now it decides");
    one.close().await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_said_of_a_contest_follows_the_campaign(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    app.state.clock.advance(TimeDelta::minutes(1));
    run(&app).await;
    let page = format!("/campaigns/{id}");
    app.post(&format!("{page}/pause"), &[]).await;
    let paused = app.get(&page).await.text();
    assert!(
        paused.contains(
            "al reanudarla se elige por clics de personas, no antes del lunes 23-11-2026 a las 16:00"
        ),
        "{paused}"
    );
    let mut tx = app.state.db.begin().await.unwrap();
    status::cancel(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    let over = app.get(&page).await.text();
    assert!(over.contains("La campaña se canceló sin que se eligiera uno."), "{over}");
    let browser = app.admin().await;
    assert_eq!(browser.get(&format!("{page}/variants")).await.status, StatusCode::SEE_OTHER);
    assert!(browser.get(&page).await.text().contains("La campaña se canceló: los textos"));
    let refused = try_texts(&app, id, &Plan::default()).await;
    assert!(matches!(refused, Err(Error::Refused(said)) if said.starts_with("La campaña se canceló")));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_chooses_while_it_is_paused_is_told_when_the_rest_gets_it(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    app.post(&format!("/campaigns/{id}/pause"), &[]).await;
    let browser = app.admin().await;
    browser.post(&format!("/campaigns/{id}/winner"), &[("place", "1")]).await;
    let told = browser.get(&format!("/campaigns/{id}")).await.text();
    assert!(told.contains("El resto recibe el texto B, cuando reanudes la campaña."), "{told}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn why_a_person_might_wait_for_a_text_is_told(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let who = number(&app, "select min(id) from contacts").await;
    let asked = app.get(&format!("/contacts/{who}/why?campaign={id}")).await.text();
    assert!(asked.contains("podría esperar el texto ganador"), "{asked}");
    try_texts(&app, id, &Plan::default()).await.unwrap();
    let asked = app.get(&format!("/contacts/{who}/why?campaign={id}")).await.text();
    assert!(!asked.contains("texto ganador"), "{asked}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_comes_up_after_the_hours_and_before_the_decision_waits_on(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 30).await;
    start(&app, id).await.unwrap();
    // The second run knows when the first of the sample left.
    run(&app).await;
    run(&app).await;
    let waits = waiting(&app, id).await;
    // A run that began before the hours were over takes them up after it.
    app.state.clock.advance(TimeDelta::hours(5));
    execute(&app, "update communication_logs set next_attempt_at = scheduled_at where status = 'PENDING'")
        .await;
    let engine = engine(&app);
    let options = Options::new(Channel::Email, Trigger::CommandLine);
    let run = tokio::time::timeout(Duration::from_secs(30), drain::run(&engine, &options));
    run.await.expect("a run that ends").unwrap();
    assert_eq!(waiting(&app, id).await, waits, "nothing is decided yet");
    let next = sqlx::query_scalar::<_, chrono::DateTime<chrono::Utc>>(
        "select min(next_attempt_at) from communication_logs where defer_reason = 'AWAITING_WINNER'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(next > app.now(), "{next} is past");
}
