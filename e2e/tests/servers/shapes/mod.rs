//! Shapes of schemas, keys, transactions and values that a stream can have. Each test keeps an index equal to
//! its query, asks the independent checker, and says whether a repair was allowed to be the reason.

mod addresses;
mod books;
mod cascades;
mod command_line;
mod ddl;
mod figures;
mod images;
mod joins;
#[cfg(feature = "long")]
mod key_types;
mod keys;
mod names;
mod rig;
mod transactions;
mod transforms;
mod types;
mod upsert;
mod wholes;
