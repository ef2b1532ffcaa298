//! The shared texts of an XLSX, looked over before the parser makes room for them:
//! it believes the number that the file states, and holds every text at once.

use super::{ReadError, detect};
use quick_xml::{Reader, events::Event};
use std::io::{BufReader, Read};

/// Most shared texts: as many as a workbook may have cells that are held whole.
const MAX_TEXTS: u64 = super::unfolded::MAX_CELLS;
/// Bytes of the shortest text, `<si/>`.
const SHORTEST: u64 = 5;

/// Whether the part `name` is where the parser looks for shared texts, wherever the book says it lies.
pub(super) fn is_at(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("sharedstrings.xml")
}

/// Refuse the part `content` of `size` bytes if it states or holds more texts than it can, or than we can.
pub(super) fn check(content: impl Read, size: u64) -> Result<(), ReadError> {
    let mut reader = Reader::from_reader(BufReader::new(content));
    let config = reader.config_mut();
    config.check_end_names = false;
    config.expand_empty_elements = true;
    let (mut buffer, mut texts) = (Vec::new(), 0_u64);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|_| detect::damaged())? {
            Event::Start(it) if it.local_name().as_ref() == "sst" => {
                for attribute in it.attributes().with_checks(false) {
                    let attribute = attribute.map_err(|_| detect::damaged())?;
                    if attribute.key.local_name().as_ref() != "uniqueCount" {
                        continue;
                    }
                    // What isn't a plain number is beyond all measure.
                    let stated: u64 = attribute.value.trim().parse().unwrap_or(u64::MAX);
                    if stated > MAX_TEXTS.min(size / SHORTEST) {
                        return Err(super::zipped::bomb());
                    }
                }
            }
            Event::Start(it) if it.local_name().as_ref() == "si" => {
                texts += 1;
                if texts > MAX_TEXTS {
                    return Err(super::zipped::bomb());
                }
            }
            Event::Eof => return Ok(()),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_part_can_hold_may_be_stated() {
        let fits = |xml: &str| check(xml.as_bytes(), xml.len() as u64).is_ok();
        assert!(fits("<sst uniqueCount=\"1\"><si><t>Ana</t></si></sst>"));
        assert!(fits("<sst><si/><si/></sst>"), "some writers don't count");
        assert!(fits("<sst uniqueCount=\"0\"/>"));
        for stated in ["9000000000000", "60", "99999999999999999999999", "x", "-1"] {
            assert!(!fits(&format!("<x:sst uniqueCount=\"{stated}\"><si/></x:sst>")), "{stated}");
        }
    }
}
