//! Binlogs as SQL, as the SQL that takes them back, as statistics.
//!
//! In: binlog files, packed or not, in order ([`Input`]), what is known of tables ([`Schema`]) and what is asked
//! ([`Request`]). Out: text, written as it comes, and an [`Outcome`] with counts, warnings and why it ended. Only
//! whole transactions come out; what may fail is [`TraceError`].
//!
//! Files are surveyed once for where their transactions begin (`survey`), then read in chunks by several workers,
//! the last one first where changes are taken back. A transaction is held in `pieces` until it is whole, beyond a
//! limit in a file: memory does not grow with the input.

mod archive;
mod as_text;
mod changes;
mod checkpoint;
mod context;
mod draft;
mod error;
mod events;
mod exact;
mod fates;
mod follows;
mod forms;
mod input;
mod known;
mod listing;
mod live;
mod look;
mod names;
mod parallel;
mod pieces;
mod predicate;
mod record;
mod remote;
mod request;
mod run;
mod schema;
mod search;
mod select;
mod spool;
mod sql;
mod stats;
mod streams;
mod survey;
mod transaction;
mod walk;

pub use archive::{Archive, Bookmark, Holdings, Page};
pub use checkpoint::Checkpoint;
pub use error::TraceError;
pub use input::Input;
pub use live::End;
pub use predicate::Predicate;
pub use remote::{AccessKeys, Cloud, Listing, S3Store, StoreOptions};
pub use request::{Form, Request};
pub use run::{Outcome, Progress, run};
pub use schema::Schema;
pub use search::{left_out, live_start};
pub use select::{EventKind, RowNumber, Selection, Span};
pub use stats::Stats;
pub use walk::Counts;
