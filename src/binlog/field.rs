//! How each column type lies in a row image, and how it becomes a [`Value`].
//! Source: `Table_map_event` (types and their metadata) and log_event.cc, `log_event_print_value`.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::decimal;
use super::error::Malformed;
use super::temporal;
use crate::model::Value;

/// MySQL's type codes (enum_field_types), as TABLE_MAP events have them.
pub(super) mod code {
    pub(in crate::binlog) const TINY: u8 = 1;
    pub(in crate::binlog) const SHORT: u8 = 2;
    pub(in crate::binlog) const LONG: u8 = 3;
    pub(in crate::binlog) const FLOAT: u8 = 4;
    pub(in crate::binlog) const DOUBLE: u8 = 5;
    pub(in crate::binlog) const NULL: u8 = 6;
    pub(in crate::binlog) const TIMESTAMP: u8 = 7;
    pub(in crate::binlog) const LONGLONG: u8 = 8;
    pub(in crate::binlog) const INT24: u8 = 9;
    pub(in crate::binlog) const DATE: u8 = 10;
    pub(in crate::binlog) const TIME: u8 = 11;
    pub(in crate::binlog) const DATETIME: u8 = 12;
    pub(in crate::binlog) const YEAR: u8 = 13;
    pub(in crate::binlog) const NEWDATE: u8 = 14;
    pub(in crate::binlog) const VARCHAR: u8 = 15;
    pub(in crate::binlog) const BIT: u8 = 16;
    pub(in crate::binlog) const TIMESTAMP2: u8 = 17;
    pub(in crate::binlog) const DATETIME2: u8 = 18;
    pub(in crate::binlog) const TIME2: u8 = 19;
    pub(in crate::binlog) const TYPED_ARRAY: u8 = 20;
    pub(in crate::binlog) const VECTOR: u8 = 242;
    pub(in crate::binlog) const JSON: u8 = 245;
    pub(in crate::binlog) const NEWDECIMAL: u8 = 246;
    pub(in crate::binlog) const ENUM: u8 = 247;
    pub(in crate::binlog) const SET: u8 = 248;
    pub(in crate::binlog) const TINY_BLOB: u8 = 249;
    pub(in crate::binlog) const MEDIUM_BLOB: u8 = 250;
    pub(in crate::binlog) const LONG_BLOB: u8 = 251;
    pub(in crate::binlog) const BLOB: u8 = 252;
    pub(in crate::binlog) const VAR_STRING: u8 = 253;
    pub(in crate::binlog) const STRING: u8 = 254;
    pub(in crate::binlog) const GEOMETRY: u8 = 255;
}

/// A column's type code with its metadata, as the TABLE_MAP event has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Declared {
    /// The type; ENUM and SET, which travel as STRING, stand here as themselves.
    pub(super) code: u8,
    /// Its metadata: lengths, digits or bits, by type.
    pub(super) meta: u16,
}

impl Declared {
    /// Takes the metadata of one column.
    pub(super) fn read(code: u8, c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let meta = match code {
            code::FLOAT
            | code::DOUBLE
            | code::TIMESTAMP2
            | code::DATETIME2
            | code::TIME2
            | code::TINY_BLOB
            | code::MEDIUM_BLOB
            | code::LONG_BLOB
            | code::BLOB
            | code::JSON
            | code::GEOMETRY
            | code::VECTOR => u16::from(c.u8()?),
            code::VARCHAR | code::BIT | code::VAR_STRING => c.u16()?,
            code::NEWDECIMAL => u16::from_be_bytes(c.array()?),
            code::STRING | code::ENUM | code::SET => return Self::read_string(c),
            code::TYPED_ARRAY => {
                let element = c.u8()?;
                c.skip(usize::from(element == code::VARCHAR))?;
                Self::read(element, c)?;
                4 // stored as JSON is
            }
            _ => 0,
        };
        Ok(Self { code, meta })
    }

    /// STRING's first byte is the real type; the bits 4 and 5, inverted, are bits 8 and 9 of the length.
    fn read_string(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let [real, len] = c.array()?;
        let high = u16::from(real & 0x30 ^ 0x30) << 4;
        let code = if high == 0 { real } else { real | 0x30 };
        match code {
            code::ENUM | code::SET | code::STRING => Ok(Self { code, meta: high | u16::from(len) }),
            _ => Err(Malformed("a STRING column has a real type that is none")),
        }
    }

    /// True for the types that have a bit in the signedness metadata.
    pub(super) fn is_numeric(self) -> bool {
        matches!(self.code, code::NEWDECIMAL | code::FLOAT | code::DOUBLE) || self.is_int()
    }

    pub(super) fn is_int(self) -> bool {
        matches!(self.code, code::TINY | code::SHORT | code::INT24 | code::LONG | code::LONGLONG)
    }

    /// True for the types that have a character set in the metadata.
    pub(super) fn is_character(self) -> bool {
        matches!(
            self.code,
            code::STRING
                | code::VAR_STRING
                | code::VARCHAR
                | code::BLOB
                | code::TINY_BLOB
                | code::MEDIUM_BLOB
                | code::LONG_BLOB
        )
    }

