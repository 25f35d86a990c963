//! What MariaDB's binlog has of its own: GTIDs of domain, server and sequence; rows and statements compressed one event
//! at a time. Source: "Replication Protocol" in MariaDB's documentation, sql/log_event.cc.

use std::fmt;
use std::io::Read as _;

use super::cursor::Cursor;
use super::error::Malformed;
use super::gtid::GtidEvent;
use super::header::{EventType, Header};
use super::query::Xid;

/// FL_STANDALONE: one event follows, and no end.
const STANDALONE: u8 = 1;
/// FL_GROUP_COMMIT_ID: the group's number follows.
const GROUP_COMMIT: u8 = 2;
/// FL_PREPARED_XA: an XA transaction up to its XA PREPARE follows.
const PREPARED_XA: u8 = 64;
/// FL_COMPLETED_XA: XA COMMIT or XA ROLLBACK follows.
const COMPLETED_XA: u8 = 128;

/// Bytes of an event at most once it is decompressed: more than `max_allowed_packet` can be.
const LARGEST: u64 = 1 << 30;

/// A transaction's name on MariaDB, written `domain-server-sequence`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MariaGtid {
    /// The replication domain.
    pub domain: u32,
    /// The server that took it first.
    pub server: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

impl fmt::Display for MariaGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

/// How MariaDB's GTID event says a transaction begins, beside its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MariaBegin {
    /// Its name.
    pub gtid: MariaGtid,
    /// True where an end follows: the event is a BEGIN as well.
    pub begins: bool,
    /// The XA transaction that it begins; no XA START follows.
    pub xa_start: Option<Xid>,
}

/// Reads a GTID event. Its time is the header's: whole seconds.
pub(super) fn gtid(header: &Header, c: &mut Cursor<'_>) -> Result<GtidEvent, Malformed> {
    let (sequence, domain, flags) = (c.u64()?, c.u32()?, c.u8()?);
    if flags & GROUP_COMMIT != 0 {
        c.skip(8)?;
    }
    let mut xa_start = None;
    if flags & (PREPARED_XA | COMPLETED_XA) != 0 {
        let format_id = c.u32()?;
        let (gtrid, bqual) = (usize::from(c.u8()?), usize::from(c.u8()?));
        let xid = Xid { format_id, gtrid: c.bytes(gtrid)?.into(), bqual: c.bytes(bqual)?.into() };
        xa_start = (flags & PREPARED_XA != 0).then_some(xid);
    }
    let micros = u64::from(header.timestamp) * 1_000_000;
    Ok(GtidEvent {
        maria: Some(MariaBegin {
            gtid: MariaGtid { domain, server: header.server_id, sequence },
            begins: flags & STANDALONE == 0,
            xa_start,
        }),
        original_commit_timestamp: micros,
        immediate_commit_timestamp: micros,
        ..GtidEvent::default()
    })
}

