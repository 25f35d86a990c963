//! What the decoder carries from event to event: layout, place, tables.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::Cursor;
use super::error::{At, BinlogError, Malformed};
use super::event::{self, Body, Event, EventPosition};
use super::format::{Checksum, FormatDescription};
use super::gtid::{self, GtidEvent};
use super::header::{EventType, FLAG_IN_USE, HEADER_LEN, Header, RawEvent};
use super::mariadb;
use super::query::QueryEvent;
use super::rows::Unbound;
use super::table_map::TableMap;

/// Tables remembered before they are all forgotten, at a transaction's start.
const MAX_TABLES: usize = 4096;
const CHECKSUM_LEN: usize = 4;

pub(super) struct State {
    pub(super) verify: bool,
    pub(super) format: FormatDescription,
    pub(super) file: Arc<str>,
    pub(super) offset: u64,
    pub(super) ignored: u64,
    /// True where raw events come without offsets: ROTATE events then say which file this is.
    stream: bool,
    /// By table id, with the bytes of the event that announced the table.
    tables: HashMap<u64, (Box<[u8]>, Arc<TableMap>)>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            verify: true,
            format: FormatDescription::default(),
            file: "".into(),
            offset: 0,
            ignored: 0,
            stream: false,
            tables: HashMap::new(),
        }
    }
}

/// An event's outer shape.
pub(super) struct Frame {
    pub(super) header: Header,
    pub(super) position: EventPosition,
    /// Where its body lies, without checksum.
    pub(super) body: Range<usize>,
}

impl State {
    /// Reads the header, finds the event's place, checks and cuts its checksum.
    pub(super) fn frame(&mut self, raw: &RawEvent) -> Result<Frame, BinlogError> {
        self.stream = raw.start.is_none();
        let mut c = Cursor::new(&raw.bytes);
        let offset = raw.start.unwrap_or(self.offset);
        let here = |event, file: &Arc<str>| At { event, file: Arc::clone(file), offset };
        let header = Header::read(&mut c).map_err(|e| e.at(&here(EventType(0), &self.file)))?;
        if header.length as usize != raw.bytes.len() {
            let at = here(header.event_type, &self.file);
            return Err(Malformed("its length is not what its header says").at(&at));
        }
        let position = self.place(&header, raw.start);
        let at = || At::new(&header, &position);
        let mut end = raw.bytes.len();
        if self.checksum_of(&header, &raw.bytes, c.rest()).map_err(|e| e.at(&at()))? == Checksum::Crc32 {
            end = end
                .checked_sub(CHECKSUM_LEN)
                .filter(|end| *end >= HEADER_LEN)
                .ok_or_else(|| Malformed::SHORT.at(&at()))?;
            if self.verify {
                verify(&raw.bytes, &header, at)?;
            }
        }
        Ok(Frame { header, position, body: HEADER_LEN..end })
    }

    /// Finds the event's place. Files know it; on a stream the header has its end's low 32 bits, and the
    /// server leaves out transactions that it was asked to leave out.
    fn place(&mut self, header: &Header, start: Option<u64>) -> EventPosition {
        let length = u64::from(header.length);
        let file = Arc::clone(&self.file);
        if let Some(start) = start {
            self.offset = start + length;
            return EventPosition { file, start, end: self.offset };
        }
        let outside = matches!(header.event_type, EventType::HEARTBEAT | EventType::HEARTBEAT_V2);
        if outside || header.is_artificial() || header.next_position == 0 {
            return EventPosition { file, start: self.offset, end: self.offset };
        }
        let counted = self.offset + length;
        let mut end = counted >> 32 << 32 | u64::from(header.next_position);
        if end < counted {
            end += 1 << 32;
        }
        self.offset = end;
        EventPosition { file, start: end - length, end }
    }

