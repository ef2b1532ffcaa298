//! Campaigns as people meet them in the panel: what is emptied, what a simulated test says, what a copy keeps.

use crate::{
    campaigns::{BUSINESS, app, execute, get, people, save, seeded, start},
    drip::run,
    support::{Mailbox, TestApp},
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    campaigns::{
        campaign::Status,
        checklist::{self, Level},
        status,
    },
    channels::outbox::Outbox,
    db::MIGRATIONS,
    ids::CampaignId,
    messaging::{
        kinds::MessageType,
        template::{self, Source},
    },
};
use sqlx::{AssertSqlSafe, PgPool};
use std::sync::Arc;

/// The application while there is no mail server.
fn simulated(db: PgPool) -> TestApp {
    let outbox = Arc::new(Outbox::new(db.clone()));
    TestApp::with_sender(db, BUSINESS, Mailbox::default(), outbox)
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_field_that_was_emptied_is_saved_empty_or_refused(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    app.post(&path, &[("daily_cap", "12")]).await;
    assert_eq!(get(&app, id).await.daily_cap, Some(12));
    let done = app.post(&path, &[("daily_cap", ""), ("subject", ""), ("body", ""), ("footer", "")]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let it = get(&app, id).await;
    assert_eq!((it.daily_cap, it.source.subject, it.source.body, it.source.footer), Default::default());
    for field in ["name", "batch_size", "spacing_seconds"] {
        let refused = app.post(&path, &[(field, "")]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(refused.body.contains(&format!("error-{field}")), "{field}: {}", refused.body);
    }
    assert_eq!(get(&app, id).await.name, "Prospección Los Lagos");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_ready_made_campaign_reads_well_and_is_as_old_as_the_database(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let body = get(&app, id).await.source.body;
    let filled =
        body.replace("{{ company }}", "Salmones Ltda.").replace("{{ business_name }}", "Termas Ltda.");
    assert!(!filled.contains(".."), "{filled}");
    let fresh: bool = sqlx::query_scalar(
        "select bool_and(c.created_at = m.installed_on and c.updated_at = c.created_at and t.created_at = c.created_at)
         from campaigns c join message_templates t on t.id = c.template_id
             join _sqlx_migrations m on m.description = 'prospeccion los lagos'",
    )
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(fresh);
}

#[test]
fn a_variable_said_in_spanish_is_understood_as_which_one_was_meant() {
    for (said, meant) in [
        ("nombre", "first_name"),
        ("Nombre", "first_name"),
        ("apellidos", "last_name"),
        ("empresa", "company"),
        ("cargo", "job_title"),
        ("rubro", "industry"),
        ("ciudad", "comuna"),
        ("mi_negocio", "business_name"),
        ("enlace_baja", "unsubscribe_url"),
    ] {
        let source = Source { body: format!("Hola {{{{ {said} }}}}"), ..Source::default() };
        let Err(problems) = template::compile(&source) else { panic!("{said} is no variable") };
        let sentence = &problems[0].message;
        assert!(sentence.contains(&format!("¿Quisiste decir {{{{ {meant} }}}}?")), "{said}: {sentence}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_simulated_test_says_where_it_is_and_that_no_server_has_it(db: PgPool) {
    let app = simulated(db.clone());
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    let checked = format!("{path}?checklist=1");
    let before = app.get(&checked).await.text();
    assert!(before.contains("Mírala en la bandeja de salida"), "{before}");
    assert!(!before.contains("Llega ahora mismo"), "{before}");
    let admin = app.admin().await;
    admin.post(&format!("{path}/test"), &[]).await;
    let page = admin.get(&path).await;
    assert!(page.text().contains("La prueba quedó en la bandeja de salida"), "{}", page.text());
    let (outbox, message): (i64, i64) =
        sqlx::query_as("select id, communication_log_id from outbox_messages").fetch_one(&db).await.unwrap();
    assert!(page.body.contains(&format!("href=\"/outbox/{outbox}\"")), "{}", page.body);
    let story = admin.get(&format!("/messages/{message}")).await.text();
    assert!(!story.contains("El servidor de correo lo recibió"), "{story}");
    assert!(story.contains("nada salió a internet"), "{story}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_real_test_is_said_to_have_left(db: PgPool) {
    let app = TestApp::with(db, &[BUSINESS, &[("EMAIL_HOST", "127.0.0.1")]].concat());
    let id = seeded(&app).await;
    let page = app.get(&format!("/campaigns/{id}?checklist=1")).await.text();
    assert!(page.contains("Llega ahora mismo") && page.contains("Mírala en tu correo"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn those_put_off_are_shown_as_part_of_the_queue(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    execute(&app, "update communication_logs set defer_reason = 'FREQUENCY_CAP' where contact_id = (select max(id) from contacts)").await;
    let page = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(page.contains("En cola 3 de ellos 1 pospuesto"), "{page}");
    assert!(!page.contains("Pospuestos 1"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cancelled_campaign_shows_what_it_sent_and_not_a_full_bar(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 4).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    app.post(&format!("/campaigns/{id}/cancellation"), &[]).await;
    let page = app.get(&format!("/campaigns/{id}")).await.text();
    assert!(page.contains("Enviados antes de cancelar 0 de 4 · 0 %"), "{page}");
    assert!(!page.contains("100 %"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_cancelled_campaign_says_who_cancelled_it_and_when(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 4).await;
    let by_hand = seeded(&app).await;
    start(&app, by_hand).await.unwrap();
    let path = format!("/campaigns/{by_hand}");
    assert!(!app.get(&path).await.text().contains("La canceló"));
    app.post(&format!("{path}/cancellation"), &[]).await;
    // What happens to it afterwards is nobody's cancelling.
    execute(
        &app,
        "insert into audit_events (at, actor, action, subject_kind, subject_id)
         select '2026-11-24', 'Otra persona', 'campaign.copy', 'campaign', id from campaigns",
    )
    .await;
    let copied = app.as_role(Role::Admin).await.post(&format!("{path}/copies"), &[]).await;
    let copy = copied.location().rsplit('/').find_map(|it| it.parse().ok()).map(CampaignId).unwrap();
    app.state.clock.advance(TimeDelta::days(3));
    let page = app.get(&path).await.text();
    let said =
        "Cancelada: no sale ningún mensaje más La canceló Persona Superadministrador el 23-11-2026 12:00.";
    assert!(page.contains(said) && page.contains("Cancelada 23-11-2026 12:00"), "{page}");
    assert!(!page.contains("Terminó"), "{page}");
    let mut tx = app.state.db.begin().await.unwrap();
    status::cancel(&mut tx, app.now(), &Actor::CommandLine, copy).await.unwrap();
    tx.commit().await.unwrap();
    let page = app.get(&format!("/campaigns/{copy}")).await.text();
    assert!(page.contains("La canceló la línea de comandos el 26-11-2026 12:00."), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_estimate_tells_apart_those_who_wait_for_a_day_of_their_own(db: PgPool) {
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
    for path in [format!("/campaigns/{id}?checklist=1"), format!("/campaigns/{id}/launch")] {
        let page = app.get(&path).await.text();
        assert!(page.contains("Sin contar a 1 persona que esperará un día propio."), "{page}");
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn whoever_waits_for_a_day_of_their_own_is_told_apart_whatever_they_wait_for(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 4).await;
    let id = seeded(&app).await;
    // A cap until the 27th, a wish until the 4th, a pause until the 1st.
    got(&app, "'sur1@x.example', 'sur2@x.example'").await;
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, paused_until, source, at)
         select id, 'EMAIL', case email when 'sur2@x.example' then 14 end,
             case email when 'sur3@x.example' then date '2026-12-01' end, 'Página de preferencias', '2026-11-21'
         from contacts where email in ('sur2@x.example', 'sur3@x.example')",
    )
    .await;
    for path in [format!("/campaigns/{id}?checklist=1"), format!("/campaigns/{id}/launch")] {
        let page = app.get(&path).await.text();
        assert!(page.contains("Sin contar a 3 personas que esperarán un día propio."), "{page}");
    }
    start(&app, id).await.unwrap();
    for (at, told) in [
        ("2026-11-23T15:10:00Z", "Solo quedan 3 personas que esperarán un día propio."),
        ("2026-11-30T15:00:00Z", "Solo quedan 2 personas que esperarán un día propio."),
        ("2026-12-01T15:00:00Z", "Solo queda 1 persona que esperará un día propio."),
    ] {
        app.state.clock.set(at.parse().unwrap());
        assert_eq!(run(&app).await.sent, 1);
        let page = app.get(&format!("/campaigns/{id}")).await.text();
        assert!(page.contains(told), "{page}");
    }
}

/// A promotion of the 20th to each of `who`.
async fn got(app: &TestApp, who: &'static str) {
    sqlx::query(AssertSqlSafe(format!(
        "insert into communication_logs (origin, contact_id, communication_type, message_type, destination, status,
                                         scheduled_at, next_attempt_at, created_at, sent_at)
         select 'MANUAL', id, 'EMAIL', 'NEWSLETTER', email, 'SENT', '2026-11-20', '2026-11-20', '2026-11-20', '2026-11-20 15:00+00'
         from contacts where email in ({who})"
    )))
    .execute(&app.state.db)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn who_asked_for_so_few_that_this_would_be_old_gets_it_on_no_page(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 3).await;
    let id = seeded(&app).await;
    execute(&app, "update campaigns set batch_size = 1").await;
    got(&app, "'sur1@x.example'").await;
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at)
         select id, 'EMAIL', 90, 'Página de preferencias', '2026-11-21' from contacts where email = 'sur1@x.example'",
    )
    .await;
    let path = format!("/campaigns/{id}");
    let draft = app.get(&format!("{path}?checklist=1")).await.text();
    assert!(draft.contains("La recibirán 2 de 3 personas; 1 quedará fuera."), "{draft}");
    assert!(draft.contains("termina aproximadamente el lunes 23-11-2026 a las 12:10"), "{draft}");
    let ask = app.get(&format!("{path}/launch")).await.text();
    assert!(ask.contains("Se enviará a 2 personas, desde ahora."), "{ask}");
    assert!(ask.contains("1 persona quedará fuera, con su razón."), "{ask}");
    let audience = app.get(&format!("{path}/audience")).await.text();
    assert!(audience.contains("La recibirán 2 "), "{audience}");
    let tells = async |left_out: &str| {
        let calendar = app.get(&format!("{path}/calendar")).await.text();
        assert!(calendar.contains("2 mensajes en 1 día") && calendar.contains(left_out), "{calendar}");
    };
    tells("Pidió recibir menos seguido 1").await;
    start(&app, id).await.unwrap();
    tells("Les llegaría demasiado tarde 1").await;
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn those_who_get_it_later_and_those_left_out_for_asking_for_few_are_two_groups(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 60).await;
    let id = seeded(&app).await;
    got(&app, "select email from contacts where substring(email from '[0-9]+')::int not between 53 and 59")
        .await;
    // More than a page asked for so few that this would be old; one is free in two weeks.
    execute(
        &app,
        "insert into contact_rhythms (contact_id, communication_type, min_days, source, at)
         select id, 'EMAIL', case when email = 'sur60@x.example' then 14 else 90 end, 'Página de preferencias', '2026-11-21'
         from contacts where substring(email from '[0-9]+')::int not between 53 and 59",
    )
    .await;
    let shown = async |reason: &str| {
        let page = app.get(&format!("/campaigns/{id}/audience?reason={reason}")).await.text();
        let has = |n: u32| page.contains(&format!("sur{n}@x.example"));
        (1..=60).filter(|n| has(*n)).collect::<Vec<u32>>()
    };
    assert_eq!(shown("later").await, [60]);
    assert_eq!(shown("reachable").await, (53..=60).collect::<Vec<u32>>(), "on the first page");
    let mut seldom = shown("LESS_OFTEN").await;
    let second = app.get(&format!("/campaigns/{id}/audience?reason=LESS_OFTEN")).await;
    let second = second.body.split("after=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let rest = shown(&format!("LESS_OFTEN&after={second}")).await;
    assert_eq!((seldom.len(), rest.len()), (50, 2));
    seldom.extend(rest);
    seldom.sort_unstable();
    assert_eq!(seldom, (1..=52).collect::<Vec<u32>>());
    let page =
        async |reason: &str| app.get(&format!("/campaigns/{id}/audience?reason={reason}")).await.text();
    let all = page("").await;
    for chip in ["La recibirán 8", "Más tarde 1", "Pidió recibir menos seguido 52"] {
        assert!(all.contains(chip), "{chip}: {all}");
    }
    let later = page("later").await;
    assert!(
        later.contains("Más tarde La persona pidió recibir menos seguido: libre el viernes 04-12-2026"),
        "{later}"
    );
    let left_out = page("LESS_OFTEN").await;
    assert!(left_out.contains("Queda fuera Pidió recibir menos seguido: solo desde el"), "{left_out}");
    assert!(!left_out.contains("Más tarde La persona"), "{left_out}");
    let calendar = app.get(&format!("/campaigns/{id}/calendar")).await.body;
    assert!(calendar.contains(&format!("/campaigns/{id}/audience?reason=LESS_OFTEN")), "{calendar}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_small_batch_is_no_abrupt_sending(db: PgPool) {
    let app = app(db);
    let id = seeded(&app).await;
    let path = format!("/campaigns/{id}");
    let checked = format!("{path}?checklist=1");
    app.post(&path, &[("batch_size", "5")]).await;
    assert!(!app.get(&checked).await.text().contains("envíos bruscos"));
    app.post(&path, &[("batch_size", "500")]).await;
    assert!(app.get(&checked).await.text().contains("envíos bruscos"));
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn a_campaign_is_duplicated_as_a_draft_whatever_became_of_it(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    start(&app, id).await.unwrap();
    app.post(&format!("/campaigns/{id}/cancellation"), &[]).await;
    assert!(app.get(&format!("/campaigns/{id}")).await.text().contains("Duplicar"));
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&format!("/campaigns/{id}/copies"), &[]).await.status, StatusCode::FORBIDDEN);
    let made = app.post(&format!("/campaigns/{id}/copies"), &[]).await;
    let copy: CampaignId = made.location().split('/').nth(2).unwrap().parse().unwrap();
    let (old, new) = (get(&app, id).await, get(&app, copy).await);
    assert_eq!((new.name.as_str(), new.status), ("Copia de Prospección Los Lagos", Status::Draft));
    assert_eq!((new.source, new.audience, new.batch_size), (old.source, old.audience, old.batch_size));
    assert_ne!(new.template, old.template, "its words are versions of its own");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn only_a_draft_that_sent_nothing_is_eliminated(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    let copy = async || {
        let made = app.post(&format!("/campaigns/{id}/copies"), &[]).await;
        made.location().trim_end_matches("/edit").to_owned()
    };
    let (gone, tried) = (copy().await, copy().await);
    assert!(app.get(&gone).await.text().contains("Eliminar el borrador"));
    assert!(app.get(&format!("{gone}/deletion")).await.text().contains("No se envió a nadie"));
    let done = app.post(&format!("{gone}?_method=DELETE"), &[]).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/campaigns"));
    assert_eq!(app.get(&gone).await.status, StatusCode::NOT_FOUND);
    app.post(&format!("{tried}/test"), &[]).await;
    let admin = app.admin().await;
    admin.post(&format!("{tried}?_method=DELETE"), &[]).await;
    let page = admin.get(&tried).await;
    assert!(page.text().contains("Ya enviaste una prueba de este borrador"), "{}", page.text());
    start(&app, id).await.unwrap();
    admin.post(&format!("/campaigns/{id}?_method=DELETE"), &[]).await;
    assert_eq!(admin.get(&format!("/campaigns/{id}")).await.status, StatusCode::OK);
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'campaign.delete'")
            .fetch_one(&app.state.db)
            .await
            .unwrap();
    assert_eq!(audited, 1);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn links_that_nobody_else_can_open_are_told_and_stop_what_would_reach_others(db: PgPool) {
    let inner = "solo se abre desde esta máquina o su red";
    for (environment, level, says) in [
        (&[][..], Some(Level::Amber), inner),
        (&[("PUBLIC_URL", "https://crm.local")], Some(Level::Amber), inner),
        (&[("EMAIL_HOST", "127.0.0.1")], Some(Level::Amber), inner),
        (&[("EMAIL_HOST", "smtp.example.cl")], Some(Level::Red), inner),
        (
            &[("EMAIL_HOST", "smtp.example.cl"), ("PUBLIC_URL", "https://192.168.1.4")],
            Some(Level::Red),
            inner,
        ),
        (&[("EMAIL_HOST", "smtp.example.cl"), ("PUBLIC_URL", "https://localhost")], Some(Level::Red), inner),
        (
            &[("EMAIL_HOST", "smtp.example.cl"), ("PUBLIC_URL", "http://crm.canal.cl")],
            Some(Level::Amber),
            "no está cifrado",
        ),
        (
            &[("EMAIL_HOST", "smtp.example.cl"), ("PUBLIC_URL", "https://crm.canal.cl")],
            Some(Level::Green),
            "https://crm.canal.cl",
        ),
    ] {
        let app = TestApp::with(db.clone(), &[BUSINESS, environment].concat());
        let mut conn = db.acquire().await.unwrap();
        let campaign = get(&app, seeded(&app).await).await;
        let found = checklist::of(&mut conn, app.now(), &app.state.config, &campaign).await.unwrap();
        let item = found.items.iter().find(|it| it.key == "address");
        assert_eq!(item.map(|it| it.level), level, "{environment:?}");
        assert!(item.unwrap().found.contains(says), "{item:?}");
    }
    let stopped = TestApp::with(db.clone(), &[BUSINESS, &[("EMAIL_HOST", "smtp.example.cl")]].concat());
    people(&stopped, "sur", 1).await;
    let id = seeded(&stopped).await;
    let page = stopped.get(&format!("/campaigns/{id}?checklist=1")).await.text();
    assert!(page.contains("Nadie podría darse de baja") && page.contains("PUBLIC_URL"), "{page}");
    assert!(start(&stopped, id).await.is_err());
    assert_eq!(get(&stopped, id).await.status, Status::Draft);
    // What leads nowhere of ours has nothing to be opened.
    let app = app(db.clone());
    save(&app, id, |it| {
        it.message_type = MessageType::Transactional;
        it.tracks = false;
        it.source = Source { subject: "Hola".into(), body: "Hola".into(), ..Source::default() };
    })
    .await
    .unwrap();
    let has = async || {
        let mut conn = db.acquire().await.unwrap();
        let campaign = get(&app, id).await;
        let found = checklist::of(&mut conn, app.now(), &app.state.config, &campaign).await.unwrap();
        found.items.iter().any(|it| it.key == "address")
    };
    assert!(!has().await);
    save(&app, id, |it| it.source.body = "Baja: {{ unsubscribe_url }}".into()).await.unwrap();
    assert!(has().await, "by its text");
    save(&app, id, |it| {
        it.source.body = "Hola".into();
        it.tracks = true;
    })
    .await
    .unwrap();
    assert!(has().await, "by what is measured");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn what_is_over_tells_no_cap_and_no_hours_of_today(db: PgPool) {
    let app = app(db);
    people(&app, "sur", 1).await;
    let id = seeded(&app).await;
    let facts = ["Por corrida", "Tope", "Entre mensajes", "Horario"];
    let told = async || {
        let page = app.get(&format!("/campaigns/{id}")).await.body;
        facts.into_iter().filter(|it| page.contains(&format!("<dt>{it}</dt>"))).collect::<Vec<_>>()
    };
    assert_eq!(told().await, facts);
    start(&app, id).await.unwrap();
    assert_eq!(told().await, facts);
    run(&app).await;
    assert_eq!(get(&app, id).await.status, Status::Finished);
    assert!(told().await.is_empty(), "{:?}", told().await);
    execute(&app, "update campaigns set status = 'CANCELLED'").await;
    assert!(told().await.is_empty(), "{:?}", told().await);
}
