//! Working the lists: searching in any spelling, the palette, filters, columns,
//! views, exports, and what is done to many at once.

use crate::support::{TestApp, monday_noon};
use axum::http::StatusCode;
use llovizna::{
    access::{Actor, Role},
    contacts::{
        company_list,
        contact::{self, Draft},
        contact_list::{self, Filter, Sort},
    },
    db::keyset::Place,
    ids::ContactId,
};
use sqlx::{PgConnection, PgPool};

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
    let Some(filter) = contact_list::similar(db, &q(text)).await.unwrap() else { return Vec::new() };
    let page = contact_list::page(db, &filter, Sort::Given, Place::First, 50).await.unwrap();
    page.rows.into_iter().map(|it| it.name).collect()
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
        ("@sur.cl", "Pedro Pérez"),
        ("pedro@sur", "Pedro Pérez"),
    ] {
        assert_eq!(exactly(db, typed).await, [found], "{typed}");
    }
    // The parts of an address stand side by side.
    assert!(exactly(db, "pedro@correo.example").await.is_empty());
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
    let found = app.get("/search?q=gonsales").await.text();
    assert!(found.contains("Contactos parecidos a «gonsales» Rosa González"), "{found}");
    let found = app.get("/search?q=wxyzk").await.text();
    assert!(found.contains("Nada se llama ni se parece a «wxyzk»"), "{found}");
    let read_only = app.as_role(Role::ReadOnly).await.get("/search?q=").await.text();
    assert!(!read_only.contains("Crear un contacto nuevo") && !read_only.contains("Equipo Ajustes"));
    assert_eq!(app.anonymous().get("/search?q=rosa").await.status, StatusCode::SEE_OTHER);
}
