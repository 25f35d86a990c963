//! What only MariaDB writes: its GTIDs, and compressed events (`log_bin_compress`).
//! Source: sql/log_event.h, `Gtid_log_event`, and sql/log_event.cc, `row_log_event_uncompress`.

use std::fmt;
use std::io::Read as _;

use super::cursor::Cursor;
use super::error::Malformed;
use super::header::{EventType, Header};

/// FL_STANDALONE: no BEGIN and no COMMIT, a single statement follows.
const STANDALONE: u8 = 1;
/// What a compressed event may become: more is a broken length.
const MAX_LEN: u64 = 1 << 30;

/// A transaction of MariaDB begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MariadbGtid {
    /// The replication domain.
    pub domain: u32,
    /// The server that wrote it first.
    pub server_id: u32,
    /// The number within the domain.
    pub sequence: u64,
    /// True where one statement follows, without an event that ends the transaction.
    pub standalone: bool,
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server_id, self.sequence)
    }
}

impl MariadbGtid {
    pub(super) fn read(header: &Header, c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (sequence, domain, flags) = (c.u64()?, c.u32()?, c.u8()?);
        Ok(Self { domain, server_id: header.server_id, sequence, standalone: flags & STANDALONE != 0 })
    }
}

/// The type that a compressed event has once it is not; `None` for other events.
pub(super) fn uncompressed(event_type: EventType) -> Option<EventType> {
    Some(match event_type {
        EventType::MARIADB_QUERY_COMPRESSED => EventType::QUERY,
        EventType::MARIADB_WRITE_ROWS_COMPRESSED_V1 => EventType::WRITE_ROWS_V1,
        EventType::MARIADB_UPDATE_ROWS_COMPRESSED_V1 => EventType::UPDATE_ROWS_V1,
        EventType::MARIADB_DELETE_ROWS_COMPRESSED_V1 => EventType::DELETE_ROWS_V1,
        EventType::MARIADB_WRITE_ROWS_COMPRESSED => EventType::WRITE_ROWS,
        EventType::MARIADB_UPDATE_ROWS_COMPRESSED => EventType::UPDATE_ROWS,
        EventType::MARIADB_DELETE_ROWS_COMPRESSED => EventType::DELETE_ROWS,
        _ => return None,
    })
}

/// Writes the body of the event that a compressed one stands for; `plain` is that event's type.
pub(super) fn inflate(
    plain: EventType,
    table_id_len: usize,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut c = Cursor::new(body);
    if plain == EventType::QUERY {
        c.skip(8)?;
        let schema = usize::from(c.u8()?);
        c.skip(2)?;
        let session = usize::from(c.u16()?);
        c.skip(session + schema + 1)?;
    } else {
        c.skip(table_id_len + 2)?;
        if [EventType::WRITE_ROWS, EventType::UPDATE_ROWS, EventType::DELETE_ROWS].contains(&plain) {
            let extra = usize::from(c.u16()?);
            c.skip(extra.checked_sub(2).ok_or(Malformed::SHORT)?)?;
        }
        let bitmap = c.packed_len()?.div_ceil(8);
        let bitmaps =
            if [EventType::UPDATE_ROWS, EventType::UPDATE_ROWS_V1].contains(&plain) { 2 } else { 1 };
        c.skip(bitmap * bitmaps)?;
    }
    out.clear();
    out.extend_from_slice(body.get(..body.len() - c.remaining()).unwrap_or_default());
    inflate_part(&mut c, out)
}

/// A byte (bit 7 set, bits 0 to 2: bytes of the length), the length in big endian, a zlib stream.
fn inflate_part(c: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let head = c.u8()?;
    let algorithm = head >> 4 & 7;
    if head & 0x80 == 0 || algorithm != 0 {
        return Err(Malformed("its compression is unknown"));
    }
    let len = c.uint_be(usize::from(head & 7))?;
    let before = out.len() as u64;
    let stream = flate2::read::ZlibDecoder::new(c.rest());
    stream
        .take(len.min(MAX_LEN) + 1)
        .read_to_end(out)
        .map_err(|_| Malformed("its compressed part does not decompress"))?;
    if out.len() as u64 - before == len {
        Ok(())
    } else {
        Err(Malformed("its compressed part has another length than it says"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn compressed_rows_become_plain_ones() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&[0, 7, 0, 0, 0]).unwrap();
        let head = [5, 0, 0, 0, 0, 0, 1, 0, 1, 0xff];
        let body = [&head[..], &[0x81, 5], &zlib.finish().unwrap()].concat();
        let mut out = Vec::new();
        inflate(EventType::WRITE_ROWS_V1, 6, &body, &mut out).unwrap();
        assert_eq!(out, [&head[..], &[0, 7, 0, 0, 0]].concat());
        for cut in 0..body.len() {
            assert!(inflate(EventType::WRITE_ROWS_V1, 6, &body[..cut], &mut out).is_err(), "{cut}");
        }
    }
}
