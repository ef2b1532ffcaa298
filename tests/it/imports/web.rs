//! The pages of imports, from upload to undo.

use super::population;
use crate::support::{Browser, Reply, TestApp};
use axum::http::StatusCode;
use llovizna::{
    access::Role,
    imports::{self, run},
};
use sqlx::PgPool;

const FILE: &str = "Nombre;Apellidos;Correo;Empresa\r\nÍñigo;Muñoz;inigo@x.example;Ñandú SpA\r\n<b>Ana</b>;Pérez;malo;Uno\r\n";

pub(super) async fn upload(browser: &Browser<'_>, content: &[u8], fields: &[(&str, &str)]) -> Reply {
    let all = [&[("kind", "contacts"), ("on_duplicate", "fill"), ("consent_basis", "NONE")], fields].concat();
    browser.upload("/imports", &all, ("file", "clientes.csv", content)).await
}

/// Upload and simulate; gives the import's address.
async fn simulated(app: &TestApp, browser: &Browser<'_>) -> String {
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(FILE);
    let reply = upload(browser, &bytes, &[]).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    run::run_once(&app.state.db, app.now()).await.unwrap();
    reply.location().to_owned()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_file_is_uploaded_simulated_confirmed_and_undone(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    assert!(browser.get("/imports").await.text().contains("Trae tus planillas"));
    let page = simulated(&app, &browser).await;
    let shown = browser.get(&page).await;
    assert!(shown.text().contains("Es una simulación"), "{}", shown.text());
    assert!(shown.body.contains("Íñigo") && shown.body.contains("Windows-1252"));
    assert_eq!(population(&db).await, (0, 0));

    let rows = browser.get(&format!("{page}/rows?verdict=REJECTED")).await;
    assert!(rows.body.contains("&#60;b&#62;Ana") && !rows.body.contains("<b>Ana"), "{}", rows.body);
    let csv = browser.get(&format!("{page}/rejected.csv")).await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert!(
        csv.body.starts_with("\u{feff}Nombre;Apellidos;Correo;Empresa;fila;columna;motivo\r\n"),
        "{}",
        csv.body
    );

    let reply = browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    assert_eq!((reply.status, reply.location()), (StatusCode::SEE_OTHER, page.as_str()));
    assert!(browser.get(&page).await.body.contains("hx-get"), "it shows progress by itself");
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await, (1, 1));
    let fragment = browser.get(&format!("{page}/progress")).await;
    assert_eq!(fragment.headers["hx-refresh"], "true");
    let done = browser.get(&page).await;
    assert!(done.text().contains("Se guardó lo válido"), "{}", done.text());
    assert!(done.text().contains("1 fila quedó fuera"), "{}", done.text());
    let number = page.rsplit('/').next().unwrap();
    assert!(done.body.contains(&format!("href=\"/contacts?import={number}\"")), "{}", done.body);
    assert!(browser.get("/imports").await.body.contains("clientes.csv"));

    let asked = browser.get(&format!("{page}/undo")).await;
    assert!(
        asked.text().contains("1 contacto se borra") && asked.text().contains("1 empresa se borra"),
        "{}",
        asked.text()
    );
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await, (1, 1), "asking takes nothing back");
    assert!(
        !done.body.contains(&format!("action=\"{page}/undo\"")),
        "nothing goes by one click: {}",
        done.body
    );
    browser.post(&format!("{page}/undo"), &[]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await, (0, 0));
    assert!(browser.get(&page).await.text().contains("Se deshizo por completo"));
    let audited =
        sqlx::query_scalar!("select action from audit_events where action like 'import.%' order by id")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(
        audited,
        ["import.upload", "import.export_rejected", "import.confirm", "import.apply", "import.undo"]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_column_is_corrected_before_confirming(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser).await;
    let fields = [
        ("field", "first_name"),
        ("field", "last_name"),
        ("field", "email"),
        ("field", ""),
        ("on_duplicate", "skip"),
    ];
    let reply = browser.post(&format!("{page}/mapping"), &fields).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    run::run_once(&db, app.now()).await.unwrap();
    browser.post(&format!("{page}/confirmation"), &[("simulation", "2")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await, (1, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_wrong_form_is_shown_again_with_its_errors(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let empty = upload(&browser, b"", &[]).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let unproven = upload(&browser, b"a", &[("consent_basis", "CONSENT"), ("consent_source", " ")]).await;
    assert_eq!(unproven.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unproven.text().contains("de dónde viene la autorización"), "{}", unproven.text());
    let imports = sqlx::query_scalar!("select count(*) from imports").fetch_one(&db).await.unwrap();
    assert_eq!(imports, Some(0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_unreadable_file_says_why_on_its_page(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let reply = upload(&browser, b"\x89PNG\r\n\x1a\n", &[]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let page = browser.get(reply.location()).await;
    assert!(page.text().contains("es una imagen, no una planilla"), "{}", page.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_looks_changes_nothing(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let page = simulated(&app, &staff).await;
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.get(&page).await.status, StatusCode::OK);
    assert_eq!(reader.get("/imports/new").await.status, StatusCode::FORBIDDEN);
    for action in ["confirmation", "cancellation", "undo", "mapping", "permission", "list"] {
        assert_eq!(
            reader.post(&format!("{page}/{action}"), &[]).await.status,
            StatusCode::FORBIDDEN,
            "{action}"
        );
    }
    assert_eq!(upload(&reader, b"nombre,correo\n", &[]).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn help_and_examples_are_at_hand(db: PgPool) {
    let app = TestApp::new(db);
    let browser = app.as_role(Role::ReadOnly).await;
    assert!(browser.get("/imports/guide").await.text().contains("Cómo limpiarlo"));
    let example = browser.get("/imports/examples/contacts.csv").await;
    assert!(example.body.contains("first_name,last_name,email,phone,job_title,company_name"));
    assert_eq!(browser.get("/imports/examples/otra.csv").await.status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_rejected_row_is_corrected_on_the_spot(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser).await;
    let shown = browser.get(&page).await;
    assert!(shown.body.contains(r#"name="cell-3-2" value="malo""#), "{}", shown.body);
    let nothing = browser.post(&format!("{page}/corrections"), &[("cell-3-2", "malo")]).await;
    assert_eq!(nothing.status, StatusCode::SEE_OTHER);
    assert!(
        browser.get(&page).await.text().contains("Es una simulación"),
        "nothing changed, nothing is read again"
    );
    browser.post(&format!("{page}/corrections"), &[("cell-3-2", "ana@x.example"), ("cell-9-2", "x")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let shown = browser.get(&page).await;
    assert!(shown.text().contains("2 contactos nuevos"), "{}", shown.text());
    assert!(!shown.body.contains("cell-3-2"), "nothing is left to correct");
    browser.post(&format!("{page}/confirmation"), &[("simulation", "2")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await, (2, 2));
    let rows = browser.get(&format!("{page}/rows?verdict=CREATED")).await;
    assert_eq!(
        rows.body.matches("href=\"/contacts/").count(),
        2,
        "each row leads to whom it became: {}",
        rows.body
    );
    let kept = sqlx::query_scalar!("select count(*) from import_corrections").fetch_one(&db).await.unwrap();
    assert_eq!(kept, Some(0));
    let late = browser.post(&format!("{page}/corrections"), &[("cell-3-2", "x")]).await;
    assert_eq!(late.status, StatusCode::SEE_OTHER);
    assert!(browser.get(&page).await.text().contains("ya no se puede corregir"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_history_is_uploaded_with_its_choices(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let file = "correo,nombre,fecha,monto\nana@x.example,Ana Pérez,1-2-2025,15.990\n";
    let fields =
        [("kind", "history"), ("history_kind", "VISIT"), ("create_people", "on"), ("consent_basis", "NONE")];
    let page = browser
        .upload("/imports", &fields, ("file", "historial.csv", file.as_bytes()))
        .await
        .location()
        .to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let shown = browser.get(&page).await.text();
    assert!(shown.contains("1 registro nuevo en el historial, 1 contacto nuevo"), "{shown}");
    browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let rows = browser.get(&format!("{page}/rows")).await;
    assert!(rows.text().contains("Visita, 01-02-2025") && rows.text().contains("$15.990"), "{}", rows.text());
    assert!(rows.body.contains("href=\"/contacts/"), "{}", rows.body);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_file_without_a_wrong_row_is_saved_whole(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let reply = upload(&browser, b"Nombre,Correo\nAna,ana@x.example\n", &[]).await;
    let page = reply.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let text = browser.get(&page).await.text();
    assert!(text.contains("Se guardó todo: 1 contacto nuevo."), "{text}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn only_who_uploaded_it_or_an_administrator_takes_people_back(db: PgPool) {
    let app = TestApp::new(db.clone());
    let admin = app.as_role(Role::Admin).await;
    let staff = app.as_role(Role::Staff).await;
    for (uploader, other, allowed) in [(&admin, &staff, false), (&staff, &admin, true)] {
        let page = upload(uploader, b"Nombre,Correo\nAna,ana@x.example\n", &[]).await.location().to_owned();
        run::run_once(&db, app.now()).await.unwrap();
        uploader.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
        run::run_once(&db, app.now()).await.unwrap();
        let undo = format!("{page}/undo");
        assert_eq!(other.get(&page).await.body.contains(&undo), allowed);
        let reply = other.post(&undo, &[]).await;
        assert_eq!(reply.status == StatusCode::SEE_OTHER, allowed, "{}", reply.text());
        if !allowed {
            assert_eq!((reply.status, population(&db).await.0), (StatusCode::FORBIDDEN, 1));
            assert!(uploader.get(&page).await.body.contains(&undo));
            uploader.post(&undo, &[]).await;
        }
        run::run_once(&db, app.now()).await.unwrap();
        assert_eq!(population(&db).await.0, 0);
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn rejected_rows_leave_as_contacts_do_within_a_roles_limit_and_on_record(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let page = simulated(&app, &staff).await;
    let file = format!("{page}/rejected.csv");
    let reader = app.as_role(Role::ReadOnly).await;
    assert!(!reader.get(&page).await.body.contains("rejected.csv"));
    assert_eq!(reader.get(&file).await.status, StatusCode::FORBIDDEN);
    assert!(staff.get(&page).await.body.contains(&file));
    assert_eq!(staff.get(&file).await.status, StatusCode::OK);
    let audited =
        sqlx::query!("select staff_user_id, after from audit_events where action = 'import.export_rejected'")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!((audited.len(), audited[0].staff_user_id), (1, staff.staff.map(|it| it.0)));

    let many = format!("Nombre,Correo\n{}", "Ana,malo\n".repeat(501));
    let page = upload(&staff, many.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let file = format!("{page}/rejected.csv");
    assert!(!staff.get(&page).await.body.contains(&file));
    let refused = staff.get(&file).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("hasta 500 filas"), "{}", refused.text());
    let admin = app.as_role(Role::Admin).await;
    assert_eq!(admin.get(&file).await.body.lines().count(), 502);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_cell_of_several_lines_survives_its_way_through_the_form(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let file = "Nombre,Correo,Notas\nAna,malo,\"uno\ndos\"\n";
    let page = upload(&browser, file.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let shown = browser.get(&page).await.body;
    assert!(shown.contains("<textarea") && shown.contains(">\nuno\ndos</textarea>"), "{shown}");
    // As browsers send back what they were given.
    let unchanged = [("cell-2-0", "Ana"), ("cell-2-1", "malo"), ("cell-2-2", "uno\r\ndos")];
    browser.post(&format!("{page}/corrections"), &unchanged).await;
    let shown = browser.get(&page).await.text();
    assert!(shown.contains("No cambiaste ninguna celda"), "{shown}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_basis_of_a_simulation_can_be_stated_anew(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = upload(&browser, b"Nombre,Correo\nAna,ana@x.example\n", &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let consent = format!("{page}/consent");
    assert!(browser.get(&page).await.body.contains(&format!("action=\"{consent}\"")));
    browser.post(&consent, &[("consent_basis", "CONSENT"), ("consent_source", " ")]).await;
    assert!(browser.get(&page).await.text().contains("de dónde viene la autorización"));
    let stated = [
        ("consent_basis", "CONSENT"),
        ("consent_source", "Feria"),
        ("consent_obtained_on", "2026-10-01"),
        ("consent_email", "on"),
    ];
    browser.post(&consent, &stated).await;
    run::run_once(&db, app.now()).await.unwrap();
    let shown = browser.get(&page).await.text();
    assert!(
        shown.contains("Es una simulación") && shown.contains("Feria") && shown.contains("01-10-2026"),
        "{shown}"
    );
    browser.post(&format!("{page}/confirmation"), &[("simulation", "2")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let basis = sqlx::query_scalar!("select email_basis from contacts").fetch_one(&db).await.unwrap();
    assert_eq!(basis.as_deref(), Some("CONSENT"));
    let late = browser.post(&consent, &[("consent_basis", "NONE")]).await;
    assert_eq!(late.status, StatusCode::SEE_OTHER);
    assert!(browser.get(&page).await.text().contains("ya no se puede corregir"));
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post(&consent, &stated).await.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_simulation_that_another_replaced_is_not_confirmed_unseen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let page = upload(&staff, b"Nombre,Correo\nAna,ana@x.example\n", &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    assert!(staff.get(&page).await.body.contains("name=\"simulation\" value=\"1\""));
    let colleague = app.as_role(Role::Admin).await;
    let fields = [("field", "first_name"), ("field", "email"), ("on_duplicate", "overwrite")];
    colleague.post(&format!("{page}/mapping"), &fields).await;
    run::run_once(&db, app.now()).await.unwrap();
    for seen in [&[("simulation", "1")][..], &[]] {
        staff.post(&format!("{page}/confirmation"), seen).await;
        let text = staff.get(&page).await.text();
        assert!(text.contains("se simuló de nuevo después de que abriste esta página"), "{text}");
        run::run_once(&db, app.now()).await.unwrap();
        assert_eq!(population(&db).await.0, 0);
    }
    staff.post(&format!("{page}/confirmation"), &[("simulation", "2")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(population(&db).await.0, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_row_of_the_header_can_be_chosen(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let content = "Nombre,Correo,Teléfono\nzona,norte,x\ncliente,contacto,obs\nAna,ana@x.example,hola\n";
    let page = upload(&staff, content.as_bytes(), &[]).await.location().to_owned();
    let id = imports::list(&db, None, 1).await.unwrap()[0].id;
    run::run_once(&db, app.now()).await.unwrap();
    let header = async || imports::get(&db, id).await.unwrap().layout.unwrap().header_row;
    assert_eq!(header().await, 1);
    assert!(staff.get(&page).await.body.contains("name=\"header_row\""));
    let mapping = format!("{page}/mapping");
    staff.post(&mapping, &[("header_row", "3")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let it = imports::get(&db, id).await.unwrap();
    assert_eq!(it.layout.unwrap().columns, ["cliente", "contacto", "obs"]);
    // The next correction keeps it.
    let fields = [("header_row", "3"), ("field", "first_name"), ("field", "email"), ("field", "notes")];
    staff.post(&mapping, &fields).await;
    run::run_once(&db, app.now()).await.unwrap();
    let it = imports::get(&db, id).await.unwrap();
    assert_eq!((it.layout.unwrap().header_row, it.counts.rows, it.counts.created), (3, 1, 1));
    staff.post(&mapping, &[("header_row", "900")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    let text = staff.get(&page).await.text();
    assert!(text.contains("La fila 900 está vacía o no está entre las primeras"), "{text}");
    staff.post(&mapping, &[("header_row", "1")]).await;
    run::run_once(&db, app.now()).await.unwrap();
    assert_eq!(header().await, 1);
}