    /// Which checksum the event has. A FORMAT_DESCRIPTION says its own; the ROTATE that begins a stream
    /// comes before it and has one or not.
    fn checksum_of(&mut self, header: &Header, bytes: &[u8], body: &[u8]) -> Result<Checksum, Malformed> {
        match header.event_type {
            EventType::FORMAT_DESCRIPTION => {
                self.format = FormatDescription::read(body)?;
                Ok(self.format.checksum)
            }
            EventType::ROTATE if header.next_position == 0 => Ok(match sums(bytes, header) {
                Some((stored, computed)) if stored == computed => Checksum::Crc32,
                _ => Checksum::None,
            }),
            _ => Ok(self.format.checksum),
        }
    }

    /// Decodes an event's body, without checksum.
    pub(super) fn decode<'a>(
        &mut self,
        header: Header,
        position: EventPosition,
        compressed: bool,
        bytes: &'a [u8],
    ) -> Result<Event<'a>, BinlogError> {
        let at = || At::new(&header, &position);
        let c = Cursor::new(bytes);
        let body = match header.event_type {
            EventType::WRITE_ROWS
            | EventType::UPDATE_ROWS
            | EventType::DELETE_ROWS
            | EventType::PARTIAL_UPDATE_ROWS
            | EventType::WRITE_ROWS_V1
            | EventType::UPDATE_ROWS_V1
            | EventType::DELETE_ROWS_V1 => self.rows(header.event_type, c, at())?,
            EventType::FORMAT_DESCRIPTION | EventType::TRANSACTION_PAYLOAD if compressed => {
                return Err(Malformed("it is within a TRANSACTION_PAYLOAD").at(&at()));
            }
            _ => match self.plain(&header, c).map_err(|e| e.at(&at()))? {
                Some(body) => body,
                None if header.is_ignorable() => {
                    self.ignored += 1;
                    Body::Ignored
                }
                None => return Err(BinlogError::UnknownEvent { at: at() }),
            },
        };
        if let (Body::Rotate { file, offset, .. }, true) = (&body, self.stream) {
            self.file = (**file).into();
            self.offset = *offset;
        }
        Ok(Event { header, position, compressed, body })
    }

    /// Decodes all but rows; `None` for a type that is unknown.
    fn plain<'a>(&mut self, header: &Header, mut c: Cursor<'a>) -> Result<Option<Body<'a>>, Malformed> {
        let c = &mut c;
        Ok(Some(match header.event_type {
            EventType::TABLE_MAP => Body::TableMap(self.table_map(c.rest())?),
            EventType::GTID
            | EventType::ANONYMOUS_GTID
            | EventType::GTID_TAGGED
            | EventType::MARIADB_GTID => {
                if self.tables.len() > MAX_TABLES {
                    self.tables.clear();
                }
                Body::Gtid(match header.event_type {
                    EventType::MARIADB_GTID => mariadb::gtid(header, c)?,
                    event_type => GtidEvent::read(event_type, c)?,
                })
            }
            EventType::QUERY | EventType::EXECUTE_LOAD_QUERY => {
                Body::Query(QueryEvent::read(header.event_type, c)?)
            }
            EventType::XID => Body::Xid(c.u64()?),
            EventType::XA_PREPARE => event::xa_prepare(c)?,
            EventType::ROWS_QUERY => event::rows_query(c)?,
            EventType::ROTATE => event::rotate(header, c)?,
            EventType::FORMAT_DESCRIPTION => Body::FormatDescription(self.format.clone()),
            EventType::PREVIOUS_GTIDS => Body::PreviousGtids(gtid::previous_gtids(c)?),
            EventType::HEARTBEAT => event::heartbeat(header, c),
            EventType::HEARTBEAT_V2 => event::heartbeat_v2(c)?,
            EventType::INCIDENT => event::incident(c)?,
            EventType::STOP => Body::Stop,
            EventType::MARIADB_ANNOTATE_ROWS => Body::RowsQuery(event::text(c.take_rest())),
            EventType::MARIADB_GTID_LIST | EventType::MARIADB_BINLOG_CHECKPOINT => Body::Bookkeeping,
            EventType::MARIADB_START_ENCRYPTION => {
                return Err(Malformed("what follows is encrypted: read the binlog through the server"));
            }
            EventType::TRANSACTION_CONTEXT | EventType::VIEW_CHANGE => Body::GroupReplication,
            EventType::IGNORABLE => Body::Ignored,
            EventType::INTVAR
            | EventType::RAND
            | EventType::USER_VAR
            | EventType::BEGIN_LOAD_QUERY
            | EventType::APPEND_BLOCK
            | EventType::DELETE_FILE => Body::StatementContext(c.take_rest()),
            _ => return Ok(None),
        }))
    }

    /// The table of a TABLE_MAP event: the one known already where the bytes are the same.
    fn table_map(&mut self, bytes: &[u8]) -> Result<Arc<TableMap>, Malformed> {
        let id_len = self.format.table_id_len;
        let table_id = Cursor::new(bytes).uint_le(id_len)?;
        if let Some((known, table)) = self.tables.get(&table_id)
            && **known == *bytes
        {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(TableMap::read(id_len, &mut Cursor::new(bytes))?);
        self.tables.insert(table_id, (bytes.into(), Arc::clone(&table)));
        Ok(table)
    }

    fn rows<'a>(&self, event_type: EventType, c: Cursor<'a>, at: At) -> Result<Body<'a>, BinlogError> {
        let rows = Unbound::read(event_type, self.format.table_id_len, c).map_err(|e| e.at(&at))?;
        match self.tables.get(&rows.table_id) {
            Some((_, table)) => rows.bind(Arc::clone(table), at).map(Body::Rows),
            None if rows.is_statement_end() => Ok(Body::StatementEnd),
            None => Err(BinlogError::UnknownTable { at, table_id: rows.table_id }),
        }
    }
}

