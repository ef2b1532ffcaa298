//! Several texts of one campaign, tried on a sample; the rest waits for the one that does best.

use crate::{
    campaigns::{BUSINESS, get, people, save, seeded, start},
    drip::run,
    support::TestApp,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        campaign::Status,
        checklist::{self, Level},
        contest, copies, progress,
        variants::{self, Measure, Plan, Variant},
    },
    channels::SendError,
    db::MIGRATIONS,
    error::Error,
    ids::CampaignId,
    messaging::kinds::{DeferReason, MessageType, Status as MessageStatus},
};
use sqlx::PgPool;

pub(crate) fn app(db: PgPool) -> TestApp {
    TestApp::with(db, &[BUSINESS, &[("EMAIL_DAILY_CAP", "0")]].concat())
}

pub(crate) fn other(subject: &str, opening: &str) -> Variant {
    Variant { subject: subject.into(), opening: opening.into() }
}

pub(crate) async fn try_texts(app: &TestApp, id: CampaignId, plan: &Plan) -> llovizna::error::Result<()> {
    let mut tx = app.state.db.begin().await.unwrap();
    let done = variants::save(&mut tx, app.now(), &Actor::CommandLine, id, plan).await;
    tx.commit().await.unwrap();
    done
}

/// A draft to `n` people in which two subjects are tried on four of ten; the winner is found by clicks after four hours.
pub(crate) async fn draft(app: &TestApp, n: i64) -> CampaignId {
    people(app, "sur", n).await;
    let id = seeded(app).await;
    save(app, id, |it| {
        it.batch_size = 1000;
        it.tracks = true;
        it.source.subject = "Asunto A".to_owned();
    })
    .await
    .unwrap();
    let plan = Plan { variants: vec![other("Asunto B", "")], percent: 40, by: Measure::Clicks, hours: 4 };
    try_texts(app, id, &plan).await.unwrap();
    id
}

pub(crate) async fn waiting(app: &TestApp, id: CampaignId) -> u64 {
    let it = progress::of(&app.state.db, id).await.unwrap();
    it.deferred.get(&DeferReason::AwaitingWinner).copied().unwrap_or_default()
}

pub(crate) async fn number(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.state.db).await.unwrap()
}

pub(crate) fn with_subject(app: &TestApp, subject: &str) -> usize {
    app.mailbox.sent().iter().filter(|it| it.subject == subject).count()
}

/// Subjects of what left after the first `n`.
pub(crate) fn subjects_after(app: &TestApp, n: usize) -> Vec<String> {
    app.mailbox.sent().into_iter().skip(n).map(|it| it.subject).collect()
}

