//! The domain's words, shared by every room: GTID sets, binlog positions, tables and columns, values of
//! row images, keys of documents, the checkpoint, and how a server is reached.
//!
//! In: nothing. Out: plain types with total functions. Nothing here does I/O or reads a clock; what can
//! fail is parsing text ([`ParseError`]).

mod catalog;
mod charset;
mod checkpoint;
mod gtid;
mod in_use;
mod key;
mod position;
mod server;
mod status;
mod table;
mod value;

pub use catalog::{Catalog, CatalogColumn, CatalogTable, ForeignKey};
pub use charset::{Charset, decode_text};
pub use checkpoint::{
    Build, BuildPhase, Checkpoint, Continuation, LastTransaction, TableColumns, VERSION_BLOCK,
};
pub use gtid::{Gtid, GtidSet, Tag, Uuid};
pub use in_use::InUse;
pub use key::{Key, KeyPart};
pub use position::{BinlogPosition, StreamPosition};
pub use server::{Secret, ServerOptions, TlsMode, TlsOptions, passes};
pub use status::{BuildProgress, Condition, ConditionStatus, ConditionType, TableMapping, TaskStatus};
pub use table::{Column, ColumnKind, TableName, quoted};
pub use value::Value;

/// A text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: cannot read {found:?}")]
pub struct ParseError {
    /// What was expected, for example `GTID set`.
    pub what: &'static str,
    /// The text that was found.
    pub found: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into() }
    }
}

/// What an error means for the work in hand. Every room's error enum answers it by `class()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Passes by itself (connection, timeout, 429, 5xx, lock wait): try again with backoff.
    Retry,
    /// Needs somebody (401, 403, read-only, unknown answers): halt with a condition, probe now and then.
    Halt,
    /// The task's own definition is wrong (SQL, a missing column): wait for a change of the definition.
    Config,
    /// Concerns one record only: a dead letter.
    Record,
    /// Something changed unseen (purged or reused position, unreadable event, DDL): repair or halt.
    Gap,
}
