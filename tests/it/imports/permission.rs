//! A basis declared for the people of an import that was written without one.

use super::{Attempt, now, population, web::upload};
use crate::support::{Browser, TestApp};
use chrono::{NaiveDate, TimeDelta};
use llovizna::{
    access::{Actor, Role},
    channels::Channel,
    contacts::bulk::OnDuplicate,
    error::Error,
    ids::ImportId,
    imports::{
        self, Consent, Status,
        permission::{self, Declared},
        run, undo,
    },
};
use sqlx::PgPool;

const FILE: &str =
    "nombre,correo\nAna,ana@x.example\nJuan,juan@x.example\nEva,eva@x.example\nRosa,rosa@x.example\n";

async fn declare(db: &PgPool, id: i64) -> Result<Declared, Error> {
    let consent = Consent {
        basis: "LEGITIMATE_INTEREST".to_owned(),
        source: "Feria de Osorno".to_owned(),
        obtained_on: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
        channels: vec![Channel::Email],
    };
    let mut tx = db.begin().await?;
    let later = now() + TimeDelta::hours(3);
    let done = permission::declare(&mut tx, later, &Actor::CommandLine, ImportId(id), &consent).await?;
    tx.commit().await?;
    Ok(done)
}

/// Who may be written to, by address.
async fn reachable(db: &PgPool) -> Vec<String> {
    sqlx::query_scalar!(
        r#"select email as "email!" from contacts where email_basis is not null order by email"#
    )
    .fetch_all(db)
    .await
    .unwrap()
}

