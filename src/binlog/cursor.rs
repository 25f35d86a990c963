//! A bounds-checked reader over an event's bytes; everything it gives borrows from them.

use super::error::Malformed;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, Malformed>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// What is left, without taking it.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes all that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Read<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Malformed::SHORT)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn skip(&mut self, len: usize) -> Read<()> {
        self.bytes(len).map(drop)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed::SHORT)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[b]| b)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u24(&mut self) -> Read<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Little-endian unsigned integer of 0 to 8 bytes.
    #[inline]
    pub(crate) fn uint_le(&mut self, len: usize) -> Read<u64> {
        Ok(self.bytes(len)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Big-endian unsigned integer of 0 to 8 bytes.
    #[inline]
    pub(crate) fn uint_be(&mut self, len: usize) -> Read<u64> {
        Ok(self.bytes(len)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Length-encoded integer (protocol::LengthEncodedInteger, "packed integer" in the binlog's manual).
    pub(crate) fn packed(&mut self) -> Read<u64> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.u16().map(u64::from),
            253 => self.u24().map(u64::from),
            254 => self.u64(),
            251 | 255 => Err(Malformed("a packed integer begins with 251 or 255")),
        }
    }

    /// A packed integer that counts bytes or items within this event.
    pub(crate) fn packed_len(&mut self) -> Read<usize> {
        usize::try_from(self.packed()?).map_err(|_| Malformed::SHORT)
    }

    /// Bytes after their packed length.
    pub(crate) fn packed_bytes(&mut self) -> Read<&'a [u8]> {
        let len = self.packed_len()?;
        self.bytes(len)
    }

    /// Variable-length integer of mysql::serialization (WL#15294): the first byte's trailing ones count
    /// the bytes that follow it.
    pub(crate) fn varlen(&mut self) -> Read<u64> {
        let first = *self.rest.first().ok_or(Malformed::SHORT)?;
        match first.trailing_ones() {
            8 => {
                self.skip(1)?;
                self.u64()
            }
            7 => Ok(self.u64()? >> 8),
            more => Ok(self.uint_le(more as usize + 1)? >> (more + 1)),
        }
    }

    /// Signed variable-length integer of mysql::serialization: the lowest bit is the sign.
    pub(crate) fn varlen_signed(&mut self) -> Read<i64> {
        let raw = self.varlen()?;
        let magnitude = (raw >> 1) as i64;
        Ok(if raw & 1 == 1 { -magnitude - 1 } else { magnitude })
    }
}

/// Bit `index` of a bitmap whose lowest bit of the first byte is bit 0; false beyond its end.
#[inline]
pub(crate) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_integers() {
        let mut c = Cursor::new(&[250, 252, 1, 2, 253, 1, 2, 3, 254, 1, 0, 0, 0, 0, 0, 0, 1, 251]);
        assert_eq!(c.packed(), Ok(250));
        assert_eq!(c.packed(), Ok(0x0201));
        assert_eq!(c.packed(), Ok(0x03_0201));
        assert_eq!(c.packed(), Ok(0x0100_0000_0000_0001));
        assert!(c.packed().is_err() && c.packed().is_err());
    }

    #[test]
    fn varlen_integers() {
        for (bytes, value) in [
            (&[0b1111_1110][..], 127),
            (&[0b0000_0001, 0b10][..], 128),
            (&[0x7f, 0, 0, 0, 0, 0, 0, 1][..], 1 << 48),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], u64::MAX),
        ] {
            assert_eq!(Cursor::new(bytes).varlen(), Ok(value), "{bytes:?}");
        }
        assert_eq!(Cursor::new(&[0b110]).varlen_signed(), Ok(-2));
        assert_eq!(Cursor::new(&[0xff; 9]).varlen_signed(), Ok(i64::MIN));
    }

    #[test]
    fn short_input_is_an_error() {
        let mut c = Cursor::new(&[1, 2]);
        assert_eq!(c.u32(), Err(Malformed::SHORT));
        assert_eq!(c.u16(), Ok(0x0201));
        assert!(c.is_empty() && c.bytes(1).is_err());
    }
}
