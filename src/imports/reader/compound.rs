//! Looks into an old Excel workbook before anything unfolds it: that its chains of
//! sectors end, and that its sheets don't claim more cells than can be held.

use super::{ReadError, detect, unfolded};

/// Sector numbers from here on mean something else than a sector.
const NO_SECTOR: u32 = 0xFFFF_FFFA;
/// End of a chain.
const END: u32 = 0xFFFF_FFFE;
/// Streams shorter than this lie in the small sectors.
const SMALL_STREAM: usize = 4096;
/// Size of a small sector.
const SMALL_SECTOR: usize = 64;

/// Refuse the compound file `content` if it is malformed or unfolds into too much.
pub(super) fn check(content: &[u8]) -> Result<(), ReadError> {
    let workbooks = Compound::open(content)?.workbooks()?;
    if workbooks.is_empty() {
        return Err(detect::damaged());
    }
    workbooks.iter().try_for_each(|it| measure(it))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|it| u32::from_le_bytes(*it))
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A compound file whose tables have been read.
struct Compound<'a> {
    sectors: &'a [u8],
    size: usize,
    next: Vec<u32>,
    directory: Vec<u8>,
    small: Vec<u8>,
    small_next: Vec<u32>,
}

impl<'a> Compound<'a> {
    fn open(content: &'a [u8]) -> Result<Compound<'a>, ReadError> {
        Compound::tables(content).ok_or_else(detect::damaged)
    }

    fn tables(content: &'a [u8]) -> Option<Compound<'a>> {
        let size = match u16_at(content, 30)? {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let mut it = Compound {
            sectors: content.get(size..)?,
            size,
            next: Vec::new(),
            directory: Vec::new(),
            small: Vec::new(),
            small_next: Vec::new(),
        };
        let most = it.sectors.len() / size + 1;
        let mut tables: Vec<u32> = numbers(content.get(76..512)?).collect();
        let mut more = u32_at(content, 68)?;
        let mut read = 0;
        while more < NO_SECTOR {
            read += 1;
            if read > most {
                return None;
            }
            tables.extend(numbers(it.sector(more)?));
            more = tables.pop()?;
        }
        tables.retain(|it| *it < NO_SECTOR);
        if tables.len() > most {
            return None;
        }
        for table in tables {
            let table = numbers(it.sector(table)?).collect::<Vec<_>>();
            it.next.extend(table);
        }
        it.directory = it.chain(u32_at(content, 48)?, usize::MAX)?;
        if index(u32_at(content, 64)?) > 0 {
            it.small = it.chain(u32_at(&it.directory, 116)?, it.length_of(&it.directory)?)?;
            let length = index(u32_at(content, 64)?).checked_mul(size)?;
            it.small_next = numbers(&it.chain(u32_at(content, 60)?, length)?).collect();
        }
        Some(it)
    }

    fn sector(&self, number: u32) -> Option<&'a [u8]> {
        let start = index(number).checked_mul(self.size)?;
        let end = start.checked_add(self.size)?.min(self.sectors.len());
        self.sectors.get(start..end)
    }

    /// The bytes from sector `start` on; none where the chain doesn't end, or ends beyond the file.
    fn chain(&self, start: u32, length: usize) -> Option<Vec<u8>> {
        follow(start, length, &self.next, self.sectors, self.size)
    }

    /// How long the stream of a directory entry says to be. Only files of large sectors use all eight bytes.
    fn length_of(&self, entry: &[u8]) -> Option<usize> {
        if self.size == 4096 && u32_at(entry, 124)? > 0 {
            return None;
        }
        u32_at(entry, 120).map(index)
    }

    fn stream(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let (start, length) = (u32_at(entry, 116)?, self.length_of(entry)?);
        if length < SMALL_STREAM {
            follow(start, length, &self.small_next, &self.small, SMALL_SECTOR)
        } else {
            self.chain(start, length)
        }
    }

    /// The streams that hold a workbook.
    fn workbooks(&self) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut found = Vec::new();
        for entry in self.directory.chunks_exact(128) {
            let name: Vec<u16> = entry[..64].as_chunks().0.iter().map(|it| u16::from_le_bytes(*it)).collect();
            let name = String::from_utf16_lossy(&name);
            let name = name.split('\0').next().unwrap_or_default();
            if !["workbook", "book"].iter().any(|it| name.eq_ignore_ascii_case(it)) {
                continue;
            }
            found.push(self.stream(entry).ok_or_else(detect::damaged)?);
        }
        Ok(found)
    }
}

fn follow(start: u32, length: usize, next: &[u32], sectors: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = start;
    while at != END && bytes.len() < length {
        let from = index(at).checked_mul(size)?;
        let sector = sectors.get(from..(from + size).min(sectors.len()))?;
        let wanted = length - bytes.len();
        // Only the very end of a file may be cut short, where nothing is missing.
        if sector.len() < size && sector.len() < wanted && length != usize::MAX {
            return None;
        }
        bytes.extend_from_slice(&sector[..sector.len().min(wanted)]);
        // A chain longer than the file goes round in a circle.
        if bytes.len() > sectors.len() + size {
            return None;
        }
        if bytes.len() < length {
            at = *next.get(index(at))?;
        }
    }
    Some(bytes)
}

/// Refuse a workbook whose sheets, each as far as its outermost cells, come to too many cells, or to
/// too much text: cells only name their text, and one may stand in all of them.
fn measure(stream: &[u8]) -> Result<(), ReadError> {
    let (mut starts, mut texts) = (Vec::new(), Vec::new());
    let mut records = Records { stream };
    while let Some((kind, data)) = records.next() {
        match kind {
            // BoundSheet: where a sheet begins. Several may name one place, and each is read.
            0x0085 => starts.push(u32_at(data, 0).map_or(usize::MAX, index)),
            0x00FC => {
                let more = Records { stream: records.stream }.take_while(|(kind, _)| *kind == 0x003C);
                texts = shared_texts(data, more.map(|(_, data)| data));
            }
            0x000A => break,
            _ => (),
        }
    }
    let (mut cells, mut text) = (0_u64, 0_u64);
    for start in starts {
        let (area, written) = unfold(stream.get(start..).unwrap_or_default(), &texts);
        cells = cells.saturating_add(area);
        text = text.saturating_add(written);
        if cells > unfolded::MAX_CELLS || text > unfolded::MAX_TEXT {
            return Err(unfolded::too_much());
        }
    }
    Ok(())
}

/// The size of each text that cells share, as far as the table can be read: where it can't, neither can the file.
fn shared_texts<'a>(first: &'a [u8], mut more: impl Iterator<Item = &'a [u8]>) -> Vec<u64> {
    let mut sizes = Vec::new();
    let mut data = first.get(8..).unwrap_or_default();
    loop {
        if data.is_empty() {
            let Some(next) = more.next() else { return sizes };
            data = next;
        }
        let Some((size, rest)) = shared_text(data, &mut more) else { return sizes };
        sizes.push(size);
        data = rest;
    }
}

