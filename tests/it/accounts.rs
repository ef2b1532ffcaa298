//! Accounts: signing in and out, sessions, the team, the first run.

use crate::support::{Reply, TestApp};
use axum::http::{StatusCode, header};
use chrono::TimeDelta;
use llovizna::{
    access::{Actor, Role},
    accounts::{setup, staff},
    error::Error,
    ids::StaffId,
    settings::{self, Business},
};
use sqlx::PgPool;

const PASSWORD: &str = "lluvia sobre el canal";

async fn account(app: &TestApp, email: &str, role: Role) -> StaffId {
    let mut tx = app.state.db.begin().await.unwrap();
    let new = staff::NewStaff {
        email: email.to_owned(),
        name: "Ana Soto".to_owned(),
        role,
        password: PASSWORD.to_owned(),
    };
    let id = staff::create(&mut tx, app.now(), &Actor::System, new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Fill in the sign-in form as a browser does: its cookie and its token.
async fn sign_in(app: &TestApp, fields: &[(&str, &str)]) -> Reply {
    let mut browser = app.anonymous();
    let form = browser.get("/login").await;
    browser.cookie = form.cookies().join("; ");
    browser.csrf = form.csrf();
    browser.post("/login", fields).await
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_right_password_opens_a_session_and_leads_back(db: PgPool) {
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let credentials = [("email", " Ana@Prueba.cl"), ("password", PASSWORD), ("next", "/contacts?q=sur")];
    let reply = sign_in(&app, &credentials).await;
    assert_eq!((reply.status, reply.location()), (StatusCode::SEE_OTHER, "/contacts?q=sur"));
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let mut browser = app.anonymous();
    browser.cookie = reply.cookies().join("; ");
    let home = browser.get("/").await;
    assert_eq!(home.status, StatusCode::OK);
    assert!(home.text().contains("Ana Soto"));
    let token = browser.cookie.split_once("llovizna=").unwrap().1;
    let kept: bool = sqlx::query_scalar(
        "select exists (select from staff_sessions
                        where position(convert_to($1, 'UTF8') in token_hash) > 0 or csrf_token = $1)",
    )
    .bind(token)
    .fetch_one(&app.state.db)
    .await
    .unwrap();
    assert!(!kept, "the cookie itself is nowhere in the database");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_way_back_never_leads_elsewhere(db: PgPool) {
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    for next in ["//malo.cl", "https://malo.cl", "/\\malo.cl"] {
        let reply =
            sign_in(&app, &[("email", "ana@prueba.cl"), ("password", PASSWORD), ("next", next)]).await;
        assert_eq!(reply.location(), "/", "{next}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn over_https_the_cookie_is_bound_to_the_host(db: PgPool) {
    let app = TestApp::with(db, &[("PUBLIC_URL", "https://crm.prueba.cl")]);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let reply = sign_in(&app, &[("email", "ana@prueba.cl"), ("password", PASSWORD)]).await;
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-llovizna=") && cookie.contains("Secure"), "{cookie}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_has_an_account_is_not_told(db: PgPool) {
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let closed = account(&app, "ido@prueba.cl", Role::Staff).await;
    let mut tx = app.state.db.begin().await.unwrap();
    staff::set_active(&mut tx, app.now(), &Actor::System, closed, false).await.unwrap();
    tx.commit().await.unwrap();
    let mut answers = Vec::new();
    for email in ["ana@prueba.cl", "nadie@prueba.cl", "ido@prueba.cl"] {
        let password = if email.starts_with("ana") { "otra clave cualquiera" } else { PASSWORD };
        let reply = sign_in(&app, &[("email", email), ("password", password)]).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(reply.body.contains(email), "what was typed is kept");
        answers.push(reply.text());
    }
    assert!(answers.iter().all(|it| *it == answers[0] && it.contains("no son correctos")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn five_wrong_passwords_make_the_address_wait(db: PgPool) {
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    for _ in 0..5 {
        let reply = sign_in(&app, &[("email", "ana@prueba.cl"), ("password", "adivinando")]).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let right = [("email", "ana@prueba.cl"), ("password", PASSWORD)];
    let reply = sign_in(&app, &right).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "even the right one waits");
    let told = reply.text();
    for words in ["en pausa 15 minutos como máximo", "desde las 12:15", "desbloquee en Equipo"] {
        assert!(told.contains(words), "{told}");
    }
    app.state.clock.advance(TimeDelta::minutes(15));
    assert_eq!(sign_in(&app, &right).await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_administrator_unlocks_who_must_wait(db: PgPool) {
    let app = TestApp::new(db.clone());
    let id = account(&app, "ana@prueba.cl", Role::Staff).await;
    let admin = app.as_role(Role::Admin).await;
    let (page, lock) = (format!("/staff/{id}"), format!("/staff/{id}/lock?_method=DELETE"));
    for guess in 0..5 {
        assert!(!admin.get(&page).await.body.contains("Desbloquear"), "{guess}");
        sign_in(&app, &[("email", "ana@prueba.cl"), ("password", "adivinando")]).await;
    }
    let shown = admin.get(&page).await;
    assert!(shown.body.contains(&lock) && shown.text().contains("Se desbloquea sola"), "{}", shown.text());
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post(&lock, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.post(&lock, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(!admin.get(&page).await.body.contains("Desbloquear ahora"));
    let right = [("email", "ana@prueba.cl"), ("password", PASSWORD)];
    assert_eq!(sign_in(&app, &right).await.status, StatusCode::SEE_OTHER);
    let audited = sqlx::query_scalar!("select subject_id from audit_events where action = 'staff.unlock'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(audited, Some(id.0));
    // A new password would be of no use to who must wait.
    for _ in 0..5 {
        sign_in(&app, &[("email", "ana@prueba.cl"), ("password", "adivinando")]).await;
    }
    admin.post(&format!("/staff/{id}/password"), &[]).await;
    assert_eq!(sign_in(&app, &right).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Nobody of lower rank opens the door of a superadministrator.
    let boss = account(&app, "jefa@prueba.cl", Role::SuperAdmin).await;
    let refused = admin.post(&format!("/staff/{boss}/lock?_method=DELETE"), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn guessing_many_addresses_makes_the_machine_wait(db: PgPool) {
    use llovizna::accounts::login::{Attempt, Credentials, attempt};
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let try_as = async |email: &str, password: &str, ip: &str| {
        let who = Credentials { email, password, ip: ip.parse().ok(), user_agent: "" };
        attempt(&app.state.db, app.now(), &app.state.config, who).await.unwrap()
    };
    for n in 0..20 {
        let wrong = try_as(&format!("persona{n}@prueba.cl"), "adivinando", "190.1.2.3").await;
        assert!(matches!(wrong, Attempt::Wrong));
    }
    assert!(matches!(try_as("ana@prueba.cl", PASSWORD, "190.1.2.3").await, Attempt::Wait { .. }));
    assert!(matches!(try_as("ana@prueba.cl", PASSWORD, "190.9.9.9").await, Attempt::Done { .. }));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn guesses_made_all_at_once_are_counted_all(db: PgPool) {
    use llovizna::accounts::login::{Attempt, Credentials, attempt};
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let guess = || async {
        let who = Credentials { email: "ana@prueba.cl", password: "adivinando", ip: None, user_agent: "" };
        attempt(&app.state.db, app.now(), &app.state.config, who).await.unwrap()
    };
    let tried = futures_util::future::join_all((0..12).map(|_| guess())).await;
    let tried = tried.iter().filter(|it| matches!(it, Attempt::Wrong)).count();
    assert!(tried <= 5, "{tried} guesses were tried");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_sign_in_form_from_elsewhere_is_refused(db: PgPool) {
    let app = TestApp::new(db);
    account(&app, "ana@prueba.cl", Role::Staff).await;
    let fields = [("email", "ana@prueba.cl"), ("password", PASSWORD)];
    assert_eq!(app.anonymous().post("/login", &fields).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_unused_session_ends_and_says_so(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.admin().await;
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    app.state.clock.advance(TimeDelta::hours(12));
    let reply = browser.get("/staff?x=1").await;
    assert_eq!(reply.location(), "/login?next=%2Fstaff%3Fx%3D1&reason=expired");
    let page = app.anonymous().get(reply.location()).await;
    assert!(page.text().contains("Tu sesión terminó"), "{}", page.text());
    let lost = browser.post("/theme", &[("theme", "dark")]).await;
    let page = app.anonymous().get(lost.location()).await;
    assert!(page.text().contains("no se guardó"), "{}", page.text());
    assert_eq!(browser.htmx().get("/").await.headers["hx-redirect"], "/login?reason=expired");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_session_in_use_lives_fourteen_days_and_no_longer(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.admin().await;
    for _ in 0..14 * 4 - 1 {
        app.state.clock.advance(TimeDelta::hours(6));
        assert_eq!(browser.get("/").await.status, StatusCode::OK);
    }
    app.state.clock.advance(TimeDelta::hours(6));
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn signing_out_ends_the_session_for_good(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.admin().await;
    assert_eq!(browser.post("/logout", &[]).await.location(), "/login?reason=out");
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_new_password_ends_ones_other_sessions(db: PgPool) {
    let app = TestApp::new(db);
    let id = account(&app, "ana@prueba.cl", Role::Staff).await;
    let (here, there) = (app.as_staff(id).await, app.as_staff(id).await);
    let fresh = "cuatro gatos en el muelle";
    let form = |current: &'static str, again: &'static str| {
        [("current_password", current), ("password", "cuatro gatos en el muelle"), ("password_again", again)]
    };
    let wrong = here.post("/profile/password", &form("no es esta clave", fresh)).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("No es tu contraseña actual"));
    let differs = here.post("/profile/password", &form(PASSWORD, "otra")).await;
    assert_eq!(differs.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(there.get("/").await.status, StatusCode::OK);
    assert_eq!(here.post("/profile/password", &form(PASSWORD, fresh)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(here.get("/").await.status, StatusCode::OK);
    assert_eq!(there.get("/").await.status, StatusCode::SEE_OTHER);
    let reply = sign_in(&app, &[("email", "ana@prueba.cl"), ("password", fresh)]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_changes_ones_own_name(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.as_role(Role::ReadOnly).await;
    assert!(browser.get("/profile").await.body.contains("value=\"Persona Solo lectura\""));
    browser.post("/profile", &[("name", " Ana  María ")]).await;
    assert!(browser.get("/profile").await.body.contains("value=\"Ana María\""));
    let nameless = browser.post("/profile", &[("name", " ")]).await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_closes_ones_own_sessions_only(db: PgPool) {
    let app = TestApp::new(db);
    let other = app.as_role(Role::Admin).await;
    let others: i64 =
        sqlx::query_scalar("select id from staff_sessions").fetch_one(&app.state.db).await.unwrap();
    let own = app.as_role(Role::Staff).await;
    let path = format!("/profile/sessions/{others}?_method=DELETE");
    assert_eq!(own.post(&path, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/").await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_person_is_added_and_gets_a_password_shown_once(db: PgPool) {
    let app = TestApp::new(db);
    let admin = app.as_role(Role::Admin).await;
    let fields = [("email", "Nuevo@Prueba.cl"), ("name", "Nuevo Pérez"), ("role", "STAFF")];
    let reply = admin.post("/staff", &fields).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let (_, rest) = reply.body.split_once("id=\"new-password\">").unwrap();
    let password = rest.split('<').next().unwrap();
    let entered = sign_in(&app, &[("email", "nuevo@prueba.cl"), ("password", password)]).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let twice = admin.post("/staff", &fields).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(twice.text().contains("Ya hay una cuenta con este correo") && twice.body.contains("Nuevo Pérez"));
    let audited: i64 = sqlx::query_scalar("select count(*) from audit_events where action = 'staff.create'")
        .fetch_one(&app.state.db)
        .await
        .unwrap();
    assert_eq!(audited, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_administrator_does_not_touch_superadministrators(db: PgPool) {
    let app = TestApp::new(db);
    let boss = account(&app, "jefa@prueba.cl", Role::SuperAdmin).await;
    let admin = app.as_role(Role::Admin).await;
    let make = [("email", "x@prueba.cl"), ("name", "X"), ("role", "SUPERADMIN"), ("password", PASSWORD)];
    assert_eq!(admin.post("/staff", &make).await.status, StatusCode::FORBIDDEN);
    let promote = [("name", "Yo"), ("role", "SUPERADMIN")];
    let own = format!("/staff/{}", admin.staff.unwrap());
    assert_eq!(admin.post(&own, &promote).await.status, StatusCode::FORBIDDEN);
    for path in
        [format!("/staff/{boss}"), format!("/staff/{boss}/password"), format!("/staff/{boss}/deactivation")]
    {
        let reply = admin.post(&path, &[("name", "Nadie"), ("role", "STAFF")]).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_last_superadministrator_stays_one(db: PgPool) {
    let app = TestApp::new(db);
    let first = app.admin().await;
    let own = format!("/staff/{}", first.staff.unwrap());
    let demote = [("name", "Yo"), ("role", "STAFF")];
    assert_eq!(first.post(&own, &demote).await.location(), own);
    let page = first.get(&own).await;
    assert!(page.text().contains("última cuenta activa"), "{}", page.text());
    assert!(!first.get(&own).await.text().contains("última cuenta activa"), "a notice is said once");
    let second = account(&app, "otra@prueba.cl", Role::SuperAdmin).await;
    assert_eq!(first.post(&format!("/staff/{second}/deactivation"), &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(first.post(&own, &demote).await.location(), own, "the other one is closed");
    let reopen = format!("/staff/{second}/deactivation?_method=DELETE");
    first.post(&reopen, &[]).await;
    assert_eq!(first.post(&own, &demote).await.location(), "/");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_who_demote_each_other_at_once_leave_one_and_no_deadlock(db: PgPool) {
    let app = TestApp::new(db.clone());
    let (one, other) = (
        account(&app, "a@prueba.cl", Role::SuperAdmin).await,
        account(&app, "b@prueba.cl", Role::SuperAdmin).await,
    );
    let demote = async |actor: StaffId, id: StaffId| {
        let actor = Actor::Staff { id: actor, name: "Ana".to_owned(), role: Role::SuperAdmin };
        let mut tx = db.begin().await.unwrap();
        staff::update(&mut tx, app.now(), &actor, id, "Ana", Role::Staff).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    };
    // Both are held until both wait, so that they really meet.
    let mut gate = db.begin().await.unwrap();
    sqlx::query("select from staff_users for update").execute(&mut *gate).await.unwrap();
    let open = async {
        crate::support::until_waiting(&db, 2).await;
        gate.commit().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(demote(one, other), demote(other, one), open);
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused.as_slice(), [Error::Refused(_) | Error::Forbidden]), "{refused:?}");
    let left: i64 = sqlx::query_scalar("select count(*) from staff_users where role = 'SUPERADMIN'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_sign_in_page_names_the_link_as_the_start_does(db: PgPool) {
    let page = TestApp::new(db).anonymous().get("/login").await.text();
    assert!(page.contains("búscalo como «Primer uso»"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn closing_an_account_ends_its_sessions_and_can_be_undone(db: PgPool) {
    let app = TestApp::new(db);
    let id = account(&app, "ana@prueba.cl", Role::Staff).await;
    let (boss, ana) = (app.admin().await, app.as_staff(id).await);
    let path = format!("/staff/{id}/deactivation");
    boss.post(&path, &[]).await;
    assert_eq!(ana.get("/").await.status, StatusCode::SEE_OTHER);
    let page = boss.get(&format!("/staff/{id}")).await;
    assert!(
        page.body.contains(&format!("action=\"{path}?_method=DELETE\"")) && page.text().contains("Deshacer")
    );
    boss.post(&format!("{path}?_method=DELETE"), &[]).await;
    let reply = sign_in(&app, &[("email", "ana@prueba.cl"), ("password", PASSWORD)]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
}

const SETUP: [(&str, &str); 8] = [
    ("business_name", "Termas del Lago"),
    ("rut", "76.086.428-5"),
    ("address", "Camino al volcán 1200, Puerto Varas"),
    ("business_email", "hola@termas.cl"),
    ("name", "Carolina Vidal"),
    ("email", "caro@termas.cl"),
    ("password", PASSWORD),
    ("password_again", PASSWORD),
];

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_is_wrong_in_the_first_form_is_told_in_its_order(db: PgPool) {
    let app = TestApp::new(db);
    let link = setup::link(&app.state.db, &app.state.config).await.unwrap().unwrap();
    let path = link.strip_prefix(&app.state.config.public_url).unwrap();
    let mut browser = app.anonymous();
    let page = browser.get(path).await;
    browser.cookie = page.cookies().join("; ");
    browser.csrf = page.csrf();
    let token = setup::token(&app.state.config).unwrap();
    let fields = [
        ("token", token.as_str()),
        ("email", "caro@termas.cl"),
        ("password", "corta"),
        ("password_again", "otra"),
    ];
    let wrong = browser.post("/setup", &fields).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let summary = wrong.body.split("id=\"errors\"").nth(1).unwrap().split("</ul>").next().unwrap();
    let told: Vec<&str> = summary.split("#field-").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(told, ["business_name", "address", "business_email", "name", "password", "password_again"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_first_run_makes_the_business_and_its_administrator_once(db: PgPool) {
    let app = TestApp::new(db);
    assert!(app.anonymous().get("/login").await.text().contains("enlace de un solo uso"));
    let link = setup::link(&app.state.db, &app.state.config).await.unwrap().unwrap();
    let path = link.strip_prefix(&app.state.config.public_url).unwrap();
    assert_eq!(app.anonymous().get("/setup?token=guessed").await.status, StatusCode::FORBIDDEN);
    let mut browser = app.anonymous();
    let page = browser.get(path).await;
    browser.cookie = page.cookies().join("; ");
    browser.csrf = page.csrf();
    let token = setup::token(&app.state.config).unwrap();
    let with = |changes: &[(&'static str, &'static str)]| {
        let mut fields: Vec<(&str, &str)> = SETUP
            .iter()
            .map(|(name, value)| (*name, changes.iter().find(|it| it.0 == *name).map_or(*value, |it| it.1)))
            .collect();
        fields.push(("token", &token));
        fields
    };
    let wrong = browser.post("/setup", &with(&[("rut", "76.086.428-4"), ("password", "corta")])).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let text = wrong.text();
    assert!(text.contains("dígito verificador") && text.contains("al menos 12 caracteres"), "{text}");
    assert!(wrong.body.contains("Camino al volcán 1200"), "what was typed is kept");
    assert!(staff::is_nobody(&app.state.db).await.unwrap(), "nothing half made");

    let done = browser.post("/setup", &with(&[])).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/setup/email"), "{}", done.text());
    let mut boss = app.anonymous();
    boss.cookie = done.cookies().join("; ");
    assert_eq!(boss.get("/setup/email").await.status, StatusCode::OK);
    let business: Business = settings::load(&app.state.db, &app.state.config.first_values).await.unwrap();
    assert!(business.is_legal_sender());
    assert_eq!(business.rut, "76086428-5");
    assert_eq!(app.anonymous().get(path).await.location(), "/login", "the link is dead");
    assert_eq!(browser.post("/setup", &with(&[])).await.location(), "/login");
    assert!(setup::link(&app.state.db, &app.state.config).await.unwrap().is_none());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_environment_may_name_the_first_administrator(db: PgPool) {
    let app = TestApp::with(db, &[("ADMIN_EMAIL", "Jefa@Prueba.cl"), ("ADMIN_PASSWORD", PASSWORD)]);
    let make = || setup::ensure_first_admin(&app.state.db, app.now(), &app.state.config);
    assert!(make().await.unwrap().is_some());
    assert!(make().await.unwrap().is_none(), "only on an empty database");
    let reply = sign_in(&app, &[("email", "jefa@prueba.cl"), ("password", PASSWORD)]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_poor_first_password_is_refused_by_name(db: PgPool) {
    let app = TestApp::with(db, &[("ADMIN_EMAIL", "jefa@prueba.cl"), ("ADMIN_PASSWORD", "corta")]);
    let made = setup::ensure_first_admin(&app.state.db, app.now(), &app.state.config).await;
    assert!(matches!(made, Err(Error::Refused(it)) if it.contains("ADMIN_PASSWORD")));
}
