//! Companies: made, found however they are spelt, changed without losing another's work.

use crate::support::{TestApp, monday_noon, whole_reads};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    contacts::{
        company::{self, Draft, Outcome},
        company_list::{self, Filter, Sort},
        views,
    },
    db::keyset::{Edge, Key, Place},
    error::Error,
    ids::{CompanyId, StaffId},
};
use sqlx::{PgConnection, PgPool};

fn named(name: &str) -> Draft {
    Draft { name: name.to_owned(), ..Draft::default() }
}

async fn create(db: &PgPool, draft: &Draft) -> Result<CompanyId, Error> {
    let mut tx = db.begin().await.unwrap();
    let id = company::create(&mut tx, monday_noon(), &Actor::CommandLine, &draft.check()?).await?;
    tx.commit().await.unwrap();
    Ok(id)
}

fn fields(error: &Error) -> Vec<&'static str> {
    match error {
        Error::Invalid(fields) => fields.iter().map(|it| it.field).collect(),
        other => panic!("expected wrong fields, not {other}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_company_is_kept_in_normal_form_and_audited(db: PgPool) {
    let draft = Draft {
        name: "  Salmones   del Sur Ltda. ".to_owned(),
        rut: "76.354.771-k".to_owned(),
        industry: "Salmonicultura".to_owned(),
        comuna: "pto. montt".to_owned(),
        website: "www.salmones.example".to_owned(),
        phone: "652345678".to_owned(),
        email: " Ventas@Salmones.example".to_owned(),
        ..Draft::default()
    };
    let id = create(&db, &draft).await.unwrap();
    let it = company::get(&db, id).await.unwrap();
    assert_eq!(it.name, "Salmones del Sur Ltda.");
    assert_eq!(it.rut.as_deref(), Some("76354771-K"));
    assert_eq!(it.comuna.as_deref(), Some("10101"));
    assert_eq!(it.website.as_deref(), Some("https://www.salmones.example"));
    assert_eq!(it.phone.as_deref(), Some("+56652345678"));
    assert_eq!(it.email.as_deref(), Some("ventas@salmones.example"));
    assert_eq!(
        it.draft().check().unwrap(),
        draft.check().unwrap(),
        "what is shown for editing means the same"
    );
    let (action, actor): (String, String) =
        sqlx::query_as("select action, actor from audit_events where subject_id = $1")
            .bind(id.0)
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!((action.as_str(), actor.as_str()), ("company.create", "línea de comandos"));
}

#[test]
fn every_wrong_field_is_told_at_once() {
    let draft = Draft {
        name: " . ".to_owned(),
        rut: "76.354.771-0".to_owned(),
        comuna: "Gotham".to_owned(),
        website: "javascript:alert(1)".to_owned(),
        phone: "12".to_owned(),
        email: "ventas@".to_owned(),
        ..Draft::default()
    };
    assert_eq!(fields(&draft.check().unwrap_err()), ["name", "rut", "comuna", "website", "phone", "email"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn one_name_without_rut_is_one_company_and_two_ruts_are_two(db: PgPool) {
    create(&db, &named("Ñandú y Cía.")).await.unwrap();
    let again = named("NANDU Y CIA");
    assert_eq!(fields(&create(&db, &again).await.unwrap_err()), ["name"]);
    let rival = company::rival(&db, None, &again).await.unwrap().unwrap();
    assert_eq!((rival.name.as_str(), rival.field), ("Ñandú y Cía.", "name"));
    let with_rut = Draft { rut: "76086428-5".to_owned(), ..again };
    create(&db, &with_rut).await.unwrap();
    let other = Draft { name: "Otra".to_owned(), ..with_rut };
    assert_eq!(fields(&create(&db, &other).await.unwrap_err()), ["rut"]);
    assert_eq!(company::rival(&db, None, &other).await.unwrap().unwrap().field, "rut");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_edit_does_not_overwrite_what_it_has_not_seen(db: PgPool) {
    let id = create(&db, &named("Aserradero Alerce")).await.unwrap();
    let seen = company::get(&db, id).await.unwrap();
    let change = async |industry: &str| {
        let draft = Draft { industry: industry.to_owned(), ..seen.draft() };
        let mut tx = db.begin().await.unwrap();
        let later = monday_noon() + chrono::TimeDelta::minutes(1);
        let outcome = company::update(
            &mut tx,
            later,
            &Actor::CommandLine,
            id,
            seen.updated_at,
            &draft.check().unwrap(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        outcome
    };
    assert_eq!(change("").await, Outcome::Unchanged);
    assert_eq!(change("Maderas").await, Outcome::Saved);
    assert_eq!(change("Turismo").await, Outcome::Stale);
    assert_eq!(change("Maderas").await, Outcome::Unchanged, "the same change twice is no conflict");
    assert_eq!(company::get(&db, id).await.unwrap().industry.as_deref(), Some("Maderas"));
    let after: serde_json::Value =
        sqlx::query_scalar("select after from audit_events where action = 'company.update'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(after, serde_json::json!({ "industry": "Maderas" }));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_reader_changes_nothing(db: PgPool) {
    let reader = Actor::Staff { id: StaffId(1), name: "Lectora".to_owned(), role: Role::ReadOnly };
    let mut tx = db.begin().await.unwrap();
    let refused = company::create(&mut tx, monday_noon(), &reader, &named("X").check().unwrap()).await;
    assert!(matches!(refused, Err(Error::Forbidden)));
}

async fn names(db: &mut PgConnection, filter: &Filter) -> Vec<String> {
    let page = company_list::page(db, filter, Sort::Name, Place::First, 50).await.unwrap();
    page.rows.into_iter().map(|it| it.name).collect()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn companies_are_found_by_name_rut_place_and_industry(db: PgPool) {
    for (name, rut, industry, comuna) in [
        ("Hotel Volcán Osorno", "", "Hotelería", "Puerto Varas"),
        ("Ferretería Ñuñoa Sur", "76086428-5", "Ferretería", "Osorno"),
        ("Clínica Alerce", "", "Clínica dental", "Temuco"),
    ] {
        let draft = Draft {
            rut: rut.to_owned(),
            industry: industry.to_owned(),
            comuna: comuna.to_owned(),
            ..named(name)
        };
        create(&db, &draft).await.unwrap();
    }
    let db = &mut *db.acquire().await.unwrap();
    let q = |q: &str| Filter { q: q.to_owned(), ..Filter::default() };
    assert_eq!(
        names(db, &Filter::default()).await,
        ["Clínica Alerce", "Ferretería Ñuñoa Sur", "Hotel Volcán Osorno"]
    );
    assert_eq!(names(db, &q("NUNOA ferr")).await, ["Ferretería Ñuñoa Sur"]);
    assert_eq!(names(db, &q("al")).await, ["Clínica Alerce"], "two letters are looked for where words start");
    assert_eq!(names(db, &q("76.086.428-5")).await, ["Ferretería Ñuñoa Sur"]);
    assert!(names(db, &q("%")).await.is_empty(), "what holds nothing to look for finds nothing");
    assert_eq!(names(db, &q(" ")).await.len(), 3, "nothing typed lets all through");
    let comuna = |it: &str| Filter { comuna: Some(it.to_owned()), ..Filter::default() };
    assert_eq!(names(db, &comuna("10")).await, ["Ferretería Ñuñoa Sur", "Hotel Volcán Osorno"]);
    assert_eq!(names(db, &comuna("10109")).await, ["Hotel Volcán Osorno"]);
    let industry = Filter { industry: Some("Ferretería".to_owned()), ..Filter::default() };
    assert_eq!(names(db, &industry).await, ["Ferretería Ñuñoa Sur"]);
    assert_eq!(company_list::count(db, &comuna("10"), 1000).await.unwrap(), 2);
    assert_eq!(company_list::industries(db).await.unwrap(), ["Clínica dental", "Ferretería", "Hotelería"]);
    assert_eq!(
        company_list::choices(db, "ferre", 10).await.unwrap(),
        ["Ferretería Ñuñoa Sur · 76.086.428-5"]
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_company_is_made_shown_and_changed_through_the_panel(db: PgPool) {
    let app = TestApp::new(db.clone());
    assert!(app.get("/companies").await.text().contains("Aún no hay empresas"));
    let made = app
        .post("/companies", &[("name", "Aserradero Alerce"), ("rut", "76.086.428-5"), ("comuna", "10101")])
        .await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let page = app.get(made.location()).await.text();
    assert!(
        page.contains("76.086.428-5") && page.contains("Puerto Montt") && page.contains("Los Lagos"),
        "{page}"
    );
    let contact = app
        .post(
            "/contacts",
            &[("email", "ana@alerce.example"), ("company", "Aserradero Alerce · 76.086.428-5")],
        )
        .await;
    assert_eq!(contact.status, StatusCode::SEE_OTHER);
    assert!(app.get(made.location()).await.text().contains("ana@alerce.example"));
    let again = app.post("/companies", &[("name", "Otra"), ("rut", "760864285")]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text().contains("Ver «Aserradero Alerce», la que ya existe"), "{}", again.text());
    let stale = app.post(made.location(), &[("name", "Otro nombre"), ("seen", "2020-01-01T00:00:00Z")]).await;
    assert_eq!(stale.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(stale.text().contains("Otra persona guardó cambios"));
    let listed = app.get("/companies?q=alerce&industry=&comuna=10").await.text();
    assert!(listed.contains("1 empresa") && listed.contains("Aserradero Alerce"), "{listed}");
    let choices = app.get("/companies/choices?company=aser").await.body;
    assert_eq!(choices.trim(), "<option value=\"Aserradero Alerce · 76.086.428-5\"></option>");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_of_companies_has_filters_columns_and_pages(db: PgPool) {
    let app = TestApp::new(db.clone());
    let admin = app.admin().await;
    let me = admin.staff.unwrap().to_string();
    create(
        &db,
        &Draft { industry: "Hotelería".to_owned(), comuna: "Osorno".to_owned(), ..named("Hotel Volcán") },
    )
    .await
    .unwrap();
    let full = Draft {
        rut: "76086428-5".to_owned(),
        phone: "652345678".to_owned(),
        owner_id: me.clone(),
        ..named("Salmones del Sur")
    };
    let id = create(&db, &full).await.unwrap();
    admin.post("/contacts", &[("email", "ana@sur.example"), ("company", "76086428-5")]).await;
    // Who was joined with another is nobody there.
    sqlx::query(
        "insert into contacts (search_key, company_id, merged_into, created_at, updated_at)
         select 'otra', $1, min(id), now(), now() from contacts",
    )
    .bind(id.0)
    .execute(&db)
    .await
    .unwrap();
    for (query, shown) in [
        ("", vec!["Hotel Volcán", "Salmones del Sur"]),
        ("sort=newest", vec!["Salmones del Sur", "Hotel Volcán"]),
        (&format!("owner={me}"), vec!["Salmones del Sur"]),
        ("owner=none", vec!["Hotel Volcán"]),
        ("peopled=yes", vec!["Salmones del Sur"]),
        ("peopled=no", vec!["Hotel Volcán"]),
        ("industry=Hotelería&comuna=10", vec!["Hotel Volcán"]),
        ("created_from=2026-11-23&created_until=2026-11-23&q=sur", vec!["Salmones del Sur"]),
        ("created_until=2026-11-22", vec![]),
        ("created_from=2026-11-24", vec![]),
    ] {
        let page = admin.get(&format!("/companies?{query}")).await;
        let rows = page.body.split("<td data-label=\"Empresa\">").skip(1);
        let names: Vec<&str> =
            rows.map(|it| it.split_once("<strong>").unwrap().1.split('<').next().unwrap()).collect();
        assert_eq!(names, shown, "{query}");
    }
    let page = admin.get("/companies?owner=none&peopled=no&columns=email,phone").await;
    assert!(page.text().contains("Sin responsable Sin contactos Quitar todos"), "{}", page.text());
    assert!(page.body.contains("href=\"/companies?owner=none&#38;columns=phone%2Cemail\""), "{}", page.body);
    assert!(page.text().contains("Empresa Teléfono Correo Hotel Volcán"), "{}", page.text());
    let page = admin.get("/companies?column=phone&column=contacts").await.text();
    assert!(
        page.contains("Empresa Teléfono Contactos Hotel Volcán 0 Salmones del Sur +56 65 234 5678 1"),
        "{page}"
    );
    sqlx::query(
        "insert into companies (name, name_key, created_at, updated_at)
         select 'Zapatería ' || n, 'zapateria ' || lpad(n::text, 3, '0'), now(), now() from generate_series(1, 60) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let first = admin.get("/companies?q=zapateria").await;
    let (_, next) = first.body.split_once("rel=\"next\" href=\"").expect("a second page");
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let second = admin.get(&next).await;
    assert_eq!(second.body.matches("<td data-label=\"Empresa\">").count(), 10);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_file_of_companies_holds_what_the_list_shows_and_runs_no_formula(db: PgPool) {
    use calamine::{Data, Reader as _, Xlsx};
    let app = TestApp::new(db.clone());
    let draft = Draft {
        industry: "+cmd".to_owned(),
        comuna: "Osorno".to_owned(),
        phone: "652345678".to_owned(),
        ..named("=HYPERLINK(1)")
    };
    create(&db, &draft).await.unwrap();
    create(&db, &Draft { industry: "Pesca".to_owned(), ..named("Salmones del Sur") }).await.unwrap();
    let admin = app.admin().await;
    let list = "q=hyperlink&columns=industry,comuna,phone,created,contacts";
    let csv = admin.post("/companies/exports", &[("list", list), ("format", "csv")]).await;
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"empresas-2026-11-23.csv\"");
    let lines: Vec<&str> = csv.body.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(
        lines,
        [
            "Empresa;Rubro;Comuna;Región;Teléfono;Creada;Contactos",
            "'=HYPERLINK(1);'+cmd;Osorno;Los Lagos;56 65 234 5678;23-11-2026 12:00;0"
        ]
    );
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf_token", &admin.csrf).append_pair("list", list).append_pair("format", "xlsx");
    let request = admin
        .request(axum::http::Method::POST, "/companies/exports")
        .header("content-type", "application/x-www-form-urlencoded");
    let bytes = admin.send_for_bytes(request, axum::body::Body::from(form.finish())).await;
    let mut book = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    let sheet = book.worksheet_range("Empresas").unwrap();
    assert_eq!(sheet.rows().nth(1).unwrap()[0], Data::String("=HYPERLINK(1)".to_owned()));
    assert!(book.worksheet_formula("Empresas").unwrap().is_empty(), "no cell is a formula");
    let audited: serde_json::Value = sqlx::query_scalar(
        "select after from audit_events where action = 'company.export' order by id limit 1",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(audited["rows"], 1);
    assert_eq!(audited["filter"], serde_json::json!({ "search": true }));
    let told = admin.get("/audit").await.text();
    assert!(told.contains("descargó un archivo con las empresas"), "{told}");
    // Look-alikes where the list shows them.
    let csv = admin.post("/companies/exports", &[("list", "q=samlones"), ("format", "csv")]).await;
    assert!(csv.body.contains("Salmones del Sur"), "{}", csv.body);
    let ask = [("list", ""), ("format", "csv")];
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post("/companies/exports", &ask).await.status, StatusCode::FORBIDDEN);
    sqlx::query(
        "insert into companies (name, name_key, created_at, updated_at)
         select 'Zapatería ' || n, 'zapateria ' || n, now(), now() from generate_series(1, 500) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let staff = app.as_role(Role::Staff).await;
    let refused = staff.post("/companies/exports", &ask).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("hasta 500 empresas"), "{}", refused.text());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn no_page_of_the_list_reads_all_companies(db: PgPool) {
    use llovizna::contacts::contact_filter::Owner;
    sqlx::query(
        "insert into companies (name, name_key, rut, industry, comuna, created_at, updated_at)
         select 'Empresa ' || n, 'empresa ' || lpad(n::text, 5, '0'), n || '-1', 'Rubro ' || n % 50, '10101',
             '2026-01-01'::timestamptz + n * interval '1 minute', now()
         from generate_series(1, 20000) n",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query(
        "insert into contacts (company_id, email, search_key, created_at, updated_at)
         select id, id || '@sur.example', 'x', now(), now() from companies where id % 3 = 0",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("analyze").execute(&db).await.unwrap();
    let db = &mut *db.acquire().await.unwrap();
    let id: i64 =
        sqlx::query_scalar("select min(id) + 10000 from companies").fetch_one(&mut *db).await.unwrap();
    let name: String = sqlx::query_scalar("select name_key from companies where id = $1")
        .bind(id)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let called = || Edge { id, key: Key::Text(name.clone()) };
    let day = |it: &str| it.parse().ok();
    let all = Filter::default;
    for (what, filter, sort, place) in [
        ("first page", all(), Sort::Name, Place::First),
        ("deep page", all(), Sort::Name, Place::After(called())),
        ("page before", all(), Sort::Newest, Place::Before(Edge::row(id))),
        ("industry", Filter { industry: Some("Rubro 7".to_owned()), ..all() }, Sort::Name, Place::First),
        ("owner", Filter { owner: Some(Owner::Staff(StaffId(1))), ..all() }, Sort::Name, Place::First),
        ("days", Filter { created_until: day("2026-01-01"), ..all() }, Sort::Name, Place::First),
        ("with people", Filter { peopled: Some(true), ..all() }, Sort::Name, Place::After(called())),
        ("without people", Filter { peopled: Some(false), ..all() }, Sort::Newest, Place::First),
    ] {
        let before = whole_reads(db, &["companies", "contacts"]).await;
        company_list::page(db, &filter, sort, place, 50).await.unwrap();
        assert_eq!(
            whole_reads(db, &["companies", "contacts"]).await,
            before,
            "{what}: a table was read whole"
        );
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_name_that_another_bears_wants_a_rut_of_its_own(db: PgPool) {
    let panel = TestApp::new(db.clone());
    let app = panel.admin().await;
    let with_rut = [("name", "Academia Puyehue Sur Ltda."), ("rut", "76.086.428-5")];
    let first = app.post("/companies", &with_rut).await.location().to_owned();
    let bare = [("name", "  academia PUYEHÚE   sur ltda")];
    let refused = app.post("/companies", &bare).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    assert!(refused.text().contains("Ya existe una empresa con este nombre"), "{}", refused.text());
    assert!(refused.body.contains(&format!("href=\"{first}\"")), "a link to the other");
    // Another RUT tells them apart: two companies may share a name.
    let other = app.post("/companies", &[bare[0], ("rut", "76.354.771-K")]).await;
    assert_eq!(other.status, StatusCode::SEE_OTHER, "{}", other.text());
    let second = other.location().to_owned();
    let page = app.get(&second).await;
    assert!(page.text().contains("hay otra empresa con el mismo nombre"), "{}", page.text());
    assert!(page.body.contains(&format!("href=\"{first}\"")));
    // Neither loses its RUT nor takes a name that is taken; what stands so already may be worked on.
    let id = CompanyId(second.rsplit_once('/').unwrap().1.parse().unwrap());
    let seen = company::get(&db, id).await.unwrap().updated_at.to_rfc3339();
    let lost = app.post(&second, &[bare[0], ("seen", &seen)]).await;
    assert_eq!(lost.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", lost.text());
    sqlx::query("update companies set rut = null where id = $1").bind(id.0).execute(&db).await.unwrap();
    let kept = app.post(&second, &[bare[0], ("industry", "Danza"), ("seen", &seen)]).await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", kept.text());
    let quiet = app.post("/companies", &[("name", "Otra")]).await;
    assert!(!app.get(quiet.location()).await.text().contains("mismo nombre"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_view_of_companies_keeps_filters_order_and_columns_for_oneself_or_the_team(db: PgPool) {
    for (name, comuna) in
        [("Hotel Volcán", "Osorno"), ("Hotel Lago", "Puerto Varas"), ("Salmones del Sur", "Osorno")]
    {
        create(&db, &Draft { comuna: comuna.to_owned(), ..named(name) }).await.unwrap();
    }
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let list = "q=hotel&peopled=no&comuna=10301&sort=newest&columns=email,owner";
    let saved = staff.post("/companies/views", &[("list", list), ("name", " Hoteles  de Osorno ")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let page = staff.get(saved.location()).await.text();
    assert!(page.contains("Vista guardada") && page.contains("Hoteles de Osorno"), "{page}");
    let id: i64 = sqlx::query_scalar("select id from saved_views where list = 'COMPANIES'")
        .fetch_one(&db)
        .await
        .unwrap();
    let short = staff.get(&format!("/companies?view={id}")).await;
    assert_eq!(
        short.location(),
        format!("/companies?q=hotel&comuna=10301&peopled=no&sort=newest&columns=email%2Cowner&view={id}")
    );
    let whole = staff.get(short.location()).await;
    assert!(whole.text().contains("Empresa Correo Responsable"), "{}", whole.text());
    let found = whole.text();
    assert!(
        found.contains("Hotel Volcán") && !found.contains("Hotel Lago") && !found.contains("Salmones"),
        "{found}"
    );
    assert!(whole.body.contains("aria-current=\"page\">Hoteles de Osorno"), "{}", whole.body);
    assert!(found.contains("Guardar vista") && !found.contains("Vista con cambios"), "{found}");
    // Every other filter beside it is a change of the view.
    let other = staff.get(&format!("/companies?q=hotel&view={id}")).await.text();
    assert!(other.contains("Vista con cambios"), "{other}");
    // It is a view of companies: among people nobody meets it, and the same name is free there.
    assert!(!staff.get("/contacts").await.text().contains("Hoteles de Osorno"));
    let path = format!("/companies/views/{id}");
    assert_eq!(
        staff.post(&format!("/contacts/views/{id}"), &[("name", "Otra")]).await.status,
        StatusCode::NOT_FOUND
    );
    let people = [("list", ""), ("name", "Hoteles de Osorno")];
    assert!(
        staff
            .get(staff.post("/contacts/views", &people).await.location())
            .await
            .text()
            .contains("Vista guardada")
    );
    let twice = staff.post("/companies/views", &[("list", ""), ("name", "HOTELES DE OSORNO")]).await;
    assert!(staff.get(twice.location()).await.text().contains("Ya tienes una vista con ese nombre"));
    // Nobody else sees it until it is shared; who only looks shares none.
    let admin = app.admin().await;
    assert!(!admin.get("/companies").await.text().contains("Hoteles de Osorno"));
    assert_eq!(admin.post(&path, &[("name", "Mía")]).await.status, StatusCode::NOT_FOUND);
    let reader = app.as_role(Role::ReadOnly).await;
    let shared = [("list", list), ("name", "Hoteles"), ("shared", "yes")];
    assert_eq!(reader.post("/companies/views", &shared).await.status, StatusCode::FORBIDDEN);
    staff.post(&path, &shared).await;
    assert!(reader.get("/companies").await.text().contains("Hoteles (del equipo)"));
    assert_eq!(reader.post(&path, &shared).await.status, StatusCode::FORBIDDEN);
    // Another filter is kept only when that is asked for.
    let kept = async || -> Option<String> {
        sqlx::query_scalar("select filter ->> 'comuna' from saved_views where id = $1")
            .bind(id)
            .fetch_one(&db)
            .await
            .unwrap()
    };
    let changed = [("list", "comuna=10101"), ("name", "Hoteles"), ("shared", "yes"), ("replace", "yes")];
    staff.post(&path, &changed[..3]).await;
    assert_eq!(kept().await.as_deref(), Some("10301"));
    staff.post(&path, &changed).await;
    assert_eq!(kept().await.as_deref(), Some("10101"));
    // What can't be read lets none through rather than all.
    sqlx::query("update saved_views set filter = '{\"comuna\": 7}' where id = $1")
        .bind(id)
        .execute(&db)
        .await
        .unwrap();
    let mut one = db.acquire().await.unwrap();
    let actor = Actor::Staff { id: staff.staff.unwrap(), name: "Eva".to_owned(), role: Role::Staff };
    let view = views::get::<Filter>(&mut *one, &actor, id).await.unwrap();
    assert_eq!(view.shows.filter, Filter::none());
    drop(one);
    // A list whose address can't be read is not every company.
    assert!(
        !staff.post("/companies/views", &[("list", "q=a&q=b"), ("name", "Todas")]).await.status.is_success()
    );
    assert_eq!(
        sqlx::query_scalar::<_, i64>("select count(*) from saved_views where list = 'COMPANIES'")
            .fetch_one(&db)
            .await
            .unwrap(),
        1
    );
    let delete = format!("{path}?_method=DELETE");
    assert_eq!(reader.post(&delete, &[]).await.status, StatusCode::FORBIDDEN);
    let gone = admin.post(&delete, &[]).await;
    assert_eq!(gone.location(), "/companies");
    assert!(admin.get("/companies").await.text().contains("Sus empresas siguen donde estaban"));
}
