//! Values as SQL literals that a server reads back as the same bytes, with `time_zone` +00:00.

use std::io::Write as _;

use super::json;
use super::table::{Column, Kind};
use crate::binlog::BinlogError;
use crate::model::Value;

/// Appends an identifier in backticks.
pub(crate) fn identifier(name: &str, out: &mut Vec<u8>) {
    out.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            out.push(b'`');
        }
        out.push(byte);
    }
    out.push(b'`');
}

/// Appends text in quotes; what a client or the server would read otherwise is escaped.
pub(crate) fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    let mut rest = bytes;
    while let Some(at) = first_special(rest) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (byte, tail) = special.split_first().unwrap_or((&0, &[]));
        out.push(b'\\');
        out.push(match byte {
            b'\n' => b'n',
            b'\r' => b'r',
            0 => b'0',
            0x1a => b'Z',
            other => *other,
        });
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// Where the first byte stands that [`quote`] escapes. Blocks are looked at whole and without a branch, which the
/// compiler does many bytes at a time.
fn first_special(bytes: &[u8]) -> Option<usize> {
    let marks =
        |byte: u8| b"'\\\n\r\0\x1a".iter().fold(0, |marks, special| marks | u8::from(byte == *special));
    let (blocks, rest) = bytes.as_chunks::<16>();
    let whole = blocks.iter().position(|block| block.iter().fold(0, |all, byte| all | marks(*byte)) != 0);
    let (start, part) = match whole {
        Some(index) => (index * 16, blocks.get(index).map_or(rest, <[u8; 16]>::as_slice)),
        None => (blocks.len() * 16, rest),
    };
    part.iter().position(|byte| marks(*byte) != 0).map(|at| start + at)
}

/// Appends `X'...'`.
pub(crate) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
    out.extend_from_slice(b"X'");
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    let (pairs, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    out.push(b'\'');
}

/// Appends a column's value for an assignment or a comparison by key.
pub(crate) fn write_value(column: &Column, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    match value {
        // A difference of JSON has no value without the document before: whoever has it writes both together.
        Value::Absent | Value::Null | Value::JsonDiff(_) => out.extend_from_slice(b"NULL"),
        Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::UInt(number) | Value::Bit(number) | Value::Set(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Enum(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Decimal(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(number) => write_double(f64::from(*number), out),
        Value::Double(number) => write_double(*number, out),
        Value::Bytes(bytes) => match column.kind {
            Kind::Text(text) => text.write(bytes, out),
            _ => write_hex(bytes, out),
        },
        Value::Json(bytes) => json::write(bytes, None, out)?,
        Value::Date { .. } | Value::DateTime { .. } | Value::Timestamp { .. } | Value::Time { .. } => {
            out.push(b'\'');
            write_temporal(value, column.digits, out);
            out.push(b'\'');
        }
    }
    Ok(())
}

/// Appends a condition that holds for rows with exactly this value, whatever the column's collation.
pub(crate) fn write_exactly(
    column: &Column,
    value: &Value<'_>,
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    let name = column.quoted.as_bytes();
    let as_bytes = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"CAST(");
        out.extend_from_slice(name);
        out.extend_from_slice(b" AS BINARY) = ");
    };
    match value {
        Value::Absent | Value::Null => {
            out.extend_from_slice(name);
            out.extend_from_slice(b" IS NULL");
        }
        Value::Bytes(bytes) => match column.kind {
            Kind::Text(text) => {
                as_bytes(out);
                text.write_binary(bytes, out);
            }
            Kind::Spatial => {
                out.extend_from_slice(b"HEX(");
                out.extend_from_slice(name);
                out.extend_from_slice(b") = HEX(");
                write_hex(bytes, out);
                out.push(b')');
            }
            _ => {
                as_bytes(out);
                write_hex(bytes, out);
            }
        },
        Value::Json(bytes) => {
            as_bytes(out);
            quote(crate::binlog::json::to_text(bytes)?.as_bytes(), out);
        }
        _ => {
            out.extend_from_slice(name);
            out.extend_from_slice(b" = ");
            write_value(column, value, out)?;
        }
    }
    Ok(())
}

/// The shortest digits that read back as the same number, with an exponent: without one it would be a DECIMAL.
pub(super) fn write_double(number: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(number);
    out.extend_from_slice(text.as_bytes());
    if !text.contains('e') {
        out.extend_from_slice(b"e0");
    }
}

/// Appends a date or time without quotes, with `digits` after the point.
pub(crate) fn write_temporal(value: &Value<'_>, digits: u8, out: &mut Vec<u8>) {
    match *value {
        Value::Date { year, month, day } => date(year.into(), month.into(), day.into(), out),
        Value::DateTime { year, month, day, hour, minute, second, micros } => {
            date(year.into(), month.into(), day.into(), out);
            out.push(b' ');
            clock(hour.into(), minute, second, micros, digits, out);
        }
        Value::Timestamp { seconds: 0, micros: 0 } => {
            date(0, 0, 0, out);
            out.push(b' ');
            clock(0, 0, 0, 0, digits, out);
        }
        Value::Timestamp { seconds, micros } => write_utc(seconds.into(), micros, digits, out),
        Value::Time { negative, hours, minute, second, micros } => {
            if negative {
                out.push(b'-');
            }
            clock(hours.into(), minute, second, micros, digits, out);
        }
        _ => {}
    }
}

/// Appends a moment in UTC.
pub(crate) fn write_utc(seconds: u64, micros: u32, digits: u8, out: &mut Vec<u8>) {
    let (year, month, day) = civil(seconds / 86_400);
    date(year, month, day, out);
    out.push(b' ');
    let of_day = (seconds % 86_400) as u32;
    clock(of_day / 3600, (of_day / 60 % 60) as u8, (of_day % 60) as u8, micros, digits, out);
}

/// Year, month and day of a number of days since 1970 (proleptic Gregorian; Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
fn civil(days: u64) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year as u32, month as u32, day as u32)
}

