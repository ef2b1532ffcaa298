//! Delimited text to rows: finds out the encoding and the delimiter, then streams.

use super::{MAX_CELL_BYTES, MAX_COLUMNS, ReadError, Row, Visitor, cell_too_long, detect};
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::{
    cell::Cell,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    rc::Rc,
};

/// Most bytes of one record: all its cells at their limit would be more, but nobody means that.
const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// How much of the file decides on the delimiter.
const SAMPLE_BYTES: usize = 64 * 1024;
/// What separates cells, most likely first when nothing tells them apart.
const DELIMITERS: [u8; 4] = [b';', b',', b'\t', b'|'];

/// A delimited text file whose dialect is known.
#[derive(Debug)]
pub struct TextSource {
    path: PathBuf,
    size: u64,
    encoding: &'static Encoding,
    bom: u64,
    delimiter: u8,
    /// Whether Excel's `sep=;` stands on the first line.
    announced: bool,
}

impl TextSource {
    pub(super) fn open(path: &Path) -> Result<TextSource, ReadError> {
        let (encoding, bom) = find_encoding(path)?;
        let mut source = TextSource {
            path: path.to_owned(),
            size: std::fs::metadata(path)?.len().max(1),
            encoding,
            bom,
            delimiter: b',',
            announced: false,
        };
        let mut sample = String::new();
        let mut bytes = Vec::new();
        source.decoded(&Rc::default())?.take(SAMPLE_BYTES as u64).read_to_end(&mut bytes)?;
        sample.push_str(&String::from_utf8_lossy(&bytes));
        let first = sample.lines().next().unwrap_or_default().trim();
        if let Some(delimiter) = first.strip_prefix("sep=").and_then(|it| it.bytes().next()) {
            source.announced = true;
            source.delimiter = delimiter;
        } else {
            source.delimiter = find_delimiter(&sample, bytes.len() < SAMPLE_BYTES);
        }
        Ok(source)
    }

    pub(super) fn describe(&self) -> String {
        let delimiter = match self.delimiter {
            b';' => "punto y coma",
            b',' => "comas",
            b'\t' => "tabulaciones",
            _ => "barras",
        };
        let name = if self.encoding == WINDOWS_1252 { "Windows-1252" } else { self.encoding.name() };
        format!("CSV separado por {delimiter}, {name}")
    }

    /// The text in UTF-8 from behind the byte-order mark; `consumed` follows the bytes of the file.
    fn decoded(&self, consumed: &Rc<Cell<u64>>) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.bom))?;
        let file = Counted { inner: file, count: Rc::clone(consumed) };
        Ok(if self.encoding == UTF_8 {
            Box::new(file)
        } else {
            Box::new(Transcoder::new(file, self.encoding))
        })
    }

    pub(super) fn each_row(&self, visit: &mut Visitor<'_>) -> Result<(), ReadError> {
        let consumed = Rc::<Cell<u64>>::default();
        let since_record = Rc::<Cell<u64>>::default();
        let bounded = Bounded { inner: self.decoded(&consumed)?, since_record: Rc::clone(&since_record) };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 * 1024)
            .from_reader(bounded);
        let (mut record, mut row) = (csv::ByteRecord::new(), Row::default());
        let (mut number, mut line) = (0_u32, reader.position().line());
        let mut width = 0;
        loop {
            since_record.set(0);
            let more = reader.read_byte_record(&mut record).map_err(|it| broken(it, number + 1))?;
            if !more {
                return Ok(());
            }
            // The parser skips empty lines; a spreadsheet shows them, so they count.
            let inside = record.as_slice().split(|&it| it == b'\n').count() - 1;
            let passed = reader.position().line() - line;
            line = reader.position().line();
            number += 1 + u32::try_from(passed.saturating_sub(inside as u64 + 1)).unwrap_or(0);
            if self.announced && number == 1 {
                continue;
            }
            row.start(number);
            width = width.max(record.len());
            for cell in record.iter().take(MAX_COLUMNS * 100) {
                if cell.len() > MAX_CELL_BYTES {
                    return Err(cell_too_long(number));
                }
                if inside > 1 && swallows_rows(cell, self.delimiter, width) {
                    return Err(open_quote(number));
                }
                match std::str::from_utf8(cell) {
                    Ok(cell) => row.push(cell),
                    Err(_) => row.push(&String::from_utf8_lossy(cell)),
                }
            }
            if row.is_empty() {
                continue;
            }
            row.check_limits()?;
            #[expect(clippy::cast_precision_loss, reason = "a progress bar")]
            let share = consumed.get() as f32 / self.size as f32;
            if visit(&row, share).is_break() {
                return Ok(());
            }
        }
    }
}

/// Whether a cell holds what was meant as rows: a quote was opened and is closed far below, or nowhere. A note of
/// several lines is not cut, line by line, into as many cells as the widest row.
fn swallows_rows(cell: &[u8], delimiter: u8, width: usize) -> bool {
    let lines: Vec<&[u8]> = cell.split(|&it| it == b'\n').collect();
    let whole = lines.iter().skip(1).rev().skip(1).filter(|it| !it.trim_ascii().is_empty());
    let (mut all, mut rows) = (0, 0);
    for line in whole {
        all += 1;
        let cells = line.iter().filter(|&&it| it == delimiter).count() + 1;
        // The quote may have been opened on the row that is widest.
        rows += usize::from(cells >= 2 && cells + 1 >= width);
    }
    // One comma in a line is nothing out of the ordinary.
    rows == all && all >= if width > 2 { 1 } else { 3 }
}

fn open_quote(number: u32) -> ReadError {
    ReadError::unreadable(format!(
        "En la fila {number} se abren unas comillas (\") que no se cierran, y las filas que siguen quedarían dentro de una sola celda. No se guardó nada. Borra o cierra esas comillas en el archivo y vuelve a subirlo."
    ))
}

