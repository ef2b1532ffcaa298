//! The small print of mailings: which text may leave, who is refused at once, what a failing database costs, and what may
//! be done in which state.

use crate::{
    campaigns::{app, execute, people},
    mailings::{OFFER, ask, count, made, many, settle},
    support::TestApp,
    templates::drip,
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    contacts::contact_list::Filter,
    db::MIGRATIONS,
    error::Error,
    ids::{ContactId, LibraryId, MailingId},
    mailings::{self, Status, Words, run},
};
use sqlx::PgPool;
use std::time::Duration;

const ONCE: [&str; 3] = [
    "0191d3a0-0000-7000-8000-000000000001",
    "0191d3a0-0000-7000-8000-000000000002",
    "0191d3a0-0000-7000-8000-000000000003",
];

const FOOTER: &str = "{{ business_name }}, {{ business_address }}. Baja: {{ unsubscribe_url }}";

async fn status(app: &TestApp, id: MailingId) -> Status {
    mailings::get(&app.state.db, id).await.unwrap().status
}

/// A text of one's own.
fn own<'a>(subject: &'a str, once: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![("words", "own"), ("subject", subject), ("body", "Hola"), ("footer", FOOTER), ("once", once)]
}

/// The message type and state of all messages, each once.
async fn queued(app: &TestApp) -> Vec<(String, String, Option<String>)> {
    sqlx::query_as(
        "select distinct message_type, status, block_reason from communication_logs order by 1, 2, 3",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_template_that_is_not_offered_by_hand_is_sent_to_nobody(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let refused = async |template: &str, why: &str| {
        let fields = [("words", "template"), ("template", template), ("once", ONCE[0])];
        let reply = ask(&app, &all, &fields).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        assert!(reply.text().contains("Elige una plantilla de la lista"), "{why}: {}", reply.text());
    };
    refused("999", "there is none").await;
    let of_campaigns: i64 = count(&app, "select id from library_templates where kind = 'REACTIVATION'").await;
    refused(&of_campaigns.to_string(), "of another kind").await;
    execute(&app, "update library_templates set archived_at = '2026-11-20' where id = 1").await;
    refused("1", "put away").await;
    execute(&app, "update library_templates set archived_at = null where id = 1").await;
    let text = [
        ("name", "Oferta corta"),
        ("kind", "OFERTA"),
        ("channel", "SMS"),
        ("body", "Hola {{ first_name | default(\"\") }}: 20%. ¿No quieres SMS? Responde BAJA"),
    ];
    assert_eq!(app.post("/templates", &text).await.status, StatusCode::SEE_OTHER);
    let of_sms: i64 = count(&app, "select l.id from library_templates l join message_templates t on t.id = l.template_id where t.communication_type = 'SMS'").await;
    refused(&of_sms.to_string(), "of another channel").await;
    assert_eq!(count(&app, "select count(*) from mailings").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn to_nobody_nothing_is_asked_for(db: PgPool) {
    let app = app(db);
    let reply = ask(&app, &[ContactId(999)], OFFER).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reply.text().contains("Ya no hay nadie así"), "{}", reply.text());
    let form = app.get("/mailings/new?scope=selected&id=999").await;
    assert_eq!((form.status, form.location()), (StatusCode::SEE_OTHER, "/contacts"));
    assert_eq!(count(&app, "select count(*) from mailings").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn each_message_is_of_the_kind_of_its_text_and_who_lacks_what_it_needs_is_refused_at_once(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 2).await;
    execute(&app, "update contacts set job_title = 'Gerente' where email = 'sur1@x.example'").await;
    made(&ask(&app, &all[..1], OFFER).await);
    settle(&app).await;
    let row = |kind: &str, status: &str, why: Option<&str>| {
        (kind.to_owned(), status.to_owned(), why.map(str::to_owned))
    };
    assert_eq!(queued(&app).await, [row("PROMOCIONAL", "PENDING", None)]);
    made(&ask(&app, &all, &own("Para quien es {{ job_title }}", ONCE[1])).await);
    settle(&app).await;
    let of_own = row("OTHER", "BLOCKED", Some("MISSING_VARIABLE"));
    assert_eq!(
        queued(&app).await,
        [of_own, row("OTHER", "PENDING", None), row("PROMOCIONAL", "PENDING", None)]
    );
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn other_words_of_ones_own_or_another_list_under_the_same_press_are_refused(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 2).await;
    let first = made(&ask(&app, &all, &own("Una pregunta", ONCE[0])).await);
    assert_eq!(made(&ask(&app, &all, &own("Una pregunta", ONCE[0])).await), first);
    let other = ask(&app, &all, &own("Otra pregunta", ONCE[0])).await;
    let template = ask(&app, &all, OFFER).await;
    let fields = own("Una pregunta", ONCE[0]);
    let list = app.post("/mailings", &[&[("scope", "all"), ("list", "q=sur")][..], &fields].concat()).await;
    for reply in [other, template, list] {
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(reply.text().contains("ya se envió"), "{}", reply.text());
    }
    assert_eq!(count(&app, "select count(*) from mailings").await, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_its_state_does_not_allow_is_refused_and_changes_nothing(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let id = made(&ask(&app, &all, OFFER).await);
    let path = format!("/mailings/{id}");
    let who = app.admin().await;
    let said = async |what: &str| {
        who.post(&format!("{path}/{what}"), &[]).await;
        who.get(&path).await.text()
    };
    for expected in [Status::Running, Status::Done] {
        assert_eq!(status(&app, id).await, expected);
        let page = said("resume").await;
        assert!(page.contains("Este envío no está detenido"), "{page}");
        assert_eq!(status(&app, id).await, expected);
        settle(&app).await;
    }
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post(&format!("{path}/cancellation"), &[]).await.status, StatusCode::FORBIDDEN);
    let page = staff.get(&path).await.text();
    assert!(page.contains("Ver los mensajes") && !page.contains("Cancelar lo que no ha salido"), "{page}");
    let offers = async || who.get(&path).await.text().contains("Cancelar lo que no ha salido");
    assert!(offers().await, "one waits in the queue");
    assert!(said("cancellation").await.contains("Cancelado: 1 mensaje"));
    assert!(!offers().await);
    let page = said("cancellation").await;
    assert!(page.contains("ya se canceló"), "{page}");
    assert!(said("resume").await.contains("no está detenido"));
    // Trouble of before, told now, brings nothing back to life.
    let mut tx = app.state.db.begin().await.unwrap();
    let paused = mailings::pause_for_trouble(&mut tx, app.now(), id, "Prueba".to_owned()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((paused, status(&app, id).await), (None, Status::Cancelled));
    let told = "select count(*) from audit_events where action in ('mailing.cancel', 'mailing.resume', 'mailing.pause')";
    assert_eq!(count(&app, told).await, 1, "only what happened");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_paused_queues_nobody_and_says_nothing_of_it_once_it_goes_on(db: PgPool) {
    let app = app(db);
    let id = many(&app).await;
    assert!(run::run_once(&app.state.db, app.now()).await.unwrap());
    let mut tx = app.state.db.begin().await.unwrap();
    let paused =
        mailings::pause_for_trouble(&mut tx, app.now(), id, "Revisa el DNS.".to_owned()).await.unwrap();
    tx.commit().await.unwrap();
    assert!(paused.is_some_and(|it| it.mailing_id == id && it.reason == "Revisa el DNS."));
    let mut tx = app.state.db.begin().await.unwrap();
    let again = mailings::pause_for_trouble(&mut tx, app.now(), id, "Otra cosa.".to_owned()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(again, None, "it stands still for the first reason");
    assert!(!run::run_once(&app.state.db, app.now()).await.unwrap(), "nothing to do");
    let path = format!("/mailings/{id}");
    let page = app.get(&path).await.text();
    assert!(page.contains("Revisa el DNS. Falta 1 persona por poner en la cola."), "{page}");
    assert!(app.get("/audit").await.text().contains("puso en pausa el envío a mano"));
    app.post(&format!("{path}/resume"), &[]).await;
    let it = mailings::get(&app.state.db, id).await.unwrap();
    assert_eq!((it.status, it.failure), (Status::Running, None));
    settle(&app).await;
    assert_eq!(status(&app, id).await, Status::Done);
    assert!(!app.get(&path).await.text().contains("Revisa el DNS"));
    assert_eq!(count(&app, "select count(*) from communication_logs").await, 2001);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_database_that_stumbles_fails_no_mailing_and_one_that_refuses_does(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let id = made(&ask(&app, &all, OFFER).await);
    let stumble = async |code: &str| {
        let sql = format!(
            "create or replace function stumbles() returns trigger language plpgsql as $$ begin
                 raise exception 'as it must' using errcode = '{code}';
             end $$;
             create or replace trigger stumbles before insert on communication_logs for each row execute function stumbles()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&app.state.db).await.unwrap();
    };
    stumble("40001").await;
    assert!(run::run_once(&app.state.db, app.now()).await.is_err(), "it is tried again");
    assert_eq!(status(&app, id).await, Status::Running);
    stumble("P0001").await;
    assert!(run::run_once(&app.state.db, app.now()).await.unwrap());
    let page = app.get(&format!("/mailings/{id}")).await.text();
    assert!(
        page.contains("No se pudo terminar") && page.contains("No se pudo poner en la cola a todas"),
        "{page}"
    );
    assert!(!run::run_once(&app.state.db, app.now()).await.unwrap(), "it stands still");
    execute(&app, "drop trigger stumbles on communication_logs").await;
    app.post(&format!("/mailings/{id}/resume"), &[]).await;
    settle(&app).await;
    drip(&app).await;
    assert_eq!((status(&app, id).await, app.mailbox.sent().len()), (Status::Done, 1));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_engine_passes_over_what_another_works_on(db: PgPool) {
    let app = app(db.clone());
    let all = people(&app, "sur", 2).await;
    let first = made(&ask(&app, &all[..1], OFFER).await);
    let second = made(&ask(&app, &all[1..], &[OFFER[0], OFFER[1], ("once", ONCE[1])]).await);
    let mut other = db.begin().await.unwrap();
    sqlx::query("select from mailings where id = $1 for update")
        .bind(first.0)
        .execute(&mut *other)
        .await
        .unwrap();
    let waits = tokio::time::timeout(Duration::from_secs(30), settle(&app)).await;
    assert!(waits.is_ok(), "an engine waits for another");
    other.rollback().await.unwrap();
    assert_eq!((status(&app, first).await, status(&app, second).await), (Status::Running, Status::Done));
    settle(&app).await;
    assert_eq!(status(&app, first).await, Status::Done);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn mailings_that_leave_together_share_what_one_would_get(db: PgPool) {
    let app = app(db);
    let (south, north) = (people(&app, "sur", 30).await, people(&app, "norte", 30).await);
    made(&ask(&app, &south, OFFER).await);
    made(&ask(&app, &north, &[OFFER[0], OFFER[1], ("once", ONCE[1])]).await);
    settle(&app).await;
    drip(&app).await;
    let left = |who: &str| app.mailbox.sent().iter().filter(|it| it.to_email.starts_with(who)).count();
    // Half of the day's cap of 50 is 25.
    assert_eq!((left("sur"), left("norte")), (12, 12));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_of_one_is_asked_for_anew_once_it_stands_and_the_list_of_all_goes_on(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let id = made(&ask(&app, &all, OFFER).await);
    let live = format!("/mailings/{id}/progress");
    let refresh = async || app.get(&live).await.headers.contains_key("HX-Refresh");
    assert!(!refresh().await, "while it runs");
    settle(&app).await;
    assert!(refresh().await);
    let preview = app.post("/mailings/preview", OFFER).await.body;
    let version: i64 = count(&app, "select template_id from library_templates where id = 1").await;
    let carried = format!("name=\"version\" value=\"{version}\"");
    assert!(preview.contains(&carried), "what is confirmed is what was seen: {preview}");
    let letter = app.get(&format!("/mailings/{id}/letter")).await;
    assert!(letter.text().contains("Un descanso para dos"), "{}", letter.text());
    execute(
        &app,
        "insert into mailings (once, title, message_type, template_id, library_id, filter, created_at, created_by_name, status)
         select gen_random_uuid(), 'Envío ' || n, message_type, template_id, library_id, filter, created_at, created_by_name, status
         from mailings, generate_series(2, 52) n",
    )
    .await;
    let first = app.get("/mailings").await;
    let next = first.body.split("href=\"/mailings?before=").nth(1).expect("there are more");
    let next = format!("/mailings?before={}", next.split('"').next().unwrap());
    assert!(first.text().contains("Envío 52") && first.text().contains("Envío 3 "), "{}", first.text());
    assert!(!first.text().contains("Envío 2 "), "fifty of them");
    let second = app.get(&next).await;
    assert!(second.text().contains("Envío 2 ") && second.text().contains("Oferta"), "{}", second.text());
    assert!(!second.body.contains("/mailings?before="), "the last page");
    let mut tx = app.state.db.begin().await.unwrap();
    let forbidden = mailings::cancel(&mut tx, app.now(), &Actor::System, MailingId(999)).await;
    assert!(forbidden.is_err(), "there is none");
    assert_eq!(app.get("/mailings/999").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_may_not_send_is_refused_whichever_way_leads_there(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let id = made(&ask(&app, &all, OFFER).await);
    let staff = app.as_role(Role::Staff).await;
    let mut tx = app.state.db.begin().await.unwrap();
    let actor = Actor::asking(&mut *tx, staff.staff.map(|it| it.0), "").await.unwrap();
    let draft = mailings::Draft {
        once: ONCE[1].parse().unwrap(),
        words: Words::Template(LibraryId(1)),
        shown: None,
        seen: None,
    };
    let filter = Filter { among: Some(vec![all[0].0]), ..Filter::default() };
    let created =
        mailings::create(&mut tx, app.now(), &actor, &app.state.config, &draft, &filter).await.map(|_| ());
    let cancelled = mailings::cancel(&mut tx, app.now(), &actor, id).await.map(|_| ());
    let resumed = mailings::resume(&mut tx, app.now(), &actor, id).await;
    for refused in [created, cancelled, resumed] {
        assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
    }
}
