//! What the connection's and the server's errors mean.

use std::sync::Arc;

use super::cursor::Cursor;
use super::error::BinlogError;
use super::header::{EventType, Header};
use super::state::sums;
use super::stream::StreamStart;
use super::wire::WireError;
use crate::model::passes;

/// Where a stream is, for its error messages.
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) offset: u64,
    server_id: u32,
}

impl Place {
    pub(super) fn new(start: &StreamStart, server_id: u32) -> Self {
        let (file, offset) = match start {
            StreamStart::Gtids(_) => ("", 0),
            StreamStart::File(at) => (&*at.file, at.offset),
        };
        Self { file: file.into(), offset, server_id }
    }

    /// Follows an event that was received.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        let mut c = Cursor::new(bytes);
        let Ok(header) = Header::read(&mut c) else { return };
        if header.event_type == EventType::ROTATE {
            let _ = c.skip(8);
            let has_checksum = sums(bytes, &header).is_some_and(|(stored, computed)| stored == computed);
            let end = c.remaining().saturating_sub(if has_checksum { 4 } else { 0 });
            self.file = String::from_utf8_lossy(c.rest().get(..end).unwrap_or_default()).into();
            self.offset = 4;
        } else if header.next_position != 0 {
            self.offset = u64::from(header.next_position);
        }
    }

    pub(super) fn ended(&self) -> BinlogError {
        BinlogError::Ended { file: Arc::clone(&self.file), offset: self.offset }
    }
}

/// What else passes by itself in a stream: packets cut, the session killed.
const PASSING: [u16; 6] = [1153, 1154, 1155, 1156, 1157, 3169];

/// ER_SOURCE_FATAL_ERROR_READING_BINLOG.
const FATAL_READING_BINLOG: u16 = 1236;

pub(super) fn from_wire(what: &'static str, error: WireError, place: &Place) -> BinlogError {
    match error {
        WireError::Server { code: FATAL_READING_BINLOG, message } => fatal_reading(what, message, place),
        WireError::Server { code, message } if passes(code) || PASSING.contains(&code) => {
            let (file, offset) = (Arc::clone(&place.file), place.offset);
            BinlogError::Interrupted { file, offset, message: format!("{message} ({code})") }
        }
        WireError::Server { code, message } => {
            BinlogError::Refused { what, message: format!("{message} ({code})") }
        }
        WireError::Refused(message) => BinlogError::Refused { what, message },
        WireError::Unexpected(found) => BinlogError::Unexpected { what, found },
        WireError::Io(source) => {
            BinlogError::Io { what: format!("{what} at {}:{}", place.file, place.offset), source }
        }
    }
}

/// 1236 says why only in words.
fn fatal_reading(what: &'static str, message: String, place: &Place) -> BinlogError {
    if message.contains("same server_uuid/server_id") {
        return BinlogError::ServerIdTaken { server_id: place.server_id, message };
    }
    let refused = ["Binary log is not open", "GTID_MODE", "Misconfigured", "checksum"];
    if refused.iter().any(|words| message.contains(words)) {
        return BinlogError::Refused { what, message };
    }
    BinlogError::PositionLost { message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Class, GtidSet};

    fn class(code: u16, message: &str) -> Class {
        let place = Place::new(&StreamStart::Gtids(GtidSet::default()), 7);
        from_wire("test", WireError::Server { code, message: message.into() }, &place).class()
    }

    #[test]
    fn server_errors_have_classes() {
        assert_eq!(class(1236, "Could not find first log file name in binary log index file"), Class::Gap);
        assert_eq!(
            class(1236, "A replica with the same server_uuid/server_id as this replica has connected"),
            Class::Retry
        );
        assert_eq!(class(1236, "Binary log is not open"), Class::Halt);
        assert_eq!(class(1045, "Access denied"), Class::Halt);
        assert_eq!(class(1227, "you need REPLICATION SLAVE"), Class::Halt);
        assert_eq!(class(1053, "Server shutdown in progress"), Class::Retry);
        assert_eq!(class(9001, "Max connect timeout reached"), Class::Retry);
    }
}
