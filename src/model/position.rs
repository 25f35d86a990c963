//! Where a binlog stream stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::GtidSet;

/// A byte offset in a named binlog file; offsets beyond 4 GiB are kept whole.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct BinlogPosition {
    /// The file's name as the server says it, for example `binlog.000042`.
    pub file: String,
    /// Offset of the next byte to read, in bytes from the file's start.
    pub offset: u64,
}

impl fmt::Display for BinlogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

impl BinlogPosition {
    /// The number at the end of the file's name, by which files are ordered (`binlog.1000000` comes
    /// after `binlog.999999`); 0 where it has none.
    pub fn file_number(&self) -> u64 {
        self.file.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

impl PartialOrd for BinlogPosition {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BinlogPosition {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.file_number(), &self.file, self.offset).cmp(&(other.file_number(), &other.file, other.offset))
    }
}

/// A point in the stream: every transaction before it is done.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamPosition {
    /// The transactions done; absent where the server runs without GTIDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtids: Option<GtidSet>,
    /// File and offset after the last transaction done. With GTIDs it only informs people.
    pub binlog: BinlogPosition,
}

impl fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gtids {
            Some(gtids) => write!(f, "{gtids} ({})", self.binlog),
            None => self.binlog.fmt(f),
        }
    }
}
