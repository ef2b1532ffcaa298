//! Hostile and broken files: a clear sentence in Spanish for each, and nothing half written.

use super::{Attempt, population, xlsx, zip};
use crate::imports::KindArg;
use sqlx::PgPool;

/// `content` is refused with a sentence that holds `words`, and nothing is written.
async fn check(db: &PgPool, name: &str, content: &[u8], words: &str) {
    for apply in [false, true] {
        let mut attempt = Attempt::of(KindArg::Contacts, name, content);
        attempt.args.apply = apply;
        let sentence = attempt.refusal(db).await;
        assert!(sentence.contains(words), "{name}: {sentence}");
    }
    assert_eq!(population(db).await, (0, 0), "{name}");
    let rows = sqlx::query_scalar!("select count(*) from import_rows").fetch_one(db).await.unwrap();
    assert_eq!(rows, Some(0), "{name}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn files_that_are_no_tables(db: PgPool) {
    check(&db, "vacio.csv", b"", "vacío").await;
    check(&db, "blanco.csv", b" \r\n\r\n", "vacío").await;
    check(&db, "foto.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "es una imagen").await;
    check(&db, "foto.xlsx", b"\xff\xd8\xff\xe0\0\x10JFIF", "es una foto").await;
    check(&db, "cartola.csv", b"%PDF-1.7\n", "un PDF").await;
    check(&db, "portal.xls", b"<html><table><tr><td>Nombre</td></tr></table>", "página web").await;
    check(
        &db,
        "basura.csv",
        &(0..4000_u32).map(|it| (it * 7919 % 32) as u8).collect::<Vec<_>>(),
        "no es una planilla",
    )
    .await;
    check(&db, "zip.xlsx", &zip(&[("hola.txt", b"hola")]), "es un ZIP").await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn tables_without_what_is_needed(db: PgPool) {
    check(&db, "encabezado.csv", b"nombre,correo\n", "solo tiene el encabezado").await;
    check(&db, "columnas.csv", b"color,talla\nrojo,m\n", "«color», «talla»").await;
    let wide = "columna,".repeat(200);
    let wide = format!("nombre,correo,{wide}fin\nAna,a@x.example{}1\n", ",".repeat(201));
    check(&db, "ancho.csv", wide.as_bytes(), "203 columnas y el máximo es 100").await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_endless_cell(db: PgPool) {
    let mut content = b"nombre,correo\nAna,\"".to_vec();
    content.resize(40 * 1024 * 1024, b'x');
    check(&db, "celda.csv", &content, "celda demasiado larga").await;
    content.truncate(0);
    content.extend(format!("nombre,correo\nAna,{}\n", "x".repeat(150_000)).bytes());
    check(&db, "celda2.csv", &content, "La fila 2 tiene una celda demasiado larga").await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn broken_and_locked_workbooks(db: PgPool) {
    let book = xlsx(&[("Hoja", &[&["nombre", "correo"], &["Ana", "ana@x.example"]])]);
    check(&db, "cortado.xlsx", &book[..book.len() / 2], "dañado o incompleto").await;
    let mut locked = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    locked.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    locked.resize(4096, 0);
    check(&db, "clave.xlsx", &locked, "contraseña").await;
    check(&db, "clave.xlsx", include_bytes!("../files/con_clave.xlsx"), "contraseña").await;
    check(&db, "cortado.xls", &include_bytes!("../files/clientes_1997.xls")[..3000], "").await;
    check(
        &db,
        "word.xls",
        &b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 nada".repeat(9),
        "documento antiguo de Office",
    )
    .await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_zip_bomb(db: PgPool) {
    let zeros = vec![b' '; 300 * 1024 * 1024];
    let book = zip(&[("xl/workbook.xml", b"<workbook/>"), ("xl/sharedStrings.xml", &zeros)]);
    assert!(book.len() < 2 * 1024 * 1024);
    check(&db, "bomba.xlsx", &book, "tamaño desmedido").await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_null_byte_costs_its_row_only(db: PgPool) {
    let it = Attempt::contacts(b"nombre,correo\nA\0na,ana@x.example\nJuan,juan@x.example\n")
        .applied()
        .run(&db)
        .await;
    assert_eq!((it.counts.created, it.counts.rejected), (1, 1));
    assert!(it.rejections[0].reason.contains("byte nulo"), "{it:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_formula_is_no_name_in_the_base_and_harmless_in_the_report(db: PgPool) {
    let file =
        "nombre,apellido,correo,telefono\n=cmd|' /C calc'!A0,x,ana@x.example,\n=1+1,x,malo,+56987654321\n";
    let it = Attempt::contacts(file).applied().run(&db).await;
    assert_eq!((it.counts.created, it.warnings), (1, 1));
    let ana = sqlx::query!("select first_name, last_name from contacts").fetch_one(&db).await.unwrap();
    assert_eq!(
        (ana.first_name.as_str(), ana.last_name.as_str()),
        ("", "x"),
        "nobody is greeted by a formula"
    );
    let warning =
        sqlx::query_scalar!("select warning from import_rows where verdict = 'CREATED'").fetch_one(&db).await;
    assert_eq!(warning.unwrap().unwrap(), "El nombre «=cmd|' /C calc'!A0» parece una fórmula: no se guardó");
    let report = Attempt::contacts(file).report(&db).await;
    assert_eq!(
        report,
        "\u{feff}nombre;apellido;correo;telefono;fila;columna;motivo\r\n\
         '=1+1;x;malo;'+56987654321;3;correo;No es un correo: escríbelo como nombre@empresa.cl\r\n"
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_formula_in_a_header_is_harmless_in_the_report(db: PgPool) {
    let report = Attempt::contacts("nombre,correo,=1+1\nAna,malo,x\n").report(&db).await;
    assert!(report.starts_with("\u{feff}nombre;correo;'=1+1;fila;"), "{report}");
}

/// An ODS of one table with these rows.
fn ods(rows: &str) -> Vec<u8> {
    let content = format!(
        "<?xml version='1.0'?><office:document-content><office:body><office:spreadsheet>\
         <table:table table:name='Hoja'>{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", b"<manifest:manifest/>"),
        ("content.xml", content.as_bytes()),
    ])
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_small_open_document_that_unfolds_into_millions_of_cells(db: PgPool) {
    let cell = |text: &str, more: &str| {
        format!(
            "<table:table-cell office:value-type='string'{more}><text:p>{text}</text:p></table:table-cell>"
        )
    };
    let header = format!("<table:table-row>{}{}</table:table-row>", cell("nombre", ""), cell("correo", ""));
    let ana = format!("<table:table-row>{}{}</table:table-row>", cell("Ana", ""), cell("ana@x.example", ""));
    // As a spreadsheet program ends a sheet: a million empty rows.
    let end = "<table:table-row table:number-rows-repeated='1048574'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>";
    let good = Attempt::of(KindArg::Contacts, "a.ods", &ods(&format!("{header}{ana}{end}"))).run(&db).await;
    assert_eq!(good.counts.created, 1);
    let wide = cell("x", " table:number-columns-repeated='98'");
    let tall = format!(
        "<table:table-row table:number-rows-repeated='60000'>{}{wide}</table:table-row>",
        cell("Ana", "")
    );
    for row in [tall.clone(), tall.replace("='60000'", "=\"&#54;0000\"")] {
        let attempt = Attempt::of(KindArg::Contacts, "b.ods", &ods(&format!("{header}{row}")));
        let sentence = attempt.refusal(&db).await;
        assert!(sentence.contains("demasiadas celdas"), "{sentence}");
    }
    let apart = format!(
        "{header}<table:table-row table:number-rows-repeated='900000'><table:table-cell/></table:table-row>\
        <table:table-row><table:table-cell table:number-columns-repeated='9'/>{}</table:table-row>",
        cell("x", "")
    );
    let sentence = Attempt::of(KindArg::Contacts, "c.ods", &ods(&apart)).refusal(&db).await;
    assert!(sentence.contains("demasiadas celdas"), "{sentence}");
    let long = "x".repeat(90_000);
    let heavy = format!(
        "{header}<table:table-row table:number-rows-repeated='5000'>{}{}</table:table-row>",
        cell("Ana", ""),
        cell(&long, "")
    );
    let sentence = Attempt::of(KindArg::Contacts, "d.ods", &ods(&heavy)).refusal(&db).await;
    assert!(sentence.contains("demasiadas celdas"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn corrected_rejections_can_be_uploaded_again(db: PgPool) {
    let file = "nombre,apellido,correo,telefono\nAna,Pérez,malo,+56987654321\nJuan,Soto,juan@x.example,\n";
    let report = Attempt::contacts(file).applied().report(&db).await;
    assert_eq!(population(&db).await.0, 1);
    let again = Attempt::contacts(report.replace("malo", "ana@x.example")).applied().run(&db).await;
    assert_eq!((again.counts.rows, again.counts.created, again.counts.rejected), (1, 1, 0), "{again:?}");
    let phone = sqlx::query_scalar!("select phone from contacts where email = 'ana@x.example'")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(phone.as_deref(), Some("+56987654321"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_open_document_with_a_password_is_refused_with_that_reason(db: PgPool) {
    let manifest = b"<manifest:manifest><manifest:file-entry manifest:full-path='content.xml'><manifest:encryption-data/>\
        </manifest:file-entry></manifest:manifest>";
    let book = zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", b"\x8f\x01\xd3<<\x00scrambled"),
    ]);
    let sentence = Attempt::of(KindArg::Contacts, "a.ods", &book).refusal(&db).await;
    assert!(sentence.contains("protegido con contrase\u{f1}a"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn dates_and_numbers_of_an_open_document_are_read_as_people_see_them(db: PgPool) {
    let text = |it: &str| {
        format!("<table:table-cell office:value-type='string'><text:p>{it}</text:p></table:table-cell>")
    };
    let header: String = ["nombre", "correo", "telefono", "fecha de nacimiento"].map(text).concat();
    let ana = format!(
        "{}{}<table:table-cell office:value-type='float' office:value='987654321'><text:p>987.654.321</text:p></table:table-cell>\
         <table:table-cell office:value-type='date' office:date-value='1990-12-31'><text:p>31/12/90</text:p></table:table-cell>",
        text("Ana"),
        text("ana@x.example")
    );
    let rows = format!("<table:table-row>{header}</table:table-row><table:table-row>{ana}</table:table-row>");
    let it = Attempt::of(KindArg::Contacts, "a.ods", &ods(&rows)).applied().run(&db).await;
    assert_eq!((it.counts.created, it.warnings), (1, 0), "{it:?}");
    let found =
        sqlx::query!(r#"select phone, birth_date::text as born from contacts"#).fetch_one(&db).await.unwrap();
    assert_eq!((found.phone.as_deref(), found.born.as_deref()), (Some("+56987654321"), Some("1990-12-31")));
}
