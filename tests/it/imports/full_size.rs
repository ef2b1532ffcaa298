//! A sheet as full as a spreadsheet program can make it, with the shared texts that such a program writes.

use llovizna::imports::reader::Source;
use sqlx::PgPool;
use std::{
    fmt::Write as _,
    io::Write as _,
    ops::ControlFlow,
    process::{Command, Stdio},
    time::Duration,
};

/// Rows of a sheet, the header included.
const FULL: u32 = 1_048_576;
/// Different addresses: a text that stands in many cells is written once.
const TEXTS: u32 = 50_000;

/// A workbook of `rows` rows: an address each, of which there are [`TEXTS`].
fn workbook(rows: u32) -> Vec<u8> {
    let mut texts = String::from("<?xml version=\"1.0\"?><sst><si><t>Correo</t></si>");
    for at in 0..TEXTS {
        let _ = write!(texts, "<si><t>persona{at}@x.example</t></si>");
    }
    texts.push_str("</sst>");
    let mut sheet = String::from("<?xml version=\"1.0\"?><worksheet><sheetData>");
    for row in 1..=rows {
        let text = if row == 1 { 0 } else { row % TEXTS + 1 };
        let _ = write!(sheet, "<row r=\"{row}\"><c r=\"A{row}\" t=\"s\"><v>{text}</v></c></row>");
    }
    sheet.push_str("</sheetData></worksheet>");
    let relation = |id: &str, kind: &str, target: &str| {
        format!(
            "<Relationship Id=\"{id}\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}\" Target=\"{target}\"/>"
        )
    };
    let relations = format!(
        "<Relationships>{}{}</Relationships>",
        relation("rId1", "worksheet", "worksheets/sheet1.xml"),
        relation("rId2", "sharedStrings", "sharedStrings.xml")
    );
    stored(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", format!("<Relationships>{}</Relationships>", relation("rId1", "officeDocument", "xl/workbook.xml")).as_bytes()),
        ("xl/workbook.xml", b"<workbook xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"Hoja1\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/sharedStrings.xml", texts.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

/// A ZIP of these parts as they are: squeezing them takes longer than reading them.
fn stored(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let plain = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in parts {
        out.start_file(*name, plain).unwrap();
        out.write_all(content).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn a_full_sheet_is_read_to_its_last_row() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), workbook(FULL)).unwrap();
    let (mut rows, mut last) = (0_u32, 0_u32);
    Source::open(file.path())
        .unwrap()
        .each_row(None, &mut |row, _| {
            (rows, last) = (rows + 1, row.number);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((rows, last), (FULL, FULL));
}

/// Most memory that a process has held so far, in MB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[sqlx::test(migrator = "llovizna::db::MIGRATIONS")]
async fn every_row_of_a_large_sheet_is_decided_in_little_memory(db: PgPool) {
    const ROWS: u32 = 200_000;
    const MOST: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("grande.xlsx");
    std::fs::write(&file, workbook(ROWS + 1)).unwrap();
    let options = db.connect_options();
    let url = format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap()
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_llovizna"))
        .args(["import", "contacts", "--format", "json"])
        .arg(&file)
        .env_clear()
        .env("LLOVIZNA_HOME", folder.path())
        .env("DATABASE_URL", url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = child.wait_with_output().unwrap();
    let it: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let of = |fate: &str| it[fate].as_u64().unwrap();
    assert_eq!(of("rows"), u64::from(ROWS), "{it}");
    let decided = ["created", "updated", "unchanged", "duplicates", "rejected"].map(of).iter().sum::<u64>();
    assert_eq!(decided, u64::from(ROWS), "{it}");
    assert!((1..MOST).contains(&most), "{most} MB");
}