/// The checksum at an event's end and the one computed from the bytes before it.
pub(super) fn sums(bytes: &[u8], header: &Header) -> Option<(u32, u32)> {
    let (rest, stored) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    let mut hasher = crc32fast::Hasher::new();
    if header.event_type == EventType::FORMAT_DESCRIPTION {
        // The server sets the flag after it has computed the sum.
        let (head, body) = rest.split_at_checked(HEADER_LEN)?;
        hasher.update(head.split_last_chunk::<2>()?.0);
        hasher.update(&(header.flags & !FLAG_IN_USE).to_le_bytes());
        hasher.update(body);
    } else {
        hasher.update(rest);
    }
    Some((u32::from_le_bytes(*stored), hasher.finalize()))
}

fn verify(bytes: &[u8], header: &Header, at: impl FnOnce() -> At) -> Result<(), BinlogError> {
    match sums(bytes, header) {
        Some((stored, computed)) if stored == computed => Ok(()),
        Some((stored, computed)) => Err(BinlogError::Checksum { at: at(), stored, computed }),
        None => Err(Malformed::SHORT.at(&at())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u32, next_position: u32) -> Header {
        Header { timestamp: 0, event_type: EventType::XID, server_id: 1, length, next_position, flags: 0 }
    }

    #[test]
    fn offsets_go_on_beyond_4_gib() {
        let mut state = State { offset: 0xffff_ff00, ..State::default() };
        let first = state.place(&header(0x200, 0x100), None);
        assert_eq!((first.start, first.end), (0xffff_ff00, 0x1_0000_0100));
        let second = state.place(&header(0x100, 0x200), None);
        assert_eq!((second.start, second.end), (0x1_0000_0100, 0x1_0000_0200));
        // The server left out 3 GiB of transactions that it was asked to leave out.
        let third = state.place(&header(0x100, 0xc000_0300), None);
        assert_eq!((third.start, third.end), (0x1_c000_0200, 0x1_c000_0300));
        let fourth = state.place(&header(0x100, 0x200), None);
        assert_eq!((fourth.start, fourth.end), (0x2_0000_0100, 0x2_0000_0200));
        assert_eq!(state.place(&header(0x20, 0), None).end, 0x2_0000_0200);
    }

    #[test]
    fn files_count_by_their_own_lengths() {
        let mut state = State::default();
        let position = state.place(&header(0x100, 0x77), Some(0x3_0000_0000));
        assert_eq!((position.start, position.end), (0x3_0000_0000, 0x3_0000_0100));
    }

    /// `CREATE TABLE t (a INT, b INT UNSIGNED)` as table 5 without metadata; a row of v1 and of v2.
    #[test]
    fn rows_of_version_1_have_no_extra_data() {
        let mut state = State::default();
        let position = || EventPosition { file: "b.1".into(), start: 4, end: 5 };
        let of = |code| Header { event_type: EventType(code), ..header(0, 1) };
        let map = [5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 3, 0, 3];
        state.decode(of(19), position(), false, &map).unwrap();
        let row: &[u8] = &[2, 3, 0b10, 7, 0, 0, 0];
        let v1 = [&[5, 0, 0, 0, 0, 0, 1, 0], row].concat();
        let v2 = [&[5, 0, 0, 0, 0, 0, 1, 0, 2, 0], row].concat();
        for (code, body) in [(23, v1), (30, v2)] {
            let event = state.decode(of(code), position(), false, &body).unwrap();
            let Body::Rows(rows) = &event.body else { panic!("{event:?}") };
            let mut values = Vec::new();
            rows.rows().next().unwrap().unwrap().after.unwrap().read_all(&mut values).unwrap();
            assert_eq!(values, [crate::model::Value::Int(7), crate::model::Value::Null]);
            assert!(rows.ends_statement() && !rows.table.has_signedness);
        }
        let unknown = state.decode(of(30), position(), false, &[6, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2]);
        assert!(matches!(unknown, Err(BinlogError::UnknownTable { table_id: 6, .. })));
        let three = state.decode(of(30), position(), false, &[5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 7]);
        assert!(matches!(three, Err(BinlogError::Columns { expected: 2, found: 3, .. })));
        let end = state.decode(of(30), position(), false, &[255, 255, 255, 255, 255, 255, 1, 0, 2, 0, 0]);
        assert!(matches!(end.unwrap().body, Body::StatementEnd));
    }

    /// Rows without any column take no bytes: bytes that are left can never be used up by reading on.
    #[test]
    fn rows_without_columns_but_with_bytes_are_malformed() {
        struct Blind;
        impl crate::binlog::RowVisitor for Blind {
            fn image(&mut self, _after: bool) {}
            fn value(&mut self, _column: usize, _value: &crate::model::Value<'_>) {}
        }
        let mut state = State::default();
        let position = || EventPosition { file: "b.1".into(), start: 4, end: 5 };
        let of = |code| Header { event_type: EventType(code), ..header(0, 1) };
        let map = [5, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 3, 0, 3];
        state.decode(of(19), position(), false, &map).unwrap();
        let head = [5, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2];
        for (code, present) in [(30, &[0][..]), (31, &[0, 0]), (32, &[0])] {
            let body = [&head, present].concat();
            let event = state.decode(of(code), position(), false, &body).unwrap();
            let Body::Rows(rows) = &event.body else { panic!("{event:?}") };
            rows.visit(&mut Blind).unwrap();
            assert!(rows.rows().next().unwrap().is_some(), "{code}: one row of defaults");
            let body = [&head, present, &[1, 2, 3]].concat();
            let event = state.decode(of(code), position(), false, &body).unwrap();
            let Body::Rows(rows) = &event.body else { panic!("{event:?}") };
            let visited = rows.visit(&mut Blind).unwrap_err();
            assert!(matches!(visited, BinlogError::Malformed { .. }), "{code}: {visited}");
            let read = rows.rows().next().unwrap_err();
            assert!(matches!(read, BinlogError::Malformed { .. }), "{code}: {read}");
        }
    }

    #[test]
    fn unknown_events_are_errors_unless_ignorable() {
        let mut state = State::default();
        let position = || EventPosition { file: "b.1".into(), start: 4, end: 5 };
        let mut unknown = Header { event_type: EventType(99), ..header(19, 1) };
        let error = state.decode(unknown, position(), false, &[]).unwrap_err();
        assert_eq!(error.to_string(), "unknown event type 99: event of type 99 at b.1:4");
        unknown.flags = 0x80;
        assert!(matches!(state.decode(unknown, position(), false, &[]).unwrap().body, Body::Ignored));
        assert_eq!(state.ignored, 1);
    }
}
