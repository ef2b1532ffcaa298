//! Looks into a ZIP before anything unpacks it: what it holds, and that it is
//! not a bomb. Sizes in its directory may lie, so every part is counted for real.

use super::{ReadError, detect, shared};
use std::{
    fs::File,
    io::{BufReader, Read},
    ops::Range,
    path::Path,
};

/// Most that all parts of a workbook may come to, unpacked. A million rows of fifteen columns take about 700 MB.
const MAX_UNPACKED: u64 = 1_500 * 1024 * 1024;
/// Most for a part that has to be held in memory whole: shared texts, styles, and all of an ODS.
const MAX_WHOLE_PART: u64 = 256 * 1024 * 1024;
/// Most parts.
const MAX_PARTS: usize = 10_000;
/// Most mentions of merged cells in all sheets: the parser holds each area. An area is mentioned once, or
/// twice with its end tag.
const MAX_MERGES: u64 = 100_000;

/// What a ZIP holds.
#[derive(Debug, Default)]
pub(super) struct Package {
    parts: Vec<String>,
    merges: bool,
}

impl Package {
    pub(super) fn has(&self, part: &str) -> bool {
        self.parts.iter().any(|it| it.eq_ignore_ascii_case(part))
    }

    /// Whether any sheet merges cells.
    pub(super) fn has_merges(&self) -> bool {
        self.merges
    }
}

/// Whether the OpenDocument at `path` has a password: its parts are scrambled, and its list of parts says so.
pub(super) fn is_encrypted_document(path: &Path) -> Result<bool, ReadError> {
    const LIST: u64 = 1024 * 1024;
    let mut zip = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|_| detect::damaged())?;
    let Ok(part) = zip.by_name("META-INF/manifest.xml") else { return Ok(false) };
    let mut list = Vec::new();
    part.take(LIST).read_to_end(&mut list).map_err(|_| detect::damaged())?;
    let mark = b"encryption-data";
    Ok(list.windows(mark.len()).any(|it| it == mark))
}

/// Look into the ZIP at `path`.
pub(super) fn inspect(path: &Path) -> Result<Package, ReadError> {
    let mut zip = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|_| detect::damaged())?;
    if zip.len() > MAX_PARTS {
        return Err(bomb());
    }
    let mut package = Package::default();
    let mut declared = 0_u64;
    for index in 0..zip.len() {
        let part = zip.by_index_raw(index).map_err(|_| detect::damaged())?;
        declared = declared.saturating_add(part.size());
        if declared > MAX_UNPACKED {
            return Err(bomb());
        }
        if part.encrypted() {
            return Err(detect::locked());
        }
        package.parts.push(part.name().map_err(|_| detect::damaged())?.into_owned());
    }
    let (mut total, mut all_merges) = (0_u64, 0_u64);
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).map_err(|_| detect::damaged())?;
        let name = part.name().map_err(|_| detect::damaged())?.into_owned();
        let is_sheet = name.contains("worksheets/");
        let limit = (if is_sheet { MAX_UNPACKED } else { MAX_WHOLE_PART }).min(MAX_UNPACKED - total);
        let (size, merges) = count(&mut part, limit, is_sheet)?;
        drop(part);
        total += size;
        all_merges += merges;
        if all_merges > MAX_MERGES {
            return Err(ReadError::unreadable(
                "La planilla tiene demasiadas celdas combinadas y no se leyó, por seguridad. No se guardó nada. Sepáralas en Excel (Inicio, Combinar y centrar) y vuelve a subirla.",
            ));
        }
        if shared::is_at(&name) {
            shared::check(zip.by_index(index).map_err(|_| detect::damaged())?, size)?;
        }
    }
    package.merges = all_merges > 0;
    Ok(package)
}

/// The real size of a part, and how often it speaks of merged cells.
fn count(part: &mut impl Read, limit: u64, look_for_merges: bool) -> Result<(u64, u64), ReadError> {
    const NEEDLE: &[u8] = b"mergeCell";
    let mut buffer = vec![0_u8; 64 * 1024];
    let (mut size, mut merges, mut kept) = (0_u64, 0, 0);
    loop {
        let read = part.read(&mut buffer[kept..]).map_err(|_| detect::damaged())?;
        if read == 0 {
            return Ok((size, merges));
        }
        size += read as u64;
        if size > limit {
            return Err(bomb());
        }
        if look_for_merges {
            let seen = &buffer[..kept + read];
            merges += occurrences(seen, NEEDLE);
            // The needle may straddle two reads.
            let tail = seen.len().min(NEEDLE.len() - 1);
            let from = seen.len() - tail;
            buffer.copy_within(from..from + tail, 0);
            kept = tail;
        } else {
            kept = 0;
        }
    }
}

/// The part of the ZIP at `path` that stands at `position`: where it begins and ends in the file.
pub(super) fn part_at(path: &Path, position: u64) -> Result<Range<u64>, ReadError> {
    let mut zip = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(|_| detect::damaged())?;
    let mut found = 0..1;
    for index in 0..zip.len() {
        let part = zip.by_index_raw(index).map_err(|_| detect::damaged())?;
        let start = part.header_start();
        if (found.start..=position).contains(&start) {
            found = start..start.saturating_add(part.compressed_size().max(1));
        }
    }
    Ok(found)
}

/// How often `needle` occurs in `haystack`; skips by its rarest letter, so that 60 MB cost little.
fn occurrences(haystack: &[u8], needle: &[u8]) -> u64 {
    let (mut from, mut found) = (0, 0);
    // The capital C is rare in a sheet: "mergeCell" has it, "<c r=" does not.
    let (offset, rare) = (needle.iter().position(|&it| it == b'C').unwrap_or(0), b'C');
    while let Some(at) = haystack[from..].iter().position(|&it| it == rare) {
        let at = from + at;
        if at >= offset && haystack[at - offset..].starts_with(needle) {
            found += 1;
        }
        from = at + 1;
    }
    found
}

/// The refusal of what unpacks into more than can be held.
pub(super) fn bomb() -> ReadError {
    ReadError::unreadable(
        "El archivo se expande a un tamaño desmedido al abrirlo y no se leyó, por seguridad. No se guardó nada. Copia los datos a una planilla nueva y vuelve a subirla.",
    )
}
