//! What can go wrong between the input and the output of a trace.

use std::io;

use crate::binlog::{At, BinlogError};
use crate::model::{Class, TableName};
use crate::source::SourceError;

/// Any failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The binlog cannot be read on.
    #[error(transparent)]
    Binlog(#[from] BinlogError),
    /// A file, the standard input or a URL could not be read, or the output not written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// An option has no meaning, or none together with the others.
    #[error("{0}")]
    Option(String),
    /// The files do not follow each other.
    #[error("{next} does not follow {file}: {reason}")]
    Gap {
        /// The file before.
        file: String,
        /// The file after.
        next: String,
        /// What is known of what lies between.
        reason: String,
    },
    /// A transaction is open where its file ends.
    #[error("{file} ends at {offset} within the transaction that begins at {start}, which is held back")]
    Open {
        /// The file.
        file: String,
        /// Where the transaction begins.
        start: u64,
        /// Where the file ends.
        offset: u64,
    },
    /// A server ended its stream too early.
    #[error(
        "the server ended the binlog stream at {file}:{offset}, and has more up to {last}: its thread was killed; run it \
         again (with --checkpoint it goes on)"
    )]
    Cut {
        /// The file that was streamed.
        file: String,
        /// Where it ended.
        offset: u64,
        /// The server's last file when the stream began.
        last: String,
    },
    /// Nobody says what the columns of a table are called.
    #[error(
        "{at}: the column names of {table} are not known: {reason}; give the table's DDL (--ddl FILE, as \
         `mysqldump --no-data` writes it) or a server that has it (--schema-from mysql://...)"
    )]
    Names {
        /// Where the rows are.
        at: At,
        /// The table.
        table: TableName,
        /// Why.
        reason: String,
    },
    /// The known columns of a table are not those of the event.
    #[error("{at}: the schema of {table} does not fit its rows: {reason}")]
    Mismatch {
        /// Where the rows are.
        at: At,
        /// The table.
        table: TableName,
        /// What differs.
        reason: String,
    },
    /// The rows cannot be taken back.
    #[error("{at} cannot be undone: {reason} (table {table})")]
    NotUndoable {
        /// Where the rows are.
        at: At,
        /// The table.
        table: TableName,
        /// Why.
        reason: String,
    },
    /// A statement whose effect is not in rows.
    #[error("{at}: {reason}: {statement}")]
    Statement {
        /// Where it is.
        at: String,
        /// Why it cannot be traced.
        reason: &'static str,
        /// Its beginning.
        statement: String,
    },
    /// A DDL file cannot be understood.
    #[error("{file}: {reason}")]
    Ddl {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The server that was asked for schemas.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl TraceError {
    /// True where the input ends or breaks: everything before it was given.
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::Binlog(BinlogError::Encrypted { .. } | BinlogError::NotABinlog { .. }) => false,
            Self::Binlog(BinlogError::Ended { .. } | BinlogError::Interrupted { .. })
            | Self::Open { .. }
            | Self::Cut { .. } => true,
            Self::Binlog(e) => e.class() == Class::Gap,
            _ => false,
        }
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}
