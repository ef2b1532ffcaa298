//! What a file is, by its content: its name says nothing that can be trusted.

use super::{
    ReadError, Source, compound,
    text::TextSource,
    unfolded,
    workbook::{Kind, WorkbookSource},
    zipped,
};
use std::{fs::File, io::Read, path::Path};

const TRY_AGAIN: &str = "No se guardó nada. Ábrelo en Excel, guárdalo como «Libro de Excel (.xlsx)» o «CSV UTF-8» y vuelve a subirlo.";

/// Signatures of files that people upload by mistake, with what they are.
const NOT_TABLES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "una imagen"),
    (b"\xff\xd8\xff", "una foto"),
    (b"GIF8", "una imagen"),
    (b"RIFF", "una imagen o un sonido"),
    (b"II*\0", "una imagen"),
    (b"MM\0*", "una imagen"),
    (b"%PDF", "un PDF"),
    (b"\x1f\x8b", "un archivo comprimido"),
    (b"7z\xbc\xaf\x27\x1c", "un archivo comprimido"),
    (b"Rar!", "un archivo comprimido"),
    (b"\x7fELF", "un programa"),
    (b"MZ\x90", "un programa"),
    (b"SQLite format 3\0", "una base de datos"),
];

/// The magic of OLE compound files: old Excel, or an encrypted new one.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

pub(super) fn open(path: &Path) -> Result<Source, ReadError> {
    let mut head = Vec::with_capacity(4096);
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    if head.iter().all(u8::is_ascii_whitespace) || head == b"\xef\xbb\xbf" {
        return Err(ReadError::unreadable(
            "El archivo está vacío. Revisa que guardaste la planilla antes de subirla.",
        ));
    }
    if let Some((_, what)) = NOT_TABLES.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(ReadError::unreadable(format!("El archivo es {what}, no una planilla. {TRY_AGAIN}")));
    }
    if head.starts_with(COMPOUND) {
        return open_compound(path);
    }
    if head.starts_with(b"PK") {
        return open_zip(path);
    }
    if looks_like_markup(&head) {
        return Err(ReadError::unreadable(format!(
            "El archivo es una página web guardada con nombre de planilla. {TRY_AGAIN}"
        )));
    }
    Ok(Source::Text(TextSource::open(path)?))
}

fn looks_like_markup(head: &[u8]) -> bool {
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    [b"<!doctype".as_slice(), b"<html", b"<table", b"<?xml", b"<meta", b"<head"]
        .iter()
        .any(|it| start.starts_with(it))
}

fn open_zip(path: &Path) -> Result<Source, ReadError> {
    let package = zipped::inspect(path)?;
    let kind = if package.has("xl/workbook.xml") {
        Kind::Xlsx
    } else if package.has("content.xml") {
        if zipped::is_encrypted_document(path)? {
            return Err(locked());
        }
        unfolded::check(path)?;
        Kind::Ods
    } else if package.has("xl/workbook.bin") {
        return Err(ReadError::unreadable(format!("El archivo es un libro binario (.xlsb). {TRY_AGAIN}")));
    } else if package.has("word/document.xml") {
        return Err(ReadError::unreadable(format!(
            "El archivo es un documento de Word, no una planilla. Si la lista está en una tabla, cópiala a Excel. {TRY_AGAIN}"
        )));
    } else if package.has("ppt/presentation.xml") {
        return Err(ReadError::unreadable(format!(
            "El archivo es una presentación de PowerPoint, no una planilla. {TRY_AGAIN}"
        )));
    } else {
        return Err(ReadError::unreadable(format!("El archivo es un ZIP, no una planilla. {TRY_AGAIN}")));
    };
    Ok(Source::Workbook(WorkbookSource::open(path, kind, package.has_merges())?))
}

fn open_compound(path: &Path) -> Result<Source, ReadError> {
    const LIMIT: u64 = 64 * 1024 * 1024;
    if std::fs::metadata(path)?.len() > LIMIT {
        return Err(ReadError::unreadable(format!(
            "El archivo es un Excel antiguo (.xls) demasiado grande. {TRY_AGAIN}"
        )));
    }
    let content = std::fs::read(path)?;
    let names = |name: &str| -> bool {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        content.windows(wide.len()).any(|it| it == wide)
    };
    if names("EncryptedPackage") {
        return Err(locked());
    }
    if !names("Workbook") && !names("Book") {
        return Err(ReadError::unreadable(format!(
            "El archivo es un documento antiguo de Office, no una planilla. {TRY_AGAIN}"
        )));
    }
    compound::check(&content)?;
    drop(content);
    Ok(Source::Workbook(WorkbookSource::open(path, Kind::Xls, false)?))
}

/// The refusal of a workbook with a password.
pub(super) fn locked() -> ReadError {
    ReadError::unreadable(
        "El archivo está protegido con contraseña. No se guardó nada. Quítale la contraseña en Excel (Archivo, Información, Proteger libro) y vuelve a subirlo.",
    )
}

/// The refusal of a workbook that ends too early or is damaged.
pub(super) fn damaged() -> ReadError {
    ReadError::unreadable(format!(
        "El archivo está dañado o incompleto: no se pudo leer hasta el final. {TRY_AGAIN}"
    ))
}
