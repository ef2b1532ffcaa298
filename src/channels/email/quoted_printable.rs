//! Quoted-printable (RFC 2045 6.7) for texts, in one pass: any line end becomes
//! CRLF, lines hold at most 76 characters, and only printable ASCII is left. Pure.

/// Longest encoded line, without its line end.
const LINE: usize = 76;

/// `text` as it travels.
pub(super) fn encode(text: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 64);
    for line in text.split_inclusive('\n') {
        let ended = line.strip_suffix('\n').map(|it| it.strip_suffix('\r').unwrap_or(it));
        let line = ended.unwrap_or(line).as_bytes();
        let mut column = 0;
        for (at, byte) in line.iter().enumerate() {
            let is_last = at + 1 == line.len();
            // A blank at a line's end may be lost on the way.
            let is_plain =
                matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !is_last);
            let width = if is_plain { 1 } else { 3 };
            // What goes on in the next line needs a place for its "=".
            if column + width > if is_last { LINE } else { LINE - 1 } {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            column += width;
            if is_plain {
                out.push(*byte);
            } else {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'=', HEX[high], HEX[low]]);
            }
        }
        if ended.is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
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
