//! One value of a result: its column's codec, its JSON, and its spelling as part of a key.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

use crate::api::{BinaryAs, DecimalAs, GeometryAs, SourceSession, Types, ZeroDates, Zone};
use crate::model::KeyPart;

use super::{SourceError, geometry, json};

/// Digits of a temporal column whose number of digits is not fixed.
const AS_NEEDED: u8 = u8::MAX;
/// The collation id of bytes.
const BINARY: u16 = 63;

/// What users choose of how values are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Style {
    decimal_as_text: bool,
    hex: bool,
    geometry: GeometryAs,
    zero_dates: ZeroDates,
    /// The zone in which TIMESTAMP is written; `None` is UTC.
    zone: Option<Zone>,
    /// The session's zone, in which TIMESTAMP comes; `None` is UTC.
    session: Option<Zone>,
}

impl Style {
    /// # Errors
    /// [`SourceError::Options`] for a zone that is none.
    pub(super) fn new(types: &Types, session: &SourceSession) -> Result<Self, SourceError> {
        let read = |field: &str, zone: Option<&str>| {
            let wrong = |words| SourceError::Options(format!("{field}: {words}"));
            zone.map(Zone::read).transpose().map_err(wrong)
        };
        Ok(Self {
            decimal_as_text: types.decimal == DecimalAs::String,
            hex: types.binary == BinaryAs::Hex,
            geometry: types.geometry,
            zero_dates: types.zero_dates,
            zone: read("types.timestampZone", types.timestamp_zone.as_deref())?,
            session: read("source.session.timeZone", session.time_zone.as_deref())?,
        })
    }
}

/// How a result column is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Codec {
    /// Integers, YEAR.
    Int,
    /// FLOAT and DOUBLE: the value knows which.
    Real,
    /// DECIMAL.
    Decimal,
    /// BIT.
    Bit,
    /// Text, ENUM, SET.
    Text,
    /// Binary strings.
    Bytes,
    /// GEOMETRY and its kinds.
    Geometry,
    /// JSON.
    Json,
    /// VECTOR.
    Vector,
    /// DATE.
    Date,
    /// DATETIME with so many digits after the point.
    DateTime(u8),
    /// TIMESTAMP with so many digits after the point; the session's zone is UTC.
    Timestamp(u8),
    /// TIME with so many digits after the point.
    Time(u8),
}