/// The size of the text that `data` begins with, and what follows it.
fn shared_text<'a>(data: &'a [u8], more: &mut impl Iterator<Item = &'a [u8]>) -> Option<(u64, &'a [u8])> {
    let (count, flags) = (u16_at(data, 0)?, *data.get(2)?);
    let mut data = &data[3..];
    let mut beside = 0;
    if flags & 8 != 0 {
        beside += usize::from(u16_at(data, 0)?) * 4;
        data = &data[2..];
    }
    if flags & 4 != 0 {
        beside += index(u32_at(data, 0)?);
        data = &data[4..];
    }
    let (mut left, mut wide) = (usize::from(count), flags & 1 != 0);
    loop {
        let unit = if wide { 2 } else { 1 };
        let here = left.min(data.len() / unit);
        data = &data[here * unit..];
        left -= here;
        if left == 0 {
            break;
        }
        // A text that goes on in the next record says anew how wide it is.
        data = more.next()?;
        wide = data.first()? & 1 != 0;
        data = &data[1..];
    }
    while beside > 0 {
        if data.is_empty() {
            data = more.next()?;
        }
        let here = beside.min(data.len());
        data = &data[here..];
        beside -= here;
    }
    Some((u64::from(count) * 2, data))
}

/// Cells from the first to the last corner that a sheet names, and how much shared text they hold.
fn unfold(sheet: &[u8], texts: &[u64]) -> (u64, u64) {
    let (mut rows, mut columns, mut claimed, mut text) = (0_u64, 0_u64, 0_u64, 0_u64);
    // Charts stand within a sheet, from a BOF of their own to their EOF.
    let mut depth = 0_usize;
    for (kind, data) in (Records { stream: sheet }) {
        let number = |at| u16_at(data, at).map_or(0, u64::from);
        match kind {
            0x0809 => depth += 1,
            0x000A if depth <= 1 => break,
            0x000A => depth -= 1,
            _ if depth > 1 => (),
            0x0200 => {
                // Dimensions: the parser takes them at their word.
                let (height, width) = if data.len() == 10 {
                    (number(2), number(6))
                } else {
                    (u32_at(data, 4).map_or(0, u64::from), number(10))
                };
                claimed = claimed.saturating_add(height.max(1) * width.max(1));
            }
            // Number, Label, RString, BoolErr, RK, LabelSst, Formula: row and column.
            0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | 0x00FD | 0x0006 => {
                rows = rows.max(number(0) + 1);
                columns = columns.max(number(2) + 1);
                if kind == 0x00FD {
                    let shared = u32_at(data, 6).and_then(|it| texts.get(index(it)));
                    text = text.saturating_add(shared.copied().unwrap_or(0));
                }
            }
            // MulRk: row, first column, numbers of six bytes, last column.
            0x00BD => {
                rows = rows.max(number(0) + 1);
                let last = number(data.len().saturating_sub(2)).max(number(2) + data.len() as u64 / 6);
                columns = columns.max(last + 1);
            }
            _ => (),
        }
    }
    (claimed.max(rows * columns), text)
}