async fn execute(db: &PgPool, statement: &'static str) {
    sqlx::raw_sql(statement).execute(db).await.unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_basis_declared_afterwards_reaches_whom_an_import_would_and_nobody_who_said_no(db: PgPool) {
    let it = Attempt::contacts(FILE).applied().run(&db).await;
    Attempt::contacts("nombre,correo\nOtro,otro@x.example\n").applied().run(&db).await;
    execute(
        &db,
        "insert into consent_events (contact_id, communication_type, basis, source, at)
         select id, 'EMAIL', 'WITHDRAWN', 'baja', '2026-11-23' from contacts where email = 'ana@x.example';
         insert into suppressions (communication_type, destination, scope, reason, created_at)
         values ('EMAIL', 'juan@x.example', 'ALL', 'HARD_BOUNCE', '2026-11-23');
         insert into suppressions (communication_type, address_hash, hint, scope, reason, created_at)
         select 'EMAIL', suppression_hash(key, 'eva@x.example'), 'e…', 'PROMOTIONAL', 'MANUAL', '2026-11-23' from suppression_key",
    )
    .await;
    assert_eq!(declare(&db, it.import_id).await.unwrap(), Declared { permitted: 1, left: 3 });
    assert_eq!(reachable(&db).await, ["rosa@x.example"]);
    let proof = sqlx::query!(
        "select basis, source, obtained_on, import_id from consent_events where basis <> 'WITHDRAWN'"
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!((proof.basis.as_str(), proof.source.as_str()), ("LEGITIMATE_INTEREST", "Feria de Osorno"));
    assert_eq!(
        (proof.obtained_on, proof.import_id),
        (NaiveDate::from_ymd_opt(2026, 10, 1), Some(it.import_id)),
        "the import is the proof"
    );
    let audited =
        sqlx::query_scalar!(r#"select after as "after!" from audit_events where action = 'import.declare'"#)
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(audited["people"], 1);
    let twice = declare(&db, it.import_id).await;
    assert!(matches!(twice, Err(Error::Refused(it)) if it.contains("ya tiene su permiso")));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn what_was_declared_goes_with_the_import_and_leaves_the_others_as_they_were(db: PgPool) {
    Attempt::contacts("nombre,correo\nAna,ana@x.example\n").applied().run(&db).await;
    let snapshot = async || -> Vec<serde_json::Value> {
        sqlx::query_scalar(r"select to_jsonb(c) from contacts c where email = 'ana@x.example'")
            .fetch_all(&db)
            .await
            .unwrap()
    };
    let before = snapshot().await;
    let it = Attempt::contacts(FILE).applied().run(&db).await;
    assert_eq!((it.counts.created, it.counts.unchanged), (3, 1));
    assert_eq!(declare(&db, it.import_id).await.unwrap(), Declared { permitted: 4, left: 0 });
    assert_eq!(reachable(&db).await.len(), 4, "also who was known");
    let import = imports::get(&db, ImportId(it.import_id)).await.unwrap();
    assert_eq!((import.permitted, import.consent.is_some()), (1, true));
    let mut tx = db.begin().await.unwrap();
    undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id)).await.unwrap();
    tx.commit().await.unwrap();
    run::run_once(&db, now()).await.unwrap();
    assert_eq!(imports::get(&db, ImportId(it.import_id)).await.unwrap().status, Status::Undone);
    assert_eq!((population(&db).await.0, snapshot().await), (1, before));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whom_somebody_changed_since_still_keeps_the_import_from_being_taken_back(db: PgPool) {
    let it = Attempt::contacts(FILE).applied().run(&db).await;
    execute(
        &db,
        "update contacts set job_title = 'Jefa', updated_at = updated_at + interval '1 hour' where email = 'ana@x.example'",
    )
    .await;
    declare(&db, it.import_id).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let refused = undo::ask(&mut tx, now(), &Actor::CommandLine, ImportId(it.import_id)).await;
    assert!(
        matches!(&refused, Err(Error::Refused(it)) if it.contains("1 contacto cambió después")),
        "{refused:?}"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_file_that_left_the_known_alone_or_answers_by_itself_gives_no_more_than_it_did(db: PgPool) {
    Attempt::contacts("nombre,correo\nAna,ana@x.example\n").applied().run(&db).await;
    let it = Attempt::contacts(FILE).on_duplicate(OnDuplicate::Skip).applied().run(&db).await;
    assert_eq!(declare(&db, it.import_id).await.unwrap().permitted, 3);
    assert_eq!(reachable(&db).await, ["eva@x.example", "juan@x.example", "rosa@x.example"]);
    let answers = "nombre,correo,acepta correo\nLuz,luz@x.example,\nSol,sol@x.example,Sí\n";
    let it = Attempt::contacts(answers).applied().run(&db).await;
    let refused = declare(&db, it.import_id).await;
    assert!(matches!(&refused, Err(Error::Refused(it)) if it.contains("Vuelve a subirlo")), "{refused:?}");
    assert_eq!(reachable(&db).await.len(), 3, "a blank is no yes");
    let companies = Attempt::companies("nombre\nUno\n").applied().run(&db).await;
    assert!(declare(&db, companies.import_id).await.is_err());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_was_joined_or_had_another_address_is_left_out(db: PgPool) {
    let it = Attempt::contacts(FILE).applied().run(&db).await;
    let id = async |email: &'static str| {
        llovizna::ids::ContactId(
            sqlx::query_scalar!("select id from contacts where email = $1", email)
                .fetch_one(&db)
                .await
                .unwrap(),
        )
    };
    let (ana, juan) = (id("ana@x.example").await, id("juan@x.example").await);
    crate::duplicates::join(&db, ana, juan, &[]).await.unwrap();
    declare(&db, it.import_id).await.unwrap();
    assert_eq!(reachable(&db).await, ["eva@x.example", "rosa@x.example"]);
}

/// Upload `content` and write it; gives the import's address.
async fn written(app: &TestApp, browser: &Browser<'_>, content: &str, fields: &[(&str, &str)]) -> String {
    let page = upload(browser, content.as_bytes(), fields).await.location().to_owned();
    run::run_once(&app.state.db, app.now()).await.unwrap();
    browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    run::run_once(&app.state.db, app.now()).await.unwrap();
    page
}

const STATED: [(&str, &str); 4] = [
    ("consent_basis", "CONSENT"),
    ("consent_source", "Feria"),
    ("consent_obtained_on", "2026-10-01"),
    ("consent_email", "on"),
];

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_page_warns_beside_the_counts_and_takes_the_basis_before_and_after(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let page = upload(&staff, FILE.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let told = staff.get(&page).await;
    assert!(
        told.text().contains("Ninguno de los 4 contactos nuevos podrá recibir promociones"),
        "{}",
        told.text()
    );
    assert_eq!(told.body.matches(&format!("action=\"{page}/consent\"")).count(), 1);
    staff.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
    run::run_once(&db, app.now()).await.unwrap();

    let told = staff.get(&page).await;
    assert!(
        told.text().contains("4 personas de este archivo no pueden recibir promociones"),
        "{}",
        told.text()
    );
    assert!(told.text().contains("Pídelo a quien administra el equipo"), "{}", told.text());
    let declared = format!("{page}/permission");
    assert!(!told.body.contains(&declared));
    assert_eq!(staff.post(&declared, &STATED).await.status, axum::http::StatusCode::FORBIDDEN);
    let admin = app.as_role(Role::Admin).await;
    assert!(admin.get(&page).await.body.contains(&format!("action=\"{declared}\"")));
    for (fields, said) in [
        (vec![("consent_basis", ""), ("consent_source", "Feria")], "Elige la base legal"),
        (vec![("consent_basis", "CONSENT"), ("consent_source", " ")], "de dónde viene la autorización"),
    ] {
        admin.post(&declared, &fields).await;
        assert!(admin.get(&page).await.text().contains(said), "{said}");
    }
    assert_eq!(reachable(&db).await.len(), 0);
    admin.post(&declared, &STATED).await;
    let told = admin.get(&page).await;
    assert!(
        told.text().contains("4 personas de este archivo ya pueden recibir promociones"),
        "{}",
        told.text()
    );
    assert!(!told.body.contains("id=\"permission\"") && told.text().contains("Feria"), "{}", told.text());
    assert_eq!(reachable(&db).await.len(), 4);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_same_file_with_a_basis_says_that_the_permission_is_what_changes(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let first = written(&app, &staff, FILE, &[]).await;
    let again = upload(&staff, FILE.as_bytes(), &[]).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let told = staff.get(&again).await;
    assert!(told.text().contains("Al confirmar no cambiará nada"), "{}", told.text());
    assert!(told.body.contains(&format!("href=\"{first}#permission\"")), "{}", told.body);
    let again = upload(&staff, FILE.as_bytes(), &STATED).await.location().to_owned();
    run::run_once(&db, app.now()).await.unwrap();
    let told = staff.get(&again).await.text();
    assert!(
        told.contains("4 contactos con cambios (4 pasan a tener permiso para recibir promociones)"),
        "{told}"
    );
    assert!(told.contains("Lo que cambia es el permiso: 4 pasan"), "{told}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_campaign_leads_to_the_import_whose_basis_is_missing(db: PgPool) {
    let app = TestApp::new(db.clone());
    let admin = app.admin().await;
    let page =
        written(&app, &admin, "nombre,correo,empresa\nAna,ana@x.example,Sur\nEva,eva@x.example,Sur\n", &[])
            .await;
    let id = page.rsplit('/').next().unwrap();
    let made = admin
        .post(
            "/campaigns",
            &[
                ("name", "Feria"),
                ("subject", "Hola"),
                ("body", "Hola"),
                ("audience", "chosen"),
                ("import_ids", id),
            ],
        )
        .await;
    let campaign = made.location().to_owned();
    for place in [format!("{campaign}?checklist=1"), format!("{campaign}/launch")] {
        let shown = admin.get(&place).await;
        assert!(
            shown.text().contains("Falta declarar la base legal de las personas que trajo «clientes.csv»"),
            "{}",
            shown.text()
        );
        assert!(
            shown.body.contains(&format!("<a href=\"{page}#permission\">Ir a corregirlo</a>")),
            "{}",
            shown.body
        );
    }
    admin.post(&format!("{page}/permission"), &STATED).await;
    let shown = admin.get(&format!("{campaign}?checklist=1")).await.text();
    assert!(shown.contains("La recibirán 2 personas") && !shown.contains("Falta declarar"), "{shown}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn all_people_of_a_file_become_a_list_and_an_empty_audience_leads_there(db: PgPool) {
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    written(&app, &staff, FILE, &[]).await;
    let page = written(
        &app,
        &staff,
        "nombre,correo\nEva,eva@x.example\nEva,eva@x.example\nAna,ana@x.example\n",
        &[],
    )
    .await;
    let id = page.rsplit('/').next().unwrap();
    let count = staff.post("/campaigns/audience", &[("audience", "chosen"), ("import_ids", id)]).await;
    assert!(count.text().contains("ya conocías a todas sus personas"), "{}", count.text());
    assert!(count.body.contains(&format!("href=\"{page}#list\"")), "{}", count.body);
    let form = staff.get("/campaigns/new").await.text();
    assert!(form.contains("Importaciones: quienes creó o cambió el archivo"), "{form}");

    let kept = format!("{page}/list");
    assert!(staff.get(&page).await.body.contains(&format!("action=\"{kept}\"")));
    let reply = staff.post(&kept, &[]).await;
    let told = staff.get(reply.location()).await;
    assert!(told.text().contains("2 personas quedaron en una lista nueva"), "{}", told.text());
    let list =
        sqlx::query!("select id, name from lists order by id desc limit 1").fetch_one(&db).await.unwrap();
    assert_eq!(list.name, format!("Importación {id}: clientes.csv"));
    assert!(told.body.contains(&format!("href=\"/lists/{}\"", list.id)), "{}", told.body);
    let members: Vec<String> = sqlx::query_scalar(
        "select c.email from list_members m join contacts c on c.id = m.contact_id where m.list_id = $1 order by 1",
    )
    .bind(list.id)
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(members, ["ana@x.example", "eva@x.example"]);
    staff.post(&kept, &[]).await;
    assert!(staff.get(&page).await.text().contains("Ya están en una lista"));
    let lists = sqlx::query_scalar!("select count(*) from lists where name like 'Importación%'");
    assert_eq!(lists.fetch_one(&db).await.unwrap(), Some(1));
    let audited =
        sqlx::query_scalar!("select count(*) from audit_events where action in ('list.create', 'list.add')");
    assert_eq!(audited.fetch_one(&db).await.unwrap(), Some(2));
}
