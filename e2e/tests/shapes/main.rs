//! Shapes of schemas, keys, transactions and values that a stream can have. Each test keeps an index equal to
//! its query, asks the independent checker, and says whether a repair was allowed to be the reason.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and their helpers")]

mod ddl;
mod joins;
mod keys;
mod names;
mod rig;
mod transactions;
mod types;