/// The records of a stream, until its end or the first that is cut short.
struct Records<'a> {
    stream: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (kind, length) = (u16_at(self.stream, 0)?, u16_at(self.stream, 2)?);
        let (record, rest) = self.stream.split_at_checked(4 + usize::from(length))?;
        self.stream = rest;
        Some((kind, &record[4..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    }

    /// A stream of one sheet with these records.
    fn stream(records: &[Vec<u8>], times: u32) -> Vec<u8> {
        let bof = record(0x0809, &[0, 6, 0, 0]);
        let start = u32::try_from(bof.len()).unwrap() + times * 12 + 4;
        let sheet = record(0x0085, &[&start.to_le_bytes()[..], &[0, 0, 0, 0]].concat());
        let globals = [bof.clone(), sheet.repeat(index(times)), record(0x000A, &[])].concat();
        [globals, bof, records.concat(), record(0x000A, &[])].concat()
    }

    /// A compound file of one stream, which is longer than four kilobytes.
    fn file(stream: &[u8]) -> Vec<u8> {
        let mut stream = stream.to_vec();
        stream.resize(stream.len().next_multiple_of(512).max(8192), 0);
        let mut header = vec![0_u8; 512];
        header[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
        header[30] = 9;
        header[32] = 6;
        header[48..52].copy_from_slice(&1_u32.to_le_bytes());
        header[68..72].copy_from_slice(&END.to_le_bytes());
        header[76..].fill(0xFF);
        header[76..80].copy_from_slice(&0_u32.to_le_bytes());
        let sectors = u32::try_from(stream.len() / 512).unwrap();
        let chain = [u32::MAX - 2, END].into_iter().chain((1..sectors).map(|it| it + 2)).chain([END]);
        let mut table: Vec<u8> = chain.flat_map(u32::to_le_bytes).collect();
        table.resize(512, 0xFF);
        let mut directory = vec![0_u8; 512];
        for (at, unit) in "Workbook".encode_utf16().enumerate() {
            directory[at * 2..at * 2 + 2].copy_from_slice(&unit.to_le_bytes());
        }
        directory[116..120].copy_from_slice(&2_u32.to_le_bytes());
        directory[120..124].copy_from_slice(&u32::try_from(stream.len()).unwrap().to_le_bytes());
        [header, table, directory, stream].concat()
    }

    fn number(row: u16, column: u16) -> Vec<u8> {
        record(0x0203, &[&row.to_le_bytes()[..], &column.to_le_bytes(), &[0; 10]].concat())
    }

    fn dimensions(rows: u32, columns: u16) -> Vec<u8> {
        record(0x0200, &[&[0; 4][..], &rows.to_le_bytes(), &[0; 2], &columns.to_le_bytes(), &[0; 2]].concat())
    }

    fn verdict(content: &[u8]) -> String {
        check(content).map_or_else(|it| it.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn a_sheet_counts_as_far_as_its_outermost_cells() {
        assert_eq!(verdict(&file(&stream(&[dimensions(3, 2), number(0, 0), number(2, 1)], 1))), "good");
        for (records, times) in [
            (vec![dimensions(u32::MAX, 255)], 1),
            (vec![number(0, 0), number(65_535, 99)], 1),
            (vec![number(65_535, 9)], 9),
            (vec![record(0x00BD, &[&[0xFF, 0xFF, 0, 0][..], &[0; 6], &[100, 0]].concat())], 1),
        ] {
            let said = verdict(&file(&stream(&records, times)));
            assert!(said.contains("demasiadas celdas"), "{said}");
        }
    }

    #[test]
    fn a_text_counts_in_every_cell_that_holds_it() {
        // The second text, wide and in two records, stands in the cells.
        let long = [&[2, 0, 0][..], b"ab", &30_000_u16.to_le_bytes(), &[1], &[65; 200]].concat();
        let table = [
            record(0x00FC, &[&[0; 8][..], &long].concat()),
            record(0x003C, &[&[0][..], &vec![65; 29_900]].concat()),
        ];
        let said = |cells: u16| {
            let labels: Vec<Vec<u8>> = (0..cells)
                .map(|row| record(0x00FD, &[&row.to_le_bytes()[..], &[0; 4], &1_u32.to_le_bytes()].concat()))
                .collect();
            let bof = record(0x0809, &[0, 6, 0, 0]);
            let start = u32::try_from(bof.len() + 12 + table.concat().len() + 4).unwrap();
            let sheet = record(0x0085, &[&start.to_le_bytes()[..], &[0, 0, 0, 0]].concat());
            let mut content = [bof.clone(), sheet, table.concat(), record(0x000A, &[])].concat();
            content.extend([bof, labels.concat(), record(0x000A, &[])].concat());
            measure(&content).map_or_else(|it| it.to_string(), |()| "good".to_owned())
        };
        assert_eq!(said(100), "good");
        assert!(said(3_000).contains("demasiadas celdas"));
    }

    #[test]
    fn a_chain_that_goes_round_is_damage() {
        let mut content = file(&stream(&[number(0, 0)], 1));
        // The directory follows itself.
        content[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
        assert!(verdict(&content).contains("dañado"));
        let mut content = file(&stream(&[number(0, 0)], 1));
        // The stream claims four gigabytes and follows itself.
        content[512 + 8..512 + 12].copy_from_slice(&2_u32.to_le_bytes());
        content[1024 + 120..1024 + 124].fill(0xFE);
        assert!(verdict(&content).contains("dañado"));
        for cut in [40, 600, 1100, 1600] {
            assert!(verdict(&content[..cut]).contains("dañado"), "{cut}");
        }
    }
}
