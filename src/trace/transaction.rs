//! From events to transactions: which begin, what they hold, how they end.

use std::fmt;
use std::sync::Arc;

use crate::binlog::{Event, GtidEvent, MariaGtid, Xid};
use crate::model::Gtid;

/// A transaction of the binlog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) file: Arc<str>,
    /// Offset of its first event.
    pub(crate) start: u64,
    /// Offset after its last event so far.
    pub(crate) end: u64,
    pub(crate) gtid: Option<Gtid>,
    pub(crate) mariadb: Option<MariaGtid>,
    /// Microseconds since 1970 of its commit; 0 where the event does not say.
    pub(crate) committed: u64,
    /// The same on the server that took it first.
    pub(crate) originally_committed: u64,
    /// Seconds since 1970 in the header of its first event.
    pub(crate) logged: u32,
    /// Seconds since 1970 in the header of its first statement or row: when that began; 0 before it.
    pub(crate) begun: u32,
    pub(crate) server_id: u32,
    /// The connection that ran it, once an event has said so.
    pub(crate) thread_id: Option<u32>,
    /// Its bytes, as its first event says; 0 where it does not.
    pub(crate) length: u64,
    /// `@@version` of the first server as a number; 0 where unknown.
    pub(crate) server_version: u32,
    pub(crate) xid: Option<Xid>,
    /// Selected rows so far.
    pub(crate) rows: u64,
    /// Events of rows so far, selected or not.
    pub(crate) row_events: u64,
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Committed,
    RolledBack,
    /// XA PREPARE: what becomes of it is another transaction.
    Prepared,
}

impl Transaction {
    /// One that begins with this event.
    pub(crate) fn begin(event: &Event<'_>) -> Self {
        Self {
            file: Arc::clone(&event.position.file),
            start: event.position.start,
            end: event.position.end,
            logged: event.header.timestamp,
            server_id: event.header.server_id,
            ..Self::default()
        }
    }

    pub(crate) fn set_gtid(&mut self, gtid: &GtidEvent) {
        if let Some(maria) = &gtid.maria {
            // its time is no more than the header's
            self.mariadb = Some(maria.gtid);
            self.xid.clone_from(&maria.xa_start);
            return;
        }
        self.gtid.clone_from(&gtid.gtid);
        self.committed = gtid.immediate_commit_timestamp;
        self.originally_committed = gtid.original_commit_timestamp;
        self.length = gtid.transaction_length;
        self.server_version = gtid.original_server_version;
    }

    /// Microseconds since 1970 of its commit; of its first event where the commit's is not known.
    pub(crate) fn time(&self) -> u64 {
        if self.committed > 0 { self.committed } else { u64::from(self.logged) * 1_000_000 }
    }

    /// Microseconds from the first statement's beginning (in whole seconds) to the commit.
    pub(crate) fn duration(&self) -> u64 {
        if self.begun == 0 { 0 } else { self.time().saturating_sub(u64::from(self.begun) * 1_000_000) }
    }

    /// Its identifier; empty for an anonymous one.
    pub(crate) fn id(&self) -> String {
        match (&self.gtid, &self.mariadb) {
            (Some(gtid), _) => gtid.to_string(),
            (None, Some(gtid)) => gtid.to_string(),
            (None, None) => String::new(),
        }
    }
}

impl fmt::Display for Transaction {
    /// For comments: one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id();
        let mut time = Vec::new();
        super::sql::write_utc(self.time() / 1_000_000, (self.time() % 1_000_000) as u32, 6, &mut time);
        let id = if id.is_empty() { "anonymous" } else { &id };
        write!(f, "{id} at {} UTC, {}:{}", String::from_utf8_lossy(&time), self.file, self.start)?;
        write!(f, ", server {}", self.server_id)?;
        self.thread_id.map_or(Ok(()), |thread| write!(f, ", thread {thread}"))
    }
}
