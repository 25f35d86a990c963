//! SQL against MySQL: preflight, schemas, causal reads by ids, keyset walks of ids.
//!
//! In: SQL texts with `?` placeholders, keys and what has to be visible. Out: rows as JSON bytes, keys, the
//! server's facts. This room never looks into the SQL and knows no mapping.
//!
//! What may fail is [`SourceError`], whose `class()` says what that means; a row that cannot be a document
//! is a [`RecordError`] and fails alone.

mod access;
mod bound;
mod catalog;
mod catalog_keys;
mod connect;
mod create_table;
mod ddl;
mod document;
mod error;
mod execute;
mod geometry;
mod grants;
mod json;
mod options;
mod preflight;
mod reader;
mod result;
mod server;
mod session;
mod snapshot;
mod start;
mod statements;
mod value;
mod visibility;

pub use access::Access;
pub use connect::Source;
pub use error::{RecordError, SourceError};
pub use options::SourceOptions;
pub use preflight::{Finding, Severity};
pub use reader::{KeyedQuery, MAX_KEYS, ReadStats, Reader, RowSink, padded_size};
pub use result::{ResultColumn, ResultKind};
pub use server::{BinlogFile, Flavor, ServerInfo};
pub use snapshot::Snapshot;
pub use start::StartPosition;
pub use visibility::{LockTarget, Visibility};

/// What this room's functions return.
pub type Result<T> = std::result::Result<T, SourceError>;
