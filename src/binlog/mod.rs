//! Reads binlogs: opens a stream or a file and gives its events one by one, never more than one in memory.
//!
//! In: a server ([`Stream`]) or a file ([`BinlogFile`]), which give [`RawEvent`]s. A [`Decoder`] takes them and
//! lends [`Event`]s: a transaction's begin, tables, rows, statements, end. Rows are cut into columns only when
//! asked for ([`Image::read`]). Out: nothing is skipped in silence; what can fail is [`BinlogError`], which
//! says the event's type, file and offset, and by `class()` what to do about it.

mod cursor;
mod decimal;
mod decoder;
mod error;
mod event;
mod far_start;
mod field;
mod file;
mod format;
mod frame;
mod gtid;
mod header;
mod invert;
pub mod json;
mod mariadb;
mod metadata;
mod payload;
mod query;
mod read_ahead;
mod rows;
mod server_error;
mod server_id;
mod slots;
mod state;
mod stream;
mod table_map;
mod temporal;
mod wire;

pub use decoder::Decoder;
pub use error::{At, BinlogError};
pub use event::{Body, Event, EventPosition};
pub use file::{BinlogFile, MAGIC};
pub use format::{Checksum, FormatDescription};
pub use gtid::GtidEvent;
pub use header::{EventType, HEADER_LEN, Header, RawEvent};
pub use mariadb::{MariaBegin, MariaGtid};
pub use query::{QueryEvent, QueryKind, Session, Xid};
pub use rows::{Image, Row, RowVisitor, Rows, RowsEvent, RowsKind};
pub use server_id::derive_server_id;
pub use stream::{Stream, StreamOptions, StreamStart};
pub use table_map::{ColumnDetail, TableMap};
