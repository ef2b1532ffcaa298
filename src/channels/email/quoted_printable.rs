//! Quoted-printable (RFC 2045 6.7) for texts, in one pass: any line end becomes
//! CRLF, lines hold at most 76 characters, and only printable ASCII is left. Pure.

/// Longest encoded line, without its line end.
const LINE: usize = 76;

/// `text` as it travels.
pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 64);
    for line in text.split_inclusive('\n') {
        let ended = line.strip_suffix('\n').map(|it| it.strip_suffix('\r').unwrap_or(it));
        push_line(ended.unwrap_or(line).as_bytes(), &mut out);
        if ended.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// One line of a text, without its end, as one or more lines.
fn push_line(line: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // A blank at a line's end may be lost on the way.
    let blank_at_end = line.last().filter(|it| matches!(it, b' ' | b'\t'));
    let mut rest = &line[..line.len() - usize::from(blank_at_end.is_some())];
    let mut column = 0;
    loop {
        // What goes on in the next line needs a place for its "=".
        let room = LINE - 1 - column;
        let plain = plain_run(&rest[..rest.len().min(room)]);
        out.extend_from_slice(&rest[..plain]);
        column += plain;
        rest = &rest[plain..];
        let (byte, is_last) = match (rest, blank_at_end) {
            ([], None) => return,
            ([], Some(blank)) => (*blank, true),
            ([byte, after @ ..], _) => (*byte, after.is_empty() && blank_at_end.is_none()),
        };
        let width = if is_plain(byte) && !rest.is_empty() { 1 } else { 3 };
        if column + width > if is_last { LINE } else { LINE - 1 } {
            out.extend_from_slice(b"=\r\n");
            column = 0;
            continue;
        }
        if width == 1 {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        if is_last {
            return;
        }
        column += width;
        rest = &rest[1..];
    }
}

/// Whether `byte` stands for itself anywhere but at a line's end.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'<' | b'>'..=b'~' | b'\t')
}

/// How many bytes at the start of `bytes` stand for themselves. Most do, so they are looked at many at a time.
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    for chunk in bytes.chunks_exact(16) {
        if !chunk.iter().fold(true, |all, it| all & is_plain(*it)) {
            break;
        }
        run += 16;
    }
    run + bytes[run..].iter().take_while(|it| is_plain(**it)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(String::from_utf8(encode(text)).unwrap(), expected);
    }

    #[test]
    fn texts_stay_readable() {
        check("", "");
        check("Hola, María: 1 = 1", "Hola, Mar=C3=ADa: 1 =3D 1");
        check("uno\ndos\r\n\ntres \t\r\n", "uno\r\ndos\r\n\r\ntres =09\r\n");
        check("a\rb\u{0}", "a=0Db=00");
    }

    #[test]
    fn long_lines_are_broken_softly() {
        let whole = "x".repeat(76);
        check(&whole, &whole);
        check(&"x".repeat(77), &format!("{}=\r\nxx", "x".repeat(75)));
        check(&format!("{}ñ", "x".repeat(74)), &format!("{}=\r\n=C3=B1", "x".repeat(74)));
    }

    fn decode(encoded: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(encoded.to_vec()).unwrap().replace("=\r\n", "");
        let mut parts = text.split('=');
        let mut out = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            out.push(u8::from_str_radix(&part[..2], 16).unwrap());
            out.extend_from_slice(&part.as_bytes()[2..]);
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_read_again(text in "(?s)[a-z =\t\n\r.ñ€\u{0}]{0,400}") {
            let encoded = encode(&text);
            let lines = text.replace("\r\n", "\n");
            prop_assert_eq!(decode(&encoded), lines.replace('\n', "\r\n").into_bytes());
            for line in String::from_utf8(encoded).unwrap().split("\r\n") {
                prop_assert!(line.len() <= LINE, "{}", line);
                prop_assert!(!line.ends_with([' ', '\t']), "{}", line);
                prop_assert!(line.bytes().all(|it| it == b'\t' || (b' '..=b'~').contains(&it)), "{}", line);
            }
        }
    }
}
