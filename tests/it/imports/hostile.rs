//! Workbooks made to break whoever reads them: small files that state enormous things.

use super::{Attempt, zip};
use crate::imports::KindArg;
use sqlx::PgPool;

const ROWS: &str = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>nombre</t></is></c><c r="B1" t="inlineStr"><is><t>correo</t></is></c></row>
<row r="2"><c r="A2" t="inlineStr"><is><t>Ana</t></is></c><c r="B2" t="inlineStr"><is><t>ana@x.example</t></is></c></row>
<row r="3"><c r="A3" t="inlineStr"><is><t>Eva</t></is></c><c r="B3" t="inlineStr"><is><t>eva@x.example</t></is></c></row>"#;

/// A workbook of those two people, with these shared texts and merged cells.
fn workbook(shared: &str, merges: &str) -> Vec<u8> {
    let sheet = format!(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{ROWS}</sheetData>{merges}</worksheet>"#
    );
    zip(&[
        (
            "_rels/.rels",
            br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            br#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Hoja" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            br#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", shared.as_bytes()),
    ])
}

fn people(book: &[u8]) -> Attempt {
    Attempt::of(KindArg::Contacts, "libro.xlsx", book)
}

const SHARED: &str = "<sst uniqueCount='1'><si><t>x</t></si></sst>";

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn shared_texts_that_state_more_than_they_hold(db: PgPool) {
    assert_eq!(people(&workbook(SHARED, "")).run(&db).await.counts.created, 2);
    let book = workbook(&SHARED.replace("'1'", "'9000000000000000'"), "");
    assert!(book.len() < 4096);
    let sentence = people(&book).refusal(&db).await;
    assert!(sentence.contains("tamaño desmedido"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn merged_cells_beyond_all_columns_and_beyond_all_number(db: PgPool) {
    let far = "<mergeCells><mergeCell ref='ZZZZZZ1:ZZZZZZ5'/></mergeCells>";
    assert_eq!(people(&workbook(SHARED, far)).run(&db).await.counts.created, 2);
    let many = format!("<mergeCells>{}</mergeCells>", "<mergeCell ref='A1:A9'/>".repeat(100_001));
    let sentence = people(&workbook(SHARED, &many)).refusal(&db).await;
    assert!(sentence.contains("demasiadas celdas combinadas"), "{sentence}");
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn an_area_that_makes_the_parser_panic_is_the_files_fault(db: PgPool) {
    let backwards = "<mergeCells><mergeCell ref='B5:A1'/></mergeCells>";
    let told = people(&workbook(SHARED, backwards)).outcome(&db).await;
    // A build that doesn't check its sums reads past it.
    if let Err(error) = told {
        assert!(error.to_string().contains("dañado"), "{error:?}");
    }
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn a_null_byte_in_a_header_harms_nobody(db: PgPool) {
    let it = Attempt::contacts(b"nombre,correo,otra\0cosa\nAna,ana@x.example,1\n").applied().run(&db).await;
    assert_eq!(it.counts.created, 1);
    let report = Attempt::contacts(b"nombre,correo,otra\0cosa\nAna,malo,1\n").report(&db).await;
    assert!(report.contains("nombre;correo;otra�cosa;"), "{report}");
}
