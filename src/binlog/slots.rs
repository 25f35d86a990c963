//! Which columns an image carries, and how each of them stands in it.

use super::cursor::{Cursor, bit};
use super::error::Malformed;
use super::field::Field;
use crate::model::Value;

/// Which columns an event's images carry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present<'a> {
    pub(super) bits: &'a [u8],
    pub(super) count: usize,
    pub(super) all: bool,
}

impl<'a> Present<'a> {
    pub(super) fn read(columns: usize, c: &mut Cursor<'a>) -> Result<Self, Malformed> {
        let bits = c.bytes(columns.div_ceil(8))?;
        let count = (0..columns).filter(|i| bit(bits, *i)).count();
        Ok(Self { bits, count, all: count == columns })
    }
}

/// How a column stands in an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Absent,
    Null,
    Plain,
    Diff,
}

impl Slot {
    #[inline]
    pub(super) fn skip(self, field: Field, c: &mut Cursor<'_>) -> Result<(), Malformed> {
        match self {
            Self::Absent | Self::Null => Ok(()),
            Self::Plain | Self::Diff => field.skip(c),
        }
    }

    #[inline]
    pub(super) fn read<'r>(self, field: Field, c: &mut Cursor<'r>) -> Result<Value<'r>, Malformed> {
        match self {
            Self::Absent => Ok(Value::Absent),
            Self::Null => Ok(Value::Null),
            Self::Plain => field.read(c),
            Self::Diff => match field.read(c)? {
                Value::Json(diff) => Ok(Value::JsonDiff(diff)),
                _ => Err(Malformed("a column that is not JSON has a JSON diff")),
            },
        }
    }
}

/// Walks the columns of an image.
pub(super) struct Slots<'r> {
    fields: std::iter::Enumerate<std::slice::Iter<'r, Field>>,
    present: Present<'r>,
    nulls: &'r [u8],
    /// The next null bits, lowest first; a one above them says that they are used up.
    null_bits: u32,
    partial: Option<&'r [u8]>,
    json: usize,
}

impl<'r> Slots<'r> {
    #[inline]
    pub(super) fn new(
        fields: &'r [Field],
        present: &Present<'r>,
        nulls: &'r [u8],
        partial: Option<&'r [u8]>,
    ) -> Self {
        Self { fields: fields.iter().enumerate(), present: *present, nulls, null_bits: 1, partial, json: 0 }
    }

    #[inline]
    fn next_is_null(&mut self) -> bool {
        if self.null_bits == 1 {
            let (first, rest) = self.nulls.split_first().unwrap_or((&0, &[]));
            self.null_bits = u32::from(*first) | 0x100;
            self.nulls = rest;
        }
        let null = self.null_bits & 1 == 1;
        self.null_bits >>= 1;
        null
    }
}

impl Iterator for Slots<'_> {
    type Item = (usize, Field, Slot);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (column, field) = self.fields.next()?;
        let mut full = Slot::Plain;
        if let (Some(bits), Field::Json(_)) = (self.partial, field) {
            if bit(bits, self.json) {
                full = Slot::Diff;
            }
            self.json += 1;
        }
        if !self.present.all && !bit(self.present.bits, column) {
            return Some((column, *field, Slot::Absent));
        }
        let null = self.next_is_null();
        Some((column, *field, if null { Slot::Null } else { full }))
    }
}