/// What a failure of the parser at row `number` means.
fn broken(error: csv::Error, number: u32) -> ReadError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => cell_too_long(number),
        csv::ErrorKind::Io(error) => error.into(),
        _ => detect::damaged(),
    }
}

/// The encoding of the file and the length of its byte-order mark. Reads it
/// whole: the first accent may be on the last line.
fn find_encoding(path: &Path) -> Result<(&'static Encoding, u64), ReadError> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0_u8; 64 * 1024];
    let read = fill(&mut file, &mut buffer)?;
    let head = &buffer[..read];
    if let Some((encoding, length)) = Encoding::for_bom(head) {
        return Ok((encoding, length as u64));
    }
    if let Some(encoding) = utf16_without_mark(head) {
        return Ok((encoding, 0));
    }
    let zeros = head.split(|&it| it == 0).count() - 1;
    let odd = head.iter().filter(|&&it| it < 32 && !matches!(it, b'\t' | b'\n' | b'\r' | 0)).count();
    if zeros * 20 > read || odd * 20 > read {
        return Err(ReadError::unreadable(
            "El archivo no es una planilla ni un texto que se pueda leer. No se guardó nada. Ábrelo en Excel, guárdalo como «Libro de Excel (.xlsx)» o «CSV UTF-8» y vuelve a subirlo.",
        ));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        let seen = kept + read;
        if read == 0 {
            return Ok((if kept == 0 { UTF_8 } else { WINDOWS_1252 }, 0));
        }
        match std::str::from_utf8(&buffer[..seen]) {
            Ok(_) => kept = 0,
            // A character may straddle two reads.
            Err(error) if error.error_len().is_none() => {
                buffer.copy_within(error.valid_up_to()..seen, 0);
                kept = seen - error.valid_up_to();
            }
            Err(_) => return Ok((WINDOWS_1252, 0)),
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// UTF-16 text in a Latin script has a zero in every second byte.
fn utf16_without_mark(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|&&it| it == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match pairs {
        0..4 => None,
        _ if odd * 10 > pairs * 7 && even * 10 < pairs => Some(UTF_16LE),
        _ if even * 10 > pairs * 7 && odd * 10 < pairs => Some(UTF_16BE),
        _ => None,
    }
}

/// The delimiter that cuts the sample into the most even table.
fn find_delimiter(sample: &str, whole: bool) -> u8 {
    let score = |delimiter: u8| -> (usize, usize) {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(sample.as_bytes());
        let mut widths: Vec<usize> =
            reader.byte_records().map_while(Result::ok).take(50).map(|it| it.len()).collect();
        if !whole && widths.len() > 1 {
            widths.pop();
        }
        // The width that most rows share, and how many share it; a width of one tells nothing.
        let best = widths
            .iter()
            .filter(|&&it| it > 1)
            .map(|&width| (widths.iter().filter(|&&it| it == width).count(), width))
            .max();
        best.unwrap_or((0, 0))
    };
    let mut best = (b',', (0, 0));
    for delimiter in DELIMITERS {
        let (rows, width) = score(delimiter);
        let (best_rows, best_width) = best.1;
        // Evenness first, but twice the columns beat a row more or less.
        if rows * width.min(30) > best_rows * best_width.min(30) {
            best = (delimiter, (rows, width));
        }
    }
    best.0
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// Breaks off when one record alone drinks more than it may.
struct Bounded<R> {
    inner: R,
    since_record: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_record.get() > MAX_RECORD_BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "record too long"));
        }
        let read = self.inner.read(buffer)?;
        self.since_record.set(self.since_record.get() + read as u64);
        Ok(read)
    }
}

/// Any encoding to UTF-8, on the way. It decodes into a buffer of its own, since
/// a caller's may be too small for one character.
struct Transcoder<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Transcoder<R> {
    fn new(inner: R, encoding: &'static Encoding) -> Transcoder<R> {
        const RAW: usize = 32 * 1024;
        Transcoder {
            inner,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; RAW],
            text: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let read = self.inner.read(&mut self.raw)?;
        self.ended = read == 0;
        let most = self.decoder.max_utf8_buffer_length(read).unwrap_or(self.raw.len() * 3);
        self.text.resize(most, 0);
        let (_, _, written, _) = self.decoder.decode_to_utf8(&self.raw[..read], &mut self.text, self.ended);
        self.text.truncate(written);
        self.given = 0;
        Ok(())
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if self.ended {
                return Ok(0);
            }
            self.refill()?;
        }
        let count = buffer.len().min(self.text.len() - self.given);
        buffer[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_is_not_closed_is_told_from_a_note_of_several_lines() {
        let swallows = |cell: &str, width| swallows_rows(cell.as_bytes(), b';', width);
        assert!(swallows("nota\nAna;ana@x.cl;912345678\nLuis;luis@x.cl;\n", 3));
        assert!(swallows("nota\r\nAna;ana@x.cl;912345678\r\nLuis;luis@x.cl;", 3));
        // It was opened in the first of four cells: no row was seen whole.
        assert!(swallows("Rosa;rosa@x.cl\nAna;ana@x.cl;9;x\nLuis;luis@x.cl;9;y\nEva;eva@x.cl;9;z\n", 1));
        assert!(!swallows("Llamar el lunes; después de las 10\nprefiere correo; no teléfono\nVIP", 4));
        assert!(!swallows("uno\ndos\ntres\ncuatro", 3));
        assert!(!swallows("Calle 1; depto 2\nOsorno; Chile\nfin", 2));
        assert!(!swallows("una sola línea; con punto y coma", 2));
    }
}
