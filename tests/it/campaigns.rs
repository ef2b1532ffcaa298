//! Campaigns: what they lack, whom they reach, how they start, stop and end.

use crate::support::{Reply, TestApp};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        audience::{self, Question, Rule, Which},
        campaign::{self, Campaign, Status},
        checklist::{self, Level},
        edit::Edit,
        launch, progress, status,
    },
    channels::Channel,
    db::MIGRATIONS,
    error::Error,
    ids::{CampaignId, ContactId},
    messaging::{
        kinds::{BlockReason, MessageType, Status as MessageStatus},
        template::Source,
    },
};
use sqlx::PgPool;

/// What makes the legal sender known.
pub(crate) const BUSINESS: &[(&str, &str)] = &[
    ("BUSINESS_NAME", "Lluvia Sur"),
    ("BUSINESS_ADDRESS", "Urmeneta 305, Puerto Montt"),
    ("BUSINESS_EMAIL", "hola@lluviasur.example"),
];

pub(crate) fn app(db: PgPool) -> TestApp {
    TestApp::with(db, BUSINESS)
}

/// The campaign that the migration made.
pub(crate) async fn seeded(app: &TestApp) -> CampaignId {
    let id = sqlx::query_scalar("select id from campaigns where name = 'Prospección Los Lagos'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    CampaignId(id)
}

/// `n` people with consent at one company in Puerto Montt, dairy; addresses `name1@…`, `name2@…`.
pub(crate) async fn people(app: &TestApp, name: &str, n: i64) -> Vec<ContactId> {
    let ids = sqlx::query_scalar::<_, i64>(
        "with k as (
             insert into companies (name, name_key, industry, comuna, created_at, updated_at)
             values ($1, lower($1), 'Lechería', '10101', $3, $3) returning id
         )
         insert into contacts (company_id, first_name, email, email_basis, search_key, created_at, updated_at)
         select k.id, initcap($1) || i, lower($1) || i || '@x.example', 'CONSENT', lower($1) || i, $3, $3
         from k, generate_series(1, $2) i returning id",
    )
    .bind(name)
    .bind(n)
    .bind(app.now())
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    ids.into_iter().map(ContactId).collect()
}

pub(crate) async fn execute(app: &TestApp, sql: &'static str) {
    sqlx::query(sql).execute(&app.state.db).await.unwrap();
}

pub(crate) async fn get(app: &TestApp, id: CampaignId) -> Campaign {
    campaign::get(&mut app.state.db.acquire().await.unwrap(), id).await.unwrap()
}

pub(crate) async fn start(app: &TestApp, id: CampaignId) -> llovizna::error::Result<launch::Launched> {
    let mut tx = app.state.db.begin().await.unwrap();
    let done =
        launch::launch(&mut tx, app.now(), &Actor::CommandLine, &app.state.config, id, TimeDelta::zero())
            .await;
    tx.commit().await.unwrap();
    done
}

async fn red(app: &TestApp, id: CampaignId) -> Vec<&'static str> {
    let campaign = get(app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    found.red().map(|it| it.key).collect()
}

pub(crate) async fn save(
    app: &TestApp,
    id: CampaignId,
    change: impl FnOnce(&mut Edit),
) -> llovizna::error::Result<()> {
    let mut edit = Edit::of(&get(app, id).await);
    change(&mut edit);
    let mut tx = app.state.db.begin().await.unwrap();
    campaign::update(&mut tx, app.now(), &Actor::CommandLine, &app.state.config, id, &edit).await?;
    tx.commit().await.unwrap();
    Ok(())
}