impl Codec {
    pub(super) fn of(column: &Column) -> Self {
        use ColumnType as T;
        let digits = if column.decimals() <= 6 { column.decimals() } else { AS_NEEDED };
        match column.column_type() {
            T::MYSQL_TYPE_TINY
            | T::MYSQL_TYPE_SHORT
            | T::MYSQL_TYPE_LONG
            | T::MYSQL_TYPE_LONGLONG
            | T::MYSQL_TYPE_INT24
            | T::MYSQL_TYPE_YEAR => Self::Int,
            T::MYSQL_TYPE_FLOAT | T::MYSQL_TYPE_DOUBLE => Self::Real,
            T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => Self::Decimal,
            T::MYSQL_TYPE_BIT => Self::Bit,
            T::MYSQL_TYPE_JSON => Self::Json,
            T::MYSQL_TYPE_VECTOR => Self::Vector,
            T::MYSQL_TYPE_GEOMETRY => Self::Geometry,
            T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Self::Date,
            T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => Self::DateTime(digits),
            T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => Self::Timestamp(digits),
            T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => Self::Time(digits),
            _ if column.flags().intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) => Self::Text,
            _ if column.character_set() == BINARY => Self::Bytes,
            _ => Self::Text,
        }
    }

    /// Writes a value; an error says what is wrong with it.
    pub(super) fn write(self, value: &Value, style: &Style, out: &mut Vec<u8>) -> Result<(), String> {
        match (self, value) {
            (_, Value::NULL) => out.extend_from_slice(b"null"),
            (_, Value::Int(v)) => out.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes()),
            (_, Value::UInt(v)) => out.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes()),
            (_, Value::Float(v)) if v.is_finite() => {
                out.extend_from_slice(zmij::Buffer::new().format_finite(*v).as_bytes());
            }
            (_, Value::Double(v)) if v.is_finite() => {
                out.extend_from_slice(zmij::Buffer::new().format_finite(*v).as_bytes());
            }
            (_, Value::Date(..)) => self.write_date(value, style, out)?,
            (_, Value::Time(..)) => {
                out.push(b'"');
                self.write_temporal(value, out, b'T');
                out.push(b'"');
            }
            (Self::Text, Value::Bytes(bytes)) => json::string(out, utf8(bytes)?),
            (Self::Json, Value::Bytes(bytes)) => json::one_line(out, utf8(bytes)?),
            (Self::Bytes, Value::Bytes(bytes)) if style.hex => json::hex(out, bytes),
            (Self::Bytes, Value::Bytes(bytes)) => json::base64(out, bytes),
            (Self::Geometry, Value::Bytes(bytes)) => geometry::write(bytes, style.geometry, out)?,
            (Self::Bit, Value::Bytes(bytes)) => {
                out.extend_from_slice(itoa::Buffer::new().format(bits(bytes)?).as_bytes());
            }
            (Self::Vector, Value::Bytes(bytes)) => vector(out, bytes)?,
            (Self::Decimal, Value::Bytes(bytes)) => {
                let quote: &[u8] = if style.decimal_as_text { b"\"" } else { b"" };
                out.extend_from_slice(quote);
                json::decimal(out, bytes).map(|_| ()).ok_or("its DECIMAL is no number")?;
                out.extend_from_slice(quote);
            }
            (_, Value::Float(_) | Value::Double(_)) => return Err("infinity is no JSON number".into()),
            (codec, Value::Bytes(_)) => return Err(format!("text came where {codec:?} was expected")),
        }
        Ok(())
    }

    /// The value as part of a key; `None` for NULL.
    pub(super) fn key_part(self, value: &Value) -> Result<Option<KeyPart>, String> {
        let part = match (self, value) {
            (_, Value::NULL) => return Ok(None),
            (_, Value::Int(v)) => KeyPart::Int(*v),
            (_, Value::UInt(v)) => KeyPart::from_u64(*v),
            (Self::Bit, Value::Bytes(bytes)) => KeyPart::from_u64(bits(bytes)?),
            (Self::Bytes, Value::Bytes(bytes)) => KeyPart::Binary(bytes.as_slice().into()),
            (Self::Text | Self::Decimal, Value::Bytes(bytes)) => text_part(bytes)?,
            (_, Value::Date(..) | Value::Time(..)) => {
                let mut out = Vec::new();
                self.write_temporal(value, &mut out, b' ');
                text_part(&out)?
            }
            (codec, _) => return Err(format!("{codec:?} values cannot be keys")),
        };
        Ok(Some(part))
    }

    /// A date in quotes, a TIMESTAMP in its zone. Dates with a zero part, as MySQL knows them, have no JSON of
    /// their own.
    fn write_date(self, value: &Value, style: &Style, out: &mut Vec<u8>) -> Result<(), String> {
        if matches!(value, Value::Date(_, 0, ..) | Value::Date(_, _, 0, ..)) {
            match style.zero_dates {
                ZeroDates::Null => {
                    out.extend_from_slice(b"null");
                    return Ok(());
                }
                ZeroDates::DeadLetter => return Err("it is a date with a zero part".into()),
                ZeroDates::Text => {}
            }
        } else if let (Self::Timestamp(digits), true) =
            (self, style.zone.is_some() || style.session.is_some())
        {
            return in_zone(value, digits, style, out);
        }
        out.push(b'"');
        self.write_temporal(value, out, b'T');
        if matches!(self, Self::Timestamp(_)) {
            out.push(b'Z');
        }
        out.push(b'"');
        Ok(())
    }

    fn write_temporal(self, value: &Value, out: &mut Vec<u8>, separator: u8) {
        match *value {
            Value::Date(year, month, day, hour, minute, second, micros) => {
                json::padded(out, u32::from(year), 4);
                for part in [month, day] {
                    out.push(b'-');
                    json::padded(out, u32::from(part), 2);
                }
                if let Self::DateTime(digits) | Self::Timestamp(digits) = self {
                    out.push(separator);
                    clock(out, [u32::from(hour), u32::from(minute), u32::from(second)], micros, digits);
                }
            }
            Value::Time(negative, days, hours, minute, second, micros) => {
                if negative {
                    out.push(b'-');
                }
                let hours = days * 24 + u32::from(hours);
                let digits = if let Self::Time(digits) = self { digits } else { AS_NEEDED };
                clock(out, [hours, u32::from(minute), u32::from(second)], micros, digits);
            }
            _ => {}
        }
    }
}

