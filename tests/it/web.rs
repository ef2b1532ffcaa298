//! The edge: who may open what, forged forms, error pages, headers, static files.

use crate::support::TestApp;
use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use llovizna::{
    access::Role,
    web::{self, Access},
};
use sqlx::PgPool;

/// The route's pattern with something in the place of each parameter.
fn example(path: &str) -> String {
    path.split('/').map(|it| if it.starts_with('{') { "987654" } else { it }).collect::<Vec<_>>().join("/")
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_route_lets_in_only_the_roles_that_may(db: PgPool) {
    let app = TestApp::new(db);
    for route in web::table() {
        let Access::Staff(needs) = route.access else { continue };
        let path = example(route.path);
        let anonymous = app.anonymous();
        let reply = anonymous.send(anonymous.request(route.method.clone(), &path), Body::empty()).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{} {path} without a session", route.method);
        assert!(reply.location().starts_with("/login"), "{} {path}: {}", route.method, reply.location());
        let htmx = anonymous.clone().htmx();
        let reply = htmx.send(htmx.request(route.method.clone(), &path), Body::empty()).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{} {path} by htmx", route.method);
        for role in Role::ALL {
            let browser = app.as_role(role).await;
            // A change without the token is refused to everyone, so that nothing is changed here.
            let mut request = browser.request(route.method.clone(), &path);
            let mut body = Body::empty();
            if matches!(route.body, web::Body::Upload(_)) {
                request = request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
                let form =
                    "--x\r\nContent-Disposition: form-data; name=\"kind\"\r\n\r\ncontacts\r\n--x--\r\n";
                body = Body::from(form);
            }
            let reply = browser.send(request, body).await;
            let forbidden = reply.text().contains("Tu rol no permite");
            assert_eq!(forbidden, !role.may(needs), "{} {path} as {role:?}: {}", route.method, reply.status);
            if route.method == Method::GET && role.may(needs) {
                assert!(
                    [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::SEE_OTHER].contains(&reply.status),
                    "GET {path} as {role:?}: {} {}",
                    reply.status,
                    reply.text()
                );
            } else {
                assert_eq!(reply.status, StatusCode::FORBIDDEN, "{} {path} as {role:?}", route.method);
            }
        }
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_forged_form_is_refused_in_spanish(db: PgPool) {
    let app = TestApp::new(db);
    let mut browser = app.admin().await;
    browser.csrf = "guessed".to_owned();
    let reply = browser.post("/theme", &[("theme", "dark")]).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains("no se guardó nada"), "{}", reply.text());
    let elsewhere = app.admin().await.header("origin", "https://malo.cl");
    assert_eq!(elsewhere.post("/theme", &[("theme", "dark")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.post("/theme", &[("theme", "dark")]).await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_file_sent_where_none_is_taken_is_refused(db: PgPool) {
    let app = TestApp::new(db);
    let reply = app.admin().await.upload("/theme", &[], ("file", "a.csv", b"x")).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_oversized_form_is_refused_whole(db: PgPool) {
    let app = TestApp::new(db);
    let long = "x".repeat(2 * 1024 * 1024);
    let reply = app.post("/theme", &[("theme", &long)]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn errors_are_spanish_pages_and_toasts_for_htmx(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.admin().await;
    let reply = browser.get("/no-such-page").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(reply.body.contains("<html lang=\"es-CL\"") && reply.text().contains("No está aquí"));
    let toast = browser.clone().htmx().get("/no-such-page").await;
    assert!(!toast.body.contains("<html") && toast.headers["hx-retarget"] == "#toasts");
    let reply = browser.send(browser.request(Method::PUT, "/theme"), Body::empty()).await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(reply.headers.contains_key(header::ALLOW));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_database_that_is_away_is_said_so_with_when_to_retry(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.admin().await;
    app.state.db.close().await;
    let reply = browser.get("/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers[header::RETRY_AFTER], "60");
    assert!(reply.text().contains("No pudimos llegar a la base de datos; no se guardó nada"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_answer_carries_the_defences_of_the_browser(db: PgPool) {
    let app = TestApp::with(db, &[("PUBLIC_URL", "https://crm.prueba.cl")]);
    for path in ["/", "/login", "/no-such-page"] {
        let reply = app.get(path).await;
        let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(reply.headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn pages_hold_no_inline_script_style_or_handler(db: PgPool) {
    let app = TestApp::new(db);
    for route in web::table() {
        if route.method != Method::GET || route.path.contains('{') || route.access == Access::Public {
            continue;
        }
        let reply = app.get(route.path).await;
        let body = reply.body.to_lowercase();
        assert!(!body.contains(" style=") && !body.contains("<style"), "{} has inline style", route.path);
        assert!(!body.contains(" onclick=") && !body.contains(" onchange="), "{}", route.path);
        for script in body.split("<script").skip(1) {
            assert!(script.trim_start().starts_with("src="), "{} has an inline script", route.path);
        }
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn static_files_are_kept_by_their_content(db: PgPool) {
    let app = TestApp::new(db);
    let page = app.anonymous().get("/login").await;
    let (_, rest) = page.body.split_once("href=\"/static/").unwrap();
    let path = format!("/static/{}", rest.split('"').next().unwrap());
    let reply = app.anonymous().get(&path).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(
        app.anonymous().get("/static/0/app.css").await.headers[header::CACHE_CONTROL],
        "public, max-age=300"
    );
    assert_eq!(app.anonymous().get("/static/0/../Cargo.toml").await.status, StatusCode::NOT_FOUND);
}
