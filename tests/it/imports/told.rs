//! What the page of a simulation tells: what is left out, what is observed and how often, what changes.

use super::{Attempt, web::upload, xlsx};
use crate::{
    imports::KindArg,
    support::{Browser, TestApp},
};
use llovizna::{access::Role, imports::run};
use sqlx::PgPool;

/// The address of an import of `content`, simulated.
async fn simulated(app: &TestApp, browser: &Browser<'_>, content: &[u8], fields: &[(&str, &str)]) -> String {
    let page = upload(browser, content, fields).await.location().to_owned();
    run::run_once(&app.state.db, app.now()).await.unwrap();
    page
}

/// What people read at `address`.
async fn read(browser: &Browser<'_>, address: &str) -> String {
    browser.get(address).await.text().replace(" :", ":")
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn columns_that_are_left_out_are_named_with_their_rows(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let file = "Nombre,Email,Email,Talla,Vacía\nAna,ana@x.example,,M,\nJuan,,juan@x.example,L,\nEva,eva@x.example,,,\n";
    let page = simulated(&app, &browser, file.as_bytes(), &[]).await;
    let shown = browser.get(&page).await;
    let text = read(&browser, &page).await;
    assert!(text.contains("Columnas que no se importan"), "{text}");
    assert!(
        text.contains("Email: 1 fila con datos. Es otra columna de «Correo», que ya se toma de «Email»"),
        "{text}"
    );
    assert!(text.contains("Talla: 2 filas con datos"), "{text}");
    assert!(!text.contains("Vacía:"), "nothing is lost with it: {text}");
    assert!(shown.body.contains("href=\"#mapping\""), "{}", shown.body);
    let whole = simulated(&app, &browser, b"Nombre,Email\nAna,ana@x.example\n", &[]).await;
    assert!(!browser.get(&whole).await.text().contains("Columnas que no"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_header_split_over_two_rows_is_put_together(db: PgPool) {
    let file = "Nombre del;Correo;Número de\ncliente;electrónico;celular\nAna Soto;ana@x.example;987654321\n";
    let it = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!((it.counts.rows, it.counts.created), (1, 1), "{it:?}");
    let ana = sqlx::query!("select first_name, email, phone from contacts").fetch_one(&db).await.unwrap();
    assert_eq!(
        (ana.first_name.as_str(), ana.email.as_deref(), ana.phone.as_deref()),
        ("Ana", Some("ana@x.example"), Some("+56987654321"))
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_sheet_with_the_people_is_found_behind_a_cover(db: PgPool) {
    let people: (&str, &[&[&str]]) =
        ("Clientes", &[&["Nombre", "Correo"], &["Ana", "ana@x.example"], &["Eva", "eva@x.example"]]);
    let cover: (&str, &[&[&str]]) = ("Portada", &[&["Spa Llovizna"], &["Listado al día"]]);
    let found = Attempt::of(KindArg::Contacts, "a.xlsx", &xlsx(&[cover, people])).run(&db).await;
    assert_eq!(found.counts.created, 2);
    let other: (&str, &[&[&str]]) = ("Tallas", &[&["color", "talla"], &["rojo", "m"]]);
    let sentence = Attempt::of(KindArg::Contacts, "a.xlsx", &xlsx(&[cover, other])).refusal(&db).await;
    assert!(sentence.contains("(«Portada», «Tallas») y se leyó «Portada»"), "{sentence}");
    let asked = Attempt::of(KindArg::Contacts, "a.xlsx", &xlsx(&[cover, people])).sheet("Portada");
    let sentence = asked.refusal(&db).await;
    assert!(sentence.contains("se leyó «Portada»"), "who asks for a sheet gets it: {sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn observations_and_rejections_are_counted_by_reason_and_lead_to_their_rows(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let file = "Nombre,Email,Origen,Fecha de nacimiento\n\
        Ana,ana@x.example,LinkedIn,\n\
        Eva,eva@x.example,Paloma,ayer\n\
        Luz,luz@x.example,,hoy\n\
        Mar,mar@x.example,Afiche,\n\
        Sol,malo,,\n";
    let page = simulated(&app, &browser, file.as_bytes(), &[]).await;
    let shown = browser.get(&page).await;
    let text = shown.text();
    assert!(text.contains("El origen «…» no es de la lista: no se guardó 3"), "{text}");
    assert!(text.contains("La fecha de nacimiento «…» no se entiende: quedó sin fecha 2"), "{text}");
    let links: Vec<String> = shown
        .body
        .split("href=\"")
        .filter_map(|it| it.split('"').next())
        .filter(|it| it.contains("&#38;reason=") || it.contains("&amp;reason="))
        .map(|it| it.replace("&#38;", "&").replace("&amp;", "&"))
        .collect();
    assert_eq!(links.len(), 3, "{links:?}");
    for (link, inside, outside) in [
        (&links[0], vec!["sol", "No es un correo"], vec!["ana@", "eva@"]),
        (&links[1], vec!["ana@", "eva@", "mar@"], vec!["luz@", "malo"]),
        (&links[2], vec!["eva@", "luz@"], vec!["ana@", "mar@"]),
    ] {
        let rows = browser.get(link).await.text().to_lowercase();
        for it in inside {
            assert!(rows.contains(&it.to_lowercase()), "{link} {it}: {rows}");
        }
        for it in outside {
            assert!(!rows.contains(it), "{link} {it}: {rows}");
        }
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_row_with_changes_says_what_changes(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    for (way, told, untold) in [
        (
            "fill",
            vec!["Teléfono: (vacío) → +56 9 8765 4321", "Empresa: (vacío) → Norte"],
            vec!["Cargo: Jefa", "Cargo: Socia"],
        ),
        (
            "overwrite",
            vec!["Cargo: Jefa → Gerenta", "Teléfono: (vacío) → +56 9 8765 4322", "Cargo: Socia → Dueña"],
            vec!["Empresa: Sur"],
        ),
    ] {
        let known = format!(
            "Nombre,Apellido,Email,Cargo,Teléfono,Empresa\nAna,Soto,ana@{way}.example,Jefa,,Sur\nEva,Paz,eva@{way}.example,Socia,,\n"
        );
        Attempt::contacts(&known).applied().run(&db).await;
        let phone = if way == "fill" { "987654321" } else { "987654322" };
        let file = format!(
            "Nombre,Apellido,Email,Cargo,Teléfono,Empresa,Rubro\n\
             Ana,Soto,ana@{way}.example,Gerenta,{phone},Sur,\nEva,Paz,eva@{way}.example,Dueña,,Norte,\n"
        );
        let page = simulated(&app, &browser, file.as_bytes(), &[("on_duplicate", way)]).await;
        let rows = format!("{page}/rows?verdict=UPDATED");
        for step in ["foreseen", "written"] {
            let text = read(&browser, &rows).await;
            for it in &told {
                assert!(text.contains(it), "{way}, {step}, {it}: {text}");
            }
            for it in &untold {
                assert!(!text.contains(it), "{way}, {step}, {it}: {text}");
            }
            if step == "foreseen" {
                browser.post(&format!("{page}/confirmation"), &[("simulation", "1")]).await;
                run::run_once(&db, app.now()).await.unwrap();
            }
        }
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_bare_list_of_addresses_is_one(db: PgPool) {
    let app = TestApp::new(db.clone());
    let browser = app.as_role(Role::Staff).await;
    let page = simulated(&app, &browser, b"ana@x.example\neva@x.example\n", &[]).await;
    let text = browser.get(&page).await.text();
    assert!(text.contains("2 contactos nuevos"), "{text}");
    assert!(text.contains("El archivo no trae encabezado"), "{text}");
    let page = simulated(&app, &browser, b"ana@x.example\neva\n", &[]).await;
    let text = browser.get(&page).await.text();
    assert!(text.contains("No encontramos una columna"), "{text}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn several_addresses_in_a_cell_are_told_as_such(db: PgPool) {
    let it = Attempt::contacts("Nombre,Correo\nAna,uno@x.example / dos@x.example\n").run(&db).await;
    assert!(it.rejections[0].reason.contains("más de un correo"), "{it:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_document_of_another_program_is_called_by_its_name(db: PgPool) {
    for (part, told) in [
        ("word/document.xml", "documento de Word"),
        ("ppt/presentation.xml", "PowerPoint"),
        ("x.txt", "un ZIP"),
    ] {
        let file = super::zip(&[(part, b"<x/>")]);
        let sentence = Attempt::of(KindArg::Contacts, "lista.docx", &file).refusal(&db).await;
        assert!(sentence.contains(told) && !sentence.contains("dañado"), "{sentence}");
    }
}