/// A TIMESTAMP from the session's zone into the user's.
fn in_zone(value: &Value, digits: u8, style: &Style, out: &mut Vec<u8>) -> Result<(), String> {
    let Value::Date(year, month, day, hour, minute, second, micros) = *value else { return Ok(()) };
    let part = |part: u8| part as i8;
    let at = jiff::civil::DateTime::new(
        year as i16,
        part(month),
        part(day),
        part(hour),
        part(minute),
        part(second),
        micros as i32 * 1_000,
    );
    let zone = |zone: &Option<Zone>| zone.as_ref().unwrap_or(&Zone::UTC).time_zone().clone();
    let at = at.and_then(|at| at.to_zoned(zone(&style.session))).map_err(|error| error.to_string())?;
    let at = at.with_time_zone(zone(&style.zone));
    let text = at.strftime("%Y-%m-%dT").to_string();
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    clock(out, [at.hour(), at.minute(), at.second()].map(|part| part as u32), micros, digits);
    let end = if style.zone.is_some() { at.strftime("%:z\"").to_string() } else { "Z\"".to_owned() };
    out.extend_from_slice(end.as_bytes());
    Ok(())
}

/// `HH:MM:SS` with the declared digits of the second's fraction.
fn clock(out: &mut Vec<u8>, [hour, minute, second]: [u32; 3], micros: u32, digits: u8) {
    json::padded(out, hour, 2);
    out.push(b':');
    json::padded(out, minute, 2);
    out.push(b':');
    json::padded(out, second, 2);
    let digits = match digits {
        AS_NEEDED if micros == 0 => 0,
        AS_NEEDED => 6,
        declared => declared.min(6),
    };
    if digits > 0 {
        out.push(b'.');
        json::padded(out, micros / 10_u32.pow(6 - u32::from(digits)), usize::from(digits));
    }
}

fn utf8(bytes: &[u8]) -> Result<&[u8], String> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("its text is no UTF-8 at byte {}", error.valid_up_to())),
    }
}

fn text_part(bytes: &[u8]) -> Result<KeyPart, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("its text is no UTF-8 at byte {}", e.valid_up_to()))?;
    Ok(KeyPart::Text(text.into()))
}

