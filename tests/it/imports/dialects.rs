//! Real Chilean files: every encoding, delimiter and shape that spreadsheets save.

use super::{Attempt, fates, population, xlsx, zip};
use crate::imports::KindArg;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use sqlx::PgPool;

const TABLE: &str = "Nombre;Apellidos;Correo;Teléfono;Empresa\n\
    Íñigo;Muñoz;inigo@sur.example;9 8765 4321;Ñandú SpA\n\
    Ana;Pérez;ana@sur.example;;Ñandú SpA\n";

/// Import `content` and find both people, with their letters, and the one company.
async fn check(db: PgPool, name: &str, content: &[u8]) {
    let it = Attempt::of(KindArg::Contacts, name, content).applied().run(&db).await;
    assert_eq!(fates(&it), (2, 2, 0, 0, 0, 0), "{it:?}");
    let names =
        sqlx::query_scalar!("select first_name || ' ' || last_name from contacts order by email desc")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(names, [Some("Íñigo Muñoz".to_owned()), Some("Ana Pérez".to_owned())]);
    let company = sqlx::query!("select name, name_key from companies").fetch_one(&db).await.unwrap();
    assert_eq!((company.name.as_str(), company.name_key.as_str()), ("Ñandú SpA", "nandu spa"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn utf8_with_and_without_its_mark(db: PgPool) {
    check(db, "a.csv", format!("\u{feff}{TABLE}").as_bytes()).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn windows_1252_with_semicolons_as_excel_saves_it(db: PgPool) {
    let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(TABLE);
    check(db, "a.csv", &bytes).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn utf16_with_tabs_as_excel_saves_unicode_text(db: PgPool) {
    let text = format!("\u{feff}{}", TABLE.replace(';', "\t").replace('\n', "\r\n"));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    check(db, "a.txt", &bytes).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn utf16_without_a_mark(db: PgPool) {
    let bytes: Vec<u8> = TABLE.replace(';', ",").encode_utf16().flat_map(u16::to_be_bytes).collect();
    check(db, "a.csv", &bytes).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_announced_separator_and_mixed_line_ends(db: PgPool) {
    let text = format!("sep=;\r\n{}", TABLE.replacen('\n', "\r\n", 1).replacen("\nAna", "\rAna", 1));
    check(db, "a.csv", text.as_bytes()).await;
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn titles_above_the_header_empty_rows_and_ragged_ones(db: PgPool) {
    let text = "Listado de clientes;;;;\n\nActualizado;21-11-2026;;;\n;;;;\n".to_owned()
        + &TABLE.replace(
            "\nAna;Pérez;ana@sur.example;;Ñandú SpA",
            "\n\n;;;;\nAna;Pérez;ana@sur.example;;Ñandú SpA;sobra;\n",
        );
    check(db.clone(), "a.csv", text.as_bytes()).await;
    let row = sqlx::query!(
        "select r.row_number, r.warning from import_rows r join contacts c on c.id = r.subject_id where c.email = 'ana@sur.example'"
    )
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(row.row_number, 9, "the row as a spreadsheet shows it");
    assert!(row.warning.unwrap().contains("Sobran celdas"));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn quoted_newlines_belong_to_their_cell(db: PgPool) {
    let it = Attempt::contacts(
        "nombre,apellido,email,notas\r\nAna,Pérez,ana@x.example,\"llamar\r\nen la mañana; \"\"hoy\"\"\"\r\nJuan,Soto,sin,\r\n",
    )
    .applied()
    .run(&db)
    .await;
    assert_eq!(fates(&it), (2, 1, 0, 0, 0, 1));
    assert_eq!(it.rejections[0].row, 3);
    let notes = sqlx::query_scalar!("select notes from contacts").fetch_one(&db).await.unwrap();
    assert_eq!(notes.as_deref(), Some("llamar\nen la mañana; \"hoy\""));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_workbook_with_numbers_dates_titles_and_merged_cells(db: PgPool) {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let date = Format::new().set_num_format("dd-mm-yyyy");
    sheet.merge_range(0, 0, 0, 5, "Clientes 2026", &Format::new()).unwrap();
    for (column, name) in
        (0..).zip(["Empresa", "RUT Empresa", "Nombre", "Apellido", "Celular", "Fecha de nacimiento", "Email"])
    {
        sheet.write_string(2, column, name).unwrap();
    }
    sheet.merge_range(3, 0, 4, 0, "Lácteos del Sur", &Format::new()).unwrap();
    sheet.write_number(3, 1, 760_864_285.0).unwrap();
    sheet.write_string(3, 2, "Ana").unwrap();
    sheet.write_string(3, 3, "Pérez").unwrap();
    sheet.write_number(3, 4, 987_654_321.0).unwrap();
    sheet.write_datetime_with_format(3, 5, ExcelDateTime::from_ymd(1990, 12, 31).unwrap(), &date).unwrap();
    sheet.write_string(3, 6, "ana@x.example").unwrap();
    sheet.write_string(4, 2, "Juan").unwrap();
    sheet.write_number(4, 5, 33_238.0).unwrap();
    sheet.write_string(4, 6, "juan@x.example").unwrap();
    sheet.write_formula(6, 2, "=UPPER(\"x\")").unwrap();
    let it =
        Attempt::of(KindArg::Contacts, "a.xlsx", &book.save_to_buffer().unwrap()).applied().run(&db).await;
    assert_eq!(it.counts.created, 2, "{it:?}");
    let people = sqlx::query!(
        r#"select c.phone, c.birth_date::text as "born!", o.name, o.rut from contacts c join companies o on o.id = c.company_id order by c.id"#
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(people.len(), 2, "the merged company is both people's");
    assert_eq!(people[0].phone.as_deref(), Some("+56987654321"));
    assert_eq!(people[0].rut.as_deref(), Some("76086428-5"));
    assert!(people.iter().all(|it| it.born == "1990-12-31" && it.name == "Lácteos del Sur"));
    assert_eq!(population(&db).await, (2, 1));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_sheet_that_was_asked_for(db: PgPool) {
    let book = xlsx(&[
        ("Notas", &[&["nada"]]),
        (
            "Clientes",
            &[&["name", "industry", "city", "website"], &["Ñandú", "Turismo", "Puerto Varas", "x.example"]],
        ),
    ]);
    let of = |name: &str| Attempt::of(KindArg::Companies, "a.xlsx", &book).sheet(name);
    assert_eq!(of("Clientes").run(&db).await.counts.created, 1);
    let sentence = of("Ventas").refusal(&db).await;
    assert!(sentence.contains("«Ventas»") && sentence.contains("Notas, Clientes"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_open_document_sheet(db: PgPool) {
    let cell = |text: &str| {
        format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
    };
    let row = |cells: &[&str]| {
        format!("<table:table-row>{}</table:table-row>", cells.iter().map(|it| cell(it)).collect::<String>())
    };
    let content = format!(
        "<?xml version=\"1.0\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
         xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\">\
         <office:body><office:spreadsheet><table:table table:name=\"Hoja1\">{}{}</table:table></office:spreadsheet></office:body></office:document-content>",
        row(&["Nombre", "Apellido", "Correo"]),
        row(&["Íñigo", "Muñoz", "inigo@x.example"]),
    );
    let book = zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", content.as_bytes()),
        (
            "META-INF/manifest.xml",
            b"<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"/>",
        ),
    ]);
    let it = Attempt::of(KindArg::Contacts, "a.ods", &book).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_example_files_import_as_they_are(db: PgPool) {
    use llovizna::imports::{Kind, examples};
    let companies = Attempt::companies(examples::csv(Kind::Companies)).applied().run(&db).await;
    assert_eq!(fates(&companies), (3, 3, 0, 0, 0, 0));
    let contacts = Attempt::contacts(examples::csv(Kind::Contacts)).applied().run(&db).await;
    assert_eq!(fates(&contacts), (3, 3, 0, 0, 0, 0));
    assert_eq!(population(&db).await, (3, 3), "the companies of the contacts are known by name");
    let history = Attempt::history(examples::csv(Kind::History)).applied().run(&db).await;
    assert_eq!(fates(&history), (3, 3, 0, 0, 0, 0), "{history:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_genuine_workbook_of_1997(db: PgPool) {
    let book = include_bytes!("../files/clientes_1997.xls");
    let it = Attempt::of(KindArg::Contacts, "clientes.xls", book).applied().run(&db).await;
    assert_eq!(fates(&it), (2, 2, 0, 0, 0, 0), "{it:?}");
    let people = sqlx::query!(
        r#"select first_name, last_name, phone, birth_date::text as "born!" from contacts order by email desc"#
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!((people[0].first_name.as_str(), people[0].last_name.as_str()), ("Íñigo", "Muñoz"));
    assert_eq!(people[0].phone.as_deref(), Some("+56987654321"), "a number that Excel took for an amount");
    assert_eq!(people[0].born, "1990-12-31");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_workbook_with_macros_is_read_and_its_macros_are_not(db: PgPool) {
    let plain = xlsx(&[("Hoja", &[&["nombre", "apellido", "correo"], &["Ana", "Pérez", "ana@x.example"]])]);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(plain)).unwrap();
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut part, &mut content).unwrap();
        let name = part.name().unwrap().into_owned();
        if name == "[Content_Types].xml" {
            content = String::from_utf8(content)
                .unwrap()
                .replace("spreadsheetml.sheet.main+xml", "ms-excel.sheet.macroEnabled.main+xml")
                .into_bytes();
        }
        parts.push((name, content));
    }
    parts.push(("xl/vbaProject.bin".to_owned(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 macros".to_vec()));
    let borrowed: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, it)| (name.as_str(), it.as_slice())).collect();
    let it = Attempt::of(KindArg::Contacts, "macros.xlsm", &zip(&borrowed)).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_csv_of_one_column(db: PgPool) {
    let it = Attempt::contacts("correo\nana@x.example\nmalo\njuan@x.example\n").applied().run(&db).await;
    assert_eq!(fates(&it), (3, 2, 0, 0, 0, 1));
    let bare = Attempt::companies("Empresa\nÑandú SpA\nLácteos\n").applied().run(&db).await;
    assert_eq!(fates(&bare), (2, 2, 0, 0, 0, 0));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn two_header_rows_and_a_header_in_the_fifth(db: PgPool) {
    let grouped = "Datos personales;;Contacto;\n;;;\nListado\n\n\
        Nombre;Apellido;Correo;Celular\nAna;Pérez;ana@x.example;987654321\n";
    let it = Attempt::contacts(grouped).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0), "{it:?}");
    let twice = "Nombre;Apellido;Correo\nFirst name;Last name;Email\nJuan;Soto;juan@x.example\n";
    let it = Attempt::contacts(twice).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0), "{it:?}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn the_header_again_further_down_is_explained_and_makes_no_company(db: PgPool) {
    let it = Attempt::companies("Nombre;Rubro\nÑandú;Turismo\nNombre;Rubro\nLácteos;Lechería\n")
        .applied()
        .run(&db)
        .await;
    assert_eq!(fates(&it), (3, 2, 0, 0, 0, 1), "{it:?}");
    assert_eq!(
        (it.rejections[0].row, it.rejections[0].reason.as_str()),
        (3, "Es el encabezado repetido: no es un dato")
    );
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_history_in_a_workbook(db: PgPool) {
    Attempt::contacts("nombre,correo\nAna Pérez,ana@x.example\n").applied().run(&db).await;
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let date = Format::new().set_num_format("dd-mm-yyyy");
    for (column, name) in (0..).zip(["Fecha", "Correo", "Servicio", "Total"]) {
        sheet.write_string(0, column, name).unwrap();
    }
    sheet.write_datetime_with_format(1, 0, ExcelDateTime::from_ymd(2025, 3, 5).unwrap(), &date).unwrap();
    sheet.write_string(1, 1, "ana@x.example").unwrap();
    sheet.write_string(1, 2, "Tinaja").unwrap();
    sheet.write_number(1, 3, 45_990.0).unwrap();
    let it =
        Attempt::of(KindArg::History, "a.xlsx", &book.save_to_buffer().unwrap()).applied().run(&db).await;
    assert_eq!(fates(&it), (1, 1, 0, 0, 0, 0), "{it:?}");
    let entry = sqlx::query!(r#"select occurred_on::text as "on!", amount from history_entries"#)
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!((entry.on.as_str(), entry.amount), ("2025-03-05", 45_990));
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn merged_cells_of_an_old_workbook_stand_in_each_of_their_rows(db: PgPool) {
    let book = include_bytes!("../files/empresas_unidas.xls");
    let it = Attempt::of(KindArg::Contacts, "a.xls", book).applied().run(&db).await;
    assert_eq!(it.counts.created, 3, "{it:?}");
    let companies = sqlx::query_scalar!(
        "select k.name from contacts c left join companies k on k.id = c.company_id order by c.id"
    );
    let companies = companies.fetch_all(&db).await.unwrap();
    assert_eq!(companies, ["Hotel Sur", "Hotel Sur", "Hotel Norte"]);
}
