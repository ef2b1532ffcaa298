//! Writing to people chosen from a list: foretold, queued once each, through the gate, taken back.

use crate::{
    campaigns::{app, execute, people},
    support::{Reply, TestApp, until_waiting},
    templates::drip,
};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    contacts::contact_list::Filter,
    db::MIGRATIONS,
    ids::{ContactId, LibraryId, MailingId},
    mailings::{self, Status, Words, run},
    messaging::{
        departure, gate,
        kinds::{BlockReason, OriginKind},
        template,
    },
};
use sqlx::PgPool;

pub(crate) const ONCE: &str = "0191d3a0-0000-7000-8000-000000000001";

/// The ready offer of the library.
pub(crate) const OFFER: &[(&str, &str)] = &[("words", "template"), ("template", "1"), ("once", ONCE)];

const FOOTER: &str = "{{ business_name }}, {{ business_address }}. Baja: {{ unsubscribe_url }}";

fn chosen(ids: &[ContactId]) -> Vec<(&'static str, String)> {
    [("scope", "selected".to_owned())]
        .into_iter()
        .chain(ids.iter().map(|it| ("id", it.to_string())))
        .collect()
}

pub(crate) async fn ask(app: &TestApp, ids: &[ContactId], fields: &[(&str, &str)]) -> Reply {
    let whom = chosen(ids);
    let all: Vec<(&str, &str)> =
        whom.iter().map(|it| (it.0, it.1.as_str())).chain(fields.iter().copied()).collect();
    app.post("/mailings", &all).await
}

/// More people than a page of the engine holds, and the mailing to all of them.
pub(crate) async fn many(app: &TestApp) -> MailingId {
    people(app, "sur", 2001).await;
    made(&app.post("/mailings", &[OFFER, &[("scope", "all"), ("list", "q=sur")]].concat()).await)
}

pub(crate) fn made(reply: &Reply) -> MailingId {
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    MailingId(reply.location().trim_start_matches("/mailings/").parse().unwrap())
}

pub(crate) async fn settle(app: &TestApp) {
    while run::run_once(&app.state.db, app.now()).await.unwrap() {}
}

