//! Events as they are framed: 19 bytes of header, a body, mostly a checksum.
//! Source: MySQL internals manual, "Binary Log Event Structure"; libs/mysql/binlog/event.

use std::fmt;

use super::cursor::Cursor;
use super::error::Malformed;

/// Length of an event's header since binlog version 4.
pub const HEADER_LEN: usize = 19;

/// LOG_EVENT_BINLOG_IN_USE_F: set in a FORMAT_DESCRIPTION event while the server writes its file.
pub(super) const FLAG_IN_USE: u16 = 0x1;
/// LOG_EVENT_ARTIFICIAL_F: made by the dump thread, not in any file.
pub(super) const FLAG_ARTIFICIAL: u16 = 0x20;
/// LOG_EVENT_IGNORABLE_F: who does not know the type may skip it.
pub(super) const FLAG_IGNORABLE: u16 = 0x80;

/// An event's bytes, header to checksum, as they came.
#[derive(Clone, Debug, Default)]
pub struct RawEvent {
    /// All of them.
    pub bytes: Vec<u8>,
    /// Offset of the first byte in its file, where the source knows it (files do).
    pub start: Option<u64>,
}

/// An event's type code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventType(pub u8);

macro_rules! event_types {
    ($($name:ident = $code:literal,)*) => {
        impl EventType {
            $(#[doc = concat!("Code ", $code, ".")] pub const $name: Self = Self($code);)*

            /// The name in the manual; `None` where the code is unknown.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(concat!(stringify!($name), "_EVENT")),)*
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    QUERY = 2,
    STOP = 3,
    ROTATE = 4,
    INTVAR = 5,
    APPEND_BLOCK = 9,
    DELETE_FILE = 11,
    RAND = 13,
    USER_VAR = 14,
    FORMAT_DESCRIPTION = 15,
    XID = 16,
    BEGIN_LOAD_QUERY = 17,
    EXECUTE_LOAD_QUERY = 18,
    TABLE_MAP = 19,
    WRITE_ROWS_V1 = 23,
    UPDATE_ROWS_V1 = 24,
    DELETE_ROWS_V1 = 25,
    INCIDENT = 26,
    HEARTBEAT = 27,
    IGNORABLE = 28,
    ROWS_QUERY = 29,
    WRITE_ROWS = 30,
    UPDATE_ROWS = 31,
    DELETE_ROWS = 32,
    GTID = 33,
    ANONYMOUS_GTID = 34,
    PREVIOUS_GTIDS = 35,
    TRANSACTION_CONTEXT = 36,
    VIEW_CHANGE = 37,
    XA_PREPARE = 38,
    PARTIAL_UPDATE_ROWS = 39,
    TRANSACTION_PAYLOAD = 40,
    HEARTBEAT_V2 = 41,
    GTID_TAGGED = 42,
    MARIADB_ANNOTATE_ROWS = 160,
    MARIADB_BINLOG_CHECKPOINT = 161,
    MARIADB_GTID = 162,
    MARIADB_GTID_LIST = 163,
    MARIADB_START_ENCRYPTION = 164,
    MARIADB_QUERY_COMPRESSED = 165,
    MARIADB_WRITE_ROWS_COMPRESSED_V1 = 166,
    MARIADB_UPDATE_ROWS_COMPRESSED_V1 = 167,
    MARIADB_DELETE_ROWS_COMPRESSED_V1 = 168,
    MARIADB_WRITE_ROWS_COMPRESSED = 169,
    MARIADB_UPDATE_ROWS_COMPRESSED = 170,
    MARIADB_DELETE_ROWS_COMPRESSED = 171,
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "event of type {}", self.0),
        }
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An event's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Seconds since 1970 when the statement began; 0 in artificial events.
    pub timestamp: u32,
    /// The type.
    pub event_type: EventType,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Length with header and checksum.
    pub length: u32,
    /// Low 32 bits of the next event's offset; 0 in artificial events and within compressed transactions.
    pub next_position: u32,
    /// Flags.
    pub flags: u16,
}

impl Header {
    /// Reads the header of an event's bytes; `None` where there are too few.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Self::read(&mut Cursor::new(bytes)).ok()
    }

    /// Appends the header as an event has it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        out.push(self.event_type.0);
        out.extend_from_slice(&self.server_id.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.next_position.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
    }

    /// Reads the first 19 bytes of an event.
    pub(super) fn read(c: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            timestamp: c.u32()?,
            event_type: EventType(c.u8()?),
            server_id: c.u32()?,
            length: c.u32()?,
            next_position: c.u32()?,
            flags: c.u16()?,
        })
    }

    /// True for events that the dump thread made up: they have no place in a file.
    pub fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0
    }

    /// True for heartbeats: a server sends them and writes none.
    pub fn is_heartbeat(&self) -> bool {
        matches!(self.event_type, EventType::HEARTBEAT | EventType::HEARTBEAT_V2)
    }

    /// True where a reader that does not know the type may skip the event.
    pub fn is_ignorable(&self) -> bool {
        self.flags & FLAG_IGNORABLE != 0
    }
}
