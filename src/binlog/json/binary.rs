//! Reads the binary form in place. Offsets count from the first byte after a container's type.

use crate::binlog::cursor::Cursor;
use crate::binlog::error::Malformed;

/// A value, borrowed from the document.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Json<'a> {
    /// JSON null.
    Null,
    /// true or false.
    Bool(bool),
    /// INTEGER.
    Int(i64),
    /// UNSIGNED INTEGER.
    UInt(u64),
    /// DOUBLE.
    Double(f64),
    /// STRING, in UTF-8.
    Text(&'a [u8]),
    /// A value of an SQL type that JSON does not have.
    Opaque {
        /// MySQL's type code.
        type_code: u8,
        /// The value, by type.
        data: &'a [u8],
    },
    /// An object or array.
    Container(Container<'a>),
}

/// An object or array.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Container<'a> {
    data: &'a [u8],
    large: bool,
    pub(super) is_object: bool,
    pub(super) len: usize,
}

impl<'a> Json<'a> {
    /// Reads a document. No bytes at all stand for null: the server writes that for a value that a
    /// statement left out with errors ignored.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.split_first() {
            None => Ok(Self::Null),
            Some((kind, rest)) => Self::read_typed(*kind, rest),
        }
    }

    fn read_typed(kind: u8, data: &'a [u8]) -> Result<Self, Malformed> {
        let mut c = Cursor::new(data);
        Ok(match kind {
            0..=3 => Self::Container(Container::read(kind, data)?),
            4 => Self::literal(c.u8()?)?,
            5 => Self::Int(i64::from(c.u16()? as i16)),
            6 => Self::UInt(u64::from(c.u16()?)),
            7 => Self::Int(i64::from(c.u32()? as i32)),
            8 => Self::UInt(u64::from(c.u32()?)),
            9 => Self::Int(c.u64()? as i64),
            10 => Self::UInt(c.u64()?),
            11 => Self::Double(f64::from_le_bytes(c.array()?)),
            12 => Self::Text(sized(&mut c)?),
            15 => Self::Opaque { type_code: c.u8()?, data: sized(&mut c)? },
            _ => return Err(Malformed("a JSON value has an unknown type")),
        })
    }

    fn literal(byte: u8) -> Result<Self, Malformed> {
        match byte {
            0 => Ok(Self::Null),
            1 => Ok(Self::Bool(true)),
            2 => Ok(Self::Bool(false)),
            _ => Err(Malformed("a JSON literal is unknown")),
        }
    }
}

/// Keeps broken bytes from making much out of little: members may point anywhere, also to where others
/// point, but a whole document has no more values than bytes and is not nested deeper than the server allows.
pub(super) struct Budget {
    values: usize,
    depth: usize,
}

/// The server's own limit is 100.
pub(super) const MAX_DEPTH: usize = 128;

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { values: bytes + 1, depth: 0 }
    }

    /// Counts the members of a container that is about to be walked; [`Budget::leave`] ends it.
    pub(super) fn enter(&mut self, members: usize) -> Result<(), Malformed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Malformed("a JSON value is nested too deep"));
        }
        self.values =
            self.values.checked_sub(members).ok_or(Malformed("a JSON value has more members than bytes"))?;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// Bytes after a length in groups of 7 bits, lowest first.
fn sized<'a>(c: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    let mut len = 0_usize;
    for group in 0..5 {
        let byte = c.u8()?;
        len |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return c.bytes(len);
        }
    }
    Err(Malformed("a JSON string's length is too long"))
}

impl<'a> Container<'a> {
    fn read(kind: u8, data: &'a [u8]) -> Result<Self, Malformed> {
        let (large, is_object) = (kind & 1 == 1, kind < 2);
        let mut c = Cursor::new(data);
        let width = if large { 4 } else { 2 };
        let len = c.uint_le(width)? as usize;
        let size = c.uint_le(width)? as usize;
        let data = data.get(..size).ok_or(Malformed("a JSON container is longer than its bytes"))?;
        let this = Self { data, large, is_object, len };
        if this.value_entry(len) > size {
            return Err(Malformed("a JSON container counts more members than it has"));
        }
        Ok(this)
    }

    fn width(&self) -> usize {
        if self.large { 4 } else { 2 }
    }

    fn key_entry(&self, index: usize) -> usize {
        2 * self.width() + index * (self.width() + 2)
    }

    fn value_entry(&self, index: usize) -> usize {
        let keys = if self.is_object { self.len } else { 0 };
        self.key_entry(keys) + index * (self.width() + 1)
    }

    /// An object's key by its place.
    pub(super) fn key(&self, index: usize) -> Result<&'a [u8], Malformed> {
        let mut c = self.at(self.key_entry(index))?;
        let offset = c.uint_le(self.width())? as usize;
        let len = usize::from(c.u16()?);
        self.at(offset)?.bytes(len)
    }

    /// A member by its place.
    pub(super) fn value(&self, index: usize) -> Result<Json<'a>, Malformed> {
        let mut c = self.at(self.value_entry(index))?;
        let kind = c.u8()?;
        let inline = matches!(kind, 4..=6) || (self.large && matches!(kind, 7 | 8));
        if inline {
            return Json::read_typed(kind, c.rest());
        }
        let offset = c.uint_le(self.width())? as usize;
        Json::read_typed(kind, self.at(offset)?.rest())
    }

    fn at(&self, offset: usize) -> Result<Cursor<'a>, Malformed> {
        self.data.get(offset..).map(Cursor::new).ok_or(Malformed("a JSON offset is beyond its container"))
    }
}
