//! No input panics: a real binlog (every column type, compressed transactions, tagged GTIDs, XA, partial
//! JSON; MySQL 9.7) is broken in thousands of ways and decoded to the last value.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: what cannot be has to fail at its place"
)]

use binlog_operator::binlog::{BinlogError, BinlogFile, Body, Decoder, RawEvent, RowVisitor, json};
use binlog_operator::model::{Class, Value};
use proptest::prelude::*;

/// Made by `e2e/tests/servers/decoder/workload.rs` with shorter texts.
const REAL: &[u8] = include_bytes!("data/all-types.binlog");

fn real_events() -> Vec<RawEvent> {
    let mut file = BinlogFile::from_reader("b.000001", Box::new(REAL)).unwrap();
    std::iter::from_fn(|| file.next_raw().unwrap()).collect()
}

#[derive(Default)]
struct Seen {
    values: usize,
    texts: Vec<Vec<u8>>,
    diffs: Vec<Vec<u8>>,
}

impl RowVisitor for Seen {
    fn image(&mut self, _after: bool) {}

    fn value(&mut self, _column: usize, value: &Value<'_>) {
        self.values += 1;
        match value {
            Value::Json(bytes) => self.texts.push(bytes.to_vec()),
            Value::JsonDiff(bytes) => self.diffs.push(bytes.to_vec()),
            _ => {}
        }
    }
}

/// Decodes all that can be decoded of a raw event; the number of values.
fn decode(decoder: &mut Decoder, raw: RawEvent) -> Result<usize, BinlogError> {
    let mut values = 0;
    decoder.push(raw);
    while let Some(event) = decoder.next()? {
        let Body::Rows(rows) = &event.body else { continue };
        let mut seen = Seen::default();
        let visited = rows.visit(&mut seen);
        for text in &seen.texts {
            let _ = json::to_text(text);
            for diff in &seen.diffs {
                let _ = json::apply_diffs(text, diff);
            }
        }
        let (mut rest, mut out) = (rows.rows(), Vec::new());
        while let Some(row) = rest.next()? {
            for image in [row.before, row.after].into_iter().flatten() {
                let before = out.len();
                image.read_all(&mut out)?;
                let one = out.len() - before;
                image.read(&[0], &mut out)?;
                out.truncate(before + one);
            }
        }
        visited?;
        assert_eq!(seen.values, out.len());
        values += out.len();
    }
    Ok(values)
}

fn decode_all(events: Vec<RawEvent>, verify: bool) -> (usize, Vec<BinlogError>) {
    let mut decoder = Decoder::new();
    decoder.verify_checksums(verify);
    let (mut values, mut errors) = (0, Vec::new());
    for raw in events {
        match decode(&mut decoder, raw) {
            Ok(n) => values += n,
            Err(e) => errors.push(e),
        }
    }
    (values, errors)
}

#[test]
fn the_unbroken_file_is_decoded() {
    let (values, errors) = decode_all(real_events(), true);
    assert!(values > 600 && errors.is_empty(), "{values} {errors:?}");
}

#[test]
fn every_flipped_bit_is_found_by_its_checksum() {
    let events = real_events();
    for (i, event) in events.iter().enumerate().step_by(7) {
        // From the body on: a broken length or flag is another error.
        for at in (19..event.bytes.len()).step_by(11) {
            let mut broken = events.clone();
            broken[i].bytes[at] ^= 4;
            let (_, errors) = decode_all(broken, true);
            assert!(
                matches!(errors[..], [BinlogError::Checksum { .. }, ..]) || i == 0,
                "{i} {at} {errors:?}"
            );
        }
    }
}

#[test]
fn every_cut_is_an_error_or_the_end() {
    for cut in 4..REAL.len().min(6000) {
        let mut file = BinlogFile::from_reader("b.1", Box::new(&REAL[..cut])).unwrap();
        let end = loop {
            match file.next_raw() {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(e) => break Some(e),
            }
        };
        let whole = file.offset() == cut as u64;
        assert!(matches!((whole, end), (true, None) | (false, Some(BinlogError::Truncated { .. }))));
    }
}

/// Breaks bytes of an event and sets its length right again, so that the damage reaches the decoders. An
/// event that an earlier cut has emptied stays as it is.
fn broken(
    mut raw: RawEvent,
    flips: &[(prop::sample::Index, u8)],
    cut: Option<prop::sample::Index>,
) -> RawEvent {
    if raw.bytes.is_empty() {
        return raw;
    }
    for (at, bits) in flips {
        let len = raw.bytes.len();
        raw.bytes[at.index(len)] ^= bits;
    }
    if let Some(cut) = cut {
        let len = cut.index(raw.bytes.len());
        raw.bytes.truncate(len);
    }
    let len = (raw.bytes.len() as u32).to_le_bytes();
    if let Some(slot) = raw.bytes.get_mut(9..13) {
        slot.copy_from_slice(&len);
    }
    raw
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_events_do_not_panic(
        victims in prop::collection::vec(
            (any::<prop::sample::Index>(),
             prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
             prop::option::weighted(0.2, any::<prop::sample::Index>())),
            1..12),
    ) {
        let mut events = real_events();
        for (at, flips, cut) in victims {
            let at = at.index(events.len());
            events[at] = broken(events[at].clone(), &flips, cut);
        }
        let (_, errors) = decode_all(events, false);
        prop_assert!(errors.iter().all(|e| e.class() == Class::Gap), "{errors:?}");
    }

    #[test]
    fn noise_does_not_panic(event_type in 0_u8..64, mut bytes in prop::collection::vec(any::<u8>(), 19..300)) {
        bytes[4] = event_type;
        let mut events = real_events();
        events.truncate(60);
        events.push(broken(RawEvent { bytes, start: None }, &[], None));
        decode_all(events, false);
    }

    #[test]
    fn json_noise_does_not_panic(kind in 0_u8..16, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let document = [&[kind][..], &bytes].concat();
        let _ = json::to_text(&document);
        let _ = json::apply_diffs(&document, &bytes);
        let _ = json::apply_diffs(&[0, 0, 0, 4, 0], &bytes);
    }

    #[test]
    fn a_file_of_noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let all = [b"\xfebin", &bytes[..]].concat();
        let Ok(mut file) = BinlogFile::from_reader("b.1", Box::new(std::io::Cursor::new(all))) else {
            return Ok(());
        };
        while let Ok(Some(raw)) = file.next_raw() {
            let _ = decode(&mut Decoder::new(), raw);
        }
    }
}
