//! Working the lists: searching in any spelling, the palette, filters, columns,
//! views, exports, and what is done to many at once.

use crate::support::{TestApp, monday_noon, whole_reads};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use llovizna::{
    access::{Actor, Role},
    bulk_actions::run,
    contacts::{
        columns::Column,
        company_list,
        contact::{self, Draft},
        contact_list::{self, Filter, Owner, Sort},
        export::{self, Patience},
        vocabulary::{Lifecycle, Source},
    },
    db::keyset::{Edge, Key, Place},
    ids::{ContactId, StaffId, StageId},
};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use std::time::Duration;

async fn create(db: &PgPool, draft: &Draft) -> ContactId {
    let mut tx = db.begin().await.unwrap();
    let details = draft.check(monday_noon()).unwrap();
    let id = contact::create(&mut tx, monday_noon(), &Actor::CommandLine, &details).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn person(first_name: &str, last_name: &str, email: &str) -> Draft {
    Draft {
        first_name: first_name.to_owned(),
        last_name: last_name.to_owned(),
        email: email.to_owned(),
        ..Draft::default()
    }
}

async fn people(db: &PgPool) -> [ContactId; 4] {
    let rosa = Draft {
        phone: "9 8765 4321".to_owned(),
        company: "Salmones Quellón".to_owned(),
        ..person("Rosa", "González", "rosa@quellon.example")
    };
    let rosa = create(db, &rosa).await;
    sqlx::query("update companies set rut = '76086428-5'").execute(db).await.unwrap();
    [
        rosa,
        create(db, &person("Jaime", "Muñoz", "jaime@correo.example")).await,
        create(db, &person("Andrea", "Rodríguez", "andrea@correo.example")).await,
        create(db, &person("Pedro", "Pérez", "pedro@sur.cl")).await,
    ]
}

fn q(text: &str) -> Filter {
    Filter { q: text.to_owned(), ..Filter::default() }
}

async fn exactly(db: &mut PgConnection, text: &str) -> Vec<String> {
    let page = contact_list::page(db, &q(text), Sort::Name, Place::First, 50).await.unwrap();
    page.rows.into_iter().map(|it| it.name).collect()
}

async fn alike(db: &mut PgConnection, text: &str) -> Vec<String> {
    let (page, is_alike) = contact_list::first(db, &q(text), 50).await.unwrap();
    page.rows.into_iter().filter(|_| is_alike).map(|it| it.name).collect()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whatever_is_pasted_into_the_box_finds_the_person(db: PgPool) {
    people(&db).await;
    let db = &mut *db.acquire().await.unwrap();
    for (typed, found) in [
        ("gonza", "Rosa González"),
        ("GONZALEZ rosa", "Rosa González"),
        ("+56 9 8765 4321", "Rosa González"),
        ("\u{202a}+56\u{a0}9\u{a0}8765\u{2011}4321\u{202c}", "Rosa González"),
        ("https://wa.me/56987654321", "Rosa González"),
        ("Rosa +56 9 8765 4321", "Rosa González"),
        ("76086428-5", "Rosa González"),
        ("76.086.428-5", "Rosa González"),
        ("76086428", "Rosa González"),
        ("salmones quellon", "Rosa González"),
        // Some words are the person's, others their company's.
        ("rosa salmones", "Rosa González"),
        ("Salmon Gonz Quellón", "Rosa González"),
        ("@sur.cl", "Pedro Pérez"),
        ("pedro@sur", "Pedro Pérez"),
    ] {
        assert_eq!(exactly(db, typed).await, [found], "{typed}");
    }
    // The parts of an address stand side by side.
    assert!(exactly(db, "pedro@correo.example").await.is_empty());
    // Nobody is found for the company of another.
    assert!(exactly(db, "pedro salmones").await.is_empty());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_person_is_found_beside_a_word_that_thousands_of_companies_bear(db: PgPool) {
    sqlx::query(
        "insert into companies (name, name_key, created_at, updated_at)
         select 'Salmones ' || n, 'salmones ' || n, now(), now() from generate_series(1, 2500) n",
    )
    .execute(&db)
    .await
    .unwrap();
    create(
        &db,
        &Draft { company: "Salmones Quellón".to_owned(), ..person("Rosa", "González", "rosa@sur.cl") },
    )
    .await;
    let db = &mut *db.acquire().await.unwrap();
    assert_eq!(exactly(db, "rosa salmones").await, ["Rosa González"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_is_called_as_searched_for_comes_first_and_nobody_comes_twice(db: PgPool) {
    let angel = create(&db, &person("Ángel", "Muñoz", "angel@correo.example")).await;
    for place in 0..50 {
        create(&db, &person("Luis Ángel", "Muñoz", &format!("luis{place}@correo.example"))).await;
    }
    let db = &mut *db.acquire().await.unwrap();
    let filter = q("Ángel Muñoz");
    let (mut seen, mut place) = (Vec::new(), Place::First);
    loop {
        let page = contact_list::page(db, &filter, Sort::Newest, place.clone(), 20).await.unwrap();
        assert!(page.rows.len() <= 20);
        seen.extend(page.rows.iter().map(|it| it.id));
        if !page.has_next {
            break;
        }
        place = Place::After(page.rows.last().unwrap().edge(Sort::Newest));
    }
    assert_eq!(seen[0], angel, "ahead of those who came later");
    assert_eq!(seen.len(), 51);
    let mut once = seen.clone();
    once.sort_unstable_by_key(|it| it.0);
    once.dedup();
    assert_eq!(once.len(), 51, "{seen:?}");
    let back = contact_list::page(db, &filter, Sort::Newest, Place::Before(Edge::row(seen[20].0)), 20)
        .await
        .unwrap();
    assert_eq!(back.rows.iter().map(|it| it.id).collect::<Vec<_>>(), seen[..20], "and back again");
    // One of their own name is not listed ahead where another filter leaves them out.
    let clients = Filter { lifecycle: Some(Lifecycle::Customer), ..filter };
    assert!(contact_list::page(db, &clients, Sort::Newest, Place::First, 20).await.unwrap().rows.is_empty());
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_slip_of_the_finger_is_forgiven_when_nobody_is_called_so(db: PgPool) {
    people(&db).await;
    // One who came in bulk and is not yet sorted into the index.
    sqlx::query(
        "with bulk as (select set_config('llovizna.words_later', 'yes', true)), made as (
             insert into contacts (first_name, email, search_key, created_at, updated_at)
             select 'Verónica', 'vero@lejos.example', 'veronica vero lejos example', now(), now() from bulk returning id)
         insert into contact_words_pending (first_id, last_id) select id, id from made",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("delete from contact_words where words like 'veronica%'").execute(&db).await.unwrap();
    let db = &mut *db.acquire().await.unwrap();
    for (typed, found) in [
        ("gonsales", "Rosa González"),
        ("mnuoz", "Jaime Muñoz"),
        ("rodrigez", "Andrea Rodríguez"),
        ("peres", "Pedro Pérez"),
        ("anrdea rodrigues", "Andrea Rodríguez"),
        ("samlones", "Rosa González"),
        ("beronica", "Verónica"),
    ] {
        assert!(exactly(db, typed).await.is_empty(), "{typed} is no slip");
        assert_eq!(alike(db, typed).await.first().map(String::as_str), Some(found), "{typed}");
    }
    assert!(alike(db, "wxyzk").await.is_empty(), "what looks like nobody finds nobody");
    assert!(alike(db, "rosa").await.is_empty(), "who is found needs no look-alikes");
    assert!(alike(db, "+56 9 1111 2222").await.is_empty(), "a number has no look-alikes");
    let companies = company_list::Filter { q: "samlones".to_owned(), ..company_list::Filter::default() };
    assert_eq!(company_list::count(db, &companies, 10).await.unwrap(), 0);
    let near = company_list::similar(db, &companies).await.unwrap().unwrap();
    assert_eq!(company_list::count(db, &near, 10).await.unwrap(), 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_says_that_it_shows_look_alikes(db: PgPool) {
    people(&db).await;
    let app = TestApp::new(db);
    let page = app.get("/contacts?q=gonsales").await.text();
    assert!(page.contains("Resultados parecidos a «gonsales».") && page.contains("Rosa González"), "{page}");
    assert!(!app.get("/contacts?q=gonzalez").await.text().contains("parecidos"));
    let page = app.get("/companies?q=samlones").await.text();
    assert!(
        page.contains("Resultados parecidos a «samlones».") && page.contains("Salmones Quellón"),
        "{page}"
    );
    // Who is called so but filtered away is no reason to show others.
    let page = app.get("/contacts?q=gonzalez&lifecycle=CLIENTE").await.text();
    assert!(page.contains("Ningún contacto con estos filtros"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_palette_goes_to_pages_people_companies_and_campaigns(db: PgPool) {
    let [rosa, ..] = people(&db).await;
    let app = TestApp::new(db);
    let all = app.get("/search?q=").await;
    assert!(all.text().contains("Lista de exclusión") && all.text().contains("Crear un contacto nuevo"));
    let found = app.admin().await.htmx().get("/search?q=quell").await;
    assert!(!found.body.contains("<html"), "a fragment");
    assert!(found.body.contains(&format!("href=\"/contacts/{rosa}\"")), "{}", found.body);
    assert!(found.text().contains("Empresas Salmones Quellón 76.086.428-5"), "{}", found.text());
    let found = app.get("/search?q=prospeccion").await.text();
    assert!(found.contains("Campañas Prospección Los Lagos Borrador"), "{found}");
    let pages = app.get("/search?q=ajustes").await.text();
    assert!(pages.contains("Negocio Ajustes") && pages.contains("Límites y horarios Ajustes"), "{pages}");
    assert!(app.get("/search?q=configuracion").await.text().contains("Negocio Ajustes"));
    assert!(!all.text().contains("Empresas Personas"), "{}", all.text());
    let found = app.get("/search?q=gonsales").await.text();
    assert!(found.contains("Contactos parecidos a «gonsales» Rosa González"), "{found}");
    let found = app.get("/search?q=wxyzk").await.text();
    assert!(found.contains("Nada se llama ni se parece a «wxyzk»"), "{found}");
    let read_only = app.as_role(Role::ReadOnly).await.get("/search?q=").await.text();
    assert!(!read_only.contains("Crear un contacto nuevo") && !read_only.contains("Equipo Ajustes"));
    assert_eq!(app.anonymous().get("/search?q=rosa").await.status, StatusCode::SEE_OTHER);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_palette_shows_the_likest_companies_first(db: PgPool) {
    // By name alone, the likest would stand behind six that are less so.
    let lesser = ["A", "B", "C", "D", "E", "F"].map(|it| format!("Casa Salones {it}"));
    for name in lesser.iter().map(String::as_str).chain(["Salmones Quellón"]) {
        let email = format!("{}@sur.cl", name.to_lowercase().replace(' ', ".").replace('ó', "o"));
        create(&db, &Draft { company: name.to_owned(), ..person("", "", &email) }).await;
    }
    let app = TestApp::new(db);
    let found = app.admin().await.htmx().get("/search?q=samlones").await.text();
    let (_, companies) =
        found.split_once("Empresas parecidas a «samlones»").unwrap_or_else(|| panic!("{found}"));
    assert!(companies.trim().starts_with("Salmones Quellón"), "{found}");
    let page = app.get("/companies?q=samlones").await.body;
    let (_, table) = page.split_once("<tbody>").unwrap();
    assert!(table.find("Salmones Quellón") < table.find("Casa Salones A"), "the list too");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_filter_that_cannot_be_read_is_kept_in_no_view(db: PgPool) {
    let app = TestApp::new(db.clone());
    people(&db).await;
    let who = app.as_role(Role::Staff).await;
    let list = "visits=seis";
    let saved = who.post("/contacts/views", &[("list", list), ("name", "Frecuentes")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert_eq!(one::<i64>(&db, "select count(*) from saved_views").await, 0, "it would show everybody");
    assert!(who.get("/contacts?visits=seis").await.text().contains("La vista no se guardó: lo escrito en «"));
    who.post("/contacts/views", &[("list", "visits=6"), ("name", "Frecuentes")]).await;
    let id: i64 = one(&db, "select id from saved_views").await;
    let path = format!("/contacts/views/{id}");
    who.post(&path, &[("list", list), ("name", "Frecuentes"), ("replace", "yes")]).await;
    assert_eq!(one::<String>(&db, "select filter ->> 'visits_from' from saved_views").await, "6");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn who_only_reads_keeps_views_of_their_own_and_shares_none(db: PgPool) {
    people(&db).await;
    let app = TestApp::new(db.clone());
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get("/contacts?q=rosa").await;
    assert!(
        page.text().contains("Guardar vista") && !page.text().contains("La ve todo el equipo"),
        "{}",
        page.text()
    );
    let shared = [("list", "q=rosa"), ("name", "Rosas"), ("shared", "yes")];
    assert_eq!(reader.post("/contacts/views", &shared).await.status, StatusCode::FORBIDDEN);
    let saved = reader.post("/contacts/views", &shared[..2]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    assert!(reader.get(saved.location()).await.text().contains("Rosas"));
    let id: i64 = one(&db, "select id from saved_views").await;
    let path = format!("/contacts/views/{id}");
    assert_eq!(reader.post(&path, &shared).await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.post(&path, &[("name", "Mis rosas")]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(one::<String>(&db, "select name from saved_views where not is_shared").await, "Mis rosas");
    let gone = reader.post(&format!("{path}?_method=DELETE"), &[]).await;
    assert_eq!(gone.location(), "/contacts");
    // Whom the team shares a view with still does not change it, even were it once theirs.
    sqlx::query(
        "insert into saved_views (list, name, owner_id, is_shared, filter, sort, columns, created_at, updated_at)
        values ('CONTACTS', 'Del equipo', $1, true, '{}', 'NAME', '{email}', now(), now())",
    )
    .bind(reader.staff.unwrap().0)
    .execute(&db)
    .await
    .unwrap();
    let id: i64 = one(&db, "select id from saved_views").await;
    let gone = reader.post(&format!("/contacts/views/{id}?_method=DELETE"), &[]).await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_latest_to_give_a_sign_come_first_page_by_page_and_the_silent_last(db: PgPool) {
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'Ana ' || n, n || '@sur.example', 'ana ' || n, now(), now() from generate_series(1, 130) n",
    )
    .execute(&db)
    .await
    .unwrap();
    // Many at one instant; some have a row and never gave a sign.
    sqlx::query(
        "insert into contact_metrics (contact_id, last_activity_at)
         select id, case when id % 3 = 0 then null else '2026-01-01'::timestamptz + (id * 7 % 20) * interval '1 day' end
         from contacts where id % 5 <> 0",
    )
    .execute(&db)
    .await
    .unwrap();
    let expected: Vec<i64> = sqlx::query_scalar(
        "select c.id from contacts c left join contact_metrics m on m.contact_id = c.id
         order by m.last_activity_at desc nulls last, c.id desc",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    let app = TestApp::new(db);
    let ids = |page: &crate::support::Reply| -> Vec<i64> {
        let rows = page.body.split("<a href=\"/contacts/").skip(1);
        rows.filter_map(|it| it.split('"').next()?.parse().ok()).collect()
    };
    let link = |page: &crate::support::Reply, rel: &str| {
        let (_, rest) = page.body.split_once(&format!("rel=\"{rel}\" href=\""))?;
        Some(rest.split('"').next()?.replace("&#38;", "&"))
    };
    let mut page = app.get("/contacts?sort=activity").await;
    assert!(page.text().contains("Última actividad"), "its column shows");
    let (mut seen, mut pages) = (ids(&page), vec![ids(&page)]);
    while let Some(next) = link(&page, "next") {
        page = app.get(&next).await;
        seen.extend(ids(&page));
        pages.push(ids(&page));
    }
    assert_eq!((seen, pages.len()), (expected, 3));
    while let Some(previous) = link(&page, "prev") {
        pages.pop();
        page = app.get(&previous).await;
        assert_eq!(Some(&ids(&page)), pages.last(), "the way back shows the same pages");
    }
    assert_eq!(pages.len(), 1);
    let filtered = app.get("/contacts?sort=activity&active_from=2026-01-15").await;
    assert!(!ids(&filtered).is_empty() && ids(&filtered).len() < 50);
    // A view keeps the order, and the file has it too.
    let who = app.admin().await;
    let saved = who.post("/contacts/views", &[("list", "sort=activity"), ("name", "Activos")]).await;
    assert_eq!(ids(&who.get(saved.location()).await), pages[0]);
    let csv =
        who.post("/contacts/exports", &[("list", "sort=activity&columns=email"), ("format", "csv")]).await;
    let first = csv.body.lines().nth(1).unwrap();
    assert!(first.contains(&format!("Ana {};", pages[0][0])), "{first}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn filters_combine_and_each_can_be_taken_away(db: PgPool) {
    let [rosa, jaime, andrea, pedro] = people(&db).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await.staff.unwrap();
    sqlx::query("update contacts set owner_id = $1 where id = any ($2)")
        .bind(staff.0)
        .bind([rosa.0, jaime.0])
        .execute(&db)
        .await
        .unwrap();
    sqlx::query(
        "update contacts set birth_date = '1990-03-05', created_at = '2026-10-05T12:00:00Z' where id = $1",
    )
    .bind(jaime.0)
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("insert into interests (name, key, created_at) values ('Masajes', 'masajes', now())")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("insert into contact_interests select $1, id, now() from interests")
        .bind(andrea.0)
        .execute(&db)
        .await
        .unwrap();
    sqlx::query(
        "insert into contact_metrics (contact_id, visits, spent, last_activity_at) values ($1, 3, 60000, '2026-11-10T15:00:00Z')",
    )
    .bind(pedro.0)
    .execute(&db)
    .await
    .unwrap();
    let interest: i64 = sqlx::query_scalar("select id from interests").fetch_one(&db).await.unwrap();
    let db = &mut *db.acquire().await.unwrap();
    for (query, found) in [
        (format!("owner={staff}"), vec![jaime, rosa]),
        ("owner=none".to_owned(), vec![andrea, pedro]),
        (format!("owner={staff}&birth_month=3"), vec![jaime]),
        ("created_until=2026-10-05".to_owned(), vec![jaime]),
        ("created_from=2026-10-05&created_until=2026-10-05&q=munoz".to_owned(), vec![jaime]),
        ("created_from=2026-10-06&birth_month=3".to_owned(), vec![]),
        (format!("interest={interest}"), vec![andrea]),
        ("visits=3".to_owned(), vec![pedro]),
        ("visits=4".to_owned(), vec![]),
        ("spent=$50.000".to_owned(), vec![pedro]),
        ("active_from=2026-11-10".to_owned(), vec![pedro]),
        ("active_from=2026-11-11".to_owned(), vec![]),
        ("quiet_from=2026-11-11&owner=none".to_owned(), vec![andrea, pedro]),
        ("quiet_from=2026-11-10&owner=none".to_owned(), vec![andrea]),
    ] {
        let page = app.get(&format!("/contacts?sort=name&{query}")).await;
        let place = |id: &ContactId| page.body.find(&format!("href=\"/contacts/{id}\""));
        let mut shown: Vec<ContactId> =
            [rosa, jaime, andrea, pedro].into_iter().filter(|it| place(it).is_some()).collect();
        shown.sort_by_key(place);
        assert_eq!(shown, found, "{query}");
    }
    let page = app.get(&format!("/contacts?interest={interest}&owner=none&columns=owner,spent")).await;
    assert!(page.text().contains("Sin responsable Interés: Masajes Quitar todos"), "{}", page.text());
    assert!(
        page.body.contains("href=\"/contacts?owner=none&#38;columns=owner%2Cspent\""),
        "the chip of the interest"
    );
    assert!(contact_list::page(db, &q("rosa"), Sort::Name, Place::First, 5).await.unwrap().rows.len() == 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_stage_of_the_board_and_any_of_several_interests_narrow_the_list(db: PgPool) {
    let [rosa, jaime, andrea, pedro] = people(&db).await;
    let app = TestApp::new(db.clone());
    let interest: i64 = sqlx::query_scalar(
        "with i as (insert into interests (name, key, created_at) values ('Masajes', 'masajes', now()) returning id)
         insert into contact_interests select $1, id, now() from i returning interest_id",
    )
    .bind(andrea.0)
    .fetch_one(&db)
    .await
    .unwrap();
    let other: i64 = sqlx::query_scalar(
        "with i as (insert into interests (name, key, created_at) values ('Yoga', 'yoga', now()) returning id)
         insert into contact_interests select $1, id, now() from i returning interest_id",
    )
    .bind(rosa.0)
    .fetch_one(&db)
    .await
    .unwrap();
    let stages: Vec<i64> = sqlx::query_scalar("select id from pipeline_stages order by position limit 2")
        .fetch_all(&db)
        .await
        .unwrap();
    sqlx::query(
        "insert into pipeline_cards (contact_id, stage_id, moved_at) values ($1, $3, now()), ($2, $4, now())",
    )
    .bind(pedro.0)
    .bind(jaime.0)
    .bind(stages[0])
    .bind(stages[1])
    .execute(&db)
    .await
    .unwrap();
    for (query, found) in [
        (format!("interest={other}&interest={interest}"), vec![andrea, rosa]),
        (format!("interest={other}&interest="), vec![rosa]),
        (format!("interest={other}&interest={interest}&q=rosa"), vec![rosa]),
        (format!("interest={interest}&interest=x"), vec![]),
        (format!("stage={}", stages[0]), vec![pedro]),
        (format!("stage={}", stages[1]), vec![jaime]),
        (format!("stage={}&interest={interest}", stages[1]), vec![]),
        ("stage=999".to_owned(), vec![]),
        ("stage=x".to_owned(), vec![]),
    ] {
        let page = app.get(&format!("/contacts?sort=name&{query}")).await;
        let mut shown = [andrea, jaime, pedro, rosa].to_vec();
        shown.retain(|it| page.body.contains(&format!("href=\"/contacts/{it}\"")));
        assert_eq!(shown, found, "{query}");
    }

    // Both filters, in the chips, the form, a view, a file and the audit.
    let first: String = sqlx::query_scalar("select name from pipeline_stages where id = $1")
        .bind(stages[0])
        .fetch_one(&db)
        .await
        .unwrap();
    let asked = format!("interest={interest}&interest={other}&stage={}", stages[0]);
    let page = app.get(&format!("/contacts?{asked}")).await;
    let chips = format!("Interés: alguno de Masajes y Yoga Etapa del embudo: {first} Quitar todos");
    assert!(page.text().contains(&chips), "{}", page.text());
    assert!(
        page.body.contains(&format!("href=\"/contacts?stage={}\"", stages[0])),
        "one chip takes both away"
    );
    assert!(page.body.contains(&format!("href=\"/contacts?interest={interest}&#38;interest={other}\"")));
    for id in [interest, other] {
        assert!(page.body.contains(&format!("name=\"interest\" value=\"{id}\" checked")), "{id}");
    }
    assert!(page.body.contains(&format!("<option value=\"{}\" selected>{first}</option>", stages[0])));
    let admin = app.as_role(Role::Admin).await;
    admin.post("/contacts/views", &[("list", &*asked), ("name", "Del embudo")]).await;
    let view: i64 = one(&db, "select id from saved_views").await;
    let kept = admin.get(&format!("/contacts?view={view}")).await;
    assert_eq!(kept.location(), format!("/contacts?{asked}&view={view}"));
    let told: serde_json::Value =
        one(&db, "select after from audit_events where subject_kind = 'view' order by id desc limit 1").await;
    assert!(told.to_string().contains("\"stage\""), "{told}");
    let file = [("list", &*format!("stage={}&columns=email", stages[0])), ("format", "csv")];
    let file = admin.post("/contacts/exports", &file).await;
    assert_eq!(file.body.lines().count(), 2, "{}", file.body);
    assert!(file.body.contains("pedro@"), "{}", file.body);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_list_shows_the_columns_that_were_chosen(db: PgPool) {
    people(&db).await;
    let app = TestApp::new(db);
    let heads = async |address: &str| {
        let page = app.get(address).await;
        let (_, rest) = page.body.split_once("<thead>").unwrap();
        let head = rest.split_once("</thead>").unwrap().0.to_owned();
        let mut words = Vec::new();
        for part in head.split("<th").skip(1) {
            words.push(part.split_once("</th").unwrap().0.rsplit('>').next().unwrap().to_owned());
        }
        words
    };
    assert_eq!(
        heads("/contacts").await,
        ["Nombre", "Empresa", "Correo", "Teléfono", "Comuna", "Etapa", "Por correo"]
    );
    assert_eq!(heads("/contacts?column=spent&column=owner").await, ["Nombre", "Responsable", "Gastado"]);
    assert_eq!(heads("/contacts?columns=email,password").await, ["Nombre", "Correo"]);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_view_keeps_filters_order_and_columns_for_oneself_or_the_team(db: PgPool) {
    people(&db).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let list = "q=gonzalez&lifecycle=LEAD&sort=name&columns=email,owner";
    let saved = staff.post("/contacts/views", &[("list", list), ("name", " Leads  de Rosa ")]).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let page = staff.get(saved.location()).await;
    assert!(
        page.text().contains("Vista guardada") && page.text().contains("Leads de Rosa"),
        "{}",
        page.text()
    );
    let id: i64 = sqlx::query_scalar("select id from saved_views").fetch_one(&db).await.unwrap();
    let short = staff.get(&format!("/contacts?view={id}")).await;
    assert_eq!(
        short.location(),
        format!("/contacts?q=gonzalez&lifecycle=LEAD&sort=name&columns=email%2Cowner&view={id}")
    );
    // Nobody else sees it until it is shared.
    let admin = app.admin().await;
    assert!(!admin.get("/contacts").await.text().contains("Leads de Rosa"));
    assert_eq!(
        admin.post(&format!("/contacts/views/{id}"), &[("name", "Mía")]).await.status,
        StatusCode::NOT_FOUND
    );
    let twice = staff.post("/contacts/views", &[("list", ""), ("name", "LEADS DE ROSA")]).await;
    assert!(staff.get(twice.location()).await.text().contains("Ya tienes una vista con ese nombre"));
    let path = format!("/contacts/views/{id}");
    staff.post(&path, &[("list", list), ("name", "Leads"), ("shared", "yes")]).await;
    assert!(app.as_role(Role::ReadOnly).await.get("/contacts").await.text().contains("Leads (del equipo)"));
    // Another filter is kept only when that is asked for.
    let filter = async || -> String {
        sqlx::query_scalar("select filter ->> 'lifecycle' from saved_views").fetch_one(&db).await.unwrap()
    };
    staff.post(&path, &[("list", "lifecycle=CLIENTE"), ("name", "Leads"), ("shared", "yes")]).await;
    assert_eq!(filter().await, "LEAD");
    let all = [("list", "lifecycle=CLIENTE"), ("name", "Leads"), ("shared", "yes"), ("replace", "yes")];
    staff.post(&path, &all).await;
    assert_eq!(filter().await, "CLIENTE");
    // Who runs the team may tidy up what is shared; who only looks may not.
    let delete = format!("{path}?_method=DELETE");
    assert_eq!(app.as_role(Role::ReadOnly).await.post(&delete, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.post(&delete, &[]).await.location(), "/contacts");
    let audited: Vec<String> =
        sqlx::query_scalar("select action from audit_events where subject_kind = 'view' order by id")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(audited, ["view.create", "view.update", "view.update", "view.update", "view.delete"]);
    let told: String = sqlx::query_scalar(
        "select string_agg(coalesce(after::text, ''), ' ') from audit_events where action like 'view.%'",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert!(!told.contains("gonzalez"), "what was searched for may be a person: {told}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_export_holds_what_the_list_shows_and_runs_no_formula(db: PgPool) {
    use calamine::{Data, Reader as _, Xlsx};
    let [rosa, ..] = people(&db).await;
    sqlx::query("update contacts set last_name = '=HYPERLINK(\"http://malo.example\")', birth_date = '1990-03-05', job_title = '+cmd' where id = $1")
        .bind(rosa.0)
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("insert into contact_metrics (contact_id, visits, spent) values ($1, 3, 60000)")
        .bind(rosa.0)
        .execute(&db)
        .await
        .unwrap();
    let app = TestApp::new(db.clone());
    let admin = app.admin().await;
    let list = "sort=name&company=1&columns=company,job_title,phone,birth_date,visits,spent,created";
    let csv = admin.post("/contacts/exports", &[("list", list), ("format", "csv")]).await;
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"contactos-2026-11-23.csv\"");
    let lines: Vec<&str> = csv.body.trim_start_matches('\u{feff}').lines().collect();
    assert!(csv.body.starts_with('\u{feff}'));
    assert_eq!(
        lines[0],
        "Nombre;Apellidos;Empresa;RUT empresa;Cargo;Teléfono;Nacimiento;Creado;Visitas;Gastado"
    );
    assert_eq!(
        lines[1],
        "Rosa;\"'=HYPERLINK(\"\"http://malo.example\"\")\";Salmones Quellón;76.086.428-5;'+cmd;56 9 8765 4321;05-03-1990;23-11-2026 12:00;3;60000"
    );
    assert_eq!(lines.len(), 2, "only those whom the list shows");
    // The bytes of the workbook, which are no text.
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf_token", &admin.csrf).append_pair("list", list).append_pair("format", "xlsx");
    let request = admin
        .request(axum::http::Method::POST, "/contacts/exports")
        .header("content-type", "application/x-www-form-urlencoded");
    let bytes = admin.send_for_bytes(request, axum::body::Body::from(form.finish())).await;
    let mut book = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    let sheet = book.worksheet_range("Contactos").unwrap();
    let row: Vec<&Data> = sheet.rows().nth(1).unwrap().iter().collect();
    assert_eq!(row[1], &Data::String("=HYPERLINK(\"http://malo.example\")".to_owned()));
    assert!(book.worksheet_formula("Contactos").unwrap().is_empty(), "no cell is a formula");
    assert!(
        matches!(row[6], Data::DateTime(it) if it.as_datetime().unwrap().to_string() == "1990-03-05 00:00:00")
    );
    assert_eq!((row[8], row[9]), (&Data::Float(3.0), &Data::Float(60000.0)));
    let audited: serde_json::Value = sqlx::query_scalar(
        "select after from audit_events where action = 'contact.export' order by id limit 1",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert_eq!(audited["rows"], 1);
    assert_eq!(audited["filter"], serde_json::json!({ "company": 1 }));
    // Look-alikes are exported where the list shows them.
    let csv = admin.post("/contacts/exports", &[("list", "q=rodrigez"), ("format", "csv")]).await;
    assert!(csv.body.contains("Andrea;Rodríguez"), "{}", csv.body);
    let told: String = sqlx::query_scalar("select after::text from audit_events order by id desc limit 1")
        .fetch_one(&db)
        .await
        .unwrap();
    assert!(!told.contains("rodrigez"), "{told}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn staff_exports_five_hundred_at_most_and_a_reader_nobody(db: PgPool) {
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'Ana', n || '@sur.example', 'ana ' || n || ' sur example', now(), now() from generate_series(1, 501) n",
    )
    .execute(&db)
    .await
    .unwrap();
    let app = TestApp::new(db.clone());
    let ask = [("list", ""), ("format", "csv")];
    let staff = app.as_role(Role::Staff).await;
    let refused = staff.post("/contacts/exports", &ask).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("hasta 500 contactos"), "{}", refused.text());
    let one = staff.post("/contacts/exports", &[("list", "q=7@sur.example"), ("format", "csv")]).await;
    assert_eq!(one.status, StatusCode::OK);
    let all = app.as_role(Role::Admin).await.post("/contacts/exports", &ask).await;
    assert_eq!(all.body.lines().count(), 502);
    assert_eq!(
        app.as_role(Role::ReadOnly).await.post("/contacts/exports", &ask).await.status,
        StatusCode::FORBIDDEN
    );
    let exports: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'contact.export'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(exports, 2, "what was refused was no export");
}

/// `n` leads, and whom they look like to a bulk action: one fact of everybody, in order.
async fn leads(db: &PgPool, n: i64) {
    sqlx::query(
        "insert into contacts (first_name, email, search_key, created_at, updated_at)
         select 'Ana', n || '@sur.example', 'ana ' || n || ' sur example', now(), now() from generate_series(1, $1) n",
    )
    .bind(n)
    .execute(db)
    .await
    .unwrap();
}

async fn facts(db: &PgPool) -> Vec<(i64, String, Option<i64>, Option<i64>, i64, Option<String>)> {
    sqlx::query_as(
        "select c.id, c.lifecycle, c.owner_id, p.stage_id,
             (select count(*) from contact_interests t where t.contact_id = c.id),
             concat((select string_agg(t.at::text, ' ') from contact_interests t where t.contact_id = c.id), ' ',
             (select string_agg(concat_ws(' ', m.list_id, m.added_at, m.came_as, m.came_with), ' ')
              from list_members m where m.contact_id = c.id))
         from contacts c left join pipeline_cards p on p.contact_id = c.id order by c.id",
    )
    .fetch_all(db)
    .await
    .unwrap()
}

async fn settle(app: &TestApp) {
    while run::run_once(&app.state.db, app.now()).await.unwrap() {}
}

async fn one<T>(db: &PgPool, query: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(query).fetch_one(db).await.unwrap()
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_change_to_all_that_match_says_how_many_runs_and_is_taken_back(db: PgPool) {
    leads(&db, 2500).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let me = staff.staff.unwrap().0;
    sqlx::query("update contacts set lifecycle = 'CLIENTE', owner_id = $1 where id % 5 = 0")
        .bind(me)
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("insert into pipeline_cards select id, (select min(id) from pipeline_stages), 5000, null, now() from contacts where id % 7 = 0").execute(&db).await.unwrap();
    sqlx::query("insert into interests (name, key, created_at) values ('Yoga', 'yoga', now())")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("insert into contact_interests select c.id, i.id, '2026-01-02T03:04:05Z' from contacts c, interests i where c.id % 3 = 0").execute(&db).await.unwrap();
    let (yoga, stage): (i64, i64) =
        (one(&db, "select id from interests").await, one(&db, "select max(id) from pipeline_stages").await);
    sqlx::query("insert into lists (name, created_at, updated_at) values ('Feria', now(), now())")
        .execute(&db)
        .await
        .unwrap();
    // One came as a bare address.
    sqlx::query("insert into list_members (list_id, contact_id, added_at, came_as) select l.id, c.id, '2026-02-03T04:05:06Z', case when c.id % 100 = 0 then c.email end from contacts c, lists l where c.id % 2 = 0").execute(&db).await.unwrap();
    let list: i64 = one(&db, "select id from lists").await;
    let page = staff.get("/bulk-actions/new?scope=all&list=").await.text();
    assert!(page.contains("Cambiar a 2.500 personas") && page.contains("se puede deshacer"), "{page}");
    let before = facts(&db).await;
    let (yoga, stage, owner) = (yoga.to_string(), stage.to_string(), me.to_string());
    let list = list.to_string();
    for (fields, changed) in [
        (vec![("action", "TAG"), ("interest", "yoga")], 1667),
        (vec![("action", "UNTAG"), ("untag", &yoga)], 833),
        (vec![("action", "OWNER"), ("owner", &owner)], 2000),
        (vec![("action", "OWNER"), ("owner", "none")], 500),
        (vec![("action", "LIFECYCLE"), ("lifecycle", "PROSPECTO")], 2500),
        (vec![("action", "STAGE"), ("stage", &stage)], 2500),
        (vec![("action", "LIST"), ("to_list", &list)], 1250),
        (vec![("action", "UNLIST"), ("from_list", &list)], 1250),
    ] {
        let form: Vec<(&str, &str)> =
            [("scope", "all"), ("list", "")].into_iter().chain(fields.clone()).collect();
        let asked = staff.post("/bulk-actions", &form).await;
        assert_eq!(asked.status, StatusCode::SEE_OTHER, "{fields:?}: {}", asked.text());
        let path = asked.location().to_owned();
        assert!(staff.get(&path).await.body.contains("hx-trigger=\"every 1s\""), "it is watched");
        settle(&app).await;
        let done: (String, i64, i64, i64) =
            sqlx::query_as("select status, total, done, changed from bulk_actions order by id desc limit 1")
                .fetch_one(&db)
                .await
                .unwrap();
        assert_eq!(done, ("DONE".to_owned(), 2500, 2500, changed), "{fields:?}");
        assert_ne!(facts(&db).await, before, "{fields:?}");
        assert_eq!(staff.post(&format!("{path}/undo"), &[]).await.location(), path);
        settle(&app).await;
        assert_eq!(facts(&db).await, before, "undo is the identity: {fields:?}");
        told_of_each(&db, changed).await;
        let page = staff.get(&path).await.text();
        assert!(page.contains("Deshecho") && page.contains("Se deshizo en "), "{page}");
    }
    // Moves of the lifecycle are on record, both ways.
    let moves: Vec<(String, i64)> =
        sqlx::query_as("select cause, count(*) from lifecycle_changes group by 1 order by 1")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(moves, [("HAND".to_owned(), 2500), ("UNDONE".to_owned(), 2500)]);
    let audited: i64 = one(&db, "select count(*) from audit_events where subject_kind = 'bulk_action'").await;
    assert_eq!(audited, 16);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_panel_of_filters_comes_once_it_is_opened(db: PgPool) {
    leads(&db, 3).await;
    let app = TestApp::new(db.clone());
    let reader = app.as_role(Role::ReadOnly).await;
    let page = reader.get("/contacts?sort=name").await.body;
    assert!(
        !page.contains("name=\"birth_month\"") && page.contains("hx-get=\"/contacts/filters?sort=name\"")
    );
    assert!(page.contains("href=\"/contacts?sort=name&#38;filters=open\""), "without JavaScript too");
    for path in ["/contacts?sort=name&filters=open", "/contacts/filters?sort=name", "/contacts?birth_month=3"]
    {
        assert!(reader.get(path).await.body.contains("name=\"birth_month\""), "{path}");
    }
    let open = reader.get("/contacts?filters=open").await.body;
    assert!(open.contains("<details class=\"more-filters\" open>") && !open.contains("/contacts/filters"));
    let part = reader.get("/contacts/filters?lifecycle=LEAD").await.body;
    assert!(part.contains("value=\"LEAD\" selected") && !part.contains("<html"), "{part}");
}

/// The last bulk action told the audit of each of the `changed` what they were and became, and as much of its undoing.
async fn told_of_each(db: &PgPool, changed: i64) {
    type Told = (i64, Option<i64>, String, Value, Value);
    let told: Vec<Told> = sqlx::query_as(
        "select e.subject_id, e.staff_user_id, e.action, e.before, e.after - 'bulk' from audit_events e
         where e.subject_kind = 'contact' and (e.after ->> 'bulk')::bigint = (select max(id) from bulk_actions) order by e.id",
    )
    .fetch_all(db)
    .await
    .unwrap();
    let (there, back) = told.split_at(told.len() / 2);
    let changed = usize::try_from(changed).unwrap();
    assert_eq!((there.len(), back.len()), (changed, changed));
    assert!(told.iter().all(|it| it.1.is_some()), "in the name of who asked");
    let facts = |it: &Told| (it.0, it.3.clone(), it.4.clone());
    let turned = |it: &Told| (it.0, it.4.clone(), it.3.clone());
    let sorted = |mut all: Vec<(i64, Value, Value)>| {
        all.sort_by_key(|it| it.0);
        all
    };
    assert_eq!(
        sorted(there.iter().map(facts).collect()),
        sorted(back.iter().map(turned).collect()),
        "an undoing is told the other way round"
    );
    let (action, was, is) = (there[0].2.as_str(), &there[0].3, &there[0].4);
    match action {
        "interest.add" => assert_eq!((was, is), (&json!({}), &json!({ "interest": "Yoga" }))),
        "interest.remove" => assert_eq!((was, is), (&json!({ "interest": "Yoga" }), &json!({}))),
        "contact.lifecycle" => assert_eq!(is, &json!({ "lifecycle": "PROSPECTO" })),
        "list.join" => assert_eq!((was, is), (&json!({}), &json!({ "list": "Feria" }))),
        "list.leave" => assert_eq!((was, is), (&json!({ "list": "Feria" }), &json!({}))),
        "contact.update" => assert_ne!(was["owner_id"], is["owner_id"]),
        "pipeline.move" => assert_ne!(was["stage_id"], is["stage_id"]),
        other => panic!("{other}"),
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn only_the_chosen_are_changed_and_what_others_changed_after_stays(db: PgPool) {
    leads(&db, 10).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let ids: Vec<i64> =
        sqlx::query_scalar("select id from contacts order by id limit 3").fetch_all(&db).await.unwrap();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let page = staff
        .get(&format!("/bulk-actions/new?scope=selected&id={}&id={}&list=sort%3Dname", ids[0], ids[1]))
        .await;
    assert!(page.text().contains("Cambiar a 2 personas"), "{}", page.text());
    let nobody = staff.get("/bulk-actions/new?scope=selected&list=sort%3Dname").await;
    assert_eq!(nobody.location(), "/contacts?sort=name");
    let chosen = [("scope", "selected"), ("id", &ids[0]), ("id", &ids[1]), ("id", &ids[2])];
    let wrong = staff
        .post("/bulk-actions", &[&chosen[..], &[("action", "LIFECYCLE"), ("lifecycle", "VIP")]].concat())
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().contains("Elige la etapa."), "{}", wrong.text());
    let asked = staff
        .post("/bulk-actions", &[&chosen[..], &[("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")]].concat())
        .await;
    settle(&app).await;
    let customers: i64 = one(&db, "select count(*) from contacts where lifecycle = 'CLIENTE'").await;
    assert_eq!(customers, 3);
    sqlx::query("update contacts set lifecycle = 'INACTIVO' where id = $1")
        .bind(ids[0].parse::<i64>().unwrap())
        .execute(&db)
        .await
        .unwrap();
    staff.post(&format!("{}/undo", asked.location()), &[]).await;
    settle(&app).await;
    let page = staff.get(asked.location()).await.text();
    assert!(page.contains("Se deshizo en 2 personas. 1 persona cambió después"), "{page}");
    let left: Vec<String> = sqlx::query_scalar("select distinct lifecycle from contacts order by 1")
        .fetch_all(&db)
        .await
        .unwrap();
    assert_eq!(left, ["INACTIVO", "LEAD"]);
    let again = staff.post(&format!("{}/undo", asked.location()), &[]).await;
    assert!(staff.get(again.location()).await.text().contains("ya se deshizo"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_bulk_action_that_is_cut_off_goes_on_where_it_was(db: PgPool) {
    leads(&db, 2500).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let form =
        [("scope", "all"), ("list", "lifecycle=LEAD"), ("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")];
    staff.post("/bulk-actions", &form).await;
    // Who they are is written down once: somebody who comes later is none of them.
    assert!(run::run_once(&db, app.now()).await.unwrap());
    sqlx::query("insert into contacts (email, search_key, created_at, updated_at) values ('tarde@sur.example', 'tarde', now(), now())").execute(&db).await.unwrap();
    assert!(run::run_once(&db, app.now()).await.unwrap());
    // A process that dies in the middle of a page: its transaction is gone.
    sqlx::query(
        "create function cut() returns trigger language plpgsql as $$ begin
             if new.done > 1000 then raise exception using errcode = '40001'; end if; return new; end $$",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("create trigger cut before update on bulk_actions for each row execute function cut()")
        .execute(&db)
        .await
        .unwrap();
    assert!(run::run_once(&db, app.now()).await.is_err());
    let half: i64 = one(&db, "select count(*) from contacts where lifecycle = 'CLIENTE'").await;
    assert_eq!(half, 1000, "the page that was cut off left nothing");
    sqlx::query("drop trigger cut on bulk_actions").execute(&db).await.unwrap();
    settle(&app).await;
    let done: (String, i64, i64) =
        sqlx::query_as("select status, done, changed from bulk_actions").fetch_one(&db).await.unwrap();
    assert_eq!(done, ("DONE".to_owned(), 2500, 2500));
    let moves: i64 = one(&db, "select count(*) from lifecycle_changes").await;
    assert_eq!(moves, 2500, "nobody was moved twice");
    let late: String = one(&db, "select lifecycle from contacts where email = 'tarde@sur.example'").await;
    assert_eq!(late, "LEAD");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_bulk_action_is_called_off_or_fails_with_a_reason_and_can_be_taken_back(db: PgPool) {
    leads(&db, 2500).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let tag = [("scope", "all"), ("list", ""), ("action", "TAG"), ("interest", "Masajes")];
    let asked = staff.post("/bulk-actions", &tag).await;
    for _ in 0..2 {
        run::run_once(&db, app.now()).await.unwrap();
    }
    staff.post(&format!("{}/cancellation", asked.location()), &[]).await;
    settle(&app).await;
    let page = staff.get(asked.location()).await.text();
    assert!(page.contains("Cambió a 1.000 personas. Quedaron 1.500 personas sin mirar."), "{page}");
    staff.post(&format!("{}/undo", asked.location()), &[]).await;
    settle(&app).await;
    assert_eq!(one::<i64>(&db, "select count(*) from contact_interests").await, 0);
    // What they were to be given goes away.
    let asked = staff.post("/bulk-actions", &tag).await;
    run::run_once(&db, app.now()).await.unwrap();
    sqlx::query("delete from interests").execute(&db).await.unwrap();
    settle(&app).await;
    assert!(staff.get(asked.location()).await.text().contains("Lo que se iba a asignar ya no existe"));
    // Who only looks may look.
    let reader = app.as_role(Role::ReadOnly).await;
    assert_eq!(reader.post("/bulk-actions", &tag).await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.get("/bulk-actions/new?scope=all").await.status, StatusCode::FORBIDDEN);
    assert!(!reader.get("/contacts").await.body.contains("data-bulk-item"));
    assert!(reader.get("/bulk-actions").await.text().contains("Agregar el interés «Masajes»"));
    assert_eq!(reader.get(asked.location()).await.status, StatusCode::OK);
}

/// What a list of contacts must never read whole.
const BIG: &[&str] = &["contacts", "contact_words", "contact_interests", "contact_metrics"];

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn no_page_of_the_list_reads_all_contacts(db: PgPool) {
    sqlx::query(
        "insert into contacts (first_name, email, phone, search_key, lifecycle, source, birth_date, created_at, updated_at)
         select 'Ana', n || '@sur.example', '+569' || (10000000 + n), 'nombre' || n % 3000 || ' ' || n || ' sur example 569' || (10000000 + n),
             case when n % 50 = 0 then 'CLIENTE' else 'LEAD' end, case when n % 60 = 0 then 'WEB' else 'IMPORT' end,
             case when n % 40 = 0 then '1990-01-15'::date + n % 300 end, '2026-01-01'::timestamptz + n * interval '1 minute', now()
         from generate_series(1, 40000) n",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("insert into interests (name, key, created_at) values ('Yoga', 'yoga', now())")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("insert into contact_interests select c.id, i.id, now() from contacts c, interests i where c.id % 30 = 0")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query(
        "insert into contact_metrics (contact_id, last_activity_at, spent, visits)
         select id, '2026-01-01'::timestamptz + id * interval '1 minute', id * 10, id % 9 from contacts where id % 3 = 0",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("insert into interests (name, key, created_at) values ('Pilates', 'pilates', now())")
        .execute(&db)
        .await
        .unwrap();
    let yoga: Vec<i64> = sqlx::query_scalar("select id from interests").fetch_all(&db).await.unwrap();
    let stage: i64 = sqlx::query_scalar("select min(id) from pipeline_stages").fetch_one(&db).await.unwrap();
    sqlx::query("insert into pipeline_cards (contact_id, stage_id, moved_at) select id, $1 + id % 2, now() from contacts where id % 20 < 2")
        .bind(stage)
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("analyze").execute(&db).await.unwrap();
    let db = &mut *db.acquire().await.unwrap();
    let id: i64 = sqlx::query_scalar("select id from contacts order by id offset 20000 limit 1")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let active = id - id % 3;
    let name: String = sqlx::query_scalar("select search_key from contacts where id = $1")
        .bind(id)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    let called = || Edge { id, key: Key::Text(name.clone()) };
    let at: DateTime<Utc> =
        sqlx::query_scalar("select last_activity_at from contact_metrics where contact_id = $1")
            .bind(active)
            .fetch_one(&mut *db)
            .await
            .unwrap();
    let spent: i64 =
        sqlx::query_scalar("select max(spent) / 2 from contact_metrics").fetch_one(&mut *db).await.unwrap();
    let all = Filter::default;
    for (what, filter, sort, place) in [
        ("first page", all(), Sort::Newest, Place::First),
        ("deep page", all(), Sort::Newest, Place::After(Edge::row(id))),
        ("deep page by name", all(), Sort::Name, Place::After(called())),
        ("page before", all(), Sort::Name, Place::Before(called())),
        ("by activity", all(), Sort::Activity, Place::First),
        (
            "by activity, deep",
            all(),
            Sort::Activity,
            Place::After(Edge { id: active, key: Key::At(Some(at)) }),
        ),
        ("by what they spent", all(), Sort::Spent, Place::First),
        (
            "by what they spent, deep",
            all(),
            Sort::Spent,
            Place::After(Edge { id: active, key: Key::Number(spent) }),
        ),
        (
            "by what they spent, of those who spent that much",
            Filter { spent_from: Some(i64::MAX / 2), ..all() },
            Sort::Spent,
            Place::First,
        ),
        ("by visits", all(), Sort::Visits, Place::First),
        ("by visits, to the end", all(), Sort::Visits, Place::After(Edge { id, key: Key::Number(0) })),
        (
            "by activity, of an owner",
            Filter { owner: Some(Owner::Staff(StaffId(1))), ..all() },
            Sort::Activity,
            Place::First,
        ),
        ("rare word", q("nombre77 sur"), Sort::Newest, Place::First),
        // A word that all share is met by walking: a walk that ends after a few thousand rows.
        ("telephone", q("+56 9 1001 2345"), Sort::Newest, Place::First),
        ("stage", Filter { lifecycle: Some(Lifecycle::Customer), ..all() }, Sort::Newest, Place::First),
        ("stage of the board", Filter { stage: Some(StageId(stage)), ..all() }, Sort::Newest, Place::First),
        ("stage, by name", Filter { stage: Some(StageId(stage)), ..all() }, Sort::Name, Place::First),
        ("interests", Filter { interests: yoga.clone(), ..all() }, Sort::Newest, Place::First),
        ("source", Filter { source: Some(Source::Web), ..all() }, Sort::Newest, Place::First),
        ("owner", Filter { owner: Some(Owner::Staff(StaffId(1))), ..all() }, Sort::Newest, Place::First),
        ("birthday", Filter { birth_month: Some(2), ..all() }, Sort::Newest, Place::First),
        ("days", Filter { created_until: "2026-01-02".parse().ok(), ..all() }, Sort::Newest, Place::First),
        ("chosen ones", Filter { among: Some(vec![id, id + 1]), ..all() }, Sort::Given, Place::First),
    ] {
        let before = whole_reads(db, BIG).await;
        contact_list::page(db, &filter, sort, place, 50).await.unwrap();
        assert_eq!(whole_reads(db, BIG).await, before, "{what}: a table was read whole");
    }
    let before = whole_reads(db, BIG).await;
    // The measure sees what it should.
    sqlx::query("select count(*) from contacts where notes = 'x'").execute(&mut *db).await.unwrap();
    assert!(whole_reads(db, BIG).await > before);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn undoing_a_change_of_stage_keeps_the_cards_that_were_worked_on_since(db: PgPool) {
    leads(&db, 3).await;
    let app = TestApp::new(db.clone());
    let stage: i64 = one(&db, "select max(id) from pipeline_stages").await;
    let stage = stage.to_string();
    let form = [("scope", "all"), ("list", ""), ("action", "STAGE"), ("stage", &stage)];
    let asked = app.post("/bulk-actions", &form).await;
    settle(&app).await;
    sqlx::query("update pipeline_cards set value = 250000 where contact_id = (select min(id) from contacts)")
        .execute(&db)
        .await
        .unwrap();
    sqlx::query("update pipeline_cards set moved_at = moved_at + interval '1 hour' where contact_id = (select max(id) from contacts)")
        .execute(&db)
        .await
        .unwrap();
    app.post(&format!("{}/undo", asked.location()), &[]).await;
    settle(&app).await;
    let left: (i64, i64) = sqlx::query_as("select count(*), sum(value)::bigint from pipeline_cards")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(left, (2, 250_000));
    let page = app.get(asked.location()).await.text();
    assert!(page.contains("2 personas cambiaron después"), "{page}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn whoever_undoes_a_change_answers_for_it_and_who_left_changes_nobody(db: PgPool) {
    leads(&db, 3).await;
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let form = [("scope", "all"), ("list", ""), ("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")];
    let asked = staff.post("/bulk-actions", &form).await;
    settle(&app).await;
    let me = staff.staff.unwrap().0;
    sqlx::query("update staff_users set role = 'READ_ONLY' where id = $1")
        .bind(me)
        .execute(&db)
        .await
        .unwrap();
    app.admin().await.post(&format!("{}/undo", asked.location()), &[]).await;
    settle(&app).await;
    assert_eq!(one::<String>(&db, "select status from bulk_actions").await, "UNDONE");
    sqlx::query("update staff_users set role = 'STAFF' where id = $1").bind(me).execute(&db).await.unwrap();
    let again = app.as_role(Role::Staff).await;
    let asked = again.post("/bulk-actions", &form).await;
    sqlx::query("update staff_users set active = false where id = $1")
        .bind(again.staff.unwrap().0)
        .execute(&db)
        .await
        .unwrap();
    settle(&app).await;
    let page = app.get(asked.location()).await.text();
    assert!(page.contains("ya no puede cambiar contactos"), "{page}");
    assert_eq!(one::<i64>(&db, "select count(*) from contacts where lifecycle = 'CLIENTE'").await, 0);
    // Its undoing is no failure any more.
    app.post(&format!("{}/undo", asked.location()), &[]).await;
    settle(&app).await;
    assert_eq!(one::<i64>(&db, "select count(*) from bulk_actions where failure is not null").await, 0);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_bulk_action_that_cannot_be_read_stands_in_nobodys_way(db: PgPool) {
    leads(&db, 1).await;
    let app = TestApp::new(db.clone());
    sqlx::query("insert into bulk_actions (action, target_name, filter, created_at, created_by_name) values ('TAG', 'x', '{}', now(), 'x')")
        .execute(&db)
        .await
        .unwrap();
    let form = [("scope", "all"), ("list", ""), ("action", "LIFECYCLE"), ("lifecycle", "CLIENTE")];
    app.post("/bulk-actions", &form).await;
    settle(&app).await;
    assert_eq!(one::<i64>(&db, "select count(*) from contacts where lifecycle = 'CLIENTE'").await, 1);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_word_of_very_many_companies_finds_all_their_people(db: PgPool) {
    sqlx::query(
        "with k as (insert into companies (name, name_key, created_at, updated_at)
             select 'Comercial ' || n, 'comercial ' || n, now(), now() from generate_series(1, 1500) n returning id)
         insert into contacts (first_name, email, search_key, company_id, created_at, updated_at)
         select 'Ana', id || '@sur.example', 'ana ' || id || ' sur example', id, now(), now() from k",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut db = db.acquire().await.unwrap();
    let matching = contact_list::matching(&mut db, &q("comercial"), Sort::Newest).await.unwrap();
    assert_eq!(matching.count(&mut db, i64::MAX).await.unwrap(), 1500);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_download_that_stalls_lets_its_connection_go(db: PgPool) {
    leads(&db, 2000).await;
    let patience = Patience { chunk: Duration::from_millis(50), whole: Duration::from_mins(1) };
    let columns = [Column::Email];
    let whom = (&Filter::default(), Sort::Newest);
    let export =
        export::begin_people(&db, monday_noon(), &Actor::CommandLine, whom, &columns, export::Kind::Csv)
            .await
            .unwrap();
    // Nobody takes the first chunk away.
    let (send, receive) = tokio::sync::mpsc::channel(1);
    assert!(export.csv(send, patience).await.is_err(), "a file that was cut off must not look whole");
    drop(receive);
    // One connection is enough to begin.
    let narrow = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with((*db.connect_options()).clone())
        .await
        .unwrap();
    export::begin_people(&narrow, monday_noon(), &Actor::CommandLine, whom, &columns, export::Kind::Csv)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn so_many_across_person_and_company_are_shown(db: PgPool) {
    leads(&db, 1).await;
    sqlx::raw_sql(
        "insert into companies (name, name_key, created_at, updated_at) values ('Ulmos', 'ulmos', now(), now());
         insert into contacts (first_name, last_name, company_id, email, search_key, created_at, updated_at)
         select 'Nadia', '', (select id from companies where name = 'Ulmos'), 'n' || n || '@x.example', 'nadia n' || n, now(), now()
         from generate_series(1, 1100) n;
         insert into contact_words select id, search_key from contacts on conflict do nothing",
    )
    .execute(&db)
    .await
    .unwrap();
    let mut db = db.acquire().await.unwrap();
    let page = contact_list::page(&mut db, &q("nadia ulmos"), Sort::Newest, Place::First, 20).await.unwrap();
    assert_eq!(page.rows.len(), 20, "not by a walk that meets nobody");
    let all = contact_list::matching(&mut db, &q("nadia ulmos"), Sort::Newest).await.unwrap();
    assert_eq!(all.count(&mut db, i64::MAX).await.unwrap(), 1100);
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn places_come_back_to_whose_they_were(db: PgPool) {
    use crate::duplicates::{join, person, separate};
    let app = TestApp::new(db.clone());
    let staff = app.as_role(Role::Staff).await;
    let x = person(&db, ("Ana", "Uno"), "x@x.example", "", "").await;
    let y = person(&db, ("Ana", "Dos"), "y@x.example", "", "").await;
    sqlx::raw_sql("insert into lists (name, created_at, updated_at) values ('Feria', now(), now())")
        .execute(&db)
        .await
        .unwrap();
    let put_on = async |who: i64| {
        sqlx::query("insert into list_members (list_id, contact_id, added_at) values (1, $1, '2026-02-03')")
            .bind(who)
            .execute(&db)
            .await
            .unwrap();
    };
    let take_off = async |who: i64| -> String {
        let who = who.to_string();
        let form = [("scope", "selected"), ("id", &*who), ("action", "UNLIST"), ("from_list", "1")];
        let asked = staff.post("/bulk-actions", &form).await;
        settle(&app).await;
        asked.location().to_owned()
    };
    let on = async || -> Vec<i64> {
        sqlx::query_scalar("select contact_id from list_members order by 1").fetch_all(&db).await.unwrap()
    };
    // Joined into another since: the place is of both, and goes with whose it was.
    put_on(x.0).await;
    let path = take_off(x.0).await;
    assert_eq!(on().await, [0; 0]);
    let joined = join(&db, y, x, &[]).await.unwrap();
    staff.post(&format!("{path}/undo"), &[]).await;
    settle(&app).await;
    assert_eq!(on().await, [x.0, y.0]);
    separate(&db, joined).await.unwrap();
    assert_eq!(on().await, [x.0]);
    // Parted since: the place is of who left.
    let joined = join(&db, y, x, &[]).await.unwrap();
    let path = take_off(y.0).await;
    separate(&db, joined).await.unwrap();
    assert_eq!(on().await, [0; 0]);
    staff.post(&format!("{path}/undo"), &[]).await;
    settle(&app).await;
    assert_eq!(on().await, [x.0]);
}
