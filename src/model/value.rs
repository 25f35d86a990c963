//! Values of row images, borrowed from the event they came in.

use std::borrow::Cow;

/// One column's value in a row image. Text and JSON stay as the event's bytes: who needs them decodes them.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    /// The image does not carry this column (row image MINIMAL or NOBLOB).
    Absent,
    /// SQL NULL.
    Null,
    /// Signed integer kinds.
    Int(i64),
    /// Unsigned integer kinds, and YEAR (0 is the zero year).
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL in plain notation with its declared scale, for example `-12.30`.
    Decimal(Cow<'a, str>),
    /// BIT(n), most significant first.
    Bit(u64),
    /// ENUM's number, 0 for the error value.
    Enum(u16),
    /// SET's bits.
    Set(u64),
    /// CHAR, VARCHAR, TEXT, BINARY (padded where the collation is known), VARBINARY, BLOB, GEOMETRY, VECTOR.
    Bytes(Cow<'a, [u8]>),
    /// JSON in MySQL's binary form.
    Json(&'a [u8]),
    /// A partial update of JSON (event PARTIAL_UPDATE_ROWS): the diff's bytes.
    JsonDiff(&'a [u8]),
    /// DATE; zero dates have zero parts.
    Date {
        /// Year.
        year: u16,
        /// Month, 0 to 12.
        month: u8,
        /// Day, 0 to 31.
        day: u8,
    },
    /// DATETIME.
    DateTime {
        /// Year.
        year: u16,
        /// Month, 0 to 12.
        month: u8,
        /// Day, 0 to 31.
        day: u8,
        /// Hour.
        hour: u8,
        /// Minute.
        minute: u8,
        /// Second.
        second: u8,
        /// Microseconds.
        micros: u32,
    },
    /// TIMESTAMP: seconds since 1970 UTC; 0 is the zero timestamp.
    Timestamp {
        /// Seconds since the epoch.
        seconds: u32,
        /// Microseconds.
        micros: u32,
    },
    /// TIME, up to 838 hours either way.
    Time {
        /// Below zero.
        negative: bool,
        /// Hours.
        hours: u16,
        /// Minute.
        minute: u8,
        /// Second.
        second: u8,
        /// Microseconds.
        micros: u32,
    },
}

impl Value<'_> {
    /// True for [`Value::Absent`].
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// True for SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}
