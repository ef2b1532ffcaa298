//! Settings: what is saved, what is refused, and that both are written down.

use crate::support::TestApp;
use axum::http::StatusCode;
use chrono::NaiveDate;
use llovizna::{
    access::Role,
    channels::SendError,
    settings::{self, Business, EmailChannel, Subject},
};
use sqlx::PgPool;

async fn load<S: Subject>(app: &TestApp) -> S {
    settings::load(&app.state.db, &app.state.config.first_values).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_legal_sender_is_saved_tidied_and_audited(db: PgPool) {
    let app = TestApp::new(db);
    let fields = [
        ("name", "  Termas   del Lago "),
        ("rut", "76086428 5"),
        ("address", "Camino al volcán 1200, Puerto Varas"),
        ("email", "Hola@Termas.cl"),
        ("website", "www.termas.cl"),
    ];
    assert_eq!(app.post("/settings", &fields).await.status, StatusCode::SEE_OTHER);
    let business: Business = load(&app).await;
    assert_eq!(
        (business.name.as_str(), business.rut.as_str(), business.email.as_str(), business.website.as_str()),
        ("Termas del Lago", "76086428-5", "hola@termas.cl", "https://www.termas.cl")
    );
    let page = app.get("/settings").await;
    assert!(page.body.contains("76.086.428-5"));
    let audit = app.get("/audit?kind=business").await.text();
    assert!(audit.contains("Datos del negocio") && audit.contains("Termas del Lago"), "{audit}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn wrong_values_are_kept_in_the_form_and_told_at_their_field(db: PgPool) {
    let app = TestApp::new(db);
    let fields = [("name", ""), ("rut", "12.531.909-3"), ("email", "sin arroba"), ("address", "Calle 1")];
    let reply = app.post("/settings", &fields).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in [
        "12.531.909-3",
        "sin arroba",
        "Calle 1",
        "id=\"error-rut\"",
        "id=\"error-email\"",
        "id=\"error-name\"",
    ] {
        assert!(reply.body.contains(part), "{part}");
    }
    assert_eq!(load::<Business>(&app).await, Business::default());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_daily_cap_may_be_none(db: PgPool) {
    let app = TestApp::new(db);
    assert_eq!(load::<EmailChannel>(&app).await.daily_cap, Some(50));
    app.post("/settings/email", &[("daily_cap", "1.200")]).await;
    assert_eq!(load::<EmailChannel>(&app).await.daily_cap, Some(1200));
    app.post("/settings/email", &[("daily_cap", "")]).await;
    assert_eq!(load::<EmailChannel>(&app).await.daily_cap, None);
    for wrong in ["0", "-3", "muchos"] {
        let reply = app.post("/settings/email", &[("daily_cap", wrong)]).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn business_hours_keep_the_channels_other_choices(db: PgPool) {
    let app = TestApp::new(db);
    app.post("/settings/email", &[("from_name", "Caro"), ("daily_cap", "80")]).await;
    let fields = [("weekdays", "mon"), ("weekdays", "sat"), ("opens", "10:00"), ("closes", "14:30")];
    assert_eq!(app.post("/settings/hours", &fields).await.status, StatusCode::SEE_OTHER);
    let channel: EmailChannel = load(&app).await;
    assert_eq!((channel.from_name.as_str(), channel.daily_cap), ("Caro", Some(80)));
    assert_eq!(channel.business_hours.days, [true, false, false, false, false, true, false]);
    assert!(!channel.business_hours.skip_holidays, "an unticked box is a no");
    for wrong in [
        vec![("opens", "10:00"), ("closes", "14:30")],
        vec![("weekdays", "mon"), ("opens", "18:00"), ("closes", "09:00")],
    ] {
        assert_eq!(app.post("/settings/hours", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_forms_of_one_subject_saved_at_once_both_count(db: PgPool) {
    let app = TestApp::new(db.clone());
    app.post("/settings/email", &[("from_name", "Caro"), ("daily_cap", "80")]).await;
    // Someone else's hours are written and not yet committed.
    let mut other = db.begin().await.unwrap();
    sqlx::query("update settings set value = jsonb_set(value, '{business_hours,opens}', '\"11:11:00\"') where name = 'email'")
        .execute(&mut *other)
        .await
        .unwrap();
    let commit = async {
        crate::support::until_waiting(&db, 1).await;
        other.commit().await.unwrap();
    };
    let fields = [("from_name", "Caro"), ("daily_cap", "90")];
    let (reply, ()) = tokio::join!(app.post("/settings/email", &fields), commit);
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let channel: EmailChannel = load(&app).await;
    assert_eq!(
        (channel.daily_cap, channel.business_hours.opens.to_string().as_str()),
        (Some(90), "11:11:00")
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn settings_that_cannot_be_read_are_an_error_and_not_the_defaults(db: PgPool) {
    let app = TestApp::new(db.clone());
    app.post("/settings/email", &[("daily_cap", "80")]).await;
    sqlx::query(
        "update settings set value = jsonb_set(value, '{daily_cap}', '\"ochenta\"') where name = 'email'",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut connection = db.acquire().await.unwrap();
    let loaded: Result<EmailChannel, _> =
        settings::load(&mut *connection, &app.state.config.first_values).await;
    assert!(loaded.is_err(), "{loaded:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_may_not_change_the_channel_tests_it_with_their_own_address(db: PgPool) {
    let app = TestApp::new(db.clone());
    app.post("/settings/email", &[("from_email", "hola@termas.cl"), ("daily_cap", "")]).await;
    let staff = app.as_role(Role::Staff).await;
    let reply = staff.post("/settings/email/test", &[("to", "cliente@fuera.cl")]).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    staff.post("/settings/email/test", &[("to", "staff@prueba.cl")]).await;
    let to = |app: &TestApp| app.mailbox.sent().into_iter().map(|it| it.to_email).collect::<Vec<_>>();
    assert_eq!(to(&app), ["staff@prueba.cl"]);
    // Who said no gets no test either.
    app.post("/suppressions", &[("email", "caro@termas.cl"), ("scope", "ALL")]).await;
    let kept: i64 = sqlx::query_scalar("select count(*) from suppressions").fetch_one(&db).await.unwrap();
    assert_eq!(kept, 1);
    app.post("/settings/email/test", &[("to", "caro@termas.cl")]).await;
    assert_eq!(to(&app), ["staff@prueba.cl"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn holidays_are_the_laws_with_the_businesss_corrections(db: PgPool) {
    let app = TestApp::new(db);
    let page = app.get("/settings/holidays").await.text();
    assert!(page.contains("25-12-2026") && page.contains("18-09-2027"), "{page}");
    let extra = [("day", "2026-12-24"), ("name", "Cerramos"), ("closed", "yes")];
    assert_eq!(app.post("/settings/holidays", &extra).await.status, StatusCode::SEE_OTHER);
    assert_eq!(app.post("/settings/holidays", &extra).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let worked = [("day", "08-12-2026"), ("name", "Inventario"), ("closed", "no")];
    assert_eq!(app.post("/settings/holidays", &worked).await.status, StatusCode::SEE_OTHER);
    let page = app.get("/settings/holidays").await.text();
    assert!(page.contains("Inmaculada Concepción: Inventario Se envía igual"), "{page}");
    let idle = [("day", "2026-12-09"), ("name", ""), ("closed", "no")];
    assert_eq!(app.post("/settings/holidays", &idle).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let calendar = settings::calendar(&app.state.db).await.unwrap();
    let day = |d: u32| NaiveDate::from_ymd_opt(2026, 12, d).unwrap();
    assert_eq!(calendar.holiday(day(24)), Some("Cerramos"));
    assert_eq!(calendar.holiday(day(8)), None);
    let id: i64 =
        sqlx::query_scalar("select id from holidays where closed").fetch_one(&app.state.db).await.unwrap();
    app.post(&format!("/settings/holidays/{id}?_method=DELETE"), &[]).await;
    let calendar = settings::calendar(&app.state.db).await.unwrap();
    assert_eq!(calendar.holiday(day(24)), None);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn frequency_caps_are_added_changed_and_removed(db: PgPool) {
    let app = TestApp::new(db);
    let add = [
        ("communication_type", "EMAIL"),
        ("message_type", "NEWSLETTER"),
        ("max_messages", "2"),
        ("days", "14"),
    ];
    assert_eq!(app.post("/settings/caps", &add).await.status, StatusCode::SEE_OTHER);
    let id: i64 = sqlx::query_scalar("select id from frequency_caps where message_type = 'NEWSLETTER'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    app.post(&format!("/settings/caps/{id}"), &[("max_messages", "3"), ("days", "30")]).await;
    let cap: (i32, i32) = sqlx::query_as("select max_messages, days from frequency_caps where id = $1")
        .bind(id)
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    assert_eq!(cap, (3, 30));
    let path = format!("/settings/caps/{id}");
    let admin = app.admin().await;
    for (most, days, said) in [
        ("0", "30", "Escribe un número entre 1 y 1000."),
        ("-3", "30", "Escribe un número entre 1 y 1000."),
        ("1.000", "1.000", "Escribe un número de días entre 1 y 366."),
        ("1.5", "30", "Escribe números enteros, como 1 y 7."),
    ] {
        admin.post(&path, &[("max_messages", most), ("days", days)]).await;
        let page = admin.get("/settings/limits").await.text();
        assert!(page.contains(&format!("No se guardó. {said}")), "{most}: {page}");
    }
    assert!(app.get("/settings/limits").await.text().contains("Boletín"));
    app.post(&format!("/settings/caps/{id}?_method=DELETE"), &[]).await;
    assert_eq!(
        app.post(&format!("/settings/caps/{id}?_method=DELETE"), &[]).await.status,
        StatusCode::NOT_FOUND
    );
    let audit = app.get("/audit?kind=frequency_cap").await.text();
    assert!(audit.contains("(Correo, Boletín)"), "{audit}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_test_message_says_what_the_server_answered(db: PgPool) {
    let app = TestApp::new(db);
    let boss = app.admin().await;
    boss.post("/settings/email/test", &[]).await;
    assert!(boss.get("/settings/email").await.text().contains("falta el correo del remitente"));
    boss.post("/settings/email", &[("from_email", "hola@termas.cl"), ("daily_cap", "")]).await;
    boss.post("/settings/email/test", &[("to", "caro@termas.cl")]).await;
    assert!(boss.get("/settings/email").await.text().contains("250 2.0.0 Ok"));
    let sent = app.mailbox.sent();
    assert_eq!(
        (sent.len(), sent[0].to_email.as_str(), sent[0].from_email.as_str()),
        (1, "caro@termas.cl", "hola@termas.cl")
    );
    app.mailbox.refuse_next(SendError::Sender { answer: "535 5.7.8 Authentication failed".to_owned() });
    boss.post("/settings/email/test", &[("to", "caro@termas.cl")]).await;
    assert!(boss.get("/settings/email").await.text().contains("535 5.7.8"));
    boss.post("/settings/email/check", &[]).await;
    assert!(boss.get("/settings/email").await.text().contains("220 mail.prueba.cl"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_simulated_channel_says_so_on_every_page(db: PgPool) {
    let app = TestApp::simulated(db.clone());
    assert!(app.get("/").await.text().contains("El correo está simulado"));
    assert!(!TestApp::new(db).get("/").await.text().contains("El correo está simulado"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_audit_is_paged_and_filtered(db: PgPool) {
    let app = TestApp::new(db);
    let boss = app.admin().await;
    sqlx::query(
        "insert into audit_events (at, actor, action, subject_kind, subject_id, after)
         select $1, 'sistema', 'contact.update', 'contact', n, jsonb_build_object('first_name', 'P' || n)
         from generate_series(1, 120) n",
    )
    .bind(app.now())
    .execute(&app.state.db)
    .await
    .unwrap();
    let count = |body: &str| body.matches("class=\"timeline-when\"").count();
    let link = |body: &str, rel: &str| {
        let (_, rest) = body.split_once(&format!("rel=\"{rel}\" href=\"")).unwrap();
        rest.split('"').next().unwrap().replace("&#38;", "&")
    };
    let first = boss.get("/audit").await.body;
    let second = boss.get(&link(&first, "next")).await.body;
    let third = boss.get(&link(&second, "next")).await.body;
    assert_eq!([count(&first), count(&second), count(&third)], [50, 50, 20]);
    assert!(!third.contains("rel=\"next\""));
    let back = boss.get(&link(&third, "prev")).await.body;
    assert!(back.contains("el contacto 70") && count(&back) == 50);
    let one = boss.get("/audit?kind=contact&id=7").await;
    assert!(count(&one.body) == 1 && one.text().contains("P7"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_server_that_is_set_is_not_said_to_be_connected(db: PgPool) {
    let app = TestApp::with(db, &[("EMAIL_HOST", "127.0.0.1"), ("EMAIL_PORT", "1")]);
    let page = app.get("/settings/email").await.text();
    assert!(page.contains("Configurado") && !page.contains("Conectado a tu servidor"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_line_that_is_down_is_told_once_and_in_no_servers_name(db: PgPool) {
    let app = TestApp::new(db);
    let boss = app.admin().await;
    boss.post("/settings/email", &[("from_email", "hola@termas.cl")]).await;
    app.mailbox.refuse_next(SendError::Unavailable { answer: "No hay línea con el servidor.".to_owned() });
    boss.post("/settings/email/test", &[("to", "caro@termas.cl")]).await;
    let page = boss.get("/settings/email").await.text();
    assert!(page.contains("La prueba no salió. No hay línea con el servidor."), "{page}");
}
