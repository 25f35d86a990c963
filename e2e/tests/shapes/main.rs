//! Shapes of schemas, keys, transactions and values that a stream can have. Each test keeps an index equal to
//! its query, asks the independent checker, and says whether a repair was allowed to be the reason.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    unreachable_pub,
    reason = "tests, and their helpers; metrics are counts in floats"
)]

mod addresses;
mod books;
mod cascades;
mod command_line;
mod ddl;
mod figures;
mod images;
mod joins;
mod keys;
mod names;
mod rig;
mod transactions;
mod transforms;
mod types;
mod upsert;
mod wholes;