    pub(super) fn is_enum_or_set(self) -> bool {
        matches!(self.code, code::ENUM | code::SET)
    }
}

/// A column's layout in row images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Int(u8),
    UInt(u8),
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
        len: u8,
    },
    Bit(u8),
    Year,
    Date,
    /// With the bytes of its fraction.
    Time(u8),
    DateTime(u8),
    Timestamp(u8),
    OldTime,
    OldDateTime,
    OldTimestamp,
    /// With the bytes of its length.
    Bytes(u8),
    FixedBinary {
        len_bytes: u8,
        width: u16,
    },
    Json(u8),
    Enum(u8),
    Set(u8),
    Null,
}

impl Field {
    /// The layout of a declared type. `binary` says that a STRING is BINARY(n).
    pub(super) fn new(declared: Declared, unsigned: bool, binary: bool) -> Result<Self, Malformed> {
        let Declared { code, meta } = declared;
        let int = |len| if unsigned { Self::UInt(len) } else { Self::Int(len) };
        let prefix = if meta > 255 { 2 } else { 1 };
        Ok(match code {
            code::TINY => int(1),
            code::SHORT => int(2),
            code::INT24 => int(3),
            code::LONG => int(4),
            code::LONGLONG => int(8),
            code::FLOAT => Self::Float,
            code::DOUBLE => Self::Double,
            code::NEWDECIMAL => {
                let [precision, scale] = meta.to_be_bytes();
                let len =
                    decimal::len(precision, scale).ok_or(Malformed("a DECIMAL has impossible digits"))?;
                Self::Decimal { precision, scale, len }
            }
            code::BIT => {
                let [bits, bytes] = meta.to_le_bytes();
                Self::Bit(at_most_8(u16::from(bytes) + u16::from(bits > 0))?)
            }
            code::YEAR => Self::Year,
            code::DATE | code::NEWDATE => Self::Date,
            code::TIME => Self::OldTime,
            code::DATETIME => Self::OldDateTime,
            code::TIMESTAMP => Self::OldTimestamp,
            code::TIME2 => Self::Time(fraction_len(meta)?),
            code::DATETIME2 => Self::DateTime(fraction_len(meta)?),
            code::TIMESTAMP2 => Self::Timestamp(fraction_len(meta)?),
            code::STRING if binary => Self::FixedBinary { len_bytes: prefix, width: meta },
            code::VARCHAR | code::VAR_STRING | code::STRING => Self::Bytes(prefix),
            code::ENUM => Self::Enum(at_most_8(meta)?),
            code::SET => Self::Set(at_most_8(meta)?),
            code::TINY_BLOB => Self::Bytes(1),
            code::MEDIUM_BLOB => Self::Bytes(3),
            code::LONG_BLOB => Self::Bytes(4),
            code::BLOB | code::GEOMETRY | code::VECTOR => Self::Bytes(at_most_8(meta)?),
            code::JSON | code::TYPED_ARRAY => Self::Json(at_most_8(meta)?),
            code::NULL => Self::Null,
            _ => return Err(Malformed("a column has a type that is unknown")),
        })
    }

    /// Passes over one value that is not NULL.
    #[inline]
    pub(super) fn skip(self, c: &mut Cursor<'_>) -> Result<(), Malformed> {
        let len = match self {
            Self::Int(len)
            | Self::UInt(len)
            | Self::Bit(len)
            | Self::Enum(len)
            | Self::Set(len)
            | Self::Decimal { len, .. } => len,
            Self::Float | Self::OldTimestamp => 4,
            Self::Double | Self::OldDateTime => 8,
            Self::Year => 1,
            Self::Date | Self::OldTime => 3,
            Self::Time(fraction) => 3 + fraction,
            Self::DateTime(fraction) => 5 + fraction,
            Self::Timestamp(fraction) => 4 + fraction,
            Self::Bytes(len_bytes) | Self::Json(len_bytes) | Self::FixedBinary { len_bytes, .. } => {
                return prefixed(len_bytes, c).map(drop);
            }
            Self::Null => 0,
        };
        c.skip(usize::from(len))
    }