/// BIT's bytes, most significant first.
fn bits(bytes: &[u8]) -> Result<u64, String> {
    if bytes.len() > 8 {
        return Err(format!("a BIT of {} bytes", bytes.len()));
    }
    Ok(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
}

/// VECTOR's bytes: 4-byte floats, little endian.
fn vector(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    let (floats, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("a VECTOR of {} bytes", bytes.len()));
    }
    let mut before = b'[';
    for float in floats {
        let float = f32::from_le_bytes(*float);
        if !float.is_finite() {
            return Err("its VECTOR holds what is no JSON number".into());
        }
        out.push(before);
        out.extend_from_slice(zmij::Buffer::new().format_finite(float).as_bytes());
        before = b',';
    }
    out.extend_from_slice(if floats.is_empty() { b"[]" } else { b"]" });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(codec: Codec, value: &Value) -> String {
        let mut out = Vec::new();
        codec.write(value, &Style::default(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn styled(types: &Types, codec: Codec, value: &Value) -> Result<String, String> {
        let mut out = Vec::new();
        codec.write(value, &Style::new(types, &SourceSession::default()).unwrap(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn users_choose_some_forms() {
        let types = Types {
            decimal: DecimalAs::String,
            binary: BinaryAs::Hex,
            zero_dates: ZeroDates::Text,
            timestamp_zone: Some("Europe/Berlin".into()),
            ..Types::default()
        };
        let zero = Value::Date(2026, 0, 10, 0, 0, 0, 0);
        let at = Value::Date(2026, 7, 1, 23, 30, 0, 120_000);
        let bytes = |text: &[u8]| Value::Bytes(text.to_vec());
        for (codec, value, wanted) in [
            (Codec::Decimal, bytes(b"0012.50"), r#""12.50""#),
            (Codec::Bytes, bytes(&[0, 0xAB]), r#""00ab""#),
            (Codec::Date, zero.clone(), r#""2026-00-10""#),
            (Codec::DateTime(0), zero.clone(), r#""2026-00-10T00:00:00""#),
            (Codec::Timestamp(2), at.clone(), r#""2026-07-02T01:30:00.12+02:00""#),
            (Codec::DateTime(2), at.clone(), r#""2026-07-01T23:30:00.12""#),
        ] {
            assert_eq!(styled(&types, codec, &value).as_deref(), Ok(wanted));
        }
        let strict = Types { zero_dates: ZeroDates::DeadLetter, ..Types::default() };
        assert!(styled(&strict, Codec::Date, &zero).is_err());
        assert_eq!(styled(&strict, Codec::Timestamp(0), &at).unwrap(), r#""2026-07-01T23:30:00Z""#);
        let nowhere = Types { timestamp_zone: Some("Mars/Olympus".into()), ..Types::default() };
        let session = SourceSession { time_zone: Some("-03:30".into()), ..SourceSession::default() };
        let mut out = Vec::new();
        let style = Style::new(&Types::default(), &session).unwrap();
        Codec::Timestamp(0).write(&at, &style, &mut out).unwrap();
        Codec::DateTime(0).write(&at, &style, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#""2026-07-02T03:00:00Z""2026-07-01T23:30:00""#);
        assert!(Style::new(&nowhere, &session).unwrap_err().to_string().contains("types.timestampZone"));
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(json(Codec::Int, &Value::UInt(u64::MAX)), "18446744073709551615");
        assert_eq!(json(Codec::Int, &Value::Int(9_007_199_254_740_993)), "9007199254740993");
        assert_eq!(json(Codec::Real, &Value::Float(0.1)), "0.1");
        assert_eq!(json(Codec::Real, &Value::Double(0.1 + 0.2)), "0.30000000000000004");
        assert_eq!(json(Codec::Bit, &Value::Bytes(vec![1, 0])), "256");
        assert_eq!(
            json(Codec::Vector, &Value::Bytes([1.5f32, -0.1].map(f32::to_le_bytes).concat())),
            "[1.5,-0.1]"
        );
        assert_eq!(json(Codec::Vector, &Value::Bytes(vec![])), "[]");
    }

    #[test]
    fn times_carry_their_declared_digits() {
        let at = Value::Date(2026, 11, 21, 12, 0, 0, 123_000);
        assert_eq!(json(Codec::DateTime(3), &at), "\"2026-11-21T12:00:00.123\"");
        assert_eq!(json(Codec::DateTime(0), &at), "\"2026-11-21T12:00:00\"");
        assert_eq!(json(Codec::Timestamp(6), &at), "\"2026-11-21T12:00:00.123000Z\"");
        assert_eq!(json(Codec::DateTime(AS_NEEDED), &at), "\"2026-11-21T12:00:00.123000\"");
        assert_eq!(json(Codec::Date, &at), "\"2026-11-21\"");
        assert_eq!(json(Codec::Time(0), &Value::Time(true, 34, 22, 59, 59, 0)), "\"-838:59:59\"");
        assert_eq!(json(Codec::Time(2), &Value::Time(false, 0, 1, 2, 3, 40_000)), "\"01:02:03.04\"");
        for zero in [Value::Date(0, 0, 0, 0, 0, 0, 0), Value::Date(2026, 11, 0, 0, 0, 0, 0)] {
            assert_eq!(json(Codec::DateTime(0), &zero), "null");
        }
    }

    #[test]
    fn keys_are_spelled_as_the_server_does() {
        let key = |codec: Codec, value| codec.key_part(&value).unwrap().unwrap();
        assert_eq!(key(Codec::Int, Value::UInt(7)), KeyPart::Int(7));
        assert_eq!(key(Codec::Bytes, Value::Bytes(vec![0xFF, 0])), KeyPart::Binary([0xFF, 0].into()));
        let at = Value::Date(2026, 1, 2, 3, 4, 5, 0);
        assert_eq!(key(Codec::Timestamp(1), at.clone()), KeyPart::Text("2026-01-02 03:04:05.0".into()));
        assert_eq!(key(Codec::Date, at), KeyPart::Text("2026-01-02".into()));
        assert_eq!(key(Codec::Decimal, Value::Bytes(b"1.50".to_vec())), KeyPart::Text("1.50".into()));
        assert!(Codec::Real.key_part(&Value::Double(1.0)).is_err());
        assert!(Codec::Text.key_part(&Value::Bytes(vec![0xFF])).is_err());
        assert_eq!(Codec::Int.key_part(&Value::NULL), Ok(None));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let refused = Codec::Text.write(&Value::Bytes(vec![b'a', 0xFF]), &Style::default(), &mut Vec::new());
        assert!(refused.unwrap_err().contains("byte 1"));
        assert_eq!(json(Codec::Bytes, &Value::Bytes(vec![0xFF])), "\"/w==\"");
    }
}