fn refusal<T: std::fmt::Debug>(result: llovizna::error::Result<T>) -> String {
    match result.unwrap_err() {
        Error::Refused(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_migrated_campaign_waits_only_for_the_sender_and_its_people(db: PgPool) {
    let bare = TestApp::new(db.clone());
    let id = seeded(&bare).await;
    assert_eq!(red(&bare, id).await, ["sender", "from", "audience"]);
    let app = app(db);
    assert_eq!(red(&app, id).await, ["audience"]);
    people(&app, "sur", 2).await;
    // Neither a first name nor anything else that contacts commonly lack is needed.
    execute(&app, "update contacts set first_name = ''").await;
    assert_eq!(red(&app, id).await, Vec::<&str>::new());
    assert_eq!(start(&app, id).await.unwrap().enqueued.queued, 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_launch_with_something_missing_is_refused_and_says_what(db: PgPool) {
    let app = TestApp::new(db);
    let id = seeded(&app).await;
    people(&app, "sur", 1).await;
    let sentence = refusal(start(&app, id).await);
    assert!(
        sentence.contains("Falta el nombre, la dirección y el correo del remitente legal."),
        "{sentence}"
    );
    assert_eq!(get(&app, id).await.status, Status::Draft);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_thing_that_a_text_lacks_is_red(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    let good = get(&app, id).await.source;
    let check = async |change: &dyn Fn(&mut Source)| {
        let mut source = good.clone();
        change(&mut source);
        save(&app, id, |it| it.source = source).await.unwrap();
        red(&app, id).await
    };
    assert_eq!(check(&|it| it.subject = String::new()).await, ["subject"]);
    assert_eq!(check(&|it| it.body = String::new()).await, ["body"]);
    assert_eq!(check(&|it| it.footer = String::new()).await, ["footer"]);
    assert_eq!(
        check(&|it| it.footer = "{{ business_name }}, {{ business_address }}".into()).await,
        ["footer"]
    );
    assert_eq!(check(&|it| it.body = "Fono {{ business_phone }}".into()).await, ["variables"]);
    assert_eq!(check(&|_| ()).await, Vec::<&str>::new());
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_unknown_variable_is_named_at_its_field_with_the_nearest_one(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let error = save(&app, id, |it| it.source.body = "Hola {{ firstname }}".into()).await.unwrap_err();
    let Error::Invalid(fields) = error else { panic!("{error:?}") };
    assert_eq!(fields[0].field, "body");
    assert!(fields[0].message.contains("{{ firstname }}") && fields[0].message.contains("{{ first_name }}"));
    let page = app.post(&format!("/campaigns/{id}"), &[("subject", "Hola {{ frist_name }}")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text().contains("¿Quisiste decir {{ first_name }}?"), "{}", page.text());
    assert!(page.body.contains("Hola {{ frist_name }}"), "what was typed is kept");
    // One that reached the table by another way cannot start either.
    execute(
        &app,
        "with t as (
             insert into message_templates (communication_type, name, version, subject, body, body_format, footer, created_at)
             select communication_type, name, 2, '{{ nombre }}', body, body_format, footer, created_at from message_templates
             where name = 'campaign:prospeccion-los-lagos'
             returning id
         )
         update campaigns set template_id = t.id from t",
    )
    .await;
    people(&app, "sur", 1).await;
    assert_eq!(red(&app, id).await, ["variables"]);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_audience_is_any_within_a_list_and_all_between_lists(db: PgPool) {
    let app = app(db);
    let sur = people(&app, "sur", 2).await;
    let norte = people(&app, "norte", 1).await;
    execute(&app, "update companies set industry = 'Hotelería', comuna = null where name = 'norte'").await;
    execute(&app, "update contacts set comuna = '10109' where email = 'norte1@x.example'").await;
    sqlx::query("insert into contacts (first_name, email, search_key, created_at, updated_at) values ('Solo', 'solo@x.example', 'solo', $1, $1)")
        .bind(app.now())
        .execute(&app.state.db)
        .await
        .unwrap();
    let check = async |industries: &[&str], comunas: &[&str], import_ids: &[i64]| {
        let own = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        let rule = Rule {
            industries: own(industries),
            comunas: own(comunas),
            import_ids: import_ids.to_vec(),
            ..Rule::default()
        };
        audience::page(&mut app.state.db.acquire().await.unwrap(), app.now(), &rule, 0, 100).await.unwrap()
    };
    let all = [sur.clone(), norte.clone()].concat();
    assert_eq!(check(&[], &[], &[]).await, all);
    assert_eq!(check(&["Lechería"], &[], &[]).await, sur);
    assert_eq!(check(&["Lechería", "Hotelería"], &[], &[]).await, all);
    assert_eq!(
        check(&[], &["10109"], &[]).await,
        norte,
        "the person's own comuna where the company has none"
    );
    assert_eq!(check(&["Lechería"], &["10109"], &[]).await, []);
    execute(&app, "update contacts set import_id = 7 where email = 'sur2@x.example'").await;
    assert_eq!(check(&[], &[], &[7]).await, [sur[1]]);
    assert_eq!(check(&[], &[], &[8]).await, []);
    execute(
        &app,
        "insert into imports (id, kind, filename, created_at, created_by_name) overriding system value
         select n, case n when 9 then 'companies' else 'contacts' end, 'a.csv', '2026-01-01', 'x' from generate_series(9, 10) n",
    )
    .await;
    execute(&app, "update companies set import_id = 9 where name = 'norte'").await;
    assert_eq!(check(&[], &[], &[9]).await, norte, "of a file of companies, those who work there");
    execute(&app, "update companies set import_id = 10 where name = 'sur'").await;
    execute(&app, "update contacts set import_id = 10 where email = 'sur1@x.example'").await;
    assert_eq!(check(&[], &[], &[10]).await, [sur[0]], "of a file of people, its people alone");
}

/// One of each who would be left out, and one who would not.
async fn a_mixed_audience(app: &TestApp) {
    people(app, "sur", 7).await;
    execute(app, "update contacts set email = null, phone = '+56987654321' where email = 'sur1@x.example'")
        .await;
    execute(app, "update contacts set email_basis = null where email = 'sur2@x.example'").await;
    execute(app, "update contacts set first_name = ' ' where email = 'sur3@x.example'").await;
    sqlx::query(
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'sur4@x.example', 'PROMOTIONAL', 'UNSUBSCRIBED', $1), ('EMAIL', 'sur4@x.example', 'ALL', 'HARD_BOUNCE', $1)",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
    sqlx::query(
        "insert into contact_preferences select id, 'EMAIL', 'PROMOCIONAL', false, $1 from contacts where email = 'sur5@x.example'",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
    // A pause that outlasts the message, the last word after a shorter one; the other's is short enough to wait for.
    sqlx::query(
        "insert into contact_rhythms (contact_id, communication_type, paused_until, source, at)
         select id, 'EMAIL', until, 'Página de preferencias', $1
         from contacts join (values (1, 'sur6@x.example', date '2026-11-30'), (2, 'sur6@x.example', '2027-01-23'),
             (3, 'sur7@x.example', '2027-01-23'), (4, 'sur7@x.example', '2026-12-23')) said (n, email, until) using (email)
         order by n",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_foretold_is_what_the_gate_does(db: PgPool) {
    let app = app(db);
    a_mixed_audience(&app).await;
    let id = seeded(&app).await;
    save(&app, id, |it| it.source.body = "Hola {{ first_name }}".into()).await.unwrap();
    let campaign = get(&app, id).await;
    let question = Question {
        rule: &campaign.audience,
        channel: Channel::Email,
        message_type: MessageType::Promocional,
        required: &["first_name"],
        otherwise: &[],
        now: app.now(),
    };
    let mut db = app.state.db.acquire().await.unwrap();
    let foretold = audience::preview(&mut db, question).await.unwrap();
    assert_eq!((foretold.total, foretold.reachable), (7, 1));
    assert_eq!(foretold.gaps.get("first_name"), Some(&1));
    for (reason, email) in [
        (BlockReason::NoAddress, None),
        (BlockReason::NoConsent, Some("sur2@x.example")),
        (BlockReason::MissingVariable, Some("sur3@x.example")),
        (BlockReason::Suppressed, Some("sur4@x.example")),
        (BlockReason::Preference, Some("sur5@x.example")),
        (BlockReason::Paused, Some("sur6@x.example")),
    ] {
        let found = audience::people(&mut db, question, Which::LeftOut(reason), &[], None, 10).await.unwrap();
        assert_eq!(found.iter().map(|it| it.address.as_deref()).collect::<Vec<_>>(), [email], "{reason:?}");
    }
    let launched = start(&app, id).await.unwrap();
    assert_eq!(launched.enqueued.queued, foretold.reachable);
    assert_eq!(launched.enqueued.blocked, foretold.left_out);
    let after = progress::of(&app.state.db, id).await.unwrap();
    assert_eq!(after.blocked, foretold.left_out);
    assert_eq!((after.count(MessageStatus::Pending), after.total()), (1, 7));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn people_are_paged_by_their_ids(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 5).await;
    let rule = Rule::default();
    let question = Question {
        rule: &rule,
        channel: Channel::Email,
        message_type: MessageType::Promocional,
        required: &[],
        otherwise: &[],
        now: app.now(),
    };
    let mut db = app.state.db.acquire().await.unwrap();
    let first = audience::people(&mut db, question, Which::Reachable, &[], None, 3).await.unwrap();
    let rest = audience::people(&mut db, question, Which::All, &[], Some(first[2].id), 3).await.unwrap();
    assert_eq!(first.iter().chain(&rest).map(|it| it.id).collect::<Vec<_>>(), all);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_starts_once(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    let sentence = refusal(start(&app, id).await);
    assert!(sentence.contains("ya está «en curso»"), "{sentence}");
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().total(), 3);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_rest_of_a_large_audience_follows_by_checkpoint(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 27_003).await;
    let id = seeded(&app).await;
    let launched = start(&app, id).await.unwrap();
    assert_eq!((launched.enqueued.queued, launched.complete), (20_000, false));
    assert_eq!(
        status::settle(&app.state.db, app.now()).await.unwrap(),
        0,
        "not finished while people are missing"
    );
    assert_eq!(launch::run_once(&app.state.db, app.now()).await.unwrap(), 7003);
    assert_eq!(launch::run_once(&app.state.db, app.now()).await.unwrap(), 0);
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().total(), 27_003);
    assert!(get(&app, id).await.enqueue_done);
    // As a kill leaves it whose last pages stood before the checkpoint had passed them.
    execute(&app, "update campaigns set enqueue_done = false, enqueued_through = enqueued_through - 12000")
        .await;
    assert_eq!(launch::run_once(&app.state.db, app.now()).await.unwrap(), 12_000);
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().total(), 27_003, "each person once");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_paused_or_cancelled_campaign_queues_nobody_more(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    execute(&app, "update campaigns set enqueue_done = false, enqueued_through = 0").await;
    people(&app, "oeste", 2).await;
    let mut tx = app.state.db.begin().await.unwrap();
    status::pause(&mut tx, app.now(), &Actor::CommandLine, id, "Falta revisar").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(launch::run_once(&app.state.db, app.now()).await.unwrap(), 0);
    let it = get(&app, id).await;
    assert_eq!((it.status, it.pause_reason.as_deref()), (Status::Paused, Some("Falta revisar")));
    let mut tx = app.state.db.begin().await.unwrap();
    status::resume(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap();
    tx.commit().await.unwrap();
    launch::run_once(&app.state.db, app.now()).await.unwrap();
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().total(), 5, "each person once");
    let mut tx = app.state.db.begin().await.unwrap();
    assert_eq!(status::cancel(&mut tx, app.now(), &Actor::CommandLine, id).await.unwrap(), 5);
    tx.commit().await.unwrap();
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().count(MessageStatus::Cancelled), 5);
    let mut tx = app.state.db.begin().await.unwrap();
    let sentence = refusal(status::resume(&mut tx, app.now(), &Actor::CommandLine, id).await);
    assert!(sentence.contains("«cancelada»"), "{sentence}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_ends_when_no_row_is_open_and_goes_on_when_one_is_put_back(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    execute(&app, "update communication_logs set status = 'BLOCKED', block_reason = 'SUPPRESSED' where id = (select min(id) from communication_logs)").await;
    assert_eq!(status::settle(&app.state.db, app.now()).await.unwrap(), 0);
    execute(
        &app,
        "with run as (insert into drip_runs (trigger, communication_type, started_at) values ('CLI', 'EMAIL', '2026-11-23') returning id)
         update communication_logs set status = 'SENDING', drip_run_id = run.id from run where status = 'PENDING'",
    )
    .await;
    execute(&app, "update communication_logs set status = 'FAILED' where status = 'SENDING'").await;
    assert_eq!(status::settle(&app.state.db, app.now()).await.unwrap(), 1);
    let it = get(&app, id).await;
    assert_eq!((it.status, it.finished_at), (Status::Finished, Some(app.now())));
    let done = app.post(&format!("/campaigns/{id}/retries"), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(get(&app, id).await.status, Status::Running);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn editing_a_running_campaign_makes_a_version_for_those_who_are_left(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 2).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    let before = get(&app, id).await;
    save(&app, id, |it| {
        it.source.subject = "Otro asunto".into();
        it.audience.industries = vec!["Nadie".into()];
    })
    .await
    .unwrap();
    let after = get(&app, id).await;
    assert_eq!((after.version, after.source.subject.as_str()), (before.version + 1, "Otro asunto"));
    assert_eq!(after.audience, before.audience, "whom it is for is fixed once it started");
    let error = save(&app, id, |it| it.source.footer = String::new()).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(fields) if fields[0].field == "footer"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn batch_and_gaps_are_amber_and_do_not_stop(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 2).await;
    execute(&app, "update contacts set first_name = '' where email = 'sur1@x.example'").await;
    let id = seeded(&app).await;
    save(&app, id, |it| {
        it.batch_size = 500;
        it.source.body = "Hola {{ first_name }}".into();
    })
    .await
    .unwrap();
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    let amber: Vec<_> = found.items.iter().filter(|it| it.level == Level::Amber).map(|it| it.key).collect();
    assert!(found.is_ready());
    assert!(["gaps", "batch", "audience", "trial"].iter().all(|it| amber.contains(it)), "{amber:?}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_that_filters_would_suspect_is_told_and_may_start(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    save(&app, id, |it| {
        it.source.subject = "Todo gratis".into();
        it.source.body_format = llovizna::messaging::template::BodyFormat::Html;
        it.source.body = "<p>Mira <a href='https://bit.ly/x'>esto</a>, {{ first_name }}</p>".into();
    })
    .await
    .unwrap();
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    assert!(found.is_ready());
    let level = |key: &str| found.items.iter().find(|it| it.key == key).map(|it| it.level);
    assert_eq!((level("words"), level("links")), (Some(Level::Amber), Some(Level::Amber)));
    assert_eq!(level("weight"), Some(Level::Green));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_had_their_weekly_message_is_foretold_to_wait(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    execute(
        &app,
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                         scheduled_at, next_attempt_at, created_at, sent_at)
         select 'MANUAL', id, 'EMAIL', 'NEWSLETTER', email, 'SENT', '2026-11-20', '2026-11-20', '2026-11-20', '2026-11-20 15:00+00'
         from contacts where email = 'sur1@x.example'",
    )
    .await;
    let campaign = get(&app, id).await;
    let mut db = app.state.db.acquire().await.unwrap();
    let found = checklist::of(&mut db, app.now(), &app.state.config, &campaign).await.unwrap();
    assert_eq!((found.preview.reachable, found.later.people()), (3, 1));
}

// Pages

async fn page(app: &TestApp, path: &str) -> Reply {
    let page = app.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text());
    page
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_is_written_checked_started_and_watched_in_the_panel(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    execute(&app, "update contacts set email_basis = null where email = 'sur3@x.example'").await;
    assert!(page(&app, "/campaigns").await.text().contains("Prospección Los Lagos"));
    page(&app, "/campaigns/new").await;
    let made = app
        .post(
            "/campaigns",
            &[
                ("name", "Primavera"),
                ("subject", "Hola {{ first_name }}"),
                ("body", "Ven, {{ first_name }}.\r\nTe esperamos."),
                ("body_format", "TEXT"),
                ("audience", "chosen"),
                ("industries", "Lechería"),
                ("comunas", "10101"),
                ("batch_size", "25"),
                ("daily_cap", "1.000"),
                ("window", "own"),
                ("days", "1"),
                ("days", "2"),
                ("opens", "10:00"),
                ("closes", "17:30"),
                ("skip_holidays", "on"),
            ],
        )
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let path = made.location().to_owned();
    let id: CampaignId = path.rsplit('/').next().unwrap().parse().unwrap();
    let it = get(&app, id).await;
    assert_eq!((it.batch_size, it.daily_cap), (25, Some(1000)));
    assert_eq!(it.business_hours.unwrap().describe(), "lunes y martes de 10:00 a 17:30, salvo feriados");
    assert_eq!(it.source.body, "Ven, {{ first_name }}.\nTe esperamos.");

    let bare = page(&app, &path).await.text();
    assert!(
        bare.contains("Revisar la campaña y a quiénes llegará") && !bare.contains("La recibirán"),
        "{bare}"
    );
    let draft = page(&app, &format!("{path}?checklist=1")).await.text();
    assert!(
        draft.contains("Lista para iniciar") && draft.contains("La recibirán 2 de 3 personas"),
        "{draft}"
    );
    let left_out = page(&app, &format!("{path}/audience?reason=NO_CONSENT")).await.text();
    assert!(left_out.contains("sur3@x.example") && !left_out.contains("sur1@x.example"), "{left_out}");
    let ask = page(&app, &format!("{path}/launch")).await.text();
    assert!(ask.contains("Se enviará a 2 personas, desde ahora."), "{ask}");
    app.state.clock.advance(TimeDelta::hours(12));
    let ask = page(&app, &format!("{path}/launch")).await.text();
    assert!(ask.contains("Se enviará a 2 personas desde el martes 24-11-2026 a las 10:00."), "{ask}");
    assert!(ask.contains("Con 25 por corrida cada 10 minutos y un tope de 50 al día"), "{ask}");

    let started = app.post(&format!("{path}/launch"), &[]).await;
    assert_eq!((started.status, started.location()), (StatusCode::SEE_OTHER, path.as_str()));
    let running = page(&app, &path).await;
    assert!(running.body.contains("hx-trigger=\"every 4s\""));
    assert!(
        running.body.contains(&format!("/messages?campaign={id}&#38;status=PENDING")),
        "numbers link to people"
    );
    assert!(
        running.text().contains("Sin consentimiento ni otra base para promociones 1"),
        "{}",
        running.text()
    );
    let fragment = app.admin().await.htmx().get(&format!("{path}/progress?status=RUNNING")).await;
    assert!(!fragment.body.contains("<html") && fragment.headers.get("hx-refresh").is_none());

    let paused = app.post(&format!("{path}/pause"), &[("reason", "Falta stock")]).await;
    assert_eq!(paused.status, StatusCode::SEE_OTHER);
    let text = page(&app, &path).await.text();
    assert!(text.contains("Falta stock") && text.contains("La pausó Persona Superadministrador"), "{text}");
    let stale = app.admin().await.htmx().get(&format!("{path}/progress?status=RUNNING")).await;
    assert_eq!(stale.headers["hx-refresh"], "true");
    assert!(!stale.body.contains("every 4s"), "a paused campaign is not asked for again");
    app.post(&format!("{path}/pause?_method=DELETE"), &[]).await;
    assert_eq!(get(&app, id).await.status, Status::Running);
    app.post(&format!("{path}/pause"), &[]).await;
    app.post(&format!("{path}/resume"), &[]).await;
    assert_eq!(get(&app, id).await.status, Status::Running);

    assert!(page(&app, &format!("{path}/cancellation")).await.text().contains("2 mensajes pendientes"));
    app.post(&format!("{path}/cancellation"), &[]).await;
    assert_eq!(get(&app, id).await.status, Status::Cancelled);
    let audited: Vec<String> = sqlx::query_scalar(
        "select action from audit_events where subject_kind = 'campaign' and subject_id = $1 order by id",
    )
    .bind(id.0)
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    assert_eq!(
        audited,
        [
            "campaign.create",
            "campaign.launch",
            "campaign.pause",
            "campaign.resume",
            "campaign.pause",
            "campaign.resume",
            "campaign.cancel"
        ]
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_program_may_send_only_the_fields_that_it_changes(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let before = get(&app, id).await;
    let done = app.post(&format!("/campaigns/{id}"), &[("batch_size", "40")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let after = get(&app, id).await;
    assert_eq!(after.batch_size, 40);
    assert_eq!((after.source, after.audience, after.name), (before.source, before.audience, before.name));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_cannot_be_understood_stays_in_the_form(db: PgPool) {
    let app = app(db);
    let form =
        [("name", ""), ("batch_size", "treinta"), ("window", "own"), ("opens", "18:00"), ("closes", "09:00")];
    let page = app.post("/campaigns", &form).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = page.text();
    for sentence in [
        "Ponle un nombre a la campaña",
        "Escribe un número entero.",
        "Elige al menos un día de la semana.",
        "La hora de término debe ser posterior",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
    assert!(page.body.contains("value=\"treinta\""));
    // The summary goes through the form from top to bottom.
    let (_, summary) = page.body.split_once("id=\"errors\"").unwrap();
    let led = summary.split("</ul>").next().unwrap().split("href=\"#field-").skip(1);
    let led: Vec<&str> = led.map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(led, ["name", "batch_size", "days", "closes"]);
    // What is a number and less than there may be is told what there may be.
    let less = [("name", "x"), ("batch_size", "-3"), ("daily_cap", "-3"), ("spacing_seconds", "-3")];
    let text = app.post("/campaigns", &less).await.text();
    for sentence in [
        "Mensajes por corrida: Escribe un número entre 1 y 100.000; recomendamos de 20 a 50.",
        "Tope diario de esta campaña: Escribe un número entre 1 y 10.000.000, o déjalo en blanco.",
        "Segundos entre un mensaje y otro: Escribe un número de segundos entre 0 y 60.",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_form_counts_and_previews_what_is_typed_without_writing(db: PgPool) {
    let app = app(db);
    let ids = people(&app, "sur", 3).await;
    execute(&app, "update contacts set first_name = '<b>Ana</b>' where email = 'sur1@x.example'").await;
    execute(&app, "update contacts set first_name = '' where email = 'sur2@x.example'").await;
    let admin = app.admin().await.htmx();
    let count = admin
        .post(
            "/campaigns/audience",
            &[("audience", "chosen"), ("industries", "Lechería"), ("body", "{{ first_name }}")],
        )
        .await;
    assert!(count.text().contains("3 personas en la audiencia; la recibirían 2"), "{}", count.text());
    assert!(count.text().contains("1: Falta un dato que el texto necesita"), "{}", count.text());
    let ana = ids[0].to_string();
    let text = [
        ("subject", "Hola {{ first_name }}"),
        ("body", "Hola {{ first_name }}"),
        ("contact_id", ana.as_str()),
    ];
    let shown = admin.post("/campaigns/preview", &text).await;
    assert!(shown.body.contains("Hola &#60;b&#62;Ana"), "{}", shown.body);
    let framed = admin.post("/campaigns/preview?part=html", &text).await;
    assert!(framed.body.contains("Hola &lt;b&gt;Ana"), "{}", framed.body);
    let policy = framed.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"), "{policy}");
    let gap = ids[1].to_string();
    let hole =
        admin.post("/campaigns/preview", &[("body", "Hola {{ first_name }}"), ("contact_id", &gap)]).await;
    assert!(hole.text().contains("Falta un dato: nombre de la persona"), "{}", hole.text());
    let wrong = admin.post("/campaigns/preview", &[("body", "{{ frist_name }}")]).await;
    assert!(wrong.text().contains("¿Quisiste decir {{ first_name }}?"), "{}", wrong.text());
    let written: bool = sqlx::query_scalar(
        "select exists (select from message_templates where name <> 'campaign:prospeccion-los-lagos'
             and name not like 'library:ready:%')",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(!written);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_test_goes_to_whoever_asks_at_once_even_at_night(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    app.state.clock.advance(TimeDelta::hours(12));
    let admin = app.admin().await;
    let done = admin.post(&format!("/campaigns/{id}/test"), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let sent = app.mailbox.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to_email, "superadmin@prueba.cl");
    assert!(sent[0].subject.starts_with("[Prueba] "), "{}", sent[0].subject);
    assert_eq!(progress::of(&app.state.db, id).await.unwrap().total(), 0, "a test is no recipient");
    let text = admin.get(&format!("/campaigns/{id}?checklist=1")).await.text();
    assert!(text.contains("La prueba salió a superadmin@prueba.cl."), "{text}");
    assert!(text.contains("Ya enviaste una prueba de este texto."), "{text}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn only_who_may_send_starts_and_stops(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    let staff = app.as_role(Role::Staff).await;
    for path in ["launch", "pause", "resume", "cancellation", "retries"] {
        let reply = staff.post(&format!("/campaigns/{id}/{path}"), &[]).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(
        staff.post(&format!("/campaigns/{id}"), &[("name", "Otra")]).await.status,
        StatusCode::SEE_OTHER
    );
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(
        reader.post(&format!("/campaigns/{id}"), &[("name", "Otra")]).await.status,
        StatusCode::FORBIDDEN
    );
    let seen = reader.get(&format!("/campaigns/{id}")).await;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(
        !seen.body.contains("/launch") && !seen.body.contains("/edit\""),
        "no button that would not work"
    );
    start(&app, id).await.unwrap();
    let edit = staff.post(&format!("/campaigns/{id}"), &[("subject", "Nuevo")]).await;
    assert_eq!(edit.status, StatusCode::FORBIDDEN, "the words of a campaign that sends are for who may send");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn nobody_overwrites_the_text_of_a_campaign_that_they_have_not_seen(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let (form, address) = (app.get(&format!("/campaigns/{id}/edit")).await.body, format!("/campaigns/{id}"));
    let seen = |page: &str| {
        let (_, rest) = page.split_once("name=\"seen\" value=\"").unwrap_or_default();
        rest.split('"').next().unwrap_or_default().replace("&#43;", "+")
    };
    let early = seen(&form);
    app.state.clock.advance(TimeDelta::minutes(3));
    let first = app.post(&address, &[("subject", "Una"), ("seen", &early)]).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let late = app.post(&address, &[("subject", "Otra"), ("seen", &early)]).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        late.text().contains("cambió mientras la editabas") && late.body.contains("Otra"),
        "what was typed stays"
    );
    assert_eq!(get(&app, id).await.source.subject, "Una");
    // Saving again is a choice made with open eyes.
    let again = app.post(&address, &[("subject", "Otra"), ("seen", &seen(&late.body))]).await;
    assert_eq!((again.status, get(&app, id).await.source.subject.as_str()), (StatusCode::SEE_OTHER, "Otra"));
}
