//! What can go wrong between the server's (or file's) bytes and an event, always with the place.

use std::fmt;
use std::sync::Arc;

use super::event::EventPosition;
use super::header::{EventType, Header};
use crate::model::Class;

/// Where an event stands: its type, the file it belongs to, and its first byte there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At {
    /// The event's type.
    pub event: EventType,
    /// The binlog file; empty where the stream has not named one yet.
    pub file: Arc<str>,
    /// Offset of the event's first byte. Events of a compressed transaction have the offset of the
    /// TRANSACTION_PAYLOAD event around them.
    pub offset: u64,
}

impl At {
    pub(super) fn new(header: &Header, position: &EventPosition) -> Self {
        Self { event: header.event_type, file: Arc::clone(&position.file), offset: position.start }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file.is_empty() { "(unnamed file)" } else { &self.file };
        write!(f, "{} at {file}:{}", self.event, self.offset)
    }
}

/// Any failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum BinlogError {
    /// The connection or the file could not be read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// What came has no place in the protocol.
    #[error("{what}: the server sent {found}; is it MySQL or MariaDB, and nothing in between?")]
    Unexpected {
        /// What was being done.
        what: &'static str,
        /// What came.
        found: String,
    },
    /// Nothing was received for longer than three heartbeats.
    #[error("binlog stream at {file}:{offset} is silent: nothing received within {seconds} s")]
    Silent {
        /// The file being streamed.
        file: Arc<str>,
        /// Offset after the last event received.
        offset: u64,
        /// The limit.
        seconds: u64,
    },
    /// The server ended the stream without an error: at the end of its binlog where that was asked for, or because its
    /// thread was killed.
    #[error(
        "the server ended the binlog stream at {file}:{offset}: it is the end of the binlog, or its thread was killed"
    )]
    Ended {
        /// The file being streamed.
        file: Arc<str>,
        /// Offset after the last event received.
        offset: u64,
    },
    /// The server gave the stream up: it shuts down, or the like.
    #[error("the server ended the binlog stream at {file}:{offset}: {message}")]
    Interrupted {
        /// The file being streamed.
        file: Arc<str>,
        /// Offset after the last event received.
        offset: u64,
        /// What it said.
        message: String,
    },
    /// Another client streams with our server id: take the next one (`derive_server_id`).
    #[error("server id {server_id} is in use by another binlog client: {message}")]
    ServerIdTaken {
        /// The id.
        server_id: u32,
        /// What the server said.
        message: String,
    },
    /// Error 1236: the position or GTIDs asked for are not in the server's binlogs any more, or never were.
    #[error("the server cannot stream from the position asked for (1236): {message}")]
    PositionLost {
        /// What the server said.
        message: String,
    },
    /// Wrong password, no agreement on TLS, a missing privilege (REPLICATION SLAVE), or a server without binlog.
    #[error("{what}: {message}")]
    Refused {
        /// What was being done.
        what: &'static str,
        /// What the server said.
        message: String,
    },
    /// A type this decoder does not know, without the ignorable flag.
    #[error("unknown event type {}: {at}", at.event.0)]
    UnknownEvent {
        /// Where.
        at: At,
    },
    /// Bytes that are not what the event's format says.
    #[error("cannot decode {at}: {reason}")]
    Malformed {
        /// Where.
        at: At,
        /// What is wrong.
        reason: &'static str,
    },
    /// The CRC32 does not match.
    #[error("checksum mismatch in {at}: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// Where.
        at: At,
        /// The event's last four bytes.
        stored: u32,
        /// The CRC32 of the bytes before.
        computed: u32,
    },
    /// A rows event whose table was not announced by a TABLE_MAP event.
    #[error("{at} is about table id {table_id}, which no TABLE_MAP event announced")]
    UnknownTable {
        /// Where.
        at: At,
        /// The id.
        table_id: u64,
    },
    /// A rows event and its table map, or a caller, disagree about the number of columns.
    #[error("{at}: {found} columns where {expected} were expected")]
    Columns {
        /// Where.
        at: At,
        /// Number expected.
        expected: usize,
        /// Number found.
        found: usize,
    },
    /// A JSON value's bytes, or a difference of one, break their format.
    #[error("binary JSON: {reason}")]
    Json {
        /// What is wrong.
        reason: &'static str,
    },
    /// The file ends within an event; every whole event before `offset` was given.
    #[error("{file} is truncated: the event at {offset} is not whole")]
    Truncated {
        /// The file.
        file: Arc<str>,
        /// Start of the event that is cut.
        offset: u64,
    },
    /// The file begins with the magic of encrypted binlogs (`fd 62 69 6e`).
    #[error("{file} is an encrypted binlog: read it through the server")]
    Encrypted {
        /// The file.
        file: Arc<str>,
    },
    /// The file does not begin with the binlog magic (`fe 62 69 6e`).
    #[error("{file} is not a binlog file")]
    NotABinlog {
        /// The file.
        file: Arc<str>,
    },
}

impl BinlogError {
    /// What the error means for the work in hand.
    pub fn class(&self) -> Class {
        match self {
            Self::Io { .. }
            | Self::Unexpected { .. }
            | Self::Silent { .. }
            | Self::Ended { .. }
            | Self::Interrupted { .. }
            | Self::ServerIdTaken { .. } => Class::Retry,
            Self::Refused { .. } => Class::Halt,
            Self::PositionLost { .. }
            | Self::UnknownEvent { .. }
            | Self::Malformed { .. }
            | Self::Checksum { .. }
            | Self::UnknownTable { .. }
            | Self::Columns { .. }
            | Self::Json { .. }
            | Self::Truncated { .. }
            | Self::Encrypted { .. }
            | Self::NotABinlog { .. } => Class::Gap,
        }
    }
}

/// Bytes that break a format; becomes [`BinlogError::Malformed`] once the place is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Malformed {
    pub(crate) const SHORT: Self = Self("it ends too early");

    pub(super) fn at(self, at: &At) -> BinlogError {
        BinlogError::Malformed { at: at.clone(), reason: self.0 }
    }
}
