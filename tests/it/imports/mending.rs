//! Cells that only raised a doubt are written anew before confirming, as rejected rows are.

use super::web::upload;
use crate::support::{Browser, TestApp};
use llovizna::{access::Role, imports::run};
use sqlx::PgPool;

const FILE: &str = "Nombre,Email,Teléfono,Comuna,Fecha de nacimiento,Acepta correo\n\
    Ana,ana@x.example,\"9,87E+08\",Osorno,ayer,quizás\n\
    Eva,eva@x.example,,Macondo,,\n\
    Luz,luz@x.example,987654321,Osorno,,\n\
    Sol,malo,,,,\n";

async fn simulated(app: &TestApp, browser: &Browser<'_>) -> String {
    let page = upload(browser, FILE.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&app.state.db, app.now()).await.unwrap();
    page
}

/// First name, telephone, comuna and day of birth.
type Written = (String, Option<String>, Option<String>, Option<chrono::NaiveDate>);

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_cell_that_raised_a_doubt_is_corrected_on_the_spot(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser).await;
    assert!(browser.get(&page).await.text().contains("Abre un motivo para corregir sus celdas"));
    let shown = browser.get(&format!("{page}/rows?verdict=WARNED")).await;
    for (cell, is_faulty) in [
        ("cell-2-0", false),
        ("cell-2-2", true),
        ("cell-2-3", false),
        ("cell-2-4", true),
        ("cell-2-5", true),
        ("cell-3-3", true),
        ("cell-3-1", false),
    ] {
        let at = shown.body.find(&format!("name=\"{cell}\"")).unwrap_or_else(|| panic!("{cell}"));
        let start = shown.body[..at].rfind('<').unwrap();
        assert_eq!(shown.body[start..at].contains("is-invalid"), is_faulty, "{cell}");
    }
    assert!(!shown.body.contains("cell-4-"), "a row without a doubt is left alone");
    assert!(!shown.body.contains("cell-5-"), "a rejected row has its own page");
    let typed = [
        ("cell-2-2", "987654322"),
        ("cell-2-4", "31-12-1990"),
        ("cell-2-5", "sí"),
        ("cell-3-3", "Puerto Varas"),
        ("cell-4-0", "Otra"),
    ];
    browser.post(&format!("{page}/corrections"), &typed).await;
    run::run_once(&db, app.now()).await.unwrap();
    let text = browser.get(&page).await.text();
    assert!(!text.contains("Con observaciones"), "{text}");
    browser.post(&format!("{page}/confirmation"), &[("simulation", "2")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let written: Vec<Written> =
        sqlx::query_as("select first_name, phone, comuna, birth_date from contacts order by first_name")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(written[0].1.as_deref(), Some("+56987654322"));
    assert!(written[0].3.is_some());
    assert!(written[1].2.is_some(), "Puerto Varas");
    assert_eq!(written[2].0, "Luz", "what nobody doubts is not written anew");
    assert_eq!(written.len(), 3);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_reason_alone_gives_its_rows_to_correct_and_a_written_import_none(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser).await;
    let reason = "No+conocemos+la+comuna+«…»:+quedó+sin+comuna";
    let rows = format!("{page}/rows?verdict=WARNED&reason={reason}");
    let shown = browser.get(&rows).await;
    assert!(shown.body.contains("name=\"cell-3-3\"") && !shown.body.contains("cell-2-"), "{}", shown.body);
    let rejected = browser.get(&format!("{page}/rows?verdict=REJECTED")).await;
    assert!(rejected.body.contains("name=\"cell-5-1\""), "{}", rejected.body);
    let reader = app.as_role(Role::ReadOnly).await;
    assert!(!reader.get(&rows).await.body.contains("cell-3-3"), "who only looks corrects nothing");
    browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert!(!browser.get(&rows).await.body.contains("cell-3-3"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn where_no_cell_is_in_doubt_nothing_is_offered_to_be_mended(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let file = "Nombre,Email,Comuna\nEva,eva@x.example,Osorno,sobra\n";
    let page = upload(&browser, file.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let shown = browser.get(&page).await.text();
    assert!(shown.contains("Sobran celdas") && !shown.contains("Abre un motivo"), "{shown}");
    let rows = browser.get(&format!("{page}/rows?verdict=WARNED")).await.body;
    assert!(rows.contains("Sobran celdas") && !rows.contains("cell-2-"), "{rows}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_corrected_stays_where_the_header_is_looked_for_elsewhere_and_back(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser).await;
    browser.post(&format!("{page}/corrections"), &[("cell-5-1", "sol@x.example")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let rejected = "select rejected from imports";
    let of = async || sqlx::query_scalar::<_, i64>(rejected).fetch_one(&db).await.unwrap();
    assert_eq!(of().await, 0, "row 5 is mended");
    for header in ["999", "1"] {
        browser.post(&format!("{page}/mapping"), &[("header_row", header), ("on_duplicate", "fill")]).await;
        run::run_once(&db, app.now()).await.unwrap();
    }
    let text = browser.get(&page).await.text();
    assert!(text.contains("Por confirmar"), "{text}");
    assert_eq!(of().await, 0, "row 5 is mended still");
}