/// The type that a compressed event has once it is decompressed; `None` for events that are not.
pub(super) fn plain_type(compressed: EventType) -> Option<EventType> {
    Some(match compressed {
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

/// Writes the body of a compressed event as it would be uncompressed, given the type it has then. Only its tail is
/// compressed: the statement's text, or the rows behind the bitmaps.
pub(super) fn decompress(
    plain: EventType,
    table_id_len: usize,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut c = Cursor::new(body);
    if plain == EventType::QUERY {
        c.skip(4 + 4)?;
        let schema = usize::from(c.u8()?);
        c.skip(2)?;
        let session = usize::from(c.u16()?);
        c.skip(session + schema + 1)?;
    } else {
        c.skip(table_id_len + 2)?;
        if [EventType::WRITE_ROWS, EventType::UPDATE_ROWS, EventType::DELETE_ROWS].contains(&plain) {
            let extra = usize::from(c.u16()?);
            c.skip(extra.checked_sub(2).ok_or(Malformed("its extra data is shorter than its length"))?)?;
        }
        let bitmap = c.packed_len()?.div_ceil(8);
        let update = [EventType::UPDATE_ROWS, EventType::UPDATE_ROWS_V1].contains(&plain);
        c.skip(if update { bitmap * 2 } else { bitmap })?;
    }
    let head = body.len() - c.remaining();
    out.clear();
    out.extend_from_slice(body.get(..head).unwrap_or_default());
    inflate(&mut c, out)
}

/// A byte (bit 7 set; the algorithm, 0 for zlib; the bytes of the size), the size most significant byte first,
/// and the compressed bytes.
fn inflate(c: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let head = c.u8()?;
    let size_bytes = usize::from(head & 7);
    if head & 0xf0 != 0x80 || !(1..=4).contains(&size_bytes) {
        return Err(Malformed("its compression is unknown"));
    }
    let size = c.uint_be(size_bytes)?;
    if size > LARGEST {
        return Err(Malformed("it is too large once decompressed"));
    }
    let before = out.len();
    let inflated = flate2::read::ZlibDecoder::new(c.take_rest()).take(size + 1).read_to_end(out);
    if inflated.is_err() {
        return Err(Malformed("it does not decompress"));
    }
    if (out.len() - before) as u64 != size {
        return Err(Malformed("it has another size than it says"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn header(server_id: u32) -> Header {
        let event_type = EventType::MARIADB_GTID;
        Header { timestamp: 1_795_000_000, event_type, server_id, length: 0, next_position: 0, flags: 0 }
    }

    #[test]
    fn gtid_events_with_and_without_their_parts() {
        let base = [7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0];
        let plain = [base.as_slice(), &[STANDALONE | 8, 0, 0, 0, 0, 0, 0]].concat();
        let event = gtid(&header(5), &mut Cursor::new(&plain)).unwrap();
        let maria = event.maria.unwrap();
        assert_eq!((maria.gtid.to_string().as_str(), maria.begins, maria.xa_start), ("3-5-7", false, None));
        assert_eq!(event.original_commit_timestamp, 1_795_000_000_000_000);
        let group =
            [base.as_slice(), &[GROUP_COMMIT | PREPARED_XA], &[9; 8], &[1, 0, 0, 0, 2, 1], b"abc"].concat();
        let maria = gtid(&header(5), &mut Cursor::new(&group)).unwrap().maria.unwrap();
        assert!(maria.begins);
        assert_eq!(maria.xa_start.unwrap().to_string(), "X'6162',X'63',1");
        for cut in 0..group.len() {
            assert!(gtid(&header(5), &mut Cursor::new(&group[..cut])).is_err(), "{cut}");
        }
    }

    fn compressed(text: &[u8], size: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | size.len() as u8];
        out.extend_from_slice(size);
        let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_tail_is_decompressed_and_the_head_stays() {
        let rows = vec![7; 300];
        let head = [5, 0, 0, 0, 0, 0, 1, 0, 9, 255, 1, 255, 1];
        let body = [head.as_slice(), &compressed(&rows, &[1, 44])].concat();
        let mut out = Vec::new();
        decompress(EventType::UPDATE_ROWS_V1, 6, &body, &mut out).unwrap();
        assert_eq!(out, [head.as_slice(), &rows].concat());
        let head = [[0; 8].as_slice(), &[1, 0, 0, 2, 0], b"??", b"d\0"].concat();
        let body = [head.as_slice(), &compressed(b"DROP TABLE t", &[12])].concat();
        decompress(EventType::QUERY, 6, &body, &mut out).unwrap();
        assert_eq!(out, [head.as_slice(), b"DROP TABLE t"].concat());
    }

    #[test]
    fn what_is_broken_is_refused() {
        let head = [5, 0, 0, 0, 0, 0, 1, 0, 1, 255];
        let of =
            |tail: &[u8]| decompress(EventType::WRITE_ROWS_V1, 6, &[&head, tail].concat(), &mut Vec::new());
        let good = compressed(b"rows", &[4]);
        assert!(of(&good).is_ok());
        assert!(of(&compressed(b"rows", &[3])).is_err() && of(&compressed(b"rows", &[5])).is_err());
        assert!(of(&compressed(b"rows", &[255, 255, 255, 255])).is_err(), "a size beyond all bounds");
        assert!(of(&[0x91, 4, 0]).is_err() && of(&[0x80, 0]).is_err() && of(&[]).is_err());
        for cut in 0..good.len() - 1 {
            assert!(of(&good[..cut]).is_err(), "{cut}");
        }
    }
}