fn date(year: u32, month: u32, day: u32, out: &mut Vec<u8>) {
    if year < 10_000 {
        two(year / 100, out);
        two(year % 100, out);
    } else {
        two(year, out);
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

fn clock(hours: u32, minute: u8, second: u8, micros: u32, digits: u8, out: &mut Vec<u8>) {
    two(hours, out);
    out.push(b':');
    two(minute.into(), out);
    out.push(b':');
    two(second.into(), out);
    if digits > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(digits.min(6));
        two(micros / 10_000, out);
        two(micros / 100 % 100, out);
        two(micros % 100, out);
        out.truncate(end);
    }
}

/// Appends a number with two digits, with more where it has more.
#[inline]
fn two(number: u32, out: &mut Vec<u8>) {
    if number < 100 {
        out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// Appends a value as JSON, for people and programs that do not speak SQL.
pub(crate) fn write_json_value(
    column: &Column,
    value: &Value<'_>,
    out: &mut Vec<u8>,
) -> Result<(), BinlogError> {
    match value {
        Value::Absent | Value::Null | Value::JsonDiff(_) => out.extend_from_slice(b"null"),
        Value::Int(_) | Value::UInt(_) | Value::Bit(_) | Value::Set(_) | Value::Enum(_) => {
            if let Some(labels) = column.labels_of(value) {
                return json_string(&labels, out);
            }
            write_value(column, value, out)?;
        }
        Value::Decimal(digits) => json_string(digits, out)?,
        Value::Float(number) => json_number(f64::from(*number), out),
        Value::Double(number) => json_number(*number, out),
        Value::Bytes(bytes) => {
            if let Kind::Text(text) = column.kind {
                return json_string(&text.display(bytes), out);
            }
            out.push(b'"');
            let _ = out.write_all(b"0x");
            bytes.iter().for_each(|byte| drop(write!(out, "{byte:02x}")));
            out.push(b'"');
        }
        Value::Json(bytes) => {
            out.extend_from_slice(crate::binlog::json::to_text(bytes)?.as_bytes());
        }
        Value::Date { .. } | Value::DateTime { .. } | Value::Timestamp { .. } | Value::Time { .. } => {
            out.push(b'"');
            write_temporal(value, column.digits, out);
            out.push(b'"');
        }
    }
    Ok(())
}

fn json_number(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
}

/// Appends a JSON string.
#[allow(clippy::unnecessary_wraps)] // stands where values that can fail stand
pub(crate) fn json_string(text: &str, out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let _ = serde_json::to_writer(out, text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_doubles_and_read_back() {
        for number in [0.1, 1e-300, 1e300, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, 123_456_789.125, 5e-324] {
            let written = text(|out| write_double(number, out));
            assert!(written.contains('e'), "{written}");
            assert_eq!(written.parse::<f64>().unwrap().to_bits(), number.to_bits(), "{written}");
        }
    }

    /// Wherever it stands: what is plain is passed over in blocks.
    #[test]
    fn each_special_byte_is_escaped_at_every_place() {
        for length in 0..40 {
            let plain = vec![b'a'; length];
            assert_eq!(text(|out| quote(&plain, out)).into_bytes(), [b"'", plain.as_slice(), b"'"].concat());
            for at in 0..length {
                for (special, escaped) in [
                    (b'\'', r"\'"),
                    (b'\\', r"\\"),
                    (b'\n', r"\n"),
                    (b'\r', r"\r"),
                    (0, r"\0"),
                    (0x1a, r"\Z"),
                ] {
                    let mut bytes = plain.clone();
                    bytes[at] = special;
                    let expected = format!("'{}{escaped}{}'", "a".repeat(at), "a".repeat(length - at - 1));
                    assert_eq!(text(|out| quote(&bytes, out)), expected);
                }
            }
        }
    }

    #[test]
    fn moments_in_utc() {
        for (seconds, expected) in [
            (1, "1970-01-01 00:00:01"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_795_262_400, "2026-11-21 12:00:00"),
            (4_294_967_295, "2106-02-07 06:28:15"),
        ] {
            assert_eq!(text(|out| write_utc(seconds, 0, 0, out)), expected);
        }
        let time = Value::Time { negative: true, hours: 838, minute: 0, second: 9, micros: 1_200 };
        assert_eq!(text(|out| write_temporal(&time, 4, out)), "-838:00:09.0012");
        let zero = Value::Timestamp { seconds: 0, micros: 0 };
        assert_eq!(text(|out| write_temporal(&zero, 3, out)), "0000-00-00 00:00:00.000");
    }

    #[test]
    fn identifiers_keep_their_backticks() {
        assert_eq!(text(|out| identifier("a`b %c", out)), "`a``b %c`");
    }
}
