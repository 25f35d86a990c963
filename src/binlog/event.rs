//! What an event can be, and the bodies that are short. Source: "Binary Log Events" of the MySQL source
//! documentation (libs/mysql/binlog/event/control_events.h, statement_events.h).

use std::borrow::Cow;
use std::sync::Arc;

use super::cursor::Cursor;
use super::error::Malformed;
use super::format::FormatDescription;
use super::gtid::GtidEvent;
use super::header::Header;
use super::query::{QueryEvent, Xid};
use super::rows::RowsEvent;
use super::table_map::TableMap;
use crate::model::GtidSet;

/// Where an event lies in its file. Events of a compressed transaction lie where the
/// TRANSACTION_PAYLOAD event around them does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventPosition {
    /// The file's name; empty before the stream has named it.
    pub file: Arc<str>,
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte; artificial events have `start == end`.
    pub end: u64,
}

/// One event, borrowed from the decoder until the next call.
#[derive(Debug)]
pub struct Event<'a> {
    /// Its header.
    pub header: Header,
    /// Its place.
    pub position: EventPosition,
    /// True for an event that was inside a compressed transaction.
    pub compressed: bool,
    /// What it says.
    pub body: Body<'a>,
}

/// What an event says.
#[derive(Debug)]
pub enum Body<'a> {
    /// FORMAT_DESCRIPTION: how what follows is laid out.
    FormatDescription(FormatDescription),
    /// ROTATE: the events that follow are in another file.
    Rotate {
        /// The file's name.
        file: Cow<'a, str>,
        /// The offset within it.
        offset: u64,
        /// True where the dump thread made it up, at the start of each file.
        artificial: bool,
    },
    /// PREVIOUS_GTIDS: every GTID in earlier files.
    PreviousGtids(GtidSet),
    /// GTID, ANONYMOUS_GTID, GTID_TAGGED, MariaDB's GTID: a transaction begins.
    Gtid(GtidEvent),
    /// QUERY, EXECUTE_LOAD_QUERY: a statement as text.
    Query(QueryEvent<'a>),
    /// XID: the transaction commits; the number is InnoDB's.
    Xid(u64),
    /// XA_PREPARE: the XA transaction is prepared, or commits in one phase.
    XaPrepare {
        /// Its identifier.
        xid: Xid,
        /// XA COMMIT ... ONE PHASE.
        one_phase: bool,
    },
    /// TABLE_MAP: rows of this table follow.
    TableMap(Arc<TableMap>),
    /// WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, PARTIAL_UPDATE_ROWS: changed rows.
    Rows(RowsEvent<'a>),
    /// A rows event without a table: it only ends a statement.
    StatementEnd,
    /// ROWS_QUERY, MariaDB's ANNOTATE_ROWS: the statement that the following rows come from.
    RowsQuery(Cow<'a, str>),
    /// TRANSACTION_PAYLOAD: a compressed transaction; its events come next, one by one.
    Payload {
        /// Their size once decompressed, if the event says so.
        uncompressed_size: Option<u64>,
    },
    /// HEARTBEAT, HEARTBEAT_V2: the stream is alive and this is where it stands.
    Heartbeat {
        /// The server's current file.
        file: Cow<'a, str>,
        /// The offset there; the low 32 bits only, in the older event.
        offset: u64,
    },
    /// INCIDENT: changes may be missing from the binlog.
    Incident {
        /// 1: lost events.
        code: u16,
        /// The server's words.
        message: Cow<'a, str>,
    },
    /// STOP: the server shut down in good order.
    Stop,
    /// INTVAR, RAND, USER_VAR, BEGIN_LOAD_QUERY, APPEND_BLOCK, DELETE_FILE: what the statement that follows
    /// as text depends on; the body as it came.
    StatementContext(&'a [u8]),
    /// TRANSACTION_CONTEXT, VIEW_CHANGE: group replication's own notes; nothing that concerns rows.
    GroupReplication,
    /// MariaDB's GTID_LIST and BINLOG_CHECKPOINT: where other files stand; nothing that concerns rows.
    Bookkeeping,
    /// An event that says of itself that it may be skipped (LOG_EVENT_IGNORABLE_F), of a type unknown here.
    Ignored,
}

pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

pub(super) fn rotate<'a>(header: &Header, c: &mut Cursor<'a>) -> Result<Body<'a>, Malformed> {
    let offset = c.u64()?;
    let artificial = header.is_artificial() || header.next_position == 0;
    Ok(Body::Rotate { file: text(c.take_rest()), offset, artificial })
}

pub(super) fn xa_prepare<'a>(c: &mut Cursor<'a>) -> Result<Body<'a>, Malformed> {
    let one_phase = c.u8()? != 0;
    let format_id = c.u32()?;
    let (gtrid, bqual) = (c.u32()? as usize, c.u32()? as usize);
    let xid = Xid { format_id, gtrid: c.bytes(gtrid)?.into(), bqual: c.bytes(bqual)?.into() };
    Ok(Body::XaPrepare { xid, one_phase })
}

pub(super) fn rows_query<'a>(c: &mut Cursor<'a>) -> Result<Body<'a>, Malformed> {
    c.skip(1)?; // a length that is too short for long statements
    Ok(Body::RowsQuery(text(c.take_rest())))
}

pub(super) fn incident<'a>(c: &mut Cursor<'a>) -> Result<Body<'a>, Malformed> {
    let code = c.u16()?;
    let len = c.u8()?;
    Ok(Body::Incident { code, message: text(c.bytes(usize::from(len))?) })
}

pub(super) fn heartbeat<'a>(header: &Header, c: &mut Cursor<'a>) -> Body<'a> {
    Body::Heartbeat { file: text(c.take_rest()), offset: u64::from(header.next_position) }
}

/// HEARTBEAT_V2 (WL#14325): fields of type, length, value up to type 0.
pub(super) fn heartbeat_v2<'a>(c: &mut Cursor<'a>) -> Result<Body<'a>, Malformed> {
    let (mut file, mut offset) = (Cow::Borrowed(""), 0);
    while !c.is_empty() {
        let kind = c.packed()?;
        if kind == 0 {
            break;
        }
        let value = c.packed_bytes()?;
        match kind {
            1 => file = text(value),
            2 => offset = Cursor::new(value).packed()?,
            _ => {}
        }
    }
    Ok(Body::Heartbeat { file, offset })
}