pub(crate) async fn count(app: &TestApp, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&app.state.db).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn those_who_were_marked_get_it_once_and_the_others_a_reason(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 4).await;
    execute(&app, "update contacts set email_basis = null where email like 'sur2@%'").await;
    execute(&app, "update contacts set email = null, phone = '+56912345678' where email like 'sur3@%'").await;
    let page =
        app.get(&format!("/mailings/new?scope=selected&id={}&id={}&id={}", all[0], all[1], all[2])).await;
    assert!(page.text().contains("De 3 personas, lo recibiría 1"), "{}", page.text());
    assert!(page.text().contains("1: Sin consentimiento") && page.text().contains("Sur2"), "{}", page.text());
    let id = made(&ask(&app, &all[..3], OFFER).await);
    // The same form again, as a second press sends it.
    assert_eq!(made(&ask(&app, &all[..3], OFFER).await), id);
    settle(&app).await;
    assert_eq!(count(&app, "select count(*) from communication_logs where origin = 'MANUAL'").await, 3);
    let reasons: Vec<(String, String)> = sqlx::query_as(
        "select c.first_name, l.block_reason from communication_logs l join contacts c on c.id = l.contact_id
         where l.status = 'BLOCKED' order by 1",
    )
    .fetch_all(&app.state.db)
    .await
    .unwrap();
    let own = |it: (&str, &str)| (it.0.to_owned(), it.1.to_owned());
    assert_eq!(reasons, [own(("Sur2", "NO_CONSENT")), own(("Sur3", "NO_ADDRESS"))]);
    drip(&app).await;
    let sent = app.mailbox.sent();
    assert_eq!(sent.iter().map(|it| it.to_email.as_str()).collect::<Vec<_>>(), ["sur1@x.example"]);
    assert!(sent[0].html.contains("Un descanso para dos") && sent[0].unsubscribe_url.is_some());
    let log = app.get(&format!("/messages?mailing={id}")).await.text();
    assert!(log.contains("Envío a mano: Oferta") && log.contains("Sur1") && !log.contains("Sur4"), "{log}");
    let shown = app.get(&format!("/mailings/{id}")).await.text();
    assert!(shown.contains("Enviado 1") && shown.contains("Bloqueado 2"), "{shown}");
    assert!(app.get("/audit").await.text().contains("pidió el envío a mano"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_foretold_is_what_the_gate_decides(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 6).await;
    execute(&app, "update contacts set email_basis = null where email like 'sur2@%'").await;
    execute(&app, "update contacts set email = null, phone = '+56912345678' where email like 'sur3@%'").await;
    execute(&app, "update contacts set first_name = '' where email like 'sur4@%'").await;
    execute(
        &app,
        "insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'sur5@x.example', 'ALL', 'MANUAL', now())",
    )
    .await;
    let words = Words::Own(template::Source {
        subject: "Hola {{ first_name }}".into(),
        body: "Hola".into(),
        ..template::Source::default()
    });
    let mut db = app.state.db.acquire().await.unwrap();
    let letter = words.read(&mut db).await.unwrap();
    let filter = Filter { among: Some(all.iter().map(|it| it.0).collect()), ..Filter::default() };
    let (preview, people) = mailings::foretell(&mut db, app.now(), &filter, &letter, 50).await.unwrap();
    assert_eq!((preview.total, preview.reachable), (6, 2));
    let asked: Vec<gate::Asked> = all
        .iter()
        .map(|it| gate::Asked {
            contact: Some(*it),
            destination: None,
            kind: letter.message_type,
            is_test: false,
            asked_for: None,
        })
        .collect();
    let facts = gate::facts(&mut db, llovizna::channels::Channel::Email, &asked, None).await.unwrap();
    for (id, facts) in all.iter().zip(&facts) {
        let decided =
            gate::eligible(OriginKind::Manual, letter.message_type, &["first_name"], facts, app.now())
                .err()
                .map(|it| it.0);
        let foretold: Option<BlockReason> = people.iter().find(|it| it.id == *id).and_then(|it| it.reason);
        assert_eq!(decided, foretold, "{id}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_free_text_to_all_that_match_a_filter_leaves_with_its_footer(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    people(&app, "norte", 2).await;
    let own = |footer: &'static str, shown: &'static str| {
        vec![
            ("scope", "all"),
            ("list", "q=sur"),
            ("once", ONCE),
            ("words", "own"),
            ("subject", "Una pregunta"),
            ("body", "Hola {{ first_name }}"),
            ("footer", footer),
            ("shown", shown),
        ]
    };
    let lawless = app.post("/mailings", &own("Chao", "3")).await;
    assert_eq!(lawless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(lawless.text().contains("ley 19.496"), "{}", lawless.text());
    let other = app.post("/mailings", &own(FOOTER, "9")).await;
    assert!(other.text().contains("ahora a 3 personas"), "{}", other.text());
    assert_eq!(count(&app, "select count(*) from mailings").await, 0);
    made(&app.post("/mailings", &own(FOOTER, "3")).await);
    settle(&app).await;
    drip(&app).await;
    let sent = app.mailbox.sent();
    assert_eq!(sent.len(), 3);
    assert!(
        sent.iter().all(|it| it.to_email.starts_with("sur") && it.plain.contains("Baja: http")),
        "{sent:?}"
    );
    // What was searched for may be somebody's name, and helps nobody once they are written down.
    assert_eq!(count(&app, "select count(*) from mailings where filter::text like '%sur%'").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn an_edit_of_the_template_changes_nothing_of_what_was_asked_for(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    let edited = [
        ("name", "Otra"),
        ("kind", "OFERTA"),
        ("subject", "Otra"),
        ("body_format", "TEXT"),
        ("body", "Otra"),
        ("footer", "{{ business_name }}, {{ business_address }} {{ unsubscribe_url }}"),
    ];
    assert_eq!(app.post("/templates/1", &edited).await.status, StatusCode::SEE_OTHER);
    drip(&app).await;
    assert!(app.mailbox.sent()[0].html.contains("Un descanso para dos"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_has_not_left_is_taken_back(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 3).await;
    let id = made(&ask(&app, &all, OFFER).await);
    settle(&app).await;
    let done = app.post(&format!("/mailings/{id}/cancellation"), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    drip(&app).await;
    assert!(app.mailbox.sent().is_empty());
    assert_eq!(count(&app, "select count(*) from communication_logs where status = 'CANCELLED'").await, 3);
    assert_eq!(mailings::get(&app.state.db, id).await.unwrap().status, Status::Cancelled);
    let events =
        "select count(*) from communication_events where kind = 'CANCELLED' and staff_user_id is not null";
    assert_eq!(count(&app, events).await, 3);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_may_not_send_by_the_time_of_queueing_sends_nothing(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let staff = app.as_role(Role::Staff).await;
    let id = all[0].to_string();
    let fields = [OFFER, &[("scope", "selected"), ("id", id.as_str())]].concat();
    assert_eq!(staff.post("/mailings", &fields).await.status, StatusCode::FORBIDDEN);
    assert!(!staff.get("/contacts").await.body.contains("/mailings/new"));
    let mailing = made(&ask(&app, &all, OFFER).await);
    execute(&app, "update staff_users set role = 'STAFF'").await;
    settle(&app).await;
    let it = mailings::get(&app.state.db, mailing).await.unwrap();
    assert_eq!(it.status, Status::Failed);
    assert!(it.failure.unwrap().contains("ya no puede enviar"));
    assert_eq!(count(&app, "select count(*) from communication_logs").await, 0);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn somebody_who_is_deleted_meanwhile_keeps_nobody_else_from_it(db: PgPool) {
    let app = app(db.clone());
    let all = people(&app, "sur", 3).await;
    let id = made(&ask(&app, &all, OFFER).await);
    let mut deletion = db.begin().await.unwrap();
    departure::delete(&mut deletion, app.now(), &Actor::CommandLine, all[1]).await.unwrap();
    let queueing = tokio::spawn({
        let (db, now) = (db.clone(), app.now());
        async move { run::run_once(&db, now).await }
    });
    until_waiting(&db, 1).await;
    deletion.commit().await.unwrap();
    assert!(queueing.await.unwrap().unwrap(), "there is more to do");
    settle(&app).await;
    let mut db = db.acquire().await.unwrap();
    assert_eq!(mailings::get(&mut *db, id).await.unwrap().status, Status::Done);
    assert_eq!(count(&app, "select count(*) from communication_logs where origin = 'MANUAL'").await, 2);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_text_that_its_sender_never_saw_does_not_leave(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 1).await;
    let shown = async || {
        let page = app.get(&format!("/mailings/new?scope=selected&id={}", all[0])).await.body;
        let field = page.split("name=\"version\" value=\"").nth(1).unwrap();
        field.split('"').next().unwrap().to_owned()
    };
    let seen = shown().await;
    let edited = [
        ("name", "Otra"),
        ("kind", "OFERTA"),
        ("subject", "Otra"),
        ("body_format", "TEXT"),
        ("body", "Otra"),
        ("footer", FOOTER),
    ];
    assert_eq!(app.post("/templates/1", &edited).await.status, StatusCode::SEE_OTHER);
    let reply = ask(&app, &all, &[OFFER, &[("version", seen.as_str())]].concat()).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(reply.text().contains("no es el que viste"), "{}", reply.text());
    assert_eq!(count(&app, "select count(*) from mailings").await, 0);
    let seen = shown().await;
    made(&ask(&app, &all, &[OFFER, &[("version", seen.as_str())]].concat()).await);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn two_presses_at_once_ask_once_and_other_words_under_the_same_press_are_refused(db: PgPool) {
    let app = app(db.clone());
    let all = people(&app, "sur", 2).await;
    let draft = mailings::Draft {
        once: ONCE.parse().unwrap(),
        words: Words::Template(LibraryId(1)),
        shown: None,
        seen: None,
    };
    let filter = Filter { among: Some(vec![all[0].0]), ..Filter::default() };
    let (config, now) = (app.state.config.clone(), app.now());
    let mut tx = db.begin().await.unwrap();
    let first = mailings::create(&mut tx, now, &Actor::CommandLine, &config, &draft, &filter).await;
    let second = async {
        let mut tx = db.begin().await.unwrap();
        let id = mailings::create(&mut tx, now, &Actor::CommandLine, &config, &draft, &filter).await;
        tx.commit().await.unwrap();
        id
    };
    let first_ends = async {
        until_waiting(&db, 1).await;
        tx.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(second, first_ends);
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!(count(&app, "select count(*) from mailings").await, 1);
    let other = [("words", "template"), ("template", "2"), ("once", ONCE)];
    for (who, fields) in [(&all[..1], other.as_slice()), (&all[1..], OFFER)] {
        let reply = ask(&app, who, fields).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(reply.text().contains("ya se envió"), "{}", reply.text());
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_kill_between_pages_leaves_nobody_out_and_nobody_twice(db: PgPool) {
    let app = app(db);
    let id = many(&app).await;
    assert!(run::run_once(&app.state.db, app.now()).await.unwrap());
    let it = mailings::get(&app.state.db, id).await.unwrap();
    assert_eq!((it.status, it.done), (Status::Running, 2000));
    let page = app.get(&format!("/mailings/{id}")).await.text();
    assert!(page.contains("Poniendo en la cola: 2.000 de 2.001 personas"), "{page}");
    // The page was queued and its checkpoint lost: it is asked for again.
    execute(&app, "update mailings set checkpoint = 0, done = 0").await;
    settle(&app).await;
    let people = "select count(distinct contact_id) from communication_logs where mailing_id is not null";
    assert_eq!(count(&app, people).await, 2001);
    assert_eq!(count(&app, "select count(*) from communication_logs").await, 2001);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_taken_back_while_it_is_queued_queues_nobody_more(db: PgPool) {
    let app = app(db);
    let id = many(&app).await;
    assert!(run::run_once(&app.state.db, app.now()).await.unwrap());
    let path = format!("/mailings/{id}");
    let who = app.admin().await;
    who.post(&format!("{path}/cancellation"), &[]).await;
    assert!(who.get(&path).await.text().contains("2.000 mensajes ya no van a salir"));
    settle(&app).await;
    drip(&app).await;
    assert!(app.mailbox.sent().is_empty());
    let cancelled = "select count(*) from communication_logs where status = 'CANCELLED'";
    assert_eq!(count(&app, cancelled).await, 2000);
    assert_eq!(count(&app, "select count(*) from communication_logs").await, 2000);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_words_say_what_stands(db: PgPool) {
    let app = app(db);
    let all = people(&app, "sur", 2).await;
    let id = made(&ask(&app, &all[..1], OFFER).await);
    let path = format!("/mailings/{id}");
    settle(&app).await;
    let said = async |path: &str| app.get(path).await.text();
    assert!(said("/mailings").await.contains("En la cola") && said(&path).await.contains("En la cola"));
    drip(&app).await;
    assert!(said("/mailings").await.contains("Terminado") && said(&path).await.contains("Terminado"));
    assert!(said(&path).await.contains("Oferta"));
    let who = app.admin().await;
    who.post(&format!("{path}/cancellation"), &[]).await;
    let page = who.get(&path).await.text();
    assert!(page.contains("Cancelado: no quedaba ningún mensaje por salir."), "{page}");
    let once = ("once", "0191d3a0-0000-7000-8000-000000000002");
    let id = made(&ask(&app, &all[1..], &[OFFER[0], OFFER[1], once]).await);
    settle(&app).await;
    let path = format!("/mailings/{id}");
    who.post(&format!("{path}/cancellation"), &[]).await;
    let page = who.get(&path).await.text();
    assert!(page.contains("Cancelado: 1 mensaje ya no va a salir."), "{page}");
}