/// Everybody of the sample who got B followed a link.
pub(crate) async fn all_click_b(app: &TestApp) {
    sqlx::query(
        "update communication_logs set status = 'CLICKED', clicked_at = $1 where in_sample and variant = 1",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_rest_waits_and_gets_the_text_that_did_best(db: PgPool) {
    let first = app(db.clone());
    let id = draft(&first, 200).await;
    start(&first, id).await.unwrap();
    let sample = u64::from(run(&first).await.sent);
    assert!((50..=110).contains(&sample), "{sample}");
    assert_eq!(waiting(&first, id).await, 200 - sample);
    let (a, b) = (with_subject(&first, "Asunto A"), with_subject(&first, "Asunto B"));
    assert!(a > 20 && b > 20, "{a}, {b}");
    let told = number(
        &first,
        "select count(*) from communication_events where kind = 'DEFERRED' and reason = 'AWAITING_WINNER'
             and answer like 'Se elige entre los textos%'",
    )
    .await;
    assert_eq!(told, i64::try_from(200 - sample).unwrap(), "each waits with its reason in words");
    all_click_b(&first).await;
    // Another process, after the first one died.
    let app = app(db);
    app.state.clock.set(first.now() + TimeDelta::minutes(239));
    assert_eq!(run(&app).await.sent, 0, "a minute before");
    assert_eq!(get(&app, id).await.status, Status::Running);
    app.state.clock.advance(TimeDelta::minutes(1));
    assert_eq!(u64::from(run(&app).await.sent), 200 - sample);
    assert_eq!(with_subject(&app, "Asunto B"), app.mailbox.sent().len());
    assert_eq!(get(&app, id).await.status, Status::Finished);
    let proven = number(
        &app,
        "select count(*) from communication_logs l join campaign_variants v
             on v.campaign_id = l.campaign_id and v.place = l.variant and v.template_id = l.template_id
         where l.variant = 1 and l.body_sha256 is not null and l.subject = 'Asunto B'",
    )
    .await;
    assert_eq!(proven, i64::try_from(b).unwrap() + i64::try_from(200 - sample).unwrap());
    assert_eq!(
        number(&app, "select count(*) from communication_logs where in_sample").await,
        i64::try_from(sample).unwrap()
    );
    let rewritten =
        sqlx::query("update communication_logs set variant = 0 where variant = 1").execute(&app.state.db);
    assert!(rewritten.await.is_err(), "which text a message was cannot be rewritten");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_tie_goes_to_the_first_and_the_decision_is_written_down(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let sample = app.mailbox.sent().len();
    app.state.clock.advance(TimeDelta::hours(4));
    run(&app).await;
    let later = subjects_after(&app, sample);
    assert!(!later.is_empty() && later.iter().all(|it| it == "Asunto A"), "{later:?}");
    let contest = contest::of(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap().unwrap();
    assert_eq!((contest.winner, contest.decided_by.as_deref()), (Some(0), None));
    assert_eq!(number(&app, "select count(*) from audit_events where action = 'campaign.winner'").await, 1);
    let page = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(
        page.contains("Se eligió el texto A por clics de personas el lunes 23-11-2026 a las 16:00."),
        "{page}"
    );
    assert!(page.contains("nada distingue a un texto de otro"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_person_may_decide_earlier_and_only_once(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    let path = format!("/campaigns/{id}/winner");
    app.post(&path, &[("place", "1")]).await;
    let nobody = contest::of(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap().unwrap();
    assert_eq!(nobody.winner, None, "a draft has nothing to decide");
    start(&app, id).await.unwrap();
    run(&app).await;
    let sample = app.mailbox.sent().len();
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&path, &[("place", "1")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post(&path, &[("place", "7")]).await.status, StatusCode::SEE_OTHER);
    assert!(waiting(&app, id).await > 0, "there is no such text");
    app.post(&path, &[("place", "1")]).await;
    assert_eq!(waiting(&app, id).await, 0, "nobody waits any more");
    app.post(&path, &[("place", "0")]).await;
    let decisions = number(&app, "select count(*) from audit_events where action = 'campaign.winner'").await;
    assert_eq!(decisions, 1, "what is refused is not written down as done");
    run(&app).await;
    let later = subjects_after(&app, sample);
    assert!(!later.is_empty() && later.iter().all(|it| it == "Asunto B"), "{later:?}");
    assert_eq!(get(&app, id).await.status, Status::Finished);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_failed_message_that_is_tried_again_keeps_its_text(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    app.mailbox.refuse_next(SendError::Recipient { answer: "554 no".into(), dead: false });
    run(&app).await;
    let drawn = |app: &TestApp| {
        let db = app.state.db.clone();
        async move {
            sqlx::query_as::<_, (i64, i16, bool, i64)>(
                "select id, variant, in_sample, template_id from communication_logs
                 where id = (select min(communication_log_id) from communication_events where kind = 'FAILED')",
            )
            .fetch_one(&db)
            .await
            .unwrap()
        }
    };
    let before = drawn(&app).await;
    let other = if before.1 == 0 { "1" } else { "0" };
    app.post(&format!("/campaigns/{id}/winner"), &[("place", other)]).await;
    app.post(&format!("/campaigns/{id}/retries"), &[]).await;
    run(&app).await;
    assert_eq!(drawn(&app).await, before);
    let left = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!((left.left(), left.count(MessageStatus::Failed)), (60, 0));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn where_nobody_is_in_the_sample_nobody_waits_for_ever(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 1).await;
    let plan = Plan { variants: vec![other("Asunto B", "")], percent: 1, ..Plan::default() };
    try_texts(&app, id, &plan).await.unwrap();
    start(&app, id).await.unwrap();
    assert_eq!((run(&app).await.sent, waiting(&app, id).await), (0, 1));
    app.state.clock.advance(TimeDelta::minutes(10));
    assert_eq!(run(&app).await.sent, 1);
    assert_eq!(with_subject(&app, "Asunto A"), 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_says_no_while_waiting_is_refused_like_anybody(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    let expected = waiting(&app, id).await;
    crate::campaigns::execute(
        &app,
        "update contacts set email_basis = null where id in (
        select contact_id from communication_logs where defer_reason = 'AWAITING_WINNER' limit 1)",
    )
    .await;
    app.state.clock.advance(TimeDelta::hours(4));
    let report = run(&app).await;
    assert_eq!((u64::from(report.sent), report.blocked), (expected - 1, 1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn texts_are_written_looked_at_and_tried_out_one_by_one(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let path = format!("/campaigns/{id}");
    let form = app.get(&format!("{path}/variants")).await;
    assert!(form.text().contains("Asunto A") && form.body.contains("value=\"Asunto B\""), "{}", form.body);
    assert!(form.text().contains("Te escribo de {{ business_name }}"), "{}", form.text());
    let fields = |subject: &'static str, opening: &'static str| {
        [
            ("subject_1", "Asunto B"),
            ("subject_3", subject),
            ("opening_3", opening),
            ("percent", "30"),
            ("by", "OPENS"),
            ("hours", "6"),
        ]
    };
    let wrong = app.post(&format!("{path}/variants"), &fields("Asunto B", "")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("El texto C dice lo mismo que otro"), "{}", wrong.text());
    let done = app.post(&format!("{path}/variants"), &fields("", "Otro comienzo para {{ company }}.")).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let page = app.get(&format!("{path}?variant=2")).await;
    assert!(page.text().contains("Otro comienzo para {{ company }}."), "{}", page.text());
    assert!(
        page.text().contains("Otro comienzo para Lácteos del Sur SpA."),
        "the plain part: {}",
        page.text()
    );
    let frame = app.get(&format!("{path}/preview?variant=2")).await;
    assert!(frame.body.contains("Otro comienzo para Lácteos del Sur SpA."), "{}", frame.body);
    assert!(!app.get(&format!("{path}/preview")).await.body.contains("Otro comienzo"));
    app.post(&format!("{path}/test"), &[("variant", "1")]).await;
    assert_eq!(with_subject(&app, "[Prueba] Asunto B"), 1);
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    let said =
        |level, words: &str| found.items.iter().any(|it| it.level == level && it.found.contains(words));
    assert!(said(Level::Green, "Ya enviaste una prueba del texto B."), "{:?}", found.items);
    assert!(said(Level::Amber, "Aún no te has enviado una prueba del texto C."), "{:?}", found.items);
    assert!(said(Level::Amber, "Se prueban 3 textos en el 30 % de la audiencia"), "{:?}", found.items);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_text_is_held_to_the_checklist(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let plan = Plan { variants: vec![other("Llámanos al {{ business_phone }}", "")], ..Plan::default() };
    try_texts(&app, id, &plan).await.unwrap();
    save(&app, id, |it| it.tracks = false).await.unwrap();
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    drop(db);
    let red: Vec<_> = found.red().map(|it| it.found.as_str()).collect();
    assert!(red.len() == 1 && red[0].starts_with("Texto B:"), "{red:?}");
    assert!(found.items.iter().any(|it| it.key == "measure" && it.level == Level::Amber));
    assert!(matches!(start(&app, id).await, Err(Error::Refused(said)) if said.contains("Texto B")));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_lacks_what_one_of_the_texts_needs_gets_none_of_them(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 40).await;
    let plan = Plan { variants: vec![other("{{ job_title }}", "")], ..Plan::default() };
    try_texts(&app, id, &plan).await.unwrap();
    crate::campaigns::execute(&app, "update contacts set job_title = 'Jefa' where id % 2 = 0").await;
    let launched = start(&app, id).await.unwrap();
    assert_eq!((launched.enqueued.queued, launched.checklist.preview.reachable), (20, 20));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_texts_follow_the_campaigns_own_and_are_fixed_once_it_started(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let text = other("", "Comienzo propio.");
    variants::add(&mut tx, app.now(), &Actor::CommandLine, id, text).await.unwrap();
    tx.commit().await.unwrap();
    save(&app, id, |it| it.source.body = "Uno.\n\nDos nuevo.".to_owned()).await.unwrap();
    let body: String = sqlx::query_scalar(
        "select t.body from campaign_variants v join message_templates t on t.id = v.template_id where v.place = 2",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert_eq!(body, "Comienzo propio.\n\nDos nuevo.");
    let gone = save(&app, id, |it| it.source.body = String::new()).await;
    assert!(matches!(gone, Err(Error::Invalid(fields)) if fields[0].field == "body"));
    let mut tx = app.state.db.begin().await.unwrap();
    let copy = copies::duplicate(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    assert_eq!(variants::plan(&mut tx, copy).await.unwrap(), variants::plan(&mut tx, id).await.unwrap());
    copies::delete(&mut tx, app.now(), &Actor::CommandLine, copy).await.unwrap();
    tx.commit().await.unwrap();
    start(&app, id).await.unwrap();
    assert!(matches!(try_texts(&app, id, &Plan::default()).await, Err(Error::Refused(_))));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_counts_each_text_and_every_number_opens_its_people(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 60).await;
    start(&app, id).await.unwrap();
    run(&app).await;
    all_click_b(&app).await;
    app.state.clock.advance(TimeDelta::minutes(10));
    run(&app).await;
    let b = with_subject(&app, "Asunto B");
    let page = app.get(&format!("/campaigns/{id}")).await;
    for (query, count) in [
        ("variant=0&amp;reached=SENT", with_subject(&app, "Asunto A")),
        ("variant=1&amp;reached=SENT", b),
        ("variant=1&amp;reached=CLICKED", b),
        ("status=PENDING&amp;deferred=AWAITING_WINNER", 60 - app.mailbox.sent().len()),
    ] {
        let link =
            format!("href=\"/messages?campaign={id}&amp;{query}\">{count}</a>").replace("&amp;", "&#38;");
        let plain = link.replace("&#38;", "&amp;");
        assert!(page.body.contains(&link) || page.body.contains(&plain), "{link}: {}", page.body);
        let list = app.get(&format!("/messages?campaign={id}&{}", query.replace("&amp;", "&"))).await;
        assert_eq!(list.body.matches("data-label=\"Estado\"").count(), count, "{}", list.body);
    }
    assert!(
        page.text().contains("Se elige por clics de personas el lunes 23-11-2026 a las 16:00"),
        "{}",
        page.text()
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_calendar_says_when_the_rest_leaves(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 50).await;
    let path = format!("/campaigns/{id}/calendar");
    let before = app.get(&path).await.text();
    assert!(
        before
            .contains("30 personas esperan el texto ganador, que se elige el lunes 23-11-2026 a las 16:00."),
        "{before}"
    );
    assert!(before.contains("termina el lunes 23-11-2026 a las 16:00"), "{before}");
    start(&app, id).await.unwrap();
    run(&app).await;
    app.state.clock.advance(TimeDelta::minutes(10));
    run(&app).await;
    let waiting = waiting(&app, id).await;
    let after = app.get(&path).await.text();
    assert!(
        after.contains(&format!(
            "{waiting} personas esperan el texto ganador, que se elige el lunes 23-11-2026 a las 16:00."
        )),
        "{after}"
    );
    assert!(after.contains("termina el lunes 23-11-2026 a las 16:00"), "{after}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_lacks_what_any_of_the_texts_needs_is_told_wherever_it_is_foreseen(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 4).await;
    sqlx::query("update contacts set job_title = 'Gerente' where email = 'sur1@x.example'")
        .execute(&app.state.db)
        .await
        .unwrap();
    let plan = Plan { variants: vec![other("Para quien es {{ job_title }}", "")], ..Plan::default() };
    try_texts(&app, id, &plan).await.unwrap();
    let form = app.get(&format!("/campaigns/{id}/edit")).await;
    let counted = "4 personas en la audiencia; la recibiría 1 .";
    assert!(form.text().contains(counted), "{}", form.text());
    // The same while it is chosen, and of a new campaign, which has one text, none of it.
    let asks = format!("/campaigns/audience?campaign={id}");
    assert!(form.body.contains(&format!("hx-post=\"{asks}\"")), "{}", form.body);
    let fields = [("subject", "Hola"), ("body", "Hola")];
    let again = app.post(&asks, &fields).await.text();
    assert!(again.contains(counted) && again.contains("3: Falta un dato"), "{again}");
    let new = app.post("/campaigns/audience", &fields).await.text();
    assert!(new.contains("la recibirían 4 ."), "{new}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn clicks_that_cannot_be_counted_are_told_before_the_start(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let measured = async |body: &str| {
        let body = body.to_owned();
        save(&app, id, |it| it.source.body = body).await.unwrap();
        let campaign = get(&app, id).await;
        let mut db = app.state.db.acquire().await.unwrap();
        let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
        found.items.iter().find(|it| it.key == "measure").map(|it| it.found.clone())
    };
    let told = measured("Hola: escribe a hola@lluviasur.example").await;
    assert!(
        told.as_ref().is_some_and(|it| it.contains("ningún texto tiene un enlace que se mida")),
        "{told:?}"
    );
    assert_eq!(measured("Hola: mira https://tienda.example/oferta").await, None);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn early_access_for_everybody_is_told_before_the_start(db: PgPool) {
    let app = app(db);
    let id = draft(&app, 3).await;
    let told = async || {
        let campaign = get(&app, id).await;
        let mut db = app.state.db.acquire().await.unwrap();
        let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
        found.items.iter().find(|it| it.key == "early").map(|it| it.found.clone())
    };
    assert_eq!(told().await, None, "an offer is for whom it is for");
    save(&app, id, |it| it.message_type = MessageType::VipEarlyAccess).await.unwrap();
    assert!(told().await.is_some_and(|it| it.contains("llega a 3 personas")));
    let segment: i64 =
        sqlx::query_scalar("select min(id) from segments").fetch_one(&app.state.db).await.unwrap();
    save(&app, id, |it| it.audience.segment_ids = vec![segment]).await.unwrap();
    assert_eq!(told().await, None);
    let list: i64 = sqlx::query_scalar(
        "insert into lists (name, created_at, updated_at) values ('VIP', '2026-11-01', '2026-11-01') returning id",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    crate::campaigns::execute(
        &app,
        "insert into list_members (list_id, contact_id, added_at) select l.id, c.id, '2026-11-01' from lists l, contacts c",
    )
    .await;
    save(&app, id, |it| (it.audience.segment_ids, it.audience.list_ids) = (Vec::new(), vec![list]))
        .await
        .unwrap();
    assert_eq!(told().await, None, "a list of them is as good");
}
