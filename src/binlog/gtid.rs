//! Transactions' identifiers: GTID, ANONYMOUS_GTID, GTID_TAGGED (WL#15294) and PREVIOUS_GTIDS.

use super::cursor::Cursor;
use super::error::Malformed;
use super::header::EventType;
use super::mariadb::MariaBegin;
use crate::model::{Gtid, GtidSet, Tag, Uuid};

/// LOGICAL_TIMESTAMP_TYPECODE: group commit's numbers follow (5.7+).
const LOGICAL_TIMESTAMP: u8 = 2;

/// A transaction begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GtidEvent {
    /// Its identifier; `None` for an anonymous transaction.
    pub gtid: Option<Gtid>,
    /// FLAG_MAY_HAVE_SBR: it may hold statements as text.
    pub may_have_statements: bool,
    /// Group commit: the last transaction that must be committed before this one can run.
    pub last_committed: i64,
    /// Group commit: this transaction's number within its file.
    pub sequence_number: i64,
    /// Microseconds since 1970 of its commit on the server that took it first (WL#7319); 0 where unknown.
    pub original_commit_timestamp: u64,
    /// Microseconds since 1970 of its commit on the server that is read; 0 where unknown.
    pub immediate_commit_timestamp: u64,
    /// Bytes from this event's start to the transaction's end; 0 where unknown (before 8.0.2).
    pub transaction_length: u64,
    /// `@@version` of the first server as a number, for example 90704; 0 where unknown.
    pub original_server_version: u32,
    /// What MariaDB's event says; `None` on MySQL.
    pub maria: Option<MariaBegin>,
}

impl GtidEvent {
    pub(super) fn read(event_type: EventType, c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        if event_type == EventType::GTID_TAGGED {
            Self::read_tagged(c)
        } else {
            Self::read_plain(event_type, c)
        }
    }

    fn read_plain(event_type: EventType, c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut event = Self { may_have_statements: c.u8()? & 1 == 1, ..Self::default() };
        let (uuid, number) = (Uuid(c.array()?), c.u64()?);
        if event_type != EventType::ANONYMOUS_GTID {
            event.gtid = Some(Gtid { uuid, tag: Tag::default(), number });
        }
        if c.is_empty() || c.u8()? != LOGICAL_TIMESTAMP {
            return Ok(event);
        }
        event.last_committed = c.u64()? as i64;
        event.sequence_number = c.u64()? as i64;
        if c.remaining() < 7 {
            return Ok(event);
        }
        // The highest bit says that a second number follows: this server is not the first.
        let immediate = c.uint_le(7)?;
        event.immediate_commit_timestamp = immediate & !(1 << 55);
        event.original_commit_timestamp =
            if immediate >> 55 == 1 { c.uint_le(7)? } else { event.immediate_commit_timestamp };
        if !c.is_empty() {
            event.transaction_length = c.packed()?;
        }
        if c.remaining() >= 4 {
            let immediate = c.u32()?;
            event.original_server_version = if immediate >> 31 == 1 { c.u32()? } else { immediate };
        }
        Ok(event)
    }

    /// A message of mysql::serialization: version, size, last field that must be known, then fields, each
    /// after its number.
    fn read_tagged(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let whole = c.remaining();
        let _version = c.varlen()?;
        let size = usize::try_from(c.varlen()?).map_err(|_| Malformed::SHORT)?;
        let must_know = c.varlen()?;
        let fields = size.checked_sub(whole - c.remaining()).ok_or(Malformed::SHORT)?;
        let mut c = Cursor::new(c.bytes(fields)?);
        let mut event = Self::default();
        let mut gtid = Gtid::default();
        while !c.is_empty() {
            let field = c.varlen()?;
            if field > 11 {
                if field <= must_know {
                    return Err(Malformed("it has a field that must be known and is not"));
                }
                break; // fields are in order, and how long this one is nobody says
            }
            event.read_field(field, &mut gtid, &mut c)?;
        }
        if event.original_commit_timestamp == 0 {
            event.original_commit_timestamp = event.immediate_commit_timestamp;
        }
        event.gtid = Some(gtid);
        Ok(event)
    }

    fn read_field(&mut self, field: u64, gtid: &mut Gtid, c: &mut Cursor<'_>) -> Result<(), Malformed> {
        match field {
            0 => self.may_have_statements = c.varlen()? & 1 == 1,
            1 => {
                for byte in &mut gtid.uuid.0 {
                    *byte = u8::try_from(c.varlen()?)
                        .map_err(|_| Malformed("a byte of its UUID is above 255"))?;
                }
            }
            2 => gtid.number = c.varlen_signed()? as u64,
            3 => gtid.tag = read_tag(c)?,
            4 => self.last_committed = c.varlen_signed()?,
            5 => self.sequence_number = c.varlen_signed()?,
            6 => self.immediate_commit_timestamp = c.varlen()?,
            7 => self.original_commit_timestamp = c.varlen()?,
            8 => self.transaction_length = c.varlen()?,
            9 if self.original_server_version == 0 => self.original_server_version = c.varlen()? as u32,
            10 => self.original_server_version = c.varlen()? as u32,
            _ => drop(c.varlen()?), // 9: the immediate server's version, 11: group commit's ticket
        }
        Ok(())
    }
}

fn read_tag(c: &mut Cursor<'_>) -> Result<Tag, Malformed> {
    let len = usize::try_from(c.varlen()?).map_err(|_| Malformed::SHORT)?;
    let text = std::str::from_utf8(c.bytes(len)?).map_err(|_| Malformed("its GTID tag is not text"))?;
    Tag::new(text).map_err(|_| Malformed("its GTID tag is not a tag"))
}

/// PREVIOUS_GTIDS, also the format with tags, which the highest byte of the count announces.
pub(super) fn previous_gtids(c: &mut Cursor<'_>) -> Result<GtidSet, Malformed> {
    let head = c.u64()?;
    let tagged = head >> 56 == 1;
    let sources = if tagged { head >> 8 & 0xffff_ffff_ffff } else { head };
    let mut set = GtidSet::default();
    for _ in 0..sources {
        let uuid = Uuid(c.array()?);
        let tag = if tagged { read_tag(c)? } else { Tag::default() };
        for _ in 0..c.u64()? {
            let (start, end) = (c.u64()?, c.u64()?);
            set.insert_range(uuid, tag.clone(), start, end);
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_timestamp_follows_where_the_high_bit_says_so() {
        let mut bytes = vec![1];
        bytes.extend([7; 16]);
        bytes.extend(5_u64.to_le_bytes());
        bytes.push(2);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([9, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 0, 252, 0, 1]);
        bytes.extend(90_704_u32.to_le_bytes());
        let event = GtidEvent::read(EventType::GTID, &mut Cursor::new(&bytes)).unwrap();
        assert_eq!((event.immediate_commit_timestamp, event.original_commit_timestamp), (9, 8));
        assert_eq!((event.transaction_length, event.original_server_version), (256, 90_704));
        assert_eq!(event.gtid.unwrap().number, 5);
        let old = GtidEvent::read(EventType::ANONYMOUS_GTID, &mut Cursor::new(&bytes[..25])).unwrap();
        assert_eq!(old.gtid, None);
    }

    #[test]
    fn a_huge_count_of_sources_ends_with_the_bytes() {
        assert!(previous_gtids(&mut Cursor::new(&[0xff; 7 + 1 + 100])).is_err());
    }
}
