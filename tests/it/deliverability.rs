//! The page that tells what the DNS says of the sender's domain.

use crate::support::TestApp;
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    db::MIGRATIONS,
    deliverability::{Asking, Doctor, Kind, Names, Unanswered, one_click},
};
use sqlx::PgPool;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Knows an SPF that anyone passes; for DMARC it does not answer. Counts what it is asked.
struct Fake(Arc<AtomicUsize>);

impl Names for Fake {
    fn ask<'a>(&'a self, name: &'a str, kind: Kind) -> Asking<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let found = match (name, kind) {
            ("termas.cl", Kind::Txt) => Ok(vec!["v=spf1 mx +all".to_owned()]),
            (name, _) if name.starts_with("_dmarc") => Err(Unanswered),
            _ => Ok(Vec::new()),
        };
        Box::pin(async move { found })
    }
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_page_comes_at_once_and_the_answers_are_kept_until_asked_anew(db: PgPool) {
    let asked = Arc::new(AtomicUsize::new(0));
    let doctor = Doctor::new(Some(Box::new(Fake(asked.clone()))));
    let app = TestApp::with(db, &[("DEFAULT_FROM_EMAIL", "hola@termas.cl")]).with_doctor(doctor);
    let asked = || asked.load(Ordering::Relaxed);

    assert!(app.get("/settings/deliverability").await.text().contains("Preguntando"));
    assert_eq!(asked(), 0);
    let report = app.get("/settings/deliverability?report=1").await;
    assert!(report.text().contains("deja enviar a cualquiera"));
    assert!(report.text().contains("DMARC: Sin respuesta"));
    assert!(report.body.contains("data-copy=\"v=spf1 mx ~all\""));
    let first = asked();
    assert!(app.get("/settings/deliverability").await.text().contains("deja enviar a cualquiera"));
    assert_eq!(asked(), first);
    app.get("/settings/deliverability?again=1").await;
    assert!(asked() > first);
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn without_name_servers_it_says_so(db: PgPool) {
    let app = TestApp::with(db, &[("DEFAULT_FROM_EMAIL", "hola@termas.cl")]);
    let page = app.get("/settings/deliverability?report=1").await.text();
    assert!(page.contains("no tiene servidores de nombres"), "{page}");
}

#[sqlx::test(migrator = "MIGRATIONS")]
async fn the_one_click_of_nobody_is_answered_and_takes_nobody_off(db: PgPool) {
    let app = TestApp::with(db.clone(), &[("PUBLIC_URL", "http://127.0.0.1:9")]);
    let pressed = app.anonymous().post("/baja/prueba", &[("List-Unsubscribe", "One-Click")]).await;
    assert_eq!(pressed.status, StatusCode::OK);
    assert!(pressed.body.contains(one_click::ANSWER), "{}", pressed.body);
    let left: i64 = sqlx::query_scalar("select count(*) from suppressions").fetch_one(&db).await.unwrap();
    assert_eq!(left, 0);
    let browser = app.admin().await;
    let asked = browser.post("/settings/deliverability/one-click", &[]).await;
    let page = browser.get(asked.location()).await.text();
    assert!(page.contains("no se llegó a http://127.0.0.1:9/baja/prueba"), "{page}");
    let staff = app.as_role(Role::Staff).await;
    assert_eq!(staff.post("/settings/deliverability/one-click", &[]).await.status, StatusCode::FORBIDDEN);
}