    /// Reads one value that is not NULL.
    #[inline]
    pub(super) fn read<'a>(self, c: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        Ok(match self {
            Self::Int(1) => Value::Int(i64::from(c.u8()? as i8)),
            Self::Int(2) => Value::Int(i64::from(c.u16()? as i16)),
            Self::Int(3) => Value::Int(i64::from((c.u24()? << 8) as i32 >> 8)),
            Self::Int(4) => Value::Int(i64::from(c.u32()? as i32)),
            Self::Int(_) => Value::Int(c.u64()? as i64),
            Self::UInt(1) => Value::UInt(u64::from(c.u8()?)),
            Self::UInt(2) => Value::UInt(u64::from(c.u16()?)),
            Self::UInt(3) => Value::UInt(u64::from(c.u24()?)),
            Self::UInt(4) => Value::UInt(u64::from(c.u32()?)),
            Self::UInt(_) => Value::UInt(c.u64()?),
            Self::Float => Value::Float(f32::from_le_bytes(c.array()?)),
            Self::Double => Value::Double(f64::from_le_bytes(c.array()?)),
            Self::Decimal { .. } => {
                let mut out = Vec::new();
                self.read_decimal(c, &mut out)?;
                Value::Decimal(Cow::Owned(String::from_utf8(out).unwrap_or_default()))
            }
            Self::Bit(len) => Value::Bit(c.uint_be(usize::from(len))?),
            Self::Year => Value::UInt(match c.u8()? {
                0 => 0,
                year => 1900 + u64::from(year),
            }),
            Self::Bytes(len_bytes) => Value::Bytes(Cow::Borrowed(prefixed(len_bytes, c)?)),
            Self::FixedBinary { len_bytes, width } => {
                Value::Bytes(padded(prefixed(len_bytes, c)?, usize::from(width)))
            }
            Self::Json(len_bytes) => Value::Json(prefixed(len_bytes, c)?),
            Self::Enum(len) => Value::Enum(c.uint_le(usize::from(len))? as u16),
            Self::Set(len) => Value::Set(c.uint_le(usize::from(len))?),
            Self::Null => Value::Null,
            _ => return self.read_temporal(c),
        })
    }

    fn read_temporal<'a>(self, c: &mut Cursor<'a>) -> Result<Value<'a>, Malformed> {
        Ok(match self {
            Self::Date => temporal::date(c.u24()?),
            Self::Time(fraction) => temporal::time(c, fraction)?,
            Self::DateTime(fraction) => temporal::datetime(c, fraction)?,
            Self::Timestamp(fraction) => temporal::timestamp(c, fraction)?,
            Self::OldTime => temporal::old_time(c.u24()?),
            Self::OldDateTime => temporal::old_datetime(c.u64()?),
            _ => Value::Timestamp { seconds: c.u32()?, micros: 0 },
        })
    }

    /// Reads a DECIMAL as digits into `out`; nothing for other fields.
    #[inline]
    pub(super) fn read_decimal(self, c: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let Self::Decimal { precision, scale, len } = self else { return Ok(()) };
        decimal::format(c.bytes(usize::from(len))?, precision, scale, out)
    }
}

#[inline]
fn prefixed<'a>(len_bytes: u8, c: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let len = match len_bytes {
        1 => usize::from(c.u8()?),
        2 => usize::from(c.u16()?),
        3 => c.u24()? as usize,
        _ => c.u32()? as usize,
    };
    c.bytes(len)
}

/// Puts back the zeros that the server cuts from the end of BINARY(n).
fn padded(bytes: &[u8], width: usize) -> Cow<'_, [u8]> {
    if bytes.len() >= width {
        return Cow::Borrowed(bytes);
    }
    let mut whole = Vec::with_capacity(width);
    whole.extend_from_slice(bytes);
    whole.resize(width, 0);
    Cow::Owned(whole)
}

fn at_most_8(len: u16) -> Result<u8, Malformed> {
    if len <= 8 { Ok(len as u8) } else { Err(Malformed("a column's metadata is out of range")) }
}

fn fraction_len(digits: u16) -> Result<u8, Malformed> {
    if digits <= 6 {
        Ok(digits.div_ceil(2) as u8)
    } else {
        Err(Malformed("a column has over 6 fractional digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(code: u8, meta: &[u8]) -> Declared {
        Declared::read(code, &mut Cursor::new(meta)).unwrap()
    }

    #[test]
    fn strings_longer_than_255_bytes_hide_bits_in_the_real_type() {
        // CHAR(255) in utf8mb4: 1020 bytes.
        let char_255 = declared(code::STRING, &[0xce, 0xfc]);
        assert_eq!(char_255, Declared { code: code::STRING, meta: 1020 });
        assert_eq!(Field::new(char_255, false, false), Ok(Field::Bytes(2)));
        assert_eq!(declared(code::STRING, &[247, 2]), Declared { code: code::ENUM, meta: 2 });
        assert!(Declared::read(code::STRING, &mut Cursor::new(&[3, 3])).is_err());
    }

    #[test]
    fn binary_is_padded_with_zeros() {
        let field = Field::FixedBinary { len_bytes: 1, width: 4 };
        let value = field.read(&mut Cursor::new(b"\x02ab")).unwrap();
        assert_eq!(value, Value::Bytes(Cow::Borrowed(b"ab\0\0")));
    }

    #[test]
    fn integers_of_three_bytes_keep_their_sign() {
        assert_eq!(Field::Int(3).read(&mut Cursor::new(&[0, 0, 0x80])), Ok(Value::Int(-8_388_608)));
        assert_eq!(Field::UInt(3).read(&mut Cursor::new(&[0xff; 3])), Ok(Value::UInt(16_777_215)));
    }

    #[test]
    fn metadata_out_of_range_is_refused() {
        for bad in [
            Declared { code: code::NEWDECIMAL, meta: 0x0205 },
            Declared { code: code::TIME2, meta: 7 },
            Declared { code: code::BIT, meta: 0xff00 },
            Declared { code: 0, meta: 0 },
        ] {
            assert!(Field::new(bad, false, false).is_err(), "{bad:?}");
        }
    }
}
